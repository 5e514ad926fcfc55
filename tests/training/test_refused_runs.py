"""What a run refuses, and that it does so before anything has moved."""

import dataclasses
import math

import pytest
import torch
from torch import nn

from course_lib.data import Split, load
from course_lib.models import MODELS
from course_lib.training import CheckpointError, Recipe, Run

LINE = Recipe(name="line", data="digits", model="line", steps=3, batch=8)
DIGITS = load("digits")
TRAIN = DIGITS.train


class Line(nn.Module):
    """One weight, whose loss and draws are what a test says."""

    loss = staticmethod(lambda w, x0: (w * x0).square().mean())
    drawn = staticmethod(lambda n: {})

    def __init__(self):
        super().__init__()
        self.w = nn.Parameter(torch.ones(()))

    def draw(self, shape, generator, device):
        return self.drawn(shape[0])

    def forward(self, x0, cond=None, **draws):
        return self.loss(self.w, x0)


@pytest.fixture(autouse=True)
def known(monkeypatch):
    monkeypatch.setitem(MODELS, "line", Line)


@pytest.mark.parametrize(
    ("loss", "message"),
    [
        (lambda w, x0: (w * x0).square().flatten(1).mean(1), r"one number as a tensor.*got a tensor of shape \(8,\)"),
        (lambda w, x0: {"a": w.square(), "b": (w * x0).flatten(1).sum(1)}, r"one number as a tensor.*\(8,\)"),
        (lambda w, x0: w.square().detach(), "no gradient comes from the model's loss"),
        (lambda w, x0: w.square().item(), "one number as a tensor.*got 1.0"),
        (lambda w, x0: {"a": w.detach()}, "no gradient"),
        (lambda w, x0: {}, "no gradient"),
        (lambda w, x0: None, "one number as a tensor.*got None"),
        (lambda w, x0: (w * 0).long(), "one number as a tensor"),
    ],
)
def test_a_loss_that_is_no_number_with_a_gradient_is_refused_before_the_first_step(monkeypatch, loss, message):
    monkeypatch.setattr(Line, "loss", staticmethod(loss))
    run = Run(LINE, device="cpu")
    with pytest.raises(ValueError, match=message):
        list(run)
    assert run.raw.w.item() == run.averaged.w.item() == 1 and run.step == 0


def test_a_part_of_a_loss_may_be_without_a_gradient(monkeypatch):
    monkeypatch.setattr(Line, "loss", staticmethod(lambda w, x0: {"a": w.square(), "told": w.detach()}))
    run = Run(LINE, device="cpu", every=1)
    assert [progress.step for progress in run] == [1, 2, 3]


@pytest.mark.parametrize(
    "drawn",
    [lambda n: {"z": torch.randn(n + 1, 2)}, lambda n: {"z": torch.tensor(0.5)}, lambda n: {"z": 3}, lambda n: {"z": torch.zeros(2, n)}],
)  # fmt: skip
def test_a_draw_without_a_row_for_each_image_is_refused(monkeypatch, drawn):
    monkeypatch.setattr(Line, "drawn", staticmethod(drawn))
    with pytest.raises(ValueError, match="`draw` must give 'z' one row for each of the 8 images; got"):
        list(Run(LINE, device="cpu"))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"data": TRAIN.x0}, r"the training data of 'digits' must be a Split\(x0, label\).*got a tensor"),
        ({"data": DIGITS}, "must be a Split.*give its `train`"),
        ({"data": Split(TRAIN.x0[:, :, :4], TRAIN.label)}, r"'digits' has the shape \(1, 8, 8\); got \(1, 4, 8\)"),
        ({"data": Split(torch.zeros(8, 2), torch.zeros(8).long())}, r"'digits' has the shape \(1, 8, 8\); got \(2,\)"),
        ({"data": Split(TRAIN.x0, TRAIN.label[:9])}, "one label for each of its 1297 images; got 9"),
        ({"data": Split(TRAIN.x0, TRAIN.label.tolist())}, "of tensors"),
        ({"every": 2.5}, "every must be a whole number of at least 1; got 2.5"),
        ({"every": 0}, "every must be a whole number of at least 1; got 0"),
        ({"save_every": True}, "save_every must be a whole number"),
        ({"out": ""}, "out must name the folder of a run; got ''"),
        ({"out": 3}, "out must name the folder of a run; got 3"),
    ],
)
def test_a_run_refuses_arguments_of_other_kinds(options, message):
    with pytest.raises((ValueError, CheckpointError), match=message):
        Run(LINE, device="cpu", **options)


def test_a_run_refuses_a_file_for_a_folder_and_a_name_for_a_recipe(tmp_path):
    (tmp_path / "file").write_text("mine", encoding="utf-8")
    with pytest.raises(CheckpointError, match="is a file: name a folder"):
        Run(LINE, tmp_path / "file", device="cpu")
    assert (tmp_path / "file").read_text(encoding="utf-8") == "mine"
    with pytest.raises(ValueError, match="recipe must be a Recipe, as recipe_named.*got 'ddpm-digits'"):
        Run("ddpm-digits", device="cpu")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda label: label + 1, r"labels of digits must lie in 0 … 9; got 1 … 10"),
        (lambda label: label - 1, r"0 … 9; got -1 … 8"),
        (lambda label: label.float(), "whole numbers; got a tensor .*float32"),
    ],
)
def test_labels_that_are_no_class_are_refused_where_they_are_seen(change, message):
    data = Split(TRAIN.x0, change(TRAIN.label))
    with pytest.raises(ValueError, match=message):
        Run(dataclasses.replace(LINE, labels=True), device="cpu", data=data)
    assert len(list(Run(LINE, device="cpu", data=data))) == 1, "who sees none may have any"


@pytest.mark.parametrize(
    "field", [{"ema": math.nan}, {"clip": -1.0}, {"clip": math.nan}, {"rate": math.nan}, {"steps": 2.5}]
)
def test_a_recipe_with_a_number_out_of_its_range_is_none(field):
    with pytest.raises(ValueError, match=next(iter(field))):
        dataclasses.replace(LINE, **field)
