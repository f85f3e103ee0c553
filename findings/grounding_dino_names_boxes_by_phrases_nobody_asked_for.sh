#!/usr/bin/env bash
# Packages: transformers 5.24.0, torch 2.14.1.
# Behaviour: GroundingDinoProcessor takes a list of candidate labels and gives each box a text label. One would
#   expect one of the candidates, as zero-shot classifiers give. It is the tokens above text_threshold, joined: a
#   box that two candidates reach is called by both and the full stop between them, and one that none
#   reaches by the threshold has an empty name. Neither is among the candidates, so that code that looks
#   labels up by name loses these boxes. Who wants one of the candidates has to compare the scores of
#   their own tokens.
# Seen: candidates dog and cat, 12 boxes, random weights, with which many tokens are above the threshold: names
#   'dog [SEP]', 'dog cat [SEP]', 'dog. cat. [SEP]' and 'dog.. [SEP]'; none of the 12 is a candidate.
# Source: run on 2026-11-29; transformers/models/grounding_dino/processing_grounding_dino.py,
#   get_phrases_from_posmap.
set -euo pipefail
folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
python="$folder/venv/bin/python"
"$python" -m pip install --quiet torch==2.14.1 torchvision==0.29.1 transformers==5.24.0 timm==1.0.31
cd "$folder"
"$python" - <<'PYTHON'
import numpy as np
import torch
from transformers import (
    BertTokenizer,
    GroundingDinoConfig,
    GroundingDinoForObjectDetection,
    GroundingDinoImageProcessor,
    GroundingDinoProcessor,
)

words = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", ".", "?", "dog", "cat")
processor = GroundingDinoProcessor(
    GroundingDinoImageProcessor(size={"shortest_edge": 64, "longest_edge": 96}),
    BertTokenizer(vocab={word: i for i, word in enumerate(words)}),
)
swin = {
    "model_type": "swin",
    "image_size": 64,
    "embed_dim": 8,
    "depths": [1, 1, 1, 1],
    "num_heads": [1, 1, 2, 2],
    "window_size": 4,
    "out_indices": [2, 3, 4],
}
bert = {
    "model_type": "bert",
    "vocab_size": len(words),
    "hidden_size": 16,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": 32,
    "max_position_embeddings": 64,
}
model = GroundingDinoForObjectDetection(
    GroundingDinoConfig(
        backbone_config=swin,
        text_config=bert,
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
).eval()
generator = torch.Generator().manual_seed(0)
for parameter in model.parameters():
    if parameter.ndim > 1:
        parameter.data.normal_(0, parameter[0].numel() ** -0.5, generator=generator)
image = (np.random.default_rng(0).random((45, 61, 3)) * 255).astype("uint8")
inputs = processor(images=image, text=[["dog", "cat"]], return_tensors="pt")
with torch.no_grad():
    output = model(**inputs)
(found,) = processor.post_process_grounded_object_detection(output, target_sizes=[(45, 61)])
names = found["text_labels"]
others = [name for name in names if name not in ("dog", "cat")]
print(f"{sorted(set(names))}; {len(others)} of {len(names)} are no candidates")
assert others, names
PYTHON
