"""Packages that only some of coprop needs: what is said where they are missing."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from coprop.errors import MissingPackageError


@contextmanager
def needs(package: str, install: str, user: str) -> Iterator[None]:
    """Put around the import of an optional package: says how to install it where it is missing.

    Args:
        package: the module that is imported.
        install: what pip is to install, such as "coprop[llm]".
        user: what needs it.

    Raises:
        MissingPackageError: the package, or one that it needs itself, is not installed.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        missing = error.name or package
        own = missing.partition(".")[0] == package.partition(".")[0]
        because = "" if own else f" ({missing}, which it needs itself)"
        raise MissingPackageError(
            f"{user} needs {package}, which is not installed{because}; install it with: "
            f'pip install "{install}".'
        ) from error
