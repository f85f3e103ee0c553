"""The Debian packages whose pictures and recordings are collected, and the programs that do it."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from tools.sources.tables import RCC, SCRATCH_MEDIA, TUXPAINT

_GAMES = "usr/share/games"
_ASTERISK = "usr/share/asterisk/sounds"


@dataclass(frozen=True)
class Package:
    """A package of Debian 12, "bookworm".

    Args:
        name: of the package.
        path: where its material lies once it is unpacked.
        brings: what it has.
    """

    name: str
    path: str
    brings: str


PACKAGES = (
    Package("tuxpaint-stamps-default", TUXPAINT, "pictures, sounds, speech"),
    Package("gcompris-qt-data", RCC, "pictures, sounds"),
    Package("scratch", SCRATCH_MEDIA, "pictures, backgrounds, sounds"),
    Package("openclipart-png", "usr/share/openclipart/png", "pictures"),
    Package("widelands-data", f"{_GAMES}/widelands/data", "sounds"),
    Package("xmoto-data", f"{_GAMES}/xmoto", "sounds"),
    Package("openttd-opensfx", f"{_GAMES}/openttd/baseset/opensfx", "sounds"),
    Package("simutrans-pak64", f"{_GAMES}/simutrans/pak", "sounds"),
    Package("lincity-ng-data", f"{_GAMES}/lincity-ng", "sounds"),
    Package("torcs-data", f"{_GAMES}/torcs/data", "sounds"),
    Package("supertuxkart-data", f"{_GAMES}/supertuxkart/data", "sounds"),
    Package("flightgear-data-base", f"{_GAMES}/flightgear", "sounds"),
    Package("0ad-data", f"{_GAMES}/0ad/mods", "sounds, speech"),
    Package("wesnoth-1.16-data", f"{_GAMES}/wesnoth/1.16", "sounds"),
    Package("trigger-rally-data", f"{_GAMES}/trigger-rally", "sounds"),
    Package("openarena-data", f"{_GAMES}/openarena/baseoa", "sounds"),
    Package("minetest-mod-homedecor", f"{_GAMES}/minetest/mods/homedecor", "sounds"),
    Package("unknown-horizons", "usr/share/unknown-horizons", "sounds"),
    Package("megaglest-data", f"{_GAMES}/megaglest", "sounds"),
    Package("searchandrescue-data", f"{_GAMES}/searchandrescue/sounds", "sounds"),
    Package("sonic-pi-samples", "usr/share/sonic-pi/samples", "sounds"),
    Package("sound-theme-freedesktop", "usr/share/sounds/freedesktop/stereo", "sounds"),
    Package("ktuberling-data", "usr/share/ktuberling/sounds", "speech"),
    Package("asterisk-core-sounds-en-wav", f"{_ASTERISK}/en_US_f_Allison", "speech"),
    Package("asterisk-core-sounds-es-wav", f"{_ASTERISK}/es_MX_f_Allison", "speech"),
    Package("asterisk-core-sounds-fr-wav", f"{_ASTERISK}/fr_CA_f_June", "speech"),
    Package("asterisk-core-sounds-it-wav", f"{_ASTERISK}/it_IT_m_Carlo", "speech"),
    Package("asterisk-core-sounds-ru-wav", f"{_ASTERISK}/ru_RU_f_IvrvoiceRU", "speech"),
)
SOUNDFONTS = (
    Package("fluid-soundfont-gm", "usr/share/sounds/sf2/FluidR3_GM.sf2", "--soundfont"),
    Package(
        "musescore-general-soundfont",
        "usr/share/sounds/sf3/MuseScore_General_Full.sf3",
        "--soundfont",
    ),
    Package("timgm6mb-soundfont", "usr/share/sounds/sf2/TimGM6mb.sf2", "--test-soundfont"),
)
PROGRAMS = {  # on the path -> the package that brings it
    "ffmpeg": "ffmpeg",
    "fluidsynth": "fluidsynth",
    "espeak-ng": "espeak-ng",
    "rsvg-convert": "librsvg2-bin",
}


def told() -> str:
    """How to get everything, for ``--help``."""
    width = max(len(package.name) for package in (*PACKAGES, *SOUNDFONTS)) + 2
    lines = [
        "How to get the packages, on Debian 12 or in a container of it:",
        "",
        "  apt-get download NAME...",
        "  for package in *.deb; do dpkg-deb -x $package UNPACKED; done",
        "",
        "The packages, and what --debs UNPACKED collects of them; any may be missing:",
        "",
        *(f"  {package.name:<{width}}{package.brings}" for package in PACKAGES),
        "",
        "The soundfonts lie in UNPACKED, too:",
        "",
        *(f"  {font.name:<{width}}{font.brings} UNPACKED/{font.path}" for font in SOUNDFONTS),
        "",
        "Programs that must be on the path, and their packages:",
        "",
        *(f"  {program:<{width}}{package}" for program, package in PROGRAMS.items()),
    ]
    return "\n".join(lines)


def missing_programs() -> list[str]:
    """Of `PROGRAMS`, those that are not on the path."""
    return [program for program in PROGRAMS if shutil.which(program) is None]


def missing_packages(unpacked: Path) -> list[Package]:
    """The packages of which nothing lies in a folder."""
    return [package for package in PACKAGES if not (unpacked / package.path).exists()]


def check_programs() -> None:
    """Ends the command where a program is missing, before anything is done.

    Raises:
        SystemExit: with one sentence.
    """
    if missing := missing_programs():
        packages = " ".join(PROGRAMS[program] for program in missing)
        raise SystemExit(
            f"{', '.join(missing)} is not on the path; install it with: apt-get install {packages}"
        )


def check_folders(folders: Iterable[tuple[str, Path | None]]) -> None:
    """Ends the command where a folder or file that was given is not there.

    Args:
        folders: each with the option that took it; None where it was not given.

    Raises:
        SystemExit: with one sentence.
    """
    for option, path in folders:
        if path is not None and not path.exists():
            raise SystemExit(f"{option} {path} is not there; --help says what it is to hold.")


def tell_missing(unpacked: Path) -> None:
    """Says on stderr which packages are not in the folder."""
    if missing := missing_packages(unpacked):
        names = " ".join(package.name for package in missing)
        sys.stderr.write(
            f"{len(missing)} of {len(PACKAGES)} packages are not in {unpacked}, and what they "
            f"would bring will be missing: {names}\n"
        )
