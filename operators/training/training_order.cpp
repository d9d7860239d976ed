#include "operators/training/training_order.h"

#include "common/error.h"

#include <algorithm>
#include <numeric>
#include <random>

namespace agpnet
{

constexpr size_t leastForHoldout = 20; // with fewer images all are trained on

std::vector<size_t> permutation(size_t count, uint64_t seed)
{
    std::vector<size_t> order(count);
    std::iota(order.begin(), order.end(), size_t{0});
    std::mt19937_64 random(seed);
    for (size_t i = count; i > 1; i--)
        std::swap(order[i - 1], order[random() % i]);
    return order;
}

Split::Split(size_t count, uint64_t seed, size_t shots)
{
    const std::vector<size_t> order = permutation(count, seed);
    size_t held = count >= leastForHoldout ? std::min(count / 10, mostCalibrated) : 0, end = count;
    if (shots > 0)
    {
        require(shots <= count, "config: 'shots' is {}, but there are {} images, expected at least as many", shots, count);
        held = 0;
        end = shots;
    }
    heldBack.assign(order.begin(), order.begin() + static_cast<std::ptrdiff_t>(held));
    trained.assign(order.begin() + static_cast<std::ptrdiff_t>(held), order.begin() + static_cast<std::ptrdiff_t>(end));
}

TrainingOrder::TrainingOrder(const std::vector<size_t>& counts, uint64_t seed, size_t shots) : seed_(seed), pictures_(counts.size())
{
    for (size_t i = 0; i < counts.size(); i++)
    {
        require(counts[i] > 0, "no training images, expected at least one");
        splits_.emplace_back(counts[i], seedOf(i), shots);
    }
}

/// Far apart, because epochs count up from it; of the first product, the seed itself.
uint64_t TrainingOrder::seedOf(size_t product) const
{
    return seed_ + product * 0x9E3779B97F4A7C15ull;
}

size_t TrainingOrder::Shuffle::at(size_t place, size_t count, uint64_t seed)
{
    if (place / count != epoch)
    {
        epoch = place / count;
        order = permutation(count, seed + epoch);
    }
    return order[place % count];
}

TrainingOrder::Place TrainingOrder::operator[](size_t place)
{
    const size_t product = products_.at(place, splits_.size(), ~seed_);
    const size_t turn = place / splits_.size(); // each product's turns are counted alike
    const std::vector<size_t>& trained = splits_[product].trained;
    return {product, trained[pictures_[product].at(turn, trained.size(), seedOf(product) + 1)], turn / trained.size()};
}

} // namespace agpnet
