"""Whatever a student does to his copy, and whatever the course does to its lesson: nothing that he wrote is lost."""

import itertools
import tempfile
from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, precondition, rule
from small_lessons import code, lesson, load, markdown, save, stub

from course_lib.workbook.cells import exercises_in, read_notebook, text_of, version_of
from course_lib.workbook.folder import update

index = st.integers(0, 30)


class Histories(RuleBasedStateMachine):
    """A lesson that its authors change, a copy that a student changes, and updates between the two."""

    backups = Bundle("backups")

    def __init__(self):
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        root = Path(self.folder.name)
        self.course, self.my = root / "notebooks" / "06_lesson.ipynb", root / "my"
        self.copy = self.my / "06_lesson.ipynb"
        self.numbers = itertools.count()
        self.functions = itertools.count()
        self.broken = False
        self.open: dict | None = None

    def teardown(self):
        self.folder.cleanup()

    @initialize()
    def first_copy(self):
        start = [
            markdown("# Lesson"),
            code("import torch"),
            self._stub(1),
            markdown("Then."),
            self._stub(2),
            code("1 + 1"),
        ]
        save(lesson(*start), self.course)
        self._update()

    # what the course does

    @rule(at=index)
    def course_adds(self, at):
        self._course(lambda cells: cells.insert(at % (len(cells) + 1), markdown(f"New, {next(self.numbers)}.")))

    @rule(at=index)
    def course_rewrites(self, at):
        def change(cells):
            cell = cells[at % len(cells)]
            if not exercises_in(cell):
                cell["source"] = text_of(cell) + f" # {next(self.numbers)}"

        self._course(change)

    @rule(at=index)
    def course_removes(self, at):
        self._course(lambda cells: cells.pop(at % len(cells)) if len(cells) > 2 else None)

    @rule(at=index, to=index)
    def course_moves(self, at, to):
        self._course(lambda cells: cells.insert(to % len(cells), cells.pop(at % len(cells))))

    @rule(at=index)
    def course_adds_an_exercise(self, at):
        self._course(lambda cells: cells.insert(at % (len(cells) + 1), self._stub(0)))

    @rule(at=index)
    def course_asks_in_another_way(self, at):
        def change(cells):
            asked = [cell for cell in cells if exercises_in(cell)]
            if asked:
                cell = asked[at % len(asked)]
                cell["source"] = text_of(cell).replace("(x", f"(x{next(self.numbers)}", 1)

        self._course(change)

    # what the student does

    @rule(at=index)
    def student_solves(self, at):
        def change(cells):
            asked = [cell for cell in cells if "..." in text_of(cell) and exercises_in(cell)]
            if asked:
                cell = asked[at % len(asked)]
                cell["source"] = text_of(cell).replace("...", f"return {self._mark()}")

        self._student(change)

    @rule(at=index)
    def student_edits(self, at):
        def change(cells):
            cell = cells[at % len(cells)]
            cell["source"] = text_of(cell) + f"\n# {self._mark()}"

        self._student(change)

    @rule(at=index)
    def student_rewrites(self, at):
        self._student(lambda cells: cells[at % len(cells)].update(source=self._mark()))

    @rule(at=index, kind=st.sampled_from([code, markdown]))
    def student_adds(self, at, kind):
        new = kind(self._mark()) | {"id": self._mark()}
        self._student(lambda cells: cells.insert(at % (len(cells) + 1), new))

    @rule(at=index)
    def student_deletes(self, at):
        self._student(lambda cells: cells.pop(at % len(cells)) if len(cells) > 1 else None)

    @rule(at=index, to=index)
    def student_moves(self, at, to):
        self._student(lambda cells: cells.insert(to % len(cells), cells.pop(at % len(cells))))

    @rule(at=index)
    def student_duplicates(self, at):
        def change(cells):
            cell = cells[at % len(cells)]
            cells.insert(at % len(cells), cell | {"id": self._mark()})

        self._student(change)

    @rule(at=index)
    def student_splits(self, at):
        def change(cells):
            at_ = at % len(cells)
            lines = text_of(cells[at_]).splitlines(keepends=True)
            if len(lines) > 1:
                rest = {"cell_type": cells[at_]["cell_type"], "metadata": {}, "id": self._mark(), "source": lines[1:]}
                if rest["cell_type"] == "code":
                    rest |= {"outputs": [], "execution_count": None}
                cells[at_]["source"] = lines[:1]
                cells.insert(at_ + 1, rest)

        self._student(change)

    @rule()
    def another_editor_forgets_the_ids(self):
        self._student(lambda cells: [cell.pop("id", None) for cell in cells])

    @rule()
    def student_opens_it(self):
        if not self.broken:
            self.open = load(self.copy)

    @precondition(lambda self: self.open)
    @rule()
    def student_saves_what_was_open(self):
        """An editor that had the copy open during an update writes over it what it had."""
        self.open["cells"].append(code(self._mark()) | {"id": self._mark()})
        save(self.open, self.copy)
        self.open, self.broken = None, False

    @rule(cut=st.integers(3, 60))
    def the_file_is_cut(self, cut):
        self.copy.write_bytes(self.copy.read_bytes()[:-cut])
        self.broken = True

    @precondition(lambda self: not self.broken)
    @rule()
    def updated(self):
        before, bytes_before = load(self.copy), self.copy.read_bytes()
        backups = set(self._backups())
        lines = self._update()
        after, course = load(self.copy), load(self.course)
        for text in map(text_of, before["cells"]):
            for mark in (word for word in text.replace(")", " ").split() if word.startswith("student_")):
                assert [mark in text_of(cell) for cell in after["cells"]].count(True) >= 1, f"{mark} is lost"
        if bytes_before != self.copy.read_bytes():
            (kept,) = set(self._backups()) - backups
            assert kept.read_bytes() == bytes_before and kept.name in lines[0]
            ids = [cell["id"] for cell in after["cells"]]
            assert len(set(ids)) == len(ids)
        assert after["metadata"]["course"]["version"] == version_of(course["cells"])
        still = self.copy.read_bytes()
        assert self._update() == [] and self.copy.read_bytes() == still

    @precondition(lambda self: self.broken)
    @rule()
    def not_updated_when_broken(self):
        before = self.copy.read_bytes()
        self._course(lambda cells: cells.append(markdown(f"New, {next(self.numbers)}.")))
        assert self._update()[0].startswith("!") and self.copy.read_bytes() == before

    @precondition(lambda self: self.broken)
    @rule()
    def the_course_makes_a_new_copy(self):
        self.copy.unlink()
        self.broken = False
        self._update()

    @invariant()
    def the_copy_is_there(self):
        assert self.copy.exists() and not list(self.my.rglob("*.partial"))

    def _course(self, change):
        cells = load(self.course)["cells"]
        change(cells)
        number = 0
        for cell in cells:
            for name in exercises_in(cell):
                number += 1
                cell["source"] = text_of(cell).replace(f'check("{name}"', f'check("06.{number}"')
        save(lesson(*cells), self.course)

    def _student(self, change):
        if not self.broken:
            notebook = load(self.copy)
            if notebook["cells"]:  # both sides may have deleted all of them
                change(notebook["cells"])
                save(notebook, self.copy)

    def _stub(self, number):
        return stub(f"06.{number}", f"f{next(self.functions)}")

    def _mark(self):
        return f"student_{next(self.numbers)}_"

    def _backups(self):
        return (self.my / "backups").glob("*.ipynb")

    def _update(self):
        return update([], self.my, self.course.parent)


TestHistories = Histories.TestCase
TestHistories.settings = settings(
    max_examples=200, stateful_step_count=25, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck)
)


def test_the_copy_is_read_as_it_was_written(tmp_path):
    save(lesson(markdown("# é")), tmp_path / "a.ipynb")
    assert read_notebook(tmp_path / "a.ipynb")["cells"][0]["source"] == "# é"
