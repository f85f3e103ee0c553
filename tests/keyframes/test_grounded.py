"""The default keyframe network: groups, evidence, and the part that sound plays."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from coprop.keyframes.grounded import GroundedNetwork, sounding_groups


@pytest.fixture(scope="module")
def network() -> GroundedNetwork:
    torch.manual_seed(0)
    return GroundedNetwork().eval()


def frames_of(height: int, width: int, batch: int = 1) -> Tensor:
    generator = torch.Generator().manual_seed(height + width)
    return torch.rand(batch, 3, height, width, generator=generator)


def test_every_class_belongs_to_one_group_at_most() -> None:
    indices = [index for group in sounding_groups().values() for index in group]
    assert len(indices) == len(set(indices))
    assert min(indices) >= 0
    assert max(indices) < 1000
    assert all(sounding_groups().values())
    assert "person" in sounding_groups()


@pytest.mark.parametrize("size", [(32, 32), (64, 96), (256, 448), (448, 32)])
def test_logits_are_at_a_quarter_of_the_size(
    network: GroundedNetwork, size: tuple[int, int]
) -> None:
    with torch.no_grad():
        logits = network(frames_of(*size, batch=2), torch.randn(2, 5000) * 0.1)
    assert logits.shape == (2, 1, size[0] // 4, size[1] // 4)
    assert torch.isfinite(logits).all()


@pytest.mark.parametrize("length", [1, 1000, 44_100, 200_000])
def test_sound_of_any_length_is_heard(network: GroundedNetwork, length: int) -> None:
    with torch.no_grad():
        assert network.hear(torch.randn(3, length)).shape == (3, len(sounding_groups()))


def test_evidence_is_a_distribution_over_groups_and_the_rest(network: GroundedNetwork) -> None:
    with torch.no_grad():
        pyramid, evidence = network.see(frames_of(64, 96, batch=2))
    assert evidence.shape == (2, len(sounding_groups()) + 1, 4, 6)
    assert float(evidence.min()) >= 0
    torch.testing.assert_close(evidence.sum(dim=1), torch.ones(2, 4, 6))
    assert [tuple(level.shape[1:]) for level in pyramid] == [
        (24, 16, 24),
        (40, 8, 12),
        (112, 4, 6),
    ]


@pytest.mark.parametrize("trust", [0.5, 1.0])
def test_evidence_adds_up_both_classifiers_probabilities(
    network: GroundedNetwork, trust: float
) -> None:
    generator = torch.Generator().manual_seed(0)
    features = torch.randn(1, 1280, 1, 1, generator=generator).expand(1, 1280, 2, 3)
    finer = torch.randn(1, 112, 4, 6, generator=generator)
    with torch.no_grad():
        evidence = network.evidence(features, finer, trust)[0, :, 1, 2]
        place = features[0, :, 1, 2]
        scores = network.visual.classifier(place).double().exp()
        learned = (trust * network.looks(features, finer)[0, :, 1, 2].double()).exp()
    groups = list(sounding_groups().items())
    sums = torch.stack([scores[list(indices)].sum() for _, indices in groups])
    member = {index for _, indices in groups for index in indices}
    rest = scores[[index for index in range(1000) if index not in member]].sum()
    expected = torch.cat([sums, rest[None]]) + learned
    expected /= expected.sum()
    torch.testing.assert_close(evidence.double(), expected, rtol=1e-4, atol=1e-6)


def test_only_what_is_heard_reaches_the_mask(network: GroundedNetwork) -> None:
    """A refinement that answers with its first cue shows which places are taken to sound."""
    groups = len(sounding_groups())
    evidence = torch.zeros(1, groups + 1, 2, 2)
    evidence[:, 3, 0, 0] = 0.9  # group 3 is seen in one corner
    evidence[:, 5, 1, 1] = 0.8  # group 5 in the other
    evidence[:, -1] = 1 - evidence[:, :-1].sum(dim=1)
    pyramid = [torch.zeros(1, c, 2, 2) for c in (24, 40, 112)]
    cues: list[Tensor] = []
    hook = network.refinement.register_forward_pre_hook(lambda m, args: cues.append(args[1]))
    with torch.no_grad():
        for heard in ([], [3], [3, 5]):
            probabilities = torch.zeros(1, groups)
            probabilities[:, heard] = 1.0
            network.ground(pyramid, evidence, probabilities)
    hook.remove()
    sounding = [cue[0, 0] for cue in cues]
    torch.testing.assert_close(sounding[0], torch.zeros(2, 2))
    torch.testing.assert_close(sounding[1], torch.tensor([[0.9, 0.0], [0.0, 0.0]]))
    torch.testing.assert_close(sounding[2], torch.tensor([[0.9, 0.0], [0.0, 0.8]]))
    for cue in cues:  # what is heard, what is not, and the rest share each place
        assert torch.isfinite(cue).all()
        assert float(cue.min()) >= 0
        assert float(cue.max()) <= 1 + 1e-6


def test_gradients_reach_all_that_is_learned() -> None:
    torch.manual_seed(0)
    network = GroundedNetwork().train()
    heard = network.hear(0.1 * torch.randn(2, 44_100)).sigmoid()
    network.ground(*network.see(frames_of(64, 64, batch=2)), heard).square().mean().backward()
    for part in (network.audio_head, network.refinement, network.looks):
        for name, parameter in part.named_parameters():
            assert parameter.grad is not None, name
            assert torch.isfinite(parameter.grad).all(), name
