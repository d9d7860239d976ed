// A file of ours as a container: safetensors with a header and one checksum over everything, perhaps signed by its owner.
// Layout: docs/model-file.md.
#pragma once

#include "models/model_file/header.h"
#include "models/weights/mapped_file.h"
#include "models/weights/safetensors.h"
#include "models/weights/state_dict.h"

namespace agpnet
{

/// Writes the tensors with the header, and in it the checksum of everything. Atomically.
void writeSealed(const std::string& path, nlohmann::json header, TensorFile file);

/// Compares the checksum, before anything is made of what a file holds.
void requireWhole(const std::string& path, const nlohmann::json& header, const TensorFile& file);

/// Where AGPNET_REQUIRE_SIGNATURE names a public key, a model is one that its owner signed, or an Error. Its backbone, if elsewhere, is the
/// one that the signed header names by its hash.
void requireSigned(const std::string& path, const Bytes& bytes);

/// The tensors whose names begin with the prefix, without it.
NamedTensors tensorsBehind(const std::string& prefix, const TensorFile& file);

at::Tensor requiredTensor(const std::string& path, const TensorFile& file, const char* name);

} // namespace agpnet
