"""`course …`: everything that can be done without a notebook. An error is one line and an exit code other than 0."""

import dataclasses
import itertools
import signal
import sys
import warnings
from pathlib import Path
from typing import Any

import click

from course_lib import __version__
from course_lib.experiments import EXPERIMENTS

SEED = click.IntRange(0, 2**63 - 1)


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(__version__, prog_name="course")
def cli() -> None:
    """From noise to images: a hands-on course on deep generative models."""


@cli.command()
def doctor() -> None:
    """Check this machine: Python, PyTorch, device, memory, widgets, and what is missing."""
    from course_lib.doctor import examine

    if not examine():
        raise click.ClickException("something that the course needs is missing; the lines marked ✗ say how to get it")


@cli.command()
def recipes() -> None:
    """List what can be trained, and the checkpoints that ship with the course."""
    from course_lib.training import RECIPES, shipped

    width = max(map(len, RECIPES))
    for recipe in RECIPES.values():
        work = f"{recipe.steps:6,} steps of {recipe.batch:4}" if recipe.steps else "fitted at once       "
        click.echo(f"{recipe.name:{width}} {recipe.data:8} {work}   {'shipped' * (recipe.name in shipped())}".rstrip())


@cli.command()
@click.argument("recipe")
@click.option("--steps", type=click.IntRange(min=1), help="How many steps to train.  [default: the recipe's]")
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda or mps.")
@click.option("--out", type=click.Path(path_type=Path), help="The folder for checkpoints.  [default: runs/RECIPE]")
@click.option("--resume", is_flag=True, help="Go on from the newest checkpoint in the folder.")
@click.option("--seed", type=SEED, help="The seed of everything random.  [default: the recipe's]")
@click.option("--compile", "compile_", is_flag=True, help="Use torch.compile (CUDA only).")
def train(
    recipe: str, steps: int | None, device: str, out: Path | None, resume: bool, seed: int | None, compile_: bool
) -> None:
    """Train RECIPE. Ctrl-C stops after the current step and keeps a checkpoint."""
    from course_lib.paths import shorten
    from course_lib.training import default_folder, recipe_named
    from course_lib.training import train as run_recipe
    from course_lib.training.checkpoint import newest

    signal.signal(signal.SIGTERM, _interrupt)  # a stopped container keeps its work
    chosen = recipe_named(recipe)
    changes = {name: value for name, value in (("steps", steps), ("seed", seed)) if value is not None}
    if not chosen.steps and steps:
        raise click.ClickException(f"{recipe} is fitted at once: --steps means nothing to it")
    chosen = dataclasses.replace(chosen, **changes)
    out = out or default_folder(chosen)
    run = run_recipe(chosen, out, device=device, resume=resume, compile=compile_)
    if run.step < chosen.steps:
        sys.exit(130)
    if run.accelerator.is_main_process:
        click.echo(f"{shorten(newest(out))} is finished; see what it makes: course sample {shorten(out)}")


_TRUTH = ("false", "true", "no", "yes", "0", "1")
MODEL_OPTIONS = {"ignore_unknown_options": True, "allow_extra_args": True}


@cli.command(context_settings=MODEL_OPTIONS)
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


@cli.command(context_settings=MODEL_OPTIONS)
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


@cli.command()
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


NAMES = "\n".join(f"  {name}" for name in EXPERIMENTS)


@cli.command(
    help=f"Make again a measurement that a lesson plots, in data/results. Minutes to an hour each.\n\n\b\nNAME:\n{NAMES}"
)
@click.argument("name", type=click.Choice(EXPERIMENTS), metavar="NAME")
def record(name: str) -> None:
    from course_lib.experiments import record as run_experiment
    from course_lib.paths import shorten

    click.echo(f"wrote {shorten(run_experiment(name))}")


@cli.command()
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def lab(arguments: tuple[str, ...]) -> None:
    """Open the course in JupyterLab, on this machine only. ARGUMENTS go to JupyterLab (after --)."""
    from course_lib.launch import open_lab

    sys.exit(open_lab(list(arguments)))


@cli.command()
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def test(arguments: tuple[str, ...]) -> None:
    """Prove that all of it works: style, unit tests, every cell of every notebook. ARGUMENTS go to pytest (after --)."""
    from course_lib.launch import run_tests

    sys.exit(run_tests(list(arguments)))


@cli.command()
@click.option("--all", "everything", is_flag=True, help="Execute every notebook, not only those that changed.")
@click.argument("names", nargs=-1)
def notebooks(names: tuple[str, ...], everything: bool) -> None:
    """Execute the lessons' sources that changed and write the notebooks. NAMES: only these, such as 06."""
    from course_lib.notebooks.build import build_notebooks

    if not build_notebooks(list(names), everything):
        raise click.ClickException("not every notebook ran; the lines above say which cell failed")


def _interrupt(*_: Any) -> None:
    """What Ctrl-C does, also in a process that a script started in the background, where Ctrl-C is ignored."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        raise KeyboardInterrupt
    signal.raise_signal(signal.SIGINT)


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


def main() -> None:
    """Run the command line; every expected error becomes one line on stderr."""
    warnings.showwarning = lambda message, *_: click.echo(f"course: warning: {message}", err=True)
    if isinstance(sys.stdout.encoding, str) and sys.stdout.encoding.lower() != "utf-8":
        sys.stdout.reconfigure(encoding="utf-8", errors="replace")
    try:
        sys.exit(cli.main(standalone_mode=False) or 0)
    except click.exceptions.NoArgsIsHelpError as nothing:
        nothing.show()
        sys.exit(2)
    except click.UsageError as error:
        command = error.ctx.command_path if error.ctx else "course"
        _stop(f"{error.format_message()} (`{command} --help` lists what there is)", 2)
    except click.ClickException as error:
        _stop(error.format_message(), 1)
    except (click.Abort, KeyboardInterrupt):
        _stop("stopped", 130)
    except Exception as error:
        if not isinstance(error, _expected()):
            raise
        _stop(str(error) or type(error).__name__, 1)


def _expected() -> tuple[type[Exception], ...]:
    """Errors whose message says all that a user needs."""
    from course_lib.data.sets.mnist import DataError

    expected = [ValueError, OSError, ModuleNotFoundError, DataError]
    if "course_lib.training" in sys.modules:
        from course_lib.training import CheckpointError, TrainingDiverged

        expected += [CheckpointError, TrainingDiverged]
    return tuple(expected)


def _stop(message: str, code: int) -> None:
    click.echo("course: " + " ".join(message.split()), err=True)
    sys.exit(code)


if __name__ == "__main__":
    main()
