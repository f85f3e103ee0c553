"""Methods over a dataset: figures against plain loops, stops, several processes."""

from __future__ import annotations

import json
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from small_dataset import Keeping, SmallDataset, build, loud_is_red

from coprop import ControlPointDetector, CoProp, CoPropError
from coprop.control_points.language_models.base import Answer
from coprop.data.labelled import FrameTruth, LabelledClip
from coprop.errors import DatasetError, OutputError
from coprop.evaluation.methods import (
    METHODS,
    Method,
    Prediction,
    detected,
    methods_named,
    true_points,
)
from coprop.evaluation.runner import evaluate
from coprop.evaluation.scores import ScoreOptions
from coprop.evaluation.store import EvaluationFolder
from coprop.keyframes.text_guided import TextGuidedSegmenter
from coprop.types import FrameMask
from pipeline_samples import changes_at

SETTINGS = {"model": "small"}
METHOD_NAMES = ["nothing", "alone", "cosine", "true"]


def small_methods(names: list[str] = METHOD_NAMES) -> list[Method]:
    return methods_named(names, build())


def run(
    folder: Path, dataset: SmallDataset | None = None, **options: Any
) -> tuple[dict[str, Any] | None, bytes]:
    content = evaluate(
        SmallDataset() if dataset is None else dataset,
        options.pop("methods", None) or small_methods(),
        EvaluationFolder(folder),
        settings=SETTINGS,
        **options,
    )
    return content, (folder / "results.json").read_bytes()


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], bytes]:
    content, text = run(tmp_path_factory.mktemp("whole"), sounds=["muted"])
    assert content is not None
    return content, text


def test_what_is_returned_is_what_is_written(whole: tuple[dict[str, Any], bytes]) -> None:
    content, text = whole
    assert json.loads(text) == json.loads(json.dumps(content))
    assert len(content["clips"]) == 5


@pytest.mark.parametrize("stops", [[1], [2, 3], [4]])
def test_a_stopped_run_goes_on(
    whole: tuple[dict[str, Any], bytes], tmp_path: Path, stops: list[int]
) -> None:
    for stop in stops:

        def stop_here(step: str, completed: int, total: int | None, stop: int = stop) -> None:
            if completed == stop:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            run(tmp_path, sounds=["muted"], progress=stop_here)
        assert not (tmp_path / "results.json").exists()
    dataset = SmallDataset()
    _, text = run(tmp_path, dataset, sounds=["muted"])
    assert text == whole[1]
    assert dataset.read == list(range(stops[-1], 5))


def test_a_row_that_a_kill_cut_short_is_done_again(
    whole: tuple[dict[str, Any], bytes], tmp_path: Path
) -> None:
    run(tmp_path, sounds=["muted"])
    (rows,) = (tmp_path / "rows").iterdir()
    lines = rows.read_bytes().splitlines(keepends=True)
    rows.write_bytes(b"".join(lines[:3]) + lines[3][:50])
    (tmp_path / "results.json").unlink()
    dataset = SmallDataset()
    _, text = run(tmp_path, dataset, sounds=["muted"])
    assert text == whole[1]
    assert dataset.read == [3, 4]
    assert (
        run(tmp_path, SmallDataset(), sounds=["muted"])[1] == whole[1]
    )  # the broken line did no harm


class Shared:
    """One of several processes, played by a thread."""

    def __init__(self, index: int, barrier: threading.Barrier) -> None:
        self.process_index, self.num_processes = index, barrier.parties
        self.wait_for_everyone = barrier.wait


@pytest.mark.parametrize("count", [2, 7])  # fewer than there are clips, and more
def test_several_processes_give_the_same(
    whole: tuple[dict[str, Any], bytes], tmp_path: Path, count: int
) -> None:
    barrier = threading.Barrier(count, timeout=60)
    datasets = [SmallDataset() for _ in range(count)]
    returned: list[Any] = [None] * count

    def work(index: int) -> None:
        shared = Shared(index, barrier)
        returned[index] = evaluate(
            datasets[index],
            small_methods(),
            EvaluationFolder(tmp_path),
            settings=SETTINGS,
            sounds=["muted"],
            processes=shared,
        )

    threads = [threading.Thread(target=work, args=(i,)) for i in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (tmp_path / "results.json").read_bytes() == whole[1]
    assert returned[0] is not None
    assert returned[1:] == [None] * (count - 1)
    assert sorted(i for dataset in datasets for i in dataset.read) == list(range(5))


def masks_of(method: Method, clip: LabelledClip) -> list[FrameMask]:
    return list(method.predict(clip).masks)


@pytest.mark.parametrize("name", METHOD_NAMES)
def test_figures_against_plain_loops(whole: tuple[dict[str, Any], bytes], name: str) -> None:
    (method,) = small_methods([name])
    official, strict, areas, aligned, key_official = [], [], [], [], []
    intersection = np.zeros(2)
    union = np.zeros(2)
    keyframes = frames = 0
    dataset = SmallDataset()
    for index in range(len(dataset)):
        clip = dataset[index]
        kept = -1
        for mask, truth in zip(masks_of(method, clip), clip.truth, strict=True):
            frames += 1
            keyframes += mask.is_keyframe
            if truth.labels is None:
                continue
            kept += 1
            found, wanted = mask.labels > 0, truth.labels > 0
            both, either = np.sum(found & wanted), np.sum(found | wanted)
            official.append(both / either if wanted.any() else 1 - found.mean())
            strict.append(both / either if either else 1.0)
            if not wanted.any():
                areas.append(found.mean())
            intersection += [np.sum(~found & ~wanted), both]
            union += [np.sum(~(found & wanted)), either]
            marked = [np.sum(found & o) >= 0.5 * o.sum() for o in truth.objects]
            stray = np.sum(found & ~wanted) <= 0.2 * found.sum()
            aligned.append(list(marked) == list(truth.sounding) and stray)
            times = [c for c in clip.change_times_s or () if c <= mask.time_s < c + 0.25]
            if kept == 0 or times:
                key_official.append(official[-1])
    names = {"nothing": "nothing masked", "alone": "every frame alone"}
    names |= {"cosine": "coprop, cosine", "true": "coprop, true control points"}
    found = whole[0]["methods"][names[name]]
    figures = found["all frames"]
    assert figures["frames"] == len(official)
    assert figures["jaccard_avsbench"] == pytest.approx(np.mean(official), abs=1e-6)
    assert figures["jaccard_strict"] == pytest.approx(np.mean(strict), abs=1e-9)
    assert figures["jaccard_dataset"] == pytest.approx(np.mean(intersection / union), abs=1e-9)
    assert figures["silent_area"] == pytest.approx(np.mean(areas), abs=1e-9)
    assert figures["alignment_identity"] == pytest.approx(np.mean(aligned), abs=1e-9)
    assert figures["keyframes_per_frame"] == pytest.approx(keyframes / frames)
    assert found["key frames"]["jaccard_avsbench"] == pytest.approx(np.mean(key_official), abs=1e-6)
    assert found["key frames"]["frames"] + found["normal frames"]["frames"] == len(official)


def test_what_the_figures_tell_of_this_model(whole: tuple[dict[str, Any], bytes]) -> None:
    """The model on its own masks a square in silence; with the true changes the pipeline cannot."""
    methods = whole[0]["methods"]
    alone = methods["every frame alone"]["all frames"]
    true = methods["coprop, true control points"]["all frames"]
    assert alone["silent_area"] > 0.05
    assert true["silent_area"] == 0
    assert true["alignment_identity"] > alone["alignment_identity"]
    assert (true["control_point_f1"], true["control_point_recall"]) == (1, 1)
    assert alone.get("control_point_f1") is None
    assert alone["keyframes_per_frame"] == 1
    assert true["keyframes_per_frame"] < 0.5
    assert alone["mute_drop"] < true["mute_drop"]  # in silence it masks the blue one all the same
    assert true["onset_error_s"] < 0.25


def test_batches_change_f_and_nothing_else(
    whole: tuple[dict[str, Any], bytes], tmp_path: Path
) -> None:
    options = ScoreOptions(frames_per_batch=12)
    content, _ = run(tmp_path, sounds=["muted"], options=options)
    assert content is not None
    one = whole[0]["methods"]["every frame alone"]["all frames"]
    several = content["methods"]["every frame alone"]["all frames"]
    assert several.pop("f_measure_avsbench") != pytest.approx(one["f_measure_avsbench"], abs=1e-3)
    assert several == {k: v for k, v in one.items() if k != "f_measure_avsbench"}
    assert content["settings"]["frames_per_batch"] == 12


def test_classes_are_scored_where_there_are_any(tmp_path: Path) -> None:
    dataset = SmallDataset(num_classes=3)
    content, _ = run(tmp_path, dataset, methods=small_methods(["nothing", "alone", "true"]))
    assert content is not None
    found = {name: f["all frames"] for name, f in content["methods"].items()}
    sums = {c: [0.0, 0] for c in range(3)}
    (alone,) = small_methods(["alone"])
    for index in range(len(dataset)):
        clip = dataset[index]
        for mask, truth in zip(masks_of(alone, clip), clip.truth, strict=True):
            for c in sums if truth.labels is not None else ():
                predicted, wanted = mask.labels == c, truth.labels == c
                if (predicted | wanted).any():
                    sums[c][0] += np.sum(predicted & wanted) / np.sum(predicted | wanted)
                    sums[c][1] += 1
    reference = np.mean([total / count for total, count in sums.values()])
    assert found["every frame alone"]["class_jaccard_avsbench"] == pytest.approx(reference)
    assert (
        found["nothing masked"]["class_jaccard_avsbench"]
        < found["coprop, true control points"]["class_jaccard_avsbench"]
    )


def test_without_objects_alignment_is_by_mask(tmp_path: Path) -> None:
    content, _ = run(tmp_path, SmallDataset(objects=False), methods=small_methods(["true"]))
    assert content is not None
    figures = content["methods"]["coprop, true control points"]["all frames"]
    assert figures["alignment_identity"] is None
    assert figures["alignment_mask"] is not None
    assert "aligned, identity" not in (tmp_path / "results.md").read_text(encoding="utf-8")


def test_tables_have_a_column_for_each_method(
    whole: tuple[dict[str, Any], bytes], tmp_path: Path
) -> None:
    run(tmp_path, sounds=["muted"])
    table = (tmp_path / "results.md").read_text(encoding="utf-8")
    methods = whole[0]["methods"]
    assert table.count(f"|  | {' | '.join(methods)} |") == 3
    figures = [f"{found['all frames']['jaccard_avsbench']:.3f}" for found in methods.values()]
    assert f"| J avsbench ↑ | {' | '.join(figures)} |" in table
    assert "mIoU" not in table


def test_other_settings_do_not_mix(tmp_path: Path) -> None:
    run(tmp_path, SmallDataset(2))
    with pytest.raises(OutputError, match=r"sounds.*differ"):
        run(tmp_path, SmallDataset(2), sounds=["muted"])
    with pytest.raises(OutputError, match="methods"):
        run(tmp_path, SmallDataset(2), methods=small_methods(["alone"]))
    EvaluationFolder(tmp_path).clear()
    run(tmp_path, SmallDataset(2), methods=small_methods(["alone"]))


def test_a_folder_with_something_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("precious", encoding="utf-8")
    with pytest.raises(OutputError, match="no evaluation"):
        run(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


@pytest.mark.parametrize("names", [[], ["alone", "alone"], ["best"]])
def test_methods_that_are_none(names: list[str]) -> None:
    with pytest.raises(CoPropError, match="nothing, everything, alone"):
        small_methods(names)


def test_an_empty_dataset_is_told(tmp_path: Path) -> None:
    with pytest.raises(CoPropError, match="no clips"):
        run(tmp_path, SmallDataset(0))


class Unlabelled(SmallDataset):
    def __getitem__(self, index: int, /) -> LabelledClip:
        clip = super().__getitem__(index)
        truth = [FrameTruth(None) for _ in clip.truth]
        return LabelledClip(clip.name, clip.frames, clip.audio, truth, None)


def test_clips_without_truth_are_told(tmp_path: Path) -> None:
    with pytest.raises(CoPropError, match=r"small-0 has no annotated frame"):
        run(tmp_path / "a", Unlabelled(), methods=small_methods(["alone"]))
    with pytest.raises(CoPropError, match=r"small-0 has no annotated changes"):
        run(tmp_path / "b", Unlabelled(), methods=small_methods(["true"]))


def test_a_method_that_masks_too_few_frames_is_an_error(tmp_path: Path) -> None:
    (alone,) = small_methods(["alone"])
    short = Method("short", lambda clip: Prediction(iter(masks_of(alone, clip)[:-1])))
    with pytest.raises(CoPropError, match="small-0 has more truths than masks"):
        run(tmp_path, methods=[short])


class Odd(SmallDataset):
    """The first clip is odd in a way."""

    def __init__(self, **changes: Any) -> None:
        super().__init__()
        self.changes = changes

    def __getitem__(self, index: int, /) -> LabelledClip:
        return replace(super().__getitem__(index), **self.changes)


def test_a_clip_that_cannot_be_scored_is_told_with_its_name(tmp_path: Path) -> None:
    truth = list(SmallDataset()[0].truth)
    smaller = [FrameTruth(np.ones((12, 16), dtype=np.uint8)) for _ in truth]
    for name, changes, said in (
        ("fewer", {"truth": truth[:-1]}, r"^small-0 has fewer truths than masks; give one for"),
        ("more", {"truth": [*truth, truth[0]]}, r"^small-0 has more truths than masks"),
        ("size", {"truth": smaller}, r"^small-0: probabilities and target must have one shape"),
        ("frames", {"frames": []}, r"^small-0: there is no frame"),
        ("audio", {"audio": None}, r"the sound of small-0 must be an Audio, got None"),
        ("name", {"name": 5}, r"the name of a clip must be text, got 5"),
    ):
        with pytest.raises(CoPropError, match=said):
            run(tmp_path / name, Odd(**changes), methods=small_methods(["alone"]))


TWINS = "the clips 0 and 1 of small test, counted from 0, are both called 'twin'; give each a name"


def test_clips_of_one_name_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=TWINS):
        run(tmp_path, Odd(name="twin"), methods=small_methods(["nothing"]))


def test_clips_of_one_name_that_two_processes_scored(tmp_path: Path) -> None:
    dataset, barrier = Odd(name="twin"), threading.Barrier(2, timeout=60)
    dataset.count = 2

    def work(index: int) -> None:
        options: dict[str, Any] = {"settings": SETTINGS, "processes": Shared(index, barrier)}
        evaluate(dataset, small_methods(["nothing"]), EvaluationFolder(tmp_path), **options)

    other = threading.Thread(target=work, args=(1,))
    other.start()
    with pytest.raises(DatasetError, match=TWINS):
        work(0)
    other.join()
    assert not (tmp_path / "results.json").exists()


@pytest.mark.usefixtures("small_pictures")
def test_text_guides_the_default_only() -> None:
    with pytest.raises(CoPropError, match="TextGuidedSegmenter"):
        small_methods(["text"])
    default = CoProp.from_pretrained()
    default.detector = ControlPointDetector.cosine()
    (method,) = methods_named(["text"], default)
    masks = masks_of(method, SmallDataset()[0])
    assert len(masks) == 12


def test_models_are_guided_as_they_can_be(monkeypatch: pytest.MonkeyPatch) -> None:
    """By the words of events, at their control points; and only the default by both, or tracked."""

    def events() -> Any:
        return lambda audio: replace(changes_at(1.0)(audio), categories=(("dog",), ("bell",)))

    monkeypatch.setattr(ControlPointDetector, "events", staticmethod(events))
    told: list[tuple[str, ...]] = []

    def segment(frames: torch.Tensor, words: tuple[str, ...]) -> torch.Tensor:
        told.append(words)
        return torch.full((len(frames), 1, *frames.shape[-2:]), 4.0)

    by_words = CoProp.wrap(TextGuidedSegmenter(segment), propagator=Keeping())
    (method,) = methods_named(["events-text"], by_words)
    found = method.predict(SmallDataset()[0])
    assert found.change_times_s == (1.0,)
    assert len(list(found.masks)) == 12
    assert set(told) == {("dog",), ("bell",)}
    with pytest.raises(CoPropError, match="takes words alone"):
        methods_named(["events"], by_words)
    (method,) = small_methods(["events"])
    assert method.predict(SmallDataset()[0]).change_times_s == (1.0,)
    for name in ("events-text", "events-both", "tracks"):
        with pytest.raises(CoPropError, match=f"the method {name} is for the default segmenter"):
            small_methods([name])


def test_every_method_has_a_name_of_its_own() -> None:
    pipeline = CoProp.from_pretrained()
    names = [METHODS[name](pipeline).name for name in METHODS]
    assert len(set(names)) == len(names)


def test_frames_stay_on_the_grid_of_the_dataset() -> None:
    """A dataset that counts time in windows is given one flag a window."""
    asked: list[int | None] = []

    class Spy(ControlPointDetector):
        def __call__(self, audio: Any, *, windows: int | None = None) -> Any:
            asked.append(windows)
            return changes_at()(audio)

    pipeline = CoProp.wrap(loud_is_red, detector=Spy(lambda a, n: np.zeros(1), threshold=0.5))
    pipeline.propagator = Keeping()
    (method,) = methods_named(["coprop"], pipeline)
    clip = SmallDataset()[0]
    windowed = LabelledClip(clip.name, clip.frames, clip.audio, clip.truth, (1.0,), windows=3)
    masks_of(method, windowed)
    masks_of(method, clip)
    assert asked == [3, None]
    assert torch.is_grad_enabled()


def test_a_language_model_is_asked_for_the_dataset_s_windows() -> None:
    asked: list[int] = []

    class Lister:
        name = "lister"
        max_audio_s = 30.0

        def answer(self, dialogues: Any) -> list[Answer]:
            return [Answer("a dog") for _ in dialogues]

        def answer_flags(self, dialogues: Any, windows: int) -> list[Answer]:
            asked.append(windows)
            return [Answer("[1" + ",0" * (windows - 1) + "]") for _ in dialogues]

    detector = ControlPointDetector.rcpg(Lister(), steps=1)
    clip = SmallDataset()[0]
    windowed = LabelledClip(clip.name, clip.frames, clip.audio, clip.truth, (1.0,), windows=6)
    points = detected(detector)(windowed)
    assert asked == [6]
    assert len(points.flags) == 6


def test_true_points_have_the_words_that_the_dataset_has() -> None:
    clip = replace(SmallDataset()[0], change_times_s=(0.5, 1.0))
    assert true_points(clip).categories == (("dog", "guitar"),) * 3
    heard = (("dog",), (), ("dog", "guitar"))
    assert true_points(replace(clip, heard=heard)).categories == heard
    assert true_points(replace(clip, categories=())).categories is None
