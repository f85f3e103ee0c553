"""The models that can be chosen on the page, by name."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import Any

import torch

from coprop.control_points.detector import ControlPointDetector
from coprop.errors import CoPropError
from coprop.keyframes.adapters.registry import as_keyframe_model
from coprop.keyframes.segmenter import KeyframeSegmenter
from coprop.pipeline import DEFAULT_MAX_SEGMENT_S, WEIGHTS, CoProp
from coprop.propagation.propagator import AudioInsertPropagator

Makers = Mapping[str, Callable[[], Any]]
"""What fills a slot, by the name that the page shows; the first is the default."""


class Choices:
    """Makes pipelines of models that are named; each model is loaded once, when it is first used.

    Args:
        detectors: what finds control points.
        segmenters: what masks keyframes; functions and published networks, too, as
            `coprop.CoProp.wrap` takes them.
        propagators: what carries masks on.
        device: where they run.

    Raises:
        CoPropError: nothing to choose from for one of the three.
    """

    def __init__(
        self,
        detectors: Makers,
        segmenters: Makers,
        propagators: Makers,
        device: torch.device | str = "cpu",
    ) -> None:
        slots = {"detectors": detectors, "segmenters": segmenters, "propagators": propagators}
        for slot, makers in slots.items():
            if not makers:
                raise CoPropError(f"{slot} must name one at least, got none.")
        self._slots = slots
        self._device = device
        self._made: dict[tuple[str, str], Any] = {}
        self._making = threading.Lock()

    def names(self, slot: str) -> list[str]:
        """The names to choose from, the default first.

        Args:
            slot: "detectors", "segmenters" or "propagators".
        """
        return list(self._slots[slot])

    def pipeline(self, detector: str, segmenter: str, propagator: str) -> CoProp:
        """The pipeline of the models with these names.

        Raises:
            CoPropError: there is no such name.
        """
        return CoProp(
            self._part("segmenters", segmenter),
            detector=self._part("detectors", detector),
            propagator=self._part("propagators", propagator),
            max_segment_s=DEFAULT_MAX_SEGMENT_S,
            device=self._device,
        )

    def default(self) -> CoProp:
        """The pipeline of the first model of each kind."""
        return self.pipeline(*(self.names(slot)[0] for slot in self._slots))

    def _part(self, slot: str, name: str) -> Any:
        makers = self._slots[slot]
        if not isinstance(name, str) or name not in makers:
            raise CoPropError(
                f"there is none of the {slot} with the name {name!r:.60}; there are "
                f"{', '.join(makers)}."
            )
        with self._making:
            if (slot, name) not in self._made:
                made = makers[name]()
                self._made[slot, name] = as_keyframe_model(made) if slot == "segmenters" else made
            return self._made[slot, name]


def offline_choices(device: torch.device | str = "cpu") -> Choices:
    """The models that come with the package, which need no network.

    Others are added here: a name, and a function without arguments that makes what
    `coprop.CoProp` takes.

    Args:
        device: where they run.
    """
    return Choices(
        detectors={
            "novelty: any change of sound": ControlPointDetector.novelty,
            "cosine: the paper's baseline": ControlPointDetector.cosine,
            "events: a change of what is named": ControlPointDetector.events,
        },
        segmenters={
            "coprop's own": lambda: KeyframeSegmenter.from_pretrained(
                WEIGHTS / "keyframe_segmenter"
            ).to(device),
        },
        propagators={
            "coprop's own": lambda: AudioInsertPropagator.from_pretrained(
                WEIGHTS / "propagator"
            ).to(device),
        },
        device=device,
    )
