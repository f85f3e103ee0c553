"""Cutie as propagator, for those who have it installed.

Cutie (https://github.com/hkchengrex/Cutie, MIT) is a package of its own with weights of its own;
here its inference loop is put in the propagator's slot. Memory is bounded by its configuration.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from importlib import import_module
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from coprop.errors import CoPropError
from coprop.propagation.checks import single_start, single_step
from coprop.propagation.masks import Size, count_objects, resize_frame, to_probabilities
from coprop.utils.brief import Brief

_LEAST = 1e-7  # of a probability before its logarithm, as Cutie's own clamp: logits stay finite


@dataclass(eq=False)
class _Memory:
    """Cutie's inference core, which every frame changes, and how many frames it has seen."""

    core: Any
    frames: int = 0


@dataclass(frozen=True, eq=False, repr=False)
class CutieState(Brief):
    """How far from a keyframe Cutie is. It can be stepped from once, since that changes its memory.

    Args:
        memory: the inference core; all states after one `start` share it.
        frames: how many frames it had seen; the keyframe is the first.
        num_objects: K.
        size: (height, width) of the keyframe, at which all frames are processed.
    """

    memory: _Memory
    frames: int
    num_objects: int
    size: Size


class CutiePropagator(nn.Module):
    """Follows a keyframe's objects with Cutie; it uses no sound.

    Frames are (1, 3, H, W) float RGB in [0, 1]; audio is not looked at and may be None. Masks are
    labels (1, H, W), 0 for background and 255 for void, or probabilities (1, K + 1, H, W), which
    Cutie takes as they are. Masks and frames of other sizes are resized to the keyframe's.

    Each `start` makes a new inference core; several may be followed side by side. A state
    can be stepped from once: the core is changed by each frame.

    Args:
        network: a `cutie.model.cutie.CUTIE` with its weights, such as Cutie's
            ``get_default_model()`` returns. It is put in evaluation mode; its device and dtype are
            the propagator's.
        config: what Cutie's ``InferenceCore`` takes; by default ``network.cfg``. Memory is bounded
            by its ``max_mem_frames``, or with ``use_long_term`` by ``long_term``.

    Raises:
        CoPropError: Cutie cannot be imported, or there is no configuration.

    Example:
        >>> from cutie.utils.get_default_model import get_default_model  # doctest: +SKIP
        >>> propagator = CutiePropagator(get_default_model())  # doctest: +SKIP
        >>> state = propagator.start(frame, None, mask)  # doctest: +SKIP
        >>> logits, state = propagator.step(next_frame, None, state)  # doctest: +SKIP
    """

    # It looks at no sound; the slot asks how much it takes, and this is little to cut out.
    sample_rate: int = 16_000  # Hz
    window_s: float = 0.1

    def __init__(self, network: nn.Module, config: Any = None) -> None:
        super().__init__()
        self._core_type = _inference_core()
        self.network = network.eval()
        self.config = getattr(network, "cfg", None) if config is None else config
        if self.config is None:
            raise CoPropError(
                f"the network, a {type(network).__name__}, has no cfg; give Cutie's configuration: "
                "CutiePropagator(network, config)."
            )

    @torch.inference_mode()
    def start(self, frame: Tensor, audio: Tensor | None, mask: Tensor) -> CutieState:
        """Begin at a keyframe, as `Propagator.start`.

        K is the mask's highest label, or its channels less one.

        Raises:
            ShapeError: shapes, types or value ranges other than the class describes, or B > 1.
        """
        frame, mask = single_start(frame, mask)
        num_objects, size = count_objects(mask, None), (frame.shape[-2], frame.shape[-1])
        image = self._image(frame, size)
        memory = _Memory(self._core_type(self.network, cfg=self.config), frames=1)
        if num_objects:
            probabilities = to_probabilities(mask.to(image.device), num_objects, size, image.dtype)
            objects = list(range(1, num_objects + 1))
            memory.core.step(image, probabilities[0, 1:], objects=objects, idx_mask=False)
        return CutieState(memory, memory.frames, num_objects, size)

    @torch.inference_mode()
    def step(
        self,
        frame: Tensor,
        audio: Tensor | None,
        state: CutieState,
        *,
        output_size: Size | None = None,
    ) -> tuple[Tensor, CutieState]:
        """Follow the objects into the next frame, as `Propagator.step`.

        Returns:
            Logits (1, K + 1, H, W), background first: the logarithms of Cutie's probabilities. And
            the state after this frame.

        Raises:
            ShapeError: shapes, types or value ranges other than the class describes, or B > 1.
            CoPropError: a state that was stepped from before.
        """
        frame, size = single_step(frame, output_size)
        memory = state.memory
        if memory.frames != state.frames:
            raise CoPropError(
                f"this state was stepped from already: it is of frame {state.frames} of its "
                f"segment, and Cutie's memory has seen {memory.frames}. Step from the state that "
                "the last step returned, or begin again with start()."
            )
        image = self._image(frame, state.size)
        memory.frames += 1
        if state.num_objects == 0:
            logits = image.new_zeros(1, 1, *size)
        else:
            probabilities = memory.core.step(image)[None].float()
            if probabilities.shape[-2:] != size:
                probabilities = F.interpolate(
                    probabilities, size, mode="bilinear", align_corners=False
                )
            logits = probabilities.clamp_min(_LEAST).log()
        return logits, replace(state, frames=memory.frames)

    def _image(self, frame: Tensor, size: Size) -> Tensor:
        """(3, H, W) as the network's parameters are; Cutie normalises by itself."""
        return resize_frame(frame.to(next(self.network.parameters())), size)[0]


def _inference_core() -> Any:
    try:
        return import_module("cutie.inference.inference_core").InferenceCore
    except ImportError as error:
        raise CoPropError(
            f"CutiePropagator needs Cutie, which cannot be imported ({error}). Clone the "
            "repository hkchengrex/Cutie and run `pip install -e .` in it."
        ) from error
