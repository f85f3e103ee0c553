"""The page in a browser: a video is dropped, the film plays and sounds, the timeline seeks it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from demo_samples import small_choices

from small_clips import write_clip

BROWSER = shutil.which("chromium") or shutil.which("google-chrome")
if BROWSER is None:
    pytest.skip("no chromium or google-chrome is installed", allow_module_level=True)
api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
pytest.importorskip("gradio", reason="the extra demo is not installed")

FILM = "document.querySelector('#cp-film video')"
START = "#cp-start:not([disabled])"
PATIENCE_MS = 120_000  # of a machine that is busy


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_clip(tmp_path_factory.mktemp("clip") / "clip.mp4", frames=40, fps=5)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with api.sync_playwright() as playwright:
        yield playwright.chromium.launch(
            executable_path=BROWSER,
            args=["--no-sandbox", "--autoplay-policy=no-user-gesture-required"],
        )


@pytest.fixture(scope="module")
def url(browser: Any) -> Iterator[str]:
    from coprop.demo.server import Server

    with Server(small_choices(), max_minutes=0.2) as server:
        yield server.url


@pytest.fixture
def page(browser: Any, url: str) -> Iterator[Any]:
    page = browser.new_page()
    page.set_default_timeout(PATIENCE_MS)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(url)
    yield page
    page.close()
    outside = [each for each in asked if not each.startswith((url, "data:", "blob:"))]
    assert not outside  # nothing is fetched from the internet


def brought(page: Any, video: Path) -> None:
    page.set_input_files("#cp-video input[type=file]", video)
    page.click(START)


def test_a_video_is_marked_plays_and_is_sought(page: Any, clip: Path, tmp_path: Path) -> None:
    brought(page, clip)
    page.wait_for_selector(".cp-timeline")
    page.wait_for_function(f"{FILM}.currentTime > 0.2")  # it plays
    page.wait_for_function(f"{FILM}.webkitAudioDecodedByteCount > 0")  # and sounds
    page.evaluate(f"{FILM}.pause()")
    track = page.locator(".cp-track")
    box = track.bounding_box()
    track.click(position={"x": 0.75 * box["width"], "y": box["height"] / 2})
    page.wait_for_function(f"Math.abs({FILM}.currentTime - 6) < 0.1")
    page.locator(".cp-table tr[data-start]").first.click()
    page.wait_for_function(f"{FILM}.currentTime < 0.1")
    with page.expect_download() as download:
        page.click("#cp-download")
    assert download.value.suggested_filename == "clip-overlay.mp4"
    download.value.save_as(tmp_path / "film.mp4")
    assert (tmp_path / "film.mp4").stat().st_size > 1000
    page.click("#cp-again")
    page.wait_for_selector("#cp-start[disabled]", state="visible")


def test_what_is_wrong_is_a_sentence(page: Any, tmp_path: Path) -> None:
    brought(page, write_clip(tmp_path / "silent.mp4", sound=False))
    assert "This video has no sound" in page.locator(".cp-wrong").inner_text()
    assert page.locator("#cp-start").is_visible()
    assert "Traceback" not in page.content()
