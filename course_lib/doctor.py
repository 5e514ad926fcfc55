"""What this machine has, what it lacks, and how to get it."""

import importlib.metadata as metadata
import os
import platform
import shutil
import sys
import tomllib

from course_lib.paths import CHECKPOINTS, ROOT, data_folder


def examine() -> bool:
    """Print one line a finding; whether everything that the course needs is here."""
    needs = [_python(), *_packages(), _torch(), _device(), _memory(), _disk(), _widgets(), _checkpoints(), _data()]
    for mark, line in needs:
        print(mark, line)
    return all(mark != "✗" for mark, _ in needs)


def _python() -> tuple[str, str]:
    fine = sys.version_info >= (3, 11)
    remedy = "" if fine else ": the course needs 3.11 or newer"
    return (
        "✓" if fine else "✗",
        f"Python {platform.python_version()} on {platform.system()} {platform.machine()}{remedy}",
    )


def _packages() -> list[tuple[str, str]]:
    """A line for each of the project's packages that is missing, or one that all are here."""
    from packaging.requirements import Requirement

    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    missing = []
    for requirement in map(Requirement, project["dependencies"]):
        try:
            found = metadata.version(requirement.name)
        except metadata.PackageNotFoundError:
            missing.append(("✗", f"{requirement.name} is missing: pip install -c constraints.txt -e ."))
            continue
        if not requirement.specifier.contains(found, prereleases=True):
            missing.append(("✗", f"{requirement.name} {found} does not fit: pip install -c constraints.txt -e ."))
    return missing or [("✓", f"all {len(project['dependencies'])} packages are installed")]


def _torch() -> tuple[str, str]:
    import torch

    return "✓", f"PyTorch {torch.__version__}, {torch.get_num_threads()} threads"


def _device() -> tuple[str, str]:
    import torch

    from course_lib.training import has_bf16, pick_device

    device = torch.device(pick_device("auto"))
    speed = "computes in bf16" if has_bf16(device) else "no bf16, float32 is used"
    if "COURSE_BF16" in os.environ:
        speed += f", as COURSE_BF16={os.environ['COURSE_BF16']} says"
    if device.type == "cuda":
        gpu = torch.cuda.get_device_properties(0)
        return "✓", f"{torch.cuda.device_count()} GPU: {gpu.name}, {gpu.total_memory / 2**30:.0f} GB; {speed}"
    if device.type == "mps":
        return "✓", f"Apple GPU (mps); {speed}"
    return "✓", f"CPU only ({speed}): all lessons run; a GPU makes the trainings of lesson 14 quick"


def _memory() -> tuple[str, str]:
    import psutil

    free = psutil.virtual_memory().available / 2**30
    return (
        ("✓", f"{free:.1f} GB of memory free")
        if free > 3
        else ("!", f"{free:.1f} GB of memory free: a lesson may need 2")
    )


def _disk() -> tuple[str, str]:
    free = shutil.disk_usage(ROOT).free / 2**30
    return (
        ("✓", f"{free:.0f} GB of disk free")
        if free > 2
        else ("!", f"{free:.1f} GB of disk free: a training may need 1")
    )


def _widgets() -> tuple[str, str]:
    try:
        return (
            "✓",
            f"widgets: ipywidgets {metadata.version('ipywidgets')} in JupyterLab {metadata.version('jupyterlab')}",
        )
    except metadata.PackageNotFoundError as error:
        return "✗", f"no widgets without {error.name}: pip install -c constraints.txt -e ."


def _checkpoints() -> tuple[str, str]:
    found = sorted(p.parent.name for p in CHECKPOINTS.glob("*/recipe.json"))
    if found:
        return "✓", f"trained models: {', '.join(found)}"
    return "✗", f"no trained models in {CHECKPOINTS.relative_to(ROOT)}: get the whole repository"


def _data() -> tuple[str, str]:
    folder = data_folder()
    if folder is None:
        return "✓", "digits, photos and 2-D sets are here; MNIST is downloaded when a recipe asks for it"
    if folder.is_dir():
        return "✓", f"COURSE_DATA: {folder}"
    return "✗", f"COURSE_DATA names {folder}, which is no folder: correct it, or unset it"
