"""Lesson 07: the DDPM loss, derived."""

import itertools
import math

import torch

from course_lib.diffusion import NoiseSchedule
from course_lib.exercises.old import Exercise, as_numbers

LINEAR = NoiseSchedule.linear()
COSINE = NoiseSchedule.cosine()
SHORT = NoiseSchedule.linear(20, 0.02, 0.3)


def _images(seed: int, n: int = 8) -> tuple[torch.Tensor, torch.Tensor]:
    """Images of random pixels in [-1, 1] and noise of the same shape (n, 1, 8, 8), float64."""
    generator = torch.Generator().manual_seed(seed)
    x0 = 2 * torch.rand(n, 1, 8, 8, generator=generator, dtype=torch.float64) - 1
    return x0, torch.randn(n, 1, 8, 8, generator=generator, dtype=torch.float64)


def _factors(exercise: Exercise, found, x, y, what: str, of: str, why: str) -> tuple[torch.Tensor, torch.Tensor]:
    """The two numbers with which an answer is (first) x + (second) y, as it must be; `of` names x and y in messages."""
    found = as_numbers(found)
    exercise.require(found is not None, f"{what} should be a tensor")
    exercise.require(
        found.shape == x.shape,
        f"{what} has the shape {tuple(found.shape)} and should have that of the images, {tuple(x.shape)}",
    )
    exercise.require(
        found.isfinite().all(), f"{what} is NaN or infinite: a division by 0, or the root of something negative?"
    )
    columns = torch.stack([x.flatten(), y.flatten()], dim=1)
    factors = torch.linalg.lstsq(columns, found.reshape(-1, 1)).solution[:, 0]
    rest = (found.flatten() - columns @ factors).abs().max()
    exercise.require(rest < 1e-4, f"{what} is not one number times {of}{why}")
    return factors[0], factors[1]


def _call_of_net(exercise: Exercise, x_t, t, shape: torch.Size) -> tuple[torch.Tensor, torch.Tensor]:
    """What a net was called with, as float64; it must have the shapes of a batch of images and of its times."""
    x_t, t = as_numbers(x_t), as_numbers(t)
    exercise.require(x_t is not None and t is not None, "net should be called with two tensors: net(x_t, t)")
    exercise.require(
        not (x_t.shape == shape[:1] and t.shape == shape), "net is called with (t, x_t): the images come first"
    )
    exercise.require(
        x_t.shape == shape,
        f"net is given an x_t of shape {tuple(x_t.shape)} and should be given {tuple(shape)}, like x_0: are the "
        f"factors of shape ({shape[0]}, 1, 1, 1), one for each image?",
    )
    exercise.require(
        t.shape == shape[:1],
        f"net is given times of shape {tuple(t.shape)} and should be given one for each image, {tuple(shape[:1])}",
    )
    exercise.require(x_t.isfinite().all(), "net is given NaN or infinity: is a root taken of something negative?")
    return x_t, t


# ---------------------------------------------------------------------------------------------------------------------
gaussians = Exercise(
    "07.1",
    "The KL of two Gaussians",
    minutes=5,
    hints=[
        "Where the two variances are equal, only the distance of the means counts: (m1 − m2)² / (2 v2).",
        "KL = ½ (log(v2/v1) + (v1 + (m1 − m2)²) / v2 − 1). It is 0 where m1 = m2 and v1 = v2.",
    ],
)


@gaussians.solution
def kl(m1, v1, m2, v2):
    return 0.5 * (torch.log(v2 / v1) + (v1 + (m1 - m2) ** 2) / v2 - 1)


@gaussians.check
def _(kl):
    reference = gaussians.reference
    m1, m2 = _images(seed=1, n=2)
    first, second = 0.1 + torch.rand(2, *m1.shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    for v1, v2 in ((first, second), (first[0, 0, 0, 0], second[0, 0, 0, 0]), torch.tensor([0.012, 0.02]).double()):
        right, log, square = reference(m1, v1, m2, v2), torch.log(v2 / v1), (m1 - m2) ** 2
        found = as_numbers(kl(m1, v1, m2, v2))
        gaussians.require(found is not None, "the answer should be a tensor")
        gaussians.require(found.numel() != 1, "that is one number for everything; the KL is asked for entry by entry")
        gaussians.require(
            not found.isnan().any(), "the answer holds NaN: is a root or logarithm taken of something negative?"
        )
        gaussians.require_close(
            found, right, "the KL", "½ (log(v2/v1) + (v1 + (m1 − m2)²)/v2 − 1)",
            {
                "KL(2 ‖ 1), the other way round?": reference(m2, v2, m1, v1),
                "v1 and v2 are variances already; do not square them": log + (v1**2 + square) / (2 * v2**2) - 0.5,
                "without the ½?": 2 * right,
                "log(v2/v1) is not halved; only that of the deviations, σ2/σ1, stands without ½": right + 0.5 * log,
                "the sign of the logarithm?": right - log,
                "the logarithm is missing": right - 0.5 * log,
                "the −1 is missing: equal Gaussians should have KL 0": right + 0.5,
                "−1, but it belongs inside the bracket that is halved": right - 0.5,
                "(m1 − m2)² is to be divided by v2 as well": 0.5 * (log + v1 / v2 + square - 1),
                "(m1 − m2)² is to be divided by v2, not by v1": 0.5 * (log + v1 / v2 + square / v1 - 1),
                "m1 − m2 is to be squared": 0.5 * (log + (v1 + m1 - m2) / v2 - 1),
                "|m1 − m2|, where its square belongs": 0.5 * (log + (v1 + (m1 - m2).abs()) / v2 - 1),
                "the difference of the means is missing": 0.5 * (log + v1 / v2 - 1),
                "v1 / v2 upside down?": 0.5 * (log + (v2 + square) / v1 - 1),
                "v2 / v1, where v1 / v2 belongs": 0.5 * (log + v2 / v1 + square / v2 - 1),
                "v1 is to be divided by v2 as well": 0.5 * (log + v1 + square / v2 - 1),
                "the KL to N(0, 1), as in lesson 06; m2 and v2 have to enter": 0.5 * (v1 + m1**2 - 1 - v1.log()),
                "bits, not nats?": right / math.log(2),
                "log2, where the natural logarithm belongs": right + 0.5 * (torch.log2(v2 / v1) - log),
            },
        )  # fmt: skip


@gaussians.wrong("exchanges the two")
def _(m1, v1, m2, v2):
    return 0.5 * (torch.log(v1 / v2) + (v2 + (m1 - m2) ** 2) / v1 - 1)


@gaussians.wrong("takes the variances for deviations")
def _(m1, v1, m2, v2):
    return torch.log(v2 / v1) + (v1**2 + (m1 - m2) ** 2) / (2 * v2**2) - 0.5


@gaussians.wrong("does not halve the logarithm")
def _(m1, v1, m2, v2):
    return torch.log(v2 / v1) + (v1 + (m1 - m2) ** 2) / (2 * v2) - 0.5


@gaussians.wrong("forgets the -1")
def _(m1, v1, m2, v2):
    return 0.5 * (torch.log(v2 / v1) + (v1 + (m1 - m2) ** 2) / v2)


@gaussians.wrong("sums over all entries")
def _(m1, v1, m2, v2):
    return (0.5 * (torch.log(v2 / v1) + (v1 + (m1 - m2) ** 2) / v2 - 1)).sum()


# ---------------------------------------------------------------------------------------------------------------------
undo = Exercise(
    "07.2",
    "Undo one step, x_0 known",
    minutes=15,
    hints=[
        "Two Gaussians speak about x_{t−1}: the step says N(x_t/√α_t, β_t/α_t), the jump N(√ᾱ_{t−1} x_0, 1 − ᾱ_{t−1}). "
        "Multiply them.",
        "Precisions (1 / variance) add: 1/β̃_t = α_t/β_t + 1/(1 − ᾱ_{t−1}). Bring it to one fraction; its numerator is "
        "1 − ᾱ_t.",
        "β̃_t = β_t (1 − ᾱ_{t−1}) / (1 − ᾱ_t), and μ̃_t = (√α_t (1 − ᾱ_{t−1}) x_t + √ᾱ_{t−1} β_t x_0) / (1 − ᾱ_t).",
    ],
)


@undo.solution
def posterior(x_t, x0, t, beta, alpha_bar):
    now, before = alpha_bar[t], alpha_bar[t - 1]
    mu_tilde = ((1 - beta[t]).sqrt() * (1 - before) * x_t + before.sqrt() * beta[t] * x0) / (1 - now)
    beta_tilde = beta[t] * (1 - before) / (1 - now)
    return mu_tilde, beta_tilde


@undo.check
def _(posterior):
    """Any x_t will do, so it is independent of x_0 here: the factors of the two can be told apart."""
    x0, x_t = _images(seed=2)
    for schedule, t in ((SHORT, 6), (LINEAR, 400), (COSINE, 700), (SHORT, 2)):
        mu_tilde, beta_tilde = _two(posterior(x_t, x0, t, schedule.beta, schedule.alpha_bar))
        beta, alpha, now, before = schedule.beta[t], schedule.alpha[t], schedule.alpha_bar[t], schedule.alpha_bar[t - 1]
        of_x_t, of_x0 = _factors(
            undo, mu_tilde, x_t, x0, f"at t = {t}, mu_tilde", "x_t plus one number times x_0",
            ": it is a mean, without noise of its own and not clipped",
        )  # fmt: skip
        undo.require_close(
            of_x_t, alpha.sqrt() * (1 - before) / (1 - now),
            f"at t = {t}, the factor of x_t in mu_tilde", "√α_t (1 − ᾱ_{t−1}) / (1 − ᾱ_t)",
            {
                "the factors of x_t and x_0 exchanged?": before.sqrt() * beta / (1 - now),
                "α_t without its square root?": alpha * (1 - before) / (1 - now),
                "√α_t is missing": (1 - before) / (1 - now),
                "ᾱ_t, where ᾱ_{t−1} belongs: 1 − ᾱ_t stands below only": alpha.sqrt(),
                "√ᾱ_t, where α_t of this one step belongs": now.sqrt() * (1 - before) / (1 - now),
                "√ᾱ_{t−1}, where α_t of this one step belongs": before.sqrt() * (1 - before) / (1 - now),
                "the fraction upside down: 1 − ᾱ_t belongs below": alpha.sqrt() * (1 - now) / (1 - before),
                "still to be divided by 1 − ᾱ_t": alpha.sqrt() * (1 - before),
                "still to be divided by 1 − ᾱ_t, and the factors of x_t and x_0 exchanged": before.sqrt() * beta,
                "β_t, where 1 − ᾱ_{t−1} belongs": alpha.sqrt() * beta / (1 - now),
                "a root too many: the factor holds variances": (alpha * (1 - before) / (1 - now)).sqrt(),
                "√β_t, where √α_t belongs": beta.sqrt() * (1 - before) / (1 - now),
                "1 / √α_t: that is the step's own guess, before the precisions weigh it": 1 / alpha.sqrt(),
                "√(1 − ᾱ_t) below, a deviation, where the variance belongs":
                    alpha.sqrt() * (1 - before) / (1 - now).sqrt(),
                "ᾱ_{t−1}, without the 1 −": alpha.sqrt() * before / (1 - now),
                "α_{t−1}, but the step from t − 1 to t has α_t":
                    schedule.alpha[t - 1].sqrt() * (1 - before) / (1 - now),
                "the step before, from t − 2 to t − 1: the tables have T + 1 entries, so an index is t itself":
                    schedule.alpha[t - 1].sqrt() * (1 - schedule.alpha_bar[t - 2]) / (1 - before),
            },
        )  # fmt: skip
        undo.require_close(
            of_x0, before.sqrt() * beta / (1 - now),
            f"at t = {t}, the factor of x_0 in mu_tilde", "√ᾱ_{t−1} β_t / (1 − ᾱ_t)",
            {
                "ᾱ_{t−1} without its square root?": before * beta / (1 - now),
                "ᾱ_t, where ᾱ_{t−1} belongs: it is the mean of x_{t−1}": now.sqrt() * beta / (1 - now),
                "√α_t of this one step, where √ᾱ_{t−1} of all steps before belongs": alpha.sqrt() * beta / (1 - now),
                "√ᾱ_{t−1} is missing": beta / (1 - now),
                "β_t is missing": before.sqrt() / (1 - now),
                "the root of β_t, but it is a variance already": before.sqrt() * beta.sqrt() / (1 - now),
                "still to be divided by 1 − ᾱ_t": before.sqrt() * beta,
                "1 − ᾱ_{t−1} below, where 1 − ᾱ_t belongs": before.sqrt() * beta / (1 - before),
                "1 − ᾱ_{t−1}, where β_t belongs": before.sqrt() * (1 - before) / (1 - now),
                "α_t, where β_t = 1 − α_t belongs": before.sqrt() * alpha / (1 - now),
                "a root too many: β_t and 1 − ᾱ_t are variances": (before * beta / (1 - now)).sqrt(),
                "√(1 − ᾱ_t) below, a deviation, where the variance belongs": before.sqrt() * beta / (1 - now).sqrt(),
                "β_{t−1}, but the step from t − 1 to t has β_t": before.sqrt() * schedule.beta[t - 1] / (1 - now),
                "√ᾱ_{t−1} alone: that is the jump's own guess, before the precisions weigh it": before.sqrt(),
            },
        )  # fmt: skip
        right = beta * (1 - before) / (1 - now)
        undo.require_close(
            beta_tilde, right, f"at t = {t}, beta_tilde", "β_t (1 − ᾱ_{t−1}) / (1 − ᾱ_t)",
            {
                "the fraction upside down, as a slide prints it: that is more than β_t, but knowing x_0 narrows it":
                    beta * (1 - now) / (1 - before),
                "the standard deviation, not the variance?": right.sqrt(),
                "the precision, not the variance: 1 / β̃_t?": 1 / right,
                "β_t, the variance of the step forward": beta,
                "β_t / α_t: what the step alone says of x_{t−1}; x_0 makes it narrower": beta / alpha,
                "1 − ᾱ_{t−1}: what the jump alone says of x_{t−1}; x_t makes it narrower": 1 - before,
                "two variances added, but it is precisions that add": beta / alpha + 1 - before,
                "β_t is missing": (1 - before) / (1 - now),
                "still to be divided by 1 − ᾱ_t": beta * (1 - before),
                "α_t, where β_t = 1 − α_t belongs": alpha * (1 - before) / (1 - now),
                "ᾱ_{t−1} / ᾱ_t, without the 1 −": beta * before / now,
                "the squared variance?": right**2,
                "α_t does not enter the variance": alpha * right,
                "√α_t belongs to the mean, not to the variance": alpha.sqrt() * right,
                "β_{t−1}, but the step from t − 1 to t has β_t": schedule.beta[t - 1] * (1 - before) / (1 - now),
                "the logarithm of it?": right.log(),
            },
        )  # fmt: skip
    mu_tilde, beta_tilde = _two(posterior(x_t, x0, 1, SHORT.beta, SHORT.alpha_bar))
    undo.require(
        mu_tilde.isfinite().all() and beta_tilde.isfinite(),
        "right from t = 2 on, but NaN or infinite at t = 1: your form divides by 1 − ᾱ_0 = 0; bring it to one "
        "fraction, over 1 − ᾱ_t",
    )
    undo.require_close(mu_tilde, x0, "at t = 1, mu_tilde", "x_0, which is known,", {"that is x_t": x_t})
    undo.require_close(
        beta_tilde, 0.0, "at t = 1, beta_tilde", "β_1 (1 − ᾱ_0) / (1 − ᾱ_1)",
        {
            "β_1, but x_0 is known: nothing is left to vary": SHORT.beta[1],
            "β̃_2 in its place? A sampler may do that; the posterior has 0":
                SHORT.beta[2] * (1 - SHORT.alpha_bar[1]) / (1 - SHORT.alpha_bar[2]),
        },
    )  # fmt: skip


def _two(answer):
    """mu_tilde and beta_tilde, the second as one number."""
    undo.require(isinstance(answer, tuple | list) and len(answer) == 2, "return two things: mu_tilde, beta_tilde")
    mean, variance = as_numbers(answer[0]), as_numbers(answer[1])
    undo.require(mean is not None and variance is not None, "mu_tilde and beta_tilde should both be tensors")
    undo.require(
        not (mean.numel() == 1 and variance.numel() > 1), "that is beta_tilde, mu_tilde: return the mean first"
    )
    undo.require(
        variance.numel() == 1,
        f"beta_tilde has the shape {tuple(variance.shape)}; it is one number, the same for all pixels",
    )
    return mean, variance.reshape(())


@undo.wrong("prints the variance upside down, as a slide does")
def _(x_t, x0, t, beta, alpha_bar):
    return posterior(x_t, x0, t, beta, alpha_bar)[0], beta[t] * (1 - alpha_bar[t]) / (1 - alpha_bar[t - 1])


@undo.wrong("gives the standard deviation")
def _(x_t, x0, t, beta, alpha_bar):
    mean, variance = posterior(x_t, x0, t, beta, alpha_bar)
    return mean, variance.sqrt()


@undo.wrong("exchanges the two factors")
def _(x_t, x0, t, beta, alpha_bar):
    return posterior(x0, x_t, t, beta, alpha_bar)


@undo.wrong("uses alpha_bar at t for the mean of x_{t-1}")
def _(x_t, x0, t, beta, alpha_bar):
    now, before = alpha_bar[t], alpha_bar[t - 1]
    mean = ((1 - beta[t]).sqrt() * (1 - before) * x_t + now.sqrt() * beta[t] * x0) / (1 - now)
    return mean, beta[t] * (1 - before) / (1 - now)


@undo.wrong("forgets the roots")
def _(x_t, x0, t, beta, alpha_bar):
    now, before = alpha_bar[t], alpha_bar[t - 1]
    mean = ((1 - beta[t]) * (1 - before) * x_t + before * beta[t] * x0) / (1 - now)
    return mean, beta[t] * (1 - before) / (1 - now)


@undo.wrong("leaves the precisions as they are, and divides by 0 at t = 1")
def _(x_t, x0, t, beta, alpha_bar):
    precision = (1 - beta[t]) / beta[t] + 1 / (1 - alpha_bar[t - 1])
    pull = (1 - beta[t]).sqrt() / beta[t] * x_t + alpha_bar[t - 1].sqrt() / (1 - alpha_bar[t - 1]) * x0
    return pull / precision, 1 / precision


@undo.wrong("returns the mean alone")
def _(x_t, x0, t, beta, alpha_bar):
    return posterior(x_t, x0, t, beta, alpha_bar)[0]


@undo.wrong("takes the variance of the step forward")
def _(x_t, x0, t, beta, alpha_bar):
    return posterior(x_t, x0, t, beta, alpha_bar)[0], beta[t]


# ---------------------------------------------------------------------------------------------------------------------
mean = Exercise(
    "07.3",
    "The mean from the noise",
    minutes=10,
    hints=[
        "Solve x_t = √ᾱ_t x_0 + √(1 − ᾱ_t) eps for x_0, and put it into the μ̃_t of exercise 07.2.",
        "The factors of x_t add up to 1/√α_t, since ᾱ_t = α_t ᾱ_{t−1}. The factor of eps is negative.",
        "μ = (x_t − β_t / √(1 − ᾱ_t) · eps_hat) / √α_t, and α_t is 1 − beta[t].",
    ],
)


@mean.solution
def mean_from_eps(x_t, eps_hat, t, beta, alpha_bar):
    return (x_t - beta[t] / (1 - alpha_bar[t]).sqrt() * eps_hat) / (1 - beta[t]).sqrt()


@mean.check
def _(mean_from_eps):
    x_t, eps_hat = _images(seed=3)
    for schedule, t in ((SHORT, 6), (LINEAR, 400), (COSINE, 700), (SHORT, 2)):
        beta, alpha, now, before = schedule.beta[t], schedule.alpha[t], schedule.alpha_bar[t], schedule.alpha_bar[t - 1]
        found = mean_from_eps(x_t, eps_hat, t, schedule.beta, schedule.alpha_bar)
        of_x_t, of_eps = _factors(
            mean, found, x_t, eps_hat, f"at t = {t}, the answer", "x_t plus one number times eps_hat",
            ": it is a mean, without noise of its own and not clipped",
        )  # fmt: skip
        mean.require_close(
            of_x_t, 1 / alpha.sqrt(), f"at t = {t}, the factor of x_t", "1 / √α_t",
            {
                "α_t without its square root?": 1 / alpha,
                "multiplied by √α_t, where it should be divided": alpha.sqrt(),
                "√ᾱ_t, where α_t of this one step belongs; with ᾱ_t it is a guess at x_0": 1 / now.sqrt(),
                "√ᾱ_{t−1}, where α_t of this one step belongs": 1 / before.sqrt(),
                "still to be divided by √α_t": 1.0,
                "the factor that x_t has beside x_0; but x_0 is to be replaced, and it holds x_t too":
                    alpha.sqrt() * (1 - before) / (1 - now),
                "β_t, where α_t = 1 − β_t belongs": 1 / beta.sqrt(),
                "α_{t−1}, but the step from t − 1 to t has α_t": 1 / schedule.alpha[t - 1].sqrt(),
            },
        )  # fmt: skip
        right = -beta / ((1 - now) * alpha).sqrt()
        mean.require_close(
            of_eps, right, f"at t = {t}, the factor of eps_hat", "−β_t / (√(1 − ᾱ_t) √α_t)",
            {
                "eps_hat is added, but noise is to be taken away": -right,
                "1 − ᾱ_t without its square root?": right / (1 - now).sqrt(),
                "√(1 − ᾱ_t) multiplied, where it should divide": right * (1 - now),
                "all of it is to be divided by √α_t, eps_hat too": right * alpha.sqrt(),
                "divided by α_t, where x_t is divided by √α_t": right / alpha.sqrt(),
                "√β_t: the deviation of the step, but the mean has β_t": right / beta.sqrt(),
                "β_t is missing": right / beta,
                "division by √(1 − ᾱ_t) is missing": right * (1 - now).sqrt(),
                "all the noise √(1 − ᾱ_t), but one step takes away a part of it": -(1 - now).sqrt() / alpha.sqrt(),
                "√β_t, the noise of one step forward; what was learned is the noise of all steps together":
                    -beta.sqrt() / alpha.sqrt(),
                "ᾱ_{t−1}, where ᾱ_t belongs: eps is the noise in x_t": -beta / ((1 - before) * alpha).sqrt(),
                "√ᾱ_t, where √(1 − ᾱ_t) belongs": -beta / (now * alpha).sqrt(),
                "divided by √ᾱ_t, where α_t of this one step belongs": -beta / ((1 - now) * now).sqrt(),
                "α_t, where β_t = 1 − α_t belongs": -alpha / ((1 - now) * alpha).sqrt(),
                "1 − √ᾱ_t, where the root belongs around all of it?": -beta / ((1 - now.sqrt()) * alpha.sqrt()),
            },
        )  # fmt: skip


@mean.wrong("adds the noise")
def _(x_t, eps_hat, t, beta, alpha_bar):
    return (x_t + beta[t] / (1 - alpha_bar[t]).sqrt() * eps_hat) / (1 - beta[t]).sqrt()


@mean.wrong("divides x_t alone by the root of alpha")
def _(x_t, eps_hat, t, beta, alpha_bar):
    return x_t / (1 - beta[t]).sqrt() - beta[t] / (1 - alpha_bar[t]).sqrt() * eps_hat


@mean.wrong("gives x_0")
def _(x_t, eps_hat, t, beta, alpha_bar):
    return (x_t - (1 - alpha_bar[t]).sqrt() * eps_hat) / alpha_bar[t].sqrt()


@mean.wrong("forgets the root of 1 - alpha_bar")
def _(x_t, eps_hat, t, beta, alpha_bar):
    return (x_t - beta[t] / (1 - alpha_bar[t]) * eps_hat) / (1 - beta[t]).sqrt()


@mean.wrong("takes away all the noise")
def _(x_t, eps_hat, t, beta, alpha_bar):
    return (x_t - (1 - alpha_bar[t]).sqrt() * eps_hat) / (1 - beta[t]).sqrt()


@mean.wrong("adds the noise of the reverse step as well")
def _(x_t, eps_hat, t, beta, alpha_bar):
    own = torch.randn(x_t.shape, generator=torch.Generator().manual_seed(7), dtype=x_t.dtype)
    return mean_from_eps(x_t, eps_hat, t, beta, alpha_bar) + beta[t].sqrt() * own


# ---------------------------------------------------------------------------------------------------------------------
simple = Exercise(
    "07.4",
    "Write the loss",
    minutes=15,
    hints=[
        "Three lines: make x_t from x0 and eps, ask net, compare its answer with the noise that you used.",
        "alpha_bar[t] is n numbers, shape (n,). With .reshape(-1, 1, 1, 1) each of them multiplies one whole image.",
        "x_t = a.sqrt() * x0 + (1 - a).sqrt() * eps with a = alpha_bar[t].reshape(-1, 1, 1, 1); then the mean of "
        "(net(x_t, t) - eps) ** 2.",
    ],
)


@simple.solution
def ddpm_loss(net, x0, t, eps, alpha_bar):
    a = alpha_bar[t].reshape(-1, 1, 1, 1)
    x_t = a.sqrt() * x0 + (1 - a).sqrt() * eps
    return ((net(x_t, t) - eps) ** 2).mean()


@simple.check
def _(ddpm_loss):
    """The first batch has as many images as columns and rows, so a table without its shape broadcasts in silence."""
    for seed, alpha_bar, times in (
        (4, LINEAR.alpha_bar, [610, 30, 150, 420, 1000, 780, 870, 250]),
        (5, COSINE.alpha_bar, [300, 900, 20]),
        (6, SHORT.alpha_bar, [9, 20, 1, 15, 4]),
    ):
        x0, eps = _images(seed, len(times))
        t = torch.tensor(times)
        guess = 0.5 * eps + 0.4 * _images(seed + 10, len(times))[1] + 0.2
        calls = []
        net = _watching_net(x0, t, eps, alpha_bar, guess, calls)
        found = as_numbers(ddpm_loss(net, x0, t, eps, alpha_bar))
        simple.require(calls, "your function never calls net: the loss compares net(x_t, t) with the noise")
        simple.require(found is not None, "the answer should be one number, the loss")
        simple.require(
            found.shape != x0.shape, "that is one number for each pixel; take the mean over all entries of the batch"
        )
        simple.require(
            found.ndim != 1 or len(found) == 1,
            "that is one number for each image; take the mean over all entries of the batch",
        )
        simple.require(found.numel() == 1, f"the loss has the shape {tuple(found.shape)} and should be one number")
        wide = (-1, 1, 1, 1)
        signal, noise = alpha_bar[t].sqrt().reshape(wide), (1 - alpha_bar[t]).sqrt().reshape(wide)
        x_t = signal * x0 + noise * eps
        square = (guess - eps) ** 2
        right = square.mean()
        simple.require_close(
            found.reshape(()), right, "the loss", "the mean of (net(x_t, t) − eps)² over all entries",
            {
                "the sum, not the mean?": square.sum(),
                "summed over each image's pixels; the mean is over pixels as well": 64 * right,
                "summed over the images; the mean is over the batch as well": len(x0) * right,
                "its square root: L_simple is the mean squared error itself": right.sqrt(),
                "the root of the sum of squares, a norm": square.sum().sqrt(),
                "the absolute error, not the squared one?": square.sqrt().mean(),
                "compared with x_0, but this net predicts the noise": ((guess - x0) ** 2).mean(),
                "compared with x_t, but the target is the noise": ((guess - x_t) ** 2).mean(),
                "compared with x_t − x_0, but the target is eps": ((guess - x_t + x0) ** 2).mean(),
                "compared with √(1 − ᾱ_t) eps, but the target is eps as it was drawn, of variance 1":
                    ((guess - noise * eps) ** 2).mean(),
                "the square of the mean error: errors of opposite sign cancel in it": (guess - eps).mean() ** 2,
                "the mean error, not squared yet": (guess - eps).mean(),
                "the mean error, not squared yet: it can even be negative": (eps - guess).mean(),
                "half of it: L_simple has no ½": 0.5 * right,
                "the error of the x_0 that follows from net's answer; L_simple is the error in eps":
                    ((noise / signal) ** 2 * square).mean(),
                "the variance of the error: its mean is subtracted, and should not be": (guess - eps).var(),
                "net's answer added to the noise, where the difference belongs": ((guess + eps) ** 2).mean(),
                "the negative of it: a loss is made small": -right,
                "the size of net's answer alone, without the target": (guess**2).mean(),
            },
        )  # fmt: skip


def _watching_net(x0, times, eps, alpha_bar, guess, calls):
    """A net that looks at what it is given, and answers `guess`."""

    def net(x_t=None, t=None):
        calls.append(t)
        _examine_call(*_call_of_net(simple, x_t, t, x0.shape), x0, times, eps, alpha_bar)
        return guess.to(x_t)

    return net


def _examine_call(x_t, t, x0, times, eps, alpha_bar):
    """What net got must be x_t, image by image, and t itself."""
    n = len(x0)
    simple.require(
        not torch.allclose(x_t, x0, atol=1e-6), "net is given x_0 itself; it has to find the noise in the noisy x_t"
    )
    simple.require(not torch.allclose(x_t, eps, atol=1e-6), "net is given the noise itself: nothing is left to find")
    for axes in itertools.product((0, 3, 2), repeat=2):
        columns = torch.cat([_apart(x0, axes[0]), _apart(eps, axes[1])], dim=1)
        factors = torch.linalg.lstsq(columns, x_t.reshape(-1, 1)).solution[:, 0]
        if (columns @ factors - x_t.flatten()).abs().max() < 1e-4:
            break
    else:
        simple.require(False, "net is given something beside x_0 and the given eps: do you draw noise of your own?")
    which = "column" if 3 in axes else "row"
    simple.require(
        axes == (0, 0),
        f"each {which} of x_t has a t of its own, not each image: {n} numbers ᾱ_t meet images of 8 × 8 pixels, and "
        f"PyTorch multiplies along the wrong axis without a word; reshape alpha_bar[t] to ({n}, 1, 1, 1)",
    )
    signal, noise = factors[:n], factors[n:]
    a, before = alpha_bar[times], alpha_bar[times - 1]
    simple.require_close(
        signal, a.sqrt(), "in the x_t that net is given, the factor of x_0", "√ᾱ_t",
        {
            "x_0 at full strength; it fades by √ᾱ_t": torch.ones(n),
            "x_0 is missing: net is shown noise alone": torch.zeros(n),
            "ᾱ_t without its square root?": a,
            "the ᾱ of the step before: the table has T + 1 entries, so an index is t itself": before.sqrt(),
            "√α_t of this one step, not the product of all?": (a / before).sqrt(),
            "the two factors exchanged?": (1 - a).sqrt(),
            "the two factors exchanged, and without their roots?": 1 - a,
            "the ᾱ of the first image's t for all of them": a[:1].sqrt(),
        },
    )  # fmt: skip
    simple.require_close(
        noise, (1 - a).sqrt(), "in the x_t that net is given, the factor of eps", "√(1 − ᾱ_t)",
        {
            "the variance, not its square root?": 1 - a,
            "1 − √ᾱ_t, where the root belongs around all of it?": 1 - a.sqrt(),
            "eps at full strength": torch.ones(n),
            "the noise is missing": torch.zeros(n),
            "eps with its sign turned?": -(1 - a).sqrt(),
            "the ᾱ of the step before: the table has T + 1 entries, so an index is t itself": (1 - before).sqrt(),
            "√β_t of this one step, not of all together?": (1 - a / before).sqrt(),
            "√ᾱ_t, the factor of x_0?": a.sqrt(),
        },
    )  # fmt: skip
    T = len(alpha_bar) - 1
    simple.require_close(
        t, times, "the time that net is given", "t, whole, as your function got it",
        {
            "divided by T? These nets take whole times": times / T,
            "divided by the length of the table? These nets take whole times": times / (T + 1),
            "counted from 0? These nets take t as the table does": times - 1,
            "one too large?": times + 1,
            "ᾱ_t, where t itself is asked for": a,
            "√ᾱ_t, where t itself is asked for": a.sqrt(),
            "√(1 − ᾱ_t), where t itself is asked for": (1 - a).sqrt(),
            "the first image's time for all of them": times[:1],
        },
    )  # fmt: skip


def _apart(x, axis):
    """x in one column for each index of that axis, 0 elsewhere: what one factor for each of them can reach."""
    columns = torch.eye(x.shape[axis], dtype=x.dtype).reshape(
        *(x.shape[axis] if i == axis else 1 for i in range(4)), -1
    )
    return (x[..., None] * columns).flatten(0, 3)


@simple.wrong("forgets the shape of alpha_bar[t]")
def _(net, x0, t, eps, alpha_bar):
    a = alpha_bar[t]
    return ((net(a.sqrt() * x0 + (1 - a).sqrt() * eps, t) - eps) ** 2).mean()


@simple.wrong("gives alpha_bar[t] one axis too few")
def _(net, x0, t, eps, alpha_bar):
    a = alpha_bar[t].reshape(-1, 1, 1)
    return ((net(a.sqrt() * x0 + (1 - a).sqrt() * eps, t) - eps) ** 2).mean()


@simple.wrong("forgets the square roots")
def _(net, x0, t, eps, alpha_bar):
    a = alpha_bar[t].reshape(-1, 1, 1, 1)
    return ((net(a * x0 + (1 - a) * eps, t) - eps) ** 2).mean()


@simple.wrong("compares with x_0")
def _(net, x0, t, eps, alpha_bar):
    a = alpha_bar[t].reshape(-1, 1, 1, 1)
    return ((net(a.sqrt() * x0 + (1 - a).sqrt() * eps, t) - x0) ** 2).mean()


@simple.wrong("shows x_0 to the net")
def _(net, x0, t, eps, alpha_bar):
    return ((net(x0, t) - eps) ** 2).mean()


@simple.wrong("takes the sum")
def _(net, x0, t, eps, alpha_bar):
    a = alpha_bar[t].reshape(-1, 1, 1, 1)
    return ((net(a.sqrt() * x0 + (1 - a).sqrt() * eps, t) - eps) ** 2).sum()


@simple.wrong("takes the root")
def _(net, x0, t, eps, alpha_bar):
    a = alpha_bar[t].reshape(-1, 1, 1, 1)
    return ((net(a.sqrt() * x0 + (1 - a).sqrt() * eps, t) - eps) ** 2).mean().sqrt()


@simple.wrong("divides t by T")
def _(net, x0, t, eps, alpha_bar):
    a = alpha_bar[t].reshape(-1, 1, 1, 1)
    return ((net(a.sqrt() * x0 + (1 - a).sqrt() * eps, t / (len(alpha_bar) - 1)) - eps) ** 2).mean()


# ---------------------------------------------------------------------------------------------------------------------
weight = Exercise(
    "07.5",
    "What the loss weighs",
    minutes=15,
    hints=[
        "Two Gaussians of fixed variances: what depends on the net in their KL is |μ̃ − μ|² / (2 sigma2).",
        "μ̃ and μ hold the same x_t, so their difference is β_t / (√(1 − ᾱ_t) √α_t) times (eps_hat − eps).",
        "Square that factor and divide by 2 sigma2. The roots go, β_t becomes β_t².",
    ],
)


@weight.solution
def eps_weight(t, beta, alpha_bar, sigma2):
    return beta[t] ** 2 / (2 * sigma2 * (1 - beta[t]) * (1 - alpha_bar[t]))


@weight.check
def _(eps_weight):
    for schedule, t, share in ((SHORT, 6, 0.7), (LINEAR, 400, 1.3), (COSINE, 700, 0.9), (SHORT, 1, 1.0)):
        beta, alpha, now, before = schedule.beta[t], schedule.alpha[t], schedule.alpha_bar[t], schedule.alpha_bar[t - 1]
        sigma2 = share * beta
        right = beta**2 / (2 * sigma2 * alpha * (1 - now))
        try:
            found = as_numbers(eps_weight(t, schedule.beta, schedule.alpha_bar, sigma2))
        except IndexError:
            found = None
            weight.require(False, "sigma2 is one number, the variance at this t; only beta and alpha_bar have an index")
        weight.require(found is not None and found.numel() == 1, "the answer should be one number, λ at the given t")
        weight.require_close(
            found.reshape(()), right, f"at t = {t}, λ_t", "β_t² / (2 sigma2 α_t (1 − ᾱ_t))",
            {
                "without the ½ of the KL?": 2 * right,
                "multiplied by 2, where it should be divided": 4 * right,
                "β_t is to be squared, as the error is": right / beta,
                "β_t is missing, squared": right / beta**2,
                "ᾱ_t, where α_t of this one step belongs": right * alpha / now,
                "sigma2 squared, as a slide prints it; sigma2 is σ² already": right / sigma2,
                "divided by the deviation σ, but it is the variance sigma2 that divides": right * sigma2.sqrt(),
                "ᾱ_{t−1}, where ᾱ_t belongs: eps is the noise in x_t": right * (1 - now) / (1 - before),
                "√(1 − ᾱ_t): its square belongs here, since the error is squared": right * (1 - now).sqrt(),
                "√α_t: its square belongs here, since the error is squared": right * alpha.sqrt(),
                "the factor of the error is to be squared, all of it": beta / (2 * sigma2 * (alpha * (1 - now)).sqrt()),
                "that is the factor of (eps_hat − eps) in the mean; the KL squares it and divides by 2 sigma2":
                    beta / (alpha * (1 - now)).sqrt(),
                "still to be divided by 2 sigma2": right * 2 * sigma2,
                "division by sigma2 is missing": right * sigma2,
                "β_t, where the given sigma2 belongs: the reverse step may have another variance": right * share,
                "β̃_t, where the given sigma2 belongs: the reverse step may have another variance":
                    right * share * (1 - now) / (1 - before),
                "α_t is missing": right * alpha,
                "1 − ᾱ_t is missing": right * (1 - now),
                "(1 − ᾱ_t) squared, but the mean divides by its root": right / (1 - now),
                "α_t squared, but the mean divides by its root": right / alpha,
                "1 − ᾱ_t multiplied, where it should divide": right * (1 - now) ** 2,
                "α_t multiplied, where it should divide": right * alpha**2,
                "ᾱ_t, without the 1 −": right * (1 - now) / now,
                "that is the weight of an error in x_0, not in eps": before * beta**2 / (2 * sigma2 * (1 - now) ** 2),
                "α_t (1 − ᾱ_t) multiplied, where it should divide: are brackets missing?":
                    right * (alpha * (1 - now)) ** 2,
                "all after the 2 is multiplied, where it should divide: are brackets missing?":
                    right * (sigma2 * alpha * (1 - now)) ** 2,
                "the roots vanish as the factor of the error is squared": right * (alpha * (1 - now)).sqrt(),
                "L_simple puts 1 in the place of λ_t; the bound does not": 1.0,
                "upside down?": 1 / right,
                "β_{t−1}, but the step from t − 1 to t has β_t": right * (schedule.beta[t - 1] / beta) ** 2,
            },
        )  # fmt: skip


@weight.wrong("forgets the half")
def _(t, beta, alpha_bar, sigma2):
    return beta[t] ** 2 / (sigma2 * (1 - beta[t]) * (1 - alpha_bar[t]))


@weight.wrong("does not square beta")
def _(t, beta, alpha_bar, sigma2):
    return beta[t] / (2 * sigma2 * (1 - beta[t]) * (1 - alpha_bar[t]))


@weight.wrong("takes alpha_bar for alpha")
def _(t, beta, alpha_bar, sigma2):
    return beta[t] ** 2 / (2 * sigma2 * alpha_bar[t] * (1 - alpha_bar[t]))


@weight.wrong("squares the variance, as a slide does")
def _(t, beta, alpha_bar, sigma2):
    return beta[t] ** 2 / (2 * sigma2**2 * (1 - beta[t]) * (1 - alpha_bar[t]))


@weight.wrong("takes alpha_bar of the step before")
def _(t, beta, alpha_bar, sigma2):
    return beta[t] ** 2 / (2 * sigma2 * (1 - beta[t]) * (1 - alpha_bar[t - 1]))


@weight.wrong("assumes the variance beta")
def _(t, beta, alpha_bar, sigma2):
    return beta[t] / (2 * (1 - beta[t]) * (1 - alpha_bar[t]))


# ---------------------------------------------------------------------------------------------------------------------
bugs = Exercise(
    "07.6",
    "Find the bug",
    minutes=20,
    hints=[
        "There are two. Can the loss be 0 although eps_hat is wrong? And does the net learn every time at which a "
        "sampler will ask it?",
        "Print t.min() and t.max() over many batches. Then put eps_hat = 0, which finds no noise, into the last line.",
        "torch.randint(1, len(alpha_bar), …) draws 1 … T; and eps_hat − eps is to be squared before its mean is taken.",
    ],
)


@bugs.solution
def training_step(net, x0, alpha_bar, generator):
    t = torch.randint(1, len(alpha_bar), (len(x0),), generator=generator)
    eps = torch.randn(x0.shape, generator=generator)
    signal, noise = alpha_bar[t].sqrt(), (1 - alpha_bar[t]).sqrt()
    x_t = signal.reshape(-1, 1, 1, 1) * x0 + noise.reshape(-1, 1, 1, 1) * eps
    eps_hat = net(x_t, t)
    return ((eps_hat - eps) ** 2).mean()


def _watch(step, x0, alpha_bar, seed):
    """The x_t and the t that a step gives its net, and its loss; the net answers 0.4 x_t + 0.3."""
    seen = []

    def net(x_t=None, t=None):
        seen.append(_call_of_net(bugs, x_t, t, x0.shape))
        return 0.4 * x_t + 0.3

    loss = as_numbers(step(net, x0, alpha_bar, torch.Generator().manual_seed(seed)))
    bugs.require(seen, "your step never calls net: the loss compares net(x_t, t) with the noise")
    bugs.require(loss is not None, "the answer should be one number, the loss")
    bugs.require(
        loss.numel() == 1,
        f"the loss has the shape {tuple(loss.shape)} and should be one number, the mean over all entries of the batch",
    )
    return *seen[-1], loss.reshape(())


@bugs.check
def _(training_step):
    """Equal seeds draw equal noise, so x_0 = 0 shows the noise alone, and the difference the signal alone."""
    x0 = _images(seed=7, n=64)[0]
    for schedule in (NoiseSchedule.linear(5, 0.1, 0.6), NoiseSchedule.cosine(7)):
        alpha_bar = schedule.alpha_bar
        runs = [_watch(training_step, x0, alpha_bar, seed) for seed in range(16)]
        noises = [_watch(training_step, torch.zeros_like(x0), alpha_bar, seed)[:2] for seed in range(16)]
        _examine_draws(_watch(training_step, x0, alpha_bar, 0), runs, noises)
        batches = [t for _, t, _ in runs]
        _examine_times(batches, schedule.T)
        t = torch.cat(batches).long()
        noise = torch.cat([x_t for x_t, _ in noises])
        _examine_mixture(torch.cat([x_t for x_t, _, _ in runs]) - noise, noise, x0.repeat(16, 1, 1, 1), t, alpha_bar)
        for (x_t, t, loss), (pure, _) in zip(runs, noises, strict=True):
            eps = pure / (1 - alpha_bar[t.long()]).sqrt().reshape(-1, 1, 1, 1)
            error = 0.4 * x_t + 0.3 - eps
            square = error**2
            bugs.require_close(
                loss, square.mean(), "the loss of a net that answers 0.4 x_t + 0.3",
                "the mean of (eps_hat − eps)² over all entries, with the eps that is in x_t,",
                {
                    "the square of the mean error: errors of opposite sign cancel in it, so a bad net can reach 0":
                        error.mean() ** 2,
                    "the mean error, not squared yet: errors of opposite sign cancel in it": error.mean(),
                    "the size of the mean error: errors of opposite sign cancel in it": error.mean().abs(),
                    "each image's mean error, squared: inside an image errors of opposite sign still cancel":
                        (error.flatten(1).mean(1) ** 2).mean(),
                    "the sum, not the mean?": square.sum(),
                    "summed over each image's pixels; the mean is over pixels as well": 64 * square.mean(),
                    "its square root: the loss is the mean squared error itself": square.mean().sqrt(),
                    "the root of the sum of squares, a norm": square.sum().sqrt(),
                    "the absolute error, not the squared one?": error.abs().mean(),
                    "half of it: L_simple has no ½": 0.5 * square.mean(),
                    "compared with x_0, but this net predicts the noise": ((error + eps - x0) ** 2).mean(),
                    "compared with x_t, but the target is the noise": ((error + eps - x_t) ** 2).mean(),
                    "compared with the scaled noise √(1 − ᾱ_t) eps, but the target is eps of variance 1":
                        ((error + eps - pure) ** 2).mean(),
                    "the variance of the error: its mean is subtracted, and should not be": error.var(),
                },
            )  # fmt: skip


def _examine_draws(again, runs, noises):
    """All chance must come from the generator."""
    bugs.require(
        all(torch.equal(one[1], other[1]) for one, other in zip(runs, noises, strict=True)),
        "two calls with equal seeds draw different times: pass generator=generator to every random function",
    )
    bugs.require(
        torch.equal(runs[0][0], again[0]),
        "two calls with equal seeds draw different noise: pass generator=generator to every random function",
    )
    bugs.require(
        not (torch.equal(runs[0][0], runs[1][0]) and torch.equal(runs[0][1], runs[1][1])),
        "two calls with different seeds draw the same: use the generator as it is given, without a seed of your own",
    )


def _examine_times(batches, T):
    """Every image has a time of its own, and all of 1 … T are equally frequent."""
    bugs.require(
        not all(t.min() == t.max() for t in batches),
        "all images of a batch get the same t; draw one for each image, len(x0) of them",
    )
    t = torch.cat(batches)
    low, high = t.min().item(), t.max().item()
    why = {
        (0, T - 1): ". At t = 0 there is no noise to find; at t = T, where sampling begins, the net was never trained",
        (0, T): ". At t = 0 there is no noise to find",
        (1, T - 1): ". Is the upper end of torch.randint one too small? It is left out",
    }.get((low, high), ". These nets take t as it is, not t / T" if high <= 1 else "")
    bugs.require(
        low == 1 and high == T,
        f"the times that net is given run from {low:g} to {high:g} and should run from 1 to T = {T}{why}",
    )
    bugs.require((t == t.round()).all(), "net is given times between the whole ones; it should be 1, 2, … T")
    share = torch.bincount(t.long(), minlength=T + 1)[1:] / len(t)
    worst = (share * T - 1).abs().argmax().item()
    bugs.require(
        (share[worst] * T - 1).abs() < 0.5,
        f"t = {worst + 1} is drawn for {share[worst]:.0%} of the images; all of 1 … {T} should be equally frequent, "
        f"{1 / T:.0%} each",
    )


def _examine_mixture(signal, noise, x0, t, alpha_bar):
    """x_t = signal + noise, image by image. signal must be √ᾱ_t x_0 to float precision, noise has that variance."""
    a, before = alpha_bar[t], alpha_bar[t - 1]
    bugs.require(
        noise.abs().max() > 0, "there is no noise in the x_t that net is given: √(1 − ᾱ_t) eps is to be added to x_0"
    )
    factor = (signal * x0).flatten(1).sum(1) / (x0**2).flatten(1).sum(1)
    bugs.require(
        (signal - factor.reshape(-1, 1, 1, 1) * x0).abs().max() < 1e-4,
        "the x_t that net is given is not a number times x_0, plus noise, image by image",
    )
    bugs.require_close(
        factor, a.sqrt(), "in the x_t that net is given, the factor of x_0", "√ᾱ_t",
        {
            "ᾱ_t without its square root?": a,
            "√ᾱ_{t−1}: net is told t, but x_t holds the noise of the step before": before.sqrt(),
            "the two factors exchanged?": (1 - a).sqrt(),
            "x_0 at full strength; it fades by √ᾱ_t": torch.ones(len(t)),
            "x_0 is missing: net is shown noise alone": torch.zeros(len(t)),
        },
    )  # fmt: skip
    images = noise[:64][noise[:64].flatten(1).norm(dim=1) > 0]
    bugs.require(
        all(len(image.unique()) > 60 for image in images),
        "pixels of an image share their noise; eps should have the shape of x0, a number for each pixel",
    )
    images = images / images.flatten(1).norm(dim=1).reshape(-1, 1, 1, 1)
    bugs.require(
        (images - images[:1]).abs().max() > 1e-4,
        "all images of a batch get the same noise; eps should have the shape of x0, a draw for each image",
    )
    size = torch.stack([noise[t == time].square().mean().sqrt() for time in range(1, len(alpha_bar))])
    right = (1 - alpha_bar[1:]).sqrt()
    bugs.require_close(
        size, right, "in the x_t that net is given, the size of the noise (root mean square, t = 1 … T)", "√(1 − ᾱ_t)",
        {
            "the variance, not its square root?": right**2,
            "1 − √ᾱ_t, where the root belongs around all of it?": 1 - alpha_bar[1:].sqrt(),
            "eps at full strength": torch.ones(len(right)),
            "uniform noise? torch.randn, not torch.rand": right / math.sqrt(3),
            "√β_t of this one step, not of all together?": (1 - alpha_bar[1:] / alpha_bar[:-1]).sqrt(),
            "√ᾱ_t, the factor of x_0?": alpha_bar[1:].sqrt(),
            "√(1 − ᾱ_{t−1}), the noise of the step before": (1 - alpha_bar[:-1]).sqrt(),
        },
        rtol=0.06,
    )  # fmt: skip
    eps = noise / (1 - a).sqrt().reshape(-1, 1, 1, 1)
    middle, fourth = round(eps.mean().item(), 2) + 0.0, (eps**4).mean().item()
    bugs.require(
        abs(middle) < 0.05 and abs(fourth - 3) < 0.5,
        f"eps is not normal: its mean is {middle:.2f} and that of eps⁴ {fourth:.2f}; for torch.randn they are 0 and 3",
    )


@bugs.wrong("repairs the times only")
def _(net, x0, alpha_bar, generator):
    t = torch.randint(1, len(alpha_bar), (len(x0),), generator=generator)
    eps = torch.randn(x0.shape, generator=generator)
    a = alpha_bar[t].reshape(-1, 1, 1, 1)
    return ((net(a.sqrt() * x0 + (1 - a).sqrt() * eps, t) - eps).mean()) ** 2


@bugs.wrong("repairs the mean only")
def _(net, x0, alpha_bar, generator):
    t = torch.randint(0, len(alpha_bar) - 1, (len(x0),), generator=generator)
    eps = torch.randn(x0.shape, generator=generator)
    a = alpha_bar[t].reshape(-1, 1, 1, 1)
    return ((net(a.sqrt() * x0 + (1 - a).sqrt() * eps, t) - eps) ** 2).mean()


@bugs.wrong("tells the net t + 1 instead of drawing it")
def _(net, x0, alpha_bar, generator):
    t = torch.randint(0, len(alpha_bar) - 1, (len(x0),), generator=generator)
    eps = torch.randn(x0.shape, generator=generator)
    a = alpha_bar[t].reshape(-1, 1, 1, 1)
    return ((net(a.sqrt() * x0 + (1 - a).sqrt() * eps, t + 1) - eps) ** 2).mean()


@bugs.wrong("draws 1 … T - 1")
def _(net, x0, alpha_bar, generator):
    t = torch.randint(1, len(alpha_bar) - 1, (len(x0),), generator=generator)
    eps = torch.randn(x0.shape, generator=generator)
    a = alpha_bar[t].reshape(-1, 1, 1, 1)
    return ((net(a.sqrt() * x0 + (1 - a).sqrt() * eps, t) - eps) ** 2).mean()


@bugs.wrong("draws one t for the whole batch")
def _(net, x0, alpha_bar, generator):
    t = torch.randint(1, len(alpha_bar), (1,), generator=generator).expand(len(x0))
    eps = torch.randn(x0.shape, generator=generator)
    a = alpha_bar[t].reshape(-1, 1, 1, 1)
    return ((net(a.sqrt() * x0 + (1 - a).sqrt() * eps, t) - eps) ** 2).mean()


@bugs.wrong("draws one noise for all images")
def _(net, x0, alpha_bar, generator):
    t = torch.randint(1, len(alpha_bar), (len(x0),), generator=generator)
    eps = torch.randn(x0[:1].shape, generator=generator)
    a = alpha_bar[t].reshape(-1, 1, 1, 1)
    return ((net(a.sqrt() * x0 + (1 - a).sqrt() * eps, t) - eps) ** 2).mean()


@bugs.wrong("forgets the root of the signal")
def _(net, x0, alpha_bar, generator):
    t = torch.randint(1, len(alpha_bar), (len(x0),), generator=generator)
    eps = torch.randn(x0.shape, generator=generator)
    a = alpha_bar[t].reshape(-1, 1, 1, 1)
    return ((net(a * x0 + (1 - a).sqrt() * eps, t) - eps) ** 2).mean()


@bugs.wrong("does not use the generator for the noise")
def _(net, x0, alpha_bar, generator):
    t = torch.randint(1, len(alpha_bar), (len(x0),), generator=generator)
    eps = torch.randn(x0.shape)
    a = alpha_bar[t].reshape(-1, 1, 1, 1)
    return ((net(a.sqrt() * x0 + (1 - a).sqrt() * eps, t) - eps) ** 2).mean()


@bugs.wrong("squares each image's mean error")
def _(net, x0, alpha_bar, generator):
    t = torch.randint(1, len(alpha_bar), (len(x0),), generator=generator)
    eps = torch.randn(x0.shape, generator=generator)
    a = alpha_bar[t].reshape(-1, 1, 1, 1)
    return ((net(a.sqrt() * x0 + (1 - a).sqrt() * eps, t) - eps).flatten(1).mean(1) ** 2).mean()


# ---------------------------------------------------------------------------------------------------------------------
decoder = Exercise(
    "07.7",
    "Seventeen grey levels",
    minutes=25,
    hints=[
        "The mass between two edges is Φ(upper edge) − Φ(lower edge), and torch.special.ndtr is Φ, for N(0, 1): an "
        "edge e becomes (e − mu) / sigma.",
        "`levels` values from −1 to 1 have levels − 1 gaps, so a bin is 2/(levels − 1) wide and reaches half of that "
        "to each side of x0.",
        "Where x0 is −1, put 0 in place of Φ(lower edge), and where it is 1, put 1 in place of Φ(upper edge): "
        "torch.where does it, with x0 < half − 1 and x0 > 1 − half. Take the log last.",
    ],
)


@decoder.solution
def log_decoder(x0, mu, sigma, levels):
    half = 1 / (levels - 1)
    below = torch.special.ndtr((x0 - half - mu) / sigma)
    above = torch.special.ndtr((x0 + half - mu) / sigma)
    below = torch.where(x0 < half - 1, 0.0, below)
    above = torch.where(x0 > 1 - half, 1.0, above)
    return torch.log(above - below)


def _log_mass(x0, mu, sigma, half, low=True, high=True):
    """The log mass between x0 - half and x0 + half; low, high: whether the first and the last bin are open there."""
    below, above = (torch.special.ndtr((edge - mu) / sigma) for edge in (x0 - half, x0 + half))
    below = torch.where((x0 < -1 + 1e-6) & torch.tensor(low), 0.0, below)
    above = torch.where((x0 > 1 - 1e-6) & torch.tensor(high), 1.0, above)
    return torch.log(above - below)


@decoder.check
def _(log_decoder):
    """mu stays within two sigma of x0, so that no mass is too small for a difference of two Φ."""
    generator = torch.Generator().manual_seed(6)
    for levels, sigma in ((17, 0.05), (5, 0.3), (256, 0.004)):
        inner = torch.linspace(-1, 1, levels, dtype=torch.float64)[1:-1]
        inner = inner[torch.randint(len(inner), (40,), generator=generator)]
        x0 = torch.cat([inner, inner.new_tensor([-1.0] * 6), inner.new_tensor([1.0] * 6)])
        sigma = torch.tensor(sigma, dtype=torch.float64)
        mu = x0 + sigma * (4 * torch.rand(len(x0), generator=generator, dtype=torch.float64) - 2)
        found = as_numbers(log_decoder(x0, mu, sigma, levels))
        decoder.require(found is not None, "the answer should be a tensor with one number for each pixel")
        decoder.require(found.numel() != 1, "that is one number for everything; the log is asked for entry by entry")
        decoder.require(
            found.shape == x0.shape,
            f"the answer has the shape {tuple(found.shape)} and should have x0's {tuple(x0.shape)}",
        )
        decoder.require(
            not found.isnan().any(),
            "the answer holds NaN, the log of something negative: a mass is Φ(upper edge) minus Φ(lower edge)",
        )
        decoder.require(
            found.isfinite().all(), "the answer holds an infinite log, of a mass of 0; here every bin has some"
        )
        half = 1 / (levels - 1)
        right = _log_mass(x0, mu, sigma, half)
        z = (x0 - mu) / sigma
        density = -0.5 * z**2 - torch.log(sigma * math.sqrt(2 * math.pi))
        mistakes = {
            "a bin is 2/(levels − 1) wide: 17 values have 16 gaps": _log_mass(x0, mu, sigma, 1 / levels),
            "a whole bin to each side of x0; half of one does": _log_mass(x0, mu, sigma, 2 * half),
            "half a bin is 1/(levels − 1), not half of that: from −1 to 1 the scale is 2 wide":
                _log_mass(x0, mu, sigma, half / 2),
            "half a bin is not 1/16 for any number of levels": _log_mass(x0, mu, sigma, 1 / 16),
            "half a level is ½ on the scale 0 … levels − 1; from −1 to 1 it is 1/(levels − 1)":
                _log_mass(x0, mu, sigma, 0.5),
            "1/255 is for 8-bit images": _log_mass(x0, mu, sigma, 1 / 255),
            "a gap of 2/(levels + 1)?": _log_mass(x0, mu, sigma, 1 / (levels + 1)),
            "the density times the width: only for a narrow bin is that its mass": density + math.log(2 * half),
            "the density, not the mass of a bin": density,
            "is sigma taken for a variance? It is the deviation": _log_mass(x0, mu, sigma.sqrt(), half),
            "is sigma squared? The deviation divides as it is": _log_mass(x0, mu, sigma**2, half),
            "division by sigma is missing": _log_mass(x0, mu, torch.ones_like(sigma), half),
            "multiplied by sigma, where it should be divided": _log_mass(x0, mu, 1 / sigma, half),
            "the mass itself: its log is missing": right.exp(),
            "its sign turned? A log of a mass is negative": -right,
            "in bits; the natural log is asked for": right / math.log(2),
            "the bin lies above x0; x0 should be its middle": _log_mass(x0 + half, mu, sigma, half),
            "the bin lies below x0; x0 should be its middle": _log_mass(x0 - half, mu, sigma, half),
            "erf without its √2? Φ(z) = ½ (1 + erf(z/√2))": _log_mass(x0, mu, sigma / math.sqrt(2), half),
            "all that lies below x0; a bin has two edges": torch.special.log_ndtr(z),
            "all that lies below the upper edge; the mass below the lower edge is to be taken off":
                torch.special.log_ndtr(z + half / sigma),
        }  # fmt: skip
        inner, first, last = slice(0, 40), slice(40, 46), slice(46, 52)
        decoder.require_close(
            found[inner], right[inner], f"with {levels} levels, the log mass of an inner bin",
            "log(Φ((x0 + h − mu)/sigma) − Φ((x0 − h − mu)/sigma)), h = 1/(levels − 1),",
            {mistake: value[inner] for mistake, value in mistakes.items()},
            rtol=1e-3,
        )  # fmt: skip
        ndtr, log_ndtr, lower, upper = torch.special.ndtr, torch.special.log_ndtr, z - half / sigma, z + half / sigma
        closed = _log_mass(x0, mu, sigma, half, low=False, high=False)
        exchanged = decoder.reference(mu, x0, sigma, levels)
        decoder.require_close(
            found[first], right[first], f"with {levels} levels, the log mass of the first bin, x0 = −1,",
            "log Φ((x0 + h − mu)/sigma)",
            {
                "as if it ended half a bin below −1; it reaches to −∞": closed[first],
                "as if it ended at −1; it reaches to −∞": torch.log(ndtr(upper) - ndtr(z))[first],
                "open on the inner side; it is below −1 that it should reach to −∞": log_ndtr(-lower)[first],
                "that is the mass below the bin's lower edge; it reaches up to the upper one": log_ndtr(lower)[first],
                "open on both sides": torch.zeros(6),
                "x0 and mu exchanged? The bin is x0's": exchanged[first],
            },
            rtol=1e-3,
        )  # fmt: skip
        decoder.require_close(
            found[last], right[last], f"with {levels} levels, the log mass of the last bin, x0 = 1,",
            "log(1 − Φ((x0 − h − mu)/sigma))",
            {
                "as if it ended half a bin above 1; it reaches to +∞": closed[last],
                "as if it ended at 1; it reaches to +∞": torch.log(ndtr(z) - ndtr(lower))[last],
                "open on the inner side; it is above 1 that it should reach to +∞": log_ndtr(upper)[last],
                "that is the mass above the bin's upper edge; it begins at the lower one": log_ndtr(-upper)[last],
                "that is the mass below the lower edge; 1 minus it is left": log_ndtr(lower)[last],
                "open on both sides": torch.zeros(6),
            },
            rtol=1e-3,
        )  # fmt: skip
        alone = as_numbers(log_decoder(x0[inner], mu[inner], sigma, levels))
        decoder.require(
            alone is not None and alone.shape == right[inner].shape and torch.allclose(alone, right[inner], rtol=1e-3),
            "that depends on the other pixels: the open bins are those of −1 and 1, whether or not these occur in x0",
        )


@decoder.wrong("divides by the number of levels")
def _(x0, mu, sigma, levels):
    return _log_mass(x0, mu, sigma, 1 / levels)


@decoder.wrong("takes a whole bin to each side")
def _(x0, mu, sigma, levels):
    return _log_mass(x0, mu, sigma, 2 / (levels - 1))


@decoder.wrong("forgets the open ends")
def _(x0, mu, sigma, levels):
    return _log_mass(x0, mu, sigma, 1 / (levels - 1), low=False, high=False)


@decoder.wrong("opens the first bin only")
def _(x0, mu, sigma, levels):
    return _log_mass(x0, mu, sigma, 1 / (levels - 1), high=False)


@decoder.wrong("takes the density times the width")
def _(x0, mu, sigma, levels):
    return torch.distributions.Normal(mu, sigma).log_prob(x0) + math.log(2 / (levels - 1))


@decoder.wrong("takes sigma for a variance")
def _(x0, mu, sigma, levels):
    return log_decoder(x0, mu, sigma**0.5, levels)


@decoder.wrong("forgets the log")
def _(x0, mu, sigma, levels):
    return log_decoder(x0, mu, sigma, levels).exp()
