"""Language models that hear: in this process, or behind a server."""

from __future__ import annotations

from coprop.control_points.language_models.base import LanguageModel
from coprop.utils.paths import AnyPath


def language_model(
    source: AnyPath, *, served_name: str | None = None, device: str | None = None
) -> LanguageModel:
    """The model behind a URL (http, https), in a folder, or of that name on the hub.

    Args:
        source: for example "http://localhost:8000/v1", "models/qwen" or
            "Qwen/Qwen2-Audio-7B-Instruct". Only what is no folder is looked for in the network.
        served_name: which of a server's models; None for the only one.
        device: where a model in this process runs, "cuda" for example; None for the CPU.

    Raises:
        CoPropError: the model cannot be reached or loaded.
    """
    # Both load much that other detectors do not need.
    if isinstance(source, str) and source.startswith(("http://", "https://")):
        from coprop.control_points.language_models.server import ServerModel

        return ServerModel(source, served_name)
    from coprop.control_points.language_models.transformers import TransformersModel

    return TransformersModel.from_pretrained(source, device_map=device)
