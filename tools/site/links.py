"""A hook of MkDocs: links of the documentation that lead out of it.

The pages are read in a checkout, too, where they link to source files, tests and examples. A site
holds the documentation alone, so that there these links become their text.
"""

from __future__ import annotations

import posixpath
import re
from typing import Any

_LINK = re.compile(r"(?<!!)\[([^\]]+)\]\(([^)\s]+)\)")


def on_page_markdown(markdown: str, *, page: Any, **_: Any) -> str:
    """What MkDocs calls with the text of each page."""
    return within(markdown, page.file.src_uri)


def within(markdown: str, page: str) -> str:
    """The text of a page without links to files outside the documentation.

    Args:
        markdown: the page.
        page: its path from the documentation's folder, with slashes.

    Example:
        >>> within("[a](b.md), [`c`](../../src/c.py)", "api/page.md")
        '[a](b.md), `c`'
    """

    def kept(link: re.Match[str]) -> str:
        text, target = link.groups()
        path = posixpath.normpath(posixpath.join(posixpath.dirname(page), target))
        outside = path.startswith("../") and "://" not in target
        return text if outside else link[0]

    return _LINK.sub(kept, markdown)
