"""What became of an input, and whether that was right."""

from __future__ import annotations

import math
import os
import re
import shutil
import tempfile
import traceback
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from bad_input.case import Case, Expect
from coprop import Audio, ControlPoints, CoPropError, FrameMask, Result, Segment

FAULTS = (
    "outside the family",
    "nonsense accepted",
    "refused though right",
    "traceback",
    "half-written",
    "no sentence",
    "crash",
    "hang",
)
_INSIDE = re.compile(r"Traceback \(most recent| at 0x[0-9a-f]{8}|^\s*File \"", re.MULTILINE)
_UNFINISHED = re.compile(r"\.(part|tmp|partial|incomplete)$|^\.[^.].*(part|tmp)")


@dataclass(frozen=True)
class Said:
    """What a command said; its exit code, and what it wrote to stdout and stderr."""

    code: int
    out: str
    err: str


@dataclass(frozen=True)
class Verdict:
    """What happened.

    Args:
        fault: one of `FAULTS`, or "" where all is right.
        words: the input.
        what: the exception, the message or the value.
        where: the innermost line of coprop's own.
    """

    fault: str
    words: str
    what: str = ""
    where: str = ""


def judged(case: Case) -> Verdict:
    """Gives an input to the library, in a folder that is removed afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="case-"))
    before = tempfile.tempdir
    try:
        (folder / "tmp").mkdir()
        tempfile.tempdir = str(folder / "tmp")
        try:
            value, error = case.call(folder), None
        except Exception as caught:
            value, error = None, caught
        fault, what = _fault(case, value, error)
        if not fault and (left := _unfinished(folder)):
            fault, what = "half-written", ", ".join(left)
        return Verdict(fault, case.words, what, "" if error is None else _place(error))
    finally:
        tempfile.tempdir = before
        shutil.rmtree(folder, ignore_errors=True)


def _fault(case: Case, value: Any, error: Exception | None) -> tuple[str, str]:
    if isinstance(value, Said):
        return _fault_of_command(case, value)
    if error is None:
        try:
            problem = problem_of(value)
        except Exception as strange:  # what cannot even be looked at
            problem = f"{type(strange).__name__}: {strange}"
        if case.expect is Expect.REFUSED or problem:
            return "nonsense accepted", problem or _shown(value)
        return "", ""
    said = f"{type(error).__name__}: {error}"
    if isinstance(error, case.passing):
        return "", ""
    if not isinstance(error, CoPropError):
        return "outside the family", said
    if case.expect is Expect.ACCEPTED:
        return "refused though right", said
    if not str(error).strip() or _INSIDE.search(str(error)):
        return "no sentence", said
    return "", ""


def _fault_of_command(case: Case, said: Said) -> tuple[str, str]:
    text = f"exit code {said.code}; {said.err[-300:]}"
    if _INSIDE.search(said.err) or _INSIDE.search(said.out):
        last = [line for line in said.err.splitlines() if line.strip()][-1:]
        return "traceback", f"exit code {said.code}; {' '.join(last)}"
    if said.code not in (0, 1, 2):
        return "outside the family", text
    if said.code == 1 and "coprop: " not in said.err and not said.out.strip():
        return "no sentence", text
    if said.code == 0 and case.expect is Expect.REFUSED:
        return "nonsense accepted", said.out[-200:]
    if said.code != 0 and case.expect is Expect.ACCEPTED:
        return "refused though right", text
    return "", ""


def problem_of(value: Any) -> str:
    """Why a value that the library gave makes no sense; "" where it does."""
    if isinstance(value, Result):
        problems = [problem_of(v) for v in (value.masks, value.control_points, value.segments)]
        return "; ".join(filter(None, [*problems, _disorder(value.times_s)]))
    if isinstance(value, tuple | list):
        return next(filter(None, map(problem_of, value)), "")
    if isinstance(value, dict):
        return problem_of(list(value.values()))
    if isinstance(value, ControlPoints):
        flags, scores = np.asarray(value.flags), np.asarray(value.scores)
        if flags.dtype != bool or not np.all((scores >= 0) & (scores <= 1)):
            return f"control points with flags {flags.dtype} and scores {scores[:5]}"
        return _disorder(value.times_s)
    if isinstance(value, Segment):
        return "" if value.start_s <= value.end_s else str(value)
    if isinstance(value, Audio):
        right = value.samples.dtype == np.float32 and np.isfinite(value.samples).all()
        return (
            ""
            if right and value.sample_rate == int(value.sample_rate) > 0
            else f"sound {value.samples[:5]}"
        )
    if isinstance(value, FrameMask):
        return _problem_of_mask(value)
    if isinstance(value, torch.Tensor | np.ndarray):
        numbers = np.asarray(value.detach().cpu() if isinstance(value, torch.Tensor) else value)
        return (
            f"infinite: {numbers}" if numbers.dtype.kind == "f" and np.isinf(numbers).any() else ""
        )
    return "infinite" if isinstance(value, float) and math.isinf(value) else ""


def _problem_of_mask(mask: FrameMask) -> str:
    if mask.labels.dtype != np.uint8 or mask.labels.ndim != 2 or not math.isfinite(mask.time_s):
        return f"a mask {mask.labels.dtype} {mask.labels.shape} at {mask.time_s} s"
    soft = mask.probabilities
    if soft is None:
        return ""
    if soft.shape != (len(mask.classes), *mask.labels.shape) or not np.isfinite(soft).all():
        return f"probabilities {soft.shape} for {len(mask.classes)} classes, or NaN"
    right = soft.min() >= -1e-3 and np.abs(soft.sum(0) - 1).max() < 1e-2
    return "" if right else f"probabilities from {soft.min()} to {soft.max()}"


def _disorder(times_s: Any) -> str:
    times = np.asarray(times_s, dtype=float)
    ordered = np.isfinite(times).all() and (np.diff(times) > 0).all()
    return "" if ordered else f"times {times[:6]}"


def _unfinished(folder: Path) -> list[str]:
    return [
        str(Path(root, name).relative_to(folder))
        for root, folders, names in os.walk(folder)
        for name in (*names, *folders)
        if _UNFINISHED.search(name) or Path(root) == folder / "tmp"
    ]


def _shown(value: Any) -> str:
    return re.sub(r"\s+", " ", f"{type(value).__name__} {value!r}")[:200]


def _place(error: BaseException) -> str:
    frames = [f for f in traceback.extract_tb(error.__traceback__) if "/coprop/" in f.filename]
    if not frames:
        return ""
    return f"{frames[-1].filename.rpartition('/coprop/')[2]}:{frames[-1].lineno}"
