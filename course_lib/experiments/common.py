"""What several experiments need."""

import base64
import io

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from course_lib.data import Split, to_uint8
from course_lib.training import Recipe, Run


def rounded(values: Tensor | float, digits: int = 4) -> list | float:
    """A number, or a tensor as a list, to so many significant digits."""
    if isinstance(values, Tensor) and values.ndim:
        return [rounded(value, digits) for value in values]
    return float(f"{float(values):.{digits}g}")


def trained(recipe: Recipe, data: Split | None = None) -> nn.Module:
    """The averaged model of a recipe that was run to its end on the CPU, without a checkpoint. data: as in `Run`."""
    run = Run(recipe, device="cpu", data=data)
    for _ in run:
        pass
    return run.averaged.eval()


def as_sheet(x0: Tensor) -> str:
    """Pictures (n, channels, height, width) side by side, as the text of a PNG, for a JSON."""
    buffer = io.BytesIO()
    row = torch.cat(list(to_uint8(x0)), dim=2).permute(1, 2, 0)
    Image.fromarray(row.cpu().numpy()).save(buffer, format="PNG", optimize=True)
    return base64.b64encode(buffer.getvalue()).decode()


def from_sheet(text: str, n: int) -> Tensor:
    """The n pictures of a sheet, (n, 3, height, width) in [-1, 1]."""
    pixels = np.asarray(Image.open(io.BytesIO(base64.b64decode(text))))
    sheet = torch.from_numpy(pixels.copy()).permute(2, 0, 1) / 127.5 - 1
    return torch.stack(sheet.chunk(n, dim=2))
