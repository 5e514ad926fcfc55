"""The commands of `course`, by what they are about; cli.py gathers them."""
