"""What the command sets in its own process."""

from __future__ import annotations

import gc
import platform
import subprocess
import sys
from collections.abc import Iterator

import pytest

from coprop.utils.process import loading


@pytest.fixture(autouse=True)
def _nothing_stays_frozen() -> Iterator[None]:
    yield
    gc.unfreeze()
    gc.enable()


def test_nothing_is_collected_while_loading_and_nothing_loaded_later() -> None:
    with loading():
        assert not gc.isenabled()
        kept = [[]]
    assert gc.isenabled()
    assert gc.get_freeze_count() > 0
    assert not any(each is kept for each in gc.get_objects())


def test_a_failure_leaves_the_collector_as_it_was() -> None:
    with pytest.raises(ValueError, match="no such weights"), loading():
        raise ValueError("no such weights")
    assert gc.isenabled()
    gc.disable()
    with loading():
        pass
    assert not gc.isenabled()


def test_the_command_does_so() -> None:
    code = (
        "import gc, sys\nfrom coprop.__main__ import main\nsys.argv = ['coprop', '--version']\n"
        "try:\n    main()\nexcept SystemExit:\n    print(gc.isenabled(), gc.get_freeze_count() > 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.endswith("True True\n")


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="of glibc")
def test_freed_memory_is_handed_out_again_without_asking_the_system() -> None:
    """Blocks of 20 MB, as maps are: pages come from the system once in place of each time."""
    code = """
import resource, sys
from coprop.utils.process import keep_freed_memory
if sys.argv[1] == "kept":
    keep_freed_memory()
def rounds(n):
    for _ in range(n):
        blocks = [b"x" * 20_000_000 for _ in range(4)]
        del blocks
def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt
rounds(2)
before = faults()
rounds(5)
print(faults() - before)
"""
    kept, given_back = (
        int(
            subprocess.run(
                [sys.executable, "-c", code, how], capture_output=True, check=True
            ).stdout
        )
        for how in ("kept", "given back")
    )
    assert kept < 1000 < given_back
