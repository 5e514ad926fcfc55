"""Answers to the exercises of lesson 04b: wrong ones with a word that a named cause must hold, right ones in other styles."""

import itertools
import math

import numpy as np
import torch
from torch.nn import functional as F

NAMED = 0.94  # the share of wrong answers whose cause is told, as reached, less two points
SURVIVORS = {  # mutants of the solution that are no mistakes, each with the reason
    "04b.2": dict.fromkeys(
        [
            "a square root is taken of v",
            "v is squared",
            "in one place, a square root is taken of v",
            "in one place, v is squared",
        ],
        "v is 0 or 1",
    ),
    "04b.3": dict.fromkeys(
        [
            "the sum over everything is taken",
            "the mean over everything is taken",
            "a sum over the first axis is taken",
            "a mean over the first axis is taken",
            "a sum over the last axis is taken",
            "a mean over the last axis is taken",
            "the order is turned round",
        ],
        "it is one number",
    )
    | {"the sign of a sum of score is turned": "it is squared"},
}


def _states(n):
    return torch.tensor(list(itertools.product((0.0, 1.0), repeat=n)), dtype=torch.float64)


def _summed(v, W, a, b):
    h = _states(len(b))
    return -(v @ a + (h @ b + v @ W @ h.T).logsumexp(1))


def _compare(free_energy, scale=1.0):
    g = torch.Generator().manual_seed(9)
    v, W = torch.randint(2, (8, 5), generator=g).double(), scale * torch.randn(5, 4, generator=g).double()
    a, b = torch.randn(5, generator=g).double(), torch.randn(4, generator=g).double()
    found = torch.as_tensor(free_energy(v, W, a, b))
    return found.shape == (8,) and bool(torch.allclose(found, _summed(v, W, a, b)))


def _without_weights(free_energy):
    v, zero = torch.ones(2, 3), torch.zeros(3, 2)
    return torch.allclose(
        torch.as_tensor(free_energy(v, zero, torch.zeros(3), torch.zeros(2))), torch.tensor(-2 * math.log(2.0))
    )


WRONG = {
    "04b.1": [
        (lambda x, gradient, eta, xi: x + eta * gradient(x) + math.sqrt(2 * eta) * xi, "uphill|sign"),
        (lambda x, gradient, eta, xi: x - eta * gradient(x) + 2 * eta * xi, "root"),
        (lambda x, gradient, eta, xi: x - eta * gradient(x) + math.sqrt(eta) * xi, "twice"),
        (lambda x, gradient, eta, xi: x - eta * gradient(x), "noise"),
        (lambda x, gradient, eta, xi: x - eta * gradient(x) + xi, "whatever"),
        (lambda x, gradient, eta, xi: x - eta / 2 * gradient(x) + math.sqrt(2 * eta) * xi, "half"),
        (lambda x, gradient, eta, xi: (lambda y: y - eta * gradient(y))(x + math.sqrt(2 * eta) * xi), "first|where"),
        (lambda x, gradient, eta, xi: -eta * gradient(x) + math.sqrt(2 * eta) * xi, "without x"),
        (lambda x, gradient, eta, xi: x - math.sqrt(2 * eta) * gradient(x) + eta * xi, ""),
    ],
    "04b.2": [
        (lambda v, W, a, b: v @ a + F.softplus(v @ W + b).sum(1), "sign"),
        (lambda v, W, a, b: -(v @ a) - torch.log(1 + torch.exp(v @ W + b)).sum(1), "infinite|computer"),
        (lambda v, W, a, b: -F.softplus(v @ W + b).sum(1), "visible"),
        (lambda v, W, a, b: -(v @ a) - F.softplus(v @ W).sum(1), "b is missing"),
        (lambda v, W, a, b: -(v @ a) - F.softplus((v @ W + b).sum(1)), "softplus of a sum"),
        (lambda v, W, a, b: -(v @ a) - (v @ W + b).sum(1), "summed out"),
        (lambda v, W, a, b: -(v @ a) - torch.sigmoid(v @ W + b).sum(1), "chance"),
        (lambda v, W, a, b: v @ a - F.softplus(v @ W + b).sum(1), "sign"),
        (lambda v, W, a, b: -(v @ a) + F.softplus(v @ W + b).sum(1), "sign"),
        (lambda v, W, a, b: -(v @ a) - F.softplus(v @ W + b).mean(1), "mean"),
    ],
    "04b.3": [
        (lambda score, x, eps, sigma: (score(x + sigma * eps) - eps / sigma).square().sum(1).mean(), "back|sign"),
        (lambda score, x, eps, sigma: (score(x + sigma * eps) + eps).square().sum(1).mean(), "−ε|divided|σ"),
        (lambda score, x, eps, sigma: (score(x + sigma * eps) + eps / sigma**2).square().sum(1).mean(), "σ²"),
        (lambda score, x, eps, sigma: (score(x + eps) + eps / sigma).square().sum(1).mean(), "scaled|noised"),
        (lambda score, x, eps, sigma: (score(x) + eps / sigma).square().sum(1).mean(), "itself|noised"),
        (lambda score, x, eps, sigma: (score(x + sigma * eps) + eps / sigma).square().mean(), "coordinates|mean"),
        (lambda score, x, eps, sigma: (score(x + sigma * eps) + eps / sigma).square().sum(), "points|sum"),
        (lambda score, x, eps, sigma: (score(x + sigma * eps) + eps / sigma).square().sum(1), "each point|shape"),
        (lambda score, x, eps, sigma: (score(x + sigma * eps).detach() + eps / sigma).square().sum(1).mean(), "gradient"),
        (lambda score, x, eps, sigma: 0.5 * (score(x + sigma * eps) + eps / sigma).square().sum(1).mean(), "half"),
    ],
    "04b.4": [
        (lambda free_energy: True, "accepts"), (lambda free_energy: False, "refuses"), (_compare, "accepts"),
        (_without_weights, "accepts"), (lambda free_energy: not _compare(free_energy), "refuses"),
        (lambda free_energy: free_energy is not None, "accepts"),
        (lambda free_energy: torch.as_tensor(free_energy(*(torch.ones(s) for s in ((2, 3), (3, 2), (3,), (2,))))).shape == (2,), "accepts"),
        (lambda free_energy: bool((torch.as_tensor(free_energy(*(torch.ones(s) for s in ((2, 3), (3, 2), (3,), (2,))))) < 0).all()), "accepts"),
    ],
}  # fmt: skip


def _both(free_energy):
    return _compare(free_energy) and _compare(free_energy, 3000.0)


RIGHT = {
    "04b.1": [
        lambda x, gradient, eta, xi: x - eta * gradient(x) + (2 * eta) ** 0.5 * xi,
        lambda x, gradient, eta, xi: torch.add(x, gradient(x), alpha=-eta) + math.sqrt(2 * eta) * xi,
        lambda x, gradient, eta, xi: x + eta * -gradient(x) + torch.tensor(2 * eta).sqrt() * xi,
        lambda x, gradient, eta, xi: (x - eta * gradient(x) + math.sqrt(2 * eta) * xi).float(),
        lambda x, gradient, eta, xi: x.numpy() - eta * gradient(x).numpy() + np.sqrt(2 * eta) * xi.numpy(),
        lambda x, gradient, eta, xi: (lambda noise: (x - eta * gradient(x)) + noise)(xi * math.sqrt(eta + eta)),
    ],
    "04b.2": [
        _summed,
        lambda v, W, a, b: -(v * a).sum(1) - F.softplus(b + v @ W).sum(-1),
        lambda v, W, a, b: -torch.mv(v, a) - torch.logaddexp(v @ W + b, torch.zeros((), dtype=v.dtype)).sum(1),
        lambda v, W, a, b: -(v @ a).numpy() - np.logaddexp(0, (v @ W + b).numpy()).sum(1),
        lambda v, W, a, b: torch.stack([-(row @ a) - F.softplus(row @ W + b).sum() for row in v]),
        lambda v, W, a, b: -(v @ a) + F.logsigmoid(-(v @ W + b)).sum(1),
    ],
    "04b.3": [
        lambda score, x, eps, sigma: (score(x + sigma * eps) + eps / sigma).pow(2).sum(-1).mean(),
        lambda score, x, eps, sigma: (score(x + sigma * eps) + eps / sigma).norm(dim=1).square().mean(),
        lambda score, x, eps, sigma: F.mse_loss(score(x + sigma * eps), -eps / sigma, reduction="sum") / len(x),
        lambda score, x, eps, sigma: x.shape[1] * F.mse_loss(score(x + sigma * eps), -eps / sigma),
        lambda score, x, eps, sigma: (lambda y: (score(y) + (y - x) / sigma**2).square().sum(1).mean())(x + sigma * eps),
        lambda score, x, eps, sigma: ((sigma * score(x + sigma * eps) + eps) ** 2).sum(1).mean() / sigma**2,
    ],
    "04b.4": [_both] * 6,
}  # fmt: skip
