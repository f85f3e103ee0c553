"""The examples in the metrics' docstrings run, and every public function has one."""

from __future__ import annotations

import doctest
import inspect
import pkgutil
from importlib import import_module

import pytest

from coprop.metrics import functional

MODULES = [info.name for info in pkgutil.iter_modules(functional.__path__)]
FUNCTIONS = [name for name in functional.__all__ if inspect.isfunction(getattr(functional, name))]


@pytest.mark.parametrize("name", MODULES)
def test_examples_run(name: str) -> None:
    assert doctest.testmod(import_module(f"{functional.__name__}.{name}")).failed == 0


def test_every_function_has_an_example() -> None:
    assert len(FUNCTIONS) > 20
    assert [name for name in FUNCTIONS if ">>> " not in getattr(functional, name).__doc__] == []
