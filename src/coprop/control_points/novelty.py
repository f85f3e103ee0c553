"""Change scores from sound alone: what is heard before and after each moment, compared.

A step of 46 ms is described by what the stages of the sound effects encoder make of it; the
descriptions before and after it are compared by their means over 0.2 to 2.5 s and their maxima over
0.3 to 0.9 s, so that a bark that returns, a drum pattern or a melody looks the same on both sides
while another source does not. The idea is Foote's novelty (2000), with a learned description in
place of the spectrum and several context lengths. `python -m tools.train_default novelty` fits the
weights (novelty.safetensors) to composed sound.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from safetensors.torch import load_file
from torch import Tensor, nn

from coprop.checkpoints.undrawn import to_be_filled
from coprop.control_points.features import STEP_S, num_steps
from coprop.encoders.sound_effects import SoundEffectsEncoder
from coprop.types import AudioTrack

MIN_GAP_S = 0.5  # seconds from one change to the next, at least
_PACKAGE = Path(__file__).parents[1]
_ENCODER = _PACKAGE / "weights" / "sound_effects" / "model.safetensors"
_NETWORK = Path(__file__).parent / "novelty.safetensors"
# In steps of 46 ms: how far before and after it a step is compared, by means and by maxima.
_MEAN_RADII = (4, 12, 24, 54)
_MAX_RADII = (6, 20)
_BLOCK_STEPS = 384  # 18 s, computed at once: memory does not grow with the track
REACH_STEPS = 64  # on either side: a score depends on 63, by convolutions (7, 2) and means (54)


class NoveltyNetwork(nn.Module):
    """Descriptions of all steps of a sound -> logits of "the sources change here".

    ``forward`` takes ``(B, S, SoundEffectsEncoder.step_dim)`` and returns ``(B, S)``.

    Args:
        width: channels of the description while it is made.
        described: channels that are compared.
    """

    mean: Tensor
    spread: Tensor
    calibration: Tensor

    def __init__(self, width: int = 128, described: int = 64) -> None:
        super().__init__()
        dims = SoundEffectsEncoder.step_dim
        self.register_buffer("mean", torch.zeros(dims))
        self.register_buffer("spread", torch.ones(dims))
        self.stem = nn.Linear(dims, width)
        self.around = nn.ModuleList(
            nn.Conv1d(width, width, 3, padding=dilation, dilation=dilation)
            for dilation in (1, 2, 4)
        )
        self.mix = nn.ModuleList(nn.Linear(width, width) for _ in self.around)
        self.describe = nn.Linear(width, described)
        comparisons = 1 + 2 * (len(_MEAN_RADII) + len(_MAX_RADII))
        self.hidden = nn.Linear(comparisons * described, width)
        self.neighbours = nn.Conv1d(width, width, 5, padding=2)
        self.dropout = nn.Dropout(0.2)
        self.out = nn.Linear(width, 1)
        # Slope and offset from a peak's logit to the chance that it is a change.
        self.register_buffer("calibration", torch.tensor([1.0, 0.0]))

    def forward(self, steps: Tensor) -> Tensor:
        x = F.relu(self.stem((steps - self.mean) / self.spread))
        for around, mix in zip(self.around, self.mix, strict=True):
            x = x + mix(F.relu(around(x.transpose(1, 2))).transpose(1, 2))
        compared = compare(self.describe(F.relu(x)))
        hidden = F.relu(self.hidden(self.dropout(compared)))
        hidden = hidden + F.relu(self.neighbours(hidden.transpose(1, 2))).transpose(1, 2)
        logits: Tensor = self.out(hidden)[..., 0]
        return logits


def compare(steps: Tensor) -> Tensor:
    """(B, S, C) descriptions to (B, S, 13 C): each with its differences between after and before.

    What begins at a step belongs to what comes after it. Beyond the ends there is nothing: means
    are of what is there, and maxima repeat the outermost step.
    """
    x = steps.transpose(1, 2)
    parts = [x]
    differences = [_mean_difference(x, radius) for radius in _MEAN_RADII]
    differences += [_max_difference(x, radius) for radius in _MAX_RADII]
    for difference in differences:
        parts += [difference.abs(), difference]
    return torch.cat(parts, dim=1).transpose(1, 2)


def novelty_scores(audio: AudioTrack) -> NDArray[np.float64]:
    """(T,) scores in [0, 1], one each 50 ms.

    At a peak, the score is the chance that the sounding sources change within a quarter second, as
    calibrated on composed sound.
    """
    encoder, network = default_networks()
    track = audio.resampled(encoder.sample_rate)
    total = num_steps(audio)
    logits = _logits(track, encoder, network)
    clock = np.arange(len(logits)) * encoder.step_s
    slope, offset = network.calibration.tolist()
    calibrated = slope * np.interp(np.arange(total) * STEP_S, clock, logits) + offset
    return np.asarray(1.0 / (1.0 + np.exp(-calibrated)))


@torch.inference_mode()
def _logits(
    track: AudioTrack, encoder: SoundEffectsEncoder, network: NoveltyNetwork
) -> NDArray[np.float64]:
    """(S,) logits of a track of any length, computed in blocks of 18 s."""
    size = encoder.samples_per_step
    # A last step that is not full would look like a change.
    total = max(1, track.num_samples // size)
    pieces = []
    for first in range(0, total, _BLOCK_STEPS):
        last = min(first + _BLOCK_STEPS, total)
        low = max(first - REACH_STEPS, 0)
        samples = track.read(low * size, (last + REACH_STEPS) * size)
        if last + REACH_STEPS > total:  # as long as the track, so that its end is known as one
            samples = samples[: (total - low) * size]
        steps = encoder.steps(torch.from_numpy(samples).unsqueeze(0))
        logits = network(steps)[0, first - low : last - low]
        pieces.append(logits.double().numpy())
    return np.concatenate(pieces)


def _mean_difference(x: Tensor, radius: int) -> Tensor:
    count = x.shape[2]
    clock = torch.arange(count, device=x.device)
    sums = F.pad(x.cumsum(dim=2), (1, 0))
    low, high = (clock - radius).clamp_min(0), (clock + radius).clamp_max(count)
    before = (sums[..., clock] - sums[..., low]) / (clock - low).clamp_min(1)
    return (sums[..., high] - sums[..., clock]) / (high - clock) - before


def _max_difference(x: Tensor, radius: int) -> Tensor:
    count = x.shape[2]
    padded = F.pad(x, (radius, radius), mode="replicate")
    maxima = F.max_pool1d(padded, radius, stride=1)
    return maxima[..., radius : radius + count] - maxima[..., :count]


@lru_cache(maxsize=1)
def default_networks() -> tuple[SoundEffectsEncoder, NoveltyNetwork]:
    """The encoder and the network of the package, on the CPU, read once in a process."""
    with to_be_filled():
        encoder, network = SoundEffectsEncoder(), NoveltyNetwork()
    weights = load_file(_ENCODER)
    own = {name: tensor.float() for name, tensor in weights.items()}
    for name, tensor in encoder.state_dict().items():
        own.setdefault(name, tensor)  # counters, which are not stored in half precision
    encoder.load_state_dict(own)
    network.load_state_dict({name: t.float() for name, t in load_file(_NETWORK).items()})
    return encoder.float().eval(), network.float().eval()
