"""Drawings: shapes that arrows reach, letters that nothing covers, systems and nets with all that belongs to them."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from matplotlib.colors import to_hex, to_rgba
from matplotlib.patches import Circle, FancyArrowPatch, Polygon, Rectangle
from torch import nn

from course_lib import show
from course_lib.nets import Attention, Downsample, ResidualBlock, UNet, Upsample, stages
from course_lib.show.unet_stages import skip_connections

NETS = {
    "one level": {"channels": 1, "size": 6, "width": 8, "multipliers": (1,), "blocks": 1, "groups": 4},
    "digits": {"channels": 1, "size": 8, "width": 32, "multipliers": (1, 2), "blocks": 2, "attention": (4,)},
    "odd": {
        "channels": 2,
        "size": 24,
        "width": 12,
        "multipliers": (2, 1, 3),
        "blocks": 1,
        "attention": (24, 6),
        "groups": 3,
    },
    "CIFAR-10": {"channels": 3, "size": 32, "width": 128, "multipliers": (1, 2, 2, 2), "blocks": 2, "attention": (16,)},
}
IMAGES = torch.linspace(-1, 1, 5 * 64).reshape(5, 1, 8, 8)
MESSAGE = "A message above the drawing"


def net(name, device="meta"):
    with torch.device(device):
        return UNet(**NETS[name])


DRAWINGS = {
    "chain": lambda: show.diffusion_chain(title=MESSAGE),
    "chain of images": lambda: show.diffusion_chain(IMAGES, MESSAGE),
    "gan": lambda: show.gan_players(title=MESSAGE),
    "gan with images": lambda: show.gan_players(IMAGES[0], IMAGES[1], MESSAGE),
    "vae": lambda: show.variational_autoencoder(title=MESSAGE),
    "vae with images": lambda: show.variational_autoencoder(IMAGES[0], IMAGES[1], MESSAGE),
    "text to image": lambda: show.text_to_image("“a red circle left of\na blue square”", title=MESSAGE),
    "text to image with images": lambda: show.text_to_image("“three”", IMAGES[0], IMAGES[1], MESSAGE),
} | {name: lambda name=name: show.u_net(stages(net(name)), MESSAGE) for name in NETS}
each_drawing = pytest.mark.parametrize("name", DRAWINGS)


def letters(fig):
    """The boxes of all words, in pixels."""
    fig.draw_without_rendering()
    return {text.get_text(): text.get_window_extent() for text in fig.findobj(plt.Text) if text.get_text()}


@each_drawing
def test_a_drawing_can_be_projected(name):
    assert show.check_figure(DRAWINGS[name]()) == []


@each_drawing
def test_no_words_touch_others_or_leave_the_sheet(name):
    fig = DRAWINGS[name]()
    boxes = list(letters(fig).items())
    for i, (text, box) in enumerate(boxes):
        assert (box.min >= 0).all() and (box.max <= fig.bbox.max).all(), f"{text!r} leaves the sheet"
        for other, beside in boxes[:i]:
            assert not box.overlaps(beside), f"{text!r} touches {other!r}"


def tips(ax):
    """(start, end) of each arrow, in inches."""
    return [patch._posA_posB for patch in ax.patches if isinstance(patch, FancyArrowPatch)]


def outlines(ax):
    """Places along the edges of all shapes and pictures, in inches."""
    found = [np.array(image.get_extent()) for image in ax.images]
    found = [np.array([(a, c), (b, c), (b, d), (a, d), (a, c)]) for a, b, c, d in found]
    for patch in ax.patches:
        if not isinstance(patch, FancyArrowPatch):
            path = patch.get_transform() - ax.transData
            found += [np.array(part) for part in path.transform_path(patch.get_path()).to_polygons()]
    dense = np.linspace(0, 1, 200)[:, None]
    return np.concatenate([a + dense * (b - a) for way in found for a, b in zip(way, way[1:], strict=False)])


@pytest.mark.parametrize(
    "name", ["gan", "gan with images", "chain", "text to image", "text to image with images", "digits"]
)
def test_each_arrow_reaches_what_it_points_at(name):
    (ax,) = DRAWINGS[name]().axes
    edges = outlines(ax)
    missed = [end for _, end in tips(ax) if np.linalg.norm(edges - end, axis=1).min() > 0.07]
    free = {"text to image": 1, "text to image with images": 1, "digits": 1, "chain": 4}.get(name, 0)
    assert len(missed) == free, f"{missed} end nowhere; meant are the loop's, the output's, those to the dots"


def test_a_shape_knows_its_sides():
    shape = show.Shape(2.0, 1.0, 1.0, 0.5)
    assert (shape.left, shape.right, shape.top, shape.bottom) == ((1.5, 1.0), (2.5, 1.0), (2.0, 1.25), (2.0, 0.75))


def test_each_shape_is_drawn_where_it_says():
    sheet = show.Drawing(8, 4)
    shapes = [
        sheet.box(1, 1, "box"), sheet.trapezoid(3, 1, "in", end=0.4), sheet.trapezoid(5, 1, "out", end=2), sheet.node(7, 1),
        sheet.circle(1, 3, "$x$"), sheet.hourglass(3, 3, "both", "residual"), sheet.slab(5, 3, 0.3, 1.0, "residual", depth=0),
        sheet.picture(7, 3, IMAGES[0], 0.8, "a picture"), sheet.node(6, 2, "×"),
    ]  # fmt: skip
    edges = outlines(sheet.ax)
    for shape in shapes:
        for place in (shape.left, shape.right, shape.top, shape.bottom):
            assert np.linalg.norm(edges - place, axis=1).min() < 0.02, shape
    assert sheet.ax.get_xlim() == (0, 8) and sheet.ax.get_ylim() == (0, 4)


@pytest.mark.parametrize("size", [(4, 2), (9.6, 4), (12.3, 3), (6, 9)])
def test_letters_are_as_large_as_the_sheet_needs(size):
    sheet = show.Drawing(*size)
    sheet.text(1, 1, "words")
    assert 18 <= show.smallest_letter(sheet.fig) < 20


def test_an_encoder_narrows_and_a_decoder_widens():
    sheet = show.Drawing(8, 4)
    for x, end in ((2, 0.5), (6, 2)):
        sheet.trapezoid(x, 2, "net", height=1.4, end=end)
    for patch, (left, right) in zip(sheet.ax.patches, ((0.7, 0.35), (0.35, 0.7)), strict=True):
        corners = patch.get_xy() - [patch.get_xy()[:, 0].mean(), 2]
        assert isinstance(patch, Polygon)
        assert np.abs(corners[corners[:, 0] < 0, 1]).max() == pytest.approx(left)
        assert np.abs(corners[corners[:, 0] > 0, 1]).max() == pytest.approx(right)


@pytest.mark.parametrize("curve", [-0.6, -0.3, 0.3, 0.6])
def test_words_of_a_bent_arrow_lie_at_its_bend(curve):
    sheet = show.Drawing(6, 4)
    sheet.arrow((1, 2), (5, 2), "words", curve=curve, below=curve > 0)
    box = sheet.ax.transData.inverted().transform(letters(sheet.fig)["words"])
    top = 2 - np.sign(curve) * abs(curve) * 4 / 2  # a quadratic Bézier curve reaches half its control point
    assert np.abs(box[:, 1] - top).min() < 0.15 and box[:, 0].mean() == pytest.approx(3, abs=0.05)


def test_a_chain_has_its_variables_in_a_row_and_the_observed_one_is_grey():
    sheet = show.Drawing(8, 2)
    nodes = sheet.chain(["$a$", "…", "$b$"], [1, 3, 5], 1.0, observed=2)
    assert [(node.x, node.y) for node in nodes] == [(1, 1), (3, 1), (5, 1)]
    large = [patch for patch in sheet.ax.patches if isinstance(patch, Circle) and patch.radius > 0.1]
    assert [to_hex(patch.get_facecolor()) for patch in large] == ["#ffffff", "#d4d4d4"]


def test_a_brace_opens_at_both_ends_and_points_down_in_the_middle():
    sheet = show.Drawing(8, 2)
    sheet.brace(2, 6, 1.5, "four")
    x, y = sheet.ax.lines[0].get_data()
    assert (x[0], x[-1]) == (2, 6) and y[[0, -1]] == pytest.approx([1.5, 1.5], abs=1e-3)
    assert x[y.argmin()] == pytest.approx(4) and y.min() == pytest.approx(1.32, abs=0.01)


def test_the_chain_shows_the_images_it_was_given_and_wants_five():
    fig = show.diffusion_chain(IMAGES)
    for drawn, image in zip(fig.axes[0].images, IMAGES, strict=True):
        assert (drawn.get_array() == show.as_picture(image)).all()
    with pytest.raises(ValueError, match="images must be five, .* got 4"):
        show.diffusion_chain(IMAGES[:4])


def test_the_chain_goes_from_data_to_noise_with_q_above_and_p_below():
    words = letters(show.diffusion_chain())
    row = [words[f"${name}$"].x0 for name in ("x_0", "x_1", "x_{t-1}", "x_t", "x_T")]
    assert row == sorted(row)
    for before, after in (("x_0", "x_1"), ("x_{t-1}", "x_t")):
        q, p = words[rf"$q({after}\mid {before})$"], words[rf"$p_\theta({before}\mid {after})$"]
        assert q.y0 > words["$x_0$"].y1 and p.y1 < words["$x_0$"].y0
        assert words[f"${before}$"].x0 < (q.x0 + q.x1) / 2 < words[f"${after}$"].x1


def pictures(fig):
    """The pictures of a drawing with the places of their centres."""
    return [
        (image.get_array(), np.mean(image.get_extent()[:2]), np.mean(image.get_extent()[2:]))
        for image in fig.axes[0].images
    ]


def test_real_images_lie_above_forged_ones_and_noise_before_the_image_that_comes_of_it():
    (real, _, high), (fake, _, low) = pictures(show.gan_players(IMAGES[0], IMAGES[1]))
    assert (real == show.as_picture(IMAGES[0])).all() and (fake == show.as_picture(IMAGES[1])).all() and high > low
    (noise, left, _), (image, right, _) = pictures(show.text_to_image("“three”", IMAGES[0], IMAGES[1]))
    assert (image == show.as_picture(IMAGES[0])).all() and (noise == show.as_picture(IMAGES[1])).all() and left < right


def test_what_a_vae_is_given_lies_left_of_what_it_decodes():
    (given, left, _), (decoded, right, _) = pictures(show.variational_autoencoder(IMAGES[0], IMAGES[1]))
    assert (
        (given == show.as_picture(IMAGES[0])).all() and (decoded == show.as_picture(IMAGES[1])).all() and left < right
    )


@pytest.mark.parametrize(("sign", "upright"), [("+", True), ("×", False)])
def test_a_node_has_the_sign_that_it_was_given(sign, upright):
    sheet = show.Drawing(4, 2)
    sheet.node(2, 1, sign)
    assert [0 in np.ptp(line.get_data(), axis=1) for line in sheet.ax.lines] == [upright] * 2


@pytest.mark.parametrize("below", [False, True])
def test_words_of_a_straight_arrow_lie_on_the_side_that_was_asked_for(below):
    sheet = show.Drawing(6, 2)
    sheet.arrow((1, 1), (5, 1), "words", below=below)
    words, line = letters(sheet.fig)["words"], sheet.ax.transData.transform((3, 1))[1]
    assert words.y1 < line if below else words.y0 > line


def real_skips(name):
    """(from, to) of every skip in a real forward pass: which stage's output is concatenated before which other stage."""
    model, seen, skips = net(name, "cpu"), [], []
    blocks = [m for m in model.modules() if isinstance(m, ResidualBlock | Attention | Downsample | Upsample)]
    for block in (*blocks, model.first, model.last):
        block.register_forward_hook(lambda _, inputs, output: seen.append(output))

    def across(h):
        skips.append((next(i for i, output in enumerate(seen) if output is h), len(seen)))
        return h

    model.across = across
    model(torch.zeros(1, model.channels, model.size, model.size), torch.ones(1))
    return sorted(skips)


@pytest.mark.parametrize("name", ["one level", "digits", "odd"])
def test_the_skips_are_those_of_a_real_forward_pass(name):
    assert skip_connections(stages(net(name))) == real_skips(name)


@pytest.mark.parametrize(("name", "count"), [("one level", 2), ("digits", 6), ("odd", 6), ("CIFAR-10", 12)])
def test_the_drawing_has_one_slab_a_stage_and_every_skip(name, count):
    found = stages(net(name))
    (ax,) = show.u_net(found).axes
    slabs = [patch for patch in ax.patches if isinstance(patch, Rectangle)]
    assert [slab.get_facecolor() for slab in slabs] == [to_rgba(show.colour(stage.kind)) for stage in found]
    middles = [slab.get_x() + slab.get_width() / 2 for slab in slabs]
    assert middles == sorted(middles)
    drawn = []
    for line in ax.lines:
        x, y = line.get_data()
        if len(x) == 3:
            start, end = (int(np.abs(np.array(middles) - place).argmin()) for place in (x[0], x[-1]))
            drawn.append((start, end))
            assert (
                y[0] < y[1] == y[2] and middles[start] == pytest.approx(x[0]) and middles[end] == pytest.approx(x[-1])
            )
    assert sorted(drawn) == skip_connections(found) and len(drawn) == count


@pytest.mark.parametrize("name", NETS)
def test_smaller_images_are_lower_down_and_lower_and_more_channels_are_wider(name):
    found = stages(net(name))
    slabs = [patch for patch in show.u_net(found).axes[0].patches if isinstance(patch, Rectangle)]
    rows, widths = {}, {}
    for stage, slab in zip(found, slabs, strict=True):
        rows.setdefault(stage.shape[1], set()).add(
            (round(slab.get_y() + slab.get_height() / 2, 6), round(slab.get_height(), 6))
        )
        widths.setdefault(stage.shape[0], set()).add(round(slab.get_width(), 6))
    ordered = [row.pop() for _, row in sorted(rows.items()) if len(row) == 1]
    assert (
        len(ordered) == len(rows) and ordered == sorted(ordered) and len({height for _, height in ordered}) == len(rows)
    )
    assert [width for _, (width,) in sorted(widths.items())] == sorted(width for (width,) in widths.values())


def test_the_drawing_says_sizes_channels_kinds_and_where_the_time_enters():
    found = stages(net("digits"))
    (ax,) = show.u_net(found).axes
    texts = [text.get_text() for text in ax.texts if text.get_text()]
    assert texts == ["8 × 8", "32", "64 → 32 → 1", "4 × 4", "32 → 64", "$x_t$"]
    named = [text.get_text() for text in ax.get_legend().get_texts()]
    assert named == ["convolution", "residual", "attention", "down", "up", "time enters", "skip, concatenated"]
    dots = [line for line in ax.lines if line.get_marker() == "."]
    assert len(dots) == sum(stage.kind == "residual" for stage in found)


def test_what_a_net_lacks_is_not_in_the_legend():
    with torch.device("meta"):
        plain = UNet(1, 8, 8, (1,), 1, groups=4)
    plain.middle[1] = nn.Identity()
    kinds = {stage.kind for stage in stages(plain)}
    named = {text.get_text() for text in show.u_net(stages(plain)).axes[0].get_legend().get_texts()}
    assert "attention" not in kinds and named == kinds | {"time enters", "skip, concatenated"}


@pytest.mark.parametrize(
    ("draw", "message"),
    [
        (lambda sheet, box: sheet.arrow(box, box.right), "give a side, such as shape.right"),
        (lambda sheet, box: sheet.arrow((0, 0), 3), r"a place must be \(x, y\); got 3"),
        (lambda sheet, box: sheet.arrow((0, 0), (1, float("nan"))), "x and y of a place must be a finite number"),
        (lambda sheet, box: sheet.path([box.right]), "a path needs two corners or more; got 1"),
        (lambda sheet, box: sheet.path([box, box.right]), "give a side"),
        (lambda sheet, box: sheet.node(1, 1, "*"), r"sign must be one of '\+', '×'"),
        (lambda sheet, box: sheet.picture(1, 1, IMAGES), r"an image must be \(1 or 3 channels, height, width\)"),
        (lambda sheet, box: sheet.chain(["a", "b"], [1], 1), "each label needs an x; got 2 labels and 1 places"),
        (lambda sheet, box: sheet.box(3, 1, "b", role="gray"), "no role is called 'gray'"),
    ],
)
def test_a_drawing_says_what_joins_what(draw, message):
    sheet = show.Drawing(4, 2)
    with pytest.raises(ValueError, match=message):
        draw(sheet, sheet.box(1, 1, "box"))


@pytest.mark.parametrize("size", [(0, 2), (4, -1), (float("nan"), 2), ("4", 2)])
def test_a_sheet_has_a_width_and_a_height(size):
    with pytest.raises(ValueError, match="width must|height must"):
        show.Drawing(*size)
