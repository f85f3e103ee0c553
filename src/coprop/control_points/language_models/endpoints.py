"""Addresses of servers, and which of several to ask next."""

from __future__ import annotations

import itertools
import time
from collections.abc import Sequence
from urllib.parse import urlsplit

from coprop.errors import LanguageModelError

REST_S = 30.0
"""How long an endpoint that failed is passed over while another can be asked, in seconds."""


class Endpoints:
    """Base addresses that serve one model, asked in turn; one that failed rests for a while."""

    def __init__(self, urls: Sequence[str]) -> None:
        self.urls = tuple(urls)
        self._turn = itertools.count()
        self._rests_until = dict.fromkeys(self.urls, 0.0)

    def next(self) -> str:
        """The next that does not rest, or else the first to have rested."""
        first, now = next(self._turn), time.monotonic()
        order = [self.urls[(first + i) % len(self.urls)] for i in range(len(self.urls))]
        return min(order, key=lambda url: max(self._rests_until[url], now))

    def rest(self, url: str, seconds: float) -> None:
        """Passes an endpoint over for a while; 0 ends its rest."""
        self._rests_until[url] = time.monotonic() + seconds

    @property
    def one_is_ready(self) -> bool:
        """Whether any endpoint does not rest."""
        return min(self._rests_until.values()) <= time.monotonic()


def base_address(url: str) -> str:
    """What "/chat/completions" is put after.

    An address without a path is a server's root, below which the API lies at /v1. With a path it
    is the API's base address, as OpenAI's clients take it, and nothing is added.

    Raises:
        LanguageModelError: not an address of http or https, or one with a user, a query or a
            fragment.
    """
    try:
        parts = urlsplit(url)
        known = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:  # a port that is no number, or brackets out of place
        known = False
    if not known:
        raise LanguageModelError(
            f"url must be the address of a server, such as http://localhost:8000, got {url!r}."
        )
    if "@" in parts.netloc or parts.query or parts.fragment:
        raise LanguageModelError(
            f"url must be {parts.scheme}://host[:port][/path] and no more; for {parts.hostname} "
            "there is a user, a query or a fragment in it. A key belongs in api_key."
        )
    path = parts.path.rstrip("/").removesuffix("/chat/completions") or "/v1"
    return f"{parts.scheme}://{parts.netloc}{path}"
