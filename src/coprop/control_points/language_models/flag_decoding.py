"""Holding a language model to a list of flags, "[1,0,0]", token by token."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from coprop.control_points.language_models.base import Answer
from coprop.errors import LanguageModelError

_SAMPLES = ("[0,0,0,0]", "[1,1,1,1]", "[0,1,0,1]", "[1,0,1,0]")  # all neighbours that lists hold


@dataclass(frozen=True)
class FlagTokens:
    """The tokens of which a list of flags consists, one for each character.

    Args:
        opening: id of "[".
        closing: id of "]".
        comma: id of ",".
        zero: id of "0".
        one: id of "1".
    """

    opening: int
    closing: int
    comma: int
    zero: int
    one: int

    @classmethod
    def of(cls, tokenizer: Any) -> FlagTokens | None:
        """Those of a tokenizer of transformers; None where it writes lists in other pieces.

        Lists with each pair of neighbours are encoded. Where a tokenizer joins characters, or has
        no token for one, a list spelt out by single characters would not be what its model learned
        to write.
        """
        ids: dict[str, int] = {}
        for text in _SAMPLES:
            tokens = tokenizer.encode(text, add_special_tokens=False)
            if len(tokens) != len(text):
                return None
            for character, token in zip(text, tokens, strict=True):
                if ids.setdefault(character, token) != token:
                    return None
        unknown = getattr(tokenizer, "unk_token_id", None)
        if len(set(ids.values())) != len(ids) or unknown in ids.values():
            return None
        return cls(*(ids[character] for character in "[],01"))

    def allowed(self, windows: int, prompt: int) -> Callable[[int, Tensor], list[int]]:
        """Which tokens may come next: transformers' ``prefix_allowed_tokens_fn``.

        Args:
            windows: N, how many flags the list has; it is 2 N + 1 tokens long.
            prompt: tokens before the list, padding included; the same for all of a batch.
        """
        digits, comma = [self.zero, self.one], [self.comma]
        plan = [[self.opening], *([digits, comma] * windows)[:-1], [self.closing]]
        return lambda batch, tokens: plan[min(len(tokens) - prompt, len(plan) - 1)]

    def answers(self, tokens: Tensor, logits: Sequence[Tensor]) -> list[Answer]:
        """Reads finished lists.

        Args:
            tokens: (B, 2 N + 1) ids of B lists.
            logits: for each of their tokens, the model's own (B, vocabulary) logits, to which
                nothing was done.

        Returns:
            For each list its text, and for each flag the softmax over the two digits at its place:
            given that the model writes one of them there, and given the flags before it, how
            probable "1" is.

        Raises:
            LanguageModelError: logits that are not finite.
        """
        pairs = torch.stack([step[:, [self.zero, self.one]] for step in logits[1::2]], dim=1)
        if not torch.isfinite(pairs).all():
            raise LanguageModelError(
                "the model returned NaN or infinite logits; check its weights, and in float16 its "
                "range: bfloat16 and float32 have a larger one."
            )
        probabilities = pairs.double().softmax(dim=-1)[..., 1].tolist()
        flags = (tokens[:, 1::2] == self.one).int().tolist()
        return [
            Answer(f"[{','.join(map(str, own))}]", tuple(chances))
            for own, chances in zip(flags, probabilities, strict=True)
        ]
