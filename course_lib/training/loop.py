"""The training loop, all of it: for the digits on a laptop and for many GPUs. Lesson 14 reads it line by line.

Everything random in a step is drawn from (seed, step) for the whole batch, then split over the processes. So a run that
was stopped and resumed equals one that never stopped, bit for bit, and two processes compute what one would.
"""

import math
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel
from tqdm.auto import tqdm

from course_lib import __version__, checks
from course_lib.data import Split, check_data, check_labels, contains_held_out, fingerprint, load
from course_lib.models import check_draws, check_loss, check_protocol, parts_of
from course_lib.paths import shorten
from course_lib.training import checkpoint
from course_lib.training.checkpoint import MODEL, CheckpointError
from course_lib.training.device import accelerator_for, has_bf16, pick_device
from course_lib.training.progress import Clock, Progress
from course_lib.training.recipes import Recipe, check_recipe
from course_lib.training.trained import build, check_needed, fill, needed_by, own_weights, size_of_checkpoint, start_in


class TrainingDiverged(Exception):
    """A part of the loss became NaN or infinite; the last good checkpoint is kept."""


class Run:
    """One training run: `for progress in run:` trains; `run.averaged` is the model to use, at any moment.

    out: where checkpoints go (None: none are written). device: "auto", "cpu", "cuda" or "mps". resume: go on from the
    newest checkpoint in `out`. data: what to train on (None: what the recipe names). compile: torch.compile, on CUDA.
    every, save_every: steps between two Progress, and between two checkpoints.
    Raises CheckpointError where `out` can't be written, holds a run and resume is off, holds none and resume is on, or one
    of another recipe; ValueError for bad data, and at the first step, before anything has moved, for a loss that can't be
    trained or a draw without a row for each image.
    Iterating raises TrainingDiverged for a loss that is not finite, after which the last good checkpoint stands.
    """

    def __init__(
        self,
        recipe: Recipe,
        out: Path | None = None,
        device: str = "auto",
        resume: bool = False,
        data: Split | None = None,
        compile: bool = False,
        every: int = 25,
        save_every: int = 250,
    ):
        check_recipe(recipe)
        checks.whole("every", every, 1)
        checks.whole("save_every", save_every, 1)
        self.recipe, self.every, self.save_every = recipe, every, save_every
        device, found = pick_device(device), start_in(out, resume)
        self.out, self._newest = None if out is None else Path(out), found
        self.needed = needed_by(recipe)
        model = build(recipe, self.needed)
        self.turns = getattr(model, "turns", ("",))  # most models have one objective, without a name
        check_protocol(model, recipe)
        self.accelerator = accelerator_for(device, turns=len(self.turns) > 1)
        self.device = self.accelerator.device
        processes = self.accelerator.num_processes
        if recipe.batch % processes:
            raise ValueError(f"a batch of {recipe.batch} can't be split over {processes} processes")
        finished = found and found.name == checkpoint.name_of(recipe.steps)
        if self.out and not finished and self.accelerator.is_main_process:
            checkpoint.probe(self.out, size_of_checkpoint(model, recipe))

        self.data = self._checked(data)
        self.x0, self.label = self.data.x0.to(self.device), self.data.label.to(self.device)

        self.raw = model.to(self.device)
        if recipe.steps and hasattr(model, "prepare"):
            self.x0 = model.prepare(self.x0)
        self._average = AveragedModel(model, multi_avg_fn=self._blend)
        moved = {turn: getattr(model, turn) if turn else model for turn in self.turns} if recipe.steps else {}
        self.optimizers = {turn: self._optimizer(part) for turn, part in moved.items()}
        self.step, self.done = 0, False
        if found:
            self._resume(found)
        if compile:
            if self.device.type != "cuda":
                raise ValueError(f"compile is for CUDA; on {self.device.type} it costs minutes and gains nothing")
            for part in model.children():
                part.compile()
        if recipe.steps:
            self.model, *optimizers = self.accelerator.prepare(model, *self.optimizers.values())
            self.optimizers = dict(zip(self.optimizers, optimizers, strict=True))
        self.generator = torch.Generator(self.device)
        self.bf16 = has_bf16(self.device)

    @property
    def averaged(self) -> nn.Module:
        """The model with the averaged weights: the one to use."""
        return self._average.module

    def __iter__(self) -> Iterator[Progress]:
        if not self.recipe.steps:
            yield from self._fit()
            return
        clock = Clock(self.step)
        with self._kept_on_interrupt(clock):
            while self.step < self.recipe.steps:
                with _finish_before_interrupt():
                    clock.add(self._train_step())
                    self.step += 1
                    if show := self._due(self.every):
                        progress = self._progress(clock)
                    if self._due(self.save_every):
                        self._finite(clock.means(self.step))
                        self.save()
                if show:
                    yield progress
                    clock.start(self.step)

    def _train_step(self) -> dict[str, Tensor]:
        """One step: each turn on a batch of its own; the losses by name, those of a turn's last move."""
        recipe, rank, world = self.recipe, self.accelerator.process_index, self.accelerator.num_processes
        share = recipe.batch // world
        mine = slice(rank * share, (rank + 1) * share)

        self.generator.manual_seed(_seed(recipe.seed, self.step))
        losses = {}
        with self._seeded_dropout(rank):
            for turn in self.turns:
                rows = torch.randint(len(self.x0), (recipe.batch,), generator=self.generator, device=self.device)
                draws = self.raw.draw((recipe.batch, *self.x0.shape[1:]), self.generator, self.device)
                draws = {name: values[mine] for name, values in check_draws(draws, recipe.batch).items()}
                x0, label = self.x0[rows[mine]], self.label[rows[mine]] if recipe.labels else None

                with torch.autocast(self.device.type, torch.bfloat16, enabled=self.bf16):
                    loss = self.model(x0, label, **draws, **({"turn": turn} if turn else {}))
                parts = check_loss(parts_of(loss, turn))
                self.accelerator.backward(sum(parts.values()))
                self._move(self.optimizers[turn])
                losses |= {name: part.detach() for name, part in parts.items()}
        self._average.update_parameters(self.raw)
        return losses

    def _move(self, optimizer: torch.optim.Optimizer) -> None:
        """A step along the gradient of this turn's own weights; what it left on others is dropped."""
        (group,) = optimizer.param_groups
        group["lr"] = self.rate(self.step)
        self.accelerator.clip_grad_norm_(group["params"], self.recipe.clip)
        optimizer.step()
        self.model.zero_grad()

    def _fit(self) -> Iterator[Progress]:
        """The closed form or EM of a model without steps, once."""
        if self.done:
            return
        label = self.label if self.recipe.labels else None
        with torch.no_grad():
            self.raw.fit(self.x0, label, self.generator.manual_seed(_seed(self.recipe.seed)))
            parts = parts_of(self.raw(self.x0, label))
        self.averaged.load_state_dict(self.raw.state_dict())
        losses, self.done = self._finite(parts), True
        self.save()
        yield Progress(0, 0, sum(losses.values()), 0.0, 0.0, 0.0, losses if len(losses) > 1 else {})

    def rate(self, step: int) -> float:
        """The learning rate, a function of the step alone: a linear warm-up, then the recipe's fall."""
        warm = min(1.0, (step + 1) / max(1, self.recipe.warmup))
        fall = 0.5 * (1 + math.cos(math.pi * step / self.recipe.steps)) if self.recipe.fall == "cosine" else 1.0
        return self.recipe.rate * warm * fall

    def save(self) -> Path | None:
        """Write a checkpoint of the present step into `out`."""
        if not self._weights_are_finite():
            raise self._diverged("the weights became NaN or infinite")
        if self.out is None or not (self.step or self.done) or not self.accelerator.is_main_process:
            return None
        states = {turn: checkpoint.state_of(optimizer) for turn, optimizer in self.optimizers.items()}
        card = {
            "version": __version__, "torch": torch.__version__.split("+")[0], "device": self.device.type,
            "bf16": self.bf16, "data": self._fingerprint,
        }  # fmt: skip
        if self.needed:
            card["needs"] = {role: trained.card["sha256"][MODEL] for role, trained in self.needed.items()}
        averaged = own_weights(self.averaged, self.recipe, half=self.recipe.half and self.step == self.recipe.steps)
        training = {"model": own_weights(self.raw, self.recipe), "optimizers": states}
        self._newest = checkpoint.save(self.out, self.step, self.recipe, averaged, training, card)
        return self._newest

    def _resume(self, found: Path) -> None:
        state, card = checkpoint.read_training(found, self.recipe), checkpoint.read_card(found)
        check_needed(card, self.needed, found)
        if card.get("data") != self._fingerprint:
            raise CheckpointError(f"{shorten(found)} was trained on other data: give it the same, or another folder")
        fill(self.raw, self.recipe, state["model"], found)
        fill(self.averaged, self.recipe, state["average"], found)
        self._average.n_averaged.fill_(state["step"])
        for turn, optimizer in self.optimizers.items():
            checkpoint.fill_optimizer(optimizer, state["optimizers"].get(turn), found)
        self.step, self.done = state["step"], not self.recipe.steps

    def _optimizer(self, part: nn.Module) -> torch.optim.Optimizer:
        recipe, weights = self.recipe, [p for p in part.parameters() if p.requires_grad]
        fused = self.device.type in ("cpu", "cuda")
        return torch.optim.AdamW(
            [{"params": weights}], lr=recipe.rate, betas=recipe.betas, weight_decay=recipe.weight_decay, fused=fused
        )

    def _blend(self, averaged: list[Tensor], current: list[Tensor], _n: Tensor) -> None:
        """EMA with a warm-up: at first the average forgets quickly, so that it leaves the random start behind."""
        decay = min(self.recipe.ema, (1 + self.step) / (10 + self.step))
        torch._foreach_lerp_(averaged, current, 1 - decay)

    def _due(self, period: int) -> bool:
        return self.step % period == 0 or self.step == self.recipe.steps

    def _progress(self, clock: Clock) -> Progress:
        losses, rate = self._finite(clock.means(self.step)), self.rate(self.step - 1)
        images_per_second, pace = clock.pace(self.step, self.recipe.batch)
        left = pace * (self.recipe.steps - self.step)
        parts = losses if len(losses) > 1 else {}
        return Progress(self.step, self.recipe.steps, sum(losses.values()), rate, images_per_second, left, parts)

    def _finite(self, losses: dict[str, Tensor]) -> dict[str, float]:
        found = {name: self.accelerator.gather(loss).mean().item() for name, loss in losses.items()}
        for name, loss in found.items():
            if not math.isfinite(loss):
                raise self._diverged(f"the loss{'' if name == 'loss' else f' ({name})'} became {loss}")
        return found

    def _weights_are_finite(self) -> bool:
        values = self.raw.state_dict().values()
        return all(bool(v.isfinite().all()) for v in values if v.is_floating_point())

    def _diverged(self, what: str) -> TrainingDiverged:
        last = self._newest
        stands = f"the last good checkpoint is {shorten(last)}" if last else "no checkpoint was written before"
        advice = f" Try a lower rate than {self.recipe.rate:g}" if self.recipe.steps else ""
        return TrainingDiverged(f"{what} by step {self.step} of {self.recipe.name}; {stands}.{advice}")

    def _checked(self, data: Split | None) -> Split:
        """What to train on. Raises ValueError for what can't be trained on, above all for images that are held out."""
        known = load(self.recipe.data)
        data, given = (known.train, False) if data is None else (data, True)
        check_data(data, f"the training data of {self.recipe.data!r}")
        if data.x0.shape[1:] != known.shape:
            raise ValueError(f"{self.recipe.data!r} has the shape {known.shape}; got {tuple(data.x0.shape[1:])}")
        if self.recipe.labels:
            check_labels(data.label, known)
        if given and contains_held_out(data.x0, known):
            raise ValueError(f"held-out images of {self.recipe.data!r} are among the training data: leave them out")
        return data

    @cached_property
    def _fingerprint(self) -> str:
        return fingerprint(self.data)

    @contextmanager
    def _kept_on_interrupt(self, clock: Clock) -> Iterator[None]:
        """Ctrl-C, or a notebook that stops iterating: a checkpoint of what there is, if it is good."""
        try:
            yield
        except TrainingDiverged:
            raise
        except BaseException:
            if all(math.isfinite(total.item()) for total in clock.total.values()) and self._weights_are_finite():
                with _finish_before_interrupt():
                    self.save()
            raise

    @contextmanager
    def _seeded_dropout(self, rank: int) -> Iterator[None]:
        """Dropout draws from PyTorch's global generator: seed it for this step, and leave it as it was."""
        with torch.random.fork_rng(devices=[self.device] if self.device.type == "cuda" else []):
            torch.manual_seed(_seed(self.recipe.seed, self.step, 1 + rank))
            yield


def train(recipe: Recipe, out: Path | None = None, **options) -> Run:
    """Run a recipe to its end behind a progress bar; the Run comes back, also after Ctrl-C. Options: those of Run."""
    run = Run(recipe, out, **options)
    hidden = not run.accelerator.is_main_process
    with tqdm(
        total=recipe.steps, initial=run.step, desc=recipe.name, unit="step", disable=hidden or not recipe.steps
    ) as bar:
        try:
            for progress in run:
                bar.set_postfix_str(str(progress))
                bar.update(progress.step - bar.n)
        except KeyboardInterrupt:
            where = f"; resume it in {shorten(run.out)} (--resume)" if run.out else ""
            left = f"the model is usable{where}" if run.step else "nothing was trained"
            bar.write(f"stopped after step {run.step} of {recipe.steps}: {left}")
    return run


def _seed(*numbers: int) -> int:
    """One 32-bit seed of several numbers, well mixed: neighbouring steps share nothing."""
    return int(np.random.SeedSequence(numbers).generate_state(1)[0])


@contextmanager
def _finish_before_interrupt() -> Iterator[None]:
    """Hold a Ctrl-C back until the block is done, so that no step and no checkpoint stays half made."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    pressed = []
    before = signal.signal(signal.SIGINT, lambda *_: pressed.append(True))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
    if pressed:
        raise KeyboardInterrupt
