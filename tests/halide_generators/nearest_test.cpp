#include "device.h"
#include "tests/support/error_text.h"

#include <limits>

using namespace agpnet::stages;
using reference::Array;
using reference::Neighbours;
using reference::StoredRows;

namespace
{

constexpr RowType allTypes[] = {RowType::Float32, RowType::Float16, RowType::Int8};

class Nearest : public EveryPlace
{
protected:
    /// Rows whose products differ by less than float32 shows may change places; no row is there twice, and what it has is its product.
    void expectNeighbours(const Array& queries, const StoredRows& rows, const Array& scale, int k, Order order = Order::Planar)
    {
        SCOPED_TRACE(fmt::format("{} queries of {}, {} of {} rows, {}, {}", queries.n, queries.c, k, rows.rows.count,
                                 nameOf(rows.rows.type), ::nameOf(order)));
        const Neighbours found = runNearest(*place, queries, rows, scale, k, order);
        const Neighbours expected = reference::nearest(queries, rows.values, scale, k);
        for (int q = 0; q < queries.n; q++)
        {
            const std::vector<double> all = reference::similaritiesOf(queries, q, rows.values, scale);
            double unit = 1;
            for (const double each : all)
                unit = std::max(unit, std::fabs(each));
            std::vector<bool> seen(all.size());
            for (int i = 0; i < k; i++)
            {
                const int row = static_cast<int>(found.rows.at(q, i, 0, 0));
                ASSERT_TRUE(row >= 0 && row < rows.rows.count && !seen[static_cast<size_t>(row)]) << "row " << row;
                seen[static_cast<size_t>(row)] = true;
                const double stated = found.similarities.at(q, i, 0, 0);
                ASSERT_NEAR(stated, all[static_cast<size_t>(row)], 3e-6 * unit) << "query " << q << ", place " << i;
                ASSERT_NEAR(stated, expected.similarities.at(q, i, 0, 0), 3e-6 * unit) << "query " << q << ", place " << i;
                if (i > 0)
                {
                    const double before = found.similarities.at(q, i - 1, 0, 0);
                    ASSERT_TRUE(before > stated || (before == stated && found.rows.at(q, i - 1, 0, 0) < static_cast<float>(row)))
                        << "query " << q << ", place " << i;
                }
            }
        }
    }
};

struct Shape
{
    int queries, length, rows, k;
};

TEST_P(Nearest, EqualsReference)
{
    const Shape shapes[] = {{1, 1, 1, 1},    {1, 384, 100, 10}, {1, 65, 49, 49},  {5, 33, 300, 7},  {6, 64, 47, 3},
                            {16, 20, 48, 1}, {17, 7, 130, 130}, {33, 128, 97, 5}, {2, 3, 2000, 40}, {7, 1, 5, 5}};
    uint64_t seed = 1;
    for (const Shape& s : shapes)
        for (const RowType type : allTypes)
            for (const bool scaled : {false, true})
                for (const Order order : {Order::Planar, Order::PaddedRows, Order::PaddedPixels})
                {
                    const StoredRows rows = reference::drawRows(type, s.rows, s.length, static_cast<int>(seed % 3), seed);
                    const Array queries = reference::random(s.queries, s.length, 1, 1, seed + 1);
                    const Array scale = scaled ? reference::random(s.rows, 1, 1, 1, seed + 2) : Array(0, 1, 1, 1);
                    expectNeighbours(queries, rows, scale, s.k, order);
                    if (HasFatalFailure())
                        return;
                    seed++;
                }
}

/// Whole numbers have exact products, so that ties are ties.
StoredRows wholeRows(const std::vector<std::vector<int>>& values)
{
    StoredRows rows = reference::drawRows(RowType::Int8, static_cast<int>(values.size()), static_cast<int>(values[0].size()), 0, 1);
    for (int row = 0; row < rows.rows.count; row++)
        for (int d = 0; d < rows.rows.length; d++)
        {
            const int value = values[static_cast<size_t>(row)][static_cast<size_t>(d)];
            rows.bytes[static_cast<size_t>(row * rows.rows.length + d)] = static_cast<unsigned char>(value);
            rows.values.at(row, d, 0, 0) = static_cast<float>(value);
        }
    return rows;
}

TEST_P(Nearest, OfEqualRowsTheFirstComesFirst)
{
    std::vector<std::vector<int>> values;
    for (int row = 0; row < 700; row++)
        values.push_back({row * 37 % 5 - 2, row % 3 == 0 ? 1 : 0, row % 2, 0});
    const StoredRows rows = wholeRows(values);
    for (const int queries : {1, 3, 8, 20})
        for (const int k : {1, 2, 10, 333, 700})
        {
            Array query(queries, 4, 1, 1);
            for (int q = 0; q < queries; q++)
                for (int d = 0; d < 4; d++)
                    query.at(q, d, 0, 0) = static_cast<float>((q + d) % 3); // for some, most or all products are equal
            const Neighbours found = runNearest(*place, query, rows, Array(0, 1, 1, 1), k);
            const Neighbours expected = reference::nearest(query, rows.values, Array(0, 1, 1, 1), k);
            ASSERT_EQ(found.rows.values, expected.rows.values) << queries << " queries, k " << k;
            ASSERT_EQ(found.similarities.values, expected.similarities.values) << queries << " queries, k " << k;
        }
}

TEST_P(Nearest, WhatIsNoNumberComesLast)
{
    constexpr float infinite = std::numeric_limits<float>::infinity(), nothing = std::numeric_limits<float>::quiet_NaN();
    StoredRows rows = reference::drawRows(RowType::Float32, 6, 1, 0, 1);
    rows.values.values = {nothing, 2, -infinite, infinite, -0.0f, 0.0f};
    std::memcpy(rows.bytes.data(), rows.values.values.data(), rows.bytes.size());
    for (const int queries : {1, 7})
    {
        Array query(queries, 1, 1, 1);
        std::fill(query.values.begin(), query.values.end(), 1.0f);
        const Neighbours found = runNearest(*place, query, rows, Array(0, 1, 1, 1), 6);
        for (int q = 0; q < queries; q++)
        {
            const float numbers[] = {3, 1, 4, 5, 0, 2}, products[] = {infinite, 2, 0, 0, -infinite, -infinite};
            for (int i = 0; i < 6; i++)
            {
                EXPECT_EQ(found.rows.at(q, i, 0, 0), numbers[i]) << i;
                EXPECT_EQ(found.similarities.at(q, i, 0, 0), products[i]) << i;
            }
        }
    }
}

TEST_P(Nearest, ReadsEveryHalf)
{
    StoredRows rows = reference::drawRows(RowType::Float16, 1 << 11, 1, 0, 1);
    const Array one(1, 1, 1, 1);
    Array query = one;
    query.values = {1};
    for (uint32_t part = 0; part < 1 << 16; part += 1 << 11)
    {
        bool finite = true;
        for (uint32_t i = 0; i < 1 << 11; i++)
        {
            const auto bits = static_cast<uint16_t>(part + i);
            std::memcpy(&rows.bytes[2 * i], &bits, sizeof bits);
            rows.values.values[i] = static_cast<float>(reference::valueOfHalf(bits));
            finite = finite && std::isfinite(rows.values.values[i]);
        }
        const int k = 512;
        const Neighbours found = runNearest(*place, query, rows, Array(0, 1, 1, 1), k);
        const Neighbours expected = reference::nearest(query, rows.values, Array(0, 1, 1, 1), k);
        ASSERT_EQ(found.similarities.values, expected.similarities.values) << "halves from " << part;
        ASSERT_EQ(found.rows.values, expected.rows.values) << "halves from " << part;
    }
}

AGPNET_EVERY_PLACE(Nearest);

/// More queries, rows and neighbours than the interpreted device has time for.
class NearestOnTheCpu : public Nearest
{
};

TEST_P(NearestOnTheCpu, ManyRowsAndQueries)
{
    for (const Shape& s : {Shape{1, 5, 40000, 1024}, Shape{300, 8, 3000, 20}, Shape{20, 4, 20000, 1024}})
        for (const RowType type : {RowType::Float32, RowType::Int8})
            expectNeighbours(reference::random(s.queries, s.length, 1, 1, 1), reference::drawRows(type, s.rows, s.length, 0, 2),
                             Array(0, 1, 1, 1), s.k);
}

TEST_P(NearestOnTheCpu, AQueryFindsTheSameAloneAndAmongOthers)
{
    const StoredRows rows = reference::drawRows(RowType::Int8, 5000, 96, 0, 1);
    Array queries(40, 96, 1, 1);
    reference::Random source(2);
    for (float& value : queries.values)
        value = static_cast<float>(source.below(9) - 4);
    const Neighbours together = runNearest(*place, queries, rows, Array(0, 1, 1, 1), 30);
    for (int q = 0; q < queries.n; q++)
    {
        Array one(1, 96, 1, 1);
        std::copy_n(&queries.values[queries.index(q, 0, 0, 0)], 96, one.values.begin());
        const Neighbours alone = runNearest(*place, one, rows, Array(0, 1, 1, 1), 30);
        for (int i = 0; i < 30; i++)
            ASSERT_EQ(alone.rows.at(0, i, 0, 0), together.rows.at(q, i, 0, 0)) << q << " " << i;
    }
}

INSTANTIATE_TEST_SUITE_P(, NearestOnTheCpu, testing::ValuesIn(variantNames(Api::Cpu)), [](const auto& each) { return each.param; });

TEST(NearestCall, NamesWhatIsWrong)
{
    std::vector<float> query(8), values(80), scale(10), similarities(1100);
    std::vector<int32_t> indices(1100);
    const auto view = [](void* data, int n, int c) { return View{data, 0, {n, c, 1, 1}, {c, 1, 1, 1}}; };
    struct Arguments
    {
        View queries, scale, similarities, indices;
        Rows rows;
    };
    const auto message = [&](const std::function<void(Arguments&)>& change)
    {
        Arguments a{view(query.data(), 1, 8),
                    view(scale.data(), 10, 1),
                    view(similarities.data(), 1, 3),
                    view(indices.data(), 1, 3),
                    {values.data(), 0, 10, 8, RowType::Float32, 8}};
        change(a);
        return agpnet::test::errorOf([&] { nearest({}, a.queries, a.rows, a.scale, a.similarities, a.indices); });
    };
    EXPECT_EQ(message([](Arguments&) {}), "no error");
    EXPECT_EQ(message([](Arguments& a) { a.scale = {}; }), "no error");
    EXPECT_EQ(message([](Arguments& a) { a.queries.data = nullptr; }), "nearest: queries has no memory");
    EXPECT_EQ(message([](Arguments& a) { a.queries.size[3] = 2; }), "nearest: queries has size [1,8,1,2]; expected [1,8,1,1]");
    EXPECT_EQ(message([](Arguments& a) { a.rows.data = nullptr; }), "nearest: the rows have no memory");
    EXPECT_EQ(message([](Arguments& a) { a.rows.count = 0; }), "nearest: there are 0 rows; expected at least one");
    EXPECT_EQ(message([](Arguments& a) { a.rows.length = 7; }), "nearest: the rows have 7 values; expected 8, as the queries have");
    EXPECT_EQ(message([](Arguments& a) { a.rows.step = 7; }), "nearest: rows of 8 values begin 7 values apart; expected no less");
    EXPECT_EQ(message([](Arguments& a) { a.scale.size[0] = 9; }), "nearest: scale has size [9,1,1,1]; expected [10,1,1,1]");
    EXPECT_EQ(message([](Arguments& a) { a.similarities.size[1] = a.indices.size[1] = 11; }),
              "nearest: k is 11; expected at most 1024, and at most the 10 rows that there are");
    EXPECT_EQ(message([](Arguments& a) { a.indices.size[1] = 4; }), "nearest: indices has size [1,4,1,1]; expected [1,3,1,1]");
    EXPECT_EQ(message([](Arguments& a) { a.rows.step = 1 << 20; }), "nearest: the rows span 10485760 values; at most 2631720 are possible");
}

} // namespace
