"""Collections on a Ray cluster: a Ray Data pipeline of actors that hold the models."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from coprop.batch.rows import Outcome, Status
from coprop.errors import CoPropError
from coprop.utils.extras import needs

LOCAL = "local"
"""In place of an address: a cluster of this machine alone, which ends with the run."""

_RESTARTS = 3  # of an actor that is killed, and tries of what it was doing
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class RayOptions:
    """How the work is spread.

    Args:
        address: of a cluster, as ``ray.init`` takes it; "auto" for the one of this machine, and
            "local" for a new one.
        workers: how many actors; None for as many as there is room for.
        gpus_per_worker: of the cluster's GPUs, for each; 0.25 for four on one.
    """

    address: str
    workers: int | None = None
    gpus_per_worker: float = 0.0


def run_on_ray(
    paths: Sequence[Path], arguments: dict[str, Any], options: RayOptions
) -> Iterator[Outcome]:
    """Does the videos on a cluster, and yields what became of each as it is known.

    Results are written by the actors; only a few words of each come back. Ray gives an actor a
    new video when it has done one, and reads no further ahead than that.

    Args:
        paths: the videos, absolute, on a file system that all machines of the cluster share.
        arguments: of `coprop.batch.Segment`, which each actor makes.
        options: how it is spread.

    Raises:
        MissingPackageError: Ray is not installed.
        CoPropError: there is no such cluster, or the pipeline has failed.
    """
    with needs("ray", "coprop[ray]", "--ray"):
        import ray
    started = not ray.is_initialized()
    if started:
        _connect(ray, options.address)
    try:
        yield from _outcomes(ray, paths, arguments, options)
    finally:
        if started:
            ray.shutdown()


def _connect(ray: Any, address: str) -> None:
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nothing is reported to anybody
    quiet = {"log_to_driver": _log.isEnabledFor(logging.INFO), "logging_level": logging.ERROR}
    try:
        if address == LOCAL:
            # Without its web page, which needs more packages than the pipeline does.
            ray.init(address=LOCAL, include_dashboard=False, **quiet)
        else:
            ray.init(address=address, **quiet)
    except (ConnectionError, ValueError, RuntimeError, TimeoutError) as error:
        raise CoPropError(
            f"cannot reach a Ray cluster at {address}: {error}. Give the address of one that runs, "
            '"auto" for the one of this machine, or "local" to start one here.'
        ) from error


def _outcomes(
    ray: Any, paths: Sequence[Path], arguments: dict[str, Any], options: RayOptions
) -> Iterator[Outcome]:
    from coprop.batch.segment import Segment

    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    # Rows are few and small: handing them on one by one keeps every actor at work.
    rows = ray.data.from_items([{"path": str(p)} for p in paths], override_num_blocks=len(paths))
    most = options.workers or max(len(paths), 1)
    pool = ray.data.ActorPoolStrategy(
        min_size=options.workers or 1,
        max_size=min(most, len(paths)) if options.workers is None else most,
        max_tasks_in_flight_per_actor=2,
    )
    segmented = rows.map_batches(
        Segment,
        fn_constructor_kwargs=arguments,
        batch_size=1,
        compute=pool,
        num_gpus=options.gpus_per_worker,
        ray_remote_args_fn=_bounded,
    )
    try:
        for row in segmented.iter_rows():
            yield Outcome(
                row["path"], row["id"], Status(row["status"]), row["error"], row["seconds"]
            )
    except ray.exceptions.RayError as error:
        raise CoPropError(f"the pipeline on Ray has failed: {_cause(error)}") from error


def _bounded() -> dict[str, int]:
    """Else Ray would go on for ever with a video that ends every process."""
    return {"max_restarts": _RESTARTS, "max_task_retries": _RESTARTS}


def _cause(error: BaseException) -> str:
    """The sentence of coprop's own error, where Ray carries one; else what Ray says."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, CoPropError):
            return str(cause)
        cause = getattr(cause, "cause", None) or cause.__cause__
    return f"{str(error).strip().splitlines()[-1]}."
