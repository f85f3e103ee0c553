"""Models that hear, run by transformers: what they are told, and what is made of their answers."""

from __future__ import annotations

import json
import logging
import re
import shutil
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from tiny_qwen import (
    TEXT_CONFIG,
    byte_tokenizer,
    random_model,
    template,
    write_tiny_audio_flamingo3,
    write_tiny_qwen2_audio,
    write_tiny_qwen_omni,
)

from coprop.control_points.language_models.base import Answer, Dialogue, LanguageModel, Turn
from coprop.control_points.language_models.flag_decoding import FlagTokens
from coprop.control_points.language_models.transformers import (
    MIN_AUDIO_S,
    TransformersModel,
)
from coprop.errors import (
    CheckpointError,
    CoPropError,
    LanguageModelError,
    MissingPackageError,
)

Sound = NDArray[np.float32]
COMMIT = "0123456789abcdef0123456789abcdef01234567"


def noise(seconds: float, seed: int = 0) -> Sound:
    samples = np.random.default_rng(seed).standard_normal(round(seconds * 16_000))
    return (0.1 * samples).astype(np.float32)


def tone(seconds: float, frequency: float = 440.0) -> Sound:
    times = np.arange(round(seconds * 16_000)) / 16_000
    return (0.5 * np.sin(2 * np.pi * frequency * times)).astype(np.float32)


def asked(text: str, *sounds: Sound) -> Dialogue:
    return (Turn("user", text, sounds),)


THREE_TURNS: Dialogue = (
    Turn("user", "What sounds?", (noise(1.0), tone(0.5))),
    Turn("assistant", "A dog."),
    Turn("user", "And then?"),
    Turn("assistant", "A bell."),
    Turn("user", "When?", (noise(2.0, 1),)),
)
DIALOGUES = [
    asked("Flags.", noise(1.0)),
    asked("Please write flags.", tone(2.0)),
    THREE_TURNS,
    asked("No sound at all."),
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_qwen2_audio(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="module")
def model(folder: Path) -> TransformersModel:
    return TransformersModel.from_pretrained(folder, max_new_tokens=12)


@contextmanager
def prompts(model: TransformersModel) -> Iterator[list[str]]:
    """Collects what the model is asked, in its own tokens."""
    texts: list[str] = []

    def note(module: Any, args: Any, kwargs: Any) -> None:
        if kwargs["input_ids"].shape[1] > 1:
            texts.extend(model.processor.batch_decode(kwargs["input_ids"]))

    handle = model.model.register_forward_pre_hook(note, with_kwargs=True)
    yield texts
    handle.remove()


@contextmanager
def heard(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Sound]]:
    """Collects the samples that reach the feature extractor."""
    from transformers import WhisperFeatureExtractor

    sounds: list[Sound] = []
    original = WhisperFeatureExtractor.__call__

    def note(self: Any, raw_speech: Any, *args: Any, **kwargs: Any) -> Any:
        assert kwargs["sampling_rate"] == 16_000
        sounds.extend(raw_speech)
        return original(self, raw_speech, *args, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(WhisperFeatureExtractor, "__call__", note)
        yield sounds


def check_list(answer: Answer, windows: int) -> None:
    assert re.fullmatch(r"\[[01](,[01])*\]", answer.text)
    flags = json.loads(answer.text)
    assert len(flags) == windows
    assert answer.probabilities is not None
    assert len(answer.probabilities) == windows
    assert all(0 <= chance <= 1 for chance in answer.probabilities)
    assert [chance > 0.5 for chance in answer.probabilities] == [flag == 1 for flag in flags]


def check_same(answers: list[Answer], others: list[Answer]) -> None:
    for answer, other in zip(answers, others, strict=True):
        assert answer.text == other.text
        assert answer.probabilities == pytest.approx(other.probabilities, abs=1e-5)


def test_name_tells_what_answers_depend_on(folder: Path, model: TransformersModel) -> None:
    slot: LanguageModel = model
    assert slot.name == f"{folder.resolve()} float32 greedy max_new_tokens=12"
    assert slot.max_audio_s == 30.0


def test_a_dialogue_is_put_as_the_chat_template_says(model: TransformersModel) -> None:
    with prompts(model) as texts:
        model.answer([THREE_TURNS])
    sound = "Audio {}: <|audio_bos|>{}<|audio_eos|>\n"
    expected = (
        "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n<|im_start|>user\n"
        + sound.format(1, "<|AUDIO|>" * 25)
        + sound.format(2, "<|AUDIO|>" * 12)
        + "What sounds?<|im_end|>\n<|im_start|>assistant\nA dog.<|im_end|>\n"
        "<|im_start|>user\nAnd then?<|im_end|>\n<|im_start|>assistant\nA bell.<|im_end|>\n"
        "<|im_start|>user\n" + sound.format(3, "<|AUDIO|>" * 50) + "When?<|im_end|>\n"
        "<|im_start|>assistant\n"
    )
    assert texts == [expected]


def test_a_free_answer_is_the_likeliest_tokens(model: TransformersModel) -> None:
    inputs = processed(model, DIALOGUES[0])
    tokens = inputs["input_ids"]
    with torch.no_grad():
        for _ in range(model.max_new_tokens):
            logits = model.model(
                **{**inputs, "input_ids": tokens, "attention_mask": torch.ones_like(tokens)}
            ).logits
            tokens = torch.cat([tokens, logits[:, -1:].argmax(dim=-1)], dim=1)
    new = tokens[0, inputs["input_ids"].shape[1] :]
    assert model.processor.tokenizer.eos_token_id not in new
    expected = model.processor.tokenizer.decode(new, skip_special_tokens=True)
    assert expected
    assert model.answer(DIALOGUES[:1]) == [Answer(expected)]


def test_an_answer_ends_where_the_model_ends_it(folder: Path) -> None:
    """In a batch, others go on, and what fills the row until then is not part of the answer."""
    whole = TransformersModel.from_pretrained(folder, max_new_tokens=12)
    own = whole.model.generation_config
    asked_first, asked_second = DIALOGUES[:2]
    output = whole._generate(processed(whole, asked_first), max_new_tokens=12)
    last = int(output.sequences[0, -8])  # of the 12 new ones, the fifth
    new = output.sequences[0, -12:].tolist()
    own.eos_token_id = [own.eos_token_id, last]
    answer, other = whole.answer([asked_first, asked_second])
    assert other.text
    kept = new[: new.index(last) + 1]
    assert len(kept) < 12
    assert answer.text == whole.processor.tokenizer.decode(kept, skip_special_tokens=True)


@pytest.mark.parametrize("windows", [1, 5, 60])
def test_lists_are_whole_for_any_weights(
    tmp_path: Path, model: TransformersModel, windows: int
) -> None:
    other = TransformersModel.from_pretrained(write_tiny_qwen2_audio(tmp_path, seed=windows))
    texts = set()
    for each in (model, other):
        answers = each.answer_flags(DIALOGUES, windows)
        assert len(answers) == len(DIALOGUES)
        for answer in answers:
            check_list(answer, windows)
            texts.add(answer.text)
    assert len(texts) > 1


@settings(max_examples=8, deadline=None)
@given(
    windows=st.integers(1, 7),
    sounds=st.lists(st.lists(st.floats(0.01, 2.0), max_size=2), min_size=1, max_size=3),
    text=st.text(st.characters(codec="ascii", exclude_characters="<"), max_size=20),
)
def test_lists_are_whole_for_any_question(
    model: TransformersModel, windows: int, sounds: list[list[float]], text: str
) -> None:
    dialogues = [asked(text, *(noise(seconds) for seconds in own)) for own in sounds]
    answers = model.answer_flags(dialogues, windows)
    assert len(answers) == len(dialogues)
    for answer in answers:
        check_list(answer, windows)


def processed(model: TransformersModel, dialogue: Dialogue) -> Any:
    """A dialogue as the model's inputs, without the backend's help."""
    chat = [
        {
            "role": turn.role,
            "content": [
                *({"type": "audio", "audio": sound} for sound in turn.audios),
                {"type": "text", "text": turn.text},
            ],
        }
        for turn in dialogue
    ]
    return model.processor.apply_chat_template(
        chat, add_generation_prompt=True, tokenize=True, return_dict=True, return_tensors="pt"
    )


@pytest.mark.parametrize("windows", [5, 30])
def test_probabilities_are_those_of_the_finished_list(
    model: TransformersModel, windows: int
) -> None:
    """One forward pass over prompt and list together, each dialogue by itself."""
    answers = model.answer_flags(DIALOGUES, windows)
    zero, one = model.processor.tokenizer.encode("01")
    for dialogue, answer in zip(DIALOGUES, answers, strict=True):
        inputs = processed(model, dialogue)
        prompt = inputs["input_ids"].shape[1]
        written = torch.tensor([model.processor.tokenizer.encode(answer.text)])
        inputs["input_ids"] = torch.cat([inputs["input_ids"], written], dim=1)
        inputs["attention_mask"] = torch.ones_like(inputs["input_ids"])
        with torch.no_grad():
            logits = model.model(**inputs).logits[0]
        digits = logits[prompt : prompt + 2 * windows : 2][:, [zero, one]]
        expected = digits.softmax(dim=-1)[:, 1].tolist()
        assert answer.probabilities == pytest.approx(expected, abs=1e-5)


def test_answers_are_always_the_same(model: TransformersModel) -> None:
    assert model.answer_flags(DIALOGUES, 10) == model.answer_flags(DIALOGUES, 10)
    assert model.answer(DIALOGUES) == model.answer(DIALOGUES)


@pytest.mark.parametrize("size", [1, 3])
def test_batches_change_nothing(folder: Path, model: TransformersModel, size: int) -> None:
    with prompts(model) as texts:
        together = model.answer_flags(DIALOGUES, 10)
    lengths = {len(text.replace("<|endoftext|>", "")) for text in texts}
    assert len(lengths) == len(DIALOGUES)  # padding was needed
    other = TransformersModel.from_pretrained(folder, max_new_tokens=12, batch_size=size)
    check_same(together, other.answer_flags(DIALOGUES, 10))
    check_same(model.answer(DIALOGUES), other.answer(DIALOGUES))


def test_the_sound_is_heard(model: TransformersModel) -> None:
    first, second, third = model.answer_flags(
        [asked("Flags.", s) for s in (noise(1.0), noise(1.0), tone(1.0))], 5
    )
    assert first.probabilities == pytest.approx(second.probabilities, abs=1e-6)
    assert first.probabilities is not None
    assert third.probabilities is not None
    assert np.abs(np.subtract(first.probabilities, third.probabilities)).max() > 0.01


def test_samples_are_handed_over_as_they_are(
    model: TransformersModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = [noise(1.0), tone(0.1), noise(30.0, 2)]
    for sound in given:
        sound.flags.writeable = False
    with heard(monkeypatch) as sounds:
        model.answer_flags([asked("a", given[0]), asked("b", given[1], given[2])], 2)
    assert len(sounds) == len(given)
    for sound, own in zip(sounds, given, strict=True):
        assert sound.dtype == np.float32
        np.testing.assert_array_equal(sound, own)


def test_very_short_sounds_are_followed_by_silence(
    model: TransformersModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    short = noise(0.01)
    with heard(monkeypatch) as sounds, prompts(model) as texts:
        model.answer([asked("a", short)])
    assert len(sounds[0]) == round(MIN_AUDIO_S * 16_000)
    np.testing.assert_array_equal(sounds[0][: len(short)], short)
    assert not sounds[0][len(short) :].any()
    assert texts[0].count("<|AUDIO|>") >= 1


@pytest.mark.parametrize("seconds", [31.0, 30.0 + 1 / 16_000])
def test_longer_sounds_than_it_hears_are_refused(model: TransformersModel, seconds: float) -> None:
    for ask in (model.answer, lambda d: model.answer_flags(d, 2)):
        with pytest.raises(LanguageModelError, match=r"hears 30 s; cut it"):
            ask([asked("a", noise(1.0)), asked("b", noise(seconds))])


def test_the_longest_sound_can_be_given(folder: Path) -> None:
    model = TransformersModel.from_pretrained(folder, max_audio_s=2.0)
    assert model.max_audio_s == 2.0
    with pytest.raises(LanguageModelError, match=r"lasts 2\.500 s"):
        model.answer([asked("a", noise(2.5))])


@pytest.mark.parametrize(
    "sound",
    [
        noise(1.0).astype(np.float64),
        np.zeros(1600, dtype=np.int16),
        np.zeros((2, 1600), dtype=np.float32),
        np.zeros(0, dtype=np.float32),
        [0.0] * 1600,
        torch.zeros(1600),
    ],
)
def test_other_sounds_are_refused(model: TransformersModel, sound: Any) -> None:
    with pytest.raises(LanguageModelError, match="float32 NumPy arrays"):
        model.answer([asked("a", sound)])


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_sounds_must_be_finite(model: TransformersModel, value: float) -> None:
    sound = noise(1.0)
    sound[5] = value
    with pytest.raises(LanguageModelError, match="NaN or infinite"):
        model.answer_flags([asked("a", sound)], 3)


def test_other_dialogues_are_refused(model: TransformersModel) -> None:
    said = Turn("assistant", "yes")
    for dialogue in ((), (Turn("user", "a"), said)):
        with pytest.raises(LanguageModelError, match="last turn of a dialogue"):
            model.answer([dialogue])
    with pytest.raises(LanguageModelError, match="only the user's turns"):
        model.answer([(Turn("assistant", "a", (noise(1.0),)), Turn("user", "b"))])
    with pytest.raises(LanguageModelError, match="windows must be at least 1"):
        model.answer_flags(DIALOGUES, 0)
    with pytest.raises(LanguageModelError, match="does not take this conversation"):
        model.answer([asked("what is an <|AUDIO|> token?", noise(1.0))])
    assert model.answer([]) == model.answer_flags([], 3) == []


def test_generation_options_of_a_checkpoint_do_not_matter(
    folder: Path, model: TransformersModel, tmp_path: Path
) -> None:
    shutil.copytree(folder, tmp_path, dirs_exist_ok=True)
    file = tmp_path / "generation_config.json"
    options = json.loads(file.read_text())
    (zero,) = model.processor.tokenizer.encode("0")
    options |= {"do_sample": True, "temperature": 0.3, "top_p": 0.1, "top_k": 3}
    options |= {"repetition_penalty": 5.0, "num_beams": 3, "min_new_tokens": 3}
    options |= {"no_repeat_ngram_size": 1, "suppress_tokens": [zero], "max_length": 7}
    file.write_text(json.dumps(options))
    other = TransformersModel.from_pretrained(tmp_path, max_new_tokens=12)
    assert other.answer_flags(DIALOGUES, 10) == model.answer_flags(DIALOGUES, 10)
    assert other.answer(DIALOGUES) == model.answer(DIALOGUES)


def test_a_loaded_model_keeps_its_own_options(folder: Path, model: TransformersModel) -> None:
    from transformers import AutoModelForMultimodalLM, AutoProcessor

    loaded = AutoModelForMultimodalLM.from_pretrained(folder).train()
    loaded.generation_config.num_beams = 3
    own = TransformersModel(loaded, AutoProcessor.from_pretrained(folder), "mine")
    check_same(own.answer_flags(DIALOGUES, 5), model.answer_flags(DIALOGUES, 5))
    assert own.name.startswith("mine float32")
    assert loaded.generation_config.num_beams == 3
    assert loaded.lm_head is own.model.lm_head
    assert not any(module.training for module in own.model.modules())


@pytest.mark.parametrize("merge", [(",", "0"), ("[", "1"), ("0", "]"), ("1", ",")])
def test_a_tokenizer_that_joins_characters_answers_freely(
    tmp_path: Path, merge: tuple[str, str]
) -> None:
    folder = write_tiny_qwen2_audio(tmp_path, merges=[merge])
    model = TransformersModel.from_pretrained(folder, max_new_tokens=6)
    assert FlagTokens.of(model.processor.tokenizer) is None
    assert model.answer_flags(DIALOGUES, 5) == model.answer(DIALOGUES)


def test_a_tokenizer_without_a_bracket_writes_no_lists() -> None:
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    vocabulary = {character: index for index, character in enumerate("?[01,")}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="?"))
    tokenizer.pre_tokenizer = pre_tokenizers.Split("", "isolated")
    assert FlagTokens.of(PreTrainedTokenizerFast(tokenizer_object=tokenizer, unk_token="?")) is None
    tokens = FlagTokens.of(byte_tokenizer((), []))
    assert tokens == FlagTokens(*byte_tokenizer((), []).encode("[],01"))


def test_nothing_outside_is_changed(folder: Path) -> None:
    from transformers.utils import logging as transformers_logging

    records: list[str] = []
    handler = logging.Handler(logging.WARNING)
    handler.emit = lambda record: records.append(record.getMessage())  # type: ignore[method-assign]
    logger = logging.getLogger("transformers")
    before = torch.get_rng_state(), list(warnings.filters), transformers_logging.get_verbosity()
    logger.addHandler(handler)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            model = TransformersModel.from_pretrained(folder, max_new_tokens=3)
            model.answer(DIALOGUES)
            model.answer_flags(DIALOGUES, 3)
    finally:
        logger.removeHandler(handler)
    assert records == []
    assert torch.equal(torch.get_rng_state(), before[0])
    assert (list(warnings.filters), transformers_logging.get_verbosity()) == before[1:]
    assert torch.is_grad_enabled()
    assert not torch.is_inference_mode_enabled()


def test_half_precision(folder: Path) -> None:
    model = TransformersModel.from_pretrained(folder, dtype=torch.bfloat16)
    assert "bfloat16" in model.name
    for answer in model.answer_flags(DIALOGUES, 10):
        check_list(answer, 10)


def test_weights_that_are_not_numbers(folder: Path) -> None:
    model = TransformersModel.from_pretrained(folder)
    torch.nn.init.constant_(model.model.lm_head.weight, torch.nan)
    with pytest.raises(LanguageModelError, match="NaN or infinite logits"):
        model.answer_flags(DIALOGUES, 2)


def test_too_little_memory(folder: Path) -> None:
    model = TransformersModel.from_pretrained(folder)

    def fail(*args: Any) -> None:
        raise torch.cuda.OutOfMemoryError("out of memory")

    model.model.register_forward_pre_hook(fail)
    with pytest.raises(LanguageModelError, match="lower batch_size"):
        model.answer(DIALOGUES)


def test_another_class_of_transformers(tmp_path: Path) -> None:
    """Audio Flamingo 3 is among the sequence to sequence models."""
    model = TransformersModel.from_pretrained(write_tiny_audio_flamingo3(tmp_path))
    assert type(model.model).__name__ == "AudioFlamingo3ForConditionalGeneration"
    check_hearing_model(model)


def test_the_writing_part_of_a_speaking_model(tmp_path: Path) -> None:
    pytest.importorskip("torchvision", reason="Qwen2.5-Omni's processor needs torchvision")
    model = TransformersModel.from_pretrained(write_tiny_qwen_omni(tmp_path))
    assert type(model.model).__name__ == "Qwen2_5OmniThinkerForConditionalGeneration"
    check_hearing_model(model)


def check_hearing_model(model: TransformersModel) -> None:
    dialogues = [asked("Flags.", noise(1.0)), asked("Please write flags.", tone(2.0))]
    answers = model.answer_flags(dialogues, 10)
    for answer in answers:
        check_list(answer, 10)
    check_same(answers, [model.answer_flags([dialogue], 10)[0] for dialogue in dialogues])
    other = model.answer_flags([asked("Flags.", tone(1.0))], 10)[0]
    assert answers[0].probabilities != pytest.approx(other.probabilities, abs=1e-4)


def test_a_folder_without_a_model(tmp_path: Path) -> None:
    for missing in (tmp_path / "none", str(tmp_path / "none"), "./none"):
        with pytest.raises(CheckpointError, match="no such folder"):
            TransformersModel.from_pretrained(missing)
    with pytest.raises(CheckpointError, match=re.escape(f"at {tmp_path}: ")):
        TransformersModel.from_pretrained(tmp_path)


def test_damaged_weights(folder: Path, tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    shutil.copytree(folder, tmp_path, dirs_exist_ok=True)
    file = tmp_path / "model.safetensors"
    state = load_file(file)
    del state[next(name for name in state if "lm_head" in name)]
    save_file(state, file, metadata={"format": "pt"})
    with pytest.raises(CheckpointError, match=r"lack 1 tensors, such as .*lm_head"):
        TransformersModel.from_pretrained(tmp_path)
    file.write_bytes(file.read_bytes()[:1000])
    with pytest.raises(CheckpointError, match="no language model that hears at"):
        TransformersModel.from_pretrained(tmp_path)


def test_a_model_that_only_reads(tmp_path: Path) -> None:
    from transformers import Qwen2Config, Qwen2ForCausalLM

    tokenizer = byte_tokenizer((), [])
    config = Qwen2Config(vocab_size=len(tokenizer), **TEXT_CONFIG)
    random_model(Qwen2ForCausalLM, config, tokenizer, 0).save_pretrained(tmp_path)
    tokenizer.chat_template = template("")
    tokenizer.save_pretrained(tmp_path)
    with pytest.raises(LanguageModelError, match="takes no sound"):
        TransformersModel.from_pretrained(tmp_path)


@pytest.mark.parametrize(
    ("chat_template", "reason"),
    [
        (template(""), "leaves sounds out"),
        ("{{ raise_exception('no such thing') }}", "no such thing"),
    ],
)
def test_a_chat_template_without_sound(
    model: TransformersModel, folder: Path, chat_template: str, reason: str
) -> None:
    from transformers import AutoProcessor

    processor = AutoProcessor.from_pretrained(folder)
    processor.chat_template = chat_template
    with pytest.raises(LanguageModelError, match=reason):
        TransformersModel(model.model, processor, "deaf")


def test_other_processors_and_models(model: TransformersModel, folder: Path) -> None:
    from transformers import AutoProcessor, T5Config, T5ForConditionalGeneration

    translator = T5ForConditionalGeneration(
        T5Config(vocab_size=300, d_model=8, d_kv=4, d_ff=8, num_layers=1, num_heads=2)
    )
    with pytest.raises(LanguageModelError, match="an encoder and a decoder"):
        TransformersModel(translator, model.processor, "t5")
    processor = AutoProcessor.from_pretrained(folder)
    processor.feature_extractor.sampling_rate = 24_000
    with pytest.raises(LanguageModelError, match="hears at 24000 Hz"):
        TransformersModel(model.model, processor, "other")
    processor.feature_extractor.sampling_rate = 16_000
    del processor.feature_extractor.n_samples
    with pytest.raises(LanguageModelError, match="give max_audio_s"):
        TransformersModel(model.model, processor, "other")
    assert TransformersModel(model.model, processor, "other", max_audio_s=9).max_audio_s == 9


@pytest.mark.parametrize(
    "options",
    [
        *({"max_new_tokens": value} for value in (0, 1.5, "9")),
        *({"batch_size": value} for value in (0, None)),
        *({"max_audio_s": value} for value in (0.0, np.nan, "30")),
    ],
)
def test_other_options_are_refused(folder: Path, options: dict[str, Any]) -> None:
    with pytest.raises(LanguageModelError, match=next(iter(options))):
        TransformersModel.from_pretrained(folder, **options)


@pytest.mark.parametrize(
    ("package", "options", "error", "message"),
    [
        ("bitsandbytes", {"load_in_4bit": True}, MissingPackageError, 'install "bitsandbytes"'),
        ("transformers", {}, CheckpointError, "pip install"),
    ],
)
def test_packages_that_are_missing(
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    package: str,
    options: dict[str, Any],
    error: type[CoPropError],
    message: str,
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(error, match=message):
        TransformersModel.from_pretrained(folder, **options)


def test_models_of_the_hub_without_a_network(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was fetched before is used, under its commit's name; of the rest it says how to."""
    from huggingface_hub import constants

    cache = tmp_path / "hub" / "models--someone--tiny"
    shutil.copytree(folder, cache / "snapshots" / COMMIT)
    (cache / "refs").mkdir()
    (cache / "refs" / "main").write_text(COMMIT)
    # What HF_HOME and HF_HUB_OFFLINE set where a process begins with them.
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    named = f"someone/tiny@{COMMIT} float32 greedy max_new_tokens=256"
    assert TransformersModel.from_pretrained("someone/tiny").name == named
    assert TransformersModel.from_pretrained("someone/tiny", revision="main").name == named
    for name, revision in (("someone/tiny", "v2"), ("someone/else", None)):
        with pytest.raises(CheckpointError) as caught:
            TransformersModel.from_pretrained(name, revision=revision)
        message = str(caught.value)
        assert message.startswith(f"there is no language model that hears at {name}: ")
        assert "hf download" in message
