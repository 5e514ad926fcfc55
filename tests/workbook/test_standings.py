"""`course progress`: how each exercise stands, as its check said when it last ran."""

import pytest
from small_lessons import code, load, save, stub

from course_lib.workbook import progress, update
from course_lib.workbook.standings import state_of

ANSWER = 'def noise(x):\n    return x\n\n\ncheck("06.2", noise)'


@pytest.mark.parametrize(
    ("cell", "state"),
    [
        (stub("06.2", "noise"), "open"),
        (stub("06.2", "noise") | {"outputs": code("", "… 06.2 not attempted yet")["outputs"]}, "open"),
        (code(ANSWER), "not run"),
        (code(ANSWER, "… 06.2 not attempted yet — `hint`\n"), "not run"),
        (code(ANSWER, "✓ 06.2 right\n"), "right"),
        (code(ANSWER, "a line of his own\n✗ 06.2 the factor is 3\n"), "wrong"),
        (code(ANSWER, "✗ 06.2 no\n✓ 06.2 right\n"), "right"),
        (code(ANSWER, "✓ 06.21 right\n"), "not run"),
        (code("print(3)", "✓ 06.2 right\n"), "open"),
        (code('hint("06.2")'), "open"),
        (code(ANSWER.replace('"', "'"), "✓ 06.2 right\n"), "right"),
    ],
)
def test_a_cell_says_how_an_exercise_stands(cell, state):
    assert state_of("06.2", [cell]) == state


def test_the_best_of_several_answers_counts():
    wrong, right = code(ANSWER, "✗ 06.2 no\n"), code(ANSWER, "✓ 06.2 right\n")
    assert state_of("06.2", [wrong, right]) == state_of("06.2", [right, wrong]) == "right"
    assert state_of("06.2", [stub("06.2", "noise"), wrong]) == "wrong"


def test_outputs_may_be_stored_in_lines_and_other_outputs_are_no_problem():
    cell = code(ANSWER) | {
        "outputs": [
            {"output_type": "display_data", "data": {}},
            {"output_type": "stream", "text": ["✓ 06.2 ", "right\n"]},
        ]
    }
    assert state_of("06.2", [cell]) == "right"


def test_all_exercises_of_the_course_are_open_in_fresh_copies_and_in_none(tmp_path):
    without = progress([], tmp_path)
    update([], tmp_path)
    fresh = progress([], tmp_path)
    assert without == fresh and {s.state for standings in fresh.values() for s in standings} == {"open"}
    assert [s.statement.name for s in fresh["00_start_here"]] == ["00.1", "00.2", "00.3", "00.4"]


def test_a_copy_that_is_no_notebook_is_said(tmp_path):
    (tmp_path / "06_forward_diffusion.ipynb").write_text("{", encoding="utf-8")
    with pytest.raises(ValueError, match=r"06_forward_diffusion\.ipynb can't be read: it is no notebook"):
        progress(["06"], tmp_path)


def test_a_right_answer_in_a_copy_counts(tmp_path):
    update(["00"], tmp_path)
    copy = tmp_path / "00_start_here.ipynb"
    notebook = load(copy)
    cell = next(c for c in notebook["cells"] if 'check("00.1"' in "".join(c["source"]))
    cell["source"] = "".join(cell["source"]).replace("...", "return levels / 8 - 1")
    cell["outputs"] = code("", "✓ 00.1 right\n")["outputs"]
    save(notebook, copy)
    assert [s.state for s in progress(["00"], tmp_path)["00_start_here"]] == ["right", "open", "open", "open"]
