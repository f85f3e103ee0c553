"""What is made of a sound is made once: other sample rates, levels, and what YAMNet hears."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

import coprop.media.resample
from coprop import Audio
from coprop.encoders.yamnet import YAMNet
from coprop.keyframes import audio as hearing
from coprop.keyframes.audio import classes_heard, embeddings_of
from coprop.silence import block_levels_db
from pipeline_samples import noise


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Of what is dear, while it goes on as ever."""
    made: list[str] = []

    def counted(owner: Any, name: str) -> None:
        whole = getattr(owner, name)

        def call(*args: Any, **options: Any) -> Any:
            made.append(name)
            return whole(*args, **options)

        monkeypatch.setattr(owner, name, call)

    counted(coprop.media.resample, "resample")
    counted(YAMNet, "embeddings")
    counted(coprop.silence, "_levels_db")
    return made


@pytest.fixture
def yamnet() -> Iterator[YAMNet]:
    hearing._HEARD.clear()
    yield YAMNet.from_pretrained()
    hearing._HEARD.clear()


def test_sound_is_resampled_once_for_each_rate(calls: list[str]) -> None:
    sound = noise(1)
    assert sound.resampled(8000) is sound.resampled(8000)
    assert sound.resampled(11_025) is not sound.resampled(8000)
    assert calls == ["resample", "resample"]
    other: Audio = pickle.loads(pickle.dumps(sound))
    assert "_copies" not in vars(other)
    np.testing.assert_array_equal(other.resampled(8000).samples, sound.resampled(8000).samples)


def test_levels_are_measured_once_of_what_never_changes(calls: list[str]) -> None:
    sound = noise(3)
    first = block_levels_db(sound)
    assert block_levels_db(sound) is first
    assert calls == ["_levels_db"]
    assert not first.flags.writeable

    class Growing:
        """A track of somebody else, who may change it."""

        sample_rate, num_samples, duration_s = 16_000, 48_000, 3.0
        read, resampled = sound.read, sound.resampled

    track: Any = Growing()
    block_levels_db(track)
    block_levels_db(track)
    assert len(calls) == 3


def test_a_sound_is_heard_once(calls: list[str], yamnet: YAMNet) -> None:
    sound = torch.tensor(noise(2).samples)[None]
    with torch.no_grad():
        first = embeddings_of(yamnet, sound)
        assert torch.equal(embeddings_of(YAMNet.from_pretrained(), sound.clone()), first)
        assert calls == ["embeddings"]
        classes_heard(yamnet, sound)
        assert calls == ["embeddings"]
        embeddings_of(yamnet, sound * 0.5)
        assert calls == ["embeddings", "embeddings"]


def test_other_weights_hear_for_themselves(calls: list[str], yamnet: YAMNet) -> None:
    sound = torch.tensor(noise(1).samples)[None]

    def heard() -> Tensor:
        with torch.no_grad():
            return embeddings_of(yamnet, sound)

    before = heard()
    with torch.no_grad():
        next(yamnet.parameters()).mul_(0.5)
    assert not torch.equal(heard(), before)
    assert len(calls) == 2
    embeddings_of(yamnet, sound)  # with gradients
    embeddings_of(yamnet, sound)
    assert len(calls) == 4


def test_what_was_heard_in_half_precision_serves_all(yamnet: YAMNet) -> None:
    sound = torch.tensor(noise(0.7).samples)[None]
    with torch.no_grad():
        with torch.autocast("cpu", torch.bfloat16):
            halved = classes_heard(yamnet, sound)
        kept = classes_heard(yamnet, sound)
        alone = yamnet.embeddings(sound)
    assert embeddings_of(yamnet, sound).dtype == alone.dtype == torch.float32
    assert torch.equal(halved, kept)


def test_few_sounds_are_kept(yamnet: YAMNet) -> None:
    with torch.no_grad():
        for seed in range(8):
            embeddings_of(yamnet, torch.full((1, 16_000), seed / 10))
    assert len(hearing._HEARD) == hearing._MOST_HEARD
