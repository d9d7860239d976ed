// Rows of float32 between OpenCV's arrays and tensors: descriptors, embeddings.
#pragma once

#include "common/error.h"

#include <ATen/core/Tensor.h>
#include <ATen/ops/from_blob.h>
#include <opencv2/core.hpp>

namespace agpnet
{

/// A copy, [N, width]. One row may be a column, too. Refused by the name `what`.
inline at::Tensor rowsOf(cv::InputArray array, const char* what, int width)
{
    cv::Mat mat = array.getMat();
    require(!mat.empty() && mat.dims == 2 && mat.type() == CV_32FC1, "{} is {}, expected rows of {} values in CV_32FC1", what,
            mat.empty() ? std::string("empty") : fmt::format("of {} dimensions in {}", mat.dims, cv::typeToString(mat.type())), width);
    if (mat.cols == 1 && mat.rows == width && width > 1)
        mat = mat.t();
    require(mat.cols == width, "{} is {} x {} (rows x columns), expected {} columns", what, mat.rows, mat.cols, width);
    const auto stride = static_cast<int64_t>(mat.step1());
    return at::from_blob(mat.data, {mat.rows, mat.cols}, {stride, 1}, at::kFloat).clone();
}

inline void giveRows(const at::Tensor& rows, cv::OutputArray to)
{
    to.create(static_cast<int>(rows.size(0)), static_cast<int>(rows.size(1)), CV_32FC1);
    const at::Tensor plain = rows.contiguous();
    cv::Mat(static_cast<int>(rows.size(0)), static_cast<int>(rows.size(1)), CV_32FC1, plain.data_ptr()).copyTo(to);
}

} // namespace agpnet
