// Schemas, attributes and shapes, for every operator.
#include "operators/registry.h"

#include "tests/support/error_text.h"
#include "tests/support/temp_folder.h"
#include "tests/support/tiny_describer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace agpnet
{
namespace
{

using ::testing::AllOf;
using ::testing::HasSubstr;
using test::errorOf;

std::unique_ptr<Operator> make(const std::string& name, const std::map<std::string, AttributeValue>& values = {})
{
    const OperatorEntry& entry = findOperator(name);
    return entry.create(Attributes(entry.schema, values));
}

TEST(Operators, AreThoseOfTheStagesAndOfTheFamilies)
{
    std::vector<std::string> names;
    for (const OperatorEntry& entry : operatorList())
        names.push_back(entry.schema.name);
    EXPECT_THAT(names, ::testing::ElementsAre("Perturb", "Residual", "Heatmap", "Nearest", "Reconstruct", "Detect", "Train", "Describe",
                                              "Aggregate"));
}

TEST(Operators, DescribeEveryPortAndAttribute)
{
    for (const OperatorEntry& entry : operatorList())
    {
        const nlohmann::json json = describe(entry.schema);
        EXPECT_EQ(json.at("name"), "ai.agpnet." + entry.schema.name);
        EXPECT_FALSE(json.at("doc").get<std::string>().empty());
        for (const char* list : {"inputs", "outputs", "attributes"})
            for (const nlohmann::json& item : json.at(list))
                EXPECT_FALSE(item.at("doc").get<std::string>().empty()) << entry.schema.name << " " << item;
        for (const nlohmann::json& attribute : json.at("attributes"))
            EXPECT_NE(attribute.contains("default"), attribute.contains("required")) << attribute;
    }
}

struct BadAttribute
{
    const char* op;
    std::map<std::string, AttributeValue> values;
    std::vector<std::string> named;
};

class BadAttributes : public ::testing::TestWithParam<BadAttribute>
{
};

TEST_P(BadAttributes, AreRefusedByName)
{
    const std::string message = errorOf([] { make(GetParam().op, GetParam().values); });
    EXPECT_NE(message, "no error");
    for (const std::string& part : GetParam().named)
        EXPECT_THAT(message, HasSubstr(part));
}

const std::string word = "abc";
INSTANTIATE_TEST_SUITE_P(
    Table, BadAttributes,
    ::testing::Values(
        BadAttribute{"Residual", {{"metrik", std::string("l2")}}, {"unknown attribute 'metrik'", "known are metric"}},
        BadAttribute{"Residual", {{"metric", std::string("l1")}}, {"'metric' is 'l1'", "l2, cosine, scaled"}},
        BadAttribute{"Residual", {{"metric", 1.0}}, {"'metric'", "float", "expected string"}},
        BadAttribute{"Heatmap", {{"height", int64_t{0}}}, {"'height' is 0", "1 to 16384"}},
        BadAttribute{"Heatmap", {{"height", 2.5}}, {"'height' is 2.5", "expected int"}},
        BadAttribute{"Heatmap", {{"sigma", -1.0}}, {"'sigma' is -1"}},
        BadAttribute{"Heatmap", {{"sigma", std::numeric_limits<double>::quiet_NaN()}}, {"'sigma' is nan"}},
        BadAttribute{"Nearest", {{"k", int64_t{0}}}, {"'k' is 0", "1 to 1024"}},
        BadAttribute{"Perturb", {{"ratio", 1.5}}, {"'ratio' is 1.5", "0 to 1"}},
        BadAttribute{"Perturb", {{"alpha", -0.1}}, {"'alpha' is -0.1"}},
        BadAttribute{"Perturb", {{"level", std::string("pixel")}}, {"'level' is 'pixel'", "feature, image"}},
        BadAttribute{"Perturb", {{"seed", int64_t{-1}}}, {"'seed' is -1"}}, BadAttribute{"Detect", {}, {"'model' is required"}},
        BadAttribute{"Detect", {{"model", word}, {"sensitivity", 0.0}}, {"'sensitivity' is 0"}},
        BadAttribute{"Reconstruct", {{"model", word}, {"precision", std::string("fp16")}}, {"'precision' is 'fp16'", "auto, fp32, bf16"}},
        BadAttribute{"Describe", {}, {"'model' is required"}}, BadAttribute{"Aggregate", {}, {"'model' is required"}},
        BadAttribute{"Describe", {{"model", word}, {"order", std::string("circle")}}, {"'order' is 'circle'", "unordered, ring"}},
        BadAttribute{"Describe", {{"model", word}, {"precision", std::string("int8")}}, {"'precision' is 'int8'", "auto, fp32, bf16"}},
        BadAttribute{"Aggregate", {{"model", word}, {"device", word}}, {"unknown attribute 'device'", "known are model, order"}},
        BadAttribute{"Train", {{"model", word}}, {"'backbone' is required"}},
        BadAttribute{"Train", {{"model", word}, {"backbone", word}, {"config", std::string("{\"stepz\":1}")}}, {"unknown key 'stepz'"}},
        BadAttribute{"Train", {{"model", word}, {"backbone", word}, {"config", std::string("{\"steps\":-1}")}}, {"'steps' is -1"}},
        BadAttribute{
            "Train", {{"model", word}, {"backbone", word}, {"config", std::string("{\"noise\":\"loud\"}")}}, {"'noise'", "guided"}},
        BadAttribute{"Train", {{"model", word}, {"backbone", word}, {"config", std::string("{")}}, {"not valid JSON"}},
        BadAttribute{"Train", {{"model", word}, {"backbone", word}, {"config", std::string("/nonexistent.json")}}, {"/nonexistent.json"}}));

TEST(Attributes, TakeWholeNumbersForReals)
{
    EXPECT_NO_THROW(make("Heatmap", {{"sigma", int64_t{4}}}));
}

TEST(Shapes, FollowFromInputs)
{
    EXPECT_EQ(make("Perturb")->outputShapes({{2, 3, 4, 5}, {2, 1, 9, 9}}), (std::vector<Shape>{{2, 3, 4, 5}}));
    EXPECT_EQ(make("Residual")->outputShapes({{2, 3, 4, 5}, {2, 3, 4, 5}}), (std::vector<Shape>{{2, 1, 4, 5}}));
    EXPECT_EQ(make("Heatmap", {{"height", int64_t{7}}, {"width", int64_t{9}}})->outputShapes({{2, 1, 4, 5}}),
              (std::vector<Shape>{{2, 1, 7, 9}, {2, 1}}));
    for (const Shape& query : {Shape{7, 384}, Shape{7, 384, 1, 1}})
        EXPECT_EQ(make("Nearest", {{"k", int64_t{3}}})->outputShapes({query, {100, 384, 1, 1}}),
                  (std::vector<Shape>{{7, 3, 1, 1}, {7, 3, 1, 1}}));
    EXPECT_EQ(make("Detect", {{"model", word}})->outputShapes({{2, 3, 40, 50}}),
              (std::vector<Shape>{{2, 1, 40, 50}, {2, 1}, {2, 1, 40, 50}, {2, 1}}));
}

struct BadShapes
{
    const char* op;
    std::vector<Shape> inputs;
    const char* part;
};

class WrongShapes : public ::testing::TestWithParam<BadShapes>
{
};

TEST_P(WrongShapes, AreRefused)
{
    EXPECT_THAT(errorOf([] { make(GetParam().op)->outputShapes(GetParam().inputs); }),
                AllOf(HasSubstr(GetParam().op), HasSubstr(GetParam().part)));
}

INSTANTIATE_TEST_SUITE_P(Table, WrongShapes,
                         ::testing::Values(BadShapes{"Residual", {{1, 2, 3, 4}}, "1 inputs, expected 2"},
                                           BadShapes{"Residual", {{2, 3, 4}, {2, 3, 4}}, "[2, 3, 4], expected 4 dimensions"},
                                           BadShapes{"Residual", {{1, 2, 3, 4}, {1, 3, 3, 4}}, "[1, 3, 3, 4]"},
                                           BadShapes{"Residual", {{1, 0, 3, 4}, {1, 0, 3, 4}}, "no empty dimension"},
                                           BadShapes{"Perturb", {{2, 3, 4, 5}, {1, 1, 4, 5}}, "attention"},
                                           BadShapes{"Perturb", {{2, 3, 4, 5}, {2, 2, 4, 5}}, "attention"},
                                           BadShapes{"Nearest", {{1, 8}, {5, 7}}, "as many channels"},
                                           BadShapes{"Nearest", {{1, 8, 2, 1}, {5, 8}}, "queries has shape [1, 8, 2, 1]"},
                                           BadShapes{"Nearest", {{1, 8}, {5, 8, 4}}, "expected 4 dimensions"},
                                           BadShapes{"Nearest", {{1, 8}, {0, 8}}, "no empty dimension"},
                                           BadShapes{"Heatmap", {{1, 2, 3, 4}}, "one channel"}));

TEST(Shapes, NearestWantsAsManyRowsAsItFinds)
{
    EXPECT_THAT(errorOf([] { make("Nearest", {{"k", int64_t{6}}})->outputShapes({{1, 8}, {5, 8}}); }),
                HasSubstr("'k' is 6, expected at most the 5 rows of the gallery"));
}

TEST(Shapes, OfDescriptorsFollowFromTheModel)
{
    const test::TempFolder folder;
    const std::string model = test::writeTinyDescriber(folder, test::writeTinyBackbone(folder));
    const std::map<std::string, AttributeValue> of = {{"model", model}};
    EXPECT_EQ(make("Describe", of)->outputShapes({{5, 3, 40, 50}}), (std::vector<Shape>{{1, 64}}));
    EXPECT_EQ(make("Aggregate", of)->outputShapes({{5, 64, 1, 1}}), (std::vector<Shape>{{1, 64}}));
    EXPECT_THAT(errorOf([&] { make("Describe", of)->outputShapes({{5, 6, 40, 50}}); }),
                HasSubstr("Describe: views have shape [5, 6, 40, 50], expected [M, 3, H, W]"));
    for (const Shape& shape : {Shape{5, 65, 1, 1}, Shape{5, 64, 2, 1}, Shape{5, 64, 1, 2}})
        EXPECT_THAT(errorOf([&] { make("Aggregate", of)->outputShapes({shape}); }),
                    HasSubstr("Aggregate: embeddings have shape " + toText(shape) + ", expected [M, 64, 1, 1] for this model"));
    EXPECT_THAT(errorOf([&] { make("Reconstruct", of)->outputShapes({{1, 3, 40, 50}}); }),
                HasSubstr("describer.agp: is of the method 'dec', expected 'agpnet'"));
    EXPECT_THAT(errorOf([&] { make("Describe", {{"model", (folder / "none.agp").string()}})->outputShapes({{1, 3, 40, 50}}); }),
                HasSubstr("none.agp"));
}

} // namespace
} // namespace agpnet
