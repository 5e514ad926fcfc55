# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
# ---

# %% [markdown]
r"""
# 02 · The ELBO: a bound instead of an integral

**After this lesson you can**
- compute a Kullback–Leibler divergence in three ways, and say what changes when its arguments are exchanged;
- derive the evidence lower bound twice, with every line checked by numbers, and name the gap to the truth exactly;
- recognize the bound in EM, in amortized inference and in importance weighting;
- send a gradient through a random draw, in the way that works.

**Before:** lesson 01. **Time:** 80 minutes, and 80 more for the seven exercises.
**Follows:** Das and Varma, from "Evidence Lower Bound"; Koirala, "VAE" and "Optimizing Variational Lower Bound"; Velasco-Forero,
"Training via maximum likelihood" and "Kullback-Leibler Divergence".
"""

# %%
import math

import matplotlib.pyplot as plt
import torch
from ipywidgets import FloatSlider, ToggleButtons
from torch.distributions import MultivariateNormal, Normal, kl_divergence

from course_lib import show
from course_lib.agree import agree, agree_mean
from course_lib.exact import GaussianMixture
from course_lib.exercises import check, hint, solution

rng = torch.Generator().manual_seed(3)
torch.set_default_dtype(torch.float64)
show.use_style()

# %% [markdown]
r"""
The whole lesson in one picture. The black line is $\log p(\mathbf x)$, the **evidence**, in nats, the unit of the
natural logarithm: what we want and usually can't compute. Whatever distribution $q(\mathbf z)$ we choose, the line
splits into two parts: one that *can* be computed, the **evidence lower bound** or ELBO (also called variational lower
bound, VLB), and one that can't, a divergence that is never negative. Push the ELBO up by changing $q$, and the other
part must shrink. The model behind the picture is a very small one with a latent variable: $z$ is 1, 2 or 3, and $x$ a
Gaussian for each.
"""

# %%
weight = torch.tensor([0.5, 0.3, 0.2])  # p(z)
mean, std = torch.tensor([-1.5, 0.5, 2.0]), torch.tensor([0.6, 0.8, 0.5])
x = torch.tensor(1.2)

log_joint = weight.log() + Normal(mean, std).log_prob(x)  # log p(x, z) for z = 1, 2, 3
log_p = log_joint.logsumexp(0)
posterior = (log_joint - log_p).exp()  # p(z | x)


def elbo(q):
    return (q * (log_joint - q.log())).sum(-1)


# %%
start = torch.tensor([0.8, 0.1, 0.1])
way = torch.cat([torch.linspace(0, 1, 11), torch.linspace(0.95, 0.65, 7)])[:, None]
path = start * (1 - way) + posterior * way
bound = elbo(path)
print(f"log p(x) = {log_p:.4f}   ELBO from {bound[0]:.4f} up to {bound.max():.4f}")


# %% tags=["hide-input"]
def bar(q):
    """q beside the posterior, and log p(x) as a bar that is split at the ELBO."""
    fig, (left, right) = plt.subplots(1, 2, figsize=(8.6, 3.3), width_ratios=[1, 1.4])
    left.bar(range(1, 4), q, color=show.tint("samples", 0.35), width=0.55)
    left.plot(range(1, 4), posterior, "o", color=show.colour("exact"), markersize=9)
    left.set(ylim=(0, 1), xticks=range(1, 4), xlabel="z", ylabel="q(z); dots: p(z | x)")
    split(right, elbo(q).item())
    right.text(log_p.item() + 0.05, 0.42, r"$\log\,p(x)$", va="center")
    show.title(fig, "The ELBO and a KL share log p(x), whatever q is")
    return fig


# %% tags=["hide-input"]
def split(ax, here):
    low, top = -9.3, log_p.item()
    ax.barh([0], [here - low], left=low, color=show.tint("signal", 0.35), height=0.5)
    ax.barh([0], [top - here], left=here, color=show.tint("noise", 0.35), height=0.5)
    ax.axvline(top, **show.style("exact"))
    if here - low > 1.2:
        ax.text((low + here) / 2, 0, "ELBO", ha="center", va="center")
    if top - here > 0.9:
        ax.text((here + top) / 2, 0, "KL", ha="center", va="center")
    ax.set(xlim=(low, 0), ylim=(-0.5, 0.6), yticks=[], xlabel="nats")


# %% tags=["hide-input"]
show.film(
    [bar(q) for q in path],
    "Left, three bars q(z) beside dots, the posterior; right, a bar that ends at log p(x). As the "
    "bars move onto the dots, the blue part, the ELBO, grows to the whole bar, and the grey part, "
    "the KL, vanishes; as they move off again, it comes back.",
)

# %% [markdown]
r"""
## 1 · A distance that is not one

How different are two distributions? The **Kullback–Leibler divergence** asks how much more probable, on average, $p$
finds its own samples than $q$ does:

$$ D_{\mathrm{KL}}(p\,\Vert\,q) = \mathbb E_{x\sim p}\!\left[\log\frac{p(x)}{q(x)}\right] = \int p(x)\,\log\frac{p(x)}{q(x)}\,\mathrm dx $$

For two Gaussians it has a closed form,

$$ D_{\mathrm{KL}}\bigl(\mathcal N(\mu_1,\sigma_1^2)\,\Vert\,\mathcal N(\mu_2,\sigma_2^2)\bigr)
   = \log\frac{\sigma_2}{\sigma_1} + \frac{\sigma_1^2 + (\mu_1-\mu_2)^2}{2\sigma_2^2} - \frac12 $$
"""


# %%
def kl_gaussians(mu_1, sigma_1, mu_2, sigma_2):
    return math.log(sigma_2 / sigma_1) + (sigma_1**2 + (mu_1 - mu_2) ** 2) / (2 * sigma_2**2) - 0.5


p, q = Normal(0.5, 0.8), Normal(-0.4, 1.3)
closed = kl_gaussians(0.5, 0.8, -0.4, 1.3)
grid = torch.linspace(-12, 12, 20_001)
agree(
    "by quadrature",
    torch.trapezoid(p.log_prob(grid).exp() * (p.log_prob(grid) - q.log_prob(grid)), grid),
    closed,
    atol=1e-10,
)
samples = 0.5 + 0.8 * torch.randn(100_000, generator=rng)
agree_mean("by Monte Carlo", p.log_prob(samples) - q.log_prob(samples), closed)
agree("PyTorch's", kl_divergence(p, q), closed, atol=1e-12)

# %% [markdown]
r"""
It is **never negative**. Since $\log u\le u - 1$ for every $u>0$,

$$ -D_{\mathrm{KL}}(p\,\Vert\,q) = \mathbb E_p\!\left[\log\frac{q}{p}\right] \le \mathbb E_p\!\left[\frac qp - 1\right] = \int q - \int p = 0, $$

and it is 0 only where $q = p$. And it is **not a distance**: swap the two and the number changes. Test both claims on
a thousand random pairs.
"""

# %%
pairs = torch.rand(1000, 2, 6, generator=rng).pow(3) + 1e-4
a, b = (pairs / pairs.sum(-1, keepdim=True)).unbind(1)
forward, reverse = (a * (a / b).log()).sum(1), (b * (b / a).log()).sum(1)
assert forward.min() > 0 and reverse.min() > 0
agree("KL from a distribution to itself", (a * (a / a).log()).sum(1), 0.0, atol=1e-15)
change = (forward - reverse).abs().mean() / forward.mean()
print(f"swapping the arguments changes the KL by {change:.0%}, on average")
assert change > 0.1

# %% [markdown]
r"""
The exchange matters when $q$ can't become $p$. Let $p$ have two modes and $q$ be a single Gaussian. **Predict
first:** which Gaussian is best for $D_{\mathrm{KL}}(p\,\Vert\,q)$, and which for $D_{\mathrm{KL}}(q\,\Vert\,p)$?

<details><summary>Answer</summary>

The first averages over $p$: wherever $p$ has mass, $q$ must not be small, so $q$ becomes wide and covers both modes,
and the gap between them too. The second averages over $q$: wherever $p$ is small, $q$ must not have mass, so the best
$q$ sits on one mode and ignores the other. (Gradient descent may also end on the other mode, or in a wide minimum
between them.)

</details>
"""

# %%
target = GaussianMixture(
    [[-2.0], [2.0]], cov=torch.tensor([0.35, 0.6]), weight=torch.tensor([0.55, 0.45])
)
log_target = target.log_prob(grid[:, None])


def divergences(mu, sigma):
    """D(p || q) and D(q || p) for a Gaussian q, by quadrature."""
    log_q = Normal(mu, sigma).log_prob(grid)
    gap = log_target - log_q
    return (
        torch.trapezoid(log_target.exp() * gap, grid),
        torch.trapezoid(-log_q.exp() * gap, grid),
    )


# %%
def best(which, mu, log_sigma):
    """The Gaussian that minimizes one of the two, by gradient descent from a start."""
    at = torch.tensor([mu, log_sigma], requires_grad=True)
    optimizer = torch.optim.LBFGS([at], max_iter=200, line_search_fn="strong_wolfe")

    def loss():
        optimizer.zero_grad()
        value = divergences(at[0], at[1].exp())[which]
        value.backward()
        return value

    optimizer.step(loss)
    return at[0].item(), at[1].exp().item()


# %%
covering = best(0, 0.5, 0.0)
mean_of_p = target.weight @ target.mean[:, 0]
square_of_p = target.weight @ (target.mean[:, 0] ** 2 + target.cov[:, 0, 0])
agree("the best for D(p || q) has p's mean", covering[0], mean_of_p, atol=1e-5)
agree("and p's variance", covering[1] ** 2, square_of_p - mean_of_p**2, atol=1e-5)

seeking = [best(1, start, 0.0) for start in (-1.5, 0.5, 1.5)]
values = [divergences(torch.tensor(m), torch.tensor(d))[1].item() for m, d in seeking]
for (m, d), value in zip(seeking, values, strict=True):
    print(f"a minimum of D(q || p): mean {m:5.2f}, deviation {d:.2f}, {value:.3f} nats")
assert values[0] == min(values) and abs(seeking[0][0] + 2) < 0.1 and seeking[0][1] < 1

# %% [markdown]
r"""
Both at their minimum:
"""


# %%
def panel(ax, mu, sigma):
    """The two-peaked p and a Gaussian q."""
    density = Normal(mu, sigma).log_prob(grid).exp()
    ax.plot(grid, log_target.exp(), **show.style("exact"))
    ax.plot(grid, density, **show.style("learned"))
    ax.set(xlim=(-5, 5), ylim=(0, 1.4), xlabel="x", ylabel="density")
    ax.text(2.6, 0.26, "p", color=show.colour("exact"))
    ax.text(mu, density.max() + 0.04, "q", color=show.colour("learned"), ha="center", clip_on=True)


# %% tags=["hide-input"]
fig, axes = plt.subplots(1, 2, figsize=(8.4, 3.2))
for ax, at, name in zip(axes, (covering, seeking[0]), ("p, q", "q, p"), strict=True):
    panel(ax, *at)
    ax.set(ylim=(0, 0.8), title=f"smallest D({name.replace(', ', ' || ')})")
show.title(fig, "One direction covers both peaks, the other chooses one")
show.figure(
    fig,
    "Twice the same density p with two peaks. Left, the best q for D(p || q), a wide bell over "
    "both; right, the best q for D(q || p), a narrow bell on the left peak.",
)

# %% [markdown]
r"""
Move $q$ yourself. The buttons choose the direction. Where is it smallest?
"""


# %%
def fit(mu, sigma, which):
    fig, ax = plt.subplots(figsize=(8, 3.4))
    panel(ax, mu, sigma)
    forward, reverse = divergences(torch.tensor(mu), torch.tensor(sigma))
    value = forward if which == "D(p || q)" else reverse
    show.title(fig, f"{which} = {value:.2f} nats")
    return fig


# %%
show.widget(
    fit,
    "A density p with two peaks, and a Gaussian q on the left one; above them stands the "
    "divergence of q from p.",
    mu=FloatSlider(-2.0, min=-3, max=3, description="mean", continuous_update=False),
    sigma=FloatSlider(0.6, min=0.3, max=3, description="deviation", continuous_update=False),
    which=ToggleButtons(options=["D(q || p)", "D(p || q)"], description="divergence"),
)

# %% [markdown]
r"""
**So far:** a divergence is an expectation under its *first* argument. It is 0 only if both are equal, and which one
comes first decides whether a fit covers or chooses.

## 2 · The integral that stops us

A latent-variable model says how the data arise: draw $\mathbf z\sim p(\mathbf z)$, then
$\mathbf x\sim p_\theta(\mathbf x\mid\mathbf z)$. To train it, make the data probable: maximize
$\sum_i\log p_\theta(\mathbf x_i)$. So we need

$$ p_\theta(\mathbf x) = \int p_\theta(\mathbf x\mid\mathbf z)\,p(\mathbf z)\,\mathrm d\mathbf z, $$

and to know what a picture means we need the **posterior**
$p_\theta(\mathbf z\mid\mathbf x) = p_\theta(\mathbf x\mid\mathbf z)\,p(\mathbf z)/p_\theta(\mathbf x)$: what
$\mathbf z$ may have been once $\mathbf x$ is known, while the **prior** $p(\mathbf z)$ says it before. Both factors
of the numerator are part of the model, and easy. The denominator is the integral again.
"""

# %% [markdown]
r"""
In lesson 01 it was a sum over a few components, or a Gaussian. With a network for $p_\theta(\mathbf x\mid\mathbf z)$
nothing can be summed in closed form, and guessing $\mathbf z$ at random soon fails: most $\mathbf z$ explain nothing.
Take a model where the answer is known, $\mathbf x = \mathbf z + 0.1\,\boldsymbol\epsilon$ in $d$ dimensions with
$\mathbf z\sim\mathcal N(\mathbf 0,\mathbf I)$, and estimate $p(\mathbf x)$ by the average of
$p(\mathbf x\mid\mathbf z)$ over 10,000 draws.
"""

# %%
off = []
dimensions = (1, 2, 4, 8, 16, 32)
for d in dimensions:
    place = torch.full((d,), 0.5)
    z = torch.randn(20, 10_000, d, generator=rng)
    log_like = Normal(z, 0.1).log_prob(place).sum(-1)
    estimate = log_like.logsumexp(1) - math.log(10_000)
    truth = Normal(0.0, math.sqrt(1.01)).log_prob(place).sum()
    off.append((estimate - truth).abs().mean().item())
print([f"{d}: {e:.3g}" for d, e in zip(dimensions, off, strict=True)])
assert off[0] < 0.1 and off[-1] > 100

# %% tags=["hide-input"]
ax = show.curves(
    dimensions, {"samples": off}, "dimension of z", "error of log p(x), nats", log="xy"
)
ax.set_xticks([1, 2, 4, 8, 16, 32], ["1", "2", "4", "8", "16", "32"])
show.title(ax, "Guessing z works in two dimensions, not in 32")
show.figure(
    ax.figure,
    "The error of log p(x) by 10,000 random z over the dimension, on logarithmic axes: 0.03 nats "
    "in one dimension, hundreds of nats in thirty-two.",
)

# %% [markdown]
r"""
> **On the slide.** Das and Varma write Bayes' formula with $\sum_u q(Z\mid U)\,q(U)$ in the denominator, call $q(Z)$
> known, and the sum intractable. But that sum *is* $q(Z)$. What is unknown is $q(X)$, in the numerator. In the other
> direction, $p(\mathbf z\mid\mathbf x)$, the denominator is $p(\mathbf x)$, and that one really is intractable. On a
> small table, by counting:
"""

# %%
prior_x = torch.tensor([0.3, 0.7])  # a two-valued x
z_given_x = torch.tensor([[0.6, 0.3, 0.1], [0.1, 0.2, 0.7]])
denominator = (z_given_x * prior_x[:, None]).sum(0)

drawn_x = torch.multinomial(prior_x, 100_000, replacement=True, generator=rng)
drawn_z = torch.multinomial(z_given_x[drawn_x], 1, generator=rng)[:, 0]
share = torch.nn.functional.one_hot(drawn_z, 3).double()
agree_mean("the denominator is how often each z comes", share, denominator)

# %% [markdown]
r"""
## 3 · The bound, derived twice

The model of the first picture: $z$ is 1, 2 or 3 with $p(z) = (0.5, 0.3, 0.2)$, and $x$ is a Gaussian with mean
$-1.5$, $0.5$ or $2.0$ and deviation $0.6$, $0.8$ or $0.5$; we have seen $x = 1.2$. So $\log p(x)$ is a sum of three
terms, $p(z\mid x)$ three numbers, and each line of a derivation can be **run**. Take any other distribution $q(z)$;
it may depend on $x$, and then is written $q(z\mid x)$.

**First: multiply by one, and the chain rule** (Koirala, Velasco-Forero). Since $\log p(x)$ does not depend on $z$,

$$ \begin{aligned}
\log p(x) &= \mathbb E_q\bigl[\log p(x)\bigr] && (1)\\
 &= \mathbb E_q\!\left[\log\frac{p(x,z)}{p(z\mid x)}\right] && (2)\\
 &= \mathbb E_q\!\left[\log\frac{p(x,z)}{q(z)}\,\frac{q(z)}{p(z\mid x)}\right] && (3)\\
 &= \underbrace{\mathbb E_q\!\left[\log\frac{p(x,z)}{q(z)}\right]}_{\text{ELBO}} + D_{\mathrm{KL}}\bigl(q(z)\,\Vert\,p(z\mid x)\bigr) && (4)
\end{aligned} $$
"""

# %%
q = torch.tensor([0.2, 0.5, 0.3])


def E(values):
    """The expectation under q, a sum of three terms."""
    return (q * values).sum()


agree("(1) q sums to 1", E(log_p), log_p, atol=1e-12)
agree("(2) the chain rule", E((log_joint.exp() / posterior).log()), log_p, atol=1e-12)
agree("(3) multiply by q / q", E((log_joint.exp() / q * q / posterior).log()), log_p, atol=1e-12)
gap = E((q / posterior).log())
agree("(4) ELBO + KL", E((log_joint.exp() / q).log()) + gap, log_p, atol=1e-12)

# %% [markdown]
r"""
The second term is a KL, so it is never negative, and dropping it leaves a **lower bound**: $\log p(x)\ge\text{ELBO}$.
We know the gap exactly. It is 0 if and only if $q$ is the posterior. Check this for a thousand random $q$, and for
the best one.
"""

# %%
many = torch.rand(1000, 3, generator=rng).pow(2) + 1e-5
many = many / many.sum(1, keepdim=True)
gaps = (many * (many / posterior).log()).sum(1)
agree("log p − ELBO = KL(q || posterior), 1,000 times", log_p - elbo(many), gaps, atol=1e-10)
assert (elbo(many) < log_p).all()
agree("no gap where q is the posterior", elbo(posterior), log_p, atol=1e-12)

# %% [markdown]
r"""
**Second: Jensen's inequality.** The logarithm is concave: the log of an average is at least the average of the logs.
Write the integral as an expectation under $q$, and exchange the two:

$$ \log p(x) = \log\sum_z q(z)\,\frac{p(x,z)}{q(z)} = \log\mathbb E_q\!\left[\frac{p(x,z)}{q(z)}\right]
   \;\ge\; \mathbb E_q\!\left[\log\frac{p(x,z)}{q(z)}\right] = \text{ELBO} $$

It is shorter, and it hides the gap. The ratio $p(x,z)/q(z)$ is the same number for all $z$ exactly when $q$ is the
posterior; then there is nothing to average, and the two sides are equal.
"""

# %%
ratio = log_joint.exp() / q
agree("log of the average = log p(x)", E(ratio).log(), log_p, atol=1e-12)
assert E(ratio.log()) < E(ratio).log()
agree(
    "for the posterior the ratio is p(x), whatever z",
    log_joint.exp() / posterior,
    log_p.exp(),
    atol=1e-12,
)

# %% [markdown]
r"""
> **On the slide.** Das and Varma print
> $D_{\mathrm{KL}}(q(X\mid Z),\,p_\theta(X\mid Z)) = \log q(X) - \sum_Z q(Z\mid X)\log\frac{p_\theta(X,Z)}{q(Z\mid X)}$.
> The right-hand side averages over $Z$ for a fixed $X$, so the left must compare distributions *of Z*:
> $D_{\mathrm{KL}}(q(Z\mid X)\,\Vert\,p_\theta(Z\mid X)) = \log p_\theta(X) - \dots$ And they call
> $\sum q\log\frac{q}{p}$ the ELBO, and still claim $\log q(X)\ge\text{ELBO}$: that sum is the bound's *negative*. In
> this course the ELBO is the lower bound, and the loss is −ELBO. The number that decides, for the $q$ above:
"""

# %%
negative = E((q / log_joint.exp()).log())
print(f"log p(x) = {log_p:.3f}   Σ q log(p/q) = {-negative:.3f}   Σ q log(q/p) = {negative:.3f}")
assert negative > log_p > -negative, "the sum with q above is not a lower bound"

# %% [markdown]
r"""
## 4 · Two readings

The ELBO is one number, and it can be split in two ways. Split $p(x,z) = p(x\mid z)\,p(z)$:

$$ \text{ELBO} = \underbrace{\mathbb E_q\bigl[\log p(x\mid z)\bigr]}_{\text{reconstruction}} - \underbrace{D_{\mathrm{KL}}\bigl(q(z)\,\Vert\,p(z)\bigr)}_{\text{distance from the prior}} $$

Explain $x$ well, but don't move far from the prior: this is the VAE's loss (lesson 03). Or keep the joint in one
piece:

$$ \text{ELBO} = \mathbb E_q\bigl[\log p(x,z)\bigr] + H(q),\qquad H(q) = -\mathbb E_q[\log q(z)] $$

Find probable explanations, but as many as possible: energy and **entropy**, as in physics.
"""

# %%
log_like = Normal(mean, std).log_prob(x)
reconstruction, from_prior = E(log_like), E((q / weight).log())
energy, entropy = E(log_joint), -E(q.log())
agree("reconstruction − KL(q || prior) = ELBO", reconstruction - from_prior, elbo(q), atol=1e-12)
agree("E[log p(x, z)] + entropy = ELBO", energy + entropy, elbo(q), atol=1e-12)
print(f"reconstruction {reconstruction:.3f}, KL from the prior {from_prior:.3f}")
print(f"energy {energy:.3f}, entropy {entropy:.3f}")

# %% [markdown]
r"""
> **On the slide.** One of Velasco-Forero's slides prints the two-term bound as reconstruction
> $-\;\mathbb E\log\frac{p(z)}{q(z\mid x)}$. That is reconstruction *plus* the KL. The test: with the plus sign the
> "bound" *can* lie above $\log p(x)$. It doesn't for our $q$, but it does for one that is far from the prior; and
> making it large would push $q$ even farther away.
"""

# %%
wrong = reconstruction + from_prior
q_far = torch.tensor([0.001, 0.001, 0.998])
wrong_far = (q_far * log_like).sum() + (q_far * (q_far / weight).log()).sum()
print(f"log p(x) = {log_p:.3f}; reconstruction + KL: {wrong:.3f}, for a far q {wrong_far:.3f}")
agree("twice the KL above the ELBO", wrong, elbo(q) + 2 * from_prior, atol=1e-12)
assert wrong < log_p < wrong_far

# %% [markdown]
r"""
### EM climbs this bound

Lesson 01 fitted mixtures by EM and promised a proof that the likelihood never falls. Here it is. The ELBO depends on
two things, $q$ and the parameters $\theta$. The **E-step** sets $q$ to the posterior: the bound *touches*
$\log p_\theta(x)$. The **M-step** keeps $q$ and maximizes the bound over $\theta$: it rises, and $\log p_\theta(x)$,
which lies above it, must rise at least as much. It is coordinate ascent on one function. (The figure starts at the
second round; the first climbs from far below.)
"""

# %%
eps = torch.randn(400, generator=rng)
data = torch.cat([-2 + 0.6 * eps[:150], 2 + 0.8 * eps[150:]])
theta = (torch.tensor([0.5, 0.5]), torch.tensor([0.0, 1.0]), torch.tensor([1.0, 1.0]))


def joint_of(weight, mean, std):
    return weight.log() + Normal(mean, std).log_prob(data[:, None])  # (n, 2)


def mean_elbo(q, log_joint):
    return (q * (log_joint - q.log())).sum(1).mean()


# %%
by_library = GaussianMixture(theta[1][:, None], theta[2] ** 2, theta[0]).log_prob(data[:, None])
agree("log p of all points", joint_of(*theta).logsumexp(1), by_library, atol=1e-10)

# %%
heights = []
for _ in range(12):
    before = joint_of(*theta)
    q_all = before.softmax(1)  # E: the posterior of every point
    touched = (before.logsumexp(1).mean(), mean_elbo(q_all, before))
    N = q_all.sum(0)
    mu = (q_all * data[:, None]).sum(0) / N
    theta = (N / len(data), mu, ((q_all * (data[:, None] - mu) ** 2).sum(0) / N).sqrt())  # M
    heights.append(
        (*touched, mean_elbo(q_all, joint_of(*theta)), joint_of(*theta).logsumexp(1).mean())
    )

truth, after_e, after_m, next_truth = torch.tensor(heights).T
agree("after each E-step the bound touches log p", after_e, truth, atol=1e-12)
assert (after_m >= after_e - 1e-12).all() and (next_truth >= after_m - 1e-12).all()
assert (next_truth - after_m)[:6].min() > 1e-6

# %% tags=["hide-input"]
fig, ax = plt.subplots(figsize=(8, 3.8))
ax.plot(range(1, 8), truth[1:8], "o", **show.style("exact") | {"linestyle": "none"})
for n in range(1, 7):
    ax.plot([n, n + 0.8], [after_e[n], after_m[n]], **show.style("learned"))
    ax.plot([n + 0.8, n + 1], [after_m[n], truth[n + 1]], ":", color=show.colour("noise"))
ax.set(xlabel="round of EM", ylabel="nats per point", xlim=(0.8, 7.2))
ax.text(3.0, truth[3] + 0.03, "log-likelihood", ha="right")
ax.text(2.5, after_e[2] - 0.03, "the bound, in the M-step", color=show.colour("learned"))
show.title(fig, "E: the bound touches. M: it climbs, and the likelihood must follow")
show.figure(
    fig,
    "Black points, the log-likelihood, rise over six rounds of EM. From each point a dashed line, "
    "the bound, climbs during the M-step; a dotted line goes on to the next point, which is higher "
    "still.",
)

# %% [markdown]
r"""
**So far:** the ELBO is a lower bound, the gap is a KL, and EM is ascent on it with the best $q$ for every point. But
EM needs the posterior, and for a network there is none in closed form.
"""

# %% [markdown]
r"""
## 5 · Amortized inference

Koirala names the first idea, and why it is too slow: a $q$ of its own for each $\mathbf x_i$, found by gradient The
second idea is to **amortize**: one network with weights $\phi$ that takes $\mathbf x$ and returns the mean and
variance of $q_\phi(\mathbf z\mid\mathbf x)$, for any $\mathbf x$ it will ever see.

What does it cost? Two gaps. The *approximation gap*: the posterior does not belong to the family of $q$ that we
allow. The *amortization gap*: the network does not find the best member of that family. To measure both we need a
model in which everything is known: linear and Gaussian,

$$ \mathbf z\sim\mathcal N(\mathbf 0,\mathbf I_2),\qquad \mathbf x\mid\mathbf z\sim\mathcal N(\mathbf W\mathbf z,\ s^2\mathbf I_3) $$
"""

# %%
W, s = torch.tensor([[1.2, 0.8], [0.5, 1.0], [-0.4, 0.9]]), 0.5
z_true = torch.randn(4000, 2, generator=rng)
xs = z_true @ W.T + s * torch.randn(4000, 3, generator=rng)

evidence = MultivariateNormal(torch.zeros(3), W @ W.T + s**2 * torch.eye(3))
precision = torch.eye(2) + W.T @ W / s**2
post_cov = torch.linalg.inv(precision)
post_mean = xs @ W @ post_cov / s**2
correlation = post_cov[0, 1] / (post_cov[0, 0] * post_cov[1, 1]).sqrt()
agree_mean("the points are the model's", evidence.log_prob(xs), -evidence.entropy())
print(f"log p(x) per point {evidence.log_prob(xs).mean():.4f}")
print(f"correlation of the posterior {correlation:.2f}")

# %% [markdown]
r"""
Is that posterior right? Check with Bayes' rule at random $\mathbf z$:
$\log p(\mathbf x\mid\mathbf z) + \log p(\mathbf z) - \log p(\mathbf z\mid\mathbf x)$ must be $\log p(\mathbf x)$,
whatever $\mathbf z$ we plug in.
"""

# %%
z = torch.randn(4000, 2, generator=rng)
log_x_and_z = Normal(z @ W.T, s).log_prob(xs).sum(1) + Normal(0.0, 1.0).log_prob(z).sum(1)
by_bayes = log_x_and_z - MultivariateNormal(post_mean, post_cov).log_prob(z)
agree("Bayes' rule, at 4,000 random z", by_bayes, evidence.log_prob(xs), atol=1e-10)


# %% [markdown]
r"""
For a Gaussian $q = \mathcal N(\boldsymbol\mu,\mathbf C)$ the ELBO has a closed form, since
$\mathbb E_q\lVert\mathbf x-\mathbf W\mathbf z\rVert^2 = \lVert\mathbf x-\mathbf W\boldsymbol\mu\rVert^2 + \operatorname{tr}(\mathbf W\mathbf C\mathbf W^\top)$.
For the posterior it must *equal* $\log p(\mathbf x)$.
"""


# %%
def gaussian_elbo(mu, cov):
    """The ELBO of q = N(mu, cov) for every x; cov is one matrix, or one for each x."""
    spread = torch.einsum("ij,...jk,ik->...", W, cov, W)
    log_like = Normal(mu @ W.T, s).log_prob(xs).sum(1) - spread / (2 * s**2)
    trace = cov.diagonal(dim1=-2, dim2=-1).sum(-1)
    kl = 0.5 * (mu.square().sum(1) + trace - 2 - torch.logdet(cov))
    return log_like - kl


touching = gaussian_elbo(post_mean, post_cov)
agree("the best ELBO = log p(x), every x", touching, evidence.log_prob(xs), atol=1e-10)

# %% [markdown]
r"""
A VAE's $q$ has independent coordinates, a *diagonal* covariance. Which one is best? The inverse of the posterior's
covariance is called its **precision** $\boldsymbol\Lambda$. The best mean is the posterior's, and in a variance $v_i$
the ELBO is $\tfrac12(\log v_i - \Lambda_{ii}v_i)$ plus a constant, greatest at $v_i = 1/\Lambda_{ii}$. That is less than the
posterior's own variance: $q$ is rather too narrow than too wide, as with $D_{\mathrm{KL}}(q\,\Vert\,p)$ in section 1.
"""

# %%
best_diagonal = torch.diag(1 / precision.diagonal())
approximation_gap = (evidence.log_prob(xs) - gaussian_elbo(post_mean, best_diagonal)).mean()
by_formula = 0.5 * (precision.diagonal().log().sum() - torch.logdet(precision))
agree("the approximation gap, in closed form", approximation_gap, by_formula, atol=1e-10)
assert (best_diagonal.diagonal() < post_cov.diagonal()).all()

# %% [markdown]
r"""
Now a network that must find all of that from samples. It returns the *logarithm* of each variance, so that any number
it comes up with is a valid answer.
"""


# %%
def make_encoder(seed):
    torch.manual_seed(seed)
    return torch.nn.Sequential(torch.nn.Linear(3, 32), torch.nn.Tanh(), torch.nn.Linear(32, 4))


def sampled_elbo(encoder, W, x, eps):
    """One draw of z for every x, and a gradient that reaches the encoder, and W."""
    mu, logvar = encoder(x).chunk(2, dim=1)
    z = mu + (0.5 * logvar).exp() * eps
    log_like = Normal(z @ W.T, s).log_prob(x).sum(1)
    kl = 0.5 * (mu**2 + logvar.exp() - 1 - logvar).sum(1)
    return log_like - kl


# %%
def train(encoder, W, steps=1500):
    parameters = [*encoder.parameters(), W] if W.requires_grad else encoder.parameters()
    optimizer = torch.optim.Adam(parameters, lr=1e-2)
    for step in range(steps):
        optimizer.param_groups[0]["lr"] = 1e-2 * (1 - step / steps)
        rows = torch.randint(4000, (256,), generator=rng)
        loss = -sampled_elbo(encoder, W, xs[rows], torch.randn(256, 2, generator=rng)).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return encoder


# %%
def answers(encoder):
    """Mean and covariance of q for every x."""
    with torch.no_grad():
        mu, logvar = encoder(xs).chunk(2, dim=1)
    return mu, torch.diag_embed(logvar.exp())


# %% [markdown]
r"""
The gap of each network is the whole of $\log p - \text{ELBO}$, and it must be
$D_{\mathrm{KL}}(q_\phi\,\Vert\,p(\mathbf z\mid\mathbf x))$. What is left after the approximation gap is the
amortization gap. Three networks, from three seeds:
"""

# %%
for seed in range(3):
    mu, cov = answers(train(make_encoder(seed), W))
    gap = evidence.log_prob(xs) - gaussian_elbo(mu, cov)
    q, posterior_of = MultivariateNormal(mu, cov), MultivariateNormal(post_mean, post_cov)
    agree("the gap = KL(q || posterior), every x", gap, kl_divergence(q, posterior_of), atol=1e-10)
    amortization_gap = gap.mean() - approximation_gap
    print(
        f"approximation gap {approximation_gap:.4f}, amortization gap {amortization_gap:.4f} nats"
    )
    assert 0 < amortization_gap < 0.2 * approximation_gap

# %% tags=["hide-input"]
turn = torch.linspace(0, 2 * math.pi, 200)
circle = 2 * torch.stack([turn.cos(), turn.sin()])
fig, ax = plt.subplots(figsize=(6.4, 3.6))
covs = {"exact": post_cov, "signal": best_diagonal, "learned": cov[0]}
words = ("posterior", "best diagonal", "network")
for i, ((role, spread), word) in enumerate(zip(covs.items(), words, strict=True)):
    centre = mu[0] if role == "learned" else post_mean[0]
    ax.plot(*(centre[:, None] + torch.linalg.cholesky(spread) @ circle), **show.style(role))
    ax.text(1.05, 0.8 - 0.15 * i, word, color=show.colour(role), transform=ax.transAxes)
ax.set(xlabel="$z_1$", ylabel="$z_2$", aspect="equal")
show.title(fig, "A diagonal q is narrower than the posterior")
alt = "Three ellipses: the posterior, tilted; the best q, upright and narrower; the network's."
show.figure(fig, alt)

# %% [markdown]
r"""
So on these data the family costs more than the network does.

And $\theta$? Koirala, and Das and Varma, maximize $\sum_i\text{ELBO}(\mathbf x_i)$ over $\theta$ *and* $\phi$ at
once: $\phi$ tightens the bound, $\theta$ raises it. Let $\mathbf W$ be unknown, start from random numbers, and never
compute a likelihood while training:
"""

# %%
W_hat = torch.randn(3, 2, generator=rng).requires_grad_()
second = train(make_encoder(3), W_hat, steps=3000)
C_hat = (W_hat @ W_hat.T + s**2 * torch.eye(3)).detach()
learned = MultivariateNormal(torch.zeros(3), C_hat).log_prob(xs).mean()
truth = evidence.log_prob(xs).mean()
print(f"log-likelihood per point: {learned:.4f} with the learned W, {truth:.4f} with the true one")
assert learned > truth - 0.02

# %% [markdown]
r"""
> **On the slide.** Koirala and Velasco-Forero write $q = \mathcal N(z;\mu(x),\sigma(x))$, and Koirala draws
> $z = \mu + \sigma\epsilon$. The second argument of $\mathcal N$ is a variance, so it must be $\sigma^2(x)$. And the
> expectation is over $q_\phi$; four of Koirala's lines print $q_\theta$, as if the decoder's weights had drawn the
> $z$.

**So far:** a network can stand in for the posterior. It pays for its family first and for its own mistakes second,
and with it the bound trains the model, too.
"""

# %% [markdown]
r"""
## 6 · A gradient through a draw

The encoder was trained through a random $\mathbf z$. How can a gradient pass through a draw? We need
$\nabla_\mu\,\mathbb E_{z\sim\mathcal N(\mu,\sigma^2)}[f(z)]$, and there are two ways. One differentiates the density,
$\nabla_\mu\int q\,f = \int f\,\nabla_\mu q = \int f\,q\,\nabla_\mu\log q$; the other moves the draw to a fixed
$\epsilon$ and differentiates $f$:

$$ \nabla_\mu\,\mathbb E[f(z)] = \mathbb E\bigl[f(z)\,\nabla_\mu\log q_\mu(z)\bigr] = \mathbb E\!\left[f(z)\,\frac{z-\mu}{\sigma^2}\right]
   \qquad\text{(score function)} $$
$$ \nabla_\mu\,\mathbb E[f(z)] = \mathbb E_{\epsilon}\bigl[f'(\mu+\sigma\epsilon)\bigr] \qquad\text{(reparameterized)} $$

The first needs only values of $f$. (Its name comes from statistics, where $\nabla_\mu\log q$ is the score; from
lesson 06 on, *score* means $\nabla_{\mathbf x}\log p$.) Take $f(z) = z^2$, whose expectation is $\mu^2+\sigma^2$ with
the gradient $2\mu$.
"""

# %%
mu, sigma = 1.5, 0.7
eps = torch.randn(200_000, generator=rng)
z = mu + sigma * eps
score_function = z**2 * (z - mu) / sigma**2
reparameterized = 2 * z
agree_mean("score function: unbiased", score_function, 2 * mu)
agree_mean("reparameterized: unbiased", reparameterized, 2 * mu)
print(f"variance of one draw: {score_function.var():.1f} and {reparameterized.var():.2f}")

# %% [markdown]
r"""
Both are right on average. **Predict first:** now $\mathbf z$ has $d$ coordinates and $f(\mathbf z) = \sum_i z_i^2$.
What happens to the variance of the gradient with respect to *one* $\mu_i$, as $d$ grows?

<details><summary>Answer</summary>

Reparameterized: nothing, since $\partial f/\partial z_i = 2z_i$ knows only its own coordinate. Score function: it
multiplies the whole $f$ with that coordinate's noise. Every other coordinate adds to $f$, and so to the variance,
which grows like $d^2$ for large $d$. Subtracting the average of $f$, a *baseline*, changes nothing on average and
saves one power of $d$.

</details>
"""

# %%
dimensions = (1, 2, 4, 8, 16, 32, 64)
variances = {"score function": [], "with a baseline": [], "reparameterized": []}
for d in dimensions:
    eps = torch.randn(20_000, d, generator=rng)
    z = mu + sigma * eps
    f = (z**2).sum(1)
    variances["score function"].append((f * eps[:, 0] / sigma).var().item())
    variances["with a baseline"].append(((f - f.mean()) * eps[:, 0] / sigma).var().item())
    variances["reparameterized"].append((2 * z[:, 0]).var().item())

# %%
at_64 = {name: values[-1] for name, values in variances.items()}
print({name: f"{value:,.0f}" for name, value in at_64.items()})
assert at_64["score function"] > 1e4 * at_64["reparameterized"]
assert 100 < at_64["with a baseline"] / at_64["reparameterized"] < 1000

# %%
n, m, v = torch.tensor(dimensions) - 1.0, mu**2 + sigma**2, 2 * sigma**4 + 4 * mu**2 * sigma**2
own = mu**4 + 18 * mu**2 * sigma**2 + 15 * sigma**4
cross = (mu**2 + sigma**2) * (mu**2 + 3 * sigma**2)
formula = (own + 2 * n * cross + n * v + n**2 * m**2) / sigma**2 - 4 * mu**2
measured = torch.tensor(variances["score function"])
agree("score function: measured / formula", measured / formula, 1.0, atol=0.1)
flat = torch.tensor(variances["reparameterized"])
five_errors = 5 * 4 * sigma**2 * math.sqrt(2 / 20_000)
agree("reparameterized: variance 4σ², whatever d", flat, 4 * sigma**2, atol=five_errors)

# %% tags=["hide-input"]
ax = show.curves(dimensions, variances, "dimension of z", "variance of one draw", log="xy")
ax.set_xticks([1, 4, 16, 64], ["1", "4", "16", "64"])
show.title(ax, "In 64 dimensions: tens of thousands of times the draws")
show.figure(
    ax.figure,
    "Three lines on logarithmic axes over the dimension: the variance of the score-function "
    "gradient grows steeply, with a baseline less so, and that of the reparameterized one stays "
    "where it is.",
)

# %% [markdown]
r"""
> **On the slide.** Koirala prints the estimator $\hat L = \mathbb E_{\epsilon}[\dots]$ and calls it unbiased. With
> its expectation it is not an estimator but the quantity itself; one *draw*, without the $\mathbb E$, is the unbiased
> estimator.

## 7 · Tighter bounds

One draw of $z$ gives the ELBO on average. Use $k$ draws, and put the logarithm *outside* their average (Burda,
Grosse, Salakhutdinov, 2016):

$$ \mathcal L_k = \mathbb E_{z_1\dots z_k\sim q}\!\left[\log\frac1k\sum_{i=1}^k\frac{p(x,z_i)}{q(z_i)}\right],\qquad
   \text{ELBO} = \mathcal L_1\le\mathcal L_2\le\dots\le\log p(x) $$

The average inside gets closer to $p(x)$ as $k$ grows, and Jensen has less to take away. (Why it never falls: the
average of $k+1$ ratios is also the average over all ways to leave one out, and the logarithm of an average is at
least the average of the logarithms.) On the linear model, with the best diagonal $q$:
"""

# %%
mu, std_q = post_mean[:1], best_diagonal.diagonal().sqrt()
sizes, bounds, errors = (1, 3, 10, 30, 100, 300, 1000), [], []
for k in sizes:
    z = mu + std_q * torch.randn(2000, k, 2, generator=rng)
    log_ratio = (Normal(z @ W.T, s).log_prob(xs[0]).sum(-1) + Normal(0.0, 1.0).log_prob(z).sum(-1)
                 - Normal(mu, std_q).log_prob(z).sum(-1))  # fmt: skip
    drawn = log_ratio.logsumexp(1) - math.log(k)
    bounds.append(drawn.mean().item())
    errors.append(drawn.std().item() / math.sqrt(2000))

# %%
exact, first = evidence.log_prob(xs[0]).item(), gaussian_elbo(post_mean, best_diagonal)[0].item()
print([f"{k}: {exact - b:.4f} ± {e:.4f}" for k, b, e in zip(sizes, bounds, errors, strict=True)])
assert abs(bounds[0] - first) < 4 * errors[0], "k = 1 is the ELBO"
close = [b < exact + 4 * e for b, e in zip(bounds, errors, strict=True)]
assert all(close), "never above, up to chance"
assert exact - bounds[-1] < 0.05 * (exact - bounds[0])

# %% tags=["hide-input"]
fig, ax = plt.subplots(figsize=(8, 3.6))
ax.axhline(exact, **show.style("exact"))
ax.errorbar(
    sizes, bounds, yerr=[2 * e for e in errors], capsize=4, **show.style("learned", markers=True)
)
ax.set(xscale="log", xlabel="draws k", ylabel="nats")
ax.text(1.1, exact + 0.004, r"$\log\,p(x)$")
ax.text(3.6, bounds[1] - 0.01, r"$\mathcal{L}_k$", color=show.colour("learned"))
show.title(ax, "More draws, a tighter bound")
show.figure(
    fig,
    "A horizontal line, log p(x), and below it the bound, with bars of two standard errors, over "
    "the number of draws from 1 to 1,000: it climbs towards the line and touches it within its "
    "bars.",
)

# %% [markdown]
r"""
## Exercises

### Exercise 02.1 · The KL of two Gaussians (10 minutes)

`q` has the means `mu` and log-variances `logvar`, both (batch, d), and independent coordinates. Return
$D_{\mathrm{KL}}(q\,\Vert\,\mathcal N(\mathbf 0,\mathbf I))$, (batch,). This is the second term of every VAE's loss.
"""


# %%
def kl_from_standard(mu, logvar):
    # your code
    ...


check("02.1", kl_from_standard)

# %% [markdown]
r"""
### Exercise 02.2 · The ELBO as a sum (10 minutes)

$z$ has $k$ values. `q`, (k,), is a distribution over them, all above 0, and `log_joint`, (k,), holds $\log p(x,z)$.
Return the evidence lower bound.
"""


# %%
def discrete_elbo(q, log_joint):
    # your code
    ...


check("02.2", discrete_elbo)

# %% [markdown]
r"""
### Exercise 02.3 · The gap (10 minutes)

With the same arguments, return $\log p(x) - \text{ELBO}$ without computing the ELBO: as the divergence that it is.
"""


# %%
def gap_of(q, log_joint):
    # your code
    ...


check("02.3", gap_of)

# %% [markdown]
r"""
### Exercise 02.4 · Draw so that a gradient gets through (5 minutes)

Return samples of $\mathcal N(\mu,\sigma^2)$ made from the given standard normal `eps`, with $\log\sigma^2$ =
`logvar`. All three have the same shape, and the gradient must reach `mu` and `logvar`.
"""


# %%
def reparameterize(mu, logvar, eps):
    # your code
    ...


check("02.4", reparameterize)

# %% [markdown]
r"""
### Exercise 02.5 · The score-function estimator (15 minutes)

`z`, (n,), was drawn from $\mathcal N(\mu,\sigma^2)$; `f` holds the values $f(z)$, (n,). You can't differentiate $f$.
Return one estimate for each draw of the gradient of $\mathbb E[f(z)]$ with respect to **σ**, (n,).
"""


# %%
def gradient_for_sigma(z, f, mu, sigma):
    # your code
    ...


check("02.5", gradient_for_sigma)

# %% [markdown]
r"""
### Exercise 02.6 · The importance-weighted bound (15 minutes)

`log_ratio`, (batch, k), holds $\log p(x,z_i) - \log q(z_i)$ for $k$ draws of $z$ for each $x$. Return $\mathcal L_k$
of each $x$, (batch,). The logarithms can be as low as −2,000.
"""


# %%
def importance_weighted(log_ratio):
    # your code
    ...


check("02.6", importance_weighted)

# %% [markdown]
r"""
### Exercise 02.7 · The check that catches a wrong bound (15 minutes)

Somebody wrote a function `elbo(q, log_joint)` for exercise 02.2. Write the check: return `True` if it can be right
and `False` if it can't. You may call it with any `q` (all above 0) and `log_joint` you like. Two facts hold for every
right one: with the posterior as `q` it *equals* $\log p(x)$, and for any other `q` it lies below by *exactly* the gap
of exercise 02.3. One setting is not enough; try several.
"""


# %%
def is_an_elbo(elbo):
    # your code
    ...


check("02.7", is_an_elbo)

# %% [markdown]
r"""
## What to remember

1. $\log p(\mathbf x) = \text{ELBO}(q) + D_{\mathrm{KL}}\bigl(q(\mathbf z)\,\Vert\,p(\mathbf z\mid\mathbf x)\bigr)$,
   for every $q$.
2. $\text{ELBO} = \mathbb E_q[\log p(\mathbf x\mid\mathbf z)] - D_{\mathrm{KL}}\bigl(q(\mathbf z)\,\Vert\,p(\mathbf z)\bigr)$:
   explain the data, stay near the prior.
3. $\mathbf z = \boldsymbol\mu_\phi(\mathbf x) + \boldsymbol\sigma_\phi(\mathbf x)\,\boldsymbol\epsilon$: the draw
   that lets a gradient through.

Lesson 03 turns these three lines into a model of images: the variational autoencoder. Lesson 07 writes the same bound
for a chain of a thousand latent variables, where $q$ needs no network, since noising is *known and fixed*, as Das and
Varma put it.
"""
