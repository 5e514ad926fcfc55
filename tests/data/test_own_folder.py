"""A folder of one's own captioned pictures: the same interface, and errors that say which line."""

import numpy as np
import pytest
import torch
from PIL import Image

from course_lib.data import captioned_folder, load
from course_lib.data.sets.mnist import DataError
from course_lib.training import Run, recipe_named


@pytest.fixture
def folder(tmp_path):
    """Thirty pictures of one colour, of several shapes and kinds, with two captions of the first."""
    lines = ["file,caption"]
    for i in range(30):
        name = f"picture {i}.{'png' if i % 2 else 'jpg'}"
        pixels = np.full((40 + i, 64, 3), 8 * i, dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / name)
        lines.append(f'{name},"a grey picture, number {i}"')
    lines.append("picture 0.jpg,it is black")
    (tmp_path / "captions.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return tmp_path


def spoilt(folder, old, new):
    table = folder / "captions.csv"
    table.write_text(table.read_text(encoding="utf-8").replace(old, new), encoding="utf-8")
    return folder


def test_a_folder_is_a_data_set_like_the_others(folder):
    data = load(str(folder))
    assert (len(data.train), len(data.held_out)) == (27, 3) and data.shape == (3, 32, 32)
    assert data.train.x0.min() >= -1 and data.train.x0.max() <= 1 and data.held_out.held_out
    assert data.vocabulary.decode(data.train.label[1])[0].startswith("a grey picture number")
    both = {text for row in (data.train, data.held_out) for each in row.label for text in data.vocabulary.decode(each)}
    assert "it is black" in both


def test_pictures_keep_their_colours_and_the_clear_becomes_white(folder):
    Image.new("RGBA", (50, 50), (0, 0, 0, 0)).save(folder / "picture 3.png")
    data = captioned_folder(folder, size=16)
    every = torch.cat([data.train.x0, data.held_out.x0])
    texts = [data.vocabulary.decode(row)[0] for row in torch.cat([data.train.label, data.held_out.label])]
    for i in (1, 5, 29):
        torch.testing.assert_close(
            every[texts.index(f"a grey picture number {i}")].mean(), torch.tensor(8 * i / 127.5 - 1), atol=0.02, rtol=0
        )
    assert (every[texts.index("a grey picture number 3")] == 1).all()


def test_the_split_is_the_same_each_time(folder):
    assert torch.equal(captioned_folder(folder).held_out.x0, captioned_folder(folder).held_out.x0)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("picture 7.png", "picture 77.png", r"line 9 .*names the picture 'picture 77.png'.*no such file"),
        ("file,caption", "image,text", r"first line .* must be `file,caption`; got 'image,text'"),
        ('"a grey picture, number 4"', '" ,"', r"line 6 .*1 to 12 words"),
        ('"a grey picture, number 4"', "word " * 13, r"line 6 .*1 to 12 words"),
    ],
)
def test_a_bad_line_is_named(folder, old, new, message):
    with pytest.raises(DataError, match=message):
        load(str(spoilt(folder, old, new)))


def test_a_file_that_is_no_picture_is_named(folder):
    (folder / "picture 5.png").write_bytes(b"no picture at all")
    with pytest.raises(DataError, match=r"picture 5\.png can't be read as a picture"):
        load(str(folder))


def test_a_folder_without_a_table_says_how_to_make_one(tmp_path):
    with pytest.raises(DataError, match=r"has no captions\.csv: make one with a first line `file,caption`"):
        load(str(tmp_path))


def test_a_table_in_another_encoding_is_refused(folder):
    (folder / "captions.csv").write_bytes("file,caption\npicture 1.png,größer\n".encode("utf-16"))
    with pytest.raises(DataError, match=r"captions\.csv"):
        load(str(folder))


def test_too_few_pictures_are_refused(folder):
    table = folder / "captions.csv"
    table.write_text("\n".join(table.read_text(encoding="utf-8").splitlines()[:10]), encoding="utf-8")
    with pytest.raises(DataError, match="9 captioned pictures"):
        load(str(folder))


def test_a_model_trains_on_a_folder(folder):
    from dataclasses import replace

    words = len(load(str(folder)).vocabulary)
    shipped = recipe_named("text-shapes")
    options = shipped.options | {"words": words, "width": 16, "text": 16}
    run = Run(replace(shipped, name="mine", data=str(folder), options=options, steps=2, batch=4), device="cpu", every=1)
    assert [progress.step for progress in run] == [1, 2]
