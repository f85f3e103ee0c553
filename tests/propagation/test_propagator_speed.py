"""What keeps the frame loop fast: no waiting for a device, no work for nothing, compiled once."""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest
import torch
import torch._dynamo
from torch import Tensor, nn
from torch._dynamo.utils import counters
from torch.nn import functional as F
from torch.utils._python_dispatch import TorchDispatchMode

from coprop.encoders import convolution
from coprop.encoders.convolution import convolve
from coprop.errors import AudioError, ShapeError
from coprop.propagation import AudioInsertPropagator, PropagationState
from coprop.propagation.backbones import FrozenBatchNorm2d, build_backbone
from coprop.propagation.checks import values_known
from coprop.propagation.masks import likeliest
from coprop.propagation.network import IdentityBank

Clip = tuple[Tensor, Tensor, Tensor]
Factory = Callable[..., AudioInsertPropagator]

# What makes the host wait for a GPU: values that Python reads, and results whose shape is a value.
WAITING = {
    *("aten._local_scalar_dense", "aten.equal", "aten.is_nonzero", "aten.item"),
    *("aten.nonzero", "aten.masked_select", "aten.unique_consecutive", "aten._unique2"),
    *("aten.bincount", "aten.repeat_interleave"),
}


class Waits(TorchDispatchMode):
    """Counts the operations for whose results the host has to wait for a GPU."""

    def __init__(self) -> None:
        super().__init__()
        self.counts: Counter[str] = Counter()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = str(func.overloadpacket)
        indices = args[1] if name in {"aten.index", "aten.index_put_"} else ()
        by_mask = any(x is not None and x.dtype in (torch.bool, torch.uint8) for x in indices)
        if name in WAITING or by_mask:
            self.counts[name] += 1
        return func(*args, **(kwargs or {}))


def test_the_count_knows_what_waits() -> None:
    x = torch.rand(4)
    with Waits() as waits:
        float(x.max()), bool((x > 0).any()), x.nonzero(), x[x > 0.5], torch.equal(x, x)
    assert sum(waits.counts.values()) == 5


@pytest.mark.parametrize("objects", [2, 12])
def test_frames_of_known_values_wait_for_nothing(
    objects: int, hearing: AudioInsertPropagator, clip: Clip
) -> None:
    frames, audio, mask = clip
    state = hearing.start(frames[:, 0], audio[:, 0], mask, num_objects=objects)
    with values_known(), Waits() as waits:
        for t in range(1, 6):
            _, state = hearing.step(frames[:, t], audio[:, t], state)
            hearing.step(frames[:, t], audio[:, t], state, output_size=(30, 40))
    assert not waits.counts
    with Waits() as waits:
        hearing.step(frames[:, 5], audio[:, 5], state)
    assert waits.counts  # the values of arguments, which users may have got wrong


def test_a_keyframe_with_probabilities_of_known_values_waits_for_nothing(
    hearing: AudioInsertPropagator, clip: Clip
) -> None:
    frames, audio, mask = clip
    soft = F.one_hot(mask, 3).permute(0, 3, 1, 2).float()
    with values_known(), Waits() as waits:
        hearing.start(frames[:, 0], audio[:, 0], soft)
    assert not waits.counts


def test_values_are_read_again_after_the_loop_and_shapes_within_it(
    small: AudioInsertPropagator, clip: Clip
) -> None:
    frames, audio, mask = clip
    state = small.start(frames[:, 0], audio[:, 0], mask)
    nothing = torch.full_like(audio[:, 1], torch.nan)
    with values_known(), pytest.raises(ShapeError, match="batch of 2"):
        small.step(frames[:1, 1], audio[:1, 1], state)
    with pytest.raises(ShapeError, match="255"):
        small.step(frames[:, 1] * 255 + 255, audio[:, 1], state)
    with pytest.raises(AudioError, match="nan_to_num"):
        small.step(frames[:, 1], nothing, state)


@pytest.mark.parametrize("name", ["resnet50", "mobilenetv2", "efficientnet_lite0"])
def test_folded_normalisation_is_the_normalisation(name: Any) -> None:
    """At every convolution of the backbone, the product is that of the two modules in turn."""
    torch.manual_seed(0)
    modules = [*build_backbone(name).modules()]
    layers = [m for m in modules if isinstance(m, nn.Conv2d) or hasattr(m, "running_var")]
    pairs = [*pairwise(layers)]
    pairs = [(conv, norm) for conv, norm in pairs if isinstance(conv, nn.Conv2d)]
    assert len(pairs) == len(layers) / 2
    for conv, norm in pairs:
        with torch.no_grad():
            norm.running_mean.normal_(0, 0.3)
            norm.running_var.uniform_(0.5, 2)
            norm.weight.uniform_(0.5, 1.5)
            norm.bias.normal_(0, 0.1)
        x = torch.rand(1, conv.in_channels, 9, 11)
        y = F.conv2d(x, conv.weight, None, conv.stride, conv.padding, conv.dilation, conv.groups)
        scale = norm.weight / (norm.running_var + norm.eps).sqrt()
        expected = (y - norm.running_mean[:, None, None]) * scale[:, None, None]
        expected = expected + norm.bias[:, None, None]
        torch.testing.assert_close(convolve(conv, x, norm), expected, rtol=1e-5, atol=1e-5)


def test_what_is_kept_of_folding_is_of_the_present_weights() -> None:
    """Written to in place, replaced and loaded, the weights count; unchanged, they are kept."""
    conv, norm = nn.Conv2d(3, 8, 3, bias=False), FrozenBatchNorm2d(8)
    x = torch.rand(1, 3, 6, 6)

    def writes() -> None:
        norm.running_mean.add_(0.1)

    def replaces() -> None:
        conv.weight.data = conv.weight.data * 2

    def exchanges() -> None:
        conv.weight = nn.Parameter(conv.weight.detach() + 1)

    def loads() -> None:
        conv.load_state_dict({"weight": torch.rand_like(conv.weight)})

    for change in (writes, replaces, exchanges, loads):
        with torch.no_grad():
            change()
            first, again = convolve(conv, x, norm), convolve(conv, x, norm)
            assert torch.equal(first, again)
        expected = convolve(conv, x, norm)  # with gradients nothing is kept
        torch.testing.assert_close(first, expected.detach(), rtol=1e-5, atol=1e-5)


def test_folding_is_done_once(monkeypatch: pytest.MonkeyPatch) -> None:
    conv, norm, done = nn.Conv2d(3, 8, 1, bias=False), FrozenBatchNorm2d(8), []
    folded = convolution._folded
    monkeypatch.setattr(convolution, "_folded", lambda *x: done.append(x) or folded(*x))
    with torch.inference_mode():
        for _ in range(3):
            convolve(conv, torch.rand(1, 3, 4, 4), norm)
    assert len(done) == 1


def test_folding_learns_as_the_two_modules_do() -> None:
    conv, norm = nn.Conv2d(3, 8, 3, bias=False).double(), FrozenBatchNorm2d(8).double()
    norm.running_var.uniform_(0.5, 2)
    assert [*norm.state_dict()] == ["weight", "bias", "running_mean", "running_var"]
    x = torch.rand(1, 3, 6, 6, dtype=torch.float64)
    scale = norm.weight / (norm.running_var + norm.eps).sqrt()
    (folded,) = torch.autograd.grad(convolve(conv, x, norm).square().sum(), conv.weight)
    apart = (conv(x) - norm.running_mean[:, None, None]) * scale[:, None, None]
    (expected,) = torch.autograd.grad(apart.square().sum(), conv.weight)
    torch.testing.assert_close(folded, expected)


@pytest.mark.parametrize("batch", [1, 2])
def test_maps_stay_with_channels_last(small: AudioInsertPropagator, clip: Clip, batch: int) -> None:
    frames, audio, mask = (x[:batch] for x in clip)
    seen: list[Tensor] = []
    decoder = small.network.decoder
    hooks = [
        decoder.register_forward_pre_hook(lambda _, args: seen.extend((args[0], *args[1]))),
        decoder.conv_4x.register_forward_hook(lambda _, args, out: seen.append(out)),
    ]
    try:
        state = small.start(frames[:, 0], audio[:, 0], mask)
        small.step(frames[:, 1], audio[:, 1], state)
    finally:
        for hook in hooks:
            hook.remove()
    assert len(seen) == 5
    assert all(x.is_contiguous(memory_format=torch.channels_last) for x in seen)
    # Of B = 1 many strides would do; this is how torch itself tells.
    assert all(torch.empty_like(x).stride() == x.stride() for x in seen)


@pytest.mark.parametrize("objects", [0, 1, 4, 10])
def test_identities_that_stand_for_nothing_cost_nothing(objects: int) -> None:
    bank = IdentityBank(11, 16, 17, 16, padding=8)
    mask = torch.rand(2, 1 + objects, 65, 81)
    full = F.pad(mask, (0, 0, 0, 0, 0, 10 - objects))
    expected = F.conv2d(full, bank.weight, bank.bias, 16, 8)
    torch.testing.assert_close(bank(mask), expected, rtol=1e-5, atol=1e-6)


def test_labels_are_those_of_the_resized_label_map() -> None:
    logits = torch.randn(2, 4, 30, 47)
    logits[:, 2] = logits[:, 1]  # ties go to the first, as with argmax
    for size in ((30, 47), (17, 33), (65, 81)):
        labels = F.interpolate(logits.argmax(1)[:, None].float(), size=size, mode="nearest")[:, 0]
        assert torch.equal(likeliest(logits, size), labels.long())


def test_joined_segments_are_the_segments(hearing: AudioInsertPropagator, clip: Clip) -> None:
    frames, audio, mask = clip
    alone = [
        hearing.start(frames[i : i + 1, 0], audio[i : i + 1, 0], mask[i : i + 1]) for i in (0, 1)
    ]
    joined = PropagationState.joined(alone)
    for t in (1, 2, 3):
        logits, joined = hearing.step(frames[:, t], audio[:, t], joined)
        for i, state in enumerate(alone):
            own, alone[i] = hearing.step(frames[i : i + 1, t], audio[i : i + 1, t], state)
            torch.testing.assert_close(own, logits[i : i + 1], rtol=0, atol=1e-4)
    for i, state in enumerate(joined.split()):
        logits, _ = hearing.step(frames[i : i + 1, 4], audio[i : i + 1, 4], state)
        own, _ = hearing.step(frames[i : i + 1, 4], audio[i : i + 1, 4], alone[i])
        torch.testing.assert_close(logits, own, rtol=0, atol=1e-4)
    other = hearing.start(frames[:1, 0], audio[:1, 0], mask[:1], num_objects=3)
    with pytest.raises(ShapeError, match="num_objects"):
        PropagationState.joined([other, *joined.split()])
    with pytest.raises(ShapeError, match="joined"):
        PropagationState.joined([])


def follow(propagator: AudioInsertPropagator, frames: Tensor, mask: Tensor) -> list[Tensor]:
    state = propagator.start(frames[:1, 0], None, mask[:1])
    outputs = []
    for t in range(1, frames.shape[1]):
        logits, state = propagator.step(frames[:1, t], None, state)
        outputs.append(logits)
    return outputs


def test_compiled_without_breaks_and_once_for_all_clips(small_factory: Factory, clip: Clip) -> None:
    frames, _, mask = clip
    plain = small_factory(insert_levels=(), encoder="mobilenetv2")
    compiled = small_factory(insert_levels=(), encoder="mobilenetv2")
    torch._dynamo.reset()
    counters.clear()
    compiled.compile(backend="eager")  # fullgraph: a break raises
    first = follow(compiled, frames, mask)  # four lengths of long-term memory
    graphs = counters["stats"]["unique_graphs"]
    assert 0 < graphs <= 5
    second = follow(compiled, frames.flip(4), mask.flip(2))
    assert counters["stats"]["unique_graphs"] == graphs
    for outputs, expected in (
        (first, follow(plain, frames, mask)),
        (second, follow(plain, frames.flip(4), mask.flip(2))),
    ):
        for x, y in zip(outputs, expected, strict=True):
            torch.testing.assert_close(x, y, rtol=0, atol=1e-5)
    twin = copy.deepcopy(compiled)
    assert "encode" not in vars(twin.network)
    assert [*twin.state_dict()] == [*plain.state_dict()]


def test_a_frame_costs_the_same_however_long_the_video(small_factory: Factory, clip: Clip) -> None:
    """Operations and the memory that a state holds, of frame 90 and of frame 30."""
    frames, _, mask = clip
    tiny = small_factory(insert_levels=(), max_long_edge=17, encoder="mobilenetv2")
    state = tiny.start(frames[:1, 0], None, mask[:1])
    costs = {}
    for t in range(1, 91):
        if t in (30, 90):
            with Elements() as elements:
                tiny.step(frames[:1, t % 6], None, state)
            held = sum(
                x.untyped_storage().nbytes()
                for m in state.memories
                for part in (m.long_term.tokens, m.short_term)
                for x in (part.keys, part.values)
            )
            costs[t] = (elements.operations, elements.made, held)
        _, state = tiny.step(frames[:1, t % 6], None, state)
    assert costs[30] == costs[90]


class Elements(TorchDispatchMode):
    """Counts operations and the elements of what they make."""

    operations = made = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        self.operations += 1
        self.made += out.numel() if isinstance(out, Tensor) else 0
        return out


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_weights(dtype: torch.dtype, small_factory: Factory, clip: Clip) -> None:
    frames, _, mask = clip
    full = small_factory(insert_levels=())
    half = small_factory(insert_levels=()).to(dtype)
    for x, y in zip(follow(half, frames, mask), follow(full, frames, mask), strict=True):
        assert x.dtype == torch.float32
        assert (x.argmax(1) == y.argmax(1)).float().mean() > 0.97
    odd = F.interpolate(frames[:1, 0], size=(50, 70))  # frame and mask of sizes of their own
    soft = torch.rand(1, 3, 40, 30).softmax(1)
    for given in (odd, odd.to(dtype)):
        state = half.start(given, None, soft.to(given.dtype))
        assert half.step(given, None, state)[0].isfinite().all()


def test_windows_are_told_once_for_a_segment(hearing: AudioInsertPropagator, clip: Clip) -> None:
    frames, audio, mask = clip
    state = hearing.start(frames[:, 0], audio[:, 0], mask)
    _, after = hearing.step(frames[:, 1], audio[:, 1], state)
    assert after.places is state.places
