"""`coprop bench --peer` with more options: how often memory is written, and how much it holds.

    python -m tools.bench.peers CHECKOUT                 # the official AOT, AOT-L with ResNet-50
    python -m tools.bench.peers CHECKOUT --gap 1 --frames 20 --from-frame 18     # long memories
    python -m tools.bench.peers edgetam --size 640x360   # through transformers, random weights

Printed are processor seconds a frame (median, least), the ratio of the medians, how far labels and
logits are from the peer's, and each one's peak memory, of a process of its own (largest resident
set less what it was before the first frame). J is that of our bounded memory against the labels of
the peer, whose memory grows: the mean over objects and frames. With random weights it says how much
a mask depends on the frames that were dropped, in a network that tracks nothing: a lower bound of
nothing, so give ``--checkpoint`` for a J that means something.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from coprop.bench.peers import PeerOptions, measured, told


def size(text: str) -> tuple[int, int]:
    width, height = (int(side) for side in text.split("x"))
    return height, width


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("peer", help="a checkout of the official AOT, edgetam or sam2")
    parser.add_argument("--size", type=size, default=(465, 465), help="WIDTHxHEIGHT of the frames")
    parser.add_argument("--frames", type=int, default=8, help="after the keyframe")
    parser.add_argument("--from-frame", type=int, default=2, help="the first that counts")
    parser.add_argument("--objects", type=int, default=3)
    parser.add_argument("--gap", type=int, default=5, help="frames between two in long-term memory")
    parser.add_argument("--memory", type=int, default=8, help="how many frames ours holds there")
    parser.add_argument("--checkpoint", type=Path, help="an official AOT-L file")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument(
        "--precision",
        dest="dtype",
        choices=["float32", "bfloat16", "float16"],
        default="float32",
        help="of ours",
    )
    parser.add_argument(
        "--no-memory", dest="peaks", action="store_false", help="time alone, in one process"
    )
    parser.add_argument("--json", action="store_true", help="print JSON")
    options = vars(parser.parse_args(arguments))
    as_json = options.pop("json")
    result = measured(PeerOptions(**options))
    print(json.dumps(result) if as_json else told(result))
    return 0


if __name__ == "__main__":
    sys.exit(main())
