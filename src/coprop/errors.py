"""The exceptions coprop raises for input it cannot use.

Every message says what was given, what is accepted and how to mend it.
"""

from coprop.utils.brief import text_of


class CoPropError(ValueError):
    """Base of every error that coprop raises on purpose.

    It is made of a sentence or two and, where that helps, of lines to show below, such as code.
    """

    def __str__(self) -> str:
        return text_of("\n".join(map(str, self.args)).split("\n"))


class MediaError(CoPropError):
    """A video or audio file, array or stream that cannot be read as one."""


class MissingAudioError(MediaError):
    """A video without an audio track, where sound is needed."""


class AudioError(CoPropError):
    """Audio samples that are not finite, or not shaped as sound."""


class ShapeError(CoPropError):
    """A tensor whose shape or dtype a part of the pipeline cannot take."""


class CheckpointError(CoPropError):
    """A checkpoint that is not the expected one: wrong file, missing keys or other shapes."""


class ModelOutputError(CoPropError):
    """A wrapped model that returned something other than finite logits of the agreed shape."""


class PredictionError(CoPropError):
    """Predictions that cannot be read, could mean several things, or do not fit their clip."""


class DatasetError(CoPropError):
    """A dataset whose folder, csv, annotations or one of whose files are not as they should be."""


class OutputError(CoPropError):
    """Results that cannot be written where they were asked for."""


class LockedError(OutputError):
    """What is to be written is being written by another process."""


class LanguageModelError(CoPropError):
    """A language model that cannot be asked, or whose answer cannot be used."""


class MissingPackageError(CoPropError):
    """An optional package that is not installed; the message has the command to install it."""
