// What is checked in a picture before OpenCV's decoder sees it.
#include "apps/datasets/image_io.h"
#include "tests/fuzz/target.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size)
{
    const agpnet::fuzz::InputFile file(data, size);
    return agpnet::fuzz::answers(size,
                                 [&]
                                 {
                                     agpnet::tools::probeSize(file.path());
                                     agpnet::tools::pagesNote(file.path());
                                     agpnet::tools::checkImageFile(file.path());
                                 });
}
