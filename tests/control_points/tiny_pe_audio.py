"""PE-A-Frame in very small, with random weights, written by transformers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789"


def write_tiny_pe_audio(folder: Path, *, seed: int = 0, kind: str = "frame") -> Path:
    """A real `PeAudioFrameLevelModel` in a folder, with its processor.

    It hears 48 kHz and answers each 1920 samples, as the published ones do. Its weights are large
    enough for different sounds and words to get different answers.
    """
    from transformers import (
        PeAudioConfig,
        PeAudioFeatureExtractor,
        PeAudioFrameLevelModel,
        PeAudioModel,
        PeAudioProcessor,
    )

    tokenizer = letter_tokenizer()
    config = PeAudioConfig(
        text_config={
            "model_type": "modernbert",
            "vocab_size": len(tokenizer),
            "hidden_size": 32,
            "intermediate_size": 48,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
            "local_attention": 16,
            "pad_token_id": tokenizer.pad_token_id,
            "cls_token_id": tokenizer.cls_token_id,
            "bos_token_id": tokenizer.cls_token_id,
            "sep_token_id": tokenizer.sep_token_id,
            "eos_token_id": tokenizer.sep_token_id,
        },
        audio_config={
            "dac_config": {
                "model_type": "dac",
                "downsampling_ratios": [2, 8, 10, 12],
                "encoder_hidden_size": 2,
                "hidden_size": 32,
                "codebook_dim": 16,
            },
            "hidden_size": 32,
            "intermediate_size": 48,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
            "head_dim": 16,
        },
    )
    made: Any = PeAudioFrameLevelModel if kind == "frame" else PeAudioModel
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = made(config).eval()
        with torch.no_grad():
            for parameter in model.parameters():
                if parameter.ndim > 1:
                    torch.nn.init.normal_(parameter, std=parameter[0].numel() ** -0.5)
            model.text_audio_logit_scale.fill_(0.5)
    model.save_pretrained(folder)
    extractor = PeAudioFeatureExtractor(feature_size=1, sampling_rate=48_000, hop_length=1920)
    PeAudioProcessor(extractor, tokenizer).save_pretrained(folder)
    return folder


def letter_tokenizer() -> Any:
    """Letters and digits are tokens, between the marks of a beginning and an end."""
    from tokenizers import Regex, Tokenizer, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    marks = ("[PAD]", "[CLS]", "[SEP]", "[UNK]")
    vocabulary = {token: number for number, token in enumerate([*marks, *LETTERS, " "])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex("."), "isolated")
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 1), ("[SEP]", 2)]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="[PAD]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        unk_token="[UNK]",
        padding_side="right",
        model_max_length=512,
    )
