#include "apps/tools/dataset.h"

#include "apps/tools/image_io.h"
#include "tests/support/temp_folder.h"

#include <opencv2/core.hpp>

namespace agpnet::tools
{
namespace
{

using test::errorOf;
using test::TempFolder;
using test::writeBytes;
using ::testing::AllOf;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

namespace fs = std::filesystem;

void put(const fs::path& path, int value = 100, cv::Size size = {16, 16})
{
    fs::create_directories(path.parent_path());
    writeImage(path, cv::Mat(size, CV_8U, cv::Scalar(value)));
}

std::vector<std::string> names(const Dataset& dataset)
{
    std::vector<std::string> result;
    for (const Item& item : dataset.items)
        result.push_back(item.name);
    return result;
}

void putMvtec(const fs::path& root)
{
    put(root / "train/good/000.png");
    put(root / "train/good/001.png");
    put(root / "test/good/000.png");
    put(root / "test/scratch/000.png");
    put(root / "test/scratch/001.png");
    put(root / "test/hole/000.bmp");
    put(root / "ground_truth/scratch/000_mask.png");
    put(root / "ground_truth/scratch/001.png");
    put(root / "ground_truth/hole/000_mask.bmp");
}

TEST(NaturalOrder, CountsDigitsAsNumbers)
{
    EXPECT_TRUE(naturalLess("a2.png", "a10.png"));
    EXPECT_FALSE(naturalLess("a10.png", "a2.png"));
    EXPECT_TRUE(naturalLess("a", "a1"));
    EXPECT_TRUE(naturalLess("x9y1", "x9y02"));
    EXPECT_NE(naturalLess("a01", "a1"), naturalLess("a1", "a01"));
    EXPECT_FALSE(naturalLess("a1", "a1"));
    EXPECT_TRUE(naturalLess("a99999999999999999999998", "a99999999999999999999999"));
}

TEST(ListTraining, FlatFolder)
{
    const TempFolder folder;
    for (const char* name : {"b10.png", "b2.PNG", "a.jpg", ".hidden.png"})
        put(folder / name);
    writeBytes(folder / "notes.txt", std::string("x"));
    const Dataset dataset = listTraining(folder.path());
    EXPECT_THAT(names(dataset), ElementsAre("a.jpg", "b2.PNG", "b10.png"));
    EXPECT_TRUE(dataset.warnings.empty());
    EXPECT_EQ(dataset.count(Label::Good), 3u);
}

TEST(ListTraining, GoodFolderAndMvtec)
{
    const TempFolder folder;
    put(folder / "a/good/1.png");
    put(folder / "a/bad/1.png");
    EXPECT_THAT(names(listTraining(folder.path() / "a")), ElementsAre("good/1.png"));
    putMvtec(folder.path() / "m");
    EXPECT_THAT(names(listTraining(folder.path() / "m")), ElementsAre("train/good/000.png", "train/good/001.png"));
    EXPECT_THAT(names(listTraining(folder.path() / "m/")), ElementsAre("train/good/000.png", "train/good/001.png"));
    put(folder / "d/train/good/rgb/0.png");
    EXPECT_THAT(names(listTraining(folder.path() / "d")), ElementsAre("train/good/rgb/0.png"));
}

TEST(ListTraining, MixedSizesAreNoted)
{
    const TempFolder folder;
    put(folder / "a.png");
    put(folder / "b.png", 100, {32, 20});
    EXPECT_THAT(listTraining(folder.path()).warnings, ElementsAre(AllOf(HasSubstr("16x16"), HasSubstr("32x20"))));
}

TEST(ListTraining, ErrorsNameTheFolder)
{
    const TempFolder folder;
    EXPECT_THAT(errorOf([&] { listTraining(folder / "none"); }), AllOf(HasSubstr("none"), HasSubstr("no such folder")));
    EXPECT_THAT(errorOf([&] { listTraining(folder.path()); }), HasSubstr("holds no good images"));
    put(folder / "file.png");
    EXPECT_THAT(errorOf([&] { listTraining(folder / "file.png"); }), HasSubstr("is not a folder"));
    putMvtec(folder.path() / "many/one");
    putMvtec(folder.path() / "many/two");
    EXPECT_THAT(errorOf([&] { listTraining(folder.path() / "many"); }), HasSubstr("2 data sets (one, two)"));
    EXPECT_THAT(errorOf([&] { listTest(folder.path() / "many"); }), HasSubstr("2 data sets (one, two)"));
    fs::create_symlink("/nowhere/at/all.png", folder / "links/a.png");
    EXPECT_THAT(errorOf([&] { listTraining(folder.path() / "links"); }), HasSubstr("points to nothing"));
}

TEST(ListTest, MvtecWithMasks)
{
    const TempFolder folder;
    putMvtec(folder.path() / "m");
    const Dataset dataset = listTest(folder.path() / "m");
    EXPECT_THAT(names(dataset),
                ElementsAre("test/good/000.png", "test/hole/000.bmp", "test/scratch/000.png", "test/scratch/001.png"));
    EXPECT_EQ(dataset.count(Label::Anomalous), 3u);
    EXPECT_EQ(dataset.masks(), 3u);
    EXPECT_EQ(dataset.items[1].defect, "hole");
    EXPECT_EQ(dataset.items[1].mask->filename(), "000_mask.bmp");
    EXPECT_EQ(dataset.items[3].mask->filename(), "001.png");
    EXPECT_FALSE(dataset.items[0].mask.has_value());
    EXPECT_TRUE(dataset.warnings.empty());
    const Dataset inner = listTest(folder.path() / "m/test"); // the folder itself, with masks beside it
    EXPECT_EQ(inner.masks(), 3u);
    EXPECT_EQ(listTest(folder.path() / "m/test/").masks(), 3u);
}

TEST(ListTest, MissingAndSpareMasksAreNoted)
{
    const TempFolder folder;
    putMvtec(folder.path());
    fs::remove(folder / "ground_truth/scratch/001.png");
    put(folder / "ground_truth/hole/777_mask.png");
    EXPECT_THAT(listTest(folder.path()).warnings,
                ElementsAre(HasSubstr("1 of 3 anomalous pictures have no mask"), HasSubstr("1 masks")));
}

TEST(ListTest, NoAnomaliesIsSaid)
{
    const TempFolder folder;
    put(folder / "test/good/0.png");
    EXPECT_THAT(listTest(folder.path()).warnings, Contains(HasSubstr("no anomalies")));
    put(folder / "only/test/crack/0.png");
    EXPECT_THAT(listTest(folder.path() / "only").warnings, Contains(HasSubstr("no good pictures")));
    put(folder / "flat/0.png");
    EXPECT_THAT(errorOf([&] { listTest(folder.path() / "flat"); }), HasSubstr("no labelled test images"));
}

TEST(ListTest, ClassFoldersWarnOfReuse)
{
    const TempFolder folder;
    put(folder / "good/0.png");
    put(folder / "dent/0.png");
    const Dataset dataset = listTest(folder.path());
    EXPECT_THAT(names(dataset), ElementsAre("dent/0.png", "good/0.png"));
    EXPECT_THAT(dataset.warnings, Contains(HasSubstr("training takes")));
}

TEST(CheckFiles, CollectsWhatIsBroken)
{
    const TempFolder folder;
    putMvtec(folder.path());
    checkFiles(listTraining(folder.path()));
    checkFiles(listTest(folder.path()));
    writeBytes(folder / "train/good/001.png", test::readBytes(folder / "train/good/001.png").substr(0, 60));
    EXPECT_THAT(errorOf([&] { checkFiles(listTraining(folder.path())); }), HasSubstr("001.png: truncated PNG"));
    for (int i = 2; i < 9; i++)
        writeBytes(folder / fmt::format("train/good/00{}.png", i), std::string("no"));
    EXPECT_THAT(errorOf([&] { checkFiles(listTraining(folder.path())); }), HasSubstr("8 files cannot be used"));
}

TEST(DatasetHash, FollowsNamesAndContentsNotPlaces)
{
    const TempFolder folder;
    putMvtec(folder.path() / "a");
    fs::copy(folder.path() / "a", folder.path() / "b", fs::copy_options::recursive);
    const std::string hash = datasetHash(listTest(folder.path() / "a"));
    EXPECT_EQ(hash.size(), 64u);
    EXPECT_EQ(hash, datasetHash(listTest(folder.path() / "b")));
    put(folder / "b/ground_truth/hole/000_mask.bmp", 7);
    EXPECT_NE(hash, datasetHash(listTest(folder.path() / "b")));
    const std::string training = datasetHash(listTraining(folder.path() / "b"));
    EXPECT_EQ(training, datasetHash(listTraining(folder.path() / "a")));
    fs::rename(folder / "b/train/good/001.png", folder / "b/train/good/002.png");
    EXPECT_NE(training, datasetHash(listTraining(folder.path() / "b")));
}

TEST(ExpandInputs, FilesFoldersAndGlobs)
{
    const TempFolder folder;
    for (const char* name : {"x/10.png", "x/2.png", "x/.1.png", "y/a.jpg", "odd[1].png"})
        put(folder / name);
    writeBytes(folder / "x/readme.txt", std::string("x"));
    const std::string root = folder.path().string();
    const auto expand = [&](std::vector<std::string> arguments)
    {
        for (std::string& argument : arguments)
            argument = root + "/" + argument;
        std::vector<std::string> result;
        for (const fs::path& path : expandInputs(arguments))
            result.push_back(path.lexically_relative(root).generic_string());
        return result;
    };
    EXPECT_THAT(expand({"x"}), ElementsAre("x/2.png", "x/10.png"));
    EXPECT_THAT(expand({"y/a.jpg", "x/*"}), ElementsAre("y/a.jpg", "x/2.png", "x/10.png"));
    EXPECT_THAT(expand({"*/*.png", "x/2.png", "x/../x/10.png"}), ElementsAre("x/2.png", "x/10.png"));
    EXPECT_THAT(expand({"x/[0-5].png"}), ElementsAre("x/2.png"));
    EXPECT_THAT(expand({"odd[1].png"}), ElementsAre("odd[1].png")); // a name that looks like a pattern
    EXPECT_THAT(expand({"x/readme.txt"}), ElementsAre("x/readme.txt"));
    EXPECT_THAT(errorOf([&] { expand({"x/*.tif"}); }), HasSubstr("matches no image"));
    EXPECT_THAT(errorOf([&] { expand({"z.png"}); }), AllOf(HasSubstr("z.png"), HasSubstr("no such file")));
    fs::create_directory(folder / "void");
    EXPECT_THAT(errorOf([&] { expand({"void"}); }), HasSubstr("holds no images"));
}

fs::path shared(const char* name)
{
    const char* root = std::getenv("AGPNET_SHARED");
    return fs::path(root ? root : AGPNET_SOURCE_DIR "/../shared") / name;
}

TEST(SharedData, MagneticTiles)
{
    const fs::path root = shared("data/mtd");
    if (!fs::exists(root))
        GTEST_SKIP() << "no " << root << "; set AGPNET_SHARED to the folder that holds data/mtd";
    const Dataset training = listTraining(root);
    EXPECT_EQ(training.items.size(), 761u);
    const Dataset testing = listTest(root);
    EXPECT_EQ(testing.count(Label::Good), 191u);
    EXPECT_EQ(testing.count(Label::Anomalous), 392u);
    EXPECT_EQ(testing.masks(), 392u);
    checkFiles(training);
    int empty = 0;
    for (const Item& item : testing.items)
    {
        const cv::Mat image = readImage(item.path);
        EXPECT_EQ(probeSize(item.path), image.size());
        empty += item.mask && cv::countNonZero(readMask(*item.mask, image.size())) == 0;
    }
    EXPECT_EQ(empty, 4); // so published, all of them "uneven"
}

TEST(SharedData, Mvtec3d)
{
    const fs::path root = shared("data/mvtec3d/cable_gland");
    if (!fs::exists(root))
        GTEST_SKIP() << "no " << root << "; set AGPNET_SHARED to the folder that holds data/mvtec3d";
    const Dataset testing = listTest(root);
    EXPECT_EQ(testing.masks(), testing.count(Label::Anomalous));
    EXPECT_GT(testing.masks(), 0u);
    for (const Item& item : testing.items)
        if (item.mask)
            readMask(*item.mask, readImage(item.path).size());
}

} // namespace
} // namespace agpnet::tools
