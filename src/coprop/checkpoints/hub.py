"""Models on the hub: what is on disk, what is fetched, and what is said where one cannot be had."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from coprop.errors import CheckpointError
from coprop.utils.brief import first_line
from coprop.utils.environment import environment

# huggingface_hub is loaded where the hub is asked: it takes longer than the rest of the package.

_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")
_LONGEST = 5  # causes of causes that are looked through; an error of transformers' has three

MODEL_FILES = ("*.json", "*.safetensors", "*.txt", "*.model", "*.jinja")
"""What a model of transformers and its processor are read from; other formats are not fetched."""


def is_hub_id(name: object) -> bool:
    """Whether a text has the form of a model's id on the hub, owner/name."""
    return isinstance(name, str) and _ID.fullmatch(name) is not None


def is_offline() -> bool:
    """Whether the hub must not be asked, as HF_HUB_OFFLINE or `offline` say."""
    from huggingface_hub import constants

    return bool(constants.HF_HUB_OFFLINE)


@contextmanager
def offline(wanted: bool = True) -> Iterator[None]:
    """Inside, nothing is asked of the hub, by this process or those that it starts.

    What was fetched before is found. It is a setting of the process: other threads have it too.

    Args:
        wanted: False leaves everything as it is.
    """
    if not wanted:
        yield
        return
    from huggingface_hub import constants

    kept, constants.HF_HUB_OFFLINE = constants.HF_HUB_OFFLINE, True
    try:
        with environment(HF_HUB_OFFLINE="1"):  # its own switch, which transformers follows too
            yield
    finally:
        constants.HF_HUB_OFFLINE = kept


def fetched(
    name: str,
    files: Sequence[str] = MODEL_FILES,
    *,
    revision: str | None = None,
    local_files_only: bool = False,
) -> Path:
    """The folder in the hub's cache with a model's files, fetched where they are not there.

    Args:
        name: the model's id.
        files: patterns of their names; of the top folder alone, unless one names a folder.
        revision: a branch, tag or commit; None for main.
        local_files_only: take what was fetched before, without asking the hub.

    Raises:
        CheckpointError: there is no such model, it is gated, or it is not on disk and cannot be
            fetched.
    """
    from huggingface_hub import snapshot_download

    inner = any("/" in pattern for pattern in files)
    try:
        # Told local_files_only alone, the hub's client may still ask it which program calls it.
        with offline(local_files_only):
            folder = snapshot_download(
                name,
                revision=revision,
                allow_patterns=list(files),
                ignore_patterns=None if inner else ["*/*"],
                local_files_only=local_files_only,
            )
    except (OSError, ValueError) as error:
        said = why_not(name, error) or f"{name} cannot be fetched: {first_line(error)}."
        raise CheckpointError(said) from error
    return Path(folder)


def fetched_model(
    name: str, *, revision: str | None = None, local_files_only: bool = False
) -> Path:
    """The folder with all that a model of transformers and its processor are read from.

    Weights in .bin, of which tensors alone are read, are fetched where there are no others.

    Raises:
        CheckpointError: as of `fetched`, or it has no weights.
    """
    folder = fetched(name, revision=revision, local_files_only=local_files_only)
    if weights_size(folder) is None and not (local_files_only or is_offline()):
        fetched(name, ("pytorch_model*.bin",), revision=revision)
    if weights_size(folder) is not None:
        return folder
    if local_files_only or is_offline():
        raise not_on_disk(name)
    raise CheckpointError(
        f"{name} has no weights in .safetensors or pytorch_model.bin, which alone are read; take "
        "another model, such as coprop models lists."
    )


def size_on_disk(name: str) -> int | None:
    """Bytes of a model's weights in the hub's cache; None where not all of them are there."""
    from huggingface_hub import try_to_load_from_cache

    config = try_to_load_from_cache(name, "config.json")
    if not isinstance(config, str):
        return None
    return weights_size(Path(config).parent)


def weights_size(folder: Path) -> int | None:
    """Bytes of the weights in a folder, in one file or as its index lists them; None if any lacks.

    Folders in it that hold models, as those of a pipeline do, count too.
    """
    files = sorted({*folder.glob("*.safetensors"), *folder.glob("*/*.safetensors")})
    files = files or sorted(folder.glob("pytorch_model*.bin"))
    for index in folder.glob("*.index.json"):
        files += [folder / file for file in _indexed(index) if not (folder / file).is_file()]
    try:
        sizes = [file.stat().st_size for file in files]
    except OSError:  # the cache links to what is not there
        return None
    return sum(sizes) if sizes else None


def _indexed(index: Path) -> set[str]:
    from coprop.storage.files import parse_json

    try:
        listed = parse_json(index.read_text(encoding="utf-8"))["weight_map"].values()
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {index.name.removesuffix(".index.json")}
    return {str(file) for file in listed}


def why_not(name: str, error: BaseException) -> str | None:
    """Of an error, or one that caused it: a sentence on what the hub says and what to do.

    Args:
        name: the model's id.
        error: of huggingface_hub, or of a library that calls it.

    Returns:
        The sentence; None for errors that are not the hub's.
    """
    from huggingface_hub import errors

    for cause in _causes(error):
        if isinstance(cause, errors.GatedRepoError):
            return (
                f"{name} is gated: ask for access on its page, https://huggingface.co/{name}, and "
                "once it is granted log in with: hf auth login."
            )
        if isinstance(cause, errors.RevisionNotFoundError):
            return f"{name} has no such revision on the hub; give a branch, tag or commit it has."
        if isinstance(cause, errors.RepositoryNotFoundError):
            return (
                f"there is neither a folder {name} nor a model of that name on the hub, or it is "
                "private: check the spelling, or log in with: hf auth login."
            )
        if isinstance(cause, (errors.OfflineModeIsEnabled, errors.LocalEntryNotFoundError)):
            return str(not_on_disk(name, tried=_asked(error) and not is_offline()))
    return None


def _asked(error: BaseException) -> bool:
    """Whether a connection was tried: of what httpx raises, by name, since it is not ours."""
    return any(type(c).__name__.endswith(("ConnectError", "Timeout")) for c in _causes(error))


def not_on_disk(name: str, *, tried: bool = False) -> CheckpointError:
    """What is said of a model that was not fetched; ``tried``: the hub was asked in vain."""
    because = "nothing may be downloaded (--offline, HF_HUB_OFFLINE or local_files_only)"
    if tried:
        because = "the hub cannot be reached"
    return CheckpointError(
        f"{name} is neither a folder nor, with all its files, in the hub's cache, and {because}: "
        f"where there is a network, fetch it with: hf download {name}."
    )


def _causes(error: BaseException) -> Iterator[BaseException]:
    cause: BaseException | None = error
    for _ in range(_LONGEST):
        if cause is None:
            return
        yield cause
        cause = cause.__cause__ or cause.__context__
