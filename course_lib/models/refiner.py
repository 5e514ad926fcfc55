"""A network that makes drawn digits look handwritten, by an adversarial loss: SimGAN (Shrivastava et al. 2017; lesson 05b)."""

import torch
from torch import Generator, Tensor, nn

from course_lib import checks
from course_lib.data import check_images, drawn_digits
from course_lib.models.gan import critic_loss, generator_loss


class Residual(nn.Module):
    """x + f(x), with f of two convolutions."""

    def __init__(self, width: int):
        super().__init__()
        self.f = nn.Sequential(
            nn.Conv2d(width, width, 3, padding=1), nn.ReLU(), nn.Conv2d(width, width, 3, padding=1), nn.ReLU()
        )

    def forward(self, x: Tensor) -> Tensor:
        return x + self.f(x)


class Refiner(nn.Module):
    """R(x) for drawn digits x, and a critic that tells patches of R(x) from patches of real images.

    The refiner's loss has two parts: to be taken for real, and to stay near the drawing, `keep` times the mean difference
    |R(x) - x| of a pixel (Shrivastava et al., eq. 4), so that the label stays true. What else varies in handwriting is
    drawn as `noise` channels beside x.
    """

    turns = ("critic", "generator")

    def __init__(self, size: int = 8, width: int = 32, blocks: int = 3, noise: int = 4, keep: float = 1.0):
        super().__init__()
        self.size, self.noise = checks.whole("size", size, 4), checks.whole("noise", noise, 0)
        checks.whole("width", width, 1)
        checks.whole("blocks", blocks, 0)
        self.keep = checks.number("keep", keep, 0)
        self.generator = nn.Sequential(
            nn.Conv2d(1 + noise, width, 3, padding=1), nn.ReLU(), *(Residual(width) for _ in range(blocks)),
            nn.Conv2d(width, 1, 1), nn.Tanh(),
        )  # fmt: skip
        self.critic = nn.Sequential(
            nn.Conv2d(1, width, 3, padding=1), nn.LeakyReLU(0.2), nn.Conv2d(width, width, 3, stride=2, padding=1),
            nn.LeakyReLU(0.2), nn.Conv2d(width, width, 3, padding=1), nn.LeakyReLU(0.2), nn.Conv2d(width, 1, 1),
        )  # fmt: skip

    def draw(self, shape: tuple[int, ...], generator: Generator | None, device: torch.device) -> dict[str, Tensor]:
        """Drawings of random digits, (batch, 1, size, size), and the noise beside them."""
        label = torch.randint(10, (shape[0],), generator=generator, device=device)
        drawn = drawn_digits(label, generator, self.size)
        return {"drawn": drawn, "eps": self._noise(drawn, generator)}

    def forward(
        self, x0: Tensor, cond: Tensor | None = None, drawn: Tensor | None = None, eps: Tensor | None = None,
        turn: str = "critic",
    ) -> dict[str, Tensor]:  # fmt: skip
        """The loss of the player whose turn it is, on average over the patches. Raises ValueError for another turn."""
        checks.one_of("turn", turn, self.turns)
        if turn == "generator":
            refined = self.refine(drawn, eps)
            change = (refined - drawn).abs().mean()
            return {"real": generator_loss(self.critic(refined), "non-saturating"), "keep": self.keep * change}
        with torch.no_grad():
            refined = self.refine(drawn, eps)
        return critic_loss(
            self.critic(check_images(x0, shape=(1, self.size, self.size))), self.critic(refined), "non-saturating"
        )

    def refine(self, drawn: Tensor, eps: Tensor) -> Tensor:
        """R(x), images in [-1, 1] of the drawings' shape."""
        return self.generator(torch.cat([drawn, eps], dim=1))

    def sample(self, n: int, generator: Generator, cond: Tensor | None = None) -> Tensor:
        """n drawings, refined; cond: which digits, (n,), random ones without it. Raises ValueError where they are not n."""
        checks.whole("n", n, 1)
        checks.condition(cond, n)
        checks.generator(generator, or_none=False)
        if cond is None:
            cond = torch.randint(10, (n,), generator=generator, device=generator.device)
        drawn = drawn_digits(cond, generator, self.size)
        return self.refine(drawn, self._noise(drawn, generator))

    def _noise(self, drawn: Tensor, generator: Generator | None) -> Tensor:
        size = (len(drawn), self.noise, *drawn.shape[2:])
        return torch.randn(size, generator=generator, device=drawn.device)
