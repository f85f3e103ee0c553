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
        grounded = network.ground(pyramid, evidence, heard.sigmoid())
    assert (logits[0] == -10).all()
    assert (grounded[0] != -10).all()
    torch.testing.assert_close(logits[1], grounded[1])
