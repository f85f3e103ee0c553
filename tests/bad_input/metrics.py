"""Scores, as functions and as classes."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

import numpy as np
import torch

from bad_input.case import (
    INF,
    NAN,
    NO_COUNT,
    NO_SECONDS,
    ODD_ONE,
    Arg,
    Case,
    Door,
    Made,
    array,
    drawn,
    holed,
    tensor,
)
from coprop import metrics
from coprop.metrics import functional

SHAPE = (3, 4, 5)
_NOTHING = (None, "x", 5, {}, object)
SOFT = Arg(
    (tensor(SHAPE),),
    (*_NOTHING, tensor((4, 5)), tensor((0, 4, 5)), tensor(SHAPE, scale=9.0), tensor((3, 4, 4)),
     holed(tensor(SHAPE), NAN), holed(tensor(SHAPE), INF), tensor(SHAPE, torch.complex64)),
    (array(SHAPE), tensor(SHAPE, torch.bool), tensor(SHAPE, torch.float16), tensor(SHAPE,
     torch.long),
     Made("1.0000002", lambda rng: torch.full(SHAPE, 1.0000002)),
     Made("with gradient", lambda rng: torch.full(SHAPE, 0.5, requires_grad=True))),
)  # fmt: skip
_SELECTED = Arg(SOFT.good, tuple(v for v in SOFT.bad if " with a " not in getattr(v, "words", "")))
MASK = Arg(
    (tensor(SHAPE, torch.bool), tensor(SHAPE, torch.long, 2.0)),
    (*_NOTHING, tensor((4, 5), torch.bool), tensor((3, 4, 4), torch.bool), tensor(SHAPE)),
    (array(SHAPE, "uint8", 255.0), tensor(SHAPE, torch.uint8, 255.0), array(SHAPE, "bool")),
)
SOFT_ALONE, MASK_ALONE = (  # nothing beside them has another size
    Arg(a.good, tuple(v for v in a.bad if "(3, 4, 4)" not in getattr(v, "words", "")), a.odd)
    for a in (SOFT, MASK)
)
LABELS = Arg(
    (tensor(SHAPE, torch.long, 4.0), tensor(SHAPE, torch.uint8, 4.0)),
    (*_NOTHING, tensor(SHAPE), tensor(SHAPE, torch.long, 900.0), tensor((4, 5), torch.long),
     tensor(SHAPE, torch.long, -9.0), tensor((0, 4, 5), torch.long)),
    (array(SHAPE, "int64", 4.0), tensor(SHAPE, torch.int8, 4.0), tensor(SHAPE, torch.bool)),
)  # fmt: skip
CLASSES = Arg((4, 71), (0, -1, 2.5, NAN, "4", None, [4], 10**12), (np.int64(4), True, 1))
BOOLS = Arg(
    (tensor((3,), torch.bool), [True, False, True], array((3,), "bool")),
    (
        *_NOTHING[:4],
        [0.5, 1, 2],
        tensor((3,)),
        [],
        tensor((3, 1), torch.bool),
        ["a"] * 3,
        [None] * 3,
    ),
    ((True, False, True), [1, 0, 1]),
)
TIMES = Arg(
    ([0.0, 0.5, 1.0], (0.0, 1, 2), Made("tensor", lambda rng: torch.tensor([0.0, 1.0, 2.0]))),
    (*_NOTHING[:4], [0.0, NAN, 1.0], [0.0, 1.0, INF], [2.0, 1.0, 0.0], ["0", "1", "2"], [[0.0]] * 3,
     [None] * 3, [0j, 1j, 2j], [0.0, 1.0]),
)  # fmt: skip
POINTS = Arg(
    ([0.0, 0.5], (), (2.0, 1.0), np.array([1.0])),
    (*_NOTHING[:3], [NAN], [INF], ["1"], [None], [[1.0]], [1j], [10**400]),
    (tensor((2,)),),
)
SECONDS = Arg((0.25, 0), (*NO_SECONDS, None), ODD_ONE)
BATCH = Arg((1, 2, None), NO_COUNT, ODD_ONE)
PROTOCOL = Arg(("avsbench", "dataset", "strict"), ("J", None, 5, []))
SHARE = Arg((0.5,), (NAN, -0.1, 1.5, None, "1", [0.5]), (0, 1))

TABLE: dict[str, tuple[Callable[..., Any], dict[str, Arg]]] = {
    "region_counts": (functional.region_counts, {"_p": SOFT, "_t": MASK}),
    "jaccard": (functional.jaccard, {"_p": SOFT, "_t": MASK, "protocol": PROTOCOL}),
    "binary_class_counts": (functional.binary_class_counts, {"_p": SOFT, "_t": MASK}),
    "f_measure": (functional.f_measure, {"_p": SOFT, "_t": MASK, "frames_per_batch": BATCH}),
    "batch_f_measures": (
        functional.batch_f_measures,
        {
            "_curves": Arg(
                (tensor((4, 255)),),
                (*_NOTHING, tensor((4,)), tensor((4, 255), torch.long)),
                (holed(tensor((4, 255)), NAN), tensor((0, 255)), array((4, 255))),
            ),
            "frames_per_batch": BATCH,
        },
    ),
    "class_counts": (functional.class_counts, {"_l": LABELS, "_t": LABELS, "_n": CLASSES}),
    "semantic_sums": (functional.semantic_sums, {"_l": LABELS, "_t": LABELS, "_n": CLASSES}),
    "silent_area": (functional.silent_area, {"_p": MASK, "_t": MASK}),
    "false_area": (functional.false_area, {"_p": MASK_ALONE}),
    "sounding_jaccard": (functional.sounding_jaccard, {"_p": SOFT, "_t": MASK}),
    "mute_drop": (functional.mute_drop, {"_a": SOFT, "_b": SOFT, "_t": MASK}),
    "aligned_by_mask": (functional.aligned_by_mask, {"_p": MASK, "_t": MASK, "iou": SHARE}),
    "aligned_by_identity": (
        functional.aligned_by_identity,
        {
            "_p": MASK,
            "_objects": Arg(
                (tensor((3, 2, 4, 5), torch.bool),),
                (*_NOTHING, tensor(SHAPE, torch.bool), tensor((3, 2, 4, 5))),
            ),
            "_sounding": Arg(
                (tensor((3, 2), torch.bool),),
                (*_NOTHING, tensor((3, 3), torch.bool), tensor((3,), torch.bool)),
                (tensor((3, 2)), tensor((3, 2), torch.long), array((3, 2), "bool")),
            ),
        },
    ),
    "alignment_rate": (functional.alignment_rate, {"_aligned": BOOLS}),
    "control_point_scores": (
        functional.control_point_scores,
        {"_p": POINTS, "_t": POINTS, "tolerance_s": SECONDS},
    ),
    "event_errors": (
        functional.event_errors,
        {
            **{"_p": BOOLS, "_t": BOOLS, "_times": TIMES, "limit_s": SECONDS},
            "kind": Arg(("onset", "offset"), ("end", None, 5, [])),
        },
    ),
    "near_changes": (
        functional.near_changes,
        {"_c": BOOLS, "_frames": Arg((0, 1, 5), (*NO_COUNT[1:], None), ODD_ONE)},
    ),
}
UPDATES: dict[str, tuple[Callable[[], Any], dict[str, Arg]]] = {
    "Jaccard": (metrics.Jaccard, {"probabilities": SOFT, "target": MASK}),
    "Jaccard key": (
        lambda: metrics.Jaccard("strict", selection="key"),  # other frames may hold anything
        {"probabilities": _SELECTED, "target": MASK, "key_frames": BOOLS},
    ),
    "FMeasure": (metrics.FMeasure, {"probabilities": SOFT, "target": MASK}),
    "SilentArea": (metrics.SilentArea, {"probabilities": SOFT, "target": MASK}),
    "FalseArea": (metrics.FalseArea, {"probabilities": SOFT_ALONE}),
    "SoundingJaccard": (metrics.SoundingJaccard, {"probabilities": SOFT, "target": MASK}),
    "SemanticJaccard": (
        lambda: metrics.SemanticJaccard(4),
        {"labels": LABELS, "target": LABELS},
    ),
    "ControlPointScore": (
        metrics.ControlPointScore,
        {"predicted_times": POINTS, "true_times": POINTS},
    ),
    "OnsetError": (
        metrics.OnsetError,
        {"predicted": BOOLS, "true": BOOLS, "times_s": TIMES},
    ),
}


def _figures(value: Any) -> Any:
    """What can be looked at: numbers and tensors."""
    return tuple(value) if isinstance(value, tuple) else value


def _function(name: str) -> Callable[[Random], Case]:
    function, args = TABLE[name]
    return lambda rng: drawn(rng, function, args, then=_figures, name=name)


def _updated(name: str) -> Callable[[Random], Case]:
    make, args = UPDATES[name]

    def update(**given: Any) -> Any:
        metric = make()
        metric.update(**given)
        return metric.compute()

    return lambda rng: drawn(rng, update, args, name=f"{name}.update")


DOORS = {
    **{name: Door(_function(name)) for name in TABLE},
    **{f"{name}.update": Door(_updated(name)) for name in UPDATES},
}
