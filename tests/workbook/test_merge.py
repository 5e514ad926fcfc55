"""An update of a lesson: the course's changes come into a student's copy, and everything of his stays."""

import pytest
from small_lessons import code, lesson, markdown, stub

from course_lib.workbook.cells import version_of
from course_lib.workbook.merge import EARLIER, merge

OPENING, IMPORTS = markdown("# A lesson"), code("import torch")
FIRST, SECOND = stub("06.1", "noise"), stub("06.2", "signal")
END = markdown("## The end")
BASE = lesson(OPENING, IMPORTS, FIRST, markdown("More."), SECOND, END)["cells"]
ANSWER = 'def noise(x, t):\n    return 3 * x\n\n\ncheck("06.1", noise)'


def edited(cells, i, text):
    return [cell | {"source": text} if k == i else cell for k, cell in enumerate(cells)]


def texts(cells):
    return ["".join(cell["source"]) for cell in cells]


def test_without_edits_the_copy_becomes_the_new_lesson():
    now = lesson(OPENING, code("import torch, math"), FIRST, SECOND, markdown("Something new."), END)["cells"]
    assert merge(BASE, now, BASE).cells == now


def test_without_news_the_copy_stays_as_it_is():
    mine = edited(BASE, 2, ANSWER)
    assert merge(BASE, BASE, mine).cells == mine and not merge(BASE, BASE, mine).news


def test_an_answer_stays_where_the_sentences_around_it_change():
    now = lesson(markdown("# Another title"), IMPORTS, FIRST, markdown("More of it."), SECOND, END)["cells"]
    assert texts(merge(BASE, now, edited(BASE, 2, ANSWER)).cells) == texts(edited(now, 2, ANSWER))


def test_a_new_cell_comes_behind_what_he_added_to_the_one_before():
    now = lesson(OPENING, IMPORTS, code("import math"), FIRST, markdown("More."), SECOND, END)["cells"]
    mine = [*BASE[:2], code("torch.arange(3)") | {"id": "a1"}, *BASE[2:]]
    assert texts(merge(BASE, now, mine).cells)[1:5] == [
        "import torch",
        "torch.arange(3)",
        "import math",
        texts([FIRST])[0],
    ]


def test_an_answer_moves_to_its_exercises_new_number():
    now = lesson(
        OPENING, IMPORTS, stub("06.1", "mean"), stub("06.2", "noise"), markdown("More."), stub("06.3", "signal"), END
    )
    merged = merge(BASE, now["cells"], edited(BASE, 2, ANSWER))
    assert texts(merged.cells)[3] == ANSWER.replace("06.1", "06.2")
    assert "exercise 06.1 is 06.2 now" in merged.news and len(merged.cells) == 7


def test_an_answer_to_an_exercise_that_is_gone_stands_at_the_end():
    now = lesson(OPENING, IMPORTS, markdown("More."), SECOND, END)["cells"]
    merged = merge(BASE, now, edited(BASE, 2, ANSWER))
    assert texts(merged.cells) == [*texts(now), EARLIER, ANSWER]
    assert any("06.1 is not in the lesson any more" in line for line in merged.news)
    again = merge(now, BASE, merged.cells)  # and the exercise comes back
    assert texts(again.cells).count(ANSWER) == 1 and EARLIER not in texts(again.cells)


def test_a_stub_with_other_arguments_stands_above_the_answer():
    now = edited(BASE, 2, texts([stub("06.1", "noise", "x, t, beta")])[0])
    merged = merge(BASE, now, edited(BASE, 2, ANSWER))
    assert texts(merged.cells)[2:4] == [texts(now)[2], ANSWER]
    assert any("06.1 is asked in another way" in line for line in merged.news)


def test_an_answer_is_known_by_its_exercise_where_an_editor_gave_its_cell_another_id():
    now = edited(BASE, 2, texts([stub("06.1", "noise", "x, t, beta")])[0])
    mine = edited(BASE, 2, ANSWER)
    mine[2] = mine[2] | {"id": "another"}
    assert texts(merge(BASE, now, mine).cells)[2:4] == [texts(now)[2], ANSWER]


def test_his_sentences_keep_their_numbers():
    now = lesson(OPENING, IMPORTS, stub("06.1", "mean"), stub("06.2", "noise"), stub("06.3", "signal"), END)["cells"]
    note = markdown('In check("06.1", noise) I forgot a root.') | {"id": "mine"}
    assert note["source"] in texts(merge(BASE, now, [*BASE[:3], note, *BASE[3:]]).cells)


def test_where_both_changed_a_cell_the_courses_stands_above_his():
    merged = merge(BASE, edited(BASE, 1, "import torch, math"), edited(BASE, 1, "import torch as T"))
    assert texts(merged.cells)[1:3] == ["import torch, math", "import torch as T"]


def test_a_changed_cell_is_the_one_that_is_most_like_it():
    old, less, more = "a b c d e f g h", "a b c d e f x y", "a b c d e f g y"
    before, now = (lesson(OPENING, *map(markdown, cells))["cells"] for cells in ([old], [less, more]))
    merged = merge(before, now, edited(before, 1, old + " mine"))
    assert texts(merged.cells)[1:] == [less, more, old + " mine"]


def test_a_stub_that_only_gets_a_helper_asks_the_same():
    now = edited(BASE, 2, texts([FIRST])[0] + "\n\ndef helper(x):\n    return x")
    assert texts(merge(BASE, now, edited(BASE, 2, ANSWER)).cells) == texts(edited(now, 2, ANSWER))


def test_where_both_changed_a_cell_alike_it_stands_once():
    now = edited(BASE, 1, "import math")
    assert texts(merge(BASE, now, now).cells) == texts(now)


def test_a_cell_that_he_deleted_does_not_come_back():
    assert texts(merge(BASE, edited(BASE, 3, "More of it."), [*BASE[:3], *BASE[4:]]).cells) == texts(
        [*BASE[:3], *BASE[4:]]
    )


def test_a_cell_that_he_moved_stays_where_he_put_it_and_is_brought_up_to_date():
    mine = [BASE[0], *BASE[2:], BASE[1]]
    now = edited(BASE, 1, "import torch, math")
    assert texts(merge(BASE, now, mine).cells) == [*texts([BASE[0], *BASE[2:]]), "import torch, math"]


def test_cells_that_the_course_moves_move_in_the_copy_too():
    now = lesson(OPENING, markdown("More."), SECOND, IMPORTS, FIRST, END)["cells"]
    mine = edited(BASE, 2, ANSWER)
    assert texts(merge(BASE, now, mine).cells) == texts(edited(now, 4, ANSWER))


def test_an_editor_that_gives_cells_other_ids_changes_nothing():
    now = edited(BASE, 3, "More of it.")
    mine = [{name: value for name, value in cell.items() if name != "id"} for cell in edited(BASE, 2, ANSWER)]
    assert texts(merge(BASE, now, mine).cells) == texts(edited(now, 2, ANSWER))


def test_every_cell_of_a_merged_copy_has_an_id_of_its_own():
    mine = [*BASE, code("a") | {"id": "cell-006"}, code("b") | {"id": "cell-006"}, code("c") | {"id": ""}]
    now = [*BASE, markdown("new") | {"id": "cell-006"}]
    ids = [cell["id"] for cell in merge(BASE, now, mine).cells]
    assert len(set(ids)) == len(ids) == 10 and all(ids)
    twice = [*BASE, code("a"), code("a")]
    assert len({cell["id"] for cell in merge(BASE, BASE, twice).cells}) == 8


def test_outputs_stay_with_cells_that_stay_and_come_with_cells_that_are_new():
    ran = BASE[1] | {"outputs": [{"output_type": "stream", "name": "stdout", "text": "mine"}]}
    new = code("import math", "theirs")
    merged = merge(BASE, lesson(OPENING, IMPORTS, new, *BASE[2:])["cells"], [BASE[0], ran, *BASE[2:]])
    assert [cell["outputs"][0]["text"] for cell in merged.cells[1:3]] == ["mine", "theirs"]


@pytest.mark.parametrize("empty", [[], [OPENING]])
def test_lessons_without_cells_are_no_problem(empty):
    assert merge(empty, empty, empty).cells == empty or empty
    assert merge(BASE, [], edited(BASE, 2, ANSWER)).cells[-1]["source"] == ANSWER


def test_the_version_of_a_lesson_is_that_of_its_sources_alone():
    cells = lesson(OPENING, code("1 + 1", "2"))["cells"]
    assert version_of(cells) == version_of([OPENING, code("1 + 1") | {"source": ["1 ", "+ 1"]}])
    assert version_of(cells) != version_of([OPENING, code("1 + 2")])
    assert version_of([code("a")]) != version_of([markdown("a")])
