"""What a model, a recipe or a call must not be: each is refused with the argument, the value and its range."""

import math
from dataclasses import replace

import pytest
import torch
from torch import nn

from course_lib.diffusion import Guided
from course_lib.metrics import cost, count_calls, quality, table
from course_lib.models import MODELS, options_of
from course_lib.training import Recipe, Run, load_trained

FINE = Recipe("fine", "moons", "fine", steps=2)


class Labelled(nn.Module):
    """It compares what it makes with and without a label, as guidance does: two calls where there is one."""

    def __init__(self):
        super().__init__()
        self.net = nn.Linear(2, 2)

    def draw(self, shape, generator, device):
        return {"eps": torch.randn(shape, generator=generator, device=device)}

    def forward(self, x0, cond=None, eps=None):
        return (self.net(eps) - x0).square().mean()

    def sample(self, n, generator, cond=None, *, guidance: float = 1.0):
        z = torch.randn(n, 2, generator=generator)
        if cond is None:
            raise ValueError("a label is needed")
        return self.net(z) if guidance == 1 else self.net(z) + self.net(-z)


@pytest.mark.parametrize(
    ("field", "values"),
    {
        "steps": [-1, 1.5, True], "batch": [0, -8, "8"], "warmup": [-1], "seed": [-1, 2**63, 0.5], "labels": ["yes", 1],
        "rate": [0, -1.0, math.nan, math.inf, "x"], "clip": [0, -1.0], "weight_decay": [-1.0, math.nan],
        "ema": [1, 2.0, -0.5], "betas": [(2, 2), (0.9,), (0.9, 1.0)], "name": [""], "fall": ["linear"],
    }.items(),
)  # fmt: skip
def test_a_recipe_refuses_a_value_out_of_its_range_by_name(field, values):
    for value in values:
        with pytest.raises(ValueError, match=f"{field} must be .*; got"):
            replace(FINE, **{field: value})


def test_a_recipe_takes_the_ends_of_its_ranges():
    ends = {"steps": 0, "batch": 1, "warmup": 0, "seed": 2**63 - 1, "weight_decay": 0, "ema": 0, "betas": (0, 0.999)}
    assert replace(FINE, **ends).seed == 2**63 - 1


def test_a_model_that_lacks_what_its_recipe_needs_is_named_with_what_it_lacks(monkeypatch):
    monkeypatch.setitem(MODELS, "bare", lambda: nn.Linear(2, 2))
    with pytest.raises(ValueError, match="the model 'bare' lacks draw"):
        Run(Recipe("b", "moons", "bare"), device="cpu")
    with pytest.raises(ValueError, match="the model 'bare' lacks fit"):
        Run(Recipe("b", "moons", "bare", steps=0), device="cpu")
    with pytest.raises(ValueError, match="unexpected keyword argument 'width'"):
        Run(Recipe("b", "moons", "bare", options={"width": 3}), device="cpu")


def test_a_turn_without_its_part_is_named(monkeypatch):
    monkeypatch.setattr(Labelled, "turns", ("net", "critic"), raising=False)
    monkeypatch.setitem(MODELS, "fine", Labelled)
    with pytest.raises(ValueError, match="the model 'fine' lacks critic"):
        Run(FINE, device="cpu")


def test_a_run_refuses_periods_below_one(monkeypatch):
    monkeypatch.setitem(MODELS, "fine", Labelled)
    for bad in ({"every": 0}, {"save_every": -1}):
        with pytest.raises(ValueError, match="every must be a whole number of at least 1"):
            Run(FINE, device="cpu", **bad)


def test_an_option_without_a_default_is_the_models_mistake_and_said_so():
    model = Labelled()
    model.sample = lambda n, generator, cond=None, *, tau: None
    with pytest.raises(ValueError, match="needs a default; tau has none"):
        options_of(model)
    model.sample = lambda n, generator, cond=None, *, tau=1.0, **more: None
    assert options_of(model) == {"tau": 1.0}


def test_what_a_model_costs_is_measured_with_the_labels_it_needs(monkeypatch):
    monkeypatch.setitem(MODELS, "fine", Labelled)
    label = torch.zeros(64, dtype=torch.long)
    assert count_calls(Labelled(), cond=label[:1]) == 1
    assert cost(Labelled(), replace(FINE, labels=True), cond=label, guidance=2.0).calls == 2


@pytest.mark.parametrize("w", [math.nan, math.inf, -math.inf])
def test_guidance_must_be_finite(w):
    with pytest.raises(ValueError, match="guidance must be a finite number"):
        Guided(load_trained("ddpm-digits").model, w)


def test_quality_refuses_another_scale_and_too_few_images():
    with pytest.raises(ValueError, match=r"must lie in \[-1, 1\]; got 0 … 255"):
        quality(torch.linspace(0, 255, 500 * 64).reshape(500, 1, 8, 8), "digits")
    with pytest.raises(ValueError, match="a set must hold 500 images or more.*got 499"):
        quality(torch.zeros(499, 1, 8, 8), "digits")


def test_each_model_stands_under_the_real_images_of_its_own_data():
    def scores(real):
        score = {"mean": 2.0, "spread": None, "real": real, "real_spread": 0.1}
        judged = dict.fromkeys(("over_seeds", "precision", "recall", "c2st"), score)
        spent = {"weights": 1, "seconds_per_step": 1.0, "steps": 1, "calls": 1, "seconds": 1.0}
        judged["copies"] = {"share": 0.0, "expected": 0.01}
        return {"quality": judged, "cost": spent, "bits_per_dim": None, "condition": None}

    lines = table({"a": scores(0.5), "b": scores(0.7), "c": scores(0.5)}).splitlines()
    assert [line.split()[0] for line in lines] == ["model", "(real", "a", "c", "(real", "b"]
    assert "0.50 ± 0.10" in lines[1] and "0.70 ± 0.10" in lines[4]
