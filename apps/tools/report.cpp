#include "apps/tools/report.h"

#include "apps/tools/report_page.h"
#include "common/error.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cmath>
#include <cstring>
#include <numeric>
#include <opencv2/imgcodecs.hpp>
#include <opencv2/imgproc.hpp>

namespace agpnet::tools
{

namespace
{

std::string base64(const std::vector<uchar>& bytes)
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

std::string dataUri(const cv::Mat& image, bool lossless)
{
    std::vector<uchar> bytes;
    const std::vector<int> options =
        lossless ? std::vector<int>{cv::IMWRITE_PNG_BILEVEL, 1} : std::vector<int>{cv::IMWRITE_JPEG_QUALITY, 86};
    require(cv::imencode(lossless ? ".png" : ".jpg", image, bytes, options), "a picture of {}x{} pixels cannot be encoded",
            image.cols, image.rows);
    return fmt::format("data:image/{};base64,{}", lossless ? "png" : "jpeg", base64(bytes));
}

cv::Size fitted(cv::Size size, int longest)
{
    const double factor = std::min(1.0, static_cast<double>(longest) / std::max(size.width, size.height));
    return {std::max(1, cvRound(size.width * factor)), std::max(1, cvRound(size.height * factor))};
}

/// Inferno as CSS stops, from the very table that colours the maps.
std::string gradient()
{
    cv::Mat ramp(1, 256, CV_8U), colours;
    for (int i = 0; i < 256; i++)
        ramp.at<uchar>(i) = static_cast<uchar>(i);
    cv::applyColorMap(ramp, colours, cv::COLORMAP_INFERNO);
    std::string text = "linear-gradient(90deg";
    for (int i = 0; i < 256; i += 15)
    {
        const auto c = colours.at<cv::Vec3b>(i);
        text += fmt::format(",#{:02x}{:02x}{:02x}", c[2], c[1], c[0]);
    }
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
    std::string html = "<section class=\"block\"><h2>Curves</h2>";
    std::vector<std::pair<std::string, std::string>> keys; // a style and the first name drawn in it
    for (const Chart& chart : report.charts)
        for (const ChartLine& line : chart.lines)
            if (std::none_of(keys.begin(), keys.end(), [&](const auto& key) { return key.first == line.style; }))
                keys.emplace_back(line.style, line.kind);
    for (const auto& [style, kind] : keys)
        html += fmt::format("<span class=\"key\"><i class=\"{}\"></i>{}</span>", style == "line-a" ? "good" : "bad", escapeHtml(kind));
    html += "<div class=\"charts\">";
    for (const Chart& chart : report.charts)
        html += fmt::format("<figure>{}<figcaption>{}</figcaption></figure>", drawChart(chart), escapeHtml(chart.title));
    html += "</div>";
    if (!report.chartNote.empty())
        html += fmt::format("<p class=\"note\">{}</p>", escapeHtml(report.chartNote));
    return html + "</section>\n";
}

std::string tableSection(const ReportTable& table)
{
    std::string html = fmt::format("<section class=\"block\"><h2>{}</h2><div class=\"wide\"><table><thead><tr>", escapeHtml(table.title));
    for (const std::string& column : table.columns)
        html += fmt::format("<th scope=\"col\">{}</th>", escapeHtml(column));
    html += "</tr></thead><tbody>";
    for (const auto& row : table.rows)
    {
        html += "<tr>";
        for (size_t i = 0; i < row.size(); i++)
            html += i ? fmt::format("<td>{}</td>", escapeHtml(row[i])) : fmt::format("<th scope=\"row\">{}</th>", escapeHtml(row[i]));
        html += "</tr>";
    }
    html += "</tbody></table></div>";
    if (!table.note.empty())
        html += fmt::format("<p class=\"note\">{}</p>", escapeHtml(table.note));
    return html + "</section>\n";
}

std::string cutLine(double threshold, ScoreRange range, int decimals)
{
    const double at = percent(threshold, range);
    return fmt::format("<div class=\"cut{}\" style=\"left:{:.2f}%\"><span>threshold {:.{}f}</span></div>",
                       at > 88 ? " right" : (at < 12 ? " left" : ""), at, threshold, decimals);
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

cv::Mat overlay(const cv::Mat& image, const cv::Mat& map, ScoreRange range, double threshold)
{
    require(image.type() == CV_8UC3 && !image.empty(), "a picture of 8-bit BGR was expected, not {}",
            cv::typeToString(image.type()));
    require(map.type() == CV_32FC1 && !map.empty(), "a map of one channel of 32-bit floats was expected, not {}",
            cv::typeToString(map.type()));
    require(cv::checkRange(map), "the map holds a value that is not finite");
    require(range.high > range.low, "the range of colours goes from {} to {}; the second must be higher", range.low, range.high);

    cv::Mat scores = map;
    const cv::Size shrink((map.cols + image.cols - 1) / image.cols, (map.rows + image.rows - 1) / image.rows);
    if (shrink.area() > 1) // a peak of one pixel must not vanish between the rows that are kept
        cv::dilate(scores, scores, cv::getStructuringElement(cv::MORPH_RECT, shrink));
    if (scores.size() != image.size())
        cv::resize(scores, scores, image.size(), 0, 0, cv::INTER_LINEAR);

    cv::Mat levels, colours;
    scores.convertTo(levels, CV_8U, 255 / (range.high - range.low), -range.low * 255 / (range.high - range.low));
    cv::applyColorMap(levels, colours, cv::COLORMAP_INFERNO);
    std::array<float, 256> opacity{};
    for (size_t i = 0; i < opacity.size(); i++)
    {
        const float t = std::clamp((static_cast<float>(i) / 255 - 0.12f) / 0.5f, 0.0f, 1.0f);
        opacity[i] = 0.82f * t * t * (3 - 2 * t);
    }
    cv::Mat result(image.size(), CV_8UC3);
    for (int y = 0; y < image.rows; y++)
        for (int x = 0; x < image.cols; x++)
        {
            const float a = opacity[levels.at<uchar>(y, x)];
            const auto& below = image.at<cv::Vec3b>(y, x);
            const auto& above = colours.at<cv::Vec3b>(y, x);
            for (int c = 0; c < 3; c++)
                result.at<cv::Vec3b>(y, x)[c] =
                    cv::saturate_cast<uchar>(static_cast<float>(below[c]) * (1 - a) + static_cast<float>(above[c]) * a);
        }
    std::vector<std::vector<cv::Point>> outlines;
    cv::findContours(scores >= threshold, outlines, cv::RETR_CCOMP, cv::CHAIN_APPROX_NONE);
    const int width = std::max(1, cvRound(std::max(image.rows, image.cols) / 320.0));
    cv::drawContours(result, outlines, -1, cv::Scalar(25, 25, 25), 2 * width + 1, cv::LINE_AA);
    cv::drawContours(result, outlines, -1, cv::Scalar(255, 255, 255), width, cv::LINE_8); // smoothed, it would be grey
    return result;
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
    require(item.image.type() == CV_8UC3 && !item.image.empty(), "{}: the report takes 8-bit BGR pictures, not {}", item.name,
            cv::typeToString(item.image.type()));
    if (!range_) // the first threshold decides: one scale for all, or colours would not compare
    {
        const double top = 2 * item.threshold;
        range_ = report.range.value_or(ScoreRange{std::min(0.0, top), top == 0 ? 1.0 : std::max(0.0, top)});
    }
    const cv::Size size = fitted(item.image.size(), report.thumbnail);
    cv::Mat image;
    cv::resize(item.image, image, size, 0, 0, cv::INTER_AREA);
    const std::string alt = escapeHtml(item.name);
    const auto picture = [&](const char* kind, const char* caption, const std::string& uri)
    {
        return fmt::format(
            "<figure class=\"{}\"><img loading=\"lazy\" decoding=\"async\" width=\"{}\" height=\"{}\" alt=\"{}: {}\" "
            "src=\"{}\"><figcaption>{}</figcaption></figure>",
            kind, size.width, size.height, alt, caption, uri, caption);
    };
    std::string html = picture("image", "image", dataUri(image, false));
    if (!item.map.empty())
        html += picture("heat", "heatmap", dataUri(overlay(image, item.map, *range_, item.threshold), false));
    if (!item.mask.empty())
    {
        cv::Mat mask;
        cv::resize(item.mask, mask, size, 0, 0, cv::INTER_AREA);
        html += picture("truth", "ground truth", dataUri(mask > 0, true)); // > 0 after averaging: thin defects stay
    }
    const long offset = entries_.empty() ? 0 : entries_.back().offset + static_cast<long>(entries_.back().bytes);
    require(std::fseek(spool_.get(), 0, SEEK_END) == 0 && std::fwrite(html.data(), 1, html.size(), spool_.get()) == html.size(),
            "{}: the temporary file cannot be written: {}", path_.string(), std::strerror(errno));
    entries_.push_back({item.name, item.defect, item.score, item.threshold, item.seconds, item.anomalous, item.label,
                        !item.mask.empty(), offset, html.size()});
}

std::string ReportWriter::card(const Entry& entry, const std::string& pictures, int decimals, ScoreRange axis) const
{
    const bool wrong = entry.label && (*entry.label == Label::Anomalous) != entry.anomalous;
    const char* decision = entry.anomalous ? "bad" : "good";
    const std::string name = escapeHtml(entry.name);
    const std::string label =
        entry.label ? escapeHtml(*entry.label == Label::Good ? "good" : (entry.defect.empty() ? "anomalous" : entry.defect)) : "";
    std::string html =
        fmt::format("<li class=\"card\" data-name=\"{0}\" data-text=\"{0} {1}\" data-score=\"{2}\" data-decision=\"{3}\"{4}>"
                    "<button class=\"open\" type=\"button\" aria-label=\"Enlarge {0}\">",
                    name, label, entry.score, decision, wrong ? " data-wrong=\"\"" : "");
    html += pictures;
    html +=
        fmt::format("</button><div class=\"who\"><b title=\"{0}\"><bdi>{0}</bdi></b><data value=\"{1}\">{1:.{2}f}</data></div>"
                    "<div class=\"bar\" aria-hidden=\"true\"><i class=\"{3}\" style=\"width:{4:.1f}%\"></i><u "
                    "style=\"left:{5:.1f}%\"></u></div>",
                    name, entry.score, decimals, decision, percent(entry.score, axis), percent(entry.threshold, axis));
    html +=
        fmt::format("<div class=\"tags\"><span class=\"tag is-{}\">{}</span>", decision, entry.anomalous ? "Anomalous" : "Good");
    if (wrong)
        html += fmt::format("<span class=\"tag wrong\">{}</span>", entry.anomalous ? "False alarm" : "Missed");
    if (entry.label)
        html += fmt::format("<span>labelled {}</span>", label);
    if (entry.seconds > 0)
        html += fmt::format("<span>{:.1f} ms</span>", entry.seconds * 1e3);
    return html + "</div></li>\n";
}

void ReportWriter::finish(const Report& report)
{
    const ScoreRange colours = range_.value_or(ScoreRange{});
    bool oneThreshold = !entries_.empty(), labelled = false, masked = false;
    size_t flagged = 0, wrong = 0;
    double low = 0, high = 0;
    std::vector<double> seconds;
    for (const Entry& entry : entries_)
    {
        oneThreshold = oneThreshold && entry.threshold == entries_.front().threshold;
        labelled = labelled || entry.label.has_value();
        masked = masked || entry.masked;
        flagged += entry.anomalous;
        wrong += entry.label && (*entry.label == Label::Anomalous) != entry.anomalous;
        low = std::min({low, entry.score, entry.threshold});
        high = std::max({high, entry.score, entry.threshold});
        if (entry.seconds > 0)
            seconds.push_back(entry.seconds);
    }
    const ScoreRange axis{low, high > low ? low + (high - low) * 1.02 : low + 1};
    const double threshold = oneThreshold ? entries_.front().threshold : 0;
    const int decimals = decimalsFor(oneThreshold && threshold != 0 ? threshold : high);

    std::string head = "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">"
                       "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; img-src data:; style-src "
                       "'unsafe-inline'; script-src 'unsafe-inline'\">"
                       "<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\"><title>" +
                       escapeHtml(report.title) + "</title><style>";
    head += reportStyle;
    head += "</style></head>\n<body><header><h1>" + escapeHtml(report.title) + "</h1>";
    if (!report.subtitle.empty())
        head += "<p class=\"sub\">" + escapeHtml(report.subtitle) + "</p>";
    head += "<dl class=\"facts\">";
    for (const auto& [name, value] : report.facts)
        head += fmt::format("<div><dt>{}</dt><dd>{}</dd></div>", escapeHtml(name), escapeHtml(value));
    head += "</dl>";
    if (!report.warnings.empty())
    {
        head += "<ul class=\"warnings\">";
        for (const std::string& warning : report.warnings)
            head += "<li>" + escapeHtml(warning) + "</li>";
        head += "</ul>";
    }
    head += "</header>\n<main><section class=\"figures\" aria-label=\"Summary\">";
    std::vector<ReportFigure> figures = {
        {"images", std::to_string(entries_.size()), ""},
        {"found anomalous", std::to_string(flagged),
         entries_.empty()
             ? ""
             : fmt::format("{:.1f} % of all", 100.0 * static_cast<double>(flagged) / static_cast<double>(entries_.size()))}};
    if (labelled)
        figures.push_back({"wrong decisions", std::to_string(wrong), "missed or false alarm, where labelled"});
    if (oneThreshold)
        figures.push_back({"threshold", fmt::format("{:.{}f}", threshold, decimals), report.unit});
    if (!seconds.empty())
    {
        std::nth_element(seconds.begin(), seconds.begin() + static_cast<long>(seconds.size() / 2), seconds.end());
        figures.push_back({"per image", fmt::format("{:.1f} ms", seconds[seconds.size() / 2] * 1e3), "median"});
    }

    const auto list = [&](const std::vector<ReportFigure>& some)
    {
        for (const ReportFigure& figure : some)
            head += fmt::format("<div><b>{}</b><span>{}</span><small>{}</small></div>", escapeHtml(figure.value),
                                escapeHtml(figure.name), escapeHtml(figure.note));
    };
    list(figures);
    if (!report.figures.empty())
    {
        head += "</section><section class=\"figures\" aria-label=\"Figures of merit\">";
        list(report.figures);
    }
    head += "</section>\n<div class=\"row\"><section><h2>Scores</h2>";

    constexpr size_t bins = 48;
    std::array<std::array<size_t, 2>, bins> counts{};
    size_t tallest = 1;
    for (const Entry& entry : entries_)
    {
        const bool bad = labelled ? entry.label == Label::Anomalous : entry.anomalous;
        auto& bin = counts[std::min(bins - 1, static_cast<size_t>(percent(entry.score, axis) / 100 * bins))];
        bin[bad]++;
        tallest = std::max(tallest, bin[0] + bin[1]);
    }
    head += fmt::format(
        "<span class=\"key\"><i class=\"good\"></i>{0} good</span><span class=\"key\"><i class=\"bad\"></i>{0} anomalous</span>",
        labelled ? "labelled" : "found");
    head += fmt::format("<div class=\"plot\" role=\"img\" aria-label=\"Histogram of {} scores from {:.{}f} to {:.{}f}\">",
                        entries_.size(), low, decimals, high, decimals);
    for (const auto& bin : counts)
    {
        head += "<div>";
        for (const size_t bad : {size_t{1}, size_t{0}})
            if (bin[bad])
                head += fmt::format("<i class=\"{}\" style=\"height:{:.1f}%\"></i>", bad ? "bad" : "good",
                                    100.0 * static_cast<double>(bin[bad]) / static_cast<double>(tallest));
        head += "</div>";
    }
    if (oneThreshold)
        head += cutLine(threshold, axis, decimals);
    head += "</div>" + axisTicks(axis);
    head += fmt::format("<p class=\"note\">Images by score ({}); the tallest bar holds {}.</p></section>",
                        escapeHtml(report.unit), tallest);

    head += "<section><h2>Heat colours</h2><div class=\"plot\" style=\"height:14px;border:0\"><div class=\"scale\" "
            "style=\"margin:0;padding:0;background:" +
            gradient() + "\"></div>";
    if (oneThreshold)
        head += cutLine(threshold, colours, decimals);
    head += "</div>" + axisTicks(colours);
    head += fmt::format(
        "<p class=\"note\">{}, per pixel; one scale for all images, higher values in the last colour. Opacity grows with "
        "the value. The white outline encloses what lies above the threshold. Colour map: inferno.</p></section></div>\n",
        escapeHtml(report.unit));

    for (const ReportTable& table : report.tables)
        head += tableSection(table);
    head += chartSection(report);

    const auto radio = [](const char* group, const char* value, const std::string& text, bool checked)
    {
        return fmt::format("<label><input type=\"radio\" name=\"{}\" value=\"{}\"{}><span>{}</span></label>", group, value,
                           checked ? " checked" : "", text);
    };
    head += "<form class=\"tools\" hidden onsubmit=\"return false\"><fieldset class=\"seg\"><legend class=\"sr\">View</legend>";
    head += radio("view", "all", "Side by side", true) + radio("view", "image", "Image", false) +
            radio("view", "heat", "Heatmap", false);
    if (masked)
        head += radio("view", "truth", "Truth", false);
    head += "</fieldset><fieldset class=\"seg\"><legend class=\"sr\">Decision</legend>";
    head += radio("which", "all", "All", true) + radio("which", "bad", fmt::format("Anomalous {}", flagged), false) +
            radio("which", "good", fmt::format("Good {}", entries_.size() - flagged), false);
    if (labelled)
        head += radio("which", "wrong", fmt::format("Wrong {}", wrong), false);
    head += "</fieldset><input type=\"search\" id=\"text\" placeholder=\"Name or label\" aria-label=\"Filter by name or label\">"
            "<select id=\"order\" aria-label=\"Order\"><option value=\"high\">Highest score first</option><option "
            "value=\"low\">Lowest "
            "score first</option><option value=\"name\">By name</option></select><output id=\"shown\"></output></form>\n";
    head += fmt::format("<ul class=\"gallery{}\">\n", masked ? "" : " two");
    file_.write(head);

    std::vector<size_t> order(entries_.size());
    std::iota(order.begin(), order.end(), size_t{0});
    std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return entries_[a].score > entries_[b].score; });
    std::string pictures;
    for (const size_t i : order)
    {
        const Entry& entry = entries_[i];
        pictures.resize(entry.bytes);
        require(std::fseek(spool_.get(), entry.offset, SEEK_SET) == 0 &&
                    std::fread(pictures.data(), 1, entry.bytes, spool_.get()) == entry.bytes,
                "{}: the temporary file cannot be read back: {}", path_.string(), std::strerror(errno));
        file_.write(card(entry, pictures, decimals, axis));
    }
    std::string tail = "</ul><p class=\"none\"";
    tail += entries_.empty() ? "" : " hidden";
    tail += ">No image fits.</p></main>\n<dialog aria-labelledby=\"big-name\"><div class=\"bigger\"><h2 id=\"big-name\"></h2>"
            "<button type=\"button\" id=\"previous\" aria-label=\"Previous image\">←</button>"
            "<button type=\"button\" id=\"next\" autofocus aria-label=\"Next image\">→</button>"
            "<button type=\"button\" id=\"close\">Close</button></div><div class=\"tags\" id=\"big-tags\"></div>"
            "<div class=\"big\"></div></dialog>\n<script>";
    tail += reportScript;
    tail += "</script></body></html>\n";
    file_.write(tail);
    file_.commit();
}

void writeReport(const std::filesystem::path& path, const Report& report, const std::vector<ReportItem>& items)
{
    ReportWriter writer(path);
    for (const ReportItem& item : items)
        writer.add(item, report);
    writer.finish(report);
}

} // namespace agpnet::tools
