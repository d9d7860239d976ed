#include "apps/tune/journal.h"

#include "common/error.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

namespace agpnet::app
{

using nlohmann::json;
using tuning::Trial;

namespace
{

constexpr off_t mostBytes = 64 << 20;

std::string contentOf(int descriptor)
{
    struct stat status{};
    if (::fstat(descriptor, &status) != 0 || status.st_size > mostBytes)
        return {};
    std::string text(static_cast<size_t>(status.st_size), '\0');
    const ssize_t count = ::pread(descriptor, text.data(), text.size(), 0);
    text.resize(static_cast<size_t>(std::max<ssize_t>(count, 0)));
    return text;
}

} // namespace

Journal::Journal(const std::filesystem::path& path, const json& header, bool resume) : path_(path)
{
    while (true)
    {
        descriptor_ = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
        require(descriptor_ >= 0, "{}: cannot be written: {}", path.string(), std::strerror(errno));
        if (::flock(descriptor_, LOCK_EX | LOCK_NB) != 0)
        {
            ::close(descriptor_);
            fail("{}: another agpnet tune is writing it; wait for it, or name another --out", path.string());
        }
        // who held it before may have removed it
        struct stat ours{}, named{};
        if (::fstat(descriptor_, &ours) == 0 && ::stat(path.c_str(), &named) == 0 && ours.st_ino == named.st_ino)
            break;
        ::close(descriptor_);
    }
    off_t good = 0;
    const std::string text = resume ? contentOf(descriptor_) : std::string();
    for (size_t at = 0, end = 0; (end = text.find('\n', at)) != std::string::npos; at = end + 1)
    {
        const json line = json::parse(text.substr(at, end - at), nullptr, false);
        if (at == 0 ? line != header : !line.is_object())
            break;
        if (at > 0)
        {
            try
            {
                const Trial trial = tuning::trialFromJson(line.at("trial"));
                trials_[keyOf(tuning::workloadFromJson(line.at("problem")), line.at("look").get<std::string>())].push_back(trial);
                continued_++;
            }
            catch (const std::exception&) // what follows was not written by us
            {
                break;
            }
        }
        good = static_cast<off_t>(end) + 1;
    }
    if (::ftruncate(descriptor_, good) != 0 || ::lseek(descriptor_, good, SEEK_SET) != good)
        fail("{}: cannot be written: {}", path.string(), std::strerror(errno));
    if (good == 0)
        write(header);
}

Journal::~Journal()
{
    ::close(descriptor_);
}

std::string Journal::keyOf(const stages::Workload& workload, const std::string& look)
{
    return tuning::toJson(workload).dump() + look;
}

const Trial* Journal::find(const stages::Workload& workload, const std::string& look, const std::string& variant) const
{
    const auto trials = trials_.find(keyOf(workload, look));
    if (trials == trials_.end())
        return nullptr;
    const auto found =
        std::find_if(trials->second.begin(), trials->second.end(), [&](const Trial& trial) { return trial.variant == variant; });
    return found == trials->second.end() ? nullptr : &*found;
}

std::vector<Trial> Journal::all(const stages::Workload& workload, const std::string& look) const
{
    const auto trials = trials_.find(keyOf(workload, look));
    return trials == trials_.end() ? std::vector<Trial>() : trials->second;
}

void Journal::add(const stages::Workload& workload, const std::string& look, const Trial& trial)
{
    write({{"problem", tuning::toJson(workload)}, {"look", look}, {"trial", tuning::toJson(trial)}});
    trials_[keyOf(workload, look)].push_back(trial);
}

void Journal::remove()
{
    ::unlink(path_.c_str());
}

void Journal::write(const json& line)
{
    const std::string text = line.dump() + "\n";
    for (size_t written = 0; written < text.size();)
    {
        const ssize_t count = ::write(descriptor_, text.data() + written, text.size() - written);
        require(count >= 0 || errno == EINTR, "{}: cannot be written: {}", path_.string(), std::strerror(errno));
        written += static_cast<size_t>(std::max<ssize_t>(count, 0));
    }
    if (::fsync(descriptor_) != 0 && errno != EINVAL && errno != EROFS)
        fail("{}: cannot be flushed: {}", path_.string(), std::strerror(errno));
}

FileLock::FileLock(const std::filesystem::path& path)
{
    const std::string name = path.string() + ".lock";
    descriptor_ = ::open(name.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    require(descriptor_ >= 0, "{}: cannot be written: {}", name, std::strerror(errno));
    while (::flock(descriptor_, LOCK_EX) != 0)
        require(errno == EINTR, "{}: cannot be locked: {}", name, std::strerror(errno));
}

FileLock::~FileLock()
{
    ::close(descriptor_);
}

} // namespace agpnet::app
