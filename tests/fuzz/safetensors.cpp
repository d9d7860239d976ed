#include "models/weights/safetensors.h"
#include "models/weights/state_dict.h"
#include "tests/fuzz/target.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size)
{
    return agpnet::fuzz::answers(size,
                                 [&]
                                 {
                                     const agpnet::TensorFile file =
                                         agpnet::readSafetensors(agpnet::copyBytes(data, size, "input"));
                                     agpnet::stateDictHash(file.tensors); // touches every byte
                                 });
}
