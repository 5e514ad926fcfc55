"""The data of the course: `load(name)` gives any of it, on the scale and in the layout that all models expect."""

from pathlib import Path

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
from course_lib.data.sets.captioned import captioned_folder
from course_lib.data.sets.damaged import DAMAGES, damage, damaged
from course_lib.data.sets.digits import digits
from course_lib.data.sets.drawn import drawn_digits
from course_lib.data.sets.emoji import emoji, roles
from course_lib.data.sets.mnist import mnist
from course_lib.data.sets.photos import photos
from course_lib.data.sets.pictures import pictures
from course_lib.data.sets.shapes import attributes_of, draw_shapes, has_unseen, scenes, shapes
from course_lib.data.sets.toys import TOYS, toy, toy_dataset
from course_lib.data.vocabulary import PAD, Vocabulary

IMAGES = {
    "digits": digits, "mnist": mnist, "photos": photos, "emoji": emoji, "shapes": shapes, "scenes": scenes,
    "pictures": pictures, "roles": roles, "damaged": damaged,
}  # fmt: skip
NAMES = (*IMAGES, *TOYS)

__all__ = [
    "DAMAGES", "NAMES", "PAD", "TOYS", "Dataset", "Split", "Vocabulary", "attributes_of", "captioned_folder",
    "check_data", "check_images", "check_labels", "check_scale", "check_trainable", "contains_held_out", "damage",
    "draw_shapes", "drawn_digits", "fingerprint", "from_indices", "has_unseen", "identical", "load", "to_indices",
    "to_levels", "to_uint8", "toy",
]  # fmt: skip


def load(name: str) -> Dataset:
    """One of the course's data sets, split into what models train on and what they never see.

    name: `digits` (1,797 real handwritten digits, 8 x 8), `mnist` (70,000, 28 x 28; downloaded on first use or read
    from the folder that COURSE_DATA names), `photos` (two real photographs), `emoji` (3,900 captioned pictures, 32 x 32),
    `roles` (the same, by what they show), `damaged` (the same, each with a wet, a grey and a torn copy), `shapes` (captioned
    scenes drawn by the course), `scenes` (such scenes with their attributes as numbers), `pictures` (some of all coloured
    ones), or a 2-D toy set such as `moons`.
    It may also be the path of a folder of your own, with pictures and a table of captions (see `captioned_folder`).
    Images are float32 in [-1, 1], channels first. Raises ValueError for another name.
    """
    if isinstance(name, str) and name not in NAMES and Path(name).is_dir():
        return captioned_folder(name)
    if not isinstance(name, str) or name not in NAMES:
        names = ", ".join(NAMES)
        raise ValueError(
            f"there is no data set {checks.shown(name)}; choose one of: {names}, or name a folder of your own"
        )
    return IMAGES[name]() if name in IMAGES else toy_dataset(name)
