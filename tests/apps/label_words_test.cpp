// What names of folders and labels of tables mean: the same words for both.
#include "apps/datasets/dataset.h"
#include "apps/datasets/image_io.h"
#include "tests/support/error_text.h"
#include "tests/support/temp_folder.h"

#include <fmt/format.h>
#include <gmock/gmock.h>

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

void put(const fs::path& path)
{
    fs::create_directories(path.parent_path());
    writeImage(path, cv::Mat(16, 16, CV_8U, cv::Scalar(100)));
}

std::vector<std::string> names(const Dataset& dataset)
{
    std::vector<std::string> result;
    for (const Item& item : dataset.items)
        result.push_back(item.name);
    return result;
}

struct Word
{
    const char* text;
    Meaning meaning;
};

class Words : public ::testing::TestWithParam<Word>
{
};

/// The same file, labelled by a folder and by a table.
TEST_P(Words, MeanTheSameToFoldersAndTables)
{
    const auto [word, meaning] = GetParam();
    EXPECT_EQ(meaningOf(word), meaning);
    const TempFolder folder;
    put(folder / fmt::format("set/{}/0.png", word));
    put(folder / "set/zz other/0.png");
    test::writeBytes(folder / "set/t.csv", fmt::format("path,label\n{0}/0.png,{0}\n", word));
    for (const fs::path& data : {fs::path(folder / "set"), fs::path(folder / "set/t.csv")})
    {
        SCOPED_TRACE(data);
        const auto test = [&] { return listTest(data); };
        if (meaning == Meaning::Unclear)
            EXPECT_THAT(errorOf(test), AllOf(HasSubstr(fmt::format("'{}' may mean good or defective", word)), HasSubstr("--good NAME")));
        else
            EXPECT_EQ(test().items.at(0).label, meaning == Meaning::Good ? Label::Good : Label::Anomalous);
        if (meaning == Meaning::Good)
            EXPECT_THAT(names(listTraining(data)), ElementsAre(fmt::format("{}/0.png", word)));
        else
            EXPECT_THAT(errorOf([&] { listTraining(data); }),
                        HasSubstr(meaning == Meaning::Unclear ? "--good NAME" : "holds no good images"));
        // whatever it means, the user may say it
        ListOptions said;
        said.good = {word};
        EXPECT_THAT(names(listTraining(data, said)), ElementsAre(fmt::format("{}/0.png", word)));
        EXPECT_EQ(listTest(data, said).items.at(0).label, Label::Good);
        said.good = {"zz OTHER"};
        EXPECT_EQ(listTest(data, said).items.at(0).label, Label::Anomalous);
    }
}

INSTANTIATE_TEST_SUITE_P(
    Label, Words,
    ::testing::Values(Word{"good", Meaning::Good}, Word{"GOOD", Meaning::Good}, Word{"ok", Meaning::Good}, Word{"OK", Meaning::Good},
                      Word{"Okay", Meaning::Good}, Word{"normal", Meaning::Good}, Word{"Normal", Meaning::Good},
                      Word{"pass", Meaning::Good}, Word{"PASSED", Meaning::Good}, Word{"False", Meaning::Good}, Word{"0", Meaning::Good},
                      Word{"0.0", Meaning::Good}, Word{"Non_Defective", Meaning::Good}, Word{"no defect", Meaning::Good},
                      Word{"defect-free", Meaning::Good}, Word{"abnormal", Meaning::Anomalous}, Word{"NG", Meaning::Anomalous},
                      Word{"not good", Meaning::Anomalous}, Word{"bad", Meaning::Anomalous}, Word{"fail", Meaning::Anomalous},
                      Word{"defective", Meaning::Anomalous}, Word{"anomaly", Meaning::Anomalous}, Word{"True", Meaning::Anomalous},
                      Word{"1", Meaning::Anomalous}, Word{"1.0", Meaning::Anomalous}, Word{"2", Meaning::Anomalous},
                      Word{"-1", Meaning::Unclear}, Word{"positive", Meaning::Unclear}, Word{"Negative", Meaning::Unclear},
                      Word{"none", Meaning::Unclear}, Word{"NaN", Meaning::Unclear}, Word{"yes", Meaning::Unclear},
                      Word{"unknown", Meaning::Unclear}, Word{"anomaly-free", Meaning::Good}, Word{"i.O.", Meaning::Good},
                      Word{"Gut", Meaning::Good}, Word{"non-defect", Meaning::Good}, Word{"ok_parts", Meaning::Unclear},
                      Word{"Good 2", Meaning::Unclear}, Word{"good1", Meaning::Unclear}, Word{"normal_images", Meaning::Unclear},
                      Word{"no good", Meaning::Anomalous}, Word{"not_ok_parts", Meaning::Anomalous}, Word{"defect_0", Meaning::Anomalous},
                      Word{"broken", Meaning::Anomalous}));

TEST(Layouts, FoldersAreKnownInAnyCase)
{
    const TempFolder folder;
    for (const char* name : {"Train/OK/1.png", "Test/OK/2.png", "Test/NG/3.png", "Ground_Truth/NG/3.png", "Val/Normal/4.png"})
        put(folder / name);
    const Dataset training = listTraining(folder.path()), testing = listTest(folder.path());
    EXPECT_THAT(names(training), ElementsAre("Train/OK/1.png"));
    EXPECT_EQ(training.layout, "MVTec AD (Train/OK)");
    EXPECT_THAT(names(testing), ElementsAre("Test/NG/3.png", "Test/OK/2.png"));
    EXPECT_EQ(testing.items[0].mask, folder / "Ground_Truth/NG/3.png");
    EXPECT_EQ(testing.items[1].label, Label::Good);
    EXPECT_THAT(testing.warnings, IsEmpty());
    EXPECT_THAT(names(listValidation(folder.path())), ElementsAre("Val/Normal/4.png"));
}

TEST(Layouts, SeveralFoldersMayBeGood)
{
    const TempFolder folder;
    for (const char* name : {"good/0.png", "normal/0.png", "abnormal/0.png"})
        put(folder / name);
    EXPECT_THAT(names(listTraining(folder.path())), ElementsAre("good/0.png", "normal/0.png"));
    EXPECT_EQ(listTest(folder.path()).count(Label::Anomalous), 1u);
}

TEST(Layouts, FoldersThatMayBeGoodTooAreNamed)
{
    const TempFolder folder;
    for (const char* name : {"good/0.png", "ok_parts/0.png", "cut/0.png"})
        put(folder / name);
    const Dataset dataset = listTraining(folder.path());
    EXPECT_THAT(names(dataset), ElementsAre("good/0.png"));
    EXPECT_THAT(
        dataset.warnings,
        Contains(HasSubstr(
            "these folders may hold good images too, which are not trained on: ok_parts; --good NAME, again for each, says which do.")));
    ListOptions said;
    said.good = {"good", "ok_parts"};
    EXPECT_THAT(names(listTraining(folder.path(), said)), ElementsAre("good/0.png", "ok_parts/0.png"));
    said.good = {"good"};
    EXPECT_THAT(listTraining(folder.path(), said).warnings, IsEmpty());
}

TEST(Layouts, WhereNothingIsKnownToBeGoodTheUserIsAsked)
{
    const TempFolder folder;
    for (const char* name : {"alpha/0.png", "beta/0.png"})
        put(folder / name);
    EXPECT_THAT(errorOf([&] { listTraining(folder.path()); }), AllOf(HasSubstr("--good NAME"), HasSubstr("alpha, beta")));
    EXPECT_THAT(listTest(folder.path()).warnings, Contains(AllOf(HasSubstr("no good images"), HasSubstr("--good NAME"))));
    ListOptions said;
    said.good = {"Beta"};
    EXPECT_THAT(names(listTraining(folder.path(), said)), ElementsAre("beta/0.png"));
    EXPECT_EQ(listTest(folder.path(), said).count(Label::Good), 1u);
}

} // namespace
} // namespace agpnet::tools
