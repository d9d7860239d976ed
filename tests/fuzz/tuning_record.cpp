#include "tests/fuzz/target.h"
#include "tuning/record.h"

#include <cstdlib>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size)
{
    const std::string text(reinterpret_cast<const char*>(data), size);
    return agpnet::fuzz::answers(size,
                                 [&]
                                 {
                                     agpnet::tuning::Record record = agpnet::tuning::recordFromText(text);
                                     const std::string written = agpnet::tuning::toJson(record).dump();
                                     if (agpnet::tuning::toJson(agpnet::tuning::recordFromText(written)).dump() != written)
                                         std::abort();
                                     const size_t entries = record.entries.size();
                                     agpnet::tuning::merge(record, agpnet::tuning::recordFromText(text)); // with itself: nothing new
                                     if (record.entries.size() > entries)
                                         std::abort();
                                 });
}
