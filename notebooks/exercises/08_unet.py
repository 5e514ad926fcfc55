"""The exercises of lesson 08: the U-Net."""

import functools
import itertools
import math  # noqa: F401, slips use it

import torch

from course_lib.exercises import Exercise, NotYet, Value, as_numbers, normal
from course_lib.exercises.gives import close


def _cases(names, *rows):
    return [dict(zip(names.split(), row, strict=True)) for row in rows]


def conv_size(n, kernel, stride, padding):
    return (n + 2 * padding - kernel) // stride + 1


Exercise(
    "08.1", conv_size,
    cases=_cases("n kernel stride padding", (100, 3, 2, 1), (28, 3, 1, 1), (7, 3, 2, 1), (28, 5, 3, 0), (14, 4, 2, 1),
                 (9, 1, 2, 0), (28, 7, 4, 2), (31, 6, 5, 3)),
    gives=[Value("the height", "⌊(n + 2 · padding − kernel) / stride⌋ + 1")],
    slips={
        "those are the steps; the place where the kernel starts counts, too": "A + 1 -> A",
        "the padding is counted once, but it is added at both ends": "2 * padding -> padding",
        "the first place is forgotten, and rounding up adds nothing where the last step fits": "A // B + 1 -> -(-A // B)",
        "that is n // stride, but the kernel and the padding play a part, too": "return n // stride",
        "that is the size after a transposed convolution": "return (n - 1) * stride - 2 * padding + kernel",
    },
    hints=["With its padding the image has n + 2 · padding rows; the kernel covers `kernel` of them. How far can it move?",
           "It moves in steps of `stride`, and one that doesn't fit is dropped: `//`. The place where it starts counts."],
)  # fmt: skip


def output_padding(n, kernel, stride, padding, goal):
    return goal - ((n - 1) * stride - 2 * padding + kernel)


Exercise(
    "08.2", output_padding,
    cases=_cases("n kernel stride padding goal", (50, 3, 2, 1, 100), (50, 3, 2, 1, 99), (7, 4, 2, 1, 14), (10, 5, 3, 2, 30),
                 (6, 5, 4, 0, 28), (9, 2, 3, 0, 27), (5, 3, 7, 1, 34), (4, 8, 5, 3, 21)),
    gives=[Value("the output_padding", "goal − ((n − 1) · stride − 2 · padding + kernel)")],
    slips={
        "that is the size without it; how much is missing to the goal?": "goal - A -> A",
        "n strides are taken, but between n places there are fewer": "n - 1 -> n",
        "the padding is counted once, but it is cut off at both ends": "2 * padding -> padding",
        "the padding is missing: it is cut off at both ends": "A - 2 * padding -> A",
        "brackets: all of the size is subtracted, each part of it": "goal - (A - B + C) -> goal - A - B + C",
        "n · stride is not the size without it: kernel and padding play a part, too": "return goal - n * stride",
        "that is the size of an ordinary convolution": "return goal - (n + 2 * padding - kernel) // stride - 1",
    },
    hints=["A convolution with these settings leads to n from several sizes; without output_padding you get the smallest.",
           "size = (n − 1) · stride − 2 · padding + kernel. What is missing from there to `goal`?"],
)  # fmt: skip


def block_weights(c_in, c_out, time):
    norm1, conv1 = 2 * c_in, 9 * c_in * c_out + c_out
    linear = time * c_out + c_out
    norm2, conv2 = 2 * c_out, 9 * c_out * c_out + c_out
    shortcut = c_in * c_out + c_out if c_in != c_out else 0
    return norm1 + conv1 + linear + norm2 + conv2 + shortcut


FORGOTTEN = {"the biases": "A + c_out -> A", "the norms": "2 * c_in -> 0 ; 2 * c_out -> 0",
             "the linear layer": "A + linear -> A", "the shortcut": "A + shortcut -> A"}  # fmt: skip
FORGETFUL = [names for many in (1, 2, 3) for names in itertools.combinations(FORGOTTEN, many)]
Exercise(
    "08.3", block_weights,
    cases=_cases("c_in c_out time", (8, 16, 32), (8, 8, 32), (16, 8, 12), (4, 12, 20), (4, 4, 24), (12, 20, 7)),
    gives=[Value("the number of weights", "2 for each channel in a norm; (inputs · kernel² + 1) · outputs for each layer")],
    slips={
        "a norm has not only a scale per channel, but a shift as well": "2 * c_in -> c_in ; 2 * c_out -> c_out",
        "a 3×3 kernel has not 3 entries": "9 * A -> 3 * A",
        "the second convolution starts from c_in, but the first has changed that": "9 * c_out * c_out -> 9 * c_in * c_out",
        "the first convolution starts from c_out, but x has c_in channels": "9 * c_in * c_out -> 9 * c_out * c_out",
        "a filter has a kernel for each of its channels": "9 * c_in * c_out -> 9 * c_out ; 9 * c_out * A -> 9 * c_out",
        "where c_in = c_out the shortcut has no weights": "A if B else 0 -> A",
        "the shortcut is the other way round": "c_in != c_out -> c_in == c_out",
        "the shortcut's kernel is not 3×3": "c_in * c_out + c_out -> 9 * c_in * c_out + c_out",
        "the linear layer leads to c_in, but it is added after the first convolution": "time * A + A -> time * c_in + c_in",
    } | {f"that is without {' and '.join(names)}": " ; ".join(map(FORGOTTEN.get, names)) for names in FORGETFUL},
    hints=["A convolution from a to b channels has b filters. Each has kernel² weights for each of the a, and a bias.",
           "Linear: time to c_out. Norms: a scale and a shift per channel, c_in in the first, c_out in the second."],
)  # fmt: skip


def embed(t, width):
    half = width // 2
    frequency = 10_000 ** (-torch.arange(half) / (half - 1))
    angle = t[:, None] * frequency
    return torch.cat([angle.sin(), angle.cos()], dim=1)


Exercise(
    "08.4", embed,
    cases=[{"t": torch.tensor(t), "width": w} for t, w in (([0, 1, 7, 11, 2], 12), ([3.0, 12.5, 0.25], 22), ([5, 9], 4))],
    gives=[Value("the embedding", "sin(t · f_i), then cos(t · f_i), with f_i = 10000^(−i / (h − 1))", rtol=1e-3)],
    slips={
        "sines and cosines take turns, but all sines should come first": "torch.cat(A, dim=1) -> torch.stack(A, 2).flatten(1)",
        "sines alone; half of the width are cosines": "torch.cat([A, B], dim=1) -> A",
        "i / h doesn't reach 1, so the last frequency is not 1/10000": "half - 1 -> half",
        "the first frequency should be 1: does your i start at 1?": "torch.arange(half) -> torch.arange(1, half + 1)",
        "the frequencies rise to 10000, but they should fall to 1/10000": "-torch.arange(half) -> torch.arange(half)",
        "the frequencies rise up to 10000, but they should fall": "10_000 ** (-A / B) -> torch.exp(math.log(10_000) * A / B)",
        "exp goes with the natural logarithm; is yours log10?": "10_000 -> math.exp(4)",
        "the frequencies fall to 1/e: where is the 10,000?": "10_000 -> math.e",
        "whole division leaves no exponents between 0 and 1": "-A / B -> -1.0 * (A // B)",
        "the frequencies are evenly spaced, but their exponents should be": "10_000 ** A -> torch.linspace(1, 1e-4, half)",
        "a factor of 2π too many": "t[:, None] -> 2 * math.pi * t[:, None]",
        "those are the angles; take their sines and cosines": "angle.sin() -> angle ; angle.cos() -> angle",
    },
    hints=["There are half = width // 2 frequencies, one for each i of torch.arange(half). The first is 1, the last 1/10000.",
           "The times as a column, t[:, None], times the frequencies make all angles. torch.cat puts tensors side by side."],
)  # fmt: skip


def group_norm(x, groups, eps):
    g = x.reshape(len(x), groups, -1)
    mean = g.mean(2, keepdim=True)
    variance = g.var(2, unbiased=False, keepdim=True)
    return ((g - mean) / (variance + eps).sqrt()).reshape(x.shape)


def _over(axes, x, eps, *split):
    """Mean 0 and variance 1 over these axes; split: the channels are two axes."""
    y = x.unflatten(1, split) if split else x
    y = y - y.mean(axes, keepdim=True)
    return (y / (y.var(axes, unbiased=False, keepdim=True) + eps).sqrt()).reshape(x.shape)


Exercise(
    "08.5", group_norm,
    cases=_cases("x groups eps", *((normal(5, *shape).cumsum(1), groups, eps) for shape, groups, eps in (
        ((3, 8, 2, 3), 2, 0.3), ((2, 6, 3, 2), 3, 1e-5), ((2, 12, 2, 2), 3, 2.0)))),
    gives=[Value("the normalized x", "(x − mean) / √(variance + eps) of its group")],
    slips={
        "each channel over the whole batch, as in BatchNorm: images depend on each other": "return _over((0, 2, 3), x, eps)",
        "each channel alone, as in InstanceNorm: a group's channels belong together": "return _over((2, 3), x, eps)",
        "all channels of an image together, as in LayerNorm: each group is on its own": "return _over((1, 2, 3), x, eps)",
        "everything together, but each group of each image is on its own": "return _over((0, 1, 2, 3), x, eps)",
        "a group over the whole batch, but each image is on its own": "return _over((0, 2, 3, 4), x, eps, groups, -1)",
        "each pixel alone, but a group's pixels belong together": "return _over(2, x, eps, groups, -1)",
        "your groups are channels far apart, but they should be neighbours": "return _over((1, 3, 4), x, eps, -1, groups)",
        "as many channels in a group as there should be groups": "groups -> x.shape[1] // groups",
        "the mean is not taken out": "g - mean -> g",
        "the root does not cover eps": "(variance + eps).sqrt() -> variance.sqrt() + eps",
        "the root does not cover eps; and std divides by N − 1": "(variance + eps).sqrt() -> g.std(2, keepdim=True) + eps",
    },
    hints=["Give each group an axis of its own, by a reshape. Which axes belong to one group of one image, then?",
           "g = x.reshape(len(x), groups, -1) has a group along axis 2: g.mean(2, keepdim=True). Reshape back at the end."],
)  # fmt: skip


def attend(q, k, v):
    scores = q @ k.transpose(1, 2) / q.shape[2] ** 0.5
    return scores.softmax(dim=2) @ v


Exercise(
    "08.6", attend,
    cases=_cases("q k v", 1.5 * normal(60, 3, 2, 5, 3), 1.5 * normal(70, 3, 3, 7, 2)),
    gives=[Value("what each pixel gets", "softmax(q kᵀ / √channels) v")],
    slips={
        "that holds the weights; what each pixel gets is the mean of v with these weights": "A @ v -> A",
        "scaled by the pixels; how many terms has an inner product of q and k?": "q.shape[2] -> q.shape[1]",
        "scaled by the batch; how many terms has an inner product of q and k?": "q.shape[2] -> q.shape[0]",
        "it is the scores that are scaled, before the softmax": "return (q @ k.mT).softmax(2) / q.shape[2] ** 0.5 @ v",
        "the softmax runs over the queries: the weights of each should add up to 1": "A.softmax(dim=2) -> A.softmax(dim=1)",
        "the softmax runs over the batch: images should not look at each other": "A.softmax(dim=2) -> A.softmax(dim=0)",
        "the softmax runs over all pairs of pixels": "A.softmax(dim=2) -> A.flatten(1).softmax(1).reshape(A.shape)",
        "the right weights, but transposed before they meet v": "A.softmax(dim=2) -> A.softmax(dim=2).mT",
        "exp of the scores without their sum: the weights of a query should add up to 1": "A.softmax(dim=2) -> A.exp()",
        "q is added: the shortcut around the attention is not part of this function": "A @ v -> A @ v + q",
        "channels look at channels; pixels should look at pixels": "return v @ (q.mT @ k / q.shape[2] ** 0.5).softmax(2)",
    },
    hints=["Each pixel asks with its q, and each answers with its k: the score is their inner product. How many scores?",
           "q @ k.transpose(1, 2) are all scores, a row for each pixel that asks. The softmax makes each row add up to 1."],
)  # fmt: skip


def my_receptive_field(layers):
    field, jump = 1, 1
    for kernel, stride in layers:
        field += (kernel - 1) * jump
        jump *= stride
    return field


Exercise(
    "08.7", my_receptive_field,
    cases=_cases("layers", [[(3, 1), (3, 1)]], [[(3, 2), (3, 1)]], [[(3, 1), (3, 2), (3, 2), (3, 1)]], [[(5, 1)]],
                 [[(7, 2), (3, 2), (3, 1)]], [[(5, 3), (1, 1), (4, 2), (3, 1)]], [[(4, 2), (4, 2), (4, 2), (2, 1)]]),
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
        "the sum of kernel times stride; a layer's own stride plays no part": "return sum(k * s for k, s in layers)",
        "one too few: without any layer a pixel sees itself": "field, jump = 1, 1 -> field, jump = 0, 1",
        "a layer adds less than its kernel: one of its pixels was seen before": "kernel - 1 -> kernel",
        "less than its kernel; and a pixel sees itself": "kernel - 1 -> kernel ; field, jump = 1, 1 -> field, jump = 0, 1",
        "one side only, but a kernel reaches to both": "kernel - 1 -> kernel // 2",
        "that goes from the last layer to the first": "return functools.reduce(lambda f, l: (f - 1) * l[1] + l[0], layers, 1)",
        "that is the first layer alone; is `return` inside the loop?": "return layers[0][0]",
        "kernel and stride are exchanged": "kernel <-> stride",
    },
    hints=["Without any layer a pixel sees itself: 1. A 3-kernel of stride 1 adds a pixel at each side. And a second one?",
           "After a stride of 2, neighbours are 2 input pixels apart, so a 3-kernel adds 2 · 2. Call that distance jump."],
)  # fmt: skip


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
    """A U of layers that mix channels; it notes what comes into each layer and what goes out."""

    def __init__(self, answer, levels, tracked=False):
        self.downs, self.ups = ([f"{way}[{i}]" for i in range(levels)] for way in ("down", "up"))
        self.names, self.came, self.outputs = [*self.downs, "middle", *self.ups], {}, {"x": X}
        self.weights = [normal(i, 3, 3 + 3 * (i > levels)).requires_grad_(tracked) for i in range(2 * levels + 1)]
        layers = [functools.partial(self.layer, i) for i in range(2 * levels + 1)]
        self.out = answer(layers[:levels], layers[levels], layers[levels + 1 :], X.clone())

    def origin(self, h):
        return next((name for name, out in self.outputs.items() if close(h.detach().double(), out)), "something else")

    def layer(self, i, *given):
        name, right, h = self.names[i], (2, self.weights[i].shape[1], 7, 5), given[0]
        if len(given) > 1 or not torch.is_tensor(h):
            raise NotYet(f"{name} should get one tensor")
        if h.shape != right:
            missing = "where is the skip?" if self.origin(h) != "something else" else "concatenated, not added"
            joined = "concatenate along the channels" if h.numel() == 2 * X.numel() else missing
            why = joined if name in self.ups else "skips are for the way up"
            raise NotYet(f"{name} gets the shape {tuple(h.shape)} and should get {right}: {why}")
        out = torch.einsum("oc,bchw->bohw", self.weights[i], h.double())
        self.came.setdefault(name, []).append([self.origin(part) for part in h.split(3, dim=1)])
        self.outputs[f"{name}'s output"] = out.detach()
        return out.clone()

    def blame(self):
        """The first layer that is called too often, or gets the wrong thing."""
        for name in self.names:
            if (times := len(self.came.get(name, []))) != 1:
                why = ": is `return` inside the loop?" if not times and name in self.ups[1:] else ""
                return f"{name} is called {times} times and should be called once{why}"
        before = "x"
        for name in self.names:
            h, *skip = self.came[name][0]
            if h != before:
                why = ": the skip comes first, and should come second" if skip == [before] else ""
                return f"{name} gets {h} as h and should get {before}{why}"
            before = f"{name}'s output"
        skips, right = [self.came[name][0][1] for name in self.ups], [f"{name}'s output" for name in self.downs[::-1]]
        whys = {
            "the right skips, in the wrong order": skips == right[::-1],
            "the order is right, but a skip is what went into its layer": skips == [*right[1:], "x"],
            "both bugs are still there": skips == ["x", *right[:0:-1]],
            "the same one each time": len(set(skips)) == 1,
            "skips come from the way down": any(skip.startswith(("middle", "up")) for skip in skips),
        }
        why = next((f": {why}" for why, holds in whys.items() if holds), "")
        return "" if skips == right else f"the skips that reach {', '.join(self.ups)} are {', '.join(skips)}{why}"


def _gradients(answer):
    try:
        network = Network(answer, 3, tracked=True)
        return torch.autograd.grad(network.out.sum(), network.weights, allow_unused=True)
    except (RuntimeError, TypeError, AttributeError):  # no graph at all
        return [None] * 7


def _plumbed(answer):
    for levels in (3, 4, 1):
        found = Network(answer, levels)
        if not close(as_numbers(found.out), Network(unet_forward, levels).out):
            return found.blame() or "return what the last layer of `up` returns, and nothing else"
    names, mine, its = Network(unet_forward, 3).names, _gradients(answer), _gradients(unet_forward)
    lost = [name for name, found, right in zip(names, mine, its, strict=True) if not close(found, right)]
    why = "with .detach(), .data, NumPy or no_grad a network cannot learn from what it passes on"
    return f"the values are right, but not the gradient of {', '.join(lost)}: {why}" if lost else ""


Exercise(
    "08.8", unet_forward,
    check=_plumbed,
    slips={
        "the right skips, in the wrong order": "skips.pop() -> skips.pop(0)",
        "a skip is what went into its layer": "h = layer(h) -> old, h = h, layer(h) ; skips.append(h) -> skips.append(old)",
        "the same one each time": "skips.pop() -> skips[-1]",
        "a network cannot learn": "skips.append(h) -> skips.append(h.detach())",
        "and nothing else": "return h -> return h + x",
    },
    hints=["Draw three levels and follow the tensors by hand. The check says which skip reaches which layer of `up`.",
           "A skip brings across what a layer of `down` has made. And the way up starts where the way down ends."],
)  # fmt: skip
