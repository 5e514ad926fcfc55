"""How much faster is a training step where PyTorch's idle threads soon sleep, as the course lets them, instead of spin?

    python benchmarks/wait_policy.py [--rounds 5]

A step of a U-Net on 128 images of 8 × 8 pixels on the CPU, in fresh processes with the course's settings (QUIET in
course_lib/threads.py) and without in turn: on a quiet machine, and beside one process that is always busy. The ratio is
taken round by round, since machines change their speed. Run it where nothing else runs.
"""

import argparse
import os
import runpy
import statistics
import subprocess
import sys
import time
from pathlib import Path

THREADS = Path(__file__).parents[1] / "course_lib" / "threads.py"
QUIET = runpy.run_path(str(THREADS))["QUIET"]  # importing course_lib would make the settings
WARM, COUNTED = 3, 10


def milliseconds() -> float:
    """The median step in this process: forward, backward and optimizer, COUNTED times after WARM ones."""
    import torch  # before course_lib, which would make the settings

    from course_lib.diffusion import Denoiser, NoiseSchedule, V
    from course_lib.nets import UNet

    generator = torch.Generator().manual_seed(0)
    images = 2 * torch.rand(128, 1, 8, 8, generator=generator) - 1
    model = Denoiser(UNet(channels=1, size=8), NoiseSchedule.cosine(), target=V)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    moments = []
    for _ in range(WARM + COUNTED + 1):
        optimizer.zero_grad()
        model(images, generator=generator).backward()
        optimizer.step()
        moments.append(time.perf_counter())
    return 1000 * statistics.median(b - a for a, b in zip(moments[WARM:], moments[WARM + 1 :], strict=False))


def step_with(settings: dict[str, str]) -> float:
    """Milliseconds of a training step in a fresh process with these settings of OpenMP's threads, and no other ones."""
    environment = {name: value for name, value in os.environ.items() if name not in QUIET}
    command = [sys.executable, __file__, "--one"]
    ran = subprocess.run(command, env=environment | settings, check=True, capture_output=True, text=True)
    return float(ran.stdout)


def compare(rounds: int) -> str:
    """The medians of both, and the median and the range of their ratios."""
    pairs = []
    for i in range(rounds):  # who goes first changes, so that a machine that warms up favours neither
        order = (False, True) if i % 2 == 0 else (True, False)
        took = {quiet: step_with(QUIET if quiet else {}) for quiet in order}
        pairs.append((took[False], took[True]))
    ratios = sorted(without / with_settings for without, with_settings in pairs)
    without, with_settings = (statistics.median(side) for side in zip(*pairs, strict=True))
    return (
        f"without {without:.0f} ms, with them {with_settings:.0f} ms; median ratio of {rounds} rounds "
        f"{statistics.median(ratios):.2f} ({ratios[0]:.2f} to {ratios[-1]:.2f})"
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--one", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        print(milliseconds())
        sys.exit()
    print("quiet:", compare(arguments.rounds), flush=True)
    busy = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        print("beside one busy process:", compare(arguments.rounds))
    finally:
        busy.kill()
        busy.wait()
