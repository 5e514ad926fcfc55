"""Whatever a public function is given, it answers as its docstring says or refuses in the course's own words.

Refused: a ValueError, TypeError or AssertionError that a `raise` of course_lib made, or one of the course's own classes; what
comes from deep inside PyTorch is no answer to a student. Answered: finite values of the shape and dtype that are promised.
Every function is tried with each bad value in the place of each argument, and with many in the place of many (Hypothesis).
"""

import linecache
import math
import traceback
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

import course_lib
from course_lib import agree as agreement
from course_lib import data, diffusion, metrics, models, nets
from course_lib.diffusion import EPS, SAMPLERS, X0, Clipped, Denoiser, Guided, NoiseSchedule, Oracle, State, V
from course_lib.exact import GaussianMixture, Points

PACKAGE = str(Path(course_lib.__file__).parent)
HUGE = 1e15  # beyond, float32 overflows in a square: nothing is promised to be finite
N, T = 4, 10


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


class Answers(nn.Module):
    """A network with a weight, so that its loss has a gradient; `answer` spoils what it says."""

    def __init__(self, answer: Callable[[Tensor], Any] = lambda y: y):
        super().__init__()
        self.answer, self.weight = answer, nn.Parameter(torch.ones(()))

    def forward(self, x_t, t):
        return self.answer(self.weight * x_t)


COMPLEX = normal(N, 2).to(torch.complex64)
# Values that are right nowhere, and values that are right in some places.
NEVER = ["x", 1j, {}, object(), math.nan, math.inf, -math.inf, COMPLEX]
SOMETIMES = [
    None, "", True, -1, 0, 2.5, -0.5, 2**70, 1e30, [], [1, 2], (), torch.Generator().manual_seed(0),
    torch.zeros(N, 2, dtype=torch.long), torch.zeros(N, 1, 8, 8, dtype=torch.uint8), torch.ones(N, dtype=torch.bool),
    torch.zeros(0, 2), torch.tensor(0.3), torch.tensor(3), normal(3, 5), normal(N, 1), normal(1, 2), normal(N), normal(N, 2).double(),
    torch.full((N, 2), math.nan), torch.full((N, 2), math.inf), torch.full((N, 2), 1e30), torch.full((N, 1, 8, 8), 255.0),
    torch.full((T + 1,), -1.0), torch.full((T + 1,), math.nan), torch.zeros(T + 1), torch.tensor([3, 0, 1, 2]), torch.tensor([1, 2]),
]  # fmt: skip

SCHEDULE = NoiseSchedule.linear(T, 0.05, 0.5)
X, IMAGES, STEPS = normal(N, 2), normal(N, 1, 8, 8, seed=1).clamp(-1, 1), torch.tensor([1, 3, 7, 10])
MIXTURE = GaussianMixture([[-1.0, 0.0], [1.0, 0.5], [0.0, 0.0]], torch.tensor([0.1, 0.3, 0.2]))
ORACLE, MODEL, POINTS = Oracle(MIXTURE, SCHEDULE), Denoiser(Answers(), SCHEDULE, EPS), Points(X)
LABELS = torch.tensor([0, 1, 2, 3])
WORDS = data.Vocabulary(["a", "cat", "red"], 4)
PICTURES, SCENES = normal(N, 3, 32, 32).clamp(-1, 1), data.draw_shapes(0, N)
TOKENS = torch.tensor([[1, 2, 0, 0], [3, 0, 0, 0], [0, 0, 0, 0], [1, 3, 2, 1]])
NET = {"channels": 1, "size": 8, "width": 8, "multipliers": (1,), "blocks": 1}
DIGITS = data.load("digits")


def LOG_PROB(x_t, t, cond):  # noqa: ARG001, N802
    return -(x_t.flatten(1) - cond.flatten()[:1]).square().sum(1)


TABLE = torch.linspace(0.1, 0.3, T + 1, dtype=torch.float64)
UNET = nets.UNet(1, 8, 8, (1, 2), 1, groups=4)
G = torch.Generator().manual_seed(0)


def like(*names: str) -> Callable:
    """Promises one tensor for each name, of that argument's shape and dtype."""
    return lambda a: [(a[name].shape, a[name].dtype) for name in names]


def shape_of(*names: str) -> Callable:
    """Promises one tensor for each name, of that argument's shape; its dtype comes of all arguments."""
    return lambda a: [(a[name].shape, None) for name in names]


def rows(name: str, dtype: torch.dtype | None = None) -> Callable:
    """Promises one number for each row of an argument."""
    return lambda a: [(a[name].shape[:1], dtype or a[name].dtype)]


@dataclass
class Case:
    """good: arguments that work. promise: (shape, dtype) of each tensor that comes out, None where it is something else.

    refused: values that are wrong in this place only. carries: it is called in every step and looks at no value, so what goes
    in as NaN or infinite comes out as such. unbounded: infinite at t = 0, as it says. takes: values of NEVER that are right here.
    kept: arguments that are not spoilt.
    """

    call: Callable
    good: dict[str, Any]
    promise: Callable[[dict], list] | None = None
    refused: Mapping[str, list] = field(default_factory=dict)
    carries: bool = False
    unbounded: bool = False
    takes: tuple = ()
    kept: tuple[str, ...] = ()

    def pool(self, name: str) -> list:
        return [*NEVER, *SOMETIMES, *self.refused.get(name, [])]

    def spoilable(self) -> list[str]:
        return [name for name in self.good if name not in self.kept]


def fresh_loss(x0, cond, generator, t, eps):
    """The first batch is looked at, so each call has a model of its own."""
    return Denoiser(Answers(), SCHEDULE, EPS)(x0, cond, generator, t, eps)


def sampled(walk: str) -> Callable:
    return lambda **a: diffusion.last(SAMPLERS[walk](**a))


WRONG_NETS = [
    Answers(lambda y: y[:, :1]), Answers(lambda y: y.sum()[None]), Answers(lambda y: (y, y)), Answers(lambda y: None),
    Answers(lambda y: y.long()), Answers(lambda y: y.unsqueeze(1)),
]  # fmt: skip
PATH = {"denoiser": ORACLE, "x_T": X, "times": [10, 5, 0], "cond": None, "generator": G}
BAD_TIMES = [[0, 5, 10], [10, math.nan, 0], [10], [5, 5], [11, 0], [5, -1], "abc", ["a", "b"]]
STEP = {"schedule": SCHEDULE, "x0": X, "eps": X, "t": 5, "s": 3, "eta": 0.5, "generator": G, "variance": "beta"}

SHAPES = [(), (0, 2, 2), (1, -2, 2), (1, 2.0, 2), 4, "148"]

CASES = {
    "NoiseSchedule": Case(NoiseSchedule, {"betas": [0.1, 0.2]}, refused={"betas": [[0.0], [1.0], [1e-20]]}),
    "linear": Case(NoiseSchedule.linear, {"T": 10, "first": 0.1, "last": 0.2}),
    "cosine": Case(NoiseSchedule.cosine, {"T": 10, "offset": 0.008, "largest": 0.999}),
    "at": Case(SCHEDULE.at, {"t": 3, "like": X}, refused={"t": [11, -1, 10.5]}),
    "signal": Case(SCHEDULE.signal, {"t": STEPS}, lambda a: [(torch.as_tensor(a["t"]).shape, torch.float64)]),
    "rates": Case(SCHEDULE.rates, {"t": 2.5, "like": X}, unbounded=True),
    "snr": Case(SCHEDULE.snr, {"t": 2.5, "like": X}, unbounded=True),
    "q_sample": Case(SCHEDULE.q_sample, {"x0": X, "t": STEPS, "eps": X}, carries=True, refused={"x0": [X.long()]}),
    "posterior": Case(SCHEDULE.posterior, {"x0": X, "x_t": X, "t": STEPS}, carries=True, refused={"t": [0, 2.5]}),
    "times": Case(SCHEDULE.times, {"steps": 5}, refused={"steps": [11, 0, 2.0]}),
    "draw_times": Case(SCHEDULE.draw_times, {"n": 4, "generator": G, "weight": TABLE}, lambda a: [((a["n"],), torch.long)]),
    "Denoiser": Case(
        lambda **a: Denoiser(**a)(X, generator=G), {"net": Answers(), "schedule": SCHEDULE, "target": V, "weight": TABLE},
        lambda a: [((), torch.float32)], refused={"net": WRONG_NETS, "target": ["eps"], "weight": [torch.ones(3)]},
    ),
    "loss": Case(
        fresh_loss, {"x0": X, "cond": None, "generator": G, "t": STEPS, "eps": X}, lambda a: [((), None)], carries=True,
        refused={"x0": [X * math.nan, 100 * X, X.long()], "t": [STEPS * 1.0, STEPS - 1, STEPS[:1], 3], "cond": [G]},
    ),
    "predict": Case(MODEL.predict, {"x_t": X, "t": 3, "cond": None}, like("x_t", "x_t"), carries=True, refused={"cond": [G, LABELS]}),
    "Oracle": Case(Oracle, {"distribution": MIXTURE, "schedule": SCHEDULE}),
    "oracle": Case(ORACLE.predict, {"x_t": X, "t": 3, "cond": None}, like("x_t", "x_t"), refused={"t": [0], "cond": [G, LABELS]}),
    "Clipped": Case(Clipped, {"denoiser": ORACLE, "low": -1.0, "high": 1.0}, refused={"high": [-1.0, -2.0]}),
    "clipped": Case(Clipped(ORACLE).predict, {"x_t": X, "t": 3}, like("x_t", "x_t"), refused={"t": [0]}),
    "Guided": Case(
        Guided, {"denoiser": ORACLE, "w": 2.0, "interval": (0.2, 0.8), "rescale": 0.5},
        refused={"w": [1e30, -1e4], "interval": [(0.8, 0.2), (-0.1, 1.0), (0.5,), 0.5], "rescale": [-0.1, 1.1]},
    ),
    "ClassifierGuided": Case(
        diffusion.ClassifierGuided, {"denoiser": ORACLE, "log_prob": LOG_PROB, "w": 2.0, "conditional": False},
        refused={"w": [1e30, -1e4], "log_prob": [3]}, kept=("conditional",),
    ),
    "guided by a classifier": Case(
        diffusion.ClassifierGuided(ORACLE, LOG_PROB).predict, {"x_t": X, "t": 3, "cond": LABELS}, like("x_t", "x_t"),
        refused={"t": [0]}, carries=True, kept=("cond",),
    ),
    "of": Case(V.of, {"x0": X, "eps": X, "signal": 0.6, "noise": 0.8}, shape_of("x0"), carries=True, kept=("signal", "noise")),
    "solve": Case(
        V.solve, {"x_t": X, "y": X, "signal": 0.6, "noise": 0.8}, shape_of("x_t", "x_t"), carries=True, kept=("signal", "noise")
    ),
    **{
        name: Case(sampled(name), PATH, like("x_T"), refused={"times": BAD_TIMES, "cond": [G], "generator": [X]})
        for name in SAMPLERS
    },
    "encode": Case(
        lambda **a: diffusion.last(diffusion.encode(**a)), PATH | {"times": [0, 5, 10]}, like("x_T"), refused={"times": [[10, 0]]}
    ),
    "step": Case(
        diffusion.step, STEP, shape_of("x0"), carries=True,
        refused={"t": [3, 2, 11], "s": [5, 6, -1], "eta": [1.5, -0.1], "variance": ["gamma"], "x0": [X[:1]]},
    ),
    "sample": Case(sampled("ddim"), PATH | {"eta": 0.5, "variance": "beta"}, like("x_T"), refused={"variance": ["gamma"]}),
    "predictor-corrector": Case(
        sampled("euler-maruyama"), PATH | {"corrections": 1, "r": 0.1}, like("x_T"), refused={"corrections": [-1], "r": [0, -1]}
    ),
    "last": Case(diffusion.last, {"states": [State(0, X, X, X)]}, refused={"states": [[], 3]}),
    "score": Case(diffusion.score, {"denoiser": ORACLE, "x_t": X, "t": 3}, like("x_t"), refused={"t": [0]}),
    "velocity": Case(diffusion.velocity, {"denoiser": ORACLE, "x_t": X, "t": 3}, like("x_t"), refused={"t": [0]}),
    "langevin_step": Case(
        diffusion.langevin_step, {"denoiser": ORACLE, "x": X, "t": 3, "cond": None, "generator": G, "r": 0.1}, like("x")
    ),
    "log_likelihood": Case(
        diffusion.log_likelihood,
        {"denoiser": ORACLE, "x": X, "start": 5.0, "trace": "exact", "generator": G, "tolerance": 0.05},
        refused={"start": [0, 10, 11], "trace": ["Exact"], "tolerance": [0, -1]},
    ),
    "bound": Case(
        diffusion.bound, {"denoiser": ORACLE, "x0": (2 * X.clamp(-1, 1)).round() / 2, "levels": 5, "sigma2": TABLE, "generator": G, "draws": 2},
        lambda a: [(a["x0"].shape[:1], None)] * 3,
        refused={"x0": [2 * torch.ones(N, 2), X.clamp(-1, 1)], "levels": [0, 1, -3, 4], "sigma2": [-TABLE, 0 * TABLE, TABLE[1:]], "draws": [0]},
    ),
    "step_kl": Case(
        diffusion.step_kl, {"schedule": SCHEDULE, "t": STEPS + (STEPS == 1), "square": normal(N).abs(), "dim": 2, "sigma2": TABLE},
        rows("square"), carries=True, refused={"t": [STEPS, 1]},
    ),
    "discretized": Case(
        diffusion.discretized, {"x0": X.clamp(-1, 1), "mu": X, "sigma": 0.2, "levels": 5}, carries=True, refused={"levels": [1, 0]}
    ),
    "fixed_variance": Case(
        diffusion.fixed_variance, {"schedule": SCHEDULE, "kind": "beta_tilde"}, lambda a: [((T + 1,), torch.float64)],
        refused={"kind": ["Beta"], "schedule": [NoiseSchedule([0.1])]},
    ),
    "best_variance": Case(diffusion.best_variance, {"schedule": SCHEDULE, "mean_square": TABLE}, lambda a: [((T + 1,), torch.float64)]),
    "bound_weight": Case(diffusion.bound_weight, {"schedule": SCHEDULE, "target": X0}, lambda a: [((T + 1,), torch.float64)]),
    "GaussianMixture": Case(
        GaussianMixture, {"mean": [[0.0, 1.0]], "cov": 0.5, "weight": [2.0]}, refused={"cov": [-1.0], "weight": [[-1.0], [0.0]]}
    ),
    "mixture.sample": Case(MIXTURE.sample, {"n": 3, "generator": G}, lambda a: [((a["n"], 2), torch.float64)]),
    "mixture.log_prob": Case(MIXTURE.log_prob, {"x": X}, rows("x"), refused={"x": [X.long()]}),
    "mixture.score": Case(MIXTURE.score, {"x": X}, like("x"), refused={"x": [X.long()]}),
    "mixture.noised": Case(MIXTURE.noised, {"signal": 0.6, "noise": 0.8}, refused={"noise": [-0.1]}),
    "mixture.posterior_mean": Case(
        MIXTURE.posterior_mean, {"x_t": X[:3], "signal": 0.6, "noise": 0.8}, like("x_t"), refused={"signal": [torch.ones(3)], "x_t": [X.long()]}
    ),
    "mixture.posterior": Case(MIXTURE.posterior, {"x_t": X[0], "signal": 0.6, "noise": 0.8}),
    "Points": Case(Points, {"x": X}),
    "points.sample": Case(POINTS.sample, {"n": 3, "generator": G}, lambda a: [((a["n"], 2), torch.float64)]),
    "points.log_prob": Case(POINTS.log_prob, {"x_t": X, "signal": 0.6, "noise": 0.8}, rows("x_t"), refused={"noise": [0, -1]}),
    "points.posterior_mean": Case(POINTS.posterior_mean, {"x_t": X, "signal": 0.6, "noise": 0.8}, like("x_t"), refused={"noise": [0, -1]}),
    "sinusoids": Case(
        nets.sinusoids, {"t": STEPS, "width": 8, "longest": 100.0}, lambda a: [((len(a["t"]), a["width"]), torch.float32)],
        refused={"t": [STEPS[:, None]], "width": [7, 2]}, carries=True,
    ),
    "UNet": Case(
        nets.UNet,
        {"channels": 1, "size": 8, "width": 8, "multipliers": (1, 2), "blocks": 1, "attention": (4,), "groups": 4, "dropout": 0.1},
        refused={"width": [0, 9], "multipliers": [(), (0,), (1.5,), 2], "blocks": [-1, 0], "attention": [(5,)], "dropout": [1.0]},
    ),
    "UNet.forward": Case(
        UNET, {"x_t": IMAGES, "t": STEPS}, like("x_t"), carries=True, refused={"x_t": [IMAGES.double()], "t": [STEPS[:1], STEPS[:, None]]}
    ),
    "MLP": Case(nets.MLP, {"dim": 2, "width": 8, "depth": 1, "time": 8}, refused={"depth": [0], "time": [7]}),
    "MLP.forward": Case(nets.MLP(2, 8, 1, 8), {"x_t": X, "t": STEPS}, like("x_t"), carries=True, refused={"t": [STEPS[:1]]}),
    "receptive_field": Case(nets.receptive_field, {"layers": [(3, 1), (3, 2)]}, refused={"layers": [[(0, 1)], [3], [(3, -1)]]}),
    "stages": Case(nets.stages, {"net": UNET}),
    "way_down": Case(nets.way_down, {"net": UNET}),
    "load": Case(data.load, {"name": "digits"}, refused={"name": ["Digits", ["digits"]]}),
    "toy": Case(data.toy, {"name": "moons", "n": 5, "seed": 0}, lambda a: [((a["n"], 2), torch.float32)], refused={"n": [2.5]}),
    "to_indices": Case(
        data.to_indices, {"x0": IMAGES, "levels": 17}, lambda a: [(a["x0"].shape, torch.int64)],
        refused={"levels": [1, 0], "x0": [2 * IMAGES.abs() + 1]},
    ),
    "from_indices": Case(
        data.from_indices, {"index": torch.tensor([[0, 16], [3, 8]]), "levels": 17}, shape_of("index"),
        refused={"levels": [1, 0, 16], "index": [torch.tensor([-1]), torch.tensor([17])]},
    ),
    "NaiveBayes": Case(models.NaiveBayes, {"shape": (1, 2, 2), "levels": 3, "classes": 2, "smoothing": 0.1}, refused={"shape": SHAPES}),
    "PCAGaussian": Case(models.PCAGaussian, {"shape": (1, 2, 2), "k": 2, "levels": 3}, refused={"shape": SHAPES, "k": [0, 4]}),
    "Mixture": Case(
        models.Mixture, {"shape": (2,), "components": 2, "levels": None, "ridge": 0.1, "rounds": 3}, refused={"ridge": [-0.1], "components": [0]}
    ),
    "Autoencoder": Case(models.Autoencoder, {"shape": (1, 2, 2), "k": 2, "width": 8}, refused={"shape": SHAPES, "k": [0]}),
    "Autoregressive": Case(
        models.Autoregressive, {"shape": (1, 2, 2), "levels": 3, "width": 4, "depth": 1, "dropout": 0.1},
        refused={"shape": [*SHAPES, (3, 2, 2), (4,)], "dropout": [1.0, -0.1], "levels": [1]},
    ),
    "VAE": Case(
        models.VAE,
        {"shape": (1, 2, 2), "levels": 3, "k": 2, "width": 4, "decoder": "gaussian", "beta": 1.0, "free_bits": 0.1, "classes": 2},
        refused={"shape": SHAPES, "levels": [1], "k": [0], "width": [0], "decoder": ["normal"], "beta": [-1.0], "classes": [-1]},
    ),
    "MarkovVAE": Case(
        models.MarkovVAE, {"shape": (1, 2, 2), "levels": 3, "sizes": (2, 1), "width": 4, "decoder": "categorical"},
        refused={"shape": SHAPES, "levels": [1], "sizes": [(), (0,), 3], "decoder": ["bernoulli"]},
    ),
    "Flow": Case(
        models.Flow, {"shape": (2,), "layers": 2, "width": 4, "levels": 3, "dropout": 0.1},
        refused={"shape": SHAPES, "layers": [0], "width": [0], "levels": [1], "dropout": [1.0, -0.1]},
    ),
    "RBM": Case(
        models.RBM, {"shape": (1, 2, 2), "hidden": 3, "steps": 1}, refused={"shape": SHAPES, "hidden": [0], "steps": [0]}
    ),
    "GAN": Case(
        models.GAN,
        {"shape": (2,), "k": 2, "width": 4, "loss": "wasserstein", "penalty": 1.0, "clip": 0.1, "critic_turns": 2, "classes": 2},
        refused={
            "shape": [*SHAPES, (1, 6, 8)], "k": [0], "width": [0], "loss": ["hinge"], "penalty": [-1.0], "clip": [-0.1],
            "critic_turns": [0, 101], "classes": [-1],
        },
    ),
    "ProgressiveGAN": Case(
        models.ProgressiveGAN, {"shape": (1, 8, 8), "k": 2, "width": 4, "doublings": 1, "grow": 2},
        refused={"shape": [*SHAPES, (2,), (1, 7, 8)], "doublings": [0, 4], "grow": [0]},
    ),
    "Refiner": Case(
        models.Refiner, {"size": 8, "width": 4, "blocks": 1, "noise": 1, "keep": 1.0},
        refused={"size": [3], "width": [0], "blocks": [-1], "noise": [-1], "keep": [-1.0]},
    ),
    "ImageAutoencoder": Case(
        models.ImageAutoencoder,
        {"eye": nn.Identity(), "shape": (3, 8, 8), "latent": 2, "width": 8, "perceptual": 0.1, "adversarial": 0.1, "kl": 1e-6},
        refused={"shape": [*SHAPES, (3, 6, 6)], "latent": [0], "width": [0, 7], "perceptual": [-1.0], "adversarial": [-1.0], "kl": [-1.0]},
        kept=("eye",),
    ),
    "Reader": Case(
        models.Reader, {"shape": (3, 8, 8), "attributes": (2, 3), "width": 4, "features": 4},
        refused={"shape": SHAPES, "attributes": [(), (0,), 3], "width": [0], "features": [0]},
    ),
    "NoisyClassifier": Case(
        models.NoisyClassifier, {"channels": 1, "size": 8, "classes": 2, "width": 8, "schedule": "cosine", "T": 10},
        refused={"channels": [0], "size": [1], "classes": [0], "width": [7], "schedule": ["square"], "T": [0]},
    ),
    "ClassUNet": Case(nets.ClassUNet, {"classes": 3, **NET}, refused={"classes": [0]}, kept=tuple(NET)),
    "PictureUNet": Case(
        nets.PictureUNet, {"picture": (3, 16, 16), **NET}, refused={"picture": [(3,), 4, (3, 12, 12), (3, 4, 4)]}, kept=tuple(NET)
    ),
    "TextUNet": Case(
        nets.TextUNet, {"words": 4, "length": 4, "text": 8, "text_blocks": 1, "heads": 2, **NET},
        refused={"words": [0], "length": [0], "text": [0, 7], "text_blocks": [-1], "heads": [0, 3]}, kept=tuple(NET),
    ),
    "TextUNet.forward": Case(
        nets.TextUNet(words=4, length=4, text=8, heads=2, **NET), {"x_t": IMAGES, "t": STEPS, "cond": TOKENS}, like("x_t"),
        carries=True, refused={"t": [STEPS[:1]], "cond": [TOKENS[:2], TOKENS[:, :3], TOKENS.float(), TOKENS + 1, -TOKENS, G]},
    ),
    "ClassUNet.forward": Case(
        nets.ClassUNet(classes=3, **NET), {"x_t": IMAGES, "t": STEPS, "cond": LABELS}, like("x_t"), carries=True,
        refused={"t": [STEPS[:1]], "cond": [LABELS[:2], LABELS + 1, -LABELS - 1, LABELS.float(), G]},
    ),
    "CrossAttention": Case(nets.CrossAttention, {"width": 8, "heads": 2, "context": 4}, refused={"width": [0, 7], "heads": [0, 3], "context": [0]}),
    "Vocabulary": Case(data.Vocabulary, {"words": ["a", "b"], "length": 3}, refused={"words": [["a", "a"], ["A"], [1], 5], "length": [0]}),
    "encode a caption": Case(WORDS.encode, {"captions": ["a red cat", "cat"]}, refused={"captions": ["dog", [3], "a a a a a", 5, [""]]}),
    "decode tokens": Case(WORDS.decode, {"tokens": TOKENS}, refused={"tokens": [TOKENS + 3, -TOKENS, TOKENS[0], [[1]]]}),
    "attributes_of": Case(data.attributes_of, {"caption": "a small red circle at the left"}, refused={"caption": ["a dog", 5, ""]}),
    "draw_shapes": Case(data.draw_shapes, {"start": 3, "n": 2}, refused={"start": [-1], "n": [0]}),
    "has_unseen": Case(data.has_unseen, {"attributes": SCENES.attributes}, refused={"attributes": [SCENES.attributes[:, :3], X, LABELS]}),
    "damage": Case(
        data.damage, {"x0": PICTURES, "kind": "rain", "seed": 0}, like("x0"),
        refused={"x0": [IMAGES, 9 * PICTURES], "kind": ["fire"], "seed": [-1]},
    ),
    "perceptual_distance": Case(
        models.perceptual_distance, {"eye": models.Reader((3, 32, 32), (2,), 4, 4), "a": PICTURES, "b": PICTURES.flip(0)},
        refused={"a": [PICTURES[:2], IMAGES]},
    ),
    "naming": Case(
        metrics.naming, {"x0": X, "right": [0, 1, 2, 0], "known": normal(5, 2)}, refused={"right": [[0, 1, 2, 5], [0, 1], LABELS * 1.0, LABELS + 4]}
    ),
    "reading": Case(
        metrics.reading, {"reader": models.Reader((3, 32, 32), (5, 6, 2, 5, 6, 2, 7), 4, 4), "x0": SCENES.x0, "attributes": SCENES.attributes},
        refused={"x0": [IMAGES, SCENES.x0[:2]], "attributes": [SCENES.attributes[:, :3], LABELS, SCENES.attributes * 1.0]},
    ),
    "psnr": Case(metrics.psnr, {"x0": PICTURES, "true": PICTURES.flip(0)}, refused={"true": [PICTURES[:2], IMAGES]}),
    "drawn_digits": Case(
        data.drawn_digits, {"label": LABELS, "generator": G, "size": 8}, kept=("generator",),
        refused={"label": [LABELS + 10, LABELS.float(), LABELS[:, None]], "size": [3]},
    ),
    "to_levels": Case(data.to_levels, {"x0": IMAGES, "levels": 17}, like("x0"), refused={"levels": [1, 0]}, carries=True),
    "to_uint8": Case(data.to_uint8, {"x0": IMAGES}, lambda a: [(a["x0"].shape, torch.uint8)]),
    "check_images": Case(data.check_images, {"x0": IMAGES}, like("x0"), refused={"x0": [2 * torch.ones(N, 1, 8, 8), IMAGES.long(), X]}),
    "check_labels": Case(data.check_labels, {"label": LABELS, "dataset": DIGITS}, kept=("dataset",), refused={"label": [LABELS + 7, -LABELS]}),
    "check_data": Case(
        data.check_data, {"data": DIGITS.train[:4], "name": "some"}, kept=("name",),
        refused={"data": [DIGITS, DIGITS.held_out, IMAGES, data.Split(IMAGES, LABELS[:2]), data.Split(255 * IMAGES, LABELS)]},
    ),
    "identical": Case(data.identical, {"x0": IMAGES, "others": IMAGES}, rows("x0", torch.bool)),
    "fingerprint": Case(data.fingerprint, {"split": DIGITS.train[:4]}),
    "contains_held_out": Case(data.contains_held_out, {"x0": IMAGES, "dataset": DIGITS}),
    "frechet_distance": Case(metrics.frechet_distance, {"a": normal(9, 2), "b": normal(8, 2)}),
    "frechet_draws": Case(
        metrics.frechet_draws, {"a": normal(9, 2), "b": normal(8, 2), "n": 5, "draws": 2, "seed": 0},
        lambda a: [((a["draws"],), torch.float64)], refused={"n": [1, 9], "draws": [0]},
    ),
    "precision_recall": Case(metrics.precision_recall, {"generated": normal(9, 2), "real": normal(8, 2), "k": 3}, refused={"k": [8]}),
    "two_sample_accuracy": Case(
        metrics.two_sample_accuracy, {"generated": normal(9, 2), "real": normal(9, 2, seed=1), "seed": 0}, refused={"real": [normal(8, 2)]}
    ),
    "nearest_distance": Case(metrics.nearest_distance, {"x0": X, "training": normal(9, 2)}, lambda a: [(a["x0"].shape[:1], None)]),
    "nearness": Case(
        metrics.nearness, {"distances": normal(9).abs(), "unseen": normal(9, seed=1).abs(), "exact": 0}, refused={"unseen": [normal(9)]}
    ),
    "condition_accuracy": Case(
        metrics.condition_accuracy, {"x0": IMAGES, "label": LABELS, "data": "digits"},
        refused={"x0": [(IMAGES + 1) * 127, IMAGES[:2]], "label": [LABELS + 7, LABELS * 1.0], "data": ["moons"]},
    ),
    "loss_by_t": Case(
        metrics.loss_by_t, {"model": MODEL, "x0": X, "times": [1, 5]}, lambda a: [((2,), None)], refused={"times": [[0], [11], []]}
    ),
    "squared_errors": Case(metrics.squared_errors, {"model": MODEL, "x0": X}, lambda a: [((T + 1, len(a["x0"])), torch.float64)]),
    "quality": Case(metrics.quality, {"samples": IMAGES, "data": "digits"}, refused={"samples": [IMAGES, "digits", [IMAGES]]}),
    "agree": Case(agreement.agree, {"what": "x", "left": X, "right": X, "atol": 0.1}, kept=("what",), takes=(COMPLEX,), refused={"atol": [-1]}),
    "agree_mean": Case(
        agreement.agree_mean, {"what": "x", "samples": X, "expected": X.mean(0)}, kept=("what",), refused={"samples": [X[:1]]}
    ),
}  # fmt: skip

calls: Counter[str] = Counter()


def is_own(error: BaseException) -> bool:
    """Whether the course itself raised it: by a `raise` in one of its files, or as a class of its own."""
    last = traceback.extract_tb(error.__traceback__)[-1]
    raised = last.filename.startswith(PACKAGE) and linecache.getline(last.filename, last.lineno).lstrip().startswith(
        "raise"
    )
    kinds = (ValueError, TypeError, AssertionError)
    return raised and (isinstance(error, kinds) or type(error).__module__.startswith("course_lib"))


def check_words(error: Exception, told: str) -> None:
    """What a student reads must come from the course, and say something."""
    assert is_own(error), f"{told} stops deep inside: {type(error).__name__}: {error}"
    assert len(str(error)) > 15, f"{told} says only {error}"


def tensors_in(value: Any) -> list[Tensor]:
    if torch.is_tensor(value):
        return [value]
    if isinstance(value, float):
        return [torch.tensor(value)]
    if isinstance(value, GaussianMixture):
        return [value.mean, value.cov, value.weight]
    if isinstance(value, NoiseSchedule):
        return [value.alpha_bar, value.signal(value.T)]
    if isinstance(value, diffusion.Bound):
        return [value.prior, value.steps, value.decoder]
    return [t for v in value for t in tensors_in(v)] if isinstance(value, tuple | list) else []


def finite_is_promised(case: Case, arguments: dict[str, Any]) -> bool:
    """Not where the function says otherwise, for numbers too large, and for what passes NaN and infinity on."""
    given = [t for value in arguments.values() for t in tensors_in(value) if t.is_floating_point() and t.numel()]
    huge = any(t.nan_to_num(0, 0, 0).abs().max() > HUGE for t in given)
    return not (case.unbounded or huge or (case.carries and not all(t.isfinite().all() for t in given)))


def try_out(name: str, spoilt: dict[str, Any]) -> None:
    """Call a function with some of its arguments spoilt, and judge what it does."""
    case = CASES[name]
    arguments = case.good | spoilt
    told = f"{name}({', '.join(f'{k}={course_lib.checks.shown(v)}' for k, v in spoilt.items())})"
    calls[name] += 1
    try:
        result = case.call(**arguments)
    except Exception as error:
        check_words(error, told)
        return
    never = {k: [v for v in (*NEVER, *case.refused.get(k, [])) if not any(v is t for t in case.takes)] for k in spoilt}
    wrong = [k for k, v in spoilt.items() if any(v is other for other in never[k])]
    assert not wrong, f"{told} takes this {', '.join(wrong)}"
    found = tensors_in(result)
    if case.promise:
        for tensor, (shape, dtype) in zip(found, case.promise(arguments), strict=True):
            assert tensor.shape == shape and dtype in (None, tensor.dtype), (
                f"{told} gives {tensor.shape}, {tensor.dtype}"
            )
    if finite_is_promised(case, arguments):
        assert all(t.isfinite().all() for t in found), f"{told} gives what is not finite"


@pytest.fixture(scope="module", autouse=True)
def told_how_many():
    yield
    print(f"\n{sum(calls.values()):,} calls of {len(calls)} functions")


@pytest.mark.parametrize("name", CASES)
def test_what_is_right_is_answered(name):
    if name == "quality":  # its good arguments take seconds; tests/metrics has them
        return
    case = CASES[name]
    result = case.call(**case.good)
    assert all(t.isfinite().all() for t in tensors_in(result))


@pytest.mark.parametrize("name", CASES)
def test_one_bad_value_is_refused_or_answered(name):
    case = CASES[name]
    for argument in case.spoilable():
        for value in case.pool(argument):
            try_out(name, {argument: value})


@settings(derandomize=True, deadline=None, max_examples=600, database=None, suppress_health_check=list(HealthCheck))
@given(st.data())
def test_several_bad_values_are_refused_or_answered(draw):
    name = draw.draw(st.sampled_from(sorted(CASES)), label="function")
    names = draw.draw(st.lists(st.sampled_from(CASES[name].spoilable()), min_size=1, unique=True), label="spoilt")
    spoilt = {argument: draw.draw(st.sampled_from(CASES[name].pool(argument)), label=argument) for argument in names}
    try_out(name, spoilt)
