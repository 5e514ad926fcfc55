"""The two real photographs inside scikit-learn: something with colour and detail to add noise to."""

from functools import cache

import numpy as np
import torch

from course_lib.data.dataset import Dataset, Split

AUTHORS = {"china": "danielbuechele", "flower": "vultilion"}


@cache
def photos() -> Dataset:
    """x0: (2, 3, 427, 640): `china`, then `flower`. Nothing trains on two images, so none are held out.

    Raises ModuleNotFoundError, with the command that helps, where scikit-learn or Pillow is missing.
    """
    try:
        from sklearn.datasets import load_sample_image

        pixels = np.stack([load_sample_image(f"{name}.jpg") for name in AUTHORS])
    except ImportError as missing:
        raise ModuleNotFoundError("the photos need two packages: `pip install scikit-learn pillow`") from missing

    x0 = torch.from_numpy(pixels).float().permute(0, 3, 1, 2) / 127.5 - 1
    label = torch.arange(len(AUTHORS))
    return Dataset(
        name="photos",
        train=Split(x0, label),
        held_out=Split(x0[:0], label[:0]),
        classes=tuple(AUTHORS),
        source="Photos: "
        + ", ".join(f"{name} by {author}" for name, author in AUTHORS.items())
        + " (flickr, CC BY 2.0), from scikit-learn",
        levels=256,
    )
