// The gallery and its file.
#include "models/index/gallery_file.h"
#include "tests/models/network_fixture.h"

#include <ATen/ATen.h>
#include <ATen/CPUGeneratorImpl.h>
#include <algorithm>
#include <cmath>
#include <map>
#include <sys/wait.h>
#include <unistd.h>

namespace agpnet::test
{
namespace
{

using ::testing::ElementsAre;
using ::testing::HasSubstr;

at::Tensor normal(at::IntArrayRef size, uint64_t seed)
{
    at::Generator generator = at::make_generator<at::CPUGeneratorImpl>(seed);
    return at::empty(size).normal_(0, 1, generator);
}

GalleryFile fileOf(int64_t count, int64_t width, uint64_t seed)
{
    GalleryFile file{GalleryRows(width, "space"), "model.agp", {{"views", 3}}, {}, {}};
    const at::Tensor rows = normal({count, width}, seed);
    for (int64_t i = 0; i < count; i++)
        file.rows.add("part " + std::to_string(i), rows[i], i % 2 ? R"({"i": )" + std::to_string(i) + "}" : "");
    return file;
}

std::vector<std::string> namesOf(const GalleryRows& rows, const std::vector<GalleryRows::Found>& found)
{
    std::vector<std::string> names;
    for (const GalleryRows::Found& each : found)
        names.push_back(rows.name(each.row));
    return names;
}

TEST(Gallery, FindsTheClosest)
{
    const GalleryFile file = fileOf(300, 16, 1);
    const at::Tensor queries = normal({20, 16}, 2);
    const auto found = file.rows.search(queries, 7);
    for (int64_t q = 0; q < 20; q++)
    {
        std::vector<std::pair<double, std::string>> all;
        for (int64_t row = 0; row < 300; row++)
            all.emplace_back(
                -at::cosine_similarity(queries[q].to(at::kDouble), file.rows.descriptor(row).to(at::kDouble), 0, 0).item<double>(),
                file.rows.name(row));
        std::sort(all.begin(), all.end());
        ASSERT_EQ(found[static_cast<size_t>(q)].size(), 7U);
        for (size_t i = 0; i < 7; i++)
        {
            EXPECT_EQ(file.rows.name(found[static_cast<size_t>(q)][i].row), all[i].second);
            EXPECT_NEAR(found[static_cast<size_t>(q)][i].similarity, -all[i].first, 1e-5);
        }
    }
}

TEST(Gallery, EquallyCloseOnesComeByName)
{
    GalleryRows rows(2, "s");
    for (const char* name : {"d", "b", "e", "a", "c"})
        rows.add(name, at::tensor({1.F, 0.F}));
    rows.add("far", at::tensor({0.F, 1.F}));
    const at::Tensor query = at::tensor({3.F, 0.F}).view({1, 2});
    EXPECT_THAT(namesOf(rows, rows.search(query, 3)[0]), ElementsAre("a", "b", "c"));
    EXPECT_THAT(namesOf(rows, rows.search(query, 3, {rows.find("b")})[0]), ElementsAre("a", "c", "d"));
    EXPECT_EQ(rows.search(query, 100)[0].size(), 6U);
}

TEST(Gallery, RefusesByName)
{
    GalleryRows rows(3, "s");
    const at::Tensor good = at::tensor({1.F, 2.F, 3.F});
    rows.add("a", good);
    EXPECT_THAT(errorOf([&] { rows.add("a", good); }), HasSubstr("has an entry 'a' already"));
    EXPECT_THAT(errorOf([&] { rows.add("", good); }), HasSubstr("0 bytes"));
    EXPECT_THAT(errorOf([&] { rows.add(std::string(1025, 'x'), good); }), HasSubstr("1025 bytes"));
    EXPECT_THAT(errorOf([&] { rows.add("a\nb", good); }), HasSubstr("control"));
    EXPECT_THAT(errorOf([&] { rows.add("\xFF", good); }), HasSubstr("not UTF-8"));
    EXPECT_THAT(errorOf([&] { rows.add("b", at::tensor({1.F, 2.F})); }), HasSubstr("2 values, expected the gallery's 3"));
    EXPECT_THAT(errorOf([&] { rows.add("b", at::zeros({3})); }), HasSubstr("is zero"));
    EXPECT_THAT(errorOf([&] { rows.add("b", at::tensor({1.F, NAN, 3.F})); }), HasSubstr("not finite"));
    EXPECT_THAT(errorOf([&] { rows.add("b", good, "{"); }), HasSubstr("the note of 'b'"));
    EXPECT_THAT(errorOf([&] { rows.remove("b"); }), HasSubstr("no entry 'b'"));
    EXPECT_THAT(errorOf([&] { rows.search(at::zeros({1, 3}), 1); }), HasSubstr("a query is zero"));
    EXPECT_THAT(errorOf([&] { rows.search(good.view({1, 3}), 0); }), HasSubstr("expected at least 1"));
    EXPECT_THAT(errorOf([&] { rows.search(at::ones({1, 2}), 1); }), HasSubstr("expected [number, 3]"));
    EXPECT_EQ(rows.size(), 1); // nothing half done
    EXPECT_EQ(GalleryRows(3, "s").search(good.view({1, 3}), 5)[0].size(), 0U); // empty: no answer
    rows.add("名前 \"é\" 🔩", good * 2);
    EXPECT_EQ(rows.find("名前 \"é\" 🔩"), 1);
}

TEST(Gallery, ManyAddsAndRemovesLoseNothing)
{
    GalleryRows rows(4, "s");
    std::map<std::string, at::Tensor> expected;
    at::Generator generator = at::make_generator<at::CPUGeneratorImpl>(1);
    const at::Tensor all = normal({500, 4}, 2);
    for (int i = 0; i < 20000; i++)
    {
        const std::string name = std::to_string(at::randint(500, {1}, generator).item<int64_t>());
        const at::Tensor row = all[i % 500];
        if (expected.contains(name) && i % 3 != 0)
        {
            rows.remove(name);
            expected.erase(name);
        }
        else
        {
            rows.put(name, row);
            expected[name] = row;
        }
    }
    ASSERT_EQ(static_cast<size_t>(rows.size()), expected.size());
    for (const auto& [name, row] : expected)
    {
        const int64_t place = rows.find(name);
        ASSERT_GE(place, 0) << name;
        EXPECT_EQ(rows.name(place), name);
        EXPECT_LT(largest(rows.descriptor(place), row / row.norm()), 1e-6);
    }
}

TEST(Gallery, SmoothingMovesNeighboursTogether)
{
    GalleryRows rows(2, "s");
    for (const auto& [name, degrees] : {std::pair{"a", 0}, {"b", 10}, {"far", 180}})
        rows.add(name, at::tensor({std::cos(degrees * M_PI / 180), std::sin(degrees * M_PI / 180)}).to(at::kFloat));
    rows.smooth(1, 0);
    const auto angle = [&](int64_t row)
    { return std::atan2(rows.descriptor(row)[1].item<double>(), rows.descriptor(row)[0].item<double>()) * 180 / M_PI; };
    EXPECT_NEAR(angle(0), 5, 0.01); // with its neighbour, at equal weights
    EXPECT_NEAR(angle(1), 5, 0.01);
}

class GalleryFiles : public WithFolder
{
};

TEST_F(GalleryFiles, ComeBackAsTheyWere)
{
    const std::string path = folder / "parts.agpx";
    GalleryFile made = fileOf(57, 8, 3);
    made.rows.setCloseness({{-0.5F, 0.F, 0.25F}, {{1, 0.5, {0.1F, 0.5F}}, {3, 2, {0.2F, 0.6F, 0.7F}}}});
    writeGallery(path, made);
    GalleryFile read = readGallery(path);
    EXPECT_EQ(read.rows.size(), 57);
    EXPECT_EQ(read.rows.space(), "space");
    EXPECT_EQ(read.model, "model.agp");
    EXPECT_EQ(read.settings, made.settings);
    EXPECT_TRUE(read.rows.rows().equal(made.rows.rows()));
    for (int64_t i = 0; i < 57; i++)
    {
        EXPECT_EQ(read.rows.name(i), made.rows.name(i));
        EXPECT_EQ(read.rows.note(i), made.rows.note(i));
        EXPECT_EQ(read.rows.find(made.rows.name(i)), i);
    }
    EXPECT_EQ(read.rows.find("no such part"), -1);
    EXPECT_EQ(read.rows.closeness().pairs, made.rows.closeness().pairs);
    ASSERT_EQ(read.rows.closeness().strangers.size(), 2U);
    EXPECT_EQ(read.rows.closeness().strangers[1].views, 3);
    EXPECT_EQ(read.rows.closeness().strangers[1].weight, 2);
    EXPECT_NEAR(read.rows.closeness().evidence(0.8, 0.5, 4), 0.8 + 2 * 0.3, 1e-9);
    // changed, and written over what it looks into
    read.rows.remove("part 3");
    read.rows.put("part 4", at::ones({8}), "{}");
    read.rows.add("new", at::ones({8}) * 2);
    writeGallery(path, read);
    const GalleryFile again = readGallery(path);
    EXPECT_EQ(again.rows.size(), 57);
    EXPECT_EQ(again.rows.find("part 3"), -1);
    EXPECT_EQ(again.rows.note(again.rows.find("part 4")), "{}");
    EXPECT_GE(again.rows.find("new"), 0);
}

TEST_F(GalleryFiles, OfNothing)
{
    const std::string path = folder / "empty.agpx";
    GalleryFile made{GalleryRows(8, "s"), {}, nlohmann::json::object(), {}, {}};
    writeGallery(path, made);
    GalleryFile read = readGallery(path);
    EXPECT_EQ(read.rows.size(), 0);
    EXPECT_EQ(read.rows.find("a"), -1);
    EXPECT_TRUE(read.rows.search(at::ones({1, 8}), 3)[0].empty());
    read.rows.add("a", at::ones({8}));
    EXPECT_EQ(read.rows.size(), 1);
}

TEST_F(GalleryFiles, CutAtAnyByteAreRefused)
{
    const std::string path = folder / "parts.agpx", cut = folder / "cut.agpx";
    GalleryFile made = fileOf(3, 4, 3);
    writeGallery(path, made);
    const std::string whole = slurp(path);
    for (size_t size = 0; size < whole.size(); size++)
    {
        std::ofstream(cut, std::ios::binary) << whole.substr(0, size);
        ASSERT_THAT(errorOf([&] { readGallery(cut); }), HasSubstr("cut.agpx")) << size;
    }
    // a byte that is another one: at the latest when the rows are used
    size_t refused = 0;
    for (size_t i = 0; i < whole.size(); i++)
    {
        std::string changed = whole;
        changed[i] = static_cast<char>(changed[i] ^ 0x41);
        std::ofstream(cut, std::ios::binary) << changed;
        refused += errorOf([&] {
                       GalleryFile file = readGallery(cut);
                       file.rows.search(at::ones({1, file.rows.width()}), 1);
                   }) != "no error";
    }
    EXPECT_GE(refused, whole.size() - 64); // but in the padding before the tensors
}

TEST_F(GalleryFiles, LyingFilesAreRefused)
{
    const std::string path = folder / "lies.agpx";
    const auto refused = [&](const std::function<void(TensorFile&)>& change) {
        GalleryFile made = fileOf(5, 4, 3);
        writeGallery(path, made);
        const TensorFile read = readSafetensors(path);
        TensorFile file;
        for (const auto& [name, tensor] : read.tensors)
            file.tensors[name] = tensor.clone();
        nlohmann::json header = readGalleryHeader(path);
        header.erase("sha256"); // as a file that somebody made: no sum to compare
        change(file);
        file.metadata["agpnet"] = header.dump();
        writeSafetensors(path, file);
        return errorOf([&] {
            GalleryFile lying = readGallery(path);
            for (int64_t i = 0; i < lying.rows.size(); i++)
                lying.rows.name(i);
            lying.rows.find("part 2");
            lying.rows.search(at::ones({1, lying.rows.width()}), 3);
            lying.rows.put("more", at::ones({lying.rows.width()}));
        });
    };
    EXPECT_EQ(refused([](TensorFile&) {}), "no error");
    EXPECT_THAT(refused([](TensorFile& f) { f.tensors["rows"][2][1] = NAN; }), HasSubstr("not finite"));
    EXPECT_THAT(refused([](TensorFile& f) { f.tensors["rows"] = at::zeros({4, 4}); }), HasSubstr("5 entries, but there are 4 rows"));
    EXPECT_THAT(refused([](TensorFile& f) { f.tensors["rows"] = at::zeros({5, 4}, at::kDouble); }), HasSubstr("expected Float"));
    EXPECT_THAT(refused([](TensorFile& f) { f.tensors["names.ends"][1] = 1000; }), HasSubstr("is said to lie at"));
    EXPECT_THAT(refused([](TensorFile& f) { f.tensors["names.ends"][1] = -4; }), HasSubstr("is said to lie at"));
    EXPECT_THAT(refused([](TensorFile& f) { f.tensors["names.ends"] = at::zeros({4}, at::kLong); }), HasSubstr("one for each of 5 rows"));
    EXPECT_THAT(refused([](TensorFile& f) { f.tensors["by_name"].fill_(7); }), HasSubstr("order of names has the entry 7"));
    EXPECT_THAT(refused([](TensorFile& f) { f.tensors["by_name"] = at::zeros({6}, at::kLong); }), HasSubstr("6 entries, expected 5"));
    EXPECT_THAT(refused([](TensorFile& f) { f.tensors["closeness.strangers.x"] = at::zeros({3}); }), HasSubstr("no number of views"));
    EXPECT_THAT(refused([](TensorFile& f) { f.tensors["closeness.strangers.2"] = at::zeros({3}); }), HasSubstr("closeness.weight.2"));
    EXPECT_THAT(refused(
                    [](TensorFile& f) {
                        f.tensors["closeness.pairs"] = at::tensor({0.5F, 0.1F});
                    }),
                HasSubstr("no list of rising numbers"));
    EXPECT_THAT(refused([](TensorFile& f) { f.tensors.erase("notes.ends"); }), HasSubstr("notes.ends"));
    EXPECT_THAT(
        refused([](TensorFile& f) { f.tensors["names.bytes"].copy_(f.tensors["names.bytes"][0].expand_as(f.tensors["names.bytes"])); }),
        HasSubstr("twice"));
}

TEST_F(GalleryFiles, TheSecondOfTwoWritersIsRefused)
{
    const std::string path = folder / "parts.agpx";
    GalleryFile made = fileOf(5, 4, 3);
    writeGallery(path, made);
    GalleryFile a = readGallery(path), b = readGallery(path);
    a.rows.add("by a", at::ones({4}));
    b.rows.add("by b", at::ones({4}));
    writeGallery(path, a);
    EXPECT_THAT(errorOf([&] { writeGallery(path, b); }), HasSubstr("was changed by another program"));
    EXPECT_GE(readGallery(path).rows.find("by a"), 0);
    a.rows.add("by a again", at::ones({4}));
    writeGallery(path, a); // its own state is no surprise
    EXPECT_EQ(readGallery(path).rows.size(), 7);
}

TEST_F(GalleryFiles, ManyWritersAtOnceLoseNoEntry)
{
    const std::string path = folder / "parts.agpx";
    GalleryFile made = fileOf(2, 4, 3);
    writeGallery(path, made);
    constexpr int writers = 4, each = 10;
    std::vector<pid_t> children;
    for (int w = 0; w < writers; w++)
    {
        const pid_t child = ::fork();
        if (child == 0)
        {
            for (int i = 0; i < each;)
            {
                GalleryFile file = readGallery(path);
                file.rows.add(std::to_string(w) + "/" + std::to_string(i), at::ones({4}));
                if (errorOf([&] { writeGallery(path, file); }) == "no error")
                    i++;
            }
            ::_exit(0);
        }
        children.push_back(child);
    }
    for (const pid_t child : children)
    {
        int status = 1;
        ::waitpid(child, &status, 0);
        EXPECT_EQ(status, 0);
    }
    EXPECT_EQ(readGallery(path).rows.size(), 2 + writers * each);
}

TEST_F(GalleryFiles, AKilledWriterLeavesTheOldFile)
{
    const std::string path = folder / "parts.agpx";
    GalleryFile made = fileOf(400, 64, 3);
    writeGallery(path, made);
    for (int i = 0; i < 30; i++)
    {
        const pid_t child = ::fork();
        if (child == 0)
        {
            for (;;)
            {
                GalleryFile file = readGallery(path);
                file.rows.put("changed", at::ones({64}));
                writeGallery(path, file);
            }
        }
        ::usleep(static_cast<useconds_t>(200 + 900 * i));
        ::kill(child, SIGKILL);
        int status = 0;
        ::waitpid(child, &status, 0);
        const GalleryFile file = readGallery(path);
        EXPECT_GE(file.rows.size(), 400);
        EXPECT_EQ(file.rows.search(at::ones({1, 64}), 1)[0].size(), 1U); // whole
    }
}

TEST(Closeness, SharesAndThresholds)
{
    Closeness closeness;
    EXPECT_EQ(closeness.shareAsClose(0.5), -1);
    EXPECT_THAT(errorOf([&] { closeness.threshold(0.1, 1); }), HasSubstr("was calibrated"));
    for (int i = 0; i < 100; i++)
        closeness.pairs.push_back(static_cast<float>(i) / 100.F);
    EXPECT_DOUBLE_EQ(closeness.shareAsClose(0.895), 0.10);
    EXPECT_DOUBLE_EQ(closeness.shareAsClose(2), 0);
    EXPECT_DOUBLE_EQ(closeness.shareAsClose(-1), 1);
    closeness.strangers = {{1, 0, closeness.pairs}, {3, 0, {0.9F, 0.95F}}};
    EXPECT_NEAR(closeness.threshold(0.1, 1), 0.90, 1e-6);
    EXPECT_NEAR(closeness.threshold(0.1, 2), 0.90, 1e-6);
    EXPECT_NEAR(closeness.threshold(0.1, 12), 0.95, 1e-6);
    EXPECT_THAT(errorOf([&] { closeness.threshold(0, 1); }), HasSubstr("rate of false matches is 0"));
    // strangers come as close as the object itself, but with a sister as close: the lead decides
    std::vector<BestTwo> own, strangers;
    for (int i = 0; i < 200; i++)
    {
        const float close = 0.9F + 0.0004F * static_cast<float>(i);
        own.push_back({close, close - 0.1F});
        strangers.push_back({close, close - 0.01F});
    }
    const Closeness::Strangers learned = learnedStrangers(2, own, strangers);
    EXPECT_EQ(learned.views, 2);
    EXPECT_GT(learned.weight, 0);
    Closeness both;
    both.strangers = {learned};
    int accepted = 0;
    for (const BestTwo& two : own)
        accepted += both.evidence(two.first, two.second, 2) > both.threshold(0.01, 2);
    EXPECT_EQ(accepted, 200);
    EXPECT_EQ(quantiles({3, 1, 2}, 10), (std::vector<float>{1, 2, 3}));
    const std::vector<float> few = quantiles(closeness.pairs, 5);
    EXPECT_EQ(few.size(), 5U);
    EXPECT_FLOAT_EQ(few.front(), 0.F);
    EXPECT_FLOAT_EQ(few.back(), 0.99F);
}

} // namespace
} // namespace agpnet::test
