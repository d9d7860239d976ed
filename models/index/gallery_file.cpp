#include "models/index/gallery_file.h"

#include "common/error.h"
#include "models/model_file/checksum.h"
#include "models/model_file/container.h"
#include "models/model_file/header.h"

#include <ATen/ATen.h>
#include <cerrno>
#include <cmath>
#include <cstring>
#include <fcntl.h>
#include <filesystem>
#include <mutex>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

namespace agpnet
{
namespace
{

using nlohmann::json;
namespace fs = std::filesystem;

const char kind[] = "gallery";
const char rowsName[] = "rows", nameBytes[] = "names.bytes", nameEnds[] = "names.ends", noteBytes[] = "notes.bytes",
           noteEnds[] = "notes.ends", byNameName[] = "by_name", pairsName[] = "closeness.pairs", strangersName[] = "closeness.strangers.",
           weightName[] = "closeness.weight.";

/// What tells one state of a file from another. Files are replaced by renaming, so the inode changes with each.
std::string identityOf(const std::string& path)
{
    struct stat is = {};
    if (::stat(path.c_str(), &is) != 0)
        return "";
    return fmt::format("{}:{}:{}:{}.{}", is.st_dev, is.st_ino, is.st_size, is.st_mtim.tv_sec, is.st_mtim.tv_nsec);
}

/// Writers of one folder come one after another; nothing is left behind in it.
class FolderLock
{
public:
    explicit FolderLock(const std::string& path)
    {
        const fs::path folder = fs::path(path).has_parent_path() ? fs::path(path).parent_path() : fs::path(".");
        descriptor_ = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        require(descriptor_ >= 0, "{}: its folder cannot be opened: {}", path, std::strerror(errno));
        while (::flock(descriptor_, LOCK_EX) != 0)
            if (errno != EINTR)
                break; // a file system without locks: the check of the identity remains
    }
    ~FolderLock() { ::close(descriptor_); }
    FolderLock(const FolderLock&) = delete;
    FolderLock& operator=(const FolderLock&) = delete;

private:
    int descriptor_;
};

at::Tensor typed(const std::string& path, const TensorFile& file, const char* name, at::ScalarType type, int64_t dims)
{
    const at::Tensor tensor = requiredTensor(path, file, name);
    require(tensor.scalar_type() == type && tensor.dim() == dims, "{}: tensor '{}' is {} of shape [{}], expected {} with {} dimensions",
            path, name, toString(tensor.scalar_type()), fmt::join(tensor.sizes(), ", "), toString(type), dims);
    return tensor;
}

PackedTexts textsIn(const std::string& path, const TensorFile& file, const char* bytes, const char* ends, int64_t count)
{
    const PackedTexts texts{typed(path, file, bytes, at::kByte, 1), typed(path, file, ends, at::kLong, 1)};
    require(texts.ends.size(0) == count, "{}: tensor '{}' has {} entries, expected one for each of {} rows", path, ends, texts.ends.size(0),
            count);
    return texts;
}

std::vector<float> sortedIn(const std::string& path, const char* what, const at::Tensor& tensor)
{
    require(tensor.scalar_type() == at::kFloat && tensor.dim() == 1, "{}: tensor '{}' is not a list of float32", path, what);
    const float* values = tensor.const_data_ptr<float>();
    std::vector<float> list(values, values + tensor.numel());
    for (size_t i = 0; i < list.size(); i++)
        require(std::isfinite(list[i]) && (i == 0 || list[i] >= list[i - 1]), "{}: tensor '{}' is no list of rising numbers", path, what);
    return list;
}

Closeness closenessIn(const std::string& path, const TensorFile& file)
{
    Closeness closeness;
    if (const auto found = file.tensors.find(pairsName); found != file.tensors.end())
        closeness.pairs = sortedIn(path, pairsName, found->second);
    for (const auto& [name, tensor] : tensorsBehind(strangersName, file))
    {
        require(!name.empty() && name.size() <= 6 && name.find_first_not_of("0123456789") == std::string::npos,
                "{}: tensor '{}{}' ends with no number of views", path, strangersName, name);
        const at::Tensor weight = requiredTensor(path, file, (weightName + name).c_str());
        require(weight.scalar_type() == at::kFloat && weight.numel() == 1 && at::isfinite(weight).all().item<bool>(),
                "{}: tensor '{}{}' is not one finite float32", path, weightName, name);
        closeness.strangers.push_back({std::stol(name), weight.item<float>(), sortedIn(path, strangersName, tensor)});
        require(!closeness.strangers.back().evidence.empty(), "{}: tensor '{}{}' is empty", path, strangersName, name);
    }
    std::sort(closeness.strangers.begin(), closeness.strangers.end(), [](const auto& a, const auto& b) { return a.views < b.views; });
    return closeness;
}

at::Tensor listOf(const std::vector<float>& values)
{
    return at::tensor(values, at::kFloat);
}

} // namespace

void writeGallery(const std::string& path, GalleryFile& gallery)
{
    withErrorsOf(ErrorKind::File, [&] {
        const GalleryRows::Packed packed = gallery.rows.packed();
        TensorFile file;
        file.tensors = {{rowsName, gallery.rows.rows()},      {nameBytes, packed.names.bytes}, {nameEnds, packed.names.ends},
                        {noteBytes, packed.notes.bytes}, {noteEnds, packed.notes.ends},   {byNameName, packed.byName}};
        const Closeness& closeness = gallery.rows.closeness();
        if (!closeness.pairs.empty())
            file.tensors.emplace(pairsName, listOf(closeness.pairs));
        for (const Closeness::Strangers& each : closeness.strangers)
        {
            file.tensors.emplace(strangersName + std::to_string(each.views), listOf(each.evidence));
            file.tensors.emplace(weightName + std::to_string(each.views), at::full({1}, each.weight, at::kFloat));
        }
        const FolderLock lock(path);
        std::error_code ignored;
        if (!gallery.path.empty() && fs::equivalent(path, gallery.path, ignored))
            require(identityOf(path) == gallery.identity,
                    "{}: was changed by another program since it was opened; expected to be opened again before it is changed", path);
        writeSealed(path,
                    {{"format_version", modelFormatVersion},
                     {"kind", kind},
                     {"space", gallery.rows.space()},
                     {"entries", gallery.rows.size()},
                     {"model", gallery.model},
                     {"settings", gallery.settings}},
                    std::move(file));
        gallery.path = path;
        gallery.identity = identityOf(path);
    });
}

GalleryFile readGallery(const std::string& path)
{
    return withErrorsOf(ErrorKind::File, [&] {
        const std::string identity = identityOf(path);
        const TensorFile file = readSafetensors(path);
        const json header = headerOfKind(path, file.metadata, kind);
        const at::Tensor rows = typed(path, file, rowsName, at::kFloat, 2);
        const int64_t count = rows.size(0);
        require(rows.size(1) > 0, "{}: tensor '{}' has rows of no width", path, rowsName);
        const auto entries = headerMember<int64_t>(path, header, "entries");
        require(entries == count, "{}: the header says {} entries, but there are {} rows", path, entries, count);
        const at::Tensor byName = typed(path, file, byNameName, at::kLong, 1);
        require(byName.size(0) == count, "{}: tensor '{}' has {} entries, expected {}", path, byNameName, byName.size(0), count);
        const auto once = std::make_shared<std::once_flag>();
        const auto check = [path, header, file, rows, once] {
            std::call_once(*once, [&] {
                withErrorsOf(ErrorKind::File, [&] {
                    requireWhole(path, header, file);
                    require(at::isfinite(rows.sum(1)).all().item<bool>(), "{}: tensor '{}' has values that are not finite", path, rowsName);
                });
            });
        };
        GalleryFile gallery{GalleryRows(headerMember<std::string>(path, header, "space"), rows,
                                        textsIn(path, file, nameBytes, nameEnds, count), textsIn(path, file, noteBytes, noteEnds, count),
                                        byName, check),
                            headerMember<std::string>(path, header, "model"), headerMember<json>(path, header, "settings"), path, identity};
        gallery.rows.setCloseness(closenessIn(path, file));
        return gallery;
    });
}

json readGalleryHeader(const std::string& path)
{
    return withErrorsOf(ErrorKind::File, [&] { return headerOfKind(path, readSafetensors(path).metadata, kind); });
}

} // namespace agpnet
