// The stages as OpenCV functions: binds Mat and UMat to views, and picks the device by where the data lies.
#include "agpnet/stages.hpp"

#include "operators/core/array_binding.h"
#include "operators/core/forked.h"
#include "operators/core/opencv_exceptions.h"
#include "operators/core/operator.h"

namespace agpnet
{
namespace
{

static_assert(static_cast<int>(stages::Metric::L2) == RESIDUAL_L2 && static_cast<int>(stages::Metric::Cosine) == RESIDUAL_COSINE &&
              static_cast<int>(stages::Metric::Scaled) == RESIDUAL_SCALED);

stages::Metric stageMetric(ResidualMetric metric)
{
    require(metric >= RESIDUAL_L2 && metric <= RESIDUAL_SCALED, "residual: the metric is {}, expected {} to {}", static_cast<int>(metric),
            static_cast<int>(RESIDUAL_L2), static_cast<int>(RESIDUAL_SCALED));
    return static_cast<stages::Metric>(metric);
}

} // namespace

void perturb(cv::InputArray x, cv::InputArray attention, cv::OutputArray out, const PerturbParams& params)
{
    guarded([&] {
        requireThreads();
        stages::PerturbParams stage;
        stage.level = params.level == NOISE_IMAGE ? stages::Level::Image : stages::Level::Feature;
        stage.alpha = params.alpha;
        stage.beta = params.beta;
        stage.ratio = params.ratio;
        stage.seed = params.seed;
        stage.step = params.step;
        StageCall call({{"x", x}, {"attention", attention}});
        call.output(out, call.shape(0));
        stages::perturb(call.device(), call.input(0), call.input(1), stage, call.outputView(0));
        call.finish();
    });
}

void residual(cv::InputArray features, cv::InputArray reconstructed, cv::OutputArray distance, ResidualMetric metric)
{
    guarded([&] {
        requireThreads();
        StageCall call({{"features", features}, {"reconstructed", reconstructed}});
        const Shape shape = call.shape(0);
        call.output(distance, {shape[0], 1, shape[2], shape[3]});
        stages::residual(call.device(), call.input(0), call.input(1), stageMetric(metric), call.outputView(0));
        call.finish();
    });
}

void heatmap(cv::InputArray residual, cv::OutputArray map, cv::OutputArray score, cv::Size size, double sigma, ScoreKind kind)
{
    guarded([&] {
        requireThreads();
        require(size.width > 0 && size.height > 0, "heatmap: size is {}x{}, expected at least 1x1", size.width, size.height);
        StageCall call({{"residual", residual}});
        const Shape shape = call.shape(0);
        call.output(map, {shape[0], 1, size.height, size.width});
        // the stage gives both scores; the one that was not asked for has nowhere to go
        call.output(kind == SCORE_MAX ? score : cv::noArray(), {shape[0], 1});
        call.output(kind == SCORE_TOP1 ? score : cv::noArray(), {shape[0], 1});
        stages::heatmap(call.device(), call.input(0), sigma, call.outputView(0), call.outputView(1), call.outputView(2));
        call.finish();
    });
}

void nearest(cv::InputArray queries, cv::InputArray rows, int k, cv::OutputArray indices, cv::OutputArray similarities,
             cv::InputArray scale)
{
    guarded([&] {
        requireThreads();
        require(k >= 1, "nearest: k is {}, expected at least 1", k);
        const bool scaled = scale.kind() != cv::_InputArray::NONE && !scale.empty();
        StageCall call = scaled ? StageCall({{"queries", queries}, {"scale", scale}}) : StageCall({{"queries", queries}});
        const stages::Rows gallery = call.rows("rows", rows);
        const Shape shape = {call.shape(0)[0], k};
        call.output(similarities, shape);
        call.output(indices, shape, CV_32S);
        stages::nearest(call.device(), call.input(0), gallery, scaled ? call.input(1) : stages::View{}, call.outputView(0),
                        call.outputView(1));
        call.finish();
    });
}

} // namespace agpnet
