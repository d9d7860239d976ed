#pragma once

#include "agpnet/gallery.hpp"
#include "models/index/gallery_file.h"

#include <shared_mutex>

namespace agpnet
{

class GalleryImpl final : public Gallery
{
public:
    explicit GalleryImpl(GalleryFile file) : file_(std::move(file)) {}

    void add(const std::string& name, cv::InputArray descriptor, const std::string& note) override;
    void replace(const std::string& name, cv::InputArray descriptor, const std::string& note) override;
    void remove(const std::string& name) override;
    bool contains(const std::string& name) const override;
    int size() const override;
    std::vector<std::string> getNames() const override;
    std::string getNote(const std::string& name) const override;
    void getDescriptor(const std::string& name, cv::OutputArray descriptor) const override;
    std::vector<GalleryMatch> search(cv::InputArray descriptor, int top, const std::string& leaveOut) const override;
    std::vector<std::vector<GalleryMatch>> searchBatch(cv::InputArray descriptors, int top,
                                                       const std::vector<std::string>& leaveOut) const override;
    void smooth(int neighbours, double power) override;
    void calibrate(cv::InputArray queries, const std::vector<std::string>& names, int views) override;
    bool isCalibrated() const override;
    double getEvidence(const std::vector<GalleryMatch>& matches, int views) const override;
    double getThreshold(double rate, int views) const override;
    void save(const std::string& path) override;
    void exportVectors(const std::string& path) const override;
    int getWidth() const override { return static_cast<int>(file_.rows.width()); }
    std::string getSpace() const override { return file_.rows.space(); }
    void setModel(const std::string& path) override;
    std::string getModel() const override;

private:
    int64_t placeOf(const std::string& name) const; ///< refuses an unknown name

    mutable std::shared_mutex mutex_; ///< shared by functions that are const
    GalleryFile file_;
};

} // namespace agpnet
