"""The recorded games of lessons 05 and 05b: how they are counted, and that each way of playing is what it says."""

import math

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from course_lib.data import drawn_digits, load
from course_lib.exercises import exercise_named
from course_lib.experiments import curves_digits, modes_gaussians, refined_digits, results, tips_digits
from course_lib.experiments.modes_gaussians import CENTRES, modes, play
from course_lib.models.gan import GAN


def g(seed=0):
    return torch.Generator().manual_seed(seed)


# Modes


def test_the_centres_are_those_of_the_data():
    eight = load("eight_gaussians").train
    means = torch.stack([eight.x0[eight.label == k].mean(0) for k in range(8)])
    assert (means - CENTRES).norm(dim=1).max() < 0.02


def test_true_points_cover_all_modes_and_nearly_all_are_good():
    covered, good = modes(load("eight_gaussians").held_out.x0)
    assert (
        covered == 8 and abs(good - (1 - math.exp(-(3**2) / 2))) < 0.01
    )  # of a Gaussian in the plane, within 3 deviations


@pytest.mark.parametrize("kept", [1, 3, 7])
def test_what_covers_some_modes_is_counted_as_so_many(kept):
    points = CENTRES[:kept].repeat(100, 1) + 0.05 * torch.randn(100 * kept, 2, generator=g())
    assert modes(points) == (kept, 1.0)
    lost = torch.cat([points, torch.zeros(100 * kept, 2)])
    assert modes(lost)[1] == 0.5


def test_a_mode_with_fewer_than_2_percent_of_the_points_is_not_covered():
    points = torch.cat([CENTRES[:1].expand(985, 2), CENTRES[1:2].expand(15, 2)])
    assert modes(points)[0] == 1


def test_a_game_differs_by_its_momentum_and_penalty_alone():
    for name in modes_gaussians.PLAYS:
        (_, model), *_ = play(name, seed=0, steps=1)
        assert model.penalty == (1.0 if name.endswith("R1") else 0.0) and model.loss == "non-saturating"


def test_the_recorded_games_have_a_row_for_each_way_and_seed():
    recorded = results("modes-gaussians")
    assert [row["play"] for row in recorded["rows"]] == list(modes_gaussians.PLAYS)
    for row in recorded["rows"]:
        assert len(row["modes"]) == len(row["good"]) == len(recorded["seeds"]) >= 3
        assert all(len(run) == len(recorded["steps"]) for run in row["modes"] + row["good"])


# Tips


@pytest.fixture(scope="module")
def players():
    torch.manual_seed(0)
    return {tip: tips_digits.Players(**changes) for tip, changes in tips_digits.TIPS.items()}


def test_every_tip_makes_and_judges_images_of_the_digits(players):
    for tip, one in players.items():
        x = tips_digits.made(one, 20)
        assert x.shape == (20, 1, 8, 8) and x.abs().max() <= 1 and one.score(x).shape == (20,), tip


def test_the_plain_players_are_the_courses_gan(players):
    z, x0 = torch.randn(6, 32, generator=g()), load("digits").train.x0[:6]
    course = GAN((1, 8, 8))
    course.load_state_dict(players["plain"].state_dict())
    for turn in course.turns:
        ours, theirs = players["plain"](x0, z=z, turn=turn), course(x0, z=z, turn=turn)
        assert ours == theirs if isinstance(ours, dict) else torch.equal(ours, theirs)


def test_each_tip_changes_what_it_says(players):
    kinds = {tip: {type(layer) for layer in one.modules()} for tip, one in players.items()}
    assert nn.MaxPool2d in kinds["ReLU and max pooling in D"] and nn.LeakyReLU not in kinds["ReLU and max pooling in D"]
    assert nn.Conv2d not in kinds["no convolutions"] and nn.ConvTranspose2d not in kinds["no convolutions"]
    assert nn.BatchNorm2d in kinds["batch norm in G"] and nn.GroupNorm not in kinds["batch norm in G"]
    dropping = {tip for tip, one in players.items() if any(isinstance(m, nn.Dropout) for m in one.generator.modules())}
    assert dropping == {"dropout in G"}


def test_labels_of_0_9_are_the_cross_entropy_with_them(players):
    one, x0 = players["real labels 0.9"], load("digits").train.x0[:8]
    z = torch.randn(8, 32, generator=g())
    real = one.score(x0)
    expected = F.binary_cross_entropy_with_logits(real, torch.full_like(real, 0.9))
    assert torch.allclose(one(x0, z=z)["real"], expected)


def test_a_uniform_z_has_the_same_variance_as_a_normal_one(players):
    z = players["uniform z"].draw((5000, 1), g(), torch.device("cpu"))["z"]
    assert abs(z.var().item() - 1) < 0.02 and z.abs().max() < math.sqrt(3)
    assert z.abs().max() > math.sqrt(3) - 0.01


def test_noise_on_the_critics_images_is_drawn_anew_each_time(players):
    x = load("digits").train.x0[:5]
    noisy, plain = players["noise on D's images"], players["plain"]
    assert not torch.equal(noisy.score(x), noisy.score(x)) and torch.equal(plain.score(x), plain.score(x))


@pytest.mark.parametrize("tip", ["plain", "SGD for D", "dropout in G", "Wasserstein, clipped"])
def test_the_same_seed_plays_the_same_game(tip):
    first, second, other = (tips_digits.play(tip, seed, steps=3) for seed in (0, 0, 1))
    for a, b, c in zip(*(model[1].parameters() for model in (first, second, other)), strict=True):
        assert torch.equal(a, b) and (a.numel() < 64 or not torch.equal(a, c))


def test_the_average_lies_between_where_it_was_and_where_the_players_are():
    old, new = nn.Linear(2, 2), nn.Linear(2, 2)
    before = old.weight.detach().clone()
    tips_digits.blend(old, new, 0.75)
    assert torch.allclose(old.weight, 0.75 * before + 0.25 * new.weight)


# Curves


def test_images_that_are_all_alike_are_0_apart_and_real_ones_are_not():
    x0 = load("digits").train.x0[:50]
    assert curves_digits.apart(x0[:1].expand(50, 1, 8, 8)) < 1e-4 < 1 < curves_digits.apart(x0)


def test_the_recorded_curves_show_the_faces_that_the_lesson_names():
    rows = {row["run"]: {key: torch.tensor(row[key]) for key in ("training", "unseen", "generated", "varied")}
            for row in results("curves-digits")["rows"]}  # fmt: skip
    last = {run: {key: values[:, -1] for key, values in row.items()} for run, row in rows.items()}
    assert (last["healthy"]["varied"] > 0.85).all() and (last["healthy"]["training"].abs() < 1).all()
    assert (last["the critic has won"]["varied"] < 0.2).all()
    assert (last["the same without momentum"]["varied"] > 0.85).all()
    heart = last["learned by heart"]
    assert (heart["training"] > heart["generated"]).all() and (heart["unseen"] < heart["training"] - 1).all()
    assert (last["scores without bound"]["training"] > 500).all()


def test_the_exercise_shows_four_different_runs_and_not_in_their_own_order():
    rows = {run: object() for run in curves_digits.RUNS}
    shown = curves_digits.lettered(rows)
    assert list(shown) == list("ABCD") and len(set(map(id, shown.values()))) == 4
    solution = exercise_named("05b.4").reference()
    kinds = ["healthy", "the critic has won", "learned by heart", "scores without bound"]
    assert [rows[kinds[k - 1]] for k in solution] == list(shown.values())


# Refined drawings


def test_the_drawings_of_a_seed_are_the_librarys():
    label = torch.arange(10)
    assert torch.equal(refined_digits.drawings(label, 3), drawn_digits(label, g(3)))


def test_real_digits_would_be_judged_nearly_perfect():
    train = load("digits").train
    found = refined_digits.judged(train.x0, train.label, seed=0)
    assert found["labels"] > 0.98 and found["useful"] > 0.9 and found["fd_ratio"] == pytest.approx(1, abs=0.3)
