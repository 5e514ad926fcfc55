"""Bring a lesson's new version into a student's copy, cell by cell: the course's changes come, the student's stay."""

import hashlib
from bisect import bisect_left
from dataclasses import dataclass, field
from difflib import SequenceMatcher

from course_lib.workbook.cells import (
    Cell,
    asks_the_same,
    exercises_in,
    function_in,
    renumbered,
    text_of,
    with_text,
)

ALIKE = 0.5  # how much of two cells must agree (difflib's ratio) to be versions of one
EARLIER = (
    "## From earlier versions of this lesson\n\n"
    "Your answers to exercises that the course does not have any more. They are kept as you wrote them."
)


@dataclass
class Merged:
    """The cells of the new copy, and what happened, a line each."""

    cells: list[Cell] = field(default_factory=list)
    news: list[str] = field(default_factory=list)


def merge(base: list[Cell], course: list[Cell], copy: list[Cell]) -> Merged:
    """The student's copy with what changed in the course since.

    base: the lesson when the copy was made. course: the lesson now. copy: the student's. What was written, changed, moved or
    deleted there stays so; where the course changed the same cell, its new version stands above the student's. An answer to
    an exercise that is gone goes to the end.
    """
    return _Merge(base, course, copy).result()


class _Merge:
    def __init__(self, base: list[Cell], course: list[Cell], copy: list[Cell]):
        self.base, self.course = base, course
        self.copy = [cell for cell in copy if text_of(cell) != EARLIER]
        self.to_base = match_copy(base, self.copy)
        self.to_course = match_versions(base, course)
        self.names = self._new_names()
        self.there = {name for cell in course for name in exercises_in(cell)}
        self.merged = Merged()
        self.counts = {"new": 0, "changed": 0, "gone": 0}

    def result(self) -> Merged:
        leading, groups, tail = self._grouped()
        known = set(self.to_course.values())  # the base had them too: one in no group was moved or deleted
        cells = list(leading)
        for at, cell in enumerate(self.course):
            if at in groups:
                cells += groups[at]
            elif at not in known:
                self.counts["new"] += 1
                cells.append(dict(cell))
        if tail:
            cells += [{"cell_type": "markdown", "metadata": {}, "source": EARLIER.splitlines(keepends=True)}, *tail]
        self.merged.cells = self._with_ids(cells)
        told = [f"{number} {what}" for what, number in self.counts.items() if number]
        if told:
            self.merged.news.insert(0, "cells: " + ", ".join(told))
        return self.merged

    def _grouped(self) -> tuple[list[Cell], dict[int, list[Cell]], list[Cell]]:
        """What stands first, the cells that go with each of the course's, and the answers to exercises that are gone."""
        leading, groups, tail = [], {}, []
        heads = _longest_increasing(sorted(self.to_base.items()))
        here = leading
        for i, cell in enumerate(self.copy):
            b = self.to_base.get(i)
            at = self.to_course.get(b)
            if at is not None and i in heads:
                here = groups[at] = self._both(cell, self.base[b], self.course[at])
            elif at is not None:  # the student moved it
                here += self._both(cell, self.base[b], self.course[at])
            elif b is not None and text_of(cell) == text_of(self.base[b]):
                self.counts["gone"] += 1
            elif self._is_of_the_past(cell):
                tail.append(_own(cell))
            else:
                here.append(_own(self._renumbered(cell)))
        return leading, groups, tail

    def _both(self, cell: Cell, old: Cell, new: Cell) -> list[Cell]:
        """A cell of the copy that the course has too."""
        if text_of(cell) == text_of(old):
            if text_of(new) == text_of(old):
                return [cell | {"id": new.get("id")}]
            self.counts["changed"] += 1
            return [dict(new)]
        cell = self._renumbered(cell)
        if asks_the_same(old, new):
            return [cell | {"id": new.get("id")}]
        self.counts["changed"] += 1
        if text_of(cell) == text_of(new):
            return [dict(new)]
        name = next(iter(exercises_in(new)), None)
        what = (
            f"exercise {name} is asked in another way"
            if name
            else "a cell that you changed has changed in the course too"
        )
        self.merged.news.append(f"{what}: the new version stands above yours")
        return [dict(new), _own(cell)]

    def _is_of_the_past(self, cell: Cell) -> bool:
        names = [self.names.get(name, name) for name in exercises_in(cell)]
        if not names or self.there.intersection(names):
            return False
        self.merged.news.append(f"exercise {names[0]} is not in the lesson any more: your answer stands at the end")
        return True

    def _new_names(self) -> dict[str, str]:
        """Old to new numbers of the exercises that have other ones now."""
        both = (
            zip(exercises_in(self.base[b]), exercises_in(self.course[c]), strict=False)
            for b, c in self.to_course.items()
        )
        return {old: new for pairs in both for old, new in pairs if old != new}

    def _renumbered(self, cell: Cell) -> Cell:
        text = renumbered(text_of(cell), self.names) if cell["cell_type"] == "code" else text_of(cell)
        if text == text_of(cell):
            return cell
        old = exercises_in(cell)
        self.merged.news += [f"exercise {name} is {self.names[name]} now" for name in old if name in self.names]
        return with_text(cell, text)

    def _with_ids(self, cells: list[Cell]) -> list[Cell]:
        """Each cell with an id of its own; the course's keep theirs, by which the next update knows them."""
        taken = {cell.get("id") for cell in self.course}
        seen: set[str] = set()
        result = []
        for cell in cells:
            own, identity = cell.get("own", False), cell.get("id")
            cell = {name: value for name, value in cell.items() if name != "own"}
            if not identity or identity in seen or (own and identity in taken):
                identity = _fresh_id(text_of(cell), taken | seen)
            seen.add(identity)
            result.append(cell | {"id": identity})
        return result


def match_copy(base: list[Cell], copy: list[Cell]) -> dict[int, int]:
    """Which cell of the base each cell of the copy is: by its id, by what it says, by the exercise that it answers."""
    pairs: dict[int, int] = {}
    ids = {cell.get("id"): b for b, cell in enumerate(base)}

    def pair(i: int, b: int | None) -> None:
        if b is not None and i not in pairs and b not in pairs.values() and _same_type(copy[i], base[b]):
            pairs[i] = b

    for i, cell in enumerate(copy):
        pair(i, ids.get(cell.get("id")))
    for same in (lambda c: [text_of(c)], exercises_in):
        for i, cell in enumerate(copy):
            if i not in pairs and (wanted := same(cell)):
                free = (b for b, old in enumerate(base) if b not in pairs.values() and _same_type(cell, old))
                pair(i, next((b for b in free if same(base[b]) == wanted), None))
    return pairs


def match_versions(base: list[Cell], course: list[Cell]) -> dict[int, int]:
    """Which cell of the course each cell of its earlier version became; ids say nothing there, since they count cells."""
    old = [(cell["cell_type"], text_of(cell)) for cell in base]
    new = [(cell["cell_type"], text_of(cell)) for cell in course]
    blocks = SequenceMatcher(None, old, new, autojunk=False).get_matching_blocks()
    pairs = {block.a + i: block.b + i for block in blocks for i in range(block.size)}

    def free() -> tuple[list[int], list[int]]:
        return [b for b in range(len(base)) if b not in pairs], [
            c for c in range(len(course)) if c not in pairs.values()
        ]

    def pair_where(same) -> None:
        for b in free()[0]:
            found = next((c for c in free()[1] if same(b, c)), None)
            if found is not None:
                pairs[b] = found

    def asks(b: int, c: int) -> bool:
        return bool(exercises_in(base[b]) and exercises_in(course[c]))

    pair_where(lambda b, c: old[b] == new[c])
    pair_where(lambda b, c: asks(b, c) and function_in(base[b]) == function_in(course[c]))
    pair_where(lambda b, c: asks(b, c) and exercises_in(base[b]) == exercises_in(course[c]))
    left_b, left_c = free()
    alike = [
        (ratio, b, c)
        for b in left_b
        for c in left_c
        if old[b][0] == new[c][0] and not exercises_in(base[b]) and not exercises_in(course[c])
        and (ratio := _likeness(old[b][1], new[c][1])) >= ALIKE
    ]  # fmt: skip
    for _, b, c in sorted(alike, key=lambda found: (-found[0], found[1], found[2])):
        if b not in pairs and c not in pairs.values():
            pairs[b] = c
    return pairs


def _likeness(a: str, b: str) -> float:
    matcher = SequenceMatcher(None, a, b, autojunk=False)
    if matcher.real_quick_ratio() < ALIKE or matcher.quick_ratio() < ALIKE:
        return 0.0
    return matcher.ratio()


def _same_type(a: Cell, b: Cell) -> bool:
    return a["cell_type"] == b["cell_type"]


def _longest_increasing(pairs: list[tuple[int, int]]) -> set[int]:
    """The cells (i, b) that stand in the base's order, as many as possible; the student moved the others."""
    ends: list[int] = []  # the smallest last b of an increasing run of each length
    at: list[int] = []
    before: list[int | None] = []
    for k, (_, b) in enumerate(pairs):
        length = bisect_left(ends, b)
        before.append(at[length - 1] if length else None)
        ends[length : length + 1] = [b]
        at[length : length + 1] = [k]
    kept, k = set(), at[-1] if at else None
    while k is not None:
        kept.add(pairs[k][0])
        k = before[k]
    return kept


def _own(cell: Cell) -> Cell:
    return cell | {"own": True}


def _fresh_id(text: str, taken: set) -> str:
    number = 0
    while (identity := hashlib.sha256(f"{number}{text}".encode()).hexdigest()[:12]) in taken:
        number += 1
    return identity
