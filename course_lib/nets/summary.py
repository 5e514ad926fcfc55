"""What a U-Net is made of, stage by stage: shapes, weights, multiply-adds, receptive field (lesson 08)."""

import copy
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from course_lib import checks
from course_lib.nets.blocks import Attention, Downsample, ResidualBlock, Upsample
from course_lib.nets.unet import UNet

KINDS = {ResidualBlock: "residual", Attention: "attention", Downsample: "down", Upsample: "up"}


@dataclass(frozen=True)
class Stage:
    """One block: its kind, the shape (channels, height, width) that leaves it, and what it costs for one image."""

    kind: str
    shape: tuple[int, int, int]
    weights: int
    multiply_adds: int


def stages(net: UNet) -> list[Stage]:
    """All blocks of a U-Net in the order in which an image passes them; nothing is computed, only shapes."""
    net = copy.deepcopy(_unet(net)).to("meta")
    found: list[Stage] = []
    cost = 0

    def count(layer: nn.Module, _: tuple[Tensor, ...], output: Tensor) -> None:
        nonlocal cost
        cost += layer.weight[0].numel() * output[0].numel()

    def finish(block: nn.Module, _: tuple[Tensor, ...], output: Tensor) -> None:
        nonlocal cost
        if isinstance(block, Attention):
            cost += 2 * output.shape[1] * output[0, 0].numel() ** 2  # q k^T and its product with v
        parts = (block, net.norm) if block is net.last else (block,)
        weights = sum(p.numel() for part in parts for p in part.parameters())
        found.append(Stage(KINDS.get(type(block), "convolution"), tuple(output.shape[1:]), weights, cost))
        cost = 0

    blocks = [m for m in net.modules() if type(m) in KINDS] + [net.first, net.last]
    for layer in net.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear) and layer not in net.time.modules():
            layer.register_forward_hook(count)
    for block in blocks:
        block.register_forward_hook(finish)
    net(torch.zeros(1, net.channels, net.size, net.size, device="meta"), torch.zeros(1, device="meta"))
    return found


def receptive_field(layers: list[tuple[int, int]]) -> int:
    """How many input pixels, in one direction, the last layer's output sees; layers: (kernel, stride) of convolutions."""
    field, jump = 1, 1
    if not isinstance(layers, tuple | list):
        raise ValueError(f"layers must be a list of pairs (kernel, stride); got {checks.shown(layers)}")
    for layer in layers:
        if not isinstance(layer, tuple | list) or len(layer) != 2:
            raise ValueError(f"layers must be pairs (kernel, stride); got {checks.shown(layer)}")
        kernel, stride = checks.whole("a kernel", layer[0], 1), checks.whole("a stride", layer[1], 1)
        field += (kernel - 1) * jump
        jump *= stride
    return field


def way_down(net: UNet) -> list[tuple[int, int]]:
    """(kernel, stride) of the 3 x 3 convolutions from the image to the end of the middle, for `receptive_field`."""
    convolutions = [_unet(net).first]
    for part in (*net.down, net.middle):
        convolutions += [m for m in part.modules() if isinstance(m, nn.Conv2d) and m.kernel_size == (3, 3)]
    return [(layer.kernel_size[0], layer.stride[0]) for layer in convolutions]


def _unet(net: UNet) -> UNet:
    if not isinstance(net, UNet):
        raise ValueError(f"net must be a UNet, such as `load_trained(…).model.net`; got {checks.shown(net)}")
    return net
