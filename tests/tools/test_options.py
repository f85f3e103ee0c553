"""The tools read no option that their command line does not have."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

TOOLS = Path(__file__).parents[2] / "tools"
COMMANDS = [p for p in sorted(TOOLS.rglob("*.py")) if "add_argument(" in p.read_text("utf-8")]


def options_of(tree: ast.Module) -> set[str]:
    """As argparse names them."""
    names = (
        str(argument.value).lstrip("-").replace("-", "_")
        for call in ast.walk(tree)
        if isinstance(call, ast.Call) and getattr(call.func, "attr", "") == "add_argument"
        for argument in call.args
        if isinstance(argument, ast.Constant)
    )
    return set(names)


@pytest.mark.parametrize("path", COMMANDS, ids=lambda p: str(p.relative_to(TOOLS)))
def test_options_that_are_read_exist(path: Path) -> None:
    tree = ast.parse(path.read_text("utf-8"))
    read = {
        node.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Name)
        and node.value.id in ("arguments", "given")
    }
    assert read <= options_of(tree)
