"""Answers to the exercises of lesson 11: wrong ones with a word that a named cause must hold, right ones in other styles."""

import math

import numpy as np
import torch
from torch import nn

NAMED = 0.9  # the share of wrong answers whose cause is told, as reached, less two points
SURVIVORS = {  # mutants of the solution that are no mistakes, each with the reason
    "11.2": {
        f"in one place, {what}": "only its shape counts there"
        for what in (
            "t stands for y", "a square root is taken of y", "y is squared", "y is one too large", "y is one too small",
            "the sign of y is turned", "1 − y stands for y", "y is doubled", "y is halved", "1 is divided by y",
            "a logarithm is taken of y",
        )
    },
    "11.3": {
        "detach(…) is missing": "x_t is no one's output here",
        **{f"{what} is one too {size}": "a constant has no slope" for what in ("log_p(x, y).sum()", "log_p(x, y)")
           for size in ("large", "small")},
    },
    "11.4": {
        **{f"{what} is one too {size}": "the same for all classes" for size in ("large", "small") for what in (
            "a difference of share", "log(share)", "a fraction of v", "the term with v", "something of v")},
        "a difference is the other way round: √ᾱ · m comes first, and x_t[:, None] is subtracted": "it is squared",
        "the sign of a difference of x_t is turned": "it is squared",
        "share is doubled": "the shares are normalized",
        "share is halved": "the shares are normalized",
        "in one place, ᾱ · v + 1 − ᾱ is doubled": "in the logarithm, the same for all classes",
        "in one place, ᾱ · v + 1 − ᾱ is halved": "in the logarithm, the same for all classes",
    },
    "11.5": {
        "correction=0 is missing in std(…)": "the number is the same in both",
        "-1 stands for 0": "the number is the same in both",
        "1 stands for 0": "the number is the same in both",
        **dict.fromkeys((
            *(f"{what} is one too {size}" for what in ("x.flatten(1)", "given", "in one place, guided") for size in ("large", "small")),
            "the sign of something of x is turned", "the sign of x.flatten(1).std(1, correction=0) is turned",
            "the sign of x.flatten(1) is turned", "the sign of given is turned", "1 − x.flatten(1) stands for x.flatten(1)",
            "1 − given stands for given", "something of x is doubled", "x.flatten(1).std(1, correction=0) is doubled",
            "x.flatten(1) is doubled", "something of x is halved", "x.flatten(1).std(1, correction=0) is halved",
            "x.flatten(1) is halved", "in one place, the sign of guided is turned", "in one place, 1 − guided stands for guided",
        ), "a ratio of two deviations"),
    },
}  # fmt: skip


def _answers(net, x_t, t, y, none):
    return net(x_t, t, y), net(x_t, t, torch.full_like(y, none))


def _cfg(mix, nothing=None):
    def answer(net, x_t, t, y, none, w):
        return mix(*_answers(net, x_t, t, y, none if nothing is None else nothing), w)

    return answer


def _doubled(net, x_t, t, y, none, w):
    both = net(x_t.repeat(2, 1, 1, 1), t.repeat(2), torch.cat([y, torch.full_like(y, none)]))
    given, free = both.chunk(2)
    return (1 - w) * free + w * given


def _one_by_one(net, x_t, t, y, none, w):
    rows = []
    for i in range(len(y)):
        given, free = _answers(net, x_t[i : i + 1], t[i : i + 1], y[i : i + 1], none)
        rows.append(torch.lerp(free, given, w))
    return torch.cat(rows)


def _pull(log_p, x_t, y, total=torch.sum):
    x = x_t.clone().requires_grad_(True)
    return torch.autograd.grad(total(log_p(x, y)), x)[0]


def _by_backward(log_p, eps, x_t, y, w, alpha_bar):
    x = nn.Parameter(x_t.clone())
    log_p(x, y).sum().backward()
    return eps - w * (1 - alpha_bar) ** 0.5 * x.grad


def _by_func(log_p, eps, x_t, y, w, alpha_bar):
    grad = torch.func.grad(lambda x: log_p(x, y).sum())(x_t)
    return eps - w * np.sqrt(1 - alpha_bar) * grad


def _row_by_row(log_p, eps, x_t, y, w, alpha_bar):
    rows = [_pull(log_p, x_t[i : i + 1], y[i : i + 1]) for i in range(len(y))]
    return eps - w * math.sqrt(1 - alpha_bar) * torch.cat(rows)


def _differences(log_p, eps, x_t, y, w, alpha_bar):
    pull = torch.zeros_like(x_t)
    for j in range(x_t.shape[1]):
        moved = torch.zeros(x_t.shape[1], dtype=x_t.dtype)
        moved[j] = 1e-5
        pull[:, j] = (log_p(x_t + moved, y) - log_p(x_t - moved, y)) / 2e-5
    return eps - w * math.sqrt(1 - alpha_bar) * pull


def _joint(x_t, m, v, share, alpha_bar, root=True, noise=True):
    mean = (alpha_bar**0.5 if root else 1) * m
    variance = alpha_bar * v + (1 - alpha_bar if noise else 0)
    return share.log() + torch.distributions.Normal(mean, variance.sqrt()).log_prob(x_t[:, None])


def _by_probabilities(x_t, m, v, share, alpha_bar):
    p = _joint(x_t, m, v, share, alpha_bar).exp()
    return (p / p.sum(1, keepdim=True)).log()


def _by_scipy(x_t, m, v, share, alpha_bar):
    from scipy.special import log_softmax
    from scipy.stats import norm

    mean, deviation = np.sqrt(alpha_bar) * m.numpy(), np.sqrt(alpha_bar * v.numpy() + 1 - alpha_bar)
    return log_softmax(np.log(share.numpy()) + norm.logpdf(x_t.numpy()[:, None], mean, deviation), axis=1)


def _by_mixture(x_t, m, v, share, alpha_bar):
    from torch.distributions import Categorical, MixtureSameFamily, Normal

    parts = Normal(alpha_bar**0.5 * m, (alpha_bar * v + 1 - alpha_bar).sqrt())
    whole = MixtureSameFamily(Categorical(share), parts)
    return share.log() + parts.log_prob(x_t[:, None]) - whole.log_prob(x_t)[:, None]


def _column(x):
    return x[:, None, None, None]


def _spread(x):
    return _column(x.flatten(1).std(1, unbiased=False))


WRONG = {
    "11.1": [
        (lambda y, u, p, none: torch.where(u > p, none, y), "other way round"),
        (lambda y, u, p, none: torch.where(u <= p, none, y), "not at p"),
        (lambda y, u, p, none: torch.where(u < 1 - p, none, y), "1 − p"),
        (lambda y, u, p, none: torch.full_like(y, none) if u[0] < p else y, "whole batch"),
        (lambda y, u, p, none: y * (u >= p), "class 0"),
        (lambda y, u, p, none: y, "nothing is dropped"),
        (lambda y, u, p, none: torch.full_like(y, none), "all are dropped"),
        (lambda y, u, p, none: y[u >= p], "left out"),
        (lambda y, u, p, none: torch.where(u < p, -1, y), ""),
    ],
    "11.2": [
        (_cfg(lambda c, u, w: (1 + w) * c - w * u), "Ho and Salimans"),
        (_cfg(lambda c, u, w: c + w * (u - c)), "exchanged"),
        (_cfg(lambda c, u, w: c + w * (c - u)), "Ho and Salimans"),
        (_cfg(lambda c, u, w: w * (c - u)), "only the difference"),
        (_cfg(lambda c, u, w: w * c), "unconditional one is missing"),
        (_cfg(lambda c, u, w: c), "without guidance"),
        (_cfg(lambda c, u, w: u), "unconditional answer"),
        (_cfg(lambda c, u, w: u - w * (c - u)), "sign"),
        (_cfg(lambda c, u, w: u + w * (c + u)), "sum in the place"),
        (_cfg(lambda c, u, w: u + w * (c - u), 0), "class 0"),
        (_cfg(lambda c, u, w: (c + u) / 2), ""),
    ],
    "11.3": [
        (lambda log_p, eps, x_t, y, w, a: eps + w * math.sqrt(1 - a) * _pull(log_p, x_t, y), "sign"),
        (lambda log_p, eps, x_t, y, w, a: eps - w * _pull(log_p, x_t, y), "missing"),
        (lambda log_p, eps, x_t, y, w, a: eps - w * (1 - a) * _pull(log_p, x_t, y), "without its root"),
        (lambda log_p, eps, x_t, y, w, a: eps - w * math.sqrt(a) * _pull(log_p, x_t, y), "signal"),
        (lambda log_p, eps, x_t, y, w, a: eps - w / math.sqrt(1 - a) * _pull(log_p, x_t, y), "divided"),
        (lambda log_p, eps, x_t, y, w, a: eps - math.sqrt(1 - a) * _pull(log_p, x_t, y), "left out"),
        (
            lambda log_p, eps, x_t, y, w, a: eps - w * math.sqrt(1 - a) * _pull(log_p, x_t, y, torch.mean),
            "mean over the batch",
        ),
        (lambda log_p, eps, x_t, y, w, a: -w * math.sqrt(1 - a) * _pull(log_p, x_t, y), "eps is missing"),
        (lambda log_p, eps, x_t, y, w, a: eps + w * math.sqrt(1 - a) * _pull(log_p, x_t, y).sign(), ""),
        (lambda log_p, eps, x_t, y, w, a: w * (eps - math.sqrt(1 - a) * _pull(log_p, x_t, y)), "multiplied by w"),
        (lambda log_p, eps, x_t, y, w, a: eps - w * math.sqrt(1 - a) * log_p(x_t, y)[:, None], ""),
    ],
    "11.4": [
        (lambda x, m, v, s, a: _joint(x, m, v, torch.ones_like(s), a).log_softmax(1), "shares"),
        (lambda x, m, v, s, a: _joint(x, m, v, s, a, root=False).log_softmax(1), "not scaled"),
        (lambda x, m, v, s, a: _joint(x, math.sqrt(a) * m, v, s, a).log_softmax(1), "not by its root"),
        (lambda x, m, v, s, a: _joint(x, m, v, s, a, noise=False).log_softmax(1), "noise's variance"),
        (lambda x, m, v, s, a: _joint(x, m, 0 * v, s, a).log_softmax(1), "own variance"),
        (lambda x, m, v, s, a: _joint(x, m, v, s, 1.0).log_softmax(1), "clean"),
        (lambda x, m, v, s, a: _joint(x, m, v, s, a) + 0.5 * math.log(2 * math.pi), "not normalized"),
        (lambda x, m, v, s, a: _joint(x, m, v, s, a), ""),
        (lambda x, m, v, s, a: _joint(x, m, v, s, a).log_softmax(0), "over the points"),
        (lambda x, m, v, s, a: _joint(x, m, v, s, a).softmax(1), "without the logarithm"),
        (lambda x, m, v, s, a: _joint(x, m, v**2, s, a).log_softmax(1), "squared"),
    ],
    "11.5": [
        (
            lambda guided, given, phi: phi * guided * _spread(guided) / _spread(given) + (1 - phi) * guided,
            "other way round",
        ),
        (lambda guided, given, phi: (1 - phi) * guided * _spread(given) / _spread(guided) + phi * guided, "exchanged"),
        (lambda guided, given, phi: guided * _spread(given) / _spread(guided), "phi = 1"),
        (lambda guided, given, phi: phi * guided * _spread(given) / _spread(guided) + (1 - phi) * given, "unguided"),
        (lambda guided, given, phi: guided * (phi * given.std() / guided.std() + 1 - phi), "whole batch"),
        (
            lambda guided, given, phi: (
                guided
                * (
                    phi * given.std((2, 3), correction=0, keepdim=True) / guided.std((2, 3), correction=0, keepdim=True)
                    + 1
                    - phi
                )
            ),
            "each channel",
        ),
        (lambda guided, given, phi: guided * (phi * (_spread(given) / _spread(guided)) ** 2 + 1 - phi), "variances"),
        (
            lambda guided, given, phi: (
                guided * (phi * _column(given.flatten(1).norm(dim=1) / guided.flatten(1).norm(dim=1)) + 1 - phi)
            ),
            "length",
        ),
        (lambda guided, given, phi: phi * guided * _spread(given) / _spread(guided), "is missing"),
        (lambda guided, given, phi: guided, "stands for"),
    ],
    "11.6": [
        (lambda guided: True, "accepts"),
        (lambda guided: False, "refuses"),
        (lambda guided: bool(guided(torch.tensor([2.0]), torch.tensor([5.0]), 1.0) == 2), "accepts"),
        (lambda guided: bool(guided(torch.tensor([2.0]), torch.tensor([5.0]), 0.0) == 5), "accepts"),
        (
            lambda guided: all(
                torch.equal(guided(torch.tensor([2.0]), torch.tensor([5.0]), w), torch.tensor([5.0 - 3 * w]))
                for w in (0.0, 1.0)
            ),
            "accepts",
        ),
        (lambda guided: bool(guided(torch.tensor([2.0]), torch.tensor([5.0]), 1.0) == 5), "refuses"),
        (lambda guided: guided(torch.ones(3), torch.zeros(3), 1.5).sum() == 4.5, "accepts"),
        (lambda guided: print(guided(torch.ones(2), torch.zeros(2), 1.0)), "return"),
    ],
}


def _careful(guided, close=torch.allclose):
    x, y = torch.linspace(-3, 4, 24).view(2, 3, 2, 2), torch.linspace(5, -2, 24).sin().view(2, 3, 2, 2)
    for w in (0, 1, 3, -2, 9):
        a, b = x.clone(), y.clone()
        got = guided(a, b, w)
        if got.shape != x.shape or not close(got, y + w * (x - y), atol=1e-4):
            return False
        if (a != x).any() or (b != y).any():
            return False
    return True


def _by_asserts(guided):
    x, y = torch.linspace(-3, 4, 24).view(2, 3, 2, 2), torch.linspace(5, -2, 24).sin().view(2, 3, 2, 2)
    a, b = x.clone(), y.clone()
    assert torch.allclose(guided(a, b, 0.0), y, atol=1e-5)
    assert torch.allclose(guided(a, b, 1.0), x, atol=1e-5)
    for w in (-3.0, 4.0, 11.0):
        assert torch.allclose(guided(a, b, w) - y, w * (x - y), atol=1e-3)
    assert torch.equal(a, x) and torch.equal(b, y)
    return True


RIGHT = {
    "11.1": [
        lambda y, u, p, none: torch.where(u >= p, y, none),
        lambda y, u, p, none: torch.tensor([none if b < p else int(a) for a, b in zip(y, u, strict=True)]),
        lambda y, u, p, none: np.where(u.numpy() < p, none, y.numpy()),
        lambda y, u, p, none: y.masked_fill(u < p, none),
        lambda y, u, p, none: y + (none - y) * (u < p),
        lambda y, u, p, none: [none if b < p else a for a, b in zip(y.tolist(), u.tolist(), strict=True)],
    ],
    "11.2": [
        _doubled,
        _one_by_one,
        _cfg(lambda c, u, w: (1 - w) * u + w * c),
        _cfg(lambda c, u, w: c + (w - 1) * (c - u)),
        _cfg(lambda c, u, w: torch.lerp(u, c, w)),
        _cfg(lambda c, u, w: (u + w * (c - u)).float()),
    ],
    "11.3": [
        _by_backward,
        _by_func,
        _row_by_row,
        _differences,
        lambda log_p, eps, x_t, y, w, alpha_bar: eps - (1 - alpha_bar) ** 0.5 * w * _pull(log_p, x_t, y),
        lambda log_p, eps, x_t, y, w, alpha_bar: (eps - w * math.sqrt(1 - alpha_bar) * _pull(log_p, x_t, y)).float(),
    ],
    "11.4": [
        lambda x_t, m, v, share, alpha_bar: _joint(x_t, m, v, share, alpha_bar).log_softmax(1),
        _by_probabilities,
        _by_scipy,
        _by_mixture,
        lambda x_t, m, v, share, alpha_bar: _joint(x_t, m, v, share, alpha_bar).log_softmax(1).float(),
        lambda x_t, m, v, share, alpha_bar: torch.stack(
            [_joint(x[None], m, v, share, alpha_bar)[0].log_softmax(0) for x in x_t]
        ),
    ],
    "11.5": [
        lambda guided, given, phi: guided * (phi * _spread(given) / _spread(guided) + 1 - phi),
        lambda guided, given, phi: torch.lerp(guided, guided * _spread(given) / _spread(guided), phi),
        lambda guided, given, phi: torch.stack(
            [
                a * (phi * b.std(correction=0) / a.std(correction=0) + 1 - phi)
                for a, b in zip(guided, given, strict=True)
            ]
        ),
        lambda guided, given, phi: (
            guided.numpy()
            * (
                phi * given.numpy().std((1, 2, 3), keepdims=True) / guided.numpy().std((1, 2, 3), keepdims=True)
                + 1
                - phi
            )
        ),
        lambda guided, given, phi: (
            guided * (phi * given.std((1, 2, 3), keepdim=True) / guided.std((1, 2, 3), keepdim=True) + 1 - phi)
        ),
        lambda guided, given, phi: (guided * (phi * _spread(given) / _spread(guided) + 1 - phi)).float(),
    ],
    "11.6": [
        _careful,
        _by_asserts,
        lambda guided: int(_careful(guided)),
        lambda guided: np.bool_(_careful(guided)),
        lambda guided: _careful(guided, lambda a, b, atol: bool((a - b).abs().max() < atol)),
        lambda guided: all(_careful(guided) for _ in range(2)),
    ],
}
