#include "apps/cli/evaluation_output.h"

#include "apps/cli/json_output.h"

#include <cstdio>
#include <fmt/format.h>

namespace agpnet::app
{
namespace
{

using nlohmann::json;

json value(const std::optional<double>& figure)
{
    return figure ? json(*figure) : json(nullptr);
}

json range(const std::optional<tools::Interval>& interval)
{
    return interval ? json{interval->low, interval->high} : json(nullptr);
}

std::string text(const std::optional<double>& figure)
{
    return figure ? fmt::format("{:.4f}", *figure) : "n/a";
}

std::string text(const std::optional<tools::Interval>& interval)
{
    return interval ? fmt::format("{:.3f} to {:.3f}", interval->low, interval->high) : "";
}

json imageJson(const tools::RankMetrics& image, const tools::Bootstrap& drawings)
{
    return {{"auroc", value(image.auroc)},
            {"ap", value(image.ap)},
            {"f1_max", value(image.f1Max)},
            {"f1_threshold", image.f1Threshold ? json(*image.f1Threshold) : json(nullptr)},
            {"auroc_95", range(tools::interval95(drawings.auroc))},
            {"ap_95", range(tools::interval95(drawings.ap))},
            {"f1_max_95", range(tools::interval95(drawings.f1Max))},
            {"reason", image.reason}};
}

json pixelJson(const tools::PixelMetrics& pixel)
{
    json result = {{"auroc", value(pixel.auroc)},
                   {"ap", value(pixel.ap)},
                   {"f1_max", value(pixel.f1Max)},
                   {"f1_threshold", pixel.f1Threshold ? json(*pixel.f1Threshold) : json(nullptr)},
                   {"aupro_0.3", value(pixel.aupro.at(0))},
                   {"aupro_0.05", value(pixel.aupro.at(1))},
                   {"components", pixel.components},
                   {"pixels", pixel.positives + pixel.negatives},
                   {"max_error", pixel.maxError()},
                   {"reason", pixel.reason}};
    if (pixel.bounds)
        result["bounds"] = {{"auroc", range(pixel.bounds->auroc)},
                            {"ap", range(pixel.bounds->ap)},
                            {"f1_max", range(pixel.bounds->f1Max)},
                            {"aupro_0.3", range(pixel.bounds->aupro.at(0))},
                            {"aupro_0.05", range(pixel.bounds->aupro.at(1))}};
    return result;
}

json latencyJson(const std::optional<tools::Latency>& latency)
{
    if (!latency)
        return nullptr;
    return {{"mean", latency->mean}, {"p50", latency->p50}, {"p90", latency->p90}, {"p99", latency->p99}};
}

json classJson(const MeasuredClass& measured)
{
    const tools::ClassFigures& figures = measured.figures;
    json defects = json::object(), decisions = json::object();
    if (figures.decided && figures.good > 0)
        decisions["good"] = {{"called_anomalous", figures.goodCalled}, {"images", figures.good}};
    for (const tools::DefectFigures& defect : figures.defects)
    {
        if (figures.decided)
            decisions[defect.name] = {{"called_anomalous", defect.called}, {"images", defect.images}};
        defects[defect.name] = {{"images", defect.images},
                                {"image_auroc", value(defect.image.auroc)},
                                {"image_auroc_95", range(defect.auroc95)},
                                {"pixel_auroc", value(defect.pixel.auroc)},
                                {"pixel_aupro_0.3", value(defect.pixel.aupro.at(0))},
                                {"pixel_aupro_0.05", value(defect.pixel.aupro.at(1))}};
    }
    json data = {{"layout", measured.data.layout},
                 {"sha256", measured.hash},
                 {"good", figures.good},
                 {"anomalous", figures.anomalous},
                 {"without_mask", figures.withoutMask}};
    setName(data, "path", measured.path);
    return {{"name", figures.name},
            {"data", data},
            {"image", imageJson(figures.image, figures.drawings)},
            {"pixel", pixelJson(figures.pixel)},
            {"defects", defects},
            {"decisions", decisions},
            {"threshold", value(measured.threshold)},
            {"product", measured.product.empty() ? json(nullptr) : json(measured.product)},
            {"evaluation_size", figures.size ? json{figures.size->height, figures.size->width} : json(nullptr)},
            {"latency_seconds", latencyJson(figures.latency)}};
}

std::string sizeText(const tools::ClassFigures& figures)
{
    return figures.size ? fmt::format("{}x{}", figures.size->height, figures.size->width) : "the maps' own sizes";
}

std::string boundText(double maxError)
{
    return maxError > 0 ? fmt::format("scores in bins, maximum error of the metrics {:.1e}", maxError) : "every score is a threshold";
}

void printClass(const MeasuredClass& measured)
{
    const tools::ClassFigures& f = measured.figures;
    fmt::print("{}: {} good and {} anomalous images, evaluated at {}\n", f.name, f.good, f.anomalous, sizeText(f));
    if (f.latency)
        fmt::print("{:.1f} ms an image (half within {:.1f}, 90 % within {:.1f}, 99 % within {:.1f})\n", 1e3 * f.latency->mean,
                   1e3 * f.latency->p50, 1e3 * f.latency->p90, 1e3 * f.latency->p99);
    fmt::print("\n{:<8}{:>16}{:>16}{:>16}{:>11}{:>12}\n", "", "AUROC", "AP", "F1-max", "AUPRO@0.3", "AUPRO@0.05");
    fmt::print("{:<8}{:>16}{:>16}{:>16}\n", "image", text(f.image.auroc), text(f.image.ap), text(f.image.f1Max));
    if (!f.drawings.auroc.empty())
        fmt::print("{:<8}{:>16}{:>16}{:>16}\n", "  95 %", text(tools::interval95(f.drawings.auroc)), text(tools::interval95(f.drawings.ap)),
                   text(tools::interval95(f.drawings.f1Max)));
    fmt::print("{:<8}{:>16}{:>16}{:>16}{:>11}{:>12}\n", "pixel", text(f.pixel.auroc), text(f.pixel.ap), text(f.pixel.f1Max),
               text(f.pixel.aupro.at(0)), text(f.pixel.aupro.at(1)));
    if (f.pixel.bounds)
        fmt::print("pixel metrics: {} pixels, {}\n", f.pixel.positives + f.pixel.negatives, boundText(f.pixel.maxError()));
    fmt::print("\n{:<24}{:>8}{:>8}{:>13}{:>16}{:>13}{:>11}\n", "defect", "images", f.decided ? "flagged" : "", "image AUROC", "95 %",
               "pixel AUROC", "AUPRO@0.3");
    if (f.decided && f.good > 0)
        fmt::print("{:<24}{:>8}{:>8}\n", "(good)", f.good, f.goodCalled);
    for (const tools::DefectFigures& d : f.defects)
        fmt::print("{:<24}{:>8}{:>8}{:>13}{:>16}{:>13}{:>11}\n", d.name, d.images, f.decided ? std::to_string(d.called) : "",
                   text(d.image.auroc), text(d.auroc95), text(d.pixel.auroc), text(d.pixel.aupro.at(0)));
    fmt::print("\n");
    if (measured.threshold)
        fmt::print("flagged: score above {:.4f}{}\n", *measured.threshold,
                   measured.product.empty() ? "" : fmt::format(" for {}", measured.product));
}

std::vector<std::string> classRow(const tools::ClassFigures& f)
{
    return {f.name,
            std::to_string(f.good + f.anomalous),
            text(f.image.auroc),
            text(tools::interval95(f.drawings.auroc)),
            text(f.image.ap),
            text(f.image.f1Max),
            text(f.pixel.auroc),
            text(f.pixel.ap),
            text(f.pixel.aupro.at(0)),
            text(f.pixel.aupro.at(1))};
}

std::vector<std::string> meanRow(const tools::MeanFigures& m)
{
    return {"mean",
            "",
            text(m.imageAuroc),
            text(m.imageAuroc95),
            text(m.imageAp),
            text(m.imageF1Max),
            text(m.pixelAuroc),
            text(m.pixelAp),
            text(m.aupro.at(0)),
            text(m.aupro.at(1))};
}

} // namespace

json toJson(const Measurement& measurement)
{
    json result = measurement.about;
    json classes = json::array();
    for (const MeasuredClass& each : measurement.classes)
        classes.push_back(classJson(each));
    if (measurement.classes.size() == 1)
        result.update(classes.front());
    else
    {
        const tools::MeanFigures& m = measurement.mean;
        result["image"] = {{"auroc", value(m.imageAuroc)},      {"ap", value(m.imageAp)},      {"f1_max", value(m.imageF1Max)},
                           {"auroc_95", range(m.imageAuroc95)}, {"ap_95", range(m.imageAp95)}, {"f1_max_95", range(m.imageF1Max95)}};
        result["pixel"] = {{"auroc", value(m.pixelAuroc)},      {"ap", value(m.pixelAp)},         {"f1_max", value(m.pixelF1Max)},
                           {"aupro_0.3", value(m.aupro.at(0))}, {"aupro_0.05", value(m.aupro.at(1))}, {"max_error", m.maxError}};
        result["mean"] = "unweighted, over the classes";
    }
    result["classes"] = classes;
    result["warnings"] = measurement.warnings;
    result["files"] = toJson(measurement.files);
    return result;
}

void printText(const Measurement& measurement)
{
    for (const MeasuredClass& each : measurement.classes)
        printClass(each);
    if (measurement.classes.size() > 1)
    {
        fmt::print("\n{:<16}{:>8}{:>13}{:>16}{:>9}{:>9}{:>13}{:>9}{:>11}{:>12}\n", "class", "images", "image AUROC", "95 %", "AP", "F1-max",
                   "pixel AUROC", "AP", "AUPRO@0.3", "AUPRO@0.05");
        const auto print = [](const std::vector<std::string>& row)
        {
            fmt::print("{:<16}{:>8}{:>13}{:>16}{:>9}{:>9}{:>13}{:>9}{:>11}{:>12}\n", row[0], row[1], row[2], row[3], row[4], row[5], row[6],
                       row[7], row[8], row[9]);
        };
        for (const MeasuredClass& each : measurement.classes)
            print(classRow(each.figures));
        print(meanRow(measurement.mean));
    }
    std::fflush(stdout);
}

void fillReport(tools::Report& report, const Measurement& measurement)
{
    const tools::MeanFigures& mean = measurement.mean;
    const bool several = measurement.classes.size() > 1;
    const std::string over = several ? "mean over classes; " : "";
    const auto within = [&](const std::optional<tools::Interval>& interval)
    { return interval ? fmt::format("{}95 % confidence interval: {}", over, text(interval)) : over; };
    report.figures = {{"Image AUROC", text(mean.imageAuroc), within(mean.imageAuroc95)},
                      {"Image AP", text(mean.imageAp), within(mean.imageAp95)},
                      {"Image F1-max", text(mean.imageF1Max), within(mean.imageF1Max95)},
                      {"Pixel AUROC", text(mean.pixelAuroc), fmt::format("{}{}", over, boundText(mean.maxError))},
                      {"AUPRO@0.3", text(mean.aupro.at(0)), fmt::format("{}8-connected components", over)},
                      {"AUPRO@0.05", text(mean.aupro.at(1)), fmt::format("{}8-connected components", over)}};
    if (several)
    {
        tools::ReportTable table;
        table.title = "Classes";
        table.columns = {"Class",  "Images",      "Image AUROC", "95 %",      "Image AP",
                         "F1-max", "Pixel AUROC", "Pixel AP",    "AUPRO@0.3", "AUPRO@0.05"};
        for (const MeasuredClass& each : measurement.classes)
            table.rows.push_back(classRow(each.figures));
        table.rows.push_back(meanRow(mean));
        report.tables.push_back(std::move(table));
    }
    tools::ReportTable defects;
    defects.title = "Kinds of defect";
    defects.columns = {"Defect", "Images", "Image AUROC", "95 %", "Pixel AUROC", "AUPRO@0.3", "AUPRO@0.05"};
    const bool decided = measurement.classes.front().figures.decided;
    if (decided)
        defects.columns.push_back("Flagged");
    defects.note = "Each against all good images of its class.";
    for (const MeasuredClass& each : measurement.classes)
        for (const tools::DefectFigures& d : each.figures.defects)
        {
            defects.rows.push_back({several ? fmt::format("{}: {}", each.figures.name, d.name) : d.name, std::to_string(d.images),
                                    text(d.image.auroc), text(d.auroc95), text(d.pixel.auroc), text(d.pixel.aupro.at(0)),
                                    text(d.pixel.aupro.at(1))});
            if (decided)
                defects.rows.back().push_back(std::to_string(d.called));
        }
    if (!defects.rows.empty())
        report.tables.push_back(std::move(defects));

    tools::Chart roc, pr, pro;
    roc.title = "ROC";
    roc.xLabel = "false-positive rate";
    roc.yLabel = "true-positive rate";
    roc.mark = several ? "" : "roc"; // of the images; with several classes it would lie on none of the lines
    pr.title = "Precision and recall";
    pr.xLabel = "recall";
    pr.yLabel = "precision";
    pr.mark = several ? "" : "pr";
    pro.title = "PRO, up to a false-positive rate of 0.3";
    pro.xLabel = "false-positive rate of pixels";
    pro.yLabel = "mean overlap of components";
    pro.xHigh = 0.3;
    for (const MeasuredClass& each : measurement.classes)
    {
        const tools::ClassFigures& f = each.figures;
        const auto add = [&](tools::Chart& chart, const char* kind, const char* style, const tools::Curve& points)
        {
            if (points.size() > 1)
                chart.lines.push_back({several ? fmt::format("{}, {}", f.name, kind) : kind, kind, style, points});
        };
        add(roc, "images", "line-a", f.imageCurves.roc);
        add(roc, "pixels", "line-b", f.pixelCurves.roc);
        add(pr, "images", "line-a", f.imageCurves.pr);
        add(pr, "pixels", "line-b", f.pixelCurves.pr);
        add(pro, "pixels", "line-b", f.pixelCurves.pro);
    }
    for (tools::Chart* chart : {&roc, &pr, &pro})
        if (!chart->lines.empty())
            report.charts.push_back(std::move(*chart));
    report.chartNote = "Every unique score is a threshold. The metrics use all of them, the curves some.";
}

} // namespace agpnet::app
