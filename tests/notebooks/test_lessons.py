"""Every lesson keeps the rules of a lesson; the first five may break those that stand in exemptions.json, and never more.

An exemption says how many places break a rule and by how much the worst of them is over. Both may only fall; a rule that a
lesson keeps again must leave the list, and no other lesson may enter it.
"""

import json
from pathlib import Path

import pytest

from course_lib.notebooks.rules import RULES, complaints
from course_lib.notebooks.source import SOURCES, lesson_names, read_lesson
from course_lib.paths import NOTEBOOKS

EXEMPT = json.loads(Path(__file__).with_name("exemptions.json").read_text(encoding="utf-8"))


def judge(found, exempt):
    """What is wrong with a lesson's complaints beside its exemptions, one line each."""
    wrong = [f"the exemption {rule} is no longer needed: delete it" for rule in exempt.keys() - {c.rule for c in found}]
    for complaint in found:
        ceiling = exempt.get(complaint.rule, {"count": 0, "worst": 0})
        if complaint.count > ceiling["count"] or complaint.worst > ceiling["worst"]:
            wrong.append(complaint.text)
    return wrong


@pytest.mark.parametrize("name", lesson_names())
def test_a_lesson_keeps_the_rules(name):
    lesson = read_lesson(SOURCES / f"{name}.py", NOTEBOOKS / f"{name}.ipynb")
    wrong = judge(complaints(lesson), EXEMPT.get(lesson.number, {}))
    assert not wrong, "\n".join([name, *wrong])


def test_only_the_first_five_lessons_are_exempt_and_only_from_rules_that_exist():
    assert set(EXEMPT) <= {"00", "06", "07", "08", "09"}
    assert {rule for rules in EXEMPT.values() for rule in rules} <= set(RULES)
    assert all(EXEMPT.values()), "a lesson without exemptions leaves the list"


@pytest.mark.parametrize(
    ("exempt", "fine"),
    [
        ({}, False),
        ({"width": {"count": 2, "worst": 9}}, True),
        ({"width": {"count": 3, "worst": 20}}, True),
        ({"width": {"count": 1, "worst": 9}}, False),
        ({"width": {"count": 2, "worst": 8}}, False),
        ({"width": {"count": 2, "worst": 9}, "prose": {"count": 1, "worst": 1}}, False),
    ],
    ids=["none", "as measured", "better", "one place more", "one place worse", "not needed"],
)
def test_an_exemption_is_a_ceiling(exempt, fine):
    from course_lib.notebooks.rules import Complaint

    assert (judge([Complaint("width", 2, 9, "too wide")], exempt) == []) == fine
