"""Files that are not there, are folders, or hold no text: what is said of them."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from coprop import CoPropError, KeyframeSegmenter
from coprop.assembly.families import read_config
from coprop.batch.lists import read_list
from coprop.control_points.rcpg.examples import ExampleStore
from coprop.control_points.rcpg.trace import Trace
from coprop.data.avsbench_files import Column, picture_size, read_sound, read_table
from coprop.data.benchmark_record import load_record
from coprop.data.checksums import digest_of, read_checksums
from coprop.data.control_point_labels import read_control_points
from coprop.keyframes.predictions.coco import CocoMasks
from coprop.keyframes.predictions.pictures import opened
from coprop.media.container import open_media
from coprop.results.saved_result import read_result
from coprop.storage.json_lines import JsonLines, settings_in
from coprop.training.run_folder import RunFolder
from coprop.utils.brief import first_line

READERS: dict[str, tuple[str, Callable[[Path], Any]]] = {
    "checksums": ("SHA256SUMS", lambda path: read_checksums(path.parent)),
    "digest": ("a.png", digest_of),
    "control points": ("points.jsonl", read_control_points),
    "clip record": ("clip.json", load_record),
    "table": ("meta.csv", lambda path: read_table(path, Column(("name",)))),
    "sound": ("audio.wav", read_sound),
    "picture": ("0.png", picture_size),
    "prediction": ("0.png", opened),
    "predictions of COCO": ("masks.json", CocoMasks),
    "examples": ("examples.jsonl", ExampleStore.load),
    "trace": ("trace.json", Trace.load),
    "list of videos": ("videos.txt", read_list),
    "media": ("clip.mp4", open_media),
    "rows": ("rows.jsonl", lambda path: list(JsonLines(path, remedy="Remove it."))),
    "settings": ("settings.json", lambda path: settings_in(path, "Remove it.")),
    "training": ("state.json", lambda path: RunFolder(path.parent).read(path.name)),
    "result": ("result.json", lambda path: read_result(path.parent)),
    "config": ("config.json", lambda path: read_config(path.parent, str(path.parent))),
    "model": ("config.json", lambda path: KeyframeSegmenter.from_pretrained(path.parent)),
}


def absent(path: Path) -> None:
    pass


def folder(path: Path) -> None:
    path.mkdir()


def no_text(path: Path) -> None:
    path.write_bytes(b"\x80\x01\xff\n" * 40)


# What is not there holds nothing, a folder is no config.json, and names of files are any bytes.
FINE = {(absent, "rows"), (absent, "training"), (absent, "config"), (folder, "config")}
FINE |= {(no_text, "digest"), (no_text, "list of videos")}
CASES = [
    pytest.param(make, *READERS[reader], id=f"{reader}-{make.__name__}")
    for make in (absent, folder, no_text)
    for reader in READERS
    if (make, reader) not in FINE
]


@pytest.mark.parametrize(("make", "name", "read"), CASES)
def test_a_sentence_names_the_file_and_says_what_to_do(
    tmp_path: Path, make: Callable[[Path], None], name: str, read: Callable[[Path], Any]
) -> None:
    make(tmp_path / name)
    with pytest.raises(CoPropError) as refused:
        read(tmp_path / name)
    said = str(refused.value)
    assert str(tmp_path) in said
    assert not re.search(r"Errno|codec|byte|Error\(|System error", said)
    assert re.search(r"[.;,)] .+\.$", said.replace(str(tmp_path), ""))


def test_reasons_are_the_system_s_without_its_numbers(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError) as missing:
        (tmp_path / "none").read_text()
    assert first_line(missing.value) == "No such file or directory"
    with pytest.raises(UnicodeDecodeError) as binary:
        b"\xff".decode()
    assert first_line(binary.value) == "it is no text in UTF-8"
    assert first_line(OSError("a library's own.\nand more")) == "a library's own"
    assert first_line(OSError()) == "OSError"
