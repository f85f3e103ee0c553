"""Builds the example clip: a drum kit and a macaw that take turns, with a silence between them.

    python -m tools.sources.example --debs UNPACKED --soundfont FluidR3_GM.sf2 --out examples

UNPACKED holds usr/share of the Debian packages gcompris-qt-data 3.1 (photographs) and
openttd-opensfx 1.0.3 (bird calls); the soundfont is that of fluid-soundfont-gm 3.1. Every input is
checked against its SHA-256. Needs fluidsynth on the path. Licences are in examples/README.md.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import math
import tempfile
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import soundfile
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from tools.sources.archives import opensfx, qt_resources
from tools.sources.tables import RCC
from tools.synthesis.midi import Note, render

Samples = NDArray[np.float32]

WIDTH, HEIGHT, FPS, DURATION_S, RATE = 480, 360, 20, 9.0, 44_100
DRUMS_S, BIRD_S = (0.5, 3.5), (5.0, 8.0)
ROOM, MACAW = "america.webp", "scarlet_macaw.webp"
CALLS = ("66", "72")
DIGESTS = {
    ROOM: "72af64588442d1e251ed33568629d35bf88b3fa348def66265320571bdda0927",
    MACAW: "8b088ed71a87e7e929cf08b49a1e1c977c47544307d348e52a0f4a85128662a0",
    CALLS[0]: "5d4e6795a40ffbafa3a84227f53b6e713cef8f7f1c569a0d2c082c049f9ecd8e",
    CALLS[1]: "2a1242db3badea6e0ffa9b53588eba9124d1eff84d18687ed6475954a09e3490",
    "soundfont": "74594e8f4250680adf590507a306655a299935343583256f3b722c48a1bc1cb0",
}
# Outlines in pixels of the photographs.
MACAW_OUTLINE = (
    "234,127 233,148 238,154 246,155 235,196 235,235 243,263 253,282 280,308 273,292 273,278 "
    "283,278 310,287 356,283 390,332 390,391 414,464 422,469 434,490 458,515 470,505 478,505 "
    "485,509 522,514 527,518 531,568 546,620 547,645 531,646 522,653 515,668 510,670 469,730 "
    "468,738 475,745 484,744 486,734 491,733 500,721 514,720 516,739 523,748 529,750 525,741 "
    "525,723 532,722 535,712 559,678 579,677 584,672 612,668 613,675 595,707 593,721 587,732 "
    "587,749 592,756 597,757 596,735 598,732 608,734 606,767 616,768 620,774 624,774 629,752 "
    "628,735 632,732 633,718 640,709 641,700 655,681 672,681 705,667 840,668 855,661 850,621 "
    "856,619 866,620 867,636 877,661 907,660 907,647 900,631 900,597 911,598 924,610 925,602 "
    "918,595 917,587 893,567 882,516 888,510 885,514 877,513 861,450 823,366 803,343 772,318 "
    "729,290 692,278 611,226 566,202 499,156 405,110 368,103 324,104 283,112 257,112 244,116"
)
MACAW_GAP = "602,594 629,611 662,624 645,629 636,645 615,658 602,648"
PERCH_OUTLINE = "464,673 560,668 1024,660 1024,793 466,793"
KIT_BOX = (80, 0, 664, 672)
MACAW_SCALE, FEET = 0.25, (600.0, 690.0)


def main() -> None:
    """Writes clip.mp4 and clip.json."""
    parser = argparse.ArgumentParser(description="Builds the example clip.")
    parser.add_argument("--debs", type=Path, required=True)
    parser.add_argument("--soundfont", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    room = _photograph(arguments.debs / RCC / "explore_world_music.rcc", ROOM)
    macaw = _photograph(arguments.debs / RCC / "explore_world_animals.rcc", MACAW)
    calls = dict(opensfx(arguments.debs / "usr/share/games/openttd/baseset/opensfx/opensfx.cat"))
    samples = np.zeros(round(DURATION_S * RATE), dtype=np.float32)
    _place(samples, _drums(arguments.soundfont), DRUMS_S)
    _place(samples, _bird([_checked(name, calls[name]) for name in CALLS]), BIRD_S)
    _write_clip(arguments.out / "clip.mp4", room, macaw, samples)
    (arguments.out / "clip.json").write_text(json.dumps(_truth(), indent=2) + "\n", "utf-8")


def _checked(name: str, content: bytes) -> bytes:
    digest = hashlib.sha256(content).hexdigest()
    if digest != DIGESTS[name]:
        raise SystemExit(f"{name} has the SHA-256 {digest}, not {DIGESTS[name]}: another version.")
    return content


def _photograph(archive: Path, name: str) -> Image.Image:
    members = {Path(path).name: content for path, content in qt_resources(archive, (".webp",))}
    return Image.open(io.BytesIO(_checked(name, members[name]))).convert("RGB")


def _drums(font: Path) -> Samples:
    """A rock beat with a fill, played by the soundfont's standard kit."""
    _checked("soundfont", font.read_bytes())
    step, kick, snare, hat, crash = 0.14, 36, 38, 42, 49
    notes: list[Note] = [(i * step, 0.1, hat, 80 - 20 * (i % 2)) for i in range(0, 24)]
    notes += [(i * step, 0.1, kick, 115) for i in (0, 3, 8, 10, 16, 19)]
    notes += [(i * step, 0.1, snare, 110) for i in (4, 12, 20, 21, 22, 23)] + [(0.0, 1, crash, 100)]
    with tempfile.TemporaryDirectory() as scratch:
        wav = Path(scratch) / "drums.wav"
        render([notes], 0, drums=True, font=font, wav=wav)
        stereo, _ = soundfile.read(wav, dtype="float32")
    return np.asarray(stereo[round(0.05 * RATE) :].mean(axis=1), dtype=np.float32)


def _bird(wavs: list[bytes]) -> Samples:
    """The two calls, one after the other."""
    calls = [soundfile.read(io.BytesIO(wav), dtype="float32")[0] for wav in wavs]
    return np.concatenate([calls[0][: round(2.05 * RATE)], calls[1][round(0.15 * RATE) :]])


def _place(samples: Samples, sound: Samples, span: tuple[float, float]) -> None:
    """Puts a sound exactly into a span, with 10 and 30 ms of fading at its ends."""
    start, length = round(span[0] * RATE), round((span[1] - span[0]) * RATE)
    sound = sound[:length] * (0.8 / np.abs(sound[:length]).max())
    time = np.arange(length) / RATE
    sound *= np.minimum(1, np.minimum(time / 0.01, (time[-1] - time) / 0.03)).astype(np.float32)
    samples[start : start + length] = sound


def _window(time_s: float) -> tuple[float, float, float]:
    """Left, top and width of the part of the room that is seen: a slow pan to the right."""
    share = 0.5 - 0.5 * math.cos(math.pi * time_s / DURATION_S)
    return 35 + 35 * share, 20 + 15 * share, 900 - 20 * share


def _layer(photo: Image.Image, outline: str, gap: str = "") -> Image.Image:
    alpha = Image.new("L", photo.size, 0)
    pen = ImageDraw.Draw(alpha)
    for points, value in ((outline, 255), (gap, 0)):
        if points:
            pen.polygon([tuple(map(int, point.split(","))) for point in points.split()], fill=value)
    picture = photo.copy()
    picture.putalpha(alpha)
    return picture


def _frame(room: Image.Image, bird: Image.Image, perch: Image.Image, time_s: float) -> Image.Image:
    """One frame, drawn at twice its size and then reduced."""
    left, top, width = _window(time_s)
    size, scale = (2 * WIDTH, 2 * HEIGHT), width / (2 * WIDTH)
    frame = room.transform(
        size, Image.Transform.AFFINE, (scale, 0, left, 0, scale, top), Image.Resampling.BICUBIC
    )
    # The macaw nods about its feet, faster while it sings; the perch only drifts.
    drift = 3 * math.sin(2 * math.pi * time_s / 6)
    sings = BIRD_S[0] <= time_s < BIRD_S[1]
    nod = math.radians(2.5) * math.sin(2 * math.pi * time_s * (1.5 if sings else 0.25))
    corner = (2 * (WIDTH + 3 + drift) - 2 * MACAW_SCALE * 1024, 2 * HEIGHT - 2 * MACAW_SCALE * 793)
    for layer, angle in ((perch, 0.0), (bird, nod)):
        placed = layer.transform(
            size, Image.Transform.AFFINE, _placement(corner, angle), Image.Resampling.BICUBIC
        )
        frame.paste(placed, (0, 0), placed)
    return frame.resize((WIDTH, HEIGHT), Image.Resampling.LANCZOS)


def _placement(corner: tuple[float, float], angle: float) -> tuple[float, ...]:
    """From frame to photograph: turned about the feet, scaled, shifted to a corner."""
    cos, sin, zoom = math.cos(angle), math.sin(angle), 1 / (2 * MACAW_SCALE)
    at_x, at_y = (corner[i] + FEET[i] / zoom for i in (0, 1))
    row_x = (zoom * cos, zoom * sin, FEET[0] - zoom * (cos * at_x + sin * at_y))
    row_y = (-zoom * sin, zoom * cos, FEET[1] - zoom * (-sin * at_x + cos * at_y))
    return (*row_x, *row_y)


def _write_clip(path: Path, room: Image.Image, macaw: Image.Image, samples: Samples) -> None:
    bird, perch = _layer(macaw, MACAW_OUTLINE, MACAW_GAP), _layer(macaw, PERCH_OUTLINE)
    with av.open(str(path), "w") as container:
        video = container.add_stream("libx264", rate=FPS, options={"crf": "25"})
        video.width, video.height, video.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        sound = container.add_stream("aac", rate=RATE, layout="mono")
        sound.bit_rate = 96_000
        for index in range(round(DURATION_S * FPS)):
            image = _frame(room, bird, perch, index / FPS)
            container.mux(video.encode(av.VideoFrame.from_ndarray(np.asarray(image), "rgb24")))
        container.mux(video.encode())
        for start in range(0, len(samples), 1024):
            piece = np.ascontiguousarray(samples[None, start : start + 1024])
            frame = av.AudioFrame.from_ndarray(piece, format="fltp", layout="mono")
            frame.sample_rate, frame.pts, frame.time_base = RATE, start, Fraction(1, RATE)
            container.mux(sound.encode(frame))
        container.mux(sound.encode())


def _truth() -> dict[str, object]:
    left, top, width = _window(0.0)
    kit = [(edge - (left, top)[i % 2]) * WIDTH / width for i, edge in enumerate(KIT_BOX)]
    x, y = WIDTH + 3 - MACAW_SCALE * 1024, HEIGHT - MACAW_SCALE * 793
    macaw = [(x, y)[i % 2] + MACAW_SCALE * edge for i, edge in enumerate((233, 103, 925, 774))]
    objects: list[dict[str, Any]] = [
        {"name": "drum kit", "group": "drum", "sounds_s": [DRUMS_S], "first_box": kit},
        {"name": "scarlet macaw", "group": "bird", "sounds_s": [BIRD_S], "first_box": macaw},
        {"name": "electric guitar", "group": "guitar", "sounds_s": []},
    ]
    for thing in objects:
        if "first_box" in thing:
            thing["first_box"] = [max(0, round(edge)) for edge in thing["first_box"]]
    return {
        "video": "clip.mp4",
        "duration_s": DURATION_S,
        "frame_rate": FPS,
        "width": WIDTH,
        "height": HEIGHT,
        "objects": objects,
        "change_times_s": [*DRUMS_S, *BIRD_S],
    }


if __name__ == "__main__":
    main()
