"""Tracks first, then decide by sound: one loop and the same parts, in the other order."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from coprop import Audio, CoProp, CoPropError, KeyframeSegmenter
from coprop.inference.tracks import HeldMask, Tracks
from coprop.keyframes.audio import AudioEvidence
from coprop.keyframes.candidates import Candidate, candidates_in, overlap
from coprop.keyframes.grounded import GroundedNetwork
from coprop.media.clip import Clip
from coprop.pipeline import WEIGHTS
from coprop.tracks_first import _followed as followed
from coprop.tracks_first import tracks_first
from coprop.types import FrameMask
from pipeline_samples import RATE, Shifter, changes_at, clip_of, left_half

HEIGHT, WIDTH = 12, 16
LEFT, RIGHT = slice(0, 8), slice(8, 16)
FPS = 4


class Still(Shifter):
    """A propagator that leaves masks where they are."""

    def step(
        self,
        frame: Tensor,
        audio: Tensor | None,
        state: Tensor,
        *,
        output_size: tuple[int, int] | None = None,
    ) -> tuple[Tensor, Tensor]:
        return state.clamp(1e-6, 1).log(), state


@pytest.fixture(scope="module")
def default() -> KeyframeSegmenter:
    return KeyframeSegmenter.from_pretrained(WEIGHTS / "keyframe_segmenter")


Seen = Sequence[tuple[slice, dict[str, float]]]
"""Columns of the frame, and what is seen in them; "other" is not recognised."""


class World:
    """The default in a world where what is seen at each anchor, and heard, is known."""

    def __init__(self, segmenter: KeyframeSegmenter, patch: pytest.MonkeyPatch) -> None:
        network = segmenter.network
        assert isinstance(network, GroundedNetwork)
        self.names = network.groups
        self.shown: list[Seen] = []
        self.looks = 0
        patch.setattr(segmenter, "candidates", self.candidates)
        patch.setattr(network.audio, "forward", self.hear)
        self.pipeline = CoProp(segmenter, detector=changes_at(1.0), propagator=Still(), namer=None)

    def candidates(self, frame: Tensor, around: Tensor | None = None) -> tuple[Candidate, ...]:
        seen = self.shown[min(self.looks, len(self.shown) - 1)]
        self.looks += 1
        found = []
        for columns, named in seen:
            soft, groups = torch.full((HEIGHT, WIDTH), 0.02), torch.zeros(len(self.names))
            soft[:, columns] = 0.98
            for name, value in named.items():
                if name != "other":
                    groups[self.names.index(name)] = value
            found.append(Candidate(soft, groups, named.get("other", 0.0)))
        return tuple(found)

    def hear(self, samples: Tensor) -> AudioEvidence:
        """A dog at a level of 0.5, a cat at 0.25, and a tool at 0.75."""
        heard, level = torch.full((1, len(self.names)), 0.001), float(samples.abs().mean())
        name = "tool" if level > 0.6 else "dog" if level > 0.4 else "cat"
        heard[0, self.names.index(name)] = 0.9
        classes = torch.zeros(1, 521)
        return AudioEvidence(heard, classes, torch.zeros(1), torch.tensor([0.9]))

    def masks(self, sound: Audio, count: int = 8, **options: Any) -> NDArray[np.uint8]:
        with Clip(clip_of(count), sound, fps=FPS) as clip:
            points = self.pipeline.detect(clip.audio)
            tracked = tracks_first(self.pipeline, clip, points, **options)
            return np.stack([mask.labels for _, mask in tracked])


@pytest.fixture
def world(default: KeyframeSegmenter, monkeypatch: pytest.MonkeyPatch) -> World:
    return World(default, monkeypatch)


def sound_of(*levels: float) -> Audio:
    """A second at each level."""
    rng = np.random.default_rng(0)
    pieces = [level * rng.choice([-1.0, 1.0], RATE) for level in levels]
    return Audio(np.concatenate(pieces).astype(np.float32), RATE)


def test_the_sound_of_each_segment_chooses_among_the_tracks(world: World) -> None:
    world.shown = [[(LEFT, {"dog": 0.9}), (RIGHT, {"cat": 0.9})]]
    masks = world.masks(sound_of(0.5, 0.25))
    assert world.looks == 1  # 2 s, one anchor: control points are no reason to look
    assert masks[:4, :, LEFT].all()
    assert not masks[:4, :, RIGHT].any()
    assert masks[4:, :, RIGHT].all()
    assert not masks[4:, :, LEFT].any()


def test_where_nothing_is_heard_nothing_is_masked(world: World) -> None:
    world.shown = [[(LEFT, {"dog": 0.9}), (RIGHT, {"cat": 0.9})]]
    masks = world.masks(sound_of(0.5, 0.0, 0.5), count=12)
    assert masks[:4, :, LEFT].all()
    assert not masks[4:8].any()
    assert masks[8:, :, LEFT].all()


def test_a_track_goes_on_where_it_is_not_seen_again(world: World) -> None:
    world.shown = [[(LEFT, {"dog": 0.9})], []]
    masks = world.masks(sound_of(0.5, 0.5), anchor_s=0.5)
    assert world.looks == 4
    assert masks[:, :, LEFT].all()
    assert not masks[:, :, RIGHT].any()


def test_one_thing_by_two_names_is_one_track(world: World) -> None:
    world.shown = [
        [(LEFT, {"dog": 0.4, "cat": 0.5}), (RIGHT, {"cat": 0.9})],
        [(LEFT, {"dog": 0.9}), (RIGHT, {"cat": 0.9})],
    ]
    masks = world.masks(sound_of(0.5, 0.25), anchor_s=1.0)
    assert masks[:4, :, LEFT].all()
    # Seen as a cat once, half as surely, it is no cat beside one that is.
    assert masks[4:, :, RIGHT].all()
    assert not masks[4:, :, LEFT].any()
    with Clip(clip_of(8), sound_of(0.5, 0.25), fps=FPS) as clip:
        world.looks = 0
        tracks = followed(world.pipeline, world.pipeline.segmenter, clip, 1.0, None)  # type: ignore[arg-type]
    assert {number for held in tracks.masks.values() for number in held.ids} == {0, 1}
    assert [len(tracks.seen[number]) for number in (0, 1)] == [2, 2]
    assert [held.is_anchor for held in tracks.masks.values()] == [True, *[False] * 3] * 2


def test_what_comes_into_view_is_a_track_of_its_own(world: World) -> None:
    world.shown = [[(LEFT, {"dog": 0.9})], [(LEFT, {"dog": 0.9}), (RIGHT, {"dog": 0.8})]]
    masks = world.masks(sound_of(0.5, 0.5), anchor_s=1.0)
    assert not masks[:4, :, RIGHT].any()
    assert masks[4:].all()


def test_what_stands_out_sounds_where_nothing_that_is_seen_does(world: World) -> None:
    world.shown = [[(RIGHT, {"other": 0.9})]]
    masks = world.masks(sound_of(0.75, 0.75))
    assert masks[:, :, RIGHT].all()
    assert not masks[:, :, LEFT].any()


@pytest.mark.parametrize("shown", [[], [(LEFT, {"person": 0.9})]])
def test_nothing_is_masked_where_nothing_fits(world: World, shown: Seen) -> None:
    world.shown = [shown]
    assert not world.masks(sound_of(0.5, 0.5)).any()


def test_it_is_told_in_steps_and_by_segments(world: World) -> None:
    told: list[tuple[str, int, int | None]] = []
    world.shown = [[(LEFT, {"dog": 0.9})]]
    with Clip(clip_of(8), sound_of(0.5, 0.25), fps=FPS) as clip:
        points = world.pipeline.detect(clip.audio)
        tracked = tracks_first(
            world.pipeline, clip, points, progress=lambda *step: told.append(step)
        )
        masks = [mask for _, mask in tracked]
    steps = [("tracks", i, 8) for i in range(1, 9)] + [("frames", i, 8) for i in range(1, 9)]
    assert told == steps
    assert [(s.start_s, s.end_s) for s in tracked.segments] == [(0.0, 1.0), (1.0, 2.0)]
    assert [mask.is_keyframe for mask in masks] == [True, *[False] * 7]
    soft = masks[0].probabilities
    assert soft is not None
    np.testing.assert_allclose(soft.sum(0), 1, atol=1e-6)


def test_masks_are_held_to_a_255th() -> None:
    rng = np.random.default_rng(0)
    soft = rng.random((3, 6, 9)).astype(np.float32)
    soft /= soft.sum(0)
    mask = FrameMask(0, 0.0, soft.argmax(0).astype(np.uint8), soft, (0, 1, 2), True)
    held = HeldMask.of(mask, (4, 7))
    for chosen, channels in ((frozenset({7}), [2]), (frozenset({4, 7}), [1, 2])):
        expected = soft[channels].sum(0)
        np.testing.assert_allclose(held.probability(chosen, (6, 9)), expected, atol=0.005)
    assert not held.probability(frozenset({1}), (6, 9)).any()
    assert not HeldMask.of(mask, ()).probability(frozenset({4}), (6, 9)).any()
    assert Tracks().masks == {}


def test_masks_of_large_frames_are_held_small() -> None:
    soft = np.zeros((2, 720, 1280), dtype=np.float32)
    soft[1, 100:500, 200:900] = 1
    soft[0] = 1 - soft[1]
    mask = FrameMask(0, 0.0, soft.argmax(0).astype(np.uint8), soft, (0, 1), True)
    held = HeldMask.of(mask, (3,))
    assert held.size == (270, 480)
    assert len(held.data) < 10_000
    found = held.probability(frozenset({3}), (720, 1280))
    assert found.shape == (720, 1280)
    assert ((found > 0.5) == (soft[1] > 0.5)).mean() > 0.995


def wrapped() -> CoProp:
    def model(frames: Tensor, audio: Tensor) -> Tensor:
        return left_half(frames)

    return CoProp.wrap(model, detector=changes_at(), propagator=Still())


def test_what_it_cannot_do_is_said(world: World) -> None:
    sound = sound_of(0.5, 0.5)
    with Clip(clip_of(8), sound, fps=FPS) as clip:
        points = world.pipeline.detect(clip.audio)
        with pytest.raises(CoPropError, match="for the default segmenter"):
            tracks_first(wrapped(), clip, points)
        for value in (0, -1, float("nan"), "2", None):
            with pytest.raises(CoPropError, match=re.escape("anchor_s must be a number")):
                tracks_first(world.pipeline, clip, points, anchor_s=value)  # type: ignore[arg-type]
    for part in ({}, {"start_s": 0.25}):
        with (
            Clip(iter(clip_of(8)), sound, fps=FPS, **part) as once,
            pytest.raises(CoPropError, match="can be gone through once"),
        ):
            tracks_first(world.pipeline, once, points)


def test_candidates_of_one_place_are_one(default: KeyframeSegmenter) -> None:
    network = default.network
    assert isinstance(network, GroundedNetwork)
    generator = torch.Generator().manual_seed(0)
    frame = torch.rand(1, 3, 64, 96, generator=generator)
    with torch.no_grad():
        found = candidates_in(network, frame, None)
    for i, one in enumerate(found):
        assert one.soft.shape == (16, 24)
        assert bool((one.soft > 0.5).any())
        assert all(overlap(one.soft, other.soft) < 0.5 for other in found[:i])
    for one in default.candidates(frame):
        assert one.soft.shape == (64, 96)
    half, all_of_it = torch.zeros(2, 4), torch.ones(2, 4)
    half[:, 2:] = 1
    assert overlap(half, all_of_it) == 0.5
    assert overlap(torch.zeros(2, 2), torch.zeros(2, 2)) == 0.0
