"""The classes that see clips one after another against the plain functions of all clips at once."""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import torch
from torchmetrics import Metric, MetricCollection

from coprop.errors import CoPropError
from coprop.metrics import (
    AlignmentRate,
    ControlPointScore,
    FalseArea,
    FMeasure,
    Jaccard,
    JaccardNearChanges,
    MuteDrop,
    OffsetError,
    OnsetError,
    SemanticFMeasure,
    SemanticJaccard,
    SilentArea,
    SoundingJaccard,
)
from coprop.metrics import functional as F
from started import Started

Clip = dict[str, Any]

METRICS: dict[str, Callable[[], Metric]] = {
    "J avsbench": lambda: Jaccard("avsbench"),
    "J dataset": lambda: Jaccard("dataset"),
    "J strict": lambda: Jaccard("strict"),
    "J key": lambda: Jaccard("avsbench", selection="key"),
    "J normal": lambda: Jaccard("avsbench", selection="normal"),
    "J near": lambda: JaccardNearChanges(1, "strict"),
    "J near dataset": lambda: JaccardNearChanges(2, "dataset"),
    "F frames": FMeasure,
    "F batches": lambda: FMeasure(frames_per_batch=2),
    "F one batch": lambda: FMeasure(frames_per_batch=None),
    "F dataset": lambda: FMeasure("dataset"),
    "F key": lambda: FMeasure(selection="key"),
    "classes J": lambda: SemanticJaccard(4),
    "classes J no background": lambda: SemanticJaccard(
        4, classes="true_no_background", include_unseen=False
    ),
    "classes J dataset": lambda: SemanticJaccard(4, "dataset"),
    "classes F": lambda: SemanticFMeasure(4),
    "classes F dataset": lambda: SemanticFMeasure(4, "dataset"),
    "alignment identity": lambda: AlignmentRate("identity"),
    "alignment mask": lambda: AlignmentRate("mask"),
    "control points": ControlPointScore,
    "control points, wide": lambda: ControlPointScore(0.5),
    "onsets": OnsetError,
    "onsets, narrow": lambda: OnsetError(limit_s=0.2),
    "offsets": OffsetError,
    "silent area": SilentArea,
    "mute drop": MuteDrop,
    "false area": FalseArea,
    "false area key": lambda: FalseArea(selection="key"),
    "J sounding": SoundingJaccard,
    "J sounding normal": lambda: SoundingJaccard(selection="normal"),
}


def make_clip(seed: int) -> Clip:
    """Random frames, one of them silent, of a random number of frames."""
    generator = torch.Generator().manual_seed(seed)
    count = 3 + seed % 4
    random = lambda *shape: torch.rand(count, *shape, generator=generator)  # noqa: E731
    target = (random(4, 5) * 4).int() * (random(1, 1) > 0.3)
    target[seed % count] = 0
    return {
        "probabilities": random(4, 5),
        "muted": random(4, 5),
        "target": target,
        "labels": (random(4, 5) * 4).byte(),
        "objects": random(2, 4, 5) > 0.7,
        "sounding": random(2) > 0.5,
        "key_frames": random() > 0.5,
        "is_change": random() > 0.5,
        "predicted": random() > 0.5,
        "true": random() > 0.5,
        "times_s": [0.3 * i for i in range(count)],
        "predicted_times": random().tolist(),
        "true_times": random().tolist(),
    }


CLIPS = [make_clip(seed) for seed in range(6)]


def joined(name: str, selection: torch.Tensor | None = None) -> torch.Tensor:
    values = torch.cat([clip[name] for clip in CLIPS])
    return values if selection is None else values[selection]


def after(metric: Metric, clips: list[Clip]) -> Metric:
    for clip in clips:
        metric.update(**metric._filter_kwargs(**clip))
    return metric


def numbers(value: Any) -> list[float]:
    return [float(v) for v in value.values()] if isinstance(value, dict) else [float(value)]


def plain(name: str) -> Any:
    """The value from the plain functions, all clips joined."""
    soft, target, key = joined("probabilities"), joined("target"), joined("key_frames")
    labels, found = joined("labels"), joined("probabilities") > 0.5
    near = [torch.cat([F.near_changes(c["is_change"], k) for c in CLIPS]) for k in (1, 2)]
    sums, counts = F.semantic_sums(labels, target, 4), F.class_counts(labels, target, 4)
    batches = [
        F.batch_f_measures(F.f_curves(c["probabilities"], c["target"]), frames_per_batch=2)
        for c in CLIPS
    ]
    identity = F.aligned_by_identity(found, joined("objects"), joined("sounding"))
    return {
        "J avsbench": lambda: F.jaccard(soft, target, protocol="avsbench"),
        "J dataset": lambda: F.jaccard(soft, target, protocol="dataset"),
        "J strict": lambda: F.jaccard(soft, target, protocol="strict"),
        "J key": lambda: F.jaccard(soft[key], target[key], protocol="avsbench"),
        "J normal": lambda: F.jaccard(soft[~key], target[~key], protocol="avsbench"),
        "J near": lambda: F.jaccard(soft[near[0]], target[near[0]], protocol="strict"),
        "J near dataset": lambda: F.jaccard(soft[near[1]], target[near[1]], protocol="dataset"),
        "F frames": lambda: F.f_measure(soft, target),
        "F batches": lambda: torch.cat(batches).mean(),
        "F one batch": lambda: F.f_measure(soft, target, frames_per_batch=None),
        "F dataset": lambda: F.f_measure(soft, target, protocol="dataset"),
        "F key": lambda: F.f_measure(soft[key], target[key]),
        "classes J": sums.mean_jaccard,
        "classes J no background": lambda: sums.mean_jaccard(
            classes="true_no_background", include_unseen=False
        ),
        "classes J dataset": counts.mean_jaccard,
        "classes F": sums.mean_f_measure,
        "classes F dataset": counts.mean_f_measure,
        "alignment identity": lambda: F.alignment_rate(identity),
        "alignment mask": lambda: F.alignment_rate(F.aligned_by_mask(found, target)),
        "silent area": lambda: F.silent_area(found, target).mean(),
        "mute drop": lambda: F.mute_drop(soft, joined("muted"), target).mean(),
        "false area": lambda: F.false_area(found).mean(),
        "false area key": lambda: F.false_area(found[key]).mean(),
        "J sounding": lambda: F.sounding_jaccard(soft, target).mean(),
        "J sounding normal": lambda: F.sounding_jaccard(soft[~key], target[~key]).mean(),
        "control points": lambda: _points(0.25),
        "control points, wide": lambda: _points(0.5),
        "onsets": lambda: _events("onset", 1.0),
        "onsets, narrow": lambda: _events("onset", 0.2),
        "offsets": lambda: _events("offset", 1.0),
    }[name]()


def _points(tolerance_s: float) -> dict[str, float]:
    counts = [
        F.control_point_counts(c["predicted_times"], c["true_times"], tolerance_s) for c in CLIPS
    ]
    scores = F.ControlPointCounts(*map(sum, zip(*counts, strict=True))).scores()
    return {f"control_point_{name}": value for name, value in scores._asdict().items()}


def _events(kind: str, limit_s: float) -> dict[str, float]:
    found = [
        F.event_errors(c["predicted"], c["true"], c["times_s"], kind=kind, limit_s=limit_s)
        for c in CLIPS
    ]
    errors = [error for events in found for error in events.errors_s]
    missed, false = (sum(getattr(events, name) for events in found) for name in ("missed", "false"))
    return {
        f"{kind}_error_s": sum(errors) / len(errors),
        f"{kind}s_missed": missed / (missed + len(errors)),
        f"{kind}s_false": false / (false + len(errors)),
    }


@pytest.mark.parametrize("name", METRICS)
class TestEveryMetric:
    def test_clip_by_clip_is_all_at_once(self, name: str) -> None:
        value, expected = after(METRICS[name](), CLIPS).compute(), plain(name)
        assert numbers(value) == pytest.approx(numbers(expected), abs=1e-12)
        if isinstance(expected, dict):
            assert list(value) == list(expected)

    @pytest.mark.parametrize("shards", [[[0, 2, 4], [1, 3, 5]], [[5, 4, 3, 2, 1], [0]]])
    def test_shards_merge_to_the_whole(self, name: str, shards: list[list[int]]) -> None:
        first, second = (after(METRICS[name](), [CLIPS[i] for i in shard]) for shard in shards)
        first.merge_state(second)
        expected = after(METRICS[name](), CLIPS).compute()
        assert numbers(first.compute()) == pytest.approx(numbers(expected), abs=1e-12)

    def test_states_are_sums_of_integers_or_doubles(self, name: str) -> None:
        metric = after(METRICS[name](), CLIPS)
        assert {state.dtype for state in metric.metric_state.values()} <= {
            torch.int64,
            torch.float64,
        }
        states = metric.metric_state
        metric.reset()
        assert all(not state.any() for state in metric.metric_state.values())
        assert any(state.any() for state in states.values())

    def test_forward_gives_the_value_of_the_clip(self, name: str) -> None:
        metric, clip = METRICS[name](), CLIPS[0]
        value = metric(**metric._filter_kwargs(**clip))
        alone = after(METRICS[name](), [clip]).compute()
        assert numbers(value) == pytest.approx(numbers(alone), nan_ok=True)
        after(metric, CLIPS[1:])
        assert numbers(metric.compute()) == pytest.approx(numbers(plain(name)), abs=1e-12)

    def test_plot(self, name: str) -> None:
        import matplotlib as mpl

        mpl.use("Agg")
        import matplotlib.pyplot as plt

        figure, _ = after(METRICS[name](), CLIPS).plot()
        plt.close(figure)


def test_a_collection_keeps_every_metric_to_itself() -> None:
    """Also where states are equal after the first clip, as those of all metrics of zero are."""
    nothing = {**CLIPS[0], "probabilities": torch.zeros_like(CLIPS[0]["probabilities"])}
    clips = [nothing, *CLIPS[1:]]
    collection = MetricCollection({name: make() for name, make in METRICS.items()})
    for clip in clips:
        collection.update(**clip)
    for name, metric in collection.items():
        expected = after(METRICS[name](), clips).compute()
        assert numbers(metric.compute()) == pytest.approx(numbers(expected), abs=1e-12), name


PROCESS = """
import sys
from test_metric_classes import values_of_two_processes
values_of_two_processes(1, sys.argv[1])
"""


def values_of_two_processes(rank: int, meeting: str) -> dict[str, list[float]]:
    """What each metric gives in a process that has seen every other clip."""
    torch.distributed.init_process_group(
        "gloo",
        f"file://{meeting}",
        rank=rank,
        world_size=2,
        timeout=timedelta(seconds=100),
    )
    try:
        metrics = {name: after(make(), CLIPS[rank::2]) for name, make in METRICS.items()}
        return {name: numbers(metric.compute()) for name, metric in metrics.items()}
    finally:
        torch.distributed.destroy_process_group()


def test_two_processes_give_the_value_of_one(tmp_path: Path) -> None:
    meeting = str(tmp_path / "meeting")
    other = Started([meeting], code=PROCESS)
    values = values_of_two_processes(0, meeting)
    _, said = other.communicate(timeout=100)
    assert other.returncode == 0, said.decode()
    for name in METRICS:
        assert values[name] == pytest.approx(numbers(plain(name)), abs=1e-12), name


class TestNothingToCount:
    def test_selections_that_leave_no_frame(self) -> None:
        clip = {**CLIPS[0], "key_frames": torch.zeros(len(CLIPS[0]["key_frames"])).bool()}
        for metric in (
            Jaccard("avsbench", selection="key"),
            Jaccard("dataset", selection="key"),
            FMeasure(selection="key"),
            FMeasure("dataset", selection="key"),
            FMeasure(frames_per_batch=None, selection="key"),
            SemanticJaccard(4, selection="key"),
            SemanticFMeasure(4, "dataset", selection="key"),
            AlignmentRate("mask", selection="key"),
            SilentArea(selection="key"),
            MuteDrop(selection="key"),
        ):
            assert math.isnan(after(metric, [clip]).compute())

    def test_no_change_no_silence_no_sound(self) -> None:
        full, nothing = torch.ones(2, 3, 3), torch.zeros(2, 3, 3).bool()
        near = JaccardNearChanges(1, "avsbench")
        near.update(full, ~nothing, [False, False])
        area, drop = SilentArea(), MuteDrop()
        area.update(full, ~nothing)
        drop.update(full, full, nothing)
        onsets = OnsetError()
        onsets.update([True, True], [True, True], [0.0, 1.0])
        values = [near.compute(), area.compute(), drop.compute(), *onsets.compute().values()]
        assert all(map(math.isnan, values))

    def test_one_batch_without_any_target(self) -> None:
        metric = FMeasure(frames_per_batch=None)
        metric.update(torch.ones(2, 3, 3), torch.zeros(2, 3, 3).bool())
        assert metric.compute() == 0


class TestBadInput:
    @pytest.mark.parametrize(
        ("make", "message"),
        [
            (lambda: Jaccard("miou"), "protocol must be one of"),
            (lambda: Jaccard("avsbench", selection="first"), "selection must be one of"),
            (lambda: FMeasure("strict"), "protocol must be one of"),
            (lambda: FMeasure(frames_per_batch=0), "frames_per_batch"),
            (lambda: FMeasure("dataset", frames_per_batch=5), "leave it out"),
            (lambda: SemanticJaccard(4, "strict"), "protocol must be one of"),
            (lambda: SemanticJaccard(0), "num_classes"),
            (lambda: SemanticFMeasure(4, classes="foreground"), "classes must be one of"),
            (lambda: AlignmentRate("object"), "form must be one of"),
            (lambda: JaccardNearChanges(0, "avsbench"), "frames must be 1 or more"),
            (lambda: JaccardNearChanges(-1, "avsbench"), "frames must be 1 or more"),
            (lambda: JaccardNearChanges(1.5, "avsbench"), "frames must be 1 or more"),
            (lambda: JaccardNearChanges("1", "avsbench"), "frames must be 1 or more"),
            (lambda: ControlPointScore(-0.1), "tolerance_s"),
            (lambda: OnsetError(float("nan")), "limit_s"),
        ],
    )
    def test_settings(self, make: Callable[[], Metric], message: str) -> None:
        with pytest.raises(CoPropError, match=message):
            make()

    @pytest.mark.parametrize("name", [name for name in METRICS if "J" in name or "F" in name])
    def test_an_empty_clip(self, name: str) -> None:
        clip = {key: value[:0] for key, value in CLIPS[0].items()}
        metric = METRICS[name]()
        with pytest.raises(CoPropError, match=r"at least one frame|one bool for each"):
            metric.update(**metric._filter_kwargs(**clip))

    def test_logits(self) -> None:
        logits, target = torch.full((2, 3, 3), -4.0), torch.zeros(2, 3, 3).bool()
        for metric in (Jaccard("avsbench"), FMeasure(), AlignmentRate("mask"), SilentArea()):
            with pytest.raises(CoPropError, match="sigmoid"):
                metric.update(logits, target)

    def test_key_frames(self) -> None:
        metric = Jaccard("strict", selection="key")
        frames = torch.zeros(2, 3, 3), torch.zeros(2, 3, 3).bool()
        with pytest.raises(CoPropError, match="needs key_frames"):
            metric.update(*frames)
        with pytest.raises(CoPropError, match="one bool for each frame"):
            metric.update(*frames, key_frames=torch.tensor([True]))
        with pytest.raises(CoPropError, match="key_frames must be one bool"):
            metric.update(*frames, key_frames=torch.tensor([1, 0]))

    def test_changes_of_another_length(self) -> None:
        metric = JaccardNearChanges(1, "strict")
        with pytest.raises(CoPropError, match="one bool for each frame"):
            metric.update(torch.zeros(2, 3, 3), torch.zeros(2, 3, 3).bool(), [True])

    def test_alignment_by_identity_needs_objects(self) -> None:
        with pytest.raises(CoPropError, match="AlignmentRate"):
            AlignmentRate("identity").update(torch.zeros(1, 2, 2), torch.zeros(1, 2, 2).bool())
