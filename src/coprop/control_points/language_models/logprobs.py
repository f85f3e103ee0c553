"""From the log probabilities of an answer's tokens to the probability of each flag."""

from __future__ import annotations

import math
import re
from typing import Any

FLAG_LIST = re.compile(r"\[\s*[01](?:\s*,\s*[01])*\s*\]")


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
    lists = list(FLAG_LIST.finditer(text))
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
