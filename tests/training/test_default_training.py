"""Both trainings take a step on a small library: losses are finite and the right weights move."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from coprop.data.library import Library
from coprop.keyframes.grounded import GroundedNetwork
from coprop.propagation.config import PropagatorConfig
from coprop.propagation.propagator import AudioInsertPropagator
from coprop.training.grounding import Voices, train_grounding
from coprop.training.hearing import (
    HeardExamples,
    cross_fitted_answers,
    hearing_accuracy,
    summarise_examples,
    train_hearing,
)
from coprop.training.propagation import train_propagation


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Library:
    import small_library

    return Library(small_library.build(tmp_path_factory.mktemp("sources")), "train")


def changed(before: dict[str, torch.Tensor], module: nn.Module) -> set[str]:
    after = module.state_dict()
    return {name.split(".")[0] for name in after if not torch.equal(before[name], after[name])}


def copied(module: nn.Module) -> dict[str, torch.Tensor]:
    return {name: tensor.clone() for name, tensor in module.state_dict().items()}


def test_hearing_and_grounding(library: Library, tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = GroundedNetwork().eval()
    halves = [
        summarise_examples(network, library.half_of_sounds(half), np.random.default_rng(half), 24)
        for half in (0, 1)
    ]
    answers, truth = cross_fitted_answers(network, halves, steps=5)
    assert answers.shape == truth.shape == (48, len(network.groups))
    assert ((answers >= 0) & (answers <= 1)).all()

    before = copied(network)
    train_grounding(network, library, Voices(answers, truth), tmp_path / "g.pt", steps=1, batch=1)
    assert changed(before, network) == {"refinement", "looks"}
    assert (tmp_path / "g.pt").is_file()


def test_hearing_learns_what_can_be_told_apart() -> None:
    torch.manual_seed(0)
    network = GroundedNetwork().eval()
    centres = torch.randn(len(network.groups), network.audio.summary_dim)
    groups = torch.arange(len(network.groups)).repeat(6)
    noise = torch.randn(len(groups), network.audio.summary_dim)
    examples = HeardExamples(centres[groups] + 0.3 * noise, torch.eye(len(network.groups))[groups])
    assert hearing_accuracy(network, examples) < 0.3
    train_hearing(network, examples, steps=150)
    assert hearing_accuracy(network, examples) > 0.9


def test_propagation(library: Library, tmp_path: Path) -> None:
    torch.manual_seed(0)
    config = PropagatorConfig(embedding_dim=32, num_layers=1, decoder_dim=32, insert_dim=32)
    propagator = AudioInsertPropagator(config)
    before = copied(propagator)
    train_propagation(propagator, library, tmp_path / "p.pt", steps=1, batch=1, frames=2)
    moved = changed(before, propagator)
    assert "encoder" not in moved
    assert {"LSTT", "decoder", "patch_wise_id_bank", "audio_insert"} <= moved
    assert not propagator.training
