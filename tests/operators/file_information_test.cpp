// What files say of themselves.
#include "agpnet/anomaly_trainer.hpp"
#include "agpnet/gallery.hpp"
#include "agpnet/operators.hpp"
#include "agpnet/verify.hpp"
#include "tests/support/error_text.h"
#include "tests/support/tiny_describer.h"

#include <nlohmann/json.hpp>

namespace agpnet
{
namespace
{

using nlohmann::json;
using test::errorOf;
using ::testing::HasSubstr;

class FileInformation : public ::testing::Test
{
protected:
    json of(const std::string& path) const { return json::parse(fileInformation(path)); }

    test::TempFolder folder;
    std::string backbone = test::writeTinyBackbone(folder);
};

TEST_F(FileInformation, OfAModelThatDescribes)
{
    const std::string model = test::writeTinyDescriber(folder, backbone, R"("embedding":"both","shrink":0.7)");
    const cv::Ptr<Describer> describer = Describer::create(model);
    const json told = of(model);
    EXPECT_EQ(told.at("kind"), "model");
    EXPECT_EQ(told.at("method"), "dec");
    EXPECT_EQ(told.at("width"), describer->getWidth());
    EXPECT_EQ(told.at("width"), 128); // two embeddings of 64
    EXPECT_EQ(told.at("digest"), describer->getSpace());
    EXPECT_EQ(told.at("config").at("shrink"), 0.7);
    EXPECT_EQ(told.at("config").at("height"), 32);
    EXPECT_FALSE(told.at("training").at("choice").at("chosen").get<std::string>().empty());
    EXPECT_EQ(told.at("sha256"), verifyModel(model));
}

TEST_F(FileInformation, OfAModelThatInspects)
{
    const auto trainer = AnomalyTrainer::create(backbone, test::tinyConfig(1));
    trainer->fit(4, [](size_t i) { return test::viewOf(0, static_cast<int>(i)); });
    trainer->save(folder / "m.agp");
    const json told = of(folder / "m.agp");
    EXPECT_EQ(told.at("method"), "agpnet");
    EXPECT_EQ(told.at("config").at("steps"), 1);
    EXPECT_EQ(told, json::parse(AnomalyDetector::create(folder / "m.agp")->getHeader()));
    trainer->saveState(folder / "m.state");
    EXPECT_THAT(errorOf<cv::Exception>([&] { of(folder / "m.state"); }),
                HasSubstr("m.state: holds a training state, expected a model or a gallery"));
}

TEST_F(FileInformation, OfAGallery)
{
    const cv::Ptr<Gallery> gallery = Gallery::create(8, "space of eight");
    cv::Mat rows(5, 8, CV_32F);
    cv::RNG(1).fill(rows, cv::RNG::NORMAL, 0, 1);
    std::vector<std::string> names;
    for (int i = 0; i < rows.rows; i++)
        gallery->add(names.emplace_back("entry " + std::to_string(i)), rows.row(i));
    gallery->setModel("parts.agp");
    gallery->save(folder / "plain.agpx");
    const json plain = of(folder / "plain.agpx");
    EXPECT_EQ(plain.at("kind"), "gallery");
    EXPECT_EQ(plain.at("entries"), 5);
    EXPECT_EQ(plain.at("width"), 8);
    EXPECT_EQ(plain.at("space"), "space of eight");
    EXPECT_EQ(plain.at("model"), "parts.agp");
    EXPECT_TRUE(plain.at("calibration").is_null());
    EXPECT_EQ(plain.at("sha256"), verifyModel(folder / "plain.agpx"));

    gallery->calibrate(rows, names, 3);
    gallery->calibrate(rows, names, 1);
    gallery->save(folder / "calibrated.agpx");
    EXPECT_EQ(of(folder / "calibrated.agpx").at("calibration"), json({{"pairs", 20}, {"views", {1, 3}}})); // 5 queries, 4 others each
}

TEST_F(FileInformation, OfNothing)
{
    EXPECT_THAT(errorOf<cv::Exception>([&] { of(folder / "none.agp"); }), HasSubstr("none.agp"));
    EXPECT_THAT(errorOf<cv::Exception>([&] { of(backbone); }), HasSubstr("not an AGPNet file"));
    test::writeBytes(folder / "text.agp", std::string("no model at all"));
    EXPECT_THAT(errorOf<cv::Exception>([&] { of(folder / "text.agp"); }), HasSubstr("text.agp"));
}

TEST(DefaultConfig, IsOfTheMethod)
{
    EXPECT_EQ(defaultConfig(), defaultConfig("agpnet"));
    EXPECT_TRUE(json::parse(defaultConfig("agpnet")).contains("decoder_depth"));
    EXPECT_EQ(json::parse(defaultConfig("dec")).at("whitening"), "classes");
    EXPECT_FALSE(json::parse(defaultConfig("dec")).contains("decoder_depth"));
    EXPECT_THAT(errorOf<cv::Exception>([] { defaultConfig("cnn"); }), HasSubstr("method is 'cnn', expected agpnet or dec"));
}

} // namespace
} // namespace agpnet
