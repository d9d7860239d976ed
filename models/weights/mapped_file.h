#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>

#include <ATen/core/Tensor.h>

namespace agpnet
{

/// A read-only file in memory, or memory treated as one. Tensors that look into it hold `owner`, so it lives as long as they do.
struct Bytes
{
    std::shared_ptr<void> owner;
    uint8_t* data = nullptr; ///< not const only because tensors want it so
    size_t size = 0;
    std::string name; ///< name for messages
};

/// Maps privately: writing to a tensor that looks into the file changes this process's copy of the page, never the file.
/// A file that another program shortens in place while mapped ends in SIGBUS; replacing it by renaming, as AtomicFile does, is
/// safe.
Bytes mapFile(const std::filesystem::path& path);

/// Gives back the memory of a mapped file's pages that were read; they come back when they are touched. Not after anything was written
/// there, which would be lost. Nothing of empty bytes.
void forgetPages(const Bytes& mapped);

/// Copies: for tests, and for weights that come out of something else.
Bytes copyBytes(const void* data, size_t size, std::string name);

/// A tensor over part of the bytes, copied only where the address does not suit the type. The caller has checked that
/// `offset` and the size fit.
at::Tensor viewTensor(const Bytes& bytes, size_t offset, at::IntArrayRef shape, at::ScalarType type);

/// False on overflow.
inline bool multiply(uint64_t a, uint64_t b, uint64_t& product)
{
    return !__builtin_mul_overflow(a, b, &product);
}

inline bool add(uint64_t a, uint64_t b, uint64_t& sum)
{
    return !__builtin_add_overflow(a, b, &sum);
}

} // namespace agpnet
