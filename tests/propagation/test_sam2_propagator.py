"""SAM 2, EdgeTAM and SAM 3 as propagators: as transformers runs them, in bounded memory."""

from __future__ import annotations

import gc
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_sam2 import SIDE, tiny
from torch import Tensor
from torch.nn import functional as F

from coprop import CoProp, CoPropError
from coprop.errors import CheckpointError, ShapeError
from coprop.propagation.sam2 import Sam2Propagator, Sam2State
from pipeline_samples import Recorder, changes_at, clip_of, noise

FAMILIES = ("sam2", "edgetam", "sam3")


@pytest.fixture(scope="module", params=FAMILIES)
def propagator(request: pytest.FixtureRequest) -> Sam2Propagator:
    return Sam2Propagator(tiny(request.param))


@pytest.fixture(scope="module")
def sam2() -> Sam2Propagator:
    return Sam2Propagator(tiny("sam2"))


def clip(count: int, height: int = 45, width: int = 61, seed: int = 0) -> Tensor:
    """(T, 1, 3, H, W): a noisy picture whose brightness and contrast change."""
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.rand(count, 3, 5, 7, generator=generator)
    return F.interpolate(coarse, (height, width), mode="bilinear")[:, None]


def labels(count: int, height: int = 45, width: int = 61) -> Tensor:
    """(1, H, W): the objects 1 to K as boxes side by side."""
    mask = torch.zeros(1, height, width, dtype=torch.long)
    for k in range(count):
        left, right = (k * width) // count, ((k + 1) * width) // count - 2
        mask[:, height // 4 : height * 3 // 4, left:right] = k + 1
    return mask


def run(propagator: Sam2Propagator, frames: Tensor, mask: Tensor) -> list[Tensor]:
    state, outputs = propagator.start(frames[0], None, mask), []
    for frame in frames[1:]:
        logits, state = propagator.step(frame, None, state)
        outputs.append(logits)
    return outputs


# What transformers itself answers


def processor_of(model: Any) -> Any:
    """The family's own, with the mean and deviation that it has by default."""
    from transformers import (
        Sam2ImageProcessor,
        Sam2VideoProcessor,
        Sam2VideoVideoProcessor,
        Sam3ImageProcessor,
        Sam3TrackerVideoProcessor,
    )

    sam3 = model.config.model_type == "sam3_tracker_video"
    images = (Sam3ImageProcessor if sam3 else Sam2ImageProcessor)(
        size={"height": SIDE, "width": SIDE}
    )
    kind = Sam3TrackerVideoProcessor if sam3 else Sam2VideoProcessor
    return kind(images, Sam2VideoVideoProcessor(), target_size=SIDE)


def upstream(model: Any, frames: Tensor, mask: Tensor) -> Iterator[Tensor]:
    """Logits (K, H, W) by transformers' processor and one session that keeps everything."""
    processor = processor_of(model)
    session = processor.init_video_session()
    ids = list(range(1, int(mask.max()) + 1))
    processor.process_new_mask_for_video_frame(session, 0, ids, [mask[0] == k for k in ids])
    for frame in frames:
        inputs = processor(images=frame[0], do_rescale=False, return_tensors="pt")
        found = model(session, frame=inputs.pixel_values[0])
        size_of_frame = (frame.shape[-2], frame.shape[-1])
        yield F.interpolate(found.pred_masks, size_of_frame, mode="bilinear")[:, 0]


def expected_probabilities(objects: Tensor) -> Tensor:
    """(K + 1, H, W) from the objects' own logits, by the rule written out."""
    odds = torch.cat([torch.ones_like(objects[:1]), objects.exp()])  # background: even
    return odds / odds.sum(0)


@pytest.mark.parametrize(
    ("objects", "height", "width"), [(3, 45, 61), (3, SIDE, SIDE), (1, 97, 31)]
)
def test_it_answers_as_transformers_does(
    propagator: Sam2Propagator, objects: int, height: int, width: int
) -> None:
    # More frames than memory attention reaches back, so that nothing is forgotten too early.
    frames, mask = clip(10, height, width), labels(objects, height, width)
    found = run(propagator, frames, mask)
    answers = list(upstream(propagator.model, frames, mask))[1:]
    for logits, answer in zip(found, answers, strict=True):
        assert logits.shape == (1, objects + 1, height, width)
        assert answer.abs().max() < 100  # an object thought absent would have -1024 everywhere
        torch.testing.assert_close(
            logits.softmax(1)[0], expected_probabilities(answer), atol=1e-4, rtol=0
        )
        if objects == 1:
            torch.testing.assert_close(logits[0, 1:], answer, atol=1e-4, rtol=0)
            assert not logits[0, 0].any()


def test_objects_are_followed_by_themselves(propagator: Sam2Propagator) -> None:
    frames, mask = clip(4), labels(3)
    together = run(propagator, frames, mask)[-1].softmax(1)[0]
    alone = [run(propagator, frames, (mask == k).long())[-1][0, 1] for k in (1, 2, 3)]
    torch.testing.assert_close(
        together, expected_probabilities(torch.stack(alone)), atol=1e-4, rtol=0
    )
    assert (alone[0] - alone[1]).abs().max() > 0.01


def test_a_frame_is_encoded_once_for_all_objects(propagator: Sam2Propagator) -> None:
    calls: list[int] = []
    hook = propagator.model.vision_encoder.register_forward_hook(lambda *given: calls.append(1))
    run(propagator, clip(4), labels(3))
    hook.remove()
    assert len(calls) == 4


def test_the_keyframe_s_mask_is_remembered(propagator: Sam2Propagator) -> None:
    # The frames are the same all along; what tells the segments apart is the keyframe's mask.
    frames = clip(1).expand(12, -1, -1, -1, -1)
    one = run(propagator, frames, labels(1))[-1]
    other = run(propagator, frames, (labels(1) == 0).long())[-1]
    assert (one - other).abs().max() > 0.01


# Masks and sizes


def test_probabilities_are_taken_as_their_likeliest_objects(sam2: Sam2Propagator) -> None:
    frames, mask = clip(3), labels(3)
    soft = F.one_hot(mask, 4).permute(0, 3, 1, 2) * 0.3 + 0.175
    for one, other in zip(run(sam2, frames, mask), run(sam2, frames, soft), strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=0)


def test_an_object_that_is_not_in_the_keyframe_keeps_its_channel(sam2: Sam2Propagator) -> None:
    frames, mask = clip(3), labels(3)
    mask[mask == 2] = 0
    (answer, *_), found = list(upstream(sam2.model, frames, mask))[1:], run(sam2, frames, mask)
    assert found[0].shape[1] == 4
    torch.testing.assert_close(
        found[0].softmax(1)[0], expected_probabilities(answer), atol=1e-4, rtol=0
    )


def test_a_speck_that_the_model_cannot_see_is_absent(propagator: Sam2Propagator) -> None:
    frames, mask = clip(3, 200, 200), torch.zeros(1, 200, 200, dtype=torch.long)
    mask[0, 100, 100] = 1  # a third of a pixel of the model's
    answers = list(upstream(propagator.model, frames, mask))[1:]
    for logits, answer in zip(run(propagator, frames, mask), answers, strict=True):
        torch.testing.assert_close(logits[0, 1:], answer, atol=1e-4, rtol=0)


def test_void_belongs_to_no_object(sam2: Sam2Propagator) -> None:
    frames, mask = clip(2), labels(1)
    void = mask.masked_fill(mask == 0, 255)
    torch.testing.assert_close(
        run(sam2, frames, mask)[0], run(sam2, frames, void)[0], rtol=0, atol=0
    )


def test_without_objects_all_is_background(sam2: Sam2Propagator) -> None:
    (first, second) = run(sam2, clip(3), torch.zeros(1, 45, 61, dtype=torch.long))
    assert first.shape == second.shape == (1, 1, 45, 61)
    # One soft channel is an object's probability; where that is 0, background stays the likeliest.
    (first, second) = run(sam2, clip(3), torch.zeros(1, 1, 45, 61))
    assert first.shape == second.shape == (1, 2, 45, 61)


@settings(deadline=None, max_examples=12)
@given(
    objects=st.integers(1, 4),
    sizes=st.lists(st.tuples(st.integers(1, 90), st.integers(1, 90)), min_size=3, max_size=3),
)
def test_sizes_may_be_any(sam2: Sam2Propagator, objects: int, sizes: list[tuple[int, int]]) -> None:
    frame_size, mask_size, output_size = sizes
    mask = torch.rand(1, objects + 1, *mask_size).softmax(1)
    state = sam2.start(torch.rand(1, 3, *frame_size), None, mask)
    frame = torch.rand(1, 3, *frame_size)
    logits, _ = sam2.step(frame, None, state)
    assert logits.shape == (1, objects + 1, *frame_size)
    logits, _ = sam2.step(frame, None, state, output_size=output_size)
    assert logits.shape == (1, objects + 1, *output_size)
    assert torch.isfinite(logits).all()


def test_sound_is_not_heard(sam2: Sam2Propagator) -> None:
    frames, mask = clip(2), labels(1)
    silent, _ = sam2.step(frames[1], None, sam2.start(frames[0], None, mask))
    loud = torch.full((1, 1600), torch.nan)
    heard, _ = sam2.step(frames[1], loud, sam2.start(frames[0], loud, mask))
    torch.testing.assert_close(silent, heard, rtol=0, atol=0)


# States


def tensors(state: Sam2State) -> list[Tensor]:
    kept = [*state.keyframe, *(own for recent in state.recent for own in recent.values())]
    return [tensor for own in kept for tensor in own.values()]


def stored_bytes(state: Sam2State) -> int:
    storages = [tensor.untyped_storage() for tensor in tensors(state)]
    return sum({storage.data_ptr(): storage.nbytes() for storage in storages}.values())


def test_states_are_values(propagator: Sam2Propagator) -> None:
    frames = clip(12)
    state = propagator.start(frames[0], None, labels(2))
    for frame in frames[1:8]:
        _, state = propagator.step(frame, None, state)
    before = [tensor.clone() for tensor in tensors(state)]
    first, after = propagator.step(frames[8], None, state)
    for frame in frames[9:]:  # a branch, which shares what it remembers
        _, after = propagator.step(frame, None, after)
    again, _ = propagator.step(frames[8], None, state)
    torch.testing.assert_close(again, first, rtol=0, atol=0)
    for one, other in zip(tensors(state), before, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=0)


def test_two_segments_may_run_side_by_side(propagator: Sam2Propagator) -> None:
    clips, mask = (clip(4, seed=0), clip(4, seed=1)), labels(2)
    apart = [run(propagator, frames, mask)[-1] for frames in clips]
    states = [propagator.start(frames[0], None, mask) for frames in clips]
    for t in (1, 2, 3):
        stepped = [propagator.step(clips[i][t], None, states[i]) for i in (0, 1)]
        states = [state for _, state in stepped]
    for (logits, _), expected in zip(stepped, apart, strict=True):
        torch.testing.assert_close(logits, expected, rtol=0, atol=0)


def test_memory_does_not_grow(propagator: Sam2Propagator) -> None:
    config = propagator.model.config
    reach = config.max_object_pointers_in_encoder
    frames, state = clip(8), propagator.start(clip(1)[0], None, labels(2))
    sizes, living = [], []
    for t in range(24):
        _, state = propagator.step(frames[t % 8], None, state)
        sizes.append((len(tensors(state)), stored_bytes(state)))
        if t in (12, 23):
            gc.collect()
            living.append(sum(type(thing) is Tensor for thing in gc.get_objects()))
    assert sizes[0] < sizes[reach]
    assert set(sizes[reach:]) == {sizes[reach]}
    assert living[0] == living[1]
    # 2 objects: the keyframe and num_maskmem - 1 frames in three tensors, the others in one.
    full = config.num_maskmem - 1
    assert sizes[-1][0] == 2 * (3 + 3 * full + (reach - 1 - full))


# Loading


@pytest.mark.parametrize("family", FAMILIES)
def test_a_saved_model_is_loaded(family: str, tmp_path: Path) -> None:
    model = tiny(family)
    model.save_pretrained(tmp_path)
    torch.manual_seed(5)
    drawn = torch.random.get_rng_state()
    loaded = Sam2Propagator.from_pretrained(tmp_path, device="cpu")
    assert torch.equal(torch.random.get_rng_state(), drawn)
    assert type(loaded.model) is type(model)
    frames, mask = clip(3), labels(2)
    for one, other in zip(
        run(loaded, frames, mask), run(Sam2Propagator(model), frames, mask), strict=True
    ):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-5)


@pytest.mark.parametrize("family", FAMILIES)
def test_half_precision(family: str, tmp_path: Path) -> None:
    tiny(family).save_pretrained(tmp_path)
    half = Sam2Propagator.from_pretrained(str(tmp_path), dtype=torch.bfloat16)
    assert half.model.dtype == torch.bfloat16
    frames, mask = clip(9), labels(1)
    single = run(Sam2Propagator(tiny(family)), frames, mask)
    for one, other in zip(run(half, frames, mask), single, strict=True):
        assert one.dtype == torch.float32
        torch.testing.assert_close(one.softmax(1), other.softmax(1), atol=0.1, rtol=0)


def test_gradients_are_left_as_they_were(sam2: Sam2Propagator) -> None:
    assert torch.is_grad_enabled()
    (logits,) = run(sam2, clip(2), labels(1))
    assert torch.is_grad_enabled()
    assert not logits.requires_grad


@pytest.mark.parametrize("as_text", [True, False])
def test_no_folder(tmp_path: Path, as_text: bool) -> None:
    folder = tmp_path / "none"
    with pytest.raises(CheckpointError, match=r"there is no SAM 2, EdgeTAM or SAM 3 at .*none"):
        Sam2Propagator.from_pretrained(str(folder) if as_text else folder)


@pytest.mark.parametrize("kind", ["bert", "no_such_kind"])
def test_a_folder_of_another_model(tmp_path: Path, kind: str) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"model_type": kind}))
    with pytest.raises(
        CheckpointError,
        match="type sam2_video or edgetam_video or sam3_tracker_video or sam3_video",
    ):
        Sam2Propagator.from_pretrained(tmp_path)


def test_missing_tensors(tmp_path: Path) -> None:
    model = tiny("sam2")
    state = {k: v for k, v in model.state_dict().items() if k != "no_object_pointer"}
    model.save_pretrained(tmp_path, state_dict=state)
    with pytest.raises(CheckpointError, match="lack 1 tensors, such as no_object_pointer"):
        Sam2Propagator.from_pretrained(tmp_path)


@pytest.mark.parametrize("content", [b"", b"not weights", None])
def test_damaged_weights(tmp_path: Path, content: bytes | None) -> None:
    tiny("sam2").save_pretrained(tmp_path)
    file = tmp_path / "model.safetensors"
    if content is None:
        file.unlink()
    else:
        file.write_bytes(content)
    with pytest.raises(CheckpointError, match="save_pretrained"):
        Sam2Propagator.from_pretrained(tmp_path)


def test_without_transformers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(CheckpointError, match=r"pip install .*transformers"):
        Sam2Propagator.from_pretrained(tmp_path)


def test_another_model_is_refused() -> None:
    with pytest.raises(CoPropError, match="got Linear"):
        Sam2Propagator(torch.nn.Linear(1, 1))


# Bad input


def test_one_video_at_a_time(sam2: Sam2Propagator) -> None:
    frame, mask = clip(1)[0], labels(1)
    with pytest.raises(CoPropError, match="B = 2"):
        sam2.start(frame.expand(2, -1, -1, -1), None, mask.expand(2, -1, -1))
    with pytest.raises(CoPropError, match="B = 2"):
        sam2.step(frame.expand(2, -1, -1, -1), None, sam2.start(frame, None, mask))


def test_frames_masks_and_sizes_are_checked(sam2: Sam2Propagator) -> None:
    frame, mask = clip(1)[0], labels(1)
    for bad_frame, bad_mask in (
        (frame * 255, mask),
        (frame[0], mask),
        (frame, mask.float()),
        (frame, mask.expand(2, -1, -1)),
        (frame, torch.full((1, 2, 45, 61), 3.0)),
    ):
        with pytest.raises(ShapeError):
            sam2.start(bad_frame, None, bad_mask)
    state = sam2.start(frame, None, mask)
    with pytest.raises(ShapeError):
        sam2.step(frame * 255, None, state)
    with pytest.raises(ShapeError):
        sam2.step(frame, None, state, output_size=(0, 3))


def test_training_mode_is_refused() -> None:
    propagator = Sam2Propagator(tiny("sam2"))
    propagator.train()
    with pytest.raises(CoPropError, match="eval"):
        propagator.start(clip(1)[0], None, labels(1))


# In the pipeline


def test_the_pipeline_runs(propagator: Sam2Propagator) -> None:
    pipeline = CoProp.wrap(Recorder(), propagator=propagator, detector=changes_at(0.5))
    result = pipeline(clip_of(10, 25, 41), noise(1.0), fps=10, keep_probabilities=True)
    assert [mask.index for mask in result.masks] == list(range(10))
    assert [mask.index for mask in result.masks if mask.is_keyframe] == [0, 5]
    for mask in result.masks:
        assert mask.labels.shape == (25, 41)
        assert mask.probabilities is not None
        np.testing.assert_allclose(mask.probabilities.sum(axis=0), 1, atol=1e-5)


def test_classes_go_through_the_pipeline(propagator: Sam2Propagator) -> None:
    def answer(frames: Tensor) -> Tensor:
        logits = torch.zeros(1, 8, *frames.shape[-2:])
        logits[:, 0] = 4
        logits[:, 3, :, :12] = 8
        logits[:, 7, :, 20:] = 8
        return logits

    pipeline = CoProp.wrap(Recorder(answer), propagator=propagator, detector=changes_at())
    result = pipeline(clip_of(4, 20, 32), noise(0.4), fps=10)
    assert [mask.classes for mask in result.masks] == [(0, 3, 7)] * 4


def test_an_object_below_its_own_half_does_not_win(sam2: Sam2Propagator) -> None:
    frames, mask = clip(4), labels(3)
    for logits in run(sam2, frames, mask):
        objects, shown = logits[0, 1:], logits[0].argmax(0)
        assert torch.equal(shown > 0, (objects > 0).any(0))
        # Each as likely against background as by itself.
        torch.testing.assert_close(objects - logits[0, :1], objects)
