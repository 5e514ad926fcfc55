# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
# ---

# %% [markdown]
r"""
# 07 · The DDPM loss, derived

**After this lesson you can**
- write the variational bound of a diffusion model, line by line, and say what each term costs;
- undo one noising step when $\mathbf x_0$ is known, by completing one square;
- turn the bound into the loss that everybody trains, $\|\boldsymbol\epsilon-\boldsymbol\epsilon_\theta\|^2$, and say what was dropped on the way;
- measure how many bits a trained model needs for an image, and what its network has learned.

**Before:** lessons 02, 03 and 06 (from 03 only the idea: an encoder, a decoder, an ELBO). **Time:** 120 minutes, and 105 more for
the seven exercises.
**Follows:** Koirala, "Reverse Trajectory" and "Training"; Velasco-Forero, "Variational Diffusion Models" and "Reverse
Diffusion"; Varma, lecture 19, "Reverse Denoising Process" to "DDPM Algorithm: Training"; the slides' "Model choices".
"""

# %%
import math

import matplotlib.pyplot as plt
import torch
from ipywidgets import FloatSlider, IntSlider

from course_lib import data, show
from course_lib.agree import agree, agree_mean
from course_lib.diffusion import (
    EPS, TARGETS, V, X0, Denoiser, NoiseSchedule, Oracle, best_variance, bound, bound_weight, discretized, fixed_variance, step_kl,
)
from course_lib.diffusion.variational import prior_term, step_term
from course_lib.exact import GaussianMixture
from course_lib.exercises import check, hint, solution
from course_lib.experiments import results
from course_lib.nets import MLP
from course_lib.training import load_trained

show.use_style()
rng = torch.Generator().manual_seed(7)

# %% [markdown]
r"""
## 1 · A very deep VAE whose encoder is fixed

A VAE has one latent variable. A **hierarchical** VAE has a chain of them, each made from the one before. Velasco-Forero writes
$\mathbf z_1, \dots, \mathbf z_T$ with

$$ p(\mathbf x, \mathbf z_{1:T}) = p(\mathbf z_T)\,p_\theta(\mathbf x\mid\mathbf z_1)\prod_{t=2}^T p_\theta(\mathbf z_{t-1}\mid\mathbf z_t),
\qquad q_\phi(\mathbf z_{1:T}\mid\mathbf x) = q_\phi(\mathbf z_1\mid\mathbf x)\prod_{t=2}^T q_\phi(\mathbf z_t\mid\mathbf z_{t-1}), $$

and the ELBO holds as ever, by Jensen: $\log p(\mathbf x) \ge \mathbb E_q[\log p(\mathbf x,\mathbf z_{1:T}) - \log q(\mathbf z_{1:T}\mid\mathbf x)]$.
A diffusion model is such a chain with three restrictions:

1. every latent has the dimension of the data, so we write $\mathbf x_0$ for $\mathbf x$ and $\mathbf x_t$ for $\mathbf z_t$;
2. the encoder is not learned: $q(\mathbf x_t\mid\mathbf x_{t-1})$ is lesson 06's Gaussian step;
3. at the end, $\mathbf x_T$ is nearly standard normal (the term $L_T$ below measures how nearly).

Only the decoder $p_\theta(\mathbf x_{t-1}\mid\mathbf x_t)$ is left to learn. We take the shortest chain in which everything happens, $T = 3$, on
a single pixel, so that an integral over *all* paths $(x_1, x_2, x_3)$ is a sum over a grid with a million points.
"""

# %%
T = 3
beta = torch.tensor([0.0, 0.3, 0.5, 0.7], dtype=torch.float64)
alpha_bar = (1 - beta).cumprod(0)


def log_normal(x, mean, variance):
    return -0.5 * ((x - mean) ** 2 / variance + torch.log(2 * math.pi * variance))


def log_q(x, before, t):
    """log q(x_t | x_{t-1}), the fixed encoder."""
    return log_normal(x, (1 - beta[t]).sqrt() * before, beta[t])


# %% [markdown]
r"""
And the decoder? The derivation has to hold for *any* one. So we take Gaussians with a mean that nobody has trained, and the slides'
variance $\sigma_t^2 = \beta_t$. Good it will not be.
"""


# %%
def log_p(x, after, t):
    """log p(x_{t-1} | x_t), an untrained decoder."""
    return log_normal(x, 0.8 * after + 0.2 * torch.sin(3 * after), beta[t])


def log_prior(x):
    return log_normal(x, torch.zeros_like(x), torch.ones_like(x))


grid = torch.linspace(-8, 8, 107, dtype=torch.float64)
dx = grid[1] - grid[0]
x1, x2, x3 = grid[:, None, None], grid[None, :, None], grid[None, None, :]
x0 = torch.tensor(0.6, dtype=torch.float64)

# %% [markdown]
r"""
What is the truth? The probability that the model gives to $x_0$ is an integral over all paths (Koirala's equation 6).
For images that is out of reach. For one pixel it is three sums: carry the density from $x_3$ down, one integral a step.
"""

# %%
density = log_prior(grid).exp()
for t in (3, 2):
    density = log_p(grid[:, None], grid, t).exp() @ density * dx
log_p_x0 = torch.log((log_p(x0, grid, 1).exp() * density).sum() * dx)
print(f"log p(x_0) = {log_p_x0:.4f} nats")

# %% [markdown]
r"""
## 2 · The bound, line by line

Now the board. `E` takes the expectation over all paths that the encoder may take from $x_0$. Each line below is checked against
the line before, and each is a new computation.
"""

# %%
log_q_path = log_q(x1, x0, 1) + log_q(x2, x1, 2) + log_q(x3, x2, 3)
log_p_path = log_prior(x3) + log_p(x2, x3, 3) + log_p(x1, x2, 2) + log_p(x0, x1, 1)
weight = log_q_path.exp() * dx**3


def E(f):
    return (weight * f).sum()


agree("the paths' probabilities add up to 1", E(1.0), 1.0, atol=1e-12)

# %% [markdown]
r"""
**Line 1.** A KL divergence is never negative, so adding one to $-\log p_\theta(x_0)$ gives an upper bound. **Line 2** writes the model's
posterior as $p_\theta(x_{1:T}\mid x_0) = p_\theta(x_{0:T})/p_\theta(x_0)$, and $\log p_\theta(x_0)$ cancels: what nobody can compute has gone.

$$ -\log p_\theta(x_0) \;\le\; -\log p_\theta(x_0) + D_{\mathrm{KL}}\bigl(q(x_{1:T}\mid x_0)\,\|\,p_\theta(x_{1:T}\mid x_0)\bigr)
 = \mathbb E_q\!\left[\log\frac{q(x_{1:T}\mid x_0)}{p_\theta(x_{0:T})}\right] $$
"""

# %%
log_posterior = log_p_path - log_p_x0
kl = E(log_q_path - log_posterior)
line_1 = -log_p_x0 + kl
line_2 = E(log_q_path - log_p_path)

agree("p(x_1, x_2, x_3 | x_0) integrates to 1", log_posterior.exp().sum() * dx**3, 1.0, atol=1e-9)
agree("line 1 = line 2", line_1, line_2, atol=1e-9)
print(f"-log p = {-log_p_x0:.4f} ≤ {line_2:.4f} = the bound: the gap {kl:.4f} is the KL of the encoder to the model's posterior")
assert line_2 > -log_p_x0

# %% [markdown]
r"""
> **On the slide.** Varma prints $E_q\,\frac{\log q(X_{1:T}\mid X_0)}{p_\theta(X_{0:T})}$, where the logarithm covers only the numerator. Read like that
> the expectation does not even exist: it grows without end with the part of the line that one integrates over.
"""

# %%
for half in (4, 6, 8):
    inside = (x1.abs() < half) & (x2.abs() < half) & (x3.abs() < half)
    print(f"paths within ±{half}: log of the quotient {E(inside * (log_q_path - log_p_path)):.4f},  as printed {E(inside * log_q_path / log_p_path.exp()):.1e}")

# %% [markdown]
r"""
**Line 3.** Both chains are products, so the logarithm is a sum over steps:

$$ \mathbb E_q\Bigl[-\log p(x_T) + \sum_{t=1}^T \log\frac{q(x_t\mid x_{t-1})}{p_\theta(x_{t-1}\mid x_t)}\Bigr] $$

This could be trained already. But a term compares a step *forward* with a step *backward*, two densities of different variables: it is
no KL divergence, and nothing in it can be integrated beforehand.
**Line 4** turns the encoder's steps around. By Bayes, with everything conditioned on $x_0$ as well,

$$ q(x_t\mid x_{t-1}) = q(x_t\mid x_{t-1}, x_0) = \frac{q(x_{t-1}\mid x_t, x_0)\;q(x_t\mid x_0)}{q(x_{t-1}\mid x_0)} \qquad (t \ge 2). $$

The first equality is the Markov property: who knows $x_{t-1}$ learns nothing from $x_0$. That is why conditioning on it is free. So line 4 is

$$ \mathbb E_q\Bigl[-\log p(x_T) + \sum_{t=2}^T \log\frac{q(x_{t-1}\mid x_t,x_0)}{p_\theta(x_{t-1}\mid x_t)} + \sum_{t=2}^T\log\frac{q(x_t\mid x_0)}{q(x_{t-1}\mid x_0)} + \log\frac{q(x_1\mid x_0)}{p_\theta(x_0\mid x_1)}\Bigr] $$
"""


# %%
def log_kernel(x, t):
    """log q(x_t | x_0), lesson 06's jump."""
    return log_normal(x, alpha_bar[t].sqrt() * x0, 1 - alpha_bar[t])


def log_reverse(x, after, t):
    """log q(x_{t-1} | x_t, x_0), by Bayes."""
    return log_q(after, x, t) + log_kernel(x, t - 1) - log_kernel(after, t)


for t in (2, 3):
    total = log_reverse(grid[:, None], grid[20:-20], t).exp().sum(0) * dx
    agree(f"q(x_{t - 1} | x_{t}, x_0) integrates to 1, for each x_{t}", total, torch.ones_like(total), atol=1e-9)

# %%
line_3 = E(-log_prior(x3) + (log_q(x1, x0, 1) - log_p(x0, x1, 1)) + (log_q(x2, x1, 2) - log_p(x1, x2, 2)) + (log_q(x3, x2, 3) - log_p(x2, x3, 3)))
agree("line 2 = line 3", line_2, line_3, atol=1e-9)

backward = (log_reverse(x1, x2, 2) - log_p(x1, x2, 2)) + (log_reverse(x2, x3, 3) - log_p(x2, x3, 3))
telescope = (log_kernel(x2, 2) - log_kernel(x1, 1)) + (log_kernel(x3, 3) - log_kernel(x2, 2))
line_4 = E(-log_prior(x3) + backward + telescope + log_q(x1, x0, 1) - log_p(x0, x1, 1))
agree("line 3 = line 4", line_3, line_4, atol=1e-9)

# %% [markdown]
r"""
**Line 5.** In the second sum every term but the first and the last appears twice, with both signs. What is left is
$\log q(x_T\mid x_0) - \log q(x_1\mid x_0)$, and $q(x_1\mid x_0)$ cancels against the first step:

$$ \mathbb E_q\Bigl[\log\frac{q(x_T\mid x_0)}{p(x_T)} + \sum_{t=2}^T\log\frac{q(x_{t-1}\mid x_t,x_0)}{p_\theta(x_{t-1}\mid x_t)} - \log p_\theta(x_0\mid x_1)\Bigr] $$
"""

# %%
line_5 = E(log_kernel(x3, 3) - log_prior(x3) + backward - log_p(x0, x1, 1))
agree("line 4 = line 5", line_4, line_5, atol=1e-9)

# %% [markdown]
r"""
**Line 6.** Now each logarithm compares two densities of the *same* variable, and its expectation is a KL divergence (Varma's
$L_T + L_{T-1} + \dots + L_0$):

$$ \underbrace{D_{\mathrm{KL}}\bigl(q(x_T\mid x_0)\,\|\,p(x_T)\bigr)}_{L_T}
 + \sum_{t=2}^T \underbrace{\mathbb E_{q(x_t\mid x_0)}\,D_{\mathrm{KL}}\bigl(q(x_{t-1}\mid x_t,x_0)\,\|\,p_\theta(x_{t-1}\mid x_t)\bigr)}_{L_{t-1}}
 \;\underbrace{-\,\mathbb E_{q(x_1\mid x_0)}\log p_\theta(x_0\mid x_1)}_{L_0} $$

No paths are needed any more: $L_{t-1}$ wants only $x_t$, and lesson 06 jumps there at once.
"""


# %%
def kl_to_model(t):
    """KL(q(x_{t-1} | x_t, x_0) | p(x_{t-1} | x_t)) for each x_t of the grid, by quadrature."""
    log_r = log_reverse(grid[:, None], grid, t)
    return (log_r.exp() * (log_r - log_p(grid[:, None], grid, t))).sum(0) * dx


def over_kernel(f, t):
    return (log_kernel(grid, t).exp() * f).sum() * dx


L_T = over_kernel(log_kernel(grid, 3) - log_prior(grid), 3)
L_2, L_1 = over_kernel(kl_to_model(3), 3), over_kernel(kl_to_model(2), 2)
L_0 = over_kernel(-log_p(x0, grid, 1), 1)
line_6 = L_T + L_2 + L_1 + L_0
agree("line 5 = line 6", line_5, line_6, atol=1e-9)
print(f"L_3 {L_T:.4f} + L_2 {L_2:.4f} + L_1 {L_1:.4f} + L_0 {L_0:.4f} = {line_6:.4f}")

# %% [markdown]
r"""
> **On the slide.** Koirala drops $L_T$ here, because it has "no learnable parameter", and keeps the sign $-\log p_\theta(x_0)\le$. For a
> *loss* that is fine. For a *bound* it is not: a better decoder than ours would come below the truth. The notes' last line also has
> no expectation left in front of the sum, though each KL depends on $x_t$, which is random, and $p_\theta(x_{0:1:T})$ stands for $p_\theta(x_{0:T})$.
> A decoder for which the difference matters is the exact one of $x_0\sim\mathcal N(0,1)$, where the bound is tight:

"""

# %%
reverse = sum(log_normal(x, (1 - beta[t]).sqrt() * after, beta[t]) for t, x, after in ((1, x0, x1), (2, x1, x2), (3, x2, x3)))
tight = E(log_q_path - log_prior(x3) - reverse)
agree("N(0, 1) and its exact decoder: bound = truth", tight, -log_prior(x0), atol=1e-9)
print(f"without L_T: {tight - L_T:.4f}, below the truth {-log_prior(x0):.4f}")
agree("L_T by quadrature = course_lib's prior_term", prior_term(NoiseSchedule(beta[1:]), x0[None, None]), L_T[None], atol=1e-9)

# %% [markdown]
r"""
> **On the slide.** Varma defines $L_t = D_{\mathrm{KL}}[q(X_t\mid X_{t+1},X_0)\,\|\,p_\theta(X_t\mid X_{t+1})]$ for $1\le t\le T-1$, but on the next slide, "Critical Formula",
> $L_t$ is the squared error at $X_t$, which belongs to $L_{t-1}$. Our $L_{t-1}$ is the term that looks at $x_t$.

Velasco-Forero stops earlier, at a form that does *not* use the double conditioning that its slide announces. As printed:

$$ \mathbb E\log p_\theta(x_0\mid x_1) - \mathbb E\log\frac{p(x_T)}{q(x_T\mid x_{T-1})} + \sum_{t=1}^{T}\mathbb E\log\frac{p_\theta(x_t\mid x_{t+1})}{q(x_t\mid x_{t-1})} $$

Check it as a lower bound on $\log p$, that is as minus line 2 (with the sum up to $T-1$, since there is no $x_{T+1}$).
"""

# %%
reconstruction = E(log_p(x0, x1, 1))
prior_matching = E(log_prior(x3) - log_q(x3, x2, 3))
consistency = E(log_p(x1, x2, 2) - log_q(x1, x0, 1) + log_p(x2, x3, 3) - log_q(x2, x1, 2))
print(f"as printed {reconstruction - prior_matching + consistency:.4f}, with a plus {reconstruction + prior_matching + consistency:.4f}")
print(f"minus the bound {-line_2:.4f}, log p(x_0) {log_p_x0:.4f}")
agree("with a plus, it is minus line 2", reconstruction + prior_matching + consistency, -line_2, atol=1e-9)
assert reconstruction - prior_matching + consistency > log_p_x0

# %% [markdown]
r"""
> **On the slide.** The prior-matching term has the wrong sign: as printed the "lower bound" lies above the truth. And the brace
> "KL ≥ 0" under a consistency term is not true. To be a KL divergence it would need $x_t\sim q(x_t\mid x_{t-1})$ drawn independently of
> $x_{t+1}$, but $x_{t+1}$ is made from $x_t$: read the term as one expectation over $(x_{t-1},x_t,x_{t+1})$ together. Then it may well be
> negative. Say the data are a single value, the decoder is perfect, and $\beta$ is 0.3 at each step:
"""

# %%
b, n = torch.tensor(0.3, dtype=torch.float64), 200_000
z1, z2 = torch.randn(2, n, generator=rng, dtype=torch.float64)
first = (1 - b).sqrt() * x0 + b.sqrt() * z1
second = (1 - b).sqrt() * first + b.sqrt() * z2
known = b * b / (1 - (1 - b) ** 2)  # the variance of q(x_1 | x_2, x_0); section 3 derives it
mean = (1 - b).sqrt() * (x0 * b + second * b) / (1 - (1 - b) ** 2)
term = log_normal(first, (1 - b).sqrt() * x0, b) - log_normal(first, mean, known)
agree_mean("E log q(x_1 | x_0) / p(x_1 | x_2), a 'KL' below 0", term, 0.5 * (known / b).log())
assert term.mean() < 0

# %% [markdown]
r"""
### Why condition twice? Because of the variance

Training estimates the bound from one random $t$ and one random path. So what matters is not only that the lines have the same
mean, but how far a *single sample* of a term lies from it. Take a chain of 100 steps and a decoder with the best mean there is (from the exact
$\mathbb E[x_0\mid x_t]$ of a mixture of three Gaussians), and draw each kind of term 20,000 times.
"""

# %%
pixels = GaussianMixture([[-1.0], [0.1], [1.0]], cov=torch.tensor([0.02, 0.05, 0.03]), weight=torch.tensor([0.4, 0.35, 0.25]))
chain = NoiseSchedule.linear(100, 1e-3, 0.1)
exact = Oracle(pixels, chain)


def reverse_mean(denoiser, x_t, t):
    """The mean of p(x_{t-1} | x_t): q's, with the guessed x_0 in the place of x_0."""
    return denoiser.schedule.posterior(denoiser.predict(x_t, t)[0], x_t, t)[0]


# %%
def draw_terms(t, n=20_000):
    """Samples of one term at t: Velasco-Forero's, line 3's, line 5's, and line 6's closed form."""
    x_0, b = pixels.sample(n, rng), chain.beta
    z = torch.randn(3, n, 1, generator=rng, dtype=torch.float64)
    before = chain.q_sample(x_0, t - 1, z[0])
    x_t = (1 - b[t]).sqrt() * before + b[t].sqrt() * z[1]
    after = (1 - b[t + 1]).sqrt() * x_t + b[t + 1].sqrt() * z[2]
    step = log_normal(x_t, (1 - b[t]).sqrt() * before, b[t])
    model = log_normal(before, reverse_mean(exact, x_t, t), b[t])
    consistency = step - log_normal(x_t, reverse_mean(exact, after, t + 1), b[t + 1])
    both_backward = log_normal(before, *chain.posterior(x_0, x_t, t)) - model
    square = ((x_0 - exact.predict(x_t, t)[0]) ** 2)[:, 0]
    closed = step_kl(chain, torch.full((n,), t), square, 1, b)
    return consistency[:, 0], (step - model)[:, 0], both_backward[:, 0], closed


# %%
names = ("consistency form", "line 3", "line 5: conditioned twice", "line 6: and its KL in closed form")
spreads = {name: [] for name in names}
times = [2, 5, 10, 20, 35, 50, 70, 99]
for t in times:
    for values, term in zip(spreads.values(), draw_terms(t), strict=True):
        values.append(term.std().item())

ax = show.curves(times, spreads, "t", "std of one sample, nats", log="xy")
ax.set_ylim(1e-4, 20)
ax.legend(ncols=2, fontsize=11, loc="upper center")
show.figure(
    ax.figure,
    "Standard deviation of one sampled term of the bound over t, logarithmic: the consistency form stays at 1 nat, line 3 near "
    "0.25, line 5 falls from 0.8 to 0.02, and the closed-form KL of line 6 falls from 0.4 to 0.0002.",
)

# %%
for t in (2, 10, 50):
    terms = draw_terms(t)
    agree_mean(f"t = {t}: conditioned twice = its KL, in the mean", terms[2] - terms[3], 0.0)
    telescoped = 0.5 * ((1 - chain.alpha_bar[t - 1]) / (1 - chain.alpha_bar[t])).log()
    agree_mean(f"t = {t}: line 3 − line 5 = what telescopes, in the mean", terms[1] - terms[2], telescoped)
for name, term in zip(names, terms, strict=True):
    print(f"{name:34} std {term.std():.4f}: {(term.std() / terms[3].std()) ** 2:8,.0f} times the samples of line 6")
assert terms[0].std() > 3 * terms[2].std() > 9 * terms[3].std()

# %% [markdown]
r"""
Read it with care. The closed form is the best from $t = 5$ on, and by far for large $t$. The consistency form depends on three neighbours and is as random at $t = 99$ as
at $t = 2$. But line 5 alone is *not* better than line 3 before $t\approx 35$: conditioning by itself buys little.

For training it buys nothing at all: $\theta$ stands in $-\log p_\theta(x_{t-1}\mid x_t)$ only, in all of these lines, so their gradients are the same, sample by sample,
$(\mu_\theta - x_{t-1})/\beta_t$ by $\mu_\theta$. What the conditioning makes *possible* is to integrate over $x_{t-1}$: it turns this into $(\mu_\theta-\tilde\mu_t)/\beta_t$, and a variance of $\tilde\beta_t$
is gone. That is the truth behind Koirala's "conditioning on $x_0$ to avoid high variance":
"""

# %%
for t in (2, 50, 99):
    x_0, z = pixels.sample(50_000, rng), torch.randn(2, 50_000, 1, generator=rng, dtype=torch.float64)
    before = chain.q_sample(x_0, t - 1, z[0])
    x_t = (1 - chain.beta[t]).sqrt() * before + chain.beta[t].sqrt() * z[1]
    mu, (mu_tilde, beta_tilde) = reverse_mean(exact, x_t, t), chain.posterior(x_0, x_t, t)
    sampled, integrated = (mu - before)[:, 0], (mu - mu_tilde)[:, 0]
    agree_mean(f"t = {t}: E(μ − x_(t−1))² = β̃ + E(μ − μ̃)²", sampled**2 - integrated**2, beta_tilde.flatten()[0])
    print(f"   the gradient's variance is {sampled.var() / integrated.var():,.1f} times smaller with the KL in closed form")

# %% [markdown]
r"""
## 3 · Undo one step when $\mathbf x_0$ is known

What is $q(x_{t-1}\mid x_t,x_0)$? Line 4 has it as a product of Gaussians, so its logarithm is a quadratic in $x_{t-1}$. Collect the squares
(everything without $x_{t-1}$ goes into the constant):

$$
-\tfrac12\left[\frac{(x_t-\sqrt{\alpha_t}\,x_{t-1})^2}{\beta_t} + \frac{(x_{t-1}-\sqrt{\bar\alpha_{t-1}}\,x_0)^2}{1-\bar\alpha_{t-1}}\right] + \dots
= -\tfrac12\left[\Bigl(\underbrace{\tfrac{\alpha_t}{\beta_t}+\tfrac{1}{1-\bar\alpha_{t-1}}}_{1/\tilde\beta_t}\Bigr)x_{t-1}^2
 - 2\Bigl(\underbrace{\tfrac{\sqrt{\alpha_t}}{\beta_t}x_t+\tfrac{\sqrt{\bar\alpha_{t-1}}}{1-\bar\alpha_{t-1}}x_0}_{\tilde\mu_t/\tilde\beta_t}\Bigr)x_{t-1}\right] + \dots
$$

A quadratic $-\tfrac12(a\,x^2 - 2b\,x)$ is a Gaussian of variance $1/a$ and mean $b/a$. With
$\alpha_t(1-\bar\alpha_{t-1}) + \beta_t = 1-\bar\alpha_t$ the fractions become

$$ \tilde\beta_t = \frac{1-\bar\alpha_{t-1}}{1-\bar\alpha_t}\,\beta_t, \qquad
\tilde\mu_t(x_t,x_0) = \frac{\sqrt{\bar\alpha_{t-1}}\,\beta_t}{1-\bar\alpha_t}\,x_0 + \frac{\sqrt{\alpha_t}\,(1-\bar\alpha_{t-1})}{1-\bar\alpha_t}\,x_t. $$
"""


# %%
def posterior(x_t, x0, t, beta, alpha_bar):
    precision = (1 - beta[t]) / beta[t] + 1 / (1 - alpha_bar[t - 1])
    pull = (1 - beta[t]).sqrt() / beta[t] * x_t + alpha_bar[t - 1].sqrt() / (1 - alpha_bar[t - 1]) * x0
    return pull / precision, 1 / precision


for t in (2, 3):
    mu, variance = posterior(grid, x0, t, beta, alpha_bar)
    gap = log_reverse(grid[:, None], grid, t) - log_normal(grid[:, None], mu, variance)
    agree(f"the square = Bayes on the grid, t = {t}, log density", gap, torch.zeros_like(gap), atol=1e-9)

# %%
schedule = NoiseSchedule.linear()
x_t = torch.linspace(-2, 2, 9, dtype=torch.float64)
half = torch.full_like(x_t, 0.5)
for t in (2, 500, 1000):
    mine, theirs = posterior(x_t, half, t, schedule.beta, schedule.alpha_bar), schedule.posterior(half, x_t, t)
    agree(f"t = {t}: mean by hand = course_lib's, as on the slides", mine[0], theirs[0], atol=1e-12)
    agree(f"t = {t}: variance", mine[1], theirs[1], atol=1e-12)

# %% [markdown]
r"""
> **On the slide.** Velasco-Forero prints the variance upside down, $(1-\alpha_t)(1-\bar\alpha_t)/(1-\bar\alpha_{t-1})$; his next formula has it right.
> Upside down it is *larger* than $\beta_t$, the noise of the step itself. On the chain of section 1, at $t = 2$:
"""

# %%
t = 2
right = (1 - alpha_bar[1]) / (1 - alpha_bar[2]) * beta[2]
printed = (1 - alpha_bar[2]) / (1 - alpha_bar[1]) * beta[2]
mass = log_reverse(grid, grid[60], t).exp() * dx
measured = (mass * grid**2).sum() - (mass * grid).sum() ** 2
print(f"β_2 = {beta[2]}; variance of q(x_1 | x_2, x_0): on the grid {measured:.4f}, formula {right:.4f}, as printed {printed:.4f}")
agree("measured = formula", measured, right, atol=1e-9)

# %% [markdown]
r"""
**The single pixel.** Velasco-Forero's example: a pixel has the current value $x_t$, the target is $x_0$, the model predicts $\hat x_0$. Put both
into $\tilde\mu_t$, and you get two means: where the step should go, and where it goes.

**Predict first.** The prediction is 0.6 off. Is the step's mean 0.6 off, more, or less?

<details><summary>Answer</summary>

Much less while $t$ is large: the two means differ by $\frac{\sqrt{\bar\alpha_{t-1}}\beta_t}{1-\bar\alpha_t}\cdot 0.6$, and each step goes only a small part of the
way. The next network call sees the result and can do better. That is how many small steps forgive mistakes. At $t = 1$ the factor is
1, and the last guess counts in full.

</details>
"""

# %%
few = NoiseSchedule.linear(20, 0.02, 0.4)
line = torch.linspace(-2.2, 2.2, 600, dtype=torch.float64)


def single_pixel(x_t, x0, x0_hat, t):
    fig, ax = plt.subplots(figsize=(8, 3.6))
    current = torch.tensor([x_t], dtype=torch.float64)
    means = []
    for target, name, colour, dash in ((x0, "q: where it should go", "blue", "-"), (x0_hat, "p: where it goes", "red", "--")):
        mu, variance = few.posterior(torch.full_like(current, target), current, t)
        ax.plot(line, log_normal(line, mu, variance).exp(), dash, color=show.COLOURS[colour], label=name)
        ax.axvline(mu.item(), color=show.COLOURS[colour], linestyle=dash, linewidth=1)
        means.append(mu)
    for value, name in ((x_t, "$x_t$"), (x0, "$x_0$"), (x0_hat, r"$\hat x_0$")):
        ax.plot(value, 0, "k^", markersize=9)
        ax.annotate(name, (value, 0), (0, -21), textcoords="offset points", ha="center", fontsize=14)
    kl = ((means[0] - means[1]) ** 2 / (2 * variance)).item()
    ax.set(xlabel="value of the pixel at t − 1", yticks=[], ylim=(-0.2 * ax.get_ylim()[1], None))
    ax.set_title(f"t = {t}: the means differ by {(means[0] - means[1]).abs().item():.3f}, KL {kl:.3f} nats")
    ax.legend(loc="upper left")
    return fig


show.widget(
    single_pixel,
    "Two bell curves of the same width over the value of a pixel: where the step should go, given the target, and where it goes, "
    "given the prediction; below them the current value, the target and the prediction.",
    x_t=FloatSlider(value=-1.0, min=-2, max=2, step=0.1, description="current value x_t"),
    x0=FloatSlider(value=0.8, min=-1, max=1, step=0.1, description="target x_0"),
    x0_hat=FloatSlider(value=0.2, min=-1, max=1, step=0.1, description="prediction"),
    t=IntSlider(value=5, min=2, max=20, description="t"),
)

# %% [markdown]
r"""
### Exercise 07.1 · The KL of two Gaussians (5 minutes)

Return $D_{\mathrm{KL}}(\mathcal N(m_1,v_1)\,\|\,\mathcal N(m_2,v_2))$ in nats, entry by entry; all four are tensors of
one shape, and `v1` and `v2` are variances.
"""


# %%
def kl(m1, v1, m2, v2):
    # your code
    ...


check("07.1", kl)

# %% [markdown]
r"""
### Exercise 07.2 · Undo one step, x_0 known (15 minutes)

From the tables `beta` and `alpha_bar` alone (both have $T+1$ entries, `alpha_bar[0]` is 1): return $\tilde\mu_t$ and $\tilde\beta_t$, the mean
and the variance of $q(x_{t-1}\mid x_t,x_0)$. Section 3's `posterior` divides by $1-\bar\alpha_{t-1}$, which is 0 at $t = 1$. Yours should not.
"""


# %%
def undo_one_step(x_t, x0, t, beta, alpha_bar):
    # your code
    ...


check("07.2", undo_one_step)

# %% [markdown]
r"""
## 4 · From the KL to a squared error

Both densities in $L_{t-1}$ are Gaussians of a *fixed* variance, $\tilde\beta_t$ and $\sigma_t^2$. So of their KL only the distance of the
means depends on the network ($d$ is the number of pixels):

$$ D_{\mathrm{KL}} = \underbrace{\frac{1}{2\sigma_t^2}\bigl\|\tilde{\boldsymbol\mu}_t-\boldsymbol\mu_\theta\bigr\|^2}_{\text{the } \mu\text{-loss}}
 + \underbrace{\frac d2\Bigl(\frac{\tilde\beta_t}{\sigma_t^2} - 1 - \log\frac{\tilde\beta_t}{\sigma_t^2}\Bigr)}_{\text{a constant that the slides drop}} $$

Check it against a KL that somebody else wrote, for two steps of DDPM's schedule and 64 pixels.
"""

# %%
d = 64
image, eps, eps_theta = torch.randn(3, d, generator=rng, dtype=torch.float64)
normal = torch.distributions.Normal
for t in (2, 300):
    x_t = schedule.q_sample(image, t, eps)
    mu_tilde, beta_tilde = schedule.posterior(image, x_t, t)
    mu_theta, sigma2 = mu_tilde + 0.01 * eps_theta, schedule.beta[t]
    mu_loss = ((mu_tilde - mu_theta) ** 2).sum() / (2 * sigma2)
    constant = d / 2 * (beta_tilde / sigma2 - 1 - (beta_tilde / sigma2).log())
    theirs = torch.distributions.kl_divergence(normal(mu_tilde, beta_tilde.sqrt()), normal(mu_theta, sigma2.sqrt()))
    agree(f"t = {t}: μ-loss + constant = PyTorch's KL", mu_loss + constant, theirs.sum(), atol=1e-9)
    print(f"   μ-loss {mu_loss:.5f} + constant {constant:.5f} nats")

# %% [markdown]
r"""
> **On the slide.** Varma's $L_t$ *is* the μ-loss. For $\sigma_t^2 = \beta_t$ the constant is missing, and at $t = 2$ it is 7.8 nats for these 64
> pixels. His weight has $\|\Sigma_\theta\|_2^2$ in the denominator, where the variance $\sigma_t^2$ belongs, not its
> square (his slide "Training Objective Weighing" has it right). With the other choice, $\sigma_t^2=\tilde\beta_t$, the constant is 0; but at $t = 1$ one divides
> by $\tilde\beta_1 = 0$. That step is $L_0$, and wants a decoder of its own (section 8).

> **On the slide.** "The neural network learns the mean *and the variance* of this backwards process", and a few slides later
> $\Sigma_\theta = \sigma_t^2\mathbb I$ with $\sigma_t^2=\beta_t$: a fixed variance. Both exist. Section 9 learns one.

**From $\boldsymbol\mu$ to $\boldsymbol\epsilon$.** The network might predict $\boldsymbol\mu$. But it knows $\mathbf x_t$; all that it doesn't know is *which
part of $\mathbf x_t$ is noise*. So let it answer $\boldsymbol\epsilon_\theta(\mathbf x_t,t)$, and *define* $\boldsymbol\mu_\theta$ by the formula that $\tilde{\boldsymbol\mu}_t$ obeys. Insert $\mathbf x_0 = (\mathbf x_t - \sqrt{1-\bar\alpha_t}\,\boldsymbol\epsilon)/\sqrt{\bar\alpha_t}$ into $\tilde{\boldsymbol\mu}_t$:

$$ \tilde{\boldsymbol\mu}_t = \frac{1}{\sqrt{\alpha_t}}\Bigl(\mathbf x_t - \frac{\beta_t}{\sqrt{1-\bar\alpha_t}}\,\boldsymbol\epsilon\Bigr),
\qquad
\frac{1}{2\sigma_t^2}\|\tilde{\boldsymbol\mu}_t-\boldsymbol\mu_\theta\|^2 = \underbrace{\frac{\beta_t^2}{2\sigma_t^2\,\alpha_t\,(1-\bar\alpha_t)}}_{\lambda_t}\,\|\boldsymbol\epsilon-\boldsymbol\epsilon_\theta\|^2 $$
"""

# %%
for t in (1, 300, 1000):
    b, a, ab = schedule.beta[t], schedule.alpha[t], schedule.alpha_bar[t]
    x_t = schedule.q_sample(image, t, eps)
    mu_from_eps = (x_t - b / (1 - ab).sqrt() * eps) / a.sqrt()
    agree(f"t = {t}: μ̃ from ε = the completed square's", mu_from_eps, schedule.posterior(image, x_t, t)[0], atol=1e-9)
    mu_theta = (x_t - b / (1 - ab).sqrt() * eps_theta) / a.sqrt()
    mu_loss = ((mu_from_eps - mu_theta) ** 2).sum() / (2 * b)
    lambda_t = b**2 / (2 * b * a * (1 - ab))
    agree(f"t = {t}: μ-loss = λ_t times the ε-loss", mu_loss, lambda_t * ((eps - eps_theta) ** 2).sum(), atol=1e-9)
    agree(f"t = {t}: this λ_t = course_lib's", lambda_t, bound_weight(schedule, EPS)[t], atol=1e-12)

# %% [markdown]
r"""
### Exercise 07.3 · The mean from the noise (10 minutes)

Return $\boldsymbol\mu_\theta(\mathbf x_t, t)$ for a predicted noise `eps_hat`.
"""


# %%
def mean_from_eps(x_t, eps_hat, t, beta, alpha_bar):
    # your code
    ...


check("07.3", mean_from_eps)

# %% [markdown]
r"""
## 5 · Three targets, one loss; and the weight that DDPM throws away

A network could as well predict $\mathbf x_0$, or Salimans and Ho's $\mathbf v = \sqrt{\bar\alpha_t}\,\boldsymbol\epsilon - \sqrt{1-\bar\alpha_t}\,\mathbf x_0$. Every such
target is $\mathbf y = c\,\mathbf x_0 + d\,\boldsymbol\epsilon$, and with $\mathbf x_t$ beside it two equations give both unknowns (`course_lib.diffusion.solve`). So the
three say the same, and their squared errors differ by a factor that depends on $t$ alone:
"""

# %%
t = torch.tensor([400])
signal, noise = schedule.signal(t), schedule.noise(t)
x_t = signal * image + noise * eps
x0_theta = (x_t - noise * eps_theta) / signal
answers = {"eps": eps_theta, "x0": x0_theta, "v": signal * eps_theta - noise * x0_theta}

terms = []
for name, target in TARGETS.items():
    square = ((answers[name] - target.of(image, eps, signal, noise)) ** 2).sum()
    lambda_t = bound_weight(schedule, target)[400]
    terms.append(lambda_t * square)
    print(f"{name:3} squared error {square:9.3f} · λ_t {lambda_t:.6f} = {terms[-1]:.5f} nats")
agree("three targets, one term of the bound", torch.stack(terms), terms[0].expand(3), atol=1e-9)

# %%
t = torch.arange(1, 1001)
lines = {name: bound_weight(schedule, target)[1:] for name, target in (("of ε", EPS), ("of x0", X0), ("of v", V))}
ax = show.curves(t, lines, "t", r"$\lambda_t$ of the bound", log="y")
ax.axhline(1, color=show.COLOURS["grey"], linewidth=1.2)
ax.annotate("DDPM: 1 for all t, for ε", (500, 1.4), color="#555555")
show.figure(
    ax.figure,
    "The bound's weight of the squared error over t, logarithmic, for three targets: for the noise it falls from 0.5 to "
    "0.005 at t = 300 and rises to 0.01, for x0 it falls from thousands to less than a millionth, and for v it follows eps at first and x0 at last.",
)

# %% [markdown]
r"""
**Predict first.** Ho et al. set $\lambda_t = 1$ for the ε-loss and call it $L_{\text{simple}}$. Compared with the bound, does that make the network care
*more* about very noisy images, or about almost clean ones?

<details><summary>Answer</summary>

More about the noisy ones. The bound's $\lambda_t$ is fifty times larger at $t = 2$ than at $t = 300$: a likelihood pays for every
bit, and most bits of an image are its finest details, which are decided at small $t$. Equal weights move the network's effort
to larger $t$, where shapes are decided.

</details>

$$ L_{\text{simple}} = \mathbb E_{\mathbf x_0,\,\boldsymbol\epsilon,\,t\sim\mathcal U(1,T)}\bigl\|\boldsymbol\epsilon-\boldsymbol\epsilon_\theta\bigl(\sqrt{\bar\alpha_t}\,\mathbf x_0+\sqrt{1-\bar\alpha_t}\,\boldsymbol\epsilon,\ t\bigr)\bigr\|^2 $$

### Exercise 07.4 · Write the loss (15 minutes)

`x0` and `eps` are $(n, 1, 8, 8)$, `t` holds $n$ whole times, one for each image. Return $L_{\text{simple}}$: the mean of the squared error over all
entries. `net(x_t, t)` answers in $\mathbf x_t$'s shape.
"""


# %%
def ddpm_loss(net, x0, t, eps, alpha_bar):
    # your code
    ...


check("07.4", ddpm_loss)

# %% [markdown]
r"""
### Exercise 07.5 · What the loss weighs (15 minutes)

Return $\lambda_t$, the factor of $\|\boldsymbol\epsilon-\boldsymbol\epsilon_\theta\|^2$ in the bound, for a reverse step of variance `sigma2`.
"""


# %%
def eps_weight(t, beta, alpha_bar, sigma2):
    # your code
    ...


check("07.5", eps_weight)

# %% [markdown]
r"""
## 6 · Algorithm 1

What is left of the bound fits on one slide. On the left Ho et al.'s Algorithm 1, on the right the loop below. (The mean over entries instead of the sum is a matter of
the learning rate.)

| Algorithm 1 | in code |
|---|---|
| 1: **repeat** | `for step in range(1, 3001):` |
| 2: $\mathbf x_0\sim q(\mathbf x_0)$ | `x_0 = arms.sample(256, rng).float()` |
| 3: $t\sim\mathrm{Uniform}(\{1,\dots,T\})$ | `t = torch.randint(1, T + 1, (256,), generator=rng)` |
| 4: $\boldsymbol\epsilon\sim\mathcal N(\mathbf 0,\mathbf I)$ | `eps = torch.randn(x_0.shape, generator=rng)` |
| 5: gradient step on $\nabla_\theta\Vert\boldsymbol\epsilon-\boldsymbol\epsilon_\theta(\sqrt{\bar\alpha_t}\mathbf x_0+\sqrt{1-\bar\alpha_t}\boldsymbol\epsilon, t)\Vert^2$ | `loss = (eps - net(x_t, t)).square().mean()`, with `x_t` made one line before, and three lines of PyTorch |
| 6: **until** converged | |

The data are lesson 06's three arms in the plane, because there the right answer is known. The network is a small MLP that sees
$\mathbf x_t$ and $t$. (Line 3 of the slide counts from 1, and so do we: the network never sees $t = 0$.)
"""

# %%
arms = GaussianMixture(
    mean=[[-1.3, -0.9], [1.2, -1.0], [0.1, 1.3]],
    cov=torch.tensor([[[0.20, 0.15], [0.15, 0.16]], [[0.03, 0.0], [0.0, 0.20]], [[0.30, -0.02], [-0.02, 0.02]]]),
    weight=torch.tensor([0.4, 0.25, 0.35]),
)
torch.manual_seed(7)
net = MLP(dim=2, width=128, depth=3)
optimizer = torch.optim.Adam(net.parameters(), lr=3e-3)
decay = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 3000)
T, root_ab, root_rest = schedule.T, schedule.signal(torch.arange(1001)).float(), schedule.noise(torch.arange(1001)).float()

# %%
losses, put = [], show.live("The training loss over 3,000 steps, as a mean of 50: it falls from 0.45 to 0.25 in a few hundred steps, and then slowly to 0.22.")
for step in range(1, 3001):
    x_0 = arms.sample(256, rng).float()
    t = torch.randint(1, T + 1, (256,), generator=rng)
    eps = torch.randn(x_0.shape, generator=rng)
    x_t = root_ab[t, None] * x_0 + root_rest[t, None] * eps
    loss = (eps - net(x_t, t)).square().mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    decay.step()
    losses.append(loss.item())
    if step % 750 == 0:
        smooth = torch.tensor(losses).reshape(-1, 50).mean(1)
        put(show.curves(range(25, step, 50), {"L_simple": smooth}, "step", "loss, mean of 50 steps").figure)

# %% [markdown]
r"""
**Predict first.** The loss stops falling at about 0.22, not at 0. Is the network too small? Should we train longer?

<details><summary>Answer</summary>

Neither. Given $\mathbf x_t$, the noise is simply not known: many pairs $(\mathbf x_0,\boldsymbol\epsilon)$ lead to the same $\mathbf x_t$. The best answer to a squared
error is the mean of what could have been, $\mathbb E[\boldsymbol\epsilon\mid\mathbf x_t]$, and its error is the variance of what it averages over. Section 7
computes that floor. A diffusion loss near 0 would be a sign of a bug, not of success.

</details>

### Exercise 07.6 · Find the bug (20 minutes)

This step comes from a colleague. Its loss falls nicely to nearly 0, and the samples are grey noise. There are **two** bugs.

```python
t = torch.randint(0, len(alpha_bar) - 1, (len(x0),), generator=generator)
eps = torch.randn(x0.shape, generator=generator)
signal, noise = alpha_bar[t].sqrt(), (1 - alpha_bar[t]).sqrt()
x_t = signal.reshape(-1, 1, 1, 1) * x0 + noise.reshape(-1, 1, 1, 1) * eps
eps_hat = net(x_t, t)
return ((eps_hat - eps).mean()) ** 2
```

Write it again, without them.
"""


# %%
def training_step(net, x0, alpha_bar, generator):
    # your code
    ...


check("07.6", training_step)

# %% [markdown]
r"""
## 7 · What the network learns: a posterior mean

Of all functions of $\mathbf x_t$, the one with the smallest mean squared error from $\boldsymbol\epsilon$ is $\mathbb E[\boldsymbol\epsilon\mid\mathbf x_t]$, and any other function
costs its mean squared distance from it on top:

$$ \mathbb E\|\boldsymbol\epsilon-\boldsymbol\epsilon_\theta(\mathbf x_t)\|^2 = \underbrace{\mathbb E\|\boldsymbol\epsilon-\mathbb E[\boldsymbol\epsilon\mid\mathbf x_t]\|^2}_{\text{the floor, no network gets below}} + \;\mathbb E\|\boldsymbol\epsilon_\theta(\mathbf x_t)-\mathbb E[\boldsymbol\epsilon\mid\mathbf x_t]\|^2 $$

For the mixture the posterior mean is a formula (`Oracle`), so all three terms can be measured.
"""

# %%
model, oracle = Denoiser(net.requires_grad_(False), schedule), Oracle(arms, schedule)
table = {"trained": [], "floor": [], "distance to the exact answer": []}
times = [5, 20, 50, 100, 200, 300, 450, 600, 800, 1000]
for t in times:
    x_0 = arms.sample(20_000, rng)
    eps = torch.randn(x_0.shape, generator=rng, dtype=torch.float64)
    x_t = schedule.q_sample(x_0, t, eps)
    guess, best = model.predict(x_t.float(), t)[1].double(), oracle.predict(x_t, t)[1]
    for values, error in zip(table.values(), (guess - eps, best - eps, guess - best), strict=True):
        values.append(error.square().mean().item())

t, x_0 = 300, arms.sample(20_000, rng)
eps = torch.randn(x_0.shape, generator=rng, dtype=torch.float64)
x_t = schedule.q_sample(x_0, t, eps)
guess, best = model.predict(x_t.float(), t)[1].double(), oracle.predict(x_t, t)[1]
split = (guess - eps).square() - (best - eps).square() - (guess - best).square()
agree_mean("t = 300: error of the network = floor + distance", split.sum(1), 0.0)

# %%
ax = show.curves(times, table, "t", "mean squared error", log="y")
show.figure(
    ax.figure,
    "Mean squared error over t, logarithmic: the trained network's error lies on the floor, which falls from 1 to 0.002 at t = 800, and "
    "only at t = 1000 a little above it; its distance from the exact answer is ten to a thousand times smaller.",
)
excess = sum(table["trained"]) / sum(table["floor"]) - 1
print(f"over these t the trained network is {100 * excess:.1f} % above the floor; at t = 1000 by a factor of {table['trained'][-1] / table['floor'][-1]:.0f}")
assert 0 < excess < 0.03 and all(a < 1.3 * b for a, b, t in zip(table["trained"], table["floor"], times, strict=True) if t <= 800)

# %% [markdown]
r"""
And point by point? The arrows show $-\mathbb E[\boldsymbol\epsilon\mid\mathbf x_t]$, the way to less noise, exact and learned, over the exact density $q_t$.
"""

# %%
places = torch.stack(torch.meshgrid(torch.linspace(-2.4, 2.4, 9), torch.linspace(-2.4, 2.4, 9), indexing="xy"), -1).reshape(-1, 2)
stops = [100, 300, 500, 800]
fig, axes = show.plane_axes(len(stops), size=2.9)
for ax, t in zip(axes, stops, strict=True):
    show.density(ax, arms.noised(schedule.signal(t), schedule.noise(t)).log_prob)
    for denoiser, colour, width in ((oracle, "black", 0.011), (model, "orange", 0.006)):
        arrows = -denoiser.predict(places, t)[1]
        if denoiser is oracle:
            exact_score = arms.noised(schedule.signal(t), schedule.noise(t)).score(places)
            agree(f"t = {t}: the exact arrows = noise · ∇ log q_t", arrows, schedule.noise(t) * exact_score, atol=1e-4)
        ax.quiver(*places.T, *arrows.T, color=show.COLOURS[colour], width=width, scale=28)
    ax.set_title(f"t = {t}")
show.figure(
    fig,
    "Four squares, t = 100 to 800: arrows point from everywhere to the three arms of the data, at late t to the common centre; "
    "the learned arrows, thin and orange, lie on the exact ones, thick and black, where the data are.",
)

# %% [markdown]
r"""
The learned arrows cover the exact ones wherever data are, and leave them where no $\mathbf x_t$ ever falls, in the corners at small $t$. The
network was never asked there. Remember the direction of these arrows: in lesson 09 it will be called the *score*.

## 8 · How many bits for a digit?

A bound on $-\log_2 P(\mathbf x_0)$ is a number of bits: what a perfect coder that uses the model needs to store the image. For that,
the last decoder must give a *probability*, not a density. The digits have 17 grey levels, $0/8-1$ to $16/8-1$, and Ho et al. give to each level
the mass that a Gaussian has in its bin:

$$ P_\theta(x_0\mid\mathbf x_1) = \int_{x_0-\frac1{16}}^{x_0+\frac1{16}} \mathcal N\bigl(x;\ \mu_\theta(\mathbf x_1,1),\ \sigma_1^2\bigr)\,\mathrm dx,
\qquad\text{the first and the last bin reaching to } \mp\infty $$
"""


# %%
def bin_mass(level, mu, sigma):
    edges = torch.linspace(-1, 1, 17, dtype=torch.float64)[:-1] + 1 / 16
    edges = torch.cat([edges.new_tensor([-math.inf]), edges, edges.new_tensor([math.inf])])
    return torch.special.ndtr((edges[level + 1] - mu) / sigma) - torch.special.ndtr((edges[level] - mu) / sigma)


levels = torch.arange(17)
agree("17 masses add up to 1", bin_mass(levels, 0.3, 0.4).sum(), 1.0, atol=1e-12)
draws = 0.3 + 0.4 * torch.randn(200_000, generator=rng, dtype=torch.float64)
rounded = (draws * 8 + 8).round().clamp(0, 16)
agree_mean("share of draws rounded to each level", rounded[:, None] == levels, bin_mass(levels, 0.3, 0.4))
agree("log mass by hand = course_lib's", bin_mass(levels, 0.3, 0.4).log(), discretized(levels / 8 - 1, torch.tensor(0.3, dtype=torch.float64), 0.4, 17), atol=1e-9)

# %% [markdown]
r"""
### Exercise 07.7 · Seventeen grey levels (25 minutes)

Return the *log* of that mass for every entry of `x0`, for any number of `levels` spread evenly over $[-1, 1]$. `sigma` is a standard deviation.
`x0` and `mu` have one shape. A mass too small for a floating-point number may come out as 0, and its log as $-\infty$.
"""


# %%
def log_decoder(x0, mu, sigma, levels):
    # your code
    ...


check("07.7", log_decoder)

# %% [markdown]
r"""
Now the whole bound for the shipped model (it predicts $\mathbf v$ on the cosine schedule; section 5 said why that is the same bound). First look at single
terms: 100 digits that the model has not seen, at several $t$.
"""

# %%
digits = data.load("digits")
shipped = load_trained("ddpm-digits").model
unseen = digits.held_out.x0[:100]
bits = 1 / (64 * math.log(2))  # from nats an image to bits a pixel
sigma2 = fixed_variance(shipped.schedule, "beta")
for t in (2, 5, 10, 30, 100, 300, 1000):
    L = step_term(shipped, unseen, t, sigma2, rng) * bits
    print(f"t = {t:4}: L_{t - 1:<3} = {L.mean():.6f} bits a pixel,  t · L = {t * L.mean():.3f}")

# %% [markdown]
r"""
$t\cdot L_{t-1}$ changes slowly: the terms fall nearly like $1/t$. That has two consequences. Each *factor of ten* in $t$ costs about
the same: two fifths of all bits are spent before $t = 10$, two fifths more up to 100, and one fifth on the other 900 steps. And a uniformly random $t$ is a bad way to measure the
sum, because it rarely meets the few large terms. Draw $t$ with $p(t)\propto 1/t$ instead and divide by $p(t)$ (Nichol and Dhariwal sample by
importance in the same spirit), and stratify. What does each bring?
"""


# %%
def estimate(how, n=400):
    """The sum of L_1 … L_{T-1} in bits a pixel, from n pairs of a digit and a t."""
    x = unseen[torch.arange(n) % 100]
    t = torch.arange(2, 1001)
    p = torch.ones(999) / 999 if "uniform" in how else (1 / t) / (1 / t).sum()
    u = (torch.arange(n) + torch.rand(n, generator=rng)) / n if "stratified" in how else torch.rand(n, generator=rng)
    row = torch.searchsorted(p.cumsum(0), u).clamp(max=998)
    row = row[torch.randperm(n, generator=rng)]
    return (step_term(shipped, x, t[row], sigma2, rng) / p[row]).mean().item() * bits


for how in ("uniform", "uniform, stratified", "importance", "importance, stratified"):
    found = torch.tensor([estimate(how) for _ in range(8)])
    print(f"{how:23} {found.mean():.3f} ± {found.std():.3f} for one estimate from 400 calls")
    first = found.std() if how == "uniform" else first
assert found.std() < first / 5

# %% [markdown]
r"""
Both together: about twenty times less spread, so hundreds of times fewer calls. `course_lib.diffusion.bound` does it so. The whole bound, live, on 100 unseen digits:
"""

# %%
live = bound(shipped, unseen, digits.levels, sigma2, rng, draws=20)
total = live.bits_per_dim
print(f"L_T {live.prior.mean() * bits:.1e} + steps {live.steps.mean() * bits:.3f} + L_0 {live.decoder.mean() * bits:.1e}")
print(f"bound: {total.mean():.3f} ± {total.std() / 10:.3f} bits a pixel; 17 levels without a model: {math.log2(17):.3f}")

recorded = results("bound-digits")
full = recorded["models"]["ddpm-digits"]["bound"]["beta"]
print(f"recorded, all {recorded['models']['ddpm-digits']['held_out']} held-out digits and every t: {full['bits_per_dim']:.3f} ± {full['standard_error']:.3f}")
spread = math.hypot(total.std().item() / 10, full["standard_error"])
assert abs(total.mean() - full["bits_per_dim"]) < 4 * spread

# %% [markdown]
r"""
Nearly all of it is in the steps. $L_T$ is negligible, since the cosine schedule ends in noise; and so is $L_0$, since at $t = 1$ the noise of 0.006
is ten times smaller than half a grey step, and rounding to the nearest level is always right.

But is 3.3 bits good? 17 levels without any knowledge are 4.09 bits. Count grey levels in the training digits, for each of the 64 places, and you have a model that knows no shapes at all:
"""

# %%
train_level = ((digits.train.x0 + 1) * 8).round().long().flatten(1)
counts = torch.stack([(train_level == level).sum(0) for level in range(17)]) + 0.1
test_level = ((digits.held_out.x0 + 1) * 8).round().long().flatten(1)
by_counting = -(counts / counts.sum(0)).log2().gather(0, test_level).mean()

few_t = [2, 3, 5, 8]
for t in few_t:
    x_t = shipped.schedule.q_sample(unseen, t, torch.randn(unseen.shape, generator=rng))
    nearest = ((x_t / shipped.schedule.signal(t) + 1) * 8).round().clamp(0, 16) / 8 - 1
    squares = torch.stack([(unseen - guess).flatten(1).square().sum(1) for guess in (shipped.predict(x_t, t)[0], nearest)])
    network, rounding = (step_kl(shipped.schedule, torch.full((100,), t), square, 64, sigma2).mean() * bits for square in squares)
    print(f"t = {t}: the network's guess of x_0 costs {network:.3f} bits a pixel, rounding x_t to the nearest level {rounding:.3f}")
print(f"counting grey levels at each place: {by_counting:.2f} bits a pixel")
assert by_counting < full["bits_per_dim"]

# %% [markdown]
r"""
The histograms need 2.4 bits: *less* than the model that draws such good digits. The second half of the output says where its bits go. At the smallest $t$ anybody could round, because the noise is far below a grey step, but the
network was never told that there are 17 levels, and it did not find out: its loss hardly looks there. A likelihood counts these invisible bits like all others. Lesson 09 will not pay for them, and section 10 asks what happens
if one trains for them.

## 9 · How good can a bound be? Fixed, best and learned variances

Is the model to blame for these bits, or the bound? On exact data we can tell. Take the three-bump pixel, the *exact* denoiser, and
compare the bound with the true $-\mathbb E\log p(x_0)$, for chains of different lengths. All by quadrature; the mean squared error of the exact denoiser is
$\mathbb E[x_0^2] - \mathbb E[\hat x_0^2]$.
"""

# %%
x = torch.linspace(-5, 5, 4001, dtype=torch.float64)[:, None]
step_x = 10 / 4000
p = pixels.log_prob(x).exp()
truth = -(p * pixels.log_prob(x)).sum() * step_x
second_moment = (p * x[:, 0] ** 2).sum() * step_x


def exact_mean_square(chain):
    """E[(x_0 - E[x_0 | x_t])^2] for t = 0 … T."""
    answers = [torch.zeros((), dtype=torch.float64)]
    for t in range(1, chain.T + 1):
        q = pixels.noised(chain.signal(t), chain.noise(t)).log_prob(x).exp()
        x0_hat = pixels.posterior_mean(x, chain.signal(t), chain.noise(t))[:, 0]
        answers.append(second_moment - (q * x0_hat**2).sum() * step_x)
    return torch.stack(answers)


# %%
def exact_bound(chain, sigma2, mean_square, second_moment=second_moment):
    """L_T + … + L_0 in nats, with a Gaussian density as the last decoder."""
    t = torch.arange(2, chain.T + 1)
    steps = step_kl(chain, t, mean_square[2:], 1, sigma2).sum()
    prior = 0.5 * (chain.alpha_bar[-1] * (second_moment - 1) - torch.log1p(-chain.alpha_bar[-1]))
    decoder = 0.5 * (torch.log(2 * math.pi * sigma2[1]) + mean_square[1] / sigma2[1])
    return (prior + steps + decoder).item()


five = NoiseSchedule.linear(5, 0.1, 0.6)
agree("x_0 ~ N(0, 1), σ² = β: the bound is the truth", exact_bound(five, five.beta, 1 - five.alpha_bar, 1.0), 0.5 * math.log(2 * math.pi * math.e), atol=1e-12)
agree("β̃ of the table = that of the posterior", fixed_variance(five, "beta_tilde")[4], five.posterior(torch.zeros(1), torch.zeros(1), 4)[1], atol=1e-7)

# %%
lengths = [5, 10, 20, 50, 100, 200, 500, 1000]
gaps = {"σ² = β": [], "σ² = β̃": [], "the best σ² at each t": []}
for n in lengths:
    chain_n = NoiseSchedule.linear(n, 0.1 / n, min(20 / n, 0.95))
    mean_square = exact_mean_square(chain_n)
    beta_tilde = fixed_variance(chain_n, "beta_tilde")
    beta_tilde[1] = chain_n.beta[1]  # the last decoder's variance, which β̃ does not say
    for values, sigma2 in zip(gaps.values(), (chain_n.beta, beta_tilde, best_variance(chain_n, mean_square)), strict=True):
        values.append(exact_bound(chain_n, sigma2, mean_square) - truth.item())

ax = show.curves(lengths, gaps, "number of steps T", "bound − truth, nats", log="xy")
show.figure(
    ax.figure,
    "Gap between the bound and the true negative log-likelihood over the number of steps, both logarithmic: with beta and with the "
    "best variance it falls to less than a hundredth, the best a little lower; with beta-tilde it is ten to sixty times larger.",
)

# %%
for name, values in gaps.items():
    print(f"{name:22} gap {values[2]:.4f} nats at T = 20, {values[-1]:.4f} at T = 1000")
assert all(gap > 0 for values in gaps.values() for gap in values), "a bound is never above the truth"
assert all(best <= min(b, bt) for b, bt, best in zip(*gaps.values(), strict=True))

# %% [markdown]
r"""
The bound holds everywhere. With $\sigma^2=\beta$ the gap goes away as the steps get smaller: lesson 06's reverse step becomes Gaussian. With
$\tilde\beta$ it does *not* go away. At $t = 2$ there is only one step's noise below, so $\tilde\beta_2$ is about half of $\beta_2$; but as long as the noise is
smaller than anything in the data, the true reverse step has the variance $\beta$. For small equal steps $\beta_t/\tilde\beta_t = t/(t-1)$, and by the formula for
the KL the first steps cost, however many follow,

$$ \sum_{t\ge2} \tfrac12\Bigl(\frac{t}{t-1} - 1 - \log\frac{t}{t-1}\Bigr) = \tfrac12\sum_{m\ge1}\Bigl(\frac1m - \log\frac{m+1}{m}\Bigr) = \frac\gamma2 \approx 0.289\ \text{nats a pixel} $$

with Euler's constant $\gamma = 0.577$. Measure it with four hundred tiny steps:
"""

# %%
tiny = NoiseSchedule([1e-6] * 400)
mean_square, t = exact_mean_square(tiny), torch.arange(2, 401)
costs = [step_kl(tiny, t, mean_square[2:], 1, sigma2).sum() for sigma2 in (fixed_variance(tiny, "beta_tilde"), best_variance(tiny, mean_square))]
agree("what β̃ costs in the first steps = γ/2", costs[0] - costs[1], 0.5772156649 / 2, atol=1e-3)

# %% [markdown]
r"""
The best variance at each $t$ follows from setting the derivative of the KL by $\sigma^2$ to zero (Bao et al.):

$$ \sigma_t^{*2} = \tilde\beta_t + \Bigl(\frac{\sqrt{\bar\alpha_{t-1}}\,\beta_t}{1-\bar\alpha_t}\Bigr)^{\!2}\ \mathbb E\bigl[(x_0-\hat x_0)^2\bigr] $$

$\tilde\beta_t$ would be right if $x_0$ were known; the second part is for not knowing it.
"""

# %%
chain = NoiseSchedule.linear(20, 0.005, 0.95)
mean_square = exact_mean_square(chain)
t = 8
candidates = torch.linspace(0.7, 1.4, 71, dtype=torch.float64) * best_variance(chain, mean_square)[t]
tables = [torch.full((21,), c.item(), dtype=torch.float64) for c in candidates]
kls = torch.stack([step_kl(chain, torch.tensor([t]), mean_square[t : t + 1], 1, table)[0] for table in tables])
agree("the smallest KL on a grid is at σ*² (in units of it)", candidates[kls.argmin()] / best_variance(chain, mean_square)[t], 1.0, atol=0.006)

# %% [markdown]
r"""
Still better: a variance that depends on $\mathbf x_t$. Between two bumps $x_0$ is uncertain, inside one it is not. Nichol and Dhariwal let the network
choose, on a logarithmic scale on which 0 is $\tilde\beta$ and 1 is $\beta$ (it may go beyond),

$$ \sigma_\theta^2(\mathbf x_t, t) = \exp\bigl(v\log\beta_t + (1-v)\log\tilde\beta_t\bigr), $$

and train $v$ on the *bound* (the mean stays with $L_{\text{simple}}$, since $L_{\text{simple}}$ says nothing about a variance). Here the mean is exact, and a
small MLP learns $v$. (`50 * t` stretches 20 steps over the range of the sinusoids.)
"""

# %%
torch.manual_seed(7)
v_net = MLP(dim=1, width=64, depth=3, time=16)
optimizer = torch.optim.Adam(v_net.parameters(), lr=5e-3)
decay = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 2500)
beta_tilde = fixed_variance(chain, "beta_tilde")
mu_factor = (torch.cat([chain.alpha_bar[:1], chain.alpha_bar[:-1]]).sqrt() * chain.beta / (1 - chain.alpha_bar).clamp(min=1e-12)).float()
log_high, log_low = chain.beta.clamp(min=1e-12).log().float(), beta_tilde.clamp(min=1e-12).log().float()


def log_sigma2(x_t, t):
    v = v_net(3 * x_t, 50 * t)[:, 0]
    return v * log_high[t] + (1 - v) * log_low[t]


# %%
for _ in range(2500):
    x_0 = pixels.sample(1024, rng)
    t = torch.randint(2, 21, (1024,), generator=rng)
    x_t = chain.q_sample(x_0, t, torch.randn(x_0.shape, generator=rng, dtype=torch.float64))
    x0_hat = pixels.posterior_mean(x_t, chain.signal(t)[:, None], chain.noise(t)[:, None])
    distance = mu_factor[t] ** 2 * (x_0 - x0_hat)[:, 0].float().square()
    log_s = log_sigma2(x_t.float(), t)
    loss = 0.5 * (log_s + (beta_tilde[t].float() + distance) * (-log_s).exp()).mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    decay.step()

# %%
def exact_sigma2(t, line):
    """beta_tilde + k^2 Var[x_0 | x_t] for each x_t of a line: what nobody showed to the network."""
    posteriors = [pixels.posterior(value[None], chain.signal(t), chain.noise(t)) for value in line]
    means = torch.stack([(p.weight * p.mean[:, 0]).sum() for p in posteriors])
    squares = torch.stack([(p.weight * (p.cov[:, 0, 0] + p.mean[:, 0] ** 2)).sum() for p in posteriors])
    return beta_tilde[t] + mu_factor[t].double() ** 2 * (squares - means**2)


# %%
mean_square, wide, gain = exact_mean_square(chain), torch.linspace(-3.5, 3.5, 141, dtype=torch.float64), 0.0
for t in range(2, 21):
    q = pixels.noised(chain.signal(t), chain.noise(t)).log_prob(wide[:, None]).exp() * (wide[1] - wide[0])
    right, best = exact_sigma2(t, wide), best_variance(chain, mean_square)[t]
    if t in (3, 8):
        agree(f"t = {t}: the exact variance, averaged over x_t = σ*²", (q * right).sum(), best, atol=1e-4)
    with torch.no_grad():
        learned = log_sigma2(wide[:, None].float(), torch.full((141,), t)).double()
    gain += 0.5 * (best.log() + 1 - (q * (learned + right / learned.exp())).sum()).item()
print(f"a variance that depends on x_t tightens the bound of 20 steps by {gain:.3f} nats more than the best fixed one")
assert gain > 0.05

# %%
fig, axes = plt.subplots(1, 3, figsize=(12, 3.6))
line = torch.linspace(-1.6, 1.6, 161, dtype=torch.float64)
for ax, t in zip(axes, (2, 3, 5), strict=True):
    right = exact_sigma2(t, line)
    with torch.no_grad():
        learned = log_sigma2(line[:, None].float(), torch.full((161,), t)).exp()
    assert ((learned / right - 1).abs() < 0.25).all()
    ax.plot(line, right, label="exact")
    ax.plot(line, learned, "--", color=show.COLOURS["red"], label="learned")
    for value, name in ((chain.beta[t], "β"), (beta_tilde[t], "β̃")):
        ax.axhline(value, color=show.COLOURS["grey"], linewidth=1)
        ax.annotate(name, (1.63, value), va="center", annotation_clip=False)
    ax.set(title=f"t = {t}", xlabel="$x_t$", ylabel="variance of the step" if t == 2 else "", ylim=(0, None))
axes[0].legend(fontsize=11)
show.figure(
    fig,
    "Variance of the reverse step over x_t at t = 2, 3 and 5 of a chain of 20 steps: the exact curve has humps between the bumps of "
    "the data, above beta, and lies near beta-tilde inside them; the learned curve follows it.",
)

# %% [markdown]
r"""
The learned curve follows the exact one, humps and all, although nobody showed it to the network. In a chain of 20 steps that closes more than half of the gap of 0.22 nats that the best fixed variance leaves. In one of 1,000 it matters only at
the smallest $t$; what a mere table of best variances brings there, section 10 will show.

## 10 · Train the bound, or train $L_{\text{simple}}$?

If the bound is what we want, why not train it? Ho et al. tried both, and so did we: one U-Net, linear schedule, ε-prediction, 1,500
steps, once with all $t$ equally often and once with each $t$ as often as $\lambda_t$ weighs it. (Multiplying the loss by $\lambda_t$ has the same
mean, but a few factors of fifty among factors of one make the gradient so noisy that it trains badly: the lesson of section 8.) They found better
likelihoods with the bound, and better images without it. (`course train ddpm-digits-simple`, `course train ddpm-digits-bound`,
`course record bound-digits`; half an hour on two cores.)
"""

# %%
recorded = results("bound-digits")
labels = {"ddpm-digits-bound": "trained on the bound", "ddpm-digits-simple": "trained on L_simple", "ddpm-digits": "shipped: v, cosine, equal weights"}
for name, label in labels.items():
    found = recorded["models"][name]
    rates = " / ".join(f"{found['bound'][kind]['bits_per_dim']:.3f}" for kind in ("beta", "beta_tilde", "best"))
    q = found["quality"]
    print(f"{label:34} bits a pixel (β / β̃ / best σ²) {rates}, FD ratio {q['fd_ratio']:.2f} ± {q['spread']:.2f}")

trained = {name: recorded["models"][name]["bound"]["beta"]["bits_per_dim"] for name in labels}
assert trained["ddpm-digits-bound"] < trained["ddpm-digits-simple"] < trained["ddpm-digits"]

# %%
lines = {}
for name in ("ddpm-digits-bound", "ddpm-digits-simple"):
    square = torch.tensor(recorded["models"][name]["square"], dtype=torch.float64)
    t = torch.arange(2, 1001)
    sigma2 = best_variance(schedule, torch.tensor(recorded["models"][name]["square_training"], dtype=torch.float64) / 64)
    lines[labels[name]] = (step_kl(schedule, t, square[2:], 64, sigma2) * bits).cumsum(0)
ax = show.curves(t, lines, "t", "bits a pixel, up to t", log="x")
show.figure(
    ax.figure,
    "Bits a pixel, added up from t = 2 to t, over t on a logarithmic axis, for the model trained on the bound and the one trained on L_simple: the "
    "first lies lower from the smallest t on.",
)

# %% [markdown]
r"""
As in the paper: trained on the bound, the model needs 0.15 bits a pixel less, and its images are worse. (On the bits the standard error is 0.013; on the FD ratio the two spreads
nearly touch.) The gain is made at small $t$, where the bound looks and nobody else. The shipped model has the best images and the worst likelihood of the three: it predicts $\mathbf v$, whose
loss cares even less for small $t$. And the best variance, which costs nothing but a table, is worth more for the likelihood of the model trained on the bound than $\beta$ against $\tilde\beta$.

So a likelihood is not a measure of pictures, nor the other way round. Which loss to train is a question of what you want.

Stuck? `hint("07.2")` helps a little, and again a little more; `solution("07.2")` shows ours.

## What to remember

1. The bound: $\ -\log p_\theta(\mathbf x_0) \le L_T + \sum_{t\ge2}\mathbb E\,D_{\mathrm{KL}}\bigl(q(\mathbf x_{t-1}\mid\mathbf x_t,\mathbf x_0)\,\|\,p_\theta(\mathbf x_{t-1}\mid\mathbf x_t)\bigr) + L_0$.
   Conditioning on $\mathbf x_0$ makes every term from $t = 2$ on a KL of two Gaussians.
2. One step undone: $\ \tilde{\boldsymbol\mu}_t = \frac{1}{\sqrt{\alpha_t}}\bigl(\mathbf x_t - \frac{\beta_t}{\sqrt{1-\bar\alpha_t}}\boldsymbol\epsilon\bigr)$, $\ \tilde\beta_t = \frac{1-\bar\alpha_{t-1}}{1-\bar\alpha_t}\beta_t$.
3. The loss: $\ \|\boldsymbol\epsilon-\boldsymbol\epsilon_\theta(\mathbf x_t,t)\|^2$, the bound without its weight $\lambda_t$. Its minimum is
   $\mathbb E[\boldsymbol\epsilon\mid\mathbf x_t]$, and the minimum is not 0.

Lesson 08 builds the network, lesson 09 walks back.

## References

- B. Koirala, *Diffusion Models* (notes, 2022); S. Velasco-Forero, *Introduction to Diffusion Models* (2023); S. Varma, lecture 19;
  slides *Diffusion Models*.
- Sohl-Dickstein, Weiss, Maheswaranathan, Ganguli: *Deep Unsupervised Learning using Nonequilibrium Thermodynamics*, 2015.
- Ho, Jain, Abbeel: *Denoising Diffusion Probabilistic Models*, 2020.
- Nichol, Dhariwal: *Improved Denoising Diffusion Probabilistic Models*, 2021.
- Kingma, Salimans, Poole, Ho: *Variational Diffusion Models*, 2021.
- Salimans, Ho: *Progressive Distillation for Fast Sampling of Diffusion Models*, 2022 (the target $\mathbf v$).
- Bao, Li, Zhu, Zhang: *Analytic-DPM*, 2022 (the best variance).
- Digits: Alpaydin and Kaynak, 1998, CC BY 4.0.
"""
