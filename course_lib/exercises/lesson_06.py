"""Lesson 06: forward diffusion."""

import math

import torch

from course_lib.diffusion import NoiseSchedule
from course_lib.exercises.exercise import Exercise, as_numbers

LINEAR = NoiseSchedule.linear()
COSINE = NoiseSchedule.cosine()


def _pixels(seed: int, n: int = 2_000) -> tuple[torch.Tensor, torch.Tensor]:
    """Random pixels in [-1, 1] and noise of the same shape, float64."""
    generator = torch.Generator().manual_seed(seed)
    x0 = 2 * torch.rand(n, generator=generator, dtype=torch.float64) - 1
    return x0, torch.randn(n, generator=generator, dtype=torch.float64)


# ---------------------------------------------------------------------------------------------------------------------
half = Exercise(
    "06.1",
    "When does noise take over?",
    minutes=5,
    hints=[
        "snr(t) = alpha_bar[t] / (1 - alpha_bar[t]). For which alpha_bar is it 1?",
        "alpha_bar falls all the way. Compare it with 0.5, and find the first True.",
    ],
)


@half.solution
def noise_takes_over(alpha_bar):
    return int((alpha_bar < 0.5).int().argmax())


@half.check
def _(noise_takes_over):
    for name, schedule in (
        ("linear", LINEAR),
        ("cosine", COSINE),
        ("linear, T = 100", NoiseSchedule.linear(100, 0.01, 0.1)),
    ):
        alpha_bar = schedule.alpha_bar
        found = as_numbers(noise_takes_over(alpha_bar))
        t = int((alpha_bar < 0.5).int().argmax())
        half.require(found is not None and found.numel() == 1, "the answer should be one time t")
        half.require_close(
            found.reshape(()), float(t), f"the first t with SNR below 1 ({name} schedule)", "the first with ᾱ_t < ½",
            {
                "the last step before it?": float(t - 1),
                "one step late: ᾱ has T + 1 entries, so an index is t itself": float(t + 1),
                "the number of times after it, not the first of them": float((alpha_bar < 0.5).sum()),
                "√ᾱ crosses ½ there, but the SNR compares ᾱ with 1 − ᾱ": float((alpha_bar.sqrt() < 0.5).int().argmax()),
                "ᾱ itself, where its index was asked for?": alpha_bar[t].item(),
            },
            rtol=1e-9,
        )  # fmt: skip


@half.wrong("compares the square root of alpha_bar")
def _(alpha_bar):
    return int((alpha_bar.sqrt() < 0.5).int().argmax())


@half.wrong("gives the last t before")
def _(alpha_bar):
    return int((alpha_bar < 0.5).int().argmax()) - 1


@half.wrong("starts counting at 1")
def _(alpha_bar):
    return int((alpha_bar < 0.5).int().argmax()) + 1


# ---------------------------------------------------------------------------------------------------------------------
jump = Exercise(
    "06.2",
    "Jump from x_0 to x_t in one step",
    minutes=10,
    hints=[
        "The kernel says mean and variance of x_t. By which two numbers do x_0 and eps have to be multiplied?",
        "eps has variance 1. Multiplied by a number s it has variance s².",
    ],
)


@jump.solution
def q_sample(x0, t, eps, alpha_bar):
    return alpha_bar[t].sqrt() * x0 + (1 - alpha_bar[t]).sqrt() * eps


@jump.check
def _(q_sample):
    """eps is given, so x_t is exact: the moments only serve to say what went wrong."""
    x0, eps = _pixels(seed=2)
    for alpha_bar, t in ((LINEAR.alpha_bar, 300), (LINEAR.alpha_bar, 1), (COSINE.alpha_bar, 700)):
        signal, noise = jump.mixture(q_sample(x0, t, eps, alpha_bar), x0, eps, of="x_0")
        jump.require_close(
            signal, alpha_bar[t].sqrt(), f"at t = {t}, the factor of x_0", "√ᾱ_t",
            {
                "ᾱ_t without its square root?": alpha_bar[t],
                "the ᾱ of the step before?": alpha_bar[t - 1].sqrt(),
                "√α_t of this one step, not the product of all?": (alpha_bar[t] / alpha_bar[t - 1]).sqrt(),
                "the two factors exchanged?": (1 - alpha_bar[t]).sqrt(),
                "the linear schedule's ᾱ_t; use the table that your function is given": LINEAR.alpha_bar[t].sqrt(),
            },
        )  # fmt: skip
        jump.require_close(
            noise, (1 - alpha_bar[t]).sqrt(), f"at t = {t}, the factor of eps", "√(1 − ᾱ_t)",
            {
                "the variance, not its square root?": 1 - alpha_bar[t],
                "1 − √ᾱ_t, where the root belongs around all of it?": 1 - alpha_bar[t].sqrt(),
                "eps with its sign turned?": -(1 - alpha_bar[t]).sqrt(),
            },
        )  # fmt: skip


@jump.wrong("scales the noise by its variance")
def _(x0, t, eps, alpha_bar):
    return alpha_bar[t].sqrt() * x0 + (1 - alpha_bar[t]) * eps


@jump.wrong("forgets the square root of the signal")
def _(x0, t, eps, alpha_bar):
    return alpha_bar[t] * x0 + (1 - alpha_bar[t]).sqrt() * eps


@jump.wrong("is one step late")
def _(x0, t, eps, alpha_bar):
    return alpha_bar[t - 1].sqrt() * x0 + (1 - alpha_bar[t - 1]).sqrt() * eps


@jump.wrong("uses alpha of one step instead of the product")
def _(x0, t, eps, alpha_bar):
    alpha = alpha_bar[t] / alpha_bar[t - 1]
    return alpha.sqrt() * x0 + (1 - alpha).sqrt() * eps


@jump.wrong("draws its own noise")
def _(x0, t, eps, alpha_bar):
    own = torch.randn(x0.shape, generator=torch.Generator().manual_seed(7), dtype=x0.dtype)
    return alpha_bar[t].sqrt() * x0 + 0 * eps + (1 - alpha_bar[t]).sqrt() * own


# ---------------------------------------------------------------------------------------------------------------------
between = Exercise(
    "06.3",
    "Jump from any x_s to a later x_t",
    minutes=10,
    hints=[
        "From s to t the chain multiplies the image by √α_{s+1} · … · √α_t. Write that product with ᾱ_s and ᾱ_t.",
        "The product of the α between is ᾱ_t / ᾱ_s. The variance of the new noise is 1 minus that.",
    ],
)


@between.solution
def q_between(x_s, s, t, eps, alpha_bar):
    alpha = alpha_bar[t] / alpha_bar[s]
    return alpha.sqrt() * x_s + (1 - alpha).sqrt() * eps


@between.check
def _(q_between):
    x_s, eps = _pixels(seed=3)
    for alpha_bar, s, t in ((LINEAR.alpha_bar, 200, 500), (COSINE.alpha_bar, 0, 300), (COSINE.alpha_bar, 900, 901)):
        signal, noise = between.mixture(q_between(x_s, s, t, eps, alpha_bar), x_s, eps, of="x_s")
        alpha = alpha_bar[t] / alpha_bar[s]
        between.require_close(
            signal, alpha.sqrt(), f"from s = {s} to t = {t}, the factor of x_s", "√(ᾱ_t / ᾱ_s)",
            {
                "the factor for a jump from 0, but x_s has lost some signal already": alpha_bar[t].sqrt(),
                "the quotient without its square root?": alpha,
                "the quotient upside down?": 1 / alpha.sqrt(),
                "α_t of the last step alone?": (alpha_bar[t] / alpha_bar[t - 1]).sqrt(),
                "ᾱ at t − s: the noise between depends on where you are, not only on how far you go": alpha_bar[t - s].sqrt(),
            },
        )  # fmt: skip
        between.require_close(
            noise, (1 - alpha).sqrt(), f"from s = {s} to t = {t}, the factor of eps", "√(1 − ᾱ_t / ᾱ_s)",
            {
                "the variance, not its square root?": 1 - alpha,
                "the noise of a jump from 0, but x_s holds some of it already": (1 - alpha_bar[t]).sqrt(),
                "a difference of deviations: it is variances that add": (1 - alpha_bar[t]).sqrt() - (1 - alpha_bar[s]).sqrt(),
                "a difference of two variances, but the old noise shrinks on the way": (alpha_bar[s] - alpha_bar[t]).sqrt(),
            },
        )  # fmt: skip


@between.wrong("jumps as if from x_0")
def _(x_s, s, t, eps, alpha_bar):
    return alpha_bar[t].sqrt() * x_s + (1 - alpha_bar[t]).sqrt() * eps


@between.wrong("subtracts the variances")
def _(x_s, s, t, eps, alpha_bar):
    return (alpha_bar[t] / alpha_bar[s]).sqrt() * x_s + (alpha_bar[s] - alpha_bar[t]).sqrt() * eps


@between.wrong("adds all the noise again")
def _(x_s, s, t, eps, alpha_bar):
    return (alpha_bar[t] / alpha_bar[s]).sqrt() * x_s + (1 - alpha_bar[t]).sqrt() * eps


@between.wrong("forgets the square root")
def _(x_s, s, t, eps, alpha_bar):
    alpha = alpha_bar[t] / alpha_bar[s]
    return alpha * x_s + (1 - alpha).sqrt() * eps


# ---------------------------------------------------------------------------------------------------------------------
design = Exercise(
    "06.4",
    "Design a schedule backwards",
    minutes=10,
    hints=[
        "ᾱ_t is the product of the first t factors α. How do you get one factor out of two products?",
        "α_t = ᾱ_t / ᾱ_{t−1} and β_t = 1 − α_t. With tensors: alpha_bar[1:] and alpha_bar[:-1].",
    ],
)


@design.solution
def betas_of(alpha_bar):
    return 1 - alpha_bar[1:] / alpha_bar[:-1]


@design.check
def _(betas_of):
    curves = {"the linear schedule": LINEAR.alpha_bar, "a falling line": torch.linspace(1, 0.01, 51).double()}
    for name, alpha_bar in curves.items():
        found = as_numbers(betas_of(alpha_bar))
        right = 1 - alpha_bar[1:] / alpha_bar[:-1]
        design.require(found is not None, "the answer should be a tensor of betas")
        design.require(
            found.shape != alpha_bar.shape,
            f"there are {len(found)} betas for the times 0 … {len(right)}: the first step leads to t = 1, so T betas do",
        )
        design.require_close(
            found, right, f"a beta of {name}", "1 − ᾱ_t / ᾱ_{t−1}",
            {
                "the factors α_t that stay, not the β_t that go?": 1 - right,
                "a difference, but the steps multiply": alpha_bar[:-1] - alpha_bar[1:],
                "the quotient upside down?": 1 - alpha_bar[:-1] / alpha_bar[1:],
                "1 − ᾱ_t, the noise of all steps together?": 1 - alpha_bar[1:],
                "the difference is divided by ᾱ_t; the step starts from ᾱ_{t−1}": alpha_bar[:-1] / alpha_bar[1:] - 1,
                "β_t with its sign turned?": alpha_bar[1:] / alpha_bar[:-1] - 1,
                "−log of the quotient: near β_t, but only for small β": -(alpha_bar[1:] / alpha_bar[:-1]).log(),
                "√α_t, where α_t is asked for?": 1 - (alpha_bar[1:] / alpha_bar[:-1]).sqrt(),
            },
            rtol=2e-3,
        )  # fmt: skip


@design.wrong("takes differences")
def _(alpha_bar):
    return alpha_bar[:-1] - alpha_bar[1:]


@design.wrong("returns alpha")
def _(alpha_bar):
    return alpha_bar[1:] / alpha_bar[:-1]


@design.wrong("keeps T + 1 entries")
def _(alpha_bar):
    return torch.cat([torch.zeros(1), 1 - alpha_bar[1:] / alpha_bar[:-1]])


@design.wrong("returns the whole noise")
def _(alpha_bar):
    return 1 - alpha_bar[1:]


# ---------------------------------------------------------------------------------------------------------------------
leftover = Exercise(
    "06.5",
    "How much of the image is left in x_T? In bits",
    minutes=15,
    hints=[
        "KL(N(m, v) ‖ N(0, 1)) = ½ (v + m² − 1 − log v). What are m and v of q(x_T | x_0)?",
        "m = √ᾱ_T x_0 and v = 1 − ᾱ_T. Sum over the pixels of an image; divide nats by log 2.",
        "A batch of images gives one number an image: sum over all axes but the first.",
    ],
)


@leftover.solution
def prior_bits(x0, alpha_bar_T):
    kl = 0.5 * (alpha_bar_T * (x0**2 - 1) - torch.log1p(-alpha_bar_T))
    return kl.flatten(1).sum(1) / math.log(2)


@leftover.check
def _(prior_bits):
    x0 = _pixels(seed=5, n=3 * 64)[0].reshape(3, 1, 8, 8)
    for alpha_bar_T in (torch.tensor(0.0782, dtype=torch.float64), torch.tensor(0.5, dtype=torch.float64)):
        nats = 0.5 * (alpha_bar_T * (x0**2 - 1) - torch.log1p(-alpha_bar_T))
        right = nats.flatten(1).sum(1) / math.log(2)
        found = as_numbers(prior_bits(x0, alpha_bar_T))
        leftover.require(found is not None, "the answer should be a tensor with one number an image")
        leftover.require(
            found.numel() != 1, "that is one number for the whole batch; sum over each image's pixels alone"
        )
        leftover.require(found.shape != x0.shape, "that is one number a pixel; sum over the pixels of each image")
        variance = 0.5 * (1 - alpha_bar_T + alpha_bar_T * x0**2 - 1 + torch.log1p(-alpha_bar_T))
        leftover.require_close(
            found, right, "the number of bits left in an image", "Σ ½ (ᾱ(x_0² − 1) − log(1 − ᾱ)) / log 2",
            {
                "nats, not bits?": right * math.log(2),
                "multiplied by log 2, where it should be divided": right * math.log(2) ** 2,
                "the mean over the pixels, where the sum was asked for": right / 64,
                "without the ½?": 2 * right,
                "the sign of the logarithm?": variance.flatten(1).sum(1) / math.log(2),
                "the mean of x_T forgotten: it is √ᾱ_T x_0, not 0":
                    (0.5 * (-alpha_bar_T - torch.log1p(-alpha_bar_T))).expand(3) * 64 / math.log(2),
                "√ᾱ_T x_0 must be squared: ᾱ_T x_0², not √ᾱ_T x_0²":
                    (0.5 * (alpha_bar_T.sqrt() * x0**2 - alpha_bar_T - torch.log1p(-alpha_bar_T))).flatten(1).sum(1)
                    / math.log(2),
            },
        )  # fmt: skip


@leftover.wrong("gives nats")
def _(x0, alpha_bar_T):
    return (0.5 * (alpha_bar_T * (x0**2 - 1) - torch.log1p(-alpha_bar_T))).flatten(1).sum(1)


@leftover.wrong("averages over the pixels")
def _(x0, alpha_bar_T):
    return (0.5 * (alpha_bar_T * (x0**2 - 1) - torch.log1p(-alpha_bar_T))).flatten(1).mean(1) / math.log(2)


@leftover.wrong("turns the sign of the logarithm")
def _(x0, alpha_bar_T):
    return (0.5 * (alpha_bar_T * (x0**2 - 1) + torch.log1p(-alpha_bar_T))).flatten(1).sum(1) / math.log(2)


@leftover.wrong("sums over the batch as well")
def _(x0, alpha_bar_T):
    return (0.5 * (alpha_bar_T * (x0**2 - 1) - torch.log1p(-alpha_bar_T))).sum() / math.log(2)


@leftover.wrong("forgets the mean")
def _(x0, alpha_bar_T):
    return (0.5 * (-alpha_bar_T - torch.log1p(-alpha_bar_T)) + 0 * x0).flatten(1).sum(1) / math.log(2)


# ---------------------------------------------------------------------------------------------------------------------
repair = Exercise(
    "06.6",
    "Repair the demo's schedule",
    minutes=20,
    hints=[
        "A larger last β means a smaller ᾱ_T: it falls all the way, so you can close in on the goal from both sides.",
        "Bisection: keep a `low` that is too small and a `high` that is too large, try the middle, and replace one of them.",
        "torch.linspace(first, last, T, dtype=torch.float64) are the betas; (1 - betas).prod() is ᾱ_T. 60 halvings do.",
    ],
)


@repair.solution
def last_beta(T, first, goal):
    low, high = first, 0.999
    for _ in range(60):
        middle = (low + high) / 2
        alpha_bar_T = (1 - torch.linspace(first, middle, T, dtype=torch.float64)).prod()
        low, high = (middle, high) if alpha_bar_T > goal else (low, middle)
    return (low + high) / 2


@repair.check
def _(last_beta):
    for T, first, goal in ((100, 1e-4, 1e-4), (250, 1e-4, 1e-5), (1000, 1e-4, 4e-5)):
        found = as_numbers(last_beta(T, first, goal))
        repair.require(found is not None and found.numel() == 1, "the answer should be one number, the last β")
        beta = found.item()
        repair.require(first <= beta < 1, f"the last β for T = {T} came out as {beta:.4g}; it must lie in {first} … 1")
        reached = (1 - torch.linspace(first, beta, T, dtype=torch.float64)).prod()
        shifted = (1 - torch.linspace(first, beta, T + 1, dtype=torch.float64)).prod()
        constant = torch.tensor(1 - beta, dtype=torch.float64) ** T
        why = ""
        for mistake, value in (
            (f": is your list of betas {T + 1} long?", shifted),
            (": is every β of yours the last one? They rise evenly from the first", constant),
            (": did you solve for √ᾱ_T?", reached.sqrt()),
        ):
            if abs(value / goal - 1) < 1e-3:
                why = mistake
        repair.require(
            abs(reached / goal - 1) < 1e-3,
            f"with T = {T} and a last β of {beta:.6f}, ᾱ_T is {reached:.4g} and should be {goal:g}, to a thousandth of it{why}",
        )


@repair.wrong("makes every beta the last one")
def _(T, first, goal):
    return 1 - goal ** (1 / T)


@repair.wrong("solves for the square root of alpha_bar")
def _(T, first, goal):
    return last_beta(T, first, goal**2)


@repair.wrong("scales the paper's 0.02 by 1000 / T, whatever the goal")
def _(T, first, goal):
    return min(0.999, 0.02 * 1000 / T)


# ---------------------------------------------------------------------------------------------------------------------
flip = Exercise(
    "06.7",
    "Undo one step of the bit-flipping chain",
    minutes=30,
    hints=[
        "Bayes: q(x_{t−1} = 1 | x_t, x_0) is proportional to q(x_t | x_{t−1} = 1) · q(x_{t−1} = 1 | x_0). The other case too.",
        "If x_{t−1} = 1, then x_t is 1 with probability 1 − β_t/2. And q(x_{t−1} = 1 | x_0) is the kernel at t − 1.",
        "Compute the weight of `x_{t−1} = 1` and of `x_{t−1} = 0`, then divide the first by their sum. torch.where chooses "
        "by x_t.",
    ],
)


@flip.solution
def bit_posterior(x_t, x0, t, beta, alpha_bar):
    before = alpha_bar[t - 1] * x0 + (1 - alpha_bar[t - 1]) / 2
    stays, flips = 1 - beta[t] / 2, beta[t] / 2
    one = torch.where(x_t == 1, stays, flips) * before
    zero = torch.where(x_t == 1, flips, stays) * (1 - before)
    return one / (one + zero)


def _bit_posterior(x_t, x0, before, flips):
    """The posterior by summing over both values of x_{t-1}, for any kernel (before) and any chance to flip."""
    prior = before * x0 + (1 - before) / 2
    one = torch.where(x_t == 1, 1 - flips, flips) * prior
    return one / (one + torch.where(x_t == 1, flips, 1 - flips) * (1 - prior))


@flip.check
def _(bit_posterior):
    beta = torch.cat([torch.zeros(1), torch.linspace(0.02, 0.3, 20)]).double()
    alpha_bar = (1 - beta).cumprod(0)
    x_t, x0 = torch.tensor([[1.0, 1, 0, 0], [1, 0, 1, 0]], dtype=torch.float64)
    for t in (12, 20, 1):
        right = _bit_posterior(x_t, x0, alpha_bar[t - 1], beta[t] / 2)
        found = as_numbers(bit_posterior(x_t, x0, t, beta, alpha_bar))
        flip.require(found is not None, "the answer should be a tensor of probabilities")
        flip.require_close(
            found, right, f"at t = {t}, q(x_(t−1) = 1 | x_t, x_0)", "what Bayes' rule says",
            {
                "the probability of a 0 instead of a 1?": 1 - right,
                "the kernel at t, but it is x_{t−1} that is asked for": _bit_posterior(x_t, x0, alpha_bar[t], beta[t] / 2),
                "a flip has probability β/2, since half of the fresh coins show the old side":
                    _bit_posterior(x_t, x0, alpha_bar[t - 1], beta[t]),
                "the prior q(x_{t−1} | x_0) alone: x_t tells something too": alpha_bar[t - 1] * x0 + (1 - alpha_bar[t - 1]) / 2,
                "β_{t−1}, but the step from t − 1 to t has β_t": _bit_posterior(x_t, x0, alpha_bar[t - 1], beta[t - 1] / 2),
                "x_t and x_0 exchanged?": _bit_posterior(x0, x_t, alpha_bar[t - 1], beta[t] / 2),
                "√ᾱ as for Gaussians: probabilities mix linearly":
                    _bit_posterior(x_t, x0, alpha_bar[t - 1].sqrt(), beta[t] / 2),
                "both weights still to be divided by their sum":
                    right * _evidence(x_t, x0, alpha_bar[t - 1], beta[t] / 2),
            },
        )  # fmt: skip


def _evidence(x_t, x0, before, flips):
    prior = before * x0 + (1 - before) / 2
    return torch.where(x_t == 1, 1 - flips, flips) * prior + torch.where(x_t == 1, flips, 1 - flips) * (1 - prior)


@flip.wrong("uses the kernel at t")
def _(x_t, x0, t, beta, alpha_bar):
    return _bit_posterior(x_t, x0, alpha_bar[t], beta[t] / 2)


@flip.wrong("flips with probability beta")
def _(x_t, x0, t, beta, alpha_bar):
    return _bit_posterior(x_t, x0, alpha_bar[t - 1], beta[t])


@flip.wrong("forgets to normalize")
def _(x_t, x0, t, beta, alpha_bar):
    before = alpha_bar[t - 1] * x0 + (1 - alpha_bar[t - 1]) / 2
    return torch.where(x_t == 1, 1 - beta[t] / 2, beta[t] / 2) * before


@flip.wrong("ignores x_t")
def _(x_t, x0, t, beta, alpha_bar):
    return alpha_bar[t - 1] * x0 + (1 - alpha_bar[t - 1]) / 2
