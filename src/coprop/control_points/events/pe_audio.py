"""PE-A-Frame of transformers as a tagger: any words, one answer each 40 ms."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from coprop.checkpoints.transformers_models import Kind, Wanted, load
from coprop.control_points.events.tagger import check_words
from coprop.errors import CoPropError
from coprop.utils.checks import shown
from coprop.utils.paths import AnyPath

_WANTED = Wanted(
    "PE-A-Frame",
    {"pe_audio": Kind("PeAudioFrameLevelModel", "PeAudioProcessor")},
    "facebook/pe-a-frame-small",
)
_WORDS_AT_ONCE = 64  # bounds memory: AudioSet has 521


class PeAudioTagger:
    """A `SoundTagger` that takes any words, by `PeAudioFrameLevelModel` and its processor.

    What it says of a moment depends on the whole of what it is given, so that of a longer track it
    is given pieces of 30 s, the longest that its authors evaluated it on. The words are read once.

    Args:
        model: a `PeAudioFrameLevelModel`; put on the device where it is to compute.
        processor: its `PeAudioProcessor`.
        words: what to listen for.

    Raises:
        CoPropError: another model, or words that are none.
    """

    piece_s = 30.0
    context_s = 2.0
    threshold = 0.5  # a sigmoid's middle: the model was trained to say yes or no by it
    blur_s = 0.0

    def __init__(self, model: Any, processor: Any, words: Sequence[str]) -> None:
        _check_parts(model, processor)
        self.words = check_words("words", words)
        self.model, self.processor = model.eval(), processor
        extractor = processor.feature_extractor
        self.sample_rate = int(extractor.sampling_rate)
        self.step_s = extractor.hop_length / self.sample_rate
        self._embedded: Tensor | None = None

    @classmethod
    def from_pretrained(
        cls,
        name_or_folder: AnyPath,
        words: Sequence[str],
        *,
        device: torch.device | str | None = None,
        local_files_only: bool = False,
    ) -> PeAudioTagger:
        """A model and its processor from a folder, or from the hub by their id.

        Args:
            name_or_folder: as transformers' ``save_pretrained`` writes both, or an id such as
                "facebook/pe-a-frame-small" (1 GB or more).
            words: what to listen for.
            device: where to compute; None for the CPU.
            local_files_only: never ask the hub; what was fetched before is found.

        Raises:
            CheckpointError: there is none, or it is gated or of another kind.
            CoPropError: no such device.
            MissingPackageError: transformers has no such model.
        """
        check_words("words", words)  # before gigabytes are read
        found = load(name_or_folder, _WANTED, device=device, local_files_only=local_files_only)
        return cls(found.model, found.processor, words)

    def __call__(self, samples: NDArray[np.float32], /) -> NDArray[np.float32]:
        return self.batch([samples])[0]

    def batch(self, sounds: Sequence[NDArray[np.float32]]) -> list[NDArray[np.float32]]:
        """(steps, words) probabilities of each of several sounds, as of each alone.

        Those of one length are heard together. Others are not: the model's convolutions hear
        padding, which has no samples but biases, at the end of a shorter sound.
        """
        hop = self.processor.feature_extractor.hop_length
        alike: dict[int, list[int]] = {}
        for number, sound in enumerate(sounds):
            if not len(sound):
                raise CoPropError(f"a sound must have samples, got none in sound {number}.")
            alike.setdefault(-(-len(sound) // hop), []).append(number)
        found: dict[int, NDArray[np.float32]] = {}
        for numbers in alike.values():
            heard = self._heard([sounds[number] for number in numbers])
            found.update(zip(numbers, heard, strict=True))
        return [found[number] for number in range(len(sounds))]

    @torch.inference_mode()
    def _heard(self, sounds: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
        """(B, steps, words) of sounds of as many steps."""
        values = self.processor.feature_extractor(
            [np.asarray(sound, dtype=np.float32) for sound in sounds],
            sampling_rate=self.sample_rate,
            padding=True,  # to whole steps, of which all have as many
            return_tensors="pt",
        )["input_values"]
        values = values.to(self.model.device, self.model.dtype)
        logits = self.model.get_audio_embeds(values) @ self._word_embeddings().T
        logits = logits * self.model.text_audio_logit_scale + self.model.text_audio_logit_bias
        return np.asarray(logits.float().sigmoid().cpu().numpy())

    def _word_embeddings(self) -> Tensor:
        """(words, D): computed once; `get_text_audio_embeds` of transformers 5.24 cannot do it."""
        if self._embedded is None:
            starts = range(0, len(self.words), _WORDS_AT_ONCE)
            parts = [self._read(self.words[s : s + _WORDS_AT_ONCE]) for s in starts]
            self._embedded = torch.cat(parts)
        return self._embedded

    def _read(self, words: Sequence[str]) -> Tensor:
        texts = [word.replace("_", " ").replace("-", " ") for word in words]
        inputs = self.processor.tokenizer(texts, padding=True, return_tensors="pt")
        inputs = inputs.to(self.model.device)
        states = self.model.text_model(
            input_ids=inputs["input_ids"],
            attention_mask=inputs["attention_mask"],
            output_hidden_states=True,
        ).hidden_states
        embedded: Tensor = self.model.text_audio_head(states[-1][:, 0])
        return embedded


def _check_parts(model: Any, processor: Any) -> None:
    if type(model).__name__ != "PeAudioFrameLevelModel":
        raise CoPropError(
            f"model must be a PeAudioFrameLevelModel of transformers, got {shown(type(model))}; "
            "AutoModel loads the clip-level PeAudioModel, which has no times."
        )
    if not all(hasattr(processor, part) for part in ("feature_extractor", "tokenizer")):
        raise CoPropError(f"processor must be a PeAudioProcessor, got {shown(type(processor))}.")
