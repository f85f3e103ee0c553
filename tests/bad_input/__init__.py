"""Bad input for every public door of coprop, generated from seeds; and kills at random moments.

    python tests/bad_input --inputs 10000 --seed 1
    python tests/bad_input --only media.file/1/37
    python tests/bad_input --kills 100 --seed 1

A door is a function from a random generator to a `Case`: a call, what it is in words, and what must
become of it. An input is named by its door, the seed and its number, and made again by that name.
"""

import sys
from pathlib import Path

# The samples of other tests, as tests/conftest.py has them.
_SAMPLES = ("media", "data", "evaluation", "tools/benchmark")
sys.path += [str(Path(__file__).parents[1] / name) for name in _SAMPLES]
