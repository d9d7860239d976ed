#pragma once

#include <cstddef>
#include <memory>
#include <string>

namespace agpnet
{

/// SHA-256 over pieces; the same digest whatever the pieces' sizes.
class Sha256
{
public:
    Sha256();
    ~Sha256();
    Sha256(const Sha256&) = delete;
    Sha256& operator=(const Sha256&) = delete;

    void update(const void* data, size_t bytes);
    std::string hex(); ///< 64 lower-case digits; call once

private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

std::string sha256(const void* data, size_t bytes);

} // namespace agpnet
