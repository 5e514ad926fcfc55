"""Generative adversarial networks: minimax, non-saturating and Wasserstein, with or without labels (lessons 05 and 05b)."""

import math

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional as F

from course_lib import checks
from course_lib.data import check_images
from course_lib.models.protocol import one_hot
from course_lib.nets import dcgan, perceptron

LOSSES = ("minimax", "non-saturating", "wasserstein")


def critic_loss(real: Tensor, fake: Tensor, loss: str) -> dict[str, Tensor]:
    """What the critic makes small, from its scores of real and of generated images: -V(G, D) with D = sigmoid(score).

    For wasserstein, minus the difference of the mean scores (Arjovsky, Chintala and Bottou 2017). Raises ValueError for
    another loss than those in LOSSES.
    """
    checks.one_of("loss", loss, LOSSES)
    if loss == "wasserstein":
        return {"real": -real.mean(), "fake": fake.mean()}
    return {"real": F.softplus(-real).mean(), "fake": F.softplus(fake).mean()}


def generator_loss(fake: Tensor, loss: str) -> Tensor:
    """What the generator makes small: log(1 - D), or -log D, which does not saturate, or minus the mean score.

    Raises ValueError for another loss than those in LOSSES.
    """
    checks.one_of("loss", loss, LOSSES)
    if loss == "wasserstein":
        return -fake.mean()
    return F.softplus(-fake).mean() if loss == "non-saturating" else -F.softplus(fake).mean()


class GAN(nn.Module):
    """x = G(z) with z ~ N(0, I), and a critic that tells G(z) from the data; the two move by turns.

    shape: of an image or a point; images have convolutions (`nets.dcgan`), points perceptrons. k: numbers in z.
    loss: "minimax" and "non-saturating" (Goodfellow et al. 2014, eq. 1 and section 3), or "wasserstein".
    penalty: on the critic's slope. For wasserstein it pulls the slope to 1, at places between real and generated images
    (Gulrajani et al. 2017, eq. 3); for the others to 0, at real images (R1; Mescheder, Geiger and Nowozin 2018, eq. 9).
    clip: the critic's weights are kept in [-clip, clip]; 0 leaves them free. critic_turns: how often the critic moves before
    the generator does. classes: how many, where both are told the class of each image; 0 for none.
    """

    def __init__(
        self, shape: tuple[int, ...], k: int = 32, width: int = 32, loss: str = "non-saturating", penalty: float = 0.0,
        clip: float = 0.0, critic_turns: int = 1, classes: int = 0,
    ):  # fmt: skip
        super().__init__()
        self.shape, self.k = checks.shape("shape", shape), checks.whole("k", k, 1)
        self.loss, self.penalty = checks.one_of("loss", loss, LOSSES), checks.number("penalty", penalty, 0)
        self.clip, self.classes = checks.number("clip", clip, 0), checks.whole("classes", classes, 0)
        self.turns = ("critic",) * checks.whole("critic_turns", critic_turns, 1, 100) + ("generator",)
        self.generator, self.critic = self._networks(k + classes, 1 + classes, checks.whole("width", width, 1))

    def _networks(self, inputs: int, scores: int, width: int) -> tuple[nn.Module, nn.Module]:
        """The players; of the critic's scores the first is for looking real, the others for looking like each class."""
        if len(self.shape) == 3:
            return dcgan.generator(inputs, self.shape, width), dcgan.critic(self.shape, scores, width)
        dim = math.prod(self.shape)
        generator = nn.Sequential(perceptron(inputs, width, width, dim), nn.Unflatten(1, self.shape))
        return generator, nn.Sequential(nn.Flatten(), perceptron(dim, width, width, scores))

    def draw(self, shape: tuple[int, ...], generator: Generator | None, device: torch.device) -> dict[str, Tensor]:
        """z, (batch, k), and, for the penalty on a Wasserstein critic, how far from the real to the generated image."""
        z = {"z": torch.randn(shape[0], self.k, generator=generator, device=device)}
        between = self.penalty and self.loss == "wasserstein"
        return z | ({"u": torch.rand(shape[0], generator=generator, device=device)} if between else {})

    def forward(
        self,
        x0: Tensor,
        cond: Tensor | None = None,
        z: Tensor | None = None,
        u: Tensor | None = None,
        turn: str = "critic",
    ) -> Tensor | dict[str, Tensor]:
        """The loss of the player whose turn it is; the other one's weights are not to be moved by it.

        Raises ValueError for another turn, and for x_0 that are none of the model's.
        """
        checks.one_of("turn", turn, self.turns)
        if self.clip:
            with torch.no_grad():
                for weight in self.critic.parameters():
                    weight.clamp_(-self.clip, self.clip)
        if turn == "generator":
            return generator_loss(self.score(self.generate(z, cond), cond), self.loss)
        if len(self.shape) == 3:
            check_images(x0, shape=self.shape)
        elif x0.shape[1:] != self.shape:
            raise ValueError(f"x0 must be points of shape (batch, *{self.shape}); got {tuple(x0.shape)}")
        with torch.no_grad():
            fake = self.generate(z, cond)
        parts = critic_loss(self.score(x0, cond), self.score(fake, cond), self.loss)
        return parts | ({"penalty": self.penalty * self._penalty(x0, fake, cond, u)} if self.penalty else {})

    def generate(self, z: Tensor, cond: Tensor | None = None) -> Tensor:
        """G(z), images in [-1, 1] or points, of z (batch, k). Raises ValueError for z of another shape."""
        return self.generator(self._told(z, cond))

    def scores(self, x: Tensor) -> Tensor:
        """The critic's answer, (batch, 1 + classes): how real each looks, and how much more so as each class."""
        return self.critic(x)

    def score(self, x: Tensor, cond: Tensor | None = None) -> Tensor:
        """How real each looks to the critic, (batch,): D(x) = sigmoid(score), or a Wasserstein critic's f(x)."""
        scores = self.scores(x)
        if self.classes:
            return scores[:, 0] + (scores[:, 1:] * one_hot(cond, self.classes, scores)).sum(1)
        return scores[:, 0]

    def slope(self, x: Tensor, cond: Tensor | None = None) -> Tensor:
        """The length of the gradient of the score at x, (batch,), through which gradients flow on to the critic."""
        x = x.detach().requires_grad_()
        (gradient,) = torch.autograd.grad(self.score(x, cond).sum(), x, create_graph=True)
        return gradient.flatten(1).norm(dim=1)

    def sample(self, n: int, generator: Generator, cond: Tensor | None = None) -> Tensor:
        """n images or points in one pass; cond: (n,), the class of each, random without it."""
        checks.whole("n", n, 1)
        checks.generator(generator, or_none=False)
        if self.classes and cond is None:
            cond = torch.randint(self.classes, (n,), generator=generator, device=generator.device)
        return self.generate(torch.randn(n, self.k, generator=generator, device=generator.device), cond)

    def _told(self, z: Tensor, cond: Tensor | None) -> Tensor:
        """z with the class beside it, where the players are told it."""
        if not torch.is_tensor(z) or z.ndim != 2 or z.shape[1] != self.k:
            raise ValueError(f"z must be noise of shape (batch, {self.k}); got {checks.shown(z)}")
        return torch.cat([z, one_hot(cond, self.classes, z)], dim=1) if self.classes else z

    def _penalty(self, real: Tensor, fake: Tensor, cond: Tensor | None, u: Tensor | None) -> Tensor:
        if self.loss != "wasserstein":
            return 0.5 * self.slope(real, cond).square().mean()
        u = u.reshape(-1, *[1] * len(self.shape))
        return (self.slope(real + u * (fake - real), cond) - 1).square().mean()
