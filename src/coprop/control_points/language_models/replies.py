"""What servers reply, checked to be of the form that OpenAI documents."""

from __future__ import annotations

import json
import logging
from typing import Any

from coprop.control_points.language_models.base import Answer
from coprop.control_points.language_models.faults import PassingError, quoted
from coprop.control_points.language_models.logprobs import flag_probabilities

logger = logging.getLogger(__name__)


def read_answer(reply: Any, windows: int | None) -> Answer:
    """The text of a chat completion, as it is, and for N flags their probabilities.

    An answer that was cut off at its most tokens is returned too, and logged. A content of null
    is an answer of no words.

    Args:
        reply: the parsed JSON.
        windows: N where flags were asked for, None for a free answer.

    Raises:
        PassingError: no chat completion.
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
        PassingError: no list of models.
    """
    try:
        return [str(model["id"]) for model in reply["data"]]
    except (KeyError, TypeError):
        raise _other_than("list of models", reply) from None


def _choice(reply: Any) -> dict[str, Any]:
    try:
        choice: dict[str, Any] = reply["choices"][0]
        text = choice["message"]["content"]
    except (KeyError, IndexError, TypeError):
        raise _other_than("chat completion", reply) from None
    if not isinstance(text, str | None):
        raise _other_than("chat completion of text", reply)
    return choice


def _other_than(wanted: str, reply: Any) -> PassingError:
    return PassingError(f"status 200 and no {wanted}: {quoted(json.dumps(reply))}")
