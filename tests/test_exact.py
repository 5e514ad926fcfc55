"""The ground truth itself, against SciPy, finite differences, quadrature and simulation."""

import math

import pytest
import torch
from scipy.stats import multivariate_normal

from course_lib.diffusion import NoiseSchedule
from course_lib.exact import GaussianMixture, Points

SCHEDULE = NoiseSchedule.linear()


def random_mixture(dim, components=3, seed=0):
    g = torch.Generator().manual_seed(seed)
    root = 0.5 * torch.randn(components, dim, dim, generator=g, dtype=torch.float64)
    mean = torch.randn(components, dim, generator=g, dtype=torch.float64)
    return GaussianMixture(mean, root @ root.mT, torch.rand(components, generator=g) + 0.1)


def points(n, dim, seed=9):
    return torch.randn(n, dim, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize("dim", [1, 2, 5])
def test_the_density_is_scipys(dim):
    mixture, x = random_mixture(dim), points(7, dim)
    parts = [
        w.item() * multivariate_normal(m.numpy(), c.numpy(), allow_singular=True).pdf(x.numpy())
        for w, m, c in zip(mixture.weight, mixture.mean, mixture.cov, strict=True)
    ]
    torch.testing.assert_close(mixture.log_prob(x).exp(), torch.as_tensor(sum(parts)).reshape(7), rtol=1e-9, atol=0)


@pytest.mark.parametrize("dim", [1, 2, 5])
@pytest.mark.parametrize("t", [0, 1, 300, 1000])
def test_the_score_is_the_gradient_of_the_log_density_at_every_time(dim, t):
    q_t = random_mixture(dim).noised(SCHEDULE.signal(t), SCHEDULE.noise(t))
    x = points(6, dim).requires_grad_()
    (expected,) = torch.autograd.grad(q_t.log_prob(x).sum(), x)
    torch.testing.assert_close(q_t.score(x.detach()), expected, rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize("t", [1, 200, 1000])
def test_the_noised_density_is_the_integral_over_the_kernel(t):
    mixture = random_mixture(1)
    grid = torch.linspace(-8, 8, 40_001, dtype=torch.float64)
    p = mixture.log_prob(grid[:, None]).exp()
    signal, noise = SCHEDULE.signal(t), SCHEDULE.noise(t)
    x = points(5, 1)
    kernel = torch.exp(-((x - signal * grid) ** 2) / (2 * noise**2)) / (noise * math.sqrt(2 * math.pi))
    expected = (kernel * p).sum(1) * (grid[1] - grid[0])
    torch.testing.assert_close(mixture.noised(signal, noise).log_prob(x).exp(), expected, rtol=1e-8, atol=1e-12)


@pytest.mark.parametrize("t", [1, 200, 600, 1000])
def test_the_posterior_mean_is_bayes_rule_by_quadrature(t):
    mixture = random_mixture(1, seed=3)
    grid = torch.linspace(-8, 8, 40_001, dtype=torch.float64)
    x_t, signal, noise = points(5, 1), SCHEDULE.signal(t), SCHEDULE.noise(t)
    log_p = mixture.log_prob(grid[:, None]) - (x_t - signal * grid) ** 2 / (2 * noise**2)
    p = log_p.softmax(1)
    expected = (p * grid).sum(1, keepdim=True)
    torch.testing.assert_close(mixture.posterior_mean(x_t, signal, noise), expected, rtol=0, atol=1e-8)
    for i in range(5):
        posterior = mixture.posterior(x_t[i], signal, noise)
        density = posterior.log_prob(grid[:, None]).exp() * (grid[1] - grid[0])
        torch.testing.assert_close(density, p[i], rtol=0, atol=1e-8)


@pytest.mark.parametrize("dim", [1, 2, 5])
@pytest.mark.parametrize("t", [1, 300, 1000])
def test_tweedies_formula_ties_score_and_posterior_mean(dim, t):
    """E[x_0 | x_t] = (x_t + noise^2 score_t(x_t)) / signal (Efron 2011): two formulas, coded apart."""
    mixture, x_t = random_mixture(dim, seed=1), points(6, dim)
    signal, noise = SCHEDULE.signal(t), SCHEDULE.noise(t)
    expected = (x_t + noise**2 * mixture.noised(signal, noise).score(x_t)) / signal
    torch.testing.assert_close(mixture.posterior_mean(x_t, signal, noise), expected, rtol=1e-7, atol=1e-7)


def test_a_time_of_its_own_for_each_row_is_the_same_as_one_by_one():
    mixture, x_t, t = random_mixture(3), points(4, 3), torch.tensor([1, 100, 500, 999])
    together = mixture.posterior_mean(x_t, SCHEDULE.signal(t, x_t), SCHEDULE.noise(t, x_t))
    for i in range(4):
        alone = mixture.posterior_mean(x_t[i : i + 1], SCHEDULE.signal(t[i]), SCHEDULE.noise(t[i]))
        torch.testing.assert_close(together[i : i + 1], alone)


def test_samples_have_the_mixtures_mean_and_covariance():
    mixture = random_mixture(2, seed=5)
    x = mixture.sample(200_000, torch.Generator().manual_seed(0))
    mean = mixture.weight @ mixture.mean
    second = torch.einsum("k,kij->ij", mixture.weight, mixture.cov + mixture.mean[:, :, None] * mixture.mean[:, None])
    error = x.std(0) / math.sqrt(len(x))
    assert ((x.mean(0) - mean).abs() < 4.5 * error).all()
    products = x[:, :, None] * x[:, None]
    assert ((products.mean(0) - second).abs() < 4.5 * products.std(0) / math.sqrt(len(x))).all()


def test_points_are_the_limit_of_a_mixture_of_narrow_bumps():
    x, x_t = points(6, 3, seed=1), points(4, 3, seed=2)
    narrow, exact = GaussianMixture(x, 1e-10), Points(x)
    for t in (50, 400, 1000):
        signal, noise = SCHEDULE.signal(t), SCHEDULE.noise(t)
        torch.testing.assert_close(
            exact.posterior_mean(x_t, signal, noise), narrow.posterior_mean(x_t, signal, noise), rtol=0, atol=1e-6
        )
        expected = narrow.noised(signal, noise).log_prob(x_t)
        torch.testing.assert_close(exact.log_prob(x_t, signal, noise), expected, rtol=1e-5, atol=1e-5)
    assert set(map(tuple, exact.sample(50, torch.Generator().manual_seed(0)).tolist())) <= set(map(tuple, x.tolist()))


def test_results_come_in_the_dtype_of_the_argument():
    mixture, x = random_mixture(2), points(3, 2).float()
    assert (
        mixture.log_prob(x).dtype
        == mixture.score(x).dtype
        == mixture.posterior_mean(x, 0.5, 0.5).dtype
        == torch.float32
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([1.0, 2.0], 1.0), r"mean must be \(components, dimension\)"),
        (([[0.0, 0.0]], torch.ones(1, 3, 3)), r"cov must be symmetric, of shape \(1, 2, 2\)"),
        (([[0.0, 0.0]], torch.tensor([[[1.0, 0.5], [0.0, 1.0]]])), "cov must be symmetric"),
        (([[0.0, 0.0]], torch.tensor([[[1.0, 2.0], [2.0, 1.0]]])), "positive semidefinite"),
        (([[0.0], [1.0]], 1.0, torch.tensor([1.0, -1.0])), "weight must be 2 numbers of at least 0"),
    ],
)
def test_a_mixture_that_is_none_is_an_error(arguments, message):
    with pytest.raises(ValueError, match=message):
        GaussianMixture(*arguments)


def test_points_of_another_dimension_are_an_error():
    with pytest.raises(ValueError, match=r"x must be \(n, 2\); got \(3, 5\)"):
        random_mixture(2).log_prob(torch.zeros(3, 5))


MIXTURE = GaussianMixture([[-1.0, 0.0], [1.0, 0.5], [0.0, 0.0]], torch.tensor([0.1, 0.3, 0.2]))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: MIXTURE.log_prob(torch.zeros(3, 2).long()), "x must be floating point.*int64"),
        (lambda: MIXTURE.log_prob(torch.full((3, 2), math.nan)), "x holds NaN"),
        (lambda: MIXTURE.posterior_mean(points(3, 2), torch.ones(3), 0.5), r"signal must be a finite number, or \(3, 1\)"),
        (lambda: MIXTURE.posterior_mean(points(3, 2), 0.5, -0.5), "noise must be a finite number of at least 0"),
        (lambda: MIXTURE.sample(2.5), "n must be a whole number of at least 1; got 2.5"),
        (lambda: MIXTURE.noised(0.5, math.nan), "noise must be a finite number"),
        (lambda: GaussianMixture([[0.0]], 0.0).log_prob(points(3, 1)), "a component without width has no density"),
        (lambda: GaussianMixture([[math.nan]], 1.0), "mean must be .*all finite"),
        (lambda: GaussianMixture([[0.0]], math.inf), "cov holds NaN or infinite"),
        (lambda: GaussianMixture([[0.0]], 1.0, torch.tensor([math.nan])), "weight must be 1 numbers"),
        (lambda: GaussianMixture([["a"]], 1.0), "mean must hold real numbers"),
        (lambda: Points(points(3, 2).long()), "x must be floating point"),
        (lambda: Points(points(3, 2)).posterior_mean(points(3, 3), 0.5, 0.5), r"x must be \(n, 2\); got \(3, 3\)"),
        (lambda: Points(points(3, 2)).log_prob(points(3, 2), 0.5, 0.0), "noise must be above 0"),
    ],
)  # fmt: skip
def test_what_has_no_density_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_a_mixture_keeps_all_digits_of_python_s_numbers():
    mixture = GaussianMixture([[0.1]], 0.3, [0.7])
    assert mixture.mean.item() == 0.1 and mixture.cov.item() == 0.3


def test_a_noise_whose_square_is_zero_is_none():
    with pytest.raises(ValueError, match="noise must be above 0"):
        Points(points(3, 2)).posterior_mean(points(3, 2), 1.0, 1e-200)
