#pragma once

#include <string>

namespace agpnet::dec
{

/// writeOnnxModel() of a model of this family.
void writeDescriberOnnx(const std::string& onnxPath, const std::string& model, const std::string& precision);

} // namespace agpnet::dec
