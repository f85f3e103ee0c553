"""How the other interpreter is started: by its path, or by any command; and what is refused."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from coprop import CoPropError, ProcessModel
from coprop.errors import ModelOutputError
from coprop.keyframes.process.launch import WORKER, Launch
from coprop.keyframes.process.worker import GREETING

HERE = Path(__file__).parent
FRAMES, AUDIO = torch.rand(2, 3, 40, 300), torch.full((2, 16_000), 0.1)
SOURCE = WORKER.read_text(encoding="utf-8")


def text_of(model: ProcessModel) -> str:
    """What `other_models.variable_and_folder` tells."""
    return bytes(model(FRAMES[:1], AUDIO[:1]).flatten().byte().tolist()).decode()


def test_the_worker_is_python_3_7() -> None:
    ast.parse(SOURCE, feature_version=(3, 7))
    tree = ast.walk(ast.parse(SOURCE))
    names = {alias.name for node in tree if isinstance(node, ast.Import) for alias in node.names}
    tree = ast.walk(ast.parse(SOURCE))
    names |= {str(node.module) for node in tree if isinstance(node, ast.ImportFrom)}
    outside = {name.partition(".")[0] for name in names} - set(sys.stdlib_module_names)
    assert outside == {"numpy"}
    # A command that prints the file is no worker.
    assert not [line for line in WORKER.read_bytes().splitlines() if line.startswith(GREETING)]


def test_it_is_printed() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "coprop", "worker", "--print"], capture_output=True, text=True
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, SOURCE, "")
    bare = subprocess.run(
        [sys.executable, "-m", "coprop", "worker"], capture_output=True, text=True
    )
    assert bare.returncode == 2
    assert "--print" in bare.stderr


def test_it_is_typed_into_an_interpreter() -> None:
    factory = "other_models:red"
    with ProcessModel([sys.executable, "-"], factory=factory, cwd=HERE) as model:
        assert repr(model).startswith(f"ProcessModel({factory} in {sys.executable} -: ")
        assert torch.equal(model(FRAMES, AUDIO), 20 * (FRAMES[:, :1] - 0.5))
        assert model._client._running._memory is None  # type: ignore[union-attr]


def test_a_command_that_starts_the_file(tmp_path: Path) -> None:
    """After what a login shell prints; the folder and the variables are the worker's own."""
    file = tmp_path / "coprop_worker.py"
    file.write_text(SOURCE, encoding="utf-8")
    (tmp_path / "login.sh").write_text('echo "Welcome to avs"; exec "$@"\n', encoding="utf-8")
    command = f"sh {tmp_path}/login.sh {sys.executable} {file}"
    options: dict[str, Any] = {"cwd": HERE, "env": {"GREETING": "hello ", "HOME": None}}
    with ProcessModel(command, factory="other_models:variable_and_folder", **options) as model:
        assert text_of(model) == "hello process"


def test_homes_are_those_of_the_side_that_uses_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for home in ("here", "there"):
        (tmp_path / home / "bin").mkdir(parents=True)
        (tmp_path / home / f"models {home}").mkdir()
        (tmp_path / home / "bin" / "python").write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
        (tmp_path / home / "bin" / "python").chmod(0o755)
        code = (HERE / "other_models.py").read_text()
        (tmp_path / home / f"models {home}" / "other_models.py").write_text(code)
    monkeypatch.setenv("HOME", str(tmp_path / "here"))
    options: dict[str, Any] = {"factory": "other_models:variable_and_folder"}
    with ProcessModel(python="~/bin/python", cwd="~/models here", **options) as model:
        assert text_of(model) == "nothingmodels here"
    env = {"HOME": str(tmp_path / "there")}
    with ProcessModel("~/bin/python -", cwd="~/models there", env=env, **options) as model:
        assert text_of(model) == "nothingmodels there"
    refused("python=~nobody-of-that-name/python is not there", python="~nobody-of-that-name/python")


def test_the_folder_and_the_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GREETING", "from here ")
    factory = "other_models:variable_and_folder"
    for env, expected in (
        (None, "from here process"),
        ({"GREETING": "bye "}, "bye process"),
        ({"GREETING": None}, "nothingprocess"),
    ):
        with ProcessModel(python=sys.executable, factory=factory, cwd=HERE, env=env) as model:
            assert text_of(model) == expected


def test_modules_beside_the_worker_are_not_in_the_way(tmp_path: Path) -> None:
    """Nor is this file's own name: a model's module may be called ``worker``."""
    (tmp_path / "worker.py").write_text(
        "import sys\nassert 'launch' not in sys.modules\ndef build():\n"
        "    return lambda frames, audio: frames[:, :1]\n"
    )
    with ProcessModel(python=sys.executable, factory="worker:build", cwd=tmp_path) as model:
        assert torch.equal(model(FRAMES, AUDIO), FRAMES[:, :1])


def refused(message: str, command: Any = None, **options: Any) -> None:
    options = {"factory": "other_models:red", "python": sys.executable, "cwd": HERE, **options}
    if command is not None:
        del options["python"]
    with pytest.raises(CoPropError, match=message) as caught:
        ProcessModel(command, **options)
    if not isinstance(caught.value, ModelOutputError):  # which shows lines of the other side
        assert "\n" not in str(caught.value)


def test_what_cannot_be_used(tmp_path: Path) -> None:
    plain = tmp_path / "plain"
    plain.write_text("")
    broken = tmp_path / "broken"
    broken.write_text("neither a program nor a script")
    broken.chmod(0o755)
    refused("either python=.* or a command .* got neither", python=None)
    refused("interpreter python=/nowhere/python is not there", python="/nowhere/python")
    refused(f"python={tmp_path} is a folder; give .*{tmp_path}/bin/python", python=tmp_path)
    refused("plain is not executable", python=plain)
    refused("broken cannot be started: ", python=broken)
    refused("python must be a path", python=3.9)
    refused("the command 'no-such-program' is not there", "no-such-program host python -")
    refused("the command .* cannot be read: No closing quotation", "ssh 'host python -")
    refused("must be text, .* or a list of its words, got", [])
    refused("must be text, .* or a list of its words, got", ["ssh", 5])
    refused("must be text", "")
    refused(r'factory must be "module:function", got \'my_module\'', factory="my_module")
    refused("factory must be", factory=len)
    refused("factory must be", factory="a b:c")
    refused(
        "no module 'my_modul' is installed there or lies in .*process; cwd gives",
        factory="my_modul:f",
    )
    refused("cwd=/nowhere is no folder", cwd="/nowhere")
    refused("cwd must be a path", "sh -", cwd=5)
    refused("cwd is empty text", "sh -", cwd="")
    refused("env must map names .* got 'CUDA_VISIBLE_DEVICES': 1", env={"CUDA_VISIBLE_DEVICES": 1})
    refused("env must map names", env=["A=1"])
    refused("env must map names", env={"A=B": "1"})
    for value in (0, -1, float("nan"), "5", None, 1e9):
        refused("timeout_s must be a number of seconds above 0", timeout_s=value)
    refused("adapter must be one of .*'avsegformer'", adapter="AVSegformer")
    refused("adapter='tpavi' is for a network, and .* rednesses", adapter="tpavi", vggish="x")
    refused("has no option 'vgish' for TPAVIAdapter; its own are", adapter="tpavi", vgish="x")
    refused("has no option 'sise' for CallableSegmenter", sise=(4, 4))
    refused("size must be a height and a width", size=4)
    refused("arrays must be one of", arrays="jax")


def test_both_are_refused() -> None:
    with pytest.raises(CoPropError, match="got both"):
        ProcessModel("python -", python=sys.executable, factory="a:b")


@pytest.mark.parametrize(
    ("script", "message"),
    [
        ("exit 0", "ended with exit code 0, where Python 3.7 or later with numpy is needed."),
        ("echo SyntaxError >&2; exit 1", "exit code 1, .* its last lines:\n  SyntaxError"),
        ("printf '\\ncoprop worker 99\\n'", "of another version of coprop; write it again with"),
        ("yes hello", "prints something else than coprop's worker does"),
        ("exec sleep 60", "did not start within timeout_s=1 s"),
    ],
)
def test_what_is_no_worker(script: str, message: str) -> None:
    with pytest.raises(CoPropError, match=message):
        ProcessModel(["sh", "-c", script], factory="a:b", timeout_s=1 if "sleep" in script else 60)


def test_an_interpreter_without_numpy(tmp_path: Path) -> None:
    (tmp_path / "numpy.py").write_text("raise ImportError('numpy is not here')\n")
    message = (
        "exit code 1, where Python 3.7 or later with numpy is needed; (.|\n)*numpy is not here"
    )
    refused(message, env={"PYTHONPATH": str(tmp_path)}, timeout_s=60)
    refused(message, ["env", f"PYTHONPATH={tmp_path}", sys.executable, "-"], timeout_s=60)


def test_a_typed_worker_is_one_line_without_what_shells_read() -> None:
    launch = Launch.of("sh -", None, "a:b", cwd=None, env=None, arrays=None)
    assert launch.line.count(b"\n") == 1
    assert launch.command == ("sh", "-m", "code", "-q")
