"""Runs put in time: the same files again, read by a reader of their own."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from avsbench_folders import avss_colour, colour_mask
from PIL import Image
from prediction_folders import (
    labels_of,
    masks_of,
    save,
    write_colours,
    write_combo_avss,
    write_combo_ms3,
    write_combo_s4,
    write_masks,
)
from typer.testing import CliRunner, Result

from coprop import CoProp, CoPropError
from coprop.cli import app
from coprop.errors import MediaError, OutputError
from coprop.keyframes.predictions import PredictionRun
from coprop.retiming import Retimed, retime
from pipeline_samples import Shifter, changes_at
from small_clips import write_clip

pytestmark = pytest.mark.usefixtures("no_timelines")

SIZE = (48, 64)  # height, width: of the videos
FPS = 5
SHOWN = (4, 9, 14, 19, 24)  # int((n + 15/16) * 5)


class Holding(Shifter):
    """A propagator that repeats the keyframe's mask."""

    def step(
        self, frame: Any, audio: Any, state: torch.Tensor, *, output_size: Any = None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        return state.clamp(1e-6, 1).log(), state


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two videos of 5 s, one in a folder below the other."""
    folder = tmp_path_factory.mktemp("videos")
    write_clip(folder / "a.mp4", frames=25)
    write_clip(folder / "test" / "b.mp4", frames=25)
    return folder


def written_anew(
    run: PredictionRun,
    videos: Path,
    out: Path,
    *changes_s: float,
    propagator: Any = None,
    **options: Any,
) -> Retimed:
    pipeline = CoProp.wrap(
        run[next(iter(run))],
        detector=changes_at(*changes_s),
        propagator=propagator or Holding(),
        namer=None,
    )
    return retime(run, videos, out, pipeline, **options)


def ms3_run(folder: Path, size: tuple[int, int] = SIZE) -> PredictionRun:
    for seed, name in enumerate("ab"):
        write_masks(folder / "pred_masks", name, masks_of(seed, 5, size))
    return PredictionRun(folder)


def read_ms3(folder: Path, name: str) -> np.ndarray:
    """As scripts read the masks of a clip: five files by name, anything but black sounds."""
    found = []
    for number in range(5):
        with Image.open(folder / "pred_masks" / name / f"{name}_{number}.png") as image:
            found.append(np.asarray(image.convert("L")) > 0)
    return np.stack(found)


def files(folder: Path) -> dict[str, tuple[tuple[int, int], str]]:
    """Size and mode of each picture below a folder, by its path."""
    found = {}
    for path in folder.rglob("*"):
        if path.suffix in (".png", ".jpg"):
            with Image.open(path) as image:
                found[path.relative_to(folder).as_posix()] = (image.size, image.mode)
    return found


def test_the_same_files_with_masks_in_time(videos: Path, tmp_path: Path) -> None:
    """Between control points the keyframe's mask; names, sizes and modes as they were."""
    run, out = ms3_run(tmp_path / "run"), tmp_path / "out"
    result = written_anew(run, videos, out, 2.0)
    assert (result.written, result.there, result.failed) == (["a", "b"], [], {})
    assert files(out) == files(tmp_path / "run")
    for seed, name in enumerate("ab"):
        before, after = read_ms3(tmp_path / "run", name), read_ms3(out, name)
        np.testing.assert_array_equal(before, masks_of(seed, 5, SIZE))
        np.testing.assert_array_equal(after, before[[0, 0, 2, 2, 2]])
        with Image.open(out / "pred_masks" / name / f"{name}_0.png") as image:
            assert image.getpalette()[:6] == [0, 0, 0, 1, 1, 1]  # as the scripts write it
            assert set(np.unique(np.asarray(image))) == {0, 255}


def test_each_second_has_the_frame_that_its_picture_was(videos: Path, tmp_path: Path) -> None:
    """The propagator moves the mask by a column a frame, so columns tell the frame's number."""
    run = ms3_run(tmp_path / "run")
    written_anew(run, videos, tmp_path / "out", propagator=Shifter())
    first = masks_of(0, 5, SIZE)[0]
    for number, frame in enumerate(SHOWN):
        wanted = np.roll(first, frame, axis=1)
        np.testing.assert_array_equal(read_ms3(tmp_path / "out", "a")[number], wanted)


def test_another_size_than_the_video(videos: Path, tmp_path: Path) -> None:
    run = ms3_run(tmp_path / "run", (24, 40))
    written_anew(run, videos, tmp_path / "out", 1.0, 2.0, 3.0, 4.0)
    assert files(tmp_path / "out") == files(tmp_path / "run")
    before, after = (read_ms3(tmp_path / each, "a") for each in ("run", "out"))
    assert (before == after).mean() > 0.97
    assert after.any(axis=(1, 2)).all()


LAYOUTS: dict[str, Callable[[Path], Path]] = {
    "S4": lambda p: write_masks(p / "pred_masks" / "dog", "a", masks_of(0, 5, SIZE)).parents[1],
    "S4, inner folder": lambda p: write_masks(p / "dog", "a", masks_of(0, 5, SIZE)).parent,
    "AVSS": lambda p: write_colours(p / "pred_masks", "a", labels_of(5, SIZE), (90, 60)).parent,
    "COMBO, S4": lambda p: write_combo_s4(p, "dog", "a", masks_of(0, 5, SIZE)),
    "COMBO, MS3": lambda p: write_combo_ms3(p, "a", masks_of(0, 5, SIZE)),
    "COMBO, AVSS": lambda p: write_combo_avss(p, "a", labels_of(5, SIZE)),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_layouts(layout: str, videos: Path, tmp_path: Path) -> None:
    """With a keyframe at each second, what is written is what was read."""
    folder = LAYOUTS[layout](tmp_path / "run")
    run = PredictionRun(folder)
    written_anew(run, videos, tmp_path / "out", 1.0, 2.0, 3.0, 4.0)
    assert files(tmp_path / "out") == files(folder)
    again = PredictionRun(tmp_path / "out")
    assert (again.layout, again.values) == (run.layout, run.values)
    for second in range(5):
        before, after = (each["a"][second] for each in (run, again))
        assert before.shape == after.shape
        assert (np.abs(before - after) < 0.5).mean() > (0.97 if "AVSS" in layout else 0.9999)


def test_semantic_masks_have_colours_of_classes_alone(videos: Path, tmp_path: Path) -> None:
    """Exactly, though those that were read were mixed at their edges."""
    write_colours(tmp_path / "run" / "pred_masks", "a", labels_of(5, SIZE), (90, 60))
    written_anew(PredictionRun(tmp_path / "run"), videos, tmp_path / "out", 2.0)
    for number, labels in enumerate(labels_of(5, SIZE)[[0, 0, 2, 2, 2]]):
        with Image.open(tmp_path / "out" / "pred_masks" / "a" / f"a_{number}.png") as image:
            colours = {tuple(each) for each in np.asarray(image).reshape(-1, 3).tolist()}
        assert colours == {avss_colour(int(label)) for label in np.unique(labels)}


def test_other_forms(videos: Path, tmp_path: Path) -> None:
    """0 and 1, class ids in grey and in a palette, and soft masks stay what they are."""
    labels = labels_of(5, SIZE)
    soft = np.random.default_rng(0).integers(0, 256, (5, *SIZE), dtype=np.uint8)
    palette = colour_mask(np.arange(71, dtype=np.uint8)[None])[0]
    for name, values in (
        ("ones", masks_of(0, 5, SIZE).astype(np.uint8)),
        ("ids", labels),
        ("palette", labels),
        ("soft", soft),
    ):
        for number, each in enumerate(values):
            image = Image.fromarray(each)
            if name == "palette":
                image.putpalette(palette.tobytes())
            save(image, tmp_path / name / "a" / f"a_{number}.png")
        out = tmp_path / f"{name} out"
        written_anew(PredictionRun(tmp_path / name), videos, out, 2.0)
        assert files(out) == files(tmp_path / name)
        for number, wanted in enumerate(values[[0, 0, 2, 2, 2]]):
            found = np.asarray(Image.open(out / "a" / f"a_{number}.png"))
            within = 1 if name == "soft" else 0
            assert np.abs(found.astype(int) - wanted).max() <= within, (name, number)


def test_seconds_beyond_the_video_are_copied(videos: Path, tmp_path: Path) -> None:
    """Scripts pad AVSS's clips of five seconds to ten predictions."""
    write_colours(tmp_path / "run" / "pred_masks", "a", labels_of(10, SIZE), (64, 48))
    written_anew(PredictionRun(tmp_path / "run"), videos, tmp_path / "out", 2.0)
    paths = [Path("pred_masks", "a", f"a_{number}.png") for number in range(10)]
    for number, path in enumerate(paths):
        same = (tmp_path / "out" / path).read_bytes() == (tmp_path / "run" / path).read_bytes()
        assert same == (number >= 5 or number in (0, 2)), number


def test_a_stopped_run_goes_on(videos: Path, tmp_path: Path) -> None:
    """Whole clips are left alone; one that is partly there is done again; nothing is half."""
    run, out = ms3_run(tmp_path / "run"), tmp_path / "out"

    def stop(step: str, done: int, total: int | None) -> None:
        assert (step, total) == ("clips", 2)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        written_anew(run, videos, out, 2.0, progress=stop)
    assert {path.parent.name for path in out.rglob("*.png")} == {"a"}
    made = (out / "pred_masks" / "a" / "a_0.png").stat().st_mtime_ns
    save(Image.new("L", (64, 48)), out / "pred_masks" / "b" / "b_0.png")
    (out / "pred_masks" / "b" / ".b_1.png.0a1b2c3d.part").write_bytes(b"half")  # of a kill
    result = written_anew(run, videos, out, 2.0)
    assert (result.written, result.there) == (["b"], ["a"])
    assert (out / "pred_masks" / "a" / "a_0.png").stat().st_mtime_ns == made
    np.testing.assert_array_equal(read_ms3(out, "b"), masks_of(1, 5, SIZE)[[0, 0, 2, 2, 2]])
    assert not list(out.rglob("*.part"))
    assert written_anew(run, videos, out, 2.0, force=True).written == ["a", "b"]


def test_other_settings_are_kept_apart(videos: Path, tmp_path: Path) -> None:
    run, out = ms3_run(tmp_path / "run"), tmp_path / "out"
    written_anew(run, videos, out, settings={"method": "novelty"})
    with pytest.raises(OutputError, match=r"holds masks of other settings \(method differ\)"):
        written_anew(run, videos, out, settings={"method": "cosine"})
    with pytest.raises(OutputError, match="predictions differ"):
        written_anew(ms3_run(tmp_path / "other"), videos, out, settings={"method": "novelty"})
    written_anew(run, videos, out, 2.0, settings={"method": "cosine"}, force=True)
    assert json.loads((out / "retime.json").read_text())["method"] == "cosine"
    np.testing.assert_array_equal(read_ms3(out, "a"), masks_of(0, 5, SIZE)[[0, 0, 2, 2, 2]])


def test_folders_that_cannot_be_written_to(videos: Path, tmp_path: Path) -> None:
    run = ms3_run(tmp_path / "run")
    for out in (tmp_path / "run", tmp_path / "run" / "in", tmp_path):
        with pytest.raises(OutputError, match="lie in one another; choose another folder"):
            written_anew(run, videos, out)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "note.txt").write_text("mine")
    with pytest.raises(OutputError, match="is not empty, and no run that was put in time"):
        written_anew(run, videos, tmp_path / "full")
    np.testing.assert_array_equal(read_ms3(tmp_path / "run", "a"), masks_of(0, 5, SIZE))


def test_videos_that_are_missing_or_damaged(videos: Path, tmp_path: Path) -> None:
    """Their clips are named, and the others done."""
    (tmp_path / "some").mkdir()
    (tmp_path / "some" / "a.mp4").symlink_to(videos / "a.mp4")
    run, told = ms3_run(tmp_path / "run"), {}

    def failed(clip: str, error: CoPropError) -> None:
        told[clip] = str(error)

    out = tmp_path / "out"
    result = written_anew(run, tmp_path / "some", out, failed=failed)
    assert result.written == ["a"]
    assert result.failed == told == {"b": "the clip 'b' has no video; it should be called b.mp4."}
    (tmp_path / "some" / "b.mp4").write_bytes(b"no video")
    assert "b.mp4" in written_anew(run, tmp_path / "some", out).failed["b"]
    with pytest.raises(MediaError, match="is no folder"):
        written_anew(run, tmp_path / "none", out)
    (tmp_path / "empty").mkdir()
    with pytest.raises(MediaError, match=r"no video of any of the 2 clips .* called a\.mp4"):
        written_anew(run, tmp_path / "empty", out)
    (tmp_path / "some" / "again").mkdir()
    (tmp_path / "some" / "again" / "a.mkv").symlink_to(videos / "a.mp4")
    with pytest.raises(MediaError, match="the clip 'a' has two videos"):
        written_anew(run, tmp_path / "some", out)


def command(*given: str) -> Result:
    return CliRunner().invoke(app, ["retime", *given])


def test_the_command(videos: Path, tmp_path: Path) -> None:
    """With the default detector and propagator; repeated, there is nothing to do."""
    ms3_run(tmp_path / "run", (24, 32))
    given = [str(tmp_path / "run"), "--videos", str(videos), "--out", str(tmp_path / "out")]
    first = command(*given, "--quiet")
    assert first.exit_code == 0, first.output
    assert f"Written to {tmp_path / 'out'}: 2 clips." in first.output
    assert files(tmp_path / "out") == files(tmp_path / "run")
    np.testing.assert_array_equal(read_ms3(tmp_path / "out", "a").shape, (5, 24, 32))
    again = command(*given, "--json")
    assert json.loads(again.stdout) == {
        "out": str(tmp_path / "out"),
        "written": 0,
        "there": 2,
        "failed": {},
    }
    other = command(*given, "--method", "cosine")
    assert other.exit_code == 1
    assert "method differ" in other.output


def test_the_command_names_what_could_not_be_done(videos: Path, tmp_path: Path) -> None:
    ms3_run(tmp_path / "run")
    write_masks(tmp_path / "run" / "pred_masks", "c", masks_of(2, 5, SIZE))
    given = [str(tmp_path / "run"), "--videos", str(videos), "--out", str(tmp_path / "out")]
    result = command(*given, "--quiet")
    assert result.exit_code == 1
    assert "c: the clip 'c' has no video" in result.output
    assert "2 clips, 1 could not be done." in result.output


def test_wrong_command_lines(videos: Path, tmp_path: Path) -> None:
    for given, sentence in (
        ((str(tmp_path / "none"),), "there are no predictions at"),
        ((str(tmp_path),), "holds no picture"),
        ((str(tmp_path), "--layout", "mine"), "--layout"),
    ):
        result = command(*given, "--videos", str(videos), "--out", str(tmp_path / "out"))
        assert result.exit_code in (1, 2)
        assert sentence in " ".join(result.output.replace("│", " ").split())
        assert not (tmp_path / "out").exists()
