"""The Frechet distance between two clouds of feature vectors (Heusel et al. 2017, there called FID; lesson 15)."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from course_lib import checks


@dataclass(frozen=True)
class Frechet:
    """A distance, with the number of samples on each side: with fewer samples it is larger, so it never goes alone."""

    distance: float
    n_a: int
    n_b: int

    def __str__(self) -> str:
        return f"{self.distance:.3f} ({self.n_a} against {self.n_b})"


def frechet_distance(a: Tensor, b: Tensor) -> Frechet:
    """|mean_a - mean_b|^2 + tr(C_a + C_b - 2 (C_a C_b)^(1/2)), in float64 (Dowson and Landau 1982).

    a, b: (n_a, features) and (n_b, features), from two samples each. Raises ValueError for other shapes or NaN.
    """
    checks.batch("a", a)
    checks.batch("b", b)
    for name, x in (("a", a), ("b", b)):
        if x.ndim != 2 or len(x) < 2 or x.shape[1] != b.shape[-1] or x.shape[1] == 0:
            raise ValueError(f"{name} must be (n > 1, {b.shape[-1]}) features; got {tuple(x.shape)}")
        if not x.isfinite().all():
            raise ValueError(f"the features {name} hold NaN or infinite values")
    a, b = a.double(), b.double()
    cov_a, cov_b = torch.cov(a.T).reshape(a.shape[1], -1), torch.cov(b.T).reshape(b.shape[1], -1)
    root_a = _root(cov_a)
    cross = torch.linalg.eigvalsh(root_a @ cov_b @ root_a).clamp(min=0).sqrt().sum()
    distance = (a.mean(0) - b.mean(0)).square().sum() + cov_a.trace() + cov_b.trace() - 2 * cross
    return Frechet(distance.item(), len(a), len(b))


def frechet_draws(a: Tensor, b: Tensor, n: int = 500, draws: int = 10, seed: int = 0) -> Tensor:
    """Frechet distances between `draws` random subsets of n vectors of each side: (draws,), float64.

    Raises ValueError where a side has fewer than n, or where both have n alone: then all draws are one and the same.
    """
    checks.whole("n", n, 2)
    checks.whole("draws", draws, 1)
    checks.whole("seed", seed, 0, 2**32 - 1)
    checks.batch("a", a)
    checks.batch("b", b)
    if min(len(a), len(b)) < n:
        raise ValueError(f"each side needs {n} samples or more; got {len(a)} and {len(b)}")
    if len(a) == len(b) == n and draws > 1:
        raise ValueError(f"all {n} of {n} samples are the same in every draw, and have no spread: take draws=1")
    random = np.random.RandomState(seed)

    def pick(x: Tensor) -> Tensor:
        return x[torch.from_numpy(random.permutation(len(x))[:n])]

    return torch.tensor([frechet_distance(pick(a), pick(b)).distance for _ in range(draws)], dtype=torch.float64)


def _root(symmetric: Tensor) -> Tensor:
    values, vectors = torch.linalg.eigh(symmetric)
    return (vectors * values.clamp(min=0).sqrt()) @ vectors.T
