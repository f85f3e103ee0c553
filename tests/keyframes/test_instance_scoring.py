"""Which of several like things sounds is told by its motion."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from coprop import Audio, CoPropError
from coprop.errors import AudioError, ModelOutputError, ShapeError
from coprop.keyframes.instance_scoring import (
    InstanceScores,
    masks_of_labels,
    sounding_instances,
    times_around,
)
from coprop.keyframes.motion_agreement import MotionAgreement, confidence_of, sound_energy
from coprop.keyframes.motion_energy import motion_energy

RATE, FPS, COUNT = 16_000, 20, 40
HEIGHT, WIDTH, SIDE = 72, 96, 20
TIMES = np.arange(COUNT) / FPS
BURSTS = (0.2, 0.7, 0.95, 1.5)  # seconds
OTHERS = (0.45, 1.2, 1.75)


def envelope(*starts_s: float) -> Callable[[NDArray[np.float64]], NDArray[np.float64]]:
    """How loud bursts are that die away in a fifth of a second, at some times."""

    def at(times_s: NDArray[np.float64]) -> NDArray[np.float64]:
        since = [np.where(times_s >= s, np.exp(-(times_s - s) / 0.08), 0.0) for s in starts_s]
        return np.asarray(np.max(since, axis=0))

    return at


def sound_of(*starts_s: float) -> Audio:
    times_s = np.arange(round(COUNT / FPS * RATE)) / RATE
    carrier = 0.5 * np.random.default_rng(0).standard_normal(len(times_s))
    return Audio((envelope(*starts_s)(times_s) * carrier).astype(np.float32), RATE)


def texture(height: int, width: int, seed: int = 0) -> Tensor:
    """(3, height, width) of soft blotches."""
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.rand(1, 3, height // 6, width // 6, generator=generator)
    return torch.nn.functional.interpolate(coarse, (height, width), mode="bicubic")[0].clamp(0, 1)


def clip(*, pan: float = 0.0, shaken: float = 0.0) -> tuple[Tensor, Tensor]:
    """(T, 3, H, W) frames and (2, T, H, W) masks of two like squares on a wall.

    The left one hops with `BURSTS`, the right one with `OTHERS`, before a camera that pans by so
    many pixels a frame and is shaken by so many.
    """
    wall, thing = texture(HEIGHT, WIDTH + 120), texture(SIDE, SIDE, seed=1) * 0.5 + 0.4
    rng = np.random.default_rng(1)
    frames, masks = torch.empty(COUNT, 3, HEIGHT, WIDTH), torch.zeros(2, COUNT, HEIGHT, WIDTH)
    hops = [np.rint(6 * envelope(*starts)(TIMES)) for starts in (BURSTS, OTHERS)]
    for i in range(COUNT):
        offset = round(60 + pan * i + shaken * rng.standard_normal())
        frames[i] = wall[:, :, offset : offset + WIDTH]
        for number, column in enumerate((28, 70)):
            left, top = column + 60 - offset, 30 - int(hops[number][i])
            frames[i, :, top : top + SIDE, left : left + SIDE] = thing
            masks[number, i, top : top + SIDE, left : left + SIDE] = 1
    return frames, masks


@pytest.mark.parametrize("tracked", [True, False])
@pytest.mark.parametrize("camera", [{}, {"pan": 0.5}, {"pan": 0.25, "shaken": 1.0}])
def test_what_moves_with_the_sound_scores_highest(camera: dict[str, float], tracked: bool) -> None:
    frames, masks = clip(**camera)
    masks = masks if tracked else masks[:, 0]
    scorer = MotionAgreement()
    found = scorer(masks, frames, TIMES.tolist(), sound_of(*BURSTS))
    assert found.scores[0] > 0.4
    assert found.scores[0] > found.scores[1] + 0.3
    assert found.confidence > 0.8
    assert found.sounding().tolist() == [True, False]
    swapped = scorer(masks, frames, TIMES.tolist(), sound_of(*OTHERS))
    assert swapped.scores.argmax() == 1


def test_both_that_move_with_the_sound_are_taken_to_sound() -> None:
    frames, masks = clip()
    scores = MotionAgreement()(masks, frames, TIMES.tolist(), sound_of(*BURSTS, *OTHERS))
    assert scores.sounding().all()
    assert scores.confidence < 0.9


def test_a_cameras_motion_moves_nothing() -> None:
    still, panned = (motion_energy(*reversed(clip(pan=pan))) for pan in (0.0, 0.5))
    assert still.shape == (2, COUNT - 1)
    moving = still > 0.05
    assert moving.any(1).all()
    # Where a thing rests, it does so under a camera that pans too; where it hops, it is seen to.
    assert panned[~moving].mean() < 0.1 * still[moving].mean()
    assert panned[moving].mean() > 0.5 * still[moving].mean()


def test_nothing_tells_in_silence_where_nothing_moves_or_in_too_few_frames() -> None:
    frames, masks = clip()
    scorer, times = MotionAgreement(), TIMES.tolist()
    silence = Audio(np.zeros(2 * RATE, dtype=np.float32), RATE)
    resting = frames[:1].expand_as(frames)
    for found in (
        scorer(masks, frames, times, silence),
        scorer(masks, frames, times, Audio(np.zeros(0, dtype=np.float32), RATE)),
        scorer(masks, resting, times, sound_of(*BURSTS)),
        scorer(masks[:, :3], frames[:3], times[:3], sound_of(*BURSTS)),
        scorer(torch.zeros_like(masks), frames, times, sound_of(*BURSTS)),
    ):
        assert found.scores.tolist() == [0, 0]
        assert found.confidence == 0.5
        assert found.sounding().all()


def test_one_instance_and_none() -> None:
    frames, masks = clip()
    one = MotionAgreement()(masks[:1], frames, TIMES.tolist(), sound_of(*OTHERS))
    assert one.confidence == 1.0
    assert one.sounding().tolist() == [True]
    none = MotionAgreement()(masks[:0], frames, TIMES.tolist(), sound_of(*BURSTS))
    assert none.confidence == 0.0
    assert none.sounding().tolist() == []


def test_the_order_of_instances_and_the_size_of_frames_do_not_matter() -> None:
    frames, masks = clip()
    sound, times = sound_of(*BURSTS), TIMES.tolist()
    straight = MotionAgreement()(masks, frames, times, sound)
    turned = MotionAgreement()(masks.flip(0), frames, times, sound)
    assert turned.scores.flip(0).tolist() == pytest.approx(straight.scores.tolist())
    twice = torch.nn.functional.interpolate(frames, scale_factor=2, mode="bilinear").clamp(0, 1)
    larger = MotionAgreement()(masks, twice, times, sound)
    assert larger.scores.tolist() == pytest.approx(straight.scores.tolist(), abs=0.15)


def test_label_maps_of_any_segmenter() -> None:
    frames, masks = clip()
    labels = (masks[0] * 7 + masks[1] * 3).byte()
    ids, found = masks_of_labels(labels)
    assert ids == (3, 7)
    scores = MotionAgreement()(found, frames, TIMES.tolist(), sound_of(*BURSTS))
    assert ids[int(scores.scores.argmax())] == 7
    assert masks_of_labels(np.zeros((4, 5), dtype=int))[1].shape == (0, 4, 5)
    with pytest.raises(ShapeError, match=re.escape("(H, W) or (T, H, W) of whole numbers")):
        masks_of_labels(np.zeros((4, 5)))


def test_confidence_is_even_where_nothing_differs_and_grows_with_the_difference() -> None:
    assert confidence_of(np.array([0.3, 0.3, 0.3]), 40, 1.0) == pytest.approx(1 / 3)
    few, many = (confidence_of(np.array([0.6, 0.2]), n, 1.0) for n in (9, 40))
    assert 0.5 < few < many < 1
    assert confidence_of(np.array([1.0, 0.0]), 40, 0.0) == 0.5


def test_a_long_track_is_read_where_it_is_asked_about() -> None:
    frames, masks = clip()
    sound, read = sound_of(*BURSTS), []
    expected = MotionAgreement()(masks, frames, TIMES.tolist(), sound)

    class Long(Audio):
        """The sound after an hour of something else."""

        @property
        def num_samples(self) -> int:
            return 3_602 * RATE

        def read(self, start: int, stop: int) -> NDArray[np.float32]:
            read.append((start, stop))
            return super().read(start - 3_600 * RATE, stop - 3_600 * RATE)

    times = (TIMES + 3_600).tolist()
    found = MotionAgreement()(masks, frames, times, Long(sound.samples, RATE))
    torch.testing.assert_close(found.scores, expected.scores, atol=0.02, rtol=0)
    assert all(stop - start < 3 * RATE for start, stop in read)


def test_a_keyframe_model_gives_it_the_frames_and_the_sound_that_it_gets() -> None:
    scorer = MotionAgreement()
    frames, masks = clip()
    chosen = range(0, COUNT, 2)  # 20 frames 0.1 s apart, as `surroundings` asks for
    times = times_around(scorer.surroundings, scorer.window_s)
    assert times[0] == 2.0
    assert len(times) == len(chosen)
    window = Audio(np.concatenate([np.zeros(2 * RATE), sound_of(*BURSTS).samples]), RATE)
    found = scorer(masks[:, 0], frames[list(chosen)], times, window)
    assert found.sounding().tolist() == [True, False]


def test_sound_outside_the_track_is_none() -> None:
    heard = sound_energy(sound_of(0.0), np.array([-1.0, -0.5, -0.1, 0.1, 5.0, 6.0]))
    assert heard[[0, 1, 4]].tolist() == [0, 0, 0]
    assert (heard[[2, 3]] > 0).all()


@dataclass
class Found:
    word: str
    mask: Tensor


def test_of_a_words_instances_those_that_sound_are_kept() -> None:
    frames, masks = clip()
    dogs = [Found("dog", mask) for mask in masks[:, 0]]
    instances = [dogs[1], Found("cat", masks[1, 0]), dogs[0]]
    given = (frames, TIMES.tolist(), sound_of(*BURSTS))
    assert sounding_instances(instances, None, *given) == instances
    kept = sounding_instances(instances, MotionAgreement(), *given)
    assert [one is other for one, other in zip(kept, instances[1:], strict=True)] == [True] * 2
    assert sounding_instances([], MotionAgreement(), *given) == []
    unsure = MotionAgreement(sharpness=0)
    assert len(sounding_instances(instances, unsure, *given, least_confidence=0.9)) == 3

    def too_few(*_: object) -> InstanceScores:
        return InstanceScores(torch.zeros(1), 0.5)

    with pytest.raises(ModelOutputError, match="with 2 scores, one for each instance of 'dog'"):
        sounding_instances(instances, too_few, *given)


@pytest.mark.parametrize(
    ("changed", "error", "told"),
    [
        ({"masks": torch.zeros(2, 3, 12, 16)}, ShapeError, "masks of 3 frames were given for 8"),
        ({"masks": torch.zeros(12, 16)}, ShapeError, "masks must be (N, H, W)"),
        ({"masks": torch.full((2, 12, 16), 3.0)}, ShapeError, "by sigmoid()"),
        ({"masks": torch.full((2, 12, 16), torch.nan)}, ShapeError, "in [0, 1]"),
        ({"masks": [[0]]}, ShapeError, "masks must be"),
        ({"frames": torch.zeros(8, 12, 16)}, ShapeError, "frames must be (T, 3, H, W)"),
        ({"frames": torch.full((8, 3, 12, 16), 255.0)}, ShapeError, "values from 255 to 255"),
        ({"frames": torch.full((8, 3, 12, 16), torch.nan)}, ShapeError, "frames must be"),
        ({"frames": None}, ShapeError, "frames must be"),
        ({"times": [0.1] * 8}, CoPropError, "times_s must be 8 increasing numbers"),
        ({"times": [0.1, 0.2]}, CoPropError, "times_s must be 8 increasing numbers"),
        ({"times": ["a"] * 8}, CoPropError, "times_s must be an array of numbers"),
        ({"times": [*range(7), np.inf]}, CoPropError, "times_s must be 8 increasing numbers"),
        ({"sound": None}, CoPropError, "sound"),
        ({"sound": torch.tensor([torch.nan])}, CoPropError, "sound"),
    ],
)
def test_what_cannot_be_used_is_said(
    changed: dict[str, object], error: type[Exception], told: str
) -> None:
    given: dict[str, object] = {
        "masks": torch.zeros(2, 12, 16),
        "frames": torch.zeros(8, 3, 12, 16),
        "times": list(range(8)),
        "sound": sound_of(0.0),
    }
    with pytest.raises(error, match=re.escape(told)):
        MotionAgreement()(*(given | changed).values())  # type: ignore[arg-type]


def test_what_a_scorer_must_not_return_is_said() -> None:
    with pytest.raises(ModelOutputError, match="scores must be"):
        InstanceScores(torch.zeros(2, 2), 0.5)
    with pytest.raises(ModelOutputError, match="scores must lie"):
        InstanceScores(torch.tensor([0.5, torch.nan]), 0.5)
    with pytest.raises(ModelOutputError, match="confidence must be"):
        InstanceScores(torch.zeros(2), 1.5)
    with pytest.raises(CoPropError, match="sharpness must be"):
        MotionAgreement(sharpness=-1)
    with pytest.raises(CoPropError, match="least_confidence must be"):
        InstanceScores(torch.zeros(2), 0.5).sounding(2)
    assert issubclass(AudioError, CoPropError)
