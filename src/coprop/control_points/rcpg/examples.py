"""Annotated examples, and which of them to show a language model (paper section 3.2)."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from coprop.control_points.embeddings import cosine_distance
from coprop.control_points.features import NUM_BANDS, log_mel
from coprop.control_points.language_models.base import LLM_SAMPLE_RATE
from coprop.control_points.rcpg.categories import likeness
from coprop.errors import DatasetError, OutputError
from coprop.storage.files import output_errors, parse_json, write_text
from coprop.types import Audio, AudioTrack
from coprop.utils.brief import first_line
from coprop.utils.checks import as_number
from coprop.utils.paths import AnyPath, as_path, real_path
from coprop.values.given_sound import GivenSound, as_track

_SAME_SOUND = 1e-7
"""Cosine distance of mean bands below which sounds of one length are taken for the same one."""

_FORM = (
    'each line must be {"audio": "sound.wav", "categories": ["dog"], "flags": [1, 0, 0, 1, 0]}, '
    'and may have a "name", a "duration_s" and its mean "bands"'
)
_MOST_DB = 1000  # no band lies further from full scale


@dataclass(frozen=True)
class Example:
    """An annotated sound.

    Args:
        audio: its file.
        categories: what sounds in it, in words; empty where that is not known.
        flags: its control points, 1 or 0 for each of N equal windows; the first is 1.
        name: what traces call it.
        duration_s: length of the sound in seconds; None to read it off the file.
        bands: (64,) of `mean_bands`; None to compute them when they are needed.
    """

    audio: Path
    categories: tuple[str, ...]
    flags: tuple[int, ...]
    name: str = ""
    duration_s: float | None = None
    bands: tuple[float, ...] | None = None

    def read(self) -> Audio:
        """The sound, at 16 kHz.

        Raises:
            MediaError: the file cannot be read.
        """
        from coprop.media.audio_file import AudioFile  # PyAV is loaded only where it is needed

        with AudioFile(self.audio, LLM_SAMPLE_RATE) as track:
            return Audio(track.read(0, track.num_samples), LLM_SAMPLE_RATE)


@dataclass(frozen=True)
class Retrieved:
    """What is to be shown.

    Args:
        examples: the most alike first.
        by_category: True where they have a category of the question's, False where none has and
            they sound alike.
    """

    examples: tuple[Example, ...]
    by_category: bool


class ExampleStore:
    """Annotated examples, of a training set as a rule.

    A file of them is JSON lines: ``{"audio": path, "categories": [...], "flags": [1, 0, ...]}``,
    paths relative to the file.

    Args:
        examples: in the order that decides between equals.
    """

    def __init__(self, examples: Sequence[Example]) -> None:
        self.examples = tuple(examples)
        self._sounds: dict[int, tuple[float, NDArray[np.float64]]] = {}

    def __len__(self) -> int:
        return len(self.examples)

    def __iter__(self) -> Iterator[Example]:
        return iter(self.examples)

    @classmethod
    def load(cls, path: AnyPath) -> ExampleStore:
        """Reads a JSON-lines file.

        Raises:
            DatasetError: no such file, a line of another form or whose sound is not there, with
                its number, or no line at all.
        """
        path = as_path("path", path, error=DatasetError)
        try:
            lines = path.read_text(encoding="utf-8").split("\n")
        except (OSError, UnicodeDecodeError) as error:
            raise DatasetError(
                f"examples cannot be read from {path}: {first_line(error)}; give a "
                f"JSON-lines file, {_FORM}."
            ) from error
        examples = [
            _example(line, path.parent, f"{path}, line {number}")
            for number, line in enumerate(lines, start=1)
            if line.strip()
        ]
        if not examples:
            raise DatasetError(f"{path} holds no examples; {_FORM}.")
        return cls(examples)

    def save(self, path: AnyPath) -> None:
        """Writes a JSON-lines file that `load` reads, whole or not at all.

        Paths below the file's folder are written relative to it, others in full.

        Raises:
            OutputError: it cannot be written.
        """
        path = as_path("path", path, error=OutputError)
        with output_errors(path):
            path.parent.mkdir(parents=True, exist_ok=True)
        write_text(path, "".join(f"{_line(each, path.parent)}\n" for each in self.examples))

    def retrieve(
        self,
        categories: Sequence[str],
        sound: GivenSound,
        count: int,
        *,
        longest_s: float = float("inf"),
    ) -> Retrieved:
        """The examples most like a sound: in category first, then in how they sound.

        Where no example has a category like the given ones, how they sound decides alone, by the
        cosine between mean log-mel bands; between equals, the order of the store. The sound itself,
        where it is an example too, is left out, since it would tell the answer.

        Args:
            categories: of the sound, in words.
            sound: the sound.
            count: how many at most.
            longest_s: longer examples are left out.

        Raises:
            MediaError: an example's sound cannot be read.
        """
        sound = as_track(sound)
        alike = [likeness(categories, example.categories) for example in self.examples]
        by_category = any(alike)
        own = (sound.duration_s, mean_bands(sound))
        ranked: list[tuple[float, float, int]] = []
        for index in range(len(self.examples)):
            if by_category and not alike[index]:
                continue
            duration_s, bands = self._sound(index)
            distance = float(cosine_distance(own[1][None], bands[None])[0])
            same = distance < _SAME_SOUND and abs(duration_s - own[0]) < 0.01
            if not same and duration_s <= longest_s:
                ranked.append((-alike[index], distance, index))
        if by_category and not ranked:  # the only one of its category was the sound itself
            return self.retrieve((), sound, count, longest_s=longest_s)
        chosen = tuple(self.examples[index] for _, _, index in sorted(ranked)[:count])
        return Retrieved(chosen, by_category)

    def _sound(self, index: int) -> tuple[float, NDArray[np.float64]]:
        """Length and mean bands of an example, computed once."""
        if index not in self._sounds:
            example = self.examples[index]
            if example.bands is not None and example.duration_s is not None:
                self._sounds[index] = example.duration_s, np.array(example.bands)
            else:
                track = example.read()
                self._sounds[index] = track.duration_s, mean_bands(track)
        return self._sounds[index]


def mean_bands(audio: AudioTrack) -> NDArray[np.float64]:
    """(64,) means over the track of the log-mel bands in dB above -80, each at least 0."""
    above = np.maximum(log_mel(audio).astype(np.float64) + 80.0, 0.0)
    return np.asarray(above.mean(axis=0))


def _example(line: str, folder: Path, where: str) -> Example:
    try:
        row = parse_json(line)
    except ValueError as error:
        raise DatasetError(f"{where} is not JSON ({error}); {_FORM}.") from error
    if not isinstance(row, dict):
        raise DatasetError(f"{where} is {line.strip()[:80]}; {_FORM}.")
    audio, categories = row.get("audio"), row.get("categories", [])
    if not (isinstance(audio, str) and audio):
        raise DatasetError(f'{where} has no "audio", the path of a sound; {_FORM}.')
    if not (isinstance(categories, list) and all(isinstance(c, str) for c in categories)):
        raise DatasetError(f'{where}: "categories" must be a list of words; {_FORM}.')
    if not (folder / audio).is_file():
        raise DatasetError(f"{where}: there is no sound {folder / audio}.")
    return Example(
        audio=folder / audio,
        categories=tuple(categories),
        flags=_flags(row.get("flags"), where),
        name=row["name"] if isinstance(row.get("name"), str) else audio,
        duration_s=_duration(row.get("duration_s"), where),
        bands=_bands(row.get("bands"), where),
    )


def _flags(flags: Any, where: str) -> tuple[int, ...]:
    whole = isinstance(flags, list) and all(type(flag) in (int, bool) for flag in flags)
    if not whole or not flags or not set(flags) <= {0, 1}:
        raise DatasetError(f'{where}: "flags" must be a list of 0 and 1; {_FORM}.')
    if not flags[0]:
        raise DatasetError(f"{where}: the first flag must be 1: the beginning is a control point.")
    return tuple(int(flag) for flag in flags)


def _duration(value: Any, where: str) -> float | None:
    if value is None:
        return None
    if type(value) not in (int, float) or not 0 <= value < float("inf"):
        raise DatasetError(f'{where}: "duration_s" must be a number of seconds, got {value!r}.')
    return float(value)


def _bands(value: Any, where: str) -> tuple[float, ...] | None:
    if value is None:
        return None
    numbers = isinstance(value, list) and all(as_number(v) is not None for v in value)
    if not numbers or len(value) != NUM_BANDS or not all(abs(v) <= _MOST_DB for v in value):
        raise DatasetError(
            f'{where}: "bands" must be {NUM_BANDS} numbers; without them they are computed.'
        )
    return tuple(float(v) for v in value)


def _line(example: Example, folder: Path) -> str:
    audio = real_path(example.audio)
    here = real_path(folder)
    inside = audio.is_relative_to(here)
    row: dict[str, Any] = {
        "audio": audio.relative_to(here).as_posix() if inside else str(audio),
        "categories": list(example.categories),
        "flags": list(example.flags),
    }
    if example.name:
        row["name"] = example.name
    if example.duration_s is not None:
        row["duration_s"] = example.duration_s
    if example.bands is not None:
        row["bands"] = [round(band, 3) for band in example.bands]
    return json.dumps(row, ensure_ascii=False)
