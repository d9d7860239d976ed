/// @file
/// Is a model file still what was written?
#pragma once

#include "agpnet/api.hpp"

#include <string>

namespace agpnet
{

/// Reads the whole of a model file and compares it with the SHA-256 that was written into it; so does AnomalyDetector::create(), unless
/// AGPNET_SKIP_CHECKSUM is set. The sum tells damage. Compared with one that was kept elsewhere, it tells that nobody has changed
/// the file.
/// @return the sum, 64 hexadecimal digits; "" for a file from before there were sums
/// @throws cv::Exception naming the file that is no model, or holds something else than was written
AGPNET_EXPORT std::string verifyModel(const std::string& path);

/// Is this file the one that the owner of a key has signed? FILE.minisig, beside it, is what `minisign -S` wrote. With the key in the
/// environment variable AGPNET_REQUIRE_SIGNATURE every door asks this of each model before it looks into it, and refuses those without.
/// @param publicKey  the key itself ("RW...", 56 characters), or the path of a file that `minisign -G` wrote
/// @return the signature's trusted comment
/// @throws cv::Exception naming the file that is not signed, not by this key, or not as it was
AGPNET_EXPORT std::string verifySignature(const std::string& path, const std::string& publicKey);

} // namespace agpnet
