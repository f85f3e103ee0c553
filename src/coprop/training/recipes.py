"""What a training is told, in both stages; `coprop.training.recipe_files` reads it from files."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from coprop.errors import CoPropError

Stage = Literal["keyframes", "propagator"]
Precision = Literal["no", "fp16", "bf16"]
KeyFrames = Literal["all", "annotation", "novelty", "cosine", "rcpg"]


@dataclass(frozen=True)
class Recipe:
    """What both stages are told.

    Args:
        stage: which of them the file is for.
        description: what it is for, in words; nothing depends on it.
        model: settings of the model that differ from its defaults.
        start: where the weights come from; each stage says what it takes.
        audio_weights: file of the audio encoder; "random" for none.
        beside: folder of the pipeline's other model, for validation and for ``final``; "default"
            is the one in the package.
        epochs: how often every clip is seen; or else ``steps``.
        steps: optimizer steps; 0 only writes the weights that training would start from.
        batch_size: clips a step, those of all processes together.
        accumulation: parts in which a process works through its share of a step.
        precision: "bf16" and "fp16" are faster on GPUs.
        learning_rate: the highest.
        clip_norm: the gradients' norm is cut to this; None leaves it.
        ema_ratio: averages the weights over about this part of the training; 0 for none.
        size: height and width at which frames are trained on, in pixels.
        augment: mirror frames, and cut out parts of random size.
        frames_per_clip: most frames of a clip in a step; None for all. The propagator's length of
            sequence.
        seed: of everything random, 0 or more.
        workers: processes that read data; 0 reads in the training's own.
        cached_clips: clips that each of these keeps in memory; composed ones are slow to make.
        checkpoint_every: steps between checkpoints.
        keep: how many checkpoints stay.
        log_every: steps between points in TensorBoard; ``log.jsonl`` has every step.
        validate_every: steps between validations; 0 for none.
        validate_split: the split to validate on.
        validate_clips: how many of its clips.

    Raises:
        CoPropError: a number out of range, or not exactly one of ``epochs`` and ``steps``.
    """

    stage: Stage
    description: str = ""
    model: dict[str, Any] = field(default_factory=dict)
    start: str | None = None
    audio_weights: str | None = None
    beside: str = "default"
    epochs: int | None = None
    steps: int | None = None
    batch_size: int = 4
    accumulation: int = 1
    precision: Precision = "no"
    learning_rate: float = 1e-4
    clip_norm: float | None = None
    ema_ratio: float = 0.0
    size: tuple[int, ...] = (224, 224)
    augment: bool = True
    frames_per_clip: int | None = None
    seed: int = 0
    workers: int = 0
    cached_clips: int = 0
    checkpoint_every: int = 500
    keep: int = 2
    log_every: int = 20
    validate_every: int = 0
    validate_split: str = "val"
    validate_clips: int = 16

    def __post_init__(self) -> None:
        if (self.epochs is None) == (self.steps is None):
            raise CoPropError(
                f"a training lasts a number of epochs or of steps, got epochs={self.epochs} and "
                f"steps={self.steps}; give one of them, and null for the other."
            )
        lowest = {
            "epochs": 1,
            "steps": 0,
            "frames_per_clip": 1,
            "seed": 0,
            "workers": 0,
            "cached_clips": 0,
            "validate_every": 0,
            **dict.fromkeys(("batch_size", "accumulation", "checkpoint_every", "keep"), 1),
            **dict.fromkeys(("log_every", "validate_clips"), 1),
        }
        for name, least in lowest.items():
            value = getattr(self, name)
            if value is not None and value < least:
                raise CoPropError(f"{name} must be at least {least}, got {value}.")
        if not self.learning_rate > 0 or (self.clip_norm is not None and not self.clip_norm > 0):
            raise CoPropError(
                "learning_rate and clip_norm must be positive, got "
                f"{self.learning_rate} and {self.clip_norm}."
            )
        if not 0 <= self.ema_ratio <= 1:
            raise CoPropError(f"ema_ratio must lie in [0, 1], got {self.ema_ratio}.")
        if len(self.size) != 2 or min(self.size) < 32:
            raise CoPropError(
                f"size must be [height, width], each of 32 pixels or more, got {list(self.size)}."
            )

    def to_dict(self) -> dict[str, Any]:
        """The recipe as a dict that JSON can hold."""
        values: dict[str, Any] = json.loads(json.dumps(asdict(self)))  # which has no tuples
        return values


@dataclass(frozen=True)
class KeyframeRecipe(Recipe):
    """Stage one (paper sections 3.3 and 4.2).

    ``model`` holds fields of `SegmenterConfig`. ``start`` is "default", or a folder: one that
    ``save_pretrained`` wrote, or one with ``keyframe_segmenter`` in it, such as another training's
    ``final``. Where it is None, a new network begins from its pretrained encoders.

    Args:
        image_weights: file of the image backbone; "timm:NAME" lets timm download that name's;
            "random" for none. For a new network only.
        key_frames: "all" frames; or, for fine-tuning, only those at which what sounds changes
            ("annotation"), or at which a detector finds that it does.
        llm: the language model of "rcpg": a server's URL, a folder, or a name on the hub.
        llm_examples: annotated examples for it.
    """

    image_weights: str | None = None
    key_frames: KeyFrames = "all"
    llm: str | None = None
    llm_examples: str | None = None


@dataclass(frozen=True)
class PropagatorRecipe(Recipe):
    """Stage two (paper sections 3.4 and 4.2), by the schedule of AOT.

    ``model`` holds fields of `PropagatorConfig`. ``start`` is the file of an official AOT network,
    "default", a folder as in stage one, or "random".

    Args:
        fresh_insert: the audio modules of ``start``'s folder begin anew at ``model``'s
            ``insert_levels``, their gates shut, so that whatever the levels, training begins with
            the same masks. The audio encoder stays as it is there; other weights do too.
        architecture: what ``model`` changes, where ``start`` is "random": AOT-L or the small one.
        lowest_learning_rate: the rate at which the schedule begins and ends.
        encoder_ratio: how much slower the image encoder learns.
        warm_up: part of the training in which the rate rises.
        power: of the polynomial by which it falls.
        weight_decay: of AdamW, on matrices and convolutions.
        told: part of the training in which memory is told the true masks; after it, memory lives
            on predicted ones, and the identities are learned no further.
        long_term_gap: frames between two that memory keeps, while training.
        frozen: parts that are not trained, by the beginning of their parameters' names.
    """

    fresh_insert: bool = False
    architecture: Literal["aot_l", "small"] = "aot_l"
    batch_size: int = 16
    learning_rate: float = 2e-4
    lowest_learning_rate: float = 1e-5
    encoder_ratio: float = 0.1
    warm_up: float = 0.05
    power: float = 0.9
    weight_decay: float = 0.07
    clip_norm: float | None = 5.0
    ema_ratio: float = 0.1
    told: float = 0.5
    long_term_gap: int = 2
    frames_per_clip: int | None = 5
    size: tuple[int, ...] = (465, 465)
    frozen: tuple[str, ...] = ("audio_insert.encoder",)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.frames_per_clip is None or self.frames_per_clip < 2 or self.long_term_gap < 1:
            raise CoPropError(
                "a sequence has two frames or more (frames_per_clip), and memory keeps one every "
                f"long_term_gap >= 1; got {self.frames_per_clip} and {self.long_term_gap}."
            )
        for name in ("encoder_ratio", "warm_up", "told"):
            if not 0 <= getattr(self, name) <= 1:
                raise CoPropError(f"{name} must lie in [0, 1], got {getattr(self, name)}.")
        if not 0 < self.lowest_learning_rate <= self.learning_rate or self.weight_decay < 0:
            raise CoPropError(
                "needed are 0 < lowest_learning_rate <= learning_rate and weight_decay >= 0, got "
                f"{self.lowest_learning_rate}, {self.learning_rate} and {self.weight_decay}."
            )
