"""SAM 2, EdgeTAM and SAM 3's tracker as propagators, through transformers.

All remember the keyframe and the last frames, and follow each object by itself. Transformers'
inference sessions keep all frames and outputs; here a session lives for one frame, and the state
holds what the next frame's memory attention can look at, and nothing more.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from coprop.checkpoints.transformers_models import Kind, Wanted, load
from coprop.encoders.visual import normalised
from coprop.errors import CoPropError
from coprop.propagation.checks import single_start, single_step
from coprop.propagation.masks import Size, count_objects, to_probabilities
from coprop.utils.brief import Brief
from coprop.utils.paths import AnyPath

WANTED = Wanted(
    "SAM 2, EdgeTAM or SAM 3",
    {
        "sam2_video": Kind("Sam2VideoModel"),
        "edgetam_video": Kind("EdgeTamVideoModel"),
        "sam3_tracker_video": Kind("Sam3TrackerVideoModel"),
        "sam3_video": Kind("Sam3TrackerVideoModel"),  # the tracker of a folder that holds both
    },
    "facebook/sam2.1-hiera-tiny",
)
_FAMILIES = ("sam2_video", "edgetam_video", "sam3_tracker_video")
_CENTRED = "sam3_tracker_video"  # the family whose pictures have mean and deviation 0.5, as its
# processor has them; the others take ImageNet's
_SHOWS = 0.5  # an object's probability from which it is likelier than not
_POINTER = "object_pointer"
_MEMORY = ("maskmem_features", "maskmem_pos_enc")

Outputs = Mapping[str, Tensor]
"""What the model remembers of one object in one frame, by transformers' names."""


@dataclass(frozen=True, eq=False, repr=False)
class Sam2State(Brief):
    """Memory since a keyframe: a value, which steps share and never change.

    Args:
        keyframe: for each of the K objects, what is remembered of it in the keyframe.
        recent: for each object, what is remembered of the last frames, by their number.
        frame_number: of the last frame; the keyframe's is 0.
    """

    keyframe: tuple[Outputs, ...]
    recent: tuple[Mapping[int, Outputs], ...]
    frame_number: int


class Sam2Propagator(nn.Module):
    """Follows a keyframe's objects with SAM 2, EdgeTAM or SAM 3's tracker; it uses no sound.

    Frames are (1, 3, H, W) float RGB in [0, 1]; audio is not looked at and may be None. Masks are
    labels (1, H, W), 0 for background and 255 for void, or probabilities (1, K + 1, H, W), of
    any size; of these the model sees the likeliest object at each place. Frames and masks are
    shown to it resized to the square of its configuration, for the official weights 1024 pixels, or
    1008 of SAM 3. A frame is encoded once for all objects; attention to memory and masks are
    computed object by object, as transformers' models do it.

    States are values: any may be stepped from again. Memory does not grow with time. For
    each object it holds the keyframe, feature maps of the last ``num_maskmem`` - 1 frames and one
    vector for each of the last ``max_object_pointers_in_encoder`` - 1, the numbers being the
    model's configuration's: all that its memory attention looks at, so that masks are the same as
    with everything kept.

    Args:
        model: a `Sam2VideoModel`, `EdgeTamVideoModel` or `Sam3TrackerVideoModel` of transformers.
            It is put in evaluation mode; its device and dtype are the propagator's.
        image_processor: prepares frames, rounded to 8 bits, in place of the propagator: the image
            processor of transformers that another part is shown the same frames by.

    Raises:
        CoPropError: another model.

    Example:
        >>> propagator = Sam2Propagator.from_pretrained(
        ...     "facebook/sam2.1-hiera-tiny"
        ... )  # doctest: +SKIP
        >>> state = propagator.start(frame, None, mask)  # doctest: +SKIP
        >>> logits, state = propagator.step(next_frame, None, state)  # doctest: +SKIP
    """

    # It looks at no sound; the slot asks how much it takes, and this is little to cut out.
    sample_rate: int = 16_000  # Hz
    window_s: float = 0.1

    def __init__(self, model: nn.Module, *, image_processor: Any = None) -> None:
        super().__init__()
        kind = getattr(getattr(model, "config", None), "model_type", None)
        if kind not in _FAMILIES:
            raise CoPropError(
                "Sam2Propagator takes a Sam2VideoModel, an EdgeTamVideoModel or a "
                f"Sam3TrackerVideoModel of transformers, got {type(model).__name__}; "
                "Sam2Propagator.from_pretrained() loads one."
            )
        self.model: Any = model.eval()
        self._image_processor = image_processor

    @classmethod
    def from_pretrained(
        cls,
        folder_or_hub_id: AnyPath,
        *,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
        local_files_only: bool = False,
    ) -> Sam2Propagator:
        """The model in a folder that transformers' ``save_pretrained`` wrote, or on the hub.

        No network is used for a folder. Of the files, config.json and the weights are read.

        Args:
            folder_or_hub_id: such as "facebook/sam2.1-hiera-tiny", "yonigozlan/EdgeTAM-hf" or
                "facebook/sam3", of which the tracker is read.
            device: where to put it; the CPU by default.
            dtype: of its weights; as they are stored by default.
            local_files_only: never ask the hub; what was fetched before is found.

        Raises:
            CheckpointError: transformers is not installed, there is no such model, it is gated, its
                files are damaged or lack tensors, or it is another kind of model.
            CoPropError: no such device, or no dtype of floats.
        """
        found = load(
            folder_or_hub_id,
            WANTED,
            device=device,
            dtype=dtype,
            local_files_only=local_files_only,
        )
        return cls(found.model)

    @torch.inference_mode()
    def start(self, frame: Tensor, audio: Tensor | None, mask: Tensor) -> Sam2State:
        """Begin at a keyframe, as `Propagator.start`.

        K is the mask's highest label, or its channels less one.

        Raises:
            ShapeError: shapes, types or value ranges other than the class describes, or B > 1.
        """
        frame, mask = single_start(frame, mask)
        session = self._session()
        for index, own in enumerate(self._object_masks(mask)):
            session.add_mask_inputs(session.obj_id_to_idx(index), 0, own[None, None])
        session.obj_with_new_inputs = list(session.obj_ids)
        if session.obj_ids:
            self._run(session, frame, 0)
        return self._memory(session, 0)

    @torch.inference_mode()
    def step(
        self,
        frame: Tensor,
        audio: Tensor | None,
        state: Sam2State,
        *,
        output_size: Size | None = None,
    ) -> tuple[Tensor, Sam2State]:
        """Follow the objects into the next frame, as `Propagator.step`.

        The model gives each object a logit of its own, and those of K objects are (0, l1, ..., lK):
        an object shows where it is likelier than not by itself, and likelier than the others.

        Returns:
            Float logits (1, K + 1, H, W), background first, and the state after this frame.

        Raises:
            ShapeError: shapes, types or value ranges other than the class describes, or B > 1.
        """
        frame, size = single_step(frame, output_size)
        number = state.frame_number + 1
        session = self._session(state)
        if not session.obj_ids:
            logits = torch.zeros(1, 1, *size, device=self.model.device)
            return logits, self._memory(session, number)
        masks = self._run(session, frame, number).float()
        objects = F.interpolate(masks, size, mode="bilinear", align_corners=False)
        logits = torch.cat((torch.zeros_like(objects[:1]), objects)).transpose(0, 1)
        return logits, self._memory(session, number)

    def _session(self, state: Sam2State | None = None) -> Any:
        """A session for one frame, which knows what the state does."""
        from transformers import Sam2VideoInferenceSession  # transformers runs EdgeTAM in it too

        device = self.model.device
        session = Sam2VideoInferenceSession(
            inference_device=device,
            inference_state_device=device,
            video_storage_device=device,
            dtype=self.model.dtype,
        )
        if state is None:
            return session
        for index, (keyframe, recent) in enumerate(zip(state.keyframe, state.recent, strict=True)):
            outputs = session.output_dict_per_obj[session.obj_id_to_idx(index)]
            outputs["cond_frame_outputs"][0] = keyframe
            outputs["non_cond_frame_outputs"].update(recent)
        return session

    def _run(self, session: Any, frame: Tensor, number: int) -> Tensor:
        """The objects' logits (K, 1, h, w), small; the session remembers them."""
        if self.model.training:
            raise CoPropError("the model is in training mode; call eval() on the propagator.")
        masks: Tensor = self.model(session, frame_idx=number, frame=self._pixels(frame)).pred_masks
        return masks

    def _memory(self, session: Any, number: int) -> Sam2State:
        """Of a session that has just seen a frame, what the next one can look at."""
        outputs = list(session.output_dict_per_obj.values())
        keyframe = (_select(own["cond_frame_outputs"][0], (*_MEMORY, _POINTER)) for own in outputs)
        recent = (self._recent(own["non_cond_frame_outputs"], number + 1) for own in outputs)
        return Sam2State(tuple(keyframe), tuple(recent), number)

    def _recent(self, outputs: Mapping[int, Outputs], upcoming: int) -> Mapping[int, Outputs]:
        """Of one object's frames, what memory attention can look at in the upcoming frame."""
        config = self.model.config
        recent = {}
        for number, own in outputs.items():
            age = upcoming - number
            names = _MEMORY if age < config.num_maskmem else ()
            if age < config.max_object_pointers_in_encoder:
                names = (*names, _POINTER)
            if names:
                recent[number] = _select(own, names)
        return recent

    def _pixels(self, frame: Tensor) -> Tensor:
        if self._image_processor is not None:
            whole = (frame.clamp(0, 1) * 255).round().to(self.model.device, torch.uint8)
            pixels: Tensor = self._image_processor(images=list(whole), return_tensors="pt")[
                "pixel_values"
            ]
            return pixels.to(self.model.device, self.model.dtype)
        square = self._square(frame.to(self.model.device, torch.float32))
        centred = self.model.config.model_type == _CENTRED
        return (square - 0.5) / 0.5 if centred else normalised(square)

    def _object_masks(self, mask: Tensor) -> Tensor:
        """(K, S, S) of 0 and 1 at the model's size."""
        mask = mask.to(self.model.device)
        num_objects = count_objects(mask, None)
        labels = mask.max(dim=1).indices if mask.ndim == 4 else mask
        size = (mask.shape[-2], mask.shape[-1])
        objects = to_probabilities(labels, num_objects, size, torch.float32)[:, 1:]
        # Hard, since a trace of probability anywhere makes the model think that the object shows.
        return (self._square(objects) >= _SHOWS).float()[0] if num_objects else objects[0]

    def _square(self, image: Tensor) -> Tensor:
        side = self.model.config.image_size
        return F.interpolate(
            image, (side, side), mode="bilinear", antialias=True, align_corners=False
        )


def _select(outputs: Outputs, names: tuple[str, ...]) -> Outputs:
    return {name: outputs[name] for name in names}
