# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
# ---

# %% [markdown]
r"""
# 05b · GANs in practice

**After this lesson you can**
- build a DCGAN, train it by turns, and read from its curves what goes wrong;
- say what a Wasserstein critic measures, and make it measure the right thing;
- ask a GAN for a class, let one grow, and let one refine drawings so that they look real;
- say in numbers what a GAN gains and loses against diffusion.

**Before:** lesson 05; the scale of lesson 00. **Time:** 75 minutes, and 70 more for the five exercises.
**Follows:** Velasco-Forero, "Training GANs" to "Conditional Generative Adversarial Networks"; Koirala, "GANs".
"""

# %%
import math
import time
from dataclasses import replace

import matplotlib.pyplot as plt
import torch
from ipywidgets import FloatSlider, IntSlider
from scipy.stats import wasserstein_distance
from torch.nn import functional as F

# %%
from course_lib import data, show
from course_lib.agree import agree
from course_lib.exact import GaussianMixture
from course_lib.exercises import check, hint, solution
from course_lib.experiments import results
from course_lib.experiments.curves_digits import curves, lettered
from course_lib.experiments.tips_digits import judged, play
from course_lib.metrics import condition_accuracy, nearest_distance, quality
from course_lib.models import GAN, generate
from course_lib.nets import dcgan
from course_lib.training import Run, load_trained, recipe_named

# %%
show.use_style()
rng = torch.Generator().manual_seed(6)
digits = data.load("digits")
x0, label, unseen = digits.train.x0, digits.train.label, digits.held_out
print("images", tuple(x0.shape))

# %% [markdown]
r"""
A generator draws in one pass through one network. So you can turn its noise like a knob, and the image follows at
once. Here $\mathbf z$ walks on a circle through the 64 dimensions of a GAN of MNIST, which the course trained in
under an hour on one processor core. Every frame is one call.
"""

# %%
mnist_gan = load_trained("progressive-mnist").model
a, b = torch.randn(2, 24, 64, generator=rng)  # two directions for each of 24 images


def on_circle(turn):
    """z after a share of a full turn: it stays as long as a normal z is."""
    angle = torch.tensor(2 * math.pi * turn)
    return angle.cos() * a + angle.sin() * b


# %% tags=["hide-input"]
with torch.no_grad():
    frames = [
        show.grid(mnist_gan.generate(on_circle(i / 20)), columns=8, width=5) for i in range(20)
    ]
show.film(
    frames, "24 handwritten digits flow into other digits and back, without a break.", hold=0.2
)

# %% [markdown]
r"""
## 1 · A network for each player

The lecture's advice is to "use Deep Convolutional Generative Adversarial Networks when you can". The **DCGAN**
(Radford, Metz and Chintala, 2016) has no pooling and hardly any fully connected layers. The generator begins with few
pixels and many channels, and doubles the size by **transposed convolutions**; the discriminator mirrors it with
strides of 2. A transposed convolution with kernel 4, stride 2 and padding 1 turns $n$ pixels into
$(n-1)\cdot2 - 2 + 4 = 2n$.
"""

# %%
G, D = dcgan.generator(32, (1, 8, 8), 32), dcgan.critic((1, 8, 8), 1, 32)


def shapes(net, x):
    for layer in net:
        x = layer(x)
        print(f"  {type(layer).__name__:>12} {tuple(x.shape)}")
    return x


print("generator")
images = shapes(G, torch.randn(5, 32))
print("discriminator")
scores = shapes(D, x0[:5])

# %% [markdown]
r"""
Each `Sequential` is one doubling or halving. The original normalizes over the batch, in both players. Here only $G$
is normalized, by a `GroupNorm` for each image alone, so that what becomes of one $\mathbf z$ does not depend on its
neighbours. The inner activations are ReLU in $G$ and leaky ReLU in $D$, and a $\tanh$ keeps the pixels in
$[-1, 1]$.

One **training turn**, written out. The player who moves is the one with respect to whose weights we differentiate.
"""


# %%
def critic_turn(G, D, x, z):
    with torch.no_grad():
        fake = G(z)  # the generator stands still
    return F.softplus(-D(x)).mean() + F.softplus(D(fake)).mean()


def generator_turn(G, D, z):
    return F.softplus(-D(G(z))).mean()


# %%
model = GAN(shape=(1, 8, 8), k=32, width=32)
x, z = x0[:16], torch.randn(16, 32, generator=rng)
theirs = sum(model(x, z=z, turn="critic").values())
agree(
    "critic's turn = library", critic_turn(model.generator, model.critic, x, z), theirs, atol=1e-6
)
ours = generator_turn(model.generator, model.critic, z)
agree("generator's turn = library", ours, model(x, z=z, turn="generator"), atol=1e-6)
print("turns of a step:", model.turns)

# %% [markdown]
r"""
The course's training loop moves, for each name in `turns`, the submodule of that name, with an optimizer of its own
and on a fresh batch. Adam has no momentum here ($\beta_1 = 0$), because momentum makes a game circle more widely
(lesson 05, section 5). The weights that are used in the end are a running average over about the last 500 steps:
players who circle have their equilibrium in the middle. (Here the rate falls to 0 at the end, which calms them as
well.) Train one now.
"""

# %%
recipe = recipe_named("gan-digits")
quick = replace(recipe, name="my-gan", steps=250)
run = Run(quick, device="cpu", every=20)
losses = torch.tensor([[p.parts[part] for part in p.parts] for p in run])
mine = generate(run.averaged, 1000)
print("of 1,000 images of your own network, ten follow; losses", tuple(losses.shape))

# %% tags=["hide-input"]
shipped = load_trained("gan-digits").model
rows = {"yours": mine[:10], "shipped": generate(shipped, 10), "real": unseen.x0[:10]}
fig = show.rows(rows, size=0.7, title="Digits after 250 steps, after 3,000, and real ones")
show.figure(fig, "Three rows of digits of 8 by 8 pixels: rough ones, better ones, real ones.")

# %% [markdown]
r"""
Three losses, on real images, on generated ones, and the generator's: each stays near $\log 2 = 0.693$, the loss of a
discriminator that can't decide. So they do not say how good the images are. It takes a measure from outside to tell.
"""

# %%
fd = {"yours": quality(mine, "digits").fd_ratio}
fd["shipped"] = quality(generate(shipped, 1000), "digits").fd_ratio
card = load_trained("gan-digits").card["scores"]["quality"]
players = losses[5:, [0, 1, -1]]  # real, fake, and the generator's; the penalty is small
print(
    "FD ratio", {name: round(v, 2) for name, v in fd.items()}, f", losses near {players.mean():.2f}"
)
assert (players - math.log(2)).abs().max() < 0.45 and fd["shipped"] < fd["yours"]
assert abs(fd["shipped"] / card["over_seeds"]["mean"] - 1) < 0.15

# %% [markdown]
r"""
## 2 · Wasserstein critics

Koirala writes that "Wasserstein GAN provides improved results". Lesson 05 gave the reason to hope so: $W_1$ knows how
far two densities are apart. But it is defined by the best way to carry one density to the other. How can a network
measure that? By a theorem of Kantorovich and Rubinstein:

$$ W_1(p_r, p_g) = \max_{\|f\|_L\le1}\; \mathbb E_{p_r}[f(\mathbf x)] - \mathbb E_{p_g}[f(\mathbf x)] $$

The maximum is over all functions whose **slope is nowhere above 1**. On the axis everything is known: $W_1$ is the
area between the two distribution functions, for two samples of one size it is the mean distance of the sorted
points, and the best $f$ has slope $+1$ where $F_g > F_r$ and $-1$ elsewhere.
"""

# %%
p_r = GaussianMixture(torch.tensor([[-1.5], [1.2]]), torch.tensor([0.25, 0.5]))
p_g = GaussianMixture(torch.tensor([[-0.1]]), torch.tensor([0.16]))
axis = torch.linspace(-6, 7, 13_001, dtype=torch.float64)[:, None]
h = 0.001
F_r, F_g = (p.log_prob(axis).exp().cumsum(0) * h for p in (p_r, p_g))
exact = (F_r - F_g).abs().sum().item() * h
by_scipy = wasserstein_distance(*[axis[:, 0]] * 2, *(p.log_prob(axis).exp() for p in (p_r, p_g)))
agree("area = SciPy", exact, by_scipy, atol=1e-3)

# %%
real, fake = p_r.sample(100_000, rng)[:, 0], p_g.sample(100_000, rng)[:, 0]
apart = (real.sort().values - fake.sort().values).abs()
print(f"W₁ exact {exact:.4f};  mean distance of sorted samples {apart.mean():.4f}")
assert abs(apart.mean() - exact) < 0.02
best = torch.where(F_g > F_r, 1.0, -1.0).cumsum(0) * h
gain = ((p_r.log_prob(axis).exp() - p_g.log_prob(axis).exp()) * best).sum() * h
agree("the best f reaches W₁", gain, exact, atol=2e-3)

# %% [markdown]
r"""
A network must be kept from growing steep. Two ways:
- **Clipping** (WGAN; Arjovsky, Chintala and Bottou, 2017): after each step, all weights are cut to $[-c, c]$. Then the
  slope has *some* bound, which nobody knows.
- **A penalty** (WGAN-GP; Gulrajani et al., 2017): $\lambda\,\mathbb E[(\|\nabla f(\tilde{\mathbf x})\|-1)^2]$ at random places
$\tilde{\mathbf x}$ between a real and a fake point. On the axis the best $f$ has slope ±1 wherever $F_g\ne F_r$; in
more dimensions only on the way from a point to its partner, so there the penalty is a rule of thumb.

**Predict first:** which of them finds $W_1$?
"""


# %%
def wasserstein_critic(seed, clip=0.0, penalty=0.0, warm_up=True, pair=(p_r, p_g), steps=300):
    """A critic of the two mixtures on the axis, trained alone."""
    torch.manual_seed(seed)
    model = GAN((1,), k=1, width=32, loss="wasserstein", clip=clip, penalty=penalty)
    optimizer = torch.optim.Adam(model.critic.parameters(), 5e-3, betas=(0.0, 0.9))
    for step in range(steps):
        optimizer.param_groups[0]["lr"] = 5e-3 * (1 - step / steps)
        model.penalty = penalty * min(1, 2 * step / steps) if warm_up else penalty
        real, fake = (p.sample(256, rng).float() for p in pair)
        model.generate = lambda z, cond, fake=fake: fake  # the points that a generator would make
        loss = sum(model(real, z=fake, u=torch.rand(256, generator=rng)).values())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return model


# %%
ways = {
    "clipped at 0.1": {"clip": 0.1},
    "clipped at 0.3": {"clip": 0.3},
    "slope penalty": {"penalty": 10.0},
}
weight = (p_r.log_prob(axis).exp() - p_g.log_prob(axis).exp()) * h
found, learned = {}, {}
for name, way in ways.items():
    critics = [wasserstein_critic(seed, **way) for seed in range(3)]
    with torch.no_grad():
        learned[name] = [critic.score(axis.float()).double() for critic in critics]
    found[name] = torch.stack([(weight * f).sum() for f in learned[name]])
    print(f"{name:>15}: {[round(v.item(), 3) for v in found[name]]}   (W₁ = {exact:.3f})")

# %%
assert ((found["slope penalty"] / exact - 1).abs() < 0.15).all()
assert found["clipped at 0.1"].max() < 0.3 * exact and found["clipped at 0.3"].min() > 1.5 * exact

# %% tags=["hide-input"]
fig, axes = plt.subplots(1, 3, figsize=(8.6, 3.4))
middle = (axis[:, 0] > -3.5) & (axis[:, 0] < 4.5)
for ax, (name, fs) in zip(axes, learned.items(), strict=True):
    ax.plot(axis[middle], best[middle] - best[middle].mean(), **show.style("exact"))
    for f in fs:
        ax.plot(axis[middle], f[middle] - f[middle].mean(), **show.style("learned"))
    ax.set(title=name, xlabel="x")
axes[0].set_ylabel("f(x)")
show.title(fig, "Only the penalty finds the best f")
show.figure(
    fig, "The best f, a zigzag of slope one, and learned ones: too flat, too steep, and on it."
)

# %% [markdown]
r"""
The penalty's number is too large by some 10 %, and even that can be computed. With a soft penalty the best slope is
$\pm\bigl(1 + |F_g-F_r|/(2\lambda\rho)\bigr)$, where $\rho$ is the density of the places $\tilde x$: maximize
$|F_g-F_r|\,s - \lambda\rho\,(s-1)^2$ at each $x$. So the critic reports

$$ W_1 + \frac1{2\lambda}\int\frac{(F_g-F_r)^2}{\rho}\,\mathrm dx $$
"""

# %%
u = torch.rand(len(real), generator=rng, dtype=torch.float64)
places = real + u * (fake[torch.randperm(len(fake), generator=rng)] - real)
bins = torch.linspace(-6, 7, 261, dtype=torch.float64)  # 50 points of the axis each
rho = torch.histc(places, 260, -6, 7) / (len(places) * 0.05)
gap = (F_g - F_r)[:-1].view(260, 50).mean(1)
busy = rho > 0.002
predicted = exact + 0.05 * (gap[busy] ** 2 / rho[busy]).sum() / (2 * 10.0)
print(f"predicted {predicted:.3f}, reported {found['slope penalty'].mean():.3f}")
assert abs(predicted - found["slope penalty"].mean()) < 0.03

# %% [markdown]
r"""
One trap is in the cell that trained it: `warm_up`. There $\lambda$ grows from 0. With the full penalty from the
first step a critic settles for a straight line: slope 1 everywhere, penalty 0, nearly nothing gained. The best $f$
has a fold. To get there, half of the line would have to turn from slope 1 to −1 and cross 0, where the penalty is a
wall of height $\lambda$.
"""

# %%
ends = []
for seed in range(3):
    critic = wasserstein_critic(seed, penalty=10.0, warm_up=False)
    ends.append((weight * critic.score(axis.float()).detach().double()).sum().item())
print("without a warm-up:", [f"{value:.2f}" for value in ends])
assert max(ends) < 0.5 * exact

# %% [markdown]
r"""
A clipped critic's number is not even proportional to $W_1$. Shift $p_r$ by as much as $W_1$ was: the distance is
the same, the report is not. As a *direction* for the generator it may do. Its weights pile up at the limits:
"""

# %%
shifted = GaussianMixture(p_r.mean + exact, p_r.cov, p_r.weight)
critic = wasserstein_critic(0, clip=0.1, pair=(p_r, shifted))
where = axis.float()
with torch.no_grad():
    moved = p_r.log_prob(axis).exp() - shifted.log_prob(axis).exp()
    report = (h * moved * critic.score(where).double()).sum().item()
print(f"the same W₁, clipped at 0.1: {report:.3f} now, {found['clipped at 0.1'].mean():.3f} before")
assert report > 3 * found["clipped at 0.1"].max()

# %%
clipped = load_trained("wgan-digits").model
weights = torch.cat([p.flatten() for p in clipped.critic.parameters()])
at_the_limit = (weights.abs() > 0.98 * clipped.clip).float().mean().item()
print(f"{at_the_limit:.0%} of the shipped critic's weights are within 2 % of ±{clipped.clip}")
assert at_the_limit > 0.15

# %%
names = ("gan-digits", "wgan-digits", "wgan-gp-digits")
scores = {name: load_trained(name).card["scores"]["quality"] for name in names}
for name, score in scores.items():
    parts = [f"{key} {score[key]['mean']:.2f}" for key in ("precision", "recall")]
    print(f"{name:>15}: FD ratio {score['over_seeds']['mean']:.2f}, {', '.join(parts)}")

# %% [markdown]
r"""
Measured on the digits, three sets of 2,000 images each. The non-saturating loss with a small slope penalty has the
best FD of the three, the clipped critic (which moves three times a step) the best recall. So "improved results"
depends on what is compared. And each of these is one training; section 4 has three of each kind, on a smaller
budget.
"""

# %%
fd = {name: score["over_seeds"]["mean"] for name, score in scores.items()}
assert fd["gan-digits"] < fd["wgan-gp-digits"] < fd["wgan-digits"] < 2.5

# %% [markdown]
r"""
**So far:** a DCGAN trained by turns; a Wasserstein critic that measures $W_1$ only if its slope is held at 1.

## 3 · Ask for a digit

The **conditional GAN** (Mirza and Osindero, 2014) tells both players the class $y$. The generator gets it beside
$\mathbf z$. The discriminator must judge "is this a real $y$?" and not just "is this real?", otherwise the
generator could ignore $y$ without being punished. They feed $y$ to it as an input; in `course_lib` it answers with
one score for looking real, and one more for each class:

$$ s(\mathbf x\mid y) = s_0(\mathbf x) + s_y(\mathbf x) $$
"""

# %%
conditional = load_trained("cgan-digits").model
asked = torch.arange(10).repeat(100)
made = generate(conditional, 1000, cond=asked)
accuracy = condition_accuracy(made, asked, "digits")
print(f"an independent classifier reads what was asked for in {accuracy.accuracy:.1%} of 1,000,")
print(f"and of {len(unseen.x0)} real unseen digits it reads {accuracy.held_out:.1%}")
assert accuracy.accuracy > 0.95

# %% tags=["hide-input"]
in_rows = made[:100].view(10, 10, 1, 8, 8).transpose(0, 1).flatten(0, 1)
fig = show.grid(in_rows, columns=10, width=4.2, title="A row for each digit asked for")
show.figure(fig, "A grid of generated digits: in each row the same digit, in ten handwritings.")

# %% [markdown]
r"""
The discriminator has learned the classes as well: on average it scores an image higher when it is announced as what
it is.
"""

# %%
with torch.no_grad():
    right = conditional.score(made, asked)
    wrong = torch.stack([conditional.score(made, (asked + k) % 10) for k in range(1, 10)])
print(f"score as the digit asked for {right.mean():.2f}, as another one {wrong.mean():.2f}")
assert right.mean() > wrong.mean() + 0.3

# %% [markdown]
r"""
## 4 · Which tips help?

"Bad news: GANs are hard to train", says the lecture, and gives tips: "use other loss functions", "avoid sparse
gradients: ReLU, MaxPool", "use SGD for discriminator and ADAM for generator", "use dropouts in G in both train and
test phase". We test them, each alone, on the same budget and data, with three seeds. *Plain* is the DCGAN with the
non-saturating loss and Adam without momentum, and nothing else. *R1* is lesson 05's slope penalty; *real labels
0.9* trains $D$ towards 0.9 instead of 1; *noise* is added to all images that $D$ sees; *SGD* moves $D$ without
Adam.
"""

# %%
recorded = results("tips-digits")
tips = {row["tip"]: row for row in recorded["rows"]}
order = sorted(tips, key=lambda tip: sum(tips[tip]["fd_ratio"]))
for tip in order:
    ratio, recall = (torch.tensor(tips[tip][key]) for key in ("fd_ratio", "recall"))
    print(
        f"{tip:>26}: FD ratio {ratio.mean():6.2f} ± {ratio.std():.2f}   recall {recall.mean():.2f}"
    )

# %% tags=["hide-input"]
fig, ax = plt.subplots(figsize=(8.2, 4.05))
ratios = [tips[tip]["fd_ratio"] for tip in reversed(order)]
ax.plot(ratios, range(len(order)), "o", color=show.colour("GAN"), markersize=7)
band = tips["plain"]["fd_ratio"]
ax.axvspan(min(band), max(band), color=show.tint("noise"))
note = f"{min(ratios[0]):.0f} to {max(ratios[0]):.0f} →"
ax.text(2.95, 0, note, color=show.colour("GAN"), ha="right", va="center")
ax.set_yticks(range(len(order)), reversed(order))
ax.set(xlim=(1.2, 3.0), xlabel="FD ratio (left is better)")
show.title(fig, "What each tip does to a plain GAN of the digits")
show.figure(
    fig, "Three dots of FD ratio for each tip, sorted; a grey band where the plain GAN's lie."
)

# %% [markdown]
r"""
For most tips the mean lies within 0.2 of the plain GAN's, and three trainings of one kind differ by as much. Five
rows lie wholly to the right. **Adam's usual momentum** of 0.9 at this rate kills the generator: worse than lesson
05's circling. **Without convolutions** recall drops by a third. Dropout in $G$ gives some more recall, for less
precision and a worse FD. And the Wasserstein losses, with one move of the critic for each of the generator, are
worse here.
"""


# %%
def average(tip, key):
    return sum(tips[tip][key]) / 3


plain = {key: average("plain", key) for key in ("fd_ratio", "recall", "precision")}
assert min(tips["Adam's momentum 0.9"]["fd_ratio"]) > 20 * plain["fd_ratio"]
assert average("no convolutions", "recall") < 0.75 * plain["recall"]
assert average("dropout in G", "recall") > plain["recall"] + 0.04
assert average("dropout in G", "precision") < plain["precision"] - 0.04
losses = ("Wasserstein, clipped", "Wasserstein, slope near 1")
assert min(average(tip, "fd_ratio") for tip in losses) > plain["fd_ratio"] + 0.15

# %%
alike = [tip for tip in tips if abs(average(tip, "fd_ratio") - plain["fd_ratio"]) < 0.2]
print(f"{len(alike) - 1} of {len(tips) - 1} tips change the mean FD ratio by less than 0.2:")
print(", ".join(tip for tip in alike if tip != "plain"))
assert len(alike) - 1 >= 7

# %% [markdown]
r"""
Don't conclude that the tips are useless. This game is small, its rate falls to 0 at the end (which calms it by
itself), and the tips were found on larger ones, where a plain GAN fails. Conclude that a tip is a measurement
waiting to be made. The fatal one again, live and shorter:
"""

# %%
short = {tip: judged(*play(tip, seed=0, steps=100)) for tip in ("plain", "Adam's momentum 0.9")}
print("FD ratio after 100 steps", {tip: round(q["fd_ratio"], 1) for tip, q in short.items()})
assert short["Adam's momentum 0.9"]["fd_ratio"] > 3 * short["plain"]["fd_ratio"]

# %% [markdown]
r"""
### What the curves say

FD is measured now and then; the scores are there at every step. They tell more than the losses, if you watch three
of them: the mean score of training images, of *unseen* images, and of generated ones. A fourth number needs no
critic: how far apart two generated images are, compared with two real ones (*varied*). A healthy run, and four
others:
"""

# %%
recorded = results("curves-digits")
every = recorded["steps"]
runs = {row["run"]: row for row in recorded["rows"]}
for name, row in runs.items():
    last = {
        key: torch.tensor(row[key])[:, -1].mean()
        for key in ("training", "unseen", "generated", "varied")
    }
    print(f"{name:>21}: " + ", ".join(f"{key} {value:.2f}" for key, value in last.items()))


# %%
def show_runs(named, seed):
    """Scores of training (black), unseen (blue), generated images (orange); how varied."""
    fig, axes = plt.subplots(2, len(named), figsize=(8.6, 4.0), sharex=True, height_ratios=[1.5, 1])
    for (name, row), (top, bottom) in zip(named.items(), axes.T, strict=True):
        for key, role in (("unseen", "signal"), ("training", "data"), ("generated", "GAN")):
            top.plot(every, row[key][seed], **show.style(role))
        bottom.plot(every, row["varied"][seed], **show.style("noise"))
        bottom.set(ylim=(-0.05, 1.1), yticks=[0, 1], xticks=[0, 500])
        top.set_title(name)
    axes[0, 0].set_ylabel("scores")
    axes[1, 0].set_ylabel("varied")
    return fig


# %% tags=["hide-input"]
panels = ("healthy", "critic won", "no momentum", "by heart", "no bound")
fig = show_runs(dict(zip(panels, runs.values(), strict=True)), seed=0)
show.title(fig, "Each failure has its own signature")
show.figure(
    fig, "Five pairs of curves over 600 steps: scores that stay together, that part, that grow."
)

# %% [markdown]
r"""
- **The critic has won**: real and generated scores part early and stay apart, and all images look alike. This is the
  minimax loss at a high rate *with* momentum. The third run has the same loss and rate *without*: it is healthy.
- **Learned by heart**: the scores of training images rise, those of *unseen* ones fall below even the generated. $D$ knows
  its 50 images. The healthy run has 1,297.
- **Scores without bound**: a Wasserstein critic without clipping or penalty. Real and generated scores grow together.

One of them again, live:
"""

# %%
again = curves("the critic has won", seed=0, steps=100)
before = {key: runs["the critic has won"][key][0][3] for key in again}
print("live:    ", {key: round(values[-1], 2) for key, values in again.items()})
print("recorded:", {key: round(value, 2) for key, value in before.items()})
assert again["training"][-1] > 5 and again["generated"][-1] < -5 and again["varied"][-1] < 0.4

# %% [markdown]
r"""
**So far:** a list of tips with their effects measured, and four failures with their faces.

## 5 · Growing

High resolution was long out of reach: with a million pixels, real and generated images are told apart by any
detail, and the generator learns nothing (lesson 05, section 7). **Progressive growing** (Karras et al., 2018)
starts with 4 × 4 pixels. After a fixed number of steps both players get a new block for twice the size, *faded in*
with a weight $\alpha$ from 0 to 1. Of the generator's image that is

$$ \mathbf x = (1-\alpha)\,\mathrm{enlarge}(\mathbf x_{\text{small}}) + \alpha\,\mathbf x_{\text{large}} $$

At $\alpha = 0$ nothing has changed, so nothing is unlearned. Watch a small one on the digits, 4 × 4 → 8 × 8.
"""

# %%
changes = {"name": "growing", "options": {"shape": [1, 8, 8], "penalty": 0.1, "grow": 75}}
growing = replace(recipe_named("progressive-digits"), steps=300, **changes)
z, grown = torch.randn(24, 32, generator=rng), []
run = Run(growing, device="cpu", every=20)
for progress in run:
    with torch.no_grad():
        grown.append((progress.step, *run.averaged.stage, run.averaged.generate(z)))
print("doublings and fade:", [(step, size, round(fade, 1)) for step, size, fade, _ in grown[::3]])

# %% tags=["hide-input"]
frames = []
for step, size, fade, x in grown:
    pixels = (
        "4 × 4" if size == 0 and fade == 0 else "8 × 8" if size else f"fading in, α = {fade:.1f}"
    )
    frames.append(show.grid(x, columns=8, width=4.6, title=f"step {step}: {pixels}"))
show.film(frames, "24 digits grow: blocks of 4 by 4 pixels first, then finer ones are blended in.")

# %%
before = [x for _, size, fade, x in grown if size == 0 and fade == 0][-1]
small = F.avg_pool2d(before, 2)
blocks = small.repeat_interleave(2, 2).repeat_interleave(2, 3)
agree("before the fade, four pixels are one", blocks, before, atol=1e-6)

# %%
found = {}
for name in ("gan-digits", "progressive-digits", "dcgan-mnist", "progressive-mnist"):
    q = load_trained(name).card["scores"]["quality"]
    found[name] = q["over_seeds"]["mean"]
    print(f"{name:>18}: FD ratio {found[name]:.2f}, recall {q['recall']['mean']:.2f}")
assert found["progressive-digits"] > found["gan-digits"] + 0.3
assert found["progressive-mnist"] < found["dcgan-mnist"] - 0.5

# %% [markdown]
r"""
On 8 × 8 pixels growing does not pay. On MNIST (where FD has a unit of its own, lesson 00) the model that grew 7 →
14 → 28 is much better than the DCGAN after as many steps; it made the film above. But its networks differ, too:
they have convolutions at full size, and a step there takes about twice as long. So this is no proof that *growing*
did it.
"""

# %% [markdown]
r"""
## 6 · Drawings that look handwritten

The lecture's last application: a simulator makes any number of images, and knows what they show, but they look
simulated. **SimGAN** (Shrivastava et al., 2017) trains a *refiner* $R$ in the place of the generator. It starts
from the simulated image instead of noise, and has two goals: to be taken for real, and to stay near what it was
given, by the mean difference of a pixel,

$$ \mathcal L_R = -\log D\bigl(R(\mathbf x)\bigr) + \frac\lambda{64}\,\|R(\mathbf x)-\mathbf x\|_1 $$

so that the label stays true, as far as possible. The discriminator gives 16 verdicts, each about a window of 9 × 9
pixels. In the paper such patches keep it from judging the layout; on images of 8 × 8 a window is nearly everything,
so here only $\lambda$ protects the label.
"""

# %% [markdown]
r"""
The paper also shows $D$ a history of refined images; we do without. Our simulator draws digits with straight lines
and arcs. What handwriting adds by chance comes in as noise beside the drawing.
"""

# %%
refiner = load_trained("refiner-digits").model
label = torch.arange(10).repeat(100)
drawn = data.drawn_digits(label, rng)
eps = torch.randn(1000, refiner.noise, 8, 8, generator=rng)
with torch.no_grad():
    refined = refiner.refine(drawn, eps)
    verdicts = refiner.critic(refined)
print("verdicts of the discriminator", tuple(verdicts.shape))

# %%
parts = refiner(unseen.x0, drawn=drawn, eps=eps, turn="generator")
agree(
    "its loss: −log D, over all patches", parts["real"], -verdicts.sigmoid().log().mean(), atol=1e-5
)
distance = (refined - drawn).abs().mean()
agree("and λ times the mean difference", parts["keep"], refiner.keep * distance, atol=1e-5)

# %% tags=["hide-input"]
first = [int((unseen.label == d).nonzero()[0]) for d in range(10)]
rows = {
    "drawn": drawn[:10],
    "refined": refined[:10],
    "refined ": refined[10:20],
    "real": unseen.x0[first],
}
fig = show.rows(rows, size=0.7, title="The refiner adds what handwriting has")
show.figure(fig, "Clean drawn digits; the same, refined in two ways, uneven and grey; real ones.")

# %%
ratio = {
    name: quality(x, "digits").fd_ratio for name, x in {"drawn": drawn, "refined": refined}.items()
}
kept = condition_accuracy(refined, label, "digits").accuracy
print(
    "FD ratio",
    {name: round(value, 1) for name, value in ratio.items()},
    f"  label kept: {kept:.0%}",
)
ratio_shown = ratio["refined"]
assert ratio["drawn"] > 4 * ratio_shown

# %% [markdown]
r"""
The point of it is not beauty. Suppose that real digits exist, but nobody labelled them. Train a classifier on
*drawings*, whose labels are free, and test it on real digits; then on refined drawings. Recorded for several
weights $\lambda$, three seeds each:
"""

# %%
recorded = results("refined-digits")
plain, *others = recorded["rows"]


def mean(row, key):
    return sum(row[key]) / len(row[key])


for row in recorded["rows"]:
    name = "as drawn" if row["keep"] is None else f"λ = {row['keep']:g}"
    fd, true, read = (mean(row, key) for key in ("fd_ratio", "labels", "useful"))
    print(f"{name:>9}: FD ratio {fd:5.1f}, label kept {true:.0%}, real digits read {read:.0%}")

# %% tags=["hide-input"]
fig, axes = plt.subplots(1, 2, figsize=(8.6, 3.5))
for ax, key, name in zip(
    axes, ("labels", "useful"), ("label kept", "real digits read"), strict=True
):
    values = torch.tensor([row[key] for row in others])
    ax.plot(values, "o", color=show.colour("GAN"), markersize=8)
    ax.axhline(mean(plain, key), **show.style("noise"))
    ax.set_xticks(range(len(others)), [f"{row['keep']:g}" for row in others])
    ax.set(xlabel=r"$\lambda$", title=name, ylim=(0, 1.02))
axes[0].text(0.1, mean(plain, "labels") - 0.1, "as drawn", color=show.colour("noise"))
show.title(fig, "Keep enough of the drawing, and it becomes useful")
show.figure(
    fig, "Over lambda: how often the label stays, and how many real digits a classifier then reads."
)

# %%
by_keep = {row["keep"]: row for row in others}
assert (
    max(by_keep[0.0]["labels"]) < 0.7 < 0.8 < min(by_keep[1.0]["labels"] + by_keep[3.0]["labels"])
)
assert mean(by_keep[0.0], "useful") < mean(plain, "useful") < mean(by_keep[3.0], "useful") - 0.05
assert round(mean(plain, "useful"), 2) == 0.63 and round(mean(by_keep[1.0], "useful"), 2) == 0.72
assert kept < min(by_keep[1.0]["labels"]) and max(by_keep[1.0]["fd_ratio"]) > 2 * ratio_shown

# %% [markdown]
r"""
Without $\lambda$ the refiner turns many drawings into another digit, and a classifier that learns from its images
is no better than one that learned from the drawings. With $\lambda$ from 1 to 3 most labels stay, and it reads
about 72 % of the real digits instead of 63 %: a gain, from digits that nobody labelled. (These refiners had 1,000
steps; the one shown above had 3,000 and looks more real, with fewer labels kept.)

**So far:** players that grow, and a generator that starts from drawings.

## 7 · Against diffusion, in numbers

A GAN draws with one call of a small network. The diffusion model of lesson 00 needs fifty calls of a larger one. In
one run, on this machine:
"""


# %%
def images_a_second(model, n, tries):
    """In the quickest of some runs."""
    found = []
    for seed in range(tries):
        start = time.perf_counter()
        generate(model, n, seed)
        found.append(n / (time.perf_counter() - start))
    return max(found)


# %%
gan = images_a_second(shipped, 32, 5)
diffusion = images_a_second(load_trained("ddpm-digits").model, 32, 1)
print(f"images a second: {gan:,.0f} by the GAN, {diffusion:,.0f} by diffusion")
print(f"{gan / diffusion:,.0f} times as many")
assert gan > 15 * diffusion

# %%
families = {
    "gan-digits": "GAN", "cgan-digits": "GAN", "vae-digits": "autoencoder", "flow-digits": "flow",
    "ddpm-digits": "diffusion", "pixels-digits": "autoregressive",
}  # fmt: skip
cards = {name: load_trained(name).card["scores"] for name in families}
for name, card in cards.items():
    q = card["quality"]
    print(f"{name:>13}: {card['cost']['calls']:5} calls, FD ratio {q['over_seeds']['mean']:.2f}, "
          f"precision {q['precision']['mean']:.2f}, recall {q['recall']['mean']:.2f}")  # fmt: skip

# %% tags=["hide-input"]
fig, ax = plt.subplots(figsize=(8, 3.8))
for name, family in families.items():
    calls, ratio = cards[name]["cost"]["calls"], cards[name]["quality"]["over_seeds"]["mean"]
    look = show.style(family, markers=True)
    ax.plot(calls, ratio, look["marker"], color=look["color"], markersize=11)
    ax.text(calls * 1.15, ratio + {"cgan-digits": -0.85}.get(name, 0.15), name, color=look["color"])
ax.axhline(1, **show.style("exact"))
ax.text(390, 0.4, "real images", ha="right")
ax.set(xscale="log", xlabel="network calls for an image", ylabel="FD ratio")
ax.set(ylim=(0, 7), xlim=(0.8, 400))
show.title(fig, "Near diffusion's quality, in one call")
show.figure(fig, "FD ratio over network calls: GANs at one call are near diffusion at fifty.")

# %% [markdown]
r"""
(FD ratios of real images differ by ±0.24, so `cgan-digits`, which is told the digit, and diffusion are level.) What
is the price? Look at **recall**, the share of real digits that look like samples: these two GANs have less of it
than diffusion, and those of the course with more recall have a worse FD. And a GAN has no likelihood, so nothing
but such measures can say what it misses.
"""

# %%
recall = {name: card["quality"]["recall"]["mean"] for name, card in cards.items()}
fd = {name: card["quality"]["over_seeds"]["mean"] for name, card in cards.items()}
assert max(recall["gan-digits"], recall["cgan-digits"]) < recall["ddpm-digits"] - 0.05
assert abs(fd["cgan-digits"] - fd["ddpm-digits"]) < 0.24 and fd["gan-digits"] < 2
for name in ("wgan-digits", "progressive-digits"):
    q = load_trained(name).card["scores"]["quality"]
    assert q["recall"]["mean"] > recall["gan-digits"] and q["over_seeds"]["mean"] > fd["gan-digits"]

# %% [markdown]
r"""
What it has instead is a space to walk in. Below, each row has one $\mathbf z$ for all ten classes, and the rows are
three places on a circle. Turn it: what a row has in common is the handwriting.
"""


# %%
def ten_digits(seed, turn):
    """In each row one z for all classes; the rows are a twelfth of a circle apart."""
    a, b = torch.randn(2, 32, generator=torch.Generator().manual_seed(seed))
    angles = 2 * math.pi * (turn + torch.arange(3) / 12)
    z = angles.cos()[:, None] * a + angles.sin()[:, None] * b
    with torch.no_grad():
        x = conditional.generate(z.repeat_interleave(10, 0), torch.arange(10).repeat(3))
    return show.grid(x, columns=10, width=4.4, title=f"seed {seed}, turned by {turn:.2f}")


show.widget(
    ten_digits,
    "Three rows of the digits 0 to 9, each row from one z.",
    seed=IntSlider(value=3, min=0, max=20, continuous_update=False),
    turn=FloatSlider(value=0.0, min=0, max=1, step=0.05, continuous_update=False),
)

# %% [markdown]
r"""
And are they new? The nearest training image of each, and the distances beside those of unseen real digits. The GAN
that is told the digit comes nearer to its training images than unseen digits do: its FD is paid for with some
memory.
"""

# %%
made = {
    "gan-digits": generate(shipped, 500),
    "cgan-digits": generate(conditional, 500, cond=unseen.label),
}
for name, x in (made | {"unseen": unseen.x0}).items():
    print(f"{name:>12}: {nearest_distance(x, x0).mean():.3f} from the nearest training image")
copies = {name: card["quality"]["copies"] for name, card in cards.items()}
print(
    "near copies", {name: f"{copies[name]['share']:.1%}" for name in made}, "of real images 1.0 %"
)
assert copies["gan-digits"]["share"] < 0.02 < copies["cgan-digits"]["share"]
which = [torch.cdist(x[:10].flatten(1), x0.flatten(1)).argmin(1) for x in made.values()]

# %% tags=["hide-input"]
rows = {}
for (name, x), nearest in zip(made.items(), which, strict=True):
    rows |= {name: x[:10], "nearest" + " " * len(rows): x0[nearest]}
fig = show.rows(rows, size=0.7, title="Like the training images, and seldom copies")
show.figure(fig, "Ten digits of each GAN, and below each the training image nearest to it.")

# %% [markdown]
r"""
## 8 · What became of GANs

In October 2018 Christie's sold the print *Edmond de Belamy*, made by a GAN, for 432,500 dollars (the lecture shows
it). GANs were then the best image generators there were: progressive growing had reached $1024^2$ pixels, StyleGAN
followed. In 2021 a paper had the title *Diffusion Models Beat GANs on Image Synthesis* (lesson 11). Speed was not
the reason, as you have just measured. Diffusion minimizes one squared error: no second player, no circling, nothing
to balance; its loss falls, and it says something. It covers the data better, and it takes conditions well.
"""

# %% [markdown]
r"""
The adversarial idea went on in other places: in the autoencoders of latent diffusion, whose decoders are kept sharp
by a patch discriminator (lesson 10), and where diffusion must be fast. There a discriminator helps to distil fifty
steps into one to four (Sauer et al., 2023). And with slope penalties and a loss that compares real with generated
images in pairs, a plain GAN still keeps up on small images (Huang et al., 2024).
"""

# %% [markdown]
r"""
## Exercises

### Exercise 05b.1 · The critic's turn (15 minutes)

`generator(z, g)` and `critic(x, d)` are two networks with their weights `g` and `d`; the critic's scores are (n,).
Return the critic's loss of the non-saturating game for real `x` and noise `z`. Its gradient must reach `d`, and
must *not* reach `g`.
"""


# %%
def critic_loss_of(generator, critic, g, d, x, z):
    # your code
    ...


check("05b.1", critic_loss_of)

# %% [markdown]
r"""
### Exercise 05b.2 · The penalty of WGAN-GP (20 minutes)

`critic(x, d)` turns points (n, k) into scores (n,). Return $\lambda$ times the mean of
$(\|\nabla f(\tilde{\mathbf x})\|-1)^2$ at the places
$\tilde{\mathbf x} = (1-u)\,\mathbf x_{\text{real}} + u\,\mathbf x_{\text{fake}}$, with one given `u`, (n,), for
each pair. A gradient must flow to `d`.
"""


# %%
def slope_penalty(critic, d, real, fake, u, lam):
    # your code
    ...


check("05b.2", slope_penalty)

# %% [markdown]
r"""
### Exercise 05b.3 · Fading in (10 minutes)

`small`, (n, c, h, w), is the image of the finished size, and `large`, (n, c, 2h, 2w), that of the next. Return what
a growing generator shows, (n, c, 2h, 2w), when the next size has faded in by `alpha`.
"""


# %%
def faded(small, large, alpha):
    # your code
    ...


check("05b.3", faded)

# %% [markdown]
r"""
### Exercise 05b.4 · Read the curves (10 minutes)

Four kinds of runs again, with another seed, in another order. Return four numbers, for A, B, C and D: 1 healthy, 2
the critic has won, 3 learned by heart, 4 scores without bound.
"""

# %% tags=["hide-input"]
fig = show_runs(lettered(runs), seed=1)
show.title(fig, "Which is which?")
show.figure(
    fig,
    "Four pairs of curves, A to D, as in section 4: scores above, how varied the images are below.",
)


# %%
def diagnoses():
    # your code
    ...


check("05b.4", diagnoses)

# %% [markdown]
r"""
### Exercise 05b.5 · The check that catches a wrong distance (15 minutes)

Somebody wrote a function `distance(x, y)` for two samples on the axis of one size, both (n,), which is to be their
Wasserstein distance $W_1$. Write the check: return `True` if it can be right, and `False` if it can't. You know
what a shift does, that order does not matter, which pairs are matched, and a library that knows $W_1$.
"""


# %%
def is_wasserstein(distance):
    # your code
    ...


check("05b.5", is_wasserstein)

# %% [markdown]
r"""
Stuck? `hint("05b.2")` helps a little, and again a little more; `solution("05b.2")` shows ours.

## What to remember

1. Freeze one, step the other: the critic's loss gets $G(\mathbf z)$ without a gradient, the generator's goes through the critic.
2. $W_1 = \max_{\|f\|_L\le1}\mathbb E_{p_r}[f]-\mathbb E_{p_g}[f]$. A critic measures it only as well as its slope is held at 1.
3. One call instead of fifty, at nearly the same FD; less recall, and no number that says what is missing.

## References

- Velasco-Forero, *Introduction to Diffusion Models* (2023); Koirala, *Diffusion Models* (notes, 2022).
- Radford, Metz, Chintala: *Unsupervised Representation Learning with Deep Convolutional Generative Adversarial Networks*,
  2016. Mirza, Osindero: *Conditional Generative Adversarial Nets*, 2014.
- Arjovsky, Chintala, Bottou: *Wasserstein Generative Adversarial Networks*, 2017. Gulrajani et al.: *Improved Training of
  Wasserstein GANs*, 2017. Mescheder, Geiger, Nowozin: *Which Training Methods for GANs do actually Converge?*, 2018.
- Karras, Aila, Laine, Lehtinen: *Progressive Growing of GANs for Improved Quality, Stability, and Variation*, 2018.
- Shrivastava et al.: *Learning from Simulated and Unsupervised Images through Adversarial Training*, 2017.
- Chintala, Denton, Arjovsky, Mathieu: *How to Train a GAN? Tips and Tricks to Make GANs Work*, 2016.
- Sauer, Lorenz, Blattmann, Rombach: *Adversarial Diffusion Distillation*, 2023. Huang, Gokaslan, Kuleshov, Tompkin: *The GAN
  Is Dead; Long Live the GAN! A Modern GAN Baseline*, 2024.
- Digits: Alpaydin and Kaynak, 1998, CC BY 4.0. MNIST: LeCun, Cortes and Burges.
"""
