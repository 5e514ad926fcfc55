"""Why not just use a library? Image quality against seconds of training, for the course and two well-known libraries.

    pip install --target runs/peers --no-deps denoising-diffusion-pytorch einops ema-pytorch
    PYTHONPATH=runs/peers python benchmarks/quality_in_time.py [--seconds 15 30 60 120 160 240 480] [--plot quality.png]

The three train on the same digits and the same CPU in one process, in turns of a few seconds, so that a machine that
changes its speed favours none. Only training counts as time. At each mark the averaged weights make 3 sets of 1,000
images by 50 DDIM steps of the library's own sampler, in float32, and the FD ratio to held-out digits is measured. All
train on batches of 128 from memory, in bf16 where the course would (COURSE_BF16=0: in float32), with their own settings:

- course_lib: the recipe `ddpm-digits`, which ends by itself after 1,500 steps. 1,001,729 weights.
- diffusers: UNet2DModel and the defaults of its example unconditional_image_generation/train_unconditional.py (batch 16
  there): linear schedule, epsilon, AdamW at 1e-4, 500 steps of warm-up, a cosine over the whole time, and the averaged
  weights that its README turns on. 1,001,729 weights.
- denoising-diffusion-pytorch (lucidrains): Unet, and the defaults of GaussianDiffusion and Trainer (batch 16 there):
  sigmoid schedule, v, Adam at 1e-4 (8e-5 in its README), weights averaged every 10 steps. 1,026,981 weights.

None mirrors the images, as the Trainer's default does: a mirrored digit is none. The table goes to the terminal, the
numbers to benchmarks/results/quality-in-time.json, which is written anew after each mark. The training takes three times
the last mark, the sampling about as long again. For a quick look: --seconds 5 10 --sets 1 --images 500 --out look.json
"""

import argparse
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from contestants import BATCH, CONTESTANTS, CPU, DDIM_STEPS, Contestant
from torch import Tensor

import course_lib
from course_lib.data import load
from course_lib.metrics import quality
from course_lib.training import has_bf16, machine

OUT = Path(__file__).parent / "results" / "quality-in-time.json"
GOAL = 1 / 3
SLICE = 5  # seconds that each trains in its turn
WARM, COUNTED = 5, 20  # steps of a model that is thrown away, for the pace


@dataclass
class Entry:
    """A contestant with its own clock, and what was measured so far."""

    contestant: Contestant
    pace: float
    seconds: float = 0.0
    steps: int = 0
    ended: bool = False
    points: list[dict[str, Any]] = field(default_factory=list)

    def train_until(self, mark: float) -> None:
        while not self.ended and self.seconds < mark:
            begun = time.perf_counter()
            self.ended = not self.contestant.step()
            self.seconds += time.perf_counter() - begun
            self.steps += not self.ended

    def measure(self, sets: int, images: int) -> bool:
        """Append a point; False where nothing was trained since the last one."""
        if self.points and self.points[-1]["steps"] == self.steps:
            return False
        begun = time.perf_counter()
        q = quality([self.contestant.sample(images, seed) for seed in range(sets)], "digits")
        self.points.append({
            "seconds": round(self.seconds, 2), "steps": self.steps,
            "fd_ratio": q.over_seeds.mean, "spread": q.over_seeds.spread,
            "precision": q.precision.mean, "recall": q.recall.mean, "c2st": q.c2st.mean, "copies": q.copies.share,
            "measured_in": round(time.perf_counter() - begun, 1),
        })  # fmt: skip
        return True


def enter(kind: type, x0: Tensor, seconds: float) -> Entry:
    """Find the pace with a model that is thrown away, and build a fresh one for the time that there is."""
    contestant = kind(x0, steps=1000)
    for step in range(WARM + COUNTED):
        if step == WARM:
            begun = time.perf_counter()
        contestant.step()
    pace = (time.perf_counter() - begun) / COUNTED
    return Entry(kind(x0, steps=round(seconds / pace)), pace)


def compare(marks: Sequence[float], sets: int, images: int, out: Path) -> dict[str, Any]:
    """Train and measure all, mark by mark; what was found so far is always in the file."""
    x0 = load("digits").train.x0
    entries = {name: enter(kind, x0, marks[-1]) for name, kind in CONTESTANTS.items()}
    found = _made(marks, sets, images) | {"models": {
        name: {
            "weights": sum(p.numel() for p in entry.contestant.model.parameters()),
            "ms_per_step": round(1000 * entry.pace, 1),
            "points": entry.points,
        }
        for name, entry in entries.items()
    }}  # fmt: skip
    for name, model in found["models"].items():
        print(f"{name}: {model['weights']:,} weights, about {model['ms_per_step']} ms a step", flush=True)
    trained = 0.0
    for mark in marks:
        while trained < mark:
            trained = min(trained + SLICE, mark)
            for entry in entries.values():
                entry.train_until(trained)
        for name, entry in entries.items():
            if entry.measure(sets, images):
                point = entry.points[-1]
                print(
                    f"{time.strftime('%H:%M:%S')}  {name}, {point['seconds']:.0f} s, step {entry.steps}: FD ratio "
                    f"{_fd(point)}, precision {point['precision']:.2f}, recall {point['recall']:.2f} "
                    f"(measured in {point['measured_in']:.0f} s)",
                    flush=True,
                )
        found["reached"] = reached(found["models"])
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    return found


def reached(models: dict[str, Any]) -> dict[str, Any]:
    """For each peer's last FD ratio: the first mark at which the course's was as low, and the ratio of the times."""
    ours, found = models["course_lib"]["points"], {}
    for name in models.keys() - {"course_lib"}:
        theirs = models[name]["points"][-1]
        when = next((p["seconds"] for p in ours if p["fd_ratio"] <= theirs["fd_ratio"]), None)
        found[name] = {
            "fd_ratio": theirs["fd_ratio"], "seconds": theirs["seconds"], "course_seconds": when,
            "share": when and when / theirs["seconds"],
        }  # fmt: skip
    return found


def table(found: dict[str, Any]) -> str:
    """FD ratios, a row for each mark and a column for each library, and who reached what when."""
    models = found["models"]
    rows = ["   mark " + "".join(f"{name:>30}" for name in models)]
    for i, mark in enumerate(found["marks"]):
        points = [model["points"][min(i, len(model["points"]) - 1)] for model in models.values()]
        ended = [f" (ended: {p['seconds']:.0f} s)" if p["seconds"] < mark else "" for p in points]
        rows.append(f"{mark:5g} s " + "".join(f"{_fd(p) + e:>30}" for p, e in zip(points, ended, strict=True)))
    for name, r in sorted(found["reached"].items()):
        if r["course_seconds"] is None:
            end = "course_lib did not reach it"
        else:
            end = f"course_lib was there by {r['course_seconds']:.0f} s, in {r['share']:.2f} of the time"
        rows.append(f"{name} has {r['fd_ratio']:.2f} after {r['seconds']:.0f} s; {end} (goal: {GOAL:.2f})")
    return "\n".join(rows)


def plot(found: dict[str, Any], file: Path) -> None:
    """FD ratio over seconds of training, both axes logarithmic."""
    import matplotlib.pyplot as plt

    ax = plt.subplots(figsize=(7, 4), layout="constrained")[1]
    for (name, model), look in zip(found["models"].items(), ("o-", "s--", "^-."), strict=True):
        points = model["points"]
        spread = [p["spread"] or 0 for p in points]
        ax.errorbar([p["seconds"] for p in points], [p["fd_ratio"] for p in points], spread, fmt=look, label=name)
    ax.set(xscale="log", yscale="log", xlabel="seconds of training", ylabel="FD ratio (real images: 1)")
    ax.legend()
    ax.figure.savefig(file, dpi=150)


def _fd(point: dict[str, Any]) -> str:
    return f"{point['fd_ratio']:.2f}" + (f" ± {point['spread']:.2f}" if point["spread"] is not None else "")


def _made(marks: Sequence[float], sets: int, images: int) -> dict[str, Any]:
    return {
        "command": f"python benchmarks/quality_in_time.py --seconds {' '.join(f'{mark:g}' for mark in marks)}",
        "version": course_lib.__version__, "torch": torch.__version__.split("+")[0], "machine": machine(CPU),
        "threads": torch.get_num_threads(), "bf16": has_bf16(CPU),
        "libraries": {name: version(name) for name in CONTESTANTS if name != "course_lib"},
        "data": "digits", "batch": BATCH, "ddim_steps": DDIM_STEPS, "sets": sets, "images": images,
        "marks": list(marks),
    }  # fmt: skip


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, nargs="+", default=[15, 30, 60, 120, 160, 240, 480])
    parser.add_argument("--sets", type=int, default=3, help="sets of images at each mark, one for each sampling seed")
    parser.add_argument("--images", type=int, default=1000, help="images in a set, at least 500")
    parser.add_argument("--out", type=Path, default=OUT)
    parser.add_argument("--plot", type=Path, help="draw the result into this file")
    arguments = parser.parse_args()
    result = compare(sorted(arguments.seconds), arguments.sets, arguments.images, arguments.out)
    print(table(result))
    if arguments.plot:
        plot(result, arguments.plot)
