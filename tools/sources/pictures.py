"""Cut-outs (RGBA, alpha = the object) and backgrounds."""

from __future__ import annotations

import io
import json
import re
import subprocess
from collections import defaultdict
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from tools.sources.archives import qt_resources
from tools.sources.tables import (
    CALTECH,
    CLIP_ART,
    DRAWN_INSTRUMENTS,
    RCC,
    SCRATCH,
    SCRATCH_MEDIA,
    STAMP_FOLDERS,
    STAMP_NAMES,
    STAMP_SKIPPED_FOLDERS,
    STAMP_SKIPPED_NAMES,
    TUXPAINT,
    Entry,
)

LONG_SIDE = 512
SMALLEST_SIDE = 56
FEWEST_COLOURS = 250


def caltech(folder: Path, out: Path) -> list[Entry]:
    """Photographs with a mask of the object; the background stays in the colours."""
    entries = []
    for category, group in CALTECH.items():
        takes: dict[object, list[Path]] = defaultdict(list)
        for photo in sorted((folder / category).glob("*.jpg")):
            target = out / "pictures" / "caltech" / f"{category}_{photo.stem}.png"
            mask = photo.with_suffix(".png")
            if mask.exists() and (target.exists() or _cut_out(photo, mask, target)):
                # Faces come in runs of some twenty of one person, who must not be in both splits.
                number = int(photo.stem.rpartition("_")[2])
                takes[number // 20 if group == "person" else number].append(target)
        for paths in takes.values():
            entries.append(Entry("picture", tuple(paths), group, "Caltech-101", "CC-BY-4.0"))
    return entries


def _cut_out(photo: Path, mask: Path, target: Path) -> bool:
    picture = Image.open(photo).convert("RGB")
    alpha = Image.open(mask).convert("L").resize(picture.size, Image.Resampling.NEAREST)
    area = np.asarray(alpha, dtype=bool).mean()
    if not 0.03 <= area <= 0.85:
        return False
    alpha = alpha.point(lambda value: 255 if value else 0)
    picture.putalpha(alpha.filter(ImageFilter.GaussianBlur(0.7)))
    _save(picture, target)
    return True


def backgrounds(folder: Path, out: Path) -> list[Entry]:
    """Scenes to paste objects on."""
    return [
        Entry("background", (target,), None, "Caltech-101", "CC-BY-4.0")
        for path in sorted(folder.glob("*.jpg"))
        if _background(path, target := out / "backgrounds" / "caltech" / f"{path.stem}.png")
    ]


def _background(path: Path, target: Path) -> bool:
    if not target.exists():
        picture = Image.open(path).convert("RGB")
        if min(picture.size) < 100:
            return False
        _save(picture, target)
    return True


def stamps(debs: Path, out: Path) -> list[Entry]:
    """Photographic stamps, cropped to the object."""
    entries = []
    root = debs / TUXPAINT
    for path in sorted(root.rglob("*.png")):
        name = path.relative_to(root).with_suffix("").as_posix()
        if not _wanted(name):
            continue
        target = out / "pictures" / "tuxpaint" / f"{name.replace('/', '_')}.png"
        picture = Image.open(path).convert("RGBA")
        if target.exists() or (_photographic(picture) and _crop(picture, target)):
            group = stamp_group(name)
            entries.append(Entry("picture", (target,), group, "tuxpaint-stamps", "GPL-2+"))
    return entries


def scratch(debs: Path, out: Path) -> list[Entry]:
    """Photographic costumes of Scratch; pictures of one model share a split."""
    takes: dict[tuple[str | None, str], list[Path]] = defaultdict(list)
    for path in sorted((debs / SCRATCH_MEDIA / "Costumes").rglob("*")):
        if path.stem in SCRATCH and path.suffix in (".gif", ".png"):
            target = out / "pictures" / "scratch" / f"{path.stem}.png"
            if target.exists() or _crop(Image.open(path).convert("RGBA"), target):
                model = re.split(r"[-\d]", path.stem)[0]
                takes[SCRATCH[path.stem], model].append(target)
    return [
        Entry("picture", tuple(paths), group, "scratch", "CC-BY-SA-3.0")
        for (group, _), paths in takes.items()
    ]


def drawings(debs: Path, out: Path) -> list[Entry]:
    """Clip art in the public domain, and the instruments of gcompris."""
    entries = []
    for name, group in CLIP_ART.items():
        path = debs / "usr/share/openclipart/png" / f"{name}.png"
        target = out / "pictures" / "openclipart" / f"{path.stem}.png"
        if path.exists() and (target.exists() or _crop(Image.open(path).convert("RGBA"), target)):
            entries.append(Entry("picture", (target,), group, "drawings", "public domain"))
    instruments = debs / RCC / "instruments.rcc"
    for name, svg in qt_resources(instruments, (".svg",)) if instruments.exists() else ():
        stem = Path(name).stem
        played, target = DRAWN_INSTRUMENTS.get(stem), out / "pictures" / "gcompris" / f"{stem}.png"
        if played and (target.exists() or _crop(_rasterised(svg), target)):
            entries.append(Entry("picture", (target,), played, "drawings", "GPL-3+"))
    return entries


def photographs(debs: Path, out: Path) -> list[Entry]:
    """Photographs of gcompris, all in the public domain or CC0, cut out along stored outlines."""
    rows = json.loads(Path(__file__).with_name("gcompris_outlines.json").read_text("utf-8"))
    entries = []
    for archive in sorted({row["archive"] for row in rows}):
        path = debs / RCC / f"{archive}.rcc"
        files = qt_resources(path, (".webp",)) if path.exists() else ()
        photos = {Path(name).stem: content for name, content in files}
        for row in (row for row in rows if row["archive"] == archive and row["name"] in photos):
            target = out / "pictures" / "gcompris" / f"photo_{row['name']}.png"
            if not target.exists():
                _crop(_outlined(photos[row["name"]], row["outline"]), target)
            entries.append(Entry("picture", (target,), row["group"], "gcompris", "CC0 or PD"))
    return entries


def _outlined(photo: bytes, outline: str) -> Image.Image:
    picture = Image.open(io.BytesIO(photo)).convert("RGB")
    alpha = Image.new("L", picture.size, 0)
    points = [tuple(map(int, point.split(","))) for point in outline.split()]
    ImageDraw.Draw(alpha).polygon(points, fill=255)
    picture.putalpha(alpha.filter(ImageFilter.GaussianBlur(0.7)))
    return picture


def _rasterised(svg: bytes) -> Image.Image:
    command = ["rsvg-convert", "-h", str(LONG_SIDE)]
    png = subprocess.run(command, input=svg, check=True, capture_output=True).stdout
    return Image.open(io.BytesIO(png)).convert("RGBA")


def scratch_backgrounds(debs: Path, out: Path) -> list[Entry]:
    """The photographic stages of Scratch."""
    return [
        Entry("background", (target,), None, "scratch", "CC-BY-SA-3.0")
        for path in sorted((debs / SCRATCH_MEDIA / "Backgrounds").rglob("*.jpg"))
        if _background(path, target := out / "backgrounds" / "scratch" / f"{path.stem}.png")
    ]


def _wanted(name: str) -> bool:
    folder, _, stem = name.rpartition("/")
    if any(part in f"{folder}/" for part in STAMP_SKIPPED_FOLDERS) and stem != "f22_raptor":
        return False
    return stem not in STAMP_SKIPPED_NAMES and not stem.endswith("_mirror")


def stamp_group(name: str) -> str | None:
    """The group of a stamp, by its name and then its folder."""
    folder, _, stem = name.rpartition("/")
    return STAMP_NAMES[stem] if stem in STAMP_NAMES else STAMP_FOLDERS.get(folder)


def _photographic(picture: Image.Image) -> bool:
    """Many colours, which a drawing lacks, and an outline of its own, which a frame lacks."""
    pixels = np.asarray(picture)
    inside = pixels[..., 3] > 127
    colours = pixels[inside][:, :3].astype(np.int32) >> 3
    distinct = len(np.unique(colours @ np.array([1024, 32, 1])))
    return distinct >= FEWEST_COLOURS and inside.mean() <= 0.97


def _crop(picture: Image.Image, target: Path) -> bool:
    box = picture.getchannel("A").point(lambda value: 255 if value > 127 else 0).getbbox()
    if box is None or min(box[2] - box[0], box[3] - box[1]) < SMALLEST_SIDE:
        return False
    _save(picture.crop(box), target)
    return True


def _save(picture: Image.Image, target: Path) -> None:
    picture.thumbnail((LONG_SIDE, LONG_SIDE), Image.Resampling.LANCZOS)
    target.parent.mkdir(parents=True, exist_ok=True)
    picture.save(target)
