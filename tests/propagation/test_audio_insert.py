from __future__ import annotations

import torch

from coprop.propagation.audio_insert import AudioIdentity, AudioInsertBlock


def test_a_fresh_block_is_the_identity_and_a_trained_one_hears() -> None:
    torch.manual_seed(0)
    block = AudioInsertBlock(channels=8, audio_dim=6, width=16, num_heads=4)
    video, audio = torch.randn(2, 8, 3, 5), torch.randn(2, 4, 6)
    assert torch.equal(block(video, audio), video)
    torch.nn.init.normal_(block.projection.weight)
    heard = block(video, audio)
    assert heard.shape == video.shape
    assert (heard - video).abs().min() > 0
    assert (heard - block(video, audio.flip(0))).abs().max() > 1e-3


def test_the_block_is_cross_attention_place_by_place() -> None:
    """Moving a place of the video moves its result; the order of the audio tokens is nothing."""
    torch.manual_seed(0)
    block = AudioInsertBlock(channels=8, audio_dim=6, width=16, num_heads=4)
    torch.nn.init.normal_(block.projection.weight)
    video, audio = torch.randn(1, 8, 3, 5), torch.randn(1, 4, 6)
    heard = block(video, audio)
    torch.testing.assert_close(block(video.flip(2, 3), audio), heard.flip(2, 3))
    torch.testing.assert_close(block(video, audio.flip(1)), heard)


def test_identities_hear_where_objects_are() -> None:
    torch.manual_seed(0)
    identity = AudioIdentity(channels=8, audio_dim=6)
    embedding, audio = torch.randn(1, 8, 3, 5), torch.randn(1, 4, 6)
    objects = torch.zeros(1, 1, 33, 65)
    objects[..., :40] = 0.5
    assert torch.equal(identity(embedding, objects, audio), embedding)
    torch.nn.init.normal_(identity.projection.weight)
    added = identity(embedding, objects, audio) - embedding
    assert not added[..., 4].any()
    torch.testing.assert_close(added[..., 0], added[..., 1])
    torch.testing.assert_close(
        identity(embedding, 2 * objects, audio) - embedding, 2 * added, rtol=1e-4, atol=1e-5
    )


def test_gradients_open_a_fresh_block_at_once() -> None:
    """The last projection learns in the first step, all before it in the second."""
    torch.manual_seed(0)
    block = AudioInsertBlock(channels=8, audio_dim=6, width=16, num_heads=4)
    identity = AudioIdentity(channels=8, audio_dim=6)
    video, audio = torch.randn(2, 8, 3, 5), torch.randn(2, 4, 6)
    parameters = [*block.parameters(), *identity.parameters()]
    optimizer = torch.optim.SGD(parameters, lr=0.1)
    for step in range(2):
        optimizer.zero_grad()
        heard = identity(block(video, audio), torch.ones(2, 1, 33, 65), audio)
        (heard - video.flip(0)).square().mean().backward()
        moved = [p.grad is not None and bool(p.grad.any()) for p in parameters]
        assert block.projection.weight.grad is not None
        assert identity.projection.weight.grad is not None
        assert bool(block.projection.weight.grad.any())
        assert bool(identity.projection.weight.grad.any())
        # The key's bias moves no softmax.
        names = [n for n, _ in [*block.named_parameters(), *identity.named_parameters()]]
        still = {n for n, m in zip(names, moved, strict=True) if not m}
        assert still <= {"key.bias"} if step == 1 else "query.weight" in still
        optimizer.step()
