"""Answers to the exercises of lesson 03: wrong ones with a word that a named cause must hold, right ones in other styles."""

import math

import numpy as np
import torch
from torch.distributions import Bernoulli, Normal, kl_divergence
from torch.nn import functional as F

NAMED = 0.93  # the share of wrong answers whose cause is told, as reached, less two points
_OF_ONE_NUMBER = [
    "the sum over everything is taken", "the mean over everything is taken", "a sum over the first axis is taken",
    "a mean over the first axis is taken", "a sum over the last axis is taken", "a mean over the last axis is taken",
    "the order is turned round",
]  # fmt: skip
_SHAPE = [
    "in one place, x_hat stands for x", "in one place, a square root is taken of x", "in one place, x is squared",
    "in one place, x is one too large", "in one place, x is one too small", "x.shape is doubled",
    "in one place, the sign of x is turned", "in one place, 1 − x stands for x", "in one place, x is doubled",
    "in one place, x is halved", "in one place, 1 is divided by x", "in one place, a logarithm is taken of x",
]  # fmt: skip
SURVIVORS = {  # mutants of the solution that are no mistakes, each with the reason
    "03.1": dict.fromkeys(["a square root is taken of x", "x is squared"], "x is 0 or 1"),
    "03.2": dict.fromkeys(_OF_ONE_NUMBER, "it is one number")
    | dict.fromkeys(_SHAPE, "only the shape is used there")
    | dict.fromkeys(
        [
            "x and x_hat are exchanged",
            "a difference is the other way round: x_hat comes first, and x is subtracted",
            "in one place, a difference is the other way round: x_hat comes first, and x is subtracted",
            "the sign of x − x_hat is turned",
            "in one place, the sign of x − x_hat is turned",
        ],
        "it is squared",
    ),
    "03.3": dict.fromkeys(_OF_ONE_NUMBER, "it is one number")
    | dict.fromkeys(
        [
            "a difference is the other way round: something of decode comes first, and x is subtracted",
            "the sign of a difference of x is turned",
            "the sign of σ is turned",
            "in one place, the sign of mu is turned",
        ],
        "it is squared",
    ),
    "03.4": dict.fromkeys(
        ["mu is one too large", "mu is one too small", "the sign of mu is turned", "1 − mu stands for mu"],
        "the variance does not change",
    )
    | {
        "mu.var(0) may equal 0.01, and should not": "it never does",
        "int(…) is missing": "a whole number is one in any type",
    },
    "03.5": dict.fromkeys(_OF_ONE_NUMBER, "it is one number"),
    "03.6": dict.fromkeys(
        [
            f"{what} is {change}"
            for what in ("log_p + log(prior)", "log_p", "log(prior)")
            for change in ("one too large", "one too small")
        ]
        + ["prior is doubled", "prior is halved"],
        "the softmax takes it out",
    )
    | {"the result is clipped to −1 … 1": "a probability lies there"},
}


def _z(mu, logvar, eps):
    return mu + (0.5 * logvar).exp() * eps


def _kl(mu, logvar):
    return 0.5 * (mu**2 + logvar.exp() - 1 - logvar).sum(1)


def _squares(decode, z, x):
    return (decode(z) - x).square().sum(1)


def _kl_only(loss):
    mu, logvar = torch.randn(2, 4, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    x = torch.zeros(4, 2, dtype=torch.float64)
    return (
        abs(
            float(loss(mu, logvar, lambda z: x + 0 * z.sum(), x, torch.zeros_like(mu), 1.0))
            - float(_kl(mu, logvar).mean())
        )
        < 1e-6
    )


def _value_only(loss):
    g = torch.Generator().manual_seed(1)
    mu, logvar, eps = torch.randn(3, 4, 3, generator=g, dtype=torch.float64)
    x, W = torch.randn(4, 5, generator=g, dtype=torch.float64), torch.randn(3, 5, generator=g, dtype=torch.float64)
    want = (_squares(lambda z: z @ W, _z(mu, logvar, eps), x) / (2 * 0.7**2) + _kl(mu, logvar)).mean()
    return abs(float(loss(mu, logvar, lambda z: z @ W, x, eps, 0.7)) - float(want)) < 1e-6


def _value_and_gradient(loss):
    g = torch.Generator().manual_seed(2)
    mu, logvar, eps = torch.randn(3, 4, 3, generator=g, dtype=torch.float64)
    x, W = torch.randn(4, 5, generator=g, dtype=torch.float64), torch.randn(3, 5, generator=g, dtype=torch.float64)
    found = []
    for function in (loss, vae_loss):
        a, b, w = (v.clone().requires_grad_() for v in (mu, logvar, W))
        value = function(a, b, lambda z, w=w: torch.tanh(z @ w), x, eps, 0.7)
        if not torch.is_tensor(value) or value.ndim or not value.requires_grad:
            return False
        grads = torch.autograd.grad(value, (a, b, w), allow_unused=True)
        if any(grad is None for grad in grads):
            return False
        found.append([value.detach().reshape(1), *(grad.flatten() for grad in grads)])
    return torch.allclose(torch.cat(found[0]), torch.cat(found[1]))


def vae_loss(mu, logvar, decode, x, eps, sigma):
    return (_squares(decode, _z(mu, logvar, eps), x) / (2 * sigma**2) + _kl(mu, logvar)).mean()


WRONG = {
    "03.1": [
        (lambda logit, x: F.binary_cross_entropy_with_logits(logit, x, reduction="none").sum(1), "sign|cross-entropy"),
        (lambda logit, x: -F.binary_cross_entropy_with_logits(logit, x, reduction="none").mean(1), "average|mean"),
        (lambda logit, x: -F.binary_cross_entropy_with_logits(logit, x, reduction="sum"), "batch|shape"),
        (lambda logit, x: (x * F.logsigmoid(logit)).sum(1), "white|black"),
        (lambda logit, x: (x * torch.sigmoid(logit).log() + (1 - x) * (1 - torch.sigmoid(logit)).log()).sum(1), "NaN|−∞"),
        (lambda logit, x: ((1 - x) * logit - F.softplus(logit)).sum(1), "exchanged"),
        (lambda logit, x: (x * torch.sigmoid(logit) + (1 - x) * torch.sigmoid(-logit)).sum(1), "probabilities|logarithm"),
        (lambda logit, x: (x * logit).sum(1), "missing|without|log"),
        (lambda logit, x: (x * logit - F.softplus(-logit)).sum(1), "sign"),
        (lambda logit, x: -((x - torch.sigmoid(logit)) ** 2).sum(1), ""),
    ],
    "03.2": [
        (lambda x, x_hat: ((x - x_hat).square().mean(), 0.5 * x.shape[1] * (torch.log(2 * math.pi * (x - x_hat).square().mean()) + 1)), "variance"),
        (lambda x, x_hat: ((x - x_hat).square().mean().sqrt(), 0.5 * x.shape[1]), "log|factor"),
        (lambda x, x_hat: ((x - x_hat).square().mean().sqrt(), 0.5 * x.shape[1] * torch.log(2 * math.pi * (x - x_hat).square().mean())), "squared error|d/2|1"),
        (lambda x, x_hat: ((x - x_hat).square().mean().sqrt(), 0.5 * (torch.log(2 * math.pi * (x - x_hat).square().mean()) + 1)), "pixel"),
        (lambda x, x_hat: ((x - x_hat).square().mean().sqrt(), 0.5 * len(x) * (torch.log(2 * math.pi * (x - x_hat).square().mean()) + 1)), "images|batch"),
        (lambda x, x_hat: ((x - x_hat).square().mean().sqrt(), -0.5 * x.shape[1] * (torch.log(2 * math.pi * (x - x_hat).square().mean()) + 1)), "sign"),
        (lambda x, x_hat: ((x - x_hat).std(), 0.5 * x.shape[1] * (torch.log(2 * math.pi * (x - x_hat).var()) + 1)), "mean|variance"),
        (lambda x, x_hat: ((x - x_hat).square().sum(1).mean().sqrt(), 0.5 * x.shape[1] * (torch.log(2 * math.pi * (x - x_hat).square().sum(1).mean()) + 1)), "whole image|pixel"),
        (lambda x, x_hat: ((x - x_hat).abs().mean(), 0.5 * x.shape[1] * (torch.log(2 * math.pi * (x - x_hat).abs().mean() ** 2) + 1)), ""),
    ],
    "03.3": [
        (lambda mu, logvar, decode, x, eps, sigma: (_squares(decode, mu + logvar.exp() * eps, x) / (2 * sigma**2) + _kl(mu, logvar)).mean(), "deviation|variance"),
        (lambda mu, logvar, decode, x, eps, sigma: (_squares(decode, mu, x) / (2 * sigma**2) + _kl(mu, logvar)).mean(), "draw|μ"),
        (lambda mu, logvar, decode, x, eps, sigma: F.mse_loss(decode(_z(mu, logvar, eps)), x) / (2 * sigma**2) + _kl(mu, logvar).mean(), "averaged"),
        (lambda mu, logvar, decode, x, eps, sigma: F.mse_loss(decode(_z(mu, logvar, eps)), x) + _kl(mu, logvar).mean(), "mse_loss"),
        (lambda mu, logvar, decode, x, eps, sigma: (_squares(decode, _z(mu, logvar, eps), x) + _kl(mu, logvar)).mean(), "σ"),
        (lambda mu, logvar, decode, x, eps, sigma: (_squares(decode, _z(mu, logvar, eps), x) / (2 * sigma**2) - _kl(mu, logvar)).mean(), "subtracted|sign"),
        (lambda mu, logvar, decode, x, eps, sigma: -(_squares(decode, _z(mu, logvar, eps), x) / (2 * sigma**2) + _kl(mu, logvar)).mean(), "sign|minus"),
        (lambda mu, logvar, decode, x, eps, sigma: (_squares(decode, _z(mu, logvar, eps), x) / (2 * sigma) + _kl(mu, logvar)).mean(), "σ"),
        (lambda mu, logvar, decode, x, eps, sigma: (_squares(decode, _z(mu, logvar, eps), x) / (2 * sigma**2)).mean(), "KL"),
        (lambda mu, logvar, decode, x, eps, sigma: (_squares(decode, _z(mu, logvar, eps), x) / (2 * sigma**2) + _kl(mu, logvar)).sum(), "batch|sum"),
        (lambda mu, logvar, decode, x, eps, sigma: (_squares(decode, _z(mu, logvar, eps).detach(), x) / (2 * sigma**2) + _kl(mu, logvar)).mean(), "detached|gradient"),
        (lambda mu, logvar, decode, x, eps, sigma: vae_loss(mu, logvar, decode, x, eps, sigma).item(), "gradient|number"),
    ],
    "03.4": [
        (lambda mu: int((mu.std(0) > 0.01).sum()), "deviation"),
        (lambda mu: int((mu.mean(0).abs() > 0.01).sum()), "mean"),
        (lambda mu: int((mu.square().mean(0) > 0.01).sum()), "square"),
        (lambda mu: int((mu.var(1) > 0.01).sum()), "images|latent"),
        (lambda mu: int((mu.var(0) < 0.01).sum()), "not active|<|exchanged|those"),
        (lambda mu: float((mu.var(0) > 0.01).double().mean()), "share"),
        (lambda mu: int((mu.var(0) > 0.1).sum()), ""),
        (lambda mu: mu.shape[1], "how many there are"),
        (lambda mu: int((mu.abs() > 0.01).sum()), "all numbers"),
    ],
    "03.5": [
        (lambda kl, lam: kl.clamp(min=lam).mean(0).sum(), "each image|average"),
        (lambda kl, lam: kl.mean(0).sum().clamp(min=lam), "spared|total"),
        (lambda kl, lam: kl.mean(0).clamp(max=lam).sum(), "min|max"),
        (lambda kl, lam: (kl.mean(0) - lam).clamp(min=0).sum(), "taken off|smaller"),
        (lambda kl, lam: kl.mean(0).clamp(min=lam).mean(), "averaged|mean"),
        (lambda kl, lam: kl.sum(0).clamp(min=lam).sum(), "batch|sum"),
        (lambda kl, lam: kl.mean(1).clamp(min=lam).sum(), "latent|average"),
        (lambda kl, lam: kl.mean(0).sum(), "spared"),
        (lambda kl, lam: kl.mean(0).detach().clamp(min=lam).sum(), "detached|gradient"),
    ],
    "03.6": [
        (lambda log_p, prior: log_p.softmax(1), "rare|p\\(y\\)"),
        (lambda log_p, prior: (log_p + prior).softmax(1), "logarithm"),
        (lambda log_p, prior: log_p.exp() * prior / (log_p.exp() * prior).sum(1, keepdim=True), "NaN|computer"),
        (lambda log_p, prior: (log_p + prior.log()).softmax(0), "images|axis"),
        (lambda log_p, prior: (log_p + prior.log()).log_softmax(1), "logarithm"),
        (lambda log_p, prior: (log_p - prior.log()).softmax(1), "divided|sign"),
        (lambda log_p, prior: (log_p + prior.log()).argmax(1), "class"),
        (lambda log_p, prior: log_p + prior.log(), "add up|p\\(x\\)|softmax"),
        (lambda log_p, prior: (log_p * prior).softmax(1), "multiplied"),
        (lambda log_p, prior: log_p.softmax(1) * prior, "after the softmax"),
    ],
    "03.7": [
        (lambda loss: True, "accepts"),
        (lambda loss: False, "refuses"),
        (_kl_only, "accepts"),
        (_value_only, "accepts"),
        (lambda loss: not _value_and_gradient(loss), "refuses"),
        (lambda loss: loss is not None, "accepts"),
        (lambda loss: float(loss(torch.zeros(2, 1), torch.zeros(2, 1), lambda z: z, torch.zeros(2, 1), torch.zeros(2, 1), 1.0)) == 0, "accepts"),
        (lambda loss: float(loss(torch.zeros(2, 1), torch.zeros(2, 1), lambda z: z, torch.ones(2, 1), torch.zeros(2, 1), 1.0)) == 0.5, "accepts"),
    ],
}  # fmt: skip


def _loops(mu, logvar, decode, x, eps, sigma):
    x_hat = decode(mu + torch.sqrt(torch.exp(logvar)) * eps)
    total = 0.0
    for i in range(len(x)):
        total = total + ((x[i] - x_hat[i]) ** 2).sum() / (2 * sigma**2)
        total = total - 0.5 * (1 + logvar[i] - mu[i] ** 2 - logvar[i].exp()).sum()
    return total / len(x)


def _with_torch(mu, logvar, decode, x, eps, sigma):
    q = Normal(mu, (0.5 * logvar).exp())
    x_hat = decode(q.loc + q.scale * eps)
    kl = kl_divergence(q, Normal(torch.zeros_like(mu), torch.ones_like(mu))).sum(-1)
    nats = -Normal(x_hat, sigma).log_prob(x).sum(-1) - 0.5 * x.shape[1] * math.log(2 * math.pi * sigma**2)
    return (nats + kl).mean()


RIGHT = {
    "03.1": [
        lambda logit, x: Bernoulli(logits=logit).log_prob(x).sum(1),
        lambda logit, x: -F.binary_cross_entropy_with_logits(logit, x, reduction="none").sum(dim=-1),
        lambda logit, x: (x * F.logsigmoid(logit) + (1 - x) * F.logsigmoid(-logit)).sum(1),
        lambda logit, x: F.logsigmoid((2 * x - 1) * logit).sum(1),
        lambda logit, x: torch.where(x == 1, F.logsigmoid(logit), F.logsigmoid(-logit)).sum(1),
        lambda logit, x: -np.logaddexp(0, ((1 - 2 * x) * logit).numpy()).sum(1),
        lambda logit, x: torch.stack([F.logsigmoid((2 * a - 1) * b).sum() for a, b in zip(x, logit, strict=True)]),
    ],
    "03.2": [
        lambda x, x_hat: (F.mse_loss(x_hat, x).sqrt(), x.shape[1] / 2 * (1 + torch.log(2 * math.pi * F.mse_loss(x_hat, x)))),
        lambda x, x_hat: (float(np.sqrt(((x - x_hat).numpy() ** 2).mean())), float(x.shape[1] / 2 * np.log(2 * np.pi * np.e * ((x - x_hat).numpy() ** 2).mean()))),
        lambda x, x_hat: (s := (x - x_hat).pow(2).mean().sqrt(), -Normal(x_hat, s).log_prob(x).sum(1).mean()),
        lambda x, x_hat: [((x - x_hat) ** 2).mean() ** 0.5, x.shape[-1] * (math.log(2 * math.pi) / 2 + (((x - x_hat) ** 2).mean() ** 0.5).log() + 0.5)],
        lambda x, x_hat: ((x - x_hat).norm() / x.numel() ** 0.5, 0.5 * x.shape[1] * (torch.log(2 * math.pi * (x - x_hat).norm() ** 2 / x.numel()) + 1)),
        lambda x, x_hat: (((x_hat - x) ** 2).sum(1).mean().div(x.shape[1]).sqrt(), 0.5 * x.shape[1] * (((x_hat - x) ** 2).mean().log() + math.log(2 * math.pi) + 1)),
    ],
    "03.3": [
        vae_loss, _loops, _with_torch,
        lambda mu, logvar, decode, x, eps, sigma: F.mse_loss(decode(_z(mu, logvar, eps)), x, reduction="sum") / len(x) / (2 * sigma**2) + _kl(mu, logvar).mean(),
        lambda mu, logvar, decode, x, eps, sigma: (_squares(decode, torch.addcmul(mu, (logvar / 2).exp(), eps), x) / (2 * sigma**2)).mean() + _kl(mu, logvar).mean(),
        lambda mu, logvar, decode, x, eps, sigma: x.shape[1] * F.mse_loss(decode(_z(mu, logvar, eps)), x) / (2 * sigma**2) + _kl(mu, logvar).mean(),
    ],
    "03.4": [
        lambda mu: int((mu.var(dim=0) > 1e-2).sum().item()),
        lambda mu: sum(1 for column in mu.T if column.var() > 0.01),
        lambda mu: int(np.sum(mu.numpy().var(0, ddof=1) > 0.01)),
        lambda mu: int((mu.std(0) > 0.1).sum()),
        lambda mu: (torch.cov(mu.T).diagonal() > 0.01).sum(),
        lambda mu: int(torch.count_nonzero((mu - mu.mean(0)).square().sum(0) / (len(mu) - 1) > 0.01)),
    ],
    "03.5": [
        lambda kl, lam: torch.clamp(kl.mean(0), min=lam).sum(),
        lambda kl, lam: torch.maximum(kl.mean(dim=0), torch.as_tensor(lam, dtype=kl.dtype)).sum(),
        lambda kl, lam: (F.relu(kl.mean(0) - lam) + lam).sum(),
        lambda kl, lam: sum(max(column.mean(), torch.tensor(lam).to(column)) for column in kl.T),
        lambda kl, lam: torch.where(kl.mean(0) > lam, kl.mean(0), torch.full_like(kl[0], lam)).sum(),
        lambda kl, lam: (kl.sum(0) / len(kl)).clamp(lam).sum(),
    ],
    "03.6": [
        lambda log_p, prior: torch.softmax(log_p + torch.log(prior), dim=-1),
        lambda log_p, prior: ((log_p + prior.log()) - (log_p + prior.log()).logsumexp(1, keepdim=True)).exp(),
        lambda log_p, prior: (log_p - log_p.amax(1, keepdim=True)).exp() * prior / ((log_p - log_p.amax(1, keepdim=True)).exp() * prior).sum(1, keepdim=True),
        lambda log_p, prior: torch.stack([(row + prior.log()).softmax(0) for row in log_p]),
        lambda log_p, prior: F.normalize((log_p - log_p.amax(1, keepdim=True)).exp() * prior, p=1, dim=1),
        lambda log_p, prior: (log_p.numpy() + np.log(prior.numpy()) - np.logaddexp.reduce(log_p.numpy() + np.log(prior.numpy()), 1)[:, None]),
    ],
    "03.7": [_value_and_gradient] * 6,
}  # fmt: skip
RIGHT["03.6"][-1] = lambda log_p, prior: np.exp(
    log_p.numpy() + np.log(prior.numpy()) - np.logaddexp.reduce(log_p.numpy() + np.log(prior.numpy()), 1)[:, None]
)
