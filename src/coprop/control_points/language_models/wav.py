"""Sound as WAV files inside the JSON messages of a chat request."""

from __future__ import annotations

import base64
import struct
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from coprop.control_points.language_models.base import SAMPLE_RATE
from coprop.control_points.language_models.dialects import AudioPart


def json_messages(
    chat: Sequence[dict[str, Any]], *, audio_part: AudioPart, float_samples: bool
) -> list[dict[str, Any]]:
    """The ``messages`` of a chat request.

    Args:
        chat: as `chats.messages` returns it.
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
    """A mono WAV file at `SAMPLE_RATE`; equal samples give equal bytes.

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
    form = struct.pack("<HHIIHH", code, 1, SAMPLE_RATE, SAMPLE_RATE * width, width, 8 * width)
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
