"""The training loop: what a recipe and a seed decide, what stops a run, and what is left when it stops.

The network is tiny, and one thread computes it, so that the processes of a busy machine don't wait for each other.
"""

import dataclasses
import json
import math
import os
import random
import shutil
import signal

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from course_lib.data import Split, load
from course_lib.diffusion import Denoiser
from course_lib.training import (
    RECIPES,
    CheckpointError,
    Recipe,
    Run,
    TrainingDiverged,
    build,
    checkpoint,
    load_trained,
    recipe_named,
    train,
)

NET = {"channels": 1, "size": 8, "width": 8, "multipliers": [1, 2], "blocks": 1, "attention": [4], "groups": 4}
TINY = Recipe(
    name="tiny", data="digits", model="unet-denoiser", options={**NET, "dropout": 0.1}, steps=20, batch=8, warmup=5
)
EYE = Recipe(
    name="tiny-eye", data="digits", model="classifier", options={"channels": 1, "size": 8, "width": 8, "features": 8},
    labels=True, steps=20, batch=8, warmup=5, weight_decay=0.1,
)  # fmt: skip


@pytest.fixture(autouse=True)
def ctrl_c_interrupts():
    """As in a terminal: a process that was started in the background may have been told to ignore it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def cpu_run(recipe, out=None, **options):
    return Run(recipe, out, device="cpu", **options)


def finish(run):
    return list(run)


def stop_at(run, step):
    """Train to a step and leave the loop there, as `break` in a notebook does. `every` must be 1."""
    for progress in run:
        if progress.step == step:
            break
    assert run.step == step


def tensors(value, at=""):
    """Every tensor in nested dictionaries and lists, by its path; other values too, as they are."""
    if isinstance(value, dict):
        return {k: v for key, item in value.items() for k, v in tensors(item, f"{at}/{key}").items()}
    if isinstance(value, list | tuple):
        return {k: v for i, item in enumerate(value) for k, v in tensors(item, f"{at}/{i}").items()}
    return {at: (value.dtype, value.detach().numpy().tobytes()) if torch.is_tensor(value) else value}


def state_of(run):
    return tensors(
        {
            "model": run.raw.state_dict(),
            "average": run.averaged.state_dict(),
            "optimizers": {turn: optimizer.state_dict() for turn, optimizer in run.optimizers.items()},
            "step": run.step,
        }
    )


def files_of(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def weights_on_disk(out):
    """Every tensor of every checkpoint in a run's folder."""
    for folder in out.glob("step-*"):
        yield from load_file(folder / "model.safetensors").values()
        training = torch.load(folder / "training.pt", weights_only=True)
        yield from training["model"].values()
        for optimizer in training["optimizers"].values():
            yield from (v for state in optimizer["state"].values() for v in state.values())


def patch_loss(monkeypatch, step, change):
    """From the step of this number on (the first is 1), change(loss, model) stands for the loss."""
    calls, honest = [], Denoiser.forward

    def forward(self, *args, **kwargs):
        calls.append(1)
        loss = honest(self, *args, **kwargs)
        return change(loss, self) if len(calls) >= step else loss

    monkeypatch.setattr(Denoiser, "forward", forward)


@pytest.fixture(scope="module")
def whole(precision, tmp_path_factory):
    """The tiny recipe, trained without a stop: the Run, its Progress step by step, and its folder."""
    out = tmp_path_factory.mktemp("whole")
    run = cpu_run(TINY, out, every=1, save_every=10)
    return run, finish(run), out


# A run is decided by its recipe


def test_the_same_recipe_twice_gives_the_same_bytes(whole, tmp_path):
    run, _, out = whole
    again = cpu_run(TINY, tmp_path / "again", every=1, save_every=10)
    finish(again)
    assert state_of(again) == state_of(run)
    for step in ("step-000010", "step-000020"):
        assert files_of(tmp_path / "again" / step) == files_of(out / step)


def test_another_seed_gives_other_weights(whole):
    run, _, _ = whole
    other = cpu_run(dataclasses.replace(TINY, seed=1))
    finish(other)
    for ours, theirs in zip(run.averaged.parameters(), other.averaged.parameters(), strict=True):
        assert not torch.equal(ours, theirs)


def test_a_seed_decides_more_than_the_first_weights(whole):
    """From the same weights, another seed draws other images, times, noise and dropout."""
    other = cpu_run(dataclasses.replace(TINY, seed=1), every=1)
    other.raw.load_state_dict(build(TINY).state_dict())
    losses = [progress.loss for progress in whole[1]]
    assert all(a != b for a, b in zip(losses, [progress.loss for progress in other], strict=True))


def test_how_often_a_run_reports_and_saves_changes_nothing(whole):
    run, _, _ = whole
    silent = cpu_run(TINY, every=1000)
    assert len(finish(silent)) == 1
    assert state_of(silent) == state_of(run)


def test_global_random_numbers_neither_steer_a_run_nor_are_moved_by_it(whole):
    torch.manual_seed(1234)
    random.seed(1234)
    before = torch.get_rng_state(), np.random.get_state()[1].tobytes(), random.getstate()
    run = cpu_run(TINY)
    finish(run)
    after = torch.get_rng_state(), np.random.get_state()[1].tobytes(), random.getstate()
    assert torch.equal(before[0], after[0]) and before[1:] == after[1:]
    assert state_of(run) == state_of(whole[0])


def test_what_the_reader_draws_between_two_steps_changes_nothing(whole):
    run = cpu_run(TINY, every=1)
    for progress in run:
        torch.manual_seed(progress.step)
        run.averaged.train()
        torch.randn(7)
    assert state_of(run) == state_of(whole[0])


# Stopped and resumed


def test_a_run_that_is_left_and_resumed_equals_one_that_never_stopped(whole, tmp_path):
    run, _, out = whole
    stop_at(cpu_run(TINY, tmp_path, every=1), 10)
    resumed = cpu_run(TINY, tmp_path, resume=True)
    assert resumed.step == 10
    finish(resumed)
    assert state_of(resumed) == state_of(run)
    assert files_of(tmp_path / "step-000020") == files_of(out / "step-000020")


def test_a_run_resumed_from_a_saved_checkpoint_equals_one_that_never_stopped(whole, tmp_path):
    run, _, out = whole
    shutil.copytree(out / "step-000010", tmp_path / "step-000010")
    resumed = cpu_run(TINY, tmp_path, resume=True)
    assert resumed.step == 10
    finish(resumed)
    assert state_of(resumed) == state_of(run)
    assert files_of(tmp_path / "step-000020") == files_of(out / "step-000020")


@pytest.mark.parametrize("seed", range(2))
def test_a_run_may_be_left_at_any_steps(whole, tmp_path, seed):
    stops = sorted(random.Random(seed).sample(range(1, 20), 4))
    for stop in stops:
        stop_at(cpu_run(TINY, tmp_path, every=1, resume=stop > stops[0]), stop)
    last = cpu_run(TINY, tmp_path, resume=True)
    finish(last)
    assert files_of(tmp_path / "step-000020") == files_of(whole[2] / "step-000020"), stops


def test_a_run_may_be_left_and_gone_on_with_without_a_folder(whole):
    run = cpu_run(TINY, every=1)
    stop_at(run, 7)
    stop_at(run, 13)
    finish(run)
    assert state_of(run) == state_of(whole[0])


def test_a_classifier_with_labels_dropout_and_decay_resumes_to_the_same_bytes_too(tmp_path):
    finish(cpu_run(EYE, tmp_path / "whole"))
    stop_at(cpu_run(EYE, tmp_path / "parts", every=1), 9)
    finish(cpu_run(EYE, tmp_path / "parts", resume=True))
    assert files_of(tmp_path / "parts" / "step-000020") == files_of(tmp_path / "whole" / "step-000020")


def test_resuming_a_finished_run_trains_no_further(whole, tmp_path):
    shutil.copytree(whole[2], tmp_path / "copy")
    run = cpu_run(TINY, tmp_path / "copy", resume=True)
    assert run.step == 20 and finish(run) == []
    assert state_of(run) == state_of(whole[0])
    assert files_of(tmp_path / "copy" / "step-000020") == files_of(whole[2] / "step-000020")


def test_where_there_is_nothing_to_resume_nothing_is_begun(tmp_path):
    with pytest.raises(CheckpointError, match="nothing to resume in .*new: start without --resume"):
        cpu_run(TINY, tmp_path / "new", resume=True)
    assert not (tmp_path / "new").exists()


# Progress, rate and average


def test_progress_counts_to_the_end_and_averages_the_losses_since_the_one_before(whole):
    _, steps, _ = whole
    assert [progress.step for progress in steps] == list(range(1, 21))
    shown = finish(cpu_run(TINY, every=7, save_every=5))
    assert [progress.step for progress in shown] == [7, 14, 20]
    for progress, (first, last) in zip(shown, [(0, 7), (7, 14), (14, 20)], strict=True):
        expected = np.mean([p.loss for p in steps[first:last]])
        assert math.isclose(progress.loss, expected, rel_tol=1e-5)
        assert progress.steps == 20 and progress.images_per_second > 0 and progress.seconds_left >= 0
    assert shown[-1].seconds_left == 0


def test_the_rate_is_a_function_of_the_step_alone_and_is_the_one_that_is_used(whole):
    run, steps, _ = whole
    fresh = cpu_run(TINY)
    assert [progress.rate for progress in steps] == [fresh.rate(step) for step in range(20)]
    for progress in cpu_run(TINY, every=1):
        expected = 1e-3 * min(1, progress.step / 5) * math.cos(math.pi / 2 * (progress.step - 1) / 20) ** 2
        assert math.isclose(progress.rate, expected, rel_tol=1e-9)
    assert run.optimizers[""].param_groups[0]["lr"] == fresh.rate(19)


def test_the_rate_warms_up_then_falls_to_nearly_nothing():
    for recipe in (TINY, *(recipe for recipe in RECIPES.values() if recipe.steps)):
        rates = [Run.rate(_RateOnly(recipe), step) for step in range(recipe.steps)]
        assert all(0 < rate <= recipe.rate for rate in rates)
        assert np.all(np.diff(rates[: recipe.warmup]) > 0) and np.all(np.diff(rates[recipe.warmup :]) < 0)
        assert rates[0] <= recipe.rate / recipe.warmup and rates[-1] < 0.01 * recipe.rate


class _RateOnly:
    """Enough of a Run to ask it for its rate, without building the network."""

    def __init__(self, recipe):
        self.recipe = recipe


def test_without_a_warm_up_the_first_step_has_the_full_rate():
    assert cpu_run(dataclasses.replace(TINY, warmup=0)).rate(0) == TINY.rate


@pytest.mark.parametrize("ema", [0.5, 0.9999])
def test_the_average_forgets_quickly_at_first(ema):
    """avg_k = d avg_{k-1} + (1 - d) w_k with d = min(ema, k / (9 + k)), and avg_1 = w_1."""
    run, average = cpu_run(dataclasses.replace(TINY, ema=ema), every=1), None
    start = torch.cat([p.detach().flatten().double() for p in run.raw.parameters()])
    for progress in run:
        now = torch.cat([p.detach().flatten().double() for p in run.raw.parameters()])
        decay = min(ema, progress.step / (9 + progress.step))
        average = now if average is None else decay * average + (1 - decay) * now
        found = torch.cat([p.detach().flatten().double() for p in run.averaged.parameters()])
        assert torch.allclose(found, average, rtol=0, atol=1e-6)
    assert not torch.allclose(found, now, rtol=0, atol=1e-5)
    assert (average - now).norm() < (average - start).norm()


def test_eight_images_can_be_learned_by_heart():
    """The last layer starts at 0, so the first loss is the mean square of what is drawn; soon it is less than that of
    the best answer which does not look at x_t, the mean image."""
    digits = load("digits").train
    eight = Split(digits.x0[:8], digits.label[:8])
    recipe = dataclasses.replace(TINY, options={**NET, "target": "x0"}, steps=80, rate=1e-2, warmup=10)
    losses = [progress.loss for progress in cpu_run(recipe, data=eight, every=1)]
    squares = eight.x0.square().mean((1, 2, 3))
    assert squares.min() <= losses[0] <= squares.max()
    blind = (eight.x0 - eight.x0.mean(0)).square().mean()
    assert np.mean(losses[-20:]) < 0.8 * blind


# A loss that is not finite


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_loss_that_is_not_finite_stops_the_run_and_names_the_last_good_checkpoint(tmp_path, monkeypatch, bad):
    patch_loss(monkeypatch, 8, lambda loss, _: loss * bad)
    run = cpu_run(TINY, tmp_path, every=1, save_every=3)
    with pytest.raises(TrainingDiverged) as stopped:
        finish(run)
    for said in ("by step 8 of tiny", "step-000006", f"lower rate than {TINY.rate:g}"):
        assert said in str(stopped.value)
    assert sorted(path.name for path in tmp_path.glob("step-*")) == ["step-000003", "step-000006"]

    monkeypatch.undo()
    trained = load_trained(tmp_path)
    assert trained.step == 6 and all(p.isfinite().all() for p in trained.model.parameters())
    resumed = cpu_run(TINY, tmp_path, resume=True)
    finish(resumed)
    assert resumed.step == 20


def test_a_bad_loss_is_found_before_a_checkpoint_even_where_no_progress_is_shown(tmp_path, monkeypatch):
    patch_loss(monkeypatch, 8, lambda loss, _: loss * math.nan)
    with pytest.raises(TrainingDiverged, match="by step 9 of tiny; the last good checkpoint is .*step-000006"):
        finish(cpu_run(TINY, tmp_path, every=1000, save_every=3))
    assert all(values.isfinite().all() for values in weights_on_disk(tmp_path))


def test_an_absurd_rate_stops_the_run(tmp_path):
    recipe = dataclasses.replace(TINY, rate=1e30, warmup=1)
    with pytest.raises(TrainingDiverged, match=r"by step \d+ of tiny; .*lower rate than 1e\+30"):
        finish(cpu_run(recipe, tmp_path, every=1, save_every=5))
    assert all(values.isfinite().all() for values in weights_on_disk(tmp_path))


def test_without_a_folder_a_diverged_run_says_that_nothing_was_kept(monkeypatch):
    patch_loss(monkeypatch, 2, lambda loss, _: loss * math.nan)
    with pytest.raises(TrainingDiverged, match="by step 2 of tiny; no checkpoint was written before"):
        finish(cpu_run(TINY, every=1))


def nan_gradient(loss, model):
    """The loss stays as it is and its gradient becomes NaN: the square root's slope at 0 is infinite."""
    return loss + sum((0 * p).square().sqrt().sum() for p in model.parameters())


def test_weights_that_are_not_finite_are_never_saved_though_the_loss_before_them_was(tmp_path, monkeypatch):
    patch_loss(monkeypatch, 6, nan_gradient)
    with pytest.raises(TrainingDiverged):
        finish(cpu_run(TINY, tmp_path, every=1, save_every=3))
    assert all(values.isfinite().all() for values in weights_on_disk(tmp_path))
    assert load_trained(tmp_path).step == 3


def test_leaving_a_run_whose_weights_are_not_finite_saves_nothing(tmp_path, monkeypatch):
    patch_loss(monkeypatch, 5, nan_gradient)
    stop_at(cpu_run(TINY, tmp_path, every=1, save_every=3), 5)
    assert all(values.isfinite().all() for values in weights_on_disk(tmp_path))


def test_ctrl_c_after_a_bad_loss_saves_nothing(tmp_path, monkeypatch):
    def change(loss, _):
        os.kill(os.getpid(), signal.SIGINT)
        return loss * math.nan

    patch_loss(monkeypatch, 5, change)
    run = train(TINY, tmp_path, device="cpu", save_every=3)
    assert run.step == 5
    assert [path.name for path in tmp_path.glob("step-*")] == ["step-000003"]


# Ctrl-C


def press_in_the_forward_pass(monkeypatch):
    def change(loss, _):
        monkeypatch.undo()
        os.kill(os.getpid(), signal.SIGINT)
        return loss

    patch_loss(monkeypatch, 7, change)


def press_twice_in_the_optimizer(monkeypatch):
    calls, honest = [], torch.optim.AdamW.step

    def step(self, *args, **kwargs):
        calls.append(1)
        if len(calls) == 7:
            os.kill(os.getpid(), signal.SIGINT)
            os.kill(os.getpid(), signal.SIGINT)
        return honest(self, *args, **kwargs)

    monkeypatch.setattr(torch.optim.AdamW, "step", step)


def press_while_a_checkpoint_is_written(monkeypatch):
    honest, save = os.fsync, checkpoint.save

    def fsync(descriptor):
        monkeypatch.undo()
        os.kill(os.getpid(), signal.SIGINT)
        honest(descriptor)

    def saving(*args):
        monkeypatch.setattr(os, "fsync", fsync)
        return save(*args)

    monkeypatch.setattr(checkpoint, "save", saving)


@pytest.mark.parametrize(
    ("press", "step"),
    [(press_in_the_forward_pass, 7), (press_twice_in_the_optimizer, 7), (press_while_a_checkpoint_is_written, 5)],
)
def test_ctrl_c_leaves_a_whole_step_a_checkpoint_and_a_usable_model(whole, tmp_path, monkeypatch, capsys, press, step):
    handler = signal.getsignal(signal.SIGINT)
    press(monkeypatch)
    run = train(TINY, tmp_path, device="cpu", save_every=5)
    monkeypatch.undo()
    assert signal.getsignal(signal.SIGINT) is handler
    assert run.step == step
    assert f"stopped after step {step} of 20" in "".join(capsys.readouterr())

    trained = load_trained(tmp_path)
    assert trained.step == step
    assert tensors(trained.model.state_dict()) == tensors(run.averaged.state_dict())
    x0, eps = run.averaged.predict(torch.zeros(2, 1, 8, 8), 500)
    assert x0.isfinite().all() and eps.isfinite().all()

    resumed = train(TINY, tmp_path, device="cpu", resume=True)
    assert state_of(resumed) == state_of(whole[0])
    assert files_of(tmp_path / "step-000020") == files_of(whole[2] / "step-000020")


def test_ctrl_c_without_a_folder_leaves_a_model_that_can_be_trained_on(whole, monkeypatch):
    press_in_the_forward_pass(monkeypatch)
    run = train(TINY, device="cpu")
    assert run.step == 7
    finish(run)
    assert state_of(run) == state_of(whole[0])


def test_ctrl_c_in_the_readers_own_loop_leaves_a_checkpoint(whole, tmp_path):
    def reader():
        for progress in cpu_run(TINY, tmp_path, every=1):
            if progress.step == 6:
                os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        reader()
    finish(cpu_run(TINY, tmp_path, resume=True))
    assert files_of(tmp_path / "step-000020") == files_of(whole[2] / "step-000020")


def test_an_error_in_the_readers_own_loop_leaves_a_checkpoint(tmp_path):
    def reader():
        for progress in cpu_run(TINY, tmp_path, every=1):
            1 / (6 - progress.step)

    with pytest.raises(ZeroDivisionError):
        reader()
    assert load_trained(tmp_path).step == 6


# What is refused


@pytest.mark.parametrize("change", [lambda x: 2 * x, lambda x: (x + 1) * 127.5, lambda x: x * math.nan])
def test_images_outside_the_range_are_refused_before_any_step(change):
    digits = load("digits").train
    with pytest.raises(ValueError, match=r"the training data of 'digits' must lie in \[-1, 1\]"):
        cpu_run(TINY, data=Split(change(digits.x0), digits.label))


def test_no_images_at_all_are_refused_and_not_replaced_by_others():
    digits = load("digits").train
    with pytest.raises(ValueError, match="digits"):
        cpu_run(TINY, data=Split(digits.x0[:0], digits.label[:0]))


@pytest.mark.parametrize(
    ("x0", "message"),
    [
        (torch.zeros(8, 2, dtype=torch.long), r"points .*floating point and finite; got \(8, 2\), torch.int64"),
        (torch.full((8, 2), math.inf), "points"),
        (torch.zeros(8, 2, 3), r"got \(8, 2, 3\)"),
        (torch.zeros(7, 2), "one label for each of its 7 images; got 8"),
    ],
)
def test_data_that_are_neither_images_nor_points_are_refused(x0, message):
    with pytest.raises(ValueError, match=message):
        cpu_run(TINY, data=Split(x0, torch.zeros(8, dtype=torch.long)))


def test_an_unknown_data_set_is_refused_with_the_names_there_are():
    with pytest.raises(ValueError, match="'digit'; choose one of: digits"):
        cpu_run(dataclasses.replace(TINY, data="digit"))


def test_an_unknown_device_is_refused_with_those_there_are():
    with pytest.raises(ValueError, match="'tpu'; choose auto, cpu, cuda, mps"):
        Run(TINY, device="tpu")


@pytest.mark.parametrize("device", ["cuda", "mps"])
def test_a_device_that_this_machine_lacks_is_refused(monkeypatch, device):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    with pytest.raises(ValueError, match=f"no {device} device here"):
        Run(TINY, device=device)


def test_compiling_on_the_cpu_is_refused():
    with pytest.raises(ValueError, match="compile is for CUDA"):
        cpu_run(TINY, compile=True)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_second_run_may_use_another_device():
    for device in ("cpu", "cuda", "cpu"):
        assert Run(TINY, device=device).device.type == device


def test_a_folder_that_holds_a_run_is_not_trained_over(whole):
    out, before = whole[2], files_of(whole[2] / "step-000020")
    with pytest.raises(CheckpointError, match=r"already holds a run \(step-000020\): resume it"):
        cpu_run(TINY, out)
    assert files_of(out / "step-000020") == before


def test_a_run_of_another_recipe_is_not_resumed_and_the_differences_are_named(whole):
    other = dataclasses.replace(TINY, rate=5e-4, options={**TINY.options, "dropout": 0.2})
    with pytest.raises(CheckpointError, match="another recipe") as refused:
        cpu_run(other, whole[2], resume=True)
    for said in ("rate is 0.001 there, 0.0005 here", "options is {", "'dropout': 0.1", "'dropout': 0.2"):
        assert said in str(refused.value)
    for same in ("batch is", "steps is", "seed is"):
        assert same not in str(refused.value)


def test_a_model_without_its_training_state_is_not_resumed(whole, tmp_path):
    shutil.copytree(whole[2] / "step-000020", tmp_path / "step-000020")
    (tmp_path / "step-000020" / "training.pt").unlink()
    with pytest.raises(CheckpointError, match=r"step-000020 can't be resumed \(training.pt is missing\)"):
        cpu_run(TINY, tmp_path, resume=True)
    assert load_trained(tmp_path / "step-000020").step == 20


# Recipes


def test_an_unknown_recipe_is_refused_with_the_nearest_names():
    with pytest.raises(ValueError, match=r"'ddpm-digit' \(did you mean ddpm-digits") as refused:
        recipe_named("ddpm-digit")
    for name in RECIPES:
        assert name in str(refused.value)
    with pytest.raises(ValueError, match="'zzz'; the recipes are"):
        recipe_named("zzz")


@pytest.mark.parametrize("name", RECIPES)
def test_every_recipe_has_its_own_name_and_survives_json(name):
    recipe = recipe_named(name)
    assert recipe.name == name
    assert Recipe.from_json(json.loads(json.dumps(recipe.as_json()))) == recipe


def test_a_recipe_with_every_field_changed_survives_json():
    recipe = Recipe(
        "n", "d", "m", {"a": [1, {"b": None}], "c": "x"}, True, {"role": "other"}, 1, 2, 0.1, 3, "none", (0.5, 0.6), 0.2,
        0.3, 0.4, 5, True,
    )  # fmt: skip
    for field in dataclasses.fields(Recipe):
        if field.default is not dataclasses.MISSING:
            assert getattr(recipe, field.name) != field.default, field.name
    assert Recipe.from_json(json.loads(json.dumps(recipe.as_json()))) == recipe


def test_tuples_in_a_recipe_are_lists_in_json():
    recipe = dataclasses.replace(TINY, options={**NET, "multipliers": (1, 2), "attention": (4,)})
    assert recipe.as_json() == json.loads(json.dumps(recipe.as_json()))


def test_fields_that_a_recipe_lacks_are_named():
    values = TINY.as_json()
    for name in ("name", "data", "model"):
        with pytest.raises(ValueError, match=rf"\['{name}'\]"):
            Recipe.from_json({key: value for key, value in values.items() if key != name})
    assert Recipe.from_json({"name": "n", "data": "digits", "model": "m"}) == Recipe("n", "digits", "m")


def test_fields_that_no_recipe_has_are_named():
    with pytest.raises(ValueError, match=r"\['colour', 'flavour'\]"):
        Recipe.from_json({**TINY.as_json(), "flavour": 1, "colour": 2})


def test_building_a_model_twice_gives_the_same_weights_and_moves_no_global_generator():
    before = torch.get_rng_state()
    first, again, other = build(TINY), build(TINY), build(dataclasses.replace(TINY, seed=1))
    assert torch.equal(torch.get_rng_state(), before)
    assert tensors(first.state_dict()) == tensors(again.state_dict())
    assert tensors(first.state_dict()) != tensors(other.state_dict())
