"""Recorded results: what is written, what is said when something is missing, and the small things the figures rest on."""

import json

import pytest
import torch

import course_lib
from course_lib.diffusion import NoiseSchedule, Oracle
from course_lib.exact import GaussianMixture
from course_lib.experiments import EXPERIMENTS, ablations_digits, bound_digits, recording, samplers_digits
from course_lib.experiments.common import rounded
from course_lib.experiments.recording import measurement, record, results
from course_lib.paths import RESULTS
from course_lib.training import recipe_named


def measuring(monkeypatch, measure):
    monkeypatch.setattr(recording, "measurement", {"quick": measure}.get)


@pytest.fixture
def folder(monkeypatch, tmp_path):
    """data/results, empty, with one experiment that takes no time."""
    monkeypatch.setattr(recording, "RESULTS", tmp_path / "results")
    monkeypatch.setattr(recording, "EXPERIMENTS", ("bound-digits", "quick"))
    measuring(monkeypatch, lambda: {"found": [1, 2.5], "name": "ε"})
    return tmp_path / "results"


class TestRecord:
    def test_it_says_what_was_measured_and_by_which_command_version_and_machine(self, folder):
        path = record("quick")
        written = json.loads(path.read_text(encoding="utf-8"))
        assert path == folder / "quick.json"
        assert written["found"] == [1, 2.5] and written["name"] == "ε"
        assert written["command"] == "course record quick"
        assert written["version"] == course_lib.__version__
        assert written["torch"] == torch.__version__.split("+")[0]
        assert written["machine"].endswith("thread(s)")
        assert [p.name for p in folder.iterdir()] == ["quick.json"]

    def test_what_was_recorded_is_read_again_and_replaced_by_the_next_time(self, folder, monkeypatch):
        record("quick")
        measuring(monkeypatch, lambda: {"found": 3})
        record("quick")
        assert results("quick")["found"] == 3 and "name" not in results("quick")

    def test_an_unknown_name_is_an_error_that_lists_them(self, folder):
        with pytest.raises(ValueError, match=r"there is no experiment 'speed'; choose one of: bound-digits, .*quick"):
            record("speed")
        assert not folder.exists()

    def test_what_was_not_recorded_is_an_error_that_says_how_to_make_it(self, folder):
        with pytest.raises(ValueError, match=r"nothing is recorded in data/results/quick.json; .*course record quick$"):
            results("quick")

    def test_a_measurement_that_fails_leaves_the_one_before(self, folder, monkeypatch):
        record("quick")
        measuring(monkeypatch, lambda: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            record("quick")
        assert results("quick")["found"] == [1, 2.5]
        measuring(monkeypatch, lambda: {"found": object()})
        with pytest.raises(TypeError):
            record("quick")
        assert results("quick")["found"] == [1, 2.5]

    def test_every_recorded_file_has_an_experiment_of_its_name_and_every_experiment_a_file(self):
        assert set(EXPERIMENTS) == {path.stem for path in RESULTS.glob("*.json")}
        assert all(callable(measurement(name)) for name in EXPERIMENTS)

    def test_every_model_that_an_experiment_needs_has_a_recipe(self):
        for name in (*bound_digits.MODELS, *ablations_digits.MODELS):
            assert recipe_named(name).name == name


@pytest.mark.parametrize(
    ("value", "digits", "expected"),
    [
        (123456.0, 4, 123500.0),
        (0.000123456, 2, 0.00012),
        (-2.0, 4, -2.0),
        (torch.tensor(3.14159), 3, 3.14),
        (torch.tensor([1.23456, -9.99999, 1e-9]), 3, [1.23, -10.0, 1e-9]),
    ],
    ids=str,
)
def test_rounding_keeps_so_many_significant_digits(value, digits, expected):
    found = rounded(value, digits)
    assert found == expected
    assert json.loads(json.dumps(found)) == expected


class TestWhatTheExperimentsCount:
    SCHEDULE = NoiseSchedule.linear(100, 1e-3, 0.15)

    @pytest.mark.parametrize("name", samplers_digits.SAMPLERS)
    def test_each_sampler_asks_the_network_as_often_as_its_entry_says(self, name):
        calls = 0

        class Counting(Oracle):
            def predict(self, x_t, t, cond=None):
                nonlocal calls
                calls += 1
                return super().predict(x_t, t)

        a_step, sampler, _ = samplers_digits.SAMPLERS[name]
        oracle = Counting(GaussianMixture([[0.3]], 0.2), self.SCHEDULE)
        states = list(sampler(oracle, torch.zeros(2, 1).double(), self.SCHEDULE.times(10), generator=torch.Generator()))
        assert calls == a_step * 10 - (a_step == 2)
        assert states[-1].t == 0 and states[-1].x_t.isfinite().all()
