// How many files a command used, and how many it did not.
#pragma once

#include "apps/datasets/folder_listing.h"

#include <nlohmann/json.hpp>

namespace agpnet::app
{

struct FileCount
{
    size_t used = 0;         ///< images
    tools::FileNames skipped; ///< what lies beside and below them and was not taken
    tools::FileNames unread;  ///< images that could not be read
};

/// "24 images used, 2 files skipped (a.gif, notes.txt), 0 could not be read"
std::string text(const FileCount& files);

nlohmann::json toJson(const FileCount& files);

} // namespace agpnet::app
