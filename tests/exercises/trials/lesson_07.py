"""Answers to the exercises of lesson 07: wrong ones with a word that a named cause must hold, right ones in other styles."""

import math

import numpy as np
import torch
from torch.distributions import Normal, kl_divergence
from torch.nn import functional as F

from course_lib.diffusion import NoiseSchedule, discretized

LINEAR = NoiseSchedule.linear().alpha_bar
ONE_NUMBER = dict.fromkeys(
    [f"{what} over {where} is taken" for what in ("the sum", "the mean") for where in ["everything"]]
    + [f"a {what} over the {where} axis is taken" for what in ("sum", "mean") for where in ("first", "last")]
    + ["the order is turned round"],
    "of one number",
)
BETA = {
    "a difference of ᾱ_t stands for β_t": "1 − ᾱ_t / ᾱ_(t−1) is β_t",
    "in one place, a difference of ᾱ_t stands for β_t": "1 − ᾱ_t / ᾱ_(t−1) is β_t",
    "a fraction of ᾱ_t stands for 1 − β_t": "ᾱ_t / ᾱ_(t−1) is α_t",
}

NAMED = 0.88  # the share of wrong answers whose cause is told, as reached, less two points

SURVIVORS = {  # mutants of the solution that are no mistakes, each with the reason
    "07.1": {
        "m1 and m2 are exchanged": "their difference is squared",
        "a difference is the other way round: m2 comes first, and m1 is subtracted": "it is squared",
        "the sign of m1 − m2 is turned": "it is squared",
    },
    "07.2": BETA | ONE_NUMBER | {
        "the result is clipped to −1 … 1": "a variance lies in it",
    },
    "07.3": BETA,
    "07.4": ONE_NUMBER | {
        "a difference is the other way round: eps comes first, and net(x_t, t) is subtracted": "it is squared",
        "the sign of net(x_t, t) − eps is turned": "it is squared",
    },
    "07.5": BETA | ONE_NUMBER | {
        "a difference is the other way round: β_t comes first, and 1 is subtracted; and a difference is the other way round: "
        "ᾱ_t comes first, and 1 is subtracted": "two signs in one product",
        "in one place, the sign of β_t is turned": "it is squared there",
    },
    "07.7": {
        "the step for `above` comes too early": "it does not use `below`",
        "the step for `below` comes too early": "it does not use `above`",
        "1 is missing above the fraction bar": "1 / x is 1 / x",
        "in one place, 1 is missing above the fraction bar": "1 / x is 1 / x",
        "1 is divided by -1": "it is −1",
        "in one place, a square root is taken of x0": "it is compared with 1",
    },
}  # fmt: skip


def kl(m1, v1, m2, v2):
    return 0.5 * (torch.log(v2 / v1) + (v1 + (m1 - m2) ** 2) / v2 - 1)


def undo(x_t, x0, t, b, ab):
    now, before = ab[t], ab[t - 1]
    mean = ((1 - b[t]).sqrt() * (1 - before) * x_t + before.sqrt() * b[t] * x0) / (1 - now)
    return mean, b[t] * (1 - before) / (1 - now)


def mean_with(of_x_t, of_x0):
    """mu_tilde with other factors, which are functions of (β_t, ᾱ_t, ᾱ_{t−1})."""

    def answer(x_t, x0, t, b, ab):
        known = b[t], ab[t], ab[t - 1]
        return of_x_t(*known) * x_t + of_x0(*known) * x0, undo(x_t, x0, t, b, ab)[1]

    return answer


def beta_with(variance):
    return lambda x_t, x0, t, b, ab: (undo(x_t, x0, t, b, ab)[0], variance(b[t], ab[t], ab[t - 1]))


def by_precisions(x_t, x0, t, b, ab, small=0.0):
    rest = 1 - ab[t - 1] + small
    precision = (1 - b[t]) / b[t] + 1 / rest
    return ((1 - b[t]).sqrt() / b[t] * x_t + ab[t - 1].sqrt() / rest * x0) / precision, 1 / precision


OF_X_T, OF_X0 = lambda b, n, p: (1 - b).sqrt() * (1 - p) / (1 - n), lambda b, n, p: p.sqrt() * b / (1 - n)


def mean(x_t, e, t, b, ab):
    return (x_t - b[t] / (1 - ab[t]).sqrt() * e) / (1 - b[t]).sqrt()


def own(x, seed=70):
    return torch.randn(x.shape, generator=torch.Generator().manual_seed(seed), dtype=x.dtype)


def noised(x0, t, eps, ab, shape=(-1, 1, 1, 1)):
    a = ab[t].reshape(shape)
    return a.sqrt() * x0 + (1 - a).sqrt() * eps


def loss_with(x_t=noised, target=lambda x0, eps, x_t: eps, of=lambda error: (error**2).mean(), time=lambda t, ab: t):
    """The loss with one part replaced."""

    def answer(net, x0, t, eps, ab):
        x = x_t(x0, t, eps, ab)
        return of(net(x, time(t, ab)) - target(x0, eps, x))

    return answer


def asked_without_a_gradient(net, x0, t, eps, ab):
    with torch.no_grad():
        eps_hat = net(noised(x0, t, eps, ab), t)
    return ((eps_hat - eps) ** 2).mean()


def weight(t, b, ab, s):
    return b[t] ** 2 / (2 * s * (1 - b[t]) * (1 - ab[t]))


def step_with(times=None, noise=None, x_t=noised, loss=lambda error, eps, x0, x_t: (error**2).mean(), told=lambda t: t):
    """The training step with one part replaced."""

    def draw_times(T, n, g):
        return torch.randint(1, T + 1, (n,), generator=g)

    def draw_noise(x0, g):
        return torch.randn(x0.shape, generator=g)

    def answer(net, x0, ab, g):
        t = (times or draw_times)(len(ab) - 1, len(x0), g)
        eps = (noise or draw_noise)(x0, g)
        x = x_t(x0, t, eps, ab)
        return loss(net(x, told(t)) - eps, eps, x0, x)

    return answer


right_step = step_with()


def asks_without_a_gradient(net, x0, ab, g):
    return right_step(torch.no_grad()(net), x0, ab, g)


def both_bugs(net, x0, alpha_bar, generator):
    t = torch.randint(0, len(alpha_bar) - 1, (len(x0),), generator=generator)
    eps = torch.randn(x0.shape, generator=generator)
    signal, noise = alpha_bar[t].sqrt(), (1 - alpha_bar[t]).sqrt()
    x_t = signal.reshape(-1, 1, 1, 1) * x0 + noise.reshape(-1, 1, 1, 1) * eps
    return ((net(x_t, t) - eps).mean()) ** 2


def ignores_the_seed(net, x0, ab, g):
    return right_step(net, x0, ab, g.manual_seed(0))


def early(T, n, g):
    return torch.randint(0, T, (n,), generator=g)


def previous(x0, t, eps, ab):
    return noised(x0, t - 1, eps, ab)


def log_mass(x0, mu, s, n, half=None, low=True, high=True):
    half = 1 / (n - 1) if half is None else half
    below, above = (torch.special.ndtr((edge - mu) / s) for edge in (x0 - half, x0 + half))
    below = torch.where((x0 < -1 + 1e-6) & torch.tensor(low), 0.0, below)
    above = torch.where((x0 > 1 - 1e-6) & torch.tensor(high), 1.0, above)
    return torch.log(above - below)


def edges_at_one(x0, mu, s, n):
    half = 1 / (n - 1)
    return torch.log(
        torch.special.ndtr(((x0 + half).clamp(max=1) - mu) / s)
        - torch.special.ndtr(((x0 - half).clamp(min=-1) - mu) / s)
    )


def open_by_others(x0, mu, s, n):
    half = 1 / (n - 1)
    below = torch.special.ndtr((x0 - half - mu) / s).masked_fill(x0 == x0.min(), 0)
    return torch.log(torch.special.ndtr((x0 + half - mu) / s).masked_fill(x0 == x0.max(), 1) - below)


WRONG = {
    "07.1": [
        (lambda m1, v1, m2, v2: kl(m2, v2, m1, v1), "other way round"),
        (lambda m1, v1, m2, v2: torch.log(v2 / v1) + (v1**2 + (m1 - m2) ** 2) / (2 * v2**2) - 0.5, "square them"),
        (lambda m1, v1, m2, v2: torch.log(v2 / v1) + (v1 + (m1 - m2) ** 2) / (2 * v2) - 0.5, "not halved"),
        (lambda m1, v1, m2, v2: 0.5 * (torch.log(v2 / v1) + (v1 + (m1 - m2) ** 2) / v2), "above 0"),
        (lambda *a: kl(*a).sum(), "sum over everything"),
        (lambda *a: 2 * kl(*a), "0.5|½|twice"),
        (lambda m1, v1, m2, v2: kl(m1, v1, m2, v2) - torch.log(v2 / v1), "logarithm|upside|other way|v1 and v2|sign"),
        (lambda m1, v1, m2, v2: 0.5 * ((v1 + (m1 - m2) ** 2) / v2 - 1), "log"),
        (lambda *a: kl(*a) - 0.5, "0.5|½|off by"),
        (lambda m1, v1, m2, v2: 0.5 * (torch.log(v2 / v1) + v1 / v2 + (m1 - m2) ** 2 - 1), "divides v1 alone|brackets"),
        (lambda m1, v1, m2, v2: 0.5 * (torch.log(v2 / v1) + v1 / v2 + (m1 - m2) ** 2 / v1 - 1), None),
        (lambda m1, v1, m2, v2: 0.5 * (torch.log(v2 / v1) + (v1 + m1 - m2) / v2 - 1), "not squared"),
        (lambda m1, v1, m2, v2: 0.5 * (torch.log(v2 / v1) + (v1 + (m1 - m2).abs()) / v2 - 1), "size of"),
        (lambda m1, v1, m2, v2: 0.5 * (torch.log(v2 / v1) + v1 / v2 - 1), r"m1 − m2\)?² is missing|is missing"),
        (lambda m1, v1, m2, v2: 0.5 * (torch.log(v2 / v1) + (v2 + (m1 - m2) ** 2) / v1 - 1), None),
        (lambda m1, v1, m2, v2: 0.5 * (torch.log(v2 / v1) + v1 + (m1 - m2) ** 2 / v2 - 1), r"\(m1 − m2\)² alone|brackets"),
        (lambda m1, v1, m2, v2: 0.5 * (v1 + m1**2 - 1 - v1.log()), r"N\(0, 1\)"),
        (lambda *a: kl(*a) / math.log(2), "log 2"),
        (lambda m1, v1, m2, v2: 0.5 * (torch.log2(v2 / v1) + (v1 + (m1 - m2) ** 2) / v2 - 1), "log2"),
        (lambda *a: kl(*a).mean(), "mean over everything"),
        (lambda m1, v1, m2, v2: 0.5 * (torch.log(v1 - v2) + (v1 + (m1 - m2) ** 2) / v2 - 1), "NaN"),
        (lambda m1, v1, m2, v2: kl(m1, v1.sqrt(), m2, v2.sqrt()), None),
    ],
    "07.2": [
        (beta_with(lambda b, n, p: b * (1 - n) / (1 - p)), "upside down"),
        (beta_with(lambda b, n, p: (b * (1 - p) / (1 - n)).sqrt()), "standard deviation"),
        (lambda x_t, x0, *a: undo(x0, x_t, *a), "exchanged"),
        (mean_with(OF_X_T, lambda b, n, p: n.sqrt() * b / (1 - n)), "ᾱ_t stands for"),
        (mean_with(lambda b, n, p: (1 - b) * (1 - p) / (1 - n), lambda b, n, p: p * b / (1 - n)), "root"),
        (by_precisions, "divides by 1 − ᾱ_0"),
        (lambda *a: undo(*a)[0], "1 result and should return 2"),
        (beta_with(lambda b, n, p: b), "step forward"),
        (lambda *a: undo(*a)[::-1], "other order"),
        (beta_with(lambda b, n, p: 1 / (b * (1 - p) / (1 - n))), "upside down|1 is divided"),
        (beta_with(lambda b, n, p: b / (1 - b)), "step alone"),
        (beta_with(lambda b, n, p: 1 - p), "jump from x_0 alone"),
        (beta_with(lambda b, n, p: b / (1 - b) + 1 - p), "precisions add"),
        (beta_with(lambda b, n, p: (1 - p) / (1 - n)), "β_t, is missing|factor"),
        (beta_with(lambda b, n, p: b * (1 - p)), "division"),
        (beta_with(lambda b, n, p: (1 - b) * (1 - p) / (1 - n)), "1 − β_t"),
        (beta_with(lambda b, n, p: b * p / n), "step alone"),
        (beta_with(lambda b, n, p: (b * (1 - p) / (1 - n)) ** 2), "squared"),
        (mean_with(lambda b, n, p: (1 - p) / (1 - n), OF_X0), "missing"),
        (mean_with(lambda b, n, p: (1 - b).sqrt(), OF_X0), "in one place, ᾱ_t stands for"),
        (mean_with(lambda b, n, p: n.sqrt() * (1 - p) / (1 - n), OF_X0), "ᾱ_t stands for"),
        (mean_with(lambda b, n, p: b.sqrt() * (1 - p) / (1 - n), OF_X0), "1 is left out and β_t"),
        (mean_with(lambda b, n, p: 1 / (1 - b).sqrt(), OF_X0), None),
        (mean_with(lambda b, n, p: (1 - b).sqrt() * p / (1 - n), OF_X0), "1 is left out"),
        (mean_with(lambda b, n, p: (1 - b).sqrt() * (1 - p) / (1 - n).sqrt(), lambda b, n, p: p.sqrt() * b / (1 - n).sqrt()), "square root is taken"),
        (mean_with(OF_X_T, lambda b, n, p: p.sqrt() / (1 - n)), "missing"),
        (mean_with(OF_X_T, lambda b, n, p: p.sqrt() * b.sqrt() / (1 - n)), "square root is taken of β_t"),
        (mean_with(OF_X_T, lambda b, n, p: (1 - b).sqrt() * b / (1 - n)), "1 − β_t stands for"),
        (mean_with(OF_X_T, lambda b, n, p: p.sqrt() * (1 - b) / (1 - n)), "1 − β_t stands for β_t"),
        (lambda x_t, x0, t, b, ab: (undo(x_t, x0, t, b, ab)[0] + 0.1 * own(x_t), undo(x_t, x0, t, b, ab)[1]), "noise of your own"),
        (lambda *a: (undo(*a)[0].clamp(-1, 1), undo(*a)[1]), "clipped"),
        (lambda *a: (undo(*a)[0], undo(*a)[1] if a[2] > 1 else a[3][1]), None),
        (lambda x_t, x0, t, b, ab: by_precisions(x_t, x0, t, b, ab, small=1e-4), None),
    ],
    "07.3": [
        (lambda x_t, e, t, b, ab: (x_t + b[t] / (1 - ab[t]).sqrt() * e) / (1 - b[t]).sqrt(), "sign"),
        (lambda x_t, e, t, b, ab: x_t / (1 - b[t]).sqrt() - b[t] / (1 - ab[t]).sqrt() * e, "brackets"),
        (lambda x_t, e, t, b, ab: (x_t - (1 - ab[t]).sqrt() * e) / ab[t].sqrt(), "guess at x_0"),
        (lambda x_t, e, t, b, ab: (x_t - b[t] / (1 - ab[t]) * e) / (1 - b[t]).sqrt(), "square root"),
        (lambda x_t, e, t, b, ab: (x_t - (1 - ab[t]).sqrt() * e) / (1 - b[t]).sqrt(), "all the noise"),
        (lambda x_t, e, t, b, ab: mean(x_t, e, t, b, ab) + b[t].sqrt() * own(x_t), "noise of your own"),
        (lambda x_t, e, t, b, ab: (x_t - b[t] / (1 - ab[t]).sqrt() * e) / (1 - b[t]), "square root"),
        (lambda x_t, e, t, b, ab: (x_t - b[t] / (1 - ab[t]).sqrt() * e) * (1 - b[t]).sqrt(), "multiplies"),
        (lambda x_t, e, t, b, ab: (x_t - b[t] / (1 - ab[t]).sqrt() * e) / ab[t].sqrt(), "ᾱ_t stands for 1 − β_t"),
        (lambda x_t, e, t, b, ab: x_t - b[t] / (1 - ab[t]).sqrt() * e, "division"),
        (lambda x_t, e, t, b, ab: (x_t - b[t].sqrt() * e) / (1 - b[t]).sqrt(), "noise of one step"),
        (lambda x_t, e, t, b, ab: (x_t - b[t].sqrt() / (1 - ab[t]).sqrt() * e) / (1 - b[t]).sqrt(), "square root is taken of β_t|root covers"),
        (lambda x_t, e, t, b, ab: (x_t - e / (1 - ab[t]).sqrt()) / (1 - b[t]).sqrt(), "β_t"),
        (lambda x_t, e, t, b, ab: (x_t - b[t] * e) / (1 - b[t]).sqrt(), "division"),
        (lambda x_t, e, t, b, ab: (x_t - b[t] / (1 - ab[t - 1]).sqrt() * e) / (1 - b[t]).sqrt(), r"ᾱ_\(t-1\)"),
        (lambda x_t, e, t, b, ab: (x_t - b[t] / ab[t].sqrt() * e) / (1 - b[t]).sqrt(), "ᾱ_t"),
        (lambda x_t, e, t, b, ab: (x_t - b[t] / (1 - ab[t].sqrt()) * e) / (1 - b[t]).sqrt(), "root covers"),
        (lambda x_t, e, t, b, ab: (x_t - b[t] / (1 - ab[t]).sqrt() * e) / b[t].sqrt(), "1 is left out and β_t"),
        (lambda x_t, e, t, b, ab: mean(x_t, e, t - 1, b, ab), "t − 1 stands|t−1"),
        (lambda x_t, e, t, b, ab: (1 - b[t]).sqrt() * (1 - ab[t - 1]) / (1 - ab[t]) * x_t - b[t] / ((1 - ab[t]) * (1 - b[t])).sqrt() * e, "beside x_0"),
        (lambda x_t, e, *a: mean(e, x_t, *a), "exchanged"),
        (lambda *a: mean(*a).clamp(-1, 1), "clipped"),
        (lambda *a: mean(*a).mean(), "mean over everything"),
    ],
    "07.4": [
        (loss_with(lambda x0, t, eps, ab: noised(x0, t, eps, ab, (-1,))), "column"),
        (loss_with(lambda x0, t, eps, ab: noised(x0, t, eps, ab, (-1, 1, 1))), "axis too few"),
        (loss_with(lambda x0, t, eps, ab: ab[t].reshape(-1, 1, 1, 1) * x0 + (1 - ab[t].reshape(-1, 1, 1, 1)) * eps), "root"),
        (loss_with(target=lambda x0, eps, x_t: x0), "compared with x_0"),
        (loss_with(lambda x0, t, eps, ab: x0), "x_0 itself"),
        (loss_with(of=lambda error: (error**2).sum()), "sum"),
        (loss_with(of=lambda error: (error**2).mean().sqrt()), "root"),
        (loss_with(time=lambda t, ab: t / (len(ab) - 1)), "divided by T"),
        (loss_with(lambda x0, t, eps, ab: eps), "x0|missing|factor"),
        (loss_with(lambda x0, t, eps, ab: noised(x0, t - 1, eps, ab)), "t-1"),
        (loss_with(lambda x0, t, eps, ab: noised(eps, t, x0, ab)), "exchanged|1 − ᾱ_t stands for ᾱ_t"),
        (loss_with(lambda x0, t, eps, ab: noised(x0, t, -eps, ab)), "sign"),
        (loss_with(lambda x0, t, eps, ab: noised(x0, t[:1], eps, ab)), None),
        (loss_with(lambda x0, t, eps, ab: noised(x0, t, own(x0), ab)), "noise of your own"),
        (loss_with(lambda x0, t, eps, ab: noised(x0, t, eps, LINEAR[: len(ab)])), None),
        (loss_with(lambda x0, t, eps, ab: noised(x0, t, eps, ab.roll(1) / ab)), None),
        (loss_with(target=lambda x0, eps, x_t: x_t), "compared with x_t"),
        (loss_with(target=lambda x0, eps, x_t: x_t - x0), None),
        (loss_with(target=lambda x0, eps, x_t: -eps), "sign"),
        (loss_with(target=lambda x0, eps, x_t: 0), "eps is not subtracted|eps"),
        (loss_with(of=lambda error: error.abs().mean()), "size"),
        (loss_with(of=lambda error: error.mean() ** 2), "cancel"),
        (loss_with(of=lambda error: error.mean()), "not squared|\\*\\*|squared"),
        (loss_with(of=lambda error: 0.5 * (error**2).mean()), "hal"),
        (loss_with(of=lambda error: (error**2).flatten(1).sum(1).mean()), "sum over the entries"),
        (loss_with(of=lambda error: (error**2).flatten(1).mean(1)), "axis 0"),
        (loss_with(of=lambda error: error**2), r"mean\(…\) is missing"),
        (loss_with(of=lambda error: -(error**2).mean()), "sign"),
        (loss_with(of=lambda error: error.var()), None),
        (loss_with(time=lambda t, ab: t - 1), "one too small|t − 1"),
        (loss_with(time=lambda t, ab: ab[t]), None),
        (loss_with(time=lambda t, ab: t[:1].expand(8)), None),
        (loss_with(of=lambda error: (error**2).mean().item()), "no gradient"),
        (loss_with(of=lambda error: (error**2).mean().detach().numpy()), "no gradient"),
        (loss_with(of=lambda error: (error.detach() ** 2).mean()), "no gradient"),
        (torch.no_grad()(loss_with()), "no gradient"),
        (asked_without_a_gradient, "no gradient"),
        (lambda net, x0, t, eps, ab: ((net(t, noised(x0, t, eps, ab)) - eps) ** 2).mean(), "time first"),
        (lambda net, x0, t, eps, ab: ((noised(x0, t, eps, ab) - eps) ** 2).mean(), "never|0 times|called"),
    ],
    "07.5": [
        (lambda t, b, ab, s: 2 * weight(t, b, ab, s), "twice|2"),
        (lambda t, b, ab, s: weight(t, b, ab, s) / b[t], "not squared"),
        (lambda t, b, ab, s: b[t] ** 2 / (2 * s * ab[t] * (1 - ab[t])), "product of all"),
        (lambda t, b, ab, s: weight(t, b, ab, s) / s, "sigma2 is squared"),
        (lambda t, b, ab, s: b[t] ** 2 / (2 * s * (1 - b[t]) * (1 - ab[t - 1])), r"ᾱ_\(t-1\)"),
        (lambda t, b, ab, s: weight(t, b, ab, b[t]), "β_t serves"),
        (lambda t, b, ab, s: weight(t, b, ab, b[t] * (1 - ab[t - 1]) / (1 - ab[t])), "β̃_t serves"),
        (lambda t, b, ab, s: 4 * weight(t, b, ab, s), "2"),
        (lambda t, b, ab, s: weight(t, b, ab, s) / b[t] ** 2, "β_t"),
        (lambda t, b, ab, s: weight(t, b, ab, s.sqrt()), "root"),
        (lambda t, b, ab, s: weight(t, b, ab, s) * (1 - ab[t]).sqrt(), "square root is taken of 1 − ᾱ_t"),
        (lambda t, b, ab, s: weight(t, b, ab, s) * (1 - b[t]).sqrt(), "square root is taken of 1 − β_t"),
        (lambda t, b, ab, s: b[t] / (2 * s * ((1 - b[t]) * (1 - ab[t])).sqrt()), "factor of the error is not squared"),
        (lambda t, b, ab, s: b[t] / ((1 - b[t]) * (1 - ab[t])).sqrt(), "factor of the error in the mean"),
        (lambda t, b, ab, s: weight(t, b, ab, s) * 2 * s, "2 · sigma2"),
        (lambda t, b, ab, s: weight(t, b, ab, s) * s, "sigma2"),
        (lambda t, b, ab, s: weight(t, b, ab, s) * (1 - b[t]), "1 − β_t"),
        (lambda t, b, ab, s: weight(t, b, ab, s) * (1 - ab[t]), "1 − ᾱ_t"),
        (lambda t, b, ab, s: weight(t, b, ab, s) / (1 - ab[t]), "1 − ᾱ_t is squared"),
        (lambda t, b, ab, s: weight(t, b, ab, s) * (1 - ab[t]) ** 2, "multipl|divid"),
        (lambda t, b, ab, s: weight(t, b, ab, s) * (1 - ab[t]) / ab[t], "1 is left out and ᾱ_t"),
        (lambda t, b, ab, s: ab[t - 1] * b[t] ** 2 / (2 * s * (1 - ab[t]) ** 2), "error in x_0"),
        (lambda t, b, ab, s: b[t] ** 2 / 2 * s * (1 - b[t]) * (1 - ab[t]), "brackets"),
        (lambda t, b, ab, s: 1.0, "L_simple"),
        (lambda t, b, ab, s: 1 / weight(t, b, ab, s), "upside"),
        (lambda t, b, ab, s: weight(t - 1, b, ab, s), "t − 1|t−1"),
        (lambda t, b, ab, s: -weight(t, b, ab, s), "negative"),
        (lambda t, b, ab, s: b**2 / (2 * s * (1 - b) * (1 - ab)), "shape"),
    ],
    "07.6": [
        (both_bugs, "run from 0 to 4"),
        (step_with(loss=lambda error, *_: error.mean() ** 2), "cancel"),
        (step_with(times=early), "run from 0 to 4"),
        (step_with(times=early, x_t=noised, told=lambda t: t + 1), "noise of the step before"),
        (step_with(times=lambda T, n, g: torch.randint(1, T, (n,), generator=g)), "run from 1 to 4"),
        (step_with(times=lambda T, n, g: torch.randint(1, T + 1, (1,), generator=g).expand(n)), "same t"),
        (step_with(noise=lambda x0, g: torch.randn(x0[:1].shape, generator=g).expand_as(x0)), "share"),
        (step_with(x_t=lambda x0, t, eps, ab: noised(x0, t, eps, ab) + (ab[t] - ab[t].sqrt()).reshape(-1, 1, 1, 1) * x0), "square root of ᾱ_t|a.* root|factor"),
        (step_with(noise=lambda x0, g: torch.randn(x0.shape)), "generator"),
        (step_with(loss=lambda error, *_: (error.flatten(1).mean(1) ** 2).mean()), None),
        (step_with(times=lambda T, n, g: torch.arange(n) % T + 1), "times are the same"),
        (step_with(times=lambda T, n, g: torch.randint(1, T + 1, (n,))), "times are the same"),
        (step_with(times=lambda T, n, g: torch.tensor(np.random.randint(1, T + 1, n))), "different times"),
        (step_with(times=lambda T, n, g: torch.randint(0, T + 1, (n,), generator=g)), "run from 0 to 5"),
        (step_with(times=lambda T, n, g: torch.randint(1, T + 1, (n,), generator=g).minimum(torch.tensor(2)) * (T - 1) - T + 2), "drawn for"),
        (step_with(told=lambda t: t / 5), "run from"),
        (step_with(told=lambda t: t - 1), "run from 0 to 4"),
        (step_with(noise=lambda x0, g: torch.rand(x0.shape, generator=g)), "size"),
        (step_with(noise=lambda x0, g: 12**0.5 * (torch.rand(x0.shape, generator=g) - 0.5)), "not normal"),
        (step_with(noise=lambda x0, g: torch.zeros_like(x0)), "no noise"),
        (step_with(noise=lambda x0, g: torch.randn(len(x0), 1, 1, 1, generator=g).expand_as(x0)), "share"),
        (step_with(x_t=lambda x0, t, eps, ab: ab[t].sqrt().reshape(-1, 1, 1, 1) * x0 + (1 - ab[t]).reshape(-1, 1, 1, 1) * eps), "variance"),
        (step_with(x_t=lambda x0, t, eps, ab: ab[t].sqrt().reshape(-1, 1, 1, 1) * x0 + eps), "full strength"),
        (step_with(x_t=lambda x0, t, eps, ab: x0 + (1 - ab[t]).sqrt().reshape(-1, 1, 1, 1) * eps), "factor of x0|missing"),
        (step_with(x_t=lambda x0, t, eps, ab: noised(0 * x0, t, eps, ab)), "factor of x0|missing"),
        (step_with(loss=lambda error, *_: (error**2).sum()), "sum"),
        (step_with(loss=lambda error, *_: (error**2).mean().sqrt()), "root"),
        (step_with(loss=lambda error, eps, x0, x_t: ((error + eps - x0) ** 2).mean()), "compared with x_0"),
        (step_with(loss=lambda error, *_: error.abs().mean()), "size"),
        (step_with(loss=lambda error, *_: (error**2).mean().item()), "no gradient"),
        (step_with(loss=lambda error, *_: (error.detach() ** 2).mean()), "no gradient"),
        (torch.no_grad()(right_step), "no gradient"),
        (asks_without_a_gradient, "no gradient"),
        (ignores_the_seed, "same whatever"),
        (lambda net, x0, ab, g: torch.rand((), generator=g), "never calls"),
    ],
    "07.7": [
        (lambda x0, mu, s, n: log_mass(x0, mu, s, n, 1 / n), "gaps"),
        (lambda x0, mu, s, n: log_mass(x0, mu, s, n, 2 / (n - 1)), "whole bin"),
        (lambda *a: log_mass(*a, low=False, high=False), "as wide as the others"),
        (lambda *a: log_mass(*a, high=False), "x0 >= 1|case|missing"),
        (lambda *a: log_mass(*a, low=False), "x0 <= -1|case|missing"),
        (lambda x0, mu, s, n: Normal(mu, s).log_prob(x0) + math.log(2 / (n - 1)), "density"),
        (lambda x0, mu, s, n: log_mass(x0, mu, s**0.5, n), "variance"),
        (lambda *a: log_mass(*a).exp(), "log"),
        (lambda x0, mu, s, n: log_mass(x0, mu, s, n, 1 / 16), "1/16"),
        (lambda x0, mu, s, n: log_mass(x0, mu, s, n, 0.5), "half a level"),
        (lambda x0, mu, s, n: log_mass(x0, mu, s, n, 1 / 255), None),
        (lambda x0, mu, s, n: log_mass(x0, mu, s, n, 1 / (n + 1)), "levels"),
        (lambda x0, mu, s, n: Normal(mu, s).log_prob(x0), None),
        (lambda x0, mu, s, n: log_mass(x0, mu, s**2, n), "squared"),
        (lambda x0, mu, s, n: log_mass(x0, mu, torch.ones_like(s), n), None),
        (lambda x0, mu, s, n: -log_mass(x0, mu, s, n), "sign"),
        (lambda x0, mu, s, n: log_mass(x0, mu, s, n) / math.log(2), "log 2"),
        (lambda x0, mu, s, n: torch.log(torch.special.ndtr((x0 + 2 / (n - 1) - mu) / s).masked_fill(x0 >= 1, 1) - torch.special.ndtr((x0 - mu) / s).masked_fill(x0 <= -1, 0)), "begins at x0"),
        (lambda x0, mu, s, n: log_mass(x0, mu, s / 2**0.5, n), "erf"),
        (lambda x0, mu, s, n: torch.special.log_ndtr((x0 - mu) / s), None),
        (lambda x0, mu, s, n: torch.special.log_ndtr((x0 + 1 / (n - 1) - mu) / s).masked_fill(x0 >= 1, 0), "below the bin"),
        (edges_at_one, None),
        (open_by_others, "other pixels"),
        (lambda x0, mu, s, n: log_mass(mu, x0, s, n), "exchanged"),
        (lambda *a: log_mass(*a).exp().clamp(min=1e-3).log(), None),
        (lambda *a: log_mass(*a).exp().clamp(min=1e-5).log(), "floor"),
        (lambda *a: (log_mass(*a).exp() + 1e-6).log(), None),
        (lambda *a: log_mass(*a).sum(), "sum"),
        (lambda *a: 0 * a[0], "0 everywhere"),
    ],
}  # fmt: skip


class Undo:
    def __call__(self, x_t, x0, t, beta, alpha_bar):
        self.gain = beta[t] / (1 - alpha_bar[t])
        mean = self.gain * alpha_bar[t - 1] ** 0.5 * x0 + (1 - self.gain) / (1 - beta[t]) ** 0.5 * x_t
        return [mean, self.gain * (1 - alpha_bar[t - 1])]


def kl_by_loop(m1, v1, m2, v2):
    out = []
    for a, v, b, w in zip(m1.tolist(), v1.tolist(), m2.tolist(), v2.tolist(), strict=True):
        out.append((math.log(w / v) + (v + (a - b) ** 2) / w - 1) / 2)
    return out


def undo_in_place(x_t, x0, t, beta, alpha_bar):
    rest = 1 - alpha_bar[t]
    x_t *= (1 - beta[t]).sqrt() * (1 - alpha_bar[t - 1]) / rest
    return x_t.add_(x0.mul_(alpha_bar[t - 1].sqrt() * beta[t] / rest)), beta[t] * (1 - alpha_bar[t - 1]) / rest


def mean_by_x0(x_t, eps_hat, t, beta, alpha_bar):
    x0 = (x_t - (1 - alpha_bar[t]).sqrt() * eps_hat) / alpha_bar[t].sqrt()
    return undo(x_t, x0, t, beta, alpha_bar)[0]


def mean_by_loop(x_t, eps_hat, t, beta, alpha_bar):
    scale = float(beta[t]) / math.sqrt(1 - float(alpha_bar[t]))
    return [
        (x - scale * e) / math.sqrt(1 - float(beta[t])) for x, e in zip(x_t.tolist(), eps_hat.tolist(), strict=True)
    ]


def image_by_image(net, x0, t, eps, alpha_bar):
    total = 0
    for i in range(len(x0)):
        a = alpha_bar[t[i]]
        eps_hat = net((a.sqrt() * x0[i] + (1 - a).sqrt() * eps[i])[None], t[i : i + 1])
        total = total + (eps_hat[0] - eps[i]).square().mean()
    return total / len(x0)


def in_halves(net, x0, t, eps, alpha_bar):
    x_t = noised(x0, t, eps, alpha_bar)
    parts = [net(x, s) for x, s in zip(x_t.chunk(2), t.chunk(2), strict=True)]
    return F.mse_loss(torch.cat(parts), eps)


def loss_in_place(net, x0, t, eps, alpha_bar):
    a = alpha_bar[t][:, None, None, None]
    x0.mul_(a**0.5).add_((1 - a) ** 0.5 * eps)
    error = net(x_t=x0, t=t).sub(eps)
    return (error * error).sum() / error.numel()


def step_image_by_image(net, x0, alpha_bar, generator):
    total = 0
    for x in x0:
        t = torch.randint(1, len(alpha_bar), (1,), generator=generator)
        eps = torch.randn(1, *x.shape, generator=generator)
        total = total + F.mse_loss(net(noised(x[None], t, eps, alpha_bar), t), eps.double())
    return total / len(x0)


def step_noise_first(net, x0, alpha_bar, generator):
    eps = torch.randn(x0.shape, generator=generator, dtype=x0.dtype)
    t = (torch.rand(len(x0), generator=generator) * (len(alpha_bar) - 1)).floor().long() + 1
    return F.mse_loss(net(noised(x0, t, eps, alpha_bar), t), eps)


def step_by_normal(net, x0, alpha_bar, generator):
    t = 1 + torch.empty(len(x0)).random_(len(alpha_bar) - 1, generator=generator).long()
    eps = torch.empty_like(x0).normal_(generator=generator)
    return (eps - net(noised(x0, t, eps, alpha_bar), t)).pow(2).flatten(1).mean(1).mean()


class Step:
    def __call__(self, net, x0, alpha_bar, generator):
        table = torch.stack([alpha_bar.sqrt(), (1 - alpha_bar).sqrt()]).float()
        t = torch.multinomial(torch.ones(len(alpha_bar) - 1), len(x0), replacement=True, generator=generator) + 1
        eps = torch.normal(0.0, 1.0, x0.shape, generator=generator)
        signal, noise = table[:, t, None, None, None]
        return (net(signal * x0.float() + noise * eps, t) - eps).square().mean()


def masses_by_loop(x0, mu, sigma, levels):
    half, out = 1 / (levels - 1), []
    for x, m in zip(x0.tolist(), mu.tolist(), strict=True):
        high = 1.0 if x > 1 - half else 0.5 * math.erfc(-(x + half - m) / float(sigma) / math.sqrt(2))
        low = 0.0 if x < half - 1 else 0.5 * math.erfc(-(x - half - m) / float(sigma) / math.sqrt(2))
        out.append(math.log(high - low))
    return out


def masses_in_place(x0, mu, sigma, levels):
    x0.sub_(mu).div_(sigma)
    half, value = 1 / (levels - 1) / sigma, x0 * sigma + mu
    low, high = torch.special.ndtr(x0 - half), torch.special.ndtr(x0 + half)
    low[value < -0.999], high[value > 0.999] = 0.0, 1.0
    return high.sub_(low).log_()


def masses_by_table(x0, mu, sigma, levels):
    edges = torch.cat(
        [
            torch.tensor([-math.inf]),
            torch.linspace(-1, 1, levels)[:-1].double() + 1 / (levels - 1),
            torch.tensor([math.inf]),
        ]
    )
    i = ((x0 + 1) / 2 * (levels - 1)).round().long()
    cdf = Normal(mu, sigma).cdf
    return (cdf(edges[i + 1]) - cdf(edges[i])).log()


RIGHT = {
    "07.1": [
        kl_by_loop,
        lambda m1, v1, m2, v2: kl_divergence(Normal(m1, v1.sqrt()), Normal(m2, v2.sqrt())),
        lambda *a: kl(*(x.float() for x in a)),
        lambda *a: kl(*a).numpy(),
        lambda m1, v1, m2, v2: torch.log(v2.sqrt() / v1.sqrt()) + (v1 + (m1 - m2) ** 2) / (2 * v2) - 0.5,
        lambda *, m1, v1, m2, v2: 0.5 * (v2.log() - v1.log() + v1 / v2 + (m2 - m1).square() / v2 - 1),
        lambda m1, v1, m2, v2: (m1.sub_(m2).pow_(2).add_(v1).div_(v2) - 1 - np.log(v1 / v2)) * 0.5,
        lambda *a: [kl(*row) for row in zip(*a, strict=True)],
    ],
    "07.2": [
        Undo(), undo_in_place, undo,
        lambda x_t, x0, t, b, ab: undo(x_t.float(), x0.float(), t, b.float(), ab.float()),
        lambda *a: [r.numpy() for r in undo(*a)],
        lambda *a: (undo(*a)[0], undo(*a)[1].expand_as(a[0])),
        lambda *a: (undo(*a)[0], float(undo(*a)[1])),
        lambda *, x_t, x0, t, beta, alpha_bar: undo(x_t, x0, t, beta, alpha_bar),
        lambda x_t, x0, t, b, ab: (undo(x_t, x0, t, b, ab)[0], 1 / (1 / (1 - ab[t - 1]) + (1 - b[t]) / b[t])),
        lambda x_t, x0, t, b, ab: (x0, 0 * b[1]) if t == 1 else by_precisions(x_t, x0, t, b, ab),
        lambda x_t, x0, t, b, ab: NoiseSchedule(b[1:]).posterior(x0, x_t, t),
    ],
    "07.3": [
        mean_by_x0, mean_by_loop, mean,
        lambda x_t, e, t, b, ab: mean(x_t.float(), e.float(), t, b.float(), ab.float()),
        lambda *a: mean(*a).numpy(),
        lambda *, x_t, eps_hat, t, beta, alpha_bar: mean(x_t, eps_hat, t, beta, alpha_bar),
        lambda x_t, e, t, b, ab: x_t.sub_(e.mul_(b[t] * (1 - ab[t]) ** -0.5)).div_((1 - b[t]) ** 0.5),
        lambda x_t, e, t, b, ab: (ab[t - 1] / ab[t]) ** 0.5 * (x_t - (1 - ab[t] / ab[t - 1]) * e / (1 - ab[t]) ** 0.5),
    ],
    "07.4": [
        loss_with(), image_by_image, in_halves, loss_in_place,
        loss_with(of=lambda error: error.square().flatten(1).mean(1).mean()),
        loss_with(of=lambda error: error.norm() ** 2 / error.numel()),
        loss_with(time=lambda t, ab: t.double()),
        lambda net, x0, t, eps, ab: F.mse_loss(net(noised(x0, t, eps, ab).float(), t), eps.float()),
        lambda *, net, x0, t, eps, alpha_bar: loss_with()(net, x0, t, eps, alpha_bar),
        lambda net, x0, t, eps, ab: torch.einsum("nchw,nchw->", d := net(noised(x0, t, eps, ab), t) - eps, d)[None] / d.numel(),
    ],
    "07.5": [
        weight,
        lambda t, b, ab, s: float(weight(t, b, ab, s)),
        lambda t, b, ab, s: weight(t, b.float(), ab.float(), s.float()),
        lambda t, b, ab, s: weight(t, b.numpy(), ab.numpy(), s.numpy()),
        lambda *, t, beta, alpha_bar, sigma2: weight(t, beta, alpha_bar, sigma2)[None],
        lambda t, b, ab, s: (b[t] / ((1 - ab[t]) * (1 - b[t])).sqrt()).square() / s / 2,
        lambda t, b, ab, s: weight(torch.arange(len(b)), b, ab, s)[t],
        lambda t, b, ab, s: 0.5 * b[t] / s * b[t] / (1 - b[t]) * (1 - ab[t]) ** -1,
    ],
    "07.6": [
        right_step, step_image_by_image, step_noise_first, step_by_normal, Step(),
        lambda *, net, x0, alpha_bar, generator: right_step(net, x0, alpha_bar, generator),
        step_with(told=lambda t: t.float()),
        lambda net, x0, ab, g: right_step(lambda x, t: torch.cat([net(x[:9], t[:9]), net(x[9:], t[9:])]), x0, ab, g),
        step_with(noise=lambda x0, g: torch.randn(x0.shape, generator=g).double().requires_grad_()),
    ],
    "07.7": [
        masses_by_loop, masses_in_place, masses_by_table, log_mass,
        discretized,
        lambda x0, mu, s, n: log_mass(x0.float(), mu.float(), s.float(), n),
        lambda x0, mu, s, n: log_mass(x0, mu, s, n).numpy(),
        lambda *, x0, mu, sigma, levels: log_mass(x0, mu, sigma, levels),
        lambda *a: log_mass(*a).exp().clamp(min=1e-12).log(),
    ],
}  # fmt: skip
