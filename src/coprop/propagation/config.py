"""The architecture and memory of a propagator, as config.json beside its weights holds them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal, get_args

from coprop.errors import CoPropError
from coprop.propagation.backbones import EncoderName
from coprop.utils.checks import check_choice, number, shown, whole

AudioEncoderName = Literal["small", "vggish", "yamnet"]

# The highest value of each: far beyond any published network (AOT-L: width 256, 3 blocks, 8 heads).
# A damaged file's sizes are refused before memory is asked for.
_HIGHEST = {
    "embedding_dim": 8192,
    "num_layers": 100,
    "num_heads": 256,
    "decoder_dim": 8192,
    "insert_dim": 8192,
    "max_objects": 255,
    "long_term_gap": 1_000_000_000,
    "max_memory_frames": 1_000_000,
    "max_long_edge": 16_384,
}
_LEVELS = {1, 2, 3, 4}  # strides 4, 8 and 16, and the projected tokens
_BLOCK_GROUPS = 32  # width has to divide into AOT's groups of normalisation
_POSITION_PARTS = 4  # ... and, for each head, into sine and cosine of x and y
_DECODER_PARTS = 16  # the decoder's 8 groups, at half its width


@dataclass(frozen=True)
class PropagatorConfig:
    """Architecture and memory of an `AudioInsertPropagator`.

    The defaults are a small model's, for CPUs: half of AOT-L's width, two blocks and an image
    encoder of 0.7 M parameters. What is not a matter of size has AOT's numbers.

    Args:
        encoder: the image encoder.
        embedding_dim: C, the width of the tokens; a multiple of 32 and of 4 num_heads. AOT's is
            256.
        num_layers: L, the propagator blocks. AOT-L's are 3.
        num_heads: heads of every attention; 8 as in AOT.
        decoder_dim: width of the decoder at stride 16, a multiple of 16; it halves at stride 8.
        drop_path: how often training drops a block's residual branch, in [0, 1); AOT's is 0.1.
        max_objects: identities that one pass tells apart; more objects take more passes. Ten as in
            AOT, whose identity bank has a vector for each.
        insert_levels: feature levels into which the frame's audio is inserted, out of 1 to 4
            (strides 4, 8 and 16, and the projected tokens). Empty is AOT, without audio modules.
        insert_dim: width of the audio cross-attention; the paper's is 256 (section 4.2).
        audio_encoder: what turns a window of sound into tokens; the paper's is VGGish. The weights
            of YAMNet, which the default hears through, are those inside the package.
        sound_gate: whether masks are shut while what sounded at the keyframe does not, see
            `coprop.propagation.sound_gate`; beyond the paper. It needs audio modules.
        long_term_gap: frames between two that long-term memory takes; 5 as in AOT-L.
        max_memory_frames: bound of long-term memory; None lets it grow, as in AOT and the paper.
            Eight are the keyframe and, with a gap of 5, the last 35 frames; a frame takes AOT-L
            about a third longer with eight in memory than with one.
        max_long_edge: frames with a longer side are scaled down to this many pixels; 1040 is what
            AOT's evaluation gives (800 x 1.3).

    Raises:
        CoPropError: a value out of range, or widths that do not divide as said.

    Example:
        >>> config = PropagatorConfig(insert_levels=(4,))
        >>> PropagatorConfig.from_dict(config.to_dict()) == config
        True
        >>> PropagatorConfig(embedding_dim=100)
        Traceback (most recent call last):
        coprop.errors.CoPropError: embedding_dim must be a multiple of 32 and of 4 x num_heads ...
    """

    encoder: EncoderName = "efficientnet_lite0"
    embedding_dim: int = 128
    num_layers: int = 2
    num_heads: int = 8
    decoder_dim: int = 128
    drop_path: float = 0.0
    max_objects: int = 10
    insert_levels: tuple[int, ...] = (1, 2, 3, 4)
    insert_dim: int = 256
    audio_encoder: AudioEncoderName = "small"
    sound_gate: bool = False
    long_term_gap: int = 5
    max_memory_frames: int | None = 8
    max_long_edge: int = 1040

    def __post_init__(self) -> None:
        self._check_names()
        self._check_sizes()
        self._check_widths()

    def _check_names(self) -> None:
        levels = self.insert_levels
        _require(
            isinstance(levels, (tuple, list))
            and all(type(level) is int for level in levels)
            and set(levels) <= _LEVELS
            and len(set(levels)) == len(levels),
            f"insert_levels takes different levels out of 1, 2, 3 and 4, got {levels!r:.60}.",
        )
        # JSON has no tuples, so a stored configuration brings a list.
        object.__setattr__(self, "insert_levels", tuple(levels))
        for name, names in (("encoder", EncoderName), ("audio_encoder", AudioEncoderName)):
            check_choice(name, getattr(self, name), get_args(names))
        _require(
            type(self.sound_gate) is bool and not (self.sound_gate and not levels),
            "sound_gate is True or False, and True only where insert_levels are not empty; got "
            f"{shown(self.sound_gate)}, with insert_levels {levels!r:.60}.",
        )

    def _check_sizes(self) -> None:
        for name, high in _HIGHEST.items():
            if name == "max_memory_frames" and self.max_memory_frames is None:
                continue
            wanted = f"a whole number from 1 to {high}" + (
                ", or None for no bound" if name == "max_memory_frames" else ""
            )
            value = whole(name, getattr(self, name), wanted, low=1, high=high)
            object.__setattr__(self, name, value)
        drop = number("drop_path", self.drop_path, "a number in [0, 1)", low=0.0, high=1.0)
        _require(drop < 1, f"drop_path must lie in [0, 1), got {self.drop_path}.")
        object.__setattr__(self, "drop_path", drop)

    def _check_widths(self) -> None:
        parts = _POSITION_PARTS * self.num_heads
        _require(
            self.embedding_dim % parts == 0 and self.embedding_dim % _BLOCK_GROUPS == 0,
            f"embedding_dim must be a multiple of {_BLOCK_GROUPS} and of {_POSITION_PARTS} x "
            f"num_heads = {parts}, got {self.embedding_dim}.",
        )
        _require(
            self.insert_dim % self.num_heads == 0,
            f"insert_dim must be a multiple of num_heads = {self.num_heads}, got "
            f"{self.insert_dim}.",
        )
        _require(
            self.decoder_dim % _DECODER_PARTS == 0,
            f"decoder_dim must be a multiple of {_DECODER_PARTS}, got {self.decoder_dim}.",
        )

    @classmethod
    def aot_l(cls, **changes: Any) -> PropagatorConfig:
        """AOT-L with ResNet-50 (R50_AOTL), the paper's propagator, with VGGish for its audio.

        >>> config = PropagatorConfig.aot_l(max_memory_frames=None)
        >>> config.encoder, config.embedding_dim, config.num_layers
        ('resnet50', 256, 3)
        """
        return cls(**{**_AOT, "encoder": "resnet50", "num_layers": 3, **changes})

    @classmethod
    def aot_t(cls, **changes: Any) -> PropagatorConfig:
        """AOT-T with MobileNetV2: one block, and the reference as its only long-term memory."""
        tiny = {"encoder": "mobilenetv2", "num_layers": 1, "long_term_gap": _NEVER}
        return cls(**{**_AOT, **tiny, **changes})

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> PropagatorConfig:
        """The configuration stored as a dict.

        Raises:
            CoPropError: names that are no fields, or values out of range.
        """
        _require(
            isinstance(values, Mapping),
            f"a propagator's settings are an object with names and values, got {shown(values)}.",
        )
        known = {field.name for field in fields(cls)}
        _require(
            set(values) <= known,
            f"unknown propagator settings {sorted(set(values) - known)}; known are "
            f"{sorted(known)}. The file may be of a newer version of coprop.",
        )
        return cls(**values)

    def to_dict(self) -> dict[str, Any]:
        """The configuration as a dict that JSON can hold."""
        return asdict(self)


_NEVER = 9999  # frames: AOT-T's own gap, longer than the videos it was made for
# What all sizes of AOT share; their weights were trained so.
_AOT: dict[str, Any] = {
    "embedding_dim": 256,
    "decoder_dim": 256,
    "drop_path": 0.1,
    "audio_encoder": "vggish",
}


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise CoPropError(message)
