// A query that grows view by view.
#include "agpnet/object_query.hpp"
#include "common/error.h"
#include "operators/core/opencv_exceptions.h"

#include <deque>
#include <mutex>

namespace agpnet
{
namespace
{

class ObjectQueryImpl final : public ObjectQuery
{
public:
    ObjectQueryImpl(const cv::Ptr<Describer>& describer, const cv::Ptr<Gallery>& gallery, double rate, int top, int most)
        : describer_(describer), gallery_(gallery), rate_(rate), top_(top), most_(static_cast<size_t>(most))
    {
    }

    ObjectAnswer add(cv::InputArray view) override
    {
        cv::Mat embedding;
        describer_->embed(view, embedding); // outside the lock: it takes long
        const std::lock_guard lock(mutex_);
        std::deque<cv::Mat> before = views_; // of headers
        views_.push_back(embedding.row(0));
        if (views_.size() > most_)
            views_.pop_front();
        try
        {
            return answered();
        }
        catch (...) // of a damaged gallery, say: then nothing has changed
        {
            views_ = std::move(before);
            throw;
        }
    }

    ObjectAnswer answer() const override
    {
        const std::lock_guard lock(mutex_);
        return answered();
    }

    void clear() override
    {
        const std::lock_guard lock(mutex_);
        views_.clear();
    }

private:
    ObjectAnswer answered() const
    {
        ObjectAnswer answer;
        answer.views = static_cast<int>(views_.size());
        if (views_.empty() || gallery_->size() == 0)
            return answer;
        cv::Mat all, descriptor;
        cv::vconcat(std::vector<cv::Mat>(views_.begin(), views_.end()), all);
        describer_->aggregate(all, descriptor, VIEWS_UNORDERED); // a hand turns a part as it likes
        answer.matches = gallery_->search(descriptor, std::max(2, top_));
        const bool calibrated = gallery_->isCalibrated() && answer.matches.size() > 1;
        if (calibrated)
        {
            answer.evidence = gallery_->getEvidence(answer.matches, answer.views);
            answer.threshold = gallery_->getThreshold(rate_, answer.views);
        }
        answer.known = !calibrated || answer.evidence > answer.threshold;
        if (answer.matches.size() > 1)
            answer.lead = answer.matches[0].similarity - answer.matches[1].similarity;
        if (static_cast<int>(answer.matches.size()) > top_)
            answer.matches.resize(static_cast<size_t>(top_));
        return answer;
    }

    cv::Ptr<Describer> describer_;
    cv::Ptr<Gallery> gallery_;
    double rate_;
    int top_;
    size_t most_;
    mutable std::mutex mutex_; ///< protects views_
    std::deque<cv::Mat> views_;
};

} // namespace

cv::Ptr<ObjectQuery> ObjectQuery::create(const cv::Ptr<Describer>& describer, const cv::Ptr<Gallery>& gallery, double rate, int top,
                                         int most)
{
    return guarded([&]() -> cv::Ptr<ObjectQuery> {
        require(describer && gallery, "{} is empty, expected one", describer ? "gallery" : "describer");
        require(describer->getSpace() == gallery->getSpace(),
                "the gallery is of another model: its descriptors are of the space {:.12}, the describer's of {:.12}", gallery->getSpace(),
                describer->getSpace());
        require(rate > 0 && rate < 1, "rate is {}, expected more than 0 and less than 1", rate);
        require(top >= 1, "top is {}, expected at least 1", top);
        require(most >= 1, "most is {}, expected at least 1", most);
        return cv::makePtr<ObjectQueryImpl>(describer, gallery, rate, top, most);
    });
}

} // namespace agpnet
