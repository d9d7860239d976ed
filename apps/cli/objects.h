// What the commands of retrieval share: a describer from a model, and the views of many objects through it.
#pragma once

#include "agpnet/describer.hpp"
#include "agpnet/gallery.hpp"
#include "apps/datasets/object_dataset.h"

#include <functional>
#include <string>
#include <vector>

namespace agpnet::app
{

/// A model of the method dec; refuses one of another method, and says which command takes that.
cv::Ptr<Describer> openDescriber(const std::string& model, const std::string& precision, const std::string& device);

struct OpenGallery
{
    cv::Ptr<Gallery> gallery;
    cv::Ptr<Describer> describer;
};

/// A gallery with its model: the one given, or else the gallery's own, beside it or where it was when the gallery was made.
OpenGallery openGallery(const std::string& path, const std::string& model, const std::string& precision, const std::string& device);

/// Embeds the views of all objects, in batches that go beyond one object. Calls use(object, embeddings) for each in turn: one row a view.
/// Ends with Interrupted on Ctrl-C.
/// @param progress  called with the number of views done
void embedObjects(const Describer& describer, const std::vector<tools::Object>& objects,
                  const std::function<void(size_t object, const cv::Mat& embeddings)>& use, const std::function<void(int views)>& progress);

/// One descriptor of all views, taken around the object.
cv::Mat descriptorOf(const Describer& describer, const cv::Mat& embeddings);

/// `count` rows, evenly spaced.
cv::Mat someViews(const cv::Mat& embeddings, int count, int offset = 0);

} // namespace agpnet::app
