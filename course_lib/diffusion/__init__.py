"""The theory, line for line. This folder knows no network, no data set and no notebook."""

from course_lib.diffusion.denoiser import Clipped, Denoiser, Oracle, Predictor
from course_lib.diffusion.sample import State, last, sample, step
from course_lib.diffusion.schedule import NoiseSchedule
from course_lib.diffusion.target import EPS, TARGETS, X0, Target, V, solve

__all__ = [
    "EPS", "TARGETS", "V", "X0", "Clipped", "Denoiser", "NoiseSchedule", "Oracle", "Predictor", "State", "Target",
    "last", "sample", "solve", "step",
]  # fmt: skip
