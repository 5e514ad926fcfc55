"""Lesson 00: start here. Small ones, to see how exercises work."""

import torch

from course_lib.data import load
from course_lib.exercises.exercise import Exercise, as_numbers

grey = Exercise(
    "00.1",
    "From grey levels to the scale of the models",
    minutes=5,
    hints=[
        "0 should become -1, 8 should become 0, 16 should become 1. It is a straight line.",
        "Dividing by 8 gives 0 … 2. What is missing?",
    ],
)


@grey.solution
def to_model_scale(levels):
    return levels / 8 - 1


@grey.check
def _(to_model_scale):
    levels = torch.arange(17).float()
    found = as_numbers(to_model_scale(levels))
    grey.require(found is not None, "the answer should be a tensor")
    grey.require(found.shape == levels.shape, f"the answer should have the image's shape; it has {tuple(found.shape)}")
    grey.require_close(
        found, levels.double() / 8 - 1, "the scaled image", "a line through (0, -1) and (16, 1)",
        {
            "that is 0 … 1; the models want -1 … 1": levels / 16,
            "that is 0 … 2: it is not centred yet": levels / 8,
            "that is centred, but only half as wide as it should be": levels / 16 - 0.5,
            "there are 17 levels, but the largest is 16": 2 * levels / 17 - 1,
            "that is for 8-bit images; these have the levels 0 … 16": levels / 127.5 - 1,
        },
    )  # fmt: skip
    dark = levels[3:11].reshape(2, 4)
    grey.require(
        torch.allclose(as_numbers(to_model_scale(dark)), dark.double() / 8 - 1),
        "that depends on the other pixels of the image: 16 becomes 1, whether or not it occurs in it",
    )


@grey.wrong("maps to 0 … 1")
def _(levels):
    return levels / 16


@grey.wrong("forgets to centre")
def _(levels):
    return levels / 8


@grey.wrong("divides by the number of levels")
def _(levels):
    return 2 * levels / 17 - 1


@grey.wrong("takes them for 8-bit images")
def _(levels):
    return levels / 127.5 - 1


# ---------------------------------------------------------------------------------------------------------------------
mix = Exercise(
    "00.2",
    "Mix an image with noise, at constant variance",
    minutes=5,
    hints=[
        "Variances of independent things add: signal² · 1 + noise² · 1 should be 1.",
        "So noise = √(1 − signal²).",
    ],
)


@mix.solution
def noisy(x0, eps, signal):
    return signal * x0 + (1 - signal**2) ** 0.5 * eps


@mix.check
def _(noisy):
    generator = torch.Generator().manual_seed(0)
    x0, eps = torch.randn(2, 500, generator=generator, dtype=torch.float64)
    for signal in (0.8, 0.3):
        factors = mix.mixture(noisy(x0, eps, signal), x0, eps, of="x0")
        mix.require_close(factors[0], signal, "the factor of x0", "signal", {
            "its square: signal multiplies x0 as it is": signal**2,
            "the two factors exchanged?": (1 - signal**2) ** 0.5,
        })  # fmt: skip
        mix.require_close(factors[1], (1 - signal**2) ** 0.5, "the factor of eps", "√(1 − signal²)", {
            "the two factors should add up to 1 when squared, not as they are": 1 - signal,
            "that is the noise's variance; a sample is scaled by its square root": 1 - signal**2,
            "noise at full strength?": 1.0,
            "signal itself has to be squared under the root": (1 - signal) ** 0.5,
            "eps with its sign turned?": -((1 - signal**2) ** 0.5),
        })  # fmt: skip


@mix.wrong("lets the factors add up to 1")
def _(x0, eps, signal):
    return signal * x0 + (1 - signal) * eps


@mix.wrong("scales by the variance")
def _(x0, eps, signal):
    return signal * x0 + (1 - signal**2) * eps


@mix.wrong("adds the noise on top")
def _(x0, eps, signal):
    return signal * x0 + eps


# ---------------------------------------------------------------------------------------------------------------------
unmix = Exercise(
    "00.3",
    "Take the noise out again",
    minutes=5,
    hints=[
        "x_t = signal · x0 + noise · eps is an equation with one unknown, x0.",
        "Subtract noise · eps first, then divide by signal.",
    ],
)


@unmix.solution
def denoised(x_t, eps, signal):
    return (x_t - (1 - signal**2) ** 0.5 * eps) / signal


@unmix.check
def _(denoised):
    generator = torch.Generator().manual_seed(1)
    x0, eps = torch.randn(2, 500, generator=generator, dtype=torch.float64)
    for signal in (0.6, 0.2):
        noise = (1 - signal**2) ** 0.5
        x_t = signal * x0 + noise * eps
        unmix.require_close(denoised(x_t, eps, signal), x0, "x0", "(x_t − √(1 − signal²) eps) / signal", {
            "the noise is out, but the image is still as weak as it was in x_t": x_t - noise * eps,
            "subtract the noise first and divide everything by signal": x_t / signal - noise * eps,
            "eps has to be scaled before it is subtracted": (x_t - eps) / signal,
            "the noise added once more?": (x_t + noise * eps) / signal,
        })  # fmt: skip


@unmix.wrong("leaves the image weak")
def _(x_t, eps, signal):
    return x_t - (1 - signal**2) ** 0.5 * eps


@unmix.wrong("divides too early")
def _(x_t, eps, signal):
    return x_t / signal - (1 - signal**2) ** 0.5 * eps


@unmix.wrong("forgets to scale eps")
def _(x_t, eps, signal):
    return (x_t - eps) / signal


# ---------------------------------------------------------------------------------------------------------------------
guess = Exercise(
    "00.4",
    "The best guess when nothing can be seen",
    minutes=10,
    hints=[
        "Which single picture has the smallest mean squared difference to all the digits?",
        "For one number: the c that minimizes the mean of (x − c)² is the mean of x. Do that for every pixel.",
    ],
)


@guess.solution
def best_guess(x0):
    return x0.mean(0)


@guess.check
def _(best_guess):
    x0 = load("digits").train.x0
    found = as_numbers(best_guess(x0))
    guess.require(found is not None, "the answer should be a picture, a tensor")
    guess.require(
        found.shape != (), "that is one number for all pixels; the guess should be a picture of shape (1, 8, 8)"
    )
    guess.require_close(found, x0.mean(0), "the picture", "the mean over all digits, pixel by pixel", {
        "the median makes the mean absolute difference smallest, not the squared one": x0.median(0).values,
        "that is the mean over all pixels too: each pixel has a mean of its own": x0.mean().expand(1, 8, 8),
        "an empty grey picture: all pixels 0": torch.zeros(1, 8, 8),
        "that is one of the digits": x0[0],
    }, rtol=1e-3)  # fmt: skip


@guess.wrong("takes the median")
def _(x0):
    return x0.median(0).values


@guess.wrong("averages all the pixels together")
def _(x0):
    return x0.mean()


@guess.wrong("shows grey")
def _(x0):
    return torch.zeros_like(x0[0])


@guess.wrong("averages within each digit")
def _(x0):
    return x0.mean((1, 2, 3))
