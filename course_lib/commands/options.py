"""What several commands take."""

import click

SEED = click.IntRange(0, 2**63 - 1)
MODEL_OPTIONS = {"ignore_unknown_options": True, "allow_extra_args": True}  # the model's own, which it reads itself
