"""The values that pass between parts, and the options of parts."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from random import Random
from typing import Any

import numpy as np
import torch

from bad_input.case import (
    INF,
    NAN,
    NO_COUNT,
    NO_DEVICE,
    NO_NUMBER,
    NO_SECONDS,
    ODD_ONE,
    Arg,
    Case,
    Door,
    Made,
    array,
    drawn,
    filled,
    holed,
    tensor,
)
from coprop import Audio, ControlPointDetector, ControlPoints, CoProp, FrameMask, Segment
from coprop.control_points.language_models.server import ServerModel
from coprop.evaluation.scores import ScoreOptions
from coprop.keyframes.adapters import CallableSegmenter
from coprop.keyframes.model import FrameContext
from coprop.keyframes.segmenter import SegmenterConfig
from coprop.media.reader import Frame
from coprop.propagation import PropagatorConfig

NO_RATE = (0, -1, 1.5, NAN, INF, True, None, *NO_NUMBER)
ODD_RATE = (16_000.0, np.float64(16_000), np.array(16_000), torch.tensor(16_000), Fraction(16_000))
SAMPLES = (array((800,)), array((800,), "float64"), array((1,)), filled((0,), 0, "float32"))
NO_SAMPLES = (
    None, "sound", 5, {}, array((2, 3, 4)), array((400,), "complex64"), holed(array((800,)), NAN),
    holed(array((800,)), INF), holed(array((800,), "float64"), 1e300), filled((9,), None, object),
    filled((9,), "a"), array((), "float64"), filled((9,), True, bool),
)  # fmt: skip
ODD_SAMPLES = (
    [0.0, 0.5], (0.1,), tensor((800,)), tensor((80,), torch.bfloat16), array((80,), "float16"),
    Made("tensor with gradient", lambda rng: torch.zeros(80, requires_grad=True)),
    array((80,), "float32", 1e30), array((80,), "float32", 3.0),
)  # fmt: skip
TIMES = Made("0, 1, 2", lambda rng: np.array([0.0, 1.0, 2.0]))
NO_TIMES = tuple(
    Made(repr(times), lambda rng, times=times: np.array(times))
    for times in (
        [0.0, NAN, 2.0], [0.0, 1.0, INF], [-INF, 0.0, 1.0], [2.0, 1.0, 0.0], [0.0, 0.0, 1.0],
        [[0.0, 1.0, 2.0]], ["0", "1", "2"], [0.0, None, 2.0], [0.0, 1.0], [], 0.0, [0j, 1j, 2j],
    )
)  # fmt: skip


def _used(audio: Audio) -> Any:
    return audio, audio.read(-10, 50), audio.duration_s, audio.resampled(8_000)


def _points_used(points: ControlPoints) -> Any:
    return points, points.change_times_s, points.spans(3.0)


PICTURE = Made("picture", lambda rng: np.zeros((6, 8, 3), np.uint8))
NO_PICTURES = (
    None, "x", 5, array((6, 8, 3)), array((6, 8)), array((3, 6, 8)), filled((6, 8, 4), 1, "uint8"),
    filled((0, 8, 3), 0, "uint8"), filled((6, 8, 3), 1, "int64"), filled((6, 8, 3), None, object),
)  # fmt: skip
LABELS = Made("labels", lambda rng: np.ones((6, 8), np.uint8))


def _wide(config: Any) -> Any:
    return config, config.to_dict()


TABLE: dict[str, tuple[Callable[..., Any], dict[str, Arg], Callable[[Any], Any]]] = {
    "Audio": (
        Audio,
        {
            "samples": Arg(SAMPLES, (*NO_SAMPLES, array((2, 400)), array((9,), "int16")),
            ODD_SAMPLES),
            "sample_rate": Arg((16_000, 8_000, 44_100, np.int64(22_050)), NO_RATE, ODD_RATE),
        },
        _used,
    ),
    "Audio.from_array": (
        Audio.from_array,
        {
            "samples": Arg(
                (*SAMPLES, array((2, 400)), array((400, 2)), array((9,), "int16", 9)),
                NO_SAMPLES,
                (*ODD_SAMPLES, array((2, 2)), filled((0, 2), 0.0), array((9,), "uint8", 200)),
            ),
            "sample_rate": Arg((16_000, 48_000), NO_RATE, ODD_RATE),
        },
        _used,
    ),
    "Audio.resampled": (
        lambda sample_rate: Audio(np.zeros(160, np.float32), 16_000).resampled(sample_rate),
        {"sample_rate": Arg((8_000, 44_100, np.int64(22_050)), NO_RATE, (*ODD_RATE, 1, 10**9))},
        lambda audio: audio,
    ),
    "Segment": (
        Segment,
        {
            "start_s": Arg((0.0, 0.5), (NAN, INF, 5.0, None, *NO_NUMBER), (*ODD_ONE, -1.0)),
            "end_s": Arg((2.0, 3), (NAN, -INF, -9.0, None, *NO_NUMBER), (*ODD_ONE[1:], INF)),
        },
        lambda segment: segment,
    ),
    "ControlPoints": (
        ControlPoints,
        {
            "times_s": Arg((TIMES,), (None, "012", 5, *NO_TIMES), ([0.0, 1.0, 2.0], tensor((3,)))),
            "scores": Arg(
                (filled((3,), 0.5), filled((3,), 1.0)),
                (None, "abc", filled((3,), NAN), filled((3,), 1.5), filled((3, 1), 0.5),
                 filled((3,), "1"), filled((3,), None, object), filled((2,), 0.5)),
                ([1.0, 0.5, 0.0], tensor((3,)), filled((3,), 1, int)),
            ),
            "flags": Arg(
                (filled((3,), True), Made("1 0 1", lambda rng: np.array([True, False, True]))),
                (None, "101", filled((3,), 0.5), filled((3,), False), filled((3,), 7),
                 filled((1, 3), True), filled((4,), True), filled((3,), "1"), filled((3,), NAN)),
                ([True, False, True], filled((3,), 1, int), filled((3,), True, object)),
            ),
            "categories": Arg((None,), (5, "dog", (1, 2), ("dog", "cello"), (1,)), ((), [["dog"]])),
        },
        _points_used,
    ),
    "ControlPoints.segments": (
        lambda end_s: ControlPoints(np.zeros(1), np.ones(1), np.ones(1, bool)).spans(end_s),
        {"end_s": Arg((1.0, 3, np.float32(2)), (NAN, None, *NO_NUMBER), (-1.0, INF, *ODD_ONE))},
        lambda segments: segments,
    ),
    "Frame": (
        Frame,
        {
            "index": Arg((0, 3, np.int64(1)), (-1, 0.5, None, NAN, *NO_NUMBER), ODD_ONE),
            "time_s": Arg((0.0, 1, np.float64(2)), (NAN, INF, None, *NO_NUMBER), (-1.0, *ODD_ONE)),
            "image": Arg((PICTURE,), NO_PICTURES, (tensor((6, 8, 3), torch.uint8),)),
        },
        lambda frame: frame.time_s,
    ),
    "FrameMask": (
        FrameMask,
        {
            "index": Arg((0, 3), (-1, 0.5, None, *NO_NUMBER), ODD_ONE),
            "time_s": Arg((0.0, 1), (NAN, INF, None, *NO_NUMBER), (-1.0, *ODD_ONE)),
            "labels": Arg(
                (LABELS,),
                (None, "x", array((6, 8)), array((8,), "uint8"), filled((6, 8), 300, "int64")),
                (tensor((6, 8), torch.uint8), filled((6, 8), 1, "int64"), filled((6, 8), True)),
            ),
            "probabilities": Arg(
                (None, filled((2, 6, 8), 0.5, "float32")),
                (5, filled((3, 6, 8), 0.3, "float32"), "x"),
                (Made("tensor", lambda rng: torch.full((2, 6, 8), 0.5)), filled((2, 6, 8), 0.5)),
            ),
            "classes": Arg(((0, 1),), (None, 5, (), "ab", (0, "1"), (-1, 1)), ([0, 1], (0, 300))),
            "is_keyframe": Arg((True, False), (), (1, None)),
        },
        lambda mask: (mask, mask.area),
    ),
    "FrameContext": (
        FrameContext,
        {
            "frames": Arg((1, 5), NO_COUNT, ODD_ONE),
            "spacing_s": Arg((1.0, 0.2, 1), (0, *NO_SECONDS), ODD_ONE),
            "placement": Arg(("first", "centre", "last", "block"), ("middle", None, 5, [], {})),
        },
        lambda context: context.times_s(3.0),
    ),
    "PropagatorConfig": (
        PropagatorConfig,
        {
            **{
                key: Arg((good,), (*NO_COUNT, 10**12), (True, None))
                for key, good in {
                    **{"embedding_dim": 32, "num_layers": 1, "num_heads": 4, "decoder_dim": 32},
                    "insert_dim": 32,
                }.items()
            },
            "max_objects": Arg((10,), NO_COUNT, (True, 10**12)),
            "long_term_gap": Arg((5, 9999), NO_COUNT, (True, 10**12)),
            "encoder": Arg(("resnet50", "mobilenetv2"), ("vgg", None, 5, [], {})),
            "insert_levels": Arg(((), (1, 4), [2]), ((0,), (5,), (1, 1), 4, None, "x", (1.5,),
            (NAN,))),
            "max_memory_frames": Arg((None, 8), NO_COUNT, (True,)),
            "drop_path": Arg((0.0, 0.5), (1.0, -0.1, NAN, None, *NO_NUMBER), (True,)),
        },
        _wide,
    ),
    "SegmenterConfig": (
        SegmenterConfig,
        {
            "architecture": Arg(("grounded", "audio_queried"), ("small", None, 5, [], {})),
            "working_edge": Arg((448, 64), (*NO_COUNT, None), (True,)),
        },
        _wide,
    ),
    "ScoreOptions": (
        ScoreOptions,
        {
            "tolerance_s": Arg((0.25, 0), (None, *NO_SECONDS), ODD_ONE),
            "near_frames": Arg((1, 3), (*NO_COUNT[1:], None), (0, *ODD_ONE)),
            "event_limit_s": Arg((1.0,), (None, *NO_SECONDS), ODD_ONE),
            "frames_per_batch": Arg((1, 5), (*NO_COUNT, None), ODD_ONE),
        },
        lambda options: None,
    ),
    "novelty": (
        ControlPointDetector.novelty,
        {
            "threshold": Arg((None, 0.5, 0, 1.0), (NAN, -0.1, 1.1, INF, *NO_NUMBER), ODD_ONE),
            "min_gap_s": Arg((0.5, 0, 1), (None, *NO_SECONDS), (1e9, *ODD_ONE)),
            "window_s": Arg((0.5,), (), (0, -1, NAN)),
        },
        lambda detector: None,
    ),
    "cosine": (
        ControlPointDetector.cosine,
        {
            "threshold": Arg((None, 0.5), (NAN, -0.1, 1.1, INF, *NO_NUMBER), ODD_ONE),
            "window_s": Arg((1.0, 0.25), (0, None, 1e9, *NO_SECONDS), (1e-9, *ODD_ONE)),
            "min_gap_s": Arg((0.5, 0), (None, *NO_SECONDS), ODD_ONE),
            "sample_rate": Arg((None, 16_000), NO_RATE[:6], ODD_RATE),
        },
        lambda detector: detector(Audio(np.zeros(16_000, np.float32), 16_000)),
    ),
    "events": (
        ControlPointDetector.events,
        {
            "model": Arg((None,), (5, b"x", torch.relu, "no such folder", []), ()),
            "words": Arg(
                (None, "avss", ["dog", "violin"], ("Hammer",)),
                (5, "dog", [], [5], ["kazoo"], ["dog", "dog"], [""]),
                (b"dog", {"dog": 1}),
            ),
            "threshold": Arg((None, 0.5, 1.0), (NAN, 0, -0.1, 1.1, INF, *NO_NUMBER), ODD_ONE),
            "min_gap_s": Arg((0.5, 0, 1), (None, *NO_SECONDS), (1e9, *ODD_ONE)),
        },
        lambda detector: None,
    ),
    "windows": (
        lambda windows: ControlPointDetector.cosine()(
            Audio(np.zeros(16_000, np.float32), 16_000), windows=windows
        ),
        {"windows": Arg((None, 1, 5, np.int64(3)), (*NO_COUNT, 10**8), ODD_ONE)},
        lambda points: points,
    ),
    "CallableSegmenter": (
        CallableSegmenter,
        {
            "fn": Arg((torch.relu,), (None, 5, "x")),
            "sample_rate": Arg((16_000, 44_100), NO_RATE, ODD_RATE),
            "window_s": Arg((None, 1.0, 2), (0, 1e9, *NO_SECONDS), ODD_ONE),
            "audio_span": Arg(("frame", "segment", "example"), ("clip", None, 5, [])),
            "size": Arg((None, (8, 8)), (5, (8,), (0, 8), (8, -1), "8x8", (NAN, 8)), ([8, 8],)),
            "audio": Arg(("samples", "wav_path"), ("midi", None, 5, [])),
            "context": Arg((FrameContext(),), (None, 5, "x")),
        },
        lambda segmenter: repr(segmenter),
    ),
    "ServerModel": (
        ServerModel,
        {
            "url": Arg(
                ("http://localhost:1", "https://b/v1"),
                ("", "localhost", "ftp://a", "http://", "http://a:0", "http://a:x", "http://[::1",
                 "http://u:p@h", "http://h?q", [], ["http://a"], None, 5, [5], "http://a b", "http://\n"),
            ),
            "model": Arg((None, "tiny"), (5, [], ""), ()),
            "dialect": Arg(("vllm", "plain"), ("x", None, 5, [])),
            "api_key": Arg((None, "key"), ("a b", "ü", 5, "a\nb"), ("",)),
            "timeout_s": Arg((1.0, 120), (0, None, *NO_SECONDS), ODD_ONE),
            "retries": Arg((0, 4), (*NO_COUNT[1:], None), ODD_ONE),
            "concurrency": Arg((1, 8), (*NO_COUNT, None), ODD_ONE),
            "max_audio_s": Arg((30.0,), (0, None, *NO_SECONDS), ODD_ONE),
            "max_tokens": Arg((1, 512), (*NO_COUNT, None), ODD_ONE),
            "extra_body": Arg((None, {"a": 1}), (5, "x", {"a": object}, {"stream": True}),
            ({1: 2},)),
        },
        lambda model: repr(model),
    ),
    "CoProp": (
        lambda **given: CoProp.wrap(torch.relu, **given),
        {
            "window_s": Arg((None, 1.0), (0, 1e9, *NO_SECONDS), ODD_ONE),
            "max_segment_s": Arg((None, 2.0, 1), (0, 1e-9, -2, *NO_SECONDS[:2], *NO_NUMBER),
            ODD_ONE),
            "device": Arg((None, "cpu", torch.device("cpu")), NO_DEVICE[:-1], ("", "meta")),
            "detector": Arg((None,), (5, "novelty", [])),
            "propagator": Arg((None,), (5, "x", torch.relu, object)),
            "adapter": Arg((None, torch.relu), (5, "x", [])),
        },
        lambda pipeline: repr(pipeline) and None,
    ),
}  # fmt: skip


def _door(name: str) -> Callable[[Random], Case]:
    function, args, then = TABLE[name]
    return lambda rng: drawn(rng, function, args, then=then, name=name)


DOORS = {name: Door(_door(name), 0.3 if name == "CoProp" else 1.0) for name in TABLE}
