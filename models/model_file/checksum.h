// One SHA-256 over all that a file of ours holds: header, names, types, shapes and values. It tells damage, not malice: whoever
// can change a file can also change what stands in it. Keep the sum elsewhere to be sure of more.
#pragma once

#include "models/model_file/header.h"
#include "models/weights/safetensors.h"

namespace agpnet
{

constexpr char checksumKey[] = "sha256";

/// The sum of these tensors under this header, whose own member `sha256` does not count.
std::string checksumOf(nlohmann::json header, const TensorFile& file);

/// Compares it with the header's member. Returns the sum, or "" where the file was written before there were sums; an Error names
/// the file that holds something else than was written.
std::string checkedSum(const std::string& path, const nlohmann::json& header, const TensorFile& file);

/// The same for a file, all of which is read.
std::string checkedSum(const std::string& path);

/// False where AGPNET_SKIP_CHECKSUM is set, to anything but 0.
bool checksumsWanted();

} // namespace agpnet
