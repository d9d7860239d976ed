// What the handles agpnet_gallery, agpnet_matches and agpnet_texts hold.
#pragma once

#include "agpnet/c_api.h"
#include "agpnet/gallery.hpp"

#include <string>
#include <vector>

struct agpnet_gallery
{
    explicit agpnet_gallery(cv::Ptr<agpnet::Gallery> of) : gallery(std::move(of)), space(gallery->getSpace()) {}

    cv::Ptr<agpnet::Gallery> gallery;
    std::string space; ///< the caller gets a pointer to it
};

struct agpnet_matches
{
    std::vector<std::vector<agpnet::GalleryMatch>> found; ///< by query
};

struct agpnet_texts
{
    std::vector<std::string> texts;
};
