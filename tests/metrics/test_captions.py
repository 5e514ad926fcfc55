"""Whether pictures show what they should: the reader's verdict, and the nearest of all known pictures."""

import math

import pytest
import torch
from torch import nn

from course_lib.data import DAMAGES, draw_shapes, load
from course_lib.metrics import conditions, fd_ratio, naming, psnr, rank_of_right, reading, seen
from course_lib.metrics.coloured import halves
from course_lib.training import load_trained


class Oracle(nn.Module):
    """A reader that says what it is told to, whatever it sees."""

    def __init__(self, says):
        super().__init__()
        self.says = says

    def read(self, x0):
        return self.says[: len(x0)]


WANTED = torch.tensor(
    [[0, 1, 0, 2, 3, 1, 5], [1, 1, 1, -1, -1, -1, 0], [2, 0, 0, 2, 0, 0, 6], [4, 5, 1, -1, -1, -1, 3]]
)
X = torch.zeros(4, 3, 32, 32)


def test_a_caption_is_right_where_every_attribute_is_that_is_there():
    says = WANTED.clone()
    says[1, 3:6] = torch.tensor([4, 4, 1])  # of an object that is not there nothing is asked
    says[2, 1] = 3
    found = reading(Oracle(says), X, WANTED)
    assert found.whole == 0.75 and found.n == 4
    assert found.standard_error == pytest.approx(math.sqrt(0.75 * 0.25 / 4))
    assert found.by_attribute["colour"] == 0.75 and found.by_attribute["second shape"] == 1.0


def test_exchanged_objects_and_exchanged_colours_are_told_apart_and_from_other_errors():
    wanted = torch.tensor([[0, 1, 0, 2, 3, 1, 5]] * 4 + [[1, 1, 1, 1, 1, 1, 6], [1, 1, 1, -1, -1, -1, 0]])
    says = wanted.clone()
    says[0] = torch.tensor([2, 3, 1, 0, 1, 0, 5])
    says[1] = torch.tensor([0, 3, 0, 2, 1, 1, 5])
    says[2] = torch.tensor([0, 3, 0, 2, 1, 0, 5])  # the second size is wrong, too
    found = reading(Oracle(says), torch.zeros(6, 3, 32, 32), wanted)
    assert found.exchanged == {"objects": 1 / 5, "colours": 1 / 5}
    assert found.whole == 3 / 6
    assert reading(Oracle(says[5:]), X[:1], wanted[5:]).exchanged == {}


def test_an_attribute_that_no_picture_has_is_not_listed():
    rows = WANTED[[1, 3]]
    assert set(reading(Oracle(rows), X[:2], rows).by_attribute) == {"shape", "colour", "size", "layout"}


def test_the_shipped_reader_reads_clean_scenes_that_it_never_saw():
    scenes = draw_shapes(500_000, 1000)
    found = reading(load_trained("reader-shapes").model, scenes.x0, scenes.attributes)
    assert found.whole >= 0.995 and all(share > 0.995 for share in found.by_attribute.values())


def test_the_reader_is_not_fooled_by_the_attributes_of_other_scenes():
    scenes = draw_shapes(500_000, 400)
    found = reading(load_trained("reader-shapes").model, scenes.x0, scenes.attributes.roll(1, 0))
    assert found.whole < 0.02


@pytest.mark.parametrize("attributes", [WANTED[:3], WANTED[:, :6], [1, 2]])
def test_attributes_of_another_shape_are_refused(attributes):
    with pytest.raises(ValueError, match=r"attributes must be whole numbers in -1 … 6, \(4, 7\)"):
        reading(Oracle(WANTED), X, attributes)


# The nearest of all


KNOWN = torch.tensor([[0.0, 0.0], [1.0, 0.0], [5.0, 5.0], [1.0, 0.0]])


def test_the_rank_counts_what_is_nearer_than_the_right_one():
    x = torch.tensor([[0.1, 0.0], [0.1, 0.0], [0.1, 0.0]])
    assert rank_of_right(x, [0, 1, 2], KNOWN).tolist() == [0, 1, 3]


def test_a_picture_that_equals_the_right_one_does_not_come_before_it():
    assert rank_of_right(KNOWN[[1]], [3], KNOWN).tolist() == [0]


def test_the_shares_are_those_of_ranks_below_one_and_five():
    generator = torch.Generator().manual_seed(0)
    known, right = torch.randn(50, 6, generator=generator), torch.arange(50)
    x = known + 0.9 * torch.randn(50, 6, generator=generator)
    found = naming(x, right, known)
    distance = (x[:, None] - known[None]).norm(dim=2)
    order = distance.argsort(1)
    assert found.nearest == (order[:, 0] == right).double().mean() and 0.2 < found.nearest < 0.9
    assert found.among_five == (order[:, :5] == right[:, None]).any(1).double().mean()
    assert (found.n, found.known) == (50, 50)


def test_coded_emoji_are_nearest_to_themselves():
    """The ceiling of what diffusion of these codes can reach."""
    emoji, autoencoder = load("emoji"), load_trained("autoencoder-pictures").model
    with torch.no_grad():
        made = autoencoder.decode(autoencoder.encode(emoji.held_out.x0)).clamp(-1, 1)
    known = torch.cat([emoji.train.x0, emoji.held_out.x0])
    right = torch.arange(100) + len(emoji.train)
    assert naming(made, right, known).nearest >= 0.97 and naming(seen(made), right, seen(known)).nearest >= 0.9


@pytest.mark.parametrize("right", [[0, 1], [0, 1, 4], [0, 1, -1]])
def test_rows_that_do_not_exist_are_refused(right):
    with pytest.raises(ValueError, match=r"right must be whole numbers in 0 … 3, \(3,\)"):
        naming(torch.zeros(3, 2), right, KNOWN)


def test_pictures_of_another_shape_are_refused():
    with pytest.raises(ValueError, match="one shape"):
        naming(torch.zeros(3, 3), [0, 1, 2], KNOWN)


# What is asked for, and distances


def test_every_training_picture_is_asked_for_by_its_first_caption():
    emoji = load("emoji")
    cond, row = conditions(emoji, 50)
    assert torch.equal(cond, emoji.train.label[row, 0]) and len(row.unique()) == 50
    cond, row = conditions(emoji, 150, held_out=True)
    assert len(row.unique()) == 100 and torch.equal(row[:50], row[100:])


def test_the_damages_come_by_turns():
    damaged = load("damaged")
    cond, row = conditions(damaged, 9, held_out=True)
    for i in range(9):
        assert torch.equal(cond[i], damaged.held_out.label[row[i], i % len(DAMAGES)])


def test_real_emoji_have_the_distance_of_real_emoji():
    a, _ = halves("emoji")
    assert fd_ratio(a[:500], "emoji") == pytest.approx(1.0)
    assert fd_ratio(a[:500] * 0.5, "emoji") > 3


def test_too_many_pictures_for_a_half_are_refused():
    with pytest.raises(ValueError, match="2 to 1915 pictures"):
        fd_ratio(torch.zeros(1916, 3, 32, 32), "emoji")


def test_psnr_of_a_known_error():
    assert psnr(torch.zeros(2, 3, 4, 4), torch.full((2, 3, 4, 4), 0.2)) == pytest.approx(20.0, abs=1e-4)


def test_the_shipped_autoencoder_codes_unseen_scenes_at_34_decibels():
    pictures, autoencoder = load("pictures"), load_trained("autoencoder-pictures").model
    x0 = pictures.held_out.x0[pictures.held_out.label == 1]
    with torch.no_grad():
        made = autoencoder.decode(autoencoder.encode(x0)).clamp(-1, 1)
    assert psnr(made, x0) >= 34
