"""What every data set is made of, and the one door between the models' scale and 8 bit."""

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor


@dataclass(frozen=True)
class Split:
    """x0: (n, channels, height, width) in [-1, 1], or (n, 2) for points in the plane.

    label: what each shows, (n,) integers for a class or (n, length) for a row of tokens.
    """

    x0: Tensor
    label: Tensor

    def __len__(self) -> int:
        return len(self.x0)


@dataclass(frozen=True)
class Dataset:
    """train: what models learn from. held_out: what no recipe ever trains on.

    levels: how many grey levels a pixel can take (a likelihood counts them); None for points in the plane.
    classes: the labels' names. source: whose data it is, to be shown beside it.
    """

    name: str
    train: Split
    held_out: Split
    classes: tuple[str, ...]
    source: str
    levels: int | None = None

    @cached_property
    def shape(self) -> tuple[int, ...]:
        """The shape of one image or point, without the batch."""
        return tuple(self.train.x0.shape[1:])


def check_data(data: Split, name: str) -> None:
    """Raises ValueError where a split is empty, holds neither images nor finite points, or has other labels than images."""
    if len(data) == 0:
        raise ValueError(f"there are no images in {name}")
    if data.x0.ndim == 4:
        check_images(data.x0, name)
    elif data.x0.ndim != 2 or not data.x0.is_floating_point() or not data.x0.isfinite().all():
        raise ValueError(
            f"{name} must be images (n, channels, height, width) or points (n, dimension), floating point and finite; "
            f"got {tuple(data.x0.shape)}, {data.x0.dtype}"
        )
    if len(data.label) != len(data.x0):
        raise ValueError(f"{name} must have one label for each of its {len(data.x0)} images; got {len(data.label)}")


def check_images(x0: Tensor, name: str = "x0") -> Tensor:
    """The images, unchanged. Raises ValueError where they are not float and finite, in [-1, 1], (n, c, h, w)."""
    if not torch.is_tensor(x0) or x0.ndim != 4:
        shape = tuple(x0.shape) if hasattr(x0, "shape") else type(x0).__name__
        raise ValueError(f"{name} must be images of shape (n, channels, height, width); got {shape}")
    if not x0.is_floating_point():
        raise ValueError(
            f"{name} must be floating point in [-1, 1]; got {x0.dtype}: scale 8-bit images by x / 127.5 - 1"
        )
    low, high = x0.aminmax() if x0.numel() else (torch.tensor(0.0), torch.tensor(0.0))
    if not (low >= -1 - 1e-4 and high <= 1 + 1e-4):
        raise ValueError(f"{name} must lie in [-1, 1]; got {low:.3g} … {high:.3g}")
    return x0


def to_uint8(x0: Tensor) -> Tensor:
    """Images in [-1, 1] as 8 bit, 0 … 255, the same shape. What lies outside, as noise does, is clipped.

    Raises ValueError for NaN, and for values beyond 8, which no noise of variance 1 reaches: that is another scale.
    """
    if not x0.isfinite().all():
        raise ValueError("the images hold NaN or infinite values")
    if x0.numel() and x0.abs().max() > 8:
        raise ValueError(f"images must be on the scale [-1, 1]; got {x0.min():.3g} … {x0.max():.3g}")
    return ((x0.clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8)
