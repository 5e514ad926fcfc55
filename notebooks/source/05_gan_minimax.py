# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
# ---

# %% [markdown]
r"""
# 05 · GANs: the minimax game

**After this lesson you can**
- write the value of the game between a generator and a discriminator, and read its two terms as log-losses;
- derive the optimal discriminator, and say which divergence the generator then minimizes;
- tell from eigenvalues why gradient steps circle in such a game, and what calms them;
- recognize saturation, disjoint supports and mode collapse by their numbers, and name a remedy for each.

**Before:** lesson 01; the Kullback–Leibler divergence of lesson 02, the change of variables of lesson 04;
eigenvalues. **Time:** 95 minutes, and 100 more for the seven exercises. **Follows:** Velasco-Forero, "Generative
Adversarial Networks"; Koirala, "GANs".
"""

# %%
import math

import matplotlib.pyplot as plt
import torch
from ipywidgets import FloatSlider, ToggleButtons
from scipy.spatial.distance import jensenshannon
from scipy.stats import wasserstein_distance
from torch.distributions import Chi2, Normal
from torch.nn import functional as F

# %%
from course_lib import data, show
from course_lib.agree import agree, agree_mean
from course_lib.exact import GaussianMixture
from course_lib.exercises import check, hint, solution
from course_lib.experiments import results
from course_lib.experiments.modes_gaussians import CENTRES, modes, play
from course_lib.models import generate
from course_lib.models.gan import critic_loss, generator_loss
from course_lib.nets import perceptron
from course_lib.training import load_trained

# %%
show.use_style()
rng = torch.Generator().manual_seed(5)
truth = GaussianMixture(torch.tensor([[-1.5], [1.2]]), torch.tensor([0.25, 0.5]))
x0 = truth.sample(5, rng).float()
print("points on the axis", tuple(x0.shape))

# %% [markdown]
r"""
Most models so far had a likelihood, or a bound on it. This lesson drops it. A **generator** $G$ turns noise into
points, a **discriminator** $D$, also called the critic, gives the probability that a point is real, and each is
trained against the other. Only $D$ ever sees the data. The whole algorithm is in the next cell. Run it first; the
lesson then takes every line apart (the generator's loss in section 6). It plays on the axis, where all densities
are known.
"""


# %%
def play_on_the_axis(G, s, steps):
    """s(x) is the discriminator's score, a logit: D(x) = sigmoid(s(x)). Yields before each step."""
    players = [torch.optim.Adam(net.parameters(), 2e-3, betas=(0.0, 0.99)) for net in (s, G)]
    for step in range(steps):
        yield step
        for player in players:
            x, fake = truth.sample(512, rng).float(), G(torch.randn(512, 8, generator=rng))
            if player is players[0]:
                loss = F.softplus(-s(x)).mean() + F.softplus(s(fake.detach())).mean()
            else:
                loss = F.softplus(-s(fake)).mean()
            player.zero_grad()
            loss.backward()
            player.step()


# %%
torch.manual_seed(2)
G, s = perceptron(8, 32, 32, 1), perceptron(1, 32, 32, 1)
grid = torch.linspace(-4, 4, 401)[:, None]
probes = torch.randn(9, 8, generator=rng)  # nine z
moments = {}
for step in play_on_the_axis(G, s, 1001):
    if step in (0, 25, 200, 1000):
        x = G(probes).detach().requires_grad_()
        (slope,) = torch.autograd.grad(s(x).sum(), x)
        many = G(torch.randn(100_000, 8, generator=rng))
        moments[step] = [t.detach()[:, 0] for t in (s(grid).sigmoid(), x, slope, many)]

# %% tags=["hide-input"]
fig, axes = plt.subplots(1, 4, figsize=(8.6, 3.5), sharey=True)
for ax, (step, (D, x, slope, many)) in zip(axes, moments.items(), strict=True):
    ax.hist(many, bins=torch.linspace(-4, 4, 81), density=True, color=show.tint("GAN", 0.35))
    ax.plot(grid, truth.log_prob(grid).exp(), **show.style("data"))
    ax.plot(grid, D, **show.style("discriminator"))
    ax.quiver(x, torch.full_like(x, -0.1), slope.clamp(-2, 2), 0 * x, color=show.colour("GAN"),
              angles="xy", scale_units="xy", scale=0.7, width=0.03, zorder=3)  # fmt: skip
    ax.set(title=f"step {step}", xticks=[-3, 0, 3], ylim=(-0.2, 1.05), yticks=[0, 0.5, 1])
axes[0].text(-3.9, 0.9, "$D(x)$", color=show.colour("discriminator"))
show.title(fig, "The slope of D pulls the fake points to the data")
alt = (
    "Four moments of a game on the axis: the histogram of fake points moves onto the two bumps "
    "of the data, and the discriminator's curve flattens to one half."
)
show.figure(fig, alt)

# %% [markdown]
r"""
Black is the density of the data, orange the histogram of what $G$ makes, blue $D$. The arrows show the slope of the
score at nine fake points (at most 2), along which the generator moves them. Where $D$ has a slope the points are
driven to where they look more real. At the end $D\approx\tfrac12$: it can't tell the two apart.
"""

# %%
final = moments[1000][0][(grid[:, 0] - 0).abs() < 2.5]
print(f"D where the data are, at the end: {final.min():.2f} … {final.max():.2f}")
assert ((final > 0.3) & (final < 0.7)).all()
many, real = moments[1000][3], truth.sample(100_000, rng)[:, 0]
distance = wasserstein_distance(many, real)
print(f"Wasserstein distance of fake from real points (section 7): {distance:.3f}")
assert distance < 0.2

# %% [markdown]
r"""
## 1 · A judge and a forger

The discriminator must recognize real examples, and the generator must fool it. Put into numbers, that is

$$ V(G,D) = \underbrace{\mathbb E_{\mathbf x\sim p_r}\bigl[\log D(\mathbf x)\bigr]}_{\text{decision over real data}}
   + \underbrace{\mathbb E_{\mathbf z\sim p_z}\bigl[\log\bigl(1-D(G(\mathbf z))\bigr)\bigr]}_{\text{decision over fake data}},
   \qquad \min_G\max_D V(G,D) $$

with $p_r$ the density of real points. What one player wins, the other loses: a **zero-sum game**. The lecture asks
for the answers one after the other: $D^* = \arg\max_D V(G,D)$ for a given $G$ (section 3), then
$G^* = \arg\min_G V(G,D^*)$ (section 4).
"""

# %% tags=["hide-input"]
digits = data.load("digits")
fake = generate(load_trained("cgan-digits").model, 10, cond=torch.arange(10))
message = "A judge learns, and a forger learns from the judge"
fig = show.gan_players(digits.held_out.x0[0], fake[3], message)
show.figure(fig, "A generator makes an image of z; a discriminator compares it with a real one.")

# %% [markdown]
r"""
Both terms are familiar. A classifier of two classes, real (1) and fake (0), has the log-loss $-\log D$ on class 1
and $-\log(1-D)$ on class 0. So $V$ is minus the sum of two log-losses: the discriminator is an ordinary classifier,
and the generator is paid for its errors. A network returns a **score** $s$, any number, with $D = \sigma(s)$ (not
the score $\nabla\log p$ of lesson 04b); then $\log D = -\mathrm{softplus}(-s)$ and
$\log(1-D) = -\mathrm{softplus}(s)$, which never becomes $\log 0$.
"""


# %%
def value(s_real, s_fake):
    """V(G, D) from the scores of real and of fake points."""
    return -F.softplus(-s_real).mean() - F.softplus(s_fake).mean()


# %%
s_real, s_fake = 2 * torch.randn(500, generator=rng) + 1, 2 * torch.randn(500, generator=rng) - 1
classes = torch.cat([torch.ones(500), torch.zeros(500)])
log_loss = F.binary_cross_entropy_with_logits(torch.cat([s_real, s_fake]), classes)
agree("V = −2 × PyTorch's log-loss", value(s_real, s_fake), -2 * log_loss, atol=1e-5)

# %%
ours = sum(critic_loss(s_real, s_fake, "minimax").values())
agree("what the library's critic minimizes: −V", ours, -value(s_real, s_fake), atol=1e-6)

# %% [markdown]
r"""
The lecture trains by turns: first "only the discriminator should be updated", then the discriminator is "set to
non-trainable weights". In code there are two ways to hold the *generator* still: switch its gradients off, or cut the
graph by `detach`. The discriminator gets the same gradient. To hold the *discriminator* still only the first will do,
since the generator's gradient must pass through it.
"""

# %%
x, z = truth.sample(64, rng).float(), torch.randn(64, 8, generator=rng)
G.requires_grad_(False)
frozen = torch.autograd.grad(value(s(x), s(G(z))), list(s.parameters()))
G.requires_grad_(True)
cut = torch.autograd.grad(value(s(x), s(G(z).detach())), list(s.parameters()))
agree("frozen = detached", torch.cat([g.flatten() for g in frozen]),
      torch.cat([g.flatten() for g in cut]), atol=1e-6)  # fmt: skip

# %% [markdown]
r"""
## 2 · What the noise becomes

The slides now replace $\mathbb E_{\mathbf z}$ by an integral over $\mathbf x$. The points $G(\mathbf z)$ have a
distribution of their own, $p_g$, the **push-forward** of the noise through $G$, and for every function $h$

$$ \mathbb E_{\mathbf z\sim p_z}\bigl[h(G(\mathbf z))\bigr] = \int h(\mathbf x)\,p_g(\mathbf x)\,\mathrm d\mathbf x $$

On the axis, lesson 04's change of variables gives $p_g$: $p_g(x) = p_z(z)\,/\,|G'(z)|$ at the $z$ with $G(z) = x$,
summed over all such $z$. Two generators: $\sinh z$, which is increasing, and $z^2$, which meets each $x > 0$ twice.
"""

# %%
torch.set_default_dtype(torch.float64)
axis = torch.linspace(-60, 60, 400_001)
p_g = (Normal(0, 1).log_prob(axis.asinh()) - 0.5 * (1 + axis**2).log()).exp()  # cosh z = G'(z)
agree("p_g adds up to 1", torch.trapezoid(p_g, axis), 1.0, atol=1e-4)


# %%
def h(x):
    """log(1 − D(x)) for a discriminator with the score x − 1."""
    return -F.softplus(x - 1)


agree("h = log(1 − D)", h(x := torch.linspace(-9, 9, 50)), (1 - (x - 1).sigmoid()).log(), atol=1e-9)
z = torch.randn(400_000, generator=rng)
agree_mean("over z = over x, G = sinh", h(z.sinh()), torch.trapezoid(h(axis) * p_g, axis))

# %%
x = torch.linspace(0.1, 6, 100)
z = x.sqrt()  # and −z; G'(z) = 2z
two = 2 * Normal(0, 1).log_prob(z).exp() / (2 * z)
agree("G = z²: PyTorch's χ² density", two, Chi2(torch.tensor(1.0)).log_prob(x).exp(), atol=1e-12)

# %% [markdown]
r"""
> **On the slide** (Velasco-Forero) this step is justified "by Radon–Nikodym Theorem". The equation above is just what
> a push-forward *means*; it needs no theorem. Radon and Nikodym say when there is a *density* $p_g$, and for a real
> GAN there is none: if $\mathbf z$ has fewer numbers than $\mathbf x$, all of $G(\mathbf z)$ lies on a thin set
> without volume. Take $G(z) = (\cos z, \sin z)$ in the plane. All of its mass lies on a circle, whose area is 0.
> Section 7 shows what this does to the game.
"""

# %%
z = 3 * torch.randn(10_000, generator=rng)
on_circle = torch.stack([z.cos(), z.sin()], dim=1)
agree("all points at radius 1, a set of area 0", on_circle.norm(dim=1), 1.0, atol=1e-12)

# %% [markdown]
r"""
## 3 · The optimal discriminator

With $p_g$ the value is one integral, the slides' equation 4:

$$ V(G,D) = \int \Bigl(p_r(\mathbf x)\log D(\mathbf x) + p_g(\mathbf x)\log\bigl(1-D(\mathbf x)\bigr)\Bigr)\,\mathrm d\mathbf x $$

Real and fake points count equally here. $D$ may be any function, so each $\mathbf x$ can be treated on its own:
given $a = p_r(\mathbf x)$ and $b = p_g(\mathbf x)$, both positive, which $y = D(\mathbf x)$ makes
$f(y) = a\log y + b\log(1-y)$ largest? Its slope $\tfrac ay - \tfrac b{1-y}$ is 0 at $y^* = a/(a+b)$.
"""

# %%
y = torch.linspace(0.001, 0.999, 999)
pairs = {"a = 1, b = 1": (1.0, 1.0), "a = 3, b = 1": (3.0, 1.0), "a = 0.4, b = 2": (0.4, 2.0)}
f = {name: a * y.log() + b * (1 - y).log() for name, (a, b) in pairs.items()}
for name, (a, b) in pairs.items():
    agree(f"largest at a/(a+b), {name}", y[f[name].argmax()], a / (a + b), atol=1e-3)
    bend = -a / y**2 - b / (1 - y) ** 2  # the second derivative
    measured = f[name].diff(n=2) / 0.001**2
    assert bend.max() < 0 and (measured / bend[1:-1] - 1)[100:-100].abs().max() < 1e-3

# %% tags=["hide-input"]
fig, ax = plt.subplots(figsize=(7.4, 3.4))
for (name, (a, b)), role in zip(pairs.items(), ("data", "signal", "samples"), strict=True):
    ax.plot(y, f[name], **show.style(role))
    ax.plot(a / (a + b), f[name].max(), "o", color=show.colour(role), markersize=10)
    lift = -0.75 if a == 3 else 0.35
    ax.text(a / (a + b), f[name].max() + lift, name, color=show.colour(role), ha="center")
ax.set(xlabel="y = D(x)", ylabel="f(y)", ylim=(-7, 1.0))
show.title(fig, "At a/(a+b) there is a maximum")
show.figure(fig, "Three curves a log y + b log(1-y), each a hill with its top at a/(a+b).")

# %% [markdown]
r"""
> **On the slide** $f$ "has minimum in $x^* = a/(a+b)$". It is a **maximum**: $f''<0$, and at 0 and 1 the curve goes
> to $-\infty$. A minimum would make no sense, for $D$ wants $V$ large. The number decides: with $a = 3$ and $b = 1$,
> $f(0.75) = -2.25$, while $f(0.5) = -2.77$.
"""


# %%
def hill(y, a=3.0, b=1.0):
    return a * math.log(y) + b * math.log(1 - y)


print(f"f(0.75) = {hill(0.75):.2f}, f(0.5) = {hill(0.5):.2f}, f(0.9) = {hill(0.9):.2f}")
assert hill(0.75) > max(hill(0.5), hill(0.9))

# %% [markdown]
r"""
So for a given generator the best discriminator is known, and it is a statement about densities:

$$ D^*(\mathbf x) = \frac{p_r(\mathbf x)}{p_r(\mathbf x)+p_g(\mathbf x)},\qquad
   s^*(\mathbf x) = \log\frac{p_r(\mathbf x)}{p_g(\mathbf x)} $$

Where both densities are 0, $D^*$ may be anything. Its score is the **log-ratio of the densities**. A classifier
that never saw a density learns their ratio. We test that with a generator that stands still,
$p_g = \mathcal N(1.5, 0.7^2)$, against $p_r = \mathcal N(0, 1)$.
"""

# %%
torch.set_default_dtype(torch.float32)
p_r, p_g = Normal(0.0, 1.0), Normal(1.5, 0.7)


# %%
def critic_steps(score, real, fake, steps=500, rate=5e-3):
    """Trains a score network, and yields before each step. real, fake: they draw points."""
    optimizer = torch.optim.Adam(score.parameters(), rate)
    for step in range(steps):
        optimizer.param_groups[0]["lr"] = rate * (1 - step / steps)
        yield step
        loss = -value(score(real()), score(fake()))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


# %%
def train_critic(score, real, fake, **options):
    for _ in critic_steps(score, real, fake, **options):
        pass
    return score


def draw(law, n=512):
    return lambda: law.mean + law.stddev * torch.randn(n, 1, generator=rng)


# %%
x = torch.linspace(-3, 4, 701)[:, None]
exact = (p_r.log_prob(x) - p_g.log_prob(x)).sigmoid()
learned = []
for seed in range(3):
    torch.manual_seed(seed)
    score = train_critic(perceptron(1, 32, 32, 1), draw(p_r), draw(p_g))
    learned.append(score(x).sigmoid().detach())

# %%
mass = (p_r.log_prob(x).exp() + p_g.log_prob(x).exp()) / 2
off = torch.stack([((D - exact).abs() * mass).sum() / mass.sum() for D in learned])
print("mean distance from D*, three seeds:", [f"{o:.3f}" for o in off])
assert off.max() < 0.03

# %% tags=["hide-input"]
fig, ax = plt.subplots(figsize=(7.4, 3.4))
ax.fill_between(x[:, 0], p_r.log_prob(x)[:, 0].exp(), color=show.tint("data", 0.7))
ax.fill_between(x[:, 0], p_g.log_prob(x)[:, 0].exp(), color=show.tint("GAN", 0.6), alpha=0.8)
ax.plot(x, exact, **show.style("exact"))
for D in learned:
    ax.plot(x, D, **show.style("learned"))
ax.text(-2.9, 0.82, "$D^*$, and three that were learned")
ax.text(-0.1, 0.43, "$p_r$", ha="right")
ax.text(1.6, 0.6, "$p_g$", color=show.colour("GAN"))
ax.set(xlabel="x", ylim=(0, 1.05))
show.title(fig, "A classifier learns the ratio of two densities")
show.figure(fig, "Two bells; the exact D* falls between them, and three learned curves lie on it.")

# %% [markdown]
r"""
The same in the plane: four Gaussians against one broad Gaussian.
"""

# %%
four = GaussianMixture(CENTRES[::2], 0.35**2)
broad = GaussianMixture(torch.zeros(1, 2), 1.2**2)
torch.manual_seed(0)
pair = [lambda law=law: law.sample(512, rng).float() for law in (four, broad)]
score = train_critic(perceptron(2, 64, 64, 1), *pair)

# %%
points = torch.cat([law.sample(2000, rng) for law in (four, broad)]).float()
exact = (four.log_prob(points) - broad.log_prob(points)).sigmoid()
off = (score(points)[:, 0].sigmoid() - exact).abs().mean().item()
print(f"mean distance from D* in the plane: {off:.3f}")
assert off < 0.08

# %% tags=["hide-input"]
side = torch.linspace(-2.4, 2.4, 121)
plane = torch.cartesian_prod(side, side)
exact = (four.log_prob(plane) - broad.log_prob(plane)).sigmoid()
maps = {"$D^*$": exact, "learned": score(plane)[:, 0].sigmoid().detach()}
look = {"origin": "lower", "extent": (-2.4, 2.4, -2.4, 2.4), "cmap": "Blues", "vmin": 0, "vmax": 1}
fig, axes = show.plane_axes(2, extent=2.4, size=3.6)
for ax, (name, D) in zip(axes, maps.items(), strict=True):
    ax.imshow(D.view(121, 121).T, **look)
    ax.set_title(name)
show.title(fig, "In the plane, too: D* and a learned D")
show.figure(fig, "Two maps of D, both with four dark spots where points are more probably real.")

# %% [markdown]
r"""
**So far:** the discriminator is a classifier, its best answer is $p_r/(p_r+p_g)$, and networks find it.

## 4 · What the generator minimizes

Put $D^*$ into $V$. With the mean of both densities, $m = \tfrac12(p_r+p_g)$, the denominators are $2m$:

$$ V(G,D^*) = \int p_r\log\frac{p_r}{2m} + \int p_g\log\frac{p_g}{2m}
 = D_{\mathrm{KL}}(p_r\,\|\,m) + D_{\mathrm{KL}}(p_g\,\|\,m) - 2\log 2 = 2\,\mathrm{JS}(p_r\,\|\,p_g) - 2\log 2 $$

The **Jensen–Shannon divergence**
$\mathrm{JS} = \tfrac12 D_{\mathrm{KL}}(p_r\|m) + \tfrac12 D_{\mathrm{KL}}(p_g\|m)$ is symmetric, never negative, 0
only for equal densities, and never more than $\log 2$. So the best generator has $p_g = p_r$, the value there is
$-2\log 2 = -1.386$, and $D^* = \tfrac12$ everywhere. Both sides by quadrature, and JS by SciPy, for generators
$\mathcal N\bigl(\mu, (0.7 + 0.3\,e^{-\mu^2})^2\bigr)$ that become the truth at $\mu = 0$:
"""

# %%
torch.set_default_dtype(torch.float64)
x = torch.linspace(-9, 15, 8001)
shifts = torch.linspace(0, 6, 25)
q_r = Normal(0.0, 1.0).log_prob(x)


def log_q(mu):
    """The generator's log-density: N(mu, 1) at mu = 0, narrower further away."""
    return Normal(mu, 0.7 + 0.3 * (-(mu**2)).exp()).log_prob(x)


# %%
def V_of(score, log_p, log_q):
    """V by quadrature, for any score on the grid."""
    real, fake = -F.softplus(-score), -F.softplus(score)
    return torch.trapezoid(log_p.exp() * real + log_q.exp() * fake, x)


best = torch.stack([V_of(q_r - log_q(mu), q_r, log_q(mu)) for mu in shifts])
js = [jensenshannon(q_r.exp(), log_q(mu).exp()) ** 2 for mu in shifts]  # SciPy returns a root
agree("V(G, D*) = 2 JS − 2 log 2", best, 2 * torch.tensor(js) - 2 * math.log(2), atol=1e-6)
agree("the generator of μ = 0 is the truth", log_q(shifts[0]), q_r, atol=1e-9)
agree("at p_g = p_r: −2 log 2", best[0], -2 * math.log(2), atol=1e-9)
assert (best.diff() > 0).all() and best[-1] < 0

# %% [markdown]
r"""
> **On the slide.** Equation 5, $\mathrm{JS} = \tfrac12(\log 4 + \min_G V(G,D^*))$, has one minimum too many. The
> identity holds for $V(G,D^*)$, at every $G$; the minimum over $G$ is $-\log 4$, whatever $G$ is on the left. And the
> footnote defines $m = p + q$, without the ½. Then "JS" of two equal densities would be $-\log 2$, a negative
> distance:
"""

# %%
p = q_r.exp()
as_printed = torch.trapezoid(p * (p / (p + p)).log(), x)  # both halves are equal
agree("with m = p + q, JS(p, p) = −log 2", as_printed, -math.log(2), atol=1e-9)

# %% [markdown]
r"""
In training nobody knows $D^*$, only some $D$, and since $D^*$ is the maximum, $V(G,D)\le V(G,D^*)$. So what a
discriminator measures is a **lower bound** on the divergence, and it grows while $D$ learns. **Predict first:**
does the value on the discriminator's own training points stay below, too?

<details><summary>Answer</summary>

Not if the points are few. A network can learn 20 real and 20 fake points by heart; then $D$ goes to 1 and 0 on
them, and $V$ towards 0, which is the value of disjoint densities. On fresh points the same $D$ is poor.

</details>
"""

# %%
log_p, log_f = p_r.log_prob(x), p_g.log_prob(x)
bound = V_of(log_p - log_f, log_p, log_f).item()
wide = x.float()[:, None]
torch.set_default_dtype(torch.float32)


def twenty(law, seed):
    return law.mean + law.stddev * torch.randn(20, 1, generator=torch.Generator().manual_seed(seed))


# %%
def watched(real, fake, few, seed):
    """Every 15 steps of a critic: the true V, by quadrature, and V on `few` points of each kind."""
    torch.manual_seed(seed)
    score, found = perceptron(1, 64, 64, 64, 1), []
    for step in critic_steps(score, real, fake, steps=450):
        if step % 15 == 0:
            with torch.no_grad():
                true = V_of(score(wide)[:, 0].double(), log_p, log_f).item()
                found.append((true, value(score(few[0]), score(few[1])).item()))
    return found


# %%
fresh, few_only = [], []
for seed in range(3):
    real, fake = twenty(p_r, 2 * seed), twenty(p_g, 2 * seed + 1)
    fresh.append(watched(draw(p_r), draw(p_g), (real, fake), seed))
    few_only.append(watched(lambda x=real: x, lambda x=fake: x, (real, fake), seed))
fresh = torch.tensor(fresh)[..., 0]
poor, own = torch.tensor(few_only).unbind(2)

# %%
print(f"2 JS − 2 log 2 = {bound:.3f}")
for name, found in {"fresh": fresh, "20 points, truth": poor, "on those 20": own}.items():
    print(f"{name:>17}:", [f"{v:.3f}" for v in found[:, -1]])
assert torch.maximum(fresh, poor).max() <= bound + 1e-6 and bound - fresh[:, -1].min() < 0.05
assert (own[:, -1] > bound + 0.1).all() and (poor[:, -1] < bound - 0.5).all()

# %% tags=["hide-input"]
steps = torch.arange(0, 450, 15)
fig, (left, right) = plt.subplots(1, 2, figsize=(8.6, 3.5), sharey=True)
left.plot(steps, fresh.T, **show.style("learned"))
right.plot(steps, poor.T, **show.style("learned"))
right.plot(steps, own.T, **show.style("discriminator"))
for ax, name in ((left, "fresh points at each step"), (right, "the same 20 points")):
    ax.axhline(bound, **show.style("exact"))
    ax.set(xlabel="step", ylim=(-3.1, 0.4), title=name)
left.set_ylabel("V")
left.text(440, bound + 0.1, r"$2\,JS - 2\log 2$", ha="right")
right.text(440, 0.08, "on the 20", ha="right", color=show.colour("discriminator"))
right.text(440, -2.9, "the truth", ha="right", color=show.colour("learned"))
show.title(fig, "A lower bound, unless the points are known by heart")
show.figure(fig, "V climbs to the bound; on 20 points it overshoots, while the truth falls again.")

# %% [markdown]
r"""
Keep the right-hand picture in mind: with 1,297 digits, the discriminator's memory can become the limit of a GAN
(lesson 05b).

**So far:** against the best discriminator the generator minimizes $2\,\mathrm{JS}-2\log2$. That is the theory of the
*end* of the game, $\max_D$ inside. But both move at once. What then?
"""

# %% [markdown]
r"""
## 5 · When both move at once

Take the simplest zero-sum game of two numbers, $V(x,y) = xy$: $x$ wants it small, $y$ wants it large. The only
equilibrium is $(0,0)$. Both follow their gradients with the rate $\eta$, at the same time or by turns:

$$ \text{simultaneous: } \begin{pmatrix}x\\y\end{pmatrix}\leftarrow\begin{pmatrix}1&-\eta\\ \eta&1\end{pmatrix}\begin{pmatrix}x\\y\end{pmatrix},
   \qquad\text{by turns (}y\text{ first): }\begin{pmatrix}1-\eta^2&-\eta\\ \eta&1\end{pmatrix} $$

What repeated steps do is in the eigenvalues. The **spectral radius**, the largest $|\lambda|$, is the factor per
step in the long run. Simultaneous: $\lambda = 1\pm i\eta$, so $|\lambda| = \sqrt{1+\eta^2} > 1$: a spiral outwards,
at *every* rate. By turns the determinant is 1 and, for $\eta<2$, $|\lambda| = 1$: round and round for ever.
"""


# %%
def field(w):
    """Where (x, y) wants to go: x down the value, y up."""
    x, y = w
    return torch.stack([-y, x])


w = torch.tensor([0.7, -0.3], requires_grad=True)
(slope,) = torch.autograd.grad(w[0] * w[1], w)
agree("x goes down V, y goes up", field(w), slope * torch.tensor([-1, 1]), atol=1e-6)


# %%
def simultaneous(w, eta):
    return w + eta * field(w)


def by_turns(w, eta):
    y = w[1] + eta * field(w)[1]
    return torch.stack([w[0] + eta * field(torch.stack([w[0], y]))[0], y])


# %% [markdown]
r"""
A third rule looks ahead: **extragradient** (Korpelevich, 1976) makes a trial step, and then steps from the old
place along the field *at the trial*. Its matrix is $\mathbf I+\eta\mathbf A+\eta^2\mathbf A^2$ with
$\mathbf A^2 = -\mathbf I$, so $|\lambda|^2 = (1-\eta^2)^2+\eta^2 = 1-\eta^2+\eta^4$, below 1 for $\eta<1$. A fourth
adds **momentum** $\beta$, which optimizers such as Adam have: each player goes on in part as before. All are judged
by the same function, which asks autograd for the matrix of a step.
"""


# %%
def extragradient(w, eta):
    return w + eta * field(simultaneous(w, eta))


def with_momentum(state, eta, beta):
    """By turns. state: x, y, and their velocities."""
    x, y, u, v = state
    v = beta * v + eta * x
    y = y + v
    u = beta * u - eta * y
    return torch.stack([x + u, y, u, v])


# %%
def radius(step, size=2):
    """The spectral radius of a linear rule."""
    M = torch.autograd.functional.jacobian(step, torch.zeros(size, dtype=torch.float64))
    return torch.linalg.eigvals(M).abs().max().item()


# %%
eta = 0.2
agree("by turns: 1", radius(lambda w: by_turns(w, eta)), 1.0, atol=1e-7)
out, ahead = math.sqrt(1 + eta**2), math.sqrt(1 - eta**2 + eta**4)
agree("simultaneous: √(1 + η²)", radius(lambda w: simultaneous(w, eta)), out, atol=1e-12)
agree("extragradient", radius(lambda w: extragradient(w, eta)), ahead, atol=1e-12)
for beta in (0.9, 0.5, 0.0, -0.5):
    found = radius(lambda w, beta=beta: with_momentum(w, eta, beta), 4)
    print(f"momentum {beta:4}: {found:.4f}")
    assert (found > 1 + 1e-6) == (beta > 0)

# %% [markdown]
r"""
At this rate momentum makes it worse, and a *negative* momentum of −0.5 better (Gidel et al., 2019), the opposite of
what it does in plain minimization. One more cure needs no new rule: by turns the points run round the equilibrium,
so their **average** is near it. Let us see whether the eigenvalues told the truth.
"""

# %%
rules = {
    "simultaneous": (lambda w: simultaneous(w, eta), 2),
    "by turns": (lambda w: by_turns(w, eta), 2),
    "momentum 0.5": (lambda w: with_momentum(w, eta, 0.5), 4),
    "momentum −0.5": (lambda w: with_momentum(w, eta, -0.5), 4),
    "extragradient": (lambda w: extragradient(w, eta), 2),
}

# %%
paths = {}
for name, (rule, size) in rules.items():
    w = [torch.tensor([1.0, 0.0, 0.0, 0.0], dtype=torch.float64)[:size]]
    for _ in range(300):
        w.append(rule(w[-1]))
    paths[name] = torch.stack(w)

# %%
for name, (rule, size) in rules.items():
    far = paths[name].norm(dim=1)
    growth = (far[-40:].log().mean() - far[100:140].log().mean()) / 161
    agree(f"{name}: growth per step = radius", growth.exp(), radius(rule, size), atol=2e-3)

# %%
turns = paths["by turns"][:, :2]
average = turns.mean(0)
print(f"by turns: the end is {turns[-1].norm():.2f} away, the average {average.norm():.3f}")
assert average.norm() < 0.05 and turns[-1].norm() > 0.8

# %% tags=["hide-input"]
looks = dict(zip(paths, ("samples", "data", "GAN", "signal", "flow"), strict=True))
fig, (left, right) = plt.subplots(1, 2, figsize=(8.6, 3.7), width_ratios=[1, 1.25])
for name in ("simultaneous", "by turns", "extragradient"):
    left.plot(*paths[name][:70, :2].T, **show.style(looks[name]))
left.plot(0, 0, "k+", markersize=12)
left.set(xlabel="x", ylabel="y", aspect="equal", xlim=(-4, 4), ylim=(-4, 4))
right.set(yscale="log", ylim=(1e-3, 40), xlabel="step", xlim=(0, 480), xticks=[0, 100, 200, 300])
for (name, path), y in zip(paths.items(), (18, 0.9, 5, 0.15, 0.002), strict=True):
    right.plot(path[:, :2].norm(dim=1), **show.style(looks[name]))
    right.text(306, y, name, color=show.colour(looks[name]))
show.title(fig, "The same gradients circle, fly apart, or arrive")
alt = "Three paths around the equilibrium: out, round, in. Right, their distances on a log scale."
show.figure(fig, alt)

# %% [markdown]
r"""
### The smallest GAN

A real GAN in one number each (Mescheder, Geiger and Nowozin, 2018): the data are a single point at 0, the generator
makes a single point $\theta$, and the score is linear, $s(x) = \psi x$. Then
$V(\theta,\psi) = \log\tfrac12 - \mathrm{softplus}(\psi\theta)$. In small steps both follow a **vector field**

$$ \dot\theta = \psi\,\sigma(\psi\theta),\qquad \dot\psi = -\theta\,\sigma(\psi\theta) - \gamma\psi $$

The term with $\gamma$ is a **penalty on the slope** of the discriminator at real points,
$\tfrac\gamma2\|\nabla s\|^2$ (R1); here $\nabla s = \psi$. At the equilibrium the matrix of the field is
$\begin{pmatrix}0&\frac12\\-\frac12&-\gamma\end{pmatrix}$, with the eigenvalues
$-\tfrac\gamma2\pm\sqrt{\tfrac{\gamma^2}4-\tfrac14}$. Without a penalty they are $\pm\tfrac i2$; with it their real
part is negative. And not only nearby: along every path
$\tfrac{\mathrm d}{\mathrm dt}\tfrac12(\theta^2+\psi^2) = -\gamma\psi^2$. So without a penalty all paths are
circles, and with it all lead to $(0,0)$.
"""


# %%
def dirac(w, gamma):
    """The field at w = (theta, psi), by autograd of the library's losses."""
    theta, psi = w.detach().requires_grad_().unbind()
    real, fake = 0 * psi[None], (psi * theta)[None]
    penalty = 0.5 * gamma * psi**2
    up = sum(critic_loss(real, fake, "minimax").values()) + penalty
    down = generator_loss(fake, "minimax")
    return -torch.stack([torch.autograd.grad(down, theta, retain_graph=True)[0],
                         torch.autograd.grad(up, psi)[0]])  # fmt: skip


# %%
def by_hand(w, gamma):
    theta, psi = w[..., 0], w[..., 1]
    pull = (psi * theta).sigmoid()
    return torch.stack([psi * pull, -theta * pull - gamma * psi], dim=-1)


w = torch.tensor([0.8, -1.1], dtype=torch.float64)
agree("the field: library = by hand", dirac(w, 0.3), by_hand(w, 0.3), atol=1e-12)
many = torch.randn(50, 2, generator=rng, dtype=torch.float64)
inward = (many * by_hand(many, 0.3)).sum(1)
agree("the distance changes by −γψ²", inward, -0.3 * many[:, 1] ** 2, atol=1e-12)

# %%
for gamma in (0.0, 0.3, 2.0):
    M = torch.autograd.functional.jacobian(lambda w, g=gamma: by_hand(w, g), 0 * w)
    root = torch.tensor(gamma**2 / 4 - 0.25, dtype=torch.complex128).sqrt()
    expected = torch.stack([-gamma / 2 - root, -gamma / 2 + root])
    found = torch.linalg.eigvals(M)
    found = found if (found - expected).abs().sum() < 1 else found.flip(0)  # in the same order
    agree(f"γ = {gamma}: real parts", found.real, expected.real, atol=1e-7)
    agree(f"γ = {gamma}: imaginary parts", found.imag, expected.imag, atol=1e-7)


# %%
def flow_along(gamma, h=0.1, steps=240):
    """Eight starts, (steps + 1, 8, 2), by steps of Heun's method."""
    angle = torch.arange(8) * math.pi / 4
    w = [1.3 * torch.stack([angle.cos(), angle.sin()], dim=1).double()]
    for _ in range(steps):
        k = by_hand(w[-1], gamma)
        w.append(w[-1] + h / 2 * (k + by_hand(w[-1] + h * k, gamma)))
    return torch.stack(w)


# %%
circling, calmed = flow_along(0.0), flow_along(0.4)
free, tame = (path[-1].norm(dim=1) for path in (circling, calmed))
print(f"after t = 24: {free.mean():.2f} away without the penalty, {tame.mean():.3f} with it")
assert (circling.norm(dim=2) - 1.3).abs().max() < 0.01 and tame.max() < 0.05

# %% tags=["hide-input"]
frames = []
for t in range(0, 241, 15):
    fig, axes = show.plane_axes(2, extent=1.9, size=3.2)
    for ax, path, name in zip(axes, (circling, calmed), ("0", "0.4"), strict=True):
        tail = path[max(0, t - 30) : t + 1].permute(2, 0, 1)
        ax.plot(*tail, color=show.tint("GAN", 0.4), linewidth=1.5)
        ax.plot(*path[t].T, "o", color=show.colour("GAN"), markersize=9)
        ax.plot(0, 0, "k+", markersize=12)
        ax.set_title(rf"$\gamma$ = {name}")
    frames.append(fig)
show.film(frames, "Eight games go round on a circle; with a penalty all spiral into the middle.")

# %% [markdown]
r"""
Which loss, and how strong a penalty? The arrows are the field; the line is one game from $(1.2, 0)$, played by
turns with steps of 0.3, as a training would. *Minimax* is the loss above; *non-saturating* is section 6's; and
*Wasserstein* (section 7) has $\dot\theta = \psi$, $\dot\psi = -\theta-\gamma\psi$.
"""


# %%
def step_by_turns(w, loss, gamma, eta=0.3):
    theta, psi = w.clone().requires_grad_().unbind()
    up = sum(critic_loss(0 * psi[None], (psi * theta)[None], loss).values()) + gamma / 2 * psi**2
    psi = (psi - eta * torch.autograd.grad(up, psi)[0]).detach()
    down = generator_loss((psi * theta)[None], loss)
    return torch.stack([theta - eta * torch.autograd.grad(down, theta)[0], psi]).detach()


# %%
def game(loss, gamma, steps=120):
    w = [torch.tensor([1.2, 0.0])]
    for _ in range(steps):
        w.append(step_by_turns(w[-1], loss, gamma))
    return torch.stack(w)


# %%
def game_field(theta, psi, loss, penalty):
    """How theta and psi move, in small steps."""
    s = psi * theta
    D = torch.ones_like(s) if loss == "wasserstein" else s.sigmoid()
    pull = 1 - D if loss == "non-saturating" else D
    return psi * pull, -theta * D - penalty * psi


def arrows(ax, loss, penalty):
    """The field of a game at 11 x 11 places."""
    ticks = torch.linspace(-1.8, 1.8, 11)
    places = torch.cartesian_prod(ticks, ticks).T
    ax.quiver(*places, *game_field(*places, loss, penalty), color=show.colour("grey"), scale=28)


# %%
w = torch.tensor([0.8, -1.1], dtype=torch.float64)
for loss in ("minimax", "non-saturating", "wasserstein"):
    step = (step_by_turns(w, loss, 0.3, eta=1e-4) - w) / 1e-4
    agree(
        f"{loss}: a small step = an arrow", step, torch.stack(game_field(*w, loss, 0.3)), atol=1e-3
    )


# %%
def show_game(loss, penalty):
    path = game(loss, penalty)
    fig, (ax,) = show.plane_axes(1, extent=2.0, size=4.0)
    arrows(ax, loss, penalty)
    ax.plot(*path.T, ".-", color=show.colour("GAN"), linewidth=1.2)
    show.title(fig, f"{loss}: ends {path[-1].norm():.2f} away")
    return fig


# %%
show.widget(
    show_game,
    "Arrows turn round the origin of the plane of theta and psi; a dotted path spirals into it.",
    loss=ToggleButtons(
        options=["minimax", "non-saturating", "wasserstein"], value="non-saturating"
    ),
    penalty=FloatSlider(value=0.3, min=0, max=1, step=0.1, continuous_update=False),
)

# %%
ends = {
    loss: [game(loss, g)[-1].norm().item() for g in (0.0, 0.3)]
    for loss in ("minimax", "non-saturating", "wasserstein")
}
print({loss: [round(e, 3) for e in end] for loss, end in ends.items()})
assert all(free > 0.3 and tame < 0.1 for free, tame in ends.values())

# %% [markdown]
r"""
Without a penalty two of the three circle for ever. The non-saturating game creeps inwards by itself, slowly.

**So far:** following the gradient leads into a valley, but in a game it may lead round in circles. Remedies are a
penalty on the slope, looking ahead, averaging, and *less* momentum.
"""

# %% [markdown]
r"""
## 6 · Saturation

If the discriminator gets far ahead, it becomes certain: $D(G(\mathbf z))\approx 0$. What does the generator learn
then? In terms of the score $s$ of a fake point,

$$ \frac{\mathrm d}{\mathrm ds}\log(1-D) = -D,\qquad \frac{\mathrm d}{\mathrm ds}\bigl(-\log D\bigr) = -(1-D) $$

The loss of the minimax game has its gradient where the generator already wins, and **saturates** where it loses.
Goodfellow et al. therefore train with the second, the **non-saturating** loss: the same sign for every point, but
the weight $1-D$ instead of $D$. (The two losses no longer add up to 0, so section 4's result about JS holds for the
minimax loss only. The best discriminator is the same, and so is the equilibrium $p_g=p_r$.)
"""

# %%
torch.set_default_dtype(torch.float64)
score = torch.linspace(-6, 6, 241).requires_grad_()
D = score.sigmoid()
slopes = {}
for loss in ("minimax", "non-saturating"):
    total = generator_loss(score, loss) * len(score)  # the library takes the mean
    slopes[loss] = torch.autograd.grad(total, score, retain_graph=True)[0]
agree("minimax: −D", slopes["minimax"], -D, atol=1e-12)
agree("non-saturating: −(1 − D)", slopes["non-saturating"], -(1 - D), atol=1e-12)
torch.set_default_dtype(torch.float32)

# %% [markdown]
r"""
Measured on a fresh generator that is to make eight narrow Gaussians on a circle: only the discriminator trains, and
after every 10 steps we ask both losses for the length of the gradient with respect to $G$'s weights.
"""

# %%
eight = GaussianMixture(CENTRES, 0.12**2)


def gradients_of(G, s, z):
    """For each loss, the length of its gradient in G's weights; and the mean D(G(z))."""
    found = []
    for loss in ("minimax", "non-saturating"):
        grads = torch.autograd.grad(generator_loss(s(G(z)), loss), list(G.parameters()))
        found.append(torch.cat([g.flatten() for g in grads]).norm().item())
    return [*found, s(G(z)).sigmoid().mean().item()]


# %%
def lengths_over_time(seed):
    """Gradient lengths of a fresh generator while its discriminator trains, and D(G(z))."""
    torch.manual_seed(seed)
    G, s = perceptron(2, 64, 64, 2), perceptron(2, 64, 64, 1)

    def fake():
        return G(torch.randn(256, 2, generator=rng)).detach()

    z = torch.randn(512, 2, generator=rng)
    every = critic_steps(s, lambda: eight.sample(256, rng).float(), fake, steps=200, rate=2e-3)
    return [gradients_of(G, s, z) for step in every if step % 10 == 0]


fresh = torch.tensor([lengths_over_time(seed) for seed in range(3)])  # (seed, time, what)

# %%
minimax, other, fooled = fresh[:, -1].T
print("D(G(z)) at the end:", [f"{d:.4f}" for d in fooled])
print("length of the gradient, minimax:", [f"{g:.4f}" for g in minimax])
print("non-saturating:", [f"{g:.2f}" for g in other])
assert (fooled < 0.05).all() and (other > 10 * minimax).all()

# %% tags=["hide-input"]
fig, (left, right) = plt.subplots(1, 2, figsize=(8.6, 3.6))
for name, role in (("minimax", "samples"), ("non-saturating", "signal")):
    left.plot(D.detach(), -slopes[name], **show.style(role))
    left.text(0.5, 0.9 if role == "samples" else 0.05, name, color=show.colour(role), ha="center")
left.set(xlabel="$D(G(z))$", ylabel="pull on the score", xticks=[0, 0.5, 1])
for what, role in enumerate(("samples", "signal")):
    right.plot(torch.arange(0, 200, 10), fresh[:, :, what].T, **show.style(role))
right.set(yscale="log", xlabel="steps of D alone", title="length of G's gradient")
show.title(fig, "A certain judge silences the minimax loss")
show.figure(
    fig, "Two pulls, as crossing lines; over 200 steps one gradient falls, the other grows."
)

# %% [markdown]
r"""
## 7 · Densities that do not overlap

Section 4 has a hidden trap. Let $p_r$ be uniform on $[0, 1]$ and $p_g$ on $[\theta, \theta+1]$. Where they overlap
both have density 1, so $m$ has 1 there and ½ elsewhere: with $|\theta|\le1$, $\mathrm{JS} = |\theta|\log 2$, and
beyond it is $\log 2$, **however far apart** they are. A constant has no gradient. The optimal discriminator is 1
here and 0 there, flat on the fake points, and tells the generator nothing.

Another distance knows how far it is. The **Wasserstein distance** $W_1$ is the smallest average distance over
which the mass of one density must be moved to become the other (here $|\theta|$, all of it by $\theta$).
"""

# %%
torch.set_default_dtype(torch.float64)
x = torch.linspace(-12, 13, 25_001)


def box(theta):
    return ((x >= theta) & (x < theta + 1)).double()


thetas = torch.linspace(-3, 3, 25)
js = torch.tensor([jensenshannon(box(0), box(t)) ** 2 for t in thetas])
agree("JS = min(|θ|, 1) log 2", js, thetas.abs().clamp(max=1) * math.log(2), atol=1e-3)
w1 = torch.tensor([wasserstein_distance(x, x, box(0), box(t)) for t in thetas])
agree("W₁ = |θ|", w1, thetas.abs(), atol=1e-3)

# %% [markdown]
r"""
Is this a corner case? For images it is the rule: $G$ of a few latent numbers covers a thin set in 64 or 784
dimensions, and so do the real images, and two thin sets hardly meet (Arjovsky and Bottou, 2017). One remedy is to
use $W_1$: lesson 05b. Another is **noise on both**. Blurred by $\mathcal N(0,\sigma^2)$, any two densities overlap,
and JS has a slope again. The slope reaches a few $\sigma$ beyond the edge. So one would like *many* noise levels,
large ones to find the way and small ones to be sharp. That is what diffusion does, from lesson 06 on.
"""


# %%
def blurred(theta, sigma):
    """A box with Gaussian noise: a difference of two distribution functions."""
    return (Normal(theta, sigma).cdf(x) - Normal(theta + 1, sigma).cdf(x)).clamp(min=0)


def js_with_noise(sigma):
    here = blurred(0.0, sigma)
    assert abs(torch.trapezoid(here, x) - 1) < 1e-6 and abs(blurred(3.0, sigma)[-1]) < 1e-6
    return torch.tensor([jensenshannon(here, blurred(t, sigma)) ** 2 for t in thetas])


# %%
soft = {sigma: js_with_noise(sigma) for sigma in (0.5, 1.5)}
slope = {0.0: js[-1] - js[-5]} | {sigma: curve[-1] - curve[-5] for sigma, curve in soft.items()}
assert all((curve <= js + 1e-6).all() for curve in soft.values()), (
    "noise can only hide a difference"
)
print("rise of JS from θ = 2 to 3:", {sigma: round(v.item(), 4) for sigma, v in slope.items()})
assert abs(slope[0.0]) < 1e-9 < slope[0.5] < slope[1.5]

# %% tags=["hide-input"]
fig, ax = plt.subplots(figsize=(7.4, 3.6))
ax.plot(thetas, js, **show.style("samples"))
for curve, role in zip(soft.values(), ("noise", "signal"), strict=True):
    ax.plot(thetas, curve, **show.style(role))
ax.plot(thetas, w1, **show.style("exact"))
ax.text(1.0, 0.74, "JS", color=show.colour("samples"), ha="center")
ax.text(1.45, 0.38, r"with noise, $\sigma$ = 0.5", color=show.colour("noise"))
ax.text(1.6, 0.06, r"with noise, $\sigma$ = 1.5", color=show.colour("signal"))
ax.text(-1.0, 1.1, "$W_1$")
ax.set(xlabel=r"$\theta$", ylim=(0, 1.3))
show.title(fig, "JS sees that they differ, $W_1$ sees how far")
alt = "JS rises to log 2 and stays flat; with noise it is rounder and slopes on; W1 is a V."
show.figure(fig, alt)

# %% [markdown]
r"""
## 8 · Mode collapse

In the theory the generator faces the *best* discriminator, which answers each of its moves. In practice it faces
the present one. Against a discriminator that stands still the best reply is to put **all** points where $D$ is
largest. In a few hundred steps the generator forgets every other mode; the discriminator notices, marks this one
down, and the generator moves to the next. That is **mode collapse**, and it is the circling of section 5, in the
plane.

The games below have the non-saturating loss and Adam; only the momentum and the penalty differ.
"""

# %%
torch.set_default_dtype(torch.float32)


# %%
def best_reply(model, steps=400):
    """Train the generator alone; how many modes, and how wide, at each 100 steps."""
    optimizer, found = torch.optim.Adam(model.generator.parameters(), 1e-3), []
    noise = torch.Generator().manual_seed(0)
    for step in range(steps + 1):
        if step % 100 == 0:
            made = generate(model, 1000)
            found.append((modes(made)[0], round(made.std(0).norm().item(), 2)))
        fake = model.generate(torch.randn(128, 2, generator=noise))
        loss = generator_loss(model.score(fake), model.loss)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return found


# %%
for seed in range(3):
    *_, (_, model) = play("no momentum", seed, steps=300)
    found = best_reply(model)
    print(f"game {seed}: (modes, width) against a frozen critic: {found}")
    assert found[0][0] >= 6 and found[-1][0] <= 2 and found[-1][1] < 0.5 * found[0][1]

# %% [markdown]
r"""
In three games of 300 steps, both moving, the generator covered most of the eight modes. Left alone with a frozen
critic, it gathers all its points in one place, on a mode or wherever else that critic is highest. Now let both
move, but with the momentum 0.9 that many optimizers have as a default. By section 5 the game should circle more
widely.
"""

# %%
snapshots, trail = {}, []
for step, model in play("momentum 0.9", seed=0, steps=1000):
    made = generate(model, 2000)
    trail.append(modes(made))
    if step in (50, 100, 150, 200, 250, 300, 350, 400, 450, 500, 700, 1000):
        snapshots[step] = made

# %% tags=["hide-input"]
frames = []
for step, made in snapshots.items():
    fig, (ax,) = show.plane_axes(1, extent=2.6, size=3.8)
    ax.plot(*CENTRES.T, "o", color=show.colour("data"), markersize=22, fillstyle="none")
    show.points(ax, made, "GAN", size=5)
    ax.set_title(f"after {step} steps")
    frames.append(fig)
show.film(
    frames, "Points gather now at one circle, now at another; in the end they cover all eight."
)

# %%
recorded = results("modes-gaussians")
rows = {row["play"]: row for row in recorded["rows"]}
live = torch.tensor([covered for covered, _ in trail])
print("modes, live:    ", live.tolist())
before = rows["momentum 0.9"]["modes"][0][: len(live)]
print("modes, recorded:", before)
assert live.tolist() == before or (live[:8] <= 4).all()

# %%
steps = torch.tensor(recorded["steps"])
covered = {name: torch.tensor(row["modes"]) for name, row in rows.items()}  # (seed, time)


def settled(run):
    """The first recorded step from which at least 7 modes stay covered; infinite if never."""
    below = (run < 7).nonzero()
    if len(below) == 0:
        return int(steps[0])
    return int(steps[below[-1] + 1]) if below[-1] + 1 < len(steps) else math.inf


# %%
example = torch.tensor([8, 6, 7, 7] + [8] * (len(steps) - 4))
assert settled(example) == steps[2] and settled(example.flip(0)) == steps[-1]
assert settled(0 * example + 7) == steps[0] and settled(0 * example + 6) == math.inf
for name, runs in covered.items():
    print(f"{name:>17}: settled after {[settled(run) for run in runs]}, "
          f"good points {sum(g[-1] for g in rows[name]['good']) / 5:.2f}")  # fmt: skip

# %%
when = {name: [settled(run) for run in runs] for name, runs in covered.items()}
assert max(when["no momentum"] + when["momentum 0.5"]) < min(when["momentum 0.9"])
assert max(when["momentum 0.9, R1"]) == math.inf

# %% tags=["hide-input"]
fig, axes = plt.subplots(2, 3, figsize=(8.6, 4.0), sharex=True, sharey="row")
for name, (top, bottom) in zip(
    ("no momentum", "momentum 0.9", "momentum 0.9, R1"), axes.T, strict=True
):
    top.plot(steps, covered[name].T, color=show.colour("GAN"), linewidth=1.3)
    bottom.plot(steps, torch.tensor(rows[name]["good"]).T, color=show.colour("grey"), linewidth=1.3)
    top.set(title=name, ylim=(-0.3, 8.5), yticks=[0, 4, 8])
    bottom.set(xlabel="step", ylim=(0, 1), yticks=[0, 1], xticks=[0, 700, 1400])
axes[0, 0].set_ylabel("modes")
axes[1, 0].set_ylabel("good points")
show.title(fig, "With momentum the game goes round for longer")
show.figure(
    fig, "Modes, and the share of good points, over 1,500 steps: five games each way of playing."
)

# %% [markdown]
r"""
As predicted: with the momentum 0.9 all five games wander between a few modes for 550 steps and more; with 0.5 or
none they have settled by 350. The penalty is no sure cure here: three of its five games are quicker, one slower,
and one loses two modes again at the end. """

# %% [markdown]
r"""
And the quality stays low in all of them. At the end 35 to 56 % of the points lie between the modes. Some bridge is
unavoidable, since a continuous $G$ can't tear its noise apart (lesson 04 met the same); that it is so wide belongs
to this network and these 1,500 steps.

**So far:** mode collapse is the generator's best reply to the critic of the moment.
"""

# %% [markdown]
r"""
## 9 · What is left of the theory

What sections 3 and 4 prove holds in the space of all functions, for a discriminator that is always optimal, with
infinitely many points. Training has two networks, one step each, and 1,297 digits. It works often enough, and each
remedy has its reason in one of the sections: the non-saturating loss (6), little momentum and a slope penalty (5),
Wasserstein distances and noise (7). Whether they help on images is a matter of measurement. Lesson 05b does it.
"""

# %% tags=["hide-input"]
made = {name: generate(load_trained(name).model, 10) for name in ("gan-digits", "wgan-gp-digits")}
fig = show.rows(
    made | {"real": digits.held_out.x0[:10]}, size=0.7, title="The same game, on images"
)
show.figure(fig, "Two rows of digits that GANs made, and a row of real ones.")

# %% [markdown]
r"""
## Exercises

### Exercise 05.1 · The value of the game (10 minutes)

`s_real`, (n,), and `s_fake`, (m,), are scores of real and of fake points, with $D = \sigma(s)$. Return $V(G,D)$, one
number. It must stay finite for scores of ±1000.
"""


# %%
def game_value(s_real, s_fake):
    # your code
    ...


check("05.1", game_value)

# %% [markdown]
r"""
### Exercise 05.2 · The optimal discriminator (10 minutes)

`log_p_r` and `log_p_g`, both (n,), are log-densities at the same n points. Return $D^*$ there, (n,). Far out both
densities may be too small for a float, and their ratio must still come out right.
"""


# %%
def optimal_discriminator(log_p_r, log_p_g):
    # your code
    ...


check("05.2", optimal_discriminator)

# %% [markdown]
r"""
### Exercise 05.3 · The pull on a fake point (10 minutes)

`score`, (n,), are scores of fake points. Return two tensors (n,): the slope of the **minimax** and of the
**non-saturating** generator loss with respect to each score, both as something that the generator minimizes, and
of each point's own loss, not of the mean.
"""


# %%
def pulls(score):
    # your code
    ...


check("05.3", pulls)

# %% [markdown]
r"""
### Exercise 05.4 · Jensen–Shannon on a grid (15 minutes)

`p` and `q`, both (n,), are probabilities of n cells; each adds up to 1, and some are 0. Return
$\mathrm{JS}(p\,\|\,q)$ in nats, one number. A cell of probability 0 contributes nothing to a KL.
"""


# %%
def jensen_shannon(p, q):
    # your code
    ...


check("05.4", jensen_shannon)

# %% [markdown]
r"""
### Exercise 05.5 · A penalty on the slope (20 minutes)

`critic(x, weights)` turns points (n, d) into scores (n,). Return R1 at the real points `x`: $\tfrac\gamma2$ times
the mean over the points of $\|\nabla_{\mathbf x}s(\mathbf x)\|^2$. It is a part of the critic's loss, so a gradient
must flow from it to the weights: `torch.autograd.grad(…, create_graph=True)`.
"""


# %%
def r1_penalty(critic, weights, x, gamma):
    # your code
    ...


check("05.5", r1_penalty)

# %% [markdown]
r"""
### Exercise 05.6 · Optimistic steps (15 minutes)

Extragradient asks for the field twice a step. A cheaper rule remembers the last one (Daskalakis et al., 2018):
$\mathbf w_{t+1} = \mathbf w_t + 2\eta F(\mathbf w_t) - \eta F(\mathbf w_{t-1})$. `field` is $F$, `w` the start
(d,). The first step has no past: there, take $F(\mathbf w_{-1}) = F(\mathbf w_0)$. Return the path, (steps + 1, d),
with the start as its first row.
"""


# %%
def optimistic(field, w, eta, steps):
    # your code
    ...


check("05.6", optimistic)

# %% [markdown]
r"""
### Exercise 05.7 · The check that catches a wrong loss (20 minutes)

Somebody wrote a function `losses(s_real, s_fake)` that returns the critic's and the generator's loss of the
*non-saturating* game, two numbers, from scores (n,) and (m,). Write the check: return `True` if it can be right and
`False` if it can't. What you know: the critic's loss is smallest at a known place; both gradients; and what happens
at scores of ±200.
"""


# %%
def are_the_losses(losses):
    # your code
    ...


check("05.7", are_the_losses)

# %% [markdown]
r"""
Stuck? `hint("05.2")` helps a little, and again a little more; `solution("05.2")` shows ours.

## What to remember

1. $V(G,D) = \mathbb E_{p_r}[\log D] + \mathbb E_{p_g}[\log(1-D)]$ has its **maximum** over $D$ at
   $D^* = p_r/(p_r+p_g)$.
2. $V(G,D^*) = 2\,\mathrm{JS}(p_r\|p_g) - 2\log2$, smallest at $p_g = p_r$, where it is $-2\log 2$.
3. Gradient steps in a game rotate: what counts is the spectral radius of the step, and a slope penalty brings it below 1.

Lesson 05b trains GANs on digits, and measures what helps. Lesson 06 takes up the other thread: noise on everything.

## References

- Velasco-Forero, *Introduction to Diffusion Models* (2023); Koirala, *Diffusion Models* (notes, 2022).
- Goodfellow et al.: *Generative Adversarial Nets*, 2014.
- Arjovsky, Bottou: *Towards Principled Methods for Training Generative Adversarial Networks*, 2017.
- Mescheder, Geiger, Nowozin: *Which Training Methods for GANs do actually Converge?*, 2018.
- Gidel et al.: *Negative Momentum for Improved Game Dynamics*, 2019. Daskalakis, Ilyas, Syrgkanis, Zeng: *Training GANs
  with Optimism*, 2018. Korpelevich: *The Extragradient Method for Finding Saddle Points*, 1976.
- Metz, Poole, Pfau, Sohl-Dickstein: *Unrolled Generative Adversarial Networks*, 2017 (the eight Gaussians).
- Digits: Alpaydin and Kaynak, 1998, CC BY 4.0.
"""
