# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
# ---

# %% [markdown]
r"""
# 06 · Forward diffusion: from images to noise

**After this lesson you can**
- turn any image into noise, step by step or in one jump, and prove that both give the same distribution;
- read a noise schedule: how much signal is left at each $t$, and whether the last step really is noise;
- say why the way back can be made of Gaussians, and when it can't;
- build the same process for black-and-white images, where nothing is Gaussian.

**Before:** lesson 02, or that you know Gaussians and the KL divergence. **Time:** 90 minutes, and 100 more for the seven
exercises.
**Follows:** Varma, lecture 19, "Forward Diffusion Process" to "Generative Learning by Denoising"; Koirala, "Forward
Trajectory"; the slides' "Mathematical basis"; Velasco-Forero, "Forward Diffusion".
"""

# %%
import math

import matplotlib.pyplot as plt
import torch
from ipywidgets import IntSlider, ToggleButtons

from course_lib import data, show
from course_lib.agree import agree, agree_mean
from course_lib.diffusion import NoiseSchedule, sample
from course_lib.exact import GaussianMixture
from course_lib.exercises import check, hint, solution
from course_lib.metrics import nearest_distance
from course_lib.training import load_trained

rng = torch.Generator().manual_seed(6)

# %% [markdown]
r"""
## 1 · Why noise at all?

A digit of $8\times 8$ pixels is a point in a space of 64 dimensions, and almost every point of that space is *not* a
digit. A generative model has to find its way to the few that are. How far away are they? Draw images at random, and look
how far each is from the nearest real one.
"""

# %%
digits = data.load("digits")
at_random = 2 * torch.rand(500, 1, 8, 8, generator=rng) - 1
to_real = nearest_distance(digits.held_out.x0, digits.train.x0).mean()
to_random = nearest_distance(at_random, digits.train.x0).mean()
print(
    f"distance to the nearest training digit, RMS a pixel:  unseen digits {to_real:.2f}, random images {to_random:.2f}"
)

# %% [markdown]
r"""
VAEs and GANs (lessons 03 and 05) learn that whole way as one jump. Diffusion models go there in many small steps, and they
learn the steps from the **opposite direction**: taking an image apart with noise needs no learning at all, and it can be
done slowly. At each moment the network is asked something easy: here is a slightly noisy picture, what did it look like
just before?

The upper row of the next figure is the way out, from an image at $t = 0$ to noise at $t = 1000$; you will understand it line
by line. The lower row is the trained model of lesson 00 on its way back.
"""

# %%
shipped = load_trained("ddpm-digits").model
stops = [0, 100, 200, 300, 400, 500, 600, 800, 1000]
digit = digits.held_out.x0[17:18].expand(len(stops), -1, -1, -1)
out = shipped.schedule.q_sample(digit, torch.tensor(stops), torch.randn(digit.shape, generator=rng))

x_T = torch.randn(1, 1, 8, 8, generator=torch.Generator().manual_seed(26))
path = {1000: x_T} | {s.t: s.x_t for s in sample(shipped, x_T, shipped.schedule.times(50), eta=0)}
back = torch.cat([path[t] for t in stops])

# %%
fig = show.strip([out, back], stops, names=["out", "back"])
show.figure(
    fig,
    "Two rows of small pictures over time t. Above, a handwritten digit disappears in noise from left to "
    "right. Below, read from right to left, another digit appears out of noise.",
)

# %% [markdown]
r"""
## 2 · One small step

One step of the chain makes the image a little weaker and adds a little noise, of variance $\beta_t$. Write $q$ for everything
that belongs to this way out, $\mathcal N(\mathbf x;\boldsymbol\mu,\sigma^2\mathbf I)$ for the density of a Gaussian at $\mathbf x$, and
$T$ for the number of steps:

$$ q(\mathbf x_t \mid \mathbf x_{t-1}) = \mathcal N\!\left(\mathbf x_t;\ \sqrt{1-\beta_t}\,\mathbf x_{t-1},\ \beta_t\mathbf I\right),
\qquad t = 1, \dots, T $$

To draw from it, use the **reparameterization trick** (Varma): a sample of $\mathcal N(\boldsymbol\mu, \sigma^2\mathbf I)$ is
$\boldsymbol\mu + \sigma\,\boldsymbol\epsilon$ with $\boldsymbol\epsilon \sim \mathcal N(\mathbf 0, \mathbf I)$. All the randomness is in
$\boldsymbol\epsilon$, and the rest is arithmetic.
"""


# %%
def forward_step(x, beta, generator=rng):
    eps = torch.randn(x.shape, generator=generator, dtype=x.dtype)
    return math.sqrt(1 - beta) * x + math.sqrt(beta) * eps


# %% [markdown]
r"""
Does it draw from that Gaussian? Take 200,000 copies of one pixel through a step, and compare not only mean and variance
but the whole distribution: the share of samples below each of five levels, against the normal distribution function.
"""

# %%
pixel, beta_t = 0.7, 0.1
x = forward_step(torch.full((200_000,), pixel, dtype=torch.float64), beta_t)
mu, sigma = math.sqrt(1 - beta_t) * pixel, math.sqrt(beta_t)
levels = mu + sigma * torch.tensor([-2.0, -1.0, 0.0, 1.0, 2.0], dtype=torch.float64)

agree_mean("mean of the step", x, mu)
agree_mean("variance of the step", (x - mu) ** 2, beta_t)
agree_mean("P(x_t < level), five levels", x[:, None] < levels, torch.special.ndtr((levels - mu) / sigma))

# %% [markdown]
r"""
**Predict first.** The slides say it in words: "a Gaussian distribution whose mean is the *previous value*". So without the factor
$\sqrt{1-\beta_t}$. Start from pixels of mean 0 and variance 1, walk 1,000 steps with $\beta$ from $10^{-4}$ to $0.02$.
What is the variance at the end, with the factor and without?

<details><summary>Answer</summary>

With it: still 1, since $(1-\beta_t)\cdot 1 + \beta_t = 1$ at each step. Without it: $1 + \sum_t \beta_t \approx 11$, and
growing for as long as you go on.

</details>
"""

# %%
beta = torch.linspace(1e-4, 0.02, 1000, dtype=torch.float64)
x0 = torch.where(torch.rand(20_000, generator=rng) < 0.5, -1.0, 1.0).double()
kept = grown = x0
measured = {"with √(1 − β)": [], "as the slide says": []}
for b in beta.tolist():
    kept = forward_step(kept, b)
    grown = grown + math.sqrt(b) * torch.randn(grown.shape, generator=rng, dtype=grown.dtype)
    for name, values in (("with √(1 − β)", kept), ("as the slide says", grown)):
        measured[name].append(values.var().item())

# %%
ax = show.curves(range(1, 1001), measured, "step t", "variance of a pixel")
show.figure(
    ax.figure,
    "Two curves of the variance of a pixel over 1,000 steps: with the factor it stays at 1, without it it grows to 11.",
)

# %%
agree_mean("with the factor: variance stays 1", kept**2, 1.0)
agree_mean("without it: variance 1 + Σβ", grown**2, 1 + beta.sum())
agree_mean("without it: the signal E[x_T x_0] never goes", grown * x0, 1.0)

# %% [markdown]
r"""
> **On the slide.** *"A Gaussian distribution whose mean is the previous value"* (slides), *"A Gaussian distribution centred
> around the output of the previous timestep"* (Velasco-Forero). Their formulas have the factor, the words do not. What
> decides: after 1,000 steps the variance is 1 with the factor and 11 without, and without it **all** of the image is still
> there, $E[x_T x_0] = 1$. With it only 0.006 are left, as section 3 will show. The factor is what makes the process forget.

> **On the slide.** Das and Varma call the noised image "more and more *blurry*". Noise is not blur: blur makes
> neighbouring pixels alike, noise makes them differ. The next cell measures it on a photo.
"""

# %%
photos = data.load("photos")
crop = photos.train.x0[:1, :, 60:316, 130:386]
photo = torch.nn.functional.avg_pool2d(crop, 2)
blurred = torch.nn.functional.avg_pool2d(photo, 5, stride=1, padding=2, count_include_pad=False)
noised = 0.7 * photo + math.sqrt(1 - 0.7**2) * torch.randn(photo.shape, generator=rng)
for name, image in (("photo", photo), ("blurred", blurred), ("noised", noised)):
    print(f"{name:8} mean squared difference of neighbouring pixels {image.diff(dim=-1).square().mean():.3f}")

# %% [markdown]
r"""
Now the chain itself, one step after the other, on that photo and on a digit. By $t = 300$ the photo is nearly gone, and the
second half of the way changes nothing that you can see. Section 4 asks whether that is time well spent.
"""


# %%
def walk(x, stops):
    """x at some of the times while it takes the steps of the chain."""
    frames = [x]
    for t, b in enumerate(beta[: stops[-1]].tolist(), start=1):
        x = forward_step(x, b)
        if t in stops:
            frames.append(x)
    return torch.stack(frames)


# %%
stops = [0, 50, 150, 300, 500, 1000]
fig = show.strip([walk(photo[0], stops)], stops, size=1.5)
show.figure(
    fig,
    "A photo of a Chinese temple under six amounts of noise, from untouched at t = 0 to pure noise at t = 1000; "
    "at t = 300 its outlines can only just be seen.",
)

fig = show.strip([walk(digits.train.x0[2], stops)], stops, size=1.5)
show.figure(
    fig, "A handwritten digit under the same six amounts of noise: at t = 150 it can be read, at t = 500 no more."
)
print(photos.source)

# %% [markdown]
r"""
## 3 · Jump to any step at once

Training needs thousands of $\mathbf x_t$ a second, at random $t$. Walking there costs $t$ steps for each. Write two steps
as one, with $\alpha_t = 1-\beta_t$ and two independent noises:

$$
\mathbf x_2 = \sqrt{\alpha_2}\,\bigl(\sqrt{\alpha_1}\,\mathbf x_0 + \sqrt{1-\alpha_1}\,\boldsymbol\epsilon_1\bigr) + \sqrt{1-\alpha_2}\,\boldsymbol\epsilon_2
 = \sqrt{\alpha_1\alpha_2}\,\mathbf x_0 + \underbrace{\sqrt{\alpha_2(1-\alpha_1)}\,\boldsymbol\epsilon_1 + \sqrt{1-\alpha_2}\,\boldsymbol\epsilon_2}_{\text{again Gaussian: sums of Gaussians are}}
$$

Variances of independent noises add, $\alpha_2(1-\alpha_1) + (1-\alpha_2) = 1 - \alpha_1\alpha_2$: the two noises are as
good as one.
"""

# %%
a1, a2 = 0.6, 0.7
eps_1, eps_2 = torch.randn(2, 400_000, generator=rng, dtype=torch.float64)
merged = math.sqrt(a2 * (1 - a1)) * eps_1 + math.sqrt(1 - a2) * eps_2

agree_mean("variance of the merged noise = 1 − α₁α₂", merged**2, 1 - a1 * a2)
agree_mean("its 4th moment is a Gaussian's, 3σ⁴", merged**4, 3 * (1 - a1 * a2) ** 2)

# %% [markdown]
r"""
The same argument merges the third step into the first two, and so on. With $\bar\alpha_t = \alpha_1\alpha_2\cdots\alpha_t$
the whole chain collapses into the **diffusion kernel**

$$ q(\mathbf x_t \mid \mathbf x_0) = \mathcal N\!\left(\mathbf x_t;\ \sqrt{\bar\alpha_t}\,\mathbf x_0,\ (1-\bar\alpha_t)\,\mathbf I\right) $$

**Names.** Varma writes $\gamma_t$, and on the slides that he took from Ho et al. $\bar\alpha_t$; the DDIM paper writes plain
$\alpha_t$ for it. This course always writes $\bar\alpha_t$, in code `alpha_bar[t]`. Its index is the lecture's: `alpha_bar[0]`
is 1 (no noise yet), `alpha_bar[T]` the last.
"""

# %%
alpha_bar = torch.cat([torch.ones(1, dtype=torch.float64), (1 - beta).cumprod(0)])
print(alpha_bar.shape, [f"ᾱ_{t} = {alpha_bar[t]:.3g}" for t in (0, 1, 250, 500, 1000)])

# %% [markdown]
r"""
Three checks. First the **moments in closed form**, for every $t$: one step multiplies the mean by $\sqrt{1-\beta_t}$, and turns a
variance $v$ into $(1-\beta_t)\,v + \beta_t$. Follow both through the chain, starting from $x_0 = 1$ with no variance.
"""

# %%
m, v, means, variances = 1.0, 0.0, [1.0], [0.0]
for b in beta.tolist():
    m, v = math.sqrt(1 - b) * m, (1 - b) * v + b
    means.append(m)
    variances.append(v)

agree("mean, step by step = √ᾱ_t, every t", torch.tensor(means, dtype=torch.float64), alpha_bar.sqrt(), atol=1e-12)
agree(
    "variance, step by step = 1 − ᾱ_t, every t", torch.tensor(variances, dtype=torch.float64), 1 - alpha_bar, atol=1e-12
)

# %% [markdown]
r"""
Second, by **simulation**: 20,000 copies of a pixel walk 250 small steps.
"""

# %%
x = torch.full((20_000,), pixel, dtype=torch.float64)
for b in beta[:250].tolist():
    x = forward_step(x, b)

mean, variance = alpha_bar[250].sqrt() * pixel, 1 - alpha_bar[250]
agree_mean("mean after 250 steps = √ᾱ x_0", x, mean)
agree_mean("variance after 250 steps = 1 − ᾱ", (x - mean) ** 2, variance)

# %% [markdown]
r"""
Two moments don't make a distribution. So, third, the **whole density, without any sampling**. If $x_{t-1}$ has the
density $q_{t-1}$, then

$$ q_t(x) = \int q(x \mid x')\,q_{t-1}(x')\,\mathrm dx', $$

an integral that a fine grid computes almost exactly. Start from a mixture of three Gaussians, integrate forty times, and
compare with what the kernel promises: the same mixture, each mean shrunk by $\sqrt{\bar\alpha}$ and each variance turned into
$\bar\alpha\cdot$variance $+\,1-\bar\alpha$. That is what `GaussianMixture.noised` does.
"""

# %%
start = GaussianMixture(
    [[-1.0], [0.3], [1.5]], cov=torch.tensor([0.05, 0.1, 0.03]), weight=torch.tensor([0.4, 0.35, 0.25])
)
few = torch.linspace(0.02, 0.2, 40, dtype=torch.float64)
grid = torch.linspace(-9, 9, 1801, dtype=torch.float64)
dx = grid[1] - grid[0]

q = start.log_prob(grid[:, None]).exp()
for b in few:
    step = torch.exp(-((grid[:, None] - (1 - b).sqrt() * grid) ** 2) / (2 * b)) / (2 * math.pi * b).sqrt()
    q = step @ q * dx

# %%
ab = (1 - few).prod()
promised = start.noised(ab.sqrt(), (1 - ab).sqrt()).log_prob(grid[:, None]).exp()
agree("density after 40 integrals = the kernel's, at 1,801 points", q, promised, atol=1e-12)
agree("and it still integrates to 1", q.sum() * dx, 1.0, atol=1e-12)

# %% [markdown]
r"""
> **On the slide.** Koirala announces "sampling of $x_t$ at any arbitrary time step $t$ in a closed form" and prints
> $x^{(t)} = \sqrt{1-\beta_t}\,x^{(t-1)} + \sqrt{\beta_t}\,\mathcal N(0, I)$: the formula of *one step*. The closed form has
> $\bar\alpha_t$, and $x_0$ on the right. At $t = 500$ of DDPM's schedule the factors are 0.995 and 0.280.

> **On the slide.** "$\alpha_t$ decreases from 1 to 0" (Velasco-Forero). True of $\bar\alpha_t$: with DDPM's schedule
> $\bar\alpha_{1000} = 0.00004$, but $\alpha_{1000} = 0.98$. His next formula prints $\sqrt{\alpha}$ without its $t$.
"""

# %%
# NBVAL_CHECK_OUTPUT
print(f"t = 500:  one step √(1 − β) = {(1 - beta[499]).sqrt():.3f},  all steps √ᾱ = {alpha_bar[500].sqrt():.3f}")
print(f"t = 1000: α = {1 - beta[999]:.2f},  ᾱ = {alpha_bar[1000]:.5f}")

# %% [markdown]
r"""
### Exercise 06.1 · When does noise take over? (5 minutes)

The **signal-to-noise ratio** of $\mathbf x_t$ is $\mathrm{SNR}(t) = \bar\alpha_t / (1-\bar\alpha_t)$ (at $t = 0$ it is infinite): the
power of the signal over that of the noise, for pixels of variance 1. Return the first $t$ at which it is below 1.
"""


# %%
def noise_takes_over(alpha_bar):
    # your code
    ...


check("06.1", noise_takes_over)

# %% [markdown]
r"""
### Exercise 06.2 · The jump (10 minutes)

Turn the kernel into code: given `x0` of any shape, `t` (one whole number), noise `eps` of $\mathbf x_0$'s shape and the table
`alpha_bar`, return $\mathbf x_t$.
"""


# %%
def q_sample(x0, t, eps, alpha_bar):
    # your code
    ...


check("06.2", q_sample)

# %% [markdown]
r"""
From here on the library does it. `NoiseSchedule` holds $\beta$, $\alpha$ and $\bar\alpha$ as the lecture counts them, and
`signal(t)` $=\sqrt{\bar\alpha_t}$ and `noise(t)` $=\sqrt{1-\bar\alpha_t}$. Each image of a batch may have a $t$ of its own.
"""

# %%
schedule = NoiseSchedule.linear()
agree("the library's ᾱ = ours", schedule.alpha_bar, alpha_bar, atol=1e-15)

x0 = digits.train.x0[:3]
eps = torch.randn(x0.shape, generator=rng)
t = torch.tensor([10, 300, 900])
by_hand = torch.stack(
    [alpha_bar[s].sqrt() * x + (1 - alpha_bar[s]).sqrt() * e for x, s, e in zip(x0, t, eps, strict=True)]
)
agree("q_sample of three digits at three times = by hand", schedule.q_sample(x0, t, eps), by_hand, atol=1e-6)
print("x0", tuple(x0.shape), "  t", tuple(t.shape), "  x_t", tuple(schedule.q_sample(x0, t, eps).shape))

# %% [markdown]
r"""
### Exercise 06.3 · Jump from anywhere (10 minutes)

Samplers need jumps that do not begin at $\mathbf x_0$. Given $\mathbf x_s$, draw $\mathbf x_t$ for a later $t > s$, with the
noise `eps`. What is left of $\mathbf x_s$, and how much noise is *new*?
"""


# %%
def q_between(x_s, s, t, eps, alpha_bar):
    # your code
    ...


check("06.3", q_between)

# %% [markdown]
r"""
## 4 · Schedules

$\beta_1, \dots, \beta_T$ are chosen, not learned. Four schedules, two of them from the lectures' own pages:

| name | $T$ | $\beta$ | from |
|---|---|---|---|
| linear | 1000 | evenly from $10^{-4}$ to $0.02$ | Ho et al. 2020 |
| cosine | 1000 | so that $\sqrt{\bar\alpha_t}$ falls like a cosine | Nichol and Dhariwal 2021 |
| Koirala's demo | 100 | evenly from $10^{-4}$ to $0.05$ | notes, "Forward Trajectory" |
| the slides' | 1000, as DDPM's | evenly from $10^{-4}$ to $0.2$ | "Model choices" |

The cosine schedule starts from the curve that it wants, with $s = 0.008$, and computes the $\beta_t$ from it, cut at 0.999:

$$ \bar\alpha_t = \frac{f(t)}{f(0)}, \qquad f(t) = \cos^2\!\left(\frac{t/T + s}{1 + s}\cdot\frac{\pi}{2}\right) $$

**Predict first.** Two of them are faulty: one never reaches noise, one is there far too early. Which is which?

<details><summary>Answer</summary>

A hundred steps of at most 0.05 are too few: Koirala's $\bar\alpha_T$ is 0.078. And 0.2 is ten times DDPM's last $\beta$, over
just as many steps: the slides' signal is gone after 301 of them.

</details>
"""

# %%
schedules = {
    "linear": NoiseSchedule.linear(),
    "cosine": NoiseSchedule.cosine(),
    "Koirala's demo": NoiseSchedule.linear(100, 1e-4, 0.05),
    "the slides'": NoiseSchedule.linear(1000, 1e-4, 0.2),
}

# %%
f = torch.cos((torch.arange(1001, dtype=torch.float64) / 1000 + 0.008) / 1.008 * math.pi / 2) ** 2
agree("cosine by hand = the library's, t < T", schedules["cosine"].alpha_bar[:-1], (f / f[0])[:-1], atol=1e-12)
agree("at T the cut keeps a thousandth of ᾱ_{T−1}", schedules["cosine"].alpha_bar[-1], f[999] / f[0] / 1000, atol=1e-15)

# %%
# NBVAL_CHECK_OUTPUT
for name, s in schedules.items():
    below = {level: int((s.alpha_bar < level).int().argmax()) or "never" for level in (0.5, 1e-4)}
    print(
        f"{name:15} signal left at T: {s.signal(s.T):.4f}   SNR < 1 from t = {below[0.5]:>3} of {s.T:4}"
        f"   ᾱ < 0.0001 from t = {below[1e-4]}"
    )

# %%
show.use_style()
fig, (left, right) = plt.subplots(1, 2, figsize=(11, 4))
for ax, quantity in ((left, "signal √ᾱ"), (right, "log₁₀ SNR")):
    for dash, (name, s) in zip(("-", "--", "-.", ":"), schedules.items(), strict=True):
        t = torch.arange(1, s.T + 1)
        y = s.signal(t) if quantity == "signal √ᾱ" else s.snr(t).log10()
        ax.plot(t / s.T, y, dash, label=name)
    ax.set(xlabel="t / T", ylabel=quantity)
right.set_ylim(-6, 5)
right.axhline(0, color="0.6", linewidth=1)
left.legend()
show.figure(
    fig,
    "Signal and log signal-to-noise ratio of four schedules over t / T. Cosine falls evenly; linear falls "
    "early; Koirala's ends with 0.28 of the signal left; the slides' loses all of it in the first third.",
)

# %% [markdown]
r"""
Under the linear schedule the noise takes over at $t = 260$: three quarters of the steps work on what is mostly noise. That
is why Nichol and Dhariwal made the cosine schedule, which crosses SNR 1 in the middle.

> **On the slide.** "A *linear* schedule from $\beta_1 = 10^{-4}$ to $\beta_T = 0.2$". DDPM's last $\beta$ is **0.02**. With 0.2
> the signal is gone ($\bar\alpha_t < 10^{-4}$) from $t = 301$ on: 700 of 1,000 network calls would be spent on turning noise
> into noise.

> **On the slide.** Koirala's demo ($T = 100$, $\beta_T = 0.05$) ends with $\sqrt{\bar\alpha_T} = 0.28$ of the image: a model
> that starts from pure noise starts from a distribution in which training images do not end, 2.7 bits off for a digit
> (section 6). It also noises pixels in $[0, 1]$: half the range, so a quarter of the variance against the same noise, and
> a mean near ½ instead of near 0. Use $[-1, 1]$. And its panels, labelled 0, 20, …, are
> taken *after* the step:
"""

# %%
# NBVAL_CHECK_OUTPUT
time_steps = 100
print("labelled:", [i * 20 for i in range(6)])
print("shown:   ", [i + 1 for i in range(time_steps) if i % 20 == 0 or i == time_steps - 1])

# %% [markdown]
r"""
Drag the slider: how far along the way do you still recognise the photo, under each schedule? The curve says how much of
it is left.
"""

# %%
one_eps = torch.randn(photo.shape, generator=torch.Generator().manual_seed(1))


def draw(name, percent):
    s = schedules[name]
    t = max(1, round(s.T * percent / 100))
    fig, (picture, curve) = plt.subplots(1, 2, figsize=(9, 3.8), width_ratios=[1, 1.4])
    show.picture(picture, s.q_sample(photo, t, one_eps)[0])
    picture.set_title(f"t = {t} of {s.T}")
    times = torch.arange(s.T + 1)
    curve.plot(times, s.signal(times), label="signal √ᾱ")
    curve.plot(times, s.noise(times), "--", label="noise √(1 − ᾱ)")
    curve.axvline(t, color="0.6")
    curve.set(xlabel="t", title=f"SNR = {s.snr(t):.2g}")
    curve.legend()
    return fig


# %%
show.widget(
    draw,
    "Left, the photo under the noise of the linear schedule at t = 300; right, its signal falling and its noise rising "
    "over t, with a line at 300.",
    name=ToggleButtons(options=list(schedules), description="schedule"),
    percent=IntSlider(30, 0, 100, description="% of the way", continuous_update=False),
)

# %% [markdown]
r"""
### Exercise 06.4 · Design a schedule backwards (10 minutes)

It is more natural to draw the curve $\bar\alpha_t$ that you want and compute the $\beta_t$ from it; that is how the cosine
schedule was made. Given `alpha_bar` for $t = 0, \dots, T$, return $\beta_1, \dots, \beta_T$.
"""


# %%
def betas_of(alpha_bar):
    # your code
    ...


check("06.4", betas_of)

# %% [markdown]
r"""
## 5 · What happens to a distribution?

Until now one image walked. Now all of them: if $\mathbf x_0$ is drawn from the data's distribution $q(\mathbf x_0)$, then
$\mathbf x_t$ has the distribution

$$ q(\mathbf x_t) = \int q(\mathbf x_t \mid \mathbf x_0)\, q(\mathbf x_0)\,\mathrm d\mathbf x_0 $$

For images nobody knows $q(\mathbf x_0)$, so nobody can compute it. For a mixture of Gaussians anybody can, as in section 3, now
in the plane. Such mixtures will be the ground truth of this course wherever you want to know whether a method is *right*,
not only whether its pictures are nice.
"""

# %%
arms = GaussianMixture(
    mean=[[-1.3, -0.9], [1.2, -1.0], [0.1, 1.3]],
    cov=torch.tensor([[[0.20, 0.15], [0.15, 0.16]], [[0.03, 0.0], [0.0, 0.20]], [[0.30, -0.02], [-0.02, 0.02]]]),
    weight=torch.tensor([0.4, 0.25, 0.35]),
)
stops = [0, 100, 200, 400, 1000]
x0 = arms.sample(250, rng)
eps = torch.randn(x0.shape, generator=rng, dtype=x0.dtype)

# %%
fig, axes = show.plane_axes(len(stops), size=2.3)
for ax, t in zip(axes, stops, strict=True):
    q_t = arms.noised(schedule.signal(t), schedule.noise(t))
    show.density(ax, q_t.log_prob)
    show.points(ax, schedule.q_sample(x0, t, eps), "red", size=4)
    ax.set_title(f"t = {t}")
show.figure(
    fig,
    "Five squares in a row: a density of three separate elongated bumps melts, over t = 0 to 1000, into one "
    "round Gaussian; red samples follow it.",
)

# %% [markdown]
r"""
The blue is the exact density, not a histogram of the red dots. Is it right? Hold it against its definition: average
the kernel $q(\mathbf x_t\mid\mathbf x_0)$ over 100,000 random $\mathbf x_0$, at five places of the plane.
"""

# %%
t, places = 200, torch.tensor([[0.0, 0.0], [-1.0, -0.5], [1.0, -1.0], [0.2, 1.1], [2.0, 2.0]], dtype=torch.float64)
many = arms.sample(100_000, rng)
squares = (places - schedule.signal(t) * many[:, None]).square().sum(-1)
kernel = torch.exp(-squares / (2 * schedule.noise(t) ** 2)) / (2 * math.pi * schedule.noise(t) ** 2)
q_t = arms.noised(schedule.signal(t), schedule.noise(t))
agree_mean("q_t(x) = E over x_0 of the kernel, five places", kernel, q_t.log_prob(places).exp())

# %% [markdown]
r"""
## 6 · When is $\mathbf x_T$ noise?

Sampling will start from $\mathcal N(\mathbf 0, \mathbf I)$, but training images end in $q(\mathbf x_T\mid\mathbf x_0)$. How nearly are the two the
same? The KL divergence measures it, in nats (1 nat is 1.44 bits). For Gaussians it is
$D_{\mathrm{KL}}(\mathcal N(m, v)\,\|\,\mathcal N(0, 1)) = \tfrac12(v + m^2 - 1 - \log v)$, so for each pixel

$$ D_{\mathrm{KL}}\bigl(q(x_T\mid x_0)\,\|\,\mathcal N(0, 1)\bigr) = \tfrac12\bigl(\bar\alpha_T\,(x_0^2 - 1) - \log(1-\bar\alpha_T)\bigr) $$

This is an upper bound on what the start costs a model, which does not know $x_0$. Lesson 07 meets it again, as the term $L_T$.
"""


# %%
def prior_kl(x0, alpha_bar_T):
    return 0.5 * (alpha_bar_T * (x0**2 - 1) - torch.log1p(-alpha_bar_T))


ab_T = schedules["Koirala's demo"].alpha_bar[-1]
# %%
x_T = ab_T.sqrt() * pixel + (1 - ab_T).sqrt() * torch.randn(400_000, generator=rng, dtype=torch.float64)
log_q = -((x_T - ab_T.sqrt() * pixel) ** 2) / (2 * (1 - ab_T)) - 0.5 * (1 - ab_T).log()
log_p = -(x_T**2) / 2
agree_mean("KL by Monte Carlo = closed form, x_0 = 0.7", log_q - log_p, prior_kl(torch.tensor(pixel), ab_T))

# %%
# NBVAL_CHECK_OUTPUT
for name, s in schedules.items():
    kl = prior_kl(digits.train.x0.double(), s.alpha_bar[-1])
    print(
        f"{name:15} {kl.mean():.6f} nats a pixel, {kl.flatten(1).sum(1).mean() / math.log(2):.4f} bits an image of 64 pixels"
    )
print(f"Koirala's, black or white pixels alone: {prior_kl(torch.tensor(1.0), ab_T):.4f} nats a pixel")

# %% [markdown]
r"""
> **On the slide.** Koirala's bound drops this term, since it has "no learnable parameter", and keeps the sign
> $-\log p_\theta \le$. A term that is at least 0 may be dropped from a loss, but not from a bound: without it the inequality
> fails wherever the rest is tight to less than $L_T$, which with the notes' own schedule is up to 0.04 nats a pixel.

### Exercise 06.5 · What is left, in bits (15 minutes)

Return the KL above for **each image** of a batch `x0` $(n, c, h, w)$, in bits: the sum over its pixels, divided by $\log 2$.
"""


# %%
def prior_bits(x0, alpha_bar_T):
    # your code
    ...


check("06.5", prior_bits)

# %% [markdown]
r"""
### Exercise 06.6 · Repair the demo's schedule (20 minutes)

Keep $T$ and the first $\beta$, and find the last $\beta$ of a linear schedule that reaches $\bar\alpha_T$ = `goal`, to a thousandth
of `goal`. There is no formula for it; $\bar\alpha_T$ falls as the last $\beta$ grows, so you can close in from both sides.
"""


# %%
def last_beta(T, first, goal):
    # your code
    ...


check("06.6", last_beta)

# %% [markdown]
r"""
## 7 · Why small steps? So that the way back is Gaussian

The way out is Gaussian because we made it so. The way back is what a network must learn, and by Bayes it is

$$ q(x_{t-1} \mid x_t) = \frac{q(x_t \mid x_{t-1})\; q(x_{t-1})}{q(x_t)}, $$

with the unknown density of the data in it. DDPM will model it by a Gaussian. May it? For a mixture we know all three
factors, so we can look. First make sure of the tool: `posterior` against Bayes' formula on a grid.
"""


# %%
def way_back(x_t, beta):
    """q(x_{t-1} | x_t) for one number x_t, exactly."""
    return start.posterior(torch.tensor([x_t], dtype=torch.float64), math.sqrt(1 - beta), math.sqrt(beta))


x_t, b = 0.2, 0.3
bayes = torch.exp(-((x_t - math.sqrt(1 - b) * grid) ** 2) / (2 * b)) * start.log_prob(grid[:, None]).exp()
bayes = bayes / (bayes.sum() * dx)
agree("posterior of the mixture = Bayes on a grid", way_back(x_t, b).log_prob(grid[:, None]).exp(), bayes, atol=1e-12)

# %% [markdown]
r"""
**Predict first.** $x_{t-1}$ comes from a mixture of three bumps. You see $x_t = -0.3$ after one step with $\beta = 0.5$, or
$0.1$, or $0.01$. Which of the three densities $q(x_{t-1}\mid x_t)$ looks like a Gaussian?

<details><summary>Answer</summary>

Only the last, and even that is a little lopsided. After a large step several bumps could have led to $x_t$, and the answer
keeps all of them. After a small step $x_{t-1}$ must be near $x_t$, and over so short a stretch the logarithm of any smooth
density is nearly a straight line, which only shifts the Gaussian.

</details>
"""


# %%
def matched(p):
    """Mean and standard deviation of a 1-D mixture."""
    mean = (p.weight * p.mean[:, 0]).sum()
    return mean, ((p.weight * (p.cov[:, 0, 0] + p.mean[:, 0] ** 2)).sum() - mean**2).sqrt()


def log_normal(x, mean, std):
    return -0.5 * ((x - mean) / std) ** 2 - (std * math.sqrt(2 * math.pi)).log()


# %%
fig, axes = plt.subplots(1, 3, figsize=(11, 3.4))
for ax, b in zip(axes, (0.5, 0.1, 0.01), strict=True):
    p = way_back(-0.3, b)
    mean, std = matched(p)
    x = mean + std * torch.linspace(-4, 4, 400, dtype=torch.float64)
    ax.plot(x, p.log_prob(x[:, None]).exp(), label="exact")
    ax.plot(x, log_normal(x, mean, std).exp(), "--", label="Gaussian")
    ax.set(title=f"β = {b}", xlabel="x at t − 1", yticks=[])
axes[0].legend()
show.figure(
    fig,
    "Three exact reverse densities beside the Gaussian of same mean and variance: for a step of 0.5 it has three bumps "
    "and does not fit, for 0.1 two bumps, for 0.01 one bump, a little lopsided, which the Gaussian nearly covers.",
)

# %% [markdown]
r"""
How good is "nearly Gaussian"? Measure the KL from the exact reverse density to the best Gaussian, at every $x_t$ of a fine
grid, and average over where $x_t$ falls, for smaller and smaller steps.
"""


# %%
def kl_at(x_t, beta):
    """KL from the exact reverse density at x_t to the Gaussian of the same mean and variance, by quadrature."""
    p = way_back(x_t, beta)
    mean, std = matched(p)
    x = mean + std * torch.linspace(-12, 12, 6001, dtype=torch.float64)
    log_p = p.log_prob(x[:, None])
    return ((log_p.exp() * (log_p - log_normal(x, mean, std))).sum() * (x[1] - x[0])).item()


def reverse_kl(beta):
    x_ts = torch.linspace(-3, 3, 121, dtype=torch.float64)
    q = start.noised(math.sqrt(1 - beta), math.sqrt(beta)).log_prob(x_ts[:, None]).exp()
    return sum(w * kl_at(x, beta) for x, w in zip(x_ts.tolist(), (q / q.sum()).tolist(), strict=True))


# %% [markdown]
r"""
What should come out? For a small step the first thing in which the reverse density differs from a Gaussian is its skewness,
$\beta^{3/2}\,(\log q)'''$ with the third derivative of the log density at $x_t$, and a KL begins with the square of the
skewness over 12. So the average should be

$$ D_{\mathrm{KL}} \approx \tfrac{1}{12}\;\mathbb E\!\left[\bigl((\log q)'''\bigr)^2\right]\beta^3 . $$
"""

# %%
x = torch.linspace(-3, 3, 6001, dtype=torch.float64, requires_grad=True)
log_q = start.log_prob(x[:, None])
third = log_q
for _ in range(3):
    (third,) = torch.autograd.grad(third.sum(), x, create_graph=True)
constant = ((log_q.exp() * third**2).sum() * 0.001 / 12).item()
print(f"theory, for small steps: KL = {constant:.1f} β³")

# %%
steps = [0.5, 0.2, 0.1, 0.05, 0.02, 0.01, 0.005, 0.002, 0.001, 0.0001]
kls = [reverse_kl(b) for b in steps]
theory = [constant * b**3 for b in steps]

ax = show.curves(
    steps, {"exact reverse step": kls, "theory, ∝ β³": theory}, "size of the step β", "KL to a Gaussian, nats", log="xy"
)
ax.set_ylim(1e-10, 2)
show.figure(
    ax.figure,
    "KL from the exact reverse step to the best Gaussian over the step's size, both logarithmic: for small "
    "steps it follows the theory's line of slope 3.",
)

# %%
agree("KL / theory at β = 0.0001, 1 up to terms of order 100 β", kls[-1] / theory[-1], 1.0, atol=0.02)
for b, kl in zip(steps, kls, strict=True):
    if b in (0.5, 0.01, 0.0001):
        print(f"β = {b:<6g} KL {kl:.1e} nats")

# %% [markdown]
r"""
The error falls with the **third power** of the step. Ten times smaller steps need ten times as many, and each is a thousand
times more Gaussian, so over the whole way the error falls a hundredfold. (That is for the *best* Gaussian. With a variance
that is not fitted but fixed at $\beta$, as in DDPM, the error of a step is of order $\beta^2$, and ten times more steps gain
a factor of ten.) Either way small steps win: that is why $T$ is 1000.

> **On the slide.** "The *sampling* chain transitions in the *forward* process can be set to conditional Gaussians when the
> noise level is sufficiently low." The forward transitions are Gaussian at **any** noise level, by definition: that is
> what section 2 checked with $\beta = 0.1$. It is the **reverse** transition that is Gaussian for small $\beta$ only: at
> $\beta = 0.5$ it misses by 0.33 nats, at 0.0001 by less than $10^{-8}$.
"""

# %% [markdown]
r"""
## 8 · Not only Gaussians: the binomial kernel

Koirala mentions that the kernel "can be other distribution as well for example a Binomial distribution": Sohl-Dickstein et
al. (2015) diffused binary sequences with it. It serves for black-and-white images too. A pixel is 0 or 1, and at each step it is replaced by a **fresh coin**
with probability $\beta_t$:

$$ q(x_t = 1 \mid x_{t-1}) = (1-\beta_t)\,x_{t-1} + \tfrac12\beta_t $$

The end is not a Gaussian but a fair coin. And the jump? A pixel is certain to hold its old value only if no coin came in $t$
steps, which has probability $\bar\alpha_t = \prod_i (1-\beta_i)$:

$$ q(x_t = 1 \mid x_0) = \bar\alpha_t\,x_0 + \tfrac12\,(1-\bar\alpha_t) $$

**Predict first.** Why is there no square root here?

<details><summary>Answer</summary>

Because it is *probabilities* that are mixed, and probabilities add without being squared. With Gaussians we mixed *values*,
and what had to come out at 1 was their variance, a square.

</details>
"""

# %%
coin_beta = torch.cat([torch.zeros(1), torch.linspace(0.005, 0.2, 50)]).double()
coin_alpha_bar = (1 - coin_beta).cumprod(0)


def flip_step(x, beta):
    fresh = torch.rand(x.shape, generator=rng) < beta
    coin = (torch.rand(x.shape, generator=rng) < 0.5).to(x.dtype)
    return torch.where(fresh, coin, x)


# %% [markdown]
"""
Check the jump exactly, by multiplying fifty transition matrices, and by simulation on a digit in black and white.
"""

# %%
chain = torch.eye(2, dtype=torch.float64)
for b in coin_beta[1:]:
    chain = chain @ torch.stack([torch.stack([1 - b / 2, b / 2]), torch.stack([b / 2, 1 - b / 2])])
black_white = torch.tensor([0.0, 1.0], dtype=torch.float64)
kernel_1 = coin_alpha_bar[-1] * black_white + (1 - coin_alpha_bar[-1]) / 2
agree("P(x_T = 1 | x_0) by 50 matrices = the kernel, x_0 = 0 and 1", chain[:, 1], kernel_1, atol=1e-14)

# %%
bits = (digits.train.x0[digits.train.label == 0][1, 0] > 0).double()
stops, x = [0, 5, 10, 20, 30, 50], bits.expand(4000, 8, 8)
walks = {0: x}
for t in range(1, 51):
    x = flip_step(x, coin_beta[t])
    walks[t] = x

jump = coin_alpha_bar[20] * bits + (1 - coin_alpha_bar[20]) / 2
agree_mean("4,000 walks of 20 steps = the kernel, 64 pixels", walks[20], jump)

# %%
fig = show.strip([torch.stack([2 * walks[t][0, None].float() - 1 for t in stops])], stops)
show.figure(fig, "A digit in pure black and white dissolves over fifty steps into random black and white pixels.")

# %% [markdown]
r"""
### Exercise 06.7 · Undo one step of the bit-flipping chain (30 minutes)

The reverse step that training will need is $q(x_{t-1}\mid x_t, x_0)$, with $x_0$ known. For bits it takes nothing but Bayes'
rule on two cases. Given tensors `x_t` and `x0` of zeros and ones, return the probability that $x_{t-1} = 1$. (`beta[t]` and
`alpha_bar[t]` are indexed as everywhere, with `alpha_bar[0] = 1`.)
"""


# %%
def bit_posterior(x_t, x0, t, beta, alpha_bar):
    # your code
    ...


check("06.7", bit_posterior)

# %% [markdown]
r"""
Stuck? `hint("06.7")` helps a little, and again a little more; `solution("06.7")` shows ours.

## What to remember

1. One step: $\ \mathbf x_t = \sqrt{1-\beta_t}\,\mathbf x_{t-1} + \sqrt{\beta_t}\,\boldsymbol\epsilon$. The factor keeps the variance at 1 and makes
   the process forget.
2. Any step at once: $\ \mathbf x_t = \sqrt{\bar\alpha_t}\,\mathbf x_0 + \sqrt{1-\bar\alpha_t}\,\boldsymbol\epsilon$, with
   $\bar\alpha_t = \prod_{i\le t}(1-\beta_i)$. Signal and noise, and nothing else.
3. The way back, $\ q(\mathbf x_{t-1}\mid\mathbf x_t)$, is Gaussian only for small $\beta_t$: its KL to the best Gaussian is of order
   $\beta_t^3$.

Lesson 07 turns this into a loss: it writes the bound on $\log p(\mathbf x_0)$ for this chain, line by line, until a single squared
error is left.

## References

- Das and Varma, *Image Generation Using Diffusion Models*; S. Varma, lecture 19; B. Koirala, *Diffusion Models* (notes,
  2022); S. Velasco-Forero, *Introduction to Diffusion Models* (2023); slides *Diffusion Models*.
- Sohl-Dickstein, Weiss, Maheswaranathan, Ganguli: *Deep Unsupervised Learning using Nonequilibrium Thermodynamics*, 2015.
- Ho, Jain, Abbeel: *Denoising Diffusion Probabilistic Models*, 2020.
- Nichol, Dhariwal: *Improved Denoising Diffusion Probabilistic Models*, 2021.
- Photos: china by danielbuechele, CC BY 2.0. Digits: Alpaydin and Kaynak, 1998, CC BY 4.0.
"""
