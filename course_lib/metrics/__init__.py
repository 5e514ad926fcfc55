"""How good generated images are, on one scale for every model of the course. Lesson 15 compares them all."""

from course_lib.metrics.errors import loss_by_t, squared_errors
from course_lib.metrics.evaluate import Quality, quality
from course_lib.metrics.features import Features, measure_reference
from course_lib.metrics.frechet import Frechet, frechet_distance, frechet_draws
from course_lib.metrics.memorizing import nearest_distance

__all__ = [
    "Features", "Frechet", "Quality", "frechet_distance", "frechet_draws", "loss_by_t", "measure_reference",
    "nearest_distance", "quality", "squared_errors",
]  # fmt: skip
