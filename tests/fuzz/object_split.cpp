#include "apps/datasets/object_split.h"
#include "tests/fuzz/target.h"

#include <cstdlib>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size)
{
    using namespace agpnet::tools;
    const agpnet::fuzz::InputFile file(data, size);
    ObjectDataset dataset;
    dataset.name = "parts";
    for (const char* name : {"a", "b", "c"})
        dataset.objects.push_back({name, "bolt", {"x.png"}});
    return agpnet::fuzz::answers(size,
                                 [&]
                                 {
                                     const QueryTarget split = readObjectSplit(file.path(), dataset);
                                     for (const auto& part : {split.queries, split.targets})
                                         if (part.empty() || part.back() >= dataset.objects.size())
                                             std::abort();
                                 });
}
