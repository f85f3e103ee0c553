"""Models of transformers from a folder or the hub, and what is said where there is none."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError

from coprop.checkpoints.hub import fetched, not_on_disk
from coprop.errors import CheckpointError, CoPropError, MissingPackageError
from coprop.utils.brief import first_line
from coprop.utils.checks import shown
from coprop.utils.paths import AnyPath, as_path
from coprop.utils.precision import checked_device

_HUB_ID = re.compile(r"\w[\w.-]*(/[\w.-]+)?")  # owner/name, or the name of one without an owner
_CLOSED = ("gated repo", "401 client error", "403 client error", "access to model")
_UNREACHED = ("couldn't connect", "offline mode", "cannot find the requested files", "connection")


@dataclass(frozen=True)
class Kind:
    """How models of one type are loaded.

    Args:
        model: the name of their class in transformers.
        processor: the name of their processor's; None where they need none.
    """

    model: str
    processor: str | None = None


@dataclass(frozen=True)
class Wanted:
    """What a name should stand for.

    Args:
        what: in words, such as "box detector".
        kinds: by the ``model_type`` of their configurations.
        example: the id of one on the hub.
    """

    what: str
    kinds: Mapping[str, Kind]
    example: str


@dataclass(frozen=True, eq=False)
class Loaded:
    """A model in evaluation mode, its ``model_type``, and its processor where it needs one."""

    model: Any
    model_type: str
    processor: Any


def load(
    name: AnyPath,
    *wanted: Wanted,
    device: torch.device | str | None = None,
    dtype: torch.dtype | None = None,
    local_files_only: bool = False,
) -> Loaded:
    """A model and its processor, by transformers' own classes.

    Args:
        name: a folder, as ``save_pretrained`` writes it, or an id on the hub. No network is used
            for a folder.
        wanted: what it may be.
        device: where to put it; None for the CPU.
        dtype: of its weights; None for that in which they are stored.
        local_files_only: never ask the hub; what was fetched before is found.

    Raises:
        CheckpointError: there is no such model, it is gated, damaged or of another type; or
            transformers is missing.
        CoPropError: no such device, or no dtype of floats.
        MissingPackageError: transformers is too old, or lacks a package that it needs itself.
    """
    _check_dtype(dtype)
    place = checked_device("cpu" if device is None else device)
    known_as = source = place_of("folder_or_hub_id", name, partial(unusable, name, wanted))
    if local_files_only and not Path(source).is_dir():
        source = str(fetched(source, local_files_only=True))
    origin: dict[str, Any] = {"local_files_only": local_files_only}
    with explained(known_as, wanted):
        transformers = _transformers(known_as)
        # Else transformers asks on the terminal whether a repository's own code may run.
        config = transformers.AutoConfig.from_pretrained(source, trust_remote_code=False, **origin)
        kinds = {t: kind for each in wanted for t, kind in each.kinds.items()}
        if config.model_type not in kinds:
            raise unusable(known_as, wanted, f"it is of type {config.model_type!r}")
        kind = kinds[config.model_type]
        processor = None
        if kind.processor is not None:
            processor = _class(transformers, kind.processor).from_pretrained(source, **origin)
        refuse = partial(unusable, known_as, wanted)
        read = partial(_class(transformers, kind.model).from_pretrained, source, **origin)
        model = whole(partial(read, dtype=dtype or "auto"), refuse)
    return Loaded(model.to(place).eval(), config.model_type, processor)


def whole(read: Callable[..., Any], refuse: Callable[[str], CheckpointError]) -> Any:
    """The model that a ``from_pretrained`` reads, if all of its weights are there.

    Args:
        read: that, with its arguments.
        refuse: makes the error of a reason.
    """
    with torch.random.fork_rng(devices=[]):  # loading draws none of the caller's numbers
        model, report = read(output_loading_info=True)
    if missing := sorted(report["missing_keys"]):
        raise refuse(f"its weights lack {len(missing)} tensors, such as {missing[0]}")
    return model


@contextmanager
def explained(name: str, wanted: tuple[Wanted, ...]) -> Iterator[None]:
    """Says of what transformers raises which model it was, and what to do.

    Raises:
        CheckpointError, MissingPackageError: in place of transformers' own.
    """
    try:
        yield
    except CoPropError:
        raise
    except ImportError as error:
        raise MissingPackageError(
            f"{name} cannot be loaded, a package is missing: {first_line(error)}. Install it."
        ) from error
    except (OSError, ValueError, KeyError, TypeError, RuntimeError, SafetensorError) as error:
        said, text = first_line(error), str(error).lower()
        if any(mark in text for mark in _CLOSED):
            raise CheckpointError(
                f"{name} is gated, or not open to you ({said}): ask for access on its page, "
                f"https://huggingface.co/{name}, then log in with: hf auth login."
            ) from error
        if any(mark in text for mark in _UNREACHED):
            raise not_on_disk(name, tried=True) from error
        raise unusable(name, wanted, said) from error


def unusable(name: AnyPath, wanted: tuple[Wanted, ...], reason: str) -> CheckpointError:
    """What is said of a name that does not stand for what is wanted."""
    types = " or ".join(t for each in wanted for t in each.kinds)
    return CheckpointError(
        f"there is no {' or '.join(each.what for each in wanted)} at {name}: {reason}. Give a "
        f"folder with a model of type {types} as transformers' save_pretrained() writes it and its "
        f"processor, or the id of one on the hub, such as "
        f"{' or '.join(each.example for each in wanted)}; without a network, fetch it beforehand "
        f"with: hf download {wanted[0].example}."
    )


def place_of(argument: str, name: AnyPath, refuse: Callable[[str], CheckpointError]) -> str:
    """The folder, or the id on the hub, that an argument names; others are refused."""
    path = as_path(argument, name, error=CheckpointError)
    if path.is_dir():
        return str(path)
    if not isinstance(name, str) or not _HUB_ID.fullmatch(name) or path.is_absolute():
        raise refuse("there is no such folder")
    return name


def _transformers(name: str) -> Any:
    try:
        import transformers
    except ImportError as error:
        raise CheckpointError(
            f"{name} needs transformers, which cannot be imported ({error}); "
            'install it with: pip install "transformers>=5.20".'
        ) from error
    return transformers


def _class(transformers: Any, name: str) -> Any:
    found = getattr(transformers, name, None)
    if found is None:
        raise MissingPackageError(
            f"transformers {transformers.__version__} has no {name}; install a later one with: "
            'pip install "transformers>=5.20".'
        )
    return found


def _check_dtype(dtype: object) -> None:
    if dtype is not None and not (isinstance(dtype, torch.dtype) and dtype.is_floating_point):
        raise CoPropError(
            f"dtype must be one of torch's, such as torch.bfloat16, or None, got {shown(dtype)}."
        )
