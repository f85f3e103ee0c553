"""Saving models to a folder or the hub, and loading them back."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, ClassVar, Protocol, TypeVar

from huggingface_hub import PyTorchModelHubMixin, hf_hub_download
from safetensors.torch import save_file
from torch import nn

from coprop.checkpoints import load_state_dict, read_state_dict

_WEIGHTS = "model.safetensors"
_DOWNLOAD_OPTIONS = ("revision", "cache_dir", "force_download", "token", "local_files_only")
_Model = TypeVar("_Model", bound="PretrainedModel")


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

    def _save_pretrained(self, save_directory: Path) -> None:
        tensors = {key: value.contiguous() for key, value in self.state_dict().items()}
        save_file(tensors, save_directory / _WEIGHTS, metadata={"format": "pt"})
        text = json.dumps(self.config.to_dict(), indent=2) + "\n"
        (save_directory / "config.json").write_text(text, encoding="utf-8")

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
        settings = config if isinstance(config, cls.config_type) else None
        model = cls(settings or cls.config_type.from_dict(config or {}))
        load_state_dict(model, read_state_dict(path), str(path))
        return model.to(map_location).eval()
