"""The command ``coprop``: run, detect and doctor. docs/cli.md describes it."""

from coprop.cli.app import app, main

__all__ = ["app", "main"]
