"""The precision that a pipeline computes in, and where "auto" finds bfloat16."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from coprop import CoProp, CoPropError
from coprop.utils.precision import as_dtype, checked_device, has_bfloat16
from pipeline_samples import (
    Recorder,
    Shifter,
    changes_at,
    clip_of,
    left_half,
    noise,
    small_propagator,
)

CPU = torch.device("cpu")


class Convolution(nn.Module):
    """A keyframe network that tells what it computed in."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Conv2d(3, 1, 3, padding=1)
        self.computed: list[torch.dtype] = []

    def forward(self, frames: Tensor, audio: Tensor) -> Tensor:
        found = self.layer(frames)
        self.computed.append(found.dtype)
        return left_half(frames).to(found.dtype)


@pytest.mark.parametrize("given", [10**30, -1, None, "gpu", "cuda:99999999999999999999"])
def test_no_devices(given: Any) -> None:
    with pytest.raises(CoPropError, match="device must be one that computes here"):
        checked_device(given)


@pytest.mark.parametrize("given", ["float32", torch.float32])
def test_float32(given: Any) -> None:
    assert as_dtype(given, CPU) == torch.float32


@pytest.mark.parametrize(
    "given", ["float64", torch.float64, torch.int8, "half", "", None, 16, True]
)
def test_others_are_refused(given: Any) -> None:
    with pytest.raises(CoPropError, match="dtype must be one of 'auto', 'float32'"):
        CoProp.wrap(Recorder(), propagator=Shifter(), dtype=given)
    with pytest.raises(CoPropError, match="dtype must be one of"):
        CoProp.from_pretrained(dtype=given)


@pytest.mark.skipif(not hasattr(torch.cpu, "get_capabilities"), reason="an older torch")
@pytest.mark.parametrize("flag", ["amx_bf16", "avx512_bf16", "", "avx512_f"])
def test_auto_goes_by_the_processors_flags(flag: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {flag: True, "amx_tile": False})
    has_it = flag in ("amx_bf16", "avx512_bf16")
    assert has_bfloat16(CPU) is has_it
    assert as_dtype("auto", CPU) == (torch.bfloat16 if has_it else torch.float32)


@pytest.mark.parametrize(("major", "has_it"), [(7, False), (8, True), (9, True)])
def test_auto_goes_by_the_gpus_capability(
    major: int, has_it: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (major, 0))
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda: True)  # emulated on older ones
    assert has_bfloat16(torch.device("cuda")) is has_it


def test_other_devices_have_none() -> None:
    assert not has_bfloat16(torch.device("meta"))


@pytest.mark.parametrize("name", ["float32", "bfloat16"])
def test_a_wrapped_model_computes_in_it_and_keeps_its_weights(name: Any) -> None:
    network, propagator = Convolution(), small_propagator()
    pipeline = CoProp.wrap(
        network,
        adapter=network,
        detector=changes_at(),
        propagator=propagator,
        namer=None,
        dtype=name,
    )
    result = pipeline(clip_of(4, 24, 32), noise(1), fps=4, keep_probabilities=True)
    wanted = getattr(torch, name)
    assert pipeline.dtype == wanted
    assert set(network.computed) == {wanted}
    assert network.layer.weight.dtype == torch.float32
    assert propagator.network.encoder_projector.weight.dtype == torch.float32
    for mask in result.masks:
        assert mask.probabilities is not None
        assert mask.probabilities.dtype == np.float32


def test_half_precision_gives_nearly_the_same_masks() -> None:
    def labels(name: Any) -> np.ndarray:
        pipeline = CoProp.wrap(
            lambda frames, audio: left_half(frames),
            detector=changes_at(),
            propagator=small_propagator(),
            namer=None,
            dtype=name,
        )
        return pipeline(clip_of(5, 48, 64), noise(1), fps=5).labels

    assert (labels("float32") == labels("bfloat16")).mean() > 0.97  # of random weights


def test_the_packages_propagator_gets_weights_of_it() -> None:
    pipeline = CoProp.wrap(Recorder(), dtype="bfloat16")
    assert next(pipeline.propagator.network.parameters()).dtype == torch.bfloat16  # type: ignore[attr-defined]


def test_it_can_be_set_later() -> None:
    pipeline = CoProp.wrap(Recorder(), propagator=Shifter())
    assert pipeline.dtype == torch.float32
    pipeline.dtype = "bfloat16"  # type: ignore[assignment]
    assert pipeline.dtype == torch.bfloat16
    with pytest.raises(CoPropError, match="dtype"):
        pipeline.dtype = "bf16"  # type: ignore[assignment]
