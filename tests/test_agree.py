"""The checks that the lessons make must fail when they should."""

import pytest
import torch
from scipy.stats import norm

from course_lib.agree import agree, agree_mean


def test_numbers_that_agree_are_printed(capsys):
    agree("one = one", 1.0, torch.tensor(1.0 + 1e-9), atol=1e-6)
    agree("rows", torch.zeros(3, 4), torch.zeros(3, 4), atol=0)
    printed = capsys.readouterr().out.splitlines()
    assert printed[0].startswith("✓ one = one   1 = 1") and "12 values" in printed[1]


@pytest.mark.parametrize("right", [1.1, float("nan"), torch.tensor([1.0, 1.1])])
def test_numbers_that_differ_or_are_none_raise(right):
    with pytest.raises(AssertionError, match="✗ claim"):
        agree("claim", 1.0, right, atol=0.05)


def test_shapes_that_can_not_be_compared_raise():
    with pytest.raises(AssertionError, match="can't be compared"):
        agree("claim", torch.zeros(3), torch.zeros(4), atol=1)


def test_a_mean_is_held_against_its_own_standard_error(capsys):
    x = torch.randn(10_000, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    agree_mean("mean", x, 0.0)
    assert "± 0.0101" in capsys.readouterr().out
    with pytest.raises(AssertionError, match="standard errors apart"):
        agree_mean("mean", x, 0.06)


def test_many_entries_are_allowed_what_chance_allows_and_no_more():
    x = torch.randn(2_000, 500, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    agree_mean("500 means", x, 0.0)
    x[:, 7] += 0.2
    with pytest.raises(AssertionError):
        agree_mean("500 means", x, 0.0)


def test_false_alarms_are_as_rare_as_promised():
    x = torch.randn(2_000, 400, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    alarms = 0
    for column in x.unbind(1):
        try:
            agree_mean("mean", column, 0.0)
        except AssertionError:
            alarms += 1
    assert alarms <= 1


@pytest.mark.parametrize("entries", [1, 500])
def test_a_mean_may_be_off_by_what_chance_exceeds_once_in_10_000_runs_of_all_entries(entries):
    x = torch.ones(1_000, entries, dtype=torch.float64)
    x[::2] = -1
    limit = norm.isf(1e-4 / 2 / entries)
    error = x[:, 0].std() / 1_000**0.5
    agree_mean("just within", x + (limit - 0.01) * error, 0.0)
    x[:, -1] += (limit + 0.01) * error
    with pytest.raises(AssertionError, match="standard errors apart"):
        agree_mean("just beyond", x, 0.0)


def test_samples_without_any_spread_must_be_exact():
    agree_mean("constant", torch.ones(10), 1.0)
    with pytest.raises(AssertionError):
        agree_mean("constant", torch.ones(10), 1.0 + 1e-6)
    with pytest.raises(AssertionError):
        agree_mean("broken", torch.full((10,), float("nan")), 1.0)


def test_complex_numbers_are_compared_whole():
    for kind in (torch.complex64, torch.complex128):
        agree("equal", torch.tensor(1j, dtype=kind), 1j, atol=1e-6)
        with pytest.raises(AssertionError, match="largest difference 4"):
            agree("i and 5i", torch.tensor(1j, dtype=kind), torch.tensor(5j, dtype=kind), atol=1e-6)
    with pytest.raises(AssertionError):
        agree("i and 5i", 1j, 5j, atol=1e-6)


def test_python_s_numbers_keep_all_their_digits():
    with pytest.raises(AssertionError):
        agree("1e-9 apart", 1.0, 1.0 + 1e-9, atol=1e-12)
    agree("a tensor and a number", torch.tensor(0.1, dtype=torch.float64), 0.1, atol=0)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("one", 1.0, 0.1), "left must be a number"),
        ((1.0, None, 0.1), "right must be a number"),
        ((1.0, 1.0, -0.1), "atol must be a finite number of at least 0; got -0.1"),
        ((1.0, 1.0, float("nan")), "atol"),
        ((torch.zeros(0), torch.zeros(0), 0.1), "nothing to compare"),
    ],
)
def test_what_can_not_be_compared_is_an_error_of_its_own(arguments, message):
    with pytest.raises(ValueError, match=message):
        agree("claim", *arguments)


@pytest.mark.parametrize(
    ("samples", "expected", "message"),
    [
        (torch.ones(1), 1.0, "two samples or more"),
        (torch.tensor(1.0), 1.0, "two samples or more"),
        (torch.ones(5, 2), torch.ones(3), r"of a sample's shape \(2,\); got \(3,\)"),
        (torch.ones(5, dtype=torch.complex64), 1.0, "real numbers"),
    ],
)
def test_a_mean_needs_samples_and_something_to_compare_it_with(samples, expected, message):
    with pytest.raises(ValueError, match=message):
        agree_mean("claim", samples, expected)


def test_a_constant_that_is_off_is_told_in_one_line():
    with pytest.raises(AssertionError, match=r"inf standard errors apart") as wrong:
        agree_mean("claim", torch.ones(5), 1.5)
    assert len(str(wrong.value)) < 120
