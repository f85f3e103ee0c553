"""tools/bench/real_clips.py: polygons, checks of the videos, and its table, on a small clip."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from coprop import Audio, CoProp
from coprop.data.checksums import digest_of
from coprop.errors import DatasetError
from small_clips import write_clip
from tools.bench import real_clips


def square(left: float, top: float, right: float, bottom: float) -> list[list[float]]:
    return [[left, top], [right, top], [right, bottom], [left, bottom]]


def annotate(folder: Path, video: Path, frames: list[dict[str, Any]]) -> Path:
    clip = {
        "file": video.name,
        "sha256": digest_of(video),
        "width": 64,
        "height": 48,
        "frames": frames,
    }
    path = folder / "annotations.json"
    path.write_text(json.dumps({"clips": [clip, {**clip, "file": "elsewhere.mp4"}]}))
    return path


def frame(
    time_s: float,
    polygons: list[list[list[float]]],
    holes: list[list[list[float]]] | None = None,
    ignore: list[list[list[float]]] | None = None,
) -> dict[str, Any]:
    things = [{"label": "square", "polygons": polygons, "holes": holes or []}] if polygons else []
    return {"time_s": time_s, "objects": things, "ignore": ignore or []}


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_clip(tmp_path_factory.mktemp("video") / "square.mp4", frames=5, fps=5)


def test_polygons_with_holes_and_ignored_areas(tmp_path: Path, video: Path) -> None:
    drawn = frame(
        0.0,
        [square(10, 10, 29, 29), square(40, 10, 44, 14)],
        holes=[square(15, 15, 19, 19)],
        ignore=[square(0, 0, 12, 47), square(16, 16, 17, 17)],
    )
    other = {"label": "in the hole", "polygons": [square(18, 18, 18, 19)], "holes": []}
    drawn["objects"].append(other)
    clip = real_clips.read_annotations(annotate(tmp_path, video, [drawn]))[0]
    sounding, ignored = real_clips.rasterise(clip.frames[0], clip.height, clip.width)
    expected = np.zeros((48, 64), dtype=bool)
    expected[10:30, 10:30] = True
    expected[15:20, 15:20] = False
    expected[10:15, 40:45] = True
    expected[18:20, 18] = True  # a hole is one object's alone
    np.testing.assert_array_equal(sounding, expected)
    outside = np.zeros((48, 64), dtype=bool)
    outside[:, :13] = True
    outside[16:18, 16:18] = True
    np.testing.assert_array_equal(ignored, outside & ~expected)


def test_the_ellipse_covers_its_share() -> None:
    mask = real_clips.ellipse(120, 200)
    assert mask.shape == (120, 200)
    assert mask.mean() == pytest.approx(0.3, abs=0.005)
    np.testing.assert_array_equal(mask, mask[::-1, ::-1])


def test_scores_leave_out_what_is_ignored() -> None:
    wanted, ignored = torch.zeros(2, 2, 10, 10, dtype=torch.bool)
    wanted[0, :4] = True
    ignored[0, 8:] = True
    probabilities = torch.zeros(2, 10, 10)
    probabilities[0, 2:6] = 0.9
    probabilities[0, 8:] = 1.0
    probabilities[1, :, :2] = 1.0
    scores = real_clips.score(probabilities, wanted, ignored)
    assert scores.jaccard == pytest.approx((20 / 60 + 0) / 2)
    assert scores.f_measure == pytest.approx(0.5)  # precision and recall are 0.5
    assert scores.recall == scores.precision == 0.5
    assert scores.silent_area == pytest.approx(0.2)


def test_what_sounds_by_level() -> None:
    noise = np.random.default_rng(0).standard_normal(32_000).astype(np.float32)
    noise[:16_000] *= 1e-3
    (span,) = real_clips.by_level(Audio(0.1 * noise, 16_000))
    assert span == pytest.approx((1.0, 2.0), abs=0.03)
    assert real_clips.by_level(Audio(np.zeros(32_000, np.float32), 16_000)) == []
    assert real_clips.by_level(Audio(1e-5 * noise, 16_000)) == []


def test_time_is_that_of_either() -> None:
    shown = [(0.0, True), (0.5, True), (1.0, False), (1.5, False), (2.0, True)]
    assert real_clips.time_overlap(shown, [(0.4, 0.7), (1.2, 1.6)]) == 1 / 5
    assert real_clips.time_overlap(shown, [(0.4, 0.7), (1.4, 1.6)]) == 1 / 4
    assert real_clips.time_overlap([(0.0, False)], []) is None


def test_silence_alone_has_no_recall() -> None:
    empty = torch.zeros(1, 4, 4, dtype=torch.bool)
    scores = real_clips.score(torch.zeros(1, 4, 4), empty, empty)
    assert scores == real_clips.Scores(1.0, None, None, None, 0.0)


def test_the_nearest_frame_is_taken(video: Path) -> None:
    masks = CoProp.wrap(lambda frames, audio: frames[:, :1] - 0.5).stream(video)
    assert [mask.index for mask in real_clips.at_times(masks, [0.29, 0.31, 9.0])] == [1, 2, 4]
    with pytest.raises(DatasetError, match="no frames"):
        real_clips.at_times(iter(()), [0.0])


def test_another_video_of_the_same_name_is_refused(tmp_path: Path, video: Path) -> None:
    here, elsewhere = real_clips.read_annotations(annotate(tmp_path, video, [frame(0.0, [])]))
    assert real_clips.find_clip(video.parent, here) == video
    assert real_clips.find_clip(video.parent, elsewhere) is None
    (tmp_path / video.name).write_bytes(video.read_bytes() + b"0")
    with pytest.raises(DatasetError, match=f"polygons were drawn on a video with {here.sha256}"):
        real_clips.find_clip(tmp_path, here)


@pytest.mark.parametrize("content", ["", "[]", '{"clips": [{"file": "a.mp4"}]}'])
def test_annotations_of_another_form_are_refused(tmp_path: Path, content: str) -> None:
    path = tmp_path / "annotations.json"
    path.write_text(content)
    with pytest.raises(DatasetError, match="cannot be read as annotations"):
        real_clips.read_annotations(path)


@pytest.mark.parametrize(("split", "number"), [("test", 7), ("validation", 23), ("fresh", 12)])
def test_the_annotations_that_come_with_it_lie_within_their_videos(split: str, number: int) -> None:
    clips = real_clips.read_annotations(real_clips.ANNOTATIONS[split])
    assert len({clip.file for clip in clips}) == len(clips) == number
    for clip in clips:
        times_s = [frame.time_s for frame in clip.frames]
        assert times_s == sorted(set(times_s))
        for annotated in clip.frames:
            sounding, ignored = real_clips.rasterise(annotated, clip.height, clip.width)
            assert bool(annotated.objects) == bool(sounding.any())
            assert annotated.objects or not ignored.any()
            corners = [
                corner
                for thing in annotated.objects
                for polygon in (*thing.polygons, *thing.holes)
                for corner in polygon
            ]
            assert all(0 <= x <= clip.width and 0 <= y <= clip.height for x, y in corners)


def test_the_table_of_a_clip(
    tmp_path: Path,
    video: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    frames = [frame(0.0, [square(4, 12, 24, 35)]), frame(0.79, [])]
    annotations = {"test": tmp_path / "none.json", "validation": annotate(tmp_path, video, frames)}
    monkeypatch.setattr(real_clips, "ANNOTATIONS", annotations)
    monkeypatch.setattr(real_clips, "by_level", lambda audio: [(0.0, 0.39)])
    (tmp_path / "redness.py").write_text(
        "def build():\n"
        "    return lambda frames, audio: 20 * (frames[:, :1] - frames[:, 1:2] - 0.3)\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    out = tmp_path / "out"
    arguments = [str(video.parent), "--split", "validation", "--model", "redness:build"]
    arguments += ["--out", str(out)]
    monkeypatch.setattr(sys, "argv", ["real_clips.py", *arguments])
    real_clips.main()
    skipped, *lines = capsys.readouterr().out.splitlines()
    assert skipped == f"elsewhere.mp4 is not in {video.parent} and is skipped."
    rows = {tuple(line.split(" | ")[:2]): line.strip("| ").split(" | ")[2:] for line in lines}
    assert {clip for clip, _ in rows if clip.startswith("| s")} == {"| square"}
    *figures, time = rows["| square", "every frame alone"]
    jaccard, f_measure, recall, precision, silent = map(float, figures)
    assert time == "–"
    assert float(rows["| square", "coprop"][5]) == 2 / 5  # masked in all of five
    # The red square is found, in the frame in which it is to be silent too.
    assert 0.4 < jaccard < 0.5
    assert min(f_measure, recall, precision) > 0.8
    assert silent == pytest.approx(21 * 24 / (64 * 48), abs=0.03)
    everything = rows["| square", "everything"]
    assert everything[2] == everything[4] == "1.000"
    assert rows["| mean of clips", "everything"] == everything
    assert sorted(path.name for path in out.iterdir()) == [
        "square_00.000.png",
        "square_00.790.png",
    ]
    picture = np.array(Image.open(out / "square_00.000.png"))
    assert picture.shape == (48, 128, 3)
    assert tuple(picture[12, 4]) == real_clips.TRUTH_COLOUR


def test_a_folder_without_the_clips(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["real_clips.py", str(tmp_path)])
    with pytest.raises(SystemExit, match="2"):
        real_clips.main()
    assert "none of the annotated clips: child.mp4" in capsys.readouterr().err
