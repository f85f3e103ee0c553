"""Saving models to a folder or the hub, and loading them back."""

from __future__ import annotations

import json
import os
from contextlib import nullcontext
from pathlib import Path
from typing import Any, ClassVar, Protocol, TypeVar

import torch
from huggingface_hub import PyTorchModelHubMixin, hf_hub_download
from huggingface_hub.errors import HfHubHTTPError, HFValidationError
from safetensors.torch import save
from torch import Tensor, nn

from coprop.checkpoints import load_state_dict, read_state_dict
from coprop.errors import CheckpointError, CoPropError, OutputError
from coprop.files import output_errors, replacing
from coprop.paths import AnyPath, as_path

_WEIGHTS = "model.safetensors"
_DOWNLOAD_OPTIONS = ("revision", "cache_dir", "force_download", "token", "local_files_only")
_Model = TypeVar("_Model", bound="PretrainedModel")


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


class PretrainedModel(nn.Module, PyTorchModelHubMixin, library_name="coprop", license="apache-2.0"):
    """A module with `from_pretrained(folder or hub id)`, `save_pretrained` and `push_to_hub`.

    A folder holds model.safetensors and config.json; weights may be stored in half precision and
    are used in single. No network is used for a local folder.
    """

    config_type: ClassVar[type[Config]]
    config: Any

    def completed(self, state: dict[str, Tensor]) -> dict[str, Tensor]:
        """The stored tensors with those that are known without being stored."""
        return state

    def _save_pretrained(self, save_directory: Path) -> None:
        tensors = {key: value.contiguous() for key, value in self.state_dict().items()}
        with replacing(save_directory / _WEIGHTS) as part:
            part.write_bytes(save(tensors, metadata={"format": "pt"}))
        text = json.dumps(self.config.to_dict(), indent=2) + "\n"
        with replacing(save_directory / "config.json") as part:
            part.write_text(text, encoding="utf-8")

    def save_pretrained(self, save_directory: AnyPath, **options: Any) -> str | None:
        """Writes model.safetensors and config.json, each whole or not at all.

        Args:
            save_directory: the folder; made if needed.
            options: those of huggingface_hub's ``ModelHubMixin.save_pretrained``.

        Raises:
            OutputError: they cannot be written.
        """
        folder = as_path("save_directory", save_directory, error=OutputError)
        # What goes wrong on the way to the hub is no fault of the folder.
        with nullcontext() if options.get("push_to_hub") else output_errors(folder):
            url: str | None = super().save_pretrained(folder, **options)
        return url

    @classmethod
    def from_pretrained(
        cls: type[_Model], pretrained_model_name_or_path: AnyPath, **options: Any
    ) -> _Model:
        """The model in a folder that `save_pretrained` wrote, or on the hub.

        Args:
            pretrained_model_name_or_path: the folder, or the id of a model on the hub.
            options: for the hub: revision, cache_dir, force_download, token, local_files_only.

        Raises:
            CheckpointError: no such folder or model, no network to ask the hub, or files that are
                damaged or of another model.
        """
        name = pretrained_model_name_or_path
        path = as_path("pretrained_model_name_or_path", name, error=CheckpointError)
        if not isinstance(name, str) and not path.is_dir():
            raise _not_found(path, "there is no such folder")
        try:
            model: _Model = super().from_pretrained(os.fspath(name), **options)
        except CoPropError:
            raise
        except (HFValidationError, HfHubHTTPError, OSError) as error:
            raise _not_found(name, str(error)) from error
        except (ValueError, RecursionError, AttributeError, TypeError) as error:
            raise CheckpointError(
                f"the config.json of {name} is damaged ({error}); save the model again."
            ) from error
        return model

    @classmethod
    def _from_pretrained(
        cls: type[_Model],
        *,
        model_id: str,
        config: Any = None,
        map_location: str = "cpu",
        **download: Any,
    ) -> _Model:
        """A folder's model, or the hub's where there is no such folder."""
        folder = Path(model_id)
        options = {key: download[key] for key in _DOWNLOAD_OPTIONS if key in download}
        local = folder.is_dir()
        path = folder / _WEIGHTS if local else hf_hub_download(model_id, _WEIGHTS, **options)
        if config is None:
            raise _not_found(model_id, "it has no config.json")
        with torch.random.fork_rng(devices=[]):  # loading draws none of the caller's numbers
            model = cls(_as_config(cls.config_type, config, model_id))
        load_state_dict(model, model.completed(read_state_dict(path)), str(path))
        return model.float().to(map_location).eval()


def _as_config(config_type: type[Config], config: Any, source: str) -> Config:
    if isinstance(config, config_type):
        return config
    try:
        return config_type.from_dict(config)
    except (CoPropError, TypeError, AttributeError) as error:
        raise CheckpointError(
            f"the config.json of {source} is not one of this model: {error} It may be another "
            "model's, or of a newer version of coprop."
        ) from error


def _not_found(name: AnyPath, reason: str) -> CheckpointError:
    first_line = reason.strip().partition("\n")[0].rstrip(".")
    return CheckpointError(
        f"there is no model at {name}: {first_line}. Give a folder that save_pretrained() wrote, "
        "or the id of a model on the hub, such as owner/name."
    )
