"""The exercises of lesson 04: changes of variables, coupling layers, bits per pixel."""

import math

import torch

from course_lib.exercises import Calls, Exercise, Judge, Spy, Value, exercise_named, normal, uniform


def log_density(x):
    z = x + torch.log(-torch.expm1(-x))
    return -0.5 * (z.square() + math.log(2 * math.pi)) - torch.nn.functional.logsigmoid(z)


Exercise(
    "04.1",
    log_density,
    cases=[{"x": uniform(1, 11) + 1.1}, {"x": 2 * uniform(2, 7) + 2.5}],
    gives=[Value("log p_X", "log N(z; 0, 1) − log σ(z) with z = log(eˣ − 1)")],
    slips={
        "x in the place of z: the normal density has to be taken where z was": "z = A -> z = x",
        "without the factor of the change of variables": "A - torch.nn.functional.logsigmoid(z) -> A",
        "the sign of log f′(z): where f stretches, the density is lower":
            "A - torch.nn.functional.logsigmoid(z) -> A + torch.nn.functional.logsigmoid(z)",
        "f′(z) itself; its logarithm": "torch.nn.functional.logsigmoid(z) -> torch.sigmoid(z)",
        "the slope of f is taken at x; it belongs to z":
            "torch.nn.functional.logsigmoid(z) -> torch.nn.functional.logsigmoid(x)",
        "the normal density's own factor is missing, √(2π)": "z.square() + math.log(2 * math.pi) -> z.square()",
        "the density, not its logarithm":
            "z = torch.log(torch.expm1(x))\nreturn (-0.5 * z**2).exp() / math.sqrt(2 * math.pi) / torch.sigmoid(z)",
        "f was applied once more; z = f⁻¹(x)":
            "z = torch.nn.functional.softplus(x)\n"
            "return -0.5 * (z.square() + math.log(2 * math.pi)) - torch.nn.functional.logsigmoid(z)",
        "the slope of f is the sigmoid of z, not of −z":
            "torch.nn.functional.logsigmoid(z) -> torch.nn.functional.logsigmoid(-z)",
        "the inverse of eᶻ is log x; here 1 has to be taken off first":
            "z = x.log()\nreturn -0.5 * (z.square() + math.log(2 * math.pi)) - torch.nn.functional.logsigmoid(z)",
        "f′(z) is the sigmoid of z, not eᶻ": "torch.nn.functional.logsigmoid(z) -> z",
        "that is the log-normal density, of x = eᶻ": "return -0.5 * (x.log().square() + math.log(2 * math.pi)) - x.log()",
    },
    hints=[
        "First the inverse: z = log(eˣ − 1). Then the slope of f there: f′(z) is the sigmoid of z.",
        "log p_X(x) = log N(z; 0, 1) − log f′(z).",
    ],
)  # fmt: skip


def couple(x, mask, net):
    s, t = net(x * mask).chunk(2, dim=1)
    free = 1 - mask
    return x * (s * free).exp() + t * free, (s * free).sum(1)


def _net(d, seed):
    W, V = 0.7 * normal(seed, d, d), 0.7 * normal(seed + 1, d, d)
    return Spy(lambda x: torch.cat([torch.tanh(x @ W + 0.3), torch.sin(x @ V) + 0.5], dim=1))


CASES = [
    {"x": normal(3, 5, 7), "mask": torch.tensor([1, 0, 0, 1, 0, 1, 0]).double(), "net": _net(7, 4)},
    {"x": 2 * normal(6, 3, 4), "mask": torch.tensor([0, 1, 0, 1]).double(), "net": _net(4, 7)},
    {"x": normal(9, 7, 2), "mask": torch.tensor([1, 0]).double(), "net": _net(2, 10)},
]

Exercise(
    "04.2",
    couple,
    cases=CASES,
    gives=[
        Calls("net", Value("what net sees", "x · mask")),
        Value("z", "x where the mask is 1, x · exp(s) + t elsewhere"), Value("log|det|", "the sum of s where the mask is 0"),
    ],
    slips={
        "what passes was scaled and shifted too": "free = A -> free = torch.ones_like(mask)",
        "the mask is the wrong way round: 1 means that x passes": "free = A -> free = mask",
        "net sees all of x; then its inverse can't be computed": "x * mask -> x",
        "net sees what is changed, not what passes": "x * mask -> x * (1 - mask)",
        "s and t are exchanged: the first half is s": "s, t = A -> t, s = net(x * mask).chunk(2, dim=1)",
        "s is a logarithm: the factor is its exponential": "(s * free).exp() -> 1 - free + s * free",
        "the sign of s in the factor: that is the way back": "(s * free).exp() -> (-s * free).exp()",
        "that is the way back, from z to x":
            "s, t = net(x * mask).chunk(2, dim=1)\nfree = 1 - mask\n"
            "return (x - t * free) * (-s * free).exp(), -(s * free).sum(1)",
        "t is forgotten": "A + t * free -> A",
        "the s of what passes were summed up": "(s * free).sum(1) -> (s * mask).sum(1)",
        "summed over the batch": "(s * free).sum(1) -> (s * free).sum(0)",
        "the sum of all s; those of what passes change nothing": "(s * free).sum(1) -> s.sum(1)",
        "the sum of the factors; log|det| is the sum of their logarithms": "(s * free).sum(1) -> (s.exp() * free).sum(1)",
        "the sign of log|det|": "(s * free).sum(1) -> -(s * free).sum(1)",
        "one number for the batch": "(s * free).sum(1) -> (s * free).sum()",
        "the mean of s": "(s * free).sum(1) -> (s * free).mean(1)",
        "first shifted, then scaled": "x * (s * free).exp() + t * free -> (x + t * free) * (s * free).exp()",
    },
    hints=[
        "net(x * mask) is cut into two halves by chunk(2, dim=1).",
        "Multiply s and t by 1 − mask: then the factor is exp(0) = 1 and the shift 0 where x passes.",
    ],
)  # fmt: skip


def uncouple(z, mask, net):
    s, t = net(z * mask).chunk(2, dim=1)
    free = 1 - mask
    return (z - t * free) * (-s * free).exp()


Exercise(
    "04.3",
    uncouple,
    cases=[{"z": case["x"], "mask": case["mask"], "net": case["net"]} for case in CASES],
    gives=[
        Calls("net", Value("what net sees", "z · mask")), Value("x", "z where the mask is 1, (z − t) · exp(−s) elsewhere"),
    ],
    slips={
        "first the factor, then the shift: undo them in the opposite order":
            "(z - t * free) * (-s * free).exp() -> z * (-s * free).exp() - t * free",
        "the factor is not undone: it is exp(−s) on the way back": "(-s * free).exp() -> (s * free).exp()",
        "t is added again": "z - t * free -> z + t * free",
        "what passes was changed too": "free = A -> free = torch.ones_like(mask)",
        "the mask is the wrong way round": "free = A -> free = mask",
        "net sees all of z; on the way there it saw only what passes": "z * mask -> z",
        "net sees what was changed": "z * mask -> z * (1 - mask)",
        "that is the way there": "(z - t * free) * (-s * free).exp() -> z * (s * free).exp() + t * free",
        "t is forgotten": "(z - t * free) -> z",
        "s and t are exchanged": "s, t = A -> t, s = net(z * mask).chunk(2, dim=1)",
        "s in the place of its exponential": "(z - t * free) * (-s * free).exp() -> (z - t * free) / (1 - free + s * free)",
    },
    hints=[
        "What passed is in z unchanged, so net(z * mask) gives the same s and t as before.",
        "z = x eˢ + t, solved for x.",
    ],
)  # fmt: skip


def flow_log_prob(x, layers):
    total = 0.0
    for layer in layers:
        x, log_det = layer(x)
        total = total + log_det
    return total - 0.5 * (x.square() + math.log(2 * math.pi)).sum(1)


def _layer(d, seed):
    s, t, M = 0.4 * normal(seed, d), normal(seed + 1, d), torch.linalg.qr(normal(seed + 2, d, d)).Q

    def layer(x):
        y = x @ M
        bent = torch.sinh(0.5 * y)
        return bent * s.exp() + t, (s.sum() + (0.5 * torch.cosh(0.5 * y)).log().sum(1))

    return layer


Exercise(
    "04.4",
    flow_log_prob,
    cases=[
        {"x": normal(20, 5, 3), "layers": [_layer(3, 21), _layer(3, 24), _layer(3, 27)]},
        {"x": normal(30, 7, 2), "layers": [_layer(2, 31)]},
        {"x": 0.5 * normal(34, 3, 5), "layers": [_layer(5, 35), _layer(5, 38)]},
    ],
    gives=[Value("log p(x)", "log N(z; 0, I) + Σ log|det|, with z what comes out of the last layer")],
    slips={
        "log|det| is subtracted; the layers go from x to z, so it is added": "total - A -> -total - A",
        "the determinants are forgotten": "total - A -> 0.0 - A",
        "only the last layer's determinant, taken at x itself":
            "z = x\nfor layer in layers:\n    z, _ = layer(z)\n"
            "return layers[-1](x)[1] - 0.5 * (z.square() + math.log(2 * math.pi)).sum(1)",
        "only the last layer's determinant": "total = total + log_det -> total = log_det",
        "the normal density's constant is missing": "x.square() + math.log(2 * math.pi) -> x.square()",
        "the constant stands once for each coordinate, not once in all":
            "(x.square() + math.log(2 * math.pi)).sum(1) -> (x.square().sum(1) + math.log(2 * math.pi))",
        "the normal density of x; that of z, where the layers lead":
            "z, total = x, 0.0\nfor layer in layers:\n    z, log_det = layer(z)\n    total = total + log_det\n"
            "return total - 0.5 * (x.square() + math.log(2 * math.pi)).sum(1)",
        "each layer got x itself; it gets what the layer before it returned":
            "total = 0.0\nfor layer in layers:\n    z, log_det = layer(x)\n    total = total + log_det\n"
            "return total - 0.5 * (z.square() + math.log(2 * math.pi)).sum(1)",
        "the layers in the opposite order": "layers -> layers[::-1]",
        "the sign is turned: that is the loss": "total - 0.5 * A -> -(total - 0.5 * A)",
        "the mean over the coordinates": "A.sum(1) -> A.mean(1)",
        "one number for the batch": "A.sum(1) -> A.sum()",
        "½ is missing": "0.5 * A -> A",
    },
    hints=[
        "Go through the layers, replace x by what comes out, and add up the log|det|.",
        "At the end add log N(z; 0, I): −½ (z² + log 2π), summed over the coordinates.",
    ],
)  # fmt: skip


def bits_per_pixel(log_p, d, levels):
    log_mass = log_p + d * math.log(2 / (levels - 1))
    return -log_mass / (d * math.log(2))


Exercise(
    "04.5",
    bits_per_pixel,
    cases=[
        {"log_p": 10 * normal(40, 5) + 20, "d": 64, "levels": 17}, {"log_p": 30 * normal(41, 3) - 10, "d": 7, "levels": 256},
        {"log_p": 5 * normal(42, 7), "d": 11, "levels": 4},
    ],
    gives=[Value("the bits", "−(log p + d log(2/(levels − 1))) / (d log 2)")],
    slips={
        "the volume of the box of bins is missing": "log_p + d * math.log(2 / (levels - 1)) -> log_p",
        "the volume of one pixel's bin; a box has d sides": "d * math.log(2 / (levels - 1)) -> math.log(2 / (levels - 1))",
        "from −1 to 1 there are levels − 1 distances of 2/(levels − 1)": "2 / (levels - 1) -> 2 / levels",
        "the scale is 2 long": "2 / (levels - 1) -> 1 / (levels - 1)",
        "the volume is divided by; a mass is density times volume": "log_p + A -> log_p - A",
        "nats, not bits: a bit is log 2 nats": "d * math.log(2) -> d",
        "for the whole image; per pixel was asked for": "-log_mass / (d * math.log(2)) -> -log_mass / math.log(2)",
        "the sign: bits are paid": "-log_mass / A -> log_mass / A",
        "times log 2; a nat is more than a bit": "-log_mass / (d * math.log(2)) -> -log_mass / d * math.log(2)",
        "the logarithm to the base 10": "-log_mass / (d * math.log(2)) -> -log_mass / (d * math.log(10))",
        "the bin of a scale from 0 to 1 with 256 levels": "math.log(2 / (levels - 1)) -> -math.log(256)",
    },
    hints=[
        "The mass of a box of bins is about the density times its volume, and each side is 2/(levels − 1) long.",
        "Nats divided by log 2 are bits; divide by d, too.",
    ],
)  # fmt: skip


def is_a_coupling(couple):
    generator = torch.Generator().manual_seed(0)
    W = torch.randn(5, 10, generator=generator, dtype=torch.float64)
    mask = torch.tensor([1.0, 0.0, 0.0, 1.0, 0.0], dtype=torch.float64)

    def net(x):
        return torch.tanh(x @ W + 0.3)

    x = torch.randn(3, 5, generator=generator, dtype=torch.float64)
    s, t = net(x * mask).chunk(2, dim=1)
    z, log_det = couple(x, mask, net)
    expected = torch.where(mask == 1, x, x * s.exp() + t)
    if z.shape != x.shape or log_det.shape != (3,) or not torch.allclose(z, expected):
        return False
    for i in range(3):
        J = torch.autograd.functional.jacobian(lambda y: couple(y[None], mask, net)[0][0], x[i])
        if abs(float(log_det[i]) - float(torch.linalg.slogdet(J).logabsdet)) > 1e-8:
            return False
    return True


Judge(
    "04.6",
    is_a_coupling,
    right=[couple, lambda x, mask, net: couple(x, mask, net)],
    wrong=exercise_named("04.2").wrong()
    | {
        "log|det| is always 0": lambda x, mask, net: (couple(x, mask, net)[0], torch.zeros(len(x), dtype=x.dtype)),
        "the mask is ignored: the first half always passes": lambda x, mask, net: couple(
            x, (torch.arange(len(mask)) < (len(mask) + 1) // 2).to(mask), net
        ),
        "the log|det| of the first image stands for all": lambda x, mask, net: (
            couple(x, mask, net)[0],
            couple(x, mask, net)[1][:1].expand(len(x)),
        ),
        "the mean of log|det| over the batch stands for all": lambda x, mask, net: (
            couple(x, mask, net)[0],
            couple(x, mask, net)[1].mean().expand(len(x)),
        ),
        "nothing is changed at all": lambda x, mask, net: couple(x, torch.ones_like(mask), net),
    },
    slips={
        "your check refuses a function that is right": "return False",
        "your check accepts a wrong function": "return True",
    },
    hints=[
        "For one image the Jacobian is a d × d matrix, and torch.linalg.slogdet gives log|det|.",
        "Then test what the layer does: what passes is unchanged, and the rest is x eˢ + t with s and t from net(x * mask).",
        "A net of your own can be any function of what it gets.",
    ],
)
