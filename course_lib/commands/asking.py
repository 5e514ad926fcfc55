"""`course draw`: a picture of what you type."""

from pathlib import Path

import click

from course_lib.commands.generating import check_picture, sampler_named
from course_lib.commands.options import NUMBER, SEED, Place


@click.command()
@click.argument("caption")
@click.option(
    "--model", default="text-emoji", show_default=True, help="Who draws: text-emoji, text-shapes, or a run's folder."
)
@click.option("-n", "--number", "n", default=8, show_default=True, type=NUMBER, help="How many pictures.")
@click.option("--guidance", default=2.0, show_default=True, help="How strictly the caption is taken; 1 is as learned.")
@click.option("--steps", default=40, show_default=True, type=NUMBER, help="Steps of the sampler, DDIM.")
@click.option("--seed", default=0, show_default=True, type=SEED, help="The same seed, the same pictures.")
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda or mps.")
@click.option("--out", default="drawing.png", show_default=True, type=Place(), help="A PNG file.")
def draw(caption: str, model: str, n: int, guidance: float, steps: int, seed: int, device: str, out: Path) -> None:
    """Draw CAPTION, such as "woman astronaut, dark skin tone", and write the pictures as a grid.

    A word that the model has never seen is answered with the nearest ones that it knows.
    """
    from course_lib.data import load
    from course_lib.models import generate
    from course_lib.paths import shorten
    from course_lib.show.files import save_picture

    check_picture(out)
    trained = sampler_named(model, device)
    vocabulary = load(trained.recipe.data).vocabulary
    if vocabulary is None or not trained.recipe.labels:
        raise click.ClickException(
            f"{trained.recipe.name} takes no captions; --model names one that does: text-emoji, text-shapes"
        )
    cond = vocabulary.encode(caption).expand(n, -1)
    x0 = generate(trained.model, n, seed, cond, progress=True, guidance=guidance, steps=steps)
    save_picture(x0, out)
    click.echo(f"wrote {n} picture{'s' * (n > 1)} of {vocabulary.decode(cond[:1])[0]!r} to {shorten(out.resolve())}")
