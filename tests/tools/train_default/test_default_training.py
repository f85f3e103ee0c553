"""Both trainings take a step on a small library: losses are finite and the right weights move."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from coprop.control_points.novelty import NoveltyNetwork
from coprop.encoders.sound_effects import SoundEffectsEncoder
from coprop.encoders.yamnet import FineYAMNet
from coprop.keyframes.audio import SoundRecognizer
from coprop.keyframes.grounded import GroundedNetwork
from coprop.keyframes.groups import sounding_groups
from coprop.propagation.config import PropagatorConfig
from coprop.propagation.propagator import AudioInsertPropagator
from coprop.propagation.sound_gate import SoundGate
from tools.benchmark.library import Library
from tools.train_default.gate import HeardSequences, cached_sequences, fit_gate, gate_shares
from tools.train_default.grounding import ScoreBank, fit_sources, settle_decoder, train_grounding
from tools.train_default.hearing import (
    EmbeddedSounds,
    cross_fitted_answers,
    hearing_accuracy,
    make_examples,
)
from tools.train_default.novelty import cached_sounds, calibrate, train_novelty
from tools.train_default.propagation import PropagationOptions, train_propagation


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Library:
    import small_library

    return Library(small_library.build(tmp_path_factory.mktemp("sources")), "train")


def changed(before: dict[str, torch.Tensor], module: nn.Module) -> set[str]:
    after = module.state_dict()
    return {name.split(".")[0] for name in after if not torch.equal(before[name], after[name])}


def copied(module: nn.Module) -> dict[str, torch.Tensor]:
    return {name: tensor.clone() for name, tensor in module.state_dict().items()}


@pytest.mark.usefixtures("small_pictures")
def test_hearing_and_grounding(library: Library, tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = GroundedNetwork().eval()
    halves = [
        make_examples(network.audio, library.half_of_sounds(half), np.random.default_rng(half), 6)
        for half in (0, 1)
    ]
    answers, truth = cross_fitted_answers(network.audio, halves, steps=5)
    assert answers.shape == truth.shape == (12, len(network.groups))
    assert ((answers >= 0) & (answers <= 1)).all()

    before = copied(network)
    train_grounding(
        network, library, ScoreBank(answers, truth), tmp_path / "g.pt", steps=1, batch=1
    )
    assert changed(before, network) == {"decoder", "visual"}
    for part in ("classifier", "deeplab", "u2net"):  # these stay as they were released
        own = [name for name in before if name.startswith(f"visual.{part}.")]
        assert own
        assert all(torch.equal(before[name], network.state_dict()[name]) for name in own)
    for stage in ("conv_stem", "blocks.0", "blocks.2", "classifier"):
        own = [name for name in before if name.startswith(f"visual.backbone.{stage}.")]
        assert own
        assert all(torch.equal(before[name], network.state_dict()[name]) for name in own)
    statistics = [n for n in before if n.endswith(("running_mean", "running_var"))]
    assert all(torch.equal(before[name], network.state_dict()[name]) for name in statistics)
    assert (tmp_path / "g.pt").is_file()


def test_hearing_learns_groups_that_can_be_told_apart() -> None:
    """Embeddings with one number for each group: half to learn from, half to ask about."""
    torch.manual_seed(0)
    ears = SoundRecognizer().eval()
    with torch.no_grad():  # that hears nothing by itself
        ears.yamnet.classifier.weight.zero_()
        ears.yamnet.classifier.bias.fill_(-9.0)
    groups = torch.arange(len(sounding_groups())).repeat(8)
    embeddings = 0.1 * torch.rand(len(groups), 13, 1024)
    embeddings[torch.arange(len(groups)), :, groups] = 6.0
    truth = torch.eye(len(sounding_groups()))[groups]
    examples = EmbeddedSounds(embeddings, torch.full((len(groups),), 13), truth)
    half = len(groups) // 2
    parts = [
        EmbeddedSounds(embeddings[own], examples.patches[own], truth[own])
        for own in (slice(0, half), slice(half, None))
    ]
    answers, told = cross_fitted_answers(ears, parts, steps=150)
    assert (answers.argmax(dim=1) == told.argmax(dim=1)).float().mean() > 0.9
    assert hearing_accuracy(ears, examples) > 0.9


@pytest.mark.usefixtures("small_pictures")
def test_sources_are_fitted_to_what_is_seen(library: Library) -> None:
    torch.manual_seed(0)
    network = GroundedNetwork().eval()
    before = copied(network)
    entropy = fit_sources(network, library, np.random.default_rng(0), 4)
    assert 0 < entropy < 3
    assert changed(before, network) == {"selector"}
    assert (network.selector.presence[:-1] >= 0).all()
    assert ((network.selector.overlooked >= 0) & (network.selector.overlooked <= 1)).all()


@pytest.mark.usefixtures("small_pictures")
def test_settling_changes_the_decoder_alone(library: Library, tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = GroundedNetwork().eval()
    before = copied(network)
    answers = torch.rand(3, len(network.groups))
    bank = ScoreBank(answers, torch.eye(len(network.groups))[:3] * 0)  # sounds that show nowhere
    settle_decoder(network, library, bank, tmp_path / "s.pt", steps=1, batch=1)
    assert changed(before, network) == {"decoder"}


def test_novelty(library: Library, tmp_path: Path) -> None:
    torch.manual_seed(0)
    encoder = SoundEffectsEncoder().eval()
    sounds = cached_sounds(tmp_path / "c.pt", encoder, library, np.random.default_rng(0), 4)
    assert sounds.steps.shape == (4, 168, encoder.step_dim)
    for times_s, bells in zip(sounds.times_s, sounds.changes, strict=True):
        peaks = {round(time_s / encoder.step_s) for time_s in times_s}
        assert all(float(bells[peak]) > 0.9 for peak in peaks if peak < 168)
        assert float(bells.sum()) < 8 * len(times_s) + 1e-3
    network = NoveltyNetwork(width=8, described=4)
    before = copied(network)
    train_novelty(network, sounds, tmp_path / "n.pt", steps=1)
    moved = changed(before, network)
    assert {"mean", "spread", "stem", "out"} <= moved
    assert "calibration" not in moved
    calibrate(network, sounds)
    assert torch.isfinite(network.calibration).all()
    assert not network.training


def test_propagation(library: Library, tmp_path: Path) -> None:
    torch.manual_seed(0)
    config = PropagatorConfig(embedding_dim=32, num_layers=1, decoder_dim=32, insert_dim=32)
    propagator = AudioInsertPropagator(config)
    before = copied(propagator)
    options = PropagationOptions(steps=1, batch=1, fewest=2, most=2)
    train_propagation(propagator, library, tmp_path / "p.pt", options)
    moved = changed(before, propagator)
    assert "encoder" not in moved
    assert {"LSTT", "decoder", "patch_wise_id_bank", "audio_insert"} <= moved
    assert not propagator.training


def test_the_gate_learns_what_falls_silent() -> None:
    """Of sounds whose silence is in one channel; those that it was not shown as well."""
    torch.manual_seed(0)
    sounding = (torch.rand(200, 4) < 0.5).float()
    sounding[:, 0] = 1
    sounds = torch.rand(200, 4, 6, 8)
    sounds[..., 0] = 3 * sounding[..., None] + 0.1 * sounds[..., 0]
    sounding[::5, 1] = torch.nan
    half = slice(100), slice(100, None)
    learned, unheard = (HeardSequences(sounds[part].half(), sounding[part]) for part in half)
    gate = SoundGate(audio_dim=8, width=4)
    assert gate_shares(gate, unheard) == (0.0, 1.0)
    fit_gate(gate, learned, steps=60, threshold=0.0)
    assert min(gate_shares(gate, unheard)) > 0.95
    cautious = SoundGate(audio_dim=8, width=4)
    fit_gate(cautious, learned, steps=60, threshold=100.0)
    assert gate_shares(cautious, unheard) == (0.0, 1.0)


def test_sequences_are_heard_once(library: Library, tmp_path: Path) -> None:
    encoder = FineYAMNet.from_pretrained().eval()
    path, count = tmp_path / "s.pt", 2
    heard = [
        cached_sequences(path, encoder, library, np.random.default_rng(0), count) for _ in range(2)
    ]
    assert heard[0].sounds.shape == (count, 10, 6, encoder.token_dim)
    assert heard[0].sounding.shape == (count, 10)
    assert torch.equal(heard[0].sounds, heard[1].sounds)
