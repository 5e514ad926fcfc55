"""`course …`: everything that can be done without a notebook. An error is one line and an exit code other than 0."""

import dataclasses
import signal
import sys
import warnings
from pathlib import Path

import click

from course_lib import __version__


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
    from course_lib.paths import CHECKPOINTS
    from course_lib.training import RECIPES

    for recipe in RECIPES.values():
        shipped = "shipped" if (CHECKPOINTS / recipe.name).is_dir() else ""
        click.echo(f"{recipe.name:18} {recipe.data:8} {recipe.steps:6,} steps of {recipe.batch:4}   {shipped}".rstrip())


@cli.command()
@click.argument("recipe")
@click.option("--steps", type=click.IntRange(min=1), help="Train for this many steps; the recipe says how many else.")
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda or mps.")
@click.option("--out", type=click.Path(path_type=Path), help="The folder for checkpoints.  [default: runs/RECIPE]")
@click.option("--resume", is_flag=True, help="Go on from the newest checkpoint in the folder.")
@click.option("--seed", type=click.IntRange(min=0), help="Another seed than the recipe's.")
@click.option("--compile", "compile_", is_flag=True, help="Use torch.compile (CUDA only).")
def train(
    recipe: str, steps: int | None, device: str, out: Path | None, resume: bool, seed: int | None, compile_: bool
) -> None:
    """Train RECIPE. Ctrl-C stops after the current step and keeps a checkpoint."""
    from course_lib.paths import shorten
    from course_lib.training import recipe_named
    from course_lib.training.checkpoint import newest
    from course_lib.training.loop import default_folder
    from course_lib.training.loop import train as run_recipe

    signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))  # a stopped container keeps its work
    chosen = recipe_named(recipe)
    changes = {name: value for name, value in (("steps", steps), ("seed", seed)) if value is not None}
    chosen = dataclasses.replace(chosen, **changes)
    out = out or default_folder(chosen)
    run = run_recipe(chosen, out, device=device, resume=resume, compile=compile_)
    if run.step < chosen.steps:
        sys.exit(130)
    if run.accelerator.is_main_process:
        click.echo(f"{shorten(newest(out))} is finished; see what it makes: course sample {shorten(out)}")


@cli.command()
@click.argument("checkpoint")
@click.option("-n", "--number", "n", default=64, show_default=True, type=click.IntRange(min=1), help="How many images.")
@click.option("--steps", default=50, show_default=True, type=click.IntRange(min=1), help="Network calls an image.")
@click.option("--sampler", default="ddim", show_default=True, type=click.Choice(["ddim", "ddpm"]), help="The update.")
@click.option("--eta", type=click.FloatRange(0, 1), help="Between DDIM (0) and DDPM (1); overrides --sampler.")
@click.option(
    "--seed", default=0, show_default=True, type=click.IntRange(min=0), help="The same seed, the same images."
)
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda or mps.")
@click.option("--out", default="grid.png", show_default=True, type=click.Path(path_type=Path), help="A PNG file.")
def sample(
    checkpoint: str, n: int, steps: int, sampler: str, eta: float | None, seed: int, device: str, out: Path
) -> None:
    """Make images with CHECKPOINT (a run's folder, or the name of a shipped one) and write them as a grid."""
    from PIL import Image

    from course_lib.metrics import generate
    from course_lib.paths import shorten
    from course_lib.show.images import as_picture, tiles

    if out.suffix.lower() != ".png":
        raise click.ClickException(f"--out must name a PNG file; got {out}")
    if not out.parent.is_dir():
        raise click.ClickException(f"--out: there is no folder {out.parent}")
    trained = _denoiser(checkpoint, device)
    x0 = generate(trained, n, steps, {"ddim": 0.0, "ddpm": 1.0}[sampler] if eta is None else eta, seed)
    sheet = Image.fromarray(as_picture(tiles(x0)))
    scale = max(1, 640 // max(sheet.size))
    sheet.resize((sheet.width * scale, sheet.height * scale), Image.Resampling.NEAREST).save(out)
    click.echo(f"wrote {n} images to {shorten(out.resolve())}")


@cli.command()
@click.argument("checkpoint")
@click.option(
    "-n", "--number", "n", default=2000, show_default=True, type=click.IntRange(min=500), help="How many images."
)
@click.option("--steps", default=50, show_default=True, type=click.IntRange(min=1), help="Network calls an image.")
@click.option("--eta", default=0.0, show_default=True, type=click.FloatRange(0, 1), help="0 is DDIM, 1 is DDPM.")
@click.option(
    "--seed", default=0, show_default=True, type=click.IntRange(min=0), help="The same seed, the same images."
)
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda or mps.")
@click.option("--save", is_flag=True, help="Write the figures into the checkpoint's recipe.json.")
def evaluate(checkpoint: str, n: int, steps: int, eta: float, seed: int, device: str, save: bool) -> None:
    """Measure CHECKPOINT: how close its images are to held-out ones, and whether it memorizes."""
    from course_lib.data import load
    from course_lib.metrics import generate, measure_reference, quality
    from course_lib.training import load_trained
    from course_lib.training.checkpoint import update_card

    trained = load_trained(checkpoint)
    if trained.recipe.model == "classifier":
        measured = measure_reference(trained, load(trained.recipe.data))
        click.echo(f"{trained.recipe.name}: held-out accuracy {measured['accuracy']:.4f}; FD(training, held-out) "
                   f"{measured['reference']['fd']:.3f} ± {measured['reference']['spread']:.3f}")  # fmt: skip
    else:
        trained = _denoiser(checkpoint, device)
        found = quality(generate(trained, n, steps, eta, seed).cpu(), trained.recipe.data)
        click.echo(f"{trained.recipe.name}, {steps} steps, eta {eta:g}, {n} images: {found}")
        key = f"steps={steps}, eta={eta:g}, n={n}, seed={seed}"
        measured = {"metrics": trained.card.get("metrics", {}) | {key: dataclasses.asdict(found)}}
    if save:
        update_card(trained.folder, **measured)


@cli.command()
@click.argument("name")
def record(name: str) -> None:
    """Make again the measurements that lessons 07 to 09 plot, in data/results. Minutes to an hour each.

    NAME: bound-digits, ablations-digits, samplers-digits, seeds-digits or likelihood-digits.
    """
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


def _denoiser(checkpoint: str, device: str):
    """A trained diffusion model on a device; a ClickException for a model that makes no images."""
    from course_lib.diffusion import Denoiser
    from course_lib.training import load_trained
    from course_lib.training.loop import pick_device

    device = pick_device(device)
    trained = load_trained(checkpoint)
    if not isinstance(trained.model, Denoiser):
        raise click.ClickException(f"{trained.recipe.name} is a {trained.recipe.model}: it makes no images")
    trained.model.to(device)
    return trained


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
    from course_lib.data.mnist import DataError

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
