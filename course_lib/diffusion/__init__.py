"""The theory, line for line. This folder knows no network, no data set and no notebook."""

from course_lib.diffusion.bound import Bound, best_variance, bound, bound_weight, discretized, fixed_variance, step_kl
from course_lib.diffusion.denoiser import Clipped, Denoiser, Oracle, Predictor
from course_lib.diffusion.likelihood import Likelihood, log_likelihood
from course_lib.diffusion.sample import State, last, sample, step
from course_lib.diffusion.schedule import NoiseSchedule
from course_lib.diffusion.solvers import (
    dpm_solver,
    encode,
    euler,
    euler_maruyama,
    heun,
    langevin_step,
    score,
    velocity,
)
from course_lib.diffusion.target import EPS, TARGETS, X0, Target, V, solve

__all__ = [
    "EPS", "TARGETS", "V", "X0", "Bound", "Clipped", "Denoiser", "Likelihood", "NoiseSchedule", "Oracle",
    "Predictor", "State", "Target", "best_variance", "bound", "bound_weight", "discretized", "dpm_solver", "encode", "euler",
    "euler_maruyama", "fixed_variance", "heun", "langevin_step", "last", "log_likelihood", "sample", "score", "solve",
    "step", "step_kl", "velocity",
]  # fmt: skip
