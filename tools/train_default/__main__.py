"""Trains the default's models, and writes what goes into the package.

    python -m tools.train_default hearing     --sources SOURCES --encoders ENCODERS --run RUN
    python -m tools.train_default grounding   --sources SOURCES --encoders ENCODERS --run RUN
    python -m tools.train_default novelty     --sources SOURCES --encoders ENCODERS --run RUN
    python -m tools.train_default propagation --sources SOURCES --encoders ENCODERS --run RUN
    python -m tools.train_default gate        --sources SOURCES --encoders ENCODERS --run RUN
    python -m tools.train_default export      --encoders ENCODERS --run RUN --out WEIGHTS
    python -m tools.train_default package     --sources SOURCES --out PACKAGE

WEIGHTS is src/coprop/weights. SOURCES is made by tools.sources, ENCODERS by
tools.train_default.convert_backbones. Each training continues from the checkpoint in
RUN where it was stopped. They can run side by side.

PACKAGE is a copy of SOURCES of at most 64 MB, to train on another machine, which may have a GPU:

    python -m tools.train_default propagation --sources PACKAGE --encoders ENCODERS --run RUN \
        --start WEIGHTS --device cuda --bfloat16 --batch 16 --workers 14 --steps 3000
"""

from __future__ import annotations

import argparse
import json
import logging
from dataclasses import replace
from pathlib import Path
from shutil import copyfile

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from coprop.checkpoints.weights import load_state_dict
from coprop.control_points import novelty
from coprop.control_points.novelty import NoveltyNetwork
from coprop.encoders.sound_effects import SoundEffectsEncoder
from coprop.encoders.yamnet import FineYAMNet
from coprop.keyframes.grounded import GroundedNetwork, released
from coprop.keyframes.segmenter import KeyframeSegmenter, SegmenterConfig
from coprop.propagation.config import PropagatorConfig
from coprop.propagation.propagator import AudioInsertPropagator
from coprop.propagation.sound_gate import SoundGate
from tools.benchmark.library import Library
from tools.train_default.gate import HeardSequences, cached_sequences, fit_gate, gate_shares
from tools.train_default.grounding import (
    ScoreBank,
    fit_sources,
    parts_of_grounding,
    settle_decoder,
    train_grounding,
)
from tools.train_default.hearing import (
    EmbeddedSounds,
    cached_examples,
    cross_fitted_answers,
    fit_hearing,
    hearing_accuracy,
    join,
)
from tools.train_default.novelty import cached_sounds, calibrate, train_novelty
from tools.train_default.package import write_package
from tools.train_default.propagation import (
    PropagationOptions,
    learned_parts,
    spread_identities,
    train_propagation,
)

PROPAGATOR = PropagatorConfig(
    insert_dim=64,
    max_long_edge=448,
    audio_encoder="yamnet",
    sound_gate=True,
    long_term_gap=10,  # 5, as in AOT-L, follows no better and takes a tenth longer
)

# What was trained before learns that much slower than the audio modules: with 2.5, a thousand steps
# of new material cost what it could do.
_SLOWER = 6.0


def new_segmenter(encoders: Path) -> KeyframeSegmenter:
    """The default segmenter with its pretrained encoders and nothing else learned."""
    segmenter = KeyframeSegmenter(SegmenterConfig("grounded", working_edge=640))
    network = network_of(segmenter)
    network.load_state_dict(released(), strict=False)
    weights = load_file(encoders / "efficientnet_lite0.safetensors")
    network.visual.backbone.load_state_dict(weights)
    return segmenter.eval()


def network_of(segmenter: KeyframeSegmenter) -> GroundedNetwork:
    """Its network, of which only the one kind is trained here."""
    if not isinstance(segmenter.network, GroundedNetwork):
        raise TypeError(f"the default is a GroundedNetwork, not {type(segmenter.network).__name__}")
    return segmenter.network


def start_from(network: GroundedNetwork, folder: Path) -> None:
    """Takes the mask decoder, and as much as there is of the patch classifier, of other weights."""
    weights = load_file(folder / "keyframe_segmenter" / "model.safetensors")
    learned = {
        name.removeprefix("network."): tensor.float()
        for name, tensor in weights.items()
        if name.startswith(("network.decoder.", "network.visual.patch_classifier."))
    }
    network.load_state_dict(learned, strict=False)


def new_propagator(encoders: Path, config: PropagatorConfig) -> AudioInsertPropagator:
    """The small propagator with its pretrained encoders and nothing else learned."""
    propagator = AudioInsertPropagator(config)
    weights = load_file(encoders / "efficientnet_lite0.safetensors")
    net = propagator.network.encoder.get_submodule("net")
    net.load_state_dict({key: weights[key] for key in net.state_dict()})
    spread_identities(propagator)
    return propagator


def go_on_from(propagator: AudioInsertPropagator, folder: Path) -> None:
    """Takes over other weights; audio modules that hear through another encoder begin anew."""
    started = json.loads((folder / "propagator" / "config.json").read_text(encoding="utf-8"))
    hears_alike = started["audio_encoder"] == propagator.config.audio_encoder
    weights = load_file(folder / "propagator" / "model.safetensors")
    known = {
        name: x.float()
        for name, x in weights.items()
        if hears_alike or not name.startswith("audio_insert.")
    }
    propagator.network.load_state_dict(known, strict=False)


def sounds_of(network: GroundedNetwork, arguments: argparse.Namespace) -> list[EmbeddedSounds]:
    """Sounds of the two halves of the recordings, made once."""
    library = Library(arguments.sources, "train", shipping=True)
    return [
        cached_examples(
            arguments.run / f"heard_{half}.pt",
            network.audio,
            library.half_of_sounds(half),
            np.random.default_rng(half),
            arguments.sounds // 2,
        )
        for half in (0, 1)
    ]


def train_hearing(arguments: argparse.Namespace) -> None:
    torch.manual_seed(0)
    network = network_of(new_segmenter(arguments.encoders))
    unheard = cached_examples(
        arguments.run / "heard_validation.pt",
        network.audio,
        Library(arguments.sources, "validation", shipping=True),
        np.random.default_rng(2),
        arguments.sounds // 5,
    )
    logging.info("hearing: %.3f named as released", hearing_accuracy(network.audio, unheard))
    fit_hearing(network.audio, join(sounds_of(network, arguments)))
    logging.info("hearing: %.3f named", hearing_accuracy(network.audio, unheard))
    save_file(network.audio.head.state_dict(), arguments.run / "hearing.safetensors")


def train_segmenter(arguments: argparse.Namespace) -> None:
    torch.manual_seed(0)
    network = network_of(new_segmenter(arguments.encoders))
    if arguments.start:
        start_from(network, arguments.start)
    library = Library(arguments.sources, "train", shipping=True)
    entropy = fit_sources(network, library, np.random.default_rng(0), arguments.scenes)
    logging.info("sources: cross-entropy %.4f", entropy)
    save_file(network.selector.state_dict(), arguments.run / "sources.safetensors")
    bank = ScoreBank(*cross_fitted_answers(network.audio, sounds_of(network, arguments)))
    options = steps_of(arguments)
    train_grounding(network, library, bank, arguments.run / "grounding.pt", **options)
    settle_decoder(network, library, bank, arguments.run / "settling.pt")


def steps_of(arguments: argparse.Namespace) -> dict[str, int]:
    return {} if arguments.steps is None else {"steps": arguments.steps}


def train_detector(arguments: argparse.Namespace) -> None:
    torch.manual_seed(0)
    encoder = SoundEffectsEncoder()
    load_state_dict(encoder, load_file(arguments.encoders / "aisfx.safetensors"), "aisfx")
    encoder.eval()
    library = Library(arguments.sources, "train", shipping=True)
    recordings = [s.path for sources in library.sounds.values() for s in sources]
    held_out = set(recordings[::10])
    parts = {"kept": library.without(held_out), "held": library.without(set(recordings) - held_out)}
    sounds = {
        name: cached_sounds(
            arguments.run / f"composed_{name}.pt",
            encoder,
            part,
            np.random.default_rng(seed),
            arguments.composed if name == "kept" else 300,
        )
        for seed, (name, part) in enumerate(parts.items())
    }
    network = NoveltyNetwork()
    checkpoint = arguments.run / "novelty.pt"
    train_novelty(network, sounds["kept"], checkpoint, **steps_of(arguments))
    calibrate(network, sounds["held"])
    save_file(network.state_dict(), arguments.run / "novelty.safetensors")


def train_propagator(arguments: argparse.Namespace) -> None:
    torch.manual_seed(0)
    # Training clips are short, so memory is written more often than in use. What the gate shuts is
    # followed all the same.
    config = replace(PROPAGATOR, long_term_gap=2, sound_gate=False)
    if arguments.plain:
        config = replace(config, insert_levels=())
    propagator = new_propagator(arguments.encoders, config)
    options = PropagationOptions(
        batch=arguments.batch, workers=arguments.workers, bfloat16=arguments.bfloat16
    )
    if arguments.start:
        go_on_from(propagator, arguments.start)
        options = replace(options, slower=_SLOWER)
    if arguments.steps is not None:
        options = replace(options, steps=arguments.steps)
    library = Library(arguments.sources, "train", shipping=True)
    checkpoint = arguments.run / ("plain.pt" if arguments.plain else "propagation.pt")
    train_propagation(propagator.to(arguments.device), library, checkpoint, options)


def train_gate(arguments: argparse.Namespace) -> None:
    torch.manual_seed(0)
    gate, encoder = gate_of(AudioInsertPropagator(PROPAGATOR)), FineYAMNet.from_pretrained().eval()

    def heard(split: str, seed: int, count: int) -> HeardSequences:
        path = arguments.run / f"sequences_{split}.pt"
        library = Library(arguments.sources, split, shipping=True)
        return cached_sequences(path, encoder, library, np.random.default_rng(seed), count)

    unheard = heard("validation", 1, arguments.sequences // 12)
    fit_gate(gate, heard("train", 0, arguments.sequences))
    shares = gate_shares(gate, unheard)
    logging.info("gate: of unheard sounds %.3f silent shut, %.3f sounding open", *shares)
    save_file(gate.state_dict(), arguments.run / "gate.safetensors")


def gate_of(propagator: AudioInsertPropagator) -> SoundGate:
    """Its sound gate, which the default has."""
    insert = propagator.network.audio_insert
    if insert is None or insert.sound_gate is None:
        raise TypeError("the default's propagator has a sound gate; this one has none")
    return insert.sound_gate


def package(arguments: argparse.Namespace) -> None:
    size = write_package(arguments.sources, arguments.out)
    logging.info("package: %.1f MB in %s", size / 1e6, arguments.out)


def export(arguments: argparse.Namespace) -> None:
    """Writes the released classifier, and the model of each training that RUN holds."""
    classifier = arguments.out / "imagenet" / "model.safetensors"
    classifier.parent.mkdir(parents=True, exist_ok=True)
    released_weights = load_file(arguments.encoders / "efficientnet_lite0.safetensors")
    save_file(in_8_bits(released_weights), classifier)
    if (arguments.run / "settling.pt").exists():
        export_segmenter(arguments)
    if (arguments.run / "novelty.safetensors").exists():
        detector = Path(novelty.__file__).with_name("novelty.safetensors")
        copyfile(arguments.run / "novelty.safetensors", detector)
        halve(detector)
    if (arguments.run / "propagation.pt").exists():
        export_propagator(arguments)


def export_segmenter(arguments: argparse.Namespace) -> None:
    """Writes what is not in the package already: released networks stay in their own folders."""
    segmenter = new_segmenter(arguments.encoders)
    network = network_of(segmenter)
    network.audio.head.load_state_dict(load_file(arguments.run / "hearing.safetensors"))
    network.selector.load_state_dict(load_file(arguments.run / "sources.safetensors"))
    grounding = torch.load(arguments.run / "grounding.pt", weights_only=True)
    parts_of_grounding(network).load_state_dict(grounding["learned"])
    settling = torch.load(arguments.run / "settling.pt", weights_only=True)
    nn.ModuleDict({"decoder": network.decoder}).load_state_dict(settling["learned"])
    folder = arguments.out / "keyframe_segmenter"
    write(segmenter, folder)
    file = folder / "model.safetensors"
    known = {f"network.{name}" for name in released()}
    own = {k: v for k, v in load_file(file).items() if k not in known}
    save_file(own, file, metadata={"format": "pt"})
    logging.info("grounding step %d", grounding["step"])


def export_propagator(arguments: argparse.Namespace) -> None:
    propagator = new_propagator(arguments.encoders, PROPAGATOR)
    propagation = torch.load(arguments.run / "propagation.pt", weights_only=True)
    learned_parts(propagator).load_state_dict(propagation["learned"])
    gate_of(propagator).load_state_dict(load_file(arguments.run / "gate.safetensors"))
    folder = arguments.out / "propagator"
    write(propagator, folder)
    file = folder / "model.safetensors"
    # YAMNet's weights are in the package already.
    own = {n: x for n, x in load_file(file).items() if not n.startswith("audio_insert.encoder.")}
    save_file(own, file, metadata={"format": "pt"})
    logging.info("propagation step %d", propagation["step"])


def write(model: KeyframeSegmenter | AudioInsertPropagator, folder: Path) -> None:
    model.save_pretrained(folder)
    (folder / "README.md").unlink(missing_ok=True)
    halve(folder / "model.safetensors")


def in_8_bits(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Matrices and kernels as 8-bit integers, with a scale for each output beside them."""
    stored = dict(tensors)
    for name, weight in tensors.items():
        if weight.ndim >= 2:
            scale = weight.abs().amax(dim=tuple(range(1, weight.ndim)), keepdim=True) / 127
            scale = scale.clamp_min(1e-12)
            stored[name] = (weight / scale).round().to(torch.int8)
            stored[name + ".scale"] = scale
    return stored


def halve(path: Path) -> None:
    """Stores floating-point tensors as float16: half the size, and no change that can be seen."""
    tensors = {k: v.half() if v.is_floating_point() else v for k, v in load_file(path).items()}
    save_file(tensors, path, metadata={"format": "pt"})


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "what",
        choices=["hearing", "grounding", "novelty", "propagation", "gate", "export", "package"],
    )
    parser.add_argument("--sources", type=Path)
    parser.add_argument("--encoders", type=Path)
    parser.add_argument("--run", type=Path)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--steps", type=int, help="of the training, if not the usual number")
    parser.add_argument("--sounds", type=int, default=14_000, help="to learn hearing from")
    parser.add_argument("--scenes", type=int, default=1400, help="to fit what is seen to")
    parser.add_argument("--start", type=Path, help="weights to go on from")
    parser.add_argument("--sequences", type=int, default=11_000, help="to learn the gate from")
    parser.add_argument("--composed", type=int, default=2600, help="sounds to learn changes from")
    parser.add_argument("--plain", action="store_true", help="a propagator that does not listen")
    parser.add_argument("--batch", type=int, default=2, help="sequences in a batch")
    parser.add_argument("--workers", type=int, default=0, help="processes that compose sequences")
    parser.add_argument("--bfloat16", action="store_true", help="half precision where it pays")
    parser.add_argument("--device", default="cpu", help="of the propagator's training")
    parser.add_argument("--threads", type=int)
    arguments = parser.parse_args()
    if arguments.what == "package":
        if arguments.sources is None or arguments.out is None:
            parser.error("package needs --sources and --out")
    elif arguments.encoders is None or arguments.run is None:
        parser.error(f"{arguments.what} needs --encoders and --run")
    else:
        arguments.run.mkdir(parents=True, exist_ok=True)
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    jobs = {
        "hearing": train_hearing,
        "grounding": train_segmenter,
        "novelty": train_detector,
        "propagation": train_propagator,
        "gate": train_gate,
        "export": export,
        "package": package,
    }
    jobs[arguments.what](arguments)


if __name__ == "__main__":
    main()
