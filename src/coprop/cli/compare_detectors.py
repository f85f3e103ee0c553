"""``coprop compare-detectors``: which detector finds a dataset's changes."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from warnings import catch_warnings, simplefilter

import typer

from coprop.checkpoints.hub import offline
from coprop.cli import dataset_options, llm_options
from coprop.cli.common import DebugOption, JsonOption, VerboseOption, reported
from coprop.cli.dataset_options import chosen_dataset
from coprop.cli.llm_options import opened_model, refuse_given
from coprop.cli.part_options import OfflineOption
from coprop.cli.progress import ProgressBars
from coprop.utils.brief import text_of

if TYPE_CHECKING:
    from coprop.control_points.language_models.base import LanguageModel
    from coprop.control_points.rcpg import RCPGDetector
    from coprop.evaluation.detectors import Comparison, DetectorRow


@dataclass(frozen=True)
class ComparisonOptions:
    """The options of ``coprop compare-detectors``."""

    dataset: dataset_options.DatasetOption
    root: dataset_options.RootOption
    split: dataset_options.SplitOption = "test"
    limit: dataset_options.LimitOption = None
    control_points: dataset_options.ControlPointsOption = None
    llm: llm_options.LlmOption = None
    llm_model: llm_options.LlmModelOption = None
    examples: llm_options.ExamplesOption = None
    cache: llm_options.CacheOption = None
    device: llm_options.LlmDeviceOption = None
    offline: OfflineOption = False
    as_json: JsonOption = False
    verbose: VerboseOption = 0
    debug: DebugOption = False


def compare_detectors(options: ComparisonOptions) -> None:
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
    if options.llm is None:
        refuse_given(options, ("llm_model", "examples", "cache", "device"), "goes with --llm.")
    with (
        reported(debug=options.debug, as_json=options.as_json),
        offline(options.offline),
        catch_warnings(),
    ):
        simplefilter("ignore", RuntimeWarning)  # the notes below say the same
        with ProgressBars(shown=True) as bars:
            comparison, model = _compared(options, bars)
    notes = _notes(comparison, model, options.examples)
    typer.echo(_json(comparison, notes) if options.as_json else _text(comparison, notes))


def _compared(
    options: ComparisonOptions, bars: ProgressBars
) -> tuple[Comparison, LanguageModel | None]:
    from coprop.control_points.detector import ControlPointDetector
    from coprop.evaluation import detectors

    dataset = chosen_dataset(
        options.dataset, options.root, options.split, control_points=options.control_points
    )
    model = opened_model(options)
    comparison = detectors.compare_detectors(
        dataset,
        {
            "cosine": ControlPointDetector.cosine(),
            "novelty": ControlPointDetector.novelty(),
            "events": ControlPointDetector.events(),
        },
        {} if model is None else _variants(model, options.examples),
        limit=options.limit,
        progress=bars,
    )
    return comparison, model


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
    asked = "1-step, 3-step" if examples is None else "1-step, 3-step, RCPG"
    notes.append(f"{asked}: answers of {model.name}; with an untrained model these rows are noise")
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
