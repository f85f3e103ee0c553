"""What servers say when they fail, and what is to be made of it."""

from __future__ import annotations

import email.utils
import time

import httpx2

LONGEST_WAIT_S = 60.0
"""The longest wait between two tries, in seconds, whatever the server asks for."""

_QUOTED = 500  # characters of a server's words that an error repeats
_ADVICE = {
    400: "see whether dialect, audio_part and extra_body suit this server and model",
    401: "give the key as api_key, or in the environment variable COPROP_API_KEY",
    403: "give a key that may use this model as api_key, or in COPROP_API_KEY",
    404: "url must be the server's root or its base address such as http://host:8000/v1, and "
    "model a name that it serves",
    413: "the sound is too long for this server: cut it, or raise the server's limit",
    422: "see whether dialect, audio_part and extra_body suit this server and model",
}


class PassingError(Exception):
    """What another try may not meet; ``after_s`` is how long the server asks to wait, if it does.

    Users never meet it: it ends as another try or as a LanguageModelError.
    """

    def __init__(self, message: str, after_s: float | None = None) -> None:
        super().__init__(message)
        self.after_s = after_s


def advice_on(status: int) -> str:
    """What a user can do about a status that another try would meet again."""
    return _ADVICE.get(status, "the server does not take this request; see its own words")


def retry_after(response: httpx2.Response) -> float | None:
    """Seconds that the server asks to wait, by a number or a date; `LONGEST_WAIT_S` at most."""
    value = response.headers.get("retry-after", "").strip()
    try:
        return min(max(0.0, float(value)), LONGEST_WAIT_S)
    except ValueError:
        pass
    try:
        seconds = email.utils.parsedate_to_datetime(value).timestamp() - time.time()
        return min(max(0.0, seconds), LONGEST_WAIT_S)
    except (TypeError, ValueError):
        return None


def quoted(text: str) -> str:
    """A server's words on one line, shortened."""
    text = " ".join(text.split())
    return text if len(text) <= _QUOTED else text[:_QUOTED] + " ..."
