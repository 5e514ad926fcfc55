"""Trainings of every kind, killed at random moments: each goes on, and ends with the bytes of one that nothing happened to.

A moment is a call of a Python or a C function, anywhere: while the model is built, in a step, between two files of a save.
For many kills, run this file: `python tests/training/test_kills.py 25` kills each kind 25 times.
"""

import hashlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

import course_lib

KILLS = 3  # of each kind


def kill_and_finish(home: Path, kills: int) -> list[dict]:
    """For each kind and kill: where it was, what was found afterwards, and whether the end is the same."""
    import small_models
    import torch

    from course_lib.training import Run, checkpoint, trained

    torch.set_num_threads(1)
    small_models.register()
    trained.RUNS = home
    list(Run(small_models.VAE, home / "small-vae", device="cpu"))

    def train(recipe, out):
        resume = bool(checkpoint.numbered(out))
        for _ in Run(recipe, out, device="cpu", every=7, save_every=5, resume=resume):
            pass

    def train_counting(recipe, out, last=None):
        """Train, and count the calls of functions; at the last one, die."""
        calls = 0

        def count(*_):
            nonlocal calls
            calls += 1
            if calls == last:
                os.kill(os.getpid(), signal.SIGKILL)

        sys.setprofile(count)
        train(recipe, out)
        sys.setprofile(None)
        return calls

    def end(out):
        files = {p.relative_to(out).as_posix(): p.read_bytes() for p in sorted(out.glob("step-*/*"))}
        hashes = {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
        others = {p.name for p in out.iterdir()} - {"latest"} - {p.name for p in checkpoint.numbered(out)}
        return hashes, checkpoint.newest(out).name, sorted(others)

    told = []
    for recipe in (small_models.VAE, small_models.GAN, small_models.LATENTS, small_models.GAUSSIAN):
        train(recipe, home / "first")  # what is imported late is imported now
        calls = train_counting(recipe, home / f"whole-{recipe.name}")
        whole = end(home / f"whole-{recipe.name}")
        chosen = random.Random(recipe.name)
        for kill in range(kills):
            out, at = home / f"{recipe.name}-{kill}", chosen.randrange(1, calls)
            child = os.fork()
            if child == 0:
                train_counting(recipe, out, at)
                os._exit(0)
            status = os.waitpid(child, 0)[1]
            found = sorted(folder.name for folder in checkpoint.numbered(out))
            train(recipe, out)
            ended = os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0
            told.append(
                {"kind": recipe.name, "at": at / calls, "ended": ended, "found": found, "same": end(out) == whole}
            )
        shutil.rmtree(home / "first")
    return told


@pytest.fixture(scope="module")
def killed(tmp_path_factory):
    """What became of them: in a process of its own, which forks."""
    if not hasattr(os, "fork"):
        pytest.skip("needs os.fork")
    places = [str(Path(course_lib.__file__).parents[1]), str(Path(__file__).parents[1])]
    alone = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(places)}
    done = subprocess.run(
        [sys.executable, __file__, str(KILLS), tmp_path_factory.mktemp("killed")],
        env={**os.environ, **alone}, capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_a_training_of_any_kind_killed_anywhere_ends_with_the_same_bytes(killed):
    assert len(killed) == 4 * KILLS and len({kill["kind"] for kill in killed}) == 4
    for kill in killed:
        assert kill["same"], kill


def test_they_were_killed_and_at_different_moments(killed):
    assert all(kill["ended"] == signal.SIGKILL for kill in killed)
    assert len({tuple(kill["found"]) for kill in killed}) >= 3


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        print(json.dumps(kill_and_finish(Path(*sys.argv[2:] or [folder]), int(sys.argv[1]))))
