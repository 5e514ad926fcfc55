"""The exercises of lesson 08: the U-Net."""

import itertools
import math

import torch

from course_lib.exercises import Exercise, NotYet, Value, as_numbers, normal
from course_lib.exercises.gives import close


# ---------------------------------------------------------------------------------------------------------------------
def conv_size(n, kernel, stride, padding):
    return (n + 2 * padding - kernel) // stride + 1


Exercise(
    "08.1",
    conv_size,
    cases=[
        {"n": n, "kernel": kernel, "stride": stride, "padding": padding}
        for n, kernel, stride, padding in (
            (100, 3, 2, 1), (28, 3, 1, 1), (7, 3, 2, 1), (28, 5, 3, 0), (14, 4, 2, 1), (9, 1, 2, 0), (28, 7, 4, 2), (31, 6, 5, 3),
        )
    ],
    gives=[Value("the height", "⌊(n + 2 · padding − kernel) / stride⌋ + 1")],
    slips={
        "those are the steps; the place where the kernel starts counts, too": "A + 1 -> A",
        "the padding is counted once, but it is added at both ends": "2 * padding -> padding",
        "the padding is counted once, and the place where the kernel starts is forgotten":
            "2 * padding -> padding ; A + 1 -> A",
        "padding makes the image larger, not smaller": "n + 2 * padding -> n - 2 * padding",
        "rounded up, but a step that doesn't fit is dropped": "A // stride -> -(-A // stride)",
        "rounded up instead of counting the first place: that adds nothing where the last step fits":
            "A // stride + 1 -> -(-A // stride)",
        "not rounded; a step that doesn't fit is dropped": "A // stride -> A / stride",
        "rounded to the nearest, but a step that doesn't fit is always dropped": "A // stride -> round(A / stride)",
        "not rounded, and the place where the kernel starts is forgotten": "A // stride + 1 -> A / stride",
        "the first place is no step: it is not to be divided by the stride": "A // stride + 1 -> (A + 1) // stride",
        "that is n / stride, but the kernel and the padding play a part, too": "return n / stride",
        "that is n // stride, but the kernel and the padding play a part, too": "return n // stride",
        "that is n / stride rounded up, but the kernel and the padding play a part, too": "return -(-n // stride)",
        "that is the size after a transposed convolution": "return (n - 1) * stride - 2 * padding + kernel",
    },
    hints=[
        "With its padding the image has n + 2 · padding rows; the kernel covers `kernel` of them. How far can it move?",
        "It moves in steps of `stride`, and one that doesn't fit is dropped: `//`. The place where it starts counts.",
    ],
)  # fmt: skip


# ---------------------------------------------------------------------------------------------------------------------
def output_padding(n, kernel, stride, padding, goal):
    return goal - ((n - 1) * stride - 2 * padding + kernel)


Exercise(
    "08.2",
    output_padding,
    cases=[
        {"n": n, "kernel": kernel, "stride": stride, "padding": padding, "goal": goal}
        for n, kernel, stride, padding, goal in (
            (50, 3, 2, 1, 100), (50, 3, 2, 1, 99), (7, 4, 2, 1, 14), (10, 5, 3, 2, 30), (6, 5, 4, 0, 28), (9, 2, 3, 0, 27),
            (5, 3, 7, 1, 34), (4, 8, 5, 3, 21),
        )
    ],
    gives=[Value("the output_padding", "goal − ((n − 1) · stride − 2 · padding + kernel)")],
    slips={
        "the sign is turned: how much is missing, not how much is too much?": "goal - A -> A - goal",
        "that is the size without it; how much is missing to the goal?": "goal - A -> A",
        "n strides are taken, but between n places there are fewer": "n - 1 -> n",
        "the padding is counted once, but it is cut off at both ends": "2 * padding -> padding",
        "the padding has the wrong sign: here it makes the output smaller": "A - 2 * padding -> A + 2 * padding",
        "the padding is missing: it is cut off at both ends": "A - 2 * padding -> A",
        "brackets: all of the size is subtracted from the goal, the kernel too": "goal - (A + B) -> goal - A + B",
        "brackets: all of the size is subtracted, so the signs of padding and kernel turn":
            "goal - (A - B + C) -> goal - A - B + C",
        "one too many: the last place adds the whole kernel": "kernel -> kernel - 1",
        "one too few: nothing is added to the size beside kernel and output_padding": "kernel -> kernel + 1",
        "that is half of it, but output_padding is added at one end only": "goal - A -> (goal - A) / 2",
        "that is half of it, rounded, but output_padding is added at one end only": "goal - A -> (goal - A) // 2",
        "n · stride is not the size without it: kernel and padding play a part, too": "return goal - n * stride",
        "that takes the size of an ordinary convolution; this one goes the other way":
            "return goal - ((n + 2 * padding - kernel) // stride + 1)",
        "that is stride − 1, whatever the goal": "return stride - 1",
        "always 0? Then 50 becomes 99": "return 0",
        "always 1? Then 7 becomes 15 with kernel 4": "return 1",
    },
    hints=[
        "A convolution with these settings leads to n from several sizes; without output_padding you get the smallest.",
        "The smallest fits exactly: (size + 2 · padding − kernel) / stride + 1 = n. Solve for size.",
        "size = (n − 1) · stride − 2 · padding + kernel. What is missing from there to `goal`?",
    ],
)  # fmt: skip


# ---------------------------------------------------------------------------------------------------------------------
def block_weights(c_in, c_out, time):
    norm1, conv1 = 2 * c_in, 9 * c_in * c_out + c_out
    linear = time * c_out + c_out
    norm2, conv2 = 2 * c_out, 9 * c_out**2 + c_out
    shortcut = c_in * c_out + c_out if c_in != c_out else 0
    return norm1 + conv1 + linear + norm2 + conv2 + shortcut


FORGOTTEN = {
    "the biases": "A + c_out -> A",
    "the norms": "2 * c_in -> 0 ; 2 * c_out -> 0",
    "the linear layer": "A + linear -> A",
    "the shortcut": "A + shortcut -> A",
}
Exercise(
    "08.3",
    block_weights,
    cases=[
        {"c_in": c_in, "c_out": c_out, "time": time}
        for c_in, c_out, time in ((8, 16, 32), (8, 8, 32), (16, 8, 12), (4, 12, 20), (4, 4, 24), (12, 20, 7))
    ],
    gives=[Value("the number of weights", "norms 2 (c_in + c_out), convolutions 9 c_in c_out + c_out and 9 c_out² + c_out")],
    slips={
        "the biases are missing: every filter and every linear output has one": FORGOTTEN["the biases"],
        "the biases of the convolutions are missing": "A + c_out -> A ; time * c_out -> time * c_out + c_out",
        "c_out weights are missing, such as the bias of the linear layer or of a 3×3 convolution":
            "time * c_out + c_out -> time * c_out",
        "the bias of the shortcut is missing": "c_in * c_out + c_out -> c_in * c_out",
        "2 · c_out weights are missing, such as the second norm or the biases of the 3×3 convolutions": "A + norm2 -> A",
        "the norms are missing: they have a scale and a shift per channel": FORGOTTEN["the norms"],
        "a norm has not only a scale per channel, but a shift as well": "2 * c_in -> c_in ; 2 * c_out -> c_out",
        "the first norm is missing": "2 * c_in -> 0",
        "the first norm has c_out channels, but it comes before the first convolution": "2 * c_in -> 2 * c_out",
        "the second norm has c_in channels, but it comes after the first convolution": "2 * c_out -> 2 * c_in",
        "a 3×3 kernel has not 3 entries": "9 * A -> 3 * A",
        "the second convolution starts from c_in channels, but the first has changed them": "c_out**2 -> c_in * c_out",
        "the first convolution starts from c_out channels, but x has c_in": "9 * c_in * c_out -> 9 * c_out**2",
        "the first convolution changes the channels already, not the second": "A * c_out**2 + c_out -> A * c_in**2 + c_in",
        "one of the two 3×3 convolutions is missing": "A + conv2 -> A",
        "a filter looks at many channels, and has a kernel for each of them": "9 * c_in -> 9 ; c_out**2 -> c_out",
        "where c_in = c_out the shortcut has no weights": "A if B else 0 -> A",
        "where c_in = c_out the shortcut has no weights, and the biases are missing": "A if B else 0 -> A ; A + c_out -> A",
        "the shortcut is missing: where c_in ≠ c_out it is a convolution": FORGOTTEN["the shortcut"],
        "the shortcut is the other way round: it has weights where c_in ≠ c_out": "c_in != c_out -> c_in == c_out",
        "the shortcut's kernel is not 3×3": "c_in * c_out + c_out -> 9 * c_in * c_out + c_out",
        "the linear layer of the time is missing": FORGOTTEN["the linear layer"],
        "the linear layer leads to c_in, but the time is added after the first convolution":
            "time * c_out + c_out -> time * c_in + c_in",
        "the linear layer has not time weights, but as many for each of its outputs": "time * c_out -> time",
        "those are the 3×3 kernels alone": "return 9 * c_in * c_out + 9 * c_out**2",
    }
    | {
        f"{' and '.join(what)} are missing": " ; ".join(FORGOTTEN[part] for part in what)
        for many in (2, 3)
        for what in itertools.combinations(FORGOTTEN, many)
    },
    hints=[
        "A convolution from a to b channels has b filters. Each has kernel² weights for each of the a, and a bias.",
        "First convolution and shortcut: c_in to c_out. Second convolution: c_out to c_out. Linear: time to c_out. "
        "Norms: a scale and a shift per channel, of c_in channels in the first and c_out in the second.",
        "2 (c_in + c_out) for the norms, 9 c_in c_out + c_out and 9 c_out² + c_out for the 3×3 convolutions, "
        "time c_out + c_out for the time; and c_in c_out + c_out for the shortcut, only if c_in != c_out.",
    ],
)  # fmt: skip


# ---------------------------------------------------------------------------------------------------------------------
def embed(t, width):
    half = width // 2
    frequency = 10_000 ** (-torch.arange(half) / (half - 1))
    angle = t[:, None] * frequency
    return torch.cat([angle.sin(), angle.cos()], dim=1)


Exercise(
    "08.4",
    embed,
    cases=[
        {"t": torch.tensor(t), "width": width}
        for t, width in (([0, 1, 7, 11, 2], 12), ([3.0, 12.5, 0.25], 22), ([5, 9], 4))
    ],
    gives=[Value("the embedding", "sin and cos of t · 10000^(−i / (h − 1))", rtol=1e-3)],
    slips={
        "sines and cosines take turns, but all sines should come first":
            "torch.cat(A, dim=1) -> torch.stack(A, dim=2).flatten(1)",
        "the cosines come first, but the sines should": "[A, B] -> [B, A]",
        "sines twice, and no cosines?": "angle.cos() -> angle.sin()",
        "cosines twice, and no sines?": "angle.sin() -> angle.cos()",
        "sines alone; half of the width are cosines": "return angle.sin()",
        "as many sines as the width, and cosines besides; they share it": "width // 2 -> width",
        "i / h doesn't reach 1, so the last frequency is not 1/10000": "half - 1 -> half",
        "the first frequency should be 1: does your i start at 1?": "torch.arange(half) -> torch.arange(1, half + 1)",
        "the frequencies rise to 10000, but they should fall to 1/10000": "-torch.arange(half) -> torch.arange(half)",
        "the frequencies rise up to 10000, but they should fall to 1/10000":
            "10_000 ** A -> torch.exp(math.log(10_000) * torch.arange(half) / (half - 1))",
        "the frequencies go from slow to fast, but the first should be 1": "torch.arange(half) -> torch.arange(half).flip(0)",
        "exp goes with the natural logarithm; is yours log10?": "10_000 -> math.exp(4)",
        "exp goes with the natural logarithm; is yours log2?": "10_000 -> math.exp(math.log2(10_000))",
        "the frequencies fall to 1/e: where is the 10,000?": "10_000 -> math.e",
        "whole division throws the exponents between 0 and 1 away": "A / (half - 1) -> A // (half - 1)",
        "the frequencies are evenly spaced, but it is their exponents that should be":
            "10_000 ** A -> torch.linspace(1, 1e-4, half)",
        "i runs over half of the width alone, so the frequencies stop at about 1/100": "half - 1 -> width - 1",
        "i / width stops before a half, so the last frequency is not 1/10000": "half - 1 -> width",
        "a factor of 2π too many": "t[:, None] -> 2 * math.pi * t[:, None]",
        "t is divided by 1000; take it as it is": "t[:, None] -> t[:, None] / 1000",
        "the frequencies fall to 1/1000, not to 1/10000": "10_000 -> 1_000",
        "those are the angles; take their sines and cosines": "angle.sin() -> angle ; angle.cos() -> angle",
    },
    hints=[
        "There are half = width // 2 frequencies, one for each i of torch.arange(half). The first is 1, the last 1/10000.",
        "Each time meets each frequency: the times as a column, t[:, None], and the frequencies as a row broadcast.",
        "torch.cat puts the sines of these angles and then their cosines side by side, along dim=1.",
    ],
)  # fmt: skip


# ---------------------------------------------------------------------------------------------------------------------
def group_norm(x, groups, eps):
    g = x.reshape(len(x), groups, -1)
    mean = g.mean(2, keepdim=True)
    variance = g.var(2, unbiased=False, keepdim=True)
    return ((g - mean) / (variance + eps).sqrt()).reshape(x.shape)


def _normalized(x, axes, eps):
    mean, variance = x.mean(axes, keepdim=True), x.var(axes, unbiased=False, keepdim=True)
    return (x - mean) / (variance + eps).sqrt()


def _channels(seed, n, c, h, w):
    """Each channel of each image has a mean and a variance of its own."""
    return normal(seed, n, c, h, w) * (0.3 + normal(seed + 1, n, c, 1, 1).abs()) + normal(seed + 2, n, c, 1, 1)


GROUPED = "x.reshape(len(x), groups, x.shape[1] // groups, *x.shape[2:])"
STRIPED = "x.reshape(len(x), x.shape[1] // groups, groups, *x.shape[2:])"
Exercise(
    "08.5",
    group_norm,
    cases=[
        {"x": _channels(seed, *shape), "groups": groups, "eps": eps}
        for seed, shape, groups, eps in ((5, (3, 8, 2, 3), 2, 0.3), (15, (2, 6, 3, 2), 3, 1e-5), (25, (2, 12, 2, 2), 3, 2.0))
    ],
    gives=[Value("the normalized x", "(x − mean) / √(variance + eps) of its group")],
    slips={
        "each channel over the whole batch: that is BatchNorm, where images depend on each other":
            "return _normalized(x, (0, 2, 3), eps)",
        "a group over the whole batch, but each image has a mean and a variance of its own":
            f"return _normalized({GROUPED}, (0, 2, 3, 4), eps).reshape(x.shape)",
        "everything together, but each group of each image has a mean and a variance of its own":
            "return _normalized(x, (0, 1, 2, 3), eps)",
        "each channel alone: that is InstanceNorm; a group's channels share a mean and a variance":
            "return _normalized(x, (2, 3), eps)",
        "all channels of an image together: that is LayerNorm; each group has a mean and a variance of its own":
            "return _normalized(x, (1, 2, 3), eps)",
        "each pixel alone, but a group's pixels share a mean and a variance":
            f"return _normalized({GROUPED}, 2, eps).reshape(x.shape)",
        "the variance is divided by N − 1": "A.var(2, unbiased=False, keepdim=True) -> A.var(2, keepdim=True)",
        "the root does not cover eps": "(variance + eps).sqrt() -> variance.sqrt() + eps",
        "the root does not cover eps; and std divides by N − 1":
            "return ((g - mean) / (g.std(2, keepdim=True) + eps)).reshape(x.shape)",
        "eps is added as it is, not squared": "variance + eps -> variance + eps**2",
        "divided by the variance, which leaves no variance of 1": "A.sqrt() -> A",
        "multiplied, which makes the spread larger": "A / B.sqrt() -> A * B.sqrt()",
        "the mean is taken out, but the variance is not 1 yet": "A / B.sqrt() -> A",
        "the mean is not taken out": "g - mean -> g",
        "without eps?": "variance + eps -> variance",
        "without eps; and the variance is divided by N − 1":
            "variance + eps -> variance ; A.var(2, unbiased=False, keepdim=True) -> A.var(2, keepdim=True)",
        "a group of yours takes every so many channels, but it should be neighbours":
            f"return _normalized({STRIPED}, (1, 3, 4), eps).reshape(x.shape)",
        "as many channels in a group as there should be groups": "groups -> x.shape[1] // groups",
        "not reshaped back to the shape of x": "A.reshape(x.shape) -> A",
    },
    hints=[
        "Give each group an axis of its own, by a reshape. Which axes belong to one group of one image, then?",
        "g = x.reshape(len(x), groups, -1): all channels and pixels of a group are the last axis. mean(2, keepdim=True).",
        "(g − mean) / (variance + eps).sqrt() with g.var(2, unbiased=False, keepdim=True), then reshape to x.shape.",
    ],
)  # fmt: skip


# ---------------------------------------------------------------------------------------------------------------------
def attend(q, k, v):
    scores = q @ k.transpose(1, 2) / q.shape[2] ** 0.5
    return scores.softmax(dim=2) @ v


Exercise(
    "08.6",
    attend,
    cases=[
        {name: 1.5 * normal(seed + i, *shape) for i, name in enumerate("qkv")}
        for seed, shape in ((60, (2, 5, 3)), (70, (3, 7, 2)))
    ],
    gives=[Value("what each pixel gets", "softmax(q kᵀ / √channels) v")],
    slips={
        "that holds the weights; what each pixel gets is the mean of v with these weights": "A @ v -> A",
        "divided by the root of the number of pixels; how many terms has an inner product of q and k?":
            "q.shape[2] -> q.shape[1]",
        "divided by the root of the batch; how many terms has an inner product of q and k?": "q.shape[2] -> q.shape[0]",
        "divided by the number of pixels; how many terms has an inner product of q and k?":
            "q.shape[2] ** 0.5 -> q.shape[1]",
        "the scale belongs to the scores, and stands outside the softmax": "return (q @ k.transpose(1, 2)).softmax(2) / q.shape[2] ** 0.5 @ v",
        "the softmax runs over the queries, but it is the weights of one query that should add up to 1":
            "scores.softmax(dim=2) -> scores.softmax(dim=1)",
        "the softmax runs over the queries; and the scores are not scaled":
            "scores.softmax(dim=2) -> scores.softmax(dim=1) ; A / B ** 0.5 -> A",
        "the softmax runs over the batch, but images should not look at each other":
            "scores.softmax(dim=2) -> scores.softmax(dim=0)",
        "the softmax runs over all pairs of pixels, but each query has weights of its own":
            "scores.softmax(dim=2) -> scores.flatten(1).softmax(1).reshape(scores.shape)",
        "q and k are exchanged: row i should hold the scores of query i": "q @ k.transpose(1, 2) -> k @ q.transpose(1, 2)",
        "q and k are exchanged, and the scores are not scaled":
            "q @ k.transpose(1, 2) / q.shape[2] ** 0.5 -> k @ q.transpose(1, 2)",
        "the right weights, but transposed before they meet v":
            "scores.softmax(dim=2) -> scores.softmax(dim=2).transpose(1, 2)",
        "the scores themselves are no weights": "scores.softmax(dim=2) -> scores",
        "the scores themselves are no weights, and they are not scaled": "return q @ k.transpose(1, 2) @ v",
        "exp of the scores without their sum: the weights of a query should add up to 1":
            "scores.softmax(dim=2) -> scores.exp()",
        "the scores are divided by their sum, without exp": "scores.softmax(dim=2) -> (scores / scores.sum(2, keepdim=True))",
        "q is used as k, too: the keys are left out": "k.transpose(1, 2) -> q.transpose(1, 2)",
        "q is added: the shortcut around the attention is not part of this function": "A @ v -> A @ v + q",
        "v is added: the shortcut around the attention is not part of this function": "A @ v -> A @ v + v",
        "each pixel has the same weight": "return v.mean(1, keepdim=True).expand_as(v)",
        "channels look at channels (qᵀ k), but pixels should look at pixels":
            "return v @ (q.transpose(1, 2) @ k / q.shape[2] ** 0.5).softmax(2)",
        "channels look at channels (kᵀ q), but pixels should look at pixels":
            "return v @ (k.transpose(1, 2) @ q / q.shape[2] ** 0.5).softmax(2)",
        "channels look at channels, transposed, but pixels should look at pixels":
            "return v @ (q.transpose(1, 2) @ k / q.shape[2] ** 0.5).softmax(2).transpose(1, 2)",
    },
    hints=[
        "Each pixel asks with its q, and each answers with its k: the score is their inner product. How many scores?",
        "q @ k.transpose(1, 2) are all scores: a row for each pixel that asks, a column for each that answers.",
        "Divide them by √channels. The softmax makes each row add up to 1: dim=2. Then weights @ v is, for each pixel, a "
        "weighted mean of all v.",
    ],
)  # fmt: skip


# ---------------------------------------------------------------------------------------------------------------------
def my_receptive_field(layers):
    field, jump = 1, 1
    for kernel, stride in layers:
        field += (kernel - 1) * jump
        jump *= stride
    return field


Exercise(
    "08.7",
    my_receptive_field,
    cases=[
        {"layers": layers}
        for layers in (
            [(3, 1), (3, 1)], [(3, 2), (3, 1)], [(3, 1), (3, 2), (3, 2), (3, 1)], [(7, 2), (3, 2), (3, 1)],
            [(5, 3), (1, 1), (4, 2), (3, 1)], [(4, 2), (4, 2), (4, 2), (2, 1)], [(5, 1)],
        )
    ],
    gives=[Value("the receptive field", "1 + the sum of (kernel − 1) · the product of the strides before")],
    slips={
        "the strides are ignored": "jump *= stride -> ",
        "a stride counts only for the layers after its own": "A * jump -> A * jump * stride",
        "only the layer's own stride? It is those before it that spread its inputs": "A * jump -> A * stride",
        "only the stride of the layer before? Those of all layers before play a part": "jump *= stride -> jump = stride",
        "the strides are added up, but two strides of 2 make every fourth pixel": "jump *= stride -> jump += stride",
        "doubled at each layer, but not every stride is 2": "jump *= stride -> jump *= 2",
        "that is the sum of the kernels, but they overlap": "return sum(kernel for kernel, _ in layers)",
        "that is the product of the kernels, but they overlap": "return math.prod(kernel for kernel, _ in layers)",
        "kernel times stride, summed; a layer's own stride plays no part": "return sum(k * s for k, s in layers)",
        "one too few: without any layer a pixel sees itself": "field, jump = 1, 1 -> field, jump = 0, 1",
        "a layer adds less than its kernel: one of its pixels was seen before": "kernel - 1 -> kernel",
        "a layer adds less than its kernel; and without any layer a pixel sees itself":
            "kernel - 1 -> kernel ; field, jump = 1, 1 -> field, jump = 0, 1",
        "one side only, but a kernel reaches to both": "kernel - 1 -> kernel // 2",
        "the radius; the field is what is seen on both sides": "kernel - 1 -> kernel // 2 ; field, jump = 1, 1 -> field, jump = 0, 1",
        "an even kernel reaches further on one side": "kernel - 1 -> kernel // 2 * 2",
        "a kernel's pixels are counted once, not for each side": "kernel - 1 -> 2 * (kernel - 1)",
        "squared, but one direction was asked for": "return field -> return field**2",
        "that is the distance of neighbours, the product of the strides": "return field -> return jump",
        "that recursion goes from the last layer to the first":
            "field = 1\nfor kernel, stride in layers:\n    field = (field - 1) * stride + kernel\nreturn field",
        "the last layer is left out": "layers -> layers[:-1]",
        "the first layer is left out": "layers -> layers[1:]",
        "that is the first layer alone; is `return` inside the loop?": "return layers[0][0]",
        "that is the last layer alone": "return layers[-1][0]",
        "kernel and stride are exchanged": "kernel <-> stride",
    },
    hints=[
        "Without any layer a pixel sees itself: 1. A 3-kernel of stride 1 adds a pixel at each side. And a second one?",
        "After a stride of 2, neighbours are 2 input pixels apart, so the next 3-kernel adds 2 · 2. Keep this "
        "distance in a variable `jump`.",
        "A layer adds (kernel − 1) · jump. Its stride then multiplies jump, for the layers after it.",
    ],
)  # fmt: skip


# ---------------------------------------------------------------------------------------------------------------------
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


X = normal(8, 2, 3, 7, 5)


class Network:
    """A U of layers that mix channels, and note (name, what came in, what went out)."""

    def __init__(self, levels, tracked=False):
        self.tracked, self.weights, self.calls = tracked, {}, []
        self.downs, self.ups = ([f"{way}[{i}]" for i in range(levels)] for way in ("down", "up"))
        self.layers = [self.layer(name, 3) for name in (*self.downs, "middle")], [self.layer(n, 6) for n in self.ups]

    def run(self, answer):
        (*down, middle), up = self.layers
        return answer(down, middle, list(up), X.clone())

    def gradients(self, answer):
        try:
            grads = torch.autograd.grad(self.run(answer).sum(), list(self.weights.values()), allow_unused=True)
        except (RuntimeError, AttributeError):  # no graph at all
            return {}
        return dict(zip(self.weights, grads, strict=True))

    def layer(self, name, channels):
        weights = self.weights[name] = normal(len(self.weights), 3, channels).requires_grad_(self.tracked)

        def mixes(*given):
            h = given[0]
            if len(given) > 1 or not torch.is_tensor(h):
                raise NotYet(f"{name} should get one tensor, and gets {len(given)} things, {type(h).__name__} first")
            if h.shape != (2, channels, 7, 5):
                why = "concatenate along the channels" if h.numel() == 2 * X.numel() else "concatenated, not added"
                why = why if channels == 6 else "skips are for the way up"
                raise NotYet(f"{name} gets the shape {tuple(h.shape)} and should get {(2, channels, 7, 5)}: {why}")
            out = torch.einsum("oc,bcij->boij", weights, h.double())
            self.calls.append((name, h.detach().double().clone(), out.detach()))
            return out.clone()

        return mixes

    def blame(self):
        """Follows the tensors from layer to layer, and says which first took a wrong turn."""
        outputs = {"x": X} | {f"{name}'s output": out for name, _, out in self.calls}
        names = [name for name, _, _ in self.calls]
        for name in self.weights:
            if names.count(name) != 1:
                why = ": is `return` inside the loop?" if name in self.ups[1:] and name not in names else ""
                return f"{name} is called {names.count(name)} times and should be called once{why}"
        came = {
            name: [next((o for o, y in outputs.items() if close(y, part)), "something else") for part in h.split(3, dim=1)]
            for name, h, _ in self.calls
        }
        before = "x"
        for name in self.weights:
            if came[name][0] != before:
                why = ": the skip comes first, and should come second" if came[name][-1] == before else ""
                return f"{name} gets {came[name][0]} as h and should get {before}{why}"
            before = f"{name}'s output"
        skips, right = [came[name][1] for name in self.ups], [f"{name}'s output" for name in reversed(self.downs)]
        whys = {
            "the right skips, in the wrong order": skips == right[::-1],
            "the order is right, but a skip is what went into its layer": skips == [*right[1:], "x"],
            "both bugs are still there": skips == ["x", *right[:0:-1]],
            "the same one each time": len(set(skips)) == 1,
            "skips come from the way down": any(skip.startswith(("middle", "up")) for skip in skips),
        }
        why = next((f": {why}" for why, holds in whys.items() if holds), "")
        got = f"the skips that reach {', '.join(self.ups)} are {', '.join(skips)}{why}"
        return "" if skips == right else got


def _plumbed(answer):
    for levels in (3, 4, 1):
        right, found = Network(levels), Network(levels)
        if not close(as_numbers(found.run(answer)), right.run(unet_forward)):
            return found.blame() or "return what the last layer of `up` returns, and nothing else"
    wanted, found = (Network(3, tracked=True).gradients(f) for f in (unet_forward, answer))
    lost = [name for name, gradient in wanted.items() if not close(found.get(name), gradient)]
    why = "with .detach(), .data, NumPy or no_grad a network cannot learn from what it passes on"
    return f"the values are right, but not the gradient of {', '.join(lost)}: {why}" if lost else ""


Exercise(
    "08.8",
    unet_forward,
    check=_plumbed,
    slips={
        "the right skips, in the wrong order": "skips.pop() -> skips.pop(0)",
        "a skip is what went into its layer": "skips.append(h) -> skips.append(kept) ; h = layer(h) -> kept, h = h, layer(h)",
        "both bugs are still there":
            "skips.append(h) -> skips.append(kept) ; h = layer(h) -> kept, h = h, layer(h) ; skips.pop() -> skips.pop(0)",
        "concatenated, not added": "torch.cat([h, skips.pop()], dim=1) -> h + skips.pop()",
        "concatenate along the channels": "torch.cat(A, dim=1) -> torch.cat(A, dim=0)",
        "the skip comes first": "[A, B] -> [B, A]",
        "middle is called 0 times": "middle(h) -> h",
        "the same one each time": "skips.pop() -> skips[-1]",
        "skips come from the way down": "skips.pop() -> h",
        "is `return` inside the loop?": "h = layer(torch.cat(A, dim=1)) -> return layer(torch.cat(A, dim=1))",
        "a network cannot learn": "skips.append(h) -> skips.append(h.detach())",
        "and nothing else": "return h -> return h + x",
        "down[1] gets x as h": "layer(h) -> layer(x)",
    },
    hints=[
        "Draw three levels and follow the tensors by hand. The check says which skip reaches which layer of `up`.",
        "A skip brings across what a layer of `down` has made. And the way up starts where the way down ends.",
        "Append after `h = layer(h)`, not before. Then take the skips from the end of the list: skips.pop().",
    ],
)  # fmt: skip
