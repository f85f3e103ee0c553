"""Cutie in the propagator's slot, with a stand-in for its inference loop."""

from __future__ import annotations

import sys
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from coprop import CoProp, CoPropError
from coprop.errors import ShapeError
from coprop.propagation.cutie import CutiePropagator
from pipeline_samples import Recorder, changes_at, clip_of, noise

MODULE = "cutie.inference.inference_core"
CONFIG = SimpleNamespace(mem_every=5)


class InferenceCore:
    """Has the interface of Cutie's, and moves the masks by one column with each frame."""

    made: list[InferenceCore]

    def __init__(self, network: nn.Module, cfg: object) -> None:
        self.network, self.cfg = network, cfg
        self.images: list[Tensor] = []
        self.given: Tensor | None = None
        self.made.append(self)

    def step(
        self,
        image: Tensor,
        mask: Tensor | None = None,
        objects: list[int] | None = None,
        *,
        idx_mask: bool = True,
    ) -> Tensor:
        assert image.ndim == 3
        self.images.append(image)
        if mask is not None:
            assert self.given is None
            assert not idx_mask
            assert mask.shape == (len(objects or ()), *image.shape[-2:])
            assert objects == list(range(1, len(mask) + 1))
            self.given = self.now = mask
        else:
            self.now = self.now.roll(1, dims=-1)
        return torch.cat([1 - self.now.sum(0, keepdim=True), self.now])


@pytest.fixture(autouse=True)
def made(monkeypatch: pytest.MonkeyPatch) -> list[InferenceCore]:
    """The inference loops that were made; Cutie itself need not be installed."""
    module = ModuleType(MODULE)
    module.InferenceCore = InferenceCore  # type: ignore[attr-defined]
    for name in ("cutie", "cutie.inference"):
        monkeypatch.setitem(sys.modules, name, ModuleType(name))
    monkeypatch.setitem(sys.modules, MODULE, module)
    InferenceCore.made = []
    return InferenceCore.made


def network() -> nn.Module:
    return nn.Linear(1, 1)


def frame(seed: int = 0, height: int = 12, width: int = 17) -> Tensor:
    return torch.rand(1, 3, height, width, generator=torch.Generator().manual_seed(seed))


def labels(height: int = 12, width: int = 17) -> Tensor:
    mask = torch.zeros(1, height, width, dtype=torch.long)
    mask[:, 2:6, :5], mask[:, 6:9, 5:9] = 1, 2
    return mask


def test_labels_are_followed(made: list[InferenceCore]) -> None:
    net = network()
    propagator, mask = CutiePropagator(net, CONFIG), labels()
    state = propagator.start(frame(0), None, mask)
    for t in (1, 2, 3):
        logits, state = propagator.step(frame(t), None, state)
        assert torch.equal(logits.argmax(1), mask.roll(t, dims=-1))
        assert torch.isfinite(logits).all()
    (core,) = made
    assert core.network is net
    assert core.cfg is CONFIG
    for t, image in enumerate(core.images):
        assert torch.equal(image, frame(t)[0])


def test_probabilities_are_given_and_returned_as_they_are(made: list[InferenceCore]) -> None:
    soft = torch.rand(1, 4, 12, 17, generator=torch.Generator().manual_seed(1)).softmax(1)
    propagator = CutiePropagator(network(), CONFIG)
    logits, _ = propagator.step(frame(1), None, propagator.start(frame(0), None, soft))
    assert made[0].given is not None
    torch.testing.assert_close(made[0].given, soft[0, 1:])
    torch.testing.assert_close(logits.softmax(1), soft.roll(1, dims=-1))


def test_the_network_s_own_configuration_is_the_default(made: list[InferenceCore]) -> None:
    net = network()
    net.cfg = CONFIG  # type: ignore[assignment]
    CutiePropagator(net).start(frame(), None, labels())
    assert made[0].cfg is CONFIG
    with pytest.raises(CoPropError, match="a Linear, has no cfg"):
        CutiePropagator(network())


def test_other_sizes_are_resized(made: list[InferenceCore]) -> None:
    propagator = CutiePropagator(network(), CONFIG)
    state = propagator.start(frame(0), None, labels(24, 34))
    logits, state = propagator.step(frame(1, 30, 40), None, state)
    assert logits.shape == (1, 3, 30, 40)
    logits, state = propagator.step(frame(2), None, state, output_size=(5, 7))
    assert logits.shape == (1, 3, 5, 7)
    torch.testing.assert_close(logits.exp().sum(1), torch.ones(1, 5, 7), atol=1e-4, rtol=0)
    assert {image.shape for image in made[0].images} == {(3, 12, 17)}


def test_the_network_s_dtype_and_mode(made: list[InferenceCore]) -> None:
    net = network().to(torch.bfloat16).train()
    propagator = CutiePropagator(net, CONFIG)
    assert not net.training
    logits, _ = propagator.step(frame(1), None, propagator.start(frame(0), None, labels()))
    assert made[0].images[1].dtype == torch.bfloat16
    assert logits.dtype == torch.float32


def test_without_objects_all_is_background() -> None:
    propagator = CutiePropagator(network(), CONFIG)
    state = propagator.start(frame(), None, torch.zeros(1, 12, 17, dtype=torch.long))
    logits, _ = propagator.step(frame(1), None, state)
    assert logits.shape == (1, 1, 12, 17)


def test_a_state_is_stepped_from_once() -> None:
    propagator = CutiePropagator(network(), CONFIG)
    start = propagator.start(frame(0), None, labels())
    first, state = propagator.step(frame(1), None, start)
    with pytest.raises(CoPropError, match=r"of frame 1 of its segment, .* has seen 2"):
        propagator.step(frame(1), None, start)
    propagator.step(frame(2), None, state)  # the last state is still good
    again, _ = propagator.step(frame(1), None, propagator.start(frame(0), None, labels()))
    assert torch.equal(first, again)


def test_segments_may_run_side_by_side(made: list[InferenceCore]) -> None:
    propagator = CutiePropagator(network(), CONFIG)
    one = propagator.start(frame(0), None, labels())
    other = propagator.start(frame(5), None, labels().flip(2))
    logits, one = propagator.step(frame(1), None, one)
    others, other = propagator.step(frame(6), None, other)
    assert len(made) == 2
    assert torch.equal(logits.argmax(1), labels().roll(1, dims=-1))
    assert torch.equal(others.argmax(1), labels().flip(2).roll(1, dims=-1))


def test_bad_input_is_refused() -> None:
    propagator = CutiePropagator(network(), CONFIG)
    two = frame().expand(2, -1, -1, -1)
    with pytest.raises(CoPropError, match="B = 2"):
        propagator.start(two, None, labels().expand(2, -1, -1))
    with pytest.raises(ShapeError):
        propagator.start(frame() * 255, None, labels())
    with pytest.raises(ShapeError):
        propagator.start(frame(), None, labels().float())
    state = propagator.start(frame(), None, labels())
    with pytest.raises(CoPropError, match="B = 2"):
        propagator.step(two, None, state)
    with pytest.raises(ShapeError):
        propagator.step(frame(), None, state, output_size=(0, 1))
    propagator.step(frame(1), None, state)  # nothing was lost by these


def test_without_cutie(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, MODULE, None)
    with pytest.raises(CoPropError, match=r"hkchengrex/Cutie and run `pip install -e \.`"):
        CutiePropagator(network(), CONFIG)


def test_the_pipeline_runs(made: list[InferenceCore]) -> None:
    propagator = CutiePropagator(network(), CONFIG)
    pipeline = CoProp.wrap(Recorder(), propagator=propagator, detector=changes_at(0.4))
    result = pipeline(clip_of(8), noise(0.8), fps=10, keep_probabilities=True)
    assert len(made) == 2
    for mask in result.masks:
        shift = mask.index % 4
        columns = np.flatnonzero(mask.labels[0])
        np.testing.assert_array_equal(columns, np.arange(8) + shift)
