// What lies in a folder: training pictures, test pictures with labels and masks, or inputs named on a command line.
#pragma once

#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace agpnet::tools
{

enum class Label
{
    Good,
    Anomalous
};

struct Item
{
    std::filesystem::path path;
    std::string name; ///< relative to the data set's root, with '/'
    Label label = Label::Good;
    std::string defect;                        ///< the folder's name; "good" for good ones
    std::optional<std::filesystem::path> mask; ///< ground truth; absent for good ones and where none was found
};

struct Dataset
{
    std::filesystem::path root;
    std::string layout; ///< in words, for a log or a report
    std::vector<Item> items;
    std::vector<std::string> warnings; ///< what a user should know, one sentence each; nothing is printed here

    size_t count(Label label) const;
    size_t masks() const;
};

/// The good pictures to train on. `path` may be
///   a folder of pictures                           all of them are good
///   a folder with good/                            those below it
///   a folder with train/good/ (MVTec AD; MVTec 3D-AD has rgb/ below that)
/// In natural order (2 before 10). Error where there is none.
Dataset listTraining(const std::filesystem::path& path);

/// Labelled test pictures. `path` may be
///   a folder with test/good/ and test/<defect>/, and masks as ground_truth/<defect>/<stem>_mask.* or <stem>.* (MVTec AD),
///   or test/<defect>/rgb/ beside test/<defect>/gt/ (MVTec 3D-AD)
///   a folder with good/ and <defect>/ and perhaps ground_truth/ in it or beside it
/// A set without anomalies, or without good pictures, is listed with a warning: nothing can then be said of ranking.
Dataset listTest(const std::filesystem::path& path);

/// Reads every file (masks too) and checks that it is a whole picture, so that a broken one is met before hours of work and
/// not within them. One Error naming the first few and their number.
void checkFiles(const Dataset& dataset);

/// SHA-256 over names relative to the root, sizes and contents, masks included: the same wherever the folder lies.
std::string datasetHash(const Dataset& dataset);

/// Files, folders (their pictures, not below) and globs (*, ?, [..]; expanded here, so quotes do no harm) to picture files.
/// The order of the arguments is kept; within one, natural order; a file named twice comes once.
std::vector<std::filesystem::path> expandInputs(std::span<const std::string> arguments);

/// Digits count as numbers, letters as bytes.
bool naturalLess(const std::string& a, const std::string& b);

/// By extension, in any case.
bool hasImageExtension(const std::filesystem::path& path);

} // namespace agpnet::tools
