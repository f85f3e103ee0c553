"""What moves in a picture is found, whatever the camera does."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from coprop.keyframes.motion import SURROUNDINGS, motion_map

HEIGHT, WIDTH, SIDE = 192, 256, 24
FRAMES = SURROUNDINGS.frames


def texture(height: int, width: int) -> Tensor:
    """(3, height, width) of soft blotches, which phase correlation can hold on to."""
    generator = torch.Generator().manual_seed(0)
    coarse = torch.rand(1, 3, height // 8, width // 8, generator=generator)
    return torch.nn.functional.interpolate(coarse, (height, width), mode="bicubic")[0].clamp(0, 1)


def clip(*, pan: int, moves: int) -> Tensor:
    """(1, T, 3, 192, 256): a camera that pans, and a white square that goes down before it."""
    scene = texture(HEIGHT, WIDTH + FRAMES * 16)
    frames = []
    for number in range(FRAMES):
        frame = scene[:, :, number * pan : number * pan + WIDTH].clone()
        left = 48 - number * pan
        top = 32 + number * moves
        frame[:, top : top + SIDE, left : left + SIDE] = 1.0
        frames.append(frame)
    return torch.stack(frames)[None]


@pytest.mark.parametrize("pan", [0, 4, 8])
def test_what_moves_is_found_under_a_still_and_a_panning_camera(pan: int) -> None:
    moving = motion_map(clip(pan=pan, moves=8))
    assert moving.shape == (1, 1, HEIGHT // 4, WIDTH // 4)
    found = moving[0, 0] > 0.5
    swept = torch.zeros_like(found)
    swept[32 // 4 : (32 + (FRAMES - 1) * 8 + SIDE) // 4 + 1, 48 // 4 - 1 : (48 + SIDE) // 4 + 1] = 1
    assert found[swept].float().mean() > 0.3
    assert found[~swept].float().mean() < 0.02


def test_a_thing_before_a_plain_wall_is_not_taken_for_the_camera() -> None:
    frames = torch.full((1, FRAMES, 3, HEIGHT, WIDTH), 0.5)
    for number in range(FRAMES):
        top = 48 + number * 12
        frames[:, number, :, top : top + 48, 100:148] = texture(48, 48)
    found = motion_map(frames)[0, 0] > 0.5
    assert found[12:33, 25:37].float().mean() > 0.3
    assert not found[:, :22].any()
    assert not found[:, 40:].any()


def test_nothing_moves() -> None:
    assert not motion_map(clip(pan=0, moves=0)).any()
    assert not motion_map(clip(pan=8, moves=0)).gt(0.5).float().mean() > 0.02
    noise = clip(pan=0, moves=0) + 0.01 * torch.randn(1, FRAMES, 3, HEIGHT, WIDTH)
    assert not motion_map(noise).any()


def test_a_cut_tells_nothing() -> None:
    """Where all of the picture differs there is no thing that moves."""
    frames = torch.rand(1, FRAMES, 3, HEIGHT, WIDTH, generator=torch.Generator().manual_seed(1))
    frames = torch.nn.functional.avg_pool2d(frames.flatten(0, 1), 9, 1, 4)
    frames = (frames - frames.mean()) * 5 + 0.5
    assert motion_map(frames.unflatten(0, (1, FRAMES))).gt(0.5).float().mean() <= 0.5


def test_keyframes_do_not_see_each_other() -> None:
    both = torch.cat([clip(pan=0, moves=8), clip(pan=4, moves=4)])
    alone = torch.cat([motion_map(each[None]) for each in both])
    torch.testing.assert_close(motion_map(both), alone)


def test_shapes_without_memory() -> None:
    assert motion_map(torch.zeros(2, 4, 3, 64, 96, device="meta")).shape == (2, 1, 16, 24)
