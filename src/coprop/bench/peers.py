"""The propagator beside its peers: the same weights, the same frames, in turns.

A peer is a checkout of https://github.com/yoxu515/aot-benchmark, whose AOT-L with ResNet-50 is
compared, or EdgeTAM or SAM 2 of transformers. The code of a checkout is run as it is; only its
third form of local attention, which its layers take where the correlation sampler is not installed
and which adds tensors of other shapes, gives way to its second. Without a checkpoint both get
the same random weights. EdgeTAM and SAM 2 are compared with the default propagator, in time alone:
their weights are random, and their masks mean nothing. Peers compute in float32, as they come.
"""

from __future__ import annotations

import importlib
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from coprop.bench.memory import peak_mib, resident_mib
from coprop.encoders.visual import normalised
from coprop.errors import CoPropError
from coprop.pipeline import WEIGHTS
from coprop.propagation.config import PropagatorConfig
from coprop.propagation.propagator import AudioInsertPropagator, Propagator
from coprop.propagation.sam2 import Sam2Propagator
from coprop.utils.extras import needs

TRANSFORMERS = {"edgetam": "EdgeTamVideo", "sam2": "Sam2Video"}
Step = Callable[[Tensor], Tensor]  # a frame's logits (1, K + 1, H, W)
_ENGINE = Path("networks", "engines", "aot_engine.py")  # by which a checkout is known


@dataclass(frozen=True)
class PeerOptions:
    """What is compared.

    Args:
        peer: a checkout of the official AOT, "edgetam" or "sam2".
        size: (height, width) of the frames.
        frames: after the keyframe.
        from_frame: the first that counts, at most ``frames``.
        objects: that are followed.
        gap: frames between two in long-term memory.
        memory: how many frames ours holds there.
        checkpoint: an official AOT-L file; None for random weights.
        threads: of each.
        dtype: the precision of ours, as torch names it.
        peaks: whether each one's peak memory is found too, by a run in a process of its own.

    Raises:
        CoPropError: no frame that counts.
    """

    peer: str
    size: tuple[int, int] = (465, 465)
    frames: int = 8
    from_frame: int = 2
    objects: int = 3
    gap: int = 5
    memory: int = 8
    checkpoint: Path | None = None
    threads: int = 1
    dtype: str = "float32"
    peaks: bool = True

    def __post_init__(self) -> None:
        if not 1 <= self.from_frame <= self.frames:
            raise CoPropError(
                f"of {self.frames} frames none counts from number {self.from_frame} on; from_frame "
                "is at least 1 and at most frames."
            )


@dataclass
class Contender:
    """One of the two: how it is begun, and what came of it."""

    name: str
    begin: Callable[[Tensor, Tensor], Step]
    seconds: list[float] = field(default_factory=list)


def scene(options: PeerOptions) -> Iterator[tuple[Tensor, Tensor]]:
    """Frames (1, 3, H, W) of textured discs on a textured ground that move, and labels."""
    (height, width), objects = options.size, options.objects
    generator = torch.Generator().manual_seed(0)
    textures = torch.rand(objects + 1, 3, height // 8 + 1, width // 8 + 1, generator=generator)
    textures = F.interpolate(textures, (height, width), mode="bicubic").clamp(0, 1)
    centres = torch.rand(objects, 2, generator=generator)
    speeds = (torch.rand(objects, 2, generator=generator) - 0.5) / 40
    y = torch.linspace(0, 1, height)[:, None]
    x = torch.linspace(0, 1, width)
    for t in range(options.frames + 1):
        frame, labels = textures[0].roll(t, dims=-1).clone(), torch.zeros(height, width).long()
        for k, centre in enumerate(centres + t * speeds, start=1):
            disc = (y - centre[0] % 1).square() + (x - centre[1] % 1).square() < 0.02
            frame[:, disc], labels[disc] = textures[k][:, disc], k
        yield frame[None], labels[None]


def stepping(propagator: Propagator, audio: Tensor | None) -> Callable[[Tensor, Tensor], Step]:
    """A propagator's steps, one after another."""

    def begin(frame: Tensor, labels: Tensor) -> Step:
        state = propagator.start(frame, audio, labels)

        def step(frame: Tensor) -> Tensor:
            nonlocal state
            logits, state = propagator.step(frame, audio, state)
            return logits

        return step

    return begin


def ours(options: PeerOptions) -> AudioInsertPropagator:
    """AOT-L without sound: the file's, or of random weights whose identities are told apart."""
    if options.checkpoint is not None:
        return AudioInsertPropagator.from_checkpoint(
            options.checkpoint,
            insert_levels=(),
            long_term_gap=options.gap,
            max_memory_frames=options.memory,
        )
    torch.manual_seed(0)
    config = PropagatorConfig.aot_l(
        insert_levels=(), long_term_gap=options.gap, max_memory_frames=options.memory
    )
    propagator = AudioInsertPropagator(config).eval()
    torch.nn.init.normal_(propagator.network.patch_wise_id_bank.weight, std=0.1)
    return propagator


def official(
    checkout: Path, weights: dict[str, Tensor], gap: int
) -> Callable[[Tensor, Tensor], Step]:
    """The steps of the official engine, as its evaluation takes them."""
    if not (checkout / _ENGINE).is_file():
        raise CoPropError(
            f"{checkout} is no checkout of the official AOT: there is no {_ENGINE} in it. Give the "
            "folder of a clone of https://github.com/yoxu515/aot-benchmark, or edgetam or sam2."
        )
    sys.path.insert(0, str(checkout))
    transformer: Any = importlib.import_module("networks.layers.transformer")
    attention: Any = importlib.import_module("networks.layers.attention")
    if not attention.enable_corr:
        transformer.MultiheadLocalAttentionV3 = attention.MultiheadLocalAttentionV2
    config: Any = importlib.import_module("configs.models.r50_aotl").ModelConfig()
    defaults: Any = importlib.import_module("configs.default").DefaultEngineConfig
    for name, value in training_settings(defaults).items():
        setattr(config, name, value)
    model = importlib.import_module("networks.models").build_vos_model("aot", config).eval()
    missing, unknown = model.load_state_dict(weights, strict=False)
    if unknown or set(missing) - {"LSTT.mask_token"}:
        raise CoPropError(
            f"the weights do not fit {checkout}, which lacks {unknown} and has beside them "
            f"{missing}; is it at the version of AOT?"
        )
    engines = importlib.import_module("networks.engines")

    def begin(frame: Tensor, labels: Tensor) -> Step:
        engine = engines.build_engine(
            "aotengine", phase="eval", aot_model=model, gpu_id=0, long_term_mem_gap=gap
        )
        objects, size = int(labels.max()), tuple(labels.shape[-2:])
        engine.add_reference_frame(normalised(frame), labels[:, None].float(), objects)

        def step(frame: Tensor) -> Tensor:
            engine.match_propogate_one_frame(normalised(frame))
            logits: Tensor = engine.decode_current_logits(size)
            engine.update_memory(logits.softmax(1).argmax(1, keepdim=True).float())
            return logits[:, : 1 + objects]

        return step

    return begin


def training_settings(defaults: Any) -> dict[str, Any]:
    """The settings that the official model asks for, without the folders that they make."""
    defaults.init_dir = lambda self: None
    return {
        name: value
        for name, value in vars(defaults(model="r50_aotl")).items()
        if name.startswith("TRAIN_")
    }


def from_transformers(family: str) -> Sam2Propagator:
    """EdgeTAM, or SAM 2.1 tiny, of the published size, with random weights."""
    with needs("transformers", "coprop[llm]", f"--peer {family}"):
        import transformers

    kind = TRANSFORMERS[family]
    torch.manual_seed(0)
    config = getattr(transformers, f"{kind}Config")()
    return Sam2Propagator(getattr(transformers, f"{kind}Model")(config))


def contenders(options: PeerOptions) -> list[Contender]:
    """The two that are compared: coprop's own, and the peer."""
    dtype: torch.dtype = getattr(torch, options.dtype)
    if options.peer in TRANSFORMERS:
        default = AudioInsertPropagator.from_pretrained(WEIGHTS / "propagator").eval().to(dtype)
        audio = torch.zeros(1, round(default.sample_rate * default.window_s))
        return [
            Contender("coprop, the default", stepping(default, audio)),
            Contender(options.peer, stepping(from_transformers(options.peer), None)),
        ]
    propagator = ours(options)
    theirs = official(Path(options.peer), propagator.state_dict(), options.gap)
    own = stepping(propagator.to(dtype), None)
    return [Contender("coprop", own), Contender("official AOT-L", theirs)]


@torch.inference_mode()
def compare(options: PeerOptions) -> dict[str, Any]:
    """Both, frame by frame, in turns."""
    pair = contenders(options)
    frames = scene(options)
    first, labels = next(frames)
    steps = [contender.begin(first, labels) for contender in pair]
    equal, difference, overlaps = [], 0.0, []
    for t, (frame, _) in enumerate(frames, start=1):
        outputs = []
        for contender, step in zip(pair, steps, strict=True):
            before = time.process_time()
            outputs.append(step(frame))
            if t >= options.from_frame:
                contender.seconds.append(time.process_time() - before)
        mine, peer = (x.max(1).indices for x in outputs)
        equal.append(float((mine == peer).float().mean()))
        difference = max(difference, float((outputs[0] - outputs[1]).abs().max()))
        overlaps += [jaccard(mine == k, peer == k) for k in range(1, options.objects + 1)]
    medians = [statistics.median(contender.seconds) for contender in pair]
    result: dict[str, Any] = {
        "names": [contender.name for contender in pair],
        "seconds": medians,
        "least": [min(contender.seconds) for contender in pair],
        "ratio": medians[1] / medians[0],
    }
    if options.peer not in TRANSFORMERS:
        result |= {
            "equal_labels": statistics.mean(equal),
            "largest_logit_difference": difference,
            "J": statistics.mean(overlaps),
        }
    return result


def jaccard(first: Tensor, second: Tensor) -> float:
    """Of two boolean masks of one shape; 1 where both are empty."""
    union = int((first | second).sum())
    return int((first & second).sum()) / union if union else 1.0


@torch.inference_mode()
def peak(options: PeerOptions, which: int) -> float:
    """MiB that one of the two takes beyond what it took before the first frame."""
    torch.set_num_threads(options.threads)
    contender = contenders(options)[which]
    frames = scene(options)
    first, labels = next(frames)
    before = resident_mib() or 0.0
    step = contender.begin(first, labels)
    for frame, _ in frames:
        step(frame)
    return (peak_mib() or 0.0) - before


def measured(options: PeerOptions) -> dict[str, Any]:
    """Seconds a frame of both, what differs, and where it is asked for, each one's peak memory."""
    torch.set_num_threads(options.threads)
    result = compare(options)
    if options.peaks:
        fresh = get_context("spawn")
        result["peak_MiB"] = []
        for which in (0, 1):
            with ProcessPoolExecutor(1, mp_context=fresh) as process:
                result["peak_MiB"].append(process.submit(peak, options, which).result())
    return result


def told(result: dict[str, Any]) -> str:
    """The same in lines."""
    lines = []
    peaks = result.get("peak_MiB", (None, None))
    for name, seconds, least, mib in zip(
        result["names"], result["seconds"], result["least"], peaks, strict=True
    ):
        memory = "" if mib is None else f"  {mib:7.0f} MiB at the peak"
        lines.append(f"{name:20s} {seconds:.3f} CPU s a frame (least {least:.3f}){memory}")
    lines.append(f"ratio {result['ratio']:.2f}")
    if "J" in result:
        lines.append(
            f"labels equal on {100 * result['equal_labels']:.3f} % of pixels, J {result['J']:.4f}, "
            f"logits within {result['largest_logit_difference']:.2g}"
        )
    return "\n".join(lines)
