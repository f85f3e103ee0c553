"""The options of commands that read a labelled dataset, and the dataset that they describe."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from coprop.cli.common import path_option
from coprop.errors import DatasetError

if TYPE_CHECKING:
    from coprop.data.labelled import LabelledDataset


def _known(name: str) -> str:
    from coprop.data.loading import COMPOSED, check_name

    try:
        check_name(name)
    except DatasetError as error:
        if name != COMPOSED:  # was right once, and is answered by where it has gone
            raise typer.BadParameter(str(error)) from error
    return name


class SubsetName(str, Enum):
    """The benchmark's subsets; MOC can be had of other datasets too."""

    all = "all"
    s4 = "s4"
    m3 = "m3"
    moc = "moc"


class SeenClasses(str, Enum):
    """Clips of the benchmark by what training has seen."""

    all = "all"
    seen = "seen"
    unseen = "unseen"


DatasetOption = Annotated[
    str,
    typer.Option(
        metavar="NAME",
        show_default=False,
        callback=_known,
        help="s4, ms3 or avss of AVSBench; benchmark, composed before; or module:function, which "
        "makes a dataset from folder, split and limit.",
    ),
]
RootOption = Annotated[Path, path_option(metavar="DIR", help="The dataset's folder.")]
SplitOption = Annotated[str, typer.Option(metavar="NAME", help="Part of the dataset.")]
SubsetOption = Annotated[
    SubsetName,
    typer.Option(
        help="s4, m3 or moc of the benchmark. moc of another dataset: only clips in which the "
        "sounding objects change."
    ),
]
SeenClassesOption = Annotated[
    SeenClasses,
    typer.Option(
        help="Of the benchmark: only clips whose sounding objects are all of groups seen in "
        "training, or only the others."
    ),
]
LimitOption = Annotated[
    int | None, typer.Option(min=1, metavar="N", show_default="all", help="Only the first N clips.")
]
ControlPointsOption = Annotated[
    Path | None,
    path_option(
        metavar="FILE",
        help="True control points of AVSBench clips, annotated by hand; see docs/datasets.md.",
        default="from the masks",
    ),
]


def chosen_dataset(
    name: str,
    root: Path,
    split: str,
    *,
    limit: int | None = None,
    control_points: Path | None = None,
    subset: SubsetName = SubsetName.all,
    classes: SeenClasses = SeenClasses.all,
) -> LabelledDataset:
    """The first clips of a part of a dataset.

    Raises:
        CoPropError: the dataset is not there or not as it should be, or has no such part.
    """
    from coprop.data.loading import load_dataset
    from coprop.data.subsets import Subset, moc

    changing = subset is SubsetName.moc and name != "benchmark"
    dataset = load_dataset(
        name,
        root,
        split,
        control_points=control_points,
        subset=None if changing or subset is SubsetName.all else subset.value,
        classes=classes.value,
        limit=None if changing else limit,  # of which clips things change is not known before
    )
    if changing:
        dataset = moc(dataset)
    if limit is not None and limit < len(dataset):
        return Subset(dataset, range(limit), f"{dataset.name}, first {limit}")
    return dataset
