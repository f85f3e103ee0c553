"""``coprop compare-detectors``: which detector finds a dataset's changes."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from coprop.brief import text_of
from coprop.cli.common import DebugOption, JsonOption, reported
from coprop.cli.dataset_options import (
    ControlPointsOption,
    DatasetOption,
    LimitOption,
    RootOption,
    opened_dataset,
)
from coprop.cli.llm_options import (
    CacheOption,
    DeviceOption,
    ExamplesOption,
    LlmModelOption,
    LlmOption,
    opened_model,
)
from coprop.cli.progress import ProgressBars

if TYPE_CHECKING:
    from coprop.control_points.language_models.base import LanguageModel
    from coprop.control_points.rcpg import RCPGDetector
    from coprop.evaluation.detectors import Comparison, DetectorRow


def compare_detectors(
    dataset: DatasetOption,
    root: RootOption,
    split: Annotated[str, typer.Option(help="Part of the dataset.")] = "test",
    limit: LimitOption = None,
    control_points: ControlPointsOption = None,
    llm: LlmOption = None,
    llm_model: LlmModelOption = None,
    examples: ExamplesOption = None,
    cache: CacheOption = None,
    device: DeviceOption = None,
    as_json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Precision, recall and F1 of the detectors of control points, window by window.

    The first window of each clip is left out, since its flag is always set. Changes are right in
    the very window, or in the last three columns up to one window away. The rows "all ones" and
    "first only" hear nothing. With --llm there is a row for one prompt and one for three, and with
    --examples one for the full method.

    \b
    Examples:
      coprop compare-detectors --dataset ms3 --root AVSBench
      coprop compare-detectors --dataset avss --root AVSBench --llm http://localhost:8000/v1
        --examples train.jsonl --cache answers
    """
    options = {"--llm-model": llm_model, "--examples": examples, "--cache": cache}
    if llm is None:
        given = [name for name, value in {**options, "--device": device}.items() if value]
        if given:
            raise typer.BadParameter("goes with --llm.", param_hint=given[0])
    with reported(debug=debug), ProgressBars(shown=True) as bars, warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # the notes below say the same
        from coprop.control_points.detector import ControlPointDetector
        from coprop.evaluation import detectors

        clips = opened_dataset(dataset, root, split, control_points)
        model = None
        if llm is not None:
            model = opened_model(llm, served_name=llm_model, device=device, cache=cache)
        comparison = detectors.compare_detectors(
            clips,
            {
                "cosine": ControlPointDetector.cosine(),
                "novelty": ControlPointDetector.novelty(),
            },
            {} if model is None else _variants(model, examples),
            limit=limit,
            progress=bars,
        )
    notes = _notes(comparison, model, examples)
    typer.echo(_json(comparison, notes) if as_json else _text(comparison, notes))


def _variants(model: LanguageModel, examples: Path | None) -> dict[str, RCPGDetector]:
    """The paper's, by the names of table 2b."""
    from coprop.control_points.detector import ControlPointDetector

    variants = {
        "1-step": ControlPointDetector.rcpg(model, steps=1),
        "3-step": ControlPointDetector.rcpg(model, steps=3),
    }
    if examples is not None:
        variants["RCPG"] = ControlPointDetector.rcpg(model, examples=examples)
    return variants


def _notes(comparison: Comparison, model: LanguageModel | None, examples: Path | None) -> list[str]:
    notes = [
        f"{comparison.dataset}: {comparison.clips} clips whose changes are known, "
        f"{comparison.changes} changes in {comparison.windows} windows without the first ones"
    ]
    if model is None:
        return notes
    asked = ["1-step", "3-step", *(["RCPG"] if examples is not None else [])]
    notes.append(
        f"{', '.join(asked)}: answers of {model.name}; with an untrained model these rows are noise"
    )
    if examples is None:
        notes.append("RCPG, the full method, is asked with --examples")
    notes += [
        f"{row.name}: in {row.instead} clips the novelty detector stood in for answers that could "
        "not be used"
        for row in comparison.rows
        if row.instead
    ]
    return notes


def _json(comparison: Comparison, notes: list[str]) -> str:
    rows = [
        {"detector": row.name, **_scores(row), "instead": row.instead} for row in comparison.rows
    ]
    content = {
        "dataset": comparison.dataset,
        "clips": comparison.clips,
        "changes": comparison.changes,
        "windows": comparison.windows,
        "rows": rows,
        "notes": notes,
    }
    return json.dumps(content, indent=2)


def _scores(row: DetectorRow) -> dict[str, Any]:
    return {
        "exact": {k: round(v, 4) for k, v in row.exact.scores()._asdict().items()},
        "within_one": {k: round(v, 4) for k, v in row.near.scores()._asdict().items()},
    }


def _text(comparison: Comparison, notes: list[str]) -> str:
    head = ("precision", "recall", "F1")
    lines = [
        f"{'':<12}{'exact window':>30}{'within one window':>30}",
        f"{'detector':<12}" + "".join(f"{title:>10}" for title in (*head, *head)),
    ]
    for row in comparison.rows:
        figures = (*row.exact.scores(), *row.near.scores())
        lines.append(f"{row.name:<12}" + "".join(f"{figure:>10.3f}" for figure in figures))
    return text_of([*lines, "", *notes])
