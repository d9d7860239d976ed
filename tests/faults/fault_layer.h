// System calls and allocations that fail when they are told to. Linked into a test it stands before the C library's own
// functions; built as a library of its own it is put before a program's with LD_PRELOAD, and takes its fault from AGPNET_FAULT.
#pragma once

#include <cstddef>

namespace agpnet::test
{

/// "CALL NTH WHAT": at the nth time that CALL is called from now on.
///   CALL  mkostemp, write, fsync, rename, close (of files that are being written), any (of these); open, fstat, mmap, read
///   WHAT  a value of errno; short: half is written; kill-before, kill-after: SIGKILL
/// An errno of 0 makes write() and read() give 0. "clock NTH 0": from the nth time on that the wall clock is asked, it is two years slow
/// and two years fast in turns.
void setFault(const char* text);

/// No fault from now on. Returns how often the call was seen.
long clearFault();

/// The nth allocation of so many bytes or more in this thread fails, counted from 1; 0: none does. Returns how many there were since it
/// was last set. (The JSON library's destructor allocates a little; where that fails, nothing can be caught any more.) Not in the
/// library for LD_PRELOAD.
long failAllocation(long nth, size_t least = 16 << 10);

} // namespace agpnet::test
