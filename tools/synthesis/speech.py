"""Synthesise speech with espeak-ng as a sources folder, for fitting the novelty detector.

    python -m tools.synthesis.speech OUTPUT

Writes mono FLAC files and a manifest.jsonl of the kind that tools.benchmark.composed_audio reads.
One voice in four goes to the test split. Needs the program espeak-ng on the PATH.
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
from pathlib import Path

import numpy as np
import soundfile

LANGUAGES = ("en-us", "en-gb", "en-gb-scotland", "fr", "de", "es", "it", "ru", "pl")
VARIANTS = ("+f1", "+f2", "+f3", "+f4", "+m1", "+m3", "+m5", "+m7")
SENTENCES = (
    "the quick brown fox jumps over the lazy dog and then runs home",
    "today we will talk about the weather and the price of bread in the market",
    "he said that nobody could ever have known what was coming next",
    "please remember to close the window before you leave the house tonight",
    "one two three four five six seven eight nine ten eleven twelve",
)


def speak(folder: Path, language: str, variant: str, rng: random.Random) -> dict[str, str]:
    """One sentence in one voice; its manifest entry."""
    name = f"{language}{variant.replace('+', '-')}"
    wave = folder / f"{name}.wav"
    manner = ["-p", str(rng.randint(20, 80)), "-s", str(rng.randint(120, 200))]
    command = ["espeak-ng", "-v", language + variant, *manner, "-w", str(wave)]
    subprocess.run([*command, rng.choice(SENTENCES)], check=True)
    samples, rate = soundfile.read(wave)
    soundfile.write(folder / f"{name}.flac", 0.9 * samples / np.abs(samples).max(), rate)
    wave.unlink()
    split = "test" if VARIANTS.index(variant) % 4 == 3 else "train"
    entry = {"kind": "sound", "path": f"{name}.flac", "group": "speech", "split": split}
    return entry | {"source": "espeak-ng"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("output", type=Path)
    folder = parser.parse_args().output
    folder.mkdir(parents=True, exist_ok=True)
    rng = random.Random(0)
    entries = [
        speak(folder, language, variant, rng) for language in LANGUAGES for variant in VARIANTS
    ]
    (folder / "manifest.jsonl").write_text("\n".join(map(json.dumps, entries)) + "\n")


if __name__ == "__main__":
    main()
