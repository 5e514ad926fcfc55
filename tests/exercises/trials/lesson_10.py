"""Answers to the exercises of lesson 10: wrong ones with a word that a named cause must hold, right ones in other styles."""

import math

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

NAMED = 0.9  # the share of wrong answers whose cause is told, as reached, less two points
_ONE_NUMBER = [
    *(f"the {what} over everything is taken" for what in ("sum", "mean")), "the order is turned round",
    *(f"a {what} over the {which} axis is taken" for what in ("sum", "mean") for which in ("first", "last")),
]  # fmt: skip
_UNIT = "maps / maps.norm(dim=1, keepdim=True)"
SURVIVORS = {  # mutants of the solution that are no mistakes, each with the reason
    "10.1": dict.fromkeys(_ONE_NUMBER, "it is one number")
    | {
        "made and x are exchanged": "it is squared",
        "a difference is the other way round: x comes first, and made is subtracted": "it is squared",
        "the sign of made − x is turned": "it is squared",
    },
    "10.2": {
        f"in one place, {what}": "only the shape is read there"
        for what in (
            "a square root is taken of z", "z is squared", "z is one too large", "z is one too small",
            "the sign of z is turned", "1 − z stands for z", "z is doubled", "z is halved", "1 is divided by z",
            "a logarithm is taken of z",
        )
    },
    "10.3": dict.fromkeys(
        (
            "a and b are exchanged", "the two are in the other order", "the sign of one − other is turned",
            "a difference is the other way round: other comes first, and one is subtracted",
            "in zip(…), eye(a) and eye(b) are exchanged", f"{_UNIT} is one too large", f"{_UNIT} is one too small",
            f"the sign of {_UNIT} is turned", "the sign of maps.norm(dim=1, keepdim=True) is turned",
            f"1 − {_UNIT} stands for {_UNIT}",
        ),
        "a squared distance",
    )
    | {"strict=True is missing in zip(…)": "both lists are as long"},
    "10.4": {
        "in one place, a difference is the other way round: something of z comes first, and z is subtracted": "it is squared",
        "in one place, the sign of a difference of z is turned": "it is squared",
        "z is one too large": "the mean goes with it",
        "z is one too small": "the mean goes with it",
    },
}  # fmt: skip


def _mse(made, x):
    return ((made - x) ** 2).mean()


def _unit(maps, dim=1):
    return maps / maps.norm(dim=dim, keepdim=True)


def _layers(eye, a, b, over=lambda d: d.square().sum(1).mean((1, 2)), unit=_unit):
    return sum(over(unit(one) - unit(other)) for one, other in zip(eye(a), eye(b), strict=True))


def _pixel_loop(z, r):
    n, c, h, w = z.shape
    out = torch.zeros(n, c // r**2, r * h, r * w, dtype=z.dtype)
    for k in range(c):
        colour, place = divmod(k, r * r)
        i, j = divmod(place, r)
        out[:, colour, i::r, j::r] = z[:, k]
    return out


def _wrong_loop(z, r):
    n, c, h, w = z.shape
    out = torch.zeros(n, c // r**2, r * h, r * w, dtype=z.dtype)
    for k in range(c):
        colour, place = divmod(k, r * r)
        i, j = divmod(place, r)
        out[:, colour, i * h : (i + 1) * h, j * w : (j + 1) * w] = z[:, k]
    return out


def _moments(z, axes=(0, 2, 3)):
    mean = z.mean(axes, keepdim=True)
    return mean, (z - mean).square().mean(axes, keepdim=True)


def _codes(z, alpha_bar, t, axes=(0, 2, 3), snr=None):
    mean, variance = _moments(z, axes)
    own = _moments(z)[1].flatten() * alpha_bar[t] / (1 - alpha_bar[t])
    return (z - mean) / variance.sqrt(), own if snr is None else snr


def _extent(slope):
    seen = slope.abs().sum(0).nonzero()
    return (seen.amax(0) - seen.amin(0)).max() + 1 if len(seen) else 0


def _by_jacobian(critic):
    x = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(1))
    n = critic(x).shape[2:]
    jacobian = torch.autograd.functional.jacobian(lambda y: critic(y)[0, 0].flatten(), x)
    return all(not one[1].any() and _extent(one[0]) <= 10 for one in jacobian) and len(jacobian) == n.numel()


def _by_moving(critic):
    """A pixel may move only those scores whose windows hold it: two pixels that move one score lie near each other."""
    x = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(2), dtype=torch.float64).float()
    before = critic(x)[0, 0]
    moved = torch.zeros(32, 32, *before.shape, dtype=torch.bool)
    for i in range(32):
        for j in range(32):
            for channel in range(3):
                other = x.clone()
                other[0, channel, i, j] += 3
                moved[i, j] |= (critic(other)[0, 0] - before).abs() > 1e-7
    other = x.clone()
    other[1] += torch.randn(3, 32, 32)
    if ((critic(other)[0, 0] - before).abs() > 1e-7).any():
        return False
    for axis in (0, 1):
        seen = moved.any(1 - axis).flatten(1)
        places = torch.arange(32)[:, None].expand_as(seen)
        low = torch.where(seen, places, 99).amin(0)
        high = torch.where(seen, places, -1).amax(0)
        if (high - low >= 10).any():
            return False
    return True


def _with_assert(critic):
    x = torch.rand(2, 3, 32, 32, requires_grad=True)
    scores = critic(x)
    for score in scores[0, 0].flatten():
        (slope,) = torch.autograd.grad(score, x, retain_graph=True)
        assert not slope[1].any()
        assert _extent(slope[0]) <= 10
    return True


def _looped(critic, places, size=10, batch=2):
    x = torch.randn(batch, 3, 32, 32, requires_grad=True)
    scores = critic(x)[0, 0]
    for i, j in places(*scores.shape):
        (slope,) = torch.autograd.grad(scores[i, j], x, retain_graph=True)
        if slope[1:].any() or _extent(slope[0]) > size:
            return False
    return True


def _all(h, w):
    return [(i, j) for i in range(h) for j in range(w)]


WRONG = {
    "10.1": [
        (lambda made, x: 10 * torch.log10(1 / _mse(made, x)), "peak"),
        (lambda made, x: 10 * torch.log10(2 / _mse(made, x)), "peak is squared"),
        (lambda made, x: 20 * torch.log10(4 / _mse(made, x)), "20 goes with"),
        (lambda made, x: 20 * torch.log10(2 / _mse(made, x)), "squared"),
        (lambda made, x: torch.log10(4 / _mse(made, x)), "bel"),
        (lambda made, x: 10 * torch.log(4 / _mse(made, x)), "base 10"),
        (lambda made, x: -10 * torch.log10(4 / _mse(made, x)), "upside down"),
        (lambda made, x: 10 * torch.log10(4 / (made - x).pow(2).sum()), "sum of squares"),
        (lambda made, x: 10 * torch.log10(4 / (made - x).pow(2).flatten(1).mean(1)).mean(), "each picture"),
        (lambda made, x: 10 * torch.log10(4 / (made - x).abs().mean() ** 2), "absolute"),
        (lambda made, x: 10 * torch.log10(255**2 / _mse(made, x)), ""),
    ],
    "10.2": [
        (lambda z, r: F.pixel_unshuffle(z[..., : z.shape[2] // r * r, : z.shape[3] // r * r], r), "shape"),
        (_wrong_loop, "side by side"),
        (lambda z, r: z.reshape(z.shape[0], -1, r * z.shape[2], r * z.shape[3]), "counted again"),
        (lambda z, r: F.pixel_shuffle(z, r).flip(2, 3), "another order"),
        (lambda z, r: F.pixel_shuffle(z.unflatten(1, (-1, r, r)).transpose(2, 3).flatten(1, 3), r), "exchanged"),
        (
            lambda z, r: F.pixel_shuffle(z.unflatten(1, (r * r, -1)).transpose(1, 2).flatten(1, 2), r),
            "colour came last",
        ),
        (lambda z, r: F.pixel_shuffle(z, r).transpose(2, 3), "shape"),
        (lambda z, r: F.interpolate(z[:, :: r * r], scale_factor=float(r), mode="nearest"), "right at r = 1"),
        (lambda z, r: F.pixel_shuffle(z.unflatten(1, (-1, r, r)).flip(2, 3).flatten(1, 3), r), "half a turn"),
    ],
    "10.3": [
        (lambda eye, a, b: _layers(eye, a, b, unit=lambda m: m), "length 1"),
        (lambda eye, a, b: _layers(eye, a, b, over=lambda d: d.square().mean((1, 2, 3))), "mean over the channels"),
        (lambda eye, a, b: _layers(eye, a, b, over=lambda d: d.square().sum((1, 2, 3))), "sum over the places"),
        (lambda eye, a, b: _layers(eye, a, b) / 2, "mean over the layers"),
        (lambda eye, a, b: _layers(lambda x: eye(x)[-1:], a, b), "last layer"),
        (lambda eye, a, b: _layers(lambda x: eye(x)[:1], a, b), "first layer"),
        (lambda eye, a, b: _layers(eye, a, b, over=lambda d: d.norm(dim=1).mean((1, 2))), "not squared"),
        (lambda eye, a, b: _layers(eye, a, b).mean(), "whole batch"),
        (lambda eye, a, b: F.mse_loss(a, b, reduction="none").flatten(1).mean(1), "pixels"),
        (lambda eye, a, b: _layers(lambda x: [m.detach() for m in eye(x)], a, b), "gradient"),
        (lambda eye, a, b: _layers(eye, a, b, unit=lambda m: _unit(m, 2)), "along the height"),
    ],
    "10.4": [
        (lambda z, alpha_bar, t: (z / _moments(z)[1].sqrt(), _codes(z, alpha_bar, t)[1]), "not subtracted"),
        (
            lambda z, alpha_bar, t: ((z - _moments(z)[0]) / _moments(z)[1], _codes(z, alpha_bar, t)[1]),
            "by the variance",
        ),
        (lambda z, alpha_bar, t: _codes(z, alpha_bar, t, axes=(0, 1, 2, 3)), "for all channels"),
        (lambda z, alpha_bar, t: _codes(z, alpha_bar, t, axes=(0,)), "every place"),
        (lambda z, alpha_bar, t: _codes(z, alpha_bar, t, axes=(2, 3)), "every picture"),
        (
            lambda z, alpha_bar, t: _codes(
                z, alpha_bar, t, snr=_moments(z)[1].sqrt().flatten() * alpha_bar[t] / (1 - alpha_bar[t])
            ),
            "not the deviation",
        ),
        (
            lambda z, alpha_bar, t: _codes(
                z, alpha_bar, t, snr=torch.ones(z.shape[1]) * alpha_bar[t] / (1 - alpha_bar[t])
            ),
            "left out",
        ),
        (lambda z, alpha_bar, t: _codes(z, alpha_bar, t, snr=1 / _codes(z, alpha_bar, t)[1]), "other way round"),
        (
            lambda z, alpha_bar, t: ((z - _moments(z)[0]) / z.std((0, 2, 3), keepdim=True), _codes(z, alpha_bar, t)[1]),
            "n·h·w − 1",
        ),
        (
            lambda z, alpha_bar, t: _codes(
                z, alpha_bar, t, snr=z.square().mean((0, 2, 3)) * alpha_bar[t] / (1 - alpha_bar[t])
            ),
            "mean counts",
        ),
    ],
    "10.5": [
        (lambda critic: True, "accepts"),
        (lambda critic: False, "refuses"),
        (lambda critic: _looped(critic, _all, size=9), "refuses"),
        (lambda critic: _looped(critic, _all, size=11), "pixel too"),
        (lambda critic: _looped(critic, lambda h, w: [(0, 0)]), "accepts"),
        (lambda critic: _looped(critic, lambda h, w: [(h // 2, w // 2)]), "opposite corner|accepts"),
        (lambda critic: _looped(critic, _all, batch=1), "other pictures"),
        (lambda critic: critic(torch.zeros(1, 3, 32, 32)).shape[2] == 8, "refuses|accepts"),
        (lambda critic: print(critic(torch.zeros(2, 3, 32, 32)).shape), "return"),
    ],
}

RIGHT = {
    "10.1": [
        lambda made, x: 20 * torch.log10(2 / _mse(made, x).sqrt()),
        lambda made, x: 10 * math.log10(4 / F.mse_loss(made, x).item()),
        lambda made, x: 10 * np.log10(4 / np.mean((made.numpy() - x.numpy()) ** 2)),
        lambda made, x: -10 * ((made - x) / 2).pow(2).mean().log10(),
        lambda made, x: 10 * (math.log(4) - _mse(made, x).log()) / math.log(10),
        lambda x, made: 10 * torch.log10(4 * x.numel() / ((made.float() - x.float()) ** 2).sum()),
    ],
    "10.2": [
        F.pixel_shuffle,
        _pixel_loop,
        lambda z, r: nn.PixelShuffle(r)(z),
        lambda z, r: z.unflatten(1, (-1, r, r)).permute(0, 1, 4, 2, 5, 3).flatten(4, 5).flatten(2, 3),
        lambda z, r: torch.from_numpy(
            z.numpy()
            .reshape(len(z), -1, r, r, *z.shape[2:])
            .transpose(0, 1, 4, 2, 5, 3)
            .reshape(len(z), -1, r * z.shape[2], r * z.shape[3])
        ),
        lambda z, r: torch.einsum("ncijhw->nchiwj", z.unflatten(1, (-1, r, r))).reshape(
            len(z), -1, r * z.shape[2], r * z.shape[3]
        ),
    ],
    "10.3": [
        lambda eye, a, b: _layers(eye, a, b, unit=lambda m: F.normalize(m, dim=1)),
        lambda eye, a, b: sum(
            (2 - 2 * F.cosine_similarity(p, q, dim=1)).mean((1, 2)) for p, q in zip(eye(a), eye(b), strict=True)
        ),
        lambda eye, a, b: torch.stack(
            [(_unit(p) - _unit(q)).pow(2).sum(1).flatten(1).mean(1) for p, q in zip(eye(a), eye(b), strict=True)]
        ).sum(0),
        lambda eye, a, b: torch.stack([_layers(eye, a[i : i + 1], b[i : i + 1])[0] for i in range(len(a))]),
        lambda eye, a, b: _layers(lambda x: tuple(eye(x)), a, b),
        lambda eye, a, b: _layers(eye, b, a),
    ],
    "10.4": [
        lambda z, alpha_bar, t: (
            (z - z.mean((0, 2, 3), keepdim=True)) / z.std((0, 2, 3), keepdim=True, correction=0),
            z.var((0, 2, 3), correction=0) * alpha_bar[t] / (1 - alpha_bar[t]),
        ),
        lambda z, alpha_bar, t: (F.batch_norm(z, None, None, training=True, eps=1e-15), _codes(z, alpha_bar, t)[1]),
        lambda z, alpha_bar, t: [values.numpy() for values in _codes(z, alpha_bar, t)],
        lambda z, alpha_bar, t: tuple(values.float() for values in _codes(z, alpha_bar, t)),
        lambda z, alpha_bar, t: (
            torch.stack([(one - one.mean()) / one.std(correction=0) for one in z.unbind(1)], 1),
            torch.stack([one.var(correction=0) for one in z.unbind(1)]) * alpha_bar[t] / (1 - alpha_bar[t]),
        ),
        lambda z, alpha_bar, t: _codes(z, alpha_bar, t, snr=_moments(z)[1].flatten() / (1 / alpha_bar[t] - 1)),
    ],
    "10.5": [
        _by_jacobian,
        _by_moving,
        _with_assert,
        lambda critic: _looped(critic, _all),
        lambda critic: int(_looped(critic, _all)),
        lambda critic: np.bool_(_looped(critic, _all)),
    ],
}
