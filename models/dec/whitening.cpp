#include "models/dec/whitening.h"

#include "common/error.h"

#include <ATen/ATen.h>
#include <map>

namespace agpnet::dec
{

at::Tensor Whitening::operator()(const at::Tensor& rows) const
{
    if (!mean.defined())
        return rows;
    const at::Tensor centred = rows - mean;
    return matrix.defined() ? at::matmul(centred, matrix) : centred;
}

Whitening Whitening::checked(const at::Tensor& mean, const at::Tensor& matrix, int64_t width)
{
    const auto good = [](const at::Tensor& tensor, std::vector<int64_t> shape)
    { return tensor.scalar_type() == at::kFloat && tensor.sizes() == at::IntArrayRef(shape) && at::isfinite(tensor).all().item<bool>(); };
    require(!mean.defined() || good(mean, {width}), "the whitening's mean is not {} finite values", width);
    require(!matrix.defined() || (mean.defined() && good(matrix, {width, width})), "the whitening's matrix is not {} x {} finite values",
            width, width);
    return {mean, matrix};
}

Whitening centringOf(const at::Tensor& embeddings)
{
    return {embeddings.to(at::kDouble).mean(0).to(at::kFloat), {}};
}

Whitening whiteningOf(const at::Tensor& embeddings, const std::vector<int64_t>& groups, double shrink)
{
    require(embeddings.dim() == 2 && static_cast<size_t>(embeddings.size(0)) == groups.size() && embeddings.size(0) > 0,
            "whitening is learned from {} embeddings in {} groups, expected a group for each", embeddings.size(0), groups.size());
    const at::Tensor rows = embeddings.to(at::kDouble);
    std::map<int64_t, int64_t> numbers; // groups from 0
    std::vector<int64_t> places;
    for (const int64_t group : groups)
        places.push_back(numbers.try_emplace(group, static_cast<int64_t>(numbers.size())).first->second);
    const at::Tensor place = at::tensor(places);
    const auto count = static_cast<int64_t>(numbers.size());
    const at::Tensor sums = at::zeros({count, rows.size(1)}, at::kDouble).index_add(0, place, rows);
    const at::Tensor sizes = at::zeros({count}, at::kDouble).index_add(0, place, at::ones({rows.size(0)}, at::kDouble));
    const at::Tensor around = rows - (sums / sizes.unsqueeze(1)).index_select(0, place);
    const at::Tensor covariance = at::matmul(around.t(), around) / static_cast<double>(rows.size(0));
    const auto [values, vectors] = at::linalg_eigh(covariance, "L");
    const double mean = values.mean().item<double>();
    require(mean > 0, "whitening is learned from {} embeddings in {} groups, of which none has two that differ; expected several views of "
                      "an object",
            rows.size(0), count);
    const at::Tensor scale = (values.clamp_min(0) + shrink * mean).rsqrt();
    const at::Tensor matrix = at::matmul(vectors * scale, vectors.t());
    return {rows.mean(0).to(at::kFloat), matrix.to(at::kFloat).contiguous()};
}

} // namespace agpnet::dec
