"""Labelled datasets, their parts, and the open benchmark as it is read."""
