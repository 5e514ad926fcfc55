"""Where the encoder puts MNIST's digits on the map of its VAE with two latent numbers (lesson 03)."""

from typing import Any

import torch

from course_lib.data import load
from course_lib.experiments.common import rounded
from course_lib.training import finished

IMAGES = 1500


def measure() -> dict[str, Any]:
    """The encoder's means of the first held-out images, and what they show; the KL and the reconstruction of all."""
    model, held_out = finished("vae-mnist-map").model, load("mnist").held_out
    x0, label = held_out.x0[:IMAGES], held_out.label[:IMAGES]
    with torch.no_grad():
        mu, _ = model.encode(x0)
        generator = torch.Generator().manual_seed(0)
        parts = model(held_out.x0, **model.draw(held_out.x0.shape, generator, torch.device("cpu")))
    return {
        "model": "vae-mnist-map",
        "images": IMAGES,
        "mean": rounded(mu, 3),
        "label": label.tolist(),
        "reconstruction": rounded(parts["reconstruction"]),
        "kl": rounded(parts["kl"]),
    }
