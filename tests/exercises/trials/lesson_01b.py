"""Answers to the exercises of lesson 01b: wrong ones with a word that a named cause must hold, right ones in other styles."""

import math

import numpy as np
import torch
from torch.nn import functional as F

NAMED = 0.92  # the share of wrong answers whose cause is told, as reached, less two points
_SHIFTED = ("classifier(x)", "classifier(x).log_softmax(1)", "log_p.sum()")
SURVIVORS = {  # mutants of the solution that are no mistakes, each with the reason
    "01b.1": dict.fromkeys(
        [f"{what} is one too {size}" for what in _SHIFTED for size in ("large", "small")], "a constant has no gradient"
    )
    | dict.fromkeys([f"something of y is one too {size}" for size in ("large", "small")], "a constant has no gradient")
    | dict.fromkeys([f"in one place, y {sign} 1 stands for y" for sign in "+−"], "only the length of y is used there")
    | dict.fromkeys(["detach(…) is missing", "in one place, detach(…) is missing"], "x comes without a graph"),
    "01b.3": dict.fromkeys(["logits is one too large", "logits is one too small"], "the softmax takes it out"),
    "01b.4": dict.fromkeys(["scores is one too large", "scores is one too small"], "the softmax takes it out"),
}


def _ascend(of, sign=1.0, mean=False, step_only=False):
    def ascend(classifier, x, y, rate):
        x = x.detach().requires_grad_()
        log_p = of(classifier(x))[torch.arange(len(y)), y]
        (slope,) = torch.autograd.grad(log_p.mean() if mean else log_p.sum(), x)
        return rate * slope if step_only else x.detach() + sign * rate * slope

    return ascend


def _backward(classifier, x, y, rate):
    x = x.clone().detach()
    x.requires_grad = True
    F.cross_entropy(classifier(x), y, reduction="sum").backward()
    return (x - rate * x.grad).detach()


def _one_by_one(classifier, x, y, rate):
    found = []
    for image, label in zip(x, y, strict=True):
        image = image[None].detach().requires_grad_()
        log_p = torch.log_softmax(classifier(image), dim=-1)[0, label]
        log_p.backward()
        found.append(image.detach() + rate * image.grad)
    return torch.cat(found)


def _mask_loop(size, itself):
    mask = np.zeros((size, size))
    for i in range(size):
        for j in range(size):
            before = i < size // 2 or (i == size // 2 and j < size // 2)
            mask[i, j] = before or (itself and i == j == size // 2)
    return mask


def _flat_mask(size, itself):
    flat = torch.zeros(size * size)
    flat[: size * size // 2 + int(itself)] = 1
    return flat.view(size, size)


def _blind(network, places=range(64), itself=True):
    level = torch.randint(17, (2, 64), generator=torch.Generator().manual_seed(3))
    before = network(level.view(2, 8, 8)).reshape(2, 17, 64)
    for i in places:
        other = level.clone()
        first = i if itself else i + 1
        other[:, first:] = 16 - other[:, first:]
        other[:, first:] += (other[:, first:] == level[:, first:]).long()
        after = network(other.view(2, 8, 8)).reshape(2, 17, 64)
        if (before[..., : i + 1] - after[..., : i + 1]).abs().max() > 1e-9:
            return False
    return True


def _blind_by_one(network):
    level = np.full((1, 64), 3)
    before = np.asarray(network(torch.tensor(level).view(1, 8, 8))).reshape(17, 64)
    for i in range(64):
        for value in (0, 9, 16):
            other = level.copy()
            other[0, i] = value
            after = np.asarray(network(torch.tensor(other).view(1, 8, 8))).reshape(17, 64)
            if not np.allclose(before[:, : i + 1], after[:, : i + 1]):
                return False
    return True


WRONG = {
    "01b.1": [
        (_ascend(lambda s: s.log_softmax(1), sign=-1.0), "downhill|sign"),
        (_ascend(lambda s: s), "score"),
        (_ascend(lambda s: s.softmax(1)), "probability|softmax"),
        (_ascend(lambda s: s.log_softmax(1), mean=True), "mean"),
        (_ascend(lambda s: s.log_softmax(1), step_only=True), "alone"),
        (_ascend(lambda s: s.log_softmax(0)), "over the classes"),
        (lambda classifier, x, y, rate: x, "missing"),
        (lambda classifier, x, y, rate: _backward(classifier, x, y, 2 * rate), "doubled"),
        (lambda classifier, x, y, rate: _backward(classifier, x, (y + 1) % 4, rate), None),
    ],
    "01b.2": [
        (lambda size, itself: torch.ones(size, size), "nothing is hidden"),
        (lambda size, itself: torch.ones(size, size).tril(int(itself) - 1), "columns|triangle"),
        (lambda size, itself: _flat_mask(size, not itself), "turned round"),
        (lambda size, itself: _flat_mask(size, True), "always may"),
        (lambda size, itself: _flat_mask(size, False), "never may"),
        (lambda size, itself: 1 - _flat_mask(size, itself), "exchanged"),
        (lambda size, itself: _flat_mask(size, itself).T, "columns|transposed"),
        (lambda size, itself: _flat_mask(size, itself).flatten(), "shape"),
    ],
    "01b.3": [
        (lambda logits, level: F.cross_entropy(logits, level, reduction="none").flatten(1).mean(1), "nats|bit"),
        (
            lambda logits, level: F.cross_entropy(logits, level, reduction="none").flatten(1).mean(1) * math.log(2),
            "multipl",
        ),
        (
            lambda logits, level: F.cross_entropy(logits, level, reduction="none").flatten(1).sum(1) / math.log(2),
            "whole image|sum",
        ),
        (lambda logits, level: F.cross_entropy(logits, level) / math.log(2), "batch|shape"),
        (
            lambda logits, level: -F.cross_entropy(logits, level, reduction="none").flatten(1).mean(1) / math.log(2),
            "sign",
        ),
        (lambda logits, level: -logits.gather(1, level[:, None]).flatten(1).mean(1) / math.log(2), "normalized|scores"),
        (lambda logits, level: -logits.log_softmax(1).amax(1).flatten(1).mean(1) / math.log(2), "most probable"),
        (lambda logits, level: -logits.softmax(1).gather(1, level[:, None]).flatten(1).mean(1) / math.log(2), None),
        (lambda logits, level: F.cross_entropy(logits, level, reduction="none").flatten(1).mean(1) / 2, "log"),
    ],
    "01b.4": [
        (lambda scores, u: scores.argmax(1), "most probable"),
        (lambda scores, u: (scores.cumsum(1) <= u[:, None]).sum(1), "probabilities"),
        (lambda scores, u: (scores.softmax(1) <= u[:, None]).sum(1), "running"),
        (lambda scores, u: (scores.softmax(1).cumsum(1) > u[:, None]).sum(1), "turned"),
        (lambda scores, u: (scores.softmax(1).cumsum(1) <= u[:, None]).sum(1) + 1, "high|off"),
        (lambda scores, u: (u * scores.shape[1]).long(), "equally"),
        (lambda scores, u: (scores.softmax(1).cumsum(1) <= 1 - u[:, None]).sum(1), "1 − u|lowest level"),
        (lambda scores, u: torch.zeros(len(u), dtype=torch.long), "0 everywhere"),
        (lambda scores, u: (scores.softmax(1).cumsum(1) < u[:, None]).sum(1), "probability 0"),
        (lambda scores, u: (scores.softmax(0).cumsum(1) <= u[:, None]).sum(1), "over the levels"),
    ],
    "01b.5": [
        (lambda network: True, "accepts a wrong"),
        (lambda network: False, "refuses"),
        (lambda network: not _blind(network), "refuses"),
        (lambda network: _blind(network, range(1)), "accepts a wrong"),
        (lambda network: _blind(network, [63]), "accepts a wrong"),
        (lambda network: _blind(network, itself=False), "own pixel"),
        (lambda network: bool(network(torch.zeros(1, 8, 8, dtype=torch.long)).std() >= 0), "accepts a wrong"),
        (lambda network: _blind(network, range(0, 64, 8)), "accepts a wrong"),
    ],
}

RIGHT = {
    "01b.1": [
        _backward,
        _one_by_one,
        _ascend(lambda s: s - s.logsumexp(1, keepdim=True)),
        lambda classifier, x, y, rate: _backward(classifier, x.double(), y, rate),
        lambda classifier, x, y, rate: _backward(classifier, x, y, rate).numpy(),
        lambda classifier, x, y, rate: _one_by_one(classifier, x=x, y=y, rate=float(rate)),
    ],
    "01b.2": [
        _mask_loop,
        _flat_mask,
        lambda size, itself: _flat_mask(size, itself).bool(),
        lambda size, itself: _flat_mask(size, itself).numpy(),
        lambda size, itself: _flat_mask(size, itself).long(),
        lambda size, itself: (torch.arange(size * size) < size * size // 2 + itself).view(size, size).double(),
    ],
    "01b.3": [
        lambda logits, level: -logits.log_softmax(1).gather(1, level[:, None])[:, 0].mean((1, 2)) / math.log(2),
        lambda logits, level: (
            torch.stack([F.cross_entropy(a[None], b[None]) for a, b in zip(logits, level, strict=True)]) / math.log(2)
        ),
        lambda logits, level: F.nll_loss(logits.log_softmax(1), level, reduction="none").mean((1, 2)) / np.log(2),
        lambda logits, level: -(logits.softmax(1).gather(1, level.unsqueeze(1)).squeeze(1)).log2().flatten(1).mean(1),
        lambda logits, level: (F.cross_entropy(logits, level, reduction="none").mean(dim=(1, 2)) / math.log(2)).numpy(),
        lambda logits, level: F.cross_entropy(logits.float(), level, reduction="none").mean(dim=(1, 2)) / math.log(2),
    ],
    "01b.4": [
        lambda scores, u: (scores.softmax(1).cumsum(1) <= u.unsqueeze(1)).sum(dim=1),
        lambda scores, u: torch.searchsorted(scores.softmax(1).cumsum(1), u[:, None], right=True)[:, 0],
        lambda scores, u: (scores.softmax(1).cumsum(1) > u[:, None]).int().argmax(1),
        lambda scores, u: np.array(
            [
                np.searchsorted(np.cumsum(row), v, side="right")
                for row, v in zip(scores.softmax(1).numpy(), u.numpy(), strict=True)
            ]
        ),
        lambda scores, u: torch.tensor(
            [next(i for i, c in enumerate(row.softmax(0).cumsum(0)) if c > v) for row, v in zip(scores, u, strict=True)]
        ),
        lambda scores, u: (scores.exp().cumsum(1) <= u[:, None] * scores.exp().sum(1, keepdim=True)).sum(1),
    ],
    "01b.5": [
        _blind,
        lambda network: torch.tensor(_blind(network)),
        lambda network: _blind(network, range(63, -1, -1)),
        _blind_by_one,
        lambda network: int(_blind(network)),
        lambda network: all(_blind(network, [i]) for i in range(64)),
    ],
}
