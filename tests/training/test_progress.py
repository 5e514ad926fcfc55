"""How far a run is and how fast, by a clock that the test winds."""

from types import SimpleNamespace

import pytest
import torch

from course_lib.data import Split
from course_lib.training import Recipe, Run

NET = {"channels": 1, "size": 8, "width": 8, "multipliers": [1, 2], "blocks": 1, "groups": 4}
TINY = Recipe(name="tiny", data="digits", model="unet-denoiser", options=NET, steps=20, batch=4)
IMAGES = Split(torch.zeros(8, 1, 8, 8), torch.zeros(8, dtype=torch.long))


@pytest.fixture
def run(monkeypatch):
    """A run whose steps take two seconds each by the clock and compute nothing."""
    now = [0.0]
    monkeypatch.setattr("course_lib.training.progress.time", SimpleNamespace(perf_counter=lambda: now[0]))

    def step(self):
        now[0] += 2.0
        return {"loss": torch.tensor(1.0)}

    monkeypatch.setattr(Run, "_train_step", step)
    return Run(TINY, device="cpu", data=IMAGES, every=4)


def test_the_time_left_is_that_of_the_steps_to_come_and_the_speed_counts_images(run):
    shown = list(run)
    assert [progress.step for progress in shown] == [4, 8, 12, 16, 20]
    assert [progress.seconds_left for progress in shown] == [32, 24, 16, 8, 0]
    assert {progress.images_per_second for progress in shown} == {4 / 2.0}


def test_a_run_that_goes_on_counts_its_pace_from_where_it_went_on(run):
    for progress in run:
        if progress.step == 8:
            break
    assert next(iter(run)).seconds_left == 2.0 * (20 - 12)
