"""The eye that judges: a small classifier trained by the course, and the distance that real digits have in its view."""

from dataclasses import dataclass

import torch
from torch import Tensor

from course_lib import checks
from course_lib.data import Dataset, check_images, check_labels, check_scale, load
from course_lib.metrics.frechet import frechet_draws
from course_lib.training import CheckpointError, Trained, load_trained

SAMPLES, DRAWS = 500, 10


class Features:
    """Images to feature vectors, by the classifier that is shipped for a data set (`features-digits`, …).

    Points in the plane are their own features. reference: the mean Frechet distance between training and held-out
    images, the scale of every FD ratio; it was measured once and is stored with the classifier.
    Raises CheckpointError where there is no classifier for the data.
    """

    def __init__(self, data: str):
        self.data = load(data)
        self.trained = load_trained(f"features-{data}") if self.data.levels else None

    @property
    def reference(self) -> float:
        if self.trained is None:
            return frechet_draws(self.data.train.x0, self.data.held_out.x0, SAMPLES, DRAWS).mean().item()
        if "reference" not in self.trained.card:
            name = self.trained.recipe.name
            raise CheckpointError(
                f"{name} has no reference distance yet: measure it by `course evaluate {name} --save`"
            )
        return self.trained.card["reference"]["fd"]

    def __call__(self, x0: Tensor) -> Tensor:
        """(n, channels, size, size) images to (n, features), in batches; (n, 2) points as they are.

        Raises ValueError for images on another scale than [-1, 1], beyond which they are clipped, and of another shape.
        """
        if checks.batch("x0", x0).shape[1:] != self.data.shape:
            raise ValueError(f"x0 must be of the shape (n, *{self.data.shape}); got {tuple(x0.shape)}")
        return x0 if self.trained is None else extract(self.trained, check_scale(x0))


def extract(trained: Trained, x0: Tensor) -> Tensor:
    """Feature vectors of a classifier, in batches, without gradients."""
    with torch.no_grad():
        return torch.cat([trained.model.features(part) for part in x0.clamp(-1, 1).split(1000)])


@dataclass(frozen=True)
class ConditionAccuracy:
    """accuracy: the share of n generated images that the classifier reads as the label they were asked for, with its
    standard error; held_out: the share of real, unseen images that it reads rightly, which no model should beat by much.
    """

    accuracy: float
    standard_error: float
    held_out: float
    n: int


def condition_accuracy(x0: Tensor, label: Tensor, data: str) -> ConditionAccuracy:
    """Whether images are of the class they were asked for, by the data's feature classifier.

    x0: (n, channels, size, size) in [-1, 1]; label: (n,) whole numbers of the classes. Raises ValueError for images that are
    none of the data's, where their numbers differ, and for a label that is no class.
    """
    dataset = load(data)
    if not dataset.levels:
        raise ValueError(f"{data} has no classifier: it holds points, not images")
    check_images(x0)
    if not torch.is_tensor(label) or label.ndim != 1:
        raise ValueError(f"label must be a tensor (n,); got {checks.shown(label)}")
    if len(x0) != len(label) or len(x0) == 0:
        raise ValueError(f"each image needs its label; got {len(x0)} images and {len(label)} labels")
    if x0.shape[1:] != dataset.shape:
        raise ValueError(f"images of {data} have the shape {dataset.shape}; got {tuple(x0.shape[1:])}")
    check_labels(label, dataset)
    features = Features(data)
    share = (classify(features.trained, x0) == label).double().mean().item()
    return ConditionAccuracy(share, (share * (1 - share) / len(x0)) ** 0.5, features.trained.card["accuracy"], len(x0))


def classify(trained: Trained, x0: Tensor) -> Tensor:
    """The class that a classifier reads in each image, (n,), in batches."""
    with torch.no_grad():
        return torch.cat([trained.model.logits(part).argmax(1) for part in x0.clamp(-1, 1).split(1000)])


def measure_reference(trained: Trained, data: Dataset) -> dict:
    """What a feature network's recipe.json says: its accuracy, and the distance of training from held-out images."""
    held_out = data.held_out
    if not hasattr(trained.model, "features") or data.name != trained.recipe.data:
        wanted = f"a classifier and the data that it learned from ({trained.recipe.data})"
        raise ValueError(f"a reference is measured of {wanted}; got {trained.recipe.name} and {data.name}")
    fd = frechet_draws(extract(trained, data.train.x0), extract(trained, held_out.x0), SAMPLES, DRAWS)
    return {
        "accuracy": (classify(trained, held_out.x0) == held_out.label).double().mean().item(),
        "reference": {"fd": fd.mean().item(), "spread": fd.std().item(), "n": SAMPLES, "draws": DRAWS},
    }
