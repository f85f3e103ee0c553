"""Every block of code in README and docs is run, on small things; the others say why they are not.

Python blocks of a page are run one after another, as a reader would; of shell blocks the commands
of coprop. What is installed, or takes other programs or hours, is only counted.
"""

from __future__ import annotations

import shlex
import shutil
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import docs_world
import pytest
from docs_blocks import PAGES, Block, blocks_of, name_of
from typer.testing import CliRunner

from coprop.cli import app

OTHERS = ("git", "pip", "uv", "uvx", "pytest", "python", "scp", "accelerate", "bash", "mkdocs")
ALL = {name_of(page): blocks_of(page) for page in PAGES}
WITH = {
    language: [page for page, blocks in ALL.items() if any(b.language == language for b in blocks)]
    for language in ("python", "sh")
}


@pytest.fixture(scope="module")
def untouched(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("untouched")
    docs_world.build(folder)
    return folder


@pytest.fixture
def world(
    untouched: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, no_timelines: None
) -> Iterator[Path]:
    """The folder that the code is run in."""
    shutil.copytree(untouched, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    for folder in docs_world.WITH_STAND_INS:
        monkeypatch.syspath_prepend(folder)
    docs_world.replace_what_is_large(monkeypatch)
    yield tmp_path
    for name in ("my_module", "mine"):
        sys.modules.pop(name, None)


def test_count() -> None:
    """So many blocks there are, and so few are not run."""
    blocks = [block for found in ALL.values() for block in found]
    count = Counter(block.language for block in blocks)
    assert count["python"] >= 40
    assert count["sh"] >= 25
    assert set(count) <= {"python", "sh", "bash", "json", ""}
    whole = [block for block in blocks if block.why and block.words is None]
    in_part = [block for block in blocks if block.why and block.words is not None]
    assert (len(whole), len(in_part)) == (NOT_RUN, PARTLY)
    assert all(len(block.why) > 10 for block in whole + in_part)


NOT_RUN, PARTLY = 42, 10


@pytest.mark.parametrize("page", WITH["python"])
def test_python(page: str, world: Path) -> None:
    commands = [b for b in ALL[page] if b.language == "sh"] if page in WITH["sh"] else []
    names: dict[str, Any] = {}
    for block in ALL[page]:
        if block in commands and block.line < 20:  # what the code below reads
            run_commands(block, world)
        if block.language != "python" or block.why:
            continue
        code = block.code
        for written, there in docs_world.IN_CODE.items():
            code = code.replace(written, there)
        first, *_ = code.splitlines()
        names |= docs_world.names_for(page, first, begins=not names)
        source = "\n" * (block.line - 1) + code  # so that errors tell the line of the page
        exec(compile(source, block.page, "exec"), names)


@pytest.mark.parametrize("page", WITH["sh"])
def test_commands(page: str, world: Path) -> None:
    for block in ALL[page]:
        if block.language == "sh":
            run_commands(block, world)


def run_commands(block: Block, world: Path) -> None:
    """Runs the commands of coprop in a block, each as if it were the only one."""
    for line in block.commands:
        given = line
        for written, there in docs_world.IN_COMMANDS.items():
            given = given.replace(written, there)
        words = shlex.split(given.removeprefix("time "), comments=True)
        if ">" in words:
            words = words[: words.index(">")]
        if words[0] != "coprop":
            assert words[0] in OTHERS, f"{block.page}: {line}"
            continue
        remove_earlier(words, world)
        result = CliRunner().invoke(app, words[1:], catch_exceptions=False)
        assert result.exit_code == 0, f"{block.page}: {line}\n{result.output}"


def remove_earlier(words: list[str], world: Path) -> None:
    """What an earlier example has written into the same place."""
    if words[1] == "export":
        words.append("--force")
    elif "--out" in words and "--force" not in words:
        path = world / words[words.index("--out") + 1]
        shutil.rmtree(path, ignore_errors=True)
        if path.is_file():
            path.unlink()


def tool_commands() -> list[tuple[str, str]]:
    """(page, command) of the project's tools, which want more than is here."""
    return [
        (page, line)
        for page, blocks in ALL.items()
        for block in blocks
        for line in (block.commands if block.language == "sh" else ())
        if line.startswith("python -m tools.")
    ]


def test_tools_have_the_options_they_are_shown_with(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import runpy

    helps: dict[tuple[str, ...], str] = {}
    for page, line in tool_commands():
        words = shlex.split(line, comments=True)[2:]
        command = tuple(words[:1] + [w for w in words[1:2] if w in ("check", "compose")])
        if command not in helps:
            monkeypatch.setattr(sys, "argv", [*command, "--help"])
            with pytest.raises(SystemExit) as ended:
                runpy.run_module(command[0], run_name="__main__", alter_sys=False)
            assert ended.value.code in (0, None)
            helps[command] = capsys.readouterr().out
        options = {word.split("=")[0] for word in words if word.startswith("--")}
        missing = {option for option in options if option not in helps[command]}
        assert not missing, f"{page}: {line}"
    assert len(helps) >= 8
