"""The command ``coprop``; docs/cli.md describes it."""

from coprop.cli.app import app

__all__ = ["app"]
