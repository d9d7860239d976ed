#pragma once

#include "models/weights/mapped_file.h"

#include <filesystem>

namespace agpnet
{

/// Reads an array of NumPy's file format, versions 1.0 to 3.0: little-endian float16, float32 or float64 in C order. The tensor
/// points into the mapped file. Other types, Fortran order, pickled objects, and a shape that disagrees with the file's size are an
/// Error.
at::Tensor readNpy(const std::filesystem::path& path);
at::Tensor readNpy(const Bytes& bytes);

/// Version 1.0; of float16, float32 or float64.
void writeNpy(const std::filesystem::path& path, const at::Tensor& array);

} // namespace agpnet
