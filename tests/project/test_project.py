"""The repository itself: style, versions that agree, notebooks that are what their sources say."""

import importlib
import inspect
import json
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import jupytext
import nbformat
import pytest
import yaml
from packaging.requirements import Requirement
from packaging.version import Version

from course_lib.notebooks.source import lesson_names, same_cells
from course_lib.paths import NOTEBOOKS, RESULTS, ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
PINS = dict(re.findall(r"^([\w.-]+)==([\w.]+)$", (ROOT / "constraints.txt").read_text(encoding="utf-8"), re.MULTILINE))
PINS = {re.sub(r"[_.]", "-", name.lower()): version for name, version in PINS.items()}
LISTS = [PROJECT["dependencies"], *PROJECT["optional-dependencies"].values()]
NEEDS = [Requirement(line) for lines in LISTS for line in lines]
LESSONS = lesson_names()


def tracked(*patterns):
    """The files that git knows or would add, so that neither .venv nor downloads count."""
    if shutil.which("git") is None:
        pytest.skip("there is no git here")
    ran = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard", *patterns],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if ran.returncode:
        pytest.skip("this is no git checkout")
    return [ROOT / line for line in ran.stdout.splitlines() if (ROOT / line).is_file()]


@pytest.mark.parametrize("command", [["check"], ["format", "--check"]], ids=["lint", "format"])
def test_the_code_is_in_style(command):
    ran = subprocess.run(
        [sys.executable, "-m", "ruff", *command, "."], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr


@pytest.mark.parametrize("lesson", LESSONS)
def test_a_notebook_has_the_cells_of_its_source_and_was_executed(lesson):
    target = NOTEBOOKS / f"{lesson}.ipynb"
    assert same_cells(NOTEBOOKS / "source" / f"{lesson}.py", target), f"run `make notebooks`, and commit {target.name}"


def test_every_notebook_has_a_source():
    assert sorted(p.stem for p in NOTEBOOKS.glob("*.ipynb")) == LESSONS


@pytest.mark.parametrize("lesson", LESSONS)
def test_a_source_survives_the_way_to_a_notebook_and_back(lesson):
    source = NOTEBOOKS / "source" / f"{lesson}.py"
    there = jupytext.read(source)
    back = jupytext.reads(jupytext.writes(there, fmt="py:percent"), fmt="py:percent")
    assert [(c.cell_type, c.source) for c in back.cells] == [(c.cell_type, c.source) for c in there.cells]
    assert not any('"""' in c.source for c in there.cells if c.cell_type == "markdown")


@pytest.mark.parametrize("lesson", LESSONS)
def test_a_notebook_is_light_and_holds_figures_and_no_complaints_of_python(lesson):
    path = NOTEBOOKS / f"{lesson}.ipynb"
    notebook = nbformat.read(path, as_version=4)
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    assert path.stat().st_size < 1.5e6
    assert [output for output in outputs if "image/png" in output.get("data", {})]
    assert not [output for output in outputs if output.output_type == "error" or output.get("name") == "stderr"]


@pytest.mark.parametrize("lesson", LESSONS)
def test_checked_outputs_hold_no_more_digits_than_any_cpu_gives(lesson):
    notebook = nbformat.read(NOTEBOOKS / f"{lesson}.ipynb", as_version=4)
    for cell in notebook.cells:
        if "# NBVAL_CHECK_OUTPUT" in cell.source:
            text = "".join(output.get("text", "") for output in cell.outputs)
            assert text
            assert not re.search(r"\d\.\d{7,}", text)


@pytest.mark.parametrize("need", NEEDS, ids=lambda need: need.name)
def test_a_package_is_pinned_within_its_bounds(need):
    pinned = PINS[need.name.lower()]
    assert need.specifier.contains(pinned)
    assert any(s.operator in (">=", "==") for s in need.specifier), "a lower bound, so that old versions are refused"


def test_conda_gets_the_same_versions():
    environment = yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))
    pip = next(d["pip"] for d in environment["dependencies"] if isinstance(d, dict))
    python = next(d for d in environment["dependencies"] if str(d).startswith("python="))
    assert pip[:2] == ["-c constraints.txt", "-e .[lab,dev]"]
    assert dict(line.split("==") for line in pip[2:]) == {n.name: PINS[n.name.lower()] for n in NEEDS}
    assert Requirement("python" + PROJECT["requires-python"]).specifier.contains(python.removeprefix("python="))


def test_a_torch_of_the_pinned_version_fits_whatever_it_was_built_for():
    pinned = Requirement(f"torch=={PINS['torch']}").specifier
    assert all(pinned.contains(Version(f"{PINS['torch']}{build}")) for build in ("", "+cpu", "+cu130", "+rocm7.0"))


def test_the_version_is_one():
    from course_lib import __version__

    assert PROJECT["version"] == __version__


def test_importing_the_library_needs_torch_and_none_of_the_heavy_rest():
    code = """
import sys
class Missing:
    names = {"IPython", "ipywidgets", "jupyterlab", "matplotlib", "accelerate", "sklearn", "scipy", "pooch", "tqdm", "click"}
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in self.names:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Missing())
import torch
before = {name.partition(".")[0] for name in sys.modules}
import course_lib
course_lib.data.toy("moons", 10)
added = {name.partition(".")[0] for name in sys.modules} - before
print(sorted(added - set(sys.stdlib_module_names)))
try:
    course_lib.data.load("digits")
except ModuleNotFoundError as error:
    print(error)
"""
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=ROOT)
    added, missing = ran.stdout.splitlines()
    assert added == "['course_lib']", ran.stderr
    assert missing == "the digits come inside scikit-learn: `pip install scikit-learn`"


LAYERS = [
    {"paths", "threads", "checks"},
    {"data", "exact", "agree"},
    {"diffusion", "nets"},
    {"models"},
    {"training"},
    {"metrics"},
    {"experiments"},
    {"show", "exercises", "doctor", "notebooks", "launch"},
    {"workbook"},
    {"commands"},
    {"cli"},
]


def test_imports_point_one_way():
    rank = {name: i for i, layer in enumerate(LAYERS) for name in layer}
    wrong = []
    for path in (ROOT / "course_lib").rglob("*.py"):
        concept = path.relative_to(ROOT / "course_lib").parts[0].removesuffix(".py")
        if concept == "__init__":
            continue
        for imported in re.findall(
            r"^\s*(?:from|import) course_lib\.(\w+)", path.read_text(encoding="utf-8"), re.MULTILINE
        ):
            if imported != concept and rank[imported] >= rank[concept]:
                wrong.append(f"{concept} imports {imported}")
    assert not wrong


@pytest.mark.parametrize("folder", ["diffusion", "exact.py"])
def test_the_theory_knows_no_network_no_data_and_no_notebook(folder):
    path = ROOT / "course_lib" / folder
    files = path.rglob("*.py") if path.is_dir() else [path]
    imports = {
        m
        for f in files
        for m in re.findall(r"^from course_lib(?:\.| import )(\w+)", f.read_text(encoding="utf-8"), re.MULTILINE)
    }
    assert imports <= ({"diffusion", "checks"} if folder == "diffusion" else {"checks"})


def modules():
    """Every module of the package by its dotted name."""
    paths = ((ROOT / "course_lib") / p.relative_to(ROOT / "course_lib") for p in tracked("course_lib/*.py"))
    return [".".join(p.relative_to(ROOT).with_suffix("").parts) for p in paths if p.stem != "__init__"]


def test_no_module_is_hidden_by_something_of_its_name():
    for name in modules():
        package, _, stem = name.rpartition(".")
        found = getattr(importlib.import_module(package), stem, None)
        assert found is None or inspect.ismodule(found), name


def test_no_two_modules_bear_one_name():
    stems = [name.rpartition(".")[2] for name in modules()]
    assert {stem for stem in stems if stems.count(stem) > 1} == set()


def test_what_is_theory_models_and_training_can_be_read_in_a_few_evenings():
    rooms = ("exact.py", "diffusion", "nets", "models", "training")
    services = {"checkpoint.py", "trained.py"}  # how models are stored and found again, which no lesson reads
    files = [p for p in tracked("course_lib/*.py") if p.relative_to(ROOT / "course_lib").parts[0] in rooms]
    files = [p for p in files if p.name not in services]
    assert sum(len(p.read_text(encoding="utf-8").splitlines()) for p in files) < 5_000


@pytest.mark.parametrize(
    ("limit", "folders"),
    [(320, ["course_lib/*.py", "benchmarks/*.py", "notebooks/exercises/*.py"]), (650, ["tests/*.py", "conftest.py"])],
    ids=["code", "tests"],
)
def test_a_file_fits_in_a_head(limit, folders):
    lengths = {
        p.relative_to(ROOT).as_posix(): len(p.read_text(encoding="utf-8").splitlines()) for p in tracked(*folders)
    }
    assert {name: n for name, n in lengths.items() if n > limit} == {}


@pytest.mark.parametrize("path", sorted(RESULTS.glob("*.json")), ids=lambda path: path.stem)
def test_a_recorded_result_says_how_it_was_made(path):
    recorded = json.loads(path.read_text(encoding="utf-8"))
    assert {name for name in ("command", "version", "machine") if not recorded.get(name)} == set()


def test_no_secret_and_no_place_of_one_machine_is_written_down():
    wrong = re.compile(
        r"/(?:home|root|Users|work)/\w|pypi\.org|files\.pythonhosted|index-url|download\.pytorch|BEGIN [A-Z ]*PRIVATE KEY"
    )
    texts = tracked("*.py", "*.md", "*.toml", "*.yml", "*.txt", "*.json", "*.ipynb", "Makefile", ".ci/run")
    found = [f"{p.relative_to(ROOT)}: {m.group()}" for p in texts if p != Path(__file__)
             for m in wrong.finditer(p.read_text(encoding="utf-8"))]  # fmt: skip
    assert found == []


def test_the_shipped_checkpoints_are_small_and_say_where_they_come_from():
    for card in tracked("data/checkpoints/*/recipe.json"):
        values = json.loads(card.read_text(encoding="utf-8"))
        assert {"recipe", "step", "sha256", "version", "torch"} <= set(values)
        assert values["step"] == values["recipe"]["steps"], "a shipped model was trained to the end"
        assert {"scores", "pictures", "reference", "held_out"} & set(values), "a shipped model was measured"
        limit = 4 if values["recipe"]["data"] == "digits" else 8
        assert sum(p.stat().st_size for p in card.parent.iterdir()) <= limit * 2**20


def test_the_top_level_is_what_was_asked_for():
    top = {p.relative_to(ROOT).parts[0] for p in tracked()}
    assert {"notebooks", "course_lib", "data", "tests", "environment.yml", "README.md"} <= top
