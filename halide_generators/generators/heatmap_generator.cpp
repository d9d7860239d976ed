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
    GeneratorParam<int> lanes{"lanes", 8};      // vector width; GPU: a multiple of 8, threads of the selection along x
    GeneratorParam<int> vectors{"vectors", 4};  // vectors of a map row computed together
    GeneratorParam<int> strip{"strip", 16};     // map rows of one task
    GeneratorParam<int> rowGroups{"groups", 1}; // GPU: and along y, each for a group of rows
    GeneratorParam<int> digitBits{"bits", 2};   // how much of the top-th value a round of the selection finds; divides 32

    Input<Buffer<float, 4>> residual{"residual"};
    Input<int32_t> radius{"radius"};
    Input<float> falloff{"falloff"}; // 1 / (2 sigma^2)
    Input<int32_t> top{"top"};       // how many values the second score averages
    Output<Buffer<float, 4>> map{"map"};
    Output<Func> scores{"scores", {Float(32), Float(32)}, 1}; // the maximum, and the mean of the top values

    void generate()
    {
        setLayout(residual, Layout::Any);
        setLayout(map, Layout::Any);
        residual.dim(2).set_extent(1);
        map.dim(2).set_extent(1);
        const Expr width = map.dim(0).extent(), height = map.dim(1).extent();
        const Expr inWidth = residual.dim(0).extent(), inHeight = residual.dim(1).extent();

        tap(t) = exp(-falloff * cast<float>(t * t));
        along[0].define(*this, inWidth, width);
        along[1].define(*this, inHeight, height);

        rowSum(x, j, n) = 0.0f;
        rowSum(x, j, n) +=
            along[0].weight(x, along[0].band) * residual(clamp(along[0].first(x) + along[0].band, 0, inWidth - 1), j, 0, n);
        rows(x, j, n) = rowSum(x, j, n);
        smooth(x, y, n) = 0.0f;
        smooth(x, y, n) +=
            along[1].weight(y, along[1].band) * rows(x, clamp(along[1].first(y) + along[1].band, 0, inHeight - 1), n);
        map(x, y, c, n) = smooth(x, y, n);

        select(width, height);
    }

    void schedule()
    {
        std::vector<OutputImageParam> buffers = Func(scores).output_buffers();
        buffers[0].dim(0).set_min(0); // and so of the other
        for (OutputImageParam& buffer : buffers)
            buffer.dim(0).set_stride(Expr());
        if (get_target().has_gpu_feature())
            scheduleGpu();
        else
            scheduleCpu();
    }

private:
    /// One axis: `first(i)` is the first input position that output position i draws on, weight(i, b) the weight of the b-th.
    struct Axis
    {
        Func taps, source, first, sum, weight;
        RDom offset, band;

        void define(Heatmap& at, const Expr& in, const Expr& out)
        {
            const Var& i = at.x;
            const Var& b = at.b;
            RDom side(1, at.radius, "side");
            taps() = 1.0f;
            taps() += 2.0f * at.tap(side);
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
            weight(i, b) = sum(i, b) / (taps() * cast<float>(unit));
        }
    };

    /// A sum, or the greatest of something: how it comes to be, and a name for what it has come to. Where the latter is not
    /// scheduled it is the former itself. On a GPU each thread makes its own in registers, and other threads read the result.
    struct Folded
    {
        explicit Folded(const std::string& name) : steps(name + "Steps"), result(name) {}
        Func steps, result;

        void sum(const std::vector<Var>& at, const std::vector<Expr>& values)
        {
            std::vector<Expr> zeros, sums;
            for (const Expr& value : values)
                zeros.push_back(Internal::make_zero(value.type()));
            steps(at) = Tuple(zeros);
            for (size_t i = 0; i < values.size(); i++)
                sums.push_back(parts(steps(at))[i] + values[i]);
            steps(at) = Tuple(sums);
            result(at) = Tuple(parts(steps(at)));
        }

        void greatest(const std::vector<Var>& at, const Expr& key)
        {
            steps(at) = Expr(0u);
            steps(at) = max(steps(at), key);
            result(at) = steps(at);
        }

        /// By the threads of a block, x and perhaps y.
        void byThreads(LoopLevel block, const Var& threadX, const Var* threadY = nullptr)
        {
            result.compute_at(block);
            if (threadY)
                result.gpu_threads(threadX, *threadY);
            else
                result.gpu_threads(threadX);
            steps.compute_at(result, threadX);
        }
    };

    /// One round of the selection; `threshold` is the smallest key left after it.
    struct Round
    {
        explicit Round(const std::string& shift)
            : rowCount("rowCount" + shift), laneCount("laneCount" + shift), groupCount("groupCount" + shift),
              partCount("partCount" + shift), count("count" + shift), threshold("threshold" + shift)
        {
        }
        Folded rowCount, laneCount, groupCount, partCount, count;
        Func threshold;
        RDom row;
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

    /// Finds the key of the top-th value from the high bits down, a digit a round, by counting. What is too small to matter is
    /// passed over, so the later rounds see little of the map: rows on a CPU, whose lanes go together; on a GPU what one lane
    /// sees of a row.
    void select(const Expr& width, const Expr& height)
    {
        const int groups = rowGroups, digits = (1 << digitBits) - 1;
        const Expr columns = (width + lanes - 1) / lanes, groupRows = (height + groups - 1) / groups;
        Func bounded =
            BoundaryConditions::constant_exterior(map, 0.0f, {{0, width}, {0, height}, {Expr(), Expr()}, {Expr(), Expr()}});
        const Expr within = x >= 0 && x < width && y >= 0 && y < height;
        keys(x, y, n) = Halide::select(likely(within), keyOf(bounded(x, y, 0, n)), Expr(0u));

        const int laneParts = lanes % 8 == 0 ? lanes / 8 : 1;
        column = RDom(0, columns, "column");
        RDom everyLane(0, lanes, "everyLane"), everyRow(0, height, "everyRow");
        RDom everyGroup(0, groups, "everyGroup"), everyPart(0, laneParts, "everyPart"), ofPart(0, lanes / laneParts, "ofPart");
        laneTop.greatest({lane, y, n}, keys(column * lanes + lane, y, n));
        rowTop.greatest({y, n}, laneTop.result(everyLane, y, n));
        columnTop.greatest({lane, n}, laneTop.result(lane, everyRow, n));
        const bool gpu = get_target().has_gpu_feature();
        if (gpu)
            imageTop.greatest({one, n}, columnTop.result(everyLane, n));
        else
            imageTop.greatest({one, n}, rowTop.result(everyRow, n));
        const auto topOf = [&](const Expr& row) { return gpu ? laneTop.result(lane, row, n) : rowTop.result(row, n); };

        Expr threshold = Expr(0u);
        for (int shift = 32 - digitBits; shift >= 0; shift -= digitBits)
        {
            const auto candidate = [&](int d) { return threshold + Expr(static_cast<uint32_t>(d + 1) << shift); };
            Round round(std::to_string(shift));
            const Expr key = keys(column * lanes + lane, y, n);
            std::vector<Expr> atLeast;
            for (int d = 0; d < digits; d++)
                atLeast.push_back(Halide::select(key >= candidate(d), 1, 0));
            round.rowCount.sum({lane, y, n}, atLeast);
            round.row = RDom(0, groupRows, "row");
            const Expr row = round.row * groups + group;
            round.row.where(topOf(row) >= candidate(0));
            round.laneCount.sum({lane, group, n}, parts(round.rowCount.result(lane, row, n)));
            round.groupCount.sum({lane, n}, parts(round.laneCount.result(lane, everyGroup, n)));
            round.partCount.sum({part, n}, parts(round.groupCount.result(part * (lanes / laneParts) + ofPart, n)));
            round.count.sum({one, n}, parts(round.partCount.result(everyPart, n)));
            Expr steps = Expr(0u);
            for (const Expr& count : parts(round.count.result(one, n)))
                steps += cast<uint32_t>(count >= top);
            round.threshold(one, n) = threshold + (steps << shift);
            threshold = round.threshold(0, n);
            rounds.push_back(round);
        }

        // What lies above the threshold is summed; values equal to it fill up what is missing.
        above = RDom(0, columns, 0, groupRows, "above");
        const Expr row = above.y * groups + group;
        above.where(topOf(row) > threshold);
        const Expr key = keys(above.x * lanes + lane, row, n);
        laneSum.sum({lane, group, n}, {Halide::select(key > threshold, valueOf(key), 0.0f), Halide::select(key > threshold, 1, 0)});
        groupSum.sum({lane, n}, parts(laneSum.result(lane, everyGroup, n)));
        imageSum.sum({one, n}, parts(groupSum.result(everyLane, n)));
        const FuncRef sum = imageSum.result(0, n);
        scores(n) = Tuple(valueOf(imageTop.result(0, n)), (sum[0] + cast<float>(top - sum[1]) * valueOf(threshold)) / cast<float>(top));
    }

    static std::vector<Expr> parts(const FuncRef& ref)
    {
        if (ref.size() == 1)
            return {Expr(ref)};
        std::vector<Expr> all;
        for (int i = 0; i < static_cast<int>(ref.size()); i++)
            all.push_back(ref[i]);
        return all;
    }

    void scheduleCpu()
    {
        Var outer("outer"), task("task");
        tap.compute_root().vectorize(t, lanes);
        for (Axis& axis : along)
        {
            axis.taps.compute_root();
            axis.source.compute_root();
            axis.first.compute_root();
            axis.weight.compute_root().vectorize(x, lanes);
            axis.sum.compute_at(axis.weight, x).vectorize(x);
            axis.sum.update().reorder(x, axis.offset).vectorize(x);
        }
        rowSum.compute_root().vectorize(x, lanes).parallel(n);
        rowSum.update().reorder(x, along[0].band, j, n).vectorize(x, lanes).parallel(n);

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
        rowTop.steps.compute_root();
        laneTop.steps.compute_at(rowTop.steps, y).vectorize(lane);
        laneTop.steps.update().vectorize(lane);
        Func answer = scores;
        answer.parallel(n);
        for (Folded* each : {&imageTop, &imageSum, &groupSum})
            each->steps.compute_at(answer, n);
        laneSum.steps.compute_at(answer, n).vectorize(lane);
        laneSum.steps.update().reorder(lane, above.x, above.y, group).vectorize(lane);
        for (Round& round : rounds)
        {
            round.threshold.compute_at(answer, n);
            for (Folded* each : {&round.count, &round.partCount, &round.groupCount})
                each->steps.compute_at(answer, n);
            round.laneCount.steps.compute_at(answer, n).vectorize(lane);
            round.laneCount.steps.update().reorder(lane, round.row, group).vectorize(lane);
            round.rowCount.steps.compute_at(round.laneCount.steps, round.row).vectorize(lane);
            round.rowCount.steps.update().reorder(lane, column).vectorize(lane);
        }
    }

    void scheduleGpu()
    {
        Var ti("ti"), tj("tj");
        const auto guard = TailStrategy::GuardWithIf;
        for (Axis& axis : along)
        {
            axis.weight.compute_root().gpu_tile(x, b, ti, tj, 32, 4, guard);
            axis.sum.compute_at(axis.weight, ti);
            axis.taps.compute_at(axis.weight, ti);
        }
        rows.compute_root().gpu_tile(x, j, ti, tj, 32, 4, guard).gpu_blocks(n);
        rowSum.compute_at(rows, ti);
        map.fuse(c, n, n).gpu_tile(x, y, ti, tj, 32, 8, guard).gpu_blocks(n);
        smooth.compute_at(map, ti);
        keys.compute_root().gpu_tile(x, y, ti, tj, 32, 8, guard).gpu_blocks(n);
        laneTop.result.compute_root().gpu_tile(lane, y, ti, tj, 32, 8, guard).gpu_blocks(n);
        laneTop.steps.compute_at(laneTop.result, ti);

        // All rounds in one kernel, a block for each image: between two of them lies a barrier, which takes a fraction of a launch.
        Func answer = scores;
        answer.gpu_blocks(n);
        const LoopLevel image(answer, n);
        for (Round& round : rounds)
        {
            round.laneCount.byThreads(image, lane, &group);
            round.rowCount.steps.compute_at(round.laneCount.steps, round.row);
            round.groupCount.byThreads(image, lane);
            round.partCount.byThreads(image, part);
            round.threshold.compute_at(image).gpu_threads(one);
            round.count.steps.compute_at(round.threshold, one);
        }
        laneSum.byThreads(image, lane, &group);
        groupSum.byThreads(image, lane);
        imageSum.byThreads(image, one);
        columnTop.byThreads(image, lane);
        imageTop.byThreads(image, one);
    }

    Var x{"x"}, y{"y"}, c{"c"}, n{"n"}, j{"j"}, b{"b"}, t{"t"}, lane{"lane"}, group{"group"}, part{"part"}, one{"one"};
    Func tap{"tap"}, rowSum{"rowSum"}, rows{"rows"}, smooth{"smooth"}, keys{"keys"};
    Folded laneTop{"laneTop"}, rowTop{"rowTop"}, columnTop{"columnTop"}, imageTop{"imageTop"}, laneSum{"laneSum"}, groupSum{"groupSum"},
        imageSum{"imageSum"};
    RDom column, above;
    std::vector<Round> rounds;
    Axis along[2];
};

HALIDE_REGISTER_GENERATOR(Heatmap, heatmap)
