"""Four IDX files, read from a folder or downloaded: whatever is missing, truncated or altered is said, never used.

A set of nine tiny images and a server on 127.0.0.1 stand in for MNIST and its mirrors.
"""

import gzip
import hashlib
import os
import socket
import struct
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pooch
import pytest
import torch

from course_lib.data import load
from course_lib.data.sets.mnist import DataError, IdxFile, IdxSource, load_idx

PARTS = {
    "train_x0": ("tiny-train-images", (6, 5, 4)),
    "train_label": ("tiny-train-labels", (6,)),
    "held_out_x0": ("tiny-test-images", (3, 5, 4)),
    "held_out_label": ("tiny-test-labels", (3,)),
}
ONE = "tiny-test-images"  # the file that is missing or damaged


def as_idx(values):
    return b"\0\0\x08" + bytes([values.ndim]) + struct.pack(f">{values.ndim}i", *values.shape) + values.tobytes()


def some_arrays():
    random = np.random.RandomState(0)
    return {
        part: random.randint(0, 256 if len(shape) > 1 else 10, shape, np.uint8) for part, (_, shape) in PARTS.items()
    }


ARRAYS = some_arrays()
CONTENTS = {PARTS[part][0]: as_idx(values) for part, values in ARRAYS.items()}
GZIPPED = {f"{name}.gz": gzip.compress(content, mtime=0) for name, content in CONTENTS.items()}
WHOLE = GZIPPED[f"{ONE}.gz"]
FILES = {
    part: IdxFile(name, shape[0], hashlib.sha256(CONTENTS[name]).hexdigest()) for part, (name, shape) in PARTS.items()
}


def source(*mirrors):
    return IdxSource("tiny", mirrors, FILES)


def flipped(content, position, bit=0):
    return content[:position] + bytes([content[position] ^ 1 << bit]) + content[position + 1 :]


def assert_is_the_set(data):
    for split, part in ((data.train, "train"), (data.held_out, "held_out")):
        pixels, label = ARRAYS[f"{part}_x0"], ARRAYS[f"{part}_label"]
        assert split.x0.dtype == torch.float32 and split.x0.shape == (len(pixels), 1, 5, 4)
        assert np.allclose(split.x0[:, 0], pixels / 127.5 - 1, rtol=0, atol=1e-6)
        assert split.label.dtype == torch.int64 and split.label.tolist() == label.tolist()


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder that COURSE_DATA names."""
    folder = tmp_path / "given"
    folder.mkdir()
    monkeypatch.setenv("COURSE_DATA", str(folder))
    return folder


class Server:
    """Serves `files`, counts what was asked for. A value is the body, a status, or (announced length, body)."""

    def __init__(self):
        self.files, self.asked = {}, []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                outer.asked.append(self.path)
                answer = outer.files.get(self.path, 404)
                if isinstance(answer, int):
                    return self.send_error(answer)
                length, body = answer if isinstance(answer, tuple) else (len(answer), answer)
                self.send_response(200)
                self.send_header("Content-Length", str(length))
                self.end_headers()
                return self.wfile.write(body)

            def log_message(self, *_):
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(target=self.http.serve_forever, kwargs={"poll_interval": 0.01})
        self.thread.start()

    def mirror(self, name, **instead):
        """The address of a mirror that serves the whole set, but for what is given instead."""
        for file, content in (GZIPPED | {f"{key}.gz": value for key, value in instead.items()}).items():
            self.files[f"/{name}/{file}"] = content
        return f"http://127.0.0.1:{self.http.server_port}/{name}/"

    def stop(self):
        self.http.shutdown()
        self.http.server_close()
        self.thread.join()


@pytest.fixture
def server(monkeypatch):
    monkeypatch.delenv("COURSE_DATA", raising=False)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    server = Server()
    yield server
    server.stop()


def files_in(folder):
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


# A folder that the reader has


@pytest.mark.parametrize("inside", ["", "tiny"])
@pytest.mark.parametrize("files", [CONTENTS, GZIPPED], ids=["raw", "gz"])
def test_a_folder_is_read_packed_or_not_itself_or_by_the_name_of_the_set(folder, tmp_path, inside, files):
    (folder / inside).mkdir(exist_ok=True)
    for name, content in files.items():
        (folder / inside / name).write_bytes(content)
    data = load_idx(source("http://127.0.0.1:9/"), tmp_path / "downloads")
    assert_is_the_set(data)
    assert data.name == "tiny" and data.levels == 256
    assert not (tmp_path / "downloads").exists()


def test_a_tilde_in_course_data_is_the_home_folder(folder, monkeypatch):
    for name, content in GZIPPED.items():
        (folder / name).write_bytes(content)
    monkeypatch.setenv("HOME", str(folder.parent))
    monkeypatch.setenv("USERPROFILE", str(folder.parent))
    monkeypatch.setenv("COURSE_DATA", f"~/{folder.name}")
    assert_is_the_set(load_idx(source()))


def write_set(folder, **instead):
    for name, content in (GZIPPED | {f"{key}.gz": value for key, value in instead.items()}).items():
        if content is not None:
            (folder / name).write_bytes(content)


def test_a_missing_file_is_named_with_where_to_put_it(folder):
    write_set(folder, **{ONE: None})
    with pytest.raises(DataError) as refused:
        load_idx(source())
    for said in (str(folder), "'tiny'", f"{ONE} or {ONE}.gz", "put the file there", "unset COURSE_DATA"):
        assert said in str(refused.value)


def test_a_folder_that_is_not_there_is_named(monkeypatch, tmp_path):
    monkeypatch.setenv("COURSE_DATA", str(tmp_path / "nowhere"))
    with pytest.raises(DataError, match="nowhere.*put the file there"):
        load_idx(source())


def test_a_file_truncated_anywhere_is_named_with_what_to_do(folder):
    write_set(folder)
    for length in range(len(WHOLE)):
        (folder / f"{ONE}.gz").write_bytes(WHOLE[:length])
        with pytest.raises(DataError) as refused:
            load_idx(source())
        assert f"{ONE}.gz" in str(refused.value) and "get the file again" in str(refused.value), length


def test_one_altered_bit_anywhere_is_refused_or_changed_nothing(folder):
    """A flip in gzip's header (its time, its system) leaves the images as they are; every other one is found."""
    write_set(folder)
    refused = 0
    for position in range(len(WHOLE)):
        for bit in range(8):
            (folder / f"{ONE}.gz").write_bytes(flipped(WHOLE, position, bit))
            try:
                data = load_idx(source())
            except DataError as error:
                refused += f"{ONE}.gz" in str(error) and "get the file again" in str(error)
            else:
                assert_is_the_set(data)
    assert refused >= 8 * (len(WHOLE) - 10)  # all but the header's ten bytes


def test_an_altered_file_is_told_by_its_hash_and_the_one_expected(folder):
    altered = flipped(CONTENTS[ONE], 20)
    write_set(folder, **{ONE: gzip.compress(altered)})
    with pytest.raises(DataError) as refused:
        load_idx(source())
    found, expected = hashlib.sha256(altered).hexdigest(), FILES["held_out_x0"].sha256
    for said in (f"{ONE}.gz", "not the file that was expected", found[:12], expected[:12], "76", "get the file again"):
        assert said in str(refused.value)


@pytest.mark.parametrize(
    "damage",
    [lambda c: c[:-1], lambda c: c + b"\0", lambda c: flipped(c, 20), lambda _: b""],
    ids=["truncated", "too long", "altered", "empty"],
)
def test_a_damaged_file_that_is_not_packed_is_found_too(folder, damage):
    write_set(folder, **{ONE: None})
    (folder / ONE).write_bytes(damage(CONTENTS[ONE]))
    with pytest.raises(DataError, match=f"{ONE} is not the file that was expected.*get the file again"):
        load_idx(source())


@pytest.mark.parametrize(
    "content",
    [
        as_idx(ARRAYS["held_out_x0"][:2]),
        CONTENTS[ONE] + b"\0",
        b"\0\0\x0d" + CONTENTS[ONE][3:],
    ],
    ids=["two records of three", "a pixel too many", "floats"],
)
def test_a_header_that_does_not_fit_is_no_idx_file(folder, content):
    write_set(folder, **{ONE: gzip.compress(content)})
    files = FILES | {"held_out_x0": IdxFile(ONE, 3, hashlib.sha256(content).hexdigest())}
    with pytest.raises(DataError, match=f"{ONE} is no IDX file of 3 records"):
        load_idx(IdxSource("tiny", (), files))


# A download


def test_a_set_is_downloaded_once_and_kept(server, tmp_path):
    here = source(server.mirror("a"))
    assert_is_the_set(load_idx(here, tmp_path))
    assert sorted(server.asked) == sorted(f"/a/{name}" for name in GZIPPED)
    assert files_in(tmp_path) == sorted(GZIPPED) and files_in(tmp_path / "tiny") == sorted(GZIPPED)

    assert_is_the_set(load_idx(here, tmp_path))
    assert len(server.asked) == 4


def test_only_the_file_that_is_missing_is_downloaded(server, tmp_path):
    here = source(server.mirror("a"))
    load_idx(here, tmp_path)
    (tmp_path / "tiny" / f"{ONE}.gz").unlink()
    server.asked.clear()
    assert_is_the_set(load_idx(here, tmp_path))
    assert server.asked == [f"/a/{ONE}.gz"]


def test_a_mirror_may_pack_the_same_images_in_another_way(server, tmp_path):
    stored = {f"{name}": gzip.compress(content, compresslevel=0) for name, content in CONTENTS.items()}
    assert stored[ONE] != GZIPPED[f"{ONE}.gz"]
    assert_is_the_set(load_idx(source(server.mirror("a", **stored)), tmp_path))


def test_nothing_is_downloaded_where_course_data_is_set(server, folder, tmp_path):
    write_set(folder)
    load_idx(source(server.mirror("a")), tmp_path / "downloads")
    assert not server.asked


BAD_ANSWERS = {
    "missing": (404, "404"),
    "out of order": (500, "500"),
    "a truncated file": (WHOLE[:-9], "truncated or damaged"),
    "an altered file": (gzip.compress(flipped(CONTENTS[ONE], 20)), FILES["held_out_x0"].sha256[:12]),
    "a transfer cut short": ((len(WHOLE), WHOLE[:-9]), ""),
    "a transfer of nothing": ((len(WHOLE), b""), ""),
    "a page to log in": (b"<html>Please accept our terms</html>", "truncated or damaged"),
    "an empty file": (b"", FILES["held_out_x0"].sha256[:12]),
}


@pytest.mark.parametrize(("answer", "reason"), BAD_ANSWERS.values(), ids=BAD_ANSWERS)
def test_a_failed_download_says_what_to_do_and_leaves_nothing_that_could_be_taken_for_a_file(
    server, tmp_path, answer, reason
):
    mirror = server.mirror("a", **{ONE: answer})
    with pytest.raises(DataError) as refused:
        load_idx(source(mirror), tmp_path)
    for said in (f"could not download {ONE}.gz", "COURSE_DATA", "tiny", mirror, reason):
        assert said in str(refused.value)
    assert files_in(tmp_path) == sorted(name for name in GZIPPED if name.startswith("tiny-train"))

    server.mirror("a")  # mended
    assert_is_the_set(load_idx(source(mirror), tmp_path))


@pytest.mark.parametrize("answer", [answer for answer, _ in BAD_ANSWERS.values()], ids=BAD_ANSWERS)
def test_the_second_mirror_is_tried_where_the_first_fails(server, tmp_path, answer):
    data = load_idx(source(server.mirror("a", **{ONE: answer}), server.mirror("b")), tmp_path)
    assert_is_the_set(data)
    assert [path for path in server.asked if ONE in path] == [f"/a/{ONE}.gz", f"/b/{ONE}.gz"]
    assert not [path for path in server.asked if path.startswith("/b") and ONE not in path]
    assert files_in(tmp_path) == sorted(GZIPPED)


def test_a_mirror_that_nobody_answers_at_is_passed_over(server, tmp_path):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        silent = f"http://127.0.0.1:{unused.getsockname()[1]}/"
    assert_is_the_set(load_idx(source(silent, server.mirror("b")), tmp_path))
    with pytest.raises(DataError, match="could not download tiny-train-images.gz.*COURSE_DATA") as refused:
        load_idx(source(silent, silent + "again/"), tmp_path / "other")
    assert silent in str(refused.value) and silent + "again/" in str(refused.value)
    assert files_in(tmp_path / "other") == []


def test_a_download_that_is_interrupted_leaves_nothing(server, tmp_path, monkeypatch):
    def interrupted(_self, _url, output_file, _pooch):
        with open(output_file, "wb") as file:  # noqa: PTH123
            file.write(WHOLE)
        raise KeyboardInterrupt

    mirror = server.mirror("a")
    with monkeypatch.context() as patch:
        patch.setattr(pooch.HTTPDownloader, "__call__", interrupted)
        with pytest.raises(KeyboardInterrupt):
            load_idx(source(mirror), tmp_path)
    assert files_in(tmp_path) == []
    assert_is_the_set(load_idx(source(mirror), tmp_path))


@pytest.mark.parametrize(
    "damage", [lambda c: c[:-9], lambda _: b"", lambda c: flipped(c, 30)], ids=["truncated", "empty", "altered"]
)
def test_a_kept_file_that_is_damaged_is_named_and_deleting_it_helps(server, tmp_path, damage):
    here = source(server.mirror("a"))
    load_idx(here, tmp_path)
    kept = tmp_path / "tiny" / f"{ONE}.gz"
    kept.write_bytes(damage(WHOLE))
    server.asked.clear()
    with pytest.raises(DataError) as refused:
        load_idx(here, tmp_path)
    assert str(kept) in str(refused.value) and "delete it and run again" in str(refused.value)
    assert not server.asked

    kept.unlink()
    assert_is_the_set(load_idx(here, tmp_path))
    assert server.asked == [f"/a/{ONE}.gz"]


# The real set


@pytest.mark.skipif(not os.environ.get("COURSE_DATA"), reason="COURSE_DATA names no folder with MNIST")
def test_the_real_mnist_is_whole():
    mnist = load("mnist")
    assert mnist.shape == (1, 28, 28) and len(mnist.train) == 60_000 and len(mnist.held_out) == 10_000
    for split in (mnist.train, mnist.held_out):
        assert split.x0.dtype == torch.float32 and split.x0.shape[1:] == (1, 28, 28)
        assert split.x0.min() == -1 and split.x0.max() == 1
    counts = [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
    assert mnist.train.label.bincount().tolist() == counts
    assert mnist.held_out.label.bincount().sum() == 10_000 and len(mnist.held_out.label.unique()) == 10
    assert abs(float((mnist.train.x0.mean() + 1) / 2) - 0.1307) < 1e-4  # the mean grey that the field quotes
