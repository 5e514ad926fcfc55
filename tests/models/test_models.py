"""The protocol of what is trained: the images that it samples, the options that it takes, what it costs."""

import importlib
import itertools
import json
import re
from types import SimpleNamespace

import numpy as np
import pytest
import small_models
import torch
from torch.nn import functional as F

from course_lib.data import load
from course_lib.diffusion import (
    SAMPLERS,
    TARGETS,
    Clipped,
    Guided,
    NoiseSchedule,
    bound,
    bound_weight,
    fixed_variance,
    last,
)
from course_lib.metrics import cost, count_calls, table
from course_lib.models import MODELS, Classifier, generate, makes_images, options_of, parts_of, unet_denoiser
from course_lib.models.generation import FIRST_BLOCKS, blocks
from course_lib.nets import ABLATIONS, UNet
from course_lib.training import RECIPES, build, load_trained, recipe_named


@pytest.fixture(scope="module")
def digits():
    return load_trained("ddpm-digits").model


def g(seed):
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("name", ["ddpm-digits", "features-digits"])
def test_every_model_draws_what_its_loss_needs(name):
    recipe = recipe_named(name)
    model = build(recipe).eval()
    x0 = torch.rand(6, 1, 8, 8, generator=g(0)) * 2 - 1
    label = torch.arange(6) if recipe.labels else None
    draws = model.draw(tuple(x0.shape), g(1), torch.device("cpu"))
    assert all(len(values) == 6 for values in draws.values())
    losses = [sum(parts_of(model(x0, label, **draws)).values()) for _ in range(2)]
    assert losses[0].ndim == 0 and torch.equal(*losses)
    losses[0].backward()
    assert any(p.grad is not None for p in model.parameters())


def test_every_recipe_names_a_model_and_every_model_is_named_by_one():
    assert {recipe.model for recipe in RECIPES.values()} == set(MODELS)


def test_images_are_those_of_the_sampler_step_by_step(digits):
    x_T = torch.randn(FIRST_BLOCKS[0], 1, 8, 8, generator=g(3))
    by_hand = last(SAMPLERS["ddim"](Clipped(digits), x_T, digits.schedule.times(4))).clamp(-1, 1)
    assert torch.equal(generate(digits, 5, seed=3, steps=4), by_hand[:5])


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_an_image_is_the_same_however_many_are_made(digits, sampler):
    many = generate(digits, 70, seed=5, steps=4, sampler=sampler)
    for n in (1, 3, 16, 17, 33, 65):
        assert torch.equal(generate(digits, n, seed=5, steps=4, sampler=sampler), many[:n])


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_any_sampler_makes_images_and_the_same_seed_the_same_ones(digits, sampler):
    a, b, c = (generate(digits, 3, seed=seed, steps=6, sampler=sampler) for seed in (0, 0, 1))
    assert a.shape == (3, 1, 8, 8) and a.abs().max() <= 1
    assert torch.equal(a, b) and not torch.allclose(a, c)


def test_eta_0_and_1_of_either_sampler_are_ddim_and_ddpm(digits):
    made = {
        (s, eta): generate(digits, 3, steps=5, sampler=s, eta=eta) for s in ("ddim", "ddpm") for eta in (None, 0.0, 1.0)
    }
    assert torch.equal(made["ddim", None], made["ddpm", 0.0]) and torch.equal(made["ddpm", None], made["ddim", 1.0])
    assert not torch.equal(made["ddim", None], made["ddpm", None])


def test_images_are_made_in_whole_blocks_each_from_a_seed_of_its_own(digits):
    class Counting(torch.nn.Module):
        sizes = []

        def sample(self, n, generator, cond=None):
            self.sizes.append((n, None if cond is None else cond.tolist()))
            return torch.rand(n, 1, 8, 8, generator=generator)

    model = Counting()
    x0 = generate(model, 66, seed=1)
    assert model.sizes == [(16, None), (16, None), (32, None), (64, None)] and len(x0.unique(dim=0)) == 66
    assert not torch.isin(generate(model, 66, seed=2), x0).any()
    model.sizes.clear()
    generate(model, 18, cond=torch.arange(18))
    assert model.sizes == [(16, list(range(16))), (16, [16] + 15 * [17])]


@pytest.mark.parametrize("device", ["cpu", "cuda"])
@pytest.mark.parametrize("n", [1, 16, 17, 64, 65, 300, 2000])
def test_blocks_are_those_of_any_larger_number_and_just_enough(n, device):
    found, more = (list(blocks(number, torch.device(device))) for number in (n, 5000))
    assert found == more[: len(found)] and found[-1][0] < n <= sum(size for _, size in found)
    assert all(start + size == after for (start, size), (after, _) in itertools.pairwise(found))
    assert found[0] == ((0, 16) if device == "cpu" else (0, 256))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"n": 0}, "n must be a whole number of at least 1"),
        ({"n": 2.5}, r"n must be a whole number of at least 1; got 2\.5"),
        ({"n": True}, "n must be"),
        ({"n": "3"}, "n must be"),
        ({"n": 2**63}, "n must be"),
        ({"n": 2, "seed": -1}, "seed must be a whole number of at least 0; got -1"),
        ({"n": 2, "seed": 2**64}, "seed must be"),
        ({"n": 2, "seed": None}, "seed must be"),
        ({"n": 2, "sampler": "heun", "eta": 0.5}, "eta lies between ddim and ddpm; heun has none"),
        ({"n": 2, "sampler": "plms"}, "there is no sampler 'plms'; choose one of: ddim, ddpm, euler"),
        (
            {"n": 2, "cond": torch.arange(3)},
            r"cond must be a tensor with one entry for each of the 2 images; got \(3,\)",
        ),
        ({"n": 2, "cond": [1, 2]}, "cond must be a tensor .*got list"),
        ({"n": 2, "cond": torch.tensor(1)}, "cond must be a tensor"),
        ({"n": 2, "cond": torch.Generator()}, "cond must be a tensor .*got Generator"),
    ],
)
def test_what_cannot_be_made_is_said(digits, arguments, message):
    with pytest.raises(ValueError, match=message):
        generate(digits, **arguments)


def test_an_option_that_a_model_does_not_take_is_refused_with_those_it_does(digits):
    with pytest.raises(ValueError, match="takes no temperature; its options are: steps, sampler, eta, guidance"):
        generate(digits, 2, temperature=1.0)


def test_the_options_of_a_model_are_those_of_its_sample(digits):
    guidance = {"guidance": 1.0, "guide_from": 0.0, "guide_to": 1.0, "rescale": 0.0}
    assert options_of(digits) == {"steps": 50, "sampler": "ddim", "eta": None, **guidance}
    eye = load_trained("features-digits").model
    assert not makes_images(eye) and options_of(eye) == {}


def test_parts_are_named_by_the_loss_and_its_turn():
    one, two = torch.tensor(1.0), torch.tensor(2.0)
    assert parts_of(one) == {"loss": one} and parts_of(one, "critic") == {"critic": one}
    assert parts_of({"kl": one, "mse": two}) == {"kl": one, "mse": two}
    assert parts_of({"real": one}, "critic") == {"critic real": one}


def test_guidance_is_the_wrapper_of_that_name(digits):
    class Conditional(torch.nn.Module):
        def forward(self, x_t, t, cond=None):
            return digits.net(x_t, t) + (0 if cond is None else 0.1 * cond[:, None, None, None])

    model = build(recipe_named("ddpm-digits"))
    model.net, cond = Conditional(), torch.arange(float(FIRST_BLOCKS[0]))
    x_T = torch.randn(FIRST_BLOCKS[0], 1, 8, 8, generator=g(0))
    expected = last(SAMPLERS["ddim"](Clipped(Guided(model, 3.0)), x_T, model.schedule.times(3), cond)).clamp(-1, 1)
    assert torch.equal(generate(model, FIRST_BLOCKS[0], cond=cond, steps=3, guidance=3.0), expected)


@pytest.mark.parametrize(
    ("options", "calls"),
    [({"steps": 7}, 7), ({"steps": 7, "sampler": "heun"}, 13), ({"steps": 4, "sampler": "dpm-solver"}, 4)],
    ids=str,
)
def test_calls_are_counted_of_the_network_and_not_of_its_layers(digits, options, calls):
    assert count_calls(digits, **options) == calls
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in digits.modules())


def test_calls_of_models_of_one_pass_are_one_and_a_decoder_after_the_sampler_is_one_more():
    assert count_calls(small_models.SmallGAN()) == 1
    assert count_calls(small_models.SmallVAE()) == 1
    latents = small_models.SmallLatentDenoiser(small_models.SmallVAE())
    assert count_calls(latents, steps=5) == 5 + 1


def test_the_cost_says_weights_calls_and_seconds_and_on_what(digits):
    found = cost(digits, recipe_named("ddpm-digits"), steps=2)
    assert found.weights == 1_001_729 and found.calls == 2 and found.steps == 1500
    assert found.seconds > 0 and found.seconds_per_step > 0 and "thread(s)" in found.machine


def test_the_scoreboard_has_a_row_for_each_model_below_real_images():
    score = {"mean": 1.25, "spread": 0.05, "real": 1.0, "real_spread": 0.2}
    found = {
        "quality": {"over_seeds": score, "precision": score, "recall": score, "c2st": score | {"spread": None},
                    "copies": {"share": 0.012, "expected": 0.01}},
        "cost": {"weights": 1_234_567, "seconds_per_step": 0.5, "steps": 1200, "calls": 50, "seconds": 1.2345},
        "bits_per_dim": {"mean": 3.254}, "condition": {"accuracy": 0.9876},
    }  # fmt: skip
    plain = json.loads(json.dumps(found)) | {"bits_per_dim": None, "condition": None}
    head, real, *rows = table({"a": found, "longer-name": plain}).splitlines()
    assert len({len(line) for line in (head, real, *rows)}) == 1
    assert real.split("  ")[0] == "(real images)" and "1.00 ± 0.20" in real
    for said in ("1,234,567", "10 min", "50", "1.2", "1.25 ± 0.05", "1.2%", "3.25", "98.8%"):
        assert said in rows[0], said
    assert rows[1].startswith("longer-name") and "98.8%" not in rows[1]


def test_images_carry_no_gradients_even_of_a_model_that_is_still_trained():
    model = small_models.SmallVAE()
    assert all(p.requires_grad for p in model.parameters()) and not generate(model, 2).requires_grad


def test_the_bits_of_a_denoiser_are_its_bound_with_ddpms_beta_on_the_datas_grey_levels():
    net = {"channels": 1, "size": 8, "width": 8, "multipliers": [1, 2], "blocks": 1, "groups": 4}
    model = unet_denoiser(T=20, **net).eval()
    x0 = load("digits").held_out.x0[:3]
    with torch.no_grad():
        found = model.bits_per_dim(x0, 17, g(1))
        by_hand = bound(model, x0, 17, fixed_variance(model.schedule, "beta"), g(1)).bits_per_dim
    assert found.shape == (3,) and torch.equal(found, by_hand)


def test_a_classifier_sees_images_turned_by_12_degrees_scaled_and_shifted_by_a_tenth_at_most():
    """The maps act on coordinates from -1 to 1, of which 0.2 are a tenth of the image."""
    warp = Classifier(1, 8).draw((4000, 1, 8, 8), g(0), torch.device("cpu"))["warp"]
    turn, shift = warp[:, :, :2].double(), warp[:, :, 2]
    scale = torch.linalg.det(turn).sqrt()
    torch.testing.assert_close(turn @ turn.mT, scale[:, None, None] ** 2 * torch.eye(2).double(), rtol=0, atol=1e-6)
    angle = torch.atan2(turn[:, 1, 0], turn[:, 0, 0]).rad2deg()
    for values, low, high in ((angle, -12, 12), (scale, 0.9, 1.1), (shift, -0.2, 0.2)):
        margin = 0.01 * (high - low)
        assert low - 1e-6 <= values.min() < low + margin and high - margin < values.max() <= high + 1e-6
    together = torch.corrcoef(torch.stack([angle, scale, *shift.double().T]))
    assert (together - torch.eye(4)).abs().max() < 4.5 / 4000**0.5, "each is drawn on its own"


def test_each_column_of_the_scoreboard_shows_its_own_measure():
    def score(mean, real):
        return {"mean": mean, "spread": 0.01, "real": real, "real_spread": 0.02}

    quality = {"over_seeds": score(1.5, 1.0), "precision": score(0.7, 0.8), "recall": score(0.5, 0.6),
               "c2st": score(0.9, 0.4), "copies": {"share": 0.03, "expected": 0.01}}  # fmt: skip
    found = {
        "quality": quality, "bits_per_dim": {"mean": 3.25}, "condition": {"accuracy": 0.98},
        "cost": {"weights": 1_234, "seconds_per_step": 0.5, "steps": 1200, "calls": 50, "seconds": 2.5},
    }  # fmt: skip
    head, real, row = (re.split(r"\s{2,}", line.strip()) for line in table({"mine": found}).splitlines())
    assert dict(zip(head, row, strict=True)) == {
        "model": "mine", "weights": "1,234", "training": "10 min", "calls": "50", "s / 64": "2.5",
        "FD ratio": "1.50 ± 0.01", "precision": "0.70 ± 0.01", "recall": "0.50 ± 0.01", "told apart": "0.90 ± 0.01",
        "near copies": "3.0%", "bits / dim": "3.25", "as asked": "98.0%",
    }  # fmt: skip
    assert real == ["(real images)", "1.00 ± 0.02", "0.80 ± 0.02", "0.60 ± 0.02", "0.40 ± 0.02", "1.0%"]


def test_a_step_is_timed_without_the_first_in_which_the_machine_gets_ready(monkeypatch, digits):
    costs, now, steps = importlib.import_module("course_lib.metrics.costs"), [0.0], []

    class Ticking:
        raw = digits

        def __init__(self, recipe, device, every):
            assert (device, every) == ("cpu", 1)
            self.steps = recipe.steps

        def __iter__(self):
            for step in range(1, self.steps + 1):
                now[0] += 100.0 if step == 1 else 0.5
                steps.append(step)
                yield SimpleNamespace(step=step)

    monkeypatch.setattr(costs, "Run", Ticking)
    monkeypatch.setattr(costs, "time", SimpleNamespace(perf_counter=lambda: now[0]))
    found = cost(digits, recipe_named("ddpm-digits"), steps=1)
    assert found.seconds_per_step == 0.5 and len(steps) == 1 + costs.STEPS


def test_the_seconds_are_those_of_64_images_and_of_a_whole_fit(monkeypatch):
    """By a clock that moves by one for each image, and by a thousand for the fit."""
    costs, now = importlib.import_module("course_lib.metrics.costs"), [0]

    class Counting(torch.nn.Linear):
        def sample(self, n, generator, cond=None):
            now[0] += n
            return self(torch.zeros(n, 1))

    def run(recipe, device):
        now[0] += 1000
        yield SimpleNamespace(step=0)

    monkeypatch.setattr(costs, "Run", run)
    monkeypatch.setattr(costs, "time", SimpleNamespace(perf_counter=lambda: now[0]))
    found = cost(Counting(1, 1), small_models.GAUSSIAN)
    assert (found.seconds, found.seconds_per_step, found.steps) == (64, 1000, 0)


SMALL = {"channels": 1, "size": 8, "width": 8, "multipliers": [1, 2], "blocks": 1, "groups": 4}


@pytest.mark.parametrize("schedule", ["linear", "cosine"])
@pytest.mark.parametrize("target", TARGETS)
def test_a_denoiser_has_the_schedule_the_target_and_the_weight_that_its_options_name(schedule, target):
    process = getattr(NoiseSchedule, schedule)(30)
    simple, weighted = (unet_denoiser(schedule, target, 30, weight, **SMALL) for weight in ("simple", "bound"))
    for model in (simple, weighted):
        assert torch.equal(model.schedule.alpha_bar, process.alpha_bar) and model.target is TARGETS[target]
        assert model.shape == (1, 8, 8) and type(model.net) is UNet
    assert simple.weight is None
    torch.testing.assert_close(weighted.weight.double(), bound_weight(process, TARGETS[target]).double())


@pytest.mark.parametrize("part", ABLATIONS)
def test_a_denoiser_can_lack_a_part(part):
    net, whole = (unet_denoiser(without=without, **SMALL).net for without in (part, None))
    assert str(net) != str(whole) or sum(map(torch.numel, net.parameters())) != sum(
        map(torch.numel, whole.parameters())
    )


def test_a_classifier_learns_from_the_warped_image_whose_edge_goes_on_outside():
    model, label = Classifier(1, 8).eval(), torch.arange(4)
    x0 = 2 * torch.rand(4, 1, 8, 8, generator=g(0)) - 1
    mirror = torch.tensor([[-1.0, 0, 0], [0, 1, 0]]).expand(4, 2, 3)
    torch.testing.assert_close(model(x0, label, warp=mirror), F.cross_entropy(model.logits(x0.flip(3)), label))
    aside = torch.tensor([[1.0, 0, 0.75], [0, 1, 0]]).expand(4, 2, 3)  # by three pixels
    seen = torch.cat([x0[..., 3:], x0[..., 7:].expand(4, 1, 8, 3)], dim=3)
    torch.testing.assert_close(model(x0, label, warp=aside), F.cross_entropy(model.logits(seen), label))


@pytest.mark.parametrize(
    "model", ["ddpm-digits", None, unet_denoiser, Classifier], ids=["a name", "none", "a builder", "a class"]
)
def test_images_come_from_a_model_and_not_from_its_name_or_class(model):
    with pytest.raises(ValueError, match="model must be a model, such as `load_trained.name..model`; got"):
        generate(model, 3)


def test_numpys_whole_numbers_are_seeds_and_numbers_of_images(digits):
    found = generate(digits, np.int64(2), np.int64(7), steps=1)
    assert torch.equal(found, generate(digits, 2, 7, steps=1))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n": 2.5}, "n must be a whole number of at least 1; got 2.5"),
        ({"generator": None}, "generator must be a torch.Generator; got None: make one by"),
        ({"generator": 0}, "generator must be a torch.Generator; got 0: make one by"),
        ({"sampler": ["ddim"]}, r"there is no sampler \['ddim'\]; choose one of: ddim"),
        ({"guidance": True}, "guidance must be a finite number; got True"),
        ({"guidance": torch.ones(3)}, "guidance must be a finite number; got a tensor"),
    ],
)
def test_a_sample_of_bad_arguments_is_refused(digits, options, message):
    with pytest.raises(ValueError, match=message):
        digits.sample(**({"n": 2, "generator": g(0), "steps": 1} | options))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"size": 0}, "size must be a whole number of at least 1; got 0"),
        ({"size": 8.5}, "size must be a whole number of at least 1; got 8.5"),
        ({"channels": -1}, "channels must be a whole number"),
        ({"classes": 0}, "classes must be a whole number of at least 1; got 0"),
        ({"width": 10}, "width must be a multiple of groups = 8; got 10"),
    ],
)
def test_a_classifier_of_impossible_sizes_is_refused(options, message):
    with pytest.raises(ValueError, match=message):
        Classifier(**({"channels": 1, "size": 8} | options))


@pytest.mark.parametrize("side", [7, 28])
def test_a_classifier_reads_no_images_of_another_size(side):
    """7 x 7 come out of the convolutions as 8 x 8 do, and would be read as something."""
    with pytest.raises(ValueError, match=r"takes images of shape \(batch, \*\(1, 8, 8\)\); got"):
        Classifier(1, 8).logits(torch.zeros(2, 1, side, side))
