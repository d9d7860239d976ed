// A split of the good pictures that differs from the layout's: text, one picture a line,
//     train exp1_num_106151
//     test  exp1_num_245633
// The name is the file's without its extension, or, where two files share it, the path below the data set's folder. Good pictures
// not named are left out. Blank lines and lines from # are let pass.
#pragma once

#include "apps/datasets/dataset.h"

#include <map>

namespace agpnet::tools
{

class SplitFile
{
public:
    explicit SplitFile(const std::filesystem::path& path);

    /// Those of `good` that are named for `part` (Train or Test), in their order. Every name in the file must be found in `good`,
    /// and be that of one picture: a split that fits by half would give figures of something else.
    std::vector<Item> choose(const std::vector<Item>& good, Part part) const;

private:
    std::filesystem::path path_;
    std::map<std::string, Part> parts_;
};

} // namespace agpnet::tools
