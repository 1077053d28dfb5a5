from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from engine.grounding import GroundingDetector
from engine.preprocessing import Preprocessing
from tests.tiny_checkpoint import Backbone, Family, tiny_model, tiny_tokenizer
from tests.training.coloured_squares import QUICK, batches_of, labelled, squares, teach, tiny_grounding_detector
from training.config import TrainConfig
from training.data import Batch
from training.errors import TrainingDiverged
from training.metrics.coco import Evaluation
from training.parameters import choose_trainable, optimizer_for, set_mode
from training.precision import autocast
from training.schedule import learning_rate, validation_period
from training.trainer import train


def test_a_detector_learns_what_it_is_shown(tmp_path: Path) -> None:
    images = squares(tmp_path, 6)
    config = replace(QUICK, steps=40, batch_size=3, validate_every=40, flip=0.0, color=0.0)
    happened = list(teach(tiny_grounding_detector(), images, config))
    losses = [progress.loss for progress in happened if progress.event == "step"]
    assert sum(losses[-5:]) < 0.7 * sum(losses[:5])
    end = happened[-1]
    assert end.before is not None
    assert end.best is not None
    assert (end.best.metrics["AP50"] or 0) > (end.before.metrics["AP50"] or 0)


def test_what_happens_is_told_in_order(tmp_path: Path) -> None:
    images = squares(tmp_path, 3)
    happened = list(teach(tiny_grounding_detector(), images, replace(QUICK, steps=3)))
    assert [(progress.event, progress.step) for progress in happened] == [
        ("evaluation", 0),
        ("step", 1),
        ("step", 2),
        ("evaluation", 2),
        ("step", 3),
        ("evaluation", 3),
    ]
    assert all(progress.losses.keys() >= {"class_0", "giou_enc"} for progress in happened if progress.event == "step")
    assert happened[-1].eta_seconds == 0


def test_the_best_validated_weights_stay_in_the_model(tmp_path: Path) -> None:
    images = squares(tmp_path, 3)
    detector = tiny_grounding_detector()
    # a rate this high ruins what the first step taught
    config = replace(QUICK, steps=6, learning_rate=0.05, validate_every=1, ema_decay=0.0)
    weights: dict[int, torch.Tensor] = {}
    last = None
    for progress in teach(detector, images, config):
        weights[progress.step] = detector.model.model.level_embed.detach().clone()
        last = progress
    assert last is not None
    assert last.best is not None
    torch.testing.assert_close(detector.model.model.level_embed.detach(), weights[last.best_step], rtol=0, atol=0)
    assert not detector.model.training


def test_stopping_validates_once_more_and_ends(tmp_path: Path) -> None:
    images = squares(tmp_path, 3)
    config = replace(QUICK, steps=50, validate_every=50)
    asked = iter([False, False, True])
    happened = list(teach(tiny_grounding_detector(), images, config, stop=lambda: next(asked)))
    assert [(progress.event, progress.step) for progress in happened[-2:]] == [("step", 2), ("evaluation", 2)]
    assert happened[-1].best_step == 2


def test_a_rate_that_destroys_the_weights_is_reported_with_the_images(tmp_path: Path) -> None:
    images = squares(tmp_path, 2)
    detector = tiny_grounding_detector()
    with torch.no_grad():
        detector.model.bbox_embed[0].layers[0].weight[:] = float("nan")
    with pytest.raises(TrainingDiverged, match=r"nan at step 1 \(images [12], [12]\)\. Lower learning_rate"):
        list(teach(detector, images, QUICK, images[:0]))


def poisoned(batches: Callable[[int], list[Batch]], what: str) -> Callable[[int], list[Batch]]:
    """The same batches, but something in the second step's is no number."""

    def make(step: int) -> list[Batch]:
        made = batches(step)
        if step == 2:
            (made[0].pixel_values if what == "image" else made[0].targets[0].boxes)[0, 0] = float("nan")
        return made

    return make


@pytest.mark.parametrize("what", ["image", "label"])
def test_an_image_or_label_that_is_no_number_stops_with_its_id(tmp_path: Path, what: str) -> None:
    images = squares(tmp_path, 4)
    detector = tiny_grounding_detector()
    batches = batches_of(detector, images, QUICK)
    ids = ", ".join(str(image.id) for image in batches.images_of(2))
    with pytest.raises(TrainingDiverged, match=rf"at step 2 \(images {ids}\).*look at the boxes") as diverged:
        list(train(detector, poisoned(batches, what), lambda: measured(0.1), QUICK))
    assert "\n" not in str(diverged.value)


def measured(ap: float | None, **more: float) -> Evaluation:
    """An evaluation that found this."""
    return Evaluation({"AP": ap, "AP50": ap, **more}, {}, 1)


def test_a_run_ends_early_when_nothing_gets_better(tmp_path: Path) -> None:
    images, detector = squares(tmp_path, 2), tiny_grounding_detector()
    found = iter([0.0, 0.3, 0.2, 0.3, 0.9])  # the first is of the detector as it came
    config = replace(QUICK, steps=9, validate_every=1, early_stop=2)
    batches = batches_of(detector, images, config)
    state = tmp_path / "state"
    happened = list(train(detector, batches, lambda: measured(next(found)), config, resume=state))
    assert [(progress.event, progress.step) for progress in happened[-3:]] == [
        ("evaluation", 3),
        ("saved", 3),
        ("early_stop", 3),
    ]
    assert happened[-1].best_step == 1
    again = list(train(tiny_grounding_detector(), batches, lambda: measured(0.0), config, resume=state))
    assert [progress.event for progress in again] == ["resumed", "early_stop"]
    longer = replace(config, early_stop=0)  # the last state is there to go on from
    further = train(tiny_grounding_detector(), batches, lambda: measured(0.9), longer, resume=state)
    assert [(progress.event, progress.step) for progress in further][-1] == ("saved", 9)


def test_where_only_texts_are_measured_they_decide(tmp_path: Path) -> None:
    images, detector = squares(tmp_path, 2), tiny_grounding_detector()
    found = iter([{"P@1": 0.5}, {"P@1": 0.2, "R@1": 0.3}, {"P@1": 0.4, "R@1": 0.3}, {"P@1": 0.1}])
    config = replace(QUICK, steps=3, validate_every=1)
    batches = batches_of(detector, images, config)
    happened = list(train(detector, batches, lambda: measured(None, **next(found)), config))
    assert happened[-1].best_step == 2


def test_the_first_steps_may_teach_the_proposals_alone(tmp_path: Path) -> None:
    images = squares(tmp_path, 2)
    happened = list(teach(tiny_grounding_detector(), images, replace(QUICK, steps=2, dense_steps=1)))
    first, second = [progress.losses.keys() for progress in happened if progress.event == "step"]
    assert first == {"class_dense", "l1_dense", "giou_dense"}
    assert "class_0" in second


def test_images_without_boxes_are_learnt_from(tmp_path: Path) -> None:
    image = squares(tmp_path, 1)[0]
    empty = labelled(1, image.path, image.width, image.height, [], [])
    happened = list(teach(tiny_grounding_detector(), [empty], replace(QUICK, steps=1)))
    assert happened[1].losses["class_0"] > 0
    assert happened[1].losses["l1_0"] == 0


@pytest.mark.parametrize(("family", "backbone"), [("mm-grounding-dino", "swin"), ("grounding-dino", "resnet")])
def test_half_precision_teaches_nearly_the_same(tmp_path: Path, family: Family, backbone: Backbone) -> None:
    images = squares(tmp_path, 4)
    config = QUICK.updated({"steps": 2, "batch_size": 4, "accumulate": 2})
    losses = {}
    for precision in ("fp32", "bf16"):
        model = tiny_model(family, backbone)
        detector = GroundingDetector(model, tiny_tokenizer(), Preprocessing(96, 160))
        happened = list(teach(detector, images, config.updated({"precision": precision})))
        losses[precision] = [progress.loss for progress in happened if progress.event == "step"]
        assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}
    assert losses["bf16"][0] == pytest.approx(losses["fp32"][0], rel=0.05)
    assert losses["bf16"][0] != losses["fp32"][0]
    assert losses["bf16"][1] < losses["bf16"][0]


def test_a_resnet_backbone_learns_although_transformers_freezes_it() -> None:
    model = tiny_grounding_detector("resnet").model
    assert not any(p.requires_grad for name, p in model.named_parameters() if ".backbone." in name)
    trainable = choose_trainable(model, replace(QUICK, backbone_multiplier=0.1))
    assert [name for name in trainable if ".backbone." in name]
    assert not [name for name in choose_trainable(model, replace(QUICK, backbone_multiplier=0)) if ".backbone." in name]


@pytest.mark.parametrize(("multiplier", "learns"), [(0.1, True), (0.0, False)])
def test_the_text_encoder_learns_where_its_rate_is_above_zero(multiplier: float, learns: bool) -> None:
    model = tiny_grounding_detector().model
    config = QUICK.updated({"text_multiplier": multiplier})
    trainable = choose_trainable(model, config)
    assert any(".text_backbone." in name for name in trainable) == learns
    set_mode(model, config)
    assert model.model.text_backbone.training == learns
    assert model.model.encoder.training


def test_norms_and_biases_do_not_decay_and_rates_have_their_share() -> None:
    model = tiny_grounding_detector().model
    config = QUICK.updated({"backbone_multiplier": 0.1, "text_multiplier": 0.5, "weight_decay": 0.01})
    trainable = choose_trainable(model, config)
    groups = optimizer_for(trainable, config).param_groups
    assert {(group["share"], group["weight_decay"]) for group in groups} == {
        (share, decay) for share in (0.1, 0.5, 1.0) for decay in (0.0, 0.01)
    } - {(0.1, 0.0)}  # the backbone's norms are frozen
    flat = {id(p) for group in groups if group["weight_decay"] == 0 for p in group["params"]}
    assert all((id(p) in flat) == (p.ndim <= 1) for n, p in trainable.items() if "embed" not in n)


def test_dropout_follows_the_settings_and_not_the_checkpoint() -> None:
    model = tiny_grounding_detector().model
    assert model.model.decoder.layers[0].dropout == pytest.approx(0.1)
    set_mode(model, replace(QUICK, dropout=0.0, fusion_dropout=0.3))
    assert model.model.decoder.layers[0].dropout == 0
    assert model.model.encoder.layers[0].deformable_layer.dropout == 0
    assert model.model.encoder.layers[0].fusion_layer.attn.dropout == pytest.approx(0.3)
    assert model.model.encoder.layers[0].fusion_layer.drop_path.drop_prob == 0
    assert model.config.dropout == pytest.approx(0.1)


def test_the_learning_rate_rises_and_falls() -> None:
    config = TrainConfig(steps=10, warmup=0.3, learning_rate=1.0)
    rates = [learning_rate(step, config) for step in range(1, 11)]
    assert rates[:3] == pytest.approx([0.25, 0.5, 0.75])
    assert max(rates) == rates[3]
    # 7 steps of a cosine over 8: the last is 0.5 * (1 + cos(7 / 8 * pi)) = 0.038
    assert rates[-1] == pytest.approx(0.0381, abs=1e-3)
    assert learning_rate(9, replace(config, schedule="flat")) == 1.0


def test_validation_comes_once_an_epoch_but_not_too_often() -> None:
    assert validation_period(TrainConfig(steps=100, batch_size=4), 40) == 10
    assert validation_period(TrainConfig(steps=1000, batch_size=4, max_validations=10), 40) == 100
    assert validation_period(TrainConfig(validate_every=7), 40) == 7


def test_a_processor_computes_in_full_precision_unless_told() -> None:
    with autocast("cpu", "auto"):
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == torch.float32
    with autocast("cpu", "bf16"):
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == torch.bfloat16


def test_the_taught_detector_works_at_the_size_asked_for(tmp_path: Path) -> None:
    images = squares(tmp_path, 2)
    detector = tiny_grounding_detector()
    sizes = [
        detector.preprocessing.shortest_edge
        for _ in teach(detector, images, replace(QUICK, steps=1, short_side_px=120))
    ]
    assert sizes == [96, 120, 120]  # measured as it came, then at the new size
    assert (detector.preprocessing.shortest_edge, detector.preprocessing.longest_edge) == (120, 200)


def test_threads_are_given_back(tmp_path: Path) -> None:
    images = squares(tmp_path, 2)
    before = torch.get_num_threads()
    training = teach(tiny_grounding_detector(), images, replace(QUICK, steps=1, threads=before + 1))
    next(training)
    assert torch.get_num_threads() == before + 1
    list(training)
    assert torch.get_num_threads() == before


@pytest.mark.parametrize(
    ("captions", "best_step"),
    [(0.0, 2), (0.5, 2), (1.0, 4)],
    # AP .6 then .5, P@1 .1 then .15: half of each is .35 then .325; the texts alone rise
)
def test_the_best_weights_are_those_best_at_what_is_taught(tmp_path: Path, captions: float, best_step: int) -> None:
    detector, images = tiny_grounding_detector(), squares(tmp_path, 2)
    scores = iter([(0.0, 0.0), (0.6, 0.1), (0.5, 0.15)])

    def evaluate() -> Evaluation:
        precision, said = next(scores)
        return Evaluation({"AP": precision, "AP50": precision, "P@1": said}, {}, 1)

    config = replace(QUICK, steps=4, validate_every=2, captions=captions)
    *_, last = train(detector, batches_of(detector, images, config), evaluate, config)
    assert last.best_step == best_step
