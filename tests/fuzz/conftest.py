"""The small models, registered, and one trained run of each kind in a folder of runs."""

import contextlib
import io
import sys

import pytest
import small_models
import torch

from course_lib import cli
from course_lib.training import Run, trained


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Where runs lie: a finished one with two checkpoints of every kind of model."""
    folder = tmp_path_factory.mktemp("runs")
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    small_models.register()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(trained, "RUNS", folder)
        for recipe in (small_models.VAE, small_models.LATENTS, small_models.GAUSSIAN):
            list(Run(recipe, folder / recipe.name, device="cpu", save_every=10))
        yield folder
    small_models.unregister()
    torch.set_num_threads(threads)


def call(*arguments: str) -> tuple[int, str, str]:
    """Run `course …` in this process: (exit code, what it printed, what it complained). What escapes is a traceback."""
    out, err, before = io.StringIO(), io.StringIO(), sys.argv
    sys.argv = ["course", *arguments]
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err), pytest.raises(SystemExit) as ended:
            cli.main()
    finally:
        sys.argv = before
    return ended.value.code or 0, out.getvalue(), err.getvalue()


@pytest.fixture(scope="module")
def course():
    return call
