/// @file
/// Which object is this? A query that grows view by view, as an object is turned before a camera.
///
///     cv::Ptr<agpnet::ObjectQuery> query = agpnet::ObjectQuery::create(describer, gallery);
///     agpnet::ObjectAnswer answer = query->add(frame); // answer.matches[0].name, answer.known
#pragma once

#include "agpnet/describer.hpp"
#include "agpnet/gallery.hpp"

#include <memory>
#include <vector>

namespace agpnet
{

/// The answer by all views so far.
struct ObjectAnswer
{
    std::vector<GalleryMatch> matches; ///< the closest first
    bool known = false;                ///< the evidence is above the threshold: the object is in the gallery
    double evidence = -1;              ///< see Gallery::getEvidence()
    double threshold = -1;             ///< threshold of the evidence; -1: the gallery was not calibrated, and `known` is true
    /// How far the best match is ahead of the second, in similarity; 0 without a second.
    double lead = 0;
    int views = 0;                     ///< views so far
    std::shared_ptr<const void> reserved; ///< empty
};

/// Thread-safe.
class AGPNET_EXPORT ObjectQuery
{
public:
    virtual ~ObjectQuery() = default;

    /// Creates a query.
    /// @param rate  rate at which objects that are not in the gallery may count as known, 0 to 1, exclusive
    /// @param top   matches of an answer, at least 1
    /// @param most  views that are kept, at least 1; the oldest is left out first
    /// @throws cv::Exception where describer and gallery are of different spaces
    static cv::Ptr<ObjectQuery> create(const cv::Ptr<Describer>& describer, const cv::Ptr<Gallery>& gallery, double rate = 0.01,
                                       int top = 5, int most = 24);

    virtual ObjectAnswer add(cv::InputArray view) = 0; ///< adds a view, an image as in Describer::describe()
    virtual ObjectAnswer answer() const = 0;           ///< by the views so far; no match without a view
    virtual void clear() = 0;                          ///< forgets the views: the next object
};

} // namespace agpnet
