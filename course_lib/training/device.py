"""What the machine has: which device to use, and whether it computes in bfloat16."""

import os
import platform

import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from accelerate.utils import DistributedDataParallelKwargs


def pick_device(wanted: str = "auto") -> str:
    """The device to use: the wanted one, or the best there is. Raises ValueError where there is none such."""
    has = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if wanted == "auto":
        return next(name for name in ("cuda", "mps", "cpu") if has[name])
    if not isinstance(wanted, str) or wanted not in has:
        raise ValueError(f"there is no device {wanted!r}; choose auto, {', '.join(has)}")
    if not has[wanted]:
        raise ValueError(f"PyTorch sees no {wanted} device here; `course doctor` says what it sees. Use cpu, or auto")
    return wanted


def machine(device: torch.device) -> str:
    """What a measurement was made on, in words."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"{platform.machine()} {device.type.upper()}, {torch.get_num_threads()} thread(s)"


def has_bf16(device: torch.device) -> bool:
    """Whether to compute in bfloat16: where the device does it itself, since emulated it is slower than float32.

    The environment variable COURSE_BF16 decides otherwise: 0 is never, 1 always. Raises ValueError for another value.
    """
    if (wanted := os.environ.get("COURSE_BF16", "")) not in ("", "0", "1"):
        raise ValueError(f"COURSE_BF16 must be 0 (never), 1 (always) or unset (where it is quick); got {wanted!r}")
    if wanted:
        return wanted == "1"
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    return device.type == "cpu" and getattr(torch.cpu, "_is_avx512_bf16_supported", lambda: False)()


def accelerator_for(device: str, turns: bool) -> Accelerator:
    """Accelerate keeps the first device that a process asked for; a notebook may change its mind.

    turns: whether a step moves only a part of the model at a time, which several processes have to know.
    """
    handlers = [DistributedDataParallelKwargs(find_unused_parameters=True)] if turns else []
    try:
        accelerator = Accelerator(cpu=device == "cpu", kwargs_handlers=handlers)
        if accelerator.device.type == device:
            return accelerator
    except ValueError:  # it was another one before
        pass
    AcceleratorState._reset_state(reset_partial_state=True)
    return Accelerator(cpu=device == "cpu", kwargs_handlers=handlers)
