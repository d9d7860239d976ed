#include "apps/evaluation/map_folder.h"

#include "apps/datasets/image_io.h"
#include "tests/support/error_text.h"
#include "tests/support/temp_folder.h"

#include <cmath>
#include <opencv2/imgcodecs.hpp>

namespace agpnet::tools
{
namespace
{

using test::errorOf;
using test::TempFolder;
using test::writeBytes;
using ::testing::AllOf;
using ::testing::HasSubstr;

namespace fs = std::filesystem;

Item item(const std::string& defect, const std::string& stem)
{
    Item result;
    result.defect = defect;
    result.label = defect == "good" ? Label::Good : Label::Anomalous;
    result.path = "/data/test/" + defect + "/" + stem + ".jpg";
    result.name = "test/" + defect + "/" + stem + ".jpg";
    return result;
}

Dataset dataset()
{
    Dataset result;
    result.items = {item("good", "0"), item("cut", "0"), item("cut", "1")};
    return result;
}

cv::Mat ramp(float start)
{
    cv::Mat map(12, 9, CV_32F);
    for (int i = 0; i < 12 * 9; i++)
        map.at<float>(i / 9, i % 9) = start + static_cast<float>(i) / 7;
    return map;
}

TEST(MapFolder, RoundTripKeepsEveryBit)
{
    const TempFolder folder;
    MapFolderWriter writer(folder.path() / "maps");
    const Dataset data = dataset();
    float score = 0.1f;
    for (const Item& each : data.items)
        writer.add(each, ramp(score), score), score = std::nextafter(score * 3, 0.0f);
    writer.finish();
    MapFolder maps(folder.path() / "maps", data);
    EXPECT_TRUE(maps.hasScores());
    score = 0.1f;
    for (const Item& each : data.items)
    {
        const cv::Mat map = maps.read(each);
        EXPECT_EQ(cv::norm(map, ramp(score), cv::NORM_INF), 0);
        EXPECT_EQ(maps.score(each, map), score);
        score = std::nextafter(score * 3, 0.0f);
    }
}

TEST(MapFolder, SharesTogetherAreTheWhole)
{
    const TempFolder folder;
    const fs::path path = folder.path() / "maps";
    const Dataset data = dataset();
    for (const char* text : {"2/2", "1/2"})
    {
        const Share share = Share::parse(text);
        if (share.index == 1) // the other is still at work
        {
            EXPECT_THAT(errorOf([&] { MapFolder(path, data); }),
                        AllOf(HasSubstr("1 of 2 shards"), HasSubstr("missing: scores.1-of-2.csv")));
        }
        MapFolderWriter writer(path, share);
        for (size_t i = 0; i < data.items.size(); i++)
            if (share.has(i))
                writer.add(data.items[i], ramp(static_cast<float>(i)), static_cast<float>(i) / 3);
        writer.finish();
    }
    MapFolder maps(path, data);
    for (size_t i = 0; i < data.items.size(); i++)
    {
        const cv::Mat map = maps.read(data.items[i]);
        EXPECT_EQ(cv::norm(map, ramp(static_cast<float>(i)), cv::NORM_INF), 0);
        EXPECT_EQ(maps.score(data.items[i], map), static_cast<float>(i) / 3);
    }
    writeBytes(path / "scores.1-of-3.csv", "name,score\ngood/0,1\n");
    EXPECT_THAT(errorOf([&] { MapFolder(path, data); }), HasSubstr("not of one evaluation"));
    fs::remove(path / "scores.1-of-3.csv");
    writeBytes(path / "scores.2-of-2.csv", "name,score\ngood/0,1\n");
    EXPECT_THAT(errorOf([&] { MapFolder(path, data); }), HasSubstr("good/0 occurs twice"));
}

TEST(MapFolder, AShareIsKOfN)
{
    const Share share = Share::parse("2/3");
    EXPECT_FALSE(share.has(0) || share.has(2) || share.has(3));
    EXPECT_TRUE(share.has(1) && share.has(4));
    for (const char* text : {"", "0/2", "3/2", "1", "1/0", "-1/2", "1/2 ", "1/99999999999"})
        EXPECT_THAT(errorOf([&] { Share::parse(text); }), HasSubstr(fmt::format("--share is '{}'", text)));
}

TEST(MapFolder, TestFolderPngAndMaximum)
{
    const TempFolder folder;
    for (const char* name : {"good/0", "cut/0", "cut/1"})
        writeImage(folder / fmt::format("test/{}.png", name), cv::Mat(5, 5, CV_16U, cv::Scalar(13107)));
    const Dataset data = dataset();
    MapFolder maps(folder.path(), data);
    EXPECT_FALSE(maps.hasScores());
    const cv::Mat map = maps.read(data.items[1]);
    EXPECT_EQ(map.type(), CV_32F);
    EXPECT_FLOAT_EQ(map.at<float>(2, 2), 0.2f);
    EXPECT_FLOAT_EQ(maps.score(data.items[1], map), 0.2f);
    writeImage(folder / "test/cut/0.png", cv::Mat(5, 5, CV_8U, cv::Scalar(51)));
    EXPECT_THAT(errorOf([&] { maps.read(data.items[1]); }), AllOf(HasSubstr("cut/0.png"), HasSubstr("8 bits"), HasSubstr("16 bits")));
}

TEST(MapFolder, MissingOnesAreNamed)
{
    const TempFolder folder;
    writeMapTiff(folder / "good/0.tiff", ramp(0));
    EXPECT_THAT(errorOf([&] { MapFolder(folder.path(), dataset()); }),
                HasSubstr("2 of 3 images have no map (.tiff or .png): cut/0, cut/1"));
    writeMapTiff(folder / "cut/0.tiff", ramp(0));
    writeMapTiff(folder / "cut/1.tif", ramp(0));
    MapFolder(folder.path(), dataset());
    const auto errorWith = [&](const char* scores)
    {
        writeBytes(folder / "scores.csv", std::string(scores));
        return errorOf([&] { MapFolder(folder.path(), dataset()); });
    };
    EXPECT_EQ(errorWith("name,score\ngood/0,1\ncut/0,2e-3\ncut/1,-3.5\nother,1\n"), "no error");
    EXPECT_THAT(errorWith("name,score\ngood/0,1\ncut/0,2\n"), HasSubstr("1 of 3 images have no score: cut/1"));
    EXPECT_THAT(errorWith("name,score\ngood/0,high\n"), HasSubstr("line 2: the score is 'high'"));
    EXPECT_THAT(errorWith("name,score\ngood/0,nan\n"), HasSubstr("the score is 'nan'"));
    EXPECT_THAT(errorWith("name,score\ngood/0,1\ngood/0,1\n"), HasSubstr("line 3: good/0 occurs twice"));
    EXPECT_THAT(errorWith("name,score\n"), HasSubstr("holds no scores"));
    EXPECT_THAT(errorOf([&] { MapFolder(folder.path() / "none", dataset()); }), HasSubstr("no such folder"));
}

TEST(MapFolder, TwoImagesOfOneNameAreRefused)
{
    Dataset data = dataset();
    data.items.push_back(item("cut", "0"));
    data.items.back().name = "more/cut/0.png";
    EXPECT_THAT(errorOf([&] { requireMapNames(data); }), AllOf(HasSubstr("test/cut/0.jpg and more/cut/0.png"), HasSubstr("cut/0")));
}

TEST(MapFolder, DamagedMapsAreRefused)
{
    const TempFolder folder;
    const Dataset data = dataset();
    const fs::path path = folder / "cut/0.tiff";
    for (const char* name : {"good/0.tiff", "cut/0.tiff", "cut/1.tiff"})
        writeMapTiff(folder / name, ramp(0));
    MapFolder maps(folder.path(), data);
    const auto errorNow = [&] { return errorOf([&] { maps.read(data.items[1]); }); };
    EXPECT_EQ(errorNow(), "no error");
    const std::string whole = test::readBytes(path);
    for (size_t kept = 0; kept < whole.size(); kept += 13)
    {
        writeBytes(path, whole.substr(0, kept));
        EXPECT_THAT(errorNow(), HasSubstr("cut/0.tiff")) << kept << " of " << whole.size() << " bytes";
    }
    writeBytes(path, std::string("no map at all"));
    EXPECT_THAT(errorNow(), HasSubstr("is not an image"));
    cv::Mat bad = ramp(0);
    bad.at<float>(3, 3) = NAN;
    writeMapTiff(path, bad);
    EXPECT_THAT(errorNow(), HasSubstr("not finite"));
    bad.at<float>(3, 3) = INFINITY;
    writeMapTiff(path, bad);
    EXPECT_THAT(errorNow(), HasSubstr("not finite"));
    cv::imwrite(path.string(), cv::Mat(8, 8, CV_32FC3, cv::Scalar(1, 2, 3)));
    EXPECT_THAT(errorNow(), HasSubstr("CV_32FC3"));
    cv::imwrite(path.string(), cv::Mat(8, 8, CV_8U, cv::Scalar(1)));
    EXPECT_THAT(errorNow(), HasSubstr("CV_8UC1"));
    fs::remove(path);
    EXPECT_THAT(errorNow(), HasSubstr("no such file"));
}

} // namespace
} // namespace agpnet::tools
