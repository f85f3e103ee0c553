"""A network that was lent to an adapter is afterwards exactly as it was."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from adapter_standins import CATR, CAVP, COMBO, TPAVI, AVSegFormer, SemanticTPAVI, clip
from adapter_standins import small_vggish as make_vggish
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from coprop.keyframes.adapters import (
    AVSegFormerAdapter,
    CATRAdapter,
    CAVPAdapter,
    COMBOAdapter,
    TPAVIAdapter,
)
from coprop.keyframes.adapters.base import NetworkAdapter
from coprop.keyframes.adapters.inference import evaluation_mode

VGGISH = make_vggish()
SIZE = (32, 48)
FAMILIES: dict[str, tuple[Callable[[], nn.Module], Callable[[Any], NetworkAdapter], int]] = {
    "AVSegFormer": (AVSegFormer, lambda m: AVSegFormerAdapter(m, size=SIZE), 1),
    "AVSegFormer, AVSS": (
        lambda: AVSegFormer(71, preprocess=True),
        lambda m: AVSegFormerAdapter(m, size=SIZE),
        71,
    ),
    "TPAVI": (TPAVI, lambda m: TPAVIAdapter(m, vggish=VGGISH, size=SIZE), 1),
    "TPAVI, AVSS": (SemanticTPAVI, lambda m: TPAVIAdapter(m, vggish=VGGISH, size=SIZE), 7),
    "CATR": (CATR, lambda m: CATRAdapter(m, vggish=VGGISH, size=SIZE), 1),
    "COMBO": (COMBO, lambda m: COMBOAdapter(m, pre_masks=lambda frames: frames, size=SIZE), 2),
    "COMBO, AVSS": (
        lambda: COMBO(use_pre_sam=False, is_avss_data=True),
        lambda m: COMBOAdapter(m, size=SIZE),
        71,
    ),
    "CAVP": (CAVP, CAVPAdapter, 2),
}
ADAPTERS = {name: adapt(build()) for name, (build, adapt, _) in FAMILIES.items()}
each_family = pytest.mark.parametrize("family", FAMILIES)


def state_of(model: nn.Module) -> dict[str, Any]:
    """Everything there is to change, tensors by value."""
    return {
        "tensors": {name: x.clone() for name, x in model.state_dict().items()},
        "identities": [id(x) for x in (*model.parameters(), *model.buffers())],
        "training": [module.training for module in model.modules()],
        "attributes": [dict(vars(module)) for module in model.modules()],
        "hooks": [
            {name: len(value) for name, value in vars(module).items() if "hook" in name and value}
            for module in model.modules()
        ],
        "gradients": [x.requires_grad for x in model.parameters()],
    }


def assert_same(before: dict[str, Any], after: dict[str, Any]) -> None:
    tensors, now = before.pop("tensors"), after.pop("tensors")
    assert tensors.keys() == now.keys()
    assert all(torch.equal(now[name], tensor) for name, tensor in tensors.items())
    for name, value in before.items():
        assert after[name] == value, name


def partly_trained(model: nn.Module) -> nn.Module:
    """In training, but for one frozen part: what a plain ``train()`` afterwards would lose."""
    model.train()
    next(module for module in model.modules() if isinstance(module, nn.BatchNorm2d)).eval()
    return model


@each_family
@pytest.mark.parametrize("count", [1, 5])
def test_nothing_is_changed(family: str, count: int) -> None:
    build, adapt, classes = FAMILIES[family]
    model = partly_trained(build())
    adapter = adapt(model)
    before, cuda = state_of(model), Tensor.cuda
    frames, audio = clip(count, (33, 47))
    inputs = frames.clone(), audio.clone()
    logits = adapter(frames, audio)
    assert logits.shape == (count, classes, 33, 47)
    assert torch.isfinite(logits).all()
    assert not logits.requires_grad
    assert not logits.is_inference()
    assert_same(before, state_of(model))
    assert torch.equal(frames, inputs[0])
    assert torch.equal(audio, inputs[1])
    assert Tensor.cuda is cuda
    assert "cuda" not in vars(Tensor)
    assert torch.is_grad_enabled()
    torch.testing.assert_close(adapter(frames, audio), logits)  # no dropout, no running averages


class _BrokenError(Exception):
    pass


@each_family
def test_nothing_is_changed_by_an_exception_inside(family: str) -> None:
    build, adapt, _ = FAMILIES[family]
    model = partly_trained(build())
    adapter = adapt(model)

    def fail(*_: Any) -> None:
        raise _BrokenError

    hook = model.backbone.register_forward_hook(fail)
    before = state_of(model)
    with pytest.raises(_BrokenError):
        adapter(*clip(1))
    assert_same(before, state_of(model))
    assert torch.is_grad_enabled()
    hook.remove()
    adapter(*clip(1))


@each_family
def test_training_goes_on_afterwards(family: str) -> None:
    build, adapt, _ = FAMILIES[family]
    model = build().train()
    kept: list[Tensor] = []
    hook = model.backbone.register_forward_hook(lambda module, args, output: kept.append(output))
    adapt(model)(*clip(1))
    hook.remove()
    frames, _ = clip(2)
    loss = (model.backbone(frames) * kept[0].mean()).sum()  # a tensor from inside the call
    loss.backward()
    assert all(
        p.grad is not None and p.grad.abs().sum() > 0 for p in model.backbone.conv.parameters()
    )


@each_family
@given(
    count=st.integers(1, 3),
    height=st.integers(1, 70),
    width=st.integers(1, 70),
    samples=st.integers(1, 20_000),
)
@settings(max_examples=10, deadline=None)
def test_any_frames_and_any_number_of_them(
    family: str, count: int, height: int, width: int, samples: int
) -> None:
    adapter = ADAPTERS[family]
    frames, _ = clip(count, (height, width))
    audio = 0.1 * torch.randn(count, samples, generator=torch.Generator().manual_seed(samples))
    together = adapter(frames, audio)
    assert together.shape == (count, FAMILIES[family][2], height, width)
    assert together.dtype == torch.float32
    alone = torch.cat([adapter(frames[k : k + 1], audio[k : k + 1]) for k in range(count)])
    torch.testing.assert_close(together, alone, rtol=1e-4, atol=1e-4)


@each_family
@pytest.mark.parametrize(
    ("frames", "audio"),
    [
        ((3, 20, 20), (1, 100)),
        ((1, 4, 20, 20), (1, 100)),
        ((1, 3, 20, 20), (100,)),
        ((2, 3, 20, 20), (1, 100)),
        ((1, 3, 20, 20), (1, 0)),
        ((0, 3, 20, 20), (0, 100)),
    ],
)
def test_other_shapes_are_refused(
    family: str, frames: tuple[int, ...], audio: tuple[int, ...]
) -> None:
    with pytest.raises(ValueError, match=r"frames \(K, 3, H, W\) and audio \(K, samples\)"):
        ADAPTERS[family](torch.zeros(frames), torch.zeros(audio))


def test_half_precision_answers_in_single() -> None:
    model = AVSegFormer().eval()
    frames, audio = clip(2)
    expected = AVSegFormerAdapter(model, size=SIZE)(frames, audio)
    logits = AVSegFormerAdapter(model.bfloat16(), size=SIZE)(frames, audio)
    assert logits.dtype == torch.float32
    torch.testing.assert_close(logits, expected, rtol=0.1, atol=0.1)


class Greedy(nn.Module):
    """Sets things of its own, and replaces and changes buffers, whenever it is run."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("count", torch.zeros(()))
        self.register_buffer("calls", torch.zeros(()))
        self.note = "old"
        self.inner = nn.Dropout()

    def forward(self, x: Tensor) -> Tensor:
        self.count = self.count + 1
        self.calls += 1
        self.inner.seen = x
        self.cache, self.note = x, "new"
        return self.inner(x).cuda()


def test_what_the_forward_sets_is_taken_back() -> None:
    model = Greedy()
    before = state_of(model)
    x = torch.ones(3)
    with evaluation_mode(model):
        assert model(x) is not None
        assert (model.note, model.training, model.inner.training) == ("new", False, False)
        assert not torch.is_grad_enabled()
    assert_same(before, state_of(model))
    assert not hasattr(model, "cache")


class Clones(TorchDispatchMode):
    """Notes how many numbers are copied at a time."""

    def __init__(self) -> None:
        super().__init__()
        self.sizes: list[int] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is torch.ops.aten.clone.default:
            self.sizes.append(args[0].numel())
        return func(*args, **(kwargs or {}))


def test_weights_in_buffers_are_not_copied() -> None:
    model = Greedy()
    model.register_buffer("quantised", torch.zeros(1 << 21, dtype=torch.int8))
    with Clones() as clones, evaluation_mode(model):
        pass
    assert sorted(clones.sizes) == [1, 1]


def test_cuda_is_the_networks_device() -> None:
    model = nn.Linear(2, 2, device="meta")
    with evaluation_mode(model):
        for moved in (
            torch.ones(2).cuda(),
            torch.ones(2, dtype=torch.bool).cuda(0, non_blocking=True),
            nn.Linear(2, 2).cuda().weight,
        ):
            assert moved.device.type == "meta"
        assert torch.ones(2).device.type == "cpu"


def test_other_threads_keep_their_cuda_and_wait_for_the_network() -> None:
    model, order, said = Greedy(), [], []
    entered, asked = threading.Event(), threading.Event()

    def move() -> None:
        entered.wait()
        try:
            said.append(torch.ones(2).cuda().device.type)
        except (RuntimeError, AssertionError) as error:  # there is no GPU
            said.append(type(error).__name__)
        asked.set()
        with evaluation_mode(model):
            order.append("second")

    thread = threading.Thread(target=move)
    thread.start()
    with evaluation_mode(model):
        entered.set()
        assert asked.wait(20)
        assert model(torch.ones(2)).device.type == "cpu"
        order.append("first")
    thread.join()
    assert order == ["first", "second"]
    assert said
    assert said != ["cpu"]
    assert model.training


def test_lending_may_be_nested() -> None:
    model = nn.Sequential(nn.Dropout(), nn.Dropout())
    model[1].eval()
    with evaluation_mode(model), evaluation_mode(model[0]):
        assert not model[0].training
    assert [module.training for module in model] == [True, False]
    assert torch.equal(F.dropout(torch.ones(1), 0.0), torch.ones(1))
