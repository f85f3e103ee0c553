"""What a language model's server answers."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random
from threading import Thread
from typing import Any

from bad_input.case import Case, Door, Expect
from bad_input.damage import damaged, damaged_json
from coprop import ControlPointDetector
from coprop.control_points.language_models.server import ServerModel
from coprop.control_points.rcpg.answers import Failure, Flags, parse_flags
from pipeline_samples import noise

_TOKENS = [{"token": t, "logprob": -0.1, "top_logprobs": []} for t in "[1,0,1]"]
_CHOICE = {"message": {"role": "assistant", "content": "[1,0,1]"}, "logprobs": {"content": _TOKENS}}
_REPLY = json.dumps({"choices": [{"index": 0, "finish_reason": "stop", **_CHOICE}]})
_HEADS = (
    "Content-Type: application/json", "Content-Type: text/html; charset=utf-7",
    "Content-Type: application/json; charset=no-such",
    "Content-Type: application/json; charset=\xff",
    "Content-Encoding: gzip", "Content-Encoding: br", "Transfer-Encoding: chunked",
    "X: " + "y" * 9000,
    "Content-Length: -1", "Content-Length: 99999999999", "Content-Length: x", "Retry-After: NaN",
    "Retry-After: 1e400", "Retry-After: Sun, 99 Foo 0000", "Location: http://[::1",
    "Location: file:///",
    "Location: \xff\0", "Set-Cookie: =;=", ": nameless", "no colon",
)  # fmt: skip
_STATUS = ("HTTP/1.1 200 OK",) * 6 + (
    "HTTP/1.1 302 Found", "HTTP/1.1 307 x", "HTTP/1.1 400 Bad", "HTTP/1.1 429 Busy",
    "HTTP/1.1 500 x",
    "HTTP/1.1 999 x", "HTTP/1.1 -1 x", "HTTP/9.9 200 OK", "ICY 200 OK", "", "HTTP/1.1 204 Nothing",
)  # fmt: skip
_WORDS = ("[1,0,1]", "[1, 0", "1 0 1", "[[1],[0,1]]", "\u0661", "【1、0、1】", "<think>",
"</think>", "Frame",
          " 1: 1", "\0", "١٢", "first window is 1,", "[" * 99, "]" * 99, "\n", "9" * 5000, "−1",
          "NaN")  # fmt: skip


@contextmanager
def _serving(reply: bytes) -> Iterator[str]:
    """A server on loopback that answers whatever it is asked with these bytes."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(20)

        def serve() -> None:
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                with connection:
                    connection.settimeout(0.5)
                    try:
                        _whole_request(connection)
                        connection.sendall(reply)
                    except OSError:
                        continue

        thread = Thread(target=serve, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}"
        server.shutdown(socket.SHUT_RDWR)
    thread.join()


def _whole_request(connection: socket.socket) -> None:
    asked = b""
    while b"\r\n\r\n" not in asked:
        asked += connection.recv(65_536) or b"\r\n\r\n"
    head, _, body = asked.partition(b"\r\n\r\n")
    lines = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:] if b": " in line)
    missing = int(lines.get(b"content-length", 0)) - len(body)
    while missing > 0 and (more := connection.recv(65_536)):
        missing -= len(more)


def _reply(rng: Random) -> tuple[str, bytes]:
    words, body = ("right", _REPLY.encode()) if rng.random() < 0.2 else damaged_json(rng, _REPLY)
    status, heads = (
        rng.choice(_STATUS),
        [rng.choice(_HEADS) for _ in range(rng.choice((0, 1, 1, 2)))],
    )
    if not any(head.startswith(("Content-Length", "Transfer")) for head in heads):
        heads.append(f"Content-Length: {len(body)}")
    head = "\r\n".join([status, *heads, "Connection: close"]).encode("latin-1")
    data = head + b"\r\n\r\n" + body
    words = f"{status}, {[h[:40] for h in heads]}, {words}"
    if rng.random() < 0.15:
        more, data = damaged(rng, data)
        words += f", {more}"
    return words, data


def _asked(rng: Random) -> Case:
    words, data = _reply(rng)
    failing, steps = rng.choice(("raise", "novelty")), rng.choice((1, 3))

    def call(folder: Path) -> Any:
        with _serving(data) as url:
            model = ServerModel(url, "tiny", retries=0, timeout_s=2)
            detector = ControlPointDetector.rcpg(model, steps=steps, on_failure=failing, retries=0)  # type: ignore[arg-type]
            return detector(noise(0.6), windows=3)

    return Case(f"{steps} steps, {failing}: {words}", Expect.EITHER, call)


def _listed(rng: Random) -> Case:
    words, body = damaged_json(rng, json.dumps({"data": [{"id": "tiny"}]}))
    head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"

    def call(folder: Path) -> Any:
        with _serving(head.encode() + body) as url:
            return ServerModel(url, retries=0, timeout_s=2).model and None

    return Case(f"models listed: {words}", Expect.EITHER, call)


def _parsed(rng: Random) -> Case:
    text = "".join(rng.choice(_WORDS) for _ in range(rng.choice((0, 1, 3, 9))))
    windows = rng.choice((1, 3, 3, 500))

    def call(folder: Path) -> Any:
        found = parse_flags(text, windows)
        right = (isinstance(found, Failure) and found.reason) or (isinstance(found, Flags) and (
            len(found.values) == windows and set(found.values) <= {0, 1} and found.values[0] == 1
        ))  # fmt: skip
        return None if right else float("inf")

    return Case(f"an answer of {windows} flags: {text[:80]!r}", Expect.ACCEPTED, call)


DOORS = {
    "reply": Door(_asked, 4.0),
    "models": Door(_listed, 1.0),
    "answer": Door(_parsed, 1.0),
}
