"""SAM 2, EdgeTAM and SAM 3's tracker in very small, with random weights."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

SIDE = 64
PATCH = 16  # of SAM 3, whose published weights have 14 in 1008 pixels
_FEATURE_SIZES = [[SIDE // 4] * 2, [SIDE // 8] * 2, [SIDE // 16] * 2]


def tiny(family: str, seed: int = 0) -> Any:
    """A real model of a family, "sam2", "edgetam" or "sam3", for frames of 64 x 64."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model: Any = {"sam2": _sam2, "edgetam": _edgetam, "sam3": _sam3}[family]()
        for parameter in model.parameters():
            if parameter.ndim > 1:
                nn.init.normal_(parameter, std=parameter[0].numel() ** -0.5)
        # Random weights may think that nothing shows, and then all masks are the same.
        nn.init.constant_(model.mask_decoder.pred_obj_score_head.proj_out.bias, 4.0)
    return model.eval()


def _shared() -> dict[str, Any]:
    return {
        "prompt_encoder_config": {"hidden_size": 128, "image_size": SIDE, "mask_input_channels": 4},
        "mask_decoder_config": {
            "hidden_size": 128,
            "mlp_dim": 32,
            "num_attention_heads": 2,
            "iou_head_hidden_dim": 128,
        },
        "image_size": SIDE,
        "num_maskmem": 4,
        "max_object_pointers_in_encoder": 6,
        "memory_attention_hidden_size": 128,
        "memory_attention_num_layers": 1,
        "memory_attention_rope_feat_sizes": [SIDE // 16] * 2,
        "memory_encoder_hidden_size": 128,
        "memory_encoder_output_channels": 64,
        "mask_downsampler_embed_dim": 128,
        "memory_fuser_embed_dim": 128,
        "memory_fuser_intermediate_dim": 32,
        "memory_fuser_num_layers": 1,
    }


def _sam2() -> nn.Module:
    from transformers import Sam2VideoConfig, Sam2VideoModel

    backbone = {
        "model_type": "sam2_hiera_det_model",
        "hidden_size": 8,
        "image_size": [SIDE, SIDE],
        "blocks_per_stage": [1, 1, 2, 1],
        "embed_dim_per_stage": [8, 16, 32, 64],
        "num_attention_heads_per_stage": [1, 1, 2, 2],
        "window_size_per_stage": [4, 4, 4, 2],
        "global_attention_blocks": [3],
    }
    vision = {
        "model_type": "sam2_vision_model",
        "backbone_config": backbone,
        "backbone_channel_list": [64, 32, 16, 8],
        "backbone_feature_sizes": _FEATURE_SIZES,
        "fpn_hidden_size": 128,
    }
    config = Sam2VideoConfig(
        vision_config=vision, memory_attention_feed_forward_hidden_size=32, **_shared()
    )
    return Sam2VideoModel(config)


def _edgetam() -> nn.Module:
    from transformers import EdgeTamVideoConfig, EdgeTamVideoModel

    backbone = {
        "model_type": "timm_wrapper",
        "architecture": "repvit_m1",
        "num_classes": 2,
        "model_args": {
            "in_chans": 3,
            "features_only": True,
            "out_indices": [0, 1, 2, 3],
            "embed_dim": [8, 16, 24, 32],
            "depth": [1, 1, 1, 1],
        },
    }
    vision = {
        "model_type": "edgetam_vision_model",
        "backbone_config": backbone,
        "backbone_channel_list": [32, 24, 16, 8],
        "backbone_feature_sizes": _FEATURE_SIZES,
        "fpn_hidden_size": 128,
    }
    config = EdgeTamVideoConfig(
        vision_config=vision,
        memory_attention_mlp_hidden_size=32,
        memory_attention_rope_k_sizes=[2, 2],
        perceiver_resampler_num_latents=4,
        perceiver_resampler_num_latents_2d=4,
        perceiver_resampler_hidden_size=64,
        perceiver_resampler_mlp_intermediate_size=16,
        perceiver_resampler_attention_head_dim=64,
        perceiver_resampler_num_layers=1,
        **_shared(),
    )
    return EdgeTamVideoModel(config)


def _sam3() -> nn.Module:
    from transformers import Sam3TrackerVideoConfig, Sam3TrackerVideoModel

    own = {k: v for k, v in sam3_tracker_config().items() if k != "model_type"}
    return Sam3TrackerVideoModel(Sam3TrackerVideoConfig(**own))


def sam3_vision() -> dict[str, Any]:
    """Of the detector and the tracker; sub-configurations must name their types."""
    backbone = {
        "model_type": "sam3_vit_model",
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "image_size": SIDE,
        "patch_size": PATCH,
        "window_size": 2,
        "global_attn_indexes": [1],
        "pretrain_image_size": SIDE,
    }
    grid = SIDE // PATCH
    return {
        "model_type": "sam3_vision_model",
        "backbone_config": backbone,
        "fpn_hidden_size": 128,
        "backbone_feature_sizes": [[4 * grid] * 2, [2 * grid] * 2, [grid] * 2],
    }


def sam3_tracker_config() -> dict[str, Any]:
    """64 memory channels and a width of 128 are the least that can be built."""
    return {
        "model_type": "sam3_tracker_video",
        "vision_config": sam3_vision(),
        "prompt_encoder_config": {
            "model_type": "sam3_tracker_video_prompt_encoder",
            "hidden_size": 128,
            "image_size": SIDE,
            "patch_size": PATCH,
            "mask_input_channels": 4,
        },
        "mask_decoder_config": {
            "model_type": "sam3_tracker_video_mask_decoder",
            "hidden_size": 128,
            "mlp_dim": 32,
            "num_attention_heads": 2,
            "iou_head_hidden_dim": 128,
        },
        "image_size": SIDE,
        "num_maskmem": 4,
        "max_object_pointers_in_encoder": 6,
        "memory_attention_hidden_size": 128,
        "memory_attention_num_layers": 1,
        "memory_attention_feed_forward_hidden_size": 32,
        "memory_encoder_hidden_size": 128,
        "memory_encoder_output_channels": 64,
        "mask_downsampler_embed_dim": 128,
        "memory_fuser_embed_dim": 128,
        "memory_fuser_intermediate_dim": 32,
        "memory_fuser_num_layers": 1,
    }
