"""What several experiments need."""

from torch import Tensor


def rounded(values: Tensor | float, digits: int = 4) -> list | float:
    """A number, or a tensor as a list, to so many significant digits."""
    if isinstance(values, Tensor) and values.ndim:
        return [rounded(value, digits) for value in values]
    return float(f"{float(values):.{digits}g}")
