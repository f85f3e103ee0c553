"""The paper's tables 2a, 2b, 5 and 6, on the open benchmark and with models trained here.

    python -m tools.paper --sources SOURCES --work DIR

Composes clips into DIR, trains two segmenters and three propagators for each seed, evaluates them
on the clips of the subset moc whose groups training has, and prints the tables as Markdown: means
and standard deviations over the seeds. With --tables, only what some of them need is trained and
evaluated. Ctrl-C or a kill stops it at any point; repeated, it goes on from there. Two processes
share the work once the clips are composed, each with its own seeds:

    python -m tools.paper --sources SOURCES --work DIR --only compose
    python -m tools.paper --sources SOURCES --work DIR --seed-list 0 2 &
    python -m tools.paper --sources SOURCES --work DIR --seed-list 1; wait
    python -m tools.paper --sources SOURCES --work DIR --only tables

SOURCES is what tools/sources builds.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from coprop import CoProp
from coprop.data.benchmark_reader import ComposedBenchmark
from coprop.data.labelled import LabelledClip
from coprop.errors import CoPropError
from coprop.evaluation.methods import METHODS, Method, detected, propagated
from coprop.evaluation.runner import evaluate
from coprop.evaluation.store import RESULTS, EvaluationFolder
from coprop.types import ControlPoints
from tools.bench.missed_changes import with_fewer
from tools.paper.layout import TABLES, Figures, Summary, Table, markdown
from tools.paper.training import (
    Lines,
    benchmark,
    compose,
    read_pipeline,
    settings_of,
    train_variants,
)

STAGES = ("compose", "train", "evaluate", "tables")


@dataclass(frozen=True)
class Row:
    """Two trained variants, and how they are used: a name of `METHODS`, or of those below."""

    segmenter: str
    propagator: str
    method: str


ROWS = {
    "all": Row("all frames", "AOT", "cosine"),
    "alone": Row("key frames", "AOT", "alone"),
    "cosine AOT": Row("key frames", "AOT", "cosine"),
    "novelty AOT": Row("key frames", "AOT", "novelty"),
    "novelty 1": Row("key frames", "1 level", "novelty"),
    "seconds": Row("key frames", "4 levels", "seconds"),
    "cosine": Row("key frames", "4 levels", "cosine"),
    "novelty": Row("key frames", "4 levels", "novelty"),
    "true": Row("key frames", "4 levels", "true"),
    "fewer AOT": Row("key frames", "AOT", "fewer"),
    "fewer": Row("key frames", "4 levels", "fewer"),
}
"""By the names that the tables use."""

_MISSING = 1 / 3  # of the control points, in rows of "fewer"


def tables_named(names: Iterable[str]) -> tuple[Table, ...]:
    """The tables of these names, in the paper's order."""
    return tuple(table for table in TABLES if table.name in names)


def rows_of(tables: Iterable[Table]) -> dict[str, Row]:
    """The rows that tables need, by name."""
    needed = {line.row for table in tables for line in table.lines}
    return {name: row for name, row in ROWS.items() if name in needed}


def each_second(clip: LabelledClip) -> ControlPoints:
    """A control point at every whole second, whatever is heard."""
    times_s = np.arange(0.0, clip.audio.duration_s)
    ones = np.ones(len(times_s))
    return ControlPoints(times_s, ones, ones.astype(bool))


def method_named(name: str, pipeline: CoProp) -> Method:
    """A method of the library; "seconds", with a change each second; or "fewer", without some."""
    if name == "seconds":
        return propagated(pipeline, each_second, "coprop, a change each second")
    if name == "fewer":
        found = with_fewer(detected(pipeline.detector), _MISSING)
        return propagated(pipeline, found, "coprop, a third of the control points missing")
    return METHODS[name](pipeline)


def evaluate_row(work: Path, seed: int, name: str, max_segment_s: float | None) -> None:
    """Scores a row of a seed on the test clips; clips that were scored stay.

    Raises:
        CoPropError: models that are not trained, or a row of other ones in the folder.
    """
    row = ROWS[name]
    dataset = ComposedBenchmark(benchmark(work), "test", "moc", "seen")
    pipeline = read_pipeline(work, seed, row.segmenter, row.propagator)
    pipeline.max_segment_s = max_segment_s
    pair = f"segmenter of {row.segmenter}, propagator {row.propagator}, seed {seed}"
    evaluate(
        dataset,
        [method_named(row.method, pipeline)],
        EvaluationFolder(_evaluation(work, seed, name)),
        settings={
            "dataset": dataset.name,
            "num_clips": len(dataset),
            "model": pair,
            "trained": settings_of(work, seed, (row.segmenter, row.propagator)),
            "max_segment_s": max_segment_s,
        },
        progress=Lines(f"evaluate: {pair}, {row.method}, {len(dataset)} clips"),
    )


def read_figures(
    work: Path, seeds: list[int], names: Iterable[str]
) -> tuple[Figures, dict[str, Any]]:
    """The figures of rows by seed, and an evaluation's settings.

    Raises:
        CoPropError: an evaluation is not there yet.
    """
    figures: dict[str, list[Summary]] = {}
    settings: dict[str, Any] = {}
    for name in names:
        for seed in seeds:
            path = _evaluation(work, seed, name) / RESULTS
            if not path.is_file():
                raise CoPropError(
                    f"{path} does not exist: the rows of seed {seed} are not all evaluated. Run "
                    "--only evaluate first, or leave --only out."
                )
            content = json.loads(path.read_text(encoding="utf-8"))
            settings = content["settings"]
            (summary,) = content["methods"].values()
            figures.setdefault(name, []).append(summary)
    return figures, settings


def _evaluation(work: Path, seed: int, name: str) -> Path:
    return work / "evaluations" / f"seed_{seed}" / name.replace(" ", "_")


def heading(seeds: list[int], settings: dict[str, Any]) -> str:
    """What the figures are of, in a sentence or two."""
    steps = [trained["steps"] for trained in settings["trained"].values()]
    clips = {trained["clips"] for trained in settings["trained"].values()}
    longest = settings["max_segment_s"]
    return (
        f"{settings['dataset']}, {settings['num_clips']} clips; {len(seeds)} seeds, each trained "
        f"for {steps[0]} steps (segmenters) and {steps[1]} steps (propagators) on "
        f"{', '.join(map(str, clips))} clips. Longest time between keyframes: "
        f"{'a segment' if longest is None else f'{longest:g} s'}. Control points count within "
        f"{settings['tolerance_s']:g} s, F takes {settings['frames_per_batch']} frame(s) a batch. "
        "The paper's figures are of M3, with other models, and stand there for their order."
    )


def parsed(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sources", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True, help="folder for all that is made")
    names = [table.name for table in TABLES]
    parser.add_argument("--tables", nargs="+", choices=names, default=names, help="by default all")
    parser.add_argument("--seeds", type=int, default=3, help="how many, from 0")
    parser.add_argument("--seed-list", type=int, nargs="+", help="these seeds, in place of --seeds")
    parser.add_argument("--clips", type=int, default=30, help="test clips that are composed")
    parser.add_argument("--train-clips", type=int, default=40, help="of each of moc and m3")
    parser.add_argument(
        "--steps",
        type=int,
        nargs=2,
        default=(100, 200),
        metavar=("SEGMENTER", "PROPAGATOR"),
        help="of each training",
    )
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="over the recipe of all propagators, as in coprop train; may be repeated",
    )
    parser.add_argument(
        "--max-segment",
        type=float,
        default=0.0,
        help="longest time between keyframes, in seconds; 0 for one a segment, as in the paper",
    )
    parser.add_argument("--only", choices=STAGES, help="this stage alone")
    return parser.parse_args(arguments)


def run(options: argparse.Namespace) -> None:
    """The stages that are asked for, one after another."""
    work, stages = options.work, [options.only] if options.only else STAGES
    seeds = options.seed_list or list(range(options.seeds))
    keyframe_steps, propagator_steps = options.steps
    tables = tables_named(options.tables)
    rows = rows_of(tables)
    variants = {name for row in rows.values() for name in (row.segmenter, row.propagator)}
    if "compose" in stages:
        compose(options.sources, work, options.clips, options.train_clips)
    for seed in seeds:
        if "train" in stages:
            train_variants(work, seed, variants, keyframe_steps, propagator_steps, options.set)
    for seed in seeds:
        for name in rows if "evaluate" in stages else ():
            evaluate_row(work, seed, name, options.max_segment or None)
    if "tables" in stages:
        figures, settings = read_figures(work, seeds, rows)
        print(f"{heading(seeds, settings)}\n\n{markdown(tables, figures)}")


def main(arguments: list[str] | None = None) -> int:
    """The exit code: 0 done, 1 something cannot be used, 130 interrupted."""
    options = parsed(arguments)
    try:
        run(options)
    except CoPropError as error:
        print(f"paper_tables: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(f"interrupted; to go on, repeat it ({options.work}).", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
