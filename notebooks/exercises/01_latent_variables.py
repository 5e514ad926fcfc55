"""The exercises of lesson 01: latent variables."""

import torch

from course_lib.exercises import Exercise, Value, normal, uniform

WEIGHT = torch.tensor([0.5, 0.2, 0.3], dtype=torch.float64)
MEAN = torch.tensor([-1.2, 0.3, 1.9], dtype=torch.float64)
STD = torch.tensor([0.4, 0.9, 0.25], dtype=torch.float64)
MIXTURE = {"weight": WEIGHT, "mean": MEAN, "std": STD}
HALVES = torch.tensor([0.5, 0.25, 0.25], dtype=torch.float64)
OTHER = {
    "weight": torch.tensor([0.15, 0.85], dtype=torch.float64),
    "mean": torch.tensor([2.1, -0.4], dtype=torch.float64),
    "std": torch.tensor([1.7, 0.6], dtype=torch.float64),
}


def class_probability(log_likelihood, prior):
    log_joint = log_likelihood + prior.log()
    return log_joint.softmax(1)


Exercise(
    "01.1",
    class_probability,
    cases=[
        {"log_likelihood": shift + scale * normal(1, 7, 5), "prior": torch.tensor([0.3, 0.1, 0.25, 0.2, 0.15]).double()}
        for shift, scale in ((-3.0, 1.0), (-2000.0, 2.0), (torch.linspace(-2000, -3, 7).double()[:, None], 1.0))
    ],
    gives=[Value("p(y | x)", "the softmax of log p(x | y) + log p(y)")],
    slips={
        "the classes are taken as equally frequent: the prior is missing":
            "log_likelihood + prior.log() -> log_likelihood",
        "the prior itself is added to a logarithm": "prior.log() -> prior",
        "the joint probability: it still has to be divided by its sum over the classes":
            "log_joint.softmax(1) -> log_joint.exp()",
        "the logarithm of what was asked for": "log_joint.softmax(1) -> log_joint.log_softmax(1)",
        "multiplied by the prior after the sum was taken: now the rows do not add up to 1":
            "return log_likelihood.softmax(1) * prior",
        "the largest logarithm of all points was taken out; each row needs its own":
            "l = log_likelihood + prior.log()\np = (l - l.max()).exp()\nreturn p / p.sum(1, keepdim=True)",
        "the sum runs over the points, not over the classes": "A.softmax(1) -> A.softmax(0)",
        "exp of −2,000 is 0 for a computer, and 0 / 0 is no number: take the largest logarithm out first":
            "joint = (log_likelihood + prior.log()).exp()\nreturn joint / joint.sum(1, keepdim=True)",
        "the prior alone: what was seen plays no part": "return prior.expand_as(log_likelihood)",
        "the most probable class alone; all probabilities were asked for": "return (log_likelihood + prior.log()).argmax(1)",
    },
    hints=[
        "Bayes' rule: the joint probability, divided by its sum over the classes. In logarithms the product is a sum.",
        "exp, divided by the sum of the exps: that is a softmax over the classes, and PyTorch's does not underflow.",
    ],
)  # fmt: skip


def log_joint_of_image(level, table, prior):
    pixel = torch.arange(len(level))
    return prior.log() + table[:, pixel, level].log().sum(1)


TABLE = (uniform(2, 10, 64, 17) + 1.05) / (uniform(2, 10, 64, 17) + 1.05).sum(-1, keepdim=True)
PRIOR = (uniform(3, 10) + 1.2) / (uniform(3, 10) + 1.2).sum()

Exercise(
    "01.2",
    log_joint_of_image,
    cases=[
        {"level": ((uniform(seed, 64) + 1) * 8.49).long(), "table": TABLE, "prior": PRIOR} for seed in (4, 5)
    ],
    gives=[Value("log p(x, y)", "log p(y) + the sum over the pixels of log P(x_i | y)")],
    slips={
        "without the prior: that is log p(x | y)": "prior.log() + A -> A",
        "the prior itself is added to logarithms": "prior.log() -> prior",
        "64 small factors make 0 for a computer, and log 0 is −∞: add up logarithms":
            "picked = table[:, torch.arange(len(level)), level]\nreturn (prior * (picked / 1e7).prod(1)).log()",
        "the prior goes in once, not at each pixel":
            "return (prior.log()[:, None] + table[:, torch.arange(len(level)), level].log()).sum(1)",
        "the mean over the pixels; independent probabilities multiply, so all logarithms add up": "A.sum(1) -> A.mean(1)",
        "probabilities are added; those of independent pixels multiply":
            "table[:, pixel, level].log().sum(1) -> table[:, pixel, level].sum(1).log()",
        "divided by its sum over the classes: that is log p(y | x)":
            "return (prior.log() + table[:, torch.arange(len(level)), level].log().sum(1)).log_softmax(0)",
        "every pixel has a table of its own; that is the first pixel's for all":
            "table[:, pixel, level] -> table[:, 0, level]",
        "all entries of the tables; an image has one grey value at each pixel":
            "return prior.log() + table.log().sum((1, 2))",
        "the probability instead of its logarithm":
            "return prior * table[:, torch.arange(len(level)), level].prod(1)",
    },
    hints=[
        "For pixel i you need table[k, i, level[i]], for every k. Indexing with two tensors of equal length picks pairs.",
        "table[:, torch.arange(64), level] has shape (10, 64). What happens to the logarithms of independent factors?",
    ],
)  # fmt: skip


def reconstruct(x, mean, U):
    z = (x - mean) @ U
    return mean + z @ U.T


def orthonormal(seed, d, k):
    return torch.linalg.qr(normal(seed, d, k))[0]


Exercise(
    "01.3",
    reconstruct,
    cases=[
        {"x": 2 * normal(6, 7, 5), "mean": 3 + normal(7, 5), "U": orthonormal(8, 5, 2)},
        {"x": normal(9, 11, 4), "mean": normal(10, 4), "U": orthonormal(11, 4, 3)},
    ],
    gives=[Value("the nearest point", "the mean + ((x − mean) U) Uᵀ")],
    slips={
        "the mean has to be taken off before: the plane goes through the mean, not through 0":
            "(x - mean) @ U -> x @ U",
        "the mean is missing at the end: that is the point's place seen from the mean": "mean + z @ U.T -> z @ U.T",
        "the k numbers; the way back to d numbers is missing": "return (x - mean) @ U",
        "only the first direction was used": "z = (x - mean) @ U[:, :1]\nreturn mean + z @ U[:, :1].T",
        "what is left over after the plane, not the point in it": "return x - (mean + (x - mean) @ U @ U.T)",
        "the mean neither taken off nor put back": "return x @ U @ U.T",
        "the mean alone, whatever x is": "return mean.expand_as(x)",
        "x itself: nothing was thrown away": "return x.clone()",
    },
    hints=[
        "The coordinates along the directions are z = (x − mean) U, k numbers for each row.",
        "Back: z Uᵀ walks along the directions. Where does the walk start?",
    ],
)  # fmt: skip


def responsibilities(x, weight, mean, std):
    log_normal = -0.5 * ((x[:, None] - mean) / std) ** 2 - std.log()
    return (weight.log() + log_normal).softmax(1)


Exercise(
    "01.4",
    responsibilities,
    cases=[{"x": 1.5 * normal(12, 7), **MIXTURE}, {"x": normal(13, 11), **OTHER}],
    gives=[Value("q(z | x)", "weight · N(x; mean, std²), divided by its sum over the components")],
    slips={
        "the weights are missing: a rare component is less responsible": "weight.log() + log_normal -> log_normal",
        "the weight itself is added to a logarithm": "weight.log() -> weight",
        "the weights alone: where x lies plays no part": "return weight.expand(len(x), -1)",
        "the factor 1/σ of the density is missing: a wide bell is a low one": "A - std.log() -> A",
        "divided by σ once where the density has σ²":
            "((x[:, None] - mean) / std) ** 2 -> (x[:, None] - mean) ** 2 / std",
        "std is taken for a variance: it is its square root":
            "((x[:, None] - mean) / std) ** 2 -> (x[:, None] - mean) ** 2 / std ; std.log() -> 0.5 * std.log()",
        "the ½ in the exponent is missing": "-0.5 * A ** 2 -> -A ** 2",
        "a sum over the points; each point's responsibilities add up to 1": "A.softmax(1) -> A.softmax(0)",
        "q(x, z), not yet divided by q(x)":
            "(weight.log() + log_normal).softmax(1) -> (weight.log() + log_normal).exp()",
        "multiplied by the weights after the sum was taken: now they do not add up to 1":
            "log_normal = -0.5 * ((x[:, None] - mean) / std) ** 2 - std.log()\nreturn log_normal.softmax(1) * weight",
        "the whole point is given to its most responsible component: that is k-means, not EM":
            "log_normal = -0.5 * ((x[:, None] - mean) / std) ** 2 - std.log()\n"
            "return torch.nn.functional.one_hot((weight.log() + log_normal).argmax(1), len(mean)).double()",
        "the nearest mean, whatever the weights and widths":
            "return torch.nn.functional.one_hot((x[:, None] - mean).abs().argmin(1), len(mean)).double()",
    },
    hints=[
        "Bayes' rule with z in the place of the class: the joint weight · N(x; mean, std²), then divide by its sum.",
        "x[:, None] - mean has shape (n, components). The density of a Gaussian has a factor 1/std in front.",
    ],
)  # fmt: skip


def new_weights_and_means(x, r):
    N = r.sum(0)[:, None]
    return r.mean(0), r.T @ x / N


Exercise(
    "01.5",
    new_weights_and_means,
    cases=[
        {"x": normal(14, 11, 2), "r": normal(15, 11, 3).softmax(1)},
        {"x": normal(16, 13, 5), "r": (2 * normal(17, 13, 4)).softmax(1)},
    ],
    gives=[Value("the weights", "the mean of r over the points"), Value("the means", "Σ_n r x / Σ_n r, for each component")],
    slips={
        "how many points each has; a weight is the share of them": "r.mean(0) -> r.sum(0)",
        "the sums are divided by the number of all points, not by what the component has":
            "r.T @ x / N -> r.T @ x / len(x)",
        "the sums of the points; divide by how many each component has": "r.T @ x / N -> r.T @ x",
        "the means are normalized twice": "r.T @ x / N -> r.T @ x / N / len(x)",
        "equal weights, whatever r says": "r.mean(0) -> torch.full_like(r[0], 1 / r.shape[1])",
        "each component is given the mean of all points": "r.T @ x / N -> x.mean(0).expand(r.shape[1], -1)",
        "each point to its most responsible component: that is k-means":
            "hard = torch.nn.functional.one_hot(r.argmax(1), r.shape[1]).double()\n"
            "return hard.mean(0), hard.T @ x / hard.sum(0)[:, None].clamp(min=1)",
    },
    hints=[
        "A component has N_z = Σ_n r_nz points, a fraction of each.",
        "r.T @ x adds up the points, each as often as the component is responsible for it: (components, d).",
    ],
)  # fmt: skip


def sample_mixture(u, eps, weight, mean, std):
    z = torch.searchsorted(weight.cumsum(0), u, right=True)
    return mean[z] + std[z] * eps


Exercise(
    "01.6",
    sample_mixture,
    cases=[
        {"u": (uniform(18, 31) + 1) / 2, "eps": normal(19, 31), **MIXTURE},
        {"u": (uniform(20, 17) + 1) / 2, "eps": normal(21, 17), **OTHER},
        {"u": torch.tensor([0.0, 0.5, 0.75, 0.7499, 0.9999]).double(), "eps": normal(22, 5), **MIXTURE, "weight": HALVES},
    ],
    gives=[Value("the samples", "mean[z] + std[z] · eps, z the first component whose cumulative weight exceeds u")],
    slips={
        "every component equally often; the weights decide how often":
            "z = (u * len(weight)).long()\nreturn mean[z] + std[z] * eps",
        "the mean of all components, which is a sample of none: one component is drawn, then a point of it":
            "return (weight * mean).sum() + (weight * std).sum() * eps",
        "std is a standard deviation already": "std[z] * eps -> std[z].sqrt() * eps",
        "the noise has to be as wide as its component": "std[z] * eps -> eps",
        "the components' means alone; a sample lies somewhere in its bell": "mean[z] + std[z] * eps -> mean[z]",
        "a variance multiplies the noise; it takes the standard deviation": "std[z] * eps -> std[z] ** 2 * eps",
        "u is compared with the weights themselves, not with their running sum":
            "z = (u[:, None] >= weight).sum(1).clamp(max=len(weight) - 1)\nreturn mean[z] + std[z] * eps",
        "the first component for every sample; u decides which": "return mean[0] + std[0] * eps",
        "a u that equals a running sum belongs to the next component, since u can be 0 but not 1":
            "torch.searchsorted(A, u, right=True) -> torch.searchsorted(A, u)",
        "one component too high": "z = A -> z = (A + 1).clamp(max=len(weight) - 1)",
        "always the heaviest component; u decides which": "return mean[weight.argmax()] + std[weight.argmax()] * eps",
        "the order is reversed: the lowest u belongs to the first component":
            "z = torch.searchsorted(weight.cumsum(0), 1 - u).clamp(max=len(weight) - 1)\nreturn mean[z] + std[z] * eps",
    },
    hints=[
        "The running sums of the weights cut [0, 1) into pieces, one for each component. In which piece does u lie?",
        "torch.searchsorted(weight.cumsum(0), u, right=True) counts the running sums that are at most u.",
    ],
)  # fmt: skip


def can_be_em(heights):
    return bool((heights.diff() >= -1e-9).all())


def rises(seed, rounds=12):
    return uniform(seed, rounds).abs().cumsum(0) - 40


def with_dip(seed, at, depth):
    heights = rises(seed)
    heights[at:] -= heights[at] - heights[at - 1] + depth
    return heights


Exercise(
    "01.7",
    can_be_em,
    cases=[
        {"heights": heights}
        for heights in (
            rises(23), with_dip(24, 6, 0.01), torch.full((5,), -3.0).double(), with_dip(25, 11, 1e-4), rises(26, 2),
            with_dip(27, 1, 2.0), with_dip(29, 11, 50.0), -rises(30), rises(31) + 80,
            torch.tensor([-5.0, -3.0, -3.0 - 5e-10, -2.0], dtype=torch.float64),
            torch.tensor([-4000.0, -3000.0, -3000.0 - 1e-7, -2000.0]).double() - torch.tensor([0, 0, 1e-7, 0]).double(),
            torch.tensor([-5.0, -3.0, -3.0 - 5e-9, -2.0], dtype=torch.float64), with_dip(28, 4, 1e-6),
        )
    ],
    gives=[Value("the verdict", "whether every height is at least the one before it, up to 1e-9")],
    slips={
        "the last against the first alone: it may fall in between and still end higher":
            "return bool(heights[-1] >= heights[0] - 1e-9)",
        "it may stand still: where EM has arrived, nothing changes any more": "A >= -1e-9 -> A > 1e-12",
        "it must rise in every round, not in some": "A.all() -> A.any()",
        "rounding may lower a value by 1e-9": "A >= -1e-9 -> A >= 0",
        "turned round: heights must not fall": "A >= -1e-9 -> A <= 1e-9",
        "that tolerance lets real falls through": "A >= -1e-9 -> A >= -1e-3",
        "a log-likelihood may be negative or positive; what counts is whether it falls":
            "return bool((heights < 0).all())",
        "always yes": "return True",
        "always no": "return False",
    },
    hints=[
        "What does EM promise for the log-likelihood of two rounds that follow each other?",
        "heights.diff() holds the changes. None may be below −1e-9.",
    ],
)  # fmt: skip
