// What the tests of the C functions for retrieval share: a small model, a gallery, and the same in C++.
#pragma once

#include "agpnet/describer_trainer.hpp"
#include "agpnet/gallery.hpp"
#include "tests/plugin/c_api_fixture.h"

namespace agpnet::test
{

using OwnedDescriber = Owner<agpnet_describer, agpnet_describer_free>;
using OwnedGallery = Owner<agpnet_gallery, agpnet_gallery_free>;
using Matches = Owner<agpnet_matches, agpnet_matches_free>;
using Texts = Owner<agpnet_texts, agpnet_texts_free>;

/// The values of a continuous array.
inline std::vector<float> floatsOf(const cv::Mat& rows)
{
    return {rows.begin<float>(), rows.end<float>()};
}

/// Are the matches of a query those of the C++ function, bit for bit?
inline void expectSame(const agpnet_matches* matches, size_t query, const std::vector<GalleryMatch>& expected)
{
    ASSERT_EQ(agpnet_matches_count(matches, query), expected.size());
    for (size_t i = 0; i < expected.size(); i++)
    {
        agpnet_match match{sizeof match, nullptr, 0, 0, nullptr};
        AGPNET_EXPECT_OK(agpnet_matches_get, matches, query, i, &match);
        EXPECT_EQ(match.name, expected[i].name);
        EXPECT_EQ(match.similarity, expected[i].similarity);
        EXPECT_EQ(match.chance, expected[i].chance);
        EXPECT_EQ(match.note, expected[i].note);
    }
}

inline const char* const decConfig = R"({"height":32,"width":24,"choose":"config","whitening":"objects","adapter":"mean"})";

/// Five objects of four views each; "part 0" to "part 4".
class CRetrieval : public ::testing::Test
{
protected:
    static constexpr size_t objects = 5, views = 4;

    static cv::Mat viewOf(size_t object, size_t view) { return noiseImage(10 * object + view); }
    static std::vector<cv::Mat> viewsOf(size_t object)
    {
        std::vector<cv::Mat> all;
        for (size_t view = 0; view < views; view++)
            all.push_back(viewOf(object, view));
        return all;
    }
    static std::vector<ObjectViews> trainingObjects()
    {
        std::vector<ObjectViews> all;
        for (size_t i = 0; i < objects; i++)
            all.push_back({"part " + std::to_string(i), "", views, [i](size_t view) { return viewOf(i, view); }});
        return all;
    }

    static void SetUpTestSuite()
    {
        folder = new TempFolder;
        backbone = writeTinyBackbone(*folder);
        const cv::Ptr<DescriberTrainer> trainer = DescriberTrainer::create(backbone, decConfig);
        trainer->fit(trainingObjects());
        model = *folder / "parts.agp";
        trainer->save(model);
        reference = Describer::create(model);
        describer = new OwnedDescriber;
        AGPNET_EXPECT_OK(agpnet_describer_create, model.c_str(), static_cast<const agpnet_describer_options*>(nullptr), &*describer);
        width = static_cast<size_t>(reference->getWidth());
    }
    static void TearDownTestSuite()
    {
        reference.release();
        delete describer;
        delete folder;
    }

    static cv::Mat descriptorOf(size_t object)
    {
        cv::Mat descriptor;
        reference->describe(viewsOf(object), descriptor);
        return descriptor;
    }
    static std::string nameOf(size_t object) { return "part " + std::to_string(object); }
    static std::string noteOf(size_t object) { return object % 2 ? "" : R"({"shelf": )" + std::to_string(object) + "}"; }

    /// A gallery of all objects, in C++.
    static cv::Ptr<Gallery> gallery()
    {
        cv::Ptr<Gallery> all = Gallery::create(static_cast<int>(width), reference->getSpace());
        for (size_t i = 0; i < objects; i++)
            all->add(nameOf(i), descriptorOf(i), noteOf(i));
        return all;
    }
    /// The same in C.
    static void fill(OwnedGallery& all)
    {
        AGPNET_EXPECT_OK(agpnet_gallery_create, width, reference->getSpace().c_str(), &all);
        for (size_t i = 0; i < objects; i++)
            AGPNET_EXPECT_OK(agpnet_gallery_add, all, nameOf(i).c_str(), floatsOf(descriptorOf(i)).data(), width, noteOf(i).c_str());
    }

    inline static TempFolder* folder = nullptr;
    inline static std::string backbone, model;
    inline static cv::Ptr<Describer> reference; ///< the same model in C++
    inline static OwnedDescriber* describer = nullptr;
    inline static size_t width = 0;
};

} // namespace agpnet::test
