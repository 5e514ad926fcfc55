"""Lesson 08: the U-Net."""

import itertools
import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from course_lib.exercises.old import Exercise, as_numbers
from course_lib.nets import ResidualBlock, sinusoids


def _require_all(exercise, cases, formula):
    """cases: (what, found, right, mistakes), each one number. A mistake is named only where it explains all of them."""
    answers = [as_numbers(found) for _, found, _, _ in cases]
    exercise.require(all(a is not None and a.numel() == 1 for a in answers), "the answer should be one number")
    mistakes = [case[3] for case in cases]
    named = [
        why
        for why in mistakes[0]
        if all(math.isclose(a, m[why], rel_tol=1e-6) for a, m in zip(answers, mistakes, strict=True))
    ]
    for answer, (what, _, right, gives) in zip(answers, cases, strict=True):
        known = {why: float(gives[why]) for why in named}
        exercise.require_close(answer.reshape(()), float(right), what, formula, known, rtol=1e-6)


def _without_rounding(found: Tensor, candidates, tolerance: float) -> Tensor:
    """found, or the first candidate that it is up to an absolute error: float32's, where require_close is relative."""
    same = (c for c in candidates if c.shape == found.shape and (c - found).abs().max() < tolerance)
    return next(same, found)


# ---------------------------------------------------------------------------------------------------------------------
sizes = Exercise(
    "08.1",
    "Sizes",
    minutes=5,
    hints=[
        "With its padding the image has n + 2 · padding rows; the kernel covers `kernel` of them. How far can it move?",
        "It moves in steps of `stride`, and one that doesn't fit is dropped: `//`. The place where it starts counts.",
    ],
)


@sizes.solution
def conv_size(n, kernel, stride, padding):
    return (n + 2 * padding - kernel) // stride + 1


def _conv_size(n, kernel, stride, padding):
    """What PyTorch makes of it; "meta" tensors have a shape and no numbers."""
    conv = nn.Conv2d(1, 1, kernel, stride, padding, device="meta")
    return conv(torch.empty(1, 1, n, n, device="meta")).shape[2]


@sizes.check
def _(conv_size):
    cases = []
    for n, k, s, p in (
        (100, 3, 2, 1), (28, 3, 1, 1), (7, 3, 2, 1), (28, 5, 3, 0), (14, 4, 2, 1), (9, 1, 2, 0), (28, 7, 4, 2)
    ):  # fmt: skip
        way = n + 2 * p - k
        cases.append((
            f"the height for n = {n}, kernel {k}, stride {s}, padding {p}",
            conv_size(n, k, s, p),
            _conv_size(n, k, s, p),
            {
                "the + 1 is missing, the place where the kernel starts": way // s,
                "the padding is counted once, but it is added at both ends": (n + p - k) // s + 1,
                "the padding is counted once, and the + 1 is missing": (n + p - k) // s,
                "the padding is missing": (n - k) // s + 1,
                "padding makes the image larger, not smaller": (n - 2 * p - k) // s + 1,
                "rounded up, but a step that doesn't fit is dropped": math.ceil(way / s) + 1,
                "not rounded; a step that doesn't fit is dropped": way / s + 1,
                "rounded to the nearest, but a step that doesn't fit is always dropped": round(way / s) + 1,
                "rounding up doesn't replace the + 1: it adds nothing where the last step fits": math.ceil(way / s),
                "the + 1 belongs after the division": (way + 1) // s,
                "not rounded, and the + 1 is missing": way / s,
                "the stride is missing": way + 1,
                "brackets: all of n + 2 · padding − kernel is divided by the stride": n + 2 * p - k // s + 1,
                "the kernel is missing": (n + 2 * p) // s + 1,
                "that is n / stride, but the kernel and the padding play a part too": n / s,
                "that is n // stride, but the kernel and the padding play a part too": n // s,
                "that is n / stride rounded up, but the kernel and the padding play a part too": math.ceil(n / s),
            },
        ))  # fmt: skip
    _require_all(sizes, cases, "what nn.Conv2d gives")


@sizes.wrong("forgets the + 1")
def _(n, kernel, stride, padding):
    return (n + 2 * padding - kernel) // stride


@sizes.wrong("counts the padding once")
def _(n, kernel, stride, padding):
    return (n + padding - kernel) // stride + 1


@sizes.wrong("rounds up")
def _(n, kernel, stride, padding):
    return math.ceil((n + 2 * padding - kernel) / stride) + 1


@sizes.wrong("does not round")
def _(n, kernel, stride, padding):
    return (n + 2 * padding - kernel) / stride + 1


@sizes.wrong("divides by the stride and no more")
def _(n, kernel, stride, padding):
    return n // stride


# ---------------------------------------------------------------------------------------------------------------------
back = Exercise(
    "08.2",
    "Sizes, the other way",
    minutes=5,
    hints=[
        "A convolution with these settings leads to n from several sizes; without output_padding you get the smallest.",
        "The smallest fits exactly: (size + 2 · padding − kernel) / stride + 1 = n. Solve for size.",
        "size = (n − 1) · stride − 2 · padding + kernel. What is missing from there to `goal`?",
    ],
)


@back.solution
def output_padding(n, kernel, stride, padding, goal):
    return goal - ((n - 1) * stride - 2 * padding + kernel)


def _output_padding(n, kernel, stride, padding, goal):
    """The one with which PyTorch reaches the goal, by trying them all."""
    x = torch.empty(1, 1, n, n, device="meta")
    for extra in range(stride):
        up = nn.ConvTranspose2d(1, 1, kernel, stride, padding, output_padding=extra, device="meta")
        if up(x).shape[2] == goal:
            return extra
    raise ValueError(f"nn.ConvTranspose2d does not reach {goal}")


@back.check
def _(output_padding):
    cases = []
    for n, k, s, p, goal in (
        (50, 3, 2, 1, 100), (50, 3, 2, 1, 99), (7, 4, 2, 1, 14), (10, 5, 3, 2, 30), (6, 5, 4, 0, 28), (9, 2, 3, 0, 27)
    ):  # fmt: skip
        size = (n - 1) * s - 2 * p + k
        cases.append((
            f"the output_padding from {n} to {goal} with kernel {k}, stride {s}, padding {p}",
            output_padding(n, k, s, p, goal),
            _output_padding(n, k, s, p, goal),
            {
                "the sign is turned; what is missing is goal − size": size - goal,
                "that is the size without it; how much is missing to the goal?": size,
                "that takes n strides, but between n places there are n − 1": goal - size - s,
                "the padding is counted once, but it is cut off at both ends": goal - size - p,
                "the padding has the wrong sign: here it makes the output smaller": goal - size - 4 * p,
                "the padding is missing: it is cut off at both ends": goal - size - 2 * p,
                "brackets: all of the size is subtracted from the goal, the kernel too": goal - size + 2 * k,
                "brackets: all of the size is subtracted, so the signs of padding and kernel turn":
                    goal - size + 2 * k - 4 * p,
                "the kernel is missing": goal - size + k,
                "one too many: the last place adds the whole kernel, not kernel − 1": goal - size + 1,
                "one too few: there is no + 1 in (n − 1) · stride − 2 · padding + kernel": goal - size - 1,
                "that is half of it, but output_padding is added at one end only": (goal - size) / 2,
                "that is half of it, rounded, but output_padding is added at one end only": (goal - size) // 2,
                "that is goal − n · stride, but the size without it depends on kernel and padding": goal - n * s,
                "that takes the size of an ordinary convolution; this one goes the other way":
                    goal - (n + 2 * p - k) // s - 1,
                "that is stride − 1, whatever the goal": s - 1,
                "always 0? Then 50 becomes 99": 0,
                "always 1? Then 7 becomes 15 with kernel 4": 1,
            },
        ))  # fmt: skip
    _require_all(back, cases, "what nn.ConvTranspose2d needs")


@back.wrong("turns the sign")
def _(n, kernel, stride, padding, goal):
    return (n - 1) * stride - 2 * padding + kernel - goal


@back.wrong("takes n strides")
def _(n, kernel, stride, padding, goal):
    return goal - (n * stride - 2 * padding + kernel)


@back.wrong("counts the padding once")
def _(n, kernel, stride, padding, goal):
    return goal - ((n - 1) * stride - padding + kernel)


@back.wrong("adds the padding")
def _(n, kernel, stride, padding, goal):
    return goal - ((n - 1) * stride + 2 * padding + kernel)


@back.wrong("gives the size")
def _(n, kernel, stride, padding, goal):
    return (n - 1) * stride - 2 * padding + kernel


@back.wrong("takes the size for n times the stride")
def _(n, kernel, stride, padding, goal):
    return goal - n * stride


# ---------------------------------------------------------------------------------------------------------------------
count = Exercise(
    "08.3",
    "Count the weights of a block",
    minutes=10,
    hints=[
        "A convolution from a to b channels has b filters. Each has kernel² weights for each of the a, and a bias.",
        "First convolution and shortcut: c_in to c_out. Second convolution: c_out to c_out. Linear: time to c_out. "
        "Norms: two numbers a channel, of c_in channels in the first and c_out in the second.",
        "2 (c_in + c_out) for the norms, 9 c_in c_out + c_out and 9 c_out² + c_out for the 3×3 convolutions, "
        "time c_out + c_out for the time; and c_in c_out + c_out for the shortcut, only if c_in != c_out.",
    ],
)


@count.solution
def block_weights(c_in, c_out, time):
    norms = 2 * c_in + 2 * c_out
    convolutions = 9 * c_in * c_out + c_out + 9 * c_out * c_out + c_out
    linear = time * c_out + c_out
    shortcut = c_in * c_out + c_out if c_in != c_out else 0
    return norms + convolutions + linear + shortcut


def _block_weights(c_in, c_out, time):
    """What PyTorch counts."""
    with torch.device("meta"):
        return sum(p.numel() for p in ResidualBlock(c_in, c_out, time, groups=4).parameters())


def _miscounts(i, o, t):
    """What a mistake adds to the number of weights, from i to o channels with t entries of time."""
    shortcut = i * o + o
    return {
        "the biases are missing": -3 * o - o * (i != o),
        "the biases and the shortcut are missing": -3 * o - shortcut * (i != o),
        "the biases are missing, and where c_in = c_out the shortcut has no weights":
            -3 * o - o * (i != o) + i * o * (i == o),
        "the biases of the convolutions are missing": -2 * o - o * (i != o),
        "c_out weights are missing, such as the bias of the linear layer or of a 3×3 convolution": -o,
        "the bias of the shortcut is missing": -o * (i != o),
        "2 · c_out weights are missing, such as the second norm or the biases of the 3×3 convolutions": -2 * o,
        "the norms are missing: they have a scale and a shift a channel": -2 * i - 2 * o,
        "a norm has two numbers a channel, a scale and a shift": -i - o,
        "the first norm is missing": -2 * i,
        "the first norm comes before the first convolution, so it has c_in channels": 2 * o - 2 * i,
        "the second norm comes after the first convolution, so it has c_out channels": 2 * i - 2 * o,
        "a 3×3 kernel has 9 entries, not 3": -6 * o * (i + o),
        "the second convolution starts from c_out channels, not from c_in": 9 * o * (i - o),
        "the first convolution starts from c_in channels, not from c_out": 9 * o * (o - i),
        "the first convolution leads to c_out channels already": 9 * i * i - 9 * o * o + i - o,
        "one of the two 3×3 convolutions is missing": -9 * o * o - o,
        "each filter has 9 weights for every channel that it looks at": 9 * o * (2 - i - o),
        "where c_in = c_out the shortcut has no weights": shortcut * (i == o),
        "the shortcut is missing: where c_in ≠ c_out it is a 1×1 convolution": -shortcut * (i != o),
        "the shortcut is the other way round: it has weights where c_in ≠ c_out": shortcut if i == o else -shortcut,
        "the shortcut's kernel is 1×1, not 3×3": 8 * i * o * (i != o),
        "the linear layer of the time is missing": -t * o - o,
        "the time is added after the first convolution, so its linear layer leads to c_out": (t + 1) * (i - o),
        "the linear layer has time · c_out weights, not time": t - t * o,
        "those are the 3×3 kernels alone": 9 * o * (i + o) - block_weights(i, o, t),
    }  # fmt: skip


@count.check
def _(block_weights):
    cases = []
    for i, o, t in ((8, 16, 32), (8, 8, 32), (16, 8, 12), (4, 12, 20), (4, 4, 24)):
        right, adds = _block_weights(i, o, t), _miscounts(i, o, t)
        several = (whys for many in (1, 2, 3) for whys in itertools.combinations(adds, many))
        cases.append((
            f"the number of weights from c_in = {i} to c_out = {o} with time = {t}",
            block_weights(i, o, t),
            right,
            {"; and ".join(whys): right + sum(adds[why] for why in whys) for whys in several},
        ))  # fmt: skip
    _require_all(count, cases, "what PyTorch counts")


@count.wrong("forgets the biases")
def _(c_in, c_out, time):
    shortcut = c_in * c_out if c_in != c_out else 0
    return 2 * c_in + 2 * c_out + 9 * c_in * c_out + 9 * c_out**2 + time * c_out + shortcut


@count.wrong("always counts a shortcut")
def _(c_in, c_out, time):
    return 2 * c_in + 9 * c_in * c_out + 9 * c_out**2 + time * c_out + c_in * c_out + 6 * c_out


@count.wrong("never counts a shortcut")
def _(c_in, c_out, time):
    return 2 * c_in + 9 * c_in * c_out + 9 * c_out**2 + time * c_out + 5 * c_out


@count.wrong("counts the shortcut where there is none")
def _(c_in, c_out, time):
    shortcut = c_in * c_out + c_out if c_in == c_out else 0
    return 2 * c_in + 9 * c_in * c_out + 9 * c_out**2 + time * c_out + 5 * c_out + shortcut


@count.wrong("forgets the norms")
def _(c_in, c_out, time):
    return block_weights(c_in, c_out, time) - 2 * c_in - 2 * c_out


@count.wrong("takes 3x3 for 3")
def _(c_in, c_out, time):
    return block_weights(c_in, c_out, time) - 6 * c_in * c_out - 6 * c_out**2


@count.wrong("starts the second convolution from c_in")
def _(c_in, c_out, time):
    return block_weights(c_in, c_out, time) + 9 * c_in * c_out - 9 * c_out**2


@count.wrong("forgets the norms and the biases")
def _(c_in, c_out, time):
    return 9 * c_in * c_out + 9 * c_out**2 + time * c_out + (c_in * c_out if c_in != c_out else 0)


# ---------------------------------------------------------------------------------------------------------------------
waves = Exercise(
    "08.4",
    "Waves for a time",
    minutes=10,
    hints=[
        "Geometric means: the logarithms are evenly spaced, from 0 to −log 10000. There are half = width // 2 of them.",
        "frequency = exp(−log 10000 · i / (half − 1)) with i = torch.arange(half); the angles: t[:, None] * frequency.",
        "torch.cat puts the sines of these angles and then their cosines side by side, along dim=1.",
    ],
)


@waves.solution
def embed(t, width):
    half = width // 2
    frequency = torch.exp(-math.log(10_000) * torch.arange(half) / (half - 1))
    angle = t[:, None] * frequency
    return torch.cat([angle.sin(), angle.cos()], dim=1)


def _waves(t, log_frequency):
    angle = t[:, None].double() * log_frequency.double().exp()
    return torch.cat([angle.sin(), angle.cos()], dim=1)


@waves.check
def _(embed):
    for t, width in ((torch.tensor([0, 1, 7, 40]), 12), (torch.tensor([3.0, 250.0, 12.5]), 32), (torch.tensor([5]), 4)):
        found, right = as_numbers(embed(t, width)), sinusoids(t, width).double()
        half, sines, cosines = width // 2, *right.chunk(2, dim=1)
        waves.require(found is not None, "the answer should be a tensor")
        waves.require(
            found.shape != (len(t), 2 * width),
            f"that is {2 * width} waves for a width of {width}: half of the width are sines, the other half cosines",
        )
        waves.require(
            found.shape != (len(t), half),
            f"that is {half} waves for a width of {width}: there are sines and cosines, both of {half} frequencies",
        )
        waves.require(
            found.shape == right.shape,
            f"the answer has the shape {tuple(found.shape)} and should have (batch, width) = {tuple(right.shape)}",
        )
        i, log = torch.arange(half), math.log(10_000)
        falls = -log * i / (half - 1)
        mistakes = {
            "sines and cosines take turns, but all sines should come first":
                torch.stack([sines, cosines], dim=2).flatten(1),
            "the cosines come first, but the sines should": torch.cat([cosines, sines], dim=1),
            "sines twice, and no cosines?": torch.cat([sines, sines], dim=1),
            "cosines twice, and no sines?": torch.cat([cosines, cosines], dim=1),
            "i / half doesn't reach 1, so the last frequency is not 1/10000": _waves(t, -log * i / half),
            "the first frequency should be 1: does your i start at 1?": _waves(t, -log * (i + 1) / half),
            "the frequencies rise to 10000, but they should fall to 1/10000": _waves(t, -falls),
            "the frequencies go from slow to fast, but the first should be 1": _waves(t, falls.flip(0)),
            "exp goes with the natural logarithm, math.log; is yours log10?": _waves(t, -4 * i / (half - 1)),
            "exp goes with the natural logarithm, math.log; is yours log2?": _waves(t, falls / math.log(2)),
            "the frequencies are evenly spaced, but their logarithms should be":
                _waves(t, torch.linspace(1, 1e-4, half).log()),
            "i runs over the whole width, but there are half as many frequencies": _waves(t, -log * i / (width - 1)),
            "i / width stops at a half, so the last frequency is not 1/10000": _waves(t, -log * i / width),
            "a factor of 2π too many; the angle is t · frequency": _waves(2 * math.pi * t, falls),
            "t is divided by 1000; take it as it is": _waves(t / 1000, falls),
            "the frequencies fall to 1/1000, not to 1/10000": _waves(t, falls * 3 / 4),
            "those are the angles; take their sines and cosines":
                (t[:, None].double() * falls.double().exp()).repeat(1, 2),
        }  # fmt: skip
        found = _without_rounding(found, (right, *mistakes.values()), tolerance=1e-3)
        named = {mistake: value for mistake, value in mistakes.items() if torch.equal(value, found)}
        for row in range(len(t)):
            waves.require_close(
                found[row], right[row], f"the embedding of t = {t[row].item():g} with width {width}",
                "the sine or cosine of t · frequency", {mistake: value[row] for mistake, value in named.items()},
            )  # fmt: skip


@waves.wrong("lets sines and cosines take turns")
def _(t, width):
    return torch.stack(embed(t, width).chunk(2, dim=1), dim=2).flatten(1)


@waves.wrong("puts the cosines first")
def _(t, width):
    return embed(t, width).roll(width // 2, dims=1)


@waves.wrong("divides by half")
def _(t, width):
    return _waves(t, -math.log(10_000) * torch.arange(width // 2) / (width // 2))


@waves.wrong("lets the frequencies rise")
def _(t, width):
    return _waves(t, math.log(10_000) * torch.arange(width // 2) / (width // 2 - 1))


@waves.wrong("takes log10")
def _(t, width):
    return _waves(t, -math.log10(10_000) * torch.arange(width // 2) / (width // 2 - 1))


@waves.wrong("spaces the frequencies evenly")
def _(t, width):
    return _waves(t, torch.linspace(1, 1e-4, width // 2).log())


@waves.wrong("makes twice as many")
def _(t, width):
    return embed(t, 2 * width)


# ---------------------------------------------------------------------------------------------------------------------
norm = Exercise(
    "08.5",
    "Group normalization by hand",
    minutes=10,
    hints=[
        "Give each group an axis of its own, by a reshape. Which axes belong to one group of one image, then?",
        "g = x.reshape(n, groups, -1): all channels and pixels of a group are the last axis. mean(2, keepdim=True).",
        "(g − mean) / (variance + eps).sqrt() with g.var(2, unbiased=False, keepdim=True), then reshape to x.shape.",
    ],
)


@norm.solution
def group_norm(x, groups, eps):
    g = x.reshape(len(x), groups, -1)
    mean = g.mean(2, keepdim=True)
    variance = g.var(2, unbiased=False, keepdim=True)
    return ((g - mean) / (variance + eps).sqrt()).reshape(x.shape)


def _normalized(x, axes, eps):
    """Mean 0 and variance 1 over these axes."""
    mean, variance = x.mean(axes, keepdim=True), x.var(axes, unbiased=False, keepdim=True)
    return (x - mean) / (variance + eps).sqrt()


@norm.check
def _(group_norm):
    generator = torch.Generator().manual_seed(5)
    for (n, c, h, w), groups, eps in (((3, 8, 2, 3), 2, 0.3), ((2, 6, 3, 2), 3, 1e-5), ((2, 12, 2, 2), 3, 2.0)):
        pixels = torch.randn(n, c, h, w, generator=generator, dtype=torch.float64)
        scale, shift = torch.randn(2, n, c, 1, 1, generator=generator, dtype=torch.float64)
        x = pixels * (0.3 + scale.abs()) + shift  # each channel of each image with a mean and a variance of its own
        g, own = x.reshape(n, groups, c // groups, h, w), (2, 3, 4)
        wrong_way = x.reshape(n, c // groups, groups, h, w)
        centred = g - g.mean(own, keepdim=True)
        biased, unbiased = g.var(own, unbiased=False, keepdim=True), g.var(own, keepdim=True)
        mistakes = {
            "each channel over the whole batch: that is BatchNorm, where images depend on each other":
                _normalized(x, (0, 2, 3), eps),
            "a group over the whole batch, but each image has a mean and a variance of its own":
                _normalized(g, (0, 2, 3, 4), eps),
            "everything together, but each group of each image has a mean and a variance of its own":
                _normalized(x, (0, 1, 2, 3), eps),
            "each channel alone: that is InstanceNorm; a group's channels share a mean and a variance":
                _normalized(x, (2, 3), eps),
            "all channels of an image together: that is LayerNorm; each group has a mean and a variance of its own":
                _normalized(x, (1, 2, 3), eps),
            "each pixel alone, but a group's pixels share a mean and a variance": _normalized(g, 2, eps),
            "the variance is divided by N − 1, not by N (unbiased=False)": centred / (unbiased + eps).sqrt(),
            "eps belongs inside the root": centred / (biased.sqrt() + eps),
            "eps belongs inside the root; and std divides by N − 1, not by N": centred / (unbiased.sqrt() + eps),
            "eps is added as it is, not squared": centred / (biased + eps**2).sqrt(),
            "divided by the variance, not by its root": centred / (biased + eps),
            "multiplied by the root, but it should be divided": centred * (biased + eps).sqrt(),
            "the mean is taken out, but the variance is not 1 yet": centred,
            "the mean is not taken out": g / (biased + eps).sqrt(),
            "without eps?": centred / biased.sqrt(),
            "without eps; and the variance is divided by N − 1, not by N": centred / unbiased.sqrt(),
            f"a group of yours is channels 0, {groups}, …, but it should be neighbours, 0 … {c // groups - 1}":
                _normalized(wrong_way, (1, 3, 4), eps),
            f"{c // groups} groups of {groups} channels, but {groups} groups of {c // groups} were asked for":
                _normalized(wrong_way, own, eps),
        }  # fmt: skip
        mistakes = {mistake: value.reshape(x.shape) for mistake, value in mistakes.items()}
        found, right = as_numbers(group_norm(x, groups, eps)), F.group_norm(x, groups, eps=eps)
        norm.require(found is not None, "the answer should be a tensor")
        norm.require(
            found.shape == x.shape or found.numel() != x.numel(),
            f"the answer has the shape {tuple(found.shape)}; reshape it to x's {tuple(x.shape)} at the end",
        )
        norm.require(
            found.shape == x.shape,
            f"the answer has the shape {tuple(found.shape)} and should have x's {tuple(x.shape)}",
        )
        found = _without_rounding(found, (right, *mistakes.values()), tolerance=1e-5)
        where = f"with {c} channels in {groups} groups and eps = {eps:g}, the normalized x"
        if not any(torch.equal(found, value) for value in (right, *mistakes.values())):
            first = found[0, : c // groups]
            norm.require(
                first.mean().abs() < 1e-4, f"the mean of the first image's first group is {first.mean():.3g}, not 0"
            )
            spread = (biased / (biased + eps))[0, 0].item()
            found_spread = first.var(unbiased=False).item()
            norm.require(
                abs(found_spread - spread) < 1e-4,
                f"the variance of the first image's first group is {found_spread:.3g} and should be "
                f"(variance of x) / (variance of x + eps) = {spread:.3g}"
                + (": without the eps that your function is given?" if abs(found_spread - 1) < 1e-3 else ""),
            )
        norm.require_close(found, right, where, "(x − mean) / √(variance + eps) of its group", mistakes)


@norm.wrong("normalizes over the batch")
def _(x, groups, eps):
    return _normalized(x, (0, 2, 3), eps)


@norm.wrong("normalizes each channel")
def _(x, groups, eps):
    return _normalized(x, (2, 3), eps)


@norm.wrong("normalizes each image")
def _(x, groups, eps):
    return _normalized(x, (1, 2, 3), eps)


@norm.wrong("divides the variance by N - 1")
def _(x, groups, eps):
    g = x.reshape(len(x), groups, -1)
    return ((g - g.mean(2, keepdim=True)) / (g.var(2, keepdim=True) + eps).sqrt()).reshape(x.shape)


@norm.wrong("adds eps outside the root")
def _(x, groups, eps):
    g = x.reshape(len(x), groups, -1)
    return ((g - g.mean(2, keepdim=True)) / (g.std(2, unbiased=False, keepdim=True) + eps)).reshape(x.shape)


@norm.wrong("takes std + eps")
def _(x, groups, eps):
    g = x.reshape(len(x), groups, -1)
    return ((g - g.mean(2, keepdim=True)) / (g.std(2, keepdim=True) + eps)).reshape(x.shape)


@norm.wrong("divides by the variance")
def _(x, groups, eps):
    g = x.reshape(len(x), groups, -1)
    return ((g - g.mean(2, keepdim=True)) / (g.var(2, unbiased=False, keepdim=True) + eps)).reshape(x.shape)


@norm.wrong("takes every second channel")
def _(x, groups, eps):
    n, c, h, w = x.shape
    return _normalized(x.reshape(n, c // groups, groups, h, w), (1, 3, 4), eps).reshape(x.shape)


@norm.wrong("forgets to reshape back")
def _(x, groups, eps):
    return _normalized(x.reshape(len(x), groups, -1), 2, eps)


# ---------------------------------------------------------------------------------------------------------------------
attention = Exercise(
    "08.6",
    "Attention",
    minutes=15,
    hints=[
        "Each pixel asks with its q, and each answers with its k: the score is their inner product. How many scores?",
        "q @ k.transpose(1, 2) are all scores: a row for each pixel that asks, a column for each that answers. Divide "
        "them by √channels.",
        "The softmax makes each row add up to 1: dim=2. Then weights @ v is, for each pixel, a weighted mean of all v.",
    ],
)


@attention.solution
def attend(q, k, v):
    scores = q @ k.transpose(1, 2) / q.shape[2] ** 0.5
    return scores.softmax(dim=2) @ v


@attention.check
def _(attend):
    generator = torch.Generator().manual_seed(6)
    for batch, pixels, channels in ((2, 5, 3), (3, 4, 9)):
        q, k, v = 1.5 * torch.randn(3, batch, pixels, channels, generator=generator, dtype=torch.float64)
        found, right = as_numbers(attend(q, k, v)), F.scaled_dot_product_attention(q, k, v)
        raw = q @ k.transpose(1, 2)
        scores, root = raw / channels**0.5, channels**0.5
        weights = scores.softmax(2)
        attention.require(found is not None, "the answer should be a tensor")
        attention.require(
            found.shape != (batch, pixels, pixels),
            "that has the shape (batch, pixels, pixels) of the weights; the answer is the mean of v with these weights",
        )
        attention.require(
            found.shape == v.shape,
            f"the answer has the shape {tuple(found.shape)} and should have v's {tuple(v.shape)}",
        )
        mistakes = {
            "the scores are not divided by √channels": raw.softmax(2) @ v,
            "the scores are divided by channels, not by √channels": (raw / channels).softmax(2) @ v,
            "the scores are multiplied by √channels, not divided": (raw * root).softmax(2) @ v,
            "divided by √pixels; an inner product has as many terms as there are channels":
                (raw / pixels**0.5).softmax(2) @ v,
            "divided by pixels; it should be √channels": (raw / pixels).softmax(2) @ v,
            "divided by √channels after the softmax; it should be before": raw.softmax(2) / root @ v,
            "the softmax runs over the queries (dim=1); the weights of one query, over the keys, should add up to 1":
                scores.softmax(1) @ v,
            "the softmax runs over the queries (dim=1); and the division by √channels is missing": raw.softmax(1) @ v,
            "the softmax runs over the batch (dim=0); images should not look at each other": scores.softmax(0) @ v,
            "the softmax runs over all pairs of pixels; each query has weights of its own":
                scores.flatten(1).softmax(1).reshape(scores.shape) @ v,
            "q and k are exchanged: row i should hold the scores of query i": scores.transpose(1, 2).softmax(2) @ v,
            "q and k are exchanged, and the scores are not divided by √channels": raw.transpose(1, 2).softmax(2) @ v,
            "the right weights, but transposed before they meet v": weights.transpose(1, 2) @ v,
            "no softmax: the scores themselves are no weights": scores @ v,
            "no softmax, and no division by √channels": raw @ v,
            "exp of the scores, but not divided by its sum": scores.exp() @ v,
            "the scores divided by their sum; the softmax takes exp first": scores / scores.sum(2, keepdim=True) @ v,
            "that is the log of the weights (log_softmax)": scores.log_softmax(2) @ v,
            "the weighted mean of k; it should be of v": weights @ k,
            "the weighted mean of q; it should be of v": weights @ q,
            "q is added: the shortcut around the attention is not part of this function": q + weights @ v,
            "v is added: the shortcut around the attention is not part of this function": v + weights @ v,
            "each pixel has the same weight": v.mean(1, keepdim=True).expand_as(v),
            "that is v itself": v,
            "q and v are exchanged": F.scaled_dot_product_attention(v, k, q),
            "k and v are exchanged": F.scaled_dot_product_attention(q, v, k),
            "channels look at channels (qᵀ k); it should be pixels at pixels (q kᵀ)":
                v @ (q.transpose(1, 2) @ k / root).softmax(2),
            "channels look at channels (kᵀ q); it should be pixels at pixels (q kᵀ)":
                v @ (k.transpose(1, 2) @ q / root).softmax(2),
            "channels look at channels (qᵀ k); transpose k to get pixels at pixels (q kᵀ)":
                v @ (q.transpose(1, 2) @ k / root).softmax(2).transpose(1, 2),
        }  # fmt: skip
        found = _without_rounding(found, (right, *mistakes.values()), tolerance=1e-5)
        if not any(torch.equal(found, value) for value in (right, *mistakes.values())):
            total = as_numbers(attend(q, k, torch.ones_like(v)))
            attention.require(
                (total - 1).abs().max() < 1e-4,
                f"where v is 1 everywhere, every mean of it is 1, but yours is {total.flatten()[0]:.3g}: "
                "the weights of each query should add up to 1",
            )
        attention.require_close(
            found,
            right,
            f"with {pixels} pixels of {channels} channels, the answer",
            "softmax(q kᵀ / √channels) v",
            mistakes,
        )


@attention.wrong("does not scale")
def _(q, k, v):
    return (q @ k.transpose(1, 2)).softmax(2) @ v


@attention.wrong("divides by the channels")
def _(q, k, v):
    return (q @ k.transpose(1, 2) / q.shape[2]).softmax(2) @ v


@attention.wrong("divides by the root of the pixels")
def _(q, k, v):
    return (q @ k.transpose(1, 2) / q.shape[1] ** 0.5).softmax(2) @ v


@attention.wrong("takes the softmax over the queries")
def _(q, k, v):
    return (q @ k.transpose(1, 2) / q.shape[2] ** 0.5).softmax(1) @ v


@attention.wrong("exchanges q and k")
def _(q, k, v):
    return (k @ q.transpose(1, 2) / q.shape[2] ** 0.5).softmax(2) @ v


@attention.wrong("takes no softmax")
def _(q, k, v):
    return q @ k.transpose(1, 2) / q.shape[2] ** 0.5 @ v


@attention.wrong("lets channels look at channels")
def _(q, k, v):
    return v @ (q.transpose(1, 2) @ k / q.shape[2] ** 0.5).softmax(2)


@attention.wrong("returns the weights")
def _(q, k, v):
    return (q @ k.transpose(1, 2) / q.shape[2] ** 0.5).softmax(2)


# ---------------------------------------------------------------------------------------------------------------------
sight = Exercise(
    "08.7",
    "How far does a pixel see?",
    minutes=20,
    hints=[
        "Without any layer a pixel sees itself: 1. A 3-kernel of stride 1 adds a pixel at each side. And a second one?",
        "After a stride of 2, neighbours are 2 input pixels apart, so the next 3-kernel adds 2 · 2. Keep this "
        "distance in a variable `jump`.",
        "A layer adds (kernel − 1) · jump. Its stride then multiplies jump, for the layers after it.",
    ],
)


@sight.solution
def receptive_field(layers):
    field, jump = 1, 1
    for kernel, stride in layers:
        field += (kernel - 1) * jump
        jump *= stride
    return field


def _seen(layers):
    """From the first to the last input pixel that has a gradient: measured, with convolutions of ones."""
    with torch.enable_grad():
        x = torch.ones(1, 1, 200, dtype=torch.float64, requires_grad=True)
        h = x
        for kernel, stride in layers:
            h = F.conv1d(h, torch.ones(1, 1, kernel, dtype=torch.float64), stride=stride)
        gradient = torch.autograd.grad(h[0, 0, 0], x)[0]
    pixels = gradient.flatten().nonzero()
    return int(pixels.max() - pixels.min()) + 1


def _wrong_fields(layers):
    """What comes out of a mistake."""
    kernels, strides = zip(*layers, strict=True)
    jumps = [math.prod(strides[:i]) for i in range(len(layers))]
    own_jumps = [math.prod(strides[: i + 1]) for i in range(len(layers))]
    added = [1 + sum(strides[:i]) for i in range(len(layers))]
    doubled = [2**i for i in range(len(layers))]

    def total(factors, sizes=tuple(k - 1 for k in kernels)):
        return sum(size * factor for size, factor in zip(sizes, factors, strict=True))

    return {
        "the strides are ignored": 1 + sum(kernels) - len(kernels),
        "jump is multiplied too early: a stride counts only for the layers after its own": 1 + total(own_jumps),
        "only the layer's own stride? It is those of the layers before it, multiplied": 1 + total(strides),
        "only the stride of the layer before? Those of all layers before multiply": 1 + total((1, *strides[:-1])),
        "the strides are added up, but they multiply": 1 + total(added),
        "jump is doubled at each layer, but not every stride is 2": 1 + total(doubled),
        "that is the sum of the kernels, but a layer adds kernel − 1, and strides matter": sum(kernels),
        "that is the product of the kernels, but a layer adds (kernel − 1) · jump": math.prod(kernels),
        "one too few: without any layer a pixel sees itself": total(jumps),
        "a layer adds kernel − 1 pixels, not kernel": 1 + total(jumps, kernels),
        "a layer adds kernel − 1 pixels, not kernel; and it starts with 1": total(jumps, kernels),
        "one side only, but a kernel reaches to both": 1 + total(jumps, [k // 2 for k in kernels]),
        "2 · (kernel // 2) is not kernel − 1 for an even kernel": 1 + total(jumps, [k // 2 * 2 for k in kernels]),
        "kernel − 1 is both sides together, not one of them": 1 + 2 * total(jumps),
        "squared, but one dimension was asked for": (1 + total(jumps)) ** 2,
        "that is the product of the strides, the distance of neighbours": math.prod(strides),
        "field = (field − 1) · stride + kernel goes from the last layer to the first": _first_to_last(layers),
        "the last layer is left out": 1 + total(jumps[:-1], [k - 1 for k in kernels[:-1]]),
        "the first layer is left out": 1 + total([j // strides[0] for j in jumps[1:]], [k - 1 for k in kernels[1:]]),
        "that is the first layer alone; is `return` inside the loop?": kernels[0],
        "that is the last layer alone": kernels[-1],
    }


def _first_to_last(layers):
    field = 1
    for kernel, stride in layers:
        field = (field - 1) * stride + kernel
    return field


@sight.check
def _(receptive_field):
    cases = [
        (
            f"the receptive field of the layers {', '.join(map(str, layers))}",
            receptive_field(list(layers)),
            _seen(layers),
            _wrong_fields(layers),
        )
        for layers in (
            [(3, 1), (3, 1)],
            [(3, 2), (3, 1)],
            [(3, 1), (3, 1), (3, 2), (3, 1), (3, 2), (3, 1)],
            [(7, 2), (3, 2), (3, 1)],
            [(5, 3), (1, 1), (4, 2), (3, 1)],
            [(4, 2), (4, 2), (4, 2), (2, 1)],
            [(5, 1)],
        )
    ]
    _require_all(sight, cases, "what the gradient shows")


@sight.wrong("ignores the strides")
def _(layers):
    return 1 + sum(kernel - 1 for kernel, _ in layers)


@sight.wrong("multiplies jump too early")
def _(layers):
    field, jump = 1, 1
    for kernel, stride in layers:
        jump *= stride
        field += (kernel - 1) * jump
    return field


@sight.wrong("adds up the kernels")
def _(layers):
    return sum(kernel for kernel, _ in layers)


@sight.wrong("multiplies the kernels")
def _(layers):
    return math.prod(kernel for kernel, _ in layers)


@sight.wrong("starts from 0")
def _(layers):
    field, jump = 0, 1
    for kernel, stride in layers:
        field += (kernel - 1) * jump
        jump *= stride
    return field


@sight.wrong("adds the whole kernel")
def _(layers):
    field, jump = 1, 1
    for kernel, stride in layers:
        field += kernel * jump
        jump *= stride
    return field


@sight.wrong("goes from the first layer to the last")
def _(layers):
    return _first_to_last(layers)


# ---------------------------------------------------------------------------------------------------------------------
bug = Exercise(
    "08.8",
    "Find the bug",
    minutes=25,
    hints=[
        "Draw three levels and follow the tensors by hand. The check says which skip reaches which layer of `up`.",
        "A skip brings across what a layer of `down` has made. And the way up starts where the way down ends, so the "
        "deepest skip is needed first.",
        "Append after `h = layer(h)`, not before. Then take the skips from the end of the list: skips.pop().",
    ],
)


@bug.solution
def unet_forward(down, middle, up, x):
    skips = []
    h = x
    for layer in down:
        h = layer(h)
        skips.append(h)
    h = middle(h)
    for layer in up:
        h = layer(torch.cat([h, skips.pop()], dim=1))
    return h


_X = torch.randn(2, 3, 4, 5, generator=torch.Generator().manual_seed(8), dtype=torch.float64)


def _toys(levels: int):
    """down, middle and up, of layers that mix channels; and the calls: (name, what came in, what went out)."""
    generator = torch.Generator().manual_seed(levels)
    calls: list[tuple[str, Tensor, Tensor]] = []

    def layer(name: str, channels: int):
        mix = torch.randn(3, channels, generator=generator, dtype=torch.float64)

        def apply(h: Tensor, *more) -> Tensor:
            bug.require(
                not more, f"{name} gets {1 + len(more)} tensors and should get one, where they are concatenated"
            )
            bug.require(torch.is_tensor(h), f"{name} gets a {type(h).__name__} and should get a tensor")
            _require_shape(name, h, channels, alone=any(_same(h, out) for _, _, out in calls))
            calls.append((name, h.clone(), torch.einsum("oc,bcij->boij", mix, h.double())))
            return calls[-1][2].clone()

        return apply

    down = [layer(f"down[{i}]", 3) for i in range(levels)]
    return down, layer("middle", 3), [layer(f"up[{i}]", 6) for i in range(levels)], calls


def _require_shape(name: str, h: Tensor, channels: int, alone: bool) -> None:
    """What a toy layer gets must fit, or all that follows would stop with an error; alone: it is one layer's output."""
    right = (len(_X), channels, *_X.shape[2:])
    if channels == 6 and h.shape == _X.shape:
        why = ": h and its skip should be concatenated" + ("" if alone else ", not added")
    elif channels == 6 and h.numel() == 2 * _X.numel():
        why = ": concatenate along the channels, dim=1"
    elif channels == 3 and h.numel() > _X.numel():
        why = ": skips are concatenated on the way up only"
    else:
        why = ""
    bug.require(h.shape == right, f"{name} gets the shape {tuple(h.shape)} and should get {right}{why}")


def _same(a: Tensor, b: Tensor) -> bool:
    return a.shape == b.shape and torch.allclose(a.double(), b.double())


def _blame(calls, levels: int) -> None:
    """Follow the tensors from layer to layer, and stop at the first that took a wrong turn."""
    outputs = {"x": _X} | {f"{name}'s output": out for name, _, out in calls}
    names = [name for name, _, _ in calls]
    given = {name: h for name, h, _ in calls}

    def origin(h: Tensor) -> str:
        return next((name for name, value in outputs.items() if _same(value, h)), "something else")

    downs, ups = ([f"{way}[{i}]" for i in range(levels)] for way in ("down", "up"))
    for name in (*downs, "middle", *ups):
        often = names.count(name)
        why = ": is `return` inside the loop?" if often == 0 and name in ups[1:] else ""
        bug.require(often > 0, f"{name} is never called{why}")
        bug.require(often == 1, f"{name} is called {often} times and should be called once")
    before = "x"
    for name in (*downs, "middle"):
        bug.require(
            origin(given[name]) == before,
            f"{name} gets {origin(given[name])} and should get {before}",
        )
        before = f"{name}'s output"
    halves = {name: [origin(half) for half in given[name].chunk(2, dim=1)] for name in ups}
    for name in ups:
        h, skip = halves[name]
        bug.require(
            h == before or skip != before,
            f"{name} gets {h} in front of {skip}: the skip comes first, but it should be [h, skip]",
        )
        bug.require(h == before, f"{name} gets {h} as h and should get {before}")
        before = f"{name}'s output"
    skips, right = [halves[name][1] for name in ups], [f"{name}'s output" for name in reversed(downs)]
    if skips == right[::-1]:
        why = ": the right skips, in the wrong order"
    elif skips == [*right[1:], "x"]:
        why = ": the order is right, but a skip is what went into its layer, and not what came out"
    elif len(set(skips)) == 1:
        why = ": the same one each time, but each level has its own"
    elif any(skip.startswith(("middle", "up")) for skip in skips):
        why = ": skips come from the way down"
    else:
        why = ""
    bug.require(
        skips == right,
        f"the skips that reach {', '.join(ups)} are {', '.join(skips)}; they should be {', '.join(right)}{why}",
    )


@bug.check
def _(unet_forward):
    for levels in (3, 4, 1):
        *layers, _ = _toys(levels)
        right = bug.reference(*layers, _X)
        down, middle, up, calls = _toys(levels)
        found = as_numbers(unet_forward(down, middle, up, _X))
        if found is None or not _same(found, right):
            _blame(calls, levels)
        bug.require(found is not None, "the answer should be a tensor")
        bug.require(_same(found, right), "the answer should be what the last layer of `up` returns, and nothing else")


@bug.wrong("repairs nothing")
def _(down, middle, up, x):
    skips = []
    h = x
    for layer in down:
        skips.append(h)
        h = layer(h)
    h = middle(h)
    for layer, skip in zip(up, skips, strict=True):
        h = layer(torch.cat([h, skip], dim=1))
    return h


def _unet(down, middle, up, x, keeps_input=False, take=-1, join=lambda h, skip: torch.cat([h, skip], dim=1)):
    """The forward pass with parts that a mistake can replace; take: which of the skips left is next."""
    skips, h = [], x
    for layer in down:
        before, h = h, layer(h)
        skips.append(before if keeps_input else h)
    h = middle(h)
    for layer in up:
        h = layer(join(h, skips.pop(take)))
    return h


@bug.wrong("repairs what is kept, and not the order")
def _(down, middle, up, x):
    return _unet(down, middle, up, x, take=0)


@bug.wrong("repairs the order, and not what is kept")
def _(down, middle, up, x):
    return _unet(down, middle, up, x, keeps_input=True)


@bug.wrong("adds the skips")
def _(down, middle, up, x):
    return _unet(down, middle, up, x, join=torch.add)


@bug.wrong("puts the skip in front")
def _(down, middle, up, x):
    return _unet(down, middle, up, x, join=lambda h, skip: torch.cat([skip, h], dim=1))


@bug.wrong("forgets the middle")
def _(down, middle, up, x):
    return _unet(down, lambda h: h, up, x)


@bug.wrong("takes the same skip each time")
def _(down, middle, up, x):
    skips, h = [], x
    for layer in down:
        h = layer(h)
        skips.append(h)
    h = middle(h)
    for layer in up:
        h = layer(torch.cat([h, skips[-1]], dim=1))
    return h


@bug.wrong("returns inside the loop")
def _(down, middle, up, x):
    return _unet(down, middle, up[:1], x)
