"""Datasets by name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, cast, get_args

from coprop.errors import DatasetError
from coprop.utils.callables import function_named
from coprop.utils.checks import shown, whole
from coprop.utils.paths import AnyPath, as_path

if TYPE_CHECKING:
    from coprop.data.benchmark_reader import Classes
    from coprop.data.labelled import LabelledDataset

DatasetName = Literal["s4", "ms3", "avss", "benchmark"]
COMPOSED = "composed"
"""The name that clips composed while they are read had as long as the package composed."""


def load_dataset(
    name: DatasetName | str,
    root: AnyPath,
    split: str = "test",
    *,
    control_points: AnyPath | None = None,
    subset: str | None = None,
    classes: Classes = "all",
    limit: int | None = None,
) -> LabelledDataset:
    """A labelled dataset: `S4`, `MS3`, `AVSS` of AVSBench, `ComposedBenchmark`, or one of your own.

    Args:
        name: which one; ``module:function`` for your own: the function is called with the folder as
            a `pathlib.Path`, the split and ``limit``, and returns a `LabelledDataset`. Modules are
            looked for in the current folder too.
        root: its folder.
        split: "train", "val" or "test"; of "benchmark" "validation" too, which is its "val".
        control_points: flags that were annotated by hand, for AVSBench; see `S4`.
        subset: "s4", "m3" or "moc" of "benchmark"; None for all.
        classes: "seen" or "unseen" in training, of "benchmark"; see `ComposedBenchmark`.
        limit: how many clips your own dataset need have, for one that makes them; no other looks
            at it.

    Raises:
        CoPropError: another name, or what the dataset itself refuses.
    """
    # They load Pillow and PyAV, which this module's importers may not need.
    from coprop.data.avsbench_object import MS3, S4
    from coprop.data.avsbench_semantic import AVSS
    from coprop.data.benchmark_reader import ComposedBenchmark

    check_name(name)
    chosen = {"subset": subset} if subset is not None else {}
    chosen |= {"classes": classes} if classes != "all" else {}
    if name != "benchmark" and chosen:
        given = " and ".join(f"{option} {shown(value)}" for option, value in chosen.items())
        raise DatasetError(
            f"only the dataset 'benchmark' has subsets and classes to choose from, {name!r} has "
            f"not; leave out {given}."
        )
    readers = {"s4": S4, "ms3": MS3, "avss": AVSS}
    if name in readers:
        return readers[name](root, split, control_points=control_points)
    if control_points is not None:
        raise DatasetError(
            f"files of control points are for AVSBench, {name!r} knows its own changes; leave "
            f"out {control_points}."
        )
    if name == "benchmark":
        return ComposedBenchmark(root, split, subset, classes)
    make = function_named(name, "--dataset", arguments=("root", "split", "limit"))
    made = make(as_path("root", root, error=DatasetError), split, limit)
    if not all(hasattr(made, part) for part in ("name", "num_classes", "__len__", "__getitem__")):
        raise DatasetError(
            f"{name}() returned {type(made).__name__}; it must return a dataset with name, "
            "num_classes, len() and clips by number."
        )
    wanted = "a whole number: 1 for binary masks, or how many classes there are with background"
    whole(f"num_classes of {name}", made.num_classes, wanted, low=1, high=256, error=DatasetError)
    return cast("LabelledDataset", made)


def check_name(name: str) -> None:
    """Refuses what stands for no dataset.

    Raises:
        DatasetError: neither a name of `DatasetName` nor ``module:function``.
    """
    if name == COMPOSED:
        raise DatasetError(
            "clips that are composed while they are read belong to the project's tools and not to "
            "the package: in a checkout of the project, give the dataset tools.benchmark:composed."
        )
    if name not in get_args(DatasetName) and not (isinstance(name, str) and ":" in name):
        raise DatasetError(
            f"there is no dataset {name!r}; choose one of {get_args(DatasetName)}, or give "
            "module:function for one of your own."
        )
