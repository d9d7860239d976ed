// The record of a training, which the model file keeps: how its numbers came to be. Typed where the program reads it; JSON as it always
// was.
#pragma once

#include <cstdint>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

namespace agpnet
{

/// The values of the training's 16-bit images.
struct ValuesRecord
{
    int bits = 0;
    bool given = false; ///< by the config; otherwise found in the images
    size_t images = 0;
    int least = 0, greatest = 0; ///< of the images' greatest values
    int64_t above = 0;           ///< images with values above the range of the bits
};

/// The images of one product.
struct SetRecord
{
    std::string name;
    size_t count = 0, heldOut = 0;
    std::optional<std::vector<size_t>> chosen; ///< of few, those trained on

    bool operator==(const SetRecord&) const = default;
};

struct EarlyStopRecord
{
    std::vector<double> checks; ///< what each check measured; a resumed training decides by them alike
    std::optional<int> seenAt;  ///< the step after which no gain was seen
};

/// What is known once the model is made.
struct EndRecord
{
    int64_t steps = 0;
    double noiseUnit = 0;
    std::string finished; ///< UTC, ISO 8601
    std::string device, precision;
    int processes = 1;
    std::map<std::string, std::string> versions;
};

struct TrainingRecord
{
    double seconds = 0;
    int64_t imagesSeen = 0;
    std::optional<double> firstLoss, lastLoss;
    std::optional<ValuesRecord> values;
    std::vector<SetRecord> sets;
    size_t images = 0, imagesHeldOut = 0;       ///< of all sets
    std::optional<EarlyStopRecord> earlyStop;
    std::map<std::string, double> profile;      ///< seconds by part
    std::optional<EndRecord> end;
    nlohmann::json notes = nlohmann::json::object(); ///< the caller's, by key

    /// A note of the caller; refuses the record's own keys.
    void addNote(const std::string& key, nlohmann::json note);
};

/// One flat object; what is not known yet is left out.
void to_json(nlohmann::json& json, const TrainingRecord& record);
void from_json(const nlohmann::json& json, TrainingRecord& record);

nlohmann::json toJson(const std::vector<SetRecord>& sets);

} // namespace agpnet
