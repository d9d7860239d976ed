/// @file
/// What model and gallery files say of themselves, and checks of them: checksum and signature.
#pragma once

#include "agpnet/api.hpp"

#include <string>

namespace agpnet
{

/// Method of a model file, from its header: "agpnet" (AnomalyDetector) or "dec" (Describer).
/// @throws cv::Exception if the file is not a model
AGPNET_EXPORT std::string modelMethod(const std::string& path);

/// What a file says of itself, as JSON text: the header of a model of any method (docs/model-file.md), of `dec` with the `width` of its
/// descriptors; or the header of a gallery, with `width` and `calibration`: the number of `pairs` and the numbers of `views` that it was
/// calibrated with, null if it was not. Nothing is compared with the checksum.
/// @throws cv::Exception if the file is neither
AGPNET_EXPORT std::string fileInformation(const std::string& path);

/// Reads a whole model file and compares it with the SHA-256 that the file holds. AnomalyDetector::create() does the same, unless the
/// environment variable AGPNET_SKIP_CHECKSUM is set. The checksum detects damage. To detect changes by others, compare the returned value
/// with a copy that you keep elsewhere.
/// @return the checksum, 64 hexadecimal digits; empty if an earlier version wrote the file without one
/// @throws cv::Exception if the file is not a model, or does not match its checksum
AGPNET_EXPORT std::string verifyModel(const std::string& path);

/// Checks the signature of a file. The signature is in FILE.minisig beside the file, written by `minisign -S`. If the environment variable
/// AGPNET_REQUIRE_SIGNATURE holds a key, every adapter does this check before it reads a model, and refuses models without a valid
/// signature.
/// @param publicKey  the key ("RW...", 56 characters), or the path of a file that `minisign -G` wrote
/// @return the trusted comment of the signature
/// @throws cv::Exception if the file has no signature, if another key signed it, or if it was changed
AGPNET_EXPORT std::string verifySignature(const std::string& path, const std::string& publicKey);

} // namespace agpnet
