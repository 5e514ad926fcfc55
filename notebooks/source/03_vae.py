# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
# ---

# %% [markdown]
r"""
# 03 · The variational autoencoder

**After this lesson you can**
- turn the evidence lower bound into a loss for two networks, and train them on images;
- choose a distribution for the pixels, and say what each choice assumes;
- split what the latent numbers cost into what they tell and what they waste, and see posterior collapse coming;
- say, with a picture, why a VAE's samples are blurred, and ask one for the digit that you want.

**Before:** lesson 02. **Time:** 95 minutes, and 95 more for the seven exercises.
**Follows:** Koirala, "VAE"; Velasco-Forero, "Variational Autoencoder" and "Variational Framework".
"""

# %%
import math

import matplotlib.pyplot as plt
import torch
from ipywidgets import FloatSlider
from torch.distributions import Normal
from torch.nn import functional as F

# %%
from course_lib import data, show
from course_lib.agree import agree, agree_mean
from course_lib.diffusion import discretized
from course_lib.exercises import check, hint, solution
from course_lib.experiments import results
from course_lib.metrics import condition_accuracy, quality
from course_lib.models import VAE, generate
from course_lib.nets import perceptron
from course_lib.training import Recipe, Run, load_trained

# %%
show.use_style()
rng = torch.Generator().manual_seed(5)
digits = data.load("digits")
x0, label, unseen = digits.train.x0, digits.train.label, digits.held_out
print("images", tuple(x0.shape), "  grey levels", digits.levels)

# %% [markdown]
r"""
Lesson 01 ended with a map whose islands were separated by holes, and no way to say how probable a place on it is.
Here is the map of a **variational autoencoder** for MNIST. The numerals on the left stand where its encoder puts
1,500 handwritten digits that it never saw; on the right is what its decoder draws at each place. The cloud was
pressed towards a known shape, a standard normal distribution. So you can draw a place at random, decode it, and have
a digit that nobody wrote.
"""

# %%
mnist_map, placed = load_trained("vae-mnist-map").model, results("map-mnist")
mean, digit = torch.tensor(placed["mean"]), torch.tensor(placed["label"])
side = torch.linspace(-2.6, 2.6, 13)
with torch.no_grad():
    drawn = mnist_map.decode(torch.cartesian_prod(-side, side).flip(1))
    corner = mnist_map.decode(torch.tensor([[-2.6, 2.6]]))
agree("the first picture is the upper left corner", drawn[:1], corner, atol=1e-5)

# %% tags=["hide-input"]
fig, (left, right) = plt.subplots(1, 2, figsize=(8.6, 3.9))
for d in range(10):
    left.scatter(*mean[digit == d].T, marker=f"${d}$", s=30, linewidths=0.2)
left.set(xlim=(-3, 3), ylim=(-3, 3), aspect="equal")
show.picture(right, show.tiles(drawn, 13, gap=0))
for ax in (left, right):
    ax.set(xlabel="$z_1$", ylabel="$z_2$")
show.title(fig, "A map of handwriting, drawn around the origin")
show.figure(
    fig,
    "Left, 1,500 small numerals in a round cloud, most digits in a sector of their own. Right, the "
    "same plane as a mosaic of decoded digits that change smoothly from one place to the next.",
)

# %% [markdown]
r"""
## 1 · Two networks for one bound

Lesson 02 ended with the bound for one image $\mathbf x$,

$$ \log p_\theta(\mathbf x)\ \ge\ \mathbb E_{q_\phi(\mathbf z\mid\mathbf x)}\bigl[\log p_\theta(\mathbf x\mid\mathbf z)\bigr]
   - D_{\mathrm{KL}}\bigl(q_\phi(\mathbf z\mid\mathbf x)\,\Vert\,\mathcal N(\mathbf 0,\mathbf I)\bigr), $$

with a network, the **encoder**, for $q_\phi$. There $p_\theta(\mathbf x\mid\mathbf z)$ was linear. Now it is a
network too, the **decoder**, and that is the whole step to the *variational autoencoder* (Kingma and Welling, 2014;
Rezende, Mohamed and Wierstra, 2014). Between the two stands the draw
$\mathbf z = \boldsymbol\mu + \boldsymbol\sigma\boldsymbol\epsilon$ of lesson 02, through which a gradient reaches
the encoder.
"""

# %% tags=["hide-input"]
seen_again = load_trained("vae-digits").model
again = seen_again.decode(seen_again.encode(x0[5:6])[0])[0]
fig = show.variational_autoencoder(x0[5], again, "An encoder, a draw, a decoder")
show.figure(
    fig,
    "An image goes into an encoder, which gives mu and sigma; sigma is multiplied by noise and "
    "added to mu: z. A decoder turns z into the mean of an image.",
)

# %%
torch.manual_seed(0)
encoder, decoder = perceptron(64, 256, 256, 2 * 2), perceptron(2, 256, 256, 64)


def encode(x):
    return encoder(x.flatten(1)).chunk(2, dim=1)


mu, logvar = encode(x0)
z = mu + (0.5 * logvar).exp() * torch.randn(mu.shape, generator=rng)
print("mu", tuple(mu.shape), "  logvar", tuple(logvar.shape), "  z", tuple(z.shape))
print("decoded", tuple(decoder(z).shape))

# %% [markdown]
r"""
The second term of the bound needs no draw. For a Gaussian with independent coordinates it has the closed form of
exercise 02.1,

$$ D_{\mathrm{KL}}\bigl(\mathcal N(\boldsymbol\mu,\operatorname{diag}\boldsymbol\sigma^2)\,\Vert\,\mathcal N(\mathbf 0,\mathbf I)\bigr)
   = \tfrac12\sum_j\bigl(\mu_j^2 + \sigma_j^2 - 1 - \log\sigma_j^2\bigr). $$

Check it against draws, for a $q$ with $\boldsymbol\mu = (0.8, -1.5)$ and $\boldsymbol\sigma = (0.3, 0.5)$.
"""


# %%
def kl_from_standard(mu, logvar):
    return 0.5 * (mu**2 + logvar.exp() - 1 - logvar).sum(1)


centre, width = torch.tensor([[0.8, -1.5]]), torch.tensor([[0.3, 0.5]])
z = centre + width * torch.randn(100_000, 2, generator=rng)
log_ratio = Normal(centre, width).log_prob(z).sum(1) - Normal(0, 1).log_prob(z).sum(1)
closed = kl_from_standard(centre, 2 * width.log())
agree_mean("KL: Monte Carlo = closed form", log_ratio, closed)

# %% [markdown]
r"""
> **On the slide.** Koirala and Velasco-Forero write
> $q = \mathcal N(\mathbf z;\boldsymbol\mu(\mathbf x),\boldsymbol\sigma(\mathbf x))$. The second place of
> $\mathcal N$ belongs to the variance. Taken literally, that gives the KL of another distribution than the one that
> $\boldsymbol\mu + \boldsymbol\sigma\boldsymbol\epsilon$ is drawn from. Here are both numbers for the same
> $\boldsymbol\sigma$; the Monte Carlo estimate above decides.
"""

# %%
as_printed = kl_from_standard(centre, width.log())
print(f"σ² as the variance: {closed.item():.3f} nats;   σ as the variance: {as_printed.item():.3f}")
agree_mean("the draws have the variance σ²", (z - centre) ** 2, width[0] ** 2)
assert closed - as_printed > 0.5

# %% [markdown]
r"""
## 2 · What the decoder says about a pixel

The decoder returns 64 numbers, but the bound asks for $\log p(\mathbf x\mid\mathbf z)$: a *probability* of the grey
values. The 64 numbers can be read in three ways.

| | the decoder gives | it assumes |
|---|---|---|
| **Bernoulli** | the chance that a pixel is white | pixels are black or white |
| **Gaussian** | the mean of a normal density | pixels are real numbers |
| **discretized Gaussian** | the same, its mass collected in bins, the outer two open | pixels have 17 grey levels |

A probability has to add up to 1 over all that can happen. For the digits that is 17 grey values. Take one pixel
whose decoder says "0.65, give or take 0.2" on the scale from 0 to 1, and add up.
"""

# %%
grey = torch.arange(17) / 16  # on the scale 0 … 1
at, sigma = torch.tensor(0.65), 0.2
bernoulli = (grey * at.log() + (1 - grey) * (1 - at).log()).exp()
gaussian = Normal(at, sigma).log_prob(grey).exp() / 16  # density times the distance of two levels
mass = discretized(2 * grey - 1, 2 * at - 1, 2 * sigma, 17).exp().float()
sums = {"Bernoulli": bernoulli.sum(), "Gaussian": gaussian.sum(), "discretized": mass.sum()}
print({name: f"{total:.3f}" for name, total in sums.items()})
agree("the bins' masses add up", mass.sum(), 1.0, atol=1e-5)
assert sums["Bernoulli"] > 8 and 0.96 < sums["Gaussian"] < 0.98
edge = Normal(at, sigma).cdf(grey[10] + torch.tensor([-1, 1]) / 32)
agree("a bin's mass, by the distribution function", mass[10], edge[1] - edge[0], atol=1e-5)

# %% tags=["hide-input"]
fig, axes = plt.subplots(1, 3, figsize=(8.6, 3.1), sharex=True)
for ax, (name, values) in zip(
    axes, {"Bernoulli": bernoulli, "Gaussian": gaussian, "discretized": mass}.items(), strict=True
):
    ax.bar(grey, values, width=0.045, color=show.colour("samples"))
    ax.set(title=name, xlabel="grey value", ylim=(0, 0.8 if name == "Bernoulli" else 0.16))
    ax.text(0.03, 0.9, f"sum {values.sum():.2f}", transform=ax.transAxes, va="top")
axes[0].set_ylabel("weight")
show.title(fig, "Only the bins' masses add up to 1")
show.figure(
    fig,
    "Three bar charts over 17 grey values: Bernoulli weights of about one half each, which add up"
    " to nearly 9; a bell that is cut off at 1 and adds up to 0.97; the same bell with its tail "
    "in the last bar, which adds up to 1.",
)

# %% [markdown]
r"""
**Bernoulli** is exact for black and white, and then its loss is the binary cross-entropy. On grey values the same
formula is only a score. As a density on $[0, 1]$ it would have to be divided by $(2p-1)/\log\frac{p}{1-p}$, as
Loaiza-Ganem and Cunningham (2019) point out; that depends on $p$, so leaving it out changes what is learned.

**Gaussian** densities are not bounded. Digits have 17 levels, so a model that has learned the levels can shrink its
$\sigma$ around them, and its log density grows without bound. Lesson 04 meets that trap again. **Discretized**, it
can't: a mass is at most 1.
"""

# %%
p = torch.linspace(0.55, 0.95, 5, dtype=torch.float64)
fine = torch.linspace(0, 1, 10_001, dtype=torch.float64)[:, None]
area = torch.trapezoid(p**fine * (1 - p) ** (1 - fine), fine[:, 0], dim=0)
agree("Bernoulli as a density: its area", area, (2 * p - 1) / (p / (1 - p)).log(), atol=1e-7)

for narrow in (1e-1, 1e-3, 1e-5):
    density = Normal(0.0, narrow).log_prob(torch.tensor(0.0)).item()
    binned = discretized(torch.zeros(1), torch.zeros(1), narrow, 17).item()
    print(f"σ = {narrow:.0e}: log density {density:5.2f}, log mass {binned:.2f}")
    assert binned <= 0

# %% [markdown]
r"""
A Gaussian's log density is a squared error, with a weight that is easily forgotten:

$$ -\log\mathcal N(\mathbf x;\hat{\mathbf x},\sigma^2\mathbf I) = \frac{\lVert\mathbf x-\hat{\mathbf x}\rVert^2}{2\sigma^2} + \frac d2\log(2\pi\sigma^2) $$

Many programs take `F.mse_loss`, which *averages* over the $d$ pixels and has no $\sigma$, and add the KL to it. That
is a Gaussian all the same. Which one? **Predict first**, for $d = 64$.

<details><summary>Answer</summary>

An average over 64 pixels divides the squared error by 64. So $2\sigma^2 = 64$, and $\sigma = 5.7$, on a scale that
reaches from −1 to 1. Such a model takes every image for noise, and no latent number is worth its cost. Section 6
shows what becomes of it.

</details>
"""

# %%
a, b = x0[:1].flatten(1), x0[1:2].flatten(1)
sigma_mse = math.sqrt(64 / 2)
squared = (a - b).square().sum() / (2 * sigma_mse**2)
agree(
    "mse_loss = a Gaussian with σ = 5.7, but for a constant", F.mse_loss(a, b), squared, atol=1e-6
)

# %% [markdown]
r"""
Nobody has to guess $\sigma$: it is one more number to learn. The derivative of the formula above with respect to
$\sigma^2$ vanishes where $\sigma^2$ is the mean squared error, so a plain Gaussian's learned $\sigma$ says how
wrong the decoder is.
"""

# %%
error = 0.25 * torch.randn(2000, generator=rng)
s = torch.linspace(0.15, 0.45, 3001)
cost = (error.square().mean() / (2 * s**2) + s.log()).double()
agree(
    "the best σ is the root mean square", s[cost.argmin()], error.square().mean().sqrt(), atol=2e-4
)

# %% [markdown]
r"""
## 3 · Train it

Now the loss, −ELBO, by hand: the discretized Gaussian for the pixels, one draw of $\mathbf z$ for each image.
"""

# %%
log_sigma = torch.tensor(-1.0)


def minus_elbo(x, eps):
    mu, logvar = encode(x)
    z = mu + (0.5 * logvar).exp() * eps
    log_likelihood = discretized(x.flatten(1), decoder(z), log_sigma.exp(), 17).sum(1)
    return {"reconstruction": -log_likelihood.mean(), "kl": kl_from_standard(mu, logvar).mean()}


# %% [markdown]
r"""
`course_lib.models.VAE` holds the same lines. Give it our weights, and compare; from here on we use the library's.
"""

# %%
vae = VAE(shape=(1, 8, 8), levels=17, k=2, width=256)
vae.encoder.load_state_dict(encoder.state_dict())
vae.decoder.load_state_dict(decoder.state_dict())
eps = torch.randn(len(x0), 2, generator=rng)
by_hand, library = minus_elbo(x0, eps), vae(x0, eps=eps)
for part in by_hand:
    agree(f"{part}: by hand = course_lib's", by_hand[part], library[part], atol=1e-3)

# %% [markdown]
r"""
Train for 1,500 steps, about ten seconds, and write down both terms, for images that the networks learn from and for
images that they don't. **Predict first:** the sum falls. Does each term?

<details><summary>Answer</summary>

No. At the start the code says nothing: $q$ is near the prior for every image, the KL is near 0, and the
reconstruction is that of one picture for all. Then the networks find that a few nats of KL buy many nats of
reconstruction, and the KL *rises*. It is a price, and the two terms settle where the last nat paid buys just one
nat.

</details>
"""

# %%
optimizer = torch.optim.AdamW(vae.parameters(), lr=2e-3, weight_decay=0.1)
curves = {"step": [], "training": [], "unseen": []}
for step in range(1500):
    optimizer.param_groups[0]["lr"] = 2e-3 * 0.5 * (1 + math.cos(math.pi * step / 1500))
    rows = torch.randint(len(x0), (128,), generator=rng)
    loss = vae(x0[rows], eps=torch.randn(128, 2, generator=rng))
    optimizer.zero_grad()
    sum(loss.values()).backward()
    optimizer.step()
    if step % 50 == 0 or step == 1499:
        curves["step"].append(step)
        with torch.no_grad():
            for name, x in (("training", x0[:500]), ("unseen", unseen.x0)):
                parts = vae(x, eps=torch.randn(500, 2, generator=rng))
                curves[name].append([parts["reconstruction"].item(), parts["kl"].item()])

# %%
vae.eval().requires_grad_(False)
learned, fresh = torch.tensor(curves["training"]), torch.tensor(curves["unseen"])
print(f"unseen digits: {fresh[0].sum():.0f} nats at first, {fresh[-1].sum():.0f} at the end")
assert fresh[-1].sum() < 0.8 * fresh[0].sum() and fresh[-1, 1] > fresh[0, 1] + 2
assert fresh[-1].sum() > learned[-1].sum(), "they are judged on what they have not learned"

# %% tags=["hide-input"]
fig, axes = plt.subplots(1, 2, figsize=(8.6, 3.3))
no_code = results("rate-distortion-digits")["rows"][-1]["distortion"][0]
for i, (ax, name) in enumerate(zip(axes, ("reconstruction", "KL"), strict=True)):
    ax.plot(curves["step"], learned[:, i], **show.style("learned"))
    ax.plot(curves["step"], fresh[:, i], **show.style("data"))
    ax.set(title=name, xlabel="step", ylabel="nats per image")
axes[0].axhline(no_code, **show.style("noise"))
axes[0].text(500, no_code + 1, "one picture for all", color=show.colour("noise"))
axes[0].set_ylim(80, 140)
axes[1].text(500, 3.6, "unseen", color=show.colour("data"))
axes[1].text(500, 5.1, "training", color=show.colour("learned"))
axes[1].set_ylim(0, 6)
show.title(fig, "A few nats of KL buy many of reconstruction")
alt = "The reconstruction falls below a line, its value without a code; the KL rises to 5 nats."
show.figure(fig, alt)

# %% [markdown]
r"""
Your own network's first samples: $\mathbf z$ from $\mathcal N(\mathbf 0,\mathbf I)$, then the decoder's mean.
"""

# %%
samples = generate(vae, 40)
print("samples", tuple(samples.shape))

# %% tags=["hide-input"]
fig = show.grid(samples, columns=10, width=7.5, title="Digits that nobody wrote")
show.figure(fig, "Forty small generated digits, readable, in a soft grey, with blurred edges.")

# %% [markdown]
r"""
Walk on MNIST's map yourself. The cross on the left is your $\mathbf z$, the dots are unseen digits; the right side
shows the decoder's answer.
"""


# %%
def walk(z_1, z_2):
    fig, (left, right) = plt.subplots(1, 2, figsize=(8, 3.9))
    left.plot(*mean.T, ".", color=show.colour("noise"), markersize=2)
    left.plot(z_1, z_2, "+", color=show.colour("samples"), markersize=22, markeredgewidth=4)
    left.set(xlabel="$z_1$", ylabel="$z_2$", xlim=(-3, 3), ylim=(-3, 3), aspect="equal")
    show.picture(right, mnist_map.decode(torch.tensor([[z_1, z_2]]))[0])
    show.title(fig, f"z = ({z_1:.1f}, {z_2:.1f})")
    return fig


# %%
show.widget(
    walk,
    "Left, a cloud of dots in the plane of z with a cross in it; right, the digit that is decoded "
    "at the cross.",
    z_1=FloatSlider(-0.5, min=-3, max=3, description="z₁", continuous_update=False),
    z_2=FloatSlider(1.0, min=-3, max=3, description="z₂", continuous_update=False),
)

# %% [markdown]
r"""
**So far:** a VAE is the bound of lesson 02 with a network on each side and a distribution for the pixels. Its loss
has a price, the KL, and what is bought for it, the reconstruction.

## 4 · What the latent numbers cost

Two maps of the same digits: on the left the codes of lesson 01's autoencoder, on the right your VAE's
$\boldsymbol\mu$, both over what their decoders draw at each place. The circles hold 39, 86 and 99 % of the prior;
how much do they hold of the VAE's $\mathbf z$?
"""

# %%
ae = load_trained("autoencoder-digits").model
mu, logvar = vae.encode(x0)
codes = {"autoencoder": ae.encode(x0), "VAE": mu}
mosaics, reach = {}, {"autoencoder": 1.0, "VAE": 3.0}
for (name, far), model in zip(reach.items(), (ae, vae), strict=True):
    axis = torch.linspace(-far, far, 9)
    mosaics[name] = show.tiles(model.decode(torch.cartesian_prod(-axis, axis).flip(1)), 9, gap=0)


# %%
z = mu + (0.5 * logvar).exp() * torch.randn(mu.shape, generator=rng)
radius = torch.arange(1, 4)
prior_inside = 1 - torch.exp(-(radius**2) / 2)
held = (z.norm(dim=1)[:, None] < radius).double().mean(0)
print("within 1, 2, 3: prior", [f"{p:.0%}" for p in prior_inside], " z", [f"{p:.0%}" for p in held])
assert (held < prior_inside).all() and held[2] > 0.85, "a little too wide, but near"

# %% tags=["hide-input"]
fig, axes = plt.subplots(1, 2, figsize=(8.6, 3.9))
turn = torch.linspace(0, 2 * math.pi, 200)
for ax, (name, far) in zip(axes, reach.items(), strict=True):
    edge = far * 9 / 8
    ax.imshow(show.as_picture(mosaics[name]), extent=(-edge, edge, -edge, edge), alpha=0.35)
    for d in range(10):
        ax.scatter(*codes[name][label == d].T, marker=f"${d}$", s=20, linewidths=0.2)
    ax.set(title=name, xlabel="$z_1$", ylabel="$z_2$", xlim=(-edge, edge), ylim=(-edge, edge))
circles = torch.tensor([1, 2, 3]) * torch.stack([turn.cos(), turn.sin()])[..., None]
axes[1].plot(*circles, color=show.colour("data"), linewidth=1)
show.title(fig, "The prior pulls the islands into one cloud")
alt = "Numerals over pale mosaics of digits: left, islands with gaps; right, one cloud in circles."
show.figure(fig, alt)

# %% [markdown]
r"""
Only the right map comes with a distribution to draw from. How well do the two fit, the cloud of all codes and the
prior? Call $q(\mathbf z) = \frac1N\sum_i q(\mathbf z\mid\mathbf x_i)$ the **aggregate posterior**: where
$\mathbf z$ is found when the image is drawn from the $N$ training images. The average KL splits exactly (Hoffman
and Johnson, 2016):

$$ \frac1N\sum_i D_{\mathrm{KL}}\bigl(q(\mathbf z\mid\mathbf x_i)\,\Vert\,p(\mathbf z)\bigr)
   = \underbrace{\mathbb E\!\left[\log\frac{q(\mathbf z\mid\mathbf x)}{q(\mathbf z)}\right]}_{\text{information}}
   + \underbrace{D_{\mathrm{KL}}\bigl(q(\mathbf z)\,\Vert\,p(\mathbf z)\bigr)}_{\text{mismatch}} $$

The first part is the *mutual information*, what $\mathbf z$ tells about which image it was; it can't exceed
$\log N$. The second buys nothing. With $N = 1297$ Gaussians both can be computed.
"""


# %%
def split_rate(model):
    """Information and mismatch, one draw of z for each training image."""
    mu, logvar = model.encode(x0)
    std = (0.5 * logvar).exp()
    z = mu + std * torch.randn(mu.shape, generator=rng)
    log_each = Normal(mu, std).log_prob(z[:, None]).sum(2)  # log q(z_i | x_j)
    log_q = log_each.logsumexp(1) - math.log(len(x0))
    first = Normal(mu, std).log_prob(z[0]).sum(1).logsumexp(0) - math.log(len(x0))
    assert (log_q[0] - first).abs() < 1e-3, "log q(z) is a sum over all images"
    log_prior = Normal(0, 1).log_prob(z).sum(1)
    return log_each.diagonal() - log_q, log_q - log_prior


information, mismatch = split_rate(vae)
kl = kl_from_standard(mu, logvar)
agree_mean("information + mismatch = KL", information + mismatch - kl, 0.0)
assert information.mean() < math.log(len(x0))

# %% [markdown]
r"""
With two latent numbers the mismatch can also be computed without sampling, by quadrature over the plane:
"""

# %%
line = torch.linspace(-6, 6, 241)
plane = torch.cartesian_prod(line, line)
std = (0.5 * logvar).exp()
log_q = torch.cat([
    Normal(mu, std).log_prob(part[:, None]).sum(2).logsumexp(1) - math.log(len(x0))
    for part in plane.split(2000)
])  # fmt: skip
log_prior = Normal(0, 1).log_prob(plane).sum(1)
cell = (line[1] - line[0]) ** 2
agree("q(z) adds up to 1", (log_q.exp() * cell).sum(), 1.0, atol=2e-3)
agree_mean(
    "mismatch: draws = quadrature", mismatch, (log_q.exp() * (log_q - log_prior) * cell).sum()
)

# %% [markdown]
r"""
`vae-digits` ships with the course and has 16 latent numbers, and a KL of about thirteen nats. **Predict first:**
how much of that is information, if $\log 1297 = 7.2$?

<details><summary>Answer</summary>

At most 7.2 nats, enough to name each training image. All the rest is mismatch: $q(\mathbf z)$ is a cloud of separate
spots, and most of the prior lies between them. The holes of the autoencoder are back, in as many dimensions as are in
use: eight, since the KL of the other eight numbers is nearly 0.

</details>
"""

# %%
deep = load_trained("vae-digits").model
for name, model in (("k = 2", vae), ("k = 16", deep)):
    told, wasted = (part.mean().item() for part in split_rate(model))
    print(f"{name}: information {told:.1f}, mismatch {wasted:.1f} nats")
assert 0.9 * math.log(1297) < told < math.log(1297) and wasted > 4
assert wasted > 5 * mismatch.mean()
each = 0.5 * (deep.encode(x0)[0] ** 2 + deep.encode(x0)[1].exp() - 1 - deep.encode(x0)[1]).mean(0)
print("KL of each number:", [f"{kl:.2f}" for kl in each.sort(descending=True).values])
assert 12 < each.sum() < 14 and (each > 0.1).sum() == 8

# %% [markdown]
r"""
You can see it. Decode draws from the prior, and draws from the aggregate posterior: a training image, its $q$, and a
$\mathbf z$ from that. And measure it, by the Fréchet distance of lesson 00's table, which is 1 for real images.
"""

# %%
mu_16, logvar_16 = deep.encode(x0)
rows = torch.randint(len(x0), (1000,), generator=rng)
z = mu_16[rows] + (0.5 * logvar_16[rows]).exp() * torch.randn(1000, 16, generator=rng)
agree_mean("z around its mean", ((z - mu_16[rows]) ** 2 / logvar_16[rows].exp()).mean(1), 1.0)
from_prior, from_codes = generate(deep, 1000), deep.decode(z)
ratio = [quality(images, "digits").fd_ratio for images in (from_prior, from_codes)]
print(f"FD ratio: {ratio[0]:.1f} from the prior, {ratio[1]:.1f} from the codes")
assert ratio[1] < 0.6 * ratio[0]

# %% tags=["hide-input"]
fig = show.rows(
    {"prior": from_prior[:8], "codes": from_codes[:8]}, title="The decoder is good where codes are"
)
show.figure(
    fig,
    "Two rows of eight decoded digits: above, from the prior, some can't be read; below, from the "
    "codes of training images, all can.",
)

# %% [markdown]
r"""
So the VAE's own prior is its weak point, once there are more than a few latent numbers. (The draws from the codes are
no remedy by themselves, since each comes from one training image.) Lesson 03b puts a chain of latents in the place of
the prior, and lesson 10 a diffusion model.

What the latent numbers are good for: to go from one picture to another. Below, on the left the pixels are blended;
on the right the *codes* are, and decoded.
"""

# %%
pair = torch.stack([unseen.x0[unseen.label == d][0] for d in (0, 4)])
ends = deep.encode(pair)[0]
share = torch.linspace(0, 1, 9)
blended = [(1 - s) * pair[:1] + s * pair[1:] for s in share]
walked = [deep.decode((1 - s) * ends[:1] + s * ends[1:]) for s in share]
agree("the walk begins at its first code", walked[0], deep.decode(ends[:1]), atol=1e-5)
agree("and the blend at its first image", blended[0], pair[:1], atol=1e-6)


# %% tags=["hide-input"]
def step_between(i):
    fig, axes = plt.subplots(1, 2, figsize=(6.4, 3.5))
    for ax, name, images in zip(axes, ("pixels", "codes"), (blended, walked), strict=True):
        show.picture(ax, images[i][0])
        ax.set_title(f"{name}, {share[i]:.0%}")
    show.title(fig, "Two ways from one digit to another")
    return fig


show.film(
    [step_between(i) for i in (*range(9), *range(7, 3, -1))],
    "Two pictures side by side turn from one digit into another: the left one is a double "
    "exposure on the way, the right one stays a drawn digit.",
)

# %% [markdown]
r"""
Does the right one stay a digit? Not always. Ask the classifier that judges all models of the course, halfway
between 500 pairs of unseen digits of different classes. It hesitates where its largest probability is below 0.9.
"""

# %%
eye = load_trained("features-digits").model
first, second = torch.randint(500, (2, 1000), generator=rng)
different = (unseen.label[first] != unseen.label[second]).nonzero()[:500, 0]
a, b = unseen.x0[first[different]], unseen.x0[second[different]]
halfway = {
    "real digits": unseen.x0,
    "pixels": (a + b) / 2,
    "codes": deep.decode((deep.encode(a)[0] + deep.encode(b)[0]) / 2),
}
for name, images in halfway.items():
    doubt = (eye.logits(images).softmax(1).amax(1) < 0.9).double().mean().item()
    halfway[name] = doubt
    print(f"{name}: the classifier hesitates at {doubt:.0%}")
assert halfway["codes"] < halfway["pixels"] - 0.04

# %% [markdown]
r"""
**So far:** the KL pays for information and for mismatch. With two latent numbers the cloud nearly fills the prior;
with sixteen it names each training image, and the prior is mostly empty.

## 5 · How much to pay

Put a weight on the price (Higgins et al., 2017), call the KL the **rate** $R$ and the reconstruction the
**distortion** $D$:

$$ \mathcal L_\beta = D + \beta\,R $$

Only $\beta = 1$ is the bound. For every other $\beta$ the trained model has a bound as well, $R + D$, but not the
best one. The measurement took minutes, so it was made once (`course record rate-distortion-digits`): seven values
of $\beta$, three seeds each, judged on unseen digits.
"""

# %%
recorded = results("rate-distortion-digits")["rows"]
beta = [row["beta"] for row in recorded]
rate, distortion, fd = (
    torch.tensor([row[name] for row in recorded]) for name in ("rate", "distortion", "fd_ratio")
)
for row, r, d in zip(recorded, rate, distortion, strict=True):
    total = f"R + D {(r + d).mean():5.1f} ± {(r + d).std():.1f}"
    print(f"β = {row['beta']:5}: R {r.mean():5.1f}   D {d.mean():5.1f}   {total}")
assert beta[(rate + distortion).mean(1).argmin()] == 1.0
assert (rate.mean(1).diff() < 0).all() and (distortion.mean(1).diff() > -0.1).all()

# %% tags=["hide-input"]
fig, (ax, right) = plt.subplots(1, 2, figsize=(8.6, 3.6), width_ratios=[1.7, 1])
R, D, line = rate.mean(1), distortion.mean(1), torch.linspace(0, 40, 2)
ax.plot(R, D, **show.style("learned", markers=True))
ax.plot(line, (R + D).min() - line, **show.style("exact"))
for i in range(6):
    ax.text(R[i] + 1.2, D[i] + 2.2, f"{beta[i]:g}" if i else "β = 0.03", clip_on=False)
ax.text(1, 60, "R + D = constant")
ax.set(xlabel="rate R, nats", ylabel="distortion D, nats", xlim=(-1, 64), ylim=(50, 120))
right.plot(beta[:5], fd.mean(1)[:5], **show.style("samples", markers=True))
right.set(xscale="log", xlabel="β", ylabel="FD ratio", ylim=(0, 25))
show.title(fig, "R + D is least near β = 1, and so is the FD ratio")
alt = (
    "Left, distortion falls over rate; a line of slope -1 touches at beta = 1. Right, FD over beta."
)
show.figure(fig, alt)

# %% [markdown]
r"""
At β = 10 and above no nat of KL buys ten nats of reconstruction: the rate is 0, and the decoder draws one picture for
all. At β = 0.03 the codes are precise, and draws from the prior find nothing (right). One of the points again:
"""

# %%
from course_lib.experiments.rate_distortion_digits import point
from course_lib.experiments.rate_distortion_digits import train as train_beta

here = point(train_beta(beta=3.0, seed=0))
i = beta.index(3.0)
print(f"here {here['rate']:.2f} and {here['distortion']:.2f}, recorded {R[i]:.2f} and {D[i]:.2f}")
assert abs(here["rate"] - R[i]) < 0.5 and abs(here["distortion"] - D[i]) < 1.0
assert 2 * fd[3].mean() < fd[0].mean()

# %% [markdown]
r"""
The two ends of that curve, and its middle, are what Velasco-Forero draws: a code trained for the reconstruction
alone, for the KL alone, and for both. Two latent numbers, 500 steps each:
"""

# %%
maps, extremes = {}, {"reconstruction alone": 1e-3, "both": 1.0, "KL alone": 100.0}
for name, weight in extremes.items():
    options = {"shape": [1, 8, 8], "levels": 17, "k": 2, "width": 128, "beta": weight}
    run = Run(Recipe("ends", "digits", "vae", options, steps=500, rate=2e-3), device="cpu")
    for _ in run:
        pass
    mu_here, logvar_here = run.averaged.encode(x0)
    maps[name], sigma_here = mu_here.detach(), (logvar_here / 2).exp()
    print(f"{name:>20}: typical |μ| {mu_here.abs().mean():.2f}, σ {sigma_here.mean():.3f}")
assert maps["reconstruction alone"].std() > 3 * maps["both"].std() > 30 * maps["KL alone"].std()

# %% tags=["hide-input"]
fig, axes = plt.subplots(1, 3, figsize=(8.6, 3.2))
for ax, (name, codes_here) in zip(axes, maps.items(), strict=True):
    for d in range(10):
        ax.plot(*codes_here[label == d].T, ".", markersize=3)
    reach_here = max(3.5, codes_here.abs().quantile(0.995).item())
    ax.set(title=name, xlim=(-reach_here, reach_here), ylim=(-reach_here, reach_here))
show.title(fig, "Points far apart, a cloud, and nothing")
alt = "Codes in the plane: spread over tens of units; a cloud within three; all at the origin."
show.figure(fig, alt)

# %% [markdown]
r"""
## 6 · Posterior collapse

Where the rate is 0, $q(\mathbf z\mid\mathbf x)$ is the prior for every image: the latent numbers say nothing. That
is called **posterior collapse**. A number counts as *active* if the encoder's mean moves with the image: its
variance over the data exceeds 0.01 (Burda et al., 2016). With β = 10, or with `mse_loss`, collapse is exactly what
the loss asks for:
"""

# %%
pixels = x0.flatten(1).double()
largest = torch.linalg.eigvalsh(torch.cov(pixels.T, correction=0))[-1]
per_pixel = pixels.var(0, correction=0).mean()
print(f"largest variance in a direction {largest:.2f}, per pixel {per_pixel:.2f}")
print(f"a linear code pays while βσ² < {largest:.2f}: at first up to β = {largest / per_pixel:.1f}")
assert largest / per_pixel < 10 and largest < sigma_mse**2

# %% [markdown]
r"""
(Lesson 03b derives that threshold; `mse_loss` has σ² = 32.) The other kind of collapse comes by training. Early on
$\mathbf z$ is noise to the decoder, while the KL presses at once; if the decoder finds another way to lower the
loss, the code dies before it is of use. So give it one: let the mean of each pixel also be a linear function of the
pixels before it, as in lesson 01b.
"""

# %%
from course_lib.experiments.collapse_digits import LookingBack, each_kl, train

torch.manual_seed(0)
model = LookingBack()
z, x = torch.randn(1, 8, generator=rng), x0[:1]
changed = x.clone()
changed[0, 0, 4, 0] = -x[0, 0, 4, 0]  # pixel 32 of 64
with torch.no_grad():
    model.before.normal_(generator=rng)
    means = [model.decoder(z) + y.flatten(1) @ model.before.tril(-1).T for y in (x, changed)]
moved = (means[0] != means[1])[0]
assert not moved[:33].any() and moved[33:].all(), "only the pixels after it see the change"
print("eight latent numbers, and a decoder that looks back")

# %% [markdown]
r"""
Two cures are common. **Warm-up**: let the KL count from 0 to 1 in the first half of the training (Bowman et al.,
2016). **Free bits**: the first half nat of each latent number costs nothing (Kingma et al., 2016),

$$ \sum_j\max\bigl(\lambda,\ \overline{\mathrm{KL}}_j\bigr),\qquad \lambda = 0.5, $$

where the bar is the average over the batch. Recorded (`course record collapse-digits`), three seeds each, and the
same network without look-back:
"""

# %%
ways = {row["way"]: row for row in results("collapse-digits")["rows"]}
bound = {}
for way, row in ways.items():
    bound[way] = torch.tensor(row["rate"]) + torch.tensor(row["distortion"])
    spread = ", ".join(f"{b:.1f}" for b in bound[way])
    rates = ", ".join(f"{rate:.1f}" for rate in row["rate"])
    print(f"{way:>12}: rate {rates}   −ELBO {spread}   active {row['active']}")
assert max(ways["plain"]["active"]) <= 4 and min(ways["free bits"]["active"]) == 8
assert (bound["warm-up"] < bound["plain"]).all()
assert min(ways["warm-up"]["rate"]) > max(ways["plain"]["rate"])
assert min(ways["no look-back"]["rate"]) > max(ways["plain"]["rate"])

# %%
one = train("free bits", seed=1, steps=1500)
kl_here = each_kl(one)
print([f"{kl:.2f}" for kl in kl_here], "nats for each latent number, here and now")
assert kl_here.min() > 0.3 and ways["plain"]["kl"][1][-1] < 0.01

# %% tags=["hide-input"]
fig, axes = plt.subplots(1, 4, figsize=(8.6, 3.1), sharey=True)
for ax, (way, row) in zip(axes, ways.items(), strict=True):
    kl = torch.tensor(row["kl"])
    ax.bar(range(1, 9), kl.mean(0), color=show.tint("learned", 0.4), width=0.7)
    for seed, mark in zip(kl, "os^", strict=True):
        ax.plot(range(1, 9), seed, mark, color=show.colour("data"), markersize=5)
    ax.set(title=way, xlabel="latent number", xticks=(1, 4, 8))
axes[0].set_ylabel("KL, nats")
show.title(fig, "Plain training with look-back says least with its code")
alt = (
    "Bars of the KL of eight latent numbers, three seeds: plain has the least, free bits uses all."
)
show.figure(fig, alt)

# %% [markdown]
r"""
Which cure is better depends on what you want. Free bits keep all eight numbers in use, and the bound gains little
or nothing: a number that is kept alive need not be useful. Warm-up revives one or two, brings the rate back to what
it is without look-back, and every seed ends with a better bound than plain training.
"""

# %% [markdown]
r"""
## 7 · Why the pictures are blurred

Take a place $\mathbf z$. Which training images could have been sent there? Each one with the weight
$q(\mathbf z\mid\mathbf x_i)$. The decoder has to answer with one picture for all of them, and a Gaussian decoder is
judged by the squared error. The best answer is their weighted average:

$$ \mathbf f^*(\mathbf z) = \frac{\sum_i q(\mathbf z\mid\mathbf x_i)\,\mathbf x_i}{\sum_i q(\mathbf z\mid\mathbf x_i)} $$

So a perfect decoder blurs, if the code leaves open what the picture was. Compare it with your own:
"""

# %%
z = torch.randn(500, 2, generator=rng)
weight = Normal(mu, std).log_prob(z[:, None]).sum(2).softmax(1)  # (500, 1297)
average = (weight @ x0.flatten(1)).view(-1, 1, 8, 8)
blended_images = 1 / weight.square().sum(1)
heaviest = x0[weight.argmax(1)]


def apart(a, b):
    return (a - b).square().mean().sqrt().item()


print(f"images behind a place of your map: {blended_images.median():.0f} in the median")
print(f"decoder to the average {apart(vae.decode(z), average):.2f}, "
      f"to the heaviest image {apart(vae.decode(z), heaviest):.2f} (RMS per pixel)")  # fmt: skip
assert blended_images.median() > 5 and apart(vae.decode(z), average) < 0.6 * apart(
    vae.decode(z), heaviest
)

# %% [markdown]
r"""
That it is the best answer can be tested: on codes of the training images, no picture has a smaller squared error.
Yours does not, nor does the average shifted by 0.02. (In nats your decoder is better than the average, since its
outer bins are open: where it is sure of black it may answer far below −1.)
"""


# %%
def squared_error(answer, z):
    return (answer(z) - x0).square().flatten(1).sum(1).mean().item()


def best_answer(z):
    weight = Normal(mu, std).log_prob(z[:, None]).sum(2).softmax(1)
    return (weight @ x0.flatten(1)).view(-1, 1, 8, 8)


sent = mu + std * torch.randn(mu.shape, generator=rng)
errors = {"average": squared_error(best_answer, sent), "decoder": squared_error(vae.decode, sent)}
errors["shifted"] = squared_error(lambda z: best_answer(z) + 0.02, sent)
print({name: f"{error:.2f}" for name, error in errors.items()})
assert errors["average"] == min(errors.values()) < 7.5

# %% tags=["hide-input"]
near = weight.topk(3, dim=1).indices
chosen = torch.arange(8)
pictures = {"decoder": vae.decode(z[chosen]), "average": average[chosen]}
pictures |= {f"image no. {i + 1}": x0[near[chosen, i]] for i in range(3)}
fig = show.rows(pictures, size=0.72, title="The decoder draws what its images have in common")
show.figure(
    fig,
    "Five rows of eight pictures: what the decoder draws at eight random places, the weighted "
    "average of the training images, nearly the same, and the three heaviest images, which are "
    "sharp.",
)

# %% [markdown]
r"""
Is a sample then the mean, or the mean with noise? To the model an image is
$\mathbf x\sim p(\mathbf x\mid\mathbf z)$, a draw for each pixel *on its own*. Everybody shows the mean, and so do we,
but the bound is about the draw. It restores the missing variance without knowing where edges are: grain. Two numbers
of lesson 15 see both sides: **precision**, the share of samples that look real, and **recall**, the share of real
images that look like samples.
"""

# %%
smooth, rough = generate(vae, 1000), generate(vae, 1000, drawn=True)
judged = {"mean": quality(smooth, "digits"), "drawn": quality(rough, "digits")}
for name, found in judged.items():
    print(f"{name:>5}: precision {found.precision.mean:.2f}, recall {found.recall.mean:.2f}")
real = judged["mean"]
print(f" real: precision {real.precision.real:.2f}, recall {real.recall.real:.2f}")
assert judged["mean"].precision.mean > judged["drawn"].precision.mean + 0.1
assert judged["mean"].recall.mean < judged["drawn"].recall.mean - 0.1

# %% tags=["hide-input"]
fig = show.rows(
    {"mean": smooth[:8], "drawn": rough[:8], "real": unseen.x0[:8]},
    title="Too smooth, too rough, and real",
)
show.figure(fig, "Three rows of eight digits: blurred means, grainy draws, and real ones.")

# %% [markdown]
r"""
## 8 · Ask for a digit

A class $y$ can be told to both networks (Sohn, Lee and Yan, 2015), and every line of the bound gets a condition:

$$ \log p(\mathbf x\mid y)\ \ge\ \mathbb E_{q(\mathbf z\mid\mathbf x, y)}\bigl[\log p(\mathbf x\mid\mathbf z, y)\bigr]
   - D_{\mathrm{KL}}\bigl(q(\mathbf z\mid\mathbf x,y)\,\Vert\,\mathcal N(\mathbf 0,\mathbf I)\bigr) $$

In code, ten more inputs to each network, nine zeros and a one. What is left for $\mathbf z$ to say? All that the
class does not: slant, weight, style. In the figure each column is one $\mathbf z$, each row a digit, and the
columns are sorted by the ink of the twos. Does the same code mean much ink in every class?
"""

# %%
conditional = load_trained("cvae-digits").model
styles = torch.randn(1000, 8, generator=rng)
asked = torch.tensor([2, 5, 8])
table = torch.stack([conditional.decode(styles, torch.full((1000,), y)) for y in asked])
ink = table.mean((2, 3, 4))  # (3, 1000)
correlation = torch.corrcoef(ink)
print(f"ink of twos with fives {correlation[0, 1]:.2f}, with eights {correlation[0, 2]:.2f}")
assert correlation.min() > 0.7
order = ink[0, :10].argsort()
shown = eye.logits(table[:, :10].flatten(0, 1)).argmax(1).view(3, 10)
assert (shown == asked[:, None]).double().mean() > 0.8, "each row shows its digit"

# %% tags=["hide-input"]
fig = show.rows(
    {f"y = {y}": row[order] for y, row in zip(asked, table, strict=True)},
    size=0.68, title="The class says what, the code says how",
)  # fmt: skip
show.figure(
    fig,
    "Three rows of ten digits, twos, fives and eights; from left to right all three get more ink.",
)

# %% [markdown]
r"""
Does it draw what it was asked for? The judge is the independent classifier. And with
$p(y\mid\mathbf x)\propto p(\mathbf x\mid y)\,p(y)$ the model is a classifier itself, a *generative* one in the
sense of lesson 01: which class makes the image most probable?
"""

# %%
wanted = torch.arange(1000) % 10
found = condition_accuracy(generate(conditional, 1000, cond=wanted), wanted, "digits")
print(f"as asked: {found.accuracy:.1%} ± {found.standard_error:.1%}")
log_p = torch.stack([
    conditional.log_prob(unseen.x0, rng, 16, torch.full((500,), y)) for y in range(10)
])  # fmt: skip
right = (log_p.argmax(0) == unseen.label).double().mean().item()
print(f"as a classifier of unseen digits: {right:.1%}")
assert found.accuracy > 0.95 and right > 0.95

# %%
ratios = {name: load_trained(name).card["scores"]["quality"]["over_seeds"]["mean"]
          for name in ("vae-digits", "cvae-digits")}  # fmt: skip
print({name: f"FD ratio {ratio:.2f}" for name, ratio in ratios.items()})
assert ratios["cvae-digits"] < 0.7 * ratios["vae-digits"]

# %% [markdown]
r"""
With 8 latent numbers instead of 16, and a class, the conditional model's images are also better as a set: within a
class the prior has fewer holes to fall into.

**So far:** a blurred sample is an average over all that a small code leaves open. Tell the model the class, and
less is left open.
"""

# %% [markdown]
r"""
## Exercises

### Exercise 03.1 · Black and white (10 minutes)

`logit` (batch, d) is what a Bernoulli decoder returns: the chance that a pixel is white is the sigmoid of it. `x`
(batch, d) holds ones for white and zeros for black. Return $\log P(\mathbf x)$ of each image, (batch,). The logits
can be as large as 500.
"""


# %%
def binary_log_likelihood(logit, x):
    # your code
    ...


check("03.1", binary_log_likelihood)

# %% [markdown]
r"""
### Exercise 03.2 · The best σ (15 minutes)

`x` and `x_hat`, both (batch, d), are images and what a decoder made of them. Return two numbers: the $\sigma$ for
which a Gaussian decoder (not discretized) finds these images most probable, and what it then pays for an image on
average, $-\log\mathcal N(\mathbf x;\hat{\mathbf x},\sigma^2\mathbf I)$ in nats.
"""


# %%
def best_gaussian(x, x_hat):
    # your code
    ...


check("03.2", best_gaussian)

# %% [markdown]
r"""
### Exercise 03.3 · The loss (20 minutes)

`mu`, `logvar`, `eps` are (batch, k), `x` is (batch, d); `decode` turns (batch, k) into (batch, d), and `sigma` is a
number. Return −ELBO, averaged over the batch, for a Gaussian decoder; leave out its constant
$\frac d2\log(2\pi\sigma^2)$. The gradient must reach `mu`, `logvar` and the decoder.
"""


# %%
def vae_loss(mu, logvar, decode, x, eps, sigma):
    # your code
    ...


check("03.3", vae_loss)

# %% [markdown]
r"""
### Exercise 03.4 · Active numbers (10 minutes)

`mu`, (images, k), holds the encoder's means for a whole data set. Return how many of the k latent numbers are
active: those whose variance over the images exceeds 0.01.
"""


# %%
def active_units(mu):
    # your code
    ...


check("03.4", active_units)

# %% [markdown]
r"""
### Exercise 03.5 · Free bits (10 minutes)

`kl`, (batch, k), holds the KL of each image and each latent number. Return what is paid when the first `lam` nats
of every latent number, averaged over the batch, are charged at a flat rate of `lam`: the sum of section 6.
"""


# %%
def free_bits(kl, lam):
    # your code
    ...


check("03.5", free_bits)

# %% [markdown]
r"""
### Exercise 03.6 · A generative classifier (10 minutes)

`log_p`, (batch, classes), holds $\log p(\mathbf x\mid y)$ from a conditional VAE, between −100 and −2,000; `prior`,
(classes,), holds $p(y)$. Return $p(y\mid\mathbf x)$, (batch, classes).
"""


# %%
def class_probabilities(log_p, prior):
    # your code
    ...


check("03.6", class_probabilities)

# %% [markdown]
r"""
### Exercise 03.7 · The check that catches a wrong loss (20 minutes)

Somebody wrote a function `loss(mu, logvar, decode, x, eps, sigma)` for exercise 03.3. Write the check: return
`True` if it can be right and `False` if it can't. You choose all arguments, also the decoder. Look for settings in
which you know the loss without the formula, and don't forget the gradient.
"""


# %%
def is_vae_loss(loss):
    # your code
    ...


check("03.7", is_vae_loss)

# %% [markdown]
r"""
Stuck? `hint("03.7")` helps a little, and again a little more; `solution("03.7")` shows ours.

## What to remember

1. $\mathcal L = \mathbb E_q\bigl[-\log p_\theta(\mathbf x\mid\mathbf z)\bigr]
   + D_{\mathrm{KL}}\bigl(q_\phi(\mathbf z\mid\mathbf x)\,\Vert\,\mathcal N(\mathbf 0,\mathbf I)\bigr)$, with
   $\mathbf z = \boldsymbol\mu_\phi + \boldsymbol\sigma_\phi\,\boldsymbol\epsilon$.
2. $-\log\mathcal N(\mathbf x;\hat{\mathbf x},\sigma^2\mathbf I) = \lVert\mathbf x-\hat{\mathbf x}\rVert^2/(2\sigma^2)
   + \frac d2\log(2\pi\sigma^2)$: the squared error has a weight. Learn it.
3. KL = information + mismatch: what the code tells, and how badly the prior fits the codes.

Lesson 03b replaces the prior by a chain, and measures a VAE on MNIST as papers do. Lesson 05 gives up the
likelihood for sharp pictures, and lesson 07 keeps it, with a chain of a thousand latents in which nothing is left
open at once.

## References

- Koirala, *Diffusion Models* (notes, 2022); Velasco-Forero, *Introduction to Diffusion Models* (2023).
- Kingma, Welling: *Auto-Encoding Variational Bayes*, 2014; Rezende, Mohamed, Wierstra: *Stochastic Backpropagation and
  Approximate Inference in Deep Generative Models*, 2014.
- Sohn, Lee, Yan: *Learning Structured Output Representation using Deep Conditional Generative Models*, 2015.
- Hoffman, Johnson: *ELBO Surgery*, 2016. Higgins et al.: *beta-VAE*, 2017.
- Bowman et al.: *Generating Sentences from a Continuous Space*, 2016 (warm-up). Kingma et al.: *Improving Variational
  Inference with Inverse Autoregressive Flow*, 2016 (free bits). Burda, Grosse, Salakhutdinov: *Importance Weighted
  Autoencoders*, 2016 (active units).
- Loaiza-Ganem, Cunningham: *The Continuous Bernoulli*, 2019.
- Digits: Alpaydin and Kaynak, 1998, CC BY 4.0. MNIST: LeCun, Cortes and Burges.
"""
