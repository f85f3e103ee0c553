"""Requests to one endpoint or several that serve the same model: retries, limits, cancelling."""

from __future__ import annotations

import contextlib
import logging
import random
import socket
import ssl
import threading
import weakref
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from typing import Any, NoReturn, TypeVar

import httpx2

from coprop.control_points.language_models.endpoints import REST_S, Endpoints
from coprop.control_points.language_models.faults import (
    LONGEST_WAIT_S,
    PassingError,
    advice_on,
    quoted,
    retry_after,
)
from coprop.errors import LanguageModelError

T = TypeVar("T")
S = TypeVar("S")
logger = logging.getLogger(__name__)

CONNECT_S = 10.0
"""The longest wait for a connection, in seconds; ``timeout_s`` where that is shorter."""

_FIRST_WAIT_S = 0.5


class _CancelledError(Exception):
    """The call that a request belongs to is being given up."""


class Session:
    """The connections of one call, which may make several requests at a time.

    Used as a context; leaving it closes every connection.

    Args:
        endpoints: where to ask.
        api_key: sent as a bearer token; appears in no error.
        timeout_s: the longest wait without a byte from the server, in seconds.
        retries: how often a request that failed is made again.
        tls: what certificates are checked by.
    """

    def __init__(
        self,
        endpoints: Endpoints,
        *,
        api_key: str | None,
        timeout_s: float,
        retries: int,
        tls: ssl.SSLContext,
    ) -> None:
        self._endpoints = endpoints
        self._api_key = api_key
        self._timeout_s = timeout_s
        self._tries = retries + 1
        self._stopped = threading.Event()
        self._lock = threading.Lock()
        self._streams: weakref.WeakSet[Any] = weakref.WeakSet()
        timeout = httpx2.Timeout(timeout_s, connect=min(CONNECT_S, timeout_s), pool=None)
        headers = {"Authorization": f"Bearer {api_key}"} if api_key else None
        limits = httpx2.Limits(max_connections=None)  # in_order() keeps them
        self._client = httpx2.Client(headers=headers, timeout=timeout, limits=limits, verify=tls)

    def __enter__(self) -> Session:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def in_order(self, function: Callable[[S], T], items: Sequence[S], at_once: int) -> list[T]:
        """``function`` of each item, several at a time; the first error ends them all.

        However it ends, by an error or by an exception such as KeyboardInterrupt in the calling
        thread, what is under way is cut off and no thread is left.
        """
        if min(at_once, len(items)) < 2:
            return [function(item) for item in items]

        def guarded(item: S) -> T:
            try:
                return function(item)
            except Exception:
                self._stop()  # before this thread begins with another item
                raise

        with ThreadPoolExecutor(min(at_once, len(items)), "coprop-server") as pool:
            try:
                futures = [pool.submit(guarded, item) for item in items]
                wait(futures, return_when=FIRST_EXCEPTION)
            except BaseException:
                self._stop()
                raise
            finally:
                pool.shutdown(wait=False, cancel_futures=True)
        errors = [future.exception() for future in futures if not future.cancelled()]
        for error in errors:
            if error is not None and not isinstance(error, _CancelledError):
                raise error
        return [future.result() for future in futures]

    def ask(self, method: str, path: str, body: bytes | None, read: Callable[[Any], T]) -> T:
        """A reply of JSON, as ``read`` makes it of the parsed value.

        Where ``read`` raises PassingError, the request is made again.

        Raises:
            LanguageModelError: the server refuses, or every try failed.
        """
        for attempt in range(self._tries):
            if self._stopped.is_set():
                raise _CancelledError
            url = self._endpoints.next()
            try:
                answer = read(self._send(method, url + path, body))
            except PassingError as error:
                failure = error
            else:
                self._endpoints.rest(url, 0.0)
                return answer
            if self._stopped.is_set():
                raise _CancelledError
            after_s = failure.after_s
            self._endpoints.rest(url, REST_S if after_s is None else after_s)
            said = self._hidden(str(failure))
            if attempt + 1 < self._tries:
                logger.info("%s: %s; trying again", url, said)
                self._wait(attempt, after_s)
        raise LanguageModelError(
            f"{url}{path} gave no usable answer in {self._tries} tries; the last: {said}. See "
            "whether the server runs there and is not overloaded; timeout_s and retries make "
            "more allowance, concurrency asks less of it at a time."
        )

    def _send(self, method: str, url: str, body: bytes | None) -> Any:
        """One request's reply, parsed; failures that may pass are PassingError."""
        try:
            response = self._client.request(
                method,
                url,
                content=body,
                headers={"Content-Type": "application/json"} if body else None,
                extensions={"trace": self._remember},
            )
        except httpx2.TimeoutException as error:
            kind = type(error).__name__
            raise PassingError(f"nothing came for {self._timeout_s:g} s ({kind})") from None
        except httpx2.RequestError as error:
            raise PassingError(f"{type(error).__name__}: {error}") from None
        if response.status_code != 200:
            self._refuse(url, response)
        try:
            return response.json()
        except (ValueError, LookupError, RecursionError):
            raise PassingError(f"status 200 and no JSON: {self._words(response)}") from None

    def _refuse(self, url: str, response: httpx2.Response) -> NoReturn:
        status = response.status_code
        said = f"status {status}: {self._words(response)}"
        if status in (408, 425, 429) or status >= 500:
            raise PassingError(said, retry_after(response))
        if response.is_redirect:
            raise LanguageModelError(
                f"{url} leads elsewhere (status {status}, {response.headers.get('location')}); "
                "give that address as url, if you trust it with your key and sounds."
            )
        raise LanguageModelError(
            f"{url} refused the request, {said}. What to do: {advice_on(status)}."
        )

    def _words(self, response: httpx2.Response) -> str:
        """The server's own words on an error, shortened, without the key."""
        return quoted(self._hidden(response.text))

    def _hidden(self, text: str) -> str:
        return text.replace(self._api_key, "***") if self._api_key else text

    def _wait(self, attempt: int, after_s: float | None) -> None:
        """Until the next try: none while another endpoint is ready, else longer each time."""
        if self._endpoints.one_is_ready:
            return
        if after_s is None:
            after_s = _FIRST_WAIT_S * 2**attempt * random.Random().uniform(0.5, 1)
        pause(self._stopped, min(after_s, LONGEST_WAIT_S))

    def _remember(self, event: str, details: dict[str, Any]) -> None:
        """Keeps hold of a new connection, so that `_stop` can end the wait for its answer."""
        if event.endswith(("connect_tcp.complete", "start_tls.complete")):
            with self._lock:
                self._streams.add(details["return_value"])
            if self._stopped.is_set():
                self._stop()

    def _stop(self) -> None:
        """Ends all waits: those between tries and those for answers."""
        self._stopped.set()
        with self._lock:
            streams = list(self._streams)
        for stream in streams:
            connection = stream.get_extra_info("socket")
            with contextlib.suppress(OSError, AttributeError):  # closed already
                connection.shutdown(socket.SHUT_RDWR)


def pause(stopped: threading.Event, seconds: float) -> None:
    """Waits, but not longer than until a session is stopped."""
    stopped.wait(seconds)
