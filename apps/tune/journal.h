// What a tuning run has measured so far, a line of JSON each, flushed to the device before the next measurement begins. A run that was
// ended at any point, even in the middle of a line, is continued from it.
#pragma once

#include "tuning/record.h"

#include <filesystem>
#include <map>
#include <string>

namespace agpnet::app
{

class Journal
{
public:
    /// `header` says what is measured by what; a journal of another is not continued. While the object lives, no other process has the
    /// journal. An Error where another does.
    Journal(const std::filesystem::path& path, const nlohmann::json& header, bool resume);
    ~Journal();
    Journal(const Journal&) = delete;
    Journal& operator=(const Journal&) = delete;

    /// A trial of this run or of the one that is continued; null if there is none. `look` tells apart the first and the second.
    const tuning::Trial* find(const stages::Workload& workload, const std::string& look, const std::string& variant) const;
    std::vector<tuning::Trial> all(const stages::Workload& workload, const std::string& look) const;
    void add(const stages::Workload& workload, const std::string& look, const tuning::Trial& trial);

    size_t continued() const { return continued_; } ///< trials that were there
    void remove();                                  ///< all is in the record

private:
    void write(const nlohmann::json& line);
    static std::string keyOf(const stages::Workload& workload, const std::string& look);

    std::filesystem::path path_;
    int descriptor_ = -1;
    size_t continued_ = 0;
    std::map<std::string, std::vector<tuning::Trial>> trials_;
};

/// Holds a lock on `path`.lock, waiting for it, for a read, a change and a write of `path` that nobody comes between.
class FileLock
{
public:
    explicit FileLock(const std::filesystem::path& path);
    ~FileLock();
    FileLock(const FileLock&) = delete;
    FileLock& operator=(const FileLock&) = delete;

private:
    int descriptor_ = -1;
};

} // namespace agpnet::app
