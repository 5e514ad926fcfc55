"""Whole systems, each as one drawing."""

from collections.abc import Sequence
from itertools import pairwise

from matplotlib.figure import Figure
from torch import Tensor

from course_lib.show.drawing import Drawing, Shape


def diffusion_chain(images: Tensor | None = None, title: str = "") -> Figure:
    """The chain of latents from data x_0 to noise x_T, with forward arrows q and reverse arrows p (lesson 06).

    images: (5, channels, height, width) in [-1, 1], what x_0, x_1, x_{t-1}, x_t and x_T look like. Drawn as in fig. 2
    of Ho et al. (2020), but with time from left to right.
    """
    if images is not None and len(images) != 5:
        raise ValueError(f"images must be five, for x_0, x_1, x_(t-1), x_t and x_T; got {len(images)}")
    y = 1.3 if images is None else 2.65
    drawing = Drawing(9.6, y + 1.3, title)
    labels = ("$x_0$", "$x_1$", "…", "$x_{t-1}$", "$x_t$", "…", "$x_T$")
    nodes = drawing.chain(labels, [0.75 + 1.35 * i for i in range(7)], y, observed=0)
    steps = {
        i: (rf"$q({b}\mid {a})$", rf"$p_\theta({a}\mid {b})$") for i, a, b in ((0, "x_0", "x_1"), (3, "x_{t-1}", "x_t"))
    }
    for i, (before, after) in enumerate(pairwise(nodes)):
        forward, reverse = steps.get(i, ("", ""))
        bend, height = (-0.45, 0.33) if forward else (0.0, 0.12)
        drawing.arrow(_rim(before, 1, height), _rim(after, -1, height), forward, curve=bend)
        back = (_rim(after, -1, -height), _rim(before, 1, -height))
        drawing.arrow(*back, reverse, "samples", bend, dashed=True, below=True)
    drawing.text(nodes[5].x, y + 0.72, "forward: add noise")
    drawing.text(nodes[5].x, y - 0.72, "reverse: learned", "samples")
    for image, i in zip([] if images is None else images, (0, 1, 3, 4, 6), strict=False):
        drawing.picture(nodes[i].x, 0.72, image, 1.1)
    return drawing.fig


def variational_autoencoder(image: Tensor | None = None, decoded: Tensor | None = None, title: str = "") -> Figure:
    """From an image to a distribution of z, a draw from it, and back to a distribution of images (lesson 03).

    image, decoded: (channels, height, width) in [-1, 1] instead of the symbols.
    """
    drawing = Drawing(9.6, 3.3, title)
    y = 1.75
    start = _shown(drawing, 0.8, y, image, "$x$", "data")
    encoder = drawing.trapezoid(2.45, y, "encoder", "autoencoder", width=1.3, height=1.9, end=0.55)
    mu = drawing.box(3.85, y + 0.5, r"$\mu$", "signal", 0.7, 0.6)
    sigma = drawing.box(3.85, y - 0.5, r"$\sigma$", "noise", 0.7, 0.6)
    times, plus = drawing.node(4.85, y - 0.5, "×"), drawing.node(5.35, y, "+")
    eps = drawing.circle(4.85, 0.45, r"$\epsilon$", radius=0.32)
    z = drawing.circle(6.1, y, "$z$")
    decoder = drawing.trapezoid(7.35, y, "decoder", "autoencoder", width=1.2, height=1.05, end=1.8)
    end = _shown(drawing, 8.85, y, decoded, r"$\hat x$", "samples")
    for a, b in ((start.right, encoder.left), (sigma.right, times.left), (eps.top, times.bottom), (plus.right, z.left),
                 (z.right, decoder.left), (decoder.right, end.left)):  # fmt: skip
        drawing.arrow(a, b)
    for part in (mu, sigma):
        drawing.path([encoder.right, (3.3, y), (3.3, part.y), part.left])
    drawing.path([mu.right, (plus.x, mu.y), plus.top])
    drawing.path([times.right, (plus.x, times.y), plus.bottom])
    drawing.text(2.9, 3.1, r"$q_\phi(z\mid x)$", "autoencoder")
    drawing.text(7.35, 3.1, r"$p_\theta(x\mid z)$", "autoencoder")
    return drawing.fig


def gan_players(real: Tensor | None = None, fake: Tensor | None = None, title: str = "") -> Figure:
    """The generator and the discriminator, what each is given, and what each learns from the verdict (lesson 05).

    real, fake: images (channels, height, width) in [-1, 1] instead of the words.
    """
    drawing = Drawing(9.6, 4.1, title)
    z = drawing.circle(0.6, 1.6, "$z$")
    generator = drawing.trapezoid(2.3, 1.6, "generator\n$G$", "samples", width=1.4, height=1.7, end=2)
    drawn = _shown(drawing, 4.25, 3.35, real, "real $x$", "data")
    forged = _shown(drawing, 4.25, 1.6, fake, "$G(z)$", "samples")
    judge = drawing.trapezoid(6.5, 2.475, "discriminator\n$D$", "discriminator", width=1.6, height=1.9, end=0.6)
    verdict = drawing.box(8.75, 2.475, "real or\nfake?", "discriminator", 1.2, 0.9)
    drawing.arrow(z.right, generator.left)
    drawing.arrow(generator.right, forged.left)
    for thing, lift in ((drawn, 0.45), (forged, -0.45)):
        drawing.path([thing.right, (5.25, thing.y), (5.25, judge.y + lift), (judge.left[0], judge.y + lift)])
    drawing.arrow(judge.right, verdict.left)
    drawing.path([verdict.top, (verdict.x, 3.65), (judge.x, 3.65), judge.top], "discriminator", dashed=True)
    drawing.text((judge.x + verdict.x) / 2, 3.72, "learns to tell them apart", "discriminator", va="bottom")
    drawing.path([verdict.bottom, (verdict.x, 0.42), (generator.x, 0.42), generator.bottom], "samples", dashed=True)
    drawing.text((generator.x + verdict.x) / 2, 0.34, "learns to be taken for real", "samples", va="top")
    return drawing.fig


def latent_diffusion(pictures: Sequence[Tensor], numbers: Sequence[int], title: str = "") -> Figure:
    """A picture is coded, diffusion makes codes of noise, and a code is decoded (lesson 10).

    pictures: five images (channels, height, width) in [-1, 1]: x, its code z, noise z_T, a new z_0, and what it decodes to.
    numbers: how many numbers each of the five holds.
    """
    if len(pictures) != 5 or len(numbers) != 5:
        raise ValueError(f"five pictures and their sizes are drawn; got {len(pictures)} and {len(numbers)}")
    drawing = Drawing(9.6, 3.9, title)
    high, low, names = 2.95, 1.0, ("$x$", "$z$", "$z_T$", "$z_0$", r"$\hat x$")
    sizes = [1.25, 0.8, 0.8, 0.8, 1.25]
    places = [(0.75, high), (4.0, high), (1.1, low), (5.6, low), (8.75, low)]
    shown = [drawing.picture(x, y, image, size) for (x, y), image, size in zip(places, pictures, sizes, strict=True)]
    encoder = drawing.trapezoid(2.35, high, "$E$", "autoencoder", width=1.2, height=1.3, end=0.55)
    unet = drawing.hourglass(3.35, low, "diffusion", "latent diffusion", width=2.3, height=1.5)
    decoder = drawing.trapezoid(7.1, low, "$D$", "autoencoder", width=1.2, height=0.75, end=1.8)
    for a, b in ((shown[0], encoder), (encoder, shown[1]), (shown[2], unet), (unet, shown[3]), (shown[3], decoder),
                 (decoder, shown[4])):  # fmt: skip
        drawing.arrow(a.right, b.left)
    for place, name, count in zip(shown, names, numbers, strict=True):
        drawing.text(place.x, place.bottom[1] - 0.06, f"{name}: {count:,}", va="top")
    drawing.path(
        [shown[1].right, (4.95, high), (4.95, 2.05), (4.2, 2.05), (4.2, low + 0.68)], "latent diffusion", dashed=True
    )
    drawing.text(5.1, 2.5, "learns how codes\nare distributed", "latent diffusion", ha="left")
    return drawing.fig


def text_to_image(prompt: str, image: Tensor | None = None, noise: Tensor | None = None, title: str = "") -> Figure:
    """How a latent diffusion model draws: words steer a U-Net through cross-attention (lesson 12).

    prompt: in one or two lines. image, noise: (channels, height, width) in [-1, 1], for what comes out and z_T.
    """
    drawing = Drawing(9.6, 4.2, title)
    y, waist, left, right = 1.6, 3.75, 2.15, 5.35
    words = drawing.box(1.4, 3.65, prompt, "text", 2.3, 0.9)
    reader = drawing.box(waist, 3.65, "text encoder", "text", 1.5, 0.9)
    start = _shown(drawing, 0.8, y, noise, "$z_T$", "noise")
    unet = drawing.hourglass(waist, y, "U-Net", "residual", width=2.4, height=1.6)
    end = drawing.box(6.05, y, "$z_0$", "signal", 0.7, 0.9)
    decoder = drawing.trapezoid(7.35, y, "decoder", "autoencoder", width=1.2, height=1.6, end=1.8)
    shown = _shown(drawing, 8.9, y, image, "image", "data")
    drawing.arrow(words.right, reader.left)
    for x in (waist - 0.85, waist + 0.85):
        drawing.path([reader.bottom, (waist, 2.72), (x, 2.72), (x, y + 0.6)], "attention")
        drawing.slab(x, y, 0.12, 1.2, "attention", depth=0)
    drawing.text(waist + 1.0, 2.75, "cross-attention", "attention", ha="left")
    drawing.arrow(start.right, unet.left)
    drawing.arrow(unet.right, end.left)
    drawing.path([(right, y), (right, 0.5), (left, 0.5), (left, y)])
    drawing.text(waist, 0.42, "again for each $t = T, …, 1$", va="top")
    drawing.arrow(end.right, decoder.left)
    drawing.arrow(decoder.right, shown.left)
    return drawing.fig


def _shown(drawing: Drawing, x: float, y: float, image: Tensor | None, name: str, role: str) -> Shape:
    """The image over its name, or a box with the name in it."""
    return drawing.box(x, y, name, role, 1.1, 1.0) if image is None else drawing.picture(x, y, image, 1.1, name)


def _rim(shape: Shape, side: int, height: float) -> tuple[float, float]:
    """The place on the right (side = 1) or left rim of a circle, so high above its middle; of "…" just its side."""
    radius = shape.width / 2
    reach = (radius**2 - height**2) ** 0.5 if shape.width == shape.height else radius
    return shape.x + side * reach, shape.y + height
