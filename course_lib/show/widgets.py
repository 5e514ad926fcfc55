"""Figures that move: each is an ordinary picture, so it stays in the notebook, and on paper, when no kernel runs."""

import itertools
from collections.abc import Callable

from matplotlib.figure import Figure

from course_lib.checks import shown
from course_lib.show.figures import show_figure

_numbers = itertools.count()


def live(alt: str) -> Callable[[Figure], None]:
    """A place on the page for a figure that changes while a cell runs: call the result with each new figure.

    alt: what the last one shows.
    """
    identity, there = f"live-{next(_numbers)}", False

    def put(fig: Figure) -> None:
        nonlocal there
        show_figure(fig, alt, identity, update=there)
        there = True

    return put


def widget(draw: Callable[..., Figure], alt: str, **controls) -> None:
    """Show draw(**values) below its controls, and draw it again whenever one is moved.

    controls: ipywidgets by the names of draw's arguments (`t=IntSlider(…)`); the picture is drawn first for the values
    they start with. alt: what that first picture shows. Raises ValueError for what is no function, and no control.
    """
    from IPython.display import display
    from ipywidgets import ValueWidget, VBox

    if not callable(draw):
        raise ValueError(f"draw must be a function that gives a figure; got {shown(draw)}")
    for name, control in controls.items():
        if not isinstance(control, ValueWidget):
            raise ValueError(
                f"{name} must be a control of ipywidgets, such as IntSlider(value=5); got {shown(control)}"
            )
    identity = f"widget-{next(_numbers)}"

    def picture() -> Figure:
        return draw(**{name: control.value for name, control in controls.items()})

    def redraw(_change: dict) -> None:
        state = ", ".join(f"{control.description or name} = {control.value}" for name, control in controls.items())
        show_figure(picture(), f"{alt} Now with {state}.", identity, update=True)

    for control in controls.values():
        control.style.description_width = "initial"
        control.observe(redraw, names="value")
    bundle = VBox(list(controls.values()))._repr_mimebundle_()
    names = ", ".join(control.description for control in controls.values())
    display({**bundle, "text/plain": f"Run this cell to move: {names}."}, raw=True)
    show_figure(picture(), alt, identity)
