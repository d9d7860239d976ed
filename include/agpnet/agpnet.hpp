#pragma once

#include "agpnet/detector.hpp"
#include "agpnet/operators.hpp"
#include "agpnet/stages.hpp"
#include "agpnet/stream.hpp"
#include "agpnet/trainer.hpp"
#include "agpnet/version.hpp"
