"""Packages that only some of coprop needs: a sentence has the command to install a missing one."""

from __future__ import annotations

import importlib
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from coprop.control_points.language_models.server import ServerModel
from coprop.errors import CoPropError, MissingPackageError
from coprop.training.run_folder import Recorder, RunFolder
from coprop.utils.extras import needs

ROOT = Path(__file__).parents[2]


def metrics_anew() -> Any:
    for name in [name for name in sys.modules if name.startswith("coprop.metrics")]:
        if "functional" not in name:
            del sys.modules[name]
    return importlib.import_module("coprop.metrics").Jaccard()


def page_shown() -> Any:
    from coprop.demo.choices import offline_choices
    from coprop.demo.server import Server

    return Server(offline_choices())


USES: dict[str, tuple[str, Callable[[Path], Any]]] = {
    "llm": ("openai", lambda folder: ServerModel("http://localhost", "tiny")),
    "train": ("tensorboardX", lambda folder: Recorder(RunFolder(folder), 0)),
    "demo": ("gradio", lambda folder: page_shown()),
    "eval": ("torchmetrics", lambda folder: metrics_anew()),
}


@pytest.fixture
def modules(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Puts the loaded modules back after a test."""
    for name, module in sys.modules.copy().items():
        monkeypatch.setitem(sys.modules, name, module)
    return monkeypatch


@pytest.mark.parametrize("extra", USES)
def test_a_missing_package_is_named_with_its_cure(
    extra: str, modules: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    package, use = USES[extra]
    modules.delitem(sys.modules, "coprop.demo.page", raising=False)
    for name in [n for n in sys.modules if n.partition(".")[0] == package] or [package]:
        modules.setitem(sys.modules, name, None)
    modules.setitem(sys.modules, package, None)
    with pytest.raises(MissingPackageError) as caught:
        use(tmp_path / "run")
    message = str(caught.value)
    assert f"needs {package}, which is not installed" in message
    assert message.endswith(f'install it with: pip install "coprop[{extra}]".')
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("extra", USES)
def test_the_extra_installs_it(extra: str) -> None:
    tomllib = pytest.importorskip("tomllib")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    assert any(line.startswith(USES[extra][0]) for line in extras[extra])
    assert not any(line.startswith(USES[extra][0]) for line in project["dependencies"])
    assert extra in extras["all"][0]
    assert any(line.startswith("coprop[all,") for line in extras["dev"])


def test_what_a_package_lacks_itself_is_named_too() -> None:
    with (
        pytest.raises(MissingPackageError, match=r"needs one, .*\(other\.part, which it needs its"),
        needs("one", "coprop[one]", "this"),
    ):
        raise ModuleNotFoundError("No module named 'other'", name="other.part")
    assert issubclass(MissingPackageError, CoPropError)


def test_what_needs_none_of_them() -> None:
    """The command line and the evaluation do without all of them."""
    hidden = [package for package, _ in USES.values()]
    code = (
        f"import sys; sys.modules.update(dict.fromkeys({hidden}))\n"
        "import coprop, coprop.cli, coprop.metrics.functional, coprop.evaluation.runner\n"
        "import coprop.training.run, coprop.control_points.rcpg.cache\n"
        "coprop.CoProp.from_pretrained()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_every_name_of_metrics_is_there() -> None:
    import coprop.metrics

    assert all(getattr(coprop.metrics, name) is not None for name in coprop.metrics.__all__)
    with pytest.raises(AttributeError, match="no attribute 'Accuracy'"):
        coprop.metrics.Accuracy  # noqa: B018
