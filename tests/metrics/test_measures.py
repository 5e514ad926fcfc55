"""Copies, coverage and the two-sample test, against definitions, closed forms and cases whose answer is known."""

import pytest
import torch

from course_lib.metrics import nearest_distance, nearness, precision_recall, two_sample_accuracy
from course_lib.metrics.memorizing import beta_binomial_tail

G = torch.Generator().manual_seed


def normal(n, d=2, seed=0):
    return torch.randn(n, d, generator=G(seed))


class TestCopies:
    @pytest.mark.parametrize(("k", "n", "a", "b"), [(0, 5, 1, 1), (3, 10, 2, 7), (60, 2000, 5, 496), (10, 10, 13, 2)])
    def test_the_tail_is_that_of_the_beta_binomial(self, k, n, a, b):
        from scipy.stats import betabinom

        assert beta_binomial_tail(k, n, a, b) == pytest.approx(betabinom.sf(k - 1, n, a, b), rel=1e-8)

    def test_real_images_are_called_copies_as_rarely_as_p_says(self):
        """Both sides from one distribution, and a quantile of 200 only: p < 0.05 comes in 5 % of cases at most."""
        generator = torch.Generator().manual_seed(0)
        p = [nearness(*torch.rand(2, 200, generator=generator)).p for _ in range(2000)]
        share = (torch.tensor(p) < 0.05).double().mean().item()
        assert 0.01 < share < 0.05 + 4 * (0.05 * 0.95 / 2000) ** 0.5

    def test_a_few_per_cent_of_copies_are_found_that_no_mean_shows(self):
        distances, unseen = 0.2 + 0.1 * torch.rand(2, 500, generator=G(0))
        distances[:25] = 0
        found = nearness(distances, unseen)
        assert found.share >= 0.05 and found.p < 1e-3 and abs(found.median - found.median_expected) < 0.01

    def test_only_the_order_of_the_distances_matters(self):
        distances, unseen = torch.rand(2, 300, generator=G(1))
        plain, cubed = nearness(distances, unseen), nearness(distances**3, unseen**3)
        assert (plain.share, plain.p) == (cubed.share, cubed.p)

    def test_the_expected_share_is_about_one_per_cent(self):
        for n in (100, 500, 2000):
            assert nearness(torch.rand(7), torch.rand(n)).expected == pytest.approx(0.01, rel=0.02)

    def test_for_one_image_the_chance_to_be_near_is_the_expected_share(self):
        unseen = torch.arange(1.0, 501)
        one = nearness(torch.zeros(1), unseen)
        assert one.p == pytest.approx(one.expected) and one.expected == 5 / 501

    def test_each_side_has_its_own_median(self):
        found = nearness(torch.tensor([3.0, 1.0, 2.0]), torch.tensor([30.0, 20.0, 10.0]))
        assert (found.median, found.median_expected) == (2, 20)

    def test_the_nearest_distance_in_small_parts_is_that_of_all_pairs(self, monkeypatch):
        x0, training = normal(60, 3), normal(50, 3, 1)
        whole = (x0[:, None] - training).square().mean(2).sqrt().amin(1)
        cdist, sizes = torch.cdist, []
        monkeypatch.setattr("course_lib.metrics.memorizing.ENTRIES", 350)
        monkeypatch.setattr(torch, "cdist", lambda a, b: sizes.append(len(a) * len(b)) or cdist(a, b))
        torch.testing.assert_close(nearest_distance(x0, training), whole)
        assert max(sizes) <= 350


class TestPrecisionAndRecall:
    def test_they_are_what_the_definition_says_point_by_point(self):
        a, b, k = normal(30), normal(40, seed=1) + 0.7, 3

        def covered(points, by):
            radius = [sorted((q - p).norm().item() for q in by)[k] for p in by]
            inside = [any((x - p).norm() <= r for p, r in zip(by, radius, strict=True)) for x in points]
            return sum(inside) / len(inside)

        assert precision_recall(a, b, k) == pytest.approx((covered(a, b), covered(b, a)))

    def test_exchanging_the_sides_exchanges_the_two(self):
        a, b = normal(50), 2 * normal(60, seed=1)
        assert precision_recall(a, b) == precision_recall(b, a)[::-1]

    def test_a_set_covers_itself_and_not_one_far_away(self):
        a = normal(50)
        assert precision_recall(a, a) == (1, 1)
        assert precision_recall(a, a + 100) == (0, 0)

    def test_images_of_one_class_in_two_are_plausible_and_cover_half(self):
        one, other = normal(200), normal(200, seed=1) + 100
        precision, recall = precision_recall(normal(200, seed=2), torch.cat([one, other]))
        assert precision > 0.9 and 0.45 < recall <= 0.5

    def test_images_with_pixels_are_compared_in_their_pixels(self):
        a, b = normal(20, 16), normal(20, 16, 1)
        assert precision_recall(a.reshape(-1, 1, 4, 4), b.reshape(-1, 1, 4, 4)) == precision_recall(a, b)

    def test_fewer_points_than_neighbours_are_an_error(self):
        with pytest.raises(ValueError, match="more than k = 3 points; got 3 and 9"):
            precision_recall(normal(3), normal(9))


class TestTwoSamples:
    def test_two_sets_of_one_distribution_leave_it_guessing(self):
        """Six pairs of 200: the cross-validated accuracy of each has a standard deviation of 0.05 at most."""
        found = torch.tensor([two_sample_accuracy(normal(200, 5, s), normal(200, 5, s + 99)) for s in range(6)])
        assert abs(found.mean() - 0.5) < 4 * 0.05 / 6**0.5

    def test_it_knows_sets_that_lie_apart_and_sets_that_differ_in_their_correlations_alone(self):
        a, b = normal(300, 2), normal(300, 2, 1)
        assert two_sample_accuracy(a, b + 20) == 1
        turned = torch.stack([b[:, 0], 0.95 * b[:, 0] + 0.31 * b[:, 1]], 1)
        assert two_sample_accuracy(a, turned) > 0.7

    def test_it_is_no_better_than_the_best_classifier_can_be(self):
        """N(0, 1) and N(2, 1) can be told apart in 84 % of cases, the normal distribution's value at 1."""
        found = two_sample_accuracy(normal(1000, 1), normal(1000, 1, 1) + 2)
        assert found == pytest.approx(0.8413, abs=4 * (0.84 * 0.16 / 2000) ** 0.5)

    def test_twins_make_it_worse_than_a_coin(self):
        a = normal(300, 10)
        assert two_sample_accuracy(a, a) < 0.4

    def test_the_scale_of_the_images_does_not_matter(self):
        a, b = torch.randn(2, 200, 2, generator=G(4))
        b[:, 0] += 1
        assert two_sample_accuracy(a, b) == two_sample_accuracy(8 * a, 8 * b) > 0.6

    def test_the_seed_decides_the_parts(self):
        a, b = normal(100, 3), normal(100, 3, 1) + 0.5
        assert two_sample_accuracy(a, b, seed=3) == two_sample_accuracy(a, b, seed=3)
        assert len({two_sample_accuracy(a, b, seed=s) for s in range(4)}) > 1

    def test_sides_of_different_size_are_an_error(self):
        with pytest.raises(ValueError, match="the same number of images; got 20 and 30"):
            two_sample_accuracy(normal(20), normal(30))


POINTS = torch.randn(9, 2, generator=G(0))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: precision_recall(POINTS, POINTS[:, :1]), r"points of one shape; got \(2,\) and \(1,\)"),
        (lambda: precision_recall(POINTS / 0, POINTS), "generated holds NaN"),
        (lambda: precision_recall(POINTS, POINTS, k=0), "k must be a whole number of at least 1"),
        (lambda: two_sample_accuracy(torch.ones(9, 2), torch.ones(9, 2)), "are all the same"),
        (lambda: two_sample_accuracy(POINTS[:4], POINTS[:4]), "5 images or more"),
        (lambda: nearest_distance(POINTS, POINTS[:, :1]), r"images of one shape; got \(2,\) and \(1,\)"),
        (lambda: nearest_distance(POINTS, POINTS[:0]), "training is empty"),
        (lambda: nearness(torch.zeros(0), POINTS[:, 0].abs()), "distances is empty"),
        (lambda: nearness(POINTS[:, 0], POINTS[:, 0].abs()), "distances must be at least 0"),
        (lambda: nearness(POINTS[:, 0].abs(), POINTS[:, 0].abs(), exact=10), "exact must lie in 0 … 9; got 10"),
    ],
)
def test_what_can_not_be_measured_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
