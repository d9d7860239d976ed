#include "common/atomic_file.h"

#include "common/error.h"

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace agpnet
{

AtomicFile::AtomicFile(std::filesystem::path target) : target_(std::move(target))
{
    struct stat there = {};
    if (::stat(target_.c_str(), &there) == 0) // the rename would put a file in the place of a device
        require(S_ISREG(there.st_mode) || S_ISDIR(there.st_mode),
                "{}: is a device, a pipe or a socket, expected the name of a file to write", target_.string());
    temporary_ = target_.string() + ".part-XXXXXX";
    descriptor_ = ::mkostemp(temporary_.data(), O_CLOEXEC);
    if (descriptor_ < 0)
        failed("cannot be written");
    // mkostemp gives 0600; give what open() would have given, without touching the process's umask
    ::fchmod(descriptor_, 0644);
}

AtomicFile::~AtomicFile()
{
    if (descriptor_ >= 0)
    {
        ::close(descriptor_);
        ::unlink(temporary_.c_str());
    }
}

void AtomicFile::failed(const char* what) const
{
    throw Error(fmt::format("{}: {}: {}", target_.string(), what, std::strerror(errno)), ErrorKind::File);
}

void AtomicFile::write(const void* data, size_t bytes)
{
    const char* at = static_cast<const char*>(data);
    while (bytes > 0)
    {
        const ssize_t written = ::write(descriptor_, at, bytes);
        if (written < 0 && errno == EINTR)
            continue;
        if (written == 0)
            errno = EIO; // nothing taken and no reason given: asking again could go on for ever
        if (written <= 0)
            failed("cannot be written");
        at += written;
        bytes -= static_cast<size_t>(written);
    }
}

void AtomicFile::commit()
{
    if (::fsync(descriptor_) != 0 && errno != EINVAL && errno != EROFS) // not every file system can
        failed("cannot be flushed");
    if (::rename(temporary_.c_str(), target_.c_str()) != 0)
        failed("cannot be put in place");
    ::close(descriptor_);
    descriptor_ = -1;
    // the new name too, so that what happens next cannot reach the device before it. Where a folder cannot be flushed, nothing is lost but
    // that
    const std::filesystem::path folder = target_.has_parent_path() ? target_.parent_path() : ".";
    if (const int opened = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC); opened >= 0)
    {
        ::fsync(opened);
        ::close(opened);
    }
}

void writeFileAtomically(const std::filesystem::path& target, std::string_view text)
{
    AtomicFile file(target);
    file.write(text);
    file.commit();
}

} // namespace agpnet
