#pragma once

#include <string>

namespace agpnet
{

/// writeOnnxModel() of a model of this family.
void writeAnomalyOnnx(const std::string& onnxPath, const std::string& model, const std::string& precision);

} // namespace agpnet
