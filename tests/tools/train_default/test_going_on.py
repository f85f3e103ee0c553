"""The propagator's training from other weights, stopped and begun again, through its command."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import small_library
import torch
from safetensors.torch import save_file

from coprop.propagation.config import PropagatorConfig
from coprop.propagation.propagator import AudioInsertPropagator
from tools.train_default import __main__ as command
from tools.train_default import propagation
from tools.train_default.loop import LoopOptions

STEPS, SIZES = 5, ((49, 65), (65, 49))
SMALL = PropagatorConfig(embedding_dim=32, num_layers=1, decoder_dim=32, insert_dim=32)


class StoppedError(Exception):
    pass


@pytest.fixture
def train(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Callable[..., dict[str, torch.Tensor]]:
    """Runs the command on a small propagator, to the end or so many steps; what it has learned."""
    encoders, start, sources = (tmp_path / name for name in ("encoders", "start", "sources"))
    for folder in (encoders, sources):
        folder.mkdir()
    small_library.build(sources)
    torch.manual_seed(7)
    propagator = AudioInsertPropagator(SMALL)
    propagator.save_pretrained(start / "propagator")
    released = propagator.network.encoder.get_submodule("net").state_dict()
    save_file(released, encoders / "efficientnet_lite0.safetensors")
    monkeypatch.setattr(command, "PROPAGATOR", SMALL)
    every = partial(LoopOptions, checkpoint_every=2)
    monkeypatch.setattr(propagation, "LoopOptions", every)
    monkeypatch.setattr(propagation, "random_size", lambda rng: SIZES[int(rng.integers(2))])
    loss_of = propagation._loss

    def trained(name: str, stop_after: int | None = None) -> dict[str, torch.Tensor]:
        losses: list[float] = []

        def counted(*given: Any) -> torch.Tensor:
            if len(losses) == stop_after:
                raise StoppedError
            loss = loss_of(*given)
            losses.append(loss.item())
            return loss

        monkeypatch.setattr(propagation, "_loss", counted)
        options = ["--sources", sources, "--encoders", encoders, "--run", tmp_path / name]
        options += ["--start", start, "--batch", 1, "--steps", STEPS]
        monkeypatch.setattr("sys.argv", ["train_default", "propagation", *map(str, options)])
        command.main()
        stored = torch.load(tmp_path / name / "propagation.pt", weights_only=True)
        return {**stored["learned"], "losses": torch.tensor(losses)}

    return trained


def test_a_training_that_goes_on_from_weights_is_resumed_exactly(
    train: Callable[..., dict[str, torch.Tensor]],
) -> None:
    whole = train("whole")
    with pytest.raises(StoppedError):
        train("cut", stop_after=3)  # the checkpoint is of step 2
    resumed = train("cut")
    torch.testing.assert_close(resumed.pop("losses"), whole.pop("losses")[2:], rtol=0, atol=0)
    assert resumed.keys() == whole.keys()
    for name, tensor in whole.items():
        assert torch.equal(resumed[name], tensor), name


def small(seed: int, config: PropagatorConfig) -> AudioInsertPropagator:
    torch.manual_seed(seed)
    return AudioInsertPropagator(config)


@pytest.mark.parametrize("hears", ["small", "vggish"])
def test_weights_that_are_gone_on_from(tmp_path: Path, hears: Any) -> None:
    started = small(1, SMALL)
    started.save_pretrained(tmp_path / "propagator")
    propagator = small(2, replace(SMALL, audio_encoder=hears))
    own = {name: tensor.clone() for name, tensor in propagator.network.state_dict().items()}
    command.go_on_from(propagator, tmp_path)
    before = started.network.state_dict()
    for name, tensor in propagator.network.state_dict().items():
        anew = hears != "small" and name.startswith("audio_insert.")
        assert torch.equal(tensor, own[name] if anew else before[name]), name
    assert not torch.equal(own["patch_wise_id_bank.weight"], before["patch_wise_id_bank.weight"])
