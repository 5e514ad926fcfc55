"""`course recipes`, `train`, `record`: what can be trained and measured again."""

import dataclasses
import shlex
import signal
import sys
from pathlib import Path
from typing import Any

import click

from course_lib.commands.options import NUMBER, SEED, Place
from course_lib.experiments import EXPERIMENTS


@click.command()
def recipes() -> None:
    """List what can be trained, and the checkpoints that ship with the course."""
    from course_lib.training import RECIPES, shipped

    width = max(map(len, RECIPES))
    for recipe in RECIPES.values():
        work = f"{recipe.steps:6,} steps of {recipe.batch:4}" if recipe.steps else "fitted in one go     "
        click.echo(f"{recipe.name:{width}} {recipe.data:8} {work}   {'shipped' * (recipe.name in shipped())}".rstrip())


@click.command()
@click.argument("recipe")
@click.option("--steps", type=NUMBER, help="How many steps to train.  [default: the recipe's]")
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda or mps.")
@click.option("--out", type=Place(), help="The folder for checkpoints.  [default: runs/RECIPE]")
@click.option("--resume", is_flag=True, help="Go on from the newest checkpoint in the folder.")
@click.option("--seed", type=SEED, help="The seed of everything random.  [default: the recipe's]")
@click.option("--compile", "compile_", is_flag=True, help="Use torch.compile (CUDA only).")
def train(
    recipe: str, steps: int | None, device: str, out: Path | None, resume: bool, seed: int | None, compile_: bool
) -> None:
    """Train RECIPE. Ctrl-C stops after the current step and keeps a checkpoint."""
    from course_lib.models import makes_images
    from course_lib.paths import shorten
    from course_lib.training import default_folder, recipe_named
    from course_lib.training import train as run_recipe
    from course_lib.training.checkpoint import newest

    signal.signal(signal.SIGTERM, _interrupt)  # a stopped container keeps its work
    chosen = recipe_named(recipe)
    changes = {name: value for name, value in (("steps", steps), ("seed", seed)) if value is not None}
    if not chosen.steps and steps:
        raise click.ClickException(f"{recipe} is fitted in one go, without training steps: leave --steps out")
    chosen = dataclasses.replace(chosen, **changes)
    out = out or default_folder(chosen)
    run = run_recipe(chosen, out, device=device, resume=resume, compile=compile_)
    if run.step < chosen.steps:
        sys.exit(130)
    if run.accelerator.is_main_process:
        made = f"; see what it makes: course sample {shlex.quote(shorten(out))}" if makes_images(run.raw) else ""
        click.echo(f"{shorten(newest(out))} is finished{made}")


NAMES = "\n".join(f"  {name}" for name in EXPERIMENTS)


@click.command(
    help="Repeat a measurement that a lesson plots, and write it into data/results. Minutes to an hour each.\n\n"
    f"\b\nNAME:\n{NAMES}"
)
@click.argument("name", type=click.Choice(EXPERIMENTS), metavar="NAME")
def record(name: str) -> None:
    from course_lib.experiments import record as run_experiment
    from course_lib.paths import shorten

    click.echo(f"wrote {shorten(run_experiment(name))}")


def _interrupt(*_: Any) -> None:
    """What Ctrl-C does, also in a process that a script started in the background, where Ctrl-C is ignored."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        raise KeyboardInterrupt
    signal.raise_signal(signal.SIGINT)
