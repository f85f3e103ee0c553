"""Against a server of others: `transformers serve` with a tiny Qwen2-Audio, over HTTP."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple
from urllib.request import urlopen

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from tiny_qwen import write_tiny_qwen2_audio

from coprop.control_points.language_models.base import Dialogue, Turn
from coprop.control_points.language_models.server import ServerModel
from coprop.errors import LanguageModelError

TOKENS = 20


class Peer(NamedTuple):
    url: str
    folder: Path


@pytest.fixture(scope="module")
def peer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Peer]:
    folder = write_tiny_qwen2_audio(tmp_path_factory.mktemp("qwen") / "tiny")
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    from transformers.cli.serve import Serve

    # In a thread: a process of its own would import for ten seconds what is imported here.
    server = Serve(str(folder), device="cpu", host="127.0.0.1", port=port, non_blocking=True)
    try:
        url = f"http://127.0.0.1:{port}"
        _wait_for(url)
        yield Peer(url, folder)
    finally:
        server.kill_server()


def _wait_for(url: str) -> None:
    end = time.monotonic() + 120
    while time.monotonic() < end:
        try:
            with urlopen(f"{url}/health", timeout=10) as reply:
                if reply.status == 200:
                    return
        except OSError:
            time.sleep(0.1)
    pytest.fail("the server did not start")


@pytest.fixture(scope="module")
def directly(peer: Peer) -> Any:
    """The likeliest answer by transformers in this process."""
    from transformers import AutoModelForMultimodalLM, AutoProcessor

    model = AutoModelForMultimodalLM.from_pretrained(peer.folder).eval()
    processor = AutoProcessor.from_pretrained(peer.folder)

    def answer(dialogue: Dialogue) -> str:
        chat = [
            {
                "role": turn.role,
                "content": [
                    *({"type": "audio", "audio": audio} for audio in turn.audios),
                    {"type": "text", "text": turn.text},
                ],
            }
            for turn in dialogue
        ]
        encoded = processor.apply_chat_template(
            chat, add_generation_prompt=True, tokenize=True, return_dict=True, return_tensors="pt"
        )
        with torch.inference_mode():
            ids = model.generate(**encoded, max_new_tokens=TOKENS, do_sample=False)
        ids = ids[:, encoded["input_ids"].shape[1] :]
        return str(processor.batch_decode(ids, skip_special_tokens=True)[0])

    return answer


def sound(seed: int, seconds: float = 0.5) -> NDArray[np.float32]:
    """Samples that 16 bits hold exactly."""
    rng = np.random.default_rng(seed)
    return (rng.integers(-25_000, 25_000, round(seconds * 16_000)) / 32768).astype(np.float32)


def dialogues() -> list[Dialogue]:
    first = (Turn("user", "What do you hear?", (sound(1),)),)
    return [
        first,
        (Turn("user", "What do you hear?", (sound(2, 1.0),)),),
        (*first, Turn("assistant", "A dog, then a car."), Turn("user", "When does it change?")),
        (Turn("user", "Which is louder?", (sound(3), sound(4))),),
        (Turn("user", "Say something."),),
    ]


@pytest.mark.parametrize("dialect", ["plain", "llama.cpp"])  # 16-bit samples, and float ones
def test_it_hears_what_a_model_in_this_process_hears(
    dialect: Any, peer: Peer, directly: Any
) -> None:
    model = ServerModel(peer.url, dialect=dialect, max_tokens=TOKENS, concurrency=2)
    answers = [answer.text for answer in model.answer(dialogues())]
    assert answers == [directly(dialogue) for dialogue in dialogues()]
    assert len(set(answers)) == len(answers)  # each depends on what was said and heard
    assert model.model == str(peer.folder)


def test_flags_are_free_text_there(peer: Peer, directly: Any) -> None:
    model = ServerModel(peer.url, str(peer.folder), dialect="plain", max_tokens=TOKENS)
    (answer,) = model.answer_flags(dialogues()[:1], 5)
    assert answer.text == directly(dialogues()[0])
    assert answer.probabilities is None


def test_a_dialect_that_it_does_not_speak_is_refused(peer: Peer) -> None:
    model = ServerModel(peer.url, dialect="vllm")
    with pytest.raises(LanguageModelError, match=r"status 422.*structured_outputs.*see whether di"):
        model.answer_flags(dialogues()[:1], 5)


def test_another_name_is_refused(peer: Peer) -> None:
    with pytest.raises(LanguageModelError, match=r"status 400.*pinned to"):
        ServerModel(peer.url, "another", dialect="plain").answer(dialogues()[:1])
