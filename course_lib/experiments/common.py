"""What several experiments need."""

from torch import Tensor

from course_lib.paths import CHECKPOINTS, shorten
from course_lib.training import Trained, load_trained, recipe_named
from course_lib.training.loop import default_folder


def trained(recipe: str) -> Trained:
    """The shipped model of a recipe, or the finished run. Raises ValueError, with the command, where neither exists."""
    if (CHECKPOINTS / recipe).is_dir():
        return load_trained(recipe)
    folder = default_folder(recipe_named(recipe))
    if not folder.is_dir():
        raise ValueError(f"{recipe} has not been trained here; train it first: course train {recipe}")
    found = load_trained(folder)
    if found.step < recipe_named(recipe).steps or found.recipe != recipe_named(recipe):
        raise ValueError(
            f"{shorten(folder)} holds {recipe} with {found.step} steps, seed {found.recipe.seed}, and not the finished recipe: "
            f"go on with `course train {recipe} --resume`, or train it anew in an empty folder"
        )
    return found


def rounded(values: Tensor | float, digits: int = 4) -> list | float:
    """A number, or a tensor as a list, to so many significant digits."""
    if isinstance(values, Tensor) and values.ndim:
        return [rounded(value, digits) for value in values.tolist()]
    return float(f"{float(values):.{digits}g}")
