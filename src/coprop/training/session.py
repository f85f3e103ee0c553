"""The loop of both stages: any number of processes and devices, stopped and resumed at will."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.utils.data import DataLoader

from coprop.errors import CoPropError
from coprop.training.recipes import Recipe
from coprop.training.run_folder import Recorder, RunFolder, read_checkpoint, write_checkpoint
from coprop.training.samples import ClipSamples, Sample
from coprop.training.stopping import StopSignals, ignore_interrupts
from coprop.training.weight_average import WeightAverage
from coprop.types import Progress
from coprop.utils.brief import one_line

if TYPE_CHECKING:
    from accelerate import Accelerator

_log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class TrainingTask:
    """What is trained, and how; each stage makes one.

    Args:
        objective: called with a batch's tensors and ``arguments(step)`` by name; returns the mean
            loss of the batch's samples.
        samples: by number.
        collate: joins samples to a batch.
        optimizer: its groups have a "peak" beside what PyTorch needs.
        steps: how long.
        validate: figures of the models as they are; empty where none are wanted.
        save: writes the models' folders into a folder.
        learning_rate: gives a group's rate from its peak and the step, from 0.
        arguments: more arguments of the objective at a step.
        release: called after the backward pass of a step; may take gradients away.
    """

    objective: nn.Module
    samples: ClipSamples
    collate: Callable[[Sequence[Sample]], Sample]
    optimizer: Optimizer
    steps: int
    validate: Callable[[], dict[str, float]]
    save: Callable[[Path], None]
    learning_rate: Callable[[float, int], float] = lambda peak, step: peak
    arguments: Callable[[int], dict[str, Any]] = lambda step: {}
    release: Callable[[int], None] = lambda step: None


@dataclass(frozen=True)
class Outcome:
    """How far a training has come.

    Args:
        step: steps done.
        finished: whether these are all.
    """

    step: int
    finished: bool


class TrainingSession:
    """One training on one or several processes.

    Step k draws samples k * batch_size to (k + 1) * batch_size - 1, whatever the number of
    processes; PyTorch's random numbers are seeded anew at every step. Checkpoints therefore need
    no state of any generator, and a resumed training repeats an uninterrupted one exactly.

    Args:
        task: what is trained.
        recipe: the settings that do not depend on the stage.
        folder: for checkpoints and logs.
        accelerator: devices, precision and processes; made by `make_accelerator`.

    Raises:
        CoPropError: a batch that the processes cannot share equally.
    """

    def __init__(
        self, task: TrainingTask, recipe: Recipe, folder: RunFolder, accelerator: Accelerator
    ) -> None:
        parts = accelerator.num_processes * recipe.accumulation
        if recipe.batch_size % parts:
            raise CoPropError(
                f"batch_size counts the clips of all processes: {recipe.batch_size} cannot be "
                f"shared by {accelerator.num_processes} processes in {recipe.accumulation} parts "
                f"each; give a multiple of {parts}."
            )
        self.task, self.recipe, self.folder = task, recipe, folder
        self.accelerator = accelerator
        self._share = recipe.batch_size // parts
        task.objective.to(accelerator.device)
        self.objective, self.optimizer = accelerator.prepare(task.objective, task.optimizer)
        self._learned = nn.ParameterList(p for p in task.objective.parameters() if p.requires_grad)
        self.average: WeightAverage | None = None
        if recipe.ema_ratio:
            self.average = WeightAverage(self._learned, recipe.ema_ratio * task.steps)

    def run(self, progress: Progress | None = None) -> Outcome:
        """Trains from the last checkpoint on, and writes the models in the end.

        Args:
            progress: called as ``("training", done, total)``.

        Returns:
            how far it came: all the way, or to a signal to stop, with a checkpoint there.

        Raises:
            CheckpointError: a damaged checkpoint, or one of other models.
            CoPropError: data that cannot be read, or a loss that is not finite.
            OutputError: the folder cannot be written.
        """
        done = self.resume()
        with ExitStack() as stack:
            signals = stack.enter_context(StopSignals())
            record = None
            if self.accelerator.is_main_process:
                record = stack.enter_context(closing(Recorder(self.folder, done)))
            batches = self.batches(done)
            for step in range(done, self.task.steps):
                began = time.perf_counter()
                loss, norm, stop = self.step(step, batches, stop=signals.came)
                done = step + 1
                last = done == self.task.steps
                if record is not None:
                    self._record(record, done, loss, norm, time.perf_counter() - began)
                self._validate_if_due(done, record)
                if stop or last or done % self.recipe.checkpoint_every == 0:
                    self.save(done)
                if progress is not None:
                    progress("training", done, self.task.steps)
                if stop and not last:
                    return Outcome(done, finished=False)
        if self.accelerator.is_main_process:
            with self._averaged():
                self.task.save(self.folder.final)
        self.accelerator.wait_for_everyone()
        return Outcome(done, finished=True)

    def step(
        self, step: int, batches: Iterator[Sample], *, stop: bool = False
    ) -> tuple[float, float, bool]:
        """One step of the optimizer.

        Args:
            step: its number, from 0.
            batches: see `batches`.
            stop: whether this process received a signal to stop.

        Returns:
            the mean loss of all processes, the norm of the gradients, and whether any process is to
            stop, as all must stop after the same step.

        Raises:
            CoPropError: a loss that is not finite.
        """
        loss, norm = self.backward(step, batches)
        self.optimizer.step()
        self.optimizer.zero_grad()
        if self.average is not None:
            self.average.update_parameters(self._learned)
        device = self.accelerator.device
        precise = torch.float32 if device.type == "mps" else torch.float64  # which mps has not
        shared = torch.tensor([loss, float(stop)], dtype=precise).to(device)
        total = self.accelerator.reduce(shared, "sum").tolist()
        loss = total[0] / self.accelerator.num_processes
        if not math.isfinite(loss):
            raise CoPropError(
                f"the loss of step {step + 1} is {loss}; start anew with a lower learning_rate, a "
                'clip_norm, or precision "bf16" or "no" in place of "fp16".'
            )
        return loss, norm, total[1] > 0

    def backward(self, step: int, batches: Iterator[Sample]) -> tuple[float, float]:
        """The gradients of a step, in the parameters; this process's loss, and their norm."""
        entropy = (self.recipe.seed, step, self.accelerator.process_index)
        torch.manual_seed(int(np.random.SeedSequence(entropy).generate_state(1)[0]))
        for group in self.optimizer.param_groups:
            group["lr"] = self.task.learning_rate(group["peak"], step)
        self.objective.train()
        losses = []
        for part in range(self.recipe.accumulation):
            last = part == self.recipe.accumulation - 1
            alone = nullcontext() if last else self.accelerator.no_sync(self.objective)
            batch = {name: x.to(self.accelerator.device) for name, x in next(batches).items()}
            with alone:
                loss: Tensor = self.objective(**batch, **self.task.arguments(step))
                self.accelerator.backward(loss / self.recipe.accumulation)
            losses.append(loss.item())
        self.task.release(step)
        limit = self.recipe.clip_norm or math.inf
        norm = self.accelerator.clip_grad_norm_(list(self._learned), limit)
        return sum(losses) / len(losses), float(norm)

    def batches(self, done: int) -> Iterator[Sample]:
        """This process's batches after so many steps, ``accumulation`` of them for each step."""
        own = self.accelerator.process_index * self.recipe.accumulation
        firsts = (
            step * self.recipe.batch_size + (own + part) * self._share
            for step in range(done, self.task.steps)
            for part in range(self.recipe.accumulation)
        )
        numbers = [list(range(first, first + self._share)) for first in firsts]
        if not numbers:  # no workers are started for nothing
            return iter(())
        return iter(
            DataLoader(
                self.task.samples,
                batch_sampler=numbers,
                collate_fn=self.task.collate,
                num_workers=self.recipe.workers,
                worker_init_fn=ignore_interrupts,
                pin_memory=self.accelerator.device.type == "cuda",
            )
        )

    def resume(self) -> int:
        """Restores the last checkpoint, where there is one; the number of steps done."""
        paths = self.folder.checkpoints()
        if not paths:
            return 0
        step = read_checkpoint(paths[-1], self._parts())
        _log.info("going on from %s", one_line(str(paths[-1])))
        return step

    def save(self, step: int) -> None:
        """Writes a checkpoint, whole or not at all, and removes the oldest."""
        if self.accelerator.is_main_process:
            write_checkpoint(self.folder.checkpoint(step), step, self._parts())
            self.folder.prune(self.recipe.keep)

    def _parts(self) -> dict[str, Any]:
        parts = {
            "model": self.task.objective,
            "optimizer": self.optimizer,
            "average": self.average,
            "scaler": self.accelerator.scaler,  # of losses in fp16
        }
        return {name: part for name, part in parts.items() if part is not None}

    def _record(
        self, record: Recorder, done: int, loss: float, norm: float, seconds: float
    ) -> None:
        rate = max(float(group["lr"]) for group in self.optimizer.param_groups)
        values = {"loss": loss, "gradient_norm": norm, "learning_rate": rate}
        record.row(done, {**values, "seconds": round(seconds, 4)})
        if done % self.recipe.log_every == 0 or done == self.task.steps:
            record.points(done, values)
            _log.info("step %d of %d, loss %.4f", done, self.task.steps, loss)

    def _validate_if_due(self, done: int, record: Recorder | None) -> None:
        every = self.recipe.validate_every
        if not every or (done % every and done != self.task.steps):
            return
        with self._averaged():
            figures = self.task.validate()
        if record is not None and figures:
            record.row(done, {"validation": figures})
            record.points(done, {f"validation/{name}": value for name, value in figures.items()})

    @contextmanager
    def _averaged(self) -> Iterator[None]:
        """The models as they are handed over: the average, where there is one, in evaluation."""
        with self.average.applied(self._learned) if self.average else nullcontext():
            self.task.objective.eval()
            yield


def make_accelerator(recipe: Recipe, *, cpu: bool) -> Accelerator:
    """What runs the training: on the GPUs that ``accelerate launch`` gives, or on the CPU.

    Raises:
        CoPropError: a precision that the device cannot compute in.
    """
    from accelerate import Accelerator

    try:
        return Accelerator(cpu=cpu, mixed_precision=recipe.precision)
    except ValueError as error:
        raise CoPropError(
            f'precision "{recipe.precision}" is not possible here: {error} "no" always is.'
        ) from error
