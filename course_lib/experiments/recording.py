"""Recorded results: each a JSON file in data/results that says by which command, version and machine it was made."""

import json
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import torch

from course_lib import __version__
from course_lib.paths import RESULTS

EXPERIMENTS = tuple(sorted(file.stem.replace("_", "-") for file in Path(__file__).parent.glob("[!_]*_*.py")))


def record(name: str) -> Path:
    """Measure, and write data/results/NAME.json. Raises ValueError for an unknown name."""
    if name not in EXPERIMENTS:
        raise ValueError(f"there is no experiment {name!r}; choose one of: {', '.join(EXPERIMENTS)}")
    from course_lib.training import machine  # here, for the names of the experiments should cost nothing
    from course_lib.training.checkpoint import probe

    probe(RESULTS, remedy="the measurement would be lost, so make room or get permission first")
    values = measurement(name)()
    made = {
        "command": f"course record {name}",
        "version": __version__,
        "torch": torch.__version__.split("+")[0],
        "machine": machine(torch.device("cpu")),
    }
    RESULTS.mkdir(parents=True, exist_ok=True)
    path, partial = RESULTS / f"{name}.json", RESULTS / f".{name}.partial"
    partial.write_text(json.dumps(made | values, indent=1) + "\n", encoding="utf-8")
    partial.replace(path)
    return path


def measurement(name: str) -> Callable[[], dict[str, Any]]:
    """The function that makes a result's values, imported when it is asked for."""
    return import_module(f"course_lib.experiments.{name.replace('-', '_')}").measure


def results(name: str) -> dict[str, Any]:
    """What was recorded under this name. Raises ValueError where nothing was or it can't be read, saying how to make it."""
    path = RESULTS / f"{name}.json"
    if not path.is_file():
        raise ValueError(f"nothing is recorded in data/results/{name}.json; measure it: course record {name}")
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(
            f"data/results/{name}.json is damaged ({error}): put the original back, or measure it again: course record {name}"
        ) from error
