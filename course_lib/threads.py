"""How PyTorch's threads wait for one another, which decides how fast a busy machine is."""

import os

# Sleep, but only after a short while (so many rounds of a loop in GNU's OpenMP, some microseconds): threads that sleep at
# once make a quiet machine slower by half, threads that never do make a busy one many times slower.
QUIET = {"OMP_WAIT_POLICY": "PASSIVE", "GOMP_SPINCOUNT": "5000"}


def quiet_waiting() -> None:
    """Let idle OpenMP threads soon sleep instead of spin, here and in every process that this one starts.

    Spinning threads take the cores from whatever else runs (benchmarks/wait_policy.py). OpenMP reads the variables when
    torch is loaded, so call this before `import torch`; what the user has set is kept.
    """
    if os.environ.setdefault("OMP_WAIT_POLICY", QUIET["OMP_WAIT_POLICY"]) == QUIET["OMP_WAIT_POLICY"]:
        os.environ.setdefault("GOMP_SPINCOUNT", QUIET["GOMP_SPINCOUNT"])
