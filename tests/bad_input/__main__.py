"""Gives many bad inputs to the library, or kills its commands at many moments."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

# In place of this folder: the tests', and the project's for its tools.
sys.path[:1] = [str(folder) for folder in Path(__file__).parents[1:3]]


def main() -> int:
    from bad_input import runner

    parser = argparse.ArgumentParser(prog="python tests/bad_input", description=__doc__)
    parser.add_argument("--inputs", type=int, default=0, help="how many inputs to try")
    parser.add_argument("--kills", type=int, default=0, help="how many kills to try")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--door", default="", help="only doors whose name begins like this")
    parser.add_argument("--only", nargs="*", default=[], help="inputs by name: door/seed/number")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.worker:
        runner.work()
        return 0
    began, faults = time.monotonic(), 0
    if given.inputs or given.only:
        from bad_input.doors import inputs

        names = iter(given.only) if given.only else inputs(given.seed, given.inputs, given.door)
        tally = runner.try_all(names, given.workers, shown=True)
        print(tally.text())
        for door, seconds in tally.seconds.most_common(8):
            print(f"  {door}: {seconds / tally.tried[door]:.3f} s each")
        faults += len(tally.faults)
    if given.kills:
        from bad_input.kills import kill_all

        faults += kill_all(given.kills, given.seed, given.workers)
    print(f"seed {given.seed}, {time.monotonic() - began:.0f} s")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
