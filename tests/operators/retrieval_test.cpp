// Describer, gallery, trainer and query through the public interface.
#include "agpnet/describer_trainer.hpp"
#include "agpnet/object_query.hpp"
#include "agpnet/verify.hpp"
#include "tests/support/error_text.h"
#include "tests/support/temp_folder.h"
#include "tests/support/tiny_backbone.h"

#include <fstream>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>
#include <opencv2/imgproc.hpp>
#include <thread>

namespace agpnet::test
{
namespace
{

using ::testing::HasSubstr;
using nlohmann::json;

/// A coloured shape in a pose, on grey: classes differ in shape, objects in colour, views in angle.
cv::Mat viewOf(int kind, int object, int view, cv::Size size = {96, 80})
{
    cv::Mat image(size, CV_8UC3, cv::Scalar::all(200));
    cv::RNG random(static_cast<uint64_t>(kind * 100 + object + 1));
    const cv::Scalar colour(random.uniform(0, 120), random.uniform(0, 120), random.uniform(0, 120));
    const cv::Point centre(size.width / 2, size.height / 2);
    const int radius = size.height / 3;
    if (kind % 3 == 0)
        cv::ellipse(image, centre, {radius, radius / (2 + kind / 3)}, view * 30, 0, 360, colour, -1);
    else if (kind % 3 == 1)
    {
        std::vector<cv::Point> corners;
        for (int i = 0; i < 3 + kind / 3; i++)
        {
            const double angle = view * 0.5 + i * 2 * CV_PI / (3 + kind / 3);
            corners.emplace_back(centre.x + static_cast<int>(radius * std::cos(angle)),
                                 centre.y + static_cast<int>(radius * std::sin(angle)));
        }
        cv::fillConvexPoly(image, corners, colour);
    }
    else
        cv::circle(image, centre, radius, colour, 2 + 3 * (kind / 3) + view % 2);
    return image;
}

std::vector<ObjectViews> objects(int kinds, int each, int views)
{
    std::vector<ObjectViews> all;
    for (int kind = 0; kind < kinds; kind++)
        for (int i = 0; i < each; i++)
            all.push_back({"object " + std::to_string(kind) + "/" + std::to_string(i), "class " + std::to_string(kind),
                           static_cast<size_t>(views), [=](size_t view) { return viewOf(kind, i, static_cast<int>(view)); }});
    return all;
}

class Retrieval : public ::testing::Test
{
protected:
    std::string trained(const std::string& config = R"({"height": 16, "width": 16, "epochs": 2})", const std::string& name = "parts.agp")
    {
        const auto trainer = DescriberTrainer::create(writeTinyBackbone(folder), config);
        EXPECT_TRUE(trainer->fit(objects(6, 4, 4)));
        const std::string path = folder / name;
        trainer->save(path);
        return path;
    }

    TempFolder folder;
};

std::vector<cv::Mat> viewsOf(int kind, int object, int count)
{
    std::vector<cv::Mat> views;
    for (int i = 0; i < count; i++)
        views.push_back(viewOf(kind, object, i));
    return views;
}

TEST_F(Retrieval, TrainingComparesAndChooses)
{
    const auto trainer = DescriberTrainer::create(writeTinyBackbone(folder), R"({"height": 16, "width": 16, "epochs": 2})");
    EXPECT_THAT(errorOf<cv::Exception>([&] { trainer->save(folder / "too-early.agp"); }), HasSubstr("has not learned yet"));
    std::vector<int> steps;
    ASSERT_TRUE(trainer->fit(objects(6, 4, 4), [&](const TrainProgress& progress) {
        steps.push_back(progress.step);
        EXPECT_LE(progress.step, progress.steps);
        return true;
    }));
    EXPECT_GE(steps.size(), 24U);
    EXPECT_TRUE(std::is_sorted(steps.begin(), steps.end()));
    const json record = json::parse(trainer->getRecord());
    EXPECT_EQ(record.at("objects"), 24);
    EXPECT_EQ(record.at("classes"), 6);
    double whitened = -1, chosen = -1;
    for (const json& candidate : record.at("choice").at("candidates"))
    {
        const double quality = candidate.at("held_out_map");
        EXPECT_GT(quality, 0);
        EXPECT_LE(quality, 1);
        if (candidate.at("name").get<std::string>().starts_with("whitened by classes") &&
            candidate.at("name").get<std::string>().find("cam") == std::string::npos)
            whitened = std::max(whitened, quality);
        if (candidate.at("name") == record["choice"]["chosen"])
            chosen = quality;
    }
    EXPECT_GE(chosen, whitened); // never below the whitened mean
}

TEST_F(Retrieval, TheSameSeedGivesTheSameModel)
{
    const auto digest = [&](const char* config, const char* name) { return Describer::create(trained(config, name))->getSpace(); };
    const char* cam = R"({"height": 16, "width": 16, "epochs": 2, "choose": "config", "adapter": "cam", "seed": 5})";
    EXPECT_EQ(digest(cam, "a.agp"), digest(cam, "b.agp"));
    EXPECT_NE(digest(cam, "a.agp"),
              digest(R"({"height": 16, "width": 16, "epochs": 2, "choose": "config", "adapter": "cam", "seed": 6})", "c.agp"));
}

TEST_F(Retrieval, FindsWhatIsInTheGallery)
{
    const auto describer = Describer::create(trained());
    EXPECT_EQ(describer->getWidth(), 64);
    EXPECT_EQ(describer->getInputSize(), cv::Size(16, 16));
    EXPECT_EQ(modelMethod(folder / "parts.agp"), "dec");
    const auto gallery = Gallery::create(describer->getWidth(), describer->getSpace());
    cv::Mat descriptor;
    for (int kind = 0; kind < 6; kind++)
        for (int object = 0; object < 4; object++)
        {
            describer->describe(viewsOf(kind, object, 6), descriptor, VIEWS_RING);
            EXPECT_EQ(descriptor.size(), cv::Size(64, 1));
            EXPECT_NEAR(cv::norm(descriptor), 1, 1e-5);
            gallery->add(std::to_string(kind) + "/" + std::to_string(object), descriptor, R"({"kind": 1})");
        }
    int right = 0;
    for (int kind = 0; kind < 6; kind++)
        for (int object = 0; object < 4; object++)
        {
            describer->describe(viewsOf(kind, object, 6), descriptor, VIEWS_RING);
            const auto matches = gallery->search(descriptor, 3);
            ASSERT_EQ(matches.size(), 3U);
            right += matches[0].name == std::to_string(kind) + "/" + std::to_string(object);
            EXPECT_NEAR(matches[0].similarity, 1, 1e-4);
            EXPECT_EQ(matches[0].chance, -1);
            EXPECT_EQ(matches[0].note, R"({"kind": 1})");
            const auto others = gallery->search(descriptor, 3, matches[0].name);
            EXPECT_NE(others[0].name, matches[0].name);
        }
    EXPECT_EQ(right, 24);
    gallery->save(folder / "g.agpx");
    const auto read = Gallery::load(folder / "g.agpx", describer->getSpace());
    EXPECT_EQ(read->size(), 24);
    EXPECT_EQ(read->search(descriptor, 1)[0].name, gallery->search(descriptor, 1)[0].name);
    EXPECT_THAT(errorOf<cv::Exception>([&] { Gallery::load(folder / "g.agpx", "another"); }), HasSubstr("is of another model"));
}

TEST_F(Retrieval, AggregateOfEmbeddingsIsDescribe)
{
    for (const char* adapter : {"mean", "mlp", "cam", "cam_from_mean"})
    {
        const auto describer = Describer::create(
            trained(R"({"height": 16, "width": 16, "epochs": 1, "choose": "config", "adapter": ")" + std::string(adapter) + "\"}", "m.agp"));
        const std::vector<cv::Mat> views = viewsOf(2, 1, 5);
        cv::Mat embeddings, whole, parts, one;
        describer->embed(views, embeddings);
        EXPECT_EQ(embeddings.size(), cv::Size(64, 5));
        for (const ViewOrder order : {VIEWS_UNORDERED, VIEWS_RING})
        {
            describer->describe(views, whole, order);
            describer->aggregate(embeddings, parts, order);
            EXPECT_EQ(cv::norm(whole, parts, cv::NORM_INF), 0) << adapter;
        }
        describer->describe(views[0], one);
        describer->aggregate(embeddings.row(0), parts);
        EXPECT_LT(cv::norm(one, parts, cv::NORM_INF), 1e-5) << adapter;
    }
}

TEST_F(Retrieval, MixedSizesAndTypesOfViews)
{
    const auto describer = Describer::create(trained());
    cv::Mat grey, wide, descriptor;
    cv::cvtColor(viewOf(1, 1, 1), grey, cv::COLOR_BGR2GRAY);
    viewOf(1, 1, 2).convertTo(wide, CV_16U, 257);
    describer->describe(std::vector<cv::Mat>{viewOf(1, 1, 0, {200, 120}), grey, wide}, descriptor);
    EXPECT_NEAR(cv::norm(descriptor), 1, 1e-5);
    cv::UMat onDevice;
    viewOf(1, 1, 0).copyTo(onDevice);
    describer->describe(onDevice, descriptor);
    EXPECT_NEAR(cv::norm(descriptor), 1, 1e-5);
}

TEST_F(Retrieval, BadInputIsNamed)
{
    const auto describer = Describer::create(trained());
    cv::Mat out;
    const auto refused = [](auto function) { return errorOf<cv::Exception>(function); };
    EXPECT_THAT(refused([&] { describer->describe(std::vector<cv::Mat>{}, out); }), HasSubstr("no view given"));
    EXPECT_THAT(refused([&] { describer->describe(cv::Mat(), out); }), HasSubstr("is empty"));
    EXPECT_THAT(refused([&] { describer->describe(std::vector<cv::Mat>{viewOf(1, 1, 1), cv::Mat(4, 4, CV_8U)}, out); }),
                HasSubstr("image 1 is 4x4"));
    EXPECT_THAT(refused([&] { describer->aggregate(cv::Mat::zeros(2, 63, CV_32F), out); }), HasSubstr("expected 64 columns"));
    EXPECT_THAT(refused([&] { describer->aggregate(cv::Mat::zeros(2, 64, CV_64F), out); }), HasSubstr("CV_32FC1"));
    EXPECT_THAT(refused([&] { describer->aggregate(cv::Mat(2, 64, CV_32F, cv::Scalar(NAN)), out); }), HasSubstr("not finite"));
    EXPECT_THAT(refused([&] { Describer::create(folder / "parts.agp", "int8"); }), HasSubstr("expected auto, fp32 or bf16"));
    EXPECT_THAT(refused([&] { Describer::create(folder / "none.agp"); }), HasSubstr("cannot be opened"));
    const auto gallery = Gallery::create(64, "space");
    EXPECT_THAT(refused([&] { gallery->search(cv::Mat::ones(2, 64, CV_32F)); }), HasSubstr("searchBatch"));
    EXPECT_THAT(refused([&] { gallery->search(cv::Mat::ones(1, 64, CV_32F), 0); }), HasSubstr("top is 0"));
    EXPECT_THAT(refused([&] { gallery->getThreshold(); }), HasSubstr("calibrated"));
    EXPECT_THAT(refused([&] { gallery->getNote("x"); }), HasSubstr("no entry 'x'"));
    EXPECT_THAT(refused([&] { Gallery::create(0, "s"); }), HasSubstr("width is 0"));
    EXPECT_THAT(refused([&] { ObjectQuery::create(describer, gallery); }), HasSubstr("of another model"));
    EXPECT_THAT(refused([&] { ObjectQuery::create(describer, {}); }), HasSubstr("gallery is empty"));
    EXPECT_TRUE(gallery->search(cv::Mat::ones(1, 64, CV_32F)).empty());

    const std::string backbone = writeTinyBackbone(folder);
    const auto fit = [&](const std::vector<ObjectViews>& data, const char* config = R"({"height": 16, "width": 16})") {
        return refused([&] { DescriberTrainer::create(backbone, config)->fit(data); });
    };
    EXPECT_THAT(fit({}), HasSubstr("no objects"));
    auto data = objects(2, 2, 2);
    data[1].count = 0;
    EXPECT_THAT(fit(data), HasSubstr("'object 0/1' has no images"));
    data = objects(2, 2, 2);
    data[1].name = data[0].name;
    EXPECT_THAT(fit(data), HasSubstr("occurs twice"));
    data = objects(2, 2, 2);
    data[3].view = [](size_t) { return cv::Mat(); };
    EXPECT_THAT(fit(data), HasSubstr("view 0 of the object 'object 1/1' is empty"));
    data = objects(1, 4, 2);
    EXPECT_THAT(fit(data, R"({"height": 16, "width": 16, "choose": "config", "adapter": "cam"})"), HasSubstr("trained on classes"));
}

TEST_F(Retrieval, FewObjectsAndViewsAreWhitenedByWhatThereIs)
{
    const auto chosen = [&](const std::vector<ObjectViews>& data) {
        const auto trainer = DescriberTrainer::create(writeTinyBackbone(folder), R"({"height": 16, "width": 16})");
        EXPECT_TRUE(trainer->fit(data));
        cv::Mat descriptor;
        trainer->getDescriber()->describe(viewOf(0, 0, 1), descriptor);
        EXPECT_NEAR(cv::norm(descriptor), 1, 1e-5);
        return json::parse(trainer->getConfig()).at("whitening").get<std::string>();
    };
    EXPECT_EQ(chosen(objects(2, 2, 3)), "classes");
    EXPECT_EQ(chosen(objects(1, 4, 3)), "objects"); // one class is none
    EXPECT_EQ(chosen(objects(4, 1, 3)), "objects"); // classes of one
    EXPECT_EQ(chosen(objects(4, 1, 1)), "centred"); // nothing varies but between objects
    EXPECT_EQ(chosen(objects(1, 1, 1)), "none");
}

TEST_F(Retrieval, AnEndedTrainingLeavesNothing)
{
    const auto trainer = DescriberTrainer::create(writeTinyBackbone(folder), R"({"height": 16, "width": 16})");
    for (const int last : {1, 10, 40})
    {
        int calls = 0;
        EXPECT_FALSE(trainer->fit(objects(6, 4, 2), [&](const TrainProgress&) { return ++calls < last; }));
        EXPECT_THAT(errorOf<cv::Exception>([&] { trainer->getDescriber(); }), HasSubstr("has not learned yet"));
    }
}

TEST_F(Retrieval, VirtualNamesNeedTheClassesNames)
{
    const std::string backbone = writeTinyBackbone(folder);
    const auto trainer = DescriberTrainer::create(backbone, R"({"height": 16, "width": 16, "epochs": 1})");
    std::vector<std::string> names = {"gearbox", "class 0", "class 1", "class 2", "class 3", "class 4", "crank"};
    cv::Mat vectors(7, 64, CV_32F);
    cv::theRNG().state = 1;
    cv::randn(vectors, 0, 1);
    EXPECT_THAT(errorOf<cv::Exception>([&] { trainer->setVirtualNames(backbone, names, cv::Mat::ones(7, 63, CV_32F)); }),
                HasSubstr("expected 64 columns"));
    trainer->setVirtualNames(backbone, names, vectors);
    EXPECT_THAT(errorOf<cv::Exception>([&] { trainer->fit(objects(6, 4, 3)); }), HasSubstr("the class 'class 5' has no vector"));
    names[6] = "class 5";
    trainer->setVirtualNames(backbone, names, vectors);
    ASSERT_TRUE(trainer->fit(objects(6, 4, 3)));
    bool compared = false;
    const json record = json::parse(trainer->getRecord());
    for (const json& candidate : record.at("choice").at("candidates"))
        compared |= candidate.at("name").get<std::string>().ends_with("virtual features");
    EXPECT_TRUE(compared);
}

TEST_F(Retrieval, VirtualNamesComeFromFiles)
{
    const std::string backbone = writeTinyBackbone(folder);
    const auto gallery = Gallery::create(64, "names");
    cv::Mat vectors(8, 64, CV_32F);
    cv::RNG random(5);
    random.fill(vectors, cv::RNG::NORMAL, 0, 1);
    for (int i = 0; i < 8; i++)
        gallery->add(i < 6 ? "class " + std::to_string(i) : "unseen " + std::to_string(i), vectors.row(i));
    gallery->exportVectors(folder / "names.npy");
    EXPECT_TRUE(std::ifstream(folder / "names.txt").good());
    const auto trainer = DescriberTrainer::create(backbone, R"({"height": 16, "width": 16, "epochs": 1})");
    trainer->setVirtualNames(backbone, folder / "names.txt", "");
    ASSERT_TRUE(trainer->fit(objects(6, 4, 3)));
    EXPECT_THAT(trainer->getRecord(), HasSubstr("virtual features"));
    EXPECT_THAT(errorOf<cv::Exception>([&] { trainer->setVirtualNames(backbone, folder / "none.npy", ""); }), HasSubstr("none"));
    EXPECT_THAT(errorOf<cv::Exception>([&] { trainer->setVirtualNames(backbone, folder / "names.txt", folder / "no-encoder"); }),
                HasSubstr("no-encoder"));
}

TEST_F(Retrieval, AQueryGrowsViewByView)
{
    const auto describer = Describer::create(trained());
    const auto gallery = Gallery::create(describer->getWidth(), describer->getSpace());
    cv::Mat descriptor, queries;
    std::vector<std::string> names;
    for (int kind = 0; kind < 6; kind++)
    {
        describer->describe(viewsOf(kind, 0, 6), descriptor, VIEWS_RING);
        gallery->add(std::to_string(kind), descriptor);
        for (int view = 0; view < 6; view++)
        {
            describer->describe(viewOf(kind, 0, view), descriptor);
            queries.push_back(descriptor);
            names.push_back(std::to_string(kind));
        }
    }
    gallery->calibrate(queries, names, 1);
    const auto query = ObjectQuery::create(describer, gallery, 0.05, 2, 3);
    EXPECT_EQ(query->answer().views, 0);
    EXPECT_TRUE(query->answer().matches.empty());
    ObjectAnswer answer;
    for (int view = 0; view < 5; view++)
    {
        answer = query->add(viewOf(4, 0, view));
        EXPECT_EQ(answer.views, std::min(view + 1, 3)); // the oldest is forgotten
        EXPECT_EQ(answer.matches.size(), 2U);
        EXPECT_GE(answer.matches[0].chance, 0);
        EXPECT_NEAR(answer.lead, answer.matches[0].similarity - answer.matches[1].similarity, 1e-9);
        EXPECT_EQ(answer.known, answer.evidence > answer.threshold);
    }
    // the same as describing the views at once
    cv::Mat last;
    describer->describe(std::vector<cv::Mat>{viewOf(4, 0, 2), viewOf(4, 0, 3), viewOf(4, 0, 4)}, last);
    EXPECT_NEAR(gallery->search(last, 1)[0].similarity, answer.matches[0].similarity, 1e-5);
    query->clear();
    EXPECT_EQ(query->answer().views, 0);
}

TEST_F(Retrieval, ThresholdsHoldTheStatedRate)
{
    // descriptors at random: how often does a stranger come closer than the threshold?
    cv::RNG random(3);
    const auto rows = [&](int count) {
        cv::Mat made(count, 16, CV_32F);
        random.fill(made, cv::RNG::NORMAL, 0, 1);
        return made;
    };
    const auto gallery = Gallery::create(16, "s");
    const cv::Mat entries = rows(300);
    std::vector<std::string> names;
    for (int i = 0; i < entries.rows; i++)
    {
        names.push_back(std::to_string(i));
        gallery->add(names.back(), entries.row(i));
    }
    gallery->calibrate(entries + 0.3 * rows(300), names, 1);
    const cv::Mat strangers = rows(4000);
    for (const double rate : {0.02, 0.1, 0.3})
    {
        const double threshold = gallery->getThreshold(rate, 1);
        int above = 0;
        for (const auto& matches : gallery->searchBatch(strangers, 2))
            above += gallery->getEvidence(matches) > threshold;
        EXPECT_NEAR(above / 4000.0, rate, 0.03 + rate / 5);
    }
}

TEST_F(Retrieval, MayBeUsedByThreads)
{
    const auto describer = Describer::create(trained());
    const auto gallery = Gallery::create(describer->getWidth(), describer->getSpace());
    cv::Mat descriptor;
    describer->describe(viewsOf(0, 0, 3), descriptor);
    gallery->add("always", descriptor);
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; t++)
        threads.emplace_back([&, t] {
            for (int i = 0; i < 10; i++)
            {
                cv::Mat own;
                describer->describe(viewOf(t, i % 3, i), own);
                const std::string name = std::to_string(t) + "." + std::to_string(i);
                gallery->replace(name, own);
                EXPECT_FALSE(gallery->search(own, 2).empty());
                EXPECT_TRUE(gallery->contains("always"));
                if (i % 2)
                    gallery->remove(name);
            }
        });
    for (std::thread& thread : threads)
        thread.join();
    EXPECT_EQ(gallery->size(), 21);
}

} // namespace
} // namespace agpnet::test
