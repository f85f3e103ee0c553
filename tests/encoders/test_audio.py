from __future__ import annotations

import torch

from coprop.encoders.audio import fit_window


def test_longer_sound_is_cropped_to_its_middle() -> None:
    assert fit_window(torch.arange(10.0)[None], 4).tolist() == [[3, 4, 5, 6]]


def test_shorter_sound_is_followed_by_zeros() -> None:
    assert fit_window(torch.ones(2, 3), 5).tolist() == 2 * [[1, 1, 1, 0, 0]]


def test_fitting_sound_is_untouched() -> None:
    samples = torch.rand(2, 7)
    assert torch.equal(fit_window(samples, 7), samples)
