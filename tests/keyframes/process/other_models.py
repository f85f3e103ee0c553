"""Models for the other interpreter: functions of numpy alone, so that it starts at once."""

import ctypes
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np


def rednesses(frames, audio):
    """(K, 1, H, W): how red the pixels are, where there is sound."""
    loud = np.abs(audio).max(axis=1).reshape(-1, 1, 1, 1) > 0.05
    return np.where(loud, 20 * (frames[:, :1] - 0.5), np.float32(-20))


def red():
    return rednesses


def process_number():
    """Its logits are the number of the process that gave them."""
    return lambda frames, audio: np.full((len(frames), 1, 1, 1), os.getpid(), np.float64)


def variable_and_folder():
    """Its logits are the codes of the letters of $GREETING and of the folder's name."""
    text = os.environ.get("GREETING", "nothing") + Path.cwd().name
    codes = np.frombuffer(text.encode(), np.uint8).astype(np.float32)
    return lambda frames, audio: codes.reshape(1, 1, 1, -1)


def talkative():
    print("the factory prints")

    def fn(frames, audio):
        print("Python prints")
        os.system("echo the shell prints")
        ctypes.CDLL(None).printf(b"C prints\n")
        os.write(1, b"and to the descriptor\n")
        sys.stdout.write("without an end of line")
        try:
            input()
        except EOFError:
            return rednesses(frames, audio)
        raise RuntimeError("something was typed")

    return fn


def refusing():
    raise FileNotFoundError("no weights in best.pth")


def leaving():
    sys.exit("usage: train.py [-h]")


def number():
    return 5


class Asked:
    """Does what the first pixel says, where it says something."""

    def __init__(self):
        self.deeds = {1: self.fail, 2: self.leave, 3: self.sleep, 4: self.hold, 5: self.start}

    def __call__(self, frames, audio):
        deed = self.deeds.get(round(float(frames[0, 0, 0, 0])))
        return process_number()(frames, audio) if deed is None else deed(frames)

    def fail(self, frames):
        raise ValueError(f"cannot take {frames.shape}\nat all")

    def leave(self, frames):
        print("about to leave")
        os._exit(3)

    def sleep(self, frames):
        time.sleep(600)

    def hold(self, frames):
        """Sleeps without giving the interpreter's lock to other threads."""
        ctypes.PyDLL(None).sleep(600)

    def start(self, frames):
        child = subprocess.Popen(["sleep", "600"])
        return np.full((1, 1, 1, 1), child.pid, np.float64)


def asked():
    return Asked()


def wide():
    """More columns than there were."""
    return lambda frames, audio: np.repeat(frames[:, :1], 2, axis=3)


def lost():
    return lambda frames, audio: np.full_like(frames[:, :1], np.nan)


def pair():
    return lambda frames, audio: (frames[:, :1], {"and": audio})


def thing():
    return lambda frames, audio: object()
