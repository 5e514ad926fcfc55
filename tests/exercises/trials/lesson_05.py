"""Answers to the exercises of lesson 05: wrong ones with a word that a named cause must hold, right ones in other styles."""

import math

import numpy as np
import torch
from scipy.spatial.distance import jensenshannon
from torch.nn import functional as F

NAMED = 0.9  # the share of wrong answers whose cause is told, as reached, less two points
_OF_A_NUMBER = [
    f"{a} {what} over {where} is taken" for a, what in (("the", "sum"), ("the", "mean")) for where in ("everything",)
] + [f"a {what} over the {which} axis is taken" for what in ("sum", "mean") for which in ("first", "last")]
SURVIVORS = {  # mutants of the solution that are no mistakes, each with the reason
    "05.1": dict.fromkeys([*_OF_A_NUMBER, "the order is turned round"], "it is one number"),
    "05.2": {"the result is clipped to −1 … 1": "it is a probability"},
    "05.3": {"the result is clipped to −1 … 1": "its parts lie there"},
    "05.4": dict.fromkeys([*_OF_A_NUMBER, "the order is turned round"], "it is one number")
    | {"p and q are exchanged": "JS is symmetric", "the result is clipped to −1 … 1": "JS lies in 0 … log 2"},
    "05.5": dict.fromkeys([*_OF_A_NUMBER, "the order is turned round"], "it is one number")
    | dict.fromkeys(
        [
            "critic(x, weights).sum() is one too large",
            "critic(x, weights) is one too large",
            "critic(x, weights).sum() is one too small",
            "critic(x, weights) is one too small",
        ],
        "a constant has no slope",
    )
    | dict.fromkeys(
        [
            "the sign of critic(x, weights).sum() is turned",
            "the sign of critic(x, weights) is turned",
            "1 − critic(x, weights).sum() stands for critic(x, weights).sum()",
            "1 − critic(x, weights) stands for critic(x, weights)",
        ],
        "its slope is squared",
    )
    | {"detach(…) is missing": "the points are no one's output here"},
    "05.6": {
        "stack(…) is missing": "a list of tensors is read as a tensor",
        "a square root is taken of range(steps)": "the count is not used",
        "a logarithm is taken of range(steps)": "nor here",
    },
}


def _log_loss(s, label):
    return F.binary_cross_entropy_with_logits(s, torch.full_like(s, label))


def _kl(a, b):
    keep = a > 0
    return (a[keep] * (a[keep] / b[keep]).log()).sum()


def _js_loop(p, q):
    total = 0.0
    for a, b in zip(p.tolist(), q.tolist(), strict=True):
        m = (a + b) / 2
        total += sum(0.5 * c * math.log(c / m) for c in (a, b) if c > 0)
    return total


def _slopes(critic, weights, x):
    x = x.clone().requires_grad_(True)
    return torch.autograd.grad(critic(x, weights).sum(), x, create_graph=True)[0]


def _one_by_one(critic, weights, x, gamma):
    total = 0
    for row in x:
        row = row[None].clone().requires_grad_(True)
        (slope,) = torch.autograd.grad(critic(row, weights).squeeze(), row, create_graph=True)
        total = total + (slope**2).sum()
    return gamma * total / (2 * len(x))


def _func(critic, weights, x, gamma):
    slope = torch.func.vmap(torch.func.grad(lambda row: critic(row[None], weights)[0]))(x)
    return gamma / 2 * (slope**2).sum(dim=1).mean()


def _path(field, w, eta, steps, first=None, now_weight=2, last_weight=1):
    path, last = [w], first
    for _ in range(steps):
        now = field(path[-1])
        if last is None:
            last = now
        path.append(path[-1] + now_weight * eta * now - last_weight * eta * last)
        last = now
    return torch.stack(path)


def _filled(field, w, eta, steps):
    path = torch.zeros(steps + 1, len(w), dtype=w.dtype)
    path[0] = w
    fields = []
    for t in range(steps):
        fields.append(field(path[t]))
        past = fields[t - 1] if t else fields[0]
        path[t + 1] = path[t] + eta * (2 * fields[t] - past)
    return path


WRONG = {
    "05.1": [
        (lambda a, b: F.logsigmoid(a).mean() + F.logsigmoid(b).mean(), "looking real"),
        (lambda a, b: F.logsigmoid(-a).mean() + F.logsigmoid(b).mean(), "exchanged"),
        (lambda a, b: F.softplus(-a).mean() + F.softplus(b).mean(), "sign"),
        (lambda a, b: F.logsigmoid(a).sum() + F.logsigmoid(-b).sum(), "sums|sum"),
        (lambda a, b: torch.cat([F.logsigmoid(a), F.logsigmoid(-b)]).mean(), "one mean"),
        (lambda a, b: a.sigmoid().log().mean() + (1 - b.sigmoid()).log().mean(), "log 0"),
        (lambda a, b: (F.logsigmoid(a).mean() + F.logsigmoid(-b).mean()) / 2, "half"),
        (lambda a, b: a.mean() - b.mean(), "Wasserstein"),
        (lambda a, b: a.sigmoid().mean() + (1 - b.sigmoid()).mean(), "without its logarithm"),
        (lambda a, b: F.logsigmoid(a.mean()) + F.logsigmoid(-b.mean()), "first"),
        (lambda a, b: F.logsigmoid(a).mean() - F.logsigmoid(b).mean(), "other loss"),
    ],
    "05.2": [
        (lambda a, b: torch.sigmoid(b - a), "fake"),
        (lambda a, b: a.exp() / (a.exp() + b.exp()), "0 or infinite"),
        (lambda a, b: a - b, "score"),
        (lambda a, b: (a - b).exp(), "ratio"),
        (lambda a, b: a / (a + b), "place of the densities"),
        (lambda a, b: F.logsigmoid(a - b), "log D"),
        (lambda a, b: torch.sigmoid((a - b) / 2), None),
        (lambda a, b: (a > b).double(), "decision"),
        (lambda a, b: torch.sigmoid(a), "alone"),
        (lambda a, b: b.exp() / (a.exp() + b.exp()), None),
    ],
    "05.3": [
        (lambda s: (-torch.sigmoid(-s), -torch.sigmoid(s)), "exchanged"),
        (lambda s: (torch.sigmoid(s), 1 - torch.sigmoid(s)), "opposite sign"),
        (lambda s: (-F.softplus(s), F.softplus(-s)), "losses themselves"),
        (lambda s: (-1 / (1 - s.sigmoid()), -1 / s.sigmoid()), "with respect to D"),
        (lambda s: (-s.sigmoid() / len(s), -(1 - s.sigmoid()) / len(s)), "mean"),
        (lambda s: (-s.sigmoid() * (1 - s.sigmoid()),) * 2, "slope of D"),
        (lambda s: (s.sigmoid(), -(1 - s.sigmoid())), "minimax's sign"),
        (lambda s: (-s.sigmoid(), 1 - s.sigmoid()), None),
        (lambda s: (-s.sigmoid(),) * 2, "both"),
        (lambda s: (-s, s - 1), "sigmoid"),
    ],
    "05.4": [
        (lambda p, q: 0.5 * (_kl(p, p + q) + _kl(q, p + q)), "½"),
        (lambda p, q: _kl(p, (p + q) / 2) + _kl(q, (p + q) / 2), "halves"),
        (lambda p, q: 0.5 * _kl(p, (p + q) / 2), "half of p"),
        (lambda p, q: _kl(p, q), "KL"),
        (lambda p, q: jensenshannon(p, q), "root"),
        (lambda p, q: jensenshannon(p, q, 2) ** 2, "bits"),
        (lambda p, q: -0.5 * (_kl(p, (p + q) / 2) + _kl(q, (p + q) / 2)), "sign"),
        (lambda p, q: 0.5 * ((p * (2 * p / (p + q)).log()).sum() + (q * (2 * q / (p + q)).log()).sum()), "NaN"),
        (lambda p, q: _kl(p, (p + q) / 2) + _kl(q, (p + q) / 2) - math.log(4), None),
        (lambda p, q: 0.5 * (_kl(p, q) + _kl(q, p)), "symmetric"),
        (lambda p, q: (p - q).abs().sum() / 2, None),
    ],
    "05.5": [
        (lambda c, w, x, g: g * _slopes(c, w, x).square().sum(1).mean(), "γ/2"),
        (lambda c, w, x, g: 0.5 * _slopes(c, w, x).square().sum(1).mean(), "forgotten"),
        (lambda c, w, x, g: g / 2 * _slopes(c, w, x).norm(dim=1).mean(), "not squared"),
        (lambda c, w, x, g: g / 2 * (_slopes(c, w, x).norm(dim=1) - 1).square().mean(), "pulled to 1"),
        (lambda c, w, x, g: g / 2 * _slopes(c, w, x).square().mean(), "coordinates"),
        (lambda c, w, x, g: g / 2 * _slopes(c, w, x).square().sum(), "sum over the points"),
        (lambda c, w, x, g: g / 2 * (_slopes(c, w, x) / len(x)).square().sum(1).mean(), "n times smaller"),
        (lambda c, w, x, g: g / 2 * _slopes(c, w, x).detach().square().sum(1).mean(), "graph is cut"),
        (lambda c, w, x, g: g / 2 * c(x, w).square().mean(), "scores themselves"),
        (lambda c, w, x, g: -g / 2 * _slopes(c, w, x).square().sum(1).mean(), "sign"),
    ],
    "05.6": [
        (lambda f, w, e, n: _path(f, w, e, n, now_weight=1, last_weight=0), "simultaneous"),
        (lambda f, w, e, n: _path(f, w, e, n, now_weight=1), "cancel"),
        (lambda f, w, e, n: _path(f, w, e, n, last_weight=-1), "not added"),
        (lambda f, w, e, n: _path(f, w, e, n, first=torch.zeros_like(w)), "not 0"),
        (lambda f, w, e, n: _path(f, w, e, n)[1:], "start is missing"),
        (lambda f, w, e, n: _path(f, w, -e, n), "along the field"),
        (lambda f, w, e, n: _path(f, w, e, n, last_weight=2), "cancel"),
        (lambda f, w, e, n: _path(f, w, 1.0, n), "η is missing"),
        (lambda f, w, e, n: _path(f, w, e, n + 1), "too many"),
        (lambda f, w, e, n: _path(f, w, e, n)[-1], "only the last"),
        (lambda f, w, e, n: _path(f, w, e, n, now_weight=1, last_weight=2), "factors are exchanged"),
    ],
    "05.7": [
        (lambda losses: torch.is_tensor(losses(torch.zeros(2), torch.zeros(2))[0]), "accepts"),
        (lambda losses: abs(float(losses(torch.zeros(2), torch.zeros(2))[0]) - 2 * math.log(2)) < 1e-6, "accepts"),
        (lambda losses: False, "refuses"),
        (lambda losses: True, "accepts"),
        (lambda losses: float(losses(torch.tensor([3.0]), torch.tensor([-3.0]))[0]) < 0.2, "accepts"),
        (lambda losses: float(losses(torch.zeros(1), torch.tensor([-9.0]))[1]) > 5, "accepts"),
        (lambda losses: all(torch.isfinite(t) for t in losses(torch.full((3,), -200.0), torch.full((3,), 200.0))), "accepts"),
        (lambda losses: float(losses(torch.ones(4), torch.ones(4))[1]) == float(F.softplus(-torch.ones(4)).mean()), "accepts"),
    ],
}  # fmt: skip


def _by_differences(losses):
    a, b = torch.tensor([0.3, -1.2, 2.0]).double(), torch.tensor([0.7, -0.4]).double()
    D, E = torch.sigmoid(a), torch.sigmoid(b)
    wanted = torch.cat([-(1 - D) / 3, E / 2]), torch.cat([0 * a, -(1 - E) / 2])
    for i in range(5):
        step = torch.zeros(5).double()
        step[i] = 1e-5
        up, down = (losses(a + k * step[:3], b + k * step[3:]) for k in (1, -1))
        for j in range(2):
            if abs(float(up[j] - down[j]) / 2e-5 - float(wanted[j][i])) > 1e-6:
                return False
    far = losses(torch.full((2,), -200.0), torch.full((2,), 200.0)), losses(torch.zeros(2), torch.full((2,), -200.0))
    return abs(float(far[0][0]) - 400) < 1e-2 and abs(float(far[1][1]) - 200) < 1e-2


def _by_formula(losses):
    torch.manual_seed(3)
    for n, m, scale in ((4, 6, 1), (5, 2, 3), (3, 3, 150)):
        a, b = scale * torch.randn(n).double(), scale * torch.randn(m).double()
        critic, forger = losses(a, b)
        if not torch.isclose(critic, F.softplus(-a).mean() + F.softplus(b).mean(), rtol=1e-6):
            return False
        if not torch.isclose(forger, F.softplus(-b).mean(), rtol=1e-6):
            return False
    return True


RIGHT = {
    "05.1": [
        lambda a, b: -(F.softplus(-a).mean() + F.softplus(b).mean()),
        lambda a, b: -_log_loss(a, 1.0) - _log_loss(b, 0.0),
        lambda a, b: -np.logaddexp(0, -a.numpy()).mean() - np.logaddexp(0, b.numpy()).mean(),
        lambda a, b: F.logsigmoid(a).sum() / len(a) + F.logsigmoid(-b).sum() / b.numel(),
        lambda a, b: sum(F.logsigmoid(s) for s in a) / len(a) + sum(F.logsigmoid(-s) for s in b) / len(b),
        lambda s_real, s_fake: torch.distributions.Bernoulli(logits=s_real).log_prob(torch.ones_like(s_real)).mean()
        + torch.distributions.Bernoulli(logits=s_fake).log_prob(torch.zeros_like(s_fake)).mean(),
    ],
    "05.2": [
        lambda a, b: 1 / (1 + (b - a).exp()),
        lambda a, b: (a - torch.logaddexp(a, b)).exp(),
        lambda a, b: torch.softmax(torch.stack([a, b], dim=1), dim=1)[:, 0],
        lambda a, b: np.exp(a.numpy() - np.logaddexp(a.numpy(), b.numpy())),
        lambda a, b: [1 / (1 + math.exp(v - u)) for u, v in zip(a.tolist(), b.tolist(), strict=True)],
        lambda log_p_r, log_p_g: 1 - torch.sigmoid(log_p_g - log_p_r),
    ],
    "05.3": [
        lambda s: (-1 / (1 + (-s).exp()), -1 / (1 + s.exp())),
        lambda s: [-s.sigmoid(), s.sigmoid() - 1],
        lambda s: torch.stack([-s.sigmoid(), -(-s).sigmoid()]),
        lambda s: tuple(
            torch.autograd.grad(loss(x := s.clone().requires_grad_(True)).sum(), x)[0]
            for loss in (lambda x: -F.softplus(x), lambda x: F.softplus(-x))
        ),
        lambda s: (-1 / (1 + np.exp(-s.numpy())), -1 / (1 + np.exp(s.numpy()))),
        lambda score: (-torch.sigmoid(score), torch.sigmoid(score).sub(1)),
    ],
    "05.4": [
        lambda p, q: 0.5 * _kl(p, (p + q) / 2) + 0.5 * _kl(q, (p + q) / 2),
        _js_loop,
        lambda p, q: jensenshannon(p, q) ** 2,
        lambda p, q: (torch.xlogy(p, p).sum() + torch.xlogy(q, q).sum()) / 2 - torch.xlogy((p + q) / 2, (p + q) / 2).sum(),
        lambda p, q: torch.distributions.Categorical((p + q) / 2).entropy() - 0.5 * (
            torch.special.entr(p).sum() + torch.special.entr(q).sum()
        ),
        lambda p, q: 0.5 * (F.kl_div(((p + q) / 2).clamp(min=1e-300).log(), p, reduction="sum")
                            + F.kl_div(((p + q) / 2).clamp(min=1e-300).log(), q, reduction="sum")),
    ],
    "05.5": [
        _one_by_one,
        _func,
        lambda c, w, x, g: g / 2 * _slopes(c, w, x).norm(dim=1).square().mean(),
        lambda c, w, x, g: 0.5 * g * (_slopes(c, w, x) ** 2).sum() / len(x),
        lambda critic, weights, x, gamma: gamma * torch.einsum(
            "ij,ij->", _slopes(critic, weights, x), _slopes(critic, weights, x)) / 2 / x.shape[0],
        lambda c, w, x, g: (g / 2) * torch.linalg.vector_norm(_slopes(c, w, x), dim=1).pow(2).mean(),
    ],
    "05.6": [
        _filled,
        _path,
        lambda f, w, e, n: _path(f, w.clone(), e, n).clone(),
        lambda f, w, e, n: list(_path(f, w, e, n)),
        lambda field, w, eta, steps: _path(field, w, eta, steps).numpy(),
        lambda f, w, e, n: torch.cat([row[None] for row in _filled(f, w, e, n)]),
    ],
    "05.7": [
        _by_differences, _by_formula, lambda losses: _by_differences(losses) and _by_formula(losses),
        lambda losses: bool(_by_formula(losses)), lambda losses: int(_by_formula(losses)), lambda losses: not _by_formula(losses) - 1,
    ],
}  # fmt: skip
