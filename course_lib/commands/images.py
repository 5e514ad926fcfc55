"""`course sample`, `evaluate`, `scoreboard`: what trained models make, and how good it is."""

import itertools
from pathlib import Path
from typing import Any

import click

from course_lib.commands.options import MODEL_OPTIONS, SEED

_TRUTH = ("false", "true", "no", "yes", "0", "1")


@click.command(context_settings=MODEL_OPTIONS)
@click.argument("checkpoint")
@click.option("-n", "--number", "n", default=64, show_default=True, type=click.IntRange(min=1), help="How many images.")
@click.option("--label", help="What the images show, for a model that sees labels: the name of a class.")
@click.option("--seed", default=0, show_default=True, type=SEED, help="The same seed, the same images.")
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda or mps.")
@click.option("--out", default="grid.png", show_default=True, type=click.Path(path_type=Path), help="A PNG file.")
@click.pass_context
def sample(
    context: click.Context, checkpoint: str, n: int, label: str | None, seed: int, device: str, out: Path
) -> None:
    """Make images with CHECKPOINT (a run's folder, or the name of a shipped one) and write them as a grid.

    Other options are the model's own: a diffusion model takes --steps, --sampler, --eta and --guidance.
    """
    from course_lib.models import generate
    from course_lib.paths import shorten
    from course_lib.show.files import save_picture

    if out.suffix.lower() != ".png":
        raise click.ClickException(f"--out must name a PNG file; got {out}")
    if not out.parent.is_dir():
        raise click.ClickException(f"--out: there is no folder {out.parent}")
    if out.is_dir():
        raise click.ClickException(f"--out: {out} is a folder; name a PNG file")
    trained = _sampler(checkpoint, device)
    options = _model_options(trained, context.args)
    x0 = generate(trained.model, n, seed, _labels(trained, n, label), **options)
    save_picture(x0, out)
    click.echo(f"wrote {n} {'images' if x0.ndim == 4 else 'points'} to {shorten(out.resolve())}")


@click.command(context_settings=MODEL_OPTIONS)
@click.argument("checkpoint")
@click.option(
    "-n",
    "--number",
    "n",
    default=2000,
    show_default=True,
    type=click.IntRange(min=500),
    help="How many images each seed makes.",
)
@click.option("--seeds", default=3, show_default=True, type=click.IntRange(1, 100), help="How many sets of images.")
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda or mps.")
@click.option("--save", is_flag=True, help="Write the figures into the checkpoint's recipe.json, for the scoreboard.")
@click.pass_context
def evaluate(context: click.Context, checkpoint: str, n: int, seeds: int, device: str, save: bool) -> None:
    """Measure CHECKPOINT: how close its images are to held-out ones, whether it memorizes, and what it costs.

    Other options are the model's own, as for `course sample`.
    """
    from course_lib.data import load
    from course_lib.metrics import measure, measure_reference, table
    from course_lib.models import makes_images
    from course_lib.training import load_trained, pick_device
    from course_lib.training.checkpoint import update_card

    device, trained = pick_device(device), load_trained(checkpoint)
    name, options = trained.recipe.name, _model_options(trained, context.args)
    if makes_images(trained.model):
        measured = {"scores": measure(trained, seeds, n, device, **options)}
        click.echo(table({name: measured["scores"]}))
        for reason in measured["scores"]["suspicious"]:
            click.echo(f"! {reason}")
    else:
        measured = measure_reference(trained, load(trained.recipe.data))
        click.echo(f"{name}: held-out accuracy {measured['accuracy']:.4f}; FD(training, held-out) "
                   f"{measured['reference']['fd']:.3f} ± {measured['reference']['spread']:.3f}")  # fmt: skip
    if save:
        update_card(trained.folder, **measured)


@click.command()
@click.argument("checkpoints", nargs=-1)
def scoreboard(checkpoints: tuple[str, ...]) -> None:
    """All shipped models, and CHECKPOINTS of your own, on one scale: as `course evaluate NAME --save` measured them."""
    from course_lib.metrics import is_measured, table
    from course_lib.training import load_trained, shipped

    cards = {name: load_trained(name) for name in (*shipped(), *checkpoints)}
    scores = {name: trained.card["scores"] for name, trained in cards.items() if is_measured(trained.card)}
    if scores:
        click.echo(table(scores))
    for name, trained in cards.items():
        if name not in scores and "accuracy" not in trained.card:
            click.echo(f"{name} has not been measured yet: course evaluate {name} --save")


def _sampler(checkpoint: str, device: str):
    """A trained model on a device; a ClickException for one that makes no images."""
    from course_lib.models import makes_images
    from course_lib.training import load_trained, pick_device

    device = pick_device(device)
    trained = load_trained(checkpoint)
    if not makes_images(trained.model):
        raise click.ClickException(f"{trained.recipe.name} is a {trained.recipe.model}: it makes no images")
    trained.model.to(device)
    return trained


def _model_options(trained, arguments: list[str]) -> dict[str, Any]:
    """`--name value` pairs as options of the model's `sample`, each of its default's type; others are refused by name."""
    from course_lib.models import options_of

    taken, options = options_of(trained.model), {}
    names = ", ".join(f"--{name}" for name in taken) or "none"
    pairs = [part for argument in arguments for part in argument.split("=", 1)]
    for name, value in itertools.zip_longest(pairs[::2], pairs[1::2]):
        key = name.removeprefix("--").replace("-", "_")
        if not name.startswith("--") or key not in taken:
            raise click.UsageError(f"{trained.recipe.name} takes no {name}; its own options are: {names}")
        if value is None:
            raise click.UsageError(f"{name} needs a value")
        kind = float if taken[key] is None else type(taken[key])
        try:
            options[key] = kind(value) if kind is not bool else _TRUTH.index(value.lower()) % 2 == 1
        except ValueError:
            what = {int: "a whole number", float: "a number", bool: "true or false"}[kind]
            raise click.UsageError(f"{name} takes {what}; got {value!r}") from None
    return options


def _labels(trained, n: int, wanted: str | None = None):
    """The labels of n images: the wanted class, or all classes by turns; None for a model that sees none."""
    import torch

    from course_lib.data import load

    if not trained.recipe.labels:
        if wanted is not None:
            raise click.ClickException(f"{trained.recipe.name} sees no labels, so --label means nothing to it")
        return None
    classes = load(trained.recipe.data).classes
    if wanted is not None and wanted not in classes:
        raise click.ClickException(f"there is no class {wanted!r}; choose one of: {', '.join(classes)}")
    return torch.arange(n) % len(classes) if wanted is None else torch.full((n,), classes.index(wanted))
