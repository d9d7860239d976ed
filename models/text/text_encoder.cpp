#include "models/text/text_encoder.h"

#include "common/error.h"
#include "common/json_text.h"
#include "common/text_file.h"
#include "models/text/clip_text.h"
#include "models/text/sentence_encoder.h"
#include "models/weights/named_weights.h"

#include <algorithm>
#include <array>
#include <set>

#include <nlohmann/json.hpp>

namespace agpnet
{

namespace
{

using Json = nlohmann::json;
using Path = std::filesystem::path;

bool isThere(const Path& path)
{
    std::error_code ignored; // what cannot be asked for cannot be read either
    return std::filesystem::exists(path, ignored);
}

Path weightsIn(const Path& folder)
{
    for (const char* name : {"model.safetensors", "open_clip_model.safetensors", "pytorch_model.bin", "open_clip_pytorch_model.bin"})
        if (isThere(folder / name))
            return folder / name;
    std::vector<Path> found;
    std::error_code error;
    for (const auto& entry : std::filesystem::directory_iterator(folder, error))
        if (const Path extension = entry.path().extension(); extension == ".safetensors" || extension == ".pth" || extension == ".pt")
            found.push_back(entry.path());
    require(!error, "{}: cannot be read: {}", folder.string(), error.message());
    require(found.size() == 1, "{}: has {} files of weights (.safetensors, .pth, .pt), expected one; state the file", folder.string(),
            found.size());
    return found[0];
}

Json readJson(const Path& path)
{
    return parseJson(readTextFile(path, "a file of JSON"), path.string());
}

/// Null where there is none.
Json member(const Json& json, const char* key)
{
    return json.is_object() && json.contains(key) ? json[key] : Json();
}

/// A setting, absent where the file does not say it.
template <typename Value>
std::optional<Value> setting(const Json& json, const char* key, const Path& file)
{
    if (!json.is_object() || !json.contains(key))
        return std::nullopt;
    const Json& value = json[key];
    bool good = false;
    if constexpr (std::is_same_v<Value, int64_t>)
        good = value.is_number_integer() && value > 0 && value <= INT32_MAX;
    else if constexpr (std::is_same_v<Value, double>)
        good = value.is_number() && value > 0 && value < 1;
    else if constexpr (std::is_same_v<Value, bool>)
        good = value.is_boolean();
    else
        good = value.is_string();
    require(good, "{}: \"{}\" is {}, which is no such setting", file.string(), key,
            value.dump(-1, ' ', true, Json::error_handler_t::replace));
    return value.get<Value>();
}

/// Hugging Face's config.json or open_clip's, beside the weights.
TextSettings settingsBeside(const Path& weights, bool clip)
{
    TextSettings settings;
    const Path folder = weights.parent_path(), hugging = folder / "config.json", open = folder / "open_clip_config.json";
    if (clip && isThere(open))
    {
        const Json model = member(readJson(open), "model_cfg");
        settings.quickGelu = setting<bool>(model, "quick_gelu", open).value_or(false);
        const Json text = member(model, "text_cfg");
        settings.heads = setting<int64_t>(text, "heads", open);
        settings.width = setting<int64_t>(text, "width", open);
    }
    else if (isThere(hugging))
    {
        const Json whole = readJson(hugging), half = member(whole, "text_config");
        const Json config = clip && half.is_object() ? half : whole;
        settings.heads = setting<int64_t>(config, "num_attention_heads", hugging);
        settings.layerNormEps = setting<double>(config, "layer_norm_eps", hugging);
        settings.width = setting<int64_t>(config, "hidden_size", hugging);
        const std::string bend = setting<std::string>(config, "hidden_act", hugging).value_or(clip ? "quick_gelu" : "gelu");
        require(bend == "gelu" || (clip && bend == "quick_gelu"), "{}: \"hidden_act\" is \"{}\", expected gelu{}", hugging.string(), bend,
                clip ? " or quick_gelu" : "");
        settings.quickGelu = bend == "quick_gelu";
        const std::string positions = setting<std::string>(config, "position_embedding_type", hugging).value_or("absolute");
        require(positions == "absolute", "{}: \"position_embedding_type\" is \"{}\", expected absolute", hugging.string(), positions);
    }
    return settings;
}

/// What comes after the transformer, where the folder says it; other ways than ours would give other vectors.
void checkPooling(const Path& folder)
{
    const Path modules = folder / "modules.json", pooling = folder / "1_Pooling" / "config.json";
    if (isThere(modules))
        for (const Json& module : readJson(modules))
        {
            const std::string type = setting<std::string>(module, "type", modules).value_or("");
            const std::string name = type.substr(type.rfind('.') + 1);
            require(name == "Transformer" || name == "Pooling" || name == "Normalize",
                    "{}: has a module of type \"{}\", expected Transformer, Pooling and Normalize only", modules.string(), type);
        }
    if (isThere(pooling))
    {
        const Json config = readJson(pooling);
        require(setting<bool>(config, "pooling_mode_mean_tokens", pooling).value_or(true),
                "{}: does not take the mean of the tokens, which is all that is known here", pooling.string());
    }
}

std::unique_ptr<TextEncoder> readSentenceEncoder(const Path& file, const StateDict& weights)
{
    const Path folder = file.parent_path(), json = folder / "tokenizer.json", vocabulary = folder / "vocab.txt";
    checkPooling(folder);
    const TextSettings settings = settingsBeside(file, false);
    if (isThere(json))
        return std::make_unique<SentenceEncoder>(weights, WordPiece::fromTokenizerJson(readJson(json), json.string()), json.string(),
                                                 settings);
    require(isThere(vocabulary), "{}: has no tokenizer beside it, expected tokenizer.json or vocab.txt", file.string());
    const std::string text = readTextFile(vocabulary, "a vocabulary");
    return std::make_unique<SentenceEncoder>(weights, WordPiece::fromVocabulary(text, vocabulary.string()), vocabulary.string(), settings);
}

std::unique_ptr<TextEncoder> readClipText(const Path& file, const StateDict& weights)
{
    const Path folder = file.parent_path(), json = folder / "tokenizer.json", vocabulary = folder / "vocab.json";
    const TextSettings settings = settingsBeside(file, true);
    if (isThere(json))
        return std::make_unique<ClipText>(weights, BytePairs::fromTokenizerJson(readJson(json), json.string()), json.string(), settings);
    for (const char* name : {"merges.txt", "bpe_simple_vocab_16e6.txt"})
    {
        const Path merges = folder / name;
        if (!isThere(merges))
            continue;
        const std::string text = readTextFile(merges, "a file of merges");
        const bool numbered = isThere(vocabulary);
        BytePairs pairs = numbered ? BytePairs::fromVocabulary(readJson(vocabulary), text, merges.string())
                                   : BytePairs::fromMerges(text, ClipText::vocabularySize(weights), merges.string());
        return std::make_unique<ClipText>(weights, std::move(pairs), merges.string(), settings);
    }
    fail("{}: has no tokenizer beside it, expected tokenizer.json, merges.txt or bpe_simple_vocab_16e6.txt (unpacked)", file.string());
}

} // namespace

std::unique_ptr<TextEncoder> readTextEncoder(const Path& path)
{
    return withErrorsOf(ErrorKind::File,
                        [&]
                        {
                            std::error_code ignored;
                            const Path file = std::filesystem::is_directory(path, ignored) ? weightsIn(path) : path;
                            const StateDict weights = readStateDict(file);
                            try
                            {
                                if (!findKeys(weights, SentenceEncoder::keyNames()).empty())
                                    return readSentenceEncoder(file, weights);
                                std::vector<std::string> keyNames = SentenceEncoder::keyNames();
                                for (std::string& name : ClipText::keyNames())
                                    keyNames.push_back(std::move(name));
                                require(!findKeys(weights, ClipText::keyNames()).empty(),
                                        "these are not the weights of a text encoder known here: none of the {} tensors is called {}",
                                        weights.size(), fmt::join(keyNames, " or "));
                                return readClipText(file, weights);
                            }
                            catch (const Error& error)
                            {
                                const std::string text = error.what();
                                fail("{}{}", text.find(file.parent_path().string()) == std::string::npos ? file.string() + ": " : "", text);
                            }
                        });
}

} // namespace agpnet
