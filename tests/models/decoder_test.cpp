// The decoder as it inspects against the decoder as it learns.
#include "models/agpnet/decoder/frozen_decoder.h"

#include <ATen/ATen.h>
#include <ATen/CPUGeneratorImpl.h>
#include <gtest/gtest.h>

namespace agpnet
{
namespace
{

/// Of a size that matters: fresh decoders hardly change their input.
Decoder decoderOf(const DecoderShape& shape)
{
    NamedTensors weights = Decoder(shape, 3).parameters();
    at::Generator generator = at::make_generator<at::CPUGeneratorImpl>(4);
    for (auto& [name, tensor] : weights)
        tensor = tensor + at::empty(tensor.sizes()).normal_(0, 0.1, generator);
    return Decoder(shape, weights);
}

TEST(FrozenDecoder, SaysWhatTheDecoderSays)
{
    const DecoderShape shapes[] = {
        {.channels = 768, .width = 384, .depth = 4, .heads = 6, .mlp = 1536, .rows = 18, .columns = 18},
        {.channels = 20, .width = 64, .depth = 1, .heads = 1, .mlp = 100, .rows = 3, .columns = 5},
        {.channels = 33, .width = 24, .depth = 2, .heads = 3, .mlp = 48, .rows = 1, .columns = 1},
    };
    for (const DecoderShape& shape : shapes)
        for (const int64_t n : {1, 3})
            for (const ComputeType type : {ComputeType::Float32, ComputeType::BFloat16})
            {
                SCOPED_TRACE(testing::Message() << shape.channels << " channels, " << n << " images, " << nameOf(type));
                const Decoder decoder = decoderOf(shape);
                at::Generator generator = at::make_generator<at::CPUGeneratorImpl>(5);
                const at::Tensor tokens = at::empty({n, shape.rows * shape.columns, shape.channels}).normal_(0, 1, generator);
                const at::Tensor exact = decoder.forward(tokens, at::kFloat), found = FrozenDecoder(decoder, type).forward(tokens);
                ASSERT_EQ(found.sizes(), exact.sizes());
                ASSERT_EQ(found.scalar_type(), at::kFloat);
                const double error = (found - exact).norm().item<double>() / exact.norm().item<double>();
                EXPECT_LT(error, type == ComputeType::Float32 ? 1e-5 : 2e-2);
            }
}

TEST(FrozenDecoder, KeepsItsWeightsWhenTheDecoderLearnsOn)
{
    const DecoderShape shape{.channels = 20, .width = 64, .depth = 1, .heads = 1, .mlp = 100, .rows = 3, .columns = 5};
    const Decoder decoder = decoderOf(shape);
    const FrozenDecoder frozen(decoder, ComputeType::Float32);
    const at::Tensor tokens = at::ones({1, 15, 20});
    const at::Tensor before = frozen.forward(tokens);
    for (const auto& [name, tensor] : decoder.parameters())
        at::Tensor(tensor).add_(1);
    EXPECT_TRUE(frozen.forward(tokens).equal(before));
}

TEST(Decoder, AttentionIsTheMeanOverTheBlocksAskedFor)
{
    const DecoderShape shape{.channels = 20, .width = 64, .depth = 3, .heads = 2, .mlp = 100, .rows = 3, .columns = 5};
    const Decoder decoder = decoderOf(shape);
    at::Generator generator = at::make_generator<at::CPUGeneratorImpl>(5);
    const at::Tensor tokens = at::empty({2, 15, 20}).normal_(0, 1, generator);
    const auto blocks = [&](int count) { return decoder.attention(tokens, at::kFloat, count); };
    EXPECT_EQ(blocks(1).sizes(), at::IntArrayRef({2, 15}));
    for (const int count : {0, 1, 2, 3, 9})
        EXPECT_TRUE(at::allclose(blocks(count).sum(1), at::ones({2}), 1e-4)) << count; // each query spends 1
    EXPECT_TRUE(blocks(0).equal(blocks(3)));
    EXPECT_TRUE(blocks(9).equal(blocks(3)));
    EXPECT_FALSE(at::allclose(blocks(1), blocks(2), 1e-3));
    // a decoder cut after its first block attends alike there
    NamedTensors weights;
    for (const auto& [name, tensor] : decoder.parameters())
        if (name.find("blocks.1") == std::string::npos && name.find("blocks.2") == std::string::npos)
            weights.emplace_back(name, tensor);
    DecoderShape cut = shape;
    cut.depth = 1;
    EXPECT_TRUE(at::allclose(Decoder(cut, weights).attention(tokens, at::kFloat, 0), blocks(1)));
}

} // namespace
} // namespace agpnet
