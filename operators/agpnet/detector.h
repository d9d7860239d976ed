#pragma once

#include "operators/agpnet/detect_options.h"
#include "operators/agpnet/inspection/drift_window.h"

#include <mutex>

namespace agpnet
{

class DetectorImpl final : public AnomalyDetector
{
public:
    DetectorImpl(std::shared_ptr<const Inference> inference, std::string header, const DetectOptions& options = {});

    AnomalyResult detect(cv::InputArray image, cv::OutputArray map, cv::OutputArray mask) const override;
    AnomalyResult detect(cv::InputArray image, cv::OutputArray map, cv::OutputArray mask, const DetectOptions& options) const override;
    std::vector<AnomalyResult> detectBatch(cv::InputArrayOfArrays images, cv::OutputArrayOfArrays maps,
                                           cv::OutputArrayOfArrays masks) const override;
    std::vector<AnomalyResult> detectBatch(cv::InputArrayOfArrays images, cv::OutputArrayOfArrays maps, cv::OutputArrayOfArrays masks,
                                           const DetectOptions& options) const override;
    void setOptions(const DetectOptions& options) override;
    DetectOptions getOptions() const override;
    std::vector<std::string> getProducts() const override;
    double getThreshold(const std::string& product) const override;
    double getPixelThreshold(const std::string& product) const override;
    DriftState getDrift() const override;
    void setDriftWindow(int images) override;
    cv::Size getInputSize() const override { return inference_->inputSize(); }
    std::string getPrecision() const override { return inference_->precision(); }
    std::string getDevice() const override { return inference_->net().device().str(); }
    std::string getHeader() const override { return header_; }

private:
    DetectOptions ownOptions() const;

    /// Parts of a call of detect() or detectBatch(): prepared images, the inspection that the options request, and the device of the maps.
    struct Call
    {
        std::vector<Frame> frames;
        const DetectOptions::Impl& options;
        Inspection inspection;
        Inference::Place place = Inference::Place::Host;
    };

    /// predict → decide → give, whatever the arrays are.
    std::vector<AnomalyResult> inspect(const Call& call, const Sink& maps, const Sink& masks) const;

    /// Device that makes the maps of the call: a CUDA device if all images are there, whole, and `wantedThere`.
    Inference::Place placeOf(const Call& call, bool onCuda, bool wantedThere) const;

    std::shared_ptr<const Inference> inference_;
    std::string header_;
    mutable std::mutex mutex_; ///< protects options_
    DetectOptions options_;
    mutable DriftWindow window_;
};

} // namespace agpnet
