"""Models that segment by words, very small and with random weights, with their processors."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from tiny_sam2 import SIDE, sam3_tracker_config, sam3_vision, tiny

WORDS = ("dog", "cat", "violin", "person", "speaking", "drum", "kit", "horse", "a", "photo", "of")
_BERT = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", ".", "?", *WORDS)


def drawn(model: Any, seed: int = 0) -> Any:
    """With weights of usual size: new models' are so small that all answers are alike."""
    generator = torch.Generator().manual_seed(seed)
    for parameter in model.parameters():
        if parameter.ndim > 1:
            std = parameter[0].numel() ** -0.5
            parameter.data.normal_(0, std, generator=generator)
    return model.eval()


def bert_tokenizer() -> Any:
    from transformers import BertTokenizer

    return BertTokenizer(vocab={word: i for i, word in enumerate(_BERT)})


def clip_tokenizer(length: int, pad: str = "<|endoftext|>") -> Any:
    from transformers import CLIPTokenizer

    letters = "abcdefghijklmnopqrstuvwxyz"
    pieces = [*letters, *(x + "</w>" for x in letters), "!"]
    vocabulary = {piece: i for i, piece in enumerate(pieces)}
    for special in ("<|startoftext|>", "<|endoftext|>"):
        vocabulary[special] = len(vocabulary)
    return CLIPTokenizer(vocab=vocabulary, merges=[], pad_token=pad, model_max_length=length)


def _swin() -> dict[str, Any]:
    return {
        "model_type": "swin",
        "image_size": 64,
        "patch_size": 4,
        "embed_dim": 8,
        "depths": [1, 1, 1, 1],
        "num_heads": [1, 1, 2, 2],
        "window_size": 4,
        "out_indices": [2, 3, 4],
    }


def grounding_dino(mm: bool) -> Any:
    from transformers import (
        GroundingDinoConfig,
        GroundingDinoForObjectDetection,
        MMGroundingDinoConfig,
        MMGroundingDinoForObjectDetection,
    )

    text = {
        "model_type": "bert",
        "vocab_size": len(_BERT),
        "hidden_size": 16,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "intermediate_size": 32,
        "max_position_embeddings": 64,
    }
    config, kind = (
        (MMGroundingDinoConfig, MMGroundingDinoForObjectDetection)
        if mm
        else (GroundingDinoConfig, GroundingDinoForObjectDetection)
    )
    return kind(
        config(
            backbone_config=_swin(),
            text_config=text,
            num_queries=12,
            encoder_layers=1,
            encoder_ffn_dim=32,
            encoder_attention_heads=2,
            decoder_layers=2,
            decoder_ffn_dim=32,
            decoder_attention_heads=2,
            d_model=32,
            disable_custom_kernels=True,
            max_text_len=32,
        )
    )


def grounding_dino_processor() -> Any:
    from transformers import GroundingDinoImageProcessor, GroundingDinoProcessor

    images = GroundingDinoImageProcessor(size={"shortest_edge": 64, "longest_edge": 96})
    return GroundingDinoProcessor(images, bert_tokenizer())


def owlv2() -> Any:
    from transformers import Owlv2Config, Owlv2ForObjectDetection

    tokenizer = clip_tokenizer(32)
    text = {
        "vocab_size": len(tokenizer),
        "hidden_size": 16,
        "intermediate_size": 32,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "max_position_embeddings": 32,
    }
    vision = {
        "hidden_size": 16,
        "intermediate_size": 32,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "image_size": 64,
        "patch_size": 16,
    }
    return Owlv2ForObjectDetection(
        Owlv2Config(text_config=text, vision_config=vision, projection_dim=16)
    )


def owlv2_processor() -> Any:
    from transformers import Owlv2ImageProcessor, Owlv2Processor

    return Owlv2Processor(
        Owlv2ImageProcessor(size={"height": 64, "width": 64}), clip_tokenizer(32, "!")
    )


def clipseg() -> Any:
    from transformers import CLIPSegConfig, CLIPSegForImageSegmentation

    t = clip_tokenizer(77)
    text = {
        "vocab_size": len(t),
        "hidden_size": 16,
        "intermediate_size": 32,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "eos_token_id": t.eos_token_id,
        "bos_token_id": t.bos_token_id,
    }
    vision = {
        "hidden_size": 16,
        "intermediate_size": 32,
        "num_hidden_layers": 3,
        "num_attention_heads": 2,
        "image_size": 64,
        "patch_size": 16,
    }
    return CLIPSegForImageSegmentation(
        CLIPSegConfig(
            text_config=text,
            vision_config=vision,
            projection_dim=16,
            extract_layers=[0, 1, 2],
            reduce_dim=16,
            decoder_intermediate_size=32,
        )
    )


def clipseg_processor() -> Any:
    from transformers import CLIPSegProcessor, ViTImageProcessor

    return CLIPSegProcessor(ViTImageProcessor(size={"height": 64, "width": 64}), clip_tokenizer(77))


def sam3_config() -> dict[str, Any]:
    tokenizer = clip_tokenizer(32)
    layers = {"hidden_size": 128, "num_attention_heads": 2, "intermediate_size": 32}
    return {
        "model_type": "sam3",
        "vision_config": sam3_vision(),
        "text_config": {
            "model_type": "clip_text_model",
            "vocab_size": len(tokenizer),
            "hidden_size": 16,
            "intermediate_size": 32,
            "projection_dim": 16,
            "num_hidden_layers": 1,
            "num_attention_heads": 2,
            "max_position_embeddings": 32,
            "bos_token_id": tokenizer.bos_token_id,
            "eos_token_id": tokenizer.eos_token_id,
        },
        "geometry_encoder_config": {
            "model_type": "sam3_geometry_encoder",
            "num_layers": 1,
            **layers,
        },
        "detr_encoder_config": {"model_type": "sam3_detr_encoder", "num_layers": 1, **layers},
        "detr_decoder_config": {
            "model_type": "sam3_detr_decoder",
            "num_layers": 1,
            "num_queries": 8,
            **layers,
        },
        "mask_decoder_config": {
            "model_type": "sam3_mask_decoder",
            "hidden_size": 128,
            "num_attention_heads": 2,
        },
    }


def sam3_video() -> Any:
    from transformers import Sam3VideoConfig, Sam3VideoModel

    return Sam3VideoModel(
        Sam3VideoConfig(detector_config=sam3_config(), tracker_config=sam3_tracker_config())
    )


def sam3() -> Any:
    from transformers import Sam3Config, Sam3Model

    return Sam3Model(Sam3Config(**{k: v for k, v in sam3_config().items() if k != "model_type"}))


def sam3_processor(video: bool) -> Any:
    from transformers import (
        Sam2VideoVideoProcessor,
        Sam3ImageProcessor,
        Sam3Processor,
        Sam3VideoProcessor,
    )

    size = {"height": SIDE, "width": SIDE}
    images = Sam3ImageProcessor(size=size)
    if not video:
        return Sam3Processor(images, clip_tokenizer(32))
    half = [0.5, 0.5, 0.5]
    return Sam3VideoProcessor(
        images,
        Sam2VideoVideoProcessor(size=size, image_mean=half, image_std=half),
        clip_tokenizer(32),
    )


def sam2_processor() -> Any:
    from transformers import Sam2ImageProcessor, Sam2VideoProcessor, Sam2VideoVideoProcessor

    size = {"height": SIDE, "width": SIDE}
    return Sam2VideoProcessor(
        Sam2ImageProcessor(size=size), Sam2VideoVideoProcessor(size=size), target_size=SIDE
    )


def save(family: str, folder: Path) -> Path:
    """A folder with a model of a family and its processor, as published ones have them."""
    model, processor = {
        "grounding_dino": lambda: (drawn(grounding_dino(mm=False)), grounding_dino_processor()),
        "mm_grounding_dino": lambda: (drawn(grounding_dino(mm=True)), grounding_dino_processor()),
        "owlv2": lambda: (drawn(owlv2()), owlv2_processor()),
        "clipseg": lambda: (drawn(clipseg()), clipseg_processor()),
        "sam3": lambda: (drawn(sam3()), sam3_processor(video=False)),
        "sam3_video": lambda: (drawn(sam3_video()), sam3_processor(video=True)),
        "sam2": lambda: (tiny("sam2"), sam2_processor()),
        "edgetam": lambda: (tiny("edgetam"), sam2_processor()),
    }[family]()
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder
