"""Answers to the exercises of lesson 04: wrong ones with a word that a named cause must hold, right ones in other styles."""

import math

import numpy as np
import torch
from torch.distributions import Normal, TransformedDistribution, transforms
from torch.nn import functional as F

NAMED = 0.95  # the share of wrong answers whose cause is told, as reached, less two points
_OF_ZEROS_AND_ONES = [
    "a square root is taken of mask", "a square root is taken of 1 − mask", "mask is squared", "1 − mask is squared",
    "in one place, a square root is taken of mask", "in one place, a square root is taken of 1 − mask",
    "in one place, mask is squared", "in one place, 1 − mask is squared",
]  # fmt: skip
SURVIVORS = {  # mutants of the solution that are no mistakes, each with the reason
    "04.1": {"in one place, the sign of x + log(-torch.expm1(-x)) is turned": "it is squared there"},
    "04.2": dict.fromkeys(_OF_ZEROS_AND_ONES, "the mask holds zeros and ones"),
    "04.3": dict.fromkeys(_OF_ZEROS_AND_ONES, "the mask holds zeros and ones"),
    "04.4": {"in one place, the sign of x is turned": "it is squared there"},
}


def _normal(z):
    return -0.5 * (z**2 + math.log(2 * math.pi))


def _z(x):
    return torch.log(torch.expm1(x))


def _couple(x, mask, net, sign=1.0):
    s, t = net(x * mask).chunk(2, dim=1)
    return torch.where(mask == 1, x, x * (sign * s).exp() + t), (s * (1 - mask)).sum(1)


def _by_index(x, mask, net):
    out = net(x * mask)
    d = x.shape[1]
    z, log_det = x.clone(), torch.zeros(len(x), dtype=x.dtype)
    for i in range(d):
        if mask[i] == 0:
            z[:, i] = x[:, i] * torch.exp(out[:, i]) + out[:, d + i]
            log_det = log_det + out[:, i]
    return z, log_det


def _selected(x, mask, net):
    s, t = net(mask * x).split(x.shape[1], dim=1)
    keep = mask.bool()
    z = x.clone()
    z[:, ~keep] = x[:, ~keep] * s[:, ~keep].exp() + t[:, ~keep]
    return z, s[:, ~keep].sum(dim=1)


def _walk(x, layers, start=0.0):
    total = start
    for layer in layers:
        x, log_det = layer(x)
        total = total + log_det
    return x, total


def _jacobian_only(couple):
    W = torch.randn(4, 8, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    mask = torch.tensor([1.0, 0.0, 1.0, 0.0], dtype=torch.float64)
    x = torch.randn(1, 4, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    z, log_det = couple(x, mask, lambda y: y @ W)
    J = torch.autograd.functional.jacobian(lambda y: couple(y, mask, lambda v: v @ W)[0], x)[0, :, 0]
    return abs(float(torch.as_tensor(log_det).sum()) - float(torch.linalg.slogdet(J).logabsdet)) < 1e-8


def _compare(couple):
    W = torch.randn(6, 12, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    mask = torch.tensor([1.0, 0.0, 1.0, 0.0, 0.0, 1.0], dtype=torch.float64)
    x = torch.randn(4, 6, generator=torch.Generator().manual_seed(4), dtype=torch.float64)
    net = lambda y: torch.sin(y @ W) + 0.2  # noqa: E731
    found, right = couple(x, mask, net), _couple(x, mask, net)
    return all(a.shape == b.shape and torch.allclose(a, b) for a, b in zip(found, right, strict=True))


def _unchanged_only(couple):
    mask, x = torch.tensor([1.0, 0.0]), torch.tensor([[0.3, -0.7]])
    return torch.equal(couple(x, mask, lambda y: torch.ones(1, 4))[0][:, :1], x[:, :1])


WRONG = {
    "04.1": [
        (lambda x: _normal(_z(x)), "without|factor"),
        (lambda x: _normal(_z(x)) + F.logsigmoid(_z(x)), "sign"),
        (lambda x: _normal(x) - F.logsigmoid(x), "place of z|x"),
        (lambda x: _normal(_z(x)) - torch.sigmoid(_z(x)), "logarithm"),
        (lambda x: _normal(_z(x)) - F.logsigmoid(x), "slope|at x"),
        (lambda x: (_normal(_z(x)) - F.logsigmoid(_z(x))).exp(), "density"),
        (lambda x: -0.5 * _z(x) ** 2 - F.logsigmoid(_z(x)), "factor|2π"),
        (lambda x: _normal(x.log()) - x.log(), "log-normal"),
        (lambda x: _normal(F.softplus(x)) - F.logsigmoid(F.softplus(x)), "once more"),
        (lambda x: _normal(_z(x)) - _z(x), "eᶻ"),
    ],
    "04.2": [
        (lambda x, mask, net: _couple(x, 1 - mask, net), "mask|sees|wrong way"),
        (lambda x, mask, net: (x * net(x * mask).chunk(2, 1)[0].exp() + net(x * mask).chunk(2, 1)[1], net(x * mask).chunk(2, 1)[0].sum(1)), "passes"),
        (lambda x, mask, net: (_couple(x, mask, net)[0], _couple(x, mask, net)[1].sum()), "one number"),
        (lambda x, mask, net: (lambda o: (torch.where(mask == 1, x, x * o[:, : x.shape[1]].exp() + o[:, x.shape[1] :]), o[:, : x.shape[1]].sum(1)))(net(x * mask)), "all s"),
        (lambda x, mask, net: _couple(x, mask, net, -1.0), "sign"),
        (lambda x, mask, net: (lambda o: (torch.where(mask == 1, x, x * o[0].exp() + o[1]), (o[0].exp() * (1 - mask)).sum(1)))(net(x * mask).chunk(2, 1)), "factors|logarithm"),
        (lambda x, mask, net: (lambda o: (torch.where(mask == 1, x, x * o[1].exp() + o[0]), (o[1] * (1 - mask)).sum(1)))(net(x * mask).chunk(2, 1)), "exchanged"),
        (lambda x, mask, net: (lambda o: (torch.where(mask == 1, x, x * o[0].exp() + o[1]), (o[0] * (1 - mask)).sum(1)))(net(x).chunk(2, 1)), "sees"),
        (lambda x, mask, net: (lambda o: (torch.where(mask == 1, x, x * o[0] + o[1]), (o[0] * (1 - mask)).sum(1)))(net(x * mask).chunk(2, 1)), "exponential"),
        (lambda x, mask, net: (lambda o: (torch.where(mask == 1, x, (x + o[1]) * o[0].exp()), (o[0] * (1 - mask)).sum(1)))(net(x * mask).chunk(2, 1)), "first shifted"),
    ],
    "04.3": [
        (lambda z, mask, net: _couple(z, mask, net)[0], "way there"),
        (lambda z, mask, net: (lambda o: torch.where(mask == 1, z, z * (-o[0]).exp() - o[1]))(net(z * mask).chunk(2, 1)), "order"),
        (lambda z, mask, net: (lambda o: torch.where(mask == 1, z, (z - o[1]) * o[0].exp()))(net(z * mask).chunk(2, 1)), "factor|undone|sign"),
        (lambda z, mask, net: (lambda o: torch.where(mask == 1, z, (z + o[1]) * (-o[0]).exp()))(net(z * mask).chunk(2, 1)), "added"),
        (lambda z, mask, net: (lambda o: (z - o[1]) * (-o[0]).exp())(net(z * mask).chunk(2, 1)), "passes"),
        (lambda z, mask, net: (lambda o: torch.where(mask == 1, z, (z - o[1]) * (-o[0]).exp()))(net(z).chunk(2, 1)), "sees"),
        (lambda z, mask, net: (lambda o: torch.where(mask == 1, z, (z - o[0]) * (-o[1]).exp()))(net(z * mask).chunk(2, 1)), "exchanged"),
        (lambda z, mask, net: (lambda o: torch.where(mask == 1, z, (z - o[1]) / o[0]))(net(z * mask).chunk(2, 1)), "exponential"),
        (lambda z, mask, net: (lambda o: torch.where(mask == 0, z, (z - o[1]) * (-o[0]).exp()))(net(z * mask).chunk(2, 1)), "wrong way"),
    ],
    "04.4": [
        (lambda x, layers: _normal(_walk(x, layers)[0]).sum(1), "forgotten"),
        (lambda x, layers: _normal(_walk(x, layers)[0]).sum(1) - _walk(x, layers)[1], "subtracted"),
        (lambda x, layers: _normal(x).sum(1) + _walk(x, layers)[1], "normal density of x"),
        (lambda x, layers: -0.5 * _walk(x, layers)[0].square().sum(1) + _walk(x, layers)[1], "constant"),
        (lambda x, layers: _normal(_walk(x, layers[::-1])[0]).sum(1) + _walk(x, layers[::-1])[1], "opposite order"),
        (lambda x, layers: -_normal(_walk(x, layers)[0]).sum(1) - _walk(x, layers)[1], "sign"),
        (lambda x, layers: _normal(_walk(x, layers)[0]).mean(1) + _walk(x, layers)[1], "mean"),
        (lambda x, layers: _normal(_walk(x, layers)[0]).sum() + _walk(x, layers)[1], "batch|one number"),
        (lambda x, layers: _normal(_walk(x, layers)[0]).sum(1) + layers[-1](x)[1], "last layer"),
        (lambda x, layers: _normal(_walk(x, layers)[0]) + _walk(x, layers)[1][:, None], ""),
    ],
    "04.5": [
        (lambda log_p, d, levels: -log_p / (d * math.log(2)), "volume"),
        (lambda log_p, d, levels: -(log_p + d * math.log(2 / levels)) / (d * math.log(2)), "levels"),
        (lambda log_p, d, levels: -(log_p + d * math.log(1 / (levels - 1))) / (d * math.log(2)), "2 long|scale"),
        (lambda log_p, d, levels: -(log_p - d * math.log(2 / (levels - 1))) / (d * math.log(2)), "divided|sign"),
        (lambda log_p, d, levels: -(log_p + d * math.log(2 / (levels - 1))) / d, "nats"),
        (lambda log_p, d, levels: -(log_p + d * math.log(2 / (levels - 1))) / math.log(2), "whole image|per pixel"),
        (lambda log_p, d, levels: (log_p + d * math.log(2 / (levels - 1))) / (d * math.log(2)), "sign"),
        (lambda log_p, d, levels: -(log_p + math.log(2 / (levels - 1))) / (d * math.log(2)), "one pixel"),
        (lambda log_p, d, levels: -(log_p + d * math.log(2 / (levels - 1))) / d * math.log(2), "times log 2"),
        (lambda log_p, d, levels: -(log_p + d * math.log(2 / (levels - 1))) / (d * math.log(10)), "base 10"),
    ],
    "04.6": [
        (lambda couple: True, "accepts"), (lambda couple: False, "refuses"), (_jacobian_only, "accepts"),
        (_unchanged_only, "accepts"), (lambda couple: not _compare(couple), "refuses"),
        (lambda couple: couple is not None, "accepts"),
        (lambda couple: couple(torch.ones(2, 2), torch.ones(2), lambda x: torch.ones(2, 4))[0].equal(torch.ones(2, 2)), "accepts"),
        (lambda couple: float(torch.as_tensor(couple(torch.ones(1, 2), torch.tensor([1.0, 0.0]), lambda x: torch.zeros(1, 4))[1]).sum()) == 0, "accepts"),
    ],
}  # fmt: skip


def _with_torch(x):
    chain = [transforms.SoftplusTransform()]
    return TransformedDistribution(Normal(torch.zeros((), dtype=x.dtype), 1.0), chain).log_prob(x)


RIGHT = {
    "04.1": [
        _with_torch,
        lambda x: _normal(torch.log(x.exp() - 1)) - F.logsigmoid(torch.log(x.exp() - 1)),
        lambda x: Normal(0.0, 1.0).log_prob(_z(x)) - torch.log(torch.sigmoid(_z(x))),
        lambda x: Normal(0.0, 1.0).log_prob(_z(x)) + x - _z(x),
        lambda x: Normal(0.0, 1.0).log_prob(_z(x)) - torch.log1p(-torch.exp(-x)),
        lambda x: -0.5 * np.log(np.expm1(x.numpy())) ** 2 - 0.5 * np.log(2 * np.pi) - np.log(1 - np.exp(-x.numpy())),
    ],
    "04.2": [
        _couple, _by_index, _selected,
        lambda x, mask, net: (lambda o: (mask * x + (1 - mask) * (x * o[0].exp() + o[1]), ((1 - mask) * o[0]).sum(-1)))(net(x * mask).chunk(2, -1)),
        lambda x, mask, net: tuple(out.float() for out in _couple(x, mask, net)),
        lambda x, mask, net: list(_couple(x, mask, net)),
    ],
    "04.3": [
        lambda z, mask, net: (lambda o: torch.where(mask == 1, z, (z - o[1]) * (-o[0]).exp()))(net(z * mask).chunk(2, 1)),
        lambda z, mask, net: (lambda o: torch.where(mask.bool(), z, (z - o[1]) / o[0].exp()))(net(z * mask).chunk(2, 1)),
        lambda z, mask, net: (lambda o: mask * z + (1 - mask) * (z - o[1]) / torch.exp(o[0]))(net(mask * z).chunk(2, -1)),
        lambda z, mask, net: (lambda o: (z - o[1] * (1 - mask)) / (o[0] * (1 - mask)).exp())(net(z * mask).chunk(2, 1)),
        lambda z, mask, net: (lambda o: torch.where(mask == 1, z, (z - o[:, z.shape[1] :]) * (-o[:, : z.shape[1]]).exp()))(net(z * mask)),
        lambda z, mask, net: (lambda o: torch.where(mask == 1, z, (z - o[1]) * (-o[0]).exp()).float())(net(z * mask).chunk(2, 1)),
    ],
    "04.4": [
        lambda x, layers: _normal(_walk(x, layers)[0]).sum(1) + _walk(x, layers)[1],
        lambda x, layers: (lambda z, total: Normal(0.0, 1.0).log_prob(z).sum(-1) + total)(*_walk(x, layers)),
        lambda x, layers: (lambda z, total: total - 0.5 * z.square().sum(1) - 0.5 * z.shape[1] * math.log(2 * math.pi))(*_walk(x, layers)),
        lambda x, layers: (lambda z, total: torch.distributions.MultivariateNormal(torch.zeros(z.shape[1]).double(), torch.eye(z.shape[1]).double()).log_prob(z) + total)(*_walk(x, layers)),
        lambda x, layers: (lambda z, total: (total + _normal(z).sum(1)).float())(*_walk(x, layers, torch.zeros(len(x)).double())),
        lambda x, layers: (lambda z, total: (total.numpy() - 0.5 * (z.numpy() ** 2 + np.log(2 * np.pi)).sum(1)))(*_walk(x, layers)),
    ],
    "04.5": [
        lambda log_p, d, levels: -log_p / d / math.log(2) - math.log2(2 / (levels - 1)),
        lambda log_p, d, levels: math.log2((levels - 1) / 2) - log_p / (d * math.log(2)),
        lambda log_p, d, levels: -(log_p / math.log(2) + d * math.log2(2 / (levels - 1))) / d,
        lambda log_p, d, levels: np.log2((levels - 1) / 2) - log_p.numpy() / d / np.log(2),
        lambda log_p, d, levels: -(log_p / d + math.log(2) - math.log(levels - 1)) / math.log(2),
        lambda log_p, d, levels: torch.stack([-(v + d * math.log(2 / (levels - 1))) / (d * math.log(2)) for v in log_p]),
    ],
    "04.6": [_compare] * 6,
}  # fmt: skip
