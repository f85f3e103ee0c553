"""The blocks of code in README and docs, and which of them are not run, and why."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
# A comment that readers do not see, before the fence: <!-- not run: why -->, of a whole block, or
# <!-- not run, with `--llm`: why -->, of the lines of commands in which the words stand.
_BLOCK = re.compile(
    r"(?:^ *<!-- not run(?:, with `(?P<words>[^`]+)`)?: (?P<why>[^>]+?) -->\n+)?"
    r"^(?P<indent> *)```(?P<language>\w*)\n(?P<code>.*?)^(?P=indent)```",
    re.MULTILINE | re.DOTALL,
)


@dataclass(frozen=True)
class Block:
    """A block of code.

    Attributes:
        line: where its code begins, from 1.
        words: of lines that are not run; None for all, or none.
        why: it, or those lines, are not run; "" if all is.
    """

    page: str
    line: int
    language: str
    code: str
    words: str | None
    why: str

    @property
    def commands(self) -> list[str]:
        """The command lines that are run."""
        lines = self.code.replace("\\\n", " ").splitlines()
        told = [line for line in lines if line.strip() and not line.lstrip().startswith("#")]
        if not self.why:
            return told
        return [line for line in told if self.words is not None and self.words not in line]


def name_of(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def blocks_of(page: Path) -> list[Block]:
    """The blocks of a page, in order."""
    text = page.read_text(encoding="utf-8")
    found = []
    for match in _BLOCK.finditer(text):
        line = text[: match.start("code")].count("\n") + 1
        code = re.sub(rf"^{match['indent']}", "", match["code"], flags=re.MULTILINE)
        given = (match["language"], code, match["words"], match["why"] or "")
        found.append(Block(name_of(page), line, *given))
    return found
