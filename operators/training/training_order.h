// The image for each position of each batch. A pure function of the counts, the seed and the place, so that a training that was
// stopped at any step goes on exactly.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace agpnet
{

constexpr size_t mostCalibrated = 64; ///< images of a product that thresholds are taken from; more change them little

/// A permutation of 0 .. count-1 that is the same with every standard library.
std::vector<size_t> permutation(size_t count, uint64_t seed);

/// The images of a product for training, and the held-out ones for its thresholds.
struct Split
{
    /// @param shots  0: a tenth is held out if there are enough images; otherwise the number of images to train on, and none is held out
    Split(size_t count, uint64_t seed, size_t shots);
    std::vector<size_t> trained, heldBack;
};

class TrainingOrder
{
public:
    /// @param counts  number of images of each product, at least one
    /// @param shots   as in Split
    TrainingOrder(const std::vector<size_t>& counts, uint64_t seed, size_t shots);

    struct Place
    {
        size_t product, image;
        size_t visit; ///< how often this image occurred before
    };

    /// place = step · batch + number in the batch. Among as many places as there are products, each product comes once.
    Place operator[](size_t place);

    const std::vector<Split>& splits() const { return splits_; }

private:
    /// The last permutation asked for: places come one after another.
    struct Shuffle
    {
        size_t epoch = SIZE_MAX;
        std::vector<size_t> order;
        size_t at(size_t place, size_t count, uint64_t seed); ///< seed: of epoch 0; each epoch has the next
    };
    uint64_t seedOf(size_t product) const;

    uint64_t seed_;
    std::vector<Split> splits_;
    std::vector<Shuffle> pictures_;
    Shuffle products_;
};

} // namespace agpnet
