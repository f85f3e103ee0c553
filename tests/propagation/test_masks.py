from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from coprop.propagation.masks import (
    aggregate,
    count_objects,
    resize_frame,
    split_groups,
    to_probabilities,
    working_size,
)


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        ((480, 854), (481, 849)),
        ((720, 1280), (577, 1041)),
        ((1080, 1920), (577, 1041)),
        ((224, 224), (225, 225)),
        ((256, 256), (257, 257)),
        ((360, 640), (353, 641)),
        ((465, 465), (465, 465)),
    ],
)
def test_working_size_is_the_official_evaluations(
    size: tuple[int, int], expected: tuple[int, int]
) -> None:
    assert working_size(*size, max_long_edge=1040) == expected


@settings(deadline=None)
@given(height=st.integers(1, 5000), width=st.integers(1, 5000))
def test_working_size_is_bounded_and_whole(height: int, width: int) -> None:
    for side in working_size(height, width, max_long_edge=480):
        assert side % 16 == 1
        assert 17 <= side <= 481


def test_a_frame_of_the_right_size_is_the_same_tensor() -> None:
    frame = torch.rand(1, 3, 33, 49)
    assert resize_frame(frame, (33, 49)) is frame
    resized = resize_frame(frame.round(), (17, 33))
    assert resized.shape == (1, 3, 17, 33)
    assert 0 <= resized.min() <= resized.max() <= 1


def test_labels_and_their_one_hot_are_the_same_mask() -> None:
    labels = torch.randint(0, 4, (2, 17, 33))
    one_hot = torch.nn.functional.one_hot(labels, 4).permute(0, 3, 1, 2).float()
    assert torch.equal(to_probabilities(labels, 3, (17, 33), torch.float32), one_hot)
    assert torch.equal(to_probabilities(one_hot, 3, (17, 33), torch.float32), one_hot)


def test_labels_resize_to_the_nearest_and_probabilities_smoothly() -> None:
    labels = torch.zeros(1, 40, 40, dtype=torch.long)
    labels[:, 20:] = 2
    mask = to_probabilities(labels, 2, (17, 17), torch.float32)
    assert mask.shape == (1, 3, 17, 17)
    assert set(mask.unique().tolist()) == {0.0, 1.0}
    assert mask[0, 1].sum() == 0
    soft = to_probabilities(mask, 2, (33, 33), torch.float32)
    assert ((soft > 0) & (soft < 1)).any()
    torch.testing.assert_close(soft.sum(1), torch.ones(1, 33, 33))


def test_void_belongs_to_no_channel_and_does_not_count() -> None:
    labels = torch.tensor([[[0, 1, 255]]])
    assert count_objects(labels, None) == 1
    mask = to_probabilities(labels, 1, (1, 3), torch.float32)
    assert mask[0, :, 0].tolist() == [[1, 0, 0], [0, 1, 0]]


@settings(deadline=None, max_examples=15)
@given(num_objects=st.integers(0, 23))
def test_groups_share_all_objects_and_sum_to_one(num_objects: int) -> None:
    probabilities = torch.rand(1, num_objects + 1, 4, 4).softmax(1)
    groups = split_groups(probabilities, 10)
    assert len(groups) == max(1, -(-num_objects // 10))
    assert [group.shape[1] for group in groups[:-1]] == [11] * (len(groups) - 1)
    for group in groups:
        torch.testing.assert_close(group.sum(1), torch.ones(1, 4, 4))
    objects = torch.cat([group[:, 1:] for group in groups], dim=1)
    assert torch.equal(objects, probabilities[:, 1:])


def test_aggregation_by_hand() -> None:
    first, second = torch.tensor([2.0, 0.0]), torch.tensor([0.0, 1.0])
    out = aggregate([first.view(1, 2, 1, 1), second.view(1, 2, 1, 1)]).sigmoid().flatten()
    p, q = first.softmax(0), second.softmax(0)
    torch.testing.assert_close(out, torch.stack([p[0] * q[0], p[1], q[1]]))
    extreme = aggregate([torch.tensor([99.0, -99.0]).view(1, 2, 1, 1).half()] * 2)
    assert extreme.isfinite().all()
    assert aggregate([first]) is first
