#include "common/signature.h"

#include "common/error.h"
#include "common/text_file.h"

#include <algorithm>
#include <memory>
#include <openssl/evp.h>
#include <string_view>
#include <vector>

namespace agpnet
{
namespace
{

namespace fs = std::filesystem;

constexpr size_t idBytes = 8, keyBytes = 32, signatureBytes = 64;

/// Exactly so many bytes in the one way that base64 writes them, or nothing.
std::vector<uint8_t> decoded(const std::string& text, size_t bytes)
{
    if (text.size() != (bytes + 2) / 3 * 4)
        return {};
    std::vector<uint8_t> result(text.size() / 4 * 3), again(text.size() + 1);
    if (EVP_DecodeBlock(result.data(), reinterpret_cast<const uint8_t*>(text.data()), static_cast<int>(text.size())) < 0)
        return {};
    result.resize(bytes);
    EVP_EncodeBlock(again.data(), result.data(), static_cast<int>(bytes));
    return std::equal(text.begin(), text.end(), again.begin()) ? result : std::vector<uint8_t>{};
}

std::vector<std::string> linesOf(const std::string& text)
{
    std::vector<std::string> lines;
    for (size_t at = 0; at < text.size();)
    {
        const size_t end = std::min(text.find('\n', at), text.size());
        lines.push_back(text.substr(at, end - at));
        if (lines.back().ends_with('\r'))
            lines.back().pop_back();
        at = end + 1;
    }
    return lines;
}

bool verified(const std::array<uint8_t, keyBytes>& key, const uint8_t* signature, const void* data, size_t size)
{
    const std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)> pkey(
        EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, nullptr, key.data(), key.size()), EVP_PKEY_free);
    const std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context(EVP_MD_CTX_new(), EVP_MD_CTX_free);
    require(pkey && context && EVP_DigestVerifyInit(context.get(), nullptr, nullptr, nullptr, pkey.get()) == 1,
            "Ed25519 is not available in libcrypto");
    return EVP_DigestVerify(context.get(), signature, signatureBytes, static_cast<const uint8_t*>(data), size) == 1;
}

} // namespace

PublicKey PublicKey::parse(const std::string& keyOrFile)
{
    std::string text = keyOrFile;
    if (!text.starts_with("RW") || text.size() != 56)
    {
        const std::vector<std::string> lines = linesOf(readTextFile(keyOrFile, "a public key of minisign", 4096));
        text = lines.size() == 1 ? lines[0] : lines.size() == 2 ? lines[1] : "";
    }
    const std::vector<uint8_t> bytes = decoded(text, 2 + idBytes + keyBytes);
    require(!bytes.empty() && bytes[0] == 'E' && bytes[1] == 'd',
            "'{}': not a public key of minisign; 56 characters that begin with RW were expected, or a file of them", keyOrFile);
    PublicKey key;
    std::copy_n(bytes.begin() + 2, idBytes, key.id_.begin());
    std::copy_n(bytes.begin() + 2 + idBytes, keyBytes, key.key_.begin());
    return key;
}

std::string PublicKey::requireSigned(const fs::path& path, const void* data, size_t size) const
{
    const std::string name = path.string() + ".minisig";
    std::error_code error;
    require(fs::exists(name, error), "{}: has no signature ({}), and one is required", path.string(), name);
    return requireSigned(path.string(), data, size, name, readTextFile(name, "a signature of minisign", 16384));
}

std::string PublicKey::requireSigned(const std::string& name, const void* data, size_t size, const std::string& signatureName,
                                     const std::string& text) const
{
    const std::vector<std::string> lines = linesOf(text);
    constexpr std::string_view comment = "trusted comment: ";
    const bool whole = lines.size() == 4 && lines[0].starts_with("untrusted comment: ") && lines[2].starts_with(comment);
    const std::vector<uint8_t> first = whole ? decoded(lines[1], 2 + idBytes + signatureBytes) : std::vector<uint8_t>{},
                               second = whole ? decoded(lines[3], signatureBytes) : std::vector<uint8_t>{};
    require(!first.empty() && !second.empty() && first[0] == 'E' && (first[1] == 'D' || first[1] == 'd'), "{}: not a signature of minisign",
            signatureName);
    require(std::equal(id_.begin(), id_.end(), first.begin() + 2), "{}: made by another key than the one required", signatureName);
    const uint8_t* signature = first.data() + 2 + idBytes;
    std::array<uint8_t, 64> digest{};
    const bool hashed = first[1] == 'D'; // today's format; the older one signs the file itself
    if (hashed)
    {
        unsigned length = 0;
        require(EVP_Digest(data, size, digest.data(), &length, EVP_blake2b512(), nullptr) == 1 && length == digest.size(),
                "BLAKE2b is not available in libcrypto");
        data = digest.data();
        size = digest.size();
    }
    require(verified(key_, signature, data, size), "{}: is not what was signed in {}", name, signatureName);
    const std::string trusted = lines[2].substr(comment.size());
    const std::string sealed = std::string(signature, signature + signatureBytes) + trusted;
    require(verified(key_, second.data(), sealed.data(), sealed.size()), "{}: its trusted comment is not what was signed", signatureName);
    return trusted;
}

} // namespace agpnet
