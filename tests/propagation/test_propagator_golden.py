"""The propagator without audio equals the official AOT, whose outputs were recorded.

Weights follow from their names (see conftest); frames and masks are in the recordings.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from coprop.propagation import AudioInsertPropagator, PropagationState

Golden = Mapping[str, Tensor]
ATOL = 1e-4


def upsampled(raw: Tensor, channels: int, size: tuple[int, int]) -> Tensor:
    return F.interpolate(raw[:, :channels], size=size, mode="bilinear", align_corners=True)


def run(
    propagator: AudioInsertPropagator,
    golden: Golden,
    case: str,
    output_size: tuple[int, int] | None = None,
) -> tuple[list[Tensor], PropagationState]:
    frames = golden[f"{case}.frames_u8"].float() / 255
    state = propagator.start(frames[:1], None, golden[f"{case}.mask0"][None])
    outputs = []
    for frame in frames[1:]:
        logits, state = propagator.step(frame[None], None, state, output_size=output_size)
        outputs.append(logits)
    return outputs, state


def assert_same_labels(labels: Tensor, expected: Tensor) -> None:
    assert int((labels != expected).sum()) <= 5


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ("encoder.conv1.weight", [-0.022658329, 0.04557249, -0.11901265]),
        ("encoder.bn1.running_var", [1.040236, 1.0437014, 1.1563046]),
        ("LSTT.layers.1.short_term_attn.relative_emb_v", [0.16839454, 0.022723034, 0.015857434]),
        ("patch_wise_id_bank.weight", [-0.011995054, 0.16830063, 0.098353401]),
        ("decoder.conv_out.bias", [-0.07411541, 0.048932597, -0.0026603448]),
    ],
)
def test_the_weights_are_the_recorded_ones(
    key: str, expected: list[float], aot_l: AudioInsertPropagator
) -> None:
    first = aot_l.state_dict()[key].flatten()[:3]
    torch.testing.assert_close(first, torch.tensor(expected), rtol=1e-6, atol=0)


def test_case_a_six_frames_two_objects(aot_l: AudioInsertPropagator, aot_l_golden: Golden) -> None:
    outputs, state = run(aot_l, aot_l_golden, "A")
    assert len(outputs) == 5
    for t, logits in enumerate(outputs, start=1):
        expected = upsampled(aot_l_golden[f"A.f{t}.logits_s4_raw"], 3, (129, 193))
        torch.testing.assert_close(logits, expected, rtol=0, atol=ATOL)
        assert_same_labels(logits.argmax(1)[0], aot_l_golden[f"A.f{t}.label"])
    memory = state.memories[0]
    assert memory.long_term.steps == (0, 2, 4)
    held = memory.long_term.tokens
    for name, tensor in (("K", held.keys), ("V", held.values)):
        frames = tensor[0, 0].unflatten(0, (3, -1)).flip(0)  # recorded newest first
        expected = aot_l_golden[f"A.final.longterm_{name}_layer0"][:, 0]
        torch.testing.assert_close(frames.flatten(0, 1), expected, rtol=0, atol=ATOL)
    expected = aot_l_golden["A.final.shortterm_V_layer0"].flatten(2)[0].T
    torch.testing.assert_close(memory.short_term.values[0, 0], expected, rtol=0, atol=ATOL)


def tap(module: nn.Module, name: str, taps: dict[str, list[Tensor]]) -> Any:
    def keep(_module: nn.Module, _args: Any, output: Tensor) -> None:
        taps.setdefault(name, []).append(output)

    return module.register_forward_hook(keep)


def test_case_a_inside_the_network(aot_l: AudioInsertPropagator, aot_l_golden: Golden) -> None:
    taps: dict[str, list[Tensor]] = {}
    hooks = [
        tap(aot_l.network.encoder_projector, "proj", taps),
        tap(aot_l.network.patch_wise_id_bank, "id_emb", taps),
        *(tap(n, f"lstt{i}_normed", taps) for i, n in enumerate(aot_l.network.LSTT.decoder_norms)),
    ]
    try:
        run(aot_l, aot_l_golden, "A")
    finally:
        for hook in hooks:
            hook.remove()
    for t in (0, 1, 2, 5):
        for name in ("proj", "id_emb"):
            expected = aot_l_golden[f"A.f{t}.{name}"]
            torch.testing.assert_close(taps[name][t], expected, rtol=0, atol=ATOL)
    for i in range(3):
        for t in (1, 2, 5):
            expected = aot_l_golden[f"A.f{t}.lstt{i}_normed"].transpose(0, 1)
            torch.testing.assert_close(taps[f"lstt{i}_normed"][t - 1], expected, rtol=0, atol=ATOL)


@torch.inference_mode()
def test_case_a_backbone_features(aot_l: AudioInsertPropagator, aot_l_golden: Golden) -> None:
    features = aot_l.network.encode(aot_l_golden["A.frames_u8"][:1].float() / 255, None)
    for name, tensor in zip(("4x", "8x", "16x"), features.shortcuts, strict=True):
        expected = aot_l_golden[f"A.f0.feat_{name}_every4ch"]
        torch.testing.assert_close(tensor[:, ::4], expected, rtol=1e-4, atol=ATOL)


def test_case_b_twelve_objects_in_two_groups(
    aot_l: AudioInsertPropagator, aot_l_golden: Golden
) -> None:
    # Recorded with a gap of 5; three frames of a gap of 2 write only after the last prediction.
    outputs, state = run(aot_l, aot_l_golden, "B", output_size=(49, 65))
    assert len(state.memories) == 2
    assert state.num_objects == 12
    assert outputs[1].shape == (1, 13, 49, 65)
    expected = aot_l_golden["B.f2.logits_out"][:, :13]
    torch.testing.assert_close(outputs[1], expected, rtol=0, atol=ATOL)
    for t, logits in enumerate(outputs, start=1):
        assert_same_labels(logits.argmax(1)[0], aot_l_golden[f"B.f{t}.label"])


def test_case_c_new_object_in_mid_clip(aot_l: AudioInsertPropagator, aot_l_golden: Golden) -> None:
    frames = aot_l_golden["C.frames_u8"].float() / 255
    state = aot_l.start(frames[:1], None, aot_l_golden["C.mask0"][None])
    assert state.num_objects == 1
    for t in range(1, 5):
        logits, state = aot_l.step(frames[t : t + 1], None, state)
        labels = logits.argmax(1)
        if t == 2:
            new = aot_l_golden["C.f2.new_label"][None].long()
            labels = torch.where(new > 0, new, labels)
            state = aot_l.add(frames[t : t + 1], None, labels, state)
            assert state.num_objects == 2
        assert_same_labels(labels[0], aot_l_golden[f"C.f{t}.label"])
    assert logits.shape[1] == 3
    assert state.memories[0].long_term.steps == (0, 2, 4)
    assert state.memories[0].long_term.is_reference == (True, True, False)


def test_case_d_aot_t(aot_t: AudioInsertPropagator, aot_t_golden: Golden) -> None:
    outputs, state = run(aot_t, aot_t_golden, "D")
    for t, logits in enumerate(outputs, start=1):
        expected = upsampled(aot_t_golden[f"D.f{t}.logits_s4_raw"], 3, (97, 129))
        torch.testing.assert_close(logits, expected, rtol=0, atol=ATOL)
        assert_same_labels(logits.argmax(1)[0], aot_t_golden[f"D.f{t}.label"])
    assert state.memories[0].long_term.steps == (0,)
    expected = aot_t_golden["D.final.shortterm_V_layer0"].flatten(2)[0].T
    values = state.memories[0].short_term.values[0, 0]
    torch.testing.assert_close(values, expected, rtol=0, atol=ATOL)


@pytest.mark.parametrize(("fixture", "name"), [("aot_l", "aotl_r50"), ("aot_t", "aott_mbv2")])
def test_every_official_name_is_accounted_for(
    fixture: str,
    name: str,
    manifest: Callable[[str], dict[str, tuple[int, ...]]],
    request: pytest.FixtureRequest,
) -> None:
    own = request.getfixturevalue(fixture).state_dict()
    official = manifest(name)
    assert official.pop("LSTT.mask_token") == (1, 1, 256)  # no computation reads it
    assert {key: tuple(value.shape) for key, value in own.items()} == official
