"""Measurements too long for a lesson: `course record NAME` makes them, and the lesson plots them (lessons 07 to 09)."""

from course_lib.experiments.record import EXPERIMENTS, record, results

__all__ = ["EXPERIMENTS", "record", "results"]
