#pragma once

#include "agpnet/detector.hpp"
#include "operators/agpnet/inspection/drift_window.h"
#include "operators/agpnet/inspection/inference.h"
#include "operators/agpnet/inspection/map_output.h"

namespace agpnet
{

class DetectorImpl final : public Detector
{
public:
    DetectorImpl(std::shared_ptr<const Inference> inference, std::string header);

    Result detect(cv::InputArray image, cv::OutputArray map, cv::OutputArray mask, MapSize size) const override;
    std::vector<Result> detectBatch(cv::InputArrayOfArrays images, cv::OutputArrayOfArrays maps, cv::OutputArrayOfArrays masks,
                                    MapSize size) const override;
    void setTiles(int side, double overlap) override;
    int tileSide() const override { return inspection_.tiling.side; }
    double tileOverlap() const override { return inspection_.tiling.overlap; }
    void setRegionOfInterest(cv::InputArray mask) override;
    void setRegionPolygons(const std::vector<std::vector<cv::Point2f>>& polygons, cv::Size image) override;
    std::vector<std::string> products() const override;
    void setProduct(const std::string& name) override;
    std::string product() const override { return product_; }
    void setSensitivity(double sensitivity) override;
    double sensitivity() const override { return sensitivity_; }
    void setThreads(int threads) override;
    int threads() const override { return threads_; }
    void setThreshold(double threshold) override;
    void setPixelThreshold(double threshold) override;
    double threshold() const override { return threshold_ > 0 ? threshold_ : inference_->scores(product_).threshold.value; }
    double pixelThreshold() const override { return pixelThreshold_ > 0 ? pixelThreshold_ : inference_->scores(product_).pixelThreshold.value; }
    void setMinimumArea(int pixels) override;
    int minimumArea() const override { return minimumArea_; }
    void setHostFallback(bool allowed) override { hostFallback_ = allowed; }
    bool hostFallback() const override { return hostFallback_; }
    DriftState drift() const override;
    void setDriftWindow(int pictures) override;
    cv::Size inputSize() const override { return inference_->inputSize(); }
    std::string precision() const override { return inference_->precision(); }
    std::string device() const override { return inference_->net().device().str(); }
    std::string header() const override { return header_; }

private:
    struct Image
    {
        Result result;
        cv::Mat map, mask; ///< mask: only where asked for
    };
    Result decided(const Evidence& evidence) const; ///< without regions
    void remember(const Result& result) const; ///< for drift()
    Result detectOnDevice(const stages::Device& openCl, const cv::UMat& image, cv::OutputArray map, cv::OutputArray mask, MapSize size) const;
    std::vector<Result> detectOnCuda(const std::vector<Frame>& images, const MapOutput& maps, const MapOutput& masks, MapSize size) const;
    std::vector<Image> run(const std::vector<Frame>& images, bool wantMask, MapSize size) const;
    bool inOnePiece(cv::Size image) const; ///< neither tiles nor a region nor a minimum area, for which the host is needed

    std::shared_ptr<const Inference> inference_;
    std::string header_, product_;
    Inspection inspection_;
    double sensitivity_ = 1, threshold_ = 0, pixelThreshold_ = 0; ///< thresholds: 0 for the model's
    int minimumArea_ = 0, threads_ = 0;
    bool hostFallback_ = true;
    mutable DriftWindow window_;
};

} // namespace agpnet
