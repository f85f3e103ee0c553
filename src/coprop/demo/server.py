"""Shows the page: on this machine, to whoever may come, until it is stopped."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from coprop.demo.choices import Choices
from coprop.demo.visits import Visits
from coprop.errors import CoPropError, OutputError
from coprop.utils.checks import number, whole
from coprop.utils.environment import environment
from coprop.utils.extras import needs

_MOST_BYTES_A_MINUTE = 400 << 20  # of an upload: 50 Mbit/s, what telephones record in 4K
_MOST_WAITING = 20
_POLICY = (
    "default-src 'self' 'unsafe-inline' 'unsafe-eval' data: blob:; "
    "connect-src 'self' ws: wss: data: blob:"
)
"""For browsers: nothing is fetched from anywhere else, whatever a library's page asks for."""


class Server:
    """A page that is shown; a context manager, which removes all that visitors left.

    Args:
        choices: the models that can be chosen.
        host: the address to listen at.
        port: its port; None for the first free one from 7860 on.
        share: let gradio's servers pass visitors on from the internet.
        max_minutes: how long a video may last.
        example: a video for visitors to try.

    Raises:
        MissingPackageError: gradio is not installed.
        CoPropError: options out of range, or the port is taken.

    Attributes:
        url: where the page is.
        share_url: where it is on the internet, if it is.
    """

    def __init__(
        self,
        choices: Choices,
        *,
        host: str = "127.0.0.1",
        port: int | None = None,
        share: bool = False,
        max_minutes: float = 5,
        example: Path | None = None,
    ) -> None:
        if not isinstance(host, str) or not host.strip():
            raise CoPropError(f"host must be an address, such as 127.0.0.1, got {host!r:.60}.")
        minutes = number("max_minutes", max_minutes, "minutes above 0", low=0.01)
        if port is not None:
            port = whole("port", port, "a port from 1 to 65535", low=1, high=65_535)
        self._folder = tempfile.TemporaryDirectory(prefix="coprop-demo-")
        try:
            place = Path(self._folder.name).resolve()
            with _settings(place), needs("gradio", "coprop[demo]", "coprop demo"):
                from coprop.demo.page import Page

                page = Page(choices, Visits(place), 60 * minutes, example)
                self._blocks = page.blocks
                self.url, self.share_url = self._launched(
                    place, host, port, share, minutes, example
                )
        except BaseException:
            self._folder.cleanup()
            raise

    def __enter__(self) -> Server:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def wait(self) -> None:
        """Until the process is interrupted."""
        while True:
            time.sleep(3600)

    def close(self) -> None:
        """Ends the page and removes its files; safe to call again."""
        self._blocks.close(verbose=False)
        self._folder.cleanup()

    def _launched(
        self,
        place: Path,
        host: str,
        port: int | None,
        share: bool,
        max_minutes: float,
        example: Path | None,
    ) -> tuple[str, str | None]:
        import gradio
        from starlette.middleware import Middleware

        from coprop.demo.page import CSS, HEAD, theme

        # Results are shown from where they are, and are gone when they are removed there.
        gradio.set_static_paths([place])
        self._blocks.queue(max_size=_MOST_WAITING)
        try:
            _, url, share_url = self._blocks.launch(
                server_name=host,
                server_port=port,
                share=share,
                quiet=True,
                prevent_thread_lock=True,
                inline=False,
                footer_links=[],
                run_history=False,
                enable_monitoring=False,
                ssr_mode=False,
                allowed_paths=[] if example is None else [str(example.resolve())],
                max_file_size=round(max_minutes * _MOST_BYTES_A_MINUTE),
                theme=theme(),
                css=CSS,
                head=HEAD,
                app_kwargs={"middleware": [Middleware(_OwnThingsAlone)]},
            )
        except OSError as error:
            tried = "ports from 7860 on" if port is None else f"port {port}"
            raise OutputError(
                f"the page cannot be shown at {host}, {tried}: it is taken, or the address is none "
                "of this machine. Choose others with --host and --port."
            ) from error
        except ValueError as error:
            raise CoPropError(
                f"the page cannot reach itself at {host}: {error} Is a proxy set for local "
                "addresses? no_proxy=localhost,127.0.0.1 takes them out."
            ) from error
        if share and share_url is None:
            self._blocks.close(verbose=False)
            raise CoPropError(
                "the page cannot be shared: gradio's servers are not reached. Leave --share out."
            )
        return url, share_url


class _OwnThingsAlone:
    """Tells browsers to fetch nothing from anywhere but the page's own server."""

    def __init__(self, app: Any) -> None:
        self._app = app

    async def __call__(self, scope: Mapping[str, Any], receive: Any, send: Any) -> None:
        async def sending(message: dict[str, Any]) -> None:
            if message["type"] == "http.response.start":
                header = (b"content-security-policy", _POLICY.encode())
                message = {**message, "headers": [*message.get("headers", ()), header]}
            await send(message)

        await self._app(scope, receive, sending)


def _settings(place: Path) -> AbstractContextManager[None]:
    """While gradio is loaded and the page is made: no telemetry, and its files are put there."""
    return environment(
        GRADIO_ANALYTICS_ENABLED="False",
        GRADIO_TEMP_DIR=str(place),
        HF_HUB_DISABLE_TELEMETRY="1",
    )
