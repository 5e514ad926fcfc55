"""`course recipes`, `train`, `record`: what can be trained and measured again."""

import dataclasses
import signal
import sys
from pathlib import Path
from typing import Any

import click

from course_lib.commands.options import SEED
from course_lib.experiments import EXPERIMENTS


@click.command()
def recipes() -> None:
    """List what can be trained, and the checkpoints that ship with the course."""
    from course_lib.training import RECIPES, shipped

    width = max(map(len, RECIPES))
    for recipe in RECIPES.values():
        work = f"{recipe.steps:6,} steps of {recipe.batch:4}" if recipe.steps else "fitted at once       "
        click.echo(f"{recipe.name:{width}} {recipe.data:8} {work}   {'shipped' * (recipe.name in shipped())}".rstrip())


@click.command()
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


NAMES = "\n".join(f"  {name}" for name in EXPERIMENTS)


@click.command(
    help=f"Make again a measurement that a lesson plots, in data/results. Minutes to an hour each.\n\n\b\nNAME:\n{NAMES}"
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
