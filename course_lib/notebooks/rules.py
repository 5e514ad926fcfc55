"""The rules of a lesson, measured: how long cells and prose are, how honest its minutes, how readable its figures.

What counts: lines of code that are not blank; words outside displayed formulas, an inline formula being one. Folded
blocks and exercise statements have the limit of a prose cell each on their own; tables, headings and references have
none. For the minutes, a line of code that is too wide counts once for each 100 characters that it begins.
"""

import math
import re
import statistics
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, NamedTuple

from course_lib.notebooks.source import FOLD, Lesson, code_lines, displays, is_folded, take_apart, words

if TYPE_CHECKING:
    from nbformat import NotebookNode

MEDIAN_LINES, MAX_LINES, MAX_CHARACTERS, MAX_WORDS = 8, 15, 100, 120
MAX_MINUTES, STATED_WITHIN = 125, 0.20
LETTER_POINTS, ALT_CHARACTERS, STATEMENT_WORDS = 18, 20, 5
NUMBERS = {
    "one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8, "nine": 9, "ten": 10,
    "eleven": 11, "twelve": 12, "thirteen": 13, "fourteen": 14, "fifteen": 15, "sixteen": 16, "seventeen": 17,
    "eighteen": 18, "nineteen": 19, "twenty": 20, "thirty": 30, "forty": 40, "fifty": 50, "sixty": 60, "seventy": 70,
    "eighty": 80, "ninety": 90,
}  # fmt: skip
MINUTES = {"word": 1 / 110, "display": 1.5, "line": 7 / 60, "figure": 1.25}


class Breach(NamedTuple):
    """One place where a rule does not hold: by how much it is over (always positive), and what a reader is told."""

    over: int
    says: str


class Complaint(NamedTuple):
    """A rule that a lesson breaks: how often, by how much at worst, and one line that says where."""

    rule: str
    count: int
    worst: int
    text: str


def complaints(lesson: Lesson) -> list[Complaint]:
    """The rules that a lesson breaks, with the worst places first."""
    found = []
    for rule, (says, breaches_of) in RULES.items():
        breaches = sorted(breaches_of(lesson), key=lambda breach: -breach.over)
        if breaches:
            places = "; ".join(breach.says for breach in breaches[:4])
            more = f"; and {len(breaches) - 4} more" if len(breaches) > 4 else ""
            found.append(Complaint(rule, len(breaches), breaches[0].over, f"{says}: {places}{more}"))
    return found


def reading_minutes(lesson: Lesson) -> float:
    """Minutes to read a lesson without its exercises and folded parts: words, displayed formulas, code lines, figures."""
    prose = [take_apart(cell.source) for _, cell in _cells(lesson, "markdown")]
    code = [cell for _, cell in _cells(lesson, "code") if not (is_folded(cell) or _checked(cell))]
    amounts = {
        "word": sum(words(p.running) + words(p.tables) for p in prose),
        "display": sum(displays(p.running) for p in prose),
        "line": sum(math.ceil(len(line) / MAX_CHARACTERS) for cell in code for line in code_lines(cell)),
        "figure": len(_figures(lesson)),
    }
    return sum(MINUTES[kind] * amount for kind, amount in amounts.items())


def stated_minutes(lesson: Lesson) -> tuple[int, int] | None:
    """The minutes that a lesson's head promises for reading and for its exercises, or None where it promises none.

    The head says `**Time:** 90 minutes, and 100 more for the seven exercises.`, in digits or in words.
    """
    head = next((cell.source for _, cell in _cells(lesson, "markdown") if "**Time:**" in cell.source), "")
    sentence = " ".join(head.partition("**Time:**")[2].split())
    number = r"(\d+|[a-z]+(?:-[a-z]+)?)"
    found = re.match(rf"(?i){number} minutes\b.*?\b{number} more\b", sentence)
    minutes = [_number(text) for text in found.groups()] if found else []
    return (minutes[0], minutes[1]) if minutes and None not in minutes else None


def exercise_titles(lesson: Lesson) -> dict[str, int]:
    """The exercises that have a title with minutes, such as {"06.1": 5}."""
    text = "\n".join(cell.source for _, cell in _cells(lesson, "markdown"))
    return {name: int(m) for name, m in re.findall(r"^#+ Exercise (\S+) · .+ \((\d+) minutes\)$", text, re.MULTILINE)}


def _cells(lesson: Lesson, kind: str) -> "list[tuple[int, NotebookNode]]":
    return [(n, cell) for n, cell in zip(lesson.lines, lesson.cells, strict=True) if cell.cell_type == kind]


def _checked(cell: "NotebookNode") -> list[str]:
    """The exercises that a cell checks: a cell that checks one is a stub."""
    return re.findall(r'^check\("([^"]+)"', cell.source, re.MULTILINE)


def _figures(lesson: Lesson) -> list[dict]:
    """The metadata of each picture that the executed notebook shows."""
    pictures = [output for output in lesson.outputs if "image/png" in output.get("data", {})]
    return [picture.get("metadata", {}).get("image/png", {}) for picture in pictures]


def _number(text: str) -> int | None:
    """90 for "90" and for "ninety", 25 for "twenty-five"; None for a word that is no number."""
    if text.isdigit():
        return int(text)
    parts = [NUMBERS.get(part) for part in text.lower().split("-")]
    return None if None in parts else sum(parts)


def _median(lesson: Lesson) -> Iterator[Breach]:
    lengths = [len(code_lines(cell)) for _, cell in _cells(lesson, "code")]
    median = statistics.median_high(lengths or [0])
    if median > MEDIAN_LINES:
        yield Breach(median - MEDIAN_LINES, f"{median} lines")


def _long_cells(lesson: Lesson) -> Iterator[Breach]:
    excused = False
    for line, cell in _cells(lesson, "code"):
        length = len(code_lines(cell))
        if length > MAX_LINES and "widget" in cell.metadata.get("tags", []) and not excused:
            excused = True
        elif length > MAX_LINES:
            yield Breach(length - MAX_LINES, f"line {line} has {length}")


def _wide_lines(lesson: Lesson) -> Iterator[Breach]:
    for line, cell in _cells(lesson, "code"):
        for i, text in enumerate(cell.source.splitlines(), start=1):
            if len(text) > MAX_CHARACTERS:
                yield Breach(len(text) - MAX_CHARACTERS, f"line {line + i} has {len(text)}")


def _long_prose(lesson: Lesson) -> Iterator[Breach]:
    for line, cell in _cells(lesson, "markdown"):
        prose = take_apart(cell.source)
        running = re.sub(r"^#.*$", "", prose.running, flags=re.MULTILINE)
        for what, text in [
            ("", running),
            *(("fold ", f) for f in prose.folded),
            *(("exercise ", e) for e in prose.exercises),
        ]:
            if (count := words(text)) > MAX_WORDS:
                yield Breach(count - MAX_WORDS, f"{what}at line {line} has {count}")


def _too_long(lesson: Lesson) -> Iterator[Breach]:
    minutes = round(reading_minutes(lesson))
    if lesson.number.isdigit() and minutes > MAX_MINUTES:
        yield Breach(minutes - MAX_MINUTES, f"about {minutes}")


def _dishonest_minutes(lesson: Lesson) -> Iterator[Breach]:
    stated, minutes = stated_minutes(lesson), reading_minutes(lesson)
    if stated is None:
        yield Breach(100, "the head has no `**Time:** 90 minutes, and 60 more for the exercises.`")
        return
    if (off := abs(stated[0] / minutes - 1)) > STATED_WITHIN:
        yield Breach(round(100 * (off - STATED_WITHIN)), f"{stated[0]} stated, about {minutes:.0f} estimated")
    if stated[1] != (total := sum(exercise_titles(lesson).values())):
        yield Breach(abs(stated[1] - total), f"{stated[1]} stated for the exercises, whose titles add up to {total}")


def _exercises(lesson: Lesson) -> Iterator[Breach]:
    titles, told, above = exercise_titles(lesson), {}, ""
    for line, cell in zip(lesson.lines, lesson.cells, strict=True):
        if cell.cell_type == "markdown":
            above = (take_apart(cell.source).exercises or [""])[-1]
        for name in _checked(cell) if cell.cell_type == "code" else []:
            told[name] = words(above.partition("\n")[2]) if f"Exercise {name} ·" in above.partition("\n")[0] else 0
            if name not in titles:
                yield Breach(1, f"{name} at line {line} has no title `### Exercise {name} · Title (10 minutes)`")
            elif told[name] < STATEMENT_WORDS:
                yield Breach(1, f"{name} at line {line} has no statement right above its stub")
            if not name.startswith(f"{lesson.number}."):
                yield Breach(1, f"{name} at line {line} belongs to another lesson than {lesson.number}")
    for name in sorted(titles.keys() - told.keys()):
        yield Breach(1, f'{name} has a title and no check("{name}", …)')


def _small_letters(lesson: Lesson) -> Iterator[Breach]:
    for i, figure in enumerate(_figures(lesson), start=1):
        if "letter" in figure and figure["letter"] < LETTER_POINTS:
            over = max(1, round(LETTER_POINTS - figure["letter"]))
            yield Breach(over, f"figure {i} has {figure['letter']:.1f} ({figure.get('alt', '')[:40]} …)")


def _silent_figures(lesson: Lesson) -> Iterator[Breach]:
    for i, figure in enumerate(_figures(lesson), start=1):
        if (length := len(figure.get("alt", ""))) < ALT_CHARACTERS:
            yield Breach(ALT_CHARACTERS - length, f"figure {i} has {length}")


def _half_folded(lesson: Lesson) -> Iterator[Breach]:
    for line, cell in _cells(lesson, "code"):
        if is_folded(cell) and FOLD not in cell.metadata.get("tags", []):
            yield Breach(1, f"line {line} is hidden without the tag")


def _mouse_only(lesson: Lesson) -> Iterator[Breach]:
    """JupyterLab takes the keys that are meant for a list: arrows leave the cell, and typing d twice deletes it."""
    for line, cell in _cells(lesson, "code"):
        for control in re.findall(r"\b(Dropdown|Select|SelectMultiple|Combobox)\(", cell.source):
            yield Breach(1, f"line {line} has a {control}")


RULES: dict[str, tuple[str, Callable[[Lesson], Iterator[Breach]]]] = {
    "median": (f"a code cell has at most {MEDIAN_LINES} lines in the median", _median),
    "cells": (f"a code cell has at most {MAX_LINES} lines, one tagged `widget` apart", _long_cells),
    "width": (f"a line of code has at most {MAX_CHARACTERS} characters", _wide_lines),
    "prose": (f"a prose cell, a fold and an exercise have at most {MAX_WORDS} words", _long_prose),
    "length": (f"a main lesson takes at most {MAX_MINUTES} minutes to read", _too_long),
    "minutes": (f"the head's minutes are honest within {STATED_WITHIN:.0%}", _dishonest_minutes),
    "exercises": ("an exercise has a title with minutes, a statement and a check", _exercises),
    "letters": (f"letters in figures are at least {LETTER_POINTS} points on a projected page", _small_letters),
    "texts": (f"a figure's text has at least {ALT_CHARACTERS} characters", _silent_figures),
    "keys": ("a control can be moved by keyboard: ToggleButtons or a slider instead of a list", _mouse_only),
    "folds": (f"a hidden code cell has the tag {FOLD}", _half_folded),
}
