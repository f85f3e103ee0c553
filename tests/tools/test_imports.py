"""The package imports nothing of the tools, the tools import one way, and nothing in a circle."""

from __future__ import annotations

import ast
import importlib
import sys
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

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


def modules() -> dict[str, Path]:
    """All of coprop and tools by name."""
    found = {}
    for base, folder in ((ROOT / "src", "coprop"), (ROOT, "tools")):
        for path in (base / folder).rglob("*.py"):
            parts = path.relative_to(base).with_suffix("").parts
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def imports(path: Path, known: dict[str, Path], *, deferred: bool) -> Iterator[str]:
    """Modules that a file imports; without ``deferred``, when it is loaded itself."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    nodes = ast.walk(tree) if deferred else iter(tree.body)
    for node in nodes:
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
            assert not [own for own in imports(path, known, deferred=True) if own[:5] == "tools"]


def test_tools_import_one_way() -> None:
    known = modules()
    for name, path in known.items():
        if name.startswith("tools."):
            folder = name.split(".")[1]
            for own in imports(path, known, deferred=True):
                other = own.split(".")[1:2]
                assert own.startswith("coprop") or {*other} <= {folder, *BELOW[folder]}, (name, own)


def test_no_circle() -> None:
    known = modules()
    graph = {name: set(imports(path, known, deferred=False)) for name, path in known.items()}
    assert len(graph["tools.benchmark.folder"]) > 10
    order = [*TopologicalSorter(graph).static_order()]  # raises CycleError
    assert len(order) == len(known)


def test_rooms_of_the_package_import_one_way() -> None:
    """A folder, or a module at the top, is loaded by none that it loads itself."""
    known = {name: path for name, path in modules().items() if name.startswith("coprop.")}
    graph: dict[str, set[str]] = {}
    for name, path in known.items():
        for own in imports(path, known, deferred=False):
            graph.setdefault(room(name), set()).add(room(own))
    graph = {name: below - {name} for name, below in graph.items()}
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
