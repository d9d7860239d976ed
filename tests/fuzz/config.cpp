#include "models/agpnet/config.h"
#include "tests/fuzz/target.h"

#include <cstdlib>
#include <nlohmann/json.hpp>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size)
{
    const std::string text(reinterpret_cast<const char*>(data), size);
    if (!text.starts_with('{')) // else it would be the name of a file
        return 0;
    return agpnet::fuzz::answers(size,
                                 [&]
                                 {
                                     const agpnet::Config config = agpnet::configFromTextOrFile(text);
                                     const std::string written = nlohmann::json(config).dump();
                                     if (nlohmann::json(agpnet::configFromTextOrFile(written)).dump() !=
                                         written) // what was taken can be written and read again
                                         std::abort();
                                 });
}
