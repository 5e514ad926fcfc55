"""The exercises of lesson 00. Small ones, to see how exercises work."""

import torch

from course_lib.exercises import Exercise, Sum, Value, normal, uniform


# ---------------------------------------------------------------------------------------------------------------------
def to_model_scale(levels):
    return levels / 8 - 1


Exercise(
    "00.1",
    to_model_scale,
    cases=[{"levels": torch.arange(17.0)}, {"levels": torch.arange(3.0, 11.0).reshape(2, 4)}],
    gives=[Value("the scaled image", "levels / 8 − 1")],
    slips={
        "that is 0 … 1; the models want −1 … 1": "return levels / 16",
        "that is 0 … 2: it is not centred yet": "A - 1 -> A",
        "that is centred, but only half as wide as it should be": "return levels / 16 - 0.5",
        "there are 17 levels, but the largest is 16": "return 2 * levels / 17 - 1",
        "that takes 15 for the largest level": "levels / 8 -> levels / 7.5",
        "that is for 8-bit images; these have the levels 0 … 16": "levels / 8 -> levels / 127.5",
        "black and white are exchanged: 0 should become −1": "return 1 - levels / 8",
        "whole division throws the levels between away": "levels / 8 -> levels // 8",
        "the image's own brightest pixel counts as white; 16 does, whether or not it occurs":
            "return 2 * levels / levels.max() - 1",
        "the image's own darkest and brightest pixels count as black and white; 0 and 16 do, whether or not they occur":
            "return 2 * (levels - levels.min()) / (levels.max() - levels.min()) - 1",
        "the image's own mean and spread are taken out; the scale is the same for all images":
            "return (levels - levels.mean()) / levels.std()",
    },
    hints=[
        "0 should become -1, 8 should become 0, 16 should become 1. It is a straight line.",
        "Dividing by 8 gives 0 … 2. What is missing?",
    ],
)  # fmt: skip


# ---------------------------------------------------------------------------------------------------------------------
def noisy(x0, eps, signal):
    return signal * x0 + (1 - signal**2) ** 0.5 * eps


Exercise(
    "00.2",
    noisy,
    cases=[{"x0": normal(1, 53), "eps": normal(2, 53), "signal": signal} for signal in (0.8, 0.3, 0.55)],
    gives=[Sum("the mixture", x0="signal", eps="√(1 − signal²)")],
    slips={
        "the two factors add up to 1 as they are; it is their squares that should":
            "return signal * x0 + (1 - signal) * eps",
        "that is the noise's variance; what multiplies a sample is its standard deviation":
            "(1 - signal**2) ** 0.5 -> 1 - signal**2",
        "noise at full strength makes the variance larger than 1": "return signal * x0 + eps",
        "the variance of signal · x0 is not signal; multiplying by a number multiplies the variance by its square":
            "signal**2 -> signal",
        "signal multiplies x0 as it is, squared it is x0's share of the variance": "signal * x0 -> signal**2 * x0",
        "signal multiplies x0 as it is, without a root": "signal * x0 -> signal**0.5 * x0",
        "signal stands with eps, and belongs to x0": "x0 <-> eps",
        "x0 at full strength: the picture is to be weakened by signal": "signal * x0 -> x0",
        "the noise alone; where is x0?": "A + B -> B",
        "signal multiplies the noise as well": "return signal * (x0 + eps)",
    },
    hints=["Variances of independent things add: signal² · 1 + noise² · 1 should be 1.", "So noise = √(1 − signal²)."],
)  # fmt: skip


# ---------------------------------------------------------------------------------------------------------------------
def denoised(x_t, eps, signal):
    return (x_t - (1 - signal**2) ** 0.5 * eps) / signal


Exercise(
    "00.3",
    denoised,
    cases=[{"x_t": normal(3, 53), "eps": normal(4, 53), "signal": signal} for signal in (0.6, 0.2, 0.85)],
    gives=[Sum("x0", x_t="1 / signal", eps="−√(1 − signal²) / signal")],
    slips={
        "the noise is out, but the image is still as weak as it was in x_t": "A / signal -> A",
        "the noise is subtracted at its strength in x_t, after the division made x_t stronger":
            "return x_t / signal - (1 - signal**2) ** 0.5 * eps",
        "x_t is as weak as before; only the noise is divided": "return x_t - (1 - signal**2) ** 0.5 * eps / signal",
        "eps has to be scaled before it is subtracted": "return (x_t - eps) / signal",
        "eps is not scaled, and the image not made stronger": "return x_t - eps",
        "the noise is added once more": "A - B -> A + B",
        "the noise's variance; what multiplied eps in 00.2 was its standard deviation":
            "(1 - signal**2) ** 0.5 -> 1 - signal**2",
        "eps had another factor in 00.2: one whose square adds up to 1 with signal²":
            "(1 - signal**2) ** 0.5 -> (1 - signal)",
        "the image gets weaker still: signal multiplies": "A / signal -> A * signal",
        "divided by the noise's strength; x0 was multiplied by signal": "A / signal -> A / (1 - signal**2) ** 0.5",
        "that is 00.2 again, mixing; here the mixture is to be taken apart":
            "return signal * x_t + (1 - signal**2) ** 0.5 * eps",
        "the noise is not taken out": "return x_t / signal",
        "x_t and eps are exchanged": "x_t <-> eps",
    },
    hints=[
        "x_t = signal · x0 + noise · eps is an equation with one unknown, x0.",
        "Subtract noise · eps first, then divide by signal.",
    ],
)  # fmt: skip


# ---------------------------------------------------------------------------------------------------------------------
def best_guess(x0):
    return x0.mean(0)


Exercise(
    "00.4",
    best_guess,
    cases=[{"x0": uniform(seed, n, 1, 8, 8) ** 3 - 0.2} for seed, n in ((5, 31), (6, 20))],
    gives=[Value("the picture", "the mean over all digits, each pixel by itself")],
    slips={
        "the median makes the mean absolute difference smallest, not the squared one":
            "x0.mean(0) -> x0.median(0).values",
        "that is one number for all pixels; the guess should be a picture": "x0.mean(0) -> x0.mean()",
        "all pixels are alike; each pixel has a best guess of its own": "return x0.mean().expand(x0.shape[1:])",
        "that is one number for each digit; the guess is one picture, made before the digit is known":
            "return x0.mean((1, 2, 3))",
        "an empty grey picture; the digits are not grey everywhere": "return torch.zeros_like(x0[0])",
        "that is one of the digits": "return x0[0]",
        "the digit nearest to the best guess; the guess need not be a digit":
            "return x0[((x0 - x0.mean(0)) ** 2).flatten(1).sum(1).argmin()]",
        "half way between the darkest and the brightest, however rare they are": "return (x0.amax(0) + x0.amin(0)) / 2",
        "that is how much the pixels vary": "x0.mean(0) -> x0.std(0)",
        "added up, and not divided by how many there are": "x0.mean(0) -> x0.sum(0)",
        "the average runs over the wrong axes": "return x0.mean((0, 1, 2))",
        "rounded to black and white; what costs least may be grey": "x0.mean(0) -> x0.mean(0).sign()",
    },
    hints=[
        "Which single picture has the smallest mean squared difference to all the digits?",
        "For one number: the c that minimizes the mean of (x − c)² is the mean of x. Do that for every pixel.",
    ],
)  # fmt: skip
