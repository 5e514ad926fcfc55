"""The course and two libraries, each trained a step at a time by its own settings, for `quality_in_time.py`.

Where the settings are from: examples/unconditional_image_generation/train_unconditional.py of huggingface/diffusers, and
Unet, GaussianDiffusion and Trainer of lucidrains/denoising-diffusion-pytorch 2.3.4.
"""

import sys
from importlib.util import find_spec
from types import ModuleType
from typing import Protocol

import torch
from diffusers import DDIMPipeline, DDIMScheduler, DDPMScheduler, UNet2DModel
from diffusers.optimization import get_scheduler
from diffusers.training_utils import EMAModel
from torch import Tensor, nn
from torch.nn import functional as F

from course_lib.models import generate
from course_lib.training import Run, has_bf16, recipe_named

CPU = torch.device("cpu")
BATCH, DDIM_STEPS, AT_ONCE = 128, 50, 500


class Contestant(Protocol):
    """What trains: made of the images in [-1, 1] and of how many steps there is time for."""

    model: nn.Module

    def step(self) -> bool:
        """Train one step; False where the training has come to its end."""

    def sample(self, n: int, seed: int) -> Tensor:
        """n images by the averaged weights, (n, 1, 8, 8) in [-1, 1]."""


class Course:
    def __init__(self, x0: Tensor, steps: int):  # noqa: ARG002 - the recipe knows both
        self.run = Run(recipe_named("ddpm-digits"), device="cpu", every=1)
        self.model, self.progress = self.run.raw, iter(self.run)

    def step(self) -> bool:
        return next(self.progress, None) is not None

    def sample(self, n: int, seed: int) -> Tensor:
        return generate(self.run.averaged, n, seed, steps=DDIM_STEPS)


class Diffusers:
    def __init__(self, x0: Tensor, steps: int):
        torch.manual_seed(0)
        self.x0, self.steps, self.bf16 = x0, steps, has_bf16(CPU)
        self.model = UNet2DModel(
            sample_size=x0.shape[-1],
            in_channels=x0.shape[1],
            out_channels=x0.shape[1],
            layers_per_block=2,
            block_out_channels=(32, 64),
            down_block_types=("DownBlock2D", "AttnDownBlock2D"),
            up_block_types=("AttnUpBlock2D", "UpBlock2D"),
        )
        self.process = DDPMScheduler(num_train_timesteps=1000, beta_schedule="linear", prediction_type="epsilon")
        self.optimizer = torch.optim.AdamW(
            self.model.parameters(), lr=1e-4, betas=(0.95, 0.999), weight_decay=1e-6, eps=1e-8
        )
        self.rate = get_scheduler("cosine", self.optimizer, num_warmup_steps=500, num_training_steps=steps)
        self.average = EMAModel(self.model.parameters(), decay=0.9999, use_ema_warmup=True, inv_gamma=1.0, power=3 / 4)

    def step(self) -> bool:
        x0 = _batch(self.x0)
        eps = torch.randn_like(x0)
        t = torch.randint(self.process.config.num_train_timesteps, (BATCH,))
        with torch.autocast("cpu", torch.bfloat16, enabled=self.bf16):
            eps_hat = self.model(self.process.add_noise(x0, eps, t), t).sample
        F.mse_loss(eps_hat.float(), eps).backward()
        nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimizer.step()
        if self.rate.last_epoch < self.steps:  # beyond its end a cosine would rise again
            self.rate.step()
        self.optimizer.zero_grad()
        self.average.step(self.model.parameters())
        return True

    def sample(self, n: int, seed: int) -> Tensor:
        pipeline = DDIMPipeline(self.model, DDIMScheduler.from_config(self.process.config))
        pipeline.set_progress_bar_config(disable=True)
        generator = torch.Generator().manual_seed(seed)
        self.average.store(self.model.parameters())
        self.average.copy_to(self.model.parameters())
        options = {"generator": generator, "num_inference_steps": DDIM_STEPS, "output_type": "pt"}
        images = [pipeline(batch_size=size, **options).images for size in _sizes(n)]
        self.average.restore(self.model.parameters())
        return 2 * torch.cat(images) - 1


class Lucidrains:
    def __init__(self, x0: Tensor, steps: int):  # noqa: ARG002 - its rate is constant
        library, average = _lucidrains()
        torch.manual_seed(0)
        self.x0, self.bf16 = (x0 + 1) / 2, has_bf16(CPU)
        self.model = library.Unet(dim=36, dim_mults=(1, 2), channels=x0.shape[1])
        self.diffusion = library.GaussianDiffusion(
            self.model, image_size=x0.shape[-1], timesteps=1000, sampling_timesteps=DDIM_STEPS
        )
        self.optimizer = torch.optim.Adam(self.diffusion.parameters(), lr=1e-4, betas=(0.9, 0.99))
        self.average = average(self.diffusion, beta=0.995, update_every=10)

    def step(self) -> bool:
        with torch.autocast("cpu", torch.bfloat16, enabled=self.bf16):
            loss = self.diffusion(_batch(self.x0))
        loss.backward()
        nn.utils.clip_grad_norm_(self.diffusion.parameters(), 1.0)
        self.optimizer.step()
        self.optimizer.zero_grad()
        self.average.update()
        return True

    def sample(self, n: int, seed: int) -> Tensor:
        self.average.ema_model.eval()
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            images = [self.average.ema_model.sample(batch_size=size) for size in _sizes(n)]
        return 2 * torch.cat(images) - 1


CONTESTANTS = {"course_lib": Course, "diffusers": Diffusers, "denoising-diffusion-pytorch": Lucidrains}


def _lucidrains() -> tuple[ModuleType, type]:
    """The library's module and the class that averages weights. It imports torchvision, for folders of files alone."""
    missing = [name for name in ("denoising_diffusion_pytorch", "einops", "ema_pytorch") if find_spec(name) is None]
    if missing:
        sys.exit(f"there is no {', '.join(missing)}: install the libraries as the head of quality_in_time.py says")
    replaced = "torchvision" not in sys.modules and find_spec("torchvision") is None
    if replaced:
        sys.modules["torchvision"] = ModuleType("torchvision")
        sys.modules["torchvision"].transforms = sys.modules["torchvision"].utils = None
    from denoising_diffusion_pytorch import denoising_diffusion_pytorch as library
    from ema_pytorch import EMA

    if replaced:
        del sys.modules["torchvision"]
    library.tqdm = lambda steps, **_: steps
    return library, EMA


def _batch(x0: Tensor) -> Tensor:
    return x0[torch.randint(len(x0), (BATCH,))]


def _sizes(n: int) -> list[int]:
    return [min(AT_ONCE, n - done) for done in range(0, n, AT_ONCE)]
