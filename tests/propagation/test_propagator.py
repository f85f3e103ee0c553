"""The state machine on a small propagator: state, sound, batches, sizes, training, bad input."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import FrozenInstanceError, replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from coprop.errors import AudioError, CoPropError, ShapeError
from coprop.propagation import AudioInsertPropagator, PropagationState, PropagatorConfig

Clip = tuple[Tensor, Tensor, Tensor]
Factory = Callable[..., AudioInsertPropagator]


def follow(
    propagator: AudioInsertPropagator, frames: Tensor, audio: Tensor | None, mask: Any
) -> list[Tensor]:
    sounds = [None] * frames.shape[1] if audio is None else list(audio.unbind(1))
    state = propagator.start(frames[:, 0], sounds[0], mask)
    outputs = []
    for t in range(1, frames.shape[1]):
        logits, state = propagator.step(frames[:, t], sounds[t], state)
        outputs.append(logits)
    return outputs


def assert_all_close(first: list[Tensor], second: list[Tensor], atol: float = 1e-5) -> None:
    assert len(first) == len(second) > 0
    for a, b in zip(first, second, strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=atol)


def test_the_mask_and_the_frames_matter(hearing: AudioInsertPropagator, clip: Clip) -> None:
    frames, audio, mask = clip
    outputs = follow(hearing, frames, audio, mask)
    assert [x.shape for x in outputs] == [(2, 3, 65, 81)] * 5
    other_mask = follow(hearing, frames, audio, mask.flip(2))
    other_frame = follow(hearing, frames.flip(4), audio, mask)
    assert (outputs[0] - other_mask[0]).abs().max() > 1e-3
    assert (outputs[0] - other_frame[0]).abs().max() > 1e-3


@pytest.mark.parametrize("levels", [(1, 2, 3, 4), (4,), (2,)])
def test_fresh_audio_changes_nothing(
    levels: tuple[int, ...], small_factory: Factory, clip: Clip
) -> None:
    frames, audio, mask = clip
    silent = small_factory(insert_levels=())
    fresh = small_factory(insert_levels=levels)
    own = fresh.state_dict()
    assert set(silent.state_dict()) == {k for k in own if not k.startswith("audio_insert.")}
    fresh.load_state_dict(silent.state_dict(), strict=False)
    assert_all_close(
        follow(fresh, frames, audio, mask), follow(silent, frames, None, mask), atol=1e-6
    )


def test_trained_audio_modules_hear(small: AudioInsertPropagator, hearing: Any, clip: Clip) -> None:
    frames, audio, mask = clip
    deaf = follow(small, frames, audio, mask)
    heard = follow(hearing, frames, audio, mask)
    other = follow(hearing, frames, audio.flip(1), mask)
    assert (deaf[0] - heard[0]).abs().max() > 1e-3
    assert (heard[0] - other[0]).abs().max() > 1e-4


def test_identities_hear_at_the_keyframe(small_factory: Factory, clip: Clip) -> None:
    """With the identity's sound alone, only what memory holds of a frame can tell sounds."""
    frames, audio, mask = clip
    propagator = small_factory()
    assert propagator.network.audio_insert is not None
    torch.nn.init.normal_(propagator.network.audio_insert.identity.projection.weight)
    state = propagator.start(frames[:, 0], audio[:, 0], mask)
    other = propagator.start(frames[:, 0], audio[:, 1], mask)
    logits, _ = propagator.step(frames[:, 1], audio[:, 1], state)
    changed, _ = propagator.step(frames[:, 1], audio[:, 1], other)
    same, _ = propagator.step(frames[:, 1], audio[:, 0], state)
    assert (logits - changed).abs().max() > 1e-4
    torch.testing.assert_close(logits, same, rtol=0, atol=1e-6)
    empty = torch.zeros_like(mask)
    nothing = [propagator.start(frames[:, 0], audio[:, t], empty) for t in (0, 1)]
    first, second = (s.memories[0].short_term.values for s in nothing)
    torch.testing.assert_close(first, second, rtol=0, atol=1e-6)


def test_stepping_twice_from_one_state_gives_the_same(hearing: Any, clip: Clip) -> None:
    frames, audio, mask = clip
    before = [x.clone() for x in (frames, audio, mask)]
    state = hearing.start(frames[:, 0], audio[:, 0], mask)
    for t in (1, 2, 3, 4):
        first, after = hearing.step(frames[:, t], audio[:, t], state)
        hearing.step(frames[:, 5], audio[:, 5], after)
        hearing.add(frames[:, t], audio[:, t], mask, after)
        second, _ = hearing.step(frames[:, t], audio[:, t], state)
        torch.testing.assert_close(first, second, rtol=0, atol=1e-6)
        state = after
    assert all(torch.equal(a, b) for a, b in zip(before, clip, strict=True))
    with pytest.raises(FrozenInstanceError):
        state.step_index = 0


@pytest.mark.parametrize("capacity", [1, 2, None])
def test_an_old_state_stays_what_it_was(
    capacity: int | None, small_factory: Factory, clip: Clip
) -> None:
    """To the bit, also where memory is full and the steps from it make frames give way."""
    frames, _, mask = clip
    propagator = small_factory(insert_levels=(), long_term_gap=1, max_memory_frames=capacity)
    state = propagator.start(frames[:, 0], None, mask)
    for t in (1, 2, 3):
        _, state = propagator.step(frames[:, t], None, state)
    (memory,) = state.memories
    tensors = [
        x for part in (memory.long_term.tokens, memory.short_term) for x in (part.keys, part.values)
    ]
    before = [x.clone() for x in tensors]
    first, branch = propagator.step(frames[:, 4], None, state)
    propagator.add(frames[:, 4], None, mask, branch)
    for t in (5, 0, 1):
        _, branch = propagator.step(frames[:, t], None, branch)
    assert all(torch.equal(x, y) for x, y in zip(tensors, before, strict=True))
    second, again = propagator.step(frames[:, 4], None, state)
    assert torch.equal(first, second)
    third, _ = propagator.step(frames[:, 5], None, again)
    assert torch.equal(third, propagator.step(frames[:, 5], None, again)[0])


def test_the_network_is_a_part_of_it(small: AudioInsertPropagator) -> None:
    """What users see is what they need; names of weights are the network's own."""
    own = {name for name in vars(AudioInsertPropagator) if not name.startswith("_")}
    assert own == {
        *("start", "step", "add", "unroll", "sample_rate", "window_s"),
        *("from_checkpoint", "config_type", "tags", "state_dict", "compile", "completed"),
    }
    assert [name for name, _ in small.named_children()] == ["network"]
    assert [*small.state_dict()] == [*small.network.state_dict()]


def test_a_batch_is_its_clips(hearing: AudioInsertPropagator, clip: Clip) -> None:
    frames, audio, mask = clip
    both = follow(hearing, frames, audio, mask)
    for i in (0, 1):
        alone = follow(hearing, frames[i : i + 1], audio[i : i + 1], mask[i : i + 1])
        assert_all_close(alone, [x[i : i + 1] for x in both], atol=1e-4)


def test_one_hot_probabilities_are_labels(hearing: AudioInsertPropagator, clip: Clip) -> None:
    frames, audio, mask = clip
    one_hot = F.one_hot(mask, 3).permute(0, 3, 1, 2).float()
    assert_all_close(follow(hearing, frames, audio, mask), follow(hearing, frames, audio, one_hot))


@pytest.mark.parametrize("dtype", [np.bool_, np.int8, np.uint16, np.uint32, np.uint64])
def test_labels_of_any_whole_type(dtype: type, hearing: AudioInsertPropagator, clip: Clip) -> None:
    """Pictures of labels have 16 bits where there are more than 255 of them."""
    frames, audio, mask = clip
    one = (mask == 1).long()
    assert_all_close(
        follow(hearing, frames, audio, one.numpy().astype(dtype)),
        follow(hearing, frames, audio, one),
    )


def test_clips_of_other_sizes_interleave(hearing: AudioInsertPropagator, clip: Clip) -> None:
    frames, audio, mask = clip
    large = F.interpolate(frames.flatten(0, 1), size=(100, 90)).unflatten(0, (2, 6))
    alone = [follow(hearing, x, audio, mask) for x in (frames, large)]
    states = [hearing.start(x[:, 0], audio[:, 0], mask) for x in (frames, large)]
    for t in range(1, 6):
        for i, x in enumerate((frames, large)):
            logits, states[i] = hearing.step(x[:, t], audio[:, t], states[i])
            torch.testing.assert_close(logits, alone[i][t - 1], rtol=0, atol=1e-5)
            assert logits.shape[-2:] == x.shape[-2:]


@pytest.mark.parametrize("cap", [1, 3, None])
def test_memory_over_forty_frames(cap: int | None, small_factory: Factory, clip: Clip) -> None:
    frames, _, mask = clip
    propagator = small_factory(insert_levels=(), long_term_gap=1, max_memory_frames=cap)
    state = propagator.start(frames[:1, 0], None, mask[:1])
    reference = state.memories[0].long_term.tokens.values.clone()
    for t in range(1, 41):
        _, state = propagator.step(frames[:1, t % 6], None, state)
    long_term = state.memories[0].long_term
    expected = tuple(range(41)) if cap is None else (0, *sorted(long_term.steps[1:]))
    assert tuple(sorted(long_term.steps)) == expected
    assert len(long_term) == (cap or 41) == long_term.tokens.keys.shape[2] // reference.shape[2]
    assert torch.equal(long_term.tokens.values[:, :, : reference.shape[2]], reference)


def test_output_size_and_odd_sizes(hearing: AudioInsertPropagator, clip: Clip) -> None:
    frames, audio, mask = clip
    odd = F.interpolate(frames[:, 0], size=(50, 7))
    state = hearing.start(odd, audio[:, 0], mask[:, ::3, ::5])
    assert state.size == (49, 17)
    logits, state = hearing.step(odd, audio[:, 1], state)
    assert logits.shape == (2, 3, 50, 7)
    logits, _ = hearing.step(odd, audio[:, 1], state, output_size=(20, 30))
    assert logits.shape == (2, 3, 20, 30)
    assert logits.isfinite().all()


def test_long_frames_are_worked_on_smaller(small_factory: Factory) -> None:
    propagator = small_factory(insert_levels=(), max_long_edge=65)
    frame = torch.rand(1, 3, 90, 130)
    state = propagator.start(frame, None, torch.ones(1, 90, 130, dtype=torch.uint8))
    assert state.size == (49, 65)
    assert propagator.step(frame, None, state)[0].shape == (1, 2, 90, 130)


def test_an_empty_mask_stays_empty(hearing: AudioInsertPropagator, clip: Clip) -> None:
    frames, audio, mask = clip
    outputs = follow(hearing, frames, audio, torch.zeros_like(mask))
    assert [x.shape[1] for x in outputs] == [1] * 5
    state = hearing.start(frames[:, 0], audio[:, 0], torch.zeros_like(mask))
    added = hearing.add(frames[:, 0], audio[:, 0], mask, state)
    assert added.num_objects == 2


def test_an_eleventh_object_opens_a_group(small: AudioInsertPropagator, clip: Clip) -> None:
    frames, audio, mask = clip
    state = small.start(frames[:, 0], audio[:, 0], mask, num_objects=10)
    logits, state = small.step(frames[:, 1], audio[:, 1], state)
    assert logits.shape[1] == 11
    more = torch.where(mask == 2, 11, mask)
    state = small.add(frames[:, 1], audio[:, 1], more, state)
    assert [len(memory.long_term) for memory in state.memories] == [2, 1]
    logits, _ = small.step(frames[:, 2], audio[:, 2], state)
    assert logits.shape[1] == 12
    assert logits.isfinite().all()


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_autocast_is_finite(dtype: torch.dtype, hearing: Any, clip: Clip) -> None:
    frames, audio, mask = clip
    full = follow(hearing, frames, audio, mask)[0]
    with torch.autocast("cpu", dtype):
        state = hearing.start(frames[:, 0], audio[:, 0], mask)
        logits, state = hearing.step(frames[:, 1], audio[:, 1], state)
    assert logits.dtype == torch.float32
    assert logits.isfinite().all()
    assert (logits - full).abs().mean() < 0.1
    after, _ = hearing.step(frames[:, 2], audio[:, 2], state)
    assert after.isfinite().all()


def test_the_modules_precision_is_the_inputs(small_factory: Factory, clip: Clip) -> None:
    frames, audio, mask = clip
    propagator = small_factory().to(torch.bfloat16)
    outputs = follow(propagator, frames, audio, mask)
    assert all(x.isfinite().all() for x in outputs)


@pytest.mark.parametrize(
    "config", [PropagatorConfig(), PropagatorConfig.aot_l(), PropagatorConfig.aot_t()]
)
def test_runs_on_any_device(config: PropagatorConfig) -> None:
    """Tensors made on a device of the code's own choosing would not mix with the meta device's."""
    with torch.device("meta"):
        propagator = AudioInsertPropagator(replace(config, long_term_gap=2))
    frame, audio = torch.empty(1, 3, 230, 300, device="meta"), torch.empty(1, 16000, device="meta")
    state = propagator.start(frame, audio, torch.empty(1, 13, 64, 64, device="meta"))
    for _ in range(2):  # the second frame goes into long-term memory
        logits, state = propagator.step(frame, audio, state)
    assert logits.is_meta
    assert logits.shape == (1, 13, 230, 300)
    labels = torch.empty(1, 230, 300, device="meta", dtype=torch.long)
    assert propagator.add(frame, audio, labels, state, num_objects=12).num_objects == 12


def test_inference_keeps_no_graph(hearing: AudioInsertPropagator, clip: Clip) -> None:
    frames, audio, mask = clip
    state = hearing.start(frames[:, 0], audio[:, 0], mask)
    logits, _ = hearing.step(frames[:, 1], audio[:, 1], state)
    assert logits.is_inference()


def test_unroll_equals_steps_and_trains_all_that_trains(small_factory: Factory, clip: Clip) -> None:
    frames, audio, mask = clip
    propagator = small_factory()
    outputs = propagator.unroll(frames, audio, mask)
    assert_all_close([x.detach() for x in outputs], follow(propagator, frames, audio, mask))
    torch.stack(outputs).square().mean().backward()
    for name, parameter in propagator.network.named_parameters():
        frozen = name.startswith("encoder.")
        assert (parameter.grad is None) == frozen == (not parameter.requires_grad), name
    last = [
        p.grad
        for n, p in propagator.named_parameters()
        if "audio_insert" in n and n.endswith("projection.weight")
    ]
    assert len(last) == 5
    assert all(grad is not None and grad.abs().max() > 0 for grad in last)


def test_unroll_can_be_told_the_masks(small_factory: Factory, clip: Clip) -> None:
    frames, audio, mask = clip
    propagator = small_factory()
    free = propagator.unroll(frames, audio, mask)
    told = propagator.unroll(frames, audio, mask, masks=[None, mask, None, None, None])
    torch.testing.assert_close(free[1], told[1], rtol=0, atol=1e-6)
    assert (free[2] - told[2]).abs().max() > 1e-4
    predicted: list[Tensor | None] = [x.argmax(1) for x in free]
    assert_all_close(propagator.unroll(frames, audio, mask, masks=predicted), free)


def test_drop_path_is_for_training_only(small_factory: Factory, clip: Clip) -> None:
    frames, _, mask = clip
    propagator = small_factory(insert_levels=(), drop_path=0.5)
    still = [propagator.unroll(frames[:, :2], None, mask)[0] for _ in range(2)]
    torch.testing.assert_close(*still, rtol=0, atol=1e-6)
    propagator.train()
    moving = [propagator.unroll(frames[:, :2], None, mask)[0] for _ in range(4)]
    assert any((x - still[0]).abs().max() > 1e-4 for x in moving)


def ok(**changes: Any) -> dict[str, Any]:
    mask = torch.zeros(1, 33, 33, dtype=torch.long)
    return {"frame": torch.rand(1, 3, 33, 33), "audio": torch.zeros(1, 800), "mask": mask} | changes


NAN = torch.tensor(float("nan"))


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"frame": torch.rand(3, 33, 33)}, ShapeError, r"frame\[None\]"),
        ({"frame": torch.rand(1, 33, 33, 3)}, ShapeError, "permute"),
        ({"frame": torch.rand(1, 3, 0, 33)}, ShapeError, "RGB"),
        ({"frame": torch.zeros(1, 3, 33, 33, dtype=torch.uint8)}, ShapeError, "/ 255"),
        ({"frame": torch.full((1, 3, 33, 33), 200.0)}, ShapeError, r"\[0, 1\], got 200"),
        ({"frame": NAN.expand(1, 3, 33, 33)}, ShapeError, "NaN"),
        ({"audio": None}, AudioError, r"insert_levels=\(\)"),
        ({"audio": torch.zeros(800)}, AudioError, r"audio\[None\]"),
        ({"audio": torch.zeros(2, 800)}, AudioError, "B = 1"),
        ({"audio": torch.zeros(1, 0)}, AudioError, "B, n"),
        ({"audio": torch.zeros(1, 800, dtype=torch.int16)}, AudioError, "int16"),
        ({"audio": NAN.expand(1, 800)}, AudioError, "nan_to_num"),
        ({"mask": torch.zeros(33, 33, dtype=torch.long)}, ShapeError, r"mask\[None\]"),
        ({"mask": torch.zeros(2, 33, 33, dtype=torch.long)}, ShapeError, "B = 2"),
        ({"mask": torch.zeros(1, 33, 33)}, ShapeError, "integers"),
        ({"mask": torch.full((1, 33, 33), -1)}, ShapeError, "negative"),
        ({"mask": torch.zeros(1, 2, 33, 33, dtype=torch.long)}, ShapeError, "float"),
        ({"mask": torch.full((1, 2, 33, 33), 4.0)}, ShapeError, "softmax"),
        ({"mask": torch.zeros(1, 4, 33, 33), "num_objects": 2}, ShapeError, "4 channels"),
        ({"num_objects": -1}, ShapeError, "num_objects"),
    ],
)
def test_start_names_what_it_cannot_use(
    changes: dict[str, Any], error: type[CoPropError], message: str, small: AudioInsertPropagator
) -> None:
    small.start(**ok())
    with pytest.raises(error, match=message):
        small.start(**ok(**changes))


def test_step_wants_a_state_of_its_own(
    small: AudioInsertPropagator, small_factory: Factory
) -> None:
    given = ok()
    state = small.start(**given)
    with pytest.raises(ShapeError, match="batch of 1"):
        small.step(torch.rand(2, 3, 33, 33), torch.zeros(2, 800), state)
    with pytest.raises(ShapeError, match="1 layers of width 32"):
        small_factory(num_layers=2).step(given["frame"], given["audio"], state)
    with pytest.raises(ShapeError, match="output_size"):
        small.step(given["frame"], given["audio"], state, output_size=(0, 9))
    for size in (5, "ab", (4, 5, 6), (4.5, 5), (None, 5)):
        with pytest.raises(ShapeError, match="output_size must be"):
            small.step(given["frame"], given["audio"], state, output_size=size)  # type: ignore[arg-type]
    for count in (-1, "x", 1.5, float("nan")):
        with pytest.raises(ShapeError, match="num_objects must be a whole number of objects"):
            small.start(given["frame"], given["audio"], given["mask"], num_objects=count)  # type: ignore[arg-type]
    assert isinstance(state, PropagationState)


@pytest.mark.parametrize(
    ("frames", "audio"),
    [
        (torch.rand(1, 3, 33, 33), torch.zeros(1, 2, 800)),
        (torch.rand(1, 2, 3, 33, 33), torch.zeros(1, 3, 800)),
    ],
)
def test_unroll_names_what_it_cannot_use(
    frames: Tensor, audio: Tensor, small: AudioInsertPropagator
) -> None:
    with pytest.raises(ShapeError, match="clip"):
        small.unroll(frames, audio, torch.zeros(1, 33, 33, dtype=torch.long))
