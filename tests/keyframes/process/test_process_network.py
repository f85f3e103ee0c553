"""What crosses to a network of another interpreter, and what comes back, in one interpreter."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from adapter_standins import (
    CATR,
    CAVP,
    COMBO,
    TPAVI,
    AVSegFormer,
    SemanticTPAVI,
    clip,
    small_vggish,
)
from torch import Tensor, nn

from coprop.errors import CoPropError
from coprop.keyframes.adapters import CallableSegmenter
from coprop.keyframes.adapters.base import NetworkAdapter
from coprop.keyframes.adapters.registry import FAMILIES, adapter_for, family_of
from coprop.keyframes.process.model import _adapted
from coprop.keyframes.process.network import RemoteNetwork
from coprop.keyframes.process.worker import Model, chosen, packed, unpacked

ATTRIBUTES = tuple(path for family in FAMILIES.values() for path in family.attributes)


class Here:
    """A worker without a process: what would cross does, through JSON and copies of arrays."""

    def __init__(self, made: Any, arrays: str | None = None) -> None:
        self.model = Model(made, arrays)
        self.attributes = ATTRIBUTES
        self.description = json.loads(json.dumps(self.model.describe(ATTRIBUTES)))
        self.crossed: list[int] = []  # bytes that came back

    def ask(self, body: dict[str, Any], arrays: list[Any]) -> tuple[Any, list[Any]]:
        sent: list[Any] = []
        request = json.loads(json.dumps(body))
        output = packed(self.model.call(request, [array.copy() for array in arrays]), sent)
        self.crossed.append(sum(array.nbytes for array in sent))
        return {"output": json.loads(json.dumps(output))}, [array.copy() for array in sent]


@pytest.fixture(autouse=True)
def _tensor_cuda_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    """The worker's interpreter is its own, and so is what it changes there."""
    monkeypatch.setattr(Tensor, "cuda", Tensor.cuda)
    torch.manual_seed(0)


def remote(made: Any, arrays: str | None = None) -> RemoteNetwork:
    return RemoteNetwork(Here(made, arrays))  # type: ignore[arg-type]


NETWORKS: dict[str, tuple[str, Any, dict[str, Any]]] = {
    "avsegformer": ("avsegformer", AVSegFormer, {}),
    "avsegformer that reads files": ("avsegformer", lambda: AVSegFormer(5, True), {}),
    "tpavi": ("tpavi", TPAVI, {"vggish": None}),
    "tpavi of classes": ("tpavi", SemanticTPAVI, {"vggish": None}),
    "catr": ("catr", CATR, {"vggish": None}),
    "combo": ("combo", COMBO, {"pre_masks": lambda frames: 1 - frames}),
    "combo of classes": (
        "combo",
        lambda: COMBO(use_pre_sam=False, is_avss_data=True),
        {"mode": "native"},
    ),
    "cavp": ("cavp", CAVP, {}),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_adapters_give_what_they_give_here(name: str) -> None:
    family, build, options = NETWORKS[name]
    if "vggish" in options:
        options = {"vggish": small_vggish()}
    network = build().train()
    here = FAMILIES[family](network, size=(32, 64), **options)
    there = _adapted(remote(network), family, {"size": (32, 64), **options})  # type: ignore[arg-type]
    assert repr(there) == repr(here)
    assert (there.window_s, there.context) == (here.window_s, here.context)
    for count in (5,) if "mode" in options else (1, 5):
        frames, audio = clip(count, (48, 40))
        assert torch.equal(there(frames, audio), here(frames, audio))
    assert all(module.training for module in network.modules())


def test_networks_are_recognised() -> None:
    for name, build in (("AVSegFormer", AVSegFormer), ("CAVP", CAVP)):
        assert type(_adapted(remote(build()), None, {})).__name__ == f"{name}Adapter"
    assert type(adapter_for(remote(AVSegFormer()))).__name__ == "AVSegFormerAdapter"
    assert family_of(remote(nn.Conv2d(3, 1, 1))) is None
    with pytest.raises(CoPropError, match="VGGish embeddings"):
        _adapted(remote(named("Pred_endecoder", TPAVI)), None, {})


def named(name: str, kind: type[nn.Module]) -> nn.Module:
    return type(name, (kind,), {})()  # type: ignore[no-any-return]


def test_only_what_is_used_comes_back() -> None:
    network = remote(AVSegFormer())
    adapter = _adapted(network, "avsegformer", {"size": (32, 64)})
    frames, audio = clip(3)
    adapter(frames, audio)
    assert network.client.crossed == [3 * 32 * 64 * 4]  # type: ignore[attr-defined]


def test_what_an_adapter_sets_holds_for_a_call() -> None:
    network = AVSegFormer(preprocess=True)
    seen = []
    network.vggish.register_forward_hook(lambda module, *_: seen.append(module.preprocess))
    there = _adapted(remote(network), "avsegformer", {"size": (32, 64)})
    there(*clip(2))
    assert seen == [False]
    assert network.vggish.preprocess is True


class Counting(nn.Module):
    """Keeps what it saw, as networks with a memory do; half of what it drops matters."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 2, 1)
        self.drop = nn.Dropout(0.5)
        self.register_buffer("mean", torch.zeros(()))
        self.register_buffer("calls", torch.zeros(()))
        self.seen = 0

    def forward(self, frames: Tensor, audio: Tensor) -> Tensor:
        self.seen += 1
        self.mean = self.mean + frames.mean()
        self.calls += 1
        assert not torch.is_grad_enabled()
        return self.drop(self.conv(frames)) + self.mean + self.seen + self.calls

    def method(self, frames: Tensor, audio: Tensor) -> Tensor:
        assert not self.training
        return self(frames, audio)


@pytest.mark.parametrize("wrapped", [lambda net: net, nn.DataParallel, lambda net: net.method])
def test_a_module_runs_in_evaluation_mode_and_is_left_as_it_was(wrapped: Any) -> None:
    network = Counting()
    frames, audio = clip(2)
    there, here = CallableSegmenter(remote(wrapped(network))), CallableSegmenter(network)
    assert torch.equal(there(frames, audio), here(frames, audio))
    assert torch.equal(there(frames, audio), here(frames, audio))
    assert (network.seen, float(network.mean), network.training) == (0, 0.0, True)


class Plain(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv, self.drop = nn.Conv2d(3, 2, 1), nn.Dropout(0.5)

    def forward(self, frames: Tensor, audio: Tensor) -> Tensor:
        return self.drop(self.conv(frames))


@pytest.mark.filterwarnings("ignore:.*torch.jit:FutureWarning")
@pytest.mark.parametrize(
    "make",
    [torch.jit.script, lambda m: torch.export.export(m.eval(), clip(2)).module()],
)
def test_networks_that_are_no_code_any_more(make: Any) -> None:
    network = make(Plain())
    flags = [module.training for module in network.modules()]
    frames, audio = clip(2)
    there, here = CallableSegmenter(remote(network)), CallableSegmenter(network)
    assert torch.equal(there(frames, audio), here(frames, audio))
    assert [module.training for module in network.modules()] == flags


@pytest.mark.parametrize("precision", [torch.float64, torch.bfloat16, torch.float16])
def test_a_module_is_given_its_own_precision(precision: torch.dtype) -> None:
    network = Counting().to(precision)
    frames, audio = clip(2)
    expected = CallableSegmenter(network)(frames.to(precision), audio.to(precision))
    found = CallableSegmenter(remote(network))(frames, audio)
    assert torch.equal(found.to(precision), expected)


def test_a_function_is_given_tensors_or_arrays() -> None:
    kinds: list[type] = []

    def fn(frames: Any, audio: Any) -> Any:
        kinds.append(type(frames))
        return frames

    frames, audio = clip(1)
    for arrays in (None, "torch", "numpy"):
        assert torch.equal(remote(fn, arrays)(frames, audio), frames)
    assert kinds == [Tensor, Tensor, np.ndarray]


def test_gradients_inside_a_function() -> None:
    network = nn.Conv2d(3, 1, 1)

    def fn(frames: Tensor, audio: Tensor) -> Tensor:
        frames = frames.requires_grad_()
        (gradient,) = torch.autograd.grad(network(frames).sum(), frames)
        return gradient[:, :1]

    frames, audio = clip(1)
    segmenter = CallableSegmenter(remote(fn), gradients=True)
    assert torch.equal(segmenter(frames, audio), CallableSegmenter(fn, gradients=True)(*clip(1)))
    with pytest.raises((RuntimeError, CoPropError), match="grad"):
        CallableSegmenter(remote(fn))(frames, audio)


def test_everything_that_can_cross_does() -> None:
    arrays: list[Any] = []
    value = {
        "a": [torch.arange(6).reshape(2, 3).T, None, True, 1.5, "text"],
        "b": (SimpleNamespace(mask=np.zeros((0, 3), bool)), torch.tensor(2.5), np.float32(7)),
        "c": {},
        "big": np.arange(3, dtype=">f8"),
    }
    told = json.loads(json.dumps(packed(value, arrays)))
    assert all(array.flags.c_contiguous and array.dtype.isnative for array in arrays)
    back = unpacked(told, arrays)
    assert back["a"][0].tolist() == [[0, 3], [1, 4], [2, 5]]
    assert back["a"][1:] == [None, True, 1.5, "text"]
    assert back["b"][0].mask.shape == (0, 3)
    assert (float(back["b"][1]), float(back["b"][2]), back["c"]) == (2.5, 7.0, {})
    assert back["big"].tolist() == [0, 1, 2]


@pytest.mark.parametrize("value", [object(), {1: 2}, np.array(["a"]), torch.zeros(1) * 1j, [set()]])
def test_what_cannot_cross(value: Any) -> None:
    with pytest.raises(TypeError, match="cannot be handed over"):
        packed(value, [])


def test_the_part_of_an_output_that_is_wanted() -> None:
    output = ["first", "second"]
    assert chosen(output, None) is output
    assert (chosen(output, ()), chosen("alone", ()), chosen([], ())) == ("first", "alone", [])
    assert chosen([{"a": 1, "b": 2}, {"b": 3}], ("a",)) == [{"a": 1}, {}]
    assert chosen("other", ("a",)) == "other"


def test_every_adapter_says_what_it_looks_at() -> None:
    """Whatever else it asked of a network would not be there."""
    for name, (family, build, _) in NETWORKS.items():
        network = build()
        told = remote(network)
        assert issubclass(FAMILIES[family], NetworkAdapter)
        for path in FAMILIES[family].attributes:
            assert has(told, path) == has(network, path), (name, path)


def has(network: Any, path: str) -> bool:
    for part in path.split("."):
        if not hasattr(network, part):
            return False
        network = getattr(network, part)
    return True
