"""AudioSet's classes that stand for many kinds of things, or for no thing that could be named."""
GENERAL = frozenset()
