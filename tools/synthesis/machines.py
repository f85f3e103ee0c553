"""Speech by espeak-ng, and simple sounds of machines and weather where recordings are few."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.float64]
RATE = 44_100
SENTENCES = {
    "en-us": "Good morning. The train to the coast leaves at half past nine.",
    "en-gb": "I have not seen her since last winter, and she has not written either.",
    "en-gb-scotland": "Would you like some more tea, or shall we go for a walk?",
    "de": "Guten Tag, können Sie mir bitte sagen, wie spät es ist?",
    "fr-fr": "Nous avons mangé des pommes et du pain dans le jardin.",
    "es": "Mañana por la tarde vamos a visitar a mi abuela.",
    "it": "La musica comincia alle otto, dopo la cena.",
    "pt": "O barco chegou ao porto antes da tempestade.",
    "nl": "De kinderen spelen buiten in de tuin.",
    "pl": "Dzień dobry, poproszę kawę i kawałek ciasta.",
}


def speech() -> Iterator[tuple[str, bytes]]:
    """(name, wav) of forty sentences in ten languages by four voices each."""
    for language, sentence in SENTENCES.items():
        for number, (variant, pitch, speed) in enumerate(
            (("m3", 35, 150), ("m7", 50, 185), ("f2", 55, 160), ("f4", 70, 200))
        ):
            command = ["espeak-ng", "-v", f"{language}+{variant}", "-p", str(pitch), "-s"]
            command += [str(speed), "--stdout", sentence]
            wav = subprocess.run(command, check=True, capture_output=True).stdout
            yield f"{language}_{number}", wav


def machines() -> Iterator[tuple[str, str | None, Samples]]:
    """(name, group, samples) of synthesised sounds."""
    makers: list[tuple[str, str | None, int, Callable[[np.random.Generator], Samples]]] = [
        ("clock", "clock", 16, _ticking),
        ("boat", "boat", 12, _ship_horn),
        ("train", "train", 12, _steam_train),
        ("vacuum", "household", 8, _motor),
        ("noise", None, 16, _noise),
        ("wind", None, 12, _wind),
        ("hum", None, 8, _hum),
    ]
    for name, group, count, make in makers:
        for number in range(count):
            yield f"{name}_{number:02}", group, make(np.random.default_rng([number, len(name)]))


def _times(seconds: float) -> Samples:
    return np.arange(round(seconds * RATE)) / RATE


def _coloured(rng: np.random.Generator, length: int, slope: float) -> Samples:
    """Noise whose amplitude falls as frequency ** -slope; peak 1."""
    spectrum = np.fft.rfft(rng.standard_normal(length))
    spectrum *= np.maximum(np.fft.rfftfreq(length, 1 / RATE), 20.0) ** -slope
    noise = np.fft.irfft(spectrum, length)
    return np.asarray(noise / np.abs(noise).max())


def _band(rng: np.random.Generator, length: int, low: float, high: float) -> Samples:
    spectrum = np.fft.rfft(rng.standard_normal(length))
    frequency = np.fft.rfftfreq(length, 1 / RATE)
    noise = np.fft.irfft(spectrum * ((frequency > low) & (frequency < high)), length)
    return np.asarray(noise / np.abs(noise).max())


def _ticking(rng: np.random.Generator) -> Samples:
    period, seconds = rng.choice([0.2, 0.25, 0.4, 0.5, 0.5, 1.0]), rng.uniform(3.0, 6.0)
    samples = np.zeros(round(seconds * RATE) + RATE)
    pitches, ring = rng.uniform(1500, 5000, 3), rng.uniform(100, 500)
    for number, at in enumerate(np.arange(0.0, seconds, period)):
        time = _times(0.08)
        accent = 1.0 if number % 2 else rng.uniform(0.5, 0.9)
        tone = sum(np.sin(2 * np.pi * p * (1 + 0.06 * (number % 2)) * time) for p in pitches)
        click = accent * np.exp(-ring * time) * (tone + rng.standard_normal(len(time)))
        samples[round(at * RATE) :][: len(time)] += click
    return samples


def _ship_horn(rng: np.random.Generator) -> Samples:
    time, pitch = _times(rng.uniform(2.0, 5.0)), rng.uniform(70, 180)
    pitches = [pitch, pitch * rng.choice([1.25, 1.5, 1.01])]
    tone = sum(
        np.sin(2 * np.pi * p * n * time + rng.uniform(0, 6)) / n**0.8
        for p in pitches
        for n in range(1, 16)
    )
    swell = np.minimum(1, np.minimum(time / 0.15, (time[-1] - time) / 0.3))
    return np.asarray(swell * (tone + 0.5 * _coloured(rng, len(time), 0.5)))


def _steam_train(rng: np.random.Generator) -> Samples:
    time, rate = _times(rng.uniform(3.0, 6.0)), rng.uniform(2.0, 7.0)
    phase = (time * rate * (1 + rng.uniform(0, 0.15) * time)) % 1
    chuff = np.exp(-phase * rng.uniform(3, 7)) * _band(rng, len(time), 150, 4000)
    rumble = 0.3 * _band(rng, len(time), 30, 200)
    if rng.random() < 0.4:
        whistle = sum(np.sin(2 * np.pi * p * time) for p in rng.uniform(500, 1100, 3))
        chuff = chuff + 0.2 * whistle * (np.abs(time - time[-1] / 2) < 0.6)
    return np.asarray(chuff + rumble)


def _motor(rng: np.random.Generator) -> Samples:
    time, pitch = _times(rng.uniform(3.0, 6.0)), rng.uniform(180, 420)
    start = 1 - 0.7 * np.exp(-time / 0.4)
    turn = 2 * np.pi * np.cumsum(pitch * start) / RATE
    tone = sum(np.sin(n * turn + rng.uniform(0, 6)) / n for n in range(1, 10))
    return np.asarray(start * (0.3 * tone + _band(rng, len(time), 300, 9000)))


def _noise(rng: np.random.Generator) -> Samples:
    length = round(rng.uniform(3.0, 6.0) * RATE)
    return _coloured(rng, length, float(rng.choice([0.0, 0.5, 1.0])))


def _wind(rng: np.random.Generator) -> Samples:
    length = round(rng.uniform(4.0, 8.0) * RATE)
    gusts = np.interp(np.arange(length), np.linspace(0, length, 9), rng.uniform(0.1, 1.0, 9))
    centre = rng.uniform(300, 900)
    return np.asarray(gusts * _band(rng, length, centre * 0.6, centre * 1.5))


def _hum(rng: np.random.Generator) -> Samples:
    time, pitch = _times(rng.uniform(3.0, 6.0)), float(rng.choice([50.0, 60.0, 100.0, 120.0]))
    tone = sum(np.sin(2 * np.pi * pitch * n * time) * rng.random() for n in range(1, 8))
    return np.asarray(tone)
