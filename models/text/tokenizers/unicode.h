// What tokenizers need to know of Unicode: kinds of characters, small letters, accents apart and together. Version 14.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace agpnet
{

enum class CharacterKind : uint8_t
{
    Other, ///< symbols, marks that take room, and what has no meaning yet
    Letter,
    Number,
    Punctuation,
    Accent,  ///< a mark that takes no room: general category Mn
    Control, ///< Cc, Cf and Co
    Space    ///< has the property White_Space, whatever its category
};

CharacterKind kindOf(char32_t character);

/// Position of the first byte that is not UTF-8 (too long forms and surrogates are not); npos where there is none.
size_t invalidUtf8(std::string_view text);

/// Of valid UTF-8. `what`: "text 3", for the Error that says it is not.
std::u32string decodeUtf8(std::string_view text, std::string_view what);
void appendUtf8(std::string& text, char32_t character);
std::string encodeUtf8(std::u32string_view text);

/// Each letter by itself, so without the Greek final sigma.
std::u32string lowerCase(std::u32string_view text);

/// The canonical forms, NFD and NFC.
std::u32string decomposed(std::u32string_view text);
std::u32string composed(std::u32string_view text);

} // namespace agpnet
