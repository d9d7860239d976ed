// out = x + mask * noise * (alpha * minmax(attention) + beta)
//
// The mask keeps the `kept` most attended cells of each image; among equals the earlier cell goes first.
#include "layout.h"
#include "noise.h"

using namespace Halide;

class Perturb : public Generator<Perturb>
{
public:
    GeneratorParam<Layout> layout{"layout", Layout::Any, layoutNames()};
    GeneratorParam<int> lanes{"lanes", 8};   // vector width; on tokens also how many groups of four channels go together
    GeneratorParam<int> strip{"strip", 16};  // tokens: pixels of one task
    GeneratorParam<int> tileX{"tile_x", 32}; // GPU: threads of a block along the layout's fast dimension
    GeneratorParam<int> tileY{"tile_y", 4};

    Input<Buffer<float, 4>> x{"x"};
    Input<Buffer<float, 4>> attention{"attention"};
    Input<float> alpha{"alpha"};
    Input<float> beta{"beta"};
    Input<int32_t> kept{"kept"};
    Input<uint32_t> seedLow{"seedLow"};
    Input<uint32_t> seedHigh{"seedHigh"};
    Input<uint32_t> step{"step"};
    Input<uint32_t> level{"level"};           // 0: feature, 1: image
    Input<uint32_t> firstImage{"firstImage"}; // number of the batch's first image
    Output<Buffer<float, 4>> out{"out"};

    void generate()
    {
        setLayout(x, layout);
        setLayout(attention, Layout::Any);
        setLayout(out, layout);
        width = out.dim(0).extent();
        height = out.dim(1).extent();
        cellsX = attention.dim(0).extent();
        cellsY = attention.dim(1).extent();

        // The least and the greatest of each part of the attention, then of all. A part is a row; on a GPU, where every block looks
        // through the whole of it, a part is what one of the block's threads takes: a cell of each round.
        const Expr inf = Float(32).max(), cells = cellsX * cellsY;
        const bool gpu = get_target().has_gpu_feature();
        const int threads = cellThreadsX * cellThreadsY;
        RDom inPart(0, gpu ? (cells + threads - 1) / threads : cellsX, "inPart");
        parts = RDom(0, gpu ? Expr(threads) : cellsY, "parts");
        const Expr cell = inPart * threads + q;
        if (gpu)
            inPart.where(cell < cells);
        const Expr value = gpu ? attention(cell % cellsX, clamp(cell / cellsX, 0, cellsY - 1), 0, n) : attention(inPart, q, 0, n);
        partRange(q, n) = Tuple(inf, -inf);
        partRange(q, n) = Tuple(min(partRange(q, n)[0], value), max(partRange(q, n)[1], value));
        range(n) = Tuple(inf, -inf);
        range(n) = Tuple(min(range(n)[0], partRange(parts, n)[0]), max(range(n)[1], partRange(parts, n)[1]));

        // The rank is quadratic in the number of cells, so the loop has no rounds where every cell is kept.
        const Expr everyCell = kept >= cells;
        other = RDom(0, cellsX, 0, select(everyCell, 0, cellsY), "other");
        const Expr mine = attention(p, q, 0, n), theirs = attention(other.x, other.y, 0, n);
        const Expr earlier = other.y < q || (other.y == q && other.x < p);
        rank(p, q, n) = 0;
        rank(p, q, n) += cast<int>(theirs > mine || (theirs == mine && earlier));

        const Expr low = range(n)[0], high = range(n)[1];
        const Expr scaled = select(high > low, (mine - low) / (high - low), 0.0f);
        amount(p, q, n) = select(everyCell || rank(p, q, n) < kept, alpha * scaled + beta, 0.0f);

        // The cell that holds the pixel's centre, in integers: attention of x's own size is taken as it is.
        cellX(ix) = clamp(select(cellsX == width, ix, (2 * ix + 1) * cellsX / (2 * width)), 0, cellsX - 1);
        cellY(iy) = clamp(select(cellsY == height, iy, (2 * iy + 1) * cellsY / (2 * height)), 0, cellsY - 1);

        const noise::Words counter = {cast<uint32_t>(iy * width + ix), cast<uint32_t>(group) | (level << 31),
                                      cast<uint32_t>(n) + firstImage, step};
        const noise::Words normal = noise::normals(counter, seedLow, seedHigh);
        gauss(group, ix, iy, n) = Tuple(normal[0], normal[1], normal[2], normal[3]);

        const Func& g = gauss;
        const Expr quad = c / 4, k = c % 4;
        drawn(c, ix, iy, n) = select(k == 0, g(quad, ix, iy, n)[0], k == 1, g(quad, ix, iy, n)[1], k == 2, g(quad, ix, iy, n)[2],
                                     g(quad, ix, iy, n)[3]);
        rowStrength(ix, q, n) = amount(cellX(ix), q, n);
        strength(ix, iy, n) = rowStrength(ix, cellY(iy), n);
        out(ix, iy, c, n) = x(ix, iy, c, n) + strength(ix, iy, n) * drawn(c, ix, iy, n);
    }

    void schedule()
    {
        if (get_target().has_gpu_feature())
            scheduleGpu();
        else
            scheduleCpu();
    }

private:
    void scheduleCpu()
    {
        Var outer("outer"), k("k"), inner("inner"), task("task");
        partRange.compute_root();
        range.compute_root();
        rank.compute_root();
        rank.vectorize(p, lanes, TailStrategy::GuardWithIf);
        rank.update().reorder(p, other.x, other.y, q, n).vectorize(p, lanes, TailStrategy::GuardWithIf);
        amount.compute_root();
        cellX.compute_root();
        cellY.compute_root();
        if (layout == Layout::Tokens)
        {
            const int block = 4 * lanes;
            out.dim(2).set_extent(out.dim(2).extent() / block * block);
            out.split(c, outer, c, block, TailStrategy::RoundUp)
                .split(c, c, k, 4)
                .split(ix, task, ix, strip, TailStrategy::GuardWithIf)
                .reorder(k, c, outer, ix, task, iy, n)
                .unroll(k)
                .vectorize(c)
                .fuse(task, iy, task)
                .fuse(task, n, task)
                .parallel(task);
            gauss.compute_at(out, outer).vectorize(group);
        }
        else
        {
            out.split(c, c, k, 4, TailStrategy::GuardWithIf)
                .split(ix, outer, inner, lanes, TailStrategy::GuardWithIf)
                .reorder(inner, k, outer, iy, c, n)
                .vectorize(inner)
                .unroll(k)
                .fuse(iy, c, task)
                .fuse(task, n, task)
                .parallel(task);
            // The bounds say what cannot be proven past the guards, and keep these in registers.
            gauss.compute_at(out, outer).bound_extent(group, 1).bound_extent(ix, lanes).vectorize(ix);
            strength.compute_at(out, outer).bound_extent(ix, lanes).vectorize(ix);
            rowStrength.compute_root().vectorize(ix, lanes);
        }
    }

    void scheduleGpu()
    {
        Var k("k"), ti("ti"), tj("tj"), lane("lane"), rest("rest");
        const auto guard = TailStrategy::GuardWithIf;
        amount.compute_root().gpu_tile(p, q, ti, tj, cellThreadsX, cellThreadsY, guard).gpu_blocks(n);
        range.compute_at(amount, ti);
        range.update().unroll(parts, 8);
        Func shared = partRange.in(range);
        shared.compute_at(amount, p).split(q, tj, ti, cellThreadsX).gpu_threads(ti, tj);
        partRange.compute_at(shared, ti);
        rank.compute_at(amount, ti);
        if (layout == Layout::Tokens)
        {
            // A thread draws the noise of four channels side by side, and adds to four that lie as far apart as there are threads:
            // then neighbouring threads read and write neighbouring channels. In between the noise lies in the block's memory.
            out.split(c, c, lane, 4 * tileX, guard)
                .split(lane, k, ti, tileX)
                .split(ix, ix, tj, tileY, guard)
                .reorder(k, ti, tj, c, ix, iy, n)
                .unroll(k)
                .fuse(iy, n, rest)
                .gpu_blocks(c, ix, rest)
                .gpu_threads(ti, tj);
            drawn.compute_at(out, c)
                .align_bounds(c, 4)
                .bound_storage(c, 4 * tileX)
                .bound_storage(ix, tileY)
                .split(c, c, k, 4, TailStrategy::RoundUp)
                .reorder(k, c, ix, iy, n)
                .unroll(k)
                .gpu_threads(c, ix);
            gauss.compute_at(drawn, c);
        }
        else
        {
            out.split(c, c, k, 4, guard)
                .unroll(k)
                .split(ix, ix, ti, tileX, guard)
                .split(iy, iy, tj, tileY, guard)
                .reorder(k, ti, tj, ix, n, iy, c)
                .fuse(ix, n, rest)
                .gpu_blocks(rest, iy, c)
                .gpu_threads(ti, tj);
            gauss.compute_at(out, ti).bound_storage(group, 1).unroll(group);
        }
    }

    static constexpr int cellThreadsX = 32, cellThreadsY = 4; // GPU: threads of a block of `amount`

    Var ix{"ix"}, iy{"iy"}, c{"c"}, n{"n"}, p{"p"}, q{"q"}, group{"group"};
    Func partRange{"partRange"}, range{"range"}, rank{"rank"}, amount{"amount"}, cellX{"cellX"}, cellY{"cellY"};
    Func rowStrength{"rowStrength"}, strength{"strength"}, gauss{"gauss"}, drawn{"drawn"};
    RDom parts, other;
    Expr width, height, cellsX, cellsY;
};

HALIDE_REGISTER_GENERATOR(Perturb, perturb)
