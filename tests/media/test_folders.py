"""Folders as people have them: with hidden and foreign files, and films of every suffix."""

from __future__ import annotations

import json
import warnings
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from media_samples import tone, write_video, write_wav
from typer.testing import CliRunner

from coprop.cli import app
from coprop.cli.listening import media_files
from coprop.data.checksums import verify
from coprop.errors import MediaError
from coprop.media.folders import SOUND, VIDEO, media_in
from tools.benchmark.folder import write_checksums

FOREIGN = (
    *("._a.mp4", ".DS_Store", "Thumbs.db", "ehthumbs.db", "desktop.ini", ".hidden.wav"),
    *("a.jpg", "notes.txt", "a.srt", "a.json", "a.pt", "README", "model.stl"),
    *(".Trashes/b.mp4", "__MACOSX/._b.mp4"),
)
FILMS = (
    *("a.mts", "a.mxf", "a.3gp", "a.ts", "a.m2ts", "a.wmv", "a.flv", "a.ogv", "a.vob", "a.mpg"),
    *("a.MP4", "b.MTS", "deep/er/a.mkv", "a.webm", "a.avi", "a.mov", "a.m4v", "a.dv", "a.rmvb"),
    *("a.wav", "a.mp3", "a.opus", "a.flac", "a.m4a", "a.aiff", "a.wma", "a.amr", "a.ac3", "a.caf"),
)
NAMES = (
    "犬 の声.wav",
    "كلب.wav",
    "ไทย.wav",
    "🐶.wav",
    "é.wav",
    "-o.wav",
    "a b'\"$x$.wav",
    "ß\n.wav",
)

OTHERS = """
    302 722 acm adf adp ads aea afc aix al ans apc aptxhd apv aqt art asc ast avif avr avs
    bcstm bfstm binka bit bitpacked bmv bonk brstm c2 cdata cdg cdxl cgi cif dat daud dfpwm
    diz dtk evc fap flm fsb fwse g723_1 g728 g729 genh gif h26l hca heic heif ice idf idx ifv
    ipu ircam j2k jxl laf lvf mac mca mcc mks mods moflex mpl2 mpo msf mtaf musx mvi nfo nsp
    paf pdv pjs pvf qcif rco rcv redspark rgb rka rsd rso rt sami sb sbg scc sdns sdr2 sds sdx
    ser sf sga sln smi son sph ss2 stl str sub sup svag svs sw tco txt ty+ ub ul usm uw v v210
    vag vb vpk vqe vql vt vtt wa way webvtt xl xmd xvag yop yuv yuv10
"""


def test_what_is_taken_and_what_is_not(tmp_path: Path) -> None:
    for name in (*FOREIGN, *FILMS):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"\x47\x00\x01")
    found = {path.relative_to(tmp_path).as_posix() for path in media_in(tmp_path)}
    assert found == set(FILMS)
    assert media_files([tmp_path]) == sorted(tmp_path / name for name in FILMS)
    given = tmp_path / "._a.mp4"
    assert media_files([given]) == [given]  # named by someone


def test_a_folder_of_code_holds_no_films(tmp_path: Path) -> None:
    for name in ("index.ts", "types.mts", "go.mod"):
        (tmp_path / name).write_text("export const a: number = 1;\n", encoding="utf-8")
    with pytest.raises(MediaError, match="without video or audio files"):
        media_files([tmp_path])


def test_what_ffmpeg_has_a_suffix_for_is_taken() -> None:
    """Each suffix that a reader of FFmpeg's claims is listed, or is of games, pictures, text."""
    read = set()
    for name in av.formats_available:
        try:
            read |= av.ContainerFormat(name, "r").extensions
        except ValueError:  # a format that is only written
            continue
    missing = {s for s in read if f".{s}" not in VIDEO | SOUND} - set(OTHERS.split())
    assert not missing


def test_detect_goes_through_such_a_folder(tmp_path: Path) -> None:
    """Names in any script, and no word about what is no film."""
    folder = tmp_path / "clips"
    folder.mkdir()
    for name in FOREIGN[:-2]:
        (folder / name).write_bytes(b"\x00\x01 nothing")
    for name in NAMES:
        write_wav(folder / name, tone(16_000, 0.5), 16_000)
    for suffix in ("mts", "mxf", "3gp", "flv", "mpg", "wmv"):
        codecs = {"mxf": ("mpeg2video", "pcm_s16le"), "mpg": ("mpeg2video", "mp2")}
        video, sound = codecs.get(suffix, ("mpeg4", "mp2" if suffix == "wmv" else "aac"))
        write_video(
            folder / f"film.{suffix}",
            pts=tuple(range(10)),
            time_base=Fraction(1, 25),
            codec="libx264" if suffix in ("mts", "flv", "3gp") else video,
            sound=tone(48_000, 0.5),
            sound_rate=48_000,
            sound_codec=sound,
        )
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        done = CliRunner().invoke(app, ["detect", str(folder), "--method", "cosine", "--json"])
    assert done.exit_code == 0, done.output
    assert done.stderr == ""
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(rows) == len(NAMES) + 6
    assert {row["file"] for row in rows} >= set(NAMES)
    assert all(np.isfinite(row["duration_s"]) for row in rows)


def test_what_the_system_puts_into_a_benchmark_is_no_part_of_it(tmp_path: Path) -> None:
    (tmp_path / "a.wav").write_bytes(b"a")
    (tmp_path / ".DS_Store").write_bytes(b"before")
    write_checksums(tmp_path, {})
    for name in ("._a.wav", "Thumbs.db", "desktop.ini", ".Trashes/b"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"after")
    found = verify(tmp_path)
    assert found.is_whole
    assert found.checked == 1
    (tmp_path / "more.wav").write_bytes(b"b")
    assert verify(tmp_path).unlisted == ("more.wav",)
