#include "common/sha256.h"

#include "common/error.h"

#include <array>
#include <openssl/evp.h>

namespace agpnet
{

struct Sha256::Impl
{
    EVP_MD_CTX* context = EVP_MD_CTX_new();
    ~Impl() { EVP_MD_CTX_free(context); }
};

Sha256::Sha256() : impl_(std::make_unique<Impl>())
{
    require(impl_->context && EVP_DigestInit_ex(impl_->context, EVP_sha256(), nullptr) == 1, "SHA-256 is not available in libcrypto");
}

Sha256::~Sha256() = default;

void Sha256::update(const void* data, size_t bytes)
{
    require(EVP_DigestUpdate(impl_->context, data, bytes) == 1, "SHA-256 failed");
}

std::string Sha256::hex()
{
    std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
    unsigned length = 0;
    require(EVP_DigestFinal_ex(impl_->context, digest.data(), &length) == 1, "SHA-256 failed");
    std::string text;
    for (unsigned i = 0; i < length; i++)
        text += fmt::format("{:02x}", digest[i]);
    return text;
}

std::string sha256(const void* data, size_t bytes)
{
    Sha256 hash;
    hash.update(data, bytes);
    return hash.hex();
}

} // namespace agpnet
