#include "operators/agpnet/inspection/drift_window.h"

#include "common/error.h"
#include "models/thresholds/thresholds.h"

#include <algorithm>

namespace agpnet
{
namespace
{

// A normal image is outside once in a hundred: four of sixteen are by chance less often than once in 50,000.
constexpr size_t leastOutside = 4;
constexpr double shareOutside = 0.25;

} // namespace

void DriftWindow::add(double drift)
{
    const std::lock_guard lock(mutex_);
    recent_.push_back(drift);
    if (recent_.size() > most_)
        recent_.pop_front();
}

void DriftWindow::resize(int pictures)
{
    require(pictures >= 4 && pictures <= 65536, "the window of the drift check is {} images, expected 4 to 65536", pictures);
    const std::lock_guard lock(mutex_);
    most_ = static_cast<size_t>(pictures);
    recent_.clear();
}

DriftState DriftWindow::state() const
{
    const std::lock_guard lock(mutex_);
    DriftState state;
    state.window = static_cast<int>(most_);
    state.pictures = static_cast<int>(recent_.size());
    if (recent_.empty())
        return state;
    const auto outside = static_cast<size_t>(std::count_if(recent_.begin(), recent_.end(), [](double drift) { return drift > 1; }));
    state.median = medianOf({recent_.begin(), recent_.end()});
    state.outside = static_cast<double>(outside) / static_cast<double>(recent_.size());
    state.drifting = outside >= leastOutside && state.outside >= shareOutside;
    return state;
}

} // namespace agpnet
