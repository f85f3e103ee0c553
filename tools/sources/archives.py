"""The (name, bytes) of the sounds in a folder or one of several archive formats."""

from __future__ import annotations

import io
import re
import struct
import wave
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path

SOUNDS = (".ogg", ".oga", ".wav", ".flac", ".mp3")


def folder(path: Path) -> Iterator[tuple[str, bytes]]:
    """Sound files under a folder."""
    for file in sorted(path.rglob("*")):
        if file.suffix in SOUNDS and file.is_file():
            yield file.relative_to(path).as_posix(), file.read_bytes()


def zipped(path: Path) -> Iterator[tuple[str, bytes]]:
    """Sound files in a zip archive."""
    with zipfile.ZipFile(path) as archive:
        for name in sorted(archive.namelist()):
            if name.endswith(SOUNDS):
                yield name, archive.read(name)


def qt_resources(path: Path, suffixes: tuple[str, ...] = SOUNDS) -> Iterator[tuple[str, bytes]]:
    """Files in a compiled Qt resource file."""
    content = path.read_bytes()
    version, tree, data, names = struct.unpack(">4I", content[4:20])
    node_size = 22 if version >= 2 else 14

    def walk(index: int, prefix: str) -> Iterator[tuple[str, bytes]]:
        at = tree + index * node_size
        name_at, flags = struct.unpack(">IH", content[at : at + 6])
        length = struct.unpack(">H", content[names + name_at : names + name_at + 2])[0]
        text = content[names + name_at + 6 : names + name_at + 6 + 2 * length]
        name = prefix + (text.decode("utf-16-be") if index else "")
        if flags & 2:
            count, first = struct.unpack(">II", content[at + 6 : at + 14])
            for child in range(first, first + count):
                yield from walk(child, f"{name}/")
        elif name.endswith(suffixes):
            start = data + struct.unpack(">I", content[at + 10 : at + 14])[0]
            size = struct.unpack(">I", content[start : start + 4])[0]
            body = content[start + 4 : start + 4 + size]
            yield name, zlib.decompress(body[4:]) if flags & 1 else body

    yield from walk(0, "")


def opensfx(path: Path) -> Iterator[tuple[str, bytes]]:
    """The wavs of an OpenTTD sound collection, named by their two-digit number."""
    content = path.read_bytes()
    table_size = struct.unpack("<I", content[:4])[0] & 0x7FFFFFFF
    for number in range(table_size // 8):
        at, size = struct.unpack("<II", content[8 * number : 8 * number + 8])
        start = (at & 0x7FFFFFFF) + 1 + content[at & 0x7FFFFFFF]
        yield f"{number:02}", content[start : start + size]


def xmoto(path: Path) -> Iterator[tuple[str, bytes]]:
    """Rides put together from the engine's short loops, which rise in speed with their number."""
    content = path.read_bytes()
    loops: list[bytes] = []
    for match in re.finditer(rb"Textures/Sounds/engine_\d\d\.wav\x20?[0-9a-f]{32}", content):
        size = struct.unpack("<I", content[match.end() : match.end() + 4])[0]
        with wave.open(io.BytesIO(content[match.end() + 4 : match.end() + 4 + size])) as loop:
            loops.append(loop.readframes(loop.getnframes()))
            parameters = loop.getparams()
    # Every speed held, then a start, a slowing down and two swells.
    rides = [[speed] * 16 for speed in range(len(loops))]
    rides += [sorted([*range(13)] * 2), [*range(12, 0, -1)], [*range(4, 12)] * 2, [6, 8, 10, 8] * 4]
    for number, ride in enumerate(rides):
        output = io.BytesIO()
        with wave.open(output, "wb") as ridden:
            ridden.setparams(parameters)
            ridden.writeframes(b"".join(loops[speed] for speed in ride for _ in range(2)))
        yield f"ridden_{number:02}", output.getvalue()
