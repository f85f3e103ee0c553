"""What servers reply, checked to be of the form that OpenAI documents."""

from __future__ import annotations

import logging
import math
import re
from typing import Any

from coprop.control_points.language_models.base import Answer

logger = logging.getLogger(__name__)

_QUOTED = 500  # characters of a server's words that an error repeats
_FLAG_LIST = re.compile(r"\[\s*[01](?:\s*,\s*[01])*\s*\]")


class WrongReplyError(Exception):
    """A reply of another form; its text says of which it should be.

    Users never meet it: it ends as a LanguageModelError.
    """


def read_answer(reply: Any, windows: int | None) -> Answer:
    """The text of a chat completion, as it is, and for N flags their probabilities.

    An answer that was cut off at its most tokens is returned too, and logged. A content of null
    is an answer of no words.

    Args:
        reply: the parsed JSON.
        windows: N where flags were asked for, None for a free answer.

    Raises:
        WrongReplyError: no chat completion.
    """
    choice = _choice(reply)
    if choice.get("finish_reason") == "length":
        logger.warning("an answer was cut off at its most tokens; max_tokens allows more.")
    text = choice["message"]["content"] or ""
    if windows is None:
        return Answer(text)
    logprobs = choice.get("logprobs")
    tokens = logprobs.get("content") if isinstance(logprobs, dict) else None
    return Answer(text, flag_probabilities(tokens, windows))


def read_model_names(reply: Any) -> list[str]:
    """The names of the models that a server lists.

    Raises:
        WrongReplyError: no list of models.
    """
    try:
        return [str(model["id"]) for model in reply["data"]]
    except (KeyError, TypeError):
        raise WrongReplyError("list of models") from None


def _choice(reply: Any) -> dict[str, Any]:
    try:
        choice: dict[str, Any] = reply["choices"][0]
        text = choice["message"]["content"]
    except (KeyError, IndexError, TypeError):
        raise WrongReplyError("chat completion") from None
    if not isinstance(text, str | None):
        raise WrongReplyError("chat completion of text")
    return choice


def quoted(text: str) -> str:
    """A server's words on one line, shortened."""
    text = " ".join(text.split())
    return text if len(text) <= _QUOTED else text[:_QUOTED] + " ..."


def flag_probabilities(tokens: Any, windows: int) -> tuple[float, ...] | None:
    """How probable the model held each flag of its answer to be 1.

    The flags are those of the last list in the answer. At each, the probabilities of "0" and "1"
    are taken from the tokens that the server lists as likely there, and scaled to sum to one. A
    digit that is not listed is as likely as the least likely token listed, at most, and at most
    what the listed ones leave over; the smaller of the two is taken for it.

    Args:
        tokens: ``choices[0].logprobs.content`` of a chat completion: one ``{"token": str,
            "logprob": float, "top_logprobs": [{"token": str, "logprob": float}, ...]}`` for each
            token of the answer.
        windows: N, how many flags were asked for.

    Returns:
        (N,) probabilities in [0, 1]. None where the server tells none, where the list is of
        another length, or where a flag shares its token with other signs, so that its probability
        is not told by itself.
    """
    try:
        texts = [str(token["token"]) for token in tokens]
        places = _digit_places("".join(texts), windows)
        chances = [_chance(tokens[index]) for index in _tokens_at(texts, places)]
    except (KeyError, TypeError, ValueError, OverflowError):
        return None  # not the agreed form, or no probabilities
    return tuple(chances)


def _digit_places(text: str, windows: int) -> list[int]:
    """Where in the text the digits of its last list stand."""
    lists = list(_FLAG_LIST.finditer(text))
    if not lists:
        raise ValueError("no list")
    first, last = lists[-1].span()
    places = [place for place in range(first, last) if text[place] in "01"]
    if len(places) != windows:
        raise ValueError("a list of another length")
    return places


def _tokens_at(texts: list[str], places: list[int]) -> list[int]:
    """The number of the token at each place of the text that they make up; one digit in each."""
    owners = [index for index, text in enumerate(texts) for _ in text]
    chosen = [owners[place] for place in places]
    if any(texts[index].strip() not in ("0", "1") for index in chosen):
        raise ValueError("a digit that shares its token")
    return chosen


def _chance(token: dict[str, Any]) -> float:
    """P(1) at a token that is a digit."""
    listed = [(str(other["token"]), other["logprob"]) for other in token.get("top_logprobs") or ()]
    if str(token["token"]) not in [text for text, _ in listed]:
        listed.append((str(token["token"]), token["logprob"]))
    shares = [(text.strip(), math.exp(float(logprob))) for text, logprob in listed]
    values = [share for _, share in shares]
    unlisted = max(0.0, min(*values, 1 - math.fsum(values)))
    zero, one = (_share(shares, digit, unlisted) for digit in ("0", "1"))
    if not 0 < zero + one < math.inf:
        raise ValueError("neither digit is likely")
    return one / (zero + one)


def _share(shares: list[tuple[str, float]], digit: str, unlisted: float) -> float:
    """Of the tokens that are this digit, with or without spaces around it."""
    found = [share for text, share in shares if text == digit]
    return math.fsum(found) if found else unlisted
