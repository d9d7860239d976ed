#include "apps/datasets/csv.h"

#include "common/error.h"
#include "common/text_file.h"

#include <algorithm>

namespace agpnet::tools
{

namespace fs = std::filesystem;

namespace
{

constexpr size_t maxColumns = 1024;

std::string lower(std::string_view text)
{
    std::string result(text);
    std::transform(result.begin(), result.end(), result.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    return result;
}

std::string trimmed(const std::string& text)
{
    const size_t from = text.find_first_not_of(" \t");
    return from == std::string::npos ? std::string() : text.substr(from, text.find_last_not_of(" \t") - from + 1);
}

std::string readText(const fs::path& path)
{
    std::string text = readTextFile(path, "a CSV table");
    require(text.find('\0') == std::string::npos, "{}: is not text; a CSV table was expected", path.string());
    return text;
}

} // namespace

CsvTable::CsvTable(const fs::path& path) : path_(path)
{
    const std::string text = readText(path);
    size_t at = text.starts_with("\xef\xbb\xbf") ? 3 : 0, line = 1;
    while (at < text.size())
    {
        Row row{{}, line};
        bool blank = true;
        for (bool more = true; more;)
        {
            while (at < text.size() && (text[at] == ' ' || text[at] == '\t'))
                at++;
            std::string field;
            if (at < text.size() && text[at] == '"')
            {
                blank = false;
                for (at++; at < text.size() && (text[at] != '"' || text.compare(at, 2, "\"\"") == 0); at++)
                {
                    line += text[at] == '\n';
                    field += text[at];
                    at += text[at] == '"'; // a doubled quote is one
                }
                agpnet::require(at < text.size(), "{}, line {}: the quote is not closed", path.string(), row.line);
                at++;
                const size_t end = std::min(text.find_first_of(",\n", at), text.size());
                agpnet::require(text.find_first_not_of(" \t\r", at) >= end, "{}, line {}: a comma was expected after the quote",
                                path.string(), row.line);
                at = end;
            }
            else
            {
                const size_t end = std::min(text.find_first_of(",\n", at), text.size());
                field = text.substr(at, end - at);
                if (field.ends_with('\r'))
                    field.pop_back();
                field = trimmed(field);
                blank = blank && field.empty();
                at = end;
            }
            agpnet::require(row.fields.size() < maxColumns, "{}, line {}: more than {} fields", path.string(), row.line, maxColumns);
            row.fields.push_back(std::move(field));
            more = at < text.size() && text[at] == ',';
            blank = blank && !more;
            at++;
        }
        line++;
        if (blank)
            continue;
        if (columns_.empty())
        {
            columns_ = std::move(row.fields);
            std::transform(columns_.begin(), columns_.end(), columns_.begin(), lower);
            for (const std::string& name : columns_)
                agpnet::require(std::count(columns_.begin(), columns_.end(), name) == 1, "{}: the column '{}' occurs twice",
                                path.string(), name);
            continue;
        }
        agpnet::require(row.fields.size() == columns_.size(), "{}, line {}: {} fields, but the header names {} columns", path.string(),
                        row.line, row.fields.size(), columns_.size());
        rows_.push_back(std::move(row));
    }
    agpnet::require(!columns_.empty(), "{}: is empty; a header line with the columns' names was expected", path.string());
}

std::optional<size_t> CsvTable::find(std::initializer_list<std::string_view> names) const
{
    for (const std::string_view name : names)
        if (const auto found = std::find(columns_.begin(), columns_.end(), name); found != columns_.end())
            return static_cast<size_t>(found - columns_.begin());
    return {};
}

size_t CsvTable::require(std::initializer_list<std::string_view> names) const
{
    const auto found = find(names);
    agpnet::require(found.has_value(), "{}: the header has no column '{}'; it names {}", path_.string(), *names.begin(),
                    fmt::join(columns_, ", "));
    return *found;
}

std::string CsvTable::where(size_t row) const
{
    return fmt::format("{}, line {}", path_.string(), line(row));
}

std::string csvField(std::string_view text)
{
    if (text.find_first_of(",\"\r\n") == std::string_view::npos && text == trimmed(std::string(text)))
        return std::string(text);
    std::string quoted = "\"";
    for (const char c : text)
        quoted += c == '"' ? std::string("\"\"") : std::string(1, c);
    return quoted + "\"";
}

} // namespace agpnet::tools
