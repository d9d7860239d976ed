// The call of the stage nearest. On a GPU the pipeline does everything. On a CPU it gives the products of all queries with a part of the
// rows, and what is here keeps the largest of them before the next part: they still lie in the cache, and a comparison is nearly always
// all that one takes.
#include "halide_generators/runtime/call_layer.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <exception>
#include <functional>
#include <limits>
#include <mutex>
#include <vector>

namespace agpnet::stages
{
namespace
{

const char* const stage = "nearest";

// as nearest_generator.cpp has them
constexpr int together = 16;     // queries of a group, side by side
constexpr int rowsTogether = 48; // the products' rows are a multiple

constexpr int fewestInGroups = 8;     // fewer queries are faster one by one
constexpr int mostAtOnce = 256;       // queries that read the rows together: their values fit the cache too
constexpr int barSize = 64;           // products that are compared together
constexpr int partProducts = 1 << 16; // that lie in the cache
constexpr int mostPartRows = 8160;
constexpr int mostExact = 1 << 24; // whole numbers that float32 has
constexpr int mostSlices = 64, fewestSliceRows = 4096;

struct Found
{
    float similarity;
    int row;
};

bool before(const Found& a, const Found& b)
{
    return a.similarity > b.similarity || (a.similarity == b.similarity && a.row < b.row);
}

/// The k best of what one query was offered, as a heap whose top is the least of them.
class Best
{
public:
    /// Rows come in ascending order, the first k of them whatever they are.
    void begin(float similarity, int row)
    {
        list_.push_back({std::isnan(similarity) ? -std::numeric_limits<float>::infinity() : similarity, row});
        std::push_heap(list_.begin(), list_.end(), before);
    }

    /// Of a later row, more similar than the least.
    void replaceLeast(float similarity, int row)
    {
        std::pop_heap(list_.begin(), list_.end(), before);
        list_.back() = {similarity, row};
        std::push_heap(list_.begin(), list_.end(), before);
    }

    float least() const { return list_.front().similarity; }
    const std::vector<Found>& list() const { return list_; }

private:
    std::vector<Found> list_;
};

/// The queries as the pipeline takes them: groups of one, or of 16, of which the last is filled up with zeros.
struct Queries
{
    int count, width, groups, length;
    std::vector<float> values; // [groups][length][width]

    Queries(const View& from, int first, int number)
        : count(number), width(number >= fewestInGroups ? together : 1), groups((number + width - 1) / width), length(from.size[C]),
          values(static_cast<size_t>(groups) * static_cast<size_t>(width) * static_cast<size_t>(length))
    {
        const float* const all = static_cast<const float*>(from.data) + from.offset;
        for (int q = 0; q < count; q++)
            for (int d = 0; d < length; d++)
                values[(static_cast<size_t>(q / width) * static_cast<size_t>(length) + static_cast<size_t>(d)) *
                           static_cast<size_t>(width) +
                       static_cast<size_t>(q % width)] = all[(first + q) * from.stride[N] + d * from.stride[C]];
    }

    View view() { return {values.data(), 0, {groups, width, length, 1}, {int64_t{width} * length, 1, width, 1}}; }
};

constexpr std::initializer_list<Axis> inGroups = {H, C, N};

Rows partOf(Rows rows, int first, int count)
{
    rows.offset += static_cast<size_t>(first) * static_cast<size_t>(rows.step) * static_cast<size_t>(bytesOf(rows.type));
    rows.count = count;
    return rows;
}

View partOf(View scale, int first, int count)
{
    scale.offset += static_cast<size_t>(first * scale.stride[N]);
    scale.size[N] = count;
    return scale;
}

/// Without a scale its buffer is one value that nobody reads.
View scaleOrNothing(const View& scale, void* something, int rows)
{
    return scale.data ? scale : View{something, 0, {rows, 1, 1, 1}, {0, 1, 1, 1}};
}

/// Rows one after another, on one thread.
class Slice
{
public:
    Slice(int first, int end, size_t queries, int k) : first_(first), end_(end), k_(k), best_(queries) {}

    void search(const Device& device, const CompiledVariant& variant, Queries& queries, const Rows& rows, const View& scale)
    {
        const int row = queries.groups * queries.width; // products of a row
        const int part = std::clamp(partProducts / row / rowsTogether * rowsTogether, rowsTogether, mostPartRows);
        const auto padded = [](int count) { return (count + rowsTogether - 1) / rowsTogether * rowsTogether; };
        std::vector<float> products(static_cast<size_t>(row) * static_cast<size_t>(padded(std::min(part, end_ - first_))));
        // What a product must exceed, for some rows of a group: one comparison after another. Nothing is kept for queries that fill up.
        std::vector<float> bars(static_cast<size_t>(queries.groups) * barSize, std::numeric_limits<float>::infinity());
        int32_t scaled = scale.data != nullptr;
        Call call{device, nullptr};
        for (int first = first_; first < end_; first += part)
        {
            const int count = std::min(part, end_ - first);
            View view{products.data(), 0, {queries.groups, padded(count), queries.width, 1}, {}};
            view.stride = {int64_t{queries.width} * view.size[C], queries.width, 1, 1};
            Buffer bufferQueries(call, stage, "queries", queries.view(), Use::Read, inGroups),
                bufferRows(call, stage, "rows", partOf(rows, first, count)),
                bufferScale(call, stage, "scale",
                            scaled ? partOf(scale, first, count) : scaleOrNothing(scale, queries.values.data(), count), Use::Read, {N}),
                bufferProducts(call, stage, "products", view, Use::Write, inGroups);
            run(stage, variant, call, bufferQueries.raw(), bufferRows.raw(), bufferScale.raw(), &scaled, bufferProducts.raw());
            for (int group = 0; group < queries.groups; group++)
            {
                const size_t query = static_cast<size_t>(group) * static_cast<size_t>(queries.width);
                const float* const ofGroup = products.data() + static_cast<int64_t>(group) * view.stride[N];
                float* const bar = &bars[static_cast<size_t>(group) * barSize];
                const int many = std::min(queries.width, queries.count - static_cast<int>(query));
                if (queries.width == 1)
                    keep<1>(ofGroup, first, count, many, bar, &best_[query]);
                else
                    keep<together>(ofGroup, first, count, many, bar, &best_[query]);
            }
        }
    }

    const Best& best(size_t query) const { return best_[query]; }

private:
    /// Of products [count][width] of rows from `first` on.
    template <int width>
    void keep(const float* products, int first, int count, int queries, float* bar, Best* best) const
    {
        const auto offer = [&](int i)
        {
            for (int q = 0; q < queries; q++)
                if (products[i * width + q] > bar[q])
                {
                    best[q].replaceLeast(products[i * width + q], first + i);
                    raise<width>(bar, q, best[q].least());
                }
        };
        int i = 0;
        for (; i < count && first + i < first_ + k_; i++) // until the lists are full
            for (int q = 0; q < queries; q++)
            {
                best[q].begin(products[i * width + q], first + i);
                if (first + i + 1 == first_ + k_)
                    raise<width>(bar, q, best[q].least());
            }
        while (i < count)
            if (constexpr int rows = barSize / width; i + rows > count || anyAbove(products + i * width, bar))
                for (const int end = std::min(i + rows, count); i < end; i++)
                    offer(i);
            else
                i += rows;
    }

    static bool anyAbove(const float* products, const float* bar)
    {
        int any = 0; // no way out of the loop, so that the compiler uses vectors
        for (int i = 0; i < barSize; i++)
            any |= products[i] > bar[i] ? 1 : 0;
        return any != 0;
    }

    template <int width>
    static void raise(float* bar, int query, float least)
    {
        for (int i = query; i < barSize; i += width)
            bar[i] = least;
    }

    int first_, end_, k_;
    std::vector<Best> best_;
};

/// On the host's threads; the first exception of a task goes on to the caller.
void onThreads(ParallelFor threads, int count, const std::function<void(int)>& task)
{
    struct Loop
    {
        const std::function<void(int)>& task;
        std::mutex mutex;
        std::exception_ptr failure;
    } loop{task, {}, nullptr};
    const auto one = [](int i, void* at)
    {
        Loop& of = *static_cast<Loop*>(at);
        try
        {
            of.task(i);
        }
        catch (...)
        {
            const std::lock_guard lock(of.mutex);
            of.failure = std::current_exception();
        }
    };
    if (threads && count > 1)
        threads(count, one, &loop);
    else
        for (int i = 0; i < count; i++)
            one(i, &loop);
    if (loop.failure)
        std::rethrow_exception(loop.failure);
}

void onCpu(const Device& device, const CompiledVariant& variant, const View& queries, const Rows& rows, const View& scale,
           const View& similarities, const View& indices, Numbers numbers)
{
    const int k = similarities.size[C];
    const ParallelFor threads = threadsFor(0.02 * elements(queries) * rows.count);
    const int slices = threads ? std::clamp(rows.count / std::max(fewestSliceRows, 8 * k), 1, mostSlices) : 1;
    for (int first = 0; first < queries.size[N]; first += mostAtOnce)
    {
        Queries some(queries, first, std::min(mostAtOnce, queries.size[N] - first));
        std::vector<Slice> parts;
        const auto begins = [&](int i) { return static_cast<int>(static_cast<int64_t>(rows.count) * i / slices); };
        for (int i = 0; i < slices; i++)
            parts.emplace_back(begins(i), begins(i + 1), static_cast<size_t>(some.count), k);
        onThreads(threads, slices, [&](int i) { parts[static_cast<size_t>(i)].search(device, variant, some, rows, scale); });
        onThreads(threads, some.count,
                  [&](int q)
                  {
                      std::vector<Found> all;
                      for (const Slice& part : parts)
                      {
                          const std::vector<Found>& list = part.best(static_cast<size_t>(q)).list();
                          all.insert(all.end(), list.begin(), list.end());
                      }
                      std::partial_sort(all.begin(), all.begin() + k, all.end(), before);
                      for (int i = 0; i < k; i++)
                      {
                          const auto at = [&](const View& view)
                          { return static_cast<int64_t>(view.offset) + (first + q) * view.stride[N] + i * view.stride[C]; };
                          static_cast<float*>(similarities.data)[at(similarities)] = all[static_cast<size_t>(i)].similarity;
                          const int32_t row = all[static_cast<size_t>(i)].row;
                          static_cast<int32_t*>(indices.data)[at(indices)] =
                              numbers == Numbers::Float32 ? std::bit_cast<int32_t>(static_cast<float>(row)) : row;
                      }
                  });
    }
}

} // namespace

void nearest(const Device& device, const View& queries, const Rows& rows, const View& scale, const View& similarities, const View& indices,
             Numbers numbers)
{
    check(stage, "queries", queries, Use::Read);
    checkSize(stage, "queries", queries, {queries.size[N], queries.size[C], 1, 1});
    require(rows.data != nullptr, "{}: the rows have no memory", stage);
    require(rows.count >= 1, "{}: there are {} rows; expected at least one", stage, rows.count);
    require(rows.length == queries.size[C], "{}: the rows have {} values; expected {}, as the queries have", stage, rows.length,
            queries.size[C]);
    const auto bytes = static_cast<size_t>(bytesOf(rows.type));
    require((rows.step >= rows.length || rows.count == 1) && rows.offset % bytes == 0,
            "{}: rows of {} values begin {} values apart; expected no less", stage, rows.length, rows.step);
    const int64_t most = device.api == Api::Cpu ? INT32_MAX / mostPartRows * int64_t{rows.count} : int64_t{INT32_MAX};
    require(rows.step * rows.count <= most, "{}: the rows span {} values; at most {} are possible", stage, rows.step * rows.count, most);
    require(numbers == Numbers::Int32 || rows.count <= mostExact,
            "{}: there are {} rows; expected at most {}, whose numbers float32 has exactly", stage, rows.count, mostExact);
    if (scale.data)
    {
        check(stage, "scale", scale, Use::Read);
        checkSize(stage, "scale", scale, {rows.count, 1, 1, 1});
    }
    check(stage, "similarities", similarities, Use::Write);
    check(stage, "indices", indices, Use::Write);
    const int k = similarities.size[C];
    require(k <= std::min(rows.count, mostNearest), "{}: k is {}; expected at most {}, and at most the {} rows that there are", stage, k,
            mostNearest, rows.count);
    checkSize(stage, "similarities", similarities, {queries.size[N], k, 1, 1});
    checkSize(stage, "indices", indices, {queries.size[N], k, 1, 1});

    const CompiledVariant& variant =
        choose(device, {stage, nameOf(rows.type), "any", {queries.size[N], queries.size[C], 1, 1}, {k, rows.count}});
    if (device.api == Api::Cpu)
        return onCpu(device, variant, queries, rows, scale, similarities, indices, numbers);

    require(static_cast<int64_t>(queries.size[N]) * rows.count <= INT32_MAX / 2, "{}: {} queries with {} rows are too many at once", stage,
            queries.size[N], rows.count);
    int32_t scaled = scale.data != nullptr, asFloat = numbers == Numbers::Float32;
    Call call{device, nullptr};
    const View alone{queries.data, queries.offset, {queries.size[N], 1, queries.size[C], 1}, {queries.stride[N], 1, queries.stride[C], 1}};
    View unscaled = scaleOrNothing(scale, queries.data, rows.count);
    if (!scaled)
        unscaled.offset = queries.offset;
    Buffer bufferQueries(call, stage, "queries", alone, Use::Read, inGroups), bufferRows(call, stage, "rows", rows),
        bufferScale(call, stage, "scale", unscaled, Use::Read, {N}),
        bufferSimilarities(call, stage, "similarities", similarities, Use::Write, {C, N}),
        bufferIndices(call, stage, "indices", indices, Use::Write, {C, N}, halide_type_t(halide_type_int, 32));
    run(stage, variant, call, bufferQueries.raw(), bufferRows.raw(), bufferScale.raw(), &scaled, &asFloat, bufferSimilarities.raw(),
        bufferIndices.raw());
}

} // namespace agpnet::stages
