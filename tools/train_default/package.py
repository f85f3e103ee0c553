"""A small copy of a sources folder, to train elsewhere: what machines are sent has to be small."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from PIL import Image

from coprop.errors import CoPropError
from tools.benchmark.library import SOURCE_RATE
from tools.benchmark.manifest import MANIFEST, read_rows

_EDGE = {"picture": 320, "background": 560}  # pixels: about what training frames show of them
_QUALITY = 85  # of WebP, which keeps the cut-outs' alpha as it is
_LONGEST_S = 6.0  # what a sequence can hear of a recording
_BYTES_PER_MB = 1_000_000


def write_package(sources: Path, package: Path, *, megabytes: float = 64.0) -> int:
    """Writes a sources folder of the training split alone that is no larger than asked for.

    Pictures and backgrounds are made smaller and all kept; of each group's recordings as many, up
    to six seconds of each, as there is room for.

    Args:
        sources: made by `tools.sources`.
        package: the new folder; of the same form.
        megabytes: the most that it may take.

    Returns:
        The bytes that it takes.

    Raises:
        CoPropError: pictures alone are larger than asked for.
    """
    rows = [
        row
        for _, row in read_rows(sources / MANIFEST, ("kind", "path", "split", "source"))
        if row["split"] == "train" and row["ships"]
    ]
    package.mkdir(parents=True, exist_ok=True)
    kept, room = [], megabytes * _BYTES_PER_MB
    for row in [r for r in rows if r["kind"] in _EDGE]:
        kept.append(_copy(row, sources, package, ".webp", _write_picture))
        room -= (package / kept[-1]["path"]).stat().st_size
    room -= sum(len(json.dumps(row)) + 1 for row in rows)
    if room <= 0:
        raise CoPropError(f"pictures alone take more than {megabytes:g} MB; allow more.")
    for row in _in_turns([r for r in rows if r["kind"] == "sound"]):
        copy = _copy(row, sources, package, ".ogg", _write_sound)
        size = (package / copy["path"]).stat().st_size
        if size > room:
            (package / copy["path"]).unlink()
            break
        room -= size
        kept.append(copy)
    lines = "".join(json.dumps(row) + "\n" for row in kept)
    (package / MANIFEST).write_text(lines, encoding="utf-8")
    return sum(path.stat().st_size for path in package.rglob("*") if path.is_file())


def _in_turns(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """One recording of each group, then another of each, and so on."""
    groups = defaultdict(list)
    for row in rows:
        groups[row["group"]].append(row)
    numbered = [(i, row) for own in groups.values() for i, row in enumerate(own)]
    return [row for _, row in sorted(numbered, key=lambda pair: pair[0])]


def _copy(
    row: dict[str, Any],
    sources: Path,
    package: Path,
    suffix: str,
    write: Callable[[Path, Path, str], None],
) -> dict[str, Any]:
    path = Path(row["path"])
    copy = path.with_name(path.name + suffix)  # two sources may differ in their ending alone
    (package / copy).parent.mkdir(parents=True, exist_ok=True)
    write(sources / path, package / copy, row["kind"])
    return {**row, "path": copy.as_posix()}


def _write_picture(source: Path, target: Path, kind: str) -> None:
    with Image.open(source) as picture:
        small = picture.convert("RGBA" if kind == "picture" else "RGB")
        small.thumbnail((_EDGE[kind], _EDGE[kind]))
        small.save(target, quality=_QUALITY)


def _write_sound(source: Path, target: Path, _: str) -> None:
    samples, rate = soundfile.read(source, dtype="float32", stop=round(_LONGEST_S * SOURCE_RATE))
    soundfile.write(target, np.asarray(samples), rate, format="OGG", subtype="VORBIS")
