"""The Audio-Insert Propagator (paper section 3.4): a keyframe's masks, carried through its segment.

Equation 3 of the paper gives the masks of a segment's other frames from these frames, their sound
and the keyframe's mask. Here it is one frame after another, with the frames before in a state:

    state = propagator.start(keyframe, audio, mask)
    logits, state = propagator.step(frame, audio, state)

``network.py`` and ``audio_insert.py`` have what happens in a frame, ``memory.py`` what is kept.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from coprop.checkpoints.weights import PretrainedModel
from coprop.propagation.attention import Places
from coprop.propagation.checkpoints import (
    completed,
    infer_config,
    load_audio_encoder,
    load_weights,
    read_weights,
)
from coprop.propagation.checks import (
    as_inputs,
    check_audio,
    check_clip,
    check_frame,
    check_mask,
    check_output_size,
    check_state,
)
from coprop.propagation.config import AudioEncoderName, PropagatorConfig
from coprop.propagation.masks import (
    Size,
    aggregate,
    count_objects,
    likeliest,
    resize_frame,
    resize_logits,
    split_groups,
    to_probabilities,
    working_size,
)
from coprop.propagation.memory import PropagationState
from coprop.propagation.network import FrameFeatures, PropagationNetwork
from coprop.propagation.slot import Propagator
from coprop.utils.paths import AnyPath

__all__ = ["AudioInsertPropagator", "Propagator"]

# Of a propagator without audio modules, which is given sound all the same: about what VGGish takes.
_DEFAULT_RATE = 16_000  # Hz
_DEFAULT_WINDOW_S = 1.0


class AudioInsertPropagator(PretrainedModel):
    """Follows the objects of a keyframe from frame to frame, led by each frame's own sound.

    Frames are (B, 3, H, W) float RGB in [0, 1]; audio is (B, n) float samples at ``sample_rate``,
    ``window_s`` of them around the frame, and is not looked at where ``config.insert_levels`` is
    empty. Masks are labels (B, H, W), 0 for background and 255 for void, or probabilities
    (B, K + 1, H, W), of any size; in binary masks, of 0 and 255 only or of one channel
    (B, 1, H, W), that is the object. Arrays of numpy are taken for tensors. B segments run as one
    batch; they share the number of objects.

    Weights come from `from_pretrained` (a folder or the hub) or `from_checkpoint` (official files).
    Its ``state_dict()`` is that of its network: names in it are those of the official AOT files.

    Args:
        config: architecture and memory; the small model's by default.

    Attributes:
        config: as given.
        network: what looks and listens, a `PropagationNetwork`; it holds no state.

    Example:
        >>> propagator = AudioInsertPropagator(PropagatorConfig(max_long_edge=64)).eval()
        >>> frames, audio = torch.rand(3, 1, 3, 48, 64), torch.zeros(1, 16_000)
        >>> mask = torch.zeros(1, 48, 64, dtype=torch.long)
        >>> mask[:, 10:30, 20:40] = 1
        >>> state = propagator.start(frames[0], audio, mask)
        >>> for frame in frames[1:]:
        ...     logits, state = propagator.step(frame, audio, state)
        >>> logits.shape, state.step_index
        (torch.Size([1, 2, 48, 64]), 2)
    """

    config_type = PropagatorConfig
    tags = ("video-object-segmentation", "audio-visual-segmentation")

    def __init__(self, config: PropagatorConfig | None = None) -> None:
        super().__init__()
        self.config: PropagatorConfig = self.checked_config(config)
        self.network = PropagationNetwork(self.config)

    @classmethod
    def from_checkpoint(
        cls,
        path: AnyPath,
        *,
        insert_levels: Sequence[int] = (1, 2, 3, 4),
        long_term_gap: int = 5,
        max_memory_frames: int | None = 8,
        max_long_edge: int = 1040,
        audio_encoder: AudioEncoderName = "vggish",
        audio_checkpoint: AnyPath | None = None,
    ) -> AudioInsertPropagator:
        """The propagator of an official AOT file, or of one trained from it.

        A file without audio modules leaves these at their start, where they are silent: the
        propagator is AOT until it is trained. Encoder, depth and width come from the file.

        Args:
            path: the file, such as R50_AOTL_PRE_YTB_DAV.pth or a .safetensors.
            insert_levels: (1, 2, 3, 4), (4,) and () are the paper's 4-layer, 1-layer and AOT.
            long_term_gap: frames between two that long-term memory keeps; AOT-T's own is 9999.
            max_memory_frames: bound of long-term memory; None lets it grow, as in the paper.
            max_long_edge: longer frames are scaled down to this many pixels.
            audio_encoder: what turns sound into tokens.
            audio_checkpoint: its weights, for VGGish the file of the PyTorch port; by default those
                in ``path``, or random ones where that has none.

        Raises:
            CheckpointError: no checkpoint, or one that lacks tensors, has others or other shapes.
        """
        state = read_weights(path)
        inferred = infer_config(state, path)
        config = replace(
            inferred,
            insert_levels=tuple(insert_levels),
            sound_gate=inferred.sound_gate and bool(insert_levels),
            long_term_gap=long_term_gap,
            max_memory_frames=max_memory_frames,
            max_long_edge=max_long_edge,
            audio_encoder=audio_encoder,
        )
        model = cls(config)
        load_weights(model, state, config, path)
        if audio_checkpoint is not None and model.network.audio_insert is not None:
            load_audio_encoder(
                model.network.audio_insert.get_submodule("encoder"), audio_checkpoint
            )
        return model.float().eval()

    def completed(self, state: dict[str, Tensor]) -> dict[str, Tensor]:
        """Stored tensors of any version of coprop, with YAMNet's, which the package holds."""
        return completed(state, self.state_dict(), self.config.audio_encoder)

    @property
    def sample_rate(self) -> int:
        """Sample rate of the audio, in Hz."""
        insert = self.network.audio_insert
        return insert.encoder.sample_rate if insert else _DEFAULT_RATE

    @property
    def window_s(self) -> float:
        """How much sound goes with a frame, in seconds."""
        insert = self.network.audio_insert
        return insert.encoder.window_s if insert else _DEFAULT_WINDOW_S

    @torch.inference_mode()
    def start(
        self, frame: Tensor, audio: Tensor | None, mask: Tensor, *, num_objects: int | None = None
    ) -> PropagationState:
        """Begin at a keyframe, which is the reference frame of those after it.

        Args:
            frame: the keyframe, (B, 3, H, W).
            audio: its sound, (B, n).
            mask: its objects.
            num_objects: K; by default the highest label, or the mask's channels less one.

        Raises:
            ShapeError: shapes, types or value ranges other than the class describes.
            AudioError: no audio, where the propagator needs it, or samples that are not finite.
        """
        frame, audio, mask = as_inputs(frame, audio, mask)
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
            frame: the frame, (B, 3, H, W) of any size.
            audio: its sound, (B, n).
            state: what `start`, or a step before, returned; it may be stepped from again.
            output_size: (height, width) of the logits; by default the frame's.

        Returns:
            Logits (B, K + 1, H, W), background first, and the state after this frame.

        Raises:
            ShapeError: shapes, types or value ranges other than the class describes.
            AudioError: no audio, where the propagator needs it, or samples that are not finite.
        """
        frame, audio, _ = as_inputs(frame, audio)
        self._check(frame, audio)
        check_state(state, frame, self.config)
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
        """Take the frame just stepped to as a further reference, for new objects or better masks.

        Args:
            frame: the frame that `step` was last given.
            audio: its sound.
            mask: all objects in it: the old ones under their numbers, new ones after them.
            state: the state that this step returned.
            num_objects: K from now on; by default what the mask and the state tell.

        Raises:
            ShapeError, AudioError: as for `start`.
        """
        frame, audio, mask = as_inputs(frame, audio, mask)
        self._check(frame, audio)
        check_state(state, frame, self.config)
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
        """Run a clip with gradients, for training: tensors alone, in whose masks 255 is void.

        Identities that a clip has no object for are trained as well where ``num_objects`` is
        ``max_objects`` and the labels are drawn at random from 1 to ``max_objects``.

        Args:
            frames: (B, T, 3, H, W), the keyframe first.
            audio: (B, T, n).
            first_mask: the keyframe's objects.
            num_objects: as for `start`.
            masks: for teacher forcing: of each of frames 1 to T - 1, the true mask, which memory
                keeps instead of the prediction's labels, or None for these.

        Returns:
            Logits (B, K + 1, H, W) of frames 1 to T - 1.

        Raises:
            ShapeError, AudioError: as for `start`.
        """
        check_clip(frames, audio)
        sounds = [None] * frames.shape[1] if audio is None else audio.unbind(1)
        self._check(frames[:, 0], sounds[0])
        check_mask(first_mask, frames.shape[0], num_objects)
        num_objects = count_objects(first_mask, num_objects)
        state = self._start(frames[:, 0], sounds[0], first_mask, num_objects)
        outputs = []
        for t in range(1, frames.shape[1]):
            forced = masks[t - 1] if masks is not None else None
            logits, state = self._step(frames[:, t], sounds[t], state, frames.shape[-2:], forced)
            outputs.append(logits)
        return outputs

    def compile(self, **options: Any) -> None:
        """Compile what runs in each frame, for many frames of one size.

        It is compiled when the first frames of a size are seen, which takes a minute or more, and
        again for the second length of long-term memory, for any length from then on. Further clips
        of the size take no time. Copies of the propagator are not compiled.

        Args:
            options: of `torch.compile`, such as ``mode`` or ``backend``.

        Example:
            >>> propagator = AudioInsertPropagator().eval()
            >>> propagator.compile(backend="eager")  # which compiles nothing: to try it out
        """
        self.network.compile(**options)

    def _start(
        self, frame: Tensor, audio: Tensor | None, mask: Tensor, num_objects: int
    ) -> PropagationState:
        height, width = frame.shape[-2:]
        size = working_size(height, width, self.config.max_long_edge)
        places = Places.of(size, like=self._weight)
        state = PropagationState((), num_objects, step_index=0, size=size, places=places)
        return self._add(frame, audio, mask, state)

    def _add(
        self, frame: Tensor, audio: Tensor | None, mask: Tensor, state: PropagationState
    ) -> PropagationState:
        features = self._encode(frame, audio, state.size)
        entries = [
            self.network.memorise_reference(features, group, state.places)
            for group in self._groups(mask, state)
        ]
        return state.with_reference(entries, self.config.max_memory_frames, features.sound)

    def _step(
        self,
        frame: Tensor,
        audio: Tensor | None,
        state: PropagationState,
        output_size: Sequence[int],
        forced_mask: Tensor | None = None,
    ) -> tuple[Tensor, PropagationState]:
        features = self._encode(frame, audio, state.size)
        groups, queries = [], []
        for i, memory in enumerate(state.memories):
            own = min(self.config.max_objects, state.num_objects - i * self.config.max_objects)
            logits, query = self.network.propagate(
                features, memory.long_term.tokens, memory.short_term, state.places, own
            )
            # Few channels are resized in a quarter of the time where they do not come last.
            groups.append(resize_logits(logits.float().contiguous(), output_size))
            queries.append(query)
        logits = aggregate(groups)
        mask = likeliest(logits, state.size) if forced_mask is None else forced_mask
        entries = [
            self.network.memorise(query, features, group)
            for query, group in zip(queries, self._groups(mask, state), strict=True)
        ]
        shown = self.network.gate(logits, features.sound, state.sound)
        return shown, state.with_prediction(entries, self.config.long_term_gap)

    def _encode(self, frame: Tensor, audio: Tensor | None, size: Size) -> FrameFeatures:
        samples = None if audio is None else audio.to(self._weight.device)
        return self.network.encode(resize_frame(frame.to(self._weight.device), size), samples)

    def _groups(self, mask: Tensor, state: PropagationState) -> list[Tensor]:
        """The mask as the identity bank takes it, for each group of objects."""
        mask, dtype = mask.to(self._weight.device), self._weight.dtype
        probabilities = to_probabilities(mask, state.num_objects, state.size, dtype)
        return split_groups(probabilities, self.config.max_objects)

    @property
    def _weight(self) -> Tensor:
        """(C, ...), where frames and masks go, and at whose precision."""
        return self.network.patch_wise_id_bank.weight

    def _check(self, frame: Tensor, audio: Tensor | None) -> None:
        check_frame(frame)
        if self.network.audio_insert is not None:
            check_audio(audio, frame.shape[0], self.sample_rate)

    # Weights go by the network's own names, without "network." before them: those of the official
    # AOT files and of every file that coprop has written.

    def state_dict(self, *args: Any, **options: Any) -> dict[str, Any]:  # type: ignore[override]
        """The network's, under the names of the official AOT files."""
        return self.network.state_dict(*args, **options)

    def _load_from_state_dict(
        self, state_dict: dict[str, Any], prefix: str, *args: Any, **options: Any
    ) -> None:
        """What torch calls on the module before its children: names get "network." back."""
        for name in [name for name in state_dict if name.startswith(prefix)]:
            state_dict[f"{prefix}network.{name.removeprefix(prefix)}"] = state_dict.pop(name)
        super()._load_from_state_dict(state_dict, prefix, *args, **options)
