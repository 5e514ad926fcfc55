"""Films: animated PNGs whose still image is the last frame."""

import io
import struct

import matplotlib.pyplot as plt
import numpy as np
import pytest
from PIL import Image

from course_lib import show
from course_lib.show.films import MOST_BYTES, animated_png

ALT = "A dark square moves from the left to the right."


def square(i):
    frame = np.full((40, 60, 3), 255, np.uint8)
    frame[10:20, 4 * i : 4 * i + 10] = (184, 42, 0)
    return frame


FRAMES = [square(i) for i in range(12)]


def chunks(png):
    """(kind, content) of each chunk of a PNG (PNG specification, third edition, section 5.3)."""
    found, place = [], 8
    while place < len(png):
        size, kind = struct.unpack(">I4s", png[place : place + 8])
        found.append((kind.decode(), png[place + 8 : place + 8 + size]))
        place += 12 + size
    return found


def test_a_film_has_all_its_frames_and_runs_for_ever():
    parts = chunks(animated_png(FRAMES, 3.0, 2.0))
    assert struct.unpack(">II", dict(parts)["acTL"]) == (12, 0)
    assert sum(kind == "fcTL" for kind, _ in parts) == 12


def test_what_stands_still_is_the_last_frame_and_no_part_of_the_film():
    png = animated_png(FRAMES, 3.0, 2.0)
    kinds = [kind for kind, _ in chunks(png)]
    assert kinds.index("IDAT") < kinds.index("fcTL"), "a default image without control is not animated"
    with Image.open(io.BytesIO(png)) as still:
        assert (np.asarray(still.convert("RGB")) == FRAMES[-1]).all()


def test_the_frames_come_in_order_with_their_colours():
    with Image.open(io.BytesIO(animated_png(FRAMES, 3.0, 2.0))) as film:
        for i, frame in enumerate(FRAMES, 1):
            film.seek(i)
            assert (np.asarray(film.convert("RGB")) == frame).all()


def test_the_frames_share_the_seconds_and_the_last_one_holds():
    controls = [content for kind, content in chunks(animated_png(FRAMES, 3.0, 2.0)) if kind == "fcTL"]
    delays = [a / b for a, b in (struct.unpack(">HH", content[20:24]) for content in controls)]
    assert delays == [0.25] * 11 + [2.0]


def test_the_same_frames_give_the_same_bytes():
    assert animated_png(FRAMES, 3.0, 2.0) == animated_png([frame.copy() for frame in FRAMES], 3.0, 2.0)


def noise(n, size):
    return list(np.random.default_rng(0).integers(0, 256, (n, size, size, 3), dtype=np.uint8))


def test_a_rich_film_gets_fewer_colours_until_it_fits():
    png = animated_png(noise(6, 230), 3.0, 2.0)
    with Image.open(io.BytesIO(png)) as film:
        colours = len(np.unique(np.asarray(film.convert("RGB")).reshape(-1, 3), axis=0))
    assert len(png) <= MOST_BYTES and 16 <= colours < 256


def test_white_stays_white_under_much_shading():
    frames = noise(6, 60)
    for frame in frames:
        frame[:30] = np.random.default_rng(1).choice([255, 255, 255, 250], (30, 60, 1))
    with Image.open(io.BytesIO(animated_png(frames, 3.0, 2.0))) as film:
        assert (np.asarray(film.convert("RGB"))[:30] == 255).all()


def test_a_film_that_cannot_fit_is_an_error_that_says_its_size():
    with pytest.raises(ValueError, match=r"the film has \d{3} KB even in 16 colours, and may have 250"):
        animated_png(noise(8, 300), 3.0, 2.0)


@pytest.mark.parametrize("frames", [FRAMES[:1], [FRAMES[0], FRAMES[1][:30]]])
def test_one_frame_or_frames_of_two_sizes_are_an_error(frames):
    with pytest.raises(ValueError, match="two frames or more, all of one size"):
        animated_png(frames, 3.0, 2.0)


def test_a_film_of_figures_reaches_the_page_with_its_text_and_letters(page):
    figures = []
    for i in range(3):
        fig, ax = plt.subplots(figsize=(4, 3))
        ax.plot([0, 1], [0, i])
        ax.set_xlabel("time", fontsize=6 + 3 * i)
        figures.append(fig)
    letter = round(min(show.smallest_letter(fig) for fig in figures), 1)
    show.film(figures, ALT, seconds=1)
    bundle, metadata, _ = page[0]
    assert bundle["image/png"].startswith(b"\x89PNG") and b"acTL" in bundle["image/png"] and bundle["text/plain"] == ALT
    assert metadata == {"image/png": {"alt": ALT, "letter": letter}}
    assert not any(plt.fignum_exists(fig.number) for fig in figures)


def test_a_film_needs_a_text_and_frames_of_8_bit(page):
    with pytest.raises(ValueError, match="must say what it shows"):
        show.film(FRAMES, "film")
    with pytest.raises(ValueError, match=r"8 bit; got \(40, 60, 3\) of float64"):
        show.film([frame / 255 for frame in FRAMES], ALT)
    assert page == []


def test_colours_that_come_late_are_in_the_film_too():
    frames = [np.full((40, 60, 3), 255, np.uint8) for _ in range(3)]
    frames[1][:10], frames[2][:10] = (184, 42, 0), (0, 96, 168)
    with Image.open(io.BytesIO(animated_png(frames, 3.0, 2.0))) as film:
        for i, frame in enumerate(frames, 1):
            film.seek(i)
            assert (np.asarray(film.convert("RGB")) == frame).all()


@pytest.mark.parametrize(
    ("frames", "options", "message"),
    [
        (FRAMES, {"seconds": 0}, "seconds must lie strictly between 0 and 65; got 0"),
        (FRAMES, {"seconds": -1}, "seconds"),
        (FRAMES, {"seconds": float("nan")}, "seconds must be a finite number"),
        (FRAMES, {"hold": -1}, "hold must lie in 0 … 65; got -1"),
        (iter(FRAMES), {}, "frames must be a list"),
        (["a", "b"], {}, "a frame must be a figure or an array"),
    ],
)
def test_a_film_that_can_not_run_is_refused(page, frames, options, message):
    with pytest.raises(ValueError, match=message):
        show.film(frames, ALT, **options)
    assert page == []
