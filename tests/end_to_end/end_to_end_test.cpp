// The programs as a user runs them, in processes of their own: draw a demo set, train on it, inspect, evaluate, resume; then a stock
// OpenCV program and Debian's Python cv2 load the plugin and must print the same score. Needs the default backbone, which
// scripts/test fetches.
#include "tests/end_to_end/program.h"
#include "tests/support/tiny_backbone.h"

#include <csignal>
#include <fstream>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>
#include <opencv2/imgcodecs.hpp>
#include <opencv2/imgproc.hpp>
#include <thread>
#include <unistd.h>

namespace agpnet
{
namespace
{

using nlohmann::json;
using ::testing::HasSubstr;
using test::Outcome;
using test::run;
using test::shellQuoted;
using test::TempFolder;
namespace fs = std::filesystem;

/// The number after "score " in a sample's output.
double scoreIn(const std::string& text)
{
    const size_t at = text.find("score ");
    return at == std::string::npos ? -1 : std::atof(text.c_str() + at + 6);
}

const std::string agpnetProgram = AGPNET_PROGRAM;

class EndToEnd : public ::testing::Test
{
protected:
    static void SetUpTestSuite()
    {
        folder = new TempFolder;
        backbone = AGPNET_DEFAULT_BACKBONE;
        if (!fs::exists(backbone))
            return;
        ASSERT_EQ(run(agpnetProgram + " demo-data " + shellQuoted(*folder / "demo") +
                      " --product tile --train 32 --test-good 10 --test-defective 5")
                      .code,
                  0);
        data = *folder / "demo/tile";
        model = *folder / "tile.agp";
        const Outcome trained = run(agpnetProgram + " train --json --data " + shellQuoted(data) + " --out " + shellQuoted(model) +
                                    " --backbone " + shellQuoted(backbone) +
                                    " --size 168 --steps 60 --no-image-noise --lr 0.002 --config " + shellQuoted(R"({"metric":"cosine"})"));
        ASSERT_EQ(trained.code, 0) << trained.text;
        for (const auto& entry : fs::directory_iterator(data + "/test/" + "crack"))
            defective.push_back(entry.path().string());
        std::sort(defective.begin(), defective.end());
    }
    static void TearDownTestSuite()
    {
        delete folder;
        folder = nullptr;
    }
    void SetUp() override
    {
        if (!fs::exists(backbone))
            GTEST_SKIP() << "the default backbone is not there: ./scripts/fetch-backbone focus-vits14";
        ASSERT_TRUE(fs::exists(model));
        ASSERT_FALSE(defective.empty());
    }
    /// In float32, as the graphs it is compared with: bfloat16 makes thousandths of a blob's last bits, and these depend on OpenCV's
    /// version.
    static double detectScore(const std::string& image)
    {
        const Outcome found = run(agpnetProgram + " detect --precision fp32 --json " + shellQuoted(model) + " " + shellQuoted(image));
        return test::firstLine(found.text).at("score").get<double>();
    }

    static TempFolder* folder;
    static std::string backbone, data, model;
    static std::vector<std::string> defective;
};
TempFolder* EndToEnd::folder = nullptr;
std::string EndToEnd::backbone, EndToEnd::data, EndToEnd::model;
std::vector<std::string> EndToEnd::defective;

TEST_F(EndToEnd, FindsTheDefects)
{
    const Outcome out = run(agpnetProgram + " evaluate --json " + shellQuoted(model) + " --data " + shellQuoted(data) + " --out " +
                            shellQuoted(*folder / "figures.json") + " --report " + shellQuoted(*folder / "report.html"));
    ASSERT_EQ(out.code, 0) << out.text;
    const json figures = json::parse(out.text);
    RecordProperty("image_auroc", figures["image"]["auroc"].dump());
    EXPECT_GE(figures["image"]["auroc"].get<double>(), 0.90) << out.text;
    EXPECT_GE(figures["pixel"]["auroc"].get<double>(), 0.93) << out.text;
    EXPECT_GE(figures["pixel"]["aupro_0.3"].get<double>(), 0.80) << out.text;
    std::ifstream written(*folder / "figures.json");
    EXPECT_EQ(json::parse(written).at("image"), figures.at("image"));
    EXPECT_GT(fs::file_size(*folder / "report.html"), 100'000u);
}

TEST_F(EndToEnd, SharesOfSeveralProcessesGiveTheSameFigures)
{
    const std::string from = agpnetProgram + " evaluate --json --batch 1 --data " + shellQuoted(data);
    const std::string maps = " --save-maps " + shellQuoted(*folder / "shares");
    const Outcome whole = run(from + " " + shellQuoted(model));
    ASSERT_EQ(whole.code, 0) << whole.text;
    size_t images = 0;
    for (const char* share : {"3/3", "1/3", "2/3"})
    {
        const Outcome part = run(from + " " + shellQuoted(model) + maps + " --share " + share);
        ASSERT_EQ(part.code, 0) << part.text;
        images += json::parse(part.text).at("images").get<size_t>();
    }
    const json a = json::parse(whole.text);
    const Outcome merged =
        run(agpnetProgram + " evaluate --json --data " + shellQuoted(data) + " --maps " + shellQuoted(*folder / "shares"));
    ASSERT_EQ(merged.code, 0) << merged.text;
    const json b = json::parse(merged.text);
    for (const char* part : {"image", "pixel", "defects", "data"})
        EXPECT_EQ(a.at(part), b.at(part)) << part;
    EXPECT_EQ(images, a.at("data").at("good").get<size_t>() + a.at("data").at("anomalous").get<size_t>());
    const Outcome bare = run(from + " " + shellQuoted(model) + " --share 1/3");
    EXPECT_NE(bare.code, 0);
    EXPECT_NE(bare.text.find("--save-maps"), std::string::npos) << bare.text;
}

TEST_F(EndToEnd, SavedMapsGiveTheSameFigures)
{
    const std::string maps = *folder / "maps";
    const Outcome model_ = run(agpnetProgram + " evaluate --json --data " + shellQuoted(data) + " " + shellQuoted(model) + " --save-maps " +
                               shellQuoted(maps) + " --report " + shellQuoted(*folder / "model.html"));
    ASSERT_EQ(model_.code, 0) << model_.text;
    const Outcome maps_ = run(agpnetProgram + " evaluate --json --maps " + shellQuoted(maps) + " --data " + shellQuoted(data) +
                              " --report " + shellQuoted(*folder / "maps.html"));
    ASSERT_EQ(maps_.code, 0) << maps_.text;
    const json a = json::parse(model_.text), b = json::parse(maps_.text);
    for (const char* part : {"image", "pixel", "defects", "data", "evaluation_size"})
        EXPECT_EQ(a.at(part), b.at(part)) << part;
    EXPECT_TRUE(a.at("latency_seconds").at("p99") >= a.at("latency_seconds").at("p50"));
    EXPECT_EQ(b.at("score"), "scores.csv");
    EXPECT_FALSE(a.at("config").empty());
    for (const char* version : {"agpnet", "opencv", "libtorch"})
        EXPECT_FALSE(a.at("versions").at(version).get<std::string>().empty());
    EXPECT_GT(fs::file_size(*folder / "maps.html"), 100'000u);

    // two classes: the same one twice, under two names, has the same mean
    fs::create_directory_symlink(data, *folder / "two/a");
    fs::create_directory_symlink(data, *folder / "two/b");
    fs::create_directory_symlink(maps, *folder / "twomaps/a");
    fs::create_directory_symlink(maps, *folder / "twomaps/b");
    const Outcome two = run(agpnetProgram + " evaluate --json --maps " + shellQuoted(*folder / "twomaps") + " --data " +
                            shellQuoted(*folder / "two") + " --category a --category b");
    ASSERT_EQ(two.code, 0) << two.text;
    const json c = json::parse(two.text);
    ASSERT_EQ(c.at("classes").size(), 2u);
    EXPECT_NEAR(c["image"]["auroc"].get<double>(), a["image"]["auroc"].get<double>(), 1e-12);
    EXPECT_EQ(c["classes"][1]["pixel"], a["pixel"]);

    // few pixels exact: the figures lie within their bounds
    const Outcome binned =
        run(agpnetProgram + " evaluate --json --maps " + shellQuoted(maps) + " --data " + shellQuoted(data) + " --exact-pixels 1000");
    const json d = json::parse(binned.text);
    EXPECT_GT(d["pixel"]["max_error"].get<double>(), 0);
    EXPECT_LT(d["pixel"]["max_error"].get<double>(), 1e-3);
    EXPECT_NEAR(d["pixel"]["auroc"].get<double>(), a["pixel"]["auroc"].get<double>(), d["pixel"]["max_error"].get<double>() + 1e-12);

    // a missing map is named
    fs::remove(maps + "/crack/" + fs::path(defective[0]).stem().string() + ".tiff");
    const Outcome missing = run(agpnetProgram + " evaluate --maps " + shellQuoted(maps) + " --data " + shellQuoted(data));
    EXPECT_EQ(missing.code, 1);
    EXPECT_THAT(missing.text, HasSubstr("crack/" + fs::path(defective[0]).stem().string()));
}

TEST_F(EndToEnd, StockProgramsPrintTheScoreOfDetect)
{
    const std::string onnx = *folder / "tile.onnx";
    for (const char* stages : {"", " --stages"})
    {
        ASSERT_EQ(run(agpnetProgram + " export " + shellQuoted(model) + " --onnx-graph " + shellQuoted(onnx) +
                      " --size 256x256 --precision fp32" + stages)
                      .code,
                  0);
        for (const std::string& image : {defective[0], defective[1]})
        {
            const double expected = detectScore(image);
            const std::string arguments = " " AGPNET_PLUGIN_PATH " " + shellQuoted(onnx) + " " + shellQuoted(image);
            const Outcome cpp = run(AGPNET_SAMPLE_INSPECT + arguments);
            ASSERT_EQ(cpp.code, 0) << cpp.text;
            EXPECT_NEAR(scoreIn(cpp.text), expected, 1e-4) << cpp.text;
            const Outcome python =
                run("PYTHONPATH=" AGPNET_PYTHON " /usr/bin/python3 " AGPNET_SAMPLES "/python/inspect_image.py" + arguments);
            ASSERT_EQ(python.code, 0) << python.text;
            EXPECT_NEAR(scoreIn(python.text), expected, 1e-4) << python.text;
        }
    }
}

TEST_F(EndToEnd, ReadmeProgramsRun)
{
    const std::string place = *folder / "readme";
    fs::create_directories(place);
    ASSERT_EQ(run(agpnetProgram + " export " + shellQuoted(model) + " --onnx-graph " + shellQuoted(place + "/tile.onnx") +
                  " --size 256x256 --precision fp32")
                  .code,
              0);
    fs::copy_file(defective[0], place + "/part.png");
    const double expected = detectScore(defective[0]);
    const std::string start = "cd " + shellQuoted(place) + " && AGPNET_PLUGIN=" AGPNET_PLUGIN_PATH " ";
    const Outcome cpp = run(start + AGPNET_README_PROGRAM);
    ASSERT_EQ(cpp.code, 0) << cpp.text;
    EXPECT_NEAR(scoreIn(cpp.text), expected, 1e-4);
    const Outcome python = run(start + "PYTHONPATH=" AGPNET_PYTHON " /usr/bin/python3 " AGPNET_README_SCRIPT);
    ASSERT_EQ(python.code, 0) << python.text;
    EXPECT_NEAR(scoreIn(python.text), expected, 1e-4);
}

TEST_F(EndToEnd, TrainsFromAnImageSequence)
{
    const std::string out = *folder / "video.agp";
    const std::string config = R"({"height":56,"width":56,"image_noise":false})";
    setenv("AGPNET_PLUGIN", AGPNET_PLUGIN_PATH, 1);
    const Outcome trained = run(AGPNET_SAMPLE_TRAIN " " + shellQuoted(data + "/train/good/%03d.png") + " " + shellQuoted(backbone) + " " +
                                shellQuoted(out) + " 3 " + shellQuoted(config));
    ASSERT_EQ(trained.code, 0) << trained.text;
    EXPECT_THAT(trained.text, HasSubstr("step 3 of 3"));
    EXPECT_EQ(run(agpnetProgram + " detect " + shellQuoted(out) + " " + shellQuoted(defective[0])).code, 0);
}

TEST_F(EndToEnd, DetectWritesWhatItSays)
{
    const std::string out = *folder / "out";
    const Outcome found = run(agpnetProgram + " detect --exit-code " + shellQuoted(model) + " " + shellQuoted(data + "/test/crack/*.png") +
                              " --out " + shellQuoted(out) + " --report " + shellQuoted(*folder / "detect.html") + " --sensitivity 1000");
    EXPECT_EQ(found.code, 3) << found.text;
    for (const std::string& image : defective)
    {
        const std::string base = out + "/" + fs::path(image).stem().string();
        const cv::Mat source = cv::imread(image), map = cv::imread(base + "_map.tiff", cv::IMREAD_UNCHANGED);
        EXPECT_EQ(map.type(), CV_32F);
        EXPECT_EQ(map.size(), source.size());
        EXPECT_EQ(cv::imread(base + "_mask.png", cv::IMREAD_UNCHANGED).type(), CV_8U);
        EXPECT_EQ(cv::imread(base + "_overlay.png").size(), source.size());
    }
    EXPECT_TRUE(fs::exists(*folder / "detect.html"));
}

TEST_F(EndToEnd, OneBadImageDoesNotCostTheOthers)
{
    const std::string bad = *folder / "bad.png";
    std::ofstream(bad) << "no picture";
    const Outcome found = run(agpnetProgram + " detect " + shellQuoted(model) + " " + shellQuoted(bad) + " " + shellQuoted(defective[0]));
    EXPECT_EQ(found.code, 1);
    EXPECT_THAT(found.text, HasSubstr("bad.png"));
    EXPECT_THAT(found.text, HasSubstr("of 1 images anomalous"));
    EXPECT_THAT(found.text, HasSubstr("1 of 2 images could not be inspected"));
}

TEST_F(EndToEnd, InterruptedTrainingGoesOnExactly)
{
    const auto command = [&](const std::string& out, const std::string& more)
    {
        return agpnetProgram + " train --data " + shellQuoted(data) + " --out " + shellQuoted(out) + " --backbone " +
               shellQuoted(backbone) + " --size 56 --steps 12 --batch 4 --no-image-noise --reference-backbone" + more;
    };
    ASSERT_EQ(run(command(*folder / "whole.agp", "")).code, 0);
    // the shell gives us its process number, then becomes the program
    const std::string pidFile = *folder / "pid", part = *folder / "part.agp";
    std::thread interrupter([&] {
        for (int i = 0; i < 600; i++)
        {
            std::this_thread::sleep_for(std::chrono::milliseconds(100));
            std::ifstream log(*folder / "log");
            const std::string text((std::istreambuf_iterator<char>(log)), {});
            if (text.find("step 1/") != std::string::npos)
            {
                std::ifstream in(pidFile);
                pid_t pid = 0;
                in >> pid;
                if (pid > 0)
                    ::kill(pid, SIGINT);
                return;
            }
        }
    });
    const Outcome first =
        run("sh -c \"echo \\$\\$ > " + shellQuoted(pidFile) + "; exec " + command(part, "") + "\" > " + shellQuoted(*folder / "log"));
    interrupter.join();
    if (first.code == 130) // else it was done before the signal came
    {
        EXPECT_FALSE(fs::exists(part)) << "nothing half written";
        EXPECT_TRUE(fs::exists(part + ".state"));
        ASSERT_EQ(run(command(part, " --resume")).code, 0);
        EXPECT_FALSE(fs::exists(part + ".state"));
    }
    else
        ASSERT_EQ(first.code, 0);
    const auto scoreOf = [&](const std::string& file)
    {
        return test::firstLine(run(agpnetProgram + " detect --json " + shellQuoted(file) + " " + shellQuoted(defective[0])).text)
            .at("score")
            .get<double>();
    };
    EXPECT_NEAR(scoreOf(*folder / "whole.agp"), scoreOf(part), 1e-5);
}

/// A part as it comes from a grinder, 1408 by 512 pixels.
cv::Mat groundPart(uint64_t seed)
{
    cv::Mat grain(512, 1408, CV_32F);
    cv::RNG(seed).fill(grain, cv::RNG::NORMAL, 0, 40);
    cv::GaussianBlur(grain, grain, {41, 1}, 12);
    cv::Mat image;
    grain.convertTo(image, CV_8U, 1, 150);
    cv::cvtColor(image, image, cv::COLOR_GRAY2BGR);
    return image;
}

TEST_F(EndToEnd, FindsATinyDefectInALargePart)
{
    for (int i = 0; i < 6; i++)
        cv::imwrite(*folder / ("parts/" + std::to_string(i) + ".png"), groundPart(static_cast<uint64_t>(i)));
    const std::string large = *folder / "large.agp";
    const Outcome trained =
        run(agpnetProgram + " train --data " + shellQuoted(*folder / "parts") + " --out " + shellQuoted(large) + " --backbone " +
            shellQuoted(backbone) + " --tile 256 --size 126 --steps 60 --batch 4 --no-image-noise --reference-backbone");
    ASSERT_EQ(trained.code, 0) << trained.text;
    const auto found = [&](const cv::Mat& image) {
        const std::string path = *folder / "part.png";
        cv::imwrite(path, image);
        const Outcome outcome = run(agpnetProgram + " detect --json " + shellQuoted(large) + " " + shellQuoted(path));
        EXPECT_EQ(outcome.code, 0) << outcome.text;
        return test::firstLine(outcome.text);
    };
    double good = 0;
    for (uint64_t seed : {100, 101})
        good = std::max(good, found(groundPart(seed)).at("score").get<double>());
    for (const cv::Point at : {cv::Point(200, 100), cv::Point(704, 256), cv::Point(1395, 500)})
    {
        cv::Mat image = groundPart(static_cast<uint64_t>(at.x));
        cv::circle(image, at, 5, cv::Scalar(40, 40, 40), cv::FILLED);
        const json result = found(image);
        EXPECT_GT(result.at("score").get<double>(), good) << at;
        EXPECT_TRUE(result.at("anomalous").get<bool>()) << at;
        ASSERT_FALSE(result.at("regions").empty()) << at;
        const json peak = result["regions"][0]["peak"];
        EXPECT_LT(cv::norm(cv::Point(peak[0].get<int>(), peak[1].get<int>()) - at), 24) << at << peak;
    }
}

struct BadCommand
{
    const char* name;
    std::string arguments; ///< {data} {model} {tmp} are filled in
    int code;
    const char* part;
};

class BadCommands : public EndToEnd, public ::testing::WithParamInterface<BadCommand>
{
};

TEST_P(BadCommands, SayOneSentence)
{
    std::string arguments = GetParam().arguments;
    for (const auto& [key, value] : {std::pair<std::string, std::string>{"{data}", data}, {"{model}", model}, {"{tmp}", *folder / "x"}})
        for (size_t at; (at = arguments.find(key)) != std::string::npos;)
            arguments.replace(at, key.size(), value);
    fs::create_directories(*folder / "x/empty");
    std::ofstream(*folder / "x/notes.txt") << "text";
    const Outcome outcome = run(agpnetProgram + " " + arguments);
    EXPECT_EQ(outcome.code, GetParam().code) << outcome.text;
    EXPECT_THAT(outcome.text, HasSubstr(GetParam().part));
    EXPECT_EQ(outcome.text.find("terminate called"), std::string::npos);
    EXPECT_FALSE(fs::exists(*folder / "x/m.agp"));
}

INSTANTIATE_TEST_SUITE_P(
    Table, BadCommands,
    ::testing::Values(
        BadCommand{"NoCommand", "", 2, "subcommand"}, BadCommand{"UnknownCommand", "trian", 2, "trian"},
        BadCommand{"NoData", "train --out {tmp}/m.agp", 2, "--data"},
        BadCommand{"MissingFolder", "train --data {tmp}/none --out {tmp}/m.agp", 1, "none"},
        BadCommand{"EmptyFolder", "train --data {tmp}/empty --out {tmp}/m.agp", 1, "empty"},
        BadCommand{"OutFolderMissing", "train --data {data} --out {tmp}/none/m.agp", 1, "does not exist"},
        BadCommand{"OutIsFolder", "train --data {data} --out {tmp}/empty", 1, "is a folder"},
        BadCommand{"BackboneMissing", "train --data {data} --out {tmp}/m.agp --backbone {tmp}/w.pth", 1, "w.pth"},
        BadCommand{"BackboneIsText", "train --data {data} --out {tmp}/m.agp --backbone {tmp}/notes.txt", 1, "notes.txt"},
        BadCommand{"BadConfigKey", "train --data {data} --out {tmp}/m.agp --config '{\"setps\":1}'", 1, "setps"},
        BadCommand{"BadSize", "train --data {data} --out {tmp}/m.agp --size 250", 1, "no multiple of the backbone's patch"},
        BadCommand{"SizeIsText", "train --data {data} --out {tmp}/m.agp --size large", 1, "--size is 'large'"},
        BadCommand{"NothingToResume", "train --data {data} --out {tmp}/m.agp --resume", 1, "m.agp.state"},
        BadCommand{"ModelMissing", "detect {tmp}/none.agp {data}", 1, "none.agp"},
        BadCommand{"ModelIsText", "detect {tmp}/notes.txt {data}/test/crack", 1, "notes.txt"},
        BadCommand{"ImageMissing", "detect {model} {tmp}/none.png", 1, "none.png"},
        BadCommand{"GlobOfNothing", "detect {model} '{tmp}/*.bmp'", 1, "*.bmp"},
        BadCommand{"BadSensitivity", "detect {model} {data}/test/crack --sensitivity 0", 2, "sensitivity"},
        BadCommand{"BadTile", "train --data {data} --out {tmp}/m.agp --tile 7", 1, "'tile' is 7, expected 0 (off) or 32 to 16384"},
        BadCommand{"BadAugmentation", "train --data {data} --out {tmp}/m.agp --augment mirror", 1, "'augment' names 'mirror'"},
        BadCommand{"UnknownProduct", "detect {model} {data}/test/crack --product bolt", 1, "product is 'bolt'"},
        BadCommand{"EvaluateNothing", "evaluate {model} --data {tmp}/empty", 1, "empty"},
        BadCommand{"EvaluateNoModel", "evaluate --data {data}", 1, "neither was given"},
        BadCommand{"EvaluateModelAndMaps", "evaluate {model} --maps {tmp} --data {data}", 1, "both were given"},
        BadCommand{"EvaluateNoMaps", "evaluate --maps {tmp}/none --data {data}", 1, "no such folder"},
        BadCommand{"EvaluateTwice", "evaluate {model} --data {data} --data {data}", 1, "a second class named"},
        BadCommand{"CategoryMissing", "train --data {data} --category cup --out {tmp}/m.agp", 1, "'cup'"},
        BadCommand{"SplitMissing", "train --data {data} --split {tmp}/none.txt --out {tmp}/m.agp", 1, "none.txt"},
        BadCommand{"SplitIsText", "evaluate {model} --data {data} --split {tmp}/notes.txt", 1, "line 1: 'text'"},
        BadCommand{"ReportUnwritable", "detect {model} {data}/test/crack --report {tmp}/none/r.html", 1, "r.html"},
        BadCommand{"ExportUnwritable", "export {model} --onnx-graph {tmp}/none/g.onnx", 1, "g.onnx"}),
    [](const auto& parameter) { return parameter.param.name; });

} // namespace
} // namespace agpnet
