from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import anyio
import numpy as np
import openai
import pytest
from chat_server import Asked, ChatServer, Reply, completion
from numpy.typing import NDArray

from coprop.control_points.language_models.base import Dialogue, LanguageModel, Turn
from coprop.control_points.language_models.server import ServerModel
from coprop.errors import LanguageModelError

KEY = "sk-very-secret"


@pytest.fixture(autouse=True)
def _no_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("COPROP_API_KEY", "OPENAI_API_KEY"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The seconds that would have been waited between tries; nothing is waited."""
    waited: list[float] = []

    async def wait(seconds: float) -> None:
        waited.append(seconds)

    monkeypatch.setattr(anyio, "sleep", wait)
    return waited


def sound(seed: int, seconds: float = 0.3) -> NDArray[np.float32]:
    rng = np.random.default_rng(seed)
    return rng.uniform(-1, 1, round(seconds * 16_000)).astype(np.float32)


def said(text: str, *audios: NDArray[np.float32]) -> Dialogue:
    return (Turn("user", text, audios),)


def echo(asked: Asked) -> Reply:
    return Reply(completion(asked.words))


def model(server: ChatServer, **options: Any) -> ServerModel:
    return ServerModel(server.url, "tiny", **options)


def closed_address() -> str:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{unused.getsockname()[1]}"


# What is sent


FIELDS: dict[str, dict[str, Any]] = {
    "vllm": {
        "logprobs": True,
        "top_logprobs": 20,
        "structured_outputs": {"regex": r"\[[01](,[01]){2}\]"},
    },
    "sglang": {"logprobs": True, "top_logprobs": 20, "regex": r"\[[01](,[01]){2}\]"},
    "llama.cpp": {
        "logprobs": True,
        "top_logprobs": 20,
        "grammar": 'root ::= "[" [01] "," [01] "," [01] "]"',
    },
    "plain": {},
}
SAME = {"model": "tiny", "temperature": 0, "seed": 0, "max_tokens": 512}


@pytest.mark.parametrize("dialect", FIELDS)
def test_requests_of_each_dialect(dialect: Any) -> None:
    sounds = sound(1), sound(2, 1.0)
    dialogue = (
        Turn("user", "listen", sounds),
        Turn("assistant", "I did"),
        Turn("user", "so?", (sounds[0],)),
        Turn("assistant", "a dog"),
        Turn("user", "when?"),
    )
    with ChatServer() as server:
        asked_model: LanguageModel = model(server, dialect=dialect)
        asked_model.answer([dialogue])
        asked_model.answer_flags([dialogue], 3)
    free, flags = server.asked
    assert free.path == flags.path == "/v1/chat/completions"
    assert free.body["messages"] == flags.body["messages"]
    assert without_messages(free) == SAME
    assert without_messages(flags) == SAME | FIELDS[dialect]
    first, second, third, fourth, last = free.body["messages"]
    kind = "audio_url" if dialect == "sglang" else "input_audio"
    assert [part["type"] for part in first["content"]] == [kind, kind, "text"]
    assert first["content"][2] == {"type": "text", "text": "listen"}
    assert second == {"role": "assistant", "content": "I did"}
    assert [part["type"] for part in third["content"]] == [kind, "text"]
    assert fourth == {"role": "assistant", "content": "a dog"}
    assert last == {"role": "user", "content": "when?"}
    for sent, arrived in zip((*sounds, sounds[0]), free.sounds, strict=True):
        if dialect == "plain":
            np.testing.assert_allclose(arrived, sent, rtol=0, atol=1 / 32768)
        else:
            np.testing.assert_array_equal(arrived, sent)


def without_messages(asked: Asked) -> dict[str, Any]:
    return {name: value for name, value in asked.body.items() if name != "messages"}


def test_one_window() -> None:
    with ChatServer() as server:
        model(server).answer_flags([said("?")], 1)
        model(server, dialect="llama.cpp").answer_flags([said("?")], 1)
    assert server.asked[0].body["structured_outputs"] == {"regex": r"\[[01]\]"}
    assert server.asked[1].body["grammar"] == 'root ::= "[" [01] "]"'


def test_a_long_list_may_be_longer_than_other_answers() -> None:
    with ChatServer() as server:
        model(server, max_tokens=100).answer_flags([said("?")], 60)
        model(server, max_tokens=100).answer([said("?")])
    assert [asked.body["max_tokens"] for asked in server.asked] == [240, 100]


def test_extra_fields_go_over_the_others() -> None:
    extra = {"seed": 7, "top_k": 1, "max_tokens": None, "structured_outputs": {"choice": ["[1]"]}}
    with ChatServer() as server:
        model(server, extra_body=extra).answer_flags([said("?")], 1)
    fields = without_messages(server.asked[0])
    assert fields == {
        **{"model": "tiny", "temperature": 0, "seed": 7, "top_k": 1},
        **{"logprobs": True, "top_logprobs": 20, "structured_outputs": {"choice": ["[1]"]}},
    }


@pytest.mark.parametrize("part", ["input_audio", "audio_url"])
def test_the_kind_of_audio_part_can_be_chosen(part: Any) -> None:
    with ChatServer() as server:
        model(server, audio_part=part).answer([said("?", sound(3))])
    assert server.asked[0].body["messages"][0]["content"][0]["type"] == part
    np.testing.assert_array_equal(server.asked[0].sounds[0], sound(3))


@pytest.mark.parametrize(
    ("given", "path"),
    [
        ("", "/v1/chat/completions"),
        ("/", "/v1/chat/completions"),
        ("/v1", "/v1/chat/completions"),
        ("/v1/", "/v1/chat/completions"),
        ("/v1/chat/completions", "/v1/chat/completions"),
        ("/api/v3", "/api/v3/chat/completions"),
    ],
)
def test_addresses_with_and_without_a_path(given: str, path: str) -> None:
    with ChatServer() as server:
        ServerModel(server.url + given, "tiny").answer([said("?")])
    assert server.asked[0].path == path


def test_the_only_model_is_asked_for_once() -> None:
    with ChatServer(models=["org/some-model"]) as server:
        asked_model = ServerModel(server.url)
        assert server.listings == 0
        assert asked_model.name.startswith("org/some-model on a server")
        asked_model.answer([said("a"), said("b")])
    assert server.listings == 1
    assert {asked.body["model"] for asked in server.asked} == {"org/some-model"}


@pytest.mark.parametrize(("models", "listed"), [(["one", "two"], "one, two"), ([], "none")])
def test_without_a_name_there_must_be_one_model(models: list[str], listed: str) -> None:
    with (
        ChatServer(models=models) as server,
        pytest.raises(LanguageModelError, match=f"model must be given .* it lists: {listed}"),
    ):
        ServerModel(server.url).answer([said("?")])


def test_the_name_has_what_answers_depend_on_and_no_more() -> None:
    with ChatServer() as server:
        name = model(server).name
        same = ServerModel("http://elsewhere", "tiny", retries=0, concurrency=1, api_key=KEY).name
    assert name == same
    others = [
        ServerModel("http://x", "large"),
        ServerModel("http://x", "tiny", dialect="plain"),
        ServerModel("http://x", "tiny", audio_part="audio_url"),
        ServerModel("http://x", "tiny", max_tokens=3),
        ServerModel("http://x", "tiny", extra_body={"top_k": 1}),
    ]
    assert len({name, *(other.name for other in others)}) == 6


# What comes back


def token(text: str, **others: float) -> dict[str, Any]:
    listed = [{"token": other, "logprob": logprob} for other, logprob in others.items()]
    return {"token": text, "logprob": others.get(text, 0.0), "top_logprobs": listed}


def test_probabilities_of_flags() -> None:
    one, zero = np.log([0.6, 0.2]).tolist()
    tokens = [token("["), token("1", **{"1": one, "0": zero}), token(","), token("0"), token("]")]
    reply = Reply(completion("[1,0]", {"content": tokens}))
    with ChatServer(lambda asked: reply) as server:
        (answer,) = model(server).answer_flags([said("?")], 2)
        (free,) = model(server).answer([said("?")])
    assert answer.text == free.text == "[1,0]"
    assert answer.probabilities == pytest.approx((0.75, 0.0))
    assert free.probabilities is None


@pytest.mark.parametrize("text", ["[1,0,1]", "A dog barks, then a car.", "", None])
def test_other_answers_than_the_wanted_list_are_returned_as_they_are(text: str | None) -> None:
    tokens = [token(sign) for sign in text or ""]
    reply = Reply(completion(text, {"content": tokens}))
    with ChatServer(lambda asked: reply) as server:
        (answer,) = model(server).answer_flags([said("?")], 2)
    assert answer.text == (text or "")
    assert answer.probabilities is None
    assert len(server.asked) == 1


def test_an_answer_cut_short_is_returned_and_noted(caplog: pytest.LogCaptureFixture) -> None:
    reply = Reply(completion("[1,", finish_reason="length"))
    with ChatServer(lambda asked: reply) as server:
        (answer,) = model(server).answer_flags([said("?")], 2)
    assert answer.text == "[1,"
    assert "cut off at its most tokens" in caplog.text


def test_order_is_kept_and_requests_are_made_together() -> None:
    together = threading.Barrier(3, timeout=20)  # breaks, unless three are under way at once

    def late(asked: Asked) -> Reply:
        together.wait()
        time.sleep(0.002 * (11 - int(asked.words)))
        return echo(asked)

    with ChatServer(late) as server:
        answers = model(server, concurrency=3).answer([said(str(i)) for i in range(12)])
    assert [answer.text for answer in answers] == [str(i) for i in range(12)]
    assert server.most_at_once == 3


def test_one_at_a_time() -> None:
    with ChatServer(echo) as server:
        answers = model(server, concurrency=1).answer([said(str(i)) for i in range(5)])
    assert server.most_at_once == 1
    assert [answer.text for answer in answers] == list("01234")
    assert model(server).answer([]) == []


# What goes wrong


PASSING = {
    "an internal error": (Reply({"error": "out of memory"}, 500), "status 500.*out of memory"),
    "overload": (Reply({"error": "busy"}, 503), "status 503"),
    "too many requests": (Reply({}, 429), "status 429"),
    "a conflict": (Reply({}, 409), "status 409"),
    "cut in the body": (Reply(sent=20), "RemoteProtocolError"),
    "cut before the body": (Reply(sent=0), "RemoteProtocolError"),
    "nothing": (Reply(silent=True), r"nothing came for 1 s"),
}
WRONG = {
    "no JSON": (Reply(b"<html>proxy</html>"), "status 200 and no JSON: <html>proxy</html>"),
    "half of JSON": (Reply(b'{"choices": [{"mess'), "no JSON"),
    "no text": (Reply(b"\xff\xfe\x00"), "no JSON"),
    "no choices": (Reply({"choices": []}), "no chat completion"),
    "a list": (Reply([1, 2]), "no chat completion"),
    "an error in a good reply": (Reply({"error": "queue full"}), "no chat completion.*queue full"),
    "a text that is none": (Reply(completion(["x"])), "no chat completion of text"),  # type: ignore[arg-type]
    "no content": (Reply(b"", 204), "status 204 and no JSON"),
}


def patience(fault: str) -> float:
    return 1.0 if fault == "nothing" else 60.0


@pytest.mark.parametrize("fault", PASSING)
def test_what_passes_is_tried_again(fault: str, waits: list[float]) -> None:
    reply, _ = PASSING[fault]
    with ChatServer(echo, first=[reply, reply]) as server:
        (answer,) = model(server, timeout_s=patience(fault)).answer([said("hello")])
    assert answer.text == "hello"
    assert len(server.asked) == 3
    assert 0.25 <= waits[0] <= 0.5 <= waits[1] <= 1.0


@pytest.mark.parametrize("fault", PASSING)
def test_what_does_not_pass_is_an_error_after_the_last_try(fault: str, waits: list[float]) -> None:
    reply, message = PASSING[fault]
    with (
        ChatServer(lambda asked: reply) as server,
        pytest.raises(LanguageModelError, match=message) as caught,
    ):
        model(server, timeout_s=patience(fault), retries=1).answer([said("hello")])
    assert len(server.asked) == 2
    assert f"{server.url}/v1/chat/completions gave no usable answer in 2 tries" in str(caught.value)
    assert len(waits) == 1


@pytest.mark.parametrize("fault", WRONG)
def test_a_reply_of_another_form_is_an_error_at_once(fault: str) -> None:
    reply, message = WRONG[fault]
    with (
        ChatServer(lambda asked: reply) as server,
        pytest.raises(LanguageModelError, match=message) as caught,
    ):
        model(server).answer([said("hello")])
    assert len(server.asked) == 1
    assert f"{server.url}/v1/chat/completions gave no usable answer" in str(caught.value)


def test_nobody_at_the_address(waits: list[float]) -> None:
    with pytest.raises(LanguageModelError, match=r"in 5 tries; the last: ConnectError"):
        ServerModel(closed_address(), "tiny").answer([said("?")])
    assert len(waits) == 4
    assert all(0.25 * 2**i <= wait <= 0.5 * 2**i for i, wait in enumerate(waits))


@pytest.mark.parametrize(
    ("asked_for", "least", "most"),
    [("7", 7.0, 7.0), ("120", 120.0, 120.0), ("0", 0.0, 0.5), ("-3", 0.0, 0.5)],
)
def test_a_server_may_say_how_long_to_wait(
    asked_for: str, least: float, most: float, waits: list[float]
) -> None:
    busy = Reply({}, 429, {"Retry-After": asked_for})
    with ChatServer(first=[busy]) as server:
        model(server).answer([said("?")])
    assert least <= waits[0] <= most


def test_a_server_that_wants_minutes_is_not_waited_for(waits: list[float]) -> None:
    busy = Reply({"error": "come back"}, 429, {"Retry-After": "100000"})
    with (
        ChatServer(lambda asked: busy) as server,
        pytest.raises(LanguageModelError, match=r"in 1 try; the last: status 429.*come back"),
    ):
        model(server).answer([said("?")])
    assert waits == []


def test_the_wait_may_be_given_as_a_date(waits: list[float]) -> None:
    date = time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime(time.time() + 30))
    with ChatServer(first=[Reply({}, 503, {"Retry-After": date})]) as server:
        model(server).answer([said("?")])
    assert 20 < waits[0] <= 30


def test_a_wait_that_is_no_time_is_passed_over(waits: list[float]) -> None:
    with ChatServer(first=[Reply({}, 503, {"Retry-After": "soon"})]) as server:
        model(server).answer([said("?")])
    assert 0.25 <= waits[0] <= 0.5


@pytest.mark.parametrize(
    ("status", "message"),
    [
        (400, "dialect, audio_part and extra_body"),
        (401, "COPROP_API_KEY"),
        (403, "COPROP_API_KEY"),
        (404, "base address"),
        (405, "does not take this request"),
        (413, "too long for this server"),
        (422, "dialect, audio_part and extra_body"),
    ],
)
def test_refusals_are_errors_at_once(status: int, message: str) -> None:
    with (
        ChatServer(lambda asked: Reply({"error": {"message": "no thanks"}}, status)) as server,
        pytest.raises(LanguageModelError, match=f"status {status}.*no thanks.*{message}"),
    ):
        model(server).answer([said("?")])
    assert len(server.asked) == 1


def test_redirections_are_not_followed() -> None:
    with (
        ChatServer() as other,
        ChatServer(lambda asked: Reply({}, 307, {"Location": other.url})) as server,
    ):
        with pytest.raises(LanguageModelError, match=f"leads elsewhere .status 307, {other.url}"):
            model(server, api_key=KEY).answer([said("?")])
        assert other.asked == []


def test_one_refusal_ends_the_call() -> None:
    def some(asked: Asked) -> Reply:
        return Reply({}, 400) if asked.words == "3" else Reply(silent=True)

    before = threading.active_count()
    with ChatServer(some) as server:
        with pytest.raises(LanguageModelError, match="status 400"):
            model(server, concurrency=4).answer([said(str(i)) for i in range(40)])
        assert len(server.asked) <= 4
        assert not client_threads()
    assert threads_after(before) == before


def threads_after(most: int) -> int:
    """How many threads there are, after a moment in which those of libraries end."""
    end = time.monotonic() + 5
    while threading.active_count() > most and time.monotonic() < end:
        time.sleep(0.01)
    return threading.active_count()


def test_inside_a_running_loop() -> None:
    """Notebooks run one."""

    async def cell() -> list[Any]:
        return model(server).answer([said("a"), said("b")])

    with ChatServer(echo) as server:
        assert [answer.text for answer in asyncio.run(cell())] == ["a", "b"]


@pytest.mark.skipif(os.name == "nt", reason="signals to one thread are not Windows'")
@pytest.mark.parametrize("dialogues", [1, 6])
def test_an_interrupt_ends_the_call_at_once(dialogues: int) -> None:
    main = threading.main_thread().ident
    assert main is not None

    def interrupt(asked: Asked) -> Reply:
        if len(server.asked) == min(dialogues, 3):
            signal.pthread_kill(main, signal.SIGINT)
        return Reply(silent=True)

    with ChatServer(interrupt) as server:
        with pytest.raises(KeyboardInterrupt):
            model(server, concurrency=3).answer([said("?")] * dialogues)
        assert len(server.asked) == min(dialogues, 3)
        assert not client_threads()


@pytest.mark.skipif(os.name == "nt", reason="signals to one thread are not Windows'")
def test_an_interrupt_ends_the_waits_between_tries() -> None:
    main = threading.main_thread().ident
    assert main is not None

    def busy(asked: Asked) -> Reply:
        if len(server.asked) == 3:
            threading.Timer(0.1, signal.pthread_kill, (main, signal.SIGINT)).start()
        return Reply({}, 429, {"Retry-After": "60"})

    with ChatServer(busy) as server:
        with pytest.raises(KeyboardInterrupt):
            model(server, concurrency=3).answer([said("?")] * 3)
        assert not client_threads()


def client_threads() -> list[str]:
    return [t.name for t in threading.enumerate() if t.name.startswith("coprop-server")]


# Several servers


def test_several_addresses_are_told_of_load_balancers() -> None:
    with pytest.raises(LanguageModelError, match=r"one server, got several.*load balancer.*nginx"):
        ServerModel(["http://one:8000", "http://two:8000"], "tiny")  # type: ignore[arg-type]


# Keys


@pytest.mark.parametrize("given", ["argument", "COPROP_API_KEY", "OPENAI_API_KEY"])
def test_the_key_is_sent(given: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if given == "argument":
        monkeypatch.setenv("COPROP_API_KEY", "another")
    else:
        monkeypatch.setenv(given, f"{KEY}\n")
    with ChatServer() as server:
        model(server, api_key=KEY if given == "argument" else None).answer([said("?")])
    assert server.asked[0].authorization == f"Bearer {KEY}"


def test_the_projects_own_variable_comes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "another")
    monkeypatch.setenv("COPROP_API_KEY", KEY)
    with ChatServer() as server:
        model(server).answer([said("?")])
    assert server.asked[0].authorization == f"Bearer {KEY}"


def test_without_a_key_none_is_sent() -> None:
    with ChatServer() as server:
        model(server).answer([said("?")])
    assert server.asked[0].authorization is None


def test_the_key_is_told_to_nobody_else(
    caplog: pytest.LogCaptureFixture, waits: list[float]
) -> None:
    caplog.set_level(logging.DEBUG)
    told: list[str] = []
    faults = [Reply({"error": f"{KEY} is not known"}, status) for status in (401, 500)]
    faults += [Reply({"error": KEY}), Reply(KEY.encode()), Reply(sent=3)]
    for fault in faults:
        with ChatServer(lambda asked, fault=fault: fault) as server:  # type: ignore[misc]
            asked_model = model(server, api_key=KEY, retries=1)
            with pytest.raises(LanguageModelError) as caught:
                asked_model.answer([said("?", sound(1))])
            told += [repr(asked_model), asked_model.name, *_chain(caught.value)]
    assert any("***" in each for each in told)
    assert KEY not in "\n".join([*told, caplog.text])
    assert "Retrying request" in caplog.text


def _chain(error: BaseException | None) -> Iterator[str]:
    while error is not None:
        yield f"{error!r} {error}"
        error = error.__cause__ or error.__context__


# Options that cannot be


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"dialect": "ollama"}, "dialect must be one of"),
        ({"audio_part": "file"}, "audio_part must be one of"),
        ({"timeout_s": 0}, "timeout_s must be a positive number of seconds"),
        ({"timeout_s": float("nan")}, "timeout_s must be a positive"),
        ({"max_audio_s": float("inf")}, "max_audio_s must be a positive"),
        ({"retries": -1}, "retries must be a whole number of at least 0"),
        ({"concurrency": 0}, "concurrency must be a whole number of at least 1"),
        ({"max_tokens": 0}, "max_tokens must be"),
        ({"max_tokens": 2.5}, "max_tokens must be"),
        ({"extra_body": {"x": {1, 2}}}, "extra_body must be what JSON can hold"),
        ({"extra_body": {"stream": True}}, "leave stream out"),
        ({"api_key": "one two"}, "printable ASCII without spaces"),
        ({"api_key": "schlüssel"}, "printable ASCII without spaces"),
    ],
)
def test_bad_options_are_named(options: dict[str, Any], message: str) -> None:
    with pytest.raises(LanguageModelError, match=message) as caught:
        ServerModel("http://localhost:8000", "tiny", **options)
    assert options.get("api_key", KEY) not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("localhost:8000", "must be the address of a server, such as http://localhost:8000"),
        ("", "must be the address of a server"),
        ("ftp://host/v1", "must be the address of a server"),
        ("http://host:8000:9/v1", "must be the address of a server"),
        ("http://host:port/v1", "must be the address of a server"),
        ("http://[::1/v1", "must be the address of a server"),
        ("http://host/v1?key=abc", "A key belongs in api_key"),
        ("http://me:abc@host/v1", "A key belongs in api_key"),
        ([], "must be the address of one server"),
        (None, "must be the address of a server"),
        (8000, "must be the address of a server"),
        ("http://a b", "must be the address of a server"),
    ],
)
def test_bad_addresses_are_named(url: str, message: str) -> None:
    with pytest.raises(LanguageModelError, match=message) as caught:
        ServerModel(url, "tiny")
    assert "abc" not in str(caught.value)


@pytest.mark.parametrize(
    ("dialogue", "message"),
    [
        ((), "the last turn of a dialogue must be the user's"),
        ((Turn("user", "a"), Turn("assistant", "b")), "the last turn of a dialogue must be"),
        (said("?", np.full(10, np.nan, dtype=np.float32)), "NaN"),
        (said("?", np.zeros((2, 10), dtype=np.float32)), r"got float32 of shape \(2, 10\)"),
        (said("?", sound(1, 30.5)), "hears 30 s"),
    ],
)
def test_what_cannot_be_sent_is_named_before_anything_is(dialogue: Any, message: str) -> None:
    with ChatServer() as server, pytest.raises(LanguageModelError, match=message):
        model(server).answer([said("good"), dialogue])
    assert server.asked == []


def test_windows_must_be_some() -> None:
    with pytest.raises(LanguageModelError, match="windows must be at least 1, got 0"):
        ServerModel("http://localhost", "tiny").answer_flags([said("?")], 0)


def test_certificates_are_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[Any] = []
    client = openai.DefaultAsyncHttpxClient

    def remembered(**options: Any) -> Any:
        made.append(options["verify"])
        return client(**options)

    monkeypatch.setattr(openai, "DefaultAsyncHttpxClient", remembered)
    for url in ("https://localhost", "http://localhost"):
        ServerModel(url, "tiny")._server._client()
    assert made[0] is True
    assert (made[1].verify_mode, made[1].check_hostname) == (ssl.CERT_REQUIRED, True)


def test_numbers_of_other_types_are_numbers() -> None:
    options: dict[str, Any] = {
        "timeout_s": Fraction(60),
        "retries": np.int64(1),
        "concurrency": np.float32(2),
        "max_tokens": np.array(64),
    }
    with ChatServer(echo) as server:
        answers = model(server, **options).answer([said("a"), said("b")])
    assert [answer.text for answer in answers] == ["a", "b"]
    assert server.asked[0].body["max_tokens"] == 64
