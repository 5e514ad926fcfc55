"""Tips for training GANs, one at a time, each on the same budget (lesson 05b)."""

import copy
import math
from typing import Any

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional as F
from tqdm.auto import tqdm

from course_lib.data import load
from course_lib.experiments.common import rounded
from course_lib.metrics import quality
from course_lib.models.gan import GAN
from course_lib.nets import perceptron

TIPS: dict[str, dict[str, Any]] = {
    "plain": {},
    "the saturating loss": {"loss": "minimax"},
    "Wasserstein, clipped": {"loss": "wasserstein", "clip": 0.05},
    "Wasserstein, slope near 1": {"loss": "wasserstein", "penalty": 10.0},
    "R1 penalty": {"penalty": 0.1},
    "ReLU and max pooling in D": {"sparse": True},
    "no convolutions": {"convolutions": False},
    "SGD for D": {"sgd": 0.2},
    "dropout in G": {"dropout": 0.3},
    "real labels 0.9": {"label": 0.9},
    "noise on D's images": {"noise": 0.2},
    "batch norm in G": {"batch_norm": True},
    "uniform z": {"uniform": True},
    "Adam's momentum 0.9": {"momentum": 0.9},
}
OURS = ("loss", "clip", "penalty")  # what the model of the course knows itself
SEEDS = (0, 1, 2)
STEPS, BATCH, RATE = 2000, 64, 2e-3


def measure() -> dict[str, Any]:
    """For each tip, one number a seed: FD ratio and recall of the averaged generator, FD ratio of the last one."""
    rows = []
    for tip in tqdm(TIPS, desc="tips"):
        found = [judged(*play(tip, seed)) for seed in SEEDS]
        rows.append({"tip": tip} | {name: [rounded(one[name]) for one in found] for name in found[0]})
    return {"steps": STEPS, "batch": BATCH, "rate": RATE, "seeds": list(SEEDS), "rows": rows}


def judged(averaged: "Players", last: "Players") -> dict[str, float]:
    """Of 1,000 images of each."""
    found, raw = (quality(made(players), "digits") for players in (averaged, last))
    return {
        "fd_ratio": found.fd_ratio,
        "recall": found.recall.mean,
        "precision": found.precision.mean,
        "fd_last": raw.fd_ratio,
    }


def made(players: "Players", n: int = 1000) -> Tensor:
    """n images, by the rules that it was trained with."""
    with torch.no_grad(), torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(0)  # for dropout
        return players.generate(players.draw((n,), Generator().manual_seed(0), torch.device("cpu"))["z"])


class Players(GAN):
    """The course's GAN of the digits with one thing changed."""

    def __init__(self, **changes: Any):
        super().__init__((1, 8, 8), **{name: value for name, value in changes.items() if name in OURS})
        self.changes = changes
        if not changes.get("convolutions", True):
            self.generator = nn.Sequential(perceptron(self.k, 128, 256, 64), nn.Tanh(), nn.Unflatten(1, self.shape))
            self.critic = nn.Sequential(nn.Flatten(), perceptron(64, 256, 128, 1))
        if changes.get("sparse"):
            self.critic = nn.Sequential(
                *(layer for c_in, c in ((1, 32), (32, 64))
                  for layer in (nn.Conv2d(c_in, c, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2))),
                nn.Flatten(), nn.Linear(256, 1),
            )  # fmt: skip
        if changes.get("batch_norm"):
            swap(self.generator, nn.GroupNorm, lambda old: nn.BatchNorm2d(old.num_channels))
        if share := changes.get("dropout"):
            swap(self.generator, nn.ReLU, lambda old: nn.Sequential(old, nn.Dropout(share)))

    def draw(self, shape: tuple[int, ...], generator: Generator | None, device: torch.device) -> dict[str, Tensor]:
        drawn = super().draw(shape, generator, device)
        if self.changes.get("uniform"):  # of the same variance
            drawn["z"] = math.sqrt(12) * (torch.rand(drawn["z"].shape, generator=generator) - 0.5)
        return drawn

    def score(self, x: Tensor, cond: Tensor | None = None) -> Tensor:
        return super().score(x + self.changes.get("noise", 0.0) * torch.randn_like(x), cond)

    def forward(self, x0: Tensor, cond: Tensor | None = None, turn: str = "critic", **draws: Tensor) -> Any:
        loss = super().forward(x0, cond, turn=turn, **draws)
        if (label := self.changes.get("label")) and turn == "critic":
            real = self.score(x0)
            loss["real"] = F.binary_cross_entropy_with_logits(real, torch.full_like(real, label))
        return loss


def play(tip: str, seed: int, steps: int = STEPS) -> tuple[Players, Players]:
    """The averaged and the last players after some 40 seconds."""
    changes, rng, x0 = TIPS[tip], Generator().manual_seed(seed), load("digits").train.x0
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        players = Players(**changes)
        averaged = copy.deepcopy(players)
        betas = (changes.get("momentum", 0.0), 0.99)
        optimizers: dict[str, torch.optim.Optimizer] = {
            turn: torch.optim.Adam(getattr(players, turn).parameters(), lr=RATE, betas=betas) for turn in players.turns
        }
        if rate := changes.get("sgd"):
            optimizers["critic"] = torch.optim.SGD(players.critic.parameters(), lr=rate)
        peak = {turn: optimizer.defaults["lr"] for turn, optimizer in optimizers.items()}
        for step in range(steps):
            fall = 0.5 * (1 + math.cos(math.pi * step / steps)) * min(1.0, (step + 1) / 100)
            for turn, optimizer in optimizers.items():
                optimizer.param_groups[0]["lr"] = peak[turn] * fall
                rows = torch.randint(len(x0), (BATCH,), generator=rng)
                draws = players.draw((BATCH,), rng, x0.device)
                loss = players(x0[rows], turn=turn, **draws)
                players.zero_grad()
                (loss if torch.is_tensor(loss) else sum(loss.values())).backward()
                optimizer.step()
            blend(averaged, players, min(0.998, (1 + step) / (10 + step)))
    return averaged, players


def blend(averaged: nn.Module, players: nn.Module, decay: float) -> None:
    """Move the average a little."""
    with torch.no_grad():
        for old, new in zip(averaged.parameters(), players.parameters(), strict=True):
            old.lerp_(new, 1 - decay)


def swap(net: nn.Module, kind: type[nn.Module], new: Any) -> None:
    """Every layer of a kind in a network is replaced by what `new` makes of it."""
    for name, layer in net.named_children():
        if isinstance(layer, kind):
            setattr(net, name, new(layer))
        else:
            swap(layer, kind, new)
