"""What a forward pass shares with the one before it, counted on the network itself."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from engine.grounding import GroundingDetector
from engine.network.switches import Switches
from engine.ontology import Ontology
from engine.passes import Passes
from engine.preprocessing import Picture, Preprocessing
from engine.prompts import Prompt, encode
from tests.tiny_checkpoint import tiny_model, tiny_tokenizer

SIZES = Preprocessing(96, 160)
TEXTS = ("red cat. a dog on the left.", "car.", "blue bird. ball. remote control.")


def picture(seed: int, height: int = 100, width: int = 140) -> Picture:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def prompts() -> list[Prompt]:
    return [encode(text, [(0, len(text))], tiny_tokenizer()) for text in TEXTS]


def passes(model: Any, *, together: int = 1, keep_bytes: int = 0) -> Passes:
    return Passes(model, SIZES, torch.device("cpu"), precision=None, together=together, keep_bytes=keep_bytes)


@torch.no_grad()
def results(of: Passes, pictures: list[Picture], asked: list[Prompt]) -> list[tuple[Tensor, Tensor]]:
    return list(of.answers(of.see(pictures), asked))


@contextmanager
def calls(module: Any) -> Iterator[list[int]]:
    """How many pictures or texts went through a part of the network, one entry a call."""
    seen: list[int] = []
    hook = module.register_forward_pre_hook(lambda _, inputs: seen.append(len(inputs[0])))
    try:
        yield seen
    finally:
        hook.remove()


def backbone(model: Any) -> Any:
    """The first of its layers, through which every picture goes once."""
    return model.model.backbone.conv_encoder.model.swin.embeddings


def test_several_prompts_share_one_look_at_the_picture() -> None:
    model = tiny_model()
    with calls(backbone(model)) as looks:
        results(passes(model), [picture(1)], prompts())
    assert looks == [1]


@pytest.mark.parametrize("together", [2, 4, 100])
def test_prompts_in_one_pass_get_the_answers_they_get_alone(together: int) -> None:
    model, pictures = tiny_model(), [picture(1), picture(2)]
    alone = results(passes(model), pictures, prompts())
    with calls(model.model.encoder.layers[0].fusion_layer.layer_norm_vision) as rows:
        shared = results(passes(model, together=together), pictures, prompts())
    assert max(rows) == min(max(together, 2), 6)  # pictures times prompts of a pass
    for (logits, boxes), (expected_logits, expected_boxes) in zip(shared, alone, strict=True):
        torch.testing.assert_close(logits.sigmoid(), expected_logits.sigmoid(), rtol=0, atol=1e-4)
        torch.testing.assert_close(boxes, expected_boxes, rtol=0, atol=1e-4)


def test_another_prompt_on_the_same_picture_skips_the_backbone_and_a_known_prompt_the_text_encoder() -> None:
    model = tiny_model()
    first, second, _ = prompts()
    kept, fresh = passes(model, keep_bytes=10_000_000), passes(model)
    with calls(backbone(model)) as looks, calls(model.model.text_projection) as readings:
        answers = [results(kept, [picture(1)], [prompt]) for prompt in (first, second, first)]
    assert (looks, readings) == ([1], [1, 1])
    for answer, prompt in zip(answers, (first, second, first), strict=True):
        for one, other in zip(answer, results(fresh, [picture(1)], [prompt]), strict=True):
            torch.testing.assert_close(one, other, rtol=0, atol=0)


def test_nothing_is_kept_where_the_switch_says_so() -> None:
    model = tiny_model()
    switches = Switches(keep_features=False)
    of = Passes(model, SIZES, torch.device("cpu"), precision=None, together=1, keep_bytes=10_000_000, switches=switches)
    with calls(backbone(model)) as looks, calls(model.model.text_projection) as readings:
        first, second = (results(of, [picture(1)], prompts()[:1]) for _ in range(2))
    assert (looks, readings, of.kept_bytes) == ([1, 1], [1, 1], 0)
    torch.testing.assert_close(first, second, rtol=0, atol=0)


def test_a_changed_pixel_is_another_picture() -> None:
    model = tiny_model()
    changed = picture(1, 96, 134)
    of = passes(model, keep_bytes=10_000_000)
    with calls(backbone(model)) as looks:
        results(of, [changed], prompts()[:1])
        changed[0, 0, 0] ^= 1
        results(of, [changed], prompts()[:1])
    assert looks == [1, 1]


def test_features_of_a_batch_serve_its_pictures_apart() -> None:
    model = tiny_model()
    of, fresh = passes(model, together=2, keep_bytes=10_000_000), passes(model)
    both = [picture(1), picture(2)]
    results(of, both, prompts()[:1])
    with calls(backbone(model)) as looks:
        ((logits, boxes),) = results(of, [both[1]], prompts()[1:2])
    assert looks == []
    ((expected_logits, expected_boxes),) = results(fresh, [both[1]], prompts()[1:2])
    torch.testing.assert_close(logits, expected_logits, rtol=0, atol=1e-4)
    torch.testing.assert_close(boxes, expected_boxes, rtol=0, atol=1e-4)


def test_what_is_kept_stays_within_its_bytes() -> None:
    model = tiny_model()
    of = passes(model, keep_bytes=100_000)  # a picture's features and positions take 66 kB
    for seed in range(5):
        results(of, [picture(seed)], prompts())
    assert 0 < of.kept_bytes <= 100_000
    with calls(backbone(model)) as looks:
        results(of, [picture(4)], prompts())
        results(of, [picture(0)], prompts())
    assert looks == [1]  # the last one is still there, the first one not


def test_a_detector_keeps_nothing_unless_told_to() -> None:
    model = tiny_model()
    detector = GroundingDetector(model, tiny_tokenizer(), SIZES)
    ontology = Ontology.from_names(["cat", "dog"])
    (before,) = detector.detect([picture(1)], ontology, threshold=0)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.data.mul_(1.1)
    (after,) = detector.detect([picture(1)], ontology, threshold=0)
    assert not np.array_equal(before.xyxy, after.xyxy)


def test_a_thin_strip_is_padded_and_gets_transformers_answer() -> None:
    model = tiny_model()
    strip = picture(3, 10, 140)
    pixels, mask, _ = SIZES.resize_batch([strip])
    (prompt,) = prompts()[1:2]
    ids = torch.tensor([prompt.input_ids])
    with torch.no_grad():
        expected = model(pixel_values=pixels, pixel_mask=mask, input_ids=ids, attention_mask=torch.ones_like(ids))
    ((logits, boxes),) = results(passes(model, keep_bytes=1_000_000), [strip], [prompt])
    torch.testing.assert_close(logits, expected.logits[..., : ids.shape[1]], rtol=0, atol=0)
    torch.testing.assert_close(boxes, expected.pred_boxes, rtol=0, atol=0)
