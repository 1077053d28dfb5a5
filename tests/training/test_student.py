"""The detector that learns, with everything on."""

from dataclasses import replace
from typing import Any

import pytest
import torch

from tests.training.tiny_detectors import tiny_detector
from training.config import TrainConfig
from training.data import Batch
from training.student import Student
from training.targets import Targets

CLS, SEP, STOP = 101, 102, 1012
CONFIG = TrainConfig(denoising=8)  # a 12-query detector needs no hundred copies
KINDS = ("class", "l1", "giou")


def two_names(first: int, second: int) -> list[int]:
    return [CLS, first, STOP, second, STOP, SEP]


def targets(*tokens: tuple[int, ...], width: int = 6) -> Targets:
    """One box per argument, named by the tokens at these positions."""
    positive_map = torch.zeros(len(tokens), width, dtype=torch.bool)
    for row, positions in enumerate(tokens):
        positive_map[row, list(positions)] = True
    boxes = torch.tensor([[0.3 + 0.2 * i, 0.4, 0.2, 0.3] for i in range(len(tokens))]).reshape(-1, 4)
    return Targets(boxes, positive_map)


def batch_of(*images: tuple[list[int], Targets], size: int = 64, seed: int = 0) -> Batch:
    """Random pictures of one size with their prompts, padded to the longest."""
    width = max(len(ids) for ids, _ in images)
    input_ids = torch.tensor([ids + [0] * (width - len(ids)) for ids, _ in images])
    pixels = torch.randn(len(images), 3, size, size, generator=torch.Generator().manual_seed(seed))
    return Batch(
        pixel_values=pixels,
        pixel_mask=torch.ones(len(images), size, size, dtype=torch.int64),
        input_ids=input_ids,
        attention_mask=(input_ids > 0).long(),
        targets=tuple(each for _, each in images),
        image_ids=tuple(range(1, len(images) + 1)),
    )


def one_of(batch: Batch, index: int) -> Batch:
    """An image of a batch by itself, without the padding of its prompt."""
    here = slice(index, index + 1)
    width = int(batch.attention_mask[index].sum())
    return Batch(
        batch.pixel_values[here],
        batch.pixel_mask[here],
        batch.input_ids[here, :width],
        batch.attention_mask[here, :width],
        batch.targets[here],
        batch.image_ids[here],
    )


def student_of(kind: str = "mm", config: TrainConfig = CONFIG, model: Any = None) -> Student:
    return Student(tiny_detector(kind) if model is None else model, config)


MIXED = batch_of(
    (two_names(7, 8), targets((1,), (3,), (3,))),
    ([CLS, 9, 10, STOP, SEP], targets((1, 2), width=5)),
    (two_names(9, 7), targets()),
)


@pytest.mark.parametrize("kind", ["mm", "original"])
def test_there_are_terms_of_each_layer_of_the_proposals_and_of_the_copies(kind: str) -> None:
    terms = student_of(kind)(MIXED)
    assert set(terms) == {f"{term}_{layer}" for term in KINDS for layer in ("0", "1", "enc", "dn_0", "dn_1")}
    assert all(term.ndim == 0 and torch.isfinite(term) for term in terms.values())


@pytest.mark.parametrize("kind", ["mm", "original"])
@pytest.mark.parametrize("loss", ["auto", "iou_aware"])
def test_a_batch_of_unlike_images_is_the_sum_of_its_images(kind: str, loss: str) -> None:
    student = student_of(kind, CONFIG.updated({"loss": loss}))
    boxes, denoised = student.counted(MIXED)
    assert (boxes, denoised) == (4, 4)
    together = student(MIXED, boxes_in_step=4, denoised_in_step=4, seed=5)
    alone = [student(one_of(MIXED, i), boxes_in_step=4, denoised_in_step=4, seed=5) for i in range(3)]
    for name, term in together.items():
        torch.testing.assert_close(sum(terms[name] for terms in alone), term, rtol=1e-4, atol=1e-5)
    for name, term in student(MIXED, seed=5).items():  # by itself a batch divides by its own boxes
        torch.testing.assert_close(term, together[name])


@pytest.mark.parametrize("kind", ["mm", "original"])
def test_gradient_reaches_every_parameter(kind: str) -> None:
    student = student_of(kind)
    torch.autograd.backward(list(student(MIXED).values()))
    without = {name for name, value in student.named_parameters() if value.grad is None or not value.grad.any()}
    assert without == set()


@pytest.mark.parametrize("kind", ["mm", "original"])
def test_a_batch_without_any_box_still_involves_every_parameter(kind: str) -> None:
    # A process of several that did not would leave the others waiting.
    student = student_of(kind)
    terms = student(batch_of((two_names(7, 8), targets()), (two_names(9, 7), targets())))
    assert {name for name, term in terms.items() if term.item() > 0} == {"class_0", "class_1", "class_enc"}
    torch.autograd.backward(list(terms.values()))
    assert [name for name, value in student.named_parameters() if value.grad is None] == []
    assert all(torch.isfinite(value.grad).all() for value in student.parameters() if value.grad is not None)


def test_padding_of_the_prompts_does_not_change_the_loss() -> None:
    student = student_of()
    alone = one_of(MIXED, 1)
    ids = torch.nn.functional.pad(alone.input_ids, (0, 6))
    padded = replace(alone, input_ids=ids, attention_mask=(ids > 0).long())
    wide = student(padded)
    for name, term in student(alone).items():
        torch.testing.assert_close(wide[name], term, rtol=1e-4, atol=1e-5)


def test_the_noise_of_the_copies_changes_no_other_term() -> None:
    student = student_of()
    without = student_of(config=CONFIG.updated({"denoising": 0}))(MIXED)
    first, second = student(MIXED, seed=1), student(MIXED, seed=2)
    for name, term in without.items():
        torch.testing.assert_close(first[name], term, rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(second[name], term, rtol=1e-4, atol=1e-5)
    for name in first.keys() - without.keys():
        assert first[name].item() != second[name].item()


def test_scores_of_names_that_nobody_looked_for_change_nothing() -> None:
    # The second name is unknown: another word there changes the text, but not what is asked of its own token.
    known = targets((1,), (1,))
    unknown = replace(known, unknown_tokens=torch.tensor([False, False, False, True, False, False]))
    student = student_of()
    batch = batch_of((two_names(7, 8), unknown))
    terms = student(batch)
    assert terms["class_0"] < student(batch_of((two_names(7, 8), known)))["class_0"]

    seen: list[torch.Tensor] = []

    def keep(_: Any, __: Any, logits: torch.Tensor) -> None:
        logits.retain_grad()
        seen.append(logits)

    for embed in student.model.class_embed:
        embed.register_forward_hook(keep)
    torch.autograd.backward(list(student(batch).values()))
    gradients = [logits.grad for logits in seen if logits.grad is not None]
    assert len(gradients) == 4  # of two layers, their queries and their copies
    assert all(not gradient[..., 3].any() and gradient[..., 2].any() for gradient in gradients)


def test_two_thousand_boxes_on_an_image_are_learnt_from() -> None:
    crowd = torch.cat([torch.rand(2000, 2) * 0.9 + 0.05, torch.full((2000, 2), 0.02)], -1)
    full = Targets(crowd, torch.tensor([[False, True, False, False, False, False]]).expand(2000, 6))
    student = student_of(config=CONFIG.updated({"denoising": 100, "denoising_boxes": 50}))
    assert student.counted(batch_of((two_names(7, 8), full))) == (2000, 50)
    terms = student(batch_of((two_names(7, 8), full), (two_names(7, 8), targets((1,)))))
    assert all(torch.isfinite(term) for term in terms.values())


def test_the_proposals_terms_have_their_own_weight() -> None:
    whole, half = student_of()(MIXED), student_of(config=CONFIG.updated({"encoder_loss": 0.5}))(MIXED)
    for name, term in half.items():
        torch.testing.assert_close(term, whole[name] / 2 if name.endswith("_enc") else whole[name])


@pytest.mark.parametrize("twice", [True, False])
def test_a_layer_learns_from_the_next_ones_boxes_if_it_looks_forward_twice(twice: bool) -> None:
    student = student_of(config=CONFIG.updated({"look_forward_twice": twice}))
    terms = student(MIXED)
    for name in ("l1_1", "l1_dn_1"):
        (gradient,) = torch.autograd.grad(
            terms[name], student.model.bbox_embed[0].layers[0].weight, retain_graph=True, materialize_grads=True
        )
        assert bool(gradient.any()) == twice


@pytest.mark.parametrize("kind", ["mm", "original"])
def test_half_precision_stays_near_full_precision(kind: str) -> None:
    full, half = student_of(kind)(MIXED), student_of(kind, CONFIG.updated({"precision": "bf16"}))(MIXED)
    assert all(term.dtype == torch.float32 for term in half.values())
    assert sum(half.values()).item() == pytest.approx(sum(full.values()).item(), rel=0.1)


@pytest.mark.parametrize("kind", ["mm", "original"])
def test_a_dense_stage_teaches_all_that_leads_to_the_proposals(kind: str) -> None:
    student = student_of(kind)
    terms = student.dense(MIXED)
    assert set(terms) == {"class_dense", "l1_dense", "giou_dense"}
    torch.autograd.backward(list(terms.values()))
    without = {name for name, value in student.model.named_parameters() if value.grad is None or not value.grad.any()}
    after_the_proposals = ("model.decoder.", "class_embed.", "bbox_embed.", "model.query_position_embeddings.")
    assert without == {name for name, _ in student.model.named_parameters() if name.startswith(after_the_proposals)}


def test_a_dense_stage_learns_to_propose() -> None:
    student = student_of()
    optimizer = torch.optim.AdamW(student.parameters(), lr=3e-3)
    losses = []
    for _ in range(12):
        loss = torch.stack(list(student.dense(MIXED).values())).sum()
        torch.autograd.backward(loss)
        optimizer.step()
        optimizer.zero_grad()
        losses.append(loss.item())
    assert losses[-1] < 0.9 * losses[0]


def test_a_dense_step_in_parts_adds_up_to_the_whole() -> None:
    student = student_of()
    whole = student.dense(MIXED, boxes_in_step=4)
    parts = [student.dense(one_of(MIXED, index), boxes_in_step=4) for index in range(3)]
    for name, term in whole.items():
        torch.testing.assert_close(sum(part[name] for part in parts), term, rtol=1e-4, atol=1e-5)
