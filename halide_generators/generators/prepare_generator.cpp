// A picture to what the model takes, in one pass over its pixels: resized (area average where both sides shrink, else bilinear with
// half-pixel centres), channels in the model's order, 0 to 1, planes instead of pixels.
//
// Both ways of resizing are a short weighted sum along each axis. Along y first, where whole rows are added up; what is left is one row
// of the picture's width for each of the output.
#include "layout.h"

using namespace Halide;

class Prepare : public Generator<Prepare>
{
public:
    GeneratorParam<int> lanes{"lanes", 8};     // vector width; GPU: threads of a block along x
    GeneratorParam<int> vectors{"vectors", 4}; // vectors of a picture row added up together
    GeneratorParam<int> strip{"strip", 16};    // output rows of one task

    Input<Buffer<void, 2>> image{"image"};     // (x · channels + channel, y)
    Input<int32_t> channels{"channels"};       // 1 grey, 3 BGR, 4 BGRA, 6 BGR and geometry
    Input<int32_t> area{"area"};               // 1: average over the area, 0: bilinear
    Output<Buffer<float, 4>> out{"out"};

    void generate()
    {
        setLayout(out, Layout::Any);
        out.dim(3).set_extent(1);
        image.dim(0).set_min(0);
        image.dim(1).set_min(0);
        const Expr row = image.dim(0).extent(), height = image.dim(1).extent(), width = row / channels;

        down.define(*this, height, out.dim(1).extent());
        across.define(*this, width, out.dim(0).extent());

        const Expr y0 = clamp(down.first(y) + down.band, 0, height - 1);
        sum(e, y) = 0.0f;
        sum(e, y) += down.weight(y, down.band) * unitValue(image(e, y0));
        rows(e, y) = sum(e, y);

        // grey is all three; BGR turns round; what comes after stays
        const Expr channel = select(channels == 1, 0, c < 3, 2 - c, c);
        const Expr x0 = clamp(across.first(x) + across.band, 0, width - 1);
        pixel(x, y, c) = 0.0f;
        pixel(x, y, c) += across.weight(x, across.band) * rows(clamp(x0 * channels + channel, 0, row - 1), y);
        out(x, y, c, n) = pixel(x, y, c);
    }

    void schedule()
    {
        if (get_target().has_gpu_feature())
            scheduleGpu();
        else
            scheduleCpu();
    }

private:
    /// One axis: `first(i)` is the first position that output position i draws on, weight(i, b) the weight of the b-th from there.
    struct Axis
    {
        Func first, weight;
        RDom band;

        void define(Prepare& at, const Expr& in, const Expr& size)
        {
            const Var& i = at.x;
            const Var& b = at.b;
            // exact, as multiples of 1 / size and of 1 / (2 size)
            const Expr from = i * in, to = from + in;
            const Expr unit = 2 * size, centre = clamp((2 * i + 1) * in - size, 0, unit * (in - 1));
            first(i) = select(at.area == 1, from / size, centre / unit);
            const Expr at0 = first(i) + b;
            const Expr covered = max(min((at0 + 1) * size, to) - max(at0 * size, from), 0);
            const Expr beyond = cast<float>(centre % unit) / cast<float>(unit);
            weight(i, b) = select(at.area == 1, cast<float>(covered) / cast<float>(in), b == 0, 1.0f - beyond, b == 1, beyond, 0.0f);
            band = RDom(0, select(at.area == 1, in / size + 2, 2), "band");
        }
    };

    /// 0 to 1, before anything is added up, rounded as OpenCV's convertTo() and blobFromImage() round it. The rows for the CPU are compiled
    /// with strict_float: the sums that follow then are the same, to the last bit, for a picture of any type and on any CPU.
    Expr unitValue(const Expr& value)
    {
        if (value.type().is_float())
            return value;
        const double most = value.type().bits() == 8 ? 255 : 65535;
        return cast<float>(value) * static_cast<float>(1 / most);
    }

    void scheduleCpu()
    {
        Var task("task"), outer("outer");
        for (Axis* axis : {&down, &across})
        {
            axis->first.compute_root();
            axis->weight.compute_root();
        }
        out.split(y, task, y, strip, TailStrategy::GuardWithIf)
            .reorder(x, c, y, task, n)
            .vectorize(x, lanes, TailStrategy::GuardWithIf)
            .parallel(task);
        out.specialize(out.dim(0).stride() == 1);
        pixel.compute_at(out, x).vectorize(x);
        pixel.update().reorder(x, across.band).vectorize(x);
        const int together = lanes.value() * vectors.value();
        rows.compute_at(out, y)
            .split(e, outer, e, together, TailStrategy::GuardWithIf)
            .vectorize(e, lanes, TailStrategy::GuardWithIf);
        sum.compute_at(rows, outer).vectorize(e, lanes, TailStrategy::GuardWithIf);
        sum.update().reorder(e, down.band).vectorize(e, lanes, TailStrategy::GuardWithIf);
    }

    void scheduleGpu()
    {
        // The axes are worked out where they are used: a launch takes longer. Each way of resizing has kernels of its own, that no thread
        // works out the weights of both.
        Var ti("ti"), tj("tj");
        const auto guard = TailStrategy::GuardWithIf;
        rows.compute_root().gpu_tile(e, y, ti, tj, lanes, strip, guard);
        sum.compute_at(rows, ti);
        out.fuse(c, n, c).gpu_tile(x, y, ti, tj, lanes, strip, guard).gpu_blocks(c);
        pixel.compute_at(out, ti);
        rows.specialize(area == 1);
        out.specialize(area == 1);
    }

    Var x{"x"}, y{"y"}, c{"c"}, n{"n"}, e{"e"}, b{"b"};
    Func sum{"sum"}, rows{"rows"}, pixel{"pixel"};
    Axis down, across;
};

HALIDE_REGISTER_GENERATOR(Prepare, prepare)
