"""What the page does with a video, without a browser."""

from __future__ import annotations

import zipfile
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from demo_samples import small_choices

from coprop import Category, ControlPoints, CoProp, CoPropError, FrameMask, Result, Segment
from coprop.demo.choices import Choices, offline_choices
from coprop.demo.downloads import downloads, prepared
from coprop.demo.run import Marked, Told, mark, sentence
from coprop.demo.timeline import clock, table_html, timeline_html
from coprop.demo.visits import Visits
from coprop.errors import MediaError, MissingAudioError
from coprop.export.targets import TARGETS
from small_clips import write_clip

NOBODY = SimpleNamespace(session_hash="somebody")


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_clip(tmp_path_factory.mktemp("clip") / "clip.mp4")


@pytest.fixture(scope="module")
def pipeline() -> CoProp:
    return small_choices().default()


def gone_through(pipeline: CoProp, video: Path, folder: Path) -> tuple[list[Told], Marked]:
    told: list[Told] = []
    marking = mark(pipeline, video, folder, 60)
    while True:
        try:
            told.append(next(marking))
        except StopIteration as done:
            return told, done.value


def test_a_video_is_marked_step_by_step(
    pipeline: CoProp, clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seconds = iter(range(1000))  # each look at the clock is a second later
    monkeypatch.setattr("coprop.demo.run.monotonic", lambda: float(next(seconds)))
    told, marked = gone_through(pipeline, clip, tmp_path / "out")
    frames = [each for each in told if each.share is not None]
    assert [each.step for each in told[:2]] == ["Looking at the video", "Listening to the sound"]
    assert [each.share for each in frames[:-1]] == pytest.approx([0, 0.2, 0.4, 0.6, 0.8])
    assert [each.remaining_s for each in frames[:3]] == [None, pytest.approx(8), pytest.approx(4.5)]
    assert len(marked.areas) == len(Result.load(tmp_path / "out").masks) == 5
    assert marked.areas[0] > 0.05  # the red square
    assert marked.sound_s == pytest.approx(1.0, abs=0.1)


def test_one_that_is_cancelled_leaves_no_result(
    pipeline: CoProp, clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("coprop.demo.run._TOLD_EVERY_S", 0)
    marking = mark(pipeline, clip, tmp_path / "out", 60)
    while next(marking).share is None:
        pass
    marking.close()
    assert not (tmp_path / "out" / "result.json").exists()
    assert not (tmp_path / "out" / "overlay.mp4").exists()


@pytest.mark.parametrize(
    ("kind", "error", "message"),
    [
        ("silent", MissingAudioError, "This video has no sound"),
        ("long", MediaError, r"videos of up to 0 s|of up to .* this video lasts"),
        ("broken", MediaError, "cannot be opened as video"),
        ("sound", MediaError, "no video|no picture"),
    ],
)
def test_videos_that_cannot_be_marked(
    kind: str, error: type[CoPropError], message: str, pipeline: CoProp, tmp_path: Path
) -> None:
    path = tmp_path / "clip.mp4"
    if kind == "broken":
        path.write_bytes(b"no video at all")
    elif kind == "sound":
        from media_samples import tone, write_wav

        path = write_wav(tmp_path / "a.wav", tone(16_000, 0.5), 16_000)
    else:
        write_clip(path, frames=5 if kind == "silent" else 12, sound=kind != "silent")
    with pytest.raises(error, match=message):
        list(mark(pipeline, path, tmp_path / "out", 1.0))
    assert not (tmp_path / "out").exists()


def test_length_counts_where_the_file_does_not_tell_it(
    pipeline: CoProp, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_clip(tmp_path / "clip.mp4", frames=12)
    monkeypatch.setattr("coprop.demo.run.check_video", lambda *_: None)
    with pytest.raises(MediaError, match="takes videos of up to 1 s, this video lasts longer"):
        list(mark(pipeline, path, tmp_path / "out", 1.0))
    assert not (tmp_path / "out" / "result.json").exists()


def test_models_are_named_and_loaded_once() -> None:
    made: list[str] = []

    def noted() -> Any:
        made.append("one")
        return small_choices().default().segmenter

    choices = Choices(
        {"a": lambda: small_choices().default().detector},
        {"b": noted},
        {"c": lambda: small_choices().default().propagator},
    )
    choices.pipeline("a", "b", "c")
    choices.default()
    assert made == ["one"]
    with pytest.raises(CoPropError, match=r"none of the segmenters .* 'x'; there are b\."):
        choices.pipeline("a", "x", "c")
    with pytest.raises(CoPropError, match="propagators must name one at least"):
        Choices({"a": noted}, {"b": noted}, {})
    own = offline_choices()
    assert [name.partition(":")[0] for name in own.names("detectors")] == [
        *("novelty", "cosine", "events")
    ]


@pytest.fixture
def visits(tmp_path: Path) -> Visits:
    return Visits(tmp_path)


def test_a_visitor_s_files_go_with_the_visitor(visits: Visits, clip: Path, tmp_path: Path) -> None:
    first = visits.begin("one", clip)
    other = visits.begin("other", clip)
    assert first.video.name == "clip.mp4"
    again = visits.begin("one", clip)
    assert not first.folder.exists()
    visits.end("one")
    visits.end("one")
    assert not again.folder.exists()
    assert visits.of("one") is None
    assert other.video.read_bytes() == clip.read_bytes()  # others and the upload have theirs
    with pytest.raises(MediaError, match="no longer here"):
        visits.begin("one", tmp_path / "gone.mp4")
    assert list(tmp_path.iterdir()) == [other.folder]


def test_who_waits_is_told_how_many_are_before(visits: Visits, clip: Path) -> None:
    for visitor in ("a", "b", "c"):
        visits.wait(visitor)
    assert [visits.before(visitor) for visitor in ("a", "b", "c", "d")] == [0, 1, 2, None]
    visits.begin("a", clip)
    visits.end("b")
    assert [visits.before(visitor) for visitor in ("a", "b", "c")] == [None, None, 0]


def test_every_download_is_a_file(
    visits: Visits, pipeline: CoProp, clip: Path, tmp_path: Path
) -> None:
    visit = visits.begin("one", clip)
    gone_through(pipeline, visit.video, visit.result)
    offered = [name for _, name in downloads()]
    assert set(offered) == {*TARGETS, "overlay", "result"}
    for name in offered:
        file = prepared(visit, name)
        assert file.is_file()
        assert file.stat().st_size
        assert file.name.startswith("clip-")
        assert prepared(visit, name) == file  # made once
        if file.suffix == ".zip":
            inner = zipfile.ZipFile(file).namelist()
            assert not [each for each in inner if each.endswith((".lock", ".part"))]
    assert "masks/000004.png" in zipfile.ZipFile(prepared(visit, "result")).namelist()
    with pytest.raises(CoPropError, match="there is no export 'x'"):
        prepared(visit, "x")
    with pytest.raises(CoPropError, match="there is no export"):
        prepared(visit, "../../x")


def result_of(*segments: Segment) -> Result:
    masks = [
        FrameMask(i, i / 10, np.zeros((4, 4), dtype=np.uint8), None, (0, 1), i == 0)
        for i in range(100)
    ]
    flags = np.array([True, True])
    return Result(masks, ControlPoints([0, 5.0], [1, 0.9], flags), segments, None, None, None)


def test_the_timeline_shows_what_is_where() -> None:
    dog, bird = Category("<Dog> & Co", 0.8), Category("Bird", 0.6)
    result = result_of(Segment(1, 5, (dog, bird)), Segment(5, np.inf, (bird,)), Segment(9.5, 9.8))
    marked = Marked([0.1] * 100, np.array([[-0.5, 0.0], [0.5, 0.0]], dtype=np.float32), 5.0)
    html = timeline_html(result, marked)
    assert 'data-duration="10.000000"' in html
    assert 'style="left:10.000%;width:40.000%;' in html
    assert 'style="left:50.000%;width:50.000%;' in html  # the last one ends with the film
    assert "&lt;Dog&gt; &amp; Co</span>" in html
    assert "<Dog>" not in html
    assert '<line class="cp-change" x1="500.00"' in html
    assert 'points="125.0,4.0' in html  # sound ends half way
    table = table_html(result)
    assert 'data-start="1.000000" data-end="5.000000"' in table
    assert "0:05.0 – 0:10.0" in table
    assert ">80%<" in table
    assert "or Bird" in table
    assert "sounding" in table
    assert "nan" not in (html + table).lower()


def test_a_result_with_nothing_in_it() -> None:
    html = timeline_html(result_of(), Marked([0.0] * 100, np.zeros((2, 0), dtype=np.float32), 0.0))
    assert "cp-chip" not in html
    assert "cp-masked" not in html
    assert "Nothing is heard" in table_html(result_of())
    assert [clock(t) for t in (0, 59.96, 61.25)] == ["0:00.0", "1:00.0", "1:01.2"]


@pytest.fixture
def page(visits: Visits, tmp_path: Path) -> Any:
    pytest.importorskip("gradio", reason="the extra demo is not installed")
    from coprop.demo.page import Page

    return Page(small_choices(), visits, 60)


def test_the_page_tells_errors_as_sentences(
    page: Any, clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = ("half a second", "red", "shifter")
    silent = write_clip(tmp_path / "silent.mp4", sound=False)
    told = [str(each) for each in page._marked(str(silent), *names, NOBODY)]
    assert "This video has no sound" in told[-1]
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(b"x")
    told = [str(each) for each in page._marked(str(broken), *names, NOBODY)]
    assert "broken.mp4 cannot be opened" in told[-1]
    assert str(tmp_path) not in told[-1]
    told = [str(each) for each in page._marked(None, *names, NOBODY)]
    assert "bring a video first" in told[-1]
    monkeypatch.setattr("coprop.demo.page.mark", lambda *_: 1 / 0)
    told = [str(each) for each in page._marked(str(clip), *names, NOBODY)]
    assert "Something went wrong here (ZeroDivisionError)" in told[-1]
    _, note = page._taken("coco", SimpleNamespace(session_hash="nobody"))
    assert "no longer here" in str(note)
    assert {path.name for path in tmp_path.iterdir()} == {"silent.mp4", "broken.mp4"}


def test_a_cancelled_video_is_removed(page: Any, clip: Path, tmp_path: Path) -> None:
    marking = page._marked(str(clip), "half a second", "red", "shifter", NOBODY)
    next(marking)
    next(marking)
    assert list(tmp_path.iterdir())
    marking.close()
    assert not list(tmp_path.iterdir())


def test_a_sentence_does_not_tell_where_files_lie(visits: Visits, clip: Path) -> None:
    visit = visits.begin("one", clip)
    error = MediaError(f"{visit.video} is\nbroken")
    assert sentence(error, visit) == "clip.mp4 is broken"
    assert sentence(MediaError("all is lost"), None) == "all is lost"
