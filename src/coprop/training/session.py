"""The loop of both stages: any number of processes and devices, stopped and resumed at will."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.utils.data import DataLoader

from coprop.brief import one_line
from coprop.errors import CoPropError
from coprop.training.averaging import WeightAverage
from coprop.training.checkpoint import read_checkpoint, write_checkpoint
from coprop.training.recipes import Recipe
from coprop.training.records import Recorder, RunFolder
from coprop.training.samples import ClipSamples, Sample
from coprop.training.stopping import ignore_interrupts, stop_wish
from coprop.types import Progress

if TYPE_CHECKING:
    from accelerate import Accelerator

_log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class Stage:
    """What is trained, and how; both stages fill it.

    Args:
        objective: called with a batch's tensors and ``arguments(step)`` by name; returns the mean
            loss of the batch's samples.
        samples: by number.
        collate: joins samples to a batch.
        optimizer: its groups have a "peak" beside what PyTorch needs.
        steps: how long.
        learning_rate: gives a group's rate from its peak and the step, from 0.
        arguments: what the objective is told at a step.
        release: called after the backward pass of a step; may take gradients away.
        validate: figures of the models as they are; empty where none are wanted.
        save: writes the models' folders into a folder.
    """

    objective: nn.Module
    samples: ClipSamples
    collate: Callable[[Sequence[Sample]], Sample]
    optimizer: Optimizer
    steps: int
    learning_rate: Callable[[float, int], float]
    arguments: Callable[[int], dict[str, Any]]
    release: Callable[[int], None]
    validate: Callable[[], dict[str, float]]
    save: Callable[[Path], None]


@dataclass(frozen=True)
class Outcome:
    """How far a training has come.

    Args:
        step: steps done.
        finished: whether these are all.
    """

    step: int
    finished: bool


class Session:
    """One training on one or several processes.

    Step k draws samples k * batch_size to (k + 1) * batch_size - 1, whatever the number of
    processes; PyTorch's random numbers are seeded anew at every step. Checkpoints therefore need
    no state of any generator, and a resumed training repeats an uninterrupted one exactly.

    Args:
        stage: what is trained.
        recipe: the settings that do not depend on the stage.
        folder: for checkpoints and logs.
        accelerator: devices, precision and processes; made by `make_accelerator`.

    Raises:
        CoPropError: a batch that the processes cannot share equally.
    """

    def __init__(
        self, stage: Stage, recipe: Recipe, folder: RunFolder, accelerator: Accelerator
    ) -> None:
        parts = accelerator.num_processes * recipe.accumulation
        if recipe.batch_size % parts:
            raise CoPropError(
                f"batch_size counts the clips of all processes: {recipe.batch_size} cannot be "
                f"shared by {accelerator.num_processes} processes in {recipe.accumulation} parts "
                f"each; give a multiple of {parts}."
            )
        self.stage, self.recipe, self.folder = stage, recipe, folder
        self.accelerator = accelerator
        self._share = recipe.batch_size // parts
        stage.objective.to(accelerator.device)
        self.objective, self.optimizer = accelerator.prepare(stage.objective, stage.optimizer)
        self.average: WeightAverage | None = None
        if recipe.ema_ratio:
            steps = recipe.ema_ratio * stage.steps
            self.average = WeightAverage.over(stage.objective, steps)

    def run(self, progress: Progress | None = None) -> Outcome:
        """Trains from the last checkpoint on, and writes the models in the end.

        Args:
            progress: called as ``("training", done, total)``.

        Returns:
            how far it came: all the way, or to a wish to stop, with a checkpoint there.

        Raises:
            CheckpointError: a damaged checkpoint, or one of other models.
            CoPropError: data that cannot be read, or a loss that is not finite.
            OutputError: the folder cannot be written.
        """
        done = self.resume()
        with ExitStack() as stack:
            wish = stack.enter_context(stop_wish())
            record = self._recorder(stack, done)
            batches = self.batches(done)
            for step in range(done, self.stage.steps):
                began = time.perf_counter()
                loss, norm, stop = self.step(step, batches, wish_to_stop=wish.made)
                done = step + 1
                values = {"loss": loss, "gradient_norm": norm, "learning_rate": self._rate()}
                if record is not None:
                    seconds = round(time.perf_counter() - began, 4)
                    record.row(done, {**values, "seconds": seconds})
                    if done % self.recipe.log_every == 0 or done == self.stage.steps:
                        record.points(done, values)
                        _log.info("step %d of %d, loss %.4f", done, self.stage.steps, loss)
                self._validate_if_due(done, record)
                last = done == self.stage.steps
                if stop or last or done % self.recipe.checkpoint_every == 0:
                    self.save(done)
                if progress is not None:
                    progress("training", done, self.stage.steps)
                if stop and not last:
                    return Outcome(done, finished=False)
        self._finish()
        return Outcome(done, finished=True)

    def step(
        self, step: int, batches: Iterator[Sample], *, wish_to_stop: bool = False
    ) -> tuple[float, float, bool]:
        """One step of the optimizer: the loss and the norm of its gradients; whether to stop."""
        loss, norm = self.backward(step, batches)
        self.optimizer.step()
        self.optimizer.zero_grad()
        if self.average is not None:
            self.average.update(self.stage.objective)
        told = torch.tensor([loss, float(wish_to_stop)], dtype=torch.float64)
        if self.accelerator.device.type == "mps":
            told = told.float()
        total = self.accelerator.reduce(told.to(self.accelerator.device), "sum").tolist()
        loss = total[0] / self.accelerator.num_processes
        if not math.isfinite(loss):
            raise CoPropError(
                f"the loss of step {step + 1} is {loss}; start anew with a lower learning_rate, a "
                'clip_norm, or precision "bf16" or "no" in place of "fp16".'
            )
        return loss, norm, total[1] > 0

    def backward(self, step: int, batches: Iterator[Sample]) -> tuple[float, float]:
        """The gradients of a step, in the parameters; this process's loss, and their norm."""
        self._seed(step)
        for group in self.optimizer.param_groups:
            group["lr"] = self.stage.learning_rate(group["peak"], step)
        self.objective.train()
        losses = []
        for part in range(self.recipe.accumulation):
            last = part == self.recipe.accumulation - 1
            alone = nullcontext() if last else self.accelerator.no_sync(self.objective)
            batch = {name: x.to(self.accelerator.device) for name, x in next(batches).items()}
            with alone:
                loss: Tensor = self.objective(**batch, **self.stage.arguments(step))
                self.accelerator.backward(loss / self.recipe.accumulation)
            losses.append(loss.item())
        self.stage.release(step)
        limit = self.recipe.clip_norm or math.inf
        parameters = [p for p in self.stage.objective.parameters() if p.requires_grad]
        norm = self.accelerator.clip_grad_norm_(parameters, limit)
        return sum(losses) / len(losses), float(norm)

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
        parts = {"model": self.stage.objective, "optimizer": self.optimizer}
        if self.average is not None:
            parts["average"] = self.average
        if self.accelerator.scaler is not None:
            parts["scaler"] = self.accelerator.scaler
        return parts

    def _rate(self) -> float:
        return max(float(group["lr"]) for group in self.optimizer.param_groups)

    def _seed(self, step: int) -> None:
        entropy = (self.recipe.seed, step, self.accelerator.process_index)
        torch.manual_seed(int(np.random.SeedSequence(entropy).generate_state(1)[0]))

    def batches(self, done: int) -> Iterator[Sample]:
        """This process's batches after so many steps, ``accumulation`` of them for each step."""
        size, share = self.recipe.batch_size, self._share
        own = self.accelerator.process_index * self.recipe.accumulation
        numbers = [
            list(range(first, first + share))
            for step in range(done, self.stage.steps)
            for part in range(self.recipe.accumulation)
            for first in [step * size + (own + part) * share]
        ]
        if not numbers:
            return iter(())
        return iter(
            DataLoader(
                self.stage.samples,
                batch_sampler=numbers,
                collate_fn=self.stage.collate,
                num_workers=self.recipe.workers,
                worker_init_fn=ignore_interrupts,
                pin_memory=self.accelerator.device.type == "cuda",
            )
        )

    def _recorder(self, stack: ExitStack, done: int) -> Recorder | None:
        if not self.accelerator.is_main_process:
            return None
        return stack.enter_context(Recorder(self.folder, done))

    def _validate_if_due(self, done: int, record: Recorder | None) -> None:
        every = self.recipe.validate_every
        if not every or (done % every and done != self.stage.steps):
            return
        with self._averaged():
            self.stage.objective.eval()
            figures = self.stage.validate()
        if record is not None and figures:
            record.row(done, {"validation": figures})
            record.points(done, {f"validation/{name}": value for name, value in figures.items()})

    def _averaged(self) -> Any:
        if self.average is None:
            return nullcontext()
        return self.average.applied(self.stage.objective)

    def _finish(self) -> None:
        if self.accelerator.is_main_process:
            with self._averaged():
                self.stage.objective.eval()
                self.stage.save(self.folder.final)
        self.accelerator.wait_for_everyone()


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
