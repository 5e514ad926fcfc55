"""How much faster is a training step where PyTorch's idle threads sleep (OMP_WAIT_POLICY=PASSIVE) instead of spin?

    python benchmarks/wait_policy.py [--rounds 5]

A step of a U-Net on 128 images of 8 × 8 pixels on the CPU, in fresh processes with the policy and without in turn: on a
quiet machine, and beside one process that is always busy. The ratio is taken round by round, since machines change their
speed. Run it where nothing else runs.
"""

import argparse
import os
import statistics
import subprocess
import sys
import time

POLICY = "OMP_WAIT_POLICY"
WARM, COUNTED = 3, 10


def milliseconds() -> float:
    """The median step in this process: forward, backward and optimizer, COUNTED times after WARM ones."""
    import torch  # before course_lib, which would set the policy

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


def step_with(policy: str | None) -> float:
    """Milliseconds of a training step in a fresh process whose environment holds this policy, or none."""
    environment = {name: value for name, value in os.environ.items() if name != POLICY}
    if policy:
        environment[POLICY] = policy
    command = [sys.executable, __file__, "--one"]
    ran = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
    return float(ran.stdout)


def compare(rounds: int) -> str:
    """The medians of both, and the median and the range of their ratios."""
    pairs = []
    for i in range(rounds):  # who goes first changes, so that a machine that warms up favours neither
        order = (None, "PASSIVE") if i % 2 == 0 else ("PASSIVE", None)
        took = {policy: step_with(policy) for policy in order}
        pairs.append((took[None], took["PASSIVE"]))
    ratios = sorted(without / with_policy for without, with_policy in pairs)
    without, with_policy = (statistics.median(side) for side in zip(*pairs, strict=True))
    return (
        f"without {without:.0f} ms, with PASSIVE {with_policy:.0f} ms; median ratio of {rounds} rounds "
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
