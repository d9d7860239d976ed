// writeOnnxModel(): by the method that the model's file names.
#include "agpnet/onnx.hpp"
#include "agpnet/verify.hpp"
#include "common/error.h"
#include "operators/agpnet/export/onnx_model.h"
#include "operators/core/opencv_exceptions.h"
#include "operators/dec/export/onnx_model.h"

namespace agpnet
{

void writeOnnxModel(const std::string& onnxPath, const std::string& model, const std::string& precision)
{
    guarded([&] {
        require(precision == "fp32" || precision == "int8", "precision is '{}', expected fp32 or int8", precision);
        if (modelMethod(model) == "dec")
            dec::writeDescriberOnnx(onnxPath, model, precision);
        else
            writeAnomalyOnnx(onnxPath, model, precision);
    });
}

} // namespace agpnet
