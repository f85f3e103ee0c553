"""Nothing that is still to be read is removed, and what is not its own video corrects no result."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from coprop import CoProp, CoPropError, Result
from coprop.cli.app import app
from coprop.errors import MediaError, OutputError
from coprop.identities import identities
from coprop.prompts import Prompt
from pipeline_samples import Shifter, changes_at, left_half
from small_clips import write_clip

BOX = [Prompt(0.2, boxes=[(0, 0, 4, 4)])]

pytestmark = pytest.mark.usefixtures("no_timelines")


@pytest.fixture(scope="module")
def pipeline() -> CoProp:
    def model(frames, audio):
        return left_half(frames)

    return CoProp.wrap(model, detector=changes_at(0.4), propagator=Shifter(), namer=None)


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    return write_clip(tmp_path / "clip.mp4", size=(32, 24))


def test_result_is_not_saved_over_its_video(pipeline: CoProp, tmp_path: Path) -> None:
    video = write_clip(tmp_path / "overlay.mp4", size=(32, 24))
    before = video.read_bytes()
    result = pipeline(str(video))
    with pytest.raises(OutputError, match="is part of the result in"):
        result.save(tmp_path, force=True)
    with pytest.raises(OutputError, match="is part of the result in"):
        pipeline.stream(video).writer(tmp_path, force=True)
    assert video.read_bytes() == before


def test_sound_of_the_clip_is_spared(pipeline: CoProp, clip: Path, tmp_path: Path) -> None:
    folder = tmp_path / "out"
    sound = write_clip(folder / "overlay.mp4")
    with pytest.raises(OutputError, match="is part of the result in"):
        pipeline(clip, sound).save(folder, force=True)
    assert sound.exists()


@pytest.mark.parametrize("corrected", [False, True])
def test_result_is_not_saved_over_its_own_masks(
    pipeline: CoProp, clip: Path, tmp_path: Path, corrected: bool
) -> None:
    pipeline(clip).save(tmp_path / "out")
    result = Result.load(tmp_path / "out", clip)
    if corrected:
        result = pipeline.correct(result, BOX)
    with pytest.raises(OutputError, match="Choose another folder"):
        result.save(tmp_path / "out", force=True)
    assert len(Result.load(tmp_path / "out").labels) == 5
    result.save(tmp_path / "other")
    assert np.array_equal(Result.load(tmp_path / "other").labels, result.labels)


def test_masks_in_memory_replace_the_result(pipeline: CoProp, clip: Path, tmp_path: Path) -> None:
    result = pipeline(clip)
    result.save(tmp_path / "out")
    result.save(tmp_path / "out", force=True)
    assert (tmp_path / "out" / "result.json").exists()


@pytest.mark.parametrize(
    "other",
    [{"size": (48, 32)}, {"fps": 4}, {"frames": 2}, {"frames": 3, "fps": 2}],
    ids=["larger", "slower", "shorter", "fewer"],
)
def test_other_video_corrects_nothing(
    pipeline: CoProp, clip: Path, tmp_path: Path, other: dict
) -> None:
    result = pipeline(clip)
    video = write_clip(tmp_path / "other.mp4", **{"size": (32, 24), **other})
    with pytest.raises(MediaError, match="give the video that the masks were made of"):
        pipeline.correct(replace(result, frames=str(video)), BOX)


@pytest.mark.parametrize("given", [None, "out", 5])
def test_what_is_no_result(pipeline: CoProp, given: object) -> None:
    with pytest.raises(CoPropError, match="a Result is needed"):
        pipeline.correct(given, BOX)
    with pytest.raises(CoPropError, match="a Result is needed"):
        identities(given)


def test_report_of_fewer_frames_is_refused(pipeline: CoProp, clip: Path, tmp_path: Path) -> None:
    pipeline(clip).save(tmp_path / "out")
    report = tmp_path / "out" / "result.json"
    text = report.read_text()
    report.write_text(text.replace('"num_frames": 5', '"num_frames": 7'))
    with pytest.raises(MediaError, match="5 frames, and of 7"):
        Result.load(tmp_path / "out")


def test_writer_without_its_block(pipeline: CoProp, clip: Path, tmp_path: Path) -> None:
    stream = pipeline.stream(clip)
    writer = stream.writer(tmp_path / "out")
    with pytest.raises(CoPropError, match="in its block alone"):
        writer.write(next(stream))
    with writer:
        pass
    with pytest.raises(CoPropError, match="for one block"), writer:
        pass
    stream.close()


def test_writer_after_its_block(pipeline: CoProp, clip: Path, tmp_path: Path) -> None:
    stream = pipeline.stream(clip)
    with stream.writer(tmp_path / "out") as writer:
        writer.write(next(stream))
        mask = next(stream)
    with pytest.raises(CoPropError, match="in its block alone"):
        writer.write(mask)


def test_progress_that_cannot_be_called(pipeline: CoProp, clip: Path, tmp_path: Path) -> None:
    with pytest.raises(CoPropError, match="progress must be a function"):
        pipeline(clip, progress=5)
    with pytest.raises(CoPropError, match="progress must be a function"):
        pipeline.stream(clip, progress="bar")
    with pytest.raises(CoPropError, match=r"cannot be called with \(step, completed, total\)"):
        pipeline.stream(clip, progress=lambda share: None)
    with pytest.raises(CoPropError, match="progress must be a function"):
        pipeline(clip).export("csv", tmp_path / "a.csv", progress=5)


def test_result_of_a_part_is_exported_with_its_video(
    pipeline: CoProp, clip: Path, tmp_path: Path
) -> None:
    """Without the part the frames are others, and the error says what is to be given."""
    pipeline(clip, start_s=0.2, end_s=0.8).save(tmp_path / "out")
    line = ["export", str(tmp_path / "out"), "davis", "muted", "--video", str(clip)]
    done = CliRunner().invoke(app, line)
    assert done.exit_code == 1
    assert "the same part of it (start_s and end_s)" in done.stderr
    done = CliRunner().invoke(app, [*line, "--start", "0.2", "--end", "0.8"])
    assert done.exit_code == 0, done.output
    assert (tmp_path / "out" / "exports" / "muted.mp4").exists()


@pytest.mark.parametrize("name", ["masks", "result.json", "overlay.mp4"])
def test_links_in_a_loop_are_answered_in_a_sentence(
    pipeline: CoProp, clip: Path, tmp_path: Path, name: str
) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / name).symlink_to(out / name)
    with pytest.raises(OutputError):
        pipeline(clip).save(out)
    result = CliRunner().invoke(app, ["run", str(clip), "--out", str(out), "--quiet"])
    assert result.exit_code == 1
    assert result.stderr.startswith("coprop: ")
    assert result.stderr.count("\n") == 1
    assert clip.is_file()
    if name == "masks":  # a folder that is another's is not replaced
        with pytest.raises(OutputError, match="cannot write"):
            pipeline(clip).save(out, force=True)
    else:
        pipeline(clip).save(out, force=True)
        assert len(Result.load(out).masks) == len(pipeline(clip).masks)
