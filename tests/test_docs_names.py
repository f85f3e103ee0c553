"""What README and docs name is there: modules, their names, commands and their options."""

from __future__ import annotations

import importlib.util
import re
import shlex
from pathlib import Path

import pytest
import typer

from coprop.cli.app import app

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "tools" / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
DOTTED = re.compile(r"`((?:coprop|tools)(?:\.\w+)+)")
IMPORTED = re.compile(r"^from ((?:coprop|tools)[.\w]*) import ([^(\n]+|\([^)]*\))", re.MULTILINE)
RUN = re.compile(r"python -m (tools(?:\.\w+)*)")
COMMAND = re.compile(r"(?:^|`)(coprop [a-z][^`\n\\|]*)", re.MULTILINE)


def resolved(name: str) -> object:
    """What a dotted name stands for: a module, or something in one."""
    parts = name.split(".")
    for count in range(len(parts), 0, -1):
        try:
            found: object = importlib.import_module(".".join(parts[:count]))
        except ModuleNotFoundError:
            continue
        for part in parts[count:]:
            found = getattr(found, part)
        return found
    raise ModuleNotFoundError(name)


def named(page: Path) -> set[str]:
    text = page.read_text(encoding="utf-8")
    found = {name.rstrip(".") for name in DOTTED.findall(text)}
    for module, names in IMPORTED.findall(text):
        for name in names.strip("()").replace("\n", " ").split(","):
            if word := name.split("#")[0].split(" as ")[0].strip():
                found.add(f"{module}.{word}")
    return found


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_names_are_there(page: Path) -> None:
    for name in sorted(named(page)):
        resolved(name)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_modules_that_are_run_are_there(page: Path) -> None:
    for name in sorted(set(RUN.findall(page.read_text(encoding="utf-8")))):
        assert importlib.util.find_spec(name) is not None, name


def test_pages_name_what_they_are_about() -> None:
    """The patterns find something: else the test above would pass on anything."""
    assert "coprop.CoProp" in named(ROOT / "README.md")
    assert len(set().union(*map(named, PAGES))) > 40
    with pytest.raises((AttributeError, ModuleNotFoundError)):
        resolved("coprop.pipeline.Nothing")


def test_commands_have_the_options_they_are_shown_with() -> None:
    command = typer.main.get_command(app)
    count = 0
    for page in PAGES:
        # A command may go on after a backslash.
        text = page.read_text(encoding="utf-8").replace("\\\n", " ")
        for line in COMMAND.findall(text):
            words = shlex.split(line, comments=True)[1:]
            own = command
            while words and words[0] in getattr(own, "commands", {}):
                own = own.commands[words.pop(0)]
            known = {option for parameter in own.params for option in parameter.opts} | {"--help"}
            options = {word.split("=")[0] for word in words if word.startswith("-") and word != "-"}
            assert options <= known, f"{page.name}: {line}"
            count += own is not command
    assert count > 20
