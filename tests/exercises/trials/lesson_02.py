"""Answers to the exercises of lesson 02: wrong ones with a word that a named cause must hold, right ones in other styles."""

import math

import numpy as np
import torch
from scipy.special import logsumexp
from torch.distributions import Normal, kl_divergence

NAMED = 0.98  # the share of wrong answers whose cause is told, as reached, less two points
_SHAPE = [
    "1 is divided by log_ratio", "1 − log_ratio stands for log_ratio", "a logarithm is taken of log_ratio",
    "a square root is taken of log_ratio", "log_ratio is doubled", "log_ratio is halved", "log_ratio is one too large",
    "log_ratio is one too small", "log_ratio is squared", "the sign of log_ratio is turned",
]  # fmt: skip
_OF_ONE_NUMBER = [
    "a mean over the first axis is taken", "a mean over the last axis is taken", "a sum over the first axis is taken",
    "a sum over the last axis is taken", "the mean over everything is taken", "the sum over everything is taken", "the order is turned round",
]  # fmt: skip
SURVIVORS = {  # mutants of the solution that are no mistakes, each with the reason
    "02.1": {"the sign of mu is turned": "it is squared"},
    "02.2": dict.fromkeys(_OF_ONE_NUMBER, "it is one number"),
    "02.3": dict.fromkeys(_OF_ONE_NUMBER, "it is one number")
    | dict.fromkeys(["log_joint is one too large", "log_joint is one too small"], "the softmax takes it out")
    | {"-1 stands for 0": "there is one axis"},
    "02.5": dict.fromkeys(
        ["a difference is the other way round: mu comes first, and z is subtracted", "the sign of z − mu is turned"],
        "it is squared",
    )
    | {"1 is missing above the fraction bar": "1 is what stands there"},
    "02.6": dict.fromkeys([f"in one place, {what}" for what in _SHAPE], "only the shape is used there")
    | {"log_ratio.shape is doubled": "a shape twice in a row has the same second entry"},
}


def _touches_only(elbo):
    log_joint = torch.tensor([-1.0, -2.0, -0.5], dtype=torch.float64)
    return abs(float(elbo(log_joint.softmax(0), log_joint)) - float(log_joint.logsumexp(0))) < 1e-6


def _below_only(elbo):
    log_joint = torch.tensor([-1.0, -2.0, -0.5], dtype=torch.float64)
    return float(elbo(torch.tensor([0.2, 0.3, 0.5], dtype=torch.float64), log_joint)) <= float(log_joint.logsumexp(0))


def _by_sum(elbo):
    for seed in range(6):
        generator = torch.Generator().manual_seed(seed)
        q, log_joint = torch.randn(2, 4, generator=generator, dtype=torch.float64)
        q = q.softmax(0)
        expected = sum(float(a) * (float(b) - math.log(float(a))) for a, b in zip(q, log_joint, strict=True))
        if abs(float(elbo(q, log_joint)) - expected) > 1e-6:
            return False
    return True


WRONG = {
    "02.1": [
        (lambda mu, logvar: 0.5 * (mu**2 + logvar.exp() - 1 - logvar).mean(1), "mean"),
        (lambda mu, logvar: 0.5 * (mu**2 + logvar.exp() - 1 - logvar).sum(), "batch|shape"),
        (lambda mu, logvar: (mu**2 + logvar.exp() - 1 - logvar).sum(1), "½|half|twice|0.5"),
        (lambda mu, logvar: -0.5 * (mu**2 + logvar.exp() - 1 - logvar).sum(1), "sign"),
        (lambda mu, logvar: 0.5 * (mu**2 + logvar.exp() - 1 + logvar).sum(1), "sign"),
        (lambda mu, logvar: 0.5 * (mu**2 + (0.5 * logvar).exp() - 1 - logvar).sum(1), "σ²|σ"),
        (lambda mu, logvar: 0.5 * (mu + logvar.exp() - 1 - logvar).sum(1), "squared|μ"),
        (lambda mu, logvar: 0.5 * (logvar.exp() - 1 - logvar).sum(1), "mean's"),
        (lambda mu, logvar: 0.5 * (mu**2 + logvar.exp() - logvar).sum(1), "1|off|missing"),
    ],
    "02.2": [
        (lambda q, log_joint: (q * (q.log() - log_joint)).sum(), "sign"),
        (lambda q, log_joint: (q * log_joint).sum(), "entropy"),
        (lambda q, log_joint: log_joint.logsumexp(0), "log p|bound"),
        (lambda q, log_joint: (log_joint - q.log()).mean(), "same|expectation|mean"),
        (lambda q, log_joint: (q * (log_joint + q.log())).sum(), "added|sign"),
        (lambda q, log_joint: (q * (log_joint.exp() / q)).sum().log(), "average|log p"),
        (lambda q, log_joint: (q * (log_joint - q)).sum(), "logarithm"),
        (lambda q, log_joint: (log_joint - q.log()).sum(), "q"),
        (lambda q, log_joint: q * (log_joint - q.log()), "shape"),
    ],
    "02.3": [
        (lambda q, log_joint: (log_joint.softmax(0) * (log_joint.log_softmax(0) - q.log())).sum(), "from q|under q"),
        (lambda q, log_joint: (q * (q.log() - log_joint)).sum(), "joint"),
        (lambda q, log_joint: (q * (log_joint.log_softmax(0) - q.log())).sum(), "sign"),
        (lambda q, log_joint: ((q - log_joint.softmax(0)) ** 2).sum(), "squared"),
        (lambda q, log_joint: 0.5 * (q - log_joint.softmax(0)).abs().sum(), "total variation"),
        (lambda q, log_joint: -(q * log_joint.log_softmax(0)).sum(), "entropy"),
        (lambda q, log_joint: (q.log() - log_joint.log_softmax(0)).mean(), "under q"),
        (lambda q, log_joint: 0 * q.sum(), "0 everywhere"),
    ],
    "02.4": [
        (lambda mu, logvar, eps: mu + logvar.exp() * eps, "variance|deviation"),
        (lambda mu, logvar, eps: mu + logvar * eps, "logarithm"),
        (lambda mu, logvar, eps: mu + eps, "whatever|missing"),
        (lambda mu, logvar, eps: mu + (2 * logvar).exp() * eps, "squared|2"),
        (lambda mu, logvar, eps: mu.detach() + (0.5 * logvar.detach()).exp() * eps, "gradient"),
        (lambda mu, logvar, eps: (0.5 * logvar).exp() * eps, "mean|mu|missing"),
        (lambda mu, logvar, eps: mu - (0.5 * logvar).exp() * eps, "sign"),
        (lambda mu, logvar, eps: mu + (0.5 * logvar).exp() * torch.randn_like(eps), "own|chance|random"),
    ],
    "02.5": [
        (lambda z, f, mu, sigma: f * (z - mu) / sigma**2, "μ"),
        (lambda z, f, mu, sigma: f * (z - mu) ** 2 / sigma**3, "log σ|1/σ|missing"),
        (lambda z, f, mu, sigma: f * ((z - mu) ** 2 / sigma**2 - 1 / sigma), "power|σ²|2"),
        (lambda z, f, mu, sigma: f * ((z - mu) ** 2 / sigma**4 - 1 / sigma**2) / 2, "σ²"),
        (lambda z, f, mu, sigma: (z - mu) ** 2 / sigma**3 - 1 / sigma, "values of f|f"),
        (lambda z, f, mu, sigma: (f * ((z - mu) ** 2 / sigma**3 - 1 / sigma)).mean(), "mean|each draw"),
        (lambda z, f, mu, sigma: -f * ((z - mu) ** 2 / sigma**3 - 1 / sigma), "sign"),
        (lambda z, f, mu, sigma: f * ((z - mu) ** 2 / sigma**3 + 1 / sigma), "sign"),
        (lambda z, f, mu, sigma: f * ((z - mu) / sigma**3 - 1 / sigma), "squared|square"),
    ],
    "02.6": [
        (lambda log_ratio: log_ratio.logsumexp(1), "log k|sum"),
        (lambda log_ratio: log_ratio.mean(1), "ELBO|mean"),
        (lambda log_ratio: log_ratio.exp().mean(1).log(), "computer|infinite|−∞|inf"),
        (lambda log_ratio: log_ratio.amax(1), "largest"),
        (lambda log_ratio: log_ratio.logsumexp(1) / log_ratio.shape[1], "outside|divided"),
        (lambda log_ratio: log_ratio.logsumexp(0) - math.log(len(log_ratio)), "batch|shape"),
        (lambda log_ratio: log_ratio.logsumexp(1) + math.log(log_ratio.shape[1]), "sign"),
        (lambda log_ratio: log_ratio.logsumexp(1) - math.log(len(log_ratio)), "0 stands for 1|how many x"),
    ],
    "02.7": [
        (_touches_only, "q plays no part"),
        (_below_only, "accepts a wrong"),
        (lambda elbo: True, "accepts a wrong"),
        (lambda elbo: False, "refuses"),
        (lambda elbo: not _by_sum(elbo), "refuses"),
        (
            lambda elbo: float(elbo(torch.tensor([0.5, 0.5]).double(), torch.tensor([-1.0, -1.0]).double())) < 0,
            "accepts a wrong",
        ),
        (lambda elbo: _touches_only(elbo) and _below_only(elbo) and False, "refuses"),
        (lambda elbo: elbo is not None, "accepts a wrong"),
    ],
}


def _gap_loop(q, log_joint):
    log_p = math.log(sum(math.exp(float(v)) for v in log_joint))
    return sum(float(a) * (math.log(float(a)) - (float(b) - log_p)) for a, b in zip(q, log_joint, strict=True))


RIGHT = {
    "02.1": [
        lambda mu, logvar: -0.5 * torch.sum(1 + logvar - mu.pow(2) - logvar.exp(), dim=1),
        lambda mu, logvar: kl_divergence(Normal(mu, (0.5 * logvar).exp()), Normal(0.0, 1.0)).sum(1),
        lambda mu, logvar: torch.stack(
            [(0.5 * (m**2 + v.exp() - 1 - v)).sum() for m, v in zip(mu, logvar, strict=True)]
        ),
        lambda mu, logvar: 0.5 * (mu.numpy() ** 2 + np.exp(logvar.numpy()) - 1 - logvar.numpy()).sum(1),
        lambda mu, logvar: (0.5 * (mu**2 + logvar.exp() - 1 - logvar)).float().sum(-1),
        lambda mu, logvar: ((0.5 * logvar).exp() ** 2 / 2 + mu * mu / 2 - 0.5 - logvar / 2).sum(dim=1),
    ],
    "02.2": [
        lambda q, log_joint: torch.sum(q * log_joint) - torch.sum(q * torch.log(q)),
        lambda q, log_joint: q @ (log_joint - q.log()),
        lambda q, log_joint: sum(a * (b - a.log()) for a, b in zip(q, log_joint, strict=True)),
        lambda q, log_joint: float((q.numpy() * (log_joint.numpy() - np.log(q.numpy()))).sum()),
        lambda q, log_joint: log_joint.logsumexp(0) - (q * (q.log() - log_joint.log_softmax(0))).sum(),
        lambda q, log_joint: (q * (log_joint.float() - q.log())).sum(),
    ],
    "02.3": [
        _gap_loop,
        lambda q, log_joint: (q * (q / log_joint.softmax(0)).log()).sum(),
        lambda q, log_joint: q @ (q.log() - log_joint + log_joint.logsumexp(0)),
        lambda q, log_joint: torch.nn.functional.kl_div(log_joint.log_softmax(0), q, reduction="sum"),
        lambda q, log_joint: float(
            (q.numpy() * (np.log(q.numpy()) - log_joint.numpy() + logsumexp(log_joint.numpy()))).sum()
        ),
        lambda q, log_joint: kl_divergence(
            torch.distributions.Categorical(q), torch.distributions.Categorical(logits=log_joint)
        ),
    ],
    "02.4": [
        lambda mu, logvar, eps: mu + logvar.exp().sqrt() * eps,
        lambda mu, logvar, eps: torch.addcmul(mu, torch.exp(logvar / 2), eps),
        lambda mu, logvar, eps: eps * (0.5 * logvar).exp() + mu,
        lambda mu, logvar, eps: (mu + (0.5 * logvar).exp() * eps).float(),
        lambda mu, logvar, eps: mu + torch.exp(0.5 * logvar).mul(eps),
        lambda mu, logvar, eps: torch.stack([m + (v / 2).exp() * e for m, v, e in zip(mu, logvar, eps, strict=True)]),
    ],
    "02.5": [
        lambda z, f, mu, sigma: f * ((z - mu) ** 2 - sigma**2) / sigma**3,
        lambda z, f, mu, sigma: f / sigma * (((z - mu) / sigma) ** 2 - 1),
        lambda z, f, mu, sigma: f.numpy() * ((z.numpy() - mu) ** 2 / sigma**3 - 1 / sigma),
        lambda z, f, mu, sigma: torch.stack(
            [b * ((a - mu) ** 2 / sigma**3 - 1 / sigma) for a, b in zip(z, f, strict=True)]
        ),
        lambda z, f, mu, sigma: (f * (((z - mu) / sigma) ** 2 - 1) / sigma).float(),
        lambda z, f, mu, sigma: (
            f
            * torch.autograd.functional.jacobian(
                lambda s: Normal(mu, s).log_prob(z), torch.tensor(float(sigma), dtype=torch.float64)
            )
        ),
    ],
    "02.6": [
        lambda log_ratio: torch.logsumexp(log_ratio, dim=-1) - np.log(log_ratio.shape[-1]),
        lambda log_ratio: (log_ratio - math.log(log_ratio.shape[1])).logsumexp(1),
        lambda log_ratio: log_ratio.amax(1) + (log_ratio - log_ratio.amax(1, keepdim=True)).exp().mean(1).log(),
        lambda log_ratio: logsumexp(log_ratio.numpy(), axis=1, b=1 / log_ratio.shape[1]),
        lambda log_ratio: torch.stack([row.logsumexp(0) - math.log(len(row)) for row in log_ratio]),
        lambda log_ratio: log_ratio.float().logsumexp(1) - math.log(log_ratio.shape[1]),
    ],
    "02.7": [
        _by_sum,
        lambda elbo: bool(_by_sum(elbo)),
        lambda elbo: torch.tensor(_by_sum(elbo)),
        lambda elbo: _touches_only(elbo) and _by_sum(elbo),
        lambda elbo: 1 if _by_sum(elbo) else 0,
        lambda elbo: np.bool_(_by_sum(elbo)),
    ],
}
