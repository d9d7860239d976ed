// Data sets of objects. An object is one thing, seen in one or more images (its views), in the order in which they were taken.
#pragma once

#include "apps/datasets/dataset.h"

#include <nlohmann/json.hpp>

namespace agpnet::tools
{

struct Object
{
    std::string name;                                   ///< of one object of the data set only
    std::string className;                              ///< empty where the layout has no classes
    std::vector<std::filesystem::path> views;           ///< image files, at least one
    nlohmann::json metadata = nlohmann::json::object(); ///< what else a table says of it: texts by the names of their columns
};

struct ObjectDataset
{
    std::filesystem::path root;
    std::string layout; ///< in words, for a log or a report
    std::vector<Object> objects;
    std::vector<std::string> warnings; ///< one sentence each; nothing is printed here
    std::string name;                  ///< of the folder or the table

    size_t views() const; ///< of all objects
    /// The classes in the order of their names, with the indices of their objects; objects without a class are in none.
    std::map<std::string, std::vector<size_t>> classes() const;
};

/// The objects that `path` holds:
///   CLASS/OBJECT/*.png   a folder of folders of objects
///   OBJECT/*.png         a folder of objects, without classes
///   OBJECT.png           a folder of images: one object each; these may lie beside folders of objects
///   a CSV table          columns file (or path, image) and object (or name), perhaps class. A row is one view; a file that is a folder
///                        stands for the images in it. Paths are relative to the table's folder. Other columns become metadata.
/// The views of an object may also lie in a folder image/ in it, as in the data sets of open-set 3-D retrieval. Objects and views come
/// in natural order (view 2 before 10), those of a table in its own. Error where there is no object, one has no image, or two have the
/// same name: matches are reported by name. Names must be UTF-8. Images are not opened.
ObjectDataset listObjects(const std::filesystem::path& path);

/// The views as a plain list of images, for checkFiles() and datasetHash(): the hash depends on the classes and the names of the objects
/// too.
Dataset imagesOf(const ObjectDataset& dataset);

} // namespace agpnet::tools
