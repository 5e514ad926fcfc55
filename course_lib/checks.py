"""What an argument has to be, said at the door where it enters: each check gives the value back, or raises ValueError.

None but `finite` looks at the values of a tensor, so they cost nothing beside a step of training.
"""

import math
from collections.abc import Collection
from numbers import Integral, Real
from typing import Any

import torch
from torch import Generator, Tensor

LARGEST = 2**63 - 1  # of a generator's seeds, and of an index


def whole(name: str, value: Any, least: int, most: int = LARGEST) -> int:
    """A whole number in least … most, as an int (NumPy has others); True and 3.0 are none."""
    is_whole = isinstance(value, Integral) and not isinstance(value, bool)
    if not is_whole or not least <= value <= most:
        must = "lie" if is_whole and most < LARGEST else "be a whole number"
        range_ = f"of at least {least}" if most == LARGEST else f"in {least} … {most}"
        raise ValueError(f"{name} must {must} {range_}; got {shown(value)}")
    return int(value)


def number(name: str, value: Any, low: float = -math.inf, high: float = math.inf, beyond: bool = False) -> Any:
    """A finite number in low … high, or strictly between them (beyond): a float, an int or a tensor of no axes."""
    is_number = isinstance(value, Real) and not isinstance(value, bool)
    given = value
    if torch.is_tensor(value):
        value = value.detach()
        is_number = value.ndim == 0 and value.dtype != torch.bool and not value.is_complex()
    is_number = is_number and (abs(value) <= LARGEST if isinstance(value, Integral) else math.isfinite(value))
    if not is_number or not (low < value < high if beyond else low <= value <= high):
        must = "lie" if is_number and math.isfinite(high) else "be a finite number"
        raise ValueError(f"{name} must {must}{_range(low, high, beyond)}; got {shown(value)}")
    return given


def one_of(name: str, value: Any, choices: Collection[str]) -> str:
    """One of the names."""
    if not isinstance(value, str) or value not in choices:
        raise ValueError(f"{name} must be one of {', '.join(map(repr, choices))}; got {shown(value)}")
    return value


def shape(name: str, value: Any) -> tuple[int, ...]:
    """The shape of an image or a point: a list or tuple of whole numbers of at least 1."""
    if not isinstance(value, list | tuple) or not value:
        raise ValueError(f"{name} must be a shape such as (1, 8, 8); got {shown(value)}")
    return tuple(whole(f"each number of {name}", size, 1) for size in value)


def floats(name: str, value: Any) -> Tensor:
    """A floating-point tensor."""
    if not torch.is_tensor(value):
        raise ValueError(f"{name} must be a tensor; got {shown(value)}")
    if not value.is_floating_point():
        raise ValueError(
            f"{name} must be floating point; got {shown(value)}: convert it with .float(), and 8-bit images to [-1, 1]"
        )
    return value


def batch(name: str, value: Any, axes: int | None = None) -> Tensor:
    """A floating-point tensor (batch, …) with one axis at least beside the batch's; axes: how many it has in all."""
    if floats(name, value).ndim < 2 if axes is None else floats(name, value).ndim != axes:
        wanted = "(batch, …)" if axes is None else "(n,)" if axes == 1 else f"of {axes} axes"
        raise ValueError(f"{name} must be {wanted}; got the shape {tuple(value.shape)}")
    return value


def finite(name: str, value: Any, axes: int | None = None) -> Tensor:
    """A `batch` that is not empty, without NaN and infinity. It looks at every value: not for each step."""
    batch(name, value, axes)
    if value.numel() == 0:
        raise ValueError(f"{name} is empty: it has the shape {tuple(value.shape)}")
    if not value.isfinite().all():
        raise ValueError(f"{name} holds NaN or infinite values")
    return value


def indices(name: str, value: Any, shape: tuple[int | None, ...], most: int, least: int = 0) -> Tensor:
    """A tensor of whole numbers in least … most, int64, of this shape; None stands for any size. It looks at every value."""
    sizes = ", ".join("n" if size is None else str(size) for size in shape)
    wanted = f"whole numbers in {least} … {most}, ({sizes}{',' * (len(shape) == 1)})"
    fits = torch.is_tensor(value) and value.dtype == torch.int64 and value.ndim == len(shape)
    if not fits or any(size not in (None, own) for size, own in zip(shape, value.shape, strict=True)):
        raise ValueError(f"{name} must be {wanted}; got {shown(value)}")
    if value.numel() and not least <= int(value.min()) <= int(value.max()) <= most:
        raise ValueError(f"{name} must be {wanted}; got {int(value.min())} … {int(value.max())}")
    return value


def numbers(name: str, value: Any) -> Tensor:
    """What stands for real numbers (a tensor, an array, a list, one number), as float64."""
    try:
        kind = torch.as_tensor(value).dtype
    except (TypeError, ValueError, RuntimeError):
        kind = None
    if kind is None or kind.is_complex or kind == torch.bool:
        raise ValueError(f"{name} must hold real numbers; got {shown(value)}")
    return torch.as_tensor(value, dtype=torch.float64)  # at once, for the kind of a Python float is float32


def generator(value: Any, or_none: bool = True) -> Generator | None:
    """A torch.Generator, or (unless that is refused) None for PyTorch's own."""
    if not isinstance(value, Generator) and not (value is None and or_none):
        raise ValueError(
            f"generator must be a torch.Generator{' or None' * or_none}; got {shown(value)}: "
            "make one by torch.Generator().manual_seed(0)"
        )
    return value


def condition(cond: Any, n: int | None = None) -> Tensor | None:
    """What the images are to show: a tensor, with an entry for each of n images, or None."""
    if cond is None or (torch.is_tensor(cond) and (n is None or cond.shape[:1] == (n,))):
        return cond
    hint = ": give it as generator=…" if isinstance(cond, Generator) else ""
    each = "" if n is None else f" with one entry for each of the {n} images"
    raise ValueError(f"cond must be None or a tensor{each}; got {shown(cond)}{hint}")


def shown(value: Any) -> str:
    """A value in a message: a number as it is, a tensor by its shape and dtype, other things not too long."""
    if torch.is_tensor(value):
        text = f"{value.item():g}, " if value.ndim == 0 and value.is_floating_point() else ""
        return f"{text}a tensor of shape {tuple(value.shape)} and {value.dtype}"
    text = "" if hasattr(value, "shape") else repr(value)
    return text if 0 < len(text) <= 60 and text[0] != "<" else f"an object of type {type(value).__name__}"


def _range(low: float, high: float, beyond: bool) -> str:
    if math.isinf(low) and math.isinf(high):
        return ""
    if math.isinf(high):
        return f" above {low:g}" if beyond else f" of at least {low:g}"
    return f" {'strictly between' if beyond else 'in'} {low:g} {'and' if beyond else '…'} {high:g}"
