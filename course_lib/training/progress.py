"""How far a run is, how fast, and at what loss."""

import time
from dataclasses import dataclass, field

import torch
from torch import Tensor


@dataclass(frozen=True)
class Progress:
    """Where a run stands. loss: the mean since the Progress before, over all parts and turns; parts: each by its name,
    where there are several.
    """

    step: int
    steps: int
    loss: float
    rate: float
    images_per_second: float
    seconds_left: float
    parts: dict[str, float] = field(default_factory=dict)

    def __str__(self) -> str:
        parts = [f"{name} {value:.4f}" for name, value in self.parts.items()] or [f"loss {self.loss:.4f}"]
        return f"{', '.join(parts)}, rate {self.rate:.1e}, {self.images_per_second:,.0f} images/s"


class Clock:
    """Adds up the losses and the time since the Progress before; nothing is fetched from the device until it is asked."""

    def __init__(self, step: int):
        self.first, self.begun = step, time.perf_counter()
        self.start(step)

    def start(self, step: int) -> None:
        """Begin to add up anew, after `step` steps."""
        self.total: dict[str, Tensor] = {}
        self.since, self.shown = step, time.perf_counter()

    def add(self, parts: dict[str, Tensor]) -> None:
        """The losses of one step."""
        self.total = {name: part + self.total.get(name, torch.zeros_like(part)) for name, part in parts.items()}

    def means(self, step: int) -> dict[str, Tensor]:
        """The mean losses since the Progress before."""
        return {name: total / (step - self.since) for name, total in self.total.items()}

    def pace(self, step: int, batch: int) -> tuple[float, float]:
        """Images per second since the Progress before, and seconds per step since the run began."""
        now = time.perf_counter()
        return batch * (step - self.since) / (now - self.shown), (now - self.begun) / (step - self.first)
