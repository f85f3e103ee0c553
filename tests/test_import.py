"""Importing coprop is light and changes nothing outside it."""

from __future__ import annotations

import subprocess
import sys

HEAVY = {
    *("av", "timm", "transformers", "torchvision", "torchaudio", "accelerate", "soundfile"),
    *("matplotlib", "PIL", "typer", "rich", "huggingface_hub"),
    *("openai", "httpx2", "sqlite3", "tensorboardX", "torchmetrics", "gradio"),
}

STATE = """
import logging, sys, warnings
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
print(sorted(name for name in before if before[name] != after[name]))
"""


def run_python(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return done.stdout.strip()


def test_every_public_name_is_there_and_nothing_heavy_is_loaded() -> None:
    every = "import sys, coprop; none = [n for n in coprop.__all__ if getattr(coprop, n) is None]; "
    missing, loaded = run_python(f"{every} print(none, *sys.modules, sep='\\n', end='')").split(
        "\n", 1
    )
    assert missing == "[]"
    assert "coprop.pipeline" in loaded.split()
    assert not HEAVY & set(loaded.split())


def test_the_default_is_loaded_without_what_is_slow_or_asks_the_hub() -> None:
    code = (
        "import sys, coprop; coprop.CoProp.from_pretrained(); print(*sys.modules); "
        "import coprop.keyframes.segmenter as s; "
        "m = s.KeyframeSegmenter(s.SegmenterConfig('grounded', 64)); sys.modules['huggingface_hub']"
        "= None; import coprop.checkpoints.weights; print(m.config.architecture)"
    )
    modules, architecture = run_python(code).splitlines()
    loaded = set(modules.split())
    assert not {"transformers", "openai", "sqlite3", "tensorboardX", "torchmetrics"} & loaded
    # Together these take as long to load as all the rest.
    assert not {"timm", "torchvision", "sympy"} & loaded
    assert architecture == "grounded"


def test_nothing_is_loaded_before_it_is_asked_for() -> None:
    """PyTorch takes seconds; help and Ctrl-C do not wait for it."""
    for module in ("coprop", "coprop.__main__"):
        loaded = run_python(f"import sys, {module}; print(*sys.modules)").split()
        assert not (HEAVY | {"torch", "numpy"}) & set(loaded)
    loaded = run_python("import sys, coprop.cli; print(*sys.modules)").split()
    assert not ((HEAVY - {"typer", "rich"}) | {"torch"}) & set(loaded)


def test_nothing_outside_is_changed() -> None:
    assert run_python(STATE) == "[]"
