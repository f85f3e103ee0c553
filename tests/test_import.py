"""Importing coprop is light and changes nothing outside it."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest

HEAVY = {
    *("av", "timm", "transformers", "torchvision", "torchaudio", "accelerate", "soundfile"),
    *("matplotlib", "PIL", "typer", "rich", "huggingface_hub"),
    *("openai", "httpx2", "sqlite3", "tensorboardX", "torchmetrics", "gradio"),
}

# One process after another would each wait for PyTorch.
IMPORTING = """
import json, logging, sys, warnings
import numpy, safetensors.torch, torch

def state():
    root = logging.getLogger()
    return {
        "threads": torch.get_num_threads(),
        "seed": torch.initial_seed(),
        "filters": list(warnings.filters),
        "format": warnings.formatwarning,
        "level": root.level,
        "handlers": list(root.handlers),
        "gradients": torch.is_grad_enabled(),
        "dtype": torch.get_default_dtype(),
        "hook": sys.excepthook,
    }

before = state()
import coprop
coprop.CoProp, coprop.Result, coprop.ControlPointDetector, coprop.CoPropError
after = state()
found = {"changed": sorted(name for name in before if before[name] != after[name])}
found["missing"] = [name for name in coprop.__all__ if getattr(coprop, name) is None]
found["with every name"] = list(sys.modules)
coprop.CoProp.from_pretrained()
found["with the default"] = list(sys.modules)

from coprop.keyframes.segmenter import KeyframeSegmenter, SegmenterConfig
segmenter = KeyframeSegmenter(SegmenterConfig("grounded", 64))
sys.modules["huggingface_hub"] = None
import coprop.checkpoints.weights
found["architecture"] = segmenter.config.architecture
print(json.dumps(found))
"""


def run_python(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return done.stdout.strip()


@pytest.fixture(scope="module")
def found() -> dict[str, Any]:
    """What a process of its own tells of importing coprop, step by step."""
    content: dict[str, Any] = json.loads(run_python(IMPORTING))
    return content


def test_nothing_outside_is_changed(found: dict[str, Any]) -> None:
    assert found["changed"] == []


def test_every_public_name_is_there_and_nothing_heavy_is_loaded(found: dict[str, Any]) -> None:
    assert found["missing"] == []
    assert "coprop.pipeline" in found["with every name"]
    assert not HEAVY & set(found["with every name"])


def test_the_default_is_loaded_without_what_is_slow_or_asks_the_hub(found: dict[str, Any]) -> None:
    loaded = set(found["with the default"])
    assert not {"transformers", "openai", "sqlite3", "tensorboardX", "torchmetrics"} & loaded
    # Together these take as long to load as all the rest.
    assert not {"timm", "torchvision", "sympy"} & loaded
    assert found["architecture"] == "grounded"


def test_nothing_is_loaded_before_it_is_asked_for() -> None:
    """PyTorch takes seconds; help and Ctrl-C do not wait for it."""
    for module in ("coprop", "coprop.__main__"):
        loaded = run_python(f"import sys, {module}; print(*sys.modules)").split()
        assert not (HEAVY | {"torch", "numpy"}) & set(loaded)
    loaded = run_python("import sys, coprop.cli; print(*sys.modules)").split()
    assert not ((HEAVY - {"typer", "rich"}) | {"torch"}) & set(loaded)
