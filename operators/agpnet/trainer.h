// AnomalyTrainer behind its public interface; ai.agpnet.Train uses it directly on tensors.
#pragma once

#include "agpnet/anomaly_trainer.hpp"
#include "models/agpnet/file.h"
#include "operators/agpnet/inspection/inference.h"
#include "operators/training/training_images.h"
#include "operators/training/training_loop.h"

#include <deque>

namespace agpnet
{

class DefectCheck;

class TrainerImpl final : public AnomalyTrainer
{
public:
    explicit TrainerImpl(Training training, TrainingRecord record = {});
    ~TrainerImpl() override;

    double step(cv::InputArrayOfArrays images) override;
    double stepBlob(cv::InputArray blob) override;
    bool fit(size_t count, const std::function<cv::Mat(size_t)>& image,
             const std::function<bool(const TrainProgress&)>& keepGoing) override;
    bool fit(const std::vector<ImageSet>& products, const std::function<bool(const TrainProgress&)>& keepGoing) override;
    TrainingProcess joinProcesses() override;
    void calibrate(size_t count, const std::function<cv::Mat(size_t)>& image, bool heldBack) override;
    int getStepsDone() const override { return static_cast<int>(training_.stepsDone()); }
    int getSteps() const override { return static_cast<int>(training_.lastStep()); }
    int getBatchSize() const override { return training_.config().batch; }
    cv::Size getInputSize() const override { return {training_.config().width, training_.config().height}; }
    std::string getConfig() const override;
    std::string getRecord() const override;
    void note(const std::string& key, const std::string& json) override;
    void save(const std::string& path, bool embedBackbone) override;
    void saveState(const std::string& path) const override;
    cv::Ptr<AnomalyDetector> getDetector() const override;

    /// images [N, 3, h, w], RGB, 0 to 1, any size; throws agpnet::Error.
    double stepTensor(const at::Tensor& images, const char* what);
    void saveModel(const std::string& path, bool embedBackbone);

private:
    /// Images of one product that are known to be normal.
    struct Normals
    {
        std::string name; ///< of the product; may be empty
        const char* from; ///< as in ScoreStatistics
        size_t count;
        std::function<Frame(size_t)> image;
    };

    double stepBatch(const at::Tensor& batch); ///< at the input size
    double recorded(double loss, double seconds, int64_t images);

    /// The range of 16-bit images is found in them, or given by the config. Says in the record what was found.
    void settleRange(const std::vector<int>& greatestValues);
    void findRange(const std::vector<ImageSet>& products, const TrainingOrder& order); ///< in all of them, once

    // the parts of fit()
    TrainingOrder orderOf(const std::vector<ImageSet>& products) const;
    void recordImages(const std::vector<ImageSet>& products, const TrainingOrder& order);
    class Task;
    double stepOn(TrainingImages& pictures);
    void measureOn(TrainingImages& pictures, size_t products);
    std::optional<double> checked(const std::vector<Normals>& normals); ///< how well synthetic defects are detected, where a check is due
    std::vector<Normals> normalsOf(const std::vector<ImageSet>& products, const TrainingOrder& order) const;

    /// Of so many pictures of all products the i-th, the products by turns. The products must outlive the function.
    static std::pair<size_t, std::function<Frame(size_t)>> inTurns(const std::vector<Normals>& products, size_t most);

    void calibrateOn(const std::vector<Normals>& products, const Inspection& inspection) const;
    ModelFile modelFile() const;

    Training training_;
    TrainingRecord record_;              ///< grows into the model's
    mutable ScoreStatistics scores_; ///< taken when first needed; count 0: not yet
    mutable std::vector<ProductScores> products_;
    mutable DriftRange drift_;
    mutable FewerBits fewerBits_;
    ValueRange range_; ///< of 16-bit images; all 16 bits until one is met
    std::unique_ptr<DefectCheck> check_; ///< made when first needed
    std::deque<at::Tensor> recent_;      ///< the last images, should nobody calibrate
};

} // namespace agpnet
