"""`course …`: everything that can be done without a notebook. An error is one line and an exit code other than 0."""

import sys
import warnings

import click

from course_lib import __version__
from course_lib.commands import asking, generating, lessons, training

LONGEST = 1200  # characters of a message; a value that was given may be of any length


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


for command in (
    lessons.lab, lessons.update, lessons.progress, lessons.reset,
    generating.sample, asking.draw, generating.evaluate, generating.scoreboard,
    training.recipes, training.train, training.record,
    lessons.test, lessons.notebooks,
):  # fmt: skip
    cli.add_command(command)


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
        _stop(f"{error.format_message().rstrip('.')} (`{command} --help` lists what there is)", 2)
    except click.ClickException as error:
        _stop(error.format_message(), 1)
    except (click.Abort, KeyboardInterrupt):
        _stop("stopped", 130)
    except Exception as error:
        if not isinstance(error, _expected()):
            raise
        if isinstance(error, OSError) and error.strerror and error.filename:
            _stop(f"{error.filename}: {error.strerror}", 1)
        _stop(str(error) or type(error).__name__, 1)


def _expected() -> tuple[type[Exception], ...]:
    """Errors whose message says all that a user needs."""
    from course_lib.data.sets.mnist import DataError

    expected = [ValueError, OSError, MemoryError, ModuleNotFoundError, DataError]
    if "course_lib.training" in sys.modules:
        from torch import OutOfMemoryError

        from course_lib.training import CheckpointError, TrainingDiverged

        expected += [CheckpointError, TrainingDiverged, OutOfMemoryError]
    return tuple(expected)


def _stop(message: str, code: int) -> None:
    message = " ".join(message.split())
    if len(message) > LONGEST:
        message = f"{message[: LONGEST // 2]} … {message[-LONGEST // 2 :]}"
    click.echo(f"course: {message}", err=True)
    sys.exit(code)


if __name__ == "__main__":
    main()
