"""The shape of a propagator, as it is stored beside its weights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal, get_args

from coprop.checks import number, shown, whole
from coprop.errors import CoPropError
from coprop.propagation.backbones import EncoderName

AudioEncoderName = Literal["small", "vggish"]


# Far beyond any published network; a damaged file's sizes are refused before memory is asked for.
_SIZES = {
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


@dataclass(frozen=True)
class PropagatorConfig:
    """Architecture and memory of an `AudioInsertPropagator`; the defaults are the small model's.

    Args:
        encoder: the image encoder.
        embedding_dim: width of the tokens.
        num_layers: propagation blocks.
        num_heads: heads of every attention.
        decoder_dim: width of the decoder at stride 16; it halves at stride 8.
        drop_path: how often training drops a block's residual branch, in [0, 1).
        max_objects: identities that one pass tells apart; more objects take more passes.
        insert_levels: feature levels that hear the frame's audio, out of 1 to 4 (strides 4, 8 and
            16, and the projected tokens). Empty is AOT, without any audio module.
        insert_dim: width of the audio cross-attention.
        audio_encoder: what turns a window of sound into tokens.
        long_term_gap: frames between two that long-term memory keeps.
        max_memory_frames: bound of long-term memory; None lets it grow.
        max_long_edge: longer frames are scaled down to this many pixels.
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
    long_term_gap: int = 5
    max_memory_frames: int | None = 8
    max_long_edge: int = 1040

    def __post_init__(self) -> None:
        # JSON has no tuples, so a stored configuration brings a list.
        levels = self.insert_levels
        _require(
            isinstance(levels, (tuple, list)) and all(type(level) is int for level in levels),
            f"insert_levels takes different levels out of 1, 2, 3 and 4, got {shown(levels)}.",
        )
        object.__setattr__(self, "insert_levels", tuple(levels))
        for name, names in (("encoder", EncoderName), ("audio_encoder", AudioEncoderName)):
            _require(
                getattr(self, name) in [*get_args(names)],
                f"{name} must be one of {get_args(names)}, got {getattr(self, name)!r}.",
            )
        _require(
            set(self.insert_levels) <= {1, 2, 3, 4}
            and len(set(self.insert_levels)) == len(self.insert_levels),
            f"insert_levels takes different levels out of 1, 2, 3 and 4, got {self.insert_levels}.",
        )
        for name, high in _SIZES.items():
            if name == "max_memory_frames" and self.max_memory_frames is None:
                continue
            wanted = f"a whole number from 1 to {high}" + (
                ", or None for no bound" if name == "max_memory_frames" else ""
            )
            value = whole(name, getattr(self, name), wanted, low=1, high=high)
            object.__setattr__(self, name, value)
        _require(
            self.embedding_dim % (4 * self.num_heads) == 0 and self.embedding_dim % 32 == 0,
            f"embedding_dim must be a multiple of 32 and of 4 x num_heads = {4 * self.num_heads}, "
            f"got {self.embedding_dim}.",
        )
        _require(
            self.insert_dim % self.num_heads == 0,
            f"insert_dim must be a multiple of num_heads = {self.num_heads}, got "
            f"{self.insert_dim}.",
        )
        _require(
            self.decoder_dim % 16 == 0,
            f"decoder_dim must be a multiple of 16, got {self.decoder_dim}.",
        )
        drop = number("drop_path", self.drop_path, "a number in [0, 1)", low=0.0, high=1.0)
        _require(drop < 1, f"drop_path must lie in [0, 1), got {self.drop_path}.")
        object.__setattr__(self, "drop_path", drop)

    @classmethod
    def aot_l(cls, **changes: Any) -> PropagatorConfig:
        """AOT-L with ResNet-50 (R50_AOTL), the paper's propagator, hearing through VGGish."""
        return cls(**{**_AOT, "encoder": "resnet50", "num_layers": 3, **changes})

    @classmethod
    def aot_t(cls, **changes: Any) -> PropagatorConfig:
        """AOT-T with MobileNetV2: one block, and the reference as its only long-term memory."""
        tiny = {"encoder": "mobilenetv2", "num_layers": 1, "long_term_gap": 9999}
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


_AOT: dict[str, Any] = {
    "embedding_dim": 256,
    "decoder_dim": 256,
    "drop_path": 0.1,
    "audio_encoder": "vggish",
}


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise CoPropError(message)
