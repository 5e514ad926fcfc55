"""From noise to images: the library of the course.

data, exact      what the models learn from, and distributions whose every diffusion quantity is known
diffusion, nets  the theory, line for line, and the networks that it trains
models           everything else that generates or looks at images
training         the loop, checkpoints and recipes
metrics          how good the images are
show, exercises  figures, widgets, and the checks of the exercises

`import course_lib` brings the first two lines, which need torch alone; import the others by name.
"""

from course_lib.threads import quiet_waiting

quiet_waiting()

from course_lib import data, diffusion, exact, nets  # noqa: E402  (torch comes with them)

__version__ = "0.1.0"
__all__ = ["data", "diffusion", "exact", "nets", "__version__"]
