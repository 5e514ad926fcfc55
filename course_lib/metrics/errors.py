"""How far a denoiser's answers are from the truth, time by time (lessons 07 and 08)."""

from collections.abc import Sequence

import torch
from torch import Tensor
from tqdm.auto import tqdm

from course_lib import checks
from course_lib.data import check_images
from course_lib.diffusion import Denoiser
from course_lib.diffusion.denoiser import check_predictor
from course_lib.diffusion.variational import x0_hat


def loss_by_t(model: Denoiser, x0: Tensor, times: Sequence[int]) -> Tensor:
    """The model's loss at each time in 1 … T, (times,), over all images; the same noise for every model.

    Raises ValueError for times that are none, a model that can't be called, and images outside [-1, 1].
    """
    if not callable(model):
        raise ValueError(f"model must be a Denoiser; got {checks.shown(model)}")
    _check(x0)
    if not isinstance(times, Sequence) or isinstance(times, str) or len(times) == 0:
        raise ValueError(f"times must be a list of whole numbers; got {checks.shown(times)}")
    generator = torch.Generator().manual_seed(0)
    losses = []
    for t in times:
        eps = torch.randn(x0.shape, generator=generator)
        with torch.no_grad():
            losses.append(model(x0, t=torch.full((len(x0),), checks.whole("each of the times", t, 1)), eps=eps))
    return torch.stack(losses)


def squared_errors(model: Denoiser, x0: Tensor, name: str = "") -> Tensor:
    """|x_0 - x0_hat|^2 at t = 0 … T for each image, (T + 1, n), one random x_t for each; 0 at t = 0.

    name: what the progress bar calls it. Raises ValueError for a model that predicts nothing, and images outside [-1, 1].
    """
    check_predictor(model)
    _check(x0)
    generator = torch.Generator().manual_seed(0)
    times = tqdm(range(1, model.schedule.T + 1), desc=name)
    squares = [(x0 - x0_hat(model, x0, t, generator)).double().flatten(1).square().sum(1) for t in times]
    return torch.stack([torch.zeros_like(squares[0]), *squares])


def _check(x0: Tensor) -> None:
    if checks.finite("x0", x0).ndim == 4:
        check_images(x0)
