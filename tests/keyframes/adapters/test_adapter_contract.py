"""What functions return and need, and networks that are their own adapters."""

from __future__ import annotations

import functools
import io
import threading
import warnings
from typing import Any

import pytest
import torch
from adapter_standins import TPAVI, Eye, clip
from torch import Tensor, nn

from coprop import CoProp
from coprop.assembly.slots import device_of
from coprop.errors import CoPropError, ModelOutputError
from coprop.keyframes.adapters import CallableSegmenter, adapter_for
from coprop.keyframes.adapters.inference import evaluation_mode, network_of
from coprop.keyframes.model import as_logits
from pipeline_samples import Shifter, changes_at, clip_of, noise

SOFT = torch.linspace(0, 1, 24).view(1, 1, 4, 6)


def pipeline(fn: Any, **options: Any) -> CoProp:
    return CoProp.wrap(fn, detector=changes_at(), propagator=Shifter(), **options)


def run(fn: Any, **options: Any) -> Any:
    return pipeline(fn, **options)(clip_of(3), noise(1.5), fps=2)


def half(frames: Tensor, audio: Tensor) -> Tensor:
    mask = torch.zeros(len(frames), 1, *frames.shape[-2:])
    mask[..., : frames.shape[-1] // 2] = 1
    return mask


def test_probabilities_and_masks_become_logits() -> None:
    torch.testing.assert_close(
        as_logits(SOFT, "probabilities", "fn").sigmoid(), SOFT, atol=2e-6, rtol=0
    )
    soft = torch.rand(2, 5, 4, 6).softmax(1)
    torch.testing.assert_close(as_logits(soft, "probabilities", "fn").softmax(1), soft)
    hard = SOFT > 0.5
    for mask in (hard, hard.float(), hard * 255, hard[:, 0], hard.to(torch.uint8) * 255):
        logits = as_logits(mask, "mask", "fn")
        assert logits.shape == SOFT.shape
        assert torch.equal(logits > 0, hard)
    ids = torch.tensor([[[0, 3], [1, 0]]])
    assert as_logits(ids, "mask", "fn").argmax(1).tolist() == ids.tolist()


@pytest.mark.parametrize(
    ("values", "outputs", "message"),
    [
        (SOFT * 4 - 2, "probabilities", r"probabilities in \[0, 1\], got values from -2 to 2"),
        (SOFT, "mask", "soft masks are"),
        (torch.full((1, 1, 2, 2), float("nan")), "probabilities", "got values from nan"),
        (torch.zeros(4), "mask", r"got \(4,\)"),
    ],
)
def test_what_they_cannot_be_is_told(values: Tensor, outputs: Any, message: str) -> None:
    with pytest.raises(ModelOutputError, match=message):
        as_logits(values, outputs, "fn")


def test_probabilities_in_place_of_logits_are_told_once() -> None:
    with pytest.warns(
        UserWarning, match=r"torch\.logit\(values\).*outputs=\"probabilities\""
    ) as told:
        run(lambda f, a: 0.2 + 0.6 * half(f, a), max_segment_s=0.5)
    assert len(told) == 1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for outputs, dtype in (("probabilities", torch.float32), ("mask", torch.bool)):
            result = run(lambda f, a, d=dtype: half(f, a).to(d), outputs=outputs)
            assert result.masks[0].area == 0.5
        run(lambda f, a: half(f, a) * 8 - 4)


def test_outputs_is_for_functions() -> None:
    with pytest.raises(CoPropError, match="outputs is for functions"):
        pipeline(CallableSegmenter(half), outputs="mask")
    with pytest.raises(CoPropError, match=r"outputs must be one of .*'soft'"):
        pipeline(half, outputs="soft")


class Own(nn.Module):
    """Called as a function is; counts what it is given, and knows whether it is trained."""

    def __init__(self) -> None:
        super().__init__()
        self.eye, self.head = Eye(stride=1), nn.Conv2d(8, 1, 1)
        self.model = "resnet"  # a name, not a network

    def forward(self, frames: Tensor, audio: Tensor) -> Tensor:
        assert frames.device == self.head.weight.device
        return self.head(self.eye(frames)).cuda()


@pytest.mark.parametrize("of", [lambda m: m, lambda m: m.forward, lambda m: functools.partial(m)])
def test_a_network_that_is_its_own_adapter_is_left_as_it_was(of: Any) -> None:
    model = Own().train()
    before = {name: x.clone() for name, x in model.state_dict().items()}
    segmenter = CallableSegmenter(of(model))
    inputs = clip(2)
    torch.testing.assert_close(segmenter(*inputs), segmenter(*inputs))  # no dropout
    assert all(module.training for module in model.modules())
    assert all(torch.equal(x, before[name]) for name, x in model.state_dict().items())


class Scripted(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.head, self.norm = nn.Conv2d(3, 1, 1), nn.BatchNorm2d(1)

    def forward(self, frames: Tensor, audio: Tensor) -> Tensor:
        return self.norm(self.head(frames))


def loaded(model: Any) -> Any:
    file = io.BytesIO()
    torch.jit.save(model, file)
    file.seek(0)
    return torch.jit.load(file)


@pytest.mark.filterwarnings("ignore:.*torch.jit:FutureWarning")
@pytest.mark.parametrize(
    "make",
    [
        torch.jit.script,
        lambda m: loaded(torch.jit.script(m)),
        lambda m: torch.jit.trace(m.eval(), clip(1)).train(),
        lambda m: torch.jit.freeze(torch.jit.script(m.eval())),
        lambda m: torch.export.export(m.eval(), clip(2)).module(),
    ],
)
def test_networks_that_are_no_code_any_more_are_left_as_they_were(make: Any) -> None:
    model = make(Scripted().train())
    before = {name: x.clone() for name, x in model.state_dict().items()}
    flags = [getattr(module, "training", None) for module in model.modules()]
    segmenter = CallableSegmenter(model)
    assert segmenter(*clip(2)).shape == (2, 1, *clip(2)[0].shape[-2:])
    assert [getattr(module, "training", None) for module in model.modules()] == flags
    assert all(torch.equal(x, before[name]) for name, x in model.state_dict().items())


def test_networks_of_other_arguments_are_refused() -> None:
    with pytest.raises(CoPropError, match=r"Conv2d.* cannot be called with \(frames, audio\)"):
        CallableSegmenter(nn.Conv2d(3, 1, 1))


def test_the_network_behind_an_adapter_is_lent_too() -> None:
    model = Own().train()
    before = model.eye.norm.running_mean.clone()
    run(model, adapter=lambda f, a: model(f, a))
    run(model, adapter=model)
    assert torch.equal(model.eye.norm.running_mean, before)
    assert model.eye.norm.num_batches_tracked == 0
    assert model.training


def test_inputs_go_where_the_network_is_at_the_call() -> None:
    class Where(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.ones(()))
            self.seen: list[str] = []

        def forward(self, frames: Tensor, audio: Tensor) -> Tensor:
            seen.append((frames.device.type, audio.cuda().device.type))
            return torch.zeros(len(frames), 1, *frames.shape[-2:])

    seen: list[Any] = []
    model = Where()
    segmenter = CallableSegmenter(model)
    frames, audio = clip(1)
    assert segmenter(frames, audio).device.type == "cpu"
    model.to("meta")
    segmenter(frames, audio)
    assert seen == [("cpu", "cpu"), ("meta", "meta")]


def test_the_device_of_a_part_is_its_own() -> None:
    model = Own()
    model.model = nn.Linear(1, 1, device="meta")  # registered last
    assert network_of(model) is model
    assert device_of(model).type == "cpu"
    assert device_of(CallableSegmenter(nn.Bilinear(1, 1, 1, device="meta"))).type == "meta"


def test_different_networks_do_not_wait_for_each_other() -> None:
    one, other, shared = Own(), Own(), nn.Sequential()
    entered, order = threading.Event(), []

    def use(model: nn.Module, name: str) -> None:
        with evaluation_mode(model):
            order.append(name)
        entered.set()

    with evaluation_mode(one):
        thread = threading.Thread(target=use, args=(other, "other"))
        thread.start()
        assert entered.wait(20)
        thread.join()
        shared.append(one.eye)  # a network that shares a part does wait
        entered.clear()
        thread = threading.Thread(target=use, args=(shared, "shared"))
        thread.start()
        assert not entered.wait(0.2)
    thread.join()
    assert order == ["other", "shared"]


def test_frames_per_call_forgotten() -> None:
    network = TPAVI()
    fn = lambda frames, sound: network(frames, sound.mean(1, True).expand(-1, 128))[0]  # noqa: E731
    with pytest.raises(CoPropError, match=r"failed on one frame .*frames_per_call=T"):
        CallableSegmenter(fn, network=network)(*clip(1))
    assert CallableSegmenter(fn, network=network, frames_per_call=5)(*clip(1)).shape[0] == 1
    with pytest.raises(ModelOutputError, match="frames_per_call=T"):
        CallableSegmenter(lambda f, a: torch.zeros(5, 1, 4, 4), size=(8, 8))(*clip(1))


def test_other_failures_pass_as_they_are() -> None:
    def fail(frames: Tensor, audio: Tensor) -> Tensor:
        raise RuntimeError("CUDA out of memory, size 4")

    with pytest.raises(RuntimeError, match="out of memory"):
        CallableSegmenter(fail)(*clip(1))


class Graded(nn.Module):
    """Looks at its own gradients in its forward, as class activation maps do."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 1, 1)

    def forward(self, frames: Tensor, audio: Tensor) -> Tensor:
        seen = self.conv(frames)
        seen.sum().backward(retain_graph=True)
        return seen * self.conv.weight.grad.abs().mean()


def test_gradients_in_forward() -> None:
    model = Graded()
    model.conv.bias.grad = kept = torch.ones(1)
    with pytest.raises(CoPropError, match=r"gradients inside its forward.*gradients=True"):
        CallableSegmenter(model)(*clip(1))
    logits = CallableSegmenter(model, gradients=True)(*clip(1))
    assert not logits.requires_grad
    assert model.conv.bias.grad is kept
    assert kept.item() == 1
    assert model.conv.weight.grad is None


@pytest.mark.parametrize(
    "arguments", ["x, audio_feature, a_cls", "x, audio_feature=None, seq_len=5"]
)
def test_namesakes_that_take_something_else_are_not_known(arguments: str) -> None:
    scope: dict[str, Any] = {"nn": nn}
    exec(f"class Pred_endecoder(nn.Module):\n def forward(self, {arguments}): return x", scope)
    model = scope["Pred_endecoder"]()
    assert adapter_for(model) is None
    with pytest.raises(CoPropError, match=r"cannot tell how Pred_endecoder\.forward\(x, audio"):
        pipeline(model)
