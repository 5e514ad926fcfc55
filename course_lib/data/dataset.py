"""What every data set is made of, and the one door between the models' scale and 8 bit."""

import hashlib
from dataclasses import dataclass, replace
from functools import cached_property

import torch
from torch import Tensor

from course_lib import checks
from course_lib.data.vocabulary import Vocabulary


@dataclass(frozen=True)
class Split:
    """x0: (n, channels, height, width) in [-1, 1], or (n, 2) for points in the plane.

    label: what each shows, (n,) integers for a class, (n, captions, length) for several rows of tokens, or
    (n, pictures, channels, height, width) for several pictures of the same. held_out: the mark of what no recipe may train
    on; `split[rows]`, a part of a split, keeps it.
    """

    x0: Tensor
    label: Tensor
    held_out: bool = False

    def __len__(self) -> int:
        return len(self.x0)

    def __getitem__(self, rows: slice | Tensor) -> "Split":
        """A part of the split, by a slice, by row numbers or by a mask of booleans. Raises ValueError for one number."""
        if not isinstance(rows, slice) and getattr(rows, "ndim", int(isinstance(rows, list))) != 1:
            raise ValueError(
                f"rows must be a slice, such as [:9], or a list of row numbers or booleans; got {checks.shown(rows)}"
            )
        return replace(self, x0=self.x0[rows], label=self.label[rows])


@dataclass(frozen=True)
class Dataset:
    """train: what models learn from. held_out: what no recipe ever trains on, and marked so by the data set itself.

    levels: how many grey levels a pixel can take (a likelihood counts them); None for points in the plane.
    classes: the labels' names. source: whose data it is, to be shown beside it. vocabulary: the words of the captions.
    Raises ValueError where one is no Split, and where `train` carries the mark of held-out images.
    """

    name: str
    train: Split
    held_out: Split
    classes: tuple[str, ...]
    source: str
    levels: int | None = None
    vocabulary: Vocabulary | None = None

    def __post_init__(self):
        check_trainable(self.train)
        _check_split("held_out", self.held_out)
        object.__setattr__(self, "held_out", replace(self.held_out, held_out=True))

    @cached_property
    def shape(self) -> tuple[int, ...]:
        """The shape of one image or point, without the batch."""
        return tuple(self.train.x0.shape[1:])


def check_data(data: Split, name: str) -> None:
    """Whether a model can train on it. Raises ValueError where it is no split, or one that is empty or held out, holds
    neither images nor finite points, or has other labels than images.
    """
    if not isinstance(data, Split) or not torch.is_tensor(data.x0) or not torch.is_tensor(data.label):
        hint = ": give its `train`" if isinstance(data, Dataset) else ""
        raise ValueError(f"{name} must be a Split(x0, label) of tensors; got {checks.shown(data)}{hint}")
    check_trainable(data)
    if len(data) == 0:
        raise ValueError(f"there are no images in {name}")
    if data.x0.ndim == 4:
        check_images(data.x0, name)
    elif data.x0.ndim != 2 or not data.x0.is_floating_point() or not data.x0.isfinite().all():
        raise ValueError(
            f"{name} must be images (n, channels, height, width) or points (n, dimension), floating point and finite; "
            f"got {tuple(data.x0.shape)}, {data.x0.dtype}"
        )
    if data.label.ndim == 0:
        raise ValueError(f"{name} must have a label for each image; got {checks.shown(data.label)}")
    if len(data.label) != len(data.x0):
        raise ValueError(f"{name} must have one label for each of its {len(data.x0)} images; got {len(data.label)}")


def check_labels(label: Tensor, dataset: Dataset) -> Tensor:
    """Labels, unchanged. Raises ValueError where one is not the number of a class; only those are looked at."""
    _check_dataset(dataset)
    if torch.is_tensor(label) and label.is_floating_point() and label.ndim >= 4:
        return label
    if not torch.is_tensor(label) or label.is_floating_point() or label.is_complex() or label.dtype == torch.bool:
        raise ValueError(f"labels must be a tensor of whole numbers; got {checks.shown(label)}")
    most = len(dataset.classes) - 1
    if label.ndim < 2 and label.numel() and not (label.min() >= 0 and label.max() <= most):
        raise ValueError(f"labels of {dataset.name} must lie in 0 … {most}; got {label.min()} … {label.max()}")
    return label


def check_trainable(split: Split) -> Split:
    """The split, unchanged. Raises ValueError where it, or the split it is a part of, was held out."""
    _check_split("split", split)
    if split.held_out:
        raise ValueError(
            f"these {len(split)} images are held out: a model that trains on them can't be judged by them any more. "
            "Train on `load(name).train`"
        )
    return split


def contains_held_out(x0: Tensor, dataset: Dataset) -> bool:
    """Whether any of the images (n, …) equals a held-out one in every value, wherever it came from."""
    _check_dataset(dataset)
    return bool(identical(x0, dataset.held_out.x0).any())


def identical(x0: Tensor, others: Tensor) -> Tensor:
    """Which images equal one of the others in every value, as a mask (n,). x0: (n, …), others: (m, …).

    Raises ValueError for images of different shapes.
    """
    checks.batch("x0", x0)
    checks.batch("others", others)
    if x0.shape[1:] != others.shape[1:]:
        raise ValueError(f"images of the shapes {tuple(x0.shape[1:])} and {tuple(others.shape[1:])} can't be compared")
    known = set(_rows_as_bytes(others))
    return torch.tensor([row in known for row in _rows_as_bytes(x0)], dtype=torch.bool)


def fingerprint(split: Split) -> str:
    """The SHA-256 of a split's images and labels: a model's card says by it which data the model saw.

    It is taken from little-endian float32 and int64 values (float32 where labels are pictures), so it is the same on every
    machine.
    """
    if not torch.is_tensor(_check_split("split", split).x0) or not torch.is_tensor(split.label):
        raise ValueError(f"split must hold tensors; got {checks.shown(split.x0)} and {checks.shown(split.label)}")
    x0, label = split.x0.cpu().float().contiguous().numpy(), split.label.cpu().contiguous().numpy()
    digest = hashlib.sha256(x0.astype("<f4").tobytes())
    digest.update(label.astype("<f4" if split.label.is_floating_point() else "<i8").tobytes())
    return digest.hexdigest()


def to_levels(x0: Tensor, levels: int | None) -> Tensor:
    """Images on the nearest of so many grey levels from -1 to 1, the same shape and exactly the data's own values.

    Points, which have no levels, come back as they are. Raises ValueError for NaN, and for fewer than two levels.
    """
    if levels is None:
        return x0
    checks.whole("levels", levels, 2)
    if checks.floats("x0", x0).isnan().any():
        raise ValueError("x0 holds NaN, which has no grey level")
    half = (levels - 1) / 2
    return ((x0.clamp(-1, 1) + 1) * half).round() / half - 1


def to_indices(x0: Tensor, levels: int) -> Tensor:
    """Which grey level each number of the images has, 0 … levels - 1, as int64, the same shape.

    Raises ValueError for what are no images in [-1, 1], and for fewer than two levels.
    """
    checks.whole("levels", levels, 2)
    return ((to_levels(check_images(x0), levels) + 1) * ((levels - 1) / 2)).round().long()


def from_indices(index: Tensor, levels: int) -> Tensor:
    """The images in [-1, 1] whose grey levels these are: the inverse of `to_indices`, exactly the data's own values.

    Raises ValueError for what are no whole numbers in 0 … levels - 1.
    """
    checks.whole("levels", levels, 2)
    if not torch.is_tensor(index) or index.dtype not in (torch.int64, torch.int32, torch.uint8):
        raise ValueError(f"index must be a tensor of whole numbers; got {checks.shown(index)}")
    if index.numel() and not 0 <= int(index.min()) <= int(index.max()) < levels:
        raise ValueError(f"index must lie in 0 … {levels - 1}; got {index.min()} … {index.max()}")
    return index / ((levels - 1) / 2) - 1


def _check_split(name: str, split: Split) -> Split:
    if not isinstance(split, Split):
        raise ValueError(f"{name} must be a Split(x0, label); got {checks.shown(split)}")
    return split


def _check_dataset(dataset: Dataset) -> None:
    if not isinstance(dataset, Dataset):
        raise ValueError(f"dataset must be a Dataset, as `load(name)` gives it; got {checks.shown(dataset)}")


def _rows_as_bytes(x0: Tensor) -> list[bytes]:
    """One string of bytes for each image; adding 0 makes -0.0 and 0.0 the same."""
    return [row.tobytes() for row in (x0.detach().cpu().float() + 0.0).flatten(1).numpy()]


def check_images(x0: Tensor, name: str = "x0", shape: tuple[int, ...] | None = None) -> Tensor:
    """The images, unchanged. Raises ValueError where they are not float and finite, in [-1, 1], (n, c, h, w), of `shape`."""
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
    if shape is not None and x0.shape[1:] != tuple(shape):
        raise ValueError(f"{name} must be images of shape (batch, {', '.join(map(str, shape))}); got {tuple(x0.shape)}")
    return x0


def check_scale(x0: Tensor) -> Tensor:
    """Images that may reach beyond [-1, 1], unchanged. Raises ValueError for NaN, and for values beyond 8: another scale."""
    if not checks.floats("the images", x0).isfinite().all():
        raise ValueError("the images hold NaN or infinite values")
    if x0.numel() and x0.abs().max() > 8:
        raise ValueError(f"images must be on the scale [-1, 1]; got {x0.min():.3g} … {x0.max():.3g}")
    return x0


def to_uint8(x0: Tensor) -> Tensor:
    """Images in [-1, 1] as 8 bit, 0 … 255, the same shape. What lies outside, as noise does, is clipped.

    Raises ValueError for NaN, and for values beyond 8, which no noise of variance 1 reaches: that is another scale.
    """
    return ((check_scale(x0).clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8)
