#include "operators/training/training_images.h"

#include "common/stopwatch.h"
#include "operators/image/preprocess.h"

#include <ATen/ATen.h>

namespace agpnet
{

TrainingImages::TrainingImages(const std::vector<ImageSet>& products, TrainingOrder& order, const TrainingInput& input,
                               const ValueRange& range, Compute compute)
    : products_(products), order_(order), input_(input), range_(range), compute_(std::move(compute)), cache_(input.cacheBytes)
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
    if (input_.tiling.side > 0)
    {
        size_t& tiles = tiles_[{at.product, at.image}];
        if (tiles == 0)
            tiles = TileGrid(products_[at.product].image(at.image).size(), input_.tiling).size();
        view.tile = permutation(tiles, input_.seed + at.image)[at.visit % tiles];
    }
    return view;
}

cv::Mat TrainingImages::read(const View& view)
{
    const TimeInto time(times_.reading);
    const cv::Mat image = products_[view.product].image(view.image);
    return input_.tiling.side == 0 || image.empty() ? image : image(TileGrid(image.size(), input_.tiling)[view.tile]);
}

std::vector<at::Tensor> TrainingImages::computed(const std::vector<View>& views)
{
    std::vector<std::vector<at::Tensor>> parts;
    for (const View& view : views)
    {
        const std::vector<at::Tensor> one = computedOf(view);
        parts.resize(one.size());
        for (size_t i = 0; i < one.size(); i++)
            parts[i].push_back(one[i]);
    }
    std::vector<at::Tensor> stacked;
    for (const std::vector<at::Tensor>& part : parts)
        stacked.push_back(at::stack(part));
    return stacked;
}

std::vector<at::Tensor> TrainingImages::computedOf(const View& view)
{
    if (const std::vector<at::Tensor>* known = cache_.find(view))
        return *known;
    // One by one, never with its neighbours of the batch: those that are not known yet are others after a resumed start, and the
    // last bit of a matrix product may depend on the number of its rows.
    const at::Tensor image = imagesToBatch({read(view)}, input_.size, range_);
    const TimeInto time(times_.backbone);
    std::vector<at::Tensor> fresh;
    for (const at::Tensor& tensor : compute_(image))
        fresh.push_back(tensor[0].clone());
    cache_.keep(view, fresh);
    return fresh;
}

} // namespace agpnet
