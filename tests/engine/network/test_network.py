"""The engine's forward pass against transformers' own, way by way."""

from dataclasses import fields, replace
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from engine.network.feed_forward import feed_forward, feed_forward_in_parts
from engine.network.network import GroundingNetwork
from engine.network.switches import Switches
from tests.tiny_checkpoint import Backbone, Family, tiny_model, tiny_tokenizer

ELSEWHERE = ("compiled", "fast_products", "keep_features")  # looked at by `engine.passes`, not by the network
NAMES = [field.name for field in fields(Switches) if field.name not in ELSEWHERE]
NONE = Switches(**dict.fromkeys(NAMES, False))
WAYS = [Switches(), NONE, *(replace(Switches(), **{name: False}) for name in NAMES)]


def ids(*texts: str) -> tuple[Tensor, Tensor]:
    read = tiny_tokenizer()(list(texts), padding=True, return_tensors="pt")
    return read["input_ids"], read["attention_mask"].bool()


def theirs(model: Any, pixels: Tensor, input_ids: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    outputs = model(
        pixel_values=pixels,
        pixel_mask=torch.ones(len(pixels), *pixels.shape[-2:], dtype=torch.int64),
        input_ids=input_ids.expand(len(pixels), -1),
        attention_mask=mask.expand(len(pixels), -1).long(),
    )
    return outputs.logits[..., : input_ids.shape[1]].sigmoid(), outputs.pred_boxes


@pytest.mark.parametrize("way", WAYS, ids=str)
@pytest.mark.parametrize("family", ["grounding-dino", "mm-grounding-dino"])
@pytest.mark.parametrize("backbone", ["swin", "resnet"])
@torch.no_grad()
def test_scores_and_boxes_are_transformers(way: Switches, family: Family, backbone: Backbone) -> None:
    model = tiny_model(family, backbone)
    pixels = torch.randn(2, 3, 96, 160, generator=torch.Generator().manual_seed(1))
    input_ids, mask = ids("red cat. a dog on the left. car.")
    network = GroundingNetwork(model, way)
    answer = network.answer(network.image(pixels), network.text(input_ids, mask))
    scores, boxes = theirs(model, pixels, input_ids, mask)
    torch.testing.assert_close(answer.logits.sigmoid()[..., : scores.shape[-1]], scores, rtol=0, atol=1e-4)
    torch.testing.assert_close(answer.boxes, boxes, rtol=0, atol=1e-4)


@pytest.mark.parametrize("way", WAYS, ids=str)
@torch.no_grad()
def test_prompts_of_unequal_length_share_a_batch(way: Switches) -> None:
    model = tiny_model()
    pixels = torch.randn(2, 3, 96, 96, generator=torch.Generator().manual_seed(2))
    input_ids, mask = ids("red cat. blue bird. a dog on the left.", "car.")
    network = GroundingNetwork(model, way)
    answer = network.answer(network.image(pixels), network.text(input_ids, mask))
    scores, boxes = theirs(model, pixels, input_ids, mask)
    for image, real in enumerate(mask):
        logits = answer.logits[image][:, : len(real)][:, real]
        torch.testing.assert_close(logits.sigmoid(), scores[image][:, real], rtol=0, atol=1e-4)
    torch.testing.assert_close(answer.boxes, boxes, rtol=0, atol=1e-4)


@torch.no_grad()
def test_scores_are_as_long_as_the_prompt_or_as_transformers_pads_them() -> None:
    model = tiny_model()
    pixels = torch.randn(1, 3, 64, 64, generator=torch.Generator().manual_seed(5))
    input_ids, mask = ids("red cat. car.")
    for way, length in ((Switches(), input_ids.shape[1]), (replace(Switches(), true_text_length=False), 256)):
        network = GroundingNetwork(model, way)
        image, text = network.encode(network.image(pixels), network.text(input_ids, mask))
        proposals = network.proposals(image, text)
        *_, last = network.decode(image, text, proposals.box_logits.sigmoid())
        assert (proposals.logits.shape[-1], last.logits.shape[-1]) == (length, length)


@torch.no_grad()
def test_places_are_those_of_the_picture_whatever_came_before() -> None:
    model = tiny_model()
    network = GroundingNetwork(model)
    sizes = [(64, 96), (64, 96), (96, 64), (64, 96)]
    for height, width in sizes:
        pixels = torch.zeros(1, 3, height, width)
        seen, alone = network.image(pixels), GroundingNetwork(model).image(pixels)
        assert torch.equal(seen.position, alone.position)
        assert seen.position.shape == (1, seen.cells.shape[1], model.config.d_model)


@torch.no_grad()
def test_cells_fed_in_parts_come_out_whole() -> None:
    model: Any = tiny_model()
    layer = model.model.encoder.layers[0].deformable_layer
    cells = torch.randn(2, 2500, 32, generator=torch.Generator().manual_seed(6))
    parts = []
    hook = layer.fc1.register_forward_pre_hook(lambda _, inputs: parts.append(inputs[0].shape[1]))
    fed = feed_forward_in_parts(layer, layer.activation_fn, cells)
    hook.remove()
    assert parts == [1024, 1024, 452]
    torch.testing.assert_close(fed, feed_forward(layer, layer.activation_fn, cells), rtol=0, atol=1e-5)


@torch.no_grad()
def test_a_compiled_answer_is_the_same_for_one_prompt_after_another(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "compile", partial(torch.compile, backend="aot_eager"))  # all but the C++ compiler
    model: Any = tiny_model()
    for part in (model.model.encoder, model.model.decoder):
        part.layers = part.layers[:1]
    pixels = torch.randn(1, 3, 64, 96, generator=torch.Generator().manual_seed(7))
    plain, compiled = GroundingNetwork(model), GroundingNetwork(model, Switches(compiled=True))
    image = plain.image(pixels)
    for prompt in ("red cat. car.", "a dog on the left. bird."):
        text = plain.text(*ids(prompt))
        expected, found = plain.answer(image, text), compiled.answer(image, text)
        torch.testing.assert_close(found.logits.sigmoid(), expected.logits.sigmoid(), rtol=0, atol=1e-4)
        torch.testing.assert_close(found.boxes, expected.boxes, rtol=0, atol=1e-4)


class _Adapted(nn.Module):
    """A projection with something beside it, as low-rank adapters are."""

    def __init__(self, base: Any) -> None:
        super().__init__()
        self.base, self.beside = base, nn.Linear(base.in_features, base.out_features)

    @property
    def weight(self) -> Tensor:
        weight: Tensor = self.base.weight
        return weight

    def forward(self, hidden: Tensor) -> Tensor:
        result: Tensor = self.base(hidden) + self.beside(hidden)
        return result


@pytest.mark.parametrize("name", ["vision_proj", "values_vision_proj", "out_vision_proj", "text_proj"])
@torch.no_grad()
def test_projections_with_adapters_count_whole(name: str) -> None:
    model: Any = tiny_model()
    for layer in model.model.encoder.layers:
        setattr(layer.fusion_layer.attn, name, _Adapted(getattr(layer.fusion_layer.attn, name)))
    pixels = torch.randn(1, 3, 96, 96, generator=torch.Generator().manual_seed(4))
    input_ids, mask = ids("red cat. car.")
    network = GroundingNetwork(model)
    answer = network.answer(network.image(pixels), network.text(input_ids, mask))
    scores, boxes = theirs(model, pixels, input_ids, mask)
    torch.testing.assert_close(answer.logits.sigmoid(), scores, rtol=0, atol=1e-4)
    torch.testing.assert_close(answer.boxes, boxes, rtol=0, atol=1e-4)


def test_each_way_has_the_same_gradients() -> None:
    pixels = torch.randn(1, 3, 64, 96, generator=torch.Generator().manual_seed(3))
    input_ids, mask = ids("red cat. car.")
    found = []
    for way in WAYS:
        model = tiny_model()
        network = GroundingNetwork(model, way)
        answer = network.answer(network.image(pixels), network.text(input_ids, mask))
        logits = answer.logits[..., : input_ids.shape[1]]  # without the infinite ones of padding
        torch.autograd.backward(logits.square().mean() + answer.boxes.square().sum())
        found.append({name: value.grad for name, value in model.named_parameters() if value.grad is not None})
    for other in found[1:]:
        assert other.keys() == found[0].keys()
        for name, gradient in other.items():
            assert gradient is not None
            atol = 1e-5 * max(1.0, float(found[0][name].abs().max()))  # sums of large numbers round more
            torch.testing.assert_close(gradient, found[0][name], rtol=1e-3, atol=atol, msg=name)
