/// @file
/// Training a model that describes objects, on views of objects of known classes.
///
///     cv::Ptr<agpnet::DescriberTrainer> trainer = agpnet::DescriberTrainer::create("deit_tiny.safetensors");
///     trainer->fit(objects);
///     trainer->save("parts.agp");
#pragma once

#include "agpnet/describer.hpp"
#include "agpnet/training.hpp"

#include <functional>
#include <string>
#include <vector>

namespace agpnet
{

/// The views of one object.
struct ObjectViews
{
    std::string name;                    ///< name of the object, for messages
    std::string className;               ///< class; "" for all objects: there are no classes
    size_t count = 0;                    ///< number of views, in the order in which they were taken around the object
    std::function<cv::Mat(size_t)> view; ///< reads view i of 0 .. count-1
};

/// One training. Not thread-safe: use it from one thread at a time.
class AGPNET_EXPORT DescriberTrainer
{
public:
    virtual ~DescriberTrainer() = default;

    /// Creates a training.
    /// @param backbone  file with the weights of the backbone, as in AnomalyTrainer::create()
    /// @param config    JSON text, or the path of a JSON file; `agpnet operators --config dec` prints keys and defaults
    /// @param device    device of the backbone, as in AnomalyDetector::create()
    static cv::Ptr<DescriberTrainer> create(const std::string& backbone, const std::string& config = std::string(),
                                            const std::string& device = "cpu");

    /// Names with vectors from an image-text space, for virtual features of classes that nobody has seen (config: `virtual_names`).
    /// @param bridge   file with the weights of the image side, a backbone whose class token is in that space
    /// @param names    names; those of the training's classes must be among them
    /// @param vectors  one row a name, CV_32FC1, as wide as the bridge's class token
    virtual void setVirtualNames(const std::string& bridge, const std::vector<std::string>& names, cv::InputArray vectors) = 0;

    /// The same from files.
    /// @param names        with an encoder, a text file with one name a line. Otherwise names with their vectors: NAME.txt beside NAME.npy,
    /// or
    ///                     a safetensors file (docs/retrieval.md)
    /// @param textEncoder  the text side of the bridge: a CLIP's weights with their vocabulary beside them, or a folder with both. It makes
    ///                     vectors of "a photo of a NAME" for the names and for the training's classes. "": none
    virtual void setVirtualNames(const std::string& bridge, const std::string& names, const std::string& textEncoder) = 0;

    /// Learns from objects. Embeds every view once. Then, with `choose` held_out (the default), compares descriptors on a fifth of the
    /// classes at a time that is held out: the plain mean of the views, whitened means, and an adapter behind the best of them; keeps the
    /// best, which is never one that ends below the whitened mean; and learns that from all objects. Without classes, or with few of them,
    /// it whitens by objects.
    /// @param keepGoing  called after each batch of views and each step; false ends the training, and fit() returns false
    virtual bool fit(const std::vector<ObjectViews>& objects,
                     const std::function<bool(const TrainProgress&)>& keepGoing = std::function<bool(const TrainProgress&)>()) = 0;

    virtual std::string getConfig() const = 0; ///< complete, JSON text
    virtual std::string getRecord() const = 0; ///< what was compared, chosen and measured so far, JSON text

    /// Puts a note of the caller into the record.
    /// @param json  JSON text
    virtual void note(const std::string& key, const std::string& json) = 0;

    /// Writes the model, atomically. After fit().
    /// @param embedBackbone  false: the file names the backbone by its hash
    virtual void save(const std::string& path, bool embedBackbone = true) = 0;

    virtual cv::Ptr<Describer> getDescriber() const = 0; ///< the model as it stands. After fit()
};

} // namespace agpnet
