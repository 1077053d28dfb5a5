"""The engine's forward pass against transformers' own, way by way."""

from itertools import product
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from engine.network.network import GroundingNetwork
from engine.network.switches import Switches
from tests.tiny_checkpoint import Backbone, Family, tiny_model, tiny_tokenizer

WAYS = [Switches(fuse_through_text=through, weighted_bags=bags) for through, bags in product((False, True), repeat=2)]


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
    torch.testing.assert_close(answer.logits.sigmoid(), scores, rtol=0, atol=1e-4)
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
        torch.testing.assert_close(answer.logits[image][:, real].sigmoid(), scores[image][:, real], rtol=0, atol=1e-4)
    torch.testing.assert_close(answer.boxes, boxes, rtol=0, atol=1e-4)


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
        torch.autograd.backward(answer.logits.square().mean() + answer.boxes.square().sum())
        found.append({name: value.grad for name, value in model.named_parameters() if value.grad is not None})
    for other in found[1:]:
        assert other.keys() == found[0].keys()
        for name, gradient in other.items():
            assert gradient is not None
            torch.testing.assert_close(gradient, found[0][name], rtol=1e-3, atol=1e-5, msg=name)
