"""`course lab`, `update`, `progress`, `reset`: a student's copies of the lessons; `test` and `notebooks`: the course's own."""

import sys

import click


@click.command()
@click.option("--author", is_flag=True, help="Open the course's own lessons, each kept in step with its source.")
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def lab(arguments: tuple[str, ...], author: bool) -> None:
    """Open your copies of the lessons in JupyterLab, on this machine only. ARGUMENTS go to JupyterLab (after --).

    The copies lie in the folder `my`. They are made the first time; later, what the course has changed comes into them, and
    what you wrote stays.
    """
    from course_lib.launch import open_lab
    from course_lib.paths import MY, needs_clone
    from course_lib.workbook import update as update_copies

    if author:
        needs_clone("course lab --author")
    else:
        for line in update_copies([], MY):
            click.echo(line)
    sys.exit(open_lab(list(arguments), None if author else MY))


@click.command()
@click.argument("lessons", nargs=-1)
def update(lessons: tuple[str, ...]) -> None:
    """Bring what the course has changed into your copies of the LESSONS (such as 06); without any, of all.

    What you wrote stays, and the copy as it was is kept in my/backups. Close a lesson before, or choose "Revert" in
    JupyterLab after.
    """
    from course_lib.paths import MY
    from course_lib.workbook import update as update_copies

    for line in update_copies(list(lessons), MY) or ["your copies are up to date"]:
        click.echo(line)


@click.command()
@click.argument("lessons", nargs=-1)
def progress(lessons: tuple[str, ...]) -> None:
    """How the exercises of your LESSONS stand (such as 06; without any, of all), as their checks said when they last ran."""
    from course_lib.paths import MY
    from course_lib.workbook import MARKS
    from course_lib.workbook import progress as standings

    for lesson, exercises in standings(list(lessons), MY).items():
        right = sum(exercise.state == "right" for exercise in exercises)
        marks = " ".join(MARKS[exercise.state] for exercise in exercises)
        click.echo(f"{lesson:24} {right:2} of {len(exercises):2} right   {marks}")
        if lessons:
            for exercise in exercises:
                click.echo(f"    {MARKS[exercise.state]} {exercise.statement.name:6} {exercise.statement.title}")
    click.echo("   ".join(f"{mark} {state}" for state, mark in MARKS.items()))


@click.command()
@click.argument("lessons", nargs=-1, required=True)
def reset(lessons: tuple[str, ...]) -> None:
    """Start LESSONS (such as 06) anew; your copies are kept in my/backups."""
    from course_lib.paths import MY
    from course_lib.workbook import reset as start_anew

    for line in start_anew(list(lessons), MY):
        click.echo(line)


@click.command()
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def test(arguments: tuple[str, ...]) -> None:
    """Prove that all of it works: style, unit tests, every cell of every notebook. ARGUMENTS go to pytest (after --)."""
    from course_lib.launch import run_tests
    from course_lib.paths import needs_clone

    needs_clone("course test")

    sys.exit(run_tests(list(arguments)))


@click.command()
@click.option("--all", "everything", is_flag=True, help="Execute every notebook, not only those that changed.")
@click.argument("names", nargs=-1)
def notebooks(names: tuple[str, ...], everything: bool) -> None:
    """Execute the lessons' sources that changed and write the notebooks. NAMES: only these, such as 06."""
    from course_lib.notebooks.build import build_notebooks
    from course_lib.paths import needs_clone

    needs_clone("course notebooks")

    if not build_notebooks(list(names), everything):
        raise click.ClickException("not every notebook ran; the lines above say which cell failed")
