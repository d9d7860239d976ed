// Data sets that are folders: MVTec AD, MVTec 3D-AD, good/ and <defect>/, or one folder of good pictures.
#pragma once

#include "apps/datasets/dataset.h"

namespace agpnet::tools
{

/// What of `part` lies there, perhaps nothing. Masks that belong to no picture are noted.
Dataset readFolders(const std::filesystem::path& path, Part part, const GoodNames& good);

/// Error naming the data sets if the folder holds some instead of being one.
void requireNoCollection(const std::filesystem::path& path, const GoodNames& good);

/// The folders with pictures in it, for a user who may say which of them is good.
std::string foldersOfUnknownMeaning(const std::filesystem::path& path);

} // namespace agpnet::tools
