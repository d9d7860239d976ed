#include "apps/datasets/split_file.h"
#include "tests/fuzz/target.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size)
{
    using namespace agpnet::tools;
    const agpnet::fuzz::InputFile file(data, size);
    return agpnet::fuzz::answers(size,
                                 [&]
                                 {
                                     std::vector<Item> good(2);
                                     good[0].path = good[0].name = "good/1.png";
                                     good[1].path = good[1].name = "other/1.png";
                                     SplitFile(file.path()).choose(good, Part::Train);
                                 });
}
