"""Recipes, the loop that runs them, and the checkpoints that it leaves."""

from course_lib.training.checkpoint import CheckpointError, Trained, load_trained
from course_lib.training.loop import Progress, Run, TrainingDiverged, train
from course_lib.training.recipes import RECIPES, Recipe, build, recipe_named

__all__ = [
    "RECIPES", "CheckpointError", "Progress", "Recipe", "Run", "Trained", "TrainingDiverged", "build", "load_trained",
    "recipe_named", "train",
]  # fmt: skip
