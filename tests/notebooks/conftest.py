import nbformat
import pytest

from course_lib.notebooks.source import read_lesson

HEAD = "# ---\n# jupyter:\n#   kernelspec:\n#     display_name: Python 3 (ipykernel)\n#     language: python\n#     name: python3\n# ---\n"


@pytest.fixture
def source(tmp_path):
    """Write a lesson's source: a str is a code cell, a 1-tuple of str a markdown cell; options follow its marker."""

    def write(*cells, name="04_flows", options=()):
        text = HEAD
        for i, cell in enumerate(cells):
            if isinstance(cell, tuple):
                text += f'\n# %% [markdown]\nr"""\n{cell[0]}\n"""\n'
            else:
                text += f"\n# %% {dict(options).get(i, '')}".rstrip() + f"\n{cell}\n"
        path = tmp_path / f"{name}.py"
        path.write_text(text, encoding="utf-8")
        return path

    return write


@pytest.fixture
def lesson(source, tmp_path):
    """A lesson of such cells; figures: the metadata of the pictures in its executed notebook."""

    def make(*cells, figures=(), **more):
        outputs = [
            nbformat.v4.new_output("display_data", {"image/png": "AAAA"}, metadata={"image/png": dict(figure)})
            for figure in figures
        ]
        notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("", outputs=outputs)])
        nbformat.write(notebook, tmp_path / "executed.ipynb")
        return read_lesson(source(*cells, **more), tmp_path / "executed.ipynb")

    return make
