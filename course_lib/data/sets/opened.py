"""A picture file as a small square on white, for the sets that are made of files."""

from pathlib import Path

import numpy as np
import torch
from torch import Tensor


def opened(path: Path, size: int) -> Tensor:
    """(3, size, size) in [-1, 1]: cut to a square and made small, on white. Raises what Pillow raises for no picture."""
    from PIL import Image, ImageOps

    with Image.open(path) as file:
        drawn = ImageOps.exif_transpose(file).convert("RGBA")
    flat = Image.alpha_composite(Image.new("RGBA", drawn.size, "white"), drawn).convert("RGB")
    square = ImageOps.fit(flat, (size, size), Image.Resampling.LANCZOS)
    return torch.from_numpy(np.asarray(square).copy()).permute(2, 0, 1) / 127.5 - 1
