"""What a call of a model in another interpreter costs, and whether anything grows.

    python -m tools.bench.process --python /envs/avs/bin/python
    python -m tools.bench.process --python /envs/avs/bin/python --typed

A small network is called with one frame and a second of sound, over and over. It tells how long it
took itself; what a call took beyond that is its overhead, of which the median and the quantile of
90% are printed. Then, from the tenth part of the calls to the last: resident memory of both sides,
their descriptors, and the shared memory. At the end its logits are compared with those of the same
network in the same interpreter without coprop. The exit code is 1 where they differ by a bit, where
the median is over 15 ms, or where something has grown: memory by more than 2 MiB.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch

from coprop import ProcessModel

NETWORK = Path(__file__).with_name("timed_network.py")
MOST_MS = 15.0
MOST_BYTES = 2 << 20


def resident(process: int) -> int:
    pages = Path(f"/proc/{process}/statm").read_text(encoding="ascii").split()[1]
    return int(pages) * os.sysconf("SC_PAGE_SIZE")


def held(model: ProcessModel) -> dict[str, int]:
    """What this process and the worker have: memory in bytes, and numbers of descriptors."""
    running = model._client._running
    assert running is not None
    found = {}
    for side, process in (("coprop", os.getpid()), ("worker", running._process.pid)):
        found[f"{side} memory"] = resident(process)
        found[f"{side} descriptors"] = len(list(Path(f"/proc/{process}/fd").iterdir()))
    shared = running._memory
    found["shared memory"] = 0 if shared is None else os.fstat(shared).st_size
    return found


def direct(python: str, frames: torch.Tensor, audio: torch.Tensor) -> dict[str, np.ndarray]:
    """The same network in the same interpreter, without coprop."""
    with tempfile.TemporaryDirectory() as folder:
        given, found = Path(folder) / "given.npz", Path(folder) / "found.npz"
        np.savez(given, frames=frames.numpy(), audio=audio.numpy())
        subprocess.run([python, str(NETWORK), str(given), str(found)], check=True)
        with np.load(found) as arrays:
            return dict(arrays)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--python", default=sys.executable, help="the interpreter; this one")
    parser.add_argument("--typed", action="store_true", help="through pipes alone: a command")
    parser.add_argument("--calls", type=int, default=1000)
    parser.add_argument("--size", type=int, default=512, help="of the frame, in pixels")
    options = parser.parse_args()
    frames = torch.rand(
        1, 3, options.size, options.size, generator=torch.Generator().manual_seed(0)
    )
    audio = torch.full((1, 16_000), 0.25)
    place = {"command": [options.python, "-"]} if options.typed else {"python": options.python}
    model = ProcessModel(factory="timed_network:build", cwd=NETWORK.parent, **place)
    first = {}
    overheads, own = [], []
    with model:
        for number in range(options.calls):
            if number == options.calls // 10:
                first = held(model)
            began = time.perf_counter()
            logits = model(frames, audio)
            took = time.perf_counter() - began
            own.append(1000 * float(logits.view(-1)[0]))
            overheads.append(1000 * took - own[-1])
        last = held(model)
    expected = direct(options.python, frames, audio)
    difference = (logits.numpy() - expected["logits"]).reshape(-1)[1:]  # the first one is a time
    print(f"PyTorch {expected['torch']}, numpy {expected['numpy']} in {options.python}")
    print(f"own time, median of {options.calls}: {np.median(own):.2f} ms")
    print(
        f"overhead, median {np.median(overheads):.2f} ms, 90% {np.quantile(overheads, 0.9):.2f} ms"
    )
    for name, before in first.items():
        print(f"{name}: {before} -> {last[name]}")
    print(f"largest difference from the network without coprop: {np.abs(difference).max():g}")
    grown = {name: last[name] - before for name, before in first.items()}
    allowed = {name: MOST_BYTES if name.endswith(" memory") else 0 for name in grown}
    good = all(grown[name] <= allowed[name] for name in grown)
    return int(not good or bool(difference.any()) or bool(np.median(overheads) > MOST_MS))


if __name__ == "__main__":
    sys.exit(main())
