"""Recipes: the settings of both trainings, and the JSON files that hold them."""

from __future__ import annotations

import json
import math
import types
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from importlib import resources
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from coprop.errors import CoPropError
from coprop.storage.files import parse_json
from coprop.utils.brief import first_line
from coprop.utils.checks import number
from coprop.utils.paths import AnyPath, as_path, from_home

Stage = Literal["keyframes", "propagator"]
Precision = Literal["no", "fp16", "bf16"]
KeyFrames = Literal["all", "annotation", "novelty", "cosine", "rcpg"]

_CONFIGS = "configs"
_FORMER_NAMES = {"told": "teacher_forcing"}  # in recipes and run folders of earlier versions
_LEAST = {
    **dict.fromkeys(("epochs", "batch_size", "accumulation", "frames_per_clip"), 1),
    **dict.fromkeys(("checkpoint_every", "keep", "log_every", "validate_clips"), 1),
    **dict.fromkeys(("steps", "seed", "workers", "cached_clips", "validate_every"), 0),
}
# What may be a file or a folder.
_PLACES = {"start", "audio_weights", "beside", "image_weights", "llm", "llm_examples"}
_LEAST_SIDE = 32  # pixels: one place of the image encoders' coarsest features


@dataclass(frozen=True)
class Recipe:
    """The settings that both stages have.

    Args:
        stage: which of them the file is for.
        description: what it is for, in words; nothing depends on it.
        model: settings of the model that differ from its defaults.
        start: where the initial weights come from; each stage says what it takes.
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
    batch_size: int = 4  # the paper's, of stage one
    accumulation: int = 1
    precision: Precision = "no"
    learning_rate: float = 1e-4  # the paper's, of stage one
    clip_norm: float | None = None
    ema_ratio: float = 0.0
    size: tuple[int, ...] = (224, 224)  # AVSBench's frames
    augment: bool = True
    frames_per_clip: int | None = None
    seed: int = 0
    workers: int = 0
    cached_clips: int = 0
    checkpoint_every: int = 500  # minutes of a GPU, which is what a kill may cost
    keep: int = 2  # the last, and the one before should the last be damaged
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
        for name, least in _LEAST.items():
            value = getattr(self, name)
            if value is not None and value < least:
                raise CoPropError(f"{name} must be at least {least}, got {value}.")
        if not self.learning_rate > 0 or (self.clip_norm is not None and not self.clip_norm > 0):
            raise CoPropError(
                "learning_rate and clip_norm must be positive, got "
                f"{self.learning_rate} and {self.clip_norm}."
            )
        self._check_parts("ema_ratio")
        if len(self.size) != 2 or min(self.size) < _LEAST_SIDE:
            raise CoPropError(
                f"size must be [height, width], each of {_LEAST_SIDE} pixels or more, got "
                f"{list(self.size)}."
            )

    def _check_parts(self, *names: str) -> None:
        for name in names:
            if not 0 <= getattr(self, name) <= 1:
                raise CoPropError(f"{name} must lie in [0, 1], got {getattr(self, name)}.")

    def steps_for(self, clips: int) -> int:
        """How many steps it takes on so many clips; the last may begin another epoch.

        >>> KeyframeRecipe("keyframes", epochs=3, batch_size=4).steps_for(clips=10)
        8
        """
        if self.steps is not None:
            return self.steps
        return math.ceil((self.epochs or 0) * clips / self.batch_size)

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
    """Stage two (paper sections 3.4 and 4.2). The defaults are those of AOT's released training.

    ``model`` holds fields of `PropagatorConfig`. ``start`` is the file of an official AOT network,
    "default", a folder as in stage one, or "random".

    Args:
        fresh_insert: the audio modules of ``start``'s folder begin anew at ``model``'s
            ``insert_levels``, silent at first, so that whatever the levels, training begins with
            the same masks. The audio encoder stays as it is there; other weights do too.
        architecture: what ``model`` changes, where ``start`` is "random": AOT-L or the small one.
        lowest_learning_rate: the rate at which the schedule begins and ends.
        encoder_ratio: how much slower the image encoder learns.
        insert_ratio: how much faster the audio modules learn, which begin from nothing.
        warm_up: part of the training in which the rate rises.
        power: of the polynomial by which it falls.
        weight_decay: of AdamW, on matrices and convolutions.
        teacher_forcing: part of the training in which memory takes in the true masks; after it,
            memory lives on predicted ones, and the identities are learned no further. Files may
            call it by its former name, ``told``.
        long_term_gap: frames between two that memory keeps, while training.
        frozen: parts that are not trained, by the beginning of their parameters' names.
    """

    fresh_insert: bool = False
    architecture: Literal["aot_l", "small"] = "aot_l"
    batch_size: int = 16
    learning_rate: float = 2e-4
    lowest_learning_rate: float = 1e-5
    encoder_ratio: float = 0.1
    insert_ratio: float = 5.0
    warm_up: float = 0.05
    power: float = 0.9
    weight_decay: float = 0.07
    clip_norm: float | None = 5.0
    ema_ratio: float = 0.1
    teacher_forcing: float = 0.5
    long_term_gap: int = 2  # where AOT-L keeps every fifth in use: training sequences are short
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
        self._check_parts("encoder_ratio", "warm_up", "teacher_forcing")
        if not 0 < self.lowest_learning_rate <= self.learning_rate or self.weight_decay < 0:
            raise CoPropError(
                "needed are 0 < lowest_learning_rate <= learning_rate and weight_decay >= 0, got "
                f"{self.lowest_learning_rate}, {self.learning_rate} and {self.weight_decay}."
            )
        if not 0 < self.insert_ratio < math.inf:
            raise CoPropError(f"insert_ratio must be above 0, got {self.insert_ratio}.")


_Recipe = TypeVar("_Recipe", bound=Recipe)


def config_names() -> tuple[str, ...]:
    """The recipes that come with the package.

    >>> "propagator_4_layers" in config_names()
    True
    """
    folder = resources.files(__package__).joinpath(_CONFIGS)
    return tuple(sorted(f.name[:-5] for f in folder.iterdir() if f.name.endswith(".json")))


def read_recipe(
    kind: type[_Recipe], stage: Stage, config: AnyPath, changes: Sequence[str] = ()
) -> _Recipe:
    """The recipe of a file or of a name, with changes put over it.

    Args:
        kind: the stage's class.
        stage: its name; the file must be for it.
        config: path of a JSON file, or one of `config_names`.
        changes: each ``key=value``, with JSON for the value (bare words are strings), and dots
            into ``model``: "batch_size=2", "model.working_edge=320", "start=runs/a/final".

    Raises:
        CoPropError: no such file, no JSON in it, a key that is not known, a value of another
            type or out of range.

    >>> read_recipe(KeyframeRecipe, "keyframes", "keyframes_resnet50", ["batch_size=2"]).epochs
    100
    """
    values = _content(config)
    for change in changes:
        key, equals, text = change.partition("=")
        if not equals or not key:
            raise CoPropError(f"--set takes key=value, got {change!r}.")
        _put(values, key.split("."), _value(text))
    if values.get("stage") != stage:
        raise CoPropError(
            f"{config} is for the stage {values.get('stage')!r}, not {stage!r}; those that come "
            f"with coprop are {', '.join(config_names())}."
        )
    return recipe_from(kind, values)


def recipe_from(kind: type[_Recipe], values: Mapping[str, Any]) -> _Recipe:
    """The recipe of a dict.

    Raises:
        CoPropError: as for `read_recipe`.
    """
    values, known = present_names(values), {f.name for f in fields(kind)}
    unknown = sorted(set(values) - known)
    if unknown:
        raise CoPropError(f"unknown settings {', '.join(unknown)}; known are {sorted(known)}.")
    hints = get_type_hints(kind)
    typed = {name: _typed(name, value, hints[name]) for name, value in values.items()}
    places = {name: from_home(typed[name]) for name in _PLACES & typed.keys() if typed[name]}
    return kind(**{**typed, **places})


def present_names(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Settings by the names they have today, as files of earlier versions have others.

    >>> present_names({"told": 0.5, "seed": 1})
    {'teacher_forcing': 0.5, 'seed': 1}
    """
    return {_FORMER_NAMES.get(name, name): value for name, value in settings.items()}


def _content(config: AnyPath) -> dict[str, Any]:
    path = as_path("config", config)
    shipped = resources.files(__package__).joinpath(_CONFIGS).joinpath(f"{config}.json")
    try:
        source = shipped if str(config) in config_names() else path
        values = parse_json(source.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise CoPropError(
            f"there is no config {config}; give a JSON file, or one of those that come with "
            f"coprop: {', '.join(config_names())}."
        ) from error
    except ValueError as error:
        raise CoPropError(
            f"{config} is not JSON: {first_line(error)}. Give a file with one JSON object of "
            "settings."
        ) from error
    if not isinstance(values, dict):
        raise CoPropError(f"{config} must hold one JSON object with settings.")
    return values


def _put(values: dict[str, Any], keys: list[str], value: Any) -> None:
    *outer, last = keys
    for key in outer:
        values = values.setdefault(key, {})
        if not isinstance(values, dict):
            raise CoPropError(f"--set {'.'.join(keys)}: {key} holds no settings of its own.")
    values[last] = value


def _value(text: str) -> Any:
    try:
        return parse_json(text)
    except ValueError:
        return text


def _typed(name: str, value: Any, hint: Any) -> Any:
    """The value as the field holds it; JSON has no tuples, and 1 is a float too."""
    choices = get_args(hint) if get_origin(hint) in (Union, types.UnionType) else (hint,)
    for choice in choices:
        origin = get_origin(choice)
        if origin is Literal and value in get_args(choice):
            return value
        if origin is tuple and isinstance(value, list | tuple):
            return tuple(_typed(f"each of {name}", item, get_args(choice)[0]) for item in value)
        if origin is dict and isinstance(value, dict):
            return value
        if choice is float and isinstance(value, int | float) and not isinstance(value, bool):
            return value if isinstance(value, float) else number(name, value, "a number")
        if origin is None and isinstance(choice, type) and type(value) is choice:
            return value
    wanted = " or ".join(_described(choice) for choice in choices)
    raise CoPropError(f"{name} must be {wanted}, got {value!r}.")


def _described(choice: Any) -> str:
    if get_origin(choice) is Literal:
        return f"one of {get_args(choice)}"
    if choice is type(None):
        return "null"
    names = {int: "a whole number", float: "a number", str: "a string", bool: "true or false"}
    return names.get(choice, "a list" if get_origin(choice) is tuple else "an object")
