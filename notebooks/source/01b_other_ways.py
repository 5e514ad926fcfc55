# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
# ---

# %% [markdown]
r"""
# 01b · Other ways: a classifier backwards, pixel by pixel, and energies

**After this lesson you can**
- run a classifier backwards, and say why what comes out is not a sample of anything;
- build a network that may look only at earlier pixels, and read an exact likelihood off it;
- sample pixel by pixel, and say what it costs;
- name what stops an energy-based model: one number that nobody can compute.

**Before:** lesson 01. **Time:** 45 minutes, and 45 more for the five exercises.
**Follows:** Das and Varma, the opening pages; Koirala's list of generative models.
"""

# %%
import itertools
import math

import matplotlib.pyplot as plt
import torch
from ipywidgets import FloatSlider
from torch.nn import functional as F

from course_lib import data, show
from course_lib.agree import agree, agree_mean
from course_lib.exercises import check, hint, solution
from course_lib.metrics import nearest_distance
from course_lib.models import Autoregressive, generate
from course_lib.training import load_trained

rng = torch.Generator().manual_seed(12)
digits = data.load("digits")
x0, label, unseen = digits.train.x0, digits.train.label, digits.held_out.x0

# %% [markdown]
r"""
One model of this lesson in a picture: it paints a digit from the top left to the bottom right, and decides on each
pixel once it has seen all pixels before it. Each column is two rows of pixels further on.
"""

# %%
painter = load_trained("pixels-digits").model
painted = generate(painter, 4, seed=6)


def first(pixels, images):
    """The images as they were when so many pixels had been drawn; the others are grey."""
    partly = images.flatten(1).clone()
    partly[:, pixels:] = 0.4
    return partly.view_as(images)


# %% tags=["hide-input"]
stages = torch.stack([first(n, painted) for n in (0, 16, 32, 48, 64)], 1).flatten(0, 1)
message = "Each pixel is drawn from those before it"
fig = show.grid(stages, columns=5, width=6, title=message)
show.figure(
    fig,
    "Four rows, one for each digit, and five columns: from an empty grey square the digit appears "
    "row by row from the top, until it is complete in the last column.",
)

# %% [markdown]
r"""
## 1 · A classifier run backwards

Das and Varma begin with an older trick. A ConvNet that was trained to *recognize* digits turns a picture into ten
scores. Hold the network fixed, and move the **picture** uphill on one score, by gradient ascent:

$$ \mathbf x \leftarrow \mathbf x + \eta\,\nabla_{\mathbf x}\log p(y\mid\mathbf x) $$

Each step is brought to the same length, and the picture kept in $[-1, 1]$. If the network knows what a three is,
should the picture that it finds most like a three not be one? The classifier here is the one that measures FD ratios;
it recognizes more than 99 % of the unseen digits.
"""

# %%
eye = load_trained("features-digits").model
recognized = (eye.logits(unseen).argmax(1) == digits.held_out.label).float().mean()
print(f"{recognized:.1%} of the unseen digits are recognized")
assert recognized > 0.99


def uphill(x, y, prior=None, steps=50, rate=0.1):
    """Gradient ascent on log p(y | x), and on a little of log p(x) where a prior is given."""
    for _ in range(steps):
        x = x.detach().requires_grad_()
        score = eye.logits(x).log_softmax(1)[torch.arange(len(y)), y].sum()
        if prior is not None:
            score = score + 0.01 * prior.log_prob(x).sum()
        (slope,) = torch.autograd.grad(score, x)
        x = (x + rate * slope / slope.flatten(1).norm(dim=1).view(-1, 1, 1, 1)).clamp(-1, 1)
    return x.detach()


# %% [markdown]
r"""
**Predict first.** Ten pictures of grey noise, one for each class, walk uphill. How certain is the network in the end,
and what do you see?

<details><summary>Answer</summary>

It is completely certain, more so than of most real digits. And you see noise, changed a little everywhere; a zero or
a one may shine through. The network was never asked what a three looks like, only what tells a three from the other
nine.

</details>
"""

# %%
classes = torch.arange(10)
noise = 0.5 * torch.randn(3, 10, 1, 8, 8, generator=rng).clamp(-2, 2)
free = uphill(noise[0], classes)
chosen = torch.stack([unseen[digits.held_out.label == k][0] for k in range(10)])
for name, images in (("noise, uphill", free), ("real digits", chosen)):
    certain = eye.logits(images).softmax(1)[classes, classes].mean()
    off = nearest_distance(images, x0).mean()
    print(f"{name:14} certainty {certain:.4f}, distance to the nearest digit {off:.2f}")

# %%
away, usual = (nearest_distance(images, x0).mean() for images in (free, chosen))
assert eye.logits(free).softmax(1)[classes, classes].min() > 0.99 and away > 2 * usual

# %% [markdown]
r"""
What is missing is a **prior**: something that knows what images look like. The simplest one is at hand, the Gaussian
of lesson 01. Add a little of its $\nabla_{\mathbf x}\log p(\mathbf x)$ to each step.
"""

# %%
pca = load_trained("pca-gaussian-digits").model
once, again, third = (uphill(start, classes, pca, steps=200) for start in noise)
print(f"with a prior: distance to the nearest digit {nearest_distance(once, x0).mean():.2f}")
assert nearest_distance(once, x0).mean() < 0.6 * away
assert eye.logits(once).softmax(1)[classes, classes].min() > 0.9

# %% tags=["hide-input"]
rows = {"no prior": free, "with a prior": once, "another start": again, "real": chosen}
fig, axes = plt.subplots(4, 1, figsize=(8, 3.5))
for ax, (name, images) in zip(axes, rows.items(), strict=True):
    show.picture(ax, show.tiles(images, 10))
    ax.set_ylabel(name, rotation=0, ha="right", va="center")
show.title(fig, "Without a prior noise, with one the ghost of a digit")
show.figure(
    fig,
    "Four rows of ten pictures, from zero to nine: noise in which at most a zero or a one can be "
    "seen; twice nearly the same soft grey ghosts of digits, from two starts; and ten real "
    "digits.",
)

# %% [markdown]
r"""
Nearly digits. So is that a generative model? The rows with a prior started from different noise, and most of their
pictures are the **same**. The search climbs to one of very few best pictures of each class, while a sample is one of
many. How different are two ends, in the median over classes and pairs of three starts, and how different two real
digits of a class?
"""

# %%
pairs = ((once, again), (once, third), (again, third))
ends = [(a - b).flatten(1).square().mean(1).sqrt() for a, b in pairs]
between_starts = torch.stack(ends).median()
real = [torch.pdist(x0[label == k].flatten(1)).median() / 8 for k in range(10)]
between_real = torch.stack(real).median()
print(
    f"RMS difference per pixel: two starts {between_starts:.2f}, two real digits {between_real:.2f}"
)
assert between_starts < 0.1 * between_real

# %% [markdown]
r"""
To get many, the walk would have to be shaken with the right amount of noise at each step. Lesson 04b does that, and
lesson 11 comes back to this very gradient: with a diffusion model as the prior it is called *classifier guidance*.
"""

# %% [markdown]
r"""
## 2 · One pixel at a time

Here is a model that assumes nothing at all. Any joint distribution is a product of conditional ones, by the chain
rule:

$$ p(\mathbf x) = \prod_{i=1}^{64} p(x_i\mid x_1,\dots,x_{i-1}) $$

(Koirala files these models under Bayesian networks: every earlier pixel is a parent of the next.) Each factor is a
classification: which of the 17 grey levels does the next pixel have, given the ones before? One network can give all
64 answers at once, if it is built so that the answer for pixel $i$ *cannot* see pixel $i$ or any later one. Cut a
convolution's kernel:
"""

# %%
first_mask = torch.ones(5, 5)
first_mask[2, 2:] = 0
first_mask[3:] = 0
print(first_mask.int())
agree("the mask of the model that ships", painter.net.first.mask, first_mask, atol=0)

# %% [markdown]
r"""
The first layer must not see the pixel itself. Later layers may look at their own place, since what stands there was
computed from earlier pixels only. This is a PixelCNN (van den Oord and others, 2016). Is the network blind to the
future? Ask autograd. Whole numbers have no gradient, so we feed the one-hot image in; the gradient of an answer with
respect to each input pixel must be exactly 0 from that pixel on.
"""

# %%
torch.manual_seed(0)
tiny = Autoregressive((1, 8, 8), levels=17, width=24, depth=3)
level = torch.randint(17, (1, 8, 8), generator=rng)


def seen_by(net, i):
    """Which pixels the answer for pixel i depends on, (64,)."""
    one_hot = F.one_hot(level, 17).movedim(-1, 1).float().requires_grad_()
    h = net.first(one_hot)
    for layer in net.layers:
        h = h + layer(F.silu(h))
    answer = net.out(F.silu(h)).flatten(2)[0, :, i].sum()
    return torch.autograd.grad(answer, one_hot)[0].abs().sum(1).flatten() > 0


# %%
sees = torch.stack([seen_by(tiny.net, i) for i in range(64)])
agree("answers that see their own pixel or a later one", sees.triu().sum(), 0, atol=0)
print(f"three layers: pixel 63 sees {sees[63].sum()} of the 63 before it")

at_56, at_63 = seen_by(painter.net, 56), seen_by(painter.net, 63)
print(f"five layers: pixel 63 sees {at_63.sum()}, but pixel 56 only {at_56.sum()} of 56")

# %% tags=["hide-input"]
from matplotlib.colors import ListedColormap

kinds = torch.where(torch.arange(64) > 56, 0, torch.where(at_56, 2, 1))
kinds[56] = 3
shades = [show.tint("noise", 0.08), show.tint("noise"), show.tint("signal"), show.colour("learned")]
fig, ax = plt.subplots(figsize=(6.6, 3.6))
ax.imshow(kinds.view(8, 8), cmap=ListedColormap(shades))
for row, word in ((1, "seen"), (5, "blind spot"), (7, "itself, and the future")):
    ax.text(8, row, word, va="center")
ax.set(xticks=[], yticks=[])
show.title(fig, "What pixel 56, the first of the last row, can see")
show.figure(
    fig,
    "A board of 8 by 8 pixels: the one in the lower left corner, the future right of it, the seen "
    "pixels above it, and a triangle on the right that is not seen.",
)

# %% [markdown]
r"""
Small kernels see far only in many layers, and a cut kernel never sees what lies to the upper right of its reach. That
**blind spot** weakens the model; it doesn't make it wrong: every factor is still a probability.

Are they? And do the probabilities of all images add up to one? On a tiny image, $2\times 2$ pixels of 3 levels, all
$3^4 = 81$ images can be **enumerated**.
"""

# %%
torch.manual_seed(1)
very_tiny = Autoregressive((1, 2, 2), levels=3, width=8, depth=2)
every = torch.tensor(list(itertools.product((-1.0, 0.0, 1.0), repeat=4))).view(-1, 1, 2, 2)
with torch.no_grad():
    log_p = very_tiny.log_prob(every)
agree("the probabilities of all 81 images add up to", log_p.exp().sum(), 1.0, atol=1e-5)

drawn = generate(very_tiny, 20_000, seed=0)
found = (drawn[:, None] == every).flatten(2).all(-1).float()
agree_mean("and its samples come as often as it says", found, log_p.exp())

# %% [markdown]
r"""
Training needs one call of the network for a whole batch, since all pixels before are known. The loss *is*
$-\log p(\mathbf x)$, and nothing is approximated. A few seconds of it:
"""

# %%
torch.manual_seed(2)
model = Autoregressive((1, 8, 8), levels=17, width=32, depth=4)
optimizer = torch.optim.AdamW(model.parameters(), lr=4e-3)
losses = []
for step in range(1, 301):
    optimizer.param_groups[0]["lr"] = 4e-3 * (1 - step / 301)
    batch = x0[torch.randint(len(x0), (64,), generator=rng)]
    loss = model(batch)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    losses.append(loss.item() / (64 * math.log(2)))
assert abs(losses[0] - math.log2(17)) < 0.2
print(f"bits per pixel: {losses[0]:.2f} at first, {sum(losses[-20:]) / 20:.2f} in the end")

# %% [markdown]
r"""
### Bits per pixel

How good is that? A likelihood of discrete images has a unit: the **bits** that a perfect code would need for a pixel,
$-\log_2 p(\mathbf x)/64$. Guessing blindly costs $\log_2 17 = 4.09$ bits. Every model of the course that has a
likelihood is on this scale; here with the one that ships, which trained longer, and with *dropout*: each step hides
some channels, so that 1,297 digits are not learned by heart.
"""

# %%
naive = load_trained("naive-bayes-digits").model
with torch.no_grad():
    bits = {
        "guessing": torch.full((500,), math.log2(17)),
        "naive Bayes": naive.bits_per_dim(unseen, 17, rng),
        "300 steps": model.bits_per_dim(unseen, 17, rng),
        "pixels-digits": painter.bits_per_dim(unseen, 17, rng),
    }
for name, each in bits.items():
    print(f"{name:14} {each.mean():.3f} ± {each.std() / math.sqrt(500):.3f} bits per pixel")
card = load_trained("pixels-digits").card["scores"]["bits_per_dim"]["mean"]
agree("as its card says", bits["pixels-digits"].mean(), card, atol=1e-3)
assert bits["pixels-digits"].mean() < bits["300 steps"].mean() < bits["naive Bayes"].mean() < 4.08

# %% [markdown]
r"""
### Sampling costs 64 calls

Draw the first pixel, then the second once the first is known, and so on. No step can be skipped, and no two can run
in parallel.
"""

# %%
calls = 0


def count(*_):
    global calls
    calls += 1


hook = model.net.register_forward_hook(count)
mine = generate(model, 16, seed=0)
hook.remove()
print(f"{calls} calls for digits of 8 × 8 pixels; a colour photo of 512 × 512: {512 * 512 * 3:,}")
assert calls == 64

# %% tags=["hide-input"]
both = torch.cat([mine[:8], generate(painter, 8, seed=0)])
shares = [bits[name].mean() for name in ("300 steps", "pixels-digits")]
message = f"Above {shares[0]:.2f} bits per pixel, below {shares[1]:.2f}"
frames = [show.grid(first(n, both), columns=8, width=7, title=message) for n in range(0, 65, 4)]
show.film(
    frames,
    "Two rows of eight grey squares fill with pixels, row by row from the top. In the end there "
    "are strokes above, of which few are digits, and below digits that can mostly be read.",
)

# %% [markdown]
r"""
### A good likelihood, or a good picture?

As far as the bound of the mixture can tell (its density is spread over bins, lesson 04), this model finds unseen
digits the most probable of all so far. Are its samples the best, too? Here are the figures that `course evaluate`
measured and wrote into the models' cards, each over three sets of 2,000 samples.
"""

# %%
scores = {}
for name in ("pixels-digits", "mixture-digits", "naive-bayes-digits"):
    card = load_trained(name).card["scores"]
    scores[name] = card["bits_per_dim"]["mean"], card["quality"]["over_seeds"]["mean"]
    print(f"{name:20} {scores[name][0]:.2f} bits per pixel, FD ratio {scores[name][1]:.2f}")
assert min(scores, key=lambda name: scores[name][0]) == "pixels-digits"
assert min(scores, key=lambda name: scores[name][1]) == "mixture-digits"

# %% [markdown]
r"""
They are not. A likelihood asks whether the model finds *real* digits probable; the FD ratio asks whether its *own*
digits look real. Keep the two apart: every comparison of generative models rests on it.
"""

# %% [markdown]
r"""
> **On the slide.** Das and Varma write the recursion with $\arg\max_i\,p_\theta(x_i\mid x_1,\dots,x_{i-1})$. The
> maximum should be over the grey value, not over the index $i$; and even so, the most probable grey value each time
> gives the **same image every time**, while a sample *draws* from the conditional. The test: count the different
> images in a hundred. (`temperature=0` takes the maximum.)
"""

# %%
drawn = generate(painter, 100, seed=1)
greedy = generate(painter, 100, seed=1, temperature=0.0)
print(f"different images: {len(drawn.unique(dim=0))} drawn, {len(greedy.unique(dim=0))} by argmax")
assert len(greedy.unique(dim=0)) == 1 and len(drawn.unique(dim=0)) == 100

# %% [markdown]
r"""
Is the one image at least the best one? It is more probable than each of the hundred samples, and still not the most
probable: to choose pixel by pixel is greedy. Nor would the most probable image be a typical one, just as a coin that
shows heads six times in ten hardly ever shows a hundred heads in a row.
"""

# %%
cool = generate(painter, 100, seed=1, temperature=0.1)
with torch.no_grad():
    of_greedy = painter.bits_per_dim(greedy[:1], 17, rng).item()
    of_drawn, of_cool = (painter.bits_per_dim(images, 17, rng).min() for images in (drawn, cool))
print(f"bits per pixel: {of_greedy:.2f} by argmax, {of_drawn:.2f} or more for samples")
print(f"and {of_cool:.2f} for the best of a hundred draws that nearly choose")
assert of_cool < of_greedy < of_drawn

# %% [markdown]
r"""
Between the two lies a **temperature** $\tau$: divide the scores by it before the softmax. At 1 the model samples what
it learned; near 0 it always takes the favourite; above 1 it becomes careless. Language models have the same knob.
"""


# %%
def at_temperature(*taus):
    rows = [generate(painter, 8, seed=2, temperature=tau) for tau in taus]
    fig, axes = plt.subplots(len(taus), 1, figsize=(7, 0.85 * len(taus)), squeeze=False)
    for ax, row, tau in zip(axes[:, 0], rows, taus, strict=True):
        show.picture(ax, show.tiles(row, 8))
        ax.set_ylabel(f"{tau:.1f}", rotation=0, ha="right", va="center")
    return fig


fig = at_temperature(0.0, 0.3, 1.0, 2.0)
show.title(fig, "Colder: all alike. Hotter: rubble")
show.figure(
    fig, "Four rows of digits at temperature 0, 0.3, 1 and 2: equal; alike; varied; broken."
)


# %%
def one_temperature(tau):
    images = generate(painter, 16, seed=2, temperature=tau)
    return show.grid(images, columns=8, width=7, title=f"Sixteen digits at temperature {tau:.1f}")


show.widget(
    one_temperature,
    "Two rows of eight digits sampled at temperature 1: different digits, most of which can be "
    "read.",
    tau=FloatSlider(1, min=0, max=2, description="temperature", continuous_update=False),
)

# %% [markdown]
r"""
**So far:** exact likelihood, honest training, and one network call for every pixel. Language models accept the price;
for images it is one reason why the rest of this course exists.
"""

# %% [markdown]
r"""
## 3 · Energies, and the number that stops them

One more way is on Koirala's list. Let any function $E(\mathbf x)$ say how *implausible* an image is, and turn it into
a probability:

$$ p(\mathbf x) = \frac{e^{-E(\mathbf x)}}{Z},\qquad Z = \sum_{\mathbf x'} e^{-E(\mathbf x')} $$

Any network can be $E$: no masks, no order. An early one is the **Boltzmann machine** (Ackley, Hinton, Sejnowski,
1985). Without hidden units, as here, physicists call it the Ising model: for pixels that are $\pm1$:
$E(\mathbf x) = -\tfrac12\,\mathbf x^\top\mathbf J\,\mathbf x$, where $J_{ij}$ says whether pixels $i$ and $j$ like to
be equal. Here on a $3\times 4$ picture, each pixel coupled to its neighbours.
"""

# %%
rows, columns = 3, 4
J = torch.zeros(12, 12)
for i, j in itertools.product(range(rows), range(columns)):
    for di, dj in ((0, 1), (1, 0)):
        if i + di < rows and j + dj < columns:
            a, b = columns * i + j, columns * (i + di) + j + dj
            J[a, b] = J[b, a] = 0.5

# %%
assert J.equal(J.T) and (J > 0).sum() == 2 * (3 * 3 + 2 * 4)
every = torch.tensor(list(itertools.product((-1.0, 1.0), repeat=12)))
energy = -0.5 * ((every @ J) * every).sum(1)
Z = (-energy).exp().sum()
p = (-energy).exp() / Z
print(f"{len(every):,} pictures, Z = {Z:.4g}; the most probable two: {p.max():.3f} each")
assert (p > 0.999 * p.max()).sum() == 2

# %% [markdown]
r"""
Learning means lowering the energy of the data and raising it where the model itself expects images; that second part
is in $Z$. In one line, with $\theta$ the couplings:

$$ \nabla_\theta\log p(\mathbf x) = -\nabla_\theta E(\mathbf x) + \mathbb E_{\mathbf x'\sim p}\bigl[\nabla_\theta E(\mathbf x')\bigr] $$

The second term needs samples of the model itself. With 4,096 pictures both sides can be computed:
"""

# %%
J_free = J.clone().requires_grad_()
energies = -0.5 * ((every @ J_free) * every).sum(1)
log_p = -energies[5] - (-energies).logsumexp(0)
(left,) = torch.autograd.grad(log_p, J_free, retain_graph=True)
outer = -0.5 * every[:, :, None] * every[:, None, :]  # the gradient of E with respect to J
right = -outer[5] + torch.einsum("n,nij->ij", p, outer)
agree("∇ log p = −∇E(x) + E_p[∇E]", left, right, atol=1e-5)

years = 17**64 / 1e9 / 3.15e7
print(f"digits of 8 × 8 pixels: {17**64:.1e} terms, {years:.0e} years at a billion a second")

# %% [markdown]
r"""
So $Z$ stops the likelihood, and it stops sampling, too: there is no $\mathbf z$ to draw and no first pixel, only a
walk that has to find the plausible places. Lesson 04b takes that walk (Langevin dynamics), and diffusion models
(lesson 09) do it with a trick: they learn the *slope* of $\log p$, in which the constant $Z$ is gone.

| | likelihood | calls for a sample | trains by |
|---|---|---|---|
| classifier backwards | none | hundreds, for one picture | nothing: it is no model of $\mathbf x$ |
| autoregressive | exact | one for each pixel | maximum likelihood |
| energy-based | up to $Z$ | a long walk | samples of itself |
"""

# %% [markdown]
r"""
## Exercises

### Exercise 01b.1 · One step uphill (10 minutes)

`classifier` turns images (batch, …) into scores (batch, classes). Return `x + rate * ∇ log p(y | x)`, each image with
its own `y`, (batch,); the gradient as it is, without bringing it to a length.
"""


# %%
def ascend(classifier, x, y, rate):
    # your code
    ...


check("01b.1", ascend)

# %% [markdown]
r"""
### Exercise 01b.2 · The mask (10 minutes)

Return the mask of a kernel of `size` × `size` (odd): 1 where a pixel may look, row by row from the top left, and 0
elsewhere. `itself` says whether it may see the pixel in the middle.
"""


# %%
def causal_mask(size, itself):
    # your code
    ...


check("01b.2", causal_mask)

# %% [markdown]
r"""
### Exercise 01b.3 · The likelihood, read off (10 minutes)

`logits`, (batch, levels, h, w), are the network's answers, and `level`, (batch, h, w), the grey values of the images.
Return the bits per pixel of each image, (batch,).
"""


# %%
def bits_per_pixel(logits, level):
    # your code
    ...


check("01b.3", bits_per_pixel)

# %% [markdown]
r"""
### Exercise 01b.4 · Draw, don't choose (5 minutes)

Turn scores into a grey value with a random number: `scores` is (batch, levels), `u`, (batch,), uniform in [0, 1).
Return the first level whose cumulative probability exceeds `u`, (batch,).
"""


# %%
def draw_level(scores, u):
    # your code
    ...


check("01b.4", draw_level)

# %% [markdown]
r"""
### Exercise 01b.5 · The check that catches a network that peeks (10 minutes)

`network` turns grey values, (batch, 8, 8) whole numbers in 0 … 16, into scores, (batch, 17, 8, 8). Return `True` if
the scores at each pixel depend on earlier pixels only, row by row from the top left, and `False` if any of them sees
its own pixel or a later one. You can't look inside; you can only call it.
"""


# %%
def is_blind(network):
    # your code
    ...


check("01b.5", is_blind)

# %% [markdown]
r"""
## What to remember

1. $\nabla_{\mathbf x}\log p(y\mid\mathbf x)$ leads to what convinces a classifier, not to what is in the world.
2. $p(\mathbf x) = \prod_i p(x_i\mid x_1,\dots,x_{i-1})$: exact, and one network call for each pixel.
3. $p(\mathbf x) = e^{-E(\mathbf x)}/Z$: any network, and a sum that nobody can compute.

Lesson 02 goes on with latent variables, and with a bound for the integral that stopped us.

## References

- S. Das and S. Varma, *Image Generation Using Diffusion Models*; B. Koirala, *Diffusion Models* (notes, 2022).
- Simonyan, Vedaldi, Zisserman: *Deep Inside Convolutional Networks*, 2014.
- van den Oord, Kalchbrenner, Kavukcuoglu: *Pixel Recurrent Neural Networks*, 2016.
- Ackley, Hinton, Sejnowski: *A Learning Algorithm for Boltzmann Machines*, 1985.

*Text and figures: CC BY 4.0; code: MIT.*
"""
