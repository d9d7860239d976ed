#pragma once

#include <string>

namespace agpnet
{

/// Registers every operator as torch.ops.agpnet.<Name>, with gradients for Perturb and Residual. Runs when the library is loaded
/// (torch.ops.load_library asks for no more); later calls return the outcome: empty, or a sentence. Never throws.
const std::string& registerInTorch();

} // namespace agpnet
