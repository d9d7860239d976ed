// Curves as SVG, to stand in a page: its colours are the page's, so that it follows light and dark.
#pragma once

#include "apps/evaluation/metrics.h"

#include <string>
#include <vector>

namespace agpnet::tools
{

struct ChartLine
{
    std::string name;  ///< shown at the line
    std::string kind;  ///< shown in the legend, for all lines of the style
    std::string style; ///< the class of the stroke: "line-a" or "line-b"
    Curve points;
};

struct Chart
{
    std::string title;
    std::string xLabel, yLabel;
    double xHigh = 1; ///< the y axis goes from 0 to 1
    std::vector<ChartLine> lines;
    std::string mark = {}; ///< "roc" or "pr": the page puts a mark where its threshold is; may be empty
};

/// One <svg> element with axes, ticks and lines; what lies right of xHigh is cut off.
std::string drawChart(const Chart& chart);

} // namespace agpnet::tools
