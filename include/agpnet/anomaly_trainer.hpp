/// @file
/// Training a model on images of good parts.
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

/// One training. Not thread-safe: use it from one thread at a time.
class AGPNET_EXPORT AnomalyTrainer
{
public:
    virtual ~AnomalyTrainer() = default;

    /// Creates a training.
    /// @param backbone  file with the weights of the backbone (they stay frozen), safetensors or a .pth state dict: a vision transformer
    ///                  (DINO, DINOv2, DeiT, CLIP, with the key names of their publishers, timm or Hugging Face), a ResNet, Wide ResNet or
    ///                  EfficientNet. The key names and shapes of the tensors identify the architecture
    /// @param config    JSON text, or the path of a JSON file; `agpnet operators --config` prints keys and defaults
    /// @param device    device for training, as in AnomalyDetector::create()
    static cv::Ptr<AnomalyTrainer> create(const std::string& backbone, const std::string& config = std::string(),
                                          const std::string& device = "cpu");

    /// Continues a training that saveState() saved. The device may be another one than before.
    static cv::Ptr<AnomalyTrainer> resume(const std::string& path, const std::string& device = "cpu");

    /// The same, with a check that the training is the expected one. `backbone` and `config` are those of create(); each may be empty.
    /// @throws cv::Exception if they differ from the saved state; the message names all keys that differ. A larger number of `steps` is
    ///         allowed: the training then continues to this number
    static cv::Ptr<AnomalyTrainer> resume(const std::string& path, const std::string& device, const std::string& backbone,
                                          const std::string& config);

    /// Does one optimization step on images of normal parts and returns the loss. Image types are those of AnomalyDetector::detect(). The
    /// first batch with 16-bit images sets the number of used bits, unless the configuration sets `bits`. Only fit() applies the configured
    /// tiles and augmentations.
    virtual double step(cv::InputArrayOfArrays images) = 0;

    /// The same for a blob [N, 3, H, W], CV_32F, RGB, 0 to 1, as cv::dnn::blobFromImage(image, 1/255., size, Scalar(), true) makes it.
    virtual double stepBlob(cv::InputArray blob) = 0;

    /// Does all remaining steps, then calibrates. The seed sets the order of the images. A tenth of them is held out; their scores set the
    /// thresholds. A resumed training on the same images gives the same result as an uninterrupted one.
    /// @param image      reads image i of 0 .. count-1 when it is needed
    /// @param keepGoing  called after each step; may call saveState(). If it returns false, fit() stops and returns false
    /// @throws cv::Exception for no images, and if a resumed training gets another number of images
    virtual bool fit(size_t count, const std::function<cv::Mat(size_t)>& image,
                     const std::function<bool(const TrainProgress&)>& keepGoing = {}) = 0;

    /// Trains one model for several products. Each product occurs equally often, whatever its number of images, and gets thresholds of its
    /// own.
    /// @param products  one or more; several products must have different names
    virtual bool fit(const std::vector<ImageSet>& products, const std::function<bool(const TrainProgress&)>& keepGoing = {}) = 0;

    /// Joins the other processes of a distributed training. Does nothing unless torchrun, an MPI or Slurm started this process as one of
    /// several (docs/training.md lists the environment variables). Waits for the others. Then all processes call fit() with the same
    /// images: each computes its part of every batch, and all get the model that one process would get. If keepGoing() returns false in one
    /// process, fit() returns false in all. Process 0 computes the thresholds, and only process 0 can save() the model. Call this function
    /// before the first step, or after resume() of the same state in every process.
    /// @throws cv::Exception if the others cannot be reached. After this call, fit() and step() throw if a process ends; saveState() can
    ///         then save the state after the last step
    virtual TrainingProcess joinProcesses() = 0;

    /// Computes the thresholds from the scores of normal images, which the training should not have used. Replaces the thresholds of all
    /// products.
    /// @param heldBack  the training did not use these images
    virtual void calibrate(size_t count, const std::function<cv::Mat(size_t)>& image, bool heldBack = true) = 0;

    virtual int getStepsDone() const = 0; ///< number of steps done
    virtual int getSteps() const = 0; ///< total number of steps; see TrainProgress::steps
    virtual int getBatchSize() const = 0; ///< number of images in each step of fit()
    virtual cv::Size getInputSize() const = 0; ///< input size of the model
    virtual std::string getConfig() const = 0; ///< the configuration with all keys, as JSON text
    virtual std::string getRecord() const = 0; ///< the training record so far with all notes, as JSON text

    /// Adds a note to the training record in the model, for instance the hash of the data. `json` is JSON text.
    virtual void note(const std::string& key, const std::string& json) = 0;

    /// Writes a .agp file, atomically. Without an embedded backbone the file is small and refers to the backbone by its hash.
    virtual void save(const std::string& path, bool embedBackbone = true) = 0;
    virtual void saveState(const std::string& path) const = 0; ///< writes the state for resume(), atomically

    /// Returns the model in its current state, for inspection.
    virtual cv::Ptr<AnomalyDetector> getDetector() const = 0;
};

} // namespace agpnet
