#include "apps/report/report.h"

#include "apps/report_page.h"
#include "common/error.h"
#include "common/sha256.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cmath>
#include <cstring>
#include <map>
#include <nlohmann/json.hpp>
#include <numeric>
#include <opencv2/imgcodecs.hpp>
#include <opencv2/imgproc.hpp>

namespace agpnet::tools
{

namespace
{

using nlohmann::json;

std::string base64(std::span<const uchar> bytes)
{
    static constexpr char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    std::string text;
    text.reserve((bytes.size() + 2) / 3 * 4);
    for (size_t i = 0; i < bytes.size(); i += 3)
    {
        const size_t left = bytes.size() - i;
        const uint32_t group = static_cast<uint32_t>(bytes[i]) << 16 |
                               (left > 1 ? static_cast<uint32_t>(bytes[i + 1]) << 8 : 0u) |
                               (left > 2 ? static_cast<uint32_t>(bytes[i + 2]) : 0u);
        text += digits[group >> 18];
        text += digits[group >> 12 & 63];
        text += left > 1 ? digits[group >> 6 & 63] : '=';
        text += left > 2 ? digits[group & 63] : '=';
    }
    return text;
}

std::string encoded(const cv::Mat& image, const char* extension, std::initializer_list<int> options)
{
    std::vector<uchar> bytes;
    require(cv::imencode(extension, image, bytes, options), "an image of {}x{} pixels cannot be encoded", image.cols,
            image.rows);
    return base64(bytes);
}

cv::Size fitted(cv::Size size, int longest)
{
    const double factor = std::min(1.0, static_cast<double>(longest) / std::max(size.width, size.height));
    return {std::max(1, cvRound(size.width * factor)), std::max(1, cvRound(size.height * factor))};
}

/// `values` at most of that size; a peak of one pixel must not vanish between the rows that are kept.
cv::Mat shrunk(const cv::Mat& values, cv::Size size)
{
    cv::Mat result = values;
    const cv::Size window((values.cols + size.width - 1) / size.width, (values.rows + size.height - 1) / size.height);
    if (window.area() > 1)
        cv::dilate(result, result, cv::getStructuringElement(cv::MORPH_RECT, window));
    if (result.cols > size.width || result.rows > size.height)
        cv::resize(result, result, size, 0, 0, cv::INTER_LINEAR);
    return result;
}

/// What `encode` makes of a longer side of so many pixels, or of fewer, so that it has at most so many bytes.
template <typename Encode>
std::string withinBytes(size_t bytes, int side, Encode encode)
{
    constexpr int shortest = 32;
    for (;; side = std::max(shortest, side * 7 / 8))
    {
        std::string text = encode(side);
        if (text.size() <= bytes || side <= shortest)
            return text;
    }
}

/// Inferno's 256 colours, as six digits each.
std::vector<std::string> colourTable()
{
    cv::Mat ramp(1, 256, CV_8U), colours;
    std::iota(ramp.begin<uchar>(), ramp.end<uchar>(), uchar{0});
    cv::applyColorMap(ramp, colours, cv::COLORMAP_INFERNO);
    std::vector<std::string> table;
    for (int i = 0; i < 256; i++)
    {
        const auto c = colours.at<cv::Vec3b>(i);
        table.push_back(fmt::format("{:02x}{:02x}{:02x}", c[2], c[1], c[0]));
    }
    return table;
}

std::string gradient()
{
    const std::vector<std::string> table = colourTable();
    std::string text = "linear-gradient(90deg";
    for (size_t i = 0; i < table.size(); i += 15)
        text += ",#" + table[i];
    return text + ")";
}

int decimalsFor(double scale)
{
    const double magnitude = std::abs(scale) > 0 && std::isfinite(scale) ? std::floor(std::log10(std::abs(scale))) : 0;
    return std::clamp(2 - static_cast<int>(magnitude), 0, 8);
}

/// 1, 2 or 5 times a power of ten, for about `count` steps.
double niceStep(double span, int count)
{
    const double raw = span / count;
    const double power = std::pow(10.0, std::floor(std::log10(raw)));
    for (const double factor : {1.0, 2.0, 5.0})
        if (raw <= factor * power)
            return factor * power;
    return 10 * power;
}

double percent(double value, ScoreRange range)
{
    return std::clamp((value - range.low) / (range.high - range.low), 0.0, 1.0) * 100;
}

std::string axisTicks(ScoreRange range)
{
    const double step = niceStep(range.high - range.low, 8);
    const int decimals = std::max(0, -static_cast<int>(std::floor(std::log10(step) + 1e-9)));
    std::string text = "<div class=\"axis\" aria-hidden=\"true\">";
    for (double value = std::ceil(range.low / step - 1e-9) * step; value <= range.high + step * 1e-6; value += step)
    {
        const double at = percent(value, range);
        text += fmt::format("<span{} style=\"left:{:.2f}%\">{:.{}f}</span>", at > 96 ? " class=\"end\"" : "", at,
                            std::abs(value) < step / 2 ? 0.0 : value, decimals);
    }
    return text + "</div>";
}

std::string chartSection(const Report& report)
{
    if (report.charts.empty())
        return "";
    std::string html = "<section class=\"block\" id=\"curves\"><h2>Curves</h2>";
    std::vector<std::pair<std::string, std::string>> keys; // a style and the first name drawn in it
    for (const Chart& chart : report.charts)
        for (const ChartLine& line : chart.lines)
            if (std::none_of(keys.begin(), keys.end(), [&](const auto& key) { return key.first == line.style; }))
                keys.emplace_back(line.style, line.kind);
    for (const auto& [style, kind] : keys)
        html += fmt::format("<span class=\"key\"><i class=\"{}\"></i>{}</span>", style == "line-a" ? "good" : "bad",
                            escapeHtml(kind));
    html += "<div class=\"charts\">";
    for (const Chart& chart : report.charts)
        html += fmt::format("<figure>{}<figcaption>{}</figcaption></figure>", drawChart(chart), escapeHtml(chart.title));
    html += "</div>";
    if (!report.chartNote.empty())
        html += fmt::format("<p class=\"note\">{}</p>", escapeHtml(report.chartNote));
    return html + "</section>\n";
}

std::string tableSection(const ReportTable& table, size_t number)
{
    std::string html = fmt::format("<section class=\"block\" id=\"table{}\"><h2>{}</h2><div class=\"wide\"><table><thead><tr>",
                                   number, escapeHtml(table.title));
    for (const std::string& column : table.columns)
        html += fmt::format("<th scope=\"col\">{}</th>", escapeHtml(column));
    html += "</tr></thead><tbody>";
    for (const auto& row : table.rows)
    {
        html += "<tr>";
        for (size_t i = 0; i < row.size(); i++)
            html +=
                i ? fmt::format("<td>{}</td>", escapeHtml(row[i])) : fmt::format("<th scope=\"row\">{}</th>", escapeHtml(row[i]));
        html += "</tr>";
    }
    html += "</tbody></table></div>";
    if (!table.note.empty())
        html += fmt::format("<p class=\"note\">{}</p>", escapeHtml(table.note));
    return html + "</section>\n";
}

std::string figureList(const std::vector<ReportFigure>& figures)
{
    std::string html;
    for (const ReportFigure& figure : figures)
        html += fmt::format("<div><b>{}</b><span>{}</span><small>{}</small></div>", escapeHtml(figure.value),
                            escapeHtml(figure.name), escapeHtml(figure.note));
    return html;
}

std::string headSection(const Report& report)
{
    std::string html;
    if (!report.subtitle.empty())
        html += "<p class=\"sub\">" + escapeHtml(report.subtitle) + "</p>";
    html += "<dl class=\"facts\">";
    for (const auto& [name, value] : report.facts)
        html += fmt::format("<div><dt>{}</dt><dd>{}</dd></div>", escapeHtml(name), escapeHtml(value));
    html += "</dl>";
    if (!report.warnings.empty())
    {
        html += "<ul class=\"warnings\">";
        for (const std::string& warning : report.warnings)
            html += "<li>" + escapeHtml(warning) + "</li>";
        html += "</ul>";
    }
    return html;
}

/// How far a stored map reaches, in ranges of colours: an outline can follow a threshold beyond the last colour.
constexpr double storedSpan = 2;

/// Where the images go; no data can hold it, because a "<" from data is escaped.
constexpr const char* picturesMark = "<!-- pictures -->";

/// Of a picture, in pixels.
constexpr int longestSide = 960;

/// What the base64 text of all images may take.
constexpr double pageBytes = 54e6;

/// A mark at the threshold; `attributes` are those of its element.
std::string cutLine(const std::string& attributes, double threshold, ScoreRange range, int decimals)
{
    const double at = percent(threshold, range);
    return fmt::format("<div class=\"cut{}\" style=\"left:{:.2f}%\" {}><span>threshold {:.{}f}</span></div>",
                       at > 88 ? " right" : (at < 12 ? " left" : ""), at, attributes, threshold, decimals);
}

/// `page` with each {{name}} replaced by its part; what is filled in is not looked at again.
std::string filled(std::string_view page, const std::map<std::string, std::string, std::less<>>& parts)
{
    std::string text;
    for (size_t at = 0;;)
    {
        const size_t open = page.find("{{", at);
        text += page.substr(at, open - at);
        if (open == std::string_view::npos)
            return text;
        const size_t close = page.find("}}", open);
        text += parts.at(std::string(page.substr(open + 2, close - open - 2)));
        at = close + 2;
    }
}

/// For the page's policy: this script may run, and no other.
std::string scriptHash()
{
    const std::string digits = sha256(reportScript.data(), reportScript.size());
    std::vector<uchar> bytes;
    for (size_t i = 0; i < digits.size(); i += 2)
        bytes.push_back(static_cast<uchar>(std::stoi(digits.substr(i, 2), nullptr, 16)));
    return base64(bytes);
}

/// Within <script>, "<" could end it.
std::string scriptJson(const json& value)
{
    std::string text;
    for (const char c : value.dump(-1, ' ', false, json::error_handler_t::replace))
        c == '<' ? text += "\\u003c" : text += c;
    return text;
}

} // namespace

std::string escapeHtml(const std::string& text)
{
    std::string out;
    out.reserve(text.size() + 16);
    const auto byte = [&](size_t i) { return i < text.size() ? static_cast<unsigned char>(text[i]) : 0u; };
    for (size_t i = 0; i < text.size();)
    {
        const unsigned c = byte(i);
        if (c < 0x80)
        {
            switch (c)
            {
            case '&':
                out += "&amp;";
                break;
            case '<':
                out += "&lt;";
                break;
            case '>':
                out += "&gt;";
                break;
            case '"':
                out += "&quot;";
                break;
            case '\'':
                out += "&#39;";
                break;
            default:
                if ((c < 0x20 && c != '\n' && c != '\t') || c == 0x7f)
                    out += "\xef\xbf\xbd";
                else
                    out += static_cast<char>(c);
            }
            i++;
            continue;
        }
        const size_t length = c >= 0xc2 && c < 0xe0 ? 2 : (c >= 0xe0 && c < 0xf0 ? 3 : (c >= 0xf0 && c < 0xf5 ? 4 : 0));
        bool valid = length > 0;
        for (size_t k = 1; k < length; k++)
            valid = valid && (byte(i + k) & 0xc0) == 0x80;
        // overlong forms, surrogates and what lies above U+10FFFF
        valid = valid && !(c == 0xe0 && byte(i + 1) < 0xa0) && !(c == 0xed && byte(i + 1) > 0x9f) &&
                !(c == 0xf0 && byte(i + 1) < 0x90) && !(c == 0xf4 && byte(i + 1) > 0x8f);
        if (valid)
            out.append(text, i, length);
        else
            out += "\xef\xbf\xbd";
        i += valid ? length : 1;
    }
    return out;
}

ReportWriter::ReportWriter(std::filesystem::path path) : path_(path), file_(std::move(path)), spool_(std::tmpfile(), &std::fclose)
{
    require(spool_ != nullptr, "{}: no temporary file can be made: {}", path_.string(), std::strerror(errno));
}

ReportWriter::~ReportWriter() = default;

void ReportWriter::add(const ReportItem& item, const Report& report)
{
    require(std::isfinite(item.score) && std::isfinite(item.threshold), "{}: score {} and threshold {} must be finite", item.name,
            item.score, item.threshold);
    require(item.image.type() == CV_8UC3 && !item.image.empty(), "{}: the report takes 8-bit BGR images, not {}", item.name,
            cv::typeToString(item.image.type()));
    require(item.map.empty() || (item.map.type() == CV_32FC1 && cv::checkRange(item.map)),
            "{}: the report takes maps of finite 32-bit floats, not {}", item.name, cv::typeToString(item.map.type()));
    Entry entry;
    entry.name = item.name;
    entry.group = item.group;
    entry.label = item.label;
    entry.defect = item.defect;
    entry.score = item.score;
    entry.threshold = item.threshold;
    entry.mapThreshold = item.mapThreshold;
    const double unit = item.mapThreshold.value_or(0) > 0 ? *item.mapThreshold : 0.5;
    entry.ownRange = item.range.has_value();
    entry.range = item.range.value_or(ScoreRange{0, 2 * unit});
    require(entry.range.high > entry.range.low, "{}: the range of colours goes from {} to {}; the second must be higher",
            item.name, entry.range.low, entry.range.high);
    entry.seconds = item.seconds;
    entry.anomalous = item.anomalous;
    entry.masked = !item.mask.empty();

    // A page of many images holds smaller ones: what one may take, of the base64 text
    const double share = pageBytes / std::max(report.expected, 1);
    const size_t most = static_cast<size_t>(std::clamp(share, 8e3, 400e3));
    std::string map = "-", mask = "-";
    if (!item.map.empty())
    {
        const double scale = 255 / (storedSpan * (entry.range.high - entry.range.low));
        map = withinBytes(
            most / 3, most > 60'000 ? 252 : 126,
            [&](int side)
            {
                cv::Mat levels;
                shrunk(item.map, fitted(item.map.size(), side)).convertTo(levels, CV_8U, scale, -entry.range.low * scale);
                return encoded(levels, ".png", {cv::IMWRITE_PNG_COMPRESSION, 9});
            });
    }
    if (!item.mask.empty())
        mask =
            withinBytes(most / 6, 320,
                        [&](int side)
                        {
                            cv::Mat small;
                            cv::resize(item.mask, small, fitted(item.mask.size(), side), 0, 0, cv::INTER_AREA);
                            return encoded(small > 0, ".png", {cv::IMWRITE_PNG_BILEVEL, 1}); // after averaging: thin defects stay
                        });
    const auto longer = [](cv::Size size) { return std::max(size.width, size.height); };
    const int first = std::min({longestSide, side_ + side_ / 8, longer(item.image.size())}); // near what the last ones took
    const std::string picture = withinBytes(most - map.size() - mask.size(), first,
                                            [&](int side)
                                            {
                                                entry.size = fitted(item.image.size(), side);
                                                cv::Mat small;
                                                cv::resize(item.image, small, entry.size, 0, 0, cv::INTER_AREA);
                                                return encoded(small, ".jpg", {cv::IMWRITE_JPEG_QUALITY, 86});
                                            });
    side_ = longer(entry.size) < first ? longer(entry.size) : std::max(side_, first);
    const std::string block = picture + "\n" + map + "\n" + mask;
    entry.offset = entries_.empty() ? 0 : entries_.back().offset + static_cast<long>(entries_.back().bytes);
    entry.bytes = block.size();
    if (std::fseek(spool_.get(), 0, SEEK_END) != 0 || std::fwrite(block.data(), 1, block.size(), spool_.get()) != block.size())
        fail("{}: the temporary file cannot be written: {}", path_.string(), std::strerror(errno));
    entries_.push_back(std::move(entry));
}

/// One axis for all images: scores, or scores over their own threshold where thresholds differ.
struct ReportWriter::Scores
{
    explicit Scores(const std::vector<Entry>& entries)
    {
        bool same = !entries.empty(), positive = same, sameRange = same, ownRange = false, sameMapThreshold = same;
        for (const Entry& entry : entries)
        {
            same = same && entry.threshold == entries.front().threshold;
            positive = positive && entry.threshold > 0;
            sameRange =
                sameRange && entry.range.low == entries.front().range.low && entry.range.high == entries.front().range.high;
            ownRange = ownRange || entry.ownRange;
            mapScales = mapScales && entry.range.low == 0;
            sameMapThreshold = sameMapThreshold && entry.mapThreshold == entries.front().mapThreshold;
        }
        relative = !same && positive;
        scales = positive;
        mapScales = mapScales && positive;
        if (same)
            cut = entries.front().threshold;
        else if (relative)
            cut = 1;
        double low = std::min(0.0, cut.value_or(0)), high = std::max(0.0, cut.value_or(0)), greatest = 0;
        for (const Entry& entry : entries)
        {
            low = std::min(low, of(entry));
            high = std::max(high, of(entry));
            greatest = std::max(greatest, entry.score);
        }
        axis = {low, high > low ? low + (high - low) * 1.02 : low + 1};
        decimals = decimalsFor(cut && *cut != 0 ? *cut : high);
        scoreDecimals = relative ? decimalsFor(greatest) : decimals;
        if (sameRange)
        {
            colours = entries.front().range;
            mapCut = sameMapThreshold ? entries.front().mapThreshold : std::nullopt;
        }
        else if (!ownRange) // each from 0 to twice its threshold
        {
            colours = ScoreRange{0, 2};
            relativeMap = true;
            mapCut = 1;
        }
        mapDecimals = decimalsFor(mapCut ? *mapCut : (colours ? colours->high : 1));
    }

    double of(const Entry& entry) const { return relative ? entry.score / entry.threshold : entry.score; }

    bool relative = false, scales = false; ///< scales: thresholds can be multiplied
    std::optional<double> cut;
    ScoreRange axis;
    int decimals = 0, scoreDecimals = 0;
    bool relativeMap = false, mapScales = true;
    std::optional<ScoreRange> colours; ///< of the maps; nothing where they differ in a way that no axis can show
    std::optional<double> mapCut;
    int mapDecimals = 0;
};

json ReportWriter::pageData(const Report& report, const Scores& scores, const std::vector<size_t>& order) const
{
    const auto orNull = [](const std::optional<double>& value) { return value ? json(*value) : json(nullptr); };
    json items = json::array();
    for (const size_t i : order)
    {
        const Entry& entry = entries_[i];
        json item = {{"name", entry.name},     {"score", entry.score},   {"at", scores.of(entry)},
                     {"bad", entry.anomalous}, {"masked", entry.masked}, {"size", {entry.size.width, entry.size.height}}};
        if (!entry.group.empty())
            item["group"] = entry.group;
        if (entry.label)
        {
            item["defective"] = *entry.label == Label::Anomalous;
            item["label"] = *entry.label == Label::Good ? "good" : (entry.defect.empty() ? "anomalous" : entry.defect);
        }
        if (entry.seconds > 0)
            item["ms"] = std::round(entry.seconds * 1e4) / 10;
        if (entry.mapThreshold) // as a level of the stored map
            item["limit"] = (*entry.mapThreshold - entry.range.low) / (entry.range.high - entry.range.low) / storedSpan * 255;
        items.push_back(std::move(item));
    }
    return {{"items", std::move(items)},
            {"cut", orNull(scores.cut)},
            {"axis", {scores.axis.low, scores.axis.high}},
            {"relative", scores.relative},
            {"scales", scores.scales},
            {"decimals", scores.decimals},
            {"scoreDecimals", scores.scoreDecimals},
            {"sensitivity", orNull(report.sensitivity)},
            {"colours", fmt::format("{}", fmt::join(colourTable(), ""))},
            {"storedSpan", storedSpan},
            {"map",
             {{"low", scores.colours ? scores.colours->low : 0},
              {"high", scores.colours ? scores.colours->high : 1},
              {"cut", orNull(scores.mapCut)},
              {"scales", scores.mapScales},
              {"decimals", scores.mapDecimals}}}};
}

std::vector<ReportFigure> ReportWriter::summary(const Report& report, const Scores& scores) const
{
    size_t flagged = 0, wrong = 0;
    bool labelled = false;
    std::vector<double> seconds;
    for (const Entry& entry : entries_)
    {
        labelled = labelled || entry.label;
        flagged += entry.anomalous;
        wrong += entry.label && (*entry.label == Label::Anomalous) != entry.anomalous;
        if (entry.seconds > 0)
            seconds.push_back(entry.seconds);
    }
    std::vector<ReportFigure> figures = {
        {"images", std::to_string(entries_.size()), ""},
        {"found anomalous", std::to_string(flagged),
         entries_.empty()
             ? ""
             : fmt::format("{:.1f} % of all", 100.0 * static_cast<double>(flagged) / static_cast<double>(entries_.size()))}};
    if (labelled)
        figures.push_back({"wrong decisions", std::to_string(wrong), "missed or false positive, where labelled"});
    if (scores.cut && !scores.relative)
        figures.push_back({"threshold", fmt::format("{:.{}f}", *scores.cut, scores.decimals), report.unit});
    if (!seconds.empty())
    {
        const auto milliseconds = [&](double share) { return percentile(seconds, share) * 1e3; };
        figures.push_back({"latency, median", fmt::format("{:.1f} ms", milliseconds(0.5)),
                           fmt::format("an image; p90 {:.1f} ms, p99 {:.1f} ms", milliseconds(0.9), milliseconds(0.99))});
    }
    return figures;
}

std::string ReportWriter::histogram(const Scores& scores, bool labelled) const
{
    constexpr size_t bins = 48;
    std::array<std::array<size_t, 2>, bins> counts{};
    size_t tallest = 1;
    for (const Entry& entry : entries_)
    {
        const bool bad = labelled ? entry.label == Label::Anomalous : entry.anomalous;
        auto& bin = counts[std::min(bins - 1, static_cast<size_t>(percent(scores.of(entry), scores.axis) / 100 * bins))];
        bin[bad]++;
        tallest = std::max(tallest, bin[0] + bin[1]);
    }
    std::string html = fmt::format(
        "<span class=\"key\"><i class=\"good\"></i>{0} good</span><span class=\"key\"><i class=\"bad\"></i>{0} anomalous</span>",
        labelled ? "labelled" : "found");
    html += fmt::format(
        "<div class=\"plot{}\" id=\"histogram\"><div class=\"bars\" role=\"img\" aria-label=\"Histogram of {} scores from "
        "{:.{}f} to {:.{}f}\">",
        scores.cut ? " live-plot" : "", entries_.size(), scores.axis.low, scores.decimals, scores.axis.high, scores.decimals);
    for (const auto& bin : counts)
    {
        html += "<div>";
        for (const size_t bad : {size_t{1}, size_t{0}})
            if (bin[bad])
                html += fmt::format("<i class=\"{}\" style=\"height:{:.1f}%\"></i>", bad ? "bad" : "good",
                                    100.0 * static_cast<double>(bin[bad]) / static_cast<double>(tallest));
        html += "</div>";
    }
    html += "</div>";
    if (scores.cut)
        html +=
            cutLine(fmt::format("id=\"threshold\" role=\"slider\" tabindex=\"0\" aria-label=\"Threshold\" aria-valuemin=\"{}\" "
                                "aria-valuemax=\"{}\" aria-valuenow=\"{}\"",
                                scores.axis.low, scores.axis.high, *scores.cut),
                    *scores.cut, scores.axis, scores.decimals);
    return html + "</div>" + axisTicks(scores.axis);
}

std::string ReportWriter::legend(const Scores& scores) const
{
    std::string html =
        "<div class=\"plot\" style=\"height:14px;border:0\"><div class=\"scale\" style=\"background:" + gradient() + "\"></div>";
    if (scores.colours && scores.mapCut)
        html += cutLine("id=\"map-threshold\"", *scores.mapCut, *scores.colours, scores.mapDecimals);
    html += "</div>";
    return scores.colours ? html + axisTicks(*scores.colours) : html;
}

void ReportWriter::finish(const Report& report)
{
    const Scores scores(entries_);
    const bool labelled =
        std::any_of(entries_.begin(), entries_.end(), [](const Entry& entry) { return entry.label.has_value(); });
    std::vector<size_t> order(entries_.size());
    std::iota(order.begin(), order.end(), size_t{0});
    std::stable_sort(order.begin(), order.end(),
                     [&](size_t a, size_t b) { return scores.of(entries_[a]) > scores.of(entries_[b]); });

    std::string tables, links;
    for (size_t i = 0; i < report.tables.size(); i++)
    {
        tables += tableSection(report.tables[i], i);
        links += fmt::format("<a href=\"#table{}\">{}</a>", i, escapeHtml(report.tables[i].title));
    }
    if (!report.charts.empty())
        links += "<a href=\"#curves\">Curves</a>";
    const std::string scale = scores.relativeMap
                                  ? report.mapUnit + ", in multiples of each product's threshold"
                                  : (scores.colours ? report.mapUnit : report.mapUnit + ", a scale of its own for each product");
    const std::string page = filled(
        reportPage,
        {{"title", escapeHtml(report.title)},
         {"style", std::string(reportStyle)},
         {"script-hash", scriptHash()},
         {"head", headSection(report)},
         {"links", links},
         {"summary", figureList(summary(report, scores))},
         {"figures", report.figures.empty() ? ""
                                            : "<section class=\"figures\" aria-label=\"Metrics\">" +
                                                  figureList(report.figures) + "</section>"},
         {"histogram", histogram(scores, labelled)},
         {"histogram-note", fmt::format("Images by score ({}{}).{}", escapeHtml(report.unit),
                                        scores.relative ? ", in multiples of each product's threshold" : "",
                                        scores.cut ? " Drag the threshold, or move it by arrow keys." : "")},
         {"legend", legend(scores)},
         {"legend-note",
          fmt::format("{}, per pixel; higher values in the last colour. The white outline encloses what lies above the map's "
                      "threshold, which moves along with that of the scores. Colour map: inferno.",
                      escapeHtml(scale))},
         {"tables", tables},
         {"charts", chartSection(report)},
         {"data", scriptJson(pageData(report, scores, order))},
         {"script", std::string(reportScript)},
         {"pictures", picturesMark}});
    const size_t mark = page.rfind(picturesMark);
    file_.write(std::string_view(page).substr(0, mark));
    std::string block;
    for (size_t place = 0; place < order.size(); place++)
    {
        const Entry& entry = entries_[order[place]];
        block.resize(entry.bytes);
        if (std::fseek(spool_.get(), entry.offset, SEEK_SET) != 0 || std::fread(block.data(), 1, entry.bytes, spool_.get()) != entry.bytes)
            fail("{}: the temporary file cannot be read back: {}", path_.string(), std::strerror(errno));
        file_.write(fmt::format("<script type=\"text/plain\" id=\"p{}\">{}</script>\n", place, block));
    }
    file_.write(std::string_view(page).substr(mark + std::string_view(picturesMark).size()));
    file_.commit();
}

void writeReport(const std::filesystem::path& path, const Report& report, const std::vector<ReportItem>& items)
{
    ReportWriter writer(path);
    Report counted = report;
    counted.expected = static_cast<int>(items.size());
    for (const ReportItem& item : items)
        writer.add(item, counted);
    writer.finish(counted);
}

} // namespace agpnet::tools
