#include "models/weights/npy.h"
#include "tests/fuzz/target.h"

#include <ATen/TensorOperators.h>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size)
{
    return agpnet::fuzz::answers(size,
                                 [&]
                                 {
                                     const at::Tensor array = agpnet::readNpy(agpnet::copyBytes(data, size, "input"));
                                     array.sum().item<double>(); // touches every byte
                                 });
}
