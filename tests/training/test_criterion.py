"""The loss of the detector, on plain transformers outputs."""

from typing import Any

import pytest
import torch
from torch import Tensor

from tests.training.tiny_detectors import tiny_detector
from training.config import TrainConfig
from training.criterion import CriterionConfig, GroundingCriterion, LayerOutputs, Targets, layer_outputs, profile
from training.matcher import prices
from training.targets import pad_targets

CLS, SEP, STOP = 101, 102, 1012
TERMS = {f"{kind}_{layer}" for kind in ("class", "l1", "giou") for layer in ("0", "1", "enc")}


def two_names(first: int, second: int) -> Tensor:
    """Tokens of "first. second." for two one-token names, (1, 6)."""
    return torch.tensor([[CLS, first, STOP, second, STOP, SEP]])


def run(model: Any, pixels: Tensor, ids: Tensor, mask: Tensor | None = None, pixel_mask: Tensor | None = None) -> Any:
    mask = torch.ones_like(ids) if mask is None else mask
    return model(pixel_values=pixels, input_ids=ids, attention_mask=mask, pixel_mask=pixel_mask)


def targets(*tokens: tuple[int, ...], width: int = 6) -> Targets:
    """One box per argument, named by the tokens at these positions."""
    positive_map = torch.zeros(len(tokens), width, dtype=torch.bool)
    for row, positions in enumerate(tokens):
        positive_map[row, list(positions)] = True
    boxes = torch.tensor([[0.3 + 0.2 * i, 0.4, 0.2, 0.3] for i in range(len(tokens))]).reshape(-1, 4)
    return Targets(boxes, positive_map)


@pytest.mark.parametrize("kind", ["mm", "original"])
def test_layer_outputs_equal_what_the_model_predicts(kind: str) -> None:
    model = tiny_detector(kind)
    with torch.no_grad():
        outputs = run(model, torch.randn(2, 3, 64, 96), torch.cat([two_names(7, 8), two_names(9, 7)]))
        layers = layer_outputs(model, outputs)
    assert len(layers.logits) == len(layers.boxes) == 2
    torch.testing.assert_close(layers.logits[-1], outputs.logits[..., :6])
    torch.testing.assert_close(layers.boxes[-1], outputs.pred_boxes)
    torch.testing.assert_close(layers.encoder_boxes, outputs.init_reference_points)


def test_every_layer_and_the_encoder_have_their_own_terms() -> None:
    model = tiny_detector()
    ids = two_names(7, 8)
    terms = GroundingCriterion(CriterionConfig())(
        layer_outputs(model, run(model, torch.randn(1, 3, 64, 64), ids)), [targets((1,), (3,))], ids > 0
    )
    assert set(terms) == TERMS
    assert all(term.ndim == 0 and torch.isfinite(term) for term in terms.values())


def test_queries_that_began_on_a_box_learn_its_place_and_no_name() -> None:
    label = targets((1,), width=4)
    on_it = label.boxes + torch.tensor([0.01, 0.0, 0.0, 0.0])
    far = torch.tensor([[0.9, 0.9, 0.1, 0.1]])
    boxes = torch.stack([torch.cat([label.boxes, on_it, far])])  # the first fits and is matched
    logits = torch.zeros(1, 3, 4)
    layers = LayerOutputs([logits], [boxes], logits, boxes)
    text = torch.ones(1, 4, dtype=torch.bool)
    plain, taught = (GroundingCriterion(CriterionConfig(near=near))(layers, [label], text) for near in (0.0, 2.0))
    changed = {name for name in plain if not torch.equal(plain[name], taught[name])}
    assert changed == {"l1_0", "giou_0"}
    # Two queries lie on the box, half of the weight 2 for each; the one that is off by 0.01 has a loss.
    assert float(taught["l1_0"] - plain["l1_0"]) == pytest.approx(2 * 0.5 * 5 * 0.01, rel=1e-3)


def test_a_step_in_parts_adds_up_to_the_whole_although_one_part_has_more_boxes() -> None:
    model = tiny_detector()
    criterion = GroundingCriterion(CriterionConfig())
    pixels, ids = torch.randn(2, 3, 64, 64), torch.cat([two_names(7, 8), two_names(9, 7)])
    per_image = [targets((1,), (3,), (3,)), targets((1,))]
    whole = criterion(layer_outputs(model, run(model, pixels, ids)), per_image, ids > 0)
    parts = [
        criterion(layer_outputs(model, run(model, pixels[[i]], ids[[i]])), [per_image[i]], ids[[i]] > 0, 4)
        for i in (0, 1)
    ]
    for name, term in whole.items():
        torch.testing.assert_close(parts[0][name] + parts[1][name], term)


@pytest.mark.parametrize("iou_aware", [False, True])
def test_a_batch_of_unlike_prompts_equals_its_images_one_by_one(iou_aware: bool) -> None:
    model = tiny_detector()
    criterion = GroundingCriterion(CriterionConfig(iou_aware=iou_aware))
    ids = torch.cat([two_names(7, 8), two_names(9, 7)])
    pixels = torch.randn(2, 3, 64, 64)
    per_image = [targets((1,), (3,), (3,)), targets((3,))]

    together = criterion(layer_outputs(model, run(model, pixels, ids)), per_image, ids > 0)

    alone = [
        criterion(
            layer_outputs(model, run(model, pixels[i : i + 1], ids[i : i + 1])), per_image[i : i + 1], ids[:1] > 0
        )
        for i in range(2)
    ]
    for name, term in together.items():  # each term is a sum over 3 + 1 boxes
        torch.testing.assert_close(term, (3 * alone[0][name] + alone[1][name]) / 4, rtol=1e-4, atol=1e-5)


def test_padding_of_the_text_does_not_change_the_loss() -> None:
    model = tiny_detector()
    criterion = GroundingCriterion(CriterionConfig())
    ids, pixels = two_names(7, 8), torch.randn(1, 3, 64, 64)
    wide_ids = torch.nn.functional.pad(ids, (0, 5))
    plain = criterion(layer_outputs(model, run(model, pixels, ids)), [targets((1,), (3,))], ids > 0)

    outputs = run(model, pixels, wide_ids, (wide_ids > 0).long())
    padded = criterion(layer_outputs(model, outputs), [targets((1,), (3,))], wide_ids > 0)

    for name, term in plain.items():
        torch.testing.assert_close(padded[name], term, rtol=1e-4, atol=1e-5)


def test_gradient_reaches_every_trainable_parameter() -> None:
    model = tiny_detector()
    ids = two_names(7, 8)
    terms = GroundingCriterion(CriterionConfig())(
        layer_outputs(model, run(model, torch.randn(1, 3, 64, 64), ids)), [targets((1,), (3,))], ids > 0
    )
    torch.autograd.backward(list(terms.values()))

    without = {name for name, value in model.named_parameters() if value.grad is None or not value.grad.any()}
    assert without == set()


def test_the_first_layer_learns_from_the_second_layers_box() -> None:
    model = tiny_detector()
    ids = two_names(7, 8)
    layers = layer_outputs(model, run(model, torch.randn(1, 3, 64, 64), ids))
    torch.autograd.backward(layers.boxes[1].sum())
    assert model.bbox_embed[0].layers[0].weight.grad.abs().sum() > 0


def test_a_layers_box_teaches_the_layer_before_it_and_none_further_back() -> None:
    model = tiny_detector(decoder_layers=3)
    layers = layer_outputs(model, run(model, torch.randn(1, 3, 64, 64), two_names(7, 8)))
    torch.autograd.backward(layers.boxes[2].sum())
    heads = [head.layers[0].weight.grad for head in model.bbox_embed]
    assert [gradient is not None and bool(gradient.any()) for gradient in heads] == [False, True, True]


@pytest.mark.parametrize("iou_aware", [False, True])
def test_an_image_without_boxes_teaches_only_absence(iou_aware: bool) -> None:
    model = tiny_detector()
    ids = two_names(7, 8)
    terms = GroundingCriterion(CriterionConfig(iou_aware=iou_aware))(
        layer_outputs(model, run(model, torch.randn(1, 3, 64, 64), ids)), [targets()], ids > 0
    )
    assert all(terms[name].item() == 0 for name in TERMS if not name.startswith("class"))
    assert all(terms[name].item() > 0 for name in TERMS if name.startswith("class"))
    torch.autograd.backward(list(terms.values()))
    assert all(value.grad is None or torch.isfinite(value.grad).all() for value in model.parameters())


def one_query(logits: list[float], box: list[float]) -> LayerOutputs:
    scores, boxes = torch.tensor([[logits]]), torch.tensor([[box]])
    return LayerOutputs([scores], [boxes], scores, boxes)


def test_a_phrase_of_two_spans_wants_the_tokens_of_both() -> None:
    target = Targets(torch.tensor([[0.5, 0.5, 0.2, 0.2]]), torch.tensor([[False, True, False, True]]))
    mask = torch.ones(1, 4, dtype=torch.bool)
    criterion = GroundingCriterion(CriterionConfig())
    both = criterion(one_query([-9, 9, -9, 9], [0.5, 0.5, 0.2, 0.2]), [target], mask)
    first = criterion(one_query([-9, 9, -9, -9], [0.5, 0.5, 0.2, 0.2]), [target], mask)
    assert both["class_0"].item() < 1e-6
    # The missed token: alpha * (1 - p)^2 * -log p with p = sigmoid(-9), so 0.25 * 0.99975 * 9.0001.
    assert first["class_0"].item() == pytest.approx(2.2497, abs=1e-3)


@pytest.mark.parametrize("power", [0.5, 1.0])
def test_iou_aware_target_is_a_power_of_the_overlap(power: float) -> None:
    # IoU of the two boxes is 0.5, so the best logit is that of its power.
    target = Targets(torch.tensor([[0.5, 0.5, 0.2, 0.2]]), torch.tensor([[True]]))
    logits = torch.tensor([[[2.0]]], requires_grad=True)
    boxes = torch.tensor([[[0.5, 0.5, 0.2, 0.1]]])
    best = torch.logit(torch.tensor(0.5**power)).item()
    criterion = GroundingCriterion(CriterionConfig(iou_aware=True, iou_power=power))
    for value, sign in ((best + 0.1, 1), (best - 0.1, -1)):
        logits = torch.full((1, 1, 1), value, requires_grad=True)
        terms = criterion(LayerOutputs([logits], [boxes], logits, boxes), [target], torch.ones(1, 1, dtype=torch.bool))
        torch.autograd.backward(terms["class_0"])
        assert logits.grad is not None
        assert logits.grad.item() * sign > 0


def test_a_box_that_the_prompt_does_not_name_is_refused() -> None:
    with pytest.raises(ValueError, match="has no token in its positive map"):
        Targets(torch.tensor([[0.5, 0.5, 0.2, 0.2]]), torch.zeros(1, 4, dtype=torch.bool))


def test_all_wrong_settings_are_reported_together() -> None:
    with pytest.raises(ValueError, match=r"cost_l1 is -1.*alpha is 2"):
        CriterionConfig(cost_l1=-1, alpha=2)


@torch.no_grad()
def test_grounding_dinos_profile_is_transformers_own_loss_where_that_one_is_right() -> None:
    # On one image, so that its mix-up of prompts cannot show, and without the proposals, which it computes wrongly.
    model = tiny_detector("original")
    model.config.auxiliary_loss = True
    ids = torch.tensor([[CLS, 9, 10, STOP, 7, STOP, SEP]])
    pixels = torch.randn(1, 3, 64, 96)
    boxes = torch.rand(5, 4) * 0.3 + 0.2
    labels = [{"class_labels": torch.tensor([0, 1, 1, 0, 1]), "boxes": boxes}]
    theirs = model(pixel_values=pixels, input_ids=ids, labels=labels).loss_dict
    spans = torch.tensor([[False, True, True, False, False, False, False], [False] * 4 + [True, False, False]])

    criterion = GroundingCriterion(profile("grounding-dino", TrainConfig()))
    target = Targets(boxes, spans[labels[0]["class_labels"]])
    ours = criterion(layer_outputs(model, run(model, pixels, ids)), [target], ids > 0)

    for layer, suffix in (("0", "_0"), ("1", "")):
        assert ours[f"class_{layer}"].item() == pytest.approx(2 * theirs[f"loss_ce{suffix}"].item(), rel=1e-4)
        assert ours[f"l1_{layer}"].item() == pytest.approx(5 * theirs[f"loss_bbox{suffix}"].item(), rel=1e-4)
        assert ours[f"giou_{layer}"].item() == pytest.approx(2 * theirs[f"loss_giou{suffix}"].item(), rel=1e-4)


HALF_HIT = [0.5, 0.5, 0.2, 0.2]  # twice as high as the box, so IoU and GIoU are 0.5, and the L1 distance 0.1
BOX = Targets(torch.tensor([[0.5, 0.5, 0.2, 0.1]]), torch.tensor([[False, True, True]]))


@pytest.mark.parametrize(
    ("name", "classes"),
    [
        # At p = 0.5 a positive token costs 0.25 * 0.5^2 * ln 2 = 0.0433, the other one 0.75 * 0.5^2 * ln 2 = 0.1300.
        ("mm_grounding_dino", 2 * 0.04332 + 0.12996),
        ("grounding_dino", 2 * (2 * 0.04332 + 0.12996)),
        ("iou_aware", 2 * 0.69315 + 0.12996),  # a positive one's cross-entropy at logit 0 is ln 2 for any target
    ],
)
def test_each_profile_gives_the_loss_worked_out_by_hand(name: str, classes: float) -> None:
    config = profile("grounding-dino", TrainConfig().updated({"loss": name, "encoder_loss": 0.5}))
    terms = GroundingCriterion(config)(one_query([0, 0, 0], HALF_HIT), [BOX], torch.ones(1, 3, dtype=torch.bool))
    assert terms["class_0"].item() == pytest.approx(classes, abs=1e-4)
    assert terms["l1_0"].item() == pytest.approx(5 * 0.1)
    assert terms["giou_0"].item() == pytest.approx(2 * 0.5)
    assert terms["l1_enc"].item() == pytest.approx(5 * 0.1 / 2)


@pytest.mark.parametrize(
    ("name", "price"),
    [
        # Two positive tokens and a negative one, as above; 5 * L1 - 2 * GIoU = 0.5 - 1.
        ("mm_grounding_dino", 2 * (2 * 0.04332 + 0.12996) + 0.5 - 1),
        ("iou_aware", 2 * (2 * 0.04332 + 0.12996) + 0.5 - 1),
        ("grounding_dino", (0.04332 - 0.12996) + 0.5 - 1),  # the mean of the phrase's tokens
    ],
)
def test_each_profile_gives_the_price_worked_out_by_hand(name: str, price: float) -> None:
    config = profile("mm-grounding-dino", TrainConfig().updated({"loss": name}))
    padded = pad_targets([BOX], torch.ones(1, 3, dtype=torch.bool))
    found = prices(
        torch.zeros(1, 1, 3), torch.tensor([[HALF_HIT]]), padded.boxes, padded.positive_map, padded.judged, config
    )
    assert found.item() == pytest.approx(price, abs=1e-4)


def test_a_checkpoint_is_taught_by_the_paper_of_its_family() -> None:
    assert profile("grounding-dino", TrainConfig()).class_cost == "mean"
    assert profile("mm-grounding-dino", TrainConfig()) == CriterionConfig()
    assert profile("grounding-dino", TrainConfig().updated({"loss": "iou_aware"})).iou_aware


def test_what_queries_beside_the_answer_cost_and_learn_is_the_runs() -> None:
    for name in ("mm_grounding_dino", "grounding_dino", "iou_aware"):
        config = profile("mm-grounding-dino", TrainConfig().updated({"loss": name, "cost_behind": 1.5, "near": 0.5}))
        assert (config.cost_behind, config.near) == (1.5, 0.5)


def test_an_unknown_token_has_no_say_in_match_and_loss() -> None:
    unknown = Targets(BOX.boxes, torch.tensor([[False, True, False]]), torch.tensor([True, False, False]))
    criterion, mask = GroundingCriterion(CriterionConfig()), torch.ones(1, 3, dtype=torch.bool)

    def terms(score: float) -> dict[str, Tensor]:
        logits = torch.tensor([[[score, 1.0, 0.0], [0.0, 1.0, 0.0]]])
        boxes = torch.tensor([[HALF_HIT, HALF_HIT]])
        found: dict[str, Tensor] = criterion(LayerOutputs([logits], [boxes], logits, boxes), [unknown], mask)
        return found

    assert terms(9.0) == terms(-9.0)


def test_a_token_cannot_name_a_box_and_be_unknown() -> None:
    with pytest.raises(ValueError, match="A token names a target box and is unknown"):
        Targets(BOX.boxes, BOX.positive_map, torch.tensor([False, True, False]))


def test_unknown_tokens_of_another_prompt_are_refused() -> None:
    with pytest.raises(ValueError, match=r"prompt of 3 tokens must be \(3,\), not \(5,\)"):
        Targets(BOX.boxes, BOX.positive_map, torch.zeros(5, dtype=torch.bool))
