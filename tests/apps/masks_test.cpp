// Where masks may lie, and what they may look like.
#include "apps/datasets/masks.h"

#include "apps/datasets/image_io.h"
#include "tests/support/error_text.h"
#include "tests/support/temp_folder.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <opencv2/imgcodecs.hpp>
#include <opencv2/imgproc.hpp>

namespace agpnet::tools
{
namespace
{

using test::errorOf;
using test::TempFolder;
using ::testing::AllOf;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

namespace fs = std::filesystem;

constexpr int side = 16;

cv::Mat square(int x, int y, int value = 255)
{
    cv::Mat mask(side, side, CV_8U, cv::Scalar(0));
    mask(cv::Rect(x, y, 4, 4)) = value;
    return mask;
}

void put(const fs::path& path, const cv::Mat& picture = cv::Mat(side, side, CV_8U, cv::Scalar(100)))
{
    fs::create_directories(path.parent_path());
    writeImage(path, picture);
}

/// good/0, cut/0, cut/1 and dent/2 below `root`.
void putClasses(const fs::path& root)
{
    for (const char* name : {"good/0.png", "cut/0.png", "cut/1.png", "dent/2.png"})
        put(root / name);
}

struct Place
{
    const char* name;
    const char* classes;            ///< where the folders of the classes are
    std::vector<const char*> masks; ///< of cut/0, cut/1 and dent/2
};

class MaskPlaces : public ::testing::TestWithParam<Place>
{
};

TEST_P(MaskPlaces, AreFoundAndNeverInspected)
{
    const TempFolder folder;
    putClasses(folder / GetParam().classes);
    for (const char* mask : GetParam().masks)
        put(folder / mask, square(2, 3));
    const Dataset dataset = listTest(folder.path());
    ASSERT_EQ(dataset.items.size(), 4u);
    EXPECT_EQ(dataset.count(Label::Good), 1u);
    std::vector<fs::path> found;
    for (const Item& item : dataset.items)
        if (item.mask)
        {
            found.push_back(item.mask->lexically_relative(folder.path()));
            EXPECT_EQ(cv::norm(readMaskOf(item, {side, side}), square(2, 3), cv::NORM_INF), 0) << item.name;
        }
    EXPECT_THAT(found, ElementsAre(GetParam().masks[0], GetParam().masks[1], GetParam().masks[2]));
    EXPECT_THAT(dataset.warnings, ::testing::Not(Contains(HasSubstr("mask"))));
    checkFiles(dataset);
    EXPECT_EQ(datasetHash(dataset).size(), 64u);
}

INSTANTIATE_TEST_SUITE_P(
    Ways, MaskPlaces,
    ::testing::Values(
        Place{"MvtecTruth", "test", {"ground_truth/cut/0_mask.png", "ground_truth/cut/1_mask.png", "ground_truth/dent/2_mask.png"}},
        Place{"MasksBesideTheParts", "test", {"masks/cut/0.png", "masks/cut/1.png", "masks/dent/2.png"}},
        Place{"MaskBesideTheClasses", ".", {"mask/cut/0.png", "mask/cut/1.png", "mask/dent/2.png"}},
        Place{"GtInTheTestPart", "test", {"test/gt/cut/0.png", "test/gt/cut/1.png", "test/gt/dent/2.png"}},
        Place{"AllInOneFolder", ".", {"Masks/0.png", "Masks/1_mask.png", "Masks/2_gt.png"}},
        Place{"OtherCase", "Test", {"Ground Truth/CUT/0.png", "Ground Truth/CUT/1.png", "Ground Truth/Dent/2.png"}},
        Place{"InTheFolderOfTheDefect", ".", {"cut/masks/0.png", "cut/masks/1.png", "dent/masks/2.png"}},
        Place{"AmongThePictures", ".", {"cut/0_mask.png", "cut/1_mask.png", "dent/2_mask.png"}},
        Place{"OtherNamesAmongThePictures", ".", {"cut/0-GT.png", "cut/mask_1.PNG", "dent/2_label.png"}},
        Place{"OtherNamesOfMasks", "test", {"ground_truth/cut/0_Mask.png", "ground_truth/cut/gt_1.png", "ground_truth/dent/2 seg.png"}},
        Place{"AFolderBesideEachClass", "test", {"test/cut_mask/0.png", "test/cut_mask/1.png", "test/masks_dent/2.png"}},
        Place{"Segmentation", "test", {"test/segmentation/cut/0.png", "test/segmentation/cut/1.png", "test/segmentation/dent/2.png"}},
        Place{"LabelsBesideTheParts", "test", {"labels/cut/0.png", "labels/cut/1.png", "labels/dent/2.png"}}),
    [](const auto& place) { return std::string(place.param.name); });

TEST(MaskFolders, ThatFitNoPictureAreLeftOutWithANote)
{
    const TempFolder folder;
    putClasses(folder.path());
    put(folder / "masks/other.png");
    const Dataset dataset = listTest(folder.path());
    EXPECT_EQ(dataset.items.size(), 4u);
    EXPECT_THAT(dataset.warnings, Contains(AllOf(HasSubstr("masks: is named as masks are, but fits no image"), HasSubstr("left out"))));
}

TEST(MaskFolders, MayBeAKindOfDefectWithMasksOfItsOwn)
{
    const TempFolder folder;
    putClasses(folder / "test");
    put(folder / "test/mask/7.png");
    put(folder / "ground_truth/mask/7.png", square(1, 1));
    const Dataset dataset = listTest(folder.path());
    EXPECT_EQ(dataset.items.size(), 5u);
    EXPECT_EQ(dataset.count(Label::Anomalous), 4u);
    EXPECT_EQ(dataset.masks(), 1u);
}

TEST(MaskFolders, OfAllClassesTogetherMustTellThemApart)
{
    const TempFolder folder;
    putClasses(folder.path());
    put(folder / "dent/0.png");
    put(folder / "masks/0.png", square(1, 1));
    put(folder / "masks/2.png", square(1, 1));
    const Dataset dataset = listTest(folder.path());
    EXPECT_EQ(dataset.masks(), 1u);
    EXPECT_THAT(dataset.warnings, Contains(HasSubstr("2 images of several folders have names in common")));
}

TEST(MaskFolders, AmongGoodPicturesAreNotTrainedOn)
{
    const TempFolder folder;
    put(folder / "good/0.png");
    put(folder / "good/0_mask.png");
    const Dataset dataset = listTraining(folder.path());
    EXPECT_EQ(dataset.items.size(), 1u);
    EXPECT_THAT(dataset.warnings, Contains(HasSubstr("1 images are named as masks of others")));
}

/// As MVTec LOCO AD has them: ground_truth/<defect>/<picture>/<n>.png.
TEST(SeveralMasksOfAPicture, AreOne)
{
    const TempFolder folder;
    putClasses(folder / "test");
    put(folder / "ground_truth/cut/0/000.png", square(0, 0, 1));
    put(folder / "ground_truth/cut/0/001.png", square(8, 9, 255));
    put(folder / "ground_truth/cut/1/000.png", square(3, 3));
    put(folder / "ground_truth/dent/2/000.png", square(5, 5));
    const Dataset dataset = listTest(folder.path());
    EXPECT_EQ(dataset.masks(), 3u);
    EXPECT_THAT(dataset.warnings, IsEmpty());
    EXPECT_EQ(dataset.items.at(0).name, "test/cut/0.png");
    EXPECT_EQ(cv::norm(readMaskOf(dataset.items[0], {side, side}), square(0, 0) | square(8, 9), cv::NORM_INF), 0);
    checkFiles(dataset);
    const std::string hash = datasetHash(dataset);
    put(folder / "ground_truth/cut/0/001.png", square(9, 9));
    EXPECT_NE(datasetHash(dataset), hash);
    EXPECT_THAT(errorOf([&] { readMaskOf(dataset.items[0], {side, side + 1}); }), HasSubstr("the mask has 16x16 pixels"));
}

cv::Mat withAlpha(const cv::Mat& blue, const cv::Mat& green, const cv::Mat& red, const cv::Mat& alpha)
{
    cv::Mat mask;
    cv::merge(std::vector<cv::Mat>{blue, green, red, alpha}, mask);
    return mask;
}

TEST(MasksWithAlpha, MarkWhatIsSeen)
{
    const TempFolder folder;
    const cv::Mat none(side, side, CV_8U, cv::Scalar(0)), all(side, side, CV_8U, cv::Scalar(255));
    const cv::Mat shape = square(4, 6);
    const struct
    {
        const char* name;
        cv::Mat mask, expected;
    } masks[] = {{"black.png", withAlpha(none, none, none, shape), shape},
                 {"white.png", withAlpha(all, all, all, shape), shape},
                 {"red on white.png", withAlpha(all - shape, all - shape, all, shape), shape},
                 {"opaque.png", withAlpha(shape, shape, shape, all), shape},
                 {"no alpha to speak of.png", withAlpha(shape, shape, shape, none), shape},
                 {"half.png", withAlpha(shape, none, none, square(4, 6, 128)), shape},
                 {"hidden.png", withAlpha(shape | square(12, 12), none, none, shape), shape},
                 {"black.webp", withAlpha(none, none, none, shape), shape},
                 {"black.tiff", withAlpha(none, none, none, shape), shape}};
    for (const auto& [name, mask, expected] : masks)
    {
        put(folder / name, mask);
        EXPECT_EQ(cv::norm(readMaskFile(folder / name, {side, side}), expected, cv::NORM_INF), 0) << name;
    }
}

TEST(MaskFolders, BesideAClassThatFitNoPictureAreLeftOutToo)
{
    const TempFolder folder;
    putClasses(folder.path());
    put(folder / "cut_gt/other.png");
    put(folder / "cut_label/3.png"); // may be a defect of the label
    const Dataset dataset = listTest(folder.path());
    EXPECT_EQ(dataset.items.size(), 5u);
    EXPECT_THAT(dataset.warnings, Contains(HasSubstr("cut_gt: is named as masks are, but fits no image")));
    EXPECT_EQ(dataset.skipped.count, 1u);
}

TEST(MasksThatLoseDetail, MarkWithoutTheirHalo)
{
    const TempFolder folder;
    cv::Mat mask(64, 64, CV_8U, cv::Scalar(0));
    cv::rectangle(mask, {10, 20}, {37, 41}, cv::Scalar(255), cv::FILLED);
    std::vector<std::pair<std::string, std::vector<int>>> kinds = {{"95.jpg", {cv::IMWRITE_JPEG_QUALITY, 95}},
                                                                   {"30.jpg", {cv::IMWRITE_JPEG_QUALITY, 30}},
                                                                   {"40.webp", {cv::IMWRITE_WEBP_QUALITY, 40}}};
    for (const auto& [name, quality] : kinds)
    {
        cv::imwrite(folder / name, mask, quality);
        const cv::Mat read = readMask(folder / name, mask.size());
        cv::Mat halo;
        cv::dilate(mask, halo, cv::Mat(), {-1, -1}, 2);
        EXPECT_EQ(cv::countNonZero(read & ~halo), 0) << name;
        EXPECT_EQ(cv::countNonZero(mask & ~read), 0) << name;
    }
    cv::imwrite(folder / "lossless.webp", mask / 255, {cv::IMWRITE_WEBP_QUALITY, 101});
    EXPECT_EQ(cv::norm(readMask(folder / "lossless.webp", mask.size()), mask, cv::NORM_INF), 0);
}

TEST(MaskCheck, TellsOfImagesThatLookLikeMasks)
{
    MaskCheck check;
    cv::Mat grey(side, side, CV_8UC3, cv::Scalar(90, 90, 90)), mask, noisy;
    cv::cvtColor(square(1, 1), mask, cv::COLOR_GRAY2BGR);
    noisy = mask.clone();
    noisy.at<cv::Vec3b>(9, 9) = {1, 2, 3};
    Item item;
    for (const auto& [name, image] : {std::pair<const char*, const cv::Mat&>{"grey", grey}, {"mask", mask}, {"noisy", noisy}})
    {
        item.name = name;
        check.addImage(item, image);
    }
    EXPECT_THAT(check.notes(), ElementsAre("1 image holds two values only, as masks do, and was inspected: mask."));
}

TEST(MaskCheck, NamesWhatIsOdd)
{
    const TempFolder folder;
    const cv::Mat black(side, side, CV_8U, cv::Scalar(0));
    MaskCheck check;
    Item item;
    for (const auto& [name, mask] : {std::pair<const char*, cv::Mat>{"right", square(1, 1)},
                                     {"none", cv::Mat()},
                                     {"black", black},
                                     {"white", 255 - black},
                                     {"inverted", 255 - square(1, 1)},
                                     {"black2", black}})
    {
        item.name = name;
        check.add(item, mask);
    }
    EXPECT_THAT(check.notes(),
                ElementsAre(AllOf(HasSubstr(
                                "Masks that mark no pixel of an anomalous image, so that all of it counts as good (2): black, black2.")),
                            AllOf(HasSubstr("Masks that mark every pixel"), HasSubstr(" (1): white.")),
                            AllOf(HasSubstr("more than half"), HasSubstr(": inverted."))));
    EXPECT_THAT(MaskCheck().notes(), IsEmpty());
}

} // namespace
} // namespace agpnet::tools
