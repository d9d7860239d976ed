// Names and their vectors, made elsewhere: by a text encoder that is not known here, or by hand.
#pragma once

#include "models/weights/mapped_file.h"

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace agpnet
{

struct NamedVectors
{
    std::vector<std::string> names; ///< UTF-8, none empty, none twice
    at::Tensor vectors;             ///< [N, D], float32: one row a name, none of them zero, all finite; their lengths are the file's
};

/// `path` is one of
/// - NAME.txt or NAME.npy, of which the other lies beside it: one name a line, and an array of N x D (see readNpy);
/// - a safetensors file with the tensor "vectors" [N, D], and the names either in the metadata under "names", one a line, or in the
///   tensors "names" (U8, the names' bytes one after the other) and "ends" (I64 [N], the byte after each name).
/// An Error names the file and what was expected of it.
NamedVectors readNamedVectors(const std::filesystem::path& path);

/// The safetensors form.
NamedVectors readNamedVectors(const Bytes& safetensors);

/// One name a line, without a byte order mark, the last line end optional. `file`: for messages.
std::vector<std::string> readNames(std::string_view text, const std::string& file);

/// Writes NAME.txt and NAME.npy; `path` is either. Each is replaced as a whole, the names last.
void writeNamedVectors(const std::filesystem::path& path, const NamedVectors& named);

} // namespace agpnet
