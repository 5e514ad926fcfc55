"""The data of the course: `load(name)` gives any of it, on the scale and in the layout that all models expect."""

from course_lib import checks
from course_lib.data.dataset import (
    Dataset,
    Split,
    check_data,
    check_images,
    check_labels,
    check_scale,
    check_trainable,
    contains_held_out,
    fingerprint,
    from_indices,
    identical,
    to_indices,
    to_levels,
    to_uint8,
)
from course_lib.data.sets.digits import digits
from course_lib.data.sets.drawn import drawn_digits
from course_lib.data.sets.mnist import mnist
from course_lib.data.sets.photos import photos
from course_lib.data.sets.toys import TOYS, toy, toy_dataset

IMAGES = {"digits": digits, "mnist": mnist, "photos": photos}
NAMES = (*IMAGES, *TOYS)

__all__ = [
    "NAMES", "TOYS", "Dataset", "Split", "check_data", "check_images", "check_labels", "check_scale",
    "check_trainable", "contains_held_out", "drawn_digits", "fingerprint", "from_indices", "identical", "load",
    "to_indices", "to_levels", "to_uint8", "toy",
]  # fmt: skip


def load(name: str) -> Dataset:
    """One of the course's data sets, split into what models train on and what they never see.

    name: `digits` (1,797 real handwritten digits, 8 x 8), `mnist` (70,000, 28 x 28; downloaded on first use or read
    from the folder that COURSE_DATA names), `photos` (two real photographs), or a 2-D toy set such as `moons`.
    Images are float32 in [-1, 1], channels first. Raises ValueError for another name.
    """
    if not isinstance(name, str) or name not in NAMES:
        raise ValueError(f"there is no data set {checks.shown(name)}; choose one of: {', '.join(NAMES)}")
    return IMAGES[name]() if name in IMAGES else toy_dataset(name)
