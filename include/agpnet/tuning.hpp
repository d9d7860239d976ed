/// @file
/// Tuning records: which of the compiled schedules is the fastest for a device and a shape, as `agpnet tune` measured it (docs/tuning.md).
///
/// With the first call of a stage the library reads by itself: what AGPNET_TUNING names, a record or a folder of them, and nothing else
/// then ("off": nothing at all); otherwise *.json in the user's $XDG_CACHE_HOME/agpnet/tuning (~/.cache/agpnet/tuning), then in
/// ../share/agpnet/tuning and ../../share/agpnet/tuning of the folder that the library lies in. What cannot be used is left out with one
/// warning a file in OpenCV's log.
/// All functions are thread-safe, and raise cv::Exception with one sentence.
#pragma once

#include "agpnet/api.hpp"

#include <string>

namespace agpnet
{

/// Uses this record, or the records of this folder, and no other. What is in them but not for this build is left out with one warning a
/// file. Takes effect with the next call of a stage.
/// @throws cv::Exception where there is nothing to read, or a file is no tuning record; what was in use stays then
AGPNET_EXPORT void loadTuning(const std::string& path);

/// Every stage runs its default schedule again.
AGPNET_EXPORT void clearTuning();

/// JSON text: `records`, the files in use with what was left out of them and why; `choices`, what they say; `decisions`, which schedule
/// this machine's devices take for these, for the usual shapes and for those of the calls so far (`seen`), and why: exact, nearest,
/// architecture or default.
AGPNET_EXPORT std::string tuningInformation();

/// One step of a measurement, as tuning/steps.h describes it: JSON in, JSON out. For programs like `agpnet tune`, which run it in a process
/// of its own, because a schedule that is measured may crash or hang.
AGPNET_EXPORT std::string tuningStep(const std::string& request);

} // namespace agpnet
