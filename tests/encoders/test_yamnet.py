"""YAMNet against the released file in its own runtime, on sounds of any length."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from released_golden import golden, samples

from coprop.encoders.yamnet import FineYAMNet, YAMNet, class_ids, class_names
from coprop.errors import CoPropError, ShapeError

WINDOW, RATE = 15_600, 16_000


@pytest.fixture(scope="module")
def yamnet() -> YAMNet:
    return YAMNet.from_pretrained()


@pytest.fixture(autouse=True)
def _no_gradients() -> object:
    with torch.inference_mode():
        yield


def sound(seconds: float) -> torch.Tensor:
    """(1, n): the macaw, over and over."""
    n = round(seconds * RATE)
    return samples()[3:].reshape(1, -1).repeat(1, 1 + n // (2 * WINDOW))[:, :n]


def reference_log_mel(waveform: NDArray[np.float64]) -> NDArray[np.float64]:
    """(frames, 64) by an FFT of each windowed frame, in float64."""
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(400) / 400)
    mel = lambda hertz: 1127 * np.log1p(np.asarray(hertz) / 700)  # noqa: E731
    edges = np.linspace(mel(125), mel(7500), 66)
    bins = mel(np.arange(257) * RATE / 512)
    filters = np.stack(
        [np.interp(bins, edges[i : i + 3], [0, 1, 0], left=0, right=0) for i in range(64)]
    )
    starts = range(0, len(waveform) - 399, 160)
    spectrum = [np.abs(np.fft.rfft(waveform[s : s + 400] * hann, 512)) for s in starts]
    return np.log(np.array(spectrum) @ filters.T + 0.001)


def test_scores_are_those_of_the_released_file(yamnet: YAMNet) -> None:
    """Its activations are 8-bit integers, so that it differs by some hundredths."""
    found, expected = yamnet.scores(samples())[:, 0].numpy(), golden("yamnet_scores")
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, rtol=0, atol=0.06)
    second, first = np.sort(expected, axis=1)[:, -2:].T
    clear = first - second > 0.15
    assert clear.sum() == 3
    assert (found.argmax(1) == expected.argmax(1))[clear].all()


def test_it_hears_what_the_example_holds(yamnet: YAMNet) -> None:
    names = [class_names()[i] for i in yamnet.scores(samples())[:, 0].argmax(1)]
    assert names == ["Music", "Music", "Silence", "Bird", "Bird"]


def test_bfloat16_differs_by_hundredths(yamnet: YAMNet) -> None:
    half = YAMNet.from_pretrained().to(torch.bfloat16)
    scores = half.scores(samples())
    assert scores.dtype == torch.float32
    assert half.tokens(samples()).dtype == torch.bfloat16
    torch.testing.assert_close(scores, yamnet.scores(samples()), rtol=0, atol=0.03)


def test_the_spectrogram_is_what_numpy_computes(yamnet: YAMNet) -> None:
    waveform = samples()[4]
    found = yamnet.log_mel(waveform[None])[0].numpy()
    assert found.shape == (96, 64)
    np.testing.assert_allclose(found, reference_log_mel(waveform.double().numpy()), atol=1e-4)
    silence = yamnet.log_mel(torch.zeros(1, 1000))
    torch.testing.assert_close(silence, torch.full((1, 4, 64), math.log(0.001)))


def test_shapes_without_memory() -> None:
    with torch.device("meta"):
        encoder, long = YAMNet(), torch.zeros(2, 10 * RATE)
    scores = encoder.scores(long)
    assert scores.shape == (2, 20, 521)
    assert scores.device.type == "meta"
    assert encoder.scores(long, hop_s=0.05).shape == (2, 182, 521)
    assert encoder.embeddings(long).shape == (2, 20, encoder.embedding_dim)
    assert encoder.tokens(long).shape == (2, 6, encoder.token_dim)
    assert encoder.embedding(long).shape == (2, encoder.embedding_dim)


def test_fine_tokens_tell_moments_apart_and_hold_what_sounds() -> None:
    """A beep at the end of the window changes the middle map's last tokens, not its first ones."""
    fine = FineYAMNet.from_pretrained()
    quiet, beep = torch.zeros(1, WINDOW), torch.zeros(1, WINDOW)
    beep[:, -2400:] = sound(0.15)
    tokens = torch.cat([fine.tokens(quiet), fine.tokens(beep)])
    assert tokens.shape == (2, 24, fine.token_dim)
    difference = (tokens[1] - tokens[0]).abs().view(6, 4, -1)[..., :512].amax(dim=(1, 2))
    assert float(difference[0]) < 1e-5
    assert float(difference[-1]) > 0.5
    coarse = YAMNet.from_pretrained().tokens(beep).view(3, 2, 1024)
    last = tokens[1].view(6, 4, -1)[..., 512:]
    torch.testing.assert_close(last[::2, ::2], coarse, rtol=0, atol=1e-5)
    torch.testing.assert_close(last[1::2, 1::2], coarse, rtol=0, atol=1e-5)


def test_a_finer_hop_agrees_where_patches_are_the_same(yamnet: YAMNet) -> None:
    coarse = yamnet.scores(sound(3.3), hop_s=0.5)
    fine = yamnet.scores(sound(3.3), hop_s=0.05)
    assert coarse.shape[1] == 6
    assert fine.shape[1] == 48
    torch.testing.assert_close(fine[:, ::10], coarse[:, : 1 + 47 // 10], rtol=0, atol=1e-5)
    assert float((fine[:, 5] - fine[:, 0]).abs().max()) > 0.01


def test_a_patch_is_the_sound_that_it_is_cut_from(yamnet: YAMNet) -> None:
    whole = sound(2.0)
    alone = yamnet.scores(whole[:, 4800 : 4800 + WINDOW])
    torch.testing.assert_close(yamnet.scores(whole, hop_s=0.1)[:, 3:4], alone, rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    ("n", "patches"),
    [(1, 1), (399, 1), (WINDOW - 1, 1), (WINDOW, 1), (WINDOW + 1, 2), (WINDOW + 7681, 3)],
)
def test_sound_of_any_length_is_followed_by_zeros(yamnet: YAMNet, n: int, patches: int) -> None:
    heard = sound(2)[:, :n]
    scores = yamnet.scores(heard)
    assert scores.shape == (1, patches, 521)
    padded = torch.nn.functional.pad(heard, (0, WINDOW + (patches - 1) * 7680 - n))
    torch.testing.assert_close(scores, yamnet.scores(padded), rtol=0, atol=0)
    assert yamnet.tokens(heard).shape == (1, 6, 1024)


def test_sounds_of_a_batch_do_not_hear_each_other(yamnet: YAMNet) -> None:
    together = yamnet.scores(samples(), hop_s=0.48)
    alone = torch.cat([yamnet.scores(one[None], hop_s=0.48) for one in samples()])
    torch.testing.assert_close(together, alone, rtol=0, atol=1e-5)


def test_many_patches_are_what_each_is(yamnet: YAMNet) -> None:
    """More of them than are computed at once, across two sounds."""
    pair = torch.cat([sound(5.0), sound(5.0).flip(1)])
    together = yamnet.embeddings(pair, hop_s=0.1)
    assert together.shape == (2, 42, 1024)
    alone = torch.cat([yamnet.embeddings(one[None], hop_s=0.1) for one in pair])
    torch.testing.assert_close(together, alone, rtol=1e-4, atol=1e-4)


def test_time_comes_first_in_the_tokens(yamnet: YAMNet) -> None:
    late, early = samples()[4:].clone(), samples()[4:].clone()
    late[:, :11_000], early[:, 4_600:] = 0, 0
    silent = yamnet.tokens(torch.zeros(1, WINDOW))
    changes = [
        (yamnet.tokens(each) - silent).reshape(3, 2, 1024).abs().mean((1, 2)).tolist()
        for each in (late, early)
    ]
    assert changes[0] == sorted(changes[0])
    assert changes[1] == sorted(changes[1], reverse=True)
    mean = yamnet.tokens(late).mean(1)
    torch.testing.assert_close(yamnet.embedding(late), mean)
    torch.testing.assert_close(yamnet.embeddings(late)[:, 0], mean, rtol=1e-4, atol=1e-5)


def test_gradients_reach_the_first_layer() -> None:
    with torch.inference_mode(False):
        encoder = YAMNet.from_pretrained()
        encoder.scores(samples().clone()).sum().backward()
        gradient = next(encoder.parameters()).grad
    assert gradient is not None
    assert gradient.abs().sum() > 0


def test_loaded_weights_have_their_channels_last(yamnet: YAMNet) -> None:
    """On CPUs it takes 0.6 of the time."""
    weights = [x for x in yamnet.parameters() if x.ndim == 4]
    assert all(x.is_contiguous(memory_format=torch.channels_last) for x in weights)


def test_classes_are_audiosets() -> None:
    assert len(class_names()) == len(class_ids()) == len(set(class_ids())) == 521
    assert class_names()[0] == "Speech"
    assert class_ids()[0] == "/m/09x0r"
    assert class_names()[1] == "Child speech, kid speaking"
    assert class_names()[494] == "Silence"


@pytest.mark.parametrize("shape", [(RATE,), (1, 2, RATE), (1, 0)])
def test_samples_of_another_shape_are_refused(yamnet: YAMNet, shape: tuple[int, ...]) -> None:
    for method in (yamnet.scores, yamnet.embeddings, yamnet.tokens, yamnet.embedding):
        with pytest.raises(ShapeError, match=r"must be \(B, n\) with n at least 1, got \("):
            method(torch.zeros(shape))


def test_integers_are_refused(yamnet: YAMNet) -> None:
    with pytest.raises(ShapeError, match=r"got torch\.int16; divide 16-bit integers by 32768"):
        yamnet.scores(torch.zeros(1, RATE, dtype=torch.int16))


def test_patches_of_another_shape_are_refused(yamnet: YAMNet) -> None:
    with pytest.raises(ShapeError, match=r"must be \(N, 96, 64\), got \(1, 95, 64\)"):
        yamnet.maps(torch.zeros(1, 95, 64))


@pytest.mark.parametrize("hop_s", [0.0, -0.48, 0.015, 0.001, math.nan, math.inf, "0.48", None])
def test_hops_between_columns_are_refused(yamnet: YAMNet, hop_s: Any) -> None:
    with pytest.raises(CoPropError, match=r"hop_s must be a multiple of 0\.01 s, .* got"):
        yamnet.scores(torch.zeros(1, RATE), hop_s=hop_s)
