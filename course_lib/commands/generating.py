"""`course sample`, `evaluate`, `scoreboard`: what trained models make, and how good it is."""

import math
import shlex
import time
from pathlib import Path
from typing import Any

import click

from course_lib.commands.options import MODEL_OPTIONS, NUMBER, SEED, Place, Whole

LONGEST = 24  # hours
_TRUTH = ("false", "true", "no", "yes", "0", "1")


@click.command(context_settings=MODEL_OPTIONS)
@click.argument("checkpoint")
@click.option("-n", "--number", "n", default=64, show_default=True, type=NUMBER, help="How many images.")
@click.option("--label", help="What the images show, for a model that sees labels: the name of a class.")
@click.option("--seed", default=0, show_default=True, type=SEED, help="The same seed, the same images.")
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda or mps.")
@click.option("--out", default="grid.png", show_default=True, type=Place(), help="A PNG file.")
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

    check_picture(out)
    trained = sampler_named(checkpoint, device)
    options = _model_options(trained, context.args)
    _check_size(trained, n, 1, wanted=label, **options)
    x0 = generate(trained.model, n, seed, _labels(trained, n, label), progress=True, **options)
    if not x0.isfinite().all():
        raise click.ClickException(f"with these options {trained.recipe.name} makes numbers that are NaN or infinite")
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
    type=NUMBER,
    help="How many images each seed makes; 500 or more.",
)
@click.option("--seeds", default=3, show_default=True, type=Whole(1, 100), help="How many sets of images.")
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda or mps.")
@click.option("--save", is_flag=True, help="Write the figures into the checkpoint's recipe.json, for the scoreboard.")
@click.pass_context
def evaluate(context: click.Context, checkpoint: str, n: int, seeds: int, device: str, save: bool) -> None:
    """Measure CHECKPOINT: how close its images are to held-out ones, whether it memorizes, and what it costs.

    Other options are the model's own, as for `course sample`.
    """
    from course_lib.data import load
    from course_lib.metrics import (
        SETS,
        measure,
        measure_eyes,
        measure_loss,
        measure_pictures,
        measure_reference,
        picture_table,
        table,
    )
    from course_lib.metrics.features import SAMPLES
    from course_lib.models import makes_images
    from course_lib.training import load_trained, pick_device
    from course_lib.training.checkpoint import probe, update_card

    if n < SAMPLES:
        raise click.UsageError(
            f"-n must be at least {SAMPLES}, for fewer images can't be judged on this scale; got {n}"
        )
    device, trained = pick_device(device), load_trained(checkpoint)
    name, options = trained.recipe.name, _model_options(trained, context.args)
    if save:
        probe(trained.folder, remedy="without --save the figures are only shown")
    if makes_images(trained.model) and trained.recipe.data in SETS:
        measured = {"pictures": measure_pictures(trained, seeds, n // 2, device, **options)}
        click.echo(picture_table({name: measured["pictures"]}))
    elif makes_images(trained.model):
        trained.model.to(device)
        _check_size(trained, n, seeds, **options)
        measured = {"scores": measure(trained, seeds, n, device, **options)}
        click.echo(table({name: measured["scores"]}))
        for reason in measured["scores"]["suspicious"]:
            click.echo(f"! {reason}")
    elif trained.recipe.data in ("pictures", "scenes", "roles"):
        measured, words = measure_eyes(trained)
        click.echo(f"{name}: {words}")
    elif not hasattr(trained.model, "features"):
        measured = measure_loss(trained)
        loss, images = measured["held_out"].values()
        click.echo(f"{name}: it makes no images; its loss on {images} held-out ones is {loss:.3f}")
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
    from course_lib.metrics import is_measured, picture_table, table
    from course_lib.training import load_trained, shipped

    scores, pictures, unmeasured = {}, {}, []
    for name in dict.fromkeys((*shipped(), *checkpoints)):
        card = load_trained(name).card
        if is_measured(card):
            scores[name] = card["scores"]
        elif "pictures" in card:
            pictures[name] = card["pictures"]
        elif "accuracy" not in card and "held_out" not in card:
            unmeasured.append(name)
    if scores:
        click.echo(table(scores))
    if pictures:
        click.echo(f"\n{picture_table(pictures)}")
    for name in unmeasured:
        click.echo(f"{name} has not been measured yet: course evaluate {shlex.quote(name)} --save")


def check_picture(out: Path) -> None:
    """A ClickException where no picture can be written there, before it is made."""
    if out.suffix.lower() != ".png":
        raise click.ClickException(f"--out must name a PNG file; got {out}")
    if not out.parent.is_dir():
        raise click.ClickException(f"--out: there is no folder {out.parent}")
    if out.exists() and not out.is_file():
        raise click.ClickException(f"--out: {out} is {'a folder' if out.is_dir() else 'no file'}; name a PNG file")
    new = not out.exists()
    try:
        with out.open("ab"):
            pass
        if new:
            out.unlink()
    except OSError as error:
        raise click.ClickException(f"--out: {out} can't be written ({error.strerror}): choose another place") from None


def sampler_named(checkpoint: str, device: str):
    """A trained model on a device; a ClickException for one that makes no images."""
    from course_lib.models import makes_images
    from course_lib.training import load_trained, pick_device

    device = pick_device(device)
    trained = load_trained(checkpoint)
    if not makes_images(trained.model):
        raise click.ClickException(f"{trained.recipe.name} is a {trained.recipe.model}: it makes no images")
    trained.model.to(device)
    return trained


def _check_size(trained, n: int, sets: int, wanted: str | None = None, **options: Any) -> None:
    """A ClickException where so many images need more memory than is free, or more than a day: a first block tells."""
    import psutil
    import torch

    from course_lib.models import generate
    from course_lib.models.generation import blocks as blocks_of

    device = next(iter(trained.model.state_dict().values()), torch.empty(0)).device
    _, size = next(blocks_of(n, device))
    blocks = sets * math.ceil(n / size)
    if blocks <= 100:
        return
    begun = time.perf_counter()
    block = generate(trained.model, size, cond=_labels(trained, size, wanted), **options)
    hours = blocks * (time.perf_counter() - begun) / 3600
    needed, free = 3 * blocks * block.nbytes, psutil.virtual_memory().available  # blocks, one tensor, and a picture
    ask = f"{n * sets:,} images of {trained.recipe.name} would"
    if needed > free:
        sizes = f"about {needed / 2**30:,.1f} GB of memory, and {free / 2**30:,.1f} GB are free"
        raise click.ClickException(f"{ask} need {sizes}: ask for fewer (-n)")
    if hours > LONGEST:
        raise click.ClickException(f"{ask} take about {hours:,.0f} hours here: ask for fewer (-n), or fewer steps")


def _model_options(trained, arguments: list[str]) -> dict[str, Any]:
    """`--name value` pairs as options of the model's `sample`, each of its default's type; others are refused by name."""
    from course_lib.models import options_of

    taken, options = options_of(trained.model), {}
    names = ", ".join(f"--{name}" for name in taken) or "none"
    rest = iter(arguments)
    for argument in rest:
        name, joined, value = argument.partition("=")
        key = name.removeprefix("--").replace("-", "_")
        if not name.startswith("--") or key not in taken:
            raise click.UsageError(f"{trained.recipe.name} takes no {name}; its own options are: {names}")
        if key in options:
            raise click.UsageError(f"{name} is given twice")
        if not joined and (value := next(rest, None)) is None:
            raise click.UsageError(f"{name} needs a value")
        kind = float if taken[key] is None else type(taken[key])
        try:
            options[key] = kind(value) if kind is not bool else _TRUTH.index(value.lower()) % 2 == 1
        except ValueError:
            what = {int: "a whole number", float: "a number", bool: "true or false"}[kind]
            raise click.UsageError(f"{name} takes {what}; got {value!r}") from None
    return options


def _labels(trained, n: int, wanted: str | None = None):
    """What n images are to show: the wanted class or caption, or all by turns; None for a model that sees no labels."""
    import torch

    from course_lib.data import load
    from course_lib.metrics import conditions

    if not trained.recipe.labels:
        if wanted is not None:
            raise click.ClickException(f"{trained.recipe.name} sees no labels: leave --label out")
        return None
    data = load(trained.recipe.data)
    if data.vocabulary is not None and wanted is not None:
        return data.vocabulary.encode(wanted).expand(n, -1)
    if not data.classes:
        if wanted is not None:
            raise click.ClickException(f"{trained.recipe.name} is told by pictures, not by words: leave --label out")
        return conditions(data, n, held_out=True)[0]
    if wanted is not None and wanted not in data.classes:
        raise click.ClickException(f"there is no class {wanted!r}; choose one of: {', '.join(data.classes)}")
    return torch.arange(n) % len(data.classes) if wanted is None else torch.full((n,), data.classes.index(wanted))
