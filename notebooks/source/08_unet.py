# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
# ---

# %% [markdown]
r"""
# 08 · The U-Net

**After this lesson you can**
- say why a denoiser is shaped like a U, and compute every shape and weight in it;
- show that a transposed convolution undoes the shape of a convolution, and nothing else;
- build the blocks of DDPM's network by hand, and check each against the library;
- tell what skips, time embedding and attention are worth, from networks that were trained without them.

**Before:** lesson 07, and you have heard of convolutions and back-propagation. **Time:** 100 minutes, and 100 more for the eight exercises.
**Follows:** Varma, lecture 19, "The Neural Network" and "Conv2DTranspose"; the slides' "Model choices".
"""

# %%
import math

import matplotlib.pyplot as plt
import torch
from ipywidgets import IntSlider, SelectionSlider, ToggleButtons
from torch import nn
from torch.nn import functional as F

from course_lib import data, show
from course_lib.agree import agree
from course_lib.diffusion import Denoiser, NoiseSchedule, V
from course_lib.exercises import check, hint, solution
from course_lib.experiments import results
from course_lib.metrics import loss_by_t
from course_lib.nets import ABLATIONS, Attention, Downsample, ResidualBlock, UNet, Upsample, receptive_field, sinusoids, stages, way_down
from course_lib.training import load_trained

show.use_style()
torch.manual_seed(8)
rng = torch.Generator().manual_seed(8)

# %% [markdown]
r"""
## 1 · An image in, an image out

The loss of lesson 07 asks for one thing only, and the slides say it: "the only requirement for the model is that its input and output dimensionality
are identical". $\boldsymbol\epsilon_\theta(\mathbf x_t,t)$ is as large as $\mathbf x_t$. So why not a matrix? Count: for a photo of $256\times256$ pixels with three
channels a single fully connected layer from the image to the image has

$$ (3\cdot256\cdot256)^2 \approx 4\cdot10^{10} $$

weights, and it would have to learn to denoise each pixel from scratch. Noise looks the same everywhere, and so do edges. A **convolution** says so: one
small set of weights for all places. Move the image, and the answer moves with it.
"""

# %%
conv = nn.Conv2d(1, 4, 3, padding=1, padding_mode="circular")  # what leaves on one side comes back on the other
image = data.load("photos").train.x0[:1, :1, 100:200, 100:200]
moved = torch.roll(image, (7, 12), dims=(2, 3))
agree("convolve, then move = move, then convolve", torch.roll(conv(image), (7, 12), dims=(2, 3)), conv(moved), atol=1e-5)
matrix, kernel = 100 * 100 * 4 * 100 * 100, sum(p.numel() for p in conv.parameters())
print(f"weights: a matrix of the same shape {matrix:,}, the convolution {kernel}")

# %% [markdown]
r"""
By hand it is a weighted sum over a window. `unfold` cuts out all windows of $3\times3$; then one matrix serves them all.
"""

# %%
plain = nn.Conv2d(3, 5, 3, padding=1)
x = torch.randn(2, 3, 10, 12, generator=rng)
windows = F.unfold(x, 3, padding=1)
by_hand = (plain.weight.flatten(1) @ windows + plain.bias[:, None]).reshape(2, 5, 10, 12)
print("windows", tuple(windows.shape), "weights", tuple(plain.weight.flatten(1).shape))
agree("the windows times one matrix = nn.Conv2d", by_hand, plain(x), atol=1e-5)

# %% [markdown]
r"""
## 2 · Smaller, and larger again

One convolution of $3\times3$ sees one pixel to each side. To know that a pixel lies inside the loop of an 8, the network must see further. It could stack many
layers; cheaper is to look at a smaller picture. A **stride** of 2 moves the window by two pixels at a time and halves the size. The lecture's example, in
PyTorch (which puts channels first, where Keras puts them last: (100, 100, 64) there is (64, 100, 100) here):
"""

# %%
down = nn.Conv2d(64, 128, 3, stride=2, padding=1)
up = nn.ConvTranspose2d(128, 64, 3, stride=2, padding=1)
up_padded = nn.ConvTranspose2d(128, 64, 3, stride=2, padding=1, output_padding=1)

x = torch.randn(1, 64, 100, 100, generator=rng)
small = down(x)
for name, value in (("x", x), ("down(x)", small), ("up(down(x))", up(small)), ("with output_padding=1", up_padded(small))):
    print(f"{name:22} {tuple(value.shape[1:])}")

# %% [markdown]
r"""
> **On the slide.** "(50,50,128) → Conv2DTranspose(64,3,strides=2, padding='same') → (100,100,64)". In Keras, yes. PyTorch gives 99, since both 99 and 100 become 50
> on the way down, and it takes the smaller unless you say `output_padding=1`.

### Exercise 08.1 · Sizes (5 minutes)

Return the height that leaves a convolution, for an image `n` pixels high.
"""


# %%
def conv_size(n, kernel, stride, padding):
    # your code
    ...


check("08.1", conv_size)

# %% [markdown]
r"""
### Exercise 08.2 · Sizes, the other way (5 minutes)

A transposed convolution makes $(n-1)\cdot\text{stride} - 2\cdot\text{padding} + \text{kernel}$ pixels of `n`, plus its `output_padding`. Which `output_padding` leads to `goal`?
"""


# %%
def output_padding(n, kernel, stride, padding, goal):
    # your code
    ...


check("08.2", output_padding)

# %% [markdown]
r"""
> **On the slide.** "Inverse Convolutions!" The *shape* comes back. Do the values?

Try to undo a convolution by the transposed one with the *same* weights, on a photo.
"""

# %%
weight = torch.randn(8, 1, 3, 3, generator=rng, dtype=torch.float64) / 3
photo = image.double()


def A(x):
    return F.conv2d(x, weight, stride=2, padding=1)


def A_transposed(y):
    return F.conv_transpose2d(y, weight, stride=2, padding=1, output_padding=1)


back = A_transposed(A(photo))
scale = (back * photo).sum() / back.square().sum()
error = ((scale * back - photo).square().mean() / photo.square().mean()).sqrt()
print(f"{photo.numel():,} numbers → {A(photo).numel():,} → {back.numel():,}; relative RMS error {error:.2f}, at the best scale")
assert error > 0.3

# %%
fig, axes = plt.subplots(1, 3, figsize=(10, 3.6))
for ax, picture, title in zip(axes, (photo, A(photo)[:, :1], scale * back), ("photo", "convolved (1 of 8)", "and transposed"), strict=True):
    show.picture(ax, picture[0].clamp(-1, 1).float())
    ax.set_title(title)
show.figure(fig, "A patch of a photo; one channel of its strided convolution, half as large; and the transposed convolution of that, of the photo's size, but greyer and under a fine checkerboard.")

# %% [markdown]
r"""
What is it then? A convolution is a matrix $A$ (mostly zeros). The transposed convolution is $A^\top$, not $A^{-1}$: the **adjoint**, for which
$\langle A\mathbf x,\mathbf y\rangle = \langle\mathbf x, A^\top\mathbf y\rangle$ for all $\mathbf x,\mathbf y$. That is exactly what back-propagation through a convolution
needs, and you get it from autograd without naming it.
"""

# %%
x, y = torch.randn(1, 1, 20, 20, dtype=torch.float64, generator=rng), torch.randn(1, 8, 10, 10, dtype=torch.float64, generator=rng)
agree("⟨Ax, y⟩ = ⟨x, Aᵀy⟩", (A(x) * y).sum(), (x * A_transposed(y)).sum(), atol=1e-10)

probe = x.clone().requires_grad_(True)
(gradient,) = torch.autograd.grad((A(probe) * y).sum(), probe)
agree("Aᵀy = the gradient of ⟨Ax, y⟩ by x", A_transposed(y), gradient, atol=1e-12)

# %%
columns = torch.eye(400, dtype=torch.float64).reshape(400, 1, 20, 20)
matrix = A(columns).reshape(400, -1).T
gram = matrix.T @ matrix
off = (gram - torch.eye(400, dtype=torch.float64) * gram.diagonal().mean()).abs().max() / gram.diagonal().mean()
agree("A as a matrix, transposed, times y", (matrix.T @ y.flatten()).reshape(x.shape), A_transposed(y), atol=1e-12)
print(f"A is {tuple(matrix.shape)}; for an inverse AᵀA would have to be a multiple of the identity: off by {off:.2f}")
assert off > 0.3

# %% [markdown]
r"""
**Predict first.** A kernel of $3\times3$ ones with stride 2: into how many windows does an output pixel of the transposed convolution fall? Into as many for every pixel?

<details><summary>Answer</summary>

Into 1, 2 or 4, by turns: the stride does not divide the kernel. Where windows overlap, more is added. That is the **checkerboard** which early GANs and U-Nets painted
into their images (Odena et al., 2016). DDPM's U-Net avoids it: it repeats each pixel, and then smooths by a convolution of stride 1.

</details>
"""

# %%
ones = torch.ones(1, 1, 8, 8)
overlap = F.conv_transpose2d(ones, torch.ones(1, 1, 3, 3), stride=2, padding=1, output_padding=1)
resized = F.conv2d(F.interpolate(ones, scale_factor=2, mode="nearest"), torch.ones(1, 1, 3, 3) / 9, padding=1)
fig, axes = plt.subplots(1, 2, figsize=(8, 3.6))
for ax, picture, title in zip(axes, (overlap, resized), ("transposed convolution", "repeat, then convolve"), strict=True):
    shown = ax.imshow(picture[0, 0, 1:-1, 1:-1], vmin=0, cmap="viridis")
    fig.colorbar(shown, ax=ax, shrink=0.8)
    ax.set(title=title, xticks=[], yticks=[])
show.figure(fig, "Output for an input of ones, without its edge: the transposed convolution paints a checkerboard of 1, 2 and 4, repeating and convolving gives an even 1.")
assert set(overlap[0, 0, 1:-1, 1:-1].unique().tolist()) == {1.0, 2.0, 4.0} and resized[0, 0, 1:-1, 1:-1].std() < 1e-6

# %% [markdown]
r"""
## 3 · How far does a pixel see?

The **receptive field** of an output is the part of the input that can change it. A convolution of kernel $k$ adds $k-1$ pixels of *its* input, and each of these is as wide as the product of
all strides before it. Measure one by the gradient, and hold the rule against it: five layers at full size, and five with two strides among them. (A normalization over the whole image also lets every pixel reach every other
one, but only through two numbers a group; the rule counts the convolutions.)
"""


# %%
def measured_field(layers, size=201):
    """How many input pixels reach the middle output, counted from the gradient of 1-D convolutions of ones."""
    x = torch.ones(1, 1, size, dtype=torch.float64, requires_grad=True)
    h = x
    for kernel, stride in layers:
        h = F.conv1d(h, torch.ones(1, 1, kernel, dtype=torch.float64), stride=stride, padding=kernel // 2)
    (gradient,) = torch.autograd.grad(h[0, 0, h.shape[2] // 2], x)
    return int((gradient != 0).sum())


for layers in ([(3, 1)] * 5, [(3, 1), (3, 2), (3, 1), (3, 2), (3, 1)]):
    agree(f"{layers}: measured = rule", measured_field(layers), receptive_field(layers), atol=0)

# %% [markdown]
r"""
## 4 · The parts, by hand

DDPM's network (Ho et al., appendix B) has residual blocks, attention, and blocks that halve and double the size. We write each in a cell and compare it with the library's block *with the same weights*.

Doubling repeats each pixel and convolves; halving is a convolution of stride 2, that is every second pixel of an ordinary one.
"""

# %%
h, shrink, grow = torch.randn(2, 8, 6, 6, generator=rng), Downsample(8), Upsample(8)
agree("Upsample by hand", grow.conv(h.repeat_interleave(2, 2).repeat_interleave(2, 3)), grow(h), atol=1e-5)
agree("Downsample by hand", F.conv2d(h, shrink.conv.weight, shrink.conv.bias, padding=1)[:, :, ::2, ::2], shrink(h), atol=1e-5)

# %% [markdown]
r"""
**Group normalization** makes mean 0 and variance 1, over groups of channels of *one* image. Batch normalization would mix images of a batch, which have different $t$
and so different amounts of noise. ($10^{-6}$ is added to the variance, so that nothing is divided by 0; after it comes a learned scale and shift for each channel.)
"""

# %%
x = torch.randn(3, 8, 5, 5, generator=rng) * 3 + 1
groups = x.reshape(3, 2, 4, 5, 5)
mean = groups.mean((2, 3, 4), keepdim=True)
variance = groups.var((2, 3, 4), keepdim=True, unbiased=False)
by_hand = ((groups - mean) / (variance + 1e-6).sqrt()).reshape(x.shape)
agree("by hand = F.group_norm", by_hand, F.group_norm(x, 2, eps=1e-6), atol=1e-5)

# %% [markdown]
r"""
**A residual block** is normalize, SiLU ($x\cdot\mathrm{sigmoid}(x)$, a smooth ReLU), convolve, twice; the time comes in between, as one number for each channel; and around all of it goes a
**shortcut**. So the block learns a *correction* to its input. The last convolution starts at zero: a fresh block is its shortcut, and a deep stack of them starts as the identity.
"""


# %%
def residual_block(x, time, block):
    h = block.conv1(F.silu(block.norm1(x)))
    h = h + block.time(F.silu(time))[:, :, None, None]
    h = block.conv2(F.silu(block.norm2(h)))
    return block.shortcut(x) + h


block = ResidualBlock(16, 32, time=64, groups=8)
x, time = torch.randn(2, 16, 8, 8, generator=rng), torch.randn(2, 64, generator=rng)
agree("fresh, the block is its shortcut", block(x, time), block.shortcut(x), atol=0)
nn.init.normal_(block.conv2.weight)
agree("by hand = ResidualBlock", residual_block(x, time, block), block(x, time), atol=1e-5)

# %% [markdown]
r"""
### Exercise 08.3 · Count the weights of a block (10 minutes)

How many weights has `ResidualBlock(c_in, c_out, time, groups)`, biases and the norms' scales and shifts included? The shortcut is a $1\times1$ convolution where the channels change, and nothing where they don't. `time` is the width
of the time vector.
"""


# %%
def block_weights(c_in, c_out, time):
    # your code
    ...


check("08.3", block_weights)

# %% [markdown]
r"""
**The time.** One network serves a thousand noise levels, so it must be told which. A number from 1 to 1000 is a poor input: it is large, and one number cannot keep 17 and 18 apart and 100 and 900 comparable as well. Instead $t$
becomes a vector of sines and cosines, $\sin(t f_i)$ and $\cos(t f_i)$, with frequencies $f_i$ from 1 down to 1/10,000, like the hands of clocks that turn faster and slower. What does that buy? Look at how
alike the vectors of two times are (their inner product, divided by 32, since each of the 32 pairs gives $\sin^2+\cos^2=1$).
"""

# %%
t = torch.arange(1, 1001)
waves = sinusoids(t, 64)
alike = waves @ waves.T / 32
fig, axes = plt.subplots(1, 2, figsize=(11, 4))
shown = axes[0].imshow(alike, extent=(1, 1000, 1000, 1), cmap="viridis", vmin=0)
axes[0].set(xlabel="t", ylabel="another t", title="how alike")
fig.colorbar(shown, ax=axes[0])
for centre in (100, 500, 900):
    axes[1].plot(t, alike[centre - 1], label=f"with t = {centre}")
axes[1].set(xlabel="t", title="three rows of it", ylim=(0, 1.25))
axes[1].legend(loc="upper center", ncols=3, fontsize=11)
show.figure(fig, "Left, a matrix of how alike the embeddings of two times are: bright along the diagonal, darker away from it. Right, three rows of it, each with a sharp peak at its own t over broad shoulders.")

# %%
agree("each t is itself: inner product 1", alike.diagonal(), torch.ones(1000), atol=1e-5)
agree("how alike depends on the distance only: (100, 130) and (700, 730)", alike[99, 129], alike[699, 729], atol=1e-4)
print(f"alike: 1 apart {alike[499, 500]:.2f}, 10 apart {alike[499, 509]:.2f}, 100 apart {alike[499, 599]:.2f}, 400 apart {alike[499, 899]:.2f}")

# %% [markdown]
r"""
Near times are near and far ones far, on the whole, and a linear layer can read both "about 500" and "exactly 503" from it. Two linear layers with a SiLU between make the
time vector of them that every block gets.

### Exercise 08.4 · Waves for a time (10 minutes)

`t` is a batch of times. Return $(n, \text{width})$: first the sines, then the cosines, of $t\cdot f_i$ with $f_i = 10000^{-i/(h-1)}$, $i = 0\dots h-1$ and $h$ half of the width.
"""


# %%
def embed(t, width):
    # your code
    ...


check("08.4", embed)

# %% [markdown]
r"""
### Exercise 08.5 · Group normalization by hand (10 minutes)

As in the cell above, for any number of `groups` of neighbouring channels, without learned scale. `x` is $(n, c, h, w)$, the variance is divided by $N$, the number of entries of a group, and `eps` is added inside the root.
"""


# %%
def group_norm(x, groups, eps):
    # your code
    ...


check("08.5", group_norm)

# %%
layers, t = load_trained("ddpm-digits").model.net.time.layers, torch.tensor([1, 300, 1000])
agree("the time vector by hand", layers[2](F.silu(layers[0](sinusoids(t, 32)))), load_trained("ddpm-digits").model.net.time(t), atol=1e-5)

# %% [markdown]
r"""
**Attention** lets every pixel look at every other one at once, however far. Each pixel makes a *query*, a *key* and a *value* of $c$ numbers, by three $1\times1$ convolutions: row $i$ of $Q$, $K$ and $V$
belongs to pixel $i$. It looks where the keys match its query, and takes the weighted mean of the values there:

$$ \mathrm{softmax}\!\left(\frac{QK^\top}{\sqrt c}\right)V $$

The result goes through one more $1\times1$ convolution and is added to the input. The cost grows with the *square* of the number of pixels, so attention is used where the picture is small.
"""


# %%
def attention_weights(x, layer):
    """(batch, pixels, pixels): how much each pixel, by rows, takes from each other one."""
    h = layer.norm(x)
    q, k = (f(h).flatten(2).transpose(1, 2) for f in (layer.q, layer.k))
    return (q @ k.transpose(1, 2) / math.sqrt(x.shape[1])).softmax(2)


layer = Attention(16, groups=8)
nn.init.normal_(layer.out.weight, std=0.3)
x = torch.randn(2, 16, 4, 4, generator=rng)
values = layer.v(layer.norm(x)).flatten(2).transpose(1, 2)
mixed = (attention_weights(x, layer) @ values).transpose(1, 2).reshape(x.shape)
agree("by hand = Attention", x + layer.out(mixed), layer(x), atol=1e-5)
agree("fresh, attention changes nothing", Attention(16, groups=8)(x), x, atol=0)

# %% [markdown]
r"""
### Exercise 08.6 · Attention (15 minutes)

`q`, `k` and `v` are (batch, pixels, channels). Return what each pixel gets.
"""


# %%
def attend(q, k, v):
    # your code
    ...


check("08.6", attend)

# %% [markdown]
r"""
What does a trained network look at? Here is the attention in the middle of the shipped model (at $4\times4$) while it denoises a digit at $t = 300$. Each small map belongs to one of the 16 places; the frame is the place that looks.
"""

# %%
shipped = load_trained("ddpm-digits").model
net, digits = shipped.net, data.load("digits")
seen = []
middle = net.middle[1]
hook = middle.register_forward_hook(lambda layer, inputs, output: seen.append(attention_weights(inputs[0], layer)))
digit = digits.held_out.x0[17:18]
x_t = shipped.schedule.q_sample(digit, 300, torch.randn(digit.shape, generator=rng))
with torch.no_grad():
    net(x_t, torch.tensor([300]))
hook.remove()

# %%
fig = plt.figure(figsize=(10, 4))
left, right = fig.subfigures(1, 2, width_ratios=(1, 1.5))
ax = left.subplots()
show.picture(ax, x_t[0])
ax.set_title("$x_t$ at t = 300")
for i, ax in enumerate(right.subplots(4, 4).flat):
    ax.imshow(seen[0][0, i].reshape(4, 4), vmin=0, vmax=seen[0].max(), cmap="viridis")
    ax.add_patch(plt.Rectangle((i % 4 - 0.5, i // 4 - 0.5), 1, 1, fill=False, edgecolor="white", linewidth=2))
    ax.set(xticks=[], yticks=[])
show.figure(fig, "Left, a noisy digit. Right, sixteen attention maps of 4 by 4, one for each place, framed: most maps have one to three bright places, at various distances from the frame.")
agree("what each place gives adds up to 1", seen[0][0].sum(1), torch.ones(16), atol=1e-5)

hook = middle.register_forward_hook(lambda layer, inputs, output: seen.append(attention_weights(inputs[0], layer)))
every = digits.held_out.x0
with torch.no_grad():
    net(shipped.schedule.q_sample(every, 300, torch.randn(every.shape, generator=rng)), torch.full((len(every),), 300))
hook.remove()
print(f"weight of a place on itself, mean over 500 digits {seen[1].diagonal(dim1=1, dim2=2).mean():.3f}; even weights would be {1 / 16:.3f}")

# %% [markdown]
r"""
On average a place takes hardly more from itself than even weights would give: it looks where the content is, not where it stands.
"""

# %% [markdown]
r"""
## 5 · The whole U

Now put the blocks together, for the digits' network: two levels, $8\times8$ with 32 channels and $4\times4$ with 64. On the way down every output is kept; on the way up each is put beside what comes from
below (**concatenated**, so that the channels add up) and mixed in by a block. These are the **skip connections**: what is lost in the small picture, the exact place of an edge, goes across.
"""


# %%
def unet_by_hand(x_t, t, net):
    time = net.time(t)
    d1, d2, shrink, d3, d4 = net.down
    up1, up2, up3, grow, up4, up5, up6 = net.up
    print("x_t", tuple(x_t.shape[1:]), " time", tuple(time.shape[1:]))

    a = net.first(x_t)
    b = d1[0](a, time)
    c = d2[0](b, time)
    d = shrink[0](c)
    e = d3[1](d3[0](d, time))
    f = d4[1](d4[0](e, time))
    print("down:", *(f"{name} {tuple(value.shape[1:])}" for name, value in zip("abcdef", (a, b, c, d, e, f), strict=True)))

    h = net.middle[2](net.middle[1](net.middle[0](f, time)), time)
    for block, skip, name in ((up1, f, "f"), (up2, e, "e"), (up3, d, "d")):
        h = block[1](block[0](torch.cat([h, skip], 1), time))
        print(f"up, beside {name}: {tuple(h.shape[1:])}")
    h = grow[0](h)
    for block, skip, name in ((up4, c, "c"), (up5, b, "b"), (up6, a, "a")):
        h = block[0](torch.cat([h, skip], 1), time)
        print(f"up, beside {name}: {tuple(h.shape[1:])}")
    return net.last(F.silu(net.norm(h)))


three, t = digits.held_out.x0[:3], torch.tensor([5, 300, 900])
three = shipped.schedule.q_sample(three, t, torch.randn(three.shape, generator=rng))
with torch.no_grad():
    agree("by hand = the shipped network, three images", unet_by_hand(three, t, net), net(three, t), atol=1e-5)

# %%
print("block          channels, height, width    weights   multiply-adds")
for stage in stages(net):
    print(f"{stage.kind:12} {stage.shape!s:>16} {stage.weights:17,} {stage.multiply_adds:15,}")
print(f"with the time's two layers {sum(p.numel() for p in net.parameters()):,} weights; by convolutions alone its middle sees {receptive_field(way_down(net))} pixels")
found = stages(net)
everything = sum(p.numel() for p in net.parameters())
agree("weights outside the stages = the time's", everything - sum(s.weights for s in found), sum(p.numel() for p in net.time.parameters()), atol=0)
agree("a residual block's multiply-adds, counted by hand", found[1].multiply_adds, 2 * 9 * 32 * 32 * 64 + 128 * 32, atol=0)
agree("and attention's: four 1 × 1 convolutions and two products", found[5].multiply_adds, 4 * 64 * 64 * 16 + 2 * 64 * 16**2, atol=0)

# %%
fig = show.u_net(stages(net), "the digits' U-Net")
show.figure(fig, "The digits' U-Net as a U: three boxes at 8 by 8 with 32 channels, fourteen at 4 by 4, all but the first with 64, and five again at 8 by 8, with a dashed arrow across.")

# %% [markdown]
r"""
### Exercise 08.7 · How far does a pixel see? (20 minutes)

`layers` is a list of (kernel, stride). Return the receptive field of the last layer's output, in input pixels, in one direction. (Section 3 measures it.)
"""


# %%
def my_receptive_field(layers):
    # your code
    ...


check("08.7", my_receptive_field)

# %% [markdown]
r"""
### Exercise 08.8 · Find the bug (25 minutes)

`down` and `up` are lists of as many functions, which all keep the size, so that nothing crashes. `up[0]` is to get `h` beside what `down[-1]` *made*, and so on, until the last one gets what `down[0]` made. This way
through the U has **two** bugs. Write it again, without them.

```python
skips = []
h = x
for layer in down:
    skips.append(h)
    h = layer(h)
h = middle(h)
for layer, skip in zip(up, skips):
    h = layer(torch.cat([h, skip], dim=1))
return h
```
"""


# %%
def unet_forward(down, middle, up, x):
    # your code
    ...


check("08.8", unet_forward)

# %% [markdown]
r"""
## 6 · Design your own, and DDPM's

Choose the size of the image, the width and the depth. The weights grow with the *square* of the width; the multiply-adds too, and with the number of pixels; attention stands in the middle always, and at the lowest size too if you like. A multiply-add is one product and its addition.
"""


# %%
def design(size, width, levels, blocks, attention):
    multipliers = (1, 2, 2, 2)[:levels]
    at = (size // 2 ** (levels - 1),) if attention == "at the bottom" else ()
    with torch.device("meta"):
        made = UNet(3, size, width, multipliers, blocks, at)
    found = stages(made)
    weights, cost = sum(p.numel() for p in made.parameters()), sum(stage.multiply_adds for stage in found)
    field = receptive_field(way_down(made))
    return show.u_net(found, f"{weights / 1e6:.2f} M weights, {cost / 1e6:,.0f} M multiply-adds an image, the middle sees {field} pixels")


show.widget(
    design,
    "A U-Net drawn as a U for 32 by 32 images with three levels, with its weights, multiply-adds and the receptive field of its middle in the title.",
    size=SelectionSlider(options=[16, 32, 64], value=32, description="image size"),
    width=SelectionSlider(options=[16, 32, 64, 128], value=64, description="width"),
    levels=IntSlider(value=3, min=1, max=4, description="levels"),
    blocks=IntSlider(value=2, min=1, max=3, description="blocks a level"),
    attention=ToggleButtons(
        options=["at the bottom", "only in the middle"], description="attention"
    ),
)

# %% [markdown]
r"""
Ho et al. say of their network for CIFAR-10: 35.7 million parameters. Base width 128, multipliers 1, 2, 2, 2, two blocks a level, attention at $16\times16$. Is the block that you know the block that they had?
"""

# %%
with torch.device("meta"):
    cifar = UNet(3, 32, 128, (1, 2, 2, 2), 2, (16,), groups=32, dropout=0.1)
weights = sum(p.numel() for p in cifar.parameters())
agree("millions of weights, as in the paper", round(weights / 1e6, 1), 35.7, atol=1e-9)
print(f"exactly {weights:,}; {sum(s.multiply_adds for s in stages(cifar)) / 1e9:.2f} billion multiply-adds for one call")
for kind in ("convolution", "residual", "attention", "down", "up"):
    part = [stage for stage in stages(cifar) if stage.kind == kind]
    print(f"{kind:12} {len(part):3} blocks {sum(s.weights for s in part) / weights:7.1%} of the weights {sum(s.multiply_adds for s in part) / sum(s.multiply_adds for s in stages(cifar)):7.1%} of the work")

# %%
fig = show.u_net(stages(cifar), "DDPM's U-Net for CIFAR-10")
show.figure(fig, "DDPM's U-Net for CIFAR-10 as a U with four levels from 32 by 32 to 4 by 4, 128 and 256 channels, attention at 16 by 16 and in the middle.")

# %% [markdown]
r"""
## 7 · The first test of any network: overfit one batch

Before you train for hours, train on *eight* noisy images, always the same ones with the same $t$ and noise. A network that works learns them by heart in a minute, and the loss goes to nearly 0. If it doesn't,
something is broken, and you have found out for the price of a minute. (On fresh noise no diffusion loss can go to 0: lesson 07, section 6.)
"""


# %%
def overfit(build, steps=120):
    """The loss on one fixed batch of eight noisy digits, step by step."""
    torch.manual_seed(8)
    model = Denoiser(build(1, 8, 32, (1, 2), 1, (), groups=8), NoiseSchedule.cosine(), V)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    generator = torch.Generator().manual_seed(0)
    x0 = digits.train.x0[:8]
    t, eps = torch.linspace(50, 950, 8).long(), torch.randn(x0.shape, generator=generator)
    losses = []
    for _ in range(steps):
        loss = model(x0, t=t, eps=eps)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


class Cut(UNet):
    """A bug: the last layers get numbers, not a graph, so nothing before them learns."""

    def __init__(self, *args, **options):
        super().__init__(*args, **options)
        self.norm.register_forward_pre_hook(lambda layer, inputs: (inputs[0].detach(),))


curves = {"U-Net": overfit(UNet), "a broken one": overfit(Cut)}
ax = show.curves(range(1, 121), curves, "step", "loss on one batch", log="y")
show.figure(ax.figure, "Loss on one fixed batch over 120 steps, logarithmic: the U-Net falls from 1 to about a hundred-thousandth, the broken one stays orders of magnitude above it.")
print(", ".join(f"{name}: {values[-1]:.1e}" for name, values in curves.items()))
assert curves["U-Net"][-1] < 1e-3 < 0.02 < curves["a broken one"][-1]

# %% [markdown]
r"""
## 8 · What is each part worth?

Take parts out and train again: the same 1,500 steps, the same data, the same seed. Without skips, zeros are put beside instead (so the number of weights stays). Without time, every image is announced as $t = 0$.
The other two say what they do. (`course train ddpm-digits-without-skips` and so on, then `course record ablations-digits`; a quarter of an hour on two cores.)

**Predict first.** Which of them hurts most? Which hardly at all, on pictures of $8\times8$?

<details><summary>Answer</summary>

By the FD ratio the skips matter most, by far. By the loss, time comes close: it costs a few percent at every $t$, the skips up to 17 %, but only below $t\approx600$.
Attention changes nothing that we can measure. The list below the figure says why.

</details>
"""

# %%
recorded = results("ablations-digits")
labels = {"ddpm-digits": "complete"} | {f"ddpm-digits-without-{part}": f"without {part}" for part in ABLATIONS} | {"ddpm-digits-half-width": "half the width"}
print("                     weights    FD ratio          held-out loss, mean over t   (FD ratio 1.0: as close to unseen digits as training digits are)")
for name, label in labels.items():
    found = recorded["models"][name]
    q = found["quality"]
    print(f"{label:18} {found['weights']:9,}    {q['fd_ratio']:.2f} ± {q['spread']:.2f}       {sum(found['loss']) / len(found['loss']):.4f}")

# %%
fig, axes = plt.subplots(1, 2, figsize=(12, 4.2), width_ratios=(1, 1.4))
colours = ("black", "red", "orange", "sky", "green")
ratios = [recorded["models"][name]["quality"] for name in labels]
axes[0].barh(list(labels.values()), [q["fd_ratio"] for q in ratios], xerr=[q["spread"] for q in ratios], color=[show.COLOURS[c] for c in colours])
axes[0].invert_yaxis()
axes[0].axvline(1, color=show.COLOURS["grey"], linewidth=1)
axes[0].set_xlabel("FD ratio")
base = torch.tensor(recorded["models"]["ddpm-digits"]["loss"])
for (name, label), colour in zip(labels.items(), colours, strict=True):
    axes[1].plot(recorded["times"], torch.tensor(recorded["models"][name]["loss"]) / base, color=show.COLOURS[colour], label=label)
axes[1].set(xlabel="t", ylabel="loss / that of the complete network")
axes[1].legend(fontsize=11)
show.figure(fig, "Left, bars of the FD ratio: without skips it is nearly twice that of the complete network, without time a little higher, the others about equal. Right, the loss relative to the complete network over t: without skips up to 17 percent higher around t = 300, without time about 6 percent at most t, half the width 4 percent at small t, without attention equal.")

# %%
again = loss_by_t(shipped, digits.held_out.x0, tuple(recorded["times"][:3]))
agree("the complete network's loss at three t, measured again", again, recorded["models"]["ddpm-digits"]["loss"][:3], atol=1e-4)

# %% [markdown]
r"""
- **Skips** matter most. Without them everything has to go through $4\times4$, and the exact place of a stroke gets lost. The loss is up to 17 % higher around $t = 300$, where the
  strokes find their places; where $\mathbf x_t$ is mostly noise, at $t>700$, there is little to carry across.
- **Time** matters less than the lectures let you think. A network can *see* how noisy an image is: the noise of 64 pixels alone would give its standard deviation to within about 9 % ($1/\sqrt{128}$). What it loses is 2 to 8 % of
  the loss at every $t$, and some of the quality.
- **Attention** matters not at all here: at $8\times8$ the convolutions reach everywhere anyway (the receptive field is 45 pixels). It will matter for larger pictures, and for text in lesson 11.
- **Half the width** has a quarter of the weights, and is hardly worse after this short training on 1,297 digits.

Mind what ± means: the spread over draws of 500 images. Another training seed is not in it. So of the FD ratios only the first difference is beyond doubt. The losses are compared on the same images with
the same noise, so there a few percent at every $t$ are an effect. The honest way to a small one is more training seeds.

Stuck? `hint("08.7")` helps a little, and again a little more; `solution("08.7")` shows ours.

## What to remember

1. Sizes: $\ \lfloor (n + 2p - k)/s\rfloor + 1$ on the way down. A transposed convolution is $A^\top$, not $A^{-1}$.
2. A block: $\ \mathbf x + f_2\bigl(f_1(\mathbf x) + \text{time}\bigr)$ with $f = \mathrm{conv}\circ\mathrm{silu}\circ\mathrm{norm}$; the convolution of $f_2$ starts at 0.
3. Attention: $\ \mathrm{softmax}(QK^\top/\sqrt c)\,V$, where the picture is small. The skips carry what the small picture cannot hold.

Lesson 09 takes the trained network and walks back.

## References

- S. Varma, lecture 19; slides *Diffusion Models*.
- Ronneberger, Fischer, Brox: *U-Net: Convolutional Networks for Biomedical Image Segmentation*, 2015.
- Ho, Jain, Abbeel: *Denoising Diffusion Probabilistic Models*, 2020, appendix B.
- Vaswani et al.: *Attention Is All You Need*, 2017. Wu, He: *Group Normalization*, 2018.
- Odena, Dumoulin, Olah: *Deconvolution and Checkerboard Artifacts*, 2016.
- Photos: china by danielbuechele, CC BY 2.0. Digits: Alpaydin and Kaynak, 1998, CC BY 4.0.
"""
