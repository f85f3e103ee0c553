"""Calling the pipeline: clips, and parts by other people that return rubbish."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

import numpy as np
import torch

from bad_input.case import (
    INF,
    NAN,
    NO_NUMBER,
    NO_SECONDS,
    ODD_ONE,
    Arg,
    Case,
    Door,
    Expect,
    Made,
    OwnError,
    array,
    drawn,
    filled,
    holed,
    tensor,
)  # fmt: skip
from coprop import Audio, ControlPointDetector, ControlPoints, CoProp
from coprop.keyframes.text_guided import TextGuidedSegmenter
from coprop.media.reader import Frame
from pipeline_samples import Shifter, changes_at, clip_of, left_half, noise

OK, BAD, ODD = Expect.ACCEPTED, Expect.REFUSED, Expect.EITHER
CLIP = clip_of(4)


def _raise(*given: Any, **options: Any) -> Any:
    raise OwnError("the caller's own")


def _run(**parts: Any) -> Any:
    model = parts.pop("model", lambda frames, audio: left_half(frames))
    audio = parts.pop("audio", noise(0.8))
    parts = {"detector": changes_at(), "propagator": Shifter(), **parts}
    return CoProp.wrap(model, **parts)(CLIP, audio, fps=5, keep_probabilities=True)


Changes = list[tuple[str, Expect, Callable[[Any], Any]]]
LOGITS: Changes = [
    ("as they are", OK, lambda x: x),
    ("in half", OK, lambda x: x.half()),
    ("in bf16", OK, lambda x: x.bfloat16()),
    ("with a gradient", OK, lambda x: x.clone().requires_grad_()),
    ("not contiguous", OK, lambda x: x.transpose(2, 3).contiguous().transpose(2, 3)),
    ("integers", ODD, lambda x: x.long()),
    ("bool", ODD, lambda x: x > 0),
    ("0 and 255", ODD, lambda x: (x > 0).byte() * 255),
    ("huge", ODD, lambda x: x * 1e30),
    ("numpy", BAD, lambda x: x.numpy()),
    ("None", BAD, lambda x: None),
    ("a number", BAD, lambda x: 5),
    ("a word", BAD, lambda x: "mask"),
    ("an empty list", BAD, lambda x: []),
    ("in a tuple", BAD, lambda x: (x,)),
    ("in a dict", BAD, lambda x: {"out": x}),
    ("NaN", BAD, lambda x: x * NAN),
    ("one NaN", BAD, lambda x: torch.where(torch.arange(x.shape[-1]) == 3, NAN, x)),
    ("infinite", BAD, lambda x: x * INF),
    ("complex", BAD, lambda x: x * 1j),
    ("no channel", BAD, lambda x: x[:, :0]),
    ("a row more", BAD, lambda x: torch.cat([x, x[..., :1, :]], dim=2)),
    ("half the size", BAD, lambda x: x[..., ::2, ::2]),
    ("height and width exchanged", BAD, lambda x: x.transpose(2, 3)),
    ("without a batch", BAD, lambda x: x[0]),
    ("two of them", BAD, lambda x: torch.cat([x, x])),
    ("300 channels", BAD, lambda x: x[:, :1].expand(-1, 300, -1, -1)),
    ("sparse", BAD, lambda x: x.to_sparse()),
    ("sparse in rows", BAD, lambda x: x[0, 0].to_sparse_csr()),
    ("quantized", BAD, lambda x: torch.quantize_per_tensor(x.float(), 0.1, 0, torch.qint8)),
    ("nested", BAD, lambda x: torch.nested.nested_tensor([x[0], x[0]])),
    ("on no device", BAD, lambda x: x.to("meta")),
    ("an error of its own", OK, _raise),
]
POINTS: Changes = [
    ("as they are", OK, lambda p: p),
    ("after the end", ODD, lambda p: ControlPoints(np.array([0.0, 9.0]), np.ones(2), np.ones(2,
     bool))),
    ("from 0.3 s on", BAD, lambda p: ControlPoints(np.array([0.3]), np.ones(1), np.ones(1, bool))),
    ("from -1 s on", BAD, lambda p: ControlPoints(np.array([-1.0]), np.ones(1), np.ones(1, bool))),
    ("None", BAD, lambda p: None),
    ("a list", BAD, lambda p: [0.0, 0.5]),
    ("a tuple of arrays", BAD, lambda p: (p.times_s, p.scores, p.flags)),
    ("the class", BAD, lambda p: ControlPoints),
    ("an error of its own", OK, _raise),
]  # fmt: skip
SCORES: Changes = [
    ("as they are", OK, lambda x: x),
    ("a list", OK, list),
    ("a tensor", ODD, torch.tensor),
    ("bool", ODD, lambda x: x > 0),
    ("None", BAD, lambda x: None),
    ("a number", BAD, lambda x: 0.5),
    ("words", BAD, lambda x: ["a"] * len(x)),
    ("objects", BAD, lambda x: [object()] * len(x)),
    ("NaN", BAD, lambda x: x * NAN),
    ("above 1", BAD, lambda x: x + 1.5),
    ("negative", BAD, lambda x: x - 1),
    ("complex", BAD, lambda x: x * 1j),
    ("empty", BAD, lambda x: x[:0]),
    ("2-D", BAD, lambda x: x[:, None]),
    ("masked", BAD, lambda x: np.ma.masked_all(x.shape)),
    ("sparse", BAD, lambda x: torch.tensor(x).to_sparse()),
    ("on no device", BAD, lambda x: torch.tensor(x, device="meta")),
    ("of times", BAD, lambda x: np.zeros(len(x), "M8[s]")),
    ("read-only", OK, lambda x: np.broadcast_to(np.float64(0.5), x.shape)),
    ("an error of its own", OK, _raise),
]
VECTORS: Changes = [
    ("as they are", OK, lambda x: x),
    ("a tensor", OK, torch.tensor),
    ("lists", OK, lambda x: x.tolist()),
    ("huge", ODD, lambda x: x + 1e300),
    ("None", BAD, lambda x: None),
    ("words", BAD, lambda x: [["a"]] * len(x)),
    ("NaN", BAD, lambda x: x * NAN),
    ("infinite", BAD, lambda x: x + INF),
    ("complex", BAD, lambda x: x * 1j),
    ("1-D", BAD, lambda x: x[:, 0]),
    ("one less", BAD, lambda x: x[1:]),
    ("of no width", BAD, lambda x: x[:, :0]),
    ("masked", BAD, lambda x: np.ma.masked_all(x.shape)),
    ("sparse", BAD, lambda x: torch.tensor(x).to_sparse()),
    ("nested", BAD, lambda x: torch.nested.nested_tensor([*torch.tensor(x)])),
    (
        "quantized",
        BAD,
        lambda x: torch.quantize_per_tensor(torch.tensor(x).float(), 1, 0, torch.qint8),
    ),
    ("ragged", BAD, lambda x: [[0.0] * (i % 3 + 1) for i in range(len(x))]),
    ("an error of its own", OK, _raise),
]


def _returning(part: str, changes: Changes, run: Callable[[Callable[[Any], Any]], Any]) -> Door:
    def case(rng: Random) -> Case:
        words, expect, change = rng.choice(changes)
        passing = (OwnError,) if change is _raise else ()
        return Case(f"{part}: {words}", expect, lambda folder: run(change), passing)

    return Door(case)


class _Propagator(Shifter):
    """One whose logits or state are changed."""

    def __init__(self, change: Callable[[Any], Any], *, whole: bool) -> None:
        super().__init__()
        self.change, self.whole = change, whole

    def step(self, *given: Any, **options: Any) -> Any:
        logits, state = super().step(*given, **options)
        return self.change((logits, state)) if self.whole else (self.change(logits), state)


_PAIRS: Changes = [
    ("as it is", OK, lambda pair: pair),
    ("a list", ODD, list),
    ("the logits alone", BAD, lambda pair: pair[0]),
    ("None", BAD, lambda pair: None),
    ("three things", BAD, lambda pair: (*pair, None)),
    ("the wrong way round", ODD, lambda pair: pair[::-1]),
    ("another number of channels", BAD, lambda pair: (pair[0][:, :1], pair[1])),
]
_PARTS = {
    "model": _returning(
        "a model's logits", LOGITS,
        lambda change: _run(model=lambda frames, audio: change(left_half(frames))),
    ),
    "propagator": _returning(
        "a propagator's logits",
        # Resizing is the propagator's own affair only where it says so by their shape.
        [c for c in LOGITS if c[0] not in ("numpy", "huge")],
        lambda change: _run(propagator=_Propagator(change, whole=False)),
    ),
    "step": _returning(
        "what a propagator's step returns", _PAIRS,
        lambda change: _run(propagator=_Propagator(change, whole=True)),
    ),
    "detector": _returning(
        "a detector's points", POINTS,
        lambda change: _run(detector=lambda audio: change(changes_at(0.4)(audio))),
    ),
    "score": _returning(
        "a score function's scores", SCORES,
        lambda change: ControlPointDetector(
            lambda audio, windows: change(np.full(windows or 16, 0.5)), threshold=0.4
        )(noise(0.8)),
    ),
    "embed": _returning(
        "an embedding function's vectors", VECTORS,
        lambda change: ControlPointDetector.novelty(
            lambda samples: change(samples[:, :4].astype(float))
        )(noise(0.8)),
    ),
    "probabilities": _returning(
        "what a function returns as probabilities",
        [c for c in LOGITS if c[0] not in ("huge", "0 and 255", "bool", "integers")],
        lambda change: _run(
            model=lambda frames, audio: change(left_half(frames).sigmoid()), outputs="probabilities"
        ),
    ),
    "mask": _returning(
        "what a function returns as mask",
        [c for c in LOGITS if c[0] not in ("huge", "without a batch")],
        lambda change: _run(
            model=lambda frames, audio: change((left_half(frames) > 0).float()), outputs="mask"
        ),
    ),
    "text": _returning(
        "a text segmenter's logits", [c for c in LOGITS if c[0] != "numpy"],
        lambda change: _run(
            model=TextGuidedSegmenter(lambda frames, words: change(left_half(frames)), ("dog",))
        ),
    ),
}  # fmt: skip


def _frames_then(*more: Any) -> Made:
    return Made(f"an iterator that ends in {more!r:.60}", lambda rng: iter([*CLIP[:2], *more]))


def _breaking() -> Any:
    yield CLIP[0]
    _raise()


def _called(**given: Any) -> Any:
    """The pipeline by its call or its stream, which must agree in what they refuse."""
    limit, given["audio"] = given.pop("max_segment_s"), given.pop("audio")
    way, device_clip = given.pop("way"), given.pop("frames")
    pipeline = CoProp.wrap(
        lambda frames, audio: left_half(frames), detector=changes_at(0.4), propagator=Shifter()
    )
    pipeline.max_segment_s = limit
    found = getattr(pipeline, way)(device_clip, **given)
    return list(found) if way == "stream" else found


_CALL = {
    "way": Arg(("__call__", "stream")),
    "frames": Arg(
        (CLIP, Made("iterator", lambda rng: iter(CLIP)), list(CLIP), tensor((3, 3, 12, 16)),
         Made("frames", lambda rng: [Frame(i, i / 5, x) for i, x in enumerate(CLIP)])),
        (None, 5, [], {}, array((2, 12, 16, 3), "float32", 255.0), array((12, 16, 3), "uint8", 255),
         filled((2, 12, 16, 3), NAN), filled((0, 12, 16, 3), 0, "uint8"), [None], ["a"], [5],
         filled((2, 0, 16, 3), 0, "uint8"), array((2, 12, 16, 4), "uint8", 255), object,
         holed(tensor((2, 3, 12, 16)), NAN), tensor((2, 3, 12, 16), scale=9.0),
         tensor((2, 3, 12, 16), torch.complex64), filled((2, 12, 16, 3), None, object),
         "nowhere.mp4",
         "", "a\0b.mp4", "x" * 5000, _frames_then(None), _frames_then(CLIP[0, :5]),
         _frames_then(CLIP[0].astype(float)), _frames_then("a"), _frames_then(b"a")),
        (tensor((2, 3, 12, 16), torch.bfloat16), tensor((2, 3, 12, 16), torch.uint8, 255.0),
         array((2, 3, 12, 16)), array((2, 12, 16, 3)),
         Made("1.0000002", lambda rng: torch.full((2, 3, 12, 16), 1.0000002)),
         Made("gradient", lambda rng: torch.full((2, 3, 12, 16), 0.5, requires_grad=True))),
    ),
    "audio": Arg(
        (noise(0.8), noise(0.1, 44_100), Audio(np.zeros(0, np.float32), 8_000)),
        (None, 5, "nowhere.wav", "", array((9,)), [0.0], (5, 16_000), ("a", "b"), object),
        (Made("a pair", lambda rng: (np.zeros(900, np.float32), 16_000)),),
    ),
    "fps": Arg((5, 29.97, np.float32(5)), (0, None, *NO_SECONDS), ODD_ONE),
    "max_segment_s": Arg((None, 2.0), (0, -1, 1e-9, NAN, *NO_NUMBER), (INF, *ODD_ONE)),
}  # fmt: skip


def _call(rng: Random) -> Case:
    if rng.random() < 0.03:
        own = {"way": "stream", "audio": noise(0.8), "fps": 5, "max_segment_s": None}
        words = "frames whose iterator raises an error of its own"
        return Case(words, OK, lambda folder: _called(frames=_breaking(), **own), (OwnError,))
    case = drawn(rng, _called, _CALL, name="pipeline")
    # Frames have times of their own, so fps is not looked at: it may be anything, or be refused.
    return case if "Frame(" not in case.words and "<frames>" not in case.words else Case(
        case.words, ODD, case.call, case.passing
    )  # fmt: skip


def _device_given(rng: Random) -> Case:
    args = {
        "folder": Arg((None,), ("nowhere", 5, b"x", "a\0b", "x" * 5000, [], "")),
        "device": Arg((None, "cpu"), ("gpu", "cuda:99", "cpu:x", 5.5, [])),
    }
    return drawn(rng, CoProp.from_pretrained, args, then=lambda made: None)


_default: list[CoProp] = []


def _of_default(frames: Any, audio: Any, fps: Any) -> Any:
    if not _default:
        _default.append(CoProp.from_pretrained())
    return _default[0](frames, audio, fps=fps)


def _default_called(rng: Random) -> Case:
    args = {
        "frames": Arg((CLIP[:2], filled((1, 1, 1, 3), 0, "uint8"), array((1, 3, 90, 3), "uint8",
        255))),
        "audio": Arg(
            (noise(0.4), array((6_400,)), filled((6_400,), 0.3, "float32"), array((20,)),
             array((6_400,), "float32", 1e-6), array((6_400,), "float32", 30.0)),
        ),
        "fps": Arg((5, 1e-3, 1000)),
    }  # fmt: skip

    def made(frames: Any, audio: Any, fps: Any) -> Any:
        return _of_default(frames, audio if isinstance(audio, Audio) else Audio(audio, 16_000), fps)

    case = drawn(rng, made, args, name="the default")
    return Case(case.words, ODD, case.call, case.passing)


DOORS = {
    **_PARTS,
    "call": Door(_call, 4.0),
    "from_pretrained": Door(_device_given, 0.15),
    "default": Door(_default_called, 0.1),
}
