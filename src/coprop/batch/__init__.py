"""Collections of videos: one after another, in several processes, on several machines.

`Segment` is the unit of work that engines call; docs/collections.md has recipes.
"""

from coprop.batch.segment import Segment

__all__ = ["Segment"]
