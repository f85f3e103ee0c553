"""The tools read no option that their command line does not have."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

TOOLS = Path(__file__).parents[2] / "tools"
COMMANDS = [p for p in sorted(TOOLS.rglob("*.py")) if "add_argument(" in p.read_text("utf-8")]


def names_in(tree: ast.Module) -> set[str]:
    """The texts of a file as argparse would name options; some are added in a loop."""
    texts = (n.value for n in ast.walk(tree) if isinstance(n, ast.Constant))
    return {text.lstrip("-").replace("-", "_") for text in texts if isinstance(text, str)}


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
    assert read <= names_in(tree)
