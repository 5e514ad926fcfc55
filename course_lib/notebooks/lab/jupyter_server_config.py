"""The JupyterLab that `course lab` starts: notebooks are saved without widgets; only authors' are paired with a source."""

import os
import runpy
from pathlib import Path

c = get_config()  # noqa: F821  (Jupyter's own)
saving = runpy.run_path(str(Path(__file__).parents[1] / "saving.py"))
c.ContentsManager.pre_save_hook = saving["before_saving"]
if os.environ.get("COURSE_AUTHOR") != "1":
    c.ServerApp.jpserver_extensions = {"jupytext": False}
