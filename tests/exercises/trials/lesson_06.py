"""Answers to the exercises of lesson 06: wrong ones with a word that a named cause must hold, right ones in other styles."""

import itertools
import math

import numpy as np
import torch

from course_lib.diffusion import NoiseSchedule

LINEAR = NoiseSchedule.linear().alpha_bar


def own_noise(x0, t, eps, alpha_bar):
    own = torch.randn(x0.shape, generator=torch.Generator().manual_seed(7), dtype=x0.dtype)
    return alpha_bar[t].sqrt() * x0 + (1 - alpha_bar[t]).sqrt() * own


def kl_bits(m, v):
    return (0.5 * (v + m**2 - 1 - torch.log(v))).flatten(1).sum(1) / math.log(2)


def reached(last, T, first):
    return float((1 - torch.linspace(first, last, T, dtype=torch.float64)).prod())


def solved(T, first, goal, low=None, high=0.999, rounds=60, reached=reached):
    low = first if low is None else low
    for _ in range(rounds):
        middle = (low + high) / 2
        low, high = (middle, high) if reached(middle, T, first) > goal else (low, middle)
    return (low + high) / 2


def bayes(x_t, x0, before, flips):
    prior = before * x0 + (1 - before) / 2
    one = torch.where(x_t == 1, 1 - flips, flips) * prior
    return one / (one + torch.where(x_t == 1, flips, 1 - flips) * (1 - prior))


def jumped(x, s, t, eps, ab):
    return (ab[t] / ab[s]).sqrt() * x + (1 - ab[t] / ab[s]).sqrt() * eps


NAMED = 0.87  # the share of wrong answers whose cause is told, as reached, less two points

SURVIVORS = {  # mutants of the solution that are no mistakes, each with the reason
    "06.1": {
        "ᾱ may equal 0.5, and should not": "no schedule hits ½ exactly",
        "int(…) is missing": "a tensor of one number is a number",
    },
    "06.4": {
        "the result is clipped to −1 … 1": "betas lie in it",
    },
    "06.5": {
        "the sign of x0 is turned": "it is squared",
    },
    "06.7": {
        "the result is clipped to −1 … 1": "probabilities lie in it",
        "a difference of ᾱ_t stands for β_t": "1 − ᾱ_t / ᾱ_(t−1) is β_t",
        "in one place, a difference of ᾱ_t stands for β_t": "1 − ᾱ_t / ᾱ_(t−1) is β_t",
        "the step for `zero` comes too early": "it does not use `one`",
        "a square root is taken of x0": "bits",
        "x0 is squared": "bits",
        "a square root is taken of x_t": "bits",
        "in one place, a square root is taken of x_t": "bits",
        "x_t is squared": "bits",
        "in one place, x_t is squared": "bits",
        "1 is divided by x_t": "it is compared with 1",
        "in one place, 1 is divided by x_t": "it is compared with 1",
    },
}

WRONG = {
    "06.1": [
        (lambda ab: int((ab.sqrt() < 0.5).int().argmax()), "√ᾱ"),
        (lambda ab: int((ab < 0.5).int().argmax()) - 1, "before"),
        (lambda ab: int((ab < 0.5).int().argmax()) + 1, "late"),
        (lambda ab: int((ab < 0.5).sum()), "number of times"),
        (lambda ab: ab[int((ab < 0.5).int().argmax())], "ᾱ at that time"),
        (lambda ab: (ab / (1 - ab))[int((ab < 0.5).int().argmax())], "SNR"),
        (lambda ab: int((ab < 0.5).int().argmax()) / (len(ab) - 1), "share"),
        (lambda ab: ab < 0.5, "each t|axis"),
        (lambda ab: int((ab > 0.5).int().argmax()), "turned|other way"),
        (lambda ab: len(ab) - 1, None),
        (lambda ab: int((ab < 1).int().argmax()), None),
        (lambda ab: int((LINEAR < 0.5).int().argmax()), "linear"),
        (lambda ab: int((ab < 0.25).int().argmax()), "√ᾱ|halved"),
        (lambda ab: int((1 - ab < 0.5).int().argmax()), None),
        (lambda ab: 500, None),
        (lambda ab: (ab - 0.5).abs().argmin() + 2, None),
    ],
    "06.2": [
        (lambda x0, t, eps, ab: ab[t].sqrt() * x0 + (1 - ab[t]) * eps, "variance"),
        (lambda x0, t, eps, ab: ab[t] * x0 + (1 - ab[t]).sqrt() * eps, "square root of ᾱ_t"),
        (lambda x0, t, eps, ab: ab[t - 1].sqrt() * x0 + (1 - ab[t - 1]).sqrt() * eps, r"ᾱ_\(t−1\)|ᾱ_\(t-1\)"),
        (lambda x0, t, eps, ab: (ab[t] / ab[t - 1]).sqrt() * x0 + (1 - ab[t] / ab[t - 1]).sqrt() * eps, "one step"),
        (own_noise, "noise of your own"),
        (lambda x0, t, eps, ab: own_noise(x0, t, torch.randn_like(x0), ab) * torch.rand(()), "different each time"),
        (lambda x0, t, eps, ab: ab[t].sqrt() * x0 + (1 - ab[t].sqrt()) * eps, "add up to 1|squares"),
        (lambda x0, t, eps, ab: (1 - ab[t]).sqrt() * x0 + ab[t].sqrt() * eps, "exchanged"),
        (lambda x0, t, eps, ab: ab[t].sqrt() * x0 - (1 - ab[t]).sqrt() * eps, "sign"),
        (lambda x0, t, eps, ab: ab[t].sqrt() * x0 + eps, "full strength"),
        (lambda x0, t, eps, ab: x0 + (1 - ab[t]).sqrt() * eps, "x_0 at full strength"),
        (lambda x0, t, eps, ab: LINEAR[t].sqrt() * x0 + (1 - LINEAR[t]).sqrt() * eps, "table"),
        (lambda x0, t, eps, ab: ab[t + 1 - (t > 699)].sqrt() * x0 + (1 - ab[t + 1 - (t > 699)]).sqrt() * eps, None),
        (lambda x0, t, eps, ab: (ab[t].sqrt() * x0 + (1 - ab[t]).sqrt() * eps).clamp(-1, 1), "clipped"),
        (lambda x0, t, eps, ab: (1 - ab[t]).sqrt() * x0 + (ab[t]).sqrt() * eps * 2, None),
        (lambda x0, t, eps, ab: ab[t].sqrt() * x0 + ((1 - ab[t]) * eps).sqrt(), "root is taken|NaN"),
        (lambda x0, t, eps, ab: (ab[t].sqrt() * x0 + (1 - ab[t]).sqrt() * eps).mean(), "mean"),
        (lambda x0, t, eps, ab: ab[t].sqrt() * x0 + (1 - ab[t] ** 2).sqrt() * eps, "squared"),
        (lambda x0, t, eps, ab: ab[t].sqrt() * x0 + 1 - ab[t].sqrt() * eps, None),
        (lambda x0, t, eps, ab: ab.cumprod(0)[t].sqrt() * x0 + (1 - ab.cumprod(0)[t]).sqrt() * eps, "product already"),
    ],
    "06.3": [
        (lambda x, s, t, eps, ab: ab[t].sqrt() * x + (1 - ab[t]).sqrt() * eps, "from 0"),
        (lambda x, s, t, eps, ab: (ab[t] / ab[s]).sqrt() * x + (ab[s] - ab[t]).sqrt() * eps, "difference of var"),
        (lambda x, s, t, eps, ab: (ab[t] / ab[s]).sqrt() * x + (1 - ab[t]).sqrt() * eps, "all the noise"),
        (lambda x, s, t, eps, ab: ab[t] / ab[s] * x + (1 - ab[t] / ab[s]).sqrt() * eps, "square root"),
        (lambda x, s, t, eps, ab: (ab[t] / ab[s]).sqrt() * x + (1 - ab[t] / ab[s]) * eps, "variance"),
        (lambda x, s, t, eps, ab: (ab[s] / ab[t]).sqrt() * x + (1 - ab[t] / ab[s]).sqrt() * eps, "upside"),
        (lambda x, s, t, eps, ab: ab[t - s].sqrt() * x + (1 - ab[t - s]).sqrt() * eps, "t − s"),
        (lambda x, s, t, eps, ab: jumped(x, t - 1, t, eps, ab), "last step"),
        (lambda x, s, t, eps, ab: jumped(x, max(s - 1, 0), t, eps, ab), "begins with"),
        (lambda x, s, t, eps, ab: jumped(x, s, t - 1, eps, ab), "ends with"),
        (lambda x, s, t, eps, ab: x + (1 - ab[t] / ab[s]).sqrt() * eps, "full strength"),
        (lambda x, s, t, eps, ab: (ab[t] / ab[s]).sqrt() * x + (1 - (ab[t] / ab[s]).sqrt()) * eps, "squares|root covers"),
        (lambda x, s, t, eps, ab: (ab[t] / ab[s]).sqrt() * x + eps, "missing"),
        (lambda x, s, t, eps, ab: jumped(x, t, s, eps, ab), "NaN"),
        (lambda x, s, t, eps, ab: (ab[t] / ab[s]).sqrt() * x - (1 - ab[t] / ab[s]).sqrt() * eps, "sign"),
        (lambda x, s, t, eps, ab: jumped(x, s, t, torch.randn_like(eps), ab), "noise of your own"),
        (lambda x, s, t, eps, ab: jumped(eps, s, t, x, ab), "exchanged"),
    ],
    "06.4": [
        (lambda ab: ab[:-1] - ab[1:], "difference"),
        (lambda ab: ab[1:] / ab[:-1], "α_t that stay"),
        (lambda ab: torch.cat([torch.zeros(1), 1 - ab[1:] / ab[:-1]]), r"T \+ 1"),
        (lambda ab: 1 - ab[1:], "all steps"),
        (lambda ab: 1 - ab[:-1] / ab[1:], "upside"),
        (lambda ab: ab[:-1] / ab[1:] - 1, "after the step|other way"),
        (lambda ab: -(ab[1:] / ab[:-1]).log(), "−log"),
        (lambda ab: 1 - (ab[1:] / ab[:-1]).sqrt(), "√α"),
        (lambda ab: (1 - ab[1:] / ab[:-1]).flip(0), "down to 1"),
        (lambda ab: (1 - ab[1:] / ab[:-1])[:-1], "last"),
        (lambda ab: ab[1:] * 0, "0 everywhere"),
        (lambda ab: (1 - ab[1:] / ab[:-1]).sqrt(), "square root"),
        (lambda ab: 1 - ab, "entry|shape"),
        (lambda ab: 1 - ab[1:] * ab[:-1], "multiplies"),
        (lambda ab: (1 - ab[1:] / ab[:-1]).mean(), "mean"),
        (lambda ab: 1 - ab[2:] / ab[:-2], None),
    ],
    "06.5": [
        (lambda x0, a: kl_bits(a.sqrt() * x0, 1 - a) * math.log(2), "nats"),
        (lambda x0, a: kl_bits(a.sqrt() * x0, 1 - a) / x0[0].numel(), "mean over"),
        (lambda x0, a: (0.5 * (a * (x0**2 - 1) + torch.log1p(-a))).flatten(1).sum(1) / math.log(2), "logarithm"),
        (lambda x0, a: kl_bits(a.sqrt() * x0, 1 - a).sum(), "whole batch"),
        (lambda x0, a: kl_bits(0 * x0, 1 - a), "mean of x_T"),
        (lambda x0, a: kl_bits(a.sqrt() * x0, 1 - a) * 64 / x0[0].numel(), "times one number"),
        (lambda x0, a: kl_bits(a * x0, 1 - a), "root"),
        (lambda x0, a: kl_bits(a.sqrt() * x0, (1 - a).sqrt()), "deviation"),
        (lambda x0, a: 2 * kl_bits(a.sqrt() * x0, 1 - a), "½"),
        (lambda x0, a: kl_bits(a.sqrt() * x0, 1 - a) * math.log(2) ** 2, "multiplied by log 2"),
        (lambda x0, a: 0.5 * (a * x0**2 - a - torch.log1p(-a)) / math.log(2), "per pixel"),
        (lambda x0, a: kl_bits(a.sqrt() * x0, 1 - a).mean(), "averaged|whole batch"),
        (lambda x0, a: (0.5 * (a * (x0 - 1) - torch.log1p(-a))).flatten(1).sum(1) / math.log(2), "not squared"),
        (lambda x0, a: kl_bits(a.sqrt() * x0, a), None),
        (lambda x0, a: (0.5 * ((1 + a * x0**2) / (1 - a) - 1 + torch.log1p(-a))).flatten(1).sum(1) / math.log(2), "other way"),
        (lambda x0, a: (0.5 * (a * x0**2 - a - torch.log2(1 - a))).flatten(1).sum(1), "log 2"),
        (lambda x0, a: kl_bits(a.sqrt() * x0, 1 - a) + 1, "one too large"),
    ],
    "06.6": [
        (lambda T, first, goal: 1 - goal ** (1 / T), "every β"),
        (lambda T, first, goal: solved(T, first, goal**2), "√ᾱ_T"),
        (lambda T, first, goal: min(0.999, 0.02 * 1000 / T), None),
        (lambda T, first, goal: solved(T, first, goal, rounds=8), "too soon"),
        (lambda T, first, goal: solved(T, first, goal, high=0.02), "bound"),
        (lambda T, first, goal: goal, "goal itself"),
        (lambda T, first, goal: solved(T, first, goal, reached=lambda b, T, f: reached(b, T + 1, f)), "long"),
        (lambda T, first, goal: solved(T, first, goal, reached=lambda b, T, f: reached(b, T, 0.0)), "begin at 0"),
        (lambda T, first, goal: solved(T, first, goal, reached=lambda b, T, f: 1 - reached(b, T, f)), "wrong way|bound"),
        (lambda T, first, goal: -2 * math.log(goal) / T - first, "exp"),
        (lambda T, first, goal: torch.linspace(first, 0.2, T), "one number"),
        (lambda T, first, goal: 0.2, "bound"),
        (lambda T, first, goal: solved(T, first, goal + 5e-4), "too soon"),
    ],
    "06.7": [
        (lambda x_t, x0, t, beta, ab: bayes(x_t, x0, ab[t], beta[t] / 2), "kernel at t"),
        (lambda x_t, x0, t, beta, ab: bayes(x_t, x0, ab[t - 1], beta[t]), "fresh coins"),
        (lambda x_t, x0, t, beta, ab: torch.where(x_t == 1, 1 - beta[t] / 2, beta[t] / 2) * (ab[t - 1] * x0 + (1 - ab[t - 1]) / 2), "divided"),
        (lambda x_t, x0, t, beta, ab: ab[t - 1] * x0 + (1 - ab[t - 1]) / 2, "x_0 alone"),
        (lambda x_t, x0, t, beta, ab: 1 - bayes(x_t, x0, ab[t - 1], beta[t] / 2), "of a 0"),
        (lambda x_t, x0, t, beta, ab: bayes(x_t, x0, ab[t - 1], beta[t - 1] / 2), "before"),
        (lambda x_t, x0, t, beta, ab: bayes(x0, x_t, ab[t - 1], beta[t] / 2), "exchanged"),
        (lambda x_t, x0, t, beta, ab: bayes(x_t, x0, ab[t - 1].sqrt(), beta[t] / 2), "√ᾱ"),
        (lambda x_t, x0, t, beta, ab: torch.where(x_t == 1, 1 - beta[t] / 2, beta[t] / 2), "x_t alone"),
        (lambda x_t, x0, t, beta, ab: bayes(torch.ones_like(x_t), x0, ab[t - 1], beta[t] / 2), "counts as 1"),
        (lambda x_t, x0, t, beta, ab: bayes(1 - x_t, x0, ab[t - 1], beta[t] / 2), "exchanged|1 − x_t|other way"),
        (lambda x_t, x0, t, beta, ab: (bayes(x_t, x0, ab[t - 1], beta[t] / 2) > 0.5).double(), "rounded"),
        (lambda x_t, x0, t, beta, ab: bayes(x_t, x0, 1 - beta[t - 1], beta[t] / 2), "β"),
        (lambda x_t, x0, t, beta, ab: bayes(x_t, x0, ab[t - 1], 1 - beta[t] / 2), None),
        (lambda x_t, x0, t, beta, ab: ((1 - beta[t]).sqrt() * (1 - ab[t - 1]) * x_t + ab[t - 1].sqrt() * beta[t] * x0) / (1 - ab[t]), "Gaussian"),
    ],
}  # fmt: skip


class Jump:
    def __call__(self, x0, t, eps, alpha_bar):
        self.signal = alpha_bar[t] ** 0.5
        return self.signal * x0 + (1 - self.signal**2) ** 0.5 * eps


def in_place(x0, t, eps, alpha_bar):
    x0 *= alpha_bar[t].sqrt()
    return x0.add_((1 - alpha_bar[t]).sqrt() * eps)


def by_loop(x_s, s, t, eps, alpha_bar):
    alpha = 1.0
    for u in range(s + 1, t + 1):
        alpha *= alpha_bar[u] / alpha_bar[u - 1]
    return alpha**0.5 * x_s + (1 - alpha) ** 0.5 * eps


def first_by_loop(alpha_bar):
    for t, value in enumerate(alpha_bar):
        if t > 0 and value / (1 - value) < 1:
            return t
    return None


def betas_by_loop(alpha_bar):
    betas = []
    for before, now in itertools.pairwise(alpha_bar.tolist()):
        betas.append((before - now) / before)
    return betas


def bits_by_loop(x0, alpha_bar_T):
    bits = []
    for image in x0:
        total = 0.0
        for pixel in image.flatten().tolist():
            v, m = 1 - float(alpha_bar_T), math.sqrt(alpha_bar_T) * pixel
            total += 0.5 * (v + m * m - 1 - math.log(v)) / math.log(2)
        bits.append(total)
    return bits


def bits_by_torch(x0, a):
    q = torch.distributions.Normal(a.sqrt() * x0, (1 - a).sqrt())
    p = torch.distributions.Normal(torch.zeros(()).double(), torch.ones(()).double())
    return torch.distributions.kl_divergence(q, p).sum((1, 2, 3)) / math.log(2)


def flips_by_loop(x_t, x0, t, beta, alpha_bar):
    out = np.zeros(len(x_t))
    for i, (now, clean) in enumerate(zip(x_t.numpy(), x0.numpy(), strict=True)):
        weight = {}
        for b in (0, 1):
            kernel = float(alpha_bar[t - 1]) * (b == clean) + (1 - float(alpha_bar[t - 1])) / 2
            weight[b] = kernel * ((1 - float(beta[t])) * (b == now) + float(beta[t]) / 2)
        out[i] = weight[1] / (weight[0] + weight[1])
    return out


RIGHT = {
    "06.1": [
        first_by_loop,
        lambda ab: torch.where(ab < 0.5)[0][0],
        lambda ab: np.argmax(ab.numpy() < 0.5),
        lambda ab: float((ab >= 0.5).sum()),
        lambda ab: next(t for t in range(len(ab)) if ab[t] < 1 - ab[t]),
        lambda *, alpha_bar: (alpha_bar < 0.5).nonzero()[0],
        lambda ab: int(torch.searchsorted(-ab, -0.5, right=True)),
        lambda ab: int((ab.float() / (1 - ab.float()) < 1).int().argmax()),
    ],
    "06.2": [
        Jump(), in_place,
        lambda x0, t, eps, ab: (ab[t].sqrt() * x0 + (1 - ab[t]).sqrt() * eps).float(),
        lambda x0, t, eps, ab: (ab[t].sqrt() * x0 + (1 - ab[t]).sqrt() * eps).numpy(),
        lambda x0, t, eps, ab: ab.float()[t].sqrt() * x0.float() + (1 - ab.float()[t]).sqrt() * eps.float(),
        lambda x0, t, eps, ab: ab[t].half().sqrt() * x0.half() + (1 - ab[t]).half().sqrt() * eps.half(),
        lambda *, x0, t, eps, alpha_bar: torch.lerp(x0, eps, 0.0) * alpha_bar[t] ** 0.5 + eps * (1 - alpha_bar[t]) ** 0.5,
        lambda x0, t, noise, ab: [math.sqrt(ab[t]) * x + math.sqrt(1 - ab[t]) * e for x, e in zip(x0, noise, strict=True)],
        lambda x0, t, eps, ab: x0 * np.exp(0.5 * np.log(float(ab[t]))) + eps * (1 - ab[t]).pow(0.5),
    ],
    "06.3": [
        by_loop, jumped,
        lambda x, s, t, eps, ab: (x * ab[t].sqrt() + (ab[s] - ab[t]).sqrt() * eps) / ab[s].sqrt(),
        lambda x, s, t, eps, ab: jumped(x, s, t, eps, ab).float(),
        lambda x, s, t, eps, ab: jumped(x, s, t, eps, ab).numpy(),
        lambda *, x_s, s, t, eps, alpha_bar: jumped(x_s, s, t, eps, alpha_bar),
        lambda x, s, t, eps, ab: x.mul_((ab[t] / ab[s]) ** 0.5).add_(eps.mul_((1 - ab[t] / ab[s]) ** 0.5)),
        lambda x, s, t, eps, ab: jumped(x.float(), s, t, eps.float(), ab.float()),
    ],
    "06.4": [
        betas_by_loop,
        lambda ab: (ab[:-1] - ab[1:]) / ab[:-1],
        lambda ab: (1 - ab[1:] / ab[:-1]).float(),
        lambda ab: -np.diff(ab.numpy()) / ab.numpy()[:-1],
        lambda ab: -torch.expm1(ab.log().diff()),
        lambda *, alpha_bar: 1 - torch.exp(torch.diff(torch.log(alpha_bar))),
        lambda ab: 1 - ab.float()[1:] / ab.float()[:-1],
        lambda ab: (1 - ab / ab.roll(1))[1:],
    ],
    "06.5": [
        bits_by_loop, bits_by_torch,
        lambda x0, a: kl_bits(a.sqrt() * x0, 1 - a),
        lambda x0, a: kl_bits(a.sqrt() * x0, 1 - a).float(),
        lambda x0, a: kl_bits(a.float().sqrt() * x0.float(), 1 - a.float()),
        lambda x0, a: kl_bits(a.sqrt() * x0, 1 - a).numpy(),
        lambda *, x0, alpha_bar_T: kl_bits(alpha_bar_T.sqrt() * x0, 1 - alpha_bar_T),
        lambda x0, a: 0.5 * (a / math.log(2) * (x0**2 - 1) - torch.log2(1 - a)).sum((1, 2, 3)),
    ],
    "06.6": [
        solved,
        lambda T, first, goal: torch.tensor(solved(T, first, goal)),
        lambda T, first, goal: np.float32(solved(T, first, goal)),
        lambda T, first, goal: solved(T, first, goal, high=0.9999, rounds=200),
        lambda *, T, first, goal: solved(T, first, goal),
        lambda T, first, goal: solved(T, first, goal, reached=lambda b, T, f: np.exp(np.log1p(-np.linspace(f, b, T)).sum())),
        lambda T, first, goal: [solved(T, first, goal)],
    ],
    "06.7": [
        flips_by_loop,
        lambda x_t, x0, t, beta, ab: bayes(x_t, x0, ab[t - 1], beta[t] / 2),
        lambda x_t, x0, t, beta, ab: bayes(x_t, x0, ab[t - 1], beta[t] / 2).float(),
        lambda x_t, x0, t, beta, ab: bayes(x_t, x0, ab[t - 1], beta[t] / 2).numpy(),
        lambda x_t, x0, t, beta, ab: 1 - bayes(1 - x_t, 1 - x0, ab[t - 1], beta[t] / 2),
        lambda *, x_t, x0, t, beta, alpha_bar: bayes(x_t, x0, alpha_bar[t - 1], beta[t] / 2),
        lambda x_t, x0, t, beta, ab: bayes(x_t.float(), x0.float(), ab.float()[t - 1], beta.float()[t] / 2),
    ],
}  # fmt: skip
