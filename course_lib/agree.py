"""Checks that a lesson makes in the open: two numbers that come from different places, and whether they agree.

Each prints one line and raises AssertionError where it does not hold, and ValueError for what can't be compared at all.
"""

import math

import torch
from torch import Tensor

from course_lib import checks

FALSE_ALARM = 1e-4  # the chance that agree_mean raises although the means are equal


def agree(what: str, left: Tensor | float, right: Tensor | float, atol: float) -> None:
    """left and right differ nowhere by more than atol; arrays are compared entry by entry."""
    checks.number("atol", atol, low=0)
    left, right = _number("left", left), _number("right", right)
    if left.shape != right.shape and 1 not in (left.numel(), right.numel()):
        raise AssertionError(f"✗ {what}: shapes {tuple(left.shape)} and {tuple(right.shape)} can't be compared")
    gap = (left - right).abs().max().item()
    if left.numel() == right.numel() == 1:
        shown = f"{left.item():.6g} = {right.item():.6g}"
    else:
        shown = f"{max(left.numel(), right.numel()):,} values"
    _say(what, shown + f"   (within {atol:.0e})", gap <= atol, f"largest difference {gap:.3g}")


def agree_mean(what: str, samples: Tensor, expected: Tensor | float) -> None:
    """The mean of samples (n, …) is `expected`, up to its own standard error: a Monte Carlo check.

    Each entry may be off by as many standard errors as chance exceeds in one run of 10,000, all entries counted.
    """
    samples, expected = _number("samples", samples), _number("expected", expected)
    if samples.is_complex() or expected.is_complex():
        raise ValueError(f"{what}: a mean is compared of real numbers; give the real and the imaginary part one by one")
    if samples.ndim == 0 or len(samples) < 2:
        raise ValueError(f"{what}: a mean with its error needs two samples or more, (n, …); got {tuple(samples.shape)}")
    if expected.numel() != 1 and expected.shape != samples.shape[1:]:
        shapes = f"{tuple(samples.shape[1:])}; got {tuple(expected.shape)}"
        raise ValueError(f"{what}: expected must be one number, or of a sample's shape {shapes}")
    n, entries = len(samples), samples[0].numel()
    mean, error = samples.mean(0), samples.std(0) / math.sqrt(n)
    limit = -torch.special.ndtri(torch.tensor(FALSE_ALARM / 2 / entries, dtype=torch.float64)).item()
    gap = (mean - expected).abs()
    off = torch.where(gap == 0, 0.0, gap / error).max().item()
    if mean.numel() == 1:
        shown = f"{mean.item():.4f} ≈ {expected.item():.4f} ± {error.item():.4f}"
    else:
        shown = f"{entries:,} means, the worst off by {off:.1f} standard errors"
    _say(what, shown, off <= limit, f"{off:.1f} standard errors apart, at most {limit:.1f} by chance")


def _say(what: str, shown: str, holds: bool, why: str) -> None:
    if not holds:
        raise AssertionError(f"✗ {what}   {shown}: {why}")
    print(f"✓ {what}   {shown}")


def _number(name: str, value: Tensor | float) -> Tensor:
    """As float64, or complex128."""
    try:
        kind = torch.as_tensor(value).dtype
    except (TypeError, ValueError, RuntimeError):
        raise ValueError(f"{name} must be a number or a tensor; got {checks.shown(value)}") from None
    exact = torch.as_tensor(value, dtype=torch.complex128 if kind.is_complex else torch.float64).detach().cpu()
    if exact.numel() == 0:
        raise ValueError(f"{name} is empty, shape {tuple(exact.shape)}: there is nothing to compare")
    return exact
