"""Control points that are taken away, and a propagator that hears no more."""

from __future__ import annotations

import numpy as np
import torch

from coprop import AudioInsertPropagator
from coprop.propagation.config import PropagatorConfig
from coprop.types import ControlPoints
from tools.bench.missed_changes import deaf, fewer


def test_a_share_is_missing_but_never_the_beginning() -> None:
    flags = np.zeros(20, dtype=bool)
    flags[::2] = True
    points = ControlPoints(np.arange(20.0), np.full(20, 0.5), flags)
    kept = {share: fewer(points, share, seed=3) for share in (0.0, 1 / 3, 1.0)}
    assert [len(each.change_times_s) for each in kept.values()] == [9, 6, 0]
    assert all(each.flags[0] and not (each.flags & ~flags).any() for each in kept.values())
    assert np.array_equal(fewer(points, 1 / 3, seed=3).flags, kept[1 / 3].flags)


def test_without_its_audio_modules_sound_changes_nothing() -> None:
    torch.manual_seed(0)
    config = PropagatorConfig(insert_levels=(1, 4), sound_gate=True)
    hearing = AudioInsertPropagator(config).eval()
    with torch.no_grad():
        for name, parameter in hearing.network.named_parameters():
            if name.startswith("audio_insert."):  # which is silent until trained
                parameter.add_(0.1)
    frames, mask = torch.rand(2, 1, 3, 65, 65), torch.zeros(1, 65, 65, dtype=torch.long)
    mask[:, 16:48, 16:48] = 1
    quiet, loud = torch.zeros(1, 16_000), torch.rand(1, 16_000)

    def followed(propagator: AudioInsertPropagator, sound: torch.Tensor) -> torch.Tensor:
        state = propagator.start(frames[0], quiet, mask)
        return propagator.step(frames[1], sound, state)[0]

    assert not torch.equal(followed(hearing, quiet), followed(hearing, loud))
    plain = deaf(hearing)
    assert torch.equal(followed(plain, quiet), followed(plain, loud))
