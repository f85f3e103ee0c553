"""What is heard in a sound: in AudioSet's words, and as the groups of things that can be seen."""

from __future__ import annotations

import hashlib
import threading
from dataclasses import dataclass
from weakref import WeakKeyDictionary

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from coprop.encoders import yamnet
from coprop.encoders.yamnet import YAMNet
from coprop.keyframes.groups import families, sounding_groups
from coprop.utils.precision import in_float32

_HOP_S = 0.48  # seconds from patch to patch: they overlap by half, as in the release
_FAMILY = 0.15  # how far a group is heard where only what it shares with others is
_POWER = 4  # of the mean over time: a bark in a second of quiet counts, a single slip does not
_SURE = 2  # power; at 1 the head spoils what is known of real animals, chosen on recordings of such
_HIDDEN, _DROPOUT = 128, 0.3  # of the head; 256 and 512 hear no more
_SILENT = 1e-5  # patches without a louder sample are padding
_AMBIENT = (
    *("Wind", "Rustling leaves", "Wind noise (microphone)", "Thunderstorm", "Thunder", "Water"),
    *("Rain", "Raindrop", "Rain on surface", "Stream", "Waterfall", "Ocean", "Waves, surf"),
    *("Fire", "Crackle", "Noise", "Environmental noise", "Static", "White noise", "Pink noise"),
    *("Mains hum", "Sine wave", "Silence"),
)
_LEAST = 1e-4  # probability: its logit is finite
_MOST_HEARD = 4  # sounds whose embeddings are kept, 80 kB each
_HEARD: dict[tuple[object, ...], Tensor] = {}
_HEARD_LOCK = threading.Lock()
_FINGERPRINTS: WeakKeyDictionary[YAMNet, tuple[object, bytes]] = WeakKeyDictionary()


@dataclass(frozen=True, eq=False)
class AudioEvidence:
    """What is heard in K sounds.

    Args:
        groups: (K, G) probabilities that a thing of the group sounds.
        classes: (K, 521) probabilities of AudioSet's classes, see `yamnet.class_names`.
        ambient: (K,) probability of noise, wind, water and the like, which nothing makes that
            could be masked.
        confidence: (K,) probability of the class that is heard most clearly, of those that mean one
            kind of thing.
    """

    groups: Tensor
    classes: Tensor
    ambient: Tensor
    confidence: Tensor


class SoundRecognizer(nn.Module):
    """(K, n) samples at 16 kHz, of any length n >= 1 -> `AudioEvidence`.

    YAMNet names what it hears. It was trained on recordings of the world; where it is not sure,
    with renders, toys or games, a small network on its embedding counts that was trained on some.
    """

    sample_rate = YAMNet.sample_rate
    own: Tensor
    shared: Tensor
    around: Tensor
    telling: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.yamnet = YAMNet()
        groups = sounding_groups()
        self.head = _Head(len(groups))
        own = _rows([group.audioset for group in groups.values()])
        shared = _rows(
            [
                tuple(name for f in families().values() if group in f.groups for name in f.audioset)
                for group in groups
            ]
        )
        self.register_buffer("own", own, persistent=False)
        self.register_buffer("shared", shared, persistent=False)
        around = _rows([_AMBIENT])[0]
        self.register_buffer("around", around, persistent=False)
        self.register_buffer("telling", own.amax(dim=0).maximum(around), persistent=False)

    def forward(self, samples: Tensor) -> AudioEvidence:
        embeddings = embeddings_of(self.yamnet, samples).float()
        return self.interpret(embeddings, sounding_patches(samples, embeddings.shape[1]))

    def interpret(self, embeddings: Tensor, sounding: Tensor) -> AudioEvidence:
        """`forward`, from what YAMNet made of the sound.

        Args:
            embeddings: (K, T, 1024), see `YAMNet.embeddings`.
            sounding: (K, T) bool, which of the patches hold sound at all; at least one.
        """
        pooled, embedding = self.pooled(embeddings, sounding)
        named, confidence = self.named(pooled), (pooled * self.telling).amax(dim=1)
        corrected = self.corrected(named, embedding)
        unsure = (1 - confidence).unsqueeze(1) ** _SURE
        ambient = 1 - (1 - pooled * self.around).prod(dim=1)
        return AudioEvidence(torch.lerp(named, corrected, unsure), pooled, ambient, confidence)

    def pooled(self, embeddings: Tensor, sounding: Tensor) -> tuple[Tensor, Tensor]:
        """(K, 521) probabilities of the classes and (K, 1024), over time, of `interpret`'s."""
        weights = _mean_weights(sounding).to(embeddings)
        classes = over_time(self.yamnet.classify(embeddings), sounding)
        return classes, (embeddings * weights).sum(dim=1)

    def corrected(self, named: Tensor, embedding: Tensor) -> Tensor:
        """(K, G) by name and (K, 1024), the mean of the embeddings -> (K, G) by the head."""
        corrected: Tensor = named.logit(eps=_LEAST) + self.head(embedding)
        return corrected.sigmoid()

    def named(self, classes: Tensor) -> Tensor:
        """(K, 521) -> (K, G): the groups as the names alone tell them."""
        own = (classes.unsqueeze(1) * self.own).amax(dim=-1)
        shared = (classes.unsqueeze(1) * self.shared).amax(dim=-1)
        return torch.maximum(own, _FAMILY * shared)


class _Head(nn.Module):
    """(K, 1024) embeddings -> (K, G), added to the logits of the groups; nothing until trained."""

    def __init__(self, groups: int) -> None:
        super().__init__()
        self.hidden = nn.Linear(YAMNet.embedding_dim, _HIDDEN)
        self.out = nn.Linear(_HIDDEN, groups)
        self.reset()

    def reset(self) -> None:
        """As before any training."""
        self.hidden.reset_parameters()
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)

    def forward(self, embedding: Tensor) -> Tensor:
        hidden = F.dropout(self.hidden(embedding).relu(), _DROPOUT, self.training)
        added: Tensor = self.out(hidden)
        return added


def classes_heard(yamnet: YAMNet, samples: Tensor) -> Tensor:
    """(K, n) samples at 16 kHz -> (K, 521) probabilities, the `classes` of `AudioEvidence`."""
    with in_float32(samples.device):  # names hang on small probabilities
        scores = yamnet.classify(embeddings_of(yamnet, samples))
    return over_time(scores, sounding_patches(samples, scores.shape[1]))


def embeddings_of(yamnet: YAMNet, samples: Tensor) -> Tensor:
    """(K, n) samples at 16 kHz -> (K, T, 1024); those of the last few sounds are kept.

    All keyframes of a segment hear the same sound, and so does who names it.
    """
    first = next(yamnet.parameters())
    # In training weights change; of the others named here nobody can tell whether they do.
    if torch.is_grad_enabled() or samples.is_meta or first.is_inference():
        return yamnet.embeddings(samples, hop_s=_HOP_S)
    key = (_fingerprint(yamnet), samples.device, samples.shape, _digest(samples))
    with _HEARD_LOCK:
        kept = _HEARD.get(key)
    if kept is None:
        with in_float32(samples.device):  # it is kept for callers of any precision
            kept = yamnet.embeddings(samples, hop_s=_HOP_S)
        with _HEARD_LOCK:
            _HEARD[key] = kept
            while len(_HEARD) > _MOST_HEARD:
                del _HEARD[next(iter(_HEARD))]
    return kept


def _fingerprint(yamnet: YAMNet) -> bytes:
    """Of the weights, by which two that are equal are told from others; found out once."""
    state = tuple((x.data_ptr(), x._version, x.dtype, x.device) for x in yamnet.parameters())
    known = _FINGERPRINTS.get(yamnet)
    if known is None or known[0] != state:
        digests = b"".join(_digest(x) for x in yamnet.parameters())
        _FINGERPRINTS[yamnet] = known = (state, hashlib.blake2b(digests).digest())
    return known[1]


def _digest(tensor: Tensor) -> bytes:
    values = tensor.detach().reshape(-1).cpu().view(torch.uint8)
    return hashlib.blake2b(values.numpy().data, digest_size=16).digest()


def over_time(classes: Tensor, sounding: Tensor) -> Tensor:
    """(K, T, C) probabilities in patches -> (K, C), over those (K, T) that hold sound."""
    return (classes.pow(_POWER) * _mean_weights(sounding).to(classes)).sum(dim=1).pow(1 / _POWER)


def sounding_patches(samples: Tensor, count: int) -> Tensor:
    """(K, count) bool: which patches are more than padding; the first where none is."""
    hop, length = (round(s * YAMNet.sample_rate) for s in (_HOP_S, YAMNet.window_s))
    padded = F.pad(samples.abs(), (0, (count - 1) * hop + length - samples.shape[1]))
    sounding = padded.unfold(1, length, hop).amax(dim=-1) > _SILENT
    sounding[:, 0] |= ~sounding.any(dim=1)
    return sounding


def _mean_weights(sounding: Tensor) -> Tensor:
    """(K, T, 1): of a mean over the patches that hold sound."""
    return (sounding / sounding.sum(dim=1, keepdim=True)).unsqueeze(-1)


def _rows(names: list[tuple[str, ...]]) -> Tensor:
    """(len(names), 521): 1 where a class has one of the names."""
    classes = yamnet.class_names()
    rows = torch.zeros(len(names), len(classes))
    for row, own in zip(rows, names, strict=True):
        row[[classes.index(name) for name in own]] = 1
    return rows
