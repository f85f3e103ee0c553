"""What differs between servers that call themselves OpenAI-compatible."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

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
