"""Training what the default hears: from YAMNet's embedding to the groups of things that sound."""

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

from coprop.keyframes.audio import SoundRecognizer
from coprop.keyframes.groups import sounding_groups
from coprop.media.resample import resample
from tools.benchmark.library import SOURCE_RATE, Library, Source, load_sound
from tools.benchmark.mixing import continuous_source, in_a_room
from tools.train_default.cache import cached
from tools.train_default.loop import fit

_log = logging.getLogger(__name__)
_SHORTEST_S, _LONGEST_S = 0.3, 6.0
_MOST_PATCHES = 13  # of YAMNet's, that the longest fills
_BATCH, _STEPS = 128, 2500
_RATE, _DECAY = 3e-3, 1e-4
_LEAST_WIDTH = 0.1  # of a channel: those that hardly ever speak here do elsewhere
_MUSIC = 0.15  # share of the sounds in which music plays softly


@dataclass(frozen=True, eq=False)
class EmbeddedSounds:
    """What is learned from.

    Args:
        embeddings: (N, 13, 1024) YAMNet's of each sound, in half precision.
        patches: (N,) how many of the 13 there are.
        groups: (N, G) which groups sound in each.
    """

    embeddings: Tensor
    patches: Tensor
    groups: Tensor


def make_examples(
    recognizer: SoundRecognizer, library: Library, rng: np.random.Generator, count: int
) -> EmbeddedSounds:
    """Random sounds of 0.3 to 6 s: up to three sources, or one that belongs to no group."""
    embeddings = torch.zeros(
        count, _MOST_PATCHES, recognizer.yamnet.embedding_dim, dtype=torch.half
    )
    patches, groups = torch.zeros(count, dtype=torch.long), []
    for number in range(count):
        samples, sounding = _random_sound(library, rng)
        low = torch.from_numpy(resample(samples, SOURCE_RATE, recognizer.sample_rate)).unsqueeze(0)
        with torch.inference_mode():
            found = recognizer.yamnet.embeddings(low)[0, :_MOST_PATCHES]
        embeddings[number, : len(found)], patches[number] = found.half(), len(found)
        groups.append(sounding)
        if (number + 1) % 500 == 0:
            _log.info("made %d of %d sounds", number + 1, count)
    return EmbeddedSounds(embeddings, patches, torch.stack(groups))


def cached_examples(
    path: Path, recognizer: SoundRecognizer, library: Library, rng: np.random.Generator, count: int
) -> EmbeddedSounds:
    """`make_examples`, kept in a file so that a restarted training does not repeat it.

    A file that was made of other arguments is made anew.

    Raises:
        CheckpointError: the file is damaged.
        OutputError: it cannot be written.
    """

    def make() -> dict[str, Any]:
        return vars(make_examples(recognizer, library, rng, count))

    return EmbeddedSounds(**cached(path, recognizer.yamnet.state_dict(), library, rng, count, make))


def fit_hearing(
    recognizer: SoundRecognizer, examples: EmbeddedSounds, *, steps: int = _STEPS
) -> None:
    """Fits the head that corrects what YAMNet's names tell, as if it alone were asked.

    It learns from channels of one width, which those of YAMNet's embedding are not; in the end
    that is part of its weights.

    Args:
        recognizer: whose head learns.
        examples: to learn from.
        steps: batches.
    """
    recognizer.requires_grad_(False)
    recognizer.head.requires_grad_(True).train()
    recognizer.head.reset()
    optimizer = torch.optim.Adam(recognizer.head.parameters(), weight_decay=_DECAY)
    named, embeddings = _summaries(recognizer, examples)
    mean, width = embeddings.mean(0), embeddings.std(0) + _LEAST_WIDTH
    embeddings = (embeddings - mean) / width

    def loss_of(generator: torch.Generator) -> Tensor:
        chosen = torch.randint(len(examples.groups), (_BATCH,), generator=generator)
        heard = recognizer.corrected(named[chosen], embeddings[chosen])
        return F.binary_cross_entropy(heard, examples.groups[chosen])

    fit("hearing", optimizer, loss_of, steps=steps, rate=_RATE)
    _fold(recognizer.head.hidden, mean, width)
    recognizer.eval()


@torch.no_grad()
def _fold(layer: nn.Linear, mean: Tensor, width: Tensor) -> None:
    """Makes a layer of normalised channels one of the channels as they are."""
    layer.weight.div_(width)
    layer.bias.sub_(layer.weight @ mean)


@torch.no_grad()
def _summaries(recognizer: SoundRecognizer, examples: EmbeddedSounds) -> tuple[Tensor, Tensor]:
    """(N, G) by name, and (N, 1024) mean embeddings: what the head is given, which is frozen."""
    named, embeddings = [], []
    for chosen in torch.split(torch.arange(len(examples.groups)), _BATCH):
        classes, embedding = recognizer.pooled(*_patches(examples, chosen))
        named.append(recognizer.named(classes))
        embeddings.append(embedding)
    return torch.cat(named), torch.cat(embeddings)


def join(examples: Sequence[EmbeddedSounds]) -> EmbeddedSounds:
    """All examples of several sets."""
    parts = zip(*((e.embeddings, e.patches, e.groups) for e in examples), strict=True)
    return EmbeddedSounds(*(torch.cat(part) for part in parts))


def cross_fitted_answers(
    recognizer: SoundRecognizer, halves: Sequence[EmbeddedSounds], *, steps: int = _STEPS
) -> tuple[Tensor, Tensor]:
    """What is heard in each example by a head that was trained on the other half's recordings.

    The head's answers to its own training sounds are better than it will ever be again; what is
    trained on them would trust it too much.

    Returns:
        (N, G) probabilities, and (N, G) which groups truly sound.
    """
    answers = []
    for own, other in (halves, halves[::-1]):
        fit_hearing(recognizer, own, steps=steps)
        with torch.no_grad():
            parts = torch.split(torch.arange(len(other.groups)), _BATCH)
            answers += [predict_groups(recognizer, other, part) for part in parts]
    return torch.cat(answers), join(halves[::-1]).groups


def predict_groups(recognizer: SoundRecognizer, examples: EmbeddedSounds, chosen: Tensor) -> Tensor:
    """(n, G) probabilities of the groups in some of the examples."""
    return recognizer.interpret(*_patches(examples, chosen)).groups


def _patches(examples: EmbeddedSounds, chosen: Tensor) -> tuple[Tensor, Tensor]:
    """(n, 13, 1024) embeddings of some of the examples, and (n, 13) which are of their sound."""
    sounding = torch.arange(_MOST_PATCHES) < examples.patches[chosen].unsqueeze(1)
    return examples.embeddings[chosen].float(), sounding


@torch.no_grad()
def hearing_accuracy(recognizer: SoundRecognizer, examples: EmbeddedSounds) -> float:
    """Share of the examples of one source whose most probable group is the true one."""
    single = torch.nonzero(examples.groups.sum(dim=1) == 1).flatten()
    parts = torch.split(single, _BATCH)
    guesses = torch.cat(
        [predict_groups(recognizer, examples, part).argmax(dim=1) for part in parts]
    )
    return float((guesses == examples.groups[single].argmax(dim=1)).float().mean())


def _random_sound(library: Library, rng: np.random.Generator) -> tuple[NDArray[np.float32], Tensor]:
    length = round(SOURCE_RATE * np.exp(rng.uniform(np.log(_SHORTEST_S), np.log(_LONGEST_S))))
    known = tuple(sounding_groups())
    hearable = [g for g in known if g in library.sounds]
    count = int(rng.choice(4, p=(0.12, 0.55, 0.23, 0.1)))
    chosen: list[str | None] = [str(g) for g in rng.choice(hearable, count, replace=False)]
    mix = np.zeros(length)
    for group in chosen or [None]:
        if group in library.sounds:
            level = 10 ** (rng.uniform(-8, 0) / 20) if chosen else 1.0
            recording = excerpt(library.sounds[group], 2 * length, rng)
            mix += level * continuous_source(recording, length, SOURCE_RATE, rng)[0]
    if library.music and rng.random() < _MUSIC:
        music = library.music[int(rng.integers(len(library.music)))]
        softly = continuous_source(load_sound(music.path), length, SOURCE_RATE, rng)[0]
        mix += 10 ** (rng.uniform(-24, -12) / 20) * softly
    target = torch.zeros(len(known))
    target[[i for i, g in enumerate(known) if g in chosen]] = 1
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
    frequencies = np.fft.rfftfreq(len(samples), 1 / SOURCE_RATE)
    if rng.random() < 0.6:
        spectrum *= 1 / (1 + (frequencies / rng.uniform(3000, 18000)) ** 8)
    tilt_db = rng.uniform(-4, 4) * np.log2(np.maximum(frequencies, 50) / 1000)
    samples = np.fft.irfft(spectrum * 10 ** (tilt_db / 20), len(samples))
    if rng.random() < 0.6:
        samples = in_a_room(samples, SOURCE_RATE, rng)
    if rng.random() < 0.3:  # overdriven
        samples = np.tanh(rng.uniform(1, 6) * samples / max(float(np.abs(samples).max()), 1e-6))
    if rng.random() < 0.3:
        keep = int(rng.uniform(0.3, 1.0) * len(samples))
        samples[keep:] = 0
    noise = rng.standard_normal(len(samples)) * 10 ** (rng.uniform(-70, -30) / 20)
    peak = max(float(np.abs(samples).max()), 1e-6)
    return (samples / peak + noise).astype(np.float32)
