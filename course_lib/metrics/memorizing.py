"""Does a model make new images, or repeat those that it was shown? (Lesson 15)"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from course_lib import checks

TAIL = 0.01
ENTRIES = 10_000_000  # distances in memory at once: 40 MB


@dataclass(frozen=True)
class Nearness:
    """How close generated images come to a known set, beside unseen real images, who come there by chance alone.

    median, median_expected: the distance to the nearest known image, of generated and of unseen images (root mean
    square per pixel). share: how many generated images lie nearer than all but about 1 % of the unseen ones do (near
    copies); expected: the share that as many real images would have; p: how likely real images have this share or a
    larger one. exact: how many images equal a known one on the data's grey levels.
    """

    median: float
    median_expected: float
    share: float
    expected: float
    p: float
    exact: int


def nearness(distances: Tensor, unseen: Tensor, exact: int = 0) -> Nearness:
    """Whether images lie too near to a known set: the training images, or the held-out ones (a leak).

    distances: (n,) of generated images, unseen: (k,) of real ones that are not in the known set, each to its nearest
    known image; exact: how many images equal a known one.
    The threshold is the unseen images' own 1 % quantile, the r-th smallest of k distances, and is as uncertain as r
    images are. Were the n images real too, the number of them below it would be beta-binomial (n, r, k + 1 - r),
    whatever the distribution of distances; `p` is its upper tail, so the luck of the quantile is in it.
    Raises ValueError for distances that are none: empty, negative, or not finite.
    """
    for name, values in (("distances", distances), ("unseen", unseen)):
        if checks.finite(name, values, axes=1).min() < 0:
            raise ValueError(f"{name} must be at least 0; got {values.min():g}")
    checks.whole("exact", exact, 0, len(distances))
    usual = unseen.sort().values
    r = max(1, round(TAIL * len(usual)))
    near = int((distances < usual[r - 1]).sum())
    return Nearness(
        median=distances.median().item(),
        median_expected=usual.median().item(),
        share=near / len(distances),
        expected=r / (len(usual) + 1),
        p=beta_binomial_tail(near, len(distances), r, len(usual) + 1 - r),
        exact=exact,
    )


def nearest_distance(x0: Tensor, training: Tensor) -> Tensor:
    """The distance of each image to its nearest training image, root mean square over the pixels: (n,).

    x0: (n, …), training: (m, …), the same pixels. 0 is a copy; held-out images tell what is usual.
    Raises ValueError for images of different shapes, or not finite.
    """
    if checks.finite("x0", x0).shape[1:] != checks.finite("training", training).shape[1:]:
        shapes = f"{tuple(x0.shape[1:])} and {tuple(training.shape[1:])}"
        raise ValueError(f"x0 and training must be images of one shape; got {shapes}")
    pixels, training = x0[0].numel(), training.reshape(len(training), -1)
    parts = x0.reshape(len(x0), -1).to(training.dtype).split(max(1, min(500, ENTRIES // len(training))))
    return torch.cat([torch.cdist(part, training).min(1).values for part in parts]) / pixels**0.5


def beta_binomial_tail(k: int, n: int, a: float, b: float) -> float:
    """P(K >= k), where K counts the successes in n tries whose common probability is drawn from Beta(a, b)."""
    count = torch.arange(k, n + 1, dtype=torch.float64)

    def log_beta(a: Tensor, b: Tensor) -> Tensor:
        return torch.lgamma(a) + torch.lgamma(b) - torch.lgamma(a + b)

    log_choose = -log_beta(count + 1, n - count + 1) - math.log(n + 1)
    log_prior = log_beta(torch.tensor(a, dtype=torch.float64), torch.tensor(b, dtype=torch.float64))
    log_p = log_choose + log_beta(count + a, n - count + b) - log_prior
    return min(1.0, log_p.exp().sum().item())
