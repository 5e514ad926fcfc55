"""What this machine has, what it lacks, and how to get it: the same lines every time, as long as nothing changes.

✓ is here; ✗ is missing, and the course needs it; ! works, but not well; · is missing, and few need it.
"""

import importlib.metadata as metadata
import os
import platform
import shutil
import sys
import tempfile
from pathlib import Path

from course_lib import paths

Finding = tuple[str, str]  # a mark, and what there is or what to do

EXTRAS = {  # what stands there without an extra's packages
    "lab": ("!", "`course lab` can't start"),
    "dev": ("·", "only `course test` and authors need it"),
}
KERNEL = "python3"  # the one that the lessons ask for
MEMORY, DISK = 3, 2  # GB that should be free


def examine() -> bool:
    """Print one line a finding; whether everything that the course needs is here."""
    findings = [
        _python(), *_packages(), _torch(), _threads(), _device(), _memory(), *_extras(), *_kernel(), _home(),
        *_checkpoints(), _data(),
    ]  # fmt: skip
    for mark, line in findings:
        print(mark, line)
    return all(mark != "✗" for mark, _ in findings)


def _python() -> Finding:
    fine = sys.version_info >= (3, 11)
    remedy = "" if fine else ": the course needs 3.11 or newer"
    mark = "✓" if fine else "✗"
    return mark, f"Python {platform.python_version()} on {platform.system()} {platform.machine()}{remedy}"


def _packages() -> list[Finding]:
    """A line for each package that the course needs and does not find, or one that all are here."""
    try:
        needs, unfit = _needs()
    except metadata.PackageNotFoundError:
        return [("✗", f"the course's files are here, but it is not installed: {_install()}")]
    return [("✗", f"{what}: {_install()}") for what in unfit] or [("✓", f"all {needs} packages are installed")]


def _extras() -> list[Finding]:
    try:
        needs = {extra: _needs(extra) for extra in EXTRAS}
    except metadata.PackageNotFoundError:
        return []
    lines = []
    for extra, (mark, consequence) in EXTRAS.items():
        count, unfit = needs[extra]
        if unfit:
            what = ", ".join(unfit) if len(unfit) < count else "not installed"
            lines.append((mark, f"[{extra}]: {what}; {consequence}: {_install(extra)}"))
        elif extra == "lab":
            lab, widgets = metadata.version("jupyterlab"), metadata.version("ipywidgets")
            lines.append(("✓", f"[lab]: JupyterLab {lab}, with widgets (ipywidgets {widgets})"))
        else:
            lines.append(("✓", "[dev]: all that the tests and an author need"))
    return lines


def _needs(extra: str = "") -> tuple[int, list[str]]:
    """How many packages the course needs, or one of its extras does, and what is wrong with those that don't fit.

    Raises PackageNotFoundError where the course itself is not installed.
    """
    from packaging.requirements import Requirement

    needs = [Requirement(line) for line in metadata.requires("course-lib") or []]
    if extra:
        needs = [n for n in needs if n.marker and n.marker.evaluate({"extra": extra})]
    else:
        needs = [n for n in needs if not n.marker or n.marker.evaluate({"extra": ""})]
    unfit = []
    for need in needs:
        try:
            found = metadata.version(need.name)
        except metadata.PackageNotFoundError:
            unfit.append(f"{need.name} is missing")
            continue
        if not need.specifier.contains(found, prereleases=True):
            unfit.append(f"{need.name} {found} does not fit ({need.specifier})")
    return len(needs), unfit


def _install(extra: str = "") -> str:
    """The line that installs what is missing, with this very Python."""
    python = paths.shorten(Path(sys.executable))
    python = f'"{python}"' if " " in python else python
    extra = f"[{extra}]" if extra else ""
    what = f'-c constraints.txt -e ".{extra}"' if paths.IS_CLONE else f'"course-lib{extra}"'
    return f"{python} -m pip install {what}"


def _torch() -> Finding:
    import torch

    return "✓", f"PyTorch {torch.__version__}"


def _threads() -> Finding:
    import torch

    threads, cores = torch.get_num_threads(), os.cpu_count() or 1
    line = f"{threads} thread{'s' * (threads > 1)} of PyTorch on {cores} core{'s' * (cores > 1)}"
    if "OMP_NUM_THREADS" in os.environ:
        line += f", as OMP_NUM_THREADS={os.environ['OMP_NUM_THREADS']} says"
    policy = os.environ.get("OMP_WAIT_POLICY", "")
    if policy.upper() == "PASSIVE":
        return "✓", f"{line}; they sleep while they wait"
    return "!", (
        f"{line}; OMP_WAIT_POLICY={policy} lets them spin while they wait, and training beside other work can take many "
        "times as long: unset it"
    )


def _device() -> Finding:
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


def _memory() -> Finding:
    import psutil

    if psutil.virtual_memory().available > MEMORY * 2**30:
        return "✓", f"more than {MEMORY} GB of memory free"
    return "!", f"less than {MEMORY} GB of memory free, and a lesson may need 2: close other programs"


def _kernel() -> list[Finding]:
    """Whether the kernel that a lesson asks for starts this Python; nothing where there is no Jupyter to start one."""
    try:
        from jupyter_client.kernelspec import KernelSpecManager, NoSuchKernel
    except ModuleNotFoundError:
        return []
    try:
        python = KernelSpecManager().get_kernel_spec(KERNEL).argv[0]
    except NoSuchKernel:
        return [("!", f"there is no kernel {KERNEL}, which the lessons ask for: {_install('lab')}")]
    starts, here = Path(python).parent, Path(sys.executable).parent
    if starts != Path() and starts.resolve() != here.resolve():  # a bare `python` is the one that Jupyter runs in
        remedy = f"{paths.shorten(Path(sys.executable))} -m ipykernel install --sys-prefix"
        return [("✗", f"the kernel {KERNEL}, which the lessons ask for, starts {python}, not this Python: {remedy}")]
    return [("✓", f"the kernel {KERNEL}, which the lessons ask for, starts this Python")]


def _home() -> Finding:
    """Where copies, trainings and downloads go, and whether there is room."""
    home = paths.HOME
    goes = "what you make goes to " + ("this clone" if paths.IS_CLONE and home == paths.ROOT else _tilde(home))
    there = next(folder for folder in (home, *home.parents) if folder.exists())
    try:
        with tempfile.TemporaryFile(dir=there):
            pass
    except OSError as error:
        return "✗", f"{goes}, which can't be written ({error.strerror}): name another folder in COURSE_HOME"
    if shutil.disk_usage(there).free > DISK * 2**30:
        return "✓", f"{goes}, which has more than {DISK} GB free"
    return "!", f"{goes}, which has less than {DISK} GB free, and a training may need 1: make room"


def _tilde(path: Path) -> str:
    return f"~/{path.relative_to(Path.home()).as_posix()}" if path.is_relative_to(Path.home()) else str(path)


def _checkpoints() -> list[Finding]:
    """The shipped models, each file compared with its hash."""
    from course_lib.training.checkpoint import damage_of

    folders = sorted(card.parent for card in paths.CHECKPOINTS.glob("*/recipe.json"))
    if not folders:
        return [("✗", f"there are no trained models in {paths.shorten(paths.CHECKPOINTS)}: get the course again")]
    damaged = {folder.name: damage for folder in folders if (damage := damage_of(folder))}
    lines = [
        ("✗", f"the trained model {name} is damaged ({damage}): get the course again")
        for name, damage in damaged.items()
    ]
    whole = [folder.name for folder in folders if folder.name not in damaged]
    return [*lines, ("✓", f"trained models: {', '.join(whole)}")] if whole else lines


def _data() -> Finding:
    from course_lib.data.sets import mnist

    folder = paths.data_folder()
    if folder is None:
        return "✓", "digits, photos and 2-D sets are here; MNIST is downloaded when a recipe asks for it"
    if not folder.is_dir():
        return "✗", f"COURSE_DATA names {folder}, which is no folder: correct it, or unset it"
    try:
        for file in mnist.MNIST.files.values():
            mnist._read_local(folder, mnist.MNIST.name, file)
    except (mnist.DataError, OSError) as error:
        return "✗", str(error)
    return "✓", f"digits, photos and 2-D sets are here; MNIST is whole in {folder}, which COURSE_DATA names"
