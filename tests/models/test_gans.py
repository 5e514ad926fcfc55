"""Adversarial models, against closed forms, finite differences, PyTorch's own losses, and a game that is played by hand."""

import math

import pytest
import torch
from torch.nn import functional as F

from course_lib.data import drawn_digits, load
from course_lib.data.sets.drawn import STROKES, _segments
from course_lib.metrics import cost
from course_lib.models import GAN, ProgressiveGAN, Refiner, generate, refiner
from course_lib.models.gan import LOSSES, critic_loss, generator_loss
from course_lib.training import Recipe, Run


def g(seed=0):
    return torch.Generator().manual_seed(seed)


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=g(seed), dtype=torch.float64)


def gan(shape=(2,), seed=0, **options):
    torch.manual_seed(seed)
    return GAN(shape, **{"k": 3, "width": 4} | options).double()


# The losses


def test_the_critics_loss_is_twice_the_binary_cross_entropy_of_two_equal_classes():
    real, fake = 3 * normal(50), 3 * normal(50, seed=1)
    labels = torch.cat([torch.ones(50), torch.zeros(50)]).double()
    expected = 2 * F.binary_cross_entropy_with_logits(torch.cat([real, fake]), labels)
    for loss in ("minimax", "non-saturating"):
        assert torch.allclose(sum(critic_loss(real, fake, loss).values()), expected, rtol=1e-12)


def test_minimax_is_a_zero_sum_game_over_the_generated_images():
    fake = 3 * normal(50)
    assert torch.equal(generator_loss(fake, "minimax"), -critic_loss(fake, fake, "minimax")["fake"])
    assert torch.equal(generator_loss(fake, "wasserstein"), -critic_loss(fake, fake, "wasserstein")["fake"])


def test_the_generators_losses_are_log_1_minus_D_and_minus_log_D():
    D = torch.linspace(0.01, 0.99, 99, dtype=torch.float64)
    assert torch.allclose(generator_loss(D.logit(), "minimax"), (1 - D).log().mean(), rtol=1e-10)
    assert torch.allclose(generator_loss(D.logit(), "non-saturating"), -D.log().mean(), rtol=1e-10)


def test_where_the_critic_is_sure_only_the_saturating_loss_has_no_gradient():
    for loss, expected in (("minimax", 0.0), ("non-saturating", -1.0), ("wasserstein", -1.0)):
        score = torch.tensor([-40.0], dtype=torch.float64, requires_grad=True)
        (slope,) = torch.autograd.grad(generator_loss(score, loss), score)
        assert slope.item() == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("loss", LOSSES)
def test_scores_without_bound_give_finite_losses(loss):
    far = torch.tensor([-1e4, 1e4])
    assert all(part.isfinite() for part in (*critic_loss(far, far, loss).values(), generator_loss(far, loss)))


def test_a_perfect_critic_reaches_the_jensen_shannon_divergence():
    """Scores log p/q at draws of p and q: V is 2 JS - 2 log 2 by quadrature."""
    p, q = torch.distributions.Normal(0.0, 1.0), torch.distributions.Normal(1.5, 0.7)
    x = torch.linspace(-8, 8, 20_001, dtype=torch.float64)
    log_p, log_q = p.log_prob(x), q.log_prob(x)
    log_m = torch.logaddexp(log_p, log_q) - math.log(2)
    js = 0.5 * torch.trapezoid(log_p.exp() * (log_p - log_m) + log_q.exp() * (log_q - log_m), x)
    real, fake = normal(200_000), 1.5 + 0.7 * normal(200_000, seed=1)
    parts = critic_loss(p.log_prob(real) - q.log_prob(real), p.log_prob(fake) - q.log_prob(fake), "minimax")
    assert -sum(parts.values()).item() == pytest.approx(2 * js.item() - 2 * math.log(2), abs=0.005)


def test_a_wasserstein_critic_wants_high_scores_for_real_and_low_ones_for_generated_images():
    parts = critic_loss(torch.tensor([1.0, 3.0]), torch.tensor([-1.0, 0.5]), "wasserstein")
    assert parts["real"] == -2 and parts["fake"] == -0.25


@pytest.mark.parametrize("loss", ["non_saturating", "hinge", None, ""])
def test_a_loss_that_does_not_exist_is_refused_and_not_taken_for_another(loss):
    with pytest.raises(ValueError, match="loss must be one of"):
        generator_loss(torch.zeros(2), loss)
    with pytest.raises(ValueError, match="loss must be one of"):
        critic_loss(torch.zeros(2), torch.zeros(2), loss)


# The penalties


def by_differences(model, x, cond=None, h=1e-6):
    """The length of the score's gradient at each x, one coordinate after the other."""
    flat, found = x.flatten(1), []
    for i in range(flat.shape[1]):
        step = torch.zeros_like(flat)
        step[:, i] = h
        up, down = (model.score((flat + s).view_as(x), cond) for s in (step, -step))
        found.append((up - down) / (2 * h))
    return torch.stack(found, dim=1).norm(dim=1).detach()


@pytest.mark.parametrize("shape", [(2,), (1, 8, 8), (2, 4, 4)])
def test_the_slope_is_that_of_finite_differences(shape):
    model, x = gan(shape), 0.5 * normal(5, *shape).clamp(-1.9, 1.9)
    torch.testing.assert_close(model.slope(x).detach(), by_differences(model, x), rtol=1e-5, atol=1e-8)


def test_each_image_has_the_slope_of_its_own_class():
    model, x, cond = gan(classes=3), normal(6, 2), torch.tensor([0, 1, 2, 2, 1, 0])
    torch.testing.assert_close(model.slope(x, cond).detach(), by_differences(model, x, cond), rtol=1e-5, atol=1e-8)
    assert not torch.allclose(model.slope(x, cond), model.slope(x, cond.flip(0) * 0))


def test_r1_is_half_the_squared_slope_at_real_images_alone():
    model, x0, z = gan(penalty=3.0), normal(7, 2), normal(7, 3, seed=1)
    expected = 3.0 * 0.5 * by_differences(model, x0).square().mean()
    for other in (z, 5 * z):
        assert model(x0, z=other)["penalty"].item() == pytest.approx(expected.item(), rel=1e-4)


def test_a_wasserstein_critics_penalty_pulls_the_slope_to_1_between_the_images():
    model, x0, z = gan(loss="wasserstein", penalty=10.0), normal(7, 2), normal(7, 3, seed=1)
    u = torch.rand(7, generator=g(), dtype=torch.float64)
    between = (1 - u[:, None]) * x0 + u[:, None] * model.generate(z).detach()
    expected = 10 * (by_differences(model, between) - 1).square().mean()
    assert model(x0, z=z, u=u)["penalty"].item() == pytest.approx(expected.item(), rel=1e-4)


@pytest.mark.parametrize("loss", ["non-saturating", "wasserstein"])
def test_the_gradient_of_the_penalty_is_that_of_finite_differences(loss):
    model, x0, z = gan(loss=loss, penalty=2.0), normal(5, 2), normal(5, 3, seed=1)
    u = torch.rand(5, generator=g(), dtype=torch.float64)
    draws = {"z": z} | ({"u": u} if loss == "wasserstein" else {})
    weight = model.critic[1][0].weight
    (gradient,) = torch.autograd.grad(model(x0, **draws)["penalty"], weight)
    for i, j in ((0, 0), (2, 1)):
        with torch.no_grad():
            weight[i, j] += 1e-6
        above = model(x0, **draws)["penalty"].item()
        with torch.no_grad():
            weight[i, j] -= 2e-6
        below = model(x0, **draws)["penalty"].item()
        with torch.no_grad():
            weight[i, j] += 1e-6
        assert gradient[i, j].item() == pytest.approx((above - below) / 2e-6, rel=1e-3, abs=1e-6)


@pytest.mark.parametrize("loss", ["non-saturating", "wasserstein"])
def test_a_critic_without_any_slope_gives_a_finite_gradient(loss):
    model = gan(loss=loss, penalty=1.0)
    torch.nn.init.zeros_(model.critic[1][-1].weight)
    draws = model.draw((4, 2), g(), torch.device("cpu"))
    loss = sum(model(normal(4, 2), **{name: value.double() for name, value in draws.items()}).values())
    assert all(grad.isfinite().all() for grad in torch.autograd.grad(loss, list(model.critic.parameters())))


def test_the_penalty_of_a_told_critic_is_at_each_pairs_own_class():
    model, x0, z = gan(loss="wasserstein", penalty=1.0, classes=3), normal(6, 2), normal(6, 3, seed=1)
    cond, u = torch.tensor([0, 1, 2, 0, 1, 2]), torch.rand(6, generator=g(), dtype=torch.float64)
    fake = model.generate(z, cond).detach()
    parts, between = model(x0, cond, z=z, u=u), torch.lerp(x0, fake, u[:, None])
    expected = (by_differences(model, between, cond) - 1).square().mean().item()
    assert parts["penalty"].item() == pytest.approx(expected, rel=1e-4)
    assert parts["fake"].item() == pytest.approx(model.score(fake, cond).mean().item())
    assert parts["real"].item() == pytest.approx(-model.score(x0, cond).mean().item())


def test_places_between_are_drawn_evenly():
    draws = GAN((2,), k=1, width=4, loss="wasserstein", penalty=1.0).draw((20_000, 2), g(), torch.device("cpu"))
    u = draws["u"]
    assert u.min() >= 0 and u.max() <= 1 and abs(u.mean() - 0.5) < 0.01 and abs(u.var() - 1 / 12) < 0.003


def test_asking_for_a_slope_leaves_the_points_as_they_were():
    x = torch.randn(3, 2, generator=g())
    GAN((2,), k=1, width=4).slope(x)
    assert not x.requires_grad


# The game


def grads(model):
    return {name for name, p in model.named_parameters() if p.grad is not None and p.grad.abs().sum() > 0}


@pytest.mark.parametrize(
    "options", [{}, {"penalty": 1.0}, {"loss": "wasserstein", "penalty": 1.0}, {"loss": "minimax"}]
)
def test_the_critics_turn_leaves_no_gradient_on_the_generator(options):
    model, x0 = gan(**options), normal(6, 2)
    draws = {name: value.double() for name, value in model.draw((6, 2), g(), torch.device("cpu")).items()}
    sum(model(x0, **draws).values()).backward()
    assert grads(model) and all(name.startswith("critic") for name in grads(model))


def test_the_generators_turn_looks_at_no_real_image():
    model, z = gan(), normal(6, 3)
    a, b = (model(x0, z=z, turn="generator") for x0 in (normal(6, 2), 100 + normal(6, 2)))
    assert torch.equal(a, b)
    a.backward()
    assert any(name.startswith("generator") for name in grads(model))


def test_clipping_keeps_the_critics_weights_in_their_range_and_no_others():
    recipe = Recipe(
        "clipped", "moons", "gan", {"shape": [2], "loss": "wasserstein", "clip": 0.01, "critic_turns": 3, "width": 8},
        steps=20, batch=16, rate=5e-3, warmup=0,
    )  # fmt: skip
    run = Run(recipe, device="cpu")
    list(run)
    model = run.raw
    model(torch.zeros(2, 2), z=torch.zeros(2, 32), turn="generator")
    largest = max(p.abs().max().item() for p in model.critic.parameters())
    assert largest == pytest.approx(0.01) and max(p.abs().max() for p in model.generator.parameters()) > 0.1


def test_clipping_comes_before_either_turn():
    for turn in ("critic", "generator"):
        model = GAN((2,), k=1, width=4, loss="wasserstein", clip=0.01)
        for p in model.critic.parameters():
            p.data.fill_(-5)
        model(torch.zeros(2, 2), z=torch.zeros(2, 1), turn=turn)
        assert max(p.abs().max().item() for p in model.critic.parameters()) <= 0.01 + 1e-8


@pytest.mark.parametrize(
    "model", [GAN((2,), k=3, width=4), ProgressiveGAN((1, 8, 8), k=3, width=4), Refiner(width=4, blocks=1)]
)
def test_all_chance_comes_from_the_generator(model):
    shape, found = (4, 2) if isinstance(model.turns, tuple) and getattr(model, "shape", 0) == (2,) else (4, 1, 8, 8), []
    for seed in (0, 1):
        torch.manual_seed(seed)
        with torch.no_grad():
            found.append([*model.draw(shape, g(), torch.device("cpu")).values(), model.sample(4, g())])
    assert all(torch.equal(a, b) for a, b in zip(*found, strict=True))


@pytest.mark.parametrize("turn", ["Generator", "discriminator", "gen", None])
def test_a_turn_that_is_no_players_is_refused(turn):
    z, x0 = torch.zeros(2, 3), torch.zeros(2, 1, 8, 8)
    for model in (GAN((1, 8, 8), k=3, width=4), ProgressiveGAN((1, 8, 8), k=3, width=4)):
        with pytest.raises(ValueError, match="turn must be one of"):
            model(x0, z=z, turn=turn)
    with pytest.raises(ValueError, match="turn must be one of"):
        Refiner(width=4)(x0, drawn=x0, eps=torch.zeros(2, 4, 8, 8), turn=turn)


@pytest.mark.parametrize(
    ("x0", "z", "what"),
    [
        (255 * torch.ones(4, 1, 8, 8), torch.zeros(4, 3), "x0 must lie in"), (torch.zeros(4, 1, 28, 28), torch.zeros(4, 3), "x0 must be"),
        (torch.zeros(4, 1, 8, 8), torch.zeros(4, 2), "z must be noise"), (torch.zeros(4, 1, 8, 8), None, "z must be noise"),
        (torch.zeros(4, 1, 8, 8), torch.zeros(4), "z must be noise"),
    ],
)  # fmt: skip
def test_images_and_noise_of_another_kind_are_refused_by_name(x0, z, what):
    with pytest.raises(ValueError, match=what):
        GAN((1, 8, 8), k=3, width=4)(x0, z=z)


@pytest.mark.parametrize("x0", [torch.zeros(4, 2, 1), torch.zeros(4, 3), torch.zeros(4, 2, 2)])
def test_points_of_another_shape_are_refused(x0):
    with pytest.raises(ValueError, match="x0 must be points"):
        GAN((2,), k=3, width=4)(x0, z=torch.zeros(4, 3))


@pytest.mark.parametrize("model", [GAN((1, 8, 8), k=3, width=4), ProgressiveGAN((1, 8, 8), k=3, width=4)])
def test_pixels_stay_in_range_however_large_the_weights_are(model):
    for doubled in range(3):
        if isinstance(model, ProgressiveGAN):
            model.steps.fill_([0, 750, 5000][doubled])
        for p in model.generator.parameters():
            p.data.mul_(30)
        assert model.sample(50, g()).abs().max() <= 1


def test_the_critic_moves_as_often_as_it_was_told_before_the_generator_does():
    recipe = Recipe("thrice", "moons", "gan", {"shape": [2], "critic_turns": 3, "width": 8}, steps=2, batch=16)
    run, seen = Run(recipe, device="cpu"), []
    forward = run.raw.forward

    def watched(x0, cond=None, turn="critic", **draws):
        seen.append((turn, x0.sum().item(), draws["z"].sum().item()))
        return forward(x0, cond, turn=turn, **draws)

    run.raw.forward = watched
    list(run)
    assert [turn for turn, *_ in seen] == ["critic", "critic", "critic", "generator"] * 2
    assert len({points for _, points, _ in seen}) == len({z for *_, z in seen}) == 8, "each turn has a batch of its own"


@pytest.mark.parametrize("seed", range(2))
def test_a_trained_critic_approaches_the_optimal_discriminator(seed):
    """The generator stands still; D* = p/(p + q) is known."""
    torch.manual_seed(seed)
    model, rng = GAN((1,), k=1, width=32), g(seed)
    p, q = torch.distributions.Normal(0.0, 1.0), torch.distributions.Normal(1.5, 0.7)
    optimizer = torch.optim.Adam(model.critic.parameters(), lr=3e-3)
    for _ in range(800):
        real, fake = torch.randn(256, 1, generator=rng), 1.5 + 0.7 * torch.randn(256, 1, generator=rng)
        loss = sum(critic_loss(model.score(real), model.score(fake), "minimax").values())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    x = torch.linspace(-2, 3, 101)[:, None]
    exact = torch.sigmoid(p.log_prob(x) - q.log_prob(x))[:, 0]
    assert (torch.sigmoid(model.score(x)) - exact).abs().max() < 0.08


def test_a_gan_of_one_gaussian_finds_it():
    options = {"shape": [2], "k": 4, "width": 32, "penalty": 0.5}
    recipe = Recipe("plane", "rings", "gan", options, steps=600, batch=128, rate=2e-3, betas=(0.0, 0.99), clip=100.0)
    data = load("rings").train
    shifted = type(data)(
        torch.randn(4000, 2, generator=g()) * torch.tensor([0.5, 1.0]) + torch.tensor([1.0, -0.5]), data.label[:4000]
    )
    run = Run(recipe, device="cpu", data=shifted)
    list(run)
    made = generate(run.averaged, 2000)
    assert (made.mean(0) - torch.tensor([1.0, -0.5])).abs().max() < 0.15
    assert (made.std(0) - torch.tensor([0.5, 1.0])).abs().max() < 0.2


# Classes


def test_the_class_decides_what_is_made_and_how_it_is_judged():
    model, z, x = gan(classes=3), normal(4, 3), normal(4, 2)
    zero, one = torch.zeros(4, dtype=torch.long), torch.ones(4, dtype=torch.long)
    assert not torch.allclose(model.generate(z, zero), model.generate(z, one))
    scores = model.scores(x)
    torch.testing.assert_close(model.score(x, one), scores[:, 0] + scores[:, 2])


def test_without_a_condition_each_class_is_drawn_equally_often():
    model = gan(classes=4).float()
    asked = []
    honest = model.generate
    model.generate = lambda z, cond=None: asked.append(cond) or honest(z, cond)
    model.sample(4000, g())
    assert ((torch.bincount(asked[0]) / 4000 - 0.25).abs() < 0.03).all()


@pytest.mark.parametrize("cond", [None, torch.tensor([0, 1]), torch.tensor([0.0, 1.0, 2.0]), torch.tensor([0, 1, 3])])
def test_a_condition_that_is_no_class_for_each_is_refused(cond):
    with pytest.raises(ValueError, match="cond must"):
        gan(classes=3).generate(normal(3, 3), cond)


# The average


def test_the_average_is_taken_once_a_step_however_many_turns_it_has():
    recipe = Recipe("thrice", "moons", "gan", {"shape": [2], "critic_turns": 3, "width": 8}, steps=2, batch=16)
    run, at = Run(recipe, device="cpu"), []
    update = run._average.update_parameters
    run._average.update_parameters = lambda model: at.append(run.step) or update(model)
    list(run)
    assert at == [0, 1]


# Growing


def growing(steps, **options):
    torch.manual_seed(0)
    model = ProgressiveGAN((1, 8, 8), **{"k": 3, "width": 4, "doublings": 2, "grow": 10} | options).double()
    model.steps.fill_(steps)
    return model


def test_a_growing_gan_stays_at_a_size_and_then_fades_the_next_one_in():
    found = [growing(steps).stage for steps in (0, 9, 10, 15, 19, 20, 30, 35, 39, 40, 10_000)]
    assert found == [(0, 0), (0, 0), (0, 0), (0, 0.5), (0, 0.9), (1, 0), (1, 0), (1, 0.5), (1, 0.9), (2, 0), (2, 0)]


@pytest.mark.parametrize(("steps", "block"), [(0, 4), (10, 4), (20, 2), (40, 1)])
def test_before_a_size_is_faded_in_images_are_blocks_and_the_critic_sees_no_more(steps, block):
    model, z = growing(steps), normal(3, 3)
    x = model.generate(z)
    assert x.shape == (3, 1, 8, 8)
    small = F.avg_pool2d(x, block)
    assert torch.allclose(x, small.repeat_interleave(block, 2).repeat_interleave(block, 3))
    if block > 1:
        assert not torch.allclose(small, F.avg_pool2d(x, 2 * block).repeat_interleave(2, 2).repeat_interleave(2, 3))
    noisy = x + normal(3, 1, 8, 8, seed=2)
    flat = F.avg_pool2d(noisy, block).repeat_interleave(block, 2).repeat_interleave(block, 3)
    torch.testing.assert_close(model.score(noisy), model.score(flat))


def test_fading_in_joins_the_sizes_without_a_jump():
    z, x = normal(3, 3), normal(3, 1, 8, 8, seed=1)
    for end, start in ((19, 20), (39, 40)):
        late, next_ = growing(end, grow=10), growing(start, grow=10)
        for look in (lambda m: m.generate(z), lambda m: m.score(x)):
            half = growing(end - 4)
            gap = (look(late) - look(next_)).abs().max()
            assert 0 < gap < 0.3 * (look(half) - look(next_)).abs().max()


def test_images_need_not_be_multiples_of_4_where_they_are_halved_once():
    assert ProgressiveGAN((1, 14, 14), k=2, width=4, doublings=1).sample(2, g()).shape == (2, 1, 14, 14)


def test_the_generators_turn_counts_the_steps_and_the_average_knows_them():
    recipe = Recipe("grows", "digits", "progressive-gan", {"shape": [1, 8, 8], "width": 4, "grow": 2}, steps=7, batch=8)
    run = Run(recipe, device="cpu")
    list(run)
    assert int(run.raw.steps) == int(run.averaged.steps) == 7 and run.averaged.stage == (1, 0.0)
    run.averaged.eval()(torch.zeros(2, 1, 8, 8), z=torch.zeros(2, 32), turn="generator")
    assert int(run.averaged.steps) == 7, "judging counts nothing"


# Drawings, and their refiner


def test_the_same_seed_draws_the_same_digits_and_another_one_others():
    label = torch.arange(10)
    a, b, c = (drawn_digits(label, g(seed)) for seed in (0, 0, 1))
    assert torch.equal(a, b) and (a - c).abs().flatten(1).amax(1).min() > 0.1
    assert a.shape == (10, 1, 8, 8) and a.min() == -1 and a.max() == 1


@pytest.mark.parametrize("size", [8, 28])
def test_every_drawn_digit_is_nearest_to_other_drawings_of_itself(size):
    label = torch.arange(10).repeat(20)
    first, second = drawn_digits(label, g(0), size), drawn_digits(label, g(1), size)
    nearest = label[torch.cdist(first.flatten(1), second.flatten(1)).argmin(1)]
    assert (nearest == label).double().mean() > 0.95


def test_drawings_look_like_the_real_digits_of_their_label():
    real = load("digits").train
    means = torch.stack([real.x0[real.label == k].mean(0) for k in range(10)]).flatten(1)
    drawn = torch.stack([drawn_digits(torch.full((100,), k), g(k)).mean(0) for k in range(10)]).flatten(1)
    like = torch.corrcoef(torch.cat([drawn, means]))[:10, 10:]
    assert (like.argmax(1) == torch.arange(10)).all() and like.diagonal().min() > 0.6


def test_a_digit_lies_anywhere_in_both_directions():
    ink = (drawn_digits(torch.zeros(400, dtype=torch.long), g(), 28) > 0)[:, 0].double()
    place = torch.arange(28.0, dtype=torch.float64)
    row, column = ((ink.sum(axis) * place).sum(1) / ink.sum((1, 2)) for axis in (2, 1))
    assert torch.corrcoef(torch.stack([row, column]))[0, 1].abs() < 0.3 and min(row.std(), column.std()) > 0.4


def test_loops_are_closed_and_short_digits_have_no_dot_in_the_corner():
    for stroke in (STROKES[0][0], *STROKES[8]):
        assert math.dist(stroke[0], stroke[-1]) < 1e-9
    starts, ends = _segments()
    assert (starts.abs().sum(-1) + ends.abs().sum(-1)).min() > 0


@pytest.mark.parametrize(
    "label", [torch.tensor([10]), torch.tensor([-1]), torch.tensor([0.5]), 3, torch.zeros(2, 2).long()]
)
def test_what_is_no_digit_is_not_drawn(label):
    with pytest.raises(ValueError, match="label must"):
        drawn_digits(label, g())


def test_the_refiners_loss_is_realism_and_keeping_near_the_drawing():
    torch.manual_seed(0)
    model = Refiner(width=4, blocks=1, keep=2.5)
    draws = model.draw((6, 1, 8, 8), g(), torch.device("cpu"))
    refined = model.refine(**draws)
    parts = model(torch.zeros(6, 1, 8, 8), **draws, turn="generator")
    assert parts["keep"].item() == pytest.approx(2.5 * (refined - draws["drawn"]).abs().mean().item(), rel=1e-5)
    probability = torch.sigmoid(model.critic(refined))  # of each patch
    assert probability.shape[2:] == (4, 4)
    assert parts["real"].item() == pytest.approx(-probability.log().mean().item(), rel=1e-5)


def test_the_refiners_critic_is_a_classifier_of_patches_that_the_refiner_does_not_learn_from():
    torch.manual_seed(0)
    model, real = Refiner(width=4, blocks=1), load("digits").train.x0[:6]
    draws = model.draw((6, 1, 8, 8), g(), torch.device("cpu"))
    parts, scores, fake = model(real, **draws), model.critic(real), model.critic(model.refine(**draws))
    expected = F.binary_cross_entropy_with_logits(scores, torch.ones_like(scores))
    assert parts["real"].item() == pytest.approx(expected.item(), rel=1e-5)
    expected = F.binary_cross_entropy_with_logits(fake, torch.zeros_like(fake))
    assert parts["fake"].item() == pytest.approx(expected.item(), rel=1e-5)
    sum(parts.values()).backward()
    assert grads(model) and all(name.startswith("critic") for name in grads(model))
    for bad in (255 * real, torch.zeros(6, 1, 28, 28)):
        with pytest.raises(ValueError, match="x0 must"):
            model(bad, **draws)


def test_the_refiner_draws_all_digits_and_those_that_are_asked_for(monkeypatch):
    model, asked = Refiner(width=4, blocks=1), []
    honest = refiner.drawn_digits
    monkeypatch.setattr(refiner, "drawn_digits", lambda label, *rest: asked.append(label) or honest(label, *rest))
    eps = model.draw((5000, 1, 8, 8), g(), torch.device("cpu"))["eps"]
    assert abs(eps.mean()) < 0.01 and abs(eps.std() - 1) < 0.01
    assert ((torch.bincount(asked[0], minlength=10) / 5000 - 0.1).abs() < 0.02).all()
    cond = torch.arange(10).repeat(2)
    model.sample(20, g(), cond)
    assert torch.equal(asked[1], cond)
    with pytest.raises(ValueError, match="cond must"):
        model.sample(5, g(), cond[:2])


def test_a_residual_block_adds_to_what_it_gets():
    block, x = refiner.Residual(4), torch.randn(2, 4, 5, 5, generator=g())
    torch.nn.init.zeros_(block.f[2].weight)
    torch.nn.init.zeros_(block.f[2].bias)
    assert torch.equal(block(x), x)


def test_a_patch_of_the_refiners_critic_sees_no_far_pixel():
    torch.manual_seed(0)
    model, x = Refiner(size=28, width=4), torch.zeros(1, 1, 28, 28, requires_grad=True)
    (slope,) = torch.autograd.grad(model.critic(x)[0, 0, 7, 7], x)
    seen = slope[0, 0].nonzero()
    assert (seen.amax(0) - seen.amin(0) + 1).max() <= 9


def test_a_refiner_that_must_keep_the_drawing_does():
    far = {}
    for keep in (0.0, 100.0):
        recipe = Recipe(
            "r", "digits", "refiner", {"keep": keep, "width": 8, "blocks": 1}, steps=150, batch=32, rate=3e-3
        )
        run = Run(recipe, device="cpu")
        list(run)
        draws = run.raw.draw((100, 1, 8, 8), g(), torch.device("cpu"))
        far[keep] = (run.averaged.refine(**draws) - draws["drawn"]).abs().mean().item()
    assert far[100.0] < 0.5 * far[0.0]


def test_a_growing_gan_is_timed_at_its_full_size(monkeypatch):
    recipe = Recipe(
        "grows", "digits", "progressive-gan", {"shape": [1, 8, 8], "width": 4, "grow": 2}, steps=30, batch=8
    )
    trained, sizes = ProgressiveGAN((1, 8, 8), width=4, grow=2), []
    trained.steps.fill_(30)
    honest = ProgressiveGAN.scores
    monkeypatch.setattr(ProgressiveGAN, "scores", lambda self, x: sizes.append(self.stage) or honest(self, x))
    cost(trained, recipe)
    assert set(sizes) == {(1, 0.0)}
