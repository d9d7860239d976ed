#include "apps/report/chart.h"

#include "apps/report/report.h"

#include <algorithm>
#include <fmt/format.h>

namespace agpnet::tools
{

namespace
{

constexpr double width = 340, height = 300, left = 46, right = 12, top = 10, bottom = 44;

} // namespace

std::string drawChart(const Chart& chart)
{
    const auto atX = [&](double x) { return left + x / chart.xHigh * (width - left - right); };
    const auto atY = [&](double y) { return height - bottom - y * (height - top - bottom); };
    std::string names;
    for (const ChartLine& line : chart.lines)
        names += (names.empty() ? "" : ", ") + line.name;
    std::string svg =
        fmt::format("<svg class=\"chart\" viewBox=\"0 0 {:g} {:g}\" role=\"img\" aria-label=\"{}: {} over {}; {}\">", width,
                    height, escapeHtml(chart.title), escapeHtml(chart.yLabel), escapeHtml(chart.xLabel), escapeHtml(names));
    for (int i = 0; i <= 5; i++)
    {
        const double share = i / 5.0;
        svg += fmt::format("<line class=\"grid\" x1=\"{0:.1f}\" x2=\"{0:.1f}\" y1=\"{1:.1f}\" y2=\"{2:.1f}\"></line>",
                           atX(share * chart.xHigh), atY(0), atY(1));
        svg += fmt::format("<line class=\"grid\" x1=\"{0:.1f}\" x2=\"{1:.1f}\" y1=\"{2:.1f}\" y2=\"{2:.1f}\"></line>", atX(0),
                           atX(chart.xHigh), atY(share));
        svg += fmt::format("<text x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"{}\">{:g}</text>", atX(share * chart.xHigh),
                           atY(0) + 16, i == 5 ? "end" : "middle", share * chart.xHigh);
        svg += fmt::format("<text x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"end\">{:g}</text>", atX(0) - 7, atY(share) + 4, share);
    }
    svg += fmt::format("<text x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"middle\">{}</text>", (atX(0) + atX(chart.xHigh)) / 2,
                       height - 6, escapeHtml(chart.xLabel));
    svg += fmt::format("<text transform=\"translate(11 {:.1f}) rotate(-90)\" text-anchor=\"middle\">{}</text>",
                       (atY(0) + atY(1)) / 2, escapeHtml(chart.yLabel));
    for (const ChartLine& line : chart.lines)
    {
        std::string path;
        for (size_t i = 0; i < line.points.size(); i++)
        {
            cv::Point2d point = line.points[i];
            const bool outside = point.x > chart.xHigh;
            if (outside && i > 0) // the line's end, on the edge
            {
                const cv::Point2d before = line.points[i - 1];
                point.y = before.y + (point.y - before.y) * (chart.xHigh - before.x) / (point.x - before.x);
                point.x = chart.xHigh;
            }
            path += fmt::format("{}{:.1f} {:.1f}", i ? "L" : "M", atX(std::min(point.x, chart.xHigh)), atY(point.y));
            if (outside)
                break;
        }
        svg += fmt::format("<path class=\"line {}\" d=\"{}\"><title>{}</title></path>", line.style, path, escapeHtml(line.name));
    }
    if (!chart.mark.empty())
        svg += fmt::format("<circle class=\"here\" r=\"5\" data-curve=\"{}\" data-axes=\"{:.1f} {:.1f} {:.1f} "
                           "{:.1f}\"><title>the threshold</title></circle>",
                           escapeHtml(chart.mark), atX(0), atX(1), atY(0), atY(1));
    return svg + "</svg>";
}

} // namespace agpnet::tools
