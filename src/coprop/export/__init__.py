"""Results in the forms that other programs read: ``result.export(name, path)``.

`TARGETS` lists them by name; docs/export.md describes them. Nothing but coprop's own dependencies
is needed to write any of them.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from coprop.export.supervision import detections
    from coprop.export.targets import TARGETS, Target, write_export

__all__ = ["TARGETS", "Target", "detections", "write_export"]

_HOMES = {
    "detections": "supervision",
    "TARGETS": "targets",
    "Target": "targets",
    "write_export": "targets",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'coprop.export' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"coprop.export.{_HOMES[name]}"), name)
