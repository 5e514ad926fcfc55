"""The exercises of lesson 02: the evidence lower bound."""

import math

import torch

from course_lib.exercises import Exercise, Judge, Value, exercise_named, normal


def kl_from_standard(mu, logvar):
    return 0.5 * (mu**2 + logvar.exp() - 1 - logvar).sum(1)


Exercise(
    "02.1",
    kl_from_standard,
    cases=[
        {"mu": normal(1, 7, 3), "logvar": 0.8 * normal(2, 7, 3)}, {"mu": 2 * normal(3, 5, 2), "logvar": normal(4, 5, 2) - 2},
    ],
    gives=[Value("the KL", "½ Σ (μ² + σ² − 1 − log σ²)")],
    slips={
        "the mean over the coordinates; the divergences of independent coordinates add up": "A.sum(1) -> A.mean(1)",
        "one number for the whole batch": "A.sum(1) -> A.sum()",
        "logvar is the logarithm of σ², so σ² is its exponential": "logvar.exp() -> (2 * logvar).exp()",
        "σ where σ² belongs": "logvar.exp() -> (0.5 * logvar).exp()",
        "the other way round: the divergence of N(0, I) from q":
            "return 0.5 * ((mu**2 + 1) / logvar.exp() - 1 + logvar).sum(1)",
        "the sign: a divergence is never negative": "0.5 * A -> -0.5 * A",
        "exp(logvar) is σ², not σ": "return 0.5 * (mu**2 + (2 * logvar).exp() - 1 - 2 * logvar).sum(1)",
        "summed over the batch, not over the coordinates": "A.sum(1) -> A.sum(0)",
        "without the mean's part": "mu**2 + A -> A",
        "μ itself; it is the squared distance of the means": "mu**2 -> mu",
    },
    hints=[
        "The closed form of section 1 with μ₂ = 0 and σ₂ = 1, for each coordinate.",
        "log(1/σ) is −½ logvar. Sum over the coordinates, not over the batch.",
    ],
)  # fmt: skip


def discrete_elbo(q, log_joint):
    return (q * (log_joint - q.log())).sum()


CASES = [
    {"q": normal(5, 7).softmax(0), "log_joint": normal(6, 7) - 3},
    {"q": (2 * normal(7, 5)).softmax(0), "log_joint": 2 * normal(8, 5) - 1},
    {"q": normal(9, 3).softmax(0), "log_joint": normal(10, 3) - 40},
]

Exercise(
    "02.2",
    discrete_elbo,
    cases=CASES,
    gives=[Value("the ELBO", "Σ q (log p(x, z) − log q)")],
    slips={
        "the sign is turned: that is the loss, −ELBO": "log_joint - q.log() -> q.log() - log_joint",
        "without the entropy of q": "log_joint - q.log() -> log_joint",
        "log q is added; the ELBO has log p − log q": "log_joint - q.log() -> log_joint + q.log()",
        "log p(x), which the ELBO only bounds: q plays no part in it": "return log_joint.logsumexp(0)",
        "all z count the same, but the expectation is under q": "return (log_joint - q.log()).mean()",
        "q itself where its logarithm belongs": "q.log() -> q",
        "p(x, z) where its logarithm belongs": "log_joint -> log_joint.exp()",
        "that is the gap to log p(x)": "return (q * (q.log() - log_joint.log_softmax(0))).sum()",
        "the average is under q, not under the posterior": "return (log_joint.softmax(0) * (log_joint - q.log())).sum()",
    },
    hints=[
        "An expectation under q is a sum of q times something.",
        "That something is the logarithm of the ratio p(x, z) / q(z).",
    ],
)  # fmt: skip


def gap_of(q, log_joint):
    log_posterior = log_joint.log_softmax(0)
    return (q * (q.log() - log_posterior)).sum()


Exercise(
    "02.3",
    gap_of,
    cases=CASES,
    gives=[Value("the gap", "Σ q (log q − log p(z | x))")],
    slips={
        "the divergence of the posterior from q; the average is under q":
            "return (log_joint.softmax(0) * (log_joint.log_softmax(0) - q.log())).sum()",
        "the joint in the place of the posterior: divide by p(x) first": "log_joint.log_softmax(0) -> log_joint",
        "the sign: a divergence is never negative": "q.log() - log_posterior -> log_posterior - q.log()",
        "without the entropy of q": "q.log() - log_posterior -> -log_posterior",
        "all z count the same, but the expectation is under q": "return (q.log() - log_joint.log_softmax(0)).mean()",
        "that is the ELBO itself": "return (q * (log_joint - q.log())).sum()",
        "that is log p(x)": "return log_joint.logsumexp(0)",
        "the squared difference is no divergence": "return ((q - log_joint.softmax(0)) ** 2).sum()",
        "half the sum of the differences: that is the total variation":
            "return 0.5 * (q - log_joint.softmax(0)).abs().sum()",
    },
    hints=[
        "The gap is the KL of q from the posterior p(z | x).",
        "p(z | x) is the joint divided by its sum; in logarithms that is a log_softmax.",
    ],
)  # fmt: skip


def reparameterize(mu, logvar, eps):
    return mu + (0.5 * logvar).exp() * eps


Exercise(
    "02.4",
    reparameterize,
    cases=[{"mu": normal(11, 5, 3), "logvar": normal(12, 5, 3), "eps": normal(13, 5, 3)}],
    gives=[Value("z", "μ + exp(½ logvar) eps", gradient="mu logvar")],
    slips={
        "the noise is multiplied by the variance; it takes the standard deviation":
            "(0.5 * logvar).exp() -> logvar.exp()",
        "logvar is a logarithm": "(0.5 * logvar).exp() -> logvar",
        "noise of variance 1, whatever logvar says": "(0.5 * logvar).exp() * eps -> eps",
        "exp(2 logvar) is the variance squared": "0.5 * logvar -> 2 * logvar",
        "the mean alone": "mu + A -> mu",
        "μ and logvar are detached, so no gradient reaches them":
            "return mu.detach() + (0.5 * logvar.detach()).exp() * eps",
        "μ is detached, so no gradient reaches it": "return mu.detach() + (0.5 * logvar).exp() * eps",
        "logvar is detached, so no gradient reaches it": "return mu + (0.5 * logvar.detach()).exp() * eps",
        "the noise is added to μ first, and then μ is widened too": "return (mu + eps) * (0.5 * logvar).exp()",
    },
    hints=["σ is the square root of exp(logvar).", "The square root of an exponential is the exponential of half of it."],
)  # fmt: skip


def gradient_for_sigma(z, f, mu, sigma):
    score = (z - mu) ** 2 / sigma**3 - 1 / sigma
    return f * score


Exercise(
    "02.5",
    gradient_for_sigma,
    cases=[
        {"z": mu + sigma * normal(seed, 11), "f": normal(seed + 1, 11) + 2, "mu": mu, "sigma": sigma}
        for seed, mu, sigma in ((14, 0.7, 1.6), (16, -1.1, 0.5))
    ],
    gives=[Value("the estimates", "f · ((z − μ)² / σ³ − 1 / σ)")],
    slips={
        "that is the gradient with respect to μ": "return f * (z - mu) / sigma**2",
        "the density has a factor 1/σ too, and its logarithm a −log σ":
            "(z - mu) ** 2 / sigma**3 - 1 / sigma -> (z - mu) ** 2 / sigma**3",
        "σ² in the denominator: the derivative of −(z − μ)²/(2σ²) has one power more": "sigma**3 -> sigma**2",
        "the gradient with respect to σ², not σ": "return f * ((z - mu) ** 2 / sigma**4 - 1 / sigma**2) / 2",
        "the score alone: the values of f are missing": "return (z - mu) ** 2 / sigma**3 - 1 / sigma",
        "the mean of all; one estimate for each draw was asked for":
            "return (f * ((z - mu) ** 2 / sigma**3 - 1 / sigma)).mean()",
        "the sign is turned": "f * score -> -f * score",
        "the gradient with respect to log σ": "return f * ((z - mu) ** 2 / sigma**2 - 1)",
    },
    hints=[
        "The estimator is f(z) times the derivative of log q(z) with respect to the parameter.",
        "log q(z) = −log σ − (z − μ)² / (2σ²) + a constant. Differentiate with respect to σ.",
    ],
)  # fmt: skip


def importance_weighted(log_ratio):
    return log_ratio.logsumexp(1) - math.log(log_ratio.shape[1])


Exercise(
    "02.6",
    importance_weighted,
    cases=[
        {"log_ratio": normal(18, 5, 7) - 3}, {"log_ratio": 3 * normal(19, 3, 11) - 2000}, {"log_ratio": normal(20, 7, 1)},
        {"log_ratio": normal(21, 3, 2) + torch.tensor([[-2000.0, -1999.0], [-3.0, -2.0], [-2000.0, -3.0]]).double()},
    ],
    gives=[Value("L_k", "log of the mean of exp(log_ratio) over the draws")],
    slips={
        "the sum in the place of the average: log k too much": "A - math.log(log_ratio.shape[1]) -> A",
        "the mean of the logarithms is the ELBO, for any k": "return log_ratio.mean(1)",
        "exp of −2,000 is 0 for a computer, and log 0 is −∞: take the largest out first":
            "return log_ratio.exp().mean(1).log()",
        "the average runs over the batch": "return log_ratio.logsumexp(0) - math.log(log_ratio.shape[0])",
        "log of how many x there are, not of how many draws": "log_ratio.shape[1] -> log_ratio.shape[0]",
        "the largest of the whole batch was taken out; each row needs its own":
            "top = log_ratio.max()\nreturn (log_ratio - top).exp().mean(1).log() + top",
        "the largest was taken out and not put back":
            "return (log_ratio - log_ratio.amax(1, keepdim=True)).exp().mean(1).log()",
        "the largest of the draws is no average": "return log_ratio.amax(1)",
        "divided by k outside the logarithm": "return log_ratio.logsumexp(1) / log_ratio.shape[1]",
    },
    hints=[
        "An average is a sum divided by k; after the logarithm that is a difference.",
        "log Σ exp without underflow: torch.logsumexp.",
    ],
)  # fmt: skip


def is_an_elbo(elbo):
    for k, seed in ((3, 0), (5, 1), (8, 2)):
        generator = torch.Generator().manual_seed(seed)
        q, log_joint = torch.randn(2, k, generator=generator, dtype=torch.float64)
        q, log_p = q.softmax(0), log_joint.logsumexp(0)
        gap = (q * (q.log() - log_joint.log_softmax(0))).sum()
        if abs(float(elbo(log_joint.softmax(0), log_joint)) - log_p) > 1e-6:
            return False
        if abs(log_p - float(elbo(q, log_joint)) - gap) > 1e-6:
            return False
    return True


Judge(
    "02.7",
    is_an_elbo,
    right=[discrete_elbo, lambda q, log_joint: log_joint.logsumexp(0) - (q * (q / log_joint.softmax(0)).log()).sum()],
    wrong=exercise_named("02.2").wrong()
    | {
        "twice the gap below log p(x)": lambda q, log_joint: log_joint.logsumexp(0) - 2 * gap_of(q, log_joint),
        "below log p(x) by the divergence of the posterior from q": lambda q, log_joint: (
            log_joint.logsumexp(0) - gap_of(log_joint.softmax(0), q.log())
        ),
        "below log p(x) by the squared difference of q and the posterior": lambda q, log_joint: (
            log_joint.logsumexp(0) - ((q - log_joint.softmax(0)) ** 2).sum()
        ),
    },
    slips={
        "your check refuses a function that is right": "return False",
        "your check accepts a wrong function": "return True",
        "log p(x), which the ELBO only bounds: q plays no part in it": "log_joint = torch.tensor([-1.0, -2.0, -0.5])\n"
        "return bool(abs(elbo(log_joint.softmax(0), log_joint) - log_joint.logsumexp(0)) < 1e-4)",
    },
    hints=[
        "With the posterior as q the bound touches log p(x), the logarithm of the sum of all joint probabilities.",
        "For any other q it lies below log p(x), and you know by how much: exercise 02.3.",
    ],
)
