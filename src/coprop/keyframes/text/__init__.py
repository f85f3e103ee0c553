"""Words for what sounds to masks, by published models: the keyframe slot guided by text."""

from coprop.keyframes.text.instances import Instance, TextToMasks
from coprop.keyframes.text.phrases import audioset_phrases
from coprop.keyframes.text.segmenter import TextSegmenter

__all__ = ["Instance", "TextSegmenter", "TextToMasks", "audioset_phrases"]
