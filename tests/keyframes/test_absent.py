"""What is heard but not seen, or seen but not heard, is not masked."""

import pytest
import torch

from coprop.keyframes.grounded import GroundedNetwork


def test_nothing_is_masked_where_no_seen_source_is_heard(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    torch.manual_seed(0)
    network = GroundedNetwork().eval()
    frames, audio = torch.rand(2, 3, 64, 96), torch.randn(2, 1000)
    heard = torch.full((2, len(network.groups)), -12.0)
    heard[1] = 5.0
    monkeypatch.setattr(network, "hear", lambda audio: heard)
    with torch.no_grad():
        logits = network(frames, audio)
        pyramid, evidence = network.see(frames)
        sounding = network.decide(evidence, heard.sigmoid())
        grounded = network.ground(pyramid, evidence, sounding)
    assert not sounding[0].any()
    assert (logits[0] == -10).all()
    assert (grounded[0] != -10).all()
    torch.testing.assert_close(logits[1], grounded[1])


def test_what_contends_with_the_likeliest_source_sounds_too() -> None:
    network = GroundedNetwork()
    evidence = torch.zeros(1, len(network.groups) + 1, 2, 3)
    evidence[0, :4, 0, 1] = torch.tensor([0.9, 0.6, 0.6, 0.05])
    heard = torch.zeros(1, len(network.groups))
    heard[0, :5] = torch.tensor([0.64, 0.49, 0.09, 0.64, 1.0])
    # sqrt(heard) * seen: 0.72, 0.42, 0.18, 0.04 and, unseen, 0
    assert network.decide(evidence, heard)[0].nonzero().flatten().tolist() == [0, 1]
    assert not network.decide(evidence, heard * 0.01).any()
    together = torch.cat([heard, heard * 0.01])
    assert network.decide(evidence.expand(2, -1, -1, -1), together).sum(dim=1).tolist() == [2, 0]
