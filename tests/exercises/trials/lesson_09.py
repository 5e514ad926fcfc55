"""Answers to the exercises of lesson 09: wrong ones with a word that a named cause must hold, right ones in other styles."""

import math
from fractions import Fraction

import numpy as np
import torch

from course_lib.diffusion import NoiseSchedule

LINEAR = NoiseSchedule.linear()

NAMED = 0.88  # the share of wrong answers whose cause is told, as reached, less two points

SURVIVORS = {  # mutants of the solution that are no mistakes, each with the reason
    "09.2": {
        "a difference of ᾱ_t stands for β_t": "1 − ᾱ_t / ᾱ_(t−1) is β_t",
        "in one place, a difference of ᾱ_t stands for β_t": "1 − ᾱ_t / ᾱ_(t−1) is β_t",
        "a fraction of ᾱ_t stands for 1 − β_t": "ᾱ_t / ᾱ_(t−1) is 1 − β_t",
        "a square root is taken of t": "it is compared with 1",
        "t is squared": "it is compared with 1",
    },
    "09.3": {"the step for `sigma` comes too early": "it does not use `x0`"},
    "09.5": {
        "the step for `eps` comes too early": "it does not use `ddim`",
        "in one place, a square root is taken of s": "it is compared with 0",
        "in one place, s is squared": "it is compared with 0",
        "in one place, s is doubled": "it is compared with 0",
        "in one place, s is halved": "it is compared with 0",
    },
    "09.6": {
        "detach(…) is missing": "the x of the cases has no graph",
        "(f(x) · z).sum() is one too large": "a constant has no gradient",
        "f(x) · z is one too large": "a constant has no gradient",
        "f(x) is one too large": "what is added does not depend on x",
        "(f(x) · z).sum() is one too small": "a constant has no gradient",
        "f(x) · z is one too small": "a constant has no gradient",
        "f(x) is one too small": "what is added does not depend on x",
        "the sign of z is turned": "it stands on both sides of J",
    },
    "09.7": {"1 is divided by -1": "1 / −1 is −1"},
}


def line(T, first, last, times):
    return torch.linspace(first, last, times).round().int().tolist()


def ancestral(x, eps, t, z, b, ab, alpha=None, noise=None, sigma=None):
    alpha = 1 - b[t] if alpha is None else alpha
    noise = (1 - ab[t]).sqrt() if noise is None else noise
    mean = (x - b[t] / noise * eps) / alpha**0.5
    return mean + (b[t].sqrt() if sigma is None else sigma) * z if t > 1 else mean


def by_posterior(x, eps, t, z, b, ab):
    x0 = (x - (1 - ab[t]).sqrt() * eps) / ab[t].sqrt()
    mean = (ab[t - 1].sqrt() * b[t] * x0 + (1 - b[t]).sqrt() * (1 - ab[t - 1]) * x) / (1 - ab[t])
    return mean + (t > 1) * b[t].sqrt() * z


def ddpm_by_numpy(x, eps, t, z, b, ab):
    x, eps, z, b, ab = (a.numpy() for a in (x, eps, z, b, ab))
    return (x - b[t] / np.sqrt(1 - ab[t]) * eps) / np.sqrt(1 - b[t]) + (np.sqrt(b[t]) * z if t != 1 else 0)


def ddpm_in_place(x_t, eps_hat, t, z, beta, alpha_bar):
    x_t -= eps_hat.mul_(beta[t] / (1 - alpha_bar[t]).sqrt())
    x_t /= (1 - beta[t]).sqrt()
    if t > 1:
        x_t += z.mul_(beta[t].sqrt())
    return x_t


class Ancestral:
    def __init__(self):
        self.last = 1

    def __call__(self, x_t, eps_hat, t, z, beta, alpha_bar):
        mean = (1 - beta[t]) ** -0.5 * (x_t - beta[t] * (1 - alpha_bar[t]) ** -0.5 * eps_hat)
        return mean if t == self.last else mean + beta[t] ** 0.5 * z


def one_by_one(x_t, eps_hat, t, z, beta, alpha_bar):
    b, ab = float(beta[t]), float(alpha_bar[t])
    rows = zip(x_t.tolist(), eps_hat.tolist(), z.tolist(), strict=True)
    return [
        (x - b / math.sqrt(1 - ab) * e) / math.sqrt(1 - b) + (math.sqrt(b) * n if t > 1 else 0.0) for x, e, n in rows
    ]


def clean(x, eps, t, ab):
    return (x - (1 - ab[t]).sqrt() * eps) / ab[t].sqrt()


def ddim(x, eps, t, s, ab):
    return ab[s].sqrt() * clean(x, eps, t, ab) + (1 - ab[s]).sqrt() * eps


def full(t, s, ab):
    return ((1 - ab[s]) / (1 - ab[t]) * (1 - ab[t] / ab[s])).sqrt()


def family(x, eps, t, s, eta, z, ab, x0=None, sigma=None, old=None):
    x0 = clean(x, eps, t, ab) if x0 is None else x0
    sigma = eta * full(t, s, ab) if sigma is None else sigma
    old = 1 - ab[s] - sigma**2 if old is None else old
    return ab[s].sqrt() * x0 + old.sqrt() * eps + sigma * z


def by_two_numbers(x, eps, t, s, eta, z, ab):
    ratio = (ab[s] / ab[t]).sqrt()
    sigma2 = eta**2 * (1 - ab[s]) * (1 - ab[t] / ab[s]) / (1 - ab[t])
    return ratio * x + ((1 - ab[s] - sigma2).sqrt() - ratio * (1 - ab[t]).sqrt()) * eps + sigma2.sqrt() * z


def family_by_numpy(x_t, eps_hat, t, s, eta, z, alpha_bar):
    now, then = float(alpha_bar[t]), float(alpha_bar[s])
    x0 = (x_t.numpy() - math.sqrt(1 - now) * eps_hat.numpy()) / math.sqrt(now)
    sigma = eta * math.sqrt((1 - then) / (1 - now) * (1 - now / then))
    return math.sqrt(then) * x0 + math.sqrt(1 - then - sigma**2) * eps_hat.numpy() + sigma * z.numpy()


def family_in_place(x_t, eps_hat, t, s, eta, z, alpha_bar):
    sigma = eta * full(t, s, alpha_bar)
    x_t.sub_(eps_hat * (1 - alpha_bar[t]).sqrt()).mul_((alpha_bar[s] / alpha_bar[t]).sqrt())
    return x_t.add_(eps_hat.mul_((1 - alpha_bar[s] - sigma**2).sqrt())).add_(z.mul_(sigma))


def heun(model, x, t, s, ab, at=None, start=None, mean=lambda a, b: (a + b) / 2):
    eps = model(x, t)
    guess = ddim(x, eps, t, s, ab)
    if s == 0:
        return guess
    second = model(*at(x, guess, t, s)) if at else model(guess, s)
    return ddim(guess if start else x, mean(eps, second), t, s, ab)


def midpoint(model, x, t, s, ab, guarded=False):
    eps, half = model(x, t), (t + s) // 2
    if guarded and s == 0:
        return ddim(x, eps, t, s, ab)
    return ddim(x, model(ddim(x, eps, t, half, ab), half), t, s, ab)


def both_averaged(model, x, t, s, ab):
    eps = model(x, t)
    guess = ddim(x, eps, t, s, ab)
    if s == 0:
        return guess
    second = model(guess, s)
    x0 = (clean(x, eps, t, ab) + clean(guess, second, s, ab)) / 2
    return ab[s].sqrt() * x0 + (1 - ab[s]).sqrt() * (eps + second) / 2


def twice_corrected(model, x, t, s, ab):
    eps = model(x, t)
    guess = ddim(x, eps, t, s, ab)
    for _ in range(2 if s > 0 else 0):
        guess = ddim(x, (eps + model(guess, s)) / 2, t, s, ab)
    return guess


def mean_of_steps(model, x, t, s, ab):
    guess = ddim(x, model(x, t), t, s, ab)
    return (guess + ddim(guess, model(guess, s), t, s, ab)) / 2 if s > 0 else guess


def old_clean(model, x, t, s, ab):
    eps = model(x, t)
    guess = ddim(x, eps, t, s, ab)
    return guess if s == 0 else ab[s].sqrt() * clean(x, eps, t, ab) + (1 - ab[s]).sqrt() * (eps + model(guess, s)) / 2


def in_sigma(eps_model, x, t, s, alpha_bar):
    sigma = ((1 - alpha_bar) / alpha_bar).sqrt()
    slope = eps_model(x, t)
    if s:
        guess = alpha_bar[s].sqrt() * (x / alpha_bar[t].sqrt() + (sigma[s] - sigma[t]) * slope)
        slope = 0.5 * slope + 0.5 * eps_model(guess, s)
    return alpha_bar[s].sqrt() * (x / alpha_bar[t].sqrt() + (sigma[s] - sigma[t]) * slope)


def asks_again(model, x, t, s, ab):
    guess = ddim(x, model(x, t), t, s, ab)
    return guess if s == 0 else ddim(x, (model(x, t) + model(guess, s)) / 2, t, s, ab)


def by_loop_of_two(model, x, t, s, ab):
    place, total, out = x, 0, x
    for count, time in enumerate([t, s] if s > 0 else [t], start=1):
        total = total + model(place, time)
        place = out = ddim(x, total / count, t, s, ab)
    return out


class Heun:
    def step(self, x, eps):
        return ddim(x, eps, self.t, self.s, self.ab)

    def __call__(self, eps_model, x, t, s, alpha_bar):
        self.t, self.s, self.ab = t, s, alpha_bar
        slopes = [eps_model(x, t)]
        slopes += [eps_model(self.step(x, slopes[0]), s)] if s else []
        return self.step(x, torch.stack(slopes).mean(0))


def vjp(f, x, weight):
    x = x.detach().requires_grad_()
    return torch.autograd.grad((f(x) * weight).sum(), x)[0]


def no_grad(f, x, z):
    with torch.no_grad():
        y = f(x)
    return (torch.autograd.grad((y * z).sum(), x)[0] * z).sum(1)


def elsewhere(f, x, z):
    y = f(x.clone().requires_grad_())
    return (torch.autograd.grad((y * z).sum(), x.requires_grad_())[0] * z).sum(1)


def freed(f, x, z):
    x.requires_grad_()
    y = f(x)
    return torch.stack([(torch.autograd.grad((y[i] * z[i]).sum(), x)[0][i] * z[i]).sum() for i in range(len(x))])


def backward(f, x, z):
    x.requires_grad_()
    (f(x) * z).sum().backward()
    return (x.grad * z).sum(-1)


def row_by_row(f, x, z):
    out = []
    for row, signs in zip(x, z, strict=True):
        jacobian = torch.autograd.functional.jacobian(f, row)
        out.append(float(signs @ jacobian @ signs))
    return out


def all_rows(f, x, z):
    return torch.einsum("ni,nij,nj->n", z, torch.func.vmap(torch.func.jacrev(f))(x), z)


def clipped(x, eps_hat, t, s, ab, low=-1, high=1, eps=None, at=None):
    x0 = clean(x, eps_hat, t, ab).clamp(low, high)
    eps = (x - ab[t].sqrt() * x0) / (1 - ab[t]).sqrt() if eps is None else eps
    at = s if at is None else at
    return ab[at].sqrt() * x0 + (1 - ab[at]).sqrt() * eps


def eps_at_s(x, eps_hat, t, s, ab):
    x0 = clean(x, eps_hat, t, ab).clamp(-1, 1)
    return x0 if s == 0 else ab[s].sqrt() * x0 + (1 - ab[s]).sqrt() * ((x - ab[s].sqrt() * x0) / (1 - ab[s]).sqrt())


def eps_alone(x, eps_hat, t, s, ab):
    x0 = clean(x, eps_hat, t, ab)
    eps = (x - ab[t].sqrt() * x0.clamp(-1, 1)) / (1 - ab[t]).sqrt()
    return ab[s].sqrt() * x0 + (1 - ab[s]).sqrt() * eps


def clipped_by_loop(x_t, eps_hat, t, s, alpha_bar):
    a, b, c, d = (float(v) ** 0.5 for v in (alpha_bar[t], 1 - alpha_bar[t], alpha_bar[s], 1 - alpha_bar[s]))
    out = []
    for x, e in zip(x_t.tolist(), eps_hat.tolist(), strict=True):
        x0 = min(max((x - b * e) / a, -1.0), 1.0)
        out.append(c * x0 + d * (x - a * x0) / b)
    return out


def clipped_by_numpy(x_t, eps_hat, t, s, alpha_bar):
    x, ab = x_t.numpy(), alpha_bar.numpy()
    x0 = np.clip((x - np.sqrt(1 - ab[t]) * eps_hat.numpy()) / np.sqrt(ab[t]), -1, 1)
    return np.sqrt(ab[s]) * x0 + np.sqrt(1 - ab[s]) * (x - np.sqrt(ab[t]) * x0) / np.sqrt(1 - ab[t])


def clipped_rearranged(x_t, eps_hat, t, s, alpha_bar):
    x0 = clean(x_t, eps_hat, t, alpha_bar).clip(-1, 1)
    ratio = ((1 - alpha_bar[s]) / (1 - alpha_bar[t])).sqrt()
    return ratio * x_t + (alpha_bar[s].sqrt() - ratio * alpha_bar[t].sqrt()) * x0


def clipped_in_place(x_t, eps_hat, t, s, alpha_bar):
    x0 = clean(x_t, eps_hat, t, alpha_bar)
    x0[x0 > 1] = 1
    x0[x0 < -1] = -1
    x_t -= alpha_bar[t].sqrt() * x0
    return x_t.mul_(((1 - alpha_bar[s]) / (1 - alpha_bar[t])).sqrt()).add_(alpha_bar[s].sqrt() * x0)


WRONG = {
    "09.1": [
        (lambda T, n: [T - i * (T // n) for i in range(n + 1)], "a step of 142"),
        (lambda T, n: [T - i * (T // n) for i in range(n)] + [0], "not even.*a step of 142"),
        (lambda T, n: list(range(T, 0, -T // n)), "stops at 100"),
        (lambda T, n: line(T, T, 0, n), "has 10 times"),
        (lambda T, n: line(T, T, 1, n + 1), "t = 1 to t = 0"),
        (lambda T, n: line(T, T - 1, 0, n + 1), "T itself"),
        (lambda T, n: line(T, 0, T, n + 1), "rises"),
        (lambda T, n: [T * (n - i) / n for i in range(n + 1)], "no whole number"),
        (lambda T, n: list(range(T, -1, -(T // n))), "a step of 142"),
        (lambda T, n: [T - i * math.ceil(T / n) for i in range(n + 1)], "a step of 143"),
        (lambda T, n: [round(T * ((n - i) / n) ** 2) for i in range(n + 1)], "not even, from 10 to 190"),
        (lambda T, n: list(range(T, T - n - 1, -1)), "ends at 990"),
        (lambda T, n: [T] * (n + 1), "ends at 1000"),
        (lambda T, n: [max(T - i * round(T / n), 0) for i in range(n + 1)], "a step of 33"),
        (lambda T, n: list(np.linspace(1, 0, n + 1)), "starts at 1 "),
        (lambda T, n: [[T, 0]], "list of whole numbers"),
        (lambda T, n: (T * (n - i) // n for i in range(n + 1)), "list of whole numbers"),
        (lambda T, n: sorted({int(T * math.cos(math.pi / 2 * i / n)) for i in range(n + 1)}, reverse=True), "not even|has"),
    ],
    "09.2": [
        (lambda x, e, t, z, b, ab: ancestral(x, e, t + (t == 1), z, b, ab), None),
        (lambda x, e, t, z, b, ab: ancestral(x, e, t, 0 * z, b, ab) + b[t].sqrt() * z, "the last step"),
        (lambda x, e, t, z, b, ab: ancestral(x, e, t, z, b, ab, sigma=b[t]), "square root of β_t"),
        (lambda x, e, t, z, b, ab: ancestral(x, e, t, z, b, ab, alpha=ab[t]), "product of all steps"),
        (lambda x, e, t, z, b, ab: ancestral(x, e, t, z, b, ab, noise=1 - ab[t]), "square root of 1 − ᾱ_t"),
        (lambda x, e, t, z, b, ab: ancestral(x, e, t, z, b, ab, alpha=1), "nothing makes up"),
        (lambda x, e, t, z, b, ab: ancestral(x, e, t, z, b, ab) + (1 / (1 - b[t]).sqrt() - 1) * b[t] / (1 - ab[t]).sqrt() * e, "x_t alone is divided"),
        (lambda x, e, t, z, b, ab: ancestral(x, e, t, z, b, ab, sigma=((1 - ab[t - 1]) / (1 - ab[t]) * b[t]).sqrt()), "β̃_t"),
        (lambda x, e, t, z, b, ab: ancestral(x, e, t, 0 * z, b, ab), "no noise is added"),
        (lambda x, e, t, z, b, ab: ancestral(x, e, t, z, b, ab, sigma=(b[t] / (1 - b[t])).sqrt()), "divided as well"),
        (lambda x, e, t, z, b, ab: ancestral(x, e, t, z, b, ab, alpha=(1 - b[t]) ** 2), "square root of 1 − β_t|1 − β_t.* squared"),
        (lambda x, e, t, z, b, ab: ancestral(x, e, t, z, b, ab, alpha=1 / (1 - b[t])), "multiplies|upside"),
        (lambda x, e, t, z, b, ab: ancestral(x, e, t, z, b, ab, alpha=1 - b[t - 1]), r"β_\(t.1\)"),
        (lambda x, e, t, z, b, ab: ancestral(x, e, t, z, b, ab, noise=b[t].sqrt()), "one step's noise"),
        (lambda x, e, t, z, b, ab: ancestral(x, e, t, z, b, ab, noise=(1 - ab[t - 1]).sqrt()), r"ᾱ_\(t.1\)"),
        (lambda x, e, t, z, b, ab: ancestral(x, e, t, z, b, ab, noise=1), "division by √"),
        (lambda x, e, t, z, b, ab: ancestral(x, e, t, z, b, ab, noise=b[t] / (1 - ab[t]).sqrt()), "all the noise is taken away"),
        (lambda x, e, t, z, b, ab: ancestral(x, -e, t, z, b, ab), "sign"),
        (lambda x, e, t, z, b, ab: ancestral(x, e, t, -z, b, ab), "sign"),
        (lambda x, e, t, z, b, ab: ancestral(x, e, t, z, b, ab, sigma=1), "a factor, √β_t|division"),
        (lambda x, e, t, z, b, ab: ancestral(x, e, t, z, b, ab, sigma=(1 - ab[t]).sqrt()), "1 − ᾱ_t stands for β_t"),
        (lambda x, e, t, z, b, ab: ancestral(x, e, t, torch.randn_like(z), b, ab), "noise of your own"),
        (lambda x, e, t, z, b, ab: ancestral(x, e, t, z, LINEAR.beta, LINEAR.alpha_bar), "linear"),
        (lambda x, e, t, z, b, ab: ancestral(e, x, t, z, b, ab), "exchanged"),
        (lambda x, e, t, z, b, ab: ancestral(x, e, t, z, b, ab) if t > 2 else ancestral(x, e, t, 0 * z, b, ab), "step to t = 1"),
        (lambda x, e, t, z, b, ab: ancestral(x, e, t, z, b, ab).clamp(-1, 1), "clipped"),
        (lambda x, e, t, z, b, ab: ancestral(x, e, t, z, b, ab, sigma=(1 - (1 - ab[t - 1]) / (1 - ab[t]) * b[t]).sqrt()), None),
    ],
    "09.3": [
        (lambda x, e, t, s, eta, z, ab: family(x, e, t, s, eta, z, ab, old=1 - ab[s]), "too much of it"),
        (lambda x, e, t, s, eta, z, ab: family(x, e, t, s, eta, z, ab, sigma=eta**2 * full(t, s, ab)), "η is squared"),
        (lambda x, e, t, s, eta, z, ab: family(x, e, t, s, eta, z, ab, old=1 - ab[s] - eta * full(t, s, ab) ** 2), "not squared under"),
        (lambda x, e, t, s, eta, z, ab: family(x, e, t, t - 1, eta, z, ab), "far from there"),
        (lambda x, e, t, s, eta, z, ab: family(x, e, t, s, eta, z, ab, sigma=eta * full(t, s, ab) ** 2), "roots are missing"),
        (lambda x, e, t, s, eta, z, ab: family(x, e, t, s, eta, z, ab, x0=x - (1 - ab[t]).sqrt() * e), "division by √ᾱ_t"),
        (lambda x, e, t, s, eta, z, ab: family(x, e, t, s, eta, z, ab, x0=(x - (1 - ab[t]) * e) / ab[t].sqrt()), "square root of 1 − ᾱ_t"),
        (lambda x, e, t, s, eta, z, ab: family(x, e, t, s, eta, z * (s > 1), ab), "no new noise at s = 1"),
        (lambda x, e, t, s, eta, z, ab: family(x, e, t, s, eta, z, ab, x0=clean(x, e, s, ab)), "estimated with ᾱ_s"),
        (lambda x, e, t, s, eta, z, ab: family(x, e, t, s, eta, 0 * z, ab), "is missing|is not added"),
        (lambda x, e, t, s, eta, z, ab: family(x, e, t, s, eta, -z, ab), "sign"),
        (lambda x, e, t, s, eta, z, ab: family(x, e, t, s, 1, z, ab), "a factor, η"),
        (lambda x, e, t, s, eta, z, ab: family(x, e, t, s, eta, z, ab, sigma=eta * full(t, t - 1, ab)), "step to t − 1"),
        (lambda x, e, t, s, eta, z, ab: family(x, e, t, s, eta, z, ab, sigma=eta * (1 - ab[t] / ab[s]).sqrt()), "a factor"),
        (lambda x, e, t, s, eta, z, ab: family(x, e, t, s, eta, z, ab, old=(1 - ab[s] - eta**2 * full(t, s, ab) ** 2) ** 2), "square root|root"),
        (lambda x, e, t, s, eta, z, ab: family(x, e, t, s, eta, z, ab, old=((1 - ab[s]).sqrt() - eta * full(t, s, ab)) ** 2), "roots are taken of two"),
        (lambda x, e, t, s, eta, z, ab: family(x, e, t, s, eta, z, ab, old=1 - ab[t] - (eta * full(t, s, ab)) ** 2), "ᾱ_t|t stands for s|NaN"),
        (lambda x, e, t, s, eta, z, ab: family(x, e, t, s, eta, z, ab, x0=clean(x, -e, t, ab)), "sign"),
        (lambda x, e, t, s, eta, z, ab: family(x, e, t, s, eta, z, ab, x0=x), "division by √ᾱ_t"),
        (lambda x, e, t, s, eta, z, ab: family(x, e, t, s, eta, z, ab, x0=clean(x, e, t, ab).clamp(-1, 1)), None),
        (lambda x, e, t, s, eta, z, ab: eta * family(x, e, t, s, 1, z, ab) + (1 - eta) * family(x, e, t, s, 0, z, ab), None),
        (lambda x, e, t, s, eta, z, ab: family(x, e, t, s, eta, z, LINEAR.alpha_bar), "linear"),
        (lambda x, e, t, s, eta, z, ab: family(x, e, t, s, eta, torch.randn_like(z), ab), "noise of your own"),
        (lambda x, e, t, s, eta, z, ab: family(x, z, t, s, eta, e, ab), "exchanged"),
        (lambda x, e, t, s, eta, z, ab: ddim(x, e, t, s, ab), "that is DDIM's step"),
    ],
    "09.4": [
        (lambda x, score, size, z: x + size * score(x) + 2 * size * z, "square root of 2 · size"),
        (lambda x, score, size, z: x + size * score(x) + size**0.5 * z, "a factor, 2"),
        (lambda x, score, size, z: x - size * score(x) + (2 * size) ** 0.5 * z, "downhill"),
        (lambda x, score, size, z: x + size / 2 * score(x) + (2 * size) ** 0.5 * z, "halved"),
        (lambda x, score, size, z: (x + (2 * size) ** 0.5 * z) + size * score(x + (2 * size) ** 0.5 * z), "before the score"),
        (lambda x, score, size, z: x + size * score(x), "no noise"),
        (lambda x, score, size, z: x + score(x) + (2 * size) ** 0.5 * z, "a factor, size"),
        (lambda x, score, size, z: x + size * score(x) + z, "as it was drawn"),
        (lambda x, score, size, z: x + (2 * size) ** 0.5 * z, "is missing"),
        (lambda x, score, size, z: size * score(x) + (2 * size) ** 0.5 * z, "x is missing"),
        (lambda x, score, size, z: x + size * score(x) + 2**0.5 * size * z, "root is taken of 2 alone"),
        (lambda x, score, size, z: x + size * score(x) + 2 * size**0.5 * z, "root is taken of size alone"),
        (lambda x, score, size, z: x + size * (score(x) + (2 * size) ** 0.5 * z), "its own factor"),
        (lambda x, score, size, z: x + 2 * size * score(x) + (2 * size) ** 0.5 * z, "doubled"),
        (lambda x, score, size, z: x + size * score(x) - (2 * size) ** 0.5 * z, "sign"),
        (lambda x, score, size, z: x + size * score(x) + (2 * size) ** 0.5 * torch.randn_like(z), "noise of your own"),
        (lambda x, score, size, z: x + size * score(x) + (size / 2) ** 0.5 * z, "2"),
        (lambda x, score, size, z: x + size * score(z) + (2 * size) ** 0.5 * z, "z stands for x"),
        (lambda x, score, size, z: x + size**0.5 * score(x) + (2 * size) ** 0.5 * z, "square root is taken of size"),
        (lambda x, score, size, z: x + size * score(x) + (2 * size) ** 0.5 + z, "z is added"),
        (lambda x, score, size, z: size * (x + score(x)) + (2 * size) ** 0.5 * z, None),
    ],
    "09.5": [
        (lambda m, x, t, s, ab: ddim(x, m(x, t), t, s, ab), "what DDIM's step gives"),
        (lambda m, x, t, s, ab: heun(m, x, t, s, ab, at=lambda x, guess, t, s: (x, s)), "asked at x"),
        (lambda m, x, t, s, ab: heun(m, x, t, s, ab, at=lambda x, guess, t, s: (guess, t)), "asked at t,"),
        (midpoint, "midpoint.*as well"),
        (lambda m, x, t, s, ab: midpoint(m, x, t, s, ab, guarded=True), "midpoint.*both ends"),
        (lambda m, x, t, s, ab: heun(m, x, t, s, ab, mean=lambda a, b: b), "second eps alone"),
        (lambda m, x, t, s, ab: heun(m, x, t, s, ab, start=True), "starts from the guess"),
        (mean_of_steps, "mean of the guess"),
        (both_averaged, "no effect.*averaged"),
        (lambda m, x, t, s, ab: ddim(x, (m(x, t) + m(ddim(x, m(x, t), t, s, ab), s)) / 2, t, s, ab), "asked at t = 0"),
        (lambda m, x, t, s, ab: heun(m, x, t, s, ab) if s > 1 else ddim(x, m(x, t), t, s, ab), "at s = 1"),
        (twice_corrected, "corrected twice.*3 times"),
        (old_clean, "x_0 is still"),
        (lambda m, x, t, s, ab: heun(m, x, t, s, ab, mean=lambda a, b: a + b), "division by 2"),
        (lambda m, x, t, s, ab: heun(m, x, t, s, ab, start=True, mean=lambda a, b: b), "goes on from the guess"),
        (lambda m, x, t, s, ab: heun(m, x, t, s, ab, mean=lambda a, b: 1.5 * a - 0.5 * b), None),
        (lambda m, x, t, s, ab: heun(m, x, t, s, ab, mean=lambda a, b: (a * b).abs().sqrt()), None),
        (lambda m, x, t, s, ab: heun(m, x, t, max(s, 1), ab), "s = 0"),
        (lambda m, x, t, s, ab: heun(m, x, t, s, ab, at=lambda x, guess, t, s: (guess, s - 1)), "s − 1|one too small"),
        (lambda m, x, t, s, ab: heun(m, x, t, s, ab, at=lambda x, guess, t, s: (s, guess)), "call 2"),
        (lambda m, x, t, s, ab: heun(m, x, t, s, ab) / ab[s].sqrt(), None),
        (lambda m, x, t, s, ab: heun(m, x, t, t - 1, ab), None),
        (lambda m, x, t, s, ab: x, "x itself.*called 0 times"),
    ],
    "09.6": [
        (lambda f, x, z: (vjp(f, x, z) * z).sum(), "whole batch"),
        (lambda f, x, z: vjp(f, x, z), "that is zᵀJ,"),
        (lambda f, x, z: vjp(f, x, z).sum(1), "summed as it is"),
        (lambda f, x, z: (vjp(f, x, z) * z).mean(1), "mean stands for sum"),
        (lambda f, x, z: (vjp(f, x, 1) * z).sum(1), "without z"),
        (lambda f, x, z: (torch.autograd.grad((f(x) * z).sum(), x)[0] * z).sum(1), "does not follow x"),
        (lambda f, x, z: (f(x) * z).sum(1), "nothing is differentiated"),
        (lambda f, x, z: (vjp(f, x, z) * z).sum(0), "over the rows"),
        (lambda f, x, z: (vjp(f, x, z) * z).sum(1) / len(x), "times one number"),
        (lambda f, x, z: (vjp(f, x, z / z.numel()) * z).sum(1), "mean stands for sum"),
        (lambda f, x, z: vjp(f, x, z) * z, r"sum\(…\) is missing"),
        (lambda f, x, z: (vjp(f, x, z) * x).sum(1), "x stands for z"),
        (lambda f, x, z: (vjp(f, x, z) @ z.T).sum(1), "z of all rows"),
        (lambda f, x, z: (vjp(f, x, torch.randn(z.shape).to(z).sign()) * z).sum(1), "noise of your own"),
        (no_grad, "does not follow x"),
        (elsewhere, "no way from x"),
        (lambda f, x, z: (torch.autograd.grad(f(x.requires_grad_()) * z, x)[0] * z).sum(1), "gradient of one number"),
        (lambda f, x, z: torch.autograd.grad((f(x.requires_grad_()) * z).sum(), x), "the tuple"),
        (lambda f, x, z: (torch.autograd.grad((f(x.requires_grad_()) * z).sum(), x) * z).sum(1), "gives a tuple"),
        (lambda f, x, z: torch.autograd.grad((f(x.requires_grad_()) * z).sum(), x).sum(1), "gives a tuple"),
        (freed, "the graph"),
        (lambda f, x, z: [torch.autograd.functional.jacobian(f, row).trace() for row in x], "the trace itself"),
        (lambda f, x, z: -(vjp(f, x, z) * z).sum(1), "sign"),
        (lambda f, x, z: (vjp(f, x, z) ** 2).sum(1), None),
        (lambda f, x, z: (vjp(f, x, z) * z).sum(1) / (z**2).sum(1), None),
        (lambda f, x, z: (vjp(f, x, z) * z).sum(1, keepdim=True), "numbers are right"),
        (lambda f, x, z: (vjp(f, z, x) * x).sum(1), None),
    ],
    "09.7": [
        (lambda x, e, t, s, ab: clipped(x, e, t, s, ab, eps=e, at=t - 1), "nothing has changed"),
        (lambda x, e, t, s, ab: clipped(x, e, t, s, ab, eps=e), "make up x_t"),
        (lambda x, e, t, s, ab: clipped(x, e, t, s, ab, at=t - 1), "far from t − 1"),
        (lambda x, e, t, s, ab: ddim(x, e, t, s, ab).clamp(-1, 1), "x_s is clipped, and not x_0"),
        (lambda x, e, t, s, ab: ddim(x, e, t, s, ab), "x_0 is not clipped"),
        (eps_at_s, "solved for with ᾱ_s"),
        (lambda x, e, t, s, ab: clipped(x, e, t, s, ab, at=t), "leads from t to t"),
        (lambda x, e, t, s, ab: clipped(x, e, t, s, ab, low=-99), "on one side alone, above"),
        (lambda x, e, t, s, ab: clipped(x, e, t, s, ab, high=99), "on one side alone, below"),
        (lambda x, e, t, s, ab: clipped(x, e, t, s, ab, low=0), r"\[0, 1\]"),
        (lambda x, e, t, s, ab: clipped(x, e, t, s, ab).clamp(-1, 1), "result is clipped"),
        (lambda x, e, t, s, ab: ddim(x.clamp(-1, 1), e, t, s, ab), "x_t is clipped"),
        (lambda x, e, t, s, ab: ddim(x, e.clamp(-1, 1), t, s, ab), "eps_hat is clipped"),
        (lambda x, e, t, s, ab: clipped(x, e, t, s, ab, at=s - 1), r"s.1"),
        (lambda x, e, t, s, ab: 2 * ab[s].sqrt() * clean(x, e, t, ab).clamp(-1, 1) - clipped(x, e, t, s, ab), "sign"),
        (lambda x, e, t, s, ab: clean(x, e, t, ab).clamp(-1, 1), None),
        (lambda x, e, t, s, ab: x, "x_t again"),
        (eps_alone, "eps alone"),
        (lambda x, e, t, s, ab: clipped(x, e, t, s, ab, low=-0.5, high=0.5), None),
        (lambda x, e, t, s, ab: clipped(x, -e, t, s, ab), "sign"),
        (lambda x, e, t, s, ab: ddim(x, e, t, t - 1, ab), None),
        (lambda x, e, t, s, ab: clipped(x, e, t, s, LINEAR.alpha_bar), None),
    ],
}  # fmt: skip

RIGHT = {
    "09.1": [
        lambda T, n: torch.linspace(T, 0, n + 1).round(),
        lambda T, n: np.linspace(T, 0, n + 1).round().astype(int),
        lambda T, n: [T * (n - i) // n for i in range(n + 1)],
        lambda T, n: [T - T * i // n for i in range(n + 1)],
        lambda T, n: tuple(math.ceil(Fraction(T * (n - i), n)) for i in range(n + 1)),
        lambda T, n: [T] if n == 0 else [T, *RIGHT["09.1"][5](T - round(T / n), n - 1)],
        lambda T, n: [T - i * (T // n) - min(i, T % n) for i in range(n + 1)],  # the long steps first
        lambda T, n: [T - i * (T // n) - max(0, i - n + T % n) for i in range(n + 1)],  # the long steps last
        lambda T, n: torch.tensor([T * (n - i) / n for i in range(n + 1)]).long(),
        lambda *, T, n: sorted((round(T * i / n) for i in range(n + 1)), reverse=True),
        lambda steps, pieces: np.rint(np.arange(pieces, -1, -1) * steps / pieces).tolist(),
    ],
    "09.2": [
        by_posterior, ddpm_by_numpy, ddpm_in_place, Ancestral(), one_by_one,
        lambda x, e, t, z, b, ab: ancestral(x, e, t, z, b, ab).float(),
        lambda x, e, t, z, b, ab: ancestral(x.float(), e.float(), t, z.float(), b.float(), ab.float()),
        lambda x, e, t, z, b, ab: ancestral(x, e, t, z, b, ab, alpha=ab[t] / ab[t - 1]),
        lambda *, x_t, eps_hat, t, z, beta, alpha_bar: ancestral(x_t, eps_hat, t, z, beta, alpha_bar),
        lambda x, e, t, z, b, ab: ancestral(x, e, t, torch.where(torch.tensor(t == 1), 0 * z, z), b, ab),
        lambda x, e, t, z, b, ab: list(ancestral(x, e, t, z, b, torch.cumprod(1 - b, 0))),
    ],
    "09.3": [
        by_two_numbers, family_by_numpy, family_in_place, family,
        lambda x, e, t, s, eta, z, ab: family(x, e, t, s, eta, z, ab).float(),
        lambda x, e, t, s, eta, z, ab: family(x.float(), e.float(), t, s, eta, z.float(), ab.float()),
        lambda *, x_t, eps_hat, t, s, eta, z, alpha_bar: family(x_t, eps_hat, t, s, eta, z, alpha_bar),
        lambda x, e, t, s, eta, z, ab: [family(a, b, t, s, eta, c, ab) for a, b, c in zip(x, e, z, strict=True)],
        lambda x, e, t, s, eta, z, ab: family(x, e, t, s, eta, z, ab) if eta > 0 else ddim(x, e, t, s, ab),
        lambda x, e, t, s, eta, z, ab: family(x, e, t, s, eta, z, ab) if s > 0 else clean(x, e, t, ab),
    ],
    "09.4": [
        lambda x, score, size, z: x + size * score(x) + math.sqrt(2 * size) * z,
        lambda x, score, size, z: (x + size * score(x) + torch.sqrt(2 * size) * z).float(),
        lambda x, score, size, z: x.float() + size.float() * score(x.float()) + (2 * size.float()).sqrt() * z.float(),
        lambda x, score, size, z: x.add_(size * score(x)).add_((2 * size).sqrt() * z),
        lambda *, x, score, size, z: torch.addcmul(x, size, score(x)) + 2**0.5 * size**0.5 * z,
        lambda x, score, size, z: [a + size * score(a) + (2 * size) ** 0.5 * b for a, b in zip(x, z, strict=True)],
        lambda x, score, size, z: x.numpy() + float(size) * score(x).numpy() + np.sqrt(2 * float(size)) * z.numpy(),
        lambda x, score, size, z: x + (0.5 * score(x) * (2 * size) + z * (size + size) ** 0.5),
        lambda x, score, size, z: torch.normal(x + size * score(x), 0 * x) + (2 * size).sqrt() * z,
    ],
    "09.5": [
        in_sigma, asks_again, by_loop_of_two, Heun(), heun,
        lambda m, x, t, s, ab: heun(m, x, t, s, ab).float(),
        lambda m, x, t, s, ab: heun(m, x.float(), t, s, ab.float()),
        lambda m, x, t, s, ab: heun(lambda y, r: m(y, torch.full((len(y),), r)), x, t, s, ab),
        lambda m, x, t, s, ab: heun(lambda y, r: m(x=y, t=float(r)), x, t, s, ab),
        lambda *, eps_model, x, t, s, alpha_bar: heun(eps_model, x, t, s, alpha_bar),
        lambda m, x, t, s, ab: heun(m, x, t, s, ab).numpy(),
        lambda m, x, t, s, ab: heun(lambda y, r: m(y, r).detach(), x, t, s, ab),
    ],
    "09.6": [
        backward, row_by_row, all_rows,
        lambda f, x, z: (vjp(f, x, z) * z).sum(1),
        lambda f, x, z: torch.einsum("nd,nd->n", vjp(f, x, z), z).float(),
        lambda f, x, z: (vjp(f, x.float(), z.float()) * z.float()).sum(-1),
        lambda f, x, z: (torch.func.jvp(f, (x,), (z,))[1] * z).sum(1),
        lambda *, f, x, z: (torch.autograd.functional.vjp(f, x, z)[1] * z).sum(1),
        lambda f, x, z: [(vjp(f, a[None], b[None])[0] @ b).item() for a, b in zip(x, z, strict=True)],
        lambda g, place, signs: (vjp(g, place, signs).numpy() * signs.numpy()).sum(axis=1),
        lambda f, x, z: (torch.autograd.grad(f(x.requires_grad_()), x, grad_outputs=z, create_graph=True)[0] * z).sum(1),
        lambda f, x, z: torch.bmm(vjp(f, x, z)[:, None], z[:, :, None]).flatten(),
    ],
    "09.7": [
        clipped, clipped_by_loop, clipped_by_numpy, clipped_rearranged, clipped_in_place,
        lambda x, e, t, s, ab: clipped(x, e, t, s, ab).float(),
        lambda x, e, t, s, ab: clipped(x.float(), e.float(), t, s, ab.float()),
        lambda *, x_t, eps_hat, t, s, alpha_bar: clipped(x_t, eps_hat, t, s, alpha_bar),
        lambda x, e, t, s, ab: list(clipped(x, e, t, s, ab)),
        lambda x, e, t, s, ab: ddim(x, (x - ab[t].sqrt() * clean(x, e, t, ab).clamp(-1, 1)) / (1 - ab[t]).sqrt(), t, s, ab),
    ],
}  # fmt: skip
