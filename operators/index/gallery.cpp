#include "operators/index/gallery.h"

#include "common/error.h"
#include "common/json_text.h"
#include "models/text/names_file.h"
#include "operators/core/float_rows.h"
#include "operators/core/forked.h"
#include "operators/core/opencv_exceptions.h"

#include <ATen/ATen.h>
#include <algorithm>
#include <mutex>

namespace agpnet
{
namespace
{

constexpr size_t keptPairs = 4096;

/// guarded(), with the mutex held in the way that the lock says.
template <template <typename> typename Lock, typename Function>
auto locked(std::shared_mutex& mutex, Function function) -> decltype(function())
{
    return guarded([&] {
        requireThreads();
        const Lock<std::shared_mutex> lock(mutex);
        return function();
    });
}

} // namespace

int64_t GalleryImpl::placeOf(const std::string& name) const
{
    const int64_t place = file_.rows.find(name);
    require(place >= 0, "the gallery has no entry '{}'", printable(name));
    return place;
}

void GalleryImpl::add(const std::string& name, cv::InputArray descriptor, const std::string& note)
{
    locked<std::unique_lock>(mutex_, [&] { file_.rows.add(name, rowsOf(descriptor, "descriptor", getWidth()), note); });
}

void GalleryImpl::replace(const std::string& name, cv::InputArray descriptor, const std::string& note)
{
    locked<std::unique_lock>(mutex_, [&] { file_.rows.put(name, rowsOf(descriptor, "descriptor", getWidth()), note); });
}

void GalleryImpl::remove(const std::string& name)
{
    locked<std::unique_lock>(mutex_, [&] { file_.rows.remove(name); });
}

bool GalleryImpl::contains(const std::string& name) const
{
    return locked<std::shared_lock>(mutex_, [&] { return file_.rows.find(name) >= 0; });
}

int GalleryImpl::size() const
{
    return locked<std::shared_lock>(mutex_, [&] { return static_cast<int>(file_.rows.size()); });
}

std::vector<std::string> GalleryImpl::getNames() const
{
    return locked<std::shared_lock>(mutex_, [&] {
        std::vector<std::string> names;
        for (int64_t row = 0; row < file_.rows.size(); row++)
            names.push_back(file_.rows.name(row));
        return names;
    });
}

std::string GalleryImpl::getNote(const std::string& name) const
{
    return locked<std::shared_lock>(mutex_, [&] { return file_.rows.note(placeOf(name)); });
}

void GalleryImpl::getDescriptor(const std::string& name, cv::OutputArray descriptor) const
{
    locked<std::shared_lock>(mutex_, [&] { giveRows(file_.rows.descriptor(placeOf(name)).unsqueeze(0), descriptor); });
}

std::vector<std::vector<GalleryMatch>> GalleryImpl::searchBatch(cv::InputArray descriptors, int top,
                                                                const std::vector<std::string>& leaveOut) const
{
    return locked<std::shared_lock>(mutex_, [&] {
        const at::Tensor queries = rowsOf(descriptors, "descriptors", getWidth());
        require(top >= 1, "top is {}, expected at least 1", top);
        require(leaveOut.empty() || static_cast<int64_t>(leaveOut.size()) == queries.size(0),
                "leaveOut has {} names for {} descriptors, expected one for each, or none", leaveOut.size(), queries.size(0));
        std::vector<int64_t> own;
        for (const std::string& name : leaveOut)
            own.push_back(name.empty() ? -1 : file_.rows.find(name));
        std::vector<std::vector<GalleryMatch>> answers;
        for (const auto& found : file_.rows.search(queries, top, own))
        {
            std::vector<GalleryMatch>& matches = answers.emplace_back();
            for (const GalleryRows::Found& entry : found)
                matches.push_back({file_.rows.name(entry.row), entry.similarity, file_.rows.closeness().shareAsClose(entry.similarity),
                                   file_.rows.note(entry.row), {}});
        }
        return answers;
    });
}

std::vector<GalleryMatch> GalleryImpl::search(cv::InputArray descriptor, int top, const std::string& leaveOut) const
{
    guarded(
        [&]
        {
            require(!descriptor.empty() && (descriptor.rows() == 1 || descriptor.cols() == 1),
                    "descriptor is {} x {} (rows x columns), expected one row; searchBatch() takes several", descriptor.rows(),
                    descriptor.cols());
        });
    return searchBatch(descriptor, top, {leaveOut})[0];
}

void GalleryImpl::smooth(int neighbours, double power)
{
    locked<std::unique_lock>(mutex_, [&] { file_.rows.smooth(neighbours, power); });
}

void GalleryImpl::calibrate(cv::InputArray queries, const std::vector<std::string>& names, int views)
{
    locked<std::unique_lock>(mutex_, [&] {
        const at::Tensor rows = rowsOf(queries, "queries", getWidth());
        require(static_cast<int64_t>(names.size()) == rows.size(0), "{} names are given for {} queries, expected one for each",
                names.size(), rows.size(0));
        require(views >= 1, "views is {}, expected at least 1", views);
        require(file_.rows.size() >= 3, "the gallery has {} entries, expected at least 3 to tell how close different ones are",
                file_.rows.size());
        std::vector<float> pairs;
        std::vector<BestTwo> with, without;
        for (int64_t q = 0; q < rows.size(0); q++)
        {
            const int64_t own = placeOf(names[static_cast<size_t>(q)]);
            const at::Tensor unit = rows[q] / rows[q].norm().clamp_min(1e-12);
            at::Tensor similarity = at::matmul(file_.rows.rows(), unit);
            require(at::isfinite(similarity).all().item<bool>(), "query {} has values that are not finite", q);
            const float* values = similarity.const_data_ptr<float>();
            BestTwo all, others;
            const auto take = [](BestTwo& best, float value) {
                best.second = std::max(best.second, std::min(best.first, value));
                best.first = std::max(best.first, value);
            };
            for (int64_t row = 0; row < similarity.size(0); row++)
            {
                take(all, values[row]);
                if (row == own)
                    continue;
                take(others, values[row]);
                pairs.push_back(values[row]);
            }
            with.push_back(all);
            without.push_back(others);
            if (pairs.size() > 64 * keptPairs) // enough to keep; the quantiles stay what they are
                pairs = quantiles(std::move(pairs), keptPairs);
        }
        Closeness closeness = file_.rows.closeness();
        if (views == 1 || closeness.pairs.empty())
            closeness.pairs = quantiles(std::move(pairs), keptPairs);
        std::erase_if(closeness.strangers, [&](const Closeness::Strangers& each) { return each.views == views; });
        closeness.strangers.push_back(learnedStrangers(views, with, without));
        std::sort(closeness.strangers.begin(), closeness.strangers.end(), [](const auto& a, const auto& b) { return a.views < b.views; });
        file_.rows.setCloseness(std::move(closeness));
    });
}

double GalleryImpl::getEvidence(const std::vector<GalleryMatch>& matches, int views) const
{
    return locked<std::shared_lock>(mutex_, [&] {
        require(matches.size() >= 2, "matches has {} entries, expected the best two at least", matches.size());
        require(views >= 1, "views is {}, expected at least 1", views);
        return file_.rows.closeness().evidence(matches[0].similarity, matches[1].similarity, views);
    });
}

bool GalleryImpl::isCalibrated() const
{
    return locked<std::shared_lock>(mutex_, [&] { return file_.rows.closeness().known(); });
}

double GalleryImpl::getThreshold(double rate, int views) const
{
    return locked<std::shared_lock>(mutex_, [&] {
        require(views >= 1, "views is {}, expected at least 1", views);
        return file_.rows.closeness().threshold(rate, views);
    });
}

void GalleryImpl::save(const std::string& path)
{
    locked<std::unique_lock>(mutex_, [&] { writeGallery(path, file_); });
}

void GalleryImpl::exportVectors(const std::string& path) const
{
    locked<std::shared_lock>(mutex_, [&] {
        NamedVectors named;
        for (int64_t row = 0; row < file_.rows.size(); row++)
            named.names.push_back(file_.rows.name(row));
        named.vectors = file_.rows.rows();
        writeNamedVectors(path, named);
    });
}

void GalleryImpl::setModel(const std::string& path)
{
    locked<std::unique_lock>(mutex_, [&] { file_.model = path; });
}

std::string GalleryImpl::getModel() const
{
    return locked<std::shared_lock>(mutex_, [&] { return file_.model; });
}

cv::Ptr<Gallery> Gallery::create(int width, const std::string& space)
{
    return guarded([&]() -> cv::Ptr<Gallery> {
        require(width >= 1 && width <= 65536, "width is {}, expected 1 to 65536", width);
        return cv::makePtr<GalleryImpl>(GalleryFile{GalleryRows(width, space), {}, nlohmann::json::object(), {}, {}});
    });
}

cv::Ptr<Gallery> Gallery::load(const std::string& path, const std::string& space)
{
    return guarded([&]() -> cv::Ptr<Gallery> {
        requireThreads();
        GalleryFile file = readGallery(path);
        if (!space.empty() && file.rows.space() != space)
            throw Error(fmt::format("{}: is of another model: its descriptors are of the space {:.12}, expected {:.12}; index its objects "
                                    "anew with this model",
                                    path, file.rows.space(), space),
                        ErrorKind::File);
        return cv::makePtr<GalleryImpl>(std::move(file));
    });
}

} // namespace agpnet
