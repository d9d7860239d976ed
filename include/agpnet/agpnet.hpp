/// @file
/// Everything but the loader and the C functions, which stand alone.
#pragma once

#include "agpnet/calibration.hpp"
#include "agpnet/detector.hpp"
#include "agpnet/operators.hpp"
#include "agpnet/overlay.hpp"
#include "agpnet/region.hpp"
#include "agpnet/stages.hpp"
#include "agpnet/stream.hpp"
#include "agpnet/trainer.hpp"
#include "agpnet/tuning.hpp"
#include "agpnet/verify.hpp"
#include "agpnet/version.hpp"
