"""Where files lie: what comes with the course, and what you make with it.

What comes with it stands in the clone, or inside the package where it was installed without one. What you make (your
copies of the lessons, trainings, downloads) goes to the clone too; or, where that is not yours to write, or there is none,
to the folder `from-noise-to-images` in your home. The environment variable COURSE_HOME names another one.
"""

import os
from pathlib import Path

PACKAGE = Path(__file__).resolve().parent
ROOT = PACKAGE.parent
IS_CLONE = (ROOT / "pyproject.toml").is_file() and (ROOT / "notebooks").is_dir()

SHIPPED = ROOT if IS_CLONE else PACKAGE / "shipped"
NOTEBOOKS = SHIPPED / "notebooks"
CHECKPOINTS = SHIPPED / "data" / "checkpoints"
RESULTS = SHIPPED / "data" / "results"


def _folder_named(variable: str) -> Path | None:
    """What an environment variable names, if it is set. Raises ValueError where it begins with ~ and nobody's name."""
    named = os.environ.get(variable)
    try:
        return Path(named).expanduser() if named else None
    except RuntimeError as error:
        raise ValueError(
            f"{variable} names {named}, and there is no such home: name a folder by its whole path"
        ) from error


def home() -> Path:
    """The folder of all that you make."""
    if named := _folder_named("COURSE_HOME"):
        return named.resolve()
    if IS_CLONE and os.access(ROOT, os.W_OK):
        return ROOT
    return Path.home() / "from-noise-to-images"


HOME = home()
MY = HOME / "my"
RUNS = HOME / "runs"
DOWNLOADS = HOME / "data" / "downloads"


def data_folder() -> Path | None:
    """The folder of ready-made data that the environment variable COURSE_DATA names, if it is set."""
    return _folder_named("COURSE_DATA")


def needs_clone(what: str) -> None:
    """Raises FileNotFoundError where the course was installed without its repository, which `what` needs."""
    if not IS_CLONE:
        raise FileNotFoundError(
            f"{what} needs the whole repository, and only the package is installed here: get it with git clone, or as a ZIP"
        )


def shorten(path: Path) -> str:
    """The path as a reader wants it: relative to the working directory where it lies below."""
    path = Path(path)
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)
