// Structures that begin with their size: a caller may have been compiled with an earlier or a later version of agpnet/c_api.h.
#pragma once

#include "agpnet/c_api.h"
#include "common/error.h"
#include "plugin/c_call.h"

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <opencv2/core.hpp>
#include <vector>

namespace agpnet
{

/// Size of a structure in its first version, which stays as it is when the structure grows.
template <typename Structure>
inline constexpr size_t firstSize = 0;
template <>
inline constexpr size_t firstSize<agpnet_image> = offsetof(agpnet_image, stride) + sizeof(agpnet_image::stride);
template <>
inline constexpr size_t firstSize<agpnet_detect_options> = offsetof(agpnet_detect_options, threads) +
                                                           sizeof(agpnet_detect_options::threads);
template <>
inline constexpr size_t firstSize<agpnet_result> = offsetof(agpnet_result, warning) + sizeof(agpnet_result::warning);
template <>
inline constexpr size_t firstSize<agpnet_region> = offsetof(agpnet_region, contour_count) + sizeof(agpnet_region::contour_count);
template <>
inline constexpr size_t firstSize<agpnet_detector_options> = offsetof(agpnet_detector_options, detect) +
                                                             sizeof(agpnet_detector_options::detect);
template <>
inline constexpr size_t firstSize<agpnet_detector_info> = offsetof(agpnet_detector_info, product_count) +
                                                          sizeof(agpnet_detector_info::product_count);
template <>
inline constexpr size_t firstSize<agpnet_drift> = offsetof(agpnet_drift, drifting) + sizeof(agpnet_drift::drifting);
template <>
inline constexpr size_t firstSize<agpnet_stream_options> = offsetof(agpnet_stream_options, outputs) +
                                                           sizeof(agpnet_stream_options::outputs);
template <>
inline constexpr size_t firstSize<agpnet_frame> = offsetof(agpnet_frame, error) + sizeof(agpnet_frame::error);
template <>
inline constexpr size_t firstSize<agpnet_trainer_options> = offsetof(agpnet_trainer_options, device) +
                                                            sizeof(agpnet_trainer_options::device);
template <>
inline constexpr size_t firstSize<agpnet_trainer_info> = offsetof(agpnet_trainer_info, record) + sizeof(agpnet_trainer_info::record);
template <>
inline constexpr size_t firstSize<agpnet_image_set> = offsetof(agpnet_image_set, context) + sizeof(agpnet_image_set::context);
template <>
inline constexpr size_t firstSize<agpnet_calibration_set> = offsetof(agpnet_calibration_set, context) +
                                                            sizeof(agpnet_calibration_set::context);
template <>
inline constexpr size_t firstSize<agpnet_calibration_options> =
    offsetof(agpnet_calibration_options, context) + sizeof(agpnet_calibration_options::context);
template <>
inline constexpr size_t firstSize<agpnet_describer_options> =
    offsetof(agpnet_describer_options, device) + sizeof(agpnet_describer_options::device);
template <>
inline constexpr size_t firstSize<agpnet_describer_info> =
    offsetof(agpnet_describer_info, input_width) + sizeof(agpnet_describer_info::input_width);
template <>
inline constexpr size_t firstSize<agpnet_gallery_info> =
    offsetof(agpnet_gallery_info, calibrated) + sizeof(agpnet_gallery_info::calibrated);
template <>
inline constexpr size_t firstSize<agpnet_match> = offsetof(agpnet_match, note) + sizeof(agpnet_match::note);
template <>
inline constexpr size_t firstSize<agpnet_describer_trainer_info> =
    offsetof(agpnet_describer_trainer_info, record) + sizeof(agpnet_describer_trainer_info::record);
template <>
inline constexpr size_t firstSize<agpnet_object> = offsetof(agpnet_object, count) + sizeof(agpnet_object::count);
template <>
inline constexpr size_t firstSize<agpnet_object_set> = offsetof(agpnet_object_set, context) + sizeof(agpnet_object_set::context);
template <>
inline constexpr size_t firstSize<agpnet_object_query_options> =
    offsetof(agpnet_object_query_options, most) + sizeof(agpnet_object_query_options::most);
template <>
inline constexpr size_t firstSize<agpnet_object_answer> = offsetof(agpnet_object_answer, lead) + sizeof(agpnet_object_answer::lead);

template <typename Structure>
void requireSize(const Structure* given, const char* name)
{
    static_assert(firstSize<Structure> > 0);
    requirePointer(given, name);
    require(given->size >= firstSize<Structure>, "{}.size is {}, expected at least {}", name, given->size, firstSize<Structure>);
}

/// The caller's structure; members that the caller does not know are as in `defaults`.
template <typename Structure>
Structure received(const Structure* given, const char* name, Structure defaults = {})
{
    requireSize(given, name);
    std::memcpy(&defaults, given, std::min(given->size, sizeof defaults));
    return defaults;
}

/// The same where null stands for the defaults.
template <typename Structure>
Structure receivedOr(const Structure* given, const char* name, const Structure& defaults)
{
    return given ? received(given, name, defaults) : defaults;
}

/// An array of them: one follows the other at the distance of the caller's size.
template <typename Structure>
std::vector<Structure> receivedArray(const Structure* first, size_t count, const char* name)
{
    std::vector<Structure> all;
    for (size_t i = 0; i < count; i++)
    {
        requirePointer(first, name);
        const auto* next = reinterpret_cast<const Structure*>(reinterpret_cast<const char*>(first) + i * first->size);
        all.push_back(received(next, name));
        require(next->size == first->size, "{}[{}].size is {}, expected {} as in {}[0]", name, i, next->size, first->size, name);
    }
    return all;
}

/// Fills the caller's structure, and no member that the caller does not know.
template <typename Structure>
void give(Structure values, Structure* to, const char* name)
{
    requireSize(to, name);
    values.size = to->size;
    std::memcpy(to, &values, std::min(to->size, sizeof values));
}

/// The caller's pixels, not copied.
cv::Mat matOf(const agpnet_image& image, const char* name);
std::vector<cv::Mat> matsOf(const agpnet_image* images, size_t count, const char* name);

/// A map or a mask for the caller.
agpnet_image imageOf(const cv::Mat& mat);

} // namespace agpnet
