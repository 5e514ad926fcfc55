"""Recorded results: what is written, what is said when something is missing, and the small things the figures rest on."""

import json

import pytest
import torch
from torch.distributions import Normal, kl_divergence

import course_lib
from course_lib.data import load
from course_lib.diffusion import NoiseSchedule, Oracle
from course_lib.exact import GaussianMixture
from course_lib.experiments import (
    EXPERIMENTS,
    ablations_digits,
    bound_digits,
    collapse_digits,
    likelihood_mnist,
    rate_distortion_digits,
    recording,
    samplers_digits,
)
from course_lib.experiments.common import rounded
from course_lib.experiments.recording import measurement, record, results
from course_lib.models import VAE
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


class TestWhatIsMeasuredOfVAEs:
    @pytest.fixture(name="vae")
    def _vae(self):
        torch.manual_seed(0)
        return VAE((1, 8, 8), 17, k=3, width=8)

    def test_the_rate_is_pytorchs_kl_and_the_distortion_what_the_decoder_pays_on_average(self, vae):
        found, x0 = rate_distortion_digits.point(vae), load("digits").held_out.x0
        with torch.no_grad():
            mu, logvar = vae.encode(x0)
            q = Normal(mu, (0.5 * logvar).exp())
            paid = torch.stack([-vae.log_likelihood(x0, q.sample()).mean() for _ in range(16)])
        assert found["rate"] == pytest.approx(kl_divergence(q, Normal(0.0, 1.0)).sum(1).mean().item(), rel=1e-4)
        assert abs(found["distortion"] - paid.mean()) < 6 * paid.std() / 4 + 1e-3
        assert found["active"] == int((mu.var(0) > 0.01).sum())

    def test_a_decoder_that_looks_back_sees_only_the_pixels_before(self):
        model = collapse_digits.LookingBack()
        x0, z = load("digits").train.x0[:1], torch.zeros(1, 8)
        with torch.no_grad():
            model.before.fill_(0.1)
            changed = x0.clone()
            changed[0, 0, 7, 7] = -x0[0, 0, 7, 7] + 0.125
            means = [model.decoder(z) + x.flatten(1) @ model.before.tril(-1).T for x in (x0, changed)]
        assert torch.equal(*means), "no pixel comes after the last one"
        expected = [model.pixel.log_prob(mean, x.flatten(1)) for mean, x in zip(means, (x0, changed), strict=True)]
        for x, log_p in zip((x0, changed), expected, strict=True):
            torch.testing.assert_close(model.log_likelihood(x, z), log_p)

    @pytest.mark.parametrize("way", collapse_digits.WAYS)
    def test_a_short_training_lowers_the_loss_in_each_way(self, way):
        model = collapse_digits.train(way, seed=0, steps=60)
        fresh = collapse_digits.train(way, seed=0, steps=1)
        found, first = (rate_distortion_digits.point(one) for one in (model, fresh))
        assert found["distortion"] < first["distortion"] - 20
        assert collapse_digits.each_kl(model).diff().max() <= 0, "the largest first"

    def test_the_bounds_of_a_few_images_are_those_of_importance_weights(self, monkeypatch):
        monkeypatch.setattr(likelihood_mnist, "DRAWS", (1, 5, 50, 100))
        torch.manual_seed(1)
        vae = VAE((1, 2, 2), 2, k=1, width=8, decoder="bernoulli")
        x0 = torch.tensor([[1.0, -1.0, 1.0, 1.0], [-1.0, -1.0, 1.0, -1.0]]).view(2, 1, 2, 2).repeat(100, 1, 1, 1)
        with torch.no_grad():
            mu, logvar = vae.encode(x0)
            bounds, elbo = likelihood_mnist._bounds(vae, x0, mu, logvar, torch.Generator().manual_seed(0))
            many = vae.log_prob(x0[:2], torch.Generator().manual_seed(1), 5000)
        assert bounds.shape == (200, 4) and elbo.shape == (200,)
        means = bounds.view(100, 2, 4).mean(0)
        assert (means.diff(dim=1) > -5e-3).all()
        torch.testing.assert_close(means[:, -1], many.double(), atol=0.02, rtol=0)
        assert (elbo.view(100, 2).mean(0) - means[:, 0]).abs().max() < 0.1
