"""Finding a model that hears, and its processor, in a folder or on the hub."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import torch
from huggingface_hub import try_to_load_from_cache
from safetensors import SafetensorError

from coprop.checkpoints.transformers_models import place_of, whole
from coprop.errors import CheckpointError, CoPropError, LanguageModelError
from coprop.utils.brief import first_line
from coprop.utils.extras import needs
from coprop.utils.paths import AnyPath, real_path

_EXAMPLE = "Qwen/Qwen2-Audio-7B-Instruct"


def load(
    name: AnyPath,
    *,
    device_map: Any,
    dtype: torch.dtype | str,
    load_in_4bit: bool,
    revision: str | None,
    local_files_only: bool,
) -> tuple[Any, Any, str]:
    """A model, its processor, and which weights they are; see `TransformersModel.from_pretrained`.

    Of models that can also speak, the part that thinks and writes is loaded.

    Raises:
        CheckpointError: transformers lacks a package, there is no such model, or no whole one.
        MissingPackageError: bitsandbytes is not installed.
        LanguageModelError: it does not hear.
    """
    if load_in_4bit:
        with needs("bitsandbytes", "bitsandbytes", "load_in_4bit"):
            import bitsandbytes  # noqa: F401
    place_of("name_or_folder", name, partial(_unusable, name))
    origin = {
        "revision": revision or "main",
        "local_files_only": local_files_only,
        "trust_remote_code": False,  # else transformers asks on the terminal
    }
    with _explained(name):
        from transformers import AutoConfig, AutoProcessor

        config = AutoConfig.from_pretrained(name, **origin)
        processor = AutoProcessor.from_pretrained(name, **origin)  # type: ignore[no-untyped-call]
        check_hears(processor, str(name))  # before gigabytes are read
        options = {**origin, "device_map": device_map, "dtype": dtype}
        if load_in_4bit:
            options["quantization_config"] = _four_bits(dtype)
        model = _load_model(name, getattr(config, "thinker_config", None) or config, options)
    return model, processor, _identity(name, revision or "main")


def check_hears(processor: Any, name: str) -> None:
    """Refuses a processor that does not take sound, or whose chat template leaves it out.

    Raises:
        LanguageModelError: it is one.
    """
    if audio_part(processor) is None:
        raise _deaf(name, f"its processor, {type(processor).__name__}, takes no sound")
    text = {"type": "text", "text": "What sounds here?"}
    try:
        heard, unheard = (
            processor.apply_chat_template([{"role": "user", "content": content}], tokenize=False)
            for content in ([{"type": "audio"}, text], [text])
        )
    except Exception as error:  # templates raise what they like
        raise _deaf(name, f"its chat template fails, {error}") from error
    if heard == unheard:
        raise _deaf(name, "its chat template leaves sounds out")


def audio_part(processor: Any) -> Any:
    """What turns sound into features in a processor; None where nothing does."""
    part = getattr(processor, "audio_processor", None)
    return getattr(processor, "feature_extractor", None) if part is None else part


def _load_model(name: AnyPath, config: Any, options: dict[str, Any]) -> Any:
    from transformers import (
        MODEL_FOR_MULTIMODAL_LM_MAPPING,
        MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING,
        AutoModelForMultimodalLM,
        AutoModelForSeq2SeqLM,
    )

    kind: Any = AutoModelForMultimodalLM
    if type(config) not in MODEL_FOR_MULTIMODAL_LM_MAPPING:
        kind = AutoModelForSeq2SeqLM  # transformers files Audio Flamingo 3 there
        if type(config) not in MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING:
            raise _unusable(name, f"transformers has none of type {config.model_type!r}")
    read = partial(kind.from_pretrained, name, config=config, **options)
    return whole(read, partial(_unusable, name))


def _four_bits(dtype: torch.dtype | str) -> Any:
    from transformers import BitsAndBytesConfig

    return BitsAndBytesConfig(  # type: ignore[no-untyped-call]
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_compute_dtype=torch.bfloat16 if dtype == "auto" else dtype,
    )


def _identity(name: AnyPath, revision: str) -> str:
    """A folder's full path, or the hub's id with the commit that was loaded."""
    if Path(name).is_dir():
        return str(real_path(Path(name)))
    file = try_to_load_from_cache(str(name), "config.json", revision=revision)
    # The hub's cache keeps each commit's files in a folder of its name.
    return f"{name}@{Path(file).parent.name if isinstance(file, str) else revision}"


@contextmanager
def _explained(name: AnyPath) -> Iterator[None]:
    """Says of what transformers raises which model it was, and what to do."""
    try:
        yield
    except CoPropError:
        raise
    except ImportError as error:
        raise CheckpointError(
            f"{name} cannot be loaded, a package is missing: {first_line(error)}. Install it; "
            'transformers itself comes with: pip install "transformers>=5".'
        ) from error
    except (OSError, ValueError, KeyError, RuntimeError, SafetensorError) as error:
        raise _unusable(name, first_line(error)) from error


def _unusable(name: AnyPath, reason: str) -> CheckpointError:
    return CheckpointError(
        f"there is no language model that hears at {name}: {reason}. Give a folder as "
        f"transformers' save_pretrained() writes it for a model and its processor, or an id on "
        f"the hub, such as {_EXAMPLE}; without a network, fetch it beforehand with: "
        "hf download ID."
    )


def _deaf(name: str, reason: str) -> LanguageModelError:
    return LanguageModelError(
        f"{name} cannot be asked about sound: {reason}. Take a model whose chat template has "
        f"sounds and text, such as {_EXAMPLE}."
    )
