"""Variational autoencoders and their decoders, against enumeration, quadrature, PyTorch's distributions and exact models."""

import itertools
import math

import pytest
import torch
from torch import nn
from torch.distributions import MultivariateNormal, Normal, kl_divergence

from course_lib.data import load, to_indices
from course_lib.metrics import condition_accuracy
from course_lib.models import VAE, MarkovVAE, generate
from course_lib.models.decoders import DECODERS, Bernoulli, binarized
from course_lib.training import load_trained

SHAPE = (1, 8, 8)


def g(seed=0):
    return torch.Generator().manual_seed(seed)


def levels_of(n):
    return torch.linspace(-1, 1, n)


# Decoders


def decoder(kind, levels=5):
    return DECODERS[kind](2 if kind == "bernoulli" else levels)


@pytest.mark.parametrize("kind", DECODERS)
@pytest.mark.parametrize("seed", range(3))
def test_a_decoder_gives_all_images_of_two_pixels_a_probability_of_1_together(kind, seed):
    pixel = decoder(kind)
    x0 = torch.cartesian_prod(*[levels_of(pixel.levels)] * 2)
    answer = 2 * torch.randn(1, 2 * pixel.numbers, generator=g(seed))
    total = pixel.log_prob(answer.expand(len(x0), -1), x0).double().exp().sum()
    assert total.item() == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("kind", ["bernoulli", "categorical"])
def test_the_mean_of_a_decoder_is_the_expectation_over_its_levels(kind):
    pixel = decoder(kind)
    answer = torch.randn(3, pixel.numbers, generator=g(1))
    x0 = levels_of(pixel.levels)[:, None]
    chance = torch.stack([pixel.log_prob(row.expand(len(x0), -1), x0).exp() for row in answer])
    torch.testing.assert_close(pixel.mean(answer)[:, 0], chance @ x0[:, 0], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("kind", DECODERS)
def test_a_decoder_draws_each_grey_value_as_often_as_it_says(kind):
    pixel, n = decoder(kind), 40_000
    answer = torch.randn(1, pixel.numbers, generator=g(2))
    x0 = levels_of(pixel.levels)[:, None]
    chance = pixel.log_prob(answer.expand(len(x0), -1), x0).double().exp()
    drawn = pixel.draw(answer.expand(n, -1), g(3))
    assert torch.equal(drawn, levels_of(pixel.levels)[to_indices(drawn[:, None, None], pixel.levels)[:, 0, 0]])
    index = to_indices(drawn[:, None, None], pixel.levels).flatten()
    share = torch.bincount(index, minlength=pixel.levels) / n
    assert ((share - chance).abs() < 4.5 * (chance * (1 - chance) / n).sqrt() + 1e-9).all()


def test_a_bernoulli_decoder_agrees_with_pytorch():
    answer, x0 = torch.randn(5, 7, generator=g(4)), torch.randint(2, (5, 7), generator=g(5)) * 2.0 - 1
    expected = torch.distributions.Bernoulli(logits=answer).log_prob((x0 + 1) / 2).sum(1)
    torch.testing.assert_close(Bernoulli(2).log_prob(answer, x0), expected)


def test_a_bernoulli_decoder_refuses_more_than_two_levels():
    with pytest.raises(ValueError, match="levels must be 2; got 17"):
        VAE(SHAPE, 17, decoder="bernoulli")


def test_binarized_images_are_white_as_often_as_their_grey_value_says():
    x0 = torch.tensor([-1.0, -0.5, 0.2, 1.0]).expand(50_000, 4)
    white = (binarized(x0, torch.rand(x0.shape, generator=g())) > 0).double().mean(0)
    chance = (x0[0].double() + 1) / 2
    assert ((white - chance).abs() <= 4.5 * (chance * (1 - chance) / 50_000).sqrt()).all()


# The VAE


@pytest.fixture(scope="module", name="vae")
def _vae():
    torch.manual_seed(0)
    return VAE(SHAPE, 17, k=3, width=16)


@pytest.fixture(scope="module", name="digits")
def _digits():
    return load("digits")


def test_the_loss_of_a_vae_is_the_reconstruction_at_z_and_pytorchs_kl(vae, digits):
    x0, eps = digits.train.x0[:6], torch.randn(6, 3, generator=g(1))
    parts = vae(x0, eps=eps)
    mu, logvar = vae.encode(x0)
    q = Normal(mu, (0.5 * logvar).exp())
    expected = kl_divergence(q, Normal(torch.zeros(3), torch.ones(3))).sum(1).mean()
    torch.testing.assert_close(parts["kl"], expected)
    z = q.mean + q.stddev * eps
    torch.testing.assert_close(parts["reconstruction"], -vae.log_likelihood(x0, z).mean())


def exact_vae(d=3, levels=20_001):
    """A linear VAE whose encoder is its true posterior; its grey levels are so fine that masses are densities."""
    W, b, sigma = torch.tensor([0.12, -0.07, 0.1]), torch.tensor([0.05, -0.1, 0.0]), 0.06
    model = VAE((1, 1, d), levels, k=1, width=4)
    precision = 1 + W @ W / sigma**2
    model.decoder, model.encoder = nn.Linear(1, d), nn.Linear(d, 2)
    with torch.no_grad():
        model.decoder.weight.copy_(W[:, None])
        model.decoder.bias.copy_(b)
        model.pixel.log_sigma.fill_(math.log(sigma))
        model.encoder.weight.zero_()
        model.encoder.weight[0] = W / sigma**2 / precision
        model.encoder.bias.copy_(torch.stack([-(W @ b) / sigma**2 / precision, -precision.log()]))
    evidence = MultivariateNormal(b.double(), torch.outer(W, W).double() + sigma**2 * torch.eye(d).double())
    return model, evidence, d * math.log(2 / (levels - 1))


def test_on_linear_gaussian_data_the_bound_of_the_true_posterior_is_the_log_likelihood_for_every_draw():
    model, evidence, log_bin = exact_vae()
    x0 = (0.1 * torch.randn(8, 3, generator=g(2))).clamp(-0.9, 0.9)
    grid = (x0 * 10_000).round() / 10_000
    with torch.no_grad():
        found = model.log_prob(grid.view(8, 1, 1, 3), g(3), draws=1)
        many = model.log_prob(grid.view(8, 1, 1, 3), g(4), draws=7)
    expected = evidence.log_prob(grid.double()) + log_bin
    torch.testing.assert_close(found.double(), expected, atol=2e-3, rtol=0)
    torch.testing.assert_close(many.double(), expected, atol=2e-3, rtol=0)


def test_with_a_worse_encoder_the_bound_lies_below_by_the_kl_and_rises_with_the_draws():
    model, evidence, log_bin = exact_vae()
    with torch.no_grad():
        model.encoder.bias[1] += 1.0  # a variance e times too large
    x0 = torch.tensor([0.1, -0.1, 0.05]).expand(20_000, 3).reshape(-1, 1, 1, 3)
    truth = evidence.log_prob(x0[0].flatten().double()).item() + log_bin
    with torch.no_grad():
        bounds = [model.log_prob(x0, g(5), draws).double() for draws in (1, 4, 16)]
    gap = 0.5 * (math.e - 1 - 1)  # the KL of N(m, e v) from N(m, v)
    error = bounds[0].std() / math.sqrt(20_000)
    assert abs(truth - bounds[0].mean() - gap) < 4 * error
    means = [bound.mean().item() for bound in bounds]
    assert means[0] < means[1] < means[2] < truth


@pytest.mark.parametrize("decoder", ["bernoulli", "gaussian", "categorical"])
def test_importance_weights_find_the_probability_of_every_image_of_a_tiny_space(decoder):
    torch.manual_seed(1)
    model = VAE((1, 1, 4), 2, k=1, width=8, decoder=decoder)
    nn.init.normal_(model.decoder[-1].weight)
    x0 = torch.tensor(list(itertools.product((-1.0, 1.0), repeat=4))).view(-1, 1, 1, 4)
    z = torch.linspace(-7, 7, 2001)[:, None]
    with torch.no_grad():
        weight = Normal(0.0, 1.0).log_prob(z)[:, 0].exp() * (z[1] - z[0])
        exact = torch.stack([weight @ model.log_likelihood(one.expand(2001, 1, 1, 4), z).exp() for one in x0])
        found = model.log_prob(x0, g(6), draws=3000)
    assert exact.sum().item() == pytest.approx(1, abs=1e-4)
    torch.testing.assert_close(found.exp(), exact, rtol=0.1, atol=1e-3)


def test_the_bits_of_a_conditional_vae_sum_over_its_classes(digits):
    torch.manual_seed(2)
    model, x0 = VAE(SHAPE, 17, k=2, width=8, classes=3), digits.train.x0[:4]
    with torch.no_grad():
        bits = model.bits_per_dim(x0, 17, g(7))
        generator = g(7)
        each = [model.log_prob(x0, generator, 64, torch.full((4,), y)).double() for y in range(3)]
    top = torch.stack(each).amax(0)
    nats = top + (sum((log_p - top).exp() for log_p in each) / 3).log()
    torch.testing.assert_close(bits.double(), -nats / math.log(2) / 64, rtol=1e-4, atol=1e-5)


def test_beta_weighs_the_kl_and_free_bits_are_free(digits):
    torch.manual_seed(3)
    plain = VAE(SHAPE, 17, k=4, width=8)
    x0, eps = digits.train.x0[:9], torch.randn(9, 4, generator=g())
    base = plain(x0, eps=eps)
    plain.beta = 3.0
    torch.testing.assert_close(plain(x0, eps=eps)["kl"], 3 * base["kl"])
    plain.beta, plain.free_bits = 1.0, 0.05
    mu, logvar = plain.encode(x0)
    each = kl_divergence(Normal(mu, (0.5 * logvar).exp()), Normal(0.0, 1.0)).mean(0)
    torch.testing.assert_close(plain(x0, eps=eps)["kl"], each.clamp(min=0.05).sum())


@pytest.mark.parametrize("cond", [None, torch.zeros(3), torch.zeros(2, dtype=torch.long), [1, 2, 3]])
def test_a_conditional_vae_without_a_class_for_each_image_says_what_it_needs(cond, digits):
    model = VAE(SHAPE, 17, classes=10)
    with pytest.raises(ValueError, match=r"cond must be whole numbers in 0 … 9, \(3,\); got"):
        model.encode(digits.train.x0[:3], cond)


def test_samples_are_means_in_range_or_draws_on_the_levels(vae):
    means, drawn = generate(vae, 20), generate(vae, 20, drawn=True)
    assert means.shape == drawn.shape == (20, *SHAPE) and means.abs().max() <= 1
    assert torch.equal(drawn, levels_of(17)[to_indices(drawn, 17)])
    assert not torch.equal(means, levels_of(17)[to_indices(means, 17)])


def test_the_class_alone_changes_a_conditional_sample():
    torch.manual_seed(4)
    model = VAE(SHAPE, 17, k=2, width=8, classes=10)
    threes, eights = (generate(model, 4, cond=torch.full((4,), y)) for y in (3, 8))
    assert not torch.allclose(threes, eights)


def test_the_shipped_conditional_vae_draws_what_it_is_asked_for_and_classifies_unseen_digits(digits):
    model = load_trained("cvae-digits").model
    label = torch.arange(500) % 10
    assert condition_accuracy(generate(model, 500, cond=label), label, "digits").accuracy > 0.95
    x0, generator = digits.held_out.x0, g()
    log_p = torch.stack([model.log_prob(x0, generator, 8, torch.full((500,), y)) for y in range(10)])
    assert (log_p.argmax(0) == digits.held_out.label).double().mean() > 0.95


def test_the_shipped_vae_of_mnist_reads_its_own_black_and_white_images():
    model = load_trained("vae-mnist").model
    assert (model.k, model.levels, model.encoder[0].weight.shape, model.decoder[-1].bias.shape) == (
        50,
        2,
        (200, 784),
        (784,),
    )
    x0 = generate(model, 16, drawn=True)
    assert set(x0.unique().tolist()) == {-1.0, 1.0}
    with torch.no_grad():
        one, many = (model.log_prob(x0, g(), draws).mean() for draws in (1, 100))
    assert -140 < one < many < -70


# The chain


def test_a_chain_of_one_latent_is_a_vae(digits):
    torch.manual_seed(5)
    vae, chain = VAE(SHAPE, 17, k=3, width=8), MarkovVAE(SHAPE, 17, sizes=(3,), width=8)
    chain.up[0].load_state_dict(vae.encoder.state_dict())
    chain.decoder.load_state_dict(vae.decoder.state_dict())
    x0, eps = digits.train.x0[:500], torch.randn(500, 3, generator=g())
    with torch.no_grad():
        parts, expected = chain.parts(x0, eps), vae(x0, eps=eps)
        torch.testing.assert_close(parts["reconstruction"].mean(), expected["reconstruction"])
        torch.testing.assert_close(chain.log_prob(x0, g(1), 3), vae.log_prob(x0, g(1), 3), rtol=1e-4, atol=1e-3)


def arrow(net, x):
    mu, logvar = net(x).chunk(2, dim=1)
    return Normal(mu, (0.5 * logvar).exp())


def test_the_parts_of_a_chain_of_three_are_the_log_densities_of_its_arrows(digits):
    torch.manual_seed(6)
    chain = MarkovVAE(SHAPE, 17, sizes=(5, 3, 2), width=8)
    x0, eps = digits.train.x0[:7], torch.randn(7, 10, generator=g(2))
    parts = chain.parts(x0, eps)
    below, total = x0.flatten(1), 0
    latents = []
    for net, noise in zip(chain.up, eps.split((5, 3, 2), dim=1), strict=True):
        q = arrow(net, below)
        below = q.mean + q.stddev * noise
        total = total + q.log_prob(below).sum(1)
        latents.append(below)
    for net, z, above in zip(chain.down, latents, latents[1:], strict=False):
        total = total - arrow(net, above).log_prob(z).sum(1)
    total = total - Normal(0.0, 1.0).log_prob(latents[-1]).sum(1)
    prices = [value for name, value in parts.items() if name.startswith("kl")]
    assert len(prices) == 3
    torch.testing.assert_close(sum(prices), total, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(sum(chain(x0, eps=eps).values()), sum(parts.values()).mean())


def test_importance_weights_of_a_chain_find_the_probability_of_every_image_of_a_tiny_space():
    torch.manual_seed(7)
    chain = MarkovVAE((1, 1, 3), 2, sizes=(1, 1), width=8, decoder="categorical")
    nn.init.normal_(chain.decoder[-1].weight)
    nn.init.normal_(chain.down[0][-1].weight, std=0.5)
    x0 = torch.tensor(list(itertools.product((-1.0, 1.0), repeat=3))).view(-1, 1, 1, 3)
    z = torch.linspace(-8, 8, 801)[:, None]
    step = (z[1] - z[0]).item()
    with torch.no_grad():
        top = Normal(0.0, 1.0).log_prob(z[:, 0]).exp() * step
        given = arrow(chain.down[0], z)  # of z_1, for each z_2
        marginal = (top[:, None] * given.log_prob(z.T).exp()).sum(0) * step  # of z_1
        exact = torch.stack([
            marginal @ chain.pixel.log_prob(chain.decoder(z), one.flatten(1).expand(801, 3)).exp() for one in x0
        ])  # fmt: skip
        found = chain.log_prob(x0, g(3), draws=3000)
    assert exact.sum().item() == pytest.approx(1, abs=1e-3)
    torch.testing.assert_close(found.exp(), exact, rtol=0.1, atol=2e-3)


def test_samples_of_a_chain_have_the_pixels_of_its_marginal():
    torch.manual_seed(8)
    chain = MarkovVAE((1, 1, 3), 2, sizes=(1, 1), width=8, decoder="categorical")
    nn.init.normal_(chain.decoder[-1].weight)
    z = torch.linspace(-8, 8, 801)[:, None]
    step = (z[1] - z[0]).item()
    with torch.no_grad():
        top = Normal(0.0, 1.0).log_prob(z[:, 0]).exp() * step
        marginal = (top[:, None] * arrow(chain.down[0], z).log_prob(z.T).exp()).sum(0) * step
        expected = marginal @ chain.pixel.mean(chain.decoder(z))
    samples = generate(chain, 6000, seed=1).flatten(1)
    assert ((samples.mean(0) - expected).abs() < 4.5 * samples.std(0) / math.sqrt(6000)).all()


def test_the_shipped_chain_has_fewer_bits_than_naive_bayes(digits):
    bits = load_trained("hvae-digits").model.bits_per_dim(digits.held_out.x0, 17, g())
    assert 1.8 < bits.mean() < 2.1 and bits.shape == (500,)
