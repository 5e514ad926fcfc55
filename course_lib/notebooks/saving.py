"""What a notebook's file keeps of its widgets: the picture, and no link to a kernel that is gone.

JupyterLab shows such a link as "Error displaying widget" when the notebook is opened again, over the picture that would
say all, and its random name makes every run another file. This module needs the standard library alone, since JupyterLab's
own process loads it (lab/jupyter_server_config.py).
"""

from typing import Any

VIEW = "application/vnd.jupyter.widget-view+json"


def without_widgets(notebook: dict[str, Any]) -> None:
    """Drop, in place, the links to widgets from a notebook's outputs and metadata; their texts and pictures stay."""
    notebook.get("metadata", {}).pop("widgets", None)
    for cell in notebook.get("cells", []):
        for output in cell.get("outputs", []):
            output.get("data", {}).pop(VIEW, None)


def before_saving(model: dict[str, Any], **_: Any) -> None:
    """Jupyter's `pre_save_hook`: what is on the page goes on moving, only the file is without widgets."""
    if model.get("type") == "notebook" and isinstance(model.get("content"), dict):
        without_widgets(model["content"])
