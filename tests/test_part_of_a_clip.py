"""`start_s` and `end_s`: a part of a clip, whose times stay those of the whole."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from coprop import CoProp, CoPropError, Result
from coprop.cli.app import app
from coprop.errors import MediaError
from coprop.media.clip import Clip
from coprop.media.part import TrackPart
from coprop.prompts import Prompt
from coprop.silence import quiet_blocks
from coprop.types import AudioTrack, ControlPoints
from pipeline_samples import RATE, Recorder, Shifter, changes_at, clip_of, noise, positions, ramp
from small_clips import write_clip

pytestmark = pytest.mark.usefixtures("no_timelines")

FPS = 5


def pipeline_of(detector: Any = None, model: Any = None) -> CoProp:
    return CoProp.wrap(
        model or Recorder(),
        detector=detector or changes_at(1.0),
        propagator=Shifter(),
        max_segment_s=None,
        namer=None,
    )


def test_times_and_numbers_stay_those_of_the_whole() -> None:
    """Control points at 1 s of the part, which begins at 2 s."""
    heard: list[AudioTrack] = []

    def detect(audio: AudioTrack) -> ControlPoints:
        heard.append(audio)
        return changes_at(1.0)(audio)

    model = Recorder()
    pipeline = pipeline_of(detect, model)
    result = pipeline(clip_of(40), noise(8.0), fps=FPS, start_s=2.0, end_s=4.4)
    assert heard[0].duration_s == pytest.approx(2.4)
    assert [mask.index for mask in result.masks] == list(range(10, 22))
    assert result.times_s == pytest.approx(np.arange(10, 22) / FPS)
    assert result.control_points.change_times_s == pytest.approx((2.0, 3.0))
    spans = [(s.start_s, s.end_s) for s in result.segments]
    assert spans == [pytest.approx((2.0, 3.0)), pytest.approx((3.0, 4.4))]
    assert model.frame_numbers == [10, 15]


def test_a_part_is_what_a_clip_of_it_alone_is() -> None:
    sound = noise(8.0).samples
    part = pipeline_of()(clip_of(40), (sound, RATE), fps=FPS, start_s=2.0, end_s=5.0)
    alone = pipeline_of()(clip_of(40)[10:25], (sound[2 * RATE : 5 * RATE], RATE), fps=FPS)
    assert np.array_equal(part.labels, alone.labels)
    assert [m.is_keyframe for m in part.masks] == [m.is_keyframe for m in alone.masks]


def test_sound_of_a_part_is_at_its_time_and_nothing_else_is_heard() -> None:
    track = TrackPart(ramp(3.0), 1.0, 2.0)
    window = track.read(0, 3 * RATE)
    place = positions(__import__("torch").from_numpy(window)[None])
    assert (place[RATE : 2 * RATE] == np.arange(RATE, 2 * RATE)).all()
    assert not window[:RATE].any()
    assert not window[2 * RATE :].any()
    quiet = quiet_blocks(track)
    assert quiet[:100].all()
    assert not quiet[100:].any()
    assert track.resampled(8000).read(0, 24_000)[:8000].max() == 0


def test_a_part_of_a_file_is_saved_and_read_back(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "clip.mp4", frames=20)
    pipeline = pipeline_of()
    result = pipeline(path, start_s=1.0, end_s=3.0)
    assert [mask.index for mask in result.masks] == list(range(5, 15))
    result.save(tmp_path / "out")
    assert sorted(p.name for p in (tmp_path / "out" / "masks").iterdir())[0] == "000005.png"
    report = json.loads((tmp_path / "out" / "result.json").read_text())
    assert [row["time_s"] for row in report["frames"]][::9] == [1.0, 2.8]
    with av.open(str(tmp_path / "out" / "overlay.mp4")) as overlay:  # begins with the part
        assert float(overlay.streams.video[0].duration * overlay.streams.video[0].time_base) < 2.1
        assert overlay.streams.audio
    loaded = Result.load(tmp_path / "out", path, start_s=1.0, end_s=3.0)
    corrected = pipeline.correct(loaded, [Prompt(2.4, boxes=[(0, 0, 9, 9)])])
    assert [i for i in range(10) if (corrected.labels[i] != result.labels[i]).any()] == [7, 8, 9]


@pytest.mark.parametrize(
    "options",
    [
        {"start_s": -1},
        {"start_s": float("nan")},
        {"start_s": "1:30"},
        {"end_s": 0},
        {"start_s": 2, "end_s": 2},
        {"start_s": 2, "end_s": 1},
        {"end_s": float("inf")},
        {"start_s": 100},
        {"start_s": 1.05, "end_s": 1.15},
    ],
)
def test_parts_that_are_none(options: dict[str, Any]) -> None:
    with pytest.raises(MediaError) as raised:
        pipeline_of()(clip_of(10), noise(2.0), fps=FPS, **options)
    assert "\n" not in str(raised.value)


def test_a_prompt_before_the_part_is_told() -> None:
    prompt = Prompt(0.5, boxes=[(0, 0, 4, 4)])
    with pytest.raises(CoPropError, match="before the part"):
        pipeline_of()(clip_of(20), noise(4.0), fps=FPS, start_s=1.0, prompts=[prompt])


def test_a_clip_without_part_is_as_it_was() -> None:
    with Clip(clip_of(5), noise(1.0), fps=FPS) as clip:
        assert clip.origin_s == 0
        assert not isinstance(clip.audio, TrackPart)


def test_the_command_takes_a_part_and_masks(tmp_path: Path, monkeypatch: Any) -> None:
    """With a stand-in for the default's networks, which are tested elsewhere."""
    path = write_clip(tmp_path / "clip.mp4", frames=20)
    monkeypatch.setattr(CoProp, "from_pretrained", lambda *_, **__: pipeline_of())
    mask = np.zeros((48, 64), dtype=np.uint8)
    mask[10:20, 10:20] = 255
    Image.fromarray(mask).save(tmp_path / "mask.png")
    out = tmp_path / "out"
    command = ["run", str(path), "--out", str(out), "--start", "1", "--end", "3"]
    given = ["--prompt", f"1.2={tmp_path / 'mask.png'}", "--box", "2.2=0,0,5,5", "--json"]
    done = CliRunner().invoke(app, [*command, *given], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    result = Result.load(out)
    assert [m.index for m in result.masks] == list(range(5, 15))
    assert np.array_equal(result.masks[1].labels > 0, mask > 0)
    assert np.argwhere(result.masks[6].labels).max() == 4
    for wrong, said in (
        (["--prompt", "mask.png"], "does not begin with a time"),
        (["--prompt", "1.2"], "is a time alone; give it as 2.0=mask.png"),
        (["--box", "1="], "is a time alone"),
        (["--box", "1=2,3"], "left, top, right, bottom"),
        (["--box", "1=a,b"], "is no box"),
        (["--prompt", "1=nothing.png"], "cannot be read as a mask"),
        (["--prompt", f"0={tmp_path / 'mask.png'}"], "before the part"),
        (["--start", "5"], "after the start"),
    ):
        failed = CliRunner().invoke(app, [*command, "--force", *wrong])
        assert failed.exit_code in (1, 2)
        assert said in " ".join(failed.output.split()), failed.output
