"""Denoisers as they are trained: a network, a schedule and a target, and the images that they sample (lessons 07 to 09)."""

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
from course_lib.nets import ABLATIONS, UNet

SCHEDULES = {"linear": NoiseSchedule.linear, "cosine": NoiseSchedule.cosine}


class ImageDenoiser(Denoiser):
    """A Denoiser that knows the shape of its images, (channels, height, width), and so can make some."""

    def __init__(
        self,
        net: nn.Module,
        shape: tuple[int, ...],
        schedule: NoiseSchedule,
        target: Target,
        weight: Tensor | None = None,
    ):
        super().__init__(net, schedule, target, weight)
        self.shape = shape

    def check_scale(self, x0: Tensor) -> None:
        """Raises ValueError for what are no images of this shape in [-1, 1]."""
        check_images(x0, shape=self.shape)

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
    ) -> Tensor:
        """n images in [-1, 1], on the generator's device; every predicted x_0 is kept in that range on the way.

        steps: steps of the sampler, a name in SAMPLERS. eta: between DDIM (0) and DDPM (1), for these two. guidance: how
        many times what `cond` changes is added; 1 is none. Raises ValueError for an option out of its range.
        """
        checks.whole("n", n, 1)
        checks.generator(generator, or_none=False)
        walk = choose(SAMPLERS, sampler, "sampler")
        if eta is not None and sampler not in ("ddim", "ddpm"):
            raise ValueError(f"eta lies between ddim and ddpm; {sampler} has none")
        options = {} if eta is None else {"eta": eta}
        denoiser = self if checks.number("guidance", guidance) == 1 else Guided(self, guidance)
        x_T = torch.randn(n, *self.shape, generator=generator, device=generator.device)
        return last(walk(Clipped(denoiser), x_T, self.schedule.times(steps), cond, generator, **options)).clamp(-1, 1)

    def bits_per_dim(self, x0: Tensor, levels: int, generator: Generator) -> Tensor:
        """The variational bound on -log2 P(x_0) per number, (batch,), with sigma_t^2 = beta_t (lesson 07)."""
        return bound(self, x0, levels, fixed_variance(self.schedule, "beta"), generator).bits_per_dim


def unet_denoiser(
    schedule: str = "cosine",
    target: str = "v",
    T: int = 1000,
    weight: str = "simple",
    without: str | None = None,
    **net: Any,
) -> ImageDenoiser:
    """A U-Net that learns to denoise; `net` are the arguments of UNet.

    weight: "simple" (each t counts the same) or "bound" (each counts as in the variational bound; lesson 07).
    without: a part to leave out, a name in ABLATIONS (lesson 08).
    """
    process = choose(SCHEDULES, schedule, "schedule")(T)
    target = choose(TARGETS, target, "target")
    weights = choose({"simple": None, "bound": bound_weight(process, target)}, weight, "weight")
    unet = (UNet if without is None else choose(ABLATIONS, without, "ablation"))(**net)
    return ImageDenoiser(unet, (unet.channels, unet.size, unet.size), process, target, weights)


def choose(choices: dict[str, Any], name: str, kind: str) -> Any:
    """The choice of that name. Raises ValueError, with the names there are, for another one."""
    if not isinstance(name, str) or name not in choices:
        raise ValueError(f"there is no {kind} {name!r}; choose one of: {', '.join(choices)}")
    return choices[name]
