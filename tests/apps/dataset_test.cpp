#include "apps/datasets/dataset.h"

#include "apps/datasets/image_io.h"
#include "tests/support/error_text.h"
#include "tests/support/shared_data.h"
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
                ElementsAre(HasSubstr("1 of 3 anomalous images have no mask"), HasSubstr("1 masks")));
}

TEST(ListTest, NoAnomaliesIsSaid)
{
    const TempFolder folder;
    put(folder / "test/good/0.png");
    EXPECT_THAT(listTest(folder.path()).warnings, Contains(HasSubstr("no anomalies")));
    put(folder / "only/test/crack/0.png");
    EXPECT_THAT(listTest(folder.path() / "only").warnings, Contains(HasSubstr("no good images")));
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

TEST(ExpandInputs, SaysWhyAPathCannotBeLookedAt)
{
    const TempFolder folder;
    fs::create_symlink("round", folder.path() / "round");
    const std::string path = (folder.path() / "round/a.png").string(), reason = "cannot be looked at: Too many levels of symbolic links";
    EXPECT_THAT(errorOf([&] { expandInputs(std::vector<std::string>{path}); }), HasSubstr(path + ": " + reason));
    EXPECT_THAT(errorOf([&] { listTraining(path); }), HasSubstr(path + ": " + reason));
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

TEST(ListParts, Mvtec3dHasPointCloudsAndValidation)
{
    const TempFolder folder;
    for (const char* place : {"train/good", "validation/good", "test/good", "test/cut"})
    {
        put(folder / fmt::format("{}/rgb/000.png", place));
        writeMapTiff(folder / fmt::format("{}/xyz/000.tiff", place), cv::Mat(16, 16, CV_32F, cv::Scalar(1)));
    }
    put(folder / "test/good/gt/000.png", 0);
    put(folder / "test/cut/gt/000.png");
    put(folder / "test/cut/rgb/001.png"); // without a cloud
    EXPECT_THAT(names(listTraining(folder.path())), ElementsAre("train/good/rgb/000.png"));
    EXPECT_THAT(names(listValidation(folder.path())), ElementsAre("validation/good/rgb/000.png"));
    const Dataset test = listTest(folder.path());
    EXPECT_THAT(names(test), ElementsAre("test/cut/rgb/000.png", "test/cut/rgb/001.png", "test/good/rgb/000.png"));
    EXPECT_EQ(test.items[0].xyz, folder / "test/cut/xyz/000.tiff");
    EXPECT_EQ(test.items[0].mask, folder / "test/cut/gt/000.png");
    EXPECT_FALSE(test.items[1].xyz.has_value());
    EXPECT_FALSE(test.items[2].mask.has_value()) << "a good picture's mask is empty anyway";
    EXPECT_EQ(listValidation(folder / "test").items.size(), 0u);
}

TEST(ListParts, CategoryNamesAFolder)
{
    const TempFolder folder;
    putMvtec(folder.path() / "all/bottle");
    const Dataset dataset = listTest(folder.path() / "all", {"bottle", {}});
    EXPECT_EQ(dataset.name, "bottle");
    EXPECT_EQ(dataset.items.size(), 4u);
    EXPECT_EQ(listTest(folder.path() / "all/bottle/").name, "bottle");
    EXPECT_THAT(errorOf([&] { listTraining(folder.path() / "all", {"cup", {}}); }), AllOf(HasSubstr("'cup'"), HasSubstr("--category")));
}

/// The layout as it is published: pictures by label, the split in a table.
void putVisa(const fs::path& root)
{
    std::string table = "object,split,label,image,mask\n";
    for (const char* object : {"candle", "pcb1"})
    {
        for (int i = 0; i < 3; i++)
        {
            put(root / fmt::format("{}/Data/Images/Normal/{:04}.JPG", object, i));
            table += fmt::format("{0},{1},normal,{0}/Data/Images/Normal/{2:04}.JPG,\n", object, i < 2 ? "train" : "test", i);
        }
        put(root / fmt::format("{}/Data/Images/Anomaly/000.JPG", object));
        put(root / fmt::format("{}/Data/Masks/Anomaly/000.png", object));
        table += fmt::format("{0},test,anomaly,{0}/Data/Images/Anomaly/000.JPG,{0}/Data/Masks/Anomaly/000.png\n", object);
    }
    fs::create_directories(root / "split_csv");
    writeBytes(root / "split_csv/1cls.csv", table);
    for (size_t at; (at = table.find("test,anomaly")) != std::string::npos;)
        table.replace(at, 12, "train,anomaly");
    writeBytes(root / "split_csv/2cls_fewshot.csv", table);
}

TEST(ListParts, Visa)
{
    const TempFolder folder;
    putVisa(folder.path());
    const Dataset training = listTraining(folder.path(), {"candle", {}});
    EXPECT_THAT(names(training), ElementsAre("candle/Data/Images/Normal/0000.JPG", "candle/Data/Images/Normal/0001.JPG"));
    EXPECT_EQ(training.name, "candle");
    EXPECT_EQ(training.layout, "VisA (1cls.csv)");
    const Dataset test = listTest(folder.path() / "", {"candle", {}});
    EXPECT_THAT(names(test), ElementsAre("candle/Data/Images/Normal/0002.JPG", "candle/Data/Images/Anomaly/000.JPG"));
    EXPECT_EQ(test.items[1].defect, "anomaly");
    EXPECT_EQ(fs::canonical(*test.items[1].mask), fs::canonical(folder / "candle/Data/Masks/Anomaly/000.png"));
    EXPECT_TRUE(test.warnings.empty());
    checkFiles(test);
    EXPECT_THAT(errorOf([&] { listTraining(folder.path()); }), AllOf(HasSubstr("2 classes (candle, pcb1)"), HasSubstr("--category")));
    EXPECT_THAT(errorOf([&] { listTest(folder.path(), {"pcb9", {}}); }), HasSubstr("--category is 'pcb9'"));
    // of a two-class split the good ones are trained on
    const Dataset few = listTraining(folder / "split_csv/2cls_fewshot.csv", {"pcb1", {}});
    EXPECT_THAT(names(few), ElementsAre("pcb1/Data/Images/Normal/0000.JPG", "pcb1/Data/Images/Normal/0001.JPG"));
}

TEST(ListParts, Table)
{
    const TempFolder folder;
    for (const char* name : {"a.png", "b.png", "c,d.png", "m/a.png", "e/x.png"})
        put(folder / name);
    const fs::path table = folder / "parts.csv";
    writeBytes(table, std::string("\xef\xbb\xbfLabel,Path,mask,split\r\nok,a.png,,train\r\n\r\ngood, b.png ,,test\r\n"
                                  "scratch,\"c,d.png\",./m/a.png,test\r\n1,e/x.png,,test\r\ngood,m/a.png,,val"));
    EXPECT_THAT(names(listTraining(table)), ElementsAre("a.png"));
    EXPECT_THAT(names(listValidation(table)), ElementsAre("m/a.png"));
    const Dataset test = listTest(table);
    EXPECT_THAT(names(test), ElementsAre("b.png", "c,d.png", "e/x.png"));
    EXPECT_EQ(test.items[1].defect, "scratch");
    EXPECT_EQ(test.items[2].defect, "anomalous");
    EXPECT_EQ(test.name, "parts");
    EXPECT_THAT(test.warnings, ElementsAre(HasSubstr("1 of 2 anomalous images have no mask")));
    writeBytes(folder / "plain.csv", std::string("path,label\na.png,good\nb.png,bad\n"));
    EXPECT_THAT(names(listTraining(folder / "plain.csv")), ElementsAre("a.png"));
    EXPECT_THAT(listTest(folder / "plain.csv").warnings, Contains(HasSubstr("training takes")));
    const std::string hash = datasetHash(listTest(folder / "plain.csv"));
    writeBytes(folder / "plain.csv", std::string("path,label\na.png,good\nb.png,worse\n"));
    EXPECT_NE(datasetHash(listTest(folder / "plain.csv")), hash) << "another label is another data set";
}

struct BadTable
{
    const char* text;
    const char* part;
};

class BadTables : public ::testing::TestWithParam<BadTable>
{
};

TEST_P(BadTables, NameTheLine)
{
    const TempFolder folder;
    put(folder / "t/a.png");
    put(folder / "b.png");
    writeBytes(folder / "t/t.csv", std::string(GetParam().text));
    EXPECT_THAT(errorOf([&] { listTest(folder / "t/t.csv"); }), AllOf(HasSubstr("t.csv"), HasSubstr(GetParam().part)));
}

INSTANTIATE_TEST_SUITE_P(Table, BadTables,
                         ::testing::Values(BadTable{"", "is empty"}, BadTable{"file,label\na.png,good\n", "no column 'path'"},
                                           BadTable{"path\na.png\n", "no column 'label'"},
                                           BadTable{"path,label,path\na.png,good,x\n", "'path' occurs twice"},
                                           BadTable{"path,label\na.png\n", "line 2: 1 fields"},
                                           BadTable{"path,label\n\"a.png,good\n", "line 2: the quote is not closed"},
                                           BadTable{"path,label\n\"a.png\"x,good\n", "line 2: a comma was expected"},
                                           BadTable{"path,label\na.png,\n", "line 2: the label is ''"},
                                           BadTable{"path,label\na.png,../x\n", "line 2: the label is '../x'"},
                                           BadTable{"path,label\n,good\n", "line 2: the path is empty"},
                                           BadTable{"path,label\n\n../b.png,good\n", "line 3: the path '../b.png' leads out"},
                                           BadTable{"path,label\nx/../../b.png,good\n", "leads out"},
                                           BadTable{"path,label\n/etc/passwd,good\n", "leads out"},
                                           BadTable{"path,label,mask\na.png,bad,../b.png\n", "leads out"},
                                           BadTable{"path,label\nc.png,good\n", "c.png: no such file"},
                                           BadTable{"path,label\na.png,good\n./a.png,good\n", "line 3: a.png occurs twice"},
                                           BadTable{"path,label,split\na.png,good,tset\n", "the split is 'tset'"}));

TEST(ListParts, SplitFile)
{
    const TempFolder folder;
    putMvtec(folder / "m");
    put(folder / "m/train/good/t7.png");
    put(folder / "m/test/good/t8.png");
    const fs::path split = folder / "split.txt";
    writeBytes(split, std::string("# comment\ntrain t8\r\n\ntest  t7\ntrain train/good/000\n"));
    const ListOptions options{"", split};
    EXPECT_THAT(names(listTraining(folder / "m", options)), ElementsAre("train/good/000.png", "test/good/t8.png"));
    EXPECT_THAT(names(listTest(folder / "m", options)),
                ElementsAre("train/good/t7.png", "test/hole/000.bmp", "test/scratch/000.png", "test/scratch/001.png"));
    EXPECT_TRUE(listTest(folder / "m", options).warnings.empty());

    const auto errorWith = [&](const std::string& text)
    {
        writeBytes(split, text);
        return errorOf([&] { listTraining(folder / "m", options); });
    };
    EXPECT_THAT(errorWith("train 000\n"), AllOf(HasSubstr("'000' may be train/good/000.png or test/good/000.png")));
    EXPECT_THAT(errorWith("train t7\ntest t9\n"), HasSubstr("1 of 2 names are those of no good image: t9"));
    EXPECT_THAT(errorWith("train t7\ntest t7\n"), HasSubstr("line 2: t7 is named twice"));
    EXPECT_THAT(errorWith("train t7\nvalid t8\n"), HasSubstr("line 2: 'valid t8'"));
    EXPECT_THAT(errorWith("train\n"), HasSubstr("line 1: 'train'"));
    EXPECT_THAT(errorWith("\n"), HasSubstr("names no image"));
    EXPECT_THAT(errorWith("test t7\n"), HasSubstr("names no training image"));
    EXPECT_THAT(errorOf([&] { listTest(folder / "m", {"", folder / "none.txt"}); }), HasSubstr("none.txt: no such file"));
}

TEST(SharedData, MagneticTiles)
{
    const fs::path root = test::sharedData("data/mtd");
    if (!fs::exists(root))
        GTEST_SKIP() << "no " << root << "; set AGPNET_SHARED to the folder that holds data/mtd";
    const Dataset training = listTraining(root);
    EXPECT_EQ(training.items.size(), 761u);
    const Dataset testing = listTest(root);
    EXPECT_EQ(testing.count(Label::Good), 191u);
    EXPECT_EQ(testing.count(Label::Anomalous), 392u);
    EXPECT_EQ(testing.masks(), 392u);
    checkFiles(training);
    const ListOptions options{"", root / "tile_split.txt"};
    EXPECT_EQ(listTraining(root, options).items.size(), 702u);
    EXPECT_EQ(listTest(root, options).count(Label::Good), 173u);
    EXPECT_EQ(listTest(root, options).count(Label::Anomalous), 392u);
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
    const fs::path root = test::sharedData("data/mvtec3d/cable_gland");
    if (!fs::exists(root))
        GTEST_SKIP() << "no " << root << "; set AGPNET_SHARED to the folder that holds data/mvtec3d";
    const Dataset testing = listTest(root);
    EXPECT_EQ(testing.masks(), testing.count(Label::Anomalous));
    EXPECT_GT(testing.masks(), 0u);
    EXPECT_EQ(testing.items.size(), 11u);
    EXPECT_EQ(listTraining(root).items.size(), 10u);
    EXPECT_EQ(listValidation(root).items.size(), 2u);
    for (const Item& item : testing.items)
    {
        EXPECT_TRUE(item.xyz.has_value());
        if (item.mask)
            readMask(*item.mask, readImage(item.path).size());
    }
}

} // namespace
} // namespace agpnet::tools
