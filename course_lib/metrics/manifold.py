"""Precision and recall: are the images plausible, and do they cover what there is? (Lesson 15)"""

import torch
from torch import Tensor

NEIGHBOURS = 3


def precision_recall(generated: Tensor, real: Tensor, k: int = NEIGHBOURS) -> tuple[float, float]:
    """Improved precision and recall (Kynkaanniemi et al. 2019, equations 1 and 2), both in [0, 1].

    A set's manifold is the union of balls around its points, each as large as the distance to the k-th nearest other
    point of the set. Precision is the share of generated points in the real manifold, recall the share of real points
    in the generated one. generated: (n, …) and real: (m, …) points of the same shape; both numbers depend on n, m and
    k, so only equal ones may be compared, and real points against real ones tell what can be reached.
    Raises ValueError where a side has not more than k points.
    """
    if min(len(generated), len(real)) <= k:
        raise ValueError(f"each side needs more than k = {k} points; got {len(generated)} and {len(real)}")
    a, b = generated.flatten(1), real.flatten(1)
    between = torch.cdist(a, b)
    inside_real = (between <= _radius(b, k)).any(1)
    inside_generated = (between <= _radius(a, k)[:, None]).any(0)
    return inside_real.double().mean().item(), inside_generated.double().mean().item()


def _radius(points: Tensor, k: int) -> Tensor:
    """The distance of each point to its k-th nearest other point; the nearest of all is the point itself."""
    return torch.cdist(points, points).kthvalue(k + 1, dim=1).values
