// Bilinear resize with half-pixel centres, an optional Gaussian blur, and two scores: the maximum and the mean of the top values.
//
// Resize and blur are linear along each axis, so both together are one banded matrix per axis, from the size of the residual to
// the size of the map. The matrices are made first; the map is then two short sums, first along x on the few rows of the
// residual, then along y. Without a blur the band is the two bilinear taps.
#include "layout.h"

using namespace Halide;

class Heatmap : public Generator<Heatmap>
{
public:
    GeneratorParam<int> lanes{"lanes", 8};      // vector width; GPU: threads of a block along x
    GeneratorParam<int> vectors{"vectors", 4};  // vectors of a map row computed together
    GeneratorParam<int> strip{"strip", 16};     // map rows of one task
    GeneratorParam<int> rowGroups{"groups", 1}; // GPU: groups of rows that the selection walks side by side
    GeneratorParam<int> digitBits{"bits", 2};   // how much of the top-th value a round of the selection finds; divides 32

    Input<Buffer<float, 4>> residual{"residual"};
    Input<int32_t> radius{"radius"};
    Input<float> falloff{"falloff"}; // 1 / (2 sigma^2)
    Input<int32_t> top{"top"};       // how many values the second score averages
    Output<Buffer<float, 4>> map{"map"};
    Output<Buffer<float, 1>> maximum{"maximum"};
    Output<Buffer<float, 1>> topMean{"topMean"};

    void generate()
    {
        setLayout(residual, Layout::Any);
        setLayout(map, Layout::Any);
        residual.dim(2).set_extent(1);
        map.dim(2).set_extent(1);
        maximum.dim(0).set_stride(Expr()).set_min(0);
        topMean.dim(0).set_stride(Expr()).set_min(0);
        const Expr width = map.dim(0).extent(), height = map.dim(1).extent();
        const Expr inWidth = residual.dim(0).extent(), inHeight = residual.dim(1).extent();

        tap(t) = exp(-falloff * cast<float>(t * t));
        RDom side(1, radius, "side");
        taps() = 1.0f;
        taps() += 2.0f * tap(side);

        along[0].define(*this, inWidth, width);
        along[1].define(*this, inHeight, height);

        rows(x, j, n) = 0.0f;
        rows(x, j, n) +=
            along[0].weight(x, along[0].band) * residual(clamp(along[0].first(x) + along[0].band, 0, inWidth - 1), j, 0, n);
        smooth(x, y, n) = 0.0f;
        smooth(x, y, n) +=
            along[1].weight(y, along[1].band) * rows(x, clamp(along[1].first(y) + along[1].band, 0, inHeight - 1), n);
        map(x, y, c, n) = smooth(x, y, n);

        select(width, height);
    }

    void schedule()
    {
        if (get_target().has_gpu_feature())
            scheduleGpu();
        else
            scheduleCpu();
    }

private:
    /// One axis: `first(i)` is the first input position that output position i draws on, weight(i, b) the weight of the b-th.
    struct Axis
    {
        Func source, first, sum, weight;
        RDom offset, band;

        void define(Heatmap& at, const Expr& in, const Expr& out)
        {
            const Var& i = at.x;
            const Var& b = at.b;
            // Positions are kept as exact multiples of 1 / (2 out).
            const Expr unit = 2 * out, last = unit * (in - 1);
            const Expr folded = i % unit; // the border repeats the edge pixel, as often as the radius needs
            const Expr inside = Halide::select(folded < out, folded, unit - 1 - folded);
            source(i) = clamp((2 * inside + 1) * in - out, 0, last);
            first(i) = clamp((2 * max(i - at.radius, 0) + 1) * in - out, 0, last) / unit;
            const Expr length = (2 * at.radius * in + out - 1) / out + 2;
            band = RDom(0, min(length, in), "band");
            offset = RDom(-at.radius, 2 * at.radius + 1, "offset");
            const Expr distance = abs(source(i + offset) - (first(i) + b) * unit);
            sum(i, b) = 0.0f;
            sum(i, b) += at.tap(cast<int>(abs(offset))) * cast<float>(max(unit - cast<int>(distance), 0));
            weight(i, b) = sum(i, b) / (at.taps() * cast<float>(unit));
        }
    };

    /// One round of the selection; `threshold` is the smallest key left after it.
    struct Round
    {
        explicit Round(int shift)
            : laneCount("laneCount" + std::to_string(shift)), groupCount("groupCount" + std::to_string(shift)),
              count("count" + std::to_string(shift)), threshold("threshold" + std::to_string(shift))
        {
        }
        Func laneCount, groupCount, count, threshold;
        RDom cell;
    };

    /// The order of floats as unsigned integers, NaN above all.
    static Expr keyOf(const Expr& value)
    {
        const Expr bits = reinterpret<uint32_t>(value);
        const Expr ordered = Halide::select((bits >> 31) != 0, ~bits, bits | Expr(0x80000000u));
        return Halide::select((bits & Expr(0x7FFFFFFFu)) > Expr(0x7F800000u), Expr(0xFFFFFFFFu), ordered);
    }

    static Expr valueOf(const Expr& key)
    {
        return reinterpret<float>(Halide::select((key >> 31) != 0, key ^ Expr(0x80000000u), ~key));
    }

    /// Finds the key of the top-th value from the high bits down, a digit a round, by counting. Rows whose maximum is too small
    /// to matter are passed over, so the later rounds see little of the map.
    void select(const Expr& width, const Expr& height)
    {
        const int groups = rowGroups, digits = (1 << digitBits) - 1;
        const Expr columns = (width + lanes - 1) / lanes, groupRows = (height + groups - 1) / groups;
        Func bounded =
            BoundaryConditions::constant_exterior(map, 0.0f, {{0, width}, {0, height}, {Expr(), Expr()}, {Expr(), Expr()}});
        const Expr within = x >= 0 && x < width && y >= 0 && y < height;
        keys(x, y, n) = Halide::select(likely(within), keyOf(bounded(x, y, 0, n)), Expr(0u));

        RDom column(0, columns, "column"), everyLane(0, lanes, "everyLane"), everyRow(0, height, "everyRow");
        RDom everyGroup(0, groups, "everyGroup");
        laneTop(lane, y, n) = Expr(0u);
        laneTop(lane, y, n) = max(laneTop(lane, y, n), keys(column * lanes + lane, y, n));
        rowTop(y, n) = Expr(0u);
        rowTop(y, n) = max(rowTop(y, n), laneTop(everyLane, y, n));
        imageTop(n) = Expr(0u);
        imageTop(n) = max(imageTop(n), rowTop(everyRow, n));
        maximum(n) = valueOf(imageTop(n));

        Expr threshold = Expr(0u);
        for (int shift = 32 - digitBits; shift >= 0; shift -= digitBits)
        {
            const auto candidate = [&](int d) { return threshold + Expr(static_cast<uint32_t>(d + 1) << shift); };
            Round round(shift);
            round.cell = RDom(0, columns, 0, groupRows, "cell");
            const Expr row = round.cell.y * groups + group;
            round.cell.where(rowTop(row, n) >= candidate(0));
            const Expr key = keys(round.cell.x * lanes + lane, row, n);
            std::vector<Expr> atLeast;
            for (int d = 0; d < digits; d++)
                atLeast.push_back(Halide::select(key >= candidate(d), 1, 0));
            accumulate(round.laneCount, {lane, group, n}, atLeast);
            accumulate(round.groupCount, {lane, n}, parts(round.laneCount(lane, everyGroup, n), digits));
            accumulate(round.count, {n}, parts(round.groupCount(everyLane, n), digits));
            Expr steps = Expr(0u);
            for (const Expr& count : parts(round.count(n), digits))
                steps += cast<uint32_t>(count >= top);
            round.threshold(n) = threshold + (steps << shift);
            threshold = round.threshold(n);
            rounds.push_back(round);
        }

        // What lies above the threshold is summed; values equal to it fill up what is missing.
        above = RDom(0, columns, 0, groupRows, "above");
        const Expr row = above.y * groups + group;
        above.where(rowTop(row, n) > threshold);
        const Expr key = keys(above.x * lanes + lane, row, n);
        accumulate(laneSum, {lane, group, n},
                   {Halide::select(key > threshold, valueOf(key), 0.0f), Halide::select(key > threshold, 1, 0)});
        accumulate(groupSum, {lane, n}, parts(laneSum(lane, everyGroup, n), 2));
        accumulate(imageSum, {n}, parts(groupSum(everyLane, n), 2));
        topMean(n) = (imageSum(n)[0] + cast<float>(top - imageSum(n)[1]) * valueOf(threshold)) / cast<float>(top);
    }

    static std::vector<Expr> parts(const FuncRef& ref, int count)
    {
        std::vector<Expr> all;
        for (int i = 0; i < count; i++)
            all.push_back(ref[i]);
        return all;
    }

    /// sum(at) starts at zero and grows by the values.
    static void accumulate(Func& sum, const std::vector<Var>& at, const std::vector<Expr>& values)
    {
        std::vector<Expr> zeros, sums;
        for (const Expr& value : values)
            zeros.push_back(Internal::make_zero(value.type()));
        sum(at) = Tuple(zeros);
        for (size_t i = 0; i < values.size(); i++)
            sums.push_back(sum(at)[static_cast<int>(i)] + values[i]);
        sum(at) = Tuple(sums);
    }

    void scheduleCpu()
    {
        Var outer("outer"), task("task");
        tap.compute_root().vectorize(t, lanes);
        taps.compute_root();
        for (Axis& axis : along)
        {
            axis.source.compute_root();
            axis.first.compute_root();
            axis.weight.compute_root().vectorize(x, lanes);
            axis.sum.compute_at(axis.weight, x).vectorize(x);
            axis.sum.update().reorder(x, axis.offset).vectorize(x);
        }
        rows.compute_root().vectorize(x, lanes).parallel(n);
        rows.update().reorder(x, along[0].band, j, n).vectorize(x, lanes).parallel(n);

        const int tile = lanes.value() * vectors.value();
        map.split(y, task, y, strip, TailStrategy::GuardWithIf)
            .split(x, outer, x, tile, TailStrategy::GuardWithIf)
            .reorder(x, outer, y, c, task, n)
            .vectorize(x, lanes)
            .fuse(task, n, task)
            .parallel(task);
        map.specialize(map.dim(0).stride() == 1);
        smooth.compute_at(map, outer).vectorize(x, lanes).unroll(x);
        smooth.update().reorder(x, along[1].band).vectorize(x, lanes).unroll(x);

        keys.compute_root().vectorize(x, lanes).parallel(y, strip);
        rowTop.compute_root();
        laneTop.compute_at(rowTop, y).vectorize(lane);
        laneTop.update().vectorize(lane);
        imageTop.compute_root();
        topMean.parallel(n);
        imageSum.compute_at(topMean, n);
        groupSum.compute_at(topMean, n);
        laneSum.compute_at(topMean, n).vectorize(lane);
        laneSum.update().reorder(lane, above.x, above.y, group).vectorize(lane);
        for (Round& round : rounds)
        {
            round.threshold.compute_at(topMean, n);
            round.count.compute_at(topMean, n);
            round.groupCount.compute_at(topMean, n);
            round.laneCount.compute_at(topMean, n).vectorize(lane);
            round.laneCount.update().reorder(lane, round.cell.x, round.cell.y, group).vectorize(lane);
        }
    }

    void scheduleGpu()
    {
        Var ti("ti"), tj("tj");
        const auto guard = TailStrategy::GuardWithIf;
        tap.compute_root().gpu_tile(t, ti, 32, guard);
        taps.compute_root().gpu_single_thread();
        taps.update().gpu_single_thread();
        for (Axis& axis : along)
        {
            axis.source.compute_root().gpu_tile(x, ti, 32, guard);
            axis.weight.compute_root().gpu_tile(x, b, ti, tj, 32, 4, guard);
            axis.sum.compute_at(axis.weight, ti);
        }
        rows.compute_root().gpu_tile(x, j, ti, tj, 32, 4, guard).gpu_blocks(n);
        rows.update().gpu_tile(x, j, ti, tj, 32, 4, guard).gpu_blocks(n);
        map.fuse(c, n, n).gpu_tile(x, y, ti, tj, 32, 4, guard).gpu_blocks(n);
        smooth.compute_at(map, ti);
        keys.compute_root().gpu_tile(x, y, ti, tj, 32, 4, guard).gpu_blocks(n);
        rowTop.compute_root().gpu_tile(y, ti, 32, guard).gpu_blocks(n);
        rowTop.update().gpu_tile(y, ti, 32, guard).gpu_blocks(n);
        imageTop.compute_root().gpu_tile(n, ti, 8, guard);
        imageTop.update().gpu_tile(n, ti, 8, guard);
        maximum.gpu_tile(n, ti, 8, guard);
        // Two kernels a round: one counts all over the device, one block per image sums up. A single kernel with all rounds would
        // be one long chain of barriers.
        for (Round& round : rounds)
        {
            round.laneCount.compute_root().gpu_blocks(group, n).gpu_threads(lane);
            round.laneCount.update().reorder(round.cell.x, round.cell.y, lane, group, n).gpu_blocks(group, n).gpu_threads(lane);
            round.threshold.compute_root().gpu_blocks(n);
            round.count.compute_at(round.threshold, n);
            round.groupCount.compute_at(round.threshold, n).gpu_threads(lane);
            round.groupCount.update().gpu_threads(lane);
        }
        laneSum.compute_root().gpu_blocks(group, n).gpu_threads(lane);
        laneSum.update().reorder(above.x, above.y, lane, group, n).gpu_blocks(group, n).gpu_threads(lane);
        topMean.gpu_blocks(n);
        imageSum.compute_at(topMean, n);
        groupSum.compute_at(topMean, n).gpu_threads(lane);
        groupSum.update().gpu_threads(lane);
    }

    Var x{"x"}, y{"y"}, c{"c"}, n{"n"}, j{"j"}, b{"b"}, t{"t"}, lane{"lane"}, group{"group"};
    Func tap{"tap"}, taps{"taps"}, rows{"rows"}, smooth{"smooth"}, keys{"keys"}, laneTop{"laneTop"}, rowTop{"rowTop"};
    Func imageTop{"imageTop"}, laneSum{"laneSum"}, groupSum{"groupSum"}, imageSum{"imageSum"};
    RDom above;
    std::vector<Round> rounds;
    Axis along[2];
};

HALIDE_REGISTER_GENERATOR(Heatmap, heatmap)
