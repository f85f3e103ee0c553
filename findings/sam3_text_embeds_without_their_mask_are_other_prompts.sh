#!/usr/bin/env bash
# Packages: transformers 5.24.0, torch 2.14.1.
# Behaviour: Sam3Model takes a prompt as input_ids with attention_mask, or, encoded before, as text_embeds,
#   so that one prompt serves many pictures. One would expect the same answers: the embeddings know
#   their padding. They do not. The processor pads every prompt to 32 tokens, and the mask is used again
#   after the text encoder, by the detector's attention; without it 27 tokens of padding are part of a
#   prompt of 5, and scores change without a word of warning. What is passed on must be both:
#   text_embeds and the prompt's attention_mask; and the whole output of get_text_features, not its
#   pooler_output, which the documentation shows.
# Seen: scores of 8 queries from ids and from embeddings with the mask differ by 0; without the mask by up to
#   0.066, of scores from 0.16 to 0.34 (random weights).
# Source: run on 2026-11-29; transformers/models/sam3/modeling_sam3.py, Sam3Model.forward, text_mask.
set -euo pipefail
folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
python="$folder/venv/bin/python"
"$python" -m pip install --quiet torch==2.14.1 torchvision==0.29.1 transformers==5.24.0
cd "$folder"
"$python" - <<'PYTHON'
import numpy as np
import torch
from transformers import CLIPTokenizer, Sam3Config, Sam3ImageProcessor, Sam3Model, Sam3Processor

letters = "abcdefghijklmnopqrstuvwxyz"
pieces = [*letters, *(x + "</w>" for x in letters), "<|startoftext|>", "<|endoftext|>"]
tokenizer = CLIPTokenizer(vocab={p: i for i, p in enumerate(pieces)}, merges=[], model_max_length=32)
processor = Sam3Processor(Sam3ImageProcessor(size={"height": 64, "width": 64}), tokenizer)
layers = {"hidden_size": 128, "num_attention_heads": 2, "intermediate_size": 32, "num_layers": 1}
model = Sam3Model(
    Sam3Config(
        vision_config={
            "model_type": "sam3_vision_model",
            "backbone_config": {
                "model_type": "sam3_vit_model",
                "hidden_size": 32,
                "intermediate_size": 64,
                "num_hidden_layers": 2,
                "num_attention_heads": 2,
                "image_size": 64,
                "patch_size": 16,
                "window_size": 2,
                "global_attn_indexes": [1],
                "pretrain_image_size": 64,
            },
            "fpn_hidden_size": 128,
            "backbone_feature_sizes": [[16, 16], [8, 8], [4, 4]],
        },
        text_config={
            "model_type": "clip_text_model",
            "vocab_size": len(pieces),
            "hidden_size": 16,
            "intermediate_size": 32,
            "projection_dim": 16,
            "num_hidden_layers": 1,
            "num_attention_heads": 2,
            "max_position_embeddings": 32,
            "bos_token_id": tokenizer.bos_token_id,
            "eos_token_id": tokenizer.eos_token_id,
        },
        geometry_encoder_config={"model_type": "sam3_geometry_encoder", **layers},
        detr_encoder_config={"model_type": "sam3_detr_encoder", **layers},
        detr_decoder_config={"model_type": "sam3_detr_decoder", "num_queries": 8, **layers},
        mask_decoder_config={
            "model_type": "sam3_mask_decoder",
            "hidden_size": 128,
            "num_attention_heads": 2,
        },
    )
).eval()
generator = torch.Generator().manual_seed(0)
for parameter in model.parameters():
    if parameter.ndim > 1:
        parameter.data.normal_(0, parameter[0].numel() ** -0.5, generator=generator)
image = (np.random.default_rng(0).random((45, 61, 3)) * 255).astype("uint8")
inputs = processor(images=image, text="dog", return_tensors="pt")
mask = inputs.attention_mask


@torch.no_grad()
def scores(**prompt):
    output = model(pixel_values=inputs.pixel_values, **prompt)
    return (output.pred_logits.sigmoid() * output.presence_logits.sigmoid())[0]


with torch.no_grad():
    embeds = model.get_text_features(input_ids=inputs.input_ids, attention_mask=mask)
ids = scores(input_ids=inputs.input_ids, attention_mask=mask)
both = float((scores(text_embeds=embeds, attention_mask=mask) - ids).abs().max())
alone = float((scores(text_embeds=embeds) - ids).abs().max())
print(f"{int(mask.sum())} of {mask.numel()} tokens; scores {ids.min():.2f} to {ids.max():.2f}")
print(f"difference with the mask {both:.1e}, without {alone:.3f}")
assert both < 1e-5, both
assert alone > 0.01, alone
PYTHON
