#pragma once

#include "models/weights/mapped_file.h"

#include <filesystem>
#include <map>
#include <string>

namespace agpnet
{

/// The content of a safetensors file. Tensors that were read point into the mapped file and keep it mapped.
struct TensorFile
{
    std::map<std::string, std::string> metadata;
    std::map<std::string, at::Tensor> tensors;
};

/// F32, F16, BF16, F64, I64, I32, I16, I8, U8 and BOOL. Strict: a header that is cut off, is not the JSON the format asks for,
/// names a tensor twice, or whose offsets overlap, leave gaps, leave the file or disagree with shape and type, is an Error.
TensorFile readSafetensors(const std::filesystem::path& path);
TensorFile readSafetensors(const Bytes& bytes);

/// The same tensors give the same bytes. Data starts at a multiple of 64 bytes and each tensor at a multiple of its item size.
void writeSafetensors(const std::filesystem::path& path, const TensorFile& file);

} // namespace agpnet
