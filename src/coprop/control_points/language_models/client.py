"""Requests to a server by the OpenAI client, several at a time, and its failures in words.

The client does what HTTP asks for: connections, timeouts, further tries and the waits between them.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from coprop.control_points.language_models.replies import WrongReplyError, quoted
from coprop.errors import LanguageModelError
from coprop.utils.extras import needs

if TYPE_CHECKING:
    from openai import APIError, AsyncOpenAI

S = TypeVar("S")
T = TypeVar("T")

CONNECT_S = 10.0
"""The longest wait for a connection, in seconds; ``timeout_s`` where that is shorter."""

_ADVICE = {
    400: "see whether dialect, audio_part and extra_body suit this server and model",
    401: "give the key as api_key, or in the environment variable COPROP_API_KEY",
    403: "give a key that may use this model as api_key, or in COPROP_API_KEY",
    404: "url must be the server's root or its base address such as http://host:8000/v1, and "
    "model a name that it serves",
    413: "the sound is too long for this server: cut it, or raise the server's limit",
    422: "see whether dialect, audio_part and extra_body suit this server and model",
}
_RETRIED = (408, 409, 429)  # and 5xx: what the client makes further tries after


def check_client() -> None:
    """Loads the OpenAI client.

    Raises:
        MissingPackageError: it is not installed.
    """
    with needs("openai", "coprop[llm]", "asking a language model behind a server"):
        import openai  # noqa: F401


@dataclass(frozen=True)
class Server:
    """How a server is reached.

    Args:
        base_url: what "/chat/completions" is put after.
        api_key: sent as a bearer token; appears in no error.
        timeout_s: the longest wait without a byte from the server, in seconds.
        retries: how often a request that failed is made again.
    """

    base_url: str
    api_key: str | None = field(repr=False)
    timeout_s: float
    retries: int

    @property
    def headers(self) -> dict[str, Any]:
        """What a request has to be given besides: without a key no authorization is sent."""
        import openai

        return {} if self.api_key else {"Authorization": openai.Omit()}

    def ask_each(
        self,
        send: Callable[[AsyncOpenAI, S], Awaitable[Any]],
        items: Sequence[S],
        read: Callable[[Any], T],
        at_once: int = 1,
    ) -> list[T]:
        """What ``read`` makes of the parsed reply to each item, in order; the first error ends all.

        However it ends, by an error or by an exception such as KeyboardInterrupt in the calling
        thread, what is under way is cut off and no thread is left.

        Args:
            send: makes an item's request by one of the client's methods with raw response, and
                with `headers` for its extra headers.
            items: what to ask.
            read: may raise WrongReplyError.
            at_once: how many requests are under way at a time.

        Raises:
            LanguageModelError: the server refuses, every try failed, or a reply is a wrong one.
        """
        answers: dict[int, T] = {}
        waiting = iter(enumerate(items))

        async def work(client: AsyncOpenAI) -> None:
            for index, item in waiting:
                answers[index] = await self._ask(send(client, item), read)

        async def work_together() -> None:
            async with self._client() as client:
                workers = [asyncio.create_task(work(client)) for _ in items[:at_once]]
                try:
                    await asyncio.gather(*workers)
                finally:
                    for worker in workers:
                        worker.cancel()
                    await asyncio.gather(*workers, return_exceptions=True)

        _run(work_together())
        return [answers[index] for index in range(len(items))]

    async def _ask(self, request: Awaitable[Any], read: Callable[[Any], T]) -> T:
        import openai

        try:
            response = (await request).http_response
            try:
                return read(response.json())
            except WrongReplyError as error:
                wanted = str(error)
            except (ValueError, LookupError, RecursionError):
                wanted = "JSON"
            failure = (
                f"{response.request.url} gave no usable answer: status {response.status_code} and "
                f"no {wanted}: {quoted(self._hidden(response.text))}. See whether an OpenAI-"
                "compatible server answers there."
            )
        except openai.APIError as error:
            failure = self._explained(error)
        # Raised here, so that nothing is chained to it that quotes the key.
        raise LanguageModelError(self._hidden(failure))

    def _client(self) -> AsyncOpenAI:
        import openai

        secure = self.base_url.startswith("https:")
        return openai.AsyncOpenAI(
            api_key=self.api_key or "none",
            base_url=self.base_url,
            timeout=openai.Timeout(
                self.timeout_s, connect=min(CONNECT_S, self.timeout_s), pool=None
            ),
            max_retries=self.retries,
            http_client=openai.DefaultAsyncHttpxClient(
                follow_redirects=False,  # the key and the sounds go where they were sent
                # Certificates take long to load; without them nobody is trusted.
                verify=True if secure else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT),
            ),
        )

    def _explained(self, error: APIError) -> str:
        """What went wrong, and what a user can do about it."""
        import openai

        url = error.request.url
        if isinstance(error, openai.APIStatusError):
            status, said = error.status_code, quoted(self._hidden(error.response.text))
            if 300 <= status < 400:
                return (
                    f"{url} leads elsewhere (status {status}, "
                    f"{error.response.headers.get('location')}); give that address as url, if you "
                    "trust it with your key and sounds."
                )
            if status not in _RETRIED and status < 500:
                advice = _ADVICE.get(status, "the server does not take this request")
                return f"{url} refused the request, status {status}: {said}. What to do: {advice}."
            last = f"status {status}: {said}"
        elif isinstance(error, openai.APITimeoutError):
            last = f"nothing came for {self.timeout_s:g} s ({type(error.__cause__).__name__})"
        else:
            cause = error.__cause__ or error
            last = f"{type(cause).__name__}: {quoted(str(cause))}"
        again = int(error.request.headers.get("x-stainless-retry-count", self.retries))
        tried = f"{again + 1} tries" if again else "1 try"
        return (
            f"{url} gave no usable answer in {tried}; the last: {last}. See whether the "
            "server runs there and is not overloaded; timeout_s and retries make more allowance, "
            "concurrency asks less of it at a time."
        )

    def _hidden(self, text: str) -> str:
        return text.replace(self.api_key, "***") if self.api_key else text


def _run(coroutine: Coroutine[Any, Any, T]) -> T:
    """What a coroutine returns; it is cancelled when an exception reaches the calling thread.

    It has a thread to itself, since in notebooks the calling one runs a loop already.
    """
    loop = asyncio.new_event_loop()
    task = loop.create_task(coroutine)

    def serve() -> T:
        try:
            return loop.run_until_complete(task)
        finally:
            loop.run_until_complete(loop.shutdown_asyncgens())
            loop.close()

    with ThreadPoolExecutor(1, "coprop-server") as pool:
        served = pool.submit(serve)
        try:
            return served.result()
        except BaseException:
            with contextlib.suppress(RuntimeError):  # the loop has ended already
                loop.call_soon_threadsafe(task.cancel)
            raise
