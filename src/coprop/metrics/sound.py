"""Whether what is masked is what sounds, what is masked in silence, and what sound changes."""

from __future__ import annotations

from typing import Any, Literal, get_args

from torch import Tensor

from coprop.errors import CoPropError
from coprop.metrics.base import FrameMean, FrameMetric, FrameSelection
from coprop.metrics.functional import (
    FOREGROUND_ABOVE,
    aligned_by_identity,
    aligned_by_mask,
    false_area,
    mute_drop,
    silent_area,
    sounding_jaccard,
)
from coprop.metrics.functional.checks import (
    BoolSeries,
    check_pair,
    check_probabilities,
)
from coprop.utils.checks import check_choice

AlignmentForm = Literal["identity", "mask"]
"""How a frame is found to be aligned: by which objects are marked, or by the mask alone."""


class AlignmentRate(FrameMetric):
    """The share of frames in which what is masked is what sounds (paper section 4).

    Args:
        form: "identity" (`aligned_by_identity`), where objects are told apart; or "mask"
            (`aligned_by_mask`). Both with the thresholds that are their defaults.
        selection: which frames count.

    Raises:
        CoPropError: an unknown form or selection; from updates, what those functions reject, or no
            objects for "identity".
    """

    def __init__(
        self, form: AlignmentForm, *, selection: FrameSelection = "all", **kwargs: Any
    ) -> None:
        super().__init__(selection=selection, **kwargs)
        check_choice("form", form, get_args(AlignmentForm))
        self.form = form
        self._tell_apart(form, selection)
        self._add_mean_state()

    def update(
        self,
        probabilities: Tensor,
        target: Tensor,
        objects: Tensor | None = None,
        sounding: Tensor | None = None,
        key_frames: BoolSeries | None = None,
    ) -> None:
        """Adds frames.

        Args:
            probabilities: (N, H, W) float in [0, 1]; above 0.5 is foreground.
            target: (N, H, W) bool or integer.
            objects: (N, O, H, W) bool or integer, for the form "identity".
            sounding: (N, O) bool, likewise.
            key_frames: (N,) bool, for selections of frames.
        """
        truth = (target,) if self.form == "mask" else (target, *_objects(objects, sounding))
        probabilities, *truth_kept = self._selected(key_frames, probabilities, *truth)
        if self._none_of(probabilities):
            return
        check_pair(probabilities, truth_kept[0])
        prediction = probabilities > FOREGROUND_ABOVE
        if self.form == "mask":
            self._add_values(aligned_by_mask(prediction, truth_kept[0]))
        else:
            self._add_values(aligned_by_identity(prediction, *truth_kept[1:]))

    def compute(self) -> Tensor:
        """The share of frames; scalar float64 in [0, 1], NaN where there were none."""
        return self._mean()


class SilentArea(FrameMean):
    """The mean share of the frame that is masked while nothing visible sounds: 0 is best.

    Args:
        selection: which frames count, of those in which nothing sounds.
    """

    higher_is_better = False

    def update(
        self, probabilities: Tensor, target: Tensor, key_frames: BoolSeries | None = None
    ) -> None:
        """Adds frames.

        Args:
            probabilities: (N, H, W) float in [0, 1]; above 0.5 is foreground.
            target: (N, H, W) bool or integer.
            key_frames: (N,) bool, for selections of frames.
        """
        self._add_frames(_silent_area, key_frames, probabilities, target)


class FalseArea(FrameMean):
    """The mean share of the frame that is masked, where nothing is to be: 0 is best.

    For masks that were predicted from noise or from another clip's sound.

    Args:
        selection: which frames count.
    """

    higher_is_better = False

    def update(self, probabilities: Tensor, key_frames: BoolSeries | None = None) -> None:
        """Adds frames.

        Args:
            probabilities: (N, H, W) float in [0, 1]; above 0.5 is foreground.
            key_frames: (N,) bool, for selections of frames.
        """
        self._add_frames(_false_area, key_frames, probabilities)


class SoundingJaccard(FrameMean):
    """The mean J of the frames in which something sounds: `functional.sounding_jaccard`.

    Args:
        selection: which frames count, of those in which something sounds.
    """

    def update(
        self, probabilities: Tensor, target: Tensor, key_frames: BoolSeries | None = None
    ) -> None:
        """Adds frames.

        Args:
            probabilities: (N, H, W) float in [0, 1]; above 0.5 is foreground.
            target: (N, H, W) bool or integer.
            key_frames: (N,) bool, for selections of frames.
        """
        self._add_frames(sounding_jaccard, key_frames, probabilities, target)


class MuteDrop(FrameMean):
    """The mean loss of J when the sound is taken away: `coprop.metrics.functional.mute_drop`.

    Args:
        selection: which frames count, of those in which something sounds.
    """

    plot_lower_bound = -1.0

    def update(
        self,
        probabilities: Tensor,
        muted: Tensor,
        target: Tensor,
        key_frames: BoolSeries | None = None,
    ) -> None:
        """Adds frames.

        Args:
            probabilities: (N, H, W) float in [0, 1], predicted with sound.
            muted: (N, H, W) float in [0, 1], predicted without.
            target: (N, H, W) bool or integer.
            key_frames: (N,) bool, for selections of frames.
        """
        self._add_frames(mute_drop, key_frames, probabilities, muted, target)


def _silent_area(probabilities: Tensor, target: Tensor) -> Tensor:
    check_pair(probabilities, target)
    return silent_area(probabilities > FOREGROUND_ABOVE, target)


def _false_area(probabilities: Tensor) -> Tensor:
    check_probabilities(probabilities)
    return false_area(probabilities > FOREGROUND_ABOVE)


def _objects(objects: Tensor | None, sounding: Tensor | None) -> tuple[Tensor, Tensor]:
    if objects is None or sounding is None:
        raise CoPropError(
            "alignment by identity needs objects (N, O, H, W) and sounding (N, O); where objects "
            "are not told apart, use AlignmentRate('mask')."
        )
    return objects, sounding
