// Data sets that are tables. One row is one picture; the columns, in any order and case:
//   path (or image)    relative to the table's folder
//   label              a word for good (label_words.h), or the defect's name (1, true: "anomalous")
//   mask, xyz          perhaps: ground truth and point cloud, relative too, empty where there is none
//   split              perhaps: train, validation (or val), test; without it all rows are for both training and test
//   class (or object)  perhaps: then one class is chosen
// VisA is such a table: ROOT/split_csv/1cls.csv, whose paths are relative to ROOT; 2cls_fewshot.csv and 2cls_highshot.csv in the
// same place are read by naming the file. A path that is absolute or leads out of the folder by .. is refused: a table that came
// with data should not reach other files.
#pragma once

#include "apps/datasets/csv.h"
#include "apps/datasets/dataset.h"

namespace agpnet::tools
{

/// The table that `path` is or holds (VisA's root), if it is one.
std::optional<std::filesystem::path> findTable(const std::filesystem::path& path);

/// `root` / `text`, or an Error that names the row where that is no path below `root`. Whether a file is there is not looked at.
std::filesystem::path pathInside(const CsvTable& table, size_t row, const std::filesystem::path& root, const std::string& text);

/// The rows of `part`; anomalous ones of a training part are left out.
Dataset readTable(const std::filesystem::path& table, const std::string& category, Part part, const GoodNames& good = GoodNames());

} // namespace agpnet::tools
