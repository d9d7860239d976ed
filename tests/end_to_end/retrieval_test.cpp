// The commands of retrieval around a tiny backbone: train, evaluate, index, query; what is refused, and what a killed or repeated run
// leaves.
#include "tests/end_to_end/program.h"
#include "tests/support/tiny_backbone.h"

#include <csignal>
#include <fstream>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <opencv2/imgcodecs.hpp>
#include <opencv2/imgproc.hpp>

namespace agpnet::test
{
namespace
{

using nlohmann::json;
using ::testing::HasSubstr;
using ::testing::Not;
namespace fs = std::filesystem;

class RetrievalProgram : public ::testing::Test
{
protected:
    /// CLASS/OBJECT/N.png: a rectangle of the class's proportions and the object's colours, turned from view to view.
    void draw(const std::string& name, int classes, int objects, int views, int firstClass = 0)
    {
        for (int c = 0; c < classes; c++)
            for (int o = 0; o < objects; o++)
                for (int v = 0; v < views; v++)
                {
                    cv::Mat image(64, 64, CV_8UC3, cv::Scalar::all(230));
                    const int number = firstClass + c;
                    cv::RNG random(static_cast<uint64_t>(number * 50 + o + 1));
                    const cv::Scalar colour(random.uniform(0, 160), random.uniform(0, 160), random.uniform(0, 160));
                    const cv::RotatedRect shape({32, 32},
                                                {12.F + 4.F * static_cast<float>(number % 5), 40.F - 5.F * static_cast<float>(number / 5)},
                                                30.F * static_cast<float>(v));
                    cv::Point2f corners[4];
                    shape.points(corners);
                    std::vector<cv::Point> polygon(corners, corners + 4);
                    cv::fillConvexPoly(image, polygon, colour, cv::LINE_AA);
                    const fs::path path =
                        folder / name / ("class " + std::to_string(number)) / ("part " + std::to_string(number) + "-" + std::to_string(o));
                    fs::create_directories(path);
                    cv::imwrite((path / (std::to_string(v) + ".png")).string(), image);
                }
    }

    Outcome agpnet(const std::string& arguments) const { return run(std::string(AGPNET_PROGRAM) + " " + arguments); }
    std::string at(const std::string& name) const { return shellQuoted((folder / name).string()); }

    std::string trained()
    {
        draw("known", 6, 4, 4);
        backbone = writeTinyBackbone(folder);
        const Outcome outcome = agpnet("train --method dec --data " + at("known") + " --backbone " + shellQuoted(backbone) + " --out " +
                                       at("parts.agp") + R"( --config '{"epochs": 1}' --size 16 --json)");
        EXPECT_EQ(outcome.code, 0) << outcome.text;
        return at("parts.agp");
    }

    TempFolder folder;
    std::string backbone;
};

TEST_F(RetrievalProgram, TrainsIndexesAndFinds)
{
    const std::string model = trained();
    draw("others", 4, 3, 6, 6);
    const Outcome evaluated =
        agpnet("evaluate " + model + " --data " + at("others") + " --json --bootstrap 50 --out " + at("metrics.json"));
    ASSERT_EQ(evaluated.code, 0) << evaluated.text;
    const json metrics = firstLine(evaluated.text);
    EXPECT_EQ(metrics, json::parse(std::ifstream(folder / "metrics.json")));
    EXPECT_EQ(metrics.at("classes").at("queries"), 12);
    for (const char* key : {"map", "map_interpolated", "nn", "ndcg", "anmrr", "recall@5"})
    {
        const json& metric = metrics["classes"].at(key);
        EXPECT_GE(metric.at("value"), 0) << key;
        EXPECT_LE(metric.at("value"), 1) << key;
        EXPECT_LE(metric.at("interval").at(0), metric.at("interval").at(1)) << key;
    }
    const Outcome instance = agpnet("evaluate " + model + " --data " + at("others") + " --protocol instance --json");
    ASSERT_EQ(instance.code, 0) << instance.text;
    EXPECT_EQ(firstLine(instance.text).at("instance").at("1").at("queries"), 36); // the odd views of 12 objects
    EXPECT_EQ(firstLine(instance.text).at("instance").at("3").at("right_in_first_five"), 1);

    const Outcome indexed = agpnet("index --data " + at("others") + " --model " + model + " --out " + at("parts.agpx") + " --json");
    ASSERT_EQ(indexed.code, 0) << indexed.text;
    EXPECT_EQ(firstLine(indexed.text).at("added"), 12);
    const Outcome found = agpnet("query --index " + at("parts.agpx") + " " + at("others/class 7/part 7-1") + " --json --top 3");
    ASSERT_EQ(found.code, 0) << found.text;
    const json answer = firstLine(found.text);
    EXPECT_EQ(answer.at("matches").at(0).at("name"), "part 7-1");
    EXPECT_EQ(answer.at("matches").size(), 3U);
    EXPECT_EQ(answer.at("views"), 6);
    EXPECT_EQ(answer.at("matches").at(0).at("note").at("class"), "class 7");
    EXPECT_GE(answer.at("matches").at(0).at("chance"), 0);
    const Outcome others =
        agpnet("query --index " + at("parts.agpx") + " " + at("others/class 7/part 7-1") + " --json --leave-out 'part 7-1'");
    EXPECT_NE(firstLine(others.text).at("matches").at(0).at("name"), "part 7-1");
    const Outcome each = agpnet("query --index " + at("parts.agpx") + " " + at("others/class 7/part 7-1") + " --each");
    EXPECT_THAT(each.text, HasSubstr("5.png"));

    // the model elsewhere
    fs::create_directories(folder / "moved");
    fs::rename(folder / "parts.agpx", folder / "moved/parts.agpx");
    EXPECT_EQ(agpnet("query --index " + at("moved/parts.agpx") + " " + at("others/class 7/part 7-1") + " --json").code, 0);
    fs::rename(folder / "parts.agp", folder / "moved/parts.agp");
    EXPECT_EQ(agpnet("query --index " + at("moved/parts.agpx") + " " + at("others/class 7/part 7-1") + " --json").code, 0);
    fs::rename(folder / "moved/parts.agp", folder / "else.agp");
    const Outcome lost = agpnet("query --index " + at("moved/parts.agpx") + " " + at("others/class 7/part 7-1") + " --json");
    EXPECT_EQ(lost.code, 1);
    EXPECT_THAT(lost.text, HasSubstr("expected --model"));
}

TEST_F(RetrievalProgram, ABackboneAloneIndexes)
{
    backbone = writeTinyBackbone(folder);
    draw("catalogue", 4, 3, 4);
    const Outcome indexed =
        agpnet("index --data " + at("catalogue") + " --model " + shellQuoted(backbone) + " --out " + at("c.agpx") + " --json");
    ASSERT_EQ(indexed.code, 0) << indexed.text;
    EXPECT_TRUE(fs::exists(folder / "c.agp"));
    const Outcome found = agpnet("query --index " + at("c.agpx") + " " + at("catalogue/class 2/part 2-2") + " --json");
    ASSERT_EQ(found.code, 0) << found.text;
    EXPECT_EQ(firstLine(found.text).at("matches").at(0).at("name"), "part 2-2");
}

TEST_F(RetrievalProgram, FindsAndInspects)
{
    const std::string model = trained();
    fs::create_directories(folder / "inspectors");
    const Outcome inspector = agpnet("train --data " + at("known/class 1/part 1-1") + " --backbone " + shellQuoted(backbone) + " --out " +
                                     at("inspectors/part 1-1.agp") + " --steps 2 --size 16 --batch 2");
    ASSERT_EQ(inspector.code, 0) << inspector.text;
    ASSERT_EQ(
        agpnet("index --data " + at("known") + " --model " + model + " --inspect " + at("inspectors") + " --out " + at("k.agpx")).code, 0);
    const auto found = [&](const std::string& part) {
        const Outcome outcome = agpnet("query --index " + at("k.agpx") + " --inspect --reject 0.5 --json " + at("known/" + part));
        EXPECT_EQ(outcome.code, 0) << outcome.text;
        return firstLine(outcome.text);
    };
    const json judged = found("class 1/part 1-1");
    EXPECT_EQ(judged.at("matches").at(0).at("name"), "part 1-1");
    ASSERT_TRUE(judged.at("known").get<bool>());
    ASSERT_EQ(judged.at("inspected").size(), 4U);
    EXPECT_GE(judged.at("inspected").at(0).at("score"), 0);
    EXPECT_TRUE(found("class 2/part 2-1").at("inspected").empty()); // names no model
    fs::remove(folder / "inspectors/part 1-1.agp");
    const Outcome lost = agpnet("query --index " + at("k.agpx") + " --inspect --reject 0.5 " + at("known/class 1/part 1-1"));
    EXPECT_EQ(lost.code, 1);
    EXPECT_THAT(lost.text, HasSubstr("part 1-1.agp"));
}

TEST_F(RetrievalProgram, WatchesAVideoOfAPart)
{
    const std::string model = trained();
    ASSERT_EQ(agpnet("index --data " + at("known") + " --model " + model + " --out " + at("k.agpx")).code, 0);
    const Outcome watched = agpnet("watch " + at("k.agpx") + " " + at("known/class 3/part 3-2") + " --out " + at("w.avi"));
    EXPECT_EQ(watched.code, 0) << watched.text;
    EXPECT_THAT(watched.text, HasSubstr("part 3-2"));
    EXPECT_THAT(watched.text, HasSubstr("4 frames"));
    EXPECT_TRUE(fs::exists(folder / "w.avi"));
    const Outcome none = agpnet("watch " + at("k.agpx") + " " + at("nothing") + " --out " + at("w2.avi"));
    EXPECT_EQ(none.code, 1);
    EXPECT_FALSE(fs::exists(folder / "w2.avi"));
}

TEST_F(RetrievalProgram, UpdatesDescribeWhatHasChanged)
{
    const std::string model = trained();
    const std::string index = "index --data " + at("known") + " --model " + model + " --out " + at("k.agpx") + " --json";
    ASSERT_EQ(agpnet(index).code, 0);
    const auto updated = [&](const std::string& more = "") {
        const Outcome outcome = agpnet(index + " --update" + more);
        EXPECT_EQ(outcome.code, 0) << outcome.text;
        const json told = firstLine(outcome.text);
        return std::vector<size_t>{told.at("added"), told.at("replaced"), told.at("removed"), told.at("kept")};
    };
    EXPECT_EQ(updated(), (std::vector<size_t>{0, 0, 0, 24}));
    cv::imwrite((folder / "known/class 1/part 1-1/0.png").string(), cv::Mat(64, 64, CV_8UC3, cv::Scalar(9, 99, 200)));
    draw("known", 1, 1, 4, 8);
    fs::remove_all(folder / "known/class 2/part 2-0");
    EXPECT_EQ(updated(), (std::vector<size_t>{1, 1, 1, 22}));
    const Outcome unknown = agpnet(index + " --update --remove 'part 77'");
    EXPECT_EQ(unknown.code, 1);
    EXPECT_THAT(unknown.text, HasSubstr("no entry 'part 77'"));
    const Outcome smooth = agpnet(index + " --update --smooth 3");
    EXPECT_EQ(smooth.code, 1);
    EXPECT_THAT(smooth.text, HasSubstr("--smooth changes all entries"));
    EXPECT_EQ(agpnet(index + " --smooth 3").code, 0);
}

TEST_F(RetrievalProgram, InfoAndExportKnowModelsAndGalleries)
{
    const std::string model = trained();
    ASSERT_EQ(agpnet("index --data " + at("known") + " --model " + model + " --out " + at("k.agpx")).code, 0);
    const Outcome ofModel = agpnet("info --json " + model);
    ASSERT_EQ(ofModel.code, 0) << ofModel.text;
    const json told = firstLine(ofModel.text);
    EXPECT_EQ(told.at("method"), "dec");
    EXPECT_EQ(told.at("width"), 64);
    EXPECT_EQ(told.at("config").at("epochs"), 1);
    EXPECT_TRUE(told.at("training").at("choice").contains("chosen"));
    EXPECT_EQ(told.at("here").at("precision"), "fp32");
    EXPECT_EQ(json::parse(agpnet("info " + model).text), told);

    const Outcome ofGallery = agpnet("info --json " + at("k.agpx"));
    ASSERT_EQ(ofGallery.code, 0) << ofGallery.text;
    const json gallery = firstLine(ofGallery.text);
    EXPECT_EQ(gallery.at("kind"), "gallery");
    EXPECT_EQ(gallery.at("entries"), 24);
    EXPECT_EQ(gallery.at("width"), 64);
    EXPECT_EQ(gallery.at("space"), told.at("digest"));
    EXPECT_EQ(gallery.at("model"), fs::absolute(folder / "parts.agp").string());
    EXPECT_GT(gallery.at("calibration").at("pairs"), 0);
    for (const auto& [file, key] : {std::pair{"parts.agp", "backbone"}, {"k.agpx", "space"}})
    {
        const Outcome verified = agpnet("info --verify --json " + at(file));
        ASSERT_EQ(verified.code, 0) << verified.text;
        EXPECT_EQ(firstLine(verified.text).at("sha256").get<std::string>().size(), 64U);
        EXPECT_TRUE(firstLine(verified.text).contains(key));
    }

    const Outcome exported = agpnet("export " + model + " --onnx " + at("parts.onnx"));
    EXPECT_EQ(exported.code, 0) << exported.text;
    EXPECT_THAT(exported.text, HasSubstr("takes one view of 16x16 and gives its embedding and descriptor of 64 values"));
    EXPECT_THAT(readBytes(folder / "parts.onnx"), HasSubstr(told.at("digest").get<std::string>()));
    const Outcome eight = agpnet("export " + model + " --onnx " + at("eight.onnx") + " --precision int8");
    EXPECT_EQ(eight.code, 1);
    EXPECT_THAT(eight.text, HasSubstr("agpnet: precision is 'int8', expected fp32 for a model of the method 'dec'"));
    const Outcome graph = agpnet("export " + model + " --onnx-graph " + at("graph.onnx"));
    EXPECT_EQ(graph.code, 1);
    EXPECT_THAT(graph.text, HasSubstr("is of the method 'dec', expected 'agpnet'"));
    const Outcome ofGalleryExported = agpnet("export " + at("k.agpx") + " --onnx " + at("gallery.onnx"));
    EXPECT_EQ(ofGalleryExported.code, 1);
    EXPECT_THAT(ofGalleryExported.text, HasSubstr("k.agpx: holds a gallery, expected a model"));
    for (const char* file : {"eight.onnx", "graph.onnx", "gallery.onnx"})
        EXPECT_FALSE(fs::exists(folder / file)) << file;

    EXPECT_EQ(json::parse(agpnet("operators --config dec").text).at("whitening"), "classes");
    EXPECT_TRUE(json::parse(agpnet("operators --config").text).contains("decoder_depth"));
    EXPECT_EQ(agpnet("operators --config").text, agpnet("operators --config agpnet").text);
    EXPECT_EQ(agpnet("operators --config cnn").code, 2);
}

TEST_F(RetrievalProgram, WhatIsWrongIsNamed)
{
    const std::string model = trained();
    const auto refused = [&](const std::string& arguments) {
        const Outcome outcome = agpnet(arguments);
        EXPECT_EQ(outcome.code, 1) << outcome.text;
        EXPECT_THAT(outcome.text, HasSubstr("agpnet: "));
        return outcome.text;
    };
    EXPECT_THAT(refused("train --method dec --data " + at("known") + " --backbone " + shellQuoted(backbone) + " --out " + at("x.agp") +
                        " --tile 64"),
                HasSubstr("--tile belongs to anomaly detection"));
    EXPECT_THAT(refused("train --method dec --data " + at("none") + " --backbone " + shellQuoted(backbone) + " --out " + at("x.agp")),
                HasSubstr("none"));
    EXPECT_THAT(refused("detect " + model + " " + at("known/class 1/part 1-1/0.png")), HasSubstr("dec"));
    EXPECT_THAT(refused("evaluate " + model + " --data " + at("known") + " --protocol split"), HasSubstr("--split FILE belong together"));
    EXPECT_THAT(refused("evaluate " + model + " --data " + at("known/class 1")), HasSubstr("expected several"));
    EXPECT_THAT(refused("query --index " + model + " " + at("known/class 1/part 1-1/0.png")), HasSubstr("expected a gallery"));
    EXPECT_THAT(refused("query --index " + at("none.agpx") + " x.png"), HasSubstr("none.agpx"));
    EXPECT_THAT(refused("index --data " + at("known") + " --model " + shellQuoted(backbone) + " --out " + at("x.agp")),
                HasSubstr("expected another extension"));
    ASSERT_EQ(agpnet("index --data " + at("known") + " --model " + model + " --out " + at("k.agpx")).code, 0);
    EXPECT_THAT(refused("query --index " + at("k.agpx") + " " + at("none.png")), HasSubstr("none.png"));
    EXPECT_THAT(refused("query --index " + at("k.agpx") + " --leave-out zz " + at("known/class 1/part 1-1/0.png")),
                HasSubstr("no entry 'zz'"));
    const Outcome rate = agpnet("query --index " + at("k.agpx") + " --reject 2 x.png");
    EXPECT_EQ(rate.code, 2);
    for (const auto& entry : fs::directory_iterator(folder.path()))
        EXPECT_THAT(entry.path().filename().string(), Not(HasSubstr(".part-"))); // nothing half written
}

} // namespace
} // namespace agpnet::test
