"""Letters for the last row, messages above, labels beside their lines."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch

from course_lib import show

ALT = "A sentence that says what the figure shows."


def two_lines(names=("signal", "noise"), n=100):
    t = torch.linspace(0, 1, n)
    lines = {name: torch.cos(1.5 * t + i) for i, name in enumerate(names)}
    return show.curves(t, lines, "time t", "size")


def good():
    ax = two_lines()
    show.title(ax, "The signal fades while the noise grows")
    return ax


@pytest.mark.parametrize(
    ("size", "letters", "expected"), [((12.3, 3), 12, 12), ((6.15, 3.1), 12, 24), ((4, 12.4), 20, 10)]
)
def test_letters_grow_with_the_figure_until_it_fills_the_slide(size, letters, expected):
    fig = plt.figure(figsize=size)
    fig.text(0.5, 0.5, "small", fontsize=letters)
    fig.text(0.5, 0.8, "large", fontsize=30)
    assert show.smallest_letter(fig) == pytest.approx(expected)


def test_ticks_and_legends_are_letters_and_what_is_hidden_or_empty_is_none():
    ax = two_lines()
    ax.tick_params(axis="y", labelsize=5)
    ax.figure.text(0.5, 0.5, "unseen", fontsize=2, visible=False)
    ax.figure.text(0.5, 0.5, " ", fontsize=1)
    assert show.smallest_letter(ax.figure) == pytest.approx(5 * min(12.3 / 7, 6.2 / 3.8))
    assert show.smallest_letter(plt.figure()) == float("inf")


def test_the_page_learns_how_small_the_letters_are(page):
    ax = good()
    expected = round(show.smallest_letter(ax.figure), 1)
    show.figure(ax.figure, ALT)
    assert page[0][1] == {"image/png": {"alt": ALT, "letter": expected}} and expected >= 18


def test_a_default_plot_with_a_message_of_two_lines_has_no_fault():
    assert show.check_figure(good().figure) == []
    ax = two_lines()
    show.title(ax, "The signal fades while the noise grows, and they meet where both are equally large")
    assert "\n" in ax.figure.get_suptitle() and show.check_figure(ax.figure) == []


def test_a_message_stands_on_the_left_within_the_width_and_makes_the_figure_higher():
    ax = two_lines()
    message = "Without the factor the variance grows to $\\beta_T$ and further, and with it the chain forgets its start"
    show.title(ax, message)
    fig = ax.figure
    assert fig.get_suptitle().split() == message.split()
    height = fig.get_figheight()
    assert 4.1 < height < 4.6
    fig.draw_without_rendering()
    box = fig._suptitle.get_window_extent()
    assert 0 < box.x0 < 20 and box.x1 <= fig.bbox.x1 and box.y1 <= fig.bbox.y1
    show.title(ax, message)
    assert fig.get_figheight() == height, "a second message replaces the first"


def test_each_fault_has_its_complaint():
    ax = two_lines()
    assert show.check_figure(ax.figure) == ["no message above it: show.title(fig, …)"]
    ax = good()
    ax.set_xlabel("small", fontsize=9)
    assert "letters of 13" in show.check_figure(ax.figure)[0]
    ax = two_lines(names="abcdef")
    show.title(ax, "Six are too many")
    assert show.check_figure(ax.figure) == ["6 curves in one plot; at most 5"]
    ax = good()
    ax.lines[0].set_color("#E69F00")
    (complaint,) = show.check_figure(ax.figure)
    assert complaint.startswith("'signal' has a contrast of 2.3")


def test_contrast_is_with_what_lies_behind_and_asked_only_of_lines_that_have_a_name():
    ax = good()
    ax.axhline(0.5, color="#EEEEEE")
    assert show.check_figure(ax.figure) == []
    ax.set_facecolor("#000000")
    for line in ax.lines:
        line.set_color("#FFFFFF")
    assert show.check_figure(ax.figure) == []
    ax.lines[1].set_color("#333333")
    (complaint,) = show.check_figure(ax.figure)
    assert complaint.startswith("'noise' has a contrast of 1.7")


def test_curves_are_counted_for_each_plot_on_its_own():
    fig, axes = plt.subplots(1, 2, figsize=(8, 3.5))
    for ax in axes:
        for i in range(4):
            ax.plot([0, 1], [0, i], label=str(i))
    show.title(fig, "Four and four are not eight")
    assert show.check_figure(fig) == []


def overlaps(ax):
    """(labels that touch each other, points of lines under labels), after everything is laid out."""
    ax.figure.draw_without_rendering()
    boxes = [text.get_window_extent() for text in ax.texts]
    met = sum(a.overlaps(b) for i, a in enumerate(boxes) for b in boxes[:i])
    places = np.concatenate([line.get_transform().transform(np.column_stack(line.get_data())) for line in ax.lines])
    return met, sum(((places >= box.min) & (places <= box.max)).all(axis=1).sum() for box in boxes)


@pytest.mark.parametrize("log", ["", "y"])
def test_labels_lie_beside_their_lines_and_on_nothing(log):
    x = np.linspace(0.05, 1, 500)
    names = ("signal", "noise", "samples", "data")
    lines = dict(zip(names, (1.1 - x, x, 1.05 * x, 0.5 + 0.1 * np.sin(9 * x)), strict=True))
    ax = show.curves(x, lines, "x", "y", log=log)
    show.title(ax, "Four lines in one plot")
    for name in names:
        show.label_line(ax, 0.5, name, name)
    assert overlaps(ax) == (0, 0) and ax.get_legend() is None
    for text, line in zip(ax.texts, ax.lines, strict=True):
        box, places = text.get_window_extent(), line.get_transform().transform(np.column_stack(line.get_data()))
        nearest = np.maximum(np.maximum(box.min - places, places - box.max), 0)
        assert np.linalg.norm(nearest, axis=1).min() < 80 and text.get_color() == line.get_color()


@pytest.mark.parametrize("x", [0.0, 1.0])
def test_a_label_at_the_edge_stays_within_the_axes(x):
    ax = show.curves(np.linspace(0, 1, 50), {"signal": np.linspace(0, 1, 50)}, "x", "y")
    ax.set(xlim=(0, 1), ylim=(0, 1))
    show.label_line(ax, x, "a rather long label", "signal")
    ax.figure.draw_without_rendering()
    box = ax.texts[0].get_window_extent()
    assert (box.min >= ax.bbox.min).all() and (box.max <= ax.bbox.max).all()


def test_a_line_that_is_called_by_its_symbol_is_found_by_its_role():
    ax = show.curves([1, 2], {"beta": [1, 2], "beta_tilde": [2, 3]}, "x", "y")
    show.label_line(ax, 1.5, "the posterior's variance", "beta_tilde")
    assert ax.texts[0].get_color() == show.colour("beta_tilde")


def test_a_label_without_its_line_is_an_error():
    with pytest.raises(ValueError, match=r"no line is labelled 'data'; there are \['signal', 'noise'\]"):
        show.label_line(two_lines(), 0.5, "the data", "data")
