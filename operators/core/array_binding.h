// cv::Mat and cv::UMat as views of a stage.
#pragma once

#include "halide_generators/runtime/stages.h"
#include "operators/core/operator.h"

#include <list>
#include <opencv2/core.hpp>

namespace agpnet
{

/// A Mat of 4 dimensions [N, C, H, W], or of 2 as [N, C, 1, 1], CV_32F; no copy.
stages::View viewOf(const std::string& name, const cv::Mat& mat);

/// The arrays of one call of a stage: on OpenCV's OpenCL device when an input is a UMat and OpenCV uses OpenCL, else on the host.
/// Outputs may be inputs or overlap them: then the stage writes elsewhere and finish() copies.
class StageCall
{
public:
    struct NamedInput
    {
        const char* name;
        const cv::_InputArray& array;
    };
    explicit StageCall(std::initializer_list<NamedInput> inputs);
    ~StageCall();
    StageCall(const StageCall&) = delete;
    StageCall& operator=(const StageCall&) = delete;

    Shape shape(size_t input) const; ///< always 4 dimensions
    void output(const cv::_OutputArray& target, const Shape& shape, int type = CV_32F);

    /// Further input: [K, D] or [K, D, 1, 1] of CV_32F, CV_16F or CV_8S.
    stages::Rows rows(const char* name, const cv::_InputArray& array);

    const stages::Device& device() const { return device_; }
    const stages::View& input(size_t i) const { return inputs_[i]; }
    const stages::View& outputView(size_t i) const { return outputs_[i]; }

    /// Gives the results to the caller's arrays.
    void finish();

private:
    stages::View bind(const std::string& name, const cv::UMat& array, cv::AccessFlag access);

    stages::Device device_;
    std::vector<stages::View> inputs_, outputs_;
    std::list<cv::Mat> mats_;   // what the views look into
    std::list<cv::UMat> umats_;
    struct Target
    {
        const cv::_OutputArray* array;
        cv::Mat mat;
        cv::UMat umat;
    };
    std::vector<Target> targets_;
};

} // namespace agpnet
