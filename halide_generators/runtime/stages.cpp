#include "halide_generators/runtime/stages.h"

#include "halide_generators/runtime/call_layer.h"
#include "halide_generators/runtime/choices.h"
#include "halide_generators/runtime/stage_table.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

namespace agpnet::stages
{

void prepare(const Device& device, const Picture& image, const View& out)
{
    const char* stage = "prepare";
    check(stage, "out", out, Use::Write);
    require(image.data != nullptr, "{}: the image has no memory", stage);
    require(image.rows >= 1 && image.columns >= 1, "{}: the image has {}x{} pixels; expected at least one", stage, image.columns,
            image.rows);
    require(image.channels == 1 || image.channels == 3 || image.channels == 4 || image.channels == 6,
            "{}: the image has {} channels; expected 1, 3, 4 or 6", stage, image.channels);
    const int bytes = bytesOf(image.depth);
    const int64_t row = static_cast<int64_t>(image.columns) * image.channels;
    require(image.step >= row * bytes && image.step % bytes == 0 && image.offset % static_cast<size_t>(bytes) == 0,
            "{}: rows of {} values of {} bytes lie {} bytes apart; expected no less, and a multiple of a value's size", stage, row, bytes,
            image.step);
    require(image.step / bytes * image.rows <= INT32_MAX, "{}: the image spans {} values; at most {} are possible", stage,
            image.step / bytes * image.rows, INT32_MAX);
    const bool plane = image.channels == 1 && out.size[C] == 1;
    checkSize(stage, "out", out, {1, image.channels == 6 ? 6 : plane ? 1 : 3, out.size[H], out.size[W]});
    for (const auto& [from, to] : {std::pair(image.rows, out.size[H]), std::pair(image.columns, out.size[W])})
        require(static_cast<int64_t>(from + 2) * to < (1 << 29), "{}: an image of {}x{} to {} is too large", stage, image.columns,
                image.rows, shapeText(out));

    int32_t channels = image.channels;
    int32_t area = out.size[H] < image.rows && out.size[W] < image.columns;
    const CompiledVariant& variant =
        choose(device, {stage, nameOf(image.depth), "any", {1, image.channels, image.rows, image.columns}, {out.size[H], out.size[W]}});
    Call call{device, threadsFor(0.3 * static_cast<double>(row) * image.rows + elements(out))};
    Buffer bufferIn(call, stage, "image", image), bufferOut(call, stage, "out", out, Use::Write);
    run(stage, variant, call, bufferIn.raw(), &channels, &area, bufferOut.raw());
}

void perturb(const Device& device, const View& x, const View& attention, const PerturbParams& params, const View& out)
{
    const char* stage = "perturb";
    check(stage, "x", x, Use::Read);
    check(stage, "attention", attention, Use::Read);
    check(stage, "out", out, Use::Write);
    checkSize(stage, "out", out, x.size);
    checkSize(stage, "attention", attention, {x.size[N], 1, attention.size[H], attention.size[W]});
    for (size_t axis : {H, W})
        require(static_cast<int64_t>(x.size[axis]) * attention.size[axis] < (1 << 29),
                "perturb: x {} with attention {} is too large", shapeText(x), shapeText(attention));
    require(params.ratio >= 0 && params.ratio <= 1, "perturb: ratio is {}; expected 0 to 1", params.ratio);
    require(std::isfinite(params.alpha) && std::isfinite(params.beta), "perturb: alpha is {} and beta {}; both must be finite",
            params.alpha, params.beta);

    View from = x, cells = attention, to = out;
    if (x.size[H] == attention.size[H] && x.size[W] == attention.size[W] && joins(x) && joins(attention) && joins(out))
    {
        from = joined(x);
        cells = joined(attention);
        to = joined(out);
    }
    int32_t kept = static_cast<int32_t>(std::llround(params.ratio * cells.size[H] * cells.size[W]));
    float alpha = params.alpha, beta = params.beta;
    uint32_t low = static_cast<uint32_t>(params.seed), high = static_cast<uint32_t>(params.seed >> 32);
    uint32_t step = params.step, level = params.level == Level::Image, firstImage = params.firstImage;

    const CompiledVariant& row =
        choose(device, {stage, "", layoutOf({&from, &to}, {&from, &to}), x.size, {attention.size[H], attention.size[W]}});
    Call call{device, threadsFor(elements(to))};
    Buffer bufferX(call, stage, "x", from, Use::Read), bufferA(call, stage, "attention", cells, Use::Read),
        bufferOut(call, stage, "out", to, Use::Write);
    run(stage, row, call, bufferX.raw(), bufferA.raw(), &alpha, &beta, &kept, &low, &high, &step, &level, &firstImage,
        bufferOut.raw());
}

void residual(const Device& device, const View& f, const View& g, Metric metric, const View& out)
{
    const char* stage = "residual";
    check(stage, "f", f, Use::Read);
    check(stage, "g", g, Use::Read);
    check(stage, "out", out, Use::Write);
    checkSize(stage, "g", g, f.size);
    checkSize(stage, "out", out, {f.size[N], 1, f.size[H], f.size[W]});

    const bool join = joins(f) && joins(g) && joins(out);
    const View a = join ? joined(f) : f, b = join ? joined(g) : g, to = join ? joined(out) : out;
    const CompiledVariant& row = choose(device, {stage, nameOf(metric), layoutOf({&a, &b}, {&a, &b, &to}), f.size, {}});
    Call call{device, threadsFor(0.15 * elements(a))};
    Buffer bufferF(call, stage, "f", a, Use::Read), bufferG(call, stage, "g", b, Use::Read),
        bufferOut(call, stage, "out", to, Use::Write);
    run(stage, row, call, bufferF.raw(), bufferG.raw(), bufferOut.raw());
}

void heatmap(const Device& device, const View& residual, double sigma, const View& map, const View& maximum, const View& top1)
{
    const char* stage = "heatmap";
    check(stage, "residual", residual, Use::Read);
    check(stage, "map", map, Use::Write);
    check(stage, "maximum", maximum, Use::Write);
    check(stage, "top1", top1, Use::Write);
    checkSize(stage, "residual", residual, {residual.size[N], 1, residual.size[H], residual.size[W]});
    checkSize(stage, "map", map, {residual.size[N], 1, map.size[H], map.size[W]});
    checkSize(stage, "maximum", maximum, {residual.size[N], 1, 1, 1});
    checkSize(stage, "top1", top1, {residual.size[N], 1, 1, 1});
    for (size_t axis : {H, W})
        require(static_cast<int64_t>(residual.size[axis] + 2) * map.size[axis] < (1 << 29),
                "heatmap: residual {} with map {} is too large", shapeText(residual), shapeText(map));
    require(sigma >= 0 && sigma <= 256, "heatmap: sigma is {}; expected 0 to 256", sigma);

    int32_t radius = static_cast<int32_t>(4 * sigma + 0.5);
    float falloff = radius > 0 ? static_cast<float>(1 / (2 * sigma * sigma)) : 0.0f;
    int32_t top = static_cast<int32_t>(std::max<int64_t>(1, static_cast<int64_t>(map.size[H]) * map.size[W] / 100));
    // Schedules are measured with a blur; without one it is another workload, and no choice's shape is near zero.
    const std::array<int, 4> from = radius > 0 ? residual.size : std::array<int, 4>{};
    const CompiledVariant& row = choose(device, {stage, "", "any", from, {map.size[H], map.size[W]}});
    Call call{device, threadsFor(map.size[N] > 1 ? elements(map) : 0.2 * elements(map))};
    Buffer bufferIn(call, stage, "residual", residual, Use::Read), bufferMap(call, stage, "map", map, Use::Write),
        bufferMax(call, stage, "maximum", maximum, Use::Write, {N}), bufferTop(call, stage, "top1", top1, Use::Write, {N});
    run(stage, row, call, bufferIn.raw(), &radius, &falloff, &top, bufferMap.raw(), bufferMax.raw(), bufferTop.raw());
}

std::vector<Variant> variants()
{
    std::vector<Variant> all;
    for (const CompiledVariant* variant : allVariants())
        all.push_back(
            {variant->stage, apiOf(variant->api), variant->name, variant->target, variant->layout, variant->kind, runsHere(*variant, 0)});
    return all;
}

std::vector<std::string> variantNames(Api api)
{
    size_t kinds = 0; // of all stages, one for a stage without
    for (const Stage& stage : stageTable())
        kinds += std::max<size_t>(1, stage.kinds.size());
    std::map<std::string, std::set<std::string>> kindsOf;
    std::vector<std::string> names;
    for (const Variant& variant : variants())
        if (variant.api == api && variant.usable && kindsOf[variant.name].insert(variant.stage + variant.kind).second &&
            kindsOf[variant.name].size() == kinds)
            names.push_back(variant.name);
    return names;
}

} // namespace agpnet::stages
