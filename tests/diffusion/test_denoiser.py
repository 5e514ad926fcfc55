"""The loss and what is read off a network, with networks whose answer is known."""

import math

import pytest
import torch
from torch import nn

from course_lib.diffusion import EPS, TARGETS, X0, Denoiser, NoiseSchedule, Oracle, V
from course_lib.exact import GaussianMixture

SCHEDULE = NoiseSchedule.cosine()
MIXTURE = GaussianMixture([[-1.0, 0.0], [1.0, 0.5]], torch.tensor([0.1, 0.3]))


class Answers(nn.Module):
    """A network that always answers what it is told to, given x_t and t."""

    def __init__(self, answer):
        super().__init__()
        self.answer = answer

    def forward(self, x_t, t):
        return self.answer(x_t, t)


def oracle_net(target):
    """The network that answers the target of the exact E[x_0 | x_t]."""
    oracle = Oracle(MIXTURE, SCHEDULE)

    def answer(x_t, t):
        x0, eps = oracle.predict(x_t, t)
        return target.of(x0, eps, SCHEDULE.signal(t, x_t), SCHEDULE.noise(t, x_t))

    return Answers(answer)


@pytest.mark.parametrize("target", TARGETS.values(), ids=TARGETS)
def test_a_network_that_knows_the_answer_predicts_like_the_oracle(target):
    x_t = torch.randn(6, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    denoiser, oracle = Denoiser(oracle_net(target), SCHEDULE, target), Oracle(MIXTURE, SCHEDULE)
    for t in (1, 400, torch.tensor([1, 50, 200, 500, 800, 990])):
        for found, expected in zip(denoiser.predict(x_t, t), oracle.predict(x_t, t), strict=True):
            torch.testing.assert_close(found, expected, rtol=0, atol=1e-9)


def test_the_loss_is_the_mean_squared_error_of_the_target():
    generator = torch.Generator().manual_seed(0)
    x0, eps = torch.randn(2, 5, 1, 4, 4, generator=generator)
    t = torch.tensor([3, 100, 400, 700, 1000])
    for target, y in ((EPS, eps), (X0, x0)):
        loss = Denoiser(Answers(lambda x_t, t: 0 * x_t), SCHEDULE, target)(x0, t=t, eps=eps)
        assert loss.item() == pytest.approx(y.square().mean().item(), rel=1e-6)


def test_the_v_loss_is_the_eps_loss_times_1_plus_snr_over_snr():
    """Salimans and Ho 2022: |v - v_hat|^2 = (1 / signal^2) |eps - eps_hat|^2 for the same x_t."""
    generator = torch.Generator().manual_seed(1)
    x0, eps, eps_hat = torch.randn(3, 4, 2, generator=generator, dtype=torch.float64)
    t = torch.full((4,), 350)
    signal, noise = SCHEDULE.signal(350), SCHEDULE.noise(350)
    x_t = signal * x0 + noise * eps
    v_hat = (eps_hat - noise * x_t) / signal
    v_loss = Denoiser(Answers(lambda x, t: v_hat), SCHEDULE, V)(x0, t=t, eps=eps)
    eps_loss = Denoiser(Answers(lambda x, t: eps_hat), SCHEDULE, EPS)(x0, t=t, eps=eps)
    assert v_loss.item() == pytest.approx((eps_loss / signal**2).item(), rel=1e-10)


def test_a_weight_decides_how_often_a_time_is_drawn_and_leaves_the_loss_of_given_times_alone():
    weight = torch.zeros(SCHEDULE.T + 1)
    weight[[10, 900]] = torch.tensor([1.0, 3.0])
    denoiser = Denoiser(Answers(lambda x_t, t: 0 * x_t), SCHEDULE, EPS, weight=weight)
    t = denoiser.draw((400, 3), torch.Generator().manual_seed(0), torch.device("cpu"))["t"]
    assert t.unique(return_counts=True)[0].tolist() == [10, 900]
    assert t.unique(return_counts=True)[1].tolist() == [100, 300]
    eps = torch.stack([torch.ones(3), 2 * torch.ones(3)])
    assert denoiser(torch.ones(2, 3), t=torch.tensor([10, 900]), eps=eps).item() == pytest.approx((1 + 4) / 2)


def test_a_time_that_is_given_is_used_with_noise_that_is_drawn_and_the_other_way_round():
    seen = []
    denoiser = Denoiser(Answers(lambda x_t, t: seen.append((x_t, t)) or 0 * x_t), SCHEDULE, EPS)
    x0, t, eps = torch.zeros(4, 2), torch.tensor([5, 5, 700, 700]), torch.ones(4, 2)
    denoiser(x0, t=t, generator=torch.Generator().manual_seed(0))
    denoiser(x0, eps=eps, generator=torch.Generator().manual_seed(0))
    (_, given), (x_t, drawn) = seen
    assert torch.equal(given, t) and len(drawn.unique()) == 4
    torch.testing.assert_close(x_t, SCHEDULE.noise(drawn, eps) * eps)


def test_no_network_beats_the_oracle():
    """The expected loss has its minimum at the posterior mean: any other answer costs as much as it is off."""
    x0 = MIXTURE.sample(20_000, torch.Generator().manual_seed(0))
    best = Denoiser(oracle_net(X0), SCHEDULE, X0)(x0, generator=torch.Generator().manual_seed(1)).item()
    for shift in (-0.3, 0.2):
        net = oracle_net(X0)
        off = Denoiser(Answers(lambda x_t, t, net=net, shift=shift: net(x_t, t) + shift), SCHEDULE, X0)
        loss = off(x0, generator=torch.Generator().manual_seed(1)).item()
        assert loss == pytest.approx(best + shift**2, abs=4 * 2 * abs(shift) * math.sqrt(best / 40_000))


def test_the_same_generator_seed_gives_the_same_loss():
    denoiser = Denoiser(Answers(lambda x_t, t: 0.5 * x_t), SCHEDULE)
    a, b, c = (denoiser(torch.ones(8, 2), generator=torch.Generator().manual_seed(s)).item() for s in (0, 0, 1))
    assert a == b != c


def test_the_oracle_takes_images_of_any_shape():
    mixture = GaussianMixture(torch.randn(3, 12, generator=torch.Generator().manual_seed(0)), 0.2)
    x_t = torch.randn(5, 3, 2, 2, generator=torch.Generator().manual_seed(1))
    oracle = Oracle(mixture, SCHEDULE)
    x0, eps = oracle.predict(x_t, 300)
    assert x0.shape == eps.shape == x_t.shape
    torch.testing.assert_close(SCHEDULE.signal(300, x0) * x0 + SCHEDULE.noise(300, x0) * eps, x_t)
    with pytest.raises(ValueError, match="no noise to predict"):
        oracle.predict(x_t, 0)


X, T3 = torch.zeros(3, 1, 8, 8), torch.tensor([5, 50, 500])


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (lambda x: x[:, :, :1, :1], r"\(3, 1, 1, 1\)"),
        (lambda x: x.flatten(1).mean(1, keepdim=True), r"\(3, 1\)"),
        (lambda x: x.mean(0), r"\(1, 8, 8\)"),
        (lambda x: x.new_zeros(1), r"\(1,\)"),
        (lambda x: x.new_zeros(3, 2, 8, 8), r"\(3, 2, 8, 8\)"),
        (lambda x: (x, x), "tuple"),
        (lambda x: None, "None"),
        (lambda x: x.long(), "int64"),
    ],
)
def test_a_network_that_answers_in_another_shape_is_refused_in_training_and_in_sampling(answer, told):
    denoiser = Denoiser(Answers(lambda x_t, t: answer(x_t)), SCHEDULE)
    message = r"the network must answer with one number for each of x_t's, in the shape \(3, 1, 8, 8\); got .*" + told
    with pytest.raises(ValueError, match=message):
        denoiser(X, t=T3)
    with pytest.raises(ValueError, match=message):
        denoiser.predict(X, 5)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"target": "eps"}, "target must be EPS, X0 or V of course_lib.diffusion; got 'eps'"),
        ({"schedule": SCHEDULE.beta}, "schedule must be a NoiseSchedule"),
        ({"net": None}, "net must be a network"),
        ({"weight": torch.ones(3)}, r"weight must be a tensor of T \+ 1 = 1001 numbers; got .*\(3,\)"),
        ({"weight": torch.zeros(1001)}, "weight is 0 for every t"),
        ({"weight": -torch.ones(1001)}, "weight must be finite and at least 0"),
        ({"weight": torch.full((1001,), math.nan)}, "weight must be finite"),
    ],
)
def test_a_denoiser_is_not_made_of_other_things(arguments, message):
    with pytest.raises(ValueError, match=message):
        Denoiser(**({"net": nn.Identity(), "schedule": SCHEDULE} | arguments))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"x0": 127.5 * (X + 1)}, r"x0 must be on the scale of the noise, images in \[-1, 1\]; got values up to 128"),
        ({"x0": X / 0}, "x0 holds NaN"),
        ({"x0": X.to(torch.uint8)}, "x0 must be floating point.*uint8"),
        ({"x0": X[:0]}, "x0 is empty"),
        ({"t": T3 * 0}, "t must lie in 1 … 1000; got 0 … 0"),
        ({"t": T3 + 0.5}, "t must be whole numbers; got torch.float32"),
        ({"t": T3[:1]}, "t must be one time for each of the 3 images"),
        ({"eps": X[:, :, :4]}, "eps must have x0's shape"),
        ({"cond": torch.Generator()}, "cond must be None or a tensor .*: give it as generator=…"),
        ({"cond": T3}, "this network takes no condition"),
        ({"generator": 0}, "generator must be a torch.Generator or None; got 0"),
    ],
)
def test_a_loss_of_what_is_no_batch_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        Denoiser(Answers(lambda x_t, t: x_t), SCHEDULE)(**({"x0": X} | arguments))


def test_images_in_double_precision_for_a_network_in_single_are_refused_with_what_to_do():
    denoiser = Denoiser(Answers(nn.Bilinear(2, 1, 2).double()), SCHEDULE)
    with pytest.raises(ValueError, match=r"computes in torch.float64, and x_t is torch.float32: convert one"):
        denoiser.predict(torch.zeros(3, 2), 5)


def test_an_error_of_the_network_s_own_stays_what_it_is():
    def broken(x_t, t):
        raise RuntimeError("mine")

    with pytest.raises(RuntimeError, match="mine"):
        Denoiser(Answers(broken), SCHEDULE).predict(X, 5)


def test_an_oracle_takes_no_condition_and_no_generator_in_its_place():
    for cond in (torch.Generator(), torch.zeros(6)):
        with pytest.raises(ValueError, match="an oracle of one distribution takes no cond"):
            Oracle(MIXTURE, SCHEDULE).predict(torch.zeros(6, 2), 5, cond)


def test_a_class_of_networks_is_no_network():
    with pytest.raises(ValueError, match=r"net must be a network, .*: make one of it, Answers\(…\)"):
        Denoiser(Answers, SCHEDULE)
