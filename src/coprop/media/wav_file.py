"""Writing 16-bit WAV files."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

from numpy.typing import NDArray


def write_wav(path: Path, samples: NDArray[Any], sample_rate: int) -> None:
    """Writes mono sound as 16-bit PCM.

    The file is made in memory first: what writes into a file itself does not tell a full disk from
    damaged samples.

    Args:
        path: the file.
        samples: (n,) float in [-1, 1], or int16.
        sample_rate: in Hz.

    Raises:
        OSError: it cannot be written.
    """
    import soundfile

    whole = io.BytesIO()
    soundfile.write(whole, samples, sample_rate, format="WAV", subtype="PCM_16")
    path.write_bytes(whole.getbuffer())
