"""What was trained, and how: a recipe says all of it, so that anyone can cook it again."""

import dataclasses
import difflib
import json
import math
import re
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from course_lib import checks
from course_lib.nets import ABLATIONS


@dataclass(frozen=True)
class Recipe:
    """data: a name for `data.load`. model and options: a name in MODELS and what it is built from.

    labels: whether the model sees them. needs: a role, and the recipe whose trained model plays it; it is loaded and
    frozen. steps of `batch` images each; 0 steps stand for a model that is fitted in one go. `rate` is the peak learning
    rate, reached after `warmup` steps; its `fall` is that of a cosine down to 0, or none. `betas`, `weight_decay` as in
    AdamW; `clip`: of the gradient's norm. `ema`: the decay of the averaged weights, which are the ones that are used.
    `half`: whether the finished model is stored in half precision.
    Raises ValueError, naming the field and its range, for a value outside it.
    """

    name: str
    data: str
    model: str
    options: dict[str, Any] = field(default_factory=dict)
    labels: bool = False
    needs: dict[str, str] = field(default_factory=dict)
    steps: int = 1000
    batch: int = 128
    rate: float = 1e-3
    warmup: int = 100
    fall: Literal["cosine", "none"] = "cosine"
    betas: tuple[float, float] = (0.9, 0.99)
    weight_decay: float = 0.0
    clip: float = 1.0
    ema: float = 0.995
    seed: int = 0
    half: bool = False

    def __post_init__(self):
        if self.fall not in ("cosine", "none"):
            raise ValueError(f"the rate's fall must be 'cosine' or 'none'; got {self.fall!r}")
        for name, holds, range_ in (
            ("name", _word(self.name), "a word of letters, digits, - and _, for a folder is named after it"),
            ("data", isinstance(self.data, str), "a name"),
            ("model", isinstance(self.model, str), "a name"),
            ("options", _in_json(self.options), "names and values that JSON can hold"),
            ("needs", _in_json(self.needs) and all(map(_word, self.needs.values())), "roles, and names of recipes"),
            ("steps", _whole(self.steps, 0), "a whole number in 0 … 2^63 - 1"),
            ("batch", _whole(self.batch, 1), "a whole number in 1 … 2^63 - 1"),
            ("warmup", _whole(self.warmup, 0), "a whole number in 0 … 2^63 - 1"),
            ("seed", _whole(self.seed, 0), "a whole number in 0 … 2^63 - 1"),
            ("labels", isinstance(self.labels, bool), "True or False"),
            ("half", isinstance(self.half, bool), "True or False"),
            ("rate", _in(self.rate, 0, math.inf), "a positive number"),
            ("clip", _in(self.clip, 0, math.inf), "a positive number"),
            (
                "weight_decay",
                _is_zero(self.weight_decay) or _in(self.weight_decay, 0, math.inf),
                "0 or a positive number",
            ),
            ("ema", _is_zero(self.ema) or _in(self.ema, 0, 1), "a number in [0, 1)"),
            ("betas", _are_betas(self.betas), "two in [0, 1)"),
        ):
            if not holds:
                raise ValueError(f"a recipe's {name} must be {range_}; got {getattr(self, name)!r}")
        object.__setattr__(self, "options", _jsonable(self.options))
        object.__setattr__(self, "betas", tuple(self.betas))

    def as_json(self) -> dict[str, Any]:
        """The recipe in JSON's types."""
        return _jsonable(dataclasses.asdict(self))

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> "Recipe":
        """Raises ValueError, naming the fields, where some are unknown or missing."""
        if not isinstance(values, dict):
            raise ValueError(f"a recipe's fields must have names; got {values!r}")
        known = {f.name for f in dataclasses.fields(cls)}
        required = {"name", "data", "model"}
        if wrong := (set(values) ^ known) & (set(values) - known | required - set(values)):
            raise ValueError(f"unknown or missing fields {sorted(wrong)}")
        return cls(**values)


def _whole(value: Any, least: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and least <= value < 2**63


def _word(value: Any) -> bool:
    return isinstance(value, str) and re.fullmatch(r"\w[\w.-]*", value) is not None


def _in(value: Any, low: float, high: float) -> bool:
    """Whether it is a number strictly between the two."""
    return isinstance(value, int | float) and not isinstance(value, bool) and low < value < min(high, 1e300)


def _is_zero(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and value == 0


def _are_betas(values: Any) -> bool:
    return isinstance(values, tuple | list) and len(values) == 2 and all(_is_zero(b) or _in(b, 0, 1) for b in values)


def _in_json(values: Any) -> bool:
    """Whether it is a dictionary that JSON gives back as it is, but for tuples, which become lists."""
    try:
        return isinstance(values, dict) and json.loads(json.dumps(values)) == _jsonable(values)
    except (TypeError, ValueError, RecursionError):
        return False


def _jsonable(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _jsonable(item) for key, item in value.items()}
    return [_jsonable(item) for item in value] if isinstance(value, tuple | list) else value


def _digits(name: str, **changes: Any) -> Recipe:
    """The digits' diffusion model, with other options where they are given."""
    options = {"channels": 1, "size": 8, "width": 32, "multipliers": [1, 2], "attention": [4]}
    return Recipe(name, data="digits", model="unet-denoiser", options=options | changes, steps=1500, rate=2e-3)


DIGITS = {"shape": [1, 8, 8], "levels": 17}


def _fitted(name: str, model: str, labels: bool = False, **options: Any) -> Recipe:
    """A classical model of the digits, in closed form or by EM."""
    return Recipe(name, data="digits", model=model, options=DIGITS | options, labels=labels, steps=0)


def _vae(
    name: str, k: int, labels: bool = False, width: int = 128, weight_decay: float = 0.3, **options: Any
) -> Recipe:
    """A variational autoencoder of the digits with k latent numbers."""
    return Recipe(
        name, data="digits", model="vae", options=DIGITS | {"k": k, "width": width} | options, labels=labels, steps=2000,
        rate=2e-3, weight_decay=weight_decay,
    )  # fmt: skip


def _gan(name: str, data: str = "digits", model: str = "gan", labels: bool = False, **options: Any) -> Recipe:
    """An adversarial game over images, in which the averaged generator is the one to use."""
    shape = {"digits": [1, 8, 8], "mnist": [1, 28, 28]}[data]
    steps, rate, ema = (3000, 2e-3, 0.998) if data == "digits" else (8_000, 1e-3, 0.999)
    return Recipe(
        name, data=data, model=model, options={"shape": shape} | options, labels=labels, steps=steps, batch=64, rate=rate,
        betas=(0.0, 0.99), clip=100.0, ema=ema,
    )  # fmt: skip


def _latent(name: str, data: str, steps: int = 8000, **options: Any) -> Recipe:
    """A diffusion model of the codes of pictures, stored in half precision."""
    net = {"channels": 4, "size": 8, "width": 40, "multipliers": [1, 1], "blocks": 1, "attention": [8, 4]}
    return Recipe(
        name, data=data, model="latent-denoiser", options=net | options, labels="condition" in options,
        needs={"autoencoder": "autoencoder-pictures"}, steps=steps, batch=64, rate=1e-3, ema=0.999, half=True,
    )  # fmt: skip


RECIPES = {
    recipe.name: recipe
    for recipe in (
        # Lesson 01: what came before neural networks, and a map of the digits.
        _fitted("naive-bayes-digits", "naive-bayes", labels=True),
        _fitted("pca-gaussian-digits", "pca-gaussian", k=20),
        _fitted("mixture-digits", "mixture", components=20, ridge=0.05),
        Recipe(
            name="pca-gaussian-mnist", data="mnist", model="pca-gaussian", steps=0,
            options={"shape": [1, 28, 28], "levels": 256, "k": 100},
        ),
        Recipe(
            name="autoencoder-digits", data="digits", model="autoencoder", options={"shape": [1, 8, 8], "k": 2}, steps=4000,
            batch=128, rate=2e-3,
        ),
        Recipe(
            name="codes-digits", data="digits", model="code-gaussian", needs={"autoencoder": "autoencoder-digits"}, steps=0,
        ),
        # Lesson 01b: one pixel after the other.
        Recipe(
            name="pixels-digits", data="digits", model="autoregressive", options=DIGITS | {"dropout": 0.4}, steps=2000,
            batch=64, rate=3e-3, weight_decay=0.05,
        ),
        # Lesson 03: variational autoencoders; two with a map, one that is told the digit.
        _vae("vae-digits-map", k=2, width=256, weight_decay=0.1),
        Recipe(
            name="vae-mnist-map", data="mnist", model="vae", steps=40_000, batch=128, rate=1e-3, warmup=1000, ema=0.999,
            options={"shape": [1, 28, 28], "levels": 2, "decoder": "bernoulli", "k": 2, "width": 224},
        ),
        _vae("vae-digits", k=16),
        _vae("cvae-digits", labels=True, k=8, classes=10),
        # Lesson 03b: a chain of latents; and black and white drawn anew each time, as Burda et al. have it.
        Recipe(
            name="hvae-digits", data="digits", model="markov-vae", options=DIGITS | {"sizes": [16, 4]}, steps=2000, rate=2e-3,
            weight_decay=1.0,
        ),
        Recipe(
            name="vae-mnist", data="mnist", model="vae", steps=300_000, batch=128, rate=1e-3, warmup=1000, ema=0.9995,
            options={"shape": [1, 28, 28], "levels": 2, "decoder": "bernoulli", "k": 50, "width": 200},
        ),
        # Lesson 04: normalizing flows, of points and of digits.
        Recipe(
            name="flow-gaussians", data="eight_gaussians", model="flow", options={"shape": [2], "layers": 12, "width": 64},
            steps=4000, batch=256, rate=5e-3,
        ),
        Recipe(
            name="flow-digits", data="digits", model="flow", options=DIGITS | {"dropout": 0.2}, steps=2400, rate=2e-3,
            weight_decay=1.0,
        ),
        # Lesson 04b: an energy-based model of black and white digits.
        Recipe(
            name="rbm-digits", data="digits", model="rbm", options={"shape": [1, 8, 8], "hidden": 128, "steps": 10},
            steps=3000, rate=1e-2, weight_decay=0.1,
        ),
        # Lesson 05b: GANs by several losses, told the digit, on MNIST, growing; and drawn digits refined.
        _gan("gan-digits", penalty=0.1),
        _gan("wgan-digits", loss="wasserstein", clip=0.05, critic_turns=3),
        _gan("wgan-gp-digits", loss="wasserstein", penalty=10.0),
        _gan("cgan-digits", labels=True, penalty=0.1, classes=10),
        _gan("progressive-digits", model="progressive-gan", penalty=0.1, doublings=1, grow=500),
        _gan("dcgan-mnist", "mnist", k=64, width=48, penalty=1.0),
        _gan("progressive-mnist", "mnist", "progressive-gan", k=64, width=48, penalty=1.0, doublings=2, grow=1000),
        Recipe("refiner-digits", data="digits", model="refiner", steps=3000, batch=64, rate=2e-3, betas=(0.0, 0.99), ema=0.998),
        # Lesson 10: eyes for coloured pictures, and an autoencoder of all of them.
        Recipe(
            "reader-shapes", data="scenes", model="reader", labels=True, steps=3000, batch=128, rate=1e-3, weight_decay=0.05,
            half=True, options={"shape": [3, 32, 32], "attributes": [5, 6, 2, 5, 6, 2, 7]},
        ),
        Recipe(
            "autoencoder-pictures", data="pictures", model="image-autoencoder", options={"shape": [3, 32, 32]},
            needs={"eye": "reader-shapes"}, steps=4800, batch=32, rate=2e-3, ema=0.998, half=True,
        ),
        Recipe(
            "features-roles", data="roles", model="classifier", labels=True, steps=3000, batch=128, rate=2e-3,
            weight_decay=0.05, half=True, options={"channels": 3, "size": 32, "classes": 1450, "width": 16},
        ),
        _latent("latent-emoji", "emoji"),
        Recipe(
            "pixels-emoji", data="emoji", model="unet-denoiser", steps=3000, batch=64, rate=1e-3, ema=0.998, half=True,
            options={"channels": 3, "size": 32, "width": 24, "multipliers": [1, 2, 2], "blocks": 1, "attention": [8]},
        ),
        # Lesson 11: told a class, or a picture.
        replace(_digits("class-digits", condition="class", classes=10, drop=0.1, width=24), labels=True, half=True),
        Recipe(
            "noisy-classifier-digits", data="digits", model="noisy-classifier", labels=True, steps=1500, rate=1e-3,
            weight_decay=0.1, options={"channels": 1, "size": 8, "classes": 10, "width": 16},
        ),
        _latent("restore-emoji", "damaged", condition="picture", picture=[3, 32, 32], drop=0.1),
        # Lesson 11b: told in words.
        _latent(
            "text-shapes", "shapes", 12_000, width=48, condition="text", words=29, length=12, text=64, position=0.5, drop=0.1,
        ),
        _latent("text-emoji", "emoji", 13_000, width=64, condition="text", words=1769, length=12, text=88, drop=0.1),
        _digits("ddpm-digits"),
        Recipe(
            name="ddpm-mnist",
            data="mnist",
            model="unet-denoiser",
            options={"channels": 1, "size": 28, "width": 32, "multipliers": [1, 2, 2], "blocks": 1, "attention": [7]},
            steps=8_000,
            batch=64,
            warmup=200,
            ema=0.999,
        ),
        # Lesson 07: one network, trained on L_simple and on the bound itself, as Ho et al. compared them.
        _digits("ddpm-digits-simple", schedule="linear", target="eps"),
        _digits("ddpm-digits-bound", schedule="linear", target="eps", weight="bound"),
        # Lesson 08: ddpm-digits with one part taken out.
        *(_digits(f"ddpm-digits-without-{part}", without=part) for part in ABLATIONS),
        _digits("ddpm-digits-half-width", width=16),
        Recipe(
            name="features-digits", data="digits", model="classifier", options={"channels": 1, "size": 8}, labels=True,
            steps=1500, batch=128, rate=2e-3, weight_decay=0.05,
        ),
        Recipe(
            name="features-mnist", data="mnist", model="classifier", options={"channels": 1, "size": 28, "width": 16},
            labels=True, steps=2500, batch=128, rate=2e-3, weight_decay=0.05,
        ),
    )
}  # fmt: skip


def check_recipe(recipe: Recipe) -> Recipe:
    """The recipe, unchanged. Raises ValueError for anything else, such as its name."""
    if not isinstance(recipe, Recipe):
        raise ValueError(f"recipe must be a Recipe, as recipe_named(name) gives it; got {checks.shown(recipe)}")
    return recipe


def recipe_named(name: str) -> Recipe:
    """Raises ValueError, with the nearest names, for one that does not exist."""
    if isinstance(name, str) and name in RECIPES:
        return RECIPES[name]
    close = difflib.get_close_matches(str(name), RECIPES, n=2)
    raise ValueError(
        f"there is no recipe {checks.shown(name)}" + (f" (did you mean {' or '.join(close)}?)" if close else "")
        + f"; the recipes are: {', '.join(RECIPES)}"
    )  # fmt: skip
