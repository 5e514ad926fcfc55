"""MNIST (LeCun, Cortes and Burges 1998): fetched on first use, checked, kept; or read from a folder that you have.

What is checked is the decompressed bytes: mirrors compress the same images in different ways.
"""

import gzip
import hashlib
import tempfile
import zlib
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import torch

from course_lib.data.dataset import Dataset, Split
from course_lib.paths import DOWNLOADS, data_folder, shorten


@dataclass(frozen=True)
class IdxFile:
    """name: without .gz. n, sha256: the number of records and the hash of the decompressed bytes."""

    name: str
    n: int
    sha256: str


@dataclass(frozen=True)
class IdxSource:
    """Where four IDX files come from; the tests put a small one of their own in its place."""

    name: str
    mirrors: tuple[str, ...]
    files: dict[str, IdxFile]


MNIST = IdxSource(
    name="mnist",
    mirrors=("https://storage.googleapis.com/cvdf-datasets/mnist/", "https://ossci-datasets.s3.amazonaws.com/mnist/"),
    files={
        "train_x0": IdxFile(
            "train-images-idx3-ubyte", 60_000, "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db"
        ),
        "train_label": IdxFile(
            "train-labels-idx1-ubyte", 60_000, "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5"
        ),
        "held_out_x0": IdxFile(
            "t10k-images-idx3-ubyte", 10_000, "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7"
        ),
        "held_out_label": IdxFile(
            "t10k-labels-idx1-ubyte", 10_000, "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2"
        ),
    },
)


class DataError(Exception):
    """A data file is missing, truncated or altered, or could not be fetched."""


@cache
def mnist() -> Dataset:
    """x0: (60,000, 1, 28, 28) to train on, 10,000 held out (the set's own test images).

    Read from the folder that COURSE_DATA names where it is set (the folder itself, or `mnist` in it), else downloaded
    once into data/downloads. Raises DataError, saying which file, what was expected and what to do.
    """
    return load_idx(MNIST)


def load_idx(source: IdxSource, downloads: Path = DOWNLOADS) -> Dataset:
    """A data set of four IDX files, each checked by the hash of its decompressed bytes."""
    folder, cache_folder = data_folder(), downloads / source.name

    def read(part: str) -> np.ndarray:
        file = source.files[part]
        content = _read_local(folder, source.name, file) if folder else _read_cached(cache_folder, source, file)
        return parse_idx(content, file)

    return Dataset(
        name=source.name,
        train=Split(_images(read("train_x0")), torch.from_numpy(read("train_label")).long()),
        held_out=Split(_images(read("held_out_x0")), torch.from_numpy(read("held_out_label")).long()),
        classes=tuple("0123456789"),
        source="LeCun, Cortes and Burges, MNIST; CC BY-SA 3.0",
        levels=256,
    )


def parse_idx(content: bytes, file: IdxFile) -> np.ndarray:
    """The array in an IDX file: two zero bytes, the type (8 for uint8), the number of axes, their sizes, the values."""
    axes = content[3]
    shape = np.frombuffer(content, ">i4", count=axes, offset=4)
    values = np.frombuffer(content, np.uint8, offset=4 + 4 * axes)
    if content[:3] != b"\0\0\x08" or shape[0] != file.n or shape.prod() != len(values):
        raise DataError(f"{file.name} is no IDX file of {file.n} records: its header says {shape.tolist()}")
    return values.reshape(shape).copy()


def _images(pixels: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(pixels).float().unsqueeze(1) / 127.5 - 1


def _read_local(folder: Path, name: str, file: IdxFile) -> bytes:
    places = [at / f"{file.name}{end}" for at in (folder / name, folder) for end in ("", ".gz")]
    path = next((p for p in places if p.is_file()), None)
    if path is None:
        raise DataError(
            f"COURSE_DATA names {folder}, but neither it nor its folder {name!r} holds {file.name} or {file.name}.gz: "
            "put the file there, or unset COURSE_DATA to download it"
        )
    return _checked(path, file, "get the file again, or unset COURSE_DATA to download it")


def _read_cached(folder: Path, source: IdxSource, file: IdxFile) -> bytes:
    path = folder / f"{file.name}.gz"
    if not path.exists():
        _download(path, source, file)
    return _checked(path, file, "delete it and run again to download it anew")


def _download(path: Path, source: IdxSource, file: IdxFile) -> None:
    """Fetch to a temporary folder, check there, and only then rename into place."""
    import pooch

    path.parent.mkdir(parents=True, exist_ok=True)
    reasons = []
    for mirror in source.mirrors:
        with tempfile.TemporaryDirectory(dir=path.parent) as temporary:
            try:
                fetched = pooch.retrieve(
                    mirror + path.name, known_hash=None, fname=path.name, path=temporary,
                    downloader=pooch.HTTPDownloader(timeout=30, progressbar=True),
                )  # fmt: skip
                _checked(Path(fetched), file, "the mirror's copy is damaged")
                Path(fetched).replace(path)
                return
            except (DataError, OSError, ValueError) as error:
                reasons.append(f"{mirror}: {str(error).rpartition('Caused by ')[2]}")
    raise DataError(
        f"could not download {path.name}; without a network, put the four IDX files of {source.name} into a folder and "
        "name it in COURSE_DATA. Tried " + " | ".join(reasons)
    )


def _checked(path: Path, file: IdxFile, remedy: str) -> bytes:
    """The decompressed bytes of a file, if they are the right ones."""
    try:
        content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise DataError(f"{shorten(path)} is truncated or damaged ({error}): {remedy}") from error
    found = hashlib.sha256(content).hexdigest()
    if found != file.sha256:
        raise DataError(
            f"{shorten(path)} is not the file that was expected (sha256 of its {len(content):,} decompressed bytes is "
            f"{found[:12]}…, not {file.sha256[:12]}…): {remedy}"
        )
    return content
