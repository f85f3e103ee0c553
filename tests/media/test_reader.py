from __future__ import annotations

import tracemalloc
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from av.container import InputContainer
from av.video.stream import VideoStream
from media_samples import cut, picture, set_display_matrix, tone, write_video, write_wav

from coprop.errors import MediaError
from coprop.media.reader import VideoFile
from coprop.media.streams import Contents


def test_frames_of_a_plain_video(tmp_path: Path) -> None:
    path = write_video(tmp_path / "v.mp4", sound=tone(44_100, 0.6))
    video = VideoFile(path)
    frames = list(video)
    assert (video.width, video.height, video.num_frames, video.has_audio) == (64, 48, 10, True)
    assert video.duration_s == pytest.approx(0.4, abs=0.05)
    assert video.frame_rate == pytest.approx(25, rel=0.1)
    assert [frame.index for frame in frames] == list(range(10))
    assert [frame.time_s for frame in frames] == pytest.approx([0.04 * i for i in range(10)])
    for frame in frames:
        assert frame.image.shape == (48, 64, 3)
        assert frame.image.dtype == np.uint8
        difference = frame.image.astype(int) - picture(frame.index, 64, 48)
        assert np.abs(difference).mean() < 4


def test_colours_keep_their_channels(tmp_path: Path) -> None:
    path = tmp_path / "red.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 32, 32, "yuv420p"
        red = np.zeros((32, 32, 3), dtype=np.uint8)
        red[..., 0] = 220
        container.mux(stream.encode(av.VideoFrame.from_ndarray(red, format="rgb24")))
        container.mux(stream.encode(None))
    image = next(iter(VideoFile(path))).image
    assert np.abs(image.astype(int) - red).max() < 12


def test_variable_frame_rate_and_late_start_are_exact(tmp_path: Path) -> None:
    pts = [5000, 5033, 5100, 5101, 5400, 6400]
    frames = list(VideoFile(write_video(tmp_path / "v.mkv", pts=pts)))
    assert [frame.pts * frame.time_base for frame in frames] == [  # type: ignore[operator]
        Fraction(time - 5000, 1000) for time in pts
    ]
    assert frames[-1].time_s == pytest.approx(1.4)


@pytest.mark.parametrize("size", [(33, 17), (1, 1), (2, 2)])
def test_odd_and_tiny_sizes(tmp_path: Path, size: tuple[int, int]) -> None:
    path = write_video(tmp_path / "v.mkv", size=size, codec="ffv1")
    video = VideoFile(path)
    assert (video.width, video.height) == size
    assert [frame.image.shape for frame in video] == [(size[1], size[0], 3)] * 10


def test_one_frame(tmp_path: Path) -> None:
    frames = list(VideoFile(write_video(tmp_path / "v.mp4", pts=[0])))
    assert [(frame.index, frame.time_s) for frame in frames] == [(0, 0.0)]


# Where the display matrix (a, b, c, d) sends (x, y): x' = a x + c y, y' = b x + d y.
@pytest.mark.parametrize(
    ("matrix", "corner"),
    [
        ((1, 0, 0, 1), (0, 0)),
        ((0, 1, -1, 0), (0, -1)),  # clockwise by 90 degrees: upper left goes to upper right
        ((-1, 0, 0, -1), (-1, -1)),
        ((0, -1, 1, 0), (-1, 0)),  # counter-clockwise: upper left goes to lower left
        ((-1, 0, 0, 1), (0, -1)),  # mirrored left to right, as some front cameras do
        ((0, 1, 1, 0), (0, 0)),
    ],
)
def test_display_matrix(
    tmp_path: Path, matrix: tuple[int, int, int, int], corner: tuple[int, int]
) -> None:
    path = write_video(tmp_path / "v.mp4", pts=[0, 40])
    set_display_matrix(path, matrix)
    video = VideoFile(path)
    turned = matrix[0] == 0
    assert (video.width, video.height) == ((48, 64) if turned else (64, 48))
    for frame in video:
        assert frame.image.shape == (video.height, video.width, 3)
        bright = {c for c in [(0, 0), (0, -1), (-1, 0), (-1, -1)] if frame.image[c].min() > 200}
        assert bright == {corner}


def test_iterates_again_after_an_early_stop(tmp_path: Path) -> None:
    video = VideoFile(write_video(tmp_path / "v.mp4"))
    open_files = Path("/proc/self/fd")
    before = len(list(open_files.iterdir())) if open_files.exists() else 0
    for frame in video:
        if frame.index == 2:
            break
    partial = iter(video)
    next(partial)
    partial.close()  # type: ignore[attr-defined]
    if open_files.exists():
        assert len(list(open_files.iterdir())) == before
    assert len(list(video)) == 10


def test_frames_are_not_kept(tmp_path: Path) -> None:
    video = VideoFile(write_video(tmp_path / "v.mp4", pts=range(0, 4000, 40), size=(320, 240)))
    tracemalloc.start()
    for _ in video:
        pass
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 8 * 320 * 240 * 3  # of 100 frames


def _with_threads(number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Has FFmpeg decode pictures with so many threads, whatever this machine has."""
    original = Contents.video_stream

    def video_stream(self: Contents, container: InputContainer) -> VideoStream:
        stream = original(self, container)
        stream.codec_context.thread_count = number
        return stream

    monkeypatch.setattr(Contents, "video_stream", video_stream)


def _told(path: Path) -> tuple[int, str]:
    """How many frames are read, and what is said then."""
    seen: list[int] = []
    with pytest.raises(MediaError) as error:
        seen.extend(frame.index for frame in VideoFile(path))
    assert seen == list(range(len(seen)))
    return len(seen), str(error.value)


@pytest.mark.parametrize("codec", ["libx264", "mpeg4"])
@pytest.mark.parametrize("threads", [1, 2, 16])
def test_truncated_with_the_index_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, codec: str, threads: int
) -> None:
    whole = write_video(
        tmp_path / "v.mp4",
        **{"options": {"movflags": "faststart"}, "codec": codec, "noise": True},
        pts=range(0, 1200, 40),
    )
    _with_threads(threads, monkeypatch)
    counts = []
    for part in (0.25, 0.4, 0.5, 0.6, 0.75, 0.9, 0.99):
        count, text = _told(cut(whole, part))
        last = f"after frame {count - 1} at {0.04 * (count - 1):.3f} s; it announces more"
        assert f"breaks off {last}" in text
        counts.append(count)
    assert counts == sorted(counts)
    assert 1 <= counts[0] < 15
    assert 20 <= counts[-1] <= 30


@pytest.mark.parametrize("threads", [1, 2, 16])
def test_damaged_last_picture(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, threads: int
) -> None:
    path = write_video(tmp_path / "v.mp4", noise=True, pts=range(0, 400, 40))
    with av.open(str(path)) as container:
        last = max(container.streams.video[0].index_entries, key=lambda entry: entry.pos)
        start, size = last.pos, last.size
    data = bytearray(path.read_bytes())
    data[start : start + size] = bytes(size)
    path.write_bytes(data)
    _with_threads(threads, monkeypatch)
    count, text = _told(path)
    assert count == 9
    assert f"is damaged: after frame 8 at {0.04 * 8:.3f} s" in text


def test_truncated_with_the_index_last(tmp_path: Path) -> None:
    with pytest.raises(MediaError, match=r"cannot be opened.*damaged"):
        VideoFile(cut(write_video(tmp_path / "v.mp4", noise=True), 0.6))


def test_truncated_matroska(tmp_path: Path) -> None:
    whole = write_video(tmp_path / "v.mkv", noise=True, pts=range(0, 4000, 40))
    with pytest.raises(MediaError, match="breaks off after frame"):
        list(VideoFile(cut(whole, 0.5)))
    assert len(list(VideoFile(whole))) == 100


def test_edit_list_that_hides_frames_is_no_truncation(tmp_path: Path) -> None:
    # Negative times are cut off by an edit list; the header still counts those frames.
    path = write_video(tmp_path / "v.mp4", pts=range(-200, 200, 40), codec="mpeg4")
    times = [frame.time_s for frame in VideoFile(path)]
    assert times[0] == 0
    assert 5 <= len(times) <= 10


def test_damage_in_the_middle(tmp_path: Path) -> None:
    path = write_video(tmp_path / "v.avi", codec="png", time_base=Fraction(1, 25), pts=range(10))
    data = bytearray(path.read_bytes())
    starts = [i for i in range(len(data)) if data[i : i + 4] == b"\x89PNG"]
    data[starts[4] : starts[4] + 8] = bytes(8)
    path.write_bytes(data)
    seen: list[int] = []
    with pytest.raises(MediaError, match=r"damaged: after frame \d at .* cut it there"):
        seen.extend(frame.index for frame in VideoFile(path))
    assert seen == list(range(len(seen)))
    assert 1 <= len(seen) <= 4


def test_cover_art_is_no_video(tmp_path: Path) -> None:
    path = write_cover(tmp_path / "song.mp3")
    with av.open(str(path)) as container:
        assert container.streams.video  # the sample is what it should be
    with pytest.raises(MediaError, match="no video track, it is an audio file"):
        VideoFile(path)


def write_cover(path: Path) -> Path:
    """An MP3 with an ID3v2.3 tag that holds a picture."""
    write_wav(path, tone(44_100, 0.2), 44_100, codec="mp3")
    png = path.with_suffix(".png")
    from PIL import Image

    Image.new("RGB", (8, 8)).save(png)
    body = b"\0image/png\0\x03\0" + png.read_bytes()
    frame = b"APIC" + len(body).to_bytes(4, "big") + b"\0\0" + body
    size = bytes(len(frame) >> shift & 0x7F for shift in (21, 14, 7, 0))
    path.write_bytes(b"ID3\x03\0\0" + size + frame + path.read_bytes())
    return path


def test_what_is_not_a_video(tmp_path: Path) -> None:
    text = tmp_path / "notes.mp4"
    text.write_text("not a video " * 100)
    empty = tmp_path / "empty.mp4"
    empty.touch()
    sound = write_wav(tmp_path / "sound.wav", tone(8000, 0.5), 8000)
    for path, message in [
        (tmp_path / "absent.mp4", "no such file"),
        (tmp_path, "is a directory"),
        (text, "cannot be opened"),
        (empty, "cannot be opened"),
        (sound, "no video track.*audio="),
    ]:
        with pytest.raises(MediaError, match=message):
            VideoFile(path)


def test_video_track_without_frames(tmp_path: Path) -> None:
    path = write_video(tmp_path / "v.mkv", pts=[], sound=tone(44_100, 0.3))
    with pytest.raises(MediaError, match=r"no frame of .* can be decoded"):
        VideoFile(path)


def test_name_with_a_colon_is_a_file(tmp_path: Path) -> None:
    path = write_video(tmp_path / "v.mp4").rename(tmp_path / "http:clip.mp4")
    assert len(list(VideoFile(path))) == 10
