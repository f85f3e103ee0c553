"""F against the benchmark's own figures, and against one comparison for every threshold."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from metric_samples import BINARY, GOLDEN, few, golden_frames, scored_frames
from torch import Tensor

from coprop.errors import CoPropError
from coprop.metrics.functional import (
    batch_f_measures,
    f_curves,
    f_measure,
    f_measure_of_curves,
    frame_f_measure,
    threshold_counts,
)

THRESHOLDS = torch.linspace(0, 1 - 1e-10, 255).numpy()


def slow_curve(frame: np.ndarray, wanted: np.ndarray) -> list[float]:
    """One comparison for every threshold, precision and recall as they are defined."""
    curve = []
    for threshold in THRESHOLDS:
        mask = frame >= threshold
        both, found = int((mask & wanted).sum()), int(mask.sum())
        precision, recall = (both / found if found else 0.0), both / int(wanted.sum())
        bottom = 0.3 * precision + recall
        curve.append(1.3 * precision * recall / bottom if bottom else 0.0)
    return curve


def slow_f_measure(probabilities: Tensor, target: Tensor, size: int) -> float:
    """Batch by batch and frame by frame."""
    frames = list(zip(probabilities.numpy(), target.numpy(), strict=True))
    scores = []
    for first in range(0, len(frames), size):
        curves = [slow_curve(p, t) for p, t in frames[first : first + size] if t.any()]
        scores.append(max(map(float, np.mean(curves, axis=0))) if curves else 0.0)
    return sum(scores) / len(scores)


class TestGolden:
    @pytest.mark.parametrize("case", BINARY)
    def test_one_batch_and_single_frames(self, case: str) -> None:
        frames = golden_frames(case)
        score = float(f_measure(*frames, frames_per_batch=None))
        assert score == pytest.approx(float(GOLDEN[f"{case}/fmeasure"]), abs=1e-6)
        expected = GOLDEN[f"{case}/fmeasure_per_frame"]
        np.testing.assert_allclose(frame_f_measure(*frames).numpy(), expected, atol=1e-6)

    @pytest.mark.parametrize("case", BINARY)
    def test_precision_and_recall_at_every_threshold(self, case: str) -> None:
        counts = threshold_counts(*golden_frames(case))
        precision = counts.intersection / counts.predicted.clamp(min=1)
        recall = counts.intersection / counts.target.clamp(min=1)[:, None]
        np.testing.assert_allclose(precision.numpy(), GOLDEN[f"{case}/prec"], atol=1e-6)
        np.testing.assert_allclose(recall.numpy(), GOLDEN[f"{case}/recall"], atol=1e-6)

    @pytest.mark.parametrize("size", [1, 5, 10, 20])
    def test_the_size_of_batches(self, size: int) -> None:
        score = float(f_measure(*golden_frames("agg"), frames_per_batch=size))
        assert score == pytest.approx(float(GOLDEN[f"agg/F_frames_per_batch_{size}"]), abs=1e-6)

    @pytest.mark.parametrize("case", [*BINARY, "agg"])
    def test_over_the_whole_dataset(self, case: str) -> None:
        score = float(f_measure(*golden_frames(case), protocol="dataset"))
        assert score == pytest.approx(float(GOLDEN[f"{case}/dataset_f"]), abs=6e-5)


class TestDefinitions:
    @few
    @given(scored_frames(), st.integers(1, 5))
    def test_equals_comparing_with_every_threshold(
        self, frames: tuple[Tensor, Tensor], size: int
    ) -> None:
        score = float(f_measure(*frames, frames_per_batch=size))
        assert score == pytest.approx(slow_f_measure(*frames, size), abs=1e-9)
        assert 0 <= score <= 1

    @few
    @given(scored_frames(most=6), st.integers(1, 5), st.permutations(range(6)))
    def test_single_frames_depend_neither_on_the_split_nor_on_the_order(
        self, frames: tuple[Tensor, Tensor], first: int, order: list[int]
    ) -> None:
        kept = [i for i in order if i < len(frames[0])]
        total = 0.0
        for part in filter(None, (kept[:first], kept[first:])):
            total += len(part) * float(f_measure(frames[0][part], frames[1][part]))
        whole = float(f_measure(*frames))
        assert total / len(kept) == pytest.approx(whole, abs=1e-12)
        assert whole == pytest.approx(float(frame_f_measure(*frames).mean()), abs=1e-12)

    @few
    @given(scored_frames(most=6), st.integers(1, 4))
    def test_curves_of_clips_can_be_joined(self, frames: tuple[Tensor, Tensor], size: int) -> None:
        curves = torch.cat([f_curves(p[None], t[None]) for p, t in zip(*frames, strict=True)])
        joined = f_measure_of_curves(curves, frames_per_batch=size)
        assert float(joined) == float(f_measure(*frames, frames_per_batch=size))

    def test_the_truth_scores_one(self) -> None:
        target = torch.zeros(2, 3, 4, dtype=torch.bool)
        target[:, 1] = True
        for arguments in ({}, {"frames_per_batch": None}, {"protocol": "dataset"}):
            assert float(f_measure(target.float(), target, **arguments)) == 1.0

    def test_batches_without_target_are_averaged_and_frames_without_are_not(self) -> None:
        target = torch.zeros(3, 2, 2, dtype=torch.bool)
        target[0, 0] = True
        frames = target.float(), target
        assert frame_f_measure(*frames).tolist() == [1.0, 0.0, 0.0]
        assert float(f_measure(*frames)) == pytest.approx(1 / 3)
        # The last batch is one frame, and weighs as much as the first, of two.
        assert batch_f_measures(f_curves(*frames), frames_per_batch=2).tolist() == [1.0, 0.0]
        assert float(f_measure(*frames, frames_per_batch=2)) == 0.5
        assert float(f_measure(*frames, frames_per_batch=None)) == 1.0

    def test_frames_without_target_have_no_curve(self) -> None:
        target = torch.tensor([[[True, False]], [[False, False]]])
        curves = f_curves(target.float(), target)
        assert curves.shape == (2, 255)
        assert not curves[0].isnan().any()
        assert curves[1].isnan().all()

    def test_thresholds_are_inclusive_and_the_last_is_one(self) -> None:
        frame = torch.tensor([[[1.0, 1 - 2**-24, 0.5, 0.0]]])
        predicted = threshold_counts(frame, frame > 2).predicted[0].tolist()
        assert predicted[0] == 4  # at the threshold 0 everything is foreground
        assert (predicted[127], predicted[128]) == (3, 2)  # the threshold in the middle is 0.5
        assert predicted[254] == 1

    def test_an_empty_prediction_scores_as_if_it_were_full(self) -> None:
        """The threshold 0 marks every pixel; upstream does so too."""
        target = torch.zeros(1, 4, 5, dtype=torch.bool)
        target[0, 0] = True
        nothing, everything = torch.zeros(1, 4, 5), torch.ones(1, 4, 5)
        expected = pytest.approx(1.3 * 5 / (0.3 * 5 + 20))
        assert float(f_measure(nothing, target)) == expected
        assert float(f_measure(everything, target)) == expected

    def test_the_dataset_score_is_taken_at_one_half(self) -> None:
        target = torch.tensor([[[True, True, False, False]]])
        probabilities = torch.tensor([[[0.51, 0.5, 0.2, 0.7]]])
        # One pixel each of both, missed, neither and stray, so F is one half in both classes.
        assert float(f_measure(probabilities, target, protocol="dataset")) == pytest.approx(0.5)

    def test_a_dataset_without_foreground_is_scored_by_its_background(self) -> None:
        nothing = torch.zeros(2, 3, 3)
        assert float(f_measure(nothing, nothing > 0, protocol="dataset")) == pytest.approx(1)


class TestBadInput:
    @pytest.mark.parametrize("size", [0, -1])
    def test_size_of_batches(self, size: int) -> None:
        frames = torch.zeros(1, 2, 2), torch.zeros(1, 2, 2).bool()
        with pytest.raises(CoPropError, match="frames_per_batch must be 1 or more"):
            f_measure(*frames, frames_per_batch=size)

    def test_protocol(self) -> None:
        frames = torch.zeros(1, 2, 2), torch.zeros(1, 2, 2).bool()
        with pytest.raises(CoPropError, match="protocol must be one of"):
            f_measure(*frames, protocol="strict")
        with pytest.raises(CoPropError, match="leave it out"):
            f_measure(*frames, protocol="dataset", frames_per_batch=5)

    @pytest.mark.parametrize("shape", [(255,), (0, 255)])
    def test_curves(self, shape: tuple[int, ...]) -> None:
        with pytest.raises(CoPropError, match="curves must have"):
            f_measure_of_curves(torch.zeros(shape))
