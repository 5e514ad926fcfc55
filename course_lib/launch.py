"""What `make lab` and `make test` start: JupyterLab, and pytest over the tests and every notebook."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

from course_lib.paths import IS_CLONE, NOTEBOOKS, PACKAGE, ROOT

START = "00_start_here.ipynb"
SETTINGS = PACKAGE / "notebooks" / "lab"  # no news, no search for updates; what is saved of a widget
MAX_WORKERS = 4  # processes that share the tests


def needs_packages(extra: str, *modules: str) -> None:
    """Raises ModuleNotFoundError, with the line that installs it, where a module of one of the course's extras is missing."""
    missing = [name for name in modules if importlib.util.find_spec(name) is None]
    if missing:
        line = f'pip install -c constraints.txt -e ".[{extra}]"' if IS_CLONE else f'pip install "course-lib[{extra}]"'
        raise ModuleNotFoundError(f"{', '.join(missing)} is not installed here: {line}")


def open_lab(arguments: list[str], my: Path | None) -> int:
    """JupyterLab at the first lesson, on the loopback interface, behind its token; without a screen it prints the URL.

    my: the folder of a student's copies, all that is shown; None for an author, who sees the repository, its lessons kept in
    step with their sources by jupytext.
    """
    needs_packages("lab", "jupyterlab", "ipywidgets")
    if my is None:
        needs_packages("dev", "jupytext")
    elif not (my / START).is_file():
        raise FileNotFoundError(f"there are no lessons in {my}: name a folder that you may write in COURSE_HOME")
    root, first = (ROOT, f"notebooks/{START}") if my is None else (my, START)
    command = [
        sys.executable, "-m", "jupyterlab", f"--ServerApp.root_dir={root}",
        f"--LabApp.default_url=/lab/tree/{first}", f"--LabApp.app_settings_dir={SETTINGS}",
    ]  # fmt: skip
    if not any(argument.startswith(("--ip", "--ServerApp.ip")) for argument in arguments):
        command.append("--ServerApp.ip=127.0.0.1")
    paths = [str(SETTINGS), os.environ.get("JUPYTER_CONFIG_PATH", "")]
    os.environ["JUPYTER_CONFIG_PATH"] = os.pathsep.join(filter(None, paths))
    os.environ["COURSE_AUTHOR"] = "0" if my is not None else "1"
    if sys.platform.startswith("linux") and not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        command.append("--no-browser")
        print(
            "no screen here: open the URL that follows in a browser. From another machine, first run there "
            "`ssh -L PORT:127.0.0.1:PORT THIS_MACHINE`, with the URL's port"
        )
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        command.append("--allow-root")  # a container's only user; the server is on loopback, behind its token
    sys.stdout.flush()
    if os.name == "posix":  # JupyterLab takes this process's place, and with it Ctrl-C and the signals
        os.execv(sys.executable, command + arguments)
    return subprocess.call(command + arguments)


def run_tests(arguments: list[str]) -> int:
    """pytest over the tests and every cell of every notebook; the last line counts what passed and what failed.

    Where there are several cores, several processes of one thread each share the files; a notebook stays in one piece.
    """
    needs_packages("dev", "pytest", "xdist", "nbval", "hypothesis", "jupytext", "ruff")
    import pytest

    class Count:
        passed = failed = 0

        def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
            if report.failed:
                self.failed += 1
            elif report.when == "call" and report.passed:
                self.passed += 1

        def pytest_collectreport(self, report: pytest.CollectReport) -> None:
            self.failed += report.failed

    os.chdir(ROOT)
    count = Count()
    everything = ["tests", *(str(p.relative_to(ROOT)) for p in sorted(NOTEBOOKS.glob("*.ipynb")))]
    chosen = arguments if any(not a.startswith("-") for a in arguments) else [*everything, *arguments]
    shared = []
    if (workers := min(os.cpu_count() or 1, MAX_WORKERS)) > 1:
        os.environ.setdefault("OMP_NUM_THREADS", "1")
        shared = [f"--numprocesses={workers}", "--dist=loadscope"]
    code = pytest.main(["--nbval-lax", "-q", "--durations=8", *shared, *chosen], plugins=[count])
    print(f"{count.passed} passed, {count.failed} failed")
    return int(code)
