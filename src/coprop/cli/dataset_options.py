"""The options of commands that read a labelled dataset, and the dataset that they describe."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from coprop.data.labelled import LabelledDataset


class Dataset(str, Enum):
    """The datasets by name."""

    s4 = "s4"
    ms3 = "ms3"
    avss = "avss"
    composed = "composed"
    benchmark = "benchmark"


DatasetOption = Annotated[
    Dataset,
    typer.Option(
        show_default=False,
        help="AVSBench's three, clips composed on the way, or a benchmark composed before.",
    ),
]
RootOption = Annotated[
    Path,
    typer.Option(
        metavar="DIR",
        readable=False,
        show_default=False,
        help="The dataset's folder; for composed clips, the sources they are composed from.",
    ),
]
LimitOption = Annotated[
    int | None,
    typer.Option(
        min=1, metavar="N", show_default="all; 40 composed ones", help="Only the first N clips."
    ),
]
ControlPointsOption = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        readable=False,
        show_default="from the masks",
        help="True control points of AVSBench clips, annotated by hand; see docs/datasets.md.",
    ),
]


def opened_dataset(
    name: Dataset, root: Path, split: str, control_points: Path | None = None
) -> LabelledDataset:
    """The dataset that the options describe.

    Raises:
        CoPropError: it is not there, or not as it should be.
    """
    from coprop.data.loading import load_dataset

    return load_dataset(name.value, root, split, control_points=control_points)


def limited_dataset(
    name: Dataset, root: Path, split: str, limit: int | None, control_points: Path | None = None
) -> LabelledDataset:
    """The first clips of a dataset; of composed clips, so many are composed.

    Raises:
        CoPropError: the dataset is not there, or not as it should be.
    """
    from coprop.data.composed_clips import ComposedClips
    from coprop.data.subsets import subset

    if name is Dataset.composed and limit is not None and control_points is None:
        return ComposedClips(root, count=limit, split=split)
    dataset = opened_dataset(name, root, split, control_points)
    if limit is not None and limit < len(dataset):
        return subset(dataset, range(limit), f"{dataset.name}, first {limit}")
    return dataset
