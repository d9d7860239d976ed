// The distance of two feature vectors at each pixel:
//   l2      sqrt(sum_c (f - g)^2)
//   scaled  sqrt(sum_c (f - g)^2) / max(sqrt |f|, 1e-6)
//   cosine  1 - f.g / max(|f| |g|, 1e-12)
#include "layout.h"

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
    GeneratorParam<int> lanes{"lanes", 8};  // vector width
    GeneratorParam<int> sums{"sums", 4};    // tokens: vectors of running sums; planar: vectors of pixels
    GeneratorParam<int> strip{"strip", 32}; // pixels of one task, tokens; GPU: threads of a block along x

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

        if (layout == Layout::Tokens)
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
            std::vector<Expr> laneTerms;
            for (int i = 0; i < count(); i++)
                laneTerms.push_back(part(partial(each, x, y, n), i));
            add(total, {x, y, n}, laneTerms);
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
                // One block per pixel: neighbouring threads read neighbouring channels.
                out.reorder(x, y, c, n).fuse(c, n, n).gpu_blocks(x, y, n);
                partial.compute_at(out, x).gpu_threads(lane);
                partial.update().gpu_threads(lane);
                total.compute_at(out, x);
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

    Var x{"x"}, y{"y"}, c{"c"}, n{"n"}, lane{"lane"}, outer2{"outer2"};
    RDom whole, left, each;
    Func partial{"partial"}, total{"total"};
};

HALIDE_REGISTER_GENERATOR(Residual, residual)
