// A describer that C trained is the one that C++ trains, and a query from C answers as one from C++.
#include "agpnet/object_query.hpp"
#include "tests/plugin/c_retrieval_fixture.h"

#include <nlohmann/json.hpp>

namespace agpnet
{
namespace
{

using test::Answer;
using test::answerOf;
using test::checkSizes;
using test::CRetrieval;
using test::floatsOf;
using test::noiseImage;
using test::structureOf;
using ::testing::HasSubstr;

using DescriberTraining = test::Owner<agpnet_describer_trainer, agpnet_describer_trainer_free>;
using Query = test::Owner<agpnet_object_query, agpnet_object_query_free>;

/// Reads views into one buffer, which it uses again and again.
struct ViewReader
{
    std::pair<size_t, size_t> refused = {SIZE_MAX, 0};
    cv::Mat buffer = cv::Mat(40, 48, CV_8UC3);
    std::vector<std::pair<size_t, size_t>> calls;

    static int read(void* context, size_t object, size_t view, agpnet_image* image)
    {
        auto& self = *static_cast<ViewReader*>(context);
        self.calls.emplace_back(object, view);
        if (self.calls.back() == self.refused)
            return 0;
        noiseImage(10 * object + view).copyTo(self.buffer);
        EXPECT_EQ(image->size, sizeof *image);
        *image = structureOf(self.buffer);
        return 1;
    }
};

/// The objects of CRetrieval, without their classes.
struct CObjects
{
    std::vector<std::string> names;
    std::vector<agpnet_object> objects;
    ViewReader reader;

    CObjects(size_t count, size_t views)
    {
        for (size_t i = 0; i < count; i++)
            names.push_back("part " + std::to_string(i));
        for (const std::string& name : names)
            objects.push_back({sizeof(agpnet_object), name.c_str(), nullptr, views});
    }
    agpnet_object_set set() { return {sizeof(agpnet_object_set), objects.data(), objects.size(), ViewReader::read, &reader}; }
};

agpnet_trainer_options optionsOf(const std::string& backbone, const char* config = test::decConfig)
{
    return {sizeof(agpnet_trainer_options), backbone.c_str(), config, nullptr};
}

TEST_F(CRetrieval, TrainsTheDescriberThatCppTrains)
{
    DescriberTraining trainer;
    const agpnet_trainer_options options = optionsOf(backbone);
    AGPNET_EXPECT_OK(agpnet_describer_trainer_create, &options, &trainer);
    CObjects given(objects, views);
    const agpnet_object_set set = given.set();
    int32_t finished = -1;
    AGPNET_EXPECT_OK(agpnet_describer_trainer_fit, trainer, &set, nullptr, nullptr, &finished);
    EXPECT_EQ(finished, 1);
    EXPECT_EQ(given.reader.calls.size(), objects * views) << "each view once";
    AGPNET_EXPECT_OK(agpnet_describer_trainer_note, trainer, "line", "7");
    agpnet_describer_trainer_info info{sizeof info, nullptr, nullptr};
    AGPNET_EXPECT_OK(agpnet_describer_trainer_get_info, trainer, &info);
    EXPECT_EQ(nlohmann::json::parse(info.config).at("adapter"), "mean");
    EXPECT_EQ(nlohmann::json::parse(info.record).at("line"), 7);
    const std::string path = *folder / "c-parts.agp";
    AGPNET_EXPECT_OK(agpnet_describer_trainer_save, trainer, path.c_str(), 0);

    test::OwnedDescriber now;
    AGPNET_EXPECT_OK(agpnet_describer_trainer_get_describer, trainer, &now);
    agpnet_describer_info properties{sizeof properties, nullptr, nullptr, nullptr, nullptr, 0, 0, 0};
    AGPNET_EXPECT_OK(agpnet_describer_get_info, now, &properties);
    EXPECT_EQ(properties.space, reference->getSpace()) << "a digest of all that is learned";
    const cv::Mat pixels = viewOf(1, 2);
    const agpnet_image image = structureOf(pixels);
    cv::Mat expected;
    reference->describe(pixels, expected);
    std::vector<float> found(width);
    AGPNET_EXPECT_OK(agpnet_describer_describe, now, &image, 1u, 0, found.data(), width);
    EXPECT_EQ(found, floatsOf(expected));
}

/// Classes, held-out classes and virtual names: the record says the same as that of C++.
TEST_F(CRetrieval, ClassesAndVirtualNamesArriveAsInCpp)
{
    const char* const config = R"({"height":32,"width":24,"choose":"config","adapter":"cam_from_mean","whitening":"classes","epochs":2,)"
                               R"("classes_per_batch":2,"objects_per_class":2,"virtual_names":2})";
    const std::vector<std::string> words = {"bolt", "nut", "gear", "spring"};
    cv::Mat vectors(4, static_cast<int>(width), CV_32F);
    cv::RNG(5).fill(vectors, cv::RNG::NORMAL, 0, 1);
    const auto classOf = [](size_t object) { return object % 2 ? "nut" : "bolt"; };

    const cv::Ptr<DescriberTrainer> inCpp = DescriberTrainer::create(backbone, config);
    inCpp->setVirtualNames(backbone, words, vectors);
    std::vector<ObjectViews> all = trainingObjects();
    for (size_t i = 0; i < objects; i++)
        all[i].className = classOf(i);
    ASSERT_TRUE(inCpp->fit(all));

    DescriberTraining trainer;
    const agpnet_trainer_options options = optionsOf(backbone, config);
    AGPNET_EXPECT_OK(agpnet_describer_trainer_create, &options, &trainer);
    const char* const names[] = {words[0].c_str(), words[1].c_str(), words[2].c_str(), words[3].c_str()};
    AGPNET_EXPECT_OK(agpnet_describer_trainer_set_virtual_names, trainer, backbone.c_str(), names, 4u, floatsOf(vectors).data(), width);
    CObjects given(objects, views);
    for (size_t i = 0; i < objects; i++)
        given.objects[i].class_name = classOf(i);
    const agpnet_object_set set = given.set();
    std::vector<std::pair<int, int>> steps;
    const auto remember = [](void* context, const agpnet_progress* now) {
        static_cast<std::vector<std::pair<int, int>>*>(context)->emplace_back(now->step, now->steps);
        return 1;
    };
    AGPNET_EXPECT_OK(agpnet_describer_trainer_fit, trainer, &set, static_cast<agpnet_progress_t*>(remember), &steps, nullptr);
    ASSERT_GT(steps.size(), objects) << "views, and steps";
    EXPECT_EQ(steps.front().first, static_cast<int>(views));
    test::OwnedDescriber now;
    AGPNET_EXPECT_OK(agpnet_describer_trainer_get_describer, trainer, &now);
    agpnet_describer_info info{sizeof info, nullptr, nullptr, nullptr, nullptr, 0, 0, 0};
    AGPNET_EXPECT_OK(agpnet_describer_get_info, now, &info);
    EXPECT_EQ(info.space, inCpp->getDescriber()->getSpace());
}

TEST_F(CRetrieval, TrainingStopsAndRefuses)
{
    DescriberTraining trainer, none;
    test::OwnedDescriber noDescriber;
    const std::string missing = "/nonexistent.safetensors";
    const agpnet_trainer_options options = optionsOf(backbone), unknownKey = optionsOf(backbone, R"({"adaptor":"mean"})"),
                                 noFile = optionsOf(missing), noBackbone{sizeof options, nullptr, nullptr, nullptr};
    AGPNET_EXPECT_OK(agpnet_describer_trainer_create, &options, &trainer);
    CObjects given(3, 2), empty(3, 2), twice(3, 2), refusing(3, 2);
    empty.objects[1].count = 0;
    twice.objects[1].name = "part 0";
    refusing.reader.refused = {1, 1};
    agpnet_object_set set = given.set(), noViews = empty.set(), sameName = twice.set(), refused = refusing.set(), noRead = given.set(),
                      noObjects = given.set();
    noRead.read = nullptr;
    noObjects.objects = nullptr;
    const auto fit = [&](const agpnet_object_set* from) {
        return answerOf(agpnet_describer_trainer_fit, trainer, from, nullptr, nullptr, nullptr);
    };
    const auto virtualNames = [&](const char* bridge, const char* const* names, size_t count, const float* vectors, size_t columns) {
        return answerOf(agpnet_describer_trainer_set_virtual_names, trainer, bridge, names, count, vectors, columns);
    };
    int32_t finished = -1, steps = 0;
    const auto stop = [](void* context, const agpnet_progress* now) { return *static_cast<int32_t*>(context) = now->step, 0; };
    AGPNET_EXPECT_OK(agpnet_describer_trainer_fit, trainer, &set, static_cast<agpnet_progress_t*>(stop), &steps, &finished);
    EXPECT_EQ(finished, 0);
    EXPECT_EQ(steps, 2);

    const char* const words[] = {"a", nullptr};
    const std::vector<float> vectors(2 * width, 1);
    agpnet_object_set nothing = given.set();
    nothing.count = 0;
    for (const auto& [answer, code, part] : std::vector<std::tuple<Answer, int, std::string>>{
             {answerOf(agpnet_describer_trainer_create, &unknownKey, &none), AGPNET_E_ARGUMENT, "adaptor"},
             {answerOf(agpnet_describer_trainer_create, &noFile, &none), AGPNET_E_FILE, "/nonexistent.safetensors"},
             {answerOf(agpnet_describer_trainer_create, &noBackbone, &none), AGPNET_E_ARGUMENT, "options.backbone is null"},
             {answerOf(agpnet_describer_trainer_create, nullptr, &none), AGPNET_E_ARGUMENT, "options is null"},
             {answerOf(agpnet_describer_trainer_create, &options, nullptr), AGPNET_E_ARGUMENT, "trainer is null"},
             {fit(nullptr), AGPNET_E_ARGUMENT, "objects is null"},
             {fit(&noRead), AGPNET_E_ARGUMENT, "objects.read is null"},
             {fit(&noObjects), AGPNET_E_ARGUMENT, "objects.objects is null"},
             {fit(&nothing), AGPNET_E_ARGUMENT, "no objects to learn from"},
             {fit(&noViews), AGPNET_E_ARGUMENT, "'part 1' has no images"},
             {fit(&sameName), AGPNET_E_ARGUMENT, "'part 0' occurs twice"},
             {fit(&refused), AGPNET_E_FAILED, "view 1 of object 'part 1' was not read: the function read returned 0"},
             {answerOf(agpnet_describer_trainer_fit, nullptr, &set, nullptr, nullptr, nullptr), AGPNET_E_ARGUMENT, "trainer is null"},
             {answerOf(agpnet_describer_trainer_save, trainer, "x.agp", 1), AGPNET_E_STATE, "has not learned yet"},
             {answerOf(agpnet_describer_trainer_save, trainer, nullptr, 1), AGPNET_E_ARGUMENT, "path is null"},
             {answerOf(agpnet_describer_trainer_save, nullptr, "x.agp", 1), AGPNET_E_ARGUMENT, "trainer is null"},
             {answerOf(agpnet_describer_trainer_get_describer, trainer, &noDescriber), AGPNET_E_STATE, "has not learned yet"},
             {answerOf(agpnet_describer_trainer_get_describer, trainer, nullptr), AGPNET_E_ARGUMENT, "describer is null"},
             {answerOf(agpnet_describer_trainer_get_describer, nullptr, &noDescriber), AGPNET_E_ARGUMENT, "trainer is null"},
             {answerOf(agpnet_describer_trainer_get_info, nullptr, nullptr), AGPNET_E_ARGUMENT, "trainer is null"},
             {answerOf(agpnet_describer_trainer_get_info, trainer, nullptr), AGPNET_E_ARGUMENT, "info is null"},
             {answerOf(agpnet_describer_trainer_note, nullptr, "k", "1"), AGPNET_E_ARGUMENT, "trainer is null"},
             {answerOf(agpnet_describer_trainer_note, trainer, nullptr, "1"), AGPNET_E_ARGUMENT, "key is null"},
             {answerOf(agpnet_describer_trainer_note, trainer, "k", nullptr), AGPNET_E_ARGUMENT, "json is null"},
             {answerOf(agpnet_describer_trainer_note, trainer, "k", "{"), AGPNET_E_ARGUMENT, "note 'k'"},
             {virtualNames(nullptr, words, 1, vectors.data(), width), AGPNET_E_ARGUMENT, "bridge is null"},
             {virtualNames(backbone.c_str(), nullptr, 1, vectors.data(), width), AGPNET_E_ARGUMENT, "names is null"},
             {virtualNames(backbone.c_str(), words, 2, vectors.data(), width), AGPNET_E_ARGUMENT, "names[1] is null"},
             {virtualNames(backbone.c_str(), words, 1, nullptr, width), AGPNET_E_ARGUMENT, "vectors is null"},
             {virtualNames(backbone.c_str(), words, 1, vectors.data(), 0), AGPNET_E_ARGUMENT, "width is 0"},
             {virtualNames(backbone.c_str(), words, 1, vectors.data(), 3), AGPNET_E_ARGUMENT, "vectors is 1 x 3"},
             {virtualNames("/nonexistent", words, 1, vectors.data(), width), AGPNET_E_FILE, "/nonexistent"},
         })
    {
        EXPECT_EQ(answer.first, code) << answer.second;
        EXPECT_THAT(answer.second, HasSubstr(part));
    }
    EXPECT_EQ(none.handle, nullptr);
    EXPECT_EQ(noDescriber.handle, nullptr);
    AGPNET_EXPECT_OK(agpnet_describer_trainer_fit, trainer, &set, nullptr, nullptr, &finished);
    EXPECT_EQ(finished, 1) << "a training that was stopped or refused goes on";
}

TEST_F(CRetrieval, QueriesAnswerAsCppDoes)
{
    const cv::Ptr<Gallery> expected = gallery();
    test::OwnedGallery own;
    fill(own);
    for (const bool calibrated : {false, true})
    {
        if (calibrated)
        {
            cv::Mat queries;
            queries.push_back(descriptorOf(0));
            queries.push_back(descriptorOf(1));
            const char* const names[] = {"part 0", "part 1"};
            expected->calibrate(queries, {names[0], names[1]}, 4);
            AGPNET_EXPECT_OK(agpnet_gallery_calibrate, own, floatsOf(queries).data(), 2u, width, names, 4);
        }
        const cv::Ptr<ObjectQuery> inCpp = ObjectQuery::create(reference, expected, 0.2, 3, 2);
        agpnet_object_query_options options = AGPNET_OBJECT_QUERY_OPTIONS_INIT;
        options.rate = 0.2;
        options.top = 3;
        options.most = 2;
        Query query;
        AGPNET_EXPECT_OK(agpnet_object_query_create, *describer, own, &options, &query);
        const auto expectSame = [&](const agpnet_object_answer& found, const agpnet_matches* matches, const ObjectAnswer& answer) {
            EXPECT_EQ(found.known, answer.known ? 1 : 0);
            EXPECT_EQ(found.views, answer.views);
            EXPECT_EQ(found.evidence, answer.evidence);
            EXPECT_EQ(found.threshold, answer.threshold);
            EXPECT_EQ(found.lead, answer.lead);
            test::expectSame(matches, 0, answer.matches);
        };
        agpnet_object_answer state{sizeof state, 0, 0, 0, 0, 0};
        test::Matches matches;
        for (size_t view = 0; view < 3; view++)
        {
            const cv::Mat pixels = viewOf(2, view);
            const agpnet_image image = structureOf(pixels);
            AGPNET_EXPECT_OK(agpnet_object_query_add, query, &image, &state, &matches);
            expectSame(state, matches, inCpp->add(pixels));
            AGPNET_EXPECT_OK(agpnet_object_query_answer, query, &state, &matches);
            expectSame(state, matches, inCpp->answer());
            AGPNET_EXPECT_OK(agpnet_object_query_answer, query, nullptr, nullptr);
        }
        EXPECT_EQ(state.views, 2);
        AGPNET_EXPECT_OK(agpnet_object_query_clear, query);
        inCpp->clear();
        AGPNET_EXPECT_OK(agpnet_object_query_answer, query, &state, &matches);
        expectSame(state, matches, inCpp->answer());
        EXPECT_EQ(agpnet_matches_count(matches, 0), 0u);
    }
}

TEST_F(CRetrieval, QueriesRefuse)
{
    test::OwnedGallery own, other;
    fill(own);
    AGPNET_EXPECT_OK(agpnet_gallery_create, width, "other", &other);
    Query query, none;
    AGPNET_EXPECT_OK(agpnet_object_query_create, *describer, own, nullptr, &query);
    const auto create = [&](double rate, int32_t top, int32_t most) {
        const agpnet_object_query_options options{sizeof options, rate, top, most};
        return answerOf(agpnet_object_query_create, *describer, own, &options, &none);
    };
    const cv::Mat pixels = noiseImage(1);
    const agpnet_image image = structureOf(pixels);
    agpnet_image twoChannels = image;
    twoChannels.channels = 2;
    agpnet_object_answer tooSmall{8, 0, 0, 0, 0, 0};
    test::Matches matches;
    for (const auto& [answer, code, part] : std::vector<std::tuple<Answer, int, std::string>>{
             {create(0, 5, 24), AGPNET_E_ARGUMENT, "rate is 0"},
             {create(1, 5, 24), AGPNET_E_ARGUMENT, "rate is 1"},
             {create(0.1, 0, 24), AGPNET_E_ARGUMENT, "top is 0"},
             {create(0.1, 5, 0), AGPNET_E_ARGUMENT, "most is 0"},
             {answerOf(agpnet_object_query_create, *describer, other, nullptr, &none), AGPNET_E_ARGUMENT, "of another model"},
             {answerOf(agpnet_object_query_create, nullptr, own, nullptr, &none), AGPNET_E_ARGUMENT, "describer is null"},
             {answerOf(agpnet_object_query_create, *describer, nullptr, nullptr, &none), AGPNET_E_ARGUMENT, "gallery is null"},
             {answerOf(agpnet_object_query_create, *describer, own, nullptr, nullptr), AGPNET_E_ARGUMENT, "query is null"},
             {answerOf(agpnet_object_query_add, nullptr, &image, nullptr, nullptr), AGPNET_E_ARGUMENT, "query is null"},
             {answerOf(agpnet_object_query_add, query, nullptr, nullptr, nullptr), AGPNET_E_ARGUMENT, "view is null"},
             {answerOf(agpnet_object_query_add, query, &twoChannels, nullptr, &matches), AGPNET_E_ARGUMENT, "view.channels is 2"},
             {answerOf(agpnet_object_query_add, query, &image, &tooSmall, &matches), AGPNET_E_ARGUMENT, "answer.size is 8"},
             {answerOf(agpnet_object_query_answer, nullptr, nullptr, nullptr), AGPNET_E_ARGUMENT, "query is null"},
             {answerOf(agpnet_object_query_clear, nullptr), AGPNET_E_ARGUMENT, "query is null"},
         })
    {
        EXPECT_EQ(answer.first, code) << answer.second;
        EXPECT_THAT(answer.second, HasSubstr(part));
    }
    EXPECT_EQ(none.handle, nullptr);
    EXPECT_EQ(matches.handle, nullptr);
    agpnet_object_answer state{sizeof state, 1, 1, 1, 1, 1};
    AGPNET_EXPECT_OK(agpnet_object_query_answer, query, &state, nullptr);
    EXPECT_EQ(state.views, 0) << "no view was added by a call that failed";
    agpnet_object_query_free(nullptr);
    agpnet_describer_trainer_free(nullptr);
}

TEST_F(CRetrieval, TrainingTakesStructuresOfOtherVersions)
{
    DescriberTraining trainer, newTrainer;
    test::OwnedGallery own;
    Query query, newQuery;
    fill(own);
    const agpnet_trainer_options options = optionsOf(backbone);
    AGPNET_EXPECT_OK(agpnet_describer_trainer_create, &options, &trainer);
    AGPNET_EXPECT_OK(agpnet_object_query_create, *describer, own, nullptr, &query);
    CObjects given(1, 2);
    const auto fit = [&](const agpnet_object_set* set) {
        return answerOf(agpnet_describer_trainer_fit, trainer, set, nullptr, nullptr, nullptr);
    };
    checkSizes<agpnet_trainer_options>("options", options,
                                       [&](auto* it) { return answerOf(agpnet_describer_trainer_create, it, &newTrainer); });
    checkSizes<agpnet_describer_trainer_info>("info", {},
                                              [&](auto* it) { return answerOf(agpnet_describer_trainer_get_info, trainer, it); });
    checkSizes<agpnet_object_set>("objects", given.set(), fit);
    checkSizes<agpnet_object>("objects.objects", given.objects[0], [&](auto* it) {
        agpnet_object_set set = given.set();
        set.objects = it;
        return fit(&set);
    });
    checkSizes<agpnet_object_query_options>("options", AGPNET_OBJECT_QUERY_OPTIONS_INIT, [&](auto* it) {
        return answerOf(agpnet_object_query_create, *describer, own, it, &newQuery);
    });
    checkSizes<agpnet_object_answer>("answer", {}, [&](auto* it) { return answerOf(agpnet_object_query_answer, query, it, nullptr); });
}

} // namespace
} // namespace agpnet
