"""Does a model make new images, or repeat those that it was shown?"""

import torch
from torch import Tensor


def nearest_distance(x0: Tensor, training: Tensor) -> Tensor:
    """The distance of each image to its nearest training image, root mean square over the pixels: (n,).

    x0: (n, …), training: (m, …), the same pixels. 0 is a copy; held-out images tell what is usual.
    """
    pixels = x0[0].numel()
    training = training.flatten(1)
    return torch.cat([torch.cdist(part, training).min(1).values for part in x0.flatten(1).split(500)]) / pixels**0.5
