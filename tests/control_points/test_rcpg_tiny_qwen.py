"""The paper's three variants with a real Qwen2-Audio, small and untrained."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from tiny_qwen import write_tiny_qwen2_audio

from coprop import ControlPointDetector
from coprop.control_points.language_models.transformers import TransformersModel
from coprop.control_points.rcpg import RCPGDetector
from coprop.control_points.rcpg.cache import CachedModel
from coprop.control_points.rcpg.examples import ExampleStore
from coprop.types import Audio

RATE = 16_000


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> object:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def qwen(tmp_path_factory: pytest.TempPathFactory) -> TransformersModel:
    folder = write_tiny_qwen2_audio(tmp_path_factory.mktemp("qwen"))
    return TransformersModel.from_pretrained(folder, max_new_tokens=12)


def sound(seconds: float, seed: int = 0) -> Audio:
    rng = np.random.default_rng(seed)
    levels = np.repeat(rng.uniform(0.01, 0.3, max(1, round(seconds))), RATE)
    length = round(seconds * RATE)
    noise = rng.standard_normal(length) * np.resize(levels, length)
    return Audio(noise.clip(-1, 1).astype(np.float32), RATE)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> ExampleStore:
    folder = tmp_path_factory.mktemp("examples")
    lines = []
    for number in range(4):
        soundfile.write(folder / f"{number}.wav", sound(3, seed=100 + number).samples, RATE)
        row = {"audio": f"{number}.wav", "categories": ["dog"], "flags": [1, number % 2, 0]}
        lines.append(json.dumps(row))
    (folder / "store.jsonl").write_text("\n".join(lines))
    return ExampleStore.load(folder / "store.jsonl")


def variants(qwen: TransformersModel, store: ExampleStore) -> dict[str, RCPGDetector]:
    return {
        "1-step": ControlPointDetector.rcpg(qwen, steps=1),
        "3-step": ControlPointDetector.rcpg(qwen, steps=3),
        "RCPG": ControlPointDetector.rcpg(qwen, examples=store, num_examples=2, hear_examples=True),
    }


@pytest.mark.parametrize("windows", [1, 5, 60])
def test_each_variant_gives_a_flag_and_a_score_for_each_window(
    qwen: TransformersModel, store: ExampleStore, windows: int
) -> None:
    track = sound(windows)
    for name, detector in variants(qwen, store).items():
        points, trace = detector.explain(track, windows=windows)
        assert len(points.flags) == len(points.scores) == windows
        assert (points.flags[0], points.scores[0]) == (True, 1.0)
        # Held to the form of a list, the model takes each likelier flag.
        np.testing.assert_array_equal(points.flags, points.scores > 0.5)
        assert len(trace.chunks) == (3 if windows == 60 else 1)
        for chunk in trace.chunks:
            asked = [step.name for step in chunk.steps]
            listed = [] if windows == 1 else ["control points"]
            assert asked == ([] if name == "1-step" else ["describe", "categories"]) + listed
            assert all(step.problem is None for step in chunk.steps)
            assert len(chunk.examples) == (2 if name == "RCPG" and windows > 1 else 0)
        assert (points.categories is None) == (name == "1-step")


def test_the_answers_depend_on_sound_examples_and_words(
    qwen: TransformersModel, store: ExampleStore
) -> None:
    found = [
        tuple(detector(track, windows=5).scores)
        for track in (sound(5), sound(5, seed=1))
        for detector in variants(qwen, store).values()
    ]
    assert len(set(found)) == 6


def test_the_same_again_and_in_batches(qwen: TransformersModel, store: ExampleStore) -> None:
    tracks = [sound(seconds, seed=seconds) for seconds in (3, 5)]
    for detector in variants(qwen, store).values():
        alone = [detector.explain(track, windows=5) for track in tracks]
        same, same_trace = detector.explain(tracks[0], windows=5)
        assert same_trace == alone[0][1]
        np.testing.assert_array_equal(same.scores, alone[0][0].scores)
        together = list(detector.explain_all(tracks, windows=5))
        for (points, trace), (batched, batched_trace) in zip(alone, together, strict=True):
            np.testing.assert_array_equal(points.flags, batched.flags)
            np.testing.assert_allclose(points.scores, batched.scores, atol=1e-4)
            assert [step.answer for step in trace.chunks[0].steps] == [
                step.answer for step in batched_trace.chunks[0].steps
            ]


def test_kept_answers_are_those_of_the_model(
    qwen: TransformersModel, store: ExampleStore, tmp_path: Path
) -> None:
    track = sound(5)
    plain = ControlPointDetector.rcpg(qwen, examples=store).explain(track, windows=5)
    for _ in range(2):
        cached = CachedModel(qwen, tmp_path)
        points, trace = ControlPointDetector.rcpg(cached, examples=store).explain(track, windows=5)
        np.testing.assert_array_equal(points.scores, plain[0].scores)
        assert trace == plain[1]


def test_a_model_by_its_folder(qwen: TransformersModel, tmp_path: Path) -> None:
    folder = write_tiny_qwen2_audio(tmp_path)
    detector = ControlPointDetector.rcpg(str(folder), steps=1)
    expected = ControlPointDetector.rcpg(qwen, steps=1)(sound(5), windows=5)
    np.testing.assert_array_equal(detector(sound(5), windows=5).scores, expected.scores)
