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
- run a classifier backwards, and say why what comes out is no sample of anything;
- build a network that may look only at the pixels before, and read an exact likelihood off it;
- sample pixel by pixel, and say what it costs;
- name what stops an energy-based model: one number that nobody can compute.

**Before:** lesson 01. **Time:** 55 minutes, and 35 more for the four exercises.
**Follows:** Das and Varma, the opening pages; Koirala's list of generative models.
"""

# %%
import itertools
import math

import matplotlib.pyplot as plt
import torch
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
One model of this lesson in a picture: it paints a digit from the top left to the bottom right, and decides on each pixel once it has seen all
pixels before it. Each column is twelve pixels further on.
"""

# %%
painter = load_trained("pixels-digits").model
painted = generate(painter, 6, seed=3)
stops = [0, 12, 24, 36, 48, 64]
half_done = []
for stop in stops:
    partly = painted.flatten(1).clone()
    partly[:, stop:] = 0.6
    half_done.append(partly.view_as(painted))

# %% tags=["hide-input"]
fig = show.grid(torch.stack(half_done, 1).flatten(0, 1), columns=6, width=6, title="Each pixel is drawn once those before it are known")
show.figure(
    fig,
    "Six rows, one for each digit, and six columns: from an empty grey square the digit appears row by row from the top, until it is "
    "complete in the last column.",
)

# %% [markdown]
r"""
## 1 · A classifier run backwards

Das and Varma begin with an older trick. A ConvNet that was trained to *recognize* digits turns a picture into ten scores. Hold the network fixed,
and move the **picture** uphill on one score, by gradient ascent:

$$ \mathbf x \leftarrow \mathbf x + \eta\,\nabla_{\mathbf x}\log p(y\mid\mathbf x) $$

If the network knows what a three is, should the picture that it finds most like a three not be one? The classifier here is the one that measures FD
ratios; it recognizes the unseen digits without a mistake.
"""

# %%
eye = load_trained("features-digits").model
recognized = (eye.logits(unseen).argmax(1) == digits.held_out.label).float().mean()
print(f"{recognized:.1%} of the unseen digits are recognized")


def uphill(x, y, steps=200, rate=0.05, smooth=0.0):
    """Gradient ascent on log p(y | x); smooth: how much a difference between neighbours costs."""
    for _ in range(steps):
        x = x.detach().requires_grad_()
        score = eye.logits(x).log_softmax(1)[torch.arange(len(y)), y].sum()
        rough = x.diff(dim=-1).square().sum() + x.diff(dim=-2).square().sum()
        (slope,) = torch.autograd.grad(score - smooth * rough, x)
        x = (x + rate * slope / slope.flatten(1).norm(dim=1).view(-1, 1, 1, 1)).clamp(-1, 1)
    return x.detach()


# %% [markdown]
r"""
**Predict first.** Ten pictures of grey noise, one for each class, walk uphill. How certain is the network in the end, and what do you see?

<details><summary>Answer</summary>

It is certain beyond any doubt, more than of real digits. And you see noise with a few changed pixels. The network was never asked what a three looks
like, only what tells a three from the other nine.

</details>
"""

# %%
classes = torch.arange(10)
noise = 0.5 * torch.randn(10, 1, 8, 8, generator=rng).clamp(-2, 2)
free, with_prior = uphill(noise, classes), uphill(noise, classes, smooth=0.5)
chosen = torch.stack([unseen[digits.held_out.label == k][0] for k in range(10)])
rows = {"noise, uphill": free, "uphill, and smooth": with_prior, "real digits": chosen}
for name, images in rows.items():
    certain = eye.logits(images).softmax(1)[classes, classes]
    print(f"{name:20} certain by {certain.mean():.4f}, distance to the nearest digit {nearest_distance(images, x0).mean():.2f}")

# %%
away, usual = (nearest_distance(images, x0).mean() for images in (free, chosen))
assert eye.logits(free).softmax(1)[classes, classes].min() > 0.99 and away > 2 * usual

# %% tags=["hide-input"]
fig = show.grid(torch.cat(list(rows.values())), columns=10, width=8, title="The network is certain of every row; only the last has digits")
show.figure(
    fig,
    "Three rows of ten pictures: noise in which no digit can be seen; smooth blots, some with a hint of a stroke; and ten real digits.",
)

# %% [markdown]
r"""
The second row adds an assumption about images, that neighbours are alike. Such a **prior** helps the look, and that is how the famous "dreams" of big
networks were made. It is still no generative model, for two reasons. The search ends in *one* best picture, while a sample is one of many. And
$p(y\mid\mathbf x)$ knows the boundary only: lesson 01 walked a hundred units away from all data, and the certainty rose.

## 2 · One pixel at a time

Here is a model that assumes nothing at all. Any joint distribution is a product of conditional ones, by the chain rule:

$$ p(\mathbf x) = \prod_{i=1}^{64} p(x_i\mid x_1,\dots,x_{i-1}) $$

Each factor is a classification: which of 17 grey levels has the next pixel, given the ones before? One network can give all 64 answers at once, if
it is built so that the answer for pixel $i$ *cannot* see pixel $i$ or any later one. Cut a convolution's kernel:
"""

# %%
first_mask = torch.ones(5, 5)
first_mask[2, 2:] = 0
first_mask[3:] = 0
print(first_mask.int())

# %% [markdown]
r"""
The first layer must not see the pixel itself. Later layers may look at their own place, since what stands there was computed from earlier pixels only.
Is the network blind to the future? Ask autograd: the gradient of an answer with respect to each input pixel must be exactly 0 from that pixel on.
"""

# %%
torch.manual_seed(0)
tiny = Autoregressive((1, 8, 8), levels=17, width=24, depth=3)
one_hot = F.one_hot(torch.randint(17, (1, 8, 8), generator=rng), 17).movedim(-1, 1).float().requires_grad_()
h = tiny.first(one_hot)
for layer in tiny.layers:
    h = h + layer(F.silu(h))
sees = []
for i in range(64):
    (slope,) = torch.autograd.grad(tiny.out(F.silu(h)).flatten(2)[0, :, i].sum(), one_hot, retain_graph=True)
    sees.append(slope.abs().sum(1).flatten() > 0)
sees = torch.stack(sees)

agree("answers that see their own pixel or a later one", sees.triu().sum(), 0, atol=0)
print(f"pixel 63 sees {sees[63].sum()} of the 63 before it")

# %% [markdown]
r"""
Small kernels see far only in many layers, and a cut kernel never sees what lies to the upper right of its reach. That blind spot weakens the model; it doesn't make it
wrong: every factor is still a probability.

Are they, and does the product sum to one? On a tiny image, $2\times 2$ pixels of 3 levels, all $3^4 = 81$ images can be **enumerated**.
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
Training needs one call of the network for a whole batch, since all pixels before are known. The loss *is* $-\log p(\mathbf x)$, no bound and no game. Thirty seconds of it:
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
print(f"bits per pixel: {sum(losses[:10]) / 10:.2f} at first, {sum(losses[-20:]) / 20:.2f} in the end")

# %% [markdown]
r"""
### Bits per pixel

How good is that? A likelihood of discrete images has a unit that everybody understands: the **bits** that a perfect code would need for a pixel,
$-\log_2 p(\mathbf x)/64$. Guessing blindly costs $\log_2 17 = 4.09$ bits. Every model of the course that has a likelihood is on this scale; here with the one that ships,
which trained longer.
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
assert bits["pixels-digits"].mean() < bits["300 steps"].mean() < bits["naive Bayes"].mean() < 4.08

# %% [markdown]
r"""
### Sampling costs 64 calls

Draw the first pixel, then the second once the first is known, and so on. No step can be skipped, and none can run beside another.
"""

# %%
calls = 0


def count(*_):
    global calls
    calls += 1


hook = model.out.register_forward_hook(count)
mine = generate(model, 16, seed=0)
hook.remove()
print(f"{calls} network calls for 16 digits of 8 × 8 pixels; a photo of 512 × 512 in colour would take {512 * 512 * 3:,}")
assert calls == 64

# %%
fig = show.grid(
    torch.cat([mine, generate(painter, 16, seed=0)]), columns=16, width=9.6, title="After 300 steps, and the one that ships",
)  # fmt: skip
show.figure(fig, "Two rows of sixteen generated digits. Above, strokes that are rarely digits; below, most can be read.")

# %% [markdown]
r"""
> **On the slide.** Das and Varma write the recursion as $x_i = \arg\max p_\theta(x_i\mid x_1,\dots,x_{i-1})$. Taking the most probable grey value each time gives the
> **same image for ever**; a sample *draws* from the conditional. What decides is the number of different images among a hundred:
"""

# %%
drawn = generate(painter, 100, seed=1)
greedy = generate(painter, 100, seed=1, temperature=0.0)
print(f"different images: {len(drawn.unique(dim=0))} drawn, {len(greedy.unique(dim=0))} by argmax")
assert len(greedy.unique(dim=0)) == 1 and len(drawn.unique(dim=0)) == 100

# %%
fig = show.grid(torch.cat([greedy[:8], drawn[:8]]), columns=8, width=6.5, title="Argmax knows one image; sampling knows many")
show.figure(fig, "Above, eight times the same picture, nearly black; below, eight different digits.")

# %% [markdown]
r"""
Before you laugh at the first row: its single image is not even typical. The most probable grey value of the first pixel is black, then of the second, and so it
goes on; a sequence of best guesses is no best sequence.

**So far:** exact likelihood, honest training, and one network call for every pixel. Language models accept the price; for images it is the reason why
the rest of this course exists.

## 3 · Energies, and the number that stops them

One more way is on Koirala's list. Let any function $E(\mathbf x)$ say how *implausible* an image is, and turn it into a probability:

$$ p(\mathbf x) = \frac{e^{-E(\mathbf x)}}{Z},\qquad Z = \sum_{\mathbf x'} e^{-E(\mathbf x')} $$

Any network can be $E$: no masks, no order. The oldest one is the **Boltzmann machine** (Ackley, Hinton, Sejnowski, 1985), for pixels that are $\pm1$:
$E(\mathbf x) = -\tfrac12\,\mathbf x^\top\mathbf J\,\mathbf x$, where $J_{ij}$ says whether pixels $i$ and $j$ like to be equal. Here on a $3\times 4$ picture, each pixel coupled to its neighbours.
"""

# %%
rows, columns = 3, 4
J = torch.zeros(12, 12)
for i, j in itertools.product(range(rows), range(columns)):
    for di, dj in ((0, 1), (1, 0)):
        if i + di < rows and j + dj < columns:
            a, b = columns * i + j, columns * (i + di) + j + dj
            J[a, b] = J[b, a] = 0.5
every = torch.tensor(list(itertools.product((-1.0, 1.0), repeat=12)))
energy = -0.5 * ((every @ J) * every).sum(1)
Z = (-energy).exp().sum()
print(f"{len(every):,} pictures, Z = {Z:.4g}, the most probable ones: {(-energy).exp().max() / Z:.3f} each")

# %% [markdown]
r"""
Learning means to lower the energy of the data and raise it everywhere else, and "everywhere else" is in $Z$. In one line, with $\theta$ the couplings:

$$ \nabla_\theta\log p(\mathbf x) = -\nabla_\theta E(\mathbf x) + \mathbb E_{\mathbf x'\sim p}\bigl[\nabla_\theta E(\mathbf x')\bigr] $$

The second term needs samples of the model itself. With 4,096 pictures both sides can be computed:
"""

# %%
J_free = J.clone().requires_grad_()
energies = -0.5 * ((every @ J_free) * every).sum(1)
log_p = -energies[5] - (-energies).logsumexp(0)
(left,) = torch.autograd.grad(log_p, J_free, retain_graph=True)
p = (-energy).exp() / Z
outer = -0.5 * every[:, :, None] * every[:, None, :]  # the gradient of E with respect to J
agree("∇ log p = −∇E(x) + E_p[∇E]", left, -outer[5] + torch.einsum("n,nij->ij", p, outer), atol=1e-5)

digits_8, seconds = 17**64, 17**64 / 1e9
print(f"for 8 × 8 pixels with 17 levels the sum has {digits_8:.1e} terms: {seconds / 3.15e7:.0e} years at a billion a second")

# %% [markdown]
r"""
So $Z$ stops the likelihood, and it stops sampling, too: there is no $\mathbf z$ to draw and no first pixel, only a walk that has to find the plausible places. Lesson 04b takes
that walk (Langevin dynamics), and lesson 09 shows that diffusion models do the same with a trick: the *slope* of $\log p$ does not contain $Z$.

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

`classifier` turns images (batch, …) into scores (batch, classes). Return `x + rate * ∇ log p(y | x)`, each image with its own `y`, (batch,).
"""


# %%
def ascend(classifier, x, y, rate):
    # your code
    ...


check("01b.1", ascend)

# %% [markdown]
r"""
### Exercise 01b.2 · The mask (10 minutes)

Return the mask of a kernel of `size` × `size` (odd): 1 where a pixel may look, row by row from the top left, and 0 elsewhere. `itself` says whether it may see the pixel in the
middle.
"""


# %%
def causal_mask(size, itself):
    # your code
    ...


check("01b.2", causal_mask)

# %% [markdown]
r"""
### Exercise 01b.3 · The likelihood, read off (10 minutes)

`logits`, (batch, levels, h, w), are the network's answers, and `level`, (batch, h, w), the grey values of the images. Return the bits per pixel of each image, (batch,).
"""


# %%
def bits_per_pixel(logits, level):
    # your code
    ...


check("01b.3", bits_per_pixel)

# %% [markdown]
r"""
### Exercise 01b.4 · Draw, don't choose (5 minutes)

Turn scores into a grey value with dice: `scores` is (batch, levels), `u`, (batch,), uniform in [0, 1). Return the first level whose cumulative probability exceeds `u`, (batch,).
"""


# %%
def draw_level(scores, u):
    # your code
    ...


check("01b.4", draw_level)

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
