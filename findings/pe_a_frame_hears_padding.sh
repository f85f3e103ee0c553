#!/usr/bin/env bash
# Packages: transformers 5.24.0, torch 2.14.1.
# Behaviour: PeAudioFrameLevelModel takes sounds of several lengths as one batch; its extractor pads the
#   shorter with zeros and makes a padding_mask. One would expect a sound's answers not to depend on what
#   it is batched with, and a test with the random weights of a new model says so, to 1e-7. It is not
#   so. The mask keeps padding out of normalisation and attention; the codec's convolutions before these
#   run over the padding, and what their biases make of zeros reaches the sound's last frames, from
#   where attention carries it to all. New weights are so small that this does not show. With weights
#   of usual size, answers change by tenths, most near the sound's end. Who needs the same answers
#   alone and in a batch has to batch sounds of one length.
# Seen: 1 s of noise alone, and beside 2 s of noise: largest difference of 25 answers 1.3e-7 with new
#   weights; 0.48, at answers from -2.4 to 2.1, with the same weights drawn at unit gain.
# Source: run on 2026-11-29; transformers/models/pe_audio/modeling_pe_audio.py, where padding_mask goes.
set -euo pipefail
folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
python="$folder/venv/bin/python"
"$python" -m pip install --quiet torch==2.14.1 transformers==5.24.0
cd "$folder"
"$python" - <<'PYTHON'
import torch
from transformers import PeAudioConfig, PeAudioFeatureExtractor, PeAudioFrameLevelModel

config = PeAudioConfig(
    text_config={
        "model_type": "modernbert",
        "vocab_size": 50,
        "hidden_size": 32,
        "intermediate_size": 48,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "local_attention": 16,
        "pad_token_id": 0,
        "cls_token_id": 1,
        "bos_token_id": 1,
        "sep_token_id": 2,
        "eos_token_id": 2,
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
torch.manual_seed(0)
model = PeAudioFrameLevelModel(config).eval()
model.text_audio_logit_scale.data.fill_(0.5)  # a new model's is 0, and so are its answers
extractor = PeAudioFeatureExtractor(feature_size=1, sampling_rate=48_000, hop_length=1920)
generator = torch.Generator().manual_seed(1)
short = (0.1 * torch.randn(48_000, generator=generator)).numpy()
long = (0.1 * torch.randn(96_000, generator=generator)).numpy()
ids = torch.tensor([[1, 7, 8, 2]])


@torch.no_grad()
def answers(*sounds):
    batch = extractor(list(sounds), sampling_rate=48_000, return_tensors="pt", padding=True)
    output = model(input_ids=ids, attention_mask=torch.ones_like(ids), **batch)
    return output.logits_audio_text[0].flatten()[:25]


def difference():
    return float((answers(short) - answers(short, long)).abs().max())


new = difference()
for parameter in model.parameters():
    if parameter.ndim > 1:
        torch.nn.init.normal_(parameter, std=parameter[0].numel() ** -0.5)
model.text_audio_logit_scale.data.fill_(0.5)
usual, spread = difference(), answers(short)
print(f"new weights: {new:.1e}; unit gain: {usual:.2f} of {spread.min():.1f} to {spread.max():.1f}")
assert new < 1e-5, new
assert usual > 0.05, usual
PYTHON
