#include "apps/datasets/csv.h"
#include "apps/datasets/table_dataset.h"
#include "tests/fuzz/target.h"

#include <cstdlib>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size)
{
    const agpnet::fuzz::InputFile file(data, size);
    agpnet::fuzz::answers(size,
                          [&]
                          {
                              const agpnet::tools::CsvTable table(file.path());
                              for (size_t row = 0; row < table.rows(); row++)
                                  if (table.line(row) == 0 || table.at(row, 0).size() > size)
                                      std::abort();
                          });
    return agpnet::fuzz::answers(size,
                                 [&]
                                 {
                                     // The pictures it may name are those of a folder that holds nothing but this process's open
                                     // files, and it may not leave it.
                                     for (const auto& item :
                                          agpnet::tools::readTable(file.path(), "", agpnet::tools::Part::Train).items)
                                         if (!item.path.lexically_normal().string().starts_with("/proc/self/fd/"))
                                             std::abort();
                                 });
}
