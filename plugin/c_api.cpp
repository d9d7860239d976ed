// The detector behind C functions.
#include "agpnet/c_api.h"

#include "agpnet/anomaly_detector.hpp"
#include "agpnet/version.hpp"
#include "common/error.h"
#include "plugin/c_answer.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstring>
#include <exception>
#include <string>
#include <type_traits>

struct agpnet_detector
{
    cv::Ptr<agpnet::AnomalyDetector> detector;
    std::string header;
};

namespace
{

using agpnet::answer;
using agpnet::require;

/// Runs it; what it throws becomes a code and a sentence. A text that it returns is a warning.
template <typename Function>
int guardedForC(char* message, size_t size, Function function) noexcept
{
    try
    {
        if (!message && size > 0)
            return AGPNET_E_ARGUMENT;
        std::string warning;
        if constexpr (std::is_void_v<decltype(function())>)
            function();
        else
            warning = function();
        return answer(AGPNET_OK, warning.c_str(), message, size);
    }
    catch (const cv::Exception& error) // its what() has OpenCV's own file and line
    {
        return answer(AGPNET_E_FAILED, error.err.c_str(), message, size);
    }
    catch (const agpnet::Error& error)
    {
        return answer(AGPNET_E_ARGUMENT, error.what(), message, size);
    }
    catch (const std::exception& error)
    {
        return answer(AGPNET_E_FAILED, error.what(), message, size);
    }
    catch (...)
    {
        return answer(AGPNET_E_FAILED, "an exception of an unknown type", message, size);
    }
}

void requirePointer(const void* pointer, const char* name)
{
    require(pointer != nullptr, "{} is null", name);
}

/// The caller's structure as this library knows it; what the caller does not know is 0.
agpnet_image readImage(const agpnet_image* given)
{
    requirePointer(given, "image");
    constexpr size_t first = offsetof(agpnet_image, stride) + sizeof(int64_t); // as it was in the first version
    require(given->size >= first, "image.size is {}, expected at least {}", given->size, first);
    agpnet_image image{};
    std::memcpy(&image, given, std::min(given->size, sizeof image));
    return image;
}

cv::Mat matOf(const agpnet_image& image)
{
    requirePointer(image.data, "image.data");
    constexpr std::array<int, 3> depths = {CV_8U, CV_16U, CV_32F};
    require(image.type >= 0 && image.type < static_cast<int>(depths.size()),
            "image.type is {}, expected 0 (uint8), 1 (uint16) or 2 (float32)", image.type);
    require(image.channels == 1 || image.channels == 3 || image.channels == 4, "image.channels is {}, expected 1, 3 or 4",
            image.channels);
    require(image.height > 0 && image.width > 0, "the image has {} rows and {} columns, expected at least 8 of each",
            image.height, image.width);
    const int type = CV_MAKETYPE(depths[static_cast<size_t>(image.type)], image.channels);
    const int64_t least = int64_t{image.width} * static_cast<int64_t>(CV_ELEM_SIZE(type));
    require(image.stride >= least && image.stride % static_cast<int64_t>(CV_ELEM_SIZE1(type)) == 0,
            "image.stride is {}, expected whole elements and at least the {} bytes of a row", image.stride, least);
    return cv::Mat(image.height, image.width, type, const_cast<void*>(image.data),
                   static_cast<size_t>(image.stride)); // only read
}

} // namespace

extern "C"
{

    int agpnet_detector_load(const char* path, const char* precision, agpnet_detector** detector, char* message,
                             size_t messageSize)
    {
        return agpnet_detector_load_on(path, precision, nullptr, detector, message, messageSize);
    }

    int agpnet_detector_load_on(const char* path, const char* precision, const char* device, agpnet_detector** detector, char* message,
                                size_t messageSize)
    {
        return guardedForC(message, messageSize,
                           [&]
                           {
                               requirePointer(detector, "detector");
                               *detector = nullptr;
                               requirePointer(path, "path");
                               cv::Ptr<agpnet::AnomalyDetector> loaded =
                                   agpnet::AnomalyDetector::create(path, precision ? precision : "auto", device ? device : "cpu");
                               std::string header = loaded->getHeader();
                               *detector = new agpnet_detector{std::move(loaded), std::move(header)};
                           });
    }

    void agpnet_detector_free(agpnet_detector* detector)
    {
        delete detector;
    }

    int agpnet_detector_detect(const agpnet_detector* detector, const agpnet_image* image, float* map, uint8_t* mask,
                               agpnet_result* result, char* message, size_t messageSize)
    {
        return guardedForC(message, messageSize,
                           [&]
                           {
                               requirePointer(detector, "detector");
                               const cv::Mat pixels = matOf(readImage(image));
                               constexpr size_t first = offsetof(agpnet_result, anomalous) + sizeof(int32_t);
                               require(!result || result->size >= first, "result.size is {}, expected at least {}",
                                       result ? result->size : 0, first);
                               cv::Mat ownMap, ownMask;
                               const agpnet::AnomalyResult found =
                                   detector->detector->detect(pixels, map ? cv::OutputArray(ownMap) : cv::noArray(),
                                                              mask ? cv::OutputArray(ownMask) : cv::noArray());
                               if (map)
                                   ownMap.copyTo(cv::Mat(pixels.size(), CV_32F, map));
                               if (mask)
                                   ownMask.copyTo(cv::Mat(pixels.size(), CV_8U, mask));
                               if (result)
                               {
                                   agpnet_result whole{result->size, found.score, found.threshold, found.anomalous ? 1 : 0};
                                   std::memcpy(result, &whole, std::min(result->size, sizeof whole));
                               }
                               return found.warning;
                           });
    }

    int agpnet_detector_set_threads(agpnet_detector* detector, int threads, char* message, size_t messageSize)
    {
        return guardedForC(message, messageSize,
                           [&]
                           {
                               requirePointer(detector, "detector");
                               detector->detector->setOptions(detector->detector->getOptions().setThreads(threads));
                           });
    }

    int agpnet_detector_set_sensitivity(agpnet_detector* detector, double sensitivity, char* message, size_t messageSize)
    {
        return guardedForC(message, messageSize,
                           [&]
                           {
                               requirePointer(detector, "detector");
                               detector->detector->setOptions(detector->detector->getOptions().setSensitivity(sensitivity));
                           });
    }

    const char* agpnet_detector_header(const agpnet_detector* detector)
    {
        return detector ? detector->header.c_str() : nullptr;
    }

    const char* agpnet_build_information(void)
    {
        try
        {
            static const std::string text = agpnet::buildInformation();
            return text.c_str();
        }
        catch (...)
        {
            return nullptr;
        }
    }

} // extern "C"
