"""What sounds in each segment, by name."""

from __future__ import annotations

import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from coprop import Audio, Category, ControlPoints, CoProp, CoPropError, Segment
from coprop.encoders.yamnet import class_names
from coprop.errors import ModelOutputError
from coprop.keyframes.naming import AudioSetNamer, name_sounds, names_of, naming
from coprop.keyframes.text_guided import TextGuidedSegmenter
from coprop.keyframes.vocabulary import shares
from coprop.media.clip import Clip
from coprop.types import AudioTrack
from pipeline_samples import RATE, Recorder, Shifter, changes_at, clip_of, noise

pytestmark = pytest.mark.usefixtures("no_timelines")


def hears(**probabilities: float) -> torch.Tensor:
    """(521,) probabilities, 0 but for these classes; underscores stand for spaces."""
    classes = torch.zeros(len(class_names()))
    for name, probability in probabilities.items():
        classes[class_names().index(name.replace("_", " "))] = probability
    return classes


@pytest.mark.parametrize(
    ("heard", "names"),
    [
        ({"Dog": 0.9, "Bark": 0.4, "Animal": 0.95, "Speech": 0.2, "Cat": 0.1}, "Dog Bark Speech"),
        ({"Music": 0.95, "Drum_kit": 0.16, "Percussion": 0.17}, "Drum kit Music Percussion"),
        ({"Vehicle": 0.9, "Speech": 0.12}, "Vehicle Speech"),
        ({"Vehicle": 0.9, "Car": 0.4}, "Car Vehicle"),
        ({"Music": 0.9, "Drum": 0.05}, "Music"),
        ({"Drum": 0.0999}, ""),
        ({}, ""),
    ],
)
def test_the_best_names_come_first(heard: dict[str, float], names: str) -> None:
    found = names_of(hears(**heard))
    order = " ".join(category.name for category in found)
    assert order == names
    for category in found:
        assert category.probability == pytest.approx(heard[category.name.replace(" ", "_")])


def test_general_classes_are_classes() -> None:
    assert set(shares()) < set(class_names())
    assert {"Music", "Animal", "Silence", "Classical music", "Inside, small room"} < set(shares())
    assert not {"Dog", "Speech", "Beatboxing", "Harp", "White noise", "Sine wave"} & set(shares())


def tone(seconds: float, hertz: float = 220.0) -> Audio:
    times = np.arange(round(seconds * RATE)) / RATE
    return Audio((0.3 * np.sin(2 * np.pi * hertz * times)).astype(np.float32), RATE)


NAMER = AudioSetNamer()


def first(audio: AudioTrack, start_s: float = 0.0, end_s: float = 60.0) -> str:
    return NAMER(audio, Segment(start_s, end_s))[0].name


def test_sounds_that_have_one_name() -> None:
    silence = Audio(np.zeros(2 * RATE, dtype=np.float32), RATE)
    assert first(silence) == "Silence"
    assert first(tone(2.0)) == "Sine wave"
    assert first(noise(2.0)) == "White noise"
    resampled = tone(2.0).resampled(44_100)
    assert first(resampled) == "Sine wave"


def test_only_the_segment_is_heard() -> None:
    both = Audio(np.concatenate([tone(1.5).samples, np.zeros(30 * RATE, np.float32)]), RATE)
    assert first(both, 0, 1.5) == "Sine wave"
    assert first(both, 5, 9) == "Silence"
    assert NAMER(tone(1.5), Segment(0, float("inf"))) == NAMER(tone(1.5), Segment(0, 1.5))
    for span in (Segment(0.2, 0.2), Segment(3, 4), Segment(0, 0.01)):  # hardly any, none
        assert all(c.probability >= 0.1 for c in NAMER(tone(1.5), span))


def test_threads_share_one_network() -> None:
    sounds = [tone(1.0), noise(1.0)] * 4
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda sound: NAMER(sound, Segment(0, 1)), sounds))
    assert found == [NAMER(sound, Segment(0, 1)) for sound in sounds]


def test_nothing_is_loaded_before_it_is_asked() -> None:
    program = (
        "import sys, coprop; assert 'torch' not in sys.modules; coprop.CoProp\n"
        "from coprop.keyframes import naming; assert not naming._loaded"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


class Script:
    """A namer that numbers the spans that it is asked about."""

    def __init__(self) -> None:
        self.spans: list[Segment] = []

    def __call__(self, audio: AudioTrack, segment: Segment) -> tuple[Category, ...]:
        self.spans.append(segment)
        return (Category(f"sound {len(self.spans)}", 0.5), Category("Music", 0.25))


def pipeline(namer: Any, *times_s: float, max_segment_s: float | None = None) -> CoProp:
    return CoProp.wrap(
        Recorder(),
        detector=changes_at(*times_s),
        propagator=Shifter(),
        namer=namer,
        max_segment_s=max_segment_s,
    )


def test_each_segment_is_named() -> None:
    namer = Script()
    result = pipeline(namer, 1.0)(clip_of(8), noise(2.0), fps=4)
    assert [(s.start_s, s.end_s) for s in result.segments] == [(0, 1), (1, 2)]
    names = [[c.name for c in s.categories] for s in result.segments]
    assert names == [["sound 1", "Music"], ["sound 2", "Music"]]
    assert [(s.start_s, s.end_s) for s in namer.spans] == [(0, 1), (1, 2.25)]


def test_what_goes_on_sounding_is_one_segment_however_many_keyframes_it_has() -> None:
    namer = Script()
    result = pipeline(namer, max_segment_s=0.5)(clip_of(8), noise(2.0), fps=4)
    assert [(s.start_s, s.end_s) for s in result.segments] == [(0, 2)]
    assert sum(mask.is_keyframe for mask in result.masks) == 4
    assert len(namer.spans) == 1
    long = Script()
    result = pipeline(long, 4.0, max_segment_s=4.0)(clip_of(48), noise(24.0), fps=2)
    assert [s.start_s for s in result.segments] == [0, 4]
    assert sum(mask.is_keyframe for mask in result.masks) == 6
    # The 10 s around the first frame.
    assert [(s.start_s, s.end_s) for s in long.spans] == [(0, 4), (4, 14)]


def test_a_stream_has_them_as_soon_as_a_segment_begins() -> None:
    made = pipeline(Script(), 1.0)
    with Clip(clip_of(8), noise(2.0), fps=4) as clip:
        tracking = made.track(clip, made.detect(clip.audio))
        for frame, _ in tracking:
            named = [s.categories[0].name for s in tracking.segments]
            assert named == ["sound 1", "sound 2"][: 1 + (frame.time_s >= 1)]


def test_no_namer_names_nothing() -> None:
    result = pipeline(None)(clip_of(4), noise(2.0), fps=2)
    assert [s.categories for s in result.segments] == [()]
    made = pipeline(Script())
    made.namer = None
    assert made(clip_of(4), noise(2.0), fps=2).segments[0].categories == ()


def test_the_default_is_audioset() -> None:
    made = CoProp.wrap(Recorder(), detector=changes_at(), propagator=Shifter())
    assert made.namer == AudioSetNamer()
    result = made(clip_of(4), tone(2.0), fps=2)
    assert result.segments[0].categories[0].name == "Sine wave"


def test_what_is_no_namer() -> None:
    with pytest.raises(CoPropError, match=r"namer must be a function.*or None.*got 'Dog'"):
        pipeline("Dog")
    for wrong in (None, "Dog", ["Dog"], Category("Dog", 0.5)):
        with pytest.raises(ModelOutputError, match=r"tuple of Category\(name, probability\)"):
            pipeline(lambda audio, segment, wrong=wrong: wrong)(clip_of(4), noise(2.0), fps=2)


def test_the_result_tells_them(tmp_path: Path) -> None:
    result = pipeline(Script(), 1.0)(clip_of(8), noise(2.0), fps=4)
    result.save(tmp_path / "out")
    content = json.loads((tmp_path / "out" / "result.json").read_text())
    assert content["segments"] == [
        {
            "start_s": float(i),
            "end_s": i + 1.0,
            "categories": [
                {"name": f"sound {i + 1}", "probability": 0.5},
                {"name": "Music", "probability": 0.25},
            ],
        }
        for i in range(2)
    ]


def test_control_points_are_named_where_there_is_sound() -> None:
    samples = np.concatenate([tone(1.0).samples, np.zeros(RATE, np.float32), noise(1.0).samples])
    audio = Audio(samples, RATE)
    points = naming(changes_at(1.0, 2.0))(audio)
    assert points.change_times_s == (1.0, 2.0)
    assert points.categories is not None
    assert points.categories[0][0] == "Sine wave"
    assert points.categories[1] == ()
    assert points.categories[2]
    beyond = ControlPoints(np.array([0.0, 1.0, 9.0]), np.ones(3), np.ones(3, dtype=bool))
    named = name_sounds(beyond, audio, Script())
    assert named.categories == (("sound 1", "Music"), ("sound 2", "Music"), ())


def test_names_guide_a_model_of_words() -> None:
    told: list[tuple[str, ...]] = []

    def segment(frames: torch.Tensor, categories: tuple[str, ...]) -> torch.Tensor:
        told.append(categories)
        return torch.full((len(frames), 1, *frames.shape[-2:]), 4.0)

    detector = naming(changes_at(1.0), Script())
    CoProp.wrap(TextGuidedSegmenter(segment), detector=detector, propagator=Shifter())(
        clip_of(4), noise(2.0), fps=2
    )
    assert told == [("sound 1", "Music"), ("sound 2", "Music")]


def test_naming_takes_functions_and_control_points() -> None:
    with pytest.raises(CoPropError, match="detector must be a function of the sound, got 5"):
        naming(5)  # type: ignore[arg-type]
    with pytest.raises(CoPropError, match="namer must be a function of the sound and a segment"):
        naming(changes_at(1.0), 5)  # type: ignore[arg-type]
    with pytest.raises(CoPropError, match="points must be ControlPoints, got 5"):
        naming(lambda audio: 5)(noise(1.0))  # type: ignore[arg-type, return-value]
