// The largest dot products of queries with the rows of a gallery.
//
// On a CPU: the products alone, of a part of the rows; the call layer keeps the largest while they lie in the cache. A query alone: the
// lanes go along a row, which is read once, from memory. Queries in groups of 16: the lanes are queries side by side, and a tile of
// products stays in registers.
//
// On a GPU: everything, as nothing large should leave it. The k-th largest product is found by counting, a digit at a time, as the heat
// map's score is. What is not below it is listed, and the list is ordered by counting again.
#include "layout.h"

using namespace Halide;

enum class RowType
{
    Float32,
    Float16, // its bits in a uint16: not every OpenCL device knows the type
    Int8
};

class Nearest : public Generator<Nearest>
{
public:
    GeneratorParam<RowType> type{
        "type", RowType::Float32, {{"float32", RowType::Float32}, {"float16", RowType::Float16}, {"int8", RowType::Int8}}};
    GeneratorParam<int> lanes{"lanes", 8};         // vector width; GPU: threads of a row
    GeneratorParam<int> sums{"sums", 1};           // alone: vectors of running sums of a row; GPU: values of a thread's round
    GeneratorParam<int> strip{"strip", 6};         // alone: rows at a time; divides 48. GPU: rows of a block
    GeneratorParam<int> tile{"tile", 4};           // in groups: rows at a time; divides 48. GPU: queries of a block
    GeneratorParam<int> counters{"counters", 256}; // GPU: threads that count a query's products; a multiple of 16
    GeneratorParam<int> digitBits{"bits", 2};      // GPU: how much of the k-th product a round of counting finds; divides 32

    Input<Buffer<float, 3>> queries{"queries"}; // (d, q, group): groups of one, or of 16 whose values of one d lie side by side
    Input<Buffer<void, 2>> rows{"rows"};        // (d, row), a row's values side by side
    Input<Buffer<float, 1>> scale{"scale"};
    Input<int32_t> scaled{"scaled"}; // 0: every scale is 1, and none is there

    void configure()
    {
        rows.set_type(type == RowType::Float32 ? Float(32) : type == RowType::Float16 ? UInt(16) : Int(8));
        if (get_target().has_gpu_feature())
        {
            asFloat = add_input<int32_t>("as_float");                    // 1: row numbers are written as float32
            similarities = add_output<Buffer<float>>("similarities", 2); // (place, group)
            indices = add_output<Buffer<int32_t>>("indices", 2);
        }
        else
            products = add_output<Buffer<float>>("products", 3); // (q, row, group), 48 rows at a time
    }

    void generate()
    {
        queries.dim(0).set_stride(Expr());
        for (int i = 0; i < 3; i++)
            queries.dim(i).set_min(0);
        rows.dim(0).set_min(0);
        rows.dim(1).set_min(0);
        scale.dim(0).set_min(0).set_stride(Expr());
        length = queries.dim(0).extent();
        count = rows.dim(1).extent();
        value(d, row) = floatOf(rows(d, clamp(row, 0, count - 1)));
        whole = RDom(0, length / block(), "whole");
        if (get_target().has_gpu_feature())
            generateGpu();
        else
            generateCpu();
    }

    void schedule()
    {
        if (get_target().has_gpu_feature())
            scheduleGpu();
        else
            scheduleCpu();
    }

private:
    static constexpr int together = 16;  // queries of a group
    static constexpr int segments = 256; // GPU: of all rows, a thread for each

    int block() const { return lanes.value() * sums.value(); }

    Expr floatOf(const Expr& stored)
    {
        if (type != RowType::Float16)
            return cast<float>(stored);
        if (get_target().has_feature(Target::F16C) || get_target().has_feature(Target::AVX512_Skylake))
            return cast<float>(reinterpret(Float(16), stored));
        // what is too small for a half's exponent is a multiple of 2^-24; infinities and NaN keep their highest exponent
        const Expr bits = cast<uint32_t>(stored), size = bits & 0x7FFF;
        const Expr moved = (size << 13) + select(size >= 0x7C00, Expr(0x70000000u), Expr(0x38000000u));
        const Expr known = select(size < 0x0400, cast<float>(size) * 0x1p-24f, reinterpret<float>(moved));
        return select((bits >> 15) != 0, -known, known);
    }

    Expr scaleOf(const Expr& at) { return select(scaled == 1, scale(clamp(at, 0, count - 1)), 1.0f); }

    void generateCpu()
    {
        left = RDom(length / block() * block(), length % block(), "left");
        each = RDom(0, block(), "each");
        partial(lane, row, group) = 0.0f;
        partial(lane, row, group) += queries(whole * block() + lane, 0, group) * value(whole * block() + lane, row);
        single(row, group) = 0.0f;
        single(row, group) += queries(left, 0, group) * value(left, row);
        single(row, group) += partial(each, row, group);

        all = RDom(0, length, "all");
        tiled(q, row, group) = 0.0f;
        tiled(q, row, group) += queries(all, q, group) * value(all, row);
        Func out = *products;
        out(q, row, group) = select(inGroups(), tiled(q, row, group), single(row, group)) * scaleOf(row);
    }

    Expr inGroups() { return queries.dim(1).extent() == together && queries.dim(1).stride() == 1; }

    void scheduleCpu()
    {
        Func out = *products;
        OutputImageParam buffer = out.output_buffer();
        for (int i = 0; i < 3; i++)
            buffer.dim(i).set_min(0);
        buffer.dim(0).set_extent(queries.dim(1).extent());
        buffer.dim(2).set_extent(queries.dim(2).extent());
        Var outer("outer");
        out.specialize(inGroups())
            .split(row, outer, row, tile, TailStrategy::RoundUp)
            .reorder(q, row, group, outer)
            .vectorize(q, lanes)
            .unroll(q)
            .unroll(row);
        out.specialize(queries.dim(1).extent() == 1 && queries.dim(0).stride() == 1)
            .split(row, outer, row, strip, TailStrategy::RoundUp)
            .reorder(q, row, group, outer)
            .unroll(row);
        out.specialize_fail("the queries lie neither alone nor in groups");

        tiled.compute_at(out, group).bound_extent(q, together).vectorize(q, lanes).unroll(q).unroll(row);
        tiled.update().reorder(q, row, all).vectorize(q, lanes).unroll(q).unroll(row);
        value.in(tiled).compute_at(out, outer).vectorize(d, lanes, TailStrategy::GuardWithIf);

        single.compute_at(out, group).unroll(row);
        single.update(0).unscheduled();
        single.update(1).atomic().vectorize(each);
        partial.compute_at(out, group).vectorize(lane, lanes).unroll(lane).unroll(row);
        partial.update().reorder(lane, row, whole).vectorize(lane, lanes).unroll(lane).unroll(row);
    }

    /// The order of floats as unsigned integers, NaN below all. Zeros are one number.
    static Expr keyOf(const Expr& number)
    {
        const Expr bits = reinterpret<uint32_t>(number), size = bits & Expr(0x7FFFFFFFu);
        const Expr ordered = select(size == 0, Expr(0x80000000u), (bits >> 31) != 0, ~bits, bits | Expr(0x80000000u));
        return select(size > Expr(0x7F800000u), keyOfNothing(), ordered);
    }

    static Expr keyOfNothing() { return Expr(0x007FFFFFu); } // minus infinity

    static Expr valueOf(const Expr& key) { return reinterpret<float>(select((key >> 31) != 0, key ^ Expr(0x80000000u), ~key)); }

    /// A query's key at a row; less than every other behind the last row.
    Expr keyAt(const Expr& at) { return select(at < count, keys(min(at, count - 1), group), Expr(0u)); }

    void generateGpu()
    {
        // A lane is a thread. It reads `sums` values a round, so that their loads do not wait for each other, then its share of the rest.
        const Expr query = clamp(group, 0, queries.dim(2).extent() - 1), rest = length / block() * block();
        const auto term = [&](const Expr& at) { return queries(at, 0, query) * value(at, row); };
        left = RDom(0, (length - rest + lanes - 1) / lanes, "left");
        each = RDom(0, lanes, "each");
        Expr round = term(whole * block() + lane);
        for (int i = 1; i < sums; i++)
            round += term(whole * block() + i * lanes + lane);
        partial(lane, row, group) = 0.0f;
        partial(lane, row, group) += round;
        const Expr at = rest + left * lanes + lane;
        left.where(at < length);
        partial(lane, row, group) += term(clamp(at, 0, length - 1));
        single(row, group) = 0.0f;
        single(row, group) += partial(each, row, group);
        keys(row, group) = keyOf(single(row, group) * scaleOf(row));

        Func places = *similarities, numbers = *indices;
        wanted = places.output_buffer().dim(0).extent();
        selectKey();
        list();
        places(place, group) = valueOf(keys(clamp(ordered(place, group), 0, count - 1), group));
        const Expr number = ordered(place, group);
        numbers(place, group) = select(*asFloat == 1, reinterpret<int32_t>(cast<float>(number)), number);
    }

    /// The wanted-th largest key, from the high bits down: in each round its digit is the greatest for which enough keys are at least as
    /// large.
    void selectKey()
    {
        const int digits = (1 << digitBits) - 1, parts = counters / 16;
        RDom column(0, (count + counters - 1) / counters, "column"), ofPart(0, 16, "ofPart"), everyPart(0, parts, "everyPart");
        Expr threshold = Expr(0u);
        for (int shift = 32 - digitBits; shift >= 0; shift -= digitBits)
        {
            const auto candidate = [&](int d) { return threshold + Expr(static_cast<uint32_t>(d + 1) << shift); };
            Round made(std::to_string(shift));
            const Expr key = keyAt(column * counters + lane);
            std::vector<Expr> atLeast;
            for (int d = 0; d < digits; d++)
                atLeast.push_back(select(key >= candidate(d), 1, 0));
            sum(made.laneSteps, {lane, group}, atLeast);
            made.laneCount(lane, group) = tupleOf(made.laneSteps(lane, group));
            sum(made.partSteps, {part, group}, partsOf(made.laneCount(part * 16 + ofPart, group)));
            made.partCount(part, group) = tupleOf(made.partSteps(part, group));
            sum(made.count, {one, group}, partsOf(made.partCount(everyPart, group)));
            Expr steps = Expr(0u);
            for (const Expr& found : partsOf(made.count(one, group)))
                steps += cast<uint32_t>(found >= wanted);
            made.threshold(one, group) = threshold + (steps << shift);
            threshold = made.threshold(0, group);
            rounds.push_back(made);
        }
        last(group) = threshold;
    }

    /// The rows whose keys are above the last, and of those that equal it as many of the first as are missing. Each thread counts in a
    /// segment of the rows; a place of the list then knows which segment has its row, and looks for it there.
    void list()
    {
        const Expr size = (count + segments - 1) / segments;
        RDom inSegment(0, size, "inSegment"), before(0, segments, "before"), inList(0, wanted, "inList");
        const auto isAbove = [&](const Expr& key) { return key > last(group); };
        const auto isLast = [&](const Expr& key) { return key == last(group); };
        const Expr key = keyAt(segment * size + inSegment);
        sum(tallySteps, {segment, group}, {select(isAbove(key), 1, 0), select(isLast(key), 1, 0)});
        tally(segment, group) = tupleOf(tallySteps(segment, group));
        std::vector<Expr> earlier;
        for (const Expr& number : partsOf(tally(before, group)))
            earlier.push_back(select(before < segment, number, 0));
        sum(startSteps, {segment, group}, earlier);
        starts(segment, group) = tupleOf(startSteps(segment, group));
        const Expr missing = wanted - starts(segments - 1, group)[0] - tally(segments - 1, group)[0];
        const auto begins = [&](const Expr& at) { return starts(at, group)[0] + min(starts(at, group)[1], missing); };

        RDom later(1, segments - 1, "later");
        owner(place, group) = 0;
        owner(place, group) += select(begins(later) <= place, 1, 0);
        const Expr mine = clamp(owner(place, group), 0, segments - 1), at = mine * size + inSegment, here = keyAt(at);
        walk(place, group) = Tuple(begins(mine), starts(mine, group)[1], 0);
        const Expr listed = walk(place, group)[0], equal = walk(place, group)[1];
        const Expr chosen = isAbove(here) || (isLast(here) && equal < missing);
        walk(place, group) = Tuple(listed + select(chosen, 1, 0), equal + select(isLast(here), 1, 0),
                                   select(chosen && listed == place, at, walk(place, group)[2]));
        listedRow(place, group) = walk(place, group)[2];
        listedKey(place, group) = keys(clamp(listedRow(place, group), 0, count - 1), group);

        const Expr other = listedKey(inList, group), own = listedKey(place, group);
        rank(place, group) = 0;
        rank(place, group) += select(other > own || (other == own && listedRow(inList, group) < listedRow(place, group)), 1, 0);
        ranks(place, group) = rank(place, group);
        orderSteps(place, group) = 0;
        orderSteps(place, group) += select(ranks(inList, group) == place, listedRow(inList, group), 0);
        ordered(place, group) = orderSteps(place, group);
    }

    static std::vector<Expr> partsOf(const FuncRef& ref)
    {
        if (ref.size() == 1)
            return {Expr(ref)};
        std::vector<Expr> all;
        for (int i = 0; i < static_cast<int>(ref.size()); i++)
            all.push_back(ref[i]);
        return all;
    }

    static Tuple tupleOf(const FuncRef& ref) { return Tuple(partsOf(ref)); }

    static void sum(Func& steps, const std::vector<Var>& at, const std::vector<Expr>& values)
    {
        std::vector<Expr> sums;
        steps(at) = Tuple(std::vector<Expr>(values.size(), Expr(0)));
        for (size_t i = 0; i < values.size(); i++)
            sums.push_back(partsOf(steps(at))[i] + values[i]);
        steps(at) = Tuple(sums);
    }

    void scheduleGpu()
    {
        Func places = *similarities, numbers = *indices;
        for (Func* out : {&places, &numbers})
        {
            OutputImageParam buffer = out->output_buffer();
            buffer.dim(0).set_bounds(0, wanted).set_stride(Expr());
            buffer.dim(1).set_bounds(0, queries.dim(2).extent());
        }
        Var outer("outer"), groups("groups"), ti("ti");
        keys.compute_root()
            .split(row, outer, row, strip, TailStrategy::RoundUp)
            .split(group, groups, group, tile, TailStrategy::RoundUp)
            .reorder(row, group, outer, groups)
            .gpu_blocks(outer, groups)
            .gpu_threads(row, group);
        single.compute_at(keys, row);
        single.update().unroll(each, 8);
        // A word more than the lanes from row to row puts both the threads that write and those that read in banks of their own.
        Func shared = partial.in(single);
        shared.compute_at(keys, outer).align_storage(lane, lanes + 1).reorder(group, lane, row).unroll(group).gpu_threads(lane, row);
        partial.compute_at(shared, lane).unroll(group);
        for (int i = 0; i < 2; i++)
            partial.update(i).reorder(group, i == 0 ? RVar(whole) : RVar(left)).unroll(group);

        // All rounds in one kernel, a block for each query: between two of them lies a barrier, which takes a fraction of a launch.
        last.compute_root().gpu_blocks(group);
        const LoopLevel query(last, group);
        for (Round& made : rounds)
        {
            made.laneCount.compute_at(query).gpu_threads(lane);
            made.laneSteps.compute_at(made.laneCount, lane);
            made.partCount.compute_at(query).gpu_threads(part);
            made.partSteps.compute_at(made.partCount, part);
            made.threshold.compute_at(query).gpu_threads(one);
            made.count.compute_at(made.threshold, one);
        }
        const auto byThreads = [&](Func& func, const Var& x)
        { func.compute_root().gpu_tile(x, ti, 32, TailStrategy::GuardWithIf).gpu_blocks(group); };
        byThreads(tally, segment);
        tallySteps.compute_at(tally, ti);
        byThreads(starts, segment);
        startSteps.compute_at(starts, ti);
        byThreads(listedRow, place);
        walk.compute_at(listedRow, ti);
        owner.compute_at(listedRow, ti);
        byThreads(ranks, place);
        rank.compute_at(ranks, ti);
        byThreads(ordered, place);
        orderSteps.compute_at(ordered, ti);
        for (Func* out : {&places, &numbers})
            out->gpu_tile(place, ti, 32, TailStrategy::GuardWithIf).gpu_blocks(group);
    }

    /// One round of the selection; `threshold` is the smallest key left after it.
    struct Round
    {
        explicit Round(const std::string& shift)
            : laneSteps("laneSteps" + shift), laneCount("laneCount" + shift), partSteps("partSteps" + shift),
              partCount("partCount" + shift), count("count" + shift), threshold("threshold" + shift)
        {
        }
        Func laneSteps, laneCount, partSteps, partCount, count, threshold;
    };

    Var d{"d"}, q{"q"}, group{"group"}, row{"row"}, lane{"lane"}, part{"part"}, one{"one"}, segment{"segment"}, place{"place"};
    Expr length, count, wanted;
    Func value{"value"}, partial{"partial"}, single{"single"}, tiled{"tiled"}, keys{"keys"}, last{"last"};
    Func tallySteps{"tallySteps"}, tally{"tally"}, startSteps{"startSteps"}, starts{"starts"}, owner{"owner"}, walk{"walk"};
    Func listedRow{"listedRow"}, listedKey{"listedKey"}, rank{"rank"}, ranks{"ranks"}, orderSteps{"orderSteps"}, ordered{"ordered"};
    RDom whole, left, each, all;
    std::vector<Round> rounds;
    Input<int32_t>* asFloat = nullptr;
    Output<Buffer<float>>* products = nullptr;
    Output<Buffer<float>>* similarities = nullptr;
    Output<Buffer<int32_t>>* indices = nullptr;
};

HALIDE_REGISTER_GENERATOR(Nearest, nearest)
