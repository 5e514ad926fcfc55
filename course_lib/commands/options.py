"""What several commands take."""

from pathlib import Path
from typing import Any

import click


class Whole(click.IntRange):
    """A whole number from one to another."""

    name = "whole number"


SEED = Whole(0, 2**63 - 1)
NUMBER = Whole(1, 10**9)
MODEL_OPTIONS = {"ignore_unknown_options": True, "allow_extra_args": True}  # the model's own, which it reads itself


class Place(click.Path):
    """A path that says where something is written: an empty one would be the folder where one stands."""

    def __init__(self):
        super().__init__(path_type=Path)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if value == "":
            self.fail("the path is empty", param, ctx)
        return super().convert(value, param, ctx)
