"""The example store: file, building, retrieval."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
import soundfile
from small_library import build

from coprop.control_points.rcpg.example_building import build_examples, true_flags, window_flags
from coprop.control_points.rcpg.examples import Example, ExampleStore, mean_bands
from coprop.data.labelled import LabelledClip
from coprop.errors import CoPropError, DatasetError, OutputError
from coprop.types import Audio
from tools.benchmark.composed_clips import ComposedClips

RATE = 16_000


def tone(pitch: float, seconds: float = 2.0, level: float = 0.3) -> Audio:
    time = np.arange(round(seconds * RATE)) / RATE
    return Audio((level * np.sin(2 * np.pi * pitch * time)).astype(np.float32), RATE)


def store_of(folder: Path, *rows: tuple[str, list[str], Audio]) -> ExampleStore:
    """Writes sounds and a file of examples, and reads it."""
    folder.mkdir(exist_ok=True)
    lines = []
    for name, categories, audio in rows:
        soundfile.write(folder / f"{name}.wav", audio.samples, RATE)
        row = {"audio": f"{name}.wav", "categories": categories, "flags": [1, 0], "name": name}
        lines.append(json.dumps(row))
    (folder / "store.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return ExampleStore.load(folder / "store.jsonl")


def names(store: ExampleStore, categories: Sequence[str], sound: Audio, count: int = 2) -> str:
    return " ".join(e.name for e in store.retrieve(categories, sound, count).examples)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> ExampleStore:
    return store_of(
        tmp_path_factory.mktemp("store"),
        ("cello", ["playing_cello"], tone(200)),
        ("dog", ["dog_barking"], tone(800)),
        ("both", ["cello", "dog"], tone(400)),
        ("violin", ["violin"], tone(1600)),
        ("unknown", [], tone(5000)),
    )


class TestRetrieval:
    def test_the_same_category_comes_first(self, store: ExampleStore) -> None:
        assert names(store, ["dogs"], tone(3000), 1) == "dog"
        found = store.retrieve(["cello"], tone(3000), 9)
        assert [e.name for e in found.examples] == ["cello", "both", "violin"]
        assert found.by_category

    def test_several_categories(self, store: ExampleStore) -> None:
        assert names(store, ["dog", "cello"], tone(3000)) == "both cello"

    def test_of_equals_the_one_that_sounds_alike(self, tmp_path: Path) -> None:
        own = store_of(
            tmp_path, *((f"dog{pitch}", ["dog"], tone(pitch)) for pitch in (300, 900, 2700))
        )
        assert names(own, ["dog"], tone(2500), 1) == "dog2700"
        assert names(own, ["dog"], tone(320), 1) == "dog300"

    def test_without_a_category_how_it_sounds_decides(self, store: ExampleStore) -> None:
        found = store.retrieve(["helicopter"], tone(4700), 1)
        assert [e.name for e in found.examples] == ["unknown"]
        assert not found.by_category
        assert names(store, [], tone(210), 1) == "cello"

    def test_the_sound_itself_is_no_example(self, store: ExampleStore) -> None:
        assert "dog" not in names(store, [], tone(800), 9).split()
        assert names(store, ["dog"], tone(800), 9) == "both"
        # Where it is the only one of its category, another category's has to do.
        assert names(store, ["violin", "fiddle"], tone(1600), 1) in {"both", "cello"}

    def test_ties_are_in_the_order_of_the_store(self, tmp_path: Path) -> None:
        own = store_of(tmp_path, *((name, ["dog"], tone(500)) for name in "cab"))
        assert names(own, ["dog"], tone(700), 3) == "c a b"

    def test_longer_ones_can_be_left_out(self, tmp_path: Path) -> None:
        own = store_of(
            tmp_path, ("long", ["dog"], tone(500, 4.0)), ("short", ["dog"], tone(3000, 1.0))
        )
        found = own.retrieve(["dog"], tone(510), 2, longest_s=2.0)
        assert [e.name for e in found.examples] == ["short"]

    def test_bands_that_are_kept_need_no_file(self, tmp_path: Path) -> None:
        bands = tuple(mean_bands(tone(700)).tolist())
        example = Example(tmp_path / "absent.wav", ("dog",), (1,), "kept", 2.0, bands)
        assert names(ExampleStore([example]), ["dog"], tone(300)) == "kept"


class TestFile:
    def test_round_trip(self, store: ExampleStore, tmp_path: Path) -> None:
        kept = Example(store.examples[0].audio, ("a", "ü"), (1, 0, 1), "n", 2.0, (0.5,) * 64)
        ExampleStore([kept, *store.examples]).save(tmp_path / "deep" / "again.jsonl")
        again = ExampleStore.load(tmp_path / "deep" / "again.jsonl")
        assert again.examples[0] == kept
        assert [e.flags for e in again] == [(1, 0, 1), *((1, 0) for _ in store)]
        assert len(again) == len(store) + 1

    def test_paths_below_the_file_are_relative(self, store: ExampleStore) -> None:
        folder = store.examples[0].audio.parent
        store.save(folder / "copy.jsonl")
        first = json.loads((folder / "copy.jsonl").read_text().splitlines()[0])
        assert first["audio"] == "cello.wav"

    @pytest.mark.parametrize(
        ("line", "said"),
        [
            ("{", "is not JSON"),
            ("[1]", "each line must be"),
            ('{"flags": [1]}', 'has no "audio"'),
            ('{"audio": "s.wav", "flags": [1], "categories": "dog"}', '"categories" must be'),
            ('{"audio": "s.wav", "categories": []}', '"flags" must be'),
            ('{"audio": "s.wav", "flags": []}', '"flags" must be'),
            ('{"audio": "s.wav", "flags": [1, 2]}', '"flags" must be'),
            ('{"audio": "s.wav", "flags": [1, 0.0]}', '"flags" must be'),
            ('{"audio": "s.wav", "flags": [0, 1]}', "the first flag must be 1"),
            ('{"audio": "s.wav", "flags": [1], "duration_s": "x"}', '"duration_s" must be'),
            ('{"audio": "s.wav", "flags": [1], "bands": [1, 2]}', '"bands" must be'),
            ('{"audio": "t.wav", "flags": [1]}', "there is no sound"),
        ],
    )
    def test_bad_lines_are_named(self, line: str, said: str, tmp_path: Path) -> None:
        soundfile.write(tmp_path / "s.wav", np.zeros(99), RATE)
        path = tmp_path / "bad.jsonl"
        path.write_text('{"audio": "s.wav", "flags": [1]}\n\n' + line + "\n", encoding="utf-8")
        with pytest.raises(DatasetError) as error:
            ExampleStore.load(path)
        assert said in str(error.value)
        assert f"{path}, line 3" in str(error.value)

    def test_no_file_and_no_lines(self, tmp_path: Path) -> None:
        with pytest.raises(DatasetError, match="cannot be read"):
            ExampleStore.load(tmp_path / "absent.jsonl")
        (tmp_path / "empty.jsonl").write_text("\n")
        with pytest.raises(DatasetError, match="holds no examples"):
            ExampleStore.load(tmp_path / "empty.jsonl")

    def test_nowhere_to_write(self, store: ExampleStore, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("")
        with pytest.raises(OutputError, match="cannot write"):
            store.save(tmp_path / "file" / "store.jsonl")


class Clips:
    """A dataset of clips that have sound and truth, and no frames."""

    name, num_classes = "made train", 1

    def __init__(self, *clips: LabelledClip) -> None:
        self.clips = clips

    def __len__(self) -> int:
        return len(self.clips)

    def __getitem__(self, index: int, /) -> LabelledClip:
        return self.clips[index]


def clip(
    name: str, changes: tuple[float, ...] | None, windows: int | None, seconds: float = 5.0
) -> LabelledClip:
    return LabelledClip(name, (), tone(500, seconds), (), changes, windows, ("dog",))


class TestBuilding:
    def test_flags_and_sounds(self, tmp_path: Path) -> None:
        clips = Clips(
            clip("a/1", (2.0, 4.0), 5, 4.98),
            clip("untold", None, 5),
            clip("dense", (1.2, 2.6), None, 4.2),
        )
        seen: list[tuple[str, int, int | None]] = []
        built = build_examples(
            clips, tmp_path / "train.jsonl", progress=lambda *step: seen.append(step)
        )
        assert [e.flags for e in built] == [(1, 0, 1, 0, 1), (1, 1, 1, 0)]
        assert [e.name for e in built] == ["a/1", "dense"]
        assert seen == [("clips", number, 3) for number in (1, 2, 3)]
        loaded = ExampleStore.load(tmp_path / "train.jsonl")
        assert [e.flags for e in loaded] == [e.flags for e in built]
        assert sorted(p.name for p in (tmp_path / "train_sounds").iterdir()) == [
            "00000_a_1.wav",
            "00002_dense.wav",
        ]
        info = soundfile.info(loaded.examples[0].audio)
        assert (info.samplerate, info.channels, info.subtype) == (RATE, 1, "PCM_16")
        sound = loaded.examples[0].read()
        np.testing.assert_allclose(sound.samples, clips[0].audio.samples, atol=1e-4)
        np.testing.assert_allclose(loaded.examples[0].bands, mean_bands(sound), atol=2e-3)
        # A clip is not shown as an example of itself, though its sound was rounded.
        assert names(loaded, ["dog"], clips[0].audio) == "dense"

    def test_sounds_that_are_there_already(self, tmp_path: Path) -> None:
        soundfile.write(tmp_path / "own.wav", tone(500).samples, RATE)
        clips = Clips(clip("a", (), 5))
        build_examples(clips, tmp_path / "x.jsonl", sounds={"a": tmp_path / "own.wav"})
        row = json.loads((tmp_path / "x.jsonl").read_text())
        assert row["audio"] == "own.wav"
        assert row["flags"] == [1, 0, 0, 0, 0]
        assert not (tmp_path / "x_sounds").exists()

    def test_a_real_dataset(self, tmp_path: Path) -> None:
        sources = tmp_path / "sources"
        sources.mkdir()
        clips = ComposedClips(build(sources), count=3, split="train")
        built = build_examples(clips, tmp_path / "composed.jsonl")
        for example, index in zip(built, range(3), strict=True):
            flags = true_flags(clips[index])
            assert flags is not None
            assert example.flags == tuple(int(f) for f in flags)
            assert len(example.flags) == 8
            assert example.categories == clips[index].categories

    def test_nothing_is_known(self, tmp_path: Path) -> None:
        with pytest.raises(DatasetError, match="no clip of made train tells"):
            build_examples(Clips(clip("a", None, 5)), tmp_path / "x.jsonl")
        assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("times", "flags"),
    [((), "1000"), ((1.4, 1.6), "1110"), ((3.4,), "1001"), ((3.6,), "1000"), ((0.3,), "1000")],
)
def test_a_change_belongs_to_the_nearest_edge(times: tuple[float, ...], flags: str) -> None:
    assert window_flags(times, 4, 4.0).astype(int).tolist() == list(map(int, flags))


@pytest.mark.parametrize("call", [lambda: window_flags((), 0, 1.0), lambda: window_flags((), 1, 0)])
def test_bad_windows_are_named(call: Callable[[], object]) -> None:
    with pytest.raises(CoPropError, match="there must be a window"):
        call()
