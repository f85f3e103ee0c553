"""Modules are made undrawn only where a file fills them, and hold then what the file has."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.nn import init

from coprop import AudioInsertPropagator, KeyframeSegmenter
from coprop.checkpoints.undrawn import Undrawn, to_be_filled
from coprop.control_points.novelty import default_networks
from coprop.encoders.vggish import VGGish
from coprop.keyframes.segmenter import SegmenterConfig
from coprop.propagation.config import PropagatorConfig


@pytest.mark.parametrize(
    "draw",
    [
        init.normal_,
        init.uniform_,
        init.xavier_uniform_,
        init.kaiming_normal_,
        init.kaiming_uniform_,
        Tensor.normal_,
        Tensor.uniform_,
    ],
)
def test_nothing_is_drawn_within_it(draw: Callable[[Tensor], Tensor]) -> None:
    with torch.random.fork_rng(devices=[]):
        before = torch.random.get_rng_state()
        with Undrawn():
            assert torch.equal(draw(torch.ones(4, 4)), torch.ones(4, 4))
        assert torch.equal(torch.random.get_rng_state(), before)
        assert not torch.equal(draw(torch.ones(4, 4)), torch.ones(4, 4))


def test_what_is_not_drawn_is_set_within_it() -> None:
    with Undrawn():
        assert torch.equal(nn.LayerNorm(3).weight, torch.ones(3))
        assert torch.equal(init.constant_(torch.empty(3), 2.0), torch.full((3,), 2.0))


def test_what_is_to_be_filled_lies_on_the_cpu_and_leaves_the_generator() -> None:
    torch.manual_seed(5)
    before = torch.random.get_rng_state()
    with torch.device("meta"), to_be_filled():
        assert nn.Linear(2, 2).weight.device.type == "cpu"
        torch.randperm(9)
    assert torch.equal(torch.random.get_rng_state(), before)


def test_what_is_loaded_at_its_first_use_leaves_the_generator(tmp_path: Path) -> None:
    default_networks.cache_clear()
    torch.save(VGGish().state_dict(), tmp_path / "vggish.pth")
    before = torch.random.get_rng_state()
    with torch.device("meta"):
        default_networks()
        VGGish.from_checkpoint(tmp_path / "vggish.pth")
    assert torch.equal(torch.random.get_rng_state(), before)


def test_other_threads_draw_as_ever() -> None:
    drawn: list[Tensor] = []
    with Undrawn():
        thread = threading.Thread(target=lambda: drawn.append(torch.zeros(9).normal_()))
        thread.start()
        thread.join()
    assert drawn[0].abs().max() > 0


def test_a_saved_model_is_the_same_however_memory_was(tmp_path: Path) -> None:
    models = (
        AudioInsertPropagator(PropagatorConfig(audio_encoder="small")),
        KeyframeSegmenter(SegmenterConfig("grounded", 64)),
    )
    for model in models:
        folder = tmp_path / type(model).__name__
        model.save_pretrained(folder)
        torch.manual_seed(5)
        drawn = torch.random.get_rng_state()
        loaded = type(model).from_pretrained(folder)
        assert torch.equal(torch.random.get_rng_state(), drawn)
        state = model.state_dict()
        assert loaded.state_dict().keys() == state.keys()
        for name, tensor in loaded.state_dict().items():
            assert torch.equal(tensor, state[name]), name
