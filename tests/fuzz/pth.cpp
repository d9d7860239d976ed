#include "models/weights/pth.h"
#include "tests/fuzz/target.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size)
{
    return agpnet::fuzz::answers(size,
                                 [&]
                                 {
                                     agpnet::stateDictHash(
                                         agpnet::readPth(agpnet::copyBytes(data, size, "input"))); // touches every byte
                                 });
}
