"""What stays in full precision while the products run in bf16."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from torch import Tensor

from engine.network import deformable
from engine.network.network import Answer, GroundingNetwork
from engine.network.switches import Switches
from tests.engine.network.test_network import ids
from tests.tiny_checkpoint import tiny_model

PIXELS = torch.randn(1, 3, 96, 160, generator=torch.Generator().manual_seed(1))


@contextmanager
def bf16() -> Iterator[None]:
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        yield


def answer(network: GroundingNetwork, references: Tensor | None = None) -> Answer:
    """With the network's own queries, or given ones: in bf16 it may choose others of two that are nearly as good."""
    image, text = network.image(PIXELS), network.text(*ids("red cat. a dog on the left. car."))
    return network.answer(image, text, references)


def is_rounded(tensor: Tensor) -> bool:
    """Whether every number is one that bf16 has."""
    return torch.equal(tensor, tensor.bfloat16().float())


def test_boxes_and_scores_are_float32_and_near_those_of_full_precision() -> None:
    network = GroundingNetwork(tiny_model())
    references = torch.rand(1, 20, 4, generator=torch.Generator().manual_seed(3))
    with torch.no_grad():
        full = answer(network, references)
    with bf16():
        half = answer(network, references)
    assert (half.boxes.dtype, half.logits.dtype) == (torch.float32, torch.float32)
    assert not is_rounded(half.boxes)
    assert not is_rounded(half.logits)
    assert not torch.equal(half.logits, full.logits)  # the products did run in bf16
    torch.testing.assert_close(half.logits.sigmoid(), full.logits.sigmoid(), rtol=0, atol=0.01)
    torch.testing.assert_close(half.boxes, full.boxes, rtol=0, atol=0.01)


def test_proposals_are_chosen_by_scores_and_made_of_boxes_in_float32() -> None:
    network = GroundingNetwork(tiny_model())
    with bf16():
        image, text = network.encode(network.image(PIXELS), network.text(*ids("red cat. car.")))
        proposals = network.proposals(image, text)
    for tensor in (proposals.logits, proposals.box_logits, proposals.box_logits.sigmoid()):
        assert tensor.dtype == torch.float32
        assert not is_rounded(tensor)


@pytest.mark.parametrize("bags", [True, False], ids=["bags", "grids"])
def test_sampling_places_are_float32_in_every_layer(bags: bool) -> None:
    sampler = deformable.weighted_bags if bags else deformable.grid_samples
    seen: list[tuple[Tensor, Tensor, Tensor]] = []

    class Watched(Switches):
        @property
        def sampler(self) -> deformable.Sampler:
            def samples(cells: Tensor, places: Tensor, weights: Tensor, shapes: deformable.Shapes) -> Tensor:
                seen.append((cells, places, weights))
                return sampler(cells if bags else cells.float(), places, weights, shapes)

            return samples

    with bf16():
        answer(GroundingNetwork(tiny_model(), Watched()))
    assert len(seen) == 4  # two layers of the encoder, two of the decoder
    for cells, places, weights in seen:
        assert (cells.dtype, places.dtype, weights.dtype) == (torch.bfloat16, torch.float32, torch.float32)
        assert not is_rounded(places)


def test_a_bag_of_bf16_cells_differs_by_their_rounding_alone() -> None:
    generator = torch.Generator().manual_seed(2)
    shapes = ((100, 133), (50, 67))
    rows = sum(height * width for height, width in shapes)
    cells: Any = torch.randn(1, rows, 2, 32, generator=generator)
    places = torch.rand(1, 50, 2, 2, 4, 2, generator=generator)
    weights = torch.rand(1, 50, 2, 8, generator=generator).softmax(-1).view(1, 50, 2, 2, 4)
    exact = deformable.weighted_bags(cells, places, weights, shapes)
    half = deformable.weighted_bags(cells.bfloat16(), places, weights, shapes)
    assert half.dtype == torch.bfloat16
    torch.testing.assert_close(half.float(), exact, rtol=0, atol=0.02)  # cells of up to 4, in steps of 2 ** -6
    moved = deformable.weighted_bags(cells, places.bfloat16().float(), weights, shapes)
    assert float((moved - exact).abs().max()) > 0.1  # what places in bf16 would do
