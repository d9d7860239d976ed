#pragma once

#include <string>

namespace agpnet
{

/// Registers every operator in the LayerFactory of the OpenCV this library is linked to. The first call does the work; all return
/// its outcome: empty, or a sentence. Never throws.
const std::string& registerInOpenCV();

} // namespace agpnet
