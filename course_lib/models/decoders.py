"""What a decoder's answer says about the grey values of an image: three distributions, and what each assumes (lesson 03)."""

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional as F

from course_lib import checks
from course_lib.data import from_indices, to_indices
from course_lib.diffusion import discretized


class Bernoulli(nn.Module):
    """Each pixel is white with a chance of its own, and black otherwise. The answer: the chances' logits, (batch, pixels)."""

    def __init__(self, levels: int):
        super().__init__()
        if levels != 2:
            raise ValueError(f"a Bernoulli decoder knows black and white: levels must be 2; got {levels}")
        self.levels, self.numbers = levels, 1

    def log_prob(self, answer: Tensor, x0: Tensor) -> Tensor:
        """log P(x_0 | answer), (batch,), for x0 (batch, pixels) of black and white."""
        return -F.binary_cross_entropy_with_logits(answer, (x0 + 1) / 2, reduction="none").sum(1)

    def mean(self, answer: Tensor) -> Tensor:
        """The expectation of each pixel, in [-1, 1]: its chance of being white as a grey value."""
        return 2 * torch.sigmoid(answer) - 1

    def draw(self, answer: Tensor, generator: Generator) -> Tensor:
        """A draw of each pixel, black or white."""
        return 2 * torch.bernoulli(torch.sigmoid(answer), generator=generator) - 1


class Gaussian(nn.Module):
    """Each grey value has the mass of a Gaussian in its bin; one width for all pixels is learned. The answer: the means."""

    def __init__(self, levels: int):
        super().__init__()
        self.levels, self.numbers = checks.whole("levels", levels, 2), 1
        self.log_sigma = nn.Parameter(torch.tensor(-1.0))

    def log_prob(self, answer: Tensor, x0: Tensor) -> Tensor:
        """log P(x_0 | answer), (batch,), for x0 (batch, pixels)."""
        return discretized(x0, answer, self.log_sigma.exp(), self.levels).sum(1).to(x0.dtype)

    def mean(self, answer: Tensor) -> Tensor:
        """The mean of each pixel, in [-1, 1]."""
        return answer.clamp(-1, 1)

    def draw(self, answer: Tensor, generator: Generator) -> Tensor:
        """A draw of each pixel, on the grey levels."""
        noise = torch.randn(answer.shape, generator=generator, device=answer.device, dtype=answer.dtype)
        x = (answer + self.log_sigma.exp() * noise).clamp(-1, 1)
        return from_indices(((x + 1) * ((self.levels - 1) / 2)).round().long(), self.levels)


class Categorical(nn.Module):
    """Each grey value of each pixel has a probability of its own. The answer: scores, (batch, levels * pixels)."""

    def __init__(self, levels: int):
        super().__init__()
        self.levels = self.numbers = checks.whole("levels", levels, 2)

    def log_prob(self, answer: Tensor, x0: Tensor) -> Tensor:
        """log P(x_0 | answer), (batch,), for x0 (batch, pixels)."""
        index = to_indices(x0[:, None, None], self.levels)[:, 0, 0]
        return -F.cross_entropy(self._scores(answer), index, reduction="none").sum(1)

    def mean(self, answer: Tensor) -> Tensor:
        """The expectation of each pixel, in [-1, 1]."""
        values = torch.linspace(-1, 1, self.levels, device=answer.device, dtype=answer.dtype)
        return (self._scores(answer).softmax(1) * values[:, None]).sum(1)

    def draw(self, answer: Tensor, generator: Generator) -> Tensor:
        """A draw of each pixel, on the grey levels."""
        chance = self._scores(answer).softmax(1).movedim(1, 2)
        index = torch.multinomial(chance.flatten(0, 1), 1, generator=generator)
        return from_indices(index.reshape(chance.shape[:2]), self.levels)

    def _scores(self, answer: Tensor) -> Tensor:
        return answer.unflatten(1, (self.levels, -1))


DECODERS = {"bernoulli": Bernoulli, "gaussian": Gaussian, "categorical": Categorical}


def binarized(x0: Tensor, u: Tensor) -> Tensor:
    """Black and white drawn with each grey value as the chance of white; u: uniform numbers of x0's shape (lesson 03b)."""
    return torch.where(u < (x0 + 1) / 2, 1.0, -1.0).to(x0.dtype)
