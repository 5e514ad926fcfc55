"""From noise to images: the library of the course.

data, exact           what the models learn from, and distributions whose every diffusion quantity is known
diffusion, nets       the theory, line for line, and the networks that it trains
models                what can be trained, and how it samples
training              recipes, the loop, checkpoints, devices
metrics, experiments  how good the images are; recorded measurements
show, exercises       figures, drawings, films, widgets; the engine behind check, hint and solution
notebooks             the rules of a lesson, and how a notebook is made of its source
agree, checks         checks in the open; what an argument has to be
paths, threads        where files lie; how threads wait
workbook              a student's own copies of the lessons
cli, commands         `course …`, by what the commands are about
launch, doctor        what `make` calls, and what this machine has

`import course_lib` brings the first two lines, which need torch alone; import the others by name. README.md beside this
file says what may import what, and where something new goes.
"""

from course_lib.threads import quiet_waiting

quiet_waiting()

from course_lib import data, diffusion, exact, nets  # noqa: E402  (torch comes with them)

__version__ = "0.1.0"
__all__ = ["data", "diffusion", "exact", "nets", "__version__"]
