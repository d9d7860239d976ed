#include "operators/agpnet/training/training_images.h"

#include "common/stopwatch.h"
#include "operators/agpnet/inspection/inference.h"
#include "operators/image/preprocess.h"

#include <ATen/ATen.h>

namespace agpnet
{

TrainingImages::TrainingImages(const std::vector<ImageSet>& products, TrainingOrder& order, const Training& training, const ValueRange& range)
    : products_(products), order_(order), training_(training), range_(range), tiling_(inspectionOf(training.config()).tiling),
      store_(static_cast<int64_t>(training.config().cacheMiB) << 20)
{
}

size_t TrainingImages::trained() const
{
    size_t count = 0;
    for (const Split& split : order_.splits())
        count += split.trained.size();
    return count;
}

View TrainingImages::view(size_t place)
{
    const TrainingOrder::Place at = order_[place];
    View view{at.product, at.image, 0};
    if (tiling_.side > 0)
    {
        size_t& tiles = tiles_[{at.product, at.image}];
        if (tiles == 0)
            tiles = TileGrid(products_[at.product].image(at.image).size(), tiling_).size();
        view.tile = permutation(tiles, training_.config().seed + at.image)[at.visit % tiles];
    }
    return view;
}

cv::Mat TrainingImages::read(const View& view)
{
    const TimeInto time(times_.reading);
    const cv::Mat image = products_[view.product].image(view.image);
    return tiling_.side == 0 || image.empty() ? image : image(TileGrid(image.size(), tiling_)[view.tile]);
}

Features TrainingImages::features(const std::vector<View>& views)
{
    std::vector<at::Tensor> tokens, prior;
    for (const View& view : views)
    {
        const Features one = featuresOf(view);
        tokens.push_back(one.tokens);
        prior.push_back(one.prior);
    }
    return {at::stack(tokens), at::stack(prior)};
}

Features TrainingImages::featuresOf(const View& view)
{
    if (const Features* known = store_.find(view))
        return *known;
    // One by one, never with its neighbours of the batch: those that are not known yet are others after a resumed start, and the
    // last bit of a matrix product may depend on the number of its rows.
    const Config& config = training_.config();
    const at::Tensor picture = imagesToBatch({read(view)}, {config.width, config.height}, range_);
    const TimeInto time(times_.backbone);
    const Features fresh = training_.features(picture);
    store_.keep(view, fresh, 0);
    return {fresh.tokens[0], fresh.prior[0]};
}

} // namespace agpnet
