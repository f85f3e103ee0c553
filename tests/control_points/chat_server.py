"""A chat server on loopback that answers as it is told, and keeps what it was asked."""

from __future__ import annotations

import base64
import io
import json
import threading
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any

import numpy as np
import soundfile
from numpy.typing import NDArray

Body = dict[str, Any]


@dataclass
class Asked:
    """One request, as it arrived."""

    path: str
    authorization: str | None
    body: Body

    @property
    def words(self) -> str:
        """The text of the last turn."""
        content = self.body["messages"][-1]["content"]
        return content if isinstance(content, str) else content[-1]["text"]

    @property
    def sounds(self) -> list[NDArray[np.float32]]:
        """Every sound of every turn, decoded as servers do, by libsndfile."""
        contents = [
            m["content"] for m in self.body["messages"] if not isinstance(m["content"], str)
        ]
        return [sound_of(part) for parts in contents for part in parts if part["type"] != "text"]


def sound_of(part: Body) -> NDArray[np.float32]:
    if part["type"] == "audio_url":
        kind, data = part["audio_url"]["url"].split(",", 1)
        assert kind == "data:audio/wav;base64"
    else:
        assert part["input_audio"]["format"] == "wav"
        data = part["input_audio"]["data"]
    wav = base64.b64decode(data, validate=True)
    samples, rate = soundfile.read(io.BytesIO(wav), dtype="float32")
    assert rate == 16_000
    return np.asarray(samples, dtype=np.float32)


def completion(text: str | None, logprobs: object = None, finish_reason: str = "stop") -> Body:
    message = {"role": "assistant", "content": text}
    choice = {"index": 0, "message": message, "finish_reason": finish_reason}
    return {"choices": [choice | ({"logprobs": logprobs} if logprobs else {})]}


@dataclass
class Reply:
    """What is sent back.

    Args:
        body: JSON, or bytes as they are.
        status: of HTTP.
        headers: besides the length.
        sent: of the body's bytes; the connection is closed after them, though all were promised.
        silent: nothing is sent until the client or the server closes.
    """

    body: Any = field(default_factory=lambda: completion("yes"))
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    sent: int | None = None
    silent: bool = False


class ChatServer:
    """Used as a context; serves while inside it.

    Args:
        answer: makes the reply to a request, in the request's own thread.
        first: replies to the first requests, in place of ``answer``'s.
        models: the names that it lists.
    """

    def __init__(
        self,
        answer: Callable[[Asked], Reply] = lambda asked: Reply(),
        first: Iterable[Reply] = (),
        models: Iterable[str] = ("tiny",),
    ) -> None:
        self.asked: list[Asked] = []
        self.listings = 0
        self.most_at_once = 0
        self.closing = threading.Event()
        self._answer, self._first, self._models = answer, deque(first), list(models)
        self._at_once = 0
        self._lock = threading.Lock()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> ChatServer:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.closing.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def reply_to(self, asked: Asked) -> Reply:
        with self._lock:
            self.asked.append(asked)
            self._at_once += 1
            self.most_at_once = max(self.most_at_once, self._at_once)
            first = self._first.popleft() if self._first else None
        try:
            return first or self._answer(asked)
        finally:
            with self._lock:
                self._at_once -= 1

    def listing(self) -> Reply:
        self.listings += 1
        return Reply({"object": "list", "data": [{"id": name} for name in self._models]})


def _handler(server: ChatServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            found = self.path.endswith("/models")
            self._send(server.listing() if found else Reply({"error": "no such page"}, 404))

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            self._send(server.reply_to(Asked(self.path, self.headers.get("Authorization"), body)))

        def _send(self, reply: Reply) -> None:
            if reply.silent:
                server.closing.wait()
                self.close_connection = True
                return
            body = reply.body if isinstance(reply.body, bytes) else json.dumps(reply.body).encode()
            self.send_response(reply.status)
            for name, value in reply.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body[: reply.sent])
            self.close_connection = reply.sent is not None

        def log_message(self, format: str, *args: object) -> None:
            pass

    return Handler
