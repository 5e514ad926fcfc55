"""Where the course keeps its files: all of it inside the repository, so nothing is lost and nothing is hidden."""

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
NOTEBOOKS = ROOT / "notebooks"
CHECKPOINTS = ROOT / "data" / "checkpoints"
RESULTS = ROOT / "data" / "results"
DOWNLOADS = ROOT / "data" / "downloads"
RUNS = ROOT / "runs"


def data_folder() -> Path | None:
    """The folder of ready-made data that the environment variable COURSE_DATA names, if it is set."""
    named = os.environ.get("COURSE_DATA")
    return Path(named).expanduser() if named else None


def shorten(path: Path) -> str:
    """The path as a reader wants it: relative to the working directory where it lies below."""
    path = Path(path)
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)
