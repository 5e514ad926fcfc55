"""The sets themselves, one file each; `course_lib.data.load(name)` is the door to all of them."""
