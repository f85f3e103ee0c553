"""Qwen2-Audio in very small, with random weights, written by transformers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn

MARKS = ("<|im_start|>", "<|AUDIO|>", "<|audio_bos|>", "<|audio_eos|>")
_END, _PAD = "<|im_end|>", "<|endoftext|>"

TEXT_CONFIG: dict[str, Any] = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 8192,
    "tie_word_embeddings": False,
}


def write_tiny_qwen2_audio(
    folder: Path, *, merges: Sequence[tuple[str, str]] = (), seed: int = 0
) -> Path:
    """A real Qwen2-Audio of 70,000 parameters in a folder, with its processor.

    Its tokens are single bytes and what ``merges`` joins; so digits and brackets are tokens of
    their own, as they are Qwen's.
    """
    from transformers import (
        Qwen2AudioConfig,
        Qwen2AudioForConditionalGeneration,
        Qwen2AudioProcessor,
        WhisperFeatureExtractor,
    )

    tokenizer = byte_tokenizer(merges, list(MARKS))
    config = Qwen2AudioConfig(
        audio_config={
            "model_type": "qwen2_audio_encoder",
            "d_model": 16,
            "encoder_layers": 1,
            "encoder_attention_heads": 2,
            "encoder_ffn_dim": 32,
            "max_source_positions": 1500,  # the encoder takes sounds of 30 s and no others
        },
        text_config={"model_type": "qwen2", "vocab_size": len(tokenizer), **TEXT_CONFIG},
        audio_token_index=tokenizer.convert_tokens_to_ids("<|AUDIO|>"),
    )
    model = random_model(Qwen2AudioForConditionalGeneration, config, tokenizer, seed)
    model.save_pretrained(folder)
    extractor = WhisperFeatureExtractor(feature_size=128)
    Qwen2AudioProcessor(extractor, tokenizer).save_pretrained(folder)
    return folder


def byte_tokenizer(
    merges: Sequence[tuple[str, str]], marks: list[str] | dict[str, str], **options: Any
) -> Any:
    """A tokenizer of bytes, with merges and special tokens."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    symbols = sorted(pre_tokenizers.ByteLevel.alphabet()) + ["".join(pair) for pair in merges]
    vocabulary = {symbol: index for index, symbol in enumerate(symbols)}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=list(merges)))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.decoder = decoders.ByteLevel()
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        eos_token=_END,
        pad_token=_PAD,
        extra_special_tokens=marks,
        **options,
    )


def random_model(kind: Any, config: Any, tokenizer: Any, seed: int) -> Any:
    """A model whose random weights are large enough for what it hears to change its answers."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = kind(config)
        for parameter in model.parameters():
            if parameter.ndim > 1:
                nn.init.normal_(parameter, std=parameter[0].numel() ** -0.5)
    model.generation_config.eos_token_id = tokenizer.eos_token_id
    model.generation_config.pad_token_id = tokenizer.pad_token_id
    return model.eval()


def write_tiny_audio_flamingo3(folder: Path) -> Path:
    """A real Audio Flamingo 3, which transformers loads by another class."""
    from transformers import (
        AudioFlamingo3Config,
        AudioFlamingo3ForConditionalGeneration,
        AudioFlamingo3Processor,
        WhisperFeatureExtractor,
    )

    tokenizer = byte_tokenizer((), ["<|im_start|>", "<sound>"])
    config = AudioFlamingo3Config(
        audio_config={
            "model_type": "audioflamingo3_encoder",
            "hidden_size": 16,
            "num_hidden_layers": 1,
            "num_attention_heads": 2,
            "intermediate_size": 32,
        },
        text_config={"model_type": "qwen2", "vocab_size": len(tokenizer), **TEXT_CONFIG},
        audio_token_id=tokenizer.convert_tokens_to_ids("<sound>"),
    )
    model = random_model(AudioFlamingo3ForConditionalGeneration, config, tokenizer, 0)
    model.save_pretrained(folder)
    AudioFlamingo3Processor(
        WhisperFeatureExtractor(feature_size=128), tokenizer, chat_template=template("<sound>")
    ).save_pretrained(folder)
    return folder


def write_tiny_qwen_omni(folder: Path) -> Path:
    """A Qwen2.5-Omni of which the part that speaks is left out; transformers needs torchvision.

    The weights have the names that they have in the whole model's files.
    """
    from safetensors.torch import save_file
    from transformers import (
        Qwen2_5OmniConfig,
        Qwen2_5OmniProcessor,
        Qwen2_5OmniThinkerConfig,
        Qwen2_5OmniThinkerForConditionalGeneration,
        Qwen2VLImageProcessor,
        Qwen2VLVideoProcessor,
        WhisperFeatureExtractor,
    )

    named = {f"{what}_token": f"<|{what}|>" for what in ("image", "audio", "video")}
    edges = {
        f"{what}_{edge}_token": f"<|{what}_{edge}|>"
        for what in ("audio", "vision")
        for edge in ("bos", "eos")
    }
    tokenizer = byte_tokenizer((), {**named, **edges, "start": "<|im_start|>"})
    text = {**TEXT_CONFIG, "vocab_size": len(tokenizer)}
    text["rope_parameters"] = {"rope_type": "default", "mrope_section": [2, 1, 1]}
    text["rope_parameters"]["rope_theta"] = 10_000.0
    config = Qwen2_5OmniThinkerConfig(
        audio_config={
            "d_model": 16,
            "encoder_layers": 1,
            "encoder_attention_heads": 2,
            "encoder_ffn_dim": 32,
            "output_dim": 32,
        },
        vision_config={
            "depth": 1,
            "hidden_size": 16,
            "intermediate_size": 32,
            "num_heads": 2,
            "out_hidden_size": 32,
            "fullatt_block_indexes": [0],
        },
        text_config=text,
        **{
            f"{what}_token_index": tokenizer.convert_tokens_to_ids(named[f"{what}_token"])
            for what in ("image", "audio", "video")
        },
        vision_start_token_id=tokenizer.convert_tokens_to_ids("<|vision_bos|>"),
    )
    model = random_model(Qwen2_5OmniThinkerForConditionalGeneration, config, tokenizer, 0)
    folder.mkdir(parents=True, exist_ok=True)
    state = {f"thinker.{name}": tensor.contiguous() for name, tensor in model.state_dict().items()}
    save_file(state, folder / "model.safetensors", metadata={"format": "pt"})
    whole = Qwen2_5OmniConfig(thinker_config=config.to_dict(), enable_audio_output=False)
    whole.save_pretrained(folder)
    Qwen2_5OmniProcessor(
        Qwen2VLImageProcessor(),
        Qwen2VLVideoProcessor(),
        WhisperFeatureExtractor(feature_size=128),
        tokenizer,
        chat_template=template("<|audio_bos|><|audio|><|audio_eos|>"),
    ).save_pretrained(folder)
    return folder


def template(sound: str) -> str:
    """A chat template that writes ``sound`` for each sound."""
    content = f"{{% if c.type == 'audio' %}}{sound}{{% else %}}{{{{ c.text }}}}{{% endif %}}"
    return (
        "{% for m in messages %}<|im_start|>{{ m.role }}\n"
        f"{{% for c in m.content %}}{content}{{% endfor %}}<|im_end|>\n{{% endfor %}}"
        "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
    )
