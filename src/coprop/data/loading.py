"""Datasets by name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, get_args

from coprop.errors import DatasetError
from coprop.paths import AnyPath

if TYPE_CHECKING:
    from coprop.data.benchmark_reader import Classes
    from coprop.data.labelled import LabelledDataset

DatasetName = Literal["s4", "ms3", "avss", "composed", "benchmark"]


def load_dataset(
    name: DatasetName,
    root: AnyPath,
    split: str = "test",
    *,
    control_points: AnyPath | None = None,
    subset: str | None = None,
    classes: Classes = "all",
) -> LabelledDataset:
    """A labelled dataset: `S4`, `MS3`, `AVSS` of AVSBench, `ComposedClips`, `ComposedBenchmark`.

    Args:
        name: which one.
        root: its folder; for "composed" the sources folder.
        split: "train", "val" or "test"; "composed" and "benchmark" have no "val".
        control_points: flags that were annotated by hand, for AVSBench; see `S4`.
        subset: "s4", "m3" or "moc" of "benchmark"; None for all.
        classes: "seen" or "unseen" in training, of "benchmark"; see `ComposedBenchmark`.

    Raises:
        CoPropError: another name, or what the dataset itself refuses.
    """
    # They load Pillow and PyAV, which this module's importers may not need.
    from coprop.data.avsbench_object import MS3, S4
    from coprop.data.avsbench_semantic import AVSS
    from coprop.data.benchmark_reader import ComposedBenchmark
    from coprop.data.composed_clips import ComposedClips

    if name != "benchmark" and (subset is not None or classes != "all"):
        raise DatasetError(
            f"only the dataset 'benchmark' has subsets and classes to choose from, {name!r} has "
            f"not; leave out subset={subset!r} and classes={classes!r}."
        )
    if name in ("composed", "benchmark"):
        if control_points is not None:
            raise DatasetError("composed clips know their changes; leave control_points= out.")
        if name == "benchmark":
            return ComposedBenchmark(root, split, subset, classes)
        return ComposedClips(root, split=split)
    readers = {"s4": S4, "ms3": MS3, "avss": AVSS}
    if name not in readers:
        raise DatasetError(f"there is no dataset {name!r}; choose one of {get_args(DatasetName)}.")
    return readers[name](root, split, control_points=control_points)
