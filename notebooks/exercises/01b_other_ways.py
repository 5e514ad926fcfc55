"""The exercises of lesson 01b: a classifier backwards, and one pixel at a time."""

import math

import torch
from torch.nn import functional as F

from course_lib.exercises import Exercise, Judge, Spy, Value, normal, uniform

SCORES = normal(1, 6, 4)


def classifier(x):
    return torch.tanh(x.flatten(1)) @ SCORES + 0.3 * x.flatten(1).square() @ SCORES.flip(1)


def ascend(classifier, x, y, rate):
    x = x.detach().requires_grad_()
    log_p = classifier(x).log_softmax(1)[torch.arange(len(y)), y]
    (slope,) = torch.autograd.grad(log_p.sum(), x)
    return x.detach() + rate * slope


Exercise(
    "01b.1",
    ascend,
    cases=[
        {"classifier": Spy(classifier), "x": normal(2, 5, 1, 2, 3), "y": torch.tensor([0, 3, 1, 2, 3]), "rate": 0.7},
        {"classifier": Spy(classifier), "x": normal(3, 3, 1, 2, 3), "y": torch.tensor([2, 2, 0]), "rate": 0.1},
    ],
    gives=[Value("the images", "x + rate · ∇ log p(y | x)")],
    slips={
        "brought to length 1, as the lesson's loop does; here the gradient was asked for as it is":
            "x = x.detach().requires_grad_()\nlog_p = classifier(x).log_softmax(1)[torch.arange(len(y)), y]\n"
            "(slope,) = torch.autograd.grad(log_p.sum(), x)\n"
            "return x.detach() + rate * slope / slope.flatten(1).norm(dim=1).view(-1, 1, 1, 1)",
        "downhill: the score was to rise": "x.detach() + rate * slope -> x.detach() - rate * slope",
        "the score itself, not its log-probability: the other classes have to fall, too":
            "classifier(x).log_softmax(1) -> classifier(x)",
        "the probability, not its logarithm: where it is near 0 or 1 its slope dies":
            "classifier(x).log_softmax(1) -> classifier(x).softmax(1)",
        "the mean over the batch: each image moves by less, the more images there are": "log_p.sum() -> log_p.mean()",
        "the gradient alone; it is a step from x": "x.detach() + rate * slope -> rate * slope",
        "the softmax runs over the classes, not over the batch": "A.log_softmax(1) -> A.log_softmax(0)",
        "the sum over all classes, not the wanted one":
            "classifier(x).log_softmax(1)[torch.arange(len(y)), y] -> classifier(x).log_softmax(1)",
    },
    hints=[
        "log p(y | x) is a log_softmax of the scores; pick each image's own y.",
        "x.detach().requires_grad_(), then torch.autograd.grad of the sum over the batch.",
    ],
)  # fmt: skip


def causal_mask(size, itself):
    mask = torch.ones(size, size)
    middle = size // 2
    mask[middle, middle + int(itself) :] = 0
    mask[middle + 1 :] = 0
    return mask


Exercise(
    "01b.2",
    causal_mask,
    cases=[
        {"size": size, "itself": itself}
        for size, itself in ((3, True), (3, False), (5, False), (5, True), (7, False), (1, True))
    ],
    gives=[Value("the mask", "1 in the rows above, and in the middle row to the left (and in the middle, if `itself`)")],
    slips={
        "the rows below are not known yet": "mask[middle + 1 :] = 0 -> mask[size:] = 0",
        "in its own row, too, a pixel may only look to the left":
            "mask[middle, middle + int(itself) :] = 0 -> mask[middle, middle] = float(itself)",
        "the middle is turned round: `itself` allows it": "int(itself) -> 1 - int(itself)",
        "the whole middle row is hidden, but its left half is known":
            "return torch.cat([torch.ones(size // 2, size), torch.zeros(size - size // 2, size)])",
        "a triangle orders a sequence; here whole rows come before": "return torch.ones(size, size).tril(int(itself) - 1)",
        "columns for rows: images are read row by row": "return mask -> return mask.T",
        "nothing is hidden: the network would see what it has to predict": "return torch.ones(size, size)",
        "`itself` decides whether the middle may be seen; here it always may": "int(itself) -> 1",
        "`itself` decides whether the middle may be seen; here it never may": "int(itself) -> 0",
        "ones and zeros are exchanged": "return mask -> return 1 - mask",
        "the rows above are known": "mask = torch.ones(size, size) -> mask = torch.zeros(size, size)",
    },
    hints=[
        "Everything above the middle row is known, nothing below it.",
        "In the middle row: ones before the middle; the middle itself is 1 only if `itself`.",
    ],
)  # fmt: skip


def bits_per_pixel(logits, level):
    nats = F.cross_entropy(logits, level, reduction="none")
    return nats.flatten(1).mean(1) / math.log(2)


def grey(seed, levels, *shape):
    return ((uniform(seed, *shape) + 1) / 2 * levels).long().clamp(max=levels - 1)


Exercise(
    "01b.3",
    bits_per_pixel,
    cases=[
        {"logits": normal(4, 3, 5, 2, 7), "level": grey(5, 5, 3, 2, 7)},
        {"logits": 2 * normal(6, 7, 3, 5, 2), "level": grey(7, 3, 7, 5, 2)},
    ],
    gives=[Value("the bits", "−log₂ of the probability of the pixel's grey value, averaged over the pixels")],
    slips={
        "nats; a bit is log 2 of them": "A / math.log(2) -> A",
        "multiplied by log 2, where nats have to be divided by it": "A / math.log(2) -> A * math.log(2)",
        "the bits of the whole image; per pixel was asked": "A.mean(1) -> A.sum(1)",
        "one number for the whole batch": "A.mean(1) -> A.mean()",
        "the mean was taken before the logarithm":
            "p = logits.softmax(1).gather(1, level[:, None])\nreturn -p.flatten(1).mean(1).log() / math.log(2)",
        "the sign: a probability below 1 costs bits": "nats.flatten(1) -> -nats.flatten(1)",
        "the probability of the most probable grey value, not of the one that is there":
            "return -logits.log_softmax(1).amax(1).flatten(1).mean(1) / math.log(2)",
        "scores are no log-probabilities yet: they have to be normalized":
            "return -logits.gather(1, level[:, None]).flatten(1).mean(1) / math.log(2)",
    },
    hints=[
        "log_softmax over the levels (dimension 1), then pick each pixel's own level: that is what F.cross_entropy does.",
        "Divide by log 2 to turn nats into bits, and average over the pixels of each image.",
    ],
)  # fmt: skip


def draw_level(scores, u):
    running = scores.softmax(1).cumsum(1)
    return (running <= u[:, None]).sum(1)


Exercise(
    "01b.4",
    draw_level,
    cases=[
        {"scores": 1.5 * normal(8, 31, 5), "u": (uniform(9, 31) + 1) / 2},
        {"scores": normal(10, 17, 3), "u": (uniform(11, 17) + 1) / 2},
        {"scores": normal(12, 11, 7) * 3, "u": (uniform(13, 11) + 1) / 2},
        {"scores": normal(14, 13, 2), "u": (uniform(15, 13) + 1) / 2},
        {"scores": normal(16, 7, 11), "u": (uniform(17, 7) + 1) / 2},
        {"scores": torch.tensor([[-math.inf, 0.0, 0.0], [0.0, 1.0, -math.inf]]), "u": torch.tensor([0.0, 0.999])},
    ],
    gives=[Value("the levels", "how many running sums of the softmax are at most u")],
    slips={
        "that is the most probable level, whatever the dice say": "return scores.argmax(1)",
        "the scores are no probabilities yet": "scores.softmax(1).cumsum(1) -> scores.cumsum(1)",
        "the probabilities themselves, not their running sums": "scores.softmax(1).cumsum(1) -> scores.softmax(1)",
        "one level too high": "(running <= u[:, None]).sum(1) -> (running <= u[:, None]).sum(1) + 1",
        "the order is turned round: the lowest u is the first level": "running <= u[:, None] -> running > u[:, None]",
        "u counts from the lowest level, not from the highest": "u[:, None] -> 1 - u[:, None]",
        "the sums run over the batch, not over the levels": "A.cumsum(1) -> A.cumsum(0)",
        "the softmax runs over the levels, not over the batch": "A.softmax(1) -> A.softmax(0)",
        "a level of probability 0 can't come, even if u is 0": "running <= u[:, None] -> running < u[:, None]",
        "all levels equally often": "return (u * scores.shape[1]).long()",
    },
    hints=["The running sums of the probabilities cut [0, 1) into pieces.", "Count the running sums that are at most u."],
)  # fmt: skip


def is_blind(network):
    level = torch.randint(17, (3, 64), generator=torch.Generator().manual_seed(0))
    before = network(level.view(3, 8, 8)).flatten(2)
    for i in range(64):
        other = level.clone()
        other[:, i:] = (other[:, i:] + 5) % 17
        after = network(other.view(3, 8, 8)).flatten(2)
        if not torch.allclose(before[..., : i + 1], after[..., : i + 1]):
            return False
    return True


def _looks_at(weights):
    """A network whose score at pixel i is made of the pixels j with weights[i, j] > 0."""

    def network(level):
        seen = torch.sin(level.flatten(1).double() + 1) @ weights.T
        return torch.stack([(k + 1) * seen for k in range(17)], 1).view(-1, 17, 8, 8)

    return network


BEFORE = torch.ones(64, 64).double().tril(-1)
ROW, COLUMN = torch.arange(64) // 8, torch.arange(64) % 8
UP = (ROW[:, None] > ROW).double()

Judge(
    "01b.5",
    is_blind,
    right=[_looks_at(BEFORE), _looks_at(UP), _looks_at(torch.zeros(64, 64).double())],
    wrong={
        "it sees its own pixel": _looks_at(BEFORE + torch.eye(64)),
        "it sees the next pixel": _looks_at(BEFORE + torch.eye(64).double().roll(1, 1).triu(1)),
        "only its last row sees its own pixels": _looks_at(BEFORE + torch.diag((ROW == 7).double())),
        "it sees the rows below": _looks_at(UP.T.contiguous()),
        "it sees the columns before, all of them": _looks_at((COLUMN[:, None] > COLUMN).double()),
        "a single pixel sees itself": _looks_at(BEFORE + torch.diag((torch.arange(64) == 3).double())),
        "a single pixel sees the last one": _looks_at(BEFORE + torch.eye(64).double()[3][:, None] * torch.eye(64)[63]),
    },
    slips={
        "your check refuses a function that is right": "return False",
        "your check accepts a wrong function": "return True",
        "it sees the next pixel": "level = torch.zeros(1, 8, 8, dtype=torch.long)\nother = level.clone()\n"
        "other[0, 0, 0] = 1\nreturn torch.allclose(network(level)[..., 0, 0], network(other)[..., 0, 0])",
    },
    hints=[
        "Change grey values from a pixel on, and see whether the scores up to that pixel stay as they were.",
        "One pixel is not enough: do it from each of the 64 on.",
    ],
)
