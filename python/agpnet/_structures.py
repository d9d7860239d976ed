"""The structures and functions of agpnet/c_api.h and agpnet/plugin.h."""
from __future__ import annotations

import ctypes
from ctypes import POINTER, c_char_p, c_double, c_float, c_int, c_int32, c_int64, c_size_t, c_uint32, c_uint64, c_void_p
from typing import Any

UINT8, UINT16, FLOAT32 = 0, 1, 2
MAP, MASK = 1, 2
REGION_TRAINED, REGION_WHOLE, REGION_MASK, REGION_POLYGONS = 0, 1, 2, 3


class Structure(ctypes.Structure):
    """Begins with its size."""

    def __init__(self, *values: Any) -> None:
        super().__init__(ctypes.sizeof(type(self)), *values)


class Image(Structure):
    _fields_ = [
        ("size", c_size_t),
        ("data", c_void_p),
        ("height", c_int32),
        ("width", c_int32),
        ("channels", c_int32),
        ("type", c_int32),
        ("stride", c_int64),
    ]


class Polygon(ctypes.Structure):
    _fields_ = [("points", POINTER(c_float)), ("count", c_size_t)]


class DetectOptions(Structure):
    _fields_ = [
        ("size", c_size_t),
        ("map_size", c_int32),
        ("tile_side", c_int32),
        ("tile_overlap", c_double),
        ("region", c_int32),
        ("mask", POINTER(Image)),
        ("polygons", POINTER(Polygon)),
        ("polygon_count", c_size_t),
        ("polygon_height", c_int32),
        ("polygon_width", c_int32),
        ("product", c_char_p),
        ("sensitivity", c_double),
        ("threshold", c_double),
        ("pixel_threshold", c_double),
        ("minimum_area", c_int32),
        ("threads", c_int32),
    ]


class Result(Structure):
    _fields_ = [
        ("size", c_size_t),
        ("score", c_double),
        ("threshold", c_double),
        ("pixel_threshold", c_double),
        ("calibrated", c_double),
        ("drift", c_double),
        ("anomalous", c_int32),
        ("region_count", c_size_t),
        ("product", c_char_p),
        ("warning", c_char_p),
    ]


class Region(Structure):
    _fields_ = [
        ("size", c_size_t),
        ("x", c_int32),
        ("y", c_int32),
        ("width", c_int32),
        ("height", c_int32),
        ("peak_x", c_int32),
        ("peak_y", c_int32),
        ("score", c_double),
        ("area", c_int64),
        ("contour", POINTER(c_int32)),
        ("contour_count", c_size_t),
    ]


class DetectorOptions(Structure):
    _fields_ = [("size", c_size_t), ("precision", c_char_p), ("device", c_char_p), ("detect", POINTER(DetectOptions))]


class DetectorInfo(Structure):
    _fields_ = [
        ("size", c_size_t),
        ("header", c_char_p),
        ("precision", c_char_p),
        ("device", c_char_p),
        ("input_height", c_int32),
        ("input_width", c_int32),
        ("product_count", c_size_t),
    ]


class Drift(Structure):
    _fields_ = [
        ("size", c_size_t),
        ("known", c_int32),
        ("images", c_int32),
        ("window", c_int32),
        ("median", c_double),
        ("outside", c_double),
        ("drifting", c_int32),
    ]


class StreamOptions(Structure):
    _fields_ = [("size", c_size_t), ("capacity", c_int32), ("batch", c_int32), ("latency", c_double), ("outputs", c_uint32)]


class Frame(Structure):
    _fields_ = [
        ("size", c_size_t),
        ("number", c_uint64),
        ("source", c_int32),
        ("batch", c_int32),
        ("seconds", c_double),
        ("error", c_char_p),
    ]


class TrainerOptions(Structure):
    _fields_ = [("size", c_size_t), ("backbone", c_char_p), ("config", c_char_p), ("device", c_char_p)]


class TrainerInfo(Structure):
    _fields_ = [
        ("size", c_size_t),
        ("steps_done", c_int32),
        ("steps", c_int32),
        ("batch_size", c_int32),
        ("input_height", c_int32),
        ("input_width", c_int32),
        ("config", c_char_p),
        ("record", c_char_p),
    ]


ReadImage = ctypes.CFUNCTYPE(c_int, c_void_p, c_size_t, POINTER(Image))


class ImageSet(Structure):
    _fields_ = [
        ("size", c_size_t),
        ("name", c_char_p),
        ("count", c_size_t),
        ("images", POINTER(Image)),
        ("read", ReadImage),
        ("context", c_void_p),
    ]


class TrainProgress(Structure):
    _fields_ = [("size", c_size_t), ("step", c_int32), ("steps", c_int32), ("loss", c_double)]


Progress = ctypes.CFUNCTYPE(c_int, c_void_p, POINTER(TrainProgress))

ReadLabelled = ctypes.CFUNCTYPE(c_int, c_void_p, c_size_t, POINTER(Image), POINTER(c_int32), POINTER(Image))


class CalibrationSet(Structure):
    _fields_ = [("size", c_size_t), ("product", c_char_p), ("count", c_size_t), ("read", ReadLabelled), ("context", c_void_p)]


CalibrationProgress = ctypes.CFUNCTYPE(c_int, c_void_p, c_size_t, c_size_t)


class CalibrationOptions(Structure):
    _fields_ = [
        ("size", c_size_t),
        ("rule", c_int32),
        ("false_alarms", c_double),
        ("miss_cost", c_double),
        ("progress", CalibrationProgress),
        ("context", c_void_p),
    ]


class DescriberOptions(Structure):
    _fields_ = [("size", c_size_t), ("precision", c_char_p), ("device", c_char_p)]


class DescriberInfo(Structure):
    _fields_ = [
        ("size", c_size_t),
        ("header", c_char_p),
        ("space", c_char_p),
        ("precision", c_char_p),
        ("device", c_char_p),
        ("width", c_size_t),
        ("input_height", c_int32),
        ("input_width", c_int32),
    ]


class GalleryInfo(Structure):
    _fields_ = [("size", c_size_t), ("count", c_size_t), ("width", c_size_t), ("space", c_char_p), ("calibrated", c_int32)]


class Match(Structure):
    _fields_ = [("size", c_size_t), ("name", c_char_p), ("similarity", c_double), ("chance", c_double), ("note", c_char_p)]


class DescriberTrainerInfo(Structure):
    _fields_ = [("size", c_size_t), ("config", c_char_p), ("record", c_char_p)]


class Object(Structure):
    _fields_ = [("size", c_size_t), ("name", c_char_p), ("class_name", c_char_p), ("count", c_size_t)]


ReadView = ctypes.CFUNCTYPE(c_int, c_void_p, c_size_t, c_size_t, POINTER(Image))


class ObjectSet(Structure):
    _fields_ = [("size", c_size_t), ("objects", POINTER(Object)), ("count", c_size_t), ("read", ReadView), ("context", c_void_p)]


class ObjectQueryOptions(Structure):
    _fields_ = [("size", c_size_t), ("rate", c_double), ("top", c_int32), ("most", c_int32)]


class ObjectAnswer(Structure):
    _fields_ = [
        ("size", c_size_t),
        ("known", c_int32),
        ("views", c_int32),
        ("evidence", c_double),
        ("threshold", c_double),
        ("lead", c_double),
    ]


_HANDLE, _TO = c_void_p, POINTER(c_void_p)
_FLOATS, _TEXTS = POINTER(c_float), POINTER(c_char_p)
_TRAINER_OPTIONS, _DETECT_OPTIONS = POINTER(TrainerOptions), POINTER(DetectOptions)
#: functions that return a code and end with (message, message_size)
_CALLS: dict[str, list[Any]] = {
    "agpnet_plugin_init_v1": [c_uint32, c_char_p],
    "agpnet_results_get_result": [_HANDLE, c_size_t, POINTER(Result)],
    "agpnet_results_get_region": [_HANDLE, c_size_t, c_size_t, POINTER(Region)],
    "agpnet_results_get_map": [_HANDLE, c_size_t, POINTER(Image)],
    "agpnet_results_get_mask": [_HANDLE, c_size_t, POINTER(Image)],
    "agpnet_detector_create": [c_char_p, POINTER(DetectorOptions), _TO],
    "agpnet_detector_detect": [_HANDLE, POINTER(Image), _DETECT_OPTIONS, c_uint32, _TO],
    "agpnet_detector_detect_batch": [_HANDLE, POINTER(Image), c_size_t, _DETECT_OPTIONS, c_uint32, _TO],
    "agpnet_detector_set_options": [_HANDLE, _DETECT_OPTIONS],
    "agpnet_detector_get_info": [_HANDLE, POINTER(DetectorInfo)],
    "agpnet_detector_get_thresholds": [_HANDLE, c_char_p, POINTER(c_double), POINTER(c_double)],
    "agpnet_detector_get_drift": [_HANDLE, POINTER(Drift)],
    "agpnet_detector_set_drift_window": [_HANDLE, c_int32],
    "agpnet_stream_create": [_HANDLE, POINTER(StreamOptions), _TO],
    "agpnet_stream_push": [_HANDLE, POINTER(Image), c_int32, POINTER(c_uint64)],
    "agpnet_stream_try_push": [_HANDLE, POINTER(Image), c_int32, POINTER(c_uint64), POINTER(c_int32)],
    "agpnet_stream_pop": [_HANDLE, c_double, POINTER(Frame), _TO],
    "agpnet_stream_close": [_HANDLE],
    "agpnet_stream_get_under_way": [_HANDLE, POINTER(c_size_t)],
    "agpnet_trainer_create": [_TRAINER_OPTIONS, _TO],
    "agpnet_trainer_resume": [c_char_p, _TRAINER_OPTIONS, _TO],
    "agpnet_trainer_join_processes": [_HANDLE, POINTER(c_int32), POINTER(c_int32)],
    "agpnet_trainer_fit": [_HANDLE, POINTER(ImageSet), c_size_t, Progress, c_void_p, POINTER(c_int32)],
    "agpnet_trainer_step": [_HANDLE, POINTER(Image), c_size_t, POINTER(c_double)],
    "agpnet_trainer_calibrate": [_HANDLE, POINTER(ImageSet), c_int32],
    "agpnet_trainer_get_info": [_HANDLE, POINTER(TrainerInfo)],
    "agpnet_trainer_note": [_HANDLE, c_char_p, c_char_p],
    "agpnet_trainer_save": [_HANDLE, c_char_p, c_int32],
    "agpnet_trainer_save_state": [_HANDLE, c_char_p],
    "agpnet_trainer_get_detector": [_HANDLE, _TO],
    "agpnet_calibrate": [c_char_p, POINTER(CalibrationSet), c_size_t, POINTER(CalibrationOptions), c_char_p, POINTER(c_int32)],
    "agpnet_describer_create": [c_char_p, POINTER(DescriberOptions), _TO],
    "agpnet_describer_describe": [_HANDLE, POINTER(Image), c_size_t, c_int32, _FLOATS, c_size_t],
    "agpnet_describer_embed": [_HANDLE, POINTER(Image), c_size_t, _FLOATS, c_size_t],
    "agpnet_describer_aggregate": [_HANDLE, _FLOATS, c_size_t, c_size_t, c_int32, _FLOATS, c_size_t],
    "agpnet_describer_get_info": [_HANDLE, POINTER(DescriberInfo)],
    "agpnet_gallery_create": [c_size_t, c_char_p, _TO],
    "agpnet_gallery_load": [c_char_p, c_char_p, _TO],
    "agpnet_gallery_add": [_HANDLE, c_char_p, _FLOATS, c_size_t, c_char_p],
    "agpnet_gallery_replace": [_HANDLE, c_char_p, _FLOATS, c_size_t, c_char_p],
    "agpnet_gallery_remove": [_HANDLE, c_char_p],
    "agpnet_gallery_contains": [_HANDLE, c_char_p, POINTER(c_int32)],
    "agpnet_gallery_get_info": [_HANDLE, POINTER(GalleryInfo)],
    "agpnet_gallery_get_names": [_HANDLE, _TO],
    "agpnet_gallery_get_note": [_HANDLE, c_char_p, _TO],
    "agpnet_gallery_get_descriptor": [_HANDLE, c_char_p, _FLOATS, c_size_t],
    "agpnet_gallery_search": [_HANDLE, _FLOATS, c_size_t, c_int32, c_char_p, _TO],
    "agpnet_gallery_search_batch": [_HANDLE, _FLOATS, c_size_t, c_size_t, c_int32, _TEXTS, _TO],
    "agpnet_gallery_calibrate": [_HANDLE, _FLOATS, c_size_t, c_size_t, _TEXTS, c_int32],
    "agpnet_gallery_get_evidence": [_HANDLE, _HANDLE, c_size_t, c_int32, POINTER(c_double)],
    "agpnet_gallery_get_threshold": [_HANDLE, c_double, c_int32, POINTER(c_double)],
    "agpnet_gallery_smooth": [_HANDLE, c_int32, c_double],
    "agpnet_gallery_save": [_HANDLE, c_char_p],
    "agpnet_gallery_set_model": [_HANDLE, c_char_p],
    "agpnet_gallery_get_model": [_HANDLE, _TO],
    "agpnet_matches_get": [_HANDLE, c_size_t, c_size_t, POINTER(Match)],
    "agpnet_describer_trainer_create": [_TRAINER_OPTIONS, _TO],
    "agpnet_describer_trainer_set_virtual_names": [_HANDLE, c_char_p, _TEXTS, c_size_t, _FLOATS, c_size_t],
    "agpnet_describer_trainer_fit": [_HANDLE, POINTER(ObjectSet), Progress, c_void_p, POINTER(c_int32)],
    "agpnet_describer_trainer_get_info": [_HANDLE, POINTER(DescriberTrainerInfo)],
    "agpnet_describer_trainer_note": [_HANDLE, c_char_p, c_char_p],
    "agpnet_describer_trainer_save": [_HANDLE, c_char_p, c_int32],
    "agpnet_describer_trainer_get_describer": [_HANDLE, _TO],
    "agpnet_object_query_create": [_HANDLE, _HANDLE, POINTER(ObjectQueryOptions), _TO],
    "agpnet_object_query_add": [_HANDLE, POINTER(Image), POINTER(ObjectAnswer), _TO],
    "agpnet_object_query_answer": [_HANDLE, POINTER(ObjectAnswer), _TO],
    "agpnet_object_query_clear": [_HANDLE],
}
#: name: (result, arguments)
SIGNATURES: dict[str, tuple[Any, list[Any]]] = {name: (c_int, [*arguments, c_char_p, c_size_t]) for name, arguments in _CALLS.items()}
SIGNATURES.update({
    "agpnet_build_information": (c_char_p, []),
    "agpnet_results_count": (c_size_t, [_HANDLE]),
    "agpnet_results_free": (None, [_HANDLE]),
    "agpnet_detector_get_product": (c_char_p, [_HANDLE, c_size_t]),
    "agpnet_detector_free": (None, [_HANDLE]),
    "agpnet_stream_free": (None, [_HANDLE]),
    "agpnet_trainer_free": (None, [_HANDLE]),
    "agpnet_describer_free": (None, [_HANDLE]),
    "agpnet_gallery_free": (None, [_HANDLE]),
    "agpnet_texts_count": (c_size_t, [_HANDLE]),
    "agpnet_texts_get": (c_char_p, [_HANDLE, c_size_t]),
    "agpnet_texts_free": (None, [_HANDLE]),
    "agpnet_matches_count": (c_size_t, [_HANDLE, c_size_t]),
    "agpnet_matches_free": (None, [_HANDLE]),
    "agpnet_describer_trainer_free": (None, [_HANDLE]),
    "agpnet_object_query_free": (None, [_HANDLE]),
})
