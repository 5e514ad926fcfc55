"""Attention between sequences, the text encoder, and the U-Nets that are told what to draw."""

import pytest
import torch
from torch import nn

from course_lib.nets import (
    CONDITIONS,
    ClassUNet,
    CrossAttention,
    PictureUNet,
    SpatialTransformer,
    TextEncoder,
    TextUNet,
    UNet,
)

SMALL = {"channels": 4, "size": 8, "width": 16, "multipliers": (1, 2), "blocks": 1, "attention": (8, 4)}
T = torch.tensor([3.0, 200.0, 900.0])
X = torch.randn(3, 4, 8, 8, generator=torch.Generator().manual_seed(0))


def awake(net: nn.Module) -> nn.Module:
    """With small random weights where a new network has zeros, so that every part has a say."""
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for weight in net.parameters():
            weight += 0.1 * torch.randn(weight.shape, generator=generator)
    return net.eval()


@pytest.fixture(scope="module")
def text():
    return awake(TextUNet(words=20, length=6, text=16, text_blocks=2, **SMALL))


# Cross-attention


def test_cross_attention_is_that_of_pytorch_with_the_same_weights():
    ours = awake(CrossAttention(16, heads=4, context=10))
    theirs = nn.MultiheadAttention(16, 4, kdim=10, vdim=10, bias=True, batch_first=True)
    with torch.no_grad():
        for name, layer in (("q_proj_weight", ours.q), ("k_proj_weight", ours.k), ("v_proj_weight", ours.v)):
            getattr(theirs, name).copy_(layer.weight)
        theirs.in_proj_bias.zero_()
        theirs.out_proj.load_state_dict(ours.out.state_dict())
    x, context = torch.randn(2, 7, 16), torch.randn(2, 5, 10)
    mask = torch.tensor([[True] * 5, [True, True, False, False, False]])
    seen, weights = theirs(x, context, context, key_padding_mask=~mask, average_attn_weights=False)
    torch.testing.assert_close(ours(x, context, mask), seen, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(ours.weights(x, context, mask), weights, atol=1e-5, rtol=1e-5)


def test_attention_weights_sum_to_one_and_leave_masked_rows_out():
    layer = awake(CrossAttention(8, 2))
    weights = layer.weights(torch.randn(1, 4, 8), mask=torch.tensor([[True, True, False, True]]))
    torch.testing.assert_close(weights.sum(-1), torch.ones(1, 2, 4))
    assert (weights[..., 2] == 0).all() and (weights[..., [0, 1, 3]] > 0).all()


def test_heads_must_divide_the_width():
    with pytest.raises(ValueError, match="multiple"):
        CrossAttention(10, heads=4)


# The text encoder


def test_padding_never_changes_the_result():
    """The same words in a longer row, and in a batch beside longer captions."""
    short, long = (awake(TextEncoder(20, length, 16, blocks=2, heads=4)) for length in (4, 9))
    with torch.no_grad():
        for name, weight in short.state_dict().items():
            long.state_dict()[name].copy_(weight) if name != "position" else long.position[:5].copy_(weight)
    tokens = torch.tensor([[5, 3, 0, 0]])
    words, mask = short(tokens)
    beside = torch.tensor([[5, 3, *[0] * 7], [7] * 9])
    again, its_mask = long(beside)
    torch.testing.assert_close(words[:, :3], again[:1, :3])
    assert mask.tolist() == [[True, True, True, False, False]] and its_mask[1].all()


def test_the_words_of_a_caption_see_each_other_in_both_directions():
    encoder = awake(TextEncoder(20, 4, 16, blocks=1))
    a, b = (encoder(torch.tensor([[5, last, 0, 0]]))[0] for last in (3, 4))
    assert not torch.allclose(a[:, 1], b[:, 1])


def test_the_order_of_the_words_matters():
    encoder = awake(TextEncoder(20, 4, 16, blocks=1))
    a, b = (encoder(torch.tensor([row]))[0][:, 0] for row in ([5, 3, 0, 0], [3, 5, 0, 0]))
    assert not torch.allclose(a, b)


@pytest.mark.parametrize("tokens", [torch.zeros(2, 5, dtype=torch.int64), torch.zeros(2, 4), [1, 2]])
def test_the_encoder_refuses_what_are_no_rows_of_tokens(tokens):
    with pytest.raises(ValueError, match=r"tokens must be whole numbers in 0 … 19, \(n, 4\)"):
        TextEncoder(20, 4, 16)(tokens)


# The block in which pixels look at words


def test_a_new_spatial_transformer_changes_nothing_yet():
    block = SpatialTransformer(16, 4, context=8)
    x = torch.randn(2, 16, 4, 4)
    assert torch.equal(block(x, torch.randn(2, 5, 8)), x)


def test_its_sublayers_are_in_the_lectures_order():
    """Self-attention, MLP, cross-attention, each with a norm before and a shortcut around."""
    block = awake(SpatialTransformer(16, 4, context=8, heads=2, depth=2))
    x, words = torch.randn(2, 16, 4, 4), torch.randn(2, 5, 8)
    h = block.enter(block.norm(x)).permute(0, 2, 3, 1).reshape(2, 16, 16)
    for part in block.layers:
        h = h + part.attention(part.norm1(h))
        h = h + part.mlp(part.norm2(h))
        h = h + part.cross(part.norm3(h), words)
    expected = x + block.leave(h.reshape(2, 4, 4, 16).permute(0, 3, 1, 2))
    torch.testing.assert_close(block(x, words), expected)


# The U-Nets


def told(kind):
    """A network of each kind, and conditions for a batch of three."""
    if kind == "class":
        return awake(ClassUNet(10, **SMALL)), torch.tensor([0, 9, 4])
    if kind == "picture":
        return awake(PictureUNet([3, 32, 32], **SMALL)), torch.randn(3, 3, 32, 32).clamp(-1, 1)
    return awake(TextUNet(words=20, length=6, text=16, **SMALL)), torch.tensor(
        [[1, 2, 0, 0, 0, 0], [3, *[0] * 5], [4] * 6]
    )


@pytest.mark.parametrize("kind", CONDITIONS)
def test_without_a_condition_the_answer_is_that_of_the_null_one(kind):
    net, cond = told(kind)
    torch.testing.assert_close(net(X, T), net(X, T, net.null(cond)))
    assert net.null(cond).shape == cond.shape and net.null(cond).dtype == cond.dtype and cond.ndim == net.axes


@pytest.mark.parametrize("kind", CONDITIONS)
def test_each_image_listens_to_its_own_condition_only(kind):
    net, cond = told(kind)
    together = net(X, T, cond)
    for i in range(3):
        torch.testing.assert_close(
            net(X[i : i + 1], T[i : i + 1], cond[i : i + 1]), together[i : i + 1], atol=1e-5, rtol=1e-4
        )
    assert not torch.allclose(net(X, T, cond.flip(0))[0], together[0])


@pytest.mark.parametrize("kind", CONDITIONS)
def test_a_condition_of_another_shape_or_kind_is_refused(kind):
    net, cond = told(kind)
    for wrong in (cond[:2], cond[..., None], cond.bool()):
        with pytest.raises(ValueError, match="must be"):
            net(X, T, wrong)


def test_the_same_caption_with_another_amount_of_padding_beside_it_is_drawn_alike(text):
    cond = torch.tensor([[1, 2, 3, 0, 0, 0]] * 3)
    beside = torch.cat([cond[:1], torch.tensor([[4] * 6] * 2)])
    torch.testing.assert_close(text(X, T, cond)[:1], text(X, T, beside)[:1], atol=1e-5, rtol=1e-4)


def test_a_picture_four_times_as_large_lies_beside_each_pixel_in_48_channels():
    net = PictureUNet([3, 32, 32], **SMALL)
    assert net.first.in_channels == 4 + 3 * 16


def test_a_plain_unet_has_the_weights_that_it_always_had():
    assert [name for name, _ in UNet(**SMALL).named_children()] == [
        "time",
        "first",
        "down",
        "middle",
        "up",
        "norm",
        "last",
    ]


def test_every_place_looks_at_the_words_that_are_there_and_at_no_padding(text):
    cond = torch.tensor([[1, 2, 3, 0, 0, 0], [0] * 6, [4] * 6])
    with torch.no_grad():
        looks = text.looks(X, T, cond)
    assert looks.shape == (3, 7, 8, 8)
    torch.testing.assert_close(looks.sum(1), torch.ones(3, 8, 8))
    assert (looks[0, 4:] == 0).all() and (looks[1, 0] == 1).all() and (looks[2] > 0).all()
    assert not text.down[0][1].layers[0].cross._forward_hooks, "nothing is left behind"
