# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
# ---

# %% [markdown]
r"""
# 00 · Start here: from noise to images

**After this tour you have**
- checked your machine;
- watched handwritten digits appear out of pure noise, made by a model that this course trained on real digits;
- trained a diffusion model of your own, in the plane, in seconds;
- solved your first exercise.

**Before:** some Python, and what a mean and a variance are. **Time:** ten minutes to read and run, twenty-five more
with the four exercises. **Follows:** the introductions of all five texts; each later lesson says which pages.

Run a cell with Shift+Enter. What you see below each cell is what it printed when the course was last tested; run it
yourself, change it, break it. Nothing here can harm anything.
"""

# %% [markdown]
"""
## The way through the course

| | lesson | what it builds on |
|---|---|---|
| **00** | **start here** | |
| **01** | **latent variables: mixtures, PCA, autoencoders** | |
| **01b** | **other ways** | 01 |
| **02** | **the ELBO** | 01 |
| **03** | **variational autoencoders** | 02 |
| **03b** | **deeper VAEs** | 03 |
| **04** | **normalizing flows** | 01 |
| **04b** | **energy-based models** | 04 |
| **05** | **GANs: the minimax game** | 01 |
| **05b** | **GANs in practice** | 05 |
| **06** | **forward diffusion: from images to noise** | 02 |
| **07** | **the DDPM loss, derived** | 03, 06 |
| **08** | **the U-Net** | 07 |
| **09** | **sampling: DDPM, DDIM, scores and ODEs** | 07 |
| 10 | latent diffusion | 03, 05, 09 |
| 11 | conditional diffusion and guidance | 09, 10 |
| 12 | text to image | 10, 11 |
| 13 | flow matching, where the field went next | 09 |
| 14 | scaling up | 09 |
| 15 | the scoreboard: all models on one scale | 03–13 |
| 16 | the debugging clinic | 09 |

The lessons in bold are here; the others are being written. In a hurry to see diffusion? Take 00, then 06 to 09.
"""

# %% [markdown]
"""
## 1 · Your machine

The doctor says what you have, and, where something is missing, how to get it. (In a terminal: `course doctor`.)
"""

# %%
from course_lib import doctor

ready = doctor.examine()

# %% [markdown]
r"""
## 2 · From noise to digits

The data: 1,797 real handwritten digits of $8\times 8$ pixels with 17 grey levels, published in 1998. Small enough to
train on with a laptop, real enough that everything that matters happens. Every picture of the course is a tensor with
values in $[-1, 1]$, channels first.
"""

# %%
import matplotlib.pyplot as plt
import torch
from ipywidgets import IntSlider

from course_lib import data, show
from course_lib.diffusion import Denoiser, NoiseSchedule, V, last, sample
from course_lib.exercises import check, hint, solution
from course_lib.nets import MLP
from course_lib.training import load_trained

digits = data.load("digits")
print("to train on:", tuple(digits.train.x0.shape), "  held out:", tuple(digits.held_out.x0.shape))

# %%
fig = show.grid(digits.train.x0[:48], columns=16, width=9)
show.figure(fig, "Three rows of sixteen real handwritten digits, grey on black, eight by eight pixels each.")

# %% [markdown]
r"""
A diffusion model is a network that looks at a noisy picture and says what the clean one might be. This one comes with the
course. It has never seen the held-out digits, and it was trained in minutes on two processor cores.
"""

# %%
trained = load_trained("ddpm-digits")
denoiser = trained.model
print(f"{sum(p.numel() for p in denoiser.parameters()):,} weights, {trained.step:,} training steps")
for setting, measured in trained.card["metrics"].items():
    print(f"{setting}:  FD ratio {measured['fd_ratio']:.2f} ± {measured['spread']:.2f}")

# %% [markdown]
r"""
The **FD ratio** (of two Fréchet distances) is how far its images are from unseen real digits, in units of how far the real
training digits are from them: 1.0 would be "as close as real ones are". After ± stands the spread over ten draws of 500
images; `steps` are the network calls an image. Lesson 15 measures every model of the course like this.

Now start from 32 pictures of pure noise at the time $t = 1000$, and go down to $t = 0$ in 50 steps, asking the network
before each. With `eta=0` no new noise is added on the way (this is DDIM; with `eta=1` it is DDPM; lesson 09).
"""

# %%
rng = torch.Generator().manual_seed(0)
x_T = torch.randn(32, 1, 8, 8, generator=rng)
times = denoiser.schedule.times(50)
states = list(sample(denoiser, x_T, times, eta=0.0))

fig = show.grid(states[-1].x_t, columns=16, width=9)
show.figure(fig, "Two rows of sixteen generated digits; most can be read, and they look much like the real ones above.")

# %% [markdown]
r"""
**Predict first.** At the very beginning the network sees noise and nothing else. It still has to answer what the clean
picture might be. What does it answer?

<details><summary>Answer</summary>

The same grey blur for all 32: the **mean of all digits**. Where nothing can be seen, no other guess has a smaller expected
squared error. Which digit it becomes is decided only on the way. See it in the slider's first positions.

</details>

Drag the slider from 0 to 50: left is $\mathbf x_t$, what the sampler holds; right is $\hat{\mathbf x}_0$, the clean picture that the
network believes in at that moment.
"""


# %%
def moment(step):
    x_t = x_T if step == 0 else states[step - 1].x_t
    guess = states[min(step, 49)].x0
    fig, axes = plt.subplots(1, 2, figsize=(9, 2.7), gridspec_kw={"wspace": 0.12})
    for ax, images, title in ((axes[0], x_t, f"held, t = {times[step]}"), (axes[1], guess, "believed: x̂₀")):
        show.picture(ax, show.tiles(images[:18], columns=6))
        ax.set_title(title)
    return fig


show.widget(
    moment,
    "Left, eighteen pictures that are still half noise, after 25 of 50 steps; right, the digits that the network "
    "believes it sees in them, already readable.",
    step=IntSlider(25, 0, 50, description="step"),
)

# %%
mean_digit = digits.train.x0.mean(0)
first = (states[0].x0 - mean_digit).square().mean((1, 2, 3)).sqrt()
final = (states[-1].x0 - mean_digit).square().mean((1, 2, 3)).sqrt()
print(
    f"distance from the mean digit, RMS a pixel:  first guesses at most {first.max():.2f}, final digits {final.mean():.2f}"
)
assert first.max() < final.min()

# %% [markdown]
r"""
## 3 · Train one yourself

Points in the plane are pictures with two pixels: everything is the same, and you can see all of it. Here are the two
half moons. The network is a small perceptron, and the loss is the one that the whole course is about: add noise, ask the
network what is data and what is noise in the mixture, take the squared error. (It answers with one combination of data and
noise, called $v$, from which both follow; lesson 07 derives it.)
"""

# %%
points = data.load("moons").train.x0
torch.manual_seed(0)
model = Denoiser(MLP(dim=2, width=128, depth=3), NoiseSchedule.cosine(), target=V)
optimizer = torch.optim.AdamW(model.parameters(), lr=5e-3)
print(f"{len(points):,} points, {sum(p.numel() for p in model.parameters()):,} weights")

# %%
noise = torch.randn(800, 2, generator=torch.Generator().manual_seed(1))


def snapshot():
    """Where the model takes the noise now, in 40 steps."""
    return last(sample(model, noise, model.schedule.times(40), eta=0.0))


def draw(history):
    fig, axes = show.plane_axes(5, extent=2.6, size=2.3)
    for ax, (step, x, loss) in zip(axes, history, strict=False):
        show.points(ax, x)
        ax.set_title(f"step {step}" + (f", loss {loss:.2f}" if step else ""), fontsize=12)
    return fig


# %% [markdown]
"""
The next cell is the whole training. Watch the noise take shape: the picture is drawn anew four times while it runs.
"""

# %%
watch = show.live(
    "Five squares: a round cloud of points before training turns, over 4,000 steps, into two interleaved half moons."
)
history, losses = [(0, noise, 0.0)], []
watch(draw(history))

for step in range(1, 4001):
    optimizer.param_groups[0]["lr"] = 5e-3 * (1 - step / 4001)
    batch = points[torch.randint(len(points), (256,), generator=rng)]
    loss = model(batch, generator=rng)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    losses.append(loss.item())
    if step in (100, 500, 1500, 4000):
        history.append((step, snapshot(), sum(losses[-100:]) / 100))
        watch(draw(history))

# %% [markdown]
r"""
Did it learn the moons, or does it only look like it? Measure both ways: how far generated points are from the nearest real
ones (is all of it real?), and how far held-out real points are from the nearest generated ones (is all that is real in
it?). A model that has learned nothing but one point would be perfect in the first and fail in the second.
"""


# %%
def nearest(x, y):
    return torch.cdist(x, y).min(1).values.mean().item()


generated, held_out = history[-1][1], data.load("moons").held_out.x0
for name, x in (("noise", noise), ("generated", generated), ("real", points[:800])):
    print(
        f"{name:10} to real points {nearest(x, points[800:]):.3f},   held-out points to it {nearest(held_out, x):.3f}"
    )

# %%
assert nearest(generated, points[800:]) < 0.25 * nearest(noise, points[800:])
assert nearest(held_out, generated) < 1.5 * nearest(held_out, points[:800])

# %% [markdown]
r"""
Why the loss does not go to 0: nobody can tell for certain which noise was added to a point. Lesson 07 computes the lowest
loss that any network can reach.

Turn the knobs: another set from `data.TOYS`, `width=16`, 2 steps of sampling, `eta=1.0`.
"""

# %% [markdown]
r"""
## 4 · How exercises work

An exercise is a function with its body missing. Fill it in, run the cell, and `check` says whether it is right, or what
is wrong with it. `hint("00.1")` gives a hint, and another one when you call it again; `solution("00.1")` shows ours. Nothing
later in a notebook depends on your answers.

<details><summary>Where this notebook lies, and how you get another one</summary>

It is your own copy, in the folder `my`. Where the course changes a lesson, the next `course lab` brings the news into your
copy and keeps what you wrote. In a terminal, `course progress` says how far you are, and `course reset 00` starts this
lesson anew.

</details>
"""

# %% [markdown]
r"""
### Exercise 00.1 · From grey levels to the scale of the models (5 minutes)

The digits come as grey levels 0 … 16. Return them in $[-1, 1]$: 0 becomes −1, and 16 becomes 1.
"""


# %%
def to_model_scale(levels):
    # your code
    ...


check("00.1", to_model_scale)

# %% [markdown]
r"""
### Exercise 00.2 · Mix an image with noise (5 minutes)

`x0` and `eps` have variance 1 and are independent. Return `signal` times `x0` plus just enough `eps` that the variance of
the sum is 1 again. (Lesson 06 is built on this line.)
"""


# %%
def noisy(x0, eps, signal):
    # your code
    ...


check("00.2", noisy)

# %% [markdown]
r"""
### Exercise 00.3 · Take the noise out again (5 minutes)

Somebody gives you `x_t`, mixed as in 00.2, and tells you `eps`. Return `x0`. (A diffusion network does just that, only that
it has to guess `eps`.)
"""


# %%
def denoised(x_t, eps, signal):
    # your code
    ...


check("00.3", denoised)

# %% [markdown]
r"""
### Exercise 00.4 · The best guess when nothing can be seen (10 minutes)

You must name one picture, before you know which digit is meant, and pay the squared difference. Given all training digits
`x0` of shape $(n, 1, 8, 8)$, return the picture with the smallest expected cost.
"""


# %%
def best_guess(x0):
    # your code
    ...


check("00.4", best_guess)

# %% [markdown]
r"""
## What to remember

1. Mixing with noise is easy: $\ \mathbf x_t = \text{signal}\cdot\mathbf x_0 + \text{noise}\cdot\boldsymbol\epsilon$, with
   $\text{signal}^2 + \text{noise}^2 = 1$.
2. A network learns to undo it, by nothing but a squared error, for instance
   $\lVert\boldsymbol\epsilon - \hat{\boldsymbol\epsilon}(\mathbf x_t, t)\rVert^2$.
3. Asked again and again, from $t = T$ down to 0, it turns noise into data: at each step, from what it believes of both,
   $\mathbf x_s = \text{signal}_s\,\hat{\mathbf x}_0 + \text{noise}_s\,\hat{\boldsymbol\epsilon}$.

Go on with lesson 01, or with 06, where the first line is taken apart.

## References

- Ho, Jain, Abbeel: *Denoising Diffusion Probabilistic Models*, 2020. Song, Meng, Ermon: *Denoising Diffusion Implicit
  Models*, 2021.
- Digits: Alpaydin and Kaynak, *Optical Recognition of Handwritten Digits*, 1998 (UCI), from scikit-learn, CC BY 4.0.
"""
