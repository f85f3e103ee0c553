"""Copies of pictures and recordings are found, whatever was done to them, and nothing else is."""

from __future__ import annotations

import io
import json
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
import small_library
import soundfile
from PIL import Image, ImageEnhance, ImageOps

from coprop.data.checksums import digest_of
from coprop.errors import DatasetError
from tools.benchmark.composed_audio import fourier_resample
from tools.benchmark.disjoint import check_disjoint
from tools.benchmark.fingerprints import (
    LEAST_PICTURE_CORRELATION,
    LEAST_SOUND_CORRELATION,
    MOST_BITS_APART,
    MOST_DECIBELS_APART,
    picture_print,
    picture_similarity,
    sound_print,
    sound_similarity,
)
from tools.benchmark.manifest import read_manifest

RATE = 44_100


def call(seed: int) -> np.ndarray:
    """A chirping, noisy sound of two seconds, another one for each seed."""
    rng = np.random.default_rng(seed)
    time_s = np.arange(2 * RATE) / RATE
    envelope = np.interp(time_s, np.linspace(0, 2, 12), rng.uniform(0.05, 1, 12))
    pitch = np.interp(time_s, np.linspace(0, 2, 9), rng.uniform(200, 1500, 9))
    phase = 2 * np.pi * np.cumsum(pitch) / RATE
    voice = sum(np.sin(n * phase) / n for n in range(1, 6))
    return (0.2 * envelope * (voice + 0.3 * rng.standard_normal(len(time_s)))).astype(np.float32)


def scene(seed: int) -> Image.Image:
    """A blotchy cut-out, another one for each seed."""
    rng = np.random.default_rng(seed)
    colours = rng.integers(0, 255, (7, 9, 3), dtype=np.uint8)
    picture = Image.fromarray(colours).resize((180, 140), Image.Resampling.BICUBIC)
    y, x = np.mgrid[-1:1:140j, -1:1:180j]
    picture.putalpha(Image.fromarray((255 * (x**2 + y**4 < 0.9)).astype(np.uint8)))
    return picture


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three cut-outs and sounds for each split, all of them different."""
    for number in range(6):
        split = ("train", "test")[number % 2]
        scene(100 + number).save(tmp_path / f"{split}_{number}.png")
        soundfile.write(tmp_path / f"{split}_{number}.flac", call(100 + number), RATE)
        add(tmp_path, "picture", f"{split}_{number}.png", split)
        add(tmp_path, "sound", f"{split}_{number}.flac", split)
    return tmp_path


def add(folder: Path, kind: str, name: str, split: str) -> None:
    row = {"kind": kind, "path": name, "group": "dog", "split": split, "source": "made"}
    row |= {"licence": "none needed", "sha256": digest_of(folder / name), "ships": True}
    with (folder / "manifest.jsonl").open("a") as file:
        file.write(json.dumps(row) + "\n")


def encoded(samples: np.ndarray, rate: int, kind: str, subtype: str) -> tuple[np.ndarray, int]:
    file = io.BytesIO()
    soundfile.write(file, samples, rate, format=kind, subtype=subtype)
    file.seek(0)
    return soundfile.read(file, dtype="float32")


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(
    ("kind", "subtype", "rate", "gain"),
    [
        ("WAV", "PCM_16", 44_100, 0.1),
        ("WAV", "PCM_U8", 11_025, 0.7),
        ("WAV", "PCM_U8", 11_025, 0.12),
        ("WAV", "FLOAT", 16_000, 3.0),
        ("WAV", "PCM_16", 48_000, -1.0),
        ("OGG", "VORBIS", 22_050, 0.5),
        ("MP3", "MPEG_LAYER_III", 22_050, 0.3),
    ],
)
def test_sound_copies(seed: int, kind: str, subtype: str, rate: int, gain: float) -> None:
    original = call(seed)
    resampled = fourier_resample(original.astype(float), RATE, rate)
    copy, copy_rate = encoded(gain * resampled, rate, kind, subtype)
    one, other = sound_print(original, RATE), sound_print(copy, copy_rate)
    assert np.sqrt(np.mean((one.profile - other.profile) ** 2)) < MOST_DECIBELS_APART
    assert sound_similarity(one, other) > 0.85


def test_other_sounds_are_no_copies() -> None:
    prints = [sound_print(call(seed), RATE) for seed in range(12)]
    similar = [sound_similarity(one, other) for one, other in combinations(prints, 2)]
    assert max(similar) < LEAST_SOUND_CORRELATION


def test_pitch_tells_tones_apart() -> None:
    time_s = np.arange(RATE) / RATE
    one, other = (sound_print(np.sin(2 * np.pi * f * time_s), RATE) for f in (400.0, 408.0))
    assert sound_similarity(one, one) == pytest.approx(1.0, abs=1e-5)
    assert sound_similarity(one, other) < LEAST_SOUND_CORRELATION


@pytest.mark.parametrize("count", [0, 1, 40, 3000])
def test_silence_is_like_nothing(count: int) -> None:
    silent = sound_print(np.zeros(count), RATE)
    assert sound_similarity(silent, silent) == 0
    assert sound_similarity(silent, sound_print(call(0), RATE)) == 0


def as_jpeg(picture: Image.Image, quality: int) -> Image.Image:
    file = io.BytesIO()
    picture.convert("RGB").save(file, "JPEG", quality=quality)
    copy = Image.open(file).convert("RGBA")
    copy.putalpha(picture.getchannel("A"))
    return copy


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("change", ["jpeg", "smaller", "brighter", "mirrored", "padded"])
def test_picture_copies(seed: int, change: str) -> None:
    original = scene(seed)
    copy = {
        "jpeg": lambda: as_jpeg(original, 40),
        "smaller": lambda: original.resize((90, 70), Image.Resampling.BILINEAR),
        "brighter": lambda: ImageEnhance.Brightness(original).enhance(1.2),
        "mirrored": lambda: ImageOps.mirror(as_jpeg(original, 60)),
        "padded": lambda: ImageOps.expand(original, 30, (0, 0, 0, 0)),
    }[change]()
    one, other = picture_print(original), picture_print(copy)
    assert other.mirrored is not None
    apart = min(np.mean(one.bits != view.bits) for view in (other, other.mirrored))
    assert apart < MOST_BITS_APART
    assert picture_similarity(one, other) > 0.96


def test_other_pictures_are_no_copies() -> None:
    prints = [picture_print(scene(seed)) for seed in range(12)]
    for one, other in combinations(prints, 2):
        assert picture_similarity(one, other) < LEAST_PICTURE_CORRELATION
        assert np.mean(one.bits != other.bits) > MOST_BITS_APART


def test_disjoint_folder(folder: Path) -> None:
    seen: list[tuple[str, int, int | None]] = []
    report = check_disjoint(folder, progress=lambda *step: seen.append(step))
    assert report.is_disjoint
    assert report.shared == ()
    assert report.counts == {
        ("train", "picture"): 3,
        ("test", "picture"): 3,
        ("train", "sound"): 3,
        ("test", "sound"): 3,
    }
    assert report.compared == {"picture": 9, "sound": 9}
    assert seen[0] == ("pictures", 1, 6)
    assert seen[-1] == ("sounds", 6, 6)


def test_tones_of_the_small_library(tmp_path: Path) -> None:
    """Pure tones are the hardest to tell apart; of two, one may be taken for the other."""
    report = check_disjoint(small_library.build(tmp_path))
    sounds = [pair for pair in report.shared if pair.medium == "sound"]
    assert report.compared["sound"] == 64
    assert len(sounds) <= 1  # two that are less than half a hertz apart


def test_shared_files_are_found(folder: Path) -> None:
    scene(0).save(folder / "cut-out.png")
    ImageOps.mirror(scene(0).resize((120, 96))).save(folder / "copy.png")
    soundfile.write(folder / "call.flac", call(0), RATE)
    soundfile.write(folder / "copy.ogg", 0.4 * call(0)[::2], RATE // 2)
    (folder / "same.flac").write_bytes((folder / "call.flac").read_bytes())
    for kind, name, split in (
        ("picture", "cut-out.png", "train"),
        ("background", "copy.png", "test"),
        ("sound", "call.flac", "test"),
        ("sound", "copy.ogg", "train"),
        ("music", "same.flac", "train"),
    ):
        add(folder, kind, name, split)
    report = check_disjoint(folder)
    assert not report.is_disjoint
    found = {(pair.medium, pair.train, pair.test, pair.how) for pair in report.shared}
    assert found == {
        ("picture", "cut-out.png", "copy.png", "fingerprint"),
        ("sound", "copy.ogg", "call.flac", "fingerprint"),
        ("sound", "same.flac", "call.flac", "content"),
    }
    assert report.shared[0].similarity == 1.0


def test_changed_files_are_found(folder: Path) -> None:
    soundfile.write(folder / "test_1.flac", call(1), RATE)
    report = check_disjoint(folder)
    assert report.changed == ("test_1.flac",)
    assert not report.is_disjoint


def test_one_split_alone(folder: Path) -> None:
    lines = (folder / "manifest.jsonl").read_text().splitlines()
    kept = [line for line in lines if json.loads(line)["split"] == "test"]
    (folder / "manifest.jsonl").write_text("\n".join(kept))
    assert check_disjoint(folder).is_disjoint


@pytest.mark.parametrize("name", ["test_1.png", "test_1.flac"])
def test_files_that_cannot_be_read(folder: Path, name: str) -> None:
    (folder / name).write_bytes(b"nothing")
    with pytest.raises(DatasetError, match=f"{name} cannot be read"):
        check_disjoint(folder)
    (folder / name).unlink()
    with pytest.raises(DatasetError, match=f"{name} cannot be read: No such file"):
        check_disjoint(folder)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "names no picture"),
        ("{", "line 1 is '{'; each line must be a JSON object"),
        ('{"kind": "sound"}', "line 1 is .* with kind, path"),
        ("[]", "each line must be a JSON object"),
    ],
)
def test_bad_manifests(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(DatasetError, match=r"manifest\.jsonl cannot be read"):
        read_manifest(tmp_path)
    (tmp_path / "manifest.jsonl").write_text(text)
    with pytest.raises(DatasetError, match=message):
        read_manifest(tmp_path)


def test_bad_rows(folder: Path) -> None:
    path = folder / "manifest.jsonl"
    row = json.loads(path.read_text().splitlines()[0])
    path.write_text(json.dumps({**row, "split": "val"}))
    with pytest.raises(DatasetError, match=r"line 1: split must be one of .*, got 'val'"):
        read_manifest(folder)
    path.write_text(json.dumps({**row, "licence": 3}))
    with pytest.raises(DatasetError, match=r"line 1: licence must be text, got \[3\]"):
        read_manifest(folder)
