"""What `measure` asks of a model and of the judges, with judges that only listen."""

import importlib
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from torch import nn

from course_lib.data import load
from course_lib.metrics import cost, is_measured, measure, measure_loss
from course_lib.training import Recipe, Trained, load_trained

scoreboard = importlib.import_module("course_lib.metrics.scoreboard")


class Painter(nn.Module):
    """Paints each image in the grey of its label, in the first pixel at random; it finds later images less likely."""

    def sample(self, n, generator, cond=None, *, white: float = 0.0):
        x0 = (torch.zeros(n) if cond is None else cond / 10)[:, None, None, None].repeat(1, 1, 8, 8) + white
        x0[:, 0, 0, 0] = torch.rand(n, generator=generator)
        return x0

    def bits_per_dim(self, x0, levels, generator):
        self.judged = x0, levels
        return torch.arange(float(len(x0)))


@dataclass
class Heard:
    what: int = 0


@pytest.fixture
def heard(monkeypatch):
    """What each judge was given, by its name."""
    given = {}

    def listen(name, answer):
        def judge(*arguments, **options):
            given[name] = arguments, options
            return answer

        return judge

    for name in ("quality", "condition_accuracy", "cost"):
        monkeypatch.setattr(scoreboard, name, listen(name, Heard()))
    monkeypatch.setattr(scoreboard, "suspicious", listen("suspicious", ["too good"]))
    return given


def trained(labels):
    recipe = Recipe(name="painter", data="digits", model="painter", labels=labels, steps=0)
    return Trained(recipe, Painter(), 0, Path())


def test_the_judges_get_a_set_for_each_seed_made_with_the_options(heard):
    found = measure(trained(labels=False), seeds=3, n=505, white=0.25)
    (sets, data), _ = heard["quality"]
    assert data == "digits" and [len(x0) for x0 in sets] == [505] * 3
    assert all((x0[:, 0, 1:] == 0.25).all() for x0 in sets)
    assert len({tuple(x0[:, 0, 0, 0].tolist()) for x0 in sets}) == 3, "each seed has its own images"
    assert heard["cost"][1] == {"white": 0.25} and "condition_accuracy" not in heard
    assert found["options"] == {"white": 0.25} and (found["images"], found["seeds"]) == (505, 3)
    assert found["condition"] is None and found["suspicious"] == ["too good"]


def test_a_model_that_sees_labels_is_asked_for_all_classes_and_judged_by_what_each_image_was_asked_for(heard):
    measure(trained(labels=True), seeds=2, n=505)
    (x0, label, data), _ = heard["condition_accuracy"]
    assert data == "digits" and label.tolist() == 2 * ([*range(10)] * 50 + [*range(5)])
    torch.testing.assert_close(x0[:, 0, 7, 7], label / 10)


def test_bits_are_those_of_held_out_images_with_the_standard_error_over_them(heard):
    model, held_out = trained(labels=False), load("digits").held_out.x0
    found = measure(model, seeds=1, n=505)["bits_per_dim"]
    x0, levels = model.model.judged
    assert torch.equal(x0, held_out) and levels == 17
    n = len(held_out)
    assert found["mean"] == (n - 1) / 2 and found["images"] == n
    assert found["standard_error"] == pytest.approx((n * (n + 1) / 12 / n) ** 0.5)


@pytest.mark.usefixtures("heard")
def test_a_model_of_other_grey_levels_than_the_datas_has_no_bits_to_compare():
    model = trained(labels=False)
    model.model.levels = 2
    assert measure(model, seeds=1, n=505)["bits_per_dim"] is None


@pytest.mark.usefixtures("heard")
def test_a_density_of_points_has_no_bits_for_points_have_no_grey_levels():
    assert measure(load_trained("flow-gaussians"), seeds=1, n=500)["bits_per_dim"] is None


def test_of_a_model_that_makes_no_images_the_loss_on_held_out_ones_is_measured():
    autoencoder = load_trained("autoencoder-digits")
    x0 = load("digits").held_out.x0
    back = autoencoder.model.decode(autoencoder.model.encode(x0))
    squares = sum(((a - b) ** 2).sum().item() for a, b in zip(back, x0, strict=True))
    found = measure_loss(autoencoder)["held_out"]
    assert found["images"] == len(x0) and found["loss"] == pytest.approx(squares / len(x0), rel=1e-4)


class Listener(nn.Module):
    """Its loss has two parts; it keeps what it was given."""

    def draw(self, shape, generator, device):
        return {"eps": torch.rand(shape, generator=generator, device=device)}

    def forward(self, x0, cond=None, eps=None):
        self.given = x0, cond, eps
        return {"near": torch.tensor(2.5), "far": torch.tensor(4.0)}


@pytest.mark.parametrize(("labels", "steps"), [(False, 5), (True, 5), (False, 0), (True, 0)])
def test_the_loss_on_held_out_images_is_asked_for_as_in_training(labels, steps, monkeypatch):
    monkeypatch.setattr(scoreboard, "HELD_OUT", 7)
    model, held_out = Listener(), load("digits").held_out
    recipe = Recipe(name="listener", data="digits", model="listener", labels=labels, steps=steps)
    found = measure_loss(Trained(recipe, model, steps, Path()))["held_out"]
    x0, cond, eps = model.given
    assert found == {"loss": 6.5, "images": 7} and torch.equal(x0, held_out.x0[:7])
    assert torch.equal(cond, held_out.label[:7]) if labels else cond is None
    expected = model.draw(x0.shape, torch.Generator().manual_seed(0), "cpu")["eps"]
    assert torch.equal(eps, expected) if steps else eps is None
    monkeypatch.setattr(scoreboard, "HELD_OUT", 10_000)
    assert measure_loss(Trained(recipe, model, steps, Path()))["held_out"]["images"] == len(held_out)


def test_a_trained_model_has_as_many_weights_as_a_step_moves(monkeypatch):
    monkeypatch.setattr(importlib.import_module("course_lib.metrics.costs"), "_pace", lambda *_: 0.0)
    model, recipe = Painter(), Recipe(name="painter", data="digits", model="painter", steps=5)
    model.net = nn.BatchNorm2d(3)  # 6 weights, and 7 numbers that are only kept
    assert cost(model, recipe).weights == 6


def test_a_fitted_model_has_as_many_weights_as_numbers_that_it_stores():
    trained = load_trained("naive-bayes-digits")
    assert cost(trained.model, trained.recipe, cond=torch.zeros(64, dtype=torch.long)).weights == 10 + 10 * 64 * 17


def test_a_card_is_measured_only_where_every_column_has_its_number():
    scores = load_trained("ddpm-digits").card["scores"]
    assert is_measured({"scores": scores}) and not is_measured({}) and not is_measured({"scores": None})
    for lacking in ("quality", "cost", "bits_per_dim", "condition"):
        assert not is_measured({"scores": {name: value for name, value in scores.items() if name != lacking}})
