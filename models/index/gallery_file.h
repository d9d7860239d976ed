// A gallery as a file: safetensors with a header, mapped when it is read. Layout: docs/gallery-file.md.
#pragma once

#include "models/index/gallery.h"

#include <nlohmann/json.hpp>
#include <string>

namespace agpnet
{

struct GalleryFile
{
    GalleryRows rows;
    std::string model;                                  ///< path of the model that the descriptors are of; a hint
    nlohmann::json settings = nlohmann::json::object(); ///< the caller's

    std::string path;     ///< file that it was read from; empty: none
    std::string identity; ///< of that file's content then
};

/// Atomically. One that was read from `path` is refused if the file has been changed since: somebody else's entries would be lost.
/// Afterwards `gallery` counts as read from there.
void writeGallery(const std::string& path, GalleryFile& gallery);

/// Opens it; the time does not depend on its size. Sizes are checked now, all values (the checksum, and that they are finite) once, when
/// they are used first.
GalleryFile readGallery(const std::string& path);

/// The header alone.
nlohmann::json readGalleryHeader(const std::string& path);

} // namespace agpnet
