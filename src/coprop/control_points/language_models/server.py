"""A language model behind an OpenAI-compatible server."""

from __future__ import annotations

import json
import os
import ssl
import threading
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any, get_args

import httpx2

from coprop.checks import number, whole
from coprop.control_points.language_models.base import Answer, Dialogue
from coprop.control_points.language_models.chats import messages
from coprop.control_points.language_models.dialects import AudioPart, DialectName, dialect_named
from coprop.control_points.language_models.endpoints import Endpoints, base_address
from coprop.control_points.language_models.replies import read_answer, read_model_names
from coprop.control_points.language_models.transport import Session
from coprop.control_points.language_models.wav import json_messages
from coprop.errors import LanguageModelError

_LONGEST_S = 86_400  # a day; no server is waited for longer
_MOST = 1_000_000


class ServerModel:
    """A language model that is asked over HTTP: vLLM, SGLang, llama.cpp, or any like them.

    Requests go to ``{base}/chat/completions``, with temperature 0 and seed 0. Those that time
    out, are cut off, or are answered by status 408, 425, 429, 5xx or something other than a chat
    completion are made again after a wait that grows from half a second and is a minute at most;
    a Retry-After is heeded. Other failures are errors at once. Safe to use from several threads.

    Args:
        url: a server's root, such as "http://localhost:8000", below which the API lies at /v1; or
            with a path the API's base address, to which nothing is added. Of several, requests
            are spread over all; one that fails is passed over for half a minute.
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

    Attributes:
        concurrency: as given.
        max_audio_s: as given.
    """

    def __init__(
        self,
        url: str | Sequence[str],
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
        _check_choice("dialect", dialect, get_args(DialectName))
        _check_choice("audio_part", audio_part, (None, *get_args(AudioPart)))
        for name, value in {"timeout_s": timeout_s, "max_audio_s": max_audio_s}.items():
            wanted = f"a positive number of seconds, {_LONGEST_S} at most"
            number(name, value, wanted, above=0, high=_LONGEST_S, error=LanguageModelError)
        for name, count, least in (
            ("retries", retries, 0),
            ("concurrency", concurrency, 1),
            ("max_tokens", max_tokens, 1),
        ):
            wanted = f"a whole number of at least {least}, {_MOST} at most"
            whole(name, count, wanted, low=least, high=_MOST, error=LanguageModelError)
        if model is not None and not (isinstance(model, str) and model):
            raise LanguageModelError(f"model must be the name it is served under, got {model!r}.")
        self.concurrency = concurrency
        self.max_audio_s = max_audio_s
        self._dialect_name = dialect
        self._dialect = dialect_named(dialect)
        self._audio_part: AudioPart = audio_part or self._dialect.audio_part
        self._endpoints = Endpoints(_addresses(url))
        self._api_key = _key(api_key)
        self._timeout_s, self._retries, self._max_tokens = timeout_s, retries, max_tokens
        if extra_body is not None and not isinstance(extra_body, Mapping):
            raise LanguageModelError(f"extra_body must be a mapping of fields, got {extra_body!r}.")
        self._extra_body = dict(extra_body or {})
        if self._extra_body.get("stream"):
            raise LanguageModelError("answers are read whole, not as streams; leave stream out.")
        self._extra_text = _as_json(self._extra_body)
        self._model = model
        self._lock = threading.Lock()

    def __repr__(self) -> str:
        urls = ", ".join(self._endpoints.urls)
        return f"ServerModel({urls}, model={self._model!r}, {self._options})"

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
                with self._session() as session:
                    self._model = _only(session.ask("GET", "/models", None, read_model_names))
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
        with self._session() as session:

            def one(chat: Sequence[dict[str, Any]]) -> Answer:
                body = self._body(chat, fields)
                path = "/chat/completions"
                return session.ask("POST", path, body, lambda reply: read_answer(reply, windows))

            return session.in_order(one, chats, self.concurrency)

    def _body(self, chat: Sequence[dict[str, Any]], fields: Mapping[str, Any]) -> bytes:
        parts, floats = self._audio_part, self._dialect.float_samples
        sent = {"messages": json_messages(chat, audio_part=parts, float_samples=floats), **fields}
        return _as_json({key: value for key, value in sent.items() if value is not None}).encode()

    def _session(self) -> Session:
        return Session(
            self._endpoints,
            api_key=self._api_key,
            timeout_s=self._timeout_s,
            retries=self._retries,
            tls=self._tls,
        )

    @cached_property
    def _tls(self) -> ssl.SSLContext:
        if any(url.startswith("https:") for url in self._endpoints.urls):
            return httpx2.create_ssl_context()
        return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # trusts nobody, and is made at once

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


def _addresses(url: str | Sequence[str]) -> list[str]:
    urls = [url] if isinstance(url, str) else url
    if not isinstance(urls, Sequence) or not all(isinstance(each, str) for each in urls):
        raise LanguageModelError(f"url must be the address of a server, or several; got {url!r}.")
    if not urls:
        raise LanguageModelError("url must be the address of a server, or several; got none.")
    return [base_address(each) for each in urls]


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


def _as_json(fields: Mapping[str, Any]) -> str:
    try:
        return json.dumps(fields, sort_keys=True)
    except (TypeError, ValueError) as error:
        raise LanguageModelError(f"extra_body must be what JSON can hold; {error}.") from error


def _check_choice(name: str, value: object, accepted: tuple[object, ...]) -> None:
    if value not in [*accepted]:
        raise LanguageModelError(f"{name} must be one of {accepted}, got {value!r}.")
