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
from coprop.training.kept import kept
from coprop.training.loop import LoopOptions, train

_log = logging.getLogger(__name__)
_TUNED = ("conv_block3", "conv_block4")  # of the encoder; what is below is common to all sounds
_BATCH = 64
_MUSIC = 0.25  # share of the windows in which music plays softly


@dataclass(frozen=True, eq=False)
class HeardExamples:
    """What is learned from.

    Args:
        windows: (N, 100, 96) log-mel windows of sounds, in half precision.
        summaries: (N, 1024) of them, by the encoder as it was pretrained.
        groups: (N, G) which groups sound in each.
    """

    windows: Tensor
    summaries: Tensor
    groups: Tensor


def make_examples(
    network: GroundedNetwork, library: Library, rng: np.random.Generator, count: int
) -> HeardExamples:
    """Random windows: up to three sources, or one that belongs to no group."""
    windows, summaries, targets = [], [], []
    for start in range(0, count, 64):
        batch = [_random_window(network, library, rng) for _ in range(min(64, count - start))]
        samples = torch.from_numpy(np.stack([window for window, _ in batch]))
        with torch.no_grad():
            windows.append(network.audio.log_mel(samples).half())
            summaries.append(_summarise(network, windows[-1].float()))
        targets.append(torch.stack([target for _, target in batch]))
        _log.info("made %d of %d sounds", start + len(batch), count)
    return HeardExamples(torch.cat(windows), torch.cat(summaries), torch.cat(targets))


def cached_examples(
    path: Path, network: GroundedNetwork, library: Library, rng: np.random.Generator, count: int
) -> HeardExamples:
    """`make_examples`, kept in a file so that a restarted training does not repeat it.

    A file that was made of other arguments is made anew.

    Raises:
        CheckpointError: the file is damaged.
        OutputError: it cannot be written.
    """

    def make() -> dict[str, Any]:
        return vars(make_examples(network, library, rng, count))

    return HeardExamples(**kept(path, network.audio.state_dict(), library, rng, count, make))


def join(examples: Sequence[HeardExamples]) -> HeardExamples:
    """All examples of several sets."""
    parts = zip(*((e.windows, e.summaries, e.groups) for e in examples), strict=True)
    return HeardExamples(*(torch.cat(part) for part in parts))


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
        _fit_head(network, own, steps)
        with torch.no_grad():
            answers.append(network.audio_head(other.summaries).sigmoid())
    return torch.cat(answers), join(halves[::-1]).groups


def train_hearing(
    network: GroundedNetwork, examples: HeardExamples, checkpoint: Path, *, steps: int = 600
) -> None:
    """Fits the head to the examples, then it and the upper half of the encoder together.

    Args:
        network: with the audio encoder as it was pretrained.
        examples: to learn from.
        checkpoint: continued from where it exists.
        steps: batches of the second part.
    """
    if not checkpoint.exists():
        _fit_head(network, examples, steps=1500)
    learned = parts_of_hearing(network)
    network.requires_grad_(False)
    learned.requires_grad_(True)
    network.eval()
    network.audio_head.train()
    train(
        "hearing",
        learned,
        lambda rng: _loss(network, examples, rng),
        LoopOptions(steps, learning_rate=3e-4, weight_decay=0.05),
        checkpoint,
    )
    network.eval()


def parts_of_hearing(network: GroundedNetwork) -> nn.ModuleDict:
    """What `train_hearing` changes: the head, and the upper half of the encoder."""
    encoder = {name: network.audio.get_submodule(name) for name in _TUNED}
    return nn.ModuleDict({"head": network.audio_head, **encoder})


@torch.no_grad()
def hearing_accuracy(network: GroundedNetwork, examples: HeardExamples) -> float:
    """Share of single-source examples whose most probable group is the true one."""
    single = examples.groups.sum(dim=1) == 1
    batches = torch.split(examples.windows[single].float(), _BATCH)
    guesses = torch.cat([network.audio_head(_summarise(network, b)) for b in batches]).argmax(dim=1)
    return float((guesses == examples.groups[single].argmax(dim=1)).float().mean())


def _loss(network: GroundedNetwork, examples: HeardExamples, rng: np.random.Generator) -> Tensor:
    chosen = torch.from_numpy(rng.integers(len(examples.windows), size=_BATCH))
    windows = torch.stack([_masked(window, rng) for window in examples.windows[chosen].float()])
    logits = network.audio_head(_summarise(network, windows))
    return F.binary_cross_entropy_with_logits(logits, examples.groups[chosen])


def _summarise(network: GroundedNetwork, windows: Tensor) -> Tensor:
    with torch.autocast("cpu", torch.bfloat16):  # twice as fast where the processor knows it
        return network.audio.summarise(windows).float()


def _masked(window: Tensor, rng: np.random.Generator) -> Tensor:
    """As SpecAugment (2019): a stretch of time and one of frequency fall silent; and it starts
    at another time and is equalised otherwise."""
    frames, bands = window.shape
    window = window.roll(int(rng.integers(frames)), dims=0)
    knots = rng.normal(0, 0.02, 5)
    tone = np.interp(np.arange(bands), np.linspace(0, bands - 1, 5), knots)
    window = (window + torch.from_numpy(tone).float()).clamp_min(0)
    for size, most, dim in ((frames, 24, 0), (bands, 14, 1)):
        width = int(rng.integers(most + 1))
        window.narrow(dim, int(rng.integers(size - width + 1)), width).zero_()
    return window


def _fit_head(
    network: GroundedNetwork, examples: HeardExamples, steps: int, *, seed: int = 0
) -> None:
    """Fits ``network.audio_head`` to the summaries, group by group (a multi-label problem)."""
    summaries, groups = examples.summaries, examples.groups
    generator = torch.Generator().manual_seed(seed)
    torch.manual_seed(seed)
    for layer in network.audio_head:
        if isinstance(layer, nn.Linear | nn.LayerNorm):
            layer.reset_parameters()
    optimizer = torch.optim.AdamW(network.audio_head.parameters(), lr=1e-3, weight_decay=1.0)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=2e-3, total_steps=steps)
    network.audio_head.train()
    for step in range(steps):
        chosen = torch.randint(len(summaries), (256,), generator=generator)
        noise = torch.randn(len(chosen), summaries.shape[1], generator=generator)
        noisy = summaries[chosen] + 0.5 * summaries[chosen].std() * noise
        loss = F.binary_cross_entropy_with_logits(network.audio_head(noisy), groups[chosen])
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        schedule.step()
        if step % 500 == 0:
            _log.info("hearing's head: step %d, loss %.4f", step, loss.item())
    network.audio_head.eval()


def _random_window(
    network: GroundedNetwork, library: Library, rng: np.random.Generator
) -> tuple[NDArray[np.float32], Tensor]:
    length = round(network.window_s * SAMPLE_RATE)
    hearable = [g for g in network.groups if g in library.sounds]
    count = int(rng.choice(4, p=(0.1, 0.45, 0.3, 0.15)))
    chosen: list[str | None] = [str(g) for g in rng.choice(hearable, count, replace=False)]
    mix = np.zeros(length)
    for group in chosen or [None]:
        if group in library.sounds:
            level = 10 ** (rng.uniform(-8, 0) / 20) if chosen else 1.0
            recording = excerpt(library.sounds[group], 2 * length, rng)
            mix += level * voice(recording, length, SAMPLE_RATE, rng)[0]
    if library.music and rng.random() < _MUSIC:
        music = library.music[int(rng.integers(len(library.music)))]
        softly = voice(load_sound(music.path), length, SAMPLE_RATE, rng)[0]
        mix += 10 ** (rng.uniform(-24, -12) / 20) * softly
    target = torch.zeros(len(network.groups))
    target[[i for i, g in enumerate(network.groups) if g in chosen]] = 1
    return degrade(mix, rng), target


def excerpt(
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
