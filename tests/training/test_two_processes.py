"""Two processes, each with half of the batch, compute what one computes with the whole of it.

`torchrun` starts them on this machine's CPU; they talk over 127.0.0.1.
"""

import dataclasses
import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import small_models
import torch
from safetensors.torch import load_file

import course_lib
from course_lib.data import Split
from course_lib.training import Recipe, Run, load_trained

NET = {"channels": 1, "size": 8, "width": 8, "multipliers": [1, 2], "blocks": 1, "attention": [4], "groups": 4}
TINY = Recipe(name="tiny", data="digits", model="unet-denoiser", options=NET, steps=12, batch=8, warmup=3)
IMAGES = 2 * torch.rand(32, 1, 8, 8, generator=torch.Generator().manual_seed(0)) - 1
DATA = Split(IMAGES, torch.arange(32) % 10)
TURNS = dataclasses.replace(small_models.GAN, steps=12, rate=3e-3, labels=True)
PENALIZED = Recipe(
    "penalized", "digits", "gan", {"shape": [1, 8, 8], "k": 4, "width": 4, "loss": "wasserstein", "penalty": 10.0, "critic_turns": 2},
    steps=12, batch=8, warmup=3, rate=3e-3, betas=(0.0, 0.9),
)  # fmt: skip

DRIVER = """
import dataclasses, json, sys
from pathlib import Path

import torch
from safetensors.torch import save_file

import small_models
from course_lib.data import Split
from course_lib.training import Recipe, Run

small_models.register()
home, recipe = Path(sys.argv[1]), Recipe.from_json(json.loads(sys.argv[2]))
images = 2 * torch.rand(32, 1, 8, 8, generator=torch.Generator().manual_seed(0)) - 1
data = Split(images, torch.arange(32) % 10)

run = Run(recipe, home / "run", device="cpu", data=data, every=1, save_every=5)
losses = [progress.loss for progress in run]
rank = run.accelerator.process_index
save_file({name: value.contiguous() for name, value in run.raw.state_dict().items()}, home / f"raw-{rank}.safetensors")
save_file(
    {name: value.contiguous() for name, value in run.averaged.state_dict().items()},
    home / f"average-{rank}.safetensors",
)
try:
    Run(dataclasses.replace(recipe, batch=7), device="cpu", data=data)
    odd = ""
except ValueError as error:
    odd = str(error)
told = {"losses": losses, "processes": run.accelerator.num_processes, "odd": odd}
(home / f"told-{rank}.json").write_text(json.dumps(told), encoding="utf-8")
torch.distributed.destroy_process_group()
"""


def free_port():
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        return unused.getsockname()[1]


@pytest.fixture(autouse=True, scope="module")
def precision():
    """In float32 alone: sums of other lengths round differently, and bfloat16 would drown what is compared."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COURSE_BF16", "0")
        yield


@pytest.fixture(scope="module", params=[TINY, TURNS, PENALIZED], ids=lambda recipe: recipe.name)
def recipe(request):
    small_models.register()
    yield request.param
    small_models.unregister()


@pytest.fixture(scope="module")
def two(recipe, tmp_path_factory):
    """The folder that two processes wrote."""
    if not torch.distributed.is_available() or not torch.distributed.is_gloo_available():
        pytest.skip("needs PyTorch with gloo")
    home = tmp_path_factory.mktemp("two")
    (home / "driver.py").write_text(DRIVER, encoding="utf-8")
    places = os.pathsep.join(
        str(Path(module.__file__).parents[up]) for module, up in ((course_lib, 1), (small_models, 0))
    )
    alone = {"OMP_NUM_THREADS": "1", "PYTHONPATH": places}
    done = subprocess.run(
        [
            sys.executable, "-m", "torch.distributed.run", "--nproc_per_node=2", "--master_addr=127.0.0.1",
            f"--master_port={free_port()}", home / "driver.py", home, json.dumps(recipe.as_json()),
        ],
        env={**os.environ, **alone}, capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return home


@pytest.fixture(scope="module")
def one(recipe):
    """The same recipe in this process: the Run and its losses."""
    run = Run(recipe, device="cpu", data=DATA, every=1)
    return run, [progress.loss for progress in run]


def told_by(two, rank):
    return json.loads((two / f"told-{rank}.json").read_text(encoding="utf-8"))


def test_two_processes_ran_and_report_the_same_losses(two):
    assert [told_by(two, rank)["processes"] for rank in (0, 1)] == [2, 2]
    assert told_by(two, 0)["losses"] == told_by(two, 1)["losses"]


def test_two_processes_reach_the_losses_of_one_with_the_joint_batch(two, one):
    assert torch.allclose(torch.tensor(told_by(two, 0)["losses"]), torch.tensor(one[1]), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("kind", ["raw", "average"])
def test_two_processes_reach_the_weights_of_one(two, one, kind):
    run = one[0]
    expected = run.raw.state_dict() if kind == "raw" else run.averaged.state_dict()
    first, second = (load_file(two / f"{kind}-{rank}.safetensors") for rank in (0, 1))
    assert first.keys() == second.keys() == expected.keys()
    for name, values in expected.items():
        assert torch.equal(first[name], second[name]), name
        assert torch.allclose(first[name], values, rtol=0, atol=1e-4), name


def test_the_weights_moved_far_more_than_the_tolerance(recipe, one):
    """So that agreeing within it says something."""
    run, start = one[0], Run(recipe, device="cpu", data=DATA)
    moved = [(a - b).abs().max() for a, b in zip(run.raw.parameters(), start.raw.parameters(), strict=True)]
    assert torch.stack(moved).median() > 1e-3


def test_half_of_the_batch_alone_would_not_do(recipe, one):
    """One process that had trained on the first half of each batch is seen to differ by the same measure."""
    half = Run(dataclasses.replace(recipe, batch=4), device="cpu", data=DATA, every=1)
    losses = [progress.loss for progress in half]
    assert not torch.allclose(torch.tensor(losses), torch.tensor(one[1]), rtol=1e-4, atol=1e-5)
    apart = [(a - b).abs().max() for a, b in zip(half.raw.parameters(), one[0].raw.parameters(), strict=True)]
    assert torch.stack(apart).median() > 1e-3


def test_one_of_two_processes_writes_the_checkpoints_and_one_alone_can_use_them(two):
    out = two / "run"
    assert sorted(path.name for path in out.iterdir()) == ["latest", "step-000010", "step-000012"]
    trained = load_trained(out)
    average = load_file(two / "average-0.safetensors")
    assert all(torch.equal(values, average[name]) for name, values in trained.model.state_dict().items())


def test_a_run_of_two_processes_is_resumed_by_one(recipe, two, one, tmp_path):
    (tmp_path / "run").mkdir()
    (two / "run" / "step-000010").rename(tmp_path / "run" / "step-000010")
    run = Run(recipe, tmp_path / "run", device="cpu", data=DATA, every=1, resume=True)
    assert [progress.step for progress in run] == [11, 12]
    pairs = zip(run.raw.parameters(), one[0].raw.parameters(), strict=True)
    assert all(torch.allclose(a, b, rtol=0, atol=1e-4) for a, b in pairs)


def test_a_batch_that_two_processes_can_not_share_is_refused(two):
    for rank in (0, 1):
        assert told_by(two, rank)["odd"] == "a batch of 7 can't be split over 2 processes"
