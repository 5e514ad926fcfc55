"""The training loop, all of it: for the digits on a laptop and for many GPUs. Lesson 14 reads it line by line.

Everything random in a step is drawn from (seed, step) for the whole batch, then split over the processes. So a run that
was stopped and resumed equals one that never stopped, bit for bit, and two processes compute what one would.
"""

import math
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from torch.optim.swa_utils import AveragedModel
from tqdm.auto import tqdm

from course_lib import __version__
from course_lib.data import Split, check_images, load
from course_lib.paths import RUNS, shorten
from course_lib.training import checkpoint
from course_lib.training.recipes import Recipe, build


class TrainingDiverged(Exception):
    """The loss became NaN or infinite; the last good checkpoint is kept."""


@dataclass(frozen=True)
class Progress:
    """Where a run stands. loss: the mean since the Progress before."""

    step: int
    steps: int
    loss: float
    rate: float
    images_per_second: float
    seconds_left: float


class Run:
    """One training run: `for progress in run:` trains; `run.averaged` is the model to use, at any moment.

    out: where checkpoints go (None: none are written). device: "auto", "cpu", "cuda" or "mps". resume: go on from the
    newest checkpoint in `out`. data: what to train on (None: what the recipe names). compile: torch.compile, on CUDA.
    every, save_every: steps between two Progress, and between two checkpoints.
    Raises CheckpointError where `out` holds a run and resume is off, or one of another recipe; ValueError for bad data.
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
        self.recipe, self.out, self.every, self.save_every = recipe, Path(out) if out else None, every, save_every
        self.accelerator = _accelerator(pick_device(device))
        self.device = self.accelerator.device
        if recipe.batch % self.accelerator.num_processes:
            raise ValueError(
                f"a batch of {recipe.batch} can't be split over {self.accelerator.num_processes} processes"
            )
        found = self._found(resume)

        data = load(recipe.data).train if data is None else data
        if len(data) == 0:
            raise ValueError(f"there are no training images of {recipe.data!r}")
        check_images(data.x0, f"the training images of {recipe.data!r}")
        self.x0, self.label = data.x0.to(self.device), data.label.to(self.device)

        model = build(recipe).to(self.device)
        self.averaged = AveragedModel(model, multi_avg_fn=self._average)
        fused = self.device.type in ("cpu", "cuda")
        optimizer = torch.optim.AdamW(
            model.parameters(), lr=recipe.rate, betas=(0.9, 0.99), weight_decay=recipe.weight_decay, fused=fused
        )
        self.step = 0
        if found:
            state = checkpoint.read_training(found, recipe)
            model.load_state_dict(state["model"])
            self.averaged.module.load_state_dict(state["average"])
            self.averaged.n_averaged.fill_(state["step"])
            optimizer.load_state_dict(state["optimizer"])
            self.step = state["step"]
        if compile:
            if self.device.type != "cuda":
                raise ValueError(f"compile is for CUDA; on {self.device.type} it costs minutes and gains nothing")
            for part in model.children():
                part.compile()
        self.raw = model
        self.model, self.optimizer = self.accelerator.prepare(model, optimizer)
        self.generator = torch.Generator(self.device)
        self.bf16 = has_bf16(self.device)

    def __iter__(self) -> Iterator[Progress]:
        total, since, begun = torch.zeros((), device=self.device), self.step, time.perf_counter()
        start, started = self.step, begun
        try:
            while self.step < self.recipe.steps:
                with _finish_before_interrupt():
                    total += self._train_step()
                    self.step += 1
                    finished = self.step == self.recipe.steps
                    show = finished or self.step % self.every == 0
                    save = finished or self.step % self.save_every == 0
                    if show or save:
                        loss = self._finite(total / (self.step - since))
                    if save:
                        self.save()
                if show:
                    now = time.perf_counter()
                    pace = (now - started) / (self.step - start)
                    images = self.recipe.batch * (self.step - since) / (now - begun)
                    yield Progress(
                        self.step, self.recipe.steps, loss, self.rate(self.step - 1), images,
                        pace * (self.recipe.steps - self.step),
                    )  # fmt: skip
                    total, since, begun = torch.zeros((), device=self.device), self.step, time.perf_counter()
        except TrainingDiverged:
            raise
        except BaseException:  # Ctrl-C, or the notebook stopped iterating: keep what there is
            if math.isfinite(total.item()) and self._weights_are_finite():
                with _finish_before_interrupt():
                    self.save()
            raise

    def _train_step(self) -> torch.Tensor:
        recipe, rank, world = self.recipe, self.accelerator.process_index, self.accelerator.num_processes
        share = recipe.batch // world
        mine = slice(rank * share, (rank + 1) * share)

        self.generator.manual_seed(_seed(recipe.seed, self.step))
        rows = torch.randint(len(self.x0), (recipe.batch,), generator=self.generator, device=self.device)
        draws = self.raw.draw((recipe.batch, *self.x0.shape[1:]), self.generator, self.device)
        x0, label = self.x0[rows[mine]], self.label[rows[mine]] if recipe.labels else None

        for group in self.optimizer.param_groups:
            group["lr"] = self.rate(self.step)
        with self._seeded_dropout(rank), torch.autocast(self.device.type, torch.bfloat16, enabled=self.bf16):
            loss = self.model(x0, label, **{name: values[mine] for name, values in draws.items()})
        self.accelerator.backward(loss)
        self.accelerator.clip_grad_norm_(self.model.parameters(), recipe.clip)
        self.optimizer.step()
        self.optimizer.zero_grad()
        self.averaged.update_parameters(self.raw)
        return loss.detach()

    def rate(self, step: int) -> float:
        """The learning rate, a function of the step alone: a linear warm-up, then half a cosine down to 0."""
        warm = min(1.0, (step + 1) / max(1, self.recipe.warmup))
        return self.recipe.rate * warm * 0.5 * (1 + math.cos(math.pi * step / self.recipe.steps))

    def save(self) -> Path | None:
        """Write a checkpoint of the present step into `out`."""
        if not self._weights_are_finite():
            raise self._diverged("the weights became NaN or infinite")
        if self.out is None or self.step == 0 or not self.accelerator.is_main_process:
            return None
        training = {"model": self.raw.state_dict(), "optimizer": self.optimizer.state_dict()}
        torch_version = torch.__version__.split("+")[0]
        card = {"version": __version__, "torch": torch_version, "device": self.device.type, "bf16": self.bf16}
        return checkpoint.save(self.out, self.step, self.recipe, self.averaged.module.state_dict(), training, card)

    def _average(self, averaged: list[torch.Tensor], current: list[torch.Tensor], _n: torch.Tensor) -> None:
        """EMA with a warm-up: at first the average forgets quickly, so that it leaves the random start behind."""
        decay = min(self.recipe.ema, (1 + self.step) / (10 + self.step))
        torch._foreach_lerp_(averaged, current, 1 - decay)

    def _finite(self, loss: torch.Tensor) -> float:
        loss = self.accelerator.gather(loss).mean().item()
        if not math.isfinite(loss):
            raise self._diverged(f"the loss became {loss}")
        return loss

    def _weights_are_finite(self) -> bool:
        return all(bool(weights.isfinite().all()) for weights in self.raw.parameters())

    def _diverged(self, what: str) -> TrainingDiverged:
        kept = checkpoint.newest(self.out) if self.out else None
        stands = f"the last good checkpoint is {shorten(kept)}" if kept else "no checkpoint was written before"
        return TrainingDiverged(
            f"{what} by step {self.step} of {self.recipe.name}; {stands}. Try a lower rate than {self.recipe.rate:g}"
        )

    def _found(self, resume: bool) -> Path | None:
        found = checkpoint.newest(self.out, to_resume=resume) if self.out else None
        if found and not resume:
            raise checkpoint.CheckpointError(
                f"{shorten(self.out)} already holds a run ({found.name}): resume it (--resume), or train into another "
                "folder (--out)"
            )
        return found

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
    with tqdm(total=recipe.steps, initial=run.step, desc=recipe.name, unit="step", disable=hidden) as bar:
        try:
            for progress in run:
                bar.set_postfix_str(
                    f"loss {progress.loss:.4f}, rate {progress.rate:.1e}, {progress.images_per_second:,.0f} images/s"
                )
                bar.update(progress.step - bar.n)
        except KeyboardInterrupt:
            where = f"; resume it in {shorten(run.out)} (--resume)" if run.out else ""
            bar.write(f"stopped after step {run.step} of {recipe.steps}: the model is usable{where}")
    return run


def default_folder(recipe: Recipe) -> Path:
    """Where `course train` puts a run."""
    return RUNS / recipe.name


def pick_device(wanted: str = "auto") -> str:
    """The device to use: the wanted one, or the best there is. Raises ValueError where there is none such."""
    has = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if wanted == "auto":
        return next(name for name in ("cuda", "mps", "cpu") if has[name])
    if wanted not in has:
        raise ValueError(f"there is no device {wanted!r}; choose auto, {', '.join(has)}")
    if not has[wanted]:
        raise ValueError(f"PyTorch sees no {wanted} device here; `course doctor` says what it sees. Use cpu, or auto")
    return wanted


def has_bf16(device: torch.device) -> bool:
    """Whether the device computes in bfloat16 itself; emulated, it would be slower than float32."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    return device.type == "cpu" and getattr(torch.cpu, "_is_avx512_bf16_supported", lambda: False)()


def _accelerator(device: str) -> Accelerator:
    """Accelerate keeps the first device that a process asked for; a notebook may change its mind."""
    try:
        accelerator = Accelerator(cpu=device == "cpu")
        if accelerator.device.type == device:
            return accelerator
    except ValueError:  # it was another one before
        pass
    AcceleratorState._reset_state(reset_partial_state=True)
    return Accelerator(cpu=device == "cpu")


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
