"""Small lessons for the tests of a student's copy: cells of the course, and what a student does to them."""

import json

STUB = 'def {function}({arguments}):\n    # your code\n    ...\n\n\ncheck("{name}", {function})'


def markdown(text):
    return {"cell_type": "markdown", "metadata": {}, "source": text}


def code(text, printed=""):
    outputs = [{"output_type": "stream", "name": "stdout", "text": printed}] if printed else []
    return {"cell_type": "code", "metadata": {}, "source": text, "execution_count": 1, "outputs": outputs}


def stub(name, function, arguments="x, t"):
    return code(STUB.format(name=name, function=function, arguments=arguments))


def lesson(*cells):
    """A notebook of the course: its ids count the cells, as `make notebooks` writes them."""
    cells = [cell | {"id": f"cell-{i:03d}"} for i, cell in enumerate(cells)]
    metadata = {"jupytext": {"cell_metadata_filter": "-all"}, "kernelspec": {"name": "python3"}}
    return {"cells": cells, "metadata": metadata, "nbformat": 4, "nbformat_minor": 5}


def save(notebook, path):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(notebook, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def load(path):
    return json.loads(path.read_text(encoding="utf-8"))


def texts(notebook):
    return ["".join(cell["source"]) for cell in notebook["cells"]]
