// Linked to the library: which object of a folder do these images show? They are views of one object, and the answer grows with them.
//   find_part parts.agp catalogue image.png...      catalogue/4711/*.png are views of the object 4711
#include <agpnet/object_query.hpp>
#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <opencv2/imgcodecs.hpp>
#include <stdexcept>

namespace fs = std::filesystem;

static std::vector<fs::path> entriesOf(const fs::path& folder)
{
    std::vector<fs::path> entries;
    for (const fs::directory_entry& entry : fs::directory_iterator(folder))
        entries.push_back(entry.path());
    std::sort(entries.begin(), entries.end());
    return entries;
}

static cv::Mat read(const fs::path& path)
{
    cv::Mat image = cv::imread(path.string());
    if (image.empty())
        throw std::runtime_error(path.string() + ": not an image that OpenCV reads");
    return image;
}

int main(int argc, char** argv)
try
{
    if (argc < 4)
        return std::fprintf(stderr, "usage: find_part MODEL FOLDER IMAGE...\n"), 2;
    const cv::Ptr<agpnet::Describer> describer = agpnet::Describer::create(argv[1]);
    const cv::Ptr<agpnet::Gallery> gallery = agpnet::Gallery::create(describer->getWidth(), describer->getSpace());
    cv::Mat singles; // descriptors of single views, to learn from how close other objects come to them
    std::vector<std::string> owners;
    for (const fs::path& object : entriesOf(argv[2]))
    {
        std::vector<cv::Mat> views;
        for (const fs::path& view : entriesOf(object))
            views.push_back(read(view));
        cv::Mat embeddings, descriptor;
        describer->embed(views, embeddings);
        describer->aggregate(embeddings, descriptor);
        gallery->add(object.filename().string(), descriptor);
        for (int i = 0; i < embeddings.rows; i++)
        {
            describer->aggregate(embeddings.row(i), descriptor);
            singles.push_back(descriptor);
            owners.push_back(object.filename().string());
        }
    }
    gallery->calibrate(singles, owners); // gallery->save("catalogue.agpx") would keep all this

    const cv::Ptr<agpnet::ObjectQuery> query = agpnet::ObjectQuery::create(describer, gallery, 0.05, 3);
    for (int i = 3; i < argc; i++)
    {
        const agpnet::ObjectAnswer answer = query->add(read(argv[i]));
        std::printf("view %d: %s\n", answer.views, answer.known ? answer.matches[0].name.c_str() : "not in the folder");
        for (const agpnet::GalleryMatch& match : answer.matches)
            std::printf("  %s, similarity %.4f, chance %.4f\n", match.name.c_str(), match.similarity, match.chance);
    }
}
catch (const std::exception& error)
{
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
}
