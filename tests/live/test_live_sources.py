"""A camera and a microphone, of which stand-ins give what comes in."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from coprop.live import sources
from coprop.live.changes import LiveChanges
from coprop.live.sound import LiveSound

PICTURE, RATE = np.zeros((12, 16, 3), np.uint8), 16_000


class Device:
    """A stand-in for an open input of FFmpeg.

    Args:
        given: yields decoded frames.
    """

    def __init__(self, given: Callable[[], Iterator[Any]]) -> None:
        self.streams = SimpleNamespace(video=[None], audio=[SimpleNamespace(rate=RATE)])
        self.decode = lambda **_: given()
        self.is_closed = False

    def close(self) -> None:
        self.is_closed = True


def devices(monkeypatch: pytest.MonkeyPatch, camera: Device, microphone: Device) -> Any:
    opened = {"camera": camera, "microphone": microphone}
    monkeypatch.setattr(sources, "_opened", lambda kind, name, what, options: opened[what])
    monkeypatch.setattr(sources.sys, "platform", "linux")
    return sources.Devices("", "", "", 30)


def test_pictures_of_before_the_first_sound_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two of them would both be shown at 0 s, which no stream takes."""
    nothing = Device(lambda: iter(()))
    given = devices(monkeypatch, nothing, nothing)
    given._begun = 100.0
    given._pictures.extend([(99.95, PICTURE), (99.98, PICTURE)])
    given._blocks.append(np.zeros(300, np.float32))
    moments = iter(given)
    first = next(moments)
    assert first.picture is None
    assert first.samples is not None
    assert len(first.samples) == 300
    given._pictures.append((100.01, PICTURE))
    second = next(moments)
    assert second.picture is PICTURE
    assert second.time_s == pytest.approx(0.01)


def test_a_device_that_is_waited_for_is_not_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    """FFmpeg reads in it without a lock: it would read what has been freed."""
    goes_on = threading.Event()

    def waits() -> Iterator[Any]:
        goes_on.wait(20)
        yield from ()

    camera, microphone = Device(waits), Device(lambda: iter(()))
    try:
        with devices(monkeypatch, camera, microphone):
            pass
        assert not camera.is_closed
        assert microphone.is_closed
    finally:
        goes_on.set()


def test_the_default_detector_is_asked_at_every_look() -> None:
    """A change is known as soon as 0.25 s after it have been heard, at the next look."""
    from coprop.control_points.detector import ControlPointDetector

    rng, clock = np.random.default_rng(0), np.arange(round(1.3 * RATE)) / RATE
    tone, noise = 0.15 * np.sin(2 * np.pi * 500 * clock), 0.1 * rng.standard_normal(len(clock))
    samples = np.concatenate([noise, tone] * 4).astype(np.float32)
    sound = LiveSound(RATE)
    changes = LiveChanges(ControlPointDetector.novelty(), sound, look_ahead_s=0.3)
    late_s = []
    for start in range(0, len(samples), RATE // 5):
        sound.feed(samples[start : start + RATE // 5])
        sound.hear_until(sound.end_s)
        late_s += [sound.end_s - c.time_s for c in changes.update() if c.kind == "differs"]
    assert len(late_s) == 7
    assert max(late_s) <= 0.25 + 0.2 + 0.1  # a look each 0.2 s; changes lie on a grid, about right
