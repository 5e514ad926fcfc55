"""What several experiments need."""

from torch import Tensor, nn

from course_lib.data import Split
from course_lib.training import Recipe, Run


def rounded(values: Tensor | float, digits: int = 4) -> list | float:
    """A number, or a tensor as a list, to so many significant digits."""
    if isinstance(values, Tensor) and values.ndim:
        return [rounded(value, digits) for value in values]
    return float(f"{float(values):.{digits}g}")


def trained(recipe: Recipe, data: Split | None = None) -> nn.Module:
    """The averaged model of a recipe that was run to its end on the CPU, without a checkpoint. data: as in `Run`."""
    run = Run(recipe, device="cpu", data=data)
    for _ in run:
        pass
    return run.averaged.eval()
