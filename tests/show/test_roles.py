"""The table of roles: readable on white, for any colour vision, and in black and white."""

from itertools import combinations

import numpy as np
import pytest

from course_lib import show
from course_lib.show.figures import CYCLE
from course_lib.show.roles import GROUPS, contrast

# Machado, Oliveira and Fernandes (2009), table 1, severity 1.0; they act on linear RGB.
VISIONS = {
    "usual": np.eye(3),
    "protanopia": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deuteranopia": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
}


def linear(colour):
    c = np.array([int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)])
    return np.where(c <= 0.04045, c / 12.92, ((c + 0.055) / 1.055) ** 2.4)


def cielab(rgb):
    """Linear sRGB to CIE 1976 L*a*b* under D65."""
    to_xyz = np.array(
        [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]]
    )
    xyz = to_xyz @ np.clip(rgb, 0, 1) / [0.95047, 1, 1.08883]
    f = np.where(xyz > 216 / 24389, np.cbrt(xyz), (24389 / 27 * xyz + 16) / 116)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


def difference(first, second, vision):
    a, b = (cielab(np.array(VISIONS[vision]) @ linear(c)) for c in (first, second))
    return np.linalg.norm(a - b)


def test_contrast_is_the_one_of_wcag():
    assert contrast("#000000") == pytest.approx(21) and contrast("#FFFFFF") == pytest.approx(1)
    assert contrast("#777777") == pytest.approx(4.48, abs=0.005), "the best known grey that just fails 4.5"
    assert contrast("#E69F00") < 2.3, "Okabe and Ito's own orange"
    assert contrast("#123456", "#FEDCBA") == contrast("#FEDCBA", "#123456")


@pytest.mark.parametrize("name", show.COLOURS)
def test_each_colour_stands_out_from_white(name):
    assert contrast(show.colour(name)) >= 3


@pytest.mark.parametrize("vision", VISIONS)
def test_any_two_colours_differ_for_each_colour_vision(vision):
    """The just noticeable difference is about 2.3; lines that are thin and far apart need many times that."""
    for a, b in combinations(show.COLOURS, 2):
        assert difference(show.COLOURS[a], show.COLOURS[b], vision) >= 18, f"{a} and {b}"


def test_the_simulation_sees_that_red_and_green_can_be_one():
    assert difference("#B84A00", "#6B7A00", "usual") > 40 > 25 > difference("#B84A00", "#6B7A00", "deuteranopia")


@pytest.mark.parametrize("group", GROUPS)
def test_within_a_group_no_two_roles_look_alike_even_without_colour(group):
    for (a, first), (b, second) in combinations(GROUPS[group].items(), 2):
        if {a, b} != {"data", "exact"}:
            assert first.colour != second.colour, f"{a} and {b}"
            assert (first.dash, first.marker) != (second.dash, second.marker), f"{a} and {b}"


def test_no_name_has_two_roles():
    assert len(show.ROLES) == sum(len(group) for group in GROUPS.values())
    assert not set(show.ROLES) & set(show.COLOURS)


def test_the_roles_that_the_course_promises():
    looks = {name: (role.colour, role.dash) for name, role in show.ROLES.items()}
    assert looks["data"] == looks["exact"] == ("black", "-") and looks["learned"][1] == "--"
    assert looks["samples"][0] == "red" and looks["noise"][0] == "grey" and looks["signal"][0] == "blue"
    assert show.ROLES["exact"].width > show.ROLES["learned"].width, "so that both are seen where they agree"


def test_a_style_is_what_plot_takes():
    assert show.style("samples") == {"color": show.COLOURS["red"], "linestyle": "-.", "linewidth": 2.2}
    assert show.style("samples", markers=True)["marker"] == "^"
    with pytest.raises(ValueError, match="no role is called 'sample'; there are data, exact"):
        show.style("sample")


def test_a_tint_is_light_enough_for_black_letters():
    assert all(contrast(show.tint(name), "#000000") > 12 for name in show.COLOURS)
    assert show.tint("black", 0.5) == "#808080" and show.tint("data", 1.0) == "#FFFFFF"


def test_curves_take_the_look_of_their_role_and_others_keep_off_it():
    names = ["exact", "beta_tilde", "mine", "yours"]
    ax = show.curves([1, 2], dict.fromkeys(names, [1, 2]), "x", "y")
    looks = [(line.get_color(), line.get_linestyle()) for line in ax.lines]
    assert looks[:2] == [(show.COLOURS["black"], "-"), (show.COLOURS["orange"], "--")]
    assert len({colour for colour, _ in looks}) == 4 and len({dash for _, dash in looks}) == 4
    assert [line.get_label() for line in ax.lines] == ["exact", r"$\tilde\beta$", "mine", "yours"]


@pytest.mark.parametrize("log", ["", "x", "y", "xy"])
def test_the_axes_that_are_named_are_logarithmic(log):
    ax = show.curves([1, 2], {"a": [1, 2]}, "x", "y", log=log)
    assert [ax.get_xscale(), ax.get_yscale()] == ["log" if axis in log else "linear" for axis in "xy"]


def test_a_learned_line_lies_on_the_exact_one():
    exact, learned = show.curves([1, 2], {"exact": [1, 2], "learned": [1, 2]}, "x", "y").lines
    assert learned.get_zorder() > exact.get_zorder()


def test_few_points_get_markers_and_many_none():
    few, many = (show.curves(range(n), {"DDIM": range(n), "b": range(n)}, "x", "y").lines for n in (15, 16))
    assert [line.get_marker() for line in few] == ["s", "o"] and {line.get_marker() for line in many} == {"None"}


def test_the_cycle_is_made_of_the_same_colours():
    assert set(CYCLE) <= set(show.COLOURS)
