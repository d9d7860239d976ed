#include "apps/tools/report.h"

#include "tests/support/temp_folder.h"

#include <algorithm>
#include <cmath>
#include <opencv2/imgcodecs.hpp>
#include <opencv2/imgproc.hpp>

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
    html = without(without(without(html, "<style>", "</style>"), "<script>", "</script>"), "<!doctype", ">");
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
    EXPECT_EQ(count(html, "<li class=\"card\""), 5u);
    EXPECT_EQ(count(html, "<script"), 1u);
    EXPECT_THAT(html, Not(HasSubstr("alert(1)<")));
    EXPECT_THAT(html, HasSubstr("a&lt;script&gt;alert(1)"));
    EXPECT_THAT(html, Not(HasSubstr("onload=\"x")));
    EXPECT_THAT(html, HasSubstr("Tiles &lt;today&gt; &amp; &quot;tomorrow&quot;"));
    EXPECT_THAT(html, HasSubstr("98.1 %"));
    EXPECT_THAT(html, HasSubstr("5 &lt; 6"));
    EXPECT_THAT(html, HasSubstr("default-src 'none'"));
    for (const char* link : {"http:", "https:", "//", "url(", "@import", "<link", "<iframe"})
    {
        EXPECT_EQ(without(html, "base64,", "\"").find(link), std::string::npos) << link;
    }
    EXPECT_EQ(count(html, ">Missed<"), 1u);
    EXPECT_EQ(count(html, ">False alarm<"), 1u);
    EXPECT_EQ(count(html, "class=\"truth\""), 2u);
    // highest first, whatever the order they came in
    EXPECT_LT(html.find("data-score=\"0.9\""), html.find("data-score=\"0.7\""));
    EXPECT_LT(html.find("data-score=\"0.4\""), html.find("data-score=\"0.2\""));
}

TEST(Report, TablesAndCharts)
{
    const TempFolder folder;
    Report facts = report();
    facts.tables = {{"Kinds <of> defect", {"Defect", "AUROC"}, {{"hole & crack", "0.9"}}, "note"}};
    facts.charts = {{"ROC", "false", "true", 1, {{"images <a>", "images", "line-a", {{0, 0}, {0.2, 0.8}, {1, 1}}}}},
                    {"PRO", "false", "overlap", 0.3, {{"pixels", "pixels", "line-b", {{0, 0}, {0.2, 0.5}, {0.4, 0.7}, {1, 1}}}}}};
    writeReport(folder / "r.html", facts, {item("a.png", 0.2, Label::Good)});
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

TEST(Report, HundredsOfItemsStaySmall)
{
    const TempFolder folder;
    ReportWriter writer(folder / "r.html");
    const Report facts = report();
    for (int i = 0; i < 300; i++)
        writer.add(item(std::to_string(i), (i * 37 % 300) / 300.0, i % 2 ? Label::Good : Label::Anomalous, {640, 480}), facts);
    writer.finish(facts);
    EXPECT_LT(std::filesystem::file_size(folder / "r.html"), 10u << 20);
    EXPECT_EQ(unbalanced(test::readBytes(folder / "r.html")), "");
    EXPECT_EQ(count(test::readBytes(folder / "r.html"), "<li class=\"card\""), 300u);
}

TEST(Overlay, ColdStaysHotIsColouredAndOutlined)
{
    const cv::Mat image(100, 120, CV_8UC3, cv::Scalar(100, 100, 100));
    cv::Mat map(100, 120, CV_32F, cv::Scalar(0));
    map(cv::Rect(40, 30, 30, 30)) = 1.0f;
    const cv::Mat picture = overlay(image, map, {0, 1}, 0.5);
    EXPECT_EQ(picture.size(), image.size());
    EXPECT_EQ(picture.at<cv::Vec3b>(5, 5), cv::Vec3b(100, 100, 100));
    EXPECT_GT(picture.at<cv::Vec3b>(45, 55)[2], 200);
    EXPECT_EQ(picture.at<cv::Vec3b>(30, 55), cv::Vec3b(255, 255, 255)); // the outline
}

TEST(Overlay, PeaksOfOnePixelSurviveShrinking)
{
    const cv::Mat image(64, 64, CV_8UC3, cv::Scalar(100, 100, 100));
    cv::Mat map(1000, 1000, CV_32F, cv::Scalar(0));
    map.at<float>(333, 501) = 1;
    cv::Mat difference;
    cv::absdiff(overlay(image, map, {0, 1}, 0.5), image, difference);
    EXPECT_GT(cv::countNonZero(difference.reshape(1)), 0);
}

TEST(Overlay, RefusesWhatMakesNoSense)
{
    const cv::Mat image(8, 8, CV_8UC3, cv::Scalar::all(0));
    EXPECT_THAT(errorOf([&] { overlay(image, cv::Mat(8, 8, CV_32F, cv::Scalar(NAN)), {0, 1}, 0.5); }), HasSubstr("not finite"));
    EXPECT_THAT(errorOf([&] { overlay(image, cv::Mat(8, 8, CV_32F, cv::Scalar(0)), {1, 1}, 0.5); }), HasSubstr("must be higher"));
    EXPECT_THAT(errorOf([&] { overlay(image, image, {0, 1}, 0.5); }), HasSubstr("8UC3"));
}

} // namespace
} // namespace agpnet::tools
