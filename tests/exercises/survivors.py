"""Mutants of the solutions that pass, each with the reason: they are no mistakes. A new one fails the tests."""

SURVIVORS: dict[str, dict[str, str]] = {
    "00.1": {"the result is clipped to −1 … 1": "all levels lie in it"},
    "00.2": {"in one place, the sign of signal is turned": "(−signal)² is signal²"},
    "00.3": {"in one place, the sign of signal is turned": "(−signal)² is signal²"},
    "00.4": {
        "the order is turned round": "of one channel",
        "the result is clipped to −1 … 1": "means of pixels lie in it",
    },
    "06.1": {
        "ᾱ may equal 0.5, and should not": "no schedule hits ½ exactly",
        "int(…) is missing": "a tensor of one number is a number",
    },
    "06.4": {"the result is clipped to −1 … 1": "betas lie in it"},
    "06.5": {"the sign of x0 is turned": "it is squared"},
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
