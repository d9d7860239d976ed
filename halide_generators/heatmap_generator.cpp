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
    GeneratorParam<int> lanes{"lanes", 8};   // vector width; GPU: threads of a block along x
    GeneratorParam<int> vectors{"vectors", 4}; // vectors of a map row computed together
    GeneratorParam<int> strip{"strip", 16};  // map rows of one task
    GeneratorParam<int> rowsTogether{"rows", 1}; // GPU: rows the selection walks side by side

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
        rows(x, j, n) += along[0].weight(x, along[0].band) *
                         residual(clamp(along[0].first(x) + along[0].band, 0, inWidth - 1), j, 0, n);
        smooth(x, y, n) = 0.0f;
        smooth(x, y, n) += along[1].weight(y, along[1].band) * rows(x, clamp(along[1].first(y) + along[1].band, 0, inHeight - 1), n);
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
    static constexpr int levels = 16; // of two bits each

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

    /// Finds the key of the top-th value from the high bits down, two bits a level, by counting. Rows whose maximum is too small
    /// to matter are passed over, so the later levels see little of the map.
    void select(const Expr& width, const Expr& height)
    {
        const Expr columns = (width + lanes - 1) / lanes, groups = (height + rowsTogether - 1) / rowsTogether;
        Func bounded = BoundaryConditions::constant_exterior(map, 0.0f, {{0, width}, {0, height}, {Expr(), Expr()}, {Expr(), Expr()}});
        const Expr within = x >= 0 && x < width && y >= 0 && y < height;
        keys(x, y, n) = Halide::select(likely(within), keyOf(bounded(x, y, 0, n)), Expr(0u));

        RDom column(0, columns, "column"), everyLane(0, lanes, "everyLane"), everyRow(0, height, "everyRow");
        laneTop(lane, y, n) = Expr(0u);
        laneTop(lane, y, n) = max(laneTop(lane, y, n), keys(column * lanes + lane, y, n));
        rowTop(y, n) = Expr(0u);
        rowTop(y, n) = max(rowTop(y, n), laneTop(everyLane, y, n));
        imageTop(n) = Expr(0u);
        imageTop(n) = max(imageTop(n), rowTop(everyRow, n));
        maximum(n) = valueOf(imageTop(n));

        RDom all(0, lanes, 0, rowsTogether, "all");
        Expr threshold = Expr(0u);
        for (int level = 0; level < levels; level++)
        {
            const int shift = 2 * (levels - 1 - level);
            auto candidate = [&](const Expr& digit) { return threshold + ((cast<uint32_t>(digit) + 1) << shift); };
            RDom cell(0, columns, 0, groups, "cell" + std::to_string(level));
            cell.where(rowTop(cell.y * rowsTogether + group, n) >= candidate(0));
            Func laneCount("laneCount" + std::to_string(level)), counted("counted" + std::to_string(level)),
                found("found" + std::to_string(level));
            laneCount(digit, lane, group, n) = 0;
            laneCount(digit, lane, group, n) +=
                cast<int>(keys(cell.x * lanes + lane, cell.y * rowsTogether + group, n) >= candidate(digit));
            counted(digit, n) = 0;
            counted(digit, n) += laneCount(digit, all.x, all.y, n);
            const Expr steps = cast<uint32_t>(counted(0, n) >= top) + cast<uint32_t>(counted(1, n) >= top) +
                               cast<uint32_t>(counted(2, n) >= top);
            found(n) = threshold + (steps << shift);
            threshold = found(n);
            laneCounts.push_back(laneCount);
            counts.push_back(counted);
            cells.push_back(cell);
            thresholds.push_back(found);
        }

        RDom cell(0, columns, 0, groups, "cell");
        cell.where(rowTop(cell.y * rowsTogether + group, n) > threshold);
        const Expr key = keys(cell.x * lanes + lane, cell.y * rowsTogether + group, n);
        const Expr above = key > threshold;
        laneSum(lane, group, n) = Tuple(0.0f, 0);
        laneSum(lane, group, n) = Tuple(laneSum(lane, group, n)[0] + Halide::select(above, valueOf(key), 0.0f),
                                        laneSum(lane, group, n)[1] + cast<int>(above));
        imageSum(n) = Tuple(0.0f, 0);
        imageSum(n) = Tuple(imageSum(n)[0] + laneSum(all.x, all.y, n)[0], imageSum(n)[1] + laneSum(all.x, all.y, n)[1]);
        // Values equal to the threshold fill up what is missing.
        topMean(n) = (imageSum(n)[0] + cast<float>(top - imageSum(n)[1]) * valueOf(threshold)) / cast<float>(top);
        cells.push_back(cell);
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
        laneSum.compute_at(topMean, n).vectorize(lane);
        laneSum.update().reorder(lane, cells.back().x, cells.back().y, group).vectorize(lane);
        for (size_t level = 0; level < thresholds.size(); level++)
        {
            thresholds[level].compute_at(topMean, n);
            counts[level].compute_at(topMean, n);
            
            laneCounts[level].compute_at(topMean, n).bound(digit, 0, 3).vectorize(lane).unroll(digit);
            laneCounts[level].update().reorder(digit, lane, cells[level].x, cells[level].y, group).vectorize(lane).unroll(digit);
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
        topMean.gpu_blocks(n);
        imageSum.compute_at(topMean, n);
        laneSum.compute_at(topMean, n).gpu_threads(lane, group);
        laneSum.update().reorder(cells.back().x, cells.back().y, lane, group).gpu_threads(lane, group);
        for (size_t level = 0; level < thresholds.size(); level++)
        {
            thresholds[level].compute_at(topMean, n);
            counts[level].compute_at(topMean, n).gpu_threads(digit);
            counts[level].update().gpu_threads(digit);
            laneCounts[level].compute_at(topMean, n).bound(digit, 0, 3).reorder(digit, lane, group).unroll(digit).gpu_threads(lane, group);
            laneCounts[level].update().reorder(digit, cells[level].x, cells[level].y, lane, group).unroll(digit).gpu_threads(lane, group);
        }
    }

    Var x{"x"}, y{"y"}, c{"c"}, n{"n"}, j{"j"}, b{"b"}, t{"t"}, lane{"lane"}, group{"group"}, digit{"digit"};
    Func tap{"tap"}, taps{"taps"}, rows{"rows"}, smooth{"smooth"}, keys{"keys"}, laneTop{"laneTop"}, rowTop{"rowTop"};
    Func imageTop{"imageTop"}, laneSum{"laneSum"}, imageSum{"imageSum"};
    std::vector<Func> laneCounts, counts, thresholds;
    std::vector<RDom> cells;
    Axis along[2];
};

HALIDE_REGISTER_GENERATOR(Heatmap, heatmap)
