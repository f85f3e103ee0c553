# ruff: noqa: T201
"""Fit the novelty detector's network to composed audio, and calibrate its scores.

    python scripts/fit_novelty.py src/coprop/control_points/novelty.npz SOURCES [SOURCES ...]

SOURCES are folders with a manifest.jsonl (see coprop.data.composed_audio). Only their train split
is used: nine tenths of the recordings to fit, one tenth to calibrate.
"""

from __future__ import annotations

import argparse
import re
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
import torch
from novelty_examples import RATE, batches, start_worker
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from coprop.control_points import novelty
from coprop.control_points.detector import pick_peaks
from coprop.control_points.features import STEP_S, log_mel, relative_log_mel
from coprop.data.composed_audio import Sound, compose, load_sounds
from coprop.metrics.functional import match_times


class NoveltyNetwork(nn.Module):
    """The network that `novelty.network_logits` evaluates in numpy, with the same weights."""

    def __init__(self, bands: int, width: int, groups: int) -> None:
        super().__init__()
        self.stem = nn.Conv1d(bands, width, 5, stride=2, padding=2)
        self.blocks = nn.ModuleList(
            nn.ModuleList(
                [nn.Conv1d(width, width, 3, padding=d, dilation=d), nn.Linear(width, width)]
            )
            for d in novelty.DILATIONS
        )
        self.describe = nn.Linear(width, width // 2)
        self.hidden = nn.Linear(width // 2 * novelty.NUM_CONTEXT_FEATURES, width)
        self.out = nn.Linear(width, 1)
        self.kinds = nn.Linear(width, groups)  # an extra task while fitting, not kept

    def forward(self, bands: Tensor) -> tuple[Tensor, Tensor]:
        x = F.relu(self.stem(bands.transpose(1, 2)))
        for conv, mix in self.blocks:
            y = F.relu(conv(x)).transpose(1, 2)
            x = x + mix(y).transpose(1, 2)
        steps = x.transpose(1, 2)
        described = self.describe(F.relu(steps)).transpose(1, 2)
        hidden = F.relu(self.hidden(F.dropout(context_features(described), 0.1, self.training)))
        return self.out(hidden)[..., 0], self.kinds(F.relu(steps))


def context_features(x: Tensor) -> Tensor:
    """(B, width, T) to (B, T, features): what `novelty.context_features` computes."""
    steps = x.shape[2]
    parts = [x]
    sums = F.pad(x.cumsum(2), (1, 0))
    clock = torch.arange(steps, device=x.device)
    for radius in novelty.MEAN_RADII:
        earlier = F.pad(sums, (radius, 0))[..., :steps]
        later = F.pad(sums, (0, radius), mode="replicate")[..., radius : radius + steps]
        behind, ahead = clock.clamp(1, radius), (steps - clock).clamp(max=radius)
        before, after = (sums[..., :steps] - earlier) / behind, (later - sums[..., :steps]) / ahead
        parts.append((after - before).abs())
        parts.append(after - before)
    for radius in novelty.MAX_RADII:
        before = F.max_pool1d(F.pad(x, (radius, 0), mode="replicate"), radius, 1)[..., :steps]
        after = F.max_pool1d(F.pad(x, (0, radius), mode="replicate"), radius, 1)[..., :steps]
        parts.append((after - before).abs())
        parts.append(after - before)
    return torch.cat(parts, 1).transpose(1, 2)


def fit(
    sounds: list[Sound],
    *,
    width: int,
    updates: int,
    batch_size: int,
    workers: int,
    minutes: float,
    start_from: Path | None,
) -> NoveltyNetwork:
    """A network fitted to clips composed of ``sounds``, on CUDA where there is one."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    groups = sorted({sound.group for sound in sounds})
    torch.manual_seed(0)
    network = NoveltyNetwork(64, width, len(groups)).to(device).train()
    if start_from:
        load_weights(network, start_from)
    optimizer = torch.optim.AdamW(network.parameters(), lr=2e-3, weight_decay=1e-3)
    begin = time.monotonic()
    with ProcessPoolExecutor(workers, initializer=start_worker, initargs=(sounds, groups)) as pool:
        for update, batch in enumerate(batches(pool, updates, batch_size, first_seed=10**6)):
            done = max(update / updates, (time.monotonic() - begin) / (60 * minutes))
            if done >= 1:
                break
            for group in optimizer.param_groups:
                group["lr"] = 2e-3 * min(1.0, update / 100, 0.02 + 1.3 * (1 - done))
            total, extra = losses(network, [x.to(device) for x in batch])
            optimizer.zero_grad()
            (total + 0.03 * extra).backward()
            nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            optimizer.step()
            if update % 200 == 0:
                elapsed = time.monotonic() - begin
                print(
                    f"{elapsed:5.0f} s {update:6d} {total.item():.4f} {extra.item():.3f}",
                    flush=True,
                )
        pool.shutdown(cancel_futures=True)
    return network.cpu().eval()


def losses(network: NoveltyNetwork, batch: list[Tensor]) -> tuple[Tensor, Tensor]:
    """Of the change logits against the soft targets, and of the kinds that sound; padding aside."""
    bands, target, steps, kinds = batch
    logits, kind_logits = network(bands.float())
    valid = (torch.arange(target.shape[1], device=target.device) < steps[:, None]).float()
    weight = valid * (1 + 3 * target) / valid.sum()
    change = F.binary_cross_entropy_with_logits(logits, target, reduction="none")
    kind = F.binary_cross_entropy_with_logits(kind_logits, kinds, reduction="none").sum(-1)
    return (change * weight).sum(), (kind * valid).sum() / valid.sum()


def weights_of(network: NoveltyNetwork) -> dict[str, NDArray[np.float32]]:
    """The arrays that `novelty.network_logits` takes, all as (inputs, outputs)."""
    arrays = {"stem.weight": network.stem.weight.permute(2, 1, 0).flatten(0, 1)}
    arrays["stem.bias"] = network.stem.bias
    for index, (conv, mix) in enumerate(network.blocks):
        arrays[f"blocks.{index}.conv.weight"] = conv.weight.permute(2, 1, 0).flatten(0, 1)
        arrays[f"blocks.{index}.conv.bias"] = conv.bias
        arrays[f"blocks.{index}.mix.weight"] = mix.weight.T
        arrays[f"blocks.{index}.mix.bias"] = mix.bias
    for name, layer in (
        ("describe", network.describe),
        ("hidden", network.hidden),
        ("out", network.out),
    ):
        arrays[f"{name}.weight"], arrays[f"{name}.bias"] = layer.weight.T, layer.bias
    return {name: tensor.detach().numpy().astype(np.float32) for name, tensor in arrays.items()}


def load_weights(network: NoveltyNetwork, path: Path) -> None:
    """Start from weights fitted before; what is not kept in the file stays as it is."""
    with torch.no_grad(), np.load(path) as arrays:
        for name, parameter in network.named_parameters():
            stored = _STORED_NAMES.sub(lambda found: _STORED[found[0]], name)
            if stored in arrays:
                array = torch.tensor(arrays[stored].astype(np.float32))
                if parameter.ndim == 3:
                    array = array.unflatten(0, (parameter.shape[2], parameter.shape[1]))
                parameter.copy_(array.permute(*reversed(range(array.ndim))))


_STORED = {".0.weight": ".conv.weight", ".0.bias": ".conv.bias"}
_STORED |= {".1.weight": ".mix.weight", ".1.bias": ".mix.bias"}
_STORED_NAMES = re.compile(r"(?<=\d)\.[01]\.(weight|bias)$")


def calibrate(
    weights: dict[str, NDArray[np.float32]], sounds: list[Sound], clips: int
) -> NDArray[np.float32]:
    """Slope and offset that turn a peak's logit into its chance to be a change within 0.25 s."""
    logits, hits, missed = [], [], 0
    for seed in range(clips):
        clip = compose(sounds, RATE, seed)
        raw = novelty.network_logits(relative_log_mel(log_mel(clip.audio)), weights)
        clock = np.arange(len(raw)) * STEP_S
        raw[0] = -30.0
        peaks = np.flatnonzero(pick_peaks(clock, raw.astype(np.float64), -4.0, novelty.MIN_GAP_S))
        matched = match_times(clock[peaks], np.array(clip.change_times_s), 0.25)
        logits += list(raw[peaks])
        hits += list(matched)
        missed += len(clip.change_times_s) - int(matched.sum())
    return _logistic_fit(np.array(logits), np.array(hits), missed)


def _logistic_fit(
    x: NDArray[np.float64], hit: NDArray[np.bool_], missed: int
) -> NDArray[np.float32]:
    slope, offset = 1.0, 0.0
    for _ in range(3000):
        error = 1.0 / (1.0 + np.exp(-(slope * x + offset))) - hit
        slope, offset = slope - 0.1 * np.mean(error * x), offset - 0.1 * np.mean(error)
    order = np.argsort(-x)
    found = np.cumsum(hit[order])
    f1 = 2 * found / (np.arange(1, len(x) + 1) + hit.sum() + missed)
    best = int(np.argmax(f1))
    print(
        f"held-out recordings: F1 {f1[best]:.3f}, chance at that threshold "
        f"{1 / (1 + np.exp(-(slope * x[order][best] + offset))):.2f}"
    )
    return np.array([slope, offset], dtype=np.float32)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("output", type=Path)
    parser.add_argument("sources", type=Path, nargs="+")
    parser.add_argument("--width", type=int, default=64)
    parser.add_argument("--updates", type=int, default=12000)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--minutes", type=float, default=600.0, help="stop by then at the latest")
    parser.add_argument("--start-from", type=Path, help="weights fitted before")
    options = parser.parse_args()
    sounds = [s for folder in options.sources for s in load_sounds(folder, "train", RATE)]
    held_out = sounds[::10]
    kept = [sound for index, sound in enumerate(sounds) if index % 10]
    network = fit(
        kept,
        width=options.width,
        updates=options.updates,
        batch_size=options.batch_size,
        workers=options.workers,
        minutes=options.minutes,
        start_from=options.start_from,
    )
    weights = weights_of(network)
    weights["calibration"] = calibrate(weights, held_out, 300)
    np.savez_compressed(options.output, **{k: v.astype(np.float16) for k, v in weights.items()})


if __name__ == "__main__":
    main()
