"""The propagator on photographs that move: real light and edges, and masks that are known.

    python -m tools.bench.photographs SOURCES PROPAGATOR... [--split validation] [--photographs N]
    python -m tools.bench.photographs SOURCES PROPAGATOR... --lively

SOURCES is made by `tools.sources`, PROPAGATOR a folder of ``save_pretrained``. Each photograph
moves for two seconds at 8 frames a second, with a recording of what it shows, with silence, and
with a steady noise. The keyframe's mask is not quite true, as a segmenter's. One line a propagator
and sound: J after 0.25 to 2 s, and the median area of the masks over the true one's at the end.

With ``--lively`` their objects are cut out and move fast, as `tools.benchmark.lively` has it, a
look-alike with every second one. Where they are out of the picture, or hidden, nothing counts.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from coprop.context import AudioWindows
from coprop.propagation.propagator import AudioInsertPropagator
from coprop.types import Audio
from tools.bench.listening import jaccard
from tools.benchmark.keyframe_masks import as_segmented
from tools.benchmark.library import SOURCE_RATE, Library, Source, random_recording
from tools.benchmark.lively import LivelyScene, random_lively_scene
from tools.benchmark.mixing import Schedule, render
from tools.benchmark.photographs import MovingPhotograph, random_photograph

AFTER_S = (0.25, 0.5, 1.0, 2.0)
SOUNDS = ("own", "silence", "noise")
_SIZE = (225, 305)  # height, width in pixels
_STEP_S = 0.125
_LEAD_S = 1.0  # of sound before the keyframe
_LEVELS = {"silence": 1e-4, "noise": 0.05}  # standard deviations: -80 and -26 dB


@torch.inference_mode()
def follow(
    propagator: AudioInsertPropagator,
    library: Library,
    photograph: Source,
    sound: str,
    seed: int,
    lively: bool = False,
) -> tuple[dict[float, float], float]:
    """J some times after the keyframe, and the last mask's area over the true one's.

    Args:
        propagator: in evaluation mode.
        library: where recordings come from.
        photograph: what moves.
        sound: one of `SOUNDS`.
        seed: of all that is random.
        lively: whether the object moves fast before its background.
    """
    rng = np.random.default_rng(seed)
    moving: MovingPhotograph | LivelyScene
    if lively:
        shown = [photograph] * int(rng.integers(1, 3))
        moving = random_lively_scene(library, rng, shown, size=_SIZE, start_s=0.0, step_s=_STEP_S)
    else:
        speed = float(rng.uniform(0.3, 2))
        moving = random_photograph(rng, photograph, (), size=_SIZE, motion=speed)
    windows = AudioWindows(
        Audio(_sound(library, photograph, sound, rng), SOURCE_RATE),
        propagator.sample_rate,
        propagator.window_s,
    )
    scores: dict[float, float] = {}
    share, state = 1.0, None
    for number in range(round(AFTER_S[-1] / _STEP_S) + 1):
        time_s = number * _STEP_S
        pixels, masks = moving.render(time_s)
        frame = torch.from_numpy(pixels).permute(2, 0, 1)[None].float() / 255
        heard = windows.centred(_LEAD_S + time_s)[0][None]
        if state is None:
            given = as_segmented(masks[0].astype(np.uint8), masks[:1], rng)
            state = propagator.start(frame, heard, torch.from_numpy(given)[None], num_objects=1)
            continue
        logits, state = propagator.step(frame, heard, state)
        if time_s in AFTER_S and masks[0].any():
            predicted = logits.argmax(1)[0].numpy() > 0
            scores[time_s] = jaccard(predicted, masks[0])
            share = float(predicted.sum() / masks[0].sum())
    return scores, share


def _sound(
    library: Library, photograph: Source, sound: str, rng: np.random.Generator
) -> NDArray[np.float32]:
    duration_s = 2 * _LEAD_S + AFTER_S[-1]
    if sound != "own":
        noise = rng.standard_normal(round(duration_s * SOURCE_RATE))
        return (_LEVELS[sound] * noise).astype(np.float32)
    recording = random_recording(library, rng, photograph.group)
    return render([recording], Schedule((0.0, duration_s), (frozenset({0}),)), SOURCE_RATE, rng)[0]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("sources", type=Path)
    parser.add_argument("propagators", nargs="+", metavar="PROPAGATOR")
    parser.add_argument("--split", choices=("validation", "test"), default="validation")
    parser.add_argument("--photographs", type=int, default=40)
    parser.add_argument("--lively", action="store_true", help="objects that move fast")
    arguments = parser.parse_args()
    library = Library(arguments.sources, arguments.split)
    known = [source for source in library.photographs if source.group in library.groups]
    order = np.random.default_rng(0).permutation(len(known))[: arguments.photographs]
    print(" | ".join(["propagator", "sound", *(f"J at {t:g} s" for t in AFTER_S), "area"]))
    for folder in arguments.propagators:
        propagator = AudioInsertPropagator.from_pretrained(folder).eval()
        for sound in SOUNDS:
            runs = [
                follow(propagator, library, known[i], sound, int(i), arguments.lively)
                for i in order
            ]
            means = [np.mean([own[t] for own, _ in runs if t in own]) for t in AFTER_S]
            area = np.median([share for _, share in runs])
            cells = [folder, sound, *(f"{mean:.3f}" for mean in means), f"{area:.2f}"]
            print(" | ".join(cells), flush=True)


if __name__ == "__main__":
    main()
