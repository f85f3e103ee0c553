"""The Audio-Insert Propagator (paper section 3.4): a keyframe's masks, carried through its segment.

state = propagator.start(keyframe, audio, mask)
logits, state = propagator.step(frame, audio, state)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Protocol

import torch
from torch import Tensor

from coprop.propagation.checks import (
    as_mask,
    as_tensor,
    check_audio,
    check_clip,
    check_frame,
    check_mask,
    check_output_size,
    check_state,
)
from coprop.propagation.lstt import Draft
from coprop.propagation.masks import (
    Size,
    aggregate,
    count_objects,
    resize_frame,
    split_groups,
    to_probabilities,
    working_size,
)
from coprop.propagation.memory import GroupMemory, LongTermMemory, PropagationState
from coprop.propagation.network import FrameFeatures, resize_logits
from coprop.propagation.pretrained import PretrainedNetwork


class Propagator(Protocol):
    """What carries a keyframe's mask through the frames after it. Any object with these will do.

    The pipeline follows one clip, so B = 1, and gives frames of one size between one `start` and
    the next, their longer side at most its ``working_edge``.
    """

    @property
    def sample_rate(self) -> int:
        """Sample rate of the audio that it takes, in Hz."""
        ...

    @property
    def window_s(self) -> float:
        """How much sound it takes with each frame, in seconds."""
        ...

    def start(self, frame: Tensor, audio: Tensor | None, mask: Tensor) -> Any:
        """A state that knows the keyframe.

        Args:
            frame: (1, 3, h, w) float RGB in [0, 1].
            audio: (1, n) float samples, ``window_s`` around the frame at ``sample_rate``.
            mask: (1, K + 1, h, w) float probabilities, background first, K >= 1.
        """
        ...

    def step(
        self, frame: Tensor, audio: Tensor | None, state: Any, *, output_size: Size | None = None
    ) -> tuple[Tensor, Any]:
        """The next frame's objects.

        Args:
            frame: (1, 3, h, w), as in `start`.
            audio: (1, n), as in `start`.
            state: what `start`, or the step before, returned.
            output_size: (height, width) of the logits where it is not the frame's; the pipeline
                leaves it out.

        Returns:
            Finite logits (1, K + 1, h, w), before the softmax, and the state after the frame.
        """
        ...


class AudioInsertPropagator(PretrainedNetwork):
    """Follows the objects of a keyframe from frame to frame, led by each frame's own sound.

    Frames are (B, 3, H, W) float RGB in [0, 1]; audio is (B, n) float samples at ``sample_rate``,
    ``window_s`` of them around the frame, and is not looked at where ``config.insert_levels`` is
    empty. Masks are labels (B, H, W), 0 for background and 255 for void, or probabilities
    (B, K + 1, H, W), of any size; in binary masks, of 0 and 255 only or of one channel
    (B, 1, H, W), that is the object. Arrays of numpy are taken for tensors. B segments run as one
    batch; they share the number of objects.

    Weights come from `from_pretrained` (a folder or the hub) or `from_checkpoint` (official files).

    Args:
        config: architecture and memory; the small model's by default.
    """

    @property
    def sample_rate(self) -> int:
        """Sample rate of the audio, in Hz."""
        return self.audio_insert.encoder.sample_rate if self.audio_insert else 16000

    @property
    def window_s(self) -> float:
        """How much sound goes with a frame, in seconds."""
        return self.audio_insert.encoder.window_s if self.audio_insert else 1.0

    @torch.inference_mode()
    def start(
        self, frame: Tensor, audio: Tensor | None, mask: Tensor, *, num_objects: int | None = None
    ) -> PropagationState:
        """Begin a segment at its keyframe.

        Args:
            frame: the keyframe.
            audio: its sound.
            mask: its objects.
            num_objects: K; by default the highest label, or the mask's channels less one.

        Raises:
            ShapeError: shapes, types or value ranges other than the class describes.
            AudioError: no audio, where the propagator needs it, or samples that are not finite.
        """
        frame, audio, mask = _tensors(frame, audio, mask)
        self._check(frame, audio)
        check_mask(mask, frame.shape[0], num_objects)
        return self._start(frame, audio, mask, count_objects(mask, num_objects))

    @torch.inference_mode()
    def step(
        self,
        frame: Tensor,
        audio: Tensor | None,
        state: PropagationState,
        *,
        output_size: Size | None = None,
    ) -> tuple[Tensor, PropagationState]:
        """Follow the objects into the next frame.

        Args:
            frame: the frame, of any size.
            audio: its sound.
            state: what `start`, or the step before, returned.
            output_size: (height, width) of the logits; by default the frame's.

        Returns:
            Logits (B, K + 1, H, W), background first, and the state after this frame.

        Raises:
            ShapeError: shapes, types or value ranges other than the class describes.
            AudioError: no audio, where the propagator needs it, or samples that are not finite.
        """
        frame, audio, _ = _tensors(frame, audio, None)
        self._check(frame, audio, state)
        check_output_size(output_size)
        return self._step(frame, audio, state, output_size or frame.shape[-2:])

    @torch.inference_mode()
    def add(
        self,
        frame: Tensor,
        audio: Tensor | None,
        mask: Tensor,
        state: PropagationState,
        *,
        num_objects: int | None = None,
    ) -> PropagationState:
        """Make the frame just stepped to a further reference, for new objects or better masks.

        Args:
            frame: the frame that `step` was last given.
            audio: its sound.
            mask: all objects in it: the old ones under their numbers, new ones after them.
            state: the state that this step returned.
            num_objects: K from now on; by default what the mask and the state tell.

        Raises:
            ShapeError: as for `start`.
            AudioError: as for `start`.
        """
        frame, audio, mask = _tensors(frame, audio, mask)
        self._check(frame, audio, state)
        check_mask(mask, frame.shape[0], num_objects)
        num_objects = max(state.num_objects, count_objects(mask, num_objects))
        return self._add(frame, audio, mask, replace(state, num_objects=num_objects))

    def unroll(
        self,
        frames: Tensor,
        audio: Tensor | None,
        first_mask: Tensor,
        *,
        num_objects: int | None = None,
        masks: Sequence[Tensor | None] | None = None,
    ) -> list[Tensor]:
        """Run a clip with gradients, for training.

        Identities that a clip has no object for are trained as well where ``num_objects`` is
        ``max_objects`` and the labels are drawn at random from 1 to ``max_objects``.

        Args:
            frames: (B, T, 3, H, W), the keyframe first.
            audio: (B, T, n).
            first_mask: the keyframe's objects.
            num_objects: as for `start`.
            masks: for each of frames 1 to T - 1, the mask that memory keeps of it instead of the
                prediction's labels, or None for these.

        Returns:
            Logits (B, K + 1, H, W) of frames 1 to T - 1.
        """
        check_clip(frames, audio)
        sounds = [None] * frames.shape[1] if audio is None else audio.unbind(1)
        self._check(frames[:, 0], sounds[0])
        check_mask(first_mask, frames.shape[0], num_objects)
        num_objects = count_objects(first_mask, num_objects)
        state = self._start(frames[:, 0], sounds[0], first_mask, num_objects)
        outputs = []
        for t in range(1, frames.shape[1]):
            kept = masks[t - 1] if masks is not None else None
            logits, state = self._step(frames[:, t], sounds[t], state, frames.shape[-2:], kept)
            outputs.append(logits)
        return outputs

    def _start(
        self, frame: Tensor, audio: Tensor | None, mask: Tensor, num_objects: int
    ) -> PropagationState:
        height, width = frame.shape[-2:]
        size = working_size(height, width, self.config.max_long_edge)
        state = PropagationState((), num_objects, step_index=0, size=size)
        return self._add(frame, audio, mask, state)

    def _add(
        self, frame: Tensor, audio: Tensor | None, mask: Tensor, state: PropagationState
    ) -> PropagationState:
        features = self._see(frame, audio, state.size)
        capacity, step_index = self.config.max_memory_frames, state.step_index
        memories = []
        for i, group in enumerate(self._groups(mask, state)):
            entry = self.refer(features, group)
            if i < len(state.memories):
                long_term = state.memories[i].long_term.write(entry, step_index, is_reference=True)
            else:
                long_term = LongTermMemory.holding(entry, step_index, capacity)
            memories.append(GroupMemory(long_term, short_term=entry))
        return replace(state, memories=tuple(memories))

    def _step(
        self,
        frame: Tensor,
        audio: Tensor | None,
        state: PropagationState,
        output_size: Sequence[int],
        kept_mask: Tensor | None = None,
    ) -> tuple[Tensor, PropagationState]:
        features = self._see(frame, audio, state.size)
        groups, drafts = [], []
        for i, memory in enumerate(state.memories):
            logits, draft = self.propagate(features, memory.long_term.read(), memory.short_term)
            own = min(self.config.max_objects, state.num_objects - i * self.config.max_objects)
            groups.append(resize_logits(logits[:, : 1 + own].float(), output_size))
            drafts.append(draft)
        logits = aggregate(groups)
        mask = logits.argmax(1) if kept_mask is None else kept_mask
        return logits, self._remember(features, drafts, mask, state)

    def _remember(
        self,
        features: FrameFeatures,
        drafts: Sequence[Draft],
        mask: Tensor,
        state: PropagationState,
    ) -> PropagationState:
        """The state after a frame whose mask is now known."""
        step_index = state.step_index + 1
        memories = []
        for memory, draft, group in zip(
            state.memories, drafts, self._groups(mask, state), strict=True
        ):
            entry, long_term = self.remember(draft, features, group), memory.long_term
            if step_index - long_term.last_step >= self.config.long_term_gap:
                long_term = long_term.write(entry, step_index)
            memories.append(GroupMemory(long_term, short_term=entry))
        return replace(state, memories=tuple(memories), step_index=step_index)

    def _see(self, frame: Tensor, audio: Tensor | None, size: Size) -> FrameFeatures:
        weight = self.encoder_projector.weight
        samples = None if audio is None else audio.to(weight.device)
        return self.encode(resize_frame(frame.to(weight), size), samples)

    def _groups(self, mask: Tensor, state: PropagationState) -> list[Tensor]:
        """The mask as the identity bank takes it, for each group of objects."""
        weight = self.encoder_projector.weight
        mask = mask.to(weight.device)
        probabilities = to_probabilities(mask, state.num_objects, state.size, weight.dtype)
        return split_groups(probabilities, self.config.max_objects)

    def _check(
        self, frame: Tensor, audio: Tensor | None, state: PropagationState | None = None
    ) -> None:
        check_frame(frame)
        if state is not None:
            check_state(state, frame, self.config)
        if self.audio_insert is not None:
            check_audio(audio, frame.shape[0], self.sample_rate)


def _tensors(
    frame: Tensor, audio: Tensor | None, mask: Tensor | None
) -> tuple[Tensor, Tensor | None, Any]:
    """What arrays of numpy were given for, as tensors."""
    return (
        as_tensor(frame, "the frame"),
        None if audio is None else as_tensor(audio, "the audio"),
        None if mask is None else as_mask(mask),
    )
