/// @file
/// Which part is this, and is it defective? A gallery whose entries name the model that inspects them: in an entry's note,
/// {"inspect": "bolt.agp"}, a path that is absolute or relative to the gallery's file.
///
///     cv::Ptr<agpnet::PartInspector> inspector = agpnet::PartInspector::create(describer, "catalogue.agpx");
///     agpnet::PartResult part = inspector->inspect(frame, map); // part.name, part.known, part.result.anomalous
#pragma once

#include "agpnet/anomaly_detector.hpp"
#include "agpnet/object_query.hpp"

#include <memory>
#include <string>
#include <vector>

namespace agpnet
{

/// What an image shows, and how it is.
struct PartResult
{
    std::string name;                  ///< of the best match; empty where the gallery is empty
    bool known = false;                ///< see ObjectAnswer::known
    std::vector<GalleryMatch> matches; ///< the closest first
    bool inspected = false;            ///< the part is known, and its entry names a model
    std::string model;                 ///< that model's path; empty if there is none
    AnomalyResult result;              ///< of the inspection
    std::shared_ptr<const void> reserved; ///< empty
};

/// All functions may be called from several threads at once.
class AGPNET_EXPORT PartInspector
{
public:
    virtual ~PartInspector() = default;

    /// Opens a gallery. Models are read when a part first needs them, and kept.
    /// @param describer  of the gallery's model
    /// @param gallery    path of a gallery file
    /// @param rate       rate at which parts that are not in the gallery may be taken for one of it, 0 to 1, exclusive
    /// @param precision  of the inspecting models, as in AnomalyDetector::create()
    /// @param device     of the inspecting models, likewise
    /// @throws cv::Exception as Gallery::load() does
    static cv::Ptr<PartInspector> create(const cv::Ptr<Describer>& describer, const std::string& gallery, double rate = 0.01,
                                         const std::string& precision = "auto", const std::string& device = "cpu");

    /// Finds the part that the image shows, and inspects it with its own model.
    /// @param image  as in AnomalyDetector::detect()
    /// @param map    anomaly map, as in AnomalyDetector::detect(); released where nothing was inspected
    /// @param mask   the same for the mask
    /// @throws cv::Exception for an entry whose note names a model that cannot be read
    virtual PartResult inspect(cv::InputArray image, cv::OutputArray map = cv::noArray(), cv::OutputArray mask = cv::noArray(),
                               const DetectOptions& options = DetectOptions()) = 0;

    /// The same where the part is known to be this entry: nothing is searched for.
    virtual PartResult inspectAs(const std::string& name, cv::InputArray image, cv::OutputArray map = cv::noArray(),
                                 cv::OutputArray mask = cv::noArray(), const DetectOptions& options = DetectOptions()) = 0;
};

} // namespace agpnet
