"""Answers to the exercises of lesson 03b: wrong ones with a word that a named cause must hold, right ones in other styles."""

import math

import numpy as np
import torch
from torch.distributions import MultivariateNormal, Normal

NAMED = 0.89  # the share of wrong answers whose cause is told, as reached, less two points
SURVIVORS = {  # mutants of the solution that are no mistakes, each with the reason
    "03b.1": dict.fromkeys(
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
    | {"the result is clipped to −1 … 1": "there are two results"},
    "03b.2": dict.fromkeys(
        [f"in one place, the sign of {what} is turned" for what in ("√u · eps_1", "√u", "eps_1")],
        "the density of z_1 is symmetric",
    )
    | {"the step for `log_q` comes too early": "it may come before log_p"},
    "03b.3": dict.fromkeys(["log_ratio is one too large", "log_ratio is one too small"], "the softmax takes it out")
    | {
        "1 is missing above the fraction bar": "1 is what stands there",
        "the sign of log_ratio.softmax(1) is turned": "it is squared",
    },
}


def _log_normal(x, mean, variance):
    return -0.5 * ((x - mean) ** 2 / variance + math.log(2 * math.pi * variance))


def _parts(x, eps_1, eps_2, a, b, c, d, u, v):
    z_1 = c * x + math.sqrt(u) * eps_1
    z_2 = d * z_1 + math.sqrt(v) * eps_2
    p = [_log_normal(x, b * z_1, 1.0), _log_normal(z_1, a * z_2, 1.0), _log_normal(z_2, 0.0, 1.0)]
    return p, [_log_normal(z_1, c * x, u), _log_normal(z_2, d * z_1, v)], z_1, z_2


def right_bound(*given):
    p, q, _, _ = _parts(*given)
    return sum(p) - sum(q)


def _as_joint(x, eps_1, eps_2, a, b, c, d, u, v):
    _, q, z_1, z_2 = _parts(x, eps_1, eps_2, a, b, c, d, u, v)
    s = a * a + 1
    cov = torch.tensor([[b * b * s + 1, b * s, a * b], [b * s, s, a], [a * b, a, 1.0]], dtype=torch.float64)
    joint = MultivariateNormal(torch.zeros(3, dtype=torch.float64), cov)
    return joint.log_prob(torch.stack([x, z_1, z_2], dim=1)) - sum(q)


def _loop(x, eps_1, eps_2, a, b, c, d, u, v):
    return torch.stack([right_bound(x[i], eps_1[i], eps_2[i], a, b, c, d, u, v) for i in range(len(x))])


def _from_eps(x, eps_1, eps_2, a, b, c, d, u, v):
    p, _, _, _ = _parts(x, eps_1, eps_2, a, b, c, d, u, v)
    log_q = -0.5 * (eps_1**2 + eps_2**2 + math.log(u) + math.log(v)) - math.log(2 * math.pi)
    return p[0] + p[1] + p[2] - log_q


def _truth_only(bound):
    a, b, x = 0.8, 1.2, torch.tensor([0.3, -1.1])
    s = a * a + 1
    t = b * b * s + 1
    found = bound(x, torch.tensor([0.4, 0.9]), torch.tensor([-0.2, 1.3]), a, b, b * s / t, a / s, s / t, 1 / s)
    return torch.allclose(torch.as_tensor(found), _log_normal(x, 0.0, t), atol=1e-5)


def _compare(bound):
    g = torch.Generator().manual_seed(4)
    given = (*torch.randn(3, 9, generator=g, dtype=torch.float64), 0.7, -0.9, 0.4, 1.2, 0.6, 1.4)
    found = torch.as_tensor(bound(*given))
    return found.shape == (9,) and torch.allclose(found, right_bound(*given))


def _below_log_p(bound):
    g = torch.Generator().manual_seed(5)
    x, e, f = torch.randn(3, 50_000, generator=g, dtype=torch.float64)
    return float(torch.as_tensor(bound(0 * x + 1, e, f, 0.8, 1.2, 0.3, 0.4, 0.5, 0.9)).mean()) <= float(
        _log_normal(torch.tensor(1.0), 0.0, 1.2**2 * 1.64 + 1)
    )


WRONG = {
    "03b.1": [
        (lambda eigenvalues, k: (eigenvalues.mean(), eigenvalues[:k] - eigenvalues.mean()), "all"),
        (lambda eigenvalues, k: (eigenvalues[k:].sum(), eigenvalues[:k] - eigenvalues[k:].sum()), "sum"),
        (lambda eigenvalues, k: (eigenvalues[k:].mean(), eigenvalues[:k]), "noise adds"),
        (lambda eigenvalues, k: (eigenvalues[k:].mean(), (eigenvalues[:k] - eigenvalues[k:].mean()).sqrt()), "squares|lengths|root"),
        (lambda eigenvalues, k: (eigenvalues[k:].max(), eigenvalues[:k] - eigenvalues[k:].max()), "largest"),
        (lambda eigenvalues, k: (eigenvalues[k - 1 :].mean(), eigenvalues[:k] - eigenvalues[k - 1 :].mean()), "one"),
        (lambda eigenvalues, k: (eigenvalues[k + 1 :].sum() / (len(eigenvalues) - k), eigenvalues[:k]), ""),
        (lambda eigenvalues, k: (eigenvalues[k:].mean().sqrt(), eigenvalues[:k] - eigenvalues[k:].mean()), "σ"),
        (lambda eigenvalues, k: (eigenvalues[k:].sum() / len(eigenvalues), eigenvalues[:k] - eigenvalues[k:].sum() / len(eigenvalues)), "all d"),
        (lambda eigenvalues, k: (eigenvalues[:k].mean(), eigenvalues[:k] - eigenvalues[:k].mean()), "kept"),
    ],
    "03b.2": [
        (lambda *g: -right_bound(*g), "sign"),
        (lambda *g: sum(_parts(*g)[0]) + sum(_parts(*g)[1]), "added"),
        (lambda *g: sum(_parts(*g)[0]), "log q|missing"),
        (lambda *g: right_bound(*g).mean(), "mean"),
        (lambda *g: sum(_parts(*g)[0][:2]) - sum(_parts(*g)[1]), "prior"),
        (lambda *g: sum(_parts(*g)[0][1:]) - sum(_parts(*g)[1]), "reconstruction"),
        (lambda *g: sum(_parts(*g)[0]) - _parts(*g)[1][0], "missing"),
        (lambda *g: sum(_parts(*g)[0]) - _parts(*g)[1][1], "missing"),
        (lambda x, eps_1, eps_2, a, b, c, d, u, v: right_bound(x, eps_1, eps_2, a, b, c, d, u**2, v**2), "root"),
        (lambda x, eps_1, eps_2, a, b, c, d, u, v: right_bound(x, 0 * eps_1, 0 * eps_2, a, b, c, d, u, v), "noise"),
    ],
    "03b.3": [
        (lambda log_ratio: log_ratio.exp().sum(1) ** 2 / log_ratio.exp().square().sum(1), "computer|NaN"),
        (lambda log_ratio: log_ratio.softmax(1).square().sum(1), "upside"),
        (lambda log_ratio: 1 / log_ratio.softmax(1).amax(1), "largest"),
        (lambda log_ratio: 1 / log_ratio.softmax(1).square().sum(1) / log_ratio.shape[1], "divided by k"),
        (lambda log_ratio: 1 / log_ratio.softmax(0).square().sum(0), "shape|batch"),
        (lambda log_ratio: torch.ones(len(log_ratio), dtype=torch.float64), "quotient|squares"),
        (lambda log_ratio: log_ratio.sum(1) ** 2 / log_ratio.square().sum(1), "logarithms"),
        (lambda log_ratio: torch.full((len(log_ratio),), float(log_ratio.shape[1])), ""),
        (lambda log_ratio: 1 / log_ratio.softmax(1).square().mean(1), "mean|sum"),
    ],
    "03b.4": [
        (lambda bound: True, "accepts"), (lambda bound: False, "refuses"), (_truth_only, "accepts"), (_below_log_p, "accepts"),
        (lambda bound: not _compare(bound), "refuses"), (lambda bound: bound is not None, "accepts"),
        (lambda bound: bool((torch.as_tensor(bound(*torch.zeros(3, 4), 1.0, 1.0, 0.5, 0.5, 0.5, 0.5)) < 0).all()), "accepts"),
        (lambda bound: torch.as_tensor(bound(*torch.zeros(3, 4), 1.0, 1.0, 0.5, 0.5, 0.5, 0.5)).shape == (4,), "accepts"),
    ],
}  # fmt: skip

RIGHT = {
    "03b.1": [
        lambda eigenvalues, k: (eigenvalues[k:].sum() / (len(eigenvalues) - k), eigenvalues[:k] - eigenvalues[k:].mean()),
        lambda eigenvalues, k: (float(np.mean(eigenvalues.numpy()[k:])), eigenvalues.numpy()[:k] - np.mean(eigenvalues.numpy()[k:])),
        lambda eigenvalues, k: [eigenvalues[k:].mean(), torch.stack([e - eigenvalues[k:].mean() for e in eigenvalues[:k]])],
        lambda eigenvalues, k: ((eigenvalues.sum() - eigenvalues[:k].sum()) / (len(eigenvalues) - k), eigenvalues[:k] - eigenvalues[k:].mean()),
        lambda eigenvalues, k: (torch.mean(eigenvalues[k:]), torch.sub(eigenvalues, torch.mean(eigenvalues[k:]))[:k]),
        lambda eigenvalues, k: (eigenvalues.float()[k:].mean(), eigenvalues.float()[:k] - eigenvalues.float()[k:].mean()),
    ],
    "03b.2": [
        right_bound, _as_joint, _loop, _from_eps,
        lambda *g: right_bound(*g).float(),
        lambda x, eps_1, eps_2, a, b, c, d, u, v: torch.stack(
            [Normal(b * (z := c * x + u**0.5 * eps_1), 1.0).log_prob(x), -Normal(c * x, u**0.5).log_prob(z),
             -Normal(d * z, v**0.5).log_prob(w := d * z + v**0.5 * eps_2), Normal(a * w, 1.0).log_prob(z),
             Normal(0.0, 1.0).log_prob(w)]
        ).sum(0),
    ],
    "03b.3": [
        lambda log_ratio: 1 / (log_ratio.softmax(-1) ** 2).sum(-1),
        lambda log_ratio: (2 * log_ratio.logsumexp(1) - (2 * log_ratio).logsumexp(1)).exp(),
        lambda log_ratio: (w := (log_ratio - log_ratio.amax(1, keepdim=True)).exp()).sum(1) ** 2 / w.square().sum(1),
        lambda log_ratio: torch.stack([1 / row.softmax(0).square().sum() for row in log_ratio]),
        lambda log_ratio: log_ratio.softmax(1).norm(dim=1) ** -2,
        lambda log_ratio: 1 / np.square(log_ratio.softmax(1).numpy()).sum(1),
    ],
    "03b.4": [_compare] * 6,
}  # fmt: skip
