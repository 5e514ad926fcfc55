"""The judge that is trained anew for each model: can a classifier tell its images from real ones? (Lesson 15)"""

import torch
from sklearn.model_selection import StratifiedKFold, cross_val_score
from sklearn.svm import SVC
from torch import Tensor

from course_lib import checks

FOLDS = 5


def two_sample_accuracy(generated: Tensor, real: Tensor, seed: int = 0) -> float:
    """The classifier two-sample test (Lopez-Paz and Oquab 2017): how often it is right about images it has not seen.

    0.5: it can only guess; 1: it knows each one. Below 0.5 by more than chance: images of the two sides are twins, of
    which it learned one with the other's label. generated, real: (n, …) each, the same number. The classifier is a
    support vector machine with the kernel exp(-|x - y|^2 / (pixels * variance)); the accuracy is cross-validated in
    five parts, drawn from the seed. Give both sides on the same grey levels, or it finds nothing but the rounding.
    Raises ValueError for unequal numbers, fewer than five, other shapes, and images that are all the same.
    """
    checks.finite("generated", generated)
    checks.finite("real", real)
    checks.whole("seed", seed, 0, 2**32 - 1)
    if len(generated) != len(real):
        raise ValueError(f"both sides need the same number of images; got {len(generated)} and {len(real)}")
    if generated.shape != real.shape or len(real) < FOLDS:
        shapes = f"{tuple(generated.shape)} and {tuple(real.shape)}"
        raise ValueError(f"both sides need {FOLDS} images or more of one shape; got {shapes}")
    x = torch.cat([generated, real]).reshape(2 * len(real), -1)
    if x.var() == 0:
        raise ValueError("the images of both sides are all the same: there is nothing to tell apart")
    kernel = (-torch.cdist(x, x).square() / (x.shape[1] * x.var())).exp().numpy()
    side = [0] * len(generated) + [1] * len(real)
    folds = StratifiedKFold(FOLDS, shuffle=True, random_state=seed)
    return float(cross_val_score(SVC(C=3, kernel="precomputed"), kernel, side, cv=folds).mean())
