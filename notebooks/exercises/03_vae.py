"""The exercises of lesson 03: the variational autoencoder."""

import math

import torch
from torch.nn import functional as F

from course_lib.exercises import Calls, Exercise, Judge, Spy, Value, exercise_named, normal, uniform


def binary_log_likelihood(logit, x):
    return (x * logit - F.softplus(logit)).sum(1)


Exercise(
    "03.1",
    binary_log_likelihood,
    cases=[
        {"logit": 2 * normal(1, 5, 7), "x": (uniform(2, 5, 7) > 0).double()},
        {"logit": 200 * normal(3, 3, 11), "x": (uniform(4, 3, 11) > 0).double()},
    ],
    gives=[Value("the log-likelihoods", "Σ (x · logit − log(1 + exp(logit)))")],
    slips={
        "the chances are added up; the logarithms of them are":
            "p = torch.sigmoid(logit)\nreturn (x * p + (1 - x) * (1 - p)).sum(1)",
        "softplus of the wrong sign": "F.softplus(logit) -> F.softplus(-logit)",
        "white counts alone; a black pixel has the log of 1 − p": "return (x * F.logsigmoid(logit)).sum(1)",
        "the sign is turned: that is the cross-entropy, the loss":
            "return F.binary_cross_entropy_with_logits(logit, x, reduction='none').sum(1)",
        "the average over the pixels; the probabilities of independent pixels are multiplied, so their logarithms add up":
            "A.sum(1) -> A.mean(1)",
        "summed over the batch too": "A.sum(1) -> A.sum()",
        "summed over the batch, not over the pixels": "A.sum(1) -> A.sum(0)",
        "black is 0 here, not −1": "return F.logsigmoid(x * logit).sum(1)",
        "black and white are exchanged": "return ((1 - x) * logit - F.softplus(logit)).sum(1)",
        "the logit taken for the chance itself; a sigmoid makes a chance of it":
            "return (x * logit.clamp(1e-6, 1 - 1e-6).log() + (1 - x) * (1 - logit.clamp(1e-6, 1 - 1e-6)).log()).sum(1)",
        "for a large logit the sigmoid is 0 or 1 to a computer, and the logarithm of 0 is −∞: stay in logarithms":
            "p = torch.sigmoid(logit)\nreturn torch.where(x > 0, p.log(), (1 - p).log()).sum(1)",
        "0 · (−∞) is NaN: for a large logit the sigmoid is 0 or 1 to a computer; stay in logarithms":
            "p = torch.sigmoid(logit)\nreturn (x * p.log() + (1 - x) * (1 - p).log()).sum(1)",
    },
    hints=[
        "log σ(a) = a − log(1 + eᵃ), and log(1 − σ(a)) = −log(1 + eᵃ).",
        "log(1 + eᵃ) without overflow is torch.nn.functional.softplus(a).",
    ],
)  # fmt: skip


def best_gaussian(x, x_hat):
    sigma2 = (x - x_hat).square().mean()
    return sigma2.sqrt(), 0.5 * x.shape[1] * (torch.log(2 * math.pi * sigma2) + 1)


Exercise(
    "03.2",
    best_gaussian,
    cases=[
        {"x": normal(5, 7, 11), "x_hat": normal(5, 7, 11) + 0.3 * normal(6, 7, 11)},
        {"x": normal(7, 3, 5), "x_hat": 0.4 * normal(8, 3, 5)},
    ],
    gives=[Value("sigma", "the root of the mean squared error"), Value("the nats", "d/2 (log(2π σ²) + 1)")],
    slips={
        "the variance, not σ": "sigma2.sqrt() -> sigma2",
        "the sum of the squared errors; the best σ² is their mean": "A.mean() -> A.sum()",
        "the squared error of a whole image; every pixel has the same σ": "A.mean() -> A.sum(1).mean()",
        "the density's own factor is missing: log(2π σ²)": "torch.log(2 * math.pi * sigma2) + 1 -> 1",
        "the squared error over 2σ² is missing: with the best σ it is d/2": "A + 1 -> A",
        "per pixel; an image has d of them": "0.5 * x.shape[1] * A -> 0.5 * A",
        "the number of images in the place of the number of pixels": "x.shape[1] -> x.shape[0]",
        "the sign: that is the log density, and minus it was asked for": "0.5 * A -> -0.5 * A",
        "the mean of the errors, which cancel; of the squared errors":
            "(x - x_hat).square().mean() -> (x - x_hat).mean().square()",
        "the variance of the errors, whose own mean is taken away": "A.square().mean() -> A.var()",
    },
    hints=[
        "Set the derivative of d/2 log σ² + ‖x − x̂‖²/(2σ²) to 0, on average over all images.",
        "With σ² the mean squared error, the squared error of an image over 2σ² is d/2 on average.",
    ],
)  # fmt: skip


def vae_loss(mu, logvar, decode, x, eps, sigma):
    z = mu + (0.5 * logvar).exp() * eps
    squared = (x - decode(z)).square().sum(1)
    kl = 0.5 * (mu.square() + logvar.exp() - 1 - logvar).sum(1)
    return (squared / (2 * sigma**2) + kl).mean()


def _decoder(d, k, seed):
    W = normal(seed, k, d)
    return Spy(lambda z: torch.tanh(z @ W))


Exercise(
    "03.3",
    vae_loss,
    cases=[
        {
            "mu": normal(seed, n, k), "logvar": 0.7 * normal(seed + 1, n, k) - 0.5, "decode": _decoder(d, k, seed + 2),
            "x": normal(seed + 3, n, d), "eps": normal(seed + 4, n, k), "sigma": sigma,
        }
        for seed, n, d, k, sigma in ((9, 5, 7, 3, 0.4), (14, 3, 11, 2, 1.7))
    ],
    gives=[
        Calls("decode", Value("z", "μ + exp(½ logvar) eps")),
        Value("the loss", "the mean over the batch of ‖x − x̂‖²/(2σ²) + KL", gradient="mu logvar"),
    ],
    slips={
        "the noise is multiplied by the variance; it takes the standard deviation": "(0.5 * logvar).exp() -> logvar.exp()",
        "the decoder got μ, not a draw": "mu + A -> mu",
        "the squared error is averaged over the pixels, which makes σ far too large":
            "A.square().sum(1) -> A.square().mean(1)",
        "σ in the denominator, not σ²": "sigma**2 -> sigma",
        "the ½ of the Gaussian is missing": "squared / (2 * sigma**2) -> squared / sigma**2",
        "the KL has no part in it: that is an autoencoder with noise on its code": "A + kl -> A",
        "the KL is subtracted: so it would grow without bound": "A + kl -> A - kl",
        "the sign is turned: that is the bound, and the loss is minus it": "A.mean() -> -A.mean()",
        "logvar is detached in z, so the reconstruction does not reach it":
            "z = mu + (0.5 * logvar.detach()).exp() * eps\n"
            "return ((x - decode(z)).square().sum(1) / (2 * sigma**2)"
            " + 0.5 * (mu.square() + logvar.exp() - 1 - logvar).sum(1)).mean()",
        "the KL takes logvar for log σ":
            "z = mu + (0.5 * logvar).exp() * eps\n"
            "return ((x - decode(z)).square().sum(1) / (2 * sigma**2)"
            " + 0.5 * (mu.square() + (2 * logvar).exp() - 1 - 2 * logvar).sum(1)).mean()",
        "the KL is summed over the batch":
            "(squared / (2 * sigma**2) + kl).mean() -> (squared / (2 * sigma**2)).mean() + kl.sum()",
        "the squared error is summed over the batch":
            "(squared / (2 * sigma**2) + kl).mean() -> "
            "(squared / (2 * sigma**2)).sum() + kl.mean()",
        "the KL is averaged over the latent numbers": "A.sum(1) -> A.mean(1)",
        "the sum over the batch": "(squared / (2 * sigma**2) + kl).mean() -> (squared / (2 * sigma**2) + kl).sum()",
        "one number for each image; a loss is one number":
            "(squared / (2 * sigma**2) + kl).mean() -> squared / (2 * sigma**2) + kl",
        "mse_loss averages over the pixels, and there is no σ: that is a Gaussian with a far too large σ":
            "x_hat = decode(mu + (0.5 * logvar).exp() * eps)\n"
            "return F.mse_loss(x_hat, x) + (0.5 * (mu.square() + logvar.exp() - 1 - logvar).sum(1)).mean()",
        "no σ: that is a Gaussian with σ² = ½": "squared / (2 * sigma**2) -> squared",
        "μ and logvar are detached, so the encoder learns nothing":
            "return (((x - decode(mu.detach() + (0.5 * logvar.detach()).exp() * eps)).square().sum(1) / (2 * sigma**2)\n"
            "         + 0.5 * (mu.square() + logvar.exp() - 1 - logvar).detach().sum(1))).mean()",
        "the encoder learns from the KL alone: z was detached":
            "z = (mu + (0.5 * logvar).exp() * eps).detach()\n"
            "return ((x - decode(z)).square().sum(1) / (2 * sigma**2)"
            " + 0.5 * (mu.square() + logvar.exp() - 1 - logvar).sum(1)).mean()",
    },
    hints=[
        "Three lines: the draw (exercise 02.4), the squared error of each image, the KL of each image (exercise 02.1).",
        "−log N(x; x̂, σ² I) is ‖x − x̂‖²/(2σ²) and a constant. Sum over pixels, sum over latent numbers, mean over images.",
    ],
)  # fmt: skip


def active_units(mu):
    return int((mu.var(0) > 0.01).sum())


def _codes(seed, n, spread):
    spread = torch.tensor(spread, dtype=torch.float64)
    return spread * normal(seed, n, len(spread)) + torch.arange(len(spread))


Exercise(
    "03.4",
    active_units,
    cases=[
        {"mu": _codes(20, 53, [1.0, 0.5, 0.02, 0.3, 0.01])}, {"mu": _codes(21, 41, [0.01, 0.02, 0.05])},
        {"mu": _codes(22, 37, [0.05, 1.0, 0.05, 0.05, 0.05, 0.05, 0.05])}, {"mu": _codes(23, 59, [0.9, 0.8, 0.6, 0.5])},
        {"mu": _codes(24, 61, [0.05, 0.06, 0.04, 0.9, 0.7, 0.02])}, {"mu": 0.03 * normal(25, 43, 5) + normal(26, 1, 5)},
        {"mu": _codes(32, 401, [0.08, 0.09, 0.12, 0.13, 0.4])},
    ],
    gives=[Value("how many are active", "how many coordinates have a variance over the data above 0.01", rtol=0)],
    slips={
        "the standard deviation is compared with 0.01; the variance": "mu.var(0) -> mu.std(0)",
        "a number is active if it moves with the image; its mean may be anything":
            "mu.var(0) > 0.01 -> mu.mean(0).abs() > 0.01",
        "the mean square holds the square of the mean too": "mu.var(0) -> mu.square().mean(0)",
        "the variance runs over the latent numbers; it runs over the images": "mu.var(0) -> mu.var(1)",
        "those that are not active": "mu.var(0) > 0.01 -> mu.var(0) < 0.01",
        "the share, not the number": "int((mu.var(0) > 0.01).sum()) -> float((mu.var(0) > 0.01).double().mean())",
        "how many there are, active or not": "return mu.shape[1]",
        "all numbers of all images are counted, and against their size": "return int((mu.abs() > 0.01).sum())",
        "all numbers of all images are counted": "return int(((mu - mu.mean(0)).square() > 0.01).sum())",
    },
    hints=["The variance of each column of mu, over the images.", "Compare with 0.01, and count."],
)  # fmt: skip


def free_bits(kl, lam):
    return kl.mean(0).clamp(min=lam).sum()


Exercise(
    "03.5",
    free_bits,
    cases=[
        {"kl": uniform(27, 11, 5).add(1) * torch.tensor([1.0, 0.2, 0.05, 0.6, 1.5]), "lam": 0.5},
        {"kl": uniform(28, 7, 3).add(1) * torch.tensor([3.0, 0.4, 0.3]), "lam": 0.25},
    ],
    gives=[Value("what is paid", "Σ max(λ, the KL of each number, averaged over the batch)", gradient="kl")],
    slips={
        "λ is added to each number's KL; it is the least that each counts": "return (kl.mean(0) + lam).sum()",
        "each image's KL is compared with λ; the average over the batch is": "return kl.clamp(min=lam).mean(0).sum()",
        "no number is spared: each one's KL is compared with λ, not their total": "return kl.mean(0).sum().clamp(min=lam)",
        "min in the place of max: nothing above λ would be paid": "return kl.mean(0).clamp(max=lam).sum()",
        "λ is taken off; then the sum is smaller, though its gradient is the same":
            "return (kl.mean(0) - lam).clamp(min=0).sum()",
        "averaged over the latent numbers; what each costs adds up": "A.sum() -> A.mean()",
        "summed over the batch": "kl.mean(0) -> kl.sum(0)",
        "the average runs over the latent numbers": "kl.mean(0) -> kl.mean(1)",
        "a number below λ counts as 0": "return (kl.mean(0) * (kl.mean(0) > lam)).sum()",
        "kl is detached, so nothing learns from it":
            "return kl.detach().mean(0).clamp(min=lam).sum()",
    },
    hints=[
        "First the average over the batch: one number for each latent number.", "Then the larger of it and λ, then the sum.",
    ],
)  # fmt: skip


def class_probabilities(log_p, prior):
    return (log_p + prior.log()).softmax(1)


Exercise(
    "03.6",
    class_probabilities,
    cases=[
        {"log_p": 2 * normal(29, 5, 7) - 90, "prior": normal(30, 7).softmax(0)},
        {
            "log_p": normal(34, 4, 3) + torch.tensor([[-90.0], [-2000.0], [-120.0], [-1500.0]]).double(),
            "prior": torch.tensor([0.2, 0.5, 0.3]).double(),
        },
        {"log_p": 3 * normal(31, 11, 3) - 2000, "prior": torch.tensor([0.7, 0.2, 0.1]).double()},
    ],
    gives=[Value("the probabilities", "the softmax over the classes of log p(x | y) + log p(y)")],
    slips={
        "without p(y): a rare class counts as much as a common one": "log_p + prior.log() -> log_p",
        "p(y) where its logarithm belongs": "prior.log() -> prior",
        "p(y) is multiplied with a logarithm": "log_p + prior.log() -> log_p * prior",
        "exp of −2,000 is 0 for a computer, and 0/0 is NaN: stay in logarithms":
            "joint = log_p.exp() * prior\nreturn joint / joint.sum(1, keepdim=True)",
        "the largest of the whole batch was taken out; each image needs its own":
            "joint = (log_p - log_p.max()).exp() * prior\nreturn joint / joint.sum(1, keepdim=True)",
        "the largest was taken out, but these don't add up to 1":
            "return (log_p + prior.log() - (log_p + prior.log()).amax(1, keepdim=True)).exp()",
        "the softmax runs over the images": "A.softmax(1) -> A.softmax(0)",
        "the logarithm of the probabilities": "A.softmax(1) -> A.log_softmax(1)",
        "p(y) is divided by": "log_p + prior.log() -> log_p - prior.log()",
        "the class alone, not its probability": "return (log_p + prior.log()).argmax(1)",
        "p(y) comes in after the softmax, so the products don't add up to 1": "return log_p.softmax(1) * prior",
        "not divided by p(x): these don't add up to 1": "A.softmax(1) -> A",
    },
    hints=[
        "Bayes' rule: p(y | x) is p(x | y) p(y), divided by its sum over y.",
        "In logarithms the product is a sum, and softmax exponentiates and divides without underflow.",
    ],
)  # fmt: skip


def is_vae_loss(loss):
    generator = torch.Generator().manual_seed(0)
    mu, logvar, eps = torch.randn(3, 5, 3, generator=generator, dtype=torch.float64)
    x = torch.randn(5, 7, generator=generator, dtype=torch.float64)
    seen = []

    def decode(z):
        seen.append(z)
        return 0 * z.sum() + 0 * x

    exact = 0.5 * (mu**2 + logvar.exp() - 1 - logvar).sum(1).mean()
    for sigma in (0.5, 2.0):
        expected = (x**2).sum(1).mean() / (2 * sigma**2) + exact
        if abs(float(loss(mu, logvar, decode, x, eps, sigma)) - float(expected)) > 1e-6:
            return False
    if not all(torch.allclose(z, mu + (0.5 * logvar).exp() * eps) for z in seen) or len(seen) != 2:
        return False
    mu, logvar = mu.clone().requires_grad_(), logvar.clone().requires_grad_()
    value = loss(mu, logvar, lambda z: z @ torch.ones(3, 7, dtype=torch.float64), x, eps, 1.0)
    if not (torch.is_tensor(value) and value.requires_grad):
        return False
    found = torch.autograd.grad(value, (mu, logvar), allow_unused=True)
    std = (0.5 * logvar).exp().detach()
    z = mu.detach() + std * eps
    through = -(x - z.sum(1, keepdim=True)).sum(1, keepdim=True).expand(5, 3)
    expected = through + mu.detach(), through * eps * 0.5 * std + 0.5 * (std**2 - 1)
    return all(f is not None and torch.allclose(f, e / 5) for f, e in zip(found, expected, strict=True))


def _by_torch(mu, logvar, decode, x, eps, sigma):
    q = torch.distributions.Normal(mu, (0.5 * logvar).exp())
    kl = torch.distributions.kl_divergence(q, torch.distributions.Normal(torch.zeros_like(mu), 1.0)).sum(1).mean()
    return F.mse_loss(decode(q.mean + q.stddev * eps), x, reduction="sum") / len(x) / (2 * sigma**2) + kl


def _off_by(extra):
    return lambda mu, logvar, *others: vae_loss(mu, logvar, *others) + extra(logvar).sum(1).mean()


Judge(
    "03.7",
    is_vae_loss,
    right=[vae_loss, _by_torch],
    wrong={says: f for says, f in exercise_named("03.3").wrong().items() if "for each image" not in says}
    | {
        "the KL holds μ² alone": _off_by(lambda logvar: -0.5 * (logvar.exp() - 1 - logvar)),
        "the sign of logvar in the KL": _off_by(lambda logvar: logvar),
        "logvar is detached": lambda mu, logvar, *others: vae_loss(mu, logvar.detach(), *others),
    },
    slips={
        "your check refuses a function that is right": "return False",
        "your check accepts a wrong function": "return True",
    },
    hints=[
        "With μ = 0 and logvar = 0 the KL is 0; with a decoder that answers x the squared error is. What is left is known.",
        "A decoder of your own can write down the z that it gets. Compare it with μ + exp(½ logvar) eps.",
        "A loss that was detached somewhere has the right value and no gradient: ask torch.autograd.grad.",
    ],
)
