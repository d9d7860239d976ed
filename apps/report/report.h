// One HTML page that stands alone: pictures, styles and script are in the file, and a policy in its head forbids the network.
#pragma once

#include "apps/report/chart.h"
#include "apps/datasets/dataset.h"
#include "common/atomic_file.h"

#include <cstdio>
#include <filesystem>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <opencv2/core.hpp>
#include <optional>
#include <string>
#include <vector>

namespace agpnet::tools
{

struct ScoreRange
{
    double low = 0;
    double high = 1;
};

struct ReportFigure
{
    std::string name;
    std::string value;
    std::string note; ///< what exactly was measured; may be empty
};

/// The first column is text, the others are numbers.
struct ReportTable
{
    std::string title;
    std::vector<std::string> columns;
    std::vector<std::vector<std::string>> rows;
    std::string note; ///< may be empty
};

struct Report
{
    std::string title;
    std::string subtitle;
    std::vector<std::pair<std::string, std::string>> facts; ///< model, data, versions: name and value
    std::vector<ReportFigure> figures;                      ///< figures of merit; what follows from the items is added
    std::vector<ReportTable> tables;
    std::vector<Chart> charts;
    std::string chartNote; ///< below them; may be empty
    std::vector<std::string> warnings;
    std::string unit = "feature distance";    ///< unit of the scores
    std::string mapUnit = "feature distance"; ///< unit of the maps, which may differ
    std::optional<double>
        sensitivity;     ///< that the decisions were taken with, if there is one: the page names the one of a moved threshold
    int expected = 2000; ///< items to come: the more, the smaller their pictures, so that the page stays below 60 MB
};

struct ReportItem
{
    std::string name;
    cv::Mat image; ///< 8-bit BGR
    cv::Mat map;   ///< CV_32FC1, any size
    cv::Mat mask;  ///< ground truth, 8-bit; empty if unknown
    double score = 0;
    double threshold = 0;
    std::optional<double> mapThreshold; ///< threshold of the map, for the outline; none: no outline
    std::optional<ScoreRange> range;    ///< range of the map's colours; default 0 to twice its threshold
    bool anomalous = false;             ///< the decision
    std::optional<Label> label;
    std::string defect; ///< the label's name
    std::string group;  ///< product or class, where there are several
    double seconds = 0;
};

/// Items are shrunk and spooled to a temporary file as they come, so that memory does not grow with their pictures; the
/// page itself appears at finish(), highest score first.
class ReportWriter
{
public:
    explicit ReportWriter(std::filesystem::path path); ///< Error at once if the page cannot be written there
    ~ReportWriter();
    ReportWriter(const ReportWriter&) = delete;
    ReportWriter& operator=(const ReportWriter&) = delete;

    void add(const ReportItem& item, const Report& report);
    void finish(const Report& report);

private:
    struct Entry
    {
        std::string name, group, defect;
        std::optional<Label> label;
        double score = 0, threshold = 0, seconds = 0;
        std::optional<double> mapThreshold;
        ScoreRange range;
        bool ownRange = false, anomalous = false, masked = false;
        cv::Size size; ///< size of the image on the page
        long offset = 0;
        size_t bytes = 0;
    };
    struct Scores;

    nlohmann::json pageData(const Report& report, const Scores& scores, const std::vector<size_t>& order) const;
    std::vector<ReportFigure> summary(const Report& report, const Scores& scores) const;
    std::string histogram(const Scores& scores, bool labelled) const;
    std::string legend(const Scores& scores) const;

    std::filesystem::path path_;
    AtomicFile file_;
    std::unique_ptr<std::FILE, int (*)(std::FILE*)> spool_;
    std::vector<Entry> entries_;
    int side_ = 960; ///< side of the last images that were small enough, in pixels
};

/// All items at once, for a few.
void writeReport(const std::filesystem::path& path, const Report& report, const std::vector<ReportItem>& items);

/// For text between tags and in quoted attributes; bytes that are no UTF-8 become U+FFFD.
std::string escapeHtml(const std::string& text);

} // namespace agpnet::tools
