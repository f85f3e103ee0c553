"""Manifests and clip records that are damaged: one sentence with file and line."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import small_library

from coprop.errors import DatasetError
from tools.benchmark.composed_audio import load_sounds
from tools.benchmark.library import Library
from tools.benchmark.manifest import read_manifest
from tools.benchmark.record import load_clip

DEEP = "[" * 100_000
LINES = [
    "x",
    DEEP,
    "[]",
    "5",
    '{"kind": 1e999}',
    '{"kind": NaN}',
    "{}",
    b"\xff\xfe",
]
FIELDS: dict[str, Any] = {
    **{"kind": "sound", "path": "a.wav", "group": None, "split": "train", "source": "made"},
    **{"licence": "none", "sha256": "0" * 64, "ships": True},
}
CHANGED = [
    {"kind": 5},
    {"kind": "film"},
    {"path": None},
    {"path": "../a.wav"},
    {"path": "/a.wav"},
    {"path": "a\0.wav"},
    {"path": ""},
    {"group": 5},
    {"group": ["dog"]},
    {"split": None},
]


@pytest.fixture
def sources(tmp_path: Path) -> Path:
    return small_library.build(tmp_path)


def spoil(folder: Path, line: str | bytes) -> None:
    """Puts a line in the place of the third."""
    path = folder / "manifest.jsonl"
    lines = path.read_bytes().split(b"\n")
    lines[2] = line.encode() if isinstance(line, str) else line
    path.write_bytes(b"\n".join(lines))


READERS: list[Callable[[Path], Any]] = [read_manifest, lambda folder: Library(folder, "train")]


@pytest.mark.parametrize("read", READERS)
@pytest.mark.parametrize("line", [*LINES, *(json.dumps({**FIELDS, **c}) for c in CHANGED)])
def test_damaged_lines_of_a_manifest(
    sources: Path, line: str | bytes, read: Callable[[Path], Any]
) -> None:
    read(sources)
    spoil(sources, line)
    where = "cannot be read" if isinstance(line, bytes) else r"manifest\.jsonl, line 3"
    with pytest.raises(DatasetError, match=where):
        read(sources)


@pytest.mark.parametrize("line", LINES)
def test_damaged_lines_where_sounds_are_composed(sources: Path, line: str | bytes) -> None:
    spoil(sources, line)
    with pytest.raises(DatasetError, match=r"cannot be read|manifest\.jsonl, line 3"):
        load_sounds(sources, "train", 16_000)


RECORD: dict[str, Any] = {
    **{"name": "s4-0000", "split": "test", "subset": "s4", "fps": 10.0, "num_frames": 5},
    **{"change_times_s": [0.1, 0.2], "categories": ["dog"], "seen_in_training": True},
    "objects": [
        {"group": "dog", "seen_in_training": None, "sounding_s": [[0, 0.5]], "picture": "a"}
    ],
    **{"off_screen": [], "music": None, "background": "b.png"},
}


@pytest.mark.parametrize("name", ["name", "split", "background", "off_screen", "seen_in_training"])
def test_clip_records_that_lack_something(tmp_path: Path, name: str) -> None:
    path = tmp_path / "clip.json"
    path.write_text(json.dumps(RECORD))
    assert load_clip(path)["num_frames"] == 5
    path.write_text(json.dumps({key: v for key, v in RECORD.items() if key != name}))
    with pytest.raises(DatasetError, match=r"clip\.json cannot be read"):
        load_clip(path)
