"""What it takes to be trained: the one protocol that the loop, the commands, the metrics and the scoreboard know."""

import inspect
from typing import Any, Protocol

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional as F

from course_lib import checks

Loss = Tensor | dict[str, Tensor]


class Trainable(Protocol):
    """An nn.Module with three methods. Whatever has them is trained, resumed, sampled and measured like all others.

    Where a model has more than one objective, it names the submodules that a step moves one after the other,
    `turns = ("critic", "generator")`. Each has an optimizer of its own, and `forward(…, turn=name)` is that turn's loss on a
    batch and draws of its own. A name may stand there more than once: so often does it move in one step.

    Where a closed form or EM does the work, a recipe has `steps=0` and the model `fit(x0, cond, generator)`, which fills
    its buffers from all of the data; then `forward(x0, cond)` is called once, without draws, and its loss is shown.

    Where a model knows how probable an image is, `bits_per_dim(x0, levels, generator)` says so, (batch,).

    A model that stands on another one (a recipe that `needs` it) gets it as an argument by its role, and keeps it as an
    attribute of that name; it is frozen, and stored with its own recipe only.
    """

    def draw(self, shape: tuple[int, ...], generator: Generator | None, device: torch.device) -> dict[str, Tensor]:
        """All that is random in one step over a batch of this shape; each is (batch, …)."""

    def forward(self, x0: Tensor, cond: Tensor | None = None, **draws: Tensor) -> Loss:
        """The loss: a scalar, or named parts whose sum it is. x0: (batch, …).

        cond: what each shows, if the recipe has `labels=True`; None otherwise. draws: what `draw` gave, by name.
        """

    def sample(self, n: int, generator: Generator, cond: Tensor | None = None, **options: Any) -> Tensor:
        """n new images, or points, as the data are; cond: (n, …), or None.

        The options are the model's own, by keyword, each with a default: `course sample` reads `--name value` as a value
        of the default's type (a number where it is None). What is random comes from the generator, on its device.
        """


def parts_of(loss: Loss, turn: str = "") -> dict[str, Tensor]:
    """The parts of a loss by name: a scalar is called `loss`, or like its turn. Raises ValueError where one is no number."""
    named = loss if isinstance(loss, dict) else {"" if turn else "loss": loss}
    for part in named.values():
        if not torch.is_tensor(part) or part.ndim or not part.is_floating_point():
            raise ValueError(
                f"a model's `forward` must give its loss, one number as a tensor, or named ones; got {checks.shown(part)}"
            )
    return {f"{turn} {name}".strip(): part for name, part in named.items()}


def check_loss(parts: dict[str, Tensor]) -> dict[str, Tensor]:
    """The parts, unchanged. Raises ValueError where no gradient comes from any of them."""
    if not any(part.requires_grad for part in parts.values()):
        raise ValueError("no gradient comes from the model's loss: was it made by .item(), .detach() or under no_grad?")
    return parts


def check_draws(draws: dict[str, Tensor], batch: int) -> dict[str, Tensor]:
    """What a model drew, unchanged. Raises ValueError where it can't be split over processes: no row for each image."""
    for name, values in draws.items():
        if not torch.is_tensor(values) or values.ndim == 0 or len(values) != batch:
            raise ValueError(
                f"a model's `draw` must give {name!r} one row for each of the {batch} images; got {checks.shown(values)}"
            )
    return draws


def check_protocol(model: nn.Module, recipe: Any) -> None:
    """Raises ValueError, naming the model, where it lacks what its recipe needs to train it."""
    wanted = ("draw", *getattr(model, "turns", ())) if recipe.steps else ("fit",)
    if lacking := [name for name in wanted if not hasattr(model, name)]:
        raise ValueError(
            f"the model {recipe.model!r} lacks {', '.join(lacking)}: to be trained it needs `draw` and the submodules that "
            "`turns` names; with steps=0 it needs `fit`"
        )


def check_asked_levels(levels: int, own: int | None) -> None:
    """Raises ValueError where the bits of a model of `own` grey levels are asked for on another number of them."""
    if own is not None and levels != own:
        raise ValueError(f"this model knows {own} grey levels, so levels must be {own}; got {checks.shown(levels)}")


def one_hot(cond: Tensor | None, classes: int, like: Tensor) -> Tensor:
    """The class of each image as a vector of zeros and a one, (batch, classes), of the kind of `like`, (batch, …).

    Raises ValueError where cond is not one whole number in 0 … classes - 1 for each.
    """
    return F.one_hot(checks.indices("cond", cond, (len(like),), classes - 1), classes).to(like.dtype)


def makes_images(model: nn.Module) -> bool:
    """Whether a model samples; one that looks at images, as the classifier does, only has a loss."""
    return hasattr(model, "sample")


def options_of(model: nn.Module) -> dict[str, Any]:
    """The options that a model's `sample` takes, with their defaults; none for a model that makes no images."""
    if not makes_images(model):
        return {}
    taken = inspect.signature(model.sample).parameters.values()
    own = [p for p in taken if p.name not in ("n", "generator", "cond") and p.kind != p.VAR_KEYWORD]
    if lacking := [p.name for p in own if p.default is p.empty]:
        raise ValueError(
            f"every option of {type(model).__name__}.sample needs a default; {', '.join(lacking)} has none"
        )
    return {p.name: p.default for p in own}
