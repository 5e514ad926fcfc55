# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
# ---

# %% [markdown]
r"""
# 01 · Latent variables: complicated distributions from simple parts

**After this lesson you can**
- tell a model of $p(y\mid\mathbf x)$ from a model of $p(\mathbf x, y)$, and say why only the second can make anything
  new;
- build three classical generative models of images, and name what each of them destroys;
- write a complicated density as a sum of simple ones, and fit it by EM with every step checked;
- train an autoencoder, read its map, and measure where random codes fail.

**Before:** lesson 00; probability densities, eigenvectors. **Time:** 95 minutes, and 85 more for the seven exercises.
**Follows:** Koirala, "Discriminant Models Vs Generative Models"; Das and Varma, from "Given a set of image samples" to the
superposed Gaussians; Velasco-Forero, "Classical Generative Modeling" and "Autoencoders".
"""

# %%
import matplotlib.pyplot as plt
import torch
from ipywidgets import IntSlider
from torch.nn import functional as F

from course_lib import data, show
from course_lib.agree import agree, agree_mean
from course_lib.exact import GaussianMixture
from course_lib.exercises import check, hint, solution
from course_lib.models import generate
from course_lib.training import load_trained

show.use_style()
rng = torch.Generator().manual_seed(1)
digits = data.load("digits")
x0, label = digits.train.x0, digits.train.label
print("images", tuple(x0.shape), "  labels", tuple(label.shape))

# %% [markdown]
r"""
This is where we are going. A network squeezes each digit into **two numbers**, and another one makes a picture of two
numbers again. On the left every training digit stands where its two numbers put it; on the right is what the second
network draws at each place of the same plane. The two numbers are a *latent variable*: nobody wrote them down, and
yet they say what is in the picture. By the end of the lesson you will know how the map was made, and why you can't
yet use it to make new digits.
"""

# %%
ae = load_trained("autoencoder-digits").model
with torch.no_grad():
    codes = ae.encode(x0)
    axis = torch.linspace(-1, 1, 9)
    drawn = ae.decode(torch.cartesian_prod(-axis, axis).flip(1))

# %% tags=["hide-input"]
fig, (left, right) = plt.subplots(1, 2, figsize=(8.6, 3.9))
for digit in range(10):
    left.scatter(*codes[label == digit].T, marker=f"${digit}$", s=26, linewidths=0.2)
left.set(xlim=(-1.05, 1.05), ylim=(-1.05, 1.05), aspect="equal")
show.picture(right, show.tiles(drawn, 9, gap=1))
for ax in (left, right):
    ax.set(xlabel="first number", ylabel="second number")
show.title(fig, "Two numbers say which digit it is, and how it is written")
show.figure(
    fig,
    "Left, 1,297 small numerals in the plane of codes: most digits have an island of their own, "
    "ones and nines several. Right, the same plane as a mosaic of decoded pictures, in which one "
    "digit turns into the next.",
)

# %% [markdown]
r"""
## 1 · The boundary or the whole

Most of machine learning asks for a label: given $\mathbf x$, which $y$? A **discriminative** model learns
$p(y\mid\mathbf x)$ and nothing else; all it needs is the boundary. A **generative** model learns where the data lie,
$p(\mathbf x, y)$, or $p(\mathbf x)$ where there are no labels. Take the two half moons, where both can be drawn, and
fit one of each kind.
"""

# %%
moons = data.load("moons").train
x, y = moons.x0[:1000].double(), moons.label[:1000]
with_one = torch.cat([x, torch.ones(len(x), 1)], dim=1)
w = torch.zeros(3, dtype=torch.float64, requires_grad=True)
optimizer = torch.optim.LBFGS([w], max_iter=100, tolerance_grad=1e-12)


def logistic_loss():
    optimizer.zero_grad()
    loss = F.binary_cross_entropy_with_logits(with_one @ w, y.double())
    loss.backward()
    return loss


_ = optimizer.step(logistic_loss)

# %% [markdown]
r"""
That was logistic regression, $p(y=1\mid\mathbf x) = \sigma(\mathbf w\cdot\mathbf x + b)$: a straight boundary, found
by gradient descent. At the minimum its residuals are uncorrelated with every input.

The generative model is one Gaussian for each moon, with the moon's mean and covariance. No descent is needed: both
are averages. Its classifier comes for free, from **Bayes' rule**:

$$ p(y\mid\mathbf x) = \frac{p(\mathbf x\mid y)\,p(y)}{\sum_{y'} p(\mathbf x\mid y')\,p(y')} $$
"""

# %%
residual = torch.sigmoid(with_one @ w.detach()) - y
agree("residuals of logistic regression · inputs = 0", residual @ with_one / len(x), 0.0, atol=1e-6)

means = torch.stack([x[y == k].mean(0) for k in (0, 1)])
covs = torch.stack([torch.cov(x[y == k].T, correction=0) for k in (0, 1)])
share = torch.bincount(y) / len(y)
joint = [GaussianMixture(means[[k]], covs[[k]]) for k in (0, 1)]

log_joint = torch.stack([joint[k].log_prob(x) + share[k].log() for k in (0, 1)], dim=1)
posterior = log_joint.softmax(1)

# %% [markdown]
r"""
Dividing by the sum is a softmax over $\log p(\mathbf x, y)$. An independent implementation of the same model is
scikit-learn's quadratic discriminant analysis; the two must give the same probabilities at every point.
"""

# %%
from sklearn.discriminant_analysis import QuadraticDiscriminantAnalysis

theirs = QuadraticDiscriminantAnalysis().fit(x, y).predict_proba(x)
agree("p(y | x) by Bayes' rule = scikit-learn's", posterior, torch.tensor(theirs), atol=1e-6)
for name, answer in (
    ("logistic regression", with_one @ w > 0),
    ("two Gaussians", posterior[:, 1] > 0.5),
):
    print(f"{name:20} classifies {(answer == y).double().mean():.1%} of the points correctly")

# %% [markdown]
r"""
**Predict first.** Now ask both for a new point of the upper moon. The two Gaussians can be sampled. For the other
model, all you can do is to look for a point that it takes for the upper moon with great certainty. Where does that
search end?

<details><summary>Answer</summary>

Nowhere: the farther you walk away from the boundary, the more certain it is. A hundred units away, where no point has
ever been, its certainty is 1.

</details>
"""

# %%
away = w.detach()[:2] / w.detach()[:2].norm() * 100
certain = torch.sigmoid(away @ w.detach()[:2] + w.detach()[2])
to_data = torch.cdist(away[None], x).min()
print(f"p(y = 1 | x) = {certain:.6f}, and the nearest point is {to_data:.0f} away")
assert certain > 0.999999 and to_data > 90

# %%
both = GaussianMixture(means, covs, share)
agree("p(x) = Σ p(x, y)", both.log_prob(x), log_joint.logsumexp(1), atol=1e-6)
new = both.sample(400, rng)
print("samples", tuple(new.shape))

# %% tags=["hide-input"]
fig, axes = show.plane_axes(2, extent=2.6, size=3.4)
show.density(axes[0], lambda p: F.logsigmoid(p @ w.detach()[:2] + w.detach()[2]))
show.density(axes[1], both.log_prob)
for k, marker in ((0, "o"), (1, "^")):
    axes[0].scatter(*x[y == k][:200].T, marker=marker, s=9, color=show.colour("data"))
axes[1].scatter(*new.T, marker="o", s=9, color=show.colour("samples"))
axes[0].set_title("p(y | x), and the data")
axes[1].set_title("p(x), and its samples")
show.title(fig, "The boundary says nothing about where the data lie")
show.figure(
    fig,
    "Left, the two half moons over a shading that only says on which side of a straight line a "
    "point lies. Right, the density of two Gaussians with samples from it, which roughly fill "
    "the place of the moons and the gap between them.",
)

# %% [markdown]
r"""
The generative model can do more: classify, sample, and say how probable a point is. It also **assumes** more, and you
see the price: moons are not Gaussian, so some of its samples lie where no data are. That is the theme of this lesson,
and of the whole course: which assumption makes $p(\mathbf x)$ simple enough to learn, and what does it destroy?

## 2 · Naive Bayes: every pixel on its own

Images have many numbers. The boldest assumption of all: once you know the class, the pixels are **independent**,

$$ p(\mathbf x, y) = p(y)\,\prod_{i=1}^{64} p(x_i\mid y) $$

Then each pixel needs only a table, ten classes by 17 grey levels, and learning is counting.
"""

# %%
level = ((x0.flatten(1) + 1) * 8).round().long()
counts = torch.zeros(10, 64, 17)
for k in range(10):
    counts[k] = F.one_hot(level[label == k], 17).sum(0)
table = (counts + 0.1) / (counts + 0.1).sum(-1, keepdim=True)
print("tables", tuple(table.shape), f"  P(pixel 20 is black | a zero) = {table[0, 20, 0]:.2f}")

# %% [markdown]
r"""
The 0.1 keeps a grey value that never occurred from being impossible (Laplace's smoothing). To classify an unseen
digit, add the logarithms of 64 table entries for each class; scikit-learn's `CategoricalNB` does the same sums.
"""

# %%
from sklearn.naive_bayes import CategoricalNB

unseen, truth = digits.held_out.x0, digits.held_out.label
seen_levels = ((unseen.flatten(1) + 1) * 8).round().long()
of_class = [table[k][torch.arange(64), seen_levels].log().sum(1) for k in range(10)]
log_joint = torch.stack(of_class, dim=1).double() + (torch.bincount(label) / len(label)).log()

theirs = CategoricalNB(alpha=0.1, min_categories=17).fit(level, label).predict_proba(seen_levels)
agree("p(y | x) = scikit-learn's", log_joint.softmax(1), torch.tensor(theirs), atol=1e-4)

# %%
accuracy = (log_joint.argmax(1) == truth).float().mean()
print(f"{accuracy:.1%} of the unseen digits are recognized")
assert accuracy > 0.8

# %% [markdown]
r"""
As a classifier it does well. **Predict first:** what do its samples look like, when each pixel is drawn on its own?

<details><summary>Answer</summary>

Each pixel has the right distribution of grey values, and you can still guess the class. But a stroke is many pixels
that are bright *together*, and nothing tells one pixel what its neighbour did.

</details>
"""

# %%
naive = load_trained("naive-bayes-digits").model
agree("the course's tables = ours", naive.log_level.exp(), table, atol=1e-5)
classes = torch.arange(10).repeat(2)
samples = generate(naive, 20, seed=1, cond=classes)
real = torch.stack([x0[label == k][1] for k in range(10)])

# %% tags=["hide-input"]
both_rows = torch.cat([real, samples])
fig = show.grid(both_rows, columns=10, width=8, title="Right grey values, and no strokes")
show.figure(
    fig,
    "Above, one real digit of each class; below, two samples of naive Bayes of each class: "
    "speckled clouds in roughly the shape of the digit.",
)

# %% [markdown]
r"""
What was destroyed is easy to measure: the correlation of each pixel with the one below it, within a class.
"""


# %%
def neighbours(images, label):
    """The mean correlation, within a class, of a pixel with the one below it."""
    found = []
    for k in range(10):
        inside = images[label == k] - images[label == k].mean(0)
        a, b = inside[..., :-1, :].flatten(), inside[..., 1:, :].flatten()
        found.append((a * b).mean() / (a.square().mean() * b.square().mean()).sqrt())
    return torch.stack(found).mean().item()


many = torch.arange(2000) % 10
correlation = {
    "real": neighbours(x0, label),
    "naive Bayes": neighbours(generate(naive, 2000, cond=many), many),
}
print({name: round(value, 2) for name, value in correlation.items()})
assert correlation["real"] > 0.35 and abs(correlation["naive Bayes"]) < 0.03

# %% [markdown]
r"""
**So far:** a generative model is a joint distribution. Its assumption makes it learnable, and decides what its
samples lack.

## 3 · One Gaussian for all pixels

The next assumption lets the pixels depend on each other, but only in the simplest way: all of them together are **one
Gaussian** with mean $\boldsymbol\mu$ and covariance $\mathbf C$. Its axes are the eigenvectors of $\mathbf C$, and to
use only the $k$ longest is *principal component analysis*, PCA. As a generative model (Tipping and Bishop, 1999):

$$ \mathbf x = \boldsymbol\mu + \mathbf W\mathbf z + \sigma\,\boldsymbol\epsilon, \qquad
   \mathbf z\sim\mathcal N(\mathbf 0,\mathbf I_k), \quad \boldsymbol\epsilon\sim\mathcal N(\mathbf 0,\mathbf I_{64}) $$

Here is the first **latent variable** of the course: $\mathbf z$, $k$ numbers that nobody observed and from which the
picture follows, up to a little noise.
"""

# %%
flat = x0.flatten(1).double()
mu, C = flat.mean(0), torch.cov(flat.T, correction=0)
variance, direction = torch.linalg.eigh(C)
variance, direction = variance.flip(0), direction.flip(1)
z = (flat - mu) @ direction

agree(
    "the variance along each direction = its eigenvalue", z.square().mean(0), variance, atol=1e-10
)
agree(
    "along different directions: uncorrelated",
    (z.T @ z / len(z)).fill_diagonal_(0),
    0.0,
    atol=1e-10,
)
print(f"{variance[:10].sum() / variance.sum():.0%} of the variance lies in 10 of 64 directions")

# %% [markdown]
r"""
With $\mathbf W = \mathbf U_k(\boldsymbol\Lambda_k - \sigma^2)^{1/2}$, and $\sigma^2$ set to the mean of the discarded
eigenvalues, the model's covariance $\mathbf W\mathbf W^\top + \sigma^2\mathbf I$ keeps the $k$ large eigenvalues and
evens out the small ones. This choice maximizes the likelihood; scikit-learn's PCA scores data by it. `PCAGaussian` is
that model, and the one that ships was fitted to digits whose grey values were spread over their bins, with $k = 20$.
Its density against SciPy's:
"""

# %%
from scipy.stats import multivariate_normal

k = 20
sigma2 = variance[k:].mean()
W = direction[:, :k] * (variance[:k] - sigma2).sqrt()
C_model = W @ W.T + sigma2 * torch.eye(64)
kept = torch.cat([variance[:k], sigma2.expand(64 - k)])
agree("eigenvalues: k kept, then σ²", torch.linalg.eigvalsh(C_model).flip(0), kept, atol=1e-8)

from sklearn.decomposition import PCA

of_sklearn = PCA(k).fit(flat).score_samples(flat)  # it divides by N - 1 where we divide by N
n = len(flat)
ours = multivariate_normal(mu, C_model * n / (n - 1)).logpdf(flat)
agree("log p(x) = scikit-learn's maximum", torch.tensor(ours), torch.tensor(of_sklearn), atol=1e-4)

# %%
pca = load_trained("pca-gaussian-digits").model
W = pca.directions * (pca.variances - pca.sigma2).sqrt()
theirs = multivariate_normal(pca.mean, W @ W.T + pca.sigma2 * torch.eye(64)).logpdf(flat)
ours = pca.log_prob(x0.double())
agree("log p(x) of all digits = SciPy's", ours, torch.tensor(theirs), atol=1e-3)

# %%
from course_lib.models import PCAGaussian

rows = [mu.reshape(1, 1, 8, 8).float().repeat(10, 1, 1, 1)]
for k in (2, 10, 40):
    model = PCAGaussian((1, 8, 8), k, levels=17)
    model.fit(x0, None, torch.Generator().manual_seed(0))
    rows.append(generate(model, 10, seed=3, noise=0.0).clamp(-1, 1))

# %% tags=["hide-input"]
fig, axes = plt.subplots(4, 1, figsize=(8, 3.3))
for ax, row, name in zip(axes, rows, ("the mean", "k = 2", "k = 10", "k = 40"), strict=True):
    show.picture(ax, show.tiles(row, 10))
    ax.set_ylabel(name, rotation=0, ha="right", va="center")
show.title(fig, "More directions, more detail, and hardly a digit")
show.figure(
    fig,
    "Four rows of ten pictures: the mean digit ten times, then samples with 2, 10 and 40 "
    "directions. They become richer, with soft strokes, but hardly one can be read.",
)

# %% [markdown]
r"""
Do more pixels help? Here is the same model on MNIST: 60,000 digits of $28\times 28$ pixels, 100 directions. (The
fitted model comes with the course. The data don't; `data.load("mnist")` fetches them where there is a network.)
"""

# %%
big = load_trained("pca-gaussian-mnist").model
share_kept = big.variances.sum() / (big.variances.sum() + (big.dim - 100) * big.sigma2)
print(f"100 of {big.dim} directions hold {share_kept:.0%} of the variance")
centre = big.mean.view(1, 1, 28, 28)
walk = centre + torch.linspace(-2.5, 2.5, 10).view(10, 1, 1, 1) * (
    big.variances[0].sqrt() * big.directions[:, 0]
).view(1, 1, 28, 28)

# %% tags=["hide-input"]
rows = torch.cat([walk.clamp(-1, 1), generate(big, 20, seed=0, noise=0.0)])
fig = show.grid(rows, columns=10, width=8.5, title="A walk along one direction, and samples")
show.figure(
    fig,
    "Above, ten pictures along the first principal direction, from a one to a zero. Below, two "
    "rows of samples: soft strokes as if written one over the other, of which hardly any is a "
    "digit.",
)

# %% [markdown]
r"""
Strokes are back, since neighbours vary together. (The pictures are points of the plane,
$\boldsymbol\mu + \mathbf W\mathbf z$, without the noise.) But hardly any is a digit. The reason is the shape of a
Gaussian: **one hill**. Along every line $\log p$ is a parabola that opens downwards, so at the middle of two points
it is at least the average of both. Between a one and a zero the truth has a valley. Does the model?
"""

# %%
first, second = torch.randperm(len(x0), generator=rng)[:1200].view(2, 600)
differ = label[first] != label[second]
a, b = x0[first[differ]].double(), x0[second[differ]].double()
log_a, log_b, log_middle = pca.log_prob(a), pca.log_prob(b), pca.log_prob((a + b) / 2)
assert (log_middle >= (log_a + log_b) / 2).all()
above = (log_middle > torch.maximum(log_a, log_b)).double().mean()
print(f"{above:.0%} of the averages of two different digits are more probable than either")
assert above > 0.9

# %% [markdown]
r"""
### Why not simply count?

One dimension needs no assumption: make a histogram. In $d$ dimensions a histogram with 5 bins per axis has $5^d$
cells, and the digits have $5^{64}\approx 5\cdot 10^{44}$. The **curse of dimensionality** as a number: draw 1,297
points, as many as we have digits, from a distribution that is uniform over the cells, and measure how far the
histogram is from the truth. The distance is the total variation, half the sum of all differences: 0 is the same, 1
has nothing in common.
"""


# %%
def histogram_error(d, n=1297, bins=5):
    """The total variation between the histogram of n points and the truth, bins^d equal cells."""
    cells = torch.randint(bins**d, (n,), generator=rng)
    seen = torch.bincount(cells)
    seen = seen[seen > 0] / n
    unseen_mass = 1 - len(seen) / bins**d
    return 0.5 * ((seen - bins**-d).abs().sum() + unseen_mass).item()


dimensions = list(range(1, 11))
errors = torch.tensor([[histogram_error(d) for d in dimensions] for _ in range(5)])
print([f"{d}: {e:.2f}" for d, e in zip(dimensions, errors.mean(0).tolist(), strict=True)])
assert errors[:, 1].max() < 0.1 and errors[:, 6:].min() > 0.97

# %% tags=["hide-input"]
ax = show.curves(dimensions, {"samples": errors.mean(0)}, "dimension", "total variation")
ax.set(ylim=(0, 1.05))
show.title(ax, "Counting fails from five dimensions on")
show.figure(
    ax.figure,
    "The distance between a histogram of 1,297 points and the truth over the dimension: near 0 "
    "in one and two, two thirds in five, and 1 from eight dimensions on.",
)

# %% [markdown]
r"""
**So far:** independent pixels lose the strokes, one Gaussian loses the classes, and counting loses everything once
there are more than a few dimensions.

## 4 · A sum of simple ones

Das and Varma's idea: let a latent variable $z$ do the hard part. Once you know $z$, the rest is simple, and the
complicated density is a **sum of simple ones**:

$$ p(\mathbf x) = \int p(\mathbf x\mid z)\,p(z)\,\mathrm dz \qquad\text{or}\qquad p(\mathbf x) = \sum_z p(z)\,\mathcal N(\mathbf x;\boldsymbol\mu_z,\mathbf C_z) $$

(They write $q$ for $p$.) On the right $z$ is one of a few values, and this is a **Gaussian mixture**. Das and Varma's
example is a face: gender, hair colour, and age are $z$, and once you know them, a network says what the picture may
look like.
"""

# %% tags=["hide-input"]
sheet = show.Drawing(9.6, 2.7, "Two steps make a sample: draw z, then x once you know z")
z_node, x_node = sheet.circle(1.2, 1.5, "$z$"), sheet.circle(4.6, 1.5, "$x$", observed=True)
sheet.arrow(z_node.right, x_node.left, r"$p(x\mid z)$, simple")
sheet.arrow(x_node.bottom, z_node.bottom, "Bayes", curve=-0.3, dashed=True, below=True)
sheet.text(1.2, 2.15, "prior $p(z)$, simple")
sheet.text(4.6, 2.15, "$p(x)$, complicated")
what_z_is = {"mixture": "which bell", "PCA": "which place", "diffusion": "noisy images"}
for i, (name, what) in enumerate(what_z_is.items()):
    sheet.text(6.4, 1.95 - 0.6 * i, f"{name}:", ha="left")
    sheet.text(7.7, 1.95 - 0.6 * i, what, "signal", ha="left")
show.figure(
    sheet.fig,
    "A circle z, an arrow to a grey circle x, and a dashed one back, Bayes. Beside it what z is: "
    "a mixture's bell, PCA's place in the plane, diffusion's noisy images.",
)

# %% [markdown]
r"""
The model of section 3 is of this kind, with an integral: once you know $\mathbf z$, the picture is a Gaussian around
$\boldsymbol\mu + \mathbf W\mathbf z$. In one dimension you can do the integral by a sum over a fine grid, and the
covariance $\mathbf W\mathbf W^\top + \sigma^2\mathbf I$ comes out of it:
"""

# %%
from torch.distributions import Normal

W_1, sigma_1, x_1 = 0.8, 0.3, torch.tensor([-1.5, 0.2, 0.9], dtype=torch.float64)
z_1, zero = torch.linspace(-9, 9, 20_001, dtype=torch.float64), torch.zeros(1, dtype=torch.float64)
log_product = Normal(W_1 * z_1, sigma_1).log_prob(x_1[:, None]) + Normal(zero, 1).log_prob(z_1)
by_sum = torch.trapezoid(log_product.exp(), z_1)
by_formula = Normal(zero, (W_1**2 + sigma_1**2) ** 0.5).log_prob(x_1).exp()
agree("∫ p(x | z) p(z) dz = N(0, W² + σ²)", by_sum, by_formula, atol=1e-10)

# %% [markdown]
r"""
Back to a sum of a few. Take a complicated density that comes from nature: the brightness of the pixels of a photo.
How many bells does it take?
"""

# %%
photo = data.load("photos").train.x0[0].mean(0)
pixels = photo.flatten()[torch.randperm(photo.numel(), generator=rng)[:3000]].double()[:, None]
grid = torch.linspace(-1.1, 1.1, 441, dtype=torch.float64)[:, None]
print("pixels", tuple(pixels.shape), f"  brightness {pixels.min():.2f} … {pixels.max():.2f}")

# %% [markdown]
r"""
To fit a mixture you need to know which bell each pixel came from, and to know that you need the bells. **EM**
(expectation, maximization) breaks the circle: guess the bells, and repeat two steps.

E: how much is each bell *responsible* for each point? That is Bayes' rule again,

$$ r_{nz} = p(z\mid\mathbf x_n) = \frac{p(z)\,\mathcal N(\mathbf x_n;\boldsymbol\mu_z,\mathbf C_z)}{\sum_{z'} p(z')\,\mathcal N(\mathbf x_n;\boldsymbol\mu_{z'},\mathbf C_{z'})} $$
"""


# %%
def log_joint_of(x, weight, mean, cov):
    """log p(z) N(x; mean_z, cov_z) for every point and component: (n, components)."""
    normal = torch.distributions.MultivariateNormal(mean, cov)
    return normal.log_prob(x[:, None]) + weight.log()


def e_step(x, weight, mean, cov):
    return log_joint_of(x, weight, mean, cov).softmax(1)


# %% [markdown]
r"""
M: with the responsibilities taken as given, the best bells are averages, in which each point counts as much as the
bell is responsible for it:

$$ N_z = \sum_n r_{nz},\qquad p(z) = \frac{N_z}{N},\qquad \boldsymbol\mu_z = \frac1{N_z}\sum_n r_{nz}\,\mathbf x_n,\qquad
   \mathbf C_z = \frac1{N_z}\sum_n r_{nz}\,(\mathbf x_n-\boldsymbol\mu_z)(\mathbf x_n-\boldsymbol\mu_z)^\top $$
"""


# %%
def m_step(x, r):
    N = r.sum(0)
    mean = r.T @ x / N[:, None]
    away = x[:, None] - mean  # (n, components, dimension)
    cov = torch.einsum("nz,nzi,nzj->zij", r, away, away) / N[:, None, None]
    return N / len(x), mean, cov


# %%
def start_at(x, components, seed):
    """Equal weights, random data points as means, and the covariance of all the data."""
    rows = torch.randperm(len(x), generator=torch.Generator().manual_seed(seed))[:components]
    cov = torch.cov(x.T).reshape(1, x.shape[1], x.shape[1])
    return torch.full_like(x[rows, 0], 1 / components), x[rows], cov.repeat(components, 1, 1)


def fit(x, components, rounds=50, seed=0):
    """EM from data points as means; the parameters, and the log-likelihood before each round."""
    found, heights = start_at(x, components, seed), []
    for _ in range(rounds):
        heights.append(log_joint_of(x, *found).logsumexp(1).mean().item())
        found = m_step(x, e_step(x, *found))
    return found, torch.tensor(heights)


# %% [markdown]
r"""
Each round must make the data **more probable**, always (lesson 02 proves it). That catches many mistakes, but not
all: an EM that forgets to update its weights rises, too. So an independent implementation, from the same start, must
arrive at the same values.
"""

# %%
points = data.load("eight_gaussians").train.x0[:2000].double()
(weight, mean, cov), heights = fit(points, 8, rounds=30, seed=4)
assert (heights.diff() > -1e-12).all(), "EM never goes down"

# %%
import warnings

from sklearn.mixture import GaussianMixture as Theirs

w_0, mean_0, cov_0 = start_at(points, 8, seed=4)
start = {"weights_init": w_0, "means_init": mean_0, "precisions_init": torch.linalg.inv(cov_0)}
theirs = Theirs(8, reg_covar=0, max_iter=30, tol=0, **start)
with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # it warns that 30 rounds are not enough, which is intended
    theirs.fit(points)
agree("means after 30 rounds = scikit-learn's", mean, torch.tensor(theirs.means_), atol=1e-6)
agree("covariances = scikit-learn's", cov, torch.tensor(theirs.covariances_), atol=1e-6)

# %% [markdown]
r"""
Watch EM at work on eight clusters of points, started from eight of them at random.
"""

# %%
frames = []
for rounds in (0, 1, 2, 4, 8, 15, 25, 40, 60, 100):
    (weight, mean, cov), _ = fit(points, 8, rounds, seed=0)
    fig, (ax,) = show.plane_axes(1, extent=2.2, size=3.6)
    show.density(ax, GaussianMixture(mean, cov, weight).log_prob, resolution=80)
    show.points(ax, points[:400], "data", size=5)
    ax.plot(*mean.T, "^", color=show.colour("learned"), markersize=10)
    show.title(fig, f"EM moves each mean to a cluster: round {rounds}")
    frames.append(fig)
show.film(
    frames,
    "Over a hundred rounds of EM, eight triangles, the means, move from random points to the "
    "eight clusters of a ring, one to each, and the density follows.",
)

# %% [markdown]
r"""
It does not always end so well. EM climbs to the nearest hilltop, and which one that is depends on the start. Six
starts, and where they end:
"""

# %%
ends = [fit(points, 8, rounds=100, seed=seed)[1][-1].item() for seed in range(6)]
print("log-likelihood per point:", [f"{end:.3f}" for end in ends])
assert max(ends) - min(ends) > 0.1

# %% [markdown]
r"""
So run EM from several starts, and keep the best. **Sampling takes two steps**, and this is the pattern of every
latent-variable model from here to text-to-image: draw $z\sim p(z)$, then $\mathbf x\sim p(\mathbf x\mid z)$. Back to
the photo's brightness. Move the slider: how many bells does it need?
"""


# %%
others = photo.flatten()[torch.randperm(photo.numel(), generator=rng)[:3000]].double()[:, None]


def bells(components):
    parts, _ = fit(pixels, components, rounds=80)
    each = log_joint_of(grid, *parts).exp()
    unseen_pixels = log_joint_of(others, *parts).logsumexp(1).mean()
    fig, ax = plt.subplots(figsize=(8, 3.6))
    ax.hist(pixels[:, 0], bins=60, density=True, color=show.tint("data", 0.55))
    ax.plot(grid, each, color=show.colour("noise"), linewidth=1.2)
    ax.plot(grid, each.sum(1), **show.style("learned"))
    ax.set(xlabel="brightness of a pixel", ylabel="density", ylim=(0, 2.4))
    show.title(fig, f"Bells: {components}; log-likelihood of unseen pixels: {unseen_pixels:.3f}")
    return fig


# %%
show.widget(
    bells,
    "A histogram of the brightness of a photo's pixels with several peaks, six grey bells below "
    "it, and their sum, which follows the histogram closely.",
    components=IntSlider(6, 1, 12, description="bells", continuous_update=False),
)

# %% [markdown]
r"""
In code the two steps are two lines. The samples' mean and second moment must be those of the mixture, which are sums
over the components:
"""

# %%
(weight, mean, cov), _ = fit(pixels, 6, rounds=80)
z = torch.multinomial(weight, 100_000, replacement=True, generator=rng)
eps = torch.randn(100_000, generator=rng, dtype=torch.float64)
new = mean[z, 0] + cov[z, 0, 0].sqrt() * eps
agree_mean("the mean", new, weight @ mean[:, 0])
agree_mean("the second moment", new**2, weight @ (mean[:, 0] ** 2 + cov[:, 0, 0]))

# %% [markdown]
r"""
> **On the slide.** "This is somewhat analogous to approximating a complex function by its Fourier Transform" (Das and
> Varma). In one respect: simple things add up to a complicated one. In another it limps. The weights of a mixture are
> probabilities, so that you can *draw* a component; Fourier's are positive and negative, and a sum of a few waves
> dips below 0, which no density may.
"""

# %%
share, edges = torch.histogram(pixels[:, 0], bins=200, range=(-1.5, 1.5), density=True)
waves = torch.fft.rfft(share)
waves[8:] = 0  # as many as seven waves
by_waves = torch.fft.irfft(waves, n=200)
(weight, mean, cov), _ = fit(pixels, 7, rounds=80)
by_bells = log_joint_of(grid, weight, mean, cov).exp().sum(1)
print(f"lowest value of 7 waves {by_waves.min():.3f}, of 7 bells {by_bells.min():.1e}")
assert (waves != 0).sum() == 8 and by_waves.min() < 0 < by_bells.min()

# %% [markdown]
r"""
### How many components?

More components fit the *training* data better; taken to the end, each point would get a spike of its own. (Adding
0.01 to each variance keeps a component from shrinking to one.) **Held-out data** decide. Fit mixtures to the digits,
in their 20 principal directions so that the covariances stay small, and ask how probable unseen digits are.
"""

# %%
inside = (flat - mu) @ direction[:, :20]
outside = (unseen.flatten(1).double() - mu) @ direction[:, :20]
sizes = (1, 2, 4, 8, 14, 24, 48)


def m_step_with_ridge(x, r, ridge=0.01):
    weight, mean, cov = m_step(x, r)
    return weight, mean, cov + ridge * torch.eye(x.shape[1])


# %%
def scores_of(components, seed):
    """Mean log-likelihood of training and of unseen digits."""
    found = start_at(inside, components, seed)
    for _ in range(25):
        found = m_step_with_ridge(inside, e_step(inside, *found))
    return [log_joint_of(x, *found).logsumexp(1).mean().item() for x in (inside, outside)]


found = torch.tensor([[scores_of(k, seed) for k in sizes] for seed in range(3)])
training, held_out = found.mean(0).T
print(
    "unseen digits, three starts:", [[round(v, 1) for v in row] for row in found[..., 1].tolist()]
)

# %%
best = {sizes[i] for i in found[..., 1].argmax(1)}
assert (training.diff() > 0).all() and min(best) >= 8 and max(best) <= 24
curves = {"on training digits": training, "on unseen digits": held_out}
ax = show.curves(sizes, curves, "components", "nats per digit", log="x")
show.title(ax, "Unseen digits say when to stop: at ten to twenty components")
show.figure(
    ax.figure,
    "Two curves over the number of components: the log-likelihood of training digits rises all the "
    "way; that of unseen digits rises, has a maximum, and falls.",
)

# %% [markdown]
r"""
Clustering comes as a by-product: $p(z\mid\mathbf x)$ says to which component a digit belongs, and nobody told the
mixture what a class is. The model that ships has twenty components in all 64 pixels. Do its components know the
digits?
"""

# %%
mixture = load_trained("mixture-digits").model
cluster = mixture.posterior(x0).argmax(1)
table = torch.zeros(20, 10).index_put_((cluster, label), torch.ones(()), accumulate=True)
purity = table.amax(1).sum() / len(label)
order = table.argmax(1).argsort()
print(f"{purity:.0%} of the digits are in a component whose commonest class is theirs")
assert purity > 0.6

# %%
centres = mixture.means[order].reshape(-1, 1, 8, 8).clamp(-1, 1)
drawn = torch.cat([centres, generate(mixture, 20, seed=0)])
fig = show.grid(drawn, columns=10, width=8, title="Twenty hills: their tops, and samples")
show.figure(
    fig,
    "Above, two rows with the means of twenty components, of which most are digits one can read; "
    "below, two rows of samples, of which many can be read.",
)

# %% [markdown]
r"""
A single Gaussian had one hill; now there are twenty. Is there a valley between two digits now?
"""

# %%
log_a, log_b, log_middle = (mixture.log_prob(v.float()) for v in (a, b, (a + b) / 2))
above_mixture = (log_middle > torch.maximum(log_a, log_b)).double().mean()
print(
    f"averages of two digits more probable than either: {above:.0%} before, {above_mixture:.0%} now"
)
assert above_mixture < 0.15

# %% [markdown]
r"""
**So far:** one latent variable with twenty values made valleys, and some samples have become digits, if noisy ones.
But more varies than that: slant, width, the style of the hand. What about a latent variable that is continuous, and a
decoder that is not linear?
"""

# %% [markdown]
r"""
## 5 · Autoencoders: a map of the digits

An **autoencoder** is two networks. The encoder $f$ makes a short code $\mathbf z = f(\mathbf x)$, the decoder $g$
makes a picture of it, and both learn to get the picture back:

$$ L(\mathbf x) = \lVert\mathbf x - g(f(\mathbf x))\rVert^2 $$

"""

# %% [markdown]
r"""
If the code were as long as the picture, the identity would win and nothing would be learned. With two numbers for 64
it must find out what matters. The squared error is a likelihood in disguise: it is $-\log p(\mathbf x\mid\mathbf z)$
of a Gaussian around $g(\mathbf z)$, up to constants. So $g$ is the "simple once you know $\mathbf z$", now with a
network in it. Both networks are perceptrons with two hidden layers of 128; a tanh at the end keeps codes in
$(-1, 1)$. Train one; it takes about half a minute.
"""

# %%
from course_lib.models import Autoencoder

torch.manual_seed(1)
mine = Autoencoder((1, 8, 8), k=2, width=128)
optimizer = torch.optim.AdamW(mine.parameters(), lr=2e-3)
losses = []
for step in range(1, 2001):
    optimizer.param_groups[0]["lr"] = 2e-3 * min(1, step / 200) * (1 - step / 2001)
    batch = x0[torch.randint(len(x0), (128,), generator=rng)]
    loss = (mine.decode(mine.encode(batch)) - batch).flatten(1).square().sum(1).mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    losses.append(loss.item())

# %% [markdown]
r"""
What does it buy over PCA, which is the best *linear* way down to two numbers and back? Compare the squared errors per
image, on digits that neither has seen.
"""

# %%
with torch.no_grad():
    back = mine.decode(mine.encode(unseen))
linear = (
    (mu + (unseen.flatten(1).double() - mu) @ direction[:, :2] @ direction[:, :2].T)
    .float()
    .view_as(unseen)
)
error = {
    name: (picture - unseen).flatten(1).square().sum(1).mean().item()
    for name, picture in (("autoencoder", back), ("PCA", linear))
}
print({name: round(value, 2) for name, value in error.items()})
assert error["autoencoder"] < 0.75 * error["PCA"]

# %%
first = torch.stack([(truth == k).nonzero()[0, 0] for k in range(10)])
rows = torch.cat([unseen[first], back[first], linear[first].clamp(-1, 1)])
message = "Two numbers keep the digit, if the decoder may bend"
fig = show.grid(rows, columns=10, width=8, title=message)
show.figure(
    fig,
    "Three rows of ten digits: unseen ones above; the autoencoder's versions, blurred but mostly "
    "the right digit; PCA's, which are hard to read.",
)

# %% [markdown]
r"""
### Is that a generative model?

It has a decoder that turns two numbers into a picture. So draw two numbers at random, decode, done? **Predict
first:** take codes at random in the square of the map. What do you get?

<details><summary>Answer</summary>

Some digits, and blends between them: strokes no hand would write. The loss asked for good pictures at the codes of
real digits, and **nowhere else**. Nothing told the encoder where to put them, nor the decoder what to do between
them.

</details>
"""

# %%
with torch.no_grad():
    own = mine.decode(2 * torch.rand(20, 2, generator=rng) - 1)
fig = show.grid(own, columns=10, width=8, title="Random codes through the decoder you have trained")
show.figure(fig, "Two rows of ten small pictures: some digits, and blends of two digits.")

# %% [markdown]
r"""
Where are the holes? From here on with the autoencoder that ships, so that the numbers are yours, too. How far is a
random code from the nearest code of a training digit, measured in the distance that an unseen digit's code has?
"""

# %%
with torch.no_grad():
    codes = ae.encode(x0)
    usual = torch.cdist(ae.encode(unseen), codes).min(1).values.median()
    thrown = 2 * torch.rand(2000, 2, generator=rng) - 1
    from_thrown = ae.decode(thrown)
gap = torch.cdist(thrown, codes).min(1).values
order = gap.argsort()
near, hole = from_thrown[order[:500]], from_thrown[order[-500:]]
print(f"median distance of a random code: {gap.median() / usual:.1f} times an unseen digit's")
assert usual > 0 and gap.median() > 1.5 * usual

# %% [markdown]
r"""
And what is there? Let an independent reader judge, the classifier behind the FD ratio: how certain is it of the digit
it sees?
"""

# %%
eye = load_trained("features-digits").model


def certainty(images):
    """The probability of the likeliest class, for each picture."""
    with torch.no_grad():
        return eye.logits(images).softmax(1).amax(1)


hesitates = {name: (certainty(images) < 0.9).double().mean().item()
             for name, images in (("unseen", unseen), ("near a code", near), ("in a hole", hole))}
print({name: f"{share:.0%}" for name, share in hesitates.items()}, "are read with less than 90 %")
assert hesitates["in a hole"] > 4 * max(hesitates["unseen"], hesitates["near a code"], 0.02)

# %% [markdown]
r"""
Now draw the holes: decode *every* place of the square, and shade it by the reader's certainty. The dots are the codes
of the training digits.
"""

# %%
side = torch.linspace(-1, 1, 80)
with torch.no_grad():
    everywhere = ae.decode(torch.cartesian_prod(side, side).flip(1))
doubt = 1 - certainty(everywhere).view(80, 80)  # rows: the second number
corner = ae.decode(torch.tensor([[1.0, -1.0]]))
agree("the 80th picture is the lower right corner", everywhere[79:80], corner, atol=1e-5)

# %% tags=["hide-input"]
fig, ax = plt.subplots(figsize=(6.4, 3.9))
shade = ax.imshow(doubt, extent=(-1, 1, -1, 1), origin="lower", cmap="Oranges", vmin=0)
fig.colorbar(shade, label="1 − certainty")
ax.plot(*codes.T, ".", color=show.colour("data"), markersize=2.5)
ax.set(xlabel="first number", ylabel="second number", xlim=(-1, 1), ylim=(-1, 1))
show.title(fig, "Between the islands a reader hesitates")
show.figure(
    fig,
    "The square of codes, pale where a classifier is certain of the digit and dark where it is "
    "not. Small dots, the codes, form islands on pale ground; dark ridges run between them.",
)

# %% tags=["hide-input"]
least = near[certainty(near).argsort()[::50]], hole[certainty(hole).argsort()[:100:10]]
message = "Above near a digit's code; below in a hole, where the reader hesitates"
fig = show.grid(torch.cat(least), columns=10, width=8.5, title=message)
show.figure(
    fig,
    "Two rows of ten decoded random codes: above, near codes of real digits, most can be read; "
    "below, from holes, mixtures of two digits.",
)

# %% [markdown]
r"""
> **On the slide.** "The latent space in auto-encoders are primarily *discrete*" (Koirala), and two sentences later
> "discontinuous or has gaps". Gaps it has. Discrete it is not: the decoder is continuous, and every point of the
> plane has a picture. The test: walk from one code to another in 10, 100, and 1,000 steps. If the space were
> discrete, some step would jump, however small the steps; instead the largest change shrinks with the step.
"""

# %%
jumps = []
for steps in (10, 100, 1000):
    s = torch.linspace(0, 1, steps + 1)[:, None]
    with torch.no_grad():
        walked = ae.decode(codes[:1] * (1 - s) + codes[1:2] * s)
    jumps.append(walked.diff(dim=0).flatten(1).norm(dim=1).max().item())
print([f"{jump:.4f}" for jump in jumps])
assert jumps[0] / jumps[1] > 5 and 9 < jumps[1] / jumps[2] < 11

# %% [markdown]
r"""
Is a Gaussian a better choice than the square? Draw codes with the **mean and covariance of the real codes**: that is
the model `codes-digits`. (About one of its codes in five lies outside $(-1, 1)^2$, where the encoder never puts any.)
Now all classical models stand on one scale, the FD ratio of lesson 00 (1.0: as close to unseen digits as the training
digits are), each over three sets.
"""

# %%
from course_lib.metrics import quality

some = [torch.randperm(len(x0), generator=rng)[:1000] for _ in range(3)]
with torch.no_grad():
    decoded = [ae.decode(ae.encode(x0[rows])) for rows in some]
    square = [ae.decode(2 * torch.rand(1000, 2, generator=rng) - 1) for _ in range(3)]
found = {"real codes, decoded": quality(decoded, "digits"), "square": quality(square, "digits")}
names = ("naive-bayes-digits", "pca-gaussian-digits", "mixture-digits", "codes-digits")
for name in names:
    model = load_trained(name).model
    condition = torch.arange(1000) % 10 if name.startswith("naive") else None
    found[name] = quality([generate(model, 1000, seed, condition) for seed in range(3)], "digits")

# %%
for name, q in found.items():
    ratio, spread = q.over_seeds.mean, q.over_seeds.spread
    print(f"{name:20} FD ratio {ratio:6.2f} ± {spread:.2f}")

# %%
ratio = {name: q.over_seeds.mean for name, q in found.items()}
cards = {name: load_trained(name).card["scores"]["quality"]["over_seeds"]["mean"] for name in names}
assert all(abs(ratio[name] / cards[name] - 1) < 0.15 for name in names)
assert ratio["mixture-digits"] == min(ratio[name] for name in names) > 1.5, "the best, far from 1"
assert ratio["real codes, decoded"] < min(ratio["codes-digits"], ratio["square"]) - 0.5

# %% [markdown]
r"""
A Gaussian is no repair: square and Gaussian are equally far off. They pay for two things. One is the short code: even
the codes of *real* digits, decoded, are not as close as digits are, since two numbers can't hold all the variety of
handwriting. The other is the wrong density: the codes form many islands, and neither a square nor one hill does.

Two ways lead on from here. Learn a better density of the codes: that is *latent diffusion*, lesson 10. Or make the
encoder put the codes where a simple density is, with no gaps: that is the *variational* autoencoder, lesson 03. Both
need the bound of lesson 02.
"""

# %% [markdown]
r"""
## 6 · The landscape

Every model of this course is one answer to the same question: how to make $p(\mathbf x)$ simple enough to learn, and
rich enough to be true. Two questions sort them: does it say how probable a picture is, and does it make one in a
single call of its network, if it has one?
"""

# %% tags=["hide-input"]
places = {
    "mixture 01\nflow 04": (4.1, 3.2), "autoregressive\n01b": (7.4, 3.2),
    "VAE\n03": (4.1, 2.0), "diffusion\n06": (7.4, 2.0),
    "GAN\n05": (4.1, 0.8), "energy-based\n04b": (7.4, 0.8),
}  # fmt: skip
without = ("autoregressive\n01b", "energy-based\n04b")
words = {
    "exact\nlikelihood": (1.3, 3.2), "a bound": (1.3, 2.0),
    "none, or up\nto a constant": (1.3, 0.8),
    "one call": (4.1, 4.05), "many calls": (7.4, 4.05),
}  # fmt: skip

# %% tags=["hide-input"]
sheet = show.Drawing(9.4, 4.4, "No family has everything (blue: with a latent variable)")
for name, (x, y) in places.items():
    sheet.box(x, y, name, "grey" if name in without else "signal", width=2.6, height=0.95)
for text, (x, y) in words.items():
    sheet.text(x, y, text)
show.figure(
    sheet.fig,
    "A table of six boxes. One call: mixtures and flows with an exact likelihood, VAEs with a "
    "bound, GANs with none. Many calls: autoregressive, diffusion, energy-based. All but "
    "autoregressive and energy-based models, in grey, have latents.",
)

# %% [markdown]
r"""
The boxes in colour have a latent variable. Lesson 15 fills the same table with measured numbers.

"""

# %% [markdown]
r"""
| family | what is simple | trains by | lesson |
|---|---|---|---|
| naive Bayes | pixels independent, given the class | counting | 01 |
| Gaussian, mixture | one hill, or a few | eigenvectors; EM, stable, from several starts | 01 |
| autoregressive | one pixel at a time | maximum likelihood, stable | 01b |
| variational autoencoder | a Gaussian, once you know $\mathbf z$ | a bound, stable; latents may fall silent | 03 |
| normalizing flow | invertible layers | maximum likelihood, stable | 04 |
| energy-based | any network is an energy | samples of itself, unstable | 04b |
| GAN | nothing but a judge | a game, unstable | 05 |
| diffusion | one small step | regression, stable | 06 |
"""

# %% [markdown]
r"""
## Exercises

### Exercise 01.1 · Bayes' rule (10 minutes)

`log_likelihood` is $\log p(\mathbf x_n\mid y)$ of shape (n, classes), `prior` is $p(y)$ of shape (classes,). Return
$p(y\mid\mathbf x_n)$, of shape (n, classes). The logarithms can be as low as −2,000.
"""


# %%
def class_probability(log_likelihood, prior):
    # your code
    ...


check("01.1", class_probability)

# %% [markdown]
r"""
### Exercise 01.2 · Naive Bayes by hand (10 minutes)

`level` holds an image's grey values, (64,) integers in 0 … 16; `table[k, i, l]` is $P(x_i = l\mid y = k)$; `prior` is
$p(y)$. Return $\log p(\mathbf x, y)$ for every class, of shape (10,).
"""


# %%
def log_joint_of_image(level, table, prior):
    # your code
    ...


check("01.2", log_joint_of_image)

# %% [markdown]
r"""
### Exercise 01.3 · Down to k numbers and back (10 minutes)

`U` has the first $k$ principal directions as its columns, (d, k), and they are orthonormal; `mean` is (d,). Return
for each row of `x`, (n, d), the nearest point of the plane through the mean that they span.
"""


# %%
def reconstruct(x, mean, U):
    # your code
    ...


check("01.3", reconstruct)

# %% [markdown]
r"""
### Exercise 01.4 · Responsibilities (15 minutes)

A mixture in one dimension: `weight`, `mean` and `std` (standard deviations) have one entry for each component. Return
$p(z\mid x_n)$ for the points `x`, (n,), of shape (n, components).
"""


# %%
def responsibilities(x, weight, mean, std):
    # your code
    ...


check("01.4", responsibilities)

# %% [markdown]
r"""
### Exercise 01.5 · The M-step (15 minutes)

`r` holds the responsibilities, (n, components), and `x` the points, (n, d). Return the new weights, (components,),
and the new means, (components, d).
"""


# %%
def new_weights_and_means(x, r):
    # your code
    ...


check("01.5", new_weights_and_means)

# %% [markdown]
r"""
### Exercise 01.6 · Two steps make a sample (15 minutes)

Turn random numbers into samples of a mixture in one dimension: `u`, (n,), is uniform in [0, 1) and decides on the
component, the first one for the lowest `u`; a `u` that equals a running sum of the weights belongs to the next
component. `eps`, (n,), is standard normal. Return the samples, (n,).
"""


# %%
def sample_mixture(u, eps, weight, mean, std):
    # your code
    ...


check("01.6", sample_mixture)

# %% [markdown]
r"""
### Exercise 01.7 · A check that every right EM passes (10 minutes)

Somebody's EM reports the log-likelihood before each round, `heights`, (rounds,). Return `True` where this can be EM,
and `False` where it can't. Rounding may lower a value by $10^{-9}$.
"""


# %%
def can_be_em(heights):
    # your code
    ...


check("01.7", can_be_em)

# %% [markdown]
r"""
## What to remember

1. A latent variable makes complicated distributions of simple parts:
   $\ p(\mathbf x) = \int p(\mathbf x\mid\mathbf z)\,p(\mathbf z)\,\mathrm d\mathbf z$. Sampling takes two steps:
   $\mathbf z\sim p(\mathbf z)$, then $\mathbf x\sim p(\mathbf x\mid\mathbf z)$.
2. Which part of it made an $\mathbf x$? Bayes' rule:
   $\ p(\mathbf z\mid\mathbf x) = p(\mathbf x\mid\mathbf z)\,p(\mathbf z)\,/\,p(\mathbf x)$.
3. EM: responsibilities, then weighted averages; and the likelihood never falls.

Lesson 02 asks what to do when the sum over $\mathbf z$ can't be computed, which is nearly always.

"""

# %% [markdown]
r"""
## References

- B. Koirala, *Diffusion Models* (notes, 2022); S. Das and S. Varma, *Image Generation Using Diffusion Models*; S.
  Velasco-Forero, *Introduction to Diffusion Models* (2023).
- Dempster, Laird, Rubin: *Maximum Likelihood from Incomplete Data via the EM Algorithm*, 1977.
- Tipping, Bishop: *Probabilistic Principal Component Analysis*, 1999. Bishop: *Pattern Recognition and Machine
  Learning*, chapters 1, 9 and 12, 2006.
- Photo: china by danielbuechele, CC BY 2.0. Digits: Alpaydin and Kaynak, 1998, CC BY 4.0.

*Text and figures: CC BY 4.0; code: MIT.*
"""
