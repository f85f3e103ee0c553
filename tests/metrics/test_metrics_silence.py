"""What is masked in silence or by a wrong sound, and what muting takes away."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from metric_samples import few, scored_frames
from torch import Tensor

from coprop.errors import CoPropError
from coprop.metrics.functional import (
    false_area,
    frame_jaccard,
    mute_drop,
    silent_area,
    sounding_jaccard,
)


class TestSilentArea:
    @few
    @given(scored_frames())
    def test_equals_counting_pixels(self, frames: tuple[Tensor, Tensor]) -> None:
        prediction, target = frames[0] > 0.5, frames[1]
        expected = [
            sum(p.flatten().tolist()) / p.numel()
            for p, t in zip(prediction, target, strict=True)
            if not any(t.flatten().tolist())
        ]
        assert silent_area(prediction, target).tolist() == pytest.approx(expected)

    @few
    @given(scored_frames())
    def test_is_what_the_official_score_takes_off(self, frames: tuple[Tensor, Tensor]) -> None:
        silent = ~frames[1].flatten(1).any(1)
        score = 1 - frame_jaccard(*frames)[silent]
        area = silent_area(frames[0] > 0.5, frames[1])
        assert torch.allclose(score, area, atol=1e-6)

    @pytest.mark.parametrize(
        ("prediction", "target", "message"),
        [
            (torch.zeros(1, 2, 2), torch.zeros(1, 2, 2).bool(), "threshold"),
            (torch.zeros(1, 2, 2).bool(), torch.zeros(1, 2, 2), "target must be"),
            (torch.zeros(1, 2, 2).bool(), torch.zeros(1, 2, 3).bool(), "one shape"),
            (torch.zeros(0, 2, 2).bool(), torch.zeros(0, 2, 2).bool(), "at least one frame"),
        ],
    )
    def test_bad_input(self, prediction: Tensor, target: Tensor, message: str) -> None:
        with pytest.raises(CoPropError, match=message):
            silent_area(prediction, target)


class TestFalseArea:
    @few
    @given(scored_frames())
    def test_equals_counting_pixels(self, frames: tuple[Tensor, Tensor]) -> None:
        expected = [sum(p.flatten().tolist()) / p.numel() for p in frames[0] > 0.5]
        assert false_area(frames[0] > 0.5).tolist() == pytest.approx(expected)

    @few
    @given(scored_frames())
    def test_is_the_silent_area_where_nothing_is_to_be_masked(
        self, frames: tuple[Tensor, Tensor]
    ) -> None:
        prediction = frames[0] > 0.5
        nothing = torch.zeros_like(prediction)
        assert torch.equal(false_area(prediction), silent_area(prediction, nothing))
        official = 1 - frame_jaccard(frames[0], nothing)
        assert torch.allclose(false_area(prediction), official, atol=1e-6)

    @pytest.mark.parametrize(
        ("prediction", "message"),
        [
            (torch.zeros(1, 2, 2), "threshold"),
            (torch.zeros(2, 2).bool(), "3 dimensions"),
            (torch.zeros(0, 2, 2).bool(), "at least one frame"),
        ],
    )
    def test_bad_input(self, prediction: Tensor, message: str) -> None:
        with pytest.raises(CoPropError, match=message):
            false_area(prediction)


class TestSoundingJaccard:
    @few
    @given(scored_frames())
    def test_equals_counting_pixels(self, frames: tuple[Tensor, Tensor]) -> None:
        expected = []
        for soft, wanted in zip(*frames, strict=True):
            found = {i for i, p in enumerate(soft.flatten().tolist()) if p > 0.5}
            true = {i for i, t in enumerate(wanted.flatten().tolist()) if t}
            if true:
                expected.append(len(found & true) / len(found | true))
        assert sounding_jaccard(*frames).tolist() == pytest.approx(expected, abs=1e-6)

    def test_silent_frames_do_not_count(self) -> None:
        target = torch.zeros(2, 2, 4, dtype=torch.bool)
        target[1, :, :2] = True
        mask = torch.zeros(2, 2, 4)
        mask[:, 0] = 1
        assert sounding_jaccard(mask, target).tolist() == pytest.approx([2 / 6])
        assert sounding_jaccard(mask[:1], target[:1]).tolist() == []


class TestMuteDrop:
    def test_models_that_hear_and_models_that_do_not(self) -> None:
        target = torch.zeros(3, 2, 4, dtype=torch.bool)
        target[0, :, :2] = target[2, 0] = True
        hears, nothing = target.float(), torch.zeros(3, 2, 4)
        assert mute_drop(hears, nothing, target).tolist() == pytest.approx([1.0, 1.0])
        assert mute_drop(hears, hears, target).tolist() == [0.0, 0.0]
        assert mute_drop(nothing, hears, target).tolist() == pytest.approx([-1.0, -1.0])

    def test_silent_frames_do_not_count(self) -> None:
        nothing = torch.zeros(2, 2, 2)
        assert mute_drop(nothing, nothing + 1, nothing > 0).tolist() == []

    def test_bad_input(self) -> None:
        frame, target = torch.zeros(1, 2, 2), torch.zeros(1, 2, 2).bool()
        for bad in (frame - 1, frame[:, :1], frame.int()):
            with pytest.raises(CoPropError):
                mute_drop(frame, bad, target)
            with pytest.raises(CoPropError):
                mute_drop(bad, frame, target)
