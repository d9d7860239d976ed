// Exact search: the k nearest of the rows of a gallery, for one query and for many, rows of each type, on one thread or --threads=N.
// benchmarks/search/compare_faiss.py runs it in turns with FAISS.
#include "halide_generators/reference/reference.h"
#include "halide_generators/runtime/stages.h"

#include <ATen/Parallel.h>
#include <benchmark/benchmark.h>
#include <cstdio>

using namespace agpnet::stages;

namespace
{

void onTorchThreads(int count, void (*task)(int, void*), void* context)
{
    at::parallel_for(0, count, 1,
                     [&](int64_t begin, int64_t end)
                     {
                         for (int64_t i = begin; i < end; i++)
                             task(static_cast<int>(i), context);
                     });
}

View matrix(void* data, int rows, int columns)
{
    return {data, 0, {rows, columns, 1, 1}, {columns, 1, 1, 1}};
}

struct Gallery
{
    Gallery(RowType type, int count, int length) : stored(reference::drawRows(type, count, length, 0, 1))
    {
        stored.rows.data = stored.bytes.data();
        stored.values = {};
    }
    reference::StoredRows stored;
};

} // namespace

int main(int argc, char** argv)
{
    int threads = 1, rows = 100000, length = 384, k = 10;
    std::vector<char*> arguments;
    for (int i = 0; i < argc; i++)
        if (std::sscanf(argv[i], "--threads=%d", &threads) != 1 && std::sscanf(argv[i], "--rows=%d", &rows) != 1 &&
            std::sscanf(argv[i], "--length=%d", &length) != 1 && std::sscanf(argv[i], "--k=%d", &k) != 1)
            arguments.push_back(argv[i]);
    int count = static_cast<int>(arguments.size());
    benchmark::Initialize(&count, arguments.data());
    if (benchmark::ReportUnrecognizedArguments(count, arguments.data()))
        return 1;
    at::set_num_threads(threads);
    setParallelFor(threads > 1 ? onTorchThreads : nullptr);

    for (const RowType type : {RowType::Float32, RowType::Float16, RowType::Int8})
    {
        const auto gallery = std::make_shared<std::unique_ptr<Gallery>>(); // made when it is first asked for
        for (const int queries : {1, 4, 32, 256})
            benchmark::RegisterBenchmark(fmt::format("{}/{}", nameOf(type), queries).c_str(),
                                         [=](benchmark::State& state)
                                         {
                                             if (!*gallery)
                                                 *gallery = std::make_unique<Gallery>(type, rows, length);
                                             reference::Array query = reference::random(queries, length, 1, 1, 2);
                                             std::vector<float> scale(static_cast<size_t>(rows), 1 / 128.0f);
                                             std::vector<float> similarities(static_cast<size_t>(queries) * static_cast<size_t>(k));
                                             std::vector<int32_t> indices(similarities.size());
                                             for (auto _ : state)
                                                 nearest({}, matrix(query.values.data(), queries, length), (*gallery)->stored.rows,
                                                         type == RowType::Int8 ? matrix(scale.data(), rows, 1) : View{},
                                                         matrix(similarities.data(), queries, k), matrix(indices.data(), queries, k));
                                         })
                ->Unit(benchmark::kMillisecond)
                ->UseRealTime();
    }
    benchmark::RunSpecifiedBenchmarks();
    return 0;
}
