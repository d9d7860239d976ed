// A gallery: named descriptors, found by name and by nearness. It begins empty or looks into a mapped file, of which nothing is copied
// before the first change.
#pragma once

#include "models/index/closeness.h"
#include "models/weights/mapped_file.h"
#include "models/weights/safetensors.h"

#include <ATen/core/Tensor.h>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

namespace agpnet
{

/// Texts one behind the other, as a file holds them: text i ends at ends[i].
struct PackedTexts
{
    at::Tensor bytes; ///< [all], uint8
    at::Tensor ends;  ///< [n], int64, rising

    std::string_view at(int64_t i) const; ///< an Error where the ends lie
};

/// Not thread-safe where it is changed; find(), search() and the like may run in several threads at once.
class GalleryRows
{
public:
    /// @param width  of descriptors
    /// @param space  digest of the space that they are of
    GalleryRows(int64_t width, std::string space);

    /// One that lies in a file; `check` is called once, before anything is computed of the rows or changed.
    GalleryRows(std::string space, at::Tensor rows, PackedTexts names, PackedTexts notes, at::Tensor byName, std::function<void()> check);

    int64_t width() const { return width_; }
    int64_t size() const;
    const std::string& space() const { return space_; }

    std::string name(int64_t row) const;
    std::string note(int64_t row) const; ///< metadata, JSON text; may be empty
    int64_t find(std::string_view name) const; ///< -1 where no entry has the name

    /// Refuses an empty name, one longer than 1,024 bytes, one that is not UTF-8 or has control characters, one that is there already, a
    /// note that is not JSON, and a descriptor of another width, of zeros or with values that are not finite. What is stored is of unit
    /// length.
    void add(const std::string& name, const at::Tensor& descriptor, const std::string& note = {});

    /// As add(), over the entry of that name if there is one.
    void put(const std::string& name, const at::Tensor& descriptor, const std::string& note = {});

    void remove(const std::string& name); ///< refuses an unknown name

    struct Found
    {
        int64_t row;
        float similarity; ///< cosine
    };

    /// The k entries closest to each query, the closest first; equally close ones by name. Fewer where the gallery has fewer.
    /// @param queries  [Q, width], float32, of any length but 0
    /// @param leaveOut  entry that is no answer to a query, by query; empty, or -1: none
    std::vector<std::vector<Found>> search(const at::Tensor& queries, int64_t k, const std::vector<int64_t>& leaveOut = {}) const;

    at::Tensor rows() const; ///< [size, width], float32
    at::Tensor descriptor(int64_t row) const; ///< [width]

    const Closeness& closeness() const { return closeness_; }
    void setCloseness(Closeness closeness) { closeness_ = std::move(closeness); }

    /// Each row becomes the mean of itself and its `neighbours` nearest, weighted by their similarity to the power, of unit length again.
    void smooth(int64_t neighbours, double power);

    /// The texts as a file holds them, and the order of the names.
    struct Packed
    {
        PackedTexts names, notes;
        at::Tensor byName; ///< [n], int64: rows by rising name
    };
    Packed packed() const;

private:
    /// A few more than the k closest of each query of unit length, or all; by the stage nearest, where it has so many.
    std::vector<std::vector<Found>> nearestRows(const at::Tensor& units, int64_t k) const;
    std::vector<Found> allRows(const at::Tensor& unit) const; ///< in the order of rows
    void own(); ///< copies what lies in a file, before a change
    void checked() const;
    at::Tensor accepted(const at::Tensor& descriptor) const;

    int64_t width_;
    std::string space_;
    Closeness closeness_;

    // in a file, until the first change
    bool inFile_ = false;
    PackedTexts fileNames_, fileNotes_;
    at::Tensor byName_;
    std::shared_ptr<std::function<void()>> check_;

    at::Tensor rows_; ///< [at least size, width]
    std::vector<std::string> names_, notes_;
    std::unordered_map<std::string, int64_t> places_;
};

} // namespace agpnet
