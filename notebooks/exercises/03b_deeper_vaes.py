"""The exercises of lesson 03b: linear VAEs, a chain of latents, importance weights."""

import math

import torch
from torch.distributions import Normal

from course_lib.exercises import Exercise, Judge, Value, exercise_named, normal


def best_linear_vae(eigenvalues, k):
    sigma2 = eigenvalues[k:].mean()
    return sigma2, eigenvalues[:k] - sigma2


Exercise(
    "03b.1",
    best_linear_vae,
    cases=[
        {"eigenvalues": torch.tensor([3.1, 1.7, 0.9, 0.4, 0.3, 0.05, 0.02]).double(), "k": 3},
        {"eigenvalues": torch.tensor([2.2, 1.1, 0.7, 0.6, 0.5]).double(), "k": 2},
        {"eigenvalues": torch.tensor([5.0, 0.5, 0.4, 0.3, 0.2, 0.1]).double(), "k": 5},
    ],
    gives=[
        Value("sigma2", "the mean of the eigenvalues after the first k"),
        Value("the squared lengths", "the first k eigenvalues minus σ²"),
    ],
    slips={
        "the mean of all eigenvalues; only those that are left out are noise": "eigenvalues[k:] -> eigenvalues",
        "the sum of those left out; every direction has the same σ², so their mean": "A.mean() -> A.sum()",
        "the mean of those that are kept": "eigenvalues[k:] -> eigenvalues[:k]",
        "one eigenvalue too many is left out": "eigenvalues[k:] -> eigenvalues[k - 1:]",
        "the largest of those left out; their mean": "A.mean() -> A.max()",
        "the smallest of all": "A.mean() -> A.min()",
        "the noise adds σ² in these directions too, so the columns need less": "eigenvalues[:k] - sigma2 -> eigenvalues[:k]",
        "the lengths; their squares were asked for": "eigenvalues[:k] - sigma2 -> (eigenvalues[:k] - sigma2).sqrt()",
        "σ² is added; it has to be taken off": "eigenvalues[:k] - sigma2 -> eigenvalues[:k] + sigma2",
        "σ, not σ²": "return eigenvalues[k:].mean().sqrt(), eigenvalues[:k] - eigenvalues[k:].mean()",
        "the sum of what is left out, divided by all d directions":
            "s = eigenvalues[k:].sum() / len(eigenvalues)\nreturn s, eigenvalues[:k] - s",
    },
    hints=[
        "All that the k directions don't hold is noise of the same variance in every other direction.",
        "Along a kept direction the model's variance is ‖w‖² + σ², and it should be the data's.",
    ],
)  # fmt: skip


def chain_bound(x, eps_1, eps_2, a, b, c, d, u, v):
    z_1 = c * x + u**0.5 * eps_1
    z_2 = d * z_1 + v**0.5 * eps_2
    log_p = Normal(b * z_1, 1.0).log_prob(x) + Normal(a * z_2, 1.0).log_prob(z_1) + Normal(0.0, 1.0).log_prob(z_2)
    log_q = Normal(c * x, u**0.5).log_prob(z_1) + Normal(d * z_1, v**0.5).log_prob(z_2)
    return log_p - log_q


def _chain(seed, n, **numbers):
    return {"x": normal(seed, n), "eps_1": normal(seed + 1, n), "eps_2": normal(seed + 2, n)} | numbers


Exercise(
    "03b.2",
    chain_bound,
    cases=[
        _chain(1, 7, a=0.9, b=1.3, c=0.6, d=0.5, u=0.3, v=0.7),
        _chain(4, 5, a=-0.4, b=0.7, c=1.1, d=-0.8, u=1.9, v=0.2),
    ],
    gives=[Value("the bound", "log p(x | z_1) + log p(z_1 | z_2) + log p(z_2) − log q(z_1 | x) − log q(z_2 | z_1)")],
    slips={
        "u and v are variances, and the noise takes their roots":
            "z_1 = A -> z_1 = c * x + u * eps_1 ; z_2 = A -> z_2 = d * z_1 + v * eps_2",
        "u and v are variances; the second argument of Normal is a deviation":
            "log_q = A -> log_q = Normal(c * x, u).log_prob(z_1) + Normal(d * z_1, v).log_prob(z_2)",
        "the sign is turned: that is the loss": "log_p - log_q -> log_q - log_p",
        "log q is added; the bound has log p − log q": "log_p - log_q -> log_p + log_q",
        "without the encoder's part: log q is missing": "log_p - log_q -> log_p",
        "z_2 is inferred from z_1, not from x":
            "z_2 = A -> z_2 = d * x + v**0.5 * eps_2",
        "each density has a factor 1/√(2π) too: ½ log 2π is missing once":
            "A + Normal(0.0, 1.0).log_prob(z_2) -> A - 0.5 * z_2**2",
        "p(z_1 | z_2) with the two exchanged: z_1 comes from z_2":
            "Normal(a * z_2, 1.0).log_prob(z_1) -> Normal(a * z_1, 1.0).log_prob(z_2)",
        "the prior of z_2 is missing": "A + Normal(0.0, 1.0).log_prob(z_2) -> A",
        "x is missing: the reconstruction": "Normal(b * z_1, 1.0).log_prob(x) + A -> A",
        "z_1 has the prior N(0, 1) here; in the chain it comes from z_2":
            "Normal(a * z_2, 1.0).log_prob(z_1) -> Normal(0.0, 1.0).log_prob(z_1)",
        "q(z_2 | z_1) is missing": "A + Normal(d * z_1, v**0.5).log_prob(z_2) -> A",
        "q(z_1 | x) is missing": "Normal(c * x, u**0.5).log_prob(z_1) + A -> A",
        "the mean over the batch; one number for each x was asked for": "log_p - log_q -> (log_p - log_q).mean()",
        "the means of q, without the noise": "z_1 = A -> z_1 = c * x ; z_2 = A -> z_2 = d * z_1",
    },
    hints=[
        "First z_1 from x and eps_1, then z_2 from that z_1 and eps_2.",
        "torch.distributions.Normal(mean, deviation).log_prob(value), five times: three for p, two for q.",
    ],
)  # fmt: skip


def effective_draws(log_ratio):
    weight = log_ratio.softmax(1)
    return 1 / weight.square().sum(1)


Exercise(
    "03b.3",
    effective_draws,
    cases=[
        {"log_ratio": normal(7, 5, 11) - 3}, {"log_ratio": 2 * normal(8, 3, 7) - 2000},
        {"log_ratio": 0.1 * normal(9, 7, 5) - 90},
        {"log_ratio": normal(10, 3, 2) + torch.tensor([[-2000.0, -1999.0], [-3.0, -2.0], [-2000.0, -3.0]]).double()},
    ],
    gives=[Value("the effective number", "(Σ w)² / Σ w², with w divided by the largest of its row first")],
    slips={
        "exp of −2,000 is 0 for a computer, and 0/0 is NaN: take the largest out first":
            "w = log_ratio.exp()\nreturn w.sum(1) ** 2 / w.square().sum(1)",
        "the softmax runs over the batch": "A.softmax(1) -> A.softmax(0)",
        "upside down": "1 / weight.square().sum(1) -> weight.square().sum(1)",
        "the sum of the squares, not the square of the sum: their quotient is 1":
            "return torch.ones_like(log_ratio[:, 0])",
        "the sum of the squares runs over the batch": "A.square().sum(1) -> A.square().sum(0)",
        "divided by the largest weight only: without the squares": "1 / weight.square().sum(1) -> 1 / weight.amax(1)",
        "divided by k: the share of draws that count, not their number":
            "1 / weight.square().sum(1) -> 1 / weight.square().sum(1) / log_ratio.shape[1]",
        "the largest of the whole batch was taken out; each row needs its own":
            "w = (log_ratio - log_ratio.max()).exp()\nreturn w.sum(1) ** 2 / w.square().sum(1)",
        "the exponential of the entropy is another such number; here the squares count":
            "w = log_ratio.softmax(1)\nreturn (-(w * w.clamp(min=1e-300).log()).sum(1)).exp()",
        "the logarithms in the place of the weights":
            "return log_ratio.sum(1) ** 2 / log_ratio.square().sum(1)",
    },
    hints=[
        "Multiplying all weights of a row by one number changes nothing, so normalize them.",
        "With weights that add up to 1, softmax gives them, and one over the sum of their squares is left.",
    ],
)  # fmt: skip


def is_a_chain_bound(bound):
    generator = torch.Generator().manual_seed(0)
    x, eps_1, eps_2 = torch.randn(3, 6, generator=generator, dtype=torch.float64)
    for a, b in ((0.9, 1.3), (-0.5, 0.7)):
        s = a**2 + 1
        total = b**2 * s + 1
        found = bound(x, eps_1, eps_2, a, b, b * s / total, a / s, s / total, 1 / s)
        if not torch.allclose(torch.as_tensor(found), Normal(0.0, total**0.5).log_prob(x)):
            return False
    a, b, c, d, u, v = 0.8, 1.1, 0.3, -0.6, 0.4, 1.7
    z_1 = c * x + u**0.5 * eps_1
    z_2 = d * z_1 + v**0.5 * eps_2
    log_p = -0.5 * ((x - b * z_1) ** 2 + (z_1 - a * z_2) ** 2 + z_2**2) - 1.5 * math.log(2 * math.pi)
    log_q = -0.5 * (eps_1**2 + eps_2**2) - math.log(2 * math.pi) - 0.5 * math.log(u * v)
    return torch.allclose(torch.as_tensor(bound(x, eps_1, eps_2, a, b, c, d, u, v)), log_p - log_q)


def _from_x(x, eps_1, eps_2, a, b, c, d, u, v):
    z_1, z_2 = c * x + u**0.5 * eps_1, d * x + v**0.5 * eps_2
    log_p = Normal(b * z_1, 1.0).log_prob(x) + Normal(a * z_2, 1.0).log_prob(z_1) + Normal(0.0, 1.0).log_prob(z_2)
    return log_p - Normal(c * x, u**0.5).log_prob(z_1) - Normal(d * x, v**0.5).log_prob(z_2)


Judge(
    "03b.4",
    is_a_chain_bound,
    right=[chain_bound],
    wrong=exercise_named("03b.2").wrong()
    | {
        "a and b are exchanged": lambda x, eps_1, eps_2, a, b, c, d, u, v: chain_bound(
            x, eps_1, eps_2, b, a, c, d, u, v
        ),
        "c is forgotten": lambda x, eps_1, eps_2, a, b, c, d, u, v: chain_bound(x, eps_1, eps_2, a, b, c**0, d, u, v),
        "u is taken for a deviation, in z_1 and its density": lambda x, eps_1, eps_2, a, b, c, d, u, v: chain_bound(
            x, eps_1, eps_2, a, b, c, d, u**2, v
        ),
        "v is taken for a deviation, in z_2 and its density": lambda x, eps_1, eps_2, a, b, c, d, u, v: chain_bound(
            x, eps_1, eps_2, a, b, c, d, u, v**2
        ),
        "z_2 comes from x, also in its density": lambda x, eps_1, eps_2, a, b, c, d, u, v: _from_x(
            x, eps_1, eps_2, a, b, c, d, u, v
        ),
    },
    slips={
        "your check refuses a function that is right": "return False",
        "your check accepts a wrong function": "return True",
    },
    hints=[
        "Call it with c, d, u, v of the true posteriors, for several x and noises, and compare with log p(x).",
        "Then once with other numbers, where you add up the five logarithms yourself.",
    ],
)
