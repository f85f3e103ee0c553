"""The page: drop a video, watch it being marked, see, hear and take what came of it."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from html import escape
from pathlib import Path
from typing import Any

import gradio as gr

from coprop.demo.choices import Choices
from coprop.demo.downloads import FILM, downloads, prepared
from coprop.demo.run import Marked, Told, mark, sentence
from coprop.demo.timeline import table_html, timeline_html
from coprop.demo.visits import Visit, Visits
from coprop.errors import CoPropError
from coprop.media.writer import OVERLAY
from coprop.result import Result

_HERE = Path(__file__).parent
CSS = (_HERE / "page.css").read_text(encoding="utf-8")
HEAD = f"<script>{(_HERE / 'page.js').read_text(encoding='utf-8')}</script>"
TITLE = "coprop: what makes the sound?"
_TOP = (
    '<p class="cp-brand">coprop</p><h1 class="cp-title">What makes the sound?</h1>'
    '<p class="cp-lead">Drop a video: what is heard in it is found in the picture, and marked '
    "while it sounds.</p>"
)
_PROCESSED_HERE = (
    "It stays on the machine that shows this page, and is removed soon after you leave."
)
_KEPT_S = 1800  # an upload that nobody started; results last as long as the visit
_LOOKED_EVERY_S = 300
_LOG = logging.getLogger("coprop.demo")


def theme() -> Any:
    """Plain, in the fonts that every system has, so that none is fetched."""
    fonts = ("ui-sans-serif", "system-ui", "Segoe UI", "Roboto", "Helvetica", "Arial", "sans-serif")
    mono = ("ui-monospace", "Consolas", "monospace")
    return gr.themes.Base(
        primary_hue="teal", neutral_hue="slate", radius_size="lg", font=fonts, font_mono=mono
    )


class Page:
    """The page and what its buttons do.

    Args:
        choices: the models that can be chosen.
        visits: the visitors' files.
        longest_s: seconds that a video may last.
        example: a video for the button that tries one; without it there is no such button.

    Attributes:
        blocks: gradio's, ready to be launched.
    """

    def __init__(
        self, choices: Choices, visits: Visits, longest_s: float, example: Path | None = None
    ) -> None:
        self._choices = choices
        self._visits = visits
        self._longest_s = longest_s
        self._example = example
        self.blocks = gr.Blocks(
            title=TITLE, analytics_enabled=False, delete_cache=(_LOOKED_EVERY_S, _KEPT_S)
        )
        with self.blocks:
            gr.HTML(_TOP, elem_id="cp-top")
            self._bring()
            self._wait()
            self._show()
            self._connect()

    def _bring(self) -> None:
        with gr.Column(elem_id="cp-bring") as self._bringing:
            self._wrong = gr.HTML("", elem_id="cp-wrong", visible=False)
            self._video = gr.Video(
                label="Your video",
                show_label=False,
                sources=["upload", "webcam"],
                include_audio=True,
                webcam_options=gr.WebcamOptions(mirror=False),  # mirroring needs ffmpeg
                elem_id="cp-video",
            )
            with gr.Row():
                self._try = gr.Button(
                    "Try the example", visible=self._example is not None, elem_id="cp-example"
                )
                self._start = gr.Button(
                    "Mark what sounds", variant="primary", interactive=False, elem_id="cp-start"
                )
            with gr.Accordion("Models", open=False), gr.Row():
                self._models = [
                    gr.Dropdown(
                        self._choices.names(slot),
                        value=self._choices.names(slot)[0],
                        label=label,
                        info=info,
                    )
                    for slot, label, info in (
                        ("detectors", "Detector", "finds when what sounds changes"),
                        ("segmenters", "Segmenter", "finds what sounds in a picture"),
                        ("propagators", "Propagator", "carries its mask on"),
                    )
                ]
            longest = f"{self._longest_s / 60:.1f}".removesuffix(".0")
            gr.HTML(
                f'<p class="cp-small">A video with sound, of up to {longest} min. '
                f"{_PROCESSED_HERE}</p>"
            )

    def _wait(self) -> None:
        with gr.Column(elem_id="cp-wait", visible=False) as self._waiting:
            self._status = gr.HTML(status_html(Told("Waiting")), elem_id="cp-status")
            self._cancel = gr.Button("Cancel", elem_id="cp-cancel")
            self._clock = gr.Timer(2, active=False)  # runs while a visitor waits for a turn

    def _show(self) -> None:
        with gr.Column(elem_id="cp-show", visible=False) as self._showing:
            with gr.Row(equal_height=False):
                with gr.Column(scale=5, min_width=320):
                    self._film = gr.Video(
                        show_label=False, interactive=False, autoplay=True, elem_id="cp-film"
                    )
                with gr.Column(scale=3, min_width=260):
                    self._table = gr.HTML("", elem_id="cp-table", padding=False)
            self._timeline = gr.HTML("", elem_id="cp-line", padding=False)
            with gr.Row(elem_id="cp-take", equal_height=True):
                self._form = gr.Dropdown(
                    downloads(), value=FILM, show_label=False, container=False, scale=4
                )
                self._take = gr.Button(
                    "Download", scale=1, min_width=120, variant="primary", elem_id="cp-download"
                )
                self._again = gr.Button("Another video", scale=1, min_width=140, elem_id="cp-again")
            self._note = gr.HTML("", elem_id="cp-note", visible=False)
            self._file = gr.DownloadButton("File", elem_id="cp-file")

    def _connect(self) -> None:
        views = [self._bringing, self._waiting, self._showing, self._wrong, self._status]
        results = [self._film, self._table, self._timeline]
        self._video.change(
            lambda video: gr.update(interactive=video is not None),
            self._video,
            self._start,
            queue=False,
            show_progress="hidden",
            api_visibility="private",
        )
        quick = {"queue": False, "show_progress": "hidden", "api_visibility": "private"}
        self._try.click(lambda: str(self._example), None, self._video, **quick)
        begun = self._start.click(self._waits, None, [*views, self._clock], **quick)
        self._clock.tick(self._still_waits, None, [self._status, self._clock], **quick)
        marked = begun.then(
            self._marked,
            [self._video, *self._models],
            [*views, *results],
            concurrency_limit=1,
            concurrency_id="models",
            show_progress="minimal",
            show_progress_on=[self._status],
            api_visibility="private",
        )
        self._cancel.click(self._cancelled, None, views, cancels=[marked], **quick)
        self._again.click(self._forgotten, None, [*views, self._video, *results], **quick)
        taken = self._take.click(
            self._taken,
            [self._form],
            [self._file, self._note],
            concurrency_id="exports",
            concurrency_limit=2,
            show_progress="minimal",
            show_progress_on=[self._take],
            api_visibility="private",
        )
        taken.success(None, None, None, js="() => window.coprop.take()", api_visibility="private")
        self.blocks.unload(self._left)

    def _waits(self, request: gr.Request) -> tuple[Any, ...]:
        self._visits.wait(str(request.session_hash))
        return (*_views("wait", Told("Starting")), gr.update(active=True))

    def _still_waits(self, request: gr.Request) -> tuple[Any, ...]:
        before = self._visits.before(str(request.session_hash))
        if before is None:
            return gr.skip(), gr.update(active=False)
        others = "one other visitor" if not before else f"{before + 1} other visitors"
        return status_html(Told(f"Waiting for {others}")), gr.skip()

    def _cancelled(self, request: gr.Request) -> tuple[Any, ...]:
        self._visits.end(str(request.session_hash))
        return _views("bring")

    def _marked(
        self, video: str | None, detector: str, segmenter: str, propagator: str, request: gr.Request
    ) -> Iterator[tuple[Any, ...]]:
        """Goes through a video; each of what it yields is what the page then shows."""
        nothing = (gr.skip(),) * 3
        if not video:
            yield (*_views("bring", wrong="Please bring a video first."), *nothing)
            return
        visit: Visit | None = None
        shown: Marked | None = None
        path = Path(video)
        try:
            visit = self._visits.begin(str(request.session_hash), path)
            yield (*_views("wait", Told("Loading the models")), *nothing)
            marking = mark(
                self._choices.pipeline(detector, segmenter, propagator),
                visit.video,
                visit.result,
                self._longest_s,
            )
            while shown is None:
                try:
                    yield (*_views("wait", next(marking)), *nothing)
                except StopIteration as done:
                    shown = done.value
            film = str(visit.result / OVERLAY)
            result = Result.load(visit.result)
            yield (*_views("show"), film, table_html(result), timeline_html(result, shown))
        except CoPropError as error:
            yield (*_views("bring", wrong=sentence(error, visit)), *nothing)
        except Exception as error:
            _LOG.exception("a video could not be marked")
            wrong = f"Something went wrong here ({type(error).__name__}); the log says more."
            yield (*_views("bring", wrong=wrong), *nothing)
        finally:  # cancelled, too
            if visit is not None and shown is None:
                self._visits.clear(visit)

    def _taken(self, name: str, request: gr.Request) -> tuple[Any, Any]:
        visit = self._visits.of(str(request.session_hash))
        try:
            if visit is None:
                raise CoPropError("The result is no longer here; please bring the video again.")
            return str(prepared(visit, name)), gr.update(value="", visible=False)
        except CoPropError as error:
            told = wrong_html(sentence(error, visit))
            return gr.update(value=None), gr.update(value=told, visible=True)

    def _forgotten(self, request: gr.Request) -> tuple[Any, ...]:
        self._visits.end(str(request.session_hash))
        return (*_views("bring"), None, None, "", "")

    def _left(self, request: gr.Request) -> None:
        self._visits.end(str(request.session_hash))


def _views(shown: str, told: Told | None = None, wrong: str = "") -> tuple[Any, ...]:
    """Updates that show one of "bring", "wait" and "show", with a sentence on what was wrong."""
    return (
        *(gr.update(visible=shown == view) for view in ("bring", "wait", "show")),
        gr.update(value=wrong_html(wrong) if wrong else "", visible=bool(wrong)),
        gr.skip() if told is None else status_html(told),
    )


def status_html(told: Told) -> str:
    """How far the work is, as a line and a bar."""
    share = told.share
    bar = (
        '<div class="cp-bar cp-unknown"><div></div></div>'
        if share is None
        else f'<div class="cp-bar"><div style="width:{100 * share:.1f}%"></div></div>'
    )
    rest = "" if share is None else f"{share:.0%}"
    if told.remaining_s is not None:
        rest += f", {_about(told.remaining_s)} left"
    return (
        f'<div class="cp-status" role="status"><p><span>{escape(told.step)}</span>'
        f"<span>{rest}</span></p>{bar}</div>"
    )


def _about(seconds: float) -> str:
    """Such as "about 40 s" or "about 3 min"."""
    if seconds < 10:
        return "a few seconds"
    if seconds < 90:
        return f"about {round(seconds / 10) * 10} s"
    return f"about {round(seconds / 60)} min"


def wrong_html(sentence: str) -> str:
    """What was wrong, as a notice."""
    return f'<div class="cp-wrong" role="alert">{escape(sentence)}</div>'
