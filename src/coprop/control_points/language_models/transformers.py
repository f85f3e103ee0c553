"""`TransformersModel`: models that hear, run in this process by transformers."""

from __future__ import annotations

import copy
import sys
from collections.abc import Iterator, Sequence
from typing import Any

import torch

from coprop.control_points.language_models.base import (
    LLM_SAMPLE_RATE,
    MIN_AUDIO_S,
    Answer,
    Dialogue,
    messages,
)
from coprop.control_points.language_models.flag_decoding import FlagTokens
from coprop.control_points.language_models.transformers_loading import (
    audio_part,
    check_hears,
    load,
)
from coprop.errors import LanguageModelError
from coprop.utils.checks import as_number, shown, whole
from coprop.utils.paths import AnyPath


class TransformersModel:
    """A model that hears, by transformers: Qwen2-Audio, Qwen2.5-Omni, Qwen3-Omni and others.

    A `LanguageModel`. Any model will do that transformers loads as `AutoModelForMultimodalLM` or
    `AutoModelForSeq2SeqLM`, that goes on from its prompt, and whose processor has a chat template
    with sounds. Answers are always the likeliest next tokens, whatever a checkpoint's generation
    options say: the same dialogue gets the same answer. Dialogues are answered ``batch_size`` at
    a time; a batch's answers are those of each dialogue alone, up to rounding, which in half
    precision can now and then make another word the likeliest.

    `answer_flags` lets the model choose nothing but each flag, and tells its probabilities. With
    a tokenizer that joins brackets, digits and commas it is `answer`.

    Args:
        model: a model of transformers. It is put in evaluation mode; its device and dtype are
            used, and its generation options left alone.
        processor: its processor.
        name: which weights these are. Device and dtype included, answers are cached under it.
        max_new_tokens: the longest free answer, in tokens; what goes on is cut off.
        batch_size: how many dialogues are answered at a time.
        max_audio_s: the longest sound that the model hears to the end, in seconds. None for the
            length to which its feature extractor cuts sounds, 30 s where it is Whisper's. Give it
            for processors that handle longer sounds in pieces, or have no such length; infinity
            for no limit.

    Raises:
        LanguageModelError: a model that does not hear, or not at 16 kHz, or not to any known
            length, or that translates instead of going on; options below 1 or not positive.
    """

    def __init__(
        self,
        model: Any,
        processor: Any,
        name: str,
        *,
        max_new_tokens: int = 256,
        batch_size: int = 4,
        max_audio_s: float | None = None,
    ) -> None:
        _check_options(max_new_tokens, batch_size, max_audio_s)
        check_hears(processor, name)
        if model.config.is_encoder_decoder:
            raise LanguageModelError(
                f"{name} is an encoder and a decoder, {type(model).__name__}; take a model that "
                "goes on from its prompt, such as Qwen2-Audio."
            )
        self.processor = processor
        self.max_new_tokens = max_new_tokens
        self.batch_size = batch_size
        self._max_audio_s = _longest_sound_s(processor, name, max_audio_s)
        self._weights = name
        # A shallow copy shares the weights, and leaves the caller's generation options alone.
        self.model = copy.copy(model.eval())
        self.model.generation_config = _greedy(model, processor)
        self._flag_tokens = FlagTokens.of(processor.tokenizer)

    @classmethod
    def from_pretrained(
        cls,
        name_or_folder: AnyPath,
        *,
        device_map: Any = None,
        dtype: torch.dtype | str = "auto",
        load_in_4bit: bool = False,
        max_new_tokens: int = 256,
        batch_size: int = 4,
        max_audio_s: float | None = None,
        revision: str | None = None,
        local_files_only: bool = False,
    ) -> TransformersModel:
        """The model in a folder that transformers' ``save_pretrained`` wrote, or on the hub.

        No network is used for a folder, and no code that comes with a model is run.

        Args:
            name_or_folder: such as "Qwen/Qwen2-Audio-7B-Instruct" (17 GB in bfloat16).
            device_map: where to put it, as transformers takes it: "cuda", or "auto" to spread it
                over all devices. None for the CPU.
            dtype: of its weights; "auto" for as they are stored.
            load_in_4bit: store them in 4 bits (NF4), with bitsandbytes.
            max_new_tokens: as for the class.
            batch_size: as for the class.
            max_audio_s: as for the class.
            revision: a branch, tag or commit of the hub; its main branch where left out.
            local_files_only: take what was fetched from the hub before, without asking it.

        Raises:
            CheckpointError: transformers lacks a package, there is no such model, the network
                cannot be reached, or files are damaged or lack tensors.
            MissingPackageError: bitsandbytes is not installed.
            LanguageModelError: as for the class.
        """
        _check_options(max_new_tokens, batch_size, max_audio_s)
        model, processor, weights = load(
            name_or_folder,
            device_map=device_map,
            dtype=dtype,
            load_in_4bit=load_in_4bit,
            revision=revision,
            local_files_only=local_files_only,
        )
        return cls(
            model,
            processor,
            weights,
            max_new_tokens=max_new_tokens,
            batch_size=batch_size,
            max_audio_s=max_audio_s,
        )

    @property
    def name(self) -> str:
        """The weights with their commit, how they are stored, and how answers are chosen."""
        stored = "4-bit " if getattr(self.model, "is_loaded_in_4bit", False) else ""
        dtype = str(self.model.dtype).removeprefix("torch.")
        return f"{self._weights} {stored}{dtype} greedy max_new_tokens={self.max_new_tokens}"

    @property
    def max_audio_s(self) -> float:
        """The longest sound that it hears to the end, in seconds."""
        return self._max_audio_s

    def answer(self, dialogues: Sequence[Dialogue]) -> list[Answer]:
        """A free answer to each dialogue, of at most ``max_new_tokens``.

        Sounds go to the model as they are; those below `MIN_AUDIO_S` are followed by silence.

        Raises:
            LanguageModelError: a dialogue that does not end with the user, sounds of another
                shape or type, with NaN, or longer than ``max_audio_s``, a conversation that the
                chat template does not take, or too little memory.
        """
        answers: list[Answer] = []
        for inputs in self._inputs(dialogues):
            output = self._generate(inputs, max_new_tokens=self.max_new_tokens)
            tokens = output.sequences[:, inputs["input_ids"].shape[1] :]
            texts = self.processor.batch_decode(tokens, skip_special_tokens=True)
            answers.extend(Answer(text) for text in texts)
        return answers

    def answer_flags(self, dialogues: Sequence[Dialogue], windows: int) -> list[Answer]:
        """A list of ``windows`` flags, "[1,0,...]", to each dialogue.

        Each flag's probability is the softmax over "0" and "1" at its place, given the flags
        before it. Where the tokenizer does not write such lists in single characters, answers are
        free and without probabilities.

        Raises:
            LanguageModelError: fewer than one window, or as `answer`.
        """
        if windows < 1:
            raise LanguageModelError(f"windows must be at least 1, got {windows}.")
        if self._flag_tokens is None:
            return self.answer(dialogues)
        answers: list[Answer] = []
        for inputs in self._inputs(dialogues):
            prompt = inputs["input_ids"].shape[1]
            output = self._generate(
                inputs,
                max_new_tokens=2 * windows + 1,
                prefix_allowed_tokens_fn=self._flag_tokens.allowed(windows, prompt),
                output_logits=True,
            )
            answers.extend(self._flag_tokens.answers(output.sequences[:, prompt:], output.logits))
        return answers

    def _inputs(self, dialogues: Sequence[Dialogue]) -> Iterator[Any]:
        """The model's inputs, batch by batch; all dialogues are checked before the first."""
        chats = [messages(dialogue, self._weights, self._max_audio_s) for dialogue in dialogues]
        for start in range(0, len(chats), self.batch_size):
            try:
                inputs = self.processor.apply_chat_template(
                    chats[start : start + self.batch_size],
                    add_generation_prompt=True,
                    tokenize=True,
                    return_dict=True,
                    return_tensors="pt",
                    # Answers begin where prompts end, so that must be one place for all of them.
                    processor_kwargs={"text_kwargs": {"padding": True, "padding_side": "left"}},
                )
            except Exception as error:  # templates raise what they like
                raise LanguageModelError(
                    f"{self._weights} does not take this conversation: {error} Change the "
                    "prompts, or take another model."
                ) from error
            yield inputs.to(self.model.device, self.model.dtype)

    @torch.inference_mode()
    def _generate(self, inputs: Any, **options: Any) -> Any:
        try:
            return self.model.generate(**inputs, **options, return_dict_in_generate=True)
        except torch.cuda.OutOfMemoryError as error:
            raise LanguageModelError(
                f"there is too little memory for {len(inputs['input_ids'])} dialogues at a time; "
                "lower batch_size, or load the model in 4 bits."
            ) from error


def _greedy(model: Any, processor: Any) -> Any:
    """Generation options without anything that a checkpoint may have of its own."""
    from transformers import GenerationConfig

    own, tokenizer = model.generation_config, processor.tokenizer
    ends = own.eos_token_id if own.eos_token_id is not None else tokenizer.eos_token_id
    padding = tokenizer.pad_token_id if own.pad_token_id is None else own.pad_token_id
    return GenerationConfig(  # type: ignore[no-untyped-call]
        do_sample=False,
        num_beams=1,
        repetition_penalty=1.0,
        bos_token_id=own.bos_token_id,
        eos_token_id=ends,
        pad_token_id=padding,
    )


def _longest_sound_s(processor: Any, name: str, given_s: float | None) -> float:
    """The given length, or else that to which a processor's feature extractor cuts sounds."""
    extractor = audio_part(processor)
    rate = getattr(extractor, "sampling_rate", LLM_SAMPLE_RATE)
    if rate != LLM_SAMPLE_RATE:
        raise LanguageModelError(
            f"{name} hears at {rate} Hz, and sounds are given at {LLM_SAMPLE_RATE} Hz; take "
            "another."
        )
    if given_s is not None:
        return float(given_s)
    samples = getattr(extractor, "n_samples", None)
    if samples is None:
        raise LanguageModelError(
            f"how long a sound {name} hears to the end is not known; give max_audio_s."
        )
    return float(samples / rate)


def _check_options(max_new_tokens: int, batch_size: int, max_audio_s: float | None) -> None:
    for name, value in (("max_new_tokens", max_new_tokens), ("batch_size", batch_size)):
        wanted = "at least 1, a whole number"
        whole(name, value, wanted, low=1, high=sys.maxsize, error=LanguageModelError)
    if max_audio_s is not None and not (as_number(max_audio_s) or 0) >= MIN_AUDIO_S:
        raise LanguageModelError(
            f"max_audio_s must be {MIN_AUDIO_S} seconds or more, got {shown(max_audio_s)}."
        )
