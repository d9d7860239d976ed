// What lies in a folder: training pictures, test pictures with labels and masks, or inputs named on a command line.
#pragma once

#include "apps/datasets/folder_listing.h"
#include "apps/datasets/label_words.h"

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

enum class Part
{
    Train,
    Validation, ///< good pictures set aside for a threshold; neither trained on nor measured
    Test
};

struct Item
{
    std::filesystem::path path;
    std::string name; ///< relative to the data set's root, with '/'
    Label label = Label::Good;
    std::string defect;                        ///< the folder's name; "good" for good ones
    /// Ground truth, a folder for the union of its pictures; absent for good ones and where none was found.
    std::optional<std::filesystem::path> mask;
    std::optional<std::filesystem::path> xyz;  ///< organised point cloud of the same view, where there is one
};

struct Dataset
{
    std::filesystem::path root;
    std::string layout; ///< in words, for a log or a report
    std::vector<Item> items;
    std::vector<std::string> warnings; ///< what a user should know, one sentence each; nothing is printed here
    std::string name;                  ///< name of the class: the category, otherwise the name of the folder
    FileNames skipped;                 ///< what lies among the pictures and is none of them, and none of their masks
    std::set<std::filesystem::path> noted = {}; ///< those of the skipped that a warning is about already
    std::set<std::filesystem::path> folders = {}; ///< that were looked into

    size_t count(Label label) const;
    size_t masks() const;
};

struct ListOptions
{
    std::string category;        ///< which class, where `path` holds several
    std::filesystem::path split; ///< split file, see split_file.h; empty: as the layout says
    std::vector<std::string> good = {}; ///< names of folders or labels that mean good; none: those of label_words.h
};

/// The files of an item's mask: none, one, or several in a folder.
std::vector<std::filesystem::path> maskFiles(const Item& item);

/// The good pictures to train on. Folders are known by their names, case aside: "good" stands for every word of label_words.h. `path` may
/// be:
///   a folder of pictures                           all of them are good
///   a folder with good/                            those below it
///   a folder with train/good/ (MVTec AD; MVTec 3D-AD has rgb/ and xyz/ below that)
///   VisA's root, or any table, as table_dataset.h says; a category chooses the object
///   a folder of such folders, with a category      PATH/CATEGORY
/// In natural order (2 before 10), a table in its own. Error where there is none.
Dataset listTraining(const std::filesystem::path& path, const ListOptions& options = {});

/// The good pictures set aside: validation/good/ or a table's rows. None is no Error.
Dataset listValidation(const std::filesystem::path& path, const ListOptions& options = {});

/// Labelled test pictures. `path` may be
///   a folder with test/good/ and test/<defect>/, and masks as ground_truth/<defect>/<stem>_mask.* or <stem>.* (MVTec AD),
///   or test/<defect>/rgb/ beside test/<defect>/gt/ and xyz/ (MVTec 3D-AD)
///   a folder with good/ and <defect>/ and perhaps ground_truth/ in it or beside it
///   Masks may also lie in masks/, mask/ or gt/, for all kinds of defect together, in the folder of the defect, beside their pictures as
///   <stem>_mask.*, or several to a picture in a folder <stem>/ (MVTec LOCO AD). What is named as masks are is never inspected.
///   VisA's root, a table, or a folder of data sets with a category, as above
/// A set without anomalies, or without good pictures, is listed with a warning: nothing can then be said of ranking.
Dataset listTest(const std::filesystem::path& path, const ListOptions& options = {});

/// Reads every file (masks too) and checks that it is a whole picture, so that a broken one is met before hours of work and
/// not within them. One Error naming the first few and their number.
void checkFiles(const Dataset& dataset);

/// SHA-256 over names relative to the root, sizes and contents, masks and point clouds included: the same wherever the
/// folder lies.
std::string datasetHash(const Dataset& dataset);

/// Files, folders (their pictures, not below) and globs (*, ?, [..]; expanded here, so quotes do no harm) to picture files.
/// The order of the arguments is kept; within one, natural order; a file named twice comes once. "-" is standard input.
/// `beside`, if given, receives what else folders hold and globs match.
std::vector<std::filesystem::path> expandInputs(std::span<const std::string> arguments, LeftOut* beside = nullptr);

} // namespace agpnet::tools
