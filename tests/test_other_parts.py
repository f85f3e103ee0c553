"""What other people's functions return, and what they are given as, is looked at."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from coprop import ControlPointDetector, ControlPoints, CoProp
from coprop.control_points.language_models.base import Answer
from coprop.control_points.rcpg import RCPGDetector
from coprop.errors import CoPropError, LanguageModelError, ModelOutputError
from coprop.keyframes.text_guided import TextGuidedSegmenter
from pipeline_samples import Shifter, changes_at, clip_of, left_half, noise
from scripted_models import Scripted

SOUND = noise(1.0)
STEPS = 20


@pytest.mark.parametrize(
    "returned",
    [
        None,
        "scores",
        0.5,
        np.zeros((STEPS, 1)),
        np.full(STEPS, np.nan),
        np.full(STEPS, 1.5),
        np.zeros(STEPS, complex),
        np.ma.masked_all(STEPS),
        torch.zeros(STEPS).to_sparse(),
        torch.zeros(STEPS, device="meta"),
        torch.nested.nested_tensor([torch.zeros(2)]),
        np.zeros(STEPS + 1),
    ],
)
def test_scores(returned: Any) -> None:
    detector = ControlPointDetector(lambda audio, windows: returned, threshold=0.5)
    with pytest.raises(CoPropError, match="score function"):
        detector(SOUND, windows=STEPS)


@pytest.mark.parametrize("make", [ControlPointDetector.novelty, ControlPointDetector.cosine])
@pytest.mark.parametrize(
    "spoil",
    [
        lambda x: None,
        lambda x: x[:, 0],
        lambda x: x[1:],
        lambda x: x[:, :0],
        lambda x: x * np.nan,
        lambda x: x * 1j,
        lambda x: np.ma.masked_all(x.shape),
        lambda x: torch.tensor(x).to_sparse(),
        lambda x: torch.quantize_per_tensor(torch.tensor(x), 1, 0, torch.qint8),
        lambda x: torch.nested.nested_tensor([*torch.tensor(x)]),
    ],
)
def test_embeddings(make: Callable[..., ControlPointDetector], spoil: Any) -> None:
    with pytest.raises(CoPropError, match=r"\bembed"):
        make(lambda samples: spoil(samples[:, :4].copy()))(SOUND)


SPOILED: dict[str, Callable[[torch.Tensor], Any]] = {
    "sparse": lambda x: x.to_sparse(),
    "sparse in rows": lambda x: x[0, 0].to_sparse_csr(),
    "quantized": lambda x: torch.quantize_per_tensor(x, 0.1, 0, torch.qint8),
    "on no device": lambda x: x.to("meta"),
    "nested": lambda x: torch.nested.nested_tensor([x[0], x[0]]),
    "complex": lambda x: x * 1j,
    "NaN": lambda x: x * torch.nan,
    "None": lambda x: None,
    "numpy": lambda x: x.numpy(),
    "of another size": lambda x: x[..., ::2],
}


@pytest.mark.parametrize("outputs", ["logits", "probabilities", "mask"])
@pytest.mark.parametrize("kind", SPOILED)
def test_outputs_of_functions_and_of_text_segmenters(kind: str, outputs: Any) -> None:
    def rubbish(frames: torch.Tensor, other: object) -> Any:
        logits = left_half(frames)
        return SPOILED[kind](logits if outputs == "logits" else (logits > 0).float())

    text = TextGuidedSegmenter(rubbish, ("dog",), outputs)
    for model, options in ((text, {}), (rubbish, {"outputs": outputs})):
        parts = {"detector": changes_at(), "propagator": Shifter(), **options}
        made = CoProp.wrap(model, **parts)  # type: ignore[arg-type]
        with pytest.raises(ModelOutputError, match="return"):
            made(clip_of(2), SOUND, fps=5)


def points(count: int) -> ControlPoints:
    return ControlPoints(np.arange(count) / 10, np.ones(count), np.ones(count, dtype=bool))


@pytest.mark.parametrize("instead", [points(3), points(5), None, np.ones(4)])
def test_a_fallback_of_other_windows(instead: Any) -> None:
    detector = RCPGDetector(
        Scripted(lambda dialogue, windows: "I hear a dog."),
        steps=1,
        retries=0,
        fallback=lambda audio, *, windows: instead,
    )
    with pytest.raises(CoPropError, match="fallback detector must return ControlPoints of the 4"):
        detector(SOUND, windows=4)


@pytest.mark.parametrize(
    "reply",
    [
        Answer(None),  # type: ignore[arg-type]
        Answer("[1,0]", (1.0,)),
        Answer("[1,0]", (1.0, float("nan"))),
        Answer("[1,0]", ("1", "0")),  # type: ignore[arg-type]
        Answer("[1,0]", 0.5),  # type: ignore[arg-type]
    ],
)
def test_answers_of_language_models(reply: Answer) -> None:
    model = Scripted(lambda dialogue, windows: reply)
    with pytest.raises(LanguageModelError, match=r"probabilities|Answer"):
        ControlPointDetector.rcpg(model, steps=1)(SOUND, windows=2)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: ControlPointDetector(5, threshold=0.5), "score must be"),  # type: ignore[arg-type]
        (lambda: ControlPointDetector.novelty(5), "embed must be"),  # type: ignore[arg-type]
        (lambda: ControlPointDetector.cosine("x"), "embed must be"),  # type: ignore[arg-type]
        (lambda: TextGuidedSegmenter(5), "fn must be"),  # type: ignore[arg-type]
        (lambda: TextGuidedSegmenter(print, "dog"), "categories must be"),  # type: ignore[arg-type]
        (lambda: ControlPointDetector.rcpg(5), "llm must be"),  # type: ignore[arg-type]
        (lambda: RCPGDetector(Scripted(print), fallback=5), "fallback must be"),  # type: ignore[arg-type]
        (lambda: RCPGDetector(Scripted(print), examples=5), "examples must be"),  # type: ignore[arg-type]
        (lambda: RCPGDetector(Scripted(print), prompts="x"), "prompts must be"),  # type: ignore[arg-type]
        (lambda: RCPGDetector(Scripted(print), window_s=1e9), "window_s must be .* 3600"),
        (lambda: RCPGDetector(Scripted(print), window_s="1"), "window_s must be"),  # type: ignore[arg-type]
        (lambda: RCPGDetector(Scripted(print), retries=1.5), "retries must be"),  # type: ignore[arg-type]
        (lambda: RCPGDetector(Scripted(print))(SOUND, windows=10**8), "at most 1000000"),
        (lambda: ControlPointDetector.novelty()(SOUND, windows=10**8), "at most 1000000"),
        (lambda: ControlPointDetector.cosine(window_s=1e9), "window_s must be .* 3600"),
    ],
)
def test_parts_that_are_none(make: Callable[[], Any], message: str) -> None:
    with pytest.raises(CoPropError, match=message):
        make()


def test_arrays_of_results_cannot_be_changed() -> None:
    made = CoProp.wrap(lambda frames, audio: left_half(frames), detector=changes_at())
    result = made(clip_of(2), SOUND, fps=5, keep_probabilities=True)
    arrays = [result.labels, result.times_s, *vars(result.control_points).values()]
    for mask in result.masks:
        arrays += [mask.labels, mask.probabilities]
    for array in arrays:
        if isinstance(array, np.ndarray):
            with pytest.raises(ValueError, match="read-only"):
                array[...] = 0
