"""A generator and a critic of convolutions, DCGAN (Radford, Metz and Chintala 2016; lesson 05b)."""

from torch import nn

from course_lib import checks


def up(c_in: int, c_out: int) -> nn.Sequential:
    """Twice the height and width, by a transposed convolution."""
    return nn.Sequential(nn.GroupNorm(1, c_in), nn.ReLU(), nn.ConvTranspose2d(c_in, c_out, 4, stride=2, padding=1))


def down(c_in: int, c_out: int) -> nn.Sequential:
    """Half the height and width, by a convolution of stride 2."""
    return nn.Sequential(nn.Conv2d(c_in, c_out, 4, stride=2, padding=1), nn.LeakyReLU(0.2))


def generator(inputs: int, shape: tuple[int, ...], width: int) -> nn.Sequential:
    """(batch, inputs) to images (batch, *shape) in [-1, 1]: a linear layer to a quarter of the size, then twice `up`."""
    channels, height, side = _checked(shape)
    h, w = height // 4, side // 4
    checks.whole("width", width, 1)
    return nn.Sequential(
        nn.Linear(checks.whole("inputs", inputs, 1), 2 * width * h * w), nn.Unflatten(1, (2 * width, h, w)),
        up(2 * width, width), up(width, channels), nn.Tanh(),
    )  # fmt: skip


def critic(shape: tuple[int, ...], outputs: int, width: int) -> nn.Sequential:
    """Images (batch, *shape) to (batch, outputs): twice `down`, then a linear layer."""
    channels, height, side = _checked(shape)
    checks.whole("width", width, 1)
    return nn.Sequential(
        down(channels, width), down(width, 2 * width), nn.Flatten(),
        nn.Linear(2 * width * (height // 4) * (side // 4), checks.whole("outputs", outputs, 1)),
    )  # fmt: skip


def _checked(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Raises ValueError where two strides of 2 don't divide it."""
    if len(checks.shape("shape", shape)) != 3 or shape[1] % 4 or shape[2] % 4:
        raise ValueError(f"shape must be (channels, height, width), both multiples of 4; got {checks.shown(shape)}")
    return tuple(shape)
