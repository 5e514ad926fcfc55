"""Measurements too long for a lesson: `course record NAME` makes them, and the lesson plots them (lessons 07 to 09).

A file for each JSON of data/results, of the same name, whose `measure()` gives the values.
"""

from course_lib.experiments.recording import EXPERIMENTS, record, results

__all__ = ["EXPERIMENTS", "record", "results"]
