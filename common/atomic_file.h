#pragma once

#include <cstddef>
#include <filesystem>
#include <string>
#include <string_view>

namespace agpnet
{

/// Writes beside the target and renames at commit(): a reader sees the old file or the new one, never a part. Without
/// commit() nothing is left behind. Errors name the target and the system's reason.
class AtomicFile
{
public:
    explicit AtomicFile(std::filesystem::path target);
    ~AtomicFile();
    AtomicFile(const AtomicFile&) = delete;
    AtomicFile& operator=(const AtomicFile&) = delete;

    void write(const void* data, size_t bytes);
    void write(std::string_view text) { write(text.data(), text.size()); }
    void commit(); ///< flushes to the device, then renames

private:
    [[noreturn]] void failed(const char* what) const;

    std::filesystem::path target_;
    std::string temporary_;
    int descriptor_ = -1;
};

void writeFileAtomically(const std::filesystem::path& target, std::string_view text);

} // namespace agpnet
