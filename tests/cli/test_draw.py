"""`course draw` and what is measured of models of coloured pictures, with tiny ones of each kind."""

import json

import pytest
from PIL import Image

from course_lib.data import load
from course_lib.training import RECIPES, Recipe, Run, trained

NET = {"channels": 4, "size": 8, "width": 8, "multipliers": [1], "blocks": 1, "attention": [8], "drop": 0.1}
CODES = {"autoencoder": "autoencoder-pictures"}


def recipe(name, data, labels=True, **options):
    return Recipe(name, data, "latent-denoiser", NET | options, labels=labels, needs=CODES, steps=2, batch=4, half=True)


TINY = {
    "tiny-words": recipe("tiny-words", "emoji", condition="text", words=1769, length=12, text=8, heads=2),
    "tiny-scenes": recipe("tiny-scenes", "shapes", condition="text", words=29, length=12, text=8, heads=2),
    "tiny-repair": recipe("tiny-repair", "damaged", condition="picture", picture=[3, 32, 32]),
    "tiny-plain": recipe("tiny-plain", "emoji", labels=False),
}


@pytest.fixture(autouse=True, scope="module")
def tiny(tmp_path_factory):
    runs = tmp_path_factory.mktemp("runs")
    RECIPES.update(TINY)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(trained, "RUNS", runs)
        for name, own in TINY.items():
            list(Run(own, runs / name, device="cpu", data=load(own.data).train[:40]))
        yield runs
    for name in TINY:
        del RECIPES[name]


def test_a_caption_becomes_a_grid_of_pictures(course, tmp_path):
    code, out, err = course("draw", "Woman astronaut, dark skin tone", "--model", "tiny-words", "-n", 3, "--steps", 2)
    assert code == 0, err
    assert "wrote 3 pictures of 'woman astronaut dark skin tone' to" in out
    with Image.open(tmp_path / "drawing.png") as picture:
        assert picture.format == "PNG" and picture.mode in ("RGB", "P")


def test_the_same_caption_and_seed_draw_the_same_picture_and_another_seed_another(course, tmp_path):
    for out, seed in (("a.png", 1), ("b.png", 1), ("c.png", 2)):
        assert (
            course("draw", "red heart", "--model", "tiny-words", "-n", 1, "--steps", 2, "--seed", seed, "--out", out)[0]
            == 0
        )
    a, b, c = ((tmp_path / name).read_bytes() for name in ("a.png", "b.png", "c.png"))
    assert a == b != c


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["wonan astronaut"], "the word 'wonan': did you mean 'woman'"),
        (["qqqq"], "the word 'qqqq'"),
        ([""], "1 to 12 words; got 0"),
        (["red " * 13], "1 to 12 words; got 13"),
        (["red heart", "--model", "ddpm-digits"], "ddpm-digits takes no captions; --model names one that does"),
        (["red heart", "--model", "tiny-plain"], "tiny-plain takes no captions"),
        (["red heart", "--model", "nothing"], "there is no checkpoint at 'nothing'"),
        (["red heart", "--out", "drawing.gif"], "must name a PNG file"),
        (["red heart", "--out", "no/folder/a.png"], "there is no folder"),
        (["red heart", "--steps", "0"], "--steps"),
        (["red heart", "--guidance", "strong"], "--guidance"),
        ([], "Missing argument 'CAPTION'"),
    ],
)
def test_what_cannot_be_drawn_is_said_in_one_line(course, tmp_path, arguments, message):
    model = [] if "--model" in arguments else ["--model", "tiny-words"]
    code, out, err = course("draw", *arguments, *model)
    assert code and message in err and err.count("\n") == 1 and not out
    assert not list(tmp_path.iterdir()), "nothing is left behind"


def test_sample_takes_a_caption_as_the_label(course):
    code, out, err = course("sample", "tiny-words", "-n", 2, "--steps", 2, "--label", "red heart")
    assert code == 0 and "wrote 2 images" in out, err
    code, _, err = course("sample", "tiny-repair", "-n", 2, "--steps", 2, "--label", "red heart")
    assert code == 1 and "told by pictures, not by words" in err


WORDS = {
    "tiny-words": {"held_out", "training"}, "tiny-scenes": {"one", "two", "held_out"}, "tiny-repair": {"rain", "grey", "hole"},
    "tiny-plain": set(),
}  # fmt: skip


@pytest.mark.parametrize("name", TINY)
def test_a_model_of_coloured_pictures_is_sampled_measured_and_stands_on_the_scoreboard(course, monkeypatch, tiny, name):
    from course_lib.metrics import coloured, costs

    monkeypatch.setattr(costs, "_pace", lambda *_: 0.5)  # the codes of all pictures take their time
    monkeypatch.setattr(coloured, "ASKED", 60)
    assert course("sample", name, "-n", 3, "--steps", 2)[0] == 0
    code, out, err = course("evaluate", name, "-n", 500, "--seeds", 2, "--steps", 1, "--save")
    assert code == 0 and name in out and "FD ratio" in out, err
    card = json.loads((tiny / name / "step-000002" / "recipe.json").read_text(encoding="utf-8"))["pictures"]
    assert len(card["fd_ratio"]) == 2 and card["images"] == 250 and card["options"] == {"steps": 1}
    assert set(card["as_asked"] or ()) == WORDS[name]
    code, out, _ = course("scoreboard", name)
    row = next(line for line in out.splitlines() if line.startswith(name))
    assert code == 0 and all(word in row for word in WORDS[name])


def test_what_is_measured_of_a_told_model_depends_on_what_it_was_told(tiny):
    """A model that draws noise names no picture; one that repeats what it should show names all."""
    import torch

    from course_lib.metrics import as_asked
    from course_lib.training import load_trained

    noise = as_asked(load_trained("tiny-words"), n=40, steps=1)
    assert noise["training"]["pixels"]["nearest"] < 0.2
    perfect, emoji = load_trained("tiny-words"), load("emoji")
    label = torch.cat([emoji.train.label, emoji.held_out.label])[:, 0]
    known = torch.cat([emoji.train.x0, emoji.held_out.x0])
    rows = {tuple(tokens): i for i, tokens in enumerate(label.tolist())}
    perfect.model.sample = lambda n, generator, cond=None: known[[rows[tuple(tokens)] for tokens in cond.tolist()]]
    found = as_asked(perfect, n=40)
    for kind in ("held_out", "training"):
        assert found[kind]["pixels"]["nearest"] == found[kind]["features"]["nearest"] == 1.0
        assert found[kind]["apart"] == found[kind]["right"] == 0.0
    assert found["training"]["nearest_training"] < 1e-3 < found["held_out"]["nearest_training"]
