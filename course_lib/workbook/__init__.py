"""The student's own copies of the lessons: made, brought up to date, started anew, and the standing of their exercises."""

from course_lib.workbook.folder import reset, update
from course_lib.workbook.standings import MARKS, progress

__all__ = ["MARKS", "progress", "reset", "update"]
