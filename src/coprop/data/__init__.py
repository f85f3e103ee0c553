"""Clips composed from pictures and recordings, with masks and change times known."""
