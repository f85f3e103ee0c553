"""The package imports nothing of the tools, the tools import one way, and nothing in a circle."""

from __future__ import annotations

import ast
import importlib
import sys
from collections.abc import Callable, Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
BELOW = {
    "synthesis": set(),
    "benchmark": set(),
    "sources": {"synthesis", "benchmark"},
    "train_default": {"benchmark"},
    "bench": {"benchmark"},
    "paper": {"benchmark", "bench"},
}
"""The folders of tools/ that each may import."""
LATE = {("types", "media"), ("result", "export")}
"""Arrows back that are taken in a call alone: a method that hands on to what stands above."""
Nodes = Callable[[ast.AST], Iterator[ast.AST]]
ALL, LOADED = ast.walk, ast.iter_child_nodes


def modules() -> dict[str, Path]:
    """All of coprop and tools by name."""
    found = {}
    for base, folder in ((ROOT / "src", "coprop"), (ROOT, "tools")):
        for path in (base / folder).rglob("*.py"):
            parts = path.relative_to(base).with_suffix("").parts
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def called(node: ast.AST) -> Iterator[ast.AST]:
    """All of a module that is ever run: type checkers alone read the rest."""
    for child in ast.iter_child_nodes(node):
        if not (isinstance(child, ast.If) and ast.unparse(child.test) == "TYPE_CHECKING"):
            yield child
            yield from called(child)


def imports(path: Path, known: dict[str, Path], nodes: Nodes) -> Iterator[str]:
    """Modules that a file imports: in `ALL` of it, when it is `LOADED`, or when `called` too."""
    for node in nodes(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in known)
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                if inner in known or node.module in known:
                    yield inner if inner in known else node.module


def room(name: str) -> str:
    """The folder of a module of the package, or the module at the top that the folder serves."""
    own = name.split(".")[1]
    return {"utils": "errors", "values": "types", "results": "result"}.get(own, own)


def constants(path: Path) -> Iterator[str]:
    """Names that a file itself assigns at its top."""
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign):
            yield from (target.id for target in node.targets if isinstance(target, ast.Name))


def test_the_package_imports_no_tool() -> None:
    known = modules()
    for name, path in known.items():
        if name.startswith("coprop"):
            assert not [own for own in imports(path, known, ALL) if own[:5] == "tools"]


def test_tools_import_one_way() -> None:
    known = modules()
    for name, path in known.items():
        if name.startswith("tools."):
            folder = name.split(".")[1]
            for own in imports(path, known, ALL):
                other = own.split(".")[1:2]
                assert own.startswith("coprop") or {*other} <= {folder, *BELOW[folder]}, (name, own)


def test_no_circle() -> None:
    known = modules()
    graph = {name: set(imports(path, known, LOADED)) for name, path in known.items()}
    assert len(graph["tools.benchmark.folder"]) > 10
    order = [*TopologicalSorter(graph).static_order()]  # raises CycleError
    assert len(order) == len(known)


@pytest.mark.parametrize(("nodes", "late"), [(LOADED, set()), (called, LATE)])
def test_rooms_of_the_package_import_one_way(nodes: Nodes, late: set[tuple[str, str]]) -> None:
    """A folder, or a module at the top, is loaded by none that it loads itself."""
    known = {name: path for name, path in modules().items() if name.startswith("coprop.")}
    arrows = {
        (room(name), room(own))
        for name, path in known.items()
        for own in imports(path, known, nodes)
    }
    assert arrows & LATE == late
    graph: dict[str, set[str]] = {}
    for above, below in arrows - LATE:
        graph.setdefault(above, set()).update({below} - {above})
    assert graph["tracking"] >= {"context", "inference", "keyframes", "types"}
    assert not graph["tracking"] & {"pipeline", "cli"}
    list(TopologicalSorter(graph).static_order())  # raises CycleError


def test_the_top_shows_the_parts() -> None:
    names = sorted(path.stem for path in (ROOT / "src" / "coprop").glob("*.py"))
    assert len(names) <= 14, names


def test_files_that_modules_name_are_there() -> None:
    """A module that is moved takes the way to its files with it."""
    found = []
    for path in sorted((ROOT / "tools").rglob("*.py")):
        name = ".".join(path.relative_to(ROOT).with_suffix("").parts)
        if not name.endswith("__main__") and path.parent.name != "train_default":
            module = importlib.import_module(name)
            own = (vars(module)[constant] for constant in constants(path))
            found += [value for value in own if isinstance(value, Path)]
    assert len(found) >= 3
    assert all(path.exists() for path in found)


def test_no_tool_hides_a_module_of_python() -> None:
    """A folder of tools/ is looked in first where a file of it is run, or it is a model's home."""
    names = {path.stem for path in (ROOT / "tools").rglob("*.py")}
    assert not names & set(sys.stdlib_module_names) - {"__main__"}
