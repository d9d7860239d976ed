// The distance of two feature vectors at each pixel:
//   l2      sqrt(sum_c (f - g)^2)
//   scaled  sqrt(sum_c (f - g)^2) / max(sqrt |f|, 1e-6)
//   cosine  1 - f.g / max(|f| |g|, 1e-12)
#include "layout.h"

#include <algorithm>

using namespace Halide;

enum class Metric
{
    L2,
    Scaled,
    Cosine
};

class Residual : public Generator<Residual>
{
public:
    GeneratorParam<Layout> layout{"layout", Layout::Any, layoutNames()};
    GeneratorParam<Metric> metric{"metric", Metric::L2, {{"l2", Metric::L2}, {"scaled", Metric::Scaled}, {"cosine", Metric::Cosine}}};
    GeneratorParam<int> lanes{"lanes", 8};   // vector width; GPU, tokens: threads of a pixel
    // tokens: vectors of running sums, GPU: channels of a thread's round; planar: vectors of pixels
    GeneratorParam<int> sums{"sums", 4};
    GeneratorParam<int> strip{"strip", 32};  // pixels of one task, tokens; GPU: threads of a block along x
    GeneratorParam<int> pixels{"pixels", 8}; // GPU, tokens: pixels of a block

    Input<Buffer<float, 4>> f{"f"};
    Input<Buffer<float, 4>> g{"g"};
    Output<Buffer<float, 4>> out{"out"};

    void generate()
    {
        setLayout(f, layout);
        setLayout(g, layout);
        setLayout(out, layout == Layout::Planar ? Layout::Planar : Layout::Any);
        out.dim(2).set_extent(1);
        const Expr channels = f.dim(2).extent();

        if (layout == Layout::Tokens && get_target().has_gpu_feature())
        {
            // A lane is a thread. It reads `sums` channels a round, so that their loads do not wait for each other, then its share of
            // those that are left over.
            const int block = lanes.value() * sums.value();
            const Expr left0 = channels / block * block;
            whole = RDom(0, channels / block, "whole");
            left = RDom(0, (channels - left0 + lanes - 1) / lanes, "left");
            each = RDom(0, lanes, "each");
            std::vector<Expr> round = terms(x, y, whole * block + lane, n);
            for (int i = 1; i < sums; i++)
            {
                const std::vector<Expr> more = terms(x, y, whole * block + i * lanes + lane, n);
                for (size_t k = 0; k < round.size(); k++)
                    round[k] += more[k];
            }
            partial(lane, x, y, n) = zero();
            add(partial, {lane, x, y, n}, round);
            const Expr channel = left0 + left * lanes + lane;
            left.where(channel < channels);
            add(partial, {lane, x, y, n}, terms(x, y, clamp(channel, 0, channels - 1), n));
            total(x, y, n) = zero();
            addLanes();
        }
        else if (layout == Layout::Tokens)
        {
            // Channels in whole blocks, one running sum per lane, then the few that are left over.
            const int block = lanes.value() * sums.value();
            whole = RDom(0, channels / block, "whole");
            left = RDom(channels / block * block, channels % block, "left");
            each = RDom(0, block, "each");
            partial(lane, x, y, n) = zero();
            add(partial, {lane, x, y, n}, terms(x, y, whole * block + lane, n));
            total(x, y, n) = zero();
            add(total, {x, y, n}, terms(x, y, left, n));
            addLanes();
        }
        else
        {
            whole = RDom(0, channels, "whole");
            total(x, y, n) = zero();
            add(total, {x, y, n}, terms(x, y, whole, n));
        }

        const FuncRef sum = total(x, y, n);
        if (metric == Metric::L2)
            out(x, y, c, n) = sqrt(part(sum, 0));
        else if (metric == Metric::Scaled)
            out(x, y, c, n) = sqrt(part(sum, 0)) / max(sqrt(sqrt(part(sum, 1))), 1e-6f);
        else
            out(x, y, c, n) = 1.0f - part(sum, 2) / max(sqrt(part(sum, 0)) * sqrt(part(sum, 1)), 1e-12f);
    }

    void schedule()
    {
        Var task("task"), outer("outer"), inner("inner"), ti("ti");
        if (get_target().has_gpu_feature())
        {
            if (layout == Layout::Tokens)
            {
                // Neighbouring threads read neighbouring channels of one pixel, and leave their sums in the block's memory. One thread per
                // pixel adds them up, and those threads are neighbours too: what has to be serial is so for all pixels of the block at
                // once, with one barrier before it. A word more than the lanes from pixel to pixel puts both the threads that write
                // and those that read in banks of their own.
                out.split(x, x, outer, pixels, TailStrategy::GuardWithIf)
                    .split(outer, outer, pixel, std::min<int>(lanes, pixels)) // no wider than the lanes are
                    .reorder(pixel, outer, x, y, c, n)
                    .fuse(c, n, n)
                    .gpu_blocks(x, y, n)
                    .gpu_threads(pixel, outer);
                total.compute_at(out, pixel);
                total.update().unroll(each, 8);
                Func shared = partial.in(total);
                shared.compute_at(out, x).align_storage(lane, lanes + 1).bound_storage(x, pixels).gpu_threads(lane, x);
                partial.compute_at(shared, lane);
            }
            else
            {
                out.fuse(c, n, n).gpu_tile(x, ti, strip, TailStrategy::GuardWithIf).gpu_blocks(y, n);
                total.compute_at(out, ti);
            }
            return;
        }
        if (layout == Layout::Tokens)
        {
            out.split(x, task, x, strip, TailStrategy::GuardWithIf)
                .reorder(x, c, task, y, n)
                .fuse(task, y, task)
                .fuse(task, n, task);
            out.parallel(task);
            total.compute_at(out, x);
            partial.compute_at(out, x).vectorize(lane, lanes).unroll(lane);
            partial.update().reorder(lane, whole).vectorize(lane, lanes).unroll(lane);
            total.update(0).unscheduled();
            total.update(1).atomic().vectorize(each);
        }
        else if (layout == Layout::Planar)
        {
            const int tile = lanes.value() * sums.value();
            out.split(x, outer, inner, tile, TailStrategy::GuardWithIf)
                .split(inner, outer2, inner, lanes, TailStrategy::GuardWithIf);
            out.reorder(inner, outer2, c, outer, y, n).vectorize(inner).fuse(outer, y, task).fuse(task, n, task).parallel(task);
            total.compute_at(out, task).vectorize(x, lanes, TailStrategy::GuardWithIf);
            total.update().reorder(x, whole).vectorize(x, lanes, TailStrategy::GuardWithIf);
        }
        else
        {
            out.fuse(y, n, task).parallel(task);
            total.compute_at(out, x);
        }
    }

private:
    int count() const { return metric == Metric::L2 ? 1 : metric == Metric::Scaled ? 2 : 3; }

    Tuple zero() const { return Tuple(std::vector<Expr>(static_cast<size_t>(count()), Expr(0.0f))); }

    Expr part(const FuncRef& ref, int i) const { return count() == 1 ? Expr(ref) : Expr(ref[i]); }

    std::vector<Expr> terms(const Expr& px, const Expr& py, const Expr& channel, const Expr& image)
    {
        const Expr a = f(px, py, channel, image), b = g(px, py, channel, image);
        if (metric == Metric::L2)
            return {(a - b) * (a - b)};
        if (metric == Metric::Scaled)
            return {(a - b) * (a - b), a * a};
        return {a * a, b * b, a * b};
    }

    void add(Func& sum, const std::vector<Expr>& at, const std::vector<Expr>& values) const
    {
        std::vector<Expr> added;
        for (int i = 0; i < count(); i++)
            added.push_back(part(sum(at), i) + values[static_cast<size_t>(i)]);
        sum(at) = Tuple(added);
    }

    void addLanes()
    {
        std::vector<Expr> laneTerms;
        for (int i = 0; i < count(); i++)
            laneTerms.push_back(part(partial(each, x, y, n), i));
        add(total, {x, y, n}, laneTerms);
    }

    Var x{"x"}, y{"y"}, c{"c"}, n{"n"}, lane{"lane"}, pixel{"pixel"}, outer2{"outer2"};
    RDom whole, left, each;
    Func partial{"partial"}, total{"total"};
};

HALIDE_REGISTER_GENERATOR(Residual, residual)
