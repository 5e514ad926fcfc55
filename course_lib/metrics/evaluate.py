"""One call that says how good a trained diffusion model's images are, with everything the number depends on."""

from dataclasses import dataclass

from torch import Tensor

from course_lib.data import load
from course_lib.metrics.features import DRAWS, SAMPLES, Features
from course_lib.metrics.frechet import frechet_draws
from course_lib.metrics.memorizing import nearest_distance


@dataclass(frozen=True)
class Quality:
    """fd_ratio: mean FD(generated, held-out) over FD(training, held-out); 1.0 is as close to unseen images as the
    training images are. `spread` is the standard deviation of one draw's ratio, over `draws` draws of `n` images a side.

    nearest, nearest_held_out: the mean distance to the nearest training image (RMS a pixel) of generated and of held-out
    images. A model that memorizes has a small `nearest`, and its fd_ratio is worth nothing.
    """

    fd_ratio: float
    spread: float
    fd: float
    n: int
    draws: int
    nearest: float
    nearest_held_out: float

    def __str__(self) -> str:
        return (
            f"FD ratio {self.fd_ratio:.2f} ± {self.spread:.2f} ({self.draws} draws of {self.n}); "
            f"nearest training image at {self.nearest:.3f}, held-out images' at {self.nearest_held_out:.3f}"
        )


def quality(x0: Tensor, data: str) -> Quality:
    """How good generated images are. x0: at least 500 of the data set's shape. Raises ValueError for fewer."""
    dataset, features = load(data), Features(data)
    if x0.shape[1:] != dataset.shape:
        raise ValueError(f"images of {data} have the shape {dataset.shape}; got {tuple(x0.shape[1:])}")
    fd = frechet_draws(features(x0), features(dataset.held_out.x0), SAMPLES, DRAWS)
    training = dataset.train.x0
    return Quality(
        fd_ratio=(fd.mean() / features.reference).item(),
        spread=(fd.std() / features.reference).item(),
        fd=fd.mean().item(),
        n=SAMPLES,
        draws=DRAWS,
        nearest=nearest_distance(x0.clamp(-1, 1)[:1000], training).mean().item(),
        nearest_held_out=nearest_distance(dataset.held_out.x0[:1000], training).mean().item(),
    )
