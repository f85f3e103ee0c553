"""The command ``coprop``; docs/cli.md describes it."""

from coprop.__main__ import main
from coprop.cli.app import app

__all__ = ["app", "main"]
