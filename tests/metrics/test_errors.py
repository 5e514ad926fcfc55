"""How far a denoiser is from the truth, time by time."""

import math

import pytest
import torch

from course_lib.data import load
from course_lib.diffusion import NoiseSchedule, Oracle
from course_lib.exact import GaussianMixture
from course_lib.metrics import loss_by_t, squared_errors


def test_the_squared_errors_are_those_of_the_posterior():
    """For one Gaussian, E|x_0 - x0_hat|^2 = S noise^2 / (signal^2 S + noise^2) at every t, and 0 at t = 0."""
    schedule, n = NoiseSchedule([0.05, 0.2, 0.5]), 20_000
    oracle = Oracle(GaussianMixture([[0.3]], 0.2), schedule)
    x0 = oracle.distribution.sample(n, torch.Generator().manual_seed(0)).float()
    found = squared_errors(oracle, x0)
    assert found.shape == (4, n) and not found[0].any()
    t = torch.arange(4)
    signal, noise = schedule.signal(t), schedule.noise(t)
    expected = 0.2 * noise**2 / (signal**2 * 0.2 + noise**2)
    torch.testing.assert_close(found.mean(1), expected, rtol=5 * math.sqrt(2 / n), atol=0)


def test_the_loss_at_each_time_is_that_of_the_same_noise_for_every_model():
    seen = []

    def model(x0, t, eps):
        seen.append((t.unique().item(), eps))
        return eps.square().mean() * t[0]

    x0 = load("digits").held_out.x0[:10]
    a, b = (loss_by_t(model, x0, (25, 75)) for _ in range(2))
    assert torch.equal(a, b) and [t for t, _ in seen] == [25, 75, 25, 75]
    assert torch.equal(seen[0][1], seen[2][1]) and not torch.equal(seen[0][1], seen[1][1])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda m, x: loss_by_t(m.predict, x, [0]), "each of the times must be a whole number of at least 1; got 0"),
        (lambda m, x: loss_by_t(m.predict, x, []), "times must be a list of whole numbers"),
        (lambda m, x: loss_by_t(m.predict, 255 + x, [5]), r"x0 must lie in \[-1, 1\]"),
        (lambda m, x: squared_errors(m, 255 + x), r"x0 must lie in \[-1, 1\]"),
        (lambda m, x: squared_errors(None, x), "denoiser must have `predict`"),
    ],
)
def test_errors_of_what_has_none_are_refused(call, message):
    oracle = Oracle(GaussianMixture(torch.zeros(1, 4), 0.2), NoiseSchedule([0.05, 0.2, 0.5]))
    with pytest.raises(ValueError, match=message):
        call(oracle, torch.zeros(2, 1, 2, 2))
