"""Importing coprop is light and changes nothing outside it."""

from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = {
    *("av", "timm", "transformers", "torchvision", "torchaudio", "accelerate", "soundfile"),
    *("matplotlib", "PIL", "typer", "rich"),
}

STATE = """
import logging, sys, warnings
import huggingface_hub.hub_mixin, numpy, safetensors.torch, torch

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
after = state()
print(sorted(name for name in before if before[name] != after[name]))
"""


def run_python(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return done.stdout.strip()


@pytest.mark.parametrize("module", ["coprop", "coprop.cli"])
def test_nothing_heavy_is_loaded(module: str) -> None:
    loaded = run_python(f"import sys, {module}; print(*sys.modules)").split()
    assert "coprop.pipeline" in loaded
    allowed = {"typer", "rich"} if module == "coprop.cli" else set()
    assert HEAVY & set(loaded) <= allowed


def test_nothing_outside_is_changed() -> None:
    assert run_python(STATE) == "[]"
