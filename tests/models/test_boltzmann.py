"""The restricted Boltzmann machine, against the sum over all its states."""

import itertools

import pytest
import torch

from course_lib.data import load
from course_lib.models import RBM, generate
from course_lib.training import load_trained


def g(seed=0):
    return torch.Generator().manual_seed(seed)


def states(n):
    return torch.tensor(list(itertools.product((0.0, 1.0), repeat=n)), dtype=torch.float64)


@pytest.fixture(name="machine", params=range(3))
def _machine(request):
    model = RBM((1, 1, 4), hidden=3).double()
    for weights in model.parameters():
        torch.nn.init.normal_(weights, generator=g(request.param))
    return model.requires_grad_(False)


def minus_energy(model):
    """-E(v, h) for all 16 v and 8 h."""
    v, h = states(4), states(3)
    return (v @ model.a)[:, None] + h @ model.b + v @ model.W @ h.T


def test_free_energy_and_partition_function_are_sums_over_all_states(machine):
    table = minus_energy(machine)
    torch.testing.assert_close(-machine.free_energy(states(4)), table.logsumexp(1))
    torch.testing.assert_close(machine.log_Z(), table.flatten().logsumexp(0))


def test_a_gibbs_step_goes_where_its_table_says_and_leaves_the_distribution_as_it_is(machine):
    joint = (minus_energy(machine) - machine.log_Z()).exp()
    p = joint.sum(1)
    h_given_v, v_given_h = joint / p[:, None], joint / joint.sum(0)
    transition = h_given_v @ v_given_h.T
    torch.testing.assert_close(p @ transition, p)
    n = 20_000
    for start in (0, 5, 15):
        v = machine.gibbs(states(4)[start].expand(n, 4), torch.rand(n, 7, generator=g(start), dtype=torch.float64))
        found = torch.bincount((v @ (2.0 ** torch.arange(3, -1, -1).double())).long(), minlength=16) / n
        expected = transition[start]
        assert ((found - expected).abs() < 4.5 * (expected * (1 - expected) / n).sqrt() + 1e-9).all()


def test_the_gradient_of_the_loss_is_contrastive_divergence():
    torch.manual_seed(0)
    model = RBM((1, 1, 4), hidden=3, steps=2)
    x0 = torch.randint(2, (50, 1, 1, 4), generator=g(1)) * 2.0 - 1
    u = model.draw(x0.shape, g(2), torch.device("cpu"))["u"]
    assert u.shape == (50, 2, 7)
    model(x0, u=u).backward()
    with torch.no_grad():
        v = (x0.flatten(1) > 0).float()
        made = model.gibbs(model.gibbs(v, u[:, 0]), u[:, 1])
        hidden = [torch.sigmoid(part @ model.W + model.b) for part in (v, made)]
        expected = (made.T @ hidden[1] - v.T @ hidden[0]) / 50
    torch.testing.assert_close(model.W.grad, expected)
    torch.testing.assert_close(model.a.grad, (made - v).mean(0))
    torch.testing.assert_close(model.b.grad, (hidden[1] - hidden[0]).mean(0))


def test_a_long_chain_samples_the_machine(machine):
    p = (-machine.free_energy(states(4)) - machine.log_Z()).exp()
    h_given_v = torch.sigmoid(states(4) @ machine.W + machine.b)
    float_machine = machine.float()
    x0 = generate(float_machine, 6000, steps=60).flatten(1).double()
    # an image is the chance of white given h: on average over the chain it is p(v)
    expected = 2 * (p @ states(4)) - 1
    assert ((x0.mean(0) - expected).abs() < 4.5 * x0.std(0) / 6000**0.5).all()
    assert h_given_v.shape == (16, 3)


def test_too_many_hidden_units_are_not_added_up():
    with pytest.raises(ValueError, match=r"2\^17 hidden states are too many to add up; at most 16"):
        RBM((1, 1, 2), hidden=17).log_Z()


@pytest.mark.parametrize(
    ("options", "message"), [({"hidden": 0}, "hidden must"), ({"steps": 0}, "steps must"), ({"shape": 3}, "shape must")]
)
def test_a_machine_that_can_t_be_is_refused(options, message):
    with pytest.raises(ValueError, match=message):
        RBM(**{"shape": (1, 2, 2)} | options)


def test_the_shipped_machine_finds_digits_more_probable_than_shuffled_ones():
    model, x0 = load_trained("rbm-digits").model, load("digits").held_out.x0
    shuffled = x0.flatten(1)[:, torch.randperm(64, generator=g())].view_as(x0)
    real, other = (model.free_energy(model.visible(x)) for x in (x0, shuffled))
    assert (real < other).double().mean() > 0.99
