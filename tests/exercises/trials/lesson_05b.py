"""Answers to the exercises of lesson 05b: wrong ones with a word that a named cause must hold, right ones in other styles."""

import numpy as np
import torch
from scipy.stats import wasserstein_distance
from torch.nn import functional as F

NAMED = 0.96  # the share of wrong answers whose cause is told, as reached, less two points
_OF_A_NUMBER = [
    *(f"the {what} over everything is taken" for what in ("sum", "mean")), "the order is turned round",
    *(f"a {what} over the {which} axis is taken" for what in ("sum", "mean") for which in ("first", "last")),
]  # fmt: skip
_SCORES = ("critic(between, d).sum()", "critic(between, d)")
SURVIVORS = {  # mutants of the solution that are no mistakes, each with the reason
    "05b.1": dict.fromkeys(_OF_A_NUMBER, "it is one number"),
    "05b.2": dict.fromkeys(_OF_A_NUMBER, "it is one number")
    | {f"{score} is one too {size}": "a constant has no slope" for score in _SCORES for size in ("large", "small")}
    | {f"the sign of {score} is turned": "a length has no sign" for score in _SCORES}
    | {f"1 − {score} stands for {score}": "a length has no sign" for score in _SCORES}
    | {
        "the sign of slope.norm(dim=1) − 1 is turned": "it is squared",
        "a difference is the other way round: 1 comes first, and slope.norm(dim=1) is subtracted": "it is squared",
        "detach(…) is missing": "the points are no one's output here",
    },
    "05b.3": {"mode='nearest' is missing in interpolate(…)": "it is the default"},
}


def _loss(G, D, g, d, x, z, fake=None, real_sign=-1, fake_sign=1):
    fake = G(z, g).detach() if fake is None else fake
    return F.softplus(real_sign * D(x, d)).mean() + F.softplus(fake_sign * D(fake, d)).mean()


def _without_grad(G, D, g, d, x, z):
    with torch.no_grad():
        fake = G(z, g)
    return -F.logsigmoid(D(x, d)).mean() - F.logsigmoid(-D(fake, d)).mean()


def _log_losses(G, D, g, d, x, z):
    real, fake = D(x, d), D(G(z, g.detach()), d)
    return F.binary_cross_entropy_with_logits(real, torch.ones_like(real)) + F.binary_cross_entropy_with_logits(
        fake, torch.zeros_like(fake)
    )


def _one_by_one(G, D, g, d, x, z):
    real = sum(F.softplus(-D(row[None], d)).squeeze() for row in x) / len(x)
    return real + sum(F.softplus(D(G(row[None], g).detach(), d)).squeeze() for row in z) / len(z)


def _slopes(D, d, real, fake, u, swap=False):
    a, b = (fake, real) if swap else (real, fake)
    x = torch.lerp(a, b, u[:, None]).requires_grad_(True)
    return torch.autograd.grad(D(x, d).sum(), x, create_graph=True)[0]


def _by_vmap(D, d, real, fake, u, lam):
    x = real + u[:, None] * (fake - real)
    slope = torch.func.vmap(torch.func.grad(lambda row: D(row[None], d)[0]))(x)
    return lam * ((slope.pow(2).sum(1).sqrt() - 1) ** 2).mean()


def _row_by_row(D, d, real, fake, u, lam):
    total = 0
    for r, f, share in zip(real, fake, u, strict=True):
        x = ((1 - share) * r + share * f)[None].clone().requires_grad_(True)
        (slope,) = torch.autograd.grad(D(x, d).sum(), x, create_graph=True)
        total = total + (slope.norm() - 1) ** 2
    return lam * total / len(real)


def _twice(x):
    return x.repeat_interleave(2, dim=2).repeat_interleave(2, dim=3)


def _pixel_loop(small, large, alpha):
    out = alpha * large
    for i in range(large.shape[2]):
        for j in range(large.shape[3]):
            out[:, :, i, j] += (1 - alpha) * small[:, :, i // 2, j // 2]
    return out


WRONG = {
    "05b.1": [
        (lambda G, D, g, d, x, z: _loss(G, D, g, d, x, z, fake=G(z, g)), "gradient"),
        (lambda G, D, g, d, x, z: -_loss(G, D, g, d, x, z), "sign"),
        (lambda G, D, g, d, x, z: _loss(G, D, g, d, x, z, real_sign=1, fake_sign=-1), "exchanged"),
        (lambda G, D, g, d, x, z: F.softplus(-D(G(z, g), d)).mean(), "generator's loss"),
        (lambda G, D, g, d, x, z: _loss(G, D, g, d, x, z, fake_sign=-1), "rewarded"),
        (lambda G, D, g, d, x, z: _loss(G, D, g, d, x, z, real_sign=1), "punished"),
        (lambda G, D, g, d, x, z: D(G(z, g).detach(), d).mean() - D(x, d).mean(), "Wasserstein"),
        (lambda G, D, g, d, x, z: F.softplus(-D(x, d)).sum() + F.softplus(D(G(z, g).detach(), d)).sum(), "sums"),
        (lambda G, D, g, d, x, z: _loss(G, D, g, d, x, z) / 2, "half"),
        (lambda G, D, g, d, x, z: _loss(G, D, g, d, x, z).detach(), "reaches d|critic gets no gradient|gradient"),
    ],
    "05b.2": [
        (lambda D, d, r, f, u, lam: (_slopes(D, d, r, f, u).norm(dim=1) - 1).square().mean(), "λ is missing"),
        (lambda D, d, r, f, u, lam: lam * _slopes(D, d, r, f, u).square().sum(1).mean(), "pulled to 0"),
        (lambda D, d, r, f, u, lam: lam * (_slopes(D, d, r, f, u, swap=True).norm(dim=1) - 1).square().mean(), "share"),
        (lambda D, d, r, f, u, lam: lam * (_slopes(D, d, r, f, 0 * u).norm(dim=1) - 1).square().mean(), "real points"),
        (lambda D, d, r, f, u, lam: lam * (_slopes(D, d, r, f, 0 * u + 1).norm(dim=1) - 1).square().mean(), "fake points"),
        (lambda D, d, r, f, u, lam: lam * (_slopes(D, d, r, f, u).square().sum(1) - 1).square().mean(), "squared length"),
        (lambda D, d, r, f, u, lam: lam * (_slopes(D, d, r, f, u).norm() - 1).square(), "whole batch"),
        (lambda D, d, r, f, u, lam: lam * F.relu(_slopes(D, d, r, f, u).norm(dim=1) - 1).square().mean(), "one-sided"),
        (lambda D, d, r, f, u, lam: lam * (_slopes(D, d, r, f, u).norm(dim=1) - 1).square().sum(), "sum over"),
        (lambda D, d, r, f, u, lam: lam * (_slopes(D, d, r, f, u).norm(dim=1) / len(u) - 1).square().mean(), "n times"),
        (lambda D, d, r, f, u, lam: lam * (_slopes(D, d, r, f, u).detach().norm(dim=1) - 1).square().mean(), "graph is cut"),
    ],
    "05b.3": [
        (lambda s, b, a: a * _twice(s) + (1 - a) * b, "share of the new"),
        (lambda s, b, a: _twice(s) + a * b, "counts fully"),
        (lambda s, b, a: (1 - a) * F.interpolate(s, scale_factor=2, mode="bilinear") + a * b, "smoothed"),
        (lambda s, b, a: (1 - a) * s.repeat(1, 1, 2, 2) + a * b, "tiled"),
        (lambda s, b, a: b, "alone"),
        (lambda s, b, a: _twice(s), "alone"),
        (lambda s, b, a: (_twice(s) + b) / 2, "mean of both"),
        (lambda s, b, a: (1 - a) * _twice(s) + b, "large image counts"),
        (lambda s, b, a: (1 - a) * s + a * F.avg_pool2d(b, 2), "made small"),
        (lambda s, b, a: torch.maximum((1 - a) * _twice(s), a * b), None),
    ],
    "05b.4": [
        (lambda: [1, 3, 4, 2], "A and B"), (lambda: (3, 4, 1, 2), "B and C"), (lambda: np.array([4, 1, 3, 2]), "A and C"),
        (lambda: [2, 1, 4, 3], "A and D"), (lambda: torch.tensor([3, 2, 4, 1]), "B and D"), (lambda: [3, 1, 2, 4], "C and D"),
        (lambda: [1, 2, 3, 4], "their own order"), (lambda: [2, 4, 1, 3], "place of each kind"), (lambda: "ABCD", "four numbers"),
        (lambda: [3, 1, 4, 4], "is there once"), (lambda: [0, 1, 2, 3], "from 1 to 4"), (lambda: 3142, "four numbers"),
    ],
    "05b.5": [
        (lambda distance: True, "accepts"), (lambda distance: False, "refuses"),
        (lambda distance: abs(float(distance(torch.zeros(3), torch.ones(3))) - 1) < 1e-6, "accepts"),
        (lambda distance: float(distance(torch.arange(3.0), torch.arange(3.0).flip(0))) == 0, "accepts"),
        (lambda distance: distance(torch.tensor([0.0]), torch.tensor([-2.0])) > 0, "accepts"),
        (lambda distance: abs(float(distance(torch.arange(4.0), torch.arange(4.0) + 2)) - 2) < 1e-5, "accepts"),
        (lambda distance: float(distance(torch.tensor([0.0, 1.0]), torch.tensor([1.0, 0.0]))) < 1, "accepts"),
        (lambda distance: torch.is_tensor(distance(torch.zeros(2), torch.zeros(2))), "refuses|accepts"),
    ],
}  # fmt: skip


def _like_scipy(distance):
    for seed in range(4):
        x, y = torch.randn(2, 5 + seed, generator=torch.Generator().manual_seed(seed)).double()
        if not np.isclose(float(distance(x, y)), wasserstein_distance(x, y)):
            return False
    return True


def _by_properties(distance):
    x = torch.tensor([3.0, -1.0, 0.5, 9.0]).double()
    y = torch.tensor([5.0, 6.0, 0.0, 4.0]).double()
    apart = 9.5 / 4  # of the sorted ones: 1, 3.5, 2 and 3
    known = [
        (distance(x, x.flip(0)), 0), (distance(x, x - 2), 2), (distance(x, y), apart), (distance(y, x), apart),
        (distance(2 * x, 2 * y), 2 * apart), (distance(x[:1], y[:1]), 2),
    ]  # fmt: skip
    return all(abs(float(value) - right) < 1e-9 for value, right in known)


RIGHT = {
    "05b.1": [
        _without_grad, _log_losses, _one_by_one, _loss,
        lambda generator, critic, g, d, x, z: _loss(generator, critic, g.detach(), d, x, z),
        lambda G, D, g, d, x, z: torch.log1p(torch.exp(-D(x, d))).mean() + torch.log1p(torch.exp(D(G(z, g).data, d))).mean(),
    ],
    "05b.2": [
        _by_vmap, _row_by_row,
        lambda D, d, r, f, u, lam: lam * (_slopes(D, d, r, f, u).norm(dim=1) - 1).pow(2).mean(),
        lambda D, d, r, f, u, lam: (lam / len(u)) * ((_slopes(D, d, r, f, u) ** 2).sum(-1).sqrt() - 1).square().sum(),
        lambda critic, d, real, fake, u, lam: lam * (1 - torch.linalg.vector_norm(_slopes(critic, d, real, fake, u), dim=1)).square().mean(),
        lambda D, d, r, f, u, lam: lam * F.mse_loss(_slopes(D, d, r, f, u).norm(dim=1), torch.ones_like(u)),
    ],
    "05b.3": [
        lambda s, b, a: torch.lerp(_twice(s), b, a),
        _pixel_loop,
        lambda s, b, a: (1 - a) * np.kron(s.numpy(), np.ones((1, 1, 2, 2))) + a * b.numpy(),
        lambda s, b, a: (1 - a) * torch.nn.Upsample(scale_factor=2)(s) + a * b,
        lambda s, b, a: _twice(s) + a * (b - _twice(s)),
        lambda small, large, alpha: large.mul(alpha).add(_twice(small), alpha=1 - alpha),
    ],
    "05b.4": [
        lambda: [3, 1, 4, 2], lambda: (3, 1, 4, 2), lambda: np.array([3, 1, 4, 2]), lambda: torch.tensor([3, 1, 4, 2]),
        lambda: [int(c) for c in "3142"], lambda: "3142", lambda: list(map(float, (3, 1, 4, 2))),
    ],
    "05b.5": [
        _like_scipy, _by_properties, lambda distance: _like_scipy(distance) and _by_properties(distance),
        lambda distance: bool(_like_scipy(distance)), lambda d: int(_by_properties(d)), lambda distance: np.bool_(_like_scipy(distance)),
    ],
}  # fmt: skip
