"""Denoisers as they are trained: a network, a schedule and a target, and the images that they sample (lessons 07 to 11)."""

from typing import Any

import torch
from torch import Generator, Tensor, nn

from course_lib import checks
from course_lib.data import check_images
from course_lib.diffusion import (
    SAMPLERS,
    TARGETS,
    Clipped,
    Denoiser,
    Guided,
    NoiseSchedule,
    Target,
    bound,
    bound_weight,
    fixed_variance,
    last,
)
from course_lib.nets import ABLATIONS, CONDITIONS, UNet

SCHEDULES = {"linear": NoiseSchedule.linear, "cosine": NoiseSchedule.cosine}


class SamplingDenoiser(Denoiser):
    """A Denoiser that knows the shape of what it denoises, and so can make some.

    drop: how often a condition is left out in training, so that one network learns to do with it and without (Ho and
    Salimans 2022, algorithm 1). Where a picture has several conditions, such as captions, each step takes one of them.
    """

    reach = 1.0  # every predicted x_0 is kept in [-reach, reach]

    def __init__(
        self,
        net: nn.Module,
        shape: tuple[int, ...],
        schedule: NoiseSchedule,
        target: Target,
        weight: Tensor | None = None,
        drop: float = 0.0,
    ):
        super().__init__(net, schedule, target, weight)
        self.shape, self.drop = shape, checks.number("drop", drop, 0, 1)

    @property
    def null(self) -> Any:
        """The network's `null`, or None: null(cond) is the condition that means none."""
        return getattr(self.net, "null", None)

    def draw(self, shape: tuple[int, ...], generator: Generator | None, device: torch.device) -> dict[str, Tensor]:
        """The times, the noise, and where conditions are dropped two numbers in [0, 1): whether, and which one it is."""
        draws = super().draw(shape, generator, device)
        if self.drop:
            draws["u"] = torch.rand(shape[0], 2, generator=generator, device=device)
        return draws

    def forward(
        self,
        x0: Tensor,
        cond: Tensor | None = None,
        generator: Generator | None = None,
        t: Tensor | None = None,
        eps: Tensor | None = None,
        u: Tensor | None = None,
    ) -> Tensor:
        """The loss of Denoiser; u: (batch, 2), as it is drawn."""
        if cond is not None and u is not None:
            axes = getattr(self.net, "axes", cond.ndim)
            if cond.ndim == axes + 1:
                cond = cond[torch.arange(len(cond), device=cond.device), (u[:, 1] * cond.shape[1]).long()]
            dropped = (u[:, 0] < self.drop).view(-1, *[1] * (cond.ndim - 1))
            cond = torch.where(dropped, self.null(cond), cond)
        return super().forward(x0, cond, generator, t, eps)

    def sample(
        self,
        n: int,
        generator: Generator,
        cond: Tensor | None = None,
        *,
        steps: int = 50,
        sampler: str = "ddim",
        eta: float | None = None,
        guidance: float = 1.0,
        guide_from: float = 0.0,
        guide_to: float = 1.0,
        rescale: float = 0.0,
    ) -> Tensor:
        """n images in [-1, 1], on the generator's device.

        steps: steps of the sampler, a name in SAMPLERS. eta: between DDIM (0) and DDPM (1), for these two. guidance: how
        many times what `cond` changes is added; 1 is none. guide_from, guide_to: the shares of T between which it guides.
        rescale: as in Guided. Raises ValueError for an option out of its range.
        """
        checks.whole("n", n, 1)
        checks.generator(generator, or_none=False)
        walk = choose(SAMPLERS, sampler, "sampler")
        if eta is not None and sampler not in ("ddim", "ddpm"):
            raise ValueError(f"eta lies between ddim and ddpm; {sampler} has none")
        options = {} if eta is None else {"eta": eta}
        denoiser = self
        if checks.number("guidance", guidance) != 1:
            denoiser = Guided(self, guidance, (guide_from, guide_to), rescale)
        x_T = torch.randn(n, *self.shape, generator=generator, device=generator.device)
        clipped = Clipped(denoiser, -self.reach, self.reach)
        return self.picture(last(walk(clipped, x_T, self.schedule.times(steps), cond, generator, **options)))

    def picture(self, x: Tensor) -> Tensor:
        """What was sampled as images in [-1, 1]."""
        return x.clamp(-1, 1)


class ImageDenoiser(SamplingDenoiser):
    """One of images (channels, height, width), which has a bound on their likelihood too."""

    def check_scale(self, x0: Tensor) -> None:
        """Raises ValueError for what are no images of this shape in [-1, 1]."""
        check_images(x0, shape=self.shape)

    def bits_per_dim(self, x0: Tensor, levels: int, generator: Generator) -> Tensor:
        """The variational bound on -log2 P(x_0) per number, (batch,), with sigma_t^2 = beta_t (lesson 07)."""
        return bound(self, x0, levels, fixed_variance(self.schedule, "beta"), generator).bits_per_dim


def unet_denoiser(
    schedule: str = "cosine",
    target: str = "v",
    T: int = 1000,
    weight: str = "simple",
    without: str | None = None,
    **options: Any,
) -> ImageDenoiser:
    """A U-Net that learns to denoise images; `options`: the others of `parts`.

    without: a part to leave out, a name in ABLATIONS (lesson 08).
    """
    plain = UNet if without is None else choose(ABLATIONS, without, "ablation")
    return ImageDenoiser(**parts(schedule, target, T, weight, plain=plain, **options))


def parts(
    schedule: str = "cosine",
    target: str = "v",
    T: int = 1000,
    weight: str = "simple",
    condition: str | None = None,
    drop: float = 0.0,
    plain: type[UNet] = UNet,
    **net: Any,
) -> dict[str, Any]:
    """What a SamplingDenoiser is made of; `net` are the arguments of the network.

    weight: "simple" (each t counts the same) or "bound" (each counts as in the variational bound; lesson 07).
    condition: what the network is told, a name in CONDITIONS (lessons 11 and 11b); without one it is a `plain` one.
    """
    process = choose(SCHEDULES, schedule, "schedule")(T)
    target = choose(TARGETS, target, "target")
    weights = choose({"simple": None, "bound": bound_weight(process, target)}, weight, "weight")
    unet = (plain if condition is None else choose(CONDITIONS, condition, "condition"))(**net)
    shape = (unet.channels, unet.size, unet.size)
    return {"net": unet, "shape": shape, "schedule": process, "target": target, "weight": weights, "drop": drop}


def choose(choices: dict[str, Any], name: str, kind: str) -> Any:
    """The choice of that name. Raises ValueError, with the names there are, for another one."""
    if not isinstance(name, str) or name not in choices:
        raise ValueError(f"there is no {kind} {name!r}; choose one of: {', '.join(choices)}")
    return choices[name]
