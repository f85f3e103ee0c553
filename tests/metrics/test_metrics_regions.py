"""J against the benchmark's and CAVP's own figures, and against counting pixels."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from metric_samples import BINARY, GOLDEN, few, golden_frames, scored_frames
from torch import Tensor

from coprop.errors import CoPropError
from coprop.metrics.functional import (
    binary_class_counts,
    f_measure,
    frame_f_measure,
    frame_jaccard,
    jaccard,
    region_counts,
    threshold_counts,
)

PROTOCOLS = ["avsbench", "dataset", "strict"]


def counted(probabilities: Tensor, target: Tensor) -> list[tuple[int, int, int, int]]:
    """Both, either, predicted and wanted of each frame, pixel by pixel."""
    rows = []
    for frame, mask in zip(probabilities, target, strict=True):
        both = either = predicted = wanted = 0
        for p, t in zip(frame.flatten().tolist(), mask.flatten().tolist(), strict=True):
            both += p > 0.5 and bool(t)
            either += p > 0.5 or bool(t)
            predicted += p > 0.5
            wanted += bool(t)
        rows.append((both, either, predicted, wanted))
    return rows


def slow_jaccard(probabilities: Tensor, target: Tensor, protocol: str) -> float:
    """The definitions of the protocols, in words of counts."""
    rows, pixels = counted(probabilities, target), target[0].numel()
    if protocol == "dataset":
        both, either = sum(r[0] for r in rows), sum(r[1] for r in rows)
        neither, not_both = pixels * len(rows) - either, pixels * len(rows) - both
        foreground = both / either if either else 0
        background = neither / not_both if not_both else 0
        return (foreground + background) / 2
    scores = []
    for both, either, predicted, wanted in rows:
        if wanted:
            scores.append(both / either)
        elif protocol == "strict":
            scores.append(float(predicted == 0))
        else:
            scores.append((pixels - predicted) / pixels)
    return sum(scores) / len(scores)


class TestGolden:
    @pytest.mark.parametrize("case", BINARY)
    def test_frames_and_their_mean(self, case: str) -> None:
        frames = golden_frames(case)
        expected = GOLDEN[f"{case}/mask_iou_per_frame"]
        np.testing.assert_allclose(frame_jaccard(*frames).numpy(), expected, atol=1e-6)
        score = float(jaccard(*frames, protocol="avsbench"))
        assert score == pytest.approx(float(GOLDEN[f"{case}/mask_iou"]), abs=1e-6)

    @pytest.mark.parametrize("size", [1, 5, 10, 20])
    def test_mean_over_batches(self, size: int) -> None:
        score = float(jaccard(*golden_frames("agg"), protocol="avsbench"))
        expected = float(GOLDEN[f"agg/miou_frames_per_batch_{size}"])
        assert score == pytest.approx(expected, abs=1e-6)

    @pytest.mark.parametrize("case", [*BINARY, "agg"])
    def test_over_the_whole_dataset(self, case: str) -> None:
        frames = golden_frames(case)
        per_class = binary_class_counts(*frames).jaccard_per_class
        np.testing.assert_allclose(per_class.numpy(), GOLDEN[f"{case}/dataset_iou"], atol=1e-6)
        score = float(jaccard(*frames, protocol="dataset"))
        assert score == pytest.approx(float(GOLDEN[f"{case}/dataset_miou"]), abs=6e-5)


class TestDefinitions:
    @few
    @given(scored_frames(), st.sampled_from(PROTOCOLS))
    def test_equals_counting_pixels(self, frames: tuple[Tensor, Tensor], protocol: str) -> None:
        score = float(jaccard(*frames, protocol=protocol))
        assert score == pytest.approx(slow_jaccard(*frames, protocol), abs=2e-7)
        assert 0 <= score <= 1

    @few
    @given(scored_frames())
    def test_counts(self, frames: tuple[Tensor, Tensor]) -> None:
        counts = region_counts(*frames)
        assert {count.dtype for count in counts} == {torch.int64}
        assert list(zip(*(count.tolist() for count in counts), strict=True)) == counted(*frames)

    @few
    @given(scored_frames())
    def test_counts_add_up_to_the_dataset_score(self, frames: tuple[Tensor, Tensor]) -> None:
        parts = [binary_class_counts(p[None], t[None]) for p, t in zip(*frames, strict=True)]
        total = sum(parts[1:], parts[0])
        assert float(total.mean_jaccard()) == float(jaccard(*frames, protocol="dataset"))
        assert float(total.mean_f_measure()) == float(f_measure(*frames, protocol="dataset"))

    @few
    @given(scored_frames(), st.permutations(range(4)), st.sampled_from(PROTOCOLS))
    def test_order_does_not_matter(
        self, frames: tuple[Tensor, Tensor], order: list[int], protocol: str
    ) -> None:
        kept = [i for i in order if i < len(frames[0])]
        shuffled = float(jaccard(frames[0][kept], frames[1][kept], protocol=protocol))
        assert shuffled == pytest.approx(float(jaccard(*frames, protocol=protocol)), abs=1e-12)

    @pytest.mark.parametrize("protocol", PROTOCOLS)
    def test_the_truth_scores_one(self, protocol: str) -> None:
        target = torch.zeros(3, 4, 5, dtype=torch.uint8)
        target[0, 1], target[2, :, 2] = 3, 1
        score = jaccard((target > 0).float(), target, protocol=protocol)
        assert float(score) == pytest.approx(1, abs=1e-7)

    def test_half_is_background(self) -> None:
        frame = torch.full((1, 2, 2), 0.5)
        assert region_counts(frame, frame > 0).predicted.tolist() == [0]

    def test_frames_without_target(self) -> None:
        """A mask over a tenth of a silent frame costs a tenth officially, and strictly all."""
        probabilities, target = torch.zeros(2, 10, 10), torch.zeros(2, 10, 10, dtype=torch.bool)
        probabilities[0, 0] = 1
        assert frame_jaccard(probabilities, target).tolist() == pytest.approx([0.9, 1.0])
        assert frame_jaccard(probabilities, target, empty="strict").tolist() == [0.0, 1.0]

    def test_large_regions_weigh_more_in_the_dataset_score(self) -> None:
        target = torch.zeros(2, 1, 8, dtype=torch.bool)
        target[0, 0, :6] = target[1, 0, :2] = True
        probabilities = torch.zeros(2, 1, 8)
        probabilities[0, 0, :6] = 1
        # Foreground 6 of 8, background 8 of 10; frame by frame it would be 1 and 0.
        assert float(jaccard(probabilities, target, protocol="dataset")) == (6 / 8 + 8 / 10) / 2
        assert float(jaccard(probabilities, target, protocol="strict")) == 0.5


def test_half_precision_counts_as_the_values_it_holds() -> None:
    probabilities, target = golden_frames("noisy_good")
    low = probabilities.half()
    assert torch.equal(frame_jaccard(low, target), frame_jaccard(low.float(), target))
    assert torch.equal(frame_f_measure(low, target), frame_f_measure(low.float(), target))


@pytest.mark.parametrize(
    "score",
    [
        region_counts,
        frame_jaccard,
        lambda p, t: jaccard(p, t, protocol="avsbench"),
        lambda p, t: jaccard(p, t, protocol="dataset"),
        f_measure,
        lambda p, t: f_measure(p, t, protocol="dataset"),
        frame_f_measure,
        threshold_counts,
        binary_class_counts,
    ],
)
@pytest.mark.parametrize(
    ("probabilities", "target", "message"),
    [
        (torch.full((1, 2, 2), 1.5), torch.zeros(1, 2, 2).bool(), "sigmoid"),
        (torch.full((1, 2, 2), -3.0), torch.zeros(1, 2, 2).bool(), "sigmoid"),
        (torch.tensor([[[0.5, float("nan")]]]), torch.zeros(1, 1, 2).bool(), "NaN"),
        (torch.ones(1, 2, 2).int(), torch.zeros(1, 2, 2).bool(), r"\.float\(\)"),
        (torch.ones(1, 2, 2).bool(), torch.zeros(1, 2, 2).bool(), r"\.float\(\)"),
        (torch.ones(1, 2, 2), torch.zeros(1, 2, 2), "target must be a bool"),
        (torch.ones(1, 2, 2), torch.zeros(1, 2, 3).bool(), "one shape"),
        (torch.ones(1, 2, 2), torch.zeros(2, 2, 2).bool(), "one shape"),
        (torch.ones(2, 2), torch.zeros(2, 2).bool(), r"\(N, H, W\)"),
        (torch.ones(1, 2, 2), torch.zeros(2, 2).bool(), "dimensions"),
        (torch.ones(0, 2, 2), torch.zeros(0, 2, 2).bool(), "at least one frame"),
        (torch.ones(1, 0, 2), torch.zeros(1, 0, 2).bool(), "one pixel"),
    ],
)
def test_bad_input(
    score: Callable[[Tensor, Tensor], object], probabilities: Tensor, target: Tensor, message: str
) -> None:
    with pytest.raises(CoPropError, match=message):
        score(probabilities, target)


def test_unknown_protocols() -> None:
    frames = torch.zeros(1, 2, 2), torch.zeros(1, 2, 2).bool()
    with pytest.raises(CoPropError, match="protocol must be one of"):
        jaccard(*frames, protocol="mIoU")
    with pytest.raises(CoPropError, match="empty must be one of"):
        frame_jaccard(*frames, empty="dataset")


def test_the_benchmark_is_meant_where_no_protocol_is_named() -> None:
    generator = torch.Generator().manual_seed(0)
    soft = torch.rand(3, 8, 9, generator=generator)
    target = torch.rand(3, 8, 9, generator=generator) > 0.6
    target[1] = False
    assert jaccard(soft, target) == jaccard(soft, target, protocol="avsbench")
    assert jaccard(soft, target) != jaccard(soft, target, protocol="strict")
