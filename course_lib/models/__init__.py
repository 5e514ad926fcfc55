"""All that is trained, one file a model, each with the methods of `Trainable`; MODELS has a builder for each name."""

from collections.abc import Callable

from torch import nn

from course_lib.models.classifier import Classifier
from course_lib.models.denoisers import ImageDenoiser, choose, unet_denoiser
from course_lib.models.generation import generate
from course_lib.models.protocol import (
    Loss,
    Trainable,
    check_draws,
    check_loss,
    check_protocol,
    makes_images,
    options_of,
    parts_of,
)

MODELS: dict[str, Callable[..., nn.Module]] = {"unet-denoiser": unet_denoiser, "classifier": Classifier}

__all__ = [
    "MODELS", "Classifier", "ImageDenoiser", "Loss", "Trainable", "check_draws", "check_loss", "check_protocol", "choose",
    "generate", "makes_images", "options_of", "parts_of", "unet_denoiser",
]  # fmt: skip
