"""Images from any trained model, block by block."""

import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from tqdm.auto import tqdm

from course_lib import checks
from course_lib.models.protocol import makes_images, options_of

FIRST_BLOCKS, BLOCK, GPU_BLOCK = (16, 16, 32), 64, 256  # images that are made together: few cost little, many are quick


def generate(
    model: nn.Module, n: int, seed: int = 0, cond: Tensor | None = None, progress: bool = False, **options: Any
) -> Tensor:
    """n images (n, …) of a model that samples, on its device; the same seed gives the same images, whatever n is.

    They are made in whole blocks, each from a seed of its own, and what is too many is dropped: so image i depends on the
    seed, i and its own cond alone, bit for bit on one machine. cond: (n, …), what each is to show. progress: show a bar
    where it takes more than two seconds. options: those of the model's `sample`. Raises ValueError, with the names that it
    takes, for another one; where n or seed is no whole number in its range; where cond has not one entry for each image.
    """
    n, seed = checks.whole("n", n, 1), checks.whole("seed", seed, 0)
    if not isinstance(model, nn.Module):
        raise ValueError(f"model must be a model, such as `load_trained(name).model`; got {checks.shown(model)}")
    if not makes_images(model):
        raise ValueError(f"a {type(model).__name__} makes no images: it has no `sample`")
    if cond is not None and (not torch.is_tensor(cond) or cond.ndim == 0 or len(cond) != n):
        given = tuple(cond.shape) if torch.is_tensor(cond) else type(cond).__name__
        raise ValueError(f"cond must be a tensor with one entry for each of the {n} images; got {given}")
    taken = options_of(model)
    if unknown := [name for name in options if name not in taken]:
        raise ValueError(f"this model takes no {', '.join(unknown)}; its options are: {', '.join(taken) or 'none'}")
    device = next((tensor.device for tensor in model.state_dict().values()), torch.device("cpu"))
    generator, images = torch.Generator(device), []
    bar = tqdm(total=n, desc="images", unit="image", delay=2, leave=False, disable=not progress)
    with torch.no_grad(), bar:
        for i, (start, size) in enumerate(blocks(n, device)):
            generator.manual_seed(_seed_of_block(seed, i))
            part = None if cond is None else _filled(cond[start : start + size].to(device), size)
            images.append(model.sample(size, generator, part, **options))
            bar.update(min(size, n - start))
    return torch.cat(images)[:n]


def blocks(n: int, device: torch.device) -> Iterator[tuple[int, int]]:
    """(start, size) of the blocks that hold n images: the same ones for every n, as many as it takes."""
    first = FIRST_BLOCKS if device.type == "cpu" else ()
    sizes = itertools.chain(first, itertools.repeat(BLOCK if device.type == "cpu" else GPU_BLOCK))
    start = 0
    while start < n:
        size = next(sizes)
        yield start, size
        start += size


def _seed_of_block(seed: int, i: int) -> int:
    """The first block has the seed itself; the others have seeds that share nothing with their neighbours'."""
    return seed if i == 0 else int(np.random.SeedSequence((seed, i)).generate_state(1, np.uint64)[0] >> 1)


def _filled(cond: Tensor, size: int) -> Tensor:
    """A block of conditions, the last one repeated where some are missing."""
    return torch.cat([cond, cond[-1:].expand(size - len(cond), *cond.shape[1:])])
