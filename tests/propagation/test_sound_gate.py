"""The sound gate: shut while what sounded at the keyframe is silent, and nothing else."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from coprop.errors import CheckpointError, CoPropError
from coprop.propagation.config import PropagatorConfig
from coprop.propagation.memory import PropagationState
from coprop.propagation.propagator import AudioInsertPropagator
from coprop.propagation.sound_gate import MOMENTS, SoundGate, moments

CONFIG = PropagatorConfig(max_long_edge=64, insert_levels=(4,), sound_gate=True)
SIZE = (49, 65)


def propagator(config: PropagatorConfig = CONFIG) -> AudioInsertPropagator:
    torch.manual_seed(0)
    return AudioInsertPropagator(config).eval()


def gate_of(model: AudioInsertPropagator) -> SoundGate:
    assert model.network.audio_insert is not None
    gate = model.network.audio_insert.sound_gate
    assert gate is not None
    return gate


def always(model: AudioInsertPropagator, silence: float) -> AudioInsertPropagator:
    """The propagator with a gate that says the same of all sounds."""
    torch.nn.init.constant_(gate_of(model).projection.bias, silence)
    return model


def clip(batch: int = 1) -> tuple[Tensor, Tensor, Tensor]:
    """Frames (T, B, 3, H, W), sounds (T, B, n), and the keyframe's mask."""
    generator = torch.Generator().manual_seed(1)
    frames = torch.rand(4, batch, 3, *SIZE, generator=generator)
    sounds = torch.randn(4, batch, 16_000, generator=generator) * 0.1
    mask = torch.zeros(batch, *SIZE, dtype=torch.long)
    mask[:, 10:40, 10:50] = 1
    return frames, sounds, mask


def run(model: AudioInsertPropagator) -> tuple[list[Tensor], PropagationState]:
    frames, sounds, mask = clip()
    state, logits = model.start(frames[0], sounds[0], mask), []
    for frame, sound in zip(frames[1:], sounds[1:], strict=True):
        shown, state = model.step(frame, sound, state)
        logits.append(shown)
    return logits, state


def test_a_fresh_gate_and_one_that_hears_it_sound_change_no_bit() -> None:
    gated = propagator()
    plain = propagator(replace(CONFIG, sound_gate=False))
    weights = {n: x for n, x in gated.state_dict().items() if ".sound_gate." not in n}
    plain.load_state_dict(weights)
    expected, _ = run(plain)
    for model in (gated, always(gated, -7.0)):
        logits, _ = run(model)
        assert all(torch.equal(a, b) for a, b in zip(logits, expected, strict=True))


def test_a_shut_gate_raises_the_background_and_memory_keeps_what_was_followed() -> None:
    model = propagator()
    expected, end = run(model)
    logits, shut_end = run(always(model, 100.0))
    for shown, followed in zip(logits, expected, strict=True):
        torch.testing.assert_close(shown[:, :1], followed[:, :1] + 100)
        assert torch.equal(shown[:, 1:], followed[:, 1:])
        assert not shown.argmax(1).any()
    for ours, theirs in zip(shut_end.memories, end.memories, strict=True):
        assert torch.equal(ours.short_term.values, theirs.short_term.values)
        assert torch.equal(ours.long_term.tokens.values, theirs.long_term.tokens.values)


def test_silence_is_told_by_the_two_sounds() -> None:
    """It is the frame's sound beside that of the last reference, in a batch each with its own."""
    model = propagator()
    gate = gate_of(model)
    torch.nn.init.normal_(gate.projection.weight)
    torch.nn.init.normal_(model.network.audio_insert.position)  # which the gate is not to see
    frames, sounds, mask = clip(batch=2)
    state = model.start(frames[0], sounds[0], mask)
    assert state.sound is not None
    audio = model.network.audio_insert
    assert audio is not None
    heard = [audio.heard(audio.tokens(sound)) for sound in sounds]
    assert heard[0] is not None
    torch.testing.assert_close(state.sound, heard[0])
    with torch.inference_mode():
        logits, later = model.step(frames[1], sounds[1], state)
        raised = (
            logits[:, 0] - model.step(frames[1], sounds[1], replace(state, sound=None))[0][:, 0]
        )
        assert heard[1] is not None
        expected = gate(heard[0], heard[1]).clamp_min(0)
    torch.testing.assert_close(raised, expected[:, None, None].expand_as(raised), atol=1e-4, rtol=0)
    assert torch.equal(later.sound, state.sound)  # type: ignore[arg-type]
    newer = model.add(frames[1], sounds[1], mask, later).sound
    assert newer is not None
    torch.testing.assert_close(newer, heard[1])
    halves = state.split()
    assert [half.sound.shape for half in halves if half.sound is not None] == [(1, MOMENTS, 64)] * 2
    joined = PropagationState.joined(halves).sound
    assert joined is not None
    assert torch.equal(joined, state.sound)


def test_under_autocast_silence_is_told_in_float32() -> None:
    torch.manual_seed(0)
    gate = SoundGate(audio_dim=16, width=8)
    torch.nn.init.normal_(gate.projection.weight)
    keyframe, frame = torch.rand(2, 24, 16), torch.rand(2, 24, 16)
    expected = gate(gate.heard(keyframe), gate.heard(frame))
    with torch.autocast("cpu", torch.bfloat16):
        found = gate(gate.heard(keyframe), gate.heard(frame))
    torch.testing.assert_close(found, expected)


def test_moments_are_means_over_bands() -> None:
    tokens = torch.arange(24.0).view(1, 24, 1)
    assert moments(tokens).flatten().tolist() == [1.5, 5.5, 9.5, 13.5, 17.5, 21.5]


def test_gradients_of_masks_reach_a_fresh_gate() -> None:
    model = propagator()
    frames, sounds, mask = clip()
    logits = model.unroll(frames.transpose(0, 1), sounds.transpose(0, 1), mask)
    torch.stack(logits).softmax(2)[:, :, 0].sum().backward()
    gradient = gate_of(model).projection.weight.grad
    assert gradient is not None
    assert gradient.any()


def test_weights_go_into_a_folder_and_back(tmp_path: Path) -> None:
    model = always(propagator(), 100.0)
    model.save_pretrained(tmp_path)
    again = AudioInsertPropagator.from_pretrained(tmp_path)
    assert again.config.sound_gate
    assert all(torch.equal(a, b) for a, b in zip(run(again)[0], run(model)[0], strict=True))


def test_weights_without_a_gate_are_refused_where_there_is_to_be_one(tmp_path: Path) -> None:
    propagator(replace(CONFIG, sound_gate=False)).save_pretrained(tmp_path)
    stored = tmp_path / "config.json"
    text = stored.read_text(encoding="utf-8")
    stored.write_text(text.replace('"sound_gate": false', '"sound_gate": true'), "utf-8")
    with pytest.raises(CheckpointError, match="sound_gate"):
        AudioInsertPropagator.from_pretrained(tmp_path)


def test_a_file_tells_whether_there_is_one(tmp_path: Path) -> None:
    config = PropagatorConfig.aot_t(insert_levels=(4,), audio_encoder="small")
    for gated in (True, False):
        model = propagator(replace(config, sound_gate=gated))
        save_file(model.state_dict(), tmp_path / "p.safetensors")
        again = AudioInsertPropagator.from_checkpoint(
            tmp_path / "p.safetensors", insert_levels=(4,), audio_encoder="small"
        )
        assert again.config.sound_gate is gated


@pytest.mark.parametrize(
    "changes", [{"insert_levels": ()}, {"sound_gate": 1}, {"sound_gate": None}]
)
def test_a_gate_needs_ears_and_a_plain_yes(changes: dict[str, object]) -> None:
    with pytest.raises(CoPropError, match="sound_gate is True or False"):
        replace(CONFIG, **changes)  # type: ignore[arg-type]
