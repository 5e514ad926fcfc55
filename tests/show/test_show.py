"""Figures: each comes with a text, and shows what it was given."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from ipywidgets import IntSlider

from course_lib import show
from course_lib.exact import GaussianMixture
from course_lib.nets import UNet, stages

ALT = "A sentence that says what the figure shows."


def test_a_figure_carries_its_text_and_is_closed(page):
    fig = show.grid(torch.zeros(4, 1, 8, 8))
    show.figure(fig, ALT)
    bundle, metadata, _ = page[0]
    assert bundle["image/png"].startswith(b"\x89PNG") and bundle["text/plain"] == ALT
    assert metadata["image/png"] == {"alt": ALT}, "a figure without letters has no smallest one"
    assert not plt.fignum_exists(fig.number)


def test_a_figure_without_a_text_is_an_error(page):
    with pytest.raises(ValueError, match="must say what it shows"):
        show.figure(show.grid(torch.zeros(1, 1, 8, 8)), "figure")


def test_the_same_figure_gives_the_same_bytes(page):
    for _ in range(2):
        show.figure(show.grid(torch.linspace(-1, 1, 256).reshape(4, 1, 8, 8)), ALT)
    assert page[0][0] == page[1][0]


def test_tiles_puts_each_image_in_its_place():
    x0 = torch.stack([torch.full((1, 2, 2), v) for v in (-1.0, -0.5, 0.0, 0.5, 0.9)])
    sheet = show.tiles(x0, columns=3)
    assert sheet.shape == (1, 5, 8)
    assert sheet[0, 0, 3] == -0.5 and sheet[0, 3, 0] == 0.5 and sheet[0, 2, 0] == 1 and sheet[0, 4, 7] == 1
    with pytest.raises(ValueError, match="got \\(0, 1, 2, 2\\)"):
        show.tiles(x0[:0])


def test_a_picture_has_the_images_colours():
    red = torch.tensor([1.0, -1.0, -1.0]).reshape(3, 1, 1).expand(3, 2, 2)
    assert (show.as_picture(red) == np.array([255, 0, 0])).all()
    assert show.as_picture(torch.zeros(1, 2, 2)).shape == (2, 2, 3)


def test_a_strip_has_a_column_for_each_time_and_checks_that_they_fit():
    fig = show.strip([torch.zeros(3, 1, 4, 4), torch.ones(3, 1, 4, 4)], [0, 10, 500], names=["a", "b"])
    assert [ax.get_title() for ax in fig.axes[:3]] == ["t = 0", "10", "500"]
    assert len(fig.axes) == 6 and fig.axes[0].get_ylabel() == "a"
    with pytest.raises(ValueError, match=r"each row must hold 2 images, one a time; got \[3\]"):
        show.strip([torch.zeros(3, 1, 4, 4)], [0, 1])


def test_rows_hold_each_image_beside_the_name_of_its_row():
    images = {"first": torch.full((3, 1, 2, 2), -1.0), "second": torch.full((2, 1, 2, 2), 0.0)}
    fig = show.rows(images, title="Two rows")
    shown = [ax.images[0].get_array() for ax in fig.axes]
    assert [ax.get_ylabel() for ax in fig.axes] == ["first", "second"]
    assert (shown[0] == show.as_picture(show.tiles(images["first"], 3))).all()
    assert (shown[1] == show.as_picture(show.tiles(images["second"], 3))).all()
    assert show.check_figure(fig) == []


@pytest.mark.parametrize("images", [{}, torch.zeros(2, 1, 2, 2), {"a": torch.zeros(2, 2)}, None])
def test_rows_of_what_is_no_images_by_name_are_refused(images):
    with pytest.raises(ValueError, match="images must be rows by their names|the row 'a' must be"):
        show.rows(images)


@pytest.mark.parametrize("fig", [lambda x: show.grid(x, 3), lambda x: show.strip([x], range(5))], ids=["grid", "strip"])
def test_white_images_have_an_edge(fig):
    fig = fig(torch.ones(5, 1, 8, 8))
    fig.suptitle("")
    for ax in fig.axes:
        for text in (*ax.texts, ax.title):
            text.set_visible(False)
    fig.canvas.draw()
    ink = np.asarray(fig.canvas.buffer_rgba())[..., :3].min(axis=2) < 200
    frames = sum(len(ax.patches) or 1 for ax in fig.axes)
    assert frames == 5 and ink.any()
    inside = fig.axes[0].get_window_extent()
    assert ink[:, int(inside.x0) - 2 : int(inside.x0) + 3].any(), "the left edge of the first image"


def test_a_density_is_drawn_where_it_is():
    _, (ax,) = show.plane_axes(1, extent=2.0)
    show.density(ax, GaussianMixture([[1.0, -1.0]], 0.05).log_prob, resolution=81)
    drawn = ax.images[0].get_array()
    row, column = np.unravel_index(drawn.argmax(), drawn.shape)
    assert abs(column / 80 * 4 - 2 - 1.0) < 0.05 and abs(row / 80 * 4 - 2 + 1.0) < 0.05


def test_curves_are_told_apart_without_colour():
    ax = show.curves([1, 2, 3], {"a": [1, 2, 3], "b": [3, 2, 1]}, "x", "y", log="y")
    assert len({line.get_linestyle() for line in ax.lines}) == 2 and ax.get_yscale() == "log"
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["a", "b"]


def test_trajectories_end_in_dots():
    _, (ax,) = show.plane_axes(1)
    paths = torch.randn(6, 5, 2, generator=torch.Generator().manual_seed(0))
    show.trajectories(ax, paths)
    assert len(ax.lines) == 5
    torch.testing.assert_close(torch.tensor(ax.collections[0].get_offsets().data).float(), paths[-1])


def test_a_widget_shows_a_picture_first_and_another_when_a_control_moves(page):
    drawn = []

    def draw(t):
        drawn.append(t)
        return show.grid(torch.full((1, 1, 8, 8), t / 10))

    slider = IntSlider(3, 0, 10, description="the time")
    show.widget(draw, ALT, t=slider)
    slider.value = 8
    pictures = [(bundle, options) for bundle, _, options in page if "image/png" in bundle]
    assert drawn == [3, 8]
    assert pictures[0][1]["update"] is False and pictures[1][1]["update"] is True
    assert pictures[0][1]["display_id"] == pictures[1][1]["display_id"]
    assert pictures[0][0]["image/png"] != pictures[1][0]["image/png"]
    assert pictures[1][0]["text/plain"] == f"{ALT} Now with the time = 8."


def test_a_live_figure_is_put_once_and_then_replaced(page):
    put = show.live(ALT)
    for value in (0.0, 0.5, 1.0):
        put(show.grid(torch.full((1, 1, 8, 8), value)))
    assert [options["update"] for _, _, options in page] == [False, True, True]
    assert len({options["display_id"] for _, _, options in page}) == 1


X = torch.zeros(4, 1, 8, 8)


@pytest.mark.parametrize(
    ("draw", "message"),
    [
        (lambda ax: show.grid(X, columns=0), "columns must be a whole number of at least 1; got 0"),
        (lambda ax: show.grid(X.long()), "images must be floating point"),
        (lambda ax: show.grid(X + 255), r"must be on the scale \[-1, 1\]; got 1 … 255"),
        (lambda ax: show.picture(ax, X), r"an image must be \(1 or 3 channels, height, width\); got \(4, 1, 8, 8\)"),
        (lambda ax: show.strip([], [1]), "a strip needs a time, a row"),
        (lambda ax: show.strip([X], [1, 2, 3, 4], names=["a", "b"]), "a name for each row"),
        (lambda ax: show.curves([1, 2], {"data": [1.0]}, "x", "y"), r"each line must hold 2 numbers.*'data': 1"),
        (lambda ax: show.curves([1, 2], {}, "x", "y"), "lines must be a dictionary"),
        (lambda ax: show.curves([1, 2], {"data": [1, 2]}, "x", "y", log="z"), "log must be one of"),
        (lambda ax: show.points(ax, torch.zeros(4, 3)), r"x must be points in the plane, \(n, 2\); got \(4, 3\)"),
        (lambda ax: show.trajectories(ax, torch.zeros(4, 2)), "paths must be of 3 axes"),
        (lambda ax: show.density(ax, lambda x: x), r"log_prob must answer \(n,\) for n points"),
        (lambda ax: show.plane_axes(0), "columns must be a whole number of at least 1"),
        (lambda ax: show.figure(ax, ALT), r"fig must be a Figure \(of axes: ax.figure\)"),
        (lambda ax: show.figure(ax.figure, None), "must say what it shows"),
        (lambda ax: show.tint("blue", 2), "white must lie in 0 … 1; got 2"),
    ],
)
def test_a_figure_of_what_can_not_be_drawn_is_refused(page, draw, message):
    _, ax = plt.subplots()
    with pytest.raises(ValueError, match=message):
        draw(ax)
    assert page == []


@pytest.mark.parametrize(
    ("draw", "message"),
    [
        (lambda: show.curves([1, 2], {"a": torch.zeros(2, 2)}, "x", "y"), r"the line 'a' must be a list of numbers, \(n,\)"),
        (lambda: show.curves([1, 2], {"a": 3}, "x", "y"), r"the line 'a' must be a list of numbers, \(n,\)"),
        (lambda: show.curves([1, 2], {"a": "bc"}, "x", "y"), "the line 'a' must hold real numbers; got 'bc'"),
        (lambda: show.curves(2, {"a": [1]}, "x", "y"), r"x must be a list of numbers, \(n,\)"),
        (lambda: show.strip(None, [1]), "rows must be a list, one for each; got None"),
        (lambda: show.strip([torch.zeros(1, 1, 2, 2)], ["a"]), "each of the times must be a finite number; got 'a'"),
        (lambda: show.title(None, "words"), "title takes a figure or axes, and a text; got None and 'words'"),
        (lambda: show.grid(torch.zeros(1, 1, 2, 2), title=5), "title takes a figure or axes, and a text; got .* and 5"),
        (lambda: show.check_figure(None), "fig must be a Figure .*; got None"),
        (lambda: show.density(plt.subplots()[1], lambda x: x[:, 0] * np.nan), "the density must be finite everywhere"),
        (lambda: show.density(plt.subplots()[1], lambda x: x[:, 0] + 1e6), "the density must be finite everywhere"),
        (lambda: show.u_net([]), r"stages must be those of a whole U-Net, .*; got \[\]"),
        (lambda: show.u_net(stages(UNet(1, 8))[:4]), "stages must be those of a whole U-Net"),
        (lambda: show.Shape(0.0, np.nan, 1.0, 1.0), "the y of a shape must be a finite number; got nan"),
        (lambda: show.Drawing(3, 2).box(1, 1, "a", width=-1), "the width of a shape must be a finite number above 0; got -1"),
        (lambda: show.widget(3, ALT, t=IntSlider()), "draw must be a function that gives a figure; got 3"),
        (lambda: show.widget(lambda t: None, ALT, t=(0, 9)), r"t must be a control of ipywidgets, .*; got \(0, 9\)"),
    ],
)  # fmt: skip
def test_what_can_not_be_drawn_is_refused(page, draw, message):
    with pytest.raises(ValueError, match=message):
        draw()
    assert not page
    plt.close("all")


def test_a_line_may_still_be_learning():
    ax = show.curves([1, 2], {"a": torch.ones(2, requires_grad=True)}, "x", "y")
    assert ax.lines[0].get_ydata().tolist() == [1, 1]
    plt.close(ax.figure)
