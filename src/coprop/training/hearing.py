"""Training what the default hears: from a sound's summary to the groups of things that sound."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from coprop.data.library import SAMPLE_RATE, Library, Source, load_sound
from coprop.data.soundtrack import in_a_room, voice
from coprop.keyframes.grounded import GroundedNetwork

_log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class HeardExamples:
    """Summaries (N, 1024) of sounds, and (N, G) which groups sound in each."""

    summaries: Tensor
    groups: Tensor


def summarise_examples(
    network: GroundedNetwork, library: Library, rng: np.random.Generator, count: int
) -> HeardExamples:
    """Summaries of random windows: one source, two mixed, or one that belongs to no group."""
    summaries, targets = [], []
    for start in range(0, count, 64):
        batch = [_random_window(network, library, rng) for _ in range(min(64, count - start))]
        samples = torch.from_numpy(np.stack([window for window, _ in batch]))
        with torch.inference_mode():
            summaries.append(network.audio.summary(samples).clone())
        targets.append(torch.stack([target for _, target in batch]))
        _log.info("heard %d of %d sounds", start + len(batch), count)
    return HeardExamples(torch.cat(summaries), torch.cat(targets))


def cached_examples(path: Path, *args: object, **kwargs: object) -> HeardExamples:
    """`summarise_examples`, kept in a file so that a restarted training does not repeat it."""
    if not path.exists():
        examples = summarise_examples(*args, **kwargs)  # type: ignore[arg-type]
        torch.save({"summaries": examples.summaries, "groups": examples.groups}, path)
    stored = torch.load(path, weights_only=True)
    return HeardExamples(stored["summaries"], stored["groups"])


def join(examples: Sequence[HeardExamples]) -> HeardExamples:
    """All examples of several sets."""
    return HeardExamples(
        torch.cat([e.summaries for e in examples]), torch.cat([e.groups for e in examples])
    )


def cross_fitted_answers(
    network: GroundedNetwork, halves: Sequence[HeardExamples], *, steps: int = 1500
) -> tuple[Tensor, Tensor]:
    """What is heard in each example by a head that was trained on the other half's recordings.

    The head's answers to its own training sounds are better than it will ever be again; what is
    trained on them would trust it too much.

    Returns:
        (N, G) probabilities, and (N, G) which groups truly sound.
    """
    answers = []
    for own, other in (halves, halves[::-1]):
        train_hearing(network, own, steps=steps)
        with torch.no_grad():
            answers.append(network.audio_head(other.summaries).sigmoid())
    return torch.cat(answers), join(halves[::-1]).groups


def train_hearing(
    network: GroundedNetwork, examples: HeardExamples, *, steps: int = 1500, seed: int = 0
) -> None:
    """Fits ``network.audio_head`` to the examples, group by group (a multi-label problem)."""
    generator = torch.Generator().manual_seed(seed)
    torch.manual_seed(seed)
    for layer in network.audio_head:
        if isinstance(layer, nn.Linear | nn.LayerNorm):
            layer.reset_parameters()
    optimizer = torch.optim.AdamW(network.audio_head.parameters(), lr=1e-3, weight_decay=1.0)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=2e-3, total_steps=steps)
    network.audio_head.train()
    for step in range(steps):
        chosen = torch.randint(len(examples.summaries), (256,), generator=generator)
        summaries = examples.summaries[chosen]
        noise = torch.randn(summaries.shape, generator=generator)
        logits = network.audio_head(summaries + 0.5 * summaries.std() * noise)
        loss = F.binary_cross_entropy_with_logits(logits, examples.groups[chosen])
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        schedule.step()
        if step % 500 == 0:
            _log.info("hearing: step %d, loss %.4f", step, loss.item())
    network.audio_head.eval()


@torch.no_grad()
def hearing_accuracy(network: GroundedNetwork, examples: HeardExamples) -> float:
    """Share of single-source examples whose most probable group is the true one."""
    single = examples.groups.sum(dim=1) == 1
    guesses = network.audio_head(examples.summaries[single]).argmax(dim=1)
    return float((guesses == examples.groups[single].argmax(dim=1)).float().mean())


def _random_window(
    network: GroundedNetwork, library: Library, rng: np.random.Generator
) -> tuple[NDArray[np.float32], Tensor]:
    length = round(network.window_s * SAMPLE_RATE)
    hearable = [g for g in network.groups if g in library.sounds]
    count = int(rng.choice(3, p=(0.1, 0.55, 0.35)))
    chosen: list[str | None] = [str(g) for g in rng.choice(hearable, count, replace=False)]
    mix = np.zeros(length)
    for group in chosen or [None]:
        if group in library.sounds:
            level = 10 ** (rng.uniform(-8, 0) / 20) if chosen else 1.0
            recording = _excerpt(library.sounds[group], 2 * length, rng)
            mix += level * voice(recording, length, SAMPLE_RATE, rng)[0]
    target = torch.zeros(len(network.groups))
    target[[i for i, g in enumerate(network.groups) if g in chosen]] = 1
    return degrade(mix, rng), target


def _excerpt(
    sources: Sequence[Source], longest: int, rng: np.random.Generator
) -> NDArray[np.float32]:
    """Part of a recording, at its own speed or up to a fifth faster or slower."""
    # By collection first: a large one would drown the others, and a group sound like it alone.
    collections = sorted({source.origin for source in sources})
    sizes = np.sqrt([sum(s.origin == name for s in sources) for name in collections])
    chosen = rng.choice(collections, p=sizes / sizes.sum())
    own = [source for source in sources if source.origin == chosen]
    recording = load_sound(own[int(rng.integers(len(own)))].path)
    begin = int(rng.integers(max(len(recording) - longest, 0) + 1))
    recording = recording[begin : begin + longest]
    if rng.random() < 0.4:
        return recording
    speed = 2 ** rng.uniform(-0.25, 0.25)
    times = np.arange(0, len(recording) - 1, speed)
    return np.asarray(np.interp(times, np.arange(len(recording)), recording), dtype=np.float32)


def degrade(samples: NDArray[Any], rng: np.random.Generator) -> NDArray[np.float32]:
    """A cheap microphone in a room: bandwidth, echo, overdrive, noise, part of the window empty.

    Without it, the head would tell sources apart by how their collections were recorded.
    """
    spectrum = np.fft.rfft(samples)
    frequencies = np.fft.rfftfreq(len(samples), 1 / SAMPLE_RATE)
    if rng.random() < 0.6:
        spectrum *= 1 / (1 + (frequencies / rng.uniform(3000, 18000)) ** 8)
    tilt_db = rng.uniform(-4, 4) * np.log2(np.maximum(frequencies, 50) / 1000)
    samples = np.fft.irfft(spectrum * 10 ** (tilt_db / 20), len(samples))
    if rng.random() < 0.6:
        samples = in_a_room(samples, SAMPLE_RATE, rng)
    if rng.random() < 0.3:  # overdriven
        samples = np.tanh(rng.uniform(1, 6) * samples / max(float(np.abs(samples).max()), 1e-6))
    if rng.random() < 0.3:
        keep = int(rng.uniform(0.3, 1.0) * len(samples))
        samples[keep:] = 0
    noise = rng.standard_normal(len(samples)) * 10 ** (rng.uniform(-70, -30) / 20)
    peak = max(float(np.abs(samples).max()), 1e-6)
    return (samples / peak + noise).astype(np.float32)
