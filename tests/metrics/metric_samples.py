"""Golden figures and small clips for the tests of metrics.

The figures of ``golden/avs_metrics.npz`` were made once with the official functions, unchanged:
AVSBench's `mask_iou`, `Eval_Fmeasure`, `_eval_pr` and `calc_color_miou_fscore`, and (fields named
``dataset_*``, rounded upstream to four places but for ``dataset_iou``) CAVP's `MIoU` and
`ForegroundDetect`, called frame by frame.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from torch import Tensor

GOLDEN = np.load(Path(__file__).parents[1] / "golden" / "avs_metrics.npz")
BINARY = GOLDEN["case_names"].tolist()
SEMANTIC = ["avss_random", "avss_perfect", "avss_all_wrong", "avss_all_background"]

few = settings(deadline=None, max_examples=50)

# Values on and beside thresholds: k / 254 are those of F, and 0.5 is one of them.
_values = st.one_of(
    st.integers(0, 254).map(lambda k: float(np.float32(k / 254))),
    st.floats(0, 1, width=32),
    st.sampled_from([0.0, 0.5, 1.0]),
)


@st.composite
def scored_frames(draw: st.DrawFn, most: int = 4) -> tuple[Tensor, Tensor]:
    """Probabilities and targets of a few small frames, some of them without target."""
    shape = (draw(st.integers(1, most)), draw(st.integers(1, 3)), draw(st.integers(1, 4)))
    probabilities = draw(arrays(np.float32, shape, elements=_values))
    target = draw(arrays(np.bool_, shape))
    for frame in range(shape[0]):
        target[frame] &= draw(st.booleans())
    return torch.from_numpy(probabilities), torch.from_numpy(target)


def golden_frames(case: str) -> tuple[Tensor, Tensor]:
    """Probabilities and targets of a case."""
    logits, target = GOLDEN[f"{case}/logits"], GOLDEN[f"{case}/gt"]
    return torch.from_numpy(logits).sigmoid(), torch.from_numpy(target)


def golden_labels(case: str) -> tuple[Tensor, Tensor]:
    """Predicted and true labels of a case of seven classes."""
    return torch.from_numpy(GOLDEN[f"{case}/labels"]), torch.from_numpy(GOLDEN[f"{case}/gt"])
