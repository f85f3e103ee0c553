"""What is sent to servers: the fields that each kind of server takes, and sound as WAV files."""

from __future__ import annotations

import base64
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from coprop.control_points.language_models.base import LLM_SAMPLE_RATE

DialectName = Literal["vllm", "sglang", "llama.cpp", "plain"]
AudioPart = Literal["input_audio", "audio_url"]


@dataclass(frozen=True)
class Dialect:
    """How one kind of server is spoken to.

    Args:
        audio_part: the kind of message part that it takes sound in: "input_audio" is OpenAI's,
            "audio_url" holds a data URL.
        float_samples: whether it reads WAV files of float32 samples, which arrive bit for bit;
            others are sent 16-bit samples, rounded to 1/32768.
        flags: the fields of a request for N flags: what holds the answer to "[1,0,...]", and what
            asks for the tokens' probabilities.
    """

    audio_part: AudioPart
    float_samples: bool
    flags: Callable[[int], dict[str, Any]]


# vLLM decodes by libsndfile, SGLang by libsndfile or torchaudio, llama.cpp by miniaudio; all of
# these read float samples. OpenAI's own service documents "wav" and says no more.
def dialect_named(name: DialectName) -> Dialect:
    """vLLM from 0.12 on, SGLang, llama.cpp's llama-server, or any other server.

    "plain" asks for neither a constraint nor probabilities, since strict servers refuse fields
    that they do not know.
    """
    return {
        "vllm": Dialect("input_audio", True, _vllm),
        "sglang": Dialect("audio_url", True, _sglang),
        "llama.cpp": Dialect("input_audio", True, _llama_cpp),
        "plain": Dialect("input_audio", False, lambda windows: {}),
    }[name]


_LOGPROBS = {"logprobs": True, "top_logprobs": 20}  # 20 is OpenAI's and vLLM's most


def _vllm(windows: int) -> dict[str, Any]:
    return {**_LOGPROBS, "structured_outputs": {"regex": flags_regex(windows)}}


def _sglang(windows: int) -> dict[str, Any]:
    return {**_LOGPROBS, "regex": flags_regex(windows)}


def _llama_cpp(windows: int) -> dict[str, Any]:
    return {**_LOGPROBS, "grammar": flags_grammar(windows)}


def flags_regex(windows: int) -> str:
    r"""The regular expression of a list of N flags without spaces, such as ``\[[01](,[01]){4}\]``.

    A regular expression and not a JSON schema, which would leave spaces free.
    """
    return r"\[[01]" + (f"(,[01]){{{windows - 1}}}" if windows > 1 else "") + r"\]"


def flags_grammar(windows: int) -> str:
    """The same in GBNF, the grammar notation of llama.cpp."""
    return 'root ::= "[" ' + ' "," '.join(["[01]"] * windows) + ' "]"'


def json_messages(
    chat: Sequence[dict[str, Any]], *, audio_part: AudioPart, float_samples: bool
) -> list[dict[str, Any]]:
    """The ``messages`` of a chat request.

    Args:
        chat: as `base.messages` returns it.
        audio_part: the kind of part that sounds become.
        float_samples: as for `wav_bytes`.

    Returns:
        A message for each of the chat's. Those of words alone have them as a string for content,
        which every server takes.
    """
    return [
        {**message, "content": _content(message["content"], audio_part, float_samples)}
        for message in chat
    ]


def wav_bytes(samples: NDArray[np.float32], *, float_samples: bool) -> bytes:
    """A mono WAV file at `LLM_SAMPLE_RATE`; equal samples give equal bytes.

    Args:
        samples: (n,) float32 in [-1, 1].
        float_samples: store them as they are; else as 16-bit integers, which divided by 32768
            differ from them by at most 1/32768.
    """
    if float_samples:
        data, code, width = samples.astype("<f4").tobytes(), 3, 4
    else:
        whole = np.clip(np.rint(samples.astype(np.float64) * 32768), -32768, 32767)
        data, code, width = whole.astype("<i2").tobytes(), 1, 2
    form = struct.pack(
        "<HHIIHH", code, 1, LLM_SAMPLE_RATE, LLM_SAMPLE_RATE * width, width, 8 * width
    )
    chunks = b"fmt " + struct.pack("<I", len(form)) + form
    chunks += b"data" + struct.pack("<I", len(data)) + data
    return b"RIFF" + struct.pack("<I", 4 + len(chunks)) + b"WAVE" + chunks


def _content(
    parts: Sequence[dict[str, Any]], audio_part: AudioPart, float_samples: bool
) -> str | list[dict[str, Any]]:
    if [part["type"] for part in parts] == ["text"]:
        return str(parts[0]["text"])
    return [
        part
        if part["type"] == "text"
        else _audio(wav_bytes(part["audio"], float_samples=float_samples), audio_part)
        for part in parts
    ]


def _audio(wav: bytes, audio_part: AudioPart) -> dict[str, Any]:
    data = base64.b64encode(wav).decode("ascii")
    if audio_part == "audio_url":
        return {"type": "audio_url", "audio_url": {"url": f"data:audio/wav;base64,{data}"}}
    return {"type": "input_audio", "input_audio": {"data": data, "format": "wav"}}
