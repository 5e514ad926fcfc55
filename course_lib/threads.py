"""How PyTorch's threads wait for one another, which decides how fast a busy machine is."""

import os


def quiet_waiting() -> None:
    """Let idle OpenMP threads sleep instead of spin, here and in every process that this one starts.

    Spinning threads take the cores from whatever else runs, and a training step can take many times as long
    (benchmarks/wait_policy.py). OpenMP reads the variable when torch is loaded, so call this before `import torch`; a
    value that the user has set is kept.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
