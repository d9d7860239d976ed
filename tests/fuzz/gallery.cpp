// The input is a whole gallery file. What opens is used as a program would: names, metadata, a search, a change.
#include "models/index/gallery_file.h"
#include "tests/fuzz/target.h"

#include <ATen/ATen.h>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size)
{
    using namespace agpnet;
    const fuzz::InputFile input(data, size);
    return fuzz::answers(64 * size + (size_t{4} << 20), [&] {
        GalleryFile file = readGallery(input.path());
        GalleryRows& rows = file.rows;
        for (int64_t row = 0; row < rows.size(); row++)
        {
            rows.find(rows.name(row));
            rows.note(row);
        }
        const at::Tensor query = at::ones({1, rows.width()});
        rows.search(query, 3);
        rows.closeness().shareAsClose(0.5);
        rows.put("new", query[0]);
        if (rows.closeness().known())
            rows.closeness().threshold(0.01, 2);
    });
}
