"""Control points from words: what is heard, when, and where the set of it changes."""
