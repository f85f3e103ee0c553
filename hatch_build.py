"""How the README becomes the description inside a wheel, where its neighbours are missing."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from hatchling.metadata.plugin.interface import MetadataHookInterface

_PICTURE = re.compile(r"^!\[[^\]]*\]\((?!\w+://)[^)]*\)\n\n?", re.MULTILINE)
_LINK = re.compile(r"(?<!!)\[([^\]]+)\]\((?!\w+://|#)[^)]*\)")


def elsewhere(readme: str) -> str:
    """The README without pictures and links that lead to files beside it.

    A package index shows it far from the repository, and the project has no address that such paths
    could be completed with.
    """
    return _LINK.sub(r"\1", _PICTURE.sub("", readme))


class Description(MetadataHookInterface):
    """What hatchling calls when it builds, or installs from a checkout."""

    def update(self, metadata: dict[str, Any]) -> None:
        text = Path(self.root, "README.md").read_text(encoding="utf-8")
        metadata["readme"] = {"content-type": "text/markdown", "text": elsewhere(text)}
