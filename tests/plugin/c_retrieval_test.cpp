// Describing and finding objects in C is what describing and finding them in C++ is.
#include "tests/plugin/c_retrieval_fixture.h"

#include <cmath>
#include <fstream>
#include <limits>

namespace agpnet
{
namespace
{

using test::Answer;
using test::answerOf;
using test::checkSizes;
using test::CRetrieval;
using test::floatsOf;
using test::structureOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::vector<agpnet_image> structuresOf(const std::vector<cv::Mat>& mats)
{
    std::vector<agpnet_image> all;
    for (const cv::Mat& mat : mats)
        all.push_back(structureOf(mat));
    return all;
}

std::vector<std::string> textsOf(const agpnet_texts* texts)
{
    std::vector<std::string> all;
    for (size_t i = 0; i < agpnet_texts_count(texts); i++)
        all.emplace_back(agpnet_texts_get(texts, i));
    return all;
}

TEST_F(CRetrieval, DescribesAsCppDoes)
{
    const std::vector<cv::Mat> pixels = {test::noiseImage(1), test::noiseImage(2, {90, 60}), test::noiseImage(3, {31, 33})};
    const std::vector<agpnet_image> images = structuresOf(pixels);
    cv::Mat embeddings, descriptor;
    reference->embed(pixels, embeddings);
    std::vector<float> found(3 * width + 1, -9);
    AGPNET_EXPECT_OK(agpnet_describer_embed, *describer, images.data(), images.size(), found.data(), 3 * width);
    EXPECT_EQ(found.back(), -9) << "no float behind the rows is written";
    found.pop_back();
    EXPECT_EQ(found, floatsOf(embeddings));
    for (const ViewOrder order : {VIEWS_UNORDERED, VIEWS_RING})
    {
        std::vector<float> one(width), again(width + 7);
        reference->describe(pixels, descriptor, order);
        AGPNET_EXPECT_OK(agpnet_describer_describe, *describer, images.data(), images.size(), int32_t{order}, one.data(), one.size());
        EXPECT_EQ(one, floatsOf(descriptor));
        reference->aggregate(embeddings, descriptor, order);
        AGPNET_EXPECT_OK(agpnet_describer_aggregate, *describer, found.data(), 3u, width, int32_t{order}, again.data(), again.size());
        again.resize(width);
        EXPECT_EQ(again, floatsOf(descriptor));
    }
}

TEST_F(CRetrieval, TellsTheDescribersProperties)
{
    agpnet_describer_info info{sizeof info, nullptr, nullptr, nullptr, nullptr, 0, 0, 0};
    AGPNET_EXPECT_OK(agpnet_describer_get_info, *describer, &info);
    EXPECT_EQ(info.header, reference->getHeader());
    EXPECT_EQ(info.space, reference->getSpace());
    EXPECT_STREQ(info.precision, "fp32");
    EXPECT_STREQ(info.device, "cpu");
    EXPECT_EQ(info.width, 64u);
    EXPECT_EQ(cv::Size(info.input_width, info.input_height), cv::Size(24, 32));

    test::OwnedDescriber other;
    const agpnet_describer_options options{sizeof options, "bf16", "cpu"};
    AGPNET_EXPECT_OK(agpnet_describer_create, model.c_str(), &options, &other);
    AGPNET_EXPECT_OK(agpnet_describer_get_info, other, &info);
    EXPECT_EQ(info.precision, Describer::create(model, "bf16")->getPrecision()); // what this CPU can do
}

TEST_F(CRetrieval, FindsWhatCppFinds)
{
    const cv::Ptr<Gallery> expected = gallery();
    test::OwnedGallery own;
    fill(own);
    cv::Mat queries, query;
    for (size_t i = 0; i < 3; i++)
    {
        reference->describe(viewOf(i, 0), query);
        queries.push_back(query);
    }
    std::vector<float> values = floatsOf(queries);
    const char* const leaveOut[] = {"part 0", nullptr, "unknown"};
    const std::vector<std::string> leftOut = {"part 0", "", "unknown"};
    for (const bool calibrated : {false, true})
    {
        if (calibrated)
        {
            const char* const names[] = {"part 0", "part 1", "part 2"};
            expected->calibrate(queries, {names[0], names[1], names[2]}, 1);
            AGPNET_EXPECT_OK(agpnet_gallery_calibrate, own, values.data(), 3u, width, names, 1);
            double threshold = 0;
            AGPNET_EXPECT_OK(agpnet_gallery_get_threshold, own, 0.2, 1, &threshold);
            EXPECT_EQ(threshold, expected->getThreshold(0.2, 1));
            test::Matches best;
            double evidence = 0;
            AGPNET_EXPECT_OK(agpnet_gallery_search_batch, own, values.data(), 3u, width, 2, nullptr, &best);
            AGPNET_EXPECT_OK(agpnet_gallery_get_evidence, own, best, 1u, 1, &evidence);
            EXPECT_EQ(evidence, expected->getEvidence(expected->searchBatch(queries, 2)[1], 1));
        }
        test::Matches matches;
        AGPNET_EXPECT_OK(agpnet_gallery_search, own, values.data(), width, 3, nullptr, &matches);
        test::expectSame(matches, 0, expected->search(queries.row(0), 3));
        AGPNET_EXPECT_OK(agpnet_gallery_search, own, values.data(), width, 3, "part 0", &matches);
        test::expectSame(matches, 0, expected->search(queries.row(0), 3, "part 0"));
        AGPNET_EXPECT_OK(agpnet_gallery_search_batch, own, values.data(), 3u, width, 100, nullptr, &matches);
        for (size_t q = 0; q < 3; q++)
            test::expectSame(matches, q, expected->searchBatch(queries, 100)[q]);
        AGPNET_EXPECT_OK(agpnet_gallery_search_batch, own, values.data(), 3u, width, 2, leaveOut, &matches);
        for (size_t q = 0; q < 3; q++)
            test::expectSame(matches, q, expected->searchBatch(queries, 2, leftOut)[q]);
        EXPECT_EQ(agpnet_matches_count(matches, 3), 0u);
        EXPECT_EQ(agpnet_matches_count(nullptr, 0), 0u);
    }
    expected->smooth(2, 3);
    AGPNET_EXPECT_OK(agpnet_gallery_smooth, own, 2, 3.0);
    test::Matches matches;
    AGPNET_EXPECT_OK(agpnet_gallery_search, own, values.data(), width, 5, nullptr, &matches);
    test::expectSame(matches, 0, expected->search(queries.row(0), 5));
}

TEST_F(CRetrieval, GalleriesChangeAndComeBack)
{
    const cv::Ptr<Gallery> expected = gallery();
    test::OwnedGallery own, loaded;
    fill(own);
    const std::vector<float> other = floatsOf(descriptorOf(0) + descriptorOf(1));
    expected->replace("part 3", cv::Mat(1, 64, CV_32F, const_cast<float*>(other.data())), "[7]");
    AGPNET_EXPECT_OK(agpnet_gallery_replace, own, "part 3", other.data(), width, "[7]");
    AGPNET_EXPECT_OK(agpnet_gallery_replace, own, "名前", other.data(), width, nullptr);
    AGPNET_EXPECT_OK(agpnet_gallery_remove, own, "part 1");
    AGPNET_EXPECT_OK(agpnet_gallery_set_model, own, model.c_str());
    const std::string path = *folder / "own.agpx";
    AGPNET_EXPECT_OK(agpnet_gallery_save, own, path.c_str());
    AGPNET_EXPECT_OK(agpnet_gallery_load, path.c_str(), reference->getSpace().c_str(), &loaded);
    AGPNET_EXPECT_OK(agpnet_gallery_load, path.c_str(), nullptr, &loaded);
    for (const agpnet_gallery* each : {static_cast<agpnet_gallery*>(own), static_cast<agpnet_gallery*>(loaded)})
    {
        agpnet_gallery_info info{sizeof info, 0, 0, nullptr, -1};
        AGPNET_EXPECT_OK(agpnet_gallery_get_info, each, &info);
        EXPECT_EQ(info.count, 5u);
        EXPECT_EQ(info.width, 64u);
        EXPECT_EQ(info.space, reference->getSpace());
        EXPECT_EQ(info.calibrated, 0);
        test::Texts texts;
        AGPNET_EXPECT_OK(agpnet_gallery_get_names, each, &texts);
        EXPECT_THAT(textsOf(texts), ::testing::UnorderedElementsAre("part 0", "名前", "part 2", "part 3", "part 4"));
        EXPECT_EQ(agpnet_texts_get(texts, 5), nullptr);
        AGPNET_EXPECT_OK(agpnet_gallery_get_note, each, "part 3", &texts);
        EXPECT_THAT(textsOf(texts), ElementsAre("[7]"));
        AGPNET_EXPECT_OK(agpnet_gallery_get_note, each, "名前", &texts);
        EXPECT_THAT(textsOf(texts), ElementsAre(""));
        AGPNET_EXPECT_OK(agpnet_gallery_get_model, each, &texts);
        EXPECT_THAT(textsOf(texts), ElementsAre(model));
        int32_t contained = -1;
        AGPNET_EXPECT_OK(agpnet_gallery_contains, each, "part 1", &contained);
        EXPECT_EQ(contained, 0);
        AGPNET_EXPECT_OK(agpnet_gallery_contains, each, "part 2", &contained);
        EXPECT_EQ(contained, 1);
        std::vector<float> descriptor(width);
        cv::Mat same;
        expected->getDescriptor("part 3", same);
        AGPNET_EXPECT_OK(agpnet_gallery_get_descriptor, each, "part 3", descriptor.data(), width);
        EXPECT_EQ(descriptor, floatsOf(same));
    }
}

/// What was returned stays, also when the gallery is gone.
TEST_F(CRetrieval, MatchesAndTextsOutliveTheGallery)
{
    test::Matches matches;
    test::Texts names;
    {
        test::OwnedGallery own;
        fill(own);
        AGPNET_EXPECT_OK(agpnet_gallery_search, own, floatsOf(descriptorOf(2)).data(), width, 1, nullptr, &matches);
        AGPNET_EXPECT_OK(agpnet_gallery_get_names, own, &names);
        AGPNET_EXPECT_OK(agpnet_gallery_remove, own, "part 2");
    }
    agpnet_match match{sizeof match, nullptr, 0, 0, nullptr};
    AGPNET_EXPECT_OK(agpnet_matches_get, matches, 0u, 0u, &match);
    EXPECT_STREQ(match.name, "part 2");
    EXPECT_STREQ(match.note, R"({"shelf": 2})");
    EXPECT_EQ(agpnet_texts_count(names), 5u);
}

TEST_F(CRetrieval, RefusesByCodeAndMessage)
{
    test::OwnedGallery own, none;
    test::OwnedDescriber noDescriber;
    test::Matches matches;
    test::Texts texts;
    fill(own);
    test::Matches one, two;
    std::vector<float> row(width, 1), bad(width, std::nanf("")), zero(width, 0), out(width);
    AGPNET_EXPECT_OK(agpnet_gallery_search, own, row.data(), width, 1, nullptr, &one);
    AGPNET_EXPECT_OK(agpnet_gallery_search, own, row.data(), width, 2, nullptr, &two);
    const std::vector<cv::Mat> pixels = {test::noiseImage(1), test::noiseImage(2)};
    std::vector<agpnet_image> images = structuresOf(pixels), twoChannels = images;
    twoChannels[1].channels = 2;
    const agpnet_describer_options half{sizeof half, "half", nullptr}, tpu{sizeof tpu, nullptr, "tpu"};
    const std::string damaged = *folder / "damaged.agpx", missing = *folder / "none.agpx", elsewhere = *folder / "none" / "x.agpx";
    std::ofstream(damaged) << "no gallery";
    const std::string saved = *folder / "saved.agpx";
    AGPNET_EXPECT_OK(agpnet_gallery_save, own, saved.c_str());
    const char *const unknown[] = {"none"}, *const nothing[] = {nullptr};
    agpnet_match match{sizeof match, nullptr, 0, 0, nullptr};
    double threshold = 0, evidence = 0;
    const auto many = size_t{std::numeric_limits<int>::max()} + 1;
    for (const auto& [answer, code, part] : std::vector<std::tuple<Answer, int, std::string>>{
             {answerOf(agpnet_describer_create, missing.c_str(), nullptr, &noDescriber), AGPNET_E_FILE, "none.agpx"},
             {answerOf(agpnet_describer_create, model.c_str(), &half, &noDescriber), AGPNET_E_ARGUMENT, "precision is 'half'"},
             {answerOf(agpnet_describer_create, model.c_str(), &tpu, &noDescriber), AGPNET_E_DEVICE, "device is 'tpu'"},
             {answerOf(agpnet_describer_describe, *describer, images.data(), 0u, 0, out.data(), width), AGPNET_E_ARGUMENT, "no view given"},
             {answerOf(agpnet_describer_describe, *describer, images.data(), 2u, 7, out.data(), width), AGPNET_E_ARGUMENT, "order is 7"},
             {answerOf(agpnet_describer_describe, *describer, images.data(), 2u, 0, out.data(), width - 1), AGPNET_E_ARGUMENT,
              "length is 63, expected at least 1 rows of 64 floats"},
             {answerOf(agpnet_describer_describe, *describer, twoChannels.data(), 2u, 0, out.data(), width), AGPNET_E_ARGUMENT,
              "views[1].channels is 2"},
             {answerOf(agpnet_describer_embed, *describer, images.data(), 2u, out.data(), width), AGPNET_E_ARGUMENT,
              "length is 64, expected at least 2 rows of 64 floats"},
             {answerOf(agpnet_describer_embed, *describer, images.data(), 0u, out.data(), width), AGPNET_E_ARGUMENT, "no view given"},
             {answerOf(agpnet_describer_aggregate, *describer, row.data(), 1u, width - 1, 0, out.data(), width), AGPNET_E_ARGUMENT,
              "width is 63, expected the 64 floats of a descriptor"},
             {answerOf(agpnet_describer_aggregate, *describer, row.data(), 0u, width, 0, out.data(), width), AGPNET_E_ARGUMENT,
              "embeddings is empty"},
             {answerOf(agpnet_describer_aggregate, *describer, row.data(), many, width, 0, out.data(), width), AGPNET_E_ARGUMENT,
              "count is 2147483648, expected at most 2147483647"},
             {answerOf(agpnet_describer_aggregate, *describer, bad.data(), 1u, width, 0, out.data(), width), AGPNET_E_ARGUMENT,
              "not finite"},
             {answerOf(agpnet_gallery_create, 0u, "s", &none), AGPNET_E_ARGUMENT, "width is 0, expected 1 to 65536"},
             {answerOf(agpnet_gallery_create, many, "s", &none), AGPNET_E_ARGUMENT, "width is 2147483648"},
             {answerOf(agpnet_gallery_load, missing.c_str(), nullptr, &none), AGPNET_E_FILE, "none.agpx"},
             {answerOf(agpnet_gallery_load, damaged.c_str(), nullptr, &none), AGPNET_E_FILE, "damaged.agpx"},
             {answerOf(agpnet_gallery_load, saved.c_str(), "other", &none), AGPNET_E_FILE, "of another model"},
             {answerOf(agpnet_gallery_add, own, "part 1", row.data(), width, nullptr), AGPNET_E_ARGUMENT, "has an entry 'part 1' already"},
             {answerOf(agpnet_gallery_add, own, "", row.data(), width, nullptr), AGPNET_E_ARGUMENT, "0 bytes"},
             {answerOf(agpnet_gallery_add, own, "a\nb", row.data(), width, nullptr), AGPNET_E_ARGUMENT, "control characters"},
             {answerOf(agpnet_gallery_add, own, "x", row.data(), width, "{"), AGPNET_E_ARGUMENT, "the note of 'x'"},
             {answerOf(agpnet_gallery_add, own, "x", row.data(), 1u, nullptr), AGPNET_E_ARGUMENT, "width is 1"},
             {answerOf(agpnet_gallery_add, own, "x", bad.data(), width, nullptr), AGPNET_E_ARGUMENT, "not finite"},
             {answerOf(agpnet_gallery_replace, own, "x", zero.data(), width, nullptr), AGPNET_E_ARGUMENT, "is zero"},
             {answerOf(agpnet_gallery_remove, own, "x"), AGPNET_E_ARGUMENT, "no entry 'x'"},
             {answerOf(agpnet_gallery_get_note, own, "x", &texts), AGPNET_E_ARGUMENT, "no entry 'x'"},
             {answerOf(agpnet_gallery_get_descriptor, own, "x", out.data(), width), AGPNET_E_ARGUMENT, "no entry 'x'"},
             {answerOf(agpnet_gallery_get_descriptor, own, "part 1", out.data(), 3u), AGPNET_E_ARGUMENT, "length is 3"},
             {answerOf(agpnet_gallery_search, own, row.data(), width, 0, nullptr, &matches), AGPNET_E_ARGUMENT, "top is 0"},
             {answerOf(agpnet_gallery_search, own, row.data(), width + 1, 1, nullptr, &matches), AGPNET_E_ARGUMENT, "width is 65"},
             {answerOf(agpnet_gallery_search, own, zero.data(), width, 1, nullptr, &matches), AGPNET_E_ARGUMENT, "is zero"},
             {answerOf(agpnet_gallery_search_batch, own, row.data(), 0u, width, 1, nullptr, &matches), AGPNET_E_ARGUMENT,
              "descriptors is empty"},
             {answerOf(agpnet_gallery_search_batch, own, row.data(), width, 1u, 1, nullptr, &matches), AGPNET_E_ARGUMENT, "width is 1"},
             {answerOf(agpnet_gallery_calibrate, own, row.data(), 1u, width, unknown, 1), AGPNET_E_ARGUMENT, "no entry 'none'"},
             {answerOf(agpnet_gallery_calibrate, own, row.data(), 1u, width, nothing, 1), AGPNET_E_ARGUMENT, "names[0] is null"},
             {answerOf(agpnet_gallery_get_threshold, own, 0.1, 1, &threshold), AGPNET_E_ARGUMENT, "calibrated"},
             {answerOf(agpnet_gallery_get_evidence, own, two, 0u, 1, &evidence), AGPNET_E_ARGUMENT, "calibrated"},
             {answerOf(agpnet_gallery_get_evidence, own, two, 1u, 1, &evidence), AGPNET_E_ARGUMENT, "query is 1"},
             {answerOf(agpnet_gallery_get_evidence, own, one, 0u, 1, &evidence), AGPNET_E_ARGUMENT, "matches has 1 entries"},
             {answerOf(agpnet_gallery_get_evidence, own, two, 0u, 0, &evidence), AGPNET_E_ARGUMENT, "views is 0"},
             {answerOf(agpnet_gallery_smooth, own, 0, 1.0), AGPNET_E_ARGUMENT, "neighbours is 0"},
             {answerOf(agpnet_gallery_save, own, elsewhere.c_str()), AGPNET_E_FILE, "x.agpx"},
             {answerOf(agpnet_matches_get, matches, 0u, 0u, &match), AGPNET_E_ARGUMENT, "matches is null"},
         })
    {
        EXPECT_EQ(answer.first, code) << answer.second;
        EXPECT_THAT(answer.second, HasSubstr(part));
    }
    EXPECT_EQ(none.handle, nullptr);
    EXPECT_EQ(noDescriber.handle, nullptr);
    EXPECT_EQ(matches.handle, nullptr);
    EXPECT_EQ(texts.handle, nullptr);
    agpnet_gallery_info info{sizeof info, 0, 0, nullptr, -1};
    AGPNET_EXPECT_OK(agpnet_gallery_get_info, own, &info);
    EXPECT_EQ(info.count, objects) << "nothing half done";

    AGPNET_EXPECT_OK(agpnet_gallery_search, own, row.data(), width, 2, nullptr, &matches);
    EXPECT_EQ(answerOf(agpnet_matches_get, matches, 1u, 0u, &match),
              Answer(AGPNET_E_ARGUMENT, "query is 1, expected less than the 1 queries of the matches"));
    EXPECT_EQ(answerOf(agpnet_matches_get, matches, 0u, 2u, &match),
              Answer(AGPNET_E_ARGUMENT, "index is 2, expected less than the 2 matches of the query"));

    test::OwnedGallery first;
    AGPNET_EXPECT_OK(agpnet_gallery_load, saved.c_str(), nullptr, &first);
    AGPNET_EXPECT_OK(agpnet_gallery_remove, own, "part 1");
    AGPNET_EXPECT_OK(agpnet_gallery_save, own, saved.c_str());
    const Answer late = answerOf(agpnet_gallery_save, first, saved.c_str());
    EXPECT_EQ(late.first, AGPNET_E_FILE);
    EXPECT_THAT(late.second, HasSubstr("was changed by another program"));
}

/// Each pointer that must be there, in turn.
TEST_F(CRetrieval, NamesTheNullPointer)
{
    test::OwnedGallery own, none;
    test::OwnedDescriber noDescriber;
    test::Matches matches, noMatches;
    test::Texts texts;
    fill(own);
    const cv::Mat pixels = test::noiseImage(1);
    const agpnet_image image = structureOf(pixels);
    std::vector<float> row(width, 1);
    float* const out = row.data();
    AGPNET_EXPECT_OK(agpnet_gallery_search, own, out, width, 1, nullptr, &matches);
    const char* const names[] = {"part 1"};
    int32_t contained;
    double threshold;
    for (const auto& [found, name] : std::vector<std::pair<Answer, std::string>>{
             {answerOf(agpnet_describer_create, nullptr, nullptr, &noDescriber), "model"},
             {answerOf(agpnet_describer_create, model.c_str(), nullptr, nullptr), "describer"},
             {answerOf(agpnet_describer_describe, nullptr, &image, 1u, 0, out, width), "describer"},
             {answerOf(agpnet_describer_describe, *describer, nullptr, 1u, 0, out, width), "views"},
             {answerOf(agpnet_describer_describe, *describer, &image, 1u, 0, nullptr, width), "descriptor"},
             {answerOf(agpnet_describer_embed, nullptr, &image, 1u, out, width), "describer"},
             {answerOf(agpnet_describer_embed, *describer, nullptr, 1u, out, width), "images"},
             {answerOf(agpnet_describer_embed, *describer, &image, 1u, nullptr, width), "embeddings"},
             {answerOf(agpnet_describer_aggregate, nullptr, out, 1u, width, 0, out, width), "describer"},
             {answerOf(agpnet_describer_aggregate, *describer, nullptr, 1u, width, 0, out, width), "embeddings"},
             {answerOf(agpnet_describer_aggregate, *describer, out, 1u, width, 0, nullptr, width), "descriptor"},
             {answerOf(agpnet_describer_get_info, nullptr, nullptr), "describer"},
             {answerOf(agpnet_describer_get_info, *describer, nullptr), "info"},
             {answerOf(agpnet_gallery_create, width, nullptr, &none), "space"},
             {answerOf(agpnet_gallery_create, width, "s", nullptr), "gallery"},
             {answerOf(agpnet_gallery_load, nullptr, nullptr, &none), "path"},
             {answerOf(agpnet_gallery_load, "x", nullptr, nullptr), "gallery"},
             {answerOf(agpnet_gallery_add, nullptr, "x", out, width, nullptr), "gallery"},
             {answerOf(agpnet_gallery_add, own, nullptr, out, width, nullptr), "name"},
             {answerOf(agpnet_gallery_add, own, "x", nullptr, width, nullptr), "descriptor"},
             {answerOf(agpnet_gallery_replace, nullptr, "x", out, width, nullptr), "gallery"},
             {answerOf(agpnet_gallery_replace, own, nullptr, out, width, nullptr), "name"},
             {answerOf(agpnet_gallery_replace, own, "x", nullptr, width, nullptr), "descriptor"},
             {answerOf(agpnet_gallery_remove, nullptr, "x"), "gallery"},
             {answerOf(agpnet_gallery_remove, own, nullptr), "name"},
             {answerOf(agpnet_gallery_contains, nullptr, "x", &contained), "gallery"},
             {answerOf(agpnet_gallery_contains, own, nullptr, &contained), "name"},
             {answerOf(agpnet_gallery_contains, own, "x", nullptr), "contained"},
             {answerOf(agpnet_gallery_get_info, nullptr, nullptr), "gallery"},
             {answerOf(agpnet_gallery_get_info, own, nullptr), "info"},
             {answerOf(agpnet_gallery_get_names, nullptr, &texts), "gallery"},
             {answerOf(agpnet_gallery_get_names, own, nullptr), "names"},
             {answerOf(agpnet_gallery_get_note, nullptr, "x", &texts), "gallery"},
             {answerOf(agpnet_gallery_get_note, own, nullptr, &texts), "name"},
             {answerOf(agpnet_gallery_get_note, own, "x", nullptr), "note"},
             {answerOf(agpnet_gallery_get_descriptor, nullptr, "x", out, width), "gallery"},
             {answerOf(agpnet_gallery_get_descriptor, own, nullptr, out, width), "name"},
             {answerOf(agpnet_gallery_get_descriptor, own, "x", nullptr, width), "descriptor"},
             {answerOf(agpnet_gallery_search, nullptr, out, width, 1, nullptr, &noMatches), "gallery"},
             {answerOf(agpnet_gallery_search, own, nullptr, width, 1, nullptr, &noMatches), "descriptor"},
             {answerOf(agpnet_gallery_search, own, out, width, 1, nullptr, nullptr), "matches"},
             {answerOf(agpnet_gallery_search_batch, nullptr, out, 1u, width, 1, nullptr, &noMatches), "gallery"},
             {answerOf(agpnet_gallery_search_batch, own, nullptr, 1u, width, 1, nullptr, &noMatches), "descriptors"},
             {answerOf(agpnet_gallery_search_batch, own, out, 1u, width, 1, nullptr, nullptr), "matches"},
             {answerOf(agpnet_gallery_calibrate, nullptr, out, 1u, width, names, 1), "gallery"},
             {answerOf(agpnet_gallery_calibrate, own, nullptr, 1u, width, names, 1), "queries"},
             {answerOf(agpnet_gallery_calibrate, own, out, 1u, width, nullptr, 1), "names"},
             {answerOf(agpnet_gallery_get_evidence, nullptr, matches, 0u, 1, &threshold), "gallery"},
             {answerOf(agpnet_gallery_get_evidence, own, nullptr, 0u, 1, &threshold), "matches"},
             {answerOf(agpnet_gallery_get_evidence, own, matches, 0u, 1, nullptr), "evidence"},
             {answerOf(agpnet_gallery_get_threshold, nullptr, 0.1, 1, &threshold), "gallery"},
             {answerOf(agpnet_gallery_get_threshold, own, 0.1, 1, nullptr), "threshold"},
             {answerOf(agpnet_gallery_smooth, nullptr, 1, 1.0), "gallery"},
             {answerOf(agpnet_gallery_save, nullptr, "x"), "gallery"},
             {answerOf(agpnet_gallery_save, own, nullptr), "path"},
             {answerOf(agpnet_gallery_set_model, nullptr, "x"), "gallery"},
             {answerOf(agpnet_gallery_set_model, own, nullptr), "path"},
             {answerOf(agpnet_gallery_get_model, nullptr, &texts), "gallery"},
             {answerOf(agpnet_gallery_get_model, own, nullptr), "path"},
             {answerOf(agpnet_matches_get, nullptr, 0u, 0u, nullptr), "matches"},
             {answerOf(agpnet_matches_get, matches, 0u, 0u, nullptr), "match"},
         })
        EXPECT_EQ(found, Answer(AGPNET_E_ARGUMENT, name + " is null"));
    EXPECT_EQ(agpnet_texts_count(nullptr), 0u);
    EXPECT_EQ(agpnet_texts_get(nullptr, 0), nullptr);
    agpnet_describer_free(nullptr);
    agpnet_gallery_free(nullptr);
    agpnet_texts_free(nullptr);
    agpnet_matches_free(nullptr);
}

TEST_F(CRetrieval, TakesStructuresOfOtherVersions)
{
    test::OwnedGallery own;
    test::OwnedDescriber other;
    test::Matches matches;
    fill(own);
    const cv::Mat pixels = test::noiseImage(1);
    std::vector<float> row(width, 1);
    AGPNET_EXPECT_OK(agpnet_gallery_search, own, row.data(), width, 1, nullptr, &matches);
    checkSizes<agpnet_describer_options>("options", {},
                                         [&](auto* it) { return answerOf(agpnet_describer_create, model.c_str(), it, &other); });
    checkSizes<agpnet_describer_info>("info", {}, [&](auto* it) { return answerOf(agpnet_describer_get_info, *describer, it); });
    checkSizes<agpnet_image>("views", structureOf(pixels), [&](auto* it) {
        return answerOf(agpnet_describer_describe, *describer, it, 1u, 0, row.data(), width);
    });
    checkSizes<agpnet_gallery_info>("info", {}, [&](auto* it) { return answerOf(agpnet_gallery_get_info, own, it); });
    checkSizes<agpnet_match>("match", {}, [&](auto* it) { return answerOf(agpnet_matches_get, matches, 0u, 0u, it); });
}

} // namespace
} // namespace agpnet
