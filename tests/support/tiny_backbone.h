// Vision transformers with random weights; one small enough to train around in a second.
#pragma once

#include "models/weights/safetensors.h"
#include "tests/support/temp_folder.h"

#include <ATen/ATen.h>
#include <ATen/CPUGeneratorImpl.h>
#include <string>

namespace agpnet::test
{

/// One head for each 64 of width, positions for a grid x grid image; timm's names.
inline TensorFile randomTransformer(uint64_t seed, int width, int mlp, int depth, int grid, int patch)
{
    at::Generator generator = at::make_generator<at::CPUGeneratorImpl>(seed);
    TensorFile file;
    const auto add = [&](const std::string& name, at::IntArrayRef shape, double deviation, double mean = 0) {
        file.tensors[name] = at::empty(shape, at::kFloat).normal_(mean, deviation, generator);
    };
    add("cls_token", {1, 1, width}, 0.5);
    add("pos_embed", {1, grid * grid + 1, width}, 0.5);
    add("patch_embed.proj.weight", {width, 3, patch, patch}, 0.2);
    add("patch_embed.proj.bias", {width}, 0.1);
    for (int i = 0; i < depth; i++)
    {
        const std::string block = "blocks." + std::to_string(i) + ".";
        for (const char* norm : {"norm1", "norm2"})
        {
            add(block + norm + ".weight", {width}, 0.1, 1);
            add(block + norm + ".bias", {width}, 0.1);
        }
        add(block + "attn.qkv.weight", {3 * width, width}, 0.15);
        add(block + "attn.qkv.bias", {3 * width}, 0.1);
        add(block + "attn.proj.weight", {width, width}, 0.1);
        add(block + "attn.proj.bias", {width}, 0.1);
        add(block + "mlp.fc1.weight", {mlp, width}, 0.1);
        add(block + "mlp.fc1.bias", {mlp}, 0.1);
        add(block + "mlp.fc2.weight", {width, mlp}, 0.1);
        add(block + "mlp.fc2.bias", {width}, 0.1);
    }
    add("norm.weight", {width}, 0.1, 1);
    add("norm.bias", {width}, 0.1);
    return file;
}

inline TensorFile tinyBackbone(uint64_t seed = 1, int patch = 4)
{
    return randomTransformer(seed, 64, 128, 3, 4, patch);
}

/// Writes it and gives the path.
inline std::string writeTinyBackbone(const TempFolder& folder, uint64_t seed = 1)
{
    const std::string path = folder / ("tiny" + std::to_string(seed) + ".safetensors");
    writeSafetensors(path, tinyBackbone(seed));
    return path;
}

/// A config that trains in about a second around it.
inline std::string tinyConfig(int steps = 4, const std::string& more = "")
{
    return R"({"height":32,"width":24,"layers":[1,3],"decoder_depth":2,"sigma":2,"score":"max","batch":4,"steps":)" +
           std::to_string(steps) + (more.empty() ? "" : "," + more) + "}";
}

} // namespace agpnet::test
