"""What others read: the citation, pictures, the site's contents, the description in wheels."""

from __future__ import annotations

import importlib.util
import re
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest

import coprop
from tools.site.links import on_page_markdown, within

ROOT = Path(__file__).parents[2]
PICTURES = ROOT / "docs" / "images"


def test_citation() -> None:
    """As the schema of the Citation File Format, 1.2.0, asks for."""
    yaml = pytest.importorskip("yaml")
    told = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert {"cff-version", "message", "title", "authors"} <= set(told)
    assert (told["cff-version"], told["type"], told["license"]) == (
        "1.2.0",
        "software",
        "Apache-2.0",
    )
    assert told["version"] == coprop.__version__
    paper = told["preferred-citation"]
    assert {"type", "title", "authors"} <= set(paper)
    assert paper["type"] == "article"
    assert all(set(a) == {"given-names", "family-names"} for a in paper["authors"])
    assert paper["url"] == "https://arxiv.org/abs/2412.08161"
    assert paper["url"] in (ROOT / "README.md").read_text(encoding="utf-8")


def test_every_picture_has_its_command() -> None:
    table = (PICTURES / "README.md").read_text(encoding="utf-8")
    listed = {row[1]: row[2] for row in re.finditer(r"^\| `([^`]+)` \| (.+) \|$", table, re.M)}
    there = {path.name for path in PICTURES.iterdir()} - {"README.md"}
    assert set(listed) == there
    for name, commands in listed.items():
        assert f"docs/images/{name}" in commands
        for module in re.findall(r"python -m ([\w.]+)", commands):
            assert importlib.util.find_spec(module) is not None


def test_every_page_is_in_the_site() -> None:
    nav = (ROOT / "mkdocs.yml").read_text(encoding="utf-8").partition("\nnav:")[2]
    pages = {path.relative_to(ROOT / "docs").as_posix() for path in (ROOT / "docs").rglob("*.md")}
    listed = re.findall(r": (\S+\.md)$", nav, re.MULTILINE)
    assert set(listed) == pages - {"images/README.md"}
    assert len(listed) == len(set(listed))


@pytest.mark.parametrize(
    ("page", "text", "kept"),
    [
        ("a.md", "[the source](../src/a.py)", "the source"),
        ("api/a.md", "[`x`](../../tools/README.md#y)", "`x`"),
        ("api/a.md", "[x](../b.md#y), [z](https://e.org/../z)", None),
        ("a.md", "![x](images/x.png), [y](#y)", None),
    ],
)
def test_links_that_leave_the_site_become_text(page: str, text: str, kept: str | None) -> None:
    assert within(text, page) == (text if kept is None else kept)
    shown = SimpleNamespace(file=SimpleNamespace(src_uri=page))
    assert on_page_markdown(text, page=shown, config=None) == within(text, page)


def test_the_description_needs_no_file_beside_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wheels are read where neither docs nor pictures are."""
    plugin = ModuleType("hatchling.metadata.plugin.interface")
    plugin.MetadataHookInterface = object  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, plugin.__name__, plugin)
    spec = importlib.util.spec_from_file_location("hatch_build", ROOT / "hatch_build.py")
    assert spec is not None
    assert spec.loader is not None
    build = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(build)
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    text = build.elsewhere(readme)
    assert re.findall(r"\]\((?!\w+://)[^)]*\)", readme)
    assert re.findall(r"\]\((?!\w+://)[^)]*\)", text) == []
    assert "[Co-Prop (arXiv 2412.08161)](https://arxiv.org/abs/2412.08161)" in text
    assert "## Use it" in text
    hook = build.Description()
    hook.root = str(ROOT)
    metadata: dict[str, object] = {}
    hook.update(metadata)
    assert metadata == {"readme": {"content-type": "text/markdown", "text": text}}
