"""Answers to the exercises of lesson 00: wrong ones with a word that a named cause must hold, right ones in other styles."""

import numpy as np
import torch

NAMED = 0.90  # the share of wrong answers whose cause is told, as reached, less two points

SURVIVORS = {  # mutants of the solution that are no mistakes, each with the reason
    "00.1": {
        "the result is clipped to −1 … 1": "all levels lie in it",
    },
    "00.2": {
        "in one place, the sign of signal is turned": "(−signal)² is signal²",
    },
    "00.3": {
        "in one place, the sign of signal is turned": "(−signal)² is signal²",
    },
    "00.4": {
        "the order is turned round": "of one channel",
        "the result is clipped to −1 … 1": "means of pixels lie in it",
    },
}

WRONG = {
    "00.1": [
        (lambda levels: levels / 16, "0 … 1"),
        (lambda levels: levels / 8, "centred"),
        (lambda levels: 2 * levels / 17 - 1, "17 levels"),
        (lambda levels: levels / 127.5 - 1, "8-bit"),
        (lambda levels: levels / 16 - 0.5, "half as wide|halved"),
        (lambda levels: 1 - levels / 8, "exchanged|turned|other way"),
        (lambda levels: levels // 8 - 1, "whole division"),
        (lambda levels: levels / 7.5 - 1, "15"),
        (lambda levels: levels - 8, "8 times|division by 8"),
        (lambda levels: (levels - 1) / 8, "brackets|divides"),
        (lambda levels: levels / 8 + 1, "sign of 1"),
        (lambda levels: (levels - levels.mean()) / levels.std(), "mean and spread"),
        (lambda levels: 2 * levels / levels.max() - 1, "brightest"),
        (lambda levels: 8 / levels - 1, "upside down|NaN"),
        (lambda levels: levels / 8 - 2, "2|off by"),
        (lambda levels: (levels / 8 - 1).clamp(-0.9, 0.9), None),
        (lambda levels: (levels / 8 - 1).mean(), "mean over everything"),
        (lambda levels: levels * 8 - 1, "multipl"),
    ],
    "00.2": [
        (lambda x0, eps, signal: signal * x0 + (1 - signal) * eps, "add up to 1"),
        (lambda x0, eps, signal: signal * x0 + (1 - signal**2) * eps, "variance"),
        (lambda x0, eps, signal: signal * x0 + eps, "full strength"),
        (lambda x0, eps, signal: signal * (x0 + eps), "multiplies the noise"),
        (lambda x0, eps, signal: x0 + (1 - signal**2) ** 0.5 * eps, "x0 at full strength"),
        (lambda x0, eps, signal: signal * x0 - (1 - signal**2) ** 0.5 * eps, "sign"),
        (lambda x0, eps, signal: signal**2 * x0 + (1 - signal**2) ** 0.5 * eps, "squared"),
        (lambda x0, eps, signal: signal * x0 + (1 - signal) ** 0.5 * eps, "squared|variance of signal"),
        (lambda x0, eps, signal: (1 - signal**2) ** 0.5 * x0 + signal * eps, "belongs to x0"),
        (lambda x0, eps, signal: (1 - signal**2) ** 0.5 * eps, "where is x0"),
        (lambda x0, eps, signal: signal**0.5 * x0 + (1 - signal) ** 0.5 * eps, "root"),
        (lambda x0, eps, signal: signal * x0 + (1 + signal**2) ** 0.5 * eps, "sign of signal"),
        (lambda x0, eps, signal: signal * x0 + (1 - signal**2) ** 0.5 * torch.randn_like(eps), "noise of your own"),
        (lambda x0, eps, signal: (signal * x0 + (1 - signal**2) ** 0.5 * eps) / 2, "half|halved"),
        (lambda x0, eps, signal: signal * x0 + 0.5 * eps, None),
        (lambda x0, eps, signal: signal * x0 + (1 - signal**3) ** 0.5 * eps, "3"),
        (lambda x0, eps, signal: (signal * x0 + (1 - signal**2) ** 0.5 * eps).clamp(-1, 1), "clipped"),
    ],
    "00.3": [
        (lambda x_t, eps, signal: x_t - (1 - signal**2) ** 0.5 * eps, "as weak"),
        (lambda x_t, eps, signal: x_t / signal - (1 - signal**2) ** 0.5 * eps, "after the division"),
        (lambda x_t, eps, signal: (x_t - eps) / signal, "scaled"),
        (lambda x_t, eps, signal: (x_t + (1 - signal**2) ** 0.5 * eps) / signal, "once more|sign"),
        (lambda x_t, eps, signal: (x_t - (1 - signal**2) * eps) / signal, "variance"),
        (lambda x_t, eps, signal: (x_t - (1 - signal) * eps) / signal, "00.2"),
        (lambda x_t, eps, signal: x_t - (1 - signal**2) ** 0.5 * eps / signal, "only the noise"),
        (lambda x_t, eps, signal: (x_t - (1 - signal**2) ** 0.5 * eps) * signal, "weaker"),
        (lambda x_t, eps, signal: x_t - eps, "not scaled"),
        (lambda x_t, eps, signal: (eps - (1 - signal**2) ** 0.5 * x_t) / signal, "exchanged"),
        (lambda x_t, eps, signal: (x_t - signal * eps) / (1 - signal**2) ** 0.5, None),
        (lambda x_t, eps, signal: ((1 - signal**2) ** 0.5 * eps - x_t) / signal, "other way|sign"),
        (lambda x_t, eps, signal: x_t / signal, "not taken out"),
        (lambda x_t, eps, signal: (x_t - (1 - signal**2) ** 0.5 * eps) / signal**2, "squared"),
        (lambda x_t, eps, signal: (x_t - (1 - signal**2) ** 0.5 * eps) / signal**0.5, "root"),
        (lambda x_t, eps, signal: 0 * x_t, "0 everywhere"),
    ],
    "00.4": [
        (lambda x0: x0.median(0).values, "median"),
        (lambda x0: x0.mean(), "one number"),
        (lambda x0: torch.zeros_like(x0[0]), "grey"),
        (lambda x0: x0.mean((1, 2, 3)), "each digit"),
        (lambda x0: x0[0], "one of the digits"),
        (lambda x0: x0.sum(0), "added up|sum"),
        (lambda x0: x0.mean(1), "1 stands for 0"),
        (lambda x0: x0.mean().expand(1, 8, 8), "alike"),
        (lambda x0: (x0.amax(0) + x0.amin(0)) / 2, "half way"),
        (lambda x0: x0.mean(0).round(), None),
        (lambda x0: -x0.mean(0), "sign"),
        (lambda x0: x0.mean(0).transpose(-1, -2), None),
        (lambda x0: x0.std(0), "vary"),
        (lambda x0: (x0**2).mean(0), "squared"),
        (lambda x0: x0[torch.randint(len(x0), ())], "different each time"),
        (lambda x0: x0.sum(0) / (len(x0) - 1), "times one number"),
    ],
}


class Scale:
    def __call__(self, levels):
        return (levels - 8) * 0.125


def by_loop(levels):
    out = torch.empty_like(levels)
    for i, level in enumerate(levels.flatten()):
        out.view(-1)[i] = level / 8 - 1
    return out


def in_place(levels):
    levels /= 8
    return levels.sub_(1)


def unmix_in_place(x_t, eps, signal):
    x_t -= eps * np.sqrt(1 - signal**2)
    x_t /= signal
    return x_t


def guess_by_loop(x0):
    total = torch.zeros(1, 8, 8)
    for image in x0:
        total += image
    return total / len(x0)


RIGHT = {
    "00.1": [
        lambda levels: 2 * (levels / 16) - 1,
        lambda levels: np.asarray(levels) / 8 - 1,
        lambda levels: (levels.double() / 8 - 1).float(),
        lambda levels: [[v / 8 - 1 for v in row] for row in levels] if levels.ndim > 1 else [v / 8 - 1 for v in levels],
        lambda image: torch.lerp(torch.tensor(-1.0), torch.tensor(1.0), image / 16),
        lambda *, levels: (levels / 8 - 1).half(),
        Scale(), by_loop, in_place,
    ],
    "00.2": [
        lambda x0, eps, signal: signal * x0 + np.sqrt(1 - signal**2) * eps,
        lambda x0, eps, signal: (signal * x0 + (1 - signal * signal) ** 0.5 * eps).float(),
        lambda x, noise, s: s * x.numpy() + (1 - s**2) ** 0.5 * noise.numpy(),
        lambda x0, eps, signal: torch.tensor(signal) * x0 + torch.sqrt(torch.tensor(1 - signal**2)) * eps,
        lambda x0, eps, signal: [signal * x + (1 - signal**2) ** 0.5 * e for x, e in zip(x0, eps, strict=True)],
        lambda x0, eps, signal: x0.mul_(signal).add_(eps, alpha=((1 - signal) * (1 + signal)) ** 0.5),
        lambda *, x0, eps, signal: torch.stack([x0, eps], 1) @ torch.tensor([signal, (1 - signal**2) ** 0.5]).double(),
        lambda x0, eps, signal: np.cos(np.arccos(signal)) * x0 + np.sin(np.arccos(signal)) * eps,
        lambda x0, eps, signal: (signal * x0 + (1 - signal**2) ** 0.5 * eps).half(),
    ],
    "00.3": [
        lambda x_t, eps, signal: (x_t.float() - torch.sqrt(torch.tensor(1 - signal**2)) * eps.float()) / signal,
        lambda x_t, eps, signal: ((x_t - (1 - signal**2) ** 0.5 * eps) / signal).float(),
        lambda x_t, eps, signal: (x_t.numpy().astype(np.float32) - np.float32((1 - signal**2) ** 0.5) * eps.numpy()) / signal,
        lambda x_t, eps, signal: x_t / signal - eps * (1 / signal**2 - 1) ** 0.5,
        lambda x_t, eps, signal: [(x - (1 - signal**2) ** 0.5 * e) / signal for x, e in zip(x_t.tolist(), eps.tolist(), strict=True)],
        lambda x_t, eps, signal: torch.sub(x_t, eps, alpha=(1 - signal**2) ** 0.5).div(signal),
        lambda *, x_t, eps, signal: (x_t - eps * np.sqrt(1 - signal**2)) * signal**-1,
        unmix_in_place,
    ],
    "00.4": [
        lambda x0: x0.sum(0) / len(x0),
        lambda x0: x0.numpy().mean(axis=0),
        lambda x0: x0.float().mean(dim=0),
        lambda images: torch.einsum("nchw->chw", images) / images.shape[0],
        lambda x0: x0.flatten(1).mean(0).reshape(x0.shape[1:]),
        lambda *, x0: [[[float(x0[:, 0, i, j].mean()) for j in range(8)] for i in range(8)]],
        lambda x0: x0.mean(0, keepdim=True)[0],
        guess_by_loop,
    ],
}  # fmt: skip
