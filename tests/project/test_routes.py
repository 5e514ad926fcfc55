"""What the README and the files of other routes promise is there: links, commands, the same versions, the same bytes."""

import json
import re
import subprocess
import sys

import pytest
import yaml
from test_project import tracked

from course_lib.cli import cli
from course_lib.paths import ROOT

README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```\w*\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
LINES = [line.partition("  #")[0] for block in BLOCKS for line in block.splitlines()]
CODE = "\n".join([*LINES, *re.findall(r"`([^`\n]+)`", README)])
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
INSTALLS = ["Dockerfile", ".devcontainer/devcontainer.json", "binder/postBuild", "Makefile"]


def test_every_link_of_the_readme_leads_somewhere():
    headings = re.findall(r"^#+ (.+)$", README, re.MULTILINE)
    anchors = {"#" + re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}
    links = [link for link in re.findall(r"\]\(([^)\s]+)\)", README) if not link.startswith("https://")]
    broken = {link for link in links if link not in anchors and not (ROOT / link).exists()}
    assert links and not broken


def test_every_command_of_the_readme_exists_and_can_be_pasted():
    named = set(re.findall(r"(?:^|[/\\ ])course ([a-z]+)", CODE, re.MULTILINE))
    targets = set(re.findall(r"^\.PHONY: ([a-z ]+)$", MAKEFILE, re.MULTILINE)[0].split())
    assert {"lab", "update", "progress", "reset", "doctor", "sample", "train"} <= named <= set(cli.commands)
    assert set(re.findall(r"\bmake ([a-z]+)", CODE)) <= targets
    assert not [line for line in LINES if "…" in line or "..." in line]


@pytest.mark.parametrize("path", INSTALLS)
def test_every_route_installs_the_pinned_versions_of_the_course(path):
    text = (ROOT / path).read_text(encoding="utf-8")
    assert re.search(r"install [^\n]*-c constraints\.txt -e (['\"]|\\\")\.\[lab(,dev)?\]", text)


def test_binder_has_a_folder_of_its_own_since_it_would_take_the_dockerfile_otherwise():
    python = {"environment.yml": None, "binder/environment.yml": None}
    for path in python:
        needs = yaml.safe_load((ROOT / path).read_text(encoding="utf-8"))["dependencies"]
        python[path] = next(need for need in needs if str(need).startswith("python="))
    assert (ROOT / "Dockerfile").is_file() and len(set(python.values())) == 1
    for script in ("postBuild", "start"):
        assert (ROOT / "binder" / script).read_text(encoding="utf-8").startswith("#!/bin/bash\n")


@pytest.mark.skipif(sys.platform == "win32", reason="a shell script")
def test_binder_starts_with_threads_that_sleep_and_with_the_courses_jupyter_settings():
    ran = subprocess.run(
        ["bash", ROOT / "binder" / "start", sys.executable, "-c", "import os; print(os.environ['JUPYTER_CONFIG_PATH'])"],
        env={"REPO_DIR": str(ROOT)}, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert (ROOT / ran.stdout.strip().removeprefix(f"{ROOT}/") / "jupyter_server_config.py").is_file()


def test_a_container_listens_inside_only_and_runs_nothing_as_root():
    text = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    assert "LISTEN=127.0.0.1" in text and "--ServerApp.ip=$LISTEN" in text and "token" not in text
    assert text.index("USER student") < text.index("CMD")
    settings = json.loads((ROOT / ".devcontainer" / "devcontainer.json").read_text(encoding="utf-8"))
    assert settings["remoteUser"] == "student"


def test_git_hands_out_the_same_bytes_on_windows():
    files = [path.relative_to(ROOT).as_posix() for path in tracked("*.safetensors", "*.png", "*.ipynb", "*.py")]
    ran = subprocess.run(
        ["git", "check-attr", "--stdin", "text", "eol"], input="\n".join(files), cwd=ROOT, capture_output=True, text=True,
        check=True,
    )  # fmt: skip
    said = {tuple(line.split(": ")[:2]): line.split(": ")[2] for line in ran.stdout.splitlines()}
    for file in files:
        if file.endswith((".safetensors", ".png")):
            assert said[file, "text"] == "unset"
        else:
            assert said[file, "eol"] == "lf"
