"""How good generated images are, on one scale for every model of the course. Lesson 15 compares them all."""

from course_lib.metrics.captions import Naming, Reading, naming, rank_of_right, reading
from course_lib.metrics.coloured import (
    SETS,
    as_asked,
    conditions,
    fd_ratio,
    measure_eyes,
    measure_pictures,
    picture_table,
    psnr,
    seen,
)
from course_lib.metrics.costs import Cost, cost, count_calls
from course_lib.metrics.errors import loss_by_t, squared_errors
from course_lib.metrics.evaluate import Quality, Score, quality
from course_lib.metrics.features import ConditionAccuracy, Features, condition_accuracy, measure_reference
from course_lib.metrics.frechet import Frechet, frechet_distance, frechet_draws
from course_lib.metrics.manifold import precision_recall
from course_lib.metrics.memorizing import Nearness, nearest_distance, nearness
from course_lib.metrics.scoreboard import is_measured, measure, measure_loss, table
from course_lib.metrics.suspicion import suspicious
from course_lib.metrics.twosample import two_sample_accuracy

__all__ = [
    "SETS", "ConditionAccuracy", "Cost", "Features", "Frechet", "Naming", "Nearness", "Quality", "Reading", "Score",
    "as_asked", "condition_accuracy", "conditions", "cost", "count_calls", "fd_ratio", "frechet_distance",
    "frechet_draws", "is_measured", "loss_by_t", "measure", "measure_eyes", "measure_loss", "measure_pictures",
    "measure_reference", "naming", "nearest_distance", "nearness", "picture_table", "precision_recall", "psnr",
    "quality", "rank_of_right", "reading", "seen", "squared_errors", "suspicious", "table", "two_sample_accuracy",
]  # fmt: skip
