"""The tagger that comes with the library: YAMNet, which hears AudioSet's classes, offline."""

from __future__ import annotations

import threading
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from coprop.control_points.events.tagger import check_words
from coprop.control_points.events.words import check_known, classes_of
from coprop.encoders.yamnet import YAMNet, class_names

_HOP_S = 0.1  # half of it is the finest that a change can be told to; 0.05 s costs twice as much
_AHEAD = 4  # steps from a patch's beginning to the step around its middle, of the 0.975 s


class YamnetTagger:
    """YAMNet as a `SoundTagger`: each step of 0.1 s by the 0.975 s around it, inside the sound.

    A word is as probable as the likeliest of the classes that are heard of it. It runs on the CPU.

    Args:
        words: names of AudioSet's classes, or of things that they are heard of.
        known_only: leave out words that nothing is heard of, instead of refusing them.

    Raises:
        CoPropError: nothing is heard of a word, or no list of words.
    """

    sample_rate = YAMNet.sample_rate
    step_s = _HOP_S
    piece_s = 30.0
    context_s = 0.6  # half a window and a step: what a step depends on
    threshold = 0.05  # chosen on composed sound: docs/choices.md
    blur_s = 0.2

    def __init__(self, words: Sequence[str], *, known_only: bool = False) -> None:
        words = check_words("words", words)
        classes = classes_of(words)
        if known_only:
            words = [word for word in words if classes[word]]
        check_known(words, classes)
        self.words = tuple(words)
        # All of AudioSet in order needs no choice: the scores are the answer.
        self._classes = None if self.words == class_names() else [classes[w] for w in self.words]
        self._network: YAMNet | None = None
        self._loading = threading.Lock()

    def __call__(self, samples: NDArray[np.float32], /) -> NDArray[np.float32]:
        size = round(self.step_s * self.sample_rate)
        steps = -(-len(samples) // size)
        with torch.inference_mode():
            sound = torch.from_numpy(np.array(samples, dtype=np.float32)).unsqueeze(0)
            scores = self._yamnet().scores(sound, hop_s=self.step_s)[0].numpy()
        # At the sound's ends the outermost patch stands for the half window that has none.
        scores = scores[np.clip(np.arange(steps) - _AHEAD, 0, len(scores) - 1)]
        if self._classes is None:
            return np.asarray(scores, dtype=np.float32)
        return np.stack([scores[:, list(own)].max(axis=1) for own in self._classes], axis=1)

    def _yamnet(self) -> YAMNet:
        with self._loading:
            if self._network is None:
                self._network = YAMNet.from_pretrained()
            return self._network

    def __getstate__(self) -> dict[str, object]:
        return {**self.__dict__, "_network": None, "_loading": None}

    def __setstate__(self, state: dict[str, object]) -> None:
        self.__dict__.update(state, _loading=threading.Lock())
