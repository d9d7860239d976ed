// What was computed of the images of a training, kept between epochs: a frozen backbone gives the same for the same image.
#pragma once

#include <ATen/core/Tensor.h>
#include <cstdint>
#include <map>
#include <vector>

namespace agpnet
{

/// An image, or a tile of one, that training looks at.
struct View
{
    size_t product = 0, image = 0, tile = 0;
    auto operator<=>(const View&) const = default;
};

class ImageCache
{
public:
    explicit ImageCache(int64_t budgetBytes) : budget_(budgetBytes) {}

    /// Null where nothing is kept.
    const std::vector<at::Tensor>* find(const View& view) const
    {
        const auto it = entries_.find(view);
        return it == entries_.end() ? nullptr : &it->second;
    }

    /// Keeps the tensors, if they still fit.
    void keep(const View& view, std::vector<at::Tensor> tensors)
    {
        int64_t bytes = 0;
        for (const at::Tensor& tensor : tensors)
            bytes += static_cast<int64_t>(tensor.nbytes());
        if (used_ + bytes > budget_)
            return;
        if (entries_.emplace(view, std::move(tensors)).second)
            used_ += bytes;
    }

private:
    int64_t budget_, used_ = 0;
    std::map<View, std::vector<at::Tensor>> entries_;
};

} // namespace agpnet
