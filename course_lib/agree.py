"""Checks that a lesson makes in the open: two numbers that come from different places, and whether they agree.

Each prints one line and raises AssertionError where it does not hold.
"""

import math

import torch
from torch import Tensor

FALSE_ALARM = 1e-4  # the chance that agree_mean raises although the means are equal


def agree(what: str, left: Tensor | float, right: Tensor | float, atol: float) -> None:
    """left and right differ nowhere by more than atol; arrays are compared entry by entry."""
    left, right = _number(left), _number(right)
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
    samples, expected = _number(samples), _number(expected)
    n, entries = len(samples), max(1, samples[0].numel())
    mean, error = samples.mean(0), samples.std(0) / math.sqrt(n)
    limit = -torch.special.ndtri(torch.tensor(FALSE_ALARM / 2 / entries, dtype=torch.float64)).item()
    off = ((mean - expected).abs() / error.clamp(min=1e-300)).max().item()
    if mean.numel() == 1:
        shown = f"{mean.item():.4f} ≈ {expected.mean().item():.4f} ± {error.item():.4f}"
    else:
        shown = f"{entries:,} means, the worst off by {off:.1f} standard errors"
    _say(what, shown, off <= limit, f"{off:.1f} standard errors apart, at most {limit:.1f} by chance")


def _say(what: str, shown: str, holds: bool, why: str) -> None:
    if not holds:
        raise AssertionError(f"✗ {what}   {shown}: {why}")
    print(f"✓ {what}   {shown}")


def _number(value: Tensor | float) -> Tensor:
    value = torch.as_tensor(value).detach().cpu()
    return value.double() if value.dtype != torch.complex128 else value
