#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include <ATen/core/Tensor.h>

namespace agpnet
{

/// Tensors by name, sorted, all contiguous and on the CPU.
using StateDict = std::map<std::string, at::Tensor>;

/// Tensors by name in an order that matters, on any device.
using NamedTensors = std::vector<std::pair<std::string, at::Tensor>>;

/// Reads a safetensors file or a .pth that torch.save() wrote, distinguished by content, not by name.
StateDict readStateDict(const std::filesystem::path& path);

/// SHA-256 over sorted names, types, shapes and bytes: the same for the same weights, whatever file format they came in.
std::string stateDictHash(const StateDict& weights);

} // namespace agpnet
