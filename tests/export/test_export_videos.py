"""Videos: label maps without loss, cut-outs with alpha and on green, sound that is muted."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from export_samples import PTS, RATE, SILENT, SIZE, TIME_BASE, iou, masks, picture, result
from numpy.typing import NDArray

from coprop import CoProp
from coprop.errors import OutputError
from coprop.export.gate import gated, seen_spans
from coprop.results.saved_result import Head
from pipeline_samples import Recorder, Shifter, changes_at
from small_clips import write_clip

TIMES = [pts * TIME_BASE for pts in PTS]
EVEN = (48, 80)


def decoded(path: Path, decoder: str | None = None) -> list[av.VideoFrame]:
    with av.open(str(path)) as container:
        if decoder is None:
            return list(container.decode(container.streams.video[0]))
        context: Any = av.CodecContext.create(decoder, "r")
        pictures = []
        for packet in container.demux(container.streams.video[0]):
            if packet.size:
                pictures += context.decode(packet)
        return pictures + context.decode(None)


def times(path: Path) -> list[Fraction]:
    with av.open(str(path)) as container:
        return [
            frame.pts * frame.time_base for frame in container.decode(container.streams.video[0])
        ]


def alpha(picture: av.VideoFrame) -> NDArray[Any]:
    plane = picture.planes[3]
    kind = np.uint8 if picture.format.name == "yuva420p" else np.uint16
    rows = np.frombuffer(plane, dtype=kind).reshape(plane.height, -1)[:, : plane.width]
    return rows / (255 if kind is np.uint8 else 4095)


def heard(path: Path) -> tuple[NDArray[np.float32], int]:
    """Samples from time zero, and their rate."""
    with av.open(str(path)) as container:
        stream = container.streams.audio[0]
        resampler = av.AudioResampler("fltp", "mono", RATE)
        samples = np.zeros(2 * RATE, dtype=np.float32)
        for frame in container.decode(stream):
            start = round(float(frame.pts * frame.time_base) * RATE)
            for part in resampler.resample(frame):
                block = part.to_ndarray()[0]
                # The resampler delays nothing at an equal rate.
                kept = block[max(-start, 0) :]
                samples[max(start, 0) : max(start, 0) + len(kept)] = kept
    return samples, RATE


def milliseconds(exact: list[Fraction]) -> list[Fraction]:
    """Times as Matroska has them: rounded, and none of them twice."""
    rounded: list[int] = []
    for time in exact:
        rounded.append(max(round(time * 1000), rounded[-1] + 1 if rounded else 0))
    return [Fraction(number, 1000) for number in rounded]


class TestLabels:
    @pytest.mark.parametrize("labels", [(1,), (3, 16), (7, 250)])
    def test_every_value_is_the_label(self, labels: tuple[int, ...], tmp_path: Path) -> None:
        result(labels).export("labels", tmp_path / "labels.mkv")
        pictures = decoded(tmp_path / "labels.mkv")
        assert len(pictures) == len(PTS)
        for each, mask in zip(pictures, masks(labels), strict=True):
            assert np.array_equal(each.to_ndarray(format="gray"), mask.labels)
            assert np.array_equal(each.to_ndarray(format="rgb24")[..., 1], mask.labels)

    def test_times(self, tmp_path: Path) -> None:
        """Two frames of one millisecond stay two."""
        made = result()
        heads = [Fraction(0), Fraction(1, 3000), Fraction(2, 3000), *TIMES[3:]]
        for mask, time in zip(made.masks, heads, strict=True):
            object.__setattr__(mask, "time_s", float(time))
        made.export("labels", tmp_path / "labels.mkv")
        found = times(tmp_path / "labels.mkv")
        assert found == milliseconds(heads)
        assert len(set(found)) == len(PTS)

    def test_opened_by_opencv(self, tmp_path: Path) -> None:
        cv2 = pytest.importorskip("cv2")
        result((3, 16)).export("labels", tmp_path / "labels.mkv")
        video = cv2.VideoCapture(str(tmp_path / "labels.mkv"))
        for mask in masks((3, 16)):
            there, image = video.read()
            assert there
            assert np.array_equal(image[..., 0], mask.labels)
        assert not video.read()[0]


class TestCutouts:
    @pytest.mark.parametrize("size", [SIZE, EVEN])
    @pytest.mark.parametrize(
        ("name", "file", "decoder"),
        [("cutout-webm", "a.webm", "libvpx-vp9"), ("cutout-prores", "a.mov", None)],
    )
    def test_alpha_is_the_mask(
        self, name: str, file: str, decoder: str | None, size: tuple[int, int], tmp_path: Path
    ) -> None:
        result(size=size).export(name, tmp_path / file)
        pictures = decoded(tmp_path / file, decoder)
        assert len(pictures) == len(PTS)
        for index, (each, mask) in enumerate(zip(pictures, masks(size=size), strict=True)):
            opaque = alpha(each) > 0.5
            assert opaque.shape == size
            assert iou(opaque, mask.labels == 1) == (index not in SILENT)
            inside = mask.labels == 1
            if inside.any():
                shown = each.reformat(format="rgb24").to_ndarray().astype(int)
                error = np.abs(shown - picture(index, size))[inside]
                assert error.mean() < 8

    def test_times_are_exact_in_quicktime_and_whole_milliseconds_in_webm(
        self, tmp_path: Path
    ) -> None:
        result().export("cutout-prores", tmp_path / "a.mov")
        assert times(tmp_path / "a.mov") == TIMES
        result().export("cutout-webm", tmp_path / "a.webm")
        assert times(tmp_path / "a.webm") == milliseconds(TIMES)

    @pytest.mark.parametrize("size", [SIZE, EVEN])
    def test_green_is_keyed_out(self, size: tuple[int, int], tmp_path: Path) -> None:
        result(size=size).export("cutout-green", tmp_path / "green.mp4")
        assert times(tmp_path / "green.mp4") == TIMES
        for index, each in enumerate(decoded(tmp_path / "green.mp4")):
            shown = each.to_ndarray(format="rgb24").astype(int)[: size[0], : size[1]]
            green = shown[..., 1] - np.maximum(shown[..., 0], shown[..., 2]) > 100
            mask = masks(size=size)[index].labels == 1
            solid = (
                mask.copy()
            )  # specks are smaller than a pixel of colour, which is shared by four
            for axis in (0, 1):
                for step in (-1, 1):
                    solid &= np.roll(mask, step, axis)
            assert not green[solid].any()
            assert (green & mask).sum() < 0.35 * mask.sum() + 1
            if index in SILENT:
                assert green.all()


class TestMuted:
    @pytest.mark.parametrize("name", ["muted", "cutout-green", "cutout-prores", "cutout-webm"])
    def test_silent_where_nothing_is_seen(self, name: str, tmp_path: Path) -> None:
        from coprop.export import TARGETS

        path = tmp_path / TARGETS[name].file
        result().export(name, path)
        samples, rate = heard(path)
        edges = [*TIMES, Fraction(1034, 1000)]
        loud = {
            index: float(np.abs(samples[round(a * rate) + 300 : round(b * rate) - 300]).max())
            for index, (a, b) in enumerate(pairwise(edges))
            if b - a > Fraction(1, 50)
        }
        spread = 0.06 if name != "cutout-prores" else 1e-3  # codecs smear what ends at once
        for index, level in loud.items():
            if index in SILENT:
                assert level < 0.2, index
                middle = samples[
                    round(float(edges[index]) * rate + 0.012 * rate) : round(
                        float(edges[index + 1]) * rate - 0.012 * rate
                    )
                ]
                assert np.abs(middle).max(initial=0) < spread, index
            else:
                assert level > 0.4, index

    def test_the_pictures_are_the_videos(self, tmp_path: Path) -> None:
        result().export("muted", tmp_path / "muted.mp4")
        assert times(tmp_path / "muted.mp4") == TIMES
        for index, each in enumerate(decoded(tmp_path / "muted.mp4")):
            shown = each.to_ndarray(format="rgb24").astype(int)[: SIZE[0], : SIZE[1]]
            assert np.abs(shown - picture(index)).mean() < 6

    def test_spans_and_fades(self) -> None:
        labels = [(), (1,), (1, 2), (), (1,)]
        heads = [Head(i, i / 10, each, False) for i, each in enumerate(labels)]
        spans = seen_spans(heads, 0.5)
        assert spans == [(0.1, 0.3), (0.4, 0.5)]
        whole = np.ones((2, 6000), dtype=np.float32)
        for width in (1, 7, 6000):  # however the sound is cut into blocks
            blocks = [whole[:, i : i + width] for i in range(0, 6000, width)]
            gain = np.concatenate(list(gated(blocks, 10_000, spans)), axis=1)
            assert gain.shape == (2, 6000)
            assert not gain[:, :1001].any()
            assert not gain[:, 3000:4001].any()
            assert not gain[:, 5000:].any()
            assert np.all(gain[:, 1050:2950] == 1)
            assert np.abs(np.diff(gain[0])).max() < 0.03  # no click
        assert not np.concatenate(list(gated([whole], 10_000, [])), axis=1).any()


def test_an_encoder_that_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(av, "codecs_available", frozenset({"aac"}))
    with pytest.raises(OutputError, match="no encoder libvpx-vp9, which the export needs"):
        result().export("cutout-webm", tmp_path / "a.webm")
    assert not any(tmp_path.iterdir())


def test_nothing_is_left_of_a_video_that_failed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> Any:
        raise KeyboardInterrupt

    monkeypatch.setattr("coprop.export.videos.colour_picture", fail)
    with pytest.raises(KeyboardInterrupt):
        result().export("muted", tmp_path / "muted.mp4")
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize(("target", "name"), [("muted", "a.mp4"), ("cutout-prores", "a.mov")])
def test_a_part_begins_with_itself(tmp_path: Path, target: str, name: str) -> None:
    """Of 1 to 2.6 s something is masked from 2 s on: it is heard from 1 s on."""
    pipeline = CoProp.wrap(Recorder(), propagator=Shifter(), detector=changes_at(), namer=None)
    whole = pipeline(write_clip(tmp_path / "clip.mp4", frames=20), start_s=1.0, end_s=2.6)
    late = tuple(
        replace(mask, labels=mask.labels * np.uint8(mask.time_s >= 2)) for mask in whole.masks
    )
    replace(whole, masks=late).export(target, tmp_path / name)
    assert times(tmp_path / name) == [Fraction(i, 5) for i in range(8)]
    samples, rate = heard(tmp_path / name)
    assert np.abs(samples[: round(0.95 * rate)]).max() < 0.02
    assert np.abs(samples[round(1.05 * rate) : round(1.5 * rate)]).mean() > 0.1
