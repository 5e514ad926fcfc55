"""How much longer is `import course_lib` than `import torch`? The limit is 1.2 times.

    python benchmarks/import_time.py

Both are started in turn in fresh processes, and the ratio is taken pair by pair, since machines change their speed.
"""

import statistics
import subprocess
import sys
import time

PAIRS, LIMIT = 9, 1.2


def seconds(module: str) -> float:
    """Wall time of a fresh Python that imports a module."""
    start = time.perf_counter()
    subprocess.run([sys.executable, "-c", f"import {module}"], check=True)
    return time.perf_counter() - start


if __name__ == "__main__":
    seconds("course_lib"), seconds("torch")  # the first time reads from the disk
    pairs = [(seconds("torch"), seconds("course_lib")) for _ in range(PAIRS)]
    ratio = statistics.median(ours / torch for torch, ours in pairs)
    torch, ours = (statistics.median(side) for side in zip(*pairs, strict=True))
    print(
        f"import torch {torch:.2f} s, import course_lib {ours:.2f} s; median ratio of {PAIRS} pairs {ratio:.2f} (limit {LIMIT})"
    )
    sys.exit(ratio > LIMIT)
