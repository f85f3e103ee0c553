"""The network of `tools.bench.process`: PyTorch alone, of any release, and Python 3.7 or later."""

import sys
import time

import numpy as np
import torch
from torch import nn


class TimedNetwork(nn.Module):
    """Three convolutions whose weights are the same everywhere; tells how long it took.

    The first number of its logits is the time in seconds.
    """

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(3, 8, 3, stride=2, padding=1),
            nn.ReLU(),
            nn.Conv2d(8, 8, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(8, 1, 3, padding=1),
            nn.Upsample(scale_factor=2),
        )
        for parameter in self.parameters():
            steps = torch.linspace(-0.5, 0.5, parameter.numel())
            parameter.data = torch.sin(40 * steps).view_as(parameter)

    def forward(self, frames: torch.Tensor, audio: torch.Tensor) -> torch.Tensor:
        began = time.perf_counter()
        logits: torch.Tensor = self.layers(frames) + audio.mean()
        logits.view(-1)[0] = time.perf_counter() - began
        return logits


def build() -> TimedNetwork:
    """What the worker is told to make."""
    return TimedNetwork()


if __name__ == "__main__":  # frames and sound in one file, logits into another
    given = np.load(sys.argv[1])
    with torch.no_grad():
        found = build().eval()(*(torch.from_numpy(given[name]) for name in ("frames", "audio")))
    np.savez(sys.argv[2], logits=found.numpy(), torch=torch.__version__, numpy=np.__version__)
