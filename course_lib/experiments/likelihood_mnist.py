"""The likelihood of MNIST's test images under a VAE, by importance weighting, as papers report it (lesson 03b)."""

import math
from typing import Any

import torch
from tqdm.auto import tqdm

from course_lib.data import load
from course_lib.experiments.common import rounded
from course_lib.models.decoders import binarized
from course_lib.models.vae import kl_from_standard
from course_lib.training import finished

DRAWS = (1, 5, 50, 500, 5000)
AT_ONCE = 50  # draws of z for each image of a part


def measure() -> dict[str, Any]:
    """-ELBO and the bound of so many draws on -log P, in nats, for all 10,000 test images, each binarized once."""
    model, held_out = finished("vae-mnist").model, load("mnist").held_out
    generator = torch.Generator().manual_seed(0)
    x0 = binarized(held_out.x0, torch.rand(held_out.x0.shape, generator=generator))
    with torch.no_grad():
        mu, logvar = model.encode(x0)
        kl = kl_from_standard(mu, logvar)
        parts = [_bounds(model, *part, generator) for part in tqdm(_parts(x0, mu, logvar), desc="likelihood")]
    bounds, elbo = torch.cat([part[0] for part in parts]), torch.cat([part[1] for part in parts])
    return {
        "model": "vae-mnist",
        "images": len(x0),
        "kl": rounded(kl.sum(1).mean(), 5),
        "active": int((mu.var(0) > 0.01).sum()),
        "minus_elbo": _mean(-elbo),
        "draws": list(DRAWS),
        "minus_log_p": [_mean(-bounds[:, i]) for i in range(len(DRAWS))],
    }


def _parts(*tensors: torch.Tensor) -> list[tuple[torch.Tensor, ...]]:
    return list(zip(*(tensor.split(100) for tensor in tensors), strict=True))


def _bounds(model, x0, mu, logvar, generator) -> tuple[torch.Tensor, torch.Tensor]:
    """For each image: its bound after each of DRAWS, (images, 5), and the mean of all single ratios, (images,)."""
    n, total, found = len(x0), 0.0, []
    so_far, single = torch.full((n,), -math.inf, dtype=torch.float64), 0
    repeated = [tensor.repeat_interleave(AT_ONCE, dim=0) for tensor in (x0, mu, logvar)]
    while single < DRAWS[-1]:
        eps = torch.randn(n * AT_ONCE, mu.shape[1], generator=generator)
        ratio = model.log_ratio(*repeated, eps).view(n, AT_ONCE).double()
        total = total + ratio.sum(1)
        found += [
            so_far.logaddexp(ratio[:, : k - single].logsumexp(1)) - math.log(k)
            for k in DRAWS
            if single < k <= single + AT_ONCE
        ]
        so_far, single = so_far.logaddexp(ratio.logsumexp(1)), single + AT_ONCE
    return torch.stack(found, dim=1), total / single


def _mean(nats: torch.Tensor) -> dict[str, float]:
    return {"mean": rounded(nats.mean(), 5), "standard_error": rounded(nats.std() / math.sqrt(len(nats)), 2)}
