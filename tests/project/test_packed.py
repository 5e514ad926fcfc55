"""The package without its repository: what pyproject.toml packs is laid out as `pip install` would, and used elsewhere."""

import os
import shutil
import subprocess
import sys
import tomllib

import pytest

from course_lib.paths import CHECKPOINTS, NOTEBOOKS, RESULTS, ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
WHEEL = PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]
COMMANDS = """
import sys
from course_lib.cli import main
for line in sys.stdin.read().splitlines():
    sys.argv = ["course", *line.split()]
    try:
        main()
    except SystemExit as end:
        print(f"[{line}] {end.code or 0}", flush=True)
from course_lib.exercises import hint
hint("00.1")
"""


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """A folder of packages that holds what the wheel would, without a build, which would need the network."""
    site = tmp_path_factory.mktemp("site-packages")
    for name in WHEEL["only-include"]:
        left_out = [entry.rpartition("/")[2] for entry in WHEEL["exclude"] if entry.startswith(f"{name}/")]
        ignore = shutil.ignore_patterns("__pycache__", *left_out)
        shutil.copytree(ROOT / name, site / WHEEL["sources"].get(name, name), ignore=ignore)
    return site


def test_what_a_reader_needs_is_packed_where_the_package_looks_for_it():
    for folder in (NOTEBOOKS, CHECKPOINTS, RESULTS):
        name = folder.relative_to(ROOT).as_posix()
        assert name in WHEEL["only-include"] and WHEEL["sources"][name] == f"course_lib/shipped/{name}"


def test_the_package_is_small_enough_for_any_index(site):
    assert sum(path.stat().st_size for path in site.rglob("*") if path.is_file()) < 80 * 2**20


def test_the_commands_work_without_the_repository(site, tmp_path):
    """All in one process, since each would load PyTorch."""
    wanted = {
        "--version": 0, "doctor": 0, "recipes": 0, "update": 0, "progress 00": 0, "sample ddpm-digits -n 2 --steps 2": 0,
        "train ddpm-digits --steps 1": 0, "lab --author": 1, "test": 1, "notebooks": 1,
    }  # fmt: skip
    here, home = tmp_path / "here", tmp_path / "home"
    here.mkdir()
    before = sorted(site.rglob("*.*"))
    environment = {k: v for k, v in os.environ.items() if not k.startswith("COURSE_")}
    environment |= {"PYTHONPATH": str(site), "COURSE_HOME": str(home), "PYTHONDONTWRITEBYTECODE": "1"}
    ran = subprocess.run(
        [sys.executable, "-c", COMMANDS], input="\n".join(wanted), cwd=here, env=environment, text=True,
        capture_output=True, check=False,
    )  # fmt: skip
    told = [line[1:].rsplit("] ", 1) for line in ran.stdout.splitlines() if line.startswith("[")]
    assert {line: int(code) for line, code in told} == wanted, ran.stdout + ran.stderr
    assert f"✓ what you make goes to {home}" in ran.stdout and "0 of  4 right" in ran.stdout
    assert ran.stderr.count("needs the whole repository, and only the package is installed here: get it with git") == 3
    assert ran.returncode == 0, "a hint is there too: " + ran.stderr
    assert (here / "grid.png").is_file() and (home / "my" / "00_start_here.ipynb").is_file()
    assert (home / "runs" / "ddpm-digits" / "latest").is_file()
    assert sorted(site.rglob("*.*")) == before, "nothing is written where the package lies"
