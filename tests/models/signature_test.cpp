// Signatures that minisign 0.11 made: tests/models/minisign.
#include "common/signature.h"

#include "models/weights/mapped_file.h"
#include "tests/support/error_text.h"
#include "tests/support/temp_folder.h"

namespace agpnet
{
namespace
{

using test::errorOf;
using test::readBytes;
using test::TempFolder;
using test::writeBytes;
using ::testing::HasSubstr;

const std::string fixtures = MINISIGN "/";
const char keyText[] = "RWRsbx0ESEDgwZbCcBp4E8xj05fXsmAFo2jsXRrzn5gpbp4+MFrQWPyB";

std::string check(const std::string& path, const std::string& key = keyText)
{
    const Bytes bytes = mapFile(path);
    return PublicKey::parse(key).requireSigned(path, bytes.data, bytes.size);
}

TEST(Signature, OfMinisignIsAccepted)
{
    const TempFolder folder;
    EXPECT_EQ(check(fixtures + "text"), "for line 3");
    EXPECT_EQ(check(fixtures + "text", fixtures + "key.pub"), "for line 3");
    writeBytes(folder / "legacy", readBytes(fixtures + "text"));
    writeBytes(folder / "legacy.minisig", readBytes(fixtures + "legacy.minisig"));
    EXPECT_EQ(check(folder / "legacy"), "older format");
}

TEST(Signature, OfAnotherKeyOrNoneIsRefused)
{
    const TempFolder folder;
    EXPECT_THAT(errorOf([&] { check(fixtures + "text", fixtures + "other.pub"); }), HasSubstr("made by another key"));
    writeBytes(folder / "bare", "x");
    EXPECT_THAT(errorOf([&] { check(folder / "bare"); }), HasSubstr("has no signature"));
    writeBytes(folder / "bare.minisig", std::string(20000, 'x'));
    EXPECT_THAT(errorOf([&] { check(folder / "bare"); }), HasSubstr("bare.minisig"));
    for (const char* key :
         {"", "RW", "RWRsbx0ESEDgwZbCcBp4E8xj05fXsmAFo2jsXRrzn5gpbp4+MFrQWPy?", "XXRsbx0ESEDgwZbCcBp4E8xj05fXsmAFo2jsXRrzn5gpbp4+MFrQWPyB"})
        EXPECT_NE(errorOf([&] { PublicKey::parse(key); }), "no error") << key;
    writeBytes(folder / "short.pub", "untrusted comment: a key\nRWRsbx0ESEDgwZbCcBp4\n");
    EXPECT_THAT(errorOf([&] { PublicKey::parse(folder / "short.pub"); }), HasSubstr("short.pub': not a public key"));
}

TEST(Signature, EveryChangedBitIsRefused)
{
    const std::string text = readBytes(fixtures + "text"), signature = readBytes(fixtures + "text.minisig");
    const PublicKey key = PublicKey::parse(keyText);
    const auto refused = [&](const std::string& content, const std::string& minisig) {
        return errorOf([&] { key.requireSigned("text", content.data(), content.size(), "text.minisig", minisig); }) != "no error";
    };
    ASSERT_FALSE(refused(text, signature));
    for (size_t bit = 0; bit < text.size() * 8; bit++)
    {
        std::string changed = text;
        changed[bit / 8] ^= static_cast<char>(1 << bit % 8);
        EXPECT_TRUE(refused(changed, signature)) << bit;
    }
    const size_t start = signature.find('\n') + 1; // the comment before it is nobody's word
    for (size_t bit = start * 8; bit < (signature.size() - 1) * 8; bit++)
    {
        std::string changed = signature;
        changed[bit / 8] ^= static_cast<char>(1 << bit % 8);
        if (changed[bit / 8] == '\r')
            continue; // ends a line as \n does
        EXPECT_TRUE(refused(text, changed)) << bit;
    }
    for (size_t size = 0; size < signature.size() - 1; size++)
        EXPECT_TRUE(refused(text, signature.substr(0, size))) << size;
    EXPECT_TRUE(refused(text, signature + "more\n"));
    EXPECT_TRUE(refused(text + "\n", signature));
    EXPECT_TRUE(refused("", signature));
}

} // namespace
} // namespace agpnet
