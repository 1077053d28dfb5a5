"""Noised copies of the labels beside the detector's own queries."""

from dataclasses import replace
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from tests.training.tiny_detectors import tiny_detector
from training.config import TrainConfig
from training.denoising import ContrastiveDenoising, Copies, attention_mask, moved_corners
from training.layer_outputs import DecoderStates
from training.matcher import corners
from training.targets import PaddedTargets, Targets, pad_targets

IDS = torch.tensor([[101, 7, 8, 1012, 9, 1012, 102], [101, 9, 1012, 102, 0, 0, 0]])
MASK = IDS > 0


def padded(*counts: int) -> PaddedTargets:
    """Images with so many boxes, each named by tokens 1 and 2 or, every second one, by token 4 (or only 1)."""
    generator = torch.Generator().manual_seed(3)
    targets = []
    for image, count in enumerate(counts):
        positive_map = torch.zeros(count, 7, dtype=torch.bool)
        positive_map[::2, 1 : 3 - image % 2] = True
        positive_map[1::2, 4 if image % 2 == 0 else 1] = True
        boxes = torch.rand(count, 4, generator=generator) * 0.2 + torch.tensor([0.4, 0.4, 0.1, 0.1])
        targets.append(Targets(boxes, positive_map))
    return pad_targets(targets, MASK[[index % 2 for index in range(len(counts))]])


def copies_of(config: TrainConfig, *counts: int, seed: int = 1, model: Any = None) -> Copies:
    denoising = ContrastiveDenoising(tiny_detector() if model is None else model, config)
    mask = MASK[[index % 2 for index in range(len(counts))]]
    return denoising.copies(padded(*counts), mask, range(len(counts)), seed)


def test_each_image_has_as_many_groups_as_fit_and_a_near_and_a_far_copy_of_each_box_in_each() -> None:
    copies = copies_of(TrainConfig(denoising=12), 3, 5, 0)
    # 12 // 3 = 4 groups of 2 x 3 copies; 12 // 5 = 2 groups of 2 x 5; none.
    assert copies.labels.shape == (3, 24)
    assert [int((row >= 0).sum()) for row in copies.groups] == [24, 20, 0]
    assert copies.positive.sum(1).tolist() == [12, 10, 0]
    for image, (count, groups) in enumerate([(3, 4), (5, 2)]):
        for group in range(groups):
            here = copies.groups[image] == group
            assert copies.targets[image][here].tolist() == [*range(count), *range(count)]
            assert copies.positive[image][here].tolist() == [True] * count + [False] * count
    torch.testing.assert_close((copies.weight * copies.positive).sum(1), torch.tensor([3.0, 5, 0]))


def test_more_boxes_than_copies_make_one_group() -> None:
    copies = copies_of(TrainConfig(denoising=4), 10)
    assert copies.labels.shape == (1, 20)
    assert bool((copies.weight == 1).all())


def test_an_image_full_of_boxes_adds_no_more_queries_than_the_bound_allows() -> None:
    copies = copies_of(TrainConfig(denoising=100, denoising_boxes=200), 2000)
    assert copies.labels.shape == (1, 400)
    drawn = copies.targets[0][copies.positive[0]]
    assert len(set(drawn.tolist())) == 200
    assert drawn.max() > 1000  # from all over the list, not its beginning


@settings(max_examples=60)
@given(
    box=st.tuples(*[st.floats(0.01, 0.99)] * 4),
    noise=st.lists(st.floats(0, 1, exclude_max=True, width=32), min_size=8, max_size=8),
    scale=st.floats(0, 1),
)
def test_near_copies_stay_within_half_a_box_and_far_ones_leave_it(
    box: tuple[float, ...], noise: list[float], scale: float
) -> None:
    label, draws = torch.tensor([box], dtype=torch.float64), torch.tensor([noise], dtype=torch.float64)
    half = label[:, [2, 3, 2, 3]] / 2 * scale
    near, far = (
        (moved_corners(label, draws, torch.tensor([negative]), scale) - corners(label)).abs()
        for negative in (False, True)
    )
    tolerance = 1e-9
    assert (near <= half + tolerance).all()
    assert ((half - tolerance <= far) & (far <= 2 * half + tolerance)).all()


def test_copies_are_boxes_in_the_image() -> None:
    copies = copies_of(TrainConfig(denoising=100), 7, 3)
    assert ((copies.boxes > 0) & (copies.boxes < 1)).all()


def test_a_copy_has_the_label_of_its_name_and_a_quarter_of_them_another() -> None:
    plain = copies_of(TrainConfig(denoising=2000, label_noise=0.0), 2)
    assert set(plain.labels[0].tolist()) == {1, 4}  # the first tokens of both names
    assert torch.equal(plain.labels == 1, plain.targets == 0)
    noised = copies_of(TrainConfig(denoising=2000, label_noise=0.5), 2)
    # A quarter are drawn anew from the 7 tokens of the prompt, 1 in 7 of which is the right one by chance.
    assert (noised.labels != plain.labels).float().mean() == pytest.approx(0.25 * 6 / 7, abs=0.02)
    assert noised.labels.max() <= 6


def test_equal_seeds_give_equal_copies_and_others_give_others() -> None:
    config = TrainConfig(denoising=10)
    first, again, other = (copies_of(config, 3, 1, seed=seed) for seed in (4, 4, 5))
    assert torch.equal(first.boxes, again.boxes)
    assert torch.equal(first.labels, again.labels)
    assert not torch.equal(first.boxes, other.boxes)


def test_each_image_has_noise_of_its_own() -> None:
    one = Targets(
        torch.tensor([[0.5, 0.5, 0.2, 0.2]]), torch.tensor([[False, True, False, False, False, False, False]])
    )
    targets, mask = pad_targets([one, one], MASK), MASK
    denoising = ContrastiveDenoising(tiny_detector(), TrainConfig(denoising=5))
    copies = denoising.copies(targets, mask, [1, 2], seed=0)
    assert not torch.equal(copies.boxes[0], copies.boxes[1])
    alike = denoising.copies(targets, mask, [1, 1], seed=0)
    assert torch.equal(alike.boxes[0], alike.boxes[1])


def test_the_mask_lets_copies_see_their_group_and_the_own_queries_and_these_only_each_other() -> None:
    mask = attention_mask(2, torch.tensor([[0, 0, 1, -5]]), torch.float32)
    assert mask.shape == (1, 1, 6, 6)
    assert (mask[0, 0] == 0).int().tolist() == [
        [1, 1, 0, 0, 0, 0],
        [1, 1, 0, 0, 0, 0],
        [1, 1, 1, 1, 0, 0],
        [1, 1, 1, 1, 0, 0],
        [1, 1, 0, 0, 1, 0],
        [1, 1, 0, 0, 0, 1],  # padded
    ]


def run(model: Any) -> Any:
    pixels = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    return model(pixel_values=pixels, input_ids=IDS, attention_mask=MASK.long())


def shown(model: Any, copies: Copies) -> tuple[Any, DecoderStates]:
    with ContrastiveDenoising(model, TrainConfig()).shown(model.model.decoder, copies) as states:
        outputs = run(model)
    return outputs, states[0]


@pytest.mark.parametrize("kind", ["mm", "original"])
@pytest.mark.parametrize("layers", [1, 3])
@torch.no_grad()
def test_own_queries_answer_as_if_there_were_no_copies(kind: str, layers: int) -> None:
    model = tiny_detector(kind, decoder_layers=layers)
    plain = run(model)
    for seed in (1, 2):
        outputs, states = shown(model, copies_of(TrainConfig(denoising=6), 2, 3, model=model, seed=seed))
        torch.testing.assert_close(outputs.logits, plain.logits, rtol=1e-5, atol=1e-5)
        torch.testing.assert_close(outputs.pred_boxes, plain.pred_boxes, rtol=1e-5, atol=1e-5)
        assert states.hidden.shape == (2, layers, 12, 32)
        assert states.references.shape == (2, layers, 12, 4)


@torch.no_grad()
def test_a_group_of_copies_does_not_see_another() -> None:
    model = tiny_detector()
    copies = copies_of(TrainConfig(denoising=6), 2, 3, model=model)
    first = copies.groups == 0
    moved = replace(copies, boxes=torch.where(first[..., None], copies.boxes, 1 - copies.boxes))
    before, after = (shown(model, each)[1].hidden.transpose(1, 2) for each in (copies, moved))
    torch.testing.assert_close(before[first], after[first], rtol=1e-5, atol=1e-5)
    assert (before[~first] - after[~first]).abs().max() > 1e-2


def test_a_detector_is_as_it_was_after_a_pass_that_failed() -> None:
    model = tiny_detector()
    decoder = model.model.decoder
    config, plain = decoder.config, run(model)

    def fail(*_: Any) -> Tensor:
        raise RuntimeError("out of memory")

    trap = decoder.layers[1].register_forward_hook(fail)
    with pytest.raises(RuntimeError, match="out of memory"):
        shown(model, copies_of(TrainConfig(denoising=6), 2, 3, model=model))
    trap.remove()

    assert decoder.config is config is model.config
    assert config.num_queries == 12
    assert torch.equal(run(model).logits, plain.logits)
