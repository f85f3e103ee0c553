"""Ways to damage bytes, JSON and folders."""

from __future__ import annotations

import json
import os
import shutil
import struct
import tempfile
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

_HEADER = 64  # bytes; where most formats say what they are
_EXTREMES = (0, 1, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)
_BOXES = (b"mvhd", b"mdhd", b"tkhd", b"elst", b"stts", b"ctts", b"stsz", b"stco", b"stsc", b"mdat")


def damaged(rng: Random, data: bytes, other: bytes = b"") -> tuple[str, bytes]:
    """Bytes damaged in one way, and the way in words."""
    ways: list[Callable[[Random, bytes], tuple[str, bytes]]] = [
        _cut, _flipped, _flipped_header, _overwritten, _inserted, _repeated, _fields,
    ]  # fmt: skip
    if other:
        ways.append(lambda rng, data: _joined(rng, data, other))
    return rng.choice(ways)(rng, data)


def _cut(rng: Random, data: bytes) -> tuple[str, bytes]:
    keep = rng.choice((0, 1, 7, _HEADER, rng.randrange(len(data) + 1), max(len(data) - 1, 0)))
    return f"cut to {keep} of {len(data)} bytes", data[:keep]


def _flipped(rng: Random, data: bytes, end: int | None = None) -> tuple[str, bytes]:
    changed, count = bytearray(data), rng.choice((1, 2, 8, 64))
    for _ in range(count if data else 0):
        changed[rng.randrange(min(end or len(data), len(data)))] ^= 1 << rng.randrange(8)
    return f"{count} bits flipped" + (f" in the first {end} bytes" if end else ""), bytes(changed)


def _flipped_header(rng: Random, data: bytes) -> tuple[str, bytes]:
    return _flipped(rng, data, rng.choice((16, _HEADER, 1024)))


def _overwritten(rng: Random, data: bytes) -> tuple[str, bytes]:
    start, length = rng.randrange(len(data) + 1), rng.choice((4, 100, 4096))
    filling = rng.choice((b"\0" * length, b"\xff" * length, rng.randbytes(length)))
    return f"{length} bytes overwritten at {start}", data[:start] + filling + data[start + length :]


def _inserted(rng: Random, data: bytes) -> tuple[str, bytes]:
    start, more = rng.choice((0, len(data), rng.randrange(len(data) + 1))), rng.randbytes(50)
    return f"50 bytes put in at {start}", data[:start] + more + data[start:]


def _repeated(rng: Random, data: bytes) -> tuple[str, bytes]:
    first, last = sorted(rng.randrange(len(data) + 1) for _ in range(2))
    return f"bytes {first} to {last} twice", data[:last] + data[first:]


def _fields(rng: Random, data: bytes) -> tuple[str, bytes]:
    """Numbers that say sizes, rates and times, in MP4 boxes or in the head of any file."""
    boxes = [box for box in _BOXES if box in data]
    box = rng.choice(boxes) if boxes and rng.random() < 0.8 else b""
    start = data.index(box) + 4 if box else 0
    place = start + 4 * rng.randrange(12 if box else _HEADER // 4)
    value = rng.choice((*_EXTREMES, rng.getrandbits(32)))
    number = struct.pack(rng.choice((">I", "<I")), value)
    words = f"{value:#x} at {place - start} of {box.decode() or 'the file'}"
    return words, data[:place] + number + data[place + 4 :]


def _joined(rng: Random, data: bytes, other: bytes) -> tuple[str, bytes]:
    keep = rng.choice((len(data), _HEADER, rng.randrange(len(data) + 1)))
    skip = rng.choice((0, _HEADER, rng.randrange(len(other) + 1)))
    return f"its first {keep} bytes before another file from byte {skip}", data[:keep] + other[
        skip:
    ]


ODD_VALUES: tuple[Any, ...] = (
    None, True, -1, 0, 1.5, 10**9, 10**30, -(10**400), 1e308, "", "x", "\x00", "../..", [], {},
    [[]], {"a": {}}, "9" * 400, float("nan"), float("inf"),
)  # fmt: skip


def damaged_json(rng: Random, text: str) -> tuple[str, bytes]:
    """JSON with another value somewhere, too little or too much in it, or no JSON any more."""
    roll = rng.random()
    if roll < 0.08:
        deep = rng.choice(("[", '{"a":'))
        return "nested 100,000 deep", (deep * 100_000).encode()
    if roll < 0.16:
        return "no UTF-8", b"\xff\xfe" + text.encode("utf-16-le")
    if roll < 0.24:
        value = rng.choice(ODD_VALUES)
        return f"nothing but {value!r:.40}", json.dumps(value).encode()
    if roll < 0.4:
        words, data = damaged(rng, text.encode())
        return words, data
    content = json.loads(text)
    holder, key = rng.choice(_places(content) or [([0], 0)])
    if roll < 0.5 and isinstance(holder, dict):
        del holder[key]
        return f"without {key!r}", json.dumps(content).encode()
    value = rng.choice(ODD_VALUES)
    holder[key] = value
    return f"{key!r} is {value!r:.40}", json.dumps(content).encode()


def _places(content: Any) -> list[tuple[Any, Any]]:
    found: list[tuple[Any, Any]] = []
    items = enumerate(content) if isinstance(content, list) else getattr(content, "items", list)()
    for key, value in items:
        found.append((content, key))
        found += _places(value)
    return found


def kept_folder(name: str) -> Path:
    """A folder that outlives a case; it goes with the process's temporary folder."""
    return Path(tempfile.mkdtemp(prefix=name, dir=os.environ.get("TMPDIR")))


def linked_copy(source: Path, target: Path) -> Path:
    """A copy of a folder that costs no space; files in it are exchanged, never written in place."""
    shutil.copytree(source, target, copy_function=os.link)
    return target


def exchange(path: Path, data: bytes) -> None:
    """Puts another content in a file's place."""
    path.unlink()
    path.write_bytes(data)


def damage_folder(rng: Random, folder: Path, pattern: str = "**/*") -> str:
    """Damages one file of a folder, and says how."""
    files = sorted(p for p in folder.glob(pattern) if p.is_file())
    path = rng.choice(files)
    name, roll = path.relative_to(folder), rng.random()
    if roll < 0.1:
        path.unlink()
        return f"{name} is missing"
    if roll < 0.2:
        path.unlink()
        path.mkdir()
        return f"{name} is a folder"
    if roll < 0.25:
        path.unlink()
        path.symlink_to(path)
        return f"{name} is a link to itself"
    if roll < 0.3:
        shutil.rmtree(path.parent)
        return f"{name.parent} is missing"
    if path.suffix == ".json" and roll < 0.8:
        words, data = damaged_json(rng, path.read_text(encoding="utf-8"))
    elif path.suffix == ".jsonl" and roll < 0.8:
        lines = path.read_text(encoding="utf-8").splitlines()
        number = rng.randrange(len(lines))
        words, data = damaged_json(rng, lines[number])
        rest = [line.encode() for line in lines]
        data = b"\n".join([*rest[:number], data, *rest[number + 1 :], b""])
        words = f"line {number + 1}: {words}"
    else:
        words, data = damaged(rng, path.read_bytes(), rng.choice(files).read_bytes())
    exchange(path, data)
    return f"{name}: {words}"
