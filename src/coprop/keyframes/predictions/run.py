"""The predictions of a whole test run, clip by clip."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

from coprop.errors import PredictionError
from coprop.keyframes.predictions.layouts import LAYOUTS, LayoutName, find_run
from coprop.keyframes.predictions.model import DISTANCE_S, Missing, Predictions, found_values
from coprop.keyframes.predictions.sources import Pictures
from coprop.keyframes.predictions.values import Values
from coprop.utils.brief import brief, counted
from coprop.utils.checks import check_choice
from coprop.utils.paths import AnyPath, as_path


class PredictionRun:
    """What a published model's test script has written: predictions of many clips, one a second.

    Indexed with a clip's name it gives its `Predictions`; iterated, the names.

    Args:
        folder: that of the run, or the one for predictions inside it.
        layout: whose script has written it, see `LayoutName`; None to find out.
        values: what they mean, see `Values`; found out from the run as a whole where it is None.
        max_distance_s, missing: see `Predictions`.

    Raises:
        PredictionError: no such folder, another layout, two clips of one name, or pictures that
            cannot be read or could mean several things.
    """

    def __init__(
        self,
        folder: AnyPath,
        *,
        layout: LayoutName | None = None,
        values: Values | None = None,
        max_distance_s: float = DISTANCE_S,
        missing: Missing = "error",
    ) -> None:
        self.folder = as_path("predictions", folder, error=PredictionError)
        self._files = find_run(self.folder, layout)
        self.layout: LayoutName = self._files.layout
        self.root = self._files.root
        self.max_distance_s = max_distance_s
        self.missing: Missing = missing
        sources = [self._source(clip) for clip in self._files.clips]
        self.values: Values = found_values(sources) if values is None else values
        check_choice("values", self.values, get_args(Values), error=PredictionError)

    def __len__(self) -> int:
        return len(self._files.clips)

    def __iter__(self) -> Iterator[str]:
        return iter(self._files.clips)

    def __contains__(self, clip: object) -> bool:
        return clip in self._files.clips

    def __repr__(self) -> str:
        told = f"{counted(len(self), 'clip')}, {self.values}, laid out by {self.layout}"
        return f"{type(self).__name__}({brief(str(self.root))}, {told})"

    def __getitem__(self, clip: str) -> Predictions:
        """The predictions of a clip.

        Raises:
            PredictionError: there are none of it, or they cannot be read.
        """
        if clip not in self:
            raise PredictionError(
                f"{self.root} has no predictions of the clip {clip!r}; it has those of "
                f"{counted(len(self), 'clip')}, such as {next(iter(self))!r}."
            )
        return Predictions(
            self._source(clip),
            values=self.values,
            every="second",
            max_distance_s=self.max_distance_s,
            missing=self.missing,
        )

    @property
    def settings(self) -> dict[str, Any]:
        """What makes the predictions what they are, beside the folder, as JSON can hold it."""
        names = ("layout", "values", "max_distance_s", "missing")
        return {name: getattr(self, name) for name in names}

    def paths(self, clip: str) -> tuple[Path, ...]:
        """The files of a clip's predictions, in order."""
        return self._source(clip).paths

    def _source(self, clip: str) -> Pictures:
        name = f"{self.root}, {clip}"
        return Pictures(
            self._files.clips[clip], name, first=LAYOUTS[self.layout].first, padded=True
        )
