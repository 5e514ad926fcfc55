"""What `make lab` and `make test` start: JupyterLab, and pytest over the tests and every notebook."""

import os
import subprocess
import sys

from course_lib.paths import NOTEBOOKS, ROOT

START = NOTEBOOKS / "00_start_here.ipynb"
SETTINGS = ROOT / "course_lib" / "notebooks" / "lab"  # no news, no search for updates
MAX_WORKERS = 4  # processes that share the tests


def open_lab(arguments: list[str]) -> int:
    """JupyterLab at the first lesson, on the loopback interface, behind its token; without a screen it prints the URL."""
    command = [
        sys.executable, "-m", "jupyterlab", "--ServerApp.ip=127.0.0.1", f"--ServerApp.root_dir={ROOT}",
        f"--LabApp.default_url=/lab/tree/{START.relative_to(ROOT).as_posix()}", f"--LabApp.app_settings_dir={SETTINGS}",
    ]  # fmt: skip
    if sys.platform.startswith("linux") and not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        command.append("--no-browser")
        print(
            "no screen here: open the URL that follows in a browser (for a server, through `ssh -L 8888:127.0.0.1:8888`)"
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
