"""Each rule of a lesson is kept at its limit and broken one beyond it."""

import pytest

from course_lib.notebooks.rules import complaints, exercise_titles, reading_minutes, stated_minutes
from course_lib.notebooks.source import read_lesson, take_apart, words

ALT = "A curve that falls from one to zero."


def broken(lesson):
    """The rules that a lesson breaks beside its minutes, which no tiny lesson states right."""
    return {c.rule: (c.count, c.worst) for c in complaints(lesson) if c.rule != "minutes"}


def prose(count):
    return (" ".join(["word"] * count),)


def code(lines):
    return "\n".join(f"x = {i}" for i in range(lines))


def head(sentence):
    return (f"# 04 · Flows\n\n**Before:** lesson 01. **Time:** {sentence}\n**Follows:** a text.",)


def test_the_median_of_the_code_cells_is_at_most_8_lines(lesson):
    assert broken(lesson(code(8), code(1), code(15))) == {}
    assert broken(lesson(code(9), code(10), code(1))) == {"median": (1, 1)}
    assert broken(lesson(code(9), code(1))) == {"median": (1, 1)}, "of two in the middle, the longer one"


def test_a_code_cell_has_at_most_15_lines_blank_ones_apart(lesson):
    assert broken(lesson(code(1), code(1), code(15).replace("\n", "\n\n"))) == {}
    assert broken(lesson(code(1), code(1), code(1), code(16), code(18))) == {"cells": (2, 3)}


def test_one_long_cell_tagged_widget_is_allowed_and_a_second_is_not(lesson):
    cells = (code(1), code(1), code(1), code(20), code(30))
    assert broken(lesson(*cells, options={3: 'tags=["widget"]'})) == {"cells": (1, 15)}
    assert broken(lesson(*cells, options={3: 'tags=["widget"]', 4: 'tags=["widget"]'})) == {"cells": (1, 15)}
    assert broken(lesson(*cells[:4], options={3: 'tags=["widget"]'})) == {}


def test_a_line_of_code_has_at_most_100_characters_long_strings_included(lesson):
    assert broken(lesson(f'x = "{"a" * 94}"')) == {}
    assert broken(lesson(f'x = "{"a" * 95}"', f'show("{"b" * 120}")')) == {"width": (2, 28)}


def test_a_complaint_names_the_line_of_the_source(source):
    path = source("x = 1", ("Some prose.",), f'y = 2\n\nz = "{"a" * 100}"')
    [complaint] = [c for c in complaints(read_lesson(path)) if c.rule == "width"]
    number = 1 + next(i for i, line in enumerate(path.read_text().splitlines()) if line.startswith("z ="))
    assert complaint.text.endswith(f"line {number} has 106")


@pytest.mark.parametrize(
    "beside",
    ["<details><summary>Answer</summary>\n\n{}\n\n</details>", "### Exercise 04.1 · Title (5 minutes)\n\n{}"],
    ids=["fold", "exercise"],
)
def test_prose_has_at_most_120_words_and_folds_and_exercises_have_their_own_120(lesson, beside):
    rules = lambda count: broken(lesson((prose(120)[0] + "\n\n" + beside.format(prose(count)[0]),))).get("prose")  # noqa: E731
    assert rules(100) is None
    assert rules(121)[0] == 1
    assert broken(lesson(prose(120))) == {}
    assert broken(lesson(prose(123), prose(121))) == {"prose": (2, 3)}


def test_tables_headings_and_references_have_no_limit(lesson):
    row = "| " + prose(100)[0] + " |"
    assert broken(lesson((f"# {prose(30)[0]}\n\n{prose(119)[0]}\n\n{row}\n{row}\n",))) == {}
    assert broken(lesson(("## References\n\n" + prose(300)[0],))) == {}


def test_words_count_an_inline_formula_once_and_a_display_not_at_all():
    assert words(r"The mean of $q(x_t \mid x_0)$ is **$\sqrt{\bar\alpha_t}\,x_0$**.") == 6
    assert words("Two words:\n$$ a + b\n= c $$\n> [a link](https://example.org/a/b) · <b>bold</b>") == 5
    assert words('<a href="x" title="two words">here</a> and [there](y "two words")') == 3


def test_a_cell_is_taken_apart_into_its_kinds_of_text():
    parts = take_apart(
        "Before.\n| a | b |\n<details>\nhidden\n</details>\n### Exercise 04.1 · T (5 minutes)\nDo it.\n## Next\nAfter."
    )
    assert (words(parts.running), words(parts.tables), len(parts.folded)) == (3, 2, 1)
    assert parts.exercises[0].endswith("Do it.\n")


def test_reading_minutes_are_the_sum_of_words_formulas_lines_and_figures(lesson):
    made = lesson(prose(220), ("$$ a = b $$ and $$ c = d $$",), code(30), figures=[{"alt": ALT}] * 2)
    assert reading_minutes(made) == pytest.approx(2 + 1 / 110 + 3.0 + 3.5 + 2.5)
    assert reading_minutes(lesson(("| " + prose(110)[0] + " |",))) == pytest.approx(1), "a table is read too"


@pytest.mark.parametrize(
    "more",
    [
        ("<details>" + "word " * 110 + "</details>",),
        ("## References\n\n" + "word " * 110,),
        ("### Exercise 04.1 · Title (5 minutes)\n\n" + "word " * 110,),
        'def stub(x):\n    ...\n\n\ncheck("04.1", stub)',
    ],
    ids=["fold", "references", "exercise", "stub"],
)
def test_folds_references_and_exercises_take_no_reading_minutes(lesson, more):
    assert reading_minutes(lesson(prose(110), more)) == pytest.approx(1)


def test_a_folded_cell_takes_no_reading_minutes_and_a_wide_line_takes_more(lesson):
    assert reading_minutes(lesson(code(6), options={0: 'tags=["hide-input"]'})) == 0
    assert reading_minutes(lesson("x = '" + "a" * 300 + "'")) == pytest.approx(4 * 7 / 60)


@pytest.mark.parametrize(
    ("sentence", "minutes"),
    [
        ("90 minutes, and 100 more for the seven exercises.", (90, 100)),
        ("120 minutes, and 105 more for\nthe seven exercises.", (120, 105)),
        ("ten minutes to read and run, twenty-five more\nwith the four exercises.", (10, 25)),
        ("Ninety minutes, and sixty more for the exercises.", (90, 60)),
        ("some minutes, and many more", None),
        ("two hours.", None),
    ],
)
def test_the_minutes_of_a_head_are_read_in_digits_and_in_words(lesson, sentence, minutes):
    assert stated_minutes(lesson(head(sentence))) == minutes


def test_stated_minutes_are_honest_within_20_percent_and_the_exercises_add_up(lesson):
    def complaint(read, exercises):
        made = lesson(
            head(f"{read} minutes, and {exercises} more for the exercise."), *[prose(110)] * 100,
            ("### Exercise 04.1 · Title (15 minutes)\n\nReturn the sum of the two given numbers.",), 'check("04.1", f)',
        )  # fmt: skip
        return [(c.count, c.worst) for c in complaints(made) if c.rule == "minutes"]

    assert complaint(100, 15) == complaint(82, 15) == complaint(119, 15) == []
    assert complaint(78, 15)[0][0] == complaint(123, 15)[0][0] == 1
    assert complaint(100, 20) == [(1, 5)]
    assert [c.rule for c in complaints(lesson(("# No head",)))] == ["minutes"]


def test_a_main_lesson_takes_at_most_125_minutes_and_one_that_deepens_it_may_take_longer(lesson):
    assert broken(lesson(*[prose(110)] * 125)) == {}
    assert broken(lesson(*[prose(110)] * 130)) == {"length": (1, 5)}
    assert broken(lesson(*[prose(110)] * 130, name="04b_energy")) == {}


STATEMENT = "### Exercise 04.1 · The sum (5 minutes)\n\nReturn the sum of the two given numbers."
STUB = 'def f(a, b):\n    ...\n\n\ncheck("04.1", f)'


@pytest.mark.parametrize(
    ("cells", "says"),
    [
        (((STATEMENT,), STUB), None),
        (((STATEMENT.replace(" (5 minutes)", ""),), STUB), "has no title"),
        (((STATEMENT.partition("\n")[0],), STUB), "no statement right above"),
        (((STATEMENT,), ("Something else.",), STUB), "no statement right above"),
        ((STUB,), "has no title"),
        (((STATEMENT,),), 'no check("04.1"'),
        (((STATEMENT.replace("04.1", "05.1"),), STUB.replace("04.1", "05.1")), "another lesson than 04"),
    ],
    ids=["whole", "no minutes", "no statement", "elsewhere", "no title", "no check", "another lesson"],
)
def test_an_exercise_has_a_title_with_minutes_a_statement_and_a_check(lesson, cells, says):
    found = [c.text for c in complaints(lesson(*cells)) if c.rule == "exercises"]
    assert len(found) == (says is not None)
    assert says is None or says in found[0]


def test_the_titles_of_exercises_give_their_minutes(lesson):
    assert exercise_titles(lesson((STATEMENT,), (STATEMENT.replace("04.1", "04.2").replace("5 m", "30 m"),))) == {
        "04.1": 5, "04.2": 30,
    }  # fmt: skip


def test_letters_are_at_least_18_points_where_the_figure_says_how_large_they_are(lesson):
    assert broken(lesson(figures=[{"alt": ALT, "letter": 18.0}, {"alt": ALT}])) == {}
    assert broken(lesson(figures=[{"alt": ALT, "letter": 14.2}, {"alt": ALT, "letter": 17.9}])) == {"letters": (2, 4)}


def test_a_figure_has_a_text_of_20_characters(lesson):
    assert broken(lesson(figures=[{"alt": "a" * 20}])) == {}
    assert broken(lesson(figures=[{"alt": "a" * 19}, {}])) == {"texts": (2, 20)}


def test_a_hidden_cell_needs_the_tag_and_a_tagged_one_needs_nothing(lesson):
    assert broken(lesson("x = 1", options={0: 'tags=["hide-input"]'})) == {}
    assert broken(lesson("x = 1", options={0: 'jupyter={"source_hidden": true}'})) == {"folds": (1, 1)}


@pytest.mark.parametrize("control", ["Dropdown", "Select", "SelectMultiple", "Combobox"])
def test_a_list_needs_a_mouse_and_is_refused(lesson, control):
    assert broken(lesson(f"w.{control}(options=[1, 2])", f"{control}()")) == {"keys": (2, 1)}


def test_buttons_and_sliders_move_by_keyboard(lesson):
    assert broken(lesson("w.ToggleButtons(options=[1, 2])", "w.SelectionSlider(options=[1, 2])", "x.Selected()")) == {}
