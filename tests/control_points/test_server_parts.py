from __future__ import annotations

import io
import math
import re
import wave
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from numpy.typing import NDArray

from coprop.control_points.language_models.replies import flag_probabilities
from coprop.control_points.language_models.requests import flags_grammar, flags_regex, wav_bytes

SAMPLES = arrays.arrays(
    np.float32, st.integers(1, 500), elements=st.floats(-1, 1, width=32, allow_subnormal=True)
)


# Sound


@settings(deadline=None)
@given(SAMPLES)
def test_float_samples_arrive_bit_for_bit(samples: NDArray[np.float32]) -> None:
    file = io.BytesIO(wav_bytes(samples, float_samples=True))
    arrived, rate = soundfile.read(file, dtype="float32")
    assert rate == 16_000
    np.testing.assert_array_equal(arrived, samples)


@settings(deadline=None)
@given(SAMPLES)
def test_whole_samples_arrive_to_a_rounding(samples: NDArray[np.float32]) -> None:
    file = io.BytesIO(wav_bytes(samples, float_samples=False))
    arrived, rate = soundfile.read(file, dtype="float32")
    assert rate == 16_000
    np.testing.assert_allclose(arrived, samples, rtol=0, atol=1 / 32768)
    whole = np.float32(np.rint(samples * 32767) / 32768)  # what 16-bit files decode to
    file = io.BytesIO(wav_bytes(whole, float_samples=False))
    np.testing.assert_array_equal(soundfile.read(file, dtype="float32")[0], whole)


def test_whole_samples_are_the_plainest_of_files() -> None:
    with wave.open(io.BytesIO(wav_bytes(np.zeros(7, np.float32), float_samples=False))) as file:
        assert file.getparams()[:4] == (1, 2, 16_000, 7)


# Constraints


def test_the_constraints_of_flags() -> None:
    for windows in (1, 2, 5, 31):
        right = "[" + ",".join("10"[i % 2] for i in range(windows)) + "]"
        assert re.fullmatch(flags_regex(windows), right)
        assert not re.fullmatch(flags_regex(windows + 1), right)
        assert not re.fullmatch(flags_regex(windows), right.replace("1", "2", 1))
        parts = flags_grammar(windows).removeprefix("root ::= ").split()
        assert "".join(part.strip('"') if part != "[01]" else "#" for part in parts) == (
            "[" + ",".join("#" * windows) + "]"
        )


# Probabilities


def listed(text: str, shares: dict[str, float]) -> dict[str, Any]:
    """A token as servers report it, with the likely ones in its place."""
    top = [
        {"token": other, "logprob": math.log(share), "bytes": list(other.encode())}
        for other, share in sorted(shares.items(), key=lambda pair: -pair[1])
    ]
    chosen = math.log(shares[text])
    return {"token": text, "logprob": chosen, "bytes": list(text.encode()), "top_logprobs": top}


SHARES = st.floats(1e-6, 0.45)
SPACES = st.sampled_from(["", " ", "\n"])


@st.composite
def answers(draw: st.DrawFn) -> tuple[list[dict[str, Any]], list[float], bool]:
    """Tokens of an answer, P(1) of each flag, and whether each digit has a token to itself."""
    windows = draw(st.integers(1, 8))
    before, after = draw(st.sampled_from(["", "[1] Here: ", "Sure! "])), draw(SPACES)
    text = before + "["
    digits: dict[int, tuple[float, float]] = {}
    for index in range(windows):
        text += draw(SPACES)
        digits[len(text)] = draw(SHARES), draw(SHARES)
        zero, one = digits[len(text)]
        text += str(int(one > zero)) + draw(SPACES) + ("," if index + 1 < windows else "]")
    text += after
    cuts = draw(st.sets(st.integers(1, len(text) - 1)))
    if draw(st.booleans()):  # as tokenizers that keep digits apart have it
        cuts |= set(digits) | {place + 1 for place in digits}
    edges = [0, *sorted(cut for cut in cuts if cut < len(text)), len(text)]
    tokens, apart = [], True
    for start, stop in pairwise(edges):
        piece, inside = text[start:stop], [place for place in digits if start <= place < stop]
        shares = {piece: 0.9}
        if inside and piece.strip() in ("0", "1"):
            zero, one = digits[inside[0]]
            shares = {piece.replace("1", "0"): zero, piece.replace("0", "1"): one, "x": 0.01}
        elif inside:
            apart = False
        tokens.append(listed(piece, shares))
    return tokens, [one / (zero + one) for zero, one in digits.values()], apart


@settings(deadline=None, max_examples=300)
@given(answers())
def test_any_cut_of_an_answer_into_tokens(
    answer: tuple[list[dict[str, Any]], list[float], bool],
) -> None:
    tokens, wanted, apart = answer
    found = flag_probabilities(tokens, len(wanted))
    if apart:
        assert found == pytest.approx(tuple(wanted))
    else:
        assert found is None
    assert flag_probabilities(tokens, len(wanted) + 1) is None


def one_flag(token: dict[str, Any]) -> tuple[float, ...] | None:
    return flag_probabilities([listed("[", {"[": 1.0}), token, listed("]", {"]": 1.0})], 1)


@pytest.mark.parametrize(
    ("token", "wanted"),
    [
        (listed("1", {"1": 0.6, "0": 0.2, "a": 0.1}), 0.75),
        (listed("1", {"1": 0.6, "a": 0.2, "b": 0.1}), 0.6 / 0.7),  # "0" as likely as "b" at most
        (listed("0", {"0": 0.6, "a": 0.2, "b": 0.1}), 0.1 / 0.7),
        (listed("1", {"1": 0.97, "a": 0.02}), 0.97 / 0.98),  # 0.01 is all that is left over
        (listed("1", {"1": 1.0}), 1.0),
        (listed("0", {"0": 0.8}), 0.2),
        (listed("1", {"1": 0.4, " 1": 0.2, "0": 0.1, " 0": 0.1}), 0.75),
        (listed(" 1", {" 1": 0.3, "0": 0.1}), 0.75),
        ({"token": "1", "logprob": math.log(0.7), "top_logprobs": []}, 0.7),
        ({"token": "1", "logprob": math.log(0.7), "top_logprobs": None}, 0.7),
        ({"token": "1", "logprob": math.log(0.7)}, 0.7),
        ({"token": "1", "logprob": -0.5, "top_logprobs": [{"token": "0", "logprob": -9999}]}, 1.0),
    ],
)
def test_digits_that_are_not_listed(token: dict[str, Any], wanted: float) -> None:
    assert one_flag(token) == pytest.approx((wanted,))


def test_a_chosen_digit_below_the_listed_ones() -> None:
    token = listed("1", {"1": 0.05, "0": 0.6, "a": 0.2})
    token["top_logprobs"] = [each for each in token["top_logprobs"] if each["token"] != "1"]
    assert one_flag(token) == pytest.approx((0.05 / 0.65,))


@pytest.mark.parametrize(
    "token",
    [
        {"token": "1", "logprob": -9999.0, "top_logprobs": [{"token": "0", "logprob": -9999.0}]},
        {"token": "1", "logprob": None, "top_logprobs": []},
        {"token": "1", "logprob": float("nan"), "top_logprobs": []},
        {"token": "1", "logprob": 1e9, "top_logprobs": []},
        {"token": "1", "logprob": "low", "top_logprobs": []},
        {"token": "1", "logprob": -1.0, "top_logprobs": [{"token": "0"}]},
        {"token": "1", "logprob": -1.0, "top_logprobs": 3},
        {"token": "1"},
        {"token": "token_id:16", "logprob": -1.0},
        {"text": "1"},
        "1",
        None,
    ],
)
def test_reports_of_another_form_tell_nothing(token: Any) -> None:
    assert one_flag(token) is None


@pytest.mark.parametrize("tokens", [None, [], {}, "[1]", 3, [None]])
def test_no_report_tells_nothing(tokens: Any) -> None:
    assert flag_probabilities(tokens, 1) is None
