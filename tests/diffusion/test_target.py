"""Whatever a network predicts, x_0 and eps can be read off it."""

import pytest
import torch

from course_lib.diffusion import EPS, TARGETS, X0, NoiseSchedule, Target, V, solve


def mixed(t, shape=(6, 1, 4, 4)):
    generator = torch.Generator().manual_seed(0)
    schedule = NoiseSchedule.cosine()
    x0, eps = torch.randn(2, *shape, generator=generator, dtype=torch.float64)
    return x0, eps, schedule.q_sample(x0, t, eps), schedule.signal(t, x0), schedule.noise(t, x0)


@pytest.mark.parametrize("t", [1, 250, 600, 900, torch.tensor([1, 10, 100, 400, 700, 900])], ids=str)
@pytest.mark.parametrize("target", TARGETS.values(), ids=TARGETS)
def test_the_solve_gives_back_x0_and_eps(target, t):
    x0, eps, x_t, signal, noise = mixed(t)
    found_x0, found_eps = target.solve(x_t, target.of(x0, eps, signal, noise), signal, noise)
    torch.testing.assert_close(found_x0, x0, rtol=0, atol=1e-10)
    torch.testing.assert_close(found_eps, eps, rtol=0, atol=1e-10)


def test_v_has_a_solution_at_every_time_also_at_pure_noise():
    x0, eps, x_t, signal, noise = mixed(1000)
    found_x0, found_eps = V.solve(x_t, V.of(x0, eps, signal, noise), signal, noise)
    torch.testing.assert_close(found_x0, x0, rtol=0, atol=1e-10)
    torch.testing.assert_close(found_eps, eps, rtol=0, atol=1e-10)


def test_the_solve_is_the_solution_of_the_two_equations_for_any_target():
    x0, eps, x_t, signal, noise = mixed(300)
    odd = Target("odd", lambda signal, noise: (2.0 - noise, signal + 0.3))
    y = odd.of(x0, eps, signal, noise)
    c, d = odd.coefficients(signal, noise)
    matrix = torch.tensor([[signal, noise], [c, d]], dtype=torch.float64)
    expected = torch.linalg.solve(matrix, torch.stack([x_t.flatten(), y.flatten()]))
    found = torch.stack([part.flatten() for part in solve(x_t, y, signal, noise, c, d)])
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-10)


def test_eps_says_nothing_of_x0_where_there_is_no_signal():
    one, zero, x = torch.tensor(1.0), torch.tensor(0.0), torch.zeros(2, 3)
    with pytest.raises(ValueError, match="eps-prediction has no solution where the signal is 0"):
        EPS.solve(x, x, zero, one)
    with pytest.raises(ValueError, match="x0-prediction has no solution where the noise is 0"):
        X0.solve(x, x, one, zero)
