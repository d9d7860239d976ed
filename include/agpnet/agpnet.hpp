/// @file
/// Everything but the loader and the C functions, which stand alone.
#pragma once

#include "agpnet/anomaly_calibration.hpp"
#include "agpnet/anomaly_detector.hpp"
#include "agpnet/describer.hpp"
#include "agpnet/describer_trainer.hpp"
#include "agpnet/gallery.hpp"
#include "agpnet/object_query.hpp"
#include "agpnet/onnx.hpp"
#include "agpnet/operators.hpp"
#include "agpnet/overlay.hpp"
#include "agpnet/part_inspector.hpp"
#include "agpnet/region.hpp"
#include "agpnet/stages.hpp"
#include "agpnet/training.hpp"
#include "agpnet/anomaly_stream.hpp"
#include "agpnet/anomaly_trainer.hpp"
#include "agpnet/tuning.hpp"
#include "agpnet/verify.hpp"
#include "agpnet/version.hpp"
