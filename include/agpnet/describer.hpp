/// @file
/// Retrieval of objects: descriptors of one or several views. Equal things have descriptors that point in nearly the same direction.
///
///     cv::Ptr<agpnet::Describer> describer = agpnet::Describer::create("parts.agp");
///     cv::Mat descriptor;
///     describer->describe(std::vector<cv::Mat>{front, side}, descriptor); // 1 x D, to be searched for in an agpnet::Gallery
#pragma once

#include "agpnet/api.hpp"

#include <opencv2/core.hpp>
#include <string>
#include <vector>

namespace agpnet
{

/// Order of the views of an object.
enum ViewOrder : int
{
    VIEWS_UNORDERED = 0, ///< images from any sides
    VIEWS_RING = 1       ///< images in the order in which they were taken around the object
};

/// A model that describes objects. All functions may be called from several threads on one object. Implemented by the library alone; later
/// versions add functions after the last one, so that programs need not be compiled again.
class AGPNET_EXPORT Describer
{
public:
    virtual ~Describer() = default;

    /// Reads a .agp file of the method `dec`, which agpnet::DescriberTrainer or `agpnet train --method dec` wrote. Models are shared: a
    /// second describer of an unchanged file costs no memory.
    /// @param model      path of the file
    /// @param precision  "auto" (float32 on a CPU, bfloat16 on a CUDA device), "fp32" or "bf16"
    /// @param device     where the model computes: "cpu", "cuda" or "cuda:N", as in AnomalyDetector::create()
    /// @throws cv::Exception naming the file and what is wrong with it, or what the device lacks
    static cv::Ptr<Describer> create(const std::string& model, const std::string& precision = "auto", const std::string& device = "cpu");

    /// One descriptor of all views of one object.
    /// @param views       vector of cv::Mat or cv::UMat, or one image: as in AnomalyDetector::detect(); sizes may differ. Each is resized
    /// to
    ///                    the model's input, without keeping its ratio of sides
    /// @param descriptor  1 x D, CV_32FC1, of unit length; D = getWidth()
    /// @param order       what the order of the views means; of use to models with an adapter over views
    /// @throws cv::Exception for no view, an empty image, another type, or values that are not finite
    virtual void describe(cv::InputArrayOfArrays views, cv::OutputArray descriptor, ViewOrder order = VIEWS_UNORDERED) const = 0;

    /// The backbone's embedding of each image, from which aggregate() makes a descriptor: for views that come one by one.
    /// @param embeddings  one row an image, N x D, CV_32FC1
    virtual void embed(cv::InputArrayOfArrays images, cv::OutputArray embeddings) const = 0;

    /// describe() on embeddings.
    /// @param embeddings  M x D, CV_32FC1: the views of one object
    virtual void aggregate(cv::InputArray embeddings, cv::OutputArray descriptor, ViewOrder order = VIEWS_UNORDERED) const = 0;

    virtual int getWidth() const = 0;             ///< D: width of embeddings and descriptors
    virtual std::string getSpace() const = 0;     ///< digest of the space that descriptors are in; a gallery belongs to one
    virtual cv::Size getInputSize() const = 0;    ///< the model's input size
    virtual std::string getPrecision() const = 0; ///< the type that it computes in: "fp32" or "bf16"
    virtual std::string getDevice() const = 0;    ///< "cpu" or "cuda:N"
    virtual std::string getHeader() const = 0;    ///< the model file's header, JSON text
};

} // namespace agpnet
