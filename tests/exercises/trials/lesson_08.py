"""Answers to the exercises of lesson 08: wrong ones with a word that a named cause must hold, right ones in other styles."""

import math

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from course_lib.nets import ResidualBlock, sinusoids

NAMED = 0.76  # the share of wrong answers whose cause is named, as reached, less two points


def size(n, k, s, p):
    return (n + 2 * p - k) // s + 1


def size_back(n, k, s, p):
    return (n - 1) * s - 2 * p + k


def weights(i, o, t, norms=(2, 2), kernel=9, biases=(1, 1, 1, 1), linear=True, shortcut=None):
    """norms: numbers per channel. biases: of the two convolutions, the linear layer and the shortcut."""
    has_shortcut = i != o if shortcut is None else shortcut
    convolutions = kernel * i * o + kernel * o * o + o * (biases[0] + biases[1])
    return (
        norms[0] * i
        + norms[1] * o
        + convolutions
        + linear * (t * o + o * biases[2])
        + has_shortcut * (i * o + o * biases[3])
    )


NONE = (0, 0, 0, 0)


def waves(t, exponent, base=10_000.0):
    angle = t[:, None] * base ** (-exponent)
    return torch.cat([angle.sin(), angle.cos()], dim=1)


def evenly(width):
    return torch.arange(width // 2) / (width // 2 - 1)


def parts(t, width):
    return sinusoids(t, width).chunk(2, dim=1)


def normalized(x, axes, eps, unbiased=False):
    return (x - x.mean(axes, keepdim=True)) / (x.var(axes, unbiased=unbiased, keepdim=True) + eps).sqrt()


def by_group(x, groups, normalize):
    return normalize(x.reshape(len(x), groups, -1)).reshape(x.shape)


def striped(x, groups, eps):
    n, c, h, w = x.shape
    return normalized(x.reshape(n, c // groups, groups, h, w), (1, 3, 4), eps).reshape(x.shape)


def scores(q, k):
    return q @ k.transpose(1, 2) / q.shape[2] ** 0.5


def seen(layers, kernel=lambda k, s: k - 1, start=1, before=True):
    field, jump = start, 1
    for k, s in layers:
        jump *= 1 if before else s
        field += kernel(k, s) * jump
        jump *= s if before else 1
    return field


def from_the_front(layers):
    field = 1
    for k, s in layers:
        field = (field - 1) * s + k
    return field


def inside(layers):
    field, jump = 1, 1
    for k, s in layers:
        field += (k - 1) * jump
        jump *= s
        return field
    return None


def unet(down, middle, up, x, kept=lambda before, h: h, take=-1, join=lambda h, skip: torch.cat([h, skip], dim=1)):
    skips, h = [], x
    for layer in down:
        before, h = h, layer(h)
        skips.append(kept(before, h))
    h = middle(h)
    for layer in up:
        h = layer(join(h, skips.pop(take)))
    return h


def same_skip(down, middle, up, x):
    skips, h = [], x
    for layer in down:
        h = layer(h)
        skips.append(h)
    h = middle(h)
    for layer in up:
        h = layer(torch.cat([h, skips[-1]], dim=1))
    return h


def without_graph(down, middle, up, x):
    with torch.no_grad():
        return unet(down, middle, up, x)


WRONG = {
    "08.1": [
        (lambda n, k, s, p: size(n, k, s, p) - 1, "place where the kernel starts"),
        (lambda n, k, s, p: (n + p - k) // s + 1, "counted once"),
        (lambda n, k, s, p: (n + p - k) // s, "counted once, and"),
        (lambda n, k, s, p: (n - k) // s + 1, "padding is missing"),
        (lambda n, k, s, p: (n - 2 * p - k) // s + 1, "larger|sign"),
        (lambda n, k, s, p: math.ceil((n + 2 * p - k) / s) + 1, "rounded up"),
        (lambda n, k, s, p: (n + 2 * p - k) / s + 1, "not rounded"),
        (lambda n, k, s, p: round((n + 2 * p - k) / s) + 1, "nearest"),
        (lambda n, k, s, p: math.ceil((n + 2 * p - k) / s), "rounding up adds nothing"),
        (lambda n, k, s, p: (n + 2 * p - k + 1) // s, "first place|before the division"),
        (lambda n, k, s, p: (n + 2 * p - k) / s, "not rounded, and"),
        (lambda n, k, s, p: n + 2 * p - k + 1, "division by stride|stride"),
        (lambda n, k, s, p: n + 2 * p - k // s + 1, "brackets"),
        (lambda n, k, s, p: (n + 2 * p) // s + 1, "kernel"),
        (lambda n, k, s, p: n / s, "that is n / stride,"),
        (lambda n, k, s, p: n // s, "that is n // stride"),
        (lambda n, k, s, p: math.ceil(n / s), "rounded up"),
        (lambda n, k, s, p: size_back(n, k, s, p), "transposed"),
        (lambda n, k, s, p: n, None),
        (lambda n, k, s, p: (n, size(n, k, s, p)), None),
        (lambda n, k, s, p: (n + 2 * p + k) // s + 1, "sign of kernel"),
        (lambda n, k, s, p: (n + 2 * p - s) // k + 1, "kernel and stride|stride and kernel"),
    ],
    "08.2": [
        (lambda n, k, s, p, goal: size_back(n, k, s, p) - goal, "sign|other way round"),
        (lambda n, k, s, p, goal: goal - (n * s - 2 * p + k), "n strides"),
        (lambda n, k, s, p, goal: goal - ((n - 1) * s - p + k), "counted once"),
        (lambda n, k, s, p, goal: goal - ((n - 1) * s + 2 * p + k), "wrong sign|sign of"),
        (lambda n, k, s, p, goal: size_back(n, k, s, p), "size without it"),
        (lambda n, k, s, p, goal: goal - n * s, "stride is not the size"),
        (lambda n, k, s, p, goal: goal - ((n - 1) * s + k), "padding is missing"),
        (lambda n, k, s, p, goal: goal - (n - 1) * s + 2 * p + k, "brackets"),
        (lambda n, k, s, p, goal: goal - (n - 1) * s - 2 * p + k, "brackets"),
        (lambda n, k, s, p, goal: goal - ((n - 1) * s - 2 * p), "kernel"),
        (lambda n, k, s, p, goal: goal - ((n - 1) * (s - 1) - 2 * p + k), "stride is one too small|s"),
        (lambda n, k, s, p, goal: goal - size_back(n, k, s, p) + 1, "one too many|too large"),
        (lambda n, k, s, p, goal: goal - size_back(n, k, s, p) - 1, "one too few|kernel is one too large"),
        (lambda n, k, s, p, goal: (goal - size_back(n, k, s, p)) / 2, "half|halved"),
        (lambda n, k, s, p, goal: (goal - size_back(n, k, s, p)) // 2, "half of it, rounded"),
        (lambda n, k, s, p, goal: goal - size(n, k, s, p), "ordinary"),
        (lambda n, k, s, p, goal: s - 1, "stride − 1"),
        (lambda n, k, s, p, goal: 0, "always 0|0 everywhere"),
        (lambda n, k, s, p, goal: 1, "always 1|1 everywhere"),
        (lambda n, k, s, p, goal: (n - 1) * s - 2 * p + k + goal, None),
        (lambda n, k, s, p, goal: goal % s, None),
    ],
    "08.3": [
        (lambda i, o, t: weights(i, o, t, biases=NONE), "without the biases"),
        (lambda i, o, t: weights(i, o, t, shortcut=True), "where c_in = c_out|case of"),
        (lambda i, o, t: weights(i, o, t, shortcut=False), "shortcut"),
        (lambda i, o, t: weights(i, o, t, shortcut=i == o), "other way round"),
        (lambda i, o, t: weights(i, o, t, norms=(0, 0)), "without the norms"),
        (lambda i, o, t: weights(i, o, t, kernel=3), "3×3 kernel"),
        (lambda i, o, t: weights(i, o, t) + 9 * i * o - 9 * o**2, "second convolution"),
        (lambda i, o, t: weights(i, o, t, norms=(0, 0), biases=NONE), "biases and the norms"),
        (lambda i, o, t: weights(i, o, t, biases=NONE, shortcut=False), "biases and the shortcut"),
        (lambda i, o, t: weights(i, o, t, biases=NONE, shortcut=True), "and the biases are missing"),
        (lambda i, o, t: weights(i, o, t, biases=(0, 0, 1, 0)), "biases of the convolutions"),
        (lambda i, o, t: weights(i, o, t, biases=(1, 1, 0, 1)), "c_out is missing"),
        (lambda i, o, t: weights(i, o, t, biases=(1, 1, 1, 0)), "bias of the shortcut|c_out is missing"),
        (lambda i, o, t: weights(i, o, t, norms=(2, 0)), "second norm|2 · c_out is missing"),
        (lambda i, o, t: weights(i, o, t, norms=(1, 1)), "not only a scale"),
        (lambda i, o, t: weights(i, o, t, norms=(0, 2)), "first norm|2 · c_in is missing"),
        (lambda i, o, t: weights(i, o, t, norms=(0, 4)), "c_out stands for c_in"),
        (lambda i, o, t: weights(i, o, t, norms=(4, 0)), "c_in stands for c_out"),
        (lambda i, o, t: weights(i, o, t) + 9 * o * (o - i), "first convolution starts"),
        (lambda i, o, t: weights(i, o, t) + 9 * i * i - 9 * o * o + i - o, "first convolution changes|second convolution"),
        (lambda i, o, t: weights(i, o, t) - 9 * o * o - o, "one of the two|9 · c_out · c_out \\+ c_out is missing"),
        (lambda i, o, t: weights(i, o, t) + 9 * o * (2 - i - o), "a filter has a kernel"),
        (lambda i, o, t: weights(i, o, t) + 8 * i * o * (i != o), "not 3×3"),
        (lambda i, o, t: weights(i, o, t, linear=False), "linear"),
        (lambda i, o, t: weights(i, o, t) + (t + 1) * (i - o), "leads to c_in"),
        (lambda i, o, t: weights(i, o, t) + t - t * o, "a factor, c_out, is missing"),
        (lambda i, o, t: 9 * i * o + 9 * o * o, "kernels alone"),
        (lambda i, o, t: weights(i, o, t, biases=NONE, shortcut=False, norms=(0, 0)), "biases and the norms and the shortcut"),
        (lambda i, o, t: weights(i, o, t, linear=False, norms=(0, 0)), "norms and the linear layer"),
        (lambda i, o, t: weights(i, o, t) + i * o, None),
    ],
    "08.4": [
        (lambda t, w: torch.stack(parts(t, w), dim=2).flatten(1), "take turns"),
        (lambda t, w: sinusoids(t, w).roll(w // 2, dims=1), "cosines come first|other order"),
        (lambda t, w: waves(t, torch.arange(w // 2) / (w // 2)), "reach 1"),
        (lambda t, w: waves(t, -evenly(w)), "rise"),
        (lambda t, w: torch.cat([f(t[:, None] * torch.exp(math.log(10_000) * evenly(w))) for f in (torch.sin, torch.cos)], 1), "rise"),
        (lambda t, w: torch.cat([f(t[:, None] * torch.exp(math.log(10_000) * torch.arange(w // 2) / (w // 2 - 1))) for f in (torch.sin, torch.cos)], 1), "rise"),
        (lambda t, w: torch.cat([f(t[:, None] / 10_000 ** -evenly(w)) for f in (torch.sin, torch.cos)], 1), "rise|divides"),
        (lambda t, w: waves(t, evenly(w) * math.log10(10_000), math.e), "log10"),
        (lambda t, w: waves(t, evenly(w) * math.log2(10_000), math.e), "log2"),
        (lambda t, w: waves(t, evenly(w), math.e), "where is the 10,000"),
        (lambda t, w: waves(t, -torch.linspace(1, 1e-4, w // 2).log(), math.e), "evenly"),
        (lambda t, w: sinusoids(t, 2 * w), "division by 2 is missing"),
        (lambda t, w: parts(t, w)[0], "sines alone"),
        (lambda t, w: torch.cat([parts(t, w)[0]] * 2, 1), "sin stands for cos"),
        (lambda t, w: torch.cat([parts(t, w)[1]] * 2, 1), "cos stands for sin"),
        (lambda t, w: waves(t, torch.arange(1, w // 2 + 1) / (w // 2)), None),
        (lambda t, w: waves(t, torch.arange(1, w // 2 + 1) / (w // 2 - 1)), "start at 1"),
        (lambda t, w: waves(t, evenly(w).flip(0)), "slow to fast|another order"),
        (lambda t, w: waves(t, torch.arange(w // 2) / (w - 1)), "division by 2 is missing"),
        (lambda t, w: waves(t, torch.arange(w // 2) / w), "i / width"),
        (lambda t, w: waves(t, torch.arange(w // 2) // (w // 2 - 1)), "whole division"),
        (lambda t, w: waves(2 * math.pi * t, evenly(w)), "2π"),
        (lambda t, w: waves(t / 1000, evenly(w)), "1000"),
        (lambda t, w: waves(t, evenly(w), 1000.0), "fall to 1/1000"),
        (lambda t, w: (t[:, None] * 10_000 ** -evenly(w)).repeat(1, 2), "angles"),
        (lambda t, w: sinusoids(t, w)[:, None], None),
        (lambda t, w: torch.cat(parts(t, w), 0), "0 stands for 1"),
        (lambda t, w: waves(t, torch.exp(evenly(w))), None),
    ],
    "08.5": [
        (lambda x, g, eps: normalized(x, (0, 2, 3), eps), "BatchNorm"),
        (lambda x, g, eps: F.batch_norm(x, None, None, training=True, eps=eps), "BatchNorm"),
        (lambda x, g, eps: normalized(x, (2, 3), eps), "InstanceNorm"),
        (lambda x, g, eps: normalized(x, (1, 2, 3), eps), "LayerNorm"),
        (lambda x, g, eps: normalized(x, (0, 1, 2, 3), eps), "everything together"),
        (lambda x, g, eps: normalized(x.unflatten(1, (g, -1)), (0, 2, 3, 4), eps).flatten(1, 2), "over the whole batch"),
        (lambda x, g, eps: normalized(x.unflatten(1, (g, -1)), 2, eps).flatten(1, 2), "each pixel alone"),
        (lambda x, g, eps: by_group(x, g, lambda y: normalized(y, 2, eps, unbiased=True)), "N − 1|unbiased"),
        (lambda x, g, eps: by_group(x, g, lambda y: (y - y.mean(2, keepdim=True)) / (y.std(2, unbiased=False, keepdim=True) + eps)), "cover"),
        (lambda x, g, eps: by_group(x, g, lambda y: (y - y.mean(2, keepdim=True)) / (y.std(2, keepdim=True) + eps)), "N − 1"),
        (lambda x, g, eps: by_group(x, g, lambda y: (y - y.mean(2, keepdim=True)) / (y.var(2, unbiased=False, keepdim=True) + eps)), "divided by the variance|square root"),
        (lambda x, g, eps: by_group(x, g, lambda y: (y - y.mean(2, keepdim=True)) * (y.var(2, unbiased=False, keepdim=True) + eps).sqrt()), "multipl"),
        (lambda x, g, eps: by_group(x, g, lambda y: y - y.mean(2, keepdim=True)), "not 1 yet|division"),
        (lambda x, g, eps: by_group(x, g, lambda y: y / (y.var(2, unbiased=False, keepdim=True) + eps).sqrt()), "mean is not|mean"),
        (lambda x, g, eps: by_group(x, g, lambda y: normalized(y, 2, 0.0)), "without eps|eps is missing"),
        (lambda x, g, eps: by_group(x, g, lambda y: normalized(y, 2, 0.0, unbiased=True)), "without eps; and"),
        (lambda x, g, eps: by_group(x, g, lambda y: normalized(y, 2, eps**2)), "squared"),
        (striped, "neighbours"),
        (lambda x, g, eps: F.group_norm(x, x.shape[1] // g, eps=eps), "as many channels"),
        (lambda x, g, eps: normalized(x.reshape(len(x), g, -1), 2, eps), "reshape"),
        (lambda x, g, eps: F.group_norm(x, g), None),
        (lambda x, g, eps: x, "0|mean"),
        (lambda x, g, eps: F.group_norm(x, g, eps=eps).transpose(2, 3).reshape(x.shape), None),
        (lambda x, g, eps: normalized(x, 1, eps), None),
    ],
    "08.6": [
        (lambda q, k, v: (q @ k.transpose(1, 2)).softmax(2) @ v, "division|root"),
        (lambda q, k, v: (q @ k.transpose(1, 2) / q.shape[2]).softmax(2) @ v, "root"),
        (lambda q, k, v: (q @ k.transpose(1, 2) * q.shape[2] ** 0.5).softmax(2) @ v, "multiplies"),
        (lambda q, k, v: (q @ k.transpose(1, 2) / q.shape[1] ** 0.5).softmax(2) @ v, "scaled by the pixels"),
        (lambda q, k, v: (q @ k.transpose(1, 2) / q.shape[0] ** 0.5).softmax(2) @ v, "batch"),
        (lambda q, k, v: (q @ k.transpose(1, 2) / q.shape[1]).softmax(2) @ v, "number of pixels"),
        (lambda q, k, v: (q @ k.transpose(1, 2)).softmax(2) / q.shape[2] ** 0.5 @ v, "before the softmax"),
        (lambda q, k, v: scores(q, k).softmax(1) @ v, "queries"),
        (lambda q, k, v: (q @ k.transpose(1, 2)).softmax(1) @ v, "queries; and"),
        (lambda q, k, v: scores(q, k).softmax(0) @ v, "batch"),
        (lambda q, k, v: scores(q, k).flatten(1).softmax(1).reshape(scores(q, k).shape) @ v, "all pairs"),
        (lambda q, k, v: scores(k, q).softmax(2) @ v, "q and k are exchanged"),
        (lambda q, k, v: (k @ q.transpose(1, 2)).softmax(2) @ v, "q and k are exchanged, and"),
        (lambda q, k, v: scores(q, k).softmax(2).transpose(1, 2) @ v, "transposed"),
        (lambda q, k, v: scores(q, k) @ v, r"softmax\(…\) is missing"),
        (lambda q, k, v: q @ k.transpose(1, 2) @ v, "no weights, and"),
        (lambda q, k, v: scores(q, k).exp() @ v, "without their sum"),
        (lambda q, k, v: scores(q, k) / scores(q, k).sum(2, keepdim=True) @ v, "without exp"),
        (lambda q, k, v: scores(q, k).log_softmax(2) @ v, "log_softmax"),
        (lambda q, k, v: scores(q, k).softmax(2) @ k, "k stands for v"),
        (lambda q, k, v: scores(q, k).softmax(2) @ q, "q stands for v"),
        (lambda q, k, v: scores(q, q).softmax(2) @ v, "q is used as k|q stands for k"),
        (lambda q, k, v: q + scores(q, k).softmax(2) @ v, "q is added"),
        (lambda q, k, v: v + scores(q, k).softmax(2) @ v, "v is added"),
        (lambda q, k, v: v.mean(1, keepdim=True).expand_as(v), "same weight"),
        (lambda q, k, v: v, None),
        (lambda q, k, v: scores(v, k).softmax(2) @ q, "q and v are exchanged"),
        (lambda q, k, v: scores(q, v).softmax(2) @ k, "k and v are exchanged"),
        (lambda q, k, v: v @ (q.transpose(1, 2) @ k / q.shape[2] ** 0.5).softmax(2), "channels look"),
        (lambda q, k, v: v @ (k.transpose(1, 2) @ q / q.shape[2] ** 0.5).softmax(2), "channels look"),
        (lambda q, k, v: v @ (q.transpose(1, 2) @ k / q.shape[2] ** 0.5).softmax(2).transpose(1, 2), "channels look"),
        (lambda q, k, v: scores(q, k).softmax(2), "holds the weights"),
        (lambda q, k, v: (scores(q, k).softmax(2) @ v).mean(1), "mean"),
    ],
    "08.7": [
        (lambda layers: 1 + sum(k - 1 for k, _ in layers), "ignored|jump"),
        (lambda layers: seen(layers, before=False), "after its own|too early"),
        (lambda layers: seen(layers, kernel=lambda k, s: k), "less than its kernel"),
        (lambda layers: seen(layers, start=0), "one too few|too small"),
        (lambda layers: seen(layers, kernel=lambda k, s: k, start=0), "less than its kernel; and"),
        (lambda layers: sum(k for k, _ in layers), "sum of the kernels"),
        (lambda layers: math.prod(k for k, _ in layers), "product of the kernels"),
        (from_the_front, "last layer to the first"),
        (inside, "first layer alone|loop"),
        (lambda layers: 1 + sum((k - 1) * s for k, s in layers), "own stride"),
        (lambda layers: 1 + sum((k - 1) * s for (k, _), (_, s) in zip(layers, [(1, 1), *layers], strict=False)), "layer before"),
        (lambda layers: 1 + sum((k - 1) * (1 + sum(s for _, s in layers[:i])) for i, (k, _) in enumerate(layers)), "added up"),
        (lambda layers: 1 + sum((k - 1) * 2**i for i, (k, _) in enumerate(layers)), "doubled"),
        (lambda layers: sum(k * s for k, s in layers), "kernel times stride"),
        (lambda layers: seen(layers, kernel=lambda k, s: k // 2), "one side only"),
        (lambda layers: seen(layers, kernel=lambda k, s: k // 2, start=0), "radius"),
        (lambda layers: seen(layers, kernel=lambda k, s: k // 2 * 2), "even kernel"),
        (lambda layers: seen(layers, kernel=lambda k, s: 2 * (k - 1)), "2 stands for 1|doubled"),
        (lambda layers: seen(layers) ** 2, "squared"),
        (lambda layers: math.prod(s for _, s in layers), "jump stands for field"),
        (lambda layers: seen(layers[:-1]), "last layer is left out"),
        (lambda layers: seen(layers[1:]), "first layer is left out"),
        (lambda layers: layers[-1][0], "last layer alone"),
        (lambda layers: seen([(s, k) for k, s in layers]), "exchanged"),
        (lambda layers: 3, None),
        (lambda layers: seen([(k, 2) for k, _ in layers]), "doubled"),
        (lambda layers: seen(layers) + 1, "one too large|2 stands for 1"),
        (lambda layers: (seen(layers) - 1) / 2, None),
    ],
    "08.8": [
        (lambda d, m, u, x: unet(d, m, u, x, kept=lambda before, h: before, take=0), "both bugs"),
        (lambda d, m, u, x: unet(d, m, u, x, take=0), "wrong order"),
        (lambda d, m, u, x: unet(d, m, u, x, kept=lambda before, h: before), "went into its layer"),
        (lambda d, m, u, x: unet(d, m, u, x, join=torch.add), "not added"),
        (lambda d, m, u, x: unet(d, m, u, x, join=lambda h, skip: torch.cat([skip, h], dim=1)), "skip comes first"),
        (lambda d, m, u, x: unet(d, lambda h: h, u, x), "middle is called 0 times"),
        (same_skip, "same one each time"),
        (lambda d, m, u, x: unet(d, m, u[:1], x), "inside the loop"),
        (lambda d, m, u, x: unet(d, m, u, x, kept=lambda before, h: h.detach()), "cannot learn"),
        (lambda d, m, u, x: unet(d, m, u, x, join=lambda h, skip: torch.cat([h.data, skip], dim=1)), "cannot learn"),
        (without_graph, "cannot learn"),
        (lambda d, m, u, x: unet(d, m, u, x).detach().numpy(), "cannot learn"),
        (lambda d, m, u, x: unet(d, m, u, x, join=lambda h, s: torch.tensor(np.concatenate([h.detach().numpy(), s.detach().numpy()], 1))), "cannot learn"),
        (lambda d, m, u, x: unet(d, m, u, x, join=lambda h, skip: torch.cat([h, skip])), "along the channels"),
        (lambda d, m, u, x: unet(d, m, u, x, join=lambda h, skip: h), "where is the skip"),
        (lambda d, m, u, x: unet(d, m, u, x, join=lambda h, skip: torch.cat([h, h], 1)), "way down"),
        (lambda d, m, u, x: unet(d, m, u, x, join=lambda h, skip: (h, skip)), "should get one tensor"),
        (lambda d, m, u, x: unet(d, m, u[::-1], x), r"up\[2\] gets middle's output as h|up\[0\] gets"),
        (lambda d, m, u, x: unet(d[::-1], m, u, x), r"down\[0\] gets"),
        (lambda d, m, u, x: unet([lambda h, f=f: f(x) for f in d], m, u, x), "gets x as h"),
        (lambda d, m, u, x: unet(d, lambda h: m(m(h)), u, x), "middle is called 2 times"),
        (lambda d, m, u, x: unet(d, m, u, x) + x, "nothing else"),
        (lambda d, m, u, x: [unet(d, m, u, x), x], "nothing else"),
        (lambda d, m, u, x: unet(d, m, u, x, join=lambda h, skip: torch.cat([h, 2 * skip], 1)), "something else"),
        (lambda d, m, u, x: "U", None),
    ],
}  # fmt: skip


def by_walking(n, kernel, stride, padding):
    places, at = 0, -padding
    while at + kernel <= n + padding:
        places, at = places + 1, at + stride
    return places


def by_trying(n, kernel, stride, padding, goal):
    for extra in range(stride):
        up = nn.ConvTranspose2d(1, 1, kernel, stride, padding, output_padding=extra, device="meta")
        if up(torch.empty(1, 1, n, n, device="meta")).shape[2] == goal:
            return extra
    return None


def counted(c_in, c_out, time):
    with torch.device("meta"):
        return sum(p.numel() for p in ResidualBlock(c_in, c_out, time, groups=1).parameters())


def by_list(c_in, c_out, time):
    total = 0
    for inputs, outputs, kernel in [(c_in, c_out, 3), (c_out, c_out, 3), (time, c_out, 1)] + [(c_in, c_out, 1)] * (
        c_in != c_out
    ):
        total += outputs * (inputs * kernel * kernel + 1)
    for channels in (c_in, c_out):
        total += 2 * channels
    return total


def waves_by_loop(t, width):
    half, rows = width // 2, []
    for time in t.tolist():
        angles = [time * 10_000 ** (-i / (half - 1)) for i in range(half)]
        rows.append([math.sin(a) for a in angles] + [math.cos(a) for a in angles])
    return rows


def waves_by_numpy(t, width):
    angle = np.outer(t.numpy(), np.geomspace(1, 1e-4, width // 2))
    return np.concatenate([np.sin(angle), np.cos(angle)], axis=1)


def norm_by_loop(x, groups, eps):
    out, size = torch.zeros_like(x), x.shape[1] // groups
    for i in range(len(x)):
        for c in range(0, x.shape[1], size):
            part = x[i, c : c + size]
            out[i, c : c + size] = (part - part.mean()) / torch.sqrt(((part - part.mean()) ** 2).mean() + eps)
    return out


def norm_by_numpy(x, groups, eps):
    g = x.numpy().reshape(len(x), groups, -1)
    return ((g - g.mean(-1, keepdims=True)) / np.sqrt(g.var(-1, keepdims=True) + eps)).reshape(x.shape)


def norm_in_place(x, groups, eps):
    g = x.view(len(x), groups, -1)
    g -= g.mean(-1, keepdim=True)
    g /= (g.pow(2).mean(-1, keepdim=True) + eps).sqrt_()
    return x


def attend_by_loop(q, k, v):
    out = torch.zeros_like(v)
    for b in range(len(q)):
        for i in range(q.shape[1]):
            weight = torch.stack([(q[b, i] * k[b, j]).sum() / math.sqrt(q.shape[-1]) for j in range(k.shape[1])]).exp()
            out[b, i] = (weight[:, None] * v[b]).sum(0) / weight.sum()
    return out


def attend_by_numpy(q, k, v):
    q, k, v = q.numpy(), k.numpy(), v.numpy()
    weight = np.exp(np.einsum("bic,bjc->bij", q, k) / np.sqrt(q.shape[-1]))
    return weight @ v / weight.sum(-1, keepdims=True)


def measured(layers):
    """From the first to the last input pixel that has a gradient, through convolutions of ones."""
    x = torch.ones(1, 1, 200, dtype=torch.float64, requires_grad=True)
    h = x
    for kernel, stride in layers:
        h = F.conv1d(h, torch.ones(1, 1, kernel, dtype=torch.float64), stride=stride)
    pixels = torch.autograd.grad(h[0, 0, 0], x)[0].flatten().nonzero()
    return int(pixels.max() - pixels.min()) + 1


def from_the_back(layers):
    field = 1
    while layers:
        kernel, stride = layers.pop()
        field = (field - 1) * stride + kernel
    return field


def recursive(layers):
    return (recursive(layers[1:]) - 1) * layers[0][1] + layers[0][0] if layers else 1


class Walk:
    def __call__(self, down, middle, up, x):
        self.kept = [x]
        for layer in down:
            self.kept += [layer(self.kept[-1])]
        h = middle(self.kept[-1])
        for layer in up:
            h = layer(torch.cat((h, self.kept.pop()), 1))
        return h


def by_recursion(down, middle, up, x):
    if not down:
        return middle(x)
    h = down[0](x)
    return up[-1](torch.cat([by_recursion(down[1:], middle, up[:-1], h), h], dim=-3))


def by_zip(down, middle, up, x):
    outs = []
    for f in down:
        x = f(x)
        outs.append(x)
    x = middle(x)
    for f, out in zip(up, reversed(outs), strict=True):
        x = f(torch.concatenate([x, out], 1))
    return x


def by_index(down, middle, up, x):
    h, outs = x, {}
    for i in range(len(down)):
        h = outs[i] = down[i](h)
    h = middle(h)
    for i in range(len(up)):
        both = h.new_empty(h.shape[0], 2 * h.shape[1], *h.shape[2:])
        both[:, : h.shape[1]], both[:, h.shape[1] :] = h, outs[len(up) - 1 - i]
        h = up[i](both)
    return h


def empties_the_lists(down, middle, up, x):
    skips = []
    while down:
        x = down.pop(0)(x)
        skips.insert(0, x)
    x = middle(x)
    while up:
        x = up.pop(0)(torch.hstack([x, skips.pop(0)]))
    return x


RIGHT = {
    "08.1": [
        by_walking,
        lambda n, k, s, p: nn.Conv2d(1, 1, k, s, p, device="meta")(torch.empty(1, 1, n, n, device="meta")).shape[2],
        lambda n, k, s, p: math.floor((n + 2 * p - k) / s + 1),
        lambda n, k, s, p: (n + p + p - k + s) // s,
        lambda n, k, s, p: len(range(0, n + 2 * p - k + 1, s)),
        lambda n, k, s, p: float(size(n, k, s, p)),
        lambda n, k, s, p: torch.tensor(size(n, k, s, p)),
        lambda n, k, s, p: np.int64(np.floor_divide(n + 2 * p - k, s) + 1),
        lambda *, n, kernel, stride, padding: divmod(n + 2 * padding - kernel, stride)[0] + 1,
        lambda n, k, s, p: [size(n, k, s, p)],
    ],
    "08.2": [
        by_trying,
        lambda n, k, s, p, goal: goal - size_back(n, k, s, p),
        lambda n, k, s, p, goal: goal - (n - 1) * s + 2 * p - k,
        lambda n, k, s, p, goal: (goal + 2 * p - k) % s,
        lambda n, k, s, p, goal: torch.tensor(float(goal - size_back(n, k, s, p))),
        lambda n, k, s, p, goal: np.float32(goal - size_back(n, k, s, p)),
        lambda *, n, kernel, stride, padding, goal: goal - size_back(n, kernel, stride, padding),
        lambda n, k, s, p, goal: next(e for e in range(s) if size_back(n, k, s, p) + e == goal),
    ],
    "08.3": [
        counted, by_list, weights,
        lambda i, o, t: 9 * i * o + 9 * o**2 + 2 * i + 5 * o + t * o + (i != o) * (i + 1) * o,
        lambda i, o, t: torch.tensor(weights(i, o, t)),
        lambda i, o, t: np.int32(weights(i, o, t)),
        lambda i, o, t: float(weights(i, o, t)),
        lambda *, c_in, c_out, time: counted(c_in, c_out, time),
        lambda i, o, t: o * (9 * i + 9 * o + 5 + t) + 2 * i + (0 if i == o else o * i + o),
    ],
    "08.4": [
        sinusoids, waves_by_loop, waves_by_numpy,
        lambda t, w: sinusoids(t, w).double(),
        lambda t, w: sinusoids(t, w).numpy(),
        lambda t, w: waves(t.double(), evenly(w).double()),
        lambda t, w: waves(t, evenly(w)),
        lambda t, w: torch.cat([f(torch.outer(t.float(), torch.logspace(0, -4, w // 2))) for f in (torch.sin, torch.cos)], 1),
        lambda *, t, width: torch.hstack([f(t[:, None] / 10_000 ** evenly(width)) for f in (torch.sin, torch.cos)]),
        lambda t, w: torch.view_as_real(torch.exp(1j * t[:, None] * 10_000 ** -evenly(w))).flip(2).transpose(1, 2).flatten(1),
    ],
    "08.5": [
        norm_by_loop, norm_by_numpy, norm_in_place,
        lambda x, g, eps: F.group_norm(x, g, eps=eps),
        lambda x, g, eps: F.group_norm(x.float(), g, eps=eps),
        lambda x, g, eps: nn.GroupNorm(g, x.shape[1], eps=eps, affine=False)(x),
        lambda *, x, groups, eps: normalized(x.unflatten(1, (groups, -1)), (2, 3, 4), eps).flatten(1, 2),
        lambda x, g, eps: by_group(x, g, lambda y: F.layer_norm(y, y.shape[2:], eps=eps)),
        lambda x, g, eps: torch.cat([normalized(part, (1, 2, 3), eps) for part in x.chunk(g, dim=1)], dim=1),
        lambda x, g, eps: by_group(x, g, lambda y: (y - y.mean(2, keepdim=True)) * torch.rsqrt((y**2).mean(2, keepdim=True) - y.mean(2, keepdim=True) ** 2 + eps)),
    ],
    "08.6": [
        F.scaled_dot_product_attention, attend_by_loop, attend_by_numpy,
        lambda q, k, v: F.scaled_dot_product_attention(q, k, v),
        lambda q, k, v: F.scaled_dot_product_attention(q.float(), k.float(), v.float()),
        lambda q, k, v: (scores(q, k).softmax(2) @ v).half(),
        lambda q, k, v: scores(q, k).softmax(-1).bmm(v),
        lambda *, q, k, v: torch.einsum("bij,bjc->bic", scores(q, k).softmax(2), v),
        lambda q, k, v: (scores(k, q).softmax(1)).mT @ v,
        lambda q, k, v: (q.div_(q.shape[-1] ** 0.5) @ k.mT).softmax(2) @ v,
        lambda q, k, v: [torch.softmax(a @ b.T / math.sqrt(a.shape[1]), 1) @ c for a, b, c in zip(q, k, v, strict=True)],
        lambda q, k, v: (scores(q.bfloat16(), k.bfloat16()).softmax(2) @ v.bfloat16()),
    ],
    "08.7": [
        measured, from_the_back, recursive, seen,
        lambda layers: 1 + sum((k - 1) * math.prod(s for _, s in layers[:i]) for i, (k, _) in enumerate(layers)),
        lambda layers: float(seen(layers)),
        lambda layers: torch.tensor([seen(layers)]),
        lambda layers: np.int64(1 + np.dot(np.array(layers)[:, 0] - 1, np.cumprod([1, *[s for _, s in layers[:-1]]]))),
        lambda *, layers: recursive(layers),
        lambda layers: recursive(tuple(layers)),
    ],
    "08.8": [
        Walk(), by_recursion, by_zip, by_index, empties_the_lists, unet,
        lambda *, down, middle, up, x: unet(down, middle, up, x),
        lambda d, m, u, x: unet(d, m, u, x.float()),
        lambda d, m, u, x: unet(d, m, u, x, join=lambda h, skip: torch.cat([h.float(), skip.float()], 1)).float(),
        lambda d, m, u, x: unet(d, m, u, x, kept=lambda before, h: h.clone()),
    ],
}  # fmt: skip

_SHIFTED = [f"{what} is one too {size}" for what in ("x", "something of groups") for size in ("large", "small")]
_SCORES = [
    f"{what} is one too {size}"
    for what in ("a fraction of q", "q @ k.transpose(1, 2)", "k.transpose(1, 2)", "k")
    for size in ("large", "small")
]
_SHAPE = [
    "k stands for q", "v stands for q", "a square root is taken of q", "q is squared", "q is one too large", "q is one too small",
    "the sign of q is turned", "1 − q stands for q", "q is doubled", "q is halved", "1 is divided by q", "a logarithm is taken of q",
]  # fmt: skip
_EVEN = [
    "a quotient is not rounded",
    "a quotient is rounded up",
    "a quotient is rounded to the nearest",
    "width is one too large",
]
_ONCE = "in one place, {}".format
SURVIVORS: dict[str, dict[str, str]] = {
    "08.4": dict.fromkeys([*_EVEN, *map(_ONCE, _EVEN)], "a width is even")
    | dict.fromkeys(["9999 stands for 10000", "10001 stands for 10000"], "a difference of 1 in 10,000")
    | {"the result is clipped to −1 … 1": "sines and cosines lie in it"},
    "08.5": dict.fromkeys([*_SHIFTED, *map(_ONCE, _SHIFTED)], "the mean is taken out")
    | dict.fromkeys(
        ["x − 1 stands for x", "x + 1 stands for x"], "the length of x − 1 is that of x, and the mean is taken out"
    )
    | dict.fromkeys(map(_ONCE, ["x − 1 stands for x", "x + 1 stands for x"]), "only the length of x is used there")
    | {_ONCE(f"the sign of {what} is turned"): "the variance has no sign" for what in ("x", "something of groups")}
    | {
        _ONCE(f"1 − {what} stands for {what}"): "the variance has no sign and no mean"
        for what in ("x", "something of groups")
    },
    "08.6": dict.fromkeys(_SCORES, "a row of scores grows by one number, which the softmax takes out")
    | dict.fromkeys(map(_ONCE, _SHAPE), "only the shape is used there")
    | {"q.shape is doubled": "a shape twice in a row has the same third entry"},
    "08.7": {"the two are in the other order": "1 and 1", "a square root is taken of (1, 1)": "√1 is 1"},
}
