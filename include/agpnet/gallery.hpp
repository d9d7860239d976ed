/// @file
/// A gallery: named descriptors, found by nearness. Exact search; one file.
///
///     cv::Ptr<agpnet::Gallery> gallery = agpnet::Gallery::create(describer->getWidth(), describer->getSpace());
///     gallery->add("4711", descriptor, R"({"shelf": "B12"})");
///     gallery->save("catalogue.agpx");
///     for (const agpnet::GalleryMatch& match : gallery->search(query, 5)) ... // match.name, match.similarity
#pragma once

#include "agpnet/api.hpp"

#include <memory>
#include <opencv2/core.hpp>
#include <string>
#include <vector>

namespace agpnet
{

/// An entry that a search found.
struct GalleryMatch
{
    std::string name;      ///< the entry's
    double similarity = 0; ///< cosine of the angle between the descriptors, -1 to 1
    /// Fraction of pairs of different objects that are at least as close, 0 to 1: small where the match means something. -1: the gallery
    /// was not calibrated.
    double chance = -1;
    std::string note;      ///< the entry's metadata, JSON text; may be empty
    std::shared_ptr<const void> reserved; ///< empty. Later versions put further results here, so that this structure keeps its size
};

/// Functions that are const may be called from several threads at once; one that changes the gallery waits until they are done.
/// Implemented by the library alone; later versions add functions after the last one.
class AGPNET_EXPORT Gallery
{
public:
    virtual ~Gallery() = default;

    /// An empty gallery.
    /// @param width  width of the descriptors, Describer::getWidth()
    /// @param space  digest of their space, Describer::getSpace()
    static cv::Ptr<Gallery> create(int width, const std::string& space);

    /// Opens a file. The time does not depend on its size: the file is mapped, and its checksum is compared at the first search or change.
    /// @param space  space that the file must be of; "" accepts each
    /// @throws cv::Exception naming the file and what is wrong with it, also where it belongs to another model
    static cv::Ptr<Gallery> load(const std::string& path, const std::string& space = std::string());

    /// Adds an entry.
    /// @param name        UTF-8 text without control characters, 1 to 1024 bytes; new
    /// @param descriptor  1 x D or D x 1, CV_32FC1; its length does not matter
    /// @param note        metadata of the caller, JSON text; may be empty
    /// @throws cv::Exception for a name that is there already, and for a descriptor of another width, of zeros, or not finite
    virtual void add(const std::string& name, cv::InputArray descriptor, const std::string& note = std::string()) = 0;

    /// As add(), in place of the entry of that name if there is one.
    virtual void replace(const std::string& name, cv::InputArray descriptor, const std::string& note = std::string()) = 0;

    virtual void remove(const std::string& name) = 0; ///< throws for a name that is not there
    virtual bool contains(const std::string& name) const = 0;          ///< whether there is an entry of that name
    virtual int size() const = 0;                                      ///< number of entries
    virtual std::vector<std::string> getNames() const = 0;             ///< in the order of entries
    virtual std::string getNote(const std::string& name) const = 0;    ///< throws for a name that is not there
    virtual void getDescriptor(const std::string& name, cv::OutputArray descriptor) const = 0; ///< 1 x D, CV_32FC1, of unit length

    /// The closest entries, the closest first; equally close ones by name. Fewer where the gallery has fewer.
    /// @param descriptor  1 x D, CV_32FC1
    /// @param top         number of entries, at least 1
    /// @param leaveOut    name of an entry that is no answer, the query's own for instance; "": none
    virtual std::vector<GalleryMatch> search(cv::InputArray descriptor, int top = 5, const std::string& leaveOut = std::string()) const = 0;

    /// The same for several queries at once, which is faster.
    /// @param descriptors  N x D, CV_32FC1
    /// @param leaveOut     a name for each query, or none at all
    virtual std::vector<std::vector<GalleryMatch>>
    searchBatch(cv::InputArray descriptors, int top = 5, const std::vector<std::string>& leaveOut = std::vector<std::string>()) const = 0;

    /// For "show me similar parts": replaces each descriptor by the mean of itself and its nearest ones in the gallery, weighted by their
    /// similarity to the power. Similar things come closer together; the very same one is found a little less often. Cannot be undone.
    virtual void smooth(int neighbours = 4, double power = 3) = 0;

    /// Learns how close different objects are, from queries for objects that are in the gallery: their similarity to all other entries.
    /// Without it, GalleryMatch::chance is -1, and getEvidence() and getThreshold() throw. The gallery has at least 3 entries.
    /// @param queries  N x D, CV_32FC1: descriptors of so many views of objects in the gallery
    /// @param names    name of each query's entry
    /// @param views    views that each query was made of; calls with different numbers complement each other
    virtual void calibrate(cv::InputArray queries, const std::vector<std::string>& names, int views = 1) = 0;

    virtual bool isCalibrated() const = 0; ///< calibrate() was called, now or before the gallery was saved

    /// How much speaks for the best match being the object itself: its similarity, and a multiple of its lead over the second.
    ///     gallery->getEvidence(matches) > gallery->getThreshold(0.01)   // else: not surely in the gallery
    /// @param matches  from search(), at least the best two
    /// @param views    views that the query is made of
    virtual double getEvidence(const std::vector<GalleryMatch>& matches, int views = 1) const = 0;

    /// The evidence that objects which are not in the gallery exceed at this rate.
    /// @param rate   0 to 1, exclusive
    /// @param views  views that the query is made of
    virtual double getThreshold(double rate = 0.01, int views = 1) const = 0;

    /// Writes the file, atomically.
    /// @throws cv::Exception where the file that this gallery was loaded from has been changed by another program since
    virtual void save(const std::string& path) = 0;

    /// Writes the descriptors for other programs: NAME.npy, an array of size() x getWidth() in float32, and NAME.txt, one name a line in
    /// the same order. For an engine that searches on several machines.
    /// @param path  either of the two
    virtual void exportVectors(const std::string& path) const = 0;

    virtual int getWidth() const = 0;         ///< width of the descriptors
    virtual std::string getSpace() const = 0; ///< digest of their space
    virtual void setModel(const std::string& path) = 0; ///< remembers the model's path; a hint for programs that open the gallery
    virtual std::string getModel() const = 0;           ///< see setModel()
};

} // namespace agpnet
