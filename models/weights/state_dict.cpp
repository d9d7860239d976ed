#include "models/weights/state_dict.h"

#include "common/error.h"
#include "common/sha256.h"
#include "models/weights/pth.h"
#include "models/weights/safetensors.h"

#include <cstring>
#include <string_view>

namespace agpnet
{

StateDict readStateDict(const std::filesystem::path& path)
{
    const Bytes bytes = mapFile(path);
    const std::string_view text(reinterpret_cast<const char*>(bytes.data), bytes.size);
    if (text.starts_with("PK"))
        return readPth(bytes);
    if (text.size() > 8 && text[8] == '{')
        return readSafetensors(bytes).tensors;
    if (text[0] == '\x80') // a pickle's first opcode
        return readPth(bytes);
    fail("{}: is neither a safetensors file nor a .pth written by torch.save()", bytes.name);
}

std::string stateDictHash(const StateDict& weights)
{
    Sha256 hash;
    const auto number = [&hash](uint64_t value) { hash.update(&value, sizeof value); };
    const auto text = [&](std::string_view value)
    {
        number(value.size()); // else "ab" + "c" and "a" + "bc" would agree
        hash.update(value.data(), value.size());
    };
    number(weights.size());
    for (const auto& [name, tensor] : weights)
    {
        text(name);
        text(c10::toString(tensor.scalar_type()));
        number(static_cast<uint64_t>(tensor.dim()));
        for (const int64_t extent : tensor.sizes())
            number(static_cast<uint64_t>(extent));
        const at::Tensor plain = tensor.detach().cpu().contiguous();
        if (plain.nbytes() > 0)
            hash.update(plain.const_data_ptr(), plain.nbytes());
    }
    return hash.hex();
}

} // namespace agpnet
