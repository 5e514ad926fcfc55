"""Your own captioned pictures: a folder with images and a file `captions.csv` of two columns, file and caption."""

import csv
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from course_lib import checks
from course_lib.data.dataset import Dataset, Split
from course_lib.data.sets.mnist import DataError
from course_lib.data.sets.opened import opened
from course_lib.data.vocabulary import Vocabulary, words_of

CAPTIONS = "captions.csv"
HELD_OUT = 10  # one picture of so many
FEWEST = 20


def captioned_folder(path: str | Path, size: int = 32, length: int = 12) -> Dataset:
    """x0: (n, 3, size, size), cut to a square and made small, on white. label: (n, captions, length) as word numbers.

    captions.csv has a line `file,caption`, then one for each caption; a picture may have several. A tenth of the pictures,
    chosen by a fixed seed, is held out. Raises DataError, with the line, for a file that is missing or no image, a caption
    that is empty or too long, and fewer than 20 pictures.
    """
    checks.whole("size", size, 8, 1024)
    folder = Path(path)
    captions = _captions(folder, length)
    if len(captions) < FEWEST:
        raise DataError(
            f"{folder} holds {len(captions)} captioned pictures; a model needs {FEWEST} at least, and many more to learn"
        )
    vocabulary = Vocabulary(sorted({w for own in captions.values() for text in own for w in words_of(text)}), length)
    most = max(map(len, captions.values()))
    label = torch.stack([vocabulary.encode([own[i % len(own)] for i in range(most)]) for own in captions.values()])
    x0 = torch.stack([_picture(folder / file, size) for file in captions])
    chosen = np.random.RandomState(0).permutation(len(x0))[: max(1, len(x0) // HELD_OUT)]
    held_out = torch.zeros(len(x0), dtype=torch.bool)
    held_out[torch.from_numpy(chosen)] = True
    splits = Split(x0[~held_out], label[~held_out]), Split(x0[held_out], label[held_out])
    return Dataset(str(path), *splits, (), f"your folder {folder.name}", levels=256, vocabulary=vocabulary)


def _captions(folder: Path, length: int) -> dict[str, list[str]]:
    """The captions of each file, in the order of the table."""
    table, found = folder / CAPTIONS, {}
    if not table.is_file():
        raise DataError(
            f"{folder} has no {CAPTIONS}: make one with a first line `file,caption` and a line for each caption"
        )
    try:
        with table.open(newline="", encoding="utf-8-sig") as file:
            rows = csv.DictReader(file)
            if not {"file", "caption"} <= set(rows.fieldnames or ()):
                raise DataError(
                    f"the first line of {table} must be `file,caption`; got {','.join(rows.fieldnames or ())!r}"
                )
            for row in rows:
                where = f"line {rows.line_num} of {table}"
                name, caption = (row["file"] or "").strip(), (row["caption"] or "").strip()
                if not name or not (folder / name).is_file():
                    raise DataError(f"{where} names the picture {name!r}, and there is no such file in {folder}")
                if not 1 <= len(words_of(caption)) <= length:
                    raise DataError(f"{where}: a caption must have 1 to {length} words; got {checks.shown(caption)}")
                found.setdefault(name, []).append(caption)
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{table} is no table in UTF-8: {error}") from error
    return found


def _picture(path: Path, size: int) -> Tensor:
    from PIL import Image

    try:
        return opened(path, size)
    except (OSError, ValueError, Image.DecompressionBombError) as error:
        raise DataError(f"{path} can't be read as a picture: {error}") from error
