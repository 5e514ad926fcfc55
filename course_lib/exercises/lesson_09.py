"""Lesson 09: sampling."""

from collections.abc import Callable

import torch
from torch import Tensor

from course_lib.diffusion import NoiseSchedule, Oracle
from course_lib.exact import GaussianMixture
from course_lib.exercises.old import Exercise, NotYet, as_numbers

LINEAR = NoiseSchedule.linear()
COSINE = NoiseSchedule.cosine()


def _normal(seed: int, *shape: int) -> Tensor:
    """Normal numbers, float64."""
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def _factors(
    exercise: Exercise,
    found: object,
    parts: list[Tensor],
    of: str,
    why: str = "do you draw noise of your own, or clip?",
) -> list[Tensor]:
    """The numbers by which an answer multiplies each of the parts, whose sum it must be; `of` names them."""
    found, like = as_numbers(found), parts[0]
    exercise.require(found is not None, "the answer should be a tensor")
    exercise.require(
        found.shape == like.shape,
        f"the answer has the shape {tuple(found.shape)} and should have x's {tuple(like.shape)}",
    )
    exercise.require(
        found.isfinite().all(), "the answer is NaN or infinite: a root of something negative, or a division by 0?"
    )
    columns = torch.stack([part.flatten() for part in parts], dim=1)
    factors = torch.linalg.lstsq(columns, found.reshape(-1, 1)).solution[:, 0]
    rest = found.flatten() - columns @ factors
    exercise.require(rest.abs().max() < 1e-4, f"the answer holds something beside {of}: {why}")
    return list(torch.where(factors.abs() < 1e-6, 0.0, factors).unbind())


def _ddim(x: Tensor, eps: Tensor, t: int, s: int, alpha_bar: Tensor) -> Tensor:
    """DDIM's step from t to s."""
    x0 = (x - (1 - alpha_bar[t]).sqrt() * eps) / alpha_bar[t].sqrt()
    return alpha_bar[s].sqrt() * x0 + (1 - alpha_bar[s]).sqrt() * eps


# ---------------------------------------------------------------------------------------------------------------------
path_of = Exercise(
    "09.1",
    "A path of n steps",
    minutes=5,
    hints=[
        "n steps have n + 1 ends. Where is the i-th of them, if T need not be divisible by n?",
        "The i-th time is T (n − i) / n, for i = 0 … n. Round each of these; a rounded step length adds up its error.",
    ],
)


@path_of.solution
def path(T, n):
    return [round(T * (n - i) / n) for i in range(n + 1)]


@path_of.check
def _(path):
    for T, n in ((1000, 10), (1000, 7), (1000, 30), (64, 64), (50, 1)):
        times = as_numbers(path(T, n))
        call = f"path({T}, {n})"
        path_of.require(times is not None and times.ndim == 1, "the answer should be a list of whole numbers")
        path_of.require(len(times) > 0, f"{call} is empty")
        first, last = f"{times[0].item():g}", f"{times[-1].item():g}"
        path_of.require(
            times[0] >= times[-1],
            f"{call} rises from {first} to {last}: sampling starts at T, in the noise, and goes down",
        )
        lost = "" if last == "0" else f", and it stops at {last}: 0 is a time as well (range stops before its end)"
        path_of.require(
            len(times) == n + 1,
            f"{call} has {len(times)} times and should have {n + 1}: n steps lie between n + 1 times{lost}",
        )
        path_of.require(
            times[0] == T,
            f"{call} starts at {first} and should start at T = {T}"
            + (": t runs from 0 to T, so T itself is a time" if times[0] == T - 1 else ""),
        )
        falls = times.diff() < 0
        i = int(falls.int().argmin())
        path_of.require(
            falls.all(),
            f"in {call}, {times[i]:g} is followed by {times[min(i + 1, n)]:g}; each time must be below the one before",
        )
        equal = -times[:2].diff().item() if n > 1 and (times[:-1].diff() == times[:2].diff()).all() and T % n else 0
        rounded = f": your steps are {equal:g} long, and {n} of those are not {T}. Round the times, not the step"
        path_of.require(
            times[-1] == 0,
            f"{call} ends at {last} and should end at 0"
            + (rounded if equal else "")
            + (": the step from t = 1 to t = 0 is part of the path" if last == "1" else ""),
        )
        broken = times[times != times.round()]
        path_of.require(len(broken) == 0, f"{call} holds {broken[:1].sum():.2f}, which is no whole number: round it")
        even = T * torch.arange(n, -1, -1, dtype=torch.float64) / n
        worst = int((times - even).abs().argmax())
        path_of.require(
            (times - even).abs().max() <= 1 + 1e-9,
            f"the steps of {call} are not even: entry {worst} is {times[worst]:g} and should be near {even[worst]:.1f}"
            + (rounded if equal else ""),
        )


@path_of.wrong("takes steps of T // n")
def _(T, n):
    return [T - i * (T // n) for i in range(n + 1)]


@path_of.wrong("takes steps of T // n, and ends at 0 by force")
def _(T, n):
    return [T - i * (T // n) for i in range(n)] + [0]


@path_of.wrong("stops before 0, as range does")
def _(T, n):
    return list(range(T, 0, -T // n))


@path_of.wrong("gives n times")
def _(T, n):
    return torch.linspace(T, 0, n).round().int().tolist()


@path_of.wrong("ends at 1")
def _(T, n):
    return torch.linspace(T, 1, n + 1).round().int().tolist()


@path_of.wrong("starts at T - 1")
def _(T, n):
    return torch.linspace(T - 1, 0, n + 1).round().int().tolist()


@path_of.wrong("rises")
def _(T, n):
    return torch.linspace(0, T, n + 1).round().int().tolist()


@path_of.wrong("does not round")
def _(T, n):
    return [T * (n - i) / n for i in range(n + 1)]


# ---------------------------------------------------------------------------------------------------------------------
reverse = Exercise(
    "09.2",
    "One reverse step",
    minutes=10,
    hints=[
        "Two parts: the mean of x_{t−1}, from x_t and eps_hat, and then noise of variance β_t. Where is there none?",
        "The mean is (x_t − β_t / √(1 − ᾱ_t) · eps_hat) / √α_t, with α_t = 1 − β_t of this one step.",
        "Add √β_t z where t > 1, and nothing at t = 1: x_0 is the image itself.",
    ],
)


@reverse.solution
def ddpm_step(x_t, eps_hat, t, z, beta, alpha_bar):
    mean = (x_t - beta[t] / (1 - alpha_bar[t]).sqrt() * eps_hat) / (1 - beta[t]).sqrt()
    return mean + beta[t].sqrt() * z if t > 1 else mean


@reverse.check
def _(ddpm_step):
    """The noise is given, so x_{t-1} is exact: a sum of three parts, whose factors say what went wrong."""
    x_t, eps_hat, z = _normal(2, 3, 400)
    for schedule, t in ((COSINE, 950), (LINEAR, 60), (COSINE, 2), (LINEAR, 1), (COSINE, 1)):
        beta, alpha_bar = schedule.beta, schedule.alpha_bar
        answer = ddpm_step(x_t, eps_hat, t, z, beta, alpha_bar)
        of_x, of_eps, of_z = _factors(reverse, answer, [x_t, eps_hat, z], of="x_t, eps_hat and z")
        alpha, noise = 1 - beta[t], (1 - alpha_bar[t]).sqrt()
        reverse.require_close(
            of_x, 1 / alpha.sqrt(), f"at t = {t}, the factor of x_t", "1 / √α_t",
            {
                "the division by √α_t is missing": 1.0,
                "multiplied by √α_t, where it should be divided": alpha.sqrt(),
                "α_t without its square root?": 1 / alpha,
                "ᾱ_t is the product of all steps; a single step back divides by √α_t, with α_t = 1 − β_t":
                    1 / alpha_bar[t].sqrt(),
                "√ᾱ_t, the factor on the way from x_0 to x_t?": alpha_bar[t].sqrt(),
                "√β_t, where √α_t = √(1 − β_t) belongs": 1 / beta[t].sqrt(),
                "α_{t−1}, but the step between t − 1 and t has α_t": 1 / (1 - beta[t - 1]).sqrt(),
                "the linear schedule's α_t; use the tables that your function is given": 1 / LINEAR.alpha[t].sqrt(),
            },
        )  # fmt: skip
        share = beta[t] / noise / alpha.sqrt()
        reverse.require_close(
            of_eps, -share, f"at t = {t}, the factor of eps_hat", "−β_t / (√(1 − ᾱ_t) √α_t)",
            {
                "eps_hat is added, where the noise should go away": share,
                "1 − ᾱ_t without its square root?": -share / noise,
                "√α_t divides the whole bracket, so eps_hat's part as well": -share * alpha.sqrt(),
                "√(1 − α_t), where √(1 − ᾱ_t) belongs: eps_hat is the noise of all steps, not of this one":
                    -(beta[t] / alpha).sqrt(),
                "√(1 − ᾱ_t) takes all the noise away at once; one step takes β_t / √(1 − ᾱ_t)": -noise / alpha.sqrt(),
                "β_t still to be divided by √(1 − ᾱ_t)": -beta[t] / alpha.sqrt(),
                "β_{t−1}, but the step between t − 1 and t has β_t": -share * beta[t - 1] / beta[t],
                "√β_t, where β_t belongs": -share / beta[t].sqrt(),
                "√ᾱ_t, where √(1 − ᾱ_t) belongs": -beta[t] / (alpha_bar[t] * alpha).sqrt(),
                "ᾱ_{t−1}, where ᾱ_t belongs": -share * noise / (1 - alpha_bar[t - 1]).sqrt(),
                "divided by √α_t twice?": -share / alpha.sqrt(),
                "eps_hat has no effect": 0.0,
            },
        )  # fmt: skip
        if t == 1:
            reverse.require(
                of_z == 0,
                f"at t = 1 you add {of_z:.4g} z: the last step, from t = 1 to t = 0, adds no noise, whatever z is",
            )
            continue
        before = 1 - alpha_bar[t - 1]
        reverse.require_close(
            of_z, beta[t].sqrt(), f"at t = {t}, the factor of z", "√β_t",
            {
                "β_t is the variance; z is multiplied by its square root": beta[t],
                "no noise is added? Only the last step, at t = 1, goes without": 0.0,
                "√β̃_t, the other choice of σ_t; here σ_t² = β_t": (before / (1 - alpha_bar[t]) * beta[t]).sqrt(),
                "z stands inside the bracket that √α_t divides; it is added after it": (beta[t] / alpha).sqrt(),
                "√(1 − ᾱ_t) is the noise of all steps; this one adds √β_t": noise,
                "√α_t, where √β_t belongs": alpha.sqrt(),
                "z itself, without σ_t?": 1.0,
                "z with its sign turned?": -beta[t].sqrt(),
            },
        )  # fmt: skip


@reverse.wrong("adds noise in the last step, too")
def _(x_t, eps_hat, t, z, beta, alpha_bar):
    mean = (x_t - beta[t] / (1 - alpha_bar[t]).sqrt() * eps_hat) / (1 - beta[t]).sqrt()
    return mean + beta[t].sqrt() * z


@reverse.wrong("scales the noise by its variance")
def _(x_t, eps_hat, t, z, beta, alpha_bar):
    mean = (x_t - beta[t] / (1 - alpha_bar[t]).sqrt() * eps_hat) / (1 - beta[t]).sqrt()
    return mean + beta[t] * z if t > 1 else mean


@reverse.wrong("takes alpha_bar for alpha")
def _(x_t, eps_hat, t, z, beta, alpha_bar):
    mean = (x_t - beta[t] / (1 - alpha_bar[t]).sqrt() * eps_hat) / alpha_bar[t].sqrt()
    return mean + beta[t].sqrt() * z if t > 1 else mean


@reverse.wrong("forgets the root under eps_hat")
def _(x_t, eps_hat, t, z, beta, alpha_bar):
    mean = (x_t - beta[t] / (1 - alpha_bar[t]) * eps_hat) / (1 - beta[t]).sqrt()
    return mean + beta[t].sqrt() * z if t > 1 else mean


@reverse.wrong("forgets 1 / sqrt(alpha)")
def _(x_t, eps_hat, t, z, beta, alpha_bar):
    mean = x_t - beta[t] / (1 - alpha_bar[t]).sqrt() * eps_hat
    return mean + beta[t].sqrt() * z if t > 1 else mean


@reverse.wrong("divides x_t alone by sqrt(alpha)")
def _(x_t, eps_hat, t, z, beta, alpha_bar):
    mean = x_t / (1 - beta[t]).sqrt() - beta[t] / (1 - alpha_bar[t]).sqrt() * eps_hat
    return mean + beta[t].sqrt() * z if t > 1 else mean


@reverse.wrong("adds beta_tilde's noise")
def _(x_t, eps_hat, t, z, beta, alpha_bar):
    mean = (x_t - beta[t] / (1 - alpha_bar[t]).sqrt() * eps_hat) / (1 - beta[t]).sqrt()
    return mean + ((1 - alpha_bar[t - 1]) / (1 - alpha_bar[t]) * beta[t]).sqrt() * z


# ---------------------------------------------------------------------------------------------------------------------
family = Exercise(
    "09.3",
    "The family between DDIM and DDPM",
    minutes=20,
    hints=[
        "First estimate x_0 from x_t and eps_hat. Then build x_s of three parts: that x_0, eps_hat, and new noise z.",
        "x_s needs the noise variance 1 − ᾱ_s in all. If σ² of it comes from z, how much is left for eps_hat?",
        "x_s = √ᾱ_s x_0 + √(1 − ᾱ_s − σ²) eps_hat + σ z,  σ = η √((1 − ᾱ_s) / (1 − ᾱ_t)) √(1 − ᾱ_t / ᾱ_s).",
    ],
)


@family.solution
def ddim_step(x_t, eps_hat, t, s, eta, z, alpha_bar):
    x0 = (x_t - (1 - alpha_bar[t]).sqrt() * eps_hat) / alpha_bar[t].sqrt()
    sigma = eta * ((1 - alpha_bar[s]) / (1 - alpha_bar[t])).sqrt() * (1 - alpha_bar[t] / alpha_bar[s]).sqrt()
    return alpha_bar[s].sqrt() * x0 + (1 - alpha_bar[s] - sigma**2).sqrt() * eps_hat + sigma * z


@family.check
def _(ddim_step):
    """In parts of the estimated x_0, eps_hat and z; first without noise, so that a message is about one thing."""
    x_t, eps_hat, z = _normal(3, 3, 400)
    for schedule, t, s, eta in (
        (COSINE, 700, 400, 0.0),
        (LINEAR, 400, 250, 0.5),
        (COSINE, 600, 300, 1.0),
        (LINEAR, 300, 299, 0.3),
        (COSINE, 500, 0, 0.0),
        (LINEAR, 200, 0, 1.0),
    ):
        now, then, late = (schedule.alpha_bar[r] for r in (t, s, t - 1))
        x0 = (x_t - (1 - now).sqrt() * eps_hat) / now.sqrt()
        answer = ddim_step(x_t, eps_hat, t, s, eta, z, schedule.alpha_bar)
        of_x0, of_eps, of_z = _factors(family, answer, [x0, eps_hat, z], of="x_t, eps_hat and z")
        where = f"from t = {t} to s = {s} with η = {eta:g}"
        family.require_close(
            of_x0, then.sqrt(), f"{where}, the factor of the estimated x_0", "√ᾱ_s",
            {
                "ᾱ_{t−1}, but the step leads to s, which may be far from t − 1": late.sqrt(),
                "x_t is still to be divided by √ᾱ_t: x_0 = (x_t − √(1 − ᾱ_t) eps_hat) / √ᾱ_t": (then * now).sqrt(),
                "ᾱ_s without its square root?": then,
                "ᾱ_t, where x_0 is divided, without its square root?": (then / now).sqrt(),
                "√ᾱ_t leads back to t; the step goes to s": now.sqrt(),
                "x_0 itself, without √ᾱ_s?": 1.0,
                "√(1 − ᾱ_s) is the factor of the noise": (1 - then).sqrt(),
                "the linear schedule's ᾱ; use the table that your function is given":
                    (LINEAR.alpha_bar[s] / LINEAR.alpha_bar[t] * now).sqrt(),
            },
        )  # fmt: skip
        full = (1 - then) / (1 - now) * (1 - now / then)
        sigma = eta * full.sqrt()
        if sigma == 0:
            why = "σ is η times something" if eta == 0 else "its factor 1 − ᾱ_s is 0"
            family.require(of_z == 0, f"{where} you add {of_z:.4g} z, where σ = 0 and there should be no noise: {why}")
        family.require_close(
            of_z, sigma, f"{where}, the factor of z", "σ",
            {
                "σ² is the variance; z is multiplied by σ": sigma**2,
                "η is missing in σ": full.sqrt(),
                "η² is in σ²; σ itself has η": eta**2 * full.sqrt(),
                "√η, but η stands outside the roots": eta**0.5 * full.sqrt(),
                "no noise is added? Only η = 0 goes without": 0.0,
                "both square roots of σ are missing": eta * full,
                "the square root of (1 − ᾱ_s) / (1 − ᾱ_t) is missing":
                    eta * (1 - then) / (1 - now) * (1 - now / then).sqrt(),
                "the square root of 1 − ᾱ_t / ᾱ_s is missing": eta * ((1 - then) / (1 - now)).sqrt() * (1 - now / then),
                "the factor √((1 − ᾱ_s) / (1 − ᾱ_t)) is missing": eta * (1 - now / then).sqrt(),
                "the factor √(1 − ᾱ_t / ᾱ_s) is missing": eta * ((1 - then) / (1 - now)).sqrt(),
                "(1 − ᾱ_s) / (1 − ᾱ_t) is upside down": eta * ((1 - now / then) * (1 - now) / (1 - then)).sqrt(),
                "1 − α_t of one step, where it is 1 − ᾱ_t / ᾱ_s: the step goes to s":
                    eta * ((1 - then) / (1 - now) * (1 - now / late)).sqrt(),
                "σ of the step to t − 1, but this one goes to s":
                    eta * ((1 - late) / (1 - now) * (1 - now / late)).sqrt(),
                "η √(1 − ᾱ_s): is 1 − ᾱ_t written for 1 − ᾱ_t / ᾱ_s?": eta * (1 - then).sqrt(),
                "z itself, without σ?": 1.0,
            },
        )  # fmt: skip
        along, noise = (1 - then - sigma**2).sqrt(), (1 - now).sqrt()
        per_x0 = (then / now).sqrt()
        family.require_close(
            of_eps, along, f"{where}, the factor of eps_hat beside the estimated x_0", "√(1 − ᾱ_s − σ²)",
            {
                "σ² is not subtracted: with σ z, the noise in x_s has a variance above 1 − ᾱ_s": (1 - then).sqrt(),
                "the square root is missing": along**2,
                "σ is subtracted, where σ² should be": (1 - then - sigma).sqrt(),
                "σ is subtracted outside the root; it is variances that add up": (1 - then).sqrt() - sigma,
                "η stands in σ² where η² belongs": (1 - then - eta * full).sqrt(),
                "η is squared twice: σ² has η², not η⁴": (1 - then - eta**4 * full).sqrt(),
                "σ² without its η²": (1 - then - full).sqrt(),
                "σ² is added, where it should be subtracted": (1 - then + sigma**2).sqrt(),
                "1 − ᾱ_t is the noise at t; at s it is 1 − ᾱ_s": (1 - now - sigma**2).sqrt(),
                "1 − ᾱ_{t−1}, but the step goes to s": (1 - late - sigma**2).sqrt(),
                "the term √(1 − ᾱ_s − σ²) eps_hat is missing": 0.0,
                "the term √(1 − ᾱ_s − σ²) eps_hat is subtracted, where it should be added": -along,
                "in the estimated x_0, 1 − ᾱ_t is without its square root": along + per_x0 * (noise - noise**2),
                "in the estimated x_0, eps_hat is added, where it should be subtracted": along + 2 * per_x0 * noise,
                "in the estimated x_0, eps_hat is not subtracted": along + per_x0 * noise,
                "in the estimated x_0, eps_hat is without its √(1 − ᾱ_t)": along + per_x0 * (noise - 1),
                "in the estimated x_0, √(1 − ᾱ_s) stands for √(1 − ᾱ_t)": along + per_x0 * (noise - (1 - then).sqrt()),
                "in the estimated x_0, √ᾱ_t divides x_t alone; it divides eps_hat's part as well":
                    along + (then / now).sqrt() * noise - then.sqrt() * noise,
            },
        )  # fmt: skip


@family.wrong("forgets sigma^2 in the direction of eps_hat")
def _(x_t, eps_hat, t, s, eta, z, alpha_bar):
    x0 = (x_t - (1 - alpha_bar[t]).sqrt() * eps_hat) / alpha_bar[t].sqrt()
    sigma = eta * ((1 - alpha_bar[s]) / (1 - alpha_bar[t]) * (1 - alpha_bar[t] / alpha_bar[s])).sqrt()
    return alpha_bar[s].sqrt() * x0 + (1 - alpha_bar[s]).sqrt() * eps_hat + sigma * z


@family.wrong("squares eta in sigma")
def _(x_t, eps_hat, t, s, eta, z, alpha_bar):
    x0 = (x_t - (1 - alpha_bar[t]).sqrt() * eps_hat) / alpha_bar[t].sqrt()
    sigma = eta**2 * ((1 - alpha_bar[s]) / (1 - alpha_bar[t]) * (1 - alpha_bar[t] / alpha_bar[s])).sqrt()
    return alpha_bar[s].sqrt() * x0 + (1 - alpha_bar[s] - sigma**2).sqrt() * eps_hat + sigma * z


@family.wrong("does not square eta in sigma^2")
def _(x_t, eps_hat, t, s, eta, z, alpha_bar):
    x0 = (x_t - (1 - alpha_bar[t]).sqrt() * eps_hat) / alpha_bar[t].sqrt()
    beta_tilde = (1 - alpha_bar[s]) / (1 - alpha_bar[t]) * (1 - alpha_bar[t] / alpha_bar[s])
    direction = (1 - alpha_bar[s] - eta * beta_tilde).sqrt() * eps_hat
    return alpha_bar[s].sqrt() * x0 + direction + eta * beta_tilde.sqrt() * z


@family.wrong("goes to t - 1 instead of s")
def _(x_t, eps_hat, t, s, eta, z, alpha_bar):
    return ddim_step(x_t, eps_hat, t, t - 1, eta, z, alpha_bar)


@family.wrong("forgets the root of sigma")
def _(x_t, eps_hat, t, s, eta, z, alpha_bar):
    x0 = (x_t - (1 - alpha_bar[t]).sqrt() * eps_hat) / alpha_bar[t].sqrt()
    sigma = eta * (1 - alpha_bar[s]) / (1 - alpha_bar[t]) * (1 - alpha_bar[t] / alpha_bar[s])
    return alpha_bar[s].sqrt() * x0 + (1 - alpha_bar[s] - sigma**2).sqrt() * eps_hat + sigma * z


@family.wrong("does not rescale x_t")
def _(x_t, eps_hat, t, s, eta, z, alpha_bar):
    x0 = x_t - (1 - alpha_bar[t]).sqrt() * eps_hat
    sigma = eta * ((1 - alpha_bar[s]) / (1 - alpha_bar[t]) * (1 - alpha_bar[t] / alpha_bar[s])).sqrt()
    return alpha_bar[s].sqrt() * x0 + (1 - alpha_bar[s] - sigma**2).sqrt() * eps_hat + sigma * z


@family.wrong("forgets the root in the estimate of x_0")
def _(x_t, eps_hat, t, s, eta, z, alpha_bar):
    x0 = (x_t - (1 - alpha_bar[t]) * eps_hat) / alpha_bar[t].sqrt()
    sigma = eta * ((1 - alpha_bar[s]) / (1 - alpha_bar[t]) * (1 - alpha_bar[t] / alpha_bar[s])).sqrt()
    return alpha_bar[s].sqrt() * x0 + (1 - alpha_bar[s] - sigma**2).sqrt() * eps_hat + sigma * z


# ---------------------------------------------------------------------------------------------------------------------
langevin = Exercise(
    "09.4",
    "Langevin dynamics",
    minutes=10,
    hints=[
        "Three terms: where you are, a step uphill along the score, and noise. score is a function: call it at x.",
        "The noise has the variance 2 size. By which number has z to be multiplied?",
    ],
)


@langevin.solution
def langevin_step(x, score, size, z):
    return x + size * score(x) + (2 * size) ** 0.5 * z


@langevin.check
def _(langevin_step):
    mixture = GaussianMixture([[-1.0, 0.5], [1.5, -0.5]], torch.tensor([0.3, 0.8]), torch.tensor([1.0, 2.0]))
    x, z = _normal(4, 2, 200, 2)
    for number in (0.05, 0.3):
        size, asked = torch.tensor(number, dtype=torch.float64), []

        def score(at: Tensor, asked: list[Tensor] = asked) -> Tensor:
            asked.append(at.detach().clone())
            return mixture.score(at)

        answer = langevin_step(x, score, size, z)
        elsewhere = any(at.shape == x.shape and not torch.allclose(at.double(), x, atol=1e-5) for at in asked)
        why = (
            "is the score asked at x itself, before the noise is added?"
            if elsewhere
            else "do you draw noise of your own?"
        )
        parts = [x, mixture.score(x), z]
        of_x, of_score, of_z = _factors(langevin, answer, parts, of="x, score(x) and z", why=why)
        langevin.require(
            abs(of_x - 1) < 1e-4,
            f"with size {number}, x is multiplied by {of_x:.4g}; it should stay as it is: a step starts at x",
        )
        langevin.require_close(
            of_score, size, f"with size {number}, the factor of score(x)", "size",
            {
                "the sign is turned: the score points uphill, to where x is more probable": -size,
                "size / 2 belongs to noise of √size; here the noise is √(2 size)": size / 2,
                "2 size, but the 2 is in the noise alone": 2 * size,
                "√size: the root is in the noise alone": size.sqrt(),
                "√(2 size) is the factor of z": (2 * size).sqrt(),
                "the score itself, without size?": 1.0,
                "the score has no effect": 0.0,
            },
        )  # fmt: skip
        langevin.require_close(
            of_z, (2 * size).sqrt(), f"with size {number}, the factor of z", "√(2 size)",
            {
                "the 2 is missing": size.sqrt(),
                "the square root is missing": 2 * size,
                "the root covers the 2 alone; it covers size as well": 2**0.5 * size,
                "the root covers size alone; it covers the 2 as well": 2 * size.sqrt(),
                "size, but the noise has the variance 2 size": size,
                "size multiplies the score alone; z has √(2 size), and no size beside it": size * (2 * size).sqrt(),
                "√size / 2, where it is √(2 size)": size.sqrt() / 2,
                "√(size / 2), where it is √(2 size)": (size / 2).sqrt(),
                "no noise is added: x would climb to the next peak and stay there": 0.0,
                "z itself, without √(2 size)?": 1.0,
                "z with its sign turned?": -(2 * size).sqrt(),
            },
        )  # fmt: skip


@langevin.wrong("forgets the square root")
def _(x, score, size, z):
    return x + size * score(x) + 2 * size * z


@langevin.wrong("forgets the 2")
def _(x, score, size, z):
    return x + size * score(x) + size**0.5 * z


@langevin.wrong("walks downhill")
def _(x, score, size, z):
    return x - size * score(x) + (2 * size) ** 0.5 * z


@langevin.wrong("takes half of the size for the score alone")
def _(x, score, size, z):
    return x + size / 2 * score(x) + (2 * size) ** 0.5 * z


@langevin.wrong("adds the noise first")
def _(x, score, size, z):
    x = x + (2 * size) ** 0.5 * z
    return x + size * score(x)


@langevin.wrong("adds no noise")
def _(x, score, size, z):
    return x + size * score(x)


# ---------------------------------------------------------------------------------------------------------------------
heun = Exercise(
    "09.5",
    "Write Heun",
    minutes=20,
    hints=[
        "DDIM's step appears twice, from the same x: only the eps differs. Write it as a small function of eps.",
        "guess = DDIM's step with eps_model(x, t). Then ask again where the guess is: eps_model(guess, s).",
        "The answer is DDIM's step from x with (eps_model(x, t) + eps_model(guess, s)) / 2. For s = 0 it is the guess.",
    ],
)


@heun.solution
def heun_step(eps_model, x, t, s, alpha_bar):
    def ddim(eps):
        x0 = (x - (1 - alpha_bar[t]).sqrt() * eps) / alpha_bar[t].sqrt()
        return alpha_bar[s].sqrt() * x0 + (1 - alpha_bar[s]).sqrt() * eps

    eps = eps_model(x, t)
    guess = ddim(eps)
    return ddim((eps + eps_model(guess, s)) / 2) if s > 0 else guess


def _recorded(schedule: NoiseSchedule, asked: list[tuple[Tensor, float]]) -> Callable[[Tensor, int], Tensor]:
    """The exact eps of a mixture of two Gaussians on a line, which notes where and when it was asked."""
    oracle = Oracle(GaussianMixture([[-1.0], [0.8]], torch.tensor([0.02, 0.1]), torch.tensor([1.0, 2.0])), schedule)

    def eps_model(x: Tensor, t: int) -> Tensor:
        if not torch.is_tensor(x):
            raise NotYet("eps_model takes x first, and then the time")
        time = torch.as_tensor(t).double().mean().item()
        if time == 0:
            raise NotYet(
                "the model is asked at t = 0, where no noise is left to predict: for s = 0, take DDIM's step alone"
            )
        asked.append((x.detach().clone(), time))
        return oracle.predict(x, t)[1]

    return eps_model


def _where_asked(asked: list[tuple[Tensor, float]], x: Tensor, guess: Tensor, t: int, s: int) -> str:
    """What is wrong with where and when the model was asked, or with what follows."""
    if not asked:
        return "the model is not asked at all"
    times = list(dict.fromkeys(f"{time:g}" for _, time in asked))
    if f"{t}" not in times:
        return f"the model is asked at t = {', '.join(times)}, and never at t = {t}"
    if s > 0 and f"{s}" not in times:
        return f"the model is asked at t = {', '.join(times)}, and never at s = {s}"
    if not any(at.shape == x.shape and torch.allclose(at.double(), x, rtol=1e-4) for at, time in asked if time == t):
        return f"at t = {t} the model should be asked for the eps of x"
    if s > 0 and not any(
        at.shape == x.shape and torch.allclose(at.double(), guess, rtol=1e-4) for at, time in asked if time == s
    ):
        return f"at s = {s} the model should be asked at the guess, and yours is not where DDIM's step leads"
    eps = "the mean of both eps" if s > 0 else "the eps"
    return f"the model is asked where it should be; look at the step with {eps}"


@heun.check
def _(heun_step):
    x = _normal(5, 200, 1)
    for schedule, t, s in (
        (COSINE, 700, 400),
        (LINEAR, 600, 300),
        (LINEAR, 150, 149),
        (COSINE, 300, 0),
        (LINEAR, 40, 0),
    ):
        asked: list[tuple[Tensor, float]] = []
        alpha_bar, eps_model = schedule.alpha_bar, _recorded(schedule, [])
        signal_t, noise_t, signal_s, noise_s = (
            root for a in (alpha_bar[t], alpha_bar[s]) for root in (a.sqrt(), (1 - a).sqrt())
        )
        found = as_numbers(heun_step(_recorded(schedule, asked), x, t, s, alpha_bar))
        first = eps_model(x, t)
        guess = right = _ddim(x, first, t, s, alpha_bar)
        what = f"x_s for t = {t}, s = {s}"
        if s == 0:
            late = eps_model(guess, 1)
            heun.require_close(
                found, right, what, "DDIM's step",
                {
                    "x itself is returned; the step to 0 is still to be taken": x,
                    "eps is averaged with that of t = 1; for s = 0, DDIM's step alone":
                        _ddim(x, (first + late) / 2, t, s, alpha_bar),
                    "half of eps, as if the second one were 0; for s = 0, DDIM's step alone":
                        _ddim(x, first / 2, t, s, alpha_bar),
                    _where_asked(asked, x, guess, t, s): found,
                },
            )  # fmt: skip
            continue
        second = eps_model(guess, s)
        mean = (first + second) / 2
        right = _ddim(x, mean, t, s, alpha_bar)
        middle = (t + s) // 2
        at_middle = eps_model(_ddim(x, first, t, middle, alpha_bar), middle)
        x0_mean = ((x - noise_t * first) / signal_t + (guess - noise_s * second) / signal_s) / 2
        not_used = (
            "the second eps cancels, and DDIM's step is left: x_0 and eps of the guess make up the guess. "
            "Take the mean of eps alone, and x_0 from x and that mean"
            if any(time == s for _, time in asked)
            else "DDIM's step alone: ask the model again at the guess, and take the mean of both eps"
        )
        sigma_t, sigma_s = noise_t / signal_t, noise_s / signal_s
        heun.require_close(
            found, right, what, "DDIM's step with the mean of both eps",
            {
                not_used: guess,
                "the second eps alone: take the mean of both": _ddim(x, second, t, s, alpha_bar),
                "the sum of both eps, still to be halved": _ddim(x, first + second, t, s, alpha_bar),
                "the second eps is that of x at s; it should be that of the guess":
                    _ddim(x, (first + eps_model(x, s)) / 2, t, s, alpha_bar),
                "the second eps is asked at t; the guess is at time s":
                    _ddim(x, (first + eps_model(guess, t)) / 2, t, s, alpha_bar),
                "that is the midpoint method, which asks half-way; Heun asks at both ends and takes the mean":
                    _ddim(x, at_middle, t, s, alpha_bar),
                "the second eps is that of the time between; Heun asks at s":
                    _ddim(x, (first + at_middle) / 2, t, s, alpha_bar),
                "the second step starts from the guess; it should start again from x":
                    _ddim(guess, mean, t, s, alpha_bar),
                "the second step starts from the guess, with the second eps; start again from x, with the mean":
                    _ddim(guess, second, t, s, alpha_bar),
                "the mean of the guess and of a step on from it: both steps should start from x":
                    (guess + _ddim(guess, second, t, s, alpha_bar)) / 2,
                "the mean of the speeds of x is taken; take that of eps, the speed of x / √ᾱ":
                    x + (signal_s - signal_t) * x0_mean + (noise_s - noise_t) * mean,
                "the x_0 of the first eps beside the mean eps: x_0 has to be estimated again, with the mean":
                    guess + noise_s * (mean - first),
                "the mean eps in x_0 alone: it belongs in both terms of the step":
                    guess + signal_s * sigma_t * (first - mean),
                "x / √ᾱ_s, still to be multiplied by √ᾱ_s": right / signal_s,
                "eps is the speed of x / √ᾱ, not of x: divide x by √ᾱ_t first, and multiply by √ᾱ_s in the end":
                    x + (sigma_s - sigma_t) * mean,
                "x is not rescaled: its factor is √(ᾱ_s / ᾱ_t)": x + (noise_s - noise_t) * mean,
                "x itself is returned": x,
                _where_asked(asked, x, guess, t, s): found,
            },
        )  # fmt: skip


@heun.wrong("is DDIM's step")
def _(eps_model, x, t, s, alpha_bar):
    return _ddim(x, eps_model(x, t), t, s, alpha_bar)


@heun.wrong("asks for the second eps at x")
def _(eps_model, x, t, s, alpha_bar):
    eps = eps_model(x, t)
    return _ddim(x, (eps + eps_model(x, s)) / 2 if s > 0 else eps, t, s, alpha_bar)


@heun.wrong("asks for the second eps at t")
def _(eps_model, x, t, s, alpha_bar):
    eps = eps_model(x, t)
    guess = _ddim(x, eps, t, s, alpha_bar)
    return _ddim(x, (eps + eps_model(guess, t)) / 2, t, s, alpha_bar) if s > 0 else guess


@heun.wrong("is the midpoint method")
def _(eps_model, x, t, s, alpha_bar):
    middle = (t + s) // 2
    half = _ddim(x, eps_model(x, t), t, middle, alpha_bar)
    return _ddim(x, eps_model(half, middle), t, s, alpha_bar)


@heun.wrong("takes the second eps alone")
def _(eps_model, x, t, s, alpha_bar):
    guess = _ddim(x, eps_model(x, t), t, s, alpha_bar)
    return _ddim(x, eps_model(guess, s), t, s, alpha_bar) if s > 0 else guess


@heun.wrong("starts the second step from the guess")
def _(eps_model, x, t, s, alpha_bar):
    eps = eps_model(x, t)
    guess = _ddim(x, eps, t, s, alpha_bar)
    return _ddim(guess, (eps + eps_model(guess, s)) / 2, t, s, alpha_bar) if s > 0 else guess


@heun.wrong("takes the mean of the guess and of a step on from it")
def _(eps_model, x, t, s, alpha_bar):
    guess = _ddim(x, eps_model(x, t), t, s, alpha_bar)
    return (guess + _ddim(guess, eps_model(guess, s), t, s, alpha_bar)) / 2 if s > 0 else guess


@heun.wrong("takes the mean of x_0 as well")
def _(eps_model, x, t, s, alpha_bar):
    eps = eps_model(x, t)
    guess = _ddim(x, eps, t, s, alpha_bar)
    if s == 0:
        return guess
    second = eps_model(guess, s)
    x0 = (x - (1 - alpha_bar[t]).sqrt() * eps) / alpha_bar[t].sqrt()
    x0_second = (guess - (1 - alpha_bar[s]).sqrt() * second) / alpha_bar[s].sqrt()
    return alpha_bar[s].sqrt() * (x0 + x0_second) / 2 + (1 - alpha_bar[s]).sqrt() * (eps + second) / 2


@heun.wrong("asks the model at t = 0")
def _(eps_model, x, t, s, alpha_bar):
    eps = eps_model(x, t)
    return _ddim(x, (eps + eps_model(_ddim(x, eps, t, s, alpha_bar), s)) / 2, t, s, alpha_bar)


# ---------------------------------------------------------------------------------------------------------------------
hutchinson = Exercise(
    "09.6",
    "Hutchinson's trace",
    minutes=15,
    hints=[
        "torch.autograd.grad of a number gives its gradient with respect to x. The gradient of which number is zᵀJ?",
        "zᵀJ is the gradient of (f(x) * z).sum(). The rows don't mix, so one call does all. Enable grad on x first.",
        "zᵀJ is (batch, d). Multiply it by z and sum over d: one number a row.",
    ],
)


@hutchinson.solution
def divergence(f, x, z):
    x = x.detach().requires_grad_()
    (z_jacobian,) = torch.autograd.grad((f(x) * z).sum(), x)
    return (z_jacobian * z).sum(1)


def _with_grad(divergence: Callable, f: Callable, x: Tensor, z: Tensor) -> Tensor | None:
    """The answer; what autograd complains of most, in plainer words."""
    a_tuple = "torch.autograd.grad gives a tuple, even for a single x: take its first entry"
    try:
        answer = divergence(f, x, z)
    except (RuntimeError, TypeError, AttributeError) as error:
        for part, message in (
            ("does not require grad", "autograd does not follow x: call x.requires_grad_() before f(x)"),
            ("can be converted to an index", a_tuple),
            ("'tuple' object", a_tuple),
            ("'tuple' and", a_tuple),
            ("not have been used in the graph", "autograd does not see how the number depends on x: "
             "x.requires_grad_() comes before f(x), and f gets that same x"),
            ("only for scalar outputs", "torch.autograd.grad takes the gradient of one number: sum f(x) * z first"),
            ("graph a second time", "the gradient is taken more than once: one call gives zᵀJ of every row"),
        ):  # fmt: skip
            if part in str(error):
                raise NotYet(message) from error
        raise
    hutchinson.require(not isinstance(answer, tuple), a_tuple)
    return as_numbers(answer)


@hutchinson.check
def _(divergence):
    """Of f(x) = tanh(A x) + x B, whose Jacobian diag(1 − tanh²) A + diag(B) is neither constant nor symmetric."""
    for seed, batch, d in ((6, 7, 4), (7, 5, 3)):
        x, z = _normal(seed, 2, batch, d)
        z = z.sign() if d == 3 else z
        a, b = _normal(seed + 10, d, d), _normal(seed + 20, d)

        def f(x: Tensor, a: Tensor = a, b: Tensor = b) -> Tensor:
            return torch.tanh(x @ a.T) + x * b

        jacobian = (1 - torch.tanh(x @ a.T) ** 2)[:, :, None] * a + torch.diag(b)
        from_left, from_right = torch.einsum("bi,bij->bj", z, jacobian), torch.einsum("bij,bj->bi", jacobian, z)
        right = (from_left * z).sum(1)
        found = _with_grad(divergence, f, x, z)
        hutchinson.require(found is not None, "the answer should be a tensor with one number for each row of x")
        if found.shape == x.shape:
            unsummed = torch.allclose(found, from_left * z, rtol=1e-4) and "that is zᵀJ times z; sum it over d"
            left = torch.allclose(found, from_left, rtol=1e-4) and "that is zᵀJ; multiply it by z, and sum over d"
            raise NotYet(
                f"the answer has x's shape {tuple(x.shape)} and should hold one number for each row: "
                + (unsummed or left or "multiply zᵀJ by z, and sum over d")
            )
        hutchinson.require(
            found.numel() != 1, "that is one number for the whole batch: sum each row by itself, over d alone"
        )
        hutchinson.require(
            found.shape != (d,),
            f"the answer has {d} numbers, one for each dimension: sum over d, not over the {batch} rows",
        )
        hutchinson.require_close(
            found, right, "zᵀJz of a row", "Σ (zᵀJ)_i z_i",
            {
                "zᵀJ is summed without z: multiply it by z first": from_left.sum(1),
                "f(x) is summed without z: zᵀJ is the gradient of the sum of f(x) * z": from_right.sum(1),
                "z is missing on both sides of J": jacobian.sum((1, 2)),
                "the mean over d, where the sum was asked for": right / d,
                "the mean over the batch is in it: sum f(x) * z, the rows don't mix": right / batch,
                "the mean of f(x) * z, where its sum belongs": right / (batch * d),
                "the exact trace of J; Hutchinson's estimate of it, zᵀJz, was asked for":
                    jacobian.diagonal(dim1=1, dim2=2).sum(1),
                "that is z · f(x), not differentiated yet": (f(x) * z).sum(1),
                "zᵀJ is squared, where it should be multiplied by z": (from_left**2).sum(1),
                "zᵀJ is multiplied by x, where it should be by z": (from_left * x).sum(1),
                "zᵀJ is multiplied by f(x), where it should be by z": (from_left * f(x)).sum(1),
                "divided by zᵀz? zᵀJz itself was asked for": right / (z**2).sum(1),
                "the sign is turned": -right,
            },
        )  # fmt: skip


@hutchinson.wrong("sums over the batch as well")
def _(f, x, z):
    x = x.detach().requires_grad_()
    (z_jacobian,) = torch.autograd.grad((f(x) * z).sum(), x)
    return (z_jacobian * z).sum()


@hutchinson.wrong("forgets to multiply by z in the end")
def _(f, x, z):
    x = x.detach().requires_grad_()
    return torch.autograd.grad((f(x) * z).sum(), x)[0]


@hutchinson.wrong("sums z^T J without z")
def _(f, x, z):
    x = x.detach().requires_grad_()
    return torch.autograd.grad((f(x) * z).sum(), x)[0].sum(1)


@hutchinson.wrong("takes the mean over d")
def _(f, x, z):
    x = x.detach().requires_grad_()
    return (torch.autograd.grad((f(x) * z).sum(), x)[0] * z).mean(1)


@hutchinson.wrong("takes the gradient of f(x).sum()")
def _(f, x, z):
    x = x.detach().requires_grad_()
    return (torch.autograd.grad(f(x).sum(), x)[0] * z).sum(1)


@hutchinson.wrong("does not enable grad")
def _(f, x, z):
    return (torch.autograd.grad((f(x) * z).sum(), x)[0] * z).sum(1)


@hutchinson.wrong("does not differentiate")
def _(f, x, z):
    return (f(x) * z).sum(1)


# ---------------------------------------------------------------------------------------------------------------------
clip = Exercise(
    "09.7",
    "Find the bug",
    minutes=20,
    hints=[
        "Try it with s = t − 5 and with an x_t for which nothing is clipped. Then with an x_t for which much is.",
        "One bug: where does the step lead? The other: x_t = √ᾱ_t x_0 + √(1 − ᾱ_t) eps should hold after clipping too.",
        "Solve that for eps with the clipped x_0, use this eps instead of eps_hat, and s instead of t − 1, twice.",
    ],
)


@clip.solution
def clipped_step(x_t, eps_hat, t, s, alpha_bar):
    x0 = ((x_t - (1 - alpha_bar[t]).sqrt() * eps_hat) / alpha_bar[t].sqrt()).clamp(-1, 1)
    eps = (x_t - alpha_bar[t].sqrt() * x0) / (1 - alpha_bar[t]).sqrt()
    return alpha_bar[s].sqrt() * x0 + (1 - alpha_bar[s]).sqrt() * eps


@clip.check
def _(clipped_step):
    x_t, eps_hat = _normal(8, 2, 400)
    for schedule, t, s in ((LINEAR, 300, 200), (COSINE, 600, 300), (COSINE, 500, 499), (LINEAR, 400, 0)):
        now, then, late = (schedule.alpha_bar[r] for r in (t, s, t - 1))
        free = (x_t - (1 - now).sqrt() * eps_hat) / now.sqrt()
        x0 = free.clamp(-1, 1)
        eps = (x_t - now.sqrt() * x0) / (1 - now).sqrt()
        step = then.sqrt() * x0 + (1 - then).sqrt() * eps
        unclipped = _ddim(x_t, eps_hat, t, s, schedule.alpha_bar)
        positive = free.clamp(0, 1)
        found = clipped_step(x_t, eps_hat, t, s, schedule.alpha_bar)
        moved = ", but the step leads to s, which may be far from t − 1"
        clip.require_close(
            found, step, f"from t = {t} to s = {s}, x_s", "√ᾱ_s x_0 + √(1 − ᾱ_s) eps with clipped x_0 and its own eps",
            {
                "nothing has changed yet: both bugs are still there": late.sqrt() * x0 + (1 - late).sqrt() * eps_hat,
                "eps_hat goes with x_0 as it was before clipping. Which eps makes x_t of the clipped one?":
                    then.sqrt() * x0 + (1 - then).sqrt() * eps_hat,
                f"the eps is right now; the noise schedule is read at t − 1{moved}":
                    late.sqrt() * x0 + (1 - late).sqrt() * eps,
                "the factor of x_0 is still that of t − 1": late.sqrt() * x0 + (1 - then).sqrt() * eps,
                "the factor of eps is still that of t − 1": then.sqrt() * x0 + (1 - late).sqrt() * eps,
                "the factor of x_0 is still that of t − 1, and eps_hat still goes with the unclipped x_0":
                    late.sqrt() * x0 + (1 - then).sqrt() * eps_hat,
                "the factor of eps is still that of t − 1, and eps_hat still goes with the unclipped x_0":
                    then.sqrt() * x0 + (1 - late).sqrt() * eps_hat,
                "the noise schedule is read at t, but the step leads to s; and eps_hat goes with the unclipped x_0":
                    now.sqrt() * x0 + (1 - now).sqrt() * eps_hat,
                "that is x_t again: the new eps is solved for with ᾱ_t, but the step is taken with ᾱ_s": x_t,
                "that is the clipped x_0 alone; x_s holds noise as well": x0,
                "x_0 is not clipped any more: it must stay in [−1, 1]": unclipped,
                f"x_0 is not clipped any more, and the noise schedule is read at t − 1{moved}":
                    late.sqrt() * free + (1 - late).sqrt() * eps_hat,
                "x_s is clipped; it is x_0 that must stay in [−1, 1], since x_s holds noise": unclipped.clamp(-1, 1),
                "x_s is clipped as well; x_0 alone must stay in [−1, 1]": step.clamp(-1, 1),
                "x_s is clipped, too, and eps_hat still goes with the unclipped x_0":
                    (then.sqrt() * x0 + (1 - then).sqrt() * eps_hat).clamp(-1, 1),
                "x_t is clipped, where x_0 should be": _ddim(x_t.clamp(-1, 1), eps_hat, t, s, schedule.alpha_bar),
                "the new eps is clipped as well; x_0 alone must stay in [−1, 1]":
                    then.sqrt() * x0 + (1 - then).sqrt() * eps.clamp(-1, 1),
                "eps_hat is clipped, where x_0 should be": _ddim(x_t, eps_hat.clamp(-1, 1), t, s, schedule.alpha_bar),
                "eps_hat is clipped; it should be solved for again, with the clipped x_0":
                    then.sqrt() * x0 + (1 - then).sqrt() * eps_hat.clamp(-1, 1),
                "the new eps belongs to x_t, so it is solved for with ᾱ_t, not ᾱ_{t−1}":
                    then.sqrt() * x0 + (1 - then).sqrt() * (x_t - late.sqrt() * x0) / (1 - late).sqrt(),
                "the new eps is still to be divided by √(1 − ᾱ_t)":
                    then.sqrt() * x0 + (1 - then).sqrt() * (x_t - now.sqrt() * x0),
                "the new eps is divided by 1 − ᾱ_t, without its square root":
                    then.sqrt() * x0 + (1 - then).sqrt() * eps / (1 - now).sqrt(),
                "in the new eps, x_0 is without its factor √ᾱ_t":
                    then.sqrt() * x0 + (1 - then).sqrt() * (x_t - x0) / (1 - now).sqrt(),
                "the clipped x_0 serves for the new eps alone; it belongs in the step as well":
                    then.sqrt() * free + (1 - then).sqrt() * eps,
                "x_0 is clipped to [0, 1]; the images are in [−1, 1]":
                    then.sqrt() * positive + (1 - then).sqrt() * (x_t - now.sqrt() * positive) / (1 - now).sqrt(),
            },
        )  # fmt: skip


@clip.wrong("is the function with both bugs")
def _(x_t, eps_hat, t, s, alpha_bar):
    x0 = ((x_t - (1 - alpha_bar[t]).sqrt() * eps_hat) / alpha_bar[t].sqrt()).clamp(-1, 1)
    return alpha_bar[t - 1].sqrt() * x0 + (1 - alpha_bar[t - 1]).sqrt() * eps_hat


@clip.wrong("repairs the time alone")
def _(x_t, eps_hat, t, s, alpha_bar):
    x0 = ((x_t - (1 - alpha_bar[t]).sqrt() * eps_hat) / alpha_bar[t].sqrt()).clamp(-1, 1)
    return alpha_bar[s].sqrt() * x0 + (1 - alpha_bar[s]).sqrt() * eps_hat


@clip.wrong("repairs eps alone")
def _(x_t, eps_hat, t, s, alpha_bar):
    x0 = ((x_t - (1 - alpha_bar[t]).sqrt() * eps_hat) / alpha_bar[t].sqrt()).clamp(-1, 1)
    eps = (x_t - alpha_bar[t].sqrt() * x0) / (1 - alpha_bar[t]).sqrt()
    return alpha_bar[t - 1].sqrt() * x0 + (1 - alpha_bar[t - 1]).sqrt() * eps


@clip.wrong("clips x_s instead")
def _(x_t, eps_hat, t, s, alpha_bar):
    return _ddim(x_t, eps_hat, t, s, alpha_bar).clamp(-1, 1)


@clip.wrong("does not clip")
def _(x_t, eps_hat, t, s, alpha_bar):
    return _ddim(x_t, eps_hat, t, s, alpha_bar)


@clip.wrong("solves for the new eps at s")
def _(x_t, eps_hat, t, s, alpha_bar):
    x0 = ((x_t - (1 - alpha_bar[t]).sqrt() * eps_hat) / alpha_bar[t].sqrt()).clamp(-1, 1)
    if s == 0:
        return x0
    eps = (x_t - alpha_bar[s].sqrt() * x0) / (1 - alpha_bar[s]).sqrt()
    return alpha_bar[s].sqrt() * x0 + (1 - alpha_bar[s]).sqrt() * eps
