#include "models/index/gallery.h"

#include "common/error.h"
#include "common/json_text.h"
#include "halide_generators/runtime/stages.h"
#include "models/device/tensor_view.h"

#include <ATen/ATen.h>
#include <algorithm>
#include <cmath>
#include <numeric>

namespace agpnet
{
namespace
{

constexpr size_t longestName = 1024, longestNote = 1 << 20;

void checkName(const std::string& name)
{
    require(!name.empty() && name.size() <= longestName, "the entry's name has {} bytes, expected 1 to {}", name.size(), longestName);
    require(isUtf8(name) && std::none_of(name.begin(), name.end(), [](unsigned char c) { return c < 0x20 || c == 0x7F; }),
            "the entry's name '{}' is not UTF-8 text without control characters", printable(name));
}

PackedTexts packedTexts(const std::vector<std::string>& texts)
{
    PackedTexts packed;
    const size_t all =
        std::accumulate(texts.begin(), texts.end(), size_t{0}, [](size_t sum, const std::string& text) { return sum + text.size(); });
    packed.bytes = at::empty({static_cast<int64_t>(all)}, at::kByte);
    packed.ends = at::empty({static_cast<int64_t>(texts.size())}, at::kLong);
    auto* to = packed.bytes.data_ptr<uint8_t>();
    int64_t end = 0;
    for (size_t i = 0; i < texts.size(); i++)
    {
        std::copy(texts[i].begin(), texts[i].end(), to + end);
        end += static_cast<int64_t>(texts[i].size());
        packed.ends.data_ptr<int64_t>()[i] = end;
    }
    return packed;
}

} // namespace

std::string_view PackedTexts::at(int64_t i) const
{
    const auto* end = ends.const_data_ptr<int64_t>();
    const int64_t from = i == 0 ? 0 : end[i - 1], to = end[i];
    require(from >= 0 && from <= to && to <= bytes.size(0), "the gallery's text {} is said to lie at {} to {} of {} bytes", i, from, to,
            bytes.size(0));
    return {reinterpret_cast<const char*>(bytes.const_data_ptr<uint8_t>()) + from, static_cast<size_t>(to - from)};
}

GalleryRows::GalleryRows(int64_t width, std::string space) : width_(width), space_(std::move(space))
{
    require(width > 0, "the gallery's descriptors are {} wide, expected at least 1", width);
    rows_ = at::empty({0, width}, at::kFloat);
}

GalleryRows::GalleryRows(std::string space, at::Tensor rows, PackedTexts names, PackedTexts notes, at::Tensor byName,
                         std::function<void()> check)
    : width_(rows.size(1)), space_(std::move(space)), inFile_(true), fileNames_(std::move(names)), fileNotes_(std::move(notes)),
      byName_(std::move(byName)), check_(std::make_shared<std::function<void()>>(std::move(check))), rows_(std::move(rows))
{
}

int64_t GalleryRows::size() const
{
    return inFile_ ? rows_.size(0) : static_cast<int64_t>(names_.size());
}

std::string GalleryRows::name(int64_t row) const
{
    require(row >= 0 && row < size(), "the gallery has no entry {}, expected 0 to {}", row, size() - 1);
    return inFile_ ? std::string(fileNames_.at(row)) : names_[static_cast<size_t>(row)];
}

std::string GalleryRows::note(int64_t row) const
{
    require(row >= 0 && row < size(), "the gallery has no entry {}, expected 0 to {}", row, size() - 1);
    return inFile_ ? std::string(fileNotes_.at(row)) : notes_[static_cast<size_t>(row)];
}

int64_t GalleryRows::find(std::string_view name) const
{
    if (!inFile_)
    {
        const auto found = places_.find(std::string(name));
        return found == places_.end() ? -1 : found->second;
    }
    const auto* order = byName_.const_data_ptr<int64_t>();
    const auto* end = order + byName_.size(0);
    const auto rowOf = [&](int64_t row) {
        require(row >= 0 && row < size(), "the gallery's order of names has the entry {}, expected 0 to {}", row, size() - 1);
        return fileNames_.at(row);
    };
    const auto* found = std::lower_bound(order, end, name, [&](int64_t row, std::string_view wanted) { return rowOf(row) < wanted; });
    return found != end && rowOf(*found) == name ? *found : -1;
}

void GalleryRows::checked() const
{
    if (inFile_)
        (*check_)();
}

void GalleryRows::own()
{
    if (!inFile_)
        return;
    checked();
    std::vector<std::string> names, notes;
    std::unordered_map<std::string, int64_t> places;
    for (int64_t row = 0; row < size(); row++)
    {
        names.emplace_back(fileNames_.at(row));
        notes.emplace_back(fileNotes_.at(row));
        require(places.emplace(names.back(), row).second, "the gallery has the name '{}' twice", names.back());
    }
    rows_ = rows_.clone();
    names_ = std::move(names);
    notes_ = std::move(notes);
    places_ = std::move(places);
    inFile_ = false;
    fileNames_ = fileNotes_ = {};
    byName_ = at::Tensor();
    check_.reset();
}

at::Tensor GalleryRows::accepted(const at::Tensor& descriptor) const
{
    const at::Tensor row = descriptor.detach().to(at::kCPU, at::kFloat).reshape({-1});
    require(row.size(0) == width_, "the descriptor has {} values, expected the gallery's {}", row.size(0), width_);
    const double length = row.to(at::kDouble).norm().item<double>();
    require(std::isfinite(length), "the descriptor has values that are not finite");
    require(length > 1e-12, "the descriptor is zero, expected one with a direction");
    return row / length;
}

void GalleryRows::add(const std::string& name, const at::Tensor& descriptor, const std::string& note)
{
    require(find(name) < 0, "the gallery has an entry '{}' already; expected another name, or to replace it", name);
    put(name, descriptor, note);
}

void GalleryRows::put(const std::string& name, const at::Tensor& descriptor, const std::string& note)
{
    checkName(name);
    require(note.size() <= longestNote, "the note of '{}' has {} bytes, expected at most {}", name, note.size(), longestNote);
    if (!note.empty())
        parseJson(note, fmt::format("the note of '{}'", name));
    const at::Tensor row = accepted(descriptor);
    own();
    const auto count = static_cast<int64_t>(names_.size());
    const auto known = places_.find(name);
    const int64_t place = known == places_.end() ? count : known->second;
    if (place == count)
    {
        if (rows_.size(0) == count) // doubled, so that adding takes no longer the more there are
            rows_ = at::cat({rows_, at::empty({std::max<int64_t>(64, count), width_}, at::kFloat)});
        names_.push_back(name);
        notes_.push_back(note);
        places_.emplace(name, place);
    }
    else
        notes_[static_cast<size_t>(place)] = note;
    rows_[place].copy_(row);
}

void GalleryRows::remove(const std::string& name)
{
    require(find(name) >= 0, "the gallery has no entry '{}'", printable(name));
    own();
    const int64_t place = places_.at(name), last = static_cast<int64_t>(names_.size()) - 1;
    if (place != last) // the last one moves into the gap
    {
        rows_[place].copy_(rows_[last]);
        names_[static_cast<size_t>(place)] = std::move(names_[static_cast<size_t>(last)]);
        notes_[static_cast<size_t>(place)] = std::move(notes_[static_cast<size_t>(last)]);
        places_[names_[static_cast<size_t>(place)]] = place;
    }
    names_.pop_back();
    notes_.pop_back();
    places_.erase(name);
}

at::Tensor GalleryRows::rows() const
{
    checked();
    return rows_.narrow(0, 0, size());
}

at::Tensor GalleryRows::descriptor(int64_t row) const
{
    require(row >= 0 && row < size(), "the gallery has no entry {}, expected 0 to {}", row, size() - 1);
    return rows()[row];
}

std::vector<std::vector<GalleryRows::Found>> GalleryRows::search(const at::Tensor& queries, int64_t k,
                                                                 const std::vector<int64_t>& leaveOut) const
{
    require(queries.dim() == 2 && queries.size(1) == width_, "the queries have shape [{}], expected [number, {}]",
            fmt::join(queries.sizes(), ", "), width_);
    require(k >= 1, "the number of answers is {}, expected at least 1", k);
    require(leaveOut.empty() || leaveOut.size() == static_cast<size_t>(queries.size(0)), "{} entries are left out for {} queries",
            leaveOut.size(), queries.size(0));
    std::vector<std::vector<Found>> answers(static_cast<size_t>(queries.size(0)));
    if (size() == 0 || answers.empty())
        return answers;
    const at::Tensor length = queries.norm(2, 1, true);
    require(at::isfinite(length).all().item<bool>() && (length > 1e-12).all().item<bool>(),
            "a query is zero or has values that are not finite, expected descriptors");
    const at::Tensor unit = (queries / length).contiguous();
    std::vector<std::vector<Found>> candidates = nearestRows(unit, k);
    for (size_t q = 0; q < answers.size(); q++)
    {
        const int64_t own = leaveOut.empty() ? -1 : leaveOut[q];
        std::vector<Found>& found = candidates[q];
        const bool all = static_cast<int64_t>(found.size()) == size();
        std::erase_if(found, [own](const Found& each) { return each.row == own; });
        // others that are as close as the last one wanted may lie behind what was found, and come before it by name
        const auto wanted = static_cast<size_t>(k);
        if (!all && found.size() > 0 && (found.size() <= wanted || found.back().similarity == found[wanted - 1].similarity))
        {
            found = allRows(unit[static_cast<int64_t>(q)]);
            std::erase_if(found, [own](const Found& each) { return each.row == own; });
        }
        const auto closer = [this](const Found& x, const Found& y)
        { return x.similarity != y.similarity ? x.similarity > y.similarity : name(x.row) < name(y.row); };
        const auto end = found.begin() + static_cast<std::ptrdiff_t>(std::min(wanted, found.size()));
        std::partial_sort(found.begin(), end, found.end(), closer);
        found.erase(end, found.end());
        answers[q] = std::move(found);
    }
    return answers;
}

std::vector<std::vector<GalleryRows::Found>> GalleryRows::nearestRows(const at::Tensor& units, int64_t k) const
{
    constexpr int64_t spare = 8;         // one that is left out, and some that are as close as the last
    constexpr int64_t mostRows = 1 << 24; // numbers of rows that a float has
    const int64_t wanted = std::min(size(), k + spare), count = units.size(0);
    std::vector<std::vector<Found>> found(static_cast<size_t>(count));
    if (wanted > stages::mostNearest || size() > mostRows)
    {
        for (int64_t q = 0; q < count; q++)
            found[static_cast<size_t>(q)] = allRows(units[q]);
        return found;
    }
    const at::Tensor gallery = rows();
    stages::Rows view;
    view.data = gallery.const_data_ptr();
    view.count = static_cast<int>(gallery.size(0));
    view.length = static_cast<int>(width_);
    view.step = gallery.stride(0);
    const at::Tensor similarities = at::empty({count, wanted, 1, 1}, at::kFloat), numbers = at::empty_like(similarities);
    stages::nearest({}, viewOf(units.view({count, width_, 1, 1})), view, {}, viewOf(similarities), viewOf(numbers),
                    stages::Numbers::Float32);
    for (int64_t q = 0; q < count; q++)
    {
        const float* similarity = similarities[q].const_data_ptr<float>();
        const float* number = numbers[q].const_data_ptr<float>();
        for (int64_t i = 0; i < wanted; i++)
            found[static_cast<size_t>(q)].push_back({static_cast<int64_t>(number[i]), similarity[i]});
    }
    return found;
}

std::vector<GalleryRows::Found> GalleryRows::allRows(const at::Tensor& unit) const
{
    const at::Tensor similarities = at::mv(rows(), unit).contiguous();
    std::vector<Found> found;
    for (int64_t row = 0; row < size(); row++)
        found.push_back({row, similarities.const_data_ptr<float>()[row]});
    return found;
}

void GalleryRows::smooth(int64_t neighbours, double power)
{
    require(neighbours >= 1 && neighbours <= 1000, "the number of neighbours is {}, expected 1 to 1000", neighbours);
    require(power >= 0 && power <= 100, "the power of the weights is {}, expected 0 to 100", power);
    own();
    const at::Tensor before = rows().clone();
    std::vector<int64_t> own;
    for (int64_t row = 0; row < size(); row++)
        own.push_back(row);
    constexpr int64_t batch = 256;
    for (int64_t first = 0; first < size(); first += batch)
    {
        const int64_t count = std::min(batch, size() - first);
        const auto near = search(before.narrow(0, first, count), neighbours, {own.begin() + first, own.begin() + first + count});
        std::vector<at::Tensor> smoothed;
        for (int64_t i = 0; i < count; i++)
        {
            at::Tensor sum = before[first + i].clone();
            for (const Found& other : near[static_cast<size_t>(i)])
                sum.add_(before[other.row], std::pow(std::max(0.F, other.similarity), power));
            smoothed.push_back(sum / sum.norm().clamp_min(1e-12));
        }
        rows_.narrow(0, first, count).copy_(at::stack(smoothed));
    }
}

GalleryRows::Packed GalleryRows::packed() const
{
    if (inFile_)
        return {fileNames_, fileNotes_, byName_};
    std::vector<int64_t> order(names_.size());
    std::iota(order.begin(), order.end(), int64_t{0});
    std::sort(order.begin(), order.end(),
              [this](int64_t a, int64_t b) { return names_[static_cast<size_t>(a)] < names_[static_cast<size_t>(b)]; });
    return {packedTexts(names_), packedTexts(notes_), at::tensor(order, at::kLong)};
}

} // namespace agpnet
