#include "plugin/c_gallery.h"

#include "plugin/c_rows.h"
#include "plugin/c_structures.h"

namespace
{

using agpnet::called;
using agpnet::created;
using agpnet::require;
using agpnet::requirePointer;

agpnet::Gallery& galleryOf(const agpnet_gallery* handle)
{
    requirePointer(handle, "gallery");
    return *handle->gallery;
}

/// Descriptors of the gallery's width.
cv::Mat descriptorsOf(const agpnet::Gallery& gallery, const float* values, size_t count, size_t width, const char* name)
{
    return agpnet::rowsOf(values, count, width, gallery.getWidth(), name);
}

const std::vector<agpnet::GalleryMatch>& matchesAt(const agpnet_matches* matches, size_t query)
{
    requirePointer(matches, "matches");
    require(query < matches->found.size(), "query is {}, expected less than the {} queries of the matches", query, matches->found.size());
    return matches->found[query];
}

const char* nameOf(const char* name)
{
    requirePointer(name, "name");
    return name;
}

} // namespace

extern "C"
{

    int agpnet_gallery_create(size_t width, const char* space, agpnet_gallery** gallery, char* message, size_t messageSize)
    {
        return created(gallery, "gallery", message, messageSize, [&] {
            requirePointer(space, "space");
            return agpnet_gallery(agpnet::Gallery::create(agpnet::intOf(width, "width"), space));
        });
    }

    int agpnet_gallery_load(const char* path, const char* space, agpnet_gallery** gallery, char* message, size_t messageSize)
    {
        return created(gallery, "gallery", message, messageSize, [&] {
            requirePointer(path, "path");
            return agpnet_gallery(agpnet::Gallery::load(path, agpnet::textOr(space, "")));
        });
    }

    void agpnet_gallery_free(agpnet_gallery* gallery)
    {
        delete gallery;
    }

    int agpnet_gallery_add(agpnet_gallery* gallery, const char* name, const float* descriptor, size_t width, const char* note,
                           char* message, size_t messageSize)
    {
        return called(message, messageSize, [&] {
            agpnet::Gallery& own = galleryOf(gallery);
            own.add(nameOf(name), descriptorsOf(own, descriptor, 1, width, "descriptor"), agpnet::textOr(note, ""));
        });
    }

    int agpnet_gallery_replace(agpnet_gallery* gallery, const char* name, const float* descriptor, size_t width, const char* note,
                               char* message, size_t messageSize)
    {
        return called(message, messageSize, [&] {
            agpnet::Gallery& own = galleryOf(gallery);
            own.replace(nameOf(name), descriptorsOf(own, descriptor, 1, width, "descriptor"), agpnet::textOr(note, ""));
        });
    }

    int agpnet_gallery_remove(agpnet_gallery* gallery, const char* name, char* message, size_t messageSize)
    {
        return called(message, messageSize, [&] { galleryOf(gallery).remove(nameOf(name)); });
    }

    int agpnet_gallery_contains(const agpnet_gallery* gallery, const char* name, int32_t* contained, char* message, size_t messageSize)
    {
        return called(message, messageSize, [&] {
            const agpnet::Gallery& own = galleryOf(gallery);
            requirePointer(contained, "contained");
            *contained = own.contains(nameOf(name)) ? 1 : 0;
        });
    }

    int agpnet_gallery_get_info(const agpnet_gallery* gallery, agpnet_gallery_info* info, char* message, size_t messageSize)
    {
        return called(message, messageSize, [&] {
            const agpnet::Gallery& own = galleryOf(gallery);
            agpnet::give({0, static_cast<size_t>(own.size()), static_cast<size_t>(own.getWidth()), gallery->space.c_str(),
                          own.isCalibrated() ? 1 : 0},
                         info, "info");
        });
    }

    int agpnet_gallery_get_names(const agpnet_gallery* gallery, agpnet_texts** names, char* message, size_t messageSize)
    {
        return created(names, "names", message, messageSize, [&] { return agpnet_texts{galleryOf(gallery).getNames()}; });
    }

    int agpnet_gallery_get_note(const agpnet_gallery* gallery, const char* name, agpnet_texts** note, char* message, size_t messageSize)
    {
        return created(note, "note", message, messageSize, [&] { return agpnet_texts{{galleryOf(gallery).getNote(nameOf(name))}}; });
    }

    int agpnet_gallery_get_descriptor(const agpnet_gallery* gallery, const char* name, float* descriptor, size_t length, char* message,
                                      size_t messageSize)
    {
        return called(message, messageSize, [&] {
            const agpnet::Gallery& own = galleryOf(gallery);
            agpnet::requireRoom(descriptor, length, 1, own.getWidth(), "descriptor");
            cv::Mat found;
            own.getDescriptor(nameOf(name), found);
            agpnet::giveRows(found, descriptor);
        });
    }

    int agpnet_gallery_search(const agpnet_gallery* gallery, const float* descriptor, size_t width, int32_t top, const char* leaveOut,
                              agpnet_matches** matches, char* message, size_t messageSize)
    {
        return created(matches, "matches", message, messageSize, [&] {
            const agpnet::Gallery& own = galleryOf(gallery);
            return agpnet_matches{
                {own.search(descriptorsOf(own, descriptor, 1, width, "descriptor"), top, agpnet::textOr(leaveOut, ""))}};
        });
    }

    int agpnet_gallery_search_batch(const agpnet_gallery* gallery, const float* descriptors, size_t count, size_t width, int32_t top,
                                    const char* const* leaveOut, agpnet_matches** matches, char* message, size_t messageSize)
    {
        return created(matches, "matches", message, messageSize, [&] {
            const agpnet::Gallery& own = galleryOf(gallery);
            const cv::Mat queries = descriptorsOf(own, descriptors, count, width, "descriptors");
            std::vector<std::string> leftOut;
            for (size_t i = 0; leaveOut && i < count; i++)
                leftOut.emplace_back(agpnet::textOr(leaveOut[i], ""));
            return agpnet_matches{own.searchBatch(queries, top, leftOut)};
        });
    }

    int agpnet_gallery_calibrate(agpnet_gallery* gallery, const float* queries, size_t count, size_t width, const char* const* names,
                                 int32_t views, char* message, size_t messageSize)
    {
        return called(message, messageSize, [&] {
            agpnet::Gallery& own = galleryOf(gallery);
            own.calibrate(descriptorsOf(own, queries, count, width, "queries"), agpnet::textsOf(names, count, "names"), views);
        });
    }

    int agpnet_gallery_get_evidence(const agpnet_gallery* gallery, const agpnet_matches* matches, size_t query, int32_t views,
                                    double* evidence, char* message, size_t messageSize)
    {
        return called(message, messageSize, [&] {
            const agpnet::Gallery& own = galleryOf(gallery);
            requirePointer(evidence, "evidence");
            *evidence = own.getEvidence(matchesAt(matches, query), views);
        });
    }

    int agpnet_gallery_get_threshold(const agpnet_gallery* gallery, double rate, int32_t views, double* threshold, char* message,
                                     size_t messageSize)
    {
        return called(message, messageSize, [&] {
            const agpnet::Gallery& own = galleryOf(gallery);
            requirePointer(threshold, "threshold");
            *threshold = own.getThreshold(rate, views);
        });
    }

    int agpnet_gallery_smooth(agpnet_gallery* gallery, int32_t neighbours, double power, char* message, size_t messageSize)
    {
        return called(message, messageSize, [&] { galleryOf(gallery).smooth(neighbours, power); });
    }

    int agpnet_gallery_save(agpnet_gallery* gallery, const char* path, char* message, size_t messageSize)
    {
        return called(message, messageSize, [&] {
            agpnet::Gallery& own = galleryOf(gallery);
            requirePointer(path, "path");
            own.save(path);
        });
    }

    int agpnet_gallery_set_model(agpnet_gallery* gallery, const char* path, char* message, size_t messageSize)
    {
        return called(message, messageSize, [&] {
            agpnet::Gallery& own = galleryOf(gallery);
            requirePointer(path, "path");
            own.setModel(path);
        });
    }

    int agpnet_gallery_get_model(const agpnet_gallery* gallery, agpnet_texts** path, char* message, size_t messageSize)
    {
        return created(path, "path", message, messageSize, [&] { return agpnet_texts{{galleryOf(gallery).getModel()}}; });
    }

    size_t agpnet_texts_count(const agpnet_texts* texts)
    {
        return texts ? texts->texts.size() : 0;
    }

    const char* agpnet_texts_get(const agpnet_texts* texts, size_t index)
    {
        return index < agpnet_texts_count(texts) ? texts->texts[index].c_str() : nullptr;
    }

    void agpnet_texts_free(agpnet_texts* texts)
    {
        delete texts;
    }

    size_t agpnet_matches_count(const agpnet_matches* matches, size_t query)
    {
        return matches && query < matches->found.size() ? matches->found[query].size() : 0;
    }

    int agpnet_matches_get(const agpnet_matches* matches, size_t query, size_t index, agpnet_match* match, char* message,
                           size_t messageSize)
    {
        return called(message, messageSize, [&] {
            const std::vector<agpnet::GalleryMatch>& found = matchesAt(matches, query);
            require(index < found.size(), "index is {}, expected less than the {} matches of the query", index, found.size());
            agpnet::give({0, found[index].name.c_str(), found[index].similarity, found[index].chance, found[index].note.c_str()}, match,
                         "match");
        });
    }

    void agpnet_matches_free(agpnet_matches* matches)
    {
        delete matches;
    }

} // extern "C"
