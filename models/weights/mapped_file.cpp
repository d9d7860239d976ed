#include "models/weights/mapped_file.h"

#include "common/error.h"

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <ATen/ops/empty.h>
#include <ATen/ops/from_blob.h>

namespace agpnet
{

Bytes mapFile(const std::filesystem::path& path)
{
    return withErrorsOf(ErrorKind::File, [&] {
        const std::string name = path.string();
        const int descriptor = ::open(name.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK); // a FIFO must not hang
        require(descriptor >= 0, "{}: cannot be opened: {}", name, std::strerror(errno));
        std::shared_ptr<void> closer(nullptr, [descriptor](void*) { ::close(descriptor); });

        struct stat status = {};
        if (::fstat(descriptor, &status) != 0)
            fail("{}: cannot be read: {}", name, std::strerror(errno));
        require(S_ISREG(status.st_mode), "{}: is not a regular file", name);
        require(status.st_size > 0, "{}: is empty", name);

        const auto size = static_cast<size_t>(status.st_size);
        void* address = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_NORESERVE, descriptor, 0);
        require(address != MAP_FAILED, "{}: cannot be mapped: {}", name, std::strerror(errno));
        Bytes bytes;
        bytes.owner = std::shared_ptr<void>(address, [size](void* mapped) { ::munmap(mapped, size); });
        bytes.data = static_cast<uint8_t*>(address);
        bytes.size = size;
        bytes.name = name;
        return bytes;
    });
}

void forgetPages(const Bytes& mapped)
{
    if (mapped.data)
        ::madvise(mapped.data, mapped.size, MADV_DONTNEED);
}

Bytes copyBytes(const void* data, size_t size, std::string name)
{
    Bytes bytes;
    bytes.owner = std::shared_ptr<void>(::operator new(size + 1), [](void* memory) { ::operator delete(memory); });
    bytes.data = static_cast<uint8_t*>(bytes.owner.get());
    bytes.size = size;
    bytes.name = std::move(name);
    if (size > 0)
        std::memcpy(bytes.data, data, size);
    return bytes;
}

at::Tensor viewTensor(const Bytes& bytes, size_t offset, at::IntArrayRef shape, at::ScalarType type)
{
    const at::TensorOptions options = at::TensorOptions().dtype(type);
    const size_t itemSize = c10::elementSize(type);
    size_t elements = 1;
    for (const int64_t extent : shape)
        elements *= static_cast<size_t>(extent);
    if (elements == 0)
        return at::empty(shape, options);

    uint8_t* begin = bytes.data + offset;
    if (type == at::kBool) // any other byte is undefined behaviour once it is read as a bool
        for (size_t i = 0; i < elements; i++)
            require(begin[i] <= 1, "{}: byte {} is {}, but a BOOL tensor holds 0 or 1", bytes.name, offset + i, begin[i]);
    if (reinterpret_cast<uintptr_t>(begin) % itemSize == 0)
        return at::from_blob(
            begin, shape, [owner = bytes.owner](void*) {}, options);
    at::Tensor copy = at::empty(shape, options);
    std::memcpy(copy.data_ptr(), begin, elements * itemSize);
    return copy;
}

} // namespace agpnet
