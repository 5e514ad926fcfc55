"""1,797 real handwritten digits of 8 x 8 pixels, which come inside scikit-learn and need no download."""

from functools import cache

import numpy as np
import torch

from course_lib.data.dataset import Dataset, Split

HELD_OUT = 500
GREY_LEVELS = 17


@cache
def digits() -> Dataset:
    """x0: (n, 1, 8, 8), with 17 grey levels 0 … 16 mapped to -1 … 1; 1,297 to train on, 500 held out by a fixed seed.

    Raises ModuleNotFoundError, with the command that helps, where scikit-learn is missing.
    """
    try:
        from sklearn.datasets import load_digits
    except ModuleNotFoundError as missing:
        raise ModuleNotFoundError("the digits come inside scikit-learn: `pip install scikit-learn`") from missing

    grey, label = load_digits(return_X_y=True)
    x0 = torch.from_numpy(grey).float().reshape(-1, 1, 8, 8) / 8 - 1
    label = torch.from_numpy(label).long()
    # RandomState's stream is frozen for ever, so the split is the same on every machine and in every version.
    order = torch.from_numpy(np.random.RandomState(0).permutation(len(x0)))
    held_out, train = order[:HELD_OUT], order[HELD_OUT:]
    return Dataset(
        name="digits",
        train=Split(x0[train], label[train]),
        held_out=Split(x0[held_out], label[held_out]),
        classes=tuple("0123456789"),
        source="Alpaydin and Kaynak 1998, Optical Recognition of Handwritten Digits (UCI); from scikit-learn; CC BY 4.0",
        levels=GREY_LEVELS,
    )
