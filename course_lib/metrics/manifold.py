"""Precision and recall: are the images plausible, and do they cover what there is? (Lesson 15)"""

import torch
from torch import Tensor

from course_lib import checks

NEIGHBOURS = 3


def precision_recall(generated: Tensor, real: Tensor, k: int = NEIGHBOURS) -> tuple[float, float]:
    """Improved precision and recall (Kynkaanniemi et al. 2019, equations 1 and 2), both in [0, 1].

    A set's manifold is the union of balls around its points, each as large as the distance to the k-th nearest other
    point of the set. Precision is the share of generated points in the real manifold, recall the share of real points
    in the generated one. generated: (n, …) and real: (m, …) points of the same shape; both numbers depend on n, m and
    k, so only equal ones may be compared, and real points against real ones tell what can be reached.
    Raises ValueError where a side has not more than k points, and for points of different shapes or not finite.
    """
    checks.whole("k", k, 1)
    if checks.finite("generated", generated).shape[1:] != checks.finite("real", real).shape[1:]:
        shapes = f"{tuple(generated.shape[1:])} and {tuple(real.shape[1:])}"
        raise ValueError(f"both sides need points of one shape; got {shapes}")
    if min(len(generated), len(real)) <= k:
        raise ValueError(f"each side needs more than k = {k} points; got {len(generated)} and {len(real)}")
    a, b = generated.reshape(len(generated), -1).to(real.dtype), real.reshape(len(real), -1)
    between = torch.cdist(a, b)
    inside_real = (between <= _radius(b, k)).any(1)
    inside_generated = (between <= _radius(a, k)[:, None]).any(0)
    return inside_real.double().mean().item(), inside_generated.double().mean().item()


def _radius(points: Tensor, k: int) -> Tensor:
    """The distance of each point to its k-th nearest other point; the nearest of all is the point itself."""
    return torch.cdist(points, points).kthvalue(k + 1, dim=1).values
