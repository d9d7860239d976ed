#include "apps/datasets/object_dataset.h"

#include "apps/datasets/image_io.h"
#include "apps/datasets/object_split.h"
#include "tests/support/error_text.h"
#include "tests/support/shared_data.h"
#include "tests/support/temp_folder.h"

#include <unistd.h>

namespace agpnet::tools
{
namespace
{

namespace fs = std::filesystem;
using test::errorOf;
using test::sharedData;
using test::TempFolder;
using test::writeBytes;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

void writeView(const TempFolder& folder, const std::string& name)
{
    writeImage(folder / name, cv::Mat(8, 8, CV_8U, cv::Scalar(200)));
}

void writeViews(const TempFolder& folder, const std::vector<std::string>& names)
{
    for (const std::string& name : names)
        writeView(folder, name);
}

/// "class/object: view view", paths relative to the root.
std::vector<std::string> described(const ObjectDataset& dataset)
{
    std::vector<std::string> lines;
    for (const Object& object : dataset.objects)
    {
        std::string line = object.className + "/" + object.name + ":";
        for (const fs::path& view : object.views)
            line += fmt::format(" {}", view.lexically_relative(dataset.root).generic_string());
        lines.push_back(line);
    }
    return lines;
}

TEST(ListObjects, FindsTheLayoutByItself)
{
    const struct
    {
        std::vector<std::string> files;
        std::string layout;
        std::vector<std::string> expected;
    } table[] = {
        {{"nut/n10/1.png", "nut/n2/1.png", "bolt/b/h_10.png", "bolt/b/h_2.png"},
         "CLASS/OBJECT/*",
         {"bolt/b: bolt/b/h_2.png bolt/b/h_10.png", "nut/n2: nut/n2/1.png", "nut/n10: nut/n10/1.png"}},
        {{"4711/a.png", "4711/b.jpg", "815/x.bmp"}, "OBJECT/*", {"/815: 815/x.bmp", "/4711: 4711/a.png 4711/b.jpg"}},
        {{"4711.png", "815.jpg"}, "OBJECT.*", {"/815: 815.jpg", "/4711: 4711.png"}},
        {{"4711.png", "815/1.png", "815/2.png"}, "OBJECT/* and OBJECT.*", {"/815: 815/1.png 815/2.png", "/4711: 4711.png"}},
        // as the OS data sets have it, beside folders of other kinds of data
        {{"nut/n/image/h_11.jpg", "nut/n/image/h_9.jpg"}, "CLASS/OBJECT/*", {"nut/n: nut/n/image/h_9.jpg nut/n/image/h_11.jpg"}},
        {{"n/image/h_0.jpg"}, "OBJECT/*", {"/n: n/image/h_0.jpg"}},
        // a class that has an object called image, and another
        {{"nut/image/1.png", "nut/other/1.png"}, "CLASS/OBJECT/*", {"nut/image: nut/image/1.png", "nut/other: nut/other/1.png"}},
        {{".hidden/a.png", "Ångström/1.png"}, "OBJECT/*", {"/Ångström: Ångström/1.png"}},
    };
    for (const auto& row : table)
    {
        const TempFolder folder;
        writeViews(folder, row.files);
        const ObjectDataset dataset = listObjects(folder.path());
        EXPECT_EQ(described(dataset), row.expected);
        EXPECT_EQ(dataset.layout, row.layout);
        EXPECT_THAT(dataset.warnings, IsEmpty());
        EXPECT_EQ(dataset.views(), row.files.size() - (row.files[0] == ".hidden/a.png"));
        EXPECT_EQ(dataset.name, folder.path().filename().string());
        EXPECT_EQ(described(listObjects(folder.path().string() + "/")).size(), row.expected.size());
    }
}

TEST(ListObjects, ClassesHoldTheirObjects)
{
    const TempFolder folder;
    writeViews(folder, {"nut/a/1.png", "bolt/b/1.png", "nut/c/1.png", "gear/only/1.png"});
    const auto classes = listObjects(folder.path()).classes();
    EXPECT_THAT(classes, ElementsAre(std::pair("bolt", std::vector<size_t>{0}), std::pair("gear", std::vector<size_t>{1}),
                                     std::pair("nut", std::vector<size_t>{2, 3})));
    const TempFolder plain;
    writeView(plain, "a.png");
    EXPECT_TRUE(listObjects(plain.path()).classes().empty());
}

TEST(ListObjects, WarnsOfWhatIsLeftOut)
{
    const TempFolder folder;
    writeViews(folder, {"nut/a/1.png", "loose.png"});
    EXPECT_THAT(listObjects(folder.path()).warnings, ElementsAre(HasSubstr("1 images lie beside the folders of the classes")));
    const TempFolder deep;
    writeViews(deep, {"a/1.png", "a/old/1.png", "b/1.png", "b/old/1.png", "c/1.png", "c/old/1.png", "d/1.png", "d/old/1.png", "e/1.png",
                      "e/old/1.png"});
    writeBytes(deep / "a/notes.txt", std::string("text"));
    const ObjectDataset dataset = listObjects(deep.path());
    EXPECT_EQ(dataset.objects.size(), 5u);
    EXPECT_EQ(dataset.views(), 5u);
    ASSERT_EQ(dataset.warnings.size(), 4u);
    EXPECT_THAT(dataset.warnings[0], HasSubstr("1 images in folders below it are left out: old/"));
    EXPECT_THAT(dataset.warnings[3], HasSubstr("2 more folders"));
}

TEST(ListObjects, ErrorsNameWhatIsWrong)
{
    const struct
    {
        std::vector<std::string> files, folders;
        std::string message;
    } table[] = {
        {{}, {}, "holds no objects (png"},
        {{}, {"a", "b"}, "CLASS/OBJECT/*.png, OBJECT/*.png, OBJECT.png or a CSV table expected"},
        {{"a/1.png"}, {"b"}, "b: the object has no images (png"},
        {{"nut/a/1.png"}, {"nut/b"}, "nut/b: the object has no images (png"},
        {{"nut/a/1.png"}, {"bolt"}, "bolt: the class has no objects; CLASS/OBJECT/*.png expected, as beside it"},
        {{"nut/a/1.png", "bolt/1.png"}, {}, "bolt holds images and other folders hold folders of images"},
        {{"nut/a/1.png", "bolt/a/1.png"}, {}, "two objects are called 'a': bolt/a and nut/a; each needs a name of its own"},
        {{"a.png", "a.jpg"}, {}, "two objects are called 'a': "},
        {{"a/1.png", "a.png"}, {}, "two objects are called 'a': a and a.png"},
        {{"known/nut/a/1.png", "unknown/bolt/b/1.png"}, {}, "holds 2 data sets (known/, unknown/); name one of them"},
        {{"b\xff/1.png"}, {}, "the name \"b\xef\xbf\xbd\" is not valid UTF-8"},
        {{"b\xff/a/1.png"}, {}, "the class \"b\xef\xbf\xbd\" is not valid UTF-8"},
    };
    for (const auto& row : table)
    {
        const TempFolder folder;
        writeViews(folder, row.files);
        for (const std::string& name : row.folders)
            fs::create_directories(folder.path() / name);
        const std::string message = errorOf([&] { listObjects(folder.path()); });
        EXPECT_THAT(message, AllOf(HasSubstr(row.message), HasSubstr(folder.path().string())));
        EXPECT_EQ(std::count(message.begin(), message.end(), '\n'), 0);
    }
    const TempFolder folder;
    EXPECT_THAT(errorOf([&] { listObjects(folder.path() / "none"); }), HasSubstr("none: no such folder"));
    writeView(folder, "image.png");
    EXPECT_THAT(errorOf([&] { listObjects(folder.path() / "image.png"); }), HasSubstr("a folder of objects or a CSV table was expected"));
    const TempFolder other;
    writeBytes(other / "a/1.gif", std::string("GIF89a"));
    EXPECT_THAT(errorOf([&] { listObjects(other.path() / "a"); }), HasSubstr("1 images of formats that are not read are left out: 1.gif"));
}

TEST(ListObjects, UnreadableFolderIsAnError)
{
    if (::geteuid() == 0)
        GTEST_SKIP() << "root reads every folder";
    const TempFolder folder;
    writeViews(folder, {"a/1.png", "b/1.png"});
    fs::permissions(folder.path() / "a", fs::perms::none);
    const std::string message = errorOf([&] { listObjects(folder.path()); });
    fs::permissions(folder.path() / "a", fs::perms::owner_all);
    EXPECT_THAT(message, HasSubstr("a: the folder cannot be read"));
}

TEST(ListObjects, ReadsATable)
{
    const TempFolder folder;
    writeViews(folder, {"images/10.png", "images/2.png", "images/3.png", "views/0815/h_10.png", "views/0815/h_9.png"});
    writeBytes(folder / "articles.csv", std::string("Object,File,class,Shelf,size\n"
                                                    "4711,images/10.png,bolt,B12,8\n"
                                                    "0047,images/3.png,,,\n"
                                                    "4711,images/2.png,bolt,,8\n"
                                                    "0815,views/0815,nut,\"A, left\",\n"));
    const ObjectDataset dataset = listObjects(folder / "articles.csv");
    EXPECT_THAT(described(dataset), ElementsAre("bolt/4711: images/10.png images/2.png", "/0047: images/3.png",
                                                "nut/0815: views/0815/h_9.png views/0815/h_10.png"));
    EXPECT_EQ(dataset.objects[0].metadata, (nlohmann::json{{"shelf", "B12"}, {"size", "8"}}));
    EXPECT_EQ(dataset.objects[1].metadata, nlohmann::json::object());
    EXPECT_EQ(dataset.objects[2].metadata, (nlohmann::json{{"shelf", "A, left"}}));
    EXPECT_EQ(dataset.layout, "table (articles.csv)");
    EXPECT_EQ(dataset.name, "articles");
}

TEST(ListObjects, TableErrorsNameTheLine)
{
    const struct
    {
        std::string text, message;
    } table[] = {
        {"file,shelf\n", "the header has no column 'object'"},
        {"object,class\n", "the header has no column 'file'"},
        {"file,object\n", "names no object"},
        {"file,object\na.png,\n", "line 2: the object's name is empty"},
        {"file,object\n,x\n", "line 2: the path is empty"},
        {"file,object\nb.png,x\n", "line 2: "},
        {"file,object\n../a.png,x\n", "line 2: the path '../a.png' leads out of"},
        {"file,object\n/etc/passwd,x\n", "leads out of"},
        {"file,object\nempty,x\n", "the folder holds no images"},
        {"file,object\na.png,x\na.png,y\n", "line 3: a.png occurs twice"},
        {"file,object\na.png,x\nd,x\nd/./1.png,x\n", "line 4: d/1.png occurs twice"},
        {"file,object,class\na.png,x,nut\nd,x,bolt\n", "line 3: the class of 'x' is 'bolt', but an earlier row from line 2 on says 'nut'"},
        {"file,object,shelf\na.png,x,\nd,x,B1\nc.png,x,B2\n",
         "line 4: the shelf of 'x' is 'B2', but an earlier row from line 2 on says 'B1'"},
        {"file,object\na.png,x\xff\n", "line 2: the object \"x\xef\xbf\xbd\" is not valid UTF-8"},
        {"file,object,note\na.png,x,\xff\n", "line 2: the note \"\xef\xbf\xbd\" is not valid UTF-8"},
        {"file,object\na.png\n", "line 2: 1 fields, but the header names 2 columns"},
    };
    for (const auto& row : table)
    {
        const TempFolder folder;
        writeViews(folder, {"a.png", "c.png", "d/1.png"});
        fs::create_directories(folder.path() / "empty");
        writeBytes(folder / "t.csv", row.text);
        EXPECT_THAT(errorOf([&] { listObjects(folder / "t.csv"); }), AllOf(HasSubstr(row.message), HasSubstr("t.csv"))) << row.text;
    }
}

TEST(ListObjects, ImagesGiveAHashOfFilesAndNames)
{
    const TempFolder folder;
    writeViews(folder, {"nut/a/1.png", "nut/a/2.png"});
    const Dataset images = imagesOf(listObjects(folder.path()));
    ASSERT_EQ(images.items.size(), 2u);
    EXPECT_EQ(images.items[1].name, "nut/a/2.png");
    checkFiles(images);
    const std::string before = datasetHash(images);
    fs::rename(folder.path() / "nut/a", folder.path() / "nut/b");
    EXPECT_NE(datasetHash(imagesOf(listObjects(folder.path()))), before);
    fs::rename(folder.path() / "nut/b", folder.path() / "nut/a");
    EXPECT_EQ(datasetHash(imagesOf(listObjects(folder.path()))), before);
    writeBytes(folder / "nut/a/2.png", std::string("no image"));
    EXPECT_THAT(errorOf([&] { checkFiles(imagesOf(listObjects(folder.path()))); }), HasSubstr("2.png"));
}

ObjectDataset bolts()
{
    ObjectDataset dataset;
    dataset.root = "data/parts";
    dataset.name = "parts";
    for (const char* name : {"b1", "b2", "b3"})
        dataset.objects.push_back({name, "bolt", {"x.png"}});
    dataset.objects.push_back({"n1", "nut", {"x.png"}});
    return dataset;
}

TEST(ObjectSplit, ReadsEachForm)
{
    const TempFolder folder;
    for (
        const std::string text : {
            R"({"query": ["n1", "b1"], "target": ["b3"], "note": 1})",
            R"({"bolt": {"query": ["b1"], "target": ["b3"], "parent": "x"}, "nut": {"query": ["n1"]}})",
            R"({"other": {"pin": {"query": ["p"], "target": []}}, "parts": {"bolt": {"query": ["b1"], "target": ["b3"]}, "nut": {"query": ["n1"], "target": []}}})",
            R"({"other": {"query": ["p"], "target": []}, "parts": {"query": ["b1", "n1"], "target": ["b3"]}})",
        })
    {
        writeBytes(folder / "split.json", text);
        const QueryTarget split = readObjectSplit(folder / "split.json", bolts());
        EXPECT_EQ(split.queries, (std::vector<size_t>{0, 3})) << text;
        EXPECT_EQ(split.targets, (std::vector<size_t>{2})) << text;
    }
}

TEST(ObjectSplit, ErrorsNameWhatIsWrong)
{
    const TempFolder folder;
    const struct
    {
        std::string text, message;
    } table[] = {
        {"[]", "is no JSON object"},
        {"{", "not valid JSON"},
        {"{}", "names no query"},
        {R"({"query": ["b1"]})", "names no target"},
        {R"({"query": "b1", "target": ["b2"]})", "'query' is no list of names"},
        {R"({"query": [1], "target": ["b2"]})", "'query' holds 1, but the name of an object was expected"},
        {R"({"query": ["b1"], "target": ["b1"]})", "'b1' is named twice"},
        {R"({"query": ["b1", "x", "y"], "target": ["b2"]})", "2 names are those of no object of data/parts: x, y"},
        {R"({"nut": {"query": ["b1"], "target": ["n1"]}})", "'b1' is named as of the class 'nut', but is of 'bolt'"},
    };
    for (const auto& row : table)
    {
        writeBytes(folder / "split.json", row.text);
        EXPECT_THAT(errorOf([&] { readObjectSplit(folder / "split.json", bolts()); }),
                    AllOf(HasSubstr(row.message), HasSubstr("split.json")));
    }
    EXPECT_THAT(errorOf([&] { readObjectSplit(folder / "none.json", bolts()); }), HasSubstr("none.json"));
}

TEST(SharedObjects, PrincetonShapeBenchmark)
{
    const fs::path root = sharedData("data/psb");
    if (!fs::exists(root))
        GTEST_SKIP() << root << " is not there";
    const struct
    {
        const char* part;
        size_t classes, objects;
    } table[] = {{"known", 26, 264}, {"unknown", 20, 211}};
    for (const auto& row : table)
    {
        const ObjectDataset dataset = listObjects(root / row.part);
        EXPECT_EQ(dataset.classes().size(), row.classes);
        EXPECT_EQ(dataset.objects.size(), row.objects);
        EXPECT_EQ(dataset.views(), row.objects * 12);
        EXPECT_THAT(dataset.warnings, IsEmpty());
        for (const Object& object : dataset.objects)
            EXPECT_EQ(object.views.back().filename(), "view_11.png");
        const QueryTarget split = readObjectSplit(root / "split.json", dataset);
        EXPECT_EQ(split.queries.size() + split.targets.size(), row.objects);
        EXPECT_GE(split.queries.size(), 2 * row.classes);
    }
    EXPECT_THAT(errorOf([&] { listObjects(root); }), HasSubstr("2 data sets (known/, unknown/)"));
}

TEST(SharedObjects, MachineParts)
{
    const fs::path root = sharedData("data/mech");
    if (!fs::exists(root))
        GTEST_SKIP() << root << " is not there";
    const ObjectDataset dataset = listObjects(root);
    EXPECT_GE(dataset.classes().size(), 19u);
    EXPECT_EQ(dataset.objects.size(), dataset.classes().size() * 12);
    EXPECT_EQ(dataset.views(), dataset.objects.size() * 12);
    EXPECT_THAT(dataset.warnings, IsEmpty());
}

} // namespace
} // namespace agpnet::tools
