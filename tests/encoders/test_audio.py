from __future__ import annotations

import numpy as np
import pytest
import torch

from coprop.encoders.audio import AudioEncoder, SmallAudioEncoder, fit_window
from coprop.encoders.sound_effects import SoundEffectsEncoder
from coprop.encoders.vggish import VGGish
from coprop.encoders.visual import VisualEncoder
from coprop.encoders.yamnet import YAMNet
from coprop.errors import ShapeError


def test_longer_sound_is_cropped_to_its_middle() -> None:
    assert fit_window(torch.arange(10.0)[None], 4).tolist() == [[3, 4, 5, 6]]


def test_shorter_sound_is_followed_by_zeros() -> None:
    assert fit_window(torch.ones(2, 3), 5).tolist() == 2 * [[1, 1, 1, 0, 0]]


def test_fitting_sound_is_untouched() -> None:
    samples = torch.rand(2, 7)
    assert torch.equal(fit_window(samples, 7), samples)


@pytest.mark.parametrize("make", [SmallAudioEncoder, SoundEffectsEncoder, VGGish, YAMNet])
def test_what_is_no_batch_of_floats_is_refused_by_every_encoder(make: type[AudioEncoder]) -> None:
    """Integers would be heard as noise far over full scale, and say nothing of it."""
    encoder = make()
    one, sound = torch.zeros(16_000), torch.zeros(1, 16_000)
    for samples in (one, sound.numpy(), np.zeros(5), [0.0]):
        with pytest.raises(ShapeError, match=r"^samples must be \(B, n\)"):
            encoder.tokens(samples)  # type: ignore[arg-type]
    with pytest.raises(ShapeError, match=r"got torch\.int16; divide 16-bit integers by 32768"):
        encoder.tokens(sound.to(torch.int16))


def test_steps_of_no_sound_are_refused() -> None:
    with pytest.raises(ShapeError, match="with n at least 1"):
        SoundEffectsEncoder().steps(torch.zeros(1, 0))


def test_a_visual_encoder_takes_colour_in_floats() -> None:
    """One channel would be taken for three, and bytes for light 255 times too bright."""
    encoder = VisualEncoder("resnet18")
    for shape in ((3, 64, 64), (1, 1, 64, 64), (1, 64, 64, 3)):
        with pytest.raises(ShapeError, match=r"^frames must be \(B, 3, H, W\), got \("):
            encoder(torch.zeros(shape))
    with pytest.raises(ShapeError, match="divide uint8 frames by 255"):
        encoder(torch.zeros(1, 3, 64, 64, dtype=torch.uint8))
    with pytest.raises(ShapeError, match="got ndarray"):
        encoder(np.zeros((1, 3, 64, 64)))
