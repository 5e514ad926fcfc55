"""The networks' shapes, sizes and the things that are easily built wrong."""

import pytest
import torch

from course_lib.nets import MLP, Attention, UNet, receptive_field, sinusoids, stages

SMALL = {"channels": 1, "size": 8, "width": 16, "multipliers": (1, 2), "blocks": 1, "attention": (4,), "groups": 4}


def parameters(net):
    return sum(p.numel() for p in net.parameters())


def awake(net):
    """The same network with random weights where it starts at zero, so that every part has an effect."""
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for p in net.parameters():
            if not p.any():
                p.copy_(0.1 * torch.randn(p.shape, generator=generator))
    return net.eval()


def test_the_cifar10_unet_of_ho_et_al_has_exactly_their_number_of_weights():
    with torch.device("meta"):
        net = UNet(3, 32, 128, (1, 2, 2, 2), blocks=2, attention=(16,), groups=32, dropout=0.1)
    assert parameters(net) == 35_746_307


@pytest.mark.parametrize("batch", [1, 3])
def test_a_unet_answers_in_the_shape_of_its_input(batch):
    net = UNet(**SMALL)
    assert net(torch.zeros(batch, 1, 8, 8), torch.full((batch,), 7)).shape == (batch, 1, 8, 8)


def test_a_new_unet_answers_zero_and_learns_all_its_weights():
    net = UNet(**SMALL)
    x = torch.randn(2, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    assert not net(x, torch.tensor([1, 2])).any()
    net = awake(net)
    net(x, torch.tensor([1, 900])).square().sum().backward()
    assert [name for name, p in net.named_parameters() if p.grad is None or not p.grad.any()] == []


def test_the_time_and_every_pixel_matter_everywhere():
    net = awake(UNet(**SMALL))
    x = torch.randn(1, 1, 8, 8, generator=torch.Generator().manual_seed(0), requires_grad=True)
    assert not torch.allclose(net(x, torch.tensor([10])), net(x, torch.tensor([700])))
    (grad,) = torch.autograd.grad(net(x, torch.tensor([10]))[0, 0, 0, 0], x)
    assert (grad != 0).all()


def test_images_of_a_batch_do_not_see_each_other():
    net = awake(UNet(**SMALL))
    x, t = torch.randn(3, 1, 8, 8, generator=torch.Generator().manual_seed(0)), torch.tensor([5, 50, 500])
    torch.testing.assert_close(net(x, t)[1:2], net(x[1:2], t[1:2]), rtol=1e-4, atol=1e-5)


def test_attention_is_the_formula():
    layer = awake(Attention(8, groups=2)).double()
    x = torch.randn(2, 8, 3, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    h = layer.norm(x).flatten(2).transpose(1, 2)
    q, k, v = (h @ f.weight[:, :, 0, 0].T + f.bias for f in (layer.q, layer.k, layer.v))
    mixed = (q @ k.transpose(1, 2) / 8**0.5).softmax(-1) @ v
    expected = x + (mixed @ layer.out.weight[:, :, 0, 0].T + layer.out.bias).transpose(1, 2).reshape(x.shape)
    torch.testing.assert_close(layer(x), expected, rtol=0, atol=1e-10)


def test_neighbouring_times_look_more_alike_than_far_ones():
    e = sinusoids(torch.arange(1000), 64)
    assert e.abs().max() <= 1 and e.shape == (1000, 64)
    likeness = torch.nn.functional.cosine_similarity(e[500:501], e[[501, 550, 900]])
    assert likeness[0] > likeness[1] > likeness[2]


def test_an_mlp_takes_points_and_times():
    net = MLP(dim=3, width=16, depth=2)
    x = torch.randn(5, 3, generator=torch.Generator().manual_seed(0))
    assert net(x, torch.arange(5)).shape == (5, 3)
    assert not torch.allclose(net(x, torch.full((5,), 1)), net(x, torch.full((5,), 900)))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"size": 10, "multipliers": (1, 2, 2)}, "a size of 10 can't be halved 2 times"),
        ({"width": 18}, "width must be a multiple of groups = 4; got 18"),
        ({"attention": (5,)}, r"attention at \[5\] is impossible: the resolutions are \[8, 4\]"),
    ],
)
def test_sizes_that_do_not_fit_are_named(change, message):
    with pytest.raises(ValueError, match=message):
        UNet(**SMALL | change)


def test_images_of_another_shape_and_odd_embeddings_are_errors():
    with pytest.raises(ValueError, match=r"\(batch, 1, 8, 8\); got \(2, 3, 8, 8\)"):
        UNet(**SMALL)(torch.zeros(2, 3, 8, 8), torch.tensor([1, 2]))
    with pytest.raises(ValueError, match="even and at least 4"):
        sinusoids(torch.arange(3), 7)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"width": 0}, "width must be a whole number of at least 1; got 0"),
        ({"channels": 0}, "channels must be a whole number of at least 1"),
        ({"multipliers": ()}, "multipliers must be a list of whole numbers"),
        ({"multipliers": (1, 0)}, "each of multipliers must be a whole number"),
        ({"blocks": -1}, "blocks must be a whole number of at least 1; got -1"),
        ({"groups": 0}, "groups must be a whole number of at least 1"),
        ({"dropout": 1.0}, "dropout must be below 1"),
        ({"size": 8.0}, "size must be a whole number"),
        ({"width": 2, "groups": 1}, "the width of a time embedding"),
    ],
)
def test_a_u_net_of_nothing_is_refused(change, message):
    with pytest.raises(ValueError, match=message):
        UNet(**SMALL | change)


@pytest.mark.parametrize("net", [UNet(**SMALL), MLP(3, 8, 1, 8)], ids=["UNet", "MLP"])
def test_a_network_takes_one_time_for_each_image_and_its_own_precision(net):
    x_t, t = (torch.zeros(2, 1, 8, 8), torch.zeros(2, 3))[isinstance(net, MLP)], torch.tensor([1, 2])
    assert net(x_t, t).shape == x_t.shape
    for wrong in (t[:1], t[:, None], t[0], 3):
        with pytest.raises(ValueError, match=r"takes t of shape \(2,\), one time for each image"):
            net(x_t, wrong)
    with pytest.raises(ValueError, match=r"computes in torch.float32; got x_t in torch.float64"):
        net(x_t.double(), t)
    with pytest.raises(ValueError, match="x_t must be floating point"):
        net(x_t.long(), t)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: sinusoids(torch.zeros(3, 1), 8), r"t must be a tensor of numbers, \(batch,\)"),
        (lambda: MLP(depth=0), "depth must be a whole number of at least 1; got 0"),
        (lambda: Attention(6, 4), "c must be a multiple of groups = 4; got 6"),
        (lambda: receptive_field([(0, 1)]), "a kernel must be a whole number"),
        (lambda: stages(MLP()), "net must be a UNet"),
    ],
)
def test_parts_of_a_network_say_what_they_take(call, message):
    with pytest.raises(ValueError, match=message):
        call()
