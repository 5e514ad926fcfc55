"""One table of what each colour, dash and marker means, the same in every lesson."""

from dataclasses import dataclass

from course_lib import checks

# Okabe and Ito's hues (2008), moved until each stands out from white by 3 : 1 and from the others for any colour vision.
COLOURS = {
    "blue": "#0060A8", "orange": "#DE7800", "green": "#1F9E6C", "red": "#B82A00", "sky": "#2F95EA", "pink": "#C56CAE",
    "black": "#000000", "grey": "#626262", "wine": "#5E1748",
}  # fmt: skip


@dataclass(frozen=True)
class Role:
    """How one thing looks: a name in COLOURS, a dash and a marker of matplotlib, a width in points."""

    colour: str
    dash: str
    marker: str
    width: float = 2.2

    def line(self, markers: bool = False) -> dict[str, str | float]:
        """Arguments of `ax.plot`; markers: where points were computed."""
        look = {"color": COLOURS[self.colour], "linestyle": self.dash, "linewidth": self.width}
        return look | ({"marker": self.marker} if markers else {})


# fmt: off
GROUPS = {
    "quantities": {
        "data": Role("black", "-", "o"), "exact": Role("black", "-", "o", width=3.8),  # seen beside a learned line on it
        "learned": Role("orange", "--", "s"), "samples": Role("red", "-.", "^"),
        "signal": Role("blue", "-", "D"), "noise": Role("grey", ":", "v"),
    },
    "variances": {"beta": Role("blue", "-", "o"), "beta_tilde": Role("orange", "--", "s")},
    "samplers": {
        "DDPM": Role("orange", "--", "o"), "DDIM": Role("blue", "-", "s"), "Euler": Role("grey", ":", "^"),
        "Heun": Role("green", "-.", "v"), "DPM-Solver++": Role("black", "-", "D"), "Langevin": Role("red", "-.", "*"),
        "Euler-Maruyama": Role("pink", "--", "P"), "predictor-corrector": Role("wine", ":", "X"),
    },
    "families": {
        "classical": Role("grey", ":", "v"), "autoencoder": Role("blue", "-", "s"), "flow": Role("green", "-.", "D"),
        "energy": Role("wine", ":", "P"), "GAN": Role("orange", "--", "^"), "autoregressive": Role("pink", "--", "X"),
        "diffusion": Role("black", "-", "o"), "latent diffusion": Role("sky", "-.", "<"),
        "text-to-image": Role("red", "-", "*"),
    },
    "parts": {
        "convolution": Role("grey", ":", "s"), "residual": Role("sky", "-", "o"), "attention": Role("orange", "--", "D"),
        "down": Role("red", "-.", "v"), "up": Role("green", "-.", "^"), "time": Role("wine", ":", "."),
        "text": Role("pink", "--", "P"), "discriminator": Role("blue", "-", "X"),
    },
}
# fmt: on

ROLES = {name: role for group in GROUPS.values() for name, role in group.items()}
SYMBOLS = {"beta": r"$\beta$", "beta_tilde": r"$\tilde\beta$"}


def style(role: str, markers: bool = False) -> dict[str, str | float]:
    """The arguments of `ax.plot` for a name in ROLES; markers: where points were computed.

    Raises ValueError for a name that the table lacks.
    """
    return _role(role).line(markers)


def colour(name: str) -> str:
    """The hexadecimal colour of a name in COLOURS or ROLES."""
    return COLOURS[name] if isinstance(name, str) and name in COLOURS else COLOURS[_role(name).colour]


def tint(name: str, white: float = 0.82) -> str:
    """The colour of a name in COLOURS or ROLES, with so much white in it: a filling under black letters."""
    checks.number("white", white, 0, 1)
    parts = [int(colour(name)[i : i + 2], 16) for i in (1, 3, 5)]
    return "#" + "".join(f"{round(part + white * (255 - part)):02X}" for part in parts)


def contrast(first: str, second: str = "#FFFFFF") -> float:
    """The contrast ratio of two hexadecimal colours, 1 to 21 (WCAG 2.1; lines need 3)."""
    dark, light = sorted(_luminance(c) for c in (first, second))
    return (light + 0.05) / (dark + 0.05)


def _role(name: str) -> Role:
    if not isinstance(name, str) or name not in ROLES:
        raise ValueError(f"no role is called {name!r}; there are {', '.join(ROLES)}")
    return ROLES[name]


def _luminance(hexadecimal: str) -> float:
    parts = [int(hexadecimal[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return sum(weight * part for weight, part in zip((0.2126, 0.7152, 0.0722), linear, strict=True))
