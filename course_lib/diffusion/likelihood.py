"""How probable an image is: the probability-flow ODE is a normalizing flow, so log p(x) is an integral. Lesson 09."""

import math
from typing import Literal, NamedTuple

import torch
from torch import Generator, Tensor

from course_lib import checks
from course_lib.diffusion.denoiser import Predictor, check_predictor
from course_lib.diffusion.schedule import NoiseSchedule
from course_lib.diffusion.solvers import velocity
from course_lib.diffusion.variational import check_levels


class Likelihood(NamedTuple):
    """log_prob (batch,) in nats, the latents x_T it leads to, and how many network calls it took."""

    log_prob: Tensor
    x_T: Tensor
    calls: int


def log_likelihood(
    denoiser: Predictor,
    x: Tensor,
    start: float,
    trace: Literal["exact", "hutchinson"] = "hutchinson",
    generator: Generator | None = None,
    tolerance: float = 1e-5,
) -> Likelihood:
    """log q_start(x), for x (batch, …) taken as x_t at t = start, by integrating the flow from there to T.

        log p(x) = log N(x_T; 0, I) + integral from start to T of div v(x_t, t) dt
                                                              (Chen et al. 2018; Song et al. 2021, eq. 39)
    start: above 0, since the ODE is singular there. trace: "exact" differentiates once for each dimension, "hutchinson"
    once for all, z^T J z with one random z of signs an image, whose mean is right. tolerance: of torchdiffeq's dopri5.
    Raises ValueError for arguments of other kinds, or out of their range.
    """
    from torchdiffeq import odeint

    checks.one_of("trace", trace, ("exact", "hutchinson"))
    check_predictor(denoiser)
    reachable = torch.finfo(checks.finite("x", x).dtype).eps / 100  # with less, the solver's steps shrink for ever
    checks.number("tolerance", tolerance, reachable, 1, beyond=True)
    checks.generator(generator)
    _check_start(start, denoiser.schedule)
    z = torch.randint(0, 2, x.shape, generator=generator, device=x.device).to(x) * 2 - 1
    calls = 0

    def flow(t: Tensor, state: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        nonlocal calls
        calls += 1
        with torch.enable_grad():
            x_t = state[0].detach().requires_grad_(True)
            v = velocity(denoiser, x_t, t.clamp(max=denoiser.schedule.T))
            divergence = _exact_trace(v, x_t) if trace == "exact" else _product(v, x_t, z)
        return v.detach(), divergence.detach()

    grid = torch.tensor([start, denoiser.schedule.T], dtype=x.dtype, device=x.device)
    paths = odeint(flow, (x, x.new_zeros(len(x))), grid, rtol=tolerance, atol=tolerance, method="dopri5")
    x_T, divergence = paths[0][-1], paths[1][-1]
    log_prior = -0.5 * (x_T.flatten(1) ** 2 + math.log(2 * math.pi)).sum(1)
    return Likelihood(log_prior + divergence, x_T, calls)


def flow_bits(
    model: Predictor, x0: Tensor, levels: int, start: float, generator: Generator, tolerance: float = 1e-4
) -> Tensor:
    """A bound on -log2 P(x_0) per pixel, (batch,), with x_start as the latent variable and the flow's density as its prior.

    -log P(x_0) <= E[log q(x_s | x_0) - log p(x_s) - log P(x_0 | x_s)] over x_s, the image with a little noise on it.
    Raises ValueError for arguments of other kinds, or out of their range.
    """
    schedule, dim = check_predictor(model).schedule, check_levels(x0, levels)[0].numel()
    _check_start(start, schedule)
    checks.generator(generator)
    eps = torch.randn(x0.shape, generator=generator)
    x_s = schedule.q_sample(x0, start, eps)
    log_q = -0.5 * (eps**2 + math.log(2 * math.pi * schedule.noise(start).item() ** 2)).flatten(1).sum(1)
    log_p = log_likelihood(model, x_s, start, "hutchinson", generator, tolerance).log_prob
    return (log_q - log_p - log_decoder(schedule, x0, x_s, levels, start)) / (dim * math.log(2))


def log_decoder(schedule: NoiseSchedule, x0: Tensor, x_s: Tensor, levels: int, s: float) -> Tensor:
    """log P(x_0 | x_s), (batch,): Bayes' rule pixel by pixel, all grey levels equally likely before."""
    level = torch.linspace(-1, 1, levels)
    signal, noise = schedule.at(s, x_s)
    log_kernel = -((x_s[..., None] - signal[..., None] * level) ** 2) / (2 * noise.item() ** 2)
    chosen = ((x0 + 1) / 2 * (levels - 1)).round().long()
    return log_kernel.log_softmax(-1).gather(-1, chosen[..., None])[..., 0].flatten(1).sum(1)


def _check_start(start: float, schedule: NoiseSchedule) -> None:
    if not 0 < checks.number("start", start) < schedule.T:
        raise ValueError(f"start must lie above 0 and below T = {schedule.T}; got {start}")


def _product(v: Tensor, x: Tensor, z: Tensor) -> Tensor:
    (z_jacobian,) = torch.autograd.grad((v * z).sum(), x)
    return (z_jacobian * z).flatten(1).sum(1)


def _exact_trace(v: Tensor, x: Tensor) -> Tensor:
    columns = v.flatten(1).unbind(1)
    rows = (torch.autograd.grad(c.sum(), x, retain_graph=True)[0].flatten(1)[:, i] for i, c in enumerate(columns))
    return sum(rows)
