"""The exercises of lesson 04b: Langevin dynamics, Boltzmann machines, score matching."""

import itertools
import math

import torch
from torch.nn import functional as F

from course_lib.exercises import Calls, Exercise, Judge, Loss, Spy, Sum, Value, exercise_named, normal, uniform


def langevin_step(x, gradient, eta, xi):
    return x - eta * gradient(x) + math.sqrt(2 * eta) * xi


Exercise(
    "04b.1",
    langevin_step,
    cases=[
        {"x": normal(seed, n, d), "gradient": Spy(lambda x: torch.sin(2 * x) + 0.3), "eta": eta, "xi": normal(seed + 1, n, d)}
        for seed, n, d, eta in ((1, 5, 3, 0.02), (3, 7, 2, 0.3))
    ],
    gives=[
        Calls("gradient", Value("where the gradient is taken", "x")),
        Sum("the points", basis=lambda x, xi, **_: {"x": x, "the gradient": torch.sin(2 * x) + 0.3, "xi": xi},
            **{"x": "1", "the gradient": "−η", "xi": "√(2η)"}),
    ],
    slips={
        "uphill: the energy falls where p grows": "x - eta * A -> x + eta * A",
        "the noise takes the root of 2η": "math.sqrt(2 * eta) -> 2 * eta",
        "the variance of the noise is η; it has to be twice that": "math.sqrt(2 * eta) -> math.sqrt(eta)",
        "without the noise all points run to the minimum": "A + math.sqrt(2 * eta) * xi -> A",
        "noise of variance 1, whatever the step": "math.sqrt(2 * eta) * xi -> xi",
        "half a step with the noise of a whole one": "x - eta * A -> x - eta / 2 * A",
        "the noise is added first: the slope belongs to x":
            "y = x + math.sqrt(2 * eta) * xi\nreturn y - eta * gradient(y)",
        "the change alone, without x": "x - eta * A -> -eta * A",
    },
    hints=["Downhill by eta times the gradient at x, then noise.", "The noise has the variance 2η."],
)  # fmt: skip


def free_energy(v, W, a, b):
    return -(v @ a) - F.softplus(v @ W + b).sum(1)


def _machine(seed, n, visible, hidden, scale):
    return {
        "v": (uniform(seed, n, visible) > 0).double(), "W": scale * normal(seed + 1, visible, hidden),
        "a": scale * normal(seed + 2, visible), "b": scale * normal(seed + 3, hidden),
    }  # fmt: skip


Exercise(
    "04b.2",
    free_energy,
    cases=[_machine(5, 11, 7, 5, 0.8), _machine(9, 7, 5, 3, 1.5), _machine(13, 5, 3, 2, 1500.0)],
    gives=[Value("the free energies", "−v·a − Σ log(1 + exp(b + v W))")],
    slips={
        "the sign is turned: that is log of the unnormalized p(v)": "return v @ a + F.softplus(v @ W + b).sum(1)",
        "exp of 1,000 is infinite for a computer: softplus stays finite":
            "return -(v @ a) - torch.log(1 + torch.exp(v @ W + b)).sum(1)",
        "the visible units' own part is missing": "-(v @ a) - A -> -A",
        "b is missing": "v @ W + b -> v @ W",
        "the softplus of a sum is no sum of softplus: each hidden unit has its own":
            "F.softplus(v @ W + b).sum(1) -> F.softplus((v @ W + b).sum(1))",
        "the hidden units are not summed out: that is E(v, h) with all h = 1": "F.softplus(v @ W + b) -> v @ W + b",
        "the chance of each hidden unit, not log(1 + exp)": "F.softplus(v @ W + b) -> torch.sigmoid(v @ W + b)",
        "the largest h instead of the sum over h": "F.softplus(v @ W + b) -> F.relu(v @ W + b)",
        "the energy at the average h; it is the free energy only up to the entropy of h":
            "h = torch.sigmoid(v @ W + b)\nreturn -(v @ a) - (h * (v @ W + b)).sum(1)",
        "the sign of v·a": "-(v @ a) - A -> v @ a - A",
        "the mean over the hidden units": "A.sum(1) -> A.mean(1)",
        "one number for the batch": "A.sum(1) -> A.sum()",
    },
    hints=[
        "e^{−F(v)} is the sum over h of e^{−E(v, h)}, and that sum is a product: for each hidden unit 1 + exp(b_j + v·w_j).",
        "log(1 + eᵃ) without overflow is torch.nn.functional.softplus(a).",
    ],
)  # fmt: skip


def score_matching_loss(score, x, eps, sigma):
    return (score(x + sigma * eps) + eps / sigma).square().sum(1).mean()


Exercise(
    "04b.3",
    score_matching_loss,
    cases=[
        {"score": Spy(lambda y: torch.tanh(1.3 * y) - 0.4), "x": normal(20, 7, 3), "eps": normal(21, 7, 3), "sigma": 0.4},
        {"score": Spy(lambda y: 0.7 * torch.cos(y)), "x": normal(22, 5, 2), "eps": normal(23, 5, 2), "sigma": 1.7},
    ],
    gives=[
        Calls("score", Sum("the noised points", x="1", eps="σ")),
        Loss("the loss", "the mean of Σ (s(x + σ ε) + ε/σ)²", of="score"),
    ],
    slips={
        "the score points back, against the noise: the target is −ε/σ": "score(A) + eps / sigma -> score(A) - eps / sigma",
        "the target is −ε; that is noise prediction with another sign": "eps / sigma -> eps",
        "the target is divided by σ²; x̃ − x = σ ε, over σ² that is ε/σ": "eps / sigma -> eps / sigma**2",
        "the target is multiplied with σ": "eps / sigma -> eps * sigma",
        "the noise is not scaled by σ": "x + sigma * eps -> x + eps",
        "the score was asked at x itself": "x + sigma * eps -> x",
        "the mean over the coordinates too": "A.sum(1).mean() -> A.mean()",
        "the sum over the points": "A.sum(1).mean() -> A.sum()",
        "the norm, not its square": "return (score(x + sigma * eps) + eps / sigma).norm(dim=1).mean()",
        "summed over the points, not over the coordinates": "A.sum(1).mean() -> A.sum(0).mean()",
        "one number for each point": "A.sum(1).mean() -> A.sum(1)",
        "without the target: then the best score is 0": "score(A) + eps / sigma -> score(A)",
        "half of it": "return 0.5 * (score(x + sigma * eps) + eps / sigma).square().sum(1).mean()",
        "weighted by σ²": "return sigma**2 * (score(x + sigma * eps) + eps / sigma).square().sum(1).mean()",
    },
    hints=["Noise the points, ask for the score there, and compare with the direction back.", "The direction back is −ε/σ."],
)  # fmt: skip


def is_a_free_energy(free_energy):
    for seed in range(3):
        generator = torch.Generator().manual_seed(seed)
        W = torch.randn(4, 3, generator=generator, dtype=torch.float64)
        a, b = torch.randn(4, generator=generator).double(), torch.randn(3, generator=generator).double()
        v = torch.randint(2, (6, 4), generator=generator).double()
        h = torch.tensor(list(itertools.product((0.0, 1.0), repeat=3)), dtype=torch.float64)
        energy = -(v @ a)[:, None] - h @ b - v @ W @ h.T
        found = torch.as_tensor(free_energy(v, W, a, b))
        if found.shape != (6,) or not torch.allclose(-found, (-energy).logsumexp(1)):
            return False
    return bool(torch.as_tensor(free_energy(v, 3000 * W, a, b)).isfinite().all())


Judge(
    "04b.4",
    is_a_free_energy,
    right=[free_energy, lambda v, W, a, b: -(v * a).sum(1) - torch.logaddexp(v @ W + b, torch.zeros(())).sum(1)],
    wrong=exercise_named("04b.2").wrong(),
    slips={
        "your check refuses a function that is right": "return False",
        "your check accepts a wrong function": "return True",
    },
    hints=[
        "itertools.product((0., 1.), repeat=3) lists all h of three hidden units; −F(v) is the logsumexp of all −E(v, h).",
        "A function may be right for small weights and infinite for large ones.",
    ],
)  # fmt: skip
