"""Takes the picture of the page of ``coprop demo`` for its documentation.

python -m tools.bench.page_picture docs/images/demo.png

Needs playwright and a Chromium; marks examples/clip.mp4 with the package's own models.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
from pathlib import Path

from coprop.cli.demo import EXAMPLE
from coprop.demo.choices import offline_choices
from coprop.demo.server import Server

_AT_S = 6.5  # the macaw calls
_WIDE = 1040  # the page is no wider


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("picture", type=Path)
    picture = parser.parse_args().picture
    with (
        Server(offline_choices(), example=EXAMPLE) as server,
        tempfile.TemporaryDirectory() as place,
    ):
        taken = Path(place) / "page.png"
        _take(server.url, taken)
        _reduce(taken, picture)


def _take(url: str, picture: Path) -> None:
    from playwright.sync_api import sync_playwright

    browser = shutil.which("chromium") or shutil.which("google-chrome")
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=browser, args=["--no-sandbox"])
        page = chromium.new_page(viewport={"width": _WIDE, "height": 700})
        page.set_default_timeout(3_600_000)  # of a machine that is busy
        page.goto(url)
        page.click("#cp-example")
        page.click("#cp-start:not([disabled])")
        page.wait_for_selector(".cp-timeline")
        page.wait_for_function("document.querySelector('#cp-film video').readyState > 2")
        page.evaluate(
            "at => { const film = document.querySelector('#cp-film video');"
            " film.pause(); film.currentTime = at; }",
            _AT_S,
        )
        page.wait_for_timeout(3000)
        page.mouse.move(5, 5)
        page.screenshot(path=str(picture), full_page=True)


def _reduce(taken: Path, picture: Path) -> None:
    """Fewer colours make a third of the file, and are not seen."""
    from PIL import Image

    with Image.open(taken) as image:
        image.convert("RGB").quantize(128, dither=Image.Dither.FLOYDSTEINBERG).save(
            picture, optimize=True
        )


if __name__ == "__main__":
    main()
