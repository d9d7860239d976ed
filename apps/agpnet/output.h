#pragma once

namespace agpnet::app
{

/// Brings what was printed so far to where standard output goes. Error where that, or anything printed before, could not be written: on a full
/// disk nothing else would tell.
void flushOutput();

} // namespace agpnet::app
