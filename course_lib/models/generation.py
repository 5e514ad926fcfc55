"""Images from any trained model, in batches."""

from typing import Any

import torch
from torch import Tensor, nn

from course_lib.models.protocol import makes_images, options_of

BATCH = 500


def generate(model: nn.Module, n: int, seed: int = 0, cond: Tensor | None = None, **options: Any) -> Tensor:
    """n images (n, …) of a model that samples, on its device; the same seed gives the same images.

    cond: (n, …), what each is to show. options: those of the model's `sample`. Raises ValueError, with the names that it
    takes, for another one, and where n is below 1 or cond has not one entry for each image.
    """
    if n < 1:
        raise ValueError(f"n must be at least 1; got {n}")
    if not makes_images(model):
        raise ValueError(f"a {type(model).__name__} makes no images: it has no `sample`")
    if cond is not None and len(cond) != n:
        raise ValueError(f"cond must have one entry for each of the {n} images; got {len(cond)}")
    taken = options_of(model)
    if unknown := [name for name in options if name not in taken]:
        raise ValueError(f"this model takes no {', '.join(unknown)}; its options are: {', '.join(taken) or 'none'}")
    device = next((tensor.device for tensor in model.state_dict().values()), torch.device("cpu"))
    generator = torch.Generator(device).manual_seed(seed)
    parts = [None] * -(-n // BATCH) if cond is None else cond.to(device).split(BATCH)
    with torch.no_grad():
        images = [model.sample(min(BATCH, n - i * BATCH), generator, part, **options) for i, part in enumerate(parts)]
    return torch.cat(images)
