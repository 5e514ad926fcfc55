"""The student's folder: copies are made once, updated with a backup, and left alone where something is wrong."""

import json
import os
import re

import pytest
from small_lessons import code, lesson, load, markdown, save, stub, texts

from course_lib.workbook import progress, reset, update

FIRST = lesson(markdown("# Six"), stub("06.1", "noise"), markdown("The end."))


@pytest.fixture
def course(tmp_path):
    save(FIRST, tmp_path / "notebooks" / "06_lesson.ipynb")
    save(lesson(markdown("# Seven")), tmp_path / "notebooks" / "07_other.ipynb")
    return tmp_path / "notebooks"


@pytest.fixture
def my(course, tmp_path):
    update([], tmp_path / "my", course)
    return tmp_path / "my"


def solve(copy):
    notebook = load(copy)
    notebook["cells"][1]["source"] = 'def noise(x, t):\n    return "mine"\n\n\ncheck("06.1", noise)'
    save(notebook, copy)


def new_version(course):
    save(lesson(markdown("# Six, again"), stub("06.1", "noise"), markdown("The end.")), course / "06_lesson.ipynb")


def test_the_first_copies_are_the_lessons_with_their_outputs_and_without_pairing(course, my):
    assert sorted(path.name for path in my.glob("*.ipynb")) == ["06_lesson.ipynb", "07_other.ipynb"]
    copy = load(my / "06_lesson.ipynb")
    assert [cell | {"source": "".join(cell["source"])} for cell in copy["cells"]] == FIRST["cells"]
    assert "jupytext" not in copy["metadata"] and copy["metadata"]["kernelspec"] == {"name": "python3"}


def test_a_copy_whose_lesson_has_not_changed_is_not_touched(course, my):
    solve(my / "06_lesson.ipynb")
    before = (my / "06_lesson.ipynb").read_bytes()
    assert update([], my, course) == []
    assert (my / "06_lesson.ipynb").read_bytes() == before and not (my / "backups").exists()


def test_an_update_keeps_the_answer_brings_the_news_and_leaves_a_backup(course, my):
    copy = my / "06_lesson.ipynb"
    solve(copy)
    os.utime(copy, (0, 1_000_000_000))
    before = copy.read_bytes()
    new_version(course)
    said = "\n".join(update([], my, course))
    assert texts(load(copy))[0] == "# Six, again" and '"mine"' in texts(load(copy))[1]
    (backup,) = (my / "backups").iterdir()
    assert backup.read_bytes() == before and backup.name in said and "1 changed" in said
    assert backup.stat().st_mtime == 1_000_000_000, "when he wrote it"


def test_a_backup_that_is_put_back_is_updated_from_its_own_version(course, my):
    copy = my / "06_lesson.ipynb"
    solve(copy)
    new_version(course)
    update([], my, course)
    (backup,) = (my / "backups").iterdir()
    copy.write_bytes(backup.read_bytes())
    update([], my, course)
    assert texts(load(copy))[0] == "# Six, again" and '"mine"' in texts(load(copy))[1] and len(load(copy)["cells"]) == 3


def test_two_backups_of_one_second_have_two_names(course, my):
    for _ in range(3):
        reset(["06"], my, course)
    assert len(list((my / "backups").iterdir())) == 3


@pytest.mark.parametrize(
    "damage",
    [
        b"", b"{", b"[]", b'{"cells": 3}', b'{"cells": [3]}', b'{"cells": [{"cell_type": "code"}]}', b"\xff\xfe\x00",
        b'{"cells": [{"cell_type": "code", "source": [1]}]}', b'{"cells": [], "metadata": []}', b"null",
    ],
)  # fmt: skip
def test_a_copy_that_is_no_notebook_stays_as_it_is_and_a_reset_keeps_it(course, my, damage):
    copy = my / "06_lesson.ipynb"
    copy.write_bytes(damage)
    new_version(course)
    (line,) = update([], my, course)
    assert line.startswith("! ") and "06_lesson.ipynb" in line and "course reset 06" in line
    assert copy.read_bytes() == damage
    reset(["06"], my, course)
    assert texts(load(copy))[0] == "# Six, again"
    assert [path.read_bytes() for path in (my / "backups").iterdir()] == [damage]


@pytest.mark.parametrize("version", [None, 3, "../../etc", "0000"])
def test_a_copy_of_an_unknown_version_stays_as_it_is(course, my, version):
    notebook = load(my / "06_lesson.ipynb")
    notebook["metadata"]["course"] = {"version": version}
    save(notebook, my / "06_lesson.ipynb")
    before = (my / "06_lesson.ipynb").read_bytes()
    (line,) = update(["06"], my, course)
    assert "not known" in line and (my / "06_lesson.ipynb").read_bytes() == before


def test_metadata_of_another_shape_are_an_unknown_version(course, my):
    notebook = load(my / "06_lesson.ipynb")
    notebook["metadata"]["course"] = "06"
    save(notebook, my / "06_lesson.ipynb")
    assert "not known" in update(["06"], my, course)[0]


def test_a_damaged_version_is_not_merged_with(course, my):
    (path,) = (my / ".course" / "06_lesson").iterdir()
    path.write_text(path.read_text(encoding="utf-8").replace("Six", "Sex"), encoding="utf-8")
    new_version(course)
    assert "not known" in update([], my, course)[0]


def test_nothing_is_lost_where_the_disk_is_full(course, my, monkeypatch):
    copy = my / "06_lesson.ipynb"
    solve(copy)
    before = copy.read_bytes()
    new_version(course)

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    (line,) = update([], my, course)
    assert "No space left on device" in line and copy.read_bytes() == before
    assert not [path for path in my.rglob("*") if path.name.endswith(".partial")]
    monkeypatch.undo()
    update([], my, course)
    assert '"mine"' in texts(load(copy))[1]


@pytest.mark.parametrize("writes", range(4))
def test_an_update_that_a_full_disk_stopped_anywhere_can_be_made_again(course, my, monkeypatch, writes):
    copy, sync, done = my / "06_lesson.ipynb", os.fsync, []
    solve(copy)
    new_version(course)

    def full(descriptor):
        if len(done) == writes:
            raise OSError(28, "No space left on device")
        done.append(sync(descriptor))

    monkeypatch.setattr(os, "fsync", full)
    update([], my, course)
    monkeypatch.undo()
    save(lesson(markdown("# Six, once more"), stub("06.1", "noise"), markdown("The end.")), course / "06_lesson.ipynb")
    update([], my, course)
    assert texts(load(copy))[0] == "# Six, once more" and '"mine"' in texts(load(copy))[1]


@pytest.mark.skipif(os.name != "posix", reason="files have no mode here")
def test_a_copy_may_be_read_by_whom_the_student_lets_read_it(course, my):
    copy, own = my / "06_lesson.ipynb", my / "own"
    own.touch()
    assert copy.stat().st_mode == own.stat().st_mode, "as any new file"
    copy.chmod(0o604)
    new_version(course)
    update([], my, course)
    assert copy.stat().st_mode & 0o777 == 0o604


def test_an_update_of_one_lesson_leaves_the_others(course, my):
    new_version(course)
    save(lesson(markdown("# Seven, again")), course / "07_other.ipynb")
    update(["07"], my, course)
    assert (
        texts(load(my / "07_other.ipynb")) == ["# Seven, again"] and texts(load(my / "06_lesson.ipynb"))[0] == "# Six"
    )


@pytest.mark.parametrize("name", ["08", "", "6", "../06"])
@pytest.mark.parametrize("command", [update, reset])
def test_an_unknown_lesson_is_an_error_with_those_that_exist(course, my, command, name):
    with pytest.raises(ValueError, match="there are 06_lesson, 07_other"):
        command([name], my, course)


def test_the_courses_own_lessons_are_only_read(course, my):
    before = {path: path.read_bytes() for path in course.iterdir()}
    solve(my / "06_lesson.ipynb")
    new = code("print(1)") | {"id": "x"}
    save(load(my / "07_other.ipynb") | {"cells": [new]}, my / "07_other.ipynb")
    update([], my, course)
    reset(["06"], my, course)
    assert {path: path.read_bytes() for path in course.iterdir()} == before


def test_every_lesson_of_the_course_can_be_copied_and_its_links_lead_to_other_copies(tmp_path):
    update([], tmp_path)
    copies = {path.name for path in tmp_path.glob("*.ipynb")}
    for path in tmp_path.glob("*.ipynb"):
        prose = "\n".join(
            t for t, c in zip(texts(load(path)), load(path)["cells"], strict=True) if c["cell_type"] == "markdown"
        )
        links = re.findall(r"\]\(([^)#]+)[^)]*\)", prose)
        assert not [link for link in links if not link.startswith("https://") and link not in copies]


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: text.replace('"outputs": []', '"outputs": 5', 1),
        lambda text: text.replace('"outputs": []', '"outputs": null', 1),
        lambda text: text.replace('"outputs": []', '"outputs": [{"output_type": "stream", "text": [5]}]', 1),
        lambda text: re.sub(r'"id": "[^"]*"', '"id": [1]', text, count=1),
        lambda text: "[" * 100_000,
    ],
    ids=["outputs 5", "outputs null", "an output of numbers", "an id that is a list", "too deep"],
)
def test_a_copy_with_damaged_cells_is_left_as_it_is_and_said_to_be_damaged(course, my, damage):
    copy = my / "06_lesson.ipynb"
    text = json.dumps(load(copy))
    copy.write_text(damage(text))
    assert copy.read_text() != text
    new_version(course)
    (line,) = [line for line in update(["06"], my, course) if line.startswith("!")]
    assert "was left as it is: it is no notebook (" in line and copy.read_text() == damage(text)
    with pytest.raises(ValueError, match=r"06_lesson.ipynb can't be read: it is no notebook \("):
        progress(["06"], my, course)
