"""How far a denoiser's answers are from the truth, time by time (lessons 07 and 08)."""

from collections.abc import Sequence

import torch
from torch import Tensor
from tqdm.auto import tqdm

from course_lib import checks
from course_lib.data import check_images
from course_lib.diffusion import Denoiser
from course_lib.diffusion.variational import x0_hat


def loss_by_t(model: Denoiser, x0: Tensor, times: Sequence[int]) -> Tensor:
    """The model's loss at each time in 1 … T, (times,), over all images; the same noise for every model.

    Raises ValueError for no times, another model than a Denoiser, and images outside [-1, 1].
    """
    _check(model, x0)
    if not isinstance(times, Sequence | Tensor) or isinstance(times, str) or len(times) == 0:
        raise ValueError(f"times must be a list of whole numbers in 1 … {model.schedule.T}; got {checks.shown(times)}")
    generator = torch.Generator().manual_seed(0)
    losses = []
    for t in times:
        eps = torch.randn(x0.shape, generator=generator)
        with torch.no_grad():
            losses.append(model(x0, t=torch.full((len(x0),), int(model.schedule.check(t, 1, whole=True))), eps=eps))
    return torch.stack(losses)


def squared_errors(model: Denoiser, x0: Tensor, name: str = "") -> Tensor:
    """|x_0 - x0_hat|^2 at t = 0 … T for each image, (T + 1, n), one random x_t for each; 0 at t = 0.

    name: what the progress bar calls it. Raises ValueError for another model than a Denoiser, and images outside [-1, 1].
    """
    _check(model, x0)
    generator = torch.Generator().manual_seed(0)
    times = tqdm(range(1, model.schedule.T + 1), desc=name)
    squares = [(x0 - x0_hat(model, x0, t, generator)).double().flatten(1).square().sum(1) for t in times]
    return torch.stack([torch.zeros_like(squares[0]), *squares])


def _check(model: Denoiser, x0: Tensor) -> None:
    if not isinstance(model, Denoiser):
        raise ValueError(f"model must be a Denoiser; got {checks.shown(model)}")
    if checks.finite("x0", x0).ndim == 4:
        check_images(x0)
