"""The exercises of lesson 06: forward diffusion."""

import math

import torch

from course_lib.diffusion import NoiseSchedule
from course_lib.exercises import Exercise, NotYet, Sum, Value, as_numbers, normal, uniform

LINEAR, COSINE = NoiseSchedule.linear(), NoiseSchedule.cosine()
SHORT = NoiseSchedule.linear(20, 0.02, 0.3)


def noise_takes_over(alpha_bar):
    return int((alpha_bar < 0.5).int().argmax())


Exercise(
    "06.1",
    noise_takes_over,
    cases=[
        {"alpha_bar": schedule.alpha_bar}
        for schedule in (
            LINEAR, COSINE, SHORT, NoiseSchedule.linear(100, 0.01, 0.1), NoiseSchedule.linear(300), NoiseSchedule.cosine(77),
        )
    ],
    gives=[Value("the time", "the first t with ᾱ_t < ½")],
    slips={
        "the last time before it": "return int((alpha_bar < 0.5).int().argmax()) - 1",
        "one step late: ᾱ has T + 1 entries, so an index is t itself":
            "return int((alpha_bar < 0.5).int().argmax()) + 1",
        "the number of times after it, not the first of them": "return int((alpha_bar < 0.5).sum())",
        "√ᾱ is compared, the signal's factor; a ratio of powers compares ᾱ": "alpha_bar -> alpha_bar.sqrt()",
        "√ᾱ and √(1 − ᾱ) below what? The variances are compared, signal with noise":
            "alpha_bar < 0.5 -> (1 - alpha_bar).sqrt() > 0.5",
        "the SNR at that time, where the time itself was asked for":
            "t = int((alpha_bar < 0.5).int().argmax())\nreturn alpha_bar[t] / (1 - alpha_bar[t])",
        "ᾱ at that time, where the time itself was asked for":
            "return alpha_bar[int((alpha_bar < 0.5).int().argmax())]",
        "the middle of the chain, whatever the schedule": "return len(alpha_bar) // 2",
        "ᾱ = ½ of the linear schedule; use the table that your function is given": "alpha_bar -> LINEAR.alpha_bar",
        "an answer for each t, where the first was asked for": "return alpha_bar < 0.5",
        "all such times, where the first was asked for": "return (alpha_bar < 0.5).nonzero().flatten()",
        "the condition is turned round: at t = 0 there is no noise yet": "A < B -> A > B",
    },
    hints=[
        "snr(t) = alpha_bar[t] / (1 - alpha_bar[t]). For which alpha_bar is it 1?",
        "alpha_bar falls all the way. Compare it with 0.5, and find the first True.",
    ],
)  # fmt: skip


def q_sample(x0, t, eps, alpha_bar):
    return alpha_bar[t].sqrt() * x0 + (1 - alpha_bar[t]).sqrt() * eps


Exercise(
    "06.2",
    q_sample,
    cases=[
        {"x0": uniform(2, 53), "t": t, "eps": normal(3, 53), "alpha_bar": schedule.alpha_bar}
        for schedule, t in ((LINEAR, 300), (SHORT, 7), (LINEAR, 1), (COSINE, 700))
    ],
    gives=[Sum("x_t", x0="√ᾱ_t", eps="√(1 − ᾱ_t)")],
    slips={
        "that is one step's α_t, not the product of all": "alpha_bar[t] -> alpha_bar[t] / alpha_bar[t - 1]",
        "ᾱ_t is a product already; it is multiplied up once more": "alpha_bar[t] -> alpha_bar.cumprod(0)[t]",
        "the linear schedule's; use the table that your function is given": "alpha_bar[t] -> LINEAR.alpha_bar[t]",
        "the noise's variance; what multiplies eps is a standard deviation":
            "(1 - alpha_bar[t]).sqrt() -> (1 - alpha_bar[t])",
        "the two factors add up to 1 as they are; it is their squares that do":
            "(1 - alpha_bar[t]).sqrt() -> (1 - alpha_bar[t].sqrt())",
        "noise at full strength: a pixel's variance grows": "(1 - alpha_bar[t]).sqrt() * eps -> eps",
        "x_0 at full strength: the signal has to shrink": "alpha_bar[t].sqrt() * x0 -> x0",
        "ᾱ_t is what stays; β_t is what goes": "alpha_bar[t].sqrt() -> (1 - alpha_bar[t] / alpha_bar[t - 1]).sqrt()",
        "clipped to −1 … 1: x_t may lie outside, and its variance counts on it":
            "return (alpha_bar[t].sqrt() * x0 + (1 - alpha_bar[t]).sqrt() * eps).clamp(-1, 1)",
    },
    hints=[
        "The kernel says mean and variance of x_t. By which two numbers do x_0 and eps have to be multiplied?",
        "eps has variance 1. Multiplied by a number s it has variance s².",
    ],
)  # fmt: skip


def q_between(x_s, s, t, eps, alpha_bar):
    alpha = alpha_bar[t] / alpha_bar[s]
    return alpha.sqrt() * x_s + (1 - alpha).sqrt() * eps


Exercise(
    "06.3",
    q_between,
    cases=[
        {"x_s": normal(4, 53), "s": s, "t": t, "eps": normal(5, 53), "alpha_bar": schedule.alpha_bar}
        for schedule, s, t in ((LINEAR, 200, 500), (SHORT, 5, 12), (COSINE, 0, 300), (COSINE, 900, 901))
    ],
    gives=[Sum("x_t", x_s="√(ᾱ_t / ᾱ_s)", eps="√(1 − ᾱ_t / ᾱ_s)")],
    slips={
        "that is a jump from 0, but x_s has lost some signal already": "alpha_bar[t] / alpha_bar[s] -> alpha_bar[t]",
        "all the noise of a jump from 0, but x_s holds some of it already":
            "(1 - alpha).sqrt() -> (1 - alpha_bar[t]).sqrt()",
        "the factor for a jump from 0, but x_s has lost some of the signal already":
            "alpha.sqrt() -> alpha_bar[t].sqrt()",
        "a difference of variances, but the old noise shrinks on the way":
            "(1 - alpha).sqrt() -> (alpha_bar[s] - alpha_bar[t]).sqrt()",
        "a difference of deviations: it is variances that add":
            "(1 - alpha).sqrt() -> (1 - alpha_bar[t]).sqrt() - (1 - alpha_bar[s]).sqrt()",
        "a quotient of two noises; the new noise is what is missing to variance 1":
            "(1 - alpha).sqrt() -> ((1 - alpha_bar[t]) / (1 - alpha_bar[s]).clamp(min=1e-9)).sqrt()",
        "ᾱ at t − s: the noise between depends on where you are, not only on how far you go":
            "alpha_bar[t] / alpha_bar[s] -> alpha_bar[t - s]",
        "α_t of the last step alone": "alpha_bar[s] -> alpha_bar[t - 1]",
        "the product ends with α_(t−1): the last step is missing": "alpha_bar[t] -> alpha_bar[t - 1]",
        "the product begins with α_s, but x_s has been through that step": "alpha_bar[s] -> alpha_bar[max(s - 1, 0)]",
        "the noise's variance; what multiplies eps is a standard deviation": "(1 - alpha).sqrt() -> (1 - alpha)",
        "x_s at full strength: the signal shrinks in each step": "alpha.sqrt() * x_s -> x_s",
        "the sum of the factors is 1; it is their squares that should": "(1 - alpha).sqrt() -> (1 - alpha.sqrt())",
    },
    hints=[
        "From s to t the chain multiplies the image by √α_{s+1} · … · √α_t. Write that product with ᾱ_s and ᾱ_t.",
        "The product of the α between is ᾱ_t / ᾱ_s. The variance of the new noise is 1 minus that.",
    ],
)  # fmt: skip


def betas_of(alpha_bar):
    return 1 - alpha_bar[1:] / alpha_bar[:-1]


Exercise(
    "06.4",
    betas_of,
    cases=[{"alpha_bar": table} for table in (SHORT.alpha_bar, torch.linspace(1, 0.01, 51).double(), LINEAR.alpha_bar)],
    gives=[Value("the list of betas", "1 − ᾱ_t / ᾱ_{t−1}", rtol=1e-3)],
    slips={
        "the factors α_t that stay, not the β_t that go": "1 - A -> A",
        "a difference, but the steps multiply": "return alpha_bar[:-1] - alpha_bar[1:]",
        "1 − ᾱ_t, the noise of all steps together": "return 1 - alpha_bar[1:]",
        "divided by the ᾱ after the step; it starts from the one before": "return alpha_bar[:-1] / alpha_bar[1:] - 1",
        "−log of the factor: near β_t, but only where β_t is small": "return -(alpha_bar[1:] / alpha_bar[:-1]).log()",
        "√α_t, where α_t is asked for": "return 1 - (alpha_bar[1:] / alpha_bar[:-1]).sqrt()",
        "T + 1 entries: the first step leads to t = 1, so T betas do":
            "return torch.cat([alpha_bar.new_zeros(1), 1 - alpha_bar[1:] / alpha_bar[:-1]])",
        "the last step is missing": "return (1 - alpha_bar[1:] / alpha_bar[:-1])[:-1]",
        "the first step is missing": "return (1 - alpha_bar[1:] / alpha_bar[:-1])[1:]",
        "from T down to 1": "return (1 - alpha_bar[1:] / alpha_bar[:-1]).flip(0)",
    },
    hints=[
        "ᾱ_t is the product of the first t factors α. How do you get one factor out of two products?",
        "α_t = ᾱ_t / ᾱ_{t−1} and β_t = 1 − α_t. With tensors: alpha_bar[1:] and alpha_bar[:-1].",
    ],
)  # fmt: skip


def prior_bits(x0, alpha_bar_T):
    kl = 0.5 * (alpha_bar_T * x0**2 - alpha_bar_T - torch.log1p(-alpha_bar_T))
    return kl.flatten(1).sum(1) / math.log(2)


Exercise(
    "06.5",
    prior_bits,
    cases=[
        {"x0": uniform(seed, 3, channels, 7, 5), "alpha_bar_T": torch.tensor(left).double()}
        for seed, channels, left in ((5, 1, 0.0782), (6, 2, 0.5), (7, 1, 0.31))
    ],
    gives=[Value("the number of bits", "Σ ½ (ᾱ_T (x_0² − 1) − log(1 − ᾱ_T)) / log 2")],
    slips={
        "nats, not bits": "A / math.log(2) -> A",
        "multiplied by log 2, where it should be divided": "A / math.log(2) -> A * math.log(2)",
        "log 2 divides the logarithm alone, not all of the KL":
            "kl = 0.5 * (alpha_bar_T * (x0**2 - 1) - torch.log1p(-alpha_bar_T) / math.log(2))\nreturn kl.flatten(1).sum(1)",
        "the mean over an image's entries, where the sum was asked for": "A.sum(1) -> A.mean(1)",
        "one number for the whole batch, where each image has one": "A.flatten(1).sum(1) -> A.sum()",
        "the batch is averaged as well; each image has a number of its own": "A.sum(1) -> A.sum(1).mean()",
        "one number per pixel; an image has the sum of them": "A.flatten(1).sum(1) -> A",
        "without the ½ of the KL": "0.5 * A -> A",
        "the sign of the logarithm is turned": "A - torch.log1p(-alpha_bar_T) -> A + torch.log1p(-alpha_bar_T)",
        "the mean of x_T is forgotten: it is not 0": "alpha_bar_T * x0**2 -> 0 * x0",
        "x_0 is not squared, but the mean of x_T is to be squared whole": "x0**2 -> x0",
        "the mean's factor is not squared; in m² it is squared as x_0 is":
            "alpha_bar_T * x0**2 -> alpha_bar_T.sqrt() * x0**2",
        "ᾱ_T x_0 is taken for the mean of x_T; it has a root": "alpha_bar_T * x0**2 -> alpha_bar_T**2 * x0**2",
        "a standard deviation stands for the variance of x_T":
            "v = (1 - alpha_bar_T).sqrt()\nkl = 0.5 * (v + alpha_bar_T * x0**2 - 1 - v.log())\n"
            "return kl.flatten(1).sum(1) / math.log(2)",
        "the KL the other way round: its first argument is q(x_T | x_0)":
            "v = 1 - alpha_bar_T\nkl = 0.5 * ((1 + alpha_bar_T * x0**2) / v - 1 + v.log())\n"
            "return kl.flatten(1).sum(1) / math.log(2)",
        "the logarithm counts once for an image; each of its entries has one":
            "a = alpha_bar_T\nreturn 0.5 * ((a * (x0**2 - 1)).flatten(1).sum(1) - torch.log1p(-a)) / math.log(2)",
    },
    hints=[
        "KL(N(m, v) ‖ N(0, 1)) = ½ (v + m² − 1 − log v). What are m and v of q(x_T | x_0)?",
        "m = √ᾱ_T x_0 and v = 1 − ᾱ_T. Sum over the pixels of an image; divide nats by log 2.",
        "A batch of images gives one number per image: sum over all axes but the first.",
    ],
)  # fmt: skip


def last_beta(T, first, goal):
    low, high = first, 0.999
    for _ in range(60):
        middle = (low + high) / 2
        alpha_bar_T = (1 - torch.linspace(first, middle, T, dtype=torch.float64)).prod()
        low, high = (middle, high) if alpha_bar_T > goal else (low, middle)
    return (low + high) / 2


def _reaches(answer):
    """Any β that reaches the goal to a thousandth is right; what one reaches with another chain tells the mistake."""
    for T, first, goal in ((100, 1e-4, 1e-4), (250, 0.002, 1e-5), (1000, 1e-4, 4e-5), (10, 0.4, 1e-3)):
        found = as_numbers(answer(T, first, goal))
        if found is None or found.numel() != 1:
            return "the answer should be one number, the last β"
        beta, where = float(found), f"with T = {T} and a first β of {first:g}, "
        if abs(beta / goal - 1) < 1e-2:
            return f"{where}the answer is the goal itself, an ᾱ_T; the last β was asked for"
        if not first <= beta < 1:
            return f"{where}the last β came out as {beta:.4g}: it must lie between the first β and 1"
        if abs(beta - first) < 1e-6:
            return f"{where}the last β came out as the first: does your search go the wrong way?"

        def reached(last=beta, T=T, first=first):
            return float((1 - torch.linspace(first, last, T, dtype=torch.float64)).prod())

        if abs(reached() / goal - 1) < 1.001e-3:
            continue
        chains = {
            f"is your list of betas {T + 1} long?": reached(T=T + 1),
            f"is your list of betas {T - 1} long?": reached(T=T - 1),
            "every β of yours is the last one; they rise evenly from the first": (1 - beta) ** T,
            "your betas begin at 0, not at the first β that is given": reached(first=0.0),
            "your betas begin at 0.0001, not at the first β that is given": reached(first=1e-4),
            "√ᾱ_T reaches the goal, and ᾱ_T should": reached() ** 0.5,
            "that is the sum of the betas; it is a product of the 1 − β_t that falls": T * (first + beta) / 2,
            "exp(−Σβ) reaches the goal, which is ᾱ_T for small β alone": math.exp(-T * (first + beta) / 2),
        }
        near = [why for why, value in chains.items() if abs(value / goal - 1) < 2e-3]
        ends = "your search ended at its bound: is it wide enough, and does it go the right way?"
        limit = [ends] if beta > 0.99 or any(abs(beta - bound) < 1e-4 for bound in (0.02, 0.1, 0.2, 0.5)) else []
        off = abs(reached() / goal - 1) < 0.2 or abs(reached() - goal) < 1e-3
        soon = ["near, but the search stopped too soon: the tolerance is relative to goal"] if off else []
        why = "".join(f": {text}" for text in (near + limit + soon)[:1])
        raise NotYet(
            f"{where}and a last β of {beta:.6f}, ᾱ_T is {reached():.5g} and should be {goal:g}, to a thousandth{why}",
            "bisect between the first β and 1: where ᾱ_T is above goal, the last β is too small",
        )
    return ""


Exercise(
    "06.6",
    last_beta,
    check=_reaches,
    slips={
        "every β of yours is the last one": "return 1 - goal ** (1 / T)",
        "√ᾱ_T reaches the goal": "A > goal -> A > goal**2",
        "your betas begin at 0, not": "torch.linspace(first, A, B, dtype=I) -> torch.linspace(0, A, B, dtype=I)",
        "is your list of betas 101 long": "torch.linspace(first, A, T, dtype=I) -> torch.linspace(first, A, T + 1, dtype=I)",
        "is your list of betas 99 long": "torch.linspace(first, A, T, dtype=I) -> torch.linspace(first, A, T - 1, dtype=I)",
        "exp(−Σβ) reaches the goal": "return -2 * math.log(goal) / T - first",
        "your search ended at its bound: is it wide enough, and does it go the right way": "A > goal -> A < goal",
        "the search stopped too soon": "range(60) -> range(8)",
        "the answer is the goal itself": "return goal",
    },
    hints=[
        "A larger last β means a smaller ᾱ_T: it falls all the way, so you can close in on the goal from both sides.",
        "Bisection: keep a `low` that is too small and a `high` that is too large, try the middle, and replace one of them.",
        "torch.linspace(first, last, T, dtype=torch.float64) are the betas; (1 - betas).prod() is ᾱ_T. 60 halvings do.",
    ],
)


def bit_posterior(x_t, x0, t, beta, alpha_bar):
    before = alpha_bar[t - 1] * x0 + (1 - alpha_bar[t - 1]) / 2
    stays, flips = 1 - beta[t] / 2, beta[t] / 2
    one = torch.where(x_t == 1, stays, flips) * before
    zero = torch.where(x_t == 1, flips, stays) * (1 - before)
    return one / (one + zero)


BITS = torch.tensor([[1.0, 1, 0, 0], [1, 0, 1, 0]], dtype=torch.float64)
Exercise(
    "06.7",
    bit_posterior,
    cases=[
        {"x_t": BITS[0].repeat(copies), "x0": BITS[1].repeat(copies), "t": t, "beta": SHORT.beta, "alpha_bar": SHORT.alpha_bar}
        for t, copies in ((12, 1), (20, 3), (2, 1), (1, 1))
    ],
    gives=[Value("q(x_(t−1) = 1 | x_t, x_0)", "q(x_t | 1) q(1 | x_0) / (q(x_t | 1) q(1 | x_0) + q(x_t | 0) q(0 | x_0))")],
    slips={
        "the kernel at t, but it is x_(t−1) that is asked for": "alpha_bar[t - 1] -> alpha_bar[t]",
        "a flip is less likely: half of the fresh coins show the old side": "beta[t] / 2 -> beta[t]",
        "the probability of a 0, not of a 1": "one / (one + zero) -> zero / (one + zero)",
        "what x_0 alone says of x_(t−1); x_t tells something too": "one / (one + zero) -> before",
        "what x_t alone says of x_(t−1); x_0 tells something too": "before = A -> before = 0.5 + 0 * x0",
        "x_t counts as 1 everywhere": "x_t == 1 -> x_t == x_t",
        "the two weights are not divided by their sum": "A / (one + zero) -> A",
        "divided by the other weight: odds, not a probability": "one + zero -> zero",
        "β of the step before, but the step from t − 1 to t has β_t": "beta[t] -> beta[t - 1]",
        "√ᾱ as for Gaussians: probabilities mix linearly": "alpha_bar[t - 1] -> alpha_bar[t - 1].sqrt()",
        "the fresh coin is forgotten: with probability 1 − ᾱ it shows 0 or 1 alike":
            "A + (1 - alpha_bar[t - 1]) / 2 -> A",
        "a fresh coin shows 1 only half of the time": "(1 - alpha_bar[t - 1]) / 2 -> (1 - alpha_bar[t - 1])",
        "the mean of a Gaussian; a bit takes Bayes' rule on two cases":
            "a, b = alpha_bar[t], alpha_bar[t - 1]\n"
            "return ((1 - beta[t]).sqrt() * (1 - b) * x_t + b.sqrt() * beta[t] * x0) / (1 - a)",
    },
    hints=[
        "Bayes: q(x_{t−1} = 1 | x_t, x_0) is proportional to q(x_t | x_{t−1} = 1) · q(x_{t−1} = 1 | x_0). The other case too.",
        "If x_{t−1} = 1, then x_t is 1 with probability 1 − β_t/2. And q(x_{t−1} = 1 | x_0) is the kernel at t − 1.",
        "Compute the weight of `x_{t−1} = 1` and of `x_{t−1} = 0`, then divide the first by their sum. torch.where chooses "
        "by x_t.",
    ],
)  # fmt: skip
