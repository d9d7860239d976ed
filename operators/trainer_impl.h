// Trainer behind its public interface; ai.agpnet.Train uses it directly on tensors.
#pragma once

#include "agpnet/trainer.hpp"
#include "models/model_file.h"

#include <deque>

namespace agpnet
{

class TrainerImpl final : public Trainer
{
public:
    explicit TrainerImpl(Training training, nlohmann::json record = nlohmann::json::object());

    double step(cv::InputArrayOfArrays images) override;
    double stepBlob(cv::InputArray blob) override;
    bool fit(size_t count, const std::function<cv::Mat(size_t)>& image, const std::function<bool(const TrainProgress&)>& keepGoing) override;
    void calibrate(size_t count, const std::function<cv::Mat(size_t)>& image, bool heldBack) override;
    int stepsDone() const override { return static_cast<int>(training_.stepsDone()); }
    int steps() const override { return training_.config().steps; }
    int batchSize() const override { return training_.config().batch; }
    cv::Size inputSize() const override { return {training_.config().width, training_.config().height}; }
    std::string config() const override;
    void note(const std::string& key, const std::string& json) override;
    void save(const std::string& path, bool embedBackbone) override;
    void saveState(const std::string& path) const override;
    cv::Ptr<Detector> detector() const override;

    /// images [N, 3, h, w], RGB, 0 to 1, any size; throws agpnet::Error.
    double stepTensor(const at::Tensor& images, const char* what);
    void saveModel(const std::string& path, bool embedBackbone);

private:
    double stepBatch(const at::Tensor& batch); ///< at the input size
    void calibrateOn(size_t count, const std::function<at::Tensor(size_t)>& batch, const char* from) const;
    ModelFile modelFile() const;

    Training training_;
    nlohmann::json record_;              ///< grows into the model's training record
    mutable ScoreStatistics scores_; ///< taken when first needed; count 0: not yet
    mutable double bf16Error_ = -1;
    std::deque<at::Tensor> recent_;      ///< the last images, should nobody calibrate
};

} // namespace agpnet
