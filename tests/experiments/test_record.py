"""Recorded results: what is written, what is said when something is missing, and the small things the figures rest on."""

import importlib
import json
import math

import pytest
import torch

import course_lib
from course_lib.data import Split, load
from course_lib.diffusion import NoiseSchedule, Oracle
from course_lib.exact import GaussianMixture, Points
from course_lib.experiments import EXPERIMENTS, ablations, bound, common, likelihood, record, results, samplers
from course_lib.training import Recipe, Run, recipe_named

module = importlib.import_module("course_lib.experiments.record")  # the package's `record` is the function
NET = {"channels": 1, "size": 8, "width": 8, "multipliers": [1, 2], "blocks": 1, "groups": 4}
TINY = Recipe(name="tiny", data="digits", model="unet-denoiser", options=NET, steps=2, batch=4)
IMAGES = Split(torch.zeros(8, 1, 8, 8), torch.zeros(8, dtype=torch.long))


@pytest.fixture
def folder(monkeypatch, tmp_path):
    """data/results, empty, with one experiment that takes no time."""
    monkeypatch.setattr(module, "RESULTS", tmp_path / "results")
    monkeypatch.setitem(EXPERIMENTS, "quick", lambda: {"found": [1, 2.5], "name": "ε"})
    return tmp_path / "results"


@pytest.fixture
def runs(monkeypatch, tmp_path):
    """No model is shipped, and runs lie in an empty folder."""
    monkeypatch.setattr(common, "CHECKPOINTS", tmp_path / "checkpoints")
    monkeypatch.setattr(common, "default_folder", lambda recipe: tmp_path / "runs" / recipe.name)
    return tmp_path / "runs"


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
        monkeypatch.setitem(EXPERIMENTS, "quick", lambda: {"found": 3})
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
        monkeypatch.setitem(EXPERIMENTS, "quick", lambda: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            record("quick")
        assert results("quick")["found"] == [1, 2.5]
        monkeypatch.setitem(EXPERIMENTS, "quick", lambda: {"found": object()})
        with pytest.raises(TypeError):
            record("quick")
        assert results("quick")["found"] == [1, 2.5]

    def test_every_model_that_an_experiment_needs_has_a_recipe(self):
        for name in (*bound.MODELS, *ablations.MODELS):
            assert recipe_named(name).name == name


class TestTrained:
    def test_the_shipped_model_needs_no_run(self):
        found = common.trained("ddpm-digits")
        assert found.recipe.name == "ddpm-digits" and found.step == found.recipe.steps

    def test_a_recipe_that_was_not_trained_is_an_error_with_the_command(self, runs):
        with pytest.raises(ValueError, match=r"ddpm-digits-bound has not been .*: course train ddpm-digits-bound$"):
            common.trained("ddpm-digits-bound")

    def test_an_unknown_recipe_is_an_error_with_the_nearest_names(self, runs):
        with pytest.raises(ValueError, match="there is no recipe 'ddpm-digit'; did you mean ddpm-digits"):
            common.trained("ddpm-digit")

    def test_a_run_must_be_finished(self, runs, monkeypatch):
        monkeypatch.setattr(common, "recipe_named", {"tiny": TINY}.get)
        run = Run(TINY, runs / "tiny", device="cpu", data=IMAGES, every=1, save_every=1)
        steps = iter(run)
        next(steps)
        steps.close()
        with pytest.raises(ValueError, match=r"holds tiny with 1 steps.*course train tiny --resume"):
            common.trained("tiny")
        list(Run(TINY, runs / "tiny", device="cpu", data=IMAGES, every=1, save_every=1, resume=True))
        assert common.trained("tiny").step == 2

    def test_a_short_run_of_the_recipe_is_no_finished_one(self, runs, monkeypatch):
        """`course train tiny --steps 1` ends well, with steps = 1 in its card; its model is not the recipe's."""
        monkeypatch.setattr(common, "recipe_named", {"tiny": TINY}.get)
        short = Recipe.from_json(TINY.as_json() | {"steps": 1})
        list(Run(short, runs / "tiny", device="cpu", data=IMAGES))
        with pytest.raises(ValueError, match="tiny"):
            common.trained("tiny")


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
    found = common.rounded(value, digits)
    assert found == expected
    assert json.loads(json.dumps(found)) == expected


class TestWhatTheExperimentsCount:
    SCHEDULE = NoiseSchedule.linear(100, 1e-3, 0.15)

    @pytest.mark.parametrize("name", samplers.SAMPLERS)
    def test_each_sampler_asks_the_network_as_often_as_its_entry_says(self, name):
        calls = 0

        class Counting(Oracle):
            def predict(self, x_t, t, cond=None):
                nonlocal calls
                calls += 1
                return super().predict(x_t, t)

        a_step, sampler, _ = samplers.SAMPLERS[name]
        oracle = Counting(GaussianMixture([[0.3]], 0.2), self.SCHEDULE)
        states = list(sampler(oracle, torch.zeros(2, 1).double(), self.SCHEDULE.times(10), torch.Generator()))
        assert calls == a_step * 10 - (a_step == 2)
        assert states[-1].t == 0 and states[-1].x_t.isfinite().all()

    def test_the_squared_errors_are_those_of_the_posterior(self):
        """For one Gaussian, E|x_0 - x0_hat|^2 = S noise^2 / (signal^2 S + noise^2) at every t, and 0 at t = 0."""
        schedule, n = NoiseSchedule([0.05, 0.2, 0.5]), 20_000
        oracle = Oracle(GaussianMixture([[0.3]], 0.2), schedule)
        x0 = oracle.distribution.sample(n, torch.Generator().manual_seed(0)).float()
        found = bound.squared_errors(oracle, x0)
        assert found.shape == (4, n) and not found[0].any()
        t = torch.arange(4)
        signal, noise = schedule.signal(t), schedule.noise(t)
        expected = 0.2 * noise**2 / (signal**2 * 0.2 + noise**2)
        torch.testing.assert_close(found.mean(1), expected, rtol=5 * math.sqrt(2 / n), atol=0)

    def test_the_loss_at_each_time_is_that_of_the_same_noise_for_every_model(self):
        seen = []

        def model(x0, t, eps):
            seen.append((t.unique().item(), eps))
            return eps.square().mean() * t[0]

        x0 = load("digits").held_out.x0[:10]
        a, b = (ablations.loss_by_t(model, x0, (25, 75)) for _ in range(2))
        assert torch.equal(a, b) and [t for t, _ in seen] == [25, 75, 25, 75]
        assert torch.equal(seen[0][1], seen[2][1]) and not torch.equal(seen[0][1], seen[1][1])

    def test_the_decoder_of_the_flow_is_bayes_rule_over_the_grey_levels(self):
        levels, s, x_s = torch.linspace(-1, 1, 5, dtype=torch.float64), 30, torch.tensor([[0.13, -0.7]])
        signal, noise = self.SCHEDULE.signal(s), self.SCHEDULE.noise(s)
        density = (-((x_s[0, :, None].double() - signal * levels) ** 2) / (2 * noise**2)).exp()
        log_p = (density / density.sum(1, keepdim=True)).log()
        for i in range(5):
            for j in range(5):
                x0 = torch.stack([levels[i], levels[j]])[None].float()
                found = likelihood.log_decoder(self.SCHEDULE, x0, x_s, 5, s).item()
                assert found == pytest.approx((log_p[0, i] + log_p[1, j]).item(), abs=1e-5)

    def test_the_bits_by_the_flow_are_a_bound_close_to_what_equally_likely_levels_cost(self):
        """Four grey levels, each as likely as the others: two bits a pixel, and not less."""
        schedule = NoiseSchedule.linear()
        levels = torch.linspace(-1, 1, 4, dtype=torch.float64)[:, None]
        x0 = levels.repeat(100, 1).float()
        bits = likelihood.flow_bits(Oracle(Points(levels), schedule), x0, 4, 5.0, torch.Generator().manual_seed(0))
        assert bits.mean().item() == pytest.approx(2, abs=0.01 + 4 * bits.std().item() / math.sqrt(len(x0)))
