"""The exercises of lesson 05b: the critic's turn, a penalty, fading in, curves, and a check of a distance."""

from itertools import islice

import torch
from torch.nn import functional as F

from course_lib.exercises import Exercise, Judge, Value, normal, uniform


def critic_loss_of(generator, critic, g, d, x, z):
    fake = generator(z, g).detach()
    return F.softplus(-critic(x, d)).mean() + F.softplus(critic(fake, d)).mean()


def _generator(z, g):
    return torch.tanh(z @ g)


def _critic(x, d):
    return torch.sin(x @ d + 0.5).sum(1) + (x @ d)[:, 0]


Exercise(
    "05b.1",
    critic_loss_of,
    cases=[
        {"generator": _generator, "critic": _critic, "g": normal(1, 3, 2), "d": normal(2, 2, 4), "x": normal(3, 6, 2),
         "z": normal(4, 5, 3)},
        {"generator": _generator, "critic": _critic, "g": normal(5, 2, 4), "d": normal(6, 4, 3), "x": normal(7, 3, 4),
         "z": normal(8, 7, 2)},
    ],
    gives=[Value("the loss", "mean of −log D(x), plus mean of −log(1 − D(G(z)))", gradient="d g")],
    slips={
        "the generator gets a gradient too: detach what it makes": "generator(z, g).detach() -> generator(z, g)",
        "the sign: a loss is made small, so it is −V":
            "fake = generator(z, g).detach()\nreturn -F.softplus(-critic(x, d)).mean() - F.softplus(critic(fake, d)).mean()",
        "real and fake are exchanged": "fake = generator(z, g).detach()\n"
                                       "return F.softplus(critic(x, d)).mean() + F.softplus(-critic(fake, d)).mean()",
        "the generator's loss, not the critic's": "return F.softplus(-critic(generator(z, g), d)).mean()",
        "the fake images are rewarded for looking real": "F.softplus(critic(fake, d)) -> F.softplus(-critic(fake, d))",
        "the real images are punished for looking real": "F.softplus(-critic(x, d)) -> F.softplus(critic(x, d))",
        "that is a Wasserstein critic's loss":
            "fake = generator(z, g).detach()\nreturn critic(fake, d).mean() - critic(x, d).mean()",
        "sums instead of means": "fake = generator(z, g).detach()\n"
                                 "return F.softplus(-critic(x, d)).sum() + F.softplus(critic(fake, d)).sum()",
        "half of it: each side has a mean of its own, and they are added":
            "fake = generator(z, g).detach()\n"
            "return (F.softplus(-critic(x, d)).mean() + F.softplus(critic(fake, d)).mean()) / 2",
        "the real images are missing": "fake = generator(z, g).detach()\nreturn F.softplus(critic(fake, d)).mean()",
        "the fake images are missing": "return F.softplus(-critic(x, d)).mean()",
        "one mean over all images": "fake = generator(z, g).detach()\n"
                                    "return torch.cat([F.softplus(-critic(x, d)), F.softplus(critic(fake, d))]).mean()",
        "the critic gets no gradient: cut only what comes from the generator":
            "fake = generator(z, g).detach()\nd = d.detach()\n"
            "return F.softplus(-critic(x, d)).mean() + F.softplus(critic(fake, d)).mean() + 0 * g.sum()",
    },
    hints=[
        "fake = generator(z, g).detach(): its values go on to the critic, its gradient does not come back.",
        "−log D(x) is softplus(−s), and −log(1 − D) is softplus(s).",
    ],
)  # fmt: skip


def slope_penalty(critic, d, real, fake, u, lam):
    between = ((1 - u[:, None]) * real + u[:, None] * fake).detach().requires_grad_()
    (slope,) = torch.autograd.grad(critic(between, d).sum(), between, create_graph=True)
    return lam * (slope.norm(dim=1) - 1).square().mean()


Exercise(
    "05b.2",
    slope_penalty,
    cases=[
        {"critic": _critic, "d": 0.5 * normal(10, 3, 4), "real": normal(11, 5, 3), "fake": normal(12, 5, 3),
         "u": (uniform(13, 5) + 1) / 2, "lam": 10.0},
        {"critic": _critic, "d": normal(14, 2, 3), "real": 2 * normal(15, 7, 2), "fake": normal(16, 7, 2),
         "u": (uniform(17, 7) + 1) / 2, "lam": 0.5},
    ],
    gives=[Value("the penalty", "λ · mean of (‖∇f(x̃)‖ − 1)²", gradient="d")],
    slips={
        "λ is missing": "lam * (slope.norm(dim=1) - 1).square().mean() -> (slope.norm(dim=1) - 1).square().mean()",
        "the slope is pulled to 0, not to 1": "slope.norm(dim=1) - 1 -> slope.norm(dim=1)",
        "u is the share of the fake point, not of the real one":
            "(1 - u[:, None]) * real + u[:, None] * fake -> u[:, None] * real + (1 - u[:, None]) * fake",
        "at the real points; it belongs to places between": "(1 - u[:, None]) * real + u[:, None] * fake -> real",
        "at the fake points; it belongs to places between": "(1 - u[:, None]) * real + u[:, None] * fake -> fake",
        "the squared length minus 1; the length is to be 1": "slope.norm(dim=1) - 1 -> slope.square().sum(1) - 1",
        "one length for the whole batch": "slope.norm(dim=1) - 1 -> slope.norm() - 1",
        "each coordinate is pulled to 1; the length of the slope should be": "slope.norm(dim=1) - 1 -> slope - 1",
        "the deviation is not squared": "(slope.norm(dim=1) - 1).square().mean() -> (slope.norm(dim=1) - 1).abs().mean()",
        "only slopes above 1 count here: that is the one-sided penalty":
            "slope.norm(dim=1) - 1 -> (slope.norm(dim=1) - 1).clamp(min=0)",
        "the square of the mean deviation":
            "(slope.norm(dim=1) - 1).square().mean() -> (slope.norm(dim=1) - 1).mean().square()",
        "the sum over the points": "(slope.norm(dim=1) - 1).square().mean() -> (slope.norm(dim=1) - 1).square().sum()",
        "the mean score's slope is n times smaller: take the sum of the scores":
            "critic(between, d).sum() -> critic(between, d).mean()",
        "the graph is cut, by detach or without create_graph=True: no gradient flows to d":
            "slope.norm(dim=1) - 1 -> slope.detach().norm(dim=1) - 1",
    },
    hints=[
        "u[:, None] makes (n, 1) of it, so that one u belongs to each point. Then between.detach().requires_grad_().",
        "torch.autograd.grad(critic(between, d).sum(), between, create_graph=True) gives each point's slope, (n, k).",
    ],
)  # fmt: skip


def faded(small, large, alpha):
    return (1 - alpha) * F.interpolate(small, scale_factor=2.0, mode="nearest") + alpha * large


Exercise(
    "05b.3",
    faded,
    cases=[
        {"small": normal(20, 3, 1, 2, 2), "large": normal(21, 3, 1, 4, 4), "alpha": 0.3},
        {"small": normal(22, 2, 3, 3, 2), "large": normal(23, 2, 3, 6, 4), "alpha": 0.85},
    ],
    gives=[Value("the image", "(1 − α) · enlarged small + α · large")],
    slips={
        "α is the share of the new size": "(1 - alpha) * A + alpha * large -> alpha * A + (1 - alpha) * large",
        "the small image counts fully": "return F.interpolate(small, scale_factor=2.0, mode='nearest') + alpha * large",
        "the small image is smoothed when it is enlarged; its pixels should be repeated":
            "F.interpolate(small, scale_factor=2.0, mode='nearest') -> F.interpolate(small, scale_factor=2.0, mode='bilinear')",
        "the small image is tiled; each of its pixels should be repeated":
            "F.interpolate(small, scale_factor=2.0, mode='nearest') -> small.repeat(1, 1, 2, 2)",
        "the large image alone": "return large",
        "the small image alone, enlarged": "return F.interpolate(small, scale_factor=2.0, mode='nearest')",
        "the mean of both, whatever α is":
            "return (F.interpolate(small, scale_factor=2.0, mode='nearest') + large) / 2",
        "the large image counts fully":
            "return (1 - alpha) * F.interpolate(small, scale_factor=2.0, mode='nearest') + large",
        "the large image was made small; enlarge the small one instead":
            "return (1 - alpha) * small + alpha * F.avg_pool2d(large, 2)",
        "α² in the place of α": "alpha * large -> alpha**2 * large",
    },
    hints=[
        "F.interpolate(small, scale_factor=2, mode='nearest') repeats each pixel in both directions.",
        "At α = 0 it is the enlarged small image, at α = 1 the large one, and straight in between.",
    ],
)  # fmt: skip


def diagnoses():
    return [3, 1, 4, 2]


LOOK = {
    (1, 3): "where do the unseen images lie, beside the generated ones?", (1, 4): "read the numbers on the axis of scores",
    (3, 4): "read the numbers on the axis of scores",
}  # fmt: skip


def _read(answer):
    """What is wrong with four numbers; the right ones are never told."""
    wanted = "four numbers from 1 to 4 are wanted, for A, B, C and D"
    try:
        given = [int(number) for number in islice(answer(), 5)]  # an answer may have no end
    except (TypeError, ValueError):
        return f"{wanted}, in this order, such as [1, 2, 3, 4]"
    if len(given) != 4 or not set(given) <= {1, 2, 3, 4}:
        return f"{wanted}; got {given}"
    wrong = [i for i, (own, right) in enumerate(zip(given, diagnoses(), strict=True)) if own != right]
    if not wrong:
        return ""
    if len(wrong) == 2 and given[wrong[0]] == diagnoses()[wrong[1]] and given[wrong[1]] == diagnoses()[wrong[0]]:
        kinds = tuple(sorted(given[i] for i in wrong))
        letters = " and ".join("ABCD"[i] for i in wrong)
        return f"{letters} are exchanged: {LOOK.get(kinds, 'how varied are the images of each?')}"
    if given == [diagnoses().index(kind) + 1 for kind in range(1, 5)]:
        return "that is the place of each kind; asked for is the kind at each place"
    if given == [1, 2, 3, 4]:
        return "those are the kinds in their own order; the runs stand in another"
    twice = "" if len(set(given)) == 4 else "; each kind is there once"
    return f"{4 - len(wrong)} of 4 are right{twice}"


Exercise(
    "05b.4",
    diagnoses,
    check=_read,
    slips={
        "A and B are exchanged: where do the unseen images lie": "return [1, 3, 4, 2]",
        "B and C are exchanged: read the numbers": "return [3, 4, 1, 2]",
        "A and C are exchanged: read the numbers": "return [4, 1, 3, 2]",
        "A and D are exchanged: how varied are the images": "return [2, 1, 4, 3]",
        "B and D are exchanged: how varied are the images": "return [3, 2, 4, 1]",
        "C and D are exchanged: how varied are the images": "return [3, 1, 2, 4]",
        "the kinds in their own order": "return [1, 2, 3, 4]",
        "the place of each kind": "return [2, 4, 1, 3]",
        "0 of 4 are right": "return [4, 3, 2, 1]",
        "each kind is there once": "return [3, 1, 4, 4]",
        "four numbers from 1 to 4 are wanted": "return [3, 1, 4]",
    },
    hints=[
        "First the lower row: in which run are all images alike? Then the numbers on the axes of the upper row.",
        "Unseen images below the generated ones: the critic knows its training images by heart.",
    ],
)  # fmt: skip


def is_wasserstein(distance):
    generator = torch.Generator().manual_seed(0)
    for n in (1, 2, 7):
        x, y = torch.randn(2, n, generator=generator, dtype=torch.float64)
        for a, b in ((x, y), (y, x), (x, x + 3), (3 * x - 1, y), (x, x.flip(0))):
            exact = (a.sort().values - b.sort().values).abs().mean()
            if abs(float(distance(a, b)) - float(exact)) > 1e-9:
                return False
    return True


def _sorted(x, y):
    return x.sort().values, y.sort().values


def _by_scipy(x, y):
    from scipy.stats import wasserstein_distance

    return wasserstein_distance(x, y)


def _by_steps(x, y):
    places = torch.cat([x, y]).sort().values
    gap = torch.searchsorted(x.sort().values, places, right=True) - torch.searchsorted(
        y.sort().values, places, right=True
    )
    return (gap[:-1].abs() * places.diff()).sum() / len(x)


Judge(
    "05b.5",
    is_wasserstein,
    right=[
        lambda x, y: (x.sort().values - y.sort().values).abs().mean(), _by_scipy, _by_steps,
        lambda x, y: sum(abs(a - b) for a, b in zip(sorted(x.tolist()), sorted(y.tolist()), strict=True)) / len(x),
    ],
    wrong={
        "the points are matched as they come, unsorted": lambda x, y: (x - y).abs().mean(),
        "the distance of the means": lambda x, y: (x.mean() - y.mean()).abs(),
        "the mean of all pairs": lambda x, y: (x[:, None] - y).abs().mean(),
        "the nearest point of the other sample": lambda x, y: (x[:, None] - y).abs().amin(1).mean(),
        "W₂: squared distances": lambda x, y: (_sorted(x, y)[0] - _sorted(x, y)[1]).square().mean().sqrt(),
        "squared distances without the root": lambda x, y: (_sorted(x, y)[0] - _sorted(x, y)[1]).square().mean(),
        "the sum instead of the mean": lambda x, y: (_sorted(x, y)[0] - _sorted(x, y)[1]).abs().sum(),
        "the sign is kept": lambda x, y: (_sorted(x, y)[0] - _sorted(x, y)[1]).mean(),
        "only one sample is sorted": lambda x, y: (x.sort().values - y).abs().mean(),
        "one is sorted downwards": lambda x, y: (x.sort().values - y.sort(descending=True).values).abs().mean(),
        "the largest distance": lambda x, y: (_sorted(x, y)[0] - _sorted(x, y)[1]).abs().amax(),
        "the medians": lambda x, y: (x.median() - y.median()).abs(),
        "half of it": lambda x, y: (_sorted(x, y)[0] - _sorted(x, y)[1]).abs().mean() / 2,
    },
    slips={
        "your check refuses a function that is right": "return False",
        "your check accepts a wrong function": "return True",
    },
    hints=[
        "On the axis the cheapest way matches the smallest with the smallest, and so on: sort both, and average |difference|.",
        "Try samples of 1, 2 and 7 points; a sample against itself in another order, and shifted by 3; and both orders.",
    ],
)  # fmt: skip
