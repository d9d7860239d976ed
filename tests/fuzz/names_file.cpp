// The text form, and the safetensors form with its checks of names and vectors.
#include "models/text/names_file.h"
#include "tests/fuzz/target.h"

#include <string_view>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size)
{
    agpnet::fuzz::answers(size, [&] { agpnet::readNames({reinterpret_cast<const char*>(data), size}, "input"); });
    return agpnet::fuzz::answers(size, [&] { agpnet::readNamedVectors(agpnet::copyBytes(data, size, "input")); });
}
