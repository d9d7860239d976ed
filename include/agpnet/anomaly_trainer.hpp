/// @file
/// Learning a model from pictures of good parts.
///
///     cv::Ptr<agpnet::AnomalyTrainer> trainer = agpnet::AnomalyTrainer::create("dinov2-vits14.safetensors");
///     trainer->fit(paths.size(), [&](size_t i) { return cv::imread(paths[i]); });
///     trainer->save("tile.agp");
#pragma once

#include "agpnet/anomaly_detector.hpp"
#include "agpnet/training.hpp"
#include "agpnet/api.hpp"

#include <functional>
#include <opencv2/core.hpp>
#include <string>
#include <vector>

namespace agpnet
{

/// A training. Not thread-safe: one thread at a time.
class AGPNET_EXPORT AnomalyTrainer
{
public:
    virtual ~AnomalyTrainer() = default;

    /// @param backbone  frozen weights, a safetensors file or a .pth state dict: a vision transformer (DINO, DINOv2, DeiT, CLIP, in
    ///                  their publishers', timm's or Hugging Face's names), a ResNet, Wide ResNet or EfficientNet; which, the
    ///                  tensors' names and shapes tell
    /// @param config    JSON text or the path of a JSON file; keys and defaults: `agpnet operators --config`
    /// @param device    where to compute, as AnomalyDetector::create() takes it
    static cv::Ptr<AnomalyTrainer> create(const std::string& backbone, const std::string& config = std::string(), const std::string& device = "cpu");

    /// Continues where saveState() left off, on whatever device that was.
    static cv::Ptr<AnomalyTrainer> resume(const std::string& path, const std::string& device = "cpu");

    /// The same by a caller who says once more what was begun: `backbone` and `config` as create() takes them, either may be empty.
    /// @throws cv::Exception where they say something else than the state, with the names of all keys that differ; more "steps" are no
    ///         difference, the training then goes on to these
    static cv::Ptr<AnomalyTrainer> resume(const std::string& path, const std::string& device, const std::string& backbone, const std::string& config);

    /// One optimisation step on images of normal parts (types as in AnomalyDetector::detect; of 16 bits, the first batch that has such tells how many are used, unless
    /// the config's `bits` does), as they are: the config's tiles and augmentations
    /// are fit()'s. Returns the loss.
    virtual double step(cv::InputArrayOfArrays images) = 0;

    /// The same on a blob [N, 3, H, W], CV_32F, RGB, 0 to 1, as cv::dnn::blobFromImage(image, 1/255., size, Scalar(), true) makes.
    virtual double stepBlob(cv::InputArray blob) = 0;

    /// All remaining steps over `count` images, read through `image(i)` as they are needed: a seeded order, a tenth held back,
    /// from which calibrate() then takes the thresholds. `keepGoing` is called after each step; it may call saveState(). When it
    /// returns false, so does fit(), and the state may be saved. A resumed fit() over the same images continues exactly.
    /// @throws cv::Exception for no images, and when a resumed training is given another number of them
    virtual bool fit(size_t count, const std::function<cv::Mat(size_t)>& image,
                     const std::function<bool(const TrainProgress&)>& keepGoing = {}) = 0;

    /// One model for several products: each comes equally often, however many pictures it has, and gets thresholds of its own.
    /// @param products  at least one; with names that differ if there are several
    virtual bool fit(const std::vector<ImageSet>& products, const std::function<bool(const TrainProgress&)>& keepGoing = {}) = 0;

    /// Trains together with other processes from now on, if torchrun, an MPI or Slurm has started this one among several (docs/training.md says
    /// which environment variables tell); else does nothing. Waits for the others. All then call fit() with the same images: each takes its
    /// share of every batch, and all come to the model that one process would have come to. fit() returns false in all of them when keepGoing
    /// does in one. Thresholds are taken by process 0 alone, and only it can save() the model. To be called before the first step, or after resume()
    /// of the same state in each.
    /// @throws cv::Exception where the others cannot be reached; from here on also from fit() and step() where one has gone away: the state is then
    ///         that after the last step, and saveState() can keep it
    virtual TrainingProcess joinProcesses() = 0;

    /// Takes thresholds from the scores of normal images, best ones that were not trained on. Replaces those of all products.
    virtual void calibrate(size_t count, const std::function<cv::Mat(size_t)>& image, bool heldBack = true) = 0;

    virtual int getStepsDone() const = 0; ///< so far
    virtual int getSteps() const = 0; ///< in all; see TrainProgress
    virtual int getBatchSize() const = 0; ///< images a step, as fit() takes them
    virtual cv::Size getInputSize() const = 0; ///< of the model
    virtual std::string getConfig() const = 0; ///< JSON text, every key
    virtual std::string getRecord() const = 0; ///< the training record so far, notes included: JSON text

    /// A note for the model's training record, for instance the data's hash; `json` is JSON text.
    virtual void note(const std::string& key, const std::string& json) = 0;

    /// Writes a .agp file, atomically. Without the backbone in it, the file names it by hash and is small.
    virtual void save(const std::string& path, bool embedBackbone = true) = 0;
    virtual void saveState(const std::string& path) const = 0; ///< what resume() goes on from, atomically

    /// The model as it stands, for inference.
    virtual cv::Ptr<AnomalyDetector> getDetector() const = 0;
};

} // namespace agpnet
