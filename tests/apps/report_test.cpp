#include "apps/report/report.h"

#include "tests/support/error_text.h"
#include "tests/support/temp_folder.h"

#include <cmath>
#include <nlohmann/json.hpp>
#include <opencv2/imgcodecs.hpp>
#include <opencv2/imgproc.hpp>
#include <sstream>

namespace agpnet::tools
{
namespace
{

using test::errorOf;
using test::TempFolder;
using ::testing::HasSubstr;
using ::testing::Not;

ReportItem item(const std::string& name, double score, std::optional<Label> label = {}, cv::Size size = {200, 150})
{
    ReportItem result;
    result.name = name;
    result.image = cv::Mat(size, CV_8UC3, cv::Scalar(90, 120, 150));
    result.map = cv::Mat(20, 20, CV_32F, cv::Scalar(0.1));
    result.map.at<float>(10, 10) = static_cast<float>(score);
    result.score = score;
    result.threshold = 0.5;
    result.anomalous = score >= 0.5;
    result.label = label;
    if (label == Label::Anomalous)
    {
        result.defect = "scratch";
        result.mask = cv::Mat(size, CV_8U, cv::Scalar(0));
        result.mask(cv::Rect(50, 50, 20, 10)) = 255;
    }
    result.seconds = 0.02;
    return result;
}

Report report()
{
    Report result;
    result.title = "Tiles <today> & \"tomorrow\"";
    result.facts = {{"Model", "a&b.agp"}};
    result.figures = {{"image AUROC", "98.1 %", "<note>"}};
    result.warnings = {"5 < 6"};
    return result;
}

size_t count(const std::string& text, const std::string& part)
{
    size_t n = 0;
    for (size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + part.size()))
        n++;
    return n;
}

/// Without what stands between `open` and `close`, each time.
std::string without(std::string text, const std::string& open, const std::string& close)
{
    std::string kept;
    size_t at = 0;
    for (size_t from; (from = text.find(open, at)) != std::string::npos;)
    {
        kept += text.substr(at, from - at);
        const size_t to = text.find(close, from + open.size());
        if (to == std::string::npos)
            return "<no " + close;
        at = to + close.size();
    }
    return kept + text.substr(at);
}

/// What is wrong with the nesting of elements, if anything; style and script are skipped.
std::string unbalanced(std::string html)
{
    html = without(without(without(html, "<style>", "</style>"), "<script", "</script>"), "<!doctype", ">");
    std::vector<std::string> stack;
    for (size_t at = 0; (at = html.find('<', at)) != std::string::npos; at++)
    {
        size_t end = at + 1;
        for (bool quoted = false; end < html.size() && (quoted || html[end] != '>'); end++)
        {
            if (html[end] == '"')
                quoted = !quoted;
            if (html[end] == '<')
                return "stray < near " + html.substr(at, 80);
        }
        const std::string tag = html.substr(at + 1, end - at - 1), name = tag.substr(0, tag.find(' '));
        if (name == "meta" || name == "img" || name == "input")
            continue;
        if (!name.starts_with('/'))
            stack.push_back(name);
        else if (stack.empty() || "/" + stack.back() != name)
            return "<" + name + ">, but open is " + (stack.empty() ? "nothing" : stack.back());
        else
            stack.pop_back();
    }
    return stack.empty() ? "" : "open at the end: " + stack.back();
}

/// What the page's script reads.
nlohmann::json dataOf(const std::string& html)
{
    const std::string open = "id=\"data\">";
    const size_t from = html.find(open) + open.size();
    return nlohmann::json::parse(html.substr(from, html.find("</script>", from) - from));
}

/// The lines of base64 of the image at that place: picture, map, mask.
std::vector<std::string> pictures(const std::string& html, int place)
{
    const std::string open = fmt::format("id=\"p{}\">", place);
    const size_t from = html.find(open) + open.size();
    std::istringstream text(html.substr(from, html.find("</script>", from) - from));
    std::vector<std::string> lines;
    for (std::string line; std::getline(text, line);)
        lines.push_back(line);
    return lines;
}

cv::Mat decoded(const std::string& base64)
{
    const std::string digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    std::vector<uchar> bytes;
    uint32_t bits = 0;
    int count = 0;
    for (const char c : base64)
    {
        if (c == '=')
            break;
        bits = bits << 6 | static_cast<uint32_t>(digits.find(c));
        count += 6;
        if (count >= 8)
        {
            count -= 8;
            bytes.push_back(static_cast<uchar>(bits >> count));
        }
    }
    return cv::imdecode(bytes, cv::IMREAD_UNCHANGED);
}

TEST(EscapeHtml, MarkupAndBadBytes)
{
    EXPECT_EQ(escapeHtml("<a href=\"x\">&'"), "&lt;a href=&quot;x&quot;&gt;&amp;&#39;");
    EXPECT_EQ(escapeHtml("Maß 測 😀"), "Maß 測 😀");
    const std::string bad = "\xef\xbf\xbd";
    EXPECT_EQ(escapeHtml("a\xff"
                         "b"),
              "a" + bad + "b");
    EXPECT_EQ(escapeHtml("\xc3"), bad);                     // cut short
    EXPECT_EQ(escapeHtml("\xc0\xaf"), bad + bad);           // overlong
    EXPECT_EQ(escapeHtml("\xed\xa0\x80"), bad + bad + bad); // surrogate
    EXPECT_EQ(escapeHtml(std::string("a\x01\0b", 4)), "a" + bad + bad + "b");
}

TEST(Report, IsOneWellFormedPageWithoutLinks)
{
    const TempFolder folder;
    writeReport(folder / "r.html", report(),
                {item("a<script>alert(1)</script>.png", 0.2, Label::Good), item("b\" onload=\"x.png", 0.9, Label::Anomalous),
                 item("missed.png", 0.4, Label::Anomalous), item("false.png", 0.7, Label::Good), item("new.png", 0.6)});
    const std::string html = test::readBytes(folder / "r.html");
    EXPECT_EQ(unbalanced(html), "");
    EXPECT_EQ(count(html, "<script"), 2u + 5u); // data, the script, a block an image
    EXPECT_EQ(count(html, "</script>"), 2u + 5u);
    EXPECT_THAT(html, Not(HasSubstr("alert(1)<")));
    EXPECT_THAT(html, Not(HasSubstr("onload=\"x")));
    EXPECT_THAT(html, HasSubstr("Tiles &lt;today&gt; &amp; &quot;tomorrow&quot;"));
    EXPECT_THAT(html, HasSubstr("98.1 %"));
    EXPECT_THAT(html, HasSubstr("5 &lt; 6"));
    EXPECT_THAT(html, HasSubstr("default-src 'none'"));
    for (const char* link : {"http:", "https:", "//", "url(", "@import", "<link", "<iframe"})
    {
        EXPECT_EQ(without(html, "<script", "</script>").find(link), std::string::npos) << link;
    }
    const nlohmann::json data = dataOf(html);
    std::vector<std::string> names;
    for (const auto& each : data.at("items"))
        names.push_back(each.at("name"));
    // highest first, whatever the order they came in
    EXPECT_THAT(names,
                ::testing::ElementsAre("b\" onload=\"x.png", "false.png", "new.png", "missed.png", "a<script>alert(1)</script>.png"));
    EXPECT_EQ(data["cut"], 0.5);
    EXPECT_EQ(data["items"][0]["label"], "scratch");
    EXPECT_EQ(data["items"][0]["defective"], true);
    EXPECT_EQ(data["items"][1]["bad"], true);
    EXPECT_EQ(data["items"][1]["defective"], false);
    EXPECT_FALSE(data["items"][2].contains("label"));
    EXPECT_EQ(data["items"][3]["masked"], true);
}

TEST(Report, PicturesMapsAndMasksAreThere)
{
    const TempFolder folder;
    ReportItem one = item("a.png", 0.9, Label::Anomalous);
    one.mapThreshold = 0.3;
    writeReport(folder / "r.html", report(), {one});
    const std::string html = test::readBytes(folder / "r.html");
    const std::vector<std::string> lines = pictures(html, 0);
    ASSERT_EQ(lines.size(), 3u);
    const cv::Mat picture = decoded(lines[0]), map = decoded(lines[1]), mask = decoded(lines[2]);
    EXPECT_EQ(picture.size(), one.image.size());
    EXPECT_LT(cv::norm(picture, one.image, cv::NORM_INF), 8);
    // stored from 0 to four thresholds
    ASSERT_EQ(map.type(), CV_8UC1);
    EXPECT_NEAR(map.at<uchar>(0, 0), 0.1 / 1.2 * 255, 1);
    EXPECT_NEAR(map.at<uchar>(10, 10), 0.9 / 1.2 * 255, 1);
    EXPECT_NEAR(dataOf(html)["items"][0]["limit"].get<double>(), 0.3 / 1.2 * 255, 1e-9);
    EXPECT_EQ(cv::norm(mask, one.mask, cv::NORM_INF), 0);
}

TEST(Report, ThresholdsThatDifferShareAnAxisOfMultiples)
{
    const TempFolder folder;
    ReportItem one = item("one.png", 0.4), other = item("other.png", 6);
    other.threshold = 5;
    one.mapThreshold = 1;
    other.mapThreshold = 10;
    writeReport(folder / "r.html", report(), {other, one});
    const nlohmann::json data = dataOf(test::readBytes(folder / "r.html"));
    EXPECT_EQ(data["relative"], true);
    EXPECT_EQ(data["cut"], 1);
    EXPECT_NEAR(data["items"][0]["at"].get<double>(), 1.2, 1e-12);
    EXPECT_NEAR(data["items"][1]["at"].get<double>(), 0.8, 1e-12);
    EXPECT_EQ(data["map"]["cut"], 1);
    EXPECT_EQ(data["map"]["high"], 2);
    // thresholds of 0 have no multiples: then there is none to drag
    one.threshold = 0;
    writeReport(folder / "none.html", report(), {one, other});
    EXPECT_TRUE(dataOf(test::readBytes(folder / "none.html"))["cut"].is_null());
}

TEST(Report, TablesAndCharts)
{
    const TempFolder folder;
    Report page = report();
    page.tables = {{"Kinds <of> defect", {"Defect", "AUROC"}, {{"hole & crack", "0.9"}}, "note"}};
    page.charts = {{"ROC", "false", "true", 1, {{"images <a>", "images", "line-a", {{0, 0}, {0.2, 0.8}, {1, 1}}}}},
                    {"PRO", "false", "overlap", 0.3, {{"pixels", "pixels", "line-b", {{0, 0}, {0.2, 0.5}, {0.4, 0.7}, {1, 1}}}}}};
    writeReport(folder / "r.html", page, {item("a.png", 0.2, Label::Good)});
    const std::string html = test::readBytes(folder / "r.html");
    EXPECT_EQ(unbalanced(html), "");
    EXPECT_EQ(count(html, "<svg"), 2u);
    EXPECT_EQ(count(html, "<table>"), 1u);
    EXPECT_THAT(html, HasSubstr("hole &amp; crack"));
    EXPECT_THAT(html, HasSubstr("images &lt;a&gt;"));
    // 0 to 0.3 spans 46 to 328 of 340: the line ends on the edge, half way between 0.5 and 0.7
    EXPECT_THAT(html, HasSubstr("M46.0 256.0L234.0 133.0L328.0 108.4\""));
}

TEST(Report, OddCases)
{
    const TempFolder folder;
    writeReport(folder / "none.html", report(), {});
    EXPECT_EQ(unbalanced(test::readBytes(folder / "none.html")), "");
    ReportItem bare = item("bare", -3);
    bare.map = cv::Mat();
    bare.threshold = 0;
    bare.seconds = 0;
    writeReport(folder / "bare.html", Report{}, {bare, item("long", 1e9, Label::Good, {3, 5000})});
    EXPECT_EQ(unbalanced(test::readBytes(folder / "bare.html")), "");
    EXPECT_THAT(test::readBytes(folder / "bare.html"), Not(HasSubstr("nan")));
    EXPECT_THAT(errorOf([&] { writeReport(folder.path() / "no/r.html", report(), {}); }), HasSubstr("no/r.html"));
    EXPECT_THAT(errorOf([&] { writeReport(folder / "r.html", report(), {item("x.png", NAN)}); }), HasSubstr("x.png"));
    EXPECT_FALSE(std::filesystem::exists(folder / "r.html"));
}

TEST(Report, ManyItemsShareThePageWhateverTheirPictures)
{
    const TempFolder folder;
    ReportItem noise = item("", 0.4, Label::Anomalous, {640, 480});
    cv::theRNG().state = 1;
    cv::randu(noise.image, 0, 256); // as large as a JPEG can be
    cv::randu(noise.map, 0, 1);
    noise.map = cv::repeat(noise.map, 13, 13);
    noise.mapThreshold = 0.3;
    Report page = report();
    for (const int expected : {10, 2000})
    {
        page.expected = expected;
        ReportWriter writer(folder / "r.html");
        for (int i = 0; i < 10; i++)
            writer.add(noise, page);
        writer.finish(page);
        const std::string html = test::readBytes(folder / "r.html");
        const std::vector<std::string> lines = pictures(html, 9);
        // 2000 of those: 56 MB
        EXPECT_LT(lines[0].size() + lines[1].size() + lines[2].size(), expected == 10 ? 401'000u : 28'000u) << expected;
        EXPECT_EQ(decoded(lines[0]).cols > 400, expected == 10);
        EXPECT_EQ(count(html, "type=\"text/plain\""), 10u);
        EXPECT_EQ(unbalanced(html), "");
    }
}

} // namespace
} // namespace agpnet::tools
