"""J and F of classes against the official figures, and against loops over frames and classes."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from metric_samples import GOLDEN, SEMANTIC, few, golden_labels

from coprop.errors import CoPropError
from coprop.metrics.functional import (
    class_counts,
    frame_class_counts,
    mean_over_classes,
    semantic_sums,
    sums_of_counts,
)

Frames = tuple[np.ndarray, np.ndarray]

labelled = st.integers(1, 4).flatmap(
    lambda n: st.tuples(
        *[arrays(np.uint8, (n, 2, 3), elements=st.integers(0, 3)) for _ in ("labels", "target")]
    )
)


def slow_sums(labels: np.ndarray, target: np.ndarray, classes: int) -> list[list[float]]:
    """J, F and frames of each class, from precision and recall."""
    rows = [[0.0, 0.0, 0.0] for _ in range(classes)]
    for found, wanted in zip(labels, target, strict=True):
        for label, row in enumerate(rows):
            both = int(((found == label) & (wanted == label)).sum())
            either = int(((found == label) | (wanted == label)).sum())
            if not either:
                continue
            row[0] += both / either
            row[2] += 1
            if both:
                precision, recall = both / (found == label).sum(), both / (wanted == label).sum()
                row[1] += 1.3 * precision * recall / (0.3 * precision + recall)
    return rows


@pytest.mark.parametrize("case", SEMANTIC)
class TestGolden:
    def test_sums(self, case: str) -> None:
        sums = semantic_sums(*golden_labels(case), 7)
        # Upstream adds up in float32, so sums of twenty frames differ in the seventh digit.
        np.testing.assert_allclose(sums.jaccard.numpy(), GOLDEN[f"{case}/iou_sum"], rtol=1e-6)
        np.testing.assert_allclose(sums.f_measure.numpy(), GOLDEN[f"{case}/f_sum"], rtol=1e-6)
        assert sums.frames.tolist() == GOLDEN[f"{case}/cls_count"].tolist()

    def test_classes(self, case: str) -> None:
        sums = semantic_sums(*golden_labels(case), 7)
        expected = GOLDEN[f"{case}/miou_pc"]
        np.testing.assert_allclose(sums.jaccard_per_class.numpy(), expected, atol=1e-6)
        expected = GOLDEN[f"{case}/f_pc"]
        np.testing.assert_allclose(sums.f_measure_per_class.numpy(), expected, atol=1e-6)

    @pytest.mark.parametrize(
        ("field", "arguments"),
        [
            ("miou", {}),
            ("miou_noBg_last_dropped", {"classes": "last_dropped"}),
            ("miou_true_noBg", {"classes": "true_no_background"}),
            ("miou_seen_only", {"include_unseen": False}),
        ],
    )
    def test_mean_jaccard(self, case: str, field: str, arguments: dict[str, object]) -> None:
        score = semantic_sums(*golden_labels(case), 7).mean_jaccard(**arguments)
        assert float(score) == pytest.approx(float(GOLDEN[f"{case}/{field}"]), abs=1e-6)

    @pytest.mark.parametrize(
        ("field", "arguments"), [("f", {}), ("f_noBg_last_dropped", {"classes": "last_dropped"})]
    )
    def test_mean_f_measure(self, case: str, field: str, arguments: dict[str, object]) -> None:
        score = semantic_sums(*golden_labels(case), 7).mean_f_measure(**arguments)
        assert float(score) == pytest.approx(float(GOLDEN[f"{case}/{field}"]), abs=1e-6)

    def test_over_the_whole_dataset(self, case: str) -> None:
        counts = class_counts(*golden_labels(case), 7)
        expected = GOLDEN[f"{case}/dataset_iou"]
        np.testing.assert_allclose(counts.jaccard_per_class.numpy(), expected, atol=1e-6)
        j, f = float(GOLDEN[f"{case}/dataset_miou"]), float(GOLDEN[f"{case}/dataset_f"])
        assert float(counts.mean_jaccard()) == pytest.approx(j, abs=6e-5)
        assert float(counts.mean_f_measure()) == pytest.approx(f, abs=6e-5)


class TestDefinitions:
    @few
    @given(labelled)
    def test_equals_the_loop(self, frames: Frames) -> None:
        sums = semantic_sums(*map(torch.from_numpy, frames), 4)
        rows = torch.stack([sums.jaccard, sums.f_measure, sums.frames.double()], dim=1)
        np.testing.assert_allclose(rows.numpy(), slow_sums(*frames, 4), atol=1e-12)

    @few
    @given(labelled)
    def test_frames_add_up(self, frames: Frames) -> None:
        labels, target = map(torch.from_numpy, frames)
        single = [(p[None], t[None], 4) for p, t in zip(labels, target, strict=True)]
        sums, whole = [semantic_sums(*frame) for frame in single], semantic_sums(labels, target, 4)
        total = sum(sums[1:], sums[0])
        assert torch.allclose(total.jaccard, whole.jaccard, atol=1e-12)
        assert torch.allclose(total.f_measure, whole.f_measure, atol=1e-12)
        assert torch.equal(total.frames, whole.frames)
        counts, expected = [class_counts(*f) for f in single], class_counts(labels, target, 4)
        added = sum(counts[1:], counts[0])
        for name in ("intersection", "predicted", "target"):
            assert torch.equal(getattr(added, name), getattr(expected, name))

    @few
    @given(labelled)
    def test_counted_frames_give_the_same_sums(self, frames: Frames) -> None:
        labels, target = map(torch.from_numpy, frames)
        again = sums_of_counts(*frame_class_counts(labels, target, 4))
        assert torch.equal(again.jaccard, semantic_sums(labels, target, 4).jaccard)

    def test_one_stray_pixel_adds_a_frame_of_score_zero(self) -> None:
        target = torch.zeros(2, 4, 4, dtype=torch.uint8)
        target[0, :2] = 1
        labels = target.clone()
        labels[1, 0, 0] = 1
        assert semantic_sums(target, target, 2).jaccard_per_class.tolist() == [1.0, 1.0]
        assert semantic_sums(labels, target, 2).jaccard_per_class[1] == 0.5
        assert class_counts(labels, target, 2).jaccard_per_class[1] == 8 / 9

    @pytest.mark.parametrize(
        ("classes", "include_unseen", "expected"),
        [
            ("all", True, 0.3),
            ("all", False, 0.4),
            ("last_dropped", True, 0.4),
            ("true_no_background", True, 0.4 / 3),
            ("true_no_background", False, 0.2),
        ],
    )
    def test_means(self, classes: str, include_unseen: bool, expected: float) -> None:
        per_class, seen = torch.tensor([0.8, 0.4, 0, 0]), torch.tensor([True, True, True, False])
        score = mean_over_classes(per_class, seen, classes, include_unseen)
        assert float(score) == pytest.approx(expected)

    def test_where_there_is_nothing_to_average(self) -> None:
        nothing = torch.zeros(1, 2, 2, dtype=torch.uint8)
        sums = semantic_sums(nothing, nothing, 3)
        options = {"classes": "true_no_background", "include_unseen": False}
        assert math.isnan(sums.mean_jaccard(**options))
        assert math.isnan(mean_over_classes(torch.zeros(2), torch.zeros(2).bool()))


class TestBadInput:
    @pytest.mark.parametrize("score", [semantic_sums, class_counts])
    @pytest.mark.parametrize(
        ("labels", "target", "classes", "message"),
        [
            (torch.zeros(1, 2, 2), torch.zeros(1, 2, 2).int(), 3, "argmax"),
            (torch.zeros(1, 2, 2).int(), torch.zeros(1, 2, 2), 3, "target must be integers"),
            (torch.full((1, 2, 2), 3), torch.zeros(1, 2, 2).int(), 3, "0 to 2, got 3 to 3"),
            (torch.zeros(1, 2, 2).int(), torch.full((1, 2, 2), 255), 3, "ignored"),
            (torch.full((1, 2, 2), -1), torch.zeros(1, 2, 2).int(), 3, "0 to 2"),
            (torch.zeros(1, 2, 2).int(), torch.zeros(1, 2, 3).int(), 3, "one shape"),
            (torch.zeros(2, 2).int(), torch.zeros(2, 2).int(), 3, r"\(N, H, W\)"),
            (torch.zeros(0, 2, 2).int(), torch.zeros(0, 2, 2).int(), 3, "at least one frame"),
            (torch.zeros(1, 2, 2).int(), torch.zeros(1, 2, 2).int(), 0, "num_classes"),
        ],
    )
    def test_labels(
        self,
        score: Callable[..., object],
        labels: torch.Tensor,
        target: torch.Tensor,
        classes: int,
        message: str,
    ) -> None:
        with pytest.raises(CoPropError, match=message):
            score(labels, target, classes)

    def test_selection_of_classes(self) -> None:
        labels = torch.zeros(1, 2, 2, dtype=torch.uint8)
        with pytest.raises(CoPropError, match="classes must be one of"):
            semantic_sums(labels, labels, 2).mean_jaccard(classes="noBg")
