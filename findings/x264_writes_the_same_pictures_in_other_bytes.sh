#!/usr/bin/env bash
# Packages: av 18.1.0 (its wheel has libavcodec 62.28.102 and x264 core 165), numpy 2.3.4.
# Behaviour: x264 calls itself deterministic, so one would compare encoded videos by their bytes, or name
#   them by a checksum. Encoded again and again in one process, with the same options and one or two
#   threads, four pictures of a flat square over a flat ground come out as one of two or three streams
#   some bytes apart. Decoded they are equal to the bit. Without the macroblock tree (mbtree=0, or the
#   presets ultrafast and superfast, which have none), without adaptive quantisation, or without
#   hand-written assembler (asm=0) there is one stream. Pictures with texture gave one stream in 40
#   trials. So compare decoded pictures.
# Seen: 200 times: 132 of one stream and 68 of another, one way of pictures; with mbtree=0 one stream.
#   With trellis=0, 8x8dct=0 or veryfast there are two as well.
# Source: run on 2026-11-30; the options that x264 writes into each stream.
set -euo pipefail
folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
python="$folder/venv/bin/python"
"$python" -m pip install --quiet av==18.1.0 numpy==2.3.4
cd "$folder"
"$python" - <<'PYTHON'
from collections import Counter
from fractions import Fraction
from hashlib import sha256

import av
import numpy as np

TRIALS = 200


def pictures():
    for index in range(4):
        picture = np.full((48, 64, 3), 64, np.uint8)
        left = 8 + 3 * index
        picture[10:35, left : left + 18] = (210, 30, 30)
        yield picture


def encoded(options):
    encoder = av.CodecContext.create("libx264", "w")
    encoder.width, encoder.height, encoder.pix_fmt = 64, 48, "yuv420p"
    encoder.framerate, encoder.time_base = Fraction(4, 1), Fraction(1, 4)
    encoder.thread_count, encoder.options = 2, options
    packets = []
    for index, picture in enumerate(pictures()):
        frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
        frame.pts, frame.time_base = index, encoder.time_base
        packets += encoder.encode(frame)
    return packets + encoder.encode(None)


def decoded(packets):
    decoder = av.CodecContext.create("h264", "r")
    frames = [frame for packet in packets for frame in decoder.decode(av.Packet(bytes(packet)))]
    return [frame.to_ndarray().tobytes() for frame in frames + decoder.decode(None)]


def counts(options):
    streams, shown = Counter(), Counter()
    for _ in range(TRIALS):
        packets = encoded(options)
        streams[sha256(b"".join(map(bytes, packets))).hexdigest()[:8]] += 1
        shown[sha256(b"".join(decoded(packets))).hexdigest()[:8]] += 1
    return streams, shown


for name, options in (("default", {}), ("mbtree=0", {"x264-params": "mbtree=0"})):
    streams, shown = counts(options)
    print(f"{name:10s} streams {dict(streams)}, pictures {dict(shown)}")
    assert len(shown) == 1
    assert (len(streams) > 1) == (name == "default")
print("as described")
PYTHON
