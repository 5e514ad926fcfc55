# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
# ---

# %% [markdown]
r"""
# 03b · Deeper VAEs: linear, in a chain, and measured

**After this lesson you can**
- say what a VAE finds where everything is linear, and which latent numbers it drops;
- write the bound for a chain of latents, with each line checked by numbers;
- name the three restrictions that turn such a chain into a diffusion model;
- report a likelihood the way papers do, and say how far below it the ELBO lies.

**Before:** lesson 03. **Time:** 65 minutes, and 60 more for the four exercises. **Follows:** Velasco-Forero,
"Markovian variational autoencoder" (equations 6 to 11) and "Variational Diffusion Models".
"""

# %%
import math

import matplotlib.pyplot as plt
import torch
from ipywidgets import IntSlider
from torch.distributions import MultivariateNormal, Normal, kl_divergence

# %%
from course_lib import data, show
from course_lib.agree import agree, agree_mean
from course_lib.diffusion import NoiseSchedule, Oracle
from course_lib.exact import GaussianMixture
from course_lib.exercises import check, hint, solution
from course_lib.experiments import results
from course_lib.models import MarkovVAE, generate
from course_lib.training import load_trained

# %%
show.use_style()
rng = torch.Generator().manual_seed(9)
digits = data.load("digits")
x0, label, unseen = digits.train.x0, digits.train.label, digits.held_out
print("images", tuple(x0.shape))

# %% [markdown]
r"""
The lesson in one picture. A VAE has one latent variable. Put several in a chain, each inferred from the one below and
drawn from the one above: a hierarchical, or Markovian, VAE. Make the chain long, give every latent the size of the
image, and *fix* the upward arrows to "shrink a little, add a little noise": a diffusion model. The bound is the same
three times.
"""


# %% tags=["hide-input"]
def both_ways(drawing, nodes, role):
    """Arrows up, as q goes, and dashed ones down, as p does."""
    for before, after in zip(nodes, nodes[1:], strict=False):
        y, a, b = before.y, before.x + before.width / 2, after.x - after.width / 2
        drawing.arrow((a, y + 0.14), (b, y + 0.14), role=role)
        drawing.arrow((b, y - 0.14), (a, y - 0.14), role="samples", dashed=True)


# %% tags=["hide-input"]
drawing = show.Drawing(9.6, 4.3, "One bound for three models")
chains = (
    (3.6, "VAE", "x z", "autoencoder"), (2.2, "Markov VAE", "x z_1 … z_T", "autoencoder"),
    (0.8, "diffusion", "x_0 x_1 … x_T", "noise"),
)  # fmt: skip
for y, name, letters, role in chains:
    drawing.text(0.1, y, name, ha="left")
    labels = [letter if letter == "…" else f"${letter}$" for letter in letters.split()]
    nodes = drawing.chain(labels, [3.0 + 1.75 * i for i in range(len(labels))], y, observed=0)
    both_ways(drawing, nodes, role)
drawing.text(6.4, 3.6, "both arrows learned", ha="left")
drawing.text(5.6, 0.1, "upward arrows fixed", "noise", va="bottom")
alt = "Three chains: x and z; x, z_1, …, z_T; x_0, …, x_T. The upward arrows of the last are grey."
show.figure(drawing.fig, alt)

# %% [markdown]
r"""
## 1 · A linear VAE

Take away everything but straight lines:
$p(\mathbf x\mid\mathbf z) = \mathcal N(\mathbf W\mathbf z+\mathbf b,\sigma^2\mathbf I)$ and
$q(\mathbf z\mid\mathbf x) = \mathcal N(\mathbf V(\mathbf x-\mathbf b),\operatorname{diag}\mathbf s^2)$. The bound
then needs no draw at all, since the expectation of a square is the squared mean plus the variance:

$$ \mathbb E_q\lVert\mathbf x-\mathbf W\mathbf z-\mathbf b\rVert^2
   = \lVert\mathbf x-\mathbf b-\mathbf W\boldsymbol\mu\rVert^2 + \sum_j s_j^2\,\lVert\mathbf w_j\rVert^2 $$

And the best possible model is known. It is lesson 01's PCA with a Gaussian in its plane (Tipping and Bishop, 1999):
with the eigenvalues $\lambda_1\ge\lambda_2\ge\dots$ of the data's covariance, $\sigma^2$ is the mean of those that
are left out, and the columns of $\mathbf W$ point along the first $k$ eigenvectors, with
$\lVert\mathbf w_j\rVert^2 = \lambda_j - \sigma^2$. Will gradient descent on the bound find it?
"""

# %%
x = x0.flatten(1).double()
x = x + (torch.rand(x.shape, generator=rng, dtype=torch.double) - 0.5) / 8  # within their bins
x = x - x.mean(0)
d, C = x.shape[1], torch.cov(x.T, correction=0)
eigenvalue, eigenvector = (part.flip(-1) for part in torch.linalg.eigh(C))
print("eigenvalues", [f"{value:.2f}" for value in eigenvalue[:6]], "…")


def linear_elbo(W, V, log_s2, log_sigma2):
    """The average bound over the data; it needs the covariance alone."""
    R = torch.eye(d, dtype=torch.double) - W @ V
    squared = (R @ C @ R.T).trace() + (log_s2.exp() * W.square().sum(0)).sum()
    kl = 0.5 * ((V @ C @ V.T).trace() + (log_s2.exp() - 1 - log_s2).sum())
    return -0.5 * (d * (math.log(2 * math.pi) + log_sigma2) + squared / log_sigma2.exp()) - kl


# %% [markdown]
r"""
Check the closed form against draws before it is trusted, for a random $\mathbf W$ and $\mathbf V$.
"""

# %%
k = 4
W, V = 0.3 * torch.randn(2, d, k, generator=rng, dtype=torch.double)
V, log_s2, log_sigma2 = V.T, torch.linspace(-2, 0, k).double(), torch.tensor(-1.0).double()
rows = torch.randint(len(x), (20_000,), generator=rng)
q = Normal(x[rows] @ V.T, (0.5 * log_s2).exp())
z = q.mean + q.stddev * torch.randn(q.mean.shape, generator=rng, dtype=torch.double)
log_like = Normal(z @ W.T, (0.5 * log_sigma2).exp()).log_prob(x[rows]).sum(1)
drawn = log_like + Normal(0, 1).log_prob(z).sum(1) - q.log_prob(z).sum(1)
agree_mean("the bound: draws = closed form", drawn, linear_elbo(W, V, log_s2, log_sigma2))


# %%
options = {"max_iter": 2000, "tolerance_change": 1e-13, "line_search_fn": "strong_wolfe"}


# %%
def fit_linear(k, fixed=None, seed=0):
    """Gradient descent (L-BFGS) on the bound; `fixed`: sigma² where it is not learned."""
    start = 0.1 * torch.randn(2, d, k, generator=torch.Generator().manual_seed(seed)).double()
    W, V = start[0].requires_grad_(), start[1].T.contiguous().requires_grad_()
    log_s2 = torch.zeros(k, dtype=torch.double, requires_grad=True)
    log_sigma2 = torch.tensor(math.log(fixed or 1.0), dtype=torch.double)
    free = [W, V, log_s2] + ([] if fixed else [log_sigma2.requires_grad_()])
    optimizer = torch.optim.LBFGS(free, **options)

    def loss():
        optimizer.zero_grad()
        value = -linear_elbo(W, V, log_s2, log_sigma2)
        value.backward()
        return value

    optimizer.step(loss)
    return [part.detach() for part in (W, V, log_s2, log_sigma2)]


# %%
W, V, log_s2, log_sigma2 = fit_linear(k)
left_out = eigenvalue[k:].mean()
log_det = eigenvalue[:k].log().sum() + (d - k) * left_out.log()
best = -0.5 * (d * math.log(2 * math.pi) + log_det + d)
found = linear_elbo(W, V, log_s2, log_sigma2)
agree("σ² = the mean of the eigenvalues left out", log_sigma2.exp(), left_out, atol=1e-5)
agree("the bound = the best log-likelihood of all such models", found, best, atol=1e-5)

# %%
cosines = torch.linalg.svdvals(eigenvector[:, :k].T @ torch.linalg.qr(W).Q)
degrees = torch.rad2deg(torch.arccos(cosines.clamp(max=1)))
print(f"largest angle between the two {k}-dimensional spaces: {degrees.max():.3f}°")
assert degrees.max() < 0.1

# %% [markdown]
r"""
The bound is *tight*: here the ELBO equals the log-likelihood, so nothing was lost by the bound. That needs a
posterior whose coordinates are independent, as $q$'s are, and it holds where the columns of $\mathbf W$ are
perpendicular. PCA's plane can be spanned by any turned set of columns; the diagonal $q$ chooses the one where each
column is an eigenvector (Lucas et al., 2019).
"""

# %% [markdown]
r"""
**Predict first:** if $\sigma^2$ is not learned but fixed at a value
between $\lambda_5$ and $\lambda_6$, and the VAE has ten latent numbers, how many does it use?

<details><summary>Answer</summary>

Five. A column pays only where $\lambda_j > \sigma^2$, for its squared length would be $\lambda_j-\sigma^2$. The
others are exactly 0, and their $q$ is the prior. So this kind of collapse is no accident of training: the model
counts what lies below $\sigma^2$ as noise.

</details>
"""

# %%
one_column = (eigenvector[:, :k].T @ (W / W.norm(dim=0))).abs().amax(0)
agree("each column is an eigenvector: |cosine|", one_column, 1.0, atol=2e-3)

threshold = (eigenvalue[4] + eigenvalue[5]).item() / 2
used = []
for seed in range(3):
    W_fixed, V_fixed, _, _ = fit_linear(10, fixed=threshold, seed=seed)
    means = x @ V_fixed.T
    used.append(int((means.var(0) > 0.01).sum()))
print("active numbers, three seeds:", used)
assert used == [5, 5, 5]
lengths = W_fixed.square().sum(0).sort(descending=True).values
agree("their squared lengths", lengths, (eigenvalue[:10] - threshold).clamp(min=0), atol=5e-3)

# %% tags=["hide-input"]
fig, ax = plt.subplots(figsize=(8, 3.5))
ax.plot(range(1, 11), eigenvalue[:10], **show.style("exact", markers=True))
ax.axhline(threshold, **show.style("noise"))
ax.plot(range(1, 11), lengths + threshold, "s", color=show.colour("learned"), markersize=11,
        markerfacecolor="none", markeredgewidth=2.4)  # fmt: skip
ax.text(10.3, threshold + 0.05, r"$\sigma^2$", color=show.colour("noise"))
ax.text(2.2, eigenvalue[1] + 0.12, r"eigenvalues $\lambda_j$")
words = r"$\sigma^2+$ squared length of column $j$"
ax.text(6.2, threshold + 0.28, words, color=show.colour("learned"))
ax.set(xlabel="j", ylabel="variance", xticks=range(1, 11), xlim=(0.5, 10.7))
show.title(ax, "What varies less than σ² is dropped")
alt = "Ten falling eigenvalues; squares sit on the first five, then on a line between 5th and 6th."
show.figure(fig, alt)

# %% [markdown]
r"""
**So far:** a linear VAE is probabilistic PCA, found by gradient descent, with a tight bound. How many numbers it uses
follows from $\sigma^2$.

## 2 · A chain of latents

Now two latents, $\mathbf z_2\to\mathbf z_1\to\mathbf x$. In general (Velasco-Forero, equations 6 and 7)

$$ p(\mathbf x,\mathbf z_{1:T}) = p(\mathbf z_T)\,p(\mathbf x\mid\mathbf z_1)\prod_{t=2}^T p(\mathbf z_{t-1}\mid\mathbf z_t),\qquad
   q(\mathbf z_{1:T}\mid\mathbf x) = q(\mathbf z_1\mid\mathbf x)\prod_{t=2}^T q(\mathbf z_t\mid\mathbf z_{t-1}). $$

A chain in numbers, where everything can be computed: $z_2\sim\mathcal N(0,1)$, $z_1 = 0.9\,z_2 + 0.5\,\epsilon$,
$x = 1.2\,z_1 + 0.4\,\epsilon$, and we have seen $x = 1.5$. The encoder is wrong on purpose:
$q(z_1\mid x) = \mathcal N(0.6\,x,\,0.5^2)$ and $q(z_2\mid z_1) = \mathcal N(0.7\,z_1,\,0.6^2)$.
"""

# %%
torch.set_default_dtype(torch.float64)
seen = torch.tensor(1.5)


def log_p(x, z_1, z_2):
    return (Normal(1.2 * z_1, 0.4).log_prob(x) + Normal(0.9 * z_2, 0.5).log_prob(z_1)
            + Normal(0.0, 1.0).log_prob(z_2))  # fmt: skip


def log_q(x, z_1, z_2):
    return Normal(0.6 * x, 0.5).log_prob(z_1) + Normal(0.7 * z_1, 0.6).log_prob(z_2)


var_1 = 0.9**2 + 0.5**2
exact = Normal(0.0, math.sqrt(1.2**2 * var_1 + 0.4**2)).log_prob(seen)

# %% [markdown]
r"""
The four lines of the lecture. Equation 8 is an integral over both latents, here on a grid; 9 multiplies by $q/q$; 10
reads the integral as an expectation, here over 400,000 draws; 11 moves the logarithm inside, and equality is lost.

$$ \begin{aligned}
\log p(\mathbf x) &= \log\int p(\mathbf x,\mathbf z_{1:T})\,\mathrm d\mathbf z_{1:T} && (8)\\
 &= \log\int\frac{p(\mathbf x,\mathbf z_{1:T})}{q(\mathbf z_{1:T}\mid\mathbf x)}\,q(\mathbf z_{1:T}\mid\mathbf x)\,\mathrm d\mathbf z_{1:T} && (9)\\
 &= \log\mathbb E_q\!\left[\frac{p(\mathbf x,\mathbf z_{1:T})}{q(\mathbf z_{1:T}\mid\mathbf x)}\right] && (10)\\
 &\ge \mathbb E_q\!\left[\log\frac{p(\mathbf x,\mathbf z_{1:T})}{q(\mathbf z_{1:T}\mid\mathbf x)}\right] && (11)
\end{aligned} $$
"""

# %%
line = torch.linspace(-7, 7, 701)
Z_1, Z_2 = torch.meshgrid(line, line, indexing="ij")
cell = (line[1] - line[0]) ** 2
joint, q = log_p(seen, Z_1, Z_2), log_q(seen, Z_1, Z_2)
agree("(8) the integral", (joint.exp().sum() * cell).log(), exact, atol=1e-8)
agree("(9) times q / q", (((joint - q).exp() * q.exp()).sum() * cell).log(), exact, atol=1e-8)

z_1 = 0.6 * seen + 0.5 * torch.randn(400_000, generator=rng)
z_2 = 0.7 * z_1 + 0.6 * torch.randn(400_000, generator=rng)
log_ratio = log_p(seen, z_1, z_2) - log_q(seen, z_1, z_2)
agree_mean("(10) the average ratio is p(x)", log_ratio.exp(), exact.exp())
print(f"(11) the average log ratio {log_ratio.mean():.4f} < log p(x) = {exact:.4f}")
assert log_ratio.mean() < exact - 0.1

# %% [markdown]
r"""
What was lost at line 11? A divergence again, of $q$ from the true posterior of *both* latents. All is Gaussian, so
it has a closed form, made of the covariances of $(z_1, z_2, x)$ alone.
"""


# %%
def gaussian_posterior(x):
    """p(z_1, z_2 | x), from the joint covariance of z_1, z_2 and x."""
    cov = torch.tensor([[var_1, 0.9, 1.2 * var_1], [0.9, 1.0, 1.2 * 0.9],
                        [1.2 * var_1, 1.2 * 0.9, 1.2**2 * var_1 + 0.4**2]])  # fmt: skip
    gain = cov[:2, 2] / cov[2, 2]
    return MultivariateNormal(gain * x, cov[:2, :2] - torch.outer(gain, cov[2, :2]))


q_mean = torch.stack([0.6 * seen, 0.7 * 0.6 * seen])
q_cov = torch.tensor([[0.25, 0.7 * 0.25], [0.7 * 0.25, 0.49 * 0.25 + 0.36]])
gap = kl_divergence(MultivariateNormal(q_mean, q_cov), gaussian_posterior(seen))
agree_mean("the gap of line 11 = KL of q from the posterior", exact - log_ratio, gap)

# %% [markdown]
r"""
Sorted by level, the bound reads like a VAE's, with one price for each latent:

$$ \mathbb E_q\bigl[\log p(\mathbf x\mid\mathbf z_1)\bigr]
   - \sum_{t=1}^{T-1}\mathbb E_q\!\left[\log\frac{q(\mathbf z_t\mid\mathbf z_{t-1})}{p(\mathbf z_t\mid\mathbf z_{t+1})}\right]
   - \mathbb E_q\!\left[\log\frac{q(\mathbf z_T\mid\mathbf z_{T-1})}{p(\mathbf z_T)}\right],\qquad \mathbf z_0 = \mathbf x $$

The upper level's term is an average KL, never negative. In a middle term $\mathbf z_t$ stands above the bar and
$\mathbf z_{t+1}$ below, which is drawn *from* $\mathbf z_t$: it is one joint expectation, and no KL. It *can* be
negative.

> **On the slide.** Velasco-Forero's bound for diffusion, after equation 13, has a brace "KL ≥ 0, consistency term"
> under just such a middle term. It is none, as the second cell shows. (The sign of his prior term is lesson 07's
> matter.)
"""

# %%
reconstruction = -Normal(1.2 * z_1, 0.4).log_prob(seen)
price_1 = Normal(0.6 * seen, 0.5).log_prob(z_1) - Normal(0.9 * z_2, 0.5).log_prob(z_1)
price_2 = Normal(0.7 * z_1, 0.6).log_prob(z_2) - Normal(0.0, 1.0).log_prob(z_2)
total = reconstruction + price_1 + price_2
agree("reconstruction + prices = −bound, each draw", total, -log_ratio, atol=1e-10)
upper = 0.5 * ((0.7 * z_1) ** 2 + 0.6**2 - 1 - math.log(0.6**2))
agree_mean("the upper price is an average KL", price_2 - upper, 0.0)

# %% [markdown]
r"""
For the negative middle term take an encoder with a *wide* $q(z_1\mid x)$ and a precise $q(z_2\mid z_1)$: from $z_2$
one then knows better where $z_1$ was drawn than from $x$.
"""

# %%
wide = 1.5 * torch.randn(100_000, generator=rng)  # z_1 from q(z_1 | x) = N(0, 1.5²)
above = wide / 0.9 + 0.05 * torch.randn(100_000, generator=rng)
middle = Normal(0.0, 1.5).log_prob(wide) - Normal(0.9 * above, 0.5).log_prob(wide)
closed = math.log(0.5 / 1.5) - 0.5 + 0.5 * (0.9 * 0.05) ** 2 / 0.5**2
agree_mean("a middle price is negative", middle, closed)
assert closed < -1

# %% [markdown]
r"""
With the *true* posteriors for $q$ the bound is tight: $p(z_1, z_2\mid x) = p(z_1\mid x)\,p(z_2\mid z_1)$, since $x$
tells about $z_2$ only through $z_1$. So a Markov encoder is no restriction for a Markov decoder. Then every single
draw gives $\log p(x)$, without any spread:
"""

# %%
both = gaussian_posterior(seen)
true_1 = Normal(both.loc[0], both.covariance_matrix[0, 0].sqrt())
slope = 0.9 / var_1
true_2 = lambda z_1: Normal(slope * z_1, math.sqrt(1 - 0.9 * slope))  # noqa: E731
z_1 = true_1.mean + true_1.stddev * torch.randn(1000, generator=rng)
z_2 = true_2(z_1).mean + true_2(z_1).stddev * torch.randn(1000, generator=rng)
single = log_p(seen, z_1, z_2) - true_1.log_prob(z_1) - true_2(z_1).log_prob(z_2)
agree("with the true posteriors every draw is log p(x)", single, exact, atol=1e-10)

# %% [markdown]
r"""
## 3 · Train a chain

`MarkovVAE` is that bound with networks: sixteen numbers $\mathbf z_1$, four numbers $\mathbf z_2$, and the
discretized Gaussian of lesson 03. A thousand steps, about ten seconds. (Where the price of the upper level ends at
0.0, it has died, as in section 6 of lesson 03; with some seeds that happens, and the bound is hardly worse for it.)
"""

# %%
torch.set_default_dtype(torch.float32)
torch.manual_seed(0)
fresh = torch.Generator().manual_seed(0)
chain = MarkovVAE(shape=(1, 8, 8), levels=17, sizes=(16, 4), width=128)
optimizer = torch.optim.AdamW(chain.parameters(), lr=2e-3, weight_decay=0.3)
for step in range(1000):
    optimizer.param_groups[0]["lr"] = 2e-3 * 0.5 * (1 + math.cos(math.pi * step / 1000))
    rows = torch.randint(len(x0), (128,), generator=fresh)
    loss = chain(x0[rows], eps=torch.randn(128, 20, generator=fresh))
    optimizer.zero_grad()
    sum(loss.values()).backward()
    optimizer.step()

# %%
chain.eval().requires_grad_(False)
parts = chain.parts(unseen.x0, torch.randn(500, 20, generator=rng))
print({name: f"{nats.mean():.1f}" for name, nats in parts.items()}, "nats per unseen digit")
bound = -sum(parts.values()).mean()
many = chain.log_prob(unseen.x0, rng, draws=50).mean()
print(f"bound {bound:.1f};   with 50 draws {many:.1f}")
assert many > bound > -97

# %% tags=["hide-input"]
fig = show.grid(
    generate(chain, 30), columns=10, width=7.5, title="From four numbers to sixteen to a digit"
)
show.figure(fig, "Thirty small digits drawn by the chain, most of them readable.")

# %% [markdown]
r"""
What does the top of the chain say? Draw one $\mathbf z_2$, and from it eight times the rest; in the figure each row
shares its $\mathbf z_2$. **Predict first:** does each row show one digit?

<details><summary>Answer</summary>

Hardly. The pictures of a row are alike, and two of them show the same digit twice as often as by chance, but not
more. Naming one of ten digits takes $\log 10 = 2.3$ nats, and the upper level's price is about two. Nothing in the
bound asks for classes: the top says what pays most, and slant and stroke weight pay too.

</details>
"""

# %%
shipped = load_trained("hvae-digits").model
top = torch.randn(200, 4, generator=rng).repeat_interleave(8, dim=0)
mu, logvar = shipped.down[0](top).chunk(2, dim=1)
z_1 = mu + (0.5 * logvar).exp() * torch.randn(mu.shape, generator=rng)
family = shipped.pixel.mean(shipped.decoder(z_1)).view(200, 8, 64)
between, within = (
    family.mean(1).var(0, correction=0).sum(),
    family.var(1, correction=0).mean(0).sum(),
)
total = family.flatten(0, 1).var(0, correction=0).sum()
agree("variance between rows + within = all", between + within, total, atol=1e-3)
print(f"between rows {between:.1f} (by chance {total / 8:.1f}), within a row {within:.1f}")
assert between > 1.5 * total / 8

# %%
eye = load_trained("features-digits").model
read = eye.logits(family.view(-1, 1, 8, 8)).argmax(1).view(200, 8)
same = (read[:, :1] == read[:, 1:]).double().mean().item()
by_chance = (torch.bincount(read.flatten(), minlength=10) / read.numel()).square().sum().item()
print(f"two of a row are the same digit: {same:.0%};   any two: {by_chance:.0%}")
assert 1.5 * by_chance < same < 0.4
upper = shipped.parts(unseen.x0, torch.randn(500, 20, generator=rng))["kl 2"].mean().item()
print(f"price of the upper level: {upper:.1f} nats;   log 10 = {math.log(10):.1f}")
assert 1.5 < upper < 2.7

# %% tags=["hide-input"]
names = [f"$z_2$ no. {i + 1}" for i in range(4)]
rows = dict(zip(names, family[:4].view(4, 8, 1, 8, 8), strict=True))
fig = show.rows(rows, size=0.8, title="Rows of relatives, not of one digit")
show.figure(
    fig,
    "Four rows of eight digits; the pictures of a row are alike in places, but differ in class.",
)

# %% [markdown]
r"""
What has the chain gained? Lesson 03 found that a plain VAE's prior is mostly empty. Here the prior of $\mathbf z_1$
is $p(\mathbf z_1\mid\mathbf z_2)$, and it is *learned*. Compare the two on the course's scale: the bits are about
the same, and the pictures are much closer to real ones.
"""

# %%
cards = {name: load_trained(name).card["scores"] for name in ("vae-digits", "hvae-digits")}
ratio = {name: card["quality"]["over_seeds"]["mean"] for name, card in cards.items()}
bits = {name: card["bits_per_dim"]["mean"] for name, card in cards.items()}
for name in cards:
    print(f"{name:>12}: FD ratio {ratio[name]:.2f}, {bits[name]:.2f} bits per pixel")
assert ratio["hvae-digits"] < 0.6 * ratio["vae-digits"]
assert abs(bits["hvae-digits"] - bits["vae-digits"]) < 0.05

# %% [markdown]
r"""
## 4 · Three restrictions, and it is diffusion

Velasco-Forero names them:

1. every latent has the size of the data: $\mathbf z_t = \mathbf x_t$;
2. the encoder is not learned. It is linear and Gaussian, $q(\mathbf x_t\mid\mathbf x_{t-1}) =
   \mathcal N(\sqrt{1-\beta_t}\,\mathbf x_{t-1},\beta_t\mathbf I)$;
3. after $T$ steps nothing of the data is left: $q(\mathbf x_T\mid\mathbf x_0)\approx\mathcal N(\mathbf 0,\mathbf I)$.

> **On the slide.** In words, restriction 2 says "centred around the output of the previous timestep". Then the
> variance would grow by $\beta_t$ with each step, and restriction 3 could not hold. Equation 13 on the same slides
> has the factor $\sqrt{1-\beta_t}$.
"""

# %% [markdown]
r"""
Run it. The data are one number from a mixture of two Gaussians, and the chain has 20 steps. Its decoder needs a mean
for each $p(x_{t-1}\mid x_t)$; the mixture's exact answer will do, in the place of a network.
"""

# %%
torch.set_default_dtype(torch.float64)
schedule = NoiseSchedule.linear(20, 0.005, 0.5)
mixture = GaussianMixture(
    [[-0.8], [0.6]], cov=torch.tensor([0.05, 0.02]), weight=torch.tensor([0.4, 0.6])
)
oracle = Oracle(mixture, schedule)
start = mixture.sample(40_000, rng)
walk = [start]
for t in range(1, 21):
    beta, noise = schedule.beta[t], torch.randn(start.shape, generator=rng)
    walk.append((1 - beta).sqrt() * walk[-1] + beta.sqrt() * noise)

# %%
x_T_square = schedule.noise(20) ** 2 + schedule.signal(20) ** 2 * (start**2).mean()
agree_mean("restriction 3: the square of x_T", walk[-1] ** 2, x_T_square)
without = start.var() + schedule.beta.sum()
print(f"variance at T: {walk[-1].var():.2f};   without the factor: {without:.1f}")


# %% [markdown]
r"""
The bound of section 2 with these arrows, and $\beta_t$ for the decoder's variance:
"""


# %%
def down(t):
    """p(x_{t-1} | x_t), with the exact mean of x_0 given x_t."""
    x0_hat = oracle.predict(walk[t], t)[0]
    mean = schedule.posterior(x0_hat, walk[t], t)[0] if t > 1 else x0_hat
    return Normal(mean, schedule.beta[t].sqrt())


markov = Normal(0.0, 1.0).log_prob(walk[20])
for t in range(1, 21):
    beta = schedule.beta[t]
    markov = markov + down(t).log_prob(walk[t - 1])
    markov = markov - Normal((1 - beta).sqrt() * walk[t - 1], beta.sqrt()).log_prob(walk[t])

# %% [markdown]
r"""
Lesson 07 writes the same bound in another way: "use double conditioning", say the slides. By Bayes' rule
$q(x_t\mid x_{t-1}) = q(x_{t-1}\mid x_t,x_0)\,q(x_t\mid x_0)/q(x_{t-1}\mid x_0)$, and every middle term becomes a KL
between two Gaussians with a closed form. The same number? **Predict first:** which of the two sums varies less from
path to path?

<details><summary>Answer</summary>

The first, here. With a decoder that is nearly right, each path gives nearly $\log p(x)$, as in section 2, while the
KLs depend on where the path went. So spread is not the reason for the second form. The reason: a term of it needs
one $x_t$, which is reached from $x_0$ in a single step, so a loss can look at one random $t$ at a time.

</details>
"""

# %%
final = Normal(schedule.signal(20) * start, schedule.noise(20))
conditioned = down(1).log_prob(start) - kl_divergence(
    final, Normal(torch.tensor(0.0), torch.tensor(1.0))
)
for t in range(2, 21):
    mean, variance = schedule.posterior(start, walk[t], t)
    conditioned = conditioned - kl_divergence(Normal(mean, variance.sqrt()), down(t))

agree_mean("Markov VAE's bound = lesson 07's bound", markov - conditioned, 0.0)
truth = mixture.log_prob(start)
print(f"bound {conditioned.mean():.3f} ≤ log p(x) = {truth.mean():.3f}")
spread = [(form - truth[:, None]).std().item() for form in (markov, conditioned)]
print(f"spread around log p(x) of a draw: {spread[0]:.2f} and {spread[1]:.2f}")
assert 0.1 < truth.mean() - conditioned.mean() < 0.35 and spread[0] < 0.8 * spread[1]

# %% [markdown]
r"""
So a diffusion model *is* a hierarchical VAE with a fixed encoder, and its loss is a VAE's bound. What the
restrictions buy: an encoder that can't collapse, any level reached in one step, and one regression in the place of
many KLs.

**So far:** three models, one bound. The rest of the course takes the last one.

## 5 · A likelihood as papers report it

A well-studied VAE has 784 pixels, two layers of 200 units, 50 latent numbers, and MNIST in black and white: each
pixel is drawn anew with its grey value as the chance of white ("dynamic binarization"). `vae-mnist` is that model,
trained for 300,000 steps of 128 images, without a GPU.
"""

# %% [markdown]
r"""
Its $-\log p$ is estimated with the bound of lesson 02,

$$ \mathcal L_k = \mathbb E\Bigl[\log\frac1k\sum_{i=1}^k\frac{p(\mathbf x,\mathbf z_i)}{q(\mathbf z_i\mid\mathbf x)}\Bigr], $$

with $k = 5{,}000$ draws for each of the 10,000 test images. Burda et al. (2016) report 86.8 nats for a VAE of this
kind, by the same estimate. Recorded with `course record likelihood-mnist`, since MNIST doesn't ship with the
course:
"""

# %%
torch.set_default_dtype(torch.float32)
mnist = results("likelihood-mnist")
for k, nats in zip(mnist["draws"], mnist["minus_log_p"], strict=True):
    print(f"k = {k:5,}: {nats['mean']:.2f} ± {nats['standard_error']:.2f} nats")
print(f"−ELBO {mnist['minus_elbo']['mean']:.2f};   active latent numbers {mnist['active']} of 50")
means = [nats["mean"] for nats in mnist["minus_log_p"]]
assert means == sorted(means, reverse=True) and means[-1] < 90
assert mnist["minus_elbo"]["mean"] - means[-1] > 3

# %% tags=["hide-input"]
fig, ax = plt.subplots(figsize=(8, 3.6))
ax.plot(mnist["draws"], means, **show.style("learned", markers=True))
ax.axhline(86.8, **show.style("noise"))
ax.text(1, 86.7, "VAE of Burda et al., k = 5,000", color=show.colour("noise"), va="top")
ax.set(
    xscale="log", xlabel="draws k", ylabel="nats per image", xticks=mnist["draws"], ylim=(86, 91)
)
ax.set_xticklabels([f"{k:,}" for k in mnist["draws"]])
show.title(ax, "The ELBO hides several nats of the likelihood")
show.figure(
    fig,
    "The bound on -log p in nats over the number of draws on a logarithmic axis: it falls from the "
    "-ELBO at one draw and flattens out towards 5,000 draws, near a dotted line at 86.8.",
)

# %% [markdown]
r"""
Of the 50 latent numbers only 15 are active: section 1's dropping, at work in a deep network. Now the same
measurement live, on images that the model drew itself. They cost *more* nats than real ones: the model is wider
than the data, and draws many things that nobody would write. Move the number of draws for one image, below.
"""

# %%
paper = load_trained("vae-mnist").model
own = generate(paper, 64, drawn=True)
with torch.no_grad():
    mu, logvar = paper.encode(own)
    eps = torch.randn(1000, 64, 50, generator=rng)
    ratios = torch.stack([paper.log_ratio(own, mu, logvar, e) for e in eps], dim=1)  # (64, 1000)
bounds = {k: (ratios[:, :k].logsumexp(1) - math.log(k)).mean().item() for k in (1, 10, 100, 1000)}
print({k: f"{-bound:.1f}" for k, bound in bounds.items()}, "nats")
assert bounds[1000] > bounds[100] > ratios.mean()

# %%
again = paper.log_prob(own, rng, draws=1000).mean()
agree("course_lib's bound of the same images", bounds[1000], again, atol=0.5)
each = -(ratios.logsumexp(1) - math.log(1000))
error = (each.std() / math.sqrt(64)).item()
print(f"{each.mean():.1f} ± {error:.1f} nats for own images, {means[-1]:.1f} for real ones")
assert each.mean() - means[-1] > 2 * error
typical = each.argsort()[32]


# %%
def estimate(draws):
    k = 2**draws
    groups = ratios[typical, : 1000 // k * k].view(-1, k)
    each = groups.logsumexp(1) - math.log(k)
    fig, ax = plt.subplots(figsize=(8, 3.4))
    ax.hist(ratios[typical], bins=40, density=True, color=show.tint("noise", 0.6))
    ax.plot(each, torch.full_like(each, 0.01), "|", color=show.colour("samples"), markersize=26)
    ax.set(xlabel=r"$\log\,p(x, z)-\log\,q(z)$ of one draw; marks: of k draws", ylabel="density")
    show.title(fig, f"k = {k}: on average {each.mean():.1f} nats")
    return fig


# %%
show.widget(
    estimate,
    "A grey histogram of single log ratios of one image, and red marks for the bound from groups "
    "of k draws, which lie at its right end, closer together the larger k is.",
    draws=IntSlider(4, min=0, max=8, description="log₂ k", continuous_update=False),
)

# %% tags=["hide-input"]
fig = show.grid(
    generate(paper, 30),
    columns=10,
    width=7.5,
    title="What 50 numbers from the prior are decoded to",
)
show.figure(fig, "Thirty generated digits, 28 x 28: most can be read, some are mixtures of two.")

# %% [markdown]
r"""
## Exercises

### Exercise 03b.1 · The best linear VAE (10 minutes)

`eigenvalues`, (d,), are those of the data's covariance, the largest first, and `k` < d is the number of latent
numbers. Return two things: the best $\sigma^2$, and the squared length of each of the k columns of $\mathbf W$,
(k,).
"""


# %%
def best_linear_vae(eigenvalues, k):
    # your code
    ...


check("03b.1", best_linear_vae)

# %% [markdown]
r"""
### Exercise 03b.2 · A draw of the chain's bound (20 minutes)

A chain of numbers: $z_2\sim\mathcal N(0, 1)$, $z_1\sim\mathcal N(a z_2, 1)$, $x\sim\mathcal N(b z_1, 1)$, with the
encoder $q(z_1\mid x) = \mathcal N(c\,x, u)$ and $q(z_2\mid z_1) = \mathcal N(d\,z_1, v)$; u and v are *variances*.
Make $z_1$ and $z_2$ from the given noise, and return $\log p(x, z_1, z_2) - \log q(z_1, z_2\mid x)$ for each x.
`x`, `eps_1`, `eps_2` are (n,).
"""


# %%
def chain_bound(x, eps_1, eps_2, a, b, c, d, u, v):
    # your code
    ...


check("03b.2", chain_bound)

# %% [markdown]
r"""
### Exercise 03b.3 · How many draws count? (10 minutes)

`log_ratio`, (batch, k), holds $\log p(x,z_i)-\log q(z_i)$. In $\mathcal L_k$ the draws have weights proportional to
$w_i = \exp(\text{log\_ratio}_i)$. Return the *effective number* of draws of each x, $(\sum_i w_i)^2/\sum_i w_i^2$,
(batch,): k if all weights are equal, 1 if one draw outweighs all others. The logarithms can be as low as −2,000.
"""


# %%
def effective_draws(log_ratio):
    # your code
    ...


check("03b.3", effective_draws)

# %% [markdown]
r"""
### Exercise 03b.4 · The check that catches a wrong bound (20 minutes)

Somebody wrote a function `bound(x, eps_1, eps_2, a, b, c, d, u, v)` for exercise 03b.2. Write the check: return
`True` if it can be right and `False` if it can't. Section 2 has the strongest test: with the true posteriors
*every* draw is $\log p(x)$. For this chain, with $s = a^2 + 1$: $\ p(x) = \mathcal N(0,\,b^2 s + 1)$,
$\ p(z_1\mid x) = \mathcal N\bigl(\frac{b s}{b^2 s+1}x,\ \frac{s}{b^2 s+1}\bigr)$,
$\ p(z_2\mid z_1) = \mathcal N\bigl(\frac as z_1,\ \frac1s\bigr)$. But a wrong function may pass with these and fail
elsewhere.
"""


# %%
def is_a_chain_bound(bound):
    # your code
    ...


check("03b.4", is_a_chain_bound)

# %% [markdown]
r"""
Stuck? `hint("03b.2")` helps a little, and again a little more; `solution("03b.2")` shows ours.

## What to remember

1. A linear VAE is probabilistic PCA: $\lVert\mathbf w_j\rVert^2 = \lambda_j-\sigma^2$, and what varies less than
   $\sigma^2$ is dropped.
2. $\log p(\mathbf x)\ge\mathbb E_q\bigl[\log p(\mathbf x,\mathbf z_{1:T}) - \log q(\mathbf z_{1:T}\mid\mathbf x)\bigr]$, with
   equality, draw by draw, at the true posterior.
3. Same size, fixed linear Gaussian encoder, noise at the end: three restrictions, and a hierarchical VAE is a diffusion
   model.

Lesson 06 studies the fixed encoder by itself, and lesson 07 makes the bound cheap.
"""

# %% [markdown]
r"""
## References

- Velasco-Forero, *Introduction to Diffusion Models* (2023).
- Tipping, Bishop: *Probabilistic Principal Component Analysis*, 1999. Lucas, Tucker, Grosse, Norouzi: *Don't Blame the
  ELBO! A Linear VAE Perspective on Posterior Collapse*, 2019.
- Burda, Grosse, Salakhutdinov: *Importance Weighted Autoencoders*, 2016.
- Sønderby et al.: *Ladder Variational Autoencoders*, 2016. Kingma, Salimans, Poole, Ho: *Variational Diffusion Models*, 2021.
- Digits: Alpaydin and Kaynak, 1998, CC BY 4.0. MNIST: LeCun, Cortes and Burges.
"""
