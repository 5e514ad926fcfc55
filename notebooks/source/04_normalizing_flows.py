# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
# ---

# %% [markdown]
r"""
# 04 · Normalizing flows: exact likelihoods by invertible networks

**After this lesson you can**
- compute the density of a transformed random variable, in one dimension and in many;
- build an invertible network whose determinant costs nothing, and train it by maximum likelihood;
- compare bits per pixel across models, and say why grey values must be dequantized first;
- use a density to find anomalies, and show where that fails.

**Before:** lesson 01; derivatives and determinants; the scale of lesson 00. **Time:** 80 minutes, and 80 more for
the six exercises. **Follows:** Koirala, "Flow-Models"; Velasco-Forero, "Anomaly detection".
"""

# %%
import math

import matplotlib.pyplot as plt
import torch
from ipywidgets import IntSlider, ToggleButtons
from torch.distributions import LogNormal, Normal

# %%
from course_lib import data, show
from course_lib.agree import agree, agree_mean
from course_lib.exercises import check, hint, solution
from course_lib.experiments import results
from course_lib.metrics import quality
from course_lib.models import Flow, PCAGaussian, generate
from course_lib.nets import perceptron
from course_lib.training import load_trained

# %%
show.use_style()
rng = torch.Generator().manual_seed(4)
moons = data.load("moons")
x0, unseen = moons.train.x0, moons.held_out.x0
print("points", tuple(x0.shape))

# %% [markdown]
r"""
A VAE has a bound on the likelihood. This lesson has the likelihood itself. The idea, as an animation: take a normal
distribution with a lattice drawn on it, and bend the plane, without tearing or folding it, until the points look like
data. The lattice shows what was done to the density: where its cells shrink, points crowd. The network is one that
ships with the course; by the end you will have trained one like it yourself.
"""

# %%
shipped = load_trained("flow-gaussians").model
z = torch.randn(700, 2, generator=rng)
line = torch.linspace(-2.4, 2.4, 4000)
marks = torch.linspace(-2.4, 2.4, 9)
across = torch.stack([torch.stack([line, torch.full_like(line, m)], dim=1) for m in marks])
lattice = torch.cat([across, across.flip(2)])  # 18 lines of 4,000 points


# %%
def stages(flow, points):
    """The points after each layer from the noise towards the data."""
    found = [points]
    for layer in reversed(flow.layers):
        found.append(layer.inverse(found[-1]))
    return found


agree("the last stage is the data", stages(shipped, z)[-1], shipped.decode(z), atol=1e-5)


def bent(ax, dots, lines):
    for curve in lines:
        ax.plot(*curve.T, color=show.colour("noise"), linewidth=0.8)
    show.points(ax, dots, size=5)


# %% tags=["hide-input"]
dots, lines = stages(shipped, z), stages(shipped, lattice.view(-1, 2))
frames = []
for i in range(13):
    fig, (ax,) = show.plane_axes(1, extent=2.6, size=3.9)
    bent(ax, dots[i], lines[i].view(18, 4000, 2))
    ax.set_title(f"after {i} of 12 layers")
    frames.append(fig)
show.film(
    frames,
    "A round cloud of points on a square lattice is bent, layer by layer, into clusters on a "
    "circle that thin threads join, with the lattice squeezed into them.",
)

# %% [markdown]
r"""
## 1 · A density under a change of variables

Let $z$ have the density $p_Z$, and $x = f(z)$ with an increasing $f$. (A decreasing one turns the axis round; hence
the absolute values below.) The mass that $z$ has in a small interval $\mathrm dz$ is the mass that $x$ has in the
image of that interval, $p_X(x)\,\mathrm dx = p_Z(z)\,\mathrm dz$. The interval has become longer by the factor
$f'(z)$, so the density becomes lower by it:

$$ p_X(x) = p_Z\bigl(f^{-1}(x)\bigr)\,\left|\frac{\mathrm d f^{-1}}{\mathrm dx}\right|,\qquad
   \log p_X(x) = \log p_Z(z) - \log\bigl|f'(z)\bigr| $$

Take $f = \exp$ and a normal $z$. PyTorch knows the density that must come out: the log-normal one.
"""

# %%
torch.set_default_dtype(torch.float64)
x = torch.linspace(0.05, 8, 2000)
z = x.log()  # f^{-1}(x)
by_formula = Normal(0, 1).log_prob(z) - z  # log f'(z) = z
known = LogNormal(0.0, 1.0).log_prob(x)
agree("change of variables = PyTorch's LogNormal", by_formula, known, atol=1e-10)

# %%
drawn = torch.randn(200_000, generator=rng).exp()
inside, part = (drawn > 1) & (drawn < 2), (x > 1) & (x < 2)
area = torch.trapezoid(by_formula[part].exp(), x[part])
agree_mean("mass between 1 and 2: counted = integrated", inside.double(), area)

# %% [markdown]
r"""
In the figure both densities are cut into strips at the same places: at $z$, and at $f(z)$. Each strip on the right
has the same **area** as its partner on the left. Wide strips are low, narrow ones high.
"""

# %%
edges = torch.linspace(-2, 2, 9)
area_z = Normal(0, 1).cdf(edges).diff()
area_x = LogNormal(0.0, 1.0).cdf(edges.exp()).diff()
agree("strip by strip, the areas", area_z, area_x, atol=1e-12)


# %% tags=["hide-input"]
def strips(ax, law, grid, cuts):
    ax.plot(grid, law.log_prob(grid).exp(), **show.style("exact"))
    for i, (a, b) in enumerate(zip(cuts[:-1], cuts[1:], strict=True)):
        part, role = torch.linspace(a, b, 50), "signal" if i % 2 else "learned"
        ax.fill_between(part, law.log_prob(part).exp(), color=show.tint(role, 0.45))


fig, axes = plt.subplots(1, 2, figsize=(8.6, 3.4), width_ratios=[1, 1.5])
strips(axes[0], Normal(0, 1), torch.linspace(-3, 3, 400), edges)
strips(axes[1], LogNormal(0.0, 1.0), torch.linspace(0.01, 8, 800), edges.exp())
axes[0].set(xlabel="z", ylabel="density", title="$p_Z$", ylim=(0, 0.72))
axes[1].set(xlabel="x = exp(z)", title="$p_X$", ylim=(0, 0.72))
show.title(fig, "Strips keep their areas, not their heights")
alt = "A normal density in eight strips of equal width, and the density of exp(z) in their images."
show.figure(fig, alt)

# %% [markdown]
r"""
> **On the slide.** Koirala writes $p_\theta(x)\,\mathrm dx = p_\theta(f^{-1}(x))\,\mathrm dz$, with one $p_\theta$
> for two densities. They are different functions: $p_X$ on the left, $p_Z$ on the right. And $\theta$ belongs to
> $f$, not to $p_Z$, which is fixed. His first line, $\int p_X\,\mathrm dx = \int p_Z\,\mathrm dz = 1$, is checked
> for a flow in section 4. At $x = 2$, the two numbers that one symbol would stand for:
"""

# %%
two = torch.tensor(2.0)
p_X, p_Z = LogNormal(0.0, 1.0).log_prob(two).exp(), Normal(0, 1).log_prob(two.log()).exp()
print(f"p_X(2) = {p_X:.3f};   p_Z(log 2) = {p_Z:.3f}")
agree("their quotient is the slope of f⁻¹, 1/x", p_X / p_Z, 0.5, atol=1e-10)

# %% [markdown]
r"""
In one dimension a flow can make *any* density. Let $F$ be the distribution function of $x$ and $\Phi$ that of the
normal distribution. Then $F(x)$ is uniform, and $z = \Phi^{-1}(F(x))$ is normal. For a grey value with 17 levels,
$F$ is a broken line, one piece for each bin: a histogram. Take the pixel in row 4, column 3 of the digits, each
value moved at random within its bin (section 5 says why).
"""

# %%
digits = data.load("digits")
pixel = digits.train.x0[:, 0, 3, 2].double()
place = (pixel + 1) * 8 + torch.rand(len(pixel), generator=rng)  # 0 … 17; its whole part is the bin
level = place.long()
assert torch.equal(level, data.to_indices(digits.train.x0, 17)[:, 0, 3, 2])
share = torch.bincount(level, minlength=17).double() / len(level)
below = share.cumsum(0) - share

# %%
u = below[level] + share[level] * (place - level)  # F(x)
z = Normal(0, 1).icdf(u)
moments = torch.stack([z, z**2, z**3, z**4], dim=1)
agree_mean("z is normal: its first four moments", moments, torch.tensor([0.0, 1.0, 0.0, 3.0]))

# %% tags=["hide-input"]
fig, axes = plt.subplots(1, 3, figsize=(8.6, 3.0))
axes[0].bar(torch.linspace(-1, 1, 17), share * 8, width=0.115, color=show.colour("data"))
corners = torch.linspace(-1.0625, 1.0625, 18)
axes[1].plot(corners, torch.cat([below, torch.ones(1)]), **show.style("signal"))
axes[2].hist(z, bins=30, density=True, color=show.tint("samples", 0.3))
grid = torch.linspace(-3.5, 3.5, 100)
axes[2].plot(grid, Normal(0, 1).log_prob(grid).exp(), **show.style("exact"))
for ax, name, label in zip(axes, ("density", "F(x)", "density"), ("x", "x", "z"), strict=True):
    ax.set(xlabel=label, title=name)
show.title(fig, "A histogram, straightened, is a bell")
alt = "A pixel's histogram, high at black and white; its distribution function; a bell."
show.figure(fig, alt)

# %% [markdown]
r"""
**So far:** a density is divided by the factor by which the map stretches. In one dimension that is all there is to
know.

## 2 · In many dimensions

A small box around $\mathbf z$ becomes a slanted box around $\mathbf x = f(\mathbf z)$. Its volume changes by the
determinant of the Jacobian:

$$ \log p_X(\mathbf x) = \log p_Z\bigl(f^{-1}(\mathbf x)\bigr) + \log\left|\det\frac{\partial f^{-1}}{\partial\mathbf x}\right| $$

Watch a box. A map of the plane, a point, a square with sides of 0.001, and the area of its image:
"""


# %%
def f(z):
    """Some invertible map of the plane: a shear, a stretch that depends on the place, a turn."""
    a, b = z.unbind(-1)
    b = b * (0.5 * a).exp() + a**2
    return torch.stack([0.8 * a - 0.6 * b, 0.6 * a + 0.8 * b], dim=-1)


# %%
def area(corners):
    """Of a polygon, by the shoelace formula."""
    x, y = corners.T
    return 0.5 * (x * y.roll(-1) - x.roll(-1) * y).sum().abs()


# %%
def log_det(h, z):
    """log|det| of the Jacobian of h at z, by autograd."""
    return torch.linalg.slogdet(torch.autograd.functional.jacobian(h, z)).logabsdet


# %%
point = torch.tensor([0.7, -0.4])
square = torch.tensor([[0, 0], [1, 0], [1, 1], [0, 1]]) * 1e-3
growth = (area(f(point + square)) / area(square)).log()
agree("log of the factor by which the area grows", growth, log_det(f, point), atol=2e-3)
agree("by hand: only the stretch counts", 0.5 * point[0], log_det(f, point), atol=1e-12)

# %% [markdown]
r"""
Maps are composed, $\mathbf x = f_K\circ\dots\circ f_1(\mathbf z)$, and the chain rule multiplies their Jacobians.
So the logarithms of the determinants **add up**, each taken at the point where that layer is entered:
$\log|\det J_{f_2\circ f_1}(\mathbf z)| = \log|\det J_{f_1}(\mathbf z)| + \log|\det J_{f_2}(f_1(\mathbf z))|$. What
does a determinant cost? For a general matrix of size $d$ about $d^3$ operations, for each image and each step. For
a *triangular* one it is the product of the diagonal.
"""

# %%
twice = log_det(lambda z: f(f(z)), point)
agree("f∘f: the sum over its layers", log_det(f, point) + log_det(f, f(point)), twice, atol=1e-10)

# %%
triangle = torch.randn(200, 200, generator=rng).tril()
diagonal, whole = triangle.diagonal().abs().log().sum(), torch.linalg.slogdet(triangle).logabsdet
agree("triangular: log|det| from the diagonal", diagonal, whole, atol=1e-8)

# %% [markdown]
r"""
## 3 · Affine coupling

So we want maps that are easy to invert, with a triangular Jacobian, and yet as flexible as a network. **RealNVP**
(Dinh, Sohl-Dickstein and Bengio, 2017) found one. Split $\mathbf x$ in two. The first part passes unchanged; the
second is scaled and shifted, by amounts that any network computes *from the first part*:

$$ \mathbf z_1 = \mathbf x_1,\qquad \mathbf z_2 = \mathbf x_2\odot\exp s(\mathbf x_1) + t(\mathbf x_1),\qquad
   \log\left|\det\frac{\partial\mathbf z}{\partial\mathbf x}\right| = \sum_i s_i(\mathbf x_1) $$

To go back, no network has to be inverted: $\mathbf x_1 = \mathbf z_1$ is there already, so $s$ and $t$ can be
computed again. **Predict first:** what does the Jacobian of $s$ and $t$ contribute to the determinant?

<details><summary>Answer</summary>

Nothing. It stands below the diagonal. The matrix has an identity, a zero block above, and a diagonal of $\exp s_i$:
so $s$ and $t$ may be as complicated as you like.

</details>
"""

# %%
torch.manual_seed(0)
net = perceptron(2, 32, 32, 4)  # from 2 numbers to s and t of the 2 others


def couple(x):
    s, t = net(x[..., :2]).chunk(2, dim=-1)
    z_2 = x[..., 2:] * s.exp() + t
    return torch.cat([x[..., :2], z_2], dim=-1), s.sum(-1)


# %%
def uncouple(z):
    s, t = net(z[..., :2]).chunk(2, dim=-1)
    return torch.cat([z[..., :2], (z[..., 2:] - t) * (-s).exp()], dim=-1)


# %%
x = 2 * torch.randn(500, 4, generator=rng)
z, log_dets = couple(x)
agree("there and back", uncouple(z), x, atol=1e-12)

# %%
J = torch.autograd.functional.jacobian(lambda y: couple(y)[0], x[0])
exact = torch.linalg.slogdet(J).logabsdet
agree("log|det J|: the sum of s = autograd's", log_dets[0], exact, atol=1e-10)
agree("the block above the diagonal", J[:2, 2:], 0.0, atol=0)
assert J[2:, :2].abs().max() > 0.01, "the block below is not 0, and does not matter"
print(J.detach().numpy().round(2))

# %% [markdown]
r"""
One layer leaves half of its numbers alone, so the next one changes the other half: masks **alternate**. `Flow` in
`course_lib` stacks such layers, with masks of zeros and ones; $s$ is kept between −2 and 2, so that no layer explodes
early in the training. For images the mask is a chessboard.
"""

# %%
torch.manual_seed(1)
flow = Flow(shape=(2,), layers=8, width=64)
print("masks", [layer.mask.tolist() for layer in flow.layers[:3]], "…")
with torch.no_grad():
    for layer in flow.layers:  # at first each layer is the identity, so randomize it
        layer.net.layers[-1].weight.normal_(std=0.2, generator=rng)

# %%
x = x0[:20].double()
z, log_dets = flow.encode(x)
agree("8 layers, there and back", flow.decode(z), x, atol=1e-10)
exact = torch.stack([log_det(lambda y: flow.encode(y[None])[0][0], one) for one in x])
agree("8 layers, log|det J| = autograd's", log_dets, exact, atol=1e-10)

# %% [markdown]
r"""
**So far:** scale and shift one half by functions of the other; invert by doing it backwards; the determinant is a
sum.

## 4 · Train it on the moons

The loss is the negative log-likelihood. No bound, no second network, no noise to be drawn.

$$ \mathcal L = -\frac1N\sum_i\Bigl[\log\mathcal N\bigl(f^{-1}(\mathbf x_i);\mathbf 0,\mathbf I\bigr) + \sum_k\log\bigl|\det J_k\bigr|\Bigr] $$

How low can it go? The best possible model is the truth, and its loss is the **entropy** of the data. The moons were
drawn by the course, so the truth is known: an angle uniform over a half circle, and a little noise. Its density is
an integral over the angle.
"""

# %%
torch.set_default_dtype(torch.float32)
angle = math.pi * (torch.arange(400, dtype=torch.float64) + 0.5) / 400
arc = torch.stack([angle.cos() - 0.5, angle.sin() - 0.25], dim=1)
arcs = torch.cat([arc, -arc]) * torch.tensor([1.15, 2.0])


def log_truth(x):
    """log p(x) of the moons: 800 small Gaussians along the two arcs."""
    square = torch.cdist(x.double(), arcs) ** 2
    return (-square / (2 * 0.1**2)).logsumexp(1) - math.log(len(arcs) * 2 * math.pi * 0.1**2)


# %%
side = torch.linspace(-3, 3, 151)
plane = torch.cartesian_prod(side, side)
total = torch.cat([log_truth(part).exp() for part in plane.split(3000)]).sum() * 0.04**2
agree("the true density adds up to 1", total, 1.0, atol=1e-5)
spread = (arcs**2).mean(0) + 0.1**2
agree_mean("its squares are those of the points", x0.double() ** 2, spread)
floor = -log_truth(unseen).mean().item()
print(f"the floor: {floor:.3f} nats per point")

# %%
torch.manual_seed(0)
flow = Flow(shape=(2,), layers=8, width=64)
optimizer = torch.optim.Adam(flow.parameters(), lr=5e-3)
steps, losses = 1200, []
for step in range(steps):
    optimizer.param_groups[0]["lr"] = 5e-3 * 0.5 * (1 + math.cos(math.pi * step / steps))
    loss = flow(x0[torch.randint(len(x0), (256,), generator=rng)])
    optimizer.zero_grad()
    loss.backward()
    torch.nn.utils.clip_grad_norm_(flow.parameters(), 1.0)
    optimizer.step()
    losses.append(loss.item())

# %%
flow.eval().requires_grad_(False)
reached = -flow.log_prob(unseen).mean().item()
print(f"unseen points: {reached:.3f} nats;   the truth {floor:.3f}")
mass = flow.log_prob(plane).double().exp().sum() * 0.04**2
agree("the flow's density adds up to 1", mass, 1.0, atol=0.02)
gaps = log_truth(unseen) - flow.log_prob(unseen).double()
error = gaps.std().item() / math.sqrt(len(gaps))
print(f"the gap estimates the KL of the flow from the truth: {gaps.mean():.3f} ± {error:.3f}")
assert 4 * error < gaps.mean() < 0.4

# %% tags=["hide-input"]
smooth = torch.tensor(losses).unfold(0, 25, 25).mean(1)
ax = show.curves(range(12, steps, 25), {"learned": smooth}, "step", "nats per point")
ax.axhline(floor, **show.style("exact"))
ax.text(500, floor - 0.03, "the truth: the floor", va="top")
ax.set(ylim=(1.2, 3.0))
show.title(ax, "The loss approaches the entropy of the data")
alt = "The training loss falls, with a spike or two, towards a horizontal line: the entropy."
show.figure(ax.figure, alt)

# %% [markdown]
r"""
Your own network's density, its samples, and its lattice:
"""

# %%
own = flow.sample(2000, rng)
own_lines = stages(flow, lattice.view(-1, 2))

# %% tags=["hide-input"]
fig, axes = show.plane_axes(3)
for ax, name in zip(axes, ("density", "samples", "lattice"), strict=True):
    ax.set_title(name)
show.density(axes[0], lambda x: flow.log_prob(x.float()))
show.points(axes[1], own)
bent(axes[2], own[:0], own_lines[-1].view(18, 4000, 2))
show.title(fig, "A normal distribution, bent into moons")
show.figure(
    fig,
    "Three squares: the learned density, dark along two interleaved arcs with a thin bridge "
    "between them; samples; the lattice of the normal distribution squeezed along the arcs.",
)

# %% [markdown]
r"""
Go through the layers yourself, from the data to the noise or back. Each step moves points only along one axis.
"""

# %%
forwards = [unseen[:800]]
for layer in flow.layers:
    forwards.append(layer(forwards[-1])[0])
backwards = stages(flow, torch.randn(800, 2, generator=rng))
agree("data to noise: the end is z", forwards[-1], flow.encode(unseen[:800])[0], atol=1e-5)


# %%
def look(layer, direction):
    path = forwards if direction == "data to noise" else backwards
    fig, (ax,) = show.plane_axes(1, extent=3.2, size=4.0)
    colours = unseen[:800, 0] if direction == "data to noise" else backwards[-1][:, 0]
    ax.scatter(*path[layer].T, c=colours, cmap="cividis", s=7)
    show.title(fig, f"{direction}: after {layer} of 8 layers")
    return fig


# %%
show.widget(
    look,
    "Points in the plane, coloured from left to right by where the data point lies, after some of "
    "the eight layers.",
    layer=IntSlider(8, min=0, max=8, description="layers", continuous_update=False),
    direction=ToggleButtons(options=["data to noise", "noise to data"], description=" "),
)

# %% [markdown]
r"""
**So far:** a flow is trained by its own likelihood, and for known data the entropy says how much is left to gain.

## 5 · Digits have levels

Now images. Their grey values are *discrete*: 17 levels. A density can cheat by placing a narrow spike on each
level. The narrower the spikes, the higher the log density at the data, without bound, while nothing was learned.
"""

# %%
levels = torch.linspace(-1, 1, 17)
nats = []
for width in (0.05, 0.005, 0.0005):
    spikes = Normal(levels, width).log_prob(pixel[:, None]) + share.log()
    nats.append(spikes.logsumexp(1).mean().item())
    print(f"spikes of width {width}: {nats[-1]:5.2f} nats per pixel")
agree("ten times narrower: log 10 more", nats[2] - nats[1], math.log(10), atol=1e-3)

# %% [markdown]
r"""
The cure is to give each value a random place in its bin: **dequantization**, $\mathbf x + \mathbf u$ with a uniform
$\mathbf u$. The *probability* of an image is then the mass of its box of bins, whose volume is $V = (2/16)^d$. By
Jensen's inequality it is bounded by an average of log densities (Theis, van den Oord and Bethge, 2016):

$$ \log P(\mathbf x) = \log\int_{\text{box}} p(\mathbf x+\mathbf u)\,\mathrm d\mathbf u
   \ \ge\ \mathbb E_{\mathbf u}\bigl[\log p(\mathbf x + \mathbf u)\bigr] + \log V $$

On a tiny space everything can be counted: two pixels, three levels, nine images. Any flow must give nine masses
that add up to 1, with the expectation below the logarithm of each.
"""

# %%
torch.manual_seed(2)
tiny = Flow(shape=(2,), layers=4, width=16, levels=3).double()
with torch.no_grad():
    tiny.layers[0].score.normal_(generator=rng)
    for layer in tiny.layers[1:]:
        layer.net.layers[-1].weight.normal_(std=0.1, generator=rng)
three = torch.linspace(-1, 1, 3, dtype=torch.float64)
images = torch.cartesian_prod(three, three)
inside = (torch.arange(200, dtype=torch.float64) + 0.5) / 200 - 0.5
box = torch.cartesian_prod(inside, inside)  # 40,000 places in a bin of width 1

# %%
with torch.no_grad():
    log_p = torch.stack([tiny.log_prob(image + box) for image in images])
masses, bounds = log_p.exp().mean(1), log_p.mean(1)  # log V = 0 here
agree("nine masses add up to 1", masses.sum(), 1.0, atol=5e-3)
assert (bounds < masses.log()).all()
print("log mass − bound:", [f"{gap:.3f}" for gap in masses.log() - bounds])

# %%
repeated = images[:1].repeat(20_000, 1)
bits = tiny.bits_per_dim(repeated, 3, torch.Generator().manual_seed(0))
agree_mean("course_lib's bound = by counting", bits, -bounds[0] / (2 * math.log(2)))

# %% [markdown]
r"""
`flow-digits` has section 1's histogram for each of its 64 pixels as its first layer, and then eight couplings with
chessboard masks. Against overfitting to 1,297 images it was trained with weight decay, and with a part of its
hidden units dropped in each step. Here it stands among the other models of the course, all on the same 500 unseen
digits. (The FD ratio, the distance of lesson 00's table, is 1 for real images.)
"""

# %%
looks = {
    "naive-bayes-digits": "classical", "mixture-digits": "classical", "flow-digits": "flow",
    "vae-digits": "autoencoder", "hvae-digits": "autoencoder",
    "pixels-digits": "autoregressive", "ddpm-digits": "diffusion",
}  # fmt: skip

# %%
cards = {name: load_trained(name).card["scores"] for name in looks}
bits = {name: card["bits_per_dim"]["mean"] for name, card in cards.items()}
fd = {name: card["quality"]["over_seeds"]["mean"] for name, card in cards.items()}
for name, card in cards.items():
    calls = card["cost"]["calls"]
    print(f"{name:>18}: {bits[name]:.2f} bits, FD ratio {fd[name]:.2f}, {calls} network calls")
by_ode = results("likelihood-digits")["bits_per_dim"]
assert bits["pixels-digits"] < bits["flow-digits"] < bits["naive-bayes-digits"]

# %% tags=["hide-input"]
fig, ax = plt.subplots(figsize=(8, 3.8))
for name, look in looks.items():
    style = show.style(look, markers=True)
    ax.plot(bits[name], fd[name], style["marker"], color=style["color"], markersize=11)
    lift = {"hvae-digits": -0.6, "naive-bayes-digits": -0.5}.get(name, 0.2)
    ax.text(bits[name] + 0.04, fd[name] + lift, name, color=style["color"])
ax.plot(by_ode, fd["ddpm-digits"], "ko", fillstyle="none", markersize=11)
ax.axhline(1, **show.style("exact"))
ax.text(2.6, 0.35, "real images")
ax.set(xlabel="bits per pixel", ylabel="FD ratio", xlim=(1.75, 3.8), ylim=(0, 7.2))
show.title(fig, "Good likelihood and good pictures are two things")
alt = (
    "Seven models by FD ratio and bits: the pixel model has the fewest bits, diffusion the best FD."
)
show.figure(fig, alt)

# %% [markdown]
r"""
Naive Bayes' bits and the pixel model's are exact, the others are bounds. (For diffusion the bound sums a thousand
terms; by lesson 09's continuous flow the same model needs 2.27, the open circle.) The flow draws an image with
eight small networks, each called once. Its samples are varied, but many are no digits: its **recall**, the share of
real images that look like samples, is higher than its **precision**, the share of samples that look real.
"""

# %%
digit_flow = load_trained("flow-digits").model
made = generate(digit_flow, 20)
found = quality(generate(digit_flow, 1000), "digits")
print(f"precision {found.precision.mean:.2f}, recall {found.recall.mean:.2f}")
assert found.recall.mean > found.precision.mean
assert cards["flow-digits"]["cost"]["calls"] == 8 and round(by_ode, 2) == 2.27

# %% tags=["hide-input"]
fig = show.rows({"flow": made[:10], "": made[10:], "real": digits.held_out.x0[:10]}, size=0.7,
                title="Varied, but not always digits")  # fmt: skip
show.figure(fig, "Two rows of generated digits, many of them unreadable; a row of real ones below.")

# %% [markdown]
r"""
## 6 · What is normal?

A density should make a good detector: call an image an **anomaly** if the model finds it improbable
(Velasco-Forero's example). Take the unseen digits as what is normal, and seven kinds of others. Each image's score
is its bits per pixel, averaged over 20 draws of $\mathbf u$. A threshold on it catches some anomalies and gives
some false alarms; over all thresholds the two shares draw the **ROC curve**, and the area below it, the AUC, is the
chance that an anomaly scores higher than a digit. **Predict first:** which of these will be caught?
"""

# %%
normal = digits.held_out.x0


def on_levels(x):
    return data.to_levels(x, 17)


# %%
order = torch.randperm(64, generator=rng)
grey = data.load("photos").train.x0.mean(1, keepdim=True)
patches = on_levels(grey.unfold(2, 8, 8).unfold(3, 8, 8).reshape(-1, 1, 8, 8))
others = {
    "noise": on_levels(2 * torch.rand(500, 1, 8, 8, generator=rng) - 1),
    "photo patches": patches[torch.randperm(len(patches), generator=rng)[:500]],
    "pixels shuffled": normal.flatten(1)[:, order].view(-1, 1, 8, 8),
    "turned by 90°": normal.rot90(1, (2, 3)),
    "mirrored": normal.flip(3),
    "half as bright": on_levels((normal + 1) / 2 - 1),
    "a quarter as bright": on_levels((normal + 1) / 4 - 1),
}


# %%
def bits_of(x):
    return torch.stack([digit_flow.bits_per_dim(x, 17, rng) for _ in range(20)]).mean(0)


# %%
usual = bits_of(normal)
alarm = usual.quantile(0.95)  # 5 % false alarms
scores = {name: bits_of(x) for name, x in others.items()}
auc = {name: (s[:, None] > usual).double().mean().item() for name, s in scores.items()}
for name, found in scores.items():
    caught = (found > alarm).double().mean()
    print(f"{name:>19}: AUC {auc[name]:.3f}, caught {caught:6.1%}")

# %%
first_four = list(auc.values())[:4]
assert min(first_four) > 0.98
dimmed = torch.stack([scores[name] > alarm for name in ("half as bright", "a quarter as bright")])
assert dimmed.double().mean(1).max() < 0.5

# %%
chosen = {"turned by 90°": "signal", "mirrored": "learned", "half as bright": "samples"}
steps = torch.cat([usual, *scores.values()]).sort(descending=True).values
alarms = (usual[:, None] > steps).double().mean(0)
hits = {name: (scores[name][:, None] > steps).double().mean(0) for name in chosen}
for name, caught in hits.items():
    agree(f"{name}: AUC = area", torch.trapezoid(caught, alarms), auc[name], atol=5e-3)

# %% tags=["hide-input"]
fig, (left, right) = plt.subplots(1, 2, figsize=(8.8, 3.9), width_ratios=[1, 1.15])
cuts = torch.linspace(1.4, 4, 40)
right.hist(usual, bins=cuts, color=show.tint("data", 0.6))
for name, role in chosen.items():
    left.plot(alarms, hits[name], **show.style(role))
    right.stairs(
        torch.histogram(scores[name], bins=cuts).hist, cuts, label=name, **show.style(role)
    )
left.set(xlabel="false alarms", ylabel="caught", aspect="equal")
right.set(xlabel="bits per pixel; grey: unseen digits", yticks=[], ylim=(0, 90))
right.legend(loc="upper right")
show.title(fig, "Dimmed digits are hardly caught")
show.figure(fig, "Three ROC curves and the scores behind them; dimmed digits overlap with digits.")

# %% [markdown]
r"""
Four kinds are caught nearly to the last image. Dimmed digits are not: at a threshold that lets 95 % of the digits
pass, most of them pass as well, although nobody writes so faintly. A likelihood measures **how many bits an image
costs**, and an image with little in it costs few, whatever it shows (Nalisnick et al., 2019; Serrà et al., 2020).
Among the real digits, too, the bits follow how much an image varies, and the 1 costs least.
"""

# %%
label = digits.held_out.label
by_digit = torch.stack([usual[label == d].mean() for d in range(10)])
print("bits by digit:", [f"{d}: {b:.2f}" for d, b in enumerate(by_digit)])
assert by_digit.argmin() == 1
ink = normal.diff(dim=2).abs().sum((1, 2, 3)) + normal.diff(dim=3).abs().sum((1, 2, 3))
correlation = torch.corrcoef(torch.stack([ink, usual]))[0, 1].item()
print(f"correlation of the bits with how much an image varies: {correlation:.2f}")
assert correlation > 0.2

# %% [markdown]
r"""
The full failure needs data that are rich and an anomaly that is dull. Take the simplest density there is, one
Gaussian for patches of a photograph, in closed form, and judge patches of *another* photograph. A mid-grey square
is more probable than nearly all of them: the detector is not just blind, it is wrong.
"""

# %%
first, second = patches.chunk(2)  # of the one photo, and of the other
patch_model = PCAGaussian(shape=(1, 8, 8), k=63, levels=17)
patch_model.fit(first, None, rng)

# %%
real = patch_model.bits_per_dim(second, 17, rng)
square = patch_model.bits_per_dim(torch.zeros(500, 1, 8, 8), 17, rng)
print(f"real patches {real.mean():.2f} bits, grey squares {square.mean():.2f}")
less = (square[:, None] > real).double().mean().item()
print(f"AUC of grey squares: {less:.3f}")
assert less < 0.1

# %% [markdown]
r"""
Why can the most probable images be abnormal? In many dimensions a typical draw does not lie where the density is
highest. A standard normal $\mathbf z$ has its highest density at $\mathbf 0$, but nearly all of its draws have a
length near $\sqrt{64} = 8$: they live in a thin shell, the **typical set**. So look at both tails of the length.
That finds what the flow draws near the middle, at a lower temperature $\mathbf z\to 0.3\,\mathbf z$; dimmed digits
have lengths like others.
"""


# %%
def lengths(x):
    """Of z, each grey value at a random place of its bin."""
    return digit_flow.encode(x + (torch.rand(x.shape, generator=rng) - 0.5) / 8)[0].norm(dim=1)


length = torch.randn(10_000, 64, generator=rng).norm(dim=1)
agree_mean("the squared length of a normal z", length**2, 64.0)

# %%
others["cold"] = on_levels(generate(digit_flow, 500, temperature=0.3))
low, high = lengths(normal).quantile(torch.tensor([0.025, 0.975]))
outside = {}
for name in ("mirrored", "half as bright", "cold"):
    found = lengths(others[name])
    outside[name] = ((found < low) | (found > high)).double().mean().item()
    by_bits = (bits_of(others[name]) > alarm).double().mean()
    print(f"{name:>15}: caught by the bits {by_bits:.0%}, by the length {outside[name]:.0%}")
assert outside["cold"] > 0.6 and outside["half as bright"] < 0.3 and by_bits < 0.2

# %% tags=["hide-input"]
rows = {name: others[name][:9] for name in ("half as bright", "a quarter as bright", "cold")}
fig = show.rows(
    rows | {"unseen": normal[:9]}, size=0.7, title="The first three rows pass for digits"
)
show.figure(fig, "Rows of dimmed digits and of blurred strokes that pass; a row of real digits.")

# %% [markdown]
r"""
## 7 · What a flow can't do

An invertible map keeps the dimension: 64 pixels need 64 latent numbers, and a model of $1024^2$ pixels works at
full size in every layer. And it keeps the *topology*. A normal distribution is in one piece, so its image is in one
piece, too: a flow can stretch a bridge until it is thin, but never cut it. Eight separate Gaussians show it.
"""

# %%
circle = torch.arange(8) * math.pi / 4
centres = 1.4 * torch.stack([circle.cos(), circle.sin()], dim=1)
many = shipped.sample(20_000, rng)
away = (torch.cdist(many, centres).amin(1) > 4 * 0.12).double()
expected = math.exp(-(4**2) / 2)  # of a Gaussian in the plane, beyond four deviations
true_points = data.load("eight_gaussians").held_out.x0
really = (torch.cdist(true_points, centres).amin(1) > 4 * 0.12).double().mean()
print(f"beyond four deviations of every centre: the flow's points {away.mean():.1%}, "
      f"true ones {really:.2%}, exact {expected:.2%}")  # fmt: skip
agree_mean("beyond 4 deviations", (torch.randn(10**6, 2).norm(dim=1) > 4).double(), expected)
assert away.mean() > 20 * expected and really < 0.003

# %% tags=["hide-input"]
fig, axes = show.plane_axes(2, extent=2.2, size=3.6)
show.points(axes[0], true_points, "data", size=6)
show.points(axes[1], many[:2000], size=6)
for ax, name in zip(axes, ("data", "flow"), strict=True):
    ax.set_title(name)
show.title(fig, "A flow leaves bridges between the islands")
show.figure(
    fig,
    "Left, eight separate round clusters on a circle; right, the flow's samples, the same clusters "
    "joined by threads of stray points.",
)

# %% [markdown]
r"""
Not every stray point is the theorem's fault: the widest smear is simply not yet learned. But threads there must be,
and true points have none.

> **On the slide.** Koirala writes of diffusion that, "unlike VAE or Flow-Models", its latent space has the
> dimension of the data. Of VAEs that is true. A flow's latent space has it too, and must.
"""

# %% [markdown]
r"""
Models without that constraint do better, and pay elsewhere: a VAE gives up the exact likelihood, a GAN any
likelihood, diffusion the single call. But the idea returns. In lesson 09 an ordinary differential equation takes
noise to data. It is invertible, its $\log\det$ is an integral, and no layer needs a special form: a *continuous*
flow.

**So far:** exact, one call, sharp; the price is equal dimension, restricted layers and bridges.
"""

# %% [markdown]
r"""
## Exercises

### Exercise 04.1 · Another change of variables (10 minutes)

$z$ is standard normal, and $x = f(z) = \log(1+e^z)$, which is always positive. Return $\log p_X(x)$ for the given
`x`, (n,).
"""


# %%
def log_density(x):
    # your code
    ...


check("04.1", log_density)

# %% [markdown]
r"""
### Exercise 04.2 · A coupling layer (15 minutes)

`x` is (batch, d), `mask` (d,) holds ones where x passes and zeros elsewhere, and `net` turns (batch, d) into
(batch, 2d): first all s, then all t. It may see only what passes, so call it once, with `x * mask`. Return
$\mathbf z$, (batch, d), and $\log|\det\partial\mathbf z/\partial\mathbf x|$, (batch,), for $z = x\,e^s + t$ where
the mask is 0.
"""


# %%
def couple(x, mask, net):
    # your code
    ...


check("04.2", couple)

# %% [markdown]
r"""
### Exercise 04.3 · And back (10 minutes)

With the same `mask` and `net`, return the $\mathbf x$ that exercise 04.2 turns into `z`, (batch, d).
"""


# %%
def uncouple(z, mask, net):
    # your code
    ...


check("04.3", uncouple)

# %% [markdown]
r"""
### Exercise 04.4 · The likelihood of a flow (15 minutes)

`layers` is a list of functions, in the order from the data to the noise. Each takes (batch, d) and returns two
things: where the points go, (batch, d), and its $\log|\det|$, (batch,). The noise is
$\mathcal N(\mathbf 0,\mathbf I)$. Return $\log p(\mathbf x)$, (batch,).
"""


# %%
def flow_log_prob(x, layers):
    # your code
    ...


check("04.4", flow_log_prob)

# %% [markdown]
r"""
### Exercise 04.5 · Bits per pixel (10 minutes)

`log_p`, (batch,), is the log density, in nats, of dequantized images with `d` pixels on the scale from −1 to 1, and
a pixel has `levels` grey values. Return the bound on $-\log_2 P(\mathbf x)$ per pixel, (batch,).
"""


# %%
def bits_per_pixel(log_p, d, levels):
    # your code
    ...


check("04.5", bits_per_pixel)

# %% [markdown]
r"""
### Exercise 04.6 · The check that catches a wrong layer (20 minutes)

Somebody wrote a function `couple(x, mask, net)` for exercise 04.2. Write the check: return `True` if it can be
right and `False` if it can't. You know an independent way to the determinant, `torch.autograd.functional.jacobian`.
But a layer may have the right determinant for what it does, and do the wrong thing.
"""


# %%
def is_a_coupling(couple):
    # your code
    ...


check("04.6", is_a_coupling)

# %% [markdown]
r"""
Stuck? `hint("04.2")` helps a little, and again a little more; `solution("04.2")` shows ours.

## What to remember

1. $\log p_X(\mathbf x) = \log p_Z\bigl(f^{-1}(\mathbf x)\bigr) + \log\bigl|\det\partial f^{-1}/\partial\mathbf x\bigr|$; for a
   composition the logarithms add up.
2. Coupling: $\mathbf z_2 = \mathbf x_2\odot\exp s(\mathbf x_1) + t(\mathbf x_1)$, with $\log|\det| = \sum_i s_i$.
3. Discrete data: $\log P(\mathbf x)\ge\mathbb E_{\mathbf u}[\log p(\mathbf x+\mathbf u)] + \log V$. Without dequantization a
   density means nothing.

Lesson 04b drops the last constraint, that a density has to be normalized. Lesson 05 drops the density.

## References

- Koirala, *Diffusion Models* (notes, 2022); Velasco-Forero, *Introduction to Diffusion Models* (2023).
- Dinh, Sohl-Dickstein, Bengio: *Density Estimation using Real NVP*, 2017. Papamakarios et al.: *Normalizing Flows for
  Probabilistic Modeling and Inference*, 2021.
- Theis, van den Oord, Bethge: *A Note on the Evaluation of Generative Models*, 2016.
- Nalisnick et al.: *Do Deep Generative Models Know What They Don't Know?*, 2019; Serrà et al.: *Input Complexity and
  Out-of-distribution Detection with Likelihood-based Generative Models*, 2020.
- Cornish, Caterini, Deligiannidis, Doucet: *Relaxing Bijectivity Constraints with Continuously Indexed Normalising Flows*,
  2020.
- Digits: Alpaydin and Kaynak, 1998, CC BY 4.0. Photos: china by danielbuechele, flower by vultilion, CC BY 2.0.
"""
