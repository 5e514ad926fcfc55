"""The theory, line for line. This folder knows no network, no data set and no notebook."""

from course_lib.diffusion.denoiser import Clipped, Denoiser, Oracle, Predictor
from course_lib.diffusion.guidance import ClassifierGuided, Guided
from course_lib.diffusion.likelihood import Likelihood, flow_bits, log_likelihood
from course_lib.diffusion.sampling import State, last, sample, sampler, step
from course_lib.diffusion.schedule import NoiseSchedule
from course_lib.diffusion.solvers import (
    SAMPLERS,
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
from course_lib.diffusion.variational import (
    Bound,
    best_variance,
    bound,
    bound_weight,
    discretized,
    fixed_variance,
    step_kl,
)

__all__ = [
    "EPS", "SAMPLERS", "TARGETS", "V", "X0", "Bound", "ClassifierGuided", "Clipped", "Denoiser", "Guided",
    "Likelihood", "NoiseSchedule", "Oracle", "Predictor", "State", "Target", "best_variance", "bound", "bound_weight",
    "discretized", "dpm_solver", "encode", "euler", "euler_maruyama", "fixed_variance", "flow_bits", "heun",
    "langevin_step", "last", "log_likelihood", "sample", "sampler", "score", "solve", "step", "step_kl", "velocity",
]  # fmt: skip
