"""The exercises of lesson 05: the value of the game, its optimum, its gradients, and steps that do not circle."""

import torch
from torch.nn import functional as F

from course_lib.exercises import Exercise, Judge, Value, normal


def game_value(s_real, s_fake):
    return F.logsigmoid(s_real).mean() + F.logsigmoid(-s_fake).mean()


Exercise(
    "05.1",
    game_value,
    cases=[
        {"s_real": 2 * normal(1, 7) + 1, "s_fake": 2 * normal(2, 5) - 1},
        {"s_real": 3 * normal(3, 4), "s_fake": normal(4, 9)},
        {"s_real": torch.tensor([1000.0, 3.0, -1000.0]).double(), "s_fake": torch.tensor([-1000.0, 1000.0]).double()},
    ],
    gives=[Value("V", "the mean of log σ(s_real), plus the mean of log(1 − σ(s_fake)) = log σ(−s_fake)")],
    slips={
        "fake points, too, are rewarded for looking real": "F.logsigmoid(-s_fake) -> F.logsigmoid(s_fake)",
        "−log D is the generator's other loss; V has log(1 − D) on fake points":
            "return F.logsigmoid(s_real).mean() - F.logsigmoid(s_fake).mean()",
        "real and fake are exchanged": "return F.logsigmoid(-s_real).mean() + F.logsigmoid(s_fake).mean()",
        "the sign: that is the critic's loss, −V": "return -F.logsigmoid(s_real).mean() - F.logsigmoid(-s_fake).mean()",
        "the scores' means are taken first; the mean is that of the logarithms":
            "return F.logsigmoid(s_real.mean()) + F.logsigmoid(-s_fake.mean())",
        "sums instead of means": "return F.logsigmoid(s_real).sum() + F.logsigmoid(-s_fake).sum()",
        "one mean over all points; each side has a mean of its own":
            "return torch.cat([F.logsigmoid(s_real), F.logsigmoid(-s_fake)]).mean()",
        "log D becomes log 0 for large scores: F.logsigmoid never does":
            "return torch.sigmoid(s_real).log().mean() + (1 - torch.sigmoid(s_fake)).log().mean()",
        "half of it: V is the sum of two means": "return (F.logsigmoid(s_real).mean() + F.logsigmoid(-s_fake).mean()) / 2",
        "the real points are left out": "return F.logsigmoid(-s_fake).mean()",
        "the fake points are left out": "return F.logsigmoid(s_real).mean()",
        "scores are used as they are, without σ: that is a Wasserstein critic's": "return s_real.mean() - s_fake.mean()",
        "σ without its logarithm": "return torch.sigmoid(s_real).mean() + torch.sigmoid(-s_fake).mean()",
    },
    hints=[
        "D = σ(s) and 1 − D = σ(−s). PyTorch has log σ as F.logsigmoid, which is exact for any score.",
        "V = mean of logsigmoid(s_real) + mean of logsigmoid(−s_fake).",
    ],
)  # fmt: skip


def optimal_discriminator(log_p_r, log_p_g):
    return torch.sigmoid(log_p_r - log_p_g)


Exercise(
    "05.2",
    optimal_discriminator,
    cases=[
        {"log_p_r": normal(10, 7) - 1, "log_p_g": normal(11, 7) - 2},
        {"log_p_r": -2000 + 2 * normal(12, 5), "log_p_g": -2000 + 2 * normal(13, 5)},
        {"log_p_r": 900 + 9 * normal(14, 6), "log_p_g": 900 + 9 * normal(15, 6)},
    ],
    gives=[Value("D*", "p_r / (p_r + p_g), which is the sigmoid of log p_r − log p_g")],
    slips={
        "that is 1 − D*: the chance of being fake": "log_p_r - log_p_g -> log_p_g - log_p_r",
        "the densities themselves are 0 or infinite there: divide by p_r, and only log p_g − log p_r is left":
            "return log_p_r.exp() / (log_p_r.exp() + log_p_g.exp())",
        "the optimal score; D* is its sigmoid": "torch.sigmoid(log_p_r - log_p_g) -> log_p_r - log_p_g",
        "the ratio p_r / p_g, not p_r's share of both": "torch.sigmoid(log_p_r - log_p_g) -> torch.exp(log_p_r - log_p_g)",
        "the logarithms stand in the place of the densities": "return log_p_r / (log_p_r + log_p_g)",
        "log D*, not D*": "torch.sigmoid(log_p_r - log_p_g) -> torch.nn.functional.logsigmoid(log_p_r - log_p_g)",
        "a decision, not a probability": "return (log_p_r > log_p_g).double()",
        "a sigmoid of p_r's logarithm alone": "log_p_r - log_p_g -> log_p_r",
    },
    hints=[
        "Divide numerator and denominator of p_r / (p_r + p_g) by p_r. What is left is a function of log p_g − log p_r alone.",
        "1 / (1 + exp(−u)) is the sigmoid of u.",
    ],
)  # fmt: skip


def pulls(score):
    return -torch.sigmoid(score), -torch.sigmoid(-score)


Exercise(
    "05.3",
    pulls,
    cases=[{"score": 3 * normal(20, 7)}, {"score": 2 * normal(21, 4) - 2}, {"score": 10 * normal(22, 5)}],
    gives=[Value("minimax", "−D, with D = σ(score)"), Value("non-saturating", "−(1 − D)")],
    slips={
        "the two are exchanged: minimax saturates where D is near 0":
            "return -torch.sigmoid(-score), -torch.sigmoid(score)",
        "the slopes of what the generator makes large; the losses have the opposite sign":
            "return torch.sigmoid(score), torch.sigmoid(-score)",
        "the losses themselves; their slopes were asked for":
            "return torch.nn.functional.logsigmoid(-score), -torch.nn.functional.logsigmoid(score)",
        "with respect to D; the chain rule brings D(1 − D) for the score":
            "D = torch.sigmoid(score)\nreturn -1 / (1 - D), -1 / D",
        "the slope of the mean; each point's own loss was asked for":
            "return -torch.sigmoid(score) / len(score), -torch.sigmoid(-score) / len(score)",
        "D(1 − D) is the slope of D, not of its logarithm":
            "D = torch.sigmoid(score)\nreturn -D * (1 - D), -D * (1 - D)",
        "only minimax's sign is turned": "return torch.sigmoid(score), -torch.sigmoid(-score)",
        "both are minimax's": "return -torch.sigmoid(score), -torch.sigmoid(score)",
        "both are the non-saturating ones": "return -torch.sigmoid(-score), -torch.sigmoid(-score)",
    },
    hints=[
        "σ′ = σ(1 − σ), so the slope of log σ(s) is 1 − σ(s), and that of log(1 − σ(s)) is −σ(s).",
        "The minimax loss is log(1 − D), the non-saturating one −log D.",
    ],
)  # fmt: skip


def jensen_shannon(p, q):
    m = (p + q) / 2
    return 0.5 * (torch.xlogy(p, p / m).nansum() + torch.xlogy(q, q / m).nansum())


def _cells(seed, n, empty=()):
    p = normal(seed, n).exp()
    p[list(empty)] = 0
    return p / p.sum()


_M = "m = (p + q) / 2\n"
Exercise(
    "05.4",
    jensen_shannon,
    cases=[
        {"p": _cells(30, 7), "q": _cells(31, 7)}, {"p": _cells(32, 6, (0, 1)), "q": _cells(33, 6, (1, 4))},
        {"p": _cells(34, 4, (0, 1)), "q": _cells(35, 4, (2, 3))},
    ],
    gives=[Value("JS", "half of KL(p ‖ m) plus half of KL(q ‖ m), with m = (p + q)/2")],
    slips={
        "m lacks its ½, as in the lecture's footnote: that is JS − log 2": "m = A -> m = p + q",
        "the halves before the two KLs are missing": "0.5 * A -> A",
        "that is KL(p ‖ q), which is infinite where q alone is 0": "return torch.xlogy(p, p / q).nansum()",
        "only the half of p": _M + "return 0.5 * torch.xlogy(p, p / m).nansum()",
        "the KLs the wrong way round: m from p and from q":
            _M + "return 0.5 * (torch.xlogy(m, m / p).nansum() + torch.xlogy(m, m / q).nansum())",
        "the root of it: that is SciPy's distance":
            _M + "return (0.5 * (torch.xlogy(p, p / m).nansum() + torch.xlogy(q, q / m).nansum())).sqrt()",
        "in bits; nats were asked for":
            _M + "return 0.5 * (torch.xlogy(p, p / m).nansum() + torch.xlogy(q, q / m).nansum()) / torch.tensor(2.0).log()",
        "the sign": "0.5 * A -> -0.5 * A",
        "0 · log 0 became NaN: leave out the cells where p or q is 0":
            _M + "return 0.5 * ((p * (p / m).log()).sum() + (q * (q / m).log()).sum())",
        "cells where only one of the two is 0 count, too":
            "both = (p > 0) & (q > 0)\np, q = p[both], q[both]\nm = (p + q) / 2\n"
            "return 0.5 * (torch.xlogy(p, p / m).sum() + torch.xlogy(q, q / m).sum())",
        "half of the symmetric KL between p and q, without m":
            "return 0.5 * (torch.xlogy(p, p / q).nansum() + torch.xlogy(q, q / p).nansum())",
    },
    hints=[
        "m = (p + q)/2; then KL(p ‖ m) = Σ p log(p/m), over the cells where p > 0.",
        "torch.xlogy(p, p / m) is p log(p/m), and 0 where p is 0; where m is 0, too, it is NaN, which nansum leaves out.",
    ],
)  # fmt: skip


def r1_penalty(critic, weights, x, gamma):
    x = x.detach().requires_grad_()
    (slope,) = torch.autograd.grad(critic(x, weights).sum(), x, create_graph=True)
    return gamma / 2 * slope.square().sum(1).mean()


def _critic(x, weights):
    return torch.tanh(x @ weights).square().sum(1) + (x @ weights)[:, 0]


Exercise(
    "05.5",
    r1_penalty,
    cases=[
        {"critic": _critic, "weights": 0.6 * normal(40, 3, 4), "x": normal(41, 5, 3), "gamma": 0.7},
        {"critic": _critic, "weights": 0.8 * normal(42, 2, 3), "x": 2 * normal(43, 7, 2), "gamma": 3.0},
    ],
    gives=[Value("the penalty", "γ/2 · mean over the points of the squared length of the slope", gradient="weights")],
    slips={
        "γ/2, not γ": "gamma / 2 -> gamma",
        "γ is forgotten": "gamma / 2 -> 0.5",
        "the length of the slope, not squared": "slope.square().sum(1).mean() -> slope.norm(dim=1).mean()",
        "the slope is pulled to 1: that is a Wasserstein critic's penalty":
            "slope.square().sum(1).mean() -> (slope.norm(dim=1) - 1).square().mean()",
        "the mean over the coordinates, too; a length is their sum": "slope.square().sum(1).mean() -> slope.square().mean()",
        "the sum over the points": "slope.square().sum(1).mean() -> slope.square().sum()",
        "the mean score's slope is n times smaller than each score's: take the sum of the scores":
            "critic(x, weights).sum() -> critic(x, weights).mean()",
        "the slopes of all points were averaged before their length was taken":
            "slope.square().sum(1).mean() -> slope.mean(0).square().sum()",
        "the graph is cut, by detach or without create_graph=True: no gradient flows to the weights":
            "slope.square() -> slope.detach().square()",
        "the slope with respect to the weights; that with respect to the points is penalized":
            "w = weights.detach().requires_grad_()\n"
            "(slope,) = torch.autograd.grad(critic(x, w).sum(), w)\n"
            "return gamma / 2 * slope.square().sum() + 0 * weights.sum()",
        "the scores themselves are penalized, not their slopes":
            "return gamma / 2 * critic(x, weights).square().mean()",
        "the sign: a penalty is added to a loss": "gamma / 2 -> -gamma / 2",
    },
    hints=[
        "x = x.detach().requires_grad_(), then torch.autograd.grad(critic(x, weights).sum(), x, create_graph=True).",
        "The gradient of the sum holds each point's own slope, (n, d): a score depends on its own point alone.",
    ],
)  # fmt: skip


def optimistic(field, w, eta, steps):
    path, before = [w], None
    for _ in range(steps):
        now = field(path[-1])
        before = now if before is None else before
        path.append(path[-1] + 2 * eta * now - eta * before)
        before = now
    return torch.stack(path)


_STEP = "path[-1] + 2 * eta * now - eta * before -> "


def _field(d, seed):
    A = normal(seed, d, d)
    return lambda w: torch.sin((A - A.T) @ w.double()) - 0.1 * w


Exercise(
    "05.6",
    optimistic,
    cases=[
        {"field": _field(2, 50), "w": normal(51, 2), "eta": 0.3, "steps": 4},
        {"field": _field(3, 52), "w": normal(53, 3), "eta": 0.15, "steps": 3},
        {"field": _field(4, 54), "w": normal(55, 4), "eta": 0.5, "steps": 1},
    ],
    gives=[
        Value("the path", "w_(t+1) = w_t + 2η F(w_t) − η F(w_(t−1)), with F(w_0) before the start"),
    ],
    slips={
        "the two fields cancel: the present one counts twice, the last one once": "2 * eta * now -> eta * now",
        "the last field is subtracted, not added": _STEP + "path[-1] + 2 * eta * now + eta * before",
        "the last field is forgotten: those are simultaneous steps": _STEP + "path[-1] + eta * now",
        "before the first step the last field is F(w_0), not 0":
            "path, before = [w], 0\nfor _ in range(steps):\n    now = field(path[-1])\n"
            "    path.append(path[-1] + 2 * eta * now - eta * before)\n    before = now\nreturn torch.stack(path)",
        "each step starts at w; it starts where the last one ended": _STEP + "w + 2 * eta * now - eta * before",
        "the start is missing in the path": "torch.stack(path) -> torch.stack(path[1:])",
        "the sign of the step: w goes along the field": _STEP + "path[-1] - 2 * eta * now + eta * before",
        "the two factors are exchanged": _STEP + "path[-1] + eta * now - 2 * eta * before",
        "η is missing": _STEP + "path[-1] + 2 * now - before",
        "one step too many": "range(steps) -> range(steps + 1)",
        "only the last point; the whole path was asked for": "torch.stack(path) -> path[-1]",
    },
    hints=[
        "Keep the last field in a variable, and replace it at the end of each step.",
        "In the first step both fields are F(w_0), so it is a plain step w + ηF(w).",
    ],
)  # fmt: skip


def losses(s_real, s_fake):
    return F.softplus(-s_real).mean() + F.softplus(s_fake).mean(), F.softplus(-s_fake).mean()


def are_the_losses(losses):
    generator = torch.Generator().manual_seed(0)
    for n, m in ((7, 5), (3, 8)):
        s_real = torch.randn(n, generator=generator, dtype=torch.float64).requires_grad_()
        s_fake = torch.randn(m, generator=generator, dtype=torch.float64).requires_grad_()
        critic, forger = losses(s_real, s_fake)
        up = torch.autograd.grad(critic, [s_real, s_fake], retain_graph=True)
        (down,) = torch.autograd.grad(forger, s_fake)
        expected = (-(1 - s_real.sigmoid()) / n, s_fake.sigmoid() / m, -(1 - s_fake.sigmoid()) / m)
        if not all(torch.allclose(a, b) for a, b in zip((*up, down), expected, strict=True)):
            return False
    far = torch.tensor([-200.0, 200.0], dtype=torch.float64)
    critic, forger = losses(far, far)
    return abs(float(critic) - 200) < 1e-6 and abs(float(forger) - 100) < 1e-6


def _of(critic, forger):
    return lambda s_real, s_fake: (critic(s_real, s_fake), forger(s_fake))


def _critic_loss(a, b):
    return F.softplus(-a).mean() + F.softplus(b).mean()


def _forger_loss(b):
    return F.softplus(-b).mean()


Judge(
    "05.7",
    are_the_losses,
    right=[
        losses,
        lambda a, b: (-F.logsigmoid(a).mean() - F.logsigmoid(-b).mean(), -F.logsigmoid(b).mean()),
        lambda a, b: (torch.logaddexp(0 * a, -a).mean() + torch.logaddexp(0 * b, b).mean(), torch.logaddexp(0 * b, -b).mean()),
    ],
    wrong={
        "the generator's loss saturates": _of(_critic_loss, lambda b: -F.softplus(b).mean()),
        "the generator is rewarded for being caught": _of(_critic_loss, lambda b: F.softplus(b).mean()),
        "the critic's two kinds are exchanged": _of(lambda a, b: F.softplus(a).mean() + F.softplus(-b).mean(), _forger_loss),
        "the critic's loss has the wrong sign": _of(lambda a, b: -_critic_loss(a, b), _forger_loss),
        "the critic's loss is summed": _of(lambda a, b: F.softplus(-a).sum() + F.softplus(b).sum(), _forger_loss),
        "the generator's loss is summed": _of(_critic_loss, lambda b: F.softplus(-b).sum()),
        "the critic's losses are a Wasserstein critic's": _of(lambda a, b: b.mean() - a.mean(), lambda b: -b.mean()),
        "log 0 for large scores": _of(lambda a, b: -a.sigmoid().log().mean() - (1 - b.sigmoid()).log().mean(), _forger_loss),
        "D is clipped, and has no slope there": _of(
            lambda a, b: -a.sigmoid().clamp(0.01).log().mean() + F.softplus(b).mean(), _forger_loss
        ),
    },
    slips={
        "your check refuses a function that is right": "return False",
        "your check accepts a wrong function": "return True",
    },
    hints=[
        "Ask autograd for the gradients: −(1 − D)/n for each real score, D/m for each fake one in the critic's loss, "
        "−(1 − D)/m in the generator's.",
        "Use different numbers of real and fake points, to tell means from sums; and try scores of −200 and 200 on both sides, "
        "where the critic's loss is 200 and the generator's 100.",
    ],
)  # fmt: skip
