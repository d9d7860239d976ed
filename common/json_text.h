#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

namespace agpnet
{

/// JSON text that somebody else wrote. Refuses what is not JSON, and what is nested more deeply than anything of ours: copying
/// and printing a value descends into it, so depth would be the stack's. Errors begin with `name`.
nlohmann::json parseJson(std::string_view text, const std::string& name);

/// Whether JSON can hold the text as it is.
bool isUtf8(const std::string& text);

/// The text in quotes, as JSON has it, with U+FFFD in place of what is not UTF-8.
std::string quotedText(const std::string& text);

/// For messages: what is not UTF-8 becomes U+FFFD.
std::string printable(const std::string& text);

} // namespace agpnet
