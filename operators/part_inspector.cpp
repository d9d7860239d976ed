// Both families together: a part is found, then inspected by the model that its entry names.
#include "agpnet/part_inspector.hpp"
#include "common/error.h"
#include "common/json_text.h"
#include "operators/core/opencv_exceptions.h"

#include <filesystem>
#include <map>
#include <mutex>
#include <nlohmann/json.hpp>

namespace agpnet
{
namespace
{

namespace fs = std::filesystem;

constexpr char modelKey[] = "inspect"; ///< in an entry's note

class PartInspectorImpl final : public PartInspector
{
public:
    PartInspectorImpl(const cv::Ptr<Describer>& describer, const std::string& path, double rate, std::string precision, std::string device)
        : describer_(describer), gallery_(Gallery::load(path, describer->getSpace())), folder_(fs::path(path).parent_path()), rate_(rate),
          precision_(std::move(precision)), device_(std::move(device))
    {
    }

    PartResult inspect(cv::InputArray image, cv::OutputArray map, cv::OutputArray mask, const DetectOptions& options) override
    {
        return guarded([&] {
            const cv::Ptr<ObjectQuery> query = ObjectQuery::create(describer_, gallery_, rate_);
            const ObjectAnswer answer = query->add(image);
            PartResult part;
            part.matches = answer.matches;
            part.known = answer.known;
            part.name = answer.matches.empty() ? "" : answer.matches[0].name;
            if (part.known && !part.matches.empty())
                part.model = modelIn(part.matches[0].note, part.name);
            judge(part, image, map, mask, options);
            return part;
        });
    }

    PartResult inspectAs(const std::string& name, cv::InputArray image, cv::OutputArray map, cv::OutputArray mask,
                         const DetectOptions& options) override
    {
        return guarded([&] {
            PartResult part;
            part.model = modelIn(gallery_->getNote(name), name);
            part.name = name;
            part.known = true;
            judge(part, image, map, mask, options);
            return part;
        });
    }

private:
    /// "" where the note names none.
    std::string modelIn(const std::string& note, const std::string& name) const
    {
        if (note.empty())
            return "";
        const nlohmann::json json = parseJson(note, fmt::format("the note of '{}'", name));
        if (!json.is_object() || !json.contains(modelKey))
            return "";
        require(json[modelKey].is_string(), "the note of '{}': '{}' is {}, expected the path of a model", name, modelKey,
                json[modelKey].dump());
        return (folder_ / json[modelKey].get<std::string>()).string(); // an absolute path stays as it is
    }

    void judge(PartResult& part, cv::InputArray image, cv::OutputArray map, cv::OutputArray mask, const DetectOptions& options)
    {
        if (part.model.empty())
        {
            for (const cv::_OutputArray* out : {&map, &mask})
                if (out->needed())
                    out->release();
            return;
        }
        part.result = detectorFor(part.model)->detect(image, map, mask, options);
        part.inspected = true;
    }

    cv::Ptr<AnomalyDetector> detectorFor(const std::string& model)
    {
        const std::lock_guard lock(mutex_);
        cv::Ptr<AnomalyDetector>& detector = detectors_[model];
        if (!detector)
            detector = AnomalyDetector::create(model, precision_, device_);
        return detector;
    }

    cv::Ptr<Describer> describer_;
    cv::Ptr<Gallery> gallery_;
    fs::path folder_; ///< of the gallery's file
    double rate_;
    std::string precision_, device_;
    std::mutex mutex_; ///< protects detectors_
    std::map<std::string, cv::Ptr<AnomalyDetector>> detectors_;
};

} // namespace

cv::Ptr<PartInspector> PartInspector::create(const cv::Ptr<Describer>& describer, const std::string& gallery, double rate,
                                             const std::string& precision, const std::string& device)
{
    return guarded([&]() -> cv::Ptr<PartInspector> {
        require(static_cast<bool>(describer), "describer is empty, expected one");
        require(rate > 0 && rate < 1, "rate is {}, expected more than 0 and less than 1", rate);
        return cv::makePtr<PartInspectorImpl>(describer, gallery, rate, precision, device);
    });
}

} // namespace agpnet
