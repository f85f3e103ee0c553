"""Masks at the network's size: labels as from all probabilities, which are made when asked for."""

from __future__ import annotations

import copy
import pickle
from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from coprop import CoProp, FrameMask
from coprop.errors import ShapeError
from coprop.inference.frame_masks import SoftMask, likeliest
from coprop.inference.segment_tracker import own_size
from coprop.media.frame_images import quick_image_of
from coprop.media.frames import frames_from
from coprop.propagation.masks import resize_frame
from pipeline_samples import Shifter, changes_at, clip_of, noise, small_propagator


def binary(frames: Tensor, audio: Tensor) -> Tensor:
    """Something large on the left sounds, with a soft edge."""
    slope = torch.linspace(4, -4, frames.shape[-1]).expand(len(frames), 1, *frames.shape[-2:])
    return slope.clone()


def three_classes(frames: Tensor, audio: Tensor) -> Tensor:
    logits = torch.zeros(len(frames), 3, *frames.shape[-2:])
    logits[:, 1, :, :6], logits[:, 2, :, 9:] = 3.0, 2.0
    return logits


@pytest.mark.parametrize("channels", [1, 2, 3, 7])
def test_likeliest_is_argmax(channels: int) -> None:
    values = torch.randint(0, 4, (2, channels, 30, 40)).float()  # with many equals
    assert torch.equal(likeliest(values), values.argmax(dim=1).to(torch.uint8))


@pytest.mark.parametrize("channels", [2, 4])
@pytest.mark.parametrize("aligned", [True, False])
def test_soft_masks_of_logits(channels: int, aligned: bool) -> None:
    logits = torch.randn(1, channels, 9, 13)
    soft = SoftMask(logits, (50, 70), are_logits=True, corners_aligned=aligned)
    eager = F.interpolate(logits, (50, 70), mode="bilinear", align_corners=aligned).softmax(1)[0]
    np.testing.assert_allclose(soft.probabilities(), eager.numpy(), atol=1e-5)
    np.testing.assert_array_equal(soft.channels(), eager.argmax(0).numpy())
    np.testing.assert_array_equal(soft.channels(), soft.probabilities().argmax(0))


def test_soft_masks_of_probabilities() -> None:
    values = torch.rand(1, 3, 9, 13).softmax(1)
    soft = SoftMask(values, (50, 70))
    eager = F.interpolate(values, (50, 70), mode="bilinear", align_corners=False)[0]
    np.testing.assert_allclose(soft.probabilities(), eager.numpy(), atol=1e-6)
    np.testing.assert_array_equal(soft.channels(), eager.argmax(0).numpy())


@pytest.mark.parametrize("model", [binary, three_classes])
@pytest.mark.parametrize("working_edge", [1040, 10])
def test_labels_are_those_of_the_probabilities(model: object, working_edge: int) -> None:
    pipeline = CoProp.wrap(
        model, detector=changes_at(0.5), propagator=small_propagator(), namer=None
    )
    pipeline.working_edge = working_edge
    result = pipeline(clip_of(8, 24, 32), noise(1), fps=8, keep_probabilities=True)
    for mask in result.masks:
        soft = mask.probabilities
        assert soft is not None
        assert soft.shape == (len(mask.classes), 24, 32)
        np.testing.assert_allclose(soft.sum(axis=0), 1, atol=1e-5)
        classes = np.array(mask.classes, dtype=np.uint8)
        np.testing.assert_array_equal(mask.labels, classes[soft.argmax(axis=0)])


def test_threads_may_ask_at_once() -> None:
    """One that finds nothing, and asks only when another has made them, gets those."""
    soft = np.full((2, 2, 2), 0.5, np.float32)
    mask = FrameMask(0, 0.0, np.zeros((2, 2), np.uint8), None, (0, 1), True)
    lazy = mask.with_probabilities_by(lambda: soft)
    made = lazy.probabilities
    assert lazy.__getattr__("probabilities") is made  # what Python calls in the slower thread


def test_probabilities_are_made_once_and_when_asked_for() -> None:
    made: list[int] = []

    def make() -> np.ndarray:
        made.append(1)
        return np.full((2, 4, 5), 0.5, dtype=np.float32)

    eager = FrameMask(3, 0.5, np.zeros((4, 5), dtype=np.uint8), None, (0, 1), False)
    mask = eager.with_probabilities_by(make)
    assert eager.probabilities is None
    assert "probabilities=(2, 4, 5) float32" in repr(mask)
    assert replace(mask, probabilities=None).probabilities is None
    assert not made
    soft = mask.probabilities
    assert soft is mask.probabilities
    assert soft is not None
    assert made == [1]
    assert not soft.flags.writeable
    with pytest.raises(AttributeError, match="assign"):
        mask.probabilities = None  # type: ignore[misc]


@pytest.mark.parametrize(
    "copied", [copy.copy, copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))]
)
def test_copies_hold_the_probabilities(copied: object) -> None:
    mask = FrameMask(3, 0.5, np.zeros((4, 5), dtype=np.uint8), None, (0, 1), False)
    lazy = mask.with_probabilities_by(lambda: np.full((2, 4, 5), 0.5, dtype=np.float32))
    other = copied(lazy)  # type: ignore[operator]
    np.testing.assert_array_equal(other.probabilities, lazy.probabilities)
    assert other.index == 3
    assert other.classes == (0, 1)


def test_what_is_made_is_checked_and_other_names_are_none() -> None:
    mask = FrameMask(3, 0.5, np.zeros((4, 5), dtype=np.uint8), None, (0, 1), False)
    with pytest.raises(ShapeError, match="channel for each class"):
        _ = mask.with_probabilities_by(lambda: np.zeros((3, 4, 5), np.float32)).probabilities
    with pytest.raises(AttributeError, match="probability"):
        _ = mask.probability  # type: ignore[attr-defined]


def test_streamed_masks_hold_no_more_than_the_network_gave() -> None:
    pipeline = CoProp.wrap(binary, detector=changes_at(), propagator=small_propagator(), namer=None)
    masks = list(pipeline.stream(clip_of(4, 240, 320), noise(1), fps=4))
    for mask in masks[1:]:
        assert "probabilities" not in vars(mask)
        held = mask._make.__self__.values  # type: ignore[attr-defined]
        assert held.numel() <= 2 * 65 * 65  # at max_long_edge=64


def test_the_propagator_gets_frames_at_its_own_size() -> None:
    propagator = small_propagator()
    assert own_size(propagator, (720, 1280)) == (33, 65)
    assert own_size(Shifter(), (720, 1280)) is None
    generator = np.random.default_rng(0)
    images = generator.integers(0, 256, (1, 90, 160, 3), dtype=np.uint8)
    frame = next(iter(frames_from(images, fps=1)))
    image = quick_image_of(frame, torch.device("cpu"), (33, 65), "bicubic")
    whole = torch.from_numpy(images).permute(0, 3, 1, 2).float() / 255
    assert image.dtype == torch.float32
    assert image.shape == (1, 3, 33, 65)
    # Resized as 8-bit numbers: half a level of 255, and what rows and columns round in turn.
    assert (image - resize_frame(whole, (33, 65))).abs().max() < 2 / 255
