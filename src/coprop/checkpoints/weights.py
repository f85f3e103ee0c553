"""Models in folders and on the hub, and other people's weight files; no code in them is run."""

from __future__ import annotations

import json
import os
import pickle
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, TypeVar

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor, nn

from coprop.checkpoints.hub import why_not
from coprop.checkpoints.hub_mixin import HubMixin
from coprop.checkpoints.undrawn import to_be_filled
from coprop.errors import CheckpointError, CoPropError
from coprop.storage.files import parse_json, replacing
from coprop.utils.brief import first_line
from coprop.utils.checks import shown
from coprop.utils.paths import AnyPath, as_path

if TYPE_CHECKING:
    from huggingface_hub import ModelCard

# huggingface_hub is loaded where the hub is asked: it takes longer than the rest of the package.

_WEIGHTS = "model.safetensors"
_CONFIG = "config.json"
_CARD = """
---
{{ card_data }}
---

A model of coprop, an implementation of [Co-Prop](https://arxiv.org/abs/2412.08161); coprop's
`from_pretrained` loads it.
"""
_Model = TypeVar("_Model", bound="PretrainedModel")
_WRAPPERS = ("state_dict", "model")
_PARALLEL = "module."  # what DataParallel puts before every name
_NAMES_SHOWN = 5


def has_file(path: Path) -> bool:
    """Whether a file is there; not so where no file could have such a name."""
    try:
        return path.is_file()
    except OSError:
        return False


class Config(Protocol):
    """What a model is built from; config.json holds it."""

    def to_dict(self) -> dict[str, Any]:
        """The configuration as a dict that JSON can hold."""
        ...

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Config:
        """The configuration stored as a dict."""
        ...


class PretrainedModel(HubMixin, nn.Module):
    """A module with `from_pretrained(folder or hub id)`, `save_pretrained` and `push_to_hub`.

    A folder holds model.safetensors and config.json; weights may be stored in half precision and
    are used in single. No network is used for a local folder.
    """

    config_type: ClassVar[type[Config]]
    tags: ClassVar[tuple[str, ...]] = ()
    """What a model of this class is found by on the hub."""

    config: Any

    @classmethod
    def checked_config(cls, config: Any) -> Any:
        """The configuration that a model is made of; the usual one where it is None.

        Raises:
            CoPropError: something else, such as a folder.
        """
        if config is None:
            return cls.config_type()
        if not isinstance(config, cls.config_type):
            raise CoPropError(
                f"{cls.__name__}() takes a {cls.config_type.__name__}, got {shown(config)}; "
                f"{cls.__name__}.from_pretrained() takes a folder, or an id on the hub."
            )
        return config

    def completed(self, state: dict[str, Tensor]) -> dict[str, Tensor]:
        """The stored tensors with those that are known without being stored."""
        return state

    def _write(self, folder: Path, name: str, card: dict[str, Any]) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        tensors = {key: value.contiguous() for key, value in self.state_dict().items()}
        text = json.dumps(self.config.to_dict(), indent=2) + "\n"
        # The weights take their place while no config.json is there: what is stopped in between is
        # refused, rather than loaded under another model's configuration.
        with replacing(folder / _CONFIG) as config:
            config.write_text(text, encoding="utf-8")
            with replacing(folder / _WEIGHTS) as weights:
                weights.write_bytes(save(tensors, metadata={"format": "pt"}))
                (folder / _CONFIG).unlink(missing_ok=True)
        readme = folder / "README.md"
        if not readme.exists():
            with replacing(readme) as part:
                self.generate_model_card(**card).save(part)

    def generate_model_card(self, **values: Any) -> ModelCard:
        """The card of the model: its README.md, with the tags by which the hub finds it.

        Args:
            values: for huggingface_hub's ``ModelCard.from_template``.
        """
        from huggingface_hub import ModelCard, ModelCardData

        data = ModelCardData(license="apache-2.0", library_name="coprop", tags=list(self.tags))
        card: ModelCard = ModelCard.from_template(data, **{"template_str": _CARD, **values})
        return card

    @classmethod
    def from_pretrained(
        cls: type[_Model],
        pretrained_model_name_or_path: AnyPath,
        *,
        config: Any = None,
        map_location: str | torch.device = "cpu",
        revision: str | None = None,
        cache_dir: AnyPath | None = None,
        force_download: bool = False,
        token: str | bool | None = None,
        local_files_only: bool = False,
    ) -> _Model:
        """The model in a folder that `save_pretrained` wrote, or on the hub.

        Args:
            pretrained_model_name_or_path: the folder, or the id of a model on the hub.
            config: in place of the one in config.json.
            map_location: the device to put it on.
            revision: of the hub: a branch, tag or commit; None for main.
            cache_dir: where what comes from the hub is kept.
            force_download: fetch it from the hub again.
            token: of the hub; by default that of ``hf auth login``.
            local_files_only: take what was fetched from the hub before, without asking it.

        Raises:
            CheckpointError: no such folder or model, no network to ask the hub, or files that are
                damaged or of another model.
        """
        name = pretrained_model_name_or_path
        path = as_path("pretrained_model_name_or_path", name, error=CheckpointError)
        local = _is_folder(path)
        if not isinstance(name, str) and not local:
            raise _not_found(path, "there is no such folder")
        options = {
            "revision": revision,
            "cache_dir": None if cache_dir is None else as_path("cache_dir", cache_dir),
            "force_download": force_download,
            "token": token,
            "local_files_only": local_files_only,
        }
        files = [_WEIGHTS] if config is not None else [_CONFIG, _WEIGHTS]
        folder = path if local else _downloaded(os.fspath(name), files, options)
        if config is None:
            config = _read_config(folder, name)
        with to_be_filled():
            model = cls(_as_config(cls.config_type, config, os.fspath(name)))
        weights = folder / _WEIGHTS
        load_state_dict(model, model.completed(read_state_dict(weights)), str(weights))
        return model.float().to(map_location).eval()


def _is_folder(path: Path) -> bool:
    """Whether a folder is there; not so where none could have such a name."""
    try:
        return path.is_dir()
    except OSError:
        return False


def _downloaded(name: str, files: Sequence[str], options: dict[str, Any]) -> Path:
    """The folder in the hub's cache with a model's files."""
    from huggingface_hub import hf_hub_download

    try:
        paths = [Path(hf_hub_download(name, file, **options)) for file in files]
    except (OSError, ValueError) as error:  # those of the hub among them
        if said := why_not(name, error):
            raise CheckpointError(said) from error
        raise _not_found(name, first_line(error)) from error
    return paths[0].parent


def _read_config(folder: Path, name: AnyPath) -> Any:
    """What a model's config.json holds; it has not been looked at yet."""
    try:
        return parse_json((folder / _CONFIG).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise _not_found(name, "it has no config.json") from None
    except OSError as error:
        reason = f"its config.json cannot be read ({first_line(error)})"
        raise _not_found(name, reason) from error
    except (ValueError, RecursionError) as error:
        raise CheckpointError(
            f"the config.json of {name} is damaged ({first_line(error)}); save the model again."
        ) from error


def _as_config(config_type: type[Config], config: Any, source: str) -> Config:
    if isinstance(config, config_type):
        return config
    try:
        return config_type.from_dict(config)
    except (ValueError, TypeError, AttributeError, RecursionError) as error:
        raise CheckpointError(
            f"the config.json of {source} is not one of this model: {error} It may be another "
            "model's, or of a newer version of coprop."
        ) from error


def _not_found(name: AnyPath, reason: str) -> CheckpointError:
    return CheckpointError(
        f"there is no model at {name}: {reason}. Give a folder that save_pretrained() wrote, "
        "or the id of a model on the hub, such as owner/name."
    )


def read_state_dict(path: AnyPath) -> dict[str, Tensor]:
    """The tensors of a ``.safetensors`` file or of a file written by ``torch.save``, on the CPU.

    A dictionary with the tensors under "state_dict" or "model" is unwrapped, and "module." before
    all names is taken away.

    Raises:
        CheckpointError: no such file, damaged, or with something else inside than tensors.
    """
    path = as_path("path", path, error=CheckpointError)
    if not path.is_file():
        raise CheckpointError(f"there is no checkpoint file at {path}; give the path of a file.")
    content = _read_safetensors(path) if path.suffix == ".safetensors" else _read_torch(path)
    for name in _WRAPPERS:
        if isinstance(content, Mapping) and isinstance(content.get(name), Mapping):
            content = content[name]
    if not isinstance(content, Mapping) or not content or not _holds_tensors(content):
        raise CheckpointError(
            f"{path} holds {_description(content)}; expected a state dict (names -> tensors), "
            'alone or under "state_dict" or "model".'
        )
    prefix = _PARALLEL if all(name.startswith(_PARALLEL) for name in content) else ""
    return {name.removeprefix(prefix): tensor for name, tensor in content.items()}


def load_state_dict(module: nn.Module, state: Mapping[str, Tensor], source: str) -> None:
    """Copies tensors into a module, all of them or none.

    BatchNorm's ``num_batches_tracked`` may be absent, as it is from files of other frameworks.

    Args:
        module: receives the tensors.
        state: names -> tensors.
        source: what the tensors come from, for the message.

    Raises:
        CheckpointError: names missing or unknown, or shapes that differ.
    """
    own = module.state_dict()
    needed = {name for name in own if not name.endswith("num_batches_tracked")}
    missing = [name for name in own if name in needed and name not in state]
    unknown = [name for name in state if name not in own]
    shapes = [
        f"{name} is {tuple(state[name].shape)}, expected {tuple(tensor.shape)}"
        for name, tensor in own.items()
        if name in state and state[name].shape != tensor.shape
    ]
    problems = [
        f"{len(names)} {what}: {', '.join(names[:_NAMES_SHOWN])}"
        + (", ..." if len(names) > _NAMES_SHOWN else "")
        for what, names in (("missing", missing), ("unknown", unknown), ("other shapes", shapes))
        if names
    ]
    if problems:
        raise CheckpointError(
            f"{source} is not a checkpoint of {type(module).__name__} as built here "
            f"({len(needed)} tensors): {'; '.join(problems)}."
        )
    module.load_state_dict(state, strict=False)


def _read_torch(path: Path) -> Any:
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise CheckpointError(
            f"{path} is not a file of tensors only, and nothing else is loaded, because a pickle "
            "can run code. Load it yourself where you trust it, save its state_dict() with "
            f"safetensors, and give that file. PyTorch says: {first_line(error)}."
        ) from error
    except Exception as error:  # the reader of pickles fails on damaged files in any way
        raise CheckpointError(
            f"{path} cannot be read, it may be damaged or incomplete: {first_line(error)}."
        ) from error


def _read_safetensors(path: Path) -> Any:
    try:
        return load_file(path)
    except (SafetensorError, OSError) as error:
        raise CheckpointError(
            f"{path} cannot be read, it may be damaged or incomplete: {first_line(error)}."
        ) from error


def _holds_tensors(content: Mapping[Any, Any]) -> bool:
    return all(isinstance(k, str) and isinstance(v, Tensor) for k, v in content.items())


def _description(content: Any) -> str:
    if isinstance(content, Mapping):
        return (
            f"a dictionary with {', '.join(map(repr, list(content)[:_NAMES_SHOWN])) or 'nothing'}"
        )
    return f"an object of type {type(content).__name__}"
