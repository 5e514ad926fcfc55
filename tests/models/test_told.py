"""Models of coloured pictures: the autoencoder of images, diffusion of its codes, and models that are told what to draw."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from course_lib.data import Split, load
from course_lib.diffusion import Guided
from course_lib.models import (
    ImageAutoencoder,
    NoisyClassifier,
    Reader,
    generate,
    latent_denoiser,
    perceptual_distance,
)
from course_lib.models.denoisers import unet_denoiser
from course_lib.training import RECIPES, Recipe, Run, load_trained, trained

X = torch.rand(5, 3, 16, 16, generator=torch.Generator().manual_seed(0)) * 2 - 1
CPU = torch.device("cpu")
NET = {"channels": 4, "size": 4, "width": 16, "multipliers": (1,), "blocks": 1, "groups": 8}
DIGITS = {"channels": 1, "size": 8, "width": 16, "multipliers": (1,), "blocks": 1}


def rng(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.fixture(scope="module")
def eye():
    torch.manual_seed(0)
    return Reader((3, 16, 16), (3, 2), width=8, features=16).eval().requires_grad_(False)


@pytest.fixture(scope="module")
def autoencoder(eye):
    torch.manual_seed(1)
    return ImageAutoencoder(eye, (3, 16, 16), width=16).eval()


# The autoencoder


def test_a_code_is_an_image_of_a_quarter_of_the_size(autoencoder):
    z = autoencoder.encode(X)
    assert z.shape == (5, 4, 4, 4) and autoencoder.latent == (4, 4, 4)
    assert autoencoder.decode(z).shape == X.shape


def test_the_coders_loss_is_its_four_parts_by_hand(autoencoder, eye):
    draws = autoencoder.draw(X.shape, rng(), CPU)
    parts = autoencoder(X, **draws, turn="coder")
    mu, logvar = autoencoder.coder.encoder(X).chunk(2, dim=1)
    made = autoencoder.decode(mu + logvar.mul(0.5).exp() * draws["eps"])
    kl = 0.5 * (mu**2 + logvar.exp() - 1 - logvar)
    expected = {
        "squares": (made - X).square().mean(),
        "kl": autoencoder.kl * kl.sum((1, 2, 3)).mean() / X[0].numel(),
        "perceptual": 0.1 * perceptual_distance(eye, made, X).mean(),
        "real": 0.003 * -F.logsigmoid(autoencoder.critic(made)).mean(),
    }
    assert parts.keys() == expected.keys()
    for name, value in expected.items():
        torch.testing.assert_close(parts[name], value, rtol=1e-4, atol=1e-7, msg=name)


def test_the_critics_loss_is_that_of_lesson_05_and_moves_the_critic_alone(autoencoder):
    draws = autoencoder.draw(X.shape, rng(), CPU)
    parts = autoencoder(X, **draws, turn="critic")
    mu, logvar = autoencoder.coder.encoder(X).chunk(2, dim=1)
    made = autoencoder.decode(mu + logvar.mul(0.5).exp() * draws["eps"])
    torch.testing.assert_close(parts["real"], -F.logsigmoid(autoencoder.critic(X)).mean())
    torch.testing.assert_close(parts["fake"], -F.logsigmoid(-autoencoder.critic(made)).mean())
    sum(parts.values()).backward()
    assert all(p.grad is None for p in autoencoder.coder.parameters())
    assert all(p.grad is not None for p in autoencoder.critic.parameters())
    autoencoder.zero_grad()


def test_a_part_with_a_weight_of_zero_is_left_out(eye):
    plain = ImageAutoencoder(eye, (3, 16, 16), width=16, perceptual=0.0, adversarial=0.0)
    assert plain.turns == ("coder",) and not hasattr(plain, "critic")
    assert plain(X, **plain.draw(X.shape, rng(), CPU)).keys() == {"squares", "kl"}
    with pytest.raises(ValueError, match="turn"):
        plain(X, turn="critic")


def test_a_size_that_cannot_be_halved_twice_is_refused(eye):
    with pytest.raises(ValueError, match="multiple of 4"):
        ImageAutoencoder(eye, (3, 10, 10))


def test_the_perceptual_distance_is_none_of_a_copy_and_does_not_depend_on_the_order(eye):
    a, b = X, X.flip(0)
    assert perceptual_distance(eye, a, a).abs().max() < 1e-6
    torch.testing.assert_close(perceptual_distance(eye, a, b), perceptual_distance(eye, b, a))


def test_the_perceptual_distance_sees_directions_and_no_lengths():
    class Scaled(nn.Module):
        def __init__(self, factor):
            super().__init__()
            self.factor = factor

        def maps(self, x):
            return [self.factor * x, x[:, :2] + 3]

    one, other = (perceptual_distance(Scaled(factor), X, X.flip(1)) for factor in (1.0, 50.0))
    torch.testing.assert_close(one, other)


def test_the_perceptual_distance_of_opposite_vectors_is_four():
    class Same(nn.Module):
        def maps(self, x):
            return [x]

    torch.testing.assert_close(perceptual_distance(Same(), X, -X), torch.full((5,), 4.0))


# Diffusion of codes


@pytest.fixture(scope="module")
def latent(autoencoder):
    torch.manual_seed(2)
    return latent_denoiser(autoencoder, **NET).eval()


def test_prepared_codes_have_a_mean_of_zero_and_a_variance_of_one_per_channel(latent, autoencoder):
    x0 = torch.rand(300, 3, 16, 16, generator=rng(3)) * 2 - 1
    z = latent.prepare(x0)
    torch.testing.assert_close(z.mean((0, 2, 3)), torch.zeros(4), atol=1e-5, rtol=0)
    torch.testing.assert_close(z.std((0, 2, 3)), torch.ones(4), atol=1e-4, rtol=0)
    torch.testing.assert_close(latent.encode(x0[:7]), z[:7], atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(
        latent.picture(z[:7]), autoencoder.decode(autoencoder.encode(x0[:7])).clamp(-1, 1), atol=1e-5, rtol=1e-4
    )


def test_what_is_sampled_is_a_picture(latent):
    x0 = generate(latent, 3, steps=3)
    assert x0.shape == (3, 3, 16, 16) and x0.abs().max() <= 1


def test_a_latent_model_has_no_bits_for_pixels(latent):
    assert not hasattr(latent, "bits_per_dim")


def test_codes_of_another_shape_than_the_network_are_refused(autoencoder):
    with pytest.raises(ValueError, match=r"\(4, 4, 4\)"):
        latent_denoiser(autoencoder, **NET | {"size": 8})


def test_the_loss_refuses_pictures_where_it_wants_codes(latent):
    with pytest.raises(ValueError, match="x_t of shape"):
        latent(X)


# Told what to draw


@pytest.fixture(scope="module")
def told():
    torch.manual_seed(3)
    model = unet_denoiser(condition="class", classes=10, drop=0.3, **DIGITS)
    with torch.no_grad():
        for weight in model.parameters():
            weight += 0.05 * torch.randn_like(weight)
    return model.eval()


def test_a_dropped_condition_is_none_at_all(told):
    x0, cond = load("digits").train.x0[:6], load("digits").train.label[:6]
    draws = told.draw(x0.shape, rng(), CPU)
    draws["u"][:, 0] = torch.tensor([0.0, 0.29, 0.31, 0.9, 0.1, 0.5])
    replaced = torch.where(draws["u"][:, 0] < 0.3, 10, cond)
    torch.testing.assert_close(
        told(x0, cond, **draws), told(x0, replaced, **{k: v for k, v in draws.items() if k != "u"})
    )
    assert not torch.allclose(told(x0, cond, **draws), told(x0, cond, t=draws["t"], eps=draws["eps"]))


def test_so_many_conditions_are_dropped_as_was_asked_for(told):
    u = told.draw((20_000, 1, 8, 8), rng(), CPU)["u"]
    share = (u[:, 0] < told.drop).double().mean().item()
    assert share == pytest.approx(0.3, abs=5 * (0.21 / 20_000) ** 0.5)


def test_a_model_that_drops_nothing_draws_what_it_always_drew():
    assert unet_denoiser(**DIGITS).draw((4, 1, 8, 8), rng(), CPU).keys() == {"t", "eps"}


def test_of_several_captions_a_step_takes_one_and_each_as_often():
    model = unet_denoiser(condition="text", words=9, length=3, text=16, drop=0.1, **DIGITS)
    heard = []
    model.net.forward = lambda x_t, t, cond: heard.append(cond) or torch.zeros_like(x_t)
    captions = torch.tensor([[[i, 0, 0] for i in (1, 2, 3, 4)]] * 4000)
    x0 = torch.zeros(4000, 1, 8, 8)
    model(x0, captions, **model.draw(x0.shape, rng(), CPU))
    shares = torch.bincount(heard[0][:, 0], minlength=5) / 4000
    torch.testing.assert_close(shares, torch.tensor([0.1, *[0.225] * 4]), atol=0.03, rtol=0)


def test_guided_sampling_asks_with_and_without_the_condition_in_one_call(told):
    calls = []
    handle = told.net.register_forward_hook(lambda net, given, out: calls.append(given[2]))
    told.sample(2, rng(), torch.tensor([3, 7]), steps=2, guidance=2.0)
    handle.remove()
    assert [call.tolist() for call in calls] == [[3, 7, 10, 10]] * 2


def test_the_options_of_guidance_reach_it(told):
    cond = torch.tensor([3, 7])
    plain, inside, rescaled = (
        told.sample(2, rng(), cond, steps=4, **options)
        for options in ({}, {"guidance": 3.0, "guide_from": 0.9, "guide_to": 1.0}, {"guidance": 3.0, "rescale": 1.0})
    )
    always = told.sample(2, rng(), cond, steps=4, guidance=3.0)
    assert len({tuple(x.flatten().tolist()) for x in (plain, inside, rescaled, always)}) == 4
    assert isinstance(Guided(told, 3.0), Guided)


# The classifier of noisy images, and the reader


def test_the_noisy_classifiers_loss_is_minus_its_log_probability():
    torch.manual_seed(4)
    model = NoisyClassifier(1, 8, 10, width=8).eval()
    x0, cond = load("digits").train.x0[:6], load("digits").train.label[:6]
    draws = model.draw(x0.shape, rng(), CPU)
    x_t = model.schedule.q_sample(x0, draws["t"], draws["eps"])
    log_p = torch.stack([model.log_prob(x_t, draws["t"], torch.full((6,), k)) for k in range(10)], 1)
    torch.testing.assert_close(log_p.exp().sum(1), torch.ones(6))
    torch.testing.assert_close(model(x0, cond, **draws), -log_p.gather(1, cond[:, None]).mean())


def test_a_reader_is_not_asked_for_what_is_not_there():
    torch.manual_seed(5)
    reader = Reader((3, 16, 16), (3, 2), width=8, features=16).eval()
    both = torch.tensor([[1, 1], [2, -1]])
    one = reader(X[:2], both)
    logits = reader.logits(X[:2])
    by_hand = (F.cross_entropy(logits[0], both[:, 0]) + F.cross_entropy(logits[1][:1], both[:1, 1])) / 2
    torch.testing.assert_close(one, by_hand)


# In the loop: codes are prepared once, and a finished model is stored in half precision


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """A small autoencoder and a small model of its codes, registered and trained in a folder of their own."""
    runs = tmp_path_factory.mktemp("runs")
    coder = Recipe("small-coder", "pictures", "image-autoencoder", {"shape": [3, 32, 32], "width": 8, "adversarial": 0.0, "perceptual": 0.0, "eye": None},
                   steps=2, batch=4)  # fmt: skip
    codes = Recipe("small-codes", "emoji", "latent-denoiser", NET | {"size": 8, "multipliers": [1], "condition": "text", "words": 1769, "length": 12, "text": 16, "drop": 0.1},
                   labels=True, needs={"autoencoder": "small-coder"}, steps=6, batch=4, half=True)  # fmt: skip
    RECIPES.update({recipe.name: recipe for recipe in (coder, codes)})
    emoji = load("emoji").train
    few = Split(emoji.x0[:40], emoji.label[:40])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(trained, "RUNS", runs)
        pictures = load("pictures").train
        list(Run(coder, runs / "small-coder", "cpu", data=Split(pictures.x0[:40], pictures.label[:40])))
        whole = Run(codes, runs / "whole", "cpu", data=few, every=1)
        list(whole)
        yield runs, codes, few, whole
    for name in ("small-coder", "small-codes"):
        del RECIPES[name]


def test_a_run_trains_on_prepared_codes(small):
    _, _, few, run = small
    assert run.x0.shape == (40, 4, 8, 8)
    torch.testing.assert_close(run.x0, run.averaged.encode(few.x0), atol=1e-4, rtol=1e-3)


def test_a_stopped_and_resumed_run_of_codes_equals_an_uninterrupted_one(small):
    runs, codes, few, whole = small
    run = Run(codes, runs / "parts", "cpu", data=few, every=1)
    for progress in run:
        if progress.step == 3:
            run.save()
            break
    again = Run(codes, runs / "parts", "cpu", resume=True, data=few)
    list(again)
    for name in ("model.safetensors", "training.pt"):
        paths = [runs / folder / "step-000006" / name for folder in ("whole", "parts")]
        assert paths[0].read_bytes() == paths[1].read_bytes(), name


def test_a_finished_model_is_stored_in_half_precision_and_an_unfinished_one_is_not(small):
    runs, *_ = small
    sizes = [(runs / "parts" / step / "model.safetensors").stat().st_size for step in ("step-000003", "step-000006")]
    assert 0.45 < sizes[1] / sizes[0] < 0.6


def test_a_model_in_half_precision_draws_nearly_what_it_drew(small):
    runs, _, few, run = small
    stored = load_trained(runs / "whole")
    assert all(value.dtype != torch.float16 for value in stored.model.state_dict().values())
    cond = few.label[:2, 0]
    here, there = (generate(model.eval(), 2, cond=cond, steps=3) for model in (run.averaged, stored.model))
    torch.testing.assert_close(here, there, atol=0.02, rtol=0)
