"""Models with named parts, with turns, on top of another one, and fitted in one go: all in the one loop."""

import dataclasses
import hashlib
import json
import math
import random
import shutil
from pathlib import Path

import pytest
import small_models
import torch
from safetensors.torch import load_file
from small_models import GAN, GAUSSIAN, LATENTS, PLANE, TIED, VAE
from torch import nn

from course_lib.data import Split, fingerprint, load
from course_lib.models import generate
from course_lib.training import (
    CheckpointError,
    Recipe,
    Run,
    TrainingDiverged,
    build,
    checkpoint,
    load_trained,
    recipe_named,
    train,
    trained,
)

WGAN = Recipe(
    "small-wgan", "digits", "gan", {"shape": [1, 8, 8], "k": 4, "width": 4, "loss": "wasserstein", "penalty": 10.0, "critic_turns": 2},
    steps=20, batch=8, warmup=5, betas=(0.0, 0.9),
)  # fmt: skip
GROWING = Recipe(
    "small-growing", "digits", "progressive-gan", {"shape": [1, 8, 8], "k": 4, "width": 4, "grow": 6}, steps=20, batch=8
)
TRAINED = {recipe.name: recipe for recipe in (VAE, GAN, LATENTS, TIED, WGAN, GROWING)}


@pytest.fixture(autouse=True, scope="module")
def known(precision, tmp_path_factory):
    """The small models are registered, and one autoencoder is trained, in a folder of runs of its own."""
    runs = tmp_path_factory.mktemp("runs")
    small_models.register()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(trained, "RUNS", runs)
        list(cpu_run(VAE, runs / "small-vae"))
        yield runs
    small_models.unregister()


def cpu_run(recipe, out=None, **options):
    return Run(recipe, out, device="cpu", **options)


def files_of(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def seal(folder):
    """Give a checkpoint the hashes of what is in it, as if a training had written it so."""
    card = json.loads((folder / "recipe.json").read_text(encoding="utf-8"))
    files = [folder / name for name in ("model.safetensors", "training.pt")]
    card["sha256"] = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in files}
    card["sha256"]["recipe"] = checkpoint.seal_of(card)
    (folder / "recipe.json").write_text(json.dumps(card), encoding="utf-8")


def stop_at(run, step):
    for progress in run:
        if progress.step == step:
            break


@pytest.fixture(scope="module")
def whole(precision, tmp_path_factory):
    """The folder of each recipe's run that never stopped."""
    folders = {name: tmp_path_factory.mktemp(name) for name in TRAINED}
    for name, recipe in TRAINED.items():
        list(cpu_run(recipe, folders[name]))
    return folders


@pytest.mark.parametrize("name", TRAINED)
def test_a_run_left_at_any_steps_ends_with_the_bytes_of_one_that_never_stopped(whole, tmp_path, name):
    stops = sorted(random.Random(name).sample(range(1, 20), 3))
    for stop in stops:
        stop_at(cpu_run(TRAINED[name], tmp_path, every=1, resume=stop > stops[0]), stop)
    list(cpu_run(TRAINED[name], tmp_path, resume=True))
    assert files_of(tmp_path / "step-000020") == files_of(whole[name] / "step-000020")


# Parts


def test_the_parts_of_a_loss_are_shown_by_name_and_add_up_to_it():
    (progress,) = cpu_run(dataclasses.replace(VAE, steps=1))
    assert list(progress.parts) == ["reconstruction", "kl"]
    assert math.isclose(progress.loss, sum(progress.parts.values()), rel_tol=1e-6)
    assert f"kl {progress.parts['kl']:.4f}" in str(progress)


def test_a_loss_without_parts_has_only_its_name():
    (progress,) = cpu_run(dataclasses.replace(TIED, steps=1))
    assert progress.parts == {} and str(progress).startswith(f"loss {progress.loss:.4f}, rate")


@pytest.mark.parametrize(("recipe", "part"), [(VAE, "kl"), (GAN, "generator"), (GAN, "critic fake")])
def test_a_part_that_is_not_finite_stops_the_run_by_its_name_and_keeps_the_last_good_checkpoint(
    tmp_path, monkeypatch, recipe, part
):
    run = cpu_run(recipe, tmp_path, every=1, save_every=3)
    honest, turn = type(run.raw).forward, part.split()[0]

    def forward(self, *args, **draws):
        loss = honest(self, *args, **draws)
        if run.step < 7 or draws.get("turn", turn) != turn:
            return loss
        return (
            loss * math.nan if torch.is_tensor(loss) else loss | {part.split()[-1]: loss[part.split()[-1]] * math.nan}
        )

    monkeypatch.setattr(type(run.raw), "forward", forward)
    with pytest.raises(TrainingDiverged, match=rf"the loss \({part}\) became nan by step 8.*step-000006"):
        list(run)
    monkeypatch.undo()
    assert load_trained(tmp_path).step == 6


# Turns


def moved(run, before):
    return {name for name, p in run.raw.named_parameters() if not torch.equal(p, before[name])}


@pytest.mark.parametrize("turn", small_models.SmallGAN.turns)
def test_a_turn_moves_its_own_part_and_no_other(turn):
    run = cpu_run(GAN)
    run.turns = (turn,)
    before = {name: p.detach().clone() for name, p in run.raw.named_parameters()}
    run._train_step()
    assert moved(run, before) == {name for name in before if name.startswith(turn)}


@pytest.mark.parametrize("turns", [("critic", "generator"), ("critic", "critic", "generator", "critic")])
def test_the_turns_follow_each_other_in_their_order_each_on_a_batch_of_its_own(monkeypatch, turns):
    """By hand: an AdamW for each player, moved as often as it stands there, against the other as it is by then."""
    monkeypatch.setattr(small_models.SmallGAN, "turns", turns)
    run, model = cpu_run(dataclasses.replace(GAN, clip=1e9, steps=3), every=1), build(GAN)
    seen, forward = [], run.raw.forward

    def watched(images, cond=None, **given):
        seen.append((images, given))
        return forward(images, cond, **given)

    run.raw.forward = watched
    optimizers = {
        turn: torch.optim.AdamW(getattr(model, turn).parameters(), lr=1e-3, betas=(0.5, 0.9), weight_decay=0)
        for turn in ("critic", "generator")
    }
    for progress in run:
        for optimizer in optimizers.values():
            optimizer.param_groups[0]["lr"] = run.rate(progress.step - 1)
        for images, given in seen[-len(turns) :]:
            loss = model(images, **given)
            model.zero_grad()
            (loss if torch.is_tensor(loss) else sum(loss.values())).backward()
            optimizers[given["turn"]].step()
        if not run.bf16:
            for ours, theirs in zip(model.parameters(), run.raw.parameters(), strict=True):
                torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-6)
    assert [given["turn"] for _, given in seen] == list(turns) * 3
    assert len({given["z"].sum().item() for _, given in seen}) == len({x.sum().item() for x, _ in seen}) == len(seen)


@pytest.mark.parametrize("turn", small_models.SmallGAN.turns)
def test_the_gradient_of_a_turns_own_part_alone_is_clipped(turn):
    """The generator's turn leaves a gradient on the critic too, which must not count."""
    run = cpu_run(dataclasses.replace(GAN, clip=1e-3))
    optimizer, lengths = run.optimizers[turn].optimizer, []
    step, own = optimizer.step, list(getattr(run.raw, turn).parameters())

    def watched(*args, **options):
        lengths.append(torch.stack([p.grad.norm() for p in own]).norm().item())
        return step(*args, **options)

    optimizer.step = watched
    run._train_step()
    assert lengths == pytest.approx([1e-3], rel=1e-3)


def test_without_a_fall_the_rate_stays_after_the_warm_up():
    run = cpu_run(GAN)
    assert [run.rate(step) for step in (0, 4, 5, 19)] == pytest.approx([2e-4, 1e-3, 1e-3, 1e-3])


def test_a_fall_that_does_not_exist_is_refused():
    with pytest.raises(ValueError, match="fall must be 'cosine' or 'none'; got 'cliff'"):
        dataclasses.replace(GAN, fall="cliff")


def test_the_recipes_betas_and_decay_are_those_of_every_turns_optimizer():
    groups = [o.param_groups[0] for o in cpu_run(dataclasses.replace(GAN, weight_decay=0.05)).optimizers.values()]
    assert [(group["betas"], group["weight_decay"]) for group in groups] == [((0.5, 0.9), 0.05)] * 2


# On top of another model


def test_the_needed_model_is_loaded_frozen_and_not_stored_again(known, whole):
    run, needed = cpu_run(LATENTS), load_trained(known / "small-vae").model
    assert not any(p.requires_grad or p.grad is not None for p in run.raw.autoencoder.parameters())
    assert not run.raw.autoencoder.training
    list(run)
    for model in (run.raw, run.averaged, load_trained(whole["small-latents"]).model):
        for ours, theirs in zip(model.autoencoder.parameters(), needed.parameters(), strict=True):
            assert torch.equal(ours, theirs)
    folder = whole["small-latents"] / "step-000020"
    stored = load_file(folder / "model.safetensors")
    assert stored and not [name for name in stored if name.startswith("autoencoder")]
    raw = torch.load(folder / "training.pt", weights_only=True)["model"]
    assert raw.keys() == stored.keys()


def test_any_model_that_another_one_stands_on_is_frozen_in_it():
    given = trained.Trained(VAE, small_models.SmallVAE(), 20, Path())
    model = build(LATENTS, {"autoencoder": given})
    assert not model.autoencoder.training and not any(p.requires_grad for p in model.autoencoder.parameters())
    assert model.training and all(p.requires_grad for p in model.denoiser.parameters())


def test_another_autoencoder_than_the_one_it_was_trained_with_is_refused(known, whole, tmp_path, monkeypatch):
    monkeypatch.setattr(trained, "RUNS", tmp_path)
    monkeypatch.setitem(trained.MODELS, "small-vae", lambda: small_models.SmallVAE())
    other = dataclasses.replace(VAE, rate=2e-3)
    monkeypatch.setattr(trained, "recipe_named", {"small-vae": other}.get)
    list(cpu_run(other, tmp_path / "small-vae"))
    with pytest.raises(CheckpointError, match="was trained with another autoencoder than the one in .*small-vae"):
        load_trained(whole["small-latents"])
    shutil.copytree(whole["small-latents"], tmp_path / "run")
    with pytest.raises(CheckpointError, match="was trained with another autoencoder"):
        cpu_run(LATENTS, tmp_path / "run", resume=True)


def test_a_needed_model_that_was_not_trained_is_named_with_the_command(tmp_path, monkeypatch):
    monkeypatch.setattr(trained, "RUNS", tmp_path)
    with pytest.raises(ValueError, match="small-vae has not been trained here; train it first: course train small-vae"):
        cpu_run(LATENTS)


def test_a_condition_changes_the_images_and_guidance_more_so(whole):
    model = load_trained(whole["small-latents"]).model
    free, three, five = (generate(model, 4, cond=cond) for cond in (None, torch.full((4,), 3), torch.full((4,), 5)))
    assert not torch.equal(three, five) and not torch.equal(free, three)
    guided = generate(model, 4, cond=torch.full((4,), 3), guidance=4.0)
    assert (guided - free).norm() > (three - free).norm()


# Tied weights


def test_tied_weights_are_stored_once_and_still_tied_when_they_are_loaded(whole):
    assert set(load_file(whole["small-tied"] / "step-000020" / "model.safetensors")) == {
        "inward.weight", "inward.bias", "outward.bias",
    }  # fmt: skip
    model = load_trained(whole["small-tied"]).model
    assert model.outward.weight is model.inward.weight
    assert not torch.equal(model.inward.weight, build(TIED).inward.weight)


def test_only_what_is_the_same_in_place_and_form_is_tied():
    model = nn.Module()
    whole = torch.arange(4.0).reshape(2, 2)
    kept = {"whole": whole, "row": whole[0], "turned": whole.T, "none": torch.zeros(0), "nothing": torch.zeros(0)}
    for name, values in (kept | {"again": whole}).items():
        model.register_buffer(name, values)
    assert list(trained.own_weights(model, TIED)) == list(kept)


# Fitted in one go


@pytest.mark.parametrize("recipe", [GAUSSIAN, PLANE], ids=lambda recipe: recipe.name)
def test_a_model_without_steps_is_fitted_once_stored_and_found_again(tmp_path, recipe):
    (progress,) = cpu_run(recipe, tmp_path)
    assert progress.step == progress.steps == 0 and math.isfinite(progress.loss)
    x, model = load(recipe.data).train.x0.flatten(1), load_trained(tmp_path).model
    torch.testing.assert_close(model.mean, x.mean(0))
    assert [path.name for path in tmp_path.glob("step-*")] == ["step-000000"]
    again = cpu_run(recipe, tmp_path, resume=True)
    assert list(again) == [] and torch.equal(again.averaged.mean, model.mean)


def test_fitting_twice_gives_the_same_bytes(tmp_path):
    for name in ("a", "b"):
        train(GAUSSIAN, tmp_path / name, device="cpu")
    assert files_of(tmp_path / "a" / "step-000000") == files_of(tmp_path / "b" / "step-000000")


def test_a_fit_sees_all_images_the_labels_where_the_recipe_says_so_and_numbers_that_the_seed_decides(monkeypatch):
    seen = []

    def fit(self, x0, cond, generator):
        seen.append((x0, cond, torch.rand(4, generator=generator)))

    monkeypatch.setattr(small_models.FittedGaussian, "fit", fit)
    for seed, labels in ((0, True), (0, False), (1, False)):
        list(cpu_run(dataclasses.replace(GAUSSIAN, seed=seed, labels=labels)))
    train_split = load("digits").train
    (x0, label, a), (_, none, b), (_, _, c) = seen
    assert torch.equal(x0, train_split.x0) and torch.equal(label, train_split.label) and none is None
    assert torch.equal(a, b) and not torch.isclose(a, c).any()


def test_a_fit_that_is_not_finite_is_not_kept(tmp_path, monkeypatch):
    monkeypatch.setattr(small_models.FittedGaussian, "fit", lambda self, *_: self.mean.fill_(math.nan))
    with pytest.raises((TrainingDiverged, ValueError)):
        train(GAUSSIAN, tmp_path, device="cpu")
    assert not list(tmp_path.glob("step-*"))


# What the loop promises of the data


def test_only_training_images_are_seen(monkeypatch):
    run, digits = cpu_run(dataclasses.replace(VAE, batch=500, steps=4)), load("digits")
    seen, forward = [], run.raw.forward
    monkeypatch.setattr(run.raw, "forward", lambda x0, *a, **d: seen.append(x0) or forward(x0, *a, **d))
    list(run)
    rows = {tuple(row) for row in torch.cat(seen).flatten(1).tolist()}
    assert rows <= {tuple(row) for row in digits.train.x0.flatten(1).tolist()}
    assert len(rows) > 0.7 * len(digits.train)


def test_held_out_images_are_refused_with_their_mark_and_without_it():
    digits = load("digits")
    x0, label = digits.held_out.x0, digits.held_out.label
    hidden = Split(torch.cat([digits.train.x0[:9], x0[42:43]]), torch.cat([digits.train.label[:9], label[42:43]]))
    for bad, message in (
        (digits.held_out, "these 500 images are held out"),
        (Split(x0, label), "held-out images of 'digits' are among the training data"),
        (hidden, "held-out images of 'digits' are among the training data"),
    ):
        with pytest.raises(ValueError, match=message):
            cpu_run(VAE, data=bad)
    assert len(cpu_run(VAE, data=digits.train[:9]).data) == 9
    other = Split(torch.zeros(5, 1, 4, 4), torch.zeros(5, dtype=torch.long))
    with pytest.raises(ValueError, match=r"has the shape \(1, 8, 8\); got \(1, 4, 4\)"):
        cpu_run(VAE, data=other)


def test_every_step_sees_other_images_and_other_noise_and_neighbouring_seeds_share_nothing():
    def drawn(seed):
        run, seen = cpu_run(dataclasses.replace(VAE, seed=seed, steps=4, batch=64)), []
        forward = run.raw.forward
        run.raw.forward = lambda x0, cond, eps: seen.append((x0, eps)) or forward(x0, cond, eps)
        list(run)
        return seen

    steps = [*drawn(0), *drawn(1)]
    for i, (x0, eps) in enumerate(steps):
        for other_x0, other_eps in steps[:i]:
            assert not torch.equal(x0, other_x0) and not torch.isclose(eps, other_eps).any()


def test_what_a_model_draws_for_itself_as_dropout_does_is_new_at_each_step_and_the_same_in_each_run():
    def drawn():
        run, seen = cpu_run(dataclasses.replace(TIED, steps=4)), []
        forward = run.raw.forward
        run.raw.forward = lambda *args: seen.append(tuple(torch.rand(3).tolist())) or forward(*args)
        list(run)
        return seen

    assert len(set(drawn())) == 4 and drawn() == drawn()


def test_each_step_each_process_and_each_seed_has_dropout_of_its_own_apart_from_what_is_drawn():
    seeds = []
    for seed in (0, 1):
        run = cpu_run(dataclasses.replace(TIED, seed=seed))
        for _ in range(2):
            run._train_step()
            seeds.append(run.generator.initial_seed())
            for rank in (0, 1):
                with run._seeded_dropout(rank):
                    seeds.append(torch.initial_seed())
            run.step += 1
    assert len(set(seeds)) == 12


def test_labels_belong_to_their_images():
    digits, run, seen = load("digits").train, cpu_run(LATENTS), []
    forward = run.raw.forward
    run.raw.forward = lambda x0, cond, **draws: seen.append((x0, cond)) or forward(x0, cond, **draws)
    run._train_step()
    ((x0, label),) = seen
    for image, its in zip(x0, label, strict=True):
        assert its in digits.label[(digits.x0 == image).flatten(1).all(1)]


def test_a_gradient_longer_than_the_clip_is_shortened_to_it():
    run = cpu_run(dataclasses.replace(VAE, clip=1e-3, warmup=0))
    step, lengths = run.optimizers[""].optimizer.step, []

    def watched(*args, **options):
        lengths.append(torch.stack([p.grad.norm() for p in run.raw.parameters()]).norm().item())
        return step(*args, **options)

    run.optimizers[""].optimizer.step = watched
    run._train_step()
    assert lengths == pytest.approx([1e-3], rel=1e-3)


def test_a_card_says_by_a_fingerprint_which_images_were_seen(tmp_path):
    few = load("digits").train[:9]
    run = cpu_run(dataclasses.replace(VAE, steps=1), tmp_path, data=few)
    list(run)
    assert load_trained(tmp_path).card["data"] == fingerprint(few) != fingerprint(load("digits").train)


def test_a_row_of_tokens_is_a_label_too():
    x0 = load("digits").train.x0[:8]
    tokens = torch.arange(24).reshape(8, 3)
    run, seen = cpu_run(LATENTS, data=Split(x0, tokens)), []
    run.raw.forward = lambda x0, cond, **_: seen.append((x0, cond)) or run.raw.denoiser.net.layers[0].weight.sum()
    run._train_step()
    ((images, rows),) = seen
    for image, row in zip(images, rows, strict=True):
        assert row.tolist() in tokens[(x0 == image).flatten(1).all(1)].tolist()


def test_an_old_run_whose_recipe_lacks_a_new_field_is_resumed(whole, tmp_path):
    """A field with a default that came later changes no old recipe."""
    shutil.copytree(whole["small-vae"], tmp_path / "run")
    card = tmp_path / "run" / "step-000020" / "recipe.json"
    text = card.read_text(encoding="utf-8")
    for lines in ('    "needs": {},\n', '    "fall": "cosine",\n'):
        assert lines in text
        text = text.replace(lines, "")
    card.write_text(text, encoding="utf-8")
    seal(card.parent)
    assert cpu_run(VAE, tmp_path / "run", resume=True).step == 20


def test_a_training_state_that_would_run_code_is_refused(whole, tmp_path):
    """`training.pt` is read as tensors and numbers alone."""

    class Harm:
        def __reduce__(self):
            return (tmp_path.joinpath("harm").mkdir, ())

    shutil.copytree(whole["small-vae"], tmp_path / "run")
    folder = tmp_path / "run" / "step-000020"
    torch.save({"model": Harm()}, folder / "training.pt")
    seal(folder)
    with pytest.raises(CheckpointError, match="the training state in .*step-000020 can't be read"):
        cpu_run(VAE, tmp_path / "run", resume=True)
    assert not (tmp_path / "harm").exists()


def test_the_recipes_here_are_known_by_name():
    assert recipe_named("small-gan") is GAN
