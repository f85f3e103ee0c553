"""Composing the open benchmark into a folder: clip by clip, each whole or not at all."""

from __future__ import annotations

import csv
import io
import json
import shutil
from collections import Counter
from collections.abc import Collection
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from coprop.data.benchmark_record import RECORD, load_record
from coprop.data.checksums import CHECKSUMS, digest_of, listed_files, read_checksums
from coprop.errors import DatasetError, OutputError
from coprop.media.painting import voc_palette
from coprop.media.wav_file import write_wav
from coprop.storage.files import is_empty, left_in, output_errors, remove_left, replacing
from coprop.storage.folders import replacing_folder
from coprop.storage.locks import WriterLock
from coprop.types import Progress
from coprop.utils.paths import AnyPath, as_path
from tools.benchmark.clips import BenchmarkClip, compose_benchmark_clip, read_material
from tools.benchmark.config import ClipConfig, chosen_subsets
from tools.benchmark.disjoint import check_disjoint
from tools.benchmark.manifest import MANIFEST, SPLITS, read_manifest
from tools.benchmark.record import describe, load_clip, sources_of

BENCHMARK, TABLE, SOURCES = "benchmark.json", "metadata.csv", "sources.jsonl"
HEADER = ("uid", "label", "split", "num_frames", "fps", "seen_in_training", "categories")
_FORMAT = 1


@dataclass(frozen=True)
class ComposedFolder:
    """What `compose_folder` left.

    Args:
        counts: clips in the folder by split and subset, such as {"test": {"s4": 40}}.
        composed: how many of them are new.
        left_out: test files that are not used, as training has them too.
    """

    counts: dict[str, dict[str, int]]
    composed: int
    left_out: tuple[str, ...]


def compose_folder(
    sources: AnyPath,
    out: AnyPath,
    *,
    subset: str = "all",
    clips: int = 40,
    seed: int = 2024,
    split: str = "test",
    config: ClipConfig | None = None,
    unseen: Collection[str] | None = None,
    progress: Progress | None = None,
) -> ComposedFolder:
    """Composes clips of the benchmark into a folder, beside those that it has already.

    A folder that is there must be of the same sources, seed and config; its clips are kept, and
    missing ones added. A test file that is a copy of a training file, by content or fingerprint, is
    left out; finding these takes about a minute when a folder is begun. A clip appears whole or not
    at all, so that work that was stopped goes on when it is repeated. The same arguments give the
    same bytes, with the same versions of the package's dependencies.

    Args:
        sources: a folder made by ``tools/sources``.
        out: the folder to write; made if needed.
        subset: "s4", "m3", "moc" or "all".
        clips: how many of each subset.
        seed: of all randomness, 0 or more.
        split: "train" or "test".
        config: numbers that hold for all clips; by default `ClipConfig()`.
        unseen: groups that training clips keep out; by default a quarter of them.
        progress: called with the steps "pictures" and "sounds" of the check, then "clips".

    Raises:
        CoPropError: sources that cannot be used, or too few of them.
        DatasetError: a number out of range, or a source that has changed.
        OutputError: the folder holds something else, cannot be written, or is being written by
            another process.
    """
    if clips < 1 or seed < 0:
        raise DatasetError(f"clips must be 1 or more and seed 0 or more, got {clips} and {seed}.")
    kinds = chosen_subsets(subset)
    sources = as_path("sources", sources, error=DatasetError)
    out = as_path("out", out, error=OutputError)
    wanted = [(kind.name, number) for kind in kinds for number in range(clips)]
    composed = 0
    with WriterLock.of_folder(out):
        work = _Work(sources, out, seed, config or ClipConfig(), split, unseen, progress)
        for done, (name, number) in enumerate(wanted):
            if progress is not None:
                progress("clips", done, len(wanted))
            composed += work.add(name, number)
        counts = work.finish()
    if progress is not None:
        progress("clips", len(wanted), len(wanted))
    return ComposedFolder(counts, composed, tuple(work.left_out))


class _Work:
    """A folder that is being composed."""

    def __init__(
        self,
        sources: Path,
        out: Path,
        seed: int,
        config: ClipConfig,
        split: str,
        unseen: Collection[str] | None,
        progress: Progress | None,
    ) -> None:
        self._sources, self._out, self._split = sources, out, split
        self._seed, self._config = seed, config
        self._rows = {row.path: row for row in read_manifest(sources)}
        read_material(sources, split, unseen)  # refuses bad arguments before the long check
        self.left_out = self._copies(progress)
        self._material = read_material(sources, split, unseen, self.left_out)
        kept_out = self._material.kept_out
        self._settings = _settings(sources, seed, config, kept_out, self.left_out)
        self._digests: dict[str, str] = {}
        self._check_folder()
        # The settings come first: where they are, work that was stopped goes on.
        self._write_settings(_counts(_records(out)))
        with output_errors(out):
            (out / split).mkdir(parents=True, exist_ok=True)
        remove_left(out)
        for left in left_in(out / split):
            shutil.rmtree(left, ignore_errors=True)

    def add(self, subset: str, number: int) -> bool:
        """Composes a clip, unless it is there; whether it did."""
        target = self._out / self._split / f"{subset}-{number:04d}"
        if (target / RECORD).is_file():
            return False
        clip = compose_benchmark_clip(
            self._material, subset, self._split, number, seed=self._seed, config=self._config
        )
        record = describe(clip, self._sources)
        self._check_sources(record)
        with replacing_folder(target) as part:
            _write_clip(clip, record, part)
        return True

    def finish(self) -> dict[str, dict[str, int]]:
        """Writes what is said of all clips; how many there are."""
        records = _records(self._out)
        counts = _counts(records)
        with replacing(self._out / TABLE) as part:
            part.write_text(_table(records), encoding="utf-8")
        used = sorted({path for record in records for path in sources_of(record)})
        with replacing(self._out / SOURCES) as part:
            lines = [json.dumps(asdict(self._rows[path])) + "\n" for path in used]
            part.write_text("".join(lines), encoding="utf-8")
        self._write_settings(counts)
        has_list = (self._out / CHECKSUMS).is_file()
        known = read_checksums(self._out) if has_list else {}
        # A clip's files are never written again, so what was noted of them stays true.
        write_checksums(self._out, {path: s for path, s in known.items() if "/" in path})
        return counts

    def _copies(self, progress: Progress | None) -> list[str]:
        """Test files that training has too, as the folder notes them or the sources show."""
        path = self._out / BENCHMARK
        if path.is_file():
            left_out = load_record(path).get("left_out", [])
            if not isinstance(left_out, list) or not all(isinstance(p, str) for p in left_out):
                raise OutputError(f"{path} is damaged: its left_out is no list of paths.")
            return left_out
        with output_errors(self._out):
            if not is_empty(self._out):
                raise OutputError(
                    f"{self._out} is not empty and has no {BENCHMARK}; choose a new folder, or one "
                    "that was composed before."
                )
        report = check_disjoint(self._sources, progress)
        if report.changed:
            raise _changed(self._sources / report.changed[0])
        return sorted({pair.test for pair in report.shared})

    def _check_folder(self) -> None:
        """Refuses clips that were composed otherwise."""
        path = self._out / BENCHMARK
        if not path.is_file():
            return
        found = load_record(path)
        now = json.loads(json.dumps(self._settings))
        different = [name for name in now if found.get(name) != now[name]]
        if different:
            shown = ", ".join(f"{n}: {found.get(n)!r} there, {now[n]!r} now" for n in different)
            raise OutputError(
                f"{self._out} was composed otherwise ({shown[:400]}). Give the same arguments, or "
                "choose another folder."
            )

    def _write_settings(self, counts: dict[str, dict[str, int]]) -> None:
        with replacing(self._out / BENCHMARK) as part:
            content = json.dumps({**self._settings, "counts": counts}, indent=2)
            part.write_text(content + "\n", encoding="utf-8")

    def _check_sources(self, record: dict[str, Any]) -> None:
        """Refuses files that are not the manifest's; each is looked at once."""
        for path in sorted(sources_of(record) - self._digests.keys()):
            self._digests[path] = digest_of(self._sources / path)
            if self._digests[path] != self._rows[path].sha256:
                raise _changed(self._sources / path)


def _settings(
    sources: Path, seed: int, config: ClipConfig, unseen: Collection[str], left_out: list[str]
) -> dict[str, Any]:
    from coprop import __version__

    return {
        "format": _FORMAT,
        "coprop": __version__,
        "seed": seed,
        "recipe": asdict(config),
        "unseen_groups": sorted(unseen),
        "sources_manifest_sha256": digest_of(sources / MANIFEST),
        "left_out": left_out,
    }


def _changed(path: Path) -> DatasetError:
    return DatasetError(
        f"{path} is not the file that {MANIFEST} names; its SHA-256 differs. Build the sources "
        "anew."
    )


def _write_clip(clip: BenchmarkClip, record: dict[str, Any], folder: Path) -> None:
    from PIL import Image

    for name in ("frames", "masks"):
        (folder / name).mkdir()
    palette = voc_palette().tobytes()
    for index, (_, image, labels) in enumerate(clip.frames()):
        Image.fromarray(image).save(folder / "frames" / f"{index:05d}.png")
        mask = Image.fromarray(labels)
        mask.putpalette(palette)
        mask.save(folder / "masks" / f"{index:05d}.png")
    _write_sound(folder / "audio.wav", clip.audio.samples, clip.audio.sample_rate)
    (folder / RECORD).write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


def _write_sound(path: Path, samples: NDArray[np.float32], sample_rate: int) -> None:
    whole = np.round(samples * 32768.0).clip(-32768, 32767).astype(np.int16)
    write_wav(path, whole, sample_rate)


def _records(out: Path) -> list[dict[str, Any]]:
    paths = (p for split in SPLITS for p in sorted((out / split).glob(f"[!.]*/{RECORD}")))
    return [load_clip(path) for path in paths]


def _counts(records: list[dict[str, Any]]) -> dict[str, dict[str, int]]:
    counted = Counter((record["split"], record["subset"]) for record in records)
    counts: dict[str, dict[str, int]] = {}
    for (split, subset), number in sorted(counted.items()):
        counts.setdefault(split, {})[subset] = number
    return counts


def _table(records: list[dict[str, Any]]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(HEADER)
    for record in records:
        row = {**record, "uid": record["name"], "label": record["subset"]}
        row["seen_in_training"] = int(record["seen_in_training"])
        row["categories"] = ";".join(record["categories"])
        writer.writerow([row[name] for name in HEADER])
    return text.getvalue()


def write_checksums(folder: Path, known: dict[str, str]) -> None:
    """Lists all files of a folder with their checksums, sorted by path.

    Args:
        folder: where the list goes, too.
        known: checksums by path that are kept as they are, for files that have not been written
            since; the others are computed.
    """
    paths = listed_files(folder)
    lines = [f"{known.get(path) or digest_of(folder / path)}  {path}\n" for path in paths]
    with replacing(folder / CHECKSUMS) as part:
        part.write_text("".join(lines), encoding="utf-8")
