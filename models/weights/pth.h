#pragma once

#include "models/weights/mapped_file.h"
#include "models/weights/state_dict.h"

#include <filesystem>

namespace agpnet
{

/// Reads a state dict out of the zip that torch.save() writes: a dict or OrderedDict of tensors, at the top or under
/// "state_dict", "model" or "teacher". Nothing in the file is executed: the pickle is read by a small machine that knows tensors,
/// storages and containers, and refuses everything else by name. Entries of other kinds beside the tensors are passed over.
StateDict readPth(const std::filesystem::path& path);
StateDict readPth(const Bytes& bytes);

} // namespace agpnet
