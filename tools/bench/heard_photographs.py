"""Keyframes of photographs whose own sound is heard, and of others' sounds.

    python -m tools.bench.heard_photographs SOURCES [--split validation] [--seed N]

SOURCES is made by `tools.sources`. Each photograph of one thing, before its own background, is
segmented twice by the default: with a recording of what it shows, of which J is printed, and with
one of something else, as if that were behind the camera. Then nothing is to be masked: printed are
the mean area that is, as a share of the picture, and in how many pictures any is.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from coprop import CoProp, KeyframeSegmenter
from coprop.types import Audio
from tools.bench.listening import jaccard
from tools.benchmark.library import SOURCE_RATE, Library, Source, load_picture, random_recording

_SOUND_S = 3.0  # of a recording
_ANY = 0.005  # of the picture: less is a speck


def sounding(segmenter: KeyframeSegmenter, picture: NDArray[np.uint8], sound: Tensor) -> Tensor:
    """(H, W) bool, what is masked of an (H, W, 3) picture with a sound of (n,) samples."""
    frame = torch.from_numpy(picture.copy()).permute(2, 0, 1)[None] / 255
    logits: Tensor = segmenter(frame, sound[None])
    return logits[0, 0] > 0


def score(
    segmenter: KeyframeSegmenter,
    library: Library,
    photographs: Iterable[Source],
    rng: np.random.Generator,
) -> tuple[list[float], list[float]]:
    """J of each photograph with its own sound, and the masked share of it with another's.

    Args:
        segmenter: the model.
        library: where recordings come from.
        photographs: of things that the library has recordings of; others are left out.
        rng: draws recordings.
    """

    def heard(group: str) -> Tensor:
        samples = random_recording(library, rng, group)[: round(_SOUND_S * SOURCE_RATE)]
        track = Audio(samples, SOURCE_RATE).resampled(segmenter.sample_rate)
        return torch.from_numpy(track.read(0, round(track.duration_s * track.sample_rate)))

    scores, areas = [], []
    for photograph in photographs:
        if photograph.group not in library.groups:
            continue
        rgba = load_picture(photograph.path)
        others = [group for group in library.groups if group != photograph.group]
        own = sounding(segmenter, rgba[..., :3], heard(photograph.group))
        scores.append(jaccard(own.numpy(), rgba[..., 3] > 127))
        wrong = sounding(segmenter, rgba[..., :3], heard(str(rng.choice(others))))
        areas.append(float(wrong.float().mean()))
    return scores, areas


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("sources", type=Path)
    parser.add_argument("--split", default="test", help="of the sources")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    library = Library(arguments.sources, arguments.split)
    segmenter = CoProp.from_pretrained(device="cpu").segmenter
    assert isinstance(segmenter, KeyframeSegmenter)  # the default's is one
    rng = np.random.default_rng(arguments.seed)
    scores, areas = score(segmenter, library, library.photographs, rng)
    shown = np.mean(np.array(areas) > _ANY)
    print(
        f"{len(scores)} photographs: J with their own sound {np.mean(scores):.3f}; with another's "
        f"{np.mean(areas):.3f} of a picture is masked, and any of it in {shown:.3f} of them"
    )


if __name__ == "__main__":
    main()
