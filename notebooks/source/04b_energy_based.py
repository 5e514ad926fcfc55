# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
# ---

# %% [markdown]
r"""
# 04b · Energy-based models: densities that need not add up to 1

**After this lesson you can**
- write a density as an energy, and say what its normalization is needed for and what not;
- train a restricted Boltzmann machine, by its exact gradient and by contrastive divergence;
- sample an energy by Langevin dynamics, and train a network with it;
- explain how score matching avoids the normalization, and recognize the noise predictor of lessons 06 to 09 as a score.

**Before:** lesson 04. **Time:** 60 minutes, and 50 more for the four exercises. **Follows:** Koirala, who names
Boltzmann machines and energy-based models among the generative models; Varma's landscape of deep generative
learning.
"""

# %%
import itertools
import math

import matplotlib.pyplot as plt
import torch
from ipywidgets import FloatSlider, IntSlider
from torch.distributions import Normal
from torch.nn import functional as F

# %%
from course_lib import data, show
from course_lib.agree import agree, agree_mean
from course_lib.exact import GaussianMixture, Points
from course_lib.exercises import check, hint, solution
from course_lib.models import RBM, generate
from course_lib.nets import perceptron
from course_lib.training import load_trained

# %%
show.use_style()
rng = torch.Generator().manual_seed(8)
torch.set_default_dtype(torch.float64)

# %% [markdown]
r"""
An **energy** $E(\mathbf x)$ is any function for which the integral below is finite. Where it is low, $\mathbf x$ is
probable:

$$ p(\mathbf x) = \frac{e^{-E(\mathbf x)}}{Z},\qquad Z = \int e^{-E(\mathbf x)}\,\mathrm d\mathbf x $$

No invertible layers, no decoder, no bound; only one number, $Z$, that nobody can compute. The picture shows what
can be done without it: points that start anywhere roll downhill, shaken by noise, and fill the valleys of the
energy. (How full each valley is, section 3 asks.)
"""

# %%
mixture = GaussianMixture(
    [[-1.3, -0.6], [1.2, -0.9], [0.1, 1.2]], cov=torch.tensor([0.12, 0.2, 0.09]),
    weight=torch.tensor([0.4, 0.35, 0.25]),
)  # fmt: skip


def langevin(x, gradient, size, steps):
    """x after each of so many steps downhill, with noise."""
    walk = [x]
    for _ in range(steps):
        noise = torch.randn(x.shape, generator=rng)
        x = x - size * gradient(x) + math.sqrt(2 * size) * noise
        walk.append(x)
    return walk


walk = langevin(6 * torch.rand(600, 2, generator=rng) - 3, lambda x: -mixture.score(x), 0.02, 200)


# %% tags=["hide-input"]
def rolling(i):
    fig, (ax,) = show.plane_axes(1, size=3.9)
    show.density(ax, mixture.log_prob)
    show.points(ax, walk[i], size=8)
    ax.set_title(f"after {i} steps")
    return fig


show.film(
    [rolling(i) for i in (0, 2, 5, 10, 15, 20, 30, 40, 60, 80, 120, 200)],
    "Points scattered over a square drift into the three dark patches of a density, and keep "
    "moving within them.",
)

# %% [markdown]
r"""
## 1 · What Z is needed for

Not for comparing two places: $p(\mathbf a)/p(\mathbf b) = e^{E(\mathbf b)-E(\mathbf a)}$. And not for the direction
uphill:

$$ \nabla_{\mathbf x}\log p(\mathbf x) = -\nabla_{\mathbf x}E(\mathbf x) - \underbrace{\nabla_{\mathbf x}\log Z}_{0} $$

That gradient is called the **score** of the distribution. $Z$ is needed for a likelihood, and so for training by it.
Here is an energy in the plane, where $Z$ can be had from a grid:
"""


# %%
def E(x, w=1.3):
    a, b = x.unbind(-1)
    return w * (a**2 + b**2 - 1.5) ** 2 + 0.5 * a


# %%
side = torch.linspace(-3, 3, 601)
plane = torch.cartesian_prod(side, side)
cell = (side[1] - side[0]) ** 2
log_Z = (-E(plane)).logsumexp(0) + cell.log()


def log_p(x):
    return -E(x) - log_Z


# %%
a, b, h = torch.tensor([0.9, -0.7]), torch.tensor([-1.2, 0.3]), 1e-5
agree("p adds up to 1", (log_p(plane).exp() * cell).sum(), 1.0, atol=1e-10)
agree("a ratio without Z", (log_p(a) - log_p(b)).exp(), (E(b) - E(a)).exp(), atol=1e-12)
steps = h * torch.eye(2)
difference = torch.stack([log_p(a + e) - log_p(a - e) for e in steps]) / (2 * h)
agree("the score, by differences of log p", difference, -torch.func.grad(E)(a), atol=1e-8)

# %% [markdown]
r"""
And the gradient with respect to the *weights* of the energy, for training? $Z$ depends on them, and the
derivative of $\log Z$ is an expectation under the model:

$$ \nabla_\theta\log p_\theta(\mathbf x) = -\nabla_\theta E_\theta(\mathbf x)
   + \mathbb E_{\mathbf x'\sim p_\theta}\bigl[\nabla_\theta E_\theta(\mathbf x')\bigr] $$

Push the energy **down at the data, and up where the model's own samples are**. When both pushes cancel, the
training ends. Every method of this lesson is about the second term. Check it for the weight $w$ of the energy
above.
"""

# %%
w = torch.tensor(1.3, requires_grad=True)
value = -E(a, w) - ((-E(plane, w)).logsumexp(0) + cell.log())
(by_autograd,) = torch.autograd.grad(value, w)


def dE_dw(x):
    return ((x**2).sum(-1) - 1.5) ** 2


under_model = (log_p(plane).exp() * cell * dE_dw(plane)).sum()
agree("down at the data, up at the model", by_autograd, -dE_dw(a) + under_model, atol=1e-8)

# %% [markdown]
r"""
**So far:** differences and gradients in $\mathbf x$ come without $Z$. Learning needs samples of the model.
"""

# %% [markdown]
r"""
## 2 · The ancestor: a Boltzmann machine

Hinton and Sejnowski (1983) put an energy on networks of units that are 0 or 1. A **restricted** one (Smolensky,
1986) has visible units $\mathbf v$ and hidden ones $\mathbf h$, and connections only between the two kinds:

$$ E(\mathbf v,\mathbf h) = -\mathbf a\cdot\mathbf v - \mathbf b\cdot\mathbf h - \mathbf v^\top\mathbf W\,\mathbf h $$

So, given $\mathbf v$, the hidden units are independent, each 1 with the chance
$\sigma(b_j + \mathbf v\cdot\mathbf w_j)$; and the other way round. And $\mathbf h$ can be summed out in closed
form. What remains is the **free energy** of $\mathbf v$:

$$ p(\mathbf v) = \frac{e^{-\mathcal F(\mathbf v)}}Z,\qquad
   \mathcal F(\mathbf v) = -\mathbf a\cdot\mathbf v - \sum_j\log\bigl(1 + e^{\,b_j+\mathbf v\cdot\mathbf w_j}\bigr) $$
"""

# %% tags=["hide-input"]
drawing = show.Drawing(8.6, 3.3, "No arrows, and none within a layer")
hidden = [drawing.circle(2.2 + 1.4 * i, 2.6, f"$h_{i + 1}$") for i in range(4)]
visible = [drawing.circle(1.5 + 1.4 * i, 0.6, f"$v_{i + 1}$", observed=True) for i in range(5)]
look = {"color": show.colour("energy"), "linewidth": 1.1, "zorder": 1}
for h_unit, v_unit in itertools.product(hidden, visible):
    drawing.ax.plot(*zip(h_unit.bottom, v_unit.top, strict=True), **look)
drawing.text(7.75, 1.6, "$W$", "energy")
alt = "Four hidden units above five visible ones; lines join each hidden with each visible one."
show.figure(drawing.fig, alt)

# %% [markdown]
r"""
Small enough to count: six visible and four hidden units have 1,024 states. Enumerate them all, and every formula
can be checked against a sum.
"""

# %%
torch.manual_seed(0)
small = RBM(shape=(1, 2, 3), hidden=4).double()
with torch.no_grad():
    for weights in small.parameters():
        weights.normal_(std=0.8, generator=rng)


def all_states(n):
    return torch.tensor(list(itertools.product((0.0, 1.0), repeat=n)))


# %%
V, H = all_states(6), all_states(4)
energy = -(V @ small.a)[:, None] - H @ small.b - V @ small.W @ H.T  # (64, 16)
log_Z = (-energy).flatten().logsumexp(0)
agree("course_lib's log Z = the sum over 1,024 states", small.log_Z(), log_Z, atol=1e-10)
agree("free energy: h summed out", -small.free_energy(V), (-energy).logsumexp(1), atol=1e-10)

# %%
joint = (-energy - log_Z).exp()
h_given_v = joint @ H / joint.sum(1, keepdim=True)
agree("p(h = 1 | v) is a sigmoid", torch.sigmoid(V @ small.W + small.b), h_given_v, atol=1e-12)

# %% [markdown]
r"""
Drawing $\mathbf h$ given $\mathbf v$, then $\mathbf v$ given $\mathbf h$, and so on, is **Gibbs sampling**: a chain
that forgets its start and ends in $p$. Four thousand chains of 200 steps; how often each of the 64 patterns is seen
must agree with its probability.
"""

# %%
with torch.no_grad():
    v = torch.zeros(4000, 6)
    for _ in range(200):
        v = small.gibbs(v, torch.rand(4000, 10, generator=rng))
    pattern = (v @ (2.0 ** torch.arange(5, -1, -1))).long()
    seen = F.one_hot(pattern, 64).double()
    exact = joint.sum(1)
agree_mean("Gibbs sampling: 64 frequencies = 64 probabilities", seen, exact)

# %% [markdown]
r"""
Training needs samples of the model in each step, and 200 Gibbs steps are expensive. **Contrastive divergence**
(Hinton, 2002) starts the chain *at the data* and takes $k$ steps, often just one. That is not the gradient of the
likelihood. How far off is it? Here the exact gradient is known. **Predict first:** when will one step be good
enough, and when not?

<details><summary>Answer</summary>

While the weights are small, a step of the chain forgets nearly everything, so one is enough. Large weights make the
chain slow: it stays near the data, and the push upwards lands beside the data only. More steps repair that.

</details>
"""


# %%
def outer(model, v):
    """The derivative of -F(v) with respect to W: v times the chances of h, (n, visible, hidden)."""
    return torch.einsum("nv,nh->nvh", v, torch.sigmoid(v @ model.W + model.b))


def transition(model):
    """p(v' | v) of one Gibbs step, (64, 64): the sum over h of p(h | v) p(v' | h)."""
    joint = (V @ model.a)[:, None] + H @ model.b + V @ model.W @ H.T
    return joint.softmax(1) @ joint.softmax(0).T


def error_of_cd(model, k):
    """How far the gradient of CD-k is from that of the likelihood, relative to its size."""
    at_data, p = torch.full((4,), 0.25), (-model.free_energy(V) - model.log_Z()).exp()
    reached = at_data @ torch.linalg.matrix_power(transition(model), k)[patterns]
    each = outer(model, V)
    up, exact_up = torch.tensordot(reached, each, 1), torch.tensordot(p, each, 1)
    return ((exact_up - up).norm() / (each[patterns].mean(0) - exact_up).norm()).item()


# %%
patterns = [0, 7, 56, 63]  # the numbers of four v: two rows, each all black or all white
model, errors = RBM(shape=(1, 2, 3), hidden=4).double(), {scale: [] for scale in (0.5, 2.0)}
with torch.no_grad():
    for _ in range(8):  # eight random machines
        W = torch.randn(6, 4, generator=rng)
        for scale, found in errors.items():
            model.W.copy_(scale * 0.8 * W)
            found.append([error_of_cd(model, k) for k in (1, 3, 10)])

# %%
agree("rows of the transition add up to 1", transition(model).sum(1), 1.0, atol=1e-12)
p = (-model.free_energy(V) - model.log_Z()).exp()
agree("the chain leaves p as it is", p @ transition(model), p, atol=1e-12)
free = model.free_energy(V[patterns]).mean() + model.log_Z()  # -log p of the data
(slope,) = torch.autograd.grad(-free, model.W)
exact = outer(model, V[patterns]).mean(0) - torch.tensordot(p, outer(model, V), 1)
agree("the exact gradient = autograd's", slope, exact, atol=1e-10)
for scale, found in errors.items():
    means = [f"{error:.3f}" for error in torch.tensor(found).mean(0)]
    print(f"weights × {scale}: relative error of CD-1, 3, 10, on average {means}")
small_weights, large_weights = (torch.tensor(found) for found in errors.values())
assert (small_weights[:, 0] < large_weights[:, 0]).all()
assert (large_weights[:, 2] < 0.3 * large_weights[:, 0]).all()

# %% [markdown]
r"""
Does the wrong gradient matter? Take the classic test, **bars and stripes**: images of 3 × 3 pixels whose rows, or
whose columns, are all of one colour. There are 14, so the best log-likelihood is $-\log 14 = -2.64$. Train one
machine by the exact gradient and one by CD-1.
"""

# %%
bits = all_states(3)
bars = bits[:, None, :].expand(8, 3, 3).reshape(8, 9)
stripes = bits[:, :, None].expand(8, 3, 3).reshape(8, 9)
known = torch.cat([bars, stripes]).unique(dim=0)
images = 2 * known.view(-1, 1, 3, 3) - 1
print("patterns", tuple(known.shape))
assert torch.equal(RBM(shape=(1, 3, 3)).visible(images), known), "the machine sees the patterns"


# %%
def fit(exactly, seed, steps=800):
    torch.manual_seed(seed)
    model, reached = RBM(shape=(1, 3, 3), hidden=10).double(), []
    optimizer = torch.optim.Adam(model.parameters(), lr=0.05)
    for step in range(steps):
        optimizer.param_groups[0]["lr"] = 0.05 * 0.5 * (1 + math.cos(math.pi * step / steps))
        loss = model.free_energy(known).mean() + model.log_Z()  # -log p
        reached.append(-loss.item())
        if not exactly:
            draws = model.draw((14 * 8, 1, 3, 3), rng, torch.device("cpu"))
            loss = model(images.repeat(8, 1, 1, 1), **draws)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return reached


# %%
ways = {"exact": True, "CD-1": False}
histories = {
    name: torch.tensor([fit(way, seed) for seed in range(3)]) for name, way in ways.items()
}
ends = {name: runs[:, -100:].mean(1) for name, runs in histories.items()}
for name, end in ends.items():
    print(f"{name:>5}: {[f'{value:.2f}' for value in end]}   best {-math.log(14):.2f}")
assert ends["exact"].min() > ends["CD-1"].max() + 0.2 and ends["exact"].max() < -math.log(14)

# %% tags=["hide-input"]
fig, ax = plt.subplots(figsize=(8, 3.5))
for name, role in (("exact", "signal"), ("CD-1", "samples")):
    smooth = histories[name].unfold(1, 10, 10).mean(2)
    ax.plot(range(5, 800, 10), smooth.T, **show.style(role) | {"linewidth": 1.6})
    ax.text(
        815, smooth[:, -1].mean() - 0.3 * ways[name], name, color=show.colour(role), va="center"
    )
ax.axhline(-math.log(14), **show.style("exact"))
ax.text(20, -math.log(14) + 0.08, "14 patterns, equally likely")
ax.set(xlabel="step", ylabel="log-likelihood, nats", xlim=(0, 930), ylim=(-6.3, -2.2))
show.title(ax, "Contrastive divergence climbs, but not to the top")
alt = "Three seeds each: the exact gradient climbs to the line at -2.64, CD-1 stays below it."
show.figure(fig, alt)

# %% [markdown]
r"""
`rbm-digits` is such a machine for black and white digits, with 128 hidden units, trained by CD-10. In 2006 stacks
of such machines were what "deep" meant, and the chain still draws digits. Its $Z$ is a sum over $2^{64}$ patterns:
no likelihood.
"""

# %%
torch.set_default_dtype(torch.float32)
machine = load_trained("rbm-digits").model
drawn = {f"{k:,} steps": generate(machine, 8, steps=k) for k in (1, 10, 1000)}

# %% tags=["hide-input"]
fig = show.rows(drawn, size=0.85, title="A Gibbs chain finds digits in noise")
show.figure(fig, "Rows of eight pictures: blurred noise after one step, digits after a thousand.")

# %% [markdown]
r"""
**So far:** an energy over zeros and ones, Gibbs sampling, and a biased gradient.
"""

# %% [markdown]
r"""
## 3 · Langevin dynamics

For continuous $\mathbf x$ a chain can use the slope. **Langevin dynamics** takes a step downhill and adds noise:

$$ \mathbf x\ \leftarrow\ \mathbf x - \eta\,\nabla E(\mathbf x) + \sqrt{2\eta}\;\boldsymbol\xi,\qquad \boldsymbol\xi\sim\mathcal N(\mathbf 0,\mathbf I) $$

For small $\eta$ its distribution goes to $p$. For a finite step there is an error, and for $E = x^2/2$ it can be
computed: the variance settles where $v = (1-\eta)^2 v + 2\eta$, so $v = 1/(1-\eta/2)$ and not 1. **Predict first:**
what happens without the noise, or with half of it?

<details><summary>Answer</summary>

Without noise all points run to the minimum of the energy. With noise of half the size the variance settles at a
quarter. The two terms belong together: this noise for this step.

</details>
"""

# %%
torch.set_default_dtype(torch.float64)
for eta in (0.5, 0.2, 0.1):
    end = langevin(torch.zeros(200_000, 1), lambda x: x, eta, int(6 / eta))[-1]
    agree_mean(f"η = {eta}: variance 1/(1 − η/2)", end**2, 1 / (1 - eta / 2))

# %% [markdown]
r"""
In the opening film the energy has three valleys. How well are they filled? Within a valley a chain is soon at home,
but it seldom crosses to another one, so for a long time the *shares* of the valleys remember where the chains
began. Move the number of steps. When do the bars agree?
"""


# %%
def shares(steps, size):
    x = 6 * torch.rand(1500, 2, generator=rng) - 3
    end = langevin(x, lambda x: -mixture.score(x), size, steps)[-1]
    nearest = torch.cdist(end, mixture.mean).argmin(1)
    fig, ax = plt.subplots(figsize=(8, 3.3))
    ax.bar(torch.arange(3) - 0.2, mixture.weight, 0.36, color=show.colour("exact"))
    counted = torch.bincount(nearest, minlength=3) / 1500
    ax.bar(torch.arange(3) + 0.2, counted, 0.36, color=show.colour("samples"))
    ax.set(xticks=range(3), xlabel="valley", ylabel="share of the points", ylim=(0, 0.75))
    ax.set_xticklabels(["left", "right", "top"])
    show.title(fig, f"{steps} steps of {size}: black exact, red Langevin")
    return fig


# %% tags=["widget"]
show.widget(
    shares,
    "Two bars for each of three valleys: the exact share of points, and that of the chains.",
    steps=IntSlider(200, min=0, max=2000, step=200, description="steps", continuous_update=False),
    size=FloatSlider(0.02, min=0.01, max=0.1, step=0.01, continuous_update=False),
)

# %% [markdown]
r"""
Now train an energy: a small network, the points of the mixture as data. In each step Langevin chains supply the
samples to push up; they go on from step to step (*persistent* chains), and a few begin anew. The plane lets us
compute $Z$ on a grid, only to watch: the training never uses it.
"""

# %%
torch.set_default_dtype(torch.float32)
points, unseen = mixture.sample(8000, rng).float(), mixture.sample(4000, rng)
torch.manual_seed(0)
net = perceptron(2, 64, 64, 1)
side = torch.linspace(-3.5, 3.5, 141)
plane = torch.cartesian_prod(side, side)


def energy(x):
    return net(x)[:, 0] + 0.05 * (x**2).sum(1)  # the square keeps Z finite


# %%
def slope(x):
    x = x.detach().requires_grad_()
    return torch.autograd.grad(energy(x).sum(), x)[0]


def nats():
    """-log p of unseen points, with Z from the grid."""
    with torch.no_grad():
        log_Z = (-energy(plane)).logsumexp(0) + 2 * math.log(side[1] - side[0])
        return (energy(unseen.float()).mean() + log_Z).item()


# %%
optimizer = torch.optim.Adam(net.parameters(), lr=5e-3, betas=(0.5, 0.9))
chains, reached, losses = torch.randn(256, 2, generator=rng), [], []
for step in range(500):
    optimizer.param_groups[0]["lr"] = 5e-3 * 0.5 * (1 + math.cos(math.pi * step / 500))
    anew = torch.rand(256, 1, generator=rng) < 0.05
    chains = torch.where(anew, 6 * torch.rand(256, 2, generator=rng) - 3, chains)
    chains = langevin(chains, slope, 0.02, 10)[-1].detach()
    x = points[torch.randint(8000, (256,), generator=rng)]
    loss = energy(x).mean() - energy(chains).mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    reached.append(nats())
    losses.append(loss.item())

# %%
floor = -mixture.log_prob(unseen).mean().item()
print(f"unseen points: {reached[-1]:.3f} nats;   the truth {floor:.3f}")
early, late = (torch.tensor(losses[part]).mean() for part in (slice(0, 100), slice(-100, None)))
print(f"the loss, down minus up: {early:.2f} in the first 100 steps, {late:.2f} in the last")
assert floor < reached[-1] < floor + 0.25 < reached[0]
with torch.no_grad():
    nearest = torch.cdist(plane.double(), mixture.mean).argmin(1)
    mass = (-energy(plane)).softmax(0)
learned_shares = torch.stack([mass[nearest == i].sum() for i in range(3)])
print("shares learned", [f"{m:.2f}" for m in learned_shares], " true", mixture.weight.tolist())

# %% tags=["hide-input"]
fig, (left, right) = plt.subplots(1, 2, figsize=(8.6, 3.9), width_ratios=[1.2, 1])
smooth = torch.tensor(reached).unfold(0, 10, 10).median(1).values
left.plot(range(5, 500, 10), smooth, **show.style("learned"))
left.axhline(floor, **show.style("exact"))
left.set(xlabel="step", ylabel="nats per point", ylim=(1.7, 3.2))
left.text(100, floor - 0.03, "entropy of the mixture", va="top")
right.set(xlim=(-2.6, 2.6), ylim=(-2.6, 2.6), aspect="equal", xticks=[], yticks=[])
with torch.no_grad():
    show.density(right, lambda x: -energy(x.float()))
show.points(right, chains[::2], size=9)
show.title(fig, "An energy, learned without its Z")
show.figure(
    fig, "Left, the loss in nats falls near the entropy. Right, the density and the chains."
)

# %% [markdown]
r"""
The curve is not smooth, and the loss is no guide: down minus up, it soon wanders around 0, while the likelihood
still improves. And look at the shares: chains that seldom change valleys don't teach a model how full each should
be.
"""

# %% [markdown]
r"""
## 4 · The way out: match the score

$Z$ drops out of the score. So fit the score, $\mathbf s_\theta(\mathbf x)\approx\nabla\log p(\mathbf x)$, by
squared error. But the truth is unknown at the data. Vincent (2011) found the way around. Add noise,
$\tilde{\mathbf x} = \mathbf x + \sigma\boldsymbol\epsilon$, and ask for the direction back:

$$ \mathcal L = \mathbb E\,\Bigl\lVert\mathbf s_\theta(\tilde{\mathbf x}) + \frac{\boldsymbol\epsilon}{\sigma}\Bigr\rVert^2 $$

The best answer is the average of $-\boldsymbol\epsilon/\sigma$ over all points that can have led to
$\tilde{\mathbf x}$. And that average *is* the score of the noised data. No chain, no $Z$, no second term. Check it
where both sides are known, with draws of $\mathbf x$ that are weighted by how likely each leads to the place.
"""

# %%
torch.set_default_dtype(torch.float64)
sigma = 0.5
place = torch.tensor([[0.2, 0.3]])
noised = mixture.noised(1.0, sigma)
x = mixture.sample(400_000, rng)
weight = (-((place - x) ** 2).sum(1) / (2 * sigma**2)).softmax(0)  # of each x, adding up to 1
eps = (place - x) / sigma
residual = 400_000 * weight[:, None] * (-eps / sigma - noised.score(place))
agree_mean("average of −ε/σ − the score of the noised data", residual, 0.0)

# %% [markdown]
r"""
Now train. The same small network as before, with two outputs; a thousand steps take a second or two.
"""

# %%
torch.set_default_dtype(torch.float32)
torch.manual_seed(0)
score_net = perceptron(2, 64, 64, 2)
optimizer = torch.optim.Adam(score_net.parameters(), lr=5e-3)
for step in range(1000):
    optimizer.param_groups[0]["lr"] = 5e-3 * 0.5 * (1 + math.cos(math.pi * step / 1000))
    x = points[torch.randint(8000, (512,), generator=rng)]
    eps = torch.randn(512, 2, generator=rng)
    loss = (score_net(x + sigma * eps) + eps / sigma).square().sum(1).mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()

# %%
seen_noised = noised.sample(4000, rng)
with torch.no_grad():
    learned = score_net(seen_noised.float()).double()
truth = noised.score(seen_noised)
error = (learned - truth).square().sum(1).mean() / truth.square().sum(1).mean()
cosine = F.cosine_similarity(learned, truth, dim=1).mean()
print(f"relative squared error of the score {error:.3f}, cosine {cosine:.3f}")
assert error < 0.02 and cosine > 0.98

# %% tags=["hide-input"]
fig, axes = show.plane_axes(2, size=3.6)
line = torch.linspace(-2.6, 2.6, 13)
at = torch.cartesian_prod(line, line)
with torch.no_grad():
    fields = {"exact": noised.score(at.double()), "learned": score_net(at)}
for ax, (name, field) in zip(axes, fields.items(), strict=True):
    ax.set_title(name)
    show.density(ax, noised.log_prob)
    ax.quiver(*at.T, *field.T, color=show.colour(name), scale=90, width=0.006)
show.title(fig, "The score points home, and needs no Z")
show.figure(
    fig,
    "Two squares with a three-patch density and a field of arrows that point into the patches: on "
    "the left the exact score, on the right the learned one, nearly the same.",
)

# %% [markdown]
r"""
Read the loss once more: "predict the noise, from the noised point". That is the loss of DDPM, lesson 07, one noise
level of it. So a network that predicts $\hat{\boldsymbol\epsilon}$ knows a score,
$\mathbf s = -\hat{\boldsymbol\epsilon}/\sigma_t$. Ask the digits' diffusion model. The exact score of its noised
training images is known, for they are 1,297 points, each with a Gaussian around it.
"""

# %%
digits, ddpm = data.load("digits"), load_trained("ddpm-digits").model
cloud, x0 = Points(digits.train.x0.flatten(1).double()), digits.held_out.x0[:200]
cosines = []
for t in (50, 200, 400, 600, 800):
    signal, noise = ddpm.schedule.signal(t).item(), ddpm.schedule.noise(t).item()
    x_t = ddpm.schedule.q_sample(x0, t, torch.randn(x0.shape, generator=rng))
    with torch.no_grad():
        _, eps_hat = ddpm.predict(x_t, t)
    flat = x_t.flatten(1).double()
    exact = (signal * cloud.posterior_mean(flat, signal, noise) - flat) / noise**2
    cosine = F.cosine_similarity(-eps_hat.flatten(1) / noise, exact, dim=1).mean().item()
    cosines.append(cosine)
    size = (eps_hat.norm() / noise / exact.norm()).item()
    print(f"t = {t}: cosine of −ε̂/σ and the exact score {cosine:.3f}, sizes {size:.2f} : 1")
assert min(cosines[2:]) > 0.9 and cosines[0] < 0.6 and abs(size - 1) < 0.05

# %% [markdown]
r"""
With much noise the two agree: the network of lessons 06 to 09 learned a score all along. With little noise they
must not. The exact score of 1,297 points leads back to one of the 1,297, that is, to a copy; the network has
learned something smoother, and makes new digits. Lesson 09b samples it by Langevin dynamics. The noise levels also
solve the problem of the valleys: with much noise there is only one.
"""

# %% [markdown]
r"""

**So far:** fit the slope of the energy instead of the energy, at noised data, and nothing has to be normalized.

## Exercises

### Exercise 04b.1 · One Langevin step (5 minutes)

`gradient` is a function that returns $\nabla E$ for points (n, d). Return the points after one Langevin step of the
size `eta`, with the given standard normal `xi`, (n, d). Call `gradient` once, with all points.
"""


# %%
def langevin_step(x, gradient, eta, xi):
    # your code
    ...


check("04b.1", langevin_step)

# %% [markdown]
r"""
### Exercise 04b.2 · The free energy (10 minutes)

`v`, (n, visible), holds zeros and ones; `W` is (visible, hidden), `a` (visible,), `b` (hidden,). Return
$\mathcal F(\mathbf v)$, (n,). The numbers $b_j + \mathbf v\cdot\mathbf w_j$ can be as large as several thousand.
"""


# %%
def free_energy(v, W, a, b):
    # your code
    ...


check("04b.2", free_energy)

# %% [markdown]
r"""
### Exercise 04b.3 · Denoising score matching (15 minutes)

`score` is a function from points (n, d) to (n, d), to be called once; `x` and `eps` are (n, d), `sigma` is a
number. Return the loss of section 4, averaged over the n points, summed over the d coordinates. It must be
differentiable with respect to what `score` answers.
"""


# %%
def score_matching_loss(score, x, eps, sigma):
    # your code
    ...


check("04b.3", score_matching_loss)

# %% [markdown]
r"""
### Exercise 04b.4 · The check that catches a wrong free energy (20 minutes)

Somebody wrote a function `free_energy(v, W, a, b)` for exercise 04b.2. Write the check: return `True` if it can be
right and `False` if it can't. With few hidden units you can sum $e^{-E(\mathbf v,\mathbf h)}$ over all $\mathbf h$
yourself.
"""


# %%
def is_a_free_energy(free_energy):
    # your code
    ...


check("04b.4", is_a_free_energy)

# %% [markdown]
r"""
Stuck? `hint("04b.2")` helps a little, and again a little more; `solution("04b.2")` shows ours.

## What to remember

1. $p = e^{-E}/Z$; $\ \nabla_\theta\log p = -\nabla_\theta E(\text{data}) + \mathbb E[\nabla_\theta E(\text{model})]$.
2. Langevin: $\mathbf x\leftarrow\mathbf x-\eta\nabla E+\sqrt{2\eta}\,\boldsymbol\xi$. The noise is fixed by the step.
3. Denoising score matching: $\mathbb E\lVert\mathbf s_\theta(\mathbf x+\sigma\boldsymbol\epsilon)+\boldsymbol\epsilon/\sigma\rVert^2$ needs neither $Z$ nor
   chains. Predicting noise is learning a score.
"""

# %% [markdown]
r"""
## References

- Koirala, *Diffusion Models* (notes, 2022); S. Varma, lecture 19.
- Hinton, Sejnowski: *Optimal Perceptual Inference*, 1983. Hinton: *Training Products of Experts by Minimizing Contrastive
  Divergence*, 2002. Hinton, Osindero, Teh: *A Fast Learning Algorithm for Deep Belief Nets*, 2006.
- Hyvärinen: *Estimation of Non-normalized Statistical Models by Score Matching*, 2005. Vincent: *A Connection between Score
  Matching and Denoising Autoencoders*, 2011.
- Song, Kingma: *How to Train Your Energy-Based Models*, 2021. Du, Mordatch: *Implicit Generation and Modeling with Energy-Based
  Models*, 2019.
- Digits: Alpaydin and Kaynak, 1998, CC BY 4.0.
"""
