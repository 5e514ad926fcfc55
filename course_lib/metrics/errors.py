"""How far a denoiser's answers are from the truth, time by time (lessons 07 and 08)."""

from collections.abc import Sequence

import torch
from torch import Tensor
from tqdm.auto import tqdm

from course_lib.diffusion import Denoiser
from course_lib.diffusion.variational import x0_hat


def loss_by_t(model: Denoiser, x0: Tensor, times: Sequence[int]) -> Tensor:
    """The model's loss at each time, (times,), over all images; the same noise for every model."""
    generator = torch.Generator().manual_seed(0)
    losses = []
    for t in times:
        eps = torch.randn(x0.shape, generator=generator)
        with torch.no_grad():
            losses.append(model(x0, t=torch.full((len(x0),), t), eps=eps))
    return torch.stack(losses)


def squared_errors(model: Denoiser, x0: Tensor, name: str = "") -> Tensor:
    """|x_0 - x0_hat|^2 at t = 0 … T for each image, (T + 1, n), one random x_t for each; 0 at t = 0.

    name: what the progress bar calls it.
    """
    generator = torch.Generator().manual_seed(0)
    times = tqdm(range(1, model.schedule.T + 1), desc=name)
    squares = [(x0 - x0_hat(model, x0, t, generator)).double().flatten(1).square().sum(1) for t in times]
    return torch.stack([torch.zeros_like(squares[0]), *squares])
