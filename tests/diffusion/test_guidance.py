"""Guidance with exact densities: a mixture whose components are the classes."""

import pytest
import torch

from course_lib.diffusion import ClassifierGuided, Clipped, Guided, NoiseSchedule, Oracle, last, sample
from course_lib.exact import GaussianMixture

SCHEDULE = NoiseSchedule.cosine(200)
MEAN = torch.tensor([[-1.5, 0.0], [0.5, 1.0], [1.0, -1.0]])
COV = torch.tensor([0.2, 0.3, 0.1])
WEIGHT = torch.tensor([0.2, 0.5, 0.3])
ALL = GaussianMixture(MEAN, COV, WEIGHT)
EACH = [GaussianMixture(MEAN[i : i + 1], COV[i : i + 1]) for i in range(3)]


class Exact:
    """E[x_0 | x_t, y] of the mixture: cond is the number of a component, 3 stands for any."""

    schedule = SCHEDULE

    def __init__(self, with_null=False):
        self.calls = 0
        if with_null:
            self.null = lambda cond: torch.full_like(cond, 3)

    def predict(self, x_t, t, cond=None):
        self.calls += 1
        answers = [Oracle(part, SCHEDULE).predict(x_t, t) for part in (*EACH, ALL)]
        which = torch.full((len(x_t),), 3) if cond is None else cond
        return tuple(torch.stack(several)[which, torch.arange(len(x_t))] for several in zip(*answers, strict=True))


def log_class(x_t, t, cond):
    """log p(y | x_t), by Bayes' rule from the densities of the noised components."""
    signal, noise = SCHEDULE.at(float(t[0]))
    logs = torch.stack(
        [
            w.log() + part.noised(float(signal), float(noise)).log_prob(x_t)
            for w, part in zip(WEIGHT, EACH, strict=True)
        ],
        dim=1,
    )
    return logs.log_softmax(1).gather(1, cond[:, None])[:, 0]


@pytest.fixture
def x_t():
    return torch.randn(6, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


COND = torch.tensor([0, 1, 2, 0, 1, 2])


@pytest.mark.parametrize("t", [1, 20, 100, 199])
def test_the_exact_classifier_makes_the_conditional_denoiser_of_the_unconditional_one(x_t, t):
    guided = ClassifierGuided(Exact(), log_class).predict(x_t, t, COND)
    for ours, exact in zip(guided, Exact().predict(x_t, t, COND), strict=True):
        torch.testing.assert_close(ours, exact, atol=1e-6, rtol=1e-6)


@pytest.mark.parametrize("w", [0.0, 2.5])
def test_classifier_guidance_is_classifier_free_guidance_where_both_are_exact(x_t, w):
    """Both add w times grad log p(y | x_t) to the score."""
    a = ClassifierGuided(Exact(), log_class, w).predict(x_t, 60, COND)
    b = Guided(Exact(), w).predict(x_t, 60, COND)
    torch.testing.assert_close(a[1], b[1], atol=1e-6, rtol=1e-6)
    torch.testing.assert_close(a[0], b[0], atol=1e-6, rtol=1e-6)


def test_the_classifiers_gradient_is_that_of_finite_differences(x_t):
    signal, noise = SCHEDULE.at(60)
    pull = (Exact().predict(x_t, 60)[1] - ClassifierGuided(Exact(), log_class).predict(x_t, 60, COND)[1]) / noise
    t, step = torch.full((6,), 60), 1e-5
    for axis in range(2):
        moved = torch.zeros(2, dtype=torch.float64)
        moved[axis] = step
        slope = (log_class(x_t + moved, t, COND) - log_class(x_t - moved, t, COND)) / (2 * step)
        torch.testing.assert_close(pull[:, axis], slope, atol=1e-5, rtol=1e-4)


def test_classifier_guidance_works_inside_a_sampler_that_takes_no_gradients():
    generator = torch.Generator().manual_seed(0)
    x_T = torch.randn(400, 2, generator=generator, dtype=torch.float64)
    cond = torch.zeros(400, dtype=torch.int64)
    made = last(sample(ClassifierGuided(Exact(), log_class), x_T, SCHEDULE.times(60), cond, generator, eta=0.0))
    error = made.std(0) / 400**0.5
    assert ((made.mean(0) - MEAN[0]).abs() < 5 * error).all()
    torch.testing.assert_close(made.var(0), COV[:1].double().expand(2), atol=0, rtol=0.3)


def test_a_doubled_batch_gives_what_two_calls_give(x_t):
    one, two = Exact(with_null=True), Exact()
    for ours, theirs in zip(
        Guided(one, 3.0).predict(x_t, 60, COND), Guided(two, 3.0).predict(x_t, 60, COND), strict=True
    ):
        torch.testing.assert_close(ours, theirs)
    assert (one.calls, two.calls) == (1, 2)


def test_outside_its_interval_guidance_is_off(x_t):
    guided = Guided(Exact(), 3.0, interval=(0.2, 0.6))
    full, plain = Guided(Exact(), 3.0), Exact()
    for t, expected in ((30, plain), (40, full), (100, full), (120, full), (130, plain)):
        torch.testing.assert_close(guided.predict(x_t, t, COND), expected.predict(x_t, t, COND))


def test_rescaled_to_the_full_the_spread_is_that_without_guidance():
    x_t = torch.randn(4, 2, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    cond = torch.tensor([0, 1, 2, 1])
    x0, eps = Guided(Exact(), 4.0, rescale=1.0).predict(x_t, 90, cond)
    wanted = Exact().predict(x_t, 90, cond)[0].std(1)
    torch.testing.assert_close(x0.std(1), wanted)
    signal, noise = SCHEDULE.at(90)
    torch.testing.assert_close(signal * x0 + noise * eps, x_t)


def test_guidance_without_a_condition_is_refused(x_t):
    for guided in (Guided(Exact(), 2.0), ClassifierGuided(Exact(), log_class)):
        with pytest.raises(ValueError, match="condition"):
            guided.predict(x_t, 60)


@pytest.mark.parametrize(
    "options", [{"interval": (0.5, 0.2)}, {"interval": (-0.1, 1.0)}, {"rescale": 1.5}, {"w": 1e9}, {"w": float("nan")}]
)
def test_options_out_of_their_range_are_refused(options):
    with pytest.raises(ValueError, match="must"):
        Guided(Exact(), **{"w": 2.0} | options)


def test_a_clipped_guided_denoiser_is_still_a_mixture(x_t):
    x0, eps = Clipped(Guided(Exact(), 5.0), -1, 1).predict(x_t, 90, COND)
    signal, noise = SCHEDULE.at(90)
    torch.testing.assert_close(signal * x0 + noise * eps, x_t)
    assert x0.abs().max() <= 1
