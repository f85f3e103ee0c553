"""A language model behind an OpenAI-compatible server."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, get_args
from urllib.parse import urlsplit

from coprop.control_points.language_models.base import Answer, Dialogue, messages
from coprop.control_points.language_models.client import Server, check_client
from coprop.control_points.language_models.replies import read_answer, read_model_names
from coprop.control_points.language_models.requests import (
    AudioPart,
    DialectName,
    dialect_named,
    json_messages,
)
from coprop.errors import LanguageModelError
from coprop.utils.checks import check_choice, number, whole

if TYPE_CHECKING:
    from openai import AsyncOpenAI

_LONGEST_S = 86_400  # a day; no server is waited for longer
_MOST = 1_000_000


class ServerModel:
    """A language model that is asked over HTTP: vLLM, SGLang, llama.cpp, or any like them.

    Requests go to ``{base}/chat/completions`` by the OpenAI client, with temperature 0 and seed 0.
    Those that time out, are cut off, or are answered by status 408, 409, 429 or 5xx are made again
    after a wait that grows from half a second to eight; a Retry-After of two minutes at most is
    heeded. Other failures are errors at once. Safe to use from several threads.

    Args:
        url: a server's root, such as "http://localhost:8000", below which the API lies at /v1; or
            with a path the API's base address, to which nothing is added. To spread requests over
            several servers, put a load balancer before them and give its address.
        model: the name it is served under; by default the only one that the server lists, asked
            for when it is first needed.
        dialect: which server it is; says how flags are constrained and what sound is sent as.
        api_key: by default the environment variable COPROP_API_KEY or else OPENAI_API_KEY. Sent
            as bearer token; not part of the name, of errors or of logs.
        timeout_s: the longest wait without a byte from the server, in seconds.
        retries: how often a request is made again.
        concurrency: how many requests a call has under way at a time.
        max_audio_s: the longest sound that the model hears to the end, in seconds; longer ones
            are refused, since servers cut them silently.
        extra_body: fields put into every request, over those set here; a value of None leaves a
            field out.
        audio_part: the kind of message part that sound is sent in; by default the dialect's.
        max_tokens: the longest answer, in tokens. Lists of flags may be four tokens a flag.

    Raises:
        LanguageModelError: an option that is out of range.
        MissingPackageError: the OpenAI client is not installed.

    Attributes:
        concurrency: as given.
        max_audio_s: as given.
    """

    def __init__(
        self,
        url: str,
        model: str | None = None,
        *,
        dialect: DialectName = "vllm",
        api_key: str | None = None,
        timeout_s: float = 120.0,
        retries: int = 4,
        concurrency: int = 8,
        max_audio_s: float = 30.0,
        extra_body: Mapping[str, Any] | None = None,
        audio_part: AudioPart | None = None,
        max_tokens: int = 512,
    ) -> None:
        check_choice("dialect", dialect, get_args(DialectName), error=LanguageModelError)
        accepted = (None, *get_args(AudioPart))
        check_choice("audio_part", audio_part, accepted, error=LanguageModelError)
        timeout_s = _seconds("timeout_s", timeout_s)
        retries = _count("retries", retries, 0)
        self.max_audio_s = _seconds("max_audio_s", max_audio_s)
        self.concurrency = _count("concurrency", concurrency, 1)
        self._max_tokens = _count("max_tokens", max_tokens, 1)
        if model is not None and not (isinstance(model, str) and model):
            raise LanguageModelError(f"model must be the name it is served under, got {model!r}.")
        self._dialect_name = dialect
        self._dialect = dialect_named(dialect)
        self._audio_part: AudioPart = audio_part or self._dialect.audio_part
        check_client()
        self._server = Server(base_address(url), _key(api_key), timeout_s, retries)
        if extra_body is not None and not isinstance(extra_body, Mapping):
            raise LanguageModelError(f"extra_body must be a mapping of fields, got {extra_body!r}.")
        self._extra_body = dict(extra_body or {})
        if self._extra_body.get("stream"):
            raise LanguageModelError("answers are read whole, not as streams; leave stream out.")
        self._extra_text = _as_json(self._extra_body)
        self._model = model
        self._lock = threading.Lock()

    def __repr__(self) -> str:
        return f"ServerModel({self._server.base_url}, model={self._model!r}, {self._options})"

    @property
    def name(self) -> str:
        """The model and all options that its answers depend on; its address is not among them.

        Raises:
            LanguageModelError: the model was not given and the server does not tell.
        """
        return f"{self.model} on a server, {self._options}"

    @property
    def model(self) -> str:
        """The name that the model is served under.

        Raises:
            LanguageModelError: it was not given, and the server lists none or several.
        """
        with self._lock:
            if self._model is None:

                async def send(client: AsyncOpenAI, headers: dict[str, Any]) -> Any:
                    return await client.models.with_raw_response.list(extra_headers=headers)

                (names,) = self._server.ask_each(send, [self._server.headers], read_model_names)
                self._model = _only(names)
            return self._model

    def answer(self, dialogues: Sequence[Dialogue]) -> list[Answer]:
        """A free answer to each dialogue, in order. See `LanguageModel.answer`."""
        return self._ask(dialogues, {"max_tokens": self._max_tokens}, None)

    def answer_flags(self, dialogues: Sequence[Dialogue], windows: int) -> list[Answer]:
        """A list of N flags to each, with probabilities where the server tells those of tokens.

        See `LanguageModel.answer_flags`. With the dialect "plain" the text may be anything.
        """
        if windows < 1:
            raise LanguageModelError(f"windows must be at least 1, got {windows}.")
        most = max(self._max_tokens, 4 * windows)
        fields = {"max_tokens": most, **self._dialect.flags(windows)}
        return self._ask(dialogues, fields, windows)

    def _ask(
        self, dialogues: Sequence[Dialogue], fields: Mapping[str, Any], windows: int | None
    ) -> list[Answer]:
        if not dialogues:
            return []
        # All are checked before the first is sent, and each is written as JSON when its turn comes.
        chats = [messages(dialogue, "this model", self.max_audio_s) for dialogue in dialogues]
        fields = {"model": self.model, "temperature": 0, "seed": 0, **fields, **self._extra_body}
        from openai import NOT_GIVEN

        async def send(client: AsyncOpenAI, chat: Sequence[dict[str, Any]]) -> Any:
            parts, floats = self._audio_part, self._dialect.float_samples
            sent = json_messages(chat, audio_part=parts, float_samples=floats)
            body = {key: v for key, v in {"messages": sent, **fields}.items() if v is not None}
            given = {name: body.pop(name, NOT_GIVEN) for name in ("messages", "model")}
            create: Any = client.chat.completions.with_raw_response.create
            return await create(**given, extra_body=body, extra_headers=self._server.headers)

        return self._server.ask_each(
            send, chats, lambda reply: read_answer(reply, windows), self.concurrency
        )

    @property
    def _options(self) -> str:
        extra = f", extra_body={self._extra_text}" if self._extra_body else ""
        return (
            f"dialect={self._dialect_name}, audio_part={self._audio_part}, "
            f"max_tokens={self._max_tokens}{extra}"
        )


def _only(models: list[str]) -> str:
    if len(models) != 1:
        listed = ", ".join(models) or "none"
        raise LanguageModelError(
            f"model must be given where the server does not serve exactly one; it lists: {listed}."
        )
    return models[0]


def base_address(url: str) -> str:
    """What "/chat/completions" is put after.

    An address without a path is a server's root, below which the API lies at /v1. With a path it
    is the API's base address, as OpenAI's clients take it, and nothing is added.

    Raises:
        LanguageModelError: not an address of http or https, or one with a user, a query or a
            fragment.
    """
    if isinstance(url, (list, tuple)):
        raise LanguageModelError(
            "url must be the address of one server, got several; to spread requests over servers, "
            "put a load balancer (such as nginx or the LiteLLM proxy) before them and give its "
            "address."
        )
    try:
        parts = urlsplit(url)
        known = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
        known = known and not any(sign.isspace() for sign in url)
    except (ValueError, TypeError, AttributeError):  # a port that is no number, brackets, no text
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


def _key(given: str | None) -> str | None:
    if given is not None and not isinstance(given, str):
        raise LanguageModelError(f"api_key must be text, got {type(given).__name__}.")
    key = given or os.environ.get("COPROP_API_KEY") or os.environ.get("OPENAI_API_KEY") or ""
    key = key.strip()
    if any(not "!" <= sign <= "~" for sign in key):  # an HTTP client would quote it in its error
        raise LanguageModelError(
            "api_key (or COPROP_API_KEY, OPENAI_API_KEY) must be of printable ASCII without "
            "spaces; look for a line break or a sign pasted along with it."
        )
    return key or None


def _seconds(name: str, value: float) -> float:
    wanted = f"a positive number of seconds, {_LONGEST_S} at most"
    return number(name, value, wanted, above=0, high=_LONGEST_S, error=LanguageModelError)


def _count(name: str, value: int, least: int) -> int:
    wanted = f"a whole number of at least {least}, {_MOST} at most"
    return whole(name, value, wanted, low=least, high=_MOST, error=LanguageModelError)


def _as_json(fields: Mapping[str, Any]) -> str:
    try:
        return json.dumps(fields, sort_keys=True, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise LanguageModelError(f"extra_body must be what JSON can hold; {error}.") from error
