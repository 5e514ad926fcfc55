"""Answers to the exercises of lesson 01: wrong ones with a word that a named cause must hold, right ones in other styles."""

import math

import numpy as np
import torch
from scipy.special import logsumexp
from scipy.stats import norm
from torch.nn import functional as F

NAMED = 0.90  # the share of wrong answers whose cause is told, as reached, less two points
SURVIVORS = {  # mutants of the solution that are no mistakes, each with the reason
    "01.1": dict.fromkeys(
        [f"{what} is one too {size}" for what in ("log(prior)", "log_likelihood", "log_likelihood + log(prior)") for size in ("large", "small")]
        + ["prior is doubled", "prior is halved"], "the softmax takes out what all classes have in common"
    )
    | {"the result is clipped to −1 … 1": "probabilities lie in it"},
    "01.2": dict.fromkeys(
        [f"in one place, level {sign} 1 stands for level" for sign in "+−"], "only the length of level is used there"
    ),
    "01.3": {"the sign of U is turned": "it goes in twice"},
    "01.4": dict.fromkeys(
        [
            f"{what} is one too {size}"
            for what in ("a difference of std", "a sum of weight", "log(std)", "log(weight)", "something of std", "the term with std")
            for size in ("large", "small")
        ]
        + ["in one place, std is doubled", "in one place, std is halved", "weight is doubled", "weight is halved"],
        "the softmax takes out what all components have in common",
    )
    | dict.fromkeys(
        [
            "a difference is the other way round: mean comes first, and x[:, None] is subtracted", "in one place, the sign of std is turned",
            "the sign of (x[:, None] − mean) / std is turned", "the sign of x[:, None] − mean is turned",
        ],
        "it is squared",
    )
    | {"the result is clipped to −1 … 1": "probabilities lie in it"},
    "01.5": {"the result is clipped to −1 … 1": "the cases' weights and means lie in it"},
    "01.6": dict.fromkeys(["-1 stands for 0", "in one place, -1 stands for 0"], "there is one axis"),
    "01.7": dict.fromkeys(
        ["-1e-09 is doubled", "2e-09 stands for 1e-09", "heights is halved", "heights.diff() is halved"], "another tolerance, as small"
    )
    | dict.fromkeys(["heights is one too large", "heights is one too small"], "a difference does not see it")
    | {"bool(…) is missing": "a tensor of one truth value is a truth value"},
}  # fmt: skip


def _loop_em(heights):
    previous = None
    for height in heights:
        if previous is not None and float(height) < float(previous) - 1e-9:
            return False
        previous = height
    return True


def _picked(level, table):
    return torch.stack([table[:, i, int(v)] for i, v in enumerate(level)], dim=1)


def _count_level(u, weight):
    z = torch.zeros(len(u), dtype=torch.long)
    for edge in weight.cumsum(0)[:-1]:
        z += (u >= edge).long()
    return z


def _loop_means(x, r):
    means = torch.zeros(r.shape[1], x.shape[1], dtype=x.dtype)
    for k in range(r.shape[1]):
        means[k] = sum(r[n, k] * x[n] for n in range(len(x))) / r[:, k].sum()
    return r.sum(0) / r.sum(), means


WRONG = {
    "01.1": [
        (lambda log_likelihood, prior: log_likelihood.softmax(1), "prior"),
        (lambda log_likelihood, prior: (log_likelihood + prior).softmax(1), "logarithm|prior"),
        (lambda log_likelihood, prior: (log_likelihood + prior.log()).exp(), "divided|exp"),
        (lambda log_likelihood, prior: (log_likelihood + prior.log()).softmax(0), "points"),
        (lambda log_likelihood, prior: (log_likelihood + prior.log()).log_softmax(1), "logarithm"),
        (lambda log_likelihood, prior: (log_likelihood - prior.log()).softmax(1), "sign|prior"),
        (
            lambda log_likelihood, prior: (
                log_likelihood.exp() * prior / (log_likelihood.exp() * prior).sum(1, keepdim=True)
            ),
            "NaN|computer|0",
        ),
        (lambda log_likelihood, prior: (log_likelihood * prior.log()).softmax(1), None),
        (lambda log_likelihood, prior: (log_likelihood + prior.log()).argmax(1), "most probable|shape"),
        (lambda log_likelihood, prior: prior.expand_as(log_likelihood), "prior alone"),
    ],
    "01.2": [
        (lambda level, table, prior: table[:, torch.arange(64), level].log().sum(1), "prior"),
        (lambda level, table, prior: prior + table[:, torch.arange(64), level].log().sum(1), "prior"),
        (lambda level, table, prior: prior.log() + table[:, torch.arange(64), level].log().mean(1), "mean"),
        (lambda level, table, prior: prior.log() + table[:, torch.arange(64), level].sum(1).log(), "added|sum"),
        (lambda level, table, prior: prior * table[:, torch.arange(64), level].prod(1), "logarithm|probability"),
        (lambda level, table, prior: prior.log() + table[:, 0, level].log().sum(1), "own|first"),
        (
            lambda level, table, prior: (prior.log() + table[:, torch.arange(64), level].log().sum(1)).log_softmax(0),
            "divided",
        ),
        (lambda level, table, prior: prior.log() - table[:, torch.arange(64), level].log().sum(1), "sign"),
        (lambda level, table, prior: prior.log() + table.log().sum((1, 2)), "all entries"),
    ],
    "01.3": [
        (lambda x, mean, U: x @ U @ U.T, "mean"),
        (lambda x, mean, U: mean + x @ U @ U.T, "mean"),
        (lambda x, mean, U: (x - mean) @ U @ U.T, "mean"),
        (lambda x, mean, U: (x - mean) @ U, "k numbers|shape"),
        (lambda x, mean, U: x - (mean + (x - mean) @ U @ U.T), "left over"),
        (lambda x, mean, U: mean - (x - mean) @ U @ U.T, "sign"),
        (lambda x, mean, U: (x + mean) @ U @ U.T + mean, "sign"),
        (lambda x, mean, U: mean.expand_as(x), "mean alone"),
        (lambda x, mean, U: x, "x itself"),
    ],
    "01.4": [
        (lambda x, weight, mean, std: norm_log(x, mean, std).softmax(1), "weights"),
        (
            lambda x, weight, mean, std: (weight.log() - 0.5 * ((x[:, None] - mean) / std) ** 2).softmax(1),
            "1/σ|std|wide",
        ),
        (lambda x, weight, mean, std: (weight.log() + norm_log(x, mean, std.sqrt())).softmax(1), "variance|root"),
        (lambda x, weight, mean, std: (weight.log() + norm_log(x, mean, std)).softmax(0), "points"),
        (lambda x, weight, mean, std: (weight.log() + norm_log(x, mean, std)).exp(), "divided"),
        (
            lambda x, weight, mean, std: F.one_hot(
                (weight.log() + norm_log(x, mean, std)).argmax(1), len(mean)
            ).double(),
            "k-means",
        ),
        (lambda x, weight, mean, std: (weight + norm_log(x, mean, std)).softmax(1), "weight"),
        (
            lambda x, weight, mean, std: (weight.log() - ((x[:, None] - mean) / std) ** 2 - std.log()).softmax(1),
            "½|half|0.5",
        ),
        (
            lambda x, weight, mean, std: (weight.log() + norm_log(x, mean, std)).softmax(1).T,
            "shape|exchanged|transposed",
        ),
        (lambda x, weight, mean, std: weight.expand(len(x), -1), "weights alone"),
    ],
    "01.5": [
        (lambda x, r: (r.sum(0), r.T @ x / r.sum(0)[:, None]), "how many|share"),
        (lambda x, r: (r.mean(0), r.T @ x / len(x)), "all points"),
        (lambda x, r: (r.mean(0), r.T @ x), "divide"),
        (lambda x, r: (r.mean(0), x.mean(0).expand(r.shape[1], -1)), "all points"),
        (lambda x, r: (r.T @ x / r.sum(0)[:, None], r.mean(0)), "exchanged|shape"),
        (lambda x, r: (r.mean(1), r.T @ x / r.sum(0)[:, None]), "shape"),
        (lambda x, r: (r.softmax(0).sum(0) / len(x), r.T @ x / r.sum(0)[:, None]), None),
        (
            lambda x, r: (torch.full((r.shape[1],), 1 / r.shape[1]).double(), r.T @ x / r.sum(0)[:, None]),
            "equal weights",
        ),
        (lambda x, r: (F.one_hot(r.argmax(1), r.shape[1]).double().mean(0), r.T @ x / r.sum(0)[:, None]), None),
    ],
    "01.6": [
        (
            lambda u, eps, weight, mean, std: mean[(u * len(weight)).long()] + std[(u * len(weight)).long()] * eps,
            "equally",
        ),
        (lambda u, eps, weight, mean, std: (weight * mean).sum() + (weight * std).sum() * eps, "none|mean of all"),
        (
            lambda u, eps, weight, mean, std: mean[_count_level(u, weight)] + std[_count_level(u, weight)] ** 2 * eps,
            "variance|squared",
        ),
        (
            lambda u, eps, weight, mean, std: mean[_count_level(u, weight)] + std[_count_level(u, weight)].sqrt() * eps,
            "standard deviation|root",
        ),
        (lambda u, eps, weight, mean, std: mean[_count_level(u, weight)], "means alone|missing"),
        (lambda u, eps, weight, mean, std: mean[_count_level(u, weight)] + eps, "wide|missing"),
        (
            lambda u, eps, weight, mean, std: (
                mean[_count_level(1 - u, weight)] + std[_count_level(1 - u, weight)] * eps
            ),
            "turned round|order",
        ),
        (lambda u, eps, weight, mean, std: mean[_count_level(u, weight)] - std[_count_level(u, weight)] * eps, "sign"),
        (lambda u, eps, weight, mean, std: mean[0] + std[0] * eps, "first component"),
    ],
    "01.7": [
        (lambda heights: bool(heights[-1] > heights[0]), "last|between"),
        (lambda heights: bool((heights.diff() > 0).all()), "stand still|rounding"),
        (lambda heights: bool((heights.diff() >= 0).all()), "rounding"),
        (lambda heights: bool((heights.diff() >= -1e-3).all()), "tolerance"),
        (lambda heights: bool((heights.diff() <= 0).all()), "turned"),
        (lambda heights: bool((heights.diff() >= -1e-9).any()), "every round"),
        (lambda heights: True, "always"),
        (lambda heights: False, "always"),
        (lambda heights: bool((heights < 0).all()), "negative"),
    ],
}


def norm_log(x, mean, std):
    return -0.5 * ((x[:, None] - mean) / std) ** 2 - std.log()


def _bayes_in_steps(log_likelihood, prior):
    log_joint = log_likelihood + torch.log(prior)
    log_joint = log_joint - log_joint.max(dim=1, keepdim=True).values
    p = torch.exp(log_joint)
    return p / p.sum(dim=1, keepdim=True)


RIGHT = {
    "01.1": [
        _bayes_in_steps,
        lambda log_likelihood, prior: torch.softmax(log_likelihood + prior.log()[None], dim=-1),
        lambda log_likelihood, prior: (log_likelihood + prior.log()).log_softmax(1).exp(),
        lambda log_likelihood, prior: (log_likelihood + prior.log()).float().softmax(1),
        lambda log_likelihood, prior: np.exp(
            (log_likelihood + prior.log()).numpy()
            - logsumexp((log_likelihood + prior.log()).numpy(), axis=1, keepdims=True)
        ),
        lambda log_likelihood, prior: torch.stack([(row + prior.log()).softmax(0) for row in log_likelihood]),
    ],
    "01.2": [
        lambda level, table, prior: _picked(level, table).log().sum(1) + prior.log(),
        lambda level, table, prior: (
            prior.log() + torch.stack([sum(table[k, i, level[i]].log() for i in range(64)) for k in range(10)])
        ),
        lambda level, table, prior: (
            prior.log() + table.gather(2, level.view(1, 64, 1).expand(10, 64, 1))[..., 0].log().sum(1)
        ),
        lambda level, table, prior: prior.log() + (table.log() * F.one_hot(level, 17)).sum((1, 2)),
        lambda level, table, prior: (
            np.log(prior.numpy()) + np.log(table.numpy()[:, np.arange(64), level.numpy()]).sum(1)
        ),
        lambda level, table, prior: torch.einsum("kil,il->k", table.log(), F.one_hot(level, 17).double()) + prior.log(),
    ],
    "01.3": [
        lambda x, mean, U: mean + (x - mean) @ (U @ U.T),
        lambda x, mean, U: torch.stack([mean + U @ (U.T @ (row - mean)) for row in x]),
        lambda x, mean, U: x - (x - mean) @ (torch.eye(len(mean)).double() - U @ U.T),
        lambda x, mean, U: (mean + (x - mean) @ U @ U.T).numpy(),
        lambda x, mean, U: torch.einsum("ni,ik,jk->nj", x - mean, U, U) + mean,
        lambda x, mean, U: (mean + (x - mean) @ torch.linalg.pinv(U).T @ U.T).float(),
    ],
    "01.4": [
        lambda x, weight, mean, std: (weight.log() + norm_log(x, mean, std)).softmax(1),
        lambda x, weight, mean, std: _joint(x, weight, mean, std) / _joint(x, weight, mean, std).sum(1, keepdim=True),
        lambda x, weight, mean, std: (
            torch.from_numpy(norm.pdf(x[:, None], mean, std))
            * weight
            / (torch.from_numpy(norm.pdf(x[:, None], mean, std)) * weight).sum(1)[:, None]
        ),
        lambda x, weight, mean, std: (
            weight.log() + torch.distributions.Normal(mean, std).log_prob(x.unsqueeze(1))
        ).softmax(dim=-1),
        lambda x, weight, mean, std: torch.stack(
            [_joint(v[None], weight, mean, std)[0] / _joint(v[None], weight, mean, std).sum() for v in x]
        ),
        lambda x, weight, mean, std: (weight.log() + norm_log(x, mean, std)).softmax(1).numpy(),
    ],
    "01.5": [
        _loop_means,
        lambda x, r: (r.mean(0), (r[:, :, None] * x[:, None]).sum(0) / r.sum(0)[:, None]),
        lambda x, r: (r.mean(dim=0), torch.einsum("nk,nd->kd", r, x) / r.sum(0).unsqueeze(1)),
        lambda x, r: [r.sum(0) / len(x), (r / r.sum(0)).T @ x],
        lambda x, r: (r.numpy().mean(0), (r.numpy().T @ x.numpy()) / r.numpy().sum(0)[:, None]),
        lambda x, r: (r.mean(0).float(), ((r / r.sum(0)).T @ x).float()),
    ],
    "01.6": [
        lambda u, eps, weight, mean, std: mean[_count_level(u, weight)] + std[_count_level(u, weight)] * eps,
        lambda u, eps, weight, mean, std: (
            torch.distributions.Normal(0.0, 1.0).mean
            + mean[(u[:, None] >= weight.cumsum(0)[:-1]).sum(1)]
            + std[(u[:, None] >= weight.cumsum(0)[:-1]).sum(1)] * eps
        ),
        lambda u, eps, weight, mean, std: torch.stack(
            [
                mean[int((w >= weight.cumsum(0)[:-1]).sum())] + std[int((w >= weight.cumsum(0)[:-1]).sum())] * e
                for w, e in zip(u, eps, strict=True)
            ]
        ),
        lambda u, eps, weight, mean, std: (
            mean.numpy()[np.searchsorted(np.cumsum(weight.numpy())[:-1], u.numpy(), side="right")]
            + std.numpy()[np.searchsorted(np.cumsum(weight.numpy())[:-1], u.numpy(), side="right")] * eps.numpy()
        ),
        lambda u, eps, weight, mean, std: (
            mean[torch.bucketize(u, weight.cumsum(0)[:-1], right=True)]
            + std[torch.bucketize(u, weight.cumsum(0)[:-1], right=True)] * eps
        ),
        lambda u, eps, weight, mean, std: (mean[_count_level(u, weight)] + std[_count_level(u, weight)] * eps).float(),
    ],
    "01.7": [
        _loop_em,
        lambda heights: bool(torch.all(heights[1:] >= heights[:-1] - 1e-9)),
        lambda heights: not bool((heights.diff() < -1e-9).any()),
        lambda heights: (heights.diff() >= -1e-9).all(),
        lambda heights: bool(np.all(np.diff(heights.numpy()) > -1.0001e-9)),
        lambda heights: all(b - a >= -1e-9 for a, b in zip(heights.tolist(), heights.tolist()[1:], strict=False)),
    ],
}


def _joint(x, weight, mean, std):
    return weight * torch.exp(-0.5 * ((x[:, None] - mean) / std) ** 2) / (std * math.sqrt(2 * math.pi))
