"""Recipes, the loop that runs them, and the checkpoints that it leaves."""

from course_lib.training.checkpoint import CheckpointError
from course_lib.training.device import has_bf16, machine, pick_device
from course_lib.training.loop import Run, TrainingDiverged, train
from course_lib.training.progress import Progress
from course_lib.training.recipes import RECIPES, Recipe, recipe_named
from course_lib.training.trained import Trained, build, default_folder, finished, load_trained, shipped

__all__ = [
    "RECIPES", "CheckpointError", "Progress", "Recipe", "Run", "Trained", "TrainingDiverged", "build", "default_folder",
    "finished", "has_bf16", "load_trained", "machine", "pick_device", "recipe_named", "shipped", "train",
]  # fmt: skip
