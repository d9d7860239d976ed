#include "common/signature.h"
#include "tests/fuzz/target.h"

#include <cstdlib>
#include <string_view>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size)
{
    const std::string text(reinterpret_cast<const char*>(data), size);
    agpnet::fuzz::answers(size,
                          [&]
                          {
                              const agpnet::fuzz::InputFile file(data, size);
                              agpnet::PublicKey::parse(file.path());
                          });
    return agpnet::fuzz::answers(size,
                                 [&]
                                 {
                                     static const auto key =
                                         agpnet::PublicKey::parse("RWRsbx0ESEDgwZbCcBp4E8xj05fXsmAFo2jsXRrzn5gpbp4+MFrQWPyB");
                                     constexpr std::string_view file = "A tile, trained on good ones only.\n";
                                     const std::string comment = key.requireSigned("text", file.data(), file.size(), "text.minisig", text);
                                     if (comment != "for line 3" && comment != "older format") // all that this key ever signed
                                         std::abort();
                                 });
}
