/// @file
/// Tuning records: the fastest of the compiled schedules for a device and a shape, as measured by `agpnet tune` (docs/tuning.md).
///
/// The first call of a stage loads records. If the environment variable AGPNET_TUNING is set, it names the only record or folder of records
/// (`off`: no record). Otherwise the library reads *.json in $XDG_CACHE_HOME/agpnet/tuning (~/.cache/agpnet/tuning), then in
/// ../share/agpnet/tuning and ../../share/agpnet/tuning relative to the folder of the library. It ignores entries that it cannot use, with
/// one warning for each file in OpenCV's log. All functions are thread-safe. They throw cv::Exception.
#pragma once

#include "agpnet/api.hpp"

#include <string>

namespace agpnet
{

/// Loads this record, or the records in this folder, and drops all others. Ignores entries that are not for this build, with one warning
/// for each file. The next call of a stage uses the records.
/// @throws cv::Exception if there is nothing to read, or if a file is not a tuning record; the previous records then stay in use
AGPNET_EXPORT void loadTuning(const std::string& path);

/// Drops all records. Every stage uses its default schedule.
AGPNET_EXPORT void clearTuning();

/// Describes the tuning as JSON text. `records`: the files in use, with the ignored entries and the reasons. `choices`: the entries.
/// `decisions`: the schedule that each device of this machine uses for the shapes of the entries, for the usual shapes and for the shapes
/// of all calls so far (`seen`), with the reason: exact, nearest, architecture or default.
AGPNET_EXPORT std::string tuningInformation();

/// Does one step of a measurement; request and result are JSON text (tuning/steps.h). Programs such as `agpnet tune` call it in a separate
/// process, because a schedule that is measured may crash or hang.
AGPNET_EXPORT std::string tuningStep(const std::string& request);

} // namespace agpnet
