/// @file
/// What leaves the shared library.
#pragma once

#if defined(AGPNET_BUILD) && (defined(__GNUC__) || defined(__clang__))
#define AGPNET_EXPORT __attribute__((visibility("default")))
#else
#define AGPNET_EXPORT
#endif
