"""U-Nets with one part taken out: that part is gone, and nothing else."""

import dataclasses
import json

import pytest
import torch

from course_lib.nets import ABLATIONS, Attention, UNet
from course_lib.paths import CHECKPOINTS
from course_lib.training import RECIPES, Recipe, build, recipe_named

SMALL = {"channels": 1, "size": 8, "width": 16, "multipliers": (1, 2), "blocks": 1, "attention": (4,), "groups": 4}


def parameters(net):
    return sum(p.numel() for p in net.parameters())


def awake(net, seed=0):
    """The same network with random weights everywhere, so that every part has an effect."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for p in net.parameters():
            p.copy_(0.1 * torch.randn(p.shape, generator=generator))
    return net.eval()


def twins(part):
    """A whole U-Net and one without the part, with the same weights."""
    whole, without = awake(UNet(**SMALL)), ABLATIONS[part](**SMALL).eval()
    without.load_state_dict(whole.state_dict())
    return whole, without


def images(n=3):
    return torch.randn(n, 1, 8, 8, generator=torch.Generator().manual_seed(7))


@pytest.mark.parametrize("part", ABLATIONS)
def test_it_still_answers_in_the_shape_of_its_input_and_learns_all_its_weights(part):
    net, x = awake(ABLATIONS[part](**SMALL)), images().requires_grad_(True)
    answer = net(x, torch.tensor([1, 400, 900]))
    assert answer.shape == x.shape and answer.isfinite().all()
    answer.square().sum().backward()
    assert [name for name, p in net.named_parameters() if p.grad is None] == []
    assert x.grad.any()
    idle = [name for name, p in net.named_parameters() if not p.grad.any()]
    assert idle == []


@pytest.mark.parametrize("part", ["time", "skips"])
def test_taking_out_the_time_or_the_skips_costs_no_weights_and_moves_none(part):
    whole, without = UNet(**SMALL), ABLATIONS[part](**SMALL)
    shapes = [{name: p.shape for name, p in net.named_parameters()} for net in (whole, without)]
    assert shapes[0] == shapes[1]


def test_without_the_time_the_answer_is_that_at_t_0_for_every_t():
    whole, without = twins("time")
    x = images()
    at_0 = whole(x, torch.zeros(3, dtype=torch.long))
    for t in (torch.tensor([0, 0, 0]), torch.tensor([1, 500, 1000]), torch.tensor([3.5, 70.25, 999.0])):
        assert torch.equal(without(x, t), at_0)
    assert not torch.allclose(whole(x, torch.tensor([1, 500, 1000])), at_0)


def test_without_the_skips_the_way_up_sees_nothing_of_the_way_down_but_what_comes_through_the_middle():
    whole, without = twins("skips")
    for net in (whole, without):
        net.middle.append(Zero())
    x, t = images(), torch.tensor([5, 5, 5])
    a, b = without(x, t), without(x.flip(0), t)
    assert torch.equal(a, b)
    assert not torch.allclose(whole(x, t), whole(x.flip(0), t))


class Zero(torch.nn.Module):
    def forward(self, h):
        return torch.zeros_like(h)


def test_without_the_skips_the_images_still_matter():
    _, without = twins("skips")
    x, t = images(), torch.tensor([5, 5, 5])
    assert not torch.allclose(without(x, t), without(x.flip(0), t))


def test_without_attention_there_is_none_and_fewer_weights():
    whole, without = UNet(**SMALL), ABLATIONS["attention"](**SMALL)
    assert any(isinstance(m, Attention) for m in whole.modules())
    assert not any(isinstance(m, Attention) for m in without.modules())
    gone = sum(parameters(m) for m in whole.modules() if isinstance(m, Attention))
    assert parameters(without) == parameters(whole) - gone < parameters(whole)


def test_without_attention_a_corner_sees_only_as_far_as_the_convolutions_reach():
    """On a big image: with attention every pixel depends on every other, without it on its surroundings."""
    options = SMALL | {"size": 64, "attention": (32,)}
    x = torch.randn(1, 1, 64, 64, generator=torch.Generator().manual_seed(7), requires_grad=True)
    reach = {}
    for name, kind in (("whole", UNet), ("without", ABLATIONS["attention"])):
        net = awake(kind(**options))
        for module in net.modules():  # GroupNorm takes its mean over all pixels: another way to see far
            if isinstance(module, torch.nn.GroupNorm):
                module.forward = lambda h: h
        (grad,) = torch.autograd.grad(net(x, torch.tensor([10]))[0, 0, 0, 0], x)
        reach[name] = (grad[0, 0, 48:, 48:] != 0).any().item()
    assert reach == {"whole": True, "without": False}


def test_attention_given_in_its_place_among_the_arguments_is_ignored_too():
    net = ABLATIONS["attention"](1, 8, 16, (1, 2), 1, (4,), 4)
    assert not any(isinstance(m, Attention) for m in net.modules())


class TestRecipes:
    @pytest.mark.parametrize("part", ABLATIONS)
    def test_each_ablation_has_one_that_differs_from_the_digits_model_in_that_part_alone(self, part):
        recipe, shipped = recipe_named(f"ddpm-digits-without-{part}"), recipe_named("ddpm-digits")
        model = build(recipe)
        assert type(model.net) is ABLATIONS[part]
        assert model.target.name == "v" and model.weight is None and model.schedule.T == 1000
        options = {**recipe.options}
        assert options.pop("without") == part
        assert dataclasses.replace(recipe, name=shipped.name, options=options) == shipped

    def test_the_digits_model_is_what_was_shipped(self):
        shipped, card = recipe_named("ddpm-digits"), CHECKPOINTS / "ddpm-digits" / "recipe.json"
        assert shipped == Recipe.from_json(json.loads(card.read_text(encoding="utf-8"))["recipe"])
        assert type(build(shipped).net) is UNet

    def test_half_the_width_is_a_quarter_of_the_weights(self):
        half, shipped = (build(recipe_named(name)) for name in ("ddpm-digits-half-width", "ddpm-digits"))
        assert parameters(half) == pytest.approx(parameters(shipped) / 4, rel=0.02)

    def test_each_has_its_own_name_and_options(self):
        assert all(recipe.name == name for name, recipe in RECIPES.items())
        options = [recipe.options for recipe in RECIPES.values()]
        assert len({id(each) for each in options}) == len(options)

    def test_a_part_that_does_not_exist_is_named(self):
        recipe = recipe_named("ddpm-digits-without-time")
        wrong = dataclasses.replace(recipe, options=recipe.options | {"without": "hope"})
        with pytest.raises(ValueError, match="there is no ablation 'hope'; choose one of: skips, time, attention"):
            build(wrong)
