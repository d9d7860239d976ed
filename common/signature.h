// Detached signatures in minisign's format (https://jedisct1.github.io/minisign/): FILE.minisig beside FILE. Ed25519 and BLAKE2b are
// libcrypto's.
#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <string>

namespace agpnet
{

class PublicKey
{
public:
    /// What `minisign -G` wrote: the key itself ("RW..."), or the path of a file that holds it.
    static PublicKey parse(const std::string& keyOrFile);

    /// Error unless `path`.minisig is a signature of these bytes, and of its own trusted comment, by this key's secret half.
    /// Returns the trusted comment.
    std::string requireSigned(const std::filesystem::path& path, const void* data, size_t size) const;
    /// The same for a signature in memory; `name` and `signatureName` are for messages.
    std::string requireSigned(const std::string& name, const void* data, size_t size, const std::string& signatureName,
                              const std::string& signature) const;

private:
    std::array<uint8_t, 8> id_{};
    std::array<uint8_t, 32> key_{};
};

} // namespace agpnet
