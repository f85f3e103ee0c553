"""Training what the default makes of it: from coarse evidence to a crisp mask of what sounds."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from coprop.keyframes.grounded import GroundedNetwork
from coprop.keyframes.selection import SEEN
from tools.benchmark.library import Library, load_picture, random_picture
from tools.benchmark.scene import random_scene
from tools.train_default.loop import LoopOptions, soft_jaccard_loss, train

_QUERIES = 2  # different sounds asked of one picture; the backbone runs once for all of them
_FROZEN_STAGES = 3  # of the backbone; its finer features are common to all pictures
_REST = 0.35  # how much a place with no source counts against one with a source
_NEAREST = 2.3  # times: in real videos, what sounds often fills the picture and more
_LEAST_AREA = 0.01  # of the frame: smaller things need not be recognised
_NATURAL_COUNTS = 3.0  # times a composed scene: photographs as they were taken are like video
_DRAWN = 5  # as many photographs more, of the average group
# Height and width, one for each batch: videos come in all shapes. Multiples of 32.
_SIZES = ((384, 512), (416, 416), (352, 608), (512, 384), (480, 640))


def train_grounding(
    network: GroundedNetwork,
    library: Library,
    bank: ScoreBank,
    checkpoint: Path,
    *,
    steps: int = 2000,
    batch: int = 4,
) -> None:
    """Fits the mask decoder, the patch classifier and, slowly, the backbone's upper stages.

    Args:
        network: with its encoders pretrained.
        library: pictures to compose scenes from.
        bank: what is heard of each group.
        checkpoint: continued from where it exists.
        steps: batches.
        batch: pictures in a batch; each is asked two different sounds.
    """
    learned = parts_of_grounding(network)
    network.requires_grad_(False)
    learned.requires_grad_(True)
    network.eval()
    network.visual.backbone.to(memory_format=torch.channels_last)  # twice as fast on CPUs

    def draw(rng: np.random.Generator) -> _Scenes:
        return _batch(network, library, bank, rng, batch)

    def loss(scenes: _Scenes) -> Tensor:
        evidence, pyramid = _seen(network, scenes, trust=1.0)
        return _mask_loss(network, evidence, pyramid, scenes) + _evidence_loss(evidence, scenes)

    options = LoopOptions(steps, learning_rate=2e-3, weight_decay=1e-2, slower={"upper": 10.0})
    train("grounding", learned, draw, loss, options, checkpoint)


def settle_decoder(
    network: GroundedNetwork,
    library: Library,
    bank: ScoreBank,
    checkpoint: Path,
    *,
    steps: int = 400,
    batch: int = 4,
) -> None:
    """Fits the mask decoder alone to what the trained classifiers show, trusted as in use.

    The arguments are those of `train_grounding`, which comes before.
    """
    network.requires_grad_(False)
    network.decoder.requires_grad_(True)
    network.eval()
    network.visual.backbone.to(memory_format=torch.channels_last)

    def draw(rng: np.random.Generator) -> _Scenes:
        return _batch(network, library, bank, rng, batch)

    def loss(scenes: _Scenes) -> Tensor:
        with torch.no_grad():
            evidence, pyramid = _seen(network, scenes)
        return _mask_loss(network, evidence, pyramid, scenes)

    learned = nn.ModuleDict({"decoder": network.decoder})
    options = LoopOptions(steps, learning_rate=1e-3, weight_decay=1e-2, seed=1)
    train("settling", learned, draw, loss, options, checkpoint)


def parts_of_grounding(network: GroundedNetwork) -> nn.ModuleDict:
    """What `train_grounding` changes: mask decoder, patch classifier, and "upper" stages."""
    visual = network.visual.backbone
    upper = nn.ModuleList([*visual.blocks[_FROZEN_STAGES:], visual.conv_head, visual.bn2])
    return nn.ModuleDict(
        {
            "decoder": network.decoder,
            "patch_classifier": network.visual.patch_classifier,
            "upper": upper,
        }
    )


def fit_sources(
    network: GroundedNetwork, library: Library, rng: np.random.Generator, count: int
) -> float:
    """Fits how evidence tells that a group is in the picture, and how often each is overlooked.

    The first is a logistic model in which more evidence never tells against a group; photographs
    as they were taken, which are like video, count threefold. The second is a share of these
    photographs, drawn towards that of all groups together.

    Args:
        network: whose `SourceSelector` is fitted; what it sees does not change.
        library: pictures to compose scenes from, and photographs.
        rng: draws them.
        count: how many.

    Returns:
        the first's cross-entropy, per scene and group.
    """
    sources = network.selector
    rows = [_presence(network, library, rng) for _ in range(count)]
    kinds, truth, natural = (torch.stack(parts) for parts in zip(*rows, strict=True))
    counts = torch.where(natural, _NATURAL_COUNTS, 1.0)[:, None].expand_as(truth)
    free = sources.presence.clone().requires_grad_(True)
    optimizer = torch.optim.LBFGS([free], max_iter=300, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        optimizer.zero_grad()
        logits = kinds @ F.softplus(free[:-1]) + free[-1]
        value = F.binary_cross_entropy_with_logits(logits, truth, counts)
        value.backward()  # type: ignore[no-untyped-call]
        return value

    last = float(optimizer.step(loss).detach())  # type: ignore[no-untyped-call]
    fitted = free.detach()
    sources.presence.copy_(torch.cat([F.softplus(fitted[:-1]), fitted[-1:]]))
    seen = (kinds @ sources.presence[:-1] + sources.presence[-1]).sigmoid() >= SEEN
    shown = (truth > 0) & natural[:, None]
    missed, total = (shown & ~seen).sum(dim=0), shown.sum(dim=0)
    share = missed.sum() / total.sum().clamp_min(1)
    sources.overlooked.copy_((missed + _DRAWN * share) / (total + _DRAWN))
    return last


def _presence(
    network: GroundedNetwork, library: Library, rng: np.random.Generator
) -> tuple[Tensor, Tensor, Tensor]:
    """Of a scene: (G, PRESENCE_CUES) scores, (G,) which groups it shows, whether it is natural."""
    size = _SIZES[int(rng.integers(len(_SIZES)))]
    natural = rng.random() < 0.5
    frame, masks, groups = (_natural if natural else _composed)(library, rng, size)
    pixels = torch.from_numpy(_camera(frame, rng)).permute(2, 0, 1).unsqueeze(0).float() / 255
    shown = torch.zeros(len(network.groups))
    for group, mask in zip(groups, masks, strict=True):
        if mask.mean() >= _LEAST_AREA:
            shown[network.groups.index(group)] = 1
    with torch.no_grad():
        presence_scores = network.visual.presence_scores(pixels)[0]
    return presence_scores, shown, torch.tensor(natural)


@dataclass(frozen=True, eq=False)
class _Scenes:
    """Pictures, and what is asked of them.

    Args:
        frames: (B, 3, h, w) in [0, 1].
        queries: (B, Q, G) probabilities of the groups heard.
        targets: (B, Q, h, w) in [0, 1].
        shown: (B, h, w) number of the group that is seen, G where it is none.
    """

    frames: Tensor
    queries: Tensor
    targets: Tensor
    shown: Tensor


def _seen(network: GroundedNetwork, scenes: _Scenes, **trust: float) -> tuple[Tensor, list[Tensor]]:
    frames = scenes.frames.contiguous(memory_format=torch.channels_last)
    features, pyramid = network.visual.features(frames)
    return network.visual.classify_patches(features, pyramid[-1], **trust), pyramid


def _mask_loss(
    network: GroundedNetwork, evidence: Tensor, pyramid: list[Tensor], scenes: _Scenes
) -> Tensor:
    """Cross-entropy and soft Jaccard of the masks that the queries get."""
    asked = scenes.queries.shape[1]
    logits = network.decoder.decode(
        [level.repeat_interleave(asked, dim=0) for level in pyramid],
        evidence.repeat_interleave(asked, dim=0),
        scenes.queries.flatten(0, 1),
    )
    target = scenes.targets.flatten(0, 1).unsqueeze(1)
    target = F.interpolate(target, logits.shape[-2:], mode="area")
    return F.binary_cross_entropy_with_logits(logits, target) + soft_jaccard_loss(
        logits.sigmoid().squeeze(1), target.squeeze(1)
    )


def _evidence_loss(evidence: Tensor, scenes: _Scenes) -> Tensor:
    """Cross-entropy of what is seen where; places with a source count more."""
    coarse = scenes.shown[:, ::4, ::4]  # every fourth pixel tells the areas well enough
    seen = F.one_hot(coarse, evidence.shape[1]).permute(0, 3, 1, 2).float()
    seen = F.interpolate(seen, evidence.shape[-2:], mode="area")
    weights = torch.ones(seen.shape[1])
    weights[-1] = _REST
    seen = seen * weights[:, None, None]
    return -(seen * evidence.clamp_min(1e-6).log()).sum() / seen.sum()


class ScoreBank:
    """What the network hears of each group: its own answers to real sounds, mistakes included.

    Args:
        answers: (N, G) probabilities that were heard.
        truth: (N, G) which groups sounded.
    """

    def __init__(self, answers: Tensor, truth: Tensor) -> None:
        self._answers = answers
        self._examples: dict[tuple[int, ...], list[int]] = defaultdict(list)
        for example, sounding in enumerate(truth):
            self._examples[tuple(sounding.nonzero().flatten().tolist())].append(example)

    def sample(self, groups: Sequence[int], rng: np.random.Generator) -> Tensor:
        """(G,) probabilities for a mixture of groups; of a sound that shows nowhere for []."""
        mixtures = self._examples.get(tuple(sorted(groups)), [])
        if mixtures:
            answers = self._one(mixtures, rng)
        else:
            alone = [self._examples[(group,)] for group in groups if (group,) in self._examples]
            parts = [self._one(examples, rng) for examples in alone or [self._examples[()]]]
            answers = torch.stack(parts).amax(dim=0)
        if rng.random() < 0.3:  # what better ears would say, which the decoder should rely on
            clean = torch.zeros_like(answers)
            clean[list(groups)] = 1
            answers = torch.lerp(answers, clean, float(rng.uniform(0.3, 1)))
        return answers

    def _one(self, examples: Sequence[int], rng: np.random.Generator) -> Tensor:
        return self._answers[examples[int(rng.integers(len(examples)))]]


def _batch(
    network: GroundedNetwork,
    library: Library,
    bank: ScoreBank,
    rng: np.random.Generator,
    count: int,
) -> _Scenes:
    size = _SIZES[int(rng.integers(len(_SIZES)))]
    rows = [_example(network, library, bank, rng, size) for _ in range(count)]
    return _Scenes(*(torch.stack(parts) for parts in zip(*rows, strict=True)))


def _example(
    network: GroundedNetwork,
    library: Library,
    bank: ScoreBank,
    rng: np.random.Generator,
    size: tuple[int, int],
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    # As small as videos are, and enlarged as they then are in use.
    enlarged = float(rng.choice([1.0, 1.0, 4 / 3, 5 / 3]))
    own = (round(size[0] / enlarged), round(size[1] / enlarged))
    if rng.random() < 0.35:
        frame, masks, groups = _natural(library, rng, own)
    else:
        frame, masks, groups = _composed(library, rng, own)
    frame, masks = _resized(_camera(frame, rng), size), _resized_masks(masks, size)
    indices = [network.groups.index(g) for g in groups]
    queries, targets = [], []
    for asked in _questions(indices, len(network.groups), rng):
        queries.append(bank.sample(asked, rng))
        sounding = masks[[g in asked for g in indices]]
        targets.append(torch.from_numpy(sounding.any(axis=0)).float())
    shown = np.full(size, len(network.groups))
    for index, mask in zip(indices, masks, strict=True):
        shown[mask] = index
    return (
        torch.from_numpy(frame).permute(2, 0, 1).float() / 255,
        torch.stack(queries),
        torch.stack(targets),
        torch.from_numpy(shown),
    )


def _questions(
    visible: list[int], num_groups: int, rng: np.random.Generator
) -> Iterator[list[int]]:
    """Each picture is asked for an object or two or all, and half for what cannot be seen."""
    for number in range(_QUERIES):
        if number > 0 and rng.random() < 0.5:
            absent = [g for g in range(num_groups) if g not in visible]
            yield [int(rng.choice(absent))] if rng.random() < 0.7 else []
        else:
            count = int(rng.choice([1, 2, 3], p=[0.55, 0.3, 0.15]))
            yield [int(g) for g in rng.permutation(visible)[:count]]


def _composed(
    library: Library, rng: np.random.Generator, size: tuple[int, int]
) -> tuple[NDArray[np.uint8], NDArray[np.bool_], list[str]]:
    groups = [str(g) for g in rng.choice(library.groups, rng.integers(1, 4), replace=False)]
    pictures = [random_picture(library, rng, group) for group in groups]
    if rng.random() < 0.3:
        pictures.append(random_picture(library, rng, None))
    scene = random_scene(library, rng, pictures, size=size)
    nearness = np.exp(rng.uniform(np.log(0.7), np.log(_NEAREST), len(pictures)))
    sprites = tuple(
        replace(sprite, size=sprite.size * float(near))
        for sprite, near in zip(scene.sprites, nearness, strict=True)
    )
    frame, masks = replace(scene, sprites=sprites).render(0.0)
    return frame, masks[: len(groups)], groups


def _natural(
    library: Library, rng: np.random.Generator, size: tuple[int, int]
) -> tuple[NDArray[np.uint8], NDArray[np.bool_], list[str]]:
    """A photograph as it was taken: its object in its own surroundings."""
    from PIL import Image

    source = library.photographs[rng.integers(len(library.photographs))]
    picture = Image.fromarray(load_picture(source.path))
    nearness = float(np.exp(rng.uniform(0, np.log(_NEAREST))))
    scale = nearness * max(size[0] / picture.height, size[1] / picture.width)
    shape = (int(np.ceil(picture.width * scale)), int(np.ceil(picture.height * scale)))
    rgba = np.asarray(picture.resize(shape, Image.Resampling.BILINEAR))
    rows, columns = np.nonzero(rgba[..., 3] >= 128)
    shown = int(rng.integers(len(rows)))  # a pixel of the object is in the middle, if it can be
    top, left = (
        int(np.clip(place[shown] - size[i] // 2, 0, rgba.shape[i] - size[i]))
        for i, place in enumerate((rows, columns))
    )
    rgba = rgba[top : top + size[0], left : left + size[1]]
    if rng.random() < 0.5:
        rgba = rgba[:, ::-1]
    groups = [source.group] if source.group is not None else []
    return rgba[..., :3], (rgba[..., 3] >= 128)[None][: len(groups)], groups


def _resized(frame: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    from PIL import Image

    shape = (size[1], size[0])
    return np.array(Image.fromarray(frame).resize(shape, Image.Resampling.BILINEAR))


def _resized_masks(masks: NDArray[np.bool_], size: tuple[int, int]) -> NDArray[np.bool_]:
    resized = [_resized(mask.astype(np.uint8) * 255, size) >= 128 for mask in masks]
    return np.stack(resized) if resized else np.zeros((0, *size), dtype=bool)


def _camera(frame: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """Exposure, contrast, colour, blur and noise of a cheap camera."""
    from PIL import Image, ImageFilter

    image = Image.fromarray(np.ascontiguousarray(frame))
    if rng.random() < 0.3:
        image = image.filter(ImageFilter.GaussianBlur(rng.uniform(0.3, 1.6)))
    pixels = np.asarray(image, dtype=np.float32) / 255
    pixels = pixels ** rng.uniform(0.7, 1.5) * rng.uniform(0.85, 1.15, 3)
    if rng.random() < 0.1:
        pixels = np.repeat(pixels.mean(axis=2, keepdims=True), 3, axis=2)
    pixels = pixels + rng.normal(0, rng.uniform(0, 0.03), pixels.shape)
    return np.asarray((pixels * 255).clip(0, 255).astype(np.uint8))
