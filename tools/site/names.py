"""Writes docs/names.md, the page of what the default knows.

python -m tools.site.names > docs/names.md
"""

from __future__ import annotations

import sys

from coprop.cli.names import known_groups, known_sounds

_HEAD = """\
# What it knows

<!-- Written by python -m tools.site.names > docs/names.md -->

`coprop names` prints the table, `coprop names --sounds` the list, `--json` both.

## Groups of things

The default's keyframe model knows these {groups} groups of things by sight and by sound. What
belongs to one of them is masked where it is seen and heard, if it is large and in clear view.
Anything else is masked where it stands out or moves, or not at all. A [wrapped model](wrapping.md)
knows what it has been trained on.

| group | sounds that are of it |
| --- | --- |
"""
_SOUNDS = """
## Names of sounds

A [segment is named](result.md#names) in the {sounds} names of AudioSet, whether what sounds is seen
or not:

"""


def page() -> str:
    """The page, as Markdown."""
    groups, sounds = known_groups(), known_sounds()
    rows = [f"| `{name}` | {'; '.join(heard)} |\n" for name, heard in groups.items()]
    head = _HEAD.format(groups=len(groups))
    return head + "".join(rows) + _SOUNDS.format(sounds=len(sounds)) + "; ".join(sounds) + ".\n"


if __name__ == "__main__":
    sys.stdout.write(page())
