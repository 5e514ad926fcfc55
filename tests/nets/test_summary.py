"""What `stages` says of a U-Net, held against PyTorch's own counters, hooks on a real forward pass, and gradients."""

import functools

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from course_lib.nets import Attention, Downsample, ResidualBlock, UNet, Upsample, receptive_field, stages, way_down

NETS = {
    "one level": {"channels": 1, "size": 6, "width": 8, "multipliers": (1,), "blocks": 1, "groups": 4},
    "digits": {"channels": 1, "size": 8, "width": 32, "multipliers": (1, 2), "blocks": 2, "attention": (4,)},
    "odd": {"channels": 2, "size": 24, "width": 12, "multipliers": (2, 1, 3), "blocks": 1, "attention": (24, 6)}
    | {"groups": 3},
    "CIFAR-10": {"channels": 3, "size": 32, "width": 128, "multipliers": (1, 2, 2, 2), "blocks": 2, "attention": (16,)}
    | {"groups": 32, "dropout": 0.1},
}
TYPES = {
    "residual": ResidualBlock,
    "attention": Attention,
    "down": Downsample,
    "up": Upsample,
    "convolution": nn.Conv2d,
}
every_net = pytest.mark.parametrize("name", NETS)


def build(options, device="meta"):
    with torch.device(device):
        return UNet(**options)


@functools.cache
def made(name):
    """(net, its stages) of one of NETS; only shapes, no numbers."""
    net = build(NETS[name])
    return net, stages(net)


def parameters(module):
    return sum(p.numel() for p in module.parameters())


def flops(run):
    """What PyTorch makes of a call: two FLOPs for each multiply-add of a convolution or matrix product."""
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        run()
    return counter.get_total_flops()


def passes(net):
    """(block, shape, its inputs) in the order of a real forward pass, of two images at t = 3."""
    seen = []
    blocks = [m for m in net.modules() if type(m) in (ResidualBlock, Attention, Downsample, Upsample)]
    hooks = [
        block.register_forward_hook(lambda block, x, out: seen.append((block, tuple(out.shape[1:]), x)))
        for block in (*blocks, net.first, net.last)
    ]
    device = net.first.weight.device
    net(torch.zeros(2, net.channels, net.size, net.size, device=device), torch.full((2,), 3, device=device))
    for hook in hooks:
        hook.remove()
    return seen


@every_net
def test_the_multiply_adds_of_all_stages_are_half_of_what_pytorchs_flop_counter_counts(name):
    net, found = made(name)
    image, time = torch.zeros(1, net.channels, net.size, net.size, device="meta"), torch.zeros(1, device="meta")
    outside = flops(lambda: net.time(time))
    assert 2 * sum(stage.multiply_adds for stage in found) == flops(lambda: net(image, time)) - outside


@pytest.mark.parametrize("name", ["one level", "digits"])
def test_the_multiply_adds_of_each_stage_are_half_of_its_own_flops(name):
    net, found = made(name)
    counted = []
    for block, _, inputs in passes(net):
        one = [x[:1] for x in inputs]
        counted.append(flops(lambda block=block, one=one: block(*one)))
    assert [2 * stage.multiply_adds for stage in found] == counted


@pytest.mark.parametrize("name", ["one level", "digits", "odd"])
def test_kinds_and_shapes_are_those_of_a_real_forward_pass_in_its_order(name):
    seen = passes(build(NETS[name], "cpu"))
    _, found = made(name)
    assert [stage.shape for stage in found] == [shape for _, shape, _ in seen]
    assert all(type(block) is TYPES[stage.kind] for stage, (block, _, _) in zip(found, seen, strict=True))


@every_net
def test_each_stage_has_the_weights_of_its_block_and_all_together_the_nets_but_the_times(name):
    net, found = made(name)
    assert [stage.weights for stage in found[:-1]] == [parameters(block) for block, _, _ in passes(net)[:-1]]
    assert found[-1].weights == parameters(net.norm) + parameters(net.last)
    assert sum(stage.weights for stage in found) == parameters(net) - parameters(net.time)


def test_the_cifar10_network_has_35_746_307_weights_and_6_22_billion_multiply_adds():
    net, found = made("CIFAR-10")
    assert sum(stage.weights for stage in found) + parameters(net.time) == 35_746_307
    assert round(sum(stage.multiply_adds for stage in found) / 1e9, 2) == 6.22


def test_four_times_the_pixels_cost_a_convolution_four_times_and_attention_sixteen_times_its_products():
    options = {"channels": 1, "width": 8, "multipliers": (1,), "blocks": 1, "groups": 4}
    small, large = (build(options | {"size": size}) for size in (8, 16))
    for a, b in zip(stages(small), stages(large), strict=True):
        if a.kind == "convolution":
            assert b.multiply_adds == 4 * a.multiply_adds
        if a.kind == "attention":
            products = 2 * 8 * 64**2  # q kᵀ and its product with v, at 8 x 8 with 8 channels
            assert b.multiply_adds - 4 * a.multiply_adds == (16 - 4) * products


def test_looking_at_a_net_leaves_it_as_it_was():
    net = build(NETS["digits"], "cpu").train()
    before = {name: value.clone() for name, value in net.state_dict().items()}
    assert stages(net) == stages(net)
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())
    assert {p.device.type for p in net.parameters()} == {"cpu"} and net.training
    assert not any(m._forward_hooks for m in net.modules())


LAYERS = {
    "none": [],
    "one": [(3, 1)],
    "five at full size": [(3, 1)] * 5,
    "two strides": [(3, 1), (3, 2), (3, 1), (3, 2), (3, 1)],
    "stride last": [(3, 1), (3, 2)],
    "stride first": [(3, 2), (3, 1)],
    "even kernels": [(4, 2), (2, 1), (4, 3)],
    "pixelwise": [(1, 1), (5, 3), (1, 1)],
}


@pytest.mark.parametrize("layers", LAYERS.values(), ids=LAYERS.keys())
def test_the_receptive_field_is_the_extent_of_the_gradient(layers):
    x = torch.zeros(1, 1, 199, dtype=torch.float64, requires_grad=True)
    h = x
    for kernel, stride in layers:
        h = nn.functional.conv1d(h, torch.ones(1, 1, kernel, dtype=torch.float64), stride=stride)
    (gradient,) = torch.autograd.grad(h[0, 0, h.shape[2] // 2], x)
    reached = gradient[0, 0].nonzero()
    assert receptive_field(layers) == reached.max() - reached.min() + 1


@pytest.mark.parametrize(
    ("multipliers", "blocks", "field"), [((1,), 1, 15), ((1, 1), 1, 33), ((1, 2), 2, 45), ((1, 1, 1), 1, 69)]
)
def test_the_way_down_sees_as_many_pixels_as_the_gradient_of_a_real_net_shows(multipliers, blocks, field):
    """Without attention and without the norms, which mix all pixels: what is left are the convolutions."""
    size, width = 80, {"width": 4, "groups": 4}
    net = build({"channels": 1, "size": size, "multipliers": multipliers, "blocks": blocks} | width, "cpu")
    for module in net.modules():
        if isinstance(module, ResidualBlock):
            module.norm1 = module.norm2 = nn.Identity()
    net.middle[1] = nn.Identity()
    for p in net.parameters():
        nn.init.constant_(p, 0.05)
    net.double()
    ends = []
    net.middle[2].register_forward_hook(lambda block, inputs, output: ends.append(output))
    x = torch.zeros(1, 1, size, size, dtype=torch.float64, requires_grad=True)
    net(x, torch.tensor([1]))
    middle = ends[0].shape[2] // 2
    (gradient,) = torch.autograd.grad(ends[0][0, 0, middle, middle], x)
    for axis in (0, 1):
        reached = gradient[0, 0].nonzero()[:, axis]
        assert reached.max() - reached.min() + 1 == field == receptive_field(way_down(net))


def test_the_way_down_of_the_digits_net_is_14_convolutions_of_which_the_sixth_has_a_stride():
    layers = way_down(made("digits")[0])
    assert [kernel for kernel, _ in layers] == [3] * 14
    assert [stride for _, stride in layers] == [1] * 5 + [2] + [1] * 8
