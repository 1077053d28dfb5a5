from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from supervision import Detections
from torch import nn

from common.boxes import iou as box_iou
from common.images import read_image
from engine import products
from engine.checkpoints import load_grounding_detector
from engine.grounding import GroundingDetector
from engine.network.switches import Switches
from engine.ontology import Ontology
from engine.products import fast_products

EXAMPLES = Path(__file__).parents[2] / "app" / "examples" / "scenes"

CPU = torch.device("cpu")
needs_onednn = pytest.mark.skipif(not products.has_onednn(), reason="this build of PyTorch has no oneDNN")


@pytest.fixture
def faster(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, ...]]:
    """oneDNN is the faster one here; the shapes that it multiplied."""
    seen: list[tuple[int, ...]] = []
    own = products._linear

    def noted(rows: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None = None) -> torch.Tensor:
        seen.append(tuple(rows.shape))
        return own(rows, weight, bias)

    monkeypatch.setattr(products, "_tried", lambda: True)
    monkeypatch.setattr(products, "_linear", noted)
    return seen


@needs_onednn
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("shape", [(700, 96), (3, 70, 96), (2, 3, 50, 96)])
def test_both_libraries_give_the_same_products(
    faster: list[tuple[int, ...]], shape: tuple[int, ...], bias: bool
) -> None:
    layer = nn.Linear(96, 130, bias=bias)
    rows = torch.randn(*shape)
    with torch.no_grad():
        usual = layer(rows)
        strided = layer(rows.transpose(-1, -2).contiguous().transpose(-1, -2))
        with fast_products(CPU):
            fast = layer(rows)
            fast_strided = layer(rows.transpose(-1, -2).contiguous().transpose(-1, -2))
    assert faster == [shape, shape]
    torch.testing.assert_close(fast, usual, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(fast_strided, strided, rtol=1e-4, atol=1e-5)


@needs_onednn
def test_what_it_does_not_suit_is_multiplied_as_usual(faster: list[tuple[int, ...]]) -> None:
    layer, rows = nn.Linear(96, 130), torch.randn(700, 96)
    with fast_products(CPU):
        layer(rows).sum().backward()  # a gradient is wanted
        assert layer.weight.grad is not None
        with torch.no_grad():
            layer(rows[:1])  # hardly any work
            layer.double()(rows.double())
            with torch.autocast("cpu", torch.bfloat16):
                assert layer.float()(rows).dtype == torch.bfloat16
    assert faster == []


@needs_onednn
@pytest.mark.slow
@pytest.mark.usefixtures("faster")
def test_the_starter_finds_the_same_with_every_rewrite_as_with_none() -> None:
    starter = load_grounding_detector("starter", device="cpu")
    none = Switches(**dict.fromkeys(vars(Switches()), False))
    ways = [
        GroundingDetector(starter.model, starter.tokenizer, starter.preprocessing, switches=s) for s in (None, none)
    ]
    things = Ontology.from_names(
        ["coffee", "croissant", "fried egg", "blue circle", "frog", "tomato", "fish", "octopus", "rabbit", "violin"]
    )
    pictures = [read_image(path) for path in sorted(EXAMPLES.glob("*.jpg"))]
    assert len(pictures) == 6
    pairs = list(zip(*(way.detect(pictures, things, threshold=0.3) for way in ways), strict=True))
    assert all(len(ours) > 0 for ours, _ in pairs)
    for ours, theirs in pairs:
        assert _share_found(ours, theirs, score=0.1, iou=0.9) >= 0.8
    # Two places whose scores differ by rounding may be looked at in the other order, and a query knows its number.
    same = [_share_found(ours, theirs, score=1e-4, iou=0.999) == 1.0 for ours, theirs in pairs]
    assert sum(same) >= len(pairs) - 1


def _share_found(ours: Detections, theirs: Detections, *, score: float, iou: float) -> float:
    """Of all boxes of both, the share with one of the same class, place and score in the other."""
    assert ours.confidence is not None
    assert theirs.confidence is not None
    assert ours.class_id is not None
    assert theirs.class_id is not None
    alike = ours.class_id[:, None] == theirs.class_id[None]  # (N, M)
    alike &= np.abs(ours.confidence[:, None] - theirs.confidence[None]) <= score
    alike &= box_iou(ours.xyxy.astype(np.float32), theirs.xyxy.astype(np.float32)) >= iou
    return float((alike.any(axis=1).sum() + alike.any(axis=0).sum()) / sum(alike.shape))


def test_the_choice_is_made_once_and_only_for_processors(
    measured_choice: Callable[[], bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert measured_choice() is measured_choice()
    monkeypatch.setattr(products, "_tried", lambda: True)
    assert isinstance(fast_products(CPU), products._OneDnn)
    assert not isinstance(fast_products(torch.device("meta")), products._OneDnn)
    monkeypatch.setattr(products, "_tried", lambda: False)
    assert not isinstance(fast_products(CPU), products._OneDnn)
