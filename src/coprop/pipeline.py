"""Co-Prop: find where the sounding objects change, segment a keyframe there, propagate it.

audio --ControlPointDetector--> control points --> segments, inside which the sources are constant,
    without silence
first frame of a segment, and after ``max_segment_s`` another --keyframe model--> its mask
the segment's other frames, one by one, with their sound --propagator--> their masks
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, closing
from dataclasses import replace
from fractions import Fraction
from typing import Any

import torch
from torch import nn

from coprop.assembly.defaults import DEFAULT_MAX_SEGMENT_S as DEFAULT_MAX_SEGMENT_S
from coprop.assembly.defaults import DEFAULT_WORKING_EDGE
from coprop.assembly.further import Further
from coprop.assembly.loading import WEIGHTS as WEIGHTS
from coprop.assembly.loading import PartOptions
from coprop.assembly.pipelines import NamedPipeline
from coprop.assembly.saved import Saved, SavedPipeline
from coprop.assembly.slots import CHECKS, device_of
from coprop.assembly.told import with_words
from coprop.control_points.detector import ControlPointDetector
from coprop.errors import CheckpointError, CoPropError
from coprop.inference.segment_tracker import SegmentTracker
from coprop.inference.turns import SegmentsAtOnce, at_once
from coprop.keyframes.adapters.registry import as_keyframe_model
from coprop.keyframes.model import KeyframeFunction, KeyframeModel, Outputs
from coprop.keyframes.naming import AUDIOSET, SoundNamer
from coprop.keyframes.segmenter import KeyframeSegmenter
from coprop.keyframes.timed import for_clip
from coprop.media.clip import AudioSource, Clip, ClipSource
from coprop.media.part import TrackPart
from coprop.prompts import Prompt, Prompts
from coprop.propagation.propagator import AudioInsertPropagator, Propagator
from coprop.result import Result
from coprop.results.streaming import MaskStream
from coprop.tracking import Tracking
from coprop.types import AudioTrack, ControlPoints, FrameMask, Progress
from coprop.utils.brief import brief
from coprop.utils.paths import AnyPath, as_path, is_opened
from coprop.utils.precision import Precision, as_dtype, checked_device
from coprop.values.given_sound import GivenSound, as_track

Detector = Callable[[AudioTrack], ControlPoints]
"""What fills the control point slot: a `ControlPointDetector` or any such function."""

_log = logging.getLogger(__name__)


class CoProp(Further, NamedPipeline):
    """Masks of what sounds, in time, for every frame of a video.

    In a ``with`` block, or by `close`, parts that hold a process (`coprop.ProcessModel`) end it.

    Args:
        segmenter: makes the mask of a keyframe from the frame and its sound.
        detector: finds where the sounding objects change.
        propagator: carries a keyframe's mask on, frame by frame, until the next keyframe.
        max_segment_s: longest time between keyframes, in seconds: a longer segment gets several, at
            equal distances, which catch what came into view. None for the paper's: one
            keyframe from control point to control point.
        working_edge: frames with a longer side are shown to the parts reduced to this, in pixels;
            masks still have the frame's own size.
        namer: says what sounds in each segment, by default in AudioSet's names; None for nobody. A
            detector that tells in words has named them already.
        device: where frames and sound are put; by default where the propagator's, or else the
            keyframe model's, parameters are.
        dtype: the precision that networks compute in, see `coprop.utils.precision.Precision`. Their
            weights stay as they are.
        segments_at_once: how many segments are carried on as one batch, 1 to 64, or "auto", see
            `coprop.inference.turns.SegmentsAtOnce`. For each, 64 frames wait, of at most 1280 x 720
            pixels.
    """

    def __init__(
        self,
        segmenter: KeyframeModel,
        *,
        detector: Detector,
        propagator: Propagator,
        max_segment_s: float | None = None,
        working_edge: int = DEFAULT_WORKING_EDGE,
        namer: SoundNamer | None = AUDIOSET,
        device: torch.device | str | None = None,
        dtype: Precision | torch.dtype = "float32",
        segments_at_once: SegmentsAtOnce = "auto",
    ) -> None:
        self.segmenter = segmenter
        self.detector = detector
        self.propagator = propagator
        self.max_segment_s = max_segment_s
        self.working_edge = working_edge
        self.namer = namer
        found = device_of(propagator, segmenter) if device is None else device
        self.device: torch.device = checked_device(found)
        self.dtype: torch.dtype
        self.dtype = dtype  # type: ignore[assignment]  # checked, and turned into one
        self.segments_at_once: SegmentsAtOnce = segments_at_once

    def __repr__(self) -> str:
        names = ("segmenter", "detector", "propagator", "max_segment_s")
        parts = (f"{name}={brief(getattr(self, name))}" for name in names)
        return f"{type(self).__name__}({', '.join(parts)}, device={self.device})"

    def __setattr__(self, name: str, value: object) -> None:
        """Whatever is set, now or later, is checked."""
        if name == "dtype":
            value = as_dtype(value, self.device)
        check = CHECKS.get(name)
        super().__setattr__(name, value if check is None else check(value))

    @classmethod
    def from_pretrained(
        cls,
        folder: AnyPath | None = None,
        *,
        detector: Detector | None = None,
        segmenter: KeyframeModel | None = None,
        propagator: Propagator | None = None,
        max_segment_s: float | Saved | None = "saved",
        off_screen: float | None = None,
        namer: SoundNamer | Saved | None = "saved",
        device: torch.device | str | None = None,
        dtype: Precision | torch.dtype = "float32",
        segments_at_once: SegmentsAtOnce = "auto",
        revision: str | None = None,
        local_files_only: bool = False,
    ) -> CoProp:
        """The default pipeline, with the weights inside the package; no network is used.

        Args:
            folder: of another pipeline, as `save_pretrained` writes it, or its id on the hub; or a
                folder with ``keyframe_segmenter`` and ``propagator`` alone.
            detector, segmenter, propagator: in place of the pipeline's, which is not loaded then.
            max_segment_s: see `CoProp`; "saved" for what it was saved with, else 1 second.
            off_screen: how often what sounds is outside the picture, in [0, 1]. At 0 the default's
                segmenter masks the likeliest thing in the picture whatever is heard, at 1 only what
                is surely seen and heard; None for what it was saved with, 0.1.
            namer: see `CoProp`; "saved" for what it was saved with, else AudioSet's names.
            device: where to run; the CPU by default.
            dtype: "float32", by default; "bfloat16" or "float16", which are faster on what has them
                in hardware; or "auto", bfloat16 there and float32 elsewhere. What half precision
                would spoil stays in float32.
            segments_at_once: see `CoProp`.
            revision: of the hub: a branch, tag or commit; None for main.
            local_files_only: never ask the hub; what was fetched before is found.

        Raises:
            CheckpointError: no such folder or model on the hub, or not with these models in it.
            CoPropError: an option out of range.
        """
        place = WEIGHTS if folder is None else as_path("folder", folder, error=CheckpointError)
        device = None if device is None else checked_device(device)
        options = PartOptions(
            device=device,
            dtype=as_dtype(dtype, device or torch.device("cpu")),
            revision=revision,
            local_files_only=local_files_only,
        )
        _log.info("loading models from %s, for %s in %s", place, device or "cpu", options.dtype)
        saved = SavedPipeline.found(str(place), options)
        names = saved.names(detector=detector, segmenter=segmenter, propagator=propagator)
        given = segmenter
        segmenter = saved.part("segmenter", options) if given is None else given
        if off_screen is not None:
            if given is not None or not isinstance(segmenter, KeyframeSegmenter):
                raise CoPropError("off_screen is for the default's segmenter; another was given.")
            segmenter.set_off_screen(off_screen)
        if propagator is None:
            propagator = saved.part("propagator", options)
        if detector is None:
            detector = with_words(saved.part("detector", options), segmenter)
        pipeline = cls(
            segmenter,
            detector=detector,
            propagator=propagator,
            max_segment_s=saved.max_segment_s if max_segment_s == "saved" else max_segment_s,
            working_edge=saved.working_edge,
            namer=(AUDIOSET if saved.names_sounds else None) if namer == "saved" else namer,
            device=device,
            dtype=options.dtype,
            segments_at_once=segments_at_once,
        )
        pipeline.remember(names)
        return pipeline

    @classmethod
    def wrap(
        cls,
        model: nn.Module | KeyframeFunction | KeyframeModel,
        *,
        adapter: KeyframeFunction | KeyframeModel | None = None,
        detector: Detector | None = None,
        propagator: Propagator | None = None,
        window_s: float | None = None,
        outputs: Outputs | None = None,
        keyframes_per_call: int | None = None,
        max_segment_s: float | None = None,
        namer: SoundNamer | None = AUDIOSET,
        device: torch.device | str | None = None,
        dtype: Precision | torch.dtype = "float32",
        segments_at_once: SegmentsAtOnce = "auto",
    ) -> CoProp:
        """Keeps any audio-visual segmentation model in time.

        Nothing in the model is changed, now or when it is called.

        Args:
            model: a published network (AVSegFormer, TPAVI, CATR, COMBO, CAVP), which is recognised;
                or a function ``fn(frames (K, 3, H, W) RGB in [0, 1], audio (K, samples) at 16 kHz)
                -> logits (K, C, H, W)``, C = 1 for "sounds", C > 1 for classes with background
                first; or a `KeyframeModel`; or any network, with an adapter.
            adapter: how the model is called, a function as above or a `KeyframeModel`; needed for
                networks that are not recognised. A network that is called as such a function is
                its own adapter. See `coprop.keyframes.adapters`.
            detector: by default `ControlPointDetector.novelty()`.
            propagator: by default the one whose weights are inside the package.
            window_s: length of the sound given to a function with a frame, centred on the frame's
                time, in seconds; 1 by default.
            outputs: what a function returns: "logits", the default, "probabilities" or "mask"
                (`coprop.keyframes.model.Outputs`).
            keyframes_per_call: how many keyframes a function is given in one call, at most 64, each
                a row that does not depend on the others; 1 for one that takes no more. By default
                as many as ``segments_at_once`` says, if that is a number. Frames of as many
                segments wait.
            max_segment_s, namer: see `CoProp`.
            device: see `CoProp`; the default propagator goes to the model's.
            dtype: as of `from_pretrained`. The model computes in it by torch's autocast.
            segments_at_once: see `CoProp`.

        Raises:
            CoPropError: a network that is not recognised and has no adapter, something that cannot
                be called, or an option out of range.
        """
        segmenter = as_keyframe_model(
            model,
            adapter,
            window_s=window_s,
            outputs=outputs,
            keyframes_per_call=keyframes_per_call,
        )
        device = device_of(propagator, model, adapter) if device is None else checked_device(device)
        dtype = as_dtype(dtype, device)
        if propagator is None:
            default = AudioInsertPropagator.from_pretrained(WEIGHTS / "propagator")
            propagator = default.to(device, dtype)
        return cls(
            segmenter,
            detector=ControlPointDetector.novelty() if detector is None else detector,
            propagator=propagator,
            max_segment_s=max_segment_s,
            namer=namer,
            device=device,
            dtype=dtype,
            segments_at_once=segments_at_once,
        )

    def __call__(
        self,
        frames: ClipSource,
        audio: AudioSource | None = None,
        *,
        fps: float | Fraction | None = None,
        keep_probabilities: bool = False,
        video_track: int | None = None,
        audio_track: int | None = None,
        start_s: float | None = None,
        end_s: float | None = None,
        prompts: Iterable[Prompt] = (),
        progress: Progress | None = None,
    ) -> Result:
        """Masks for every frame, collected.

        Args:
            frames: a video file's path; (T, H, W, 3) uint8 or (T, 3, H, W) float in [0, 1]; or an
                iterable of such images.
            audio: the sound: an audio file's path, an `Audio`, ``(waveform, sample_rate)`` or a
                dict with ``array`` and ``sampling_rate``. By default the video's own.
            fps: frames per second; needed where ``frames`` is not a file.
            keep_probabilities: keep the soft masks too, as small as networks gave them until
                somebody asks for one (then it takes 8 times the memory of its labels).
            video_track: number of the file's track of pictures, from 0; by default the film.
            audio_track: number of the file's track of sound, from 0; by default the default one.
            start_s, end_s: of the part that is wanted, in seconds of the video, to which times and
                numbers of frames refer in the result as well; by default all of it.
            prompts: masks or boxes that are known; they become keyframes.
            progress: called as the work proceeds.

        Raises:
            MediaError, AudioError, ShapeError: input that cannot be used.
            ModelOutputError: a wrapped model broke its contract.
        """
        if isinstance(frames, Iterator) and not is_opened(frames):
            from coprop.media.frames import kept  # PyAV is loaded only where it is needed

            frames = list(map(kept, frames))  # the result is saved from them
        given: dict[str, Any] = {"fps": fps, "video_track": video_track, "audio_track": audio_track}
        given |= {"start_s": start_s, "end_s": end_s}
        with closing(
            self.stream(frames, audio, **given, prompts=prompts, progress=progress)
        ) as stream:
            masks = tuple(self._kept(mask, keep_probabilities) for mask in stream)
        return Result(masks, stream.control_points, stream.segments, frames, audio, **given)

    def stream(
        self,
        frames: ClipSource,
        audio: AudioSource | None = None,
        *,
        fps: float | Fraction | None = None,
        video_track: int | None = None,
        audio_track: int | None = None,
        start_s: float | None = None,
        end_s: float | None = None,
        prompts: Iterable[Prompt] = (),
        progress: Progress | None = None,
    ) -> MaskStream:
        """Yields the mask of one frame after another, in memory that does not grow with length.

        Takes what `__call__` takes. What is wrong with the file, the sound or the arguments is
        raised at the call, what is wrong with a frame when its turn comes.
        A mask comes when those frames have been read that the keyframe model looks at around it:
        the default's sees half a second ahead; and with several segments at once, when all of them
        have been read, 64 frames for each at most. `MaskStream.writer` writes masks as they come.
        """
        tracks: dict[str, Any] = {"video_track": video_track, "audio_track": audio_track}
        tracks |= {"start_s": start_s, "end_s": end_s}
        waiting = Prompts(prompts)
        with ExitStack() as opened:
            clip = opened.enter_context(Clip(frames, audio, fps=fps, **tracks, progress=progress))
            points = self.detect(clip.audio)
            tracking = self.track(clip, points, prompts=waiting, progress=progress)
            return MaskStream(clip, points, tracking, opened.pop_all())

    def detect(self, audio: GivenSound) -> ControlPoints:
        """Where the sounding objects change (paper section 3.2)."""
        track = as_track(audio)
        points = self.detector(track.alone if isinstance(track, TrackPart) else track)
        if not isinstance(points, ControlPoints):
            raise CoPropError(
                f"the detector must return ControlPoints, got {type(points).__name__}; "
                "ControlPoints(times_s, scores, flags) makes them from arrays."
            )
        _log.info("%d control points in %.2f s of sound", points.flags.sum(), track.duration_s)
        return track.placed(points) if isinstance(track, TrackPart) else points

    def track(
        self,
        clip: Clip,
        points: ControlPoints,
        *,
        prompts: Prompts | None = None,
        progress: Progress | None = None,
    ) -> Tracking:
        """Every frame of a clip with its mask, given its control points, as they are asked for."""
        return Tracking(
            self._tracker_for(clip.audio, clip),
            clip,
            points,
            longest_s=self.max_segment_s,
            namer=self.namer,
            progress=progress,
            prompts=prompts,
            at_once=at_once(
                self.segments_at_once,
                self.segmenter,
                self.propagator,
                self.device,
                clip,
                self.dtype,
            ),
        )

    def _kept(self, mask: FrameMask, soft: bool) -> FrameMask:
        if not soft:
            return replace(mask, probabilities=None)
        if self.device.type != "cpu":
            _ = mask.probabilities  # or a long video's would fill the device
        return mask

    def _tracker_for(self, audio: AudioTrack, clip: Clip | None = None) -> SegmentTracker:
        length = (clip.num_frames, clip.duration_s) if clip is not None else (None, None)
        return SegmentTracker(
            for_clip(self.segmenter, *length),
            self.propagator,
            audio,
            working_edge=self.working_edge,
            device=self.device,
            dtype=self.dtype,
        )
