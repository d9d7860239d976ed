// Tables as text: commas, a header line, quotes as in RFC 4180. What spreadsheets and Python's csv module write.
#pragma once

#include <deque>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace agpnet::tools
{

class CsvTable
{
public:
    /// Reads the whole file. A byte-order mark, CR LF, blank lines and spaces around plain fields are let pass; rows of
    /// another length than the header, a repeated column and an open quote are Errors that name the line.
    explicit CsvTable(const std::filesystem::path& path);

    const std::filesystem::path& path() const { return path_; }
    const std::vector<std::string>& columns() const { return columns_; } ///< names in lower case
    size_t rows() const { return rows_.size(); }
    size_t line(size_t row) const { return rows_[row].line; } ///< line of the file, from 1, for messages

    /// The first of these names that is a column; they are compared in any case.
    std::optional<size_t> find(std::initializer_list<std::string_view> names) const;
    size_t require(std::initializer_list<std::string_view> names) const; ///< Error where there is none

    const std::string& at(size_t row, size_t column) const { return rows_[row].fields[column]; }
    std::string where(size_t row) const; ///< "table.csv, line 3"

private:
    struct Row
    {
        std::vector<std::string> fields;
        size_t line;
    };

    std::filesystem::path path_;
    std::vector<std::string> columns_;
    std::deque<Row> rows_; // not a vector: a row may be two bytes of the file, and growing would take many times its size
};

/// Quoted where it must be.
std::string csvField(std::string_view text);

} // namespace agpnet::tools
