"""How probable an image is: the probability-flow ODE is a normalizing flow, so log p(x) is an integral. Lesson 09."""

import math
from typing import Literal, NamedTuple

import torch
from torch import Generator, Tensor

from course_lib.diffusion.denoiser import Predictor
from course_lib.diffusion.solvers import velocity


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
    """
    from torchdiffeq import odeint

    if not 0 < start < denoiser.schedule.T:
        raise ValueError(f"start must lie above 0 and below T = {denoiser.schedule.T}; got {start}")
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


def _product(v: Tensor, x: Tensor, z: Tensor) -> Tensor:
    (z_jacobian,) = torch.autograd.grad((v * z).sum(), x)
    return (z_jacobian * z).flatten(1).sum(1)


def _exact_trace(v: Tensor, x: Tensor) -> Tensor:
    columns = v.flatten(1).unbind(1)
    rows = (torch.autograd.grad(c.sum(), x, retain_graph=True)[0].flatten(1)[:, i] for i, c in enumerate(columns))
    return sum(rows)
